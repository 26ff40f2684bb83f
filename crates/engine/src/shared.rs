//! What all parts of an engine share.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use supercargo_registry::index::Digest;
use supercargo_registry::{ErrorKind as Kind, Repository};
use supercargo_store::{
    Change, Lane, NewDelivery, NewJob, Page, PlaceFilter, Reason, RepositoryName, Store, TagOrDigest, Work,
};
use tokio::sync::OwnedMutexGuard;
use tracing::{debug, info, warn};

use crate::failure::{Blame, Class, Trouble};
use crate::health::Health;
use crate::intake::Inbox;
use crate::monitor::Monitor;
use crate::{Clock, ImageIndexer, LastError, Options, Progress, Puller, Watch};

pub(crate) struct Shared {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) indexer: Arc<dyn ImageIndexer>,
    pub(crate) watches: BTreeMap<String, Arc<Watch>>,
    pub(crate) options: Options,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) monitor: Monitor,
    pub(crate) inbox: Inbox,
    pub(crate) pullers: Vec<Arc<Puller>>,
    pub(crate) health: Health,
    pub(crate) flights: Flights,
}

impl Shared {
    pub(crate) fn watch(&self, registry: &str) -> Option<&Arc<Watch>> {
        self.watches.get(registry)
    }

    pub(crate) fn job(&self, work: Work, lane: Lane) -> NewJob {
        NewJob::new(work, lane).with_max_attempts(self.options.retry.max_attempts)
    }

    /// A row for every sink.
    pub(crate) fn deliveries(
        &self,
        kind: supercargo_store::DeliveryKind,
        repository: &RepositoryName,
        subject: &Digest,
        details: &serde_json::Value,
    ) -> Vec<Change> {
        let delivery = |sink: &String| {
            Change::Deliver(NewDelivery {
                sink: sink.clone(),
                kind,
                subject: subject.clone(),
                repository: repository.clone(),
                details: details.clone(),
                max_attempts: NewDelivery::MAX_ATTEMPTS,
            })
        };
        self.options.sinks.iter().map(delivery).collect()
    }

    /// The tags of a repository that are there, by the store, and what they point at.
    pub(crate) async fn stored_tags(&self, repository: &RepositoryName) -> Result<HashMap<String, Digest>, Trouble> {
        let filter = PlaceFilter::repository(repository);
        let mut tags = HashMap::new();
        let mut page = Page::first(Page::LIMIT);
        loop {
            let listing = self.store.tags(&filter, &page).await?;
            tags.extend(listing.items.into_iter().map(|state| (state.tag, state.digest)));
            match listing.next {
                Some(next) => page = Page::after(next, Page::LIMIT),
                None => return Ok(tags),
            }
        }
    }

    /// Whose failure it is: if the registry does not answer a plain question either, it is the registry's.
    pub(crate) async fn blame(&self, watch: &Watch, trouble: &Trouble) -> Blame {
        match trouble.class {
            Class::Busy => Blame::Registry,
            Class::Passing | Class::Access => match watch.registry.check().await {
                Ok(()) => Blame::Subject,
                Err(error) => {
                    debug!(registry = watch.host(), %error, "registry does not answer well");
                    let refused = matches!(error.kind(), Kind::Unauthorized | Kind::Denied | Kind::Credential);
                    // Registries that answer this question oddly, but answer, are not away.
                    let same = error.is_retryable() || (refused && trouble.class == Class::Access);
                    if same { Blame::Registry } else { Blame::Subject }
                }
            },
            Class::Doubtful | Class::BadBytes | Class::Final | Class::Store => Blame::Subject,
        }
    }

    /// Leaves a registry alone for a while, and says so everywhere but in the store.
    pub(crate) fn registry_failed(&self, registry: &str, trouble: &Trouble) -> Duration {
        let policy = &self.options.retry;
        let known = self.health.reason(registry).is_some();
        let pause = self.health.failed(registry, &trouble.reason, |failures| {
            let backoff = if trouble.class == Class::Access { policy.refused_pause } else { policy.pause };
            backoff.wait(failures).max(trouble.wait(policy).unwrap_or_default())
        });
        if known {
            debug!(registry, reason = %trouble.reason, "registry still away");
        } else {
            warn!(registry, reason = %trouble.reason, ?pause, "registry away");
        }
        let at = self.clock.now();
        let reason = trouble.reason.clone();
        self.monitor.registry(registry, |status| status.last_error = Some(LastError { at, reason: reason.clone() }));
        self.monitor.tell(Progress::RegistryAway { registry: registry.to_owned(), reason });
        pause
    }

    /// The registry answered.
    pub(crate) fn registry_answered(&self, registry: &str) -> bool {
        let recovered = self.health.succeeded(registry);
        if recovered {
            info!(registry, "registry back");
            self.monitor.registry(registry, |status| status.last_error = None);
        }
        recovered
    }

    /// The repository as the registry client names it.
    pub(crate) fn repository(name: &RepositoryName) -> Result<Repository, Trouble> {
        name.repository.parse().map_err(Trouble::from)
    }
}

/// What a reference of the store is to the registry client.
pub(crate) fn target(reference: &TagOrDigest) -> Result<supercargo_registry::Target, Trouble> {
    Ok(match reference {
        TagOrDigest::Tag(tag) => supercargo_registry::Target::Tag(tag.parse()?),
        TagOrDigest::Digest(digest) => supercargo_registry::Target::Digest(digest.clone()),
    })
}

/// The change that a registry's failure makes in the store.
pub(crate) fn away(registry: &str, reason: &Reason) -> Change {
    Change::RegistryAway { registry: registry.to_owned(), reason: reason.clone() }
}

/// Images that are being indexed in this process, so that one image in two repositories is read once.
#[derive(Debug, Default)]
pub(crate) struct Flights {
    flights: Mutex<HashMap<String, Arc<tokio::sync::Mutex<()>>>>,
}

/// The right to index one image.
pub(crate) type Flight = OwnedMutexGuard<()>;

impl Flights {
    /// Waits until nobody else indexes `digest`.
    pub(crate) async fn board(&self, digest: &Digest) -> Flight {
        let flight = {
            let mut flights = self.flights.lock().unwrap_or_else(PoisonError::into_inner);
            // One count is the map's own: nobody waits for or holds such a flight.
            flights.retain(|_, flight| Arc::strong_count(flight) > 1);
            Arc::clone(flights.entry(digest.to_string()).or_default())
        };
        flight.lock_owned().await
    }
}
