//! OCaml packages, from what opam and dune leave behind.
//!
//! | Path | Is evidence of |
//! | --- | --- |
//! | `.opam-switch/switch-state` | what is installed in a switch: its list `installed` |
//! | `.opam-switch/install/*.install` | one package, or, as some tools write it, a list of `name.version` |
//! | `.opam-switch/packages/<name>.<version>/opam` | an installed package, with its licence |
//! | `lib/<name>/opam`, `lib/ocaml/<name>/opam` | a library that dune installed |
//! | `packages/<name>/<name>.<version>/opam` | a package repository's entry: nothing, there are 30 000 |
//! | `<name>.opam`, `opam` elsewhere | a project's manifest: declared |
//!
//! Source of the format: <https://opam.ocaml.org/doc/Manual.html#opam>. What follows `:` is a string, a list of
//! strings, or something of no use here; strings within `{…}` are conditions.

use std::iter::Peekable;
use std::str::CharIndices;

use crate::catalogers::{check_count, field};
use crate::package::{Evidence, Package, Supplement};
use crate::{Cataloger, Contents, File, Findings, Interest, Problem};

/// Strings of one field. A switch with everything that Jane Street publishes has 400 packages.
const MOST_VALUES: usize = 100_000;

/// Licences of one package.
const MOST_LICENSES: usize = 32;

/// Reads opam files and the state of switches.
#[derive(Debug)]
pub(crate) struct Ocaml;

impl Cataloger for Ocaml {
    fn name(&self) -> &'static str {
        "ocaml"
    }

    fn version(&self) -> u32 {
        1
    }

    fn interest(&self) -> Interest {
        Interest::new()
            .path("**/.opam-switch/switch-state")
            .path("**/.opam-switch/install/*.install")
            .path("**/opam")
            .path("**/*.opam")
    }

    fn catalog(&self, file: &File<'_>, contents: &mut Contents<'_>, findings: &mut Findings) -> Result<(), Problem> {
        match file.name() {
            "switch-state" => {
                let text = field::text(contents, field::LONGEST_TEXT)?;
                for installed in Fields::read(&text)?.all("installed").filter_map(|text| text.split_once('.')) {
                    check_count(findings)?;
                    findings.package(package(installed, Evidence::Installed));
                }
            }
            name if name.ends_with(".install") => {
                let text = field::text(contents, field::LONGEST_TEXT)?;
                let words = text.lines().filter_map(|line| line.split_whitespace().next());
                for installed in words.filter_map(|word| word.split_once('.')) {
                    check_count(findings)?;
                    findings.package(package(installed, Evidence::Installed));
                }
            }
            _ => {
                let Some(place) = Place::of(file) else { return Ok(()) };
                // The program opam has this name, too.
                let Ok(text) = field::text(contents, field::LONGEST_TEXT) else { return Ok(()) };
                let Ok(fields) = Fields::read(&text) else { return Ok(()) };
                let package = described(&place, &fields);
                if package.evidence == Evidence::Installed && !package.licenses.is_empty() {
                    // The switch's state names the same package and knows no licence.
                    findings.supplement(Supplement {
                        kind: package.kind.clone(),
                        name: package.name.clone(),
                        licenses: package.licenses.clone(),
                        ..Supplement::default()
                    });
                }
                findings.package(package);
            }
        }
        Ok(())
    }
}

/// What the path of an opam file says.
#[derive(Debug, PartialEq)]
struct Place<'a> {
    name: &'a str,
    version: Option<&'a str>,
    evidence: Evidence,
}

impl<'a> Place<'a> {
    /// `None` for entries of a repository, and for what a switch has twice.
    fn of(file: &File<'a>) -> Option<Self> {
        if let Some(name) = file.name().strip_suffix(".opam") {
            return Some(Self { name, version: None, evidence: Evidence::Declared });
        }
        let mut segments = file.directory().rsplit('/');
        let (own, parent, grandparent) = (segments.next()?, segments.next(), segments.next());
        let (name, version) = match own.split_once('.') {
            Some((name, version)) => (name, Some(version)),
            None => (own, None),
        };
        let evidence = match (grandparent, parent) {
            (Some(".opam-switch"), Some("packages")) => Evidence::Installed,
            (Some(".opam-switch"), Some("overlay")) | (_, Some("packages")) => return None,
            (Some("packages"), Some(package)) if package == name => return None,
            (_, Some("lib" | "ocaml")) => Evidence::Installed,
            _ => Evidence::Declared,
        };
        Some(Self { name, version, evidence })
    }
}

fn described(place: &Place<'_>, fields: &Fields) -> Package {
    let first = |key| fields.all(key).next();
    let name = first("name").unwrap_or(place.name);
    // Distributions build libraries without their version. That one is installed is known nevertheless.
    let version = place.version.or(first("version")).unwrap_or_default();
    if version.is_empty() && place.evidence != Evidence::Installed {
        return Package::default();
    }
    // Every opam file of version 2 says so; those of version 1.2 have a maintainer.
    if first("opam-version").is_none() && first("maintainer").is_none() {
        return Package::default();
    }
    Package {
        licenses: fields.all("license").filter_map(field::line).take(MOST_LICENSES).collect(),
        author: first("maintainer").or(first("authors")).and_then(field::line),
        description: first("synopsis").and_then(field::line),
        url: first("homepage").and_then(field::word),
        ..package((name, version), place.evidence)
    }
}

/// The package that is written `name.version` (names have no full stop), or one without a name if these are no name and version of opam's.
fn package((name, version): (&str, &str), evidence: Evidence) -> Package {
    let is_name = name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_+".contains(&b))
        && name.bytes().any(|b| b.is_ascii_alphabetic());
    let is_version = version.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_+.~".contains(&b));
    if !is_name || !is_version || !field::is_word(name) || !(version.is_empty() || field::is_word(version)) {
        return Package::default();
    }
    Package {
        kind: "opam".to_owned(),
        name: name.to_owned(),
        version: version.to_owned(),
        evidence,
        ..Package::default()
    }
}

/// The strings of an opam file's own fields, those of its sections left out.
#[derive(Debug, Default)]
struct Fields(Vec<(String, String)>);

impl Fields {
    fn read(text: &str) -> Result<Self, Problem> {
        let mut fields = Vec::new();
        let mut key = String::new();
        let mut word = String::new();
        // Lists and sections around, and of these the sections and conditions.
        let (mut depth, mut hidden) = (0_usize, 0_usize);
        let mut chars = text.char_indices().peekable();
        while let Some((at, c)) = chars.next() {
            match c {
                '#' => while chars.next_if(|&(_, c)| c != '\n').is_some() {},
                '(' if text[at..].starts_with("(*") => skip_comment(text, &mut chars),
                '"' => {
                    let value = string(text, at, &mut chars);
                    if hidden == 0 && !key.is_empty() {
                        if fields.len() == MOST_VALUES {
                            return Err(Problem::malformed(format!("more than {MOST_VALUES} strings")));
                        }
                        fields.push((key.clone(), value));
                    }
                    word.clear();
                }
                '[' | '{' | '(' => {
                    depth += 1;
                    hidden += usize::from(c == '{' || hidden > 0);
                }
                ']' | '}' | ')' => {
                    depth = depth.saturating_sub(1);
                    hidden = hidden.saturating_sub(1);
                }
                ':' if depth == 0 => key = std::mem::take(&mut word),
                c if c.is_alphanumeric() || c == '-' || c == '_' => {
                    if word.len() < 64 {
                        word.push(c);
                    }
                }
                _ => word.clear(),
            }
        }
        Ok(Self(fields))
    }

    fn all<'a>(&'a self, key: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(name, _)| name == key).map(|(_, value)| &**value)
    }
}

/// The string whose opening quote was just read at `at`: `"…"` or `"""…"""`.
fn string(text: &str, at: usize, chars: &mut Peekable<CharIndices<'_>>) -> String {
    let long = text[at..].starts_with("\"\"\"");
    if long {
        chars.next();
        chars.next();
    }
    let mut value = String::new();
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some((_, 'n')) => value.push('\n'),
                Some((_, '\n')) | None => {}
                Some((_, other)) => value.push(other),
            },
            '"' if !long => break,
            '"' if text[at..].starts_with("\"\"\"") => {
                chars.next();
                chars.next();
                break;
            }
            c => value.push(c),
        }
    }
    value
}

fn skip_comment(text: &str, chars: &mut Peekable<CharIndices<'_>>) {
    chars.next();
    while let Some((at, _)) = chars.next() {
        if text[at..].starts_with("*)") {
            chars.next();
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::catalogers::testing;

    const PATH: &str = "home/opam/.opam/5.1/.opam-switch/packages/quux.v2.4/opam";
    const QUUX: &str = "\
opam-version: \"2.0\" # the format
(* a comment: \"x\" *)
maintainer: \"Ann <ann@example.org>\"
authors: [\"Ann\" \"Bob\"]
license: [\"MIT\" \"ISC\"]
homepage: \"https://quux.example.org\"
synopsis: \"\"\"Quux, \"the\" library\"\"\"
depends: [
  \"ocaml\" {>= \"4.08\" & license: \"x\"}
  \"dune\" {build}
]
build: [[\"dune\" \"build\" \"-p\" name]]
url {
  src: \"https://quux.example.org/quux.tbz\"
  license: \"GPL\"
}
";

    #[test]
    fn reads_every_field() {
        assert_eq!(
            testing::packages(&Ocaml, PATH, QUUX),
            [Package {
                kind: "opam".into(),
                name: "quux".into(),
                version: "v2.4".into(),
                licenses: vec!["MIT".into(), "ISC".into()],
                author: Some("Ann <ann@example.org>".into()),
                description: Some("Quux, \"the\" library".into()),
                url: Some("https://quux.example.org".into()),
                ..Package::default()
            }]
        );
    }

    #[test]
    fn licences_reach_what_the_state_names() {
        let found = testing::find(&Ocaml, PATH, QUUX.as_bytes()).unwrap();
        let expected = Supplement {
            kind: "opam".into(),
            name: "quux".into(),
            licenses: vec!["MIT".into(), "ISC".into()],
            ..Supplement::default()
        };
        assert_eq!(found.supplements(), [expected]);
        assert!(testing::find(&Ocaml, "app/quux.2.4/opam", QUUX.as_bytes()).unwrap().supplements().is_empty());
    }

    #[test]
    fn switches_say_what_they_hold() {
        let check = |path: &str, text: &str, expected: &[&str]| {
            assert_eq!(testing::brief(&Ocaml, path, text), expected, "{path}: {text}");
        };
        let state = "opam-version: \"2.0\"\ncompiler: [\"ocaml.5.1.0\"]\nroots: [\"dune.3.11.1\"]\n\
            installed: [\"dune.3.11.1\" \"base-bigarray.base\"\n \"ocaml.5.1.0\"]\npinned: \"other.1\"\n";
        let expected = ["dune 3.11.1", "base-bigarray base", "ocaml 5.1.0"];
        check("root/.opam/default/.opam-switch/switch-state", state, &expected);
        let install = "root/.opam/default/.opam-switch/install/a.install";
        check(install, "# list\ndune.3.11.1\n\nocamlfind.1.9.6 # here\n", &["dune 3.11.1", "ocamlfind 1.9.6"]);
        check(install, "lib: [\n  \"_build/META\" {\"META\"}\n  \"a.cmi\"\n]\n", &[]);
    }

    #[test]
    fn where_an_opam_file_lies_decides() {
        let with_version = format!("{QUUX}version: \"1.0\"\n");
        let check = |path: &str, text: &str, expected: &[&str]| {
            assert_eq!(testing::brief(&Ocaml, path, text), expected, "{path}");
        };
        check("app/quux.opam", &with_version, &["quux 1.0?"]);
        check("app/quux.opam", QUUX, &[]);
        check("app/quux.2.4/opam", QUUX, &["quux 2.4?"]);
        check("root/.opam/5.1/lib/quux/opam", &with_version, &["quux 1.0"]);
        check("usr/lib/ocaml/quux/opam", &with_version, &["quux 1.0"]);
        check("usr/lib/ocaml/quux/opam", QUUX, &["quux"]);
        check("home/opam/opam-repository/packages/quux/quux.2.4/opam", QUUX, &[]);
        check("home/opam/.opam/5.1/.opam-switch/overlay/quux/opam", &with_version, &[]);
        check("usr/bin/opam", "\x7fELF\"", &[]);
        check("opam", &with_version, &[]);
    }

    proptest! {
        #[test]
        fn mutations_never_panic(change: (usize, u8, usize)) {
            testing::mutate(&Ocaml, PATH, QUUX, change);
        }

        #[test]
        fn never_panics(text in "[a:\"\\\\\\[\\]{}()*#é \n]{0,60}") {
            let _ = testing::find(&Ocaml, PATH, text.as_bytes());
        }
    }
}
