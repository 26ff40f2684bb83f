//! Who may do what.

use axum::body::Body;
use http::{Request, StatusCode};
use supercargo_engine::events::Secret;
use supercargo_server::Access;

use crate::kit::{Kit, SECRET};

const READING: [&str; 9] = [
    "/metrics",
    "/v1/images",
    "/v1/packages",
    "/v1/failures",
    "/v1/queue",
    "/v1/registries",
    "/v1/events",
    "/v1/integrations",
    "/v1/repositories",
];

#[tokio::test]
async fn without_a_token_others_read_nothing_and_events_still_come_in() {
    let kit = Kit::new(Access::Closed).await;
    for path in READING {
        let reply = kit.get(path).await;
        assert_eq!(
            (reply.status, reply.header("www-authenticate")),
            (StatusCode::UNAUTHORIZED, Some("Bearer")),
            "{path}"
        );
        assert!(reply.text.contains("send a token"), "{path}: {}", reply.text);
    }
    assert_eq!(kit.get(&format!("/v1/images/{}", kit.digest)).await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(kit.get("/healthz").await.status, StatusCode::OK);
    let event = r#"{"events": []}"#;
    assert_eq!(kit.post("/v1/events/distribution/main", Some(SECRET), event).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_token_opens_what_reads() {
    let kit = Kit::new(Access::Token(Secret::new("a token of some length"))).await;
    for path in READING {
        let reply = kit.get(path).await;
        assert_eq!(
            (reply.status, reply.header("www-authenticate")),
            (StatusCode::UNAUTHORIZED, Some("Bearer")),
            "{path}"
        );
        for (token, expected) in [("a token of some length", StatusCode::OK), ("another", StatusCode::UNAUTHORIZED)] {
            let request = Request::get(path).header("authorization", format!("Bearer {token}"));
            let reply = kit.send(request.body(Body::empty()).unwrap()).await;
            assert_eq!(reply.status, expected, "{path} {token}");
        }
    }
}

#[tokio::test]
async fn readiness_tells_strangers_no_names() {
    let kit = Kit::new(Access::Closed).await;
    let reply = kit.get("/readyz").await;
    // The engine of the kit does not run.
    assert_eq!((reply.status, reply.json()), (StatusCode::SERVICE_UNAVAILABLE, serde_json::json!({"ready": false})));

    let kit = Kit::new(Access::Loopback).await;
    let reply = kit.get("/readyz").await.json();
    assert_eq!(reply["engine"], serde_json::json!({"ok": false, "reason": "it does not run"}));
    assert_eq!(reply["store"]["ok"], true);
    assert_eq!(reply["registries"][0]["registry"], "registry.test");
}

#[tokio::test]
async fn a_page_in_the_browser_changes_nothing() {
    let kit = Kit::new(Access::Loopback).await;
    let request =
        Request::post("/v1/failures/1/retry").header("host", "localhost").header("origin", "https://evil.test");
    let reply = kit.send(request.body(Body::empty()).unwrap()).await;
    assert_eq!(reply.status, StatusCode::FORBIDDEN);
    let request = Request::get("/v1/images").header("host", "rebound.evil.test:8080");
    assert_eq!(kit.send(request.body(Body::empty()).unwrap()).await.status, StatusCode::FORBIDDEN);
}
