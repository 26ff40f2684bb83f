//! What the bytes of a manifest say, read strictly: two readers must never see two images in one document.

use bytes::Bytes;
use oci_spec::image::{Digest, ImageIndex, ImageManifest};
use serde::Deserialize;
use serde::de::IgnoredAny;
use supercargo_index::ManifestDocument;

use crate::media_type::{self, essence};
use crate::{Error, ErrorKind, Result, digest};

/// A manifest, sorted.
pub(crate) enum Document {
    Index(Box<ImageIndex>),
    Image(Box<ImageManifest>),
    /// Not an image, and why.
    Unsupported(String),
}

/// The members by which a document's sort is told.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Shape {
    schema_version: Option<u32>,
    media_type: Option<String>,
    manifests: Option<IgnoredAny>,
    layers: Option<IgnoredAny>,
    config: Option<IgnoredAny>,
    fs_layers: Option<IgnoredAny>,
}

/// A manifest from the bytes that an adapter received: verified against the digest that was asked for, with the media
/// type of the header or, where that says nothing, of the document.
///
/// # Errors
/// [`DigestMismatch`](ErrorKind::DigestMismatch); [`Malformed`](ErrorKind::Malformed) if the bytes are no manifest, or
/// header and document name different media types.
pub fn receive_manifest(
    bytes: Bytes,
    content_type: Option<&str>,
    expected: Option<&Digest>,
) -> Result<ManifestDocument> {
    receive(bytes, content_type, expected, None)
}

/// Puts a received manifest together: its digest computed and held against what was asked for and what the
/// registry claims, its media type from the header or, where that says nothing, from the document.
///
/// # Errors
/// `DigestMismatch`, or `Malformed` where header and document name different media types
/// (image-spec `manifest.md` warns of such documents; GHSA-qq97-vm5h-rrhg).
pub(crate) fn receive(
    bytes: Bytes,
    content_type: Option<&str>,
    expected: Option<&Digest>,
    claimed: Option<&Digest>,
) -> Result<ManifestDocument> {
    for wanted in [expected, claimed].into_iter().flatten() {
        digest::verify(wanted, &bytes)?;
    }
    let shape = shape(&bytes)?;
    let header = content_type.map(essence).filter(|header| media_type::is_manifest(header));
    let media_type = match (&shape.media_type, header) {
        (Some(body), Some(header)) if *body != header => {
            return Err(Error::new(
                ErrorKind::Malformed,
                format!(
                    "read a manifest: its mediaType {:?} is not the Content-Type {header:?}",
                    crate::secret::printable(body, 120)
                ),
            ));
        }
        (Some(body), _) => body.clone(),
        (None, Some(header)) => header,
        (None, None) => shape.guess().to_owned(),
    };
    let digest = expected.or(claimed).cloned().unwrap_or_else(|| digest::sha256(&bytes));
    Ok(ManifestDocument { digest, media_type, bytes })
}

/// Reads a manifest's members.
pub(crate) fn read(document: &ManifestDocument) -> Result<Document> {
    let shape = shape(&document.bytes)?;
    if media_type::is_schema1(&document.media_type) || shape.schema_version == Some(1) || shape.fs_layers.is_some() {
        return Ok(Document::Unsupported(
            "a manifest of schema 1, which registries no longer accept; push the image again".to_owned(),
        ));
    }
    if shape.manifests.is_some() && (shape.layers.is_some() || shape.config.is_some()) {
        // CVE-2021-41190: what a reader sees would depend on the media type it was told.
        return Err(malformed("it has the members of an image and of an index"));
    }
    let bytes = &document.bytes;
    if media_type::is_index(&document.media_type) {
        let index = serde_json::from_slice(bytes).map_err(|error| malformed("as an index").with_source(error))?;
        return Ok(Document::Index(Box::new(index)));
    }
    if !media_type::is_image_manifest(&document.media_type) {
        return Ok(Document::Unsupported(describe(&document.media_type)));
    }
    let manifest: ImageManifest =
        serde_json::from_slice(bytes).map_err(|error| malformed("as an image manifest").with_source(error))?;
    if let Some(reason) = artefact(&manifest) {
        return Ok(Document::Unsupported(reason));
    }
    Ok(Document::Image(Box::new(manifest)))
}

/// Why a manifest in the form of an image is none; `None` for an image.
fn artefact(manifest: &ImageManifest) -> Option<String> {
    if let Some(artifact_type) = manifest.artifact_type() {
        return Some(describe(artifact_type.as_ref()));
    }
    let config = manifest.config().media_type().as_ref();
    if !media_type::is_image_config(config) {
        return Some(describe(config));
    }
    // cosign writes an image configuration over layers that are not archives.
    let layers = manifest.layers();
    if let Some(layer) = layers.first().filter(|_| layers.iter().all(|layer| !is_layer(layer.media_type().as_ref()))) {
        return Some(describe(layer.media_type().as_ref()));
    }
    None
}

/// Layers that are archives, of whatever compression: which of them can be read is the indexer's word.
fn is_layer(media_type: &str) -> bool {
    media_type.starts_with("application/vnd.oci.image.layer.")
        || media_type.starts_with("application/vnd.docker.image.rootfs.")
        || media_type.starts_with("application/vnd.docker.container.image.rootfs.")
        || media_type.contains("tar")
}

/// An artefact's sort, for a person to read.
pub(crate) fn describe(media_type: &str) -> String {
    let shown = crate::secret::printable(media_type, 120);
    match media_type::artefact_name(media_type) {
        Some(name) => format!("{name} ({shown}), not an image"),
        None => format!("an artefact of type {shown}, not an image"),
    }
}

impl Shape {
    fn guess(&self) -> &'static str {
        if self.schema_version == Some(1) || self.fs_layers.is_some() {
            "application/vnd.docker.distribution.manifest.v1+json"
        } else if self.manifests.is_some() {
            media_type::OCI_INDEX
        } else if self.config.is_some() || self.layers.is_some() {
            media_type::OCI_MANIFEST
        } else {
            "application/octet-stream"
        }
    }
}

fn shape(bytes: &[u8]) -> Result<Shape> {
    serde_json::from_slice(bytes)
        .map_err(|error| malformed("it is not a JSON object of the expected form").with_source(error))
}

fn malformed(what: &str) -> Error {
    Error::new(ErrorKind::Malformed, format!("read a manifest: {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEX: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    fn image(members: &str) -> String {
        format!(
            r#"{{"schemaVersion":2{members},"config":{{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"{HEX}","size":0}},"layers":[]}}"#
        )
    }

    fn sort(json: String, content_type: Option<&str>) -> Result<Document> {
        read(&receive(Bytes::from(json), content_type, None, None)?)
    }

    #[test]
    fn sorts_of_documents() {
        assert!(matches!(sort(image(""), None), Ok(Document::Image(_))));
        assert!(matches!(sort(image(""), Some("application/json")), Ok(Document::Image(_))));
        assert!(matches!(
            sort(
                r#"{"schemaVersion":2,"manifests":[]}"#.to_owned(),
                Some("application/vnd.oci.image.index.v1+json; charset=utf-8")
            ),
            Ok(Document::Index(_))
        ));
        let reason = |document| match document {
            Ok(Document::Unsupported(reason)) => reason,
            Ok(_) => panic!("taken for an image"),
            Err(error) => panic!("{error}"),
        };
        assert!(reason(sort(r#"{"schemaVersion":1,"fsLayers":[]}"#.into(), None)).contains("schema 1"));
        assert!(
            reason(sort(image(r#","artifactType":"application/vnd.wasm.config.v0+json""#), None))
                .contains("WebAssembly")
        );
        assert!(
            reason(sort(image("").replace("vnd.oci.image.config.v1", "vnd.cncf.helm.config.v1"), None))
                .contains("Helm")
        );
        assert!(reason(sort("{}".into(), None)).contains("octet-stream"));
    }

    #[test]
    fn ambiguous_documents_are_refused() {
        let both = image(r#","manifests":[]"#);
        assert_eq!(sort(both, None).err().unwrap().kind(), ErrorKind::Malformed);
        let lying = image(r#","mediaType":"application/vnd.oci.image.index.v1+json""#);
        assert_eq!(sort(lying, Some(media_type::OCI_MANIFEST)).err().unwrap().kind(), ErrorKind::Malformed);
        let duplicate = image(r#","layers":[]"#);
        assert_eq!(sort(duplicate, None).err().unwrap().kind(), ErrorKind::Malformed);
    }

    #[test]
    fn hostile_json() {
        for json in [
            "[".repeat(100_000),
            "{\"a\":".repeat(100_000),
            String::new(),
            "null".into(),
            "\"\\ud800\"".into(),
            image("").replace("\"size\":0", "\"size\":-1"),
            image("").replace("\"size\":0", "\"size\":1e999"),
            image("").replace(HEX, "sha256:../../etc/passwd"),
            image("").replace(HEX, &HEX.to_uppercase()),
        ] {
            assert!(sort(json, None).is_err());
        }
    }
}
