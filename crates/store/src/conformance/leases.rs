//! Who may finish a job.

use std::time::Duration;

use super::fixture::{LEASE, MINUTE, claim, claim_one, failure, names, push, refresh, repository};
use super::{Outcome, Subject, refused};
use crate::change::Change;
use crate::error::ErrorKind;
use crate::inventory::PlaceFilter;
use crate::job::{Claim, JobFilter, Lane, NewJob, Retry};
use crate::page::Page;

pub(super) async fn a_lost_lease_writes_nothing(subject: &Subject) -> Outcome {
    let store = &*subject.store;
    store.enqueue(vec![push("v1")]).await?;
    let late = claim_one(store).await?;
    subject.clock.advance(2 * LEASE);
    let current = claim_one(store).await?;
    assert_eq!((current.lease.job, current.attempt), (late.lease.job, 2));
    assert!(current.lease.epoch > late.lease.epoch);

    let seen = || vec![Change::RepositorySeen { repository: repository("late") }];
    assert_eq!(refused(store.heartbeat(late.lease, LEASE).await), ErrorKind::LeaseLost);
    assert_eq!(refused(store.complete(late.lease, seen()).await), ErrorKind::LeaseLost);
    assert_eq!(refused(store.fail(late.lease, failure(Retry::Never), seen()).await), ErrorKind::LeaseLost);
    assert_eq!(refused(store.release(late.lease).await), ErrorKind::LeaseLost);
    assert_eq!(store.repositories(&PlaceFilter::default(), &Page::default()).await?.items, []);

    store.complete(current.lease, Vec::new()).await?;
    assert_eq!(refused(store.complete(current.lease, Vec::new()).await), ErrorKind::LeaseLost, "once is enough");
    Ok(())
}

pub(super) async fn a_lease_that_ran_out_is_refused_before_anyone_else_has_the_job(subject: &Subject) -> Outcome {
    let store = &*subject.store;
    store.enqueue(vec![push("v1")]).await?;
    let job = claim_one(store).await?;
    subject.clock.advance(2 * LEASE);
    assert_eq!(refused(store.complete(job.lease, Vec::new()).await), ErrorKind::LeaseLost);
    assert_eq!(refused(store.heartbeat(job.lease, LEASE).await), ErrorKind::LeaseLost);
    Ok(())
}

pub(super) async fn a_heartbeat_keeps_the_lease(subject: &Subject) -> Outcome {
    let store = &*subject.store;
    store.enqueue(vec![push("v1")]).await?;
    let job = claim_one(store).await?;
    for _ in 0..4 {
        subject.clock.advance(LEASE * 2 / 3);
        store.heartbeat(job.lease, LEASE).await?;
        assert_eq!(claim(store, 10).await?, []);
    }
    store.complete(job.lease, Vec::new()).await
}

pub(super) async fn a_crashed_worker_is_counted_as_an_attempt(subject: &Subject) -> Outcome {
    let store = &*subject.store;
    store.enqueue(vec![push("crash").with_max_attempts(2)]).await?;
    for attempt in [1, 2] {
        let job = claim_one(store).await?;
        assert_eq!(job.attempt, attempt);
        // What a poller asks for meanwhile must not give the poison new attempts.
        store.enqueue(vec![NewJob::new(refresh("crash"), Lane::Reconcile)]).await?;
        subject.clock.advance(2 * LEASE);
    }
    assert_eq!(claim(store, 10).await?, []);
    let dead = store.jobs(&JobFilter::dead(), &Page::default()).await?.items;
    assert_eq!(dead[0].last_error.as_ref().map(|reason| reason.kind.as_str()), Some("lease-expired"));
    Ok(())
}

pub(super) async fn a_push_during_the_last_attempt_is_not_lost(subject: &Subject) -> Outcome {
    let store = &*subject.store;
    for end in ["fails", "gives up", "crashes", "is postponed"] {
        store.enqueue(vec![push(end).with_max_attempts(1)]).await?;
        let job = claim_one(store).await?;
        store.enqueue(vec![push(end).with_max_attempts(1)]).await?;
        match end {
            "fails" => drop(store.fail(job.lease, failure(Retry::After(60 * MINUTE)), Vec::new()).await?),
            "gives up" => drop(store.fail(job.lease, failure(Retry::Never), Vec::new()).await?),
            "is postponed" => {
                store.fail(job.lease, failure(Retry::Postpone(MINUTE)), Vec::new()).await?;
                assert_eq!(claim(store, 10).await?, [], "the registry asked for patience");
                subject.clock.advance(2 * MINUTE);
            }
            _ => subject.clock.advance(2 * LEASE),
        }
        let again = claim_one(store).await?;
        assert_eq!((again.lease.job, again.attempt), (job.lease.job, 1), "{end}");
        store.complete(again.lease, Vec::new()).await?;
    }
    Ok(())
}

pub(super) async fn a_restarted_worker_takes_its_leases_back(subject: &Subject) -> Outcome {
    let store = &*subject.store;
    store.enqueue(vec![push("v1"), push("v2")]).await?;
    let mine = store.claim(&Claim::new("mine", LEASE)).await?;
    let theirs = store.claim(&Claim::new("theirs", LEASE)).await?;

    assert_eq!(store.recover("mine").await?, 1);
    let again = store.claim(&Claim::new("mine", LEASE)).await?;
    assert_eq!(names(&again), names(&mine));
    assert_eq!(refused(store.complete(mine[0].lease, Vec::new()).await), ErrorKind::LeaseLost, "same name, old lease");
    store.complete(again[0].lease, Vec::new()).await?;
    store.complete(theirs[0].lease, Vec::new()).await?;
    assert_eq!(store.recover("mine").await?, 0);
    Ok(())
}

pub(super) async fn a_released_job_is_as_before(subject: &Subject) -> Outcome {
    let store = &*subject.store;
    store.enqueue(vec![push("v1").with_max_attempts(1)]).await?;
    let job = claim_one(store).await?;
    store.release(job.lease).await?;
    assert_eq!(refused(store.complete(job.lease, Vec::new()).await), ErrorKind::LeaseLost);
    let again = claim_one(store).await?;
    assert_eq!((again.attempt, again.last_error), (1, None));
    Ok(())
}

pub(super) async fn a_clock_set_back_prolongs_nothing(subject: &Subject) -> Outcome {
    let store = &*subject.store;
    let hour = 60 * MINUTE;
    store.enqueue(vec![push("leased"), push("failed"), push("ready"), push("later").with_delay(2 * MINUTE)]).await?;
    let jobs = claim(store, 2).await?;
    store.fail(jobs[1].lease, failure(Retry::After(2 * MINUTE)), Vec::new()).await?;

    subject.clock.rewind(hour);
    assert_eq!(names(&claim(store, 10).await?), [":ready"]);
    store.heartbeat(jobs[0].lease, LEASE).await?;
    subject.clock.advance(3 * MINUTE);
    let mut freed = names(&claim(store, 10).await?);
    freed.sort();
    assert_eq!(freed, [":failed", ":later", ":leased", ":ready"]);
    Ok(())
}

pub(super) async fn a_clock_set_forward_loses_nothing(subject: &Subject) -> Outcome {
    let store = &*subject.store;
    store.enqueue(vec![push("v1")]).await?;
    let job = claim_one(store).await?;
    subject.clock.advance(Duration::from_secs(3600));
    let again = claim_one(store).await?;
    assert_eq!(refused(store.complete(job.lease, Vec::new()).await), ErrorKind::LeaseLost);
    store.complete(again.lease, Vec::new()).await?;
    assert_eq!(claim(store, 10).await?, []);
    Ok(())
}
