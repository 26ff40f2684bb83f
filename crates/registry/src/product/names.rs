//! From what a product lists to names, digests and the clients that read them.

use tracing::warn;

use crate::{Repository, TagName};

/// A name in a list as a repository; left out with a warning if it cannot be one.
pub(crate) fn listed_repository(name: &str) -> Option<Repository> {
    name.parse().map_err(|error| warn!(%error, "a repository of the list is left out")).ok()
}

/// A name in a list as a tag; left out with a warning if it cannot be one.
pub(crate) fn listed_tag(name: &str) -> Option<TagName> {
    name.parse().map_err(|error| warn!(%error, "a tag of the list is left out")).ok()
}

/// The digest with this SHA-256, in hexadecimal.
#[cfg(any(feature = "artifactory", feature = "nexus"))]
pub(crate) fn digest_of(sha256: &str) -> Option<crate::Digest> {
    crate::digest::parse_digest(&format!("sha256:{}", sha256.to_ascii_lowercase())).ok()
}

/// What the name of each image begins with that a key or a repository holds: `docker-local/`, or nothing where the host
/// says which it is.
#[cfg(any(feature = "artifactory", feature = "nexus"))]
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Prefix(String);

#[cfg(any(feature = "artifactory", feature = "nexus"))]
impl Prefix {
    pub(crate) fn of(key: &crate::RepositoryKey) -> Self {
        Self(format!("{key}/"))
    }

    /// An image's name as users know it.
    pub(crate) fn name(&self, image: &str) -> Option<Repository> {
        listed_repository(&format!("{}{image}", self.0))
    }

    /// The image's name within the key; `None` if it is of another.
    pub(crate) fn image(&self, repository: &Repository) -> Option<Repository> {
        repository.as_str().strip_prefix(&self.0)?.parse().ok()
    }
}
