//! From a row to what is watched.

use std::fmt;
use std::sync::Arc;

use supercargo_events::Source;
use supercargo_store::Integration;

use super::{Credentials, EventPath};
use crate::{Puller, Result, Watch};

/// Makes of an integration what is watched. It knows the registry adapters of the build and what of the machine goes
/// with them: proxies, certificates, credentials of its own.
pub trait Connector: fmt::Debug + Send + Sync {
    /// What `integration` means. Nobody is asked: what is wrong with what a registry says shows later.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Configuration`](crate::ErrorKind::Configuration) with everything that is wrong with its settings.
    fn connect(&self, integration: &Integration, credentials: &Credentials) -> Result<Connection>;
}

/// What an integration means.
#[derive(Clone, Debug)]
pub struct Connection {
    /// What is watched. Which repositories are enabled is for the engine to add.
    pub watch: Watch,
    /// What reads the deliveries that come to `/v1/events/PROVIDER/NAME`.
    pub sources: Vec<Arc<dyn Source>>,
    /// A queue that is asked for events, if there is one.
    pub queue: Option<Arc<Puller>>,
    /// How events come here from the registry's side, where they come by themselves and it can be looked at.
    pub path: Option<Arc<dyn EventPath>>,
}

impl Connection {
    /// Nothing but what is watched.
    pub fn new(watch: Watch) -> Self {
        Self { watch, sources: Vec::new(), queue: None, path: None }
    }

    /// Whether the registry tells of pushes.
    pub fn has_events(&self) -> bool {
        self.queue.is_some() || !self.sources.is_empty()
    }
}
