//! GGUF, the format of llama.cpp and Ollama.
//!
//! Source of the format: <https://github.com/ggml-org/ggml/blob/master/docs/gguf.md>. A header of magic, version and
//! two counts, then key-value pairs of typed values, then tensors:
//!
//! | Field | Size |
//! | --- | --- |
//! | `GGUF` | 4 |
//! | version; from it the byte order is known, too | 4 |
//! | number of tensors, number of pairs | 8 each, in version 1 4 |
//! | pair: length of the key (8, in version 1 4), key, type of the value (4), value | |
//!
//! | Key | Becomes |
//! | --- | --- |
//! | `general.name`, else the file's name | name |
//! | `general.version` | version |
//! | `general.license`, `.author`, `.organization`, `.description`, `.url` | licence, author, vendor, description, home page |
//!
//! Ollama keeps models under the digest of their contents, so a file is known by its magic, whatever its name.

use std::io::{BufReader, Read};

use super::fill;
use crate::catalogers::field;
use crate::package::Package;
use crate::{Cataloger, Contents, File, Findings, Interest, Problem};

/// Bytes of all pairs. The vocabulary of a model is among them: 256 000 words have 5 MiB.
const LONGEST_HEADER: u64 = 256 << 20;

/// Pairs of one file. Models have about 40.
const MOST_PAIRS: u64 = 1 << 16;

/// Bytes of a value that is kept. Licences stand in full in some files.
const LONGEST_VALUE: u64 = 1 << 16;

/// How deep arrays may lie in arrays. Nothing writes such.
const DEEPEST: usize = 4;

/// Reads GGUF files.
#[derive(Debug)]
pub(crate) struct Gguf;

impl Cataloger for Gguf {
    fn name(&self) -> &'static str {
        "gguf"
    }

    fn version(&self) -> u32 {
        1
    }

    fn interest(&self) -> Interest {
        Interest::new().leading(0, b"GGUF")
    }

    fn catalog(&self, file: &File<'_>, contents: &mut Contents<'_>, findings: &mut Findings) -> Result<(), Problem> {
        let mut header =
            Header { reader: BufReader::new(contents.take(LONGEST_HEADER)), version: 0, big_endian: false };
        let mut package = Package { kind: "generic".to_owned(), ..Package::default() };
        // A vocabulary that is cut off says nothing about what came before it.
        let read = header.read(&mut package);
        if header.version == 0 {
            return Ok(());
        }
        if package.name.is_empty() {
            let name = file.name().strip_suffix(".gguf").unwrap_or(file.name());
            package.name = field::line(name).unwrap_or_default();
        }
        findings.package(package);
        read
    }
}

struct Header<R> {
    reader: R,
    /// 0 until it is read, and if it is none.
    version: u32,
    big_endian: bool,
}

impl<R: Read> Header<R> {
    fn read(&mut self, package: &mut Package) -> Result<(), Problem> {
        let mut start = [0; 8];
        if !fill(&mut self.reader, &mut start)? || &start[..4] != b"GGUF" {
            return Ok(());
        }
        let version = u32::from_le_bytes([start[4], start[5], start[6], start[7]]);
        // Versions are small: one that is large was written the other way round.
        self.big_endian = version > 0xffff;
        let version = if self.big_endian { version.swap_bytes() } else { version };
        if !(1..=16).contains(&version) {
            return Ok(());
        }
        self.version = version;
        let (_tensors, pairs) = (self.length()?, self.length()?);
        if pairs > MOST_PAIRS {
            return Err(malformed(format!("{pairs} pairs in the header")));
        }
        for _ in 0..pairs {
            let key = self.text()?;
            let kind = self.u32()?;
            let place = match (&*key, kind) {
                ("general.name", 8) => {
                    package.name = field::line(&self.text()?).unwrap_or_default();
                    continue;
                }
                ("general.version", 8) => {
                    package.version = field::line(&self.text()?).unwrap_or_default();
                    continue;
                }
                ("general.license", 8) => {
                    package.licenses = field::line(&self.text()?).into_iter().collect();
                    continue;
                }
                ("general.author", 8) => &mut package.author,
                ("general.organization", 8) => &mut package.vendor,
                ("general.description", 8) => &mut package.description,
                ("general.url", 8) => &mut package.url,
                _ => {
                    self.skip_value(kind, 0)?;
                    continue;
                }
            };
            *place = field::line(&self.text()?);
        }
        Ok(())
    }

    fn skip_value(&mut self, kind: u32, depth: usize) -> Result<(), Problem> {
        match (kind, size(kind)) {
            (_, Some(size)) => self.skip(size),
            (8, None) => {
                let length = self.length()?;
                self.skip(length)
            }
            (9, None) if depth < DEEPEST => {
                let (kind, count) = (self.u32()?, self.length()?);
                match size(kind) {
                    Some(size) => self.skip(count.saturating_mul(size)),
                    None => (0..count).try_for_each(|_| self.skip_value(kind, depth + 1)),
                }
            }
            _ => Err(malformed(format!("a value of type {kind}"))),
        }
    }

    fn skip(&mut self, length: u64) -> Result<(), Problem> {
        let skipped = std::io::copy(&mut self.reader.by_ref().take(length), &mut std::io::sink())?;
        if skipped == length { Ok(()) } else { Err(malformed("a header without its end")) }
    }

    fn bytes<const SIZE: usize>(&mut self) -> Result<[u8; SIZE], Problem> {
        let mut bytes = [0; SIZE];
        if fill(&mut self.reader, &mut bytes)? { Ok(bytes) } else { Err(malformed("a header without its end")) }
    }

    fn u32(&mut self) -> Result<u32, Problem> {
        let bytes = self.bytes()?;
        Ok(if self.big_endian { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) })
    }

    fn length(&mut self) -> Result<u64, Problem> {
        if self.version == 1 {
            return self.u32().map(u64::from);
        }
        let bytes = self.bytes()?;
        Ok(if self.big_endian { u64::from_be_bytes(bytes) } else { u64::from_le_bytes(bytes) })
    }

    /// A string, cut if it is long.
    fn text(&mut self) -> Result<String, Problem> {
        let length = self.length()?;
        let mut bytes = Vec::new();
        self.reader.by_ref().take(length.min(LONGEST_VALUE)).read_to_end(&mut bytes)?;
        self.skip(length - bytes.len() as u64)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }
}

/// Bytes of a value whose type says it: numbers and truth values. Strings are type 8, arrays 9.
fn size(kind: u32) -> Option<u64> {
    match kind {
        0 | 1 | 7 => Some(1),
        2 | 3 => Some(2),
        4..=6 => Some(4),
        10..=12 => Some(8),
        _ => None,
    }
}

fn malformed(reason: impl std::fmt::Display) -> Problem {
    Problem::malformed(format!("gguf: {reason}"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::catalogers::testing;

    fn string(text: &str) -> Vec<u8> {
        [&(text.len() as u64).to_le_bytes()[..], text.as_bytes()].concat()
    }

    fn pair(key: &str, kind: u32, value: &[u8]) -> Vec<u8> {
        [&string(key), &kind.to_le_bytes()[..], value].concat()
    }

    fn file(pairs: &[Vec<u8>]) -> Vec<u8> {
        let mut file = b"GGUF\x03\0\0\0".to_vec();
        file.extend(291_u64.to_le_bytes());
        file.extend((pairs.len() as u64).to_le_bytes());
        file.extend(pairs.concat());
        file.extend([0; 100]);
        file
    }

    fn quux() -> Vec<u8> {
        let words = [&8_u32.to_le_bytes()[..], &2_u64.to_le_bytes(), &string("a"), &string("b")].concat();
        let scores = [&6_u32.to_le_bytes()[..], &2_u64.to_le_bytes(), &[0; 8]].concat();
        file(&[
            pair("general.architecture", 8, &string("llama")),
            pair("tokenizer.ggml.tokens", 9, &words),
            pair("tokenizer.ggml.scores", 9, &scores),
            pair("general.alignment", 4, &32_u32.to_le_bytes()),
            pair("general.name", 8, &string("Quux 7B Chat")),
            pair("general.version", 8, &string("v2.4")),
            pair("general.license", 8, &string("apache-2.0")),
            pair("general.author", 8, &string("Ann")),
            pair("general.organization", 8, &string("Acme")),
            pair("general.description", 8, &string("Talks.")),
            pair("general.url", 8, &string("https://quux.example.org")),
        ])
    }

    const PATH: &str = "models/quux-q4.gguf";

    #[test]
    fn reads_every_field() {
        assert_eq!(
            testing::find(&Gguf, PATH, &quux()).unwrap().packages(),
            [Package {
                kind: "generic".into(),
                name: "Quux 7B Chat".into(),
                version: "v2.4".into(),
                licenses: vec!["apache-2.0".into()],
                author: Some("Ann".into()),
                vendor: Some("Acme".into()),
                description: Some("Talks.".into()),
                url: Some("https://quux.example.org".into()),
                ..Package::default()
            }]
        );
    }

    #[test]
    fn versions_and_byte_orders() {
        let names = |bytes: &[u8]| {
            let found = testing::find(&Gguf, PATH, bytes).unwrap();
            found.packages().iter().map(|package| package.name.clone()).collect::<Vec<_>>()
        };
        assert_eq!(names(&file(&[])), ["quux-q4"]);
        let mut first = b"GGUF\x01\0\0\0\0\0\0\0\x01\0\0\0\x0c\0\0\0general.name\x08\0\0\0\x01\0\0\0Q".to_vec();
        assert_eq!(names(&first), ["Q"]);
        first[4] = 0;
        assert_eq!(names(&first), [""; 0]);
        let mut big = b"GGUF\0\0\0\x03".to_vec();
        big.extend([0, 1].map(u64::to_be_bytes).concat());
        big.extend(12_u64.to_be_bytes());
        big.extend(b"general.name\0\0\0\x08\0\0\0\0\0\0\0\x01Q");
        assert_eq!(names(&big), ["Q"]);
        assert_eq!(names(b"GGUF"), [""; 0]);
        assert_eq!(names(b"GGUF says nothing"), [""; 0]);
    }

    #[test]
    fn a_file_too_large_to_hold_is_read_as_it_passes() {
        let (mut bytes, mut findings) = (quux(), Findings::default());
        bytes.extend(vec![7; 1 << 20]);
        let (file, mut reader) = (File { path: "blobs/sha256-f00", size: 1 << 40, executable: false }, &*bytes);
        Gguf.catalog(&file, &mut Contents::passing(&mut reader, 1 << 40, 1), &mut findings).unwrap();
        assert_eq!(findings.packages()[0].name, "Quux 7B Chat");
        assert!(reader.len() > 1 << 19, "the weights are left alone");
    }

    #[test]
    fn lengths_that_lie_are_refused() {
        let check = |pairs: &[Vec<u8>]| {
            let (mut findings, bytes) = (Findings::default(), file(pairs));
            let file = File { path: PATH, size: bytes.len() as u64, executable: false };
            assert!(Gguf.catalog(&file, &mut Contents::held(&bytes), &mut findings).is_err());
            assert_eq!(findings.packages().len(), 1, "it is a model nevertheless");
        };
        check(&[pair("general.name", 8, &u64::MAX.to_le_bytes())]);
        check(&[pair("a", 9, &[&0_u32.to_le_bytes()[..], &u64::MAX.to_le_bytes()].concat())]);
        check(&[pair("a", 9, &[&8_u32.to_le_bytes()[..], &u64::MAX.to_le_bytes()].concat())]);
        check(&[pair("a", 13, &[])]);
        let nested = [&9_u32.to_le_bytes()[..], &1_u64.to_le_bytes()].concat().repeat(10);
        check(&[pair("a", 9, &nested)]);
        let mut pairs = file(&[]);
        pairs[16..24].copy_from_slice(&u64::MAX.to_le_bytes());
        assert!(testing::find(&Gguf, PATH, &pairs).is_err());
    }

    proptest! {
        #[test]
        fn mutations_never_panic(at: usize, byte: u8, cut: usize) {
            let mut bytes = quux();
            let length = bytes.len();
            bytes[at % length] = byte;
            let _ = testing::find(&Gguf, PATH, &bytes);
            let _ = testing::find(&Gguf, PATH, &bytes[..cut % length]);
        }
    }
}
