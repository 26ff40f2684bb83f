//! An image builder and an in-process container registry, for tests and for `supercargo demo`.
//!
//! - [`ImageBuilder`] and [`IndexBuilder`] make images in memory, byte for byte the same on every
//!   run. The result goes to an OCI layout ([`write_layout`]), to an archive
//!   ([`Image::docker_save`], [`oci_archive`]) or to a registry.
//! - [`contents`] makes what goes into layers: package databases, installed trees, binaries.
//! - [`HostScan`] makes images from the package databases and binaries of this machine.
//! - [`RegistryServer`] speaks the distribution protocol on a loopback port: paging, tokens,
//!   uploads, referrers, notifications. It keeps a log of its requests and fails on demand.
//! - [`ScoutServer`] stands in for Docker Scout's API: it checks and keeps what it is sent, and fails
//!   on demand.
//! - [`Client`] pushes images to any registry, and deletes them, as a client does.
//!
//! This crate depends on no other supercargo crate, so that a mistake in one of them is not
//! repeated in what it is tested with.
//!
//! # Examples
//!
//! ```
//! use supercargo_testkit::{ImageBuilder, Layer, RegistryServer, contents};
//!
//! # fn main() -> Result<(), supercargo_testkit::Error> {
//! # let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
//! # runtime.block_on(async {
//! let image = ImageBuilder::new()
//!     .with_layer(
//!         Layer::new().file("etc/os-release", contents::os_release("debian", "12")),
//!         "ADD rootfs.tar / # buildkit",
//!     )
//!     .build();
//!
//! let server = RegistryServer::start().await?;
//! server.push(&image, "team/app", "1.0");
//! assert_eq!(server.tags("team/app"), ["1.0"]);
//! assert_eq!(server.digest_of("team/app", "1.0").as_deref(), Some(image.digest()));
//! server.shutdown().await;
//! # Ok(())
//! # })
//! # }
//! ```

mod blob;
mod client;
pub mod contents;
mod error;
mod host;
mod http_client;
mod image;
mod registry;
mod scout;
mod wait;

pub use blob::{Blob, Descriptor, Platform, media_type, sha256};
pub use client::{Client, Credentials};
pub use error::{Error, ErrorKind, Result};
pub use host::{HostScan, NamedImage, sample_images};
pub use image::{
    Artifact, Compression, Defect, Entry, EntryKind, Format, Image, ImageBuilder, ImageLayer, Index, IndexBuilder,
    Layer, attestation, oci_archive, write_layout,
};
pub use registry::{Fault, Notification, RegistryServer, RegistryServerBuilder, RequestRecord};
pub use scout::{
    Edn, ScoutFault, ScoutImage, ScoutLayer, ScoutPackage, ScoutPackageFile, ScoutRepository, ScoutServer,
    ScoutServerBuilder, ScoutTag, ScoutTransaction,
};
pub use wait::wait_for;
