//! What renv pins for an R project: `renv.lock`.
//!
//! Source of the format: <https://rstudio.github.io/renv/articles/lockfile.html>. Packages come from a repository of
//! the CRAN kind, from Bioconductor, from a host of git repositories, or from a local path. Only the first are what a
//! package URL of type `cran` means; the others are left out, since what CRAN has under such a name is another
//! package.

use serde::Deserialize;

use crate::catalogers::check_count;
use crate::catalogers::field::{self, Entries, Scalar};
use crate::package::{Evidence, Package};
use crate::{Cataloger, Contents, File, Findings, Interest, Problem};

/// Reads `renv.lock`.
#[derive(Debug)]
pub(crate) struct Renv;

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Lock {
    packages: Entries<Pinned>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Pinned {
    package: Scalar,
    version: Scalar,
    source: Scalar,
    repository: Scalar,
}

impl Cataloger for Renv {
    fn name(&self) -> &'static str {
        "renv"
    }

    fn version(&self) -> u32 {
        1
    }

    fn interest(&self) -> Interest {
        Interest::new().path("**/renv.lock")
    }

    fn catalog(&self, _file: &File<'_>, contents: &mut Contents<'_>, findings: &mut Findings) -> Result<(), Problem> {
        let lock: Lock = field::json(contents)?;
        for (key, pinned) in lock.packages.0 {
            let name = if pinned.package.text().is_empty() { &key } else { pinned.package.text() };
            if !pinned.is_from_cran() || !field::is_word(name) {
                continue;
            }
            check_count(findings)?;
            findings.package(Package {
                kind: "cran".to_owned(),
                name: name.to_owned(),
                version: field::word(pinned.version.text()).unwrap_or_default(),
                evidence: Evidence::Declared,
                ..Package::default()
            });
        }
        Ok(())
    }
}

impl Pinned {
    /// Whether it is from CRAN or a mirror of it (`RSPM`, `P3M`, an URL).
    fn is_from_cran(&self) -> bool {
        let repository = self.repository.text();
        matches!(self.source.text(), "" | "Repository" | "CRAN")
            && !repository.is_empty()
            && !repository.starts_with("Bioc")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::catalogers::testing;

    const QUUX: &str = r#"{"R": {"Version": "4.3.1", "Repositories": [{"Name": "CRAN", "URL": "https://cloud.r-project.org"}]},
        "Bioconductor": {"Version": "3.17"},
        "Packages": {
            "quux": {"Package": "quux", "Version": "2.4-1", "Source": "Repository", "Repository": "CRAN", "Hash": "0"},
            "old": {"Package": "old", "Version": "0.1", "Repository": "CRAN", "Requirements": ["quux"]},
            "mirrored": {"Package": "mirrored", "Version": "1.0", "Source": "Repository", "Repository": "RSPM"},
            "forked": {"Package": "forked", "Version": "9", "Source": "GitHub", "RemoteType": "github", "Repository": "CRAN"},
            "biology": {"Package": "biology", "Version": "2", "Source": "Bioconductor", "Repository": "Bioconductor 3.17"},
            "nowhere": {"Package": "nowhere", "Version": "3"}
        }}"#;

    #[test]
    fn only_what_cran_has() {
        assert_eq!(testing::brief(&Renv, "renv.lock", QUUX), ["quux 2.4-1?", "old 0.1?", "mirrored 1.0?"]);
        assert_eq!(testing::brief(&Renv, "renv.lock", "{}"), [""; 0]);
        assert!(testing::find(&Renv, "renv.lock", b"renv").is_err());
    }

    proptest! {
        #[test]
        fn mutations_never_panic(change: (usize, u8, usize)) {
            testing::mutate(&Renv, "renv.lock", QUUX, change);
        }
    }
}
