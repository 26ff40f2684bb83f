//! npm packages, from the `package.json` of each.
//!
//! Source of the format: <https://docs.npmjs.com/cli/configuring-npm/package-json>, and for what older packages
//! have in its place the rules of `normalize-package-data`:
//!
//! | Field | Forms |
//! | --- | --- |
//! | `name` | `name`, `@scope/name` |
//! | `license`, `licenses` | `"MIT"`, `{"type": "MIT", "url": …}`, `["MIT", {"type": …}]` |
//! | `author` | `"Name <mail> (url)"`, `{"name": …, "email": …, "url": …}` |
//! | `dependencies`, `optionalDependencies`, `peerDependencies` | `{"name": "^1.0"}`; the name is that of the directory |
//!
//! Every `package.json` with a name and a version counts, under `node_modules` or not: a global npm, a bundled
//! Electron or Yarn, or the application itself lie elsewhere. Those of the same format that are no npm packages
//! are left out: Visual Studio Code extensions (the manifest adds `engines.vscode` and `publisher`), Unity
//! packages (`unity`), and templates whose name or version is none.

use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::Value;

use crate::catalogers::lenient::Keys;
use crate::package::{Package, Requirement};
use crate::{Cataloger, Contents, File, Findings, Interest, Problem};

/// Bytes of a `package.json`. The largest published ones have about 1 MiB; parsed values need many times more.
const LONGEST_MANIFEST: usize = 4 << 20;

/// Longest version kept; semver's own implementation stops at 256 characters.
const LONGEST_VERSION: usize = 256;

/// The registry allows 214 characters; packages from elsewhere may have more.
const LONGEST_NAME: usize = 512;

/// Licences of one package.
const MOST_LICENSES: usize = 32;

/// Reads `package.json` files.
#[derive(Debug)]
pub(crate) struct Npm;

impl Cataloger for Npm {
    fn name(&self) -> &'static str {
        "npm"
    }

    fn version(&self) -> u32 {
        2
    }

    fn interest(&self) -> Interest {
        Interest::new().path("**/package.json")
    }

    fn catalog(&self, file: &File<'_>, contents: &mut Contents<'_>, findings: &mut Findings) -> Result<(), Problem> {
        let text = contents.text()?;
        if text.len() > LONGEST_MANIFEST {
            return Err(Problem::TooLarge { size: file.size, limit: LONGEST_MANIFEST as u64 });
        }
        match serde_json::from_str::<Manifest>(text.trim_matches(['\0', '\u{feff}'])) {
            Ok(manifest) => findings.package(manifest.package()),
            // Test data and templates are often no JSON. Where npm installs a package it should be.
            Err(error) if is_package_root(file.directory()) => {
                return Err(Problem::malformed(format!("package.json: {error}")));
            }
            Err(_) => {}
        }
        Ok(())
    }
}

/// Whether npm puts a package into this directory: `node_modules/name` or `node_modules/@scope/name`.
fn is_package_root(directory: &str) -> bool {
    let mut segments = directory.rsplit('/').skip(1);
    match segments.next() {
        Some("node_modules") => true,
        Some(scope) if scope.starts_with('@') => segments.next() == Some("node_modules"),
        _ => false,
    }
}

/// The fields of use, whatever their type. A derived `Deserialize` would refuse a field that is there twice or
/// has another type, both of which published packages have.
#[derive(Debug, Default)]
struct Manifest {
    name: Option<String>,
    version: Option<String>,
    description: Option<String>,
    homepage: Option<String>,
    author: Value,
    license: Value,
    licenses: Value,
    engines: Value,
    requires: Vec<String>,
    /// A field that only manifests of Visual Studio Code extensions have.
    extension: bool,
    unity: bool,
}

impl<'de> serde::Deserialize<'de> for Manifest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields;
        impl<'de> Visitor<'de> for Fields {
            type Value = Manifest;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Manifest, A::Error> {
                let mut manifest = Manifest::default();
                while let Some(key) = map.next_key::<std::borrow::Cow<'de, str>>()? {
                    match &*key {
                        "name" => manifest.name = text(map.next_value()?),
                        "version" => manifest.version = text(map.next_value()?),
                        "description" => manifest.description = text(map.next_value()?),
                        "homepage" => manifest.homepage = text(map.next_value()?),
                        "author" => manifest.author = map.next_value()?,
                        "license" => manifest.license = map.next_value()?,
                        "licenses" => manifest.licenses = map.next_value()?,
                        "engines" => manifest.engines = map.next_value()?,
                        "dependencies" | "optionalDependencies" | "peerDependencies" => {
                            let names = map.next_value::<Keys<'de>>()?.0;
                            manifest.requires.extend(names.into_iter().map(std::borrow::Cow::into_owned));
                        }
                        "publisher" | "contributes" | "activationEvents" => {
                            manifest.extension = true;
                            map.next_value::<IgnoredAny>()?;
                        }
                        "unity" => manifest.unity = text(map.next_value()?).is_some(),
                        _ => _ = map.next_value::<IgnoredAny>()?,
                    }
                }
                Ok(manifest)
            }
        }
        deserializer.deserialize_map(Fields)
    }
}

impl Manifest {
    /// The package, or one without a name (which is dropped) if this is no npm package.
    fn package(self) -> Package {
        let is_extension = self.extension && self.engines.get("vscode").is_some();
        let (Some(full_name), Some(version), false) = (self.name, self.version, is_extension || self.unity) else {
            return Package::default();
        };
        let (scope, name) = match full_name.split_once('/') {
            Some((scope, name)) if scope.len() > 1 && scope.starts_with('@') => (Some(scope), name),
            Some(_) => return Package::default(),
            None => (None, &*full_name),
        };
        let valid_scope = scope.is_none_or(|scope| is_name(&scope[1..]));
        if !valid_scope || !is_name(name) || full_name.len() > LONGEST_NAME || !is_version(&version) {
            return Package::default();
        }
        let mut licenses = Vec::new();
        take_licenses(&self.license, &mut licenses);
        take_licenses(&self.licenses, &mut licenses);
        Package {
            kind: "npm".to_owned(),
            namespace: scope.map(str::to_owned),
            name: name.to_owned(),
            version,
            licenses,
            author: person(&self.author),
            description: self.description.and_then(|text| text.lines().next().map(str::to_owned)),
            url: self.homepage,
            requires: self.requires.into_iter().filter(|name| is_full_name(name)).map(Requirement::of).collect(),
            ..Package::default()
        }
    }
}

fn text(value: Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.trim().to_owned()).filter(|text| !text.is_empty()),
        _ => None,
    }
}

/// What a URL's path segment holds unescaped; npm refuses other names, templates have them (`{{name}}`).
fn is_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~!'()*".contains(&b))
}

/// `name` or `@scope/name`.
fn is_full_name(name: &str) -> bool {
    let (scope, rest) = name.split_once('/').unwrap_or(("@a", name));
    name.len() <= LONGEST_NAME
        && scope.strip_prefix('@').is_some_and(is_name)
        && is_name(rest)
        && !matches!(rest, "." | "..")
}

/// `1.2.3`, and `v1.2.3` or `=1.2.3` of old. `*`, `workspace:*` and `${version}` are no versions.
fn is_version(version: &str) -> bool {
    version.len() <= LONGEST_VERSION
        && version.trim_start_matches(['v', '=']).starts_with(|c: char| c.is_ascii_digit())
        && !version.contains(char::is_whitespace)
}

fn take_licenses(value: &Value, licenses: &mut Vec<String>) {
    let mut add = |value: &Value| {
        let name = match value {
            Value::Object(fields) => ["type", "name", "url"].iter().find_map(|key| fields.get(*key)?.as_str()),
            other => other.as_str(),
        };
        if let Some(name) = name.map(str::trim).filter(|name| !name.is_empty())
            && licenses.len() < MOST_LICENSES
            && !licenses.iter().any(|other| other == name)
        {
            licenses.push(name.to_owned());
        }
    };
    match value {
        Value::Array(values) => values.iter().for_each(add),
        other => add(other),
    }
}

fn person(value: &Value) -> Option<String> {
    match value {
        Value::String(person) => Some(person.trim().to_owned()).filter(|person| !person.is_empty()),
        Value::Object(fields) => {
            let field = |key: &str| fields.get(key).and_then(Value::as_str).filter(|value| !value.is_empty());
            let mut person = field("name").unwrap_or_default().to_owned();
            for (key, open, close) in [("email", "<", ">"), ("url", "(", ")")] {
                if let Some(value) = field(key) {
                    let space = if person.is_empty() { "" } else { " " };
                    person.push_str(&format!("{space}{open}{value}{close}"));
                }
            }
            Some(person).filter(|person| !person.is_empty())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read_at(path: &str, text: &[u8]) -> Result<Vec<Package>, Problem> {
        let file = File { path, size: text.len() as u64, executable: false };
        let mut findings = Findings::default();
        Npm.catalog(&file, &mut Contents::held(text), &mut findings)?;
        Ok(findings.packages().to_vec())
    }

    fn read(text: &str) -> Vec<Package> {
        read_at("app/node_modules/quux/package.json", text.as_bytes()).expect("is JSON")
    }

    const QUUX: &str = r#"{
        "name": "@acme/quux", "version": "2.4.1", "private": true, "_resolved": {"x": [1, [2]]},
        "description": "quux\nfor node", "homepage": "https://quux.example.org/",
        "author": {"name": "Ann", "email": "ann@example.org", "url": "https://ann.example.org"},
        "license": "(MIT OR Apache-2.0)", "engines": {"node": ">=18"}, "name2": null,
        "dependencies": {"@bar/baz": "npm:other@2", "foo": "^1.0", "../up": "1", "a/b": "1", "..": "1"}, "devDependencies": {"mocha": "1"},
        "optionalDependencies": {"fsevents": "*"}, "peerDependencies": ["none"]
    }"#;

    #[test]
    fn reads_every_field() {
        assert_eq!(
            read(QUUX),
            [Package {
                kind: "npm".into(),
                namespace: Some("@acme".into()),
                name: "quux".into(),
                version: "2.4.1".into(),
                licenses: vec!["(MIT OR Apache-2.0)".into()],
                author: Some("Ann <ann@example.org> (https://ann.example.org)".into()),
                description: Some("quux".into()),
                url: Some("https://quux.example.org/".into()),
                requires: ["@bar/baz", "foo", "fsevents"].map(Requirement::of).into(),
                ..Package::default()
            }]
        );
    }

    #[test]
    fn a_package_has_a_name_and_a_version() {
        let check = |text: &str, expected: Option<(&str, &str)>| {
            let packages = read(text);
            let found = packages.first().map(|package| (&*package.name, &*package.version));
            assert_eq!(found, expected, "{text}");
        };
        check(r#"{"name": "a", "version": "1.0.0"}"#, Some(("a", "1.0.0")));
        check("\u{feff}{\"name\": \"a\",\r\n\"version\": \"v1.0.0\"}\r\n", Some(("a", "v1.0.0")));
        check(r#"{"name": "a", "name": "b", "version": 1, "version": "1"}"#, Some(("b", "1")));
        check(r#"{"name": "JSONStream", "version": "1.3.5-beta+7"}"#, Some(("JSONStream", "1.3.5-beta+7")));
        check(r#"{"name": "a"}"#, None);
        check(r#"{"type": "module"}"#, None);
        check(r#"{"name": {"a": 1}, "version": "1.0.0"}"#, None);
        check(r#"{"name": "", "version": "1.0.0"}"#, None);
        check(r#"{"name": "{{name}}", "version": "1.0.0"}"#, None);
        check(r#"{"name": "a/b", "version": "1.0.0"}"#, None);
        check(r#"{"name": "@/b", "version": "1.0.0"}"#, None);
        check(r#"{"name": "@a/b/c", "version": "1.0.0"}"#, None);
        check(r#"{"name": "a", "version": "workspace:*"}"#, None);
        check(r#"{"name": "a", "version": ""}"#, None);
        check(
            r#"{"name": "a", "version": "1.0.0", "author": 1, "license": false, "engines": "x"}"#,
            Some(("a", "1.0.0")),
        );
    }

    #[test]
    fn licences_come_in_many_forms() {
        let check = |fields: &str, expected: &[&str]| {
            let package = read(&format!(r#"{{"name": "a", "version": "1.0.0", {fields}}}"#)).remove(0);
            assert_eq!(package.licenses, expected, "{fields}");
        };
        check(r#""license": "MIT""#, &["MIT"]);
        check(r#""license": {"type": "MIT", "url": "u"}"#, &["MIT"]);
        check(r#""license": ["MIT", {"type": "ISC"}, 3, {}]"#, &["MIT", "ISC"]);
        check(r#""licenses": [{"type": "MIT"}, {"type": "MIT"}, {"name": "X"}]"#, &["MIT", "X"]);
        check(r#""license": "MIT", "licenses": ["ISC"]"#, &["MIT", "ISC"]);
        check(r#""license": null"#, &[]);
    }

    #[test]
    fn manifests_of_others_are_left_out() {
        let extension = r#"{"name": "a", "version": "1.0.0", "publisher": "p", "engines": {"vscode": "^1.80.0"}}"#;
        assert!(read(extension).is_empty());
        assert_eq!(read(&extension.replace("publisher", "private")).len(), 1, "a library for extensions");
        assert_eq!(read(&extension.replace("vscode", "node")).len(), 1);
        assert!(read(r#"{"name": "com.acme.a", "version": "1.0.0", "unity": "2022.3"}"#).is_empty());
    }

    #[test]
    fn broken_json_is_a_problem_only_where_npm_installs() {
        for path in ["app/node_modules/a/package.json", "node_modules/@s/a/package.json"] {
            assert!(read_at(path, b"{").is_err(), "{path}");
        }
        for path in ["package.json", "app/package.json", "node_modules/a/test/data/package.json", "@s/a/package.json"] {
            assert!(read_at(path, b"{").is_ok(), "{path}");
        }
    }

    #[test]
    fn deep_nesting_is_survived() {
        let depth = 100_000;
        let ignored = format!(r#"{{"x": {}{}, "name": "a", "version": "1"}}"#, "[".repeat(depth), "]".repeat(depth));
        assert_eq!(read(&ignored).len(), 1);
        let kept = format!(r#"{{"author": {}{}}}"#, "[".repeat(depth), "]".repeat(depth));
        assert!(read_at("node_modules/a/package.json", kept.as_bytes()).is_err());
    }

    proptest! {
        #[test]
        fn never_panics(text in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = read_at("package.json", &text);
        }

        #[test]
        fn mutations_never_panic(at in 0..QUUX.len(), byte: u8) {
            let mut text = QUUX.as_bytes().to_vec();
            text[at] = byte;
            let _ = read_at("package.json", &text);
        }
    }
}
