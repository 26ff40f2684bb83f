//! The order and the number of jobs.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use super::fixture::{LEASE, MINUTE, claim, claim_one, failure, names, push, refresh, repository};
use super::{Outcome, Subject, refused};
use crate::change::Change;
use crate::error::ErrorKind;
use crate::inventory::PlaceFilter;
use crate::job::{Claim, Disposition, Enqueued, JobFilter, JobState, Lane, NewJob, OnDead, Retry, Work};
use crate::page::Page;
use supercargo_index::{ImageMetadata, Source};

pub(super) async fn lanes_are_served_in_order(subject: &Subject) -> Outcome {
    let store = &*subject.store;
    let lanes = [Lane::Reindex, Lane::Backfill, Lane::Push, Lane::Reconcile, Lane::Push];
    let job = |(number, lane): (usize, &Lane)| NewJob::new(refresh(&number.to_string()), *lane);
    store.enqueue(lanes.iter().enumerate().map(job).collect()).await?;
    let mut served = names(&claim(store, 2).await?);
    served.extend(names(&claim(store, 10).await?));
    assert_eq!(served, [":2", ":4", ":3", ":1", ":0"]);
    Ok(())
}

pub(super) async fn the_same_work_is_one_job(subject: &Subject) -> Outcome {
    let store = &*subject.store;
    let backfill = NewJob::new(refresh("v1"), Lane::Backfill);
    let other = NewJob::new(refresh("v2"), Lane::Reconcile);
    let enqueued = store.enqueue(vec![backfill, other, push("v1")]).await?;
    let [Enqueued::New(first), Enqueued::New(_), Enqueued::Waiting(again)] = enqueued[..] else {
        panic!("{enqueued:?}");
    };
    assert_eq!(first, again);
    // The push made the waiting job urgent.
    assert_eq!(names(&claim(store, 10).await?), [":v1", ":v2"]);
    Ok(())
}

pub(super) async fn work_that_is_asked_for_while_it_runs_is_done_again(subject: &Subject) -> Outcome {
    let store = &*subject.store;
    store.enqueue(vec![push("v1")]).await?;
    let job = claim_one(store).await?;
    let enqueued = store.enqueue(vec![push("v1"), NewJob::new(refresh("v1"), Lane::Reconcile)]).await?;
    assert_eq!(enqueued, [Enqueued::Again(job.lease.job), Enqueued::Again(job.lease.job)]);
    assert_eq!(claim(store, 10).await?, [], "the same work is never done twice at a time");
    store.complete(job.lease, Vec::new()).await?;

    let again = claim_one(store).await?;
    assert_eq!((again.work.clone(), again.attempt, again.lane), (job.work, 1, Lane::Push));
    assert_ne!(again.lease.epoch, job.lease.epoch);
    store.complete(again.lease, Vec::new()).await?;
    assert_eq!(claim(store, 10).await?, [], "asked for twice meanwhile, done once more");

    let later = store.enqueue(vec![push("v1")]).await?;
    assert!(matches!(later[..], [Enqueued::New(_)]), "{later:?}");
    Ok(())
}

pub(super) async fn a_claim_leaves_alone_what_it_is_told_to(subject: &Subject) -> Outcome {
    let store = &*subject.store;
    let elsewhere = crate::RepositoryName::new("other.example", "app");
    let away = NewJob::new(Work::Refresh { repository: elsewhere, reference: None }, Lane::Push);
    let backfill = NewJob::new(refresh("old"), Lane::Backfill);
    store.enqueue(vec![away, backfill, push("new")]).await?;

    let all = Claim::new("worker", LEASE).with_limit(10);
    let except = Claim { except_registries: vec!["other.example".to_owned()], ..all.clone() };
    let urgent = Claim { lanes: vec![Lane::Push, Lane::Reconcile], ..except.clone() };
    assert_eq!(names(&store.claim(&urgent).await?), [":new"]);
    assert_eq!(names(&store.claim(&except).await?), [":old"]);
    assert_eq!(names(&store.claim(&all).await?), [""]);
    Ok(())
}

pub(super) async fn delayed_work_waits(subject: &Subject) -> Outcome {
    let store = &*subject.store;
    store.enqueue(vec![push("v1").with_delay(10 * MINUTE)]).await?;
    assert_eq!(claim(store, 10).await?, []);
    subject.clock.advance(11 * MINUTE);
    assert_eq!(names(&claim(store, 10).await?), [":v1"]);

    store.enqueue(vec![push("v2").with_delay(10 * MINUTE)]).await?;
    store.enqueue(vec![push("v2")]).await?;
    assert_eq!(names(&claim(store, 10).await?), [":v2"], "the sooner wish counts");
    Ok(())
}

pub(super) async fn a_back_off_holds_against_pollers_and_yields_to_a_push(subject: &Subject) -> Outcome {
    let store = &*subject.store;
    store.enqueue(vec![push("v1")]).await?;
    let job = claim_one(store).await?;
    let disposition = store.fail(job.lease, failure(Retry::After(10 * MINUTE)), Vec::new()).await?;
    assert!(matches!(disposition, Disposition::Retry(_)), "{disposition:?}");

    store.enqueue(vec![NewJob::new(refresh("v1"), Lane::Reconcile)]).await?;
    assert_eq!(claim(store, 10).await?, []);

    store.enqueue(vec![push("v1")]).await?;
    let job = claim_one(store).await?;
    assert_eq!(job.attempt, 1, "a push starts anew");
    assert_eq!(job.last_error.map(|reason| reason.kind).as_deref(), Some("unavailable"));
    Ok(())
}

pub(super) async fn a_postponed_attempt_does_not_count(subject: &Subject) -> Outcome {
    let store = &*subject.store;
    store.enqueue(vec![push("v1").with_max_attempts(1)]).await?;
    for _ in 0..3 {
        let job = claim_one(store).await?;
        assert_eq!(job.attempt, 1);
        let disposition = store.fail(job.lease, failure(Retry::Postpone(MINUTE)), Vec::new()).await?;
        assert!(matches!(disposition, Disposition::Retry(_)), "{disposition:?}");
        assert_eq!(claim(store, 10).await?, []);
        subject.clock.advance(2 * MINUTE);
    }
    Ok(())
}

pub(super) async fn a_poison_job_becomes_a_dead_letter_and_others_go_on(subject: &Subject) -> Outcome {
    let store = &*subject.store;
    store.enqueue(vec![push("poison").with_max_attempts(3), push("good")]).await?;
    let mut ends = Vec::new();
    for _ in 0..4 {
        for job in claim(store, 10).await? {
            if names(std::slice::from_ref(&job)) == [":good"] {
                store.complete(job.lease, Vec::new()).await?;
                ends.push("good".to_owned());
                continue;
            }
            let disposition = store.fail(job.lease, failure(Retry::After(MINUTE)), Vec::new()).await?;
            ends.push(format!("{} {}", job.attempt, matches!(disposition, Disposition::Dead)));
        }
        subject.clock.advance(2 * MINUTE);
    }
    assert_eq!(ends, ["1 false", "good", "2 false", "3 true"]);

    let dead = store.jobs(&JobFilter::dead(), &Page::default()).await?.items;
    assert_eq!(dead.len(), 1);
    assert_eq!((dead[0].state, dead[0].attempt), (JobState::Dead, 3));
    assert_eq!(dead[0].last_error.as_ref().map(|reason| reason.kind.as_str()), Some("unavailable"));
    assert!(dead[0].finished_at.is_some());
    Ok(())
}

pub(super) async fn a_dead_letter_comes_back_when_it_is_wanted(subject: &Subject) -> Outcome {
    let store = &*subject.store;
    store.enqueue(vec![NewJob::new(refresh("v1"), Lane::Backfill)]).await?;
    let give_up = async || {
        let job = claim_one(store).await?;
        store.fail(job.lease, failure(Retry::Never), Vec::new()).await.map(|end| (job.lease.job, end))
    };
    let (id, end) = give_up().await?;
    assert_eq!(end, Disposition::Dead);

    let poller = NewJob::new(refresh("v1"), Lane::Reconcile);
    assert_eq!(store.enqueue(vec![poller.clone()]).await?, [Enqueued::Dead(id)]);
    assert_eq!(claim(store, 10).await?, []);
    assert_eq!(store.enqueue(vec![poller.with_on_dead(OnDead::Revive)]).await?, [Enqueued::Revived(id)]);
    give_up().await?;
    assert_eq!(store.enqueue(vec![push("v1")]).await?, [Enqueued::Revived(id)]);
    give_up().await?;

    store.retry(id).await?;
    let job = claim_one(store).await?;
    assert_eq!((job.lease.job, job.attempt, job.lane), (id, 1, Lane::Push));
    store.complete(job.lease, Vec::new()).await?;
    assert_eq!(refused(store.retry(id).await), ErrorKind::NotFound);
    Ok(())
}

pub(super) async fn a_failed_completion_changes_nothing(subject: &Subject) -> Outcome {
    let store = &*subject.store;
    store.enqueue(vec![push("v1")]).await?;
    let job = claim_one(store).await?;
    let directory = ImageMetadata {
        source: Source::Directory { path: "/".to_owned(), size: 0 },
        ..super::fixture::image(1, Vec::new())
    };
    let changes = vec![
        Change::RepositorySeen { repository: repository("app") },
        Change::Enqueue(push("v2")),
        Change::Image { repository: repository("app"), metadata: Box::new(directory) },
    ];
    assert_eq!(refused(store.complete(job.lease, changes.clone()).await), ErrorKind::Invalid);
    assert_eq!(refused(store.apply(changes).await), ErrorKind::Invalid);
    assert_eq!(claim(store, 10).await?, [], "neither the job nor what should follow is in the queue");
    assert_eq!(store.repositories(&PlaceFilter::default(), &Page::default()).await?.items, []);
    store.complete(job.lease, Vec::new()).await
}

pub(super) async fn what_follows_is_enqueued_with_the_completion(subject: &Subject) -> Outcome {
    let store = &*subject.store;
    store.enqueue(vec![push("v1")]).await?;
    let job = claim_one(store).await?;
    // Also the job's own work: it is not running any more when the changes are applied.
    store.complete(job.lease, vec![Change::Enqueue(push("v2")), Change::Enqueue(push("v1"))]).await?;
    assert_eq!(names(&claim(store, 10).await?), [":v2", ":v1"]);
    Ok(())
}

pub(super) async fn lanes_are_counted(subject: &Subject) -> Outcome {
    let store = &*subject.store;
    let backfill = |tag: &str| NewJob::new(refresh(tag), Lane::Backfill);
    store.enqueue(vec![push("running"), push("ready"), push("later").with_delay(60 * MINUTE)]).await?;
    store.enqueue(vec![backfill("dead")]).await?;
    let mut jobs = claim(store, 3).await?;
    let dead = jobs.pop().expect("three jobs were ready");
    store.fail(dead.lease, failure(Retry::Never), Vec::new()).await?;
    store.release(jobs.pop().expect("two jobs are left").lease).await?;
    subject.clock.advance(Duration::from_secs(30));

    let stats = store.queue_stats().await?;
    assert_eq!(stats.iter().map(|lane| lane.lane).collect::<Vec<_>>(), Lane::ALL);
    let push = stats[0];
    assert_eq!((push.ready, push.delayed, push.running, push.dead), (1, 1, 1, 0));
    let oldest = push.oldest_ready.expect("a job is ready");
    assert!((30..60).contains(&oldest.as_secs()), "{oldest:?}");
    assert_eq!((stats[2].ready, stats[2].dead, stats[2].oldest_ready), (0, 1, None));
    Ok(())
}

pub(super) async fn jobs_are_listed_in_pages(subject: &Subject) -> Outcome {
    let store = &*subject.store;
    store.enqueue((0..5).map(|number| push(&number.to_string())).collect()).await?;
    let mut page = Page::first(2);
    let mut seen = Vec::new();
    loop {
        let listing = store.jobs(&JobFilter::default(), &page).await?;
        seen.extend(listing.items.iter().map(|job| job.work.reference().expect("a tag").to_string()));
        let Some(next) = listing.next else { break };
        page = Page::after(next, 2);
    }
    assert_eq!(seen, [":4", ":3", ":2", ":1", ":0"]);
    let none = JobFilter { registry: Some("other.example".to_owned()), ..JobFilter::default() };
    assert_eq!(store.jobs(&none, &Page::default()).await?.items, []);
    let all = store.jobs(&JobFilter::default(), &Page::default()).await?.items;
    let one = JobFilter { job: Some(all[2].id), ..JobFilter::default() };
    assert_eq!(store.jobs(&one, &Page::default()).await?.items, [all[2].clone()]);
    let other = JobFilter { job: Some(all[2].id), ..none };
    assert_eq!(store.jobs(&other, &Page::default()).await?.items, []);
    Ok(())
}

pub(super) async fn a_waiting_worker_is_woken(subject: &Subject) -> Outcome {
    let store = Arc::clone(&subject.store);
    let waiting = tokio::spawn(async move {
        while claim(&*store, 1).await?.is_empty() {
            store.wait_for_work(60 * MINUTE).await?;
        }
        Ok(())
    });
    subject.store.enqueue(vec![push("v1")]).await?;
    let woken = tokio::time::timeout(Duration::from_secs(20), waiting).await;
    woken.expect("the worker is woken").expect("the worker does not panic")
}

pub(super) async fn a_waiting_worker_is_woken_when_a_delay_ends(subject: &Subject) -> Outcome {
    let store = &*subject.store;
    store.enqueue(vec![push("v1").with_delay(Duration::from_millis(200))]).await?;
    let work = async {
        while claim(store, 1).await?.is_empty() {
            store.wait_for_work(60 * MINUTE).await?;
        }
        Ok(())
    };
    tokio::time::timeout(Duration::from_secs(20), work).await.expect("the worker is woken")
}

pub(super) async fn many_claimers_do_each_job_once(subject: &Subject) -> Outcome {
    const JOBS: u32 = 2000;
    subject.store.enqueue((0..JOBS).map(|number| push(&number.to_string())).collect()).await?;
    let worker = |name: &'static str| {
        let store = Arc::clone(&subject.store);
        tokio::spawn(async move {
            let mut done = Vec::new();
            loop {
                let jobs = store.claim(&Claim::new(name, 10 * LEASE).with_limit(16)).await?;
                if jobs.is_empty() {
                    return Ok::<_, crate::Error>(done);
                }
                for job in jobs {
                    store.complete(job.lease, Vec::new()).await?;
                    done.push(job.lease.job);
                }
            }
        })
    };
    let workers = [worker("a"), worker("b"), worker("c")];
    let mut done: HashMap<_, u32> = HashMap::new();
    for worker in workers {
        for job in worker.await.expect("the worker does not panic")? {
            *done.entry(job).or_default() += 1;
        }
    }
    assert_eq!(done.len(), JOBS as usize);
    assert!(done.values().all(|times| *times == 1));
    Ok(())
}
