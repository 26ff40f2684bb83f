//! One request on its way: limits, redirects, deadlines, repetition. It knows nothing of credentials but the
//! header it is handed.

use std::collections::HashSet;
use std::error::Error as StdError;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, LOCATION};
use http::{HeaderMap, HeaderValue, Method};
use jiff::Timestamp;
use tracing::{debug, warn};
use url::Url;

use super::answer::Answer;
use super::connect::{Clients, Proxy};
use super::guard::{Forbidden, Guard, Resolver, SystemResolver};
use super::limiter::Limiter;
use super::no_proxy::NoProxy;
use super::quota::Quota;
use super::retry::{self, Retry};
use super::tls;
use crate::secret::{Secret, printable, redacted};
use crate::{Error, ErrorKind, RegistryHost, Result};

/// Redirects that are followed. Registries need one; registry.k8s.io needs two.
const REDIRECTS: usize = 5;
/// `Warning` texts that are remembered, so that each is shown once.
const WARNINGS: usize = 64;

/// How a registry is reached.
#[derive(Clone, Debug)]
pub struct TransportConfig {
    /// Speak http. `None`: https, but http to `localhost` and loopback addresses, as docker does.
    pub plain_http: Option<bool>,
    /// Take any certificate. For tests of one's own; the registry's identity is then unknown.
    pub insecure_skip_verify: bool,
    /// Certificates in PEM form to trust beside the machine's own.
    pub ca_bundle: Option<Bytes>,
    /// Hosts, with or without a port, that may be sent the credentials as token services.
    pub token_hosts: Vec<String>,
    /// Hosts that redirects may lead to although they are in a private network.
    pub redirect_hosts: Vec<String>,
    /// Who we are to a server that asks for a certificate (mutual TLS): the registry, and the `token_hosts`.
    pub client_identity: Option<ClientIdentity>,
    /// An HTTP proxy. Names are then resolved by the proxy, out of the guard's sight.
    pub proxy: Option<Secret>,
    /// What is reached without the proxy.
    pub no_proxy: NoProxy,
    /// When credentials are sent.
    pub sign_in: SignIn,
    /// Requests to one host at a time, bodies included. A download that nobody reads keeps its place: open no
    /// more at a time than are read side by side.
    pub concurrency: usize,
    /// How requests are repeated.
    pub retry: Retry,
    /// How long to wait for what.
    pub deadlines: Deadlines,
    /// How names become addresses.
    pub resolver: Arc<dyn Resolver>,
}

/// When credentials are sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SignIn {
    /// As the registry's challenge asks.
    #[default]
    Challenge,
    /// User and password with every request, unasked: for registries that show anonymous users a part only
    /// and never ask (JFrog Artifactory), and those that know nothing but Basic (Amazon ECR).
    Basic,
}

/// A certificate and its key, both in PEM form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientIdentity {
    /// The certificate, with those between it and its authority after it.
    pub certificate: Bytes,
    /// The key.
    pub key: Secret,
}

/// How long to wait for what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deadlines {
    /// For a connection, with TLS.
    pub connect: Duration,
    /// For an answer's headers.
    pub headers: Duration,
    /// For the next piece of a body.
    pub stall: Duration,
    /// For 32 KiB of a blob. Only time spent waiting for the network counts, not the reader's own.
    pub progress: Duration,
    /// For the whole of a document: a manifest, a token, a page of a list.
    pub document: Duration,
}

impl Default for Deadlines {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(15),
            headers: Duration::from_secs(60),
            stall: Duration::from_secs(30),
            progress: Duration::from_secs(60),
            document: Duration::from_secs(120),
        }
    }
}

impl Default for TransportConfig {
    fn default() -> Self {
        Self {
            plain_http: None,
            insecure_skip_verify: false,
            ca_bundle: None,
            token_hosts: Vec::new(),
            redirect_hosts: Vec::new(),
            client_identity: None,
            proxy: None,
            no_proxy: NoProxy::default(),
            sign_in: SignIn::default(),
            concurrency: 16,
            retry: Retry::default(),
            deadlines: Deadlines::default(),
            resolver: Arc::new(SystemResolver),
        }
    }
}

impl TransportConfig {
    /// Whether `host` is spoken to over http.
    pub(crate) fn is_plain(&self, host: &RegistryHost) -> bool {
        self.plain_http.unwrap_or_else(|| host.is_loopback())
    }
}

/// A request that can be sent again.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Option<Bytes>,
    /// Its answer is a stream that is read at the reader's pace.
    streamed: bool,
}

impl Request {
    pub(crate) fn new(method: Method, url: Url) -> Self {
        Self { method, url, headers: HeaderMap::new(), body: None, streamed: false }
    }

    pub(crate) fn get(url: Url) -> Self {
        Self::new(Method::GET, url)
    }

    pub(crate) fn header(mut self, name: http::HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    /// The same request for a blob.
    pub(crate) fn streamed(mut self) -> Self {
        self.streamed = true;
        self
    }

    pub(crate) fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = Some(body.into());
        self
    }
}

#[derive(Debug)]
pub(crate) struct Transport {
    clients: Clients,
    pub(crate) guard: Arc<Guard>,
    limiter: Limiter,
    pub(crate) retry: Retry,
    pub(crate) deadlines: Deadlines,
    warnings: Mutex<HashSet<String>>,
    quota: Mutex<Option<Quota>>,
}

impl Transport {
    pub(crate) fn new(base: &Url, config: &TransportConfig) -> Result<Self> {
        let trusted = [&config.token_hosts[..], &config.redirect_hosts].concat();
        let proxy = config.proxy.as_ref().map(Proxy::parse).transpose()?;
        let proxy_host = proxy.as_ref().and_then(|proxy| proxy.url.host_str());
        let guard = Arc::new(Guard::new(base, &trusted, proxy_host, Arc::clone(&config.resolver)));
        Ok(Self {
            clients: Clients::new(base, config, proxy.as_ref(), &guard)?,
            guard,
            limiter: Limiter::new(config.concurrency),
            retry: config.retry,
            deadlines: config.deadlines,
            warnings: Mutex::default(),
            quota: Mutex::default(),
        })
    }

    /// What the registry last said is left.
    pub(crate) fn quota(&self) -> Option<Quota> {
        self.quota.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Sends `request`, again where that may help. Every answer that is not a call to wait is an `Ok`.
    ///
    /// # Errors
    /// `RateLimited` or `Unavailable` when the attempts are used up; transport errors likewise.
    pub(crate) async fn send(&self, request: &Request, authorization: Option<&HeaderValue>) -> Result<Answer> {
        let mut failed = 0;
        loop {
            let outcome = self.send_once(request, authorization).await;
            failed += 1;
            let (error, wait) = match outcome {
                Ok(answer) if retry::is_transient(answer.status()) => {
                    let asked = retry::retry_after(answer.headers(), Timestamp::now());
                    let address = answer.url().clone();
                    let error = answer.into_error().await.with_retry_after(asked);
                    if let Some(wait) = asked.filter(|_| error.kind() == ErrorKind::RateLimited) {
                        self.limiter.pause(&address, wait.min(self.retry.patience));
                    }
                    (error, asked)
                }
                Ok(answer) => return Ok(answer),
                Err(error) => (error, None),
            };
            if failed >= self.retry.attempts
                || !error.is_retryable()
                || wait.is_some_and(|wait| wait > self.retry.patience)
            {
                return Err(error);
            }
            let wait = wait.unwrap_or_default().max(self.retry.backoff(failed));
            debug!(url = %redacted(&request.url), %error, ?wait, "request will be sent again");
            tokio::time::sleep(wait).await;
        }
    }

    async fn send_once(&self, request: &Request, authorization: Option<&HeaderValue>) -> Result<Answer> {
        let mut url = request.url.clone();
        let mut seen = HashSet::new();
        let mut at_home = true;
        for _ in 0..=REDIRECTS {
            if !seen.insert(url.as_str().to_owned()) {
                return Err(refused(&request.url, "redirects lead in a circle"));
            }
            self.guard.check(&url)?;
            let permit = self.limiter.acquire(&url).await;
            let response = self.exchange(request, &url, authorization.filter(|_| at_home)).await?;
            self.note_warnings(&response);
            if at_home && let Some(quota) = Quota::read(response.headers(), Timestamp::now()) {
                *self.quota.lock().unwrap_or_else(PoisonError::into_inner) = Some(quota);
            }
            let Some(target) = redirect_target(&response) else {
                return Ok(Answer::new(response, permit, at_home, self.deadlines));
            };
            if !matches!(request.method, Method::GET | Method::HEAD) {
                return Err(refused(&request.url, "an upload was redirected"));
            }
            let next = next_address(&url, &target)?;
            // Once off the host, always off: a later hop back must not win the header again.
            at_home = at_home && next.origin() == request.url.origin();
            url = next;
        }
        Err(refused(&request.url, "too many redirects"))
    }

    async fn exchange(
        &self,
        request: &Request,
        url: &Url,
        authorization: Option<&HeaderValue>,
    ) -> Result<reqwest::Response> {
        let mut outgoing = reqwest::Request::new(request.method.clone(), url.clone());
        outgoing.headers_mut().extend(request.headers.clone());
        if let Some(value) = authorization {
            outgoing.headers_mut().insert(AUTHORIZATION, value.clone());
        }
        if let Some(body) = &request.body {
            *outgoing.body_mut() = Some(body.clone().into());
        }
        let client = self.clients.choose(url, request.streamed);
        match tokio::time::timeout(self.deadlines.headers, client.execute(outgoing)).await {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(error)) => Err(transport_error(url, error)),
            Err(_) => Err(Error::new(ErrorKind::Timeout, format!("wait for an answer of {}", redacted(url)))),
        }
    }

    fn note_warnings(&self, response: &reqwest::Response) {
        for value in response.headers().get_all(http::header::WARNING).iter().take(8) {
            let text = printable(&String::from_utf8_lossy(value.as_bytes()), 300);
            let mut seen = self.warnings.lock().unwrap_or_else(PoisonError::into_inner);
            if seen.len() < WARNINGS && seen.insert(text.clone()) {
                warn!(host = response.url().host_str().unwrap_or_default(), warning = %text, "the registry warns");
            }
        }
    }
}

fn redirect_target(response: &reqwest::Response) -> Option<String> {
    if !matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308) {
        return None;
    }
    response.headers().get(LOCATION)?.to_str().ok().map(str::to_owned)
}

fn next_address(current: &Url, target: &str) -> Result<Url> {
    let next = current.join(target).map_err(|_| refused(current, "it redirects to what is not an address"))?;
    match (current.scheme(), next.scheme()) {
        (_, "https") | ("http", "http") => {}
        ("https", "http") => return Err(refused(current, "it redirects from https to http")),
        _ => return Err(refused(current, "it redirects to another protocol")),
    }
    if !next.username().is_empty() || next.password().is_some() {
        return Err(refused(current, "it redirects to an address with a user in it"));
    }
    Ok(next)
}

fn refused(url: &Url, why: &str) -> Error {
    Error::new(ErrorKind::Refused, format!("follow {}: {why}", redacted(url)))
}

/// Sorts an error of the HTTP client. Its address is dropped, since it may carry a signature.
pub(crate) fn transport_error(url: &Url, error: reqwest::Error) -> Error {
    if let Some(forbidden) = Forbidden::among(&error) {
        return forbidden.to_error(url);
    }
    let kind = if error.is_timeout() { ErrorKind::Timeout } else { ErrorKind::Network };
    let what = if error.is_connect() { "connect to" } else { "read from" };
    let error = error.without_url();
    let kind = if tls::is_certificate_error(&error) { ErrorKind::Refused } else { kind };
    let advice = tls::advice(&error);
    let wrapped = Error::new(kind, format!("{what} {}", redacted(url))).with_source(error);
    match advice {
        Some(advice) => wrapped.with_hint(advice),
        None => wrapped,
    }
}

/// The first error of type `T` among an error and its causes. `io::Error` names the causes of what it wraps as
/// its own and so passes over what it wraps; here that is looked at, too.
pub(crate) fn find_cause<'a, T: StdError + 'static>(error: &'a (dyn StdError + 'static)) -> Option<&'a T> {
    let mut cause = Some(error);
    while let Some(current) = cause {
        if let Some(found) = current.downcast_ref::<T>() {
            return Some(found);
        }
        let wrapped = current.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        cause = match wrapped {
            Some(wrapped) => Some(wrapped as &(dyn StdError + 'static)),
            None => current.source(),
        };
    }
    None
}
