//! SPDX 2.x in JSON (<https://spdx.github.io/spdx-spec/v2.3/>), and what both spellings of SPDX 2 share.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use serde::Deserialize;
use serde::de::Deserializer;

use super::MOST_ENTRIES;
use super::claim::{Claim, is_said};
use crate::lenient::{Text, bounded, kept};

/// Reads a document.
pub(super) fn read(bytes: &[u8]) -> Result<Vec<Claim<'_>>, serde_json::Error> {
    let document: Document<'_> = serde_json::from_slice(bytes)?;
    let Document { packages, relationships, described, .. } = match document.predicate {
        Some(predicate) if document.packages.is_empty() => *predicate,
        _ => document,
    };
    let mut relations = relationships.0;
    relations.described.extend(described.into_iter().filter_map(|id| id.0));
    Ok(claims(packages.into_iter().map(RawPackage::element).collect(), &relations))
}

/// What there is of a document beside its packages.
pub(super) const DOCUMENT: &str = "SPDXRef-DOCUMENT";

/// An entry for a package.
#[derive(Debug, Default)]
pub(super) struct Element<'a> {
    pub(super) id: Cow<'a, str>,
    pub(super) purpose: Option<Cow<'a, str>>,
    /// It has an external reference of any sort.
    pub(super) is_referenced: bool,
    pub(super) claim: Claim<'a>,
}

/// What relationships say of an element's part.
#[derive(Debug, Default)]
pub(super) struct Relations<'a> {
    /// What the document is about.
    pub(super) described: HashSet<Cow<'a, str>>,
    /// What contains or needs others.
    holders: HashSet<Cow<'a, str>>,
    /// What is a copy of another, by that other.
    copies: HashMap<Cow<'a, str>, Cow<'a, str>>,
    /// What says how another was made.
    recipes: HashSet<Cow<'a, str>>,
}

impl<'a> Relations<'a> {
    pub(super) fn relate(&mut self, from: Cow<'a, str>, relationship: &str, to: Cow<'a, str>) {
        match relationship {
            "DESCRIBES" => _ = self.described.insert(to),
            "DESCRIBED_BY" if to == DOCUMENT => _ = self.described.insert(from),
            "DESCRIBED_BY" => _ = self.recipes.insert(to),
            "CONTAINS" | "DEPENDS_ON" => _ = self.holders.insert(from),
            "CONTAINED_BY" | "DEPENDENCY_OF" => _ = self.holders.insert(to),
            "DESCENDANT_OF" => _ = self.copies.insert(from, to),
            "ANCESTOR_OF" => _ = self.copies.insert(to, from),
            _ => {}
        }
    }
}

/// The elements that are packages.
pub(super) fn claims<'a>(elements: Vec<Element<'a>>, relations: &Relations<'a>) -> Vec<Claim<'a>> {
    elements.into_iter().filter(|element| is_package(element, relations)).map(|element| element.claim).collect()
}

fn is_package(element: &Element<'_>, relations: &Relations<'_>) -> bool {
    // Identifiers by which older documents of syft and Trivy, which have no purposes, tell what they are.
    const OTHERS: [&str; 6] = [
        "SPDXRef-DocumentRoot-",
        "SPDXRef-OperatingSystem-",
        "SPDXRef-ContainerImage-",
        "SPDXRef-Filesystem-",
        "SPDXRef-Repository-",
        "SPDXRef-Application-",
    ];
    let Element { id, claim, .. } = element;
    let is_holder = relations.holders.contains(id);
    match element.purpose.as_deref().map(|purpose| purpose.replace('_', "-").to_ascii_uppercase()).as_deref() {
        Some("OPERATING-SYSTEM" | "FILE" | "DEVICE") => return false,
        // Docker Hardened Images name themselves so; an image that is described by what it holds is no package.
        Some("CONTAINER") if is_holder => return false,
        _ => {}
    }
    if OTHERS.iter().any(|prefix| id.starts_with(prefix)) || relations.recipes.contains(id) {
        return false;
    }
    if claim.purl.is_some() || !claim.cpes.is_empty() {
        return true;
    }
    // Without an identity it is worth telling if it has a version or a reference, and is not another's copy.
    let is_root = is_holder && relations.described.contains(id);
    let is_told = claim.version.as_deref().is_some_and(is_said) || element.is_referenced;
    is_told && !is_root && !relations.copies.contains_key(id)
}

fn is_known(reference_type: &str) -> bool {
    matches!(reference_type.rsplit('/').next(), Some("purl" | "cpe23Type" | "cpe22Type"))
}

/// Takes an external reference. The type of some is the whole address of its definition.
pub(super) fn reference<'a>(element: &mut Element<'a>, reference_type: &str, locator: Cow<'a, str>) {
    element.is_referenced = true;
    match reference_type.rsplit('/').next().unwrap_or(reference_type) {
        "purl" if element.claim.purl.is_none() => element.claim.purl = Some(locator),
        "cpe23Type" | "cpe22Type" => element.claim.cpes.push(locator),
        _ => {}
    }
}

/// `built package from: name version`, as Trivy writes.
pub(super) fn source<'a>(info: &str) -> Option<(Cow<'a, str>, Cow<'a, str>)> {
    let (name, version) = info.strip_prefix("built package from:")?.trim().split_once(' ')?;
    Some((name.to_owned().into(), version.trim().to_owned().into()))
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase", bound(deserialize = "'de: 'a"))]
struct Document<'a> {
    #[serde(deserialize_with = "bounded::<_, _, MOST_ENTRIES>")]
    packages: Vec<RawPackage<'a>>,
    relationships: RawRelations<'a>,
    #[serde(rename = "documentDescribes", deserialize_with = "bounded::<_, _, MOST_ENTRIES>")]
    described: Vec<Text<'a>>,
    predicate: Option<Box<Document<'a>>>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase", bound(deserialize = "'de: 'a"))]
struct RawPackage<'a> {
    #[serde(rename = "SPDXID")]
    id: Text<'a>,
    name: Text<'a>,
    version_info: Text<'a>,
    supplier: Text<'a>,
    originator: Text<'a>,
    homepage: Text<'a>,
    description: Text<'a>,
    summary: Text<'a>,
    license_declared: Text<'a>,
    license_concluded: Text<'a>,
    source_info: Text<'a>,
    primary_package_purpose: Text<'a>,
    external_refs: References<'a>,
}

/// What external references name: package URLs and CPE names. Of others it is enough that there are some.
#[derive(Default)]
struct References<'a> {
    is_any: bool,
    known: Vec<(Cow<'a, str>, Cow<'a, str>)>,
}

impl<'de: 'a, 'a> Deserialize<'de> for References<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut is_any = false;
        let known = kept::<_, RawReference<'a>, _, MOST_ENTRIES>(deserializer, |reference| {
            let (kind, locator) = (reference.reference_type.0?, reference.reference_locator.0?);
            is_any = true;
            is_known(&kind).then_some((kind, locator))
        })?;
        Ok(Self { is_any, known })
    }
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase", bound(deserialize = "'de: 'a"))]
struct RawReference<'a> {
    reference_type: Text<'a>,
    reference_locator: Text<'a>,
}

impl<'a> RawPackage<'a> {
    fn element(self) -> Element<'a> {
        let declared = self.license_declared.0.filter(|license| is_said(license));
        let mut element = Element {
            id: self.id.0.unwrap_or_default(),
            purpose: self.primary_package_purpose.0,
            is_referenced: false,
            claim: Claim {
                name: self.name.0,
                version: self.version_info.0,
                supplier: self.supplier.0,
                originator: self.originator.0,
                url: self.homepage.0,
                description: self.summary.0.or(self.description.0),
                licenses: declared.or(self.license_concluded.0).into_iter().collect(),
                source: self.source_info.0.as_deref().and_then(source),
                ..Claim::default()
            },
        };
        for (kind, locator) in self.external_refs.known {
            reference(&mut element, &kind, locator);
        }
        element.is_referenced = self.external_refs.is_any;
        element
    }
}

#[derive(Default)]
struct RawRelations<'a>(Relations<'a>);

impl<'de: 'a, 'a> Deserialize<'de> for RawRelations<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Default, Deserialize)]
        #[serde(default, rename_all = "camelCase", bound(deserialize = "'de: 'a"))]
        struct Raw<'a> {
            spdx_element_id: Text<'a>,
            relationship_type: Text<'a>,
            related_spdx_element: Text<'a>,
        }
        // Documents relate every file of every package: nothing of that is kept.
        let mut relations = Relations::default();
        kept::<_, Raw<'a>, (), 0>(deserializer, |raw| {
            let (from, kind, to) = (raw.spdx_element_id.0?, raw.relationship_type.0?, raw.related_spdx_element.0?);
            relations.relate(from, &kind, to);
            None
        })?;
        Ok(Self(relations))
    }
}
