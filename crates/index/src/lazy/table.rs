//! The table of contents, as both formats write it: JSON with a row for each entry of the tar and for each further chunk
//! of a file (google/crfs `stargz/stargz.go`, `TOCEntry`; the documents named in [`super`]).

use std::io::{self, Read};
use std::ops::Range;

use serde::{Deserialize, Deserializer, de};
use sha2::{Digest as _, Sha256};

use super::ranges::Ranges;
use super::{Form, Unread, Vouched};
use crate::cataloger::LEADING_BYTES;
use crate::inflate::{Hasher, Inflated, Inflater};
use crate::tar::{TarReader, TypeFlag};
use crate::{Descriptor, DiffIds, Limits};

/// Name of the table in an eStargz layer's tar.
const NAME: &str = "stargz.index.json";

/// Bytes of eStargz's footer, and of the one before it, which has no header in its extra field.
const FOOTER: u64 = 51;
const LEGACY_FOOTER: usize = 47;

/// What a table says.
#[derive(Debug, Default)]
pub(super) struct Table {
    /// In the order of the tar.
    pub(super) entries: Vec<Entry>,
    chunks: Vec<Chunk>,
    /// What the table begins with, where it is a file of the layer.
    pub(super) head: Vec<u8>,
}

#[derive(Debug)]
pub(super) struct Entry {
    pub(super) name: String,
    pub(super) target: String,
    pub(super) kind: TypeFlag,
    /// Bytes of a regular file.
    pub(super) size: u64,
    pub(super) executable: bool,
    chunks: Range<usize>,
}

/// A part of a file that is compressed on its own, or lies in a stream that is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Chunk {
    /// Where the stream begins in the blob.
    pub(super) offset: u64,
    /// Where the next one begins, or later.
    pub(super) end: u64,
    /// Inflated bytes of the stream before the chunk.
    pub(super) inner: u64,
    /// Inflated bytes of the chunk.
    pub(super) length: u64,
    pub(super) sha256: [u8; 32],
}

impl Table {
    /// Fetches the table and verifies it.
    pub(super) fn fetch(
        layer: &Descriptor,
        vouched: &Vouched,
        ranges: &mut Ranges,
        limits: &Limits,
    ) -> Result<Self, Unread> {
        let place = match vouched.form {
            Form::ZstdChunked(start, end) => start..end,
            Form::EStargz => footer(layer, ranges)?,
        };
        ranges.seek(place.clone())?;
        let read = Self::read(ranges, &place, vouched, limits);
        if ranges.has_failed() {
            return Err(ranges.failed());
        }
        let (mut table, size) = read.map_err(|_| Unread::Whole("its table of contents is not as it should be"))?;
        table.check(place.start, limits).ok_or(Unread::Whole("its table of contents contradicts itself"))?;
        if vouched.form == Form::EStargz {
            table.entries.push(Entry {
                name: NAME.to_owned(),
                target: String::new(),
                kind: TypeFlag::File,
                size,
                executable: false,
                chunks: 0..0,
            });
        }
        Ok(table)
    }

    /// The table and the bytes of its JSON.
    fn read(ranges: &mut Ranges, place: &Range<u64>, vouched: &Vouched, limits: &Limits) -> io::Result<(Self, u64)> {
        let hasher = || Hasher::like(&vouched.digest).ok_or_else(|| io::Error::other("an unknown digest"));
        let limits = Limits { layer_size: limits.table_of_contents, ..limits.clone() };
        let never = Box::new(|_| false);
        let inflater = Inflater::open(ranges, hasher()?, place.end - place.start, &limits, never)?;
        let mut inflated = Inflated::new(inflater, DiffIds::Claimed);
        let (mut table, digest, size): (Self, _, _);
        if vouched.form == Form::EStargz {
            let mut tar = TarReader::new(&mut inflated, &limits);
            let entry = tar.next().map_err(|_| io::Error::other("it is in no tar"))?;
            size = match entry {
                Some(entry) if entry.path == NAME.as_bytes() && entry.sparse.is_none() => entry.size,
                _ => return Err(io::Error::other("another file is in its place")),
            };
            let mut json = Hashed { inner: tar.take(size), hasher: hasher()?, head: Vec::new() };
            table = parse(&mut json)?;
            table.head = json.head;
            digest = json.hasher.finish();
        } else {
            table = parse(&mut inflated)?;
            let facts = inflated.finish();
            (size, digest) = (facts.0, facts.2.digest);
        }
        if digest != vouched.digest {
            return Err(io::Error::other("it has another digest"));
        }
        Ok((table, size))
    }

    pub(super) fn chunks(&self, entry: &Entry) -> &[Chunk] {
        &self.chunks[entry.chunks.clone()]
    }

    /// Fills in what rows leave to the rows around them. `None` if the table does not name, one after the other, all
    /// bytes of all its files, in a way that a whole reading is sure to see alike.
    fn check(&mut self, end_of_files: u64, limits: &Limits) -> Option<()> {
        let longest = limits.path_length.min(usize::from(u16::MAX));
        let mut total = 0_u64;
        for entry in &self.entries {
            // JSON is written with a replacement for what is no text, and not everybody replaces alike.
            let sound = |name: &str| name.len() <= longest && !name.contains('\u{fffd}');
            if !sound(&entry.name) || !sound(&entry.target) {
                return None;
            }
            total = total.checked_add(entry.size)?;
            let chunks = &mut self.chunks[entry.chunks.clone()];
            let mut covered = 0_u64;
            let last = chunks.len().checked_sub(1);
            for (number, chunk) in chunks.iter_mut().enumerate() {
                let left = entry.size.checked_sub(covered).filter(|left| *left > 0)?;
                // Until here `end` is the chunk's place in the file.
                if chunk.end != covered || chunk.offset == 0 {
                    return None;
                }
                if Some(number) == last && chunk.length == 0 {
                    chunk.length = left;
                }
                if chunk.length == 0 || chunk.length > left {
                    return None;
                }
                covered += chunk.length;
            }
            if covered != entry.size {
                return None;
            }
        }
        // Limits that a whole reading refuses by.
        if self.entries.len() as u64 >= limits.entries || total > limits.layer_size {
            return None;
        }
        let mut before: Option<Chunk> = None;
        for chunk in &self.chunks {
            let follows = match before {
                None => true,
                Some(before) if before.offset == chunk.offset => {
                    before.inner.checked_add(before.length).is_some_and(|end| end <= chunk.inner)
                }
                Some(before) => before.offset < chunk.offset,
            };
            if !follows || chunk.offset >= end_of_files {
                return None;
            }
            before = Some(*chunk);
        }
        let mut next = (end_of_files, end_of_files);
        for chunk in self.chunks.iter_mut().rev() {
            if chunk.offset < next.0 {
                next = (chunk.offset, next.0);
            }
            chunk.end = next.1;
        }
        Some(())
    }
}

/// Where the table is, by the footer of an eStargz layer.
fn footer(layer: &Descriptor, ranges: &mut Ranges) -> Result<Range<u64>, Unread> {
    let start = layer.size() - FOOTER;
    ranges.seek(start..layer.size())?;
    let mut footer = [0; FOOTER as usize];
    if ranges.read_exact(&mut footer).is_err() {
        return Err(ranges.failed());
    }
    let (table, length) = parse_footer(&footer).ok_or(Unread::Whole("it has no footer"))?;
    let end = layer.size() - length;
    if table < end { Ok(table..end) } else { Err(Unread::Whole("its footer points past its end")) }
}

/// Where the table begins, and the footer's length.
fn parse_footer(footer: &[u8; FOOTER as usize]) -> Option<(u64, u64)> {
    let gzip = |bytes: &[u8]| bytes.starts_with(&[0x1f, 0x8b, 8, 4]);
    let offset = |extra: &[u8]| {
        let digits = extra.strip_suffix(b"STARGZ")?;
        u64::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
    };
    let legacy = &footer[footer.len() - LEGACY_FOOTER..];
    if gzip(footer) && footer[10..16] == *b"\x1a\0SG\x16\0" {
        Some((offset(&footer[16..38])?, FOOTER))
    } else if gzip(legacy) && legacy[10..12] == *b"\x16\0" {
        Some((offset(&legacy[12..34])?, LEGACY_FOOTER as u64))
    } else {
        None
    }
}

struct Hashed<R> {
    inner: R,
    hasher: Hasher,
    head: Vec<u8>,
}

impl<R: Read> Read for Hashed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buffer)?;
        self.hasher.update(&buffer[..n]);
        let missing = LEADING_BYTES - self.head.len();
        self.head.extend_from_slice(&buffer[..n.min(missing)]);
        Ok(n)
    }
}

/// Parses all that `json` gives.
fn parse(json: &mut impl Read) -> io::Result<Table> {
    #[derive(Deserialize)]
    struct Document {
        version: u32,
        entries: Table,
    }
    let mut deserializer = serde_json::Deserializer::from_reader(io::BufReader::new(json));
    let document = Document::deserialize(&mut deserializer)?;
    deserializer.end()?;
    if document.version != 1 {
        return Err(io::Error::other("an unknown version"));
    }
    Ok(document.entries)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Row {
    #[serde(default)]
    name: String,
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    size: u64,
    #[serde(default)]
    link_name: String,
    #[serde(default)]
    mode: u64,
    #[serde(default)]
    digest: String,
    #[serde(default)]
    offset: u64,
    #[serde(default)]
    inner_offset: u64,
    #[serde(default)]
    chunk_offset: u64,
    #[serde(default)]
    chunk_size: u64,
    #[serde(default)]
    chunk_digest: String,
}

impl Row {
    fn chunk(&self) -> Option<Chunk> {
        let digest = if self.chunk_digest.is_empty() { &self.digest } else { &self.chunk_digest };
        Some(Chunk {
            offset: self.offset,
            // Its place in the file, until the table is checked.
            end: self.chunk_offset,
            inner: self.inner_offset,
            length: self.chunk_size,
            sha256: sha256(digest)?,
        })
    }
}

fn sha256(digest: &str) -> Option<[u8; 32]> {
    let hex = digest.strip_prefix("sha256:").filter(|hex| hex.len() == 64 && hex.is_ascii())?;
    let mut bytes = [0; 32];
    for (byte, digits) in bytes.iter_mut().zip(hex.as_bytes().chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
    }
    Some(bytes)
}

impl Chunk {
    pub(super) fn is(&self, contents: &[u8]) -> bool {
        contents.len() as u64 == self.length && Sha256::digest(contents)[..] == self.sha256
    }
}

/// Row by row: a table has hundreds of thousands, and most of each is not kept.
impl<'de> Deserialize<'de> for Table {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Rows;
        impl<'de> de::Visitor<'de> for Rows {
            type Value = Table;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("the rows of a table of contents")
            }

            fn visit_seq<A: de::SeqAccess<'de>>(self, mut rows: A) -> Result<Table, A::Error> {
                let mut table = Table::default();
                while let Some(row) = rows.next_element::<Row>()? {
                    table.push(row).ok_or_else(|| de::Error::custom("a row that says too little"))?;
                }
                Ok(table)
            }
        }
        deserializer.deserialize_seq(Rows)
    }
}

impl Table {
    fn push(&mut self, row: Row) -> Option<()> {
        let begin = self.chunks.len();
        let kind = match row.kind.as_str() {
            "chunk" => {
                let file = self.entries.last_mut().filter(|file| !file.chunks.is_empty())?;
                self.chunks.push(row.chunk()?);
                file.chunks.end += 1;
                return Some(());
            }
            "reg" => TypeFlag::File,
            "dir" => TypeFlag::Directory,
            "symlink" => TypeFlag::Symlink,
            "hardlink" => TypeFlag::HardLink,
            "char" => TypeFlag::CharacterDevice,
            "block" => TypeFlag::BlockDevice,
            "fifo" => TypeFlag::Fifo,
            _ => return None,
        };
        let size = if kind == TypeFlag::File { row.size } else { 0 };
        if size > 0 {
            self.chunks.push(row.chunk()?);
        }
        self.entries.push(Entry {
            name: row.name,
            target: row.link_name,
            kind,
            size,
            executable: row.mode & 0o111 != 0,
            chunks: begin..self.chunks.len(),
        });
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn footers_of_both_ages() {
        let footer =
            b"\x1f\x8b\x08\x04\0\0\0\0\0\xff\x1a\0SG\x16\x0000000000005bad1cSTARGZ\x01\0\0\xff\xff\0\0\0\0\0\0\0\0";
        assert_eq!(parse_footer(footer), Some((0x5b_ad1c, 51)));
        let legacy = b"\xff\xff\xff\xff\x1f\x8b\x08\x04\0\0\0\0\0\xff\x16\x0000000000005bad1cSTARGZ\x01\0\0\xff\xff\0\0\0\0\0\0\0\0";
        assert_eq!(parse_footer(legacy), Some((0x5b_ad1c, 47)));
        assert_eq!(parse_footer(&[0; 51]), None);
        let mut broken = *footer;
        broken[20] = b'x';
        assert_eq!(parse_footer(&broken), None);
    }

    fn table(rows: &str) -> Option<Table> {
        let json = format!(r#"{{"version":1,"entries":[{rows}]}}"#);
        let mut table = parse(&mut json.as_bytes()).ok()?;
        table.check(1000, &Limits::default())?;
        Some(table)
    }

    #[test]
    fn chunks_cover_their_file_and_follow_each_other() {
        let digest = format!("sha256:{}", "ab".repeat(32));
        let reg = |name: &str, size: u64, rest: &str| {
            format!(r#"{{"name":"{name}","type":"reg","size":{size},"digest":"{digest}"{rest}}}"#)
        };
        let chunk = |rest: &str| format!(r#"{{"type":"chunk","chunkDigest":"{digest}"{rest}}}"#);
        let read = table(
            &[
                reg("a", 10, r#","offset":100"#),
                reg("b", 25, r#","offset":200,"chunkSize":10"#),
                chunk(r#","offset":300,"chunkOffset":10,"chunkSize":10"#),
                chunk(r#","offset":300,"innerOffset":10,"chunkOffset":20"#),
                reg("empty", 0, ""),
            ]
            .join(","),
        )
        .expect("it is sound");
        let spans: Vec<_> = read.chunks.iter().map(|chunk| (chunk.offset, chunk.end, chunk.length)).collect();
        assert_eq!(spans, [(100, 200, 10), (200, 300, 10), (300, 1000, 10), (300, 1000, 5)]);

        let check = |why: &str, rows: &[String]| assert!(table(&rows.join(",")).is_none(), "{why}");
        check("no offset", &[reg("a", 10, "")]);
        check("behind the table", &[reg("a", 10, r#","offset":1000"#)]);
        check("backwards", &[reg("a", 10, r#","offset":200"#), reg("b", 10, r#","offset":100"#)]);
        check(
            "one over the other",
            &[reg("a", 10, r#","offset":200"#), reg("b", 10, r#","offset":200,"innerOffset":9"#)],
        );
        check("too short", &[reg("a", 10, r#","offset":200,"chunkSize":9"#)]);
        check("too long", &[reg("a", 10, r#","offset":200,"chunkSize":11"#)]);
        let gap = [reg("a", 20, r#","offset":200,"chunkSize":10"#), chunk(r#","offset":300,"chunkOffset":11"#)];
        check("a gap", &gap);
        check("a chunk of nothing", &[chunk(r#","offset":300"#)]);
        check("not text", &[r#"{"name":"a\ufffd","type":"dir"}"#.to_owned()]);
        check("no digest", &[r#"{"name":"a","type":"reg","size":1,"offset":100}"#.to_owned()]);
        check("a negative size", &[r#"{"name":"a","type":"reg","size":-1,"offset":100}"#.to_owned()]);
        check("an unknown type", &[r#"{"name":"a","type":"door"}"#.to_owned()]);
    }
}
