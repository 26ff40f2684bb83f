//! Bitnami's components, from `/opt/bitnami/.bitnami_components.json`, which images had before each component
//! brought an SPDX document of its own (those are read with all other [SBOM documents](super::sbom)).
//!
//! An object of `name: {"version", "arch", "distro", "type", "digest"}`. The version carries Bitnami's revision
//! (`11.22.0-4`), as in Bitnami's package URLs: <https://github.com/bitnami/vulndb>.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Deserialize;

use crate::catalogers::check_count;
use crate::lenient::Text;
use crate::package::Package;
use crate::{Cataloger, Contents, File, Findings, Interest, Problem};

/// Bytes of the file. Images hold a dozen components, of a hundred bytes each.
const LONGEST: usize = 4 << 20;

/// Reads Bitnami's list of components.
#[derive(Debug)]
pub(crate) struct Bitnami;

impl Cataloger for Bitnami {
    fn name(&self) -> &'static str {
        "bitnami"
    }

    fn version(&self) -> u32 {
        1
    }

    fn interest(&self) -> Interest {
        Interest::new().path("opt/bitnami/.bitnami_components.json")
    }

    fn catalog(&self, file: &File<'_>, contents: &mut Contents<'_>, findings: &mut Findings) -> Result<(), Problem> {
        let text = contents.text()?;
        if text.len() > LONGEST {
            return Err(Problem::TooLarge { size: file.size, limit: LONGEST as u64 });
        }
        let components: BTreeMap<Cow<'_, str>, Component<'_>> = serde_json::from_str(&text)
            .map_err(|error| Problem::malformed(format!(".bitnami_components.json: {error}")))?;
        for (name, component) in components {
            let Some(version) = component.version.owned() else { continue };
            let qualifiers = [("arch", component.arch), ("distro", component.distro)];
            check_count(findings)?;
            findings.package(Package {
                kind: "bitnami".to_owned(),
                name: name.into_owned(),
                version,
                qualifiers: qualifiers
                    .into_iter()
                    .filter_map(|(key, value)| Some((key.to_owned(), value.owned()?)))
                    .collect(),
                ..Package::default()
            });
        }
        Ok(())
    }
}

#[derive(Default, Deserialize)]
#[serde(default, bound(deserialize = "'de: 'a"))]
struct Component<'a> {
    version: Text<'a>,
    arch: Text<'a>,
    distro: Text<'a>,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &[u8]) -> Result<Vec<Package>, Problem> {
        let file = File { path: "opt/bitnami/.bitnami_components.json", size: text.len() as u64, executable: false };
        let mut findings = Findings::default();
        Bitnami.catalog(&file, &mut Contents::held(text), &mut findings)?;
        Ok(findings.packages().to_vec())
    }

    const COMPONENTS: &str = r#"{
        "gosu": {"arch": "amd64", "digest": "1f", "distro": "debian-11", "type": "NAMI", "version": "1.17.0-3"},
        "acme": {"version": "2.1.0-12"}, "none": {"arch": "amd64"}
    }"#;

    #[test]
    fn components_keep_their_revision() {
        let packages = read(COMPONENTS.as_bytes()).unwrap();
        let purls: Vec<_> = packages.iter().map(|package| crate::purl::Purl::of(package, None).to_string()).collect();
        assert_eq!(purls, ["pkg:bitnami/acme@2.1.0-12", "pkg:bitnami/gosu@1.17.0-3?arch=amd64&distro=debian-11"]);
        assert!(read(b"[]").is_err());
    }

    proptest! {
        #[test]
        fn mutations_never_panic(at in 0..COMPONENTS.len(), byte: u8) {
            let mut text = COMPONENTS.as_bytes().to_vec();
            text[at] = byte;
            let _ = read(&text);
        }
    }
}
