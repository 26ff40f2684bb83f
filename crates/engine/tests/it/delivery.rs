//! What becomes of metadata on its way to the sinks.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use supercargo_engine::{ErrorKind, News, Order, Route, Sink};
use supercargo_registry::{Repository, TagName};
use supercargo_store::conformance::fixture;
use supercargo_store::{
    Change, DeliveryFilter, DeliveryKind, DeliveryRecord, JobState, Lane, NewDelivery, Page, SinkStats,
};

use crate::recorder::Recorder;
use crate::support::{Running, Ship, name, settle, wait_for};

fn route(name: &str, sink: &Arc<Recorder>) -> Route {
    Route::new(name, Arc::clone(sink) as Arc<dyn Sink>)
}

/// A ship with one sink called `there`.
fn with(sink: &Arc<Recorder>) -> Ship {
    let mut ship = Ship::new();
    ship.routes.push(route("there", sink));
    ship
}

async fn rows(ship: &Ship) -> Vec<DeliveryRecord> {
    ship.store.deliveries(&DeliveryFilter::default(), &Page::default()).await.unwrap().items
}

async fn stats(ship: &Ship) -> Vec<SinkStats> {
    ship.store.outbox_stats().await.unwrap()
}

fn app() -> Repository {
    "team/app".parse().unwrap()
}

fn tag(name: &str) -> TagName {
    name.parse().unwrap()
}

#[tokio::test]
async fn every_image_arrives_with_its_tags_and_only_once() {
    let sink = Recorder::new();
    let ship = with(&sink);
    let one = ship.push("team/app", "1.0", "one");
    ship.push("team/app", "latest", "one");
    ship.push("other", "1.0", "two");
    let summary = ship.sail().await;
    assert_eq!(summary.undelivered, []);
    let mut told = sink.told();
    told.sort();
    assert_eq!(told, ["+other 1.0", "+team/app 1.0,latest"]);
    let arrived = sink.arrived();
    let image = arrived.iter().find(|consignment| consignment.digest == one).unwrap();
    let News::Indexed(indexed) = &image.news else { panic!("{image:?}") };
    let details = indexed.metadata.image().unwrap();
    assert_eq!((details.name.as_str(), details.tags.as_slice()), ("registry.test/team/app", indexed.tags.as_slice()));

    // Nothing is new, and so nothing is told.
    ship.sail().await;
    assert_eq!(sink.calls(), 2);
}

#[tokio::test]
async fn what_is_known_is_told_where_it_is_new() {
    let sink = Recorder::new();
    let ship = with(&sink);
    ship.push("team/app", "1.0", "one");
    ship.sail().await;
    ship.push("team/app", "stable", "one");
    ship.sail().await;
    ship.push("mirror", "1.0", "one");
    ship.sail().await;
    assert_eq!(ship.indexer.runs(), 1);
    assert_eq!(sink.told(), ["+team/app 1.0", "+team/app 1.0,stable", "+mirror 1.0"]);
    let ids: HashSet<_> = sink.arrived().into_iter().map(|consignment| consignment.id).collect();
    assert_eq!(ids.len(), 3, "each is news of its own");
}

#[tokio::test]
async fn what_is_gone_is_told() {
    let sink = Recorder::new();
    let ship = with(&sink);
    let one = ship.push("team/app", "1.0", "one");
    ship.push("team/app", "2.0", "one");
    ship.sail().await;
    ship.registry.inner.delete_tag(&app(), &tag("1.0"));
    ship.sail().await;
    assert_eq!(sink.told()[1..], ["-team/app 1.0"]);
    ship.registry.inner.delete_manifest(&app(), &one);
    ship.sail().await;
    let told = sink.told();
    assert_eq!(
        told[2..].iter().collect::<HashSet<_>>(),
        HashSet::from([&"-team/app 2.0".to_owned(), &"-team/app []".to_owned()])
    );
}

#[tokio::test]
async fn news_that_was_overtaken_is_dropped() {
    let sink = Recorder::new();
    sink.set_away(Some((ErrorKind::Unreachable, None)));
    let ship = with(&sink);
    let one = ship.push("team/app", "1.0", "one");
    ship.push("team/app", "2.0", "two");
    let summary = ship.sail().await;
    assert_eq!(summary.undelivered[0].waiting, 2);
    ship.registry.inner.delete_tag(&app(), &tag("1.0"));
    ship.registry.inner.delete_manifest(&app(), &one);
    ship.registry.inner.delete_tag(&app(), &tag("2.0"));
    ship.sail().await;
    ship.push("team/app", "2.0", "two");
    ship.sail().await;
    assert_eq!(sink.told(), [""; 0]);
    sink.set_away(None);
    // A run that is to end would leave what was put off to the next one.
    let running = Running::start(ship.engine());
    wait_for("an empty outbox", async || stats(&ship).await.is_empty()).await;
    running.stop().await;
    let mut told = sink.told();
    told.sort();
    assert_eq!(told, ["+team/app 2.0", "-team/app 1.0", "-team/app []"], "2.0 is back, and 1.0 was never there for it");
}

#[tokio::test]
async fn a_sink_that_is_away_delays_its_own_rows_and_burns_no_attempt() {
    let (away, there) = (Recorder::new(), Recorder::new());
    away.set_away(Some((ErrorKind::Unreachable, None)));
    let mut ship = with(&there);
    ship.routes.push(route("away", &away));
    for number in 0..30 {
        ship.push("team/app", &format!("v{number}"), &number.to_string());
    }
    let running = Running::start(ship.engine());
    wait_for("deliveries to the other sink", async || there.arrived().len() == 30).await;
    wait_for("attempts", async || away.calls() > 5).await;
    assert!(away.calls() < 150, "it is asked now and then, not with each row: {}", away.calls());
    let waiting = rows(&ship).await.into_iter().filter(|row| row.request.sink == "away");
    assert!(waiting.clone().all(|row| row.attempt <= 1 && row.state != JobState::Dead));
    let status = running.engine.status();
    let status = status.sinks.iter().find(|status| status.sink == "away").unwrap();
    assert_eq!(status.last_error.as_ref().map(|error| error.reason.kind.as_str()), Some("unreachable"));

    away.set_away(None);
    wait_for("deliveries", async || away.arrived().len() == 30).await;
    wait_for("an empty outbox", async || stats(&ship).await.is_empty()).await;
    let status = running.engine.status();
    let status = status.sinks.iter().find(|status| status.sink == "away").unwrap();
    assert_eq!((status.delivered, status.dead, status.last_error.is_none()), (30, 0, true));
    running.stop().await;
}

#[tokio::test]
async fn a_poison_image_is_given_up_and_others_arrive() {
    let sink = Recorder::new();
    let mut ship = with(&sink);
    ship.routes[0].concurrency = 1;
    let poison = ship.push("team/app", "poison", "poison");
    for number in 0..10 {
        ship.push("team/app", &format!("v{number}"), &number.to_string());
    }
    sink.poison.lock().unwrap().insert(poison.clone(), ErrorKind::Unreachable);
    let running = Running::start(ship.engine());
    wait_for("the others", async || sink.arrived().len() == 10).await;
    // Only others that arrive show that it is not the sink.
    let mut number = 10;
    wait_for("the poison to be given up", async || {
        number += 1;
        let other = NewDelivery::new("there", DeliveryKind::Gone, name("nowhere"), fixture::digest(1));
        let other = other.with_tag(number.to_string());
        ship.store.apply(vec![Change::Deliver(other)]).await.unwrap();
        rows(&ship).await.iter().any(|row| row.request.subject == poison && row.state == JobState::Dead) || {
            tokio::time::sleep(Duration::from_millis(5)).await;
            false
        }
    })
    .await;
    let dead = rows(&ship).await.into_iter().find(|row| row.state == JobState::Dead).unwrap();
    assert_eq!(dead.attempt, NewDelivery::MAX_ATTEMPTS);
    sink.poison.lock().unwrap().clear();
    ship.store.retry_delivery(dead.id).await.unwrap();
    wait_for("the retry", async || sink.told().contains(&"+team/app poison".to_owned())).await;
    running.stop().await;
}

#[tokio::test]
async fn what_a_sink_will_never_take_is_a_dead_letter_at_once() {
    let sink = Recorder::new();
    let ship = with(&sink);
    let bad = ship.push("team/app", "bad", "bad");
    ship.push("team/app", "good", "good");
    sink.poison.lock().unwrap().insert(bad, ErrorKind::Rejected);
    let summary = ship.sail().await;
    assert_eq!(sink.told(), ["+team/app good"]);
    assert_eq!((summary.undelivered[0].dead, summary.undelivered[0].waiting), (1, 0));
    let dead = rows(&ship).await.into_iter().find(|row| row.state == JobState::Dead).unwrap();
    assert_eq!((dead.attempt, dead.last_error.unwrap().kind.as_str()), (1, "rejected"));
}

#[tokio::test]
async fn a_wish_for_patience_is_honoured() {
    const PATIENCE: Duration = Duration::from_millis(300);
    let sink = Recorder::new();
    sink.set_away(Some((ErrorKind::Busy, Some(PATIENCE))));
    let mut ship = with(&sink);
    ship.routes[0].concurrency = 1;
    ship.push("team/app", "1.0", "one");
    ship.push("team/app", "2.0", "two");
    let running = Running::start(ship.engine());
    wait_for("a refusal", async || sink.calls() == 1).await;
    let refused = std::time::Instant::now();
    sink.set_away(None);
    wait_for("deliveries", async || sink.arrived().len() == 2).await;
    assert!(refused.elapsed() >= PATIENCE - Duration::from_millis(50), "{:?}", refused.elapsed());
    running.stop().await;
}

#[tokio::test]
async fn a_sink_that_wants_nothing_any_more_is_asked_again_at_the_next_start() {
    let sink = Recorder::new();
    sink.set_away(Some((ErrorKind::Closed, None)));
    let ship = with(&sink);
    ship.push("team/app", "1.0", "one");
    ship.push("team/app", "2.0", "two");
    let summary = ship.sail().await;
    assert!(sink.calls() <= Route::CONCURRENCY);
    assert_eq!(summary.undelivered[0].reason.as_ref().map(|reason| reason.kind.as_str()), Some("closed"));
    sink.set_away(None);
    ship.sail().await;
    assert_eq!(sink.arrived().len(), 2);
}

#[tokio::test]
async fn an_answer_that_is_lost_leads_to_the_same_message_again() {
    let sink = Recorder::new();
    sink.cut.store(1, Ordering::SeqCst);
    let ship = with(&sink);
    ship.push("team/app", "1.0", "one");
    ship.sail().await;
    let arrived = sink.arrived();
    assert_eq!(arrived.len(), 2);
    assert_eq!((&arrived[0].id, &arrived[0].news), (&arrived[1].id, &arrived[1].news));
}

#[tokio::test]
async fn a_crash_between_indexing_and_delivery_loses_nothing() {
    let sink = Recorder::closed();
    let ship = with(&sink);
    for seed in ["one", "two", "three"] {
        ship.push("team/app", seed, seed);
    }
    let running = Running::start(ship.engine());
    wait_for("deliveries under way", async || sink.calls() == 3).await;
    running.crash().await;
    assert_eq!(stats(&ship).await[0].running, 3);

    sink.gate.add_permits(100);
    ship.sail().await;
    let mut told = sink.told();
    told.sort();
    assert_eq!(told, ["+team/app one", "+team/app three", "+team/app two"]);
    assert_eq!(stats(&ship).await, []);
}

#[tokio::test]
async fn a_stop_lets_deliveries_end_and_gives_back_those_that_do_not() {
    let sink = Recorder::closed();
    let mut ship = with(&sink);
    ship.options.grace = Duration::from_millis(50);
    ship.push("team/app", "1.0", "one");
    let running = Running::start(ship.engine());
    wait_for("a delivery under way", async || sink.calls() == 1).await;
    running.stop().await;
    let row = rows(&ship).await.remove(0);
    assert_eq!((row.state, row.attempt), (JobState::Queued, 0), "as if it had not been claimed");

    ship.options.grace = Duration::from_secs(20);
    let running = Running::start(ship.engine());
    wait_for("a delivery under way", async || sink.calls() == 2).await;
    let stopped = tokio::spawn(running.stop());
    sink.gate.add_permits(1);
    stopped.await.unwrap();
    assert_eq!(rows(&ship).await[0].state, JobState::Done);
}

#[tokio::test]
async fn a_backfill_waits_behind_what_is_pushed() {
    let sink = Recorder::closed();
    let mut ship = Ship::new();
    for number in 0..5 {
        ship.push("team/app", &format!("old{number}"), &format!("old{number}"));
    }
    ship.sail().await;
    let backfill = ship.images().await.into_iter().map(|image| {
        let row = NewDelivery::new("there", DeliveryKind::Indexed, name("team/app"), image.digest);
        Change::Deliver(row.with_lane(Lane::Backfill))
    });
    ship.store.apply(backfill.collect()).await.unwrap();
    ship.routes.push(Route { concurrency: 1, ..route("there", &sink) });
    let running = Running::start(ship.engine()).reconciled().await;
    wait_for("the first of the backfill", async || sink.calls() == 1).await;
    ship.push("team/app", "new", "new");
    running
        .engine
        .intake()
        .refresh(name("team/app"), Some(supercargo_store::TagOrDigest::Tag("new".into())))
        .await
        .unwrap();
    wait_for("the new image", async || ship.images().await.len() == 6).await;
    sink.gate.add_permits(100);
    wait_for("all of it", async || sink.arrived().len() == 6).await;
    assert_eq!(sink.told()[1], "+team/app new");
    running.stop().await;
}

#[tokio::test]
async fn concurrency_and_order_are_kept() {
    let one_by_one = Recorder::with(tokio::sync::Semaphore::MAX_PERMITS, Order::Repository);
    let three = Recorder::closed();
    let mut ship = Ship::new();
    ship.routes.push(Route { concurrency: 8, ..route("one-by-one", &one_by_one) });
    ship.routes.push(Route { concurrency: 3, ..route("three", &three) });
    for number in 0..12 {
        ship.push("team/app", &format!("v{number}"), &number.to_string());
    }
    let running = Running::start(ship.engine());
    wait_for("calls", async || three.calls() == 3).await;
    three.gate.add_permits(100);
    wait_for("deliveries", async || three.arrived().len() == 12 && one_by_one.arrived().len() == 12).await;
    running.stop().await;
    assert_eq!(three.most.load(Ordering::SeqCst), 3);
    assert_eq!(one_by_one.most.load(Ordering::SeqCst), 1, "all are about one repository");
}

#[tokio::test]
async fn two_sinks_of_one_name_are_refused() {
    let sink = Recorder::new();
    let mut ship = with(&sink);
    ship.routes.push(route("there", &sink));
    let built = supercargo_engine::Engine::builder(Arc::clone(&ship.store), ship.indexer.clone())
        .with_route(ship.routes[0].clone())
        .with_route(ship.routes[1].clone())
        .build();
    assert!(built.unwrap_err().to_string().contains("sink there is there twice"));
}

#[tokio::test]
async fn a_run_that_is_to_end_does_not_wait_for_a_sink_that_is_away() {
    let sink = Recorder::new();
    sink.set_away(Some((ErrorKind::Denied, None)));
    let ship = with(&sink);
    ship.push("team/app", "1.0", "one");
    let summary = settle(&ship.engine()).await;
    let [left] = summary.undelivered.as_slice() else { panic!("{summary:?}") };
    assert_eq!((left.sink.as_str(), left.waiting, left.dead), ("there", 1, 0));
    assert_eq!(left.reason.as_ref().map(|reason| reason.kind.as_str()), Some("denied"));
}
