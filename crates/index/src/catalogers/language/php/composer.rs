//! Composer packages, from the `installed.json` in `vendor/composer`.
//!
//! Source of the format: <https://getcomposer.org/doc/04-schema.md> for a package, and `FilesystemRepository.php` of
//! Composer for the file: Composer 1 writes a list of packages, Composer 2 an object.
//!
//! | Field | |
//! | --- | --- |
//! | `packages` | the packages |
//! | `dev-package-names` | which of them only development needs |
//! | package: `name` | `vendor/name` |
//! | package: `version` | as the author tagged it, `v1.2.3` or `dev-main` |
//! | package: `license` | a list, or one as text |
//! | package: `authors` | `name`, `email` |
//! | package: `description`, `homepage` | |
//! | package: `require`, `provide`, `replace` | objects whose keys are names; those of PHP and its extensions, `php`, `ext-json`, have no slash |

use std::collections::HashSet;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

use crate::catalogers::check_count;
use crate::catalogers::lenient::keys;
use crate::package::{Package, Requirement};
use crate::{Cataloger, Contents, File, Findings, Interest, Problem};

/// Bytes of an `installed.json` or a `composer.lock`. Those of large applications have 2 MiB; parsed values need
/// many times more.
pub(in crate::catalogers) const LONGEST_DOCUMENT: usize = 8 << 20;

/// Licences or authors of one package.
const MOST_LICENSES: usize = 32;

/// Reads Composer's list of installed packages.
#[derive(Debug)]
pub(in crate::catalogers::language) struct ComposerInstalled;

impl Cataloger for ComposerInstalled {
    fn name(&self) -> &'static str {
        "composer-installed"
    }

    fn version(&self) -> u32 {
        2
    }

    fn interest(&self) -> Interest {
        Interest::new().path("**/composer/installed.json").path("**/vendor/*/installed.json")
    }

    fn catalog(&self, file: &File<'_>, contents: &mut Contents<'_>, findings: &mut Findings) -> Result<(), Problem> {
        let text = contents.text()?;
        if text.len() > LONGEST_DOCUMENT {
            return Err(Problem::TooLarge { size: file.size, limit: LONGEST_DOCUMENT as u64 });
        }
        let installed = if text.trim_start().starts_with('[') {
            serde_json::from_str(&text).map(|packages| Installed { packages, ..Installed::default() })
        } else {
            serde_json::from_str(&text)
        };
        let installed: Installed = installed.map_err(|error| Problem::malformed(format!("installed.json: {error}")))?;
        for entry in installed.packages.0 {
            check_count(findings)?;
            let is_dev = entry.name().is_some_and(|name| installed.dev_package_names.contains(name));
            findings.package(Package { dev: is_dev, ..entry.package() });
        }
        Ok(())
    }
}

#[derive(Default, Deserialize)]
struct Installed {
    packages: Packages,
    #[serde(rename = "dev-package-names", default)]
    dev_package_names: HashSet<String>,
}

/// A list of packages; an empty one is an object where PHP made an array of it.
#[derive(Default)]
pub(in crate::catalogers) struct Packages(pub(in crate::catalogers) Vec<Entry>);

impl<'de> Deserialize<'de> for Packages {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct List;
        impl<'de> Visitor<'de> for List {
            type Value = Packages;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a list of packages")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Packages, A::Error> {
                let mut packages = Vec::new();
                while let Some(package) = list.next_element()? {
                    packages.push(package);
                }
                Ok(Packages(packages))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Packages, A::Error> {
                match map.next_key::<IgnoredAny>()? {
                    None => Ok(Packages::default()),
                    Some(_) => Err(serde::de::Error::custom("an object in place of a list")),
                }
            }
        }
        deserializer.deserialize_any(List)
    }
}

/// A package as `installed.json` and `composer.lock` describe it.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(in crate::catalogers) struct Entry {
    name: Value,
    version: Value,
    license: Value,
    authors: Value,
    description: Value,
    homepage: Value,
    #[serde(deserialize_with = "keys")]
    require: Vec<String>,
    #[serde(deserialize_with = "keys")]
    provide: Vec<String>,
    #[serde(deserialize_with = "keys")]
    replace: Vec<String>,
}

impl Entry {
    pub(in crate::catalogers) fn name(&self) -> Option<&str> {
        self.name.as_str()
    }

    /// The package, or one without a name (which is dropped) if it has no name or no version.
    pub(in crate::catalogers) fn package(&self) -> Package {
        let (Some(full_name), Some(version)) = (self.name(), self.version.as_str()) else { return Package::default() };
        if version.is_empty() {
            return Package::default();
        }
        let (vendor, name) = match full_name.split_once('/') {
            Some((vendor, name)) => (Some(vendor.to_owned()), name),
            None => (None, full_name),
        };
        let is_package = |name: &&String| name.contains('/');
        Package {
            kind: "composer".to_owned(),
            namespace: vendor,
            name: name.to_owned(),
            version: version.to_owned(),
            licenses: texts(&self.license),
            author: authors(&self.authors),
            description: self.description.as_str().and_then(|text| text.lines().next().map(str::to_owned)),
            url: self.homepage.as_str().filter(|url| !url.is_empty()).map(str::to_owned),
            requires: self.require.iter().filter(is_package).map(Requirement::of).collect(),
            provides: self.provide.iter().chain(&self.replace).filter(is_package).cloned().collect(),
            ..Package::default()
        }
    }
}

fn texts(value: &Value) -> Vec<String> {
    match value {
        Value::String(text) => vec![text.clone()],
        Value::Array(values) => {
            values.iter().filter_map(Value::as_str).take(MOST_LICENSES).map(str::to_owned).collect()
        }
        _ => Vec::new(),
    }
}

/// `Name <mail>` of each, with commas between.
fn authors(value: &Value) -> Option<String> {
    let authors = value.as_array()?.iter().take(MOST_LICENSES).filter_map(|author| {
        let field = |key: &str| author.get(key).and_then(Value::as_str).filter(|text| !text.is_empty());
        match (field("name"), field("email")) {
            (Some(name), Some(email)) => Some(format!("{name} <{email}>")),
            (name, email) => name.or(email).map(str::to_owned),
        }
    });
    Some(authors.collect::<Vec<_>>().join(", ")).filter(|authors| !authors.is_empty())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> Result<Vec<Package>, Problem> {
        let file = File { path: "app/vendor/composer/installed.json", size: text.len() as u64, executable: false };
        let mut findings = Findings::default();
        ComposerInstalled.catalog(&file, &mut Contents::held(text.as_bytes()), &mut findings)?;
        Ok(findings.packages().to_vec())
    }

    const QUUX: &str = r#"{
        "name": "acme/quux", "version": "v2.4.1", "version_normalized": "2.4.1.0",
        "source": {"type": "git", "url": "https://example.org/quux.git", "reference": "abc"},
        "license": ["MIT", "GPL-2.0-only"], "homepage": "https://quux.example.org",
        "authors": [{"name": "Ann", "email": "ann@example.org"}, {"name": "Bo", "role": "x"}, {}, 1],
        "description": "quux\nfor PHP", "install-path": "../acme/quux",
        "require": {"php": ">=8", "ext-json": "*", "psr/log": "^3"}, "require-dev": {"acme/test": "*"},
        "provide": {"psr/log-implementation": "3.0"}, "replace": {"acme/old": "self.version"}
    }"#;

    fn quux() -> Package {
        Package {
            kind: "composer".into(),
            namespace: Some("acme".into()),
            name: "quux".into(),
            version: "v2.4.1".into(),
            licenses: vec!["MIT".into(), "GPL-2.0-only".into()],
            author: Some("Ann <ann@example.org>, Bo".into()),
            description: Some("quux".into()),
            url: Some("https://quux.example.org".into()),
            requires: vec![Requirement::of("psr/log")],
            provides: vec!["psr/log-implementation".into(), "acme/old".into()],
            ..Package::default()
        }
    }

    #[test]
    fn both_forms_are_read() {
        assert_eq!(read(&format!("[{QUUX}]")).unwrap(), [quux()]);
        assert_eq!(read(&format!("{{\"packages\": [{QUUX}], \"dev\": true}}")).unwrap(), [quux()]);
        let dev = format!("{{\"packages\": [{QUUX}], \"dev-package-names\": [\"acme/quux\"]}}");
        assert_eq!(read(&dev).unwrap(), [Package { dev: true, ..quux() }]);
        assert_eq!(read("[]").unwrap(), []);
        assert_eq!(read(r#"{"packages": {}}"#).unwrap(), []);
    }

    #[test]
    fn odd_packages() {
        let check = |text: &str, expected: &[&str]| {
            let names: Vec<_> = read(text).unwrap().into_iter().map(|package| package.name).collect();
            assert_eq!(names, expected, "{text}");
        };
        check(r#"[{"name": "a/b"}, {"version": "1"}, {"name": "c", "version": "1", "license": "MIT"}]"#, &["c"]);
        check(r#"[{"name": 1, "version": []}, {"name": "a/b", "version": ""}]"#, &[]);
    }

    #[test]
    fn broken_documents_are_problems() {
        for text in ["", "{}", "1", "{\"packages\": 1}"] {
            assert!(read(text).unwrap_err().to_string().starts_with("installed.json: "), "{text}");
        }
    }

    proptest! {
        #[test]
        fn mutations_never_panic(at in 0..QUUX.len(), byte: u8, cut in 0..QUUX.len()) {
            let mut text = QUUX.as_bytes().to_vec();
            text[at] = byte;
            text.truncate(cut);
            _ = read(&format!("[{}]", String::from_utf8_lossy(&text)));
        }
    }
}
