//! What an image's packages become in rows; the same for every store.

use std::collections::HashSet;
use std::str::FromStr;

use packageurl::PackageUrl;
use serde::Serialize;
use supercargo_index::{Digest, Evidence, ImageDetails, ImageMetadata, ImagePackage, chain_ids};

use crate::error::{Error, ErrorKind, Result};
use crate::inventory::{ImageSummary, KnownBase, Place};

/// A package's row.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub(crate) struct PackageRow {
    pub(crate) purl: String,
    pub(crate) licenses: Vec<String>,
    #[serde(rename = "type")]
    pub(crate) kind: String,
    pub(crate) namespace: Option<String>,
    /// As the ecosystem spells it.
    pub(crate) name: String,
    /// As the package URL spells it: lower case and with other separators in some ecosystems.
    pub(crate) purl_name: String,
    pub(crate) version: String,
}

impl PackageRow {
    pub(crate) fn of(package: &ImagePackage) -> Self {
        let inner = &package.package;
        // A purl that does not parse is a cataloger's defect, and no reason to lose the package.
        let purl = PackageUrl::from_str(&package.purl).ok();
        let namespace = purl.as_ref().and_then(|purl| purl.namespace()).or(inner.namespace.as_deref());
        Self {
            purl: package.purl.clone(),
            licenses: inner.licenses.clone(),
            kind: purl.as_ref().map_or(inner.kind.as_str(), |purl| purl.ty()).to_owned(),
            namespace: namespace.map(str::to_owned),
            name: inner.name.clone(),
            purl_name: purl.as_ref().map_or(inner.name.as_str(), |purl| purl.name()).to_owned(),
            version: inner.version.clone(),
        }
    }
}

pub(crate) fn is_declared(package: &ImagePackage) -> bool {
    package.package.evidence == Evidence::Declared
}

/// The image in a document that is to be stored as one.
pub(crate) fn image_of(metadata: &ImageMetadata) -> Result<&ImageDetails> {
    metadata.image().ok_or_else(|| {
        Error::new(ErrorKind::Invalid, "store image").with_context("of a directory: it has no digest to keep it by")
    })
}

/// Sorts places, and leaves out the bare repository where one of its tags says the same.
pub(crate) fn tidy(places: &mut Vec<Place>) {
    let tagged: HashSet<_> =
        places.iter().filter(|place| place.tag.is_some()).map(|place| place.repository.clone()).collect();
    places.retain(|place| place.tag.is_some() || !tagged.contains(&place.repository));
    places.sort();
    places.dedup();
}

/// The chain ID of all of an image's layers; `None` if a diff ID is missing, or if there is no layer.
pub(crate) fn chain_id(image: &ImageDetails) -> Option<String> {
    let diff_ids: Option<Vec<&Digest>> = image.layers.iter().map(|layer| layer.diff_id.as_ref()).collect();
    chain_ids(diff_ids?).last().map(Digest::to_string)
}

/// The chain IDs that an image's base may have, the shortest first: of some of its layers, never of all.
pub(crate) fn base_chains(layers: &[Digest]) -> Vec<Digest> {
    chain_ids(&layers[..layers.len().saturating_sub(1)])
}

/// The first of `images` that a tag leads to, or the first.
pub(crate) fn best_base(images: Vec<ImageSummary>, layers: u32) -> Option<KnownBase> {
    let is_tagged = |image: &ImageSummary| image.places.iter().any(|place| place.tag.is_some());
    let at = images.iter().position(is_tagged).unwrap_or(0);
    images.into_iter().nth(at).map(|image| KnownBase { image, layers })
}
