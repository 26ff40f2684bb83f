//! Packages, from the notes that distributions have their linkers put into programs and libraries.
//!
//! | Part | Source: <https://systemd.io/ELF_PACKAGE_METADATA/> |
//! | --- | --- |
//! | where | a note segment; its section is called `.note.package` |
//! | note | owner `FDO`, type `0xcafe1a7e` |
//! | contents | one JSON object, ended and padded with zeroes |
//! | `type` | `rpm`, `deb`, `apk`, `alpm`, …: the kind of package |
//! | `name`, `version` | of the source package, whole |
//! | `architecture` | as the distribution spells it |
//! | `os`, `osVersion` | as in os-release(5) |
//! | `osCpe` | `cpe:/o:fedoraproject:fedora:33`: where the two are not given |
//! | `debugInfoUrl` | not read |
//!
//! CBL-Mariner and others wrote the bare JSON into the section, with or without a note's header; it is read too.
//! Static images and those without a package database have no other trace of the package.

use std::borrow::Cow;
use std::io::Read;

use object::elf::{FileHeader32, FileHeader64, PT_NOTE};
use object::read::elf::{FileHeader, Note, ProgramHeader as _, SectionHeader as _};
use object::{Endianness, FileKind};
use serde::Deserialize;

use crate::package::Package;
use crate::{Cataloger, Contents, File, Findings, Interest, Problem};

const OWNER: &[u8] = b"FDO";
const PACKAGE_METADATA: u32 = 0xcafe_1a7e;
const SECTION: &[u8] = b".note.package";

/// Bytes of one note. Linkers take the JSON from their command line; a few hundred bytes are usual.
const LONGEST: usize = 64 << 10;

/// Notes of one file that are looked at. A file has about three, of which one is of this kind.
const MOST_NOTES: usize = 256;

/// Segments or sections that are looked at.
const MOST_HEADERS: usize = 4096;

/// Bytes at the beginning of a file that is too large to hold. Notes come right after the headers there.
const BEGINNING: u64 = 1 << 20;

/// Bytes of a name or version.
const LONGEST_FIELD: usize = 1024;

/// Reads the package notes of ELF files.
#[derive(Debug)]
pub(crate) struct ElfNote;

impl Cataloger for ElfNote {
    fn name(&self) -> &'static str {
        "elf-note"
    }

    fn version(&self) -> u32 {
        1
    }

    fn interest(&self) -> Interest {
        Interest::new().leading(0, b"\x7fELF")
    }

    fn catalog(&self, _file: &File<'_>, contents: &mut Contents<'_>, findings: &mut Findings) -> Result<(), Problem> {
        let mut beginning = Vec::new();
        let bytes = match contents.whole() {
            Ok(bytes) => bytes,
            Err(Problem::TooLarge { .. }) => {
                contents.take(BEGINNING).read_to_end(&mut beginning)?;
                &beginning
            }
            Err(problem) => return Err(problem),
        };
        let found = match FileKind::parse(bytes) {
            Ok(FileKind::Elf32) => notes::<FileHeader32<Endianness>>(bytes),
            Ok(FileKind::Elf64) => notes::<FileHeader64<Endianness>>(bytes),
            _ => return Ok(()),
        };
        for note in found {
            let metadata: Metadata<'_> =
                serde_json::from_slice(note).map_err(|error| Problem::malformed(format!("package note: {error}")))?;
            if let Some(package) = package(&metadata)
                && !findings.packages().contains(&package)
            {
                findings.package(package);
            }
        }
        Ok(())
    }
}

/// The JSON texts of a file's package notes. Nothing is read but headers and notes.
fn notes<Elf: FileHeader<Endian = Endianness>>(bytes: &[u8]) -> Vec<&[u8]> {
    let mut found = Vec::new();
    let Ok(header) = Elf::parse(bytes) else { return found };
    let Ok(endian) = header.endian() else { return found };
    let segments = header.program_headers(endian, bytes).unwrap_or_default();
    for segment in segments.iter().take(MOST_HEADERS).filter(|segment| segment.p_type(endian) == PT_NOTE) {
        let Ok(Some(notes)) = segment.notes(endian, bytes) else { continue };
        let notes = notes.take(MOST_NOTES).map_while(Result::ok);
        found.extend(notes.filter(|note| is_metadata(note, endian)).filter_map(|note| text(note.desc())));
    }
    if !found.is_empty() {
        return found;
    }
    // Objects that are not linked have no segments, and what is no note is in none.
    let Ok(sections) = header.sections(endian, bytes) else { return found };
    let section = sections
        .iter()
        .take(MOST_HEADERS)
        .find(|section| sections.section_name(endian, section).is_ok_and(|name| name == SECTION));
    let Some(section) = section else { return found };
    if let Ok(Some(notes)) = section.notes(endian, bytes) {
        let notes = notes.take(MOST_NOTES).map_while(Result::ok);
        found.extend(notes.filter(|note| is_metadata(note, endian)).filter_map(|note| text(note.desc())));
    }
    if found.is_empty() {
        found.extend(section.data(endian, bytes).ok().and_then(text));
    }
    found
}

fn is_metadata<Elf: FileHeader<Endian = Endianness>>(note: &Note<'_, Elf>, endian: Endianness) -> bool {
    note.name() == OWNER && note.n_type(endian).0 == PACKAGE_METADATA
}

/// Without the zeroes behind it; nothing if it is no JSON object.
fn text(bytes: &[u8]) -> Option<&[u8]> {
    let end = bytes.iter().rposition(|&b| b != 0)? + 1;
    (end <= LONGEST && bytes[0] == b'{').then_some(&bytes[..end])
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Metadata<'a> {
    #[serde(borrow, rename = "type")]
    kind: Cow<'a, str>,
    #[serde(borrow)]
    name: Cow<'a, str>,
    #[serde(borrow)]
    version: Cow<'a, str>,
    #[serde(borrow)]
    architecture: Cow<'a, str>,
    #[serde(borrow)]
    os: Cow<'a, str>,
    #[serde(borrow)]
    os_version: Cow<'a, str>,
    #[serde(borrow, alias = "osCPE")]
    os_cpe: Cow<'a, str>,
    /// What builders beside distributions add: who built it, the licence, the name for vulnerability databases.
    #[serde(borrow)]
    system: Cow<'a, str>,
    #[serde(borrow)]
    license: Cow<'a, str>,
    #[serde(borrow, alias = "appCpe")]
    cpe: Cow<'a, str>,
}

fn package(metadata: &Metadata<'_>) -> Option<Package> {
    let fits = |field: &str| !field.is_empty() && field.len() <= LONGEST_FIELD;
    if !fits(&metadata.name) || !fits(&metadata.version) {
        return None;
    }
    let kind = match &*metadata.kind {
        kind @ ("rpm" | "deb" | "apk" | "alpm") => kind,
        _ => "generic",
    };
    let (os, os_version) = distribution(metadata);
    // Debian writes its name where os-release has the ID.
    let os = os.to_ascii_lowercase();
    let mut package = Package {
        kind: kind.to_owned(),
        namespace: Some(os.clone()).filter(|os| kind != "generic" && fits(os)),
        name: metadata.name.clone().into_owned(),
        version: metadata.version.clone().into_owned(),
        licenses: Some(metadata.license.clone().into_owned()).filter(|license| fits(license)).into_iter().collect(),
        cpes: Some(metadata.cpe.clone().into_owned()).filter(|cpe| cpe.starts_with("cpe:2.3:")).into_iter().collect(),
        ..Package::default()
    };
    if package.namespace.is_none() {
        package.namespace = Some(metadata.system.clone().into_owned()).filter(|system| fits(system));
    } else if !os_version.is_empty() {
        package.qualifiers.insert("distro".to_owned(), format!("{os}-{os_version}"));
    }
    if kind != "generic" && fits(&metadata.architecture) {
        package.qualifiers.insert("arch".to_owned(), metadata.architecture.clone().into_owned());
    }
    Some(package)
}

/// The distribution's ID and version: as they stand there if both do, else from the CPE.
fn distribution<'a>(metadata: &'a Metadata<'_>) -> (&'a str, &'a str) {
    if !metadata.os.is_empty() && !metadata.os_version.is_empty() {
        return (&metadata.os, &metadata.os_version);
    }
    // `cpe:/o:vendor:product:version`, or with `cpe:2.3:o` before it.
    let cpe = metadata.os_cpe.strip_prefix("cpe:/o:").or_else(|| metadata.os_cpe.strip_prefix("cpe:2.3:o:"));
    let Some(cpe) = cpe else { return (&metadata.os, "") };
    let mut parts = cpe.split(':').skip(1).map(|part| if part == "*" { "" } else { part });
    (parts.next().unwrap_or_default(), parts.next().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// An ELF file of either class and byte order: one note segment, which is also the section of that name.
    fn elf(is_64: bool, big_endian: bool, segment: bool, notes: &[u8]) -> Vec<u8> {
        let mut out = b"\x7fELF".to_vec();
        out.extend([1 + u8::from(is_64), 1 + u8::from(big_endian), 1]);
        out.resize(16, 0);
        let word = |out: &mut Vec<u8>, value: u64, size: usize| {
            let bytes = value.to_be_bytes();
            let bytes = &bytes[8 - size..];
            if big_endian { out.extend(bytes) } else { out.extend(bytes.iter().rev()) }
        };
        let pointer = if is_64 { 8 } else { 4 };
        let (header, program_header, section_header) = if is_64 { (64, 56, 64) } else { (52, 32, 40) };
        let at = header + program_header;
        let names = b"\0.note.package\0.shstrtab\0";
        let table = (at + notes.len() + names.len()).next_multiple_of(8);
        for value in [3, 0x3e] {
            word(&mut out, value, 2);
        }
        word(&mut out, 1, 4);
        for value in [0, header, table] {
            word(&mut out, value as u64, pointer);
        }
        word(&mut out, 0, 4);
        for value in [header, program_header, usize::from(segment), section_header, 3, 2] {
            word(&mut out, value as u64, 2);
        }
        word(&mut out, 4, 4);
        if is_64 {
            word(&mut out, 4, 4);
        }
        for value in [at, 0, 0, notes.len(), notes.len()] {
            word(&mut out, value as u64, pointer);
        }
        if !is_64 {
            word(&mut out, 4, 4);
        }
        word(&mut out, 4, pointer);
        out.extend(notes);
        out.extend(names);
        out.resize(table + section_header, 0);
        for [name, kind, offset, size] in [[1, 7, at, notes.len()], [15, 3, at + notes.len(), names.len()]] {
            word(&mut out, name as u64, 4);
            word(&mut out, kind as u64, 4);
            for value in [2, 0, offset, size] {
                word(&mut out, value as u64, pointer);
            }
            word(&mut out, 0, 4);
            word(&mut out, 0, 4);
            word(&mut out, 4, pointer);
            word(&mut out, 0, pointer);
        }
        out
    }

    fn note(big_endian: bool, owner: &[u8], kind: u32, text: &[u8]) -> Vec<u8> {
        let word = |value: u32| if big_endian { value.to_be_bytes() } else { value.to_le_bytes() };
        let mut out = [word(owner.len() as u32), word(text.len() as u32), word(kind)].concat();
        for part in [owner, text] {
            out.extend(part);
            out.resize(out.len().next_multiple_of(4), 0);
        }
        out
    }

    fn read(bytes: &[u8]) -> Result<Vec<Package>, Problem> {
        let file = File { path: "usr/bin/quux", size: bytes.len() as u64, executable: true };
        let mut findings = Findings::default();
        ElfNote.catalog(&file, &mut Contents::held(bytes), &mut findings)?;
        let held = findings.packages().to_vec();
        let mut findings = Findings::default();
        let mut reader = bytes;
        ElfNote.catalog(&file, &mut Contents::passing(&mut reader, file.size, 1), &mut findings)?;
        assert_eq!(findings.packages(), held, "as a stream");
        Ok(held)
    }

    fn metadata(text: &str) -> Option<Package> {
        package(&serde_json::from_str(text).unwrap())
    }

    const FEDORA: &[u8] = br#"{"type":"rpm","name":"quux","version":"1.2-3.fc41","architecture":"x86_64","osCpe":"cpe:/o:fedoraproject:fedora:41"}"#;

    #[test]
    fn notes_are_found_in_every_sort_of_elf() {
        for (is_64, big_endian, segment) in
            [(true, false, true), (true, true, true), (false, false, true), (false, true, true), (true, false, false)]
        {
            let notes = [
                note(big_endian, b"GNU\0", 3, b"build id"),
                note(big_endian, b"FDO\0", PACKAGE_METADATA, &[FEDORA, b"\0\0\0"].concat()),
                note(big_endian, b"FDO\0", PACKAGE_METADATA, br#"{"type":"deb","name":"other","version":"1:2-3"}"#),
            ]
            .concat();
            let found = read(&elf(is_64, big_endian, segment, &notes)).unwrap();
            let found: Vec<_> = found.iter().map(|p| format!("{} {} {}", p.kind, p.name, p.version)).collect();
            assert_eq!(found, ["rpm quux 1.2-3.fc41", "deb other 1:2-3"], "{is_64} {big_endian} {segment}");
        }
    }

    #[test]
    fn a_section_may_hold_the_bare_text() {
        for with_segment in [true, false] {
            assert_eq!(read(&elf(true, false, with_segment, FEDORA)).unwrap().len(), 1);
        }
        assert_eq!(read(&elf(true, false, true, b"")).unwrap(), []);
        assert_eq!(read(&elf(true, false, true, &note(false, b"FDO\0", 1, FEDORA))).unwrap(), []);
        assert_eq!(read(&elf(true, false, true, &note(false, b"GNU\0", PACKAGE_METADATA, FEDORA))).unwrap(), []);
        assert_eq!(read(b"\x7fELF").unwrap(), []);
        assert!(read(&elf(true, false, true, b"{\"name\":}")).is_err());
    }

    #[test]
    fn the_distribution_is_the_namespace() {
        let check = |text: &str, kind: &str, namespace: Option<&str>, distro: Option<&str>| {
            let package = metadata(text).unwrap();
            let found =
                (&*package.kind, package.namespace.as_deref(), package.qualifiers.get("distro").map(String::as_str));
            assert_eq!(found, (kind, namespace, distro), "{text}");
        };
        let both = r#""name":"a","version":"1","#;
        check(&format!(r#"{{{both}"type":"rpm"}}"#), "rpm", None, None);
        check(
            &format!(r#"{{{both}"type":"rpm","osCpe":"cpe:/o:fedoraproject:fedora:33"}}"#),
            "rpm",
            Some("fedora"),
            Some("fedora-33"),
        );
        check(
            &format!(r#"{{{both}"type":"deb","os":"debian","osVersion":"12"}}"#),
            "deb",
            Some("debian"),
            Some("debian-12"),
        );
        check(&format!(r#"{{{both}"type":"deb","os":"Debian"}}"#), "deb", Some("debian"), None);
        check(
            &format!(r#"{{{both}"type":"rpm","os":"x","osCpe":"cpe:2.3:o:microsoft:azurelinux:3.0:*:*:*:*:*:*:*"}}"#),
            "rpm",
            Some("azurelinux"),
            Some("azurelinux-3.0"),
        );
        check(&format!(r#"{{{both}"system":"acme"}}"#), "generic", Some("acme"), None);
        check(&format!(r#"{{{both}"type":"rpm","system":"acme"}}"#), "rpm", Some("acme"), None);
        check(&format!(r#"{{{both}"osCpe":"%$#*("}}"#), "generic", None, None);
    }

    #[test]
    fn a_note_names_a_package_and_its_version() {
        assert_eq!(metadata(r#"{"type":"rpm","name":"a"}"#), None);
        assert_eq!(metadata(r#"{"type":"rpm","version":"1"}"#), None);
        assert_eq!(metadata(&format!(r#"{{"name":"{}","version":"1"}}"#, "a".repeat(2000))), None);
        let package = metadata(r#"{"name":"a","version":"1","license":"MIT","cpe":"cpe:2.3:a:b:c:1:*:*:*:*:*:*:*"}"#);
        let package = package.unwrap();
        assert_eq!((package.licenses, package.cpes.len()), (vec!["MIT".to_owned()], 1));
    }

    proptest! {
        #[test]
        fn never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200), is_64: bool, big_endian: bool) {
            let _ = read(&elf(is_64, big_endian, true, &bytes));
            let _ = read(&[b"\x7fELF\x02\x01\x01\0", &*bytes].concat());
        }

        #[test]
        fn mutations_never_panic(at in 0_usize..400, byte: u8, is_64: bool) {
            let mut file = elf(is_64, false, true, &note(false, b"FDO\0", PACKAGE_METADATA, FEDORA));
            let length = file.len();
            file[at % length] = byte;
            let _ = read(&file);
        }
    }
}
