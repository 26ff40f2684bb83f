//! Where an image comes from.

use std::io::{self, Read};
use std::ops::Range;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::BoxStream;

use crate::{AttestationDocument, Descriptor, Digest, Result};

/// An image that can be indexed: one platform's manifest, its configuration, its layers.
///
/// Implementations fetch; they need not verify. The indexer checks the digest of every document and
/// every layer that it is given. Failures are [`Error::from_source`](crate::Error::from_source), so that
/// the caller learns whether trying again may help.
#[async_trait]
pub trait ImageSource: Send + Sync {
    /// The image's name without tag and digest, for the result; empty if there is none.
    fn name(&self) -> String;

    /// Tags that led to the image, for the result.
    fn tags(&self) -> Vec<String> {
        Vec::new()
    }

    /// The manifest of one platform, never an index.
    async fn manifest(&self) -> Result<ManifestDocument>;

    /// The bytes of the image's configuration.
    async fn config(&self, descriptor: &Descriptor) -> Result<Bytes>;

    /// What is said of the image beside it: provenance, SBOMs, VEX. None, unless the source knows better.
    async fn attestations(&self) -> Result<Vec<AttestationDocument>> {
        Ok(Vec::new())
    }

    /// The bytes of a layer, as they are stored.
    async fn open_layer(&self, descriptor: &Descriptor) -> Result<LayerBlob>;

    /// Whether [`open_range`](Self::open_range) is worth a call. Not unless the source says so: one that is read from a
    /// disk has nothing to gain.
    fn serves_ranges(&self) -> bool {
        false
    }

    /// The bytes of a layer from `range.start` to before `range.end`, as they are stored. `None` if it turns out that
    /// they can only be had from the layer's beginning. A stream that gives more is cut off.
    async fn open_range(
        &self,
        _descriptor: &Descriptor,
        _range: Range<u64>,
    ) -> Result<Option<BoxStream<'static, io::Result<Bytes>>>> {
        Ok(None)
    }
}

/// A manifest as it was received.
#[derive(Clone, Debug)]
pub struct ManifestDocument {
    /// Its digest.
    pub digest: Digest,
    /// Its media type, from the answer's header or the document.
    pub media_type: String,
    /// Its bytes.
    pub bytes: Bytes,
}

/// A layer's bytes.
pub enum LayerBlob {
    /// Read where the work is done, on a blocking thread: for local files.
    Reader(Box<dyn Read + Send>),
    /// Received by the caller's runtime and handed over in order: for the network.
    Stream(BoxStream<'static, io::Result<Bytes>>),
}

impl std::fmt::Debug for LayerBlob {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Reader(_) => "LayerBlob::Reader",
            Self::Stream(_) => "LayerBlob::Stream",
        })
    }
}
