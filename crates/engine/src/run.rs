//! The dispatcher: it owns all tasks and all leases of an engine, from the start to the end of a run.

mod start;

use std::collections::{HashMap, HashSet};
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use supercargo_store::{Claim, ErrorKind, Job, JobFilter, JobState, Page, Retention};
use tokio::sync::watch;
use tokio::task::{self, AbortHandle, JoinError, JoinSet};
use tokio::time::{Instant, MissedTickBehavior};
use tracing::{debug, error, info, warn};

use self::start::Start;
pub(crate) use self::start::revive;
use crate::delivery::{Courier, Phase};
use crate::failure::{Trouble, chain};
use crate::job;
use crate::pull::pull;
use crate::reconcile::Reconciler;
use crate::shared::Shared;
use crate::{LastError, Progress, Result, RunningJob, SinkStatus, Summary, Undelivered, Unreached};

/// How a run ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// When it is told to.
    Forever,
    /// When one pass is done and the queue is empty.
    UntilIdle,
}

/// Time between two rounds of removing what retention no longer wants.
const UPKEEP: Duration = Duration::from_secs(3600);

pub(crate) async fn drive(shared: &Arc<Shared>, mode: Mode, shutdown: impl Future<Output = ()>) -> Result<Summary> {
    let start = Start::read(shared).await?;
    shared.monitor.set_accepting(true);
    shared.monitor.set_running(true);
    let (registries, sinks) = (shared.watches.len(), shared.routes.len());
    info!(registries, sinks, workers = shared.options.workers, "engine started");
    let mut dispatcher = Dispatcher::new(Arc::clone(shared), mode, start);
    let mut couriers = Couriers::start(shared);
    let mut shutdown = pin!(shutdown);
    let idle = dispatcher.run(shutdown.as_mut(), &couriers).await;
    // What was indexed to the very end is to be delivered, too.
    let idle = couriers.end(idle, shutdown).await;
    shared.monitor.set_accepting(false);
    info!(idle, "engine stopped");
    Ok(summary(shared, idle).await)
}

async fn summary(shared: &Shared, idle: bool) -> Summary {
    let unreached = |status: crate::RegistryStatus| {
        Some(Unreached { registry: status.registry, reason: status.last_error?.reason })
    };
    let status = shared.monitor.status();
    Summary {
        counters: status.counters,
        unreached: status.registries.into_iter().filter_map(unreached).collect(),
        undelivered: undelivered(shared, status.sinks).await,
        idle,
    }
}

/// What was left for the sinks.
async fn undelivered(shared: &Shared, sinks: Vec<SinkStatus>) -> Vec<Undelivered> {
    if sinks.is_empty() {
        return Vec::new();
    }
    let stats = shared.store.outbox_stats().await.unwrap_or_else(|error| {
        warn!(error = chain(&error), "outbox not counted");
        Vec::new()
    });
    let left = |status: SinkStatus| {
        let waiting = stats.iter().find(|stats| stats.sink == status.sink);
        let waiting = waiting.map_or(0, |stats| stats.ready + stats.delayed + stats.running);
        let reason = status.last_error.map(|error| error.reason);
        (waiting > 0 || status.dead > 0).then_some(Undelivered {
            sink: status.sink,
            waiting,
            dead: status.dead,
            reason,
        })
    };
    sinks.into_iter().filter_map(left).collect()
}

/// The couriers of all sinks.
struct Couriers {
    phase: watch::Sender<Phase>,
    tasks: JoinSet<()>,
}

impl Couriers {
    fn start(shared: &Arc<Shared>) -> Self {
        let phase = watch::Sender::new(Phase::Run);
        let mut tasks = JoinSet::new();
        if !shared.options.dry_run {
            for route in &shared.routes {
                tasks.spawn(Courier::new(Arc::clone(shared), route.clone()).run(phase.subscribe()));
            }
        }
        Self { phase, tasks }
    }

    fn stop(&self) {
        self.phase.send_replace(Phase::Stop);
    }

    /// Lets the couriers deliver what is left, if the run ended by itself, and end.
    async fn end(&mut self, mut idle: bool, mut shutdown: Pin<&mut impl Future<Output = ()>>) -> bool {
        self.phase.send_replace(if idle { Phase::Drain } else { Phase::Stop });
        loop {
            tokio::select! {
                ended = self.tasks.join_next() => match ended {
                    Some(Err(error)) if error.is_panic() => error!(%error, "courier panicked"),
                    Some(_) => {}
                    None => return idle,
                },
                () = &mut shutdown, if idle => {
                    idle = false;
                    self.stop();
                }
            }
        }
    }
}

struct Dispatcher {
    shared: Arc<Shared>,
    mode: Mode,
    /// Reconcile passes, by the registry's name.
    passes: JoinSet<()>,
    pass_names: HashMap<task::Id, String>,
    start: Start,
    jobs: JoinSet<()>,
    running: HashMap<task::Id, Running>,
    /// Registries of the store that are not watched: their jobs are somebody else's.
    foreign: HashSet<String>,
    /// There may be something to claim.
    look: bool,
}

struct Running {
    job: Job,
    handle: AbortHandle,
    /// The lease is lost: nothing that the task does counts any more.
    lost: bool,
}

impl Dispatcher {
    fn new(shared: Arc<Shared>, mode: Mode, mut start: Start) -> Self {
        Self {
            shared,
            mode,
            passes: JoinSet::new(),
            pass_names: HashMap::new(),
            foreign: std::mem::take(&mut start.foreign),
            start,
            jobs: JoinSet::new(),
            running: HashMap::new(),
            look: true,
        }
    }

    /// Runs; says whether it ended because there was nothing left to do.
    async fn run(&mut self, mut shutdown: Pin<&mut impl Future<Output = ()>>, couriers: &Couriers) -> bool {
        let shared = Arc::clone(&self.shared);
        let mut heartbeat = tokio::time::interval(shared.options.lease / 3);
        heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut deadline: Option<Instant> = None;
        let hosts: Vec<String> = shared.watches.keys().cloned().collect();
        for host in hosts {
            self.reconcile(&host, Duration::ZERO);
        }
        // Ends with this function, whichever way that ends.
        let mut chores = JoinSet::new();
        if let (Mode::Forever, Some(retention)) = (self.mode, shared.options.retention.clone()) {
            chores.spawn(upkeep(Arc::clone(&shared), retention));
        }
        // A set of its own: it ends with the intake, and what it left unacknowledged comes again.
        let mut pullers = JoinSet::new();
        if self.mode == Mode::Forever {
            for puller in &shared.pullers {
                pullers.spawn(pull(Arc::clone(&shared), Arc::clone(puller)));
            }
        }
        loop {
            let stopping = deadline.is_some();
            if self.look && !stopping && self.free() > 0 {
                self.claim().await;
            }
            if stopping && self.running.is_empty() {
                return false;
            }
            if !stopping && self.is_idle().await {
                return true;
            }
            let claims = !stopping && self.free() > 0;
            tokio::select! {
                () = &mut shutdown, if !stopping => {
                    info!(jobs = self.running.len(), grace = ?shared.options.grace, "engine stopping");
                    shared.monitor.set_accepting(false);
                    // A pass holds nothing that could be lost.
                    self.passes.abort_all();
                    couriers.stop();
                    pullers.abort_all();
                    deadline = Some(Instant::now() + shared.options.grace);
                }
                () = until(deadline), if stopping => {
                    self.give_back().await;
                    return false;
                }
                Some(ended) = self.jobs.join_next_with_id() => self.ended(ended).await,
                Some(ended) = self.passes.join_next_with_id() => self.pass_ended(ended, stopping),
                _ = heartbeat.tick() => self.heartbeat().await,
                () = shared.health.wait_for_recovery() => self.look = true,
                () = hint(&shared), if claims => self.look = true,
            }
        }
    }

    fn free(&self) -> usize {
        self.shared.options.workers.saturating_sub(self.running.len())
    }

    /// Starts the passes over a registry, after a while.
    fn reconcile(&mut self, host: &str, after: Duration) {
        let Some(watch) = self.shared.watch(host).cloned() else { return };
        let before = self.start.before(host);
        let mut reconciler = Reconciler::new(Arc::clone(&self.shared), watch, before);
        let mode = self.mode;
        let handle = self.passes.spawn(async move {
            tokio::time::sleep(after).await;
            match mode {
                Mode::Forever => reconciler.keep().await,
                Mode::UntilIdle => reconciler.once().await,
            }
        });
        self.pass_names.insert(handle.id(), host.to_owned());
    }

    fn pass_ended(&mut self, ended: Result<(task::Id, ()), JoinError>, stopping: bool) {
        let (id, panic) = match ended {
            Ok((id, ())) => (id, None),
            Err(error) => (error.id(), error.try_into_panic().ok()),
        };
        self.look = true;
        let Some(host) = self.pass_names.remove(&id) else { return };
        let Some(payload) = panic else { return };
        let trouble = Trouble::panic(payload.as_ref());
        error!(registry = host, reason = %trouble.reason, "reconcile pass panicked");
        let error = LastError { at: self.shared.clock.now(), reason: trouble.reason };
        self.shared.monitor.registry(&host, |status| status.last_error = Some(error));
        self.shared.monitor.count(|counters| counters.failed_passes += 1);
        if self.mode == Mode::Forever && !stopping {
            self.start.passed(&self.shared, &host);
            self.reconcile(&host, self.shared.options.interval);
        }
    }

    /// Claims what there is room for.
    async fn claim(&mut self) {
        let free = self.free();
        let options = &self.shared.options;
        let mut except = self.shared.health.paused();
        except.extend(self.foreign.iter().cloned());
        let claim = Claim {
            worker: options.name.clone(),
            lease: options.lease,
            limit: u32::try_from(free).unwrap_or(u32::MAX),
            lanes: Vec::new(),
            except_registries: except,
        };
        match self.shared.store.claim(&claim).await {
            Ok(jobs) => {
                self.look = jobs.len() == free;
                for job in jobs {
                    self.begin(job).await;
                }
            }
            Err(error) => {
                self.look = false;
                warn!(error = chain(&error), "no jobs claimed");
                // The hint may come at once; a store in trouble needs a moment.
                tokio::time::sleep(self.shared.options.poll).await;
            }
        }
    }

    async fn begin(&mut self, job: Job) {
        let registry = &job.work.repository().registry;
        let Some(watch) = self.shared.watch(registry).cloned() else {
            warn!(registry, "job of a registry that is not watched left alone");
            self.foreign.insert(registry.clone());
            self.release(&job).await;
            self.look = true;
            return;
        };
        let monitor = &self.shared.monitor;
        monitor.began(
            job.lease,
            RunningJob {
                job: job.lease.job,
                work: job.work.clone(),
                lane: job.lane,
                attempt: job.attempt,
                since: self.shared.clock.now(),
            },
        );
        monitor.tell(Progress::Started { job: job.lease.job, work: job.work.clone(), attempt: job.attempt });
        debug!(job = %job.lease.job, work = job.work.dedupe_key(), attempt = job.attempt, "job started");
        let patient = self.mode == Mode::Forever;
        let handle = self.jobs.spawn(job::attempt(Arc::clone(&self.shared), watch, job.clone(), patient));
        self.running.insert(handle.id(), Running { job, handle, lost: false });
    }

    async fn ended(&mut self, ended: Result<(task::Id, ()), JoinError>) {
        self.look = true;
        let (id, error) = match ended {
            Ok((id, ())) => (id, None),
            Err(error) => (error.id(), Some(error)),
        };
        let Some(running) = self.running.remove(&id) else { return };
        self.shared.monitor.ended(running.job.lease);
        let Some(payload) = error.and_then(|error| error.try_into_panic().ok()) else { return };
        if running.lost {
            return;
        }
        let Some(watch) = self.shared.watch(&running.job.work.repository().registry) else { return };
        let patient = self.mode == Mode::Forever;
        job::fail(&self.shared, watch, &running.job, &Trouble::panic(payload.as_ref()), patient).await;
    }

    async fn heartbeat(&mut self) {
        for running in self.running.values_mut().filter(|running| !running.lost) {
            let lease = running.job.lease;
            match self.shared.store.heartbeat(lease, self.shared.options.lease).await {
                Ok(()) => {}
                Err(error) if error.kind() == ErrorKind::LeaseLost => {
                    // It may also just have ended; then there is nothing to stop.
                    debug!(job = %lease.job, "lease lost");
                    running.lost = true;
                    running.handle.abort();
                }
                Err(error) => warn!(job = %lease.job, error = chain(&error), "lease not extended"),
            }
        }
    }

    /// Ends what did not end in time and gives the jobs back.
    async fn give_back(&mut self) {
        warn!(jobs = self.running.len(), "jobs did not end in time and are given back");
        self.jobs.shutdown().await;
        for (_, running) in std::mem::take(&mut self.running) {
            self.shared.monitor.ended(running.job.lease);
            if !running.lost {
                self.release(&running.job).await;
            }
        }
    }

    async fn release(&self, job: &Job) {
        match self.shared.store.release(job.lease).await {
            Ok(()) => {}
            // It ended while it was being stopped.
            Err(error) if error.kind() == ErrorKind::LeaseLost => {}
            Err(error) => {
                warn!(job = %job.lease.job, error = chain(&error), "job not given back, its lease will run out");
            }
        }
    }

    /// Whether the passes are done and nothing of ours is left in the queue.
    async fn is_idle(&self) -> bool {
        if self.mode != Mode::UntilIdle || self.look || !self.passes.is_empty() || !self.running.is_empty() {
            return false;
        }
        for registry in self.shared.watches.keys() {
            for state in [JobState::Queued, JobState::Running] {
                let filter = JobFilter { state: Some(state), registry: Some(registry.clone()) };
                match self.shared.store.jobs(&filter, &Page::first(1)).await {
                    Ok(listing) if listing.items.is_empty() => {}
                    Ok(_) => return false,
                    Err(error) => {
                        warn!(error = chain(&error), "queue not read");
                        return false;
                    }
                }
            }
        }
        true
    }
}

/// Removes what is no longer wanted, every now and then.
async fn upkeep(shared: Arc<Shared>, retention: Retention) {
    // Not at once: a start has better things to do.
    let mut round = tokio::time::interval_at(Instant::now() + UPKEEP / 12, UPKEEP);
    loop {
        round.tick().await;
        match shared.store.prune(&retention).await {
            Ok(pruned) => debug!(?pruned, "store pruned"),
            Err(error) => warn!(error = chain(&error), "store not pruned"),
        }
    }
}

async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

/// Returns when there may be work.
async fn hint(shared: &Shared) {
    if let Err(error) = shared.store.wait_for_work(shared.options.poll).await {
        debug!(%error, "no hint of work");
        tokio::time::sleep(shared.options.poll).await;
    }
}
