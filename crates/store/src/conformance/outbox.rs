//! Deliveries.

use super::fixture::{LEASE, MINUTE, claim_one, digest, failure, push, repository};
use super::{Outcome, Subject, refused};
use crate::change::Change;
use crate::error::ErrorKind;
use crate::job::{Disposition, JobState, Lane, Retry};
use crate::outbox::{Delivery, DeliveryFilter, DeliveryId, DeliveryKind, NewDelivery, SinkStats};
use crate::page::Page;
use crate::store::Store;

fn delivery(sink: &str, number: u32) -> NewDelivery {
    NewDelivery {
        details: serde_json::json!({ "tags": ["v1"] }),
        max_attempts: 2,
        ..NewDelivery::new(sink, DeliveryKind::Indexed, repository("app"), digest(number))
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

    let dead = DeliveryFilter { sink: Some("scout".to_owned()), state: Some(JobState::Dead), id: None };
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

pub(super) async fn fresh_deliveries_go_before_a_backfill(subject: &Subject) -> Outcome {
    let store = &*subject.store;
    let backfill = |number| Change::Deliver(delivery("scout", number).with_lane(Lane::Backfill));
    store.apply(vec![backfill(1), backfill(2), backfill(3)]).await?;
    store.apply(vec![Change::Deliver(delivery("scout", 4)), Change::Deliver(delivery("scout", 3))]).await?;
    let claimed = claim(store, "scout").await?;
    let order: Vec<_> = claimed.iter().map(|one| (one.request.subject.clone(), one.request.lane)).collect();
    let expected = [(3, Lane::Push), (4, Lane::Push), (1, Lane::Backfill), (2, Lane::Backfill)];
    assert_eq!(order, expected.map(|(number, lane)| (digest(number), lane)), "what was pushed again is urgent");

    // A backfill that meets a failed delivery neither hastens it nor gives it more attempts; a push does.
    store.fail_delivery(claimed[2].lease, failure(Retry::After(10 * MINUTE))).await?;
    store.apply(vec![backfill(1)]).await?;
    assert_eq!(claim(store, "scout").await?, []);
    store.apply(vec![Change::Deliver(delivery("scout", 1))]).await?;
    let again = claim(store, "scout").await?.remove(0);
    assert_eq!((again.request.subject, again.attempt), (digest(1), 1));
    Ok(())
}

pub(super) async fn each_tag_is_a_delivery_of_its_own(subject: &Subject) -> Outcome {
    let store = &*subject.store;
    let gone = |tag: &str| NewDelivery { kind: DeliveryKind::Gone, ..delivery("scout", 1).with_tag(tag) };
    store.apply(vec![Change::Deliver(gone("v1")), Change::Deliver(gone("v2")), Change::Deliver(gone("v1"))]).await?;
    let claimed = claim(store, "scout").await?;
    let tags: Vec<_> = claimed.iter().map(|one| (one.request.tag.as_deref(), one.round)).collect();
    assert_eq!(tags, [(Some("v1"), 2), (Some("v2"), 1)]);
    Ok(())
}

pub(super) async fn attempts_of_one_round_are_told_apart_from_new_requests(subject: &Subject) -> Outcome {
    let store = &*subject.store;
    store.apply(vec![Change::Deliver(delivery("scout", 1))]).await?;
    let first = claim(store, "scout").await?.remove(0);
    store.fail_delivery(first.lease, failure(Retry::Postpone(std::time::Duration::ZERO))).await?;
    let second = claim(store, "scout").await?.remove(0);
    assert_eq!((first.round, second.round), (1, 1));
    store.apply(vec![Change::Deliver(delivery("scout", 1))]).await?;
    store.complete_delivery(second.lease).await?;
    assert_eq!(claim(store, "scout").await?[0].round, 2);
    Ok(())
}

pub(super) async fn outboxes_are_counted(subject: &Subject) -> Outcome {
    let store = &*subject.store;
    assert_eq!(store.outbox_stats().await?, []);
    let all = [("file", 1), ("scout", 1), ("scout", 2), ("scout", 3), ("scout", 4), ("scout", 5)];
    store.apply(all.map(|(sink, number)| Change::Deliver(delivery(sink, number))).to_vec()).await?;
    subject.clock.advance(MINUTE);
    let claimed = store.claim_deliveries("scout", "courier", LEASE, 4).await?;
    store.complete_delivery(claimed[0].lease).await?;
    store.fail_delivery(claimed[1].lease, failure(Retry::Never)).await?;
    store.fail_delivery(claimed[2].lease, failure(Retry::After(MINUTE))).await?;
    let mut stats = store.outbox_stats().await?;
    for sink in &mut stats {
        let oldest = sink.oldest.take().unwrap_or_default();
        assert!((MINUTE..2 * MINUTE).contains(&oldest), "{oldest:?}");
    }
    let scout = SinkStats { sink: "scout".to_owned(), ready: 1, delayed: 1, running: 1, dead: 1, oldest: None };
    let file = SinkStats { sink: "file".to_owned(), ready: 1, delayed: 0, running: 0, dead: 0, oldest: None };
    assert_eq!(stats, [file, scout]);
    let id = claimed[1].lease.delivery;
    let only =
        store.deliveries(&DeliveryFilter { id: Some(id), ..DeliveryFilter::default() }, &Page::default()).await?;
    assert_eq!(only.items.iter().map(|one| one.id).collect::<Vec<DeliveryId>>(), [id]);
    Ok(())
}

pub(super) async fn deliveries_that_nobody_will_make_can_be_dropped(subject: &Subject) -> Outcome {
    let store = &*subject.store;
    let all = [("old", 1), ("old", 2), ("old", 3), ("old", 4), ("new", 1)];
    store.apply(all.map(|(sink, number)| Change::Deliver(delivery(sink, number))).to_vec()).await?;
    let claimed = store.claim_deliveries("old", "courier", LEASE, 3).await?;
    store.complete_delivery(claimed[0].lease).await?;
    store.fail_delivery(claimed[1].lease, failure(Retry::Never)).await?;
    // One has arrived, one was given up, one is under way, one waits.
    let old = |state| DeliveryFilter { sink: Some("old".to_owned()), state, id: None };
    assert_eq!(store.drop_deliveries(&old(Some(JobState::Done))).await?, 0, "what has arrived is history");
    assert_eq!(store.drop_deliveries(&old(Some(JobState::Dead))).await?, 1);
    assert_eq!(store.drop_deliveries(&old(None)).await?, 1);
    store.heartbeat_delivery(claimed[2].lease, LEASE).await?;
    // Whoever had it is gone, and so it waits.
    subject.clock.advance(2 * LEASE);
    let id = Some(claimed[2].lease.delivery);
    assert_eq!(store.drop_deliveries(&DeliveryFilter { id, ..DeliveryFilter::default() }).await?, 1);
    assert_eq!(refused(store.complete_delivery(claimed[2].lease).await), ErrorKind::LeaseLost);
    assert_eq!(store.drop_deliveries(&old(None)).await?, 0);
    let left = store.deliveries(&DeliveryFilter::default(), &Page::default()).await?.items;
    let left: Vec<_> = left.iter().map(|row| (row.request.sink.as_str(), row.state)).collect();
    assert_eq!(left, [("new", JobState::Queued), ("old", JobState::Done)]);

    // What is dropped can be asked for again.
    store.apply(vec![Change::Deliver(delivery("old", 4))]).await?;
    assert_eq!(claim(store, "old").await?.len(), 1);
    Ok(())
}

pub(super) async fn the_sinks_of_all_workers_are_known(subject: &Subject) -> Outcome {
    let store = &*subject.store;
    assert_eq!(store.sinks().await?, [""; 0]);
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    store.set_sinks("one", names(&["scout", "files"])).await?;
    store.set_sinks("two", names(&["scout", "hook"])).await?;
    assert_eq!(store.sinks().await?, ["files", "hook", "scout"]);
    store.set_sinks("one", names(&["scout"])).await?;
    store.set_sinks("two", Vec::new()).await?;
    assert_eq!(store.sinks().await?, ["scout"]);
    Ok(())
}
