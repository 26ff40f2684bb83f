//! Packages of Arch Linux and its kin, from pacman's database of installed packages.
//!
//! `var/lib/pacman/local/<name>-<version>-<release>/` holds two files of `%FIELD%` lines, each followed by its values,
//! one a line, up to an empty line. Source: pacman's `lib/libalpm/be_local.c` and alpm-db-desc(5).
//!
//! | File | Field | |
//! | --- | --- | --- |
//! | `desc` | `NAME`, `VERSION` | the version is `[epoch:]version-release` |
//! | | `BASE` | the source package; missing before pacman 4 |
//! | | `ARCH`, `DESC`, `URL`, `PACKAGER` | |
//! | | `LICENSE` | a licence a line |
//! | | `SIZE` | installed size, bytes |
//! | | `DEPENDS`, `PROVIDES` | a name a line, a condition or a version behind it |
//! | `files` | `FILES` | paths from the root; directories end in a slash |

use memchr::memchr_iter;

use crate::cataloger::MOST_NAMES_OF_ONE;
use crate::package::{Package, Requirement, SourcePackage, Supplement};
use crate::{Cataloger, Contents, File, Findings, Interest, Problem};

/// Licences of one package. TeX Live's name about thirty.
const MOST_LICENSES: usize = 256;

/// Longest value that is kept; Linux's `PATH_MAX`, too.
const LONGEST_VALUE: usize = 4096;

/// Reads pacman's database.
#[derive(Debug)]
pub(crate) struct Alpm;

impl Cataloger for Alpm {
    fn name(&self) -> &'static str {
        "alpm"
    }

    fn version(&self) -> u32 {
        2
    }

    fn interest(&self) -> Interest {
        Interest::new().path("**/pacman/local/*/desc").path("**/pacman/local/*/files")
    }

    fn catalog(&self, file: &File<'_>, contents: &mut Contents<'_>, findings: &mut Findings) -> Result<(), Problem> {
        let bytes = contents.whole()?;
        if file.name() == "desc" {
            findings.package(package(bytes));
            return Ok(());
        }
        let entry = file.directory().rsplit('/').next().unwrap_or_default();
        // A release has no hyphen in it, nor has a version.
        let Some((name, _)) = entry.rsplit_once('-').and_then(|(rest, _)| rest.rsplit_once('-')) else { return Ok(()) };
        let files: Vec<String> = values(bytes)
            .filter(|(field, path)| *field == b"FILES" && !path.ends_with(b"/"))
            .map(|(_, path)| text(path))
            .collect();
        if !files.is_empty() {
            findings.supplement(Supplement {
                kind: "alpm".to_owned(),
                name: name.to_owned(),
                files,
                ..Supplement::default()
            });
        }
        Ok(())
    }
}

/// The package of a `desc` file, or one without a name (which is dropped) if it has no name or no version.
fn package(bytes: &[u8]) -> Package {
    let mut package = Package { kind: "alpm".to_owned(), ..Package::default() };
    let mut base = String::new();
    for (field, value) in values(bytes) {
        let value = text(value);
        match field {
            b"NAME" => package.name = value,
            b"VERSION" => package.version = value,
            b"BASE" => base = value,
            b"ARCH" => _ = package.qualifiers.insert("arch".to_owned(), value),
            b"DESC" => package.description = Some(value),
            b"URL" => package.url = Some(value),
            b"PACKAGER" => package.author = Some(value),
            b"SIZE" => package.installed_size = value.parse().ok(),
            b"DEPENDS" if package.requires.len() < MOST_NAMES_OF_ONE => {
                package.requires.push(Requirement::of(without_version(&value)));
            }
            b"PROVIDES" if package.provides.len() < MOST_NAMES_OF_ONE => {
                package.provides.push(without_version(&value).to_owned());
            }
            b"LICENSE" if package.licenses.len() < MOST_LICENSES => package.licenses.push(value),
            _ => {}
        }
    }
    let invalid = |text: &str| text.is_empty() || text.contains(char::is_whitespace);
    if invalid(&package.name) || invalid(&package.version) {
        return Package::default();
    }
    if !base.is_empty() {
        if base != package.name {
            package.qualifiers.insert("upstream".to_owned(), base.clone());
        }
        package.source = Some(SourcePackage { name: base, version: package.version.clone() });
    }
    package
}

/// Each value with the name of its field.
fn values(bytes: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    let mut field: &[u8] = b"";
    let mut start = 0;
    memchr_iter(b'\n', bytes).chain([bytes.len()]).filter_map(move |end| {
        let line = bytes.get(start..end).unwrap_or_default().trim_ascii();
        start = end + 1;
        match line {
            // No value looks like this; a field may follow the one before without an empty line.
            [b'%', name @ .., b'%'] if !name.is_empty() && name.iter().all(u8::is_ascii_uppercase) => {
                field = name;
                None
            }
            b"" => None,
            value => (value.len() <= LONGEST_VALUE).then_some((field, value)),
        }
    })
}

/// `glibc>=2.38` and `libquux.so=2-64` without what is behind the name.
fn without_version(text: &str) -> &str {
    text.split(['<', '>', '=']).next().unwrap_or(text)
}

fn text(value: &[u8]) -> String {
    String::from_utf8_lossy(value).into_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(path: &str, text: &[u8]) -> Findings {
        let file = File { path, size: text.len() as u64, executable: false };
        let mut findings = Findings::default();
        Alpm.catalog(&file, &mut Contents::held(text), &mut findings).expect("has no way to fail");
        findings
    }

    fn desc(text: &str) -> Vec<Package> {
        read("var/lib/pacman/local/x-1-1/desc", text.as_bytes()).packages().to_vec()
    }

    /// pacman 6.0.2 takes this for a package: `pacman --dbpath <its directory> -Qi quux-libs` prints the same values.
    const QUUX: &str = "\
%NAME%
quux-libs

%VERSION%
1:2.4.1-3

%BASE%
quux

%DESC%
quux, the library

%URL%
https://quux.example.org/

%ARCH%
aarch64

%BUILDDATE%
1700000000

%INSTALLDATE%
1700000001

%PACKAGER%
Ann Example <ann@example.org>

%SIZE%
4096

%REASON%
1

%LICENSE%
GPL-2.0-or-later
LicenseRef-quux with a space

%VALIDATION%
pgp

%DEPENDS%
glibc
libfoo.so=1-64

%PROVIDES%
libquux.so=2-64
quux-compat

%XDATA%
pkgtype=split
";

    #[test]
    fn reads_every_field() {
        assert_eq!(
            desc(QUUX),
            [Package {
                kind: "alpm".into(),
                name: "quux-libs".into(),
                version: "1:2.4.1-3".into(),
                qualifiers: [("arch".into(), "aarch64".into()), ("upstream".into(), "quux".into())].into(),
                source: Some(SourcePackage { name: "quux".into(), version: "1:2.4.1-3".into() }),
                licenses: vec!["GPL-2.0-or-later".into(), "LicenseRef-quux with a space".into()],
                author: Some("Ann Example <ann@example.org>".into()),
                description: Some("quux, the library".into()),
                url: Some("https://quux.example.org/".into()),
                installed_size: Some(4096),
                requires: vec![Requirement::of("glibc"), Requirement::of("libfoo.so")],
                provides: vec!["libquux.so".into(), "quux-compat".into()],
                ..Package::default()
            }]
        );
    }

    #[test]
    fn fields_are_told_apart() {
        let check = |text: &str, expected: &[&str]| {
            let found: Vec<_> = desc(text).iter().map(|p| format!("{} {}", p.name, p.version)).collect();
            assert_eq!(found, expected, "{text:?}");
        };
        check("%NAME%\na\n%VERSION%\n1-1", &["a 1-1"]);
        check("%NAME%\r\na\r\n\r\n%VERSION%\r\n1-1\r\n", &["a 1-1"]);
        check("%VERSION%\n1-1\n\n%NAME%\na\n\n%DEPENDS%", &["a 1-1"]);
        check("%NAME%\na\n", &[]);
        check("%VERSION%\n1-1\n", &[]);
        check("%NAME%\na b\n\n%VERSION%\n1-1\n", &[]);
        check("%NAME%\n\n%VERSION%\n1-1\n", &[]);
        check(&format!("%NAME%\na\n\n%VERSION%\n1-1\n\n%DESC%\n{}\n", "x".repeat(1 << 20)), &["a 1-1"]);
        check("", &[]);
    }

    #[test]
    fn the_base_is_upstream_only_if_it_has_another_name() {
        let same = desc("%NAME%\na\n\n%VERSION%\n1-1\n\n%BASE%\na\n").remove(0);
        assert_eq!(same.qualifiers.get("upstream"), None);
        assert_eq!(same.source, Some(SourcePackage { name: "a".into(), version: "1-1".into() }));
        assert_eq!(desc("%NAME%\na\n\n%VERSION%\n1-1\n")[0].source, None);
    }

    #[test]
    fn file_lists_supplement_their_package() {
        let lists = b"%FILES%\nusr/\nusr/lib/\nusr/lib/libquux.so\netc/quux.conf\n\n%BACKUP%\netc/quux.conf\t0123\n";
        assert_eq!(
            read("var/lib/pacman/local/quux-libs-1:2.4.1-3/files", lists).supplements(),
            [Supplement {
                kind: "alpm".into(),
                name: "quux-libs".into(),
                files: vec!["usr/lib/libquux.so".into(), "etc/quux.conf".into()],
                ..Supplement::default()
            }]
        );
        assert!(read("var/lib/pacman/local/quux/files", lists).is_empty());
        assert!(read("var/lib/pacman/local/quux-1-1/files", b"%FILES%\nusr/\n").is_empty());
    }

    proptest! {
        #[test]
        fn never_panics(text in proptest::collection::vec(any::<u8>(), 0..400)) {
            read("var/lib/pacman/local/a-1-1/desc", &text);
            read("var/lib/pacman/local/a-1-1/files", &text);
        }

        #[test]
        fn mutations_never_panic(at in 0..QUUX.len(), byte: u8, cut in 0..QUUX.len()) {
            let mut text = QUUX.as_bytes().to_vec();
            text[at] = byte;
            text.truncate(cut);
            read("var/lib/pacman/local/a-1-1/desc", &text);
        }
    }
}
