//! The header of a package: what rpm keeps of it in its database, and what begins a package file.
//!
//! All numbers are big-endian. Two counts, of index entries and of data bytes; then the entries, 16 bytes each (tag,
//! type, offset of the first value in the data, count of values); then the data. What a later entry says replaces
//! what an earlier one of the same tag said: rpm adds to a header behind the part that was signed. Format:
//! `docs/manual/format_header.md` and `lib/header.c` of rpm; tags: `docs/manual/tags.md`.

use memchr::memchr;

use crate::Problem;

/// The tags that are read, with their numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(super) enum Tag {
    SigPgp = 259,
    SigGpg = 262,
    DsaHeader = 267,
    RsaHeader = 268,
    /// Signatures in base64, since rpm 6.
    OpenPgp = 278,
    Name = 1000,
    Version = 1001,
    Release = 1002,
    Epoch = 1003,
    Summary = 1004,
    Size = 1009,
    Vendor = 1011,
    License = 1014,
    Packager = 1015,
    Url = 1020,
    Arch = 1022,
    /// Whole paths, before rpm 4 parted them.
    OldFileNames = 1027,
    FileStates = 1029,
    FileModes = 1030,
    SourceRpm = 1044,
    ProvideName = 1047,
    RequireFlags = 1048,
    RequireName = 1049,
    DirIndexes = 1116,
    BaseNames = 1117,
    DirNames = 1118,
    LongSize = 5009,
    ModularityLabel = 5096,
}

const TAGS: [Tag; 28] = [
    Tag::SigPgp,
    Tag::SigGpg,
    Tag::DsaHeader,
    Tag::RsaHeader,
    Tag::OpenPgp,
    Tag::Name,
    Tag::Version,
    Tag::Release,
    Tag::Epoch,
    Tag::Summary,
    Tag::Size,
    Tag::Vendor,
    Tag::License,
    Tag::Packager,
    Tag::Url,
    Tag::Arch,
    Tag::OldFileNames,
    Tag::FileStates,
    Tag::FileModes,
    Tag::SourceRpm,
    Tag::ProvideName,
    Tag::RequireFlags,
    Tag::RequireName,
    Tag::DirIndexes,
    Tag::BaseNames,
    Tag::DirNames,
    Tag::LongSize,
    Tag::ModularityLabel,
];

/// The types of values that are read.
mod kind {
    pub(super) const CHAR: u32 = 1;
    pub(super) const INT8: u32 = 2;
    pub(super) const INT16: u32 = 3;
    pub(super) const INT32: u32 = 4;
    pub(super) const INT64: u32 = 5;
    pub(super) const STRING: u32 = 6;
    pub(super) const BIN: u32 = 7;
    pub(super) const STRING_ARRAY: u32 = 8;
    /// Translations of one text, the untranslated first.
    pub(super) const I18N_STRING: u32 = 9;
}

/// Longest single text that is kept. Licence expressions reach 3 KiB; what is longer is no name and no version.
const LONGEST_TEXT: usize = 16 * 1024;

/// A header. Nothing in it is trusted: a value that is not where or what it should be is missing.
#[derive(Debug)]
pub(super) struct Header<'a> {
    entries: [Option<Entry>; TAGS.len()],
    data: &'a [u8],
    /// Bytes that texts may still take. Entries of a hostile header may all point to one long text.
    text_left: usize,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    kind: u32,
    offset: usize,
    count: usize,
}

impl<'a> Header<'a> {
    /// Reads a header as it lies in the database: without the magic that it has in a package file.
    pub(super) fn parse(blob: &'a [u8]) -> Result<Self, Problem> {
        let cut_off = || Problem::malformed("rpm: a header is cut off");
        let (entries, length) = counts(blob).ok_or_else(cut_off)?;
        if entries == 0 {
            return Err(Problem::malformed("rpm: a header has no entries"));
        }
        let (index, data) = entries
            .checked_mul(16)
            .and_then(|index| blob.get(8..)?.split_at_checked(index))
            .and_then(|(index, data)| Some((index, data.get(..length)?)))
            .ok_or_else(cut_off)?;
        let mut header = Self { entries: [None; TAGS.len()], data, text_left: data.len() };
        for entry in index.chunks_exact(16) {
            let tag = be32(entry, 0);
            if let Some(slot) = TAGS.iter().position(|&known| Some(known as u32) == tag) {
                header.entries[slot] = (|| {
                    Some(Entry {
                        kind: be32(entry, 4)?,
                        offset: usize::try_from(be32(entry, 8)?).ok()?,
                        count: usize::try_from(be32(entry, 12)?).ok()?,
                    })
                })();
            }
        }
        Ok(header)
    }

    /// A text, or the first of several. `None` if there is none, or if rpm would print `(none)` for it: rebuilt
    /// databases hold that literally.
    pub(super) fn text(&mut self, tag: Tag) -> Option<String> {
        let entry = self.entry(tag)?;
        if !matches!(entry.kind, kind::STRING | kind::STRING_ARRAY | kind::I18N_STRING) {
            return None;
        }
        let data = self.data.get(entry.offset..)?;
        let text = &data[..memchr(0, &data[..data.len().min(LONGEST_TEXT)])?];
        self.text_left = self.text_left.checked_sub(text.len())?;
        let text = String::from_utf8_lossy(text);
        let text = text.trim();
        (!text.is_empty() && text != "(none)").then(|| text.to_owned())
    }

    /// The first of the numbers.
    pub(super) fn number(&self, tag: Tag) -> Option<u64> {
        let entry = self.entry(tag)?;
        let bytes = |length| self.data.get(entry.offset..)?.get(..length);
        match entry.kind {
            kind::INT32 => Some(u32::from_be_bytes(bytes(4)?.try_into().ok()?).into()),
            kind::INT64 => Some(u64::from_be_bytes(bytes(8)?.try_into().ok()?)),
            _ => None,
        }
    }

    /// Bytes of no further type.
    pub(super) fn bytes(&self, tag: Tag) -> Option<&'a [u8]> {
        let entry = self.entry(tag).filter(|entry| entry.kind == kind::BIN)?;
        self.data.get(entry.offset..)?.get(..entry.count)
    }

    /// All texts, as they are; of a broken array those that are whole.
    pub(super) fn texts(&self, tag: Tag) -> Texts<'a> {
        let array = self.entry(tag).filter(|entry| matches!(entry.kind, kind::STRING_ARRAY | kind::STRING));
        match array {
            Some(entry) => Texts { rest: self.data.get(entry.offset..).unwrap_or_default(), left: entry.count },
            None => Texts { rest: &[], left: 0 },
        }
    }

    /// How many values there are, by the entry.
    pub(super) fn count(&self, tag: Tag) -> usize {
        self.entry(tag).map_or(0, |entry| entry.count)
    }

    /// Numbers of 32 bits.
    pub(super) fn int32s(&self, tag: Tag) -> Numbers<'a, 4> {
        self.numbers(tag, &[kind::INT32])
    }

    /// Numbers of 16 bits.
    pub(super) fn int16s(&self, tag: Tag) -> Numbers<'a, 2> {
        self.numbers(tag, &[kind::INT16])
    }

    /// Numbers of 8 bits.
    pub(super) fn int8s(&self, tag: Tag) -> Numbers<'a, 1> {
        self.numbers(tag, &[kind::CHAR, kind::INT8])
    }

    fn numbers<const WIDTH: usize>(&self, tag: Tag, kinds: &[u32]) -> Numbers<'a, WIDTH> {
        let entry = self.entry(tag).filter(|entry| kinds.contains(&entry.kind));
        let numbers = entry.and_then(|entry| {
            let numbers = self.data.get(entry.offset..)?.as_chunks().0;
            Some(&numbers[..numbers.len().min(entry.count)])
        });
        Numbers(numbers.unwrap_or_default())
    }

    fn entry(&self, tag: Tag) -> Option<Entry> {
        TAGS.iter().position(|&known| known == tag).and_then(|slot| self.entries[slot])
    }
}

/// The numbers of an array, those that are there.
#[derive(Clone, Copy, Debug)]
pub(super) struct Numbers<'a, const WIDTH: usize>(&'a [[u8; WIDTH]]);

impl Numbers<'_, 4> {
    pub(super) fn get(&self, index: usize) -> Option<u32> {
        self.0.get(index).map(|bytes| u32::from_be_bytes(*bytes))
    }
}

impl Numbers<'_, 2> {
    pub(super) fn get(&self, index: usize) -> Option<u16> {
        self.0.get(index).map(|bytes| u16::from_be_bytes(*bytes))
    }
}

impl Numbers<'_, 1> {
    pub(super) fn get(&self, index: usize) -> Option<u8> {
        self.0.get(index).map(|[byte]| *byte)
    }
}

/// The texts of an array.
#[derive(Debug)]
pub(super) struct Texts<'a> {
    rest: &'a [u8],
    left: usize,
}

impl<'a> Iterator for Texts<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        self.left = self.left.checked_sub(1)?;
        let end = memchr(0, self.rest)?;
        let text = &self.rest[..end];
        self.rest = &self.rest[end + 1..];
        Some(text)
    }
}

/// The counts that a header begins with: index entries, bytes of data.
pub(super) fn counts(bytes: &[u8]) -> Option<(usize, usize)> {
    Some((usize::try_from(be32(bytes, 0)?).ok()?, usize::try_from(be32(bytes, 4)?).ok()?))
}

fn be32(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(bytes.get(at..at.checked_add(4)?)?.try_into().ok()?))
}
