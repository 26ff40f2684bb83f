//! Python distributions, from the metadata that installers leave beside the modules.
//!
//! | File | Written by |
//! | --- | --- |
//! | `*.dist-info/METADATA` | installers of wheels (PEP 376, PEP 427) |
//! | `*.egg-info/PKG-INFO`, `EGG-INFO/PKG-INFO` | setuptools |
//! | `*.egg-info`, being a file | distutils, Debian |
//! | `*.egg`, `*.whl`, being zip archives | setuptools; wheels that `ensurepip` and others import as they are |
//!
//! Core metadata are header lines before a blank line; field names are of either case:
//! <https://packaging.python.org/en/latest/specifications/core-metadata/>.

use std::borrow::Cow;

use memchr::memchr;

use crate::catalogers::zip::Archive;
use crate::package::{Package, Requirement};
use crate::{Cataloger, Contents, File, Findings, Interest, Problem};

/// Bytes of metadata that are read; what follows the header block is the long description.
const LONGEST_METADATA: usize = 1 << 20;

/// Bytes of a licence's name. `License` often holds the whole text instead.
const LONGEST_LICENSE: usize = 200;

/// Licences of one package.
const MOST_LICENSES: usize = 32;

/// Reads core metadata.
#[derive(Debug)]
pub(crate) struct Python;

impl Cataloger for Python {
    fn name(&self) -> &'static str {
        "python"
    }

    fn version(&self) -> u32 {
        2
    }

    fn interest(&self) -> Interest {
        Interest::new()
            .path_in_any_case("**/*dist-info/METADATA")
            .path_in_any_case("**/*egg-info/PKG-INFO")
            .path_in_any_case("**/*.egg-info")
            .path_in_any_case("**/*.egg")
            .path_in_any_case("**/*.whl")
    }

    fn catalog(&self, file: &File<'_>, contents: &mut Contents<'_>, findings: &mut Findings) -> Result<(), Problem> {
        let bytes = contents.whole()?;
        if ends_with(file.name(), ".egg") || ends_with(file.name(), ".whl") {
            if let Some(metadata) = zipped_metadata(bytes) {
                findings.package(package(&metadata));
            }
        } else {
            findings.package(package(&bytes[..bytes.len().min(LONGEST_METADATA)]));
        }
        Ok(())
    }
}

fn ends_with(text: &str, suffix: &str) -> bool {
    let Some(start) = text.len().checked_sub(suffix.len()) else { return false };
    text.as_bytes()[start..].eq_ignore_ascii_case(suffix.as_bytes())
}

/// The metadata of the distribution that an archive holds: at its top level, so that vendored ones do not count.
fn zipped_metadata(bytes: &[u8]) -> Option<Cow<'_, [u8]>> {
    let archive = Archive::open(bytes)?;
    let entry = archive.entries().find(|entry| {
        let Ok(name) = std::str::from_utf8(entry.name) else { return false };
        match name.split_once('/') {
            Some((directory, "METADATA")) => ends_with(directory, ".dist-info"),
            Some((directory, "PKG-INFO")) => ends_with(directory, "egg-info"),
            _ => false,
        }
    })?;
    archive.read(&entry, LONGEST_METADATA)
}

/// The package that core metadata describe, or one without a name (which is dropped) if they lack the name or
/// the version.
fn package(bytes: &[u8]) -> Package {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let mut package = Package { kind: "pypi".to_owned(), ..Package::default() };
    let (mut expression, mut license, mut classifiers) = (None, None, Vec::new());
    let (mut author_email, mut project_url) = (None, None);
    for Header { field, value, whole } in headers(bytes) {
        let text = || String::from_utf8_lossy(value).into_owned();
        let optional = || Some(text()).filter(|value| !value.is_empty() && value != "UNKNOWN");
        // Where a field that may stand once is repeated, the first counts.
        match &*field.to_ascii_lowercase() {
            b"name" if package.name.is_empty() => package.name = text(),
            b"version" if package.version.is_empty() => package.version = text(),
            b"summary" if package.description.is_none() => package.description = optional(),
            b"author" if package.author.is_none() => package.author = optional(),
            b"author-email" if author_email.is_none() => author_email = optional(),
            b"home-page" if package.url.is_none() => package.url = optional(),
            b"project-url" if project_url.is_none() => project_url = home_page(&text()),
            b"license-expression" if expression.is_none() => expression = optional(),
            b"license" if license.is_none() => license = optional().filter(|text| text.len() <= LONGEST_LICENSE),
            b"requires-dist" => package.requires.extend(requirement(&String::from_utf8_lossy(whole))),
            b"provides-dist" => package.provides.extend(distribution(&String::from_utf8_lossy(value))),
            b"classifier" if classifiers.len() < MOST_LICENSES => classifiers.extend(classified_license(&text())),
            _ => {}
        }
    }
    let invalid = |text: &str| text.is_empty() || text.contains(char::is_whitespace);
    if invalid(&package.name) || invalid(&package.version) {
        return Package::default();
    }
    package.author = match (package.author, author_email) {
        // Since PEP 621 the name often stands in Author-email alone.
        (None, email) => email,
        (Some(name), Some(email)) if !email.contains('<') => Some(format!("{name} <{email}>")),
        (name, _) => name,
    };
    package.url = package.url.or(project_url);
    // PEP 639 makes License-Expression final. Before it, classifiers are the more telling: License is free text
    // that often names only what the classifiers leave open.
    package.licenses = match (expression, classifiers.is_empty()) {
        (Some(expression), _) => vec![expression],
        (None, true) => license.into_iter().collect(),
        (None, false) => classifiers,
    };
    package
}

struct Header<'a> {
    field: &'a [u8],
    /// The first line.
    value: &'a [u8],
    /// All lines.
    whole: &'a [u8],
}

/// The header block.
fn headers(bytes: &[u8]) -> impl Iterator<Item = Header<'_>> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        while !rest.is_empty() {
            let block = rest;
            let end = memchr(b'\n', rest).unwrap_or(rest.len());
            let line = &rest[..end];
            rest = rest.get(end + 1..).unwrap_or_default();
            if line.trim_ascii().is_empty() {
                return None;
            }
            // A line that begins with space belongs to the field before.
            let colon = memchr(b':', line).filter(|_| !line[0].is_ascii_whitespace());
            if let Some(colon) = colon {
                let mut end = end;
                while let Some(b' ' | b'\t') = block.get(end + 1) {
                    end += 1 + memchr(b'\n', &block[end + 1..]).unwrap_or(block.len() - end - 1);
                }
                let [field, value] = [&line[..colon], &line[colon + 1..]].map(<[u8]>::trim_ascii);
                return Some(Header { field, value, whole: &block[colon + 1..end] });
            }
        }
        None
    })
}

/// `charset-normalizer[unicode] (<4,>=2) ; python_version >= "3.7"`. What only an extra needs is left out.
fn requirement(text: &str) -> Option<Requirement> {
    let (specifier, marker) = text.split_once(';').unwrap_or((text, ""));
    let is_extra = marker.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').any(|word| word == "extra");
    distribution(specifier).filter(|_| !is_extra).map(Requirement::of)
}

/// The name that a specifier begins with.
fn distribution(specifier: &str) -> Option<String> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    let name = specifier.trim().split(|c| !is_name(c)).next().unwrap_or_default();
    (!name.is_empty()).then(|| name.to_owned())
}

/// `License :: OSI Approved :: MIT License` → `MIT License`. The group alone says nothing.
fn classified_license(classifier: &str) -> Option<String> {
    let name = classifier.strip_prefix("License ::")?.rsplit("::").next()?.trim();
    (!name.is_empty() && name != "OSI Approved").then(|| name.to_owned())
}

/// `Homepage, https://…` → the address.
fn home_page(project_url: &str) -> Option<String> {
    let (label, url) = project_url.split_once(',')?;
    let label: String = label.chars().filter(char::is_ascii_alphabetic).map(|c| c.to_ascii_lowercase()).collect();
    (label == "homepage").then(|| url.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::catalogers::zip::tests::zip;

    fn read_at(path: &str, bytes: &[u8]) -> Vec<Package> {
        let file = File { path, size: bytes.len() as u64, executable: false };
        let mut findings = Findings::default();
        Python.catalog(&file, &mut Contents::held(bytes), &mut findings).expect("has no way to fail");
        findings.packages().to_vec()
    }

    fn read(text: &str) -> Option<Package> {
        read_at("usr/lib/python3/dist-packages/x.dist-info/METADATA", text.as_bytes()).pop()
    }

    const QUUX: &str = "\
Metadata-Version: 2.4
Name: Quux_Lib
Version: 2.4.1
Summary: quux for Python
Author-email: Ann <ann@example.org>
Project-URL: Source, https://src.example.org/
Project-URL: Home-Page, https://quux.example.org/
License-Expression: MIT AND BSD-3-Clause
License: MIT
Classifier: License :: OSI Approved :: MIT License
Requires-Dist: other (>=1)
  ; extra == 'x'
Requires-Dist: foo.bar[y] (<4,>=2) ; python_version < '3.12' and sys_platform == 'extras'
Requires-Dist: baz@ https://example.org/baz.whl
Requires-Dist: >=1
Provides-Dist: quuux (2)

Name: not a field
Version: 9
";

    #[test]
    fn reads_every_field() {
        assert_eq!(
            read(QUUX),
            Some(Package {
                kind: "pypi".into(),
                name: "Quux_Lib".into(),
                version: "2.4.1".into(),
                licenses: vec!["MIT AND BSD-3-Clause".into()],
                author: Some("Ann <ann@example.org>".into()),
                description: Some("quux for Python".into()),
                url: Some("https://quux.example.org/".into()),
                requires: vec![Requirement::of("foo.bar"), Requirement::of("baz")],
                provides: vec!["quuux".into()],
                ..Package::default()
            })
        );
    }

    #[test]
    fn header_blocks_are_read_as_they_come() {
        let check = |text: &str, expected: Option<(&str, &str)>| {
            let package = read(text);
            assert_eq!(package.as_ref().map(|package| (&*package.name, &*package.version)), expected, "{text:?}");
        };
        check("Name: a\nVersion: 1", Some(("a", "1")));
        check("NAME:a\r\nversion :1\r\n\r\n", Some(("a", "1")));
        check("\u{feff}Name: a\nName: b\nVersion: 1\nVersion: 2\n", Some(("a", "1")));
        check("Name: a\nDescription: x\nno field\n        Version: 9\nVersion: 1\n", Some(("a", "1")));
        check("Name: a\nDescription: x\n\nVersion: 1\n", None);
        check("Name: a\n", None);
        check("Version: 1\n", None);
        check("Name: two words\nVersion: 1\n", None);
        check("\nName: a\nVersion: 1\n", None);
    }

    #[test]
    fn licences_come_from_the_best_field() {
        let check = |fields: &str, expected: &[&str]| {
            let package = read(&format!("Name: a\nVersion: 1\n{fields}")).expect("is a package");
            assert_eq!(package.licenses, expected, "{fields}");
        };
        check("License: MIT\n", &["MIT"]);
        check("License: UNKNOWN\n", &[]);
        check("License: BSD\nClassifier: License :: OSI Approved\n", &["BSD"]);
        check("Classifier: License :: OSI Approved :: A\nLicense: B\nClassifier: License :: C\n", &["A", "C"]);
        check(&format!("License: {}\n", "long ".repeat(100)), &[]);
        check("License-Expression: X\nClassifier: License :: C\n", &["X"]);
    }

    #[test]
    fn authors_are_joined() {
        let check = |fields: &str, expected: Option<&str>| {
            let package = read(&format!("Name: a\nVersion: 1\n{fields}")).expect("is a package");
            assert_eq!(package.author.as_deref(), expected, "{fields}");
        };
        check("Author: Ann\nAuthor-email: ann@example.org\n", Some("Ann <ann@example.org>"));
        check("Author: Ann\nAuthor-email: Ann <ann@example.org>\n", Some("Ann"));
        check("Author: UNKNOWN\n", None);
    }

    #[test]
    fn archives_hold_one_distribution() {
        let text = b"Name: a\nVersion: 1\n".as_slice();
        let vendored = b"Name: b\nVersion: 1\n".as_slice();
        let wheel = zip(&[("a/_vendor/b-1.dist-info/METADATA", vendored), ("a-1.dist-info/METADATA", text)]);
        assert_eq!(read_at("opt/a-1-py3-none-any.whl", &wheel)[0].name, "a");
        let egg = zip(&[("a.py", b""), ("EGG-INFO/PKG-INFO", text)]);
        assert_eq!(read_at("opt/a-1-py3.9.EGG", &egg)[0].name, "a");
        assert_eq!(read_at("opt/a.egg", b"no archive"), []);
        assert_eq!(read_at("opt/a.whl", &zip(&[("a.py", b"")])), []);
    }

    proptest! {
        #[test]
        fn never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            read_at("x.dist-info/METADATA", &bytes);
            read_at("x.whl", &bytes);
        }

        #[test]
        fn mutations_never_panic(at in 0..QUUX.len(), byte: u8) {
            let mut text = QUUX.as_bytes().to_vec();
            text[at] = byte;
            read_at("x.egg-info", &text);
        }
    }
}
