//! One attempt of one job.

mod index;
mod refresh;

pub(crate) use self::index::is_settled;
pub(crate) use self::refresh::manifest_of_gone_tag;

use std::sync::Arc;

use supercargo_store::{Change, Disposition, ErrorKind, Failure, Job, Retry, TagOrDigest, Verdict, Work};
use tracing::{debug, error, info, warn};

use crate::failure::{Blame, Trouble};
use crate::shared::{Flight, Shared, away};
use crate::{Progress, Watch};

/// What an attempt learnt.
#[derive(Default)]
pub(crate) struct Outcome {
    /// Committed with the end of the job.
    changes: Vec<Change>,
    /// Told once that is done.
    notices: Vec<Progress>,
    /// Held until then, so that whoever waits for it finds the result in the ledger.
    flight: Option<Flight>,
}

impl Outcome {
    fn notice(&mut self, progress: Progress) {
        self.notices.push(progress);
    }
}

/// Makes one attempt. `patient` runs wait for registries that are away.
pub(crate) async fn attempt(shared: Arc<Shared>, watch: Arc<Watch>, job: Job, patient: bool) {
    if let Some(reason) = refusal(&watch, &job) {
        debug!(job = %job.lease.job, reason, "job of a repository that is not enabled left undone");
        // Nobody was asked, so this says nothing of the registry.
        if let Err(error) = shared.store.complete(job.lease, Vec::new()).await {
            debug!(job = %job.lease.job, %error, "job not ended, its lease will run out");
        }
        return;
    }
    let result = match &job.work {
        Work::Index { repository, reference } => index::run(&shared, &watch, &job, repository, reference).await,
        Work::Refresh { repository, reference } => {
            refresh::run(&shared, &watch, &job, repository, reference.as_ref()).await
        }
    };
    match result {
        Ok(outcome) => complete(&shared, &watch, &job, outcome, patient).await,
        Err(trouble) => fail(&shared, &watch, &job, &trouble, patient).await,
    }
}

/// Why nothing is done about a repository that has been disabled since the job was enqueued.
fn refusal(watch: &Watch, job: &Job) -> Option<String> {
    let repository = job.work.repository().repository.parse().ok()?;
    watch.enablement.as_ref()?.refusal(&repository)
}

async fn complete(shared: &Shared, watch: &Watch, job: &Job, outcome: Outcome, patient: bool) {
    let Outcome { mut changes, notices, flight } = outcome;
    if shared.registry_answered(watch.host()) {
        changes.push(Change::RegistryReached { registry: watch.host().to_owned() });
    }
    match shared.store.complete(job.lease, changes).await {
        Ok(()) => {
            for notice in notices {
                log(&notice);
                if let (true, Progress::Indexed { repository, digest, .. }) = (shared.options.dry_run, &notice) {
                    crate::delivery::rehearse(shared, repository, digest).await;
                }
                shared.monitor.tell(notice);
            }
        }
        Err(error) if error.kind() == ErrorKind::LeaseLost => lost(job),
        // The result is lost and its layers are cached, so the next attempt is a short one.
        Err(error) => fail(shared, watch, job, &Trouble::from(error), patient).await,
    }
    drop(flight);
}

/// Ends the attempt as a failure.
pub(crate) async fn fail(shared: &Shared, watch: &Watch, job: &Job, trouble: &Trouble, patient: bool) {
    let policy = &shared.options.retry;
    let blame = shared.blame(watch, trouble).await;
    let (mut pause, mut changes) = (std::time::Duration::ZERO, Vec::new());
    if blame == Blame::Registry {
        pause = shared.registry_failed(watch.host(), trouble);
        changes.push(away(watch.host(), &trouble.reason));
    }
    let mut retry = trouble.retry(policy, job.attempt, blame, pause, patient);
    if matches!(retry, Retry::Postpone(_)) && shared.health.outage(watch.host()) > policy.patience {
        retry = Retry::Never;
    }
    let last = match retry {
        Retry::Never => true,
        Retry::After(_) => job.attempt >= job.max_attempts,
        Retry::Postpone(_) => false,
    };
    let mut reason = trouble.reason.clone();
    reason.retryable &= !last;
    // What is the registry's or the store's fault says nothing about the image.
    if let (Work::Index { reference: TagOrDigest::Digest(digest), .. }, false) =
        (&job.work, matches!(retry, Retry::Postpone(_)))
    {
        changes.push(Change::Ledger {
            digest: digest.clone(),
            indexer: shared.indexer.version().to_owned(),
            verdict: Verdict::Failed(reason.clone()),
        });
    }
    // The dead letter keeps whether the cause might pass, so that a restart can tell which to try again.
    let failure = Failure { reason: trouble.reason.clone(), retry };
    match shared.store.fail(job.lease, failure, changes).await {
        Ok(disposition) => {
            let dead = disposition == Disposition::Dead;
            let notice =
                Progress::Failed { job: job.lease.job, work: job.work.clone(), attempt: job.attempt, reason, dead };
            log(&notice);
            shared.monitor.tell(notice);
        }
        Err(error) if error.kind() == ErrorKind::LeaseLost => lost(job),
        // Its lease will run out, and the job is claimed again: nothing is lost but time.
        Err(error) => {
            error!(job = %job.lease.job, %error, reason = %trouble.reason, "failed attempt not recorded");
        }
    }
}

fn lost(job: &Job) {
    warn!(job = %job.lease.job, work = job.work.dedupe_key(), "lease lost, result dropped");
}

fn log(notice: &Progress) {
    match notice {
        Progress::Indexed { repository, digest, platform, packages, duration, .. } => {
            info!(%repository, %digest, %platform, packages, ?duration, "image indexed");
        }
        Progress::Known { repository, digest } => debug!(%repository, %digest, "image known"),
        Progress::Expanded { repository, digest, images } => debug!(%repository, %digest, images, "index read"),
        Progress::Unsupported { repository, digest, reason } => {
            info!(%repository, %digest, reason, "manifest not supported");
        }
        Progress::Gone { repository, reference } => {
            let reference = reference.as_ref().map(ToString::to_string).unwrap_or_default();
            info!(%repository, reference, "gone");
        }
        Progress::Failed { job, work, attempt, reason, dead: true } => {
            error!(%job, work = work.dedupe_key(), attempt, %reason, "job given up");
        }
        Progress::Failed { job, work, attempt, reason, dead: false } => {
            warn!(%job, work = work.dedupe_key(), attempt, %reason, "attempt failed");
        }
        _ => {}
    }
}
