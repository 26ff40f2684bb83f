//! Images for several platforms under one digest, and the attestations beside them.

use std::collections::BTreeMap;

use serde::Serialize;

use super::document::IndexDocument;
use super::{Artifact, Format, Image, ImageBuilder};
use crate::{Blob, Platform, media_type};

/// A built image index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Index {
    /// The index document.
    pub manifest: Blob,
    /// The images in their order, one per platform.
    pub images: Vec<Image>,
    /// The attestation manifests in their order.
    pub attestations: Vec<Image>,
}

impl Index {
    /// The digest of the index document.
    pub fn digest(&self) -> &str {
        self.manifest.digest()
    }

    fn children(&self) -> impl Iterator<Item = &Image> {
        self.images.iter().chain(&self.attestations)
    }
}

impl Artifact for Index {
    fn manifests(&self) -> Vec<&Blob> {
        self.children().map(|image| &image.manifest).chain([&self.manifest]).collect()
    }

    fn blobs(&self) -> Vec<&Blob> {
        self.children().flat_map(Artifact::blobs).collect()
    }

    fn root(&self) -> &Blob {
        &self.manifest
    }
}

/// Builds an [`Index`].
///
/// # Examples
///
/// ```
/// use supercargo_testkit::{ImageBuilder, IndexBuilder, Layer, attestation};
///
/// let image = |platform: &str| {
///     ImageBuilder::new().with_platform(platform).with_layer(Layer::new().file("arch", platform.to_owned()), "COPY").build()
/// };
/// let amd64 = image("linux/amd64");
/// let provenance = attestation(&amd64, "https://slsa.dev/provenance/v1", &serde_json::json!({ "buildType": "test" }));
/// let index = IndexBuilder::new()
///     .with_image(amd64)
///     .with_image(image("linux/arm64/v8"))
///     .with_attestation(provenance)
///     .build();
/// assert_eq!((index.images.len(), index.attestations.len()), (2, 1));
/// ```
#[derive(Debug, Clone, Default)]
pub struct IndexBuilder {
    format: Format,
    images: Vec<Image>,
    attestations: Vec<Image>,
    annotations: BTreeMap<String, String>,
}

impl IndexBuilder {
    /// An OCI index without images.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets whose media type is used.
    pub fn with_format(mut self, format: Format) -> Self {
        self.format = format;
        self
    }

    /// Adds an image under its own platform.
    pub fn with_image(mut self, image: Image) -> Self {
        self.images.push(image);
        self
    }

    /// Adds an attestation manifest, made by [`attestation`].
    pub fn with_attestation(mut self, attestation: Image) -> Self {
        self.attestations.push(attestation);
        self
    }

    /// Adds an annotation to the index.
    pub fn with_annotation(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.annotations.insert(name.into(), value.into());
        self
    }

    /// Builds the index.
    pub fn build(self) -> Index {
        let media_type = match self.format {
            Format::Oci => media_type::OCI_INDEX,
            Format::Docker => media_type::DOCKER_LIST,
        };
        let children = self.images.iter().chain(&self.attestations);
        let manifest = Blob::json(
            media_type,
            &IndexDocument {
                schema_version: 2,
                media_type,
                manifests: children.map(|image| image.manifest.descriptor.clone()).collect(),
                annotations: &self.annotations,
            },
        );
        Index { manifest, images: self.images, attestations: self.attestations }
    }
}

/// An attestation manifest for `subject` as BuildKit stores it beside the image in the index: the
/// platform `unknown/unknown`, two annotations, and one in-toto statement as its layer
/// (moby/buildkit `docs/attestations/attestation-storage.md`).
pub fn attestation(subject: &Image, predicate_type: &str, predicate: &serde_json::Value) -> Image {
    let hex = subject.digest().trim_start_matches("sha256:");
    let mut statement = Blob::json(
        media_type::IN_TOTO,
        &Statement {
            kind: "https://in-toto.io/Statement/v0.1",
            predicate_type,
            subject: [StatementSubject { name: "_", digest: BTreeMap::from([("sha256", hex)]) }],
            predicate,
        },
    );
    statement.descriptor.annotations.insert("in-toto.io/predicate-type".into(), predicate_type.into());

    let mut image = ImageBuilder::new().with_platform("unknown/unknown").with_blob(statement).build();
    let descriptor = &mut image.manifest.descriptor;
    descriptor.platform = Some(Platform::new("unknown/unknown"));
    descriptor.annotations.insert("vnd.docker.reference.type".into(), "attestation-manifest".into());
    descriptor.annotations.insert("vnd.docker.reference.digest".into(), subject.digest().into());
    image
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Statement<'a> {
    #[serde(rename = "_type")]
    kind: &'a str,
    predicate_type: &'a str,
    subject: [StatementSubject<'a>; 1],
    predicate: &'a serde_json::Value,
}

#[derive(Serialize)]
struct StatementSubject<'a> {
    name: &'a str,
    digest: BTreeMap<&'a str, &'a str>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Layer;
    use serde_json::{Value, json};

    #[test]
    fn children_come_before_the_index_that_names_them() {
        let image = ImageBuilder::new().with_layer(Layer::new().file("a", "b"), "COPY a /").build();
        let proof = attestation(&image, "https://spdx.dev/Document", &json!({}));
        let index = IndexBuilder::new().with_image(image.clone()).with_attestation(proof).build();

        let document: Value = serde_json::from_slice(&index.manifest.bytes).unwrap();
        assert_eq!(document["manifests"][0]["digest"], image.digest());
        assert_eq!(document["manifests"][0]["platform"]["architecture"], "amd64");
        assert_eq!(document["manifests"][1]["platform"]["os"], "unknown");
        assert_eq!(document["manifests"][1]["annotations"]["vnd.docker.reference.digest"], image.digest());
        assert_eq!(index.manifests().last().map(|blob| blob.digest()), Some(index.digest()));
    }
}
