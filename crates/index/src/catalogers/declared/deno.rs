//! `deno.lock`.
//!
//! Source of the format: <https://github.com/denoland/deno_lockfile>
//!
//! | Version | npm and JSR packages | Modules by address |
//! | --- | --- | --- |
//! | 2 | `npm.packages` | `remote` |
//! | 3 | `packages.npm`, `packages.jsr` | `remote` |
//! | 4, 5 | `npm`, `jsr` | `remote` |
//!
//! Keys are `@s/a@1.2.3_peer@4.5.6`. JSR has no package URL type of its own; its packages can be had as npm packages
//! from its own registry, which `repository_url` names. A module that is loaded by its address counts if the address
//! names a version, `https://deno.land/std@0.140.0/path/mod.ts`: many files of one package are one package.

use std::borrow::Cow;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess};

use super::locked::{Entry, Locked, check_size, is_within_node_modules, plain_version, split_npm};
use crate::catalogers::lenient::{self, Keys, Lenient, Text};
use crate::{Cataloger, Contents, File, Findings, Interest, Problem};

/// Reads `deno.lock` files.
#[derive(Debug)]
pub(crate) struct DenoLock;

impl Cataloger for DenoLock {
    fn name(&self) -> &'static str {
        "deno-lock"
    }

    fn version(&self) -> u32 {
        1
    }

    fn interest(&self) -> Interest {
        Interest::new().path("**/deno.lock")
    }

    fn catalog(&self, file: &File<'_>, contents: &mut Contents<'_>, findings: &mut Findings) -> Result<(), Problem> {
        if is_within_node_modules(file) {
            return Ok(());
        }
        let text = contents.text()?;
        check_size(file, &text)?;
        if !text.trim_start().starts_with('{') {
            return Ok(());
        }
        let lock: Lock<'_> =
            serde_json::from_str(&text).map_err(|error| Problem::malformed(format!("deno.lock: {error}")))?;
        let mut npm = Locked::new("npm");
        for key in lock.npm.0.iter().chain(&lock.packages.npm.0) {
            let (name, version) = package(key);
            if !version.is_empty() {
                npm.add(Entry { name, version, dev: false });
            }
        }
        npm.finish(findings)?;
        // Collected apart: the same name and version may exist in both registries.
        let mut elsewhere = Locked::new("npm");
        for key in [&lock.jsr, &lock.packages.jsr].into_iter().flat_map(|keys| &keys.0) {
            let (name, version) = package(key);
            add_from(&mut elsewhere, name, version, "https://jsr.io");
        }
        for address in &lock.remote.0 {
            if let Some((origin, name, version)) = remote(address) {
                add_from(&mut elsewhere, name, version, origin);
            }
        }
        elsewhere.finish(findings)
    }
}

fn add_from(locked: &mut Locked, name: &str, version: &str, repository: &str) {
    if version.is_empty() {
        return;
    }
    if let Some(package) = locked.add(Entry { name, version, dev: false }) {
        package.qualifiers.insert("repository_url".to_owned(), repository.to_owned());
    }
}

/// `@s/a@1.2.3_peer@4.5.6` → `@s/a`, `1.2.3`
fn package(key: &str) -> (&str, &str) {
    let (name, version) = split_npm(key);
    (name, plain_version(version.split('_').next().unwrap_or(version)))
}

/// `https://deno.land/x/a@v1.2.3/mod.ts` → `https://deno.land`, `deno.land/x/a`, `v1.2.3`
fn remote(address: &str) -> Option<(&str, &str, &str)> {
    let scheme = address.find("://")? + 3;
    let path = &address[scheme..];
    let host = path.find('/')?;
    // Behind a slash it begins a scope.
    let at = path.match_indices('@').map(|(at, _)| at).find(|&at| at > host && !path[..at].ends_with('/'))?;
    let version = plain_version(path[at + 1..].split(['/', '?', '#']).next()?);
    Some((&address[..scheme + host], &path[..at], version))
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Lock<'a> {
    #[serde(borrow)]
    npm: Npm<'a>,
    #[serde(borrow)]
    jsr: Keys<'a>,
    #[serde(borrow)]
    packages: Third<'a>,
    #[serde(borrow)]
    remote: Keys<'a>,
}

/// The keys are packages, but in version 2, which has a member `packages` for them.
#[derive(Debug, Default)]
struct Npm<'a>(Vec<Cow<'a, str>>);

impl<'de> Lenient<'de> for Npm<'de> {
    fn map<A: MapAccess<'de>>(mut map: A) -> Result<Self, A::Error> {
        let mut npm = Self::default();
        while let Some(key) = map.next_key::<Text<'de>>()? {
            if key.as_str() == "packages" {
                npm.0.extend(map.next_value::<Keys<'de>>()?.0);
            } else {
                map.next_value::<IgnoredAny>()?;
                npm.0.push(key.into_cow());
            }
        }
        Ok(npm)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Npm<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        lenient::any::<Npm<'de>, D>(deserializer)
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Third<'a> {
    #[serde(borrow)]
    npm: Keys<'a>,
    #[serde(borrow)]
    jsr: Keys<'a>,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::locked::tests::read;
    use super::*;

    fn check(text: &str, expected: &[&str]) {
        assert_eq!(read(&DenoLock, "app/deno.lock", text.as_bytes()), expected, "{text}");
    }

    const FIFTH: &str = r#"{
        "version": "5",
        "specifiers": {"npm:a@^1": "1.2.3"},
        "jsr": {"@std/path@1.0.6": {"integrity": "00", "dependencies": ["jsr:@std/x"]}},
        "npm": {
            "a@1.2.3": {"integrity": "sha512-AA=="},
            "@s/b@2.0.0_@s+peer@1.0.0_d@1.0.0": {"dependencies": {"a": "a@1.2.3"}},
            "odd": {}, "odd@": {}, "@odd": {}
        },
        "remote": {
            "https://deno.land/std@0.140.0/path/mod.ts": "00",
            "https://deno.land/std@0.140.0/path/posix.ts": "00",
            "https://esm.sh/v135/@s/c@1.0.0/mod.js": "00",
            "https://example.org/mod.ts": "00",
            "https://user@example.org/x/mod.ts": "00"
        },
        "workspace": {"dependencies": ["npm:a@^1"]}
    }"#;

    #[test]
    fn reads_every_version() {
        check(FIFTH, &["a@1.2.3", "@s/b@2.0.0", "@std/path@1.0.6", "deno.land/std@0.140.0", "esm.sh/v135/@s/c@1.0.0"]);
        check(
            r#"{"version": "3", "packages": {"specifiers": {"npm:a": "npm:a@1.0.0"}, "jsr": {"@s/j@1.0.0": {}},
                "npm": {"a@1.0.0": {}}}, "remote": {}}"#,
            &["a@1.0.0", "@s/j@1.0.0"],
        );
        check(
            r#"{"version": "2", "remote": {}, "npm": {"specifiers": {"a": "a@1.0.0"}, "packages": {"a@1.0.0": {}}}}"#,
            &["a@1.0.0"],
        );
        check(r#"{"version": "5"}"#, &[]);
        check("no JSON", &[]);
        check(r#"{"npm": 1}"#, &[]);
        check(r#"{"npm": {"#, &["deno.lock: EOF while parsing an object at line 1 column 9"]);
    }

    #[test]
    fn other_registries_are_named() {
        let file = File { path: "deno.lock", size: 0, executable: false };
        let mut findings = Findings::default();
        DenoLock.catalog(&file, &mut Contents::held(FIFTH.as_bytes()), &mut findings).expect("is a lock file");
        let of = |name: &str| {
            let package = findings.packages().iter().find(|package| package.name == name).expect("was found");
            package.qualifiers.get("repository_url").map(String::as_str)
        };
        assert_eq!(of("a"), None);
        assert_eq!(of("path"), Some("https://jsr.io"));
        assert_eq!(of("std"), Some("https://deno.land"));
    }

    proptest! {
        #[test]
        fn mutations_never_panic(at in 0..FIFTH.len(), byte: u8) {
            let mut text = FIFTH.as_bytes().to_vec();
            text[at] = byte;
            read(&DenoLock, "deno.lock", &text);
        }
    }
}
