//! The result: everything supercargo knows of one image.

use serde::{Deserialize, Serialize};

use crate::config::ImageConfig;
use crate::layer::Skipped;
use crate::package::{Distro, Evidence, Package};
use crate::vex::VexDocument;
use crate::{Attestation, BaseImage, Digest, LayerReading, Platform, Provenance, SourceLines};

/// Everything that is known of one image (one platform of it) or of one directory.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ImageMetadata {
    /// [`ImageMetadata::FORMAT`] of the build that wrote it.
    pub format: u32,
    /// The [indexer version](crate::Catalogers::version) that found the packages.
    pub indexer: String,
    /// What was indexed.
    pub source: Source,
    /// The distribution, if there is one.
    pub distro: Option<Distro>,
    /// Packages, each once: those that stand for themselves, then the source packages, then those that are
    /// [part of](ImagePackage::owner) another; each sorted by package URL.
    pub packages: Vec<ImagePackage>,
    /// Where the system's packages were installed from, by each file that says so.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub repositories: Vec<Repositories>,
    /// VEX documents that lie in the image, sorted by path.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub vex: Vec<ImageVex>,
    /// Files that were not read, with the reason.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub skipped: Vec<Skipped>,
}

impl ImageMetadata {
    /// Version of this type's serialised form.
    pub const FORMAT: u32 = 1;

    /// How many packages are there: neither source packages, nor those that are part of another, nor those that
    /// are only declared.
    pub fn package_count(&self) -> usize {
        self.packages.iter().filter(|package| package.counts()).count()
    }

    /// The image's details, if an image was indexed and not a directory.
    pub fn image(&self) -> Option<&ImageDetails> {
        match &self.source {
            Source::Image(image) => Some(image),
            Source::Directory { .. } => None,
        }
    }
}

/// What was indexed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum Source {
    /// An image.
    Image(Box<ImageDetails>),
    /// A directory or a file of the local file system.
    Directory {
        /// Its path, as it was given.
        path: String,
        /// Bytes of the regular files in it.
        size: u64,
    },
}

/// An image as its manifest and its configuration describe it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ImageDetails {
    /// Name without tag or digest: `registry.example.com/team/app`; empty if the source has none.
    pub name: String,
    /// Tags that led to the image.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// Digest of the platform's manifest, never of an index.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub digest: Digest,
    /// Media type of the manifest.
    pub media_type: String,
    /// Compressed bytes: configuration and layers, by the manifest.
    pub size: u64,
    /// The platform, from the configuration.
    pub platform: Platform,
    /// The manifest's bytes.
    #[serde(with = "crate::bytes_base64")]
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub raw_manifest: Vec<u8>,
    /// The configuration's bytes, [secrets](crate::Secrets) taken out.
    #[serde(with = "crate::bytes_base64")]
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub raw_config: Vec<u8>,
    /// Secrets were taken out of the configuration, so that `raw_config` has not its digest any more.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub redacted: bool,
    /// The configuration, parsed.
    pub config: ImageConfig,
    /// Layers, lowest first.
    pub layers: Vec<ImageLayer>,
    /// The image that it was built on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<BaseImage>,
    /// How it was built, by the word of its builder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provenance: Option<Provenance>,
    /// The statements that lie beside it, and what became of each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attestations: Vec<Attestation>,
}

/// A layer's place in an image.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ImageLayer {
    /// Digest of the blob.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub digest: Digest,
    /// Digest of the inflated tar, from the configuration.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub diff_id: Option<Digest>,
    /// Media type of the blob.
    pub media_type: String,
    /// Bytes of the blob.
    pub size: u64,
    /// Index of the instruction that made it among all of the configuration's history, the empty ones counted.
    /// `None` if the history does not fit the layers.
    pub ordinal: Option<u32>,
    /// That instruction, with the builder's decoration taken off.
    pub instruction: Option<String>,
    /// The lines of the Dockerfile that made it, by the image's provenance.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lines: Option<SourceLines>,
    /// How it was read: whole, unless it was asked for otherwise.
    #[serde(default, skip_serializing_if = "LayerReading::is_whole")]
    pub reading: LayerReading,
}

/// A package of an image, with the layer that brought it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ImagePackage {
    /// Its package URL, canonical, with the `distro` qualifier where the ecosystem wants one.
    pub purl: String,
    /// What its evidence says.
    #[serde(flatten)]
    pub package: Package,
    /// What its licences are, as one SPDX expression; see [`license_expression`](crate::license_expression).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub license: Option<String>,
    /// Package URL of its source package, which is an entry of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<String>,
    /// Package URL of the system package that owns all of its evidence files: `python3-requests` of Debian brings
    /// the Python package `requests`. Both are entries, and are one piece of software.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// Package URLs of the image's packages that it needs when it runs, sorted. Known of those whose evidence says
    /// it; what it needs and is not there is left out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub depends_on: Vec<String>,
    /// The evidence files, each with the layer that first brought the package there. Empty for a source package.
    pub locations: Vec<Location>,
    /// The catalogers that found it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub catalogers: Vec<String>,
}

impl ImagePackage {
    /// Whether it is a piece of software of its own that is there.
    pub fn counts(&self) -> bool {
        !self.locations.is_empty() && self.owner.is_none() && self.package.evidence != Evidence::Declared
    }
}

/// The repositories that one file of the image names: Red Hat's content sets, or dnf's history. They are those of the
/// packages that this layer and the ones below it brought.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Repositories {
    /// The file, with the layer that wrote it.
    pub location: Location,
    /// Repository IDs, in the order of the file: `rhel-9-for-x86_64-baseos-rpms`.
    pub ids: Vec<String>,
}

/// A VEX document in an image, bound to where it lies.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ImageVex {
    /// The file, with the layer that wrote it.
    pub location: Location,
    /// What it says.
    #[serde(flatten)]
    pub document: VexDocument,
}

/// A file in a layer.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Location {
    /// Path from the image's root, with the leading slash.
    pub path: String,
    /// The path within that file, if it is an archive that holds the evidence: `BOOT-INF/lib/quux.jar`; a colon
    /// before each further level.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub within: Option<String>,
    /// Index into [`ImageDetails::layers`]; `None` in a directory scan.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub layer: Option<u32>,
}
