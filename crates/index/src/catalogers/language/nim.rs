//! Nim packages that nimble installed, from the `.nimble` file of each.
//!
//! nimble unpacks into `pkgs2/<name>-<version>-<checksum>`, before version 0.14 into `pkgs/<name>-<version>`. The path
//! says what it is; the file, a program in a subset of Nim, adds licence, author and description where it assigns
//! them as plain strings. Source: <https://nim-lang.github.io/nimble/nimble-reference.html>.

use crate::catalogers::field;
use crate::package::Package;
use crate::{Cataloger, Contents, File, Findings, Interest, Problem};

/// Bytes of a `.nimble` file: some hundred lines.
const LONGEST: usize = 1 << 20;

/// Hexadecimal digits of the SHA-1 in a directory's name.
const CHECKSUM: usize = 40;

/// Reads `.nimble` files.
#[derive(Debug)]
pub(crate) struct Nim;

impl Cataloger for Nim {
    fn name(&self) -> &'static str {
        "nim"
    }

    fn version(&self) -> u32 {
        1
    }

    fn interest(&self) -> Interest {
        Interest::new().path("**/pkgs/*/*.nimble").path("**/pkgs2/*/*.nimble")
    }

    fn catalog(&self, file: &File<'_>, contents: &mut Contents<'_>, findings: &mut Findings) -> Result<(), Problem> {
        let Some((name, version)) = file.directory().rsplit('/').next().and_then(identity) else { return Ok(()) };
        let mut package = Package {
            kind: "nim".to_owned(),
            name: name.to_owned(),
            version: version.to_owned(),
            ..Package::default()
        };
        for (key, value) in field::text(contents, LONGEST)?.lines().filter_map(assignment) {
            match key {
                "license" => package.licenses = field::line(value).into_iter().collect(),
                "author" => package.author = field::line(value),
                "description" => package.description = field::line(value),
                _ => {}
            }
        }
        findings.package(package);
        Ok(())
    }
}

/// `key = "value"`
fn assignment(line: &str) -> Option<(&str, &str)> {
    let (key, value) = line.split_once('=')?;
    let value = value.trim_start().strip_prefix('"')?;
    Some((key.trim(), value.split('"').next()?))
}

/// `quux` and `0.2.1` of `quux-0.2.1` and of `quux-0.2.1-<checksum>`.
fn identity(directory: &str) -> Option<(&str, &str)> {
    let is_checksum = |text: &str| text.len() == CHECKSUM && text.bytes().all(|b| b.is_ascii_hexdigit());
    let identity = match directory.rsplit_once('-') {
        Some((identity, checksum)) if is_checksum(checksum) => identity,
        _ => directory,
    };
    let (name, version) = identity.rsplit_once('-')?;
    let is_version = version.starts_with(|c: char| c.is_ascii_digit() || c == '#');
    (is_version && field::is_word(name) && field::is_word(version)).then_some((name, version))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::catalogers::testing;

    const PATH: &str = "root/.nimble/pkgs2/json_quux-0.4.2-2b26a9e0fc79638dbb9272fb4ab5a1d79264f938/json_quux.nimble";
    const QUUX: &str = "\
mode = ScriptMode.Verbose
packageName   = \"json_quux\"
version       = \"9.9.9\"
author        = \"Ann\"
description   = \"Quuxes\"
license       = \"Apache License 2.0\"
requires \"nim >= 1.6.0\"
";

    #[test]
    fn the_path_says_what_it_is() {
        assert_eq!(
            testing::packages(&Nim, PATH, QUUX),
            [Package {
                kind: "nim".into(),
                name: "json_quux".into(),
                version: "0.4.2".into(),
                licenses: vec!["Apache License 2.0".into()],
                author: Some("Ann".into()),
                description: Some("Quuxes".into()),
                ..Package::default()
            }]
        );
        let check = |directory: &str, expected: Option<(&str, &str)>| assert_eq!(identity(directory), expected);
        check("gura-0.1.1", Some(("gura", "0.1.1")));
        check("a-b-0.1.1", Some(("a-b", "0.1.1")));
        check("gura", None);
        check("-1", None);
        check("gura-dev", None);
    }

    proptest! {
        #[test]
        fn mutations_never_panic(change: (usize, u8, usize)) {
            testing::mutate(&Nim, PATH, QUUX, change);
        }
    }
}
