//! The PHP interpreter and its extensions, for images that built or unpacked them without a package manager.
//!
//! | File | Package | Version |
//! | --- | --- | --- |
//! | `php`, `php8.3`, `php83` | `php-cli` | in the text `X-Powered-By: PHP/8.3.4` |
//! | `php-fpm…`, `php-cgi…` | `php-fpm`, `php-cgi` | the same |
//! | `libphp….so` | `php` | the same |
//! | `php…/**/*.so` | the file's name | what the extension registers itself with ([`module_entry`]) |
//!
//! Extensions that come with PHP have its version or their own. All that are there are found, loaded or not.

use memchr::memmem;

use super::module_entry;
use crate::package::Package;
use crate::{Cataloger, Contents, File, Findings, Interest, Problem};

/// What the interpreter says of itself in HTTP answers (`SAPI_PHP_VERSION_HEADER` in `main/SAPI.h`).
const POWERED_BY: &[u8] = b"X-Powered-By: PHP/";

/// Characters of a version: `8.4.0beta3`, `8.2.36-1ubuntu2`.
const LONGEST_VERSION: usize = 64;

/// Reads the interpreter and its extensions.
#[derive(Debug)]
pub(in crate::catalogers::language) struct PhpInterpreter;

impl Cataloger for PhpInterpreter {
    fn name(&self) -> &'static str {
        "php-interpreter"
    }

    fn version(&self) -> u32 {
        1
    }

    fn interest(&self) -> Interest {
        // Written out, as a pattern that ends in `*` would be tried on every path.
        macro_rules! programs {
            ($($version:literal)*) => {
                [$(concat!("**/php", $version), concat!("**/php-fpm", $version), concat!("**/php-cgi", $version),)*]
            };
        }
        let programs = programs!(
            "" "5" "7" "8" "5.6" "7.0" "7.1" "7.2" "7.3" "7.4" "8.0" "8.1" "8.2" "8.3" "8.4" "8.5" "8.6"
            "81" "82" "83" "84" "85" "86"
        );
        let libraries = Interest::new().path("**/libphp*.so").path("**/php*/**/*.so");
        programs.into_iter().fold(libraries, Interest::path)
    }

    fn catalog(&self, file: &File<'_>, contents: &mut Contents<'_>, findings: &mut Findings) -> Result<(), Problem> {
        let bytes = contents.whole()?;
        if !bytes.starts_with(b"\x7fELF") {
            return Ok(());
        }
        let name = file.name();
        let interpreter = match name.strip_suffix(".so") {
            Some(name) if name.starts_with("libphp") => Some("php"),
            Some(name) => {
                if let Some(version) = module_entry::version(bytes) {
                    findings.package(package(name, version, &format!("php-{name}:php-{name}")));
                }
                None
            }
            None => Some(match name.strip_prefix("php-").and_then(|rest| rest.get(..3)) {
                Some("fpm") => "php-fpm",
                Some("cgi") => "php-cgi",
                _ => "php-cli",
            }),
        };
        if let Some((name, version)) = interpreter.and_then(|name| Some((name, powered_by(bytes)?))) {
            findings.package(package(name, version, "php:php"));
        }
        Ok(())
    }
}

fn package(name: &str, version: String, vendor_and_product: &str) -> Package {
    Package {
        kind: "generic".to_owned(),
        name: name.to_owned(),
        cpes: vec![format!("cpe:2.3:a:{vendor_and_product}:{version}:*:*:*:*:*:*:*")],
        version,
        ..Package::default()
    }
}

fn powered_by(bytes: &[u8]) -> Option<String> {
    let start = memmem::find(bytes, POWERED_BY)? + POWERED_BY.len();
    let rest = &bytes[start..(start + LONGEST_VERSION).min(bytes.len())];
    // A distribution's own suffix (`-1ubuntu2.22`) is no part of PHP's version.
    let length = rest.iter().position(|b| !b.is_ascii_alphanumeric() && *b != b'.')?;
    let version = std::str::from_utf8(&rest[..length]).ok()?;
    (version.starts_with(|c: char| c.is_ascii_digit()) && version.contains('.')).then(|| version.to_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::catalogers::binary::tests::{BASE, elf};

    fn list(path: &str, bytes: &[u8]) -> Vec<String> {
        let file = File { path, size: bytes.len() as u64, executable: true };
        let mut findings = Findings::default();
        PhpInterpreter.catalog(&file, &mut Contents::held(bytes), &mut findings).expect("is held");
        findings.packages().iter().map(|package| format!("{} {}", package.name, package.version)).collect()
    }

    #[test]
    fn interpreters_say_their_version() {
        let check = |path: &str, text: &str, expected: &[&str]| {
            let (bytes, _) = elf(&[(".rodata", text.as_bytes())]);
            assert_eq!(list(path, &bytes), expected, "{path} {text}");
        };
        check("usr/local/bin/php", "X-Powered-By: PHP/8.3.27\0", &["php-cli 8.3.27"]);
        check("usr/bin/php83", "X-Powered-By: PHP/8.4.0RC2\0", &["php-cli 8.4.0RC2"]);
        check("usr/local/sbin/php-fpm", "X-Powered-By: PHP/8.3.27\0", &["php-fpm 8.3.27"]);
        check("usr/bin/php-cgi8.2", "X-Powered-By: PHP/8.2.1-1ubuntu3\0", &["php-cgi 8.2.1"]);
        check("usr/lib/apache2/modules/libphp8.2.so", "X-Powered-By: PHP/8.2.31\0", &["php 8.2.31"]);
        check("usr/bin/php", "X-Powered-By: PHP/x\0", &[]);
        check("usr/bin/php", "8.3.27\0", &[]);
        assert_eq!(list("usr/bin/php", b"#!/bin/sh\necho X-Powered-By: PHP/8.3.27\n"), [""; 0]);
    }

    /// An extension whose pointers are in their places, as they are where relocations have no addend of their own.
    fn extension(version: &str) -> Vec<u8> {
        let strings = format!("quux\0{version}\0API20230831,NTS\0");
        let build = BASE + 128 + 5 + version.len() as u64 + 1;
        let mut entry = vec![0; 16 + 168];
        entry[16..18].copy_from_slice(&168_u16.to_le_bytes());
        entry[20..24].copy_from_slice(&20_230_831_u32.to_le_bytes());
        for (at, address) in [(32, BASE + 128), (88, BASE + 128 + 5), (160, build)] {
            entry[16 + at..16 + at + 8].copy_from_slice(&u64::to_le_bytes(address));
        }
        elf(&[(".rodata", strings.as_bytes()), (".data.rel.ro", &entry)]).0
    }

    #[test]
    fn extensions_say_their_version() {
        let path = "usr/local/lib/php/extensions/no-debug-non-zts-20230831/quux.so";
        assert_eq!(list(path, &extension("1.22.3")), ["quux 1.22.3"]);
        assert_eq!(list(path, &extension("8.5.0-dev")), ["quux 8.5.0-dev"]);
        assert_eq!(list(path, &extension("quuxnd 8.2.36")), ["quux 8.2.36"]);
        assert_eq!(list(path, &extension("20031129")), [""; 0]);
        assert_eq!(list(path, &extension("none")), [""; 0]);
        assert_eq!(list(path, &extension("")), [""; 0]);
        assert_eq!(list(path, b"\x7fELF"), [""; 0]);
    }

    proptest! {
        #[test]
        fn mutations_never_panic(at: prop::sample::Index, byte: u8, cut: prop::sample::Index) {
            let mut bytes = extension("1.22.3");
            let at = at.index(bytes.len());
            bytes[at] = byte;
            list("usr/lib/php/quux.so", &bytes);
            bytes.truncate(cut.index(bytes.len()));
            list("usr/lib/php/quux.so", &bytes);
        }
    }
}
