//! Connections: which client a request goes through.
//!
//! Documents go by HTTP/2 where a server offers it: a poll is hundreds of small answers, and one connection carries
//! them side by side. Blobs go by HTTP/1.1, a connection each, because layers that share one come at less than half
//! the speed; docs/performance.md has the figures.

use std::sync::Arc;
use std::time::Duration;

use reqwest::Client;
use reqwest::redirect::Policy;
use url::Url;

use super::guard::{Guard, GuardedResolver, without_port};
use super::tls;
use super::transport::{ClientIdentity, TransportConfig};
use crate::secret::Secret;
use crate::{Error, ErrorKind, Result};

/// Bytes of an answer's headers over HTTP/2. Over HTTP/1.1 hyper stops at about 400 KiB.
const HEADERS: u32 = 64 << 10;
/// How often a silent HTTP/2 connection is asked whether it is still there.
const PING: Duration = Duration::from_secs(20);

/// The clients of one registry.
#[derive(Debug)]
pub(super) struct Clients {
    open: Pair,
    /// With the client's certificate, and for whom.
    known: Option<(Pair, Vec<String>)>,
}

#[derive(Debug)]
struct Pair {
    documents: Client,
    blobs: Client,
}

impl Clients {
    pub(super) fn new(base: &Url, config: &TransportConfig, proxy: Option<&Proxy>, guard: &Arc<Guard>) -> Result<Self> {
        let open = Pair::new(config, None, proxy, guard)?;
        let known = match &config.client_identity {
            Some(identity) => {
                let mut hosts = vec![base.host_str().unwrap_or_default().to_owned()];
                hosts.extend(config.token_hosts.iter().map(|host| without_port(host).to_ascii_lowercase()));
                Some((Pair::new(config, Some(identity), proxy, guard)?, hosts))
            }
            None => None,
        };
        Ok(Self { open, known })
    }

    /// The client for `url`. Hosts that the registry leads to are not shown who we are.
    pub(super) fn choose(&self, url: &Url, streamed: bool) -> &Client {
        let host = url.host_str().unwrap_or_default();
        let pair = match &self.known {
            Some((pair, hosts)) if hosts.iter().any(|known| known == host) => pair,
            _ => &self.open,
        };
        if streamed { &pair.blobs } else { &pair.documents }
    }
}

impl Pair {
    fn new(
        config: &TransportConfig,
        identity: Option<&ClientIdentity>,
        proxy: Option<&Proxy>,
        guard: &Arc<Guard>,
    ) -> Result<Self> {
        let builder = |protocols: &[&str]| -> Result<reqwest::ClientBuilder> {
            let mut tls = tls::client_config(config, identity)?;
            tls.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
            let mut builder = Client::builder()
                .tls_backend_preconfigured(tls)
                .dns_resolver(GuardedResolver(Arc::clone(guard)))
                .redirect(Policy::none())
                .referer(false)
                .user_agent(concat!("supercargo/", env!("CARGO_PKG_VERSION")))
                .connect_timeout(config.deadlines.connect)
                .read_timeout(config.deadlines.stall.max(config.deadlines.headers))
                .no_proxy();
            if let Some(proxy) = proxy {
                builder = builder.proxy(proxy.with_exceptions(config));
            }
            Ok(builder)
        };
        let failed = |error| Error::new(ErrorKind::Configuration, "set up the client").with_source(error);
        let documents = builder(&["h2", "http/1.1"])?
            .http2_max_header_list_size(HEADERS)
            .http2_keep_alive_interval(PING)
            .http2_keep_alive_timeout(config.deadlines.stall)
            .build()
            .map_err(failed)?;
        let blobs = builder(&["http/1.1"])?.http1_only().build().map_err(failed)?;
        Ok(Self { documents, blobs })
    }
}

/// An HTTP proxy.
#[derive(Clone, Debug)]
pub(super) struct Proxy {
    pub(super) url: Url,
}

impl Proxy {
    /// Reads an address.
    ///
    /// # Errors
    /// [`ErrorKind::Configuration`] for anything but `http://[user:password@]host[:port]`.
    pub(super) fn parse(address: &Secret) -> Result<Self> {
        match Url::parse(address.expose()) {
            Ok(url) if url.scheme() == "http" && url.has_host() => Ok(Self { url }),
            _ => Err(Error::new(ErrorKind::Configuration, "read proxy: it is not an http:// address")),
        }
    }

    fn with_exceptions(&self, config: &TransportConfig) -> reqwest::Proxy {
        let (url, exempt) = (self.url.clone(), config.no_proxy.clone());
        reqwest::Proxy::custom(move |target| (!exempt.covers_url(target)).then(|| url.clone()))
    }
}
