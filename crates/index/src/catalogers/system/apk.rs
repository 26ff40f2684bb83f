//! Alpine packages, from apk's database of installed packages.
//!
//! Records of `letter:value` lines, parted by blank lines: <https://wiki.alpinelinux.org/wiki/Apk_spec>.
//!
//! | Field | | Field | |
//! | --- | --- | --- | --- |
//! | `P` | name | `m` | maintainer |
//! | `V` | version | `S` | size of the package file, bytes |
//! | `A` | architecture | `I` | installed size, bytes |
//! | `T` | description | `o` | origin, the source package |
//! | `U` | home page | `F` | a directory; the `R` after it are files in it |
//! | `L` | licence expression | `D`, `p` | what it depends on and what it provides, with spaces between |
//!
//! apk 3 on a merged `/usr` keeps the file under `usr/lib/apk/db`.

use memchr::memchr;

use crate::cataloger::MOST_NAMES_OF_ONE;
use crate::catalogers::check_count;
use crate::package::{Package, Requirement, SourcePackage};
use crate::{Cataloger, Contents, File, Findings, Interest, Problem};

/// Bytes of all owned paths of one database. A hostile one could name a long directory once and a million
/// one-letter files in it; the largest real ones stay under 20 MiB.
const MOST_PATH_BYTES: usize = 64 << 20;

/// Linux's `PATH_MAX`.
const LONGEST_PATH: usize = 4096;

/// Reads apk's database.
#[derive(Debug)]
pub(crate) struct Apk;

impl Cataloger for Apk {
    fn name(&self) -> &'static str {
        "apk"
    }

    fn version(&self) -> u32 {
        3
    }

    fn interest(&self) -> Interest {
        Interest::new()
            .path("**/lib/apk/db/installed")
            .behind_links("lib/apk/db/installed", b"C:Q1")
            .behind_links("usr/lib/apk/db/installed", b"C:Q1")
    }

    fn catalog(&self, _file: &File<'_>, contents: &mut Contents<'_>, findings: &mut Findings) -> Result<(), Problem> {
        let mut rest = contents.whole()?;
        let mut record = Record::default();
        let mut path_bytes = 0;
        while !rest.is_empty() {
            let end = memchr(b'\n', rest).unwrap_or(rest.len());
            let line = rest[..end].trim_ascii_end();
            rest = rest.get(end + 1..).unwrap_or_default();
            if line.is_empty() {
                check_count(findings)?;
                findings.package(std::mem::take(&mut record).finish());
            } else {
                record.take(line, &mut path_bytes);
            }
        }
        findings.package(record.finish());
        Ok(())
    }
}

#[derive(Debug, Default)]
struct Record<'a> {
    package: Package,
    origin: String,
    directory: &'a [u8],
}

impl<'a> Record<'a> {
    fn take(&mut self, line: &'a [u8], path_bytes: &mut usize) {
        let [letter, b':', value @ ..] = line else { return };
        let value = value.trim_ascii();
        let text = || String::from_utf8_lossy(value).into_owned();
        let optional = || (!value.is_empty()).then(text);
        let package = &mut self.package;
        match letter {
            b'P' => package.name = text(),
            b'V' => package.version = text(),
            b'A' if !value.is_empty() => _ = package.qualifiers.insert("arch".to_owned(), text()),
            b'L' => package.licenses = optional().into_iter().collect(),
            b'm' => package.author = optional(),
            b'T' => package.description = optional(),
            b'U' => package.url = optional(),
            b'S' => package.size = text().parse().ok(),
            b'I' => package.installed_size = text().parse().ok(),
            b'o' => self.origin = text(),
            // `!name` is a conflict.
            b'D' => {
                package.requires = names(value).filter(|name| !name.starts_with('!')).map(Requirement::of).collect();
            }
            b'p' => package.provides = names(value).map(str::to_owned).collect(),
            b'F' => self.directory = value,
            b'R' => {
                let length = self.directory.len() + 1 + value.len();
                if !value.is_empty() && length <= LONGEST_PATH && *path_bytes + length <= MOST_PATH_BYTES {
                    *path_bytes += length;
                    package.files.push(join(self.directory, value));
                }
            }
            _ => {}
        }
    }

    /// The package, or one without a name (which is dropped) if the record has no name or no version.
    fn finish(self) -> Package {
        let Self { mut package, origin, .. } = self;
        let invalid = |text: &str| text.is_empty() || text.contains(char::is_whitespace);
        if invalid(&package.name) || invalid(&package.version) {
            return Package::default();
        }
        package.kind = "apk".to_owned();
        if !origin.is_empty() {
            if origin != package.name {
                package.qualifiers.insert("upstream".to_owned(), origin.clone());
            }
            package.source = Some(SourcePackage { name: origin, version: package.version.clone() });
        }
        package
    }
}

/// The names in `musl>=1.2 so:libfoo.so.1=1.0.0 cmd:foo=1 /bin/sh`.
fn names(value: &[u8]) -> impl Iterator<Item = &str> {
    let words = std::str::from_utf8(value).unwrap_or_default().split_ascii_whitespace();
    words
        .map(|word| word.split(['<', '>', '=', '~', '@']).next().unwrap_or_default())
        .filter(|name| !name.is_empty())
        .take(MOST_NAMES_OF_ONE)
}

fn join(directory: &[u8], name: &[u8]) -> String {
    let name = String::from_utf8_lossy(name);
    if directory.is_empty() { name.into_owned() } else { format!("{}/{name}", String::from_utf8_lossy(directory)) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &[u8]) -> Vec<Package> {
        let file = File { path: "lib/apk/db/installed", size: text.len() as u64, executable: false };
        let mut findings = Findings::default();
        Apk.catalog(&file, &mut Contents::held(text), &mut findings).expect("has no way to fail");
        findings.packages().to_vec()
    }

    const QUUX: &str = "\
C:Q1AAAAAAAAAAAAAAAAAAAAAAAAAAA=
P:quux-libs
V:2.4.1-r3
A:aarch64
S:1000
I:4096
T:quux, the library
U:https://quux.example.org/
L:MIT AND (GPL-2.0-only WITH Classpath-exception-2.0 OR MIT)
o:quux
m:Ann Example <ann@example.org>
t:1700000000
D:so:libc.musl-aarch64.so.1 foo>=1.2-r0 bar~3@edge !baz /bin/sh
p:so:libquux.so.2=2.4.1 cmd:quux=2.4.1-r3
F:
R:top
F:usr/lib
M:0:0:755
R:libquux.so.2
a:0:0:777
Z:Q1AAAAAAAAAAAAAAAAAAAAAAAAAAA=
";

    #[test]
    fn reads_every_field() {
        assert_eq!(
            read(QUUX.as_bytes()),
            [Package {
                kind: "apk".into(),
                name: "quux-libs".into(),
                version: "2.4.1-r3".into(),
                qualifiers: [("arch".into(), "aarch64".into()), ("upstream".into(), "quux".into())].into(),
                source: Some(SourcePackage { name: "quux".into(), version: "2.4.1-r3".into() }),
                licenses: vec!["MIT AND (GPL-2.0-only WITH Classpath-exception-2.0 OR MIT)".into()],
                author: Some("Ann Example <ann@example.org>".into()),
                description: Some("quux, the library".into()),
                url: Some("https://quux.example.org/".into()),
                size: Some(1000),
                installed_size: Some(4096),
                files: vec!["top".into(), "usr/lib/libquux.so.2".into()],
                requires: ["so:libc.musl-aarch64.so.1", "foo", "bar", "/bin/sh"].map(Requirement::of).into(),
                provides: vec!["so:libquux.so.2".into(), "cmd:quux".into()],
                ..Package::default()
            }]
        );
    }

    #[test]
    fn records_are_told_apart() {
        let check = |text: &str, expected: &[&str]| {
            let names: Vec<_> = read(text.as_bytes()).into_iter().map(|package| package.name).collect();
            assert_eq!(names, expected, "{text:?}");
        };
        check("P:a\nV:1-r0\n\nP:b\nV:1-r0", &["a", "b"]);
        check("\r\n\r\nP:a\r\nV:1-r0\r\n\r\nP:b\r\nV:1-r0\r\n", &["a", "b"]);
        check("P:a\n\nP:b\nV:1-r0\n\nV:2\n\n:\nno\n", &["b"]);
        check(&format!("P:a\nV:1-r0\nT:{}\n", "x".repeat(1 << 20)), &["a"]);
        check("", &[]);
    }

    #[test]
    fn the_origin_is_upstream_only_if_it_has_another_name() {
        let package = read(b"P:a\nV:1-r0\no:a\n").remove(0);
        assert_eq!(package.qualifiers.get("upstream"), None);
        assert_eq!(package.source, Some(SourcePackage { name: "a".into(), version: "1-r0".into() }));
        assert_eq!(read(b"P:a\nV:1-r0\n")[0].source, None);
    }

    #[test]
    fn owned_paths_are_bounded() {
        let mut text = format!("P:a\nV:1-r0\nF:{}\n", "d".repeat(4000));
        text.push_str(&"R:f\n".repeat(100_000));
        let total: usize = read(text.as_bytes())[0].files.iter().map(String::len).sum();
        assert!(total <= MOST_PATH_BYTES && total > MOST_PATH_BYTES / 2, "{total}");
    }

    proptest! {
        #[test]
        fn never_panics(text in proptest::collection::vec(any::<u8>(), 0..600)) {
            read(&text);
        }

        #[test]
        fn mutations_never_panic(at in 0..QUUX.len(), byte: u8, cut in 0..QUUX.len()) {
            let mut text = QUUX.as_bytes().to_vec();
            text[at] = byte;
            text.truncate(cut);
            read(&text);
        }
    }
}
