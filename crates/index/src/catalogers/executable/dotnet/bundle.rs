//! Single-file bundles: a program with an application's files behind it.
//!
//! Source of the format: <https://github.com/dotnet/runtime>, `src/native/corehost/bundle` and
//! `src/installer/managed/Microsoft.NET.HostModel/Bundle`. The program has a place of 8 bytes for the offset of the
//! bundle's header, and a signature behind it to find that place by; an offset of zero is a program without bundle.
//!
//! | Header | |
//! | --- | --- |
//! | `u32`, `u32` | major version (1 for .NET Core 3, 2 for .NET 5, 6 since .NET 6) and minor version |
//! | `i32` | number of files |
//! | string | ID: its length in groups of 7 bits, and as many bytes |
//! | `i64` × 4, `u64` | since version 2: where `deps.json` and `runtimeconfig.json` are, and flags |
//! | each file | `i64` offset, `i64` size, since version 6 `i64` compressed size (0: stored), `u8` type, string path |
//!
//! Compressed files are deflated, without a header.

use std::borrow::Cow;
use std::io::Read;

use flate2::read::DeflateDecoder;
use memchr::memmem;

use crate::Problem;

/// SHA-256 of `.net core bundle` and a line feed.
const SIGNATURE: [u8; 32] = [
    0x8b, 0x12, 0x02, 0xb9, 0x6a, 0x61, 0x20, 0x38, 0x72, 0x7b, 0x93, 0x02, 0x14, 0xd7, 0xa0, 0x32, 0x13, 0xf5, 0xb9,
    0xe6, 0xef, 0xae, 0x33, 0x18, 0xee, 0x3b, 0x2d, 0xce, 0x24, 0xb3, 0x6a, 0xae,
];

/// Files of a bundle; a whole desktop application with its runtime has a thousand.
const MOST_FILES: usize = 20_000;

/// Inflated bytes of one file of a bundle.
const LARGEST_FILE: u64 = 32 << 20;

/// Inflated bytes of all files that are looked at.
const MOST_INFLATED: u64 = 256 << 20;

/// The files of a bundle.
#[derive(Debug)]
pub(super) struct Bundle<'a> {
    bytes: &'a [u8],
    entries: Vec<Entry>,
    inflated: std::cell::Cell<u64>,
}

#[derive(Debug)]
struct Entry {
    offset: u64,
    size: u64,
    compressed_size: u64,
    path: String,
}

/// One file of a bundle.
pub(super) struct BundledFile<'a> {
    pub(super) path: Cow<'a, str>,
    bundle: &'a Bundle<'a>,
    entry: &'a Entry,
}

/// The bundle of a program, if it has one.
pub(super) fn find(bytes: &[u8]) -> Result<Option<Bundle<'_>>, Problem> {
    // The signature may stand elsewhere in a program that deals with bundles; those are few.
    for at in memmem::find_iter(bytes, &SIGNATURE).take(4) {
        let place = at.checked_sub(8).and_then(|start| bytes.get(start..at)?.first_chunk().copied());
        let Some(offset) = place.map(u64::from_le_bytes).filter(|offset| *offset != 0) else { continue };
        let rest = usize::try_from(offset).ok().and_then(|offset| bytes.get(offset..));
        let entries = rest.map(entries).ok_or_else(|| Problem::malformed("bundle: its header is past the end"))?;
        let entries = entries.ok_or_else(|| Problem::malformed("bundle: its list of files is broken"))?;
        return Ok(Some(Bundle { bytes, entries, inflated: 0.into() }));
    }
    Ok(None)
}

fn entries(header: &[u8]) -> Option<Vec<Entry>> {
    let mut rest = header;
    let major = u32::from_le_bytes(take(&mut rest)?);
    if !(1..=32).contains(&major) {
        return None;
    }
    take::<4>(&mut rest)?;
    let count = usize::try_from(i32::from_le_bytes(take(&mut rest)?)).ok().filter(|count| *count <= MOST_FILES)?;
    string(&mut rest)?;
    if major >= 2 {
        take::<40>(&mut rest)?;
    }
    let mut entries = Vec::new();
    for _ in 0..count {
        let offset = u64::from_le_bytes(take(&mut rest)?);
        let size = u64::from_le_bytes(take(&mut rest)?);
        let compressed_size = if major >= 6 { u64::from_le_bytes(take(&mut rest)?) } else { 0 };
        take::<1>(&mut rest)?;
        entries.push(Entry { offset, size, compressed_size, path: string(&mut rest)? });
    }
    Some(entries)
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (head, tail) = rest.split_first_chunk()?;
    *rest = tail;
    Some(*head)
}

fn string(rest: &mut &[u8]) -> Option<String> {
    let mut length = 0;
    for group in 0..2 {
        let [byte] = take(rest)?;
        length |= usize::from(byte & 0x7f) << (7 * group);
        if byte & 0x80 == 0 {
            let (text, tail) = rest.split_at_checked(length)?;
            *rest = tail;
            return Some(String::from_utf8_lossy(text).into_owned());
        }
    }
    None
}

impl Bundle<'_> {
    pub(super) fn files(&self) -> impl Iterator<Item = BundledFile<'_>> {
        self.entries.iter().map(|entry| BundledFile { path: Cow::Borrowed(&entry.path), bundle: self, entry })
    }
}

impl<'a> BundledFile<'a> {
    pub(super) fn contents(&self) -> Result<Cow<'a, [u8]>, Problem> {
        let Entry { offset, size, compressed_size, .. } = *self.entry;
        let stored = if compressed_size == 0 { size } else { compressed_size };
        let start = usize::try_from(offset).ok();
        let end = offset.checked_add(stored).and_then(|end| usize::try_from(end).ok());
        let range = start.zip(end).and_then(|(start, end)| self.bundle.bytes.get(start..end));
        let bytes = range.ok_or_else(|| Problem::malformed(format!("bundle: {} is past the end", self.path)))?;
        if compressed_size == 0 {
            return Ok(Cow::Borrowed(bytes));
        }
        let inflated = self.bundle.inflated.get().saturating_add(size);
        for (size, limit) in [(size, LARGEST_FILE), (inflated, MOST_INFLATED)] {
            if size > limit {
                return Err(Problem::TooLarge { size, limit });
            }
        }
        self.bundle.inflated.set(inflated);
        let mut out = Vec::new();
        DeflateDecoder::new(bytes)
            .take(size)
            .read_to_end(&mut out)
            .map_err(|error| Problem::malformed(format!("bundle: inflate {}: {error}", self.path)))?;
        Ok(Cow::Owned(out))
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::io::Write;

    use flate2::{Compression, write::DeflateEncoder};

    use super::*;

    /// A program with a bundle of these files: path, contents, whether to compress.
    pub(in crate::catalogers::executable::dotnet) fn bundle(
        program: &[u8],
        version: u32,
        files: &[(&str, &[u8], bool)],
    ) -> Vec<u8> {
        let mut out = program.to_vec();
        let place = out.len();
        out.extend([0; 8]);
        out.extend(SIGNATURE);
        let mut list = Vec::new();
        for (path, contents, compress) in files {
            let offset = out.len() as u64;
            let mut compressed_size = 0;
            if *compress {
                let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
                encoder.write_all(contents).unwrap();
                let deflated = encoder.finish().unwrap();
                compressed_size = deflated.len() as u64;
                out.extend(deflated);
            } else {
                out.extend_from_slice(contents);
            }
            list.extend(offset.to_le_bytes());
            list.extend((contents.len() as u64).to_le_bytes());
            if version >= 6 {
                list.extend(compressed_size.to_le_bytes());
            }
            list.extend([1, path.len() as u8]);
            list.extend(path.as_bytes());
        }
        let header = out.len() as u64;
        out[place..place + 8].copy_from_slice(&header.to_le_bytes());
        for number in [version, 0, files.len() as u32] {
            out.extend(number.to_le_bytes());
        }
        out.extend(b"\x03abc");
        if version >= 2 {
            out.extend([0; 40]);
        }
        out.extend(list);
        out
    }

    #[test]
    fn the_signature_is_what_the_runtime_says() {
        use sha2::{Digest, Sha256};
        assert_eq!(Sha256::digest(b".net core bundle\n").as_slice(), SIGNATURE);
    }

    #[test]
    fn files_are_found() {
        let bytes = bundle(b"program", 6, &[("a/b.txt", b"hello", false), ("c", &[7; 1000], true)]);
        let bundle = find(&bytes).unwrap().unwrap();
        let files: Vec<_> =
            bundle.files().map(|file| (file.path.to_string(), file.contents().unwrap().into_owned())).collect();
        assert_eq!(files, [("a/b.txt".to_owned(), b"hello".to_vec()), ("c".to_owned(), vec![7; 1000])]);
    }

    #[test]
    fn programs_without_a_bundle_have_none() {
        let mut empty_place = [0; 48];
        empty_place[16..].copy_from_slice(&SIGNATURE);
        for bytes in [&b""[..], b"program", &SIGNATURE, &empty_place] {
            assert!(find(bytes).unwrap().is_none());
        }
    }

    #[test]
    fn lies_are_refused() {
        let good = bundle(b"", 6, &[("a", b"hello", true)]);
        let check = |at: usize, value: u64, expected: &str| {
            let mut bytes = good.clone();
            bytes[at..at + 8].copy_from_slice(&value.to_le_bytes());
            let problem = match find(&bytes) {
                Err(problem) => problem,
                Ok(bundle) => bundle.unwrap().files().next().unwrap().contents().unwrap_err(),
            };
            assert_eq!(problem.to_string(), expected);
        };
        let list = good.len() - 27;
        check(0, u64::MAX, "bundle: its header is past the end");
        check(0, 1, "bundle: its list of files is broken");
        check(list, u64::MAX, "bundle: a is past the end");
        check(list + 8, u64::MAX, "18446744073709551615 bytes are over the limit of 33554432");
        check(list + 16, u64::MAX - 1, "bundle: a is past the end");
    }
}
