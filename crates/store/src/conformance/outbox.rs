//! Deliveries.

use super::fixture::{LEASE, MINUTE, claim_one, digest, failure, push, repository};
use super::{Outcome, Subject, refused};
use crate::change::Change;
use crate::error::ErrorKind;
use crate::job::{Disposition, JobState, Retry};
use crate::outbox::{Delivery, DeliveryFilter, DeliveryKind, NewDelivery};
use crate::page::Page;
use crate::store::Store;

fn delivery(sink: &str, number: u32) -> NewDelivery {
    NewDelivery {
        sink: sink.to_owned(),
        kind: DeliveryKind::Indexed,
        subject: digest(number),
        repository: repository("app"),
        details: serde_json::json!({ "tags": ["v1"] }),
        max_attempts: 2,
    }
}

async fn claim(store: &dyn Store, sink: &str) -> crate::Result<Vec<Delivery>> {
    store.claim_deliveries(sink, "courier", LEASE, 10).await
}

async fn states(store: &dyn Store) -> crate::Result<Vec<JobState>> {
    let all = store.deliveries(&DeliveryFilter::default(), &Page::default()).await?;
    Ok(all.items.iter().map(|one| one.state).collect())
}

pub(super) async fn deliveries_are_written_with_the_job(subject: &Subject) -> Outcome {
    let store = &*subject.store;
    store.enqueue(vec![push("v1")]).await?;
    let late = claim_one(store).await?;
    subject.clock.advance(2 * LEASE);
    let job = claim_one(store).await?;
    let changes = || vec![Change::Deliver(delivery("scout", 1)), Change::Deliver(delivery("file", 1))];
    assert_eq!(refused(store.complete(late.lease, changes()).await), ErrorKind::LeaseLost);
    assert_eq!(states(store).await?, []);
    store.complete(job.lease, changes()).await?;
    assert_eq!(states(store).await?.len(), 2);

    let claimed = claim(store, "scout").await?;
    assert_eq!(claimed.len(), 1);
    assert_eq!((&claimed[0].request, claimed[0].attempt), (&delivery("scout", 1), 1));
    assert_eq!(claim(store, "none").await?, []);
    Ok(())
}

pub(super) async fn deliveries_are_leased(subject: &Subject) -> Outcome {
    let store = &*subject.store;
    store.apply(vec![Change::Deliver(delivery("scout", 1))]).await?;
    let late = claim(store, "scout").await?[0].lease;
    assert_eq!(claim(store, "scout").await?, []);
    subject.clock.advance(LEASE / 2);
    store.heartbeat_delivery(late, LEASE).await?;
    subject.clock.advance(2 * LEASE);
    let current = claim(store, "scout").await?[0].lease;
    assert_eq!(current.delivery, late.delivery);
    assert_eq!(refused(store.heartbeat_delivery(late, LEASE).await), ErrorKind::LeaseLost);
    assert_eq!(refused(store.complete_delivery(late).await), ErrorKind::LeaseLost);
    assert_eq!(refused(store.fail_delivery(late, failure(Retry::Never)).await), ErrorKind::LeaseLost);
    assert_eq!(refused(store.release_delivery(late).await), ErrorKind::LeaseLost);
    store.release_delivery(current).await?;

    let again = claim(store, "scout").await?.remove(0);
    assert_eq!(again.attempt, 2, "the expired one counts, the released one does not");
    assert_eq!(store.recover("courier").await?, 1);
    assert_eq!(refused(store.complete_delivery(again.lease).await), ErrorKind::LeaseLost);
    Ok(())
}

pub(super) async fn deliveries_are_given_up_and_retried(subject: &Subject) -> Outcome {
    let store = &*subject.store;
    store.apply(vec![Change::Deliver(delivery("scout", 1))]).await?;
    let first = claim(store, "scout").await?.remove(0);
    let end = store.fail_delivery(first.lease, failure(Retry::After(MINUTE))).await?;
    assert!(matches!(end, Disposition::Retry(_)), "{end:?}");
    assert_eq!(claim(store, "scout").await?, []);
    subject.clock.advance(2 * MINUTE);
    let second = claim(store, "scout").await?.remove(0);
    assert_eq!(second.last_error.map(|reason| reason.kind).as_deref(), Some("unavailable"));
    assert_eq!(store.fail_delivery(second.lease, failure(Retry::After(MINUTE))).await?, Disposition::Dead);

    let dead = DeliveryFilter { sink: Some("scout".to_owned()), state: Some(JobState::Dead) };
    assert_eq!(store.deliveries(&dead, &Page::default()).await?.items[0].id, second.lease.delivery);
    store.retry_delivery(second.lease.delivery).await?;
    let third = claim(store, "scout").await?.remove(0);
    assert_eq!(third.attempt, 1);
    store.complete_delivery(third.lease).await?;
    assert_eq!(states(store).await?, [JobState::Done]);
    assert_eq!(refused(store.retry_delivery(third.lease.delivery).await), ErrorKind::NotFound);
    Ok(())
}

pub(super) async fn the_same_delivery_is_one_row(subject: &Subject) -> Outcome {
    let store = &*subject.store;
    let newer = NewDelivery { details: serde_json::json!({ "tags": ["v2"] }), ..delivery("scout", 1) };
    store.apply(vec![Change::Deliver(delivery("scout", 1)), Change::Deliver(newer.clone())]).await?;
    let claimed = claim(store, "scout").await?;
    assert_eq!(claimed.iter().map(|one| &one.request).collect::<Vec<_>>(), [&newer]);

    store.apply(vec![Change::Deliver(delivery("scout", 1))]).await?;
    store.complete_delivery(claimed[0].lease).await?;
    let again = claim(store, "scout").await?;
    assert_eq!(again[0].request, delivery("scout", 1), "asked for while it was on its way: it goes once more");
    store.complete_delivery(again[0].lease).await?;
    assert_eq!(states(store).await?, [JobState::Done]);
    Ok(())
}
