//! The SBOM as an attestation, to be stored beside the image or in Docker's registry for attestations.

use bytes::Bytes;
use serde::Serialize;
use serde_json::value::RawValue;
use supercargo_index::{Digest, ImageMetadata, scout};

use crate::upload::ImageRepository;
use crate::{Endpoints, Error, ErrorKind, Result};

/// What Docker calls its own SBOM as a predicate (Docker documentation, *Attestations* of Docker Hardened Images).
pub const SBOM_PREDICATE_TYPE: &str = "https://scout.docker.com/sbom/v0.1";
/// What an attestation's payload is, as BuildKit stores it (moby/buildkit `docs/attestations/attestation-storage.md`).
pub const STATEMENT_MEDIA_TYPE: &str = "application/vnd.in-toto+json";
/// The statement's version. BuildKit and Docker's tools write 0.1, and readers of theirs know no other.
const STATEMENT_TYPE: &str = "https://in-toto.io/Statement/v0.1";

/// An in-toto statement about one image, not signed. The same image gives the same bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Attestation {
    /// The image that it is about: what a referrer names as its subject.
    pub subject: Digest,
    /// The type of what it says.
    pub predicate_type: &'static str,
    /// The media type of [`statement`](Self::statement), which is a referrer's artifact type as well.
    pub media_type: &'static str,
    /// The statement, JSON.
    pub statement: Bytes,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Statement<'a> {
    #[serde(rename = "_type")]
    kind: &'static str,
    predicate_type: &'static str,
    subject: [Subject<'a>; 1],
    predicate: &'a RawValue,
}

#[derive(Serialize)]
struct Subject<'a> {
    name: &'a str,
    digest: SubjectDigest<'a>,
}

#[derive(Serialize)]
struct SubjectDigest<'a> {
    sha256: &'a str,
}

impl Attestation {
    /// The SBOM of `metadata` as `supercargo index` prints it, as a statement about the image.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] if `metadata` is not about an image, or about one whose digest is not a SHA-256.
    pub fn sbom(metadata: &ImageMetadata) -> Result<Self> {
        let image = metadata.image().ok_or_else(|| unsupported("only images can be attested"))?;
        if image.digest.algorithm().as_ref() != "sha256" {
            return Err(unsupported("its digest is not a SHA-256"));
        }
        let mut sbom = Vec::new();
        let written = scout::write(metadata, scout::Options::default(), &mut sbom);
        written.map_err(|error| unsupported("its SBOM cannot be written").with_source(error))?;
        let sbom: &RawValue = serde_json::from_slice(&sbom)
            .map_err(|error| unsupported("its SBOM cannot be written").with_source(error))?;
        let statement = Statement {
            kind: STATEMENT_TYPE,
            predicate_type: SBOM_PREDICATE_TYPE,
            subject: [Subject { name: &image.name, digest: SubjectDigest { sha256: image.digest.digest() } }],
            predicate: sbom,
        };
        let statement = serde_json::to_vec(&statement)
            .map_err(|error| unsupported("its SBOM cannot be written").with_source(error))?;
        Ok(Self {
            subject: image.digest.clone(),
            predicate_type: SBOM_PREDICATE_TYPE,
            media_type: STATEMENT_MEDIA_TYPE,
            statement: statement.into(),
        })
    }

    /// Where attestations of images of `repository` are kept in the registry for attestations, without the host: its own
    /// name (`registry.scout.docker.com/docker/dhi-python` for `docker/dhi-python`, in Docker's documentation). For
    /// repositories of other registries than Docker Hub no public source says, and there is none.
    pub fn repository_in<'a>(endpoints: &'a Endpoints, repository: &'a ImageRepository) -> Option<(&'a str, &'a str)> {
        (repository.host == "hub.docker.com").then_some((endpoints.attestations.as_str(), repository.name.as_str()))
    }
}

fn unsupported(why: &str) -> Error {
    Error::new(ErrorKind::Unsupported, format!("attest the SBOM of an image: {why}"))
}
