//! Lock files of sbt, by the plugin sbt-dependency-lock.
//!
//! Source of the format: <https://stringbean.github.io/sbt-dependency-lock/file-formats/version-1.html>: `dependencies`
//! of `{"org", "name", "version", "configurations": ["compile", "test"]}`.

use std::borrow::Cow;

use serde::Deserialize;

use super::maven::package;
use crate::catalogers::check_count;
use crate::catalogers::language::java::pom::Coordinates;
use crate::{Cataloger, Contents, File, Findings, Interest, Problem};

/// Reads `build.sbt.lock`.
#[derive(Debug)]
pub(crate) struct Sbt;

impl Cataloger for Sbt {
    fn name(&self) -> &'static str {
        "sbt"
    }

    fn version(&self) -> u32 {
        1
    }

    fn interest(&self) -> Interest {
        Interest::new().path("**/*.sbt.lock")
    }

    fn catalog(&self, _file: &File<'_>, contents: &mut Contents<'_>, findings: &mut Findings) -> Result<(), Problem> {
        let lock: Lock<'_> = serde_json::from_slice(contents.whole()?)
            .map_err(|error| Problem::malformed(format!("build.sbt.lock: {error}")))?;
        for Dependency { org, name, version, configurations } in lock.dependencies {
            check_count(findings)?;
            let dev = !configurations.is_empty() && configurations.iter().all(|name| name == "test" || name == "it");
            let coordinates =
                Coordinates { group: org.into_owned(), artifact: name.into_owned(), version: version.into_owned() };
            findings.package(package(coordinates, dev));
        }
        Ok(())
    }
}

#[derive(Deserialize)]
struct Lock<'a> {
    #[serde(borrow, default)]
    dependencies: Vec<Dependency<'a>>,
}

#[derive(Deserialize)]
struct Dependency<'a> {
    #[serde(borrow)]
    org: Cow<'a, str>,
    #[serde(borrow)]
    name: Cow<'a, str>,
    #[serde(borrow)]
    version: Cow<'a, str>,
    #[serde(borrow, default)]
    configurations: Vec<Cow<'a, str>>,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::catalogers::declared::maven::tests::read;

    const LOCK: &str = r#"{"lockVersion": 1, "configurations": ["compile", "test"], "dependencies": [
        {"org": "org.scala-lang", "name": "scala-library", "version": "2.13.1", "artifacts": [], "configurations": ["test", "compile"]},
        {"org": "org.scalatest", "name": "scalatest_2.13", "version": "3.2.15", "configurations": ["test"]}]}"#;

    #[test]
    fn dependencies_are_listed() {
        let expected = ["org.scala-lang:scala-library:2.13.1", "org.scalatest:scalatest_2.13:3.2.15*"];
        assert_eq!(read(&Sbt, "build.sbt.lock", LOCK), (expected.map(str::to_owned).to_vec(), None));
        assert_eq!(read(&Sbt, "build.sbt.lock", "{}"), (vec![], None));
        assert!(read(&Sbt, "build.sbt.lock", r#"{"dependencies": [{}]}"#).1.is_some());
    }

    proptest! {
        #[test]
        fn mutations_never_panic(at in 0..LOCK.len(), byte in 0_u8..128) {
            let mut bytes = LOCK.as_bytes().to_vec();
            bytes[at] = byte;
            read(&Sbt, "build.sbt.lock", &String::from_utf8_lossy(&bytes));
        }
    }
}
