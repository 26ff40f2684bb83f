//! Composer packages that a `composer.lock` names.
//!
//! Source of the format: <https://getcomposer.org/doc/01-basic-usage.md#commit-your-composer-lock-file-to-version-control>;
//! its packages are those of `installed.json`.
//!
//! | Field | |
//! | --- | --- |
//! | `packages` | what the application needs |
//! | `packages-dev` | what only its development needs |

use serde::Deserialize;

use crate::catalogers::check_count;
use crate::catalogers::language::php::{LONGEST_DOCUMENT, Packages};
use crate::package::{Evidence, Package};
use crate::{Cataloger, Contents, File, Findings, Interest, Problem};

/// Reads `composer.lock`.
#[derive(Debug)]
pub(super) struct ComposerLock;

impl Cataloger for ComposerLock {
    fn name(&self) -> &'static str {
        "composer-lock"
    }

    fn version(&self) -> u32 {
        1
    }

    fn interest(&self) -> Interest {
        Interest::new().path("**/composer.lock")
    }

    fn catalog(&self, file: &File<'_>, contents: &mut Contents<'_>, findings: &mut Findings) -> Result<(), Problem> {
        let text = contents.text()?;
        if text.len() > LONGEST_DOCUMENT {
            return Err(Problem::TooLarge { size: file.size, limit: LONGEST_DOCUMENT as u64 });
        }
        let lock: Lock =
            serde_json::from_str(&text).map_err(|error| Problem::malformed(format!("composer.lock: {error}")))?;
        for (packages, dev) in [(lock.packages, false), (lock.packages_dev, true)] {
            for entry in packages.0 {
                check_count(findings)?;
                findings.package(Package { dev, evidence: Evidence::Declared, ..entry.package() });
            }
        }
        Ok(())
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", default)]
#[derive(Default)]
struct Lock {
    packages: Packages,
    packages_dev: Packages,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vec<Package>, Problem> {
        let file = File { path: "app/composer.lock", size: text.len() as u64, executable: false };
        let mut findings = Findings::default();
        ComposerLock.catalog(&file, &mut Contents::held(text.as_bytes()), &mut findings)?;
        Ok(findings.packages().to_vec())
    }

    #[test]
    fn both_lists_are_read() {
        let text = r#"{"content-hash": "x", "packages": [{"name": "acme/quux", "version": "2.4.1", "license": ["MIT"]}],
            "packages-dev": [{"name": "acme/test", "version": "v1"}, {"name": "acme/none"}]}"#;
        let package = |name: &str, version: &str, dev: bool| Package {
            kind: "composer".into(),
            namespace: Some("acme".into()),
            name: name.into(),
            version: version.into(),
            evidence: Evidence::Declared,
            dev,
            ..Package::default()
        };
        let quux = Package { licenses: vec!["MIT".into()], ..package("quux", "2.4.1", false) };
        assert_eq!(read(text).unwrap(), [quux, package("test", "v1", true)]);
        assert_eq!(read(r#"{"packages": [], "packages-dev": {}}"#).unwrap(), []);
        assert_eq!(read("{}").unwrap(), []);
    }

    #[test]
    fn broken_documents_are_problems() {
        for text in ["", "{\"packages\": 1}", "{\"packages\": ["] {
            assert!(read(text).unwrap_err().to_string().starts_with("composer.lock: "), "{text}");
        }
    }
}
