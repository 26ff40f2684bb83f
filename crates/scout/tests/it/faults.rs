//! The service in trouble: nothing is lost, and nothing has another effect for being sent twice.

use std::time::{Duration, Instant};

use supercargo_scout::index::ImageMetadata;
use supercargo_scout::{Credential, ErrorKind, Retry, ScoutClient};
use supercargo_testkit::{ScoutFault, ScoutImage, ScoutServer};

use crate::support::{SECRET, config, image, metadata, service, upload};

/// How an image looks at the service if nothing goes wrong.
async fn untroubled(metadata: &ImageMetadata) -> ScoutImage {
    let (server, client) = service().await;
    client.upload(&upload(metadata, "d")).await.unwrap();
    let image = server.images().remove(0);
    server.shutdown().await;
    image
}

/// Whether two images are the same but for how often their states were told.
fn assert_same(image: &ScoutImage, expected: &ScoutImage) {
    let latest = |image: &ScoutImage| {
        let mut image = image.clone();
        image.states.drain(..image.states.len().saturating_sub(1));
        image
    };
    assert_eq!(latest(image), latest(expected));
}

const UPLOAD: &str = "/skills/remote/";

#[tokio::test]
async fn passing_trouble_is_not_noticed() {
    let metadata = metadata(image(45)).await;
    let expected = untroubled(&metadata).await;
    let faults = [
        ScoutFault::status(500),
        ScoutFault::status(503).with_times(3),
        ScoutFault::status(502),
        ScoutFault::status(408),
        ScoutFault::status(429).with_retry_after(Duration::ZERO),
        ScoutFault::status(401),
        ScoutFault::cut(),
        ScoutFault::cut_after_effect(),
        ScoutFault::cut_after_effect().with_times(3),
    ];
    for fault in faults {
        // In the first transaction, in the middle, and in the last.
        for skipped in [0, 2, 4] {
            let (server, client) = service().await;
            server.inject(fault.clone().on_path(UPLOAD).with_skipped(skipped));
            client.upload(&upload(&metadata, "d")).await.unwrap();
            assert_same(&server.images()[0], &expected);
            assert_eq!((server.images().len(), server.problems()), (1, Vec::new()), "{fault:?}");
            server.shutdown().await;
        }
    }
}

#[tokio::test]
async fn a_sign_in_in_trouble_is_tried_again() {
    let (server, client) = service().await;
    server.inject(ScoutFault::status(503).on_path("/v2/auth/token").with_times(2));
    server.inject(ScoutFault::cut().on_path("/v2/auth/token"));
    client.sign_in().await.unwrap();
    server.shutdown().await;
}

#[tokio::test]
async fn an_upload_that_broke_off_is_sent_again_with_the_same_effect() {
    let metadata = metadata(image(45)).await;
    let expected = untroubled(&metadata).await;
    for skipped in 0..5 {
        let (server, client) = service().await;
        // More often than the client tries.
        server.inject(ScoutFault::cut_after_effect().on_path(UPLOAD).with_skipped(skipped).with_times(4));
        let upload = upload(&metadata, "d");
        let error = client.upload(&upload).await.unwrap_err();
        assert_eq!((error.kind(), error.is_retryable()), (ErrorKind::Network, true), "{error:?}");
        assert_eq!(error.correlation_id(), Some(upload.correlation_id().as_str()));

        client.upload(&upload).await.unwrap();
        assert_same(&server.images()[0], &expected);
        assert_eq!((server.images().len(), server.problems()), (1, Vec::new()));
        server.shutdown().await;
    }
}

#[tokio::test]
async fn a_service_that_is_away_is_an_error_that_passes() {
    let (server, client) = service().await;
    client.sign_in().await.unwrap();
    server.pause();
    let error = client.enroll().await.unwrap_err();
    assert_eq!((error.kind(), error.is_retryable()), (ErrorKind::Network, true));
    server.resume();
    client.enroll().await.unwrap();
    server.shutdown().await;

    let error = client.enroll().await.unwrap_err();
    assert_eq!((error.kind(), error.is_retryable()), (ErrorKind::Network, true));
    assert_eq!(error.to_string(), "enroll the organization: connect to 127.0.0.1");
}

#[tokio::test]
async fn retry_after_is_waited_for_or_handed_on() {
    let (server, client) = service().await;
    client.sign_in().await.unwrap();
    server.inject(ScoutFault::status(429).with_retry_after(Duration::from_secs(1)));
    let started = Instant::now();
    client.enroll().await.unwrap();
    assert!(started.elapsed() >= Duration::from_millis(990), "{:?}", started.elapsed());

    server.inject(ScoutFault::status(503).with_retry_after(Duration::from_secs(600)));
    let before = server.requests().len();
    let error = client.enroll().await.unwrap_err();
    assert_eq!((error.kind(), error.retry_after()), (ErrorKind::Unavailable, Some(Duration::from_secs(600))));
    assert_eq!(server.requests().len() - before, 1);
    server.shutdown().await;
}

#[tokio::test]
async fn who_keeps_a_queue_of_his_own_has_each_request_sent_once() {
    let server = ScoutServer::start().await.unwrap();
    let once = config(&server).with_retry(Retry::never());
    let client = ScoutClient::new(once, Credential::login("acme", SECRET)).unwrap();
    client.sign_in().await.unwrap();
    server.inject(ScoutFault::status(503).with_times(9));
    let before = server.requests().len();
    let error = client.enroll().await.unwrap_err();
    assert!(error.is_retryable());
    assert_eq!(server.requests().len() - before, 1);
    server.shutdown().await;
}

#[tokio::test]
async fn a_service_that_is_too_slow_is_given_up() {
    let server = ScoutServer::start().await.unwrap();
    let mut hasty = config(&server).with_retry(Retry::never());
    hasty.deadlines.answer = Duration::from_millis(50);
    let client = ScoutClient::new(hasty, Credential::login("acme", SECRET)).unwrap();
    server.set_latency(Duration::from_secs(60));
    let error = client.sign_in().await.unwrap_err();
    assert_eq!((error.kind(), error.is_retryable()), (ErrorKind::Timeout, true));
    server.shutdown().await;
}
