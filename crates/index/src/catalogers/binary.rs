//! What the catalogers of executables share: which files are executables, and their parts.

use std::io::{self, Read};

use memchr::memmem;
use object::macho::{FatArch32, FatArch64};
use object::read::macho::{FatArch, MachOFatFile};

use crate::{Interest, Problem};

/// Architectures of one universal binary that are looked at; Apple's own hold up to five.
const MOST_ARCHITECTURES: usize = 8;

/// ELF, PE and Mach-O files by their leading bytes.
///
/// Universal binaries share their first four bytes with Java classes, whose next four are a version of 45 and
/// up: the count of architectures tells them apart.
pub(super) fn executables() -> Interest {
    const MAGICS: [&[u8]; 10] = [
        b"\x7fELF",
        b"MZ",
        b"\xfe\xed\xfa\xce",
        b"\xfe\xed\xfa\xcf",
        b"\xce\xfa\xed\xfe",
        b"\xcf\xfa\xed\xfe",
        b"\xca\xfe\xba\xbe\0\0\0\x01",
        b"\xca\xfe\xba\xbe\0\0\0\x02",
        b"\xca\xfe\xba\xbe\0\0\0\x03",
        b"\xca\xfe\xba\xbf\0\0\0",
    ];
    MAGICS.into_iter().fold(Interest::new(), |interest, magic| interest.leading(0, magic))
}

/// The executables in a file: the file itself, or the parts of a universal binary. Nothing is parsed but the
/// universal binary's own header.
pub(super) fn images(bytes: &[u8]) -> Vec<&[u8]> {
    fn parts<Arch: FatArch>(bytes: &[u8]) -> Vec<&[u8]> {
        let Ok(file) = MachOFatFile::<Arch>::parse(bytes) else { return Vec::new() };
        file.arches().iter().take(MOST_ARCHITECTURES).filter_map(|arch| arch.data(bytes).ok()).collect()
    }
    match bytes.get(..4) {
        Some(b"\xca\xfe\xba\xbe") => parts::<FatArch32>(bytes),
        Some(b"\xca\xfe\xba\xbf") => parts::<FatArch64>(bytes),
        _ => vec![bytes],
    }
}

/// Whether `needle` passes by in a file that is too large to hold.
pub(super) fn mentions(reader: &mut dyn Read, needle: &[u8]) -> Result<bool, Problem> {
    let overlap = needle.len().saturating_sub(1);
    let mut buffer = vec![0; 256 << 10];
    let (mut held, mut found) = (0, false);
    loop {
        match reader.read(&mut buffer[held..]) {
            Ok(0) => return Ok(found),
            Ok(n) => {
                let length = held + n;
                found |= memmem::find(&buffer[..length], needle).is_some();
                held = length.min(overlap);
                buffer.copy_within(length - held..length, 0);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error.into()),
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Address of the first byte of [`elf`].
    pub(in crate::catalogers) const BASE: u64 = 0x40_0000;

    /// A little-endian 64-bit ELF file: one writable segment over all of it at [`BASE`], and these sections,
    /// each at a multiple of 16. Returns the sections' addresses too.
    pub(in crate::catalogers) fn elf(sections: &[(&str, &[u8])]) -> (Vec<u8>, Vec<u64>) {
        let mut names = b"\0.shstrtab\0".to_vec();
        let mut body = Vec::new();
        let mut headers: Vec<[u64; 4]> = Vec::new();
        for (name, data) in sections {
            body.resize(body.len().next_multiple_of(16), 0);
            headers.push([names.len() as u64, 1, 128 + body.len() as u64, data.len() as u64]);
            names.extend(name.as_bytes());
            names.push(0);
            body.extend_from_slice(data);
        }
        headers.push([1, 3, 128 + body.len() as u64, names.len() as u64]);
        body.extend(&names);
        body.resize(body.len().next_multiple_of(16), 0);
        let table = 128 + body.len() as u64;
        let mut out = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x02\0\x3e\0\x01\0\0\0".to_vec();
        for value in [BASE, 64, table] {
            out.extend(value.to_le_bytes());
        }
        out.extend([0; 4]);
        for value in [64_u16, 56, 1, 64, headers.len() as u16 + 1, headers.len() as u16] {
            out.extend(value.to_le_bytes());
        }
        out.extend([1, 0, 0, 0, 6, 0, 0, 0]);
        for value in [0, BASE, BASE, table, table, 16] {
            out.extend(value.to_le_bytes());
        }
        out.resize(128, 0);
        out.extend(&body);
        out.extend([0; 64]);
        let mut addresses = Vec::new();
        for [name, kind, offset, size] in headers {
            addresses.push(BASE + offset);
            out.extend((name as u32).to_le_bytes());
            out.extend((kind as u32).to_le_bytes());
            for value in [2, BASE + offset, offset, size, 0, 16, 0] {
                out.extend(value.to_le_bytes());
            }
        }
        addresses.pop();
        (out, addresses)
    }

    #[test]
    fn universal_binaries_are_taken_apart() {
        let mut fat = b"\xca\xfe\xba\xbe\0\0\0\x02".to_vec();
        for (offset, size) in [(48_u32, 4_u32), (52, 400)] {
            for value in [7, 3, offset, size, 0] {
                fat.extend(value.to_be_bytes());
            }
        }
        fat.extend(b"abcd");
        assert_eq!(images(&fat), [b"abcd"], "the second reaches past the end");
        assert_eq!(images(b"\x7fELF"), [b"\x7fELF"]);
        assert_eq!(images(b""), [b""]);
    }

    #[test]
    fn the_test_file_is_an_elf_file() {
        use object::{Object as _, ObjectSection as _};
        let (bytes, addresses) = elf(&[(".one", b"1"), (".two", b"22")]);
        let file = object::File::parse(&*bytes).unwrap();
        let two = file.section_by_name(".two").unwrap();
        assert_eq!((two.address(), two.data().unwrap()), (addresses[1], b"22".as_slice()));
    }

    proptest! {
        #[test]
        fn never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            images(&[b"\xca\xfe\xba\xbe\0\0\0\x02", &*bytes].concat());
            images(&[b"\xca\xfe\xba\xbf\0\0\0\x02", &*bytes].concat());
        }
    }
}
