//! The protocol's requests.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicU8;

use http::header::ACCEPT;
use http::{HeaderValue, Method};
use oci_spec::image::{Descriptor, Digest};
use reqwest::StatusCode;
use supercargo_index::ManifestDocument;
use url::Url;

use super::answer::Answer;
use super::auth::{Auth, Scope};
use super::quota::Quota;
use super::transport::{Request, Transport, TransportConfig};
use crate::credential::{Credential, CredentialProvider};
use crate::media_type::{self, essence};
use crate::{Error, ErrorKind, RegistryHost, Repository, Result, Target, digest, document};

/// Bytes of a manifest. The specification asks for 4 MiB at least; regclient, too, stops at 8.
pub(crate) const MANIFEST_SIZE: usize = 8 << 20;

/// A client of one registry. Clones share connections, tokens and limits.
#[derive(Clone)]
pub struct DistributionClient {
    pub(super) inner: Arc<Inner>,
}

pub(super) struct Inner {
    host: RegistryHost,
    /// What repositories' names follow in messages: the host, or the host and a repository key.
    pub(super) shown: String,
    pub(super) base: Url,
    pub(super) transport: Arc<Transport>,
    pub(super) config: TransportConfig,
    auth: Auth,
    /// Whether the registry has the referrers API: see `referrer.rs`.
    pub(super) referrers_api: AtomicU8,
    /// What of a `Link` counts.
    pub(super) links: Links,
}

/// Where a registry is that is one of several in a product.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    /// Whose credentials are sent.
    pub(crate) host: RegistryHost,
    /// Where the protocol is, in place of `https://HOST/v2/`. It ends with a slash.
    pub(crate) base: Url,
    /// What repositories' names follow in messages.
    pub(crate) shown: String,
    pub(crate) links: Links,
}

/// What of the link to a list's next page counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Links {
    /// Its cursor, if it stays on the registry's host; else it is refused.
    #[default]
    SameHost,
    /// Its cursor, wherever it points: for servers that write addresses of theirs which clients do not use.
    #[cfg_attr(
        not(any(feature = "artifactory", feature = "nexus")),
        expect(dead_code, reason = "only these products need it")
    )]
    CursorOnly,
}

impl DistributionClient {
    /// A client of `host`, which takes its credentials from `credentials`. Nothing is sent yet.
    ///
    /// # Errors
    /// [`ErrorKind::Configuration`] if the proxy or the certificates cannot be used.
    pub fn new(host: RegistryHost, credentials: Arc<dyn CredentialProvider>, config: &TransportConfig) -> Result<Self> {
        let base = host.base(if config.is_plain(&host) { "http" } else { "https" });
        let place = Place { shown: host.to_string(), host, base, links: Links::SameHost };
        Self::at(place, credentials, config)
    }

    /// A client of a registry that is elsewhere than at `https://HOST/v2/`.
    pub(crate) fn at(place: Place, credentials: Arc<dyn CredentialProvider>, config: &TransportConfig) -> Result<Self> {
        let Place { host, base, shown, links } = place;
        let transport = Arc::new(Transport::new(&base, config)?);
        let auth = Auth::new(host.clone(), base.clone(), credentials, config, Arc::clone(&transport));
        let config = config.clone();
        let referrers_api = AtomicU8::new(0);
        Ok(Self { inner: Arc::new(Inner { host, shown, base, transport, config, auth, referrers_api, links }) })
    }

    /// The registry.
    pub fn host(&self) -> &RegistryHost {
        &self.inner.host
    }

    /// Who we are to the registry.
    ///
    /// # Errors
    /// Those of the credential provider.
    pub async fn credential(&self) -> Result<Credential> {
        self.inner.auth.credential().await
    }

    /// What the registry last said is left of the requests that it grants; `None` if it never spoke of it.
    pub fn quota(&self) -> Option<Quota> {
        self.inner.transport.quota()
    }

    /// Asks the registry whether it speaks the protocol and knows us.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] if what answers is no registry.
    pub async fn check(&self) -> Result<()> {
        let answer = self.execute(&Request::get(self.inner.base.clone()), &Scope::Base).await;
        let outcome = match answer {
            Ok(answer) if answer.status().is_success() => is_no_page(answer).await,
            Ok(answer) if answer.status() == StatusCode::NOT_FOUND => {
                Err(Error::new(ErrorKind::Unsupported, "it has no /v2/, so it is no registry"))
            }
            Ok(answer) => Err(answer.into_error().await),
            Err(error) => Err(error),
        };
        outcome.map_err(|error| error.during(format_args!("check {}", self.inner.shown)))
    }

    /// What `target` leads to now.
    ///
    /// Asked with HEAD, which registries do not count; with GET where the answer does not say enough.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`], always by the word of a GET: proxies answer HEAD with 404 for reasons of theirs.
    pub async fn resolve(&self, repository: &Repository, target: &Target) -> Result<Descriptor> {
        let outcome =
            self.head(repository, target).await.map_err(|error| self.about(error, "resolve", repository, target))?;
        if let Some(descriptor) = outcome {
            return Ok(descriptor);
        }
        let manifest = self.manifest(repository, target).await?;
        Ok(crate::image_set::descriptor_of(&manifest))
    }

    async fn head(&self, repository: &Repository, target: &Target) -> Result<Option<Descriptor>> {
        let request = self.manifest_request(Method::HEAD, repository, target);
        let answer = self.execute(&request, &Scope::Pull(repository.clone())).await?;
        if !answer.status().is_success() {
            return match answer.status() {
                StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Err(answer.into_error().await),
                _ => Ok(None),
            };
        }
        let (Some(digest), Some(size)) = (answer.digest()?, answer.content_length()) else { return Ok(None) };
        if target.digest().is_some_and(|asked| *asked != digest) {
            return Err(Error::new(ErrorKind::DigestMismatch, format!("the registry answers with {digest}")));
        }
        let media_type = answer.content_type().map(|header| essence(&header)).unwrap_or_default();
        if !media_type::is_manifest(&media_type) || size == 0 {
            return Ok(None);
        }
        Ok(Some(Descriptor::new(media_type.as_str().into(), size, digest)))
    }

    /// A manifest's bytes, verified.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`], [`ErrorKind::DigestMismatch`], [`ErrorKind::Malformed`],
    /// [`ErrorKind::LimitExceeded`] over 8 MiB.
    pub async fn manifest(&self, repository: &Repository, target: &Target) -> Result<ManifestDocument> {
        let fetched = async {
            target.digest().map_or(Ok(()), digest::check_algorithm)?;
            let request = self.manifest_request(Method::GET, repository, target);
            let answer = self.success(&request, &Scope::Pull(repository.clone())).await?;
            let claimed = answer.digest()?;
            let content_type = answer.content_type();
            let bytes = answer.document(MANIFEST_SIZE).await?;
            document::receive(bytes, content_type.as_deref(), target.digest(), claimed.as_ref())
        };
        fetched.await.map_err(|error| self.about(error, "read manifest", repository, target))
    }

    fn manifest_request(&self, method: Method, repository: &Repository, target: &Target) -> Request {
        let url = self.url(&format!("{repository}/manifests/{target}"));
        Request::new(method, url).header(ACCEPT, HeaderValue::from_static(media_type::ACCEPT))
    }

    /// `path` under `/v2/`. Repository names, tags and digests need no escaping.
    pub(super) fn url(&self, path: &str) -> Url {
        let mut url = self.inner.base.clone();
        url.set_path(&format!("{}{path}", self.inner.base.path()));
        url
    }

    /// Sends `request` with what credentials it needs; replays it once after a challenge or an expiry.
    pub(super) async fn execute(&self, request: &Request, scope: &Scope) -> Result<Answer> {
        let Inner { auth, transport, .. } = &*self.inner;
        let sent = auth.authorize(scope).await?;
        let answer = match transport.send(request, sent.as_ref().map(|sent| sent.header())).await {
            Ok(answer) => answer,
            Err(error) => {
                auth.note(&error, sent.as_ref()).await?;
                return Err(error);
            }
        };
        // A host that the registry redirected to gets nothing, whatever it asks for.
        if !answer.is_at_home() {
            return Ok(answer);
        }
        let renewed = match answer.status() {
            StatusCode::UNAUTHORIZED => {
                let renewed = auth.answer(scope, sent.as_ref(), answer.headers()).await?;
                match renewed {
                    Some(renewed) => renewed,
                    None => return Err(auth.rejected(answer.into_error().await, sent.as_ref())),
                }
            }
            StatusCode::FORBIDDEN => {
                let refusal = answer.into_refusal().await;
                let Some(sent) = sent.as_ref().filter(|_| refusal.says_expired()) else {
                    return Err(refusal.into_error());
                };
                match auth.renew(scope, sent).await? {
                    Some(renewed) => renewed,
                    None => return Err(auth.expired(refusal.into_error())),
                }
            }
            _ => return Ok(answer),
        };
        let answer = transport.send(request, Some(renewed.header())).await?;
        if answer.status() == StatusCode::UNAUTHORIZED && answer.is_at_home() {
            return Err(auth.rejected(answer.into_error().await, Some(&renewed)));
        }
        Ok(answer)
    }

    /// [`DistributionClient::execute`], with every answer but success an error.
    pub(super) async fn success(&self, request: &Request, scope: &Scope) -> Result<Answer> {
        let answer = self.execute(request, scope).await?;
        if answer.status().is_success() { Ok(answer) } else { Err(answer.into_error().await) }
    }

    fn about(&self, error: Error, what: &str, repository: &Repository, target: &Target) -> Error {
        error.during(format_args!("{what} {}/{repository}{}{target}", self.inner.shown, target.separator()))
    }

    pub(super) fn about_blob(&self, error: Error, repository: &Repository, digest: &Digest) -> Error {
        error.during(format_args!("read blob {digest} of {}/{repository}", self.inner.shown))
    }
}

/// Bytes of the answer at `/v2/`. Registries write `{}`, `true` or nothing.
const BASE_SIZE: usize = 64 << 10;

/// Refuses a login page or a front end that answers everything with 200. The content type does not tell: Quay's
/// `true` is called HTML.
async fn is_no_page(answer: Answer) -> Result<()> {
    let page = || Error::new(ErrorKind::Unsupported, "a web page answers at /v2/, so it is no registry");
    match answer.document(BASE_SIZE).await {
        Ok(bytes) if bytes.trim_ascii_start().starts_with(b"<") => Err(page()),
        Ok(_) => Ok(()),
        Err(error) if error.kind() == ErrorKind::LimitExceeded => Err(page()),
        Err(error) => Err(error),
    }
}

impl fmt::Debug for DistributionClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DistributionClient").field("base", &self.inner.base.as_str()).finish_non_exhaustive()
    }
}
