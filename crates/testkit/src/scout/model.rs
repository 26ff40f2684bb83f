//! What the stand-in knows.

use std::collections::{BTreeMap, BTreeSet};

/// A repository.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ScoutRepository {
    /// Its registry: `hub.docker.com` for Docker Hub.
    pub host: String,
    /// Its name.
    pub name: String,
    /// Whether its images are analysed.
    pub enabled: bool,
    /// The name of the integration that brought it, if one did.
    pub integration: Option<String>,
}

impl ScoutRepository {
    /// A repository whose images are not analysed yet.
    pub fn new(host: impl Into<String>, name: impl Into<String>) -> Self {
        Self { host: host.into(), name: name.into(), enabled: false, integration: None }
    }

    /// Its images are analysed.
    pub fn with_enabled(mut self) -> Self {
        self.enabled = true;
        self
    }

    /// An integration of this name brought it.
    pub fn with_integration(mut self, name: impl Into<String>) -> Self {
        self.integration = Some(name.into());
        self
    }
}

/// An image, as it was told of.
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct ScoutImage {
    /// Its digest.
    pub digest: String,
    /// Its repositories, each as `host/name`.
    pub repositories: BTreeSet<String>,
    /// Its tags.
    pub tags: Vec<ScoutTag>,
    /// Its platform, `os/architecture[/variant]`.
    pub platform: String,
    /// When it was made.
    pub created_at: Option<jiff::Timestamp>,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Its environment variables, in their order.
    pub environment: Vec<(String, String)>,
    /// The ports that it exposes.
    pub ports: Vec<String>,
    /// The commit that it was built from, by its label.
    pub revision: Option<String>,
    /// Its layers, lowest first.
    pub layers: Vec<ScoutLayer>,
    /// Its packages, by package URL.
    pub packages: Vec<ScoutPackage>,
    /// The states that its SBOM was said to have, the latest last: `INDEXING`, `INDEXED`, `INDEXING_FAILED`.
    pub states: Vec<String>,
    /// How many packages were announced.
    pub package_count: Option<i64>,
    /// The version of the SBOM's format.
    pub sbom_version: Option<String>,
    /// When it was indexed.
    pub indexed_at: Option<jiff::Timestamp>,
}

impl ScoutImage {
    /// The latest state of its SBOM.
    pub fn state(&self) -> Option<&str> {
        self.states.last().map(String::as_str)
    }
}

/// A tag.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct ScoutTag {
    /// Its repository, as `host/name`.
    pub repository: String,
    /// Its name.
    pub name: String,
    /// When it was moved.
    pub updated_at: jiff::Timestamp,
}

/// A layer.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct ScoutLayer {
    /// Index of its instruction.
    pub ordinal: i64,
    /// Digest of its blob.
    pub digest: String,
    /// Digest of its tar.
    pub diff_id: Option<String>,
    /// Bytes of its blob.
    pub size: i64,
    /// The instruction.
    pub created_by: String,
    /// When it was made.
    pub created_at: jiff::Timestamp,
}

/// A package.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ScoutPackage {
    /// Its package URL.
    pub purl: String,
    /// Its type.
    pub kind: String,
    /// Its namespace.
    pub namespace: Option<String>,
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Its author.
    pub author: Option<String>,
    /// Its licences.
    pub licenses: Vec<String>,
    /// What it is.
    pub description: Option<String>,
    /// Its home page.
    pub url: Option<String>,
    /// Bytes of its file.
    pub size: Option<i64>,
    /// The key that advisories for it have.
    pub advisory_url: String,
    /// The files that show it.
    pub files: Vec<ScoutPackageFile>,
}

/// A file that shows a package.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub struct ScoutPackageFile {
    /// Its path.
    pub path: String,
    /// The layer that it is in.
    pub digest: String,
}

/// A transaction as it came, and what became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ScoutTransaction {
    /// The team that it was sent to.
    pub team: String,
    /// The ID in its envelope and its header.
    pub correlation_id: String,
    /// The key that it is ordered by.
    pub ordering_key: String,
    /// Its entities, as text.
    pub entities: String,
    /// Why it was refused, if it was.
    pub refusal: Option<String>,
}

/// Everything that the stand-in knows.
#[derive(Debug, Default)]
pub(super) struct Model {
    pub(super) enrolled: bool,
    pub(super) enable_on_push: bool,
    pub(super) repositories: Vec<ScoutRepository>,
    pub(super) images: BTreeMap<String, ScoutImage>,
    /// Images that it was asked to index by itself, as `repository@digest`.
    pub(super) asked_to_index: Vec<String>,
    pub(super) transactions: Vec<ScoutTransaction>,
    /// Packages that each upload has told of, by its ID and the image's digest.
    pub(super) uploads: BTreeMap<(String, String), BTreeMap<String, ScoutPackage>>,
    /// Ordering keys of the transactions that are being answered.
    pub(super) in_flight: BTreeSet<String>,
}
