//! One platform's image as the indexer takes it.

use std::io;
use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::{BoxStream, StreamExt as _, TryStreamExt as _};
use oci_spec::image::Descriptor;
use supercargo_index::{AttestationDocument, ImageSource, LayerBlob, ManifestDocument};
use tokio::sync::OnceCell;

use crate::attestation::{self, Place};
use crate::document::{self, Document};
use crate::image_set::PlatformImage;
use crate::registry::Registry;
use crate::{Error, ErrorKind, Repository, TagName, Target};

/// Bytes of an image's configuration. The largest seen carry a few hundred KiB of history.
const CONFIG_SIZE: u64 = 16 << 20;

/// An image in a registry, ready for `supercargo_index`.
///
/// Made by [`RegistryExt::image`](crate::RegistryExt::image). The manifest is fetched once, when it is asked for.
#[derive(Debug)]
pub struct RegistryImage<R: ?Sized> {
    registry: Arc<R>,
    repository: Repository,
    descriptor: Descriptor,
    tags: Vec<TagName>,
    attestations: Vec<Descriptor>,
    manifest: OnceCell<ManifestDocument>,
}

impl<R: Registry + ?Sized> RegistryImage<R> {
    /// The image that `image` describes.
    pub fn new(registry: Arc<R>, image: PlatformImage) -> Self {
        Self {
            registry,
            repository: image.repository,
            descriptor: image.descriptor,
            tags: Vec::new(),
            attestations: image.attestations,
            manifest: OnceCell::new_with(image.manifest),
        }
    }

    /// The same image with the tags that led to it, for the result.
    #[must_use]
    pub fn with_tags(mut self, tags: impl IntoIterator<Item = TagName>) -> Self {
        self.tags = tags.into_iter().collect();
        self
    }

    /// The same image with these attestation manifests about it, too.
    #[must_use]
    pub fn with_attestations(mut self, attestations: impl IntoIterator<Item = Descriptor>) -> Self {
        self.attestations.extend(attestations);
        self
    }

    async fn fetch_manifest(&self) -> Result<ManifestDocument, Error> {
        let manifest = self
            .manifest
            .get_or_try_init(|| async {
                let target = Target::Digest(self.descriptor.digest().clone());
                self.registry.manifest(&self.repository, &target).await
            })
            .await?;
        match document::read(manifest)? {
            Document::Image(_) => Ok(manifest.clone()),
            Document::Index(_) => Err(Error::new(ErrorKind::Unsupported, "an index where an image was expected")),
            Document::Unsupported(reason) => Err(Error::new(ErrorKind::Unsupported, reason)),
        }
    }

    async fn fetch_config(&self, descriptor: &Descriptor) -> Result<Bytes, Error> {
        if let Some(inline) = inline_data(descriptor) {
            return Ok(inline);
        }
        self.registry.blob(&self.repository, descriptor, 0).await?.into_bytes(CONFIG_SIZE).await
    }
}

#[async_trait]
impl<R: Registry + ?Sized> ImageSource for RegistryImage<R> {
    fn name(&self) -> String {
        format!("{}/{}", self.registry.host(), self.repository)
    }

    fn tags(&self) -> Vec<String> {
        self.tags.iter().map(TagName::to_string).collect()
    }

    async fn manifest(&self) -> supercargo_index::Result<ManifestDocument> {
        self.fetch_manifest()
            .await
            .map_err(|error| for_indexer(format!("read manifest {}", self.descriptor.digest()), error))
    }

    async fn config(&self, descriptor: &Descriptor) -> supercargo_index::Result<Bytes> {
        self.fetch_config(descriptor)
            .await
            .map_err(|error| for_indexer(format!("read configuration {}", descriptor.digest()), error))
    }

    async fn attestations(&self) -> supercargo_index::Result<Vec<AttestationDocument>> {
        let place = Place { registry: &*self.registry, repository: &self.repository };
        Ok(attestation::documents(place, self.descriptor.digest(), &self.attestations).await)
    }

    async fn open_layer(&self, descriptor: &Descriptor) -> supercargo_index::Result<LayerBlob> {
        match self.registry.blob(&self.repository, descriptor, 0).await {
            Ok(blob) => Ok(blob.into_layer()),
            Err(error) => Err(for_indexer(format!("open layer {}", descriptor.digest()), error)),
        }
    }

    fn serves_ranges(&self) -> bool {
        !self.registry.capabilities().local
    }

    async fn open_range(
        &self,
        descriptor: &Descriptor,
        range: Range<u64>,
    ) -> supercargo_index::Result<Option<BoxStream<'static, io::Result<Bytes>>>> {
        match self.registry.blob_range(&self.repository, descriptor, range).await {
            Ok(stream) => Ok(stream.map(|stream| stream.map_err(io::Error::other).boxed())),
            Err(error) => Err(for_indexer(format!("open a range of layer {}", descriptor.digest()), error)),
        }
    }
}

/// Content that the descriptor carries itself (image-spec `descriptor.md`, *embedded content*), if it is what
/// the digest names; anything else is as good as absent.
fn inline_data(descriptor: &Descriptor) -> Option<Bytes> {
    use base64::Engine as _;
    let data = descriptor.data().as_ref()?;
    let bytes = base64::engine::general_purpose::STANDARD.decode(data).ok()?;
    let matches = bytes.len() as u64 == descriptor.size() && crate::digest::verify(descriptor.digest(), &bytes).is_ok();
    matches.then(|| bytes.into())
}

/// The indexer's error, with this one as its cause.
fn for_indexer(message: String, error: Error) -> supercargo_index::Error {
    use supercargo_index::ErrorKind as Kind;
    let kind = match error.kind() {
        ErrorKind::Unsupported => Kind::Unsupported,
        ErrorKind::DigestMismatch => Kind::DigestMismatch,
        ErrorKind::Malformed => Kind::Malformed,
        ErrorKind::LimitExceeded => Kind::LimitExceeded,
        _ => return supercargo_index::Error::from_source(message, error.is_retryable(), error),
    };
    supercargo_index::Error::new(kind, message).with_source(error)
}
