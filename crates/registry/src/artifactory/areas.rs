//! The repository keys that are watched, and of what sort each is.

use std::sync::Arc;

use serde::Deserialize;
use tracing::{debug, warn};
use url::Url;

use super::layout::Layout;
use crate::credential::CredentialProvider;
use crate::distribution::{DistributionClient, Links, Place, TransportConfig};
use crate::product::{ApiClient, Prefix};
use crate::{Error, ErrorKind, RegistryConfig, RepositoryKey, Result};

/// One repository key: a registry of its own.
#[derive(Debug)]
pub(super) struct Area {
    pub(super) key: RepositoryKey,
    /// What the names of its images begin with.
    pub(super) prefix: Prefix,
    pub(super) client: DistributionClient,
}

impl Area {
    pub(super) fn new(
        key: &RepositoryKey,
        layout: Layout,
        api: &Url,
        config: &RegistryConfig,
        credentials: Arc<dyn CredentialProvider>,
        transport: &TransportConfig,
    ) -> Result<Self> {
        let mut base = api.clone();
        base.set_path(&format!("{}/api/docker/{key}/v2/", api.path().trim_end_matches('/')));
        let (prefix, shown) = match layout {
            Layout::Path => (Prefix::of(key), format!("{}/{key}", config.host)),
            Layout::Subdomain | Layout::Port => (Prefix::default(), config.host.to_string()),
        };
        // A reverse proxy may write links to where docker comes in, which is not where we are.
        let place = Place { host: config.host.clone(), base, shown, links: Links::CursorOnly };
        let client = DistributionClient::at(place, credentials, transport)?;
        Ok(Self { key: key.clone(), prefix, client })
    }
}

/// What Artifactory says of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sort {
    /// It holds what was pushed to it; a federated one is the same with mirrors elsewhere.
    Local,
    /// It holds what was pulled through it.
    Remote,
    /// It shows what others hold.
    Virtual,
    /// Artifactory does not name it to this user.
    Unlisted,
}

impl Sort {
    /// Where the rows of `key` are found by a query.
    pub(super) fn stored_as(self, key: &RepositoryKey) -> String {
        match self {
            Self::Remote => format!("{key}-cache"),
            Self::Local | Self::Virtual | Self::Unlisted => key.to_string(),
        }
    }
}

/// Sorts the keys, by the list of repositories that the user may see.
pub(super) async fn sort(api: &ApiClient, areas: &[Area]) -> Result<Vec<Sort>> {
    #[derive(Deserialize)]
    struct Listed {
        key: String,
        #[serde(default)]
        r#type: String,
    }
    let listed = match api.get::<Vec<Listed>>(api.url("api/repositories", &[])).await {
        Ok((listed, _)) => listed,
        Err(error) if matches!(error.kind(), ErrorKind::Denied | ErrorKind::NotFound | ErrorKind::Unsupported) => {
            debug!(%error, "repositories not listed; all are taken for local ones");
            Vec::new()
        }
        Err(error) => return Err(error.during("list the repositories of Artifactory")),
    };
    let sort = |area: &Area| {
        let Some(found) = listed.iter().find(|listed| listed.key == area.key.as_str()) else {
            if !listed.is_empty() {
                warn!(key = %area.key, "Artifactory does not list this repository key to this user");
            }
            return Sort::Unlisted;
        };
        match found.r#type.to_ascii_uppercase().as_str() {
            "REMOTE" => Sort::Remote,
            "VIRTUAL" => Sort::Virtual,
            _ => Sort::Local,
        }
    };
    Ok(areas.iter().map(sort).collect())
}

/// The error for a key that lists nothing and is not shown.
pub(super) fn unknown(key: &RepositoryKey) -> Error {
    Error::new(
        ErrorKind::NotFound,
        format!("list the images of {key}: there are none, and Artifactory does not show it"),
    )
    .with_hint("is the repository key right, and may this user read it?")
}
