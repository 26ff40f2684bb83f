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
use crate::integration::Keeper;
use crate::job;
use crate::pull::pull;
use crate::reconcile::Reconciler;
use crate::shared::Shared;
use crate::watches::Snapshot;
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
    let mut keeper = shared.integrations.clone().map(|integrations| Keeper::new(shared, integrations));
    if let Some(keeper) = &mut keeper {
        keeper.look().await;
    }
    let start = Start::read(shared).await?;
    shared.monitor.set_accepting(true);
    shared.monitor.set_running(true);
    let (registries, sinks) = (shared.watches.all().len(), shared.routes.len());
    info!(registries, sinks, workers = shared.options.workers, "engine started");
    let mut dispatcher = Dispatcher::new(Arc::clone(shared), mode, start);
    let mut couriers = Couriers::start(shared);
    let mut shutdown = pin!(shutdown);
    let idle = dispatcher.run(shutdown.as_mut(), &couriers, keeper).await;
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
    /// What is worked for: the watches as they were when they were last looked at.
    watched: Snapshot,
    passes: JoinSet<()>,
    pass_tasks: HashMap<task::Id, Pass>,
    start: Start,
    jobs: JoinSet<()>,
    running: HashMap<task::Id, Running>,
    /// Registries of the store that are not watched: their jobs are somebody else's.
    foreign: HashSet<String>,
    /// There may be something to claim.
    look: bool,
}

/// The task that makes the passes over a registry.
struct Pass {
    registry: String,
    handle: AbortHandle,
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
            watched: Arc::clone(&start.watched),
            shared,
            mode,
            passes: JoinSet::new(),
            pass_tasks: HashMap::new(),
            foreign: std::mem::take(&mut start.foreign),
            start,
            jobs: JoinSet::new(),
            running: HashMap::new(),
            look: true,
        }
    }

    /// Runs; says whether it ended because there was nothing left to do.
    async fn run(
        &mut self,
        mut shutdown: Pin<&mut impl Future<Output = ()>>,
        couriers: &Couriers,
        keeper: Option<Keeper>,
    ) -> bool {
        let shared = Arc::clone(&self.shared);
        let mut heartbeat = tokio::time::interval(shared.options.lease / 3);
        heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut deadline: Option<Instant> = None;
        let mut changed = shared.watches.subscribe();
        for registry in Arc::clone(&self.watched).keys() {
            self.reconcile(registry, Duration::ZERO);
        }
        // What came or went since the start was read.
        self.follow().await;
        // Ends with this function, whichever way that ends.
        let mut chores = JoinSet::new();
        if let (Mode::Forever, Some(retention)) = (self.mode, shared.options.retention.clone()) {
            chores.spawn(upkeep(Arc::clone(&shared), retention));
        }
        // Dropped at the end of a run that makes one pass, which is about what there is at its beginning.
        if let (Mode::Forever, Some(keeper)) = (self.mode, keeper) {
            chores.spawn(keeper.keep());
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
                    // The keeper among them, with the queues of integrations.
                    chores.abort_all();
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
                Ok(()) = changed.changed(), if !stopping => self.follow().await,
                () = hint(&shared), if claims => self.look = true,
            }
        }
    }

    fn free(&self) -> usize {
        self.shared.options.workers.saturating_sub(self.running.len())
    }

    /// Starts the passes over a registry, after a while.
    fn reconcile(&mut self, host: &str, after: Duration) {
        let Some(watch) = self.shared.watch(host) else { return };
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
        self.pass_tasks.insert(handle.id(), Pass { registry: host.to_owned(), handle });
    }

    /// Begins with what is watched since the last look, and ends what is watched no more, or otherwise.
    async fn follow(&mut self) {
        let now = self.shared.watches.all();
        let before = std::mem::replace(&mut self.watched, Arc::clone(&now));
        let is_as_before = |registry: &String| match (before.get(registry), now.get(registry)) {
            (Some(before), Some(now)) => Arc::ptr_eq(before, now),
            _ => false,
        };
        for registry in before.keys().filter(|registry| !is_as_before(registry)) {
            self.stop_passes(registry);
            if !now.contains_key(registry) {
                self.foreign.insert(registry.clone());
                self.stop_jobs(registry);
            }
        }
        for registry in now.keys().filter(|registry| !is_as_before(registry)) {
            self.foreign.remove(registry);
            self.look = true;
            if let Err(error) = self.start.learn(&self.shared, registry).await {
                // What is there is known by its digest all the same.
                warn!(registry, error = chain(&error), "store not read for a registry that is watched now");
            }
            self.reconcile(registry, Duration::ZERO);
        }
    }

    fn stop_passes(&mut self, registry: &str) {
        for pass in self.pass_tasks.values().filter(|pass| pass.registry == registry) {
            // A pass holds nothing that could be lost.
            pass.handle.abort();
        }
    }

    /// Stops the jobs of a registry; they are given back when they have ended.
    fn stop_jobs(&mut self, registry: &str) {
        for running in self.running.values().filter(|running| running.job.work.repository().registry == registry) {
            running.handle.abort();
        }
    }

    fn pass_ended(&mut self, ended: Result<(task::Id, ()), JoinError>, stopping: bool) {
        let (id, panic) = match ended {
            Ok((id, ())) => (id, None),
            Err(error) => (error.id(), error.try_into_panic().ok()),
        };
        self.look = true;
        let Some(Pass { registry: host, .. }) = self.pass_tasks.remove(&id) else { return };
        let Some(payload) = panic else { return };
        let trouble = Trouble::panic(payload.as_ref());
        error!(registry = host, reason = %trouble.reason, "reconcile pass panicked");
        let error = LastError { at: self.shared.clock.now(), reason: trouble.reason };
        self.shared.monitor.registry(&host, |status| status.last_error = Some(error));
        self.shared.monitor.count(|counters| counters.failed_passes += 1);
        let is_replaced = self.pass_tasks.values().any(|pass| pass.registry == host);
        if self.mode == Mode::Forever && !stopping && !is_replaced {
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
        let Some(watch) = self.shared.watch(registry) else {
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
        let Some(error) = error.filter(|_| !running.lost) else { return };
        let watch = self.shared.watch(&running.job.work.repository().registry);
        let (Ok(payload), Some(watch)) = (error.try_into_panic(), watch) else {
            // Stopped, because its registry is watched no more.
            return self.release(&running.job).await;
        };
        let patient = self.mode == Mode::Forever;
        job::fail(&self.shared, &watch, &running.job, &Trouble::panic(payload.as_ref()), patient).await;
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
        for registry in self.watched.keys() {
            for state in [JobState::Queued, JobState::Running] {
                let filter = JobFilter { state: Some(state), registry: Some(registry.clone()), ..JobFilter::default() };
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
