//! Asking the registry what is true for a tag, a manifest or a repository.

use std::time::Duration;

use supercargo_registry::ErrorKind;
use supercargo_registry::index::Digest;
use supercargo_store::{Change, Job, Lane, RepositoryName, TagOrDigest, Work};

use super::{Outcome, is_settled};
use crate::failure::Trouble;
use crate::reconcile::{Intent, RepositoryPass};
use crate::shared::{Shared, target};
use crate::{Progress, Watch};

pub(super) async fn run(
    shared: &Shared,
    watch: &Watch,
    job: &Job,
    name: &RepositoryName,
    reference: Option<&TagOrDigest>,
) -> Result<Outcome, Trouble> {
    let Some(reference) = reference else { return whole(shared, watch, job, name).await };
    let repository = Shared::repository(name)?;
    match watch.registry.resolve(&repository, &target(reference)?).await {
        Ok(descriptor) => found(shared, job, name, reference, descriptor.digest()).await,
        Err(error) if error.kind() == ErrorKind::NotFound => gone(shared, job, name, reference).await,
        Err(error) => Err(error.into()),
    }
}

/// A question about the manifest of a tag that went: it may have gone with it, and nothing else would say so.
pub(crate) fn manifest_of_gone_tag(name: &RepositoryName, digest: &Digest) -> Work {
    Work::Refresh { repository: name.clone(), reference: Some(TagOrDigest::Digest(digest.clone())) }
}

/// When a tag that a registry told of is looked at again, if it looks as it did before.
///
/// CNCF Distribution, and what embeds it, tells of a push before it writes the tag (`registry/handlers/manifests.go`:
/// the manifest is put, which notifies, and then tagged). On a file system that is a matter of microseconds, on an
/// object store of requests. Each look is less urgent than the one before, which also says how many there were.
fn look_again(shared: &Shared, job: &Job, outcome: &mut Outcome) {
    let (lane, delay) = match job.lane {
        Lane::Push => (Lane::Reconcile, Duration::from_millis(500)),
        Lane::Reconcile => (Lane::Backfill, Duration::from_secs(5)),
        Lane::Backfill | Lane::Reindex => return,
    };
    outcome.changes.push(Change::Enqueue(shared.job(job.work.clone(), lane).with_delay(delay)));
}

async fn found(
    shared: &Shared,
    job: &Job,
    name: &RepositoryName,
    reference: &TagOrDigest,
    digest: &Digest,
) -> Result<Outcome, Trouble> {
    let mut outcome = Outcome::default();
    // A manifest that is said to be deleted and is still there changes nothing.
    let TagOrDigest::Tag(tag) = reference else { return Ok(outcome) };
    let unchanged = shared.stored_tags(name).await?.get(tag) == Some(digest);
    if unchanged {
        look_again(shared, job, &mut outcome);
    }
    outcome.changes.push(Change::TagSeen {
        repository: name.clone(),
        tag: tag.clone(),
        digest: digest.clone(),
        pushed_at: None,
    });
    // Nothing is new: not what it points at, and not what that is. What was given up is tried again.
    let ledger = shared.store.ledger(shared.indexer.version(), std::slice::from_ref(digest)).await?;
    if unchanged && ledger.get(digest).is_some_and(is_settled) {
        return Ok(outcome);
    }
    // By digest, so that all tags of one image lead to one job. What is known by then costs one request.
    let work = Work::Index { repository: name.clone(), reference: TagOrDigest::Digest(digest.clone()) };
    outcome.changes.push(Change::Enqueue(shared.job(work.clone(), job.lane)));
    outcome.notice(Progress::Queued { work, lane: job.lane });
    Ok(outcome)
}

async fn gone(shared: &Shared, job: &Job, name: &RepositoryName, reference: &TagOrDigest) -> Result<Outcome, Trouble> {
    let stored = shared.stored_tags(name).await?;
    let mut outcome = Outcome::default();
    match reference {
        TagOrDigest::Tag(tag) => {
            let Some(digest) = stored.get(tag) else {
                look_again(shared, job, &mut outcome);
                return Ok(outcome);
            };
            outcome.changes.push(Change::TagGone { repository: name.clone(), tag: tag.clone() });
            outcome.changes.push(Change::Enqueue(shared.job(manifest_of_gone_tag(name, digest), job.lane)));
            outcome.changes.extend(shared.tell_tag_gone(name, tag, digest));
        }
        TagOrDigest::Digest(digest) => {
            // Of no effect for what is not a manifest of ours: registries announce deleted blobs the same way.
            outcome.changes.push(Change::ManifestGone { repository: name.clone(), digest: digest.clone() });
            let tags: Vec<&String> =
                stored.iter().filter(|(_, pointer)| *pointer == digest).map(|(tag, _)| tag).collect();
            let ledger = shared.store.ledger(shared.indexer.version(), std::slice::from_ref(digest)).await?;
            if tags.is_empty() && ledger.is_empty() {
                return Ok(outcome);
            }
            outcome.changes.extend(shared.tell_gone(name, digest, tags.iter().copied()));
            // Its tags are gone with it, unless one of them was moved before: the registry knows.
            for tag in tags {
                let reference = Some(TagOrDigest::Tag(tag.clone()));
                let work = Work::Refresh { repository: name.clone(), reference };
                outcome.changes.push(Change::Enqueue(shared.job(work, job.lane)));
            }
        }
    }
    outcome.notice(Progress::Gone { repository: name.clone(), reference: Some(reference.clone()) });
    Ok(outcome)
}

/// All tags of a repository.
async fn whole(shared: &Shared, watch: &Watch, job: &Job, name: &RepositoryName) -> Result<Outcome, Trouble> {
    let repository = Shared::repository(name)?;
    let intent = match &watch.enablement {
        Some(enablement) => Intent::of(enablement, &repository, job.lane, None),
        None => Intent { lane: job.lane, ..Intent::default() },
    };
    let pass = RepositoryPass::new(shared, watch, &repository, intent);
    match pass.run().await {
        Ok(passed) => {
            let mut outcome = Outcome::default();
            outcome.changes.extend(passed.seen);
            if let Some(enablement) = &watch.enablement {
                enablement.begun(&repository);
            }
            Ok(outcome)
        }
        // Only a repository that somebody named is missed when it is not there.
        Err(trouble) if trouble.reason.kind == ErrorKind::NotFound.as_str() => {
            let is_begun = watch.enablement.as_ref().is_some_and(|enablement| enablement.begins(&repository));
            let is_named = is_begun || watch.repositories.contains(&repository);
            if is_named { Err(trouble.into_final()) } else { Ok(Outcome::default()) }
        }
        Err(trouble) => Err(trouble),
    }
}
