//! The test kit's images as sources, and a runtime to index them on.

use std::io::Cursor;
use std::sync::Mutex;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::StreamExt as _;
use supercargo_index::{
    Descriptor, Error, ErrorKind, ImageMetadata, ImageSource, Indexer, LayerBlob, ManifestDocument, Result,
};
use supercargo_testkit::{Image, Layer};

use crate::archive::digest;

/// An image of the kit, and which of its layers were opened.
pub(crate) struct KitSource {
    image: Image,
    streamed: bool,
    /// Bytes that stand in for the image's own manifest.
    manifest: Option<Bytes>,
    pub(crate) opened: Mutex<Vec<String>>,
}

impl KitSource {
    pub(crate) fn new(image: Image) -> Self {
        Self { image, streamed: false, manifest: None, opened: Mutex::default() }
    }

    /// Hands layers over in small pieces, as a network would.
    pub(crate) fn streamed(image: Image) -> Self {
        Self { streamed: true, ..Self::new(image) }
    }

    /// Gives these bytes as the manifest.
    pub(crate) fn with_manifest(self, manifest: impl Into<Bytes>) -> Self {
        Self { manifest: Some(manifest.into()), ..self }
    }
}

#[async_trait]
impl ImageSource for KitSource {
    fn name(&self) -> String {
        "registry.example.com/team/app".into()
    }

    async fn manifest(&self) -> Result<ManifestDocument> {
        let manifest = &self.image.manifest;
        if let Some(bytes) = &self.manifest {
            let (digest, bytes) = (digest(bytes), bytes.clone());
            return Ok(ManifestDocument { digest, media_type: manifest.descriptor.media_type.clone(), bytes });
        }
        Ok(ManifestDocument {
            digest: manifest.digest().parse().expect("the kit's digests are digests"),
            media_type: manifest.descriptor.media_type.clone(),
            bytes: manifest.bytes.clone(),
        })
    }

    async fn config(&self, _: &Descriptor) -> Result<Bytes> {
        Ok(self.image.config.bytes.clone())
    }

    async fn open_layer(&self, descriptor: &Descriptor) -> Result<LayerBlob> {
        let digest = descriptor.digest().to_string();
        let layer = self.image.layers.iter().find(|layer| layer.blob.digest() == digest);
        let bytes = layer.ok_or_else(|| Error::new(ErrorKind::Source, "find the layer"))?.blob.bytes.clone();
        self.opened.lock().expect("not poisoned").push(digest);
        Ok(if self.streamed {
            let pieces: Vec<_> = bytes.chunks(7).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
            LayerBlob::Stream(futures_util::stream::iter(pieces).boxed())
        } else {
            LayerBlob::Reader(Box::new(Cursor::new(bytes)))
        })
    }
}

/// Indexes with the defaults.
pub(crate) fn index(image: Image) -> Result<ImageMetadata> {
    run(Indexer::new().index(&KitSource::new(image)))
}

/// Waits for a future. Any executor will do: the indexer needs none of its own.
pub(crate) fn run<F: Future>(future: F) -> F::Output {
    futures_executor::block_on(future)
}

/// `name version @layer` for each package of `kind`.
pub(crate) fn packages(metadata: &ImageMetadata, kind: &str) -> Vec<String> {
    metadata
        .packages
        .iter()
        .filter(|package| package.package.kind == kind && !package.locations.is_empty())
        .map(|package| {
            let layers: Vec<_> = package
                .locations
                .iter()
                .map(|location| location.layer.map_or("-".to_owned(), |layer| layer.to_string()))
                .collect();
            format!("{} {} @{}", package.package.name, package.package.version, layers.join(","))
        })
        .collect()
}

/// A layer with a dpkg database of these `name version` packages.
pub(crate) fn dpkg(packages: &[(&str, &str)]) -> Layer {
    Layer::new().file("var/lib/dpkg/status", dpkg_status(packages))
}

/// A dpkg database of these `name version` packages.
pub(crate) fn dpkg_status(packages: &[(&str, &str)]) -> String {
    let packages: Vec<_> =
        packages.iter().map(|(name, version)| supercargo_testkit::contents::Package::new(*name, *version)).collect();
    supercargo_testkit::contents::dpkg_status(&packages)
}
