//! Container image to metadata, in one streaming pass.
//!
//! An image is a manifest, a configuration and some compressed tars. [`Indexer`] reads each tar once, as it
//! arrives, hashes it, inflates it, walks it, and lets [`Cataloger`]s look at the few files that say which
//! packages are there. Nothing is unpacked, nothing is written to disk, and no layer is held in memory.
//! What the layers say is then squashed into one [`ImageMetadata`]: the packages that a container would see,
//! each with the layer and the instruction that brought it.
//!
//! The crate knows nothing of HTTP, registries or databases: bytes come from an [`ImageSource`].

mod attestation;
mod base_image;
mod budget;
mod bytes_base64;
mod cache;
mod capture;
mod cataloger;
mod catalogers;
mod config;
mod directory;
mod encode;
mod entries;
mod error;
mod indexer;
mod inflate;
mod layer;
mod layout;
mod lazy;
mod lenient;
mod license;
mod limits;
mod metadata;
mod package;
mod paths;
mod platform;
mod provenance;
mod purl;
mod read_layer;
mod redact;
mod source;
mod squash;
mod tar;
mod tee;
mod upgrade;
pub mod version;
pub mod vex;

pub use attestation::{Attestation, AttestationDocument, AttestationStatus, ClaimedPackages, reads_predicate};
pub use base_image::{BaseEvidence, BaseImage, chain_ids};
pub use cache::{LayerCache, LayerKey, MemoryLayerCache};
pub use capture::Captures;
pub use cataloger::{Cataloger, CatalogerVersion, Catalogers, Contents, File, Findings, Interest, Problem};
pub use config::{History, ImageConfig, RootFs, RunConfig};
pub use encode::{cyclonedx, scout, spdx};
pub use entries::{Entries, Entry, EntryKind};
pub use error::{Error, ErrorKind, Result};
pub use indexer::{Indexer, Progress, ProgressFn};
pub use layer::{DiffIds, FileFindings, LayerIndex, LayerReading, Skipped};
pub use layout::OciLayout;
pub use lazy::LazyLayers;
pub use license::{license_expression, license_identifiers};
pub use limits::Limits;
pub use metadata::{ImageDetails, ImageLayer, ImageMetadata, ImagePackage, ImageVex, Location, Repositories, Source};
pub use oci_spec::image::{Descriptor, Digest, ImageManifest};
pub use package::{Distro, Evidence, Package, Requirement, SourcePackage, Supplement};
pub use platform::Platform;
pub use provenance::{Material, Provenance, ProvenanceMode, SourceLines};
pub use read_layer::read_layer;
pub use redact::Secrets;
pub use source::{ImageSource, LayerBlob, ManifestDocument};
pub use squash::{VisibleEntry, VisibleKind, visible_entries};
