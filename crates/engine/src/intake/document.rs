//! Documents on other people's servers that decide about a delivery.

use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use supercargo_events::Document;
use supercargo_registry::PublicClient;
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

/// Documents of the public network: https alone, public addresses alone.
#[derive(Debug)]
pub struct PublicDocuments {
    /// Made when the first is wanted: most sources want none.
    client: Mutex<Option<PublicClient>>,
    places: Semaphore,
}

impl Default for PublicDocuments {
    fn default() -> Self {
        Self { client: Mutex::default(), places: Semaphore::new(AT_A_TIME) }
    }
}

impl PublicDocuments {
    fn client(&self) -> Result<PublicClient> {
        let mut slot = self.client.lock().unwrap_or_else(PoisonError::into_inner);
        match &*slot {
            Some(client) => Ok(client.clone()),
            None => {
                let client = PublicClient::new().map_err(failed)?;
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
        let client = self.client()?;
        let document = client.get(url, Document::LIMIT, PATIENCE).await.map_err(failed)?;
        Ok(document.to_vec())
    }
}

fn failed(error: supercargo_registry::Error) -> Error {
    Error::document("fetch a document", error)
}
