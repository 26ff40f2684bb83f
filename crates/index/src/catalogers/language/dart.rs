//! Dart and Flutter packages, from the `pubspec.yaml` of each.
//!
//! Source of the format: <https://dart.dev/tools/pub/pubspec>. `pub get` unpacks packages of a server into
//! `<cache>/hosted/<server>/<name>-<version>`; a `pubspec.yaml` there is of an installed package. Any other is a
//! project's manifest and names only that project.
//!
//! What a project is built from stands in its lock file: see `declared::dart`.

use serde::Deserialize;

use crate::catalogers::field::{self, Scalar};
use crate::package::{Evidence, Package};
use crate::{Cataloger, Contents, File, Findings, Interest, Problem};

/// Reads `pubspec.yaml`.
#[derive(Debug)]
pub(crate) struct Dart;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Pubspec {
    name: Scalar,
    version: Option<String>,
    description: Scalar,
    homepage: Scalar,
    repository: Scalar,
}

impl Cataloger for Dart {
    fn name(&self) -> &'static str {
        "dart"
    }

    fn version(&self) -> u32 {
        1
    }

    fn interest(&self) -> Interest {
        Interest::new().path("**/pubspec.yaml")
    }

    fn catalog(&self, file: &File<'_>, contents: &mut Contents<'_>, findings: &mut Findings) -> Result<(), Problem> {
        let installed = hosted(file.directory());
        let pubspec: Pubspec = match field::yaml(contents) {
            Ok(pubspec) => pubspec,
            // Templates of projects are no YAML yet. What pub has unpacked is.
            Err(Problem::Malformed(_)) if installed.is_none() => return Ok(()),
            Err(problem) => return Err(problem),
        };
        let name = pubspec.name.text();
        if !is_name(name) {
            return Ok(());
        }
        let url = [&pubspec.homepage, &pubspec.repository].into_iter().find_map(|url| field::word(url.text()));
        findings.package(Package {
            kind: "pub".to_owned(),
            name: name.to_owned(),
            version: pubspec.version.as_deref().and_then(field::word).unwrap_or_default(),
            description: field::line(pubspec.description.text()),
            url,
            evidence: if installed == Some(name) { Evidence::Installed } else { Evidence::Declared },
            ..Package::default()
        });
        Ok(())
    }
}

/// The name of the package that pub unpacked into this directory.
fn hosted(directory: &str) -> Option<&str> {
    let mut segments = directory.rsplit('/');
    let (own, _server, hosted) = (segments.next()?, segments.next()?, segments.next()?);
    let (name, _version) = own.split_once('-')?;
    (hosted == "hosted").then_some(name)
}

/// What a Dart identifier may be: <https://dart.dev/tools/pub/pubspec#name>.
pub(in crate::catalogers) fn is_name(name: &str) -> bool {
    field::is_word(name) && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::catalogers::testing;

    const PATH: &str = "root/.pub-cache/hosted/pub.dev/quux-2.4.1/pubspec.yaml";
    const QUUX: &str = "\
name: quux
version: 2.4.1+3
description: >-
  Quuxes
  for Dart.
repository: https://github.com/acme/quux
environment: {sdk: ^3.0.0}
dependencies:
  args: ^2.0.0
";

    #[test]
    fn reads_every_field() {
        assert_eq!(
            testing::packages(&Dart, PATH, QUUX),
            [Package {
                kind: "pub".into(),
                name: "quux".into(),
                version: "2.4.1+3".into(),
                description: Some("Quuxes for Dart.".into()),
                url: Some("https://github.com/acme/quux".into()),
                ..Package::default()
            }]
        );
    }

    #[test]
    fn only_the_cache_holds_what_is_installed() {
        let check = |path: &str, text: &str, expected: &[&str]| {
            assert_eq!(testing::brief(&Dart, path, text), expected, "{path}: {text}");
        };
        check("app/pubspec.yaml", QUUX, &["quux 2.4.1+3?"]);
        check("app/pubspec.yaml", "name: app\nversion: 1.0\n", &["app 1.0?"]);
        check("app/pubspec.yaml", "name: app\nversion: 1.10\n", &["app 1.10?"]);
        check("app/pubspec.yaml", "name: app\n", &["app?"]);
        check("root/.pub-cache/hosted/pub.dev/quux-2.4.1/example/pubspec.yaml", "name: example", &["example?"]);
        check("app/pubspec.yaml", "name: {{name}}\n", &[]);
        check("app/pubspec.yaml", "- a\n", &[]);
        check("app/pubspec.yaml", "", &[]);
        assert!(testing::find(&Dart, PATH, b"a: [").is_err());
    }

    proptest! {
        #[test]
        fn mutations_never_panic(change: (usize, u8, usize)) {
            testing::mutate(&Dart, PATH, QUUX, change);
        }
    }
}
