//! CycloneDX in JSON (<https://cyclonedx.org/docs/1.6/json/>), any version of it.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::MOST_ENTRIES;
use super::claim::Claim;
use crate::lenient::{Text, kept};

/// Reads a document. `metadata.component`, what the document is about, is no package of its own.
pub(super) fn read(bytes: &[u8]) -> Result<Vec<Claim<'_>>, serde_json::Error> {
    let document: Document<'_> = serde_json::from_slice(bytes)?;
    Ok(match document.predicate {
        Some(predicate) if document.components.0.is_empty() => predicate.components.0,
        _ => document.components.0,
    })
}

/// A component, and of which type.
#[derive(Debug, Default)]
pub(super) struct Entry<'a> {
    pub(super) kind: Cow<'a, str>,
    pub(super) claim: Claim<'a>,
    pub(super) source: TrivySource<'a>,
}

/// The source package of a distribution's package, in Trivy's properties.
#[derive(Debug, Default)]
pub(super) struct TrivySource<'a> {
    name: Cow<'a, str>,
    epoch: Cow<'a, str>,
    version: Cow<'a, str>,
    release: Cow<'a, str>,
}

impl<'a> Entry<'a> {
    /// The package, if it is one. A library is one by its version; anything else must have an identity that is known
    /// elsewhere.
    pub(super) fn package(self) -> Option<Claim<'a>> {
        let Self { kind, mut claim, source } = self;
        let is_known = claim.purl.is_some() || !claim.cpes.is_empty();
        let is_package = match &*kind {
            "operating-system" | "container" | "device" | "cryptographic-asset" => false,
            "library" | "framework" => is_known || claim.version.is_some(),
            _ => is_known,
        };
        if !source.name.is_empty() && !source.version.is_empty() {
            let TrivySource { name, epoch, version, release } = source;
            let epoch = if matches!(&*epoch, "" | "0") { String::new() } else { format!("{epoch}:") };
            let dash = if release.is_empty() { "" } else { "-" };
            claim.source = Some((name, format!("{epoch}{version}{dash}{release}").into()));
        }
        is_package.then_some(claim)
    }

    /// Takes a property. syft tells all but one CPE name by such.
    pub(super) fn property(&mut self, name: &str, value: Cow<'a, str>) {
        match name {
            "aquasecurity:trivy:SrcName" => self.source.name = value,
            "aquasecurity:trivy:SrcEpoch" => self.source.epoch = value,
            "aquasecurity:trivy:SrcVersion" => self.source.version = value,
            "aquasecurity:trivy:SrcRelease" => self.source.release = value,
            "syft:cpe23" | "supercargo:cpe" => self.claim.cpes.push(value),
            _ => {}
        }
    }
}

#[derive(Default, Deserialize)]
#[serde(default, bound(deserialize = "'de: 'a"))]
struct Document<'a> {
    components: Packages<'a>,
    predicate: Option<Box<Document<'a>>>,
}

/// The packages among components, and among the components in these. Components without a field cost a document two
/// bytes each, so none is kept for longer than it is read.
#[derive(Default)]
struct Packages<'a>(Vec<Claim<'a>>);

impl<'de: 'a, 'a> Deserialize<'de> for Packages<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut claims = Vec::new();
        Components(&mut claims).deserialize(deserializer)?;
        Ok(Self(claims))
    }
}

/// A list of components, whose packages go where the others are.
struct Components<'x, 'a>(&'x mut Vec<Claim<'a>>);

impl<'de: 'a, 'a> DeserializeSeed<'de> for Components<'_, 'a> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de: 'a, 'a> Visitor<'de> for Components<'_, 'a> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of components")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while seq.next_element_seed(Component(self.0))?.is_some() {
            if self.0.len() > MOST_ENTRIES {
                return Err(A::Error::custom(format_args!("it has more than {MOST_ENTRIES} components")));
            }
        }
        Ok(())
    }
}

/// One component.
struct Component<'x, 'a>(&'x mut Vec<Claim<'a>>);

impl<'de: 'a, 'a> DeserializeSeed<'de> for Component<'_, 'a> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de: 'a, 'a> Visitor<'de> for Component<'_, 'a> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a component")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut entry = Entry::default();
        let mut publisher = None;
        while let Some(key) = map.next_key::<Cow<'de, str>>()? {
            let claim = &mut entry.claim;
            let mut text = || map.next_value::<Text<'a>>().map(|text| text.0);
            match &*key {
                "type" => entry.kind = text()?.unwrap_or_default(),
                "group" => claim.namespace = text()?,
                "name" => claim.name = text()?,
                "version" => claim.version = text()?,
                "purl" => claim.purl = text()?,
                "cpe" => claim.cpes.extend(text()?),
                "description" => claim.description = text()?,
                "author" => claim.originator = text()?,
                "publisher" => publisher = text()?,
                "supplier" => claim.supplier = map.next_value::<Option<Named<'a>>>()?.and_then(|named| named.name.0),
                "authors" => {
                    let Names(names) = map.next_value()?;
                    claim.originator = claim.originator.take().or(names);
                }
                "licenses" => claim.licenses = map.next_value::<Licenses<'a>>()?.0,
                "externalReferences" => claim.url = map.next_value::<Website<'a>>()?.0,
                "properties" => {
                    for (name, value) in map.next_value::<Properties<'a>>()?.0 {
                        entry.property(&name, value);
                    }
                }
                "components" => map.next_value_seed(Components(self.0))?,
                _ => _ = map.next_value::<IgnoredAny>()?,
            }
        }
        entry.claim.supplier = entry.claim.supplier.take().or(publisher);
        self.0.extend(entry.package());
        Ok(())
    }
}

#[derive(Default, Deserialize)]
#[serde(default, bound(deserialize = "'de: 'a"))]
struct Named<'a> {
    name: Text<'a>,
}

/// The first name of a list.
struct Names<'a>(Option<Cow<'a, str>>);

impl<'de: 'a, 'a> Deserialize<'de> for Names<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut first = None;
        kept::<_, Named<'a>, (), 0>(deserializer, |named| {
            first = first.take().or(named.name.0);
            None
        })?;
        Ok(Self(first))
    }
}

struct Licenses<'a>(Vec<Cow<'a, str>>);

impl<'de: 'a, 'a> Deserialize<'de> for Licenses<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Default, Deserialize)]
        #[serde(default, bound(deserialize = "'de: 'a"))]
        struct Choice<'a> {
            license: Option<License<'a>>,
            expression: Text<'a>,
        }
        #[derive(Default, Deserialize)]
        #[serde(default, bound(deserialize = "'de: 'a"))]
        struct License<'a> {
            id: Text<'a>,
            name: Text<'a>,
        }
        kept::<_, Choice<'a>, _, MOST_ENTRIES>(deserializer, |choice| {
            choice.expression.0.or(choice.license.and_then(|license| license.id.0.or(license.name.0)))
        })
        .map(Self)
    }
}

struct Website<'a>(Option<Cow<'a, str>>);

impl<'de: 'a, 'a> Deserialize<'de> for Website<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Default, Deserialize)]
        #[serde(default, bound(deserialize = "'de: 'a"))]
        struct Reference<'a> {
            r#type: Text<'a>,
            url: Text<'a>,
        }
        let mut website = None;
        kept::<_, Reference<'a>, (), 0>(deserializer, |reference| {
            let is_website = reference.r#type.0.as_deref() == Some("website");
            website = website.take().or(reference.url.0.filter(|_| is_website));
            None
        })?;
        Ok(Self(website))
    }
}

/// Properties that say something; see [`Entry::property`].
struct Properties<'a>(Vec<(Cow<'a, str>, Cow<'a, str>)>);

impl<'de: 'a, 'a> Deserialize<'de> for Properties<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Default, Deserialize)]
        #[serde(default, bound(deserialize = "'de: 'a"))]
        struct Property<'a> {
            name: Text<'a>,
            value: Text<'a>,
        }
        kept::<_, Property<'a>, _, MOST_ENTRIES>(deserializer, |property| {
            let (name, value) = (property.name.0?, property.value.0?);
            let is_known =
                name.starts_with("aquasecurity:trivy:Src") || name.ends_with(":cpe23") || name.ends_with(":cpe");
            is_known.then_some((name, value))
        })
        .map(Self)
    }
}
