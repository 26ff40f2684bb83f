//! What a Haskell project is built from: `stack.yaml`, `stack.yaml.lock`, `cabal.project.freeze`.
//!
//! | File | Entry |
//! | --- | --- |
//! | `stack.yaml` | `extra-deps` with `name-1.0@sha256:…,100`, `name-1.0@rev:1` or `name-1.0`; other forms are no packages of Hackage |
//! | `stack.yaml.lock` | `packages` with `completed.hackage` of that form, or `completed.name` and `.version` |
//! | `cabal.project.freeze` | `constraints: any.name ==1.0, …` |
//!
//! Sources: <https://docs.haskellstack.org/en/stable/topics/package_location/>,
//! <https://docs.haskellstack.org/en/stable/topics/lock_files/>, <https://cabal.readthedocs.io/en/stable/cabal-commands.html#cabal-freeze>.
//! The snapshot that a stack project names is a list kept elsewhere; its packages are not in these files.

use serde::Deserialize;

use crate::catalogers::field::{self, Few, Scalar};
use crate::catalogers::{MOST_PACKAGES, check_count};
use crate::package::{Evidence, Package};
use crate::{Cataloger, Contents, File, Findings, Interest, Problem};

/// Reads the files of stack and cabal.
#[derive(Debug)]
pub(crate) struct HaskellLocks;

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
struct Stack {
    extra_deps: Few<Scalar, MOST_PACKAGES>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Lock {
    packages: Few<Locked, MOST_PACKAGES>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Locked {
    completed: Completed,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Completed {
    hackage: Scalar,
    name: Scalar,
    version: Option<String>,
}

impl Cataloger for HaskellLocks {
    fn name(&self) -> &'static str {
        "haskell-locks"
    }

    fn version(&self) -> u32 {
        1
    }

    fn interest(&self) -> Interest {
        Interest::new().path("**/stack.yaml").path("**/stack.yaml.lock").path("**/cabal.project.freeze")
    }

    fn catalog(&self, file: &File<'_>, contents: &mut Contents<'_>, findings: &mut Findings) -> Result<(), Problem> {
        let mut add = |package: Option<Package>| {
            findings.package(package.unwrap_or_default());
            check_count(findings)
        };
        match file.name() {
            "stack.yaml" => {
                let stack: Stack = field::yaml(contents)?;
                stack.extra_deps.0.iter().try_for_each(|dependency| add(hackage(dependency.text())))
            }
            "stack.yaml.lock" => {
                let lock: Lock = field::yaml(contents)?;
                lock.packages.0.iter().try_for_each(|Locked { completed }| {
                    let named = || package(completed.name.text(), completed.version.as_deref()?);
                    add(hackage(completed.hackage.text()).or_else(named))
                })
            }
            _ => {
                let text = field::text(contents, field::LONGEST_TEXT)?;
                let lines = text.lines().filter(|line| !line.trim_start().starts_with("--"));
                lines.flat_map(|line| line.split(',')).try_for_each(|constraint| add(frozen(constraint)))
            }
        }
    }
}

/// `name-1.0`, and what may follow an `@`.
fn hackage(text: &str) -> Option<Package> {
    let (name, version) = text.split('@').next()?.trim().rsplit_once('-')?;
    package(name, version)
}

/// `any.name ==1.0`, in whatever stands around it.
fn frozen(constraint: &str) -> Option<Package> {
    let mut words = constraint.split_whitespace().skip_while(|word| !word.starts_with("any."));
    let name = words.next()?.strip_prefix("any.")?;
    match name.split_once("==") {
        Some((name, version)) => package(name, version),
        None => package(name, words.next()?.strip_prefix("==")?),
    }
}

fn package(name: &str, version: &str) -> Option<Package> {
    let is_name = name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    let is_version = version.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    (is_name && is_version && field::is_word(name) && field::is_word(version)).then(|| Package {
        kind: "hackage".to_owned(),
        name: name.to_owned(),
        version: version.to_owned(),
        evidence: Evidence::Declared,
        ..Package::default()
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::catalogers::testing;

    const STACK: &str = "\
resolver: lts-21.0
packages: [.]
extra-deps:
  - quux-2.4.1@sha256:353c9322847b661e,3297
  - quux-core-0.1@rev:2
  - plain-1.0
  - ./vendor/local-1.0
  - https://example.org/archive-1.0.tar.gz
  - git: https://github.com/acme/forked
    commit: f00
  - 3
flags: {}
";
    const LOCK: &str = "\
snapshots:
- completed: {sha256: f00, size: 1, url: 'https://example.org/21/0.yaml'}
  original: lts-21.0
packages:
- completed:
    hackage: quux-2.4.1@sha256:353c9322847b661e,3297
    pantry-tree: {sha256: f00, size: 1}
  original: {hackage: quux-2.4.1}
- completed:
    git: https://github.com/acme/forked
    commit: f00
    name: forked
    version: 0.20
  original: {git: 'https://github.com/acme/forked', commit: f00}
";
    const FREEZE: &str = "\
active-repositories: hackage.haskell.org:merge
-- constraints: any.commented ==9,
constraints: any.quux ==2.4.1,
             quux +flag -other,
             any.base==4.18.0.0, any.core ==0.1,
             plain ==3.0,
             any.last ==1
index-state: hackage.haskell.org 2023-08-01T00:00:00Z
";

    #[test]
    fn locks_of_two_tools() {
        let check = |path: &str, text: &str, expected: &[&str]| {
            assert_eq!(testing::brief(&HaskellLocks, path, text), expected, "{path}");
        };
        check("app/stack.yaml", STACK, &["quux 2.4.1?", "quux-core 0.1?", "plain 1.0?"]);
        check("app/stack.yaml", "resolver: lts-21.0\nextra-deps: []\n", &[]);
        check("app/stack.yaml.lock", LOCK, &["quux 2.4.1?", "forked 0.20?"]);
        check("app/cabal.project.freeze", FREEZE, &["quux 2.4.1?", "base 4.18.0.0?", "core 0.1?", "last 1?"]);
        check("app/cabal.project.freeze", "", &[]);
        assert!(testing::find(&HaskellLocks, "stack.yaml", b"a: [").is_err());
    }

    proptest! {
        #[test]
        fn mutations_never_panic(change: (usize, u8, usize)) {
            testing::mutate(&HaskellLocks, "stack.yaml", STACK, change);
            testing::mutate(&HaskellLocks, "stack.yaml.lock", LOCK, change);
            testing::mutate(&HaskellLocks, "cabal.project.freeze", FREEZE, change);
        }
    }
}
