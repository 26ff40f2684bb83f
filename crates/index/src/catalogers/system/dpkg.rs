//! Debian packages, from dpkg's database.
//!
//! | File | Holds |
//! | --- | --- |
//! | `var/lib/dpkg/status` | a stanza per package dpkg knows (deb822(5), `Status` field: dpkg(1), "Package states") |
//! | `var/lib/dpkg/status.d/*` | distroless images: a stanza per file, always installed, without `Status` |
//! | `var/lib/dpkg/info/<package>[:<architecture>].md5sums`, in distroless images `status.d/<package>.md5sums` | `<md5>  <path>` for each file of the package; dpkg makes it where the package brings none |
//! | `usr/share/doc/<package>/copyright` | the licences, see [`copyright`] |
//!
//! `info/*.list` names the same files and directories, links and configuration files with them, and is not read:
//! nothing in it tells a file from a directory. vcpkg keeps a look-alike, also named `status`, whose packages are C++
//! ports: it is refused.

use super::copyright;
use super::stanza::{Stanza, Stanzas};
use crate::catalogers::check_count;
use crate::package::Supplement;
use crate::{Cataloger, Contents, File, Findings, Interest, Problem};

/// Linux's `PATH_MAX`.
const LONGEST_PATH: usize = 4096;

/// Bytes of which the first stanza's `Status` is among.
const HEAD: usize = 512;

/// Reads dpkg's database.
#[derive(Debug)]
pub(crate) struct Dpkg;

impl Cataloger for Dpkg {
    fn name(&self) -> &'static str {
        "dpkg"
    }

    fn version(&self) -> u32 {
        3
    }

    fn interest(&self) -> Interest {
        Interest::new()
            .path("**/lib/dpkg/status")
            .path("**/lib/dpkg/status.d/*")
            .path("**/lib/dpkg/info/*.md5sums")
            .path("**/usr/share/doc/*/copyright")
            .behind_links("var/lib/dpkg/status", b"Package: ")
    }

    fn catalog(&self, file: &File<'_>, contents: &mut Contents<'_>, findings: &mut Findings) -> Result<(), Problem> {
        let bytes = contents.whole()?;
        let one_per_file = file.directory().ends_with("dpkg/status.d");
        let supplement =
            |name: &str| Supplement { kind: "deb".to_owned(), name: name.to_owned(), ..Supplement::default() };
        if let Some(package) = file.name().strip_suffix(".md5sums") {
            let name = package.split_once(':').map_or(package, |(name, _)| name);
            let files = owned_files(bytes, root(file.path));
            if !name.is_empty() && !files.is_empty() {
                findings.supplement(Supplement { files, ..supplement(name) });
            }
            return Ok(());
        }
        if one_per_file && file.name().ends_with(".list") {
            return Ok(());
        }
        if file.name() == "copyright" && !one_per_file {
            let licenses = copyright::licenses(bytes);
            if !licenses.is_empty() {
                let package = file.directory().rsplit('/').next().unwrap_or_default();
                findings.supplement(Supplement { licenses, ..supplement(package) });
            }
            return Ok(());
        }
        packages(bytes, one_per_file, findings)
    }

    /// apt's lists of what could be installed begin as the database does, and are ten times as large. dpkg writes
    /// `Status` before all but `Essential` and `Protected`.
    fn recognises(&self, head: &[u8]) -> bool {
        head.len() < HEAD || memchr::memmem::find(&head[..HEAD], b"\nStatus: ").is_some()
    }
}

/// The directory that the database is of: nothing for the image's own, else with a slash at its end.
fn root(database: &str) -> &str {
    let base = database.find("lib/dpkg/").and_then(|at| database.get(..at)).unwrap_or_default();
    base.strip_suffix("var/").or_else(|| base.strip_suffix("usr/")).unwrap_or(base)
}

/// The paths of an md5sums file. They are relative to the root; some makers write a leading `./`.
fn owned_files(bytes: &[u8], root: &str) -> Vec<String> {
    bytes
        .split(|&b| b == b'\n')
        .filter_map(|line| {
            let (digest, path) = line.split_at_checked(32)?;
            let path = path.strip_prefix(b"  ").or_else(|| path.strip_prefix(b" *"))?.trim_ascii_end();
            let path = path.strip_prefix(b"./").or_else(|| path.strip_prefix(b"/")).unwrap_or(path);
            let valid = digest.iter().all(u8::is_ascii_hexdigit) && (1..=LONGEST_PATH).contains(&path.len());
            valid.then(|| format!("{root}{}", String::from_utf8_lossy(path)))
        })
        .collect()
}

fn packages(bytes: &[u8], status_may_be_missing: bool, findings: &mut Findings) -> Result<(), Problem> {
    let mut debian = false;
    for stanza in Stanzas::of(bytes) {
        if is_of_vcpkg(&stanza) {
            // Before the first stanza of Debian's shape it is vcpkg's file; after it, a single odd stanza must
            // not hide the packages that follow.
            if debian {
                continue;
            }
            return Ok(());
        }
        debian |= !stanza.maintainer.is_empty();
        if stanza.is_installed(status_may_be_missing)
            && let Some(package) = stanza.debian_package()
        {
            check_count(findings)?;
            findings.package(package);
        }
    }
    Ok(())
}

/// vcpkg's paragraphs carry an ABI hash or a port version (since 2017), and always a triplet for an
/// architecture: `x64-linux`, the processor first, where Debian has it last (`kfreebsd-amd64`).
fn is_of_vcpkg(stanza: &Stanza<'_>) -> bool {
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
        let processor = stanza.architecture.split(|&b| b == b'-').next().unwrap_or_default();
        processor.len() < stanza.architecture.len() && PROCESSORS.contains(&processor)
    };
    stanza.vcpkg || (stanza.maintainer.is_empty() && triplet())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::package::{Package, Requirement, SourcePackage};

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
Pre-Depends: dpkg (>= 1.15) | init
Provides: libquux, libquux-2.4 (= 2.4)
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
                requires: vec![
                    Requirement { or: vec!["init".into()], ..Requirement::of("dpkg") },
                    Requirement::of("libc6"),
                    Requirement::of("libm"),
                ],
                provides: vec!["libquux".into(), "libquux-2.4".into()],
                ..Package::default()
            }]
        );
    }

    #[test]
    fn reads_relationships() {
        let check = |fields: &str, requires: &[&str], provides: &[&str]| {
            let text = format!("Package: a\nStatus: install ok installed\nVersion: 1\n{fields}\nPackage: b\n");
            let package = status(&text).remove(0);
            let names =
                |required: &Requirement| [std::slice::from_ref(&required.name), &required.or].concat().join("|");
            assert_eq!(package.requires.iter().map(names).collect::<Vec<_>>(), requires, "{fields:?}");
            assert_eq!(package.provides, provides, "{fields:?}");
        };
        check("Depends: libc6:any (>= 2), x|y (= 1) | z:amd64\n", &["libc6", "x|y|z"], &[]);
        check("Depends:\n b,\n\tc (<< 2)\nProvides: d (= 1),e\n f\n", &["b", "c"], &["d", "e"]);
        check("Depends: , |, (x), a b, g++, ${misc:Depends}, é\n", &["a", "g++"], &[]);
        check("Depends: b\nDepends: c\n d\nMaintainer: x\n , e\n", &["b"], &[]);
        check("Recommends: b\n , c\nPre-Depends: d\n", &["d"], &[]);
        check("Depends: b,\n\n", &["b"], &[]);
    }

    #[test]
    fn a_list_of_what_could_be_installed_is_no_database() {
        let check = |second_line: &str, expected: bool| {
            let stanza = format!("Package: quux\n{second_line}Priority: optional\nVersion: 1\n\n");
            assert_eq!(Dpkg.recognises(stanza.repeat(20).as_bytes()), expected, "{second_line}");
        };
        check("Status: install ok installed\n", true);
        check("Essential: yes\nProtected: yes\nStatus: install ok installed\n", true);
        check("", false);
        // Too short to tell.
        assert!(Dpkg.recognises(b"Package: quux\n"));
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
    fn md5sums_tell_the_owned_files() {
        let digest = "0123456789abcdef0123456789ABCDEF";
        let check = |path: &str, name: &str| {
            let lines =
                format!("{digest}  usr/bin/q u\n{digest} *./etc/x\r\nshort  y\n{}  z\n{digest}  \n", "x".repeat(32));
            let findings = read(path, lines.as_bytes());
            assert_eq!(findings.packages(), []);
            assert_eq!(
                findings.supplements(),
                [Supplement {
                    kind: "deb".into(),
                    name: name.into(),
                    files: vec!["usr/bin/q u".into(), "etc/x".into()],
                    ..Supplement::default()
                }]
            );
        };
        check("var/lib/dpkg/info/libquux2:arm64.md5sums", "libquux2");
        check("var/lib/dpkg/info/quux.md5sums", "quux");
        check("var/lib/dpkg/status.d/quux.md5sums", "quux");
        let findings = read("opt/rootfs/var/lib/dpkg/info/quux.md5sums", format!("{digest}  bin/q").as_bytes());
        assert_eq!(findings.supplements()[0].files, ["opt/rootfs/bin/q"]);
        assert!(read("var/lib/dpkg/info/quux.md5sums", b"\n").is_empty());
    }

    #[test]
    fn copyright_files_supplement_their_package() {
        let findings = read("usr/share/doc/libquux2/copyright", b"License: MIT\n");
        assert_eq!(
            findings.supplements(),
            [Supplement {
                kind: "deb".into(),
                name: "libquux2".into(),
                licenses: vec!["MIT".into()],
                ..Supplement::default()
            }]
        );
        assert!(read("usr/share/doc/libquux2/copyright", b"All rights reserved.").is_empty());
    }

    proptest! {
        #[test]
        fn never_panics(text in proptest::collection::vec(any::<u8>(), 0..600)) {
            read("var/lib/dpkg/status", &text);
            read("var/lib/dpkg/status.d/x", &text);
            read("var/lib/dpkg/info/x.md5sums", &text);
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
