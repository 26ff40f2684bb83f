use std::time::{Duration, Instant};

use reqwest::Method;
use supercargo_testkit::{ErrorKind, Fault, RegistryServer, sha256};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::http::{Http, error_code, header};
use crate::image;

#[tokio::test]
async fn planned_faults_hit_the_requests_they_name() {
    let server = RegistryServer::start().await.unwrap();
    let image = image("app");
    server.push(&image, "app", "1.0");
    let http = Http::new(&server);
    let blob = format!("/v2/app/blobs/{}", image.layer_digest(0));

    server.fail_next(2, 503);
    assert_eq!(http.get("/v2/").await.status(), 503);
    assert_eq!(error_code(http.get("/v2/").await).await, "UNAVAILABLE");
    assert_eq!(http.get("/v2/").await.status(), 200);

    server.inject(Fault::new(429).on_path("/blobs/").on_method("GET").with_retry_after(Duration::from_secs(7)));
    assert_eq!(http.get("/v2/app/tags/list").await.status(), 200);
    let limited = http.get(&blob).await;
    assert_eq!((limited.status().as_u16(), header(&limited, "retry-after")), (429, "7"));
    assert_eq!(http.get(&blob).await.status(), 200);

    server.inject(Fault::new(429).with_retry_after(Duration::from_secs(3)).on_method("DELETE"));
    let error = server.client().delete("app", "1.0").await.unwrap_err();
    assert_eq!((error.kind(), error.retry_after()), (ErrorKind::Refused, Some(Duration::from_secs(3))));
    assert!(error.is_retryable());

    server.deny("app");
    assert_eq!(error_code(http.get("/v2/app/tags/list").await).await, "DENIED");
    server.allow("app");
    assert_eq!(http.get("/v2/app/tags/list").await.status(), 200);
}

#[tokio::test]
async fn blobs_are_spoiled_and_repaired() {
    let server = RegistryServer::start().await.unwrap();
    let image = image("app");
    server.push(&image, "app", "1.0");
    let (digest, whole) = (image.layer_digest(1), &image.layers[1].blob.bytes);
    let path = format!("/v2/app/blobs/{digest}");
    let http = Http::new(&server);

    server.truncate_blob(digest);
    assert_eq!(http.get(&path).await.bytes().await.unwrap(), whole.slice(..whole.len() / 2));
    server.corrupt_blob(digest);
    let corrupted = http.get(&path).await.bytes().await.unwrap();
    assert_eq!(corrupted.len(), whole.len());
    assert_ne!(sha256(&corrupted), digest);
    server.repair_blob(digest);
    assert_eq!(http.get(&path).await.bytes().await.unwrap(), whole);
}

#[tokio::test]
async fn a_cut_download_is_resumed_with_a_range() {
    let server = RegistryServer::start().await.unwrap();
    let image = image("app");
    server.push(&image, "app", "1.0");
    let (digest, whole) = (image.layer_digest(1), &image.layers[1].blob.bytes);
    let path = format!("/v2/app/blobs/{digest}");
    let http = Http::new(&server);

    server.cut_blob(digest, 20, 1);
    let mut response = http.get(&path).await;
    assert_eq!(header(&response, "content-length"), whole.len().to_string());
    let mut received = response.chunk().await.unwrap().unwrap().to_vec();
    assert_eq!(received, whole[..20]);
    assert!(response.chunk().await.is_err());

    let rest = http.send(http.request(Method::GET, &path).header("range", "bytes=20-")).await;
    received.extend(rest.bytes().await.unwrap());
    assert_eq!(received, *whole);
}

#[tokio::test]
async fn a_pause_drops_connections_until_it_ends() {
    let server = RegistryServer::start().await.unwrap();
    let http = Http::new(&server);
    // This leaves a connection open, which the pause has to cut as well.
    assert_eq!(http.get("/v2/").await.status(), 200);
    server.pause();
    assert!(http.request(Method::GET, "/v2/").send().await.is_err());
    assert!(server.client().delete("app", "1").await.unwrap_err().is_retryable());
    server.resume();
    assert_eq!(http.get("/v2/").await.status(), 200);
}

#[tokio::test]
async fn latency_delays_answers_and_shutdown_does_not_wait_for_them() {
    let server = RegistryServer::start().await.unwrap();
    server.set_latency(Duration::from_millis(50));
    let mut connection = TcpStream::connect(server.host()).await.unwrap();
    let start = Instant::now();
    connection.write_all(b"GET /v2/ HTTP/1.1\r\nHost: kit\r\n\r\n").await.unwrap();
    assert_eq!(connection.read_u8().await.unwrap(), b'H');
    assert!(start.elapsed() >= Duration::from_millis(50));

    server.set_latency(Duration::from_secs(600));
    connection.write_all(b"GET /v2/ HTTP/1.1\r\nHost: kit\r\n\r\n").await.unwrap();
    server.shutdown().await;
    // Whether it ends well or with a reset depends on what was on its way.
    let mut rest = Vec::new();
    let ended = tokio::time::timeout(Duration::from_secs(10), connection.read_to_end(&mut rest)).await;
    assert!(ended.is_ok());
}

#[tokio::test]
async fn a_dropped_server_frees_its_port() {
    let server = RegistryServer::start().await.unwrap();
    let port: u16 = server.host().rsplit(':').next().unwrap().parse().unwrap();
    let taken = RegistryServer::builder().with_port(port).start().await.unwrap_err();
    assert_eq!(taken.kind(), ErrorKind::Io);
    server.shutdown().await;
    let again = RegistryServer::builder().with_port(port).start().await.unwrap();
    assert!(again.host().ends_with(&port.to_string()));
}
