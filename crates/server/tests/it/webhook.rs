//! Deliveries.

use axum::body::Body;
use http::StatusCode;
use supercargo_engine::events::{self, Secret, SourceConfig};
use supercargo_engine::store::{EventFilter, EventState, Page};
use supercargo_server::{Access, EventSource, Options};

use crate::kit::{Kit, SECRET};

const PATH: &str = "/v1/events/distribution/main";

fn push(id: &str) -> String {
    format!(
        r#"{{"events": [{{
            "id": "{id}", "action": "push", "request": {{"host": "registry.test"}},
            "target": {{"mediaType": "application/vnd.oci.image.manifest.v1+json", "repository": "team/app", "tag": "1.0"}}
        }}]}}"#
    )
}

#[tokio::test]
async fn a_delivery_is_stored_before_it_is_answered() {
    let kit = Kit::new(Access::Closed).await;
    let stored = async || kit.store.events(&EventFilter::default(), &Page::default()).await.unwrap().items;
    let reply = kit.post(PATH, Some(SECRET), push("1")).await;
    assert_eq!(reply.status, StatusCode::ACCEPTED, "{}", reply.text);
    let events = stored().await;
    assert_eq!((events.len(), events[0].event.state), (1, EventState::Accepted));
    // The same delivery again is fine with us, and is the same event.
    assert_eq!(kit.post(PATH, Some(SECRET), push("1")).await.status, StatusCode::ACCEPTED);
    assert_eq!(stored().await.len(), 1);

    // What cannot be stored is answered in a way that makes senders try again.
    kit.engine.run(std::future::ready(())).await.unwrap();
    let reply = kit.post(PATH, Some(SECRET), push("2")).await;
    assert_eq!(reply.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(reply.header("retry-after").is_some());
    assert_eq!(stored().await.len(), 1);
}

#[tokio::test]
async fn who_may_deliver() {
    let kit = Kit::new(Access::Closed).await;
    for (path, secret, expected) in [
        (PATH, Some("wrong"), StatusCode::UNAUTHORIZED),
        (PATH, None, StatusCode::UNAUTHORIZED),
        ("/v1/events/distribution/other", Some(SECRET), StatusCode::NOT_FOUND),
        ("/v1/events/carrier-pigeon/main", Some(SECRET), StatusCode::NOT_FOUND),
    ] {
        let reply = kit.post(path, secret, push("1")).await;
        assert_eq!(reply.status, expected, "{path} {secret:?}");
        assert!(!reply.text.contains("wrong"));
    }
    assert_eq!(kit.get(PATH).await.status, StatusCode::METHOD_NOT_ALLOWED);
}

#[tokio::test]
async fn a_body_has_a_limit() {
    let mut options = Options::new(Access::Closed);
    options.body_limit = 100;
    let kit = Kit::with(options).await;
    let reply = kit.post(PATH, Some(SECRET), "x".repeat(101)).await;
    assert_eq!(reply.status, StatusCode::PAYLOAD_TOO_LARGE);
    // The same without a length: it is noticed on the way.
    let chunks = stream((0..3).map(|_| bytes::Bytes::from("x".repeat(50))));
    let reply = kit.post(PATH, Some(SECRET), chunks).await;
    assert_eq!(reply.status, StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(kit.post(PATH, Some("wrong"), "x".repeat(100)).await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_burst_is_turned_away_and_not_piled_up() {
    let mut options = Options::new(Access::Closed);
    options.memory = 0;
    let kit = Kit::with(options).await;
    let reply = kit.post(PATH, Some(SECRET), push("1")).await;
    assert_eq!((reply.status, reply.header("retry-after")), (StatusCode::SERVICE_UNAVAILABLE, Some("1")));
}

/// A body of unknown length.
fn stream(chunks: impl Iterator<Item = bytes::Bytes> + Send + 'static) -> Body {
    Body::from_stream(futures_util::stream::iter(chunks.map(Ok::<_, std::io::Error>)))
}

#[tokio::test]
async fn a_secret_in_the_address_opens_and_is_told_to_nobody() {
    let secret = "a-secret-of-some-length-in-the-address";
    let source = events::build("quay", SourceConfig::new([Secret::new(secret)])).unwrap();
    let kit = Kit::with(Options::new(Access::Loopback).with_source(EventSource::new("q", source))).await;
    let body = r#"{"repository":"team/app","namespace":"team","name":"app","docker_url":"quay.io/team/app","homepage":"https://quay.io/repository/team/app","updated_tags":["1.0"]}"#;
    for (path, expected) in [
        (format!("/v1/events/quay/q/{secret}"), true),
        (format!("/v1/events/quay/q/{secret}x"), false),
        ("/v1/events/quay/q".to_owned(), false),
    ] {
        let reply = kit.post(&path, None, body).await;
        assert_eq!(reply.status.is_success(), expected, "{path}: {} {}", reply.status, reply.text);
        assert!(!reply.text.contains(secret));
    }
    let metrics = kit.get("/metrics").await.text;
    assert!(metrics.contains(r#"route="/v1/events/{provider}/{source}/{secret}""#), "{metrics}");
    assert!(!metrics.contains(secret));
    let events = kit.get("/v1/events").await.text;
    assert!(!events.contains(secret), "{events}");
}

#[tokio::test]
async fn what_was_not_understood_can_be_read_and_replayed() {
    let kit = Kit::new(Access::Loopback).await;
    assert_eq!(kit.post(PATH, Some(SECRET), "{\"oops\"").await.status, StatusCode::OK);
    let list = kit.get("/v1/events?state=quarantined").await.json();
    let id = list["items"][0]["id"].as_i64().unwrap();
    let whole = kit.get(&format!("/v1/events/{id}")).await.json();
    assert_eq!(whole["body"], "{\"oops\"");
    assert!(whole["headers"]["content-type"].is_string() && whole["headers"]["authorization"].is_null(), "{whole}");
    // It is as little understood as before.
    let reply = kit.post(&format!("/v1/events/{id}"), None, "").await;
    assert_eq!((reply.status, reply.json()["outcome"].as_str()), (StatusCode::OK, Some("malformed")));

    kit.post(PATH, Some(SECRET), push("7")).await;
    let known = kit.get("/v1/events?state=accepted").await.json()["items"][0]["id"].as_i64().unwrap();
    let reply = kit.post(&format!("/v1/events/{known}"), None, "").await;
    assert_eq!(reply.status, StatusCode::ACCEPTED, "{}", reply.text);
    assert!(reply.json()["event"].as_i64().unwrap() > known);

    assert_eq!(kit.get("/v1/events/999999").await.status, StatusCode::NOT_FOUND);
    assert_eq!(kit.post("/v1/events/x", None, "").await.status, StatusCode::BAD_REQUEST);
    let closed = Kit::new(Access::Closed).await;
    assert_eq!(closed.get("/v1/events/1").await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn hostile_bodies_cost_little() {
    let kit = Kit::new(Access::Closed).await;
    // A hundred megabytes that are promised are not waited for.
    let request = http::Request::post(PATH)
        .header("authorization", format!("Bearer {SECRET}"))
        .header("content-type", "application/json");
    let huge = Body::from(vec![b' '; 100 << 20]);
    assert_eq!(kit.send(request.body(huge).unwrap()).await.status, StatusCode::PAYLOAD_TOO_LARGE);
    // Chunks without end are cut off.
    let endless = stream(std::iter::repeat_with(|| bytes::Bytes::from(vec![b' '; 64 << 10])));
    assert_eq!(kit.post(PATH, Some(SECRET), endless).await.status, StatusCode::PAYLOAD_TOO_LARGE);
    // Compressed bytes are bytes: nothing is inflated.
    let request = http::Request::post(PATH)
        .header("authorization", format!("Bearer {SECRET}"))
        .header("content-type", "application/json")
        .header("content-encoding", "gzip");
    let reply = kit.send(request.body(Body::from(vec![0x1f, 0x8b, 8, 0])).unwrap()).await;
    assert_eq!(reply.status, StatusCode::OK, "kept for a person to look at");
    let kept = kit.store.events(&EventFilter::default(), &Page::default()).await.unwrap().items;
    assert_eq!((kept.len(), kept[0].event.state), (1, EventState::Quarantined));
}

#[tokio::test(start_paused = true)]
async fn a_body_that_never_ends_is_not_waited_for() {
    let kit = Kit::new(Access::Closed).await;
    let silent = Body::from_stream(futures_util::stream::pending::<Result<bytes::Bytes, std::io::Error>>());
    assert_eq!(kit.post(PATH, Some(SECRET), silent).await.status, StatusCode::REQUEST_TIMEOUT);
    assert_eq!(kit.post(PATH, Some(SECRET), push("1")).await.status, StatusCode::ACCEPTED, "others are served");
}

#[tokio::test]
async fn a_burst_leaves_no_memory_behind() {
    let mut options = Options::new(Access::Closed);
    options.memory = 8 << 10;
    let kit = Kit::with(options).await;
    for number in 0..100 {
        let reply = kit.post(PATH, Some(SECRET), push(&number.to_string())).await;
        assert_eq!(reply.status, StatusCode::ACCEPTED, "delivery {number}");
    }
    let large = format!("{}{}", " ".repeat(9 << 10), push("large"));
    assert_eq!(kit.post(PATH, Some(SECRET), large).await.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(kit.post(PATH, Some(SECRET), push("after")).await.status, StatusCode::ACCEPTED);
}

#[tokio::test]
async fn a_port_of_one_source_takes_any_path() {
    let kit = Kit::new(Access::Closed).await;
    let router = kit.server.source_router("distribution", "main").unwrap();
    for (path, secret, expected) in [
        ("/", SECRET, StatusCode::ACCEPTED),
        ("/some/where", SECRET, StatusCode::ACCEPTED),
        ("/", "wrong", StatusCode::UNAUTHORIZED),
    ] {
        let request = http::Request::post(path)
            .header("authorization", format!("Bearer {secret}"))
            .header("content-type", "application/json")
            .body(Body::from(push(path)))
            .unwrap();
        let response = tower::ServiceExt::oneshot(router.clone(), request).await.unwrap();
        assert_eq!(response.status(), expected, "{path}");
    }
    let get = http::Request::get("/v1/images").body(Body::empty()).unwrap();
    let response = tower::ServiceExt::oneshot(router, get).await.unwrap();
    assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED, "the API is not here");
    assert!(kit.server.source_router("distribution", "other").is_err());
}
