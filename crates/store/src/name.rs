//! Names that the whole crate shares.

use std::fmt;

use serde::{Deserialize, Serialize};
use supercargo_index::Digest;

/// A repository of a registry. The names are those of the registry client, already in their canonical form:
/// the store compares them byte by byte.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RepositoryName {
    /// The registry: `registry.example.com:5000`.
    pub registry: String,
    /// The repository in it: `team/app`.
    pub repository: String,
}

impl RepositoryName {
    /// `repository` of `registry`.
    pub fn new(registry: impl Into<String>, repository: impl Into<String>) -> Self {
        Self { registry: registry.into(), repository: repository.into() }
    }
}

impl fmt::Display for RepositoryName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.registry, self.repository)
    }
}

/// What names a manifest in a repository.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum TagOrDigest {
    /// A tag, which may point elsewhere tomorrow.
    Tag(String),
    /// A digest, which never does.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    Digest(Digest),
}

impl TagOrDigest {
    /// The tag, if it is one.
    pub fn tag(&self) -> Option<&str> {
        match self {
            Self::Tag(tag) => Some(tag),
            Self::Digest(_) => None,
        }
    }

    /// The digest, if it is one.
    pub fn digest(&self) -> Option<&Digest> {
        match self {
            Self::Tag(_) => None,
            Self::Digest(digest) => Some(digest),
        }
    }
}

/// As it follows a repository's name: `:tag` or `@digest`.
impl fmt::Display for TagOrDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tag(tag) => write!(f, ":{tag}"),
            Self::Digest(digest) => write!(f, "@{digest}"),
        }
    }
}

/// Why something failed, for a person to read and for a program to sort by.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Reason {
    /// A short stable word: `unauthorized`, `digest-mismatch`, `unsupported`, …
    pub kind: String,
    /// A sentence. It may quote a registry, so it is [cut](Reason::MESSAGE_LIMIT) when it is stored.
    pub message: String,
    /// Whether trying again may help.
    pub retryable: bool,
}

impl Reason {
    /// Bytes of a message that are kept. Registries have answered with whole HTML pages.
    pub const MESSAGE_LIMIT: usize = 4096;

    /// A reason for which trying again does not help.
    pub fn permanent(kind: impl Into<String>, message: impl Into<String>) -> Self {
        Self { kind: kind.into(), message: message.into(), retryable: false }
    }

    /// A reason that may pass by itself.
    pub fn transient(kind: impl Into<String>, message: impl Into<String>) -> Self {
        Self { kind: kind.into(), message: message.into(), retryable: true }
    }

    /// The same reason, short enough to be stored.
    pub(crate) fn cut(mut self) -> Self {
        if self.message.len() > Self::MESSAGE_LIMIT {
            self.message.truncate(self.message.floor_char_boundary(Self::MESSAGE_LIMIT));
            self.message.push('…');
        }
        self
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.kind, self.message)
    }
}
