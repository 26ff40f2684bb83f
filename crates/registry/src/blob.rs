//! A blob's bytes on their way.

use std::fmt;
use std::io::{self, Read};

use bytes::Bytes;
use futures_util::stream::{self, BoxStream, StreamExt};
use oci_spec::image::Descriptor;
use supercargo_index::LayerBlob;

use crate::digest::Hasher;
use crate::{Error, ErrorKind, Result};

/// Bytes that a local blob is read by when it is asked for as a stream.
const CHUNK: usize = 256 * 1024;

/// A blob, from an offset to its end.
///
/// [`Blob::into_stream`] verifies; [`Blob::into_layer`] leaves that to the indexer, which hashes what it reads.
pub struct Blob {
    descriptor: Descriptor,
    offset: u64,
    content: Content,
}

enum Content {
    Reader(Box<dyn Read + Send>),
    Stream(BoxStream<'static, Result<Bytes>>),
}

impl Blob {
    /// A blob that is read from this machine. The reader starts at `offset`.
    pub fn from_reader(descriptor: Descriptor, offset: u64, reader: impl Read + Send + 'static) -> Self {
        Self { descriptor, offset, content: Content::Reader(Box::new(reader)) }
    }

    /// A blob that is received. The stream starts at `offset`.
    pub fn from_stream(descriptor: Descriptor, offset: u64, stream: BoxStream<'static, Result<Bytes>>) -> Self {
        Self { descriptor, offset, content: Content::Stream(stream) }
    }

    /// Bytes that are to come, by the descriptor.
    pub fn size(&self) -> u64 {
        self.descriptor.size().saturating_sub(self.offset)
    }

    /// The bytes. Size and digest are checked as they go by, and a mismatch is the last item; a blob that is
    /// not read from its start is checked by its size alone.
    pub fn into_stream(self) -> BoxStream<'static, Result<Bytes>> {
        let Self { descriptor, offset, content } = self;
        let remaining = descriptor.size().saturating_sub(offset);
        let inner = match content {
            Content::Stream(stream) => stream,
            Content::Reader(reader) => read_in_chunks(reader),
        };
        let hasher = match Hasher::for_digest(descriptor.digest()) {
            Ok(hasher) => (offset == 0).then_some(hasher),
            Err(error) => return stream::once(async { Err(error) }).boxed(),
        };
        let state = Verified { inner, hasher, descriptor, remaining };
        stream::try_unfold(Some(state), |state| async move {
            let Some(mut state) = state else { return Ok(None) };
            match state.next().await? {
                Some(chunk) => Ok(Some((chunk, Some(state)))),
                None => Ok(None),
            }
        })
        .boxed()
    }

    /// All bytes, verified.
    ///
    /// # Errors
    /// [`ErrorKind::LimitExceeded`] before the first byte is read, if there are more than `limit`.
    pub async fn into_bytes(self, limit: u64) -> Result<Bytes> {
        if self.size() > limit {
            return Err(Error::new(
                ErrorKind::LimitExceeded,
                format!("read {}: {} bytes are more than the {limit} allowed", self.descriptor.digest(), self.size()),
            ));
        }
        let mut stream = self.into_stream();
        let mut bytes = Vec::new();
        while let Some(chunk) = stream.next().await {
            bytes.extend_from_slice(&chunk?);
        }
        Ok(bytes.into())
    }

    /// The bytes as the indexer takes them: unverified, because it hashes them itself.
    pub fn into_layer(self) -> LayerBlob {
        match self.content {
            Content::Reader(reader) => LayerBlob::Reader(reader),
            Content::Stream(stream) => LayerBlob::Stream(stream.map(|item| item.map_err(io::Error::other)).boxed()),
        }
    }
}

impl fmt::Debug for Blob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Blob")
            .field("descriptor", &self.descriptor)
            .field("offset", &self.offset)
            .finish_non_exhaustive()
    }
}

struct Verified {
    inner: BoxStream<'static, Result<Bytes>>,
    hasher: Option<Hasher>,
    descriptor: Descriptor,
    remaining: u64,
}

impl Verified {
    async fn next(&mut self) -> Result<Option<Bytes>> {
        let digest = self.descriptor.digest();
        while let Some(chunk) = self.inner.next().await {
            let chunk = chunk?;
            if chunk.is_empty() {
                continue;
            }
            let Some(remaining) = self.remaining.checked_sub(chunk.len() as u64) else {
                return Err(Error::new(
                    ErrorKind::DigestMismatch,
                    format!(
                        "read blob {digest}: more bytes than the {} that its descriptor names",
                        self.descriptor.size()
                    ),
                ));
            };
            self.remaining = remaining;
            if let Some(hasher) = &mut self.hasher {
                hasher.update(&chunk);
            }
            return Ok(Some(chunk));
        }
        if self.remaining > 0 {
            return Err(Error::new(
                ErrorKind::DigestMismatch,
                format!("read blob {digest}: it ends {} bytes early", self.remaining),
            ));
        }
        match self.hasher.take() {
            Some(hasher) => hasher.expect(digest).map(|()| None),
            None => Ok(None),
        }
    }
}

fn read_in_chunks(reader: Box<dyn Read + Send>) -> BoxStream<'static, Result<Bytes>> {
    stream::try_unfold(reader, |mut reader| async move {
        let read = tokio::task::spawn_blocking(move || {
            let mut buffer = Vec::with_capacity(CHUNK);
            io::copy(&mut Read::take(&mut reader, CHUNK as u64), &mut buffer).map(|_| (buffer, reader))
        });
        let (buffer, reader) = read
            .await
            .map_err(Error::from_join)?
            .map_err(|error| Error::new(ErrorKind::Io, "read a blob").with_source(error))?;
        Ok((!buffer.is_empty()).then(|| (Bytes::from(buffer), reader)))
    })
    .boxed()
}

#[cfg(test)]
mod tests {
    use oci_spec::image::MediaType;

    use super::*;
    use crate::digest::sha256;

    fn descriptor(bytes: &[u8]) -> Descriptor {
        Descriptor::new(MediaType::ImageLayer, bytes.len() as u64, sha256(bytes))
    }

    #[tokio::test]
    async fn local_blobs_are_verified() {
        let good = vec![7; CHUNK + 1];
        let blob = Blob::from_reader(descriptor(&good), 0, io::Cursor::new(good.clone()));
        assert_eq!(blob.into_bytes(1 << 20).await.unwrap(), good);

        let mut bad = good.clone();
        bad[0] = 0;
        for content in [bad, good[1..].to_vec(), [&good[..], b"x"].concat()] {
            let blob = Blob::from_reader(descriptor(&good), 0, io::Cursor::new(content));
            assert_eq!(blob.into_bytes(1 << 20).await.unwrap_err().kind(), ErrorKind::DigestMismatch);
        }
        let blob = Blob::from_reader(descriptor(&good), 0, io::Cursor::new(good));
        assert_eq!(blob.into_bytes(9).await.unwrap_err().kind(), ErrorKind::LimitExceeded);
    }
}
