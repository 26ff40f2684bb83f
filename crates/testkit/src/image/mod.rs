//! Images in memory.

mod archive;
mod broken;
mod builder;
mod document;
mod index;
mod layer;
mod layout;
mod seekable;

pub use archive::oci_archive;
pub use broken::Defect;
pub(crate) use broken::{corrupted, truncated};
pub use builder::{Format, Image, ImageBuilder, ImageLayer};
pub use index::{Index, IndexBuilder, attestation};
pub use layer::{Compression, Entry, EntryKind, Layer};
pub use layout::write_layout;

use crate::Blob;

/// Something that a registry holds under a tag: an [`Image`] or an [`Index`] of them.
pub trait Artifact: Sync {
    /// Every manifest, children before the parents that name them; the last one is the root.
    fn manifests(&self) -> Vec<&Blob>;

    /// Every configuration and layer; the same blob may come more than once.
    fn blobs(&self) -> Vec<&Blob>;

    /// The manifest or index that a tag points to.
    fn root(&self) -> &Blob;
}
