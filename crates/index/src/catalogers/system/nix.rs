//! Packages in the Nix store, by the names of their directories.
//!
//! `nix/store/<hash>-<name>[-<version>][-<output>]/…`: 32 characters of Nix's base 32, then the name of the derivation
//! and, unless it is `out`, of the output. Source: the Nix manual, "Store Path", and `builtins.parseDrvName`: the
//! version begins after the first hyphen that no letter follows. Images that Nix builds hold the store and nothing
//! else; where there is a database (`nix/var/nix/db`), it names the same paths.
//!
//! One file stands for its directory ([`Interest::one_below`]). Store paths that are a single file are sources,
//! patches, scripts and derivations (`.drv`), no packages.

use crate::package::Package;
use crate::{Cataloger, Contents, File, Findings, Interest, Problem};

const STORE: &str = "nix/store";

/// Characters of a store path's hash.
const HASH: usize = 32;

/// Reads the names in the Nix store.
#[derive(Debug)]
pub(crate) struct Nix;

impl Cataloger for Nix {
    fn name(&self) -> &'static str {
        "nix"
    }

    fn version(&self) -> u32 {
        1
    }

    fn interest(&self) -> Interest {
        Interest::new().one_below(STORE)
    }

    fn catalog(&self, file: &File<'_>, _contents: &mut Contents<'_>, findings: &mut Findings) -> Result<(), Problem> {
        let directory = file.path.strip_prefix(STORE).and_then(|rest| rest.strip_prefix('/'));
        let directory = directory.and_then(|rest| rest.split('/').next()).unwrap_or_default();
        if let Some(package) = package(directory) {
            findings.package(package);
        }
        Ok(())
    }
}

fn package(directory: &str) -> Option<Package> {
    let (hash, full_name) = directory.split_at_checked(HASH)?;
    let full_name = full_name.strip_prefix('-')?;
    if !hash.bytes().all(|b| b.is_ascii_digit() || b.is_ascii_lowercase()) || full_name.ends_with(".drv") {
        return None;
    }
    let (name, version) = split(full_name)?;
    let (version, output) = match version.rsplit_once('-') {
        // Outputs are words: `bin`, `dev`, `man`. So are a few pre-releases, which are rarer.
        Some((version, output)) if !output.bytes().any(|b| b.is_ascii_digit()) => (version, output),
        _ => (version, ""),
    };
    let mut package =
        Package { kind: "nix".to_owned(), name: name.to_owned(), version: version.to_owned(), ..Package::default() };
    package.qualifiers.insert("outputhash".to_owned(), hash.to_owned());
    if !output.is_empty() {
        package.qualifiers.insert("output".to_owned(), output.to_owned());
    }
    Some(package)
}

/// Name and version. `unstable-2024-01-31` was the version of packages without releases until Nixpkgs 24.05.
fn split(full_name: &str) -> Option<(&str, &str)> {
    let at = full_name
        .bytes()
        .zip(full_name.bytes().skip(1))
        .position(|(b, next)| b == b'-' && !next.is_ascii_alphabetic())?;
    let (name, version) = (full_name.get(..at)?, full_name.get(at + 1..)?);
    let (name, version) = match name.strip_suffix("-unstable") {
        Some(shorter) => (shorter, full_name.get(shorter.len() + 1..)?),
        None => (name, version),
    };
    (!name.is_empty() && version.contains(|c: char| c.is_ascii_digit())).then_some((name, version))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Where there is no output in the name, expected values are those of `builtins.parseDrvName` (Nix 2.8).
    #[test]
    fn store_paths_are_taken_apart() {
        let check = |full_name: &str, expected: Option<(&str, &str, &str)>| {
            let found = package(&format!("0c6w0cdvcj5ybyx4v9nqvhf4mq23hsrk-{full_name}"));
            let found = found.as_ref().map(|p| (&*p.name, &*p.version, p.qualifiers.get("output").map_or("", |o| o)));
            assert_eq!(found, expected, "{full_name}");
        };
        check("curl-8.4.0", Some(("curl", "8.4.0", "")));
        check("curl-8.4.0-bin", Some(("curl", "8.4.0", "bin")));
        check("glibc-2.38-44-dev", Some(("glibc", "2.38-44", "dev")));
        check("bash-interactive-5.2-p15", Some(("bash-interactive", "5.2-p15", "")));
        check("bash-interactive-5.2-p15-man", Some(("bash-interactive", "5.2-p15", "man")));
        check("perl5.38.2-URI-5.21", Some(("perl5.38.2-URI", "5.21", "")));
        check("openssl-1.1.1w", Some(("openssl", "1.1.1w", "")));
        check("tzdata-2023c", Some(("tzdata", "2023c", "")));
        check("libfido2-1.13.0", Some(("libfido2", "1.13.0", "")));
        check(
            "busybox-static-x86_64-unknown-linux-musl-1.36.1",
            Some(("busybox-static-x86_64-unknown-linux-musl", "1.36.1", "")),
        );
        check("quux-unstable-2023-08-16", Some(("quux", "unstable-2023-08-16", "")));
        check("quux-0-unstable-2024-08-16", Some(("quux", "0-unstable-2024-08-16", "")));
        check("libedit-20221030-3.1", Some(("libedit", "20221030-3.1", "")));
        check("kmod-31", Some(("kmod", "31", "")));
        check("source", None);
        check("base-system", None);
        check("0018-some.patch", None);
        check("curl-8.4.0.drv", None);
        check("quux-", None);
        check("-1.0", None);
        check("", None);
    }

    #[test]
    fn what_has_no_hash_is_no_store_path() {
        for directory in ["curl-8.4.0", ".links", "0C6W0CDVCJ5YBYX4V9NQVHF4MQ23HSRK-curl-8.4.0", "é-curl-8.4.0", ""] {
            assert_eq!(package(directory), None, "{directory}");
        }
    }

    #[test]
    fn the_hash_tells_builds_apart() {
        let package = package("0c6w0cdvcj5ybyx4v9nqvhf4mq23hsrk-curl-8.4.0").unwrap();
        assert_eq!(package.qualifiers.get("outputhash").map(String::as_str), Some("0c6w0cdvcj5ybyx4v9nqvhf4mq23hsrk"));
    }

    proptest! {
        #[test]
        fn never_panics(path in "(nix/store/)?[a-z0-9]{30,34}-?.{0,40}(/.{0,10})?") {
            let file = File { path: &path, size: 0, executable: false };
            Nix.catalog(&file, &mut Contents::held(b""), &mut Findings::default()).unwrap();
        }
    }
}
