//! How a server is set up.

use supercargo_engine::events::{PROVIDERS, Source};

use crate::{Access, Metrics};

/// How a server is set up.
#[derive(Debug)]
pub struct Options {
    /// Who may read.
    pub access: Access,
    /// Where deliveries may come from.
    pub sources: Vec<EventSource>,
    /// Bytes of a delivery at most, whatever its source; larger ones are answered with 413.
    pub body_limit: usize,
    /// Bytes of all deliveries that are being read or stored; what comes on top of that is answered with 503. It
    /// bounds the memory that a burst can take.
    pub memory: usize,
    /// What is counted.
    pub metrics: Metrics,
    /// The address at which registries reach the server, for the templates of integrations.
    pub public_url: Option<String>,
}

impl Options {
    /// No sources, bodies up to 2 MiB, 64 MiB of them at a time.
    ///
    /// Distribution sends a few events of about a kilobyte each; Event Grid stops at 1 MB, and so does a source unless
    /// it is known to send more.
    pub fn new(access: Access) -> Self {
        Self {
            access,
            sources: Vec::new(),
            body_limit: 2 << 20,
            memory: 64 << 20,
            metrics: Metrics::default(),
            public_url: None,
        }
    }

    /// The same with another source of deliveries.
    #[must_use]
    pub fn with_source(mut self, source: EventSource) -> Self {
        self.sources.push(source);
        self
    }

    /// The same with metrics that others count in as well.
    #[must_use]
    pub fn with_metrics(mut self, metrics: Metrics) -> Self {
        self.metrics = metrics;
        self
    }
}

/// A source of deliveries: `POST /v1/events/{provider}/{name}`.
#[derive(Debug)]
pub struct EventSource {
    /// Its name in the address. The provider's name is the source's own.
    pub name: String,
    /// How its deliveries are read, and which secret they carry.
    pub source: Box<dyn Source>,
    /// Bytes of one of its deliveries at most.
    pub body_limit: usize,
}

impl EventSource {
    /// Deliveries that `source` reads, under `name`, as large as its provider makes them.
    pub fn new(name: impl Into<String>, source: Box<dyn Source>) -> Self {
        let provider = PROVIDERS.iter().find(|provider| provider.name == source.name());
        Self { name: name.into(), body_limit: provider.map_or(1 << 20, |provider| provider.body_limit), source }
    }
}
