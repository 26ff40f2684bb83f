//! From layers and settings to an image.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::broken::{self, Defect};
use super::document::{ConfigDocument, HistoryDocument, ManifestDocument, RootfsDocument, RunDocument};
use super::layer::Packed;
use super::{Artifact, Layer};
use crate::{Blob, Descriptor, Platform, media_type, sha256};

/// When every image of the kit was made, unless it says otherwise.
const CREATED: &str = "2024-01-01T00:00:00Z";

/// Whose media types an image uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// Those of the OCI image specification.
    #[default]
    Oci,
    /// Those of Docker's manifest schema 2.
    Docker,
}

/// A layer of a built image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageLayer {
    /// The blob as a registry holds it.
    pub blob: Blob,
    /// The digest of the plain tar, as the configuration states it.
    pub diff_id: String,
    /// The plain tar.
    pub tar: Bytes,
}

/// A built image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// The manifest. Its descriptor carries the platform.
    pub manifest: Blob,
    /// The configuration.
    pub config: Blob,
    /// The layers, bottom first.
    pub layers: Vec<ImageLayer>,
}

impl Image {
    /// The digest of the manifest.
    pub fn digest(&self) -> &str {
        self.manifest.digest()
    }

    /// The digest of the blob of layer `index`, counted from 0.
    ///
    /// # Panics
    ///
    /// If the image has no such layer.
    pub fn layer_digest(&self, index: usize) -> &str {
        self.layers[index].blob.digest()
    }
}

impl Artifact for Image {
    fn manifests(&self) -> Vec<&Blob> {
        vec![&self.manifest]
    }

    fn blobs(&self) -> Vec<&Blob> {
        std::iter::once(&self.config).chain(self.layers.iter().map(|layer| &layer.blob)).collect()
    }

    fn root(&self) -> &Blob {
        &self.manifest
    }
}

#[derive(Debug, Clone)]
enum Part {
    Layer(Layer),
    Blob(Blob),
}

/// Builds an [`Image`], the same bytes for the same calls.
///
/// A builder can be cloned half way: two images that share their lower layers are made so.
///
/// # Examples
///
/// ```
/// use supercargo_testkit::{ImageBuilder, Layer};
///
/// let base = ImageBuilder::new().with_layer(Layer::new().file("a", "1"), "COPY a /");
/// let first = base.clone().build();
/// let second = base.with_env("MODE", "test").with_layer(Layer::new().file("b", "2"), "COPY b /").build();
/// assert_eq!(first.layer_digest(0), second.layer_digest(0));
/// assert_ne!(first.digest(), second.digest());
/// ```
#[derive(Debug, Clone)]
pub struct ImageBuilder {
    format: Format,
    platform: Platform,
    created: String,
    parts: Vec<Part>,
    history: Vec<HistoryDocument>,
    keeps_history: bool,
    run: RunDocument,
    annotations: BTreeMap<String, String>,
    artifact_type: Option<String>,
    subject: Option<Descriptor>,
    defects: Vec<Defect>,
}

impl Default for ImageBuilder {
    fn default() -> Self {
        Self {
            format: Format::Oci,
            platform: Platform::default(),
            created: CREATED.into(),
            parts: Vec::new(),
            history: Vec::new(),
            keeps_history: true,
            run: RunDocument::default(),
            annotations: BTreeMap::new(),
            artifact_type: None,
            subject: None,
            defects: Vec::new(),
        }
    }
}

impl ImageBuilder {
    /// An OCI image for `linux/amd64` without layers.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets whose media types are used.
    pub fn with_format(mut self, format: Format) -> Self {
        self.format = format;
        self
    }

    /// Sets the platform, in its short form `os/architecture[/variant]`.
    pub fn with_platform(mut self, platform: &str) -> Self {
        self.platform = Platform::new(platform);
        self
    }

    /// Sets the time of creation (RFC 3339).
    pub fn with_created(mut self, created: impl Into<String>) -> Self {
        self.created = created.into();
        self
    }

    /// Adds a layer and the instruction that made it.
    pub fn with_layer(mut self, layer: Layer, instruction: impl Into<String>) -> Self {
        self.parts.push(Part::Layer(layer));
        self.push_history(instruction, LayerMade::Yes);
        self
    }

    /// Adds a layer that is no tar, such as an attestation; its diff ID is its digest and no instruction made it.
    pub fn with_blob(mut self, blob: Blob) -> Self {
        self.parts.push(Part::Blob(blob));
        self
    }

    /// Adds an instruction that made no layer, such as `ENV` or `CMD`.
    pub fn with_empty_layer(mut self, instruction: impl Into<String>) -> Self {
        self.push_history(instruction, LayerMade::No);
        self
    }

    /// Leaves the history out of the configuration, as some builders do.
    pub fn without_history(mut self) -> Self {
        self.keeps_history = false;
        self
    }

    /// Adds an environment variable.
    pub fn with_env(mut self, name: &str, value: &str) -> Self {
        self.run.env.push(format!("{name}={value}"));
        self
    }

    /// Adds a label.
    pub fn with_label(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.run.labels.insert(name.into(), value.into());
        self
    }

    /// Sets the user.
    pub fn with_user(mut self, user: impl Into<String>) -> Self {
        self.run.user = Some(user.into());
        self
    }

    /// Sets the working directory.
    pub fn with_working_directory(mut self, path: impl Into<String>) -> Self {
        self.run.working_dir = Some(path.into());
        self
    }

    /// Sets the entry point.
    pub fn with_entrypoint<const N: usize>(mut self, words: [&str; N]) -> Self {
        self.run.entrypoint = words.map(str::to_owned).into();
        self
    }

    /// Sets the command.
    pub fn with_command<const N: usize>(mut self, words: [&str; N]) -> Self {
        self.run.cmd = words.map(str::to_owned).into();
        self
    }

    /// Adds an annotation to the manifest.
    pub fn with_annotation(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.annotations.insert(name.into(), value.into());
        self
    }

    /// Makes the manifest a referrer of `subject`.
    pub fn with_subject(mut self, subject: &Blob) -> Self {
        // A subject is named by these three alone (image-spec `manifest.md`).
        self.subject = Some(Descriptor {
            platform: None,
            artifact_type: None,
            annotations: BTreeMap::new(),
            ..subject.descriptor.clone()
        });
        self
    }

    /// Makes the manifest an artifact of this type, with the empty configuration.
    pub fn with_artifact_type(mut self, artifact_type: impl Into<String>) -> Self {
        self.artifact_type = Some(artifact_type.into());
        self
    }

    /// Makes the image wrong in one way.
    pub fn with_defect(mut self, defect: Defect) -> Self {
        self.defects.push(defect);
        self
    }

    /// Builds the image.
    pub fn build(&self) -> Image {
        let layers: Vec<ImageLayer> =
            self.parts.iter().enumerate().map(|(index, part)| self.build_layer(index, part)).collect();
        let config = self.build_config(&layers);
        let media_type = match self.format {
            Format::Oci => media_type::OCI_MANIFEST,
            Format::Docker => media_type::DOCKER_MANIFEST,
        };
        let mut manifest = Blob::json(
            media_type,
            &ManifestDocument {
                schema_version: 2,
                media_type,
                artifact_type: self.artifact_type.as_deref(),
                config: &config.descriptor,
                layers: layers.iter().map(|layer| &layer.blob.descriptor).collect(),
                subject: self.subject.as_ref(),
                annotations: &self.annotations,
            },
        );
        manifest.descriptor.platform = Some(self.platform.clone());
        Image { manifest, config, layers }
    }

    fn build_layer(&self, index: usize, part: &Part) -> ImageLayer {
        let layer = match part {
            Part::Layer(layer) => layer,
            Part::Blob(blob) => {
                return ImageLayer { blob: blob.clone(), diff_id: sha256(&blob.bytes), tar: blob.bytes.clone() };
            }
        };
        let compression = layer.compression();
        let media_type = match self.format {
            Format::Oci => format!("{}{}", media_type::OCI_LAYER, compression.oci_suffix()),
            Format::Docker => format!("{}{}", media_type::DOCKER_LAYER, compression.docker_suffix()),
        };
        let Packed { bytes, tar, annotations } = compression.pack(&layer.tar());
        let mut blob = Blob::new(media_type, bytes);
        blob.descriptor.annotations = annotations;
        let mut diff_id = sha256(&tar);
        for defect in &self.defects {
            broken::spoil(&mut blob, index, *defect);
            if *defect == Defect::WrongDiffId(index) {
                diff_id = broken::foreign_digest(index);
            }
        }
        ImageLayer { blob, diff_id, tar }
    }

    fn build_config(&self, layers: &[ImageLayer]) -> Blob {
        if self.artifact_type.is_some() {
            return Blob::new(media_type::OCI_EMPTY, "{}");
        }
        let media_type = match self.format {
            Format::Oci => media_type::OCI_CONFIG,
            Format::Docker => media_type::DOCKER_CONFIG,
        };
        if self.defects.contains(&Defect::BadConfig) {
            return Blob::new(media_type, "{\"architecture\": ");
        }
        let document = ConfigDocument {
            created: &self.created,
            platform: &self.platform,
            config: &self.run,
            rootfs: RootfsDocument {
                kind: "layers",
                diff_ids: layers.iter().map(|layer| layer.diff_id.as_str()).collect(),
            },
            history: if self.keeps_history { &self.history } else { &[] },
        };
        Blob::json(media_type, &document)
    }

    fn push_history(&mut self, instruction: impl Into<String>, made: LayerMade) {
        self.history.push(HistoryDocument {
            created: self.created.clone(),
            created_by: instruction.into(),
            comment: Some("buildkit.dockerfile.v0".into()),
            empty_layer: matches!(made, LayerMade::No),
        });
    }
}

#[derive(Debug, Clone, Copy)]
enum LayerMade {
    Yes,
    No,
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    fn sample() -> ImageBuilder {
        ImageBuilder::new()
            .with_layer(Layer::new().file("etc/hostname", "box\n"), "ADD rootfs.tar / # buildkit")
            .with_empty_layer("ENV MODE=test")
            .with_layer(Layer::new().file("app", "one"), "COPY app /app # buildkit")
            .with_env("MODE", "test")
            .with_label("b", "2")
            .with_label("a", "1")
    }

    #[test]
    fn the_same_calls_give_the_same_bytes() {
        assert_eq!(sample().build(), sample().build());
        assert_ne!(sample().build().digest(), sample().with_env("X", "y").build().digest());
    }

    #[test]
    fn documents_have_the_shape_of_the_specification() {
        let image = sample().with_platform("linux/arm64/v8").build();
        let manifest: Value = serde_json::from_slice(&image.manifest.bytes).unwrap();
        assert_eq!(manifest["schemaVersion"], 2);
        assert_eq!(manifest["mediaType"], media_type::OCI_MANIFEST);
        assert_eq!(manifest["config"]["digest"], image.config.digest());
        assert_eq!(manifest["layers"][1]["digest"], image.layer_digest(1));
        assert_eq!(manifest["layers"][0]["size"], image.layers[0].blob.bytes.len());

        let config: Value = serde_json::from_slice(&image.config.bytes).unwrap();
        assert_eq!(config["architecture"], "arm64");
        assert_eq!(config["variant"], "v8");
        assert_eq!(config["config"]["Env"][0], "MODE=test");
        assert_eq!(config["rootfs"]["diff_ids"][0], sha256(&image.layers[0].tar));
        assert_eq!(config["history"].as_array().unwrap().len(), 3);
        assert_eq!(config["history"][1]["empty_layer"], true);
        assert_eq!(config["history"][0].get("empty_layer"), None);
    }

    #[test]
    fn docker_images_use_docker_media_types() {
        let image = sample().with_format(Format::Docker).build();
        assert_eq!(image.manifest.descriptor.media_type, media_type::DOCKER_MANIFEST);
        assert_eq!(image.layers[0].blob.descriptor.media_type, "application/vnd.docker.image.rootfs.diff.tar.gzip");
    }

    #[test]
    fn each_defect_breaks_what_it_names() {
        let whole = sample().build();
        let check = |defect: Defect| sample().with_defect(defect).build().layers[1].clone();
        let good = &whole.layers[1];

        let layer = check(Defect::TruncatedLayer(1));
        assert!(layer.blob.bytes.len() < good.blob.bytes.len());
        assert_eq!(layer.blob.descriptor, good.blob.descriptor);

        let layer = check(Defect::CorruptedLayer(1));
        assert_eq!(layer.blob.bytes.len(), good.blob.bytes.len());
        assert_ne!(sha256(&layer.blob.bytes), layer.blob.digest());

        let layer = check(Defect::WrongDigest(1));
        assert_eq!(layer.blob.bytes, good.blob.bytes);
        assert_ne!(layer.blob.digest(), good.blob.digest());

        assert_ne!(check(Defect::WrongDiffId(1)).diff_id, good.diff_id);
        assert_eq!(check(Defect::WrongSize(1)).blob.descriptor.size, good.blob.descriptor.size + 1);
        assert_eq!(check(Defect::TruncatedLayer(0)), *good);
    }
}
