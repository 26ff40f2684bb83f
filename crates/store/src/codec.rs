//! Documents as they are stored: JSON, zstd.

use serde::Serialize;
use serde::de::DeserializeOwned;

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

/// Runs codec work where it stalls no other task.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| Error::new(ErrorKind::Internal, "run codec").with_source(error))?
}
