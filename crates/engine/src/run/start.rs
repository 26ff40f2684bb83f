//! What is read and set right before a run begins.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use supercargo_registry::ErrorKind;
use supercargo_store::{JobFilter, JobRecord, Page, Presence, Work};
use tracing::info;

use crate::delivery::take_stock;
use crate::reconcile::{Before, known_repositories};
use crate::shared::Shared;
use crate::watches::Snapshot;
use crate::{Error, Result};

/// What the store knew before the run.
pub(super) struct Start {
    /// What is watched.
    pub(super) watched: Snapshot,
    registries: HashMap<String, Before>,
    /// Registries of the store that are not watched.
    pub(super) foreign: HashSet<String>,
}

impl Start {
    /// Takes back what this engine held before a crash, revives what a restart may mend, and looks around.
    pub(super) async fn read(shared: &Shared) -> Result<Self> {
        let failed = |error| Error::store("start the engine", error);
        let recovered = shared.store.recover(&shared.options.name).await.map_err(failed)?;
        if recovered > 0 {
            info!(jobs = recovered, "jobs of the last run taken up again");
        }
        take_stock(shared).await.map_err(failed)?;
        let watched = shared.watches.all();
        let mut start = Self { watched: Arc::clone(&watched), registries: HashMap::new(), foreign: HashSet::new() };
        for state in shared.store.registries().await.map_err(failed)? {
            if !watched.contains_key(&state.name) {
                start.foreign.insert(state.name);
            }
        }
        for registry in watched.keys() {
            start.learn(shared, registry).await?;
        }
        Ok(start)
    }

    /// Looks at what the store knows of a registry that is to be watched from now on.
    pub(super) async fn learn(&mut self, shared: &Shared, registry: &str) -> Result<()> {
        let failed = |error| Error::store("begin to watch a registry", error);
        let states = shared.store.registries().await.map_err(failed)?;
        let state = states.iter().find(|state| state.name == registry);
        // Whether a repository is gone or not, it is not one that a new flag names for the first time.
        let repositories = known_repositories(shared, registry, Presence::Any)
            .await
            .map_err(|trouble| Error::new(crate::ErrorKind::Store, trouble.reason.message))?;
        let reconciled = state.is_some_and(|state| state.last_reconciled.is_some());
        self.registries.insert(registry.to_owned(), Before { reconciled, repositories });
        revive(shared, registry).await.map_err(failed)
    }

    pub(super) fn before(&self, registry: &str) -> Before {
        self.registries.get(registry).cloned().unwrap_or_default()
    }

    /// A pass over the registry has gone through in this run, if one has: what is new from now on was pushed.
    pub(super) fn passed(&mut self, shared: &Shared, registry: &str) {
        let status = shared.monitor.status();
        let done =
            status.registries.iter().any(|status| status.registry == registry && status.last_reconcile.is_some());
        if done {
            let before = self.registries.entry(registry.to_owned()).or_default();
            before.reconciled = true;
        }
    }
}

/// Tries dead letters again that a restart or a registry's return may have mended: their cause passes, or lay in the
/// credentials.
pub(crate) async fn revive(shared: &Shared, registry: &str) -> supercargo_store::Result<()> {
    let filter = JobFilter { registry: Some(registry.to_owned()), ..JobFilter::dead() };
    let mut page = Page::first(Page::LIMIT);
    let mut found = Vec::new();
    loop {
        let listing = shared.store.jobs(&filter, &page).await?;
        found.extend(listing.items.into_iter().filter(is_mendable).map(|job| job.id));
        match listing.next {
            Some(next) => page = Page::after(next, Page::LIMIT),
            None => break,
        }
    }
    if !found.is_empty() {
        info!(registry, jobs = found.len(), "dead letters tried again");
    }
    for job in found {
        shared.store.retry(job).await?;
    }
    Ok(())
}

fn is_mendable(job: &JobRecord) -> bool {
    const KINDS: [ErrorKind; 8] = [
        ErrorKind::Unauthorized,
        ErrorKind::Denied,
        ErrorKind::Credential,
        ErrorKind::Network,
        ErrorKind::Timeout,
        ErrorKind::Unavailable,
        ErrorKind::RateLimited,
        ErrorKind::Refused,
    ];
    let passing = job.last_error.as_ref().is_some_and(|reason| KINDS.iter().any(|kind| kind.as_str() == reason.kind));
    // A look at a repository costs little, and clears the problem that its dead letter shows.
    passing || matches!(job.work, Work::Refresh { .. })
}
