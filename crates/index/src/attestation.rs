//! Statements about an image that were stored beside it.
//!
//! An attestation is an in-toto statement (<https://github.com/in-toto/attestation>, `spec/v1/statement.md`), plain as
//! BuildKit stores it, or within a DSSE envelope (`spec/v1/envelope.md`) as signers do. Signatures are not verified
//! here: a statement is what somebody says, and is kept apart from what was found.

use base64::Engine as _;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::vex::VexDocument;
use crate::{Descriptor, Digest, Error, ErrorKind, Result};

/// An attestation as it is stored.
#[derive(Clone, Debug)]
pub struct AttestationDocument {
    /// Digest of the bytes.
    pub digest: Digest,
    /// A statement (`application/vnd.in-toto+json`), an envelope (`application/vnd.dsse.envelope.v1+json`), or a bare
    /// predicate whose type is all that says what it is (`application/spdx+json`, …).
    pub media_type: String,
    /// The type of the predicate by the word of an annotation, if there is one.
    pub predicate_type: Option<String>,
    /// Its bytes; `None` if they were not fetched, since nobody [reads](reads_predicate) a predicate of its type.
    pub bytes: Option<Bytes>,
}

impl AttestationDocument {
    /// Bytes of one attestation that sources should fetch at most: what BuildKit writes at most.
    pub const SIZE: u64 = 40 << 20;

    /// The statement that a layer of an attestation manifest announces, its bytes still to be fetched; `None` for
    /// layers that are none, such as signatures.
    pub fn announced(layer: &Descriptor) -> Option<Self> {
        let media_type = layer.media_type().to_string();
        let essence = essence(&media_type);
        let is_statement = STATEMENTS.contains(&essence)
            || bare(essence).is_some()
            || essence.starts_with("application/vnd.dev.sigstore.bundle");
        let annotations = layer.annotations().as_ref();
        let annotation = |key: &str| annotations.and_then(|map| map.get(key)).cloned();
        // BuildKit's key, and cosign's.
        let predicate_type = annotation("in-toto.io/predicate-type").or_else(|| annotation("predicateType"));
        is_statement.then(|| Self { digest: layer.digest().clone(), media_type, predicate_type, bytes: None })
    }

    /// Whether its bytes are worth fetching, judged by what was announced.
    pub fn is_wanted(&self) -> bool {
        self.predicate_type.as_deref().is_none_or(reads_predicate)
    }
}

/// Media types of statements, plain and in an envelope.
const STATEMENTS: &[&str] = &["application/vnd.in-toto+json", "application/vnd.dsse.envelope.v1+json"];

/// Whether the indexer makes anything of predicates of this type: sources need not fetch others.
pub fn reads_predicate(predicate_type: &str) -> bool {
    const READ: &[&str] = &[
        "https://slsa.dev/provenance/",
        "https://spdx.dev/Document",
        "https://cyclonedx.org/bom",
        "https://openvex.dev/ns",
    ];
    READ.iter().any(|known| predicate_type.starts_with(known))
}

/// What was made of an attestation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Attestation {
    /// Digest of the document.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub digest: Digest,
    /// Type of the predicate, a URI: `https://slsa.dev/provenance/v1`.
    pub predicate_type: String,
    /// What became of it.
    pub status: AttestationStatus,
    /// Why, if it was not read; for a person to read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What it says of vulnerabilities, if it is a VEX document.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vex: Option<Box<VexDocument>>,
    /// How its packages compare with those that were found, if it is an SBOM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claims: Option<ClaimedPackages>,
}

/// The packages of an SBOM beside those that were found in the image. The SBOM is a claim: it adds nothing to the
/// image's packages, and where the two differ, one of them is wrong.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ClaimedPackages {
    /// How many it names.
    pub claimed: usize,
    /// How many of them were found.
    pub confirmed: usize,
    /// Package URLs that it names and that were not found, sorted; the first 1 000.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub not_found: Vec<String>,
    /// Package URLs that were found and that it does not name, sorted; the first 1 000.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub not_claimed: Vec<String>,
}

/// What became of an attestation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum AttestationStatus {
    /// Its contents are part of the result.
    Read,
    /// Its predicate is of a type that is not read.
    Unknown,
    /// It is about another image.
    Unbound,
    /// It is broken, or over a limit.
    Refused,
}

/// A statement: what it is about and what it says.
#[derive(Debug)]
pub(crate) struct Statement {
    pub(crate) predicate_type: String,
    subjects: Vec<Subject>,
    pub(crate) predicate: Box<RawValue>,
}

#[derive(Debug, Deserialize)]
struct Subject {
    #[serde(default)]
    digest: std::collections::BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct RawStatement<'a> {
    #[serde(rename = "predicateType")]
    predicate_type: String,
    #[serde(default)]
    subject: Vec<Subject>,
    #[serde(borrow)]
    predicate: &'a RawValue,
}

#[derive(Deserialize)]
struct Envelope {
    payload: String,
}

/// A sigstore bundle has its envelope inside.
#[derive(Deserialize)]
struct Bundle {
    #[serde(rename = "dsseEnvelope")]
    envelope: Envelope,
}

impl Statement {
    /// The statement in a document. A bare predicate is a statement without a subject.
    pub(crate) fn parse(document: &AttestationDocument, bytes: &[u8]) -> Result<Self> {
        let malformed = |error| Error::new(ErrorKind::Malformed, "parse the statement").with_source(error);
        if let Ok(Envelope { payload }) = serde_json::from_slice(bytes)
            .or_else(|_| serde_json::from_slice(bytes).map(|bundle: Bundle| bundle.envelope))
        {
            // Written with either alphabet, padded or not.
            let payload = payload.trim_end_matches('=').replace('-', "+").replace('_', "/");
            let inner = base64::engine::general_purpose::STANDARD_NO_PAD
                .decode(payload)
                .map_err(|error| Error::new(ErrorKind::Malformed, "decode the envelope").with_source(error))?;
            return Self::of(&serde_json::from_slice(&inner).map_err(malformed)?);
        }
        match serde_json::from_slice::<RawStatement<'_>>(bytes) {
            Ok(raw) => Self::of(&raw),
            Err(error) => {
                let Some(predicate_type) = document.predicate_type.clone().or_else(|| bare(&document.media_type))
                else {
                    return Err(malformed(error));
                };
                let predicate = serde_json::from_slice(bytes).map_err(malformed)?;
                Ok(Self { predicate_type, subjects: Vec::new(), predicate })
            }
        }
    }

    fn of(raw: &RawStatement<'_>) -> Result<Self> {
        Ok(Self {
            predicate_type: raw.predicate_type.clone(),
            subjects: raw.subject.iter().map(|subject| Subject { digest: subject.digest.clone() }).collect(),
            predicate: raw.predicate.to_owned(),
        })
    }

    /// Whether it is about the manifest of this digest. A bare predicate is about what it is attached to.
    pub(crate) fn is_about(&self, manifest: &Digest) -> bool {
        let algorithm = manifest.algorithm().to_string();
        self.subjects.is_empty()
            || self.subjects.iter().any(|subject| {
                subject.digest.get(&algorithm).is_some_and(|digest| digest.eq_ignore_ascii_case(manifest.digest()))
            })
    }
}

/// A media type without its parameters.
fn essence(media_type: &str) -> &str {
    media_type.split(';').next().unwrap_or_default().trim()
}

/// The type of a predicate that stands alone.
fn bare(media_type: &str) -> Option<String> {
    let known = match essence(media_type) {
        "application/spdx+json" | "text/spdx+json" => "https://spdx.dev/Document",
        "application/vnd.cyclonedx+json" => "https://cyclonedx.org/bom",
        "application/vnd.openvex+json" | "application/openvex+json" => "https://openvex.dev/ns",
        _ => return None,
    };
    Some(known.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const MANIFEST: &str = "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

    fn document(media_type: &str) -> AttestationDocument {
        AttestationDocument {
            digest: MANIFEST.parse().unwrap(),
            media_type: media_type.into(),
            predicate_type: None,
            bytes: None,
        }
    }

    fn parse(media_type: &str, text: &str) -> Result<Statement> {
        Statement::parse(&document(media_type), text.as_bytes())
    }

    fn statement(digest: &str) -> String {
        format!(
            r#"{{"_type":"https://in-toto.io/Statement/v1","predicateType":"https://example.org/p","subject":
            [{{"name":"x","digest":{{"sha256":"{digest}"}}}}],"predicate":{{"a":1}}}}"#
        )
    }

    #[test]
    fn statements_are_found_in_their_wrappings() {
        let plain = statement(&"a".repeat(64));
        let check = |text: &str| {
            let statement = parse("application/vnd.in-toto+json", text).unwrap();
            assert_eq!(statement.predicate_type, "https://example.org/p");
            assert_eq!(statement.predicate.get(), r#"{"a":1}"#);
            assert!(statement.is_about(&MANIFEST.parse().unwrap()));
        };
        check(&plain);
        for engine in [&base64::engine::general_purpose::STANDARD, &base64::engine::general_purpose::URL_SAFE_NO_PAD] {
            let payload = engine.encode(&plain);
            let envelope =
                format!(r#"{{"payloadType":"application/vnd.in-toto+json","payload":"{payload}","signatures":[]}}"#);
            check(&envelope);
            check(&format!(r#"{{"mediaType":"x","dsseEnvelope":{envelope}}}"#));
        }
    }

    #[test]
    fn a_statement_about_another_image_is_told() {
        let other = parse("application/vnd.in-toto+json", &statement(&"b".repeat(64))).unwrap();
        assert!(!other.is_about(&MANIFEST.parse().unwrap()));
    }

    #[test]
    fn a_bare_predicate_goes_by_its_media_type() {
        let bare = parse("application/spdx+json", r#"{"spdxVersion":"SPDX-2.3"}"#).unwrap();
        assert_eq!(bare.predicate_type, "https://spdx.dev/Document");
        assert!(bare.is_about(&MANIFEST.parse().unwrap()));
        assert!(parse("application/json", "{}").is_err());
        assert!(parse("application/spdx+json", "no").is_err());
        assert!(parse("application/json", r#"{"payload":"%%"}"#).is_err());
    }
}
