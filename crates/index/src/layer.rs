//! What one layer holds: the names of its entries, and what the catalogers found in them.

use serde::{Deserialize, Serialize};

use crate::package::{Distro, Package, Supplement};
use crate::vex::VexDocument;
use crate::{Captures, CatalogerVersion, Digest, Entries};

/// One layer, read once. A pure function of the layer's bytes, the indexer version and the [reading](Self::reading), so
/// it can be kept for ever under that key and be shared by all images that have the layer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LayerIndex {
    /// [`LayerIndex::FORMAT`] of the build that wrote it.
    pub format: u32,
    /// Digest of the blob as it was fetched, verified unless it was read [in parts](Self::reading).
    pub digest: Digest,
    /// Digest of the inflated tar, as it was read; `None` if it was left as it is [claimed](DiffIds::Claimed), or the
    /// layer was read in parts.
    pub diff_id: Option<Digest>,
    /// Bytes of the blob.
    pub size: u64,
    /// Bytes of the inflated tar; of its files alone, if it was read in parts.
    pub inflated_size: u64,
    /// How it was read.
    #[serde(default, skip_serializing_if = "LayerReading::is_whole")]
    pub reading: LayerReading,
    /// Every entry: names, types and link targets, no contents.
    pub entries: Entries,
    /// What the catalogers found, in the order of the tar.
    pub findings: Vec<FileFindings>,
    /// Files that a cataloger wanted and that were not read, with the reason.
    pub skipped: Vec<Skipped>,
    /// The catalogers that read it, in their order.
    #[serde(default)]
    pub catalogers: Vec<CatalogerVersion>,
    /// What is kept of the contents, so that other catalogers can take over: only if there is a cache to keep it, and
    /// not in the results of [`LayerCache::get`](crate::LayerCache::get) that leave it out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub captures: Option<Captures>,
}

impl LayerIndex {
    /// Version of this type's serialised form. A cache entry of another format is a miss.
    pub const FORMAT: u32 = 2;
}

/// How a layer was read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub enum LayerReading {
    /// From its first byte to its last, its digest verified.
    #[default]
    Whole,
    /// In parts, by a table of contents that the manifest vouches for; see [`LazyLayers`](crate::LazyLayers).
    ByContents {
        /// Digest of the table, from the manifest, verified.
        #[cfg_attr(feature = "openapi", schema(value_type = String))]
        table: Digest,
    },
}

impl LayerReading {
    /// Whether all of it was read and verified.
    pub fn is_whole(&self) -> bool {
        *self == Self::Whole
    }
}

/// What is done about diff IDs, the digests of the inflated layers that an image's configuration claims.
///
/// The digest of each blob is verified always, so the bytes are those that the manifest names. The diff ID is
/// a second name for the same bytes. A runtime refuses to unpack an image where the two do not fit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum DiffIds {
    /// Computed, and an image whose claims do not fit is refused. Costs one more SHA-256 over the inflated bytes:
    /// a third of the time where layers are compressed with zstd. For results that are kept and compared with
    /// those of other images, as a search for base images does.
    #[default]
    Verified,
    /// Taken from the configuration. For a look at one image.
    Claimed,
}

/// What one cataloger found in one file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FileFindings {
    /// The file's path from the image's root, without the leading slash.
    pub path: String,
    /// The cataloger's name.
    pub cataloger: String,
    /// The file was recognised by its leading bytes only. It counts if, in the squashed image, one of the
    /// cataloger's well-known paths leads to it through links.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub by_content: bool,
    /// Packages that the file is evidence of.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub packages: Vec<Package>,
    /// Facts about packages that other files bring.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub supplements: Vec<Supplement>,
    /// The distribution, from an os-release file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub distro: Option<Distro>,
    /// IDs of the repositories that packages of the system were installed from.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub repositories: Vec<String>,
    /// What the file says of vulnerabilities.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub vex: Vec<VexDocument>,
}

/// A file that a cataloger wanted and that was not read to its end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Skipped {
    /// The file's path from the image's root.
    pub path: String,
    /// The cataloger's name.
    pub cataloger: String,
    /// Why, for a person to read.
    pub reason: String,
}
