//! Zip archives that lie in memory: wheels, eggs, and whatever else Python or Java pack. Those that pass as a
//! stream, or whose central directory is gone, are walked by their local headers: [`stream`].
//!
//! | Structure | PKWARE APPNOTE 6.3.10 |
//! | --- | --- |
//! | local file header `PK\3\4` | 4.3.7 |
//! | central directory header `PK\1\2` | 4.3.12 |
//! | zip64 end record and its locator `PK\6\6`, `PK\6\7` | 4.3.14, 4.3.15 |
//! | end of central directory `PK\5\6` | 4.3.16 |
//! | zip64 extended information, extra field 1 | 4.5.3 |
//!
//! Entries are named by the central directory, as every other reader does; the local header only says where the
//! data begin. No field is trusted: each slice is taken with its bounds checked, and inflation has a cap.

pub(crate) mod stream;

use std::borrow::Cow;
use std::io::{self, Read};

use flate2::read::DeflateDecoder;
use memchr::memmem;

const LOCAL: &[u8] = b"PK\x03\x04";
const CENTRAL: &[u8] = b"PK\x01\x02";
const END: &[u8] = b"PK\x05\x06";
const END64: &[u8] = b"PK\x06\x06";
const LOCATOR64: &[u8] = b"PK\x06\x07";

/// A zip archive.
#[derive(Debug)]
pub(crate) struct Archive<'a> {
    bytes: &'a [u8],
    central: &'a [u8],
    /// Bytes before the archive proper (a launcher, say): every offset counts from behind them.
    shift: u64,
}

/// One entry of the central directory.
#[derive(Debug)]
pub(crate) struct Entry<'a> {
    /// The name, as it is written.
    pub(crate) name: &'a [u8],
    /// Bytes once inflated, by its own word.
    pub(crate) size: u64,
    method: u16,
    compressed: u64,
    offset: u64,
}

/// The contents of an entry, inflated as they are read.
#[derive(Debug)]
pub(crate) enum Contents<'a> {
    Stored(&'a [u8]),
    Deflated(DeflateDecoder<&'a [u8]>),
}

impl Read for Contents<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Stored(bytes) => bytes.read(buffer),
            Self::Deflated(decoder) => decoder.read(buffer),
        }
    }
}

impl<'a> Archive<'a> {
    /// The archive that ends where `bytes` end, or `None` if there is none.
    pub(crate) fn open(bytes: &'a [u8]) -> Option<Self> {
        // The record is 22 bytes long, the comment behind it at most 65 535.
        let tail = bytes.len().saturating_sub(22 + 65_535);
        let end = tail + memmem::rfind(&bytes[tail..], END)?;
        let (mut size, mut offset) = (u64::from(u32_at(bytes, end + 12)?), u64::from(u32_at(bytes, end + 16)?));
        let mut directory_end = end as u64;
        if let Some(record) = zip64(bytes, end) {
            let at = usize::try_from(record).ok()?;
            (size, offset) = (u64_at(bytes, at + 40)?, u64_at(bytes, at + 48)?);
            directory_end = record;
        }
        let start = directory_end.checked_sub(size)?;
        let shift = start.checked_sub(offset)?;
        let central = bytes.get(usize::try_from(start).ok()?..usize::try_from(directory_end).ok()?)?;
        Some(Self { bytes, central, shift })
    }

    /// The entries, in the order of the central directory; ends at the first that is broken.
    pub(crate) fn entries(&self) -> impl Iterator<Item = Entry<'a>> + use<'a> {
        let mut rest = self.central;
        std::iter::from_fn(move || {
            let header = rest;
            if !header.starts_with(CENTRAL) {
                return None;
            }
            let length = |at| u16_at(header, at).map(usize::from);
            let (name, extra, comment) = (length(28)?, length(30)?, length(32)?);
            let entry = Entry {
                name: header.get(46..46 + name)?,
                size: u64::from(u32_at(header, 24)?),
                method: u16_at(header, 10)?,
                compressed: u64::from(u32_at(header, 20)?),
                offset: u64::from(u32_at(header, 42)?),
            };
            let entry = widen(entry, header.get(46 + name..46 + name + extra)?);
            rest = header.get(46 + name + extra + comment..)?;
            Some(entry)
        })
    }

    /// The contents of an entry. `None` if it is broken, encrypted or packed in an unknown way.
    pub(crate) fn contents(&self, entry: &Entry<'_>) -> Option<Contents<'a>> {
        let at = usize::try_from(entry.offset.checked_add(self.shift)?).ok()?;
        let header = self.bytes.get(at..)?;
        let encrypted = u16_at(header, 6)? & 1 != 0;
        if !header.starts_with(LOCAL) || encrypted {
            return None;
        }
        let start = 30 + usize::from(u16_at(header, 26)?) + usize::from(u16_at(header, 28)?);
        let data = header.get(start..)?;
        let data = data.get(..usize::try_from(entry.compressed).ok()?)?;
        match entry.method {
            0 => Some(Contents::Stored(data)),
            8 => Some(Contents::Deflated(DeflateDecoder::new(data))),
            _ => None,
        }
    }

    /// The first `cap` bytes of an entry. `None` where [`contents`](Self::contents) has none.
    pub(crate) fn read(&self, entry: &Entry<'_>, cap: usize) -> Option<Cow<'a, [u8]>> {
        match self.contents(entry)? {
            Contents::Stored(data) => Some(Cow::Borrowed(&data[..data.len().min(cap)])),
            Contents::Deflated(decoder) => {
                // Its own word on its size is good for a reservation that its compressed size makes likely.
                let likely = entry.size.min(entry.compressed.saturating_mul(8)).min(cap as u64);
                let mut out = Vec::with_capacity(usize::try_from(likely).unwrap_or(0));
                // What was inflated before an error is of use: names and versions stand at the beginning.
                let read = decoder.take(cap as u64).read_to_end(&mut out);
                (read.is_ok() || !out.is_empty()).then_some(Cow::Owned(out))
            }
        }
    }
}

/// Where the zip64 end record stands, if there is one. Its own offset is relative to the archive, and the
/// archive may be shifted; the record directly precedes its locator in every writer's output.
fn zip64(bytes: &[u8], end: usize) -> Option<u64> {
    let locator = end.checked_sub(20)?;
    if !bytes.get(locator..)?.starts_with(LOCATOR64) {
        return None;
    }
    let stated = u64_at(bytes, locator + 8)?;
    let directly_before = locator.checked_sub(56)? as u64;
    [stated, directly_before].into_iter().find(|&at| {
        usize::try_from(at).ok().and_then(|at| bytes.get(at..locator)).is_some_and(|b| b.starts_with(END64))
    })
}

/// Replaces what does not fit 32 bits by the values of the zip64 extra field.
fn widen<'a>(mut entry: Entry<'a>, mut extra: &[u8]) -> Entry<'a> {
    const FULL: u64 = u32::MAX as u64;
    while let (Some(tag), Some(length)) = (u16_at(extra, 0), u16_at(extra, 2)) {
        let Some(field) = extra.get(4..4 + usize::from(length)) else { break };
        if tag == 1 {
            let mut values = field.chunks_exact(8).map(|value| u64_at(value, 0).unwrap_or_default());
            if entry.size == FULL {
                entry.size = values.next().unwrap_or(FULL);
            }
            if entry.compressed == FULL {
                entry.compressed = values.next().unwrap_or(FULL);
            }
            if entry.offset == FULL {
                entry.offset = values.next().unwrap_or(FULL);
            }
            break;
        }
        extra = &extra[4 + usize::from(length)..];
    }
    entry
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(bytes.get(at..at.checked_add(2)?)?.try_into().ok()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at.checked_add(4)?)?.try_into().ok()?))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.get(at..at.checked_add(8)?)?.try_into().ok()?))
}

#[cfg(test)]
pub(super) mod tests {
    use std::io::Write;

    use flate2::{Compression, write::DeflateEncoder};
    use proptest::prelude::*;

    use super::*;

    /// An archive of these entries; those whose name ends in `!` are stored, the others deflated.
    pub(in crate::catalogers) fn zip(entries: &[(&str, &[u8])]) -> Vec<u8> {
        let (mut out, mut central) = (Vec::new(), Vec::new());
        for (name, contents) in entries {
            let stored = name.ends_with('!');
            let data = if stored {
                contents.to_vec()
            } else {
                let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
                encoder.write_all(contents).unwrap();
                encoder.finish().unwrap()
            };
            let offset = out.len() as u32;
            let mut common = Vec::new();
            for value in [20_u16, 0, if stored { 0 } else { 8 }, 0, 0] {
                common.extend(value.to_le_bytes());
            }
            for value in [0_u32, data.len() as u32, contents.len() as u32] {
                common.extend(value.to_le_bytes());
            }
            common.extend((name.len() as u16).to_le_bytes());
            common.extend([0, 0]);
            out.extend(LOCAL);
            out.extend(&common);
            out.extend(name.as_bytes());
            out.extend(data);
            central.extend(CENTRAL);
            central.extend([20, 0]);
            central.extend(&common);
            central.extend([0; 10]);
            central.extend(offset.to_le_bytes());
            central.extend(name.as_bytes());
        }
        let offset = out.len() as u32;
        out.extend(&central);
        out.extend(END);
        out.extend([0; 4]);
        out.extend((entries.len() as u16).to_le_bytes().repeat(2));
        out.extend((central.len() as u32).to_le_bytes());
        out.extend(offset.to_le_bytes());
        out.extend([0, 0]);
        out
    }

    fn list(bytes: &[u8]) -> Vec<(String, Vec<u8>)> {
        let Some(archive) = Archive::open(bytes) else { return Vec::new() };
        archive
            .entries()
            .filter_map(|entry| {
                let name = String::from_utf8_lossy(entry.name).into_owned();
                Some((name, archive.read(&entry, 100)?.into_owned()))
            })
            .collect()
    }

    #[test]
    fn reads_stored_and_deflated_entries() {
        let long = vec![b'x'; 5000];
        let bytes = zip(&[("a/b", b"one"), ("c!", b"two"), ("empty", b""), ("long", &long)]);
        let expected = [
            ("a/b".to_owned(), b"one".to_vec()),
            ("c!".to_owned(), b"two".to_vec()),
            ("empty".to_owned(), vec![]),
            ("long".to_owned(), long[..100].to_vec()),
        ];
        assert_eq!(list(&bytes), expected);
        assert_eq!(list(&[b"#!/bin/sh\n".as_slice(), &bytes].concat()), expected, "a launcher stands before it");
        assert_eq!(list(&bytes[..bytes.len() - 23]), []);
        assert_eq!(list(b"PK\x05\x06"), []);
    }

    proptest! {
        #[test]
        fn never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            list(&[&bytes[..], END, &bytes[..]].concat());
        }

        #[test]
        fn mutations_never_panic(at in 0_usize..200, byte: u8) {
            let mut bytes = zip(&[("a/b", b"one"), ("c!", b"two")]);
            let length = bytes.len();
            bytes[at % length] = byte;
            list(&bytes);
        }
    }
}
