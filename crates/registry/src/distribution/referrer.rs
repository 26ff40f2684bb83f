//! Referrers: what is attached to a manifest, and attaching to it.

use std::sync::atomic::Ordering;

use bytes::Bytes;
use futures_util::stream::{self, BoxStream, StreamExt, TryStreamExt};
use http::header::{CONTENT_TYPE, LOCATION};
use http::{HeaderName, HeaderValue, Method};
use oci_spec::image::{Descriptor, Digest, ImageIndex};
use serde_json::json;
use url::Url;

use super::auth::Scope;
use super::client::DistributionClient;
use super::pages::{Page, Pages};
use super::transport::Request;
use crate::media_type::{self, essence};
use crate::registry::Referrer;
use crate::secret::redacted;
use crate::{Error, ErrorKind, Repository, Result, TagName, Target, digest};

/// The configuration of an artefact that has none (image-spec `manifest.md`, *guidance for an empty descriptor*).
pub(crate) const EMPTY_CONFIG: &str = "{}";
/// Referrers of one manifest that are listed.
const REFERRERS: usize = 10_000;
/// What [`Inner::referrers_api`](super::client::Inner) holds once a request has told.
const PRESENT: u8 = 1;
const ABSENT: u8 = 2;

static OCI_SUBJECT: HeaderName = HeaderName::from_static("oci-subject");

impl DistributionClient {
    /// The manifests whose subject is `digest`: by the referrers API, or by the referrers tag where the
    /// registry has none (distribution-spec, *listing referrers*).
    pub fn referrers(&self, repository: &Repository, digest: &Digest) -> BoxStream<'static, Result<Descriptor>> {
        let (client, repository, digest) = (self.clone(), repository.clone(), digest.clone());
        let about = format!("list the referrers of {}/{repository}@{digest}", self.inner.shown);
        stream::once(async move { client.list(repository, digest).await })
            .try_flatten()
            .map_err(move |error| error.during(&about))
            .boxed()
    }

    /// Whether the registry has the referrers API; `None` before a list of referrers has told.
    pub fn has_referrers_api(&self) -> Option<bool> {
        match self.inner.referrers_api.load(Ordering::Relaxed) {
            PRESENT => Some(true),
            ABSENT => Some(false),
            _ => None,
        }
    }

    async fn list(&self, repository: Repository, digest: Digest) -> Result<BoxStream<'static, Result<Descriptor>>> {
        if self.inner.referrers_api.load(Ordering::Relaxed) != ABSENT
            && let Some(stream) = self.by_api(&repository, &digest).await?
        {
            return Ok(stream);
        }
        let index = self.by_tag(&repository, &digest).await?;
        let referrers = index.map(|index| index.manifests().clone()).unwrap_or_default();
        if referrers.len() > REFERRERS {
            return Err(too_many());
        }
        Ok(stream::iter(referrers.into_iter().map(Ok)).boxed())
    }

    /// The API's answer; `None` if the registry has no such API.
    async fn by_api(
        &self,
        repository: &Repository,
        digest: &Digest,
    ) -> Result<Option<BoxStream<'static, Result<Descriptor>>>> {
        let url = self.url(&format!("{repository}/referrers/{digest}"));
        let mut pages = Pages::new(self.clone(), url, Scope::Pull(repository.clone()));
        let first = match pages.next().await {
            Ok(Some(page)) if is_index(&page) => page,
            // A page of another type is a registry's front end answering what it does not know.
            Ok(_) => return Ok(None),
            Err(error)
                if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::Unsupported | ErrorKind::Malformed) =>
            {
                self.inner.referrers_api.compare_exchange(0, ABSENT, Ordering::Relaxed, Ordering::Relaxed).ok();
                return Ok(None);
            }
            Err(error) => return Err(error),
        };
        self.inner.referrers_api.store(PRESENT, Ordering::Relaxed);
        let rest = stream::try_unfold((Some(first), pages, 0), |(held, mut pages, count)| async move {
            let page = match held {
                Some(page) => page,
                None => match pages.next().await? {
                    Some(page) => page,
                    None => return Ok(None),
                },
            };
            let referrers = index_of(&page.bytes)?.manifests().clone();
            let count = count + referrers.len();
            if count > REFERRERS {
                return Err(too_many());
            }
            let empty = referrers.is_empty();
            Ok((!empty).then(|| (stream::iter(referrers.into_iter().map(Ok)), (None, pages, count))))
        });
        Ok(Some(rest.try_flatten().boxed()))
    }

    /// The index under the referrers tag; `None` if there is none.
    async fn by_tag(&self, repository: &Repository, digest: &Digest) -> Result<Option<ImageIndex>> {
        let target = Target::Tag(referrers_tag(digest)?);
        match self.manifest(repository, &target).await {
            Ok(manifest) if media_type::is_index(&manifest.media_type) => Ok(Some(index_of(&manifest.bytes)?)),
            Ok(_) => Ok(None),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Attaches `referrer` to `subject`.
    ///
    /// # Errors
    /// Those of any request; [`ErrorKind::Denied`] without the right to push.
    pub async fn push_referrer(
        &self,
        repository: &Repository,
        subject: &Descriptor,
        referrer: &Referrer,
    ) -> Result<Descriptor> {
        let pushed = async {
            self.upload(repository, Bytes::from_static(EMPTY_CONFIG.as_bytes())).await?;
            self.upload(repository, referrer.payload.clone()).await?;
            let manifest = Bytes::from(referrer_manifest(subject, referrer));
            let mut descriptor =
                Descriptor::new(media_type::OCI_MANIFEST.into(), manifest.len() as u64, digest::sha256(&manifest));
            let target = Target::Digest(descriptor.digest().clone());
            let subject_noted = self.put_manifest(repository, &target, media_type::OCI_MANIFEST, manifest).await?;
            descriptor.set_artifact_type(Some(referrer.artifact_type.as_str().into()));
            if !subject_noted {
                self.note_under_tag(repository, subject.digest(), &descriptor).await?;
            }
            Ok(descriptor)
        };
        pushed.await.map_err(|error: Error| {
            error.during(format_args!("attach to {}/{repository}@{}", self.inner.shown, subject.digest()))
        })
    }

    /// Stores a blob, unless it is there.
    async fn upload(&self, repository: &Repository, bytes: Bytes) -> Result<()> {
        let digest = digest::sha256(&bytes);
        let scope = Scope::Push(repository.clone());
        let known = Request::new(Method::HEAD, self.url(&format!("{repository}/blobs/{digest}")));
        if self.execute(&known, &scope).await?.status().is_success() {
            return Ok(());
        }
        let start = self.url(&format!("{repository}/blobs/uploads/"));
        let answer = self.success(&Request::new(Method::POST, start.clone()).body(Bytes::new()), &scope).await?;
        let location = answer
            .headers()
            .get(LOCATION)
            .and_then(|value| value.to_str().ok())
            .and_then(|text| start.join(text).ok())
            .ok_or_else(|| Error::new(ErrorKind::Malformed, "the registry does not say where to upload"))?;
        drop(answer);
        let mut location = self.upload_address(location)?;
        location.query_pairs_mut().append_pair("digest", digest.as_ref());
        let put = Request::new(Method::PUT, location)
            .header(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"))
            .body(bytes);
        self.success(&put, &scope).await.map(drop)
    }

    /// Refuses an upload address off the registry: the request carries the credentials (CVE-2026-50151).
    fn upload_address(&self, location: Url) -> Result<Url> {
        if location.origin() == self.inner.base.origin() && location.username().is_empty() {
            return Ok(location);
        }
        Err(Error::new(ErrorKind::Refused, format!("upload to {}: it is not the registry", redacted(&location))))
    }

    /// Stores a manifest. Says whether the registry noted its subject.
    async fn put_manifest(
        &self,
        repository: &Repository,
        target: &Target,
        media_type: &str,
        bytes: Bytes,
    ) -> Result<bool> {
        let request = Request::new(Method::PUT, self.url(&format!("{repository}/manifests/{target}")))
            .header(
                CONTENT_TYPE,
                HeaderValue::from_str(media_type)
                    .map_err(|error| Error::new(ErrorKind::Malformed, "use a media type").with_source(error))?,
            )
            .body(bytes);
        let answer = self.success(&request, &Scope::Push(repository.clone())).await?;
        Ok(answer.headers().contains_key(&OCI_SUBJECT))
    }

    /// Adds `referrer` to the index under the referrers tag, as the specification asks of clients where the
    /// registry does not keep the list. Two that do so at once may lose one entry: the specification has no
    /// remedy, and neither do other clients.
    async fn note_under_tag(&self, repository: &Repository, subject: &Digest, referrer: &Descriptor) -> Result<()> {
        let mut manifests =
            self.by_tag(repository, subject).await?.map(|index| index.manifests().clone()).unwrap_or_default();
        if manifests.iter().any(|known| known.digest() == referrer.digest()) {
            return Ok(());
        }
        manifests.push(referrer.clone());
        let index = json!({"schemaVersion": 2, "mediaType": media_type::OCI_INDEX, "manifests": manifests});
        let target = Target::Tag(referrers_tag(subject)?);
        self.put_manifest(repository, &target, media_type::OCI_INDEX, Bytes::from(index.to_string())).await.map(drop)
    }
}

/// The manifest of a document that is attached to `subject`.
pub(crate) fn referrer_manifest(subject: &Descriptor, referrer: &Referrer) -> String {
    json!({
        "schemaVersion": 2,
        "mediaType": media_type::OCI_MANIFEST,
        "artifactType": referrer.artifact_type,
        "config": {
            "mediaType": media_type::OCI_EMPTY,
            "digest": digest::sha256(EMPTY_CONFIG.as_bytes()),
            "size": EMPTY_CONFIG.len(),
        },
        "layers": [{
            "mediaType": referrer.media_type,
            "digest": digest::sha256(&referrer.payload),
            "size": referrer.payload.len(),
        }],
        "subject": {"mediaType": subject.media_type(), "digest": subject.digest(), "size": subject.size()},
        "annotations": referrer.annotations,
    })
    .to_string()
}

fn referrers_tag(digest: &Digest) -> Result<TagName> {
    let encoded: String = digest.digest().chars().take(64).collect();
    format!("{}-{encoded}", digest.algorithm()).parse()
}

fn is_index(page: &Page) -> bool {
    let header = page.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).map(essence);
    header.is_some_and(|header| media_type::is_index(&header))
}

fn too_many() -> Error {
    Error::new(ErrorKind::LimitExceeded, format!("read the list: more than {REFERRERS}"))
}

fn index_of(bytes: &[u8]) -> Result<ImageIndex> {
    serde_json::from_slice(bytes)
        .map_err(|error| Error::new(ErrorKind::Malformed, "read the list: it is not an index").with_source(error))
}
