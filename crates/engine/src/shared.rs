//! What all parts of an engine share.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::json;
use supercargo_registry::index::Digest;
use supercargo_registry::{ErrorKind as Kind, Repository};
use supercargo_store::{
    Actor, Change, DeliveryKind, Lane, NewDelivery, NewJob, Page, PlaceFilter, Reason, RepositoryName,
    RepositoryOrigin, Store, TagOrDigest, TagState, Work,
};
use tokio::sync::OwnedMutexGuard;
use tracing::{debug, info, warn};

use crate::delivery::SinkHealth;
use crate::failure::{Blame, Class, Trouble, chain};
use crate::health::Health;
use crate::intake::Inbox;
use crate::integration::{Enablement, Integrations, Tracking};
use crate::monitor::Monitor;
use crate::watches::Watches;
use crate::{Clock, ImageIndexer, LastError, Options, Progress, Puller, Route, Watch};

pub(crate) struct Shared {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) indexer: Arc<dyn ImageIndexer>,
    pub(crate) watches: Arc<Watches>,
    pub(crate) routes: Vec<Route>,
    pub(crate) sink_health: HashMap<String, Arc<SinkHealth>>,
    pub(crate) options: Options,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) monitor: Monitor,
    pub(crate) inbox: Inbox,
    pub(crate) pullers: Vec<Arc<Puller>>,
    pub(crate) health: Health,
    pub(crate) flights: Flights,
    pub(crate) tracking: Tracking,
    pub(crate) integrations: Option<Integrations>,
    /// Registries that are watched whatever integrations there are.
    pub(crate) configured: HashSet<String>,
}

impl Shared {
    pub(crate) fn watch(&self, registry: &str) -> Option<Arc<Watch>> {
        self.watches.get(registry)
    }

    pub(crate) fn begin_watch(&self, watch: Watch) {
        let registry = watch.host().to_owned();
        self.monitor.begin(&registry);
        let before = self.watches.begin(watch);
        // What it was left alone for may be what has just been changed, such as a password.
        self.health.forget(&registry);
        info!(registry, again = before.is_some(), "registry watched");
    }

    pub(crate) fn end_watch(&self, registry: &str) -> bool {
        let found = self.watches.end(registry);
        self.health.forget(registry);
        self.monitor.end(registry);
        if found {
            info!(registry, "registry watched no more");
        }
        found
    }

    /// Shows repositories of an integration that had not been heard of. `begins`: they were there before the watch began.
    pub(crate) async fn found<'a>(
        &self,
        enablement: &Enablement,
        repositories: impl IntoIterator<Item = &'a Repository>,
        begins: bool,
    ) {
        let found = enablement.find(repositories, begins);
        if found.is_empty() {
            return;
        }
        let actor = Actor::supercargo();
        let stored = self.store.set_repositories(enablement.id(), found.clone(), RepositoryOrigin::Found, &actor);
        if let Err(error) = stored.await {
            // They are found again.
            warn!(error = chain(&error), "repositories that were found not recorded");
            enablement.forget(&found);
        }
    }

    pub(crate) fn job(&self, work: Work, lane: Lane) -> NewJob {
        NewJob::new(work, lane).with_max_attempts(self.options.retry.max_attempts)
    }

    /// A row for every sink that can hear `kind` of news.
    fn deliveries(&self, kind: DeliveryKind, repository: &RepositoryName, subject: &Digest) -> Vec<NewDelivery> {
        if self.options.dry_run {
            return Vec::new();
        }
        let hears = |route: &&Route| kind == DeliveryKind::Indexed || route.sink.capabilities().gone;
        let row = |route: &Route| NewDelivery::new(&route.name, kind, repository.clone(), subject.clone());
        self.routes.iter().filter(hears).map(row).collect()
    }

    /// Rows that tell every sink what is in an image, and which tags of the repository lead to it.
    pub(crate) fn tell_indexed(&self, repository: &RepositoryName, image: &Digest) -> Vec<Change> {
        self.deliveries(DeliveryKind::Indexed, repository, image).into_iter().map(Change::Deliver).collect()
    }

    /// Rows that tell the sinks that can hear it of a tag that is gone.
    pub(crate) fn tell_tag_gone(&self, repository: &RepositoryName, tag: &str, led_to: &Digest) -> Vec<Change> {
        let rows = self.deliveries(DeliveryKind::Gone, repository, led_to).into_iter();
        rows.map(|row| Change::Deliver(row.with_tag(tag))).collect()
    }

    /// Rows that tell the sinks that can hear it of a manifest that is gone with its tags.
    pub(crate) fn tell_gone<'a>(
        &self,
        repository: &RepositoryName,
        manifest: &Digest,
        tags: impl IntoIterator<Item = &'a String>,
    ) -> Vec<Change> {
        let details = json!({ "tags": tags.into_iter().collect::<Vec<_>>() });
        let rows = self.deliveries(DeliveryKind::Gone, repository, manifest).into_iter();
        rows.map(|row| Change::Deliver(NewDelivery { details: details.clone(), ..row })).collect()
    }

    pub(crate) fn sink_health(&self, sink: &str) -> Arc<SinkHealth> {
        self.sink_health.get(sink).cloned().unwrap_or_default()
    }

    /// The tags of a repository that are there, by the store, and what they point at.
    pub(crate) async fn stored_tags(&self, repository: &RepositoryName) -> Result<HashMap<String, Digest>, Trouble> {
        Ok(self.known_tags(repository).await?.into_iter().map(|state| (state.tag, state.digest)).collect())
    }

    /// The same with all that the store knows of them.
    pub(crate) async fn known_tags(&self, repository: &RepositoryName) -> Result<Vec<TagState>, Trouble> {
        let filter = PlaceFilter::repository(repository);
        let mut tags = Vec::new();
        let mut page = Page::first(Page::LIMIT);
        loop {
            let listing = self.store.tags(&filter, &page).await?;
            tags.extend(listing.items);
            match listing.next {
                Some(next) => page = Page::after(next, Page::LIMIT),
                None => return Ok(tags),
            }
        }
    }

    /// The images that these manifests of a repository are, or list.
    pub(crate) async fn images_behind(
        &self,
        repository: &RepositoryName,
        manifests: &[Digest],
    ) -> Result<HashSet<Digest>, Trouble> {
        let filter = PlaceFilter::repository(repository);
        let mut images: HashSet<Digest> = HashSet::new();
        let mut page = Page::first(Page::LIMIT);
        loop {
            let listing = self.store.manifests(&filter, &page).await?;
            for manifest in listing.items.into_iter().filter(|manifest| manifests.contains(&manifest.digest)) {
                images.extend(if manifest.images.is_empty() { vec![manifest.digest] } else { manifest.images });
            }
            match listing.next {
                Some(next) => page = Page::after(next, Page::LIMIT),
                None => return Ok(images),
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

/// What is being worked at in this process: images that are indexed, so that one image in two repositories is read
/// once; deliveries that must not pass each other.
#[derive(Debug, Default)]
pub(crate) struct Flights {
    flights: Mutex<HashMap<String, Arc<tokio::sync::Mutex<()>>>>,
}

/// The right to work at one subject.
pub(crate) type Flight = OwnedMutexGuard<()>;

impl Flights {
    /// Waits until nobody else is at `subject`.
    pub(crate) async fn board(&self, subject: &impl ToString) -> Flight {
        let flight = {
            let mut flights = self.flights.lock().unwrap_or_else(PoisonError::into_inner);
            // One count is the map's own: nobody waits for or holds such a flight.
            flights.retain(|_, flight| Arc::strong_count(flight) > 1);
            Arc::clone(flights.entry(subject.to_string()).or_default())
        };
        flight.lock_owned().await
    }
}
