//! Blobs, their descriptors and digests.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// The media types that the kit writes (image-spec `media-types.md`, Docker's manifest schema 2).
pub mod media_type {
    /// An OCI image index.
    pub const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
    /// An OCI image manifest.
    pub const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
    /// An OCI image configuration.
    pub const OCI_CONFIG: &str = "application/vnd.oci.image.config.v1+json";
    /// The empty JSON object that stands in for a configuration.
    pub const OCI_EMPTY: &str = "application/vnd.oci.empty.v1+json";
    /// An OCI layer; `+gzip` and `+zstd` are appended.
    pub const OCI_LAYER: &str = "application/vnd.oci.image.layer.v1.tar";
    /// A Docker manifest list.
    pub const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
    /// A Docker schema 2 manifest.
    pub const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
    /// A Docker image configuration.
    pub const DOCKER_CONFIG: &str = "application/vnd.docker.container.image.v1+json";
    /// A Docker layer; `.gzip` and `.zstd` are appended.
    pub const DOCKER_LAYER: &str = "application/vnd.docker.image.rootfs.diff.tar";
    /// An in-toto statement, the layer of an attestation manifest.
    pub const IN_TOTO: &str = "application/vnd.in-toto+json";
}

/// The digest of `bytes`, as `sha256:<hex>`.
pub fn sha256(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(7 + 64);
    text.push_str("sha256:");
    for byte in Sha256::digest(bytes) {
        text.push(char::from(HEX[usize::from(byte >> 4)]));
        text.push(char::from(HEX[usize::from(byte & 15)]));
    }
    text
}

const HEX: &[u8; 16] = b"0123456789abcdef";

/// A platform as it stands in an image index.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Platform {
    /// The instruction set: `amd64`, `arm64`, …
    pub architecture: String,
    /// The operating system: `linux`, `windows`, …
    pub os: String,
    /// The variant of the instruction set: `v8`, …
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub variant: Option<String>,
}

impl Platform {
    /// A platform from its usual short form, `os/architecture[/variant]`.
    ///
    /// What is missing becomes `unknown`, as in the entries of attestation manifests.
    pub fn new(text: &str) -> Self {
        let mut parts = text.split('/').map(str::to_owned);
        let os = parts.next().filter(|part| !part.is_empty()).unwrap_or_else(|| "unknown".into());
        let architecture = parts.next().unwrap_or_else(|| "unknown".into());
        Self { architecture, os, variant: parts.next() }
    }
}

impl Default for Platform {
    fn default() -> Self {
        Self::new("linux/amd64")
    }
}

/// An OCI content descriptor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// The media type of what is described.
    pub media_type: String,
    /// Its digest, `sha256:<hex>`.
    pub digest: String,
    /// Its size in bytes.
    pub size: u64,
    /// The platform of an image in an index.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub platform: Option<Platform>,
    /// The artifact type, in lists of referrers.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub artifact_type: Option<String>,
    /// Annotations, sorted by key.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", default)]
    pub annotations: BTreeMap<String, String>,
}

/// Bytes with the descriptor that names them.
///
/// In a broken image the two disagree: that is the point of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blob {
    /// What others say about the bytes.
    pub descriptor: Descriptor,
    /// The bytes.
    pub bytes: Bytes,
}

impl Blob {
    /// A blob with a true descriptor.
    pub fn new(media_type: impl Into<String>, bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        Self {
            descriptor: Descriptor {
                media_type: media_type.into(),
                digest: sha256(&bytes),
                size: bytes.len() as u64,
                platform: None,
                artifact_type: None,
                annotations: BTreeMap::new(),
            },
            bytes,
        }
    }

    /// A blob with the JSON form of `document`.
    pub(crate) fn json(media_type: impl Into<String>, document: &impl Serialize) -> Self {
        let bytes = serde_json::to_vec(document).expect("documents of the kit have string keys and no failing parts");
        Self::new(media_type, bytes)
    }

    /// The digest that the descriptor states.
    pub fn digest(&self) -> &str {
        &self.descriptor.digest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digest_of_nothing_is_the_known_one() {
        assert_eq!(sha256(b""), "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    }

    #[test]
    fn platforms_are_read_from_their_short_form() {
        let check = |text: &str, os: &str, architecture: &str, variant: Option<&str>| {
            let platform = Platform::new(text);
            assert_eq!(
                (&*platform.os, &*platform.architecture, platform.variant.as_deref()),
                (os, architecture, variant)
            );
        };
        check("linux/amd64", "linux", "amd64", None);
        check("linux/arm64/v8", "linux", "arm64", Some("v8"));
        check("", "unknown", "unknown", None);
    }
}
