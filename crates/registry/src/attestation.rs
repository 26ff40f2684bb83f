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
use supercargo_index::{AttestationDocument, reads_predicate};

use crate::registry::Registry;
use crate::{Repository, Result, Target};

/// Manifests of one image that are looked at.
const MOST_MANIFESTS: usize = 32;

/// Statements of one image that are fetched.
const MOST_DOCUMENTS: usize = 64;

/// Bytes of one statement. BuildKit stops at 40 MiB.
const DOCUMENT_SIZE: u64 = 40 << 20;

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
        for layer in layers {
            let is_new = seen.insert(layer.digest().to_string());
            let is_room = documents.len() < MOST_DOCUMENTS && layer.size().saturating_add(bytes) <= ALL_DOCUMENTS;
            if is_new
                && is_room
                && let Some(document) = place.document(&layer).await
            {
                bytes += document.bytes.as_ref().map_or(0, |bytes| bytes.len() as u64);
                documents.push(document);
            }
        }
    }
    documents
}

impl<R: Registry + ?Sized> Place<'_, R> {
    /// The layers of an attestation manifest that are statements.
    async fn layers(&self, target: &Target) -> Result<Vec<Descriptor>> {
        let document = self.registry.manifest(self.repository, target).await?;
        let Ok(manifest) = serde_json::from_slice::<ImageManifest>(&document.bytes) else { return Ok(Vec::new()) };
        Ok(manifest.layers().iter().filter(|layer| is_statement(layer.media_type().as_ref())).cloned().collect())
    }

    async fn document(&self, layer: &Descriptor) -> Option<AttestationDocument> {
        let annotations = layer.annotations().as_ref();
        let annotation = |key: &str| annotations.and_then(|map| map.get(key)).cloned();
        let predicate_type = annotation("in-toto.io/predicate-type").or_else(|| annotation("predicateType"));
        // A statement whose type nobody reads is named and not fetched.
        let wanted = predicate_type.as_deref().is_none_or(reads_predicate) && layer.size() <= DOCUMENT_SIZE;
        let bytes = if wanted {
            Some(self.registry.blob(self.repository, layer, 0).await.ok()?.into_bytes(DOCUMENT_SIZE).await.ok()?)
        } else {
            None
        };
        let media_type = layer.media_type().to_string();
        Some(AttestationDocument { digest: layer.digest().clone(), media_type, predicate_type, bytes })
    }
}

fn is_statement(media_type: &str) -> bool {
    const STATEMENTS: &[&str] = &[
        "application/vnd.in-toto+json",
        "application/vnd.dsse.envelope.v1+json",
        "application/spdx+json",
        "text/spdx+json",
        "application/vnd.cyclonedx+json",
        "application/vnd.openvex+json",
        "application/openvex+json",
    ];
    let essence = media_type.split(';').next().unwrap_or_default().trim();
    STATEMENTS.contains(&essence) || essence.starts_with("application/vnd.dev.sigstore.bundle")
}
