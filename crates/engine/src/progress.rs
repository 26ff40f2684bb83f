//! What happens, as it happens.

use std::time::Duration;

use serde::Serialize;
use supercargo_registry::index::{Digest, Platform};
use supercargo_store::{JobId, Lane, Reason, RepositoryName, TagOrDigest, Work};

use crate::Outcome;

/// Something that happened. For people who watch and for logs: whoever listens too slowly misses some, so nothing
/// may depend on having seen one.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Progress {
    /// Work was put into the queue.
    Queued {
        /// What is to be done.
        work: Work,
        /// How urgently.
        lane: Lane,
    },
    /// A worker began.
    Started {
        /// The job.
        job: JobId,
        /// What is to be done.
        work: Work,
        /// The number of this attempt.
        attempt: u32,
    },
    /// An image was indexed, and the result is stored.
    Indexed {
        /// Where it was read from.
        repository: RepositoryName,
        /// Its manifest.
        digest: Digest,
        /// Its platform.
        platform: Platform,
        /// Packages in it.
        packages: usize,
        /// Layers in it.
        layers: usize,
        /// Compressed bytes of it.
        size: u64,
        /// How long it took.
        duration: Duration,
    },
    /// An image that had been indexed before was found in a place; nothing of it was read.
    Known {
        /// The place.
        repository: RepositoryName,
        /// Its manifest.
        digest: Digest,
    },
    /// An index was read; its images follow.
    Expanded {
        /// Where it was read from.
        repository: RepositoryName,
        /// The index.
        digest: Digest,
        /// Images in it.
        images: usize,
    },
    /// Something that is no image that can be indexed.
    Unsupported {
        /// Where it was read from.
        repository: RepositoryName,
        /// The manifest.
        digest: Digest,
        /// Why.
        reason: String,
    },
    /// An attempt failed.
    Failed {
        /// The job.
        job: JobId,
        /// What was to be done.
        work: Work,
        /// The number of the attempt.
        attempt: u32,
        /// Why.
        reason: Reason,
        /// It is given up.
        dead: bool,
    },
    /// The registry confirmed that something is gone.
    Gone {
        /// Where.
        repository: RepositoryName,
        /// The tag or manifest; `None` for the repository.
        reference: Option<TagOrDigest>,
    },
    /// A reconcile pass went through.
    Reconciled {
        /// The registry.
        registry: String,
        /// What it found.
        summary: PassSummary,
    },
    /// Something arrived at a sink.
    Delivered {
        /// The sink.
        sink: String,
        /// Where the image is, or was.
        repository: RepositoryName,
        /// Its manifest.
        digest: Digest,
        /// How it arrived.
        outcome: Outcome,
    },
    /// A delivery failed.
    DeliveryFailed {
        /// The sink.
        sink: String,
        /// Where the image is, or was.
        repository: RepositoryName,
        /// Its manifest.
        digest: Digest,
        /// The number of the attempt.
        attempt: u32,
        /// Why.
        reason: Reason,
        /// It is given up.
        dead: bool,
    },
    /// A registry could not be asked.
    RegistryAway {
        /// The registry.
        registry: String,
        /// Why.
        reason: Reason,
    },
}

/// What a reconcile pass found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PassSummary {
    /// Repositories that were looked at.
    pub repositories: usize,
    /// Repositories that could not be.
    pub failed: usize,
    /// Watched tags in them.
    pub tags: usize,
    /// Tags that were new or had moved.
    pub changed: usize,
    /// Tags of those that were only noted, because they were there before the watch began.
    pub noted: usize,
    /// Tags, manifests and repositories that are gone.
    pub gone: usize,
}

impl PassSummary {
    pub(crate) fn add(&mut self, other: &Self) {
        self.repositories += other.repositories;
        self.failed += other.failed;
        self.tags += other.tags;
        self.changed += other.changed;
        self.noted += other.noted;
        self.gone += other.gone;
    }
}
