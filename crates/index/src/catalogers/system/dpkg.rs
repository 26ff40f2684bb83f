//! Debian packages, from dpkg's database.
//!
//! | File | Holds |
//! | --- | --- |
//! | `var/lib/dpkg/status` | a stanza per package dpkg knows (deb822(5), `Status` field: dpkg(1), "Package states") |
//! | `var/lib/dpkg/status.d/*` | distroless images: a stanza per file, always installed, without `Status` |
//! | `usr/share/doc/<package>/copyright` | the licences, see [`copyright`](super::copyright) |
//!
//! `*.md5sums` and `*.list` beside a `status.d` stanza are no stanzas. vcpkg keeps a look-alike, also named
//! `status`, whose packages are C++ ports: it is refused.

use memchr::memchr;

use super::copyright;
use crate::catalogers::check_count;
use crate::package::{Package, SourcePackage, Supplement};
use crate::{Cataloger, Contents, File, Findings, Interest, Problem};

/// Longest value of a field that is kept. Names and versions are far shorter; Debian's policy sets no bound.
const LONGEST_VALUE: usize = 4096;

/// Reads dpkg's database.
#[derive(Debug)]
pub(crate) struct Dpkg;

impl Cataloger for Dpkg {
    fn name(&self) -> &'static str {
        "dpkg"
    }

    fn version(&self) -> u32 {
        1
    }

    fn interest(&self) -> Interest {
        Interest::new()
            .path("**/var/lib/dpkg/status")
            .path("**/var/lib/dpkg/status.d/*")
            .path("**/usr/share/doc/*/copyright")
            .behind_links("var/lib/dpkg/status", b"Package: ")
    }

    fn catalog(&self, file: &File<'_>, contents: &mut Contents<'_>, findings: &mut Findings) -> Result<(), Problem> {
        if file.name() == "copyright" && !file.directory().ends_with("dpkg/status.d") {
            let licenses = copyright::licenses(contents.whole()?);
            if !licenses.is_empty() {
                let package = file.directory().rsplit('/').next().unwrap_or_default();
                findings.supplement(Supplement {
                    kind: "deb".to_owned(),
                    name: package.to_owned(),
                    licenses,
                    files: Vec::new(),
                });
            }
            return Ok(());
        }
        let one_per_file = file.directory().ends_with("dpkg/status.d");
        if one_per_file && (file.name().ends_with(".md5sums") || file.name().ends_with(".list")) {
            return Ok(());
        }
        let bytes = contents.whole()?;
        packages(bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes), one_per_file, findings)
    }
}

fn packages(bytes: &[u8], status_may_be_missing: bool, findings: &mut Findings) -> Result<(), Problem> {
    let mut debian = false;
    for stanza in (Stanzas { rest: bytes }) {
        if stanza.is_of_vcpkg() {
            // Before the first stanza of Debian's shape it is vcpkg's file; after it, a single odd stanza must
            // not hide the packages that follow.
            if debian {
                continue;
            }
            return Ok(());
        }
        debian |= !stanza.maintainer.is_empty();
        if stanza.is_installed(status_may_be_missing)
            && let Some(package) = stanza.package()
        {
            check_count(findings)?;
            findings.package(package);
        }
    }
    Ok(())
}

/// The fields of a stanza that are of use, as slices of the file. Empty where a field is missing.
#[derive(Debug, Default)]
struct Stanza<'a> {
    package: &'a [u8],
    status: &'a [u8],
    version: &'a [u8],
    architecture: &'a [u8],
    source: &'a [u8],
    maintainer: &'a [u8],
    description: &'a [u8],
    homepage: &'a [u8],
    installed_size: &'a [u8],
    /// It has a field that only vcpkg writes.
    vcpkg: bool,
}

struct Stanzas<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Stanzas<'a> {
    type Item = Stanza<'a>;

    fn next(&mut self) -> Option<Stanza<'a>> {
        let mut stanza = Stanza::default();
        let mut fields = false;
        while !self.rest.is_empty() {
            let end = memchr(b'\n', self.rest).unwrap_or(self.rest.len());
            let line = &self.rest[..end];
            self.rest = self.rest.get(end + 1..).unwrap_or_default();
            match line.first() {
                // A line of the field before, unless there is nothing on it.
                Some(b' ' | b'\t') if !line.trim_ascii().is_empty() => {}
                Some(first) if !first.is_ascii_whitespace() => {
                    fields = true;
                    stanza.take(line);
                }
                _ if fields => return Some(stanza),
                _ => {}
            }
        }
        fields.then_some(stanza)
    }
}

impl<'a> Stanza<'a> {
    fn take(&mut self, line: &'a [u8]) {
        // Most lines of a stanza are of no use: judge them by their first letter before looking for the colon.
        if !matches!(line[0] | 0x20, b'p' | b's' | b'v' | b'a' | b'm' | b'd' | b'h' | b'i' | b't' | b'f') {
            return;
        }
        // The longest field name of use has 14 letters.
        let Some(colon) = memchr(b':', &line[..line.len().min(16)]) else { return };
        let (field, value) = (&line[..colon], line[colon + 1..].trim_ascii());
        let field_is = |name: &[u8]| field.eq_ignore_ascii_case(name);
        let slot = match field.len() {
            3 if field_is(b"Abi") => return self.vcpkg = true,
            4 if field_is(b"Type") && value == b"Port" => return self.vcpkg = true,
            6 if field_is(b"Status") => &mut self.status,
            6 if field_is(b"Source") => &mut self.source,
            7 if field_is(b"Package") => &mut self.package,
            7 if field_is(b"Version") => &mut self.version,
            7 if field_is(b"Feature") => return self.vcpkg = true,
            8 if field_is(b"Homepage") => &mut self.homepage,
            10 if field_is(b"Maintainer") => &mut self.maintainer,
            11 if field_is(b"Description") => &mut self.description,
            12 if field_is(b"Architecture") => &mut self.architecture,
            12 if field_is(b"Port-Version") => return self.vcpkg = true,
            14 if field_is(b"Installed-Size") => &mut self.installed_size,
            _ => return,
        };
        if slot.is_empty() {
            *slot = &value[..value.len().min(LONGEST_VALUE)];
        }
    }

    /// vcpkg's paragraphs carry an ABI hash or a port version (since 2017), and always a triplet for an
    /// architecture: `x64-linux`, the processor first, where Debian has it last (`kfreebsd-amd64`).
    fn is_of_vcpkg(&self) -> bool {
        const PROCESSORS: [&[u8]; 14] = [
            b"x86",
            b"x64",
            b"arm",
            b"arm64",
            b"arm64ec",
            b"wasm32",
            b"s390x",
            b"ppc64le",
            b"riscv32",
            b"riscv64",
            b"loongarch32",
            b"loongarch64",
            b"mips64",
            b"mips",
        ];
        let triplet = || {
            let processor = self.architecture.split(|&b| b == b'-').next().unwrap_or_default();
            processor.len() < self.architecture.len() && PROCESSORS.contains(&processor)
        };
        self.vcpkg || (self.maintainer.is_empty() && triplet())
    }

    /// The third word of `Status` is the state. What merely awaits triggers is unpacked and configured; whatever
    /// else is not `installed` is not wholly there, or left nothing but configuration files.
    fn is_installed(&self, status_may_be_missing: bool) -> bool {
        if self.status.is_empty() {
            return status_may_be_missing;
        }
        let state = self.status.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty()).nth(2);
        matches!(state, Some(b"installed" | b"triggers-awaited" | b"triggers-pending"))
    }

    fn package(&self) -> Option<Package> {
        let name = text(self.package);
        let version = text(self.version);
        if name.is_empty() || name.contains(char::is_whitespace) || !is_version(&version) {
            return None;
        }
        let mut package = Package { kind: "deb".to_owned(), ..Package::default() };
        if !self.architecture.is_empty() {
            package.qualifiers.insert("arch".to_owned(), text(self.architecture));
        }
        package.source = Some(if self.source.is_empty() {
            SourcePackage { name: name.clone(), version: version.clone() }
        } else {
            let source = text(self.source);
            let (source_name, source_version) = split_source(&source);
            let upstream = match source_version {
                Some(version) => format!("{source_name}@{version}"),
                None => source_name.to_owned(),
            };
            package.qualifiers.insert("upstream".to_owned(), upstream);
            SourcePackage { name: source_name.to_owned(), version: source_version.unwrap_or(&version).to_owned() }
        });
        package.author = optional(self.maintainer);
        package.description = optional(self.description);
        package.url = optional(self.homepage);
        // dpkg counts in KiB (deb-control(5)).
        package.installed_size = text(self.installed_size).parse::<u64>().ok().and_then(|size| size.checked_mul(1024));
        package.name = name;
        package.version = version;
        Some(package)
    }
}

/// `gcc-12 (12.2.0-14)` or `pam`.
fn split_source(source: &str) -> (&str, Option<&str>) {
    match source.split_once('(') {
        Some((name, version)) => {
            let version = version.split(')').next().unwrap_or_default().trim();
            (name.trim(), (!version.is_empty()).then_some(version))
        }
        None => (source, None),
    }
}

/// The characters of deb-version(7), and the underscore that some makers use.
fn is_version(version: &str) -> bool {
    !version.is_empty() && version.bytes().all(|b| b.is_ascii_alphanumeric() || b".+-:~_".contains(&b))
}

fn text(value: &[u8]) -> String {
    String::from_utf8_lossy(value).into_owned()
}

fn optional(value: &[u8]) -> Option<String> {
    (!value.is_empty()).then(|| text(value))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(path: &str, text: &[u8]) -> Findings {
        let file = File { path, size: text.len() as u64, executable: false };
        let mut findings = Findings::default();
        Dpkg.catalog(&file, &mut Contents::held(text), &mut findings).expect("has no way to fail");
        findings
    }

    fn status(text: &str) -> Vec<Package> {
        read("var/lib/dpkg/status", text.as_bytes()).packages().to_vec()
    }

    const LIBQUUX: &str = "\
Package: libquux2
Status: install ok installed
Priority: optional
Installed-Size: 12
Maintainer: Ann Example <ann@example.org>
Architecture: arm64
Source: quux (1:2.4-1)
Version: 1:2.4-1+b2
Depends: libc6 (>= 2.34),
 libm
Conffiles:
 /etc/quux.conf 0123456789abcdef0123456789abcdef
Description: quux, the library
 Package: not-a-field
 .
 More words.
Homepage: https://quux.example.org/
";

    #[test]
    fn reads_every_field() {
        let packages = status(LIBQUUX);
        assert_eq!(
            packages,
            [Package {
                kind: "deb".into(),
                name: "libquux2".into(),
                version: "1:2.4-1+b2".into(),
                qualifiers: [("arch".into(), "arm64".into()), ("upstream".into(), "quux@1:2.4-1".into())].into(),
                source: Some(SourcePackage { name: "quux".into(), version: "1:2.4-1".into() }),
                author: Some("Ann Example <ann@example.org>".into()),
                description: Some("quux, the library".into()),
                url: Some("https://quux.example.org/".into()),
                installed_size: Some(12 * 1024),
                ..Package::default()
            }]
        );
    }

    #[test]
    fn stanzas_are_told_apart() {
        let check = |text: &str, expected: &[&str]| {
            let names: Vec<_> = status(text).into_iter().map(|package| package.name).collect();
            assert_eq!(names, expected, "{text:?}");
        };
        let stanza = |name: &str| format!("Package: {name}\nStatus: install ok installed\nVersion: 1");
        let (a, b) = (stanza("a"), stanza("b"));
        check(&a, &["a"]);
        check(&format!("\n\n{a}\n\n\n{b}"), &["a", "b"]);
        check(&format!("{a}\n \t\n{b}\n"), &["a", "b"]);
        check(&format!("\u{feff}{a}\n\n{b}").replace('\n', "\r\n"), &["a", "b"]);
        check(&a.to_uppercase().replace("INSTALL OK INSTALLED", "install ok installed"), &["A"]);
        check(&format!("Description: {}\n{a}", "x".repeat(1 << 20)), &["a"]);
        check(&format!("{a}\n\nPackage: \nStatus: install ok installed\nVersion: 1\n\n{b}"), &["a", "b"]);
        check(&format!("{a}\n\nPackage: c\nStatus: install ok installed\n\nversion only\n"), &["a"]);
        check("Package: a\nStatus: install ok installed\nVersion: 1 2\n", &[]);
        check("Package: a\nStatus: install ok installed\nVersion: {{v}}\n", &[]);
    }

    #[test]
    fn the_state_decides() {
        let check = |status_field: &str, expected: bool| {
            let found = status(&format!("Package: a\n{status_field}Version: 1\n"));
            assert_eq!(!found.is_empty(), expected, "{status_field:?}");
        };
        check("Status: install ok installed\n", true);
        check("Status: hold ok installed\n", true);
        check("Status: deinstall ok installed\n", true);
        check("Status:  install  ok  triggers-pending\n", true);
        check("Status: deinstall ok config-files\n", false);
        check("Status: purge ok not-installed\n", false);
        check("Status: install reinstreq half-installed\n", false);
        check("Status: install ok unpacked\n", false);
        check("Status: installed\n", false);
        check("", false);
    }

    #[test]
    fn the_source_package_is_named() {
        let check = |source: &str, name: &str, version: &str, upstream: Option<&str>| {
            let package = status(&format!("Package: a\nStatus: install ok installed\n{source}Version: 2\n")).remove(0);
            assert_eq!(package.source, Some(SourcePackage { name: name.into(), version: version.into() }), "{source}");
            assert_eq!(package.qualifiers.get("upstream").map(String::as_str), upstream, "{source}");
        };
        check("", "a", "2", None);
        check("Source: b\n", "b", "2", Some("b"));
        check("Source: b (1)\n", "b", "1", Some("b@1"));
        check("Source: b (1\n", "b", "1", Some("b@1"));
        check("Source: b ()\n", "b", "2", Some("b"));
    }

    #[test]
    fn distroless_stanzas_have_no_status() {
        let stanza = b"Package: tz\nVersion: 2025a-1\nArchitecture: all\n";
        assert_eq!(read("var/lib/dpkg/status.d/tz", stanza).packages().len(), 1);
        assert_eq!(read("rootfs/var/lib/dpkg/status.d/tz", stanza).packages().len(), 1);
        assert_eq!(read("var/lib/dpkg/status.d/tz.md5sums", stanza).packages().len(), 0);
        assert_eq!(read("var/lib/dpkg/status.d/tz.list", stanza).packages().len(), 0);
        assert_eq!(read("var/lib/dpkg/status", stanza).packages().len(), 0);
    }

    #[test]
    fn a_look_alike_of_vcpkg_is_refused() {
        let port = |extra: &str| {
            format!(
                "Package: quux\nVersion: 1.0\n{extra}Multi-Arch: same\nDescription: d\nStatus: install ok installed\n"
            )
        };
        for extra in [
            "Architecture: x64-linux\n",
            "Architecture: arm64-osx-dynamic\n",
            "Architecture: mine\nAbi: 0123\n",
            "Architecture: mine\nPort-Version: 2\n",
            "Architecture: mine\nType: Port\n",
        ] {
            assert_eq!(status(&format!("{}\n{LIBQUUX}", port(extra))).len(), 0, "{extra}");
            assert_eq!(status(&format!("{LIBQUUX}\n{}\n{LIBQUUX}", port(extra))).len(), 2, "{extra}");
        }
        assert_eq!(status(&port("Architecture: kfreebsd-amd64\n")).len(), 1);
        assert_eq!(status(&port("")).len(), 1);
    }

    #[test]
    fn packages_of_one_file_are_bounded() {
        let text =
            "Package: a\nStatus: install ok installed\nVersion: 1\n\n".repeat(crate::catalogers::MOST_PACKAGES + 1);
        let file = File { path: "var/lib/dpkg/status", size: text.len() as u64, executable: false };
        let mut findings = Findings::default();
        assert!(Dpkg.catalog(&file, &mut Contents::held(text.as_bytes()), &mut findings).is_err());
        assert_eq!(findings.packages().len(), crate::catalogers::MOST_PACKAGES);
    }

    #[test]
    fn copyright_files_supplement_their_package() {
        let findings = read("usr/share/doc/libquux2/copyright", b"License: MIT\n");
        assert_eq!(
            findings.supplements(),
            [Supplement { kind: "deb".into(), name: "libquux2".into(), licenses: vec!["MIT".into()], files: vec![] }]
        );
        assert!(read("usr/share/doc/libquux2/copyright", b"All rights reserved.").is_empty());
    }

    proptest! {
        #[test]
        fn never_panics(text in proptest::collection::vec(any::<u8>(), 0..600)) {
            read("var/lib/dpkg/status", &text);
            read("var/lib/dpkg/status.d/x", &text);
        }

        #[test]
        fn mutations_never_panic(at in 0..LIBQUUX.len(), byte: u8, cut in 0..LIBQUUX.len()) {
            let mut text = LIBQUUX.as_bytes().to_vec();
            text[at] = byte;
            text.truncate(cut);
            read("var/lib/dpkg/status", &text);
        }
    }
}
