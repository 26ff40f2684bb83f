//! What a conda environment file asks for: `environment.yml`.
//!
//! Source of the format: <https://docs.conda.io/projects/conda/en/stable/user-guide/tasks/manage-environments.html>,
//! of its entries <https://docs.conda.io/projects/conda/en/stable/user-guide/concepts/pkg-specs.html#package-match-specifications>.
//! `conda env export` writes `name=version=build`; people write less. A range of versions is no version. Under `pip`
//! stand requirements of Python, of which those that name one version are taken.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error, IgnoredAny, MapAccess, Visitor};

use crate::catalogers::field::{self, Few, Scalar};
use crate::catalogers::{MOST_PACKAGES, check_count};
use crate::package::{Evidence, Package};
use crate::{Cataloger, Contents, File, Findings, Interest, Problem};

/// Reads `environment.yml`.
#[derive(Debug)]
pub(crate) struct CondaEnvironment;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Environment {
    dependencies: Few<Dependency, MOST_PACKAGES>,
}

#[derive(Debug)]
enum Dependency {
    Conda(String),
    Pip(Few<Scalar, MOST_PACKAGES>),
}

impl Cataloger for CondaEnvironment {
    fn name(&self) -> &'static str {
        "conda-environment"
    }

    fn version(&self) -> u32 {
        1
    }

    fn interest(&self) -> Interest {
        Interest::new().path("**/environment.yml").path("**/environment.yaml")
    }

    fn catalog(&self, _file: &File<'_>, contents: &mut Contents<'_>, findings: &mut Findings) -> Result<(), Problem> {
        // The name is common; what is no environment has no list of dependencies, or is a template.
        let Ok(environment) = field::yaml::<Environment>(contents) else { return Ok(()) };
        for dependency in environment.dependencies.0 {
            match dependency {
                Dependency::Conda(specification) => {
                    check_count(findings)?;
                    findings.package(conda(&specification).unwrap_or_default());
                }
                Dependency::Pip(requirements) => {
                    for requirement in &requirements.0 {
                        check_count(findings)?;
                        findings.package(pip(requirement.text()).unwrap_or_default());
                    }
                }
            }
        }
        Ok(())
    }
}

fn conda(specification: &str) -> Option<Package> {
    let (specification, _) = specification.split_once('[').unwrap_or((specification, ""));
    let (channel, specification) = match specification.split_once("::") {
        Some((channel, specification)) => (field::word(channel), specification),
        None => (None, specification),
    };
    let specification = specification.trim();
    let end = specification.find([' ', '=', '<', '>', '!', '~']).unwrap_or(specification.len());
    let (name, rest) = specification.split_at(end);
    let is_name = |name: &str| name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(&b));
    let version = rest.trim_start_matches([' ', '=']).split([' ', '=']).next().unwrap_or_default();
    let is_version = |version: &str| !rest.contains(['<', '>', '!', '~', '|', ',', '*']) && field::is_word(version);
    Some(Package {
        kind: "conda".to_owned(),
        name: field::word(name).filter(|name| is_name(name))?,
        version: if is_version(version) { version.to_owned() } else { String::new() },
        qualifiers: channel.map(|channel| ("channel".to_owned(), channel)).into_iter().collect(),
        evidence: Evidence::Declared,
        ..Package::default()
    })
}

/// `name[extra]==version`, with whatever comes after it.
fn pip(requirement: &str) -> Option<Package> {
    let (name, version) = requirement.split_once("==")?;
    let name = name.split('[').next()?.trim();
    let version = version.trim_start_matches('=').split([';', '#', ' ']).find(|part| !part.is_empty())?;
    let is_plain = |text: &str| text.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.-+!".contains(&b));
    (field::is_word(name) && is_plain(name) && field::is_word(version) && is_plain(version)).then(|| Package {
        kind: "pypi".to_owned(),
        name: name.to_owned(),
        version: version.to_owned(),
        evidence: Evidence::Declared,
        ..Package::default()
    })
}

impl<'de> Deserialize<'de> for Dependency {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;
        impl<'de> Visitor<'de> for Any {
            type Value = Dependency;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a match specification, or a map of pip's requirements")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Dependency, E> {
                Ok(Dependency::Conda(text.to_owned()))
            }

            fn visit_unit<E: Error>(self) -> Result<Dependency, E> {
                Ok(Dependency::Conda(String::new()))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Dependency, A::Error> {
                let mut pip = Few::default();
                while let Some(key) = map.next_key::<String>()? {
                    if key == "pip" {
                        pip = map.next_value()?;
                    } else {
                        map.next_value::<IgnoredAny>()?;
                    }
                }
                Ok(Dependency::Pip(pip))
            }
        }
        deserializer.deserialize_any(Any)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::catalogers::testing;

    const QUUX: &str = "\
name: quux
channels: [conda-forge]
dependencies:
  - python=3.11.5=h2755cc3_0
  - conda-forge::numpy==1.26.0
  - scipy 1.11
  - pandas>=2.0
  - bzip2
  -
  - libblas=3.9.*
  - pytorch=2.1[build=cuda*]
  - pip:
    - requests[security]==2.31.0 ; python_version > '3'
    - flask>=2
    - -r requirements.txt
prefix: /opt/conda
";

    #[test]
    fn versions_are_those_that_are_pinned() {
        let expected = [
            "python 3.11.5?",
            "numpy 1.26.0?",
            "scipy 1.11?",
            "pandas?",
            "bzip2?",
            "libblas?",
            "pytorch 2.1?",
            "requests 2.31.0?",
        ];
        assert_eq!(testing::brief(&CondaEnvironment, "app/environment.yml", QUUX), expected);
        let packages = testing::packages(&CondaEnvironment, "app/environment.yml", QUUX);
        assert_eq!(packages[1].qualifiers.get("channel").map(String::as_str), Some("conda-forge"));
        assert_eq!(packages[7].kind, "pypi");
    }

    #[test]
    fn other_files_of_the_name_are_left_alone() {
        let check = |text: &str| assert_eq!(testing::brief(&CondaEnvironment, "environment.yml", text), [""; 0]);
        check("production:\n  host: a\n");
        check("- a\n- b\n");
        check("dependencies: {a: b}\n");
        check("{{ template }}: [");
        check("");
    }

    proptest! {
        #[test]
        fn mutations_never_panic(change: (usize, u8, usize)) {
            testing::mutate(&CondaEnvironment, "environment.yml", QUUX, change);
        }
    }
}
