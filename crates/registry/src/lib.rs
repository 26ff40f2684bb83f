//! Container registries behind one trait.
//!
//! A [`Registry`] lists repositories and tags, resolves references, and hands out manifests and blobs, verified.
//! Adapters: [`OciRegistry`] for anything that speaks the distribution protocol, [`LayoutRegistry`] and
//! [`ArchiveRegistry`] for images in files, [`MemoryRegistry`] for tests; behind the features of their names
//! `EcrRegistry`, `AcrRegistry`, `ArtifactoryRegistry`, `HarborRegistry` and `NexusRegistry`. [`RegistryExt`] adds what all of them
//! can do, such as the way from a reference to the images behind it, ready for `supercargo_index`.
//!
//! ```
//! use futures_util::TryStreamExt;
//! use supercargo_registry::{MemoryRegistry, Registry, RegistryExt, Repository};
//!
//! # let runtime = tokio::runtime::Builder::new_current_thread().build()?;
//! # runtime.block_on(async {
//! let registry = MemoryRegistry::new("registry.test");
//! let repository: Repository = "team/app".parse()?;
//! let digest = registry.push_image(&repository, "v1", &[b"a layer".as_slice()])?;
//!
//! let tags: Vec<_> = registry.tags(&repository).try_collect().await?;
//! assert_eq!(tags[0].name.as_str(), "v1");
//!
//! let set = registry.images(&repository, &"v1".parse()?).await?;
//! assert_eq!(set.images[0].descriptor.digest(), &digest);
//! # Ok::<(), supercargo_registry::Error>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! To write an adapter: implement [`Registry`], then run the [conformance suite](conformance) against it;
//! docs/custom-registry.md does so from scratch.

mod acr;
mod archive;
mod artifactory;
mod attestation;
mod blob;
mod config;
pub mod conformance;
mod credential;
mod diagnosis;
mod digest;
mod distribution;
mod document;
mod ecr;
mod error;
mod ext;
mod harbor;
mod image;
mod image_set;
mod layout;
mod local;
pub mod media_type;
mod memory;
mod name;
mod nexus;
mod oci;
#[cfg(any(feature = "artifactory", feature = "harbor", feature = "nexus"))]
mod product;
mod registry;
mod secret;

#[cfg(feature = "acr")]
pub use acr::{AcrManifest, AcrOptions, AcrRegistry, AcrRegistryBuilder, AzureIdentity, EntraTokens};
pub use archive::{ArchiveBlobs, ArchiveRegistry};
#[cfg(feature = "artifactory")]
pub use artifactory::ArtifactoryRegistry;
/// The SDK's credentials, which `EcrRegistryBuilder` takes.
#[cfg(feature = "ecr")]
pub use aws_credential_types;
pub use blob::Blob;
pub use config::{Filter, RegistryConfig, RegistryKind, build, parse_registry};
pub use credential::{Credential, CredentialChain, CredentialProvider, DockerConfig, ProductCredentials};
pub use diagnosis::{Check, Diagnosis, Finding, Outcome, Subject, diagnose};
pub use distribution::{
    ClientIdentity, Deadlines, Destinations, DistributionClient, NoProxy, Outbound, OutboundConfig, Quota, Resolver,
    Retry, SignIn, SystemResolver, TransportConfig, retry_after,
};
pub use document::receive_manifest;
#[cfg(feature = "ecr")]
pub use ecr::{EcrOptions, EcrRegistry, EcrRegistryBuilder};
pub use error::{Error, ErrorKind, Problem, Result};
pub use ext::RegistryExt;
#[cfg(feature = "harbor")]
pub use harbor::HarborRegistry;
pub use image::RegistryImage;
pub use image_set::{Attestation, ImageSet, PlatformImage, Unsupported};
pub use layout::{LayoutBlobs, LayoutRegistry};
pub use local::{BlobFiles, LocalRegistry, SeekRead};
pub use memory::MemoryRegistry;
pub use name::{RegistryHost, Repository, RepositoryKey, TagName, Target, split_reference};
#[cfg(feature = "nexus")]
pub use nexus::NexusRegistry;
pub use oci::OciRegistry;
pub use oci_spec::distribution::Reference;
pub use oci_spec::image::{Descriptor, Digest};
pub use registry::{Capabilities, Listing, Referrer, Registry, Tag};
pub use secret::Secret;
/// The indexer that images are handed to; whoever talks of both needs the same version.
pub use supercargo_index as index;
pub use supercargo_index::ManifestDocument;
