//! What is said of an image beside it, read into its details.

use crate::attestation::{Attestation, AttestationDocument, AttestationStatus, Statement, reads_predicate};
use crate::inflate::digest_like;
use crate::{ImageDetails, ImageSource, Limits, provenance};

/// Attestations of one image that are looked at. Builders attach two or three, signers one each.
const MOST: usize = 64;

/// Reads the attestations into `details`. Nothing that is wrong with one of them is the image's fault: it is told in
/// [`ImageDetails::attestations`].
pub(super) async fn read(source: &dyn ImageSource, details: &mut ImageDetails, limits: &Limits) {
    // A registry that cannot say what refers to an image has nothing to say of it.
    let documents = source.attestations().await.unwrap_or_default();
    for document in documents.into_iter().take(MOST) {
        let (status, predicate_type, reason) = one(&document, details, limits);
        details.attestations.push(Attestation { digest: document.digest, predicate_type, status, reason });
    }
}

fn one(
    document: &AttestationDocument,
    details: &mut ImageDetails,
    limits: &Limits,
) -> (AttestationStatus, String, Option<String>) {
    let named = document.predicate_type.clone().unwrap_or_default();
    let refused = |reason: String| (AttestationStatus::Refused, named.clone(), Some(reason));
    let Some(bytes) = &document.bytes else {
        let wanted = document.predicate_type.as_deref().is_some_and(reads_predicate);
        return if wanted { refused("it is too large".to_owned()) } else { (AttestationStatus::Unknown, named, None) };
    };
    if bytes.len() as u64 > limits.attestation_size {
        return refused(format!("{} bytes are over the limit (attestation_size)", bytes.len()));
    }
    if digest_like(&document.digest, bytes).as_ref() != Some(&document.digest) {
        return refused("its bytes have another digest".to_owned());
    }
    let statement = match Statement::parse(document, bytes) {
        Ok(statement) => statement,
        Err(error) => return refused(error.to_string()),
    };
    let kind = statement.predicate_type.clone();
    if !statement.is_about(&details.digest) {
        return (AttestationStatus::Unbound, kind, Some("it is about another image".to_owned()));
    }
    if provenance::is_provenance(&kind) {
        return match provenance::parse(statement.predicate.get()) {
            Ok(parsed) => {
                take_provenance(details, parsed);
                (AttestationStatus::Read, kind, None)
            }
            Err(error) => (AttestationStatus::Refused, kind, Some(error.to_string())),
        };
    }
    (AttestationStatus::Unknown, kind, None)
}

fn take_provenance(details: &mut ImageDetails, parsed: provenance::Parsed) {
    for layer in &mut details.layers {
        layer.lines = layer.lines.take().or_else(|| parsed.lines.get(&layer.digest.to_string()).cloned());
    }
    // The one that says more counts; a second copy in the other version of the format says the same.
    let richer = details.provenance.as_ref().is_none_or(|held| held.mode < parsed.provenance.mode);
    if richer {
        details.provenance = Some(parsed.provenance);
    }
}
