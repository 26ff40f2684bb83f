//! Crates, from the list that cargo-auditable has the linker put into a program.
//!
//! Source of the format: <https://github.com/rust-secure-code/cargo-auditable/blob/master/PARSING.md>.
//!
//! | Part | |
//! | --- | --- |
//! | section `.dep-v0` (ELF, PE, Mach-O), custom section `.dep-v0` (WebAssembly) | zlib |
//! | inflated | JSON: `{"packages": [{"name", "version", "source", "kind", "dependencies", "root"}]}` |
//! | `dependencies` | indexes of others in the list |
//! | `kind` | `build` for what only build scripts used: not in the program, so no package; otherwise absent or `runtime` |

use std::borrow::Cow;
use std::io::{self, Read};

use flate2::read::ZlibDecoder;
use flate2::{Decompress, FlushDecompress};
use memchr::memmem;
use object::{Object as _, ObjectSection as _};
use serde::Deserialize;

use super::window::Window;
use crate::catalogers::{MOST_DEPENDENCIES, binary, check_count};
use crate::package::{Package, Requirement};
use crate::{Cataloger, Contents, File, Findings, Interest, Problem};

const SECTION: &str = ".dep-v0";

/// Inflated bytes: the format's own recommendation. Programs with 1 000 crates have about 200 KiB.
const LONGEST_LIST: u64 = 8 << 20;

/// Deflated bytes, in a file that is too large to hold.
const LONGEST_SECTION: usize = 1 << 20;

/// Bytes that are enough to inflate the beginning of a list: the tables of the first block take about a hundred.
const PROBED: usize = 512;

/// Places that are probed in one file. By chance there are some 60 in a mebibyte.
const MOST_PROBES: usize = 500_000;

/// Different lists in one file that are read.
const MOST_LISTS: usize = 8;

/// Sections of a WebAssembly module that are walked over; compilers emit about twenty.
const MOST_WASM_SECTIONS: usize = 10_000;

/// Reads cargo-auditable's list of crates.
#[derive(Debug)]
pub(crate) struct RustBinary;

impl Cataloger for RustBinary {
    fn name(&self) -> &'static str {
        "cargo-auditable"
    }

    fn version(&self) -> u32 {
        3
    }

    fn interest(&self) -> Interest {
        binary::executables().leading(0, b"\0asm")
    }

    fn catalog(&self, _file: &File<'_>, contents: &mut Contents<'_>, findings: &mut Findings) -> Result<(), Problem> {
        // By its path: `Read::bytes` has the same name.
        let bytes = match contents.whole() {
            Ok(bytes) => bytes,
            Err(too_large) => {
                let passed = find_in_stream(contents)?;
                // Of the many files that are too large to hold, only those that have the section are worth a word.
                return match passed.list {
                    Some(packages) => packages.into_iter().try_for_each(|package| {
                        check_count(findings)?;
                        findings.package(package);
                        Ok(())
                    }),
                    None if passed.named => Err(too_large),
                    None => Ok(()),
                };
            }
        };
        let section = if bytes.starts_with(b"\0asm") {
            wasm_section(bytes)
        } else {
            binary::images(bytes).into_iter().find_map(section)
        };
        let Some(section) = section else { return Ok(()) };
        for package in crates(section)? {
            check_count(findings)?;
            findings.package(package);
        }
        Ok(())
    }
}

/// Parses the headers only: an ordinary library costs a look at its section names.
fn section(bytes: &[u8]) -> Option<&[u8]> {
    let file = object::File::parse(bytes).ok()?;
    let data = file.section_by_name(SECTION)?.data().ok()?;
    (!data.is_empty()).then_some(data)
}

/// WebAssembly core specification, 5.5: sections of (id, size as LEB128, contents); a custom one has id 0 and
/// its name first.
fn wasm_section(bytes: &[u8]) -> Option<&[u8]> {
    let mut rest = bytes.get(8..)?;
    for _ in 0..MOST_WASM_SECTIONS {
        let (&id, after) = rest.split_first()?;
        rest = after;
        let size = leb128(&mut rest)?;
        let mut contents = rest.get(..size)?;
        rest = &rest[size..];
        if id == 0 {
            let length = leb128(&mut contents)?;
            if contents.get(..length)? == SECTION.as_bytes() {
                return contents.get(length..);
            }
        }
    }
    None
}

fn leb128(bytes: &mut &[u8]) -> Option<usize> {
    let mut value = 0_u64;
    for group in 0..5 {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << (7 * group);
        if byte & 0x80 == 0 {
            return usize::try_from(value).ok();
        }
    }
    None
}

#[derive(Deserialize)]
struct List<'a> {
    #[serde(borrow)]
    packages: Vec<Crate<'a>>,
}

#[derive(Deserialize)]
struct Crate<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
    #[serde(borrow)]
    version: Cow<'a, str>,
    #[serde(borrow, default)]
    kind: Option<Cow<'a, str>>,
    #[serde(default)]
    dependencies: Vec<usize>,
}

fn crates(section: &[u8]) -> Result<Vec<Package>, Problem> {
    let mut json = Vec::new();
    ZlibDecoder::new(section)
        .take(LONGEST_LIST + 1)
        .read_to_end(&mut json)
        .map_err(|error| Problem::malformed(format!("{SECTION}: {error}")))?;
    if json.len() as u64 > LONGEST_LIST {
        return Err(Problem::malformed(format!("{SECTION}: inflates to more than {LONGEST_LIST} bytes")));
    }
    let list: List<'_> =
        serde_json::from_slice(&json).map_err(|error| Problem::malformed(format!("{SECTION}: {error}")))?;
    let in_program = list.packages.iter().filter(|package| package.is_in_program());
    let mut left = MOST_DEPENDENCIES;
    Ok(in_program
        .map(|package| {
            let needed = package.dependencies.iter().take(left).filter_map(|&index| list.packages.get(index));
            let requires: Vec<_> = needed.filter(|needed| needed.is_in_program()).map(Crate::requirement).collect();
            left -= requires.len();
            Package {
                kind: "cargo".to_owned(),
                name: package.name.as_ref().to_owned(),
                version: package.version.as_ref().to_owned(),
                requires,
                ..Package::default()
            }
        })
        .collect())
}

impl Crate<'_> {
    fn is_in_program(&self) -> bool {
        self.kind.as_deref() != Some("build")
    }

    fn requirement(&self) -> Requirement {
        Requirement { version: Some(self.version.as_ref().to_owned()), ..Requirement::of(&*self.name) }
    }
}

/// What a file shows that is too large to hold.
struct Passed {
    /// The list, if there is one and no other.
    list: Option<Vec<Package>>,
    /// The section's name is in the file.
    named: bool,
}

/// Finds the list in a file that passes by.
///
/// Where the section lies is written in the headers at the end of the file, when it has passed. So whatever could
/// begin as zlib does is inflated a little: only a list begins as a list does. If there are several, of which one
/// must belong to a program that this one holds, nobody can tell which it is.
fn find_in_stream(reader: &mut dyn Read) -> io::Result<Passed> {
    let mut window = Window::new(reader);
    let mut probe = Probe::new();
    let (mut lists, mut named) = (Vec::new(), false);
    loop {
        let length = window.fill(Window::CHUNK)?;
        let bytes = window.bytes();
        let ended = length < Window::CHUNK;
        let until = if ended { length } else { length - PROBED };
        let candidate = if lists.len() < MOST_LISTS { probe.find(bytes, until) } else { None };
        let passed = candidate.unwrap_or(until);
        named |= memmem::find(&bytes[..length.min(passed + SECTION.len())], SECTION.as_bytes()).is_some();
        window.skip(passed);
        if candidate.is_some() {
            window.fill(LONGEST_SECTION)?;
            lists.extend(crates(window.bytes()).ok().filter(|list| !lists.contains(list)));
            window.skip(1);
        } else if ended {
            break;
        }
    }
    let list = lists.pop().filter(|_| named && lists.is_empty());
    Ok(Passed { list, named })
}

/// Tells where lists begin.
struct Probe {
    inflate: Decompress,
    tried: usize,
}

impl Probe {
    fn new() -> Self {
        Self { inflate: Decompress::new(true), tried: 0 }
    }

    /// The first place before `until` where a list begins.
    fn find(&mut self, bytes: &[u8], until: usize) -> Option<usize> {
        memchr::memchr_iter(0x78, &bytes[..until]).find(|&at| {
            // The second byte of a zlib header is one of four: they stand for levels of compression.
            matches!(bytes.get(at + 1), Some(0x01 | 0x5e | 0x9c | 0xda)) && self.begins_list(&bytes[at..])
        })
    }

    fn begins_list(&mut self, bytes: &[u8]) -> bool {
        const BEGINNING: &[u8] = br#"{"packages":["#;
        self.tried += 1;
        if self.tried > MOST_PROBES {
            return false;
        }
        self.inflate.reset(true);
        let mut out = [0; BEGINNING.len()];
        let bytes = &bytes[..bytes.len().min(PROBED)];
        let inflated = self.inflate.decompress(bytes, &mut out, FlushDecompress::None);
        inflated.is_ok() && out == BEGINNING
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::{Compression, write::ZlibEncoder};
    use proptest::prelude::*;

    use super::*;
    use crate::catalogers::binary::tests::elf;

    const LIST: &str = r#"{"packages":[{"name":"quux","version":"1.2.3","source":"crates.io","features":["x"]},
        {"name":"cc","version":"1.0.0","source":"crates.io","kind":"build"},
        {"name":"ap\u0070","version":"0.1.0","source":"local","kind":"runtime","dependencies":[0,1,9],"root":true}],"format":8}"#;

    fn deflate(text: &[u8]) -> Vec<u8> {
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    fn read(bytes: &[u8]) -> Result<Vec<String>, Problem> {
        let file = File { path: "usr/bin/quux", size: bytes.len() as u64, executable: true };
        let mut findings = Findings::default();
        RustBinary.catalog(&file, &mut Contents::held(bytes), &mut findings)?;
        Ok(findings.packages().iter().map(|package| format!("{} {}", package.name, package.version)).collect())
    }

    #[test]
    fn crates_in_the_program_are_packages() {
        let file = elf(&[(".text", b"x"), (SECTION, &deflate(LIST.as_bytes()))]).0;
        assert_eq!(read(&file).unwrap(), ["quux 1.2.3", "app 0.1.0"]);
        assert_eq!(read(&elf(&[(".text", SECTION.as_bytes())]).0).unwrap(), [""; 0]);
    }

    #[test]
    fn dependencies_are_named_with_their_versions() {
        let packages = crates(&deflate(LIST.as_bytes())).unwrap();
        let quux = Requirement { version: Some("1.2.3".into()), ..Requirement::of("quux") };
        assert_eq!(packages[1].requires, [quux]);
        assert!(packages[0].requires.is_empty());
        // Many names of one crate: more than the list has bytes.
        let crate_of =
            |at: usize| format!(r#"{{"name":"a","version":"{at}","dependencies":[{}0]}}"#, "0,".repeat(50_000));
        let list = format!(r#"{{"packages":[{}]}}"#, (0..8).map(crate_of).collect::<Vec<_>>().join(","));
        let names: usize = crates(&deflate(list.as_bytes())).unwrap().iter().map(|one| one.requires.len()).sum();
        assert_eq!(names, MOST_DEPENDENCIES);
    }

    #[test]
    fn webassembly_has_a_custom_section() {
        let list = deflate(LIST.as_bytes());
        let mut module = b"\0asm\x01\0\0\0\x01\x02ab\0\x03\x02xx".to_vec();
        let size = 1 + SECTION.len() + list.len();
        module.extend([0, size as u8 | 0x80, (size >> 7) as u8, SECTION.len() as u8]);
        module.extend(SECTION.as_bytes());
        module.extend(&list);
        assert_eq!(read(&module).unwrap(), ["quux 1.2.3", "app 0.1.0"]);
        assert_eq!(read(&module[..30]).unwrap(), [""; 0]);
    }

    #[test]
    fn broken_lists_are_problems() {
        let bomb = deflate(&vec![b' '; LONGEST_LIST as usize + 10]);
        for section in [&b"no zlib"[..], &deflate(b"{}"), &deflate(br#"{"packages":[{}]}"#), &bomb] {
            assert!(read(&elf(&[(SECTION, section)]).0).is_err());
        }
    }

    fn read_passing(bytes: &[u8]) -> Result<Vec<String>, Problem> {
        let file = File { path: "x", size: bytes.len() as u64, executable: true };
        let mut reader = bytes;
        let mut findings = Findings::default();
        RustBinary.catalog(&file, &mut Contents::passing(&mut reader, file.size, 1), &mut findings)?;
        Ok(findings.packages().iter().map(|package| format!("{} {}", package.name, package.version)).collect())
    }

    #[test]
    fn a_list_is_found_in_a_file_too_large_to_hold() {
        let list = deflate(LIST.as_bytes());
        let noise: Vec<u8> = (0..700_000_u32).flat_map(|n| [0x78, 0x9c, n as u8, (n >> 8) as u8]).collect();
        for shift in [0, Window::CHUNK - 300, Window::CHUNK - 1, Window::CHUNK, 2 * Window::CHUNK - list.len()] {
            let file = elf(&[(".text", &noise[..shift]), (SECTION, &list), (".debug", &noise[..600_001])]).0;
            assert_eq!(read_passing(&file).unwrap(), ["quux 1.2.3", "app 0.1.0"], "{shift}");
        }
    }

    #[test]
    fn of_two_lists_neither_counts() {
        let other = LIST.replace("1.2.3", "1.2.4");
        let (list, other) = (deflate(LIST.as_bytes()), deflate(other.as_bytes()));
        let file = elf(&[(".rodata", &other), (SECTION, &list)]).0;
        assert!(matches!(read_passing(&file), Err(Problem::TooLarge { .. })));
        let file = elf(&[(".rodata", &list), (SECTION, &list)]).0;
        assert_eq!(read_passing(&file).unwrap().len(), 2);
    }

    #[test]
    fn a_file_too_large_to_hold_is_told_of_if_it_only_has_the_section() {
        let padding = vec![0; Window::CHUNK - 3];
        assert!(matches!(read_passing(&[&*padding, SECTION.as_bytes()].concat()), Err(Problem::TooLarge { .. })));
        assert!(read_passing(&padding).is_ok());
        let list = deflate(LIST.as_bytes());
        assert_eq!(read_passing(&list).unwrap(), [""; 0], "no section");
    }

    proptest! {
        #[test]
        fn never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = read(&[b"\0asm\x01\0\0\0", &*bytes].concat());
            let _ = read(&[b"\x7fELF\x02\x01\x01\0", &*bytes].concat());
            let _ = read(&elf(&[(SECTION, &bytes)]).0);
            let _ = read_passing(&[b"\x78\x9c", &*bytes, SECTION.as_bytes()].concat());
        }

        #[test]
        fn mutations_never_panic(at in 0_usize..2000, byte: u8) {
            let mut file = elf(&[(".text", b"x"), (SECTION, &deflate(LIST.as_bytes()))]).0;
            let length = file.len();
            file[at % length] = byte;
            let _ = read(&file);
        }
    }
}
