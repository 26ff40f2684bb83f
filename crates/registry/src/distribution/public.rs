//! Single documents of the public network, which have nothing to do with a registry.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use reqwest::Client;
use reqwest::redirect::Policy;
use url::Url;

use super::guard::{Guard, GuardedResolver, Resolver, SystemResolver};
use super::tls;
use super::transport::{TransportConfig, transport_error};
use crate::secret::redacted;
use crate::{Error, ErrorKind, Result};

/// Fetches documents whose addresses came from outside: `https` alone, public addresses alone, no redirects, no
/// credentials. The addresses are checked when they are connected to, so that a name cannot lead elsewhere.
#[derive(Clone, Debug)]
pub struct PublicClient {
    http: Client,
    guard: Arc<Guard>,
}

impl PublicClient {
    /// A client that trusts the machine's certificates.
    ///
    /// # Errors
    /// [`ErrorKind::Configuration`] if TLS cannot be set up.
    pub fn new() -> Result<Self> {
        Self::with(Arc::new(SystemResolver), None)
    }

    /// The same with a resolver and certificates of one's own.
    ///
    /// # Errors
    /// As for [`PublicClient::new`], and if `ca_bundle` holds no certificate.
    pub fn with(resolver: Arc<dyn Resolver>, ca_bundle: Option<&[u8]>) -> Result<Self> {
        let broken = |error| Error::new(ErrorKind::Configuration, "set up the client").with_source(error);
        // A guard is at home somewhere; nobody is at home in a name that is reserved for there being nobody (RFC 6761).
        let home = Url::parse("https://public.invalid/").expect("it is an address");
        let guard = Arc::new(Guard::new(&home, &[], None, resolver));
        let verified =
            TransportConfig { ca_bundle: ca_bundle.map(Bytes::copy_from_slice), ..TransportConfig::default() };
        let http = Client::builder()
            .tls_backend_preconfigured(tls::client_config(&verified, None)?)
            .dns_resolver(GuardedResolver(Arc::clone(&guard)))
            .redirect(Policy::none())
            .referer(false)
            .https_only(true)
            .http1_only()
            .user_agent(concat!("supercargo/", env!("CARGO_PKG_VERSION")))
            .no_proxy()
            .build()
            .map_err(broken)?;
        Ok(Self { http, guard })
    }

    /// The document at `url`, of at most `limit` bytes, within `patience`.
    ///
    /// # Errors
    /// [`ErrorKind::Refused`] for an address that is none of the public network's, or no `https` one;
    /// [`ErrorKind::LimitExceeded`]; [`ErrorKind::Unavailable`] for any answer but a success; and those of the network.
    pub async fn get(&self, url: &str, limit: usize, patience: Duration) -> Result<Bytes> {
        let refused = |why: &str| Error::new(ErrorKind::Refused, format!("fetch a document: {why}"));
        let url = Url::parse(url).map_err(|_| refused("that is no address"))?;
        if url.scheme() != "https" || !url.username().is_empty() || url.password().is_some() {
            return Err(refused("its address is no plain https one"));
        }
        self.guard.check(&url)?;
        let fetch = async {
            let mut response = self.http.get(url.clone()).send().await.map_err(|error| transport_error(&url, error))?;
            if !response.status().is_success() {
                let message = format!("fetch {}: the answer is {}", redacted(&url), response.status());
                return Err(Error::new(ErrorKind::Unavailable, message));
            }
            let mut document = BytesMut::new();
            while let Some(chunk) = response.chunk().await.map_err(|error| transport_error(&url, error))? {
                if document.len() + chunk.len() > limit {
                    return Err(Error::new(
                        ErrorKind::LimitExceeded,
                        format!("fetch {}: it has more than {limit} bytes", redacted(&url)),
                    ));
                }
                document.extend_from_slice(&chunk);
            }
            Ok(document.freeze())
        };
        tokio::time::timeout(patience, fetch)
            .await
            .unwrap_or_else(|_| Err(Error::new(ErrorKind::Timeout, format!("fetch {}", redacted(&url)))))
    }
}
