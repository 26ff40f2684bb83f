//! Crates, from the list that cargo-auditable has the linker put into a program.
//!
//! Source of the format: <https://github.com/rust-secure-code/cargo-auditable/blob/master/PARSING.md>.
//!
//! | Part | |
//! | --- | --- |
//! | section `.dep-v0` (ELF, PE, Mach-O), custom section `.dep-v0` (WebAssembly) | zlib |
//! | inflated | JSON: `{"packages": [{"name", "version", "source", "kind", "root"}]}` |
//! | `kind` | `build` for what only build scripts used: not in the program, so no package; otherwise absent or `runtime` |

use std::borrow::Cow;
use std::io::Read;

use flate2::read::ZlibDecoder;
use object::{Object as _, ObjectSection as _};
use serde::Deserialize;

use crate::catalogers::{binary, check_count};
use crate::package::Package;
use crate::{Cataloger, Contents, File, Findings, Interest, Problem};

const SECTION: &str = ".dep-v0";

/// Inflated bytes: the format's own recommendation. Programs with 1 000 crates have about 200 KiB.
const LONGEST_LIST: u64 = 8 << 20;

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
        1
    }

    fn interest(&self) -> Interest {
        binary::executables().leading(0, b"\0asm")
    }

    fn catalog(&self, _file: &File<'_>, contents: &mut Contents<'_>, findings: &mut Findings) -> Result<(), Problem> {
        // By its path: `Read::bytes` has the same name.
        let bytes = match contents.whole() {
            Ok(bytes) => bytes,
            // The section can only be found from the headers, which a stream has passed when they are known.
            // Of the many files that are too large to hold, only those that have the section are worth a word.
            Err(too_large) => {
                return if binary::mentions(contents, SECTION.as_bytes())? { Err(too_large) } else { Ok(()) };
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
    let in_program = list.packages.into_iter().filter(|package| package.kind.as_deref() != Some("build"));
    Ok(in_program
        .map(|package| Package {
            kind: "cargo".to_owned(),
            name: package.name.into_owned(),
            version: package.version.into_owned(),
            ..Package::default()
        })
        .collect())
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
        {"name":"ap\u0070","version":"0.1.0","source":"local","kind":"runtime","dependencies":[0],"root":true}],"format":8}"#;

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

    #[test]
    fn a_file_too_large_to_hold_is_told_of_if_it_has_the_section() {
        let read = |bytes: &[u8]| {
            let file = File { path: "x", size: bytes.len() as u64, executable: true };
            let mut reader = bytes;
            RustBinary.catalog(&file, &mut Contents::passing(&mut reader, file.size, 1), &mut Findings::default())
        };
        let padding = vec![0; (256 << 10) - 3];
        assert!(matches!(read(&[&*padding, SECTION.as_bytes()].concat()), Err(Problem::TooLarge { .. })));
        assert!(read(&padding).is_ok());
    }

    proptest! {
        #[test]
        fn never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = read(&[b"\0asm\x01\0\0\0", &*bytes].concat());
            let _ = read(&[b"\x7fELF\x02\x01\x01\0", &*bytes].concat());
            let _ = read(&elf(&[(SECTION, &bytes)]).0);
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
