//! SPDX 3 in JSON-LD (<https://spdx.github.io/spdx-spec/v3.0.1/>): a graph of elements, of which those of the type
//! `software_Package` are read. Licences are elements of their own, reached over relationships; they are left out.

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};

use super::MOST_ENTRIES;
use super::claim::Claim;
use crate::lenient::{Text, bounded, kept};

/// Reads a document.
pub(super) fn read(bytes: &[u8]) -> Result<Vec<Claim<'_>>, serde_json::Error> {
    let document: Document<'_> = serde_json::from_slice(bytes)?;
    Ok(document.graph)
}

#[derive(Default, Deserialize)]
#[serde(default, bound(deserialize = "'de: 'a"))]
struct Document<'a> {
    #[serde(rename = "@graph", deserialize_with = "packages")]
    graph: Vec<Claim<'a>>,
}

fn packages<'de: 'a, 'a, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Claim<'a>>, D::Error> {
    kept::<_, Element<'a>, _, MOST_ENTRIES>(deserializer, Element::claim)
}

#[derive(Default, Deserialize)]
#[serde(default, bound(deserialize = "'de: 'a"))]
struct Element<'a> {
    r#type: Text<'a>,
    name: Text<'a>,
    summary: Text<'a>,
    description: Text<'a>,
    #[serde(rename = "software_packageVersion")]
    version: Text<'a>,
    #[serde(rename = "software_packageUrl")]
    purl: Text<'a>,
    #[serde(rename = "software_homePage")]
    homepage: Text<'a>,
    #[serde(rename = "software_primaryPurpose")]
    purpose: Text<'a>,
    #[serde(rename = "externalIdentifier")]
    identifiers: Identifiers<'a>,
}

#[derive(Default, Deserialize)]
#[serde(default, bound(deserialize = "'de: 'a"))]
struct Identifier<'a> {
    #[serde(rename = "externalIdentifierType")]
    kind: Text<'a>,
    identifier: Text<'a>,
}

/// JSON-LD has a list of one as the item itself, at times.
#[derive(Default)]
struct Identifiers<'a>(Vec<Identifier<'a>>);

impl<'de: 'a, 'a> Deserialize<'de> for Identifiers<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Some;
        impl<'de> Visitor<'de> for Some {
            type Value = Identifiers<'de>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a list")
            }

            fn visit_unit<E>(self) -> Result<Self::Value, E> {
                Ok(Identifiers::default())
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                let one = Identifier::deserialize(serde::de::value::MapAccessDeserializer::new(map))?;
                Ok(Identifiers(vec![one]))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Self::Value, A::Error> {
                bounded::<_, _, MOST_ENTRIES>(serde::de::value::SeqAccessDeserializer::new(seq)).map(Identifiers)
            }
        }
        deserializer.deserialize_any(Some)
    }
}

impl<'a> Element<'a> {
    fn claim(self) -> Option<Claim<'a>> {
        if self.r#type.0.as_deref() != Some("software_Package")
            || matches!(self.purpose.0.as_deref(), Some("operatingSystem" | "container" | "file" | "device"))
        {
            return None;
        }
        let mut claim = Claim {
            name: self.name.0,
            version: self.version.0,
            purl: self.purl.0,
            description: self.summary.0.or(self.description.0),
            url: self.homepage.0,
            ..Claim::default()
        };
        for Identifier { kind, identifier } in self.identifiers.0 {
            match (kind.0.as_deref(), identifier.0) {
                (Some("packageUrl" | "purl"), Some(purl)) if claim.purl.is_none() => claim.purl = Some(purl),
                (Some("cpe22" | "cpe23"), Some(cpe)) => claim.cpes.push(cpe),
                _ => {}
            }
        }
        (claim.purl.is_some() || claim.version.is_some() || !claim.cpes.is_empty()).then_some(claim)
    }
}
