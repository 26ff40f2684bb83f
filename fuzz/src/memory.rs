//! An image in memory.

use std::io::Cursor;

use async_trait::async_trait;
use bytes::Bytes;
use packageurl::Error;
use sha2::{Digest as _, Sha256};
use supercargo_index::{
    AttestationDocument, Descriptor, Digest, ErrorKind, ImageMetadata, ImageSource, Indexer, LayerBlob,
    ManifestDocument, Result, scout,
};

/// A manifest, a configuration, layers, statements: each may be anything.
#[derive(Clone, Debug, Default)]
pub(crate) struct Image {
    pub(crate) manifest: Vec<u8>,
    pub(crate) config: Vec<u8>,
    pub(crate) layers: Vec<Vec<u8>>,
    pub(crate) attestations: Vec<AttestationDocument>,
}

impl Image {
    /// An image that is right in itself, of these tars.
    pub(crate) fn of(layers: Vec<Vec<u8>>) -> Self {
        let diff_ids: Vec<_> = layers.iter().map(|layer| format!("\"{}\"", digest(layer))).collect();
        let config = format!(
            r#"{{"architecture":"amd64","os":"linux","rootfs":{{"type":"layers","diff_ids":[{}]}}}}"#,
            diff_ids.join(",")
        );
        Self::configured(config.into_bytes(), layers)
    }

    /// An image of this configuration, whatever it is.
    pub(crate) fn configured(config: Vec<u8>, layers: Vec<Vec<u8>>) -> Self {
        let descriptor = |media_type: &str, bytes: &[u8]| {
            format!(r#"{{"mediaType":"{media_type}","digest":"{}","size":{}}}"#, digest(bytes), bytes.len())
        };
        let layer = "application/vnd.oci.image.layer.v1.tar";
        let described: Vec<_> = layers.iter().map(|bytes| descriptor(layer, bytes)).collect();
        let manifest = format!(
            r#"{{"schemaVersion":2,"config":{},"layers":[{}]}}"#,
            descriptor("application/vnd.oci.image.config.v1+json", &config),
            described.join(",")
        );
        Self { manifest: manifest.into_bytes(), config, layers, attestations: Vec::new() }
    }

    /// Indexes it and writes what was found.
    pub(crate) fn index(&self, indexer: &Indexer) -> Result<ImageMetadata> {
        let metadata = futures_executor::block_on(indexer.index(self))?;
        let options = scout::Options { declared: true };
        scout::write(&metadata, options, std::io::sink()).expect("nothing refuses what is written");
        for package in &metadata.packages {
            let purl = &package.purl;
            match purl.parse::<packageurl::PackageUrl<'_>>() {
                // What the type's grammar has no place for is generic.
                Ok(parsed) => assert!([package.package.kind.as_str(), "generic"].contains(&parsed.ty()), "{purl:?}"),
                // What a type wants beyond the grammar its own files may lack: a distribution of CPAN has an author,
                // and what lies in an image does not always say which.
                Err(
                    Error::TypeRequiresNamespace(_)
                    | Error::TypeProhibitsNamespace(_)
                    | Error::MissingRequiredQualifier(..)
                    | Error::InvalidName(..)
                    | Error::InvalidVersion(..),
                ) => {}
                Err(error) => panic!("{purl:?} is no package URL: {error}"),
            }
        }
        Ok(metadata)
    }
}

/// The digest of bytes.
pub(crate) fn digest(bytes: &[u8]) -> Digest {
    let hash: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hash}").parse().expect("a hash is a digest")
}

#[async_trait]
impl ImageSource for Image {
    fn name(&self) -> String {
        "registry.example.com/fuzz".into()
    }

    async fn manifest(&self) -> Result<ManifestDocument> {
        Ok(ManifestDocument {
            digest: digest(&self.manifest),
            media_type: "application/vnd.oci.image.manifest.v1+json".into(),
            bytes: self.manifest.clone().into(),
        })
    }

    async fn config(&self, _: &Descriptor) -> Result<Bytes> {
        Ok(self.config.clone().into())
    }

    async fn attestations(&self) -> Result<Vec<AttestationDocument>> {
        Ok(self.attestations.clone())
    }

    async fn open_layer(&self, descriptor: &Descriptor) -> Result<LayerBlob> {
        let layer = self.layers.iter().find(|layer| digest(layer) == *descriptor.digest());
        match layer {
            Some(layer) => Ok(LayerBlob::Reader(Box::new(Cursor::new(layer.clone())))),
            None => Err(supercargo_index::Error::new(ErrorKind::Source, "find the layer")),
        }
    }
}
