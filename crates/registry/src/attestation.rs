//! What is said of an image beside it: where it is stored, and its bytes.
//!
//! Builders and signers each have their place:
//!
//! | Place | By |
//! | --- | --- |
//! | a manifest in the image's index, `vnd.docker.reference.digest` naming the image | BuildKit (`docs/attestations/attestation-storage.md`) |
//! | a manifest whose `subject` is the image, found by the referrers API | ORAS, notation, cosign 3 (distribution-spec, "Listing Referrers") |
//! | the tag `sha256-<hex>.att` | cosign 1 and 2 (`specs/ATTESTATION_SPEC.md`) |

use futures_util::StreamExt as _;
use oci_spec::image::{Descriptor, Digest, ImageManifest};
use supercargo_index::AttestationDocument;

use crate::registry::Registry;
use crate::{Repository, Result, Target};

/// Manifests of one image that are looked at.
const MOST_MANIFESTS: usize = 32;

/// Statements of one image that are fetched.
const MOST_DOCUMENTS: usize = 64;

/// Bytes of all of them.
const ALL_DOCUMENTS: u64 = 96 << 20;

/// A repository of a registry.
#[derive(Debug)]
pub(crate) struct Place<'a, R: ?Sized> {
    pub(crate) registry: &'a R,
    pub(crate) repository: &'a Repository,
}

/// The statements about `image`. What cannot be fetched is left out: an image is not refused for what is said of it.
pub(crate) async fn documents<R: Registry + ?Sized>(
    place: Place<'_, R>,
    image: &Digest,
    listed: &[Descriptor],
) -> Vec<AttestationDocument> {
    let mut manifests: Vec<Target> =
        listed.iter().map(|descriptor| Target::Digest(descriptor.digest().clone())).collect();
    let mut referrers = place.registry.referrers(place.repository, image).take(MOST_MANIFESTS);
    while let Some(Ok(referrer)) = referrers.next().await {
        manifests.push(Target::Digest(referrer.digest().clone()));
    }
    let tag = format!("{}-{}.att", image.algorithm(), image.digest());
    manifests.extend(tag.parse().ok().map(Target::Tag));
    let mut documents: Vec<AttestationDocument> = Vec::new();
    let mut seen = std::collections::HashSet::new();
    let mut bytes = 0;
    for target in manifests.into_iter().take(MOST_MANIFESTS) {
        let Ok(layers) = place.layers(&target).await else { continue };
        for (layer, announced) in layers {
            let is_new = seen.insert(layer.digest().to_string());
            let is_room = documents.len() < MOST_DOCUMENTS && layer.size().saturating_add(bytes) <= ALL_DOCUMENTS;
            if is_new
                && is_room
                && let Some(document) = place.document(&layer, announced).await
            {
                bytes += document.bytes.as_ref().map_or(0, |bytes| bytes.len() as u64);
                documents.push(document);
            }
        }
    }
    documents
}

impl<R: Registry + ?Sized> Place<'_, R> {
    /// The layers of an attestation manifest that are statements, each with what it announces.
    async fn layers(&self, target: &Target) -> Result<Vec<(Descriptor, AttestationDocument)>> {
        let document = self.registry.manifest(self.repository, target).await?;
        let Ok(manifest) = serde_json::from_slice::<ImageManifest>(&document.bytes) else { return Ok(Vec::new()) };
        let announced = |layer: &Descriptor| Some((layer.clone(), AttestationDocument::announced(layer)?));
        Ok(manifest.layers().iter().filter_map(announced).collect())
    }

    /// Fetches the bytes. A statement whose type nobody reads is named and not fetched.
    async fn document(&self, layer: &Descriptor, mut statement: AttestationDocument) -> Option<AttestationDocument> {
        const SIZE: u64 = AttestationDocument::SIZE;
        if statement.is_wanted() && layer.size() <= SIZE {
            let blob = self.registry.blob(self.repository, layer, 0).await.ok()?;
            statement.bytes = Some(blob.into_bytes(SIZE).await.ok()?);
        }
        Some(statement)
    }
}
