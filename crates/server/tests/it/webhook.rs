//! Deliveries.

use axum::body::Body;
use http::StatusCode;
use supercargo_engine::store::{EventFilter, EventState, Page};
use supercargo_server::{Access, Options};

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
