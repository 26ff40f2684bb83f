//! Documents as they are stored: JSON, zstd. A layer's captures stand behind its document.

use serde::Serialize;
use serde::de::DeserializeOwned;
use supercargo_index::{Captures, LayerIndex};

use crate::error::{Error, ErrorKind, Result};

/// The level of zstd itself: twice the level costs more time than the disk it saves is worth.
const LEVEL: i32 = 3;

/// The document as it is stored. Takes milliseconds for a large one: to be called where blocking is fine.
pub(crate) fn encode<T: Serialize>(document: &T) -> Result<Vec<u8>> {
    let failed = || Error::new(ErrorKind::Internal, "encode document");
    let json = serde_json::to_vec(document).map_err(|error| failed().with_source(error))?;
    zstd::bulk::compress(&json, LEVEL).map_err(|error| failed().with_source(error))
}

/// The document as it was.
pub(crate) fn decode<T: DeserializeOwned>(body: &[u8]) -> Result<T> {
    let failed = || Error::new(ErrorKind::Corrupt, "decode document");
    let json = zstd::stream::decode_all(body).map_err(|error| failed().with_source(error))?;
    serde_json::from_slice(&json).map_err(|error| failed().with_source(error))
}

/// Begins a zstd frame that a decoder passes over; its length follows, 4 bytes, little-endian (RFC 8878, 3.1.2).
/// The last of the sixteen numbers that there are: the others have uses elsewhere.
const SKIPPED: [u8; 4] = [0x5f, 0x2a, 0x4d, 0x18];

/// The layer as it is stored. Its captures, which are compressed already, stand behind the document in a frame that
/// decoders pass over: who asks for what was found need not read them.
pub(crate) fn encode_layer(mut layer: LayerIndex) -> Result<Vec<u8>> {
    let captures = layer.captures.take();
    let mut body = encode(&layer)?;
    if let Some(captures) = &captures
        && let Ok(length) = u32::try_from(captures.as_bytes().len())
    {
        body.extend(SKIPPED);
        body.extend(length.to_le_bytes());
        body.extend_from_slice(captures.as_bytes());
    }
    Ok(body)
}

/// The layer as it was, captures and all. Without them, [`decode`] reads it.
pub(crate) fn decode_layer(body: &[u8]) -> Result<LayerIndex> {
    let mut layer: LayerIndex = decode(body)?;
    let document = zstd::zstd_safe::find_frame_compressed_size(body);
    let behind = document.ok().and_then(|length| body.get(length..));
    layer.captures = behind
        .and_then(|frame| frame.strip_prefix(&SKIPPED))
        .and_then(<[u8]>::split_first_chunk)
        .and_then(|(length, bytes)| bytes.get(..usize::try_from(u32::from_le_bytes(*length)).ok()?))
        .map(|bytes| Captures::from(bytes.to_vec()));
    Ok(layer)
}

/// Runs codec work where it stalls no other task.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| Error::new(ErrorKind::Internal, "run codec").with_source(error))?
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conformance::fixture::layer;

    #[test]
    fn a_layer_is_read_with_its_captures_and_without() {
        let bare = layer(1);
        let full = LayerIndex { captures: Some(Captures::from(vec![7; 1000])), ..bare.clone() };
        let body = encode_layer(full.clone()).unwrap();
        assert_eq!(decode_layer(&body).unwrap(), full);
        assert_eq!(decode::<LayerIndex>(&body).unwrap(), bare);
        assert_eq!(decode_layer(&encode_layer(bare.clone()).unwrap()).unwrap(), bare);
        // Cut short, what was found is still there.
        assert!(decode_layer(&body[..body.len() - 1]).map_or(true, |layer| layer == bare));
    }
}
