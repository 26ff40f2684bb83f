//! Requests to addresses that are no registry: webhooks, services that take documents.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::Response;
use reqwest::Client;
use reqwest::redirect::Policy;
use url::Url;

use super::guard::{Forbidden, Guard, GuardedResolver, Resolver, SystemResolver};
use super::tls;
use super::transport::{ClientIdentity, TransportConfig, transport_error};
use crate::secret::{Secret, redacted};
use crate::{Error, ErrorKind, Result};

/// How an address that is no registry is reached.
#[derive(Clone, Debug)]
pub struct OutboundConfig {
    /// Where connections may lead.
    pub destinations: Destinations,
    /// Speak http where the address says so. Without it only https is spoken.
    pub plain_http: bool,
    /// Take any certificate. For tests of one's own; who answers is then unknown.
    pub insecure_skip_verify: bool,
    /// Certificates in PEM form to trust beside the machine's own.
    pub ca_bundle: Option<Bytes>,
    /// Who we are to a server that asks for a certificate (mutual TLS).
    pub client_identity: Option<ClientIdentity>,
    /// An HTTP proxy. Names are then resolved by the proxy, out of sight of the check of destinations.
    pub proxy: Option<Secret>,
    /// For a request with its answer, from the connection to the last byte.
    pub timeout: Duration,
    /// Bytes of an answer that are read; what is beyond is left out.
    pub answer_size: usize,
    /// How names become addresses.
    pub resolver: Arc<dyn Resolver>,
}

/// Where connections may lead. The check is made on the addresses that are then connected to, so a name that
/// resolves to another address a moment later changes nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Destinations {
    /// Public addresses.
    #[default]
    Public,
    /// Addresses of this machine and of private networks, too; never those of the link, where metadata services are.
    Private,
    /// Every address. For clients that ask a cloud's metadata service for credentials.
    Everywhere,
}

impl Default for OutboundConfig {
    fn default() -> Self {
        Self {
            destinations: Destinations::default(),
            plain_http: false,
            insecure_skip_verify: false,
            ca_bundle: None,
            client_identity: None,
            proxy: None,
            timeout: Duration::from_secs(30),
            answer_size: 64 << 10,
            resolver: Arc::new(SystemResolver),
        }
    }
}

impl OutboundConfig {
    /// For requests to `url`, an address of the same product and chosen by the same people as the registry that is
    /// reached by `transport`: by the same certificates and the same proxy, into the same networks, and over http if the
    /// address says so.
    pub fn beside(transport: &TransportConfig, url: &Url) -> Self {
        Self {
            destinations: Destinations::Private,
            plain_http: url.scheme() == "http",
            insecure_skip_verify: transport.insecure_skip_verify,
            ca_bundle: transport.ca_bundle.clone(),
            client_identity: transport.client_identity.clone(),
            proxy: transport.proxy.clone().filter(|_| !transport.no_proxy.covers_url(url)),
            resolver: Arc::clone(&transport.resolver),
            ..Self::default()
        }
    }
}

/// A guarded client for addresses that are no registry. It follows no redirect, repeats nothing, and reads answers
/// under a cap. Clones share connections.
#[derive(Clone)]
pub struct Outbound {
    http: Client,
    guard: Arc<Guard>,
    destinations: Destinations,
    plain_http: bool,
    timeout: Duration,
    answer_size: usize,
}

impl Outbound {
    /// A client. Nothing is sent yet.
    ///
    /// # Errors
    /// [`ErrorKind::Configuration`] if the proxy or the certificates cannot be used.
    pub fn new(config: &OutboundConfig) -> Result<Self> {
        let mut proxy = None;
        let mut builder = Client::builder();
        if let Some(address) = &config.proxy {
            let bad = || Error::new(ErrorKind::Configuration, "read proxy: it is not an http:// address");
            let url = Url::parse(address.expose()).map_err(|_| bad())?;
            proxy = Some(url.host_str().ok_or_else(bad)?.to_owned());
            builder = builder.proxy(reqwest::Proxy::all(url).map_err(|_| bad())?);
        } else {
            builder = builder.no_proxy();
        }
        let guard = Arc::new(Guard::fixed(config.destinations, proxy.as_deref(), Arc::clone(&config.resolver)));
        let verified = TransportConfig {
            insecure_skip_verify: config.insecure_skip_verify,
            ca_bundle: config.ca_bundle.clone(),
            ..TransportConfig::default()
        };
        let http = builder
            .tls_backend_preconfigured(tls::client_config(&verified, config.client_identity.as_ref())?)
            .dns_resolver(GuardedResolver(Arc::clone(&guard)))
            .redirect(Policy::none())
            .referer(false)
            .http1_only()
            .user_agent(concat!("supercargo/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(config.timeout.min(Duration::from_secs(15)))
            .build()
            .map_err(|error| Error::new(ErrorKind::Configuration, "set up the client").with_source(error))?;
        Ok(Self {
            http,
            guard,
            destinations: config.destinations,
            plain_http: config.plain_http,
            timeout: config.timeout,
            answer_size: config.answer_size,
        })
    }

    /// Whether requests to `url` could be sent: it is http or https as configured, with a host and without a user, and
    /// not written as an address that is forbidden. Names are judged when they are resolved.
    ///
    /// # Errors
    /// [`ErrorKind::Refused`] with the reason.
    pub fn check(&self, url: &Url) -> Result<()> {
        let shown = origin(url);
        let refused = |why: &str| Error::new(ErrorKind::Refused, format!("connect to {}: {why}", redacted(&shown)));
        match url.scheme() {
            "https" => {}
            "http" if self.plain_http => {}
            "http" => {
                return Err(refused("it is http, and only https is allowed").with_hint("allow it: plain-http=true"));
            }
            _ => return Err(refused("it is not an https address")),
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(refused("it has a user in it"));
        }
        self.guard.check(&shown).map_err(|error| self.inward(error))
    }

    /// Sends `request` once. Every answer is an `Ok`, redirects included.
    ///
    /// # Errors
    /// [`ErrorKind::Refused`] if it must not be sent there; [`ErrorKind::Network`], [`ErrorKind::Timeout`].
    pub async fn send(&self, request: http::Request<Bytes>) -> Result<Response<Bytes>> {
        let (head, body) = request.into_parts();
        let url = Url::parse(&head.uri.to_string())
            .map_err(|error| Error::new(ErrorKind::Configuration, "read the address").with_source(error))?;
        self.check(&url)?;
        let shown = origin(&url);
        let mut outgoing = reqwest::Request::new(head.method, url.clone());
        *outgoing.headers_mut() = head.headers;
        *outgoing.body_mut() = Some(body.into());
        let exchange = async {
            let failed = |error| self.inward(transport_error(&shown, error));
            let mut response = self.http.execute(outgoing).await.map_err(failed)?;
            let mut kept = Vec::new();
            while kept.len() < self.answer_size
                && let Some(piece) = response.chunk().await.map_err(failed)?
            {
                let room = self.answer_size - kept.len();
                kept.extend_from_slice(&piece[..piece.len().min(room)]);
            }
            let mut answer = Response::new(Bytes::from(kept));
            *answer.status_mut() = response.status();
            *answer.headers_mut() = std::mem::take(response.headers_mut());
            Ok(answer)
        };
        tokio::time::timeout(self.timeout, exchange).await.unwrap_or_else(|_| {
            Err(Error::new(ErrorKind::Timeout, format!("wait for an answer of {}", redacted(&shown))))
        })
    }
}

impl Outbound {
    /// The guard's refusal speaks of registries; here another key opens the way, if one does.
    fn inward(&self, error: Error) -> Error {
        let Some(forbidden) = Forbidden::among(&error) else { return error };
        let message = format!("{error}: it leads to {}, where it may not lead", forbidden.address());
        let refused = Error::new(ErrorKind::Refused, message);
        if self.destinations == Destinations::Public {
            return refused.with_hint("if it is meant to be in a private network, say so: private=true");
        }
        refused
    }
}

/// An address as errors may name it: the path of a webhook is often its password.
fn origin(url: &Url) -> Url {
    let mut origin = url.clone();
    origin.set_path("");
    origin.set_query(None);
    origin
}

impl fmt::Debug for Outbound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outbound").field("guard", &self.guard).field("timeout", &self.timeout).finish_non_exhaustive()
    }
}

/// `Retry-After` in either of its forms (RFC 9110 §10.2.3), an hour at most. `None` if absent or unreadable.
pub fn retry_after(headers: &http::HeaderMap) -> Option<Duration> {
    super::retry::retry_after(headers, jiff::Timestamp::now())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(destinations: Destinations, plain_http: bool) -> Outbound {
        Outbound::new(&OutboundConfig { destinations, plain_http, ..OutboundConfig::default() }).unwrap()
    }

    #[test]
    fn where_requests_may_go() {
        let check = |destinations, plain_http, url: &str, expected: bool| {
            let found = client(destinations, plain_http).check(&Url::parse(url).unwrap());
            assert_eq!(found.is_ok(), expected, "{url}: {found:?}");
        };
        use Destinations::{Private, Public};
        check(Public, false, "https://hooks.example.com/x", true);
        check(Public, false, "http://hooks.example.com/x", false);
        check(Public, true, "http://hooks.example.com/x", true);
        check(Public, false, "https://user:secret@hooks.example.com/x", false);
        check(Public, true, "ftp://hooks.example.com/x", false);
        check(Public, true, "https://10.1.2.3/", false);
        check(Public, true, "http://2130706433/", false);
        check(Private, true, "http://10.1.2.3/", true);
        check(Private, true, "http://127.0.0.1:8080/", true);
        check(Private, true, "http://169.254.169.254/", false);
        check(Private, true, "http://[fd00:ec2::254]/", false);
    }

    #[test]
    fn a_refusal_says_what_allows_it() {
        let error = client(Destinations::Public, true).check(&Url::parse("http://127.0.0.1/").unwrap()).unwrap_err();
        assert_eq!(error.hint(), Some("if it is meant to be in a private network, say so: private=true"));
        let secret = Url::parse("http://127.0.0.1/services/T/B/hidden?key=hidden").unwrap();
        let error = client(Destinations::Public, false).check(&secret).unwrap_err();
        assert!(!format!("{error} {error:?}").contains("hidden"), "{error}");
        let metadata = Url::parse("http://169.254.169.254/").unwrap();
        let error = client(Destinations::Private, true).check(&metadata).unwrap_err();
        assert_eq!(error.hint(), None, "nothing allows it: {error}");
    }
}
