//! An image from its source to its metadata: layers side by side, then squashed.

mod layers;
mod statements;

use std::sync::Arc;

use crate::budget::Budget;
use crate::cache::LayerCache;
use crate::config::ImageConfig;
use crate::inflate::digest_like;
use crate::read_layer::Context;
use crate::squash::{self, SquashLayer};
use crate::{
    BaseImage, Catalogers, DiffIds, Error, ErrorKind, ImageDetails, ImageLayer, ImageManifest, ImageMetadata,
    ImageSource, LayerIndex, LazyLayers, Limits, ManifestDocument, Platform, Result, Secrets, Source,
};
use crate::{base_image, redact};

/// Indexes images.
///
/// Cheap to clone; clones share the catalogers, the cache and the memory budget. With a cache, a layer that several
/// images have is read once even if they are indexed at the same time.
///
/// # Examples
///
/// ```no_run
/// # async fn example(source: &dyn supercargo_index::ImageSource) -> supercargo_index::Result<()> {
/// use supercargo_index::Indexer;
///
/// let metadata = Indexer::new().index(source).await?;
/// for package in &metadata.packages {
///     println!("{}", package.purl);
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Indexer {
    catalogers: Catalogers,
    limits: Limits,
    cache: Option<Arc<dyn LayerCache>>,
    progress: Option<ProgressFn>,
    layers_at_once: usize,
    diff_ids: DiffIds,
    lazy_layers: LazyLayers,
    secrets: Secrets,
    budget: Budget,
    turns: Arc<layers::Turns>,
}

/// An image's configuration, secrets taken out if they are to be.
struct Config {
    parsed: ImageConfig,
    raw: Vec<u8>,
    redacted: bool,
}

/// Told of progress, from any thread and often: return at once.
pub type ProgressFn = Arc<dyn Fn(Progress) + Send + Sync>;

/// How far an image is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Progress {
    /// The manifest is known: this many layers, this many stored bytes.
    Begun {
        /// Layers.
        layers: usize,
        /// Stored bytes of all of them.
        bytes: u64,
    },
    /// This many more stored bytes were read.
    Read {
        /// Bytes since the last call.
        bytes: u64,
    },
    /// A layer was read in parts.
    Spared {
        /// Stored bytes that were not read.
        bytes: u64,
    },
    /// A layer that has a table of contents is read whole all the same.
    NotInParts {
        /// Why: `most of it is needed`.
        reason: &'static str,
    },
    /// A layer came from the cache, as it was or brought up to date.
    Cached {
        /// Stored bytes that need not be read.
        bytes: u64,
    },
}

impl Default for Indexer {
    fn default() -> Self {
        Self::new()
    }
}

impl Indexer {
    /// An indexer with all catalogers of this crate, the default limits and no cache.
    pub fn new() -> Self {
        let limits = Limits::default();
        Self {
            catalogers: Catalogers::all(),
            budget: Budget::new(limits.buffered),
            limits,
            cache: None,
            progress: None,
            turns: Arc::default(),
            diff_ids: DiffIds::default(),
            lazy_layers: LazyLayers::default(),
            secrets: Secrets::default(),
            layers_at_once: std::thread::available_parallelism().map_or(2, std::num::NonZero::get),
        }
    }

    /// With these catalogers instead.
    #[must_use]
    pub fn with_catalogers(mut self, catalogers: Catalogers) -> Self {
        self.catalogers = catalogers;
        self
    }

    /// With these limits instead.
    #[must_use]
    pub fn with_limits(mut self, limits: Limits) -> Self {
        self.budget = Budget::new(limits.buffered);
        self.limits = limits;
        self
    }

    /// With a cache of layers. What it keeps of a layer includes [captures](crate::Captures), so that a layer need not be
    /// read again when a cataloger changes.
    #[must_use]
    pub fn with_cache(mut self, cache: Arc<dyn LayerCache>) -> Self {
        self.cache = Some(cache);
        self
    }

    /// Reports progress to `progress`.
    #[must_use]
    pub fn with_progress(mut self, progress: impl Fn(Progress) + Send + Sync + 'static) -> Self {
        self.progress = Some(Arc::new(progress));
        self
    }

    /// Reads up to this many layers of an image at one time, each on a thread of its own; the machine's number of
    /// processors unless set. At least one.
    #[must_use]
    pub fn with_layers_at_once(mut self, layers: usize) -> Self {
        self.layers_at_once = layers.max(1);
        self
    }

    /// Verifies diff IDs, or takes them as claimed; verifies them unless told.
    #[must_use]
    pub fn with_diff_ids(mut self, diff_ids: DiffIds) -> Self {
        self.diff_ids = diff_ids;
        self
    }

    /// Reads layers that carry a table of contents in parts, or all layers whole; whole unless told.
    #[must_use]
    pub fn with_lazy_layers(mut self, lazy_layers: LazyLayers) -> Self {
        self.lazy_layers = lazy_layers;
        self
    }

    /// Takes secrets out of the images' configurations, or keeps them; takes them out unless told.
    #[must_use]
    pub fn with_secrets(mut self, secrets: Secrets) -> Self {
        self.secrets = secrets;
        self
    }

    /// The indexer version: results of another version may differ. See [`Catalogers::version`].
    pub fn version(&self) -> &str {
        self.catalogers.version()
    }

    /// Indexes one image.
    ///
    /// Layers are read on threads of their own, fed from here; nothing is left running when the future is dropped.
    ///
    /// # Errors
    ///
    /// Those of the source, and those of [`read_layer`](crate::read_layer()).
    pub async fn index(&self, source: &dyn ImageSource) -> Result<ImageMetadata> {
        let document = source.manifest().await?;
        let manifest = self.manifest(&document)?;
        let raw_config = source.config(manifest.config()).await?;
        verify(manifest.config().digest(), &raw_config, "the configuration")?;
        if raw_config.len() as u64 > self.limits.document_size {
            return Err(Error::new(ErrorKind::LimitExceeded, "read the configuration: over document_size"));
        }
        let config = self.config(&raw_config)?;
        let layers = layers::read(self, source, manifest.layers()).await?;
        check_diff_ids(&config.parsed, &layers)?;
        let squash_layers: Vec<_> = layers.iter().map(SquashLayer::from).collect();
        let squashed = squash::squash(&squash_layers, &self.catalogers);
        let mut details = details(source, document, &manifest, config, &layers);
        statements::read(source, &mut details, &squashed.packages, self).await;
        details.base = base(&details, &manifest);
        Ok(ImageMetadata {
            format: ImageMetadata::FORMAT,
            indexer: self.version().to_owned(),
            source: Source::Image(Box::new(details)),
            distro: squashed.distro,
            packages: squashed.packages,
            repositories: squashed.repositories,
            vex: squashed.vex,
            skipped: squashed.skipped,
        })
    }

    fn manifest(&self, document: &ManifestDocument) -> Result<ImageManifest> {
        if document.bytes.len() as u64 > self.limits.document_size {
            return Err(Error::new(ErrorKind::LimitExceeded, "read the manifest: over document_size"));
        }
        verify(&document.digest, &document.bytes, "the manifest")?;
        let manifest: ImageManifest = serde_json::from_slice(&document.bytes)
            .map_err(|error| Error::new(ErrorKind::Malformed, "parse the manifest").with_source(error))?;
        if manifest.layers().len() > self.limits.layers {
            let message = format!("read the manifest: {} layers are over the limit (layers)", manifest.layers().len());
            return Err(Error::new(ErrorKind::LimitExceeded, message));
        }
        Ok(manifest)
    }

    fn config(&self, raw: &[u8]) -> Result<Config> {
        let malformed = |error| Error::new(ErrorKind::Malformed, "parse the configuration").with_source(error);
        if self.secrets == Secrets::Redacted {
            let mut value = serde_json::from_slice(raw).map_err(malformed)?;
            if redact::redact(&mut value) {
                let raw = serde_json::to_vec(&value).map_err(malformed)?;
                let parsed = serde_json::from_value(value).map_err(malformed)?;
                return Ok(Config { parsed, raw, redacted: true });
            }
        }
        Ok(Config { parsed: serde_json::from_slice(raw).map_err(malformed)?, raw: raw.to_vec(), redacted: false })
    }

    /// What the reading of a file or a layer needs of this.
    pub(crate) fn context(&self) -> Context<'_> {
        Context {
            catalogers: &self.catalogers,
            limits: &self.limits,
            budget: &self.budget,
            diff_ids: self.diff_ids,
            captures: self.cache.is_some(),
        }
    }

    fn report(&self, progress: Progress) {
        if let Some(report) = &self.progress {
            report(progress);
        }
    }
}

impl std::fmt::Debug for Indexer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Indexer")
            .field("catalogers", &self.catalogers)
            .field("limits", &self.limits)
            .field("cache", &self.cache.is_some())
            .field("layers_at_once", &self.layers_at_once)
            .field("diff_ids", &self.diff_ids)
            .field("lazy_layers", &self.lazy_layers)
            .field("secrets", &self.secrets)
            .finish_non_exhaustive()
    }
}

fn verify(digest: &crate::Digest, bytes: &[u8], what: &str) -> Result<()> {
    match digest_like(digest, bytes) {
        Some(found) if found == *digest => Ok(()),
        Some(found) => {
            let message = format!("read {what}: asked for {digest}, got bytes with the digest {found}");
            Err(Error::new(ErrorKind::DigestMismatch, message))
        }
        None => {
            let message = format!("read {what}: the digest algorithm {} is not known", digest.algorithm());
            Err(Error::new(ErrorKind::Unsupported, message))
        }
    }
}

/// Runtimes refuse an image whose layers are not those that its configuration names; so do we, or another image's
/// layers could be claimed by their diff IDs.
fn check_diff_ids(config: &ImageConfig, layers: &[LayerIndex]) -> Result<()> {
    let claimed = &config.rootfs.diff_ids;
    if claimed.len() != layers.len() {
        let message =
            format!("match the layers: the manifest has {}, the configuration {}", layers.len(), claimed.len());
        return Err(Error::new(ErrorKind::Malformed, message));
    }
    for (claimed, layer) in claimed.iter().zip(layers) {
        if let Some(found) = &layer.diff_id
            && found != claimed
        {
            let message = format!(
                "match layer {}: the configuration names the diff ID {claimed}, the layer has {found}",
                layer.digest
            );
            return Err(Error::new(ErrorKind::DigestMismatch, message));
        }
    }
    Ok(())
}

fn details(
    source: &dyn ImageSource,
    document: ManifestDocument,
    manifest: &ImageManifest,
    config: Config,
    indexes: &[LayerIndex],
) -> ImageDetails {
    let Config { parsed: config, raw: raw_config, redacted } = config;
    let instructions = squash::instructions(&config, indexes.len());
    let claimed = &config.rootfs.diff_ids;
    let layers = manifest
        .layers()
        .iter()
        .zip(indexes)
        .enumerate()
        .map(|(number, (descriptor, index))| {
            let instruction = instructions.get(number);
            ImageLayer {
                digest: descriptor.digest().clone(),
                diff_id: index.diff_id.as_ref().or(claimed.get(number)).cloned(),
                media_type: descriptor.media_type().to_string(),
                size: descriptor.size(),
                ordinal: instruction.map(|instruction| instruction.ordinal),
                instruction: instruction.and_then(|instruction| instruction.text.clone()),
                lines: None,
                reading: index.reading.clone(),
            }
        })
        .collect();
    ImageDetails {
        name: source.name(),
        tags: source.tags(),
        digest: document.digest,
        media_type: document.media_type,
        // Layers have the sizes that are claimed, or they would have been refused; a configuration may lie.
        size: manifest.layers().iter().map(crate::Descriptor::size).fold(manifest.config().size(), u64::saturating_add),
        platform: Platform {
            os: config.os.clone(),
            architecture: config.architecture.clone(),
            variant: config.variant.clone(),
            os_version: config.os_version.clone(),
        },
        raw_manifest: document.bytes.to_vec(),
        raw_config,
        redacted,
        config,
        layers,
        base: None,
        provenance: None,
        attestations: Vec::new(),
    }
}

/// The base image by the best evidence that the image itself gives.
fn base(details: &ImageDetails, manifest: &ImageManifest) -> Option<BaseImage> {
    let by_provenance = details.provenance.as_ref().and_then(base_image::by_provenance);
    by_provenance.or_else(|| base_image::by_annotation(manifest.annotations().as_ref(), &details.config))
}
