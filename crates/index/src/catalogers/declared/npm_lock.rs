//! npm's lock files: `package-lock.json`, `npm-shrinkwrap.json`, and the hidden `.package-lock.json` that npm 7
//! keeps within `node_modules`.
//!
//! Source of the format: <https://docs.npmjs.com/cli/configuring-npm/package-lock-json>
//!
//! | `lockfileVersion` | Read |
//! | --- | --- |
//! | none, 1 | `dependencies`, each with `dependencies` of its own |
//! | 2 | `packages`; `dependencies` repeats them for npm 6 |
//! | 3 | `packages` |
//!
//! | Member of `packages` | Package |
//! | --- | --- |
//! | `""` | the project, where it has a name and a version |
//! | `node_modules/a/node_modules/@s/b` | `@s/b`, unless `name` says that this is an alias |
//! | `packages/c` | a workspace or a directory: `name`, else the name of the link to it, else the directory's |
//! | anything with `link` | none: it points at one of the former |
//!
//! | `version` of `dependencies` | Package |
//! | --- | --- |
//! | `1.2.3` | that version |
//! | `npm:b@1.2.3` | an alias: `b` |
//! | `https://…/b-1.2.3.tgz` | the archive's version |
//! | `file:…`, `git+ssh://…#…`, `github:…` | no version |

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, Visitor};

use super::locked::{Entry, Locked, check_size, is_within_node_modules, plain_version, split_npm, too_many};
use crate::catalogers::MOST_PACKAGES;
use crate::catalogers::lenient::{Flag, Licenses, Text};
use crate::{Cataloger, Contents, File, Findings, Interest, Problem};

/// What npm 7 calls its record of what lies in `node_modules`.
const HIDDEN: &str = ".package-lock.json";

/// Reads npm's lock files.
#[derive(Debug)]
pub(crate) struct NpmLock;

impl Cataloger for NpmLock {
    fn name(&self) -> &'static str {
        "npm-lock"
    }

    fn version(&self) -> u32 {
        1
    }

    fn interest(&self) -> Interest {
        Interest::new()
            .path("**/package-lock.json")
            .path("**/npm-shrinkwrap.json")
            .path("**/node_modules/.package-lock.json")
    }

    fn catalog(&self, file: &File<'_>, contents: &mut Contents<'_>, findings: &mut Findings) -> Result<(), Problem> {
        if is_within_node_modules(file) && file.name() != HIDDEN {
            return Ok(());
        }
        let text = contents.text()?;
        check_size(file, &text)?;
        if !text.trim_start().starts_with('{') {
            return Ok(());
        }
        let mut lock = Lock::default();
        let mut json = serde_json::Deserializer::from_str(&text);
        let result = json.deserialize_any(Members(&mut lock));
        lock.locked().finish(findings)?;
        result.map_err(|error| Problem::malformed(format!("{}: {error}", file.name())))
    }
}

/// What was read so far.
#[derive(Debug, Default)]
struct Lock<'a> {
    packages: Vec<(Cow<'a, str>, Member<'a>)>,
    dependencies: Vec<(Cow<'a, str>, Dependency<'a>)>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Member<'a> {
    #[serde(borrow)]
    name: Text<'a>,
    #[serde(borrow)]
    version: Text<'a>,
    #[serde(borrow)]
    resolved: Text<'a>,
    license: Licenses,
    dev: Flag,
    link: Flag,
}

#[derive(Debug, Default)]
struct Dependency<'a> {
    version: Text<'a>,
    dev: bool,
}

impl Lock<'_> {
    fn locked(&self) -> Locked {
        let mut locked = Locked::new("npm");
        if self.packages.is_empty() {
            for (name, dependency) in &self.dependencies {
                let (name, version) = first_format(name, dependency.version.as_str());
                locked.add(Entry { name, version, dev: dependency.dev });
            }
            return locked;
        }
        let links: HashMap<&str, &str> = self
            .packages
            .iter()
            .filter(|(_, member)| member.link.0)
            .map(|(path, member)| (member.resolved.as_str(), name_of(path)))
            .collect();
        for (path, member) in self.packages.iter().filter(|(_, member)| !member.link.0) {
            let version = plain_version(member.version.as_str());
            let name = match (member.name.as_str(), &**path) {
                ("", path) => links.get(path).copied().unwrap_or_else(|| name_of(path)),
                (_, "") if version.is_empty() => "",
                (name, _) => name,
            };
            if let Some(package) = locked.add(Entry { name, version, dev: member.dev.0 }) {
                package.licenses.clone_from(&member.license.0);
            }
        }
        locked
    }
}

/// Name and version of a member of `dependencies`.
fn first_format<'a>(name: &'a str, version: &'a str) -> (&'a str, &'a str) {
    if let Some(alias) = version.strip_prefix("npm:") {
        let (alias, version) = split_npm(alias);
        return (if alias.is_empty() { name } else { alias }, plain_version(version));
    }
    let archive = version.split(['?', '#']).next().and_then(|url| url.rsplit_once("/-/")?.1.strip_suffix(".tgz"));
    if let Some(archive) = archive {
        // Scoped packages are packed under the last part of their names.
        let base = name.rsplit('/').next().unwrap_or(name);
        let archive = archive.rsplit('/').next().unwrap_or(archive);
        let version = archive.strip_prefix(base).and_then(|rest| rest.strip_prefix('-')).unwrap_or_default();
        return (name, plain_version(version));
    }
    (name, plain_version(version))
}

/// `node_modules/a/node_modules/@s/b` → `@s/b`; of another path, the last segment and its scope.
fn name_of(path: &str) -> &str {
    if let Some((_, name)) = path.rsplit_once("node_modules/") {
        return name;
    }
    let Some((before, name)) = path.rsplit_once('/') else { return path };
    let scope = before.rsplit('/').next().unwrap_or(before);
    if scope.starts_with('@') { &path[path.len() - name.len() - 1 - scope.len()..] } else { name }
}

/// The members of the document.
struct Members<'l, 'a>(&'l mut Lock<'a>);

impl<'de> Visitor<'de> for Members<'_, 'de> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<Text<'de>>()? {
            match key.as_str() {
                "packages" => map.next_value_seed(Packages(self.0))?,
                // npm writes `packages` first.
                "dependencies" if self.0.packages.is_empty() => map.next_value_seed(Dependencies(self.0))?,
                _ => _ = map.next_value::<IgnoredAny>()?,
            }
        }
        Ok(())
    }
}

struct Packages<'l, 'a>(&'l mut Lock<'a>);

impl<'de> DeserializeSeed<'de> for Packages<'_, 'de> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Packages<'_, 'de> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of packages")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some((path, member)) = map.next_entry::<Text<'de>, _>()? {
            self.0.packages.push((path.into_cow(), member));
            if self.0.packages.len() > MOST_PACKAGES {
                return Err(A::Error::custom(too_many()));
            }
        }
        Ok(())
    }
}

struct Dependencies<'l, 'a>(&'l mut Lock<'a>);

impl<'de> DeserializeSeed<'de> for Dependencies<'_, 'de> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Dependencies<'_, 'de> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of dependencies")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(name) = map.next_key::<Text<'de>>()? {
            let dependency = map.next_value_seed(OneDependency(&mut *self.0))?;
            self.0.dependencies.push((name.into_cow(), dependency));
            if self.0.dependencies.len() > MOST_PACKAGES {
                return Err(A::Error::custom(too_many()));
            }
        }
        Ok(())
    }
}

struct OneDependency<'l, 'a>(&'l mut Lock<'a>);

impl<'de> DeserializeSeed<'de> for OneDependency<'_, 'de> {
    type Value = Dependency<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for OneDependency<'_, 'de> {
    type Value = Dependency<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a dependency")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut dependency = Dependency::default();
        while let Some(key) = map.next_key::<Text<'de>>()? {
            match key.as_str() {
                "version" => dependency.version = map.next_value()?,
                "dev" => dependency.dev = map.next_value::<Flag>()?.0,
                "dependencies" => map.next_value_seed(Dependencies(&mut *self.0))?,
                _ => _ = map.next_value::<IgnoredAny>()?,
            }
        }
        Ok(dependency)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::locked::tests::read;
    use super::*;

    fn check(text: &str, expected: &[&str]) {
        assert_eq!(read(&NpmLock, "app/package-lock.json", text.as_bytes()), expected, "{text}");
    }

    const FIRST: &str = r#"{
        "name": "app", "version": "1.0.0", "lockfileVersion": 1, "requires": true,
        "dependencies": {
            "a": {"version": "1.0.0", "dev": true, "requires": {"b": "^1"}, "dependencies": {
                "b": {"version": "1.5.0", "dev": true},
                "c": {"version": "2.0.0", "bundled": true}
            }},
            "b": {"version": "2.0.0", "optional": true},
            "c": {"version": "2.0.0", "dev": true},
            "d": {"version": "npm:@s/e@3.0.0-rc.1"},
            "f": {"version": "file:lib/f"},
            "@s/g": {"version": "git+ssh://git@example.org/g.git#0123456789abcdef0123456789abcdef01234567"},
            "@s/h": {"version": "https://npm.example.org/@s/h/-/h-4.5.6.tgz"},
            "i": {"version": "https://example.org/i.tgz"},
            "j": {"version": "npm:k"},
            "m": {"version": "npm:"},
            "l": {"version": 1, "dev": "yes"}
        }
    }"#;

    // A workspace, an alias, links and a dependency from git, in the form that npm 7 and later write.
    const THIRD: &str = r#"{
        "name": "app", "version": "1.0.0", "lockfileVersion": 3, "requires": true,
        "packages": {
            "": {"name": "app", "version": "1.0.0", "license": "ISC", "workspaces": ["packages/*"]},
            "node_modules/a": {"version": "1.0.0", "license": "MIT", "dev": true},
            "node_modules/a/node_modules/@s/b": {"version": "2.0.0", "devOptional": true},
            "node_modules/alias": {"name": "c", "version": "3.0.0", "optional": true, "peer": true},
            "node_modules/d": {"resolved": "packages/d", "link": true},
            "node_modules/@s/e": {"resolved": "packages/other", "link": true},
            "node_modules/f": {"resolved": "git+ssh://git@example.org/f.git#0123"},
            "node_modules/g/node_modules/a": {"version": "1.0.0"},
            "packages/d": {"version": "4.0.0", "license": {"type": "MIT"}},
            "packages/other": {"version": "5.0.0"},
            "packages/@s/h": {"version": "6.0.0", "extraneous": true},
            "packages/d/node_modules/a": {"version": "9.0.0"}
        },
        "dependencies": {"never": {"version": "1.0.0"}}
    }"#;

    #[test]
    fn reads_the_first_format() {
        check(
            FIRST,
            &[
                "b@1.5.0 (dev)",
                "c@2.0.0",
                "a@1.0.0 (dev)",
                "b@2.0.0",
                "@s/e@3.0.0-rc.1",
                "f@",
                "@s/g@",
                "@s/h@4.5.6",
                "i@",
                "k@",
                "m@",
                "l@",
            ],
        );
    }

    #[test]
    fn reads_the_later_formats() {
        check(
            THIRD,
            &["app@1.0.0", "a@1.0.0", "@s/b@2.0.0", "c@3.0.0", "f@", "d@4.0.0", "@s/e@5.0.0", "@s/h@6.0.0", "a@9.0.0"],
        );
        let file = File { path: "package-lock.json", size: 0, executable: false };
        let mut findings = Findings::default();
        NpmLock.catalog(&file, &mut Contents::held(THIRD.as_bytes()), &mut findings).expect("is a lock file");
        let licenses: Vec<_> = findings.packages().iter().flat_map(|package| &package.licenses).collect();
        assert_eq!(licenses, ["ISC", "MIT", "MIT"]);
    }

    #[test]
    fn odd_files_give_what_they_hold() {
        check(
            r#"{"dependencies": {"a": {"version": "1"}}, "packages": {"node_modules/b": {"version": "2"}}}"#,
            &["b@2"],
        );
        check(r#"{"lockfileVersion": 2, "packages": {}, "dependencies": {"a": {"version": "1"}}}"#, &["a@1"]);
        check(r#"{"packages": {"": {"name": "app"}}}"#, &[]);
        check("\u{feff}{}", &[]);
        check(
            r#"{"packages": {"node_modules/a": {"version": "1"}, "#,
            &["a@1", "package-lock.json: EOF while parsing a value at line 1 column 50"],
        );
    }

    #[test]
    fn only_the_hidden_file_counts_within_node_modules() {
        let found = |path| read(&NpmLock, path, FIRST.as_bytes()).len();
        assert_eq!(found("app/node_modules/a/package-lock.json"), 0);
        assert_eq!(found("app/node_modules/a/npm-shrinkwrap.json"), 0);
        assert_eq!(found("app/node_modules/.package-lock.json"), 12);
        assert_eq!(found("npm-shrinkwrap.json"), 12);
    }

    #[test]
    fn nesting_has_an_end() {
        let deep = format!("{}1", r#"{"dependencies": {"a": "#.repeat(1000));
        let found = read(&NpmLock, "package-lock.json", deep.as_bytes());
        assert!(found[0].contains("recursion limit exceeded"), "{found:?}");
    }

    proptest! {
        #[test]
        fn mutations_never_panic(at in 0_usize..5000, byte: u8) {
            for text in [FIRST, THIRD] {
                let mut text = text.as_bytes().to_vec();
                let length = text.len();
                text[at % length] = byte;
                read(&NpmLock, "package-lock.json", &text);
            }
        }
    }
}
