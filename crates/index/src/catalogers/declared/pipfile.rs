//! `Pipfile.lock`, Pipenv's lock file.
//!
//! Source of the format: <https://github.com/pypa/pipfile#pipfilelock>. It is a JSON object: `_meta`, then one member
//! for each category of packages: `default`, `develop`, and since 2022 any other. A package has
//! `"version": "==1.2.3"`, or the address of a repository, a directory or an archive in its place.

use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};

use super::locked::{Entry, Locked, check_size, plain_version};
use crate::catalogers::lenient::Text;
use crate::{Cataloger, Contents, File, Findings, Interest, Problem};

/// Reads `Pipfile.lock` files.
#[derive(Debug)]
pub(crate) struct PipfileLock;

impl Cataloger for PipfileLock {
    fn name(&self) -> &'static str {
        "pipfile-lock"
    }

    fn version(&self) -> u32 {
        1
    }

    fn interest(&self) -> Interest {
        Interest::new().path("**/Pipfile.lock")
    }

    fn catalog(&self, file: &File<'_>, contents: &mut Contents<'_>, findings: &mut Findings) -> Result<(), Problem> {
        let text = contents.text()?;
        check_size(file, &text)?;
        if !text.trim_start().starts_with('{') {
            return Ok(());
        }
        let mut locked = Locked::new("pypi");
        let result = serde_json::Deserializer::from_str(&text).deserialize_map(Categories(&mut locked));
        locked.finish(findings)?;
        result.map_err(|error| Problem::malformed(format!("Pipfile.lock: {error}")))
    }
}

struct Categories<'l>(&'l mut Locked);

impl<'de> Visitor<'de> for Categories<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of categories")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(category) = map.next_key::<Text<'de>>()? {
            match category.as_str() {
                "_meta" => _ = map.next_value::<IgnoredAny>()?,
                category => map.next_value_seed(Category { locked: &mut *self.0, dev: category == "develop" })?,
            }
        }
        Ok(())
    }
}

struct Category<'l> {
    locked: &'l mut Locked,
    dev: bool,
}

impl<'de> DeserializeSeed<'de> for Category<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Category<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of packages")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        #[derive(Default, Deserialize)]
        #[serde(default)]
        struct Locked<'a> {
            #[serde(borrow)]
            version: Text<'a>,
        }

        while let Some((name, package)) = map.next_entry::<Text<'de>, Locked<'de>>()? {
            let version = plain_version(package.version.as_str().trim_start_matches("=="));
            if !version.is_empty() {
                self.locked.add(Entry { name: name.as_str(), version, dev: self.dev });
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::locked::tests::read;
    use super::*;

    const LOCK: &str = r#"{
        "_meta": {"hash": {"sha256": "00"}, "pipfile-spec": 6, "sources": [{"name": "pypi"}]},
        "default": {
            "a": {"hashes": ["sha256:00"], "index": "pypi", "version": "==1.0.0"},
            "b": {"git": "https://example.org/b.git", "ref": "0123"},
            "c": {"editable": true, "path": "."},
            "d": {"version": "*"}
        },
        "develop": {
            "a": {"version": "==1.0.0", "markers": "python_version >= '3'"},
            "e": {"version": "==2.0.post1"}
        },
        "docs": {"f": {"version": "==3"}}
    }"#;

    #[test]
    fn reads_every_category() {
        let check = |text: &str, expected: &[&str]| {
            assert_eq!(read(&PipfileLock, "app/Pipfile.lock", text.as_bytes()), expected);
        };
        check(LOCK, &["a@1.0.0", "e@2.0.post1 (dev)", "f@3"]);
        check("{}", &[]);
        check("[]", &[]);
        check(
            r#"{"default": {"a": {"version": "==1"}}, "develop": 1}"#,
            &["a@1", "Pipfile.lock: invalid type: integer `1`, expected an object of packages at line 1 column 51"],
        );
    }

    proptest! {
        #[test]
        fn mutations_never_panic(at in 0..LOCK.len(), byte: u8) {
            let mut text = LOCK.as_bytes().to_vec();
            text[at] = byte;
            read(&PipfileLock, "Pipfile.lock", &text);
        }
    }
}
