//! The inventory: registries, repositories, tags, images, packages.

use jiff::Timestamp;
use serde::Serialize;
use supercargo_index::{Digest, Distro, Evidence, ImageMetadata, Platform};

use crate::job::JobId;
use crate::name::{Reason, RepositoryName};

/// A registry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RegistryState {
    /// Its name.
    pub name: String,
    /// When it was first heard of.
    pub first_seen: Timestamp,
    /// When it last answered.
    pub last_reached: Option<Timestamp>,
    /// When a reconcile pass last went through.
    pub last_reconciled: Option<Timestamp>,
    /// When an event of it last came in.
    pub last_event: Option<Timestamp>,
    /// Since when it is away, and why.
    pub away: Option<Away>,
    /// Repositories that are there.
    pub repositories: u64,
}

/// A registry that does not answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Away {
    /// The first failure in a row.
    pub since: Timestamp,
    /// The last failure.
    pub last_tried: Timestamp,
    /// Why the last one failed.
    pub reason: Reason,
}

/// A repository.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RepositoryState {
    /// Its name.
    #[serde(flatten)]
    pub name: RepositoryName,
    /// When it was first seen.
    pub first_seen: Timestamp,
    /// When it was last seen.
    pub last_seen: Timestamp,
    /// When the registry said that it is gone.
    pub gone_at: Option<Timestamp>,
    /// Tags that are there.
    pub tags: u64,
}

/// A tag and what it points at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TagState {
    /// The repository.
    #[serde(flatten)]
    pub repository: RepositoryName,
    /// The tag.
    pub tag: String,
    /// An image's manifest, or an index.
    pub digest: Digest,
    /// When the tag was first seen.
    pub first_seen: Timestamp,
    /// When the tag was last seen; see [`Change::TagSeen`](crate::Change::TagSeen).
    pub last_seen: Timestamp,
    /// When the tag was seen to point here first.
    pub moved_at: Timestamp,
    /// When it was pushed, if the registry says so.
    pub pushed_at: Option<Timestamp>,
    /// When the registry said that it is gone.
    pub gone_at: Option<Timestamp>,
}

/// A manifest of a repository.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ManifestState {
    /// The repository.
    #[serde(flatten)]
    pub repository: RepositoryName,
    /// Its digest.
    pub digest: Digest,
    /// Its media type, once it was read.
    pub media_type: Option<String>,
    /// Its bytes, once it was read.
    pub size: Option<u64>,
    /// When it was first seen.
    pub first_seen: Timestamp,
    /// When the registry said that it is gone.
    pub gone_at: Option<Timestamp>,
    /// The images that it lists, if it is an index.
    pub images: Vec<Digest>,
}

/// Whether to list what is gone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Presence {
    /// What a tag leads to.
    Tagged,
    /// What is there, tagged or not.
    #[default]
    Present,
    /// What is there or was.
    Any,
}

/// Which repositories and tags to list; empty for all that are there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PlaceFilter {
    /// Only those of this registry.
    pub registry: Option<String>,
    /// Only those of this repository of it.
    pub repository: Option<String>,
    /// Whether to list what is gone; [`Presence::Tagged`] and [`Presence::Present`] are the same here.
    pub presence: Presence,
}

impl PlaceFilter {
    /// All that is there in `repository`.
    pub fn repository(repository: &RepositoryName) -> Self {
        Self {
            registry: Some(repository.registry.clone()),
            repository: Some(repository.repository.clone()),
            presence: Presence::Present,
        }
    }
}

/// A known image that another one was built on.
#[derive(Clone, Debug, PartialEq)]
pub struct KnownBase {
    /// The image.
    pub image: ImageSummary,
    /// How many layers they share: all that it has.
    pub layers: u32,
}

/// Which images to list; empty for all that are there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ImageFilter {
    /// Only those of this registry.
    pub registry: Option<String>,
    /// Only those of the repository of this name.
    pub repository: Option<String>,
    /// Only what this tag leads to.
    pub tag: Option<String>,
    /// Only those of this platform, `os/architecture`, with or without the variant.
    pub platform: Option<Platform>,
    /// Only those with this layer.
    pub layer: Option<Digest>,
    /// Whether to list what is gone.
    pub presence: Presence,
}

/// How one comes to an image: a tag on it, or on an index that lists it; or a repository that has it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Place {
    /// The repository.
    #[serde(flatten)]
    pub repository: RepositoryName,
    /// The tag; `None` if the repository has the image and no tag of it leads there.
    pub tag: Option<String>,
}

/// An image in a list.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ImageSummary {
    /// Digest of its manifest.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub digest: Digest,
    /// Its platform.
    pub platform: Platform,
    /// Compressed bytes.
    pub size: u64,
    /// When it was made, as its configuration says (RFC 3339, as written).
    pub created: Option<String>,
    /// Its distribution.
    pub distro: Option<Distro>,
    /// Packages in it.
    pub packages: u64,
    /// Layers in it.
    pub layers: u64,
    /// The indexer version that read it.
    pub indexer: String,
    /// When it was first indexed.
    pub first_indexed: Timestamp,
    /// When it was last indexed.
    pub last_indexed: Timestamp,
    /// Where it is now, sorted.
    pub places: Vec<Place>,
    /// When the last repository that had it said that it is gone.
    pub gone_at: Option<Timestamp>,
}

/// An image, whole.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct StoredImage {
    /// Its line in a list.
    #[serde(flatten)]
    pub summary: ImageSummary,
    /// The document, as it was indexed.
    pub metadata: ImageMetadata,
}

/// How a name is compared. Case does not count (ASCII).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NameMatch {
    /// The whole name.
    Exact(String),
    /// The name begins with this.
    Prefix(String),
    /// The name has this in it. Reads every package name there is.
    Contains(String),
}

/// Which packages to look for; empty for all. What is given must all hold.
///
/// Versions are the caller's: each ecosystem orders them in its own way.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PackageQuery {
    /// Package URL type.
    pub kind: Option<String>,
    /// Package URL namespace, in full. Case does not count.
    pub namespace: Option<String>,
    /// The name, as the ecosystem or as the package URL spells it.
    pub name: Option<NameMatch>,
    /// The whole version, as written.
    pub version: Option<String>,
    /// One of its declared licences has this in it. Case does not count.
    pub license: Option<String>,
    /// The path of one of its evidence files has this in it.
    pub path: Option<String>,
    /// Only packages of this image.
    pub image: Option<Digest>,
    /// Only in images that are there, tagged, or ever were.
    pub presence: Presence,
}

/// A package in an image.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PackageMatch {
    /// Its package URL.
    pub purl: String,
    /// Package URL type.
    #[serde(rename = "type")]
    pub kind: String,
    /// Package URL namespace.
    pub namespace: Option<String>,
    /// Its name, as the ecosystem spells it.
    pub name: String,
    /// Its version; empty when it is not known.
    pub version: String,
    /// Its declared licences.
    pub licenses: Vec<String>,
    /// Whether it is there or only named by a lock file.
    pub evidence: Evidence,
    /// The image.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub image: Digest,
    /// The image's platform.
    pub platform: Platform,
    /// Where the image is now, sorted.
    pub places: Vec<Place>,
    /// Its evidence files, each with the layer that brought it. Empty for source packages.
    pub locations: Vec<PackageLocation>,
}

/// An evidence file of a package.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PackageLocation {
    /// Path from the image's root, with the leading slash.
    pub path: String,
    /// The layer that first brought the package there.
    pub layer: Option<PackageLayer>,
}

/// The layer that brought a package.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PackageLayer {
    /// Its index among the image's layers, lowest first.
    pub index: u32,
    /// Digest of the blob.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub digest: Digest,
    /// Index of the instruction that made it, the empty ones counted.
    pub ordinal: Option<u32>,
    /// That instruction.
    pub instruction: Option<String>,
}

/// How something that went wrong stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum ProblemState {
    /// It failed and is tried again.
    Retrying,
    /// It failed and is not tried again by itself.
    Failed,
    /// It is of a sort that is not indexed.
    Unsupported,
}

impl ProblemState {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Retrying => "retrying",
            Self::Failed => "failed",
            Self::Unsupported => "unsupported",
        }
    }
}

/// Something that went wrong, with the reason: a job that failed, or a manifest that could not be indexed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Problem {
    /// How it stands.
    pub state: ProblemState,
    /// Where.
    #[serde(flatten)]
    pub repository: RepositoryName,
    /// The tag it was about, or one that leads to the manifest.
    pub tag: Option<String>,
    /// The manifest it was about, if that was known.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub digest: Option<Digest>,
    /// Why.
    pub reason: Reason,
    /// Attempts so far.
    pub attempt: u32,
    /// When it is tried again.
    pub next_try: Option<Timestamp>,
    /// When it last failed.
    pub at: Timestamp,
    /// The job, for a [`retry`](crate::Store::retry).
    pub job: Option<JobId>,
}

/// Which problems to list; empty for all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProblemFilter {
    /// Only those of this registry.
    pub registry: Option<String>,
    /// Only those of the repository of this name.
    pub repository: Option<String>,
    /// Only those in this state.
    pub state: Option<ProblemState>,
}
