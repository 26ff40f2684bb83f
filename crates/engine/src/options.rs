//! How an engine works.

use std::time::Duration;

use supercargo_store::{NewJob, Retention};

use crate::Backoff;

/// How an engine works. Every number is a setting with a reason for its default.
#[derive(Clone, Debug)]
pub struct Options {
    /// The engine's name among all that share the store. The same after a restart, and no other's: what it held
    /// before a crash is taken back at once under this name.
    pub name: String,
    /// Jobs done at one time.
    pub workers: usize,
    /// Time from the end of one reconcile pass to the start of the next.
    pub interval: Duration,
    /// How long a claimed job stays claimed without a heartbeat; heartbeats come at a third of it. It bounds how long
    /// a job waits after its engine was killed and did not come back.
    pub lease: Duration,
    /// How often the queue is looked at when nothing announces work: the delay of jobs that other processes enqueue
    /// and of back-offs that end.
    pub poll: Duration,
    /// How long to wait, after an event that others about the same push usually follow, before anything is fetched.
    pub debounce: Duration,
    /// How long running jobs may go on after a stop was asked for.
    pub grace: Duration,
    /// What happens to jobs that fail.
    pub retry: RetryPolicy,
    /// Deliver nothing, and have nothing wait for delivery; say what would be sent instead.
    pub dry_run: bool,
    /// What is kept how long; `None` keeps everything.
    pub retention: Option<Retention>,
    /// How long it may take until a tag that was never seen to move is asked for again, if the registry's lists do not
    /// say what tags point at. Events do not wait for it. [`Duration::ZERO`] asks for every tag in every pass.
    pub sweep: Duration,
    /// Repositories that a reconcile pass looks at at one time.
    pub repositories: usize,
    /// How long after a pass found a push an event of it is still awaited, and how long before it one explains it. An
    /// integration whose events do not come in that time is degraded.
    pub event_patience: Duration,
    /// Requests that a reconcile pass has under way at one time for each of them while it asks what tags point at.
    pub lookups: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            name: "supercargo".to_owned(),
            workers: 3,
            interval: Duration::from_secs(60),
            lease: Duration::from_secs(30),
            poll: Duration::from_millis(500),
            debounce: Duration::from_secs(2),
            grace: Duration::from_secs(20),
            retry: RetryPolicy::default(),
            dry_run: false,
            retention: Some(Retention::default()),
            sweep: Duration::from_secs(15 * 60),
            repositories: 4,
            event_patience: Duration::from_secs(600),
            lookups: 4,
        }
    }
}

/// What happens to jobs that fail.
#[derive(Clone, Copy, Debug)]
pub struct RetryPolicy {
    /// Wait after a failed attempt.
    pub backoff: Backoff,
    /// Attempts of a job whose failure may pass.
    pub max_attempts: u32,
    /// Attempts of a job whose failure seldom passes: refused access, a blob that is not there.
    pub few_attempts: u32,
    /// Attempts of a job whose bytes were wrong: the first reading, and one afresh.
    pub reads: u32,
    /// How long a registry is left alone after it could not be reached.
    pub pause: Backoff,
    /// How long a registry is left alone after it refused the credentials. Longer: some registries lock accounts
    /// that keep trying.
    pub refused_pause: Backoff,
    /// How long a registry may be away before the jobs that wait for it are given up. They are tried again when it
    /// comes back; giving up only makes the loss visible.
    pub patience: Duration,
    /// The longest wait that a registry may ask for.
    pub longest_wait: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            backoff: Backoff { base: Duration::from_secs(2), cap: Duration::from_secs(300) },
            max_attempts: NewJob::MAX_ATTEMPTS,
            few_attempts: 3,
            reads: 2,
            pause: Backoff { base: Duration::from_secs(1), cap: Duration::from_secs(30) },
            refused_pause: Backoff { base: Duration::from_secs(30), cap: Duration::from_secs(600) },
            patience: Duration::from_secs(24 * 3600),
            longest_wait: Duration::from_secs(15 * 60),
        }
    }
}
