//! Statements that are attached to the image in its own registry.

use std::collections::{BTreeMap, HashSet};

use bytes::Bytes;
use futures_util::TryStreamExt as _;
use serde::Serialize;
use serde_json::value::RawValue;
use supercargo_registry::{ErrorKind as RegistryKind, Referrer, Target};

use super::{Consignment, DocumentFormat, IndexedImage, News, Order, Outcome, Preview, Sink, SinkCapabilities};
use crate::{Error, ErrorKind, Registries, Result};

/// The media type of in-toto statements, and the artefact type of what holds one (BuildKit's and cosign's discovery go
/// by it).
const IN_TOTO: &str = "application/vnd.in-toto+json";
/// The annotation by which BuildKit, and whoever follows it, names the predicate.
const PREDICATE_TYPE: &str = "in-toto.io/predicate-type";
/// The indexer that found what the statement says.
const INDEXER: &str = "dev.supercargo.indexer";

/// What is attached, and where.
#[derive(Clone, Debug)]
pub struct ReferrerConfig {
    /// The registries of the images, as they are watched, now and later. Their credentials must have the right to push.
    pub registries: Registries,
    /// The predicates: a statement is attached with each. One sink has them all, because registries without the
    /// referrers API keep the list of an image's referrers under a tag, which two writers would take from each other.
    pub formats: Vec<DocumentFormat>,
}

/// Attaches in-toto statements to each image.
#[derive(Debug)]
pub struct ReferrerSink {
    registries: Registries,
    formats: Vec<DocumentFormat>,
}

/// An in-toto statement (<https://github.com/in-toto/attestation/blob/main/spec/v1/statement.md>).
#[derive(Serialize)]
struct Statement<'a> {
    #[serde(rename = "_type")]
    kind: &'static str,
    subject: [Subject<'a>; 1],
    #[serde(rename = "predicateType")]
    predicate_type: &'static str,
    predicate: &'a RawValue,
}

#[derive(Serialize)]
struct Subject<'a> {
    name: String,
    digest: BTreeMap<String, &'a str>,
}

impl ReferrerSink {
    /// Attaches to images of these registries. Images of others do not concern it, nor do those of registries that come
    /// later and take no referrers.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Configuration`] if one of those that are there takes no referrers.
    pub fn new(config: ReferrerConfig) -> Result<Self> {
        let unfit = config.registries.all().find(|registry| !registry.capabilities().push_referrers);
        if let Some(registry) = unfit {
            let message = format!("attach to images of {}: it takes no referrers", registry.host());
            return Err(Error::new(ErrorKind::Configuration, message));
        }
        let ReferrerConfig { registries, formats } = config;
        Ok(Self { registries, formats })
    }

    fn statement(format: DocumentFormat, consignment: &Consignment, image: &IndexedImage) -> Result<Bytes> {
        let unwritten = |error| Error::new(ErrorKind::Rejected, "write the statement").with_source(error);
        let document = format.write_untagged(image)?;
        let predicate: &RawValue = serde_json::from_slice(&document).map_err(unwritten)?;
        let digest = &consignment.digest;
        let statement = Statement {
            kind: "https://in-toto.io/Statement/v1",
            subject: [Subject {
                name: consignment.repository.to_string(),
                digest: BTreeMap::from([(digest.algorithm().to_string(), digest.digest())]),
            }],
            predicate_type: format.predicate_type(),
            predicate,
        };
        serde_json::to_vec(&statement).map(Bytes::from).map_err(unwritten)
    }

    fn referrer(format: DocumentFormat, consignment: &Consignment, image: &IndexedImage) -> Result<Referrer> {
        let annotations = BTreeMap::from([
            (PREDICATE_TYPE.to_owned(), format.predicate_type().to_owned()),
            (INDEXER.to_owned(), image.metadata.indexer.clone()),
        ]);
        Ok(Referrer {
            artifact_type: IN_TOTO.to_owned(),
            media_type: IN_TOTO.to_owned(),
            payload: Self::statement(format, consignment, image)?,
            annotations,
        })
    }

    async fn attach(&self, consignment: &Consignment, image: &IndexedImage) -> Result<Outcome> {
        let host = &consignment.repository.registry;
        let Some(registry) = self.registries.get(host) else { return Ok(Outcome::Ignored) };
        if !registry.capabilities().push_referrers {
            return Ok(Outcome::Ignored);
        }
        let failed = |error| self.failed(error);
        let repository = consignment.repository.repository.parse().map_err(failed)?;
        let subject = match registry.resolve(&repository, &Target::Digest(consignment.digest.clone())).await {
            Ok(subject) => subject,
            // It went meanwhile; that will be news of its own.
            Err(error) if error.kind() == RegistryKind::NotFound => return Ok(Outcome::Ignored),
            Err(error) => return Err(failed(error)),
        };
        let mut known = HashSet::new();
        let mut listed = registry.referrers(&repository, subject.digest());
        while let Some(other) = listed.try_next().await.map_err(failed)? {
            known.insert(other.digest().to_string());
        }
        let mut outcome = Outcome::Unchanged;
        for format in &self.formats {
            let referrer = Self::referrer(*format, consignment, image)?;
            if !known.contains(&referrer.descriptor(&subject).digest().to_string()) {
                registry.push_referrer(&repository, &subject, &referrer).await.map_err(failed)?;
                outcome = Outcome::Delivered;
            }
        }
        Ok(outcome)
    }

    fn failed(&self, error: supercargo_registry::Error) -> Error {
        let kind = match error.kind() {
            RegistryKind::RateLimited => ErrorKind::Busy,
            RegistryKind::Network | RegistryKind::Timeout | RegistryKind::Unavailable => ErrorKind::Unreachable,
            // Of several registries, one that only lets us read must not have the sink be left alone.
            RegistryKind::Unauthorized | RegistryKind::Denied | RegistryKind::Credential | RegistryKind::Refused
                if self.registries.all().nth(1).is_none() =>
            {
                ErrorKind::Denied
            }
            _ => ErrorKind::Rejected,
        };
        let wait = error.retry_after();
        Error::new(kind, "attach a statement to the image").with_retry_after(wait).with_source(error)
    }
}

#[async_trait::async_trait]
impl Sink for ReferrerSink {
    fn kind(&self) -> &'static str {
        "referrer"
    }

    fn capabilities(&self) -> SinkCapabilities {
        SinkCapabilities { gone: false, order: Order::Image }
    }

    async fn deliver(&self, consignment: &Consignment) -> Result<Outcome> {
        match &consignment.news {
            News::Indexed(image) => self.attach(consignment, image).await,
            News::Gone(_) => Ok(Outcome::Ignored),
        }
    }

    fn preview(&self, consignment: &Consignment) -> Result<Preview> {
        let mut body = Vec::new();
        if let News::Indexed(image) = &consignment.news {
            for format in &self.formats {
                body.extend_from_slice(&Self::statement(*format, consignment, image)?);
                body.push(b'\n');
            }
        }
        Ok(Preview { target: format!("referrers of {}", consignment.place()), body: body.into() })
    }
}
