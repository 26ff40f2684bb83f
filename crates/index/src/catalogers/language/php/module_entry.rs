//! The name and the version that a PHP extension registers itself with.
//!
//! An extension is a shared library with a structure `zend_module_entry` (`Zend/zend_modules.h`) in its data. The
//! pointers in it are filled in when it is loaded, from the relocations.
//!
//! | Offset, 32-bit | 64-bit | |
//! | --- | --- | --- |
//! | 0 | 0 | `u16` size of the structure: 92, 168 |
//! | 4 | 4 | `u32` version of the API, a date: 20230831 |
//! | 20 | 32 | pointer to the name |
//! | 48 | 88 | pointer to the version; null if it has none |
//! | 88 | 160 | pointer to the build: `API20230831,NTS` |

use std::collections::HashMap;

use object::read::elf::{ElfFile, FileHeader};
use object::{Object as _, ObjectSection as _, ObjectSegment as _, RelocationTarget, SectionKind};

/// Relocations of one library that are looked at; `intl.so` has some thousand.
const MOST_RELOCATIONS: usize = 200_000;

/// Segments of one library; linkers make about ten.
const MOST_SEGMENTS: usize = 64;

/// Bytes of data that are searched; extensions have some kilobytes.
const MOST_DATA: usize = 16 << 20;

/// Places that look like the structure.
const MOST_CANDIDATES: usize = 1000;

/// Characters of a version.
const LONGEST_VERSION: usize = 64;

/// Where what is, for one size of pointers.
struct Layout {
    pointer: usize,
    size: u16,
    version: u64,
    build: u64,
}

const LAYOUT_32: Layout = Layout { pointer: 4, size: 92, version: 48, build: 88 };
const LAYOUT_64: Layout = Layout { pointer: 8, size: 168, version: 88, build: 160 };

/// The version of the extension that `bytes` is; `None` if it is none or has none.
pub(super) fn version(bytes: &[u8]) -> Option<String> {
    match object::File::parse(bytes).ok()? {
        object::File::Elf32(file) => Image::new(&file, LAYOUT_32).find(&file),
        object::File::Elf64(file) => Image::new(&file, LAYOUT_64).find(&file),
        _ => None,
    }
}

struct Image<'data> {
    layout: Layout,
    little_endian: bool,
    segments: Vec<(u64, &'data [u8])>,
    /// Addresses of pointers, with what they point to.
    pointers: HashMap<u64, u64>,
}

impl<'data> Image<'data> {
    fn new<Elf: FileHeader>(file: &ElfFile<'data, Elf>, layout: Layout) -> Self {
        let segments = file.segments().take(MOST_SEGMENTS);
        let segments = segments.filter_map(|segment| Some((segment.address(), segment.data().ok()?))).collect();
        let mut pointers = HashMap::new();
        for (at, relocation) in file.dynamic_relocations().into_iter().flatten().take(MOST_RELOCATIONS) {
            // Strings have no symbols. Where the addend is in the place itself, it is read there.
            if relocation.target() == RelocationTarget::Absolute && !relocation.has_implicit_addend() {
                pointers.insert(at, relocation.addend().cast_unsigned());
            }
        }
        Self { layout, little_endian: file.is_little_endian(), segments, pointers }
    }

    fn find<Elf: FileHeader>(&self, file: &ElfFile<'data, Elf>) -> Option<String> {
        let data = file.sections().filter(|section| {
            matches!(section.kind(), SectionKind::Data | SectionKind::ReadOnlyDataWithRel)
                || section.name().is_ok_and(|name| name.starts_with(".data"))
        });
        let (mut searched, mut candidates) = (0, 0);
        for section in data {
            let Ok(bytes) = section.data() else { continue };
            searched += bytes.len();
            if searched > MOST_DATA {
                return None;
            }
            let pointer = self.layout.pointer as u64;
            let start = usize::try_from((pointer - section.address() % pointer) % pointer).ok()?;
            for (index, head) in bytes.get(start..).unwrap_or_default().chunks_exact(self.layout.pointer).enumerate() {
                let offset = start + index * self.layout.pointer;
                if head.starts_with(&self.size_bytes()) {
                    candidates += 1;
                    if candidates > MOST_CANDIDATES {
                        return None;
                    }
                    let at = section.address().wrapping_add(offset as u64);
                    if self.is_entry(at, &bytes[offset..]) {
                        let version = self.text(self.pointer(at.wrapping_add(self.layout.version))?)?;
                        // `mysqlnd 8.2.36`.
                        let version = version.rsplit(' ').next().unwrap_or(version);
                        return is_version(version).then(|| version.to_owned());
                    }
                }
            }
        }
        None
    }

    fn size_bytes(&self) -> [u8; 2] {
        if self.little_endian { self.layout.size.to_le_bytes() } else { self.layout.size.to_be_bytes() }
    }

    /// Whether the structure is at `at`, where `bytes` are and the size is right.
    fn is_entry(&self, at: u64, bytes: &[u8]) -> bool {
        let Some(&api) = bytes.get(4..).and_then(|bytes| bytes.first_chunk()) else { return false };
        let api = if self.little_endian { u32::from_le_bytes(api) } else { u32::from_be_bytes(api) };
        (20_000_000..21_000_000).contains(&api)
            && self
                .pointer(at.wrapping_add(self.layout.build))
                .and_then(|build| self.text(build))
                .and_then(|build| build.strip_prefix("API")?.strip_prefix(&*api.to_string()))
                .is_some()
    }

    fn pointer(&self, at: u64) -> Option<u64> {
        if let Some(target) = self.pointers.get(&at) {
            return Some(*target);
        }
        let bytes = self.bytes(at)?.get(..self.layout.pointer)?;
        let digits: Vec<u8> = if self.little_endian { bytes.iter().rev().copied().collect() } else { bytes.to_vec() };
        Some(digits.iter().fold(0, |value, digit| value << 8 | u64::from(*digit))).filter(|target| *target != 0)
    }

    fn text(&self, at: u64) -> Option<&'data str> {
        let bytes = self.bytes(at)?;
        let length = memchr::memchr(0, bytes.get(..LONGEST_VERSION).unwrap_or(bytes))?;
        std::str::from_utf8(&bytes[..length]).ok()
    }

    fn bytes(&self, at: u64) -> Option<&'data [u8]> {
        self.segments.iter().find_map(|(address, bytes)| {
            let offset = usize::try_from(at.checked_sub(*address)?).ok()?;
            bytes.get(offset..).filter(|bytes| !bytes.is_empty())
        })
    }
}

/// Not the date of an API, which `dom` has for a version.
fn is_version(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_digit())
        && text.contains('.')
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b".-+_~".contains(&b))
}
