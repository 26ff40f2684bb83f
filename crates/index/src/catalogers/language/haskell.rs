//! Haskell libraries, from GHC's package databases.
//!
//! A database is a directory with one description for each library that is registered: `package.conf.d` or
//! `package.db`, of GHC itself, of cabal's store and of stack's snapshots. Source of the format:
//! <https://downloads.haskell.org/ghc/latest/docs/users_guide/packages.html#installedpackageinfo-a-package-specification>
//!
//! | Field | |
//! | --- | --- |
//! | `name`, `version`, `license`, `homepage`, `synopsis` | the same |
//! | `package-name` | the package of an internal library, whose `name` is made up (`z-quux-z-core`) |
//! | `maintainer`, else `author` | author |

use crate::catalogers::{dcf, field};
use crate::package::Package;
use crate::{Cataloger, Contents, File, Findings, Interest, Problem};

/// Bytes of a description. That of GHC's own library, with 600 modules, has 60 KiB.
const LONGEST: usize = 4 << 20;

/// Reads package databases of GHC.
#[derive(Debug)]
pub(crate) struct Haskell;

impl Cataloger for Haskell {
    fn name(&self) -> &'static str {
        "haskell"
    }

    fn version(&self) -> u32 {
        1
    }

    fn interest(&self) -> Interest {
        Interest::new().path("**/package.conf.d/*.conf").path("**/package.db/*.conf").path("**/pkgdb/*.conf")
    }

    fn catalog(&self, _file: &File<'_>, contents: &mut Contents<'_>, findings: &mut Findings) -> Result<(), Problem> {
        let text = field::text(contents, LONGEST)?;
        let mut package = Package { kind: "hackage".to_owned(), ..Package::default() };
        let (mut owner, mut author) = (None, None);
        for (key, value) in dcf::fields(&text) {
            match key {
                "name" => package.name = field::word(&value).unwrap_or_default(),
                "package-name" => owner = field::word(&value),
                "version" => package.version = field::word(&value).unwrap_or_default(),
                "license" => package.licenses = field::line(&value).into_iter().collect(),
                "maintainer" => package.author = field::line(&value),
                "author" => author = field::line(&value),
                "synopsis" => package.description = field::line(&value),
                "homepage" => package.url = field::word(&value),
                _ => {}
            }
        }
        package.name = owner.unwrap_or(package.name);
        package.author = package.author.or(author);
        if !package.version.is_empty() {
            findings.package(package);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::catalogers::testing;

    const PATH: &str = "opt/ghc/9.4.7/lib/package.conf.d/quux-2.4.1.conf";
    const QUUX: &str = "\
name:                 quux
version:              2.4.1
visibility:           public
id:                   quux-2.4.1-3xY
license:              BSD-3-Clause
maintainer:           ann@example.org
author:               Ann
homepage:             https://quux.example.org
synopsis:             Quuxes
description:
    Quuxes for
    everybody: all.
exposed-modules:      Quux Quux.Core
depends:              base-4.17.2.0
";

    #[test]
    fn reads_every_field() {
        assert_eq!(
            testing::packages(&Haskell, PATH, QUUX),
            [Package {
                kind: "hackage".into(),
                name: "quux".into(),
                version: "2.4.1".into(),
                licenses: vec!["BSD-3-Clause".into()],
                author: Some("ann@example.org".into()),
                description: Some("Quuxes".into()),
                url: Some("https://quux.example.org".into()),
                ..Package::default()
            }]
        );
    }

    #[test]
    fn internal_libraries_are_of_their_package() {
        let check = |text: &str, expected: &[&str]| assert_eq!(testing::brief(&Haskell, PATH, text), expected);
        check("name: z-quux-z-core\nversion: 1.0\npackage-name: quux\nlib-name: core\n", &["quux 1.0"]);
        check("name: quux\n", &[]);
        check("[Unit]\nversion: 1\n", &[]);
        assert!(testing::wants(Haskell, "root/.cabal/store/ghc-9.4.7/package.db/a-1-f00.conf"));
        assert!(!testing::wants(Haskell, "etc/a.conf"));
    }

    proptest! {
        #[test]
        fn mutations_never_panic(change: (usize, u8, usize)) {
            testing::mutate(&Haskell, PATH, QUUX, change);
        }
    }
}
