//! The queue: what is to be done, who does it, until when.

use std::fmt;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::event::EventId;
use crate::name::{Reason, RepositoryName, TagOrDigest};

/// Something to be done.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "work", rename_all = "lowercase")]
pub enum Work {
    /// Index what the reference leads to.
    Index {
        /// Where to fetch it from.
        repository: RepositoryName,
        /// What to index. A digest where it is known: the same content is then the same job.
        reference: TagOrDigest,
    },
    /// Ask the registry what is true for a repository, or for one tag or manifest of it.
    Refresh {
        /// The repository.
        repository: RepositoryName,
        /// The tag or manifest; `None` for all of the repository's tags.
        reference: Option<TagOrDigest>,
    },
}

impl Work {
    /// The repository it is about.
    pub fn repository(&self) -> &RepositoryName {
        match self {
            Self::Index { repository, .. } | Self::Refresh { repository, .. } => repository,
        }
    }

    /// The tag or manifest it is about.
    pub fn reference(&self) -> Option<&TagOrDigest> {
        match self {
            Self::Index { reference, .. } => Some(reference),
            Self::Refresh { reference, .. } => reference.as_ref(),
        }
    }

    /// `index` or `refresh`.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Index { .. } => "index",
            Self::Refresh { .. } => "refresh",
        }
    }

    /// The key under which requests for the same work are one job.
    pub fn dedupe_key(&self) -> String {
        match self.reference() {
            Some(reference) => format!("{} {}{reference}", self.kind(), self.repository()),
            None => format!("{} {}", self.kind(), self.repository()),
        }
    }
}

/// How urgent a job is. A free worker takes the oldest job of the most urgent lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum Lane {
    /// Somebody has just pushed or deleted, or asks now.
    Push,
    /// A reconcile pass found what events missed.
    Reconcile,
    /// Images that were there before the watcher.
    Backfill,
    /// Indexed before, by an older indexer.
    Reindex,
}

impl Lane {
    /// All lanes, the most urgent first.
    pub const ALL: [Self; 4] = [Self::Push, Self::Reconcile, Self::Backfill, Self::Reindex];

    /// A stable identifier, for metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Push => "push",
            Self::Reconcile => "reconcile",
            Self::Backfill => "backfill",
            Self::Reindex => "reindex",
        }
    }

    pub(crate) const fn rank(self) -> i64 {
        self as i64
    }

    pub(crate) fn from_rank(rank: i64) -> Option<Self> {
        Self::ALL.into_iter().find(|lane| lane.rank() == rank)
    }
}

/// A job's number, never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(transparent)]
pub struct JobId(pub i64);

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What a request does to a job of the same work that was given up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnDead {
    /// Try again from the first attempt: something has changed, or someone wants it.
    #[default]
    Revive,
    /// Leave it where it is: nothing has changed since.
    Keep,
}

/// A request for work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewJob {
    /// What to do.
    pub work: Work,
    /// How urgently.
    pub lane: Lane,
    /// Not before this time has passed.
    pub delay: Duration,
    /// Attempts until it is given up, at least one.
    pub max_attempts: u32,
    /// What happens if the same work was given up before.
    pub on_dead: OnDead,
}

impl NewJob {
    /// Attempts of a job unless [`NewJob::max_attempts`] is set: with a doubling back-off from some seconds on,
    /// about ten minutes of trying.
    pub const MAX_ATTEMPTS: u32 = 8;

    /// `work`, as soon as `lane` permits. Reconcile passes leave dead jobs alone (they would bring every
    /// poison image back with each poll); all else revives them.
    pub fn new(work: Work, lane: Lane) -> Self {
        let on_dead = if lane == Lane::Reconcile { OnDead::Keep } else { OnDead::Revive };
        Self { work, lane, delay: Duration::ZERO, max_attempts: Self::MAX_ATTEMPTS, on_dead }
    }

    /// The same, not before `delay` has passed.
    #[must_use]
    pub fn with_delay(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    /// The same, with another number of attempts.
    #[must_use]
    pub fn with_max_attempts(mut self, max_attempts: u32) -> Self {
        self.max_attempts = max_attempts;
        self
    }

    /// The same, with another rule for work that was given up before.
    #[must_use]
    pub fn with_on_dead(mut self, on_dead: OnDead) -> Self {
        self.on_dead = on_dead;
        self
    }
}

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Enqueued {
    /// A job of its own.
    New(JobId),
    /// The same work was waiting already.
    Waiting(JobId),
    /// The same work is being done now and will be done once more afterwards, because what it has read may be
    /// older than the request.
    Again(JobId),
    /// The same work had been given up and is tried again.
    Revived(JobId),
    /// The same work had been given up, and stays so.
    Dead(JobId),
}

impl Enqueued {
    /// The job that answers the request.
    pub fn job(self) -> JobId {
        match self {
            Self::New(id) | Self::Waiting(id) | Self::Again(id) | Self::Revived(id) | Self::Dead(id) => id,
        }
    }
}

/// A worker's wish for work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// Who asks. Names need not be unique, but [`recover`](crate::Store::recover) takes a name's leases away.
    pub worker: String,
    /// How long the lease lasts without a heartbeat.
    pub lease: Duration,
    /// Jobs at most.
    pub limit: u32,
    /// Lanes to take from; empty for all.
    pub lanes: Vec<Lane>,
    /// Registries to leave alone for now: they are away, or asked for patience, or have their share of workers.
    pub except_registries: Vec<String>,
}

impl Claim {
    /// One job of any lane and registry.
    pub fn new(worker: impl Into<String>, lease: Duration) -> Self {
        Self { worker: worker.into(), lease, limit: 1, lanes: Vec::new(), except_registries: Vec::new() }
    }

    /// The same wish for up to `limit` jobs.
    #[must_use]
    pub fn with_limit(mut self, limit: u32) -> Self {
        self.limit = limit;
        self
    }
}

/// The right to finish one attempt of one job. Every claim raises the epoch, so a lease that was lost can
/// never be mistaken for its successor's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Lease {
    /// The job.
    pub job: JobId,
    /// The attempt's number among all that the job ever had.
    pub epoch: i64,
}

/// A claimed job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Job {
    /// The right to finish it.
    pub lease: Lease,
    /// What to do.
    pub work: Work,
    /// How urgent it is.
    pub lane: Lane,
    /// The number of this attempt, from 1.
    pub attempt: u32,
    /// Attempts until it is given up.
    pub max_attempts: u32,
    /// Why the last attempt failed.
    pub last_error: Option<Reason>,
    /// The event that asked for it, if one did.
    pub event: Option<EventId>,
    /// When it was first asked for.
    pub created_at: Timestamp,
    /// When the lease ends unless it is extended.
    pub lease_until: Timestamp,
}

/// What to do after a failed attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// Try again after this time, unless it was the last attempt.
    After(Duration),
    /// Try again after this time and do not count the attempt: the job is not to blame (the registry is away,
    /// or asked for patience).
    Postpone(Duration),
    /// Give up: the job becomes a dead letter.
    Never,
}

/// A failed attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Why.
    pub reason: Reason,
    /// What next.
    pub retry: Retry,
}

/// What became of a failed attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disposition {
    /// It is tried again at this time.
    Retry(Timestamp),
    /// It is given up.
    Dead,
}

/// Where a job (or a delivery) stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum JobState {
    /// Waiting for its time or for a worker.
    Queued,
    /// A worker has it.
    Running,
    /// Finished.
    Done,
    /// Given up: a dead letter.
    Dead,
}

impl JobState {
    /// The word that is stored.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Done => "done",
            Self::Dead => "dead",
        }
    }

    pub(crate) fn parse(word: &str) -> Option<Self> {
        [Self::Queued, Self::Running, Self::Done, Self::Dead].into_iter().find(|state| state.as_str() == word)
    }
}

/// A job as an operator sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct JobRecord {
    /// Its number.
    pub id: JobId,
    /// What is to be done.
    #[serde(flatten)]
    pub work: Work,
    /// How urgent it is.
    pub lane: Lane,
    /// Where it stands.
    pub state: JobState,
    /// Attempts so far.
    pub attempt: u32,
    /// Attempts until it is given up.
    pub max_attempts: u32,
    /// Not before this time.
    pub run_at: Timestamp,
    /// The worker that has it.
    pub worker: Option<String>,
    /// When its lease ends.
    pub lease_until: Option<Timestamp>,
    /// It was asked for again while it ran.
    pub again: bool,
    /// Why the last attempt failed.
    pub last_error: Option<Reason>,
    /// The event that asked for it, if one did.
    pub event: Option<EventId>,
    /// When it was first asked for.
    pub created_at: Timestamp,
    /// When it was done or given up.
    pub finished_at: Option<Timestamp>,
}

/// Which jobs to list; empty for all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JobFilter {
    /// Only the one of this number.
    pub job: Option<JobId>,
    /// Only those in this state.
    pub state: Option<JobState>,
    /// Only those of this registry.
    pub registry: Option<String>,
}

impl JobFilter {
    /// The dead letters.
    pub fn dead() -> Self {
        Self { state: Some(JobState::Dead), ..Self::default() }
    }
}

/// How full one lane is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct LaneStats {
    /// The lane.
    pub lane: Lane,
    /// Jobs that wait for a worker.
    pub ready: u64,
    /// Jobs that wait for their time: a back-off, or a wished delay.
    pub delayed: u64,
    /// Jobs that a worker has.
    pub running: u64,
    /// Dead letters.
    pub dead: u64,
    /// How long the oldest ready job has been ready.
    pub oldest_ready: Option<Duration>,
}
