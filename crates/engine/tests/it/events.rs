//! From a delivery to an indexed image.

use http::{HeaderMap, Method, StatusCode};
use serde_json::{Value, json};
use supercargo_engine::{Intake, Received, TagPatterns, Watch};
use supercargo_events::{DistributionSource, Request, Secret, SourceConfig};
use supercargo_registry::Digest;
use supercargo_store::{EventFilter, EventState, JobState, Page};

use crate::support::{HOST, Running, Ship, settle, wait_for};

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

async fn deliver(intake: &Intake, body: &str) -> Received {
    let source = DistributionSource::new(SourceConfig::new([Secret::new("s3cret")])).unwrap();
    let mut headers = HeaderMap::new();
    headers.insert("authorization", "Bearer s3cret".parse().unwrap());
    headers.insert("content-type", "application/json".parse().unwrap());
    intake
        .receive("main", &source, &Request::new(&Method::POST, &headers, body.as_bytes(), jiff::Timestamp::UNIX_EPOCH))
        .await
}

fn envelope(id: &str, action: &str, host: &str, target: &Value) -> String {
    json!({"events": [{"id": id, "action": action, "target": target, "request": {"host": host}}]}).to_string()
}

fn push(id: &str, repository: &str, tag: Option<&str>, digest: &Digest) -> String {
    let target = json!({"mediaType": MANIFEST, "repository": repository, "tag": tag, "digest": digest});
    envelope(id, "push", HOST, &target)
}

#[tokio::test]
async fn a_push_is_indexed_by_its_event() {
    let ship = Ship::new();
    let running = Running::start(ship.engine()).reconciled().await;
    let digest = ship.push("team/app", "1.0", "one");
    let received = deliver(&running.engine.intake(), &push("1", "team/app", Some("1.0"), &digest)).await;
    assert_eq!((received.answer.status, received.outcome), (StatusCode::ACCEPTED, "events"));
    wait_for("indexed image", async || ship.digests().await == [digest.clone()].into()).await;
    assert_eq!(ship.tag_names().await, ["team/app:1.0"]);
    assert!(running.engine.status().registries[0].last_event.is_some());

    // The same event again changes nothing.
    let again = deliver(&running.engine.intake(), &push("1", "team/app", Some("1.0"), &digest)).await;
    assert_eq!((again.answer.status, again.receipt.duplicates), (StatusCode::ACCEPTED, 1));
    let summary = running.stop().await;
    assert_eq!((summary.counters.indexed, summary.counters.duplicates), (1, 1));
}

#[tokio::test]
async fn a_push_without_a_tag_is_indexed_by_its_digest() {
    let ship = Ship::new();
    let running = Running::start(ship.engine()).reconciled().await;
    let digest = ship.push("team/app", "1.0", "one");
    ship.registry.inner.delete_tag(&"team/app".parse().unwrap(), &"1.0".parse().unwrap());
    deliver(&running.engine.intake(), &push("1", "team/app", None, &digest)).await;
    wait_for("indexed image", async || ship.digests().await == [digest.clone()].into()).await;
    running.stop().await;
}

#[tokio::test]
async fn events_that_come_before_the_engine_runs_are_not_lost() {
    let ship = Ship::new();
    let digest = ship.push("team/app", "1.0", "one");
    let engine = ship.engine_with(ship.watch());
    deliver(&engine.intake(), &push("1", "team/app", Some("1.0"), &digest)).await;
    settle(&engine).await;
    assert_eq!(ship.digests().await, [digest].into());
}

#[tokio::test]
async fn a_tag_that_is_written_after_its_event_was_sent_is_found() {
    let ship = Ship::new();
    let running = Running::start(ship.engine()).reconciled().await;
    let nothing: Digest = format!("sha256:{}", "0".repeat(64)).parse().unwrap();
    deliver(&running.engine.intake(), &push("1", "team/app", Some("1.0"), &nothing)).await;
    wait_for("first look", async || ship.jobs().await.iter().any(|job| job.state == JobState::Done)).await;
    let digest = ship.push("team/app", "1.0", "one");
    wait_for("indexed image", async || ship.digests().await == [digest.clone()].into()).await;
    running.stop().await;
}

#[tokio::test]
async fn events_for_the_same_tag_are_one_job() {
    let ship = Ship::new();
    let digest = ship.push("team/app", "1.0", "one");
    let engine = ship.engine();
    for id in 0..20 {
        deliver(&engine.intake(), &push(&id.to_string(), "team/app", Some("1.0"), &digest)).await;
    }
    assert_eq!(ship.jobs().await.len(), 1);
    settle(&engine).await;
    assert_eq!(ship.indexer.runs(), 1);
}

#[tokio::test]
async fn a_delete_counts_only_when_the_registry_confirms_it() {
    let ship = Ship::new();
    let one = ship.push("team/app", "1.0", "one");
    let two = ship.push("team/app", "2.0", "two");
    ship.sail().await;
    let repository = "team/app".parse().unwrap();
    let tag_delete = |id: &str| envelope(id, "delete", HOST, &json!({"repository": "team/app", "tag": "1.0"}));
    let manifest_delete = |id: &str| envelope(id, "delete", HOST, &json!({"repository": "team/app", "digest": two}));
    let everything = |id: &str| envelope(id, "delete", HOST, &json!({"repository": "team/app"}));

    let engine = ship.engine();
    for body in [tag_delete("1"), manifest_delete("2"), everything("3")] {
        deliver(&engine.intake(), &body).await;
    }
    assert_eq!(settle(&engine).await.counters.gone, 0);
    assert_eq!(ship.tag_names().await, ["team/app:1.0", "team/app:2.0"]);
    assert_eq!(ship.digests().await, [one, two.clone()].into());

    // The pass of a run would find them, too: these are found by the events, while no pass is made.
    let running = Running::start(ship.engine()).reconciled().await;
    ship.registry.inner.delete_tag(&repository, &"1.0".parse().unwrap());
    deliver(&running.engine.intake(), &tag_delete("4")).await;
    wait_for("deleted tag", async || ship.tag_names().await == ["team/app:2.0"]).await;
    ship.registry.inner.delete_manifest(&repository, &two);
    deliver(&running.engine.intake(), &manifest_delete("5")).await;
    wait_for("deleted manifest", async || !ship.digests().await.contains(&two)).await;
    wait_for("deleted tag", async || ship.tag_names().await.is_empty()).await;
    running.stop().await;
}

#[tokio::test]
async fn what_is_not_watched_is_kept_with_the_reason_and_nobody_is_asked() {
    let ship = Ship::new();
    let digest = ship.push("team/app", "1.0", "one");
    let engine = ship.engine_with(Watch {
        repositories: vec!["team/app".parse().unwrap()],
        tags: TagPatterns::new(["^v"]).unwrap(),
        ..ship.watch()
    });
    let target = |repository: &str, tag: &str| json!({"mediaType": MANIFEST, "repository": repository, "tag": tag});
    let check = async |id: &str, host: &str, target: Value, reason: &str| {
        let received = deliver(&engine.intake(), &envelope(id, "push", host, &target)).await;
        assert_eq!((received.answer.status, received.receipt.ignored), (StatusCode::ACCEPTED, 1), "{target}");
        let events = ship.store.events(&EventFilter::default(), &Page::first(1)).await.unwrap().items;
        assert_eq!(events[0].event.state, EventState::Ignored);
        let kept = events[0].event.reason.clone().unwrap();
        assert!(kept.contains(reason), "{kept}");
    };
    check("1", "registry.evil", target("team/app", "v1"), "registry registry.evil is not watched").await;
    check("2", HOST, target("team/other", "v1"), "repository team/other is not watched").await;
    check("3", HOST, target("team/app", "1.0"), "tag 1.0 is not watched").await;
    let untagged = json!({"mediaType": MANIFEST, "repository": "team/app", "digest": digest});
    check("4", HOST, untagged, "without a tag").await;
    assert!(ship.jobs().await.is_empty());
}

#[tokio::test]
async fn a_push_that_never_was_leaves_nothing() {
    let ship = Ship::new();
    let other = ship.push("team/app", "1.0", "one");
    let engine = ship.engine_with(ship.watch());
    deliver(&engine.intake(), &push("1", "team/app", Some("forged"), &other)).await;
    let forged: Digest = format!("sha256:{}", "0".repeat(64)).parse().unwrap();
    deliver(&engine.intake(), &push("2", "no/such", None, &forged)).await;
    let summary = settle(&engine).await;
    assert_eq!((summary.counters.indexed, summary.counters.gone, summary.counters.dead), (0, 0, 0));
    assert_eq!(ship.tag_names().await, ["team/app:1.0"]);
    assert!(ship.problems().await.is_empty());
}

#[tokio::test]
async fn a_push_that_names_another_digest_than_the_registry_is_what_the_registry_says() {
    let ship = Ship::new();
    let running = Running::start(ship.engine()).reconciled().await;
    let digest = ship.push("team/app", "1.0", "one");
    let forged: Digest = format!("sha256:{}", "f".repeat(64)).parse().unwrap();
    deliver(&running.engine.intake(), &push("1", "team/app", Some("1.0"), &forged)).await;
    wait_for("indexed image", async || ship.digests().await == [digest.clone()].into()).await;
    assert_eq!(ship.tag_names().await, ["team/app:1.0"]);
    let summary = running.stop().await;
    assert_eq!((summary.counters.indexed, summary.counters.dead), (1, 0));
}

#[tokio::test]
async fn the_order_of_events_does_not_matter() {
    let ship = Ship::new();
    let running = Running::start(ship.engine()).reconciled().await;
    let intake = running.engine.intake();
    let (repository, tag) = ("team/app".parse().unwrap(), "1.0".parse().unwrap());
    let deleted = |id: &str| envelope(id, "delete", HOST, &json!({"repository": "team/app", "tag": "1.0"}));
    // Deleted and pushed again: the delete is told last.
    let digest = ship.push("team/app", "1.0", "one");
    deliver(&intake, &push("2", "team/app", Some("1.0"), &digest)).await;
    deliver(&intake, &deleted("1")).await;
    wait_for("indexed image", async || ship.digests().await == [digest.clone()].into()).await;
    wait_for("no work", async || ship.jobs().await.iter().all(|job| job.state == JobState::Done)).await;
    assert_eq!(ship.tag_names().await, ["team/app:1.0"]);
    // Pushed and deleted: the push is told last.
    ship.registry.inner.delete_tag(&repository, &tag);
    deliver(&intake, &deleted("4")).await;
    wait_for("deleted tag", async || ship.tag_names().await.is_empty()).await;
    deliver(&intake, &push("3", "team/app", Some("1.0"), &digest)).await;
    wait_for("no work", async || ship.jobs().await.iter().all(|job| job.state == JobState::Done)).await;
    assert!(ship.tag_names().await.is_empty());
    running.stop().await;
}

#[tokio::test]
async fn what_is_not_understood_is_quarantined() {
    let ship = Ship::new();
    let engine = ship.engine();
    let received = deliver(&engine.intake(), "{").await;
    assert_eq!((received.answer.status, received.outcome), (StatusCode::OK, "malformed"));
    let events = ship.store.events(&EventFilter::default(), &Page::default()).await.unwrap().items;
    assert_eq!(events.len(), 1);
    assert_eq!((events[0].event.state, events[0].event.body.as_slice()), (EventState::Quarantined, b"{".as_slice()));
    assert!(events[0].event.headers.iter().all(|(name, _)| name != "authorization"));
}

#[tokio::test]
async fn an_engine_that_stops_takes_nothing_more() {
    let ship = Ship::new();
    let running = Running::start(ship.engine()).reconciled().await;
    let engine = running.engine.clone();
    running.stop().await;
    let digest = ship.push("team/app", "1.0", "one");
    let received = deliver(&engine.intake(), &push("1", "team/app", Some("1.0"), &digest)).await;
    assert_eq!((received.answer.status, received.outcome), (StatusCode::SERVICE_UNAVAILABLE, "unavailable"));
    assert!(ship.jobs().await.is_empty());
}
