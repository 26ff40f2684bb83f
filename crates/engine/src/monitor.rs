//! How the engine is doing, for readiness, metrics and people.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use serde::Serialize;
use supercargo_store::{JobId, Lane, Lease, Reason, Work};
use tokio::sync::broadcast;

use crate::{PassSummary, Progress, Route};

/// Notices kept for a listener that lags. One pass over a large registry queues thousands of jobs.
const BACKLOG: usize = 4096;

/// How the engine is doing.
#[derive(Clone, Debug, Serialize)]
pub struct Status {
    /// It runs: reconciles, claims jobs.
    pub running: bool,
    /// It takes deliveries.
    pub accepting: bool,
    /// Watched registries, by name.
    pub registries: Vec<RegistryStatus>,
    /// Sinks, by name.
    pub sinks: Vec<SinkStatus>,
    /// Jobs that workers of this engine have.
    pub jobs: Vec<RunningJob>,
    /// What it did since it was built.
    pub counters: Counters,
}

/// How a registry is doing, as this process knows it; the store remembers more.
#[derive(Clone, Debug, Default, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RegistryStatus {
    /// Its name.
    pub registry: String,
    /// When a reconcile pass last went through.
    pub last_reconcile: Option<Timestamp>,
    /// What that pass found.
    pub last_pass: Option<PassSummary>,
    /// What last went wrong with the registry itself; taken back by the next pass that goes through.
    pub last_error: Option<LastError>,
    /// When an event of it last came in.
    pub last_event: Option<Timestamp>,
}

impl RegistryStatus {
    fn named(registry: &str) -> Self {
        Self { registry: registry.to_owned(), ..Self::default() }
    }
}

/// How a sink is doing, as this process knows it; what waits for it is in the store.
#[derive(Clone, Debug, Default, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SinkStatus {
    /// Its name.
    pub sink: String,
    /// Its sort.
    pub kind: &'static str,
    /// Deliveries that arrived since the engine was built.
    pub delivered: u64,
    /// Attempts that failed and are repeated.
    pub retried: u64,
    /// Attempts that failed because the sink was away, and cost the delivery nothing.
    pub postponed: u64,
    /// Deliveries that were given up.
    pub dead: u64,
    /// When the last one arrived.
    pub last_delivered: Option<Timestamp>,
    /// What last went wrong with the sink itself; taken back when it takes something again.
    pub last_error: Option<LastError>,
}

/// Something that went wrong, and when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct LastError {
    /// When.
    pub at: Timestamp,
    /// What.
    pub reason: Reason,
}

/// A job that a worker has.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RunningJob {
    /// Its number.
    pub job: JobId,
    /// What is to be done.
    #[serde(flatten)]
    pub work: Work,
    /// How urgent it is.
    pub lane: Lane,
    /// The number of this attempt.
    pub attempt: u32,
    /// When the worker began.
    pub since: Timestamp,
}

/// What an engine did since it was built.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Counters {
    /// Events that were stored.
    pub events: u64,
    /// Events that had been stored before.
    pub duplicates: u64,
    /// Images that were read and indexed.
    pub indexed: u64,
    /// Images that needed no reading.
    pub known: u64,
    /// Manifests of a sort that is not indexed.
    pub unsupported: u64,
    /// Attempts that failed and are repeated.
    pub retried: u64,
    /// Jobs that were given up.
    pub dead: u64,
    /// Tags, manifests and repositories that went.
    pub gone: u64,
    /// Reconcile passes that went through.
    pub passes: u64,
    /// Reconcile passes that failed.
    pub failed_passes: u64,
}

/// What a run came to.
#[derive(Clone, Debug, Default)]
pub struct Summary {
    /// What was done since the engine was built.
    pub counters: Counters,
    /// Registries that could not be asked, with the reason, as of the end.
    pub unreached: Vec<Unreached>,
    /// Sinks for which something was left, as of the end.
    pub undelivered: Vec<Undelivered>,
    /// Everything that was to be done was done or given up; `false` after a stop.
    pub idle: bool,
}

/// A registry that could not be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unreached {
    /// The registry.
    pub registry: String,
    /// Why.
    pub reason: Reason,
}

/// A sink for which something was left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Undelivered {
    /// The sink.
    pub sink: String,
    /// Deliveries that wait.
    pub waiting: u64,
    /// Deliveries that this run gave up.
    pub dead: u64,
    /// What last went wrong with the sink.
    pub reason: Option<Reason>,
}

/// The state behind [`Status`].
#[derive(Debug)]
pub(crate) struct Monitor {
    state: Mutex<State>,
    progress: broadcast::Sender<Progress>,
}

#[derive(Debug, Default)]
struct State {
    running: bool,
    accepting: bool,
    registries: BTreeMap<String, RegistryStatus>,
    sinks: BTreeMap<String, SinkStatus>,
    /// By lease: a job whose lease was lost may run again before its first attempt is stopped.
    jobs: HashMap<Lease, RunningJob>,
    counters: Counters,
}

impl Monitor {
    pub(crate) fn new<'a>(registries: impl IntoIterator<Item = &'a str>, routes: &[Route]) -> Self {
        let registries = registries.into_iter().map(|name| (name.to_owned(), RegistryStatus::named(name))).collect();
        let sinks = routes
            .iter()
            .map(|route| {
                let (sink, kind) = (route.name.clone(), route.sink.kind());
                (sink.clone(), SinkStatus { sink, kind, ..SinkStatus::default() })
            })
            .collect();
        let state = State { accepting: true, registries, sinks, ..State::default() };
        Self { state: Mutex::new(state), progress: broadcast::Sender::new(BACKLOG) }
    }

    pub(crate) fn status(&self) -> Status {
        let state = self.lock();
        let mut jobs: Vec<RunningJob> = state.jobs.values().cloned().collect();
        jobs.sort_by_key(|job| job.job);
        Status {
            running: state.running,
            accepting: state.accepting,
            registries: state.registries.values().cloned().collect(),
            sinks: state.sinks.values().cloned().collect(),
            jobs,
            counters: state.counters,
        }
    }

    pub(crate) fn subscribe(&self) -> broadcast::Receiver<Progress> {
        self.progress.subscribe()
    }

    /// Counts what happened and tells whoever listens. Nobody listening is fine.
    pub(crate) fn tell(&self, progress: Progress) {
        self.count(|counters| match &progress {
            Progress::Indexed { .. } => counters.indexed += 1,
            Progress::Known { .. } => counters.known += 1,
            Progress::Unsupported { .. } => counters.unsupported += 1,
            Progress::Failed { dead: true, .. } => counters.dead += 1,
            Progress::Failed { dead: false, .. } => counters.retried += 1,
            Progress::Gone { .. } => counters.gone += 1,
            Progress::Reconciled { .. } => counters.passes += 1,
            _ => {}
        });
        let _ = self.progress.send(progress);
    }

    pub(crate) fn count(&self, count: impl FnOnce(&mut Counters)) {
        count(&mut self.lock().counters);
    }

    pub(crate) fn set_running(&self, running: bool) {
        self.lock().running = running;
    }

    pub(crate) fn accepts(&self) -> bool {
        self.lock().accepting
    }

    pub(crate) fn set_accepting(&self, accepting: bool) {
        self.lock().accepting = accepting;
    }

    pub(crate) fn registry(&self, name: &str, change: impl FnOnce(&mut RegistryStatus)) {
        if let Some(status) = self.lock().registries.get_mut(name) {
            change(status);
        }
    }

    pub(crate) fn begin(&self, registry: &str) {
        self.lock().registries.entry(registry.to_owned()).or_insert_with_key(|name| RegistryStatus::named(name));
    }

    pub(crate) fn end(&self, registry: &str) {
        self.lock().registries.remove(registry);
    }

    pub(crate) fn sink(&self, name: &str, change: impl FnOnce(&mut SinkStatus)) {
        if let Some(status) = self.lock().sinks.get_mut(name) {
            change(status);
        }
    }

    pub(crate) fn began(&self, lease: Lease, job: RunningJob) {
        self.lock().jobs.insert(lease, job);
    }

    pub(crate) fn ended(&self, lease: Lease) {
        self.lock().jobs.remove(&lease);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing in here can be left half changed, so a panic of another holder spoils nothing.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
