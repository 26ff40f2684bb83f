//! Finding Go and auditable Rust binaries without reading the others.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use super::reader::{Reader, files};
use super::scan::name_in_image;
use crate::Entry;

/// Each binary above this is left out: one of them would eat the whole budget.
const BINARY_LIMIT: u64 = 24 << 20;
/// Binaries that are taken in all.
const COUNT_LIMIT: usize = 6;
/// The names of sections take some hundred bytes; this is far more.
const NAMES_LIMIT: u64 = 64 << 10;

/// The binaries in `places` whose sections tell what they were built from.
pub(super) fn find(places: &[PathBuf], root: &Path, reader: &mut Reader) -> Vec<Entry> {
    let mut entries = Vec::new();
    for path in places.iter().flat_map(|place| files(place)) {
        if entries.len() == COUNT_LIMIT {
            break;
        }
        if !tells_its_packages(&path) {
            continue;
        }
        let Some(name) = name_in_image(&path, root) else { continue };
        if let Some(contents) = reader.read(&path, BINARY_LIMIT) {
            entries.push(Entry::executable(name, contents));
        }
    }
    entries
}

/// Whether an ELF file has a section with Go's or cargo-auditable's build information.
///
/// Reads the headers and the names of the sections alone, some kilobytes of a file.
fn tells_its_packages(path: &Path) -> bool {
    let Some(names) = section_names(path) else { return false };
    names.split(|byte| *byte == 0).any(|name| name == b".go.buildinfo" || name == b".dep-v0")
}

fn section_names(path: &Path) -> Option<Vec<u8>> {
    let mut file = File::open(path).ok()?;
    let header = bytes_at::<64>(&mut file, 0)?;
    // 64 bits, little endian: what servers run on. Others are left to the real indexer.
    if !header.starts_with(b"\x7fELF\x02\x01") {
        return None;
    }
    let sections = u64::from_le_bytes(header[40..48].try_into().ok()?);
    let size = u16::from_le_bytes(header[58..60].try_into().ok()?);
    let index = u16::from_le_bytes(header[62..64].try_into().ok()?);
    let section = bytes_at::<64>(&mut file, sections.checked_add(u64::from(size) * u64::from(index))?)?;
    let offset = u64::from_le_bytes(section[24..32].try_into().ok()?);
    let length = u64::from_le_bytes(section[32..40].try_into().ok()?);
    file.seek(SeekFrom::Start(offset)).ok()?;
    let mut names = Vec::new();
    file.take(length.min(NAMES_LIMIT)).read_to_end(&mut names).ok()?;
    Some(names)
}

fn bytes_at<const N: usize>(file: &mut File, offset: u64) -> Option<[u8; N]> {
    file.seek(SeekFrom::Start(offset)).ok()?;
    let mut bytes = [0; N];
    file.read_exact(&mut bytes).ok()?;
    Some(bytes)
}
