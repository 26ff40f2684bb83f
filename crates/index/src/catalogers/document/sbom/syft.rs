//! syft's own JSON. Source of the format: `schema/json` of <https://github.com/anchore/syft>; licences were strings
//! before schema 7, CPE names before schema 11.

use std::borrow::Cow;

use serde::de::{Deserializer, MapAccess, Visitor};
use serde::{Deserialize, de};

use super::MOST_ENTRIES;
use super::claim::Claim;
use crate::lenient::{Text, bounded, kept};

/// Reads a document.
pub(super) fn read(bytes: &[u8]) -> Result<Vec<Claim<'_>>, serde_json::Error> {
    let document: Document<'_> = serde_json::from_slice(bytes)?;
    Ok(document.artifacts.into_iter().map(Artifact::claim).collect())
}

#[derive(Default, Deserialize)]
#[serde(default, bound(deserialize = "'de: 'a"))]
struct Document<'a> {
    #[serde(deserialize_with = "bounded::<_, _, MOST_ENTRIES>")]
    artifacts: Vec<Artifact<'a>>,
}

#[derive(Default, Deserialize)]
#[serde(default, bound(deserialize = "'de: 'a"))]
struct Artifact<'a> {
    name: Text<'a>,
    version: Text<'a>,
    r#type: Text<'a>,
    purl: Text<'a>,
    #[serde(deserialize_with = "facts")]
    licenses: Vec<Cow<'a, str>>,
    #[serde(deserialize_with = "facts")]
    cpes: Vec<Cow<'a, str>>,
}

fn facts<'de: 'a, 'a, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Cow<'a, str>>, D::Error> {
    kept::<_, Fact<'a>, _, MOST_ENTRIES>(deserializer, |fact| fact.0.filter(|text| !text.is_empty()))
}

impl<'a> Artifact<'a> {
    fn claim(self) -> Claim<'a> {
        Claim {
            name: self.name.0,
            version: self.version.0,
            kind: self.r#type.0.as_deref().map(kind),
            purl: self.purl.0,
            cpes: self.cpes,
            licenses: self.licenses,
            ..Claim::default()
        }
    }
}

/// The package URL type of one of syft's package types, for entries without a package URL.
fn kind(package_type: &str) -> &'static str {
    match package_type {
        "apk" => "apk",
        "alpm" => "alpm",
        "deb" => "deb",
        "rpm" => "rpm",
        "npm" => "npm",
        "python" => "pypi",
        "gem" => "gem",
        "go-module" => "golang",
        "rust-crate" => "cargo",
        "dotnet" => "nuget",
        "php-composer" => "composer",
        "conda" => "conda",
        _ => "generic",
    }
}

/// A string, or an object with one: `value`, or better `spdxExpression`, of a licence; `cpe`.
#[derive(Default)]
struct Fact<'a>(Option<Cow<'a, str>>);

impl<'de: 'a, 'a> Deserialize<'de> for Fact<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = Fact<'de>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a string or an object")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Fact(Some(text.into())))
            }

            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Fact(Some(text.to_owned().into())))
            }

            fn visit_unit<E>(self) -> Result<Self::Value, E> {
                Ok(Fact(None))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                #[derive(Default, Deserialize)]
                #[serde(default, rename_all = "camelCase", bound(deserialize = "'de: 'a"))]
                struct Object<'a> {
                    spdx_expression: Text<'a>,
                    value: Text<'a>,
                    cpe: Text<'a>,
                }
                let object = Object::deserialize(de::value::MapAccessDeserializer::new(map))?;
                Ok(Fact(object.spdx_expression.0.or(object.value.0).or(object.cpe.0)))
            }
        }
        deserializer.deserialize_any(Either)
    }
}
