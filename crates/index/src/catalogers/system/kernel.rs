//! The Linux kernel, and modules of it that have a version of their own.
//!
//! | File | What is read |
//! | --- | --- |
//! | `boot/vmlinuz-*`, `vmlinuz`, `vmlinux`, `bzImage` | x86: the string that the boot header points to (Documentation/arch/x86/boot.rst); otherwise the banner, `Linux version …`, where it is not compressed |
//! | `lib/modules/**/*.ko` | `.modinfo`: `key=value` strings (include/linux/module.h) |
//!
//! A module of the kernel's own tree has no version but the kernel's: it is no package. Compressed modules
//! (`.ko.xz`, `.ko.zst`) are not read: distributions compress the thousands of their kernel, and own them.

use memchr::memmem;
use object::{Object as _, ObjectSection as _};

use crate::package::Package;
use crate::{Cataloger, Contents, File, Findings, Interest, Problem};

/// Bytes of a module's `.modinfo`. A network driver's table of devices takes 100 KiB.
const LONGEST_MODINFO: usize = 4 << 20;

/// Longest value that is kept.
const LONGEST_VALUE: usize = 1024;

/// Reads kernels and modules.
#[derive(Debug)]
pub(crate) struct Kernel;

impl Cataloger for Kernel {
    fn name(&self) -> &'static str {
        "linux-kernel"
    }

    fn version(&self) -> u32 {
        1
    }

    fn interest(&self) -> Interest {
        Interest::new()
            .path("boot/vmlinuz-*")
            .path("**/vmlinuz")
            .path("**/vmlinux")
            .path("**/bzImage")
            .path("**/lib/modules/**/*.ko")
    }

    fn catalog(&self, file: &File<'_>, contents: &mut Contents<'_>, findings: &mut Findings) -> Result<(), Problem> {
        let bytes = contents.whole()?;
        let package = if file.name().ends_with(".ko") { module(bytes) } else { kernel(bytes) };
        findings.package(package.unwrap_or_default());
        Ok(())
    }
}

fn kernel(bytes: &[u8]) -> Option<Package> {
    let version = boot_header_version(bytes).or_else(|| banner_version(bytes))?;
    Some(Package { kind: "generic".to_owned(), name: "linux-kernel".to_owned(), version, ..Package::default() })
}

/// `6.1.0-18-amd64 (debian-kernel@lists.debian.org) #1 SMP …`, where the header's `kernel_version` says.
fn boot_header_version(bytes: &[u8]) -> Option<String> {
    if bytes.get(0x202..0x206)? != b"HdrS" {
        return None;
    }
    let pointer = u16::from_le_bytes(bytes.get(0x20e..0x210)?.try_into().ok()?);
    release(bytes.get(usize::from(pointer) + 0x200..)?)
}

fn banner_version(bytes: &[u8]) -> Option<String> {
    const BANNER: &[u8] = b"Linux version ";
    // The kernel holds the words also as a format, `Linux version %s`.
    memmem::find_iter(bytes, BANNER).take(16).find_map(|at| release(&bytes[at + BANNER.len()..]))
}

/// The word that a release string begins with.
fn release(text: &[u8]) -> Option<String> {
    let text = &text[..text.len().min(LONGEST_VALUE)];
    let word = text.split(|b| b.is_ascii_whitespace() || *b == 0).next()?;
    let valid =
        word.first().is_some_and(u8::is_ascii_digit) && word.contains(&b'.') && word.iter().all(u8::is_ascii_graphic);
    valid.then(|| String::from_utf8_lossy(word).into_owned())
}

fn module(bytes: &[u8]) -> Option<Package> {
    let file = object::File::parse(bytes).ok()?;
    let section = file.section_by_name(".modinfo")?;
    let modinfo = section.data().ok()?;
    let mut package = Package { kind: "generic".to_owned(), ..Package::default() };
    for entry in modinfo.get(..LONGEST_MODINFO).unwrap_or(modinfo).split(|&b| b == 0) {
        let Some(equals) = entry.iter().position(|&b| b == b'=').filter(|_| entry.len() <= LONGEST_VALUE) else {
            continue;
        };
        let value = || String::from_utf8_lossy(entry[equals + 1..].trim_ascii()).into_owned();
        match &entry[..equals] {
            b"name" => package.name = value(),
            b"version" => package.version = value(),
            b"license" => package.licenses = vec![value()],
            b"description" => package.description = Some(value()),
            b"author" => package.author = Some(value()),
            b"vermagic" => {
                if let Some(release) = value().split(' ').next().filter(|release| !release.is_empty()) {
                    package.qualifiers.insert("kernel".to_owned(), release.to_owned());
                }
            }
            _ => {}
        }
    }
    (!package.version.is_empty()).then_some(package)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::catalogers::binary::tests::elf;

    fn read(path: &str, bytes: &[u8]) -> Vec<Package> {
        let file = File { path, size: bytes.len() as u64, executable: false };
        let mut findings = Findings::default();
        Kernel.catalog(&file, &mut Contents::held(bytes), &mut findings).expect("has no way to fail");
        findings.packages().to_vec()
    }

    fn bz_image(version: &[u8]) -> Vec<u8> {
        let mut image = vec![0; 0x400];
        image[0x202..0x206].copy_from_slice(b"HdrS");
        image[0x20e..0x210].copy_from_slice(&0x180_u16.to_le_bytes());
        image[0x380..0x380 + version.len()].copy_from_slice(version);
        image
    }

    #[test]
    fn kernels_tell_their_release() {
        let check = |bytes: &[u8], expected: Option<&str>| {
            let found = read("boot/vmlinuz-6", bytes);
            assert_eq!(found.first().map(|p| &*p.version), expected);
            assert!(found.iter().all(|p| p.name == "linux-kernel" && p.kind == "generic"));
        };
        check(&bz_image(b"6.1.0-18-amd64 (ann@example.org) #1 SMP\0"), Some("6.1.0-18-amd64"));
        check(b"\0\0Linux version %s (%s)\0..Linux version 5.10.121-linuxkit (root@x)\n\0", Some("5.10.121-linuxkit"));
        check(&bz_image(b""), None);
        check(&bz_image(b"")[..0x20f], None);
        check(b"#!/bin/sh\n", None);
    }

    const MODINFO: &[u8] = b"license=GPL v2\0version=2.4.1\0\0description=Quux\0author=Ann Example\0alias\0\
        parm=x:y=z\0depends=\0name=quux\0vermagic=6.5.0-45-generic SMP preempt mod_unload \0";

    #[test]
    fn modules_with_a_version_are_packages() {
        let module = |modinfo: &[u8]| read("usr/lib/modules/6.5.0/extra/quux.ko", &elf(&[(".modinfo", modinfo)]).0);
        assert_eq!(
            module(MODINFO),
            [Package {
                kind: "generic".into(),
                name: "quux".into(),
                version: "2.4.1".into(),
                qualifiers: [("kernel".into(), "6.5.0-45-generic".into())].into(),
                licenses: vec!["GPL v2".into()],
                author: Some("Ann Example".into()),
                description: Some("Quux".into()),
                ..Package::default()
            }]
        );
        assert_eq!(module(b"name=quux\0vermagic=6.5.0 SMP\0"), []);
        assert_eq!(module(b"version=1\0"), []);
        assert_eq!(read("lib/modules/6/x.ko", &elf(&[(".text", b"")]).0), []);
        assert_eq!(read("lib/modules/6/x.ko", b"no ELF file"), []);
    }

    proptest! {
        #[test]
        fn never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..700), at in 0_usize..0x400) {
            let mut image = bz_image(b"6.1.0 x");
            image[0x20e] = bytes.first().copied().unwrap_or_default();
            image.truncate(at);
            read("boot/vmlinuz", &image);
            read("boot/vmlinuz", &bytes);
        }

        #[test]
        fn mutations_never_panic(at in 0_usize..1000, byte: u8) {
            let (mut file, _) = elf(&[(".modinfo", MODINFO)]);
            let length = file.len();
            file[at % length] = byte;
            read("lib/modules/6/x.ko", &file);
        }
    }
}
