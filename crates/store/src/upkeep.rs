//! What is kept how long.

use std::time::Duration;

use serde::Serialize;

/// What [`prune`](crate::Store::prune) removes: what is older than this, counted from its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Events.
    pub events: Duration,
    /// Jobs and deliveries that are done, and dead deliveries. Dead jobs stay until they are retried or their
    /// subject is gone.
    pub finished: Duration,
    /// Repositories, tags, manifests and images that are gone, with the images' documents and packages.
    pub gone: Duration,
    /// Layers that no image asked for in this time.
    pub layers: Duration,
    /// Bytes of layers to keep; the ones not used for the longest time go first.
    pub layer_bytes: u64,
    /// The audit log and the steps of integrations, but the last of each.
    pub audit: Duration,
}

impl Default for Retention {
    fn default() -> Self {
        const DAY: Duration = Duration::from_secs(24 * 3600);
        Self {
            events: 14 * DAY,
            finished: 7 * DAY,
            gone: 30 * DAY,
            // Base images are rebuilt monthly at best; their layers should outlive that.
            layers: 90 * DAY,
            layer_bytes: 4 << 30,
            // What auditors ask about is the year before, some weeks after its end.
            audit: 400 * DAY,
        }
    }
}

/// What a [`prune`](crate::Store::prune) removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Pruned {
    /// Events.
    pub events: u64,
    /// Jobs.
    pub jobs: u64,
    /// Deliveries.
    pub deliveries: u64,
    /// Images, with their documents.
    pub images: u64,
    /// Tags, manifests and repositories.
    pub inventory: u64,
    /// Packages that no image has any more.
    pub packages: u64,
    /// Layers.
    pub layers: u64,
    /// Lines of the audit log.
    pub audit: u64,
}

/// What the store holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Usage {
    /// Images, the gone ones counted.
    pub images: u64,
    /// Bytes of their documents, as stored.
    pub document_bytes: u64,
    /// Distinct packages.
    pub packages: u64,
    /// Cached layers.
    pub layers: u64,
    /// Bytes of the cached layers, as stored.
    pub layer_bytes: u64,
    /// Events.
    pub events: u64,
    /// Bytes of the database; 0 if it is in memory.
    pub database_bytes: u64,
}
