//! Packages of Google's Container-Optimized OS, which has no package manager, from the list that its build leaves.
//!
//! `etc/cos-package-info.json`: `{"installedPackages": [{"category", "name", "version", "ebuild_version"}],
//! "buildTimePackages": […]}`. The second list is of what the build used; it is not in the image. `version` is the
//! build of the system (17162.336.16), `ebuild_version` the package's own. Source: cos-tools' `cos-package-info`.

use serde::Deserialize;

use crate::catalogers::check_count;
use crate::package::Package;
use crate::{Cataloger, Contents, File, Findings, Interest, Problem};

/// Reads the list of packages.
#[derive(Debug)]
pub(crate) struct Cos;

impl Cataloger for Cos {
    fn name(&self) -> &'static str {
        "cos"
    }

    fn version(&self) -> u32 {
        1
    }

    fn interest(&self) -> Interest {
        Interest::new().path("etc/cos-package-info.json")
    }

    fn catalog(&self, _file: &File<'_>, contents: &mut Contents<'_>, findings: &mut Findings) -> Result<(), Problem> {
        let list: List = serde_json::from_slice(contents.whole()?)
            .map_err(|error| Problem::malformed(format!("cos-package-info.json: {error}")))?;
        for installed in list.installed.into_iter().filter(|one| !one.version.is_empty()) {
            check_count(findings)?;
            let qualifiers = [("category", installed.category), ("ebuild_version", installed.ebuild_version)];
            findings.package(Package {
                kind: "cos".to_owned(),
                name: installed.name,
                version: installed.version,
                qualifiers: qualifiers
                    .into_iter()
                    .filter(|(_, value)| !value.is_empty())
                    .map(|(key, value)| (key.to_owned(), value))
                    .collect(),
                ..Package::default()
            });
        }
        Ok(())
    }
}

#[derive(Deserialize)]
struct List {
    #[serde(default, rename = "installedPackages")]
    installed: Vec<Installed>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Installed {
    category: String,
    name: String,
    version: String,
    ebuild_version: String,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &[u8]) -> (Vec<Package>, Result<(), Problem>) {
        let file = File { path: "etc/cos-package-info.json", size: text.len() as u64, executable: false };
        let mut findings = Findings::default();
        let result = Cos.catalog(&file, &mut Contents::held(text), &mut findings);
        (findings.packages().to_vec(), result)
    }

    const LIST: &str = r#"{
        "installedPackages": [
            {"category": "sys-libs", "name": "quux", "version": "17162.336.16", "ebuild_version": "2.4.1-r3"},
            {"category": "sys-libs", "name": "nothing"},
            {"version": "1"}
        ],
        "buildTimePackages": [{"category": "dev-util", "name": "tool", "version": "17162.336.16"}]
    }"#;

    #[test]
    fn reads_what_is_installed() {
        let (found, result) = read(LIST.as_bytes());
        assert!(result.is_ok());
        assert_eq!(
            found,
            [Package {
                kind: "cos".into(),
                name: "quux".into(),
                version: "17162.336.16".into(),
                qualifiers: [("category".into(), "sys-libs".into()), ("ebuild_version".into(), "2.4.1-r3".into())]
                    .into(),
                ..Package::default()
            }]
        );
        assert!(read(b"{}").1.is_ok());
        assert!(read(b"[").1.is_err());
    }

    proptest! {
        #[test]
        fn mutations_never_panic(at in 0..LIST.len(), byte: u8) {
            let mut text = LIST.as_bytes().to_vec();
            text[at] = byte;
            let _ = read(&text);
        }
    }
}
