//! Images that are wrong in one stated way.

use bytes::Bytes;

use crate::{Blob, sha256};

/// What is wrong with an image. Layers are counted from 0, the bottom.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Defect {
    /// The layer's blob ends in its middle; its descriptor tells the whole size.
    TruncatedLayer(usize),
    /// One byte in the middle of the layer's blob is another; the size is right.
    CorruptedLayer(usize),
    /// The layer unpacks well, but the manifest gives it the digest of something else.
    WrongDigest(usize),
    /// The configuration names another diff ID than the layer has.
    WrongDiffId(usize),
    /// The layer's descriptor tells one byte more than the blob has.
    WrongSize(usize),
    /// The configuration is not JSON, under its right digest.
    BadConfig,
}

/// The digest that stands where a wrong one is asked for.
pub(super) fn foreign_digest(index: usize) -> String {
    sha256(format!("not what layer {index} holds").as_bytes())
}

pub(super) fn spoil(layer: &mut Blob, index: usize, defect: Defect) {
    match defect {
        Defect::TruncatedLayer(broken) if broken == index => layer.bytes = truncated(&layer.bytes),
        Defect::CorruptedLayer(broken) if broken == index => layer.bytes = corrupted(&layer.bytes),
        Defect::WrongDigest(broken) if broken == index => layer.descriptor.digest = foreign_digest(index),
        Defect::WrongSize(broken) if broken == index => layer.descriptor.size += 1,
        _ => {}
    }
}

/// The first half.
pub(crate) fn truncated(bytes: &Bytes) -> Bytes {
    bytes.slice(..bytes.len() / 2)
}

/// The same length with the middle byte inverted.
pub(crate) fn corrupted(bytes: &Bytes) -> Bytes {
    let mut bytes = bytes.to_vec();
    let middle = bytes.len() / 2;
    if let Some(byte) = bytes.get_mut(middle) {
        *byte = !*byte;
    }
    bytes.into()
}
