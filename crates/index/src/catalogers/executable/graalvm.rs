//! Artifacts in a GraalVM native image, from the SBOM that `native-image` embeds (`--enable-sbom`, on by default in
//! Oracle GraalVM).
//!
//! Source of the format: <https://www.graalvm.org/latest/security-guide/native-image/sbom/>.
//!
//! | Part | |
//! | --- | --- |
//! | symbol `sbom` | CycloneDX JSON, gzip |
//! | symbol `sbom_length` | its bytes, 64 bits in the file's byte order |

use std::borrow::Cow;
use std::io::Read;

use flate2::read::GzDecoder;
use memchr::memmem;
use object::{Object as _, ObjectSection as _, ObjectSegment as _, ObjectSymbol as _};
use serde::Deserialize;

use crate::catalogers::{binary, check_count};
use crate::package::Package;
use crate::{Cataloger, Contents, File, Findings, Interest, Problem};

/// Bytes of the inflated document; applications with 300 libraries have about 500 KiB.
const LONGEST_DOCUMENT: u64 = 32 << 20;

/// Symbols that are looked at; a native image that is not stripped has some hundred thousand.
const MOST_SYMBOLS: usize = 5_000_000;

/// The second symbol's name in a table of names.
const SYMBOL: &[u8] = b"\0sbom_length\0";

/// Reads the embedded SBOM of native images.
#[derive(Debug)]
pub(crate) struct GraalVm;

impl Cataloger for GraalVm {
    fn name(&self) -> &'static str {
        "graalvm"
    }

    fn version(&self) -> u32 {
        1
    }

    fn interest(&self) -> Interest {
        Interest::new().leading(0, b"\x7fELF")
    }

    fn catalog(&self, _file: &File<'_>, contents: &mut Contents<'_>, findings: &mut Findings) -> Result<(), Problem> {
        let bytes = match contents.whole() {
            Ok(bytes) => bytes,
            // Only a native image that is too large to hold is worth a word.
            Err(too_large) => return if binary::mentions(contents, SYMBOL)? { Err(too_large) } else { Ok(()) },
        };
        let Some(document) = sbom(bytes) else { return Ok(()) };
        let mut json = Vec::new();
        GzDecoder::new(document?)
            .take(LONGEST_DOCUMENT + 1)
            .read_to_end(&mut json)
            .map_err(|error| Problem::malformed(format!("native image SBOM: {error}")))?;
        if json.len() as u64 > LONGEST_DOCUMENT {
            return Err(Problem::malformed(format!("native image SBOM: more than {LONGEST_DOCUMENT} bytes")));
        }
        let document: Document<'_> =
            serde_json::from_slice(&json).map_err(|error| Problem::malformed(format!("native image SBOM: {error}")))?;
        for component in document.components {
            check_count(findings)?;
            findings.package(component.package());
        }
        Ok(())
    }
}

/// The compressed document, if the file has one.
fn sbom(bytes: &[u8]) -> Option<Result<&[u8], Problem>> {
    let file = object::File::parse(bytes).ok()?;
    // Of all the executables in an image hardly one has the symbol: a look at the names spares reading the tables.
    let named = [".dynstr", ".strtab"].iter().any(|section| {
        let names = file.section_by_name(section).and_then(|section| section.data().ok()).unwrap_or_default();
        memmem::find(names, SYMBOL).is_some()
    });
    if !named {
        return None;
    }
    let address = |wanted: &str| {
        let symbols = file.dynamic_symbols().chain(file.symbols()).take(MOST_SYMBOLS);
        symbols.filter(|symbol| symbol.name() == Ok(wanted)).map(|symbol| symbol.address()).find(|at| *at != 0)
    };
    let (start, length) = (address("sbom")?, address("sbom_length")?);
    let data = |start: u64, length: u64| file.segments().find_map(|segment| segment.data_range(start, length).ok()?);
    let lies = || Problem::malformed("native image SBOM: it reaches past the end");
    let Some(length) = data(length, 8).and_then(|bytes| bytes.try_into().ok()) else { return Some(Err(lies())) };
    let length = if file.is_little_endian() { u64::from_le_bytes(length) } else { u64::from_be_bytes(length) };
    Some(data(start, length).ok_or_else(lies))
}

#[derive(Deserialize)]
struct Document<'a> {
    #[serde(borrow, default)]
    components: Vec<Component<'a>>,
}

#[derive(Deserialize)]
struct Component<'a> {
    #[serde(borrow, default)]
    group: Cow<'a, str>,
    #[serde(borrow)]
    name: Cow<'a, str>,
    #[serde(borrow, default)]
    version: Cow<'a, str>,
    #[serde(borrow, default)]
    purl: Cow<'a, str>,
    #[serde(borrow, default)]
    licenses: Vec<Choice<'a>>,
}

#[derive(Deserialize)]
struct Choice<'a> {
    #[serde(borrow, default)]
    license: Option<License<'a>>,
    #[serde(borrow, default)]
    expression: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
struct License<'a> {
    #[serde(borrow, default)]
    id: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    name: Option<Cow<'a, str>>,
}

impl Component<'_> {
    fn package(self) -> Package {
        let kind =
            self.purl.strip_prefix("pkg:").and_then(|purl| purl.split_once('/')).map_or("maven", |(kind, _)| kind);
        let license = |choice: Choice<'_>| {
            let license = choice.license.and_then(|license| license.id.or(license.name));
            choice.expression.map(Cow::into_owned).or_else(|| license.map(Cow::into_owned))
        };
        Package {
            kind: kind.to_owned(),
            namespace: Some(self.group.into_owned()).filter(|group| !group.is_empty()),
            name: self.name.into_owned(),
            version: self.version.into_owned(),
            licenses: self.licenses.into_iter().filter_map(license).collect(),
            ..Package::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::{Compression, write::GzEncoder};
    use proptest::prelude::*;

    use super::*;
    use crate::catalogers::binary::tests::{BASE, elf};

    const DOCUMENT: &str = r#"{"bomFormat":"CycloneDX","specVersion":"1.5","metadata":{"component":{"name":"app"}},"components":[
        {"type":"library","group":"io.netty","name":"netty-codec","version":"4.1.1","purl":"pkg:maven/io.netty/netty-codec@4.1.1",
         "licenses":[{"license":{"id":"Apache-2.0"}}],"properties":[{"name":"syft:cpe23","value":"cpe:2.3:a:x"}]},
        {"type":"library","name":"svm","version":"21"}]}"#;

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    /// A native image in small: the document, its length, and symbols for both. `length` says how long it claims to be.
    fn native_image(document: &[u8], length: u64) -> Vec<u8> {
        let names = b"\0sbom\0sbom_length\0";
        let symbol = |name: u32, address: u64| {
            let mut symbol = name.to_le_bytes().to_vec();
            symbol.extend([0x11, 0, 1, 0]);
            symbol.extend(address.to_le_bytes());
            symbol.extend(8_u64.to_le_bytes());
            symbol
        };
        let layout = |start: u64, at: u64| {
            let symbols = [vec![0; 24], symbol(1, start), symbol(6, at)].concat();
            elf(&[(".data", document), (".length", &length.to_le_bytes()), (".dynsym", &symbols), (".dynstr", names)])
        };
        let (_, addresses) = layout(BASE, BASE);
        let (mut bytes, _) = layout(addresses[0], addresses[1]);
        // The third section is the table of symbols, linked to the names in the fourth.
        let table = u64::from_le_bytes(bytes[40..48].try_into().unwrap()) as usize + 3 * 64;
        bytes[table + 4..table + 8].copy_from_slice(&11_u32.to_le_bytes());
        bytes[table + 68..table + 72].copy_from_slice(&3_u32.to_le_bytes());
        bytes[table + 40..table + 44].copy_from_slice(&4_u32.to_le_bytes());
        bytes[table + 44..table + 48].copy_from_slice(&1_u32.to_le_bytes());
        bytes[table + 56..table + 64].copy_from_slice(&24_u64.to_le_bytes());
        bytes
    }

    fn read(bytes: &[u8]) -> Result<Vec<String>, Problem> {
        let file = File { path: "app", size: bytes.len() as u64, executable: true };
        let mut findings = Findings::default();
        GraalVm.catalog(&file, &mut Contents::held(bytes), &mut findings)?;
        let line = |package: &Package| {
            let group = package.namespace.as_deref().unwrap_or_default();
            format!("{}/{group}/{}@{} {:?}", package.kind, package.name, package.version, package.licenses)
        };
        Ok(findings.packages().iter().map(line).collect())
    }

    #[test]
    fn the_embedded_document_lists_the_artifacts() {
        let document = gzip(DOCUMENT.as_bytes());
        let image = native_image(&document, document.len() as u64);
        let expected = [r#"maven/io.netty/netty-codec@4.1.1 ["Apache-2.0"]"#, "maven//svm@21 []"];
        assert_eq!(read(&image).unwrap(), expected);
        assert_eq!(read(&elf(&[(".text", b"sbom_length")]).0).unwrap(), [""; 0]);
    }

    #[test]
    fn one_too_large_to_hold_is_told_of() {
        let document = gzip(DOCUMENT.as_bytes());
        for (bytes, told) in [(native_image(&document, 1), true), (elf(&[(".text", b"x")]).0, false)] {
            let file = File { path: "x", size: bytes.len() as u64, executable: true };
            let mut reader = &*bytes;
            let mut contents = Contents::passing(&mut reader, file.size, 1);
            let result = GraalVm.catalog(&file, &mut contents, &mut Findings::default());
            assert_eq!(matches!(result, Err(Problem::TooLarge { .. })), told);
        }
    }

    #[test]
    fn lies_are_problems() {
        let document = gzip(DOCUMENT.as_bytes());
        let problem = |image: &[u8]| read(image).unwrap_err().to_string();
        assert_eq!(problem(&native_image(&document, u64::MAX)), "native image SBOM: it reaches past the end");
        assert!(problem(&native_image(&document, 5)).starts_with("native image SBOM: "));
        let number = gzip(b"1");
        assert!(problem(&native_image(&number, number.len() as u64)).starts_with("native image SBOM: "));
    }

    proptest! {
        #[test]
        fn mutations_never_panic(at in 0_usize..3000, byte: u8) {
            let document = gzip(DOCUMENT.as_bytes());
            let mut image = native_image(&document, document.len() as u64);
            let length = image.len();
            image[at % length] = byte;
            let _ = read(&image);
        }
    }
}
