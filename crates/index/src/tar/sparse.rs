//! Sparse files: holes are not stored.

use std::io::{self, Read};

use super::header::{BLOCK, number};
use super::{TarError, TarReader};
use crate::inflate::{Chunks, Inflated};

/// Fragments a map may have: GNU tar writes one a hole, and a file with more holes than this was made to be parsed.
const FRAGMENTS: usize = 1 << 16;

/// Where a sparse file's stored bytes belong.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct SparseMap {
    /// (offset, length), ascending.
    fragments: Vec<(u64, u64)>,
}

impl SparseMap {
    pub(super) fn from_pairs(pairs: &[u64]) -> Result<Self, TarError> {
        let mut map = Self::default();
        let (pairs, []) = pairs.as_chunks::<2>() else { return Err(malformed()) };
        for &[offset, length] in pairs {
            map.push(offset, length)?;
        }
        Ok(map)
    }

    fn push(&mut self, offset: u64, length: u64) -> Result<(), TarError> {
        if self.fragments.len() == FRAGMENTS {
            return Err(TarError::Malformed(format!("a sparse map has more than {FRAGMENTS} fragments")));
        }
        let end = self.fragments.last().map_or(0, |(offset, length)| offset + length);
        if offset < end || offset.checked_add(length).is_none_or(|end| end > i64::MAX as u64) {
            return Err(malformed());
        }
        self.fragments.push((offset, length));
        Ok(())
    }

    /// That the map fits the file's size and the bytes stored for it.
    pub(super) fn check(&self, size: u64, stored: u64) -> Result<(), TarError> {
        let end = self.fragments.last().map_or(0, |(offset, length)| offset + length);
        let sum: u64 = self.fragments.iter().map(|(_, length)| length).sum();
        if end <= size && sum <= stored { Ok(()) } else { Err(malformed()) }
    }

    /// The file's bytes, holes filled with zeroes, given its stored bytes.
    pub(crate) fn expand<R: Read>(&self, stored: R, size: u64) -> Expanded<'_, R> {
        Expanded { stored, fragments: &self.fragments, at: 0, size }
    }
}

/// A sparse file as its reader sees it.
pub(crate) struct Expanded<'a, R> {
    stored: R,
    fragments: &'a [(u64, u64)],
    at: u64,
    size: u64,
}

impl<R: Read> Read for Expanded<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.fragments.first().is_some_and(|(offset, length)| self.at >= offset + length) {
            self.fragments = &self.fragments[1..];
        }
        let (until, stored) = match self.fragments.first() {
            Some(&(offset, length)) if self.at >= offset => (offset + length, true),
            Some(&(offset, _)) => (offset, false),
            None => (self.size, false),
        };
        let n = usize::try_from(until - self.at).unwrap_or(usize::MAX).min(buffer.len());
        let n = if stored {
            self.stored.read(&mut buffer[..n])?
        } else {
            buffer[..n].fill(0);
            n
        };
        self.at += n as u64;
        Ok(n)
    }
}

/// The old GNU form: four fragments in the header, more in blocks that follow it and do not count as contents.
pub(super) fn old_gnu<C: Chunks>(header: &[u8; BLOCK], stream: &mut Inflated<C>) -> Result<(SparseMap, u64), TarError> {
    let mut map = SparseMap::default();
    let size = number(&header[483..495]).filter(|size| *size <= i64::MAX as u64).ok_or_else(malformed)?;
    read_fragments(&header[386..482], &mut map)?;
    let mut extended = header[482] != 0;
    while extended {
        let block = stream.peek(BLOCK)?;
        if block.len() < BLOCK {
            return Err(TarError::Malformed("the archive ends within a sparse map".into()));
        }
        read_fragments(&block[..504], &mut map)?;
        extended = block[504] != 0;
        stream.consume(BLOCK);
    }
    Ok((map, size))
}

fn read_fragments(fields: &[u8], map: &mut SparseMap) -> Result<(), TarError> {
    for pair in fields.as_chunks::<24>().0 {
        // The first empty field ends the map.
        if pair[0] == 0 {
            break;
        }
        let offset = number(&pair[..12]).ok_or_else(malformed)?;
        let length = number(&pair[12..]).ok_or_else(malformed)?;
        map.push(offset, length)?;
    }
    Ok(())
}

/// Version 1.0: the map is decimal lines at the beginning of the contents, padded to a block.
pub(super) fn in_contents<C: Chunks>(tar: &mut TarReader<'_, C>) -> Result<SparseMap, TarError> {
    let mut block = [0; BLOCK];
    let mut at = BLOCK;
    let mut next = |tar: &mut TarReader<'_, C>| -> Result<u64, TarError> {
        let mut value = 0_u64;
        let mut digits = 0;
        loop {
            if at == BLOCK {
                tar.read_exact(&mut block)?;
                at = 0;
            }
            let byte = block[at];
            at += 1;
            match byte {
                b'\n' if digits > 0 => return Ok(value),
                b'0'..=b'9' if digits < 19 => value = value * 10 + u64::from(byte - b'0'),
                _ => return Err(malformed()),
            }
            digits += 1;
        }
    };
    let count = next(tar)?;
    let mut map = SparseMap::default();
    for _ in 0..count {
        let offset = next(tar)?;
        let length = next(tar)?;
        map.push(offset, length)?;
    }
    Ok(map)
}

fn malformed() -> TarError {
    TarError::Malformed("a sparse map is wrong".into())
}
