use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::routing::post;
use http::{HeaderMap, StatusCode};
use serde_json::Value;
use supercargo_testkit::{ErrorKind, Notification, RegistryServer, media_type, wait_for};

use crate::image;

const LIMIT: Duration = Duration::from_secs(10);

/// An endpoint that keeps what it is sent and refuses the first deliveries.
#[derive(Debug, Clone, Default)]
struct Receiver {
    events: Arc<Mutex<Vec<(HeaderMap, Value)>>>,
    refusals: Arc<Mutex<usize>>,
}

impl Receiver {
    async fn start(refusals: usize) -> (Self, String) {
        let receiver = Self { events: Arc::default(), refusals: Arc::new(Mutex::new(refusals)) };
        let router = Router::new().route("/hook", post(receive)).with_state(receiver.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}/hook", listener.local_addr().expect("a bound socket has an address"));
        tokio::spawn(async move { axum::serve(listener, router).await });
        (receiver, url)
    }

    fn events(&self) -> Vec<Value> {
        self.events.lock().expect("no test panics here").iter().map(|(_, body)| body["events"][0].clone()).collect()
    }
}

async fn receive(State(receiver): State<Receiver>, headers: HeaderMap, body: String) -> StatusCode {
    let mut refusals = receiver.refusals.lock().expect("no test panics here");
    if *refusals > 0 {
        *refusals -= 1;
        return StatusCode::INTERNAL_SERVER_ERROR;
    }
    let body = serde_json::from_str(&body).expect("the kit sends JSON");
    receiver.events.lock().expect("no test panics here").push((headers, body));
    StatusCode::ACCEPTED
}

#[tokio::test]
async fn pushes_and_deletes_are_told_in_the_envelope_of_distribution_3() {
    let (receiver, url) = Receiver::start(2).await;
    let server = RegistryServer::builder()
        .with_notification(Notification::new(url).with_header("X-Secret", "word"))
        .start()
        .await
        .unwrap();
    let image = image("app");
    server.client().push(&image, "team/app", "1.0").await.unwrap();
    server.client().delete("team/app", image.digest()).await.unwrap();
    // Two refused deliveries come again: nothing is lost, nothing overtakes.
    wait_for("three deliveries", LIMIT, || server.delivered_notifications() == 3).await.unwrap();
    assert_eq!(server.pending_notifications(), 0);

    let (headers, _) = receiver.events.lock().unwrap()[0].clone();
    assert_eq!(headers["content-type"], "application/vnd.docker.distribution.events.v2+json");
    assert_eq!(headers["x-secret"], "word");

    let events = receiver.events();
    let push = &events[0];
    assert_eq!(push["action"], "push");
    assert_eq!(push["target"]["mediaType"], media_type::OCI_MANIFEST);
    assert_eq!(push["target"]["digest"], image.digest());
    assert_eq!(push["target"]["size"], image.manifest.bytes.len());
    assert_eq!(push["target"]["repository"], "team/app");
    assert_eq!(push["target"]["tag"], "1.0");
    assert_eq!(push["target"]["url"], format!("http://{}/v2/team/app/manifests/{}", server.host(), image.digest()));
    assert_eq!(push["request"]["host"], server.host());
    assert_eq!(push["request"]["method"], "PUT");
    assert!(push["id"].is_string() && push["timestamp"].as_str().unwrap().ends_with('Z'));

    assert_eq!(events[1]["action"], "delete");
    assert_eq!(events[1]["target"]["digest"], image.digest());
    assert_eq!(events[1]["target"]["mediaType"], "");
    assert_eq!(events[2]["target"]["digest"], "");
    assert_eq!(events[2]["target"]["tag"], "1.0");
}

#[tokio::test]
async fn distribution_2_sends_no_events_for_tags() {
    let (receiver, url) = Receiver::start(0).await;
    let server =
        RegistryServer::builder().with_notification(Notification::new(url).as_distribution_2()).start().await.unwrap();
    let image = image("app");
    server.push(&image, "app", "1.0");
    server.push(&image, "app", "1.1");
    assert!(server.delete_tag("app", "1.1"));
    assert!(server.delete_manifest("app", image.digest()));
    wait_for("three deliveries", LIMIT, || server.delivered_notifications() == 3).await.unwrap();

    let (headers, _) = receiver.events.lock().unwrap()[2].clone();
    assert_eq!(headers["content-type"], "application/vnd.docker.distribution.events.v1+json");
    let delete = &receiver.events()[2];
    assert_eq!(delete["action"], "delete");
    assert_eq!(delete["target"].as_object().unwrap().keys().collect::<Vec<_>>(), ["digest", "repository"]);
}

#[tokio::test]
async fn muted_events_are_lost() {
    let (receiver, url) = Receiver::start(0).await;
    let server = RegistryServer::builder().with_notification(Notification::new(url)).start().await.unwrap();
    server.mute_notifications();
    server.push(&image("a"), "a", "1");
    server.unmute_notifications();
    server.push(&image("b"), "b", "1");
    wait_for("one delivery", LIMIT, || server.delivered_notifications() == 1).await.unwrap();
    assert_eq!(receiver.events()[0]["target"]["repository"], "b");
}

#[tokio::test]
async fn an_address_that_cannot_be_posted_to_is_refused_at_the_start() {
    for url in ["https://127.0.0.1/hook", "/hook", ""] {
        let started = RegistryServer::builder().with_notification(Notification::new(url)).start().await;
        assert_eq!(started.unwrap_err().kind(), ErrorKind::Invalid, "{url}");
    }
}
