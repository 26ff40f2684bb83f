//! What jobs and deliveries have in common: they wait, are leased, and end.

use std::time::Duration;

use crate::clock::millis;
use crate::error::{Error, ErrorKind, Result};
use crate::job::{Disposition, Failure, JobState, Retry};
use crate::name::Reason;

/// The life of a job or a delivery.
#[derive(Clone, Debug)]
pub(super) struct Life {
    pub(super) id: i64,
    pub(super) dedupe_key: String,
    pub(super) state: JobState,
    /// The rank of a job's lane; 0 for deliveries.
    pub(super) lane: i64,
    pub(super) attempt: u32,
    pub(super) max_attempts: u32,
    pub(super) run_at: i64,
    /// The lane by which it was asked for again while it ran.
    pub(super) again: Option<i64>,
    pub(super) lease: Option<Held>,
    pub(super) epoch: i64,
    pub(super) changed_at: i64,
    pub(super) error: Option<(Reason, i64)>,
    pub(super) created_at: i64,
    pub(super) finished_at: Option<i64>,
}

/// Who has it until when.
#[derive(Clone, Debug)]
pub(super) struct Held {
    pub(super) owner: String,
    pub(super) until: i64,
}

impl Life {
    pub(super) fn new(id: i64, dedupe_key: String, lane: i64, max_attempts: u32, run_at: i64, now: i64) -> Self {
        Self {
            id,
            dedupe_key,
            state: JobState::Queued,
            lane,
            attempt: 0,
            max_attempts: max_attempts.max(1),
            run_at,
            again: None,
            lease: None,
            epoch: 0,
            changed_at: now,
            error: None,
            created_at: now,
            finished_at: None,
        }
    }

    pub(super) fn is_live(&self, dedupe_key: &str) -> bool {
        self.state != JobState::Done && self.dedupe_key == dedupe_key
    }

    pub(super) fn is_ready(&self, now: i64) -> bool {
        self.state == JobState::Queued && self.run_at <= now
    }

    /// The next time at which something happens to it by itself.
    pub(super) fn due(&self) -> Option<i64> {
        match self.state {
            JobState::Queued => Some(self.run_at),
            JobState::Running => self.lease.as_ref().map(|lease| lease.until),
            JobState::Done | JobState::Dead => None,
        }
    }

    /// What a claim does before it looks for work: see the SQLite twin.
    pub(super) fn sweep(&mut self, now: i64) {
        if matches!(self.state, JobState::Queued | JobState::Running) && self.changed_at > now {
            let ahead = self.changed_at - now;
            self.run_at -= ahead;
            if let Some(lease) = &mut self.lease {
                lease.until -= ahead;
            }
            self.changed_at = now;
        }
        let Some(lease) = self.lease.take_if(|lease| lease.until <= now) else { return };
        let message = format!("worker {} neither finished in time nor said that it is alive", lease.owner);
        self.error = Some((Reason::transient("lease-expired", message), now));
        let retry = self.attempt < self.max_attempts;
        self.end_attempt(retry, now, now);
    }

    pub(super) fn claim(&mut self, owner: &str, lease: Duration, now: i64) {
        self.state = JobState::Running;
        self.attempt += 1;
        self.epoch += 1;
        self.lease = Some(Held { owner: owner.to_owned(), until: now + millis(lease) });
        self.changed_at = now;
    }

    /// Takes the lease away if it is the caller's and has not run out.
    fn take(&mut self, epoch: i64, now: i64) -> Result<Held> {
        let held = self.epoch == epoch && self.lease.as_ref().is_some_and(|lease| lease.until > now);
        let lost = || Error::new(ErrorKind::LeaseLost, "use lease").with_context(self.id);
        if !held {
            return Err(lost());
        }
        self.lease.take().ok_or_else(lost)
    }

    pub(super) fn check(&self, epoch: i64, now: i64) -> Result<()> {
        self.clone().take(epoch, now).map(drop)
    }

    pub(super) fn heartbeat(&mut self, epoch: i64, duration: Duration, now: i64) -> Result<()> {
        let Held { owner, .. } = self.take(epoch, now)?;
        self.lease = Some(Held { owner, until: now + millis(duration) });
        self.changed_at = now;
        Ok(())
    }

    pub(super) fn complete(&mut self, epoch: i64, now: i64) -> Result<()> {
        self.take(epoch, now)?;
        self.error = None;
        match self.again.take() {
            Some(lane) => {
                self.lane = self.lane.min(lane);
                self.attempt = 0;
                self.queue(now, now);
            }
            None => self.finish(JobState::Done, now),
        }
        Ok(())
    }

    pub(super) fn fail(&mut self, epoch: i64, failure: Failure, now: i64) -> Result<Disposition> {
        self.take(epoch, now)?;
        self.error = Some((failure.reason.cut(), now));
        match failure.retry {
            // A push that came meanwhile does not shorten the wait that the registry asked for.
            Retry::Postpone(delay) => {
                let fresh = self.again == Some(0);
                self.lane = self.lane.min(self.again.take().unwrap_or(self.lane));
                self.attempt = if fresh { 0 } else { self.attempt - 1 };
                self.queue(now + millis(delay), now);
            }
            Retry::After(delay) => self.end_attempt(self.attempt < self.max_attempts, now + millis(delay), now),
            Retry::Never => self.end_attempt(false, now, now),
        }
        if self.state == JobState::Queued {
            Ok(Disposition::Retry(crate::clock::timestamp(self.run_at)?))
        } else {
            Ok(Disposition::Dead)
        }
    }

    pub(super) fn release(&mut self, epoch: i64, now: i64) -> Result<()> {
        self.take(epoch, now)?;
        self.attempt -= 1;
        self.end_attempt(true, now, now);
        Ok(())
    }

    pub(super) fn retry(&mut self, now: i64) -> bool {
        if self.state != JobState::Dead {
            return false;
        }
        self.attempt = 0;
        self.lane = 0;
        self.queue(now, now);
        true
    }

    /// The attempt ended without success; the lease is gone. A push that came meanwhile starts anew.
    fn end_attempt(&mut self, retry: bool, run_at: i64, now: i64) {
        let again = self.again.take();
        if let Some(lane) = again {
            self.lane = self.lane.min(lane);
        }
        if again == Some(0) {
            self.attempt = 0;
            self.queue(now, now);
        } else if retry {
            self.queue(run_at, now);
        } else {
            self.finish(JobState::Dead, now);
        }
    }

    pub(super) fn queue(&mut self, run_at: i64, now: i64) {
        self.state = JobState::Queued;
        self.run_at = run_at;
        self.changed_at = now;
        self.finished_at = None;
    }

    pub(super) fn finish(&mut self, state: JobState, now: i64) {
        self.state = state;
        self.changed_at = now;
        self.finished_at = Some(now);
    }
}
