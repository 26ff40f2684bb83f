//! What a Dart or Flutter project is built from: `pubspec.lock`, `.dart_tool/package_config.json`.
//!
//! Sources of the formats: <https://dart.dev/tools/pub/glossary#lockfile> with `lockfile.dart` of dart-lang/pub, and
//! <https://github.com/dart-lang/language/blob/main/accepted/2.8/language-versioning/package-config-file-v2.md>.
//!
//! | In `pubspec.lock` | |
//! | --- | --- |
//! | the key, `version` | name and version |
//! | `dependency: "direct dev"` | needed for development only; of what is `transitive` the file does not say |
//! | `source: hosted`, `description.url` | qualifier `repository_url`, unless it is the public server |
//! | `source: git`, `description.url`, `.resolved-ref` | qualifier `vcs_url` |
//!
//! `package_config.json` has directories instead of versions; that of the cache ends in `<name>-<version>`.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error, IgnoredAny, MapAccess, Visitor};

use crate::catalogers::field::{self, Entries, Few, Scalar};
use crate::catalogers::language::dart::is_name;
use crate::catalogers::{MOST_PACKAGES, check_count};
use crate::package::{Evidence, Package};
use crate::{Cataloger, Contents, File, Findings, Interest, Problem};

/// The public server, under its two names.
const PUBLIC: [&str; 2] = ["https://pub.dev", "https://pub.dartlang.org"];

/// Reads `pubspec.lock` and `package_config.json`.
#[derive(Debug)]
pub(crate) struct Pub;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Lock {
    packages: Entries<Locked>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Locked {
    version: Option<String>,
    dependency: Scalar,
    source: Scalar,
    description: Description,
}

/// A map, or the name of an SDK.
#[derive(Debug, Default)]
struct Description {
    url: String,
    resolved: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Configuration {
    packages: Few<Configured, MOST_PACKAGES>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Configured {
    name: Scalar,
    root_uri: Scalar,
}

impl Cataloger for Pub {
    fn name(&self) -> &'static str {
        "pub"
    }

    fn version(&self) -> u32 {
        1
    }

    fn interest(&self) -> Interest {
        Interest::new().path("**/pubspec.lock").path("**/package_config.json")
    }

    fn catalog(&self, file: &File<'_>, contents: &mut Contents<'_>, findings: &mut Findings) -> Result<(), Problem> {
        if file.name() == "package_config.json" {
            let configuration: Configuration = field::json(contents)?;
            for configured in configuration.packages.0 {
                check_count(findings)?;
                findings.package(package(configured.name.text(), configured.version()));
            }
            return Ok(());
        }
        let lock: Lock = field::yaml(contents)?;
        for (name, locked) in lock.packages.0 {
            check_count(findings)?;
            findings.package(Package {
                qualifiers: locked.qualifiers(),
                dev: locked.dependency.text() == "direct dev",
                ..package(&name, locked.version.as_deref().unwrap_or_default())
            });
        }
        Ok(())
    }
}

/// The package, or one without a name if it is none.
fn package(name: &str, version: &str) -> Package {
    if !is_name(name) {
        return Package::default();
    }
    Package {
        kind: "pub".to_owned(),
        name: name.to_owned(),
        version: field::word(version).unwrap_or_default(),
        evidence: Evidence::Declared,
        ..Package::default()
    }
}

impl Locked {
    fn qualifiers(&self) -> BTreeMap<String, String> {
        let url = self.description.url.trim_end_matches('/');
        let qualifier = match self.source.text() {
            "hosted" if field::is_word(url) && !PUBLIC.contains(&url) => Some(("repository_url", url.to_owned())),
            "git" if field::is_word(url) && field::is_word(&self.description.resolved) => {
                Some(("vcs_url", format!("git+{url}@{}", self.description.resolved)))
            }
            _ => None,
        };
        qualifier.map(|(key, value)| (key.to_owned(), value)).into_iter().collect()
    }
}

impl Configured {
    /// `2.4.1` of `file:///root/.pub-cache/hosted/pub.dev/quux-2.4.1`; nothing for other directories.
    fn version(&self) -> &str {
        let directory = self.root_uri.text().trim_end_matches('/').rsplit('/').next().unwrap_or_default();
        let version = directory.strip_prefix(self.name.text()).and_then(|rest| rest.strip_prefix('-'));
        version.filter(|version| version.starts_with(|c: char| c.is_ascii_digit())).unwrap_or_default()
    }
}

impl<'de> Deserialize<'de> for Description {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;
        impl<'de> Visitor<'de> for Any {
            type Value = Description;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map, or a name")
            }

            fn visit_str<E: Error>(self, _: &str) -> Result<Description, E> {
                Ok(Description::default())
            }

            fn visit_unit<E: Error>(self) -> Result<Description, E> {
                Ok(Description::default())
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Description, A::Error> {
                let mut description = Description::default();
                while let Some(key) = map.next_key::<String>()? {
                    match &*key {
                        "url" => description.url = map.next_value::<Scalar>()?.0.unwrap_or_default(),
                        "resolved-ref" => description.resolved = map.next_value::<Scalar>()?.0.unwrap_or_default(),
                        _ => _ = map.next_value::<IgnoredAny>()?,
                    }
                }
                Ok(description)
            }
        }
        deserializer.deserialize_any(Any)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::catalogers::testing;

    const QUUX: &str = "\
# Generated by pub
packages:
  quux:
    dependency: \"direct main\"
    description:
      name: quux
      sha256: \"0123\"
      url: \"https://pub.dev\"
    source: hosted
    version: \"2.4.1\"
  quux_test:
    dependency: \"direct dev\"
    description: {name: quux_test, url: \"https://pub.acme.example/\"}
    source: hosted
    version: \"1.0.0-beta.1\"
  forked:
    dependency: transitive
    description:
      path: packages/forked
      ref: main
      resolved-ref: f00ba4
      url: \"https://github.com/acme/forked.git\"
    source: git
    version: \"0.1.0\"
  flutter:
    dependency: \"direct main\"
    description: flutter
    source: sdk
    version: \"0.0.0\"
sdks:
  dart: \">=3.0.0 <4.0.0\"
";

    #[test]
    fn locked_packages() {
        let expected = ["quux 2.4.1?", "quux_test 1.0.0-beta.1? (dev)", "forked 0.1.0?", "flutter 0.0.0?"];
        assert_eq!(testing::brief(&Pub, "app/pubspec.lock", QUUX), expected);
        let packages = testing::packages(&Pub, "app/pubspec.lock", QUUX);
        let qualifier = |n: usize| packages[n].qualifiers.iter().next().map(|(key, value)| (&**key, &**value));
        assert_eq!(qualifier(0), None);
        assert_eq!(qualifier(1), Some(("repository_url", "https://pub.acme.example")));
        assert_eq!(qualifier(2), Some(("vcs_url", "git+https://github.com/acme/forked.git@f00ba4")));
        assert_eq!(qualifier(3), None);
        assert_eq!(testing::brief(&Pub, "pubspec.lock", "packages: {}\n"), [""; 0]);
        assert_eq!(testing::brief(&Pub, "pubspec.lock", "sdks: {}\n"), [""; 0]);
        assert!(testing::find(&Pub, "pubspec.lock", b"a: [").is_err());
    }

    #[test]
    fn configured_packages() {
        let text = r#"{"configVersion": 2, "packages": [
            {"name": "quux", "rootUri": "file:///root/.pub-cache/hosted/pub.dev/quux-2.4.1", "packageUri": "lib/"},
            {"name": "app", "rootUri": "../", "packageUri": "lib/", "languageVersion": "3.0"},
            {"name": "sdk", "rootUri": "file:///opt/sdk-3.0/pkg/sdk"}, {}], "generator": "pub"}"#;
        let path = "app/.dart_tool/package_config.json";
        assert_eq!(testing::brief(&Pub, path, text), ["quux 2.4.1?", "app?", "sdk?"]);
    }

    proptest! {
        #[test]
        fn mutations_never_panic(change: (usize, u8, usize)) {
            testing::mutate(&Pub, "pubspec.lock", QUUX, change);
        }
    }
}
