//! R packages, from the `DESCRIPTION` of each.
//!
//! Source of the format: <https://cran.r-project.org/doc/manuals/r-release/R-exts.html#The-DESCRIPTION-file>.
//!
//! | Field | |
//! | --- | --- |
//! | `Package`, `Version`, `License`, `Title` | name, version, licence as R writes it (`GPL (>= 2)`, `MIT + file LICENSE`), description |
//! | `Maintainer`, else `Author` | author |
//! | `URL` | home page, the first of several |
//! | `Depends`, `Imports` | what it needs: `R (>= 4.0), methods` |
//! | `Built` | written by `R CMD INSTALL` |
//!
//! What has `Built`, or lies in a library (`library/<name>`, `site-library/<name>`), is installed. Elsewhere it is the
//! source code of a package, and declared.

use crate::catalogers::{dcf, field};
use crate::package::{Evidence, Package, Requirement};
use crate::{Cataloger, Contents, File, Findings, Interest, Problem};

/// Bytes of a `DESCRIPTION`; the longest on CRAN have 20 KiB.
const LONGEST: usize = 1 << 20;

/// Reads `DESCRIPTION` files.
#[derive(Debug)]
pub(crate) struct R;

impl Cataloger for R {
    fn name(&self) -> &'static str {
        "r"
    }

    fn version(&self) -> u32 {
        2
    }

    fn interest(&self) -> Interest {
        Interest::new().path("**/DESCRIPTION")
    }

    fn catalog(&self, file: &File<'_>, contents: &mut Contents<'_>, findings: &mut Findings) -> Result<(), Problem> {
        let text = field::text(contents, LONGEST)?;
        let mut package = Package { kind: "cran".to_owned(), evidence: Evidence::Declared, ..Package::default() };
        let mut author = None;
        for (key, value) in dcf::fields(&text) {
            match key {
                "Package" if is_name(&value) => package.name = value,
                "Version" => package.version = field::word(&value).unwrap_or_default(),
                "License" => package.licenses = field::line(&value).into_iter().collect(),
                "Title" => package.description = field::line(&value),
                "Maintainer" => package.author = field::line(&value),
                "Author" => author = field::line(&value),
                "URL" => package.url = value.split([',', ' ']).find_map(field::word),
                "Depends" | "Imports" => {
                    let names =
                        value.split(',').filter_map(|one| one.split(['(', ' ', '\n']).find(|word| is_name(word)));
                    package.requires.extend(names.map(Requirement::of));
                }
                "Built" if value.starts_with("R ") => package.evidence = Evidence::Installed,
                _ => {}
            }
        }
        package.author = package.author.or(author);
        let mut above = file.directory().rsplit('/');
        if above.next() == Some(&*package.name) && matches!(above.next(), Some("library" | "site-library")) {
            package.evidence = Evidence::Installed;
        }
        // Some other programs have a file of this name, too.
        if !package.version.is_empty() {
            findings.package(package);
        }
        Ok(())
    }
}

/// ASCII letters, digits and full stops, beginning with a letter.
fn is_name(name: &str) -> bool {
    field::is_word(name)
        && name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'.')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::catalogers::testing;

    const PATH: &str = "opt/r/quux/DESCRIPTION";
    const QUUX: &str = "\
Package: quux
Type: Package
Title: Quuxes for
    Everybody
Version: 2.4-1
Authors@R: c(person(\"Ann\", \"Example\"))
Author: Ann Example [aut]
Maintainer: Ann Example <ann@example.org>
License: GPL (>= 2) | file LICENCE
URL: https://quux.example.org/, https://github.com/acme/quux
Depends: R (>= 4.0), methods
Imports: Rcpp (>= 1.0),
    data.table,
LinkingTo: cpp11
Built: R 4.3.1; x86_64-pc-linux-gnu; 2023-08-01 00:00:00 UTC; unix
";

    #[test]
    fn reads_every_field() {
        assert_eq!(
            testing::packages(&R, PATH, QUUX),
            [Package {
                kind: "cran".into(),
                name: "quux".into(),
                version: "2.4-1".into(),
                licenses: vec!["GPL (>= 2) | file LICENCE".into()],
                author: Some("Ann Example <ann@example.org>".into()),
                description: Some("Quuxes for Everybody".into()),
                url: Some("https://quux.example.org/".into()),
                requires: ["R", "methods", "Rcpp", "data.table"].map(Requirement::of).into(),
                ..Package::default()
            }]
        );
    }

    #[test]
    fn source_code_is_only_declared() {
        let check = |text: &str, expected: &[&str]| assert_eq!(testing::brief(&R, PATH, text), expected, "{text}");
        check("Package: a\nVersion: 1.0\n", &["a 1.0?"]);
        check("Package: a.b2\r\nVersion: 1.0\r\nBuilt: R 4.0.0; ; ; unix\r\n", &["a.b2 1.0"]);
        let in_library = testing::brief(&R, "usr/lib/R/site-library/a/DESCRIPTION", "Package: a\nVersion: 1.0\n");
        assert_eq!(in_library, ["a 1.0"]);
        check("Package: a\n", &[]);
        check("Version: 1\n", &[]);
        check("Package: a b\nVersion: 1\n", &[]);
        check("a file about something else: yes", &[]);
    }

    #[test]
    fn one_that_is_not_utf8_is_read() {
        let found = testing::find(&R, PATH, b"Package: a\nAuthor: J\xf6rg\nVersion: 1\n").unwrap();
        assert_eq!(found.packages()[0].author.as_deref(), Some("J\u{fffd}rg"));
    }

    proptest! {
        #[test]
        fn mutations_never_panic(change: (usize, u8, usize)) {
            testing::mutate(&R, PATH, QUUX, change);
        }
    }
}
