//! What is said of an image beside it, read into its details.

use std::collections::HashSet;

use super::Indexer;
use crate::attestation::{
    Attestation, AttestationDocument, AttestationStatus, ClaimedPackages, Statement, reads_predicate,
};
use crate::catalogers::document::sbom;
use crate::inflate::digest_like;
use crate::purl::Purl;
use crate::squash::identity;
use crate::{Evidence, ImageDetails, ImagePackage, ImageSource, Secrets, provenance, redact, vex};

/// Attestations of one image that are looked at. Builders attach two or three, signers one each.
const MOST: usize = 64;

/// Package URLs of each list of a comparison.
const MOST_DIFFERENCES: usize = 1000;

/// Reads the attestations into `details`. Nothing that is wrong with one of them is the image's fault: it is told in
/// [`ImageDetails::attestations`].
pub(super) async fn read(
    source: &dyn ImageSource,
    details: &mut ImageDetails,
    packages: &[ImagePackage],
    indexer: &Indexer,
) {
    // A registry that cannot say what refers to an image has nothing to say of it.
    let documents = source.attestations().await.unwrap_or_default();
    for document in documents.into_iter().take(MOST) {
        let attestation = one(&document, details, packages, indexer);
        details.attestations.push(attestation);
    }
}

fn one(
    document: &AttestationDocument,
    details: &mut ImageDetails,
    packages: &[ImagePackage],
    indexer: &Indexer,
) -> Attestation {
    let mut attestation = Attestation {
        digest: document.digest.clone(),
        predicate_type: document.predicate_type.clone().unwrap_or_default(),
        status: AttestationStatus::Read,
        reason: None,
        vex: None,
        claims: None,
    };
    if let Err((status, reason)) = take(document, details, packages, indexer, &mut attestation) {
        attestation.status = status;
        attestation.reason = reason;
    }
    attestation
}

/// Reads one into its entry and into `details`, or says why not.
fn take(
    document: &AttestationDocument,
    details: &mut ImageDetails,
    packages: &[ImagePackage],
    indexer: &Indexer,
    attestation: &mut Attestation,
) -> Result<(), (AttestationStatus, Option<String>)> {
    let refused = |reason: String| (AttestationStatus::Refused, Some(reason));
    let Some(bytes) = &document.bytes else {
        let wanted = document.predicate_type.as_deref().is_some_and(reads_predicate);
        return Err(if wanted { refused("it is too large".into()) } else { (AttestationStatus::Unknown, None) });
    };
    if bytes.len() as u64 > indexer.limits.attestation_size {
        return Err(refused(format!("{} bytes are over the limit (attestation_size)", bytes.len())));
    }
    if digest_like(&document.digest, bytes).as_ref() != Some(&document.digest) {
        return Err(refused("its bytes have another digest".to_owned()));
    }
    let statement = Statement::parse(document, bytes).map_err(|error| refused(error.to_string()))?;
    attestation.predicate_type.clone_from(&statement.predicate_type);
    if !statement.is_about(&details.digest) {
        return Err((AttestationStatus::Unbound, Some("it is about another image".to_owned())));
    }
    let predicate = statement.predicate.get();
    let kind = statement.predicate_type.as_str();
    if provenance::is_provenance(kind) {
        let parsed = provenance::parse(predicate).map_err(|error| refused(error.to_string()))?;
        take_provenance(details, parsed, indexer.secrets);
    } else if kind.starts_with("https://openvex.dev/ns") {
        let vex = vex::parse(predicate.as_bytes()).map_err(|problem| refused(problem.to_string()))?;
        attestation.vex = Some(Box::new(vex.ok_or_else(|| refused("it is no OpenVEX document".to_owned()))?));
    } else if reads_predicate(kind) {
        let claims = sbom::claims(predicate.as_bytes()).map_err(|problem| refused(problem.to_string()))?;
        attestation.claims = Some(compare(&claims, packages));
    } else {
        return Err((AttestationStatus::Unknown, None));
    }
    Ok(())
}

fn compare(claims: &[crate::Package], packages: &[ImagePackage]) -> ClaimedPackages {
    let there = || packages.iter().filter(|package| package.package.evidence != Evidence::Declared);
    let found: HashSet<String> = there().map(|package| identity(&package.package, &package.purl)).collect();
    let mut claimed = HashSet::new();
    let mut not_found = Vec::new();
    for claim in claims {
        let purl = Purl::of(claim, None).to_string();
        let identity = identity(claim, &purl);
        let is_new = claimed.insert(identity.clone());
        if is_new && !found.contains(&identity) {
            not_found.push(purl);
        }
    }
    let confirmed = claimed.len() - not_found.len();
    let mut not_claimed: Vec<String> = there()
        .filter(|package| package.counts() && !claimed.contains(&identity(&package.package, &package.purl)))
        .map(|package| package.purl.clone())
        .collect();
    for list in [&mut not_found, &mut not_claimed] {
        list.sort_unstable();
        list.truncate(MOST_DIFFERENCES);
    }
    ClaimedPackages { claimed: claimed.len(), confirmed, not_found, not_claimed }
}

fn take_provenance(details: &mut ImageDetails, mut parsed: provenance::Parsed, secrets: Secrets) {
    if secrets == Secrets::Redacted
        && let Some(text) = &mut parsed.provenance.dockerfile_text
    {
        redact::redact_text(text);
    }
    for layer in &mut details.layers {
        layer.lines = layer.lines.take().or_else(|| parsed.lines.get(&layer.digest.to_string()).cloned());
    }
    // The one that says more counts; a second copy in the other version of the format says the same.
    let richer = details.provenance.as_ref().is_none_or(|held| held.mode < parsed.provenance.mode);
    if richer {
        details.provenance = Some(parsed.provenance);
    }
}
