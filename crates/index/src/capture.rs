//! What of a layer is kept besides its findings, so that other catalogers can read it without its bytes.
//!
//! For each file that some cataloger wanted: its contents if they are small, else the leading bytes by which
//! catalogers tell files. All of it is one zstd stream, written while the layer passes.
//!
//! Executables and archives are kept by their leading bytes only, however small. They do not compress, a system's
//! layer has thousands of them, and their catalogers can be answered only if every one is there: one that is too
//! large makes all others worthless.

use std::io::{self, Read, Write as _};

use bytes::Bytes;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::cataloger::LEADING_BYTES;
use crate::{Limits, bytes_base64};

/// The level of zstd itself. Manifests of packages shrink to a fifth; twice the level is not worth its time.
const LEVEL: i32 = 3;

/// Files that are recorded. A layer in which more are wanted is read again by an upgrade.
const MOST_FILES: usize = 500_000;

/// What a [`LayerIndex`](crate::LayerIndex) keeps of its layer's contents: what an upgrade of catalogers needs.
///
/// Opaque bytes, compressed, up to [`Limits::captured`] before that. A cache may keep them apart from the rest:
/// they are needed only when the catalogers have changed.
#[derive(Clone, PartialEq, Eq)]
pub struct Captures(Bytes);

impl Captures {
    /// The bytes, as they can be stored.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl From<Vec<u8>> for Captures {
    /// Takes what [`as_bytes`](Self::as_bytes) gave. Of other bytes, no upgrade comes.
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes.into())
    }
}

impl std::fmt::Debug for Captures {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Captures").field("len", &self.0.len()).finish()
    }
}

impl Serialize for Captures {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        bytes_base64::serialize(&self.0, serializer)
    }
}

impl<'de> Deserialize<'de> for Captures {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        bytes_base64::deserialize(deserializer).map(Self::from)
    }
}

/// Stored form: the table's length (4 bytes, little-endian), the table (JSON, zstd), the kept bytes of all files (zstd).
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Table {
    /// Leading bytes that were looked for: what is not in `files` has none of them.
    pub(crate) leading: Vec<(usize, Vec<u8>)>,
    /// The files that were wanted, in the order of the tar.
    pub(crate) files: Vec<CapturedFile>,
}

/// A file that some cataloger wanted.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct CapturedFile {
    /// Its index among the layer's entries.
    #[serde(rename = "e")]
    pub(crate) entry: u32,
    /// How many of its bytes are kept, from its beginning. Fewer than it has: the contents are not known.
    #[serde(rename = "k")]
    pub(crate) kept: u32,
    #[serde(rename = "x", default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) executable: bool,
    /// Stored with holes: catalogers do not look at its leading bytes.
    #[serde(rename = "s", default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) sparse: bool,
    /// Who wanted it, in their order, as indexes into the index's catalogers. Only of a file that is not kept whole.
    #[serde(rename = "b", default, skip_serializing_if = "<[u16]>::is_empty")]
    pub(crate) by: Box<[u16]>,
}

/// Collects captures while a layer passes.
pub(crate) struct Capturing {
    contents: Option<zstd::stream::write::Encoder<'static, Vec<u8>>>,
    files: Vec<CapturedFile>,
    file_limit: u64,
    left: u64,
    given_up: bool,
}

/// A wanted file, as it passes.
#[derive(Clone, Copy)]
pub(crate) struct Seen<'a> {
    pub(crate) entry: usize,
    pub(crate) executable: bool,
    pub(crate) sparse: bool,
    /// All of it if `held`, else its leading bytes.
    pub(crate) bytes: &'a [u8],
    /// It was held whole while the catalogers read it.
    pub(crate) held: bool,
    pub(crate) by: &'a [(usize, bool)],
}

impl Capturing {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            contents: None,
            files: Vec::new(),
            file_limit: limits.captured_file.min(u64::from(u32::MAX)),
            left: limits.captured,
            given_up: false,
        }
    }

    pub(crate) fn add(&mut self, seen: Seen<'_>) {
        if self.given_up {
            return;
        }
        let size = seen.bytes.len() as u64;
        let whole = seen.held && size <= self.file_limit && size <= self.left && !is_executable_or_archive(seen.bytes);
        let kept = match seen.bytes {
            bytes if whole => bytes,
            _ if seen.sparse => &[],
            bytes => &bytes[..bytes.len().min(LEADING_BYTES)],
        };
        if whole {
            self.left -= size;
        }
        let by = if whole { Box::default() } else { indexes(seen.by) };
        let entry = u32::try_from(seen.entry);
        let (Ok(entry), true, Ok(())) = (entry, self.files.len() < MOST_FILES, self.write(kept)) else {
            self.given_up = true;
            (self.contents, self.files) = (None, Vec::new());
            return;
        };
        let kept = u32::try_from(kept.len()).expect("the limit of a file is below");
        self.files.push(CapturedFile { entry, kept, executable: seen.executable, sparse: seen.sparse, by });
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let contents = match &mut self.contents {
            Some(contents) => contents,
            None => self.contents.insert(zstd::stream::write::Encoder::new(Vec::new(), LEVEL)?),
        };
        contents.write_all(bytes)
    }

    /// What was collected, after `leading` was looked for in all files. `None` if it was too much.
    pub(crate) fn finish(self, leading: impl Iterator<Item = (usize, &'static [u8])>) -> Option<Captures> {
        if self.given_up {
            return None;
        }
        let contents = match self.contents {
            Some(contents) => contents.finish().ok()?,
            None => Vec::new(),
        };
        let mut table = Table { leading: Vec::new(), files: self.files };
        table.looked_for(leading);
        table.seal(&contents)
    }
}

/// The indexes of those who want a file.
pub(crate) fn indexes(selection: &[(usize, bool)]) -> Box<[u16]> {
    selection.iter().map(|(index, _)| u16::try_from(*index).unwrap_or(u16::MAX)).collect()
}

/// Whether contents are not worth their bytes, see the head of this file.
fn is_executable_or_archive(bytes: &[u8]) -> bool {
    matches!(
        bytes,
        [0x7f, b'E', b'L', b'F', ..]
            | [b'M', b'Z', ..]
            | [0, b'a', b's', b'm', ..]
            | [0xfe, 0xed, 0xfa, 0xce | 0xcf, ..]
            | [0xce | 0xcf, 0xfa, 0xed, 0xfe, ..]
            | [0xca, 0xfe, 0xba, 0xbe | 0xbf, ..]
            | [b'P', b'K', 3, 4, ..]
            | [0x1f, 0x8b, ..]
            | [0xed, 0xab, 0xee, 0xdb, ..]
    ) || bytes.starts_with(b"!<arch>\n")
}

impl Table {
    /// Notes further leading bytes that no other file has.
    pub(crate) fn looked_for(&mut self, leading: impl Iterator<Item = (usize, &'static [u8])>) {
        for (offset, bytes) in leading {
            if !self.has_looked_for(offset, bytes) {
                self.leading.push((offset, bytes.to_vec()));
            }
        }
    }

    pub(crate) fn has_looked_for(&self, offset: usize, bytes: &[u8]) -> bool {
        self.leading.iter().any(|(at, known)| *at == offset && known == bytes)
    }

    /// The stored form, with the kept bytes as they are stored.
    pub(crate) fn seal(&self, contents: &[u8]) -> Option<Captures> {
        let table = zstd::bulk::compress(&serde_json::to_vec(self).ok()?, LEVEL).ok()?;
        let length = u32::try_from(table.len()).ok()?;
        Some(Captures::from([&length.to_le_bytes(), &table[..], contents].concat()))
    }
}

/// Captures that are read.
pub(crate) struct Opened {
    pub(crate) table: Table,
    pub(crate) contents: Bytes,
}

impl Captures {
    /// The table, and the kept bytes as they are stored. `None` of what this crate did not write.
    pub(crate) fn open(&self) -> Option<Opened> {
        let (length, rest) = self.0.split_first_chunk()?;
        let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
        let table = zstd::stream::decode_all(rest.get(..length)?).ok()?;
        let table = serde_json::from_slice(&table).ok()?;
        Some(Opened { table, contents: self.0.slice(4 + length..) })
    }
}

/// The kept bytes of all files, one after the other.
pub(crate) fn contents(stored: &Bytes) -> io::Result<Box<dyn Read + '_>> {
    if stored.is_empty() {
        return Ok(Box::new(io::empty()));
    }
    Ok(Box::new(zstd::stream::read::Decoder::with_buffer(&stored[..])?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn capture(limits: &Limits, files: &[&[u8]]) -> Option<Captures> {
        let mut capturing = Capturing::new(limits);
        for (entry, bytes) in files.iter().enumerate() {
            capturing.add(Seen { entry, executable: false, sparse: false, bytes, held: true, by: &[(3, false)] });
        }
        capturing.finish([(0, &b"\x7fELF"[..])].into_iter())
    }

    fn kept(captures: &Captures) -> Vec<u32> {
        captures.open().expect("is ours").table.files.iter().map(|file| file.kept).collect()
    }

    #[test]
    fn small_texts_are_kept_and_of_the_rest_the_beginning() {
        let limits = Limits { captured_file: 100, captured: 150, ..Limits::default() };
        let binary = [&b"\x7fELF"[..], &[0; 90]].concat();
        let captures = capture(&limits, &[&[b'a'; 100], &[b'b'; 101], &binary, &[b'c'; 70], &[b'd'; 50]]);
        let captures = captures.expect("is kept");
        assert_eq!(kept(&captures), [100, 64, 64, 64, 50], "over the file's limit, an executable, over the layer's");
        let opened = captures.open().expect("is ours");
        assert_eq!(opened.table.leading, [(0, b"\x7fELF".to_vec())]);
        assert_eq!(*opened.table.files[1].by, [3]);
        let mut bytes = Vec::new();
        contents(&opened.contents).expect("opens").read_to_end(&mut bytes).expect("decodes");
        let expected = [&[b'a'; 100][..], &[b'b'; 64], &binary[..64], &[b'c'; 64], &[b'd'; 50]].concat();
        assert_eq!(bytes, expected);
        // As another cache would keep it.
        let json = serde_json::to_string(&captures).expect("serialises");
        assert_eq!(serde_json::from_str::<Captures>(&json).expect("parses"), captures);
    }

    #[test]
    fn what_is_not_ours_is_nothing() {
        for bytes in [&b""[..], b"\0\0\0", b"\xff\xff\xff\xffx", b"\x04\0\0\0abcd", b"\0\0\0\0"] {
            assert!(Captures::from(bytes.to_vec()).open().is_none(), "{bytes:?}");
        }
        assert_eq!(kept(&capture(&Limits::default(), &[]).expect("nothing is little")), [0_u32; 0]);
    }
}
