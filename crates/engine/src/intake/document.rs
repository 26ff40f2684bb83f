//! Documents on other people's servers that decide about a delivery.

use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use supercargo_events::Document;
use supercargo_registry::{ErrorKind as Kind, NoProxy, Outbound, OutboundConfig, Secret};
use tokio::sync::Semaphore;

use crate::{Error, ErrorKind, Result};

/// How long such a document may take. Providers wait five seconds for an answer, the more patient ones thirty.
const PATIENCE: Duration = Duration::from_secs(10);
/// Documents that are fetched at one time: a stranger can make us ask for one with every delivery.
const AT_A_TIME: usize = 4;

/// Fetches documents. The addresses are pinned by the sources; what fetches them makes sure where they lead.
#[async_trait]
pub trait Documents: fmt::Debug + Send + Sync {
    /// The document at `url`, of at most [`Document::LIMIT`] bytes, without following redirects.
    async fn fetch(&self, url: &str) -> Result<Vec<u8>>;
}

/// Documents of the public network: https alone, public addresses alone. Behind a proxy names are resolved there, and
/// which addresses are public is for it to know.
#[derive(Debug)]
pub struct PublicDocuments {
    /// A proxy, and what is reached without it.
    proxy: Option<(Secret, NoProxy)>,
    /// Made when the first is wanted: most sources want none.
    direct: Mutex<Option<Outbound>>,
    proxied: Mutex<Option<Outbound>>,
    places: Semaphore,
}

impl Default for PublicDocuments {
    fn default() -> Self {
        Self { proxy: None, direct: Mutex::default(), proxied: Mutex::default(), places: Semaphore::new(AT_A_TIME) }
    }
}

impl PublicDocuments {
    /// Fetches through `proxy`, an `http://` address, but for the hosts of `exempt`.
    pub fn with_proxy(mut self, proxy: Secret, exempt: NoProxy) -> Self {
        self.proxy = Some((proxy, exempt));
        self
    }

    /// The client for an address.
    fn client(&self, url: &http::Uri) -> Result<Outbound> {
        let host = url.host().unwrap_or_default();
        let port = url.port_u16().unwrap_or(443);
        let proxy = self.proxy.as_ref().filter(|(_, exempt)| !exempt.covers(host, port)).map(|(proxy, _)| proxy);
        let slot = if proxy.is_some() { &self.proxied } else { &self.direct };
        let mut slot = slot.lock().unwrap_or_else(PoisonError::into_inner);
        match &*slot {
            Some(client) => Ok(client.clone()),
            None => {
                let config = OutboundConfig {
                    timeout: PATIENCE,
                    // A byte more than there may be, to tell what was cut off.
                    answer_size: Document::LIMIT + 1,
                    proxy: proxy.cloned(),
                    ..OutboundConfig::default()
                };
                let client = Outbound::new(&config).map_err(failed)?;
                Ok(slot.insert(client).clone())
            }
        }
    }
}

#[async_trait]
impl Documents for PublicDocuments {
    async fn fetch(&self, url: &str) -> Result<Vec<u8>> {
        let Ok(_place) = self.places.try_acquire() else {
            return Err(Error::new(ErrorKind::Overloaded, "fetch a document: too many are being fetched"));
        };
        let refused =
            |kind, why: String| failed(supercargo_registry::Error::new(kind, format!("fetch a document: {why}")));
        let request = http::Request::get(url).body(Bytes::new());
        let request = request.map_err(|_| refused(Kind::Refused, "that is no address".to_owned()))?;
        let client = self.client(request.uri())?;
        let answer = client.send(request).await.map_err(failed)?;
        if !answer.status().is_success() {
            return Err(refused(Kind::Unavailable, format!("the answer is {}", answer.status())));
        }
        if answer.body().len() > Document::LIMIT {
            return Err(refused(Kind::LimitExceeded, format!("it has more than {} bytes", Document::LIMIT)));
        }
        Ok(answer.into_body().into())
    }
}

fn failed(error: supercargo_registry::Error) -> Error {
    Error::document("fetch a document", error)
}
