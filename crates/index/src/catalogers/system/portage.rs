//! Packages of Gentoo, from Portage's database of installed packages.
//!
//! `var/db/pkg/<category>/<name>-<version>/` holds a file per fact. Source: the Package Manager Specification,
//! §3.1–3.2 (names and versions) and §7.3 (`LICENSE`); Portage's `lib/portage/dbapi/vartree.py`.
//!
//! | File | Holds |
//! | --- | --- |
//! | `PF` | `<name>-<version>[-r<revision>]`; in the others' case it is the directory's name |
//! | `CONTENTS` | `obj <path> <md5> <mtime>`, `sym …`, `dir …` lines |
//! | `LICENSE` | the licences, `\|\| ( a b )` for a choice |
//! | `SIZE` | installed size, bytes |
//! | `DESCRIPTION`, `HOMEPAGE` | |
//!
//! Each of them is evidence of the package, so that what remains after others were taken away still tells; they
//! are joined by their common package URL. One name may be installed in several versions ("slots").
//!
//! No package URL type is registered; `ebuild` is the one that the package URL specification lists as a candidate.

use crate::package::Package;
use crate::{Cataloger, Contents, File, Findings, Interest, Problem};

/// Nesting of a `LICENSE` expression. Real ones have two levels.
const DEEPEST: usize = 16;

/// Words of a `LICENSE` expression. `linux-firmware` names about forty.
const MOST_WORDS: usize = 1000;

/// Linux's `PATH_MAX`.
const LONGEST_PATH: usize = 4096;

/// Reads Portage's database.
#[derive(Debug)]
pub(crate) struct Portage;

impl Cataloger for Portage {
    fn name(&self) -> &'static str {
        "portage"
    }

    fn version(&self) -> u32 {
        1
    }

    fn interest(&self) -> Interest {
        Interest::new()
            .path("**/var/db/pkg/*/*/PF")
            .path("**/var/db/pkg/*/*/CONTENTS")
            .path("**/var/db/pkg/*/*/LICENSE")
            .path("**/var/db/pkg/*/*/SIZE")
            .path("**/var/db/pkg/*/*/DESCRIPTION")
            .path("**/var/db/pkg/*/*/HOMEPAGE")
    }

    fn catalog(&self, file: &File<'_>, contents: &mut Contents<'_>, findings: &mut Findings) -> Result<(), Problem> {
        let text = contents.text()?;
        let Some((parents, directory)) = file.directory().rsplit_once('/') else { return Ok(()) };
        let category = parents.rsplit('/').next().unwrap_or_default();
        let full_name = if file.name() == "PF" { text.trim() } else { directory };
        let Some((name, version)) = split(full_name) else { return Ok(()) };
        let mut package = Package {
            kind: "ebuild".to_owned(),
            namespace: Some(category.to_owned()),
            name: name.to_owned(),
            version: version.to_owned(),
            ..Package::default()
        };
        let line = || text.lines().next().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned);
        match file.name() {
            "CONTENTS" => package.files = objects(&text),
            "LICENSE" => package.licenses = licenses(&text),
            "SIZE" => package.installed_size = text.trim().parse().ok(),
            "DESCRIPTION" => package.description = line(),
            "HOMEPAGE" => package.url = line().and_then(|line| line.split(' ').next().map(str::to_owned)),
            _ => {}
        }
        findings.package(package);
        Ok(())
    }
}

/// The paths of the regular files. A path may hold spaces; the digest and the time after it do not.
fn objects(contents: &str) -> Vec<String> {
    contents
        .lines()
        .filter_map(|line| {
            let (rest, _time) = line.strip_prefix("obj /")?.trim_end().rsplit_once(' ')?;
            let (path, _digest) = rest.rsplit_once(' ')?;
            (!path.is_empty() && path.len() <= LONGEST_PATH).then(|| path.to_owned())
        })
        .collect()
}

/// `<name>-<version>`: a name may hold hyphens and even end in digits, but never in what reads as a version.
fn split(full_name: &str) -> Option<(&str, &str)> {
    let valid = |name: &str| {
        let tail = name.rsplit('-').next().unwrap_or_default();
        !name.is_empty()
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"+_-".contains(&b))
            && (tail.len() == name.len() || !is_version(tail))
    };
    // From the right, the first that is a version: the revision alone (`r1`) is none.
    full_name
        .rmatch_indices('-')
        .take(3)
        .map(|(at, _)| (&full_name[..at], &full_name[at + 1..]))
        .find(|(_, version)| is_version(version))
        .filter(|(name, _)| valid(name))
}

/// `1.2.3b_rc4_p20240101-r5` (Package Manager Specification §3.2).
fn is_version(version: &str) -> bool {
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    let version = match version.rsplit_once("-r") {
        Some((version, revision)) if !revision.is_empty() && digits(revision) => version,
        Some(_) => return false,
        None => version,
    };
    let mut parts = version.split('_');
    let numbers = parts.next().unwrap_or_default();
    let numbers = numbers.strip_suffix(|c: char| c.is_ascii_lowercase()).unwrap_or(numbers);
    numbers.split('.').all(|number| !number.is_empty() && digits(number))
        && parts.all(|suffix| {
            ["alpha", "beta", "pre", "rc", "p"].iter().any(|word| suffix.strip_prefix(word).is_some_and(digits))
        })
}

/// The licences that all apply, one each; a choice is one expression.
fn licenses(text: &str) -> Vec<String> {
    let mut words = text.split_ascii_whitespace().take(MOST_WORDS);
    let mut licenses = group(&mut words, 0);
    licenses.sort();
    licenses.dedup();
    licenses
}

/// The members of a group up to its `)`.
fn group<'a>(words: &mut impl Iterator<Item = &'a str>, depth: usize) -> Vec<String> {
    let mut members = Vec::new();
    let mut choice = false;
    while let Some(word) = words.next() {
        match word {
            "||" => choice = true,
            // What follows holds under a USE flag. Portage stores what remains of the conditions, older versions all.
            _ if word.ends_with('?') => {}
            "(" if depth < DEEPEST => {
                let inner = group(words, depth + 1);
                if std::mem::take(&mut choice) && inner.len() > 1 {
                    let inner: Vec<_> = inner.iter().map(|license| operand(license, " AND ")).collect();
                    members.push(inner.join(" OR "));
                } else if depth > 0 && inner.len() > 1 {
                    let inner: Vec<_> = inner.iter().map(|license| operand(license, " OR ")).collect();
                    members.push(inner.join(" AND "));
                } else {
                    members.extend(inner);
                }
            }
            "(" => {}
            ")" => break,
            license => members.push(license.to_owned()),
        }
    }
    members
}

/// A member of an expression, in brackets if it is one of the other operator.
fn operand(expression: &str, other: &str) -> String {
    if expression.contains(other) { format!("({expression})") } else { expression.to_owned() }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(path: &str, text: &[u8]) -> Vec<Package> {
        let file = File { path, size: text.len() as u64, executable: false };
        let mut findings = Findings::default();
        Portage.catalog(&file, &mut Contents::held(text), &mut findings).expect("has no way to fail");
        findings.packages().to_vec()
    }

    #[test]
    fn each_file_tells_its_fact() {
        let expected = Package {
            kind: "ebuild".into(),
            namespace: Some("dev-libs".into()),
            name: "quux".into(),
            version: "2.4.1-r3".into(),
            ..Package::default()
        };
        let check = |file: &str, text: &str, expected: Package| {
            assert_eq!(
                read(&format!("var/db/pkg/dev-libs/quux-2.4.1-r3/{file}"), text.as_bytes()),
                [expected],
                "{file}"
            );
        };
        check("PF", "quux-2.4.1-r3\n", expected.clone());
        check("SIZE", "4096\n", Package { installed_size: Some(4096), ..expected.clone() });
        check("SIZE", "many\n", expected.clone());
        check("DESCRIPTION", "quux\n", Package { description: Some("quux".into()), ..expected.clone() });
        let url = Some("https://quux.example.org/".into());
        check("HOMEPAGE", "https://quux.example.org/ https://x/\n", Package { url, ..expected.clone() });
        check("LICENSE", "MIT BSD\n", Package { licenses: vec!["BSD".into(), "MIT".into()], ..expected.clone() });
        let contents = "dir /usr\nobj /usr/bin/q u 0123 1700000000\nsym /usr/lib/q.so -> q.so.1 1700000000\n\
            obj /etc/quux 0123 1700000000\nobj\nobj /x\nobj  \n";
        let files = vec!["usr/bin/q u".into(), "etc/quux".into()];
        check("CONTENTS", contents, Package { files, ..expected });
    }

    #[test]
    fn the_pf_file_is_believed_before_the_directory() {
        let found = read("var/db/pkg/perl-core/odd/PF", b"Getopt-Long-2.580.0").remove(0);
        assert_eq!((&*found.name, &*found.version), ("Getopt-Long", "2.580.0"));
        assert_eq!(read("var/db/pkg/perl-core/odd/CONTENTS", b""), []);
        for text in ["", "quux", "1.0", "-1.0", "quux-", "two words-1.0"] {
            assert_eq!(read("var/db/pkg/a/b-1/PF", text.as_bytes()), [], "{text:?}");
        }
    }

    /// Expected values: `portage.versions.catpkgsplit` of Portage 3.0.65.
    #[test]
    fn names_and_versions_are_parted() {
        let check = |full: &str, expected: Option<(&str, &str)>| assert_eq!(split(full), expected, "{full}");
        check("skopeo-1.5.1", Some(("skopeo", "1.5.1")));
        check("skopeo-1.5.1-r2", Some(("skopeo", "1.5.1-r2")));
        check("font-adobe-100dpi-1.0.4", Some(("font-adobe-100dpi", "1.0.4")));
        check("gtk+-3.24.41", Some(("gtk+", "3.24.41")));
        check("openssl-1.1.1w_p2_rc3-r1", Some(("openssl", "1.1.1w_p2_rc3-r1")));
        check("libfoo-9999", Some(("libfoo", "9999")));
        check("mesa_x-1_alpha", Some(("mesa_x", "1_alpha")));
        check("foo-1.0_beta2b", None);
        check("foo-1..0", None);
        check("foo-1.0-r", None);
        check("foo-bar", None);
        check("foo-1-2", None);
        check("foo-1-2-r1", None);
        check("foo-1a-bar-2", Some(("foo-1a-bar", "2")));
    }

    #[test]
    fn licence_groups_become_expressions() {
        let check = |text: &str, expected: &[&str]| assert_eq!(licenses(text), expected, "{text}");
        check("Apache-2.0 BSD BSD-2", &["Apache-2.0", "BSD", "BSD-2"]);
        check("|| ( GPL-2 MIT )", &["GPL-2 OR MIT"]);
        check("GPL-2+ || ( BSD ( MIT ISC ) )", &["BSD OR (MIT AND ISC)", "GPL-2+"]);
        check("ssl? ( openssl ) MIT MIT", &["MIT", "openssl"]);
        check("|| ( MIT ) )", &["MIT"]);
        check("|| ( || ( A B ) C", &["A OR B OR C"]);
        check("", &[]);
        assert!(licenses(&"( ".repeat(100_000)).is_empty());
        assert_eq!(licenses(&"|| ( a ".repeat(100_000)).len(), 1);
    }

    proptest! {
        #[test]
        fn never_panics(text in proptest::collection::vec(any::<u8>(), 0..400), name in ".{0,40}") {
            for file in ["PF", "CONTENTS", "LICENSE", "SIZE"] {
                read(&format!("var/db/pkg/a/{name}/{file}"), &text);
            }
        }

        #[test]
        fn licences_never_panic(text in "([|(]|\\|\\||[()?a ]| \\( | \\) ){0,60}") {
            licenses(&text);
        }
    }
}
