//! Small ELF files that carry the build information of Go and Rust binaries and nothing to run.

use std::io::Write as _;

use flate2::write::ZlibEncoder;
use serde_json::{Value, json};

use super::Package;

/// Where the made-up segment lies in memory; any page will do.
const BASE: u64 = 0x40_0000;

/// A Go binary: an ELF file whose `.go.buildinfo` section names the toolchain (`go1.22.1`), the
/// main module and what it was built with (Go's `debug/buildinfo`, the inline form of Go 1.18).
pub fn go_binary(toolchain: &str, main: &Package, dependencies: &[Package]) -> Vec<u8> {
    let mut modules = format!("path\t{}\nmod\t{}\t{}\t\n", main.name, main.name, main.version);
    for dependency in dependencies {
        modules.push_str(&format!(
            "dep\t{}\t{}\th1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n",
            dependency.name, dependency.version
        ));
    }
    modules.push_str("build\t-compiler=gc\nbuild\tGOARCH=amd64\nbuild\tGOOS=linux\n");

    let mut section = b"\xff Go buildinf:\x00\x02".to_vec();
    section.resize(32, 0);
    push_counted(&mut section, toolchain.as_bytes());
    // The linker frames the module information with these two marks of 16 bytes.
    let mut framed = b"\x30\x77\xaf\x0c\x92\x74\x08\x02\x41\xe1\xc1\x07\xe6\xd6\x18\xe6".to_vec();
    framed.extend_from_slice(modules.as_bytes());
    framed.extend_from_slice(b"\xf9\x32\x43\x31\x86\x18\x20\x72\x00\x82\x42\x10\x41\x16\xd8\xf2");
    push_counted(&mut section, &framed);
    elf_with_section(".go.buildinfo", &section)
}

/// A Rust binary built with `cargo auditable`: an ELF file whose `.dep-v0` section is the zlib
/// packed list of crates.
pub fn auditable_binary(main: &Package, dependencies: &[Package]) -> Vec<u8> {
    let mut crates: Vec<Value> = dependencies
        .iter()
        .map(|dependency| json!({ "name": dependency.name, "version": dependency.version, "source": "crates.io" }))
        .collect();
    let indexes: Vec<usize> = (0..dependencies.len()).collect();
    crates.push(
        json!({ "name": main.name, "version": main.version, "source": "local", "dependencies": indexes, "root": true }),
    );
    let mut packer = ZlibEncoder::new(Vec::new(), flate2::Compression::new(6));
    let list = json!({ "packages": crates }).to_string();
    packer.write_all(list.as_bytes()).expect("writing into memory does not fail");
    elf_with_section(".dep-v0", &packer.finish().expect("writing into memory does not fail"))
}

/// A length as Go's unsigned varint, then the bytes.
fn push_counted(section: &mut Vec<u8>, bytes: &[u8]) {
    let mut length = bytes.len();
    while length >= 0x80 {
        section.push((length & 0x7f) as u8 | 0x80);
        length >>= 7;
    }
    section.push(length as u8);
    section.extend_from_slice(bytes);
}

/// An ELF64 file for x86-64 with one loaded segment and one named section.
fn elf_with_section(name: &str, contents: &[u8]) -> Vec<u8> {
    const HEADER: usize = 64;
    const PROGRAM_HEADER: usize = 56;
    const SECTION_HEADER: usize = 64;

    let names = format!("\0{name}\0.shstrtab\0");
    // Go looks for its mark on multiples of 16.
    let start = (HEADER + PROGRAM_HEADER).next_multiple_of(16);
    let names_start = start + contents.len();
    let sections_start = (names_start + names.len()).next_multiple_of(8);
    let total = (sections_start + 3 * SECTION_HEADER) as u64;

    let mut file = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
    let halves = |file: &mut Vec<u8>, values: &[u16]| values.iter().for_each(|value| file.extend(value.to_le_bytes()));
    let words = |file: &mut Vec<u8>, values: &[u32]| values.iter().for_each(|value| file.extend(value.to_le_bytes()));
    let longs = |file: &mut Vec<u8>, values: &[u64]| values.iter().for_each(|value| file.extend(value.to_le_bytes()));

    // e_type EXEC, e_machine x86-64, e_version; e_entry, e_phoff, e_shoff; e_flags; the sizes and counts.
    halves(&mut file, &[2, 62]);
    words(&mut file, &[1]);
    longs(&mut file, &[BASE, HEADER as u64, sections_start as u64]);
    words(&mut file, &[0]);
    halves(&mut file, &[HEADER as u16, PROGRAM_HEADER as u16, 1, SECTION_HEADER as u16, 3, 2]);
    // PT_LOAD of the whole file, readable and writable: Go searches writable data.
    words(&mut file, &[1, 6]);
    longs(&mut file, &[0, BASE, BASE, total, total, 0x1000]);
    file.resize(start, 0);
    file.extend_from_slice(contents);
    file.extend_from_slice(names.as_bytes());
    file.resize(sections_start, 0);

    let mut section = |name: u32, kind: u32, flags: u64, address: u64, offset: usize, size: usize| {
        words(&mut file, &[name, kind]);
        longs(&mut file, &[flags, address, offset as u64, size as u64]);
        words(&mut file, &[0, 0]);
        longs(&mut file, &[16, 0]);
    };
    section(0, 0, 0, 0, 0, 0);
    section(1, 1, 3, BASE + start as u64, start, contents.len());
    section(name.len() as u32 + 2, 3, 0, 0, names_start, names.len());
    file
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn section_names_are_where_the_headers_say() {
        let file = go_binary("go1.22.1", &Package::new("example.com/tool", "v1.0.0"), &[]);
        let long = |at: usize| u64::from_le_bytes(file[at..at + 8].try_into().unwrap()) as usize;
        let sections = long(40);
        assert_eq!(file.len(), sections + 3 * 64);
        let (offset, size) = (long(sections + 64 + 24), long(sections + 64 + 32));
        assert!(file[offset..offset + size].starts_with(b"\xff Go buildinf:"));
        assert_eq!(offset % 16, 0);
        let names = long(sections + 128 + 24);
        assert!(file[names + 1..].starts_with(b".go.buildinfo\0.shstrtab\0"));
    }

    #[test]
    fn lengths_are_varints() {
        let check = |length: usize, expected: &[u8]| {
            let mut section = Vec::new();
            push_counted(&mut section, &vec![0; length]);
            assert_eq!(section[..expected.len()], *expected);
        };
        check(1, &[1]);
        check(127, &[127]);
        check(300, &[0xac, 0x02]);
    }
}
