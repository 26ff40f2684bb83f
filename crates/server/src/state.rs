//! What the handlers share.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use supercargo_engine::store::Store;
use supercargo_engine::{Engine, Intake};
use tokio::sync::Semaphore;

use crate::stranger::Strangers;
use crate::{Access, EventSource, Metrics, Options, webhook};

pub(crate) type Shared = Arc<State>;

pub(crate) struct State {
    pub(crate) engine: Engine,
    pub(crate) intake: Intake,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) access: Access,
    /// By provider and name.
    pub(crate) sources: HashMap<(String, String), EventSource>,
    pub(crate) body_limit: usize,
    /// For the bodies of deliveries, in units.
    pub(crate) memory: Semaphore,
    pub(crate) strangers: Strangers,
    pub(crate) metrics: Metrics,
    pub(crate) public_url: Option<String>,
    /// The description of the API, once somebody has asked for it.
    pub(crate) document: OnceLock<Arc<str>>,
}

impl State {
    pub(crate) fn new(engine: Engine, options: Options) -> Self {
        let sources = options
            .sources
            .into_iter()
            .map(|source| ((source.source.name().to_owned(), source.name.clone()), source))
            .collect();
        Self {
            intake: engine.intake(),
            store: Arc::clone(engine.store()),
            engine,
            access: options.access,
            sources,
            body_limit: options.body_limit,
            memory: Semaphore::new(webhook::units(options.memory)),
            strangers: Strangers::default(),
            metrics: options.metrics,
            public_url: options.public_url,
            document: OnceLock::new(),
        }
    }
}
