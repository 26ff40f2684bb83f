//! What an operator sees when something goes wrong.

use super::fixture::{INDEXER, MINUTE, claim_one, digest, failure, push, repository};
use super::inventory::tag_seen;
use super::{Outcome, Subject};
use crate::change::Change;
use crate::inventory::{Problem, ProblemFilter, ProblemState};
use crate::job::{Lane, NewJob, Retry, Work};
use crate::ledger::Verdict;
use crate::name::{Reason, TagOrDigest};
use crate::page::Page;
use crate::store::Store;

async fn problems(store: &dyn Store) -> crate::Result<Vec<Problem>> {
    Ok(store.problems(&ProblemFilter::default(), &Page::default()).await?.items)
}

fn unsupported(number: u32) -> Change {
    let reason = Reason::permanent("unsupported", "an encrypted layer");
    Change::Ledger { digest: digest(number), indexer: INDEXER.to_owned(), verdict: Verdict::Unsupported(reason) }
}

pub(super) async fn failed_jobs_are_problems_until_they_succeed(subject: &Subject) -> Outcome {
    let store = &*subject.store;
    store.enqueue(vec![push("v1").with_max_attempts(2)]).await?;
    let job = claim_one(store).await?;
    assert_eq!(problems(store).await?, []);
    store.fail(job.lease, failure(Retry::After(MINUTE)), Vec::new()).await?;

    let problem = problems(store).await?.remove(0);
    assert_eq!((problem.state, problem.attempt), (ProblemState::Retrying, 1));
    assert_eq!((problem.repository, problem.tag.as_deref()), (repository("app"), Some("v1")));
    assert_eq!((problem.reason.kind.as_str(), problem.job), ("unavailable", Some(job.lease.job)));
    assert!(problem.next_try.is_some_and(|next| next > problem.at));

    subject.clock.advance(2 * MINUTE);
    let job = claim_one(store).await?;
    assert_eq!(problems(store).await?.len(), 1, "it is being tried and is not solved yet");
    store.fail(job.lease, failure(Retry::After(MINUTE)), Vec::new()).await?;
    let problem = problems(store).await?.remove(0);
    assert_eq!((problem.state, problem.next_try), (ProblemState::Failed, None));

    store.retry(job.lease.job).await?;
    let job = claim_one(store).await?;
    store.complete(job.lease, Vec::new()).await?;
    assert_eq!(problems(store).await?, []);
    Ok(())
}

pub(super) async fn unsupported_manifests_are_problems(subject: &Subject) -> Outcome {
    let store = &*subject.store;
    store.apply(vec![tag_seen("app", "v1", &digest(1)), unsupported(1)]).await?;
    let problem = problems(store).await?.remove(0);
    assert_eq!((problem.state, problem.digest), (ProblemState::Unsupported, Some(digest(1))));
    assert_eq!((problem.repository, problem.tag.as_deref()), (repository("app"), Some("v1")));
    assert_eq!(problem.reason.message, "an encrypted layer");

    // A job about the same manifest says more.
    let reference = TagOrDigest::Digest(digest(1));
    let work = Work::Index { repository: repository("app"), reference };
    store.enqueue(vec![NewJob::new(work, Lane::Push)]).await?;
    let job = claim_one(store).await?;
    store.fail(job.lease, failure(Retry::Never), Vec::new()).await?;
    let told = problems(store).await?;
    assert_eq!(told.iter().map(|one| one.reason.kind.as_str()).collect::<Vec<_>>(), ["unavailable"]);
    assert_eq!(told[0].tag.as_deref(), Some("v1"), "a person knows images by their tags");
    store.retry(job.lease.job).await?;
    let job = claim_one(store).await?;
    store.complete(job.lease, Vec::new()).await?;
    assert_eq!(problems(store).await?.len(), 1);

    // A later indexer can do it.
    subject.clock.advance(MINUTE);
    let indexed = Change::Ledger { digest: digest(1), indexer: "2-def".to_owned(), verdict: Verdict::Indexed };
    store.apply(vec![indexed]).await?;
    assert_eq!(problems(store).await?, []);
    Ok(())
}

pub(super) async fn problems_of_gone_things_are_over(subject: &Subject) -> Outcome {
    let store = &*subject.store;
    let by_digest = Work::Index { repository: repository("app"), reference: TagOrDigest::Digest(digest(2)) };
    let whole = Work::Refresh { repository: repository("app"), reference: None };
    store.apply(vec![tag_seen("app", "x", &digest(1)), unsupported(1)]).await?;
    store.enqueue(vec![push("v1"), NewJob::new(by_digest, Lane::Push), NewJob::new(whole, Lane::Push)]).await?;
    for _ in 0..3 {
        let job = claim_one(store).await?;
        store.fail(job.lease, failure(Retry::Never), Vec::new()).await?;
    }
    let app = || repository("app");
    let mut left = vec![problems(store).await?.len()];
    for gone in [
        Change::TagGone { repository: app(), tag: "v1".to_owned() },
        Change::ManifestGone { repository: app(), digest: digest(2) },
        Change::ManifestGone { repository: app(), digest: digest(1) },
        Change::RepositoryGone { repository: app() },
    ] {
        store.apply(vec![gone]).await?;
        left.push(problems(store).await?.len());
    }
    assert_eq!(left, [4, 3, 2, 1, 0]);
    Ok(())
}

pub(super) async fn problems_come_in_pages(subject: &Subject) -> Outcome {
    let store = &*subject.store;
    store.enqueue(vec![push("v1"), push("v2")]).await?;
    for _ in 0..2 {
        let job = claim_one(store).await?;
        store.fail(job.lease, failure(Retry::Never), Vec::new()).await?;
    }
    store.apply(vec![tag_seen("app", "v3", &digest(3)), tag_seen("copy", "v3", &digest(3)), unsupported(3)]).await?;
    let mut page = Page::first(1);
    let mut seen = Vec::new();
    loop {
        let listing = store.problems(&ProblemFilter::default(), &page).await?;
        seen.extend(listing.items.into_iter().map(|one| (one.repository.repository, one.tag)));
        let Some(next) = listing.next else { break };
        page = Page::after(next, 1);
    }
    seen.sort();
    let expected = [("app", "v1"), ("app", "v2"), ("app", "v3"), ("copy", "v3")];
    assert_eq!(seen, expected.map(|(name, tag)| (name.to_owned(), Some(tag.to_owned()))));

    let copy = ProblemFilter { repository: Some("copy".to_owned()), ..ProblemFilter::default() };
    assert_eq!(store.problems(&copy, &Page::default()).await?.items.len(), 1);
    let failed = ProblemFilter { state: Some(ProblemState::Failed), ..ProblemFilter::default() };
    assert_eq!(store.problems(&failed, &Page::default()).await?.items.len(), 2);
    Ok(())
}
