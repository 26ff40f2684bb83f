//! `uv.lock`, and the lock files of single scripts, `script.py.lock`.
//!
//! Source of the format: <https://github.com/astral-sh/uv/blob/main/crates/uv-resolver/src/lock/mod.rs>
//!
//! | Field of `package` | |
//! | --- | --- |
//! | `name`, `version` | a source tree whose version is not fixed has none |
//! | `source` | `virtual`: a project that is no package; `editable`, `virtual`: part of the workspace |
//! | `dependencies`, `optional-dependencies` | what it needs |
//! | `dev-dependencies` | what the workspace needs for development only |

use std::borrow::Cow;
use std::collections::HashMap;

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::locked::{Entry, Locked, reachable};
use super::toml_tables;
use crate::catalogers::MOST_PACKAGES;
use crate::{Cataloger, Contents, File, Findings, Interest, Problem};

/// Reads `uv.lock` files.
#[derive(Debug)]
pub(crate) struct UvLock;

impl Cataloger for UvLock {
    fn name(&self) -> &'static str {
        "uv-lock"
    }

    fn version(&self) -> u32 {
        1
    }

    fn interest(&self) -> Interest {
        Interest::new().path("**/uv.lock").path("**/*.py.lock")
    }

    fn catalog(&self, file: &File<'_>, contents: &mut Contents<'_>, findings: &mut Findings) -> Result<(), Problem> {
        let text = contents.text()?;
        let mut lock = Lock::default();
        let result = toml_tables::parse(file, &text, "package", |one: Lock<'_>| {
            // One more than may be reported: then it is.
            if lock.package.len() <= MOST_PACKAGES {
                lock.package.extend(one.package);
            }
        });
        lock.locked().finish(findings)?;
        result
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Lock<'a> {
    #[serde(borrow)]
    package: Vec<Table<'a>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
struct Table<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
    #[serde(borrow)]
    version: Cow<'a, str>,
    source: Source,
    #[serde(borrow)]
    dependencies: Vec<Need<'a>>,
    #[serde(borrow)]
    optional_dependencies: HashMap<Cow<'a, str>, Vec<Need<'a>>>,
    #[serde(borrow)]
    dev_dependencies: HashMap<Cow<'a, str>, Vec<Need<'a>>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Source {
    editable: Option<IgnoredAny>,
    r#virtual: Option<IgnoredAny>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Need<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
    /// There where the name alone means several packages.
    #[serde(borrow)]
    version: Cow<'a, str>,
}

impl Lock<'_> {
    fn locked(&self) -> Locked {
        // A need without a version means the only package of its name.
        let mut indexes: HashMap<(&str, &str), usize> = HashMap::new();
        for (index, table) in self.package.iter().enumerate() {
            indexes.insert((&table.name, &table.version), index);
            indexes.insert((&table.name, ""), index);
        }
        let find = |need: &Need<'_>| indexes.get(&(&*need.name, &*need.version)).copied();
        let edges: Vec<Vec<usize>> = self
            .package
            .iter()
            .map(|table| {
                let optional = table.optional_dependencies.values().flatten();
                table.dependencies.iter().chain(optional).filter_map(find).collect()
            })
            .collect();
        let members = || self.package.iter().enumerate().filter(|(_, table)| table.source.is_member());
        let production = reachable(&edges, members().map(|(index, _)| index));
        let needs = members().flat_map(|(_, table)| table.dev_dependencies.values().flatten());
        let development = reachable(&edges, needs.filter_map(find));
        let mut locked = Locked::new("pypi");
        for (index, table) in self.package.iter().enumerate() {
            if table.source.r#virtual.is_none() {
                let dev = development[index] && !production[index];
                locked.add(Entry { name: &table.name, version: &table.version, dev });
            }
        }
        locked
    }
}

impl Source {
    fn is_member(&self) -> bool {
        self.editable.is_some() || self.r#virtual.is_some()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::locked::tests::read;
    use super::*;

    const LOCK: &str = r#"
version = 1
revision = 2
requires-python = ">=3.12"
resolution-markers = ["a", "b"]

[options]
exclude-newer = "2025-01-01T00:00:00Z"

[[package]]
name = "app"
version = "0.1.0"
source = { virtual = "." }
dependencies = [{ name = "a" }, { name = "two", version = "2.0", source = { registry = "x" }, marker = "m" }]

[package.optional-dependencies]
extra = [{ name = "o", extra = ["x"] }]

[package.dev-dependencies]
dev = [{ name = "d" }]

[package.metadata]
requires-dist = [{ name = "a", specifier = ">=1" }]

[[package]]
name = "member"
source = { editable = "packages/member" }

[[package]]
name = "a"
version = "1.0.0"
source = { registry = "https://pypi.org/simple" }
sdist = { url = "https://example.org/a.tar.gz", hash = "sha256:00", size = 1 }
wheels = [{ url = "https://example.org/a.whl", hash = "sha256:00", size = 1 }]

[[package]]
name = "d"
version = "4.0.0"
source = { git = "https://example.org/d?rev=1#0123" }
dependencies = [{ name = "a" }, { name = "two", version = "1.0" }]

[[package]]
name = "o"
version = "5.0.0"

[[package]]
name = "two"
version = "1.0"

[[package]]
name = "two"
version = "2.0"
"#;

    #[test]
    fn reads_every_package_and_who_needs_it() {
        let check = |text: &str, expected: &[&str]| {
            assert_eq!(read(&UvLock, "app/uv.lock", text.as_bytes()), expected);
        };
        check(LOCK, &["member@", "a@1.0.0", "d@4.0.0 (dev)", "o@5.0.0", "two@1.0 (dev)", "two@2.0"]);
        check("version = 1\n", &[]);
        check("package = 1\n", &["uv.lock: invalid type: integer `1`, expected a sequence"]);
    }

    proptest! {
        #[test]
        fn mutations_never_panic(at in 0..LOCK.len(), byte: u8) {
            let mut text = LOCK.as_bytes().to_vec();
            text[at] = byte;
            read(&UvLock, "uv.lock", &text);
        }
    }
}
