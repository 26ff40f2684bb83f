//! What nimble pins for a Nim project: `nimble.lock`.
//!
//! JSON with a map `packages` of names to `version`, `vcsRevision`, `url` and so on. Source of the format:
//! <https://nim-lang.github.io/nimble/nimble-reference.html>, `lockfile.nim` of nim-lang/nimble.

use serde::Deserialize;

use crate::catalogers::check_count;
use crate::catalogers::field::{self, Entries, Scalar};
use crate::package::{Evidence, Package};
use crate::{Cataloger, Contents, File, Findings, Interest, Problem};

/// Reads `nimble.lock`.
#[derive(Debug)]
pub(crate) struct NimbleLock;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Lock {
    packages: Entries<Locked>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Locked {
    version: Scalar,
}

impl Cataloger for NimbleLock {
    fn name(&self) -> &'static str {
        "nimble-lock"
    }

    fn version(&self) -> u32 {
        1
    }

    fn interest(&self) -> Interest {
        Interest::new().path("**/nimble.lock")
    }

    fn catalog(&self, _file: &File<'_>, contents: &mut Contents<'_>, findings: &mut Findings) -> Result<(), Problem> {
        let lock: Lock = field::json(contents)?;
        for (name, locked) in lock.packages.0 {
            let (true, Some(version)) = (field::is_word(&name), field::word(locked.version.text())) else { continue };
            check_count(findings)?;
            let kind = "nim".to_owned();
            findings.package(Package { kind, name, version, evidence: Evidence::Declared, ..Package::default() });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::catalogers::testing;

    const QUUX: &str = r#"{"version": 2, "packages": {
        "quux": {"version": "0.4.2", "vcsRevision": "f00", "url": "https://github.com/acme/quux",
                 "downloadMethod": "git", "dependencies": ["nim"], "checksums": {"sha1": "f00"}},
        "none": {"vcsRevision": "f00"}}, "tasks": {}}"#;

    #[test]
    fn packages_have_versions() {
        assert_eq!(testing::brief(&NimbleLock, "nimble.lock", QUUX), ["quux 0.4.2?"]);
        assert!(testing::find(&NimbleLock, "nimble.lock", b"").is_err());
    }

    proptest! {
        #[test]
        fn mutations_never_panic(change: (usize, u8, usize)) {
            testing::mutate(&NimbleLock, "nimble.lock", QUUX, change);
        }
    }
}
