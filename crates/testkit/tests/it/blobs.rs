use reqwest::Method;
use supercargo_testkit::{RegistryServer, sha256};

use crate::http::{Http, error_code, header};
use crate::image;

#[tokio::test]
async fn blobs_are_read_whole_and_in_parts() {
    let server = RegistryServer::start().await.unwrap();
    let image = image("app");
    server.push(&image, "app", "1.0");
    let layer = &image.layers[1].blob;
    let path = format!("/v2/app/blobs/{}", layer.digest());
    let http = Http::new(&server);

    let head = http.send(http.request(Method::HEAD, &path)).await;
    assert_eq!(header(&head, "content-length"), layer.bytes.len().to_string());
    assert_eq!(header(&head, "accept-ranges"), "bytes");
    assert_eq!(server.blob_requests(layer.digest()), 0);
    assert_eq!(http.get(&path).await.bytes().await.unwrap(), layer.bytes);

    let part = http.send(http.request(Method::GET, &path).header("range", "bytes=10-19")).await;
    assert_eq!(part.status(), 206);
    assert_eq!(header(&part, "content-range"), format!("bytes 10-19/{}", layer.bytes.len()));
    assert_eq!(part.bytes().await.unwrap(), layer.bytes.slice(10..20));

    let outside = http.send(http.request(Method::GET, &path).header("range", "bytes=999999-")).await;
    assert_eq!(outside.status(), 416);
    assert_eq!(server.blob_requests(layer.digest()), 3);
    assert_eq!(server.requests()[2].range.as_deref(), Some("bytes=10-19"));

    // A blob belongs to the repositories that it was pushed to.
    assert_eq!(error_code(http.get(&format!("/v2/other/blobs/{}", layer.digest())).await).await, "BLOB_UNKNOWN");
}

#[tokio::test]
async fn a_registry_without_ranges_sends_the_whole() {
    let server = RegistryServer::builder().without_ranges().start().await.unwrap();
    let image = image("app");
    server.push(&image, "app", "1.0");
    let http = Http::new(&server);
    let path = format!("/v2/app/blobs/{}", image.layer_digest(1));
    let response = http.send(http.request(Method::GET, &path).header("range", "bytes=10-19")).await;
    assert_eq!(response.status(), 200);
    assert_eq!(response.bytes().await.unwrap(), image.layers[1].blob.bytes);
}

#[tokio::test]
async fn redirected_downloads_refuse_credentials() {
    let server = RegistryServer::builder().with_blob_redirects().start().await.unwrap();
    let image = image("app");
    server.push(&image, "app", "1.0");
    let http = Http::new(&server);
    let redirect = http.get(&format!("/v2/app/blobs/{}", image.layer_digest(1))).await;
    assert_eq!(redirect.status(), 307);
    let location = header(&redirect, "location").to_owned();
    assert!(location.starts_with("http://localhost:"), "{location}");
    assert_eq!(http.get(&location).await.bytes().await.unwrap(), image.layers[1].blob.bytes);
    assert_eq!(http.send(http.request(Method::GET, &location).bearer_auth("token")).await.status(), 400);
}

#[tokio::test]
async fn uploads_come_in_one_piece_or_in_chunks() {
    let server = RegistryServer::start().await.unwrap();
    let http = Http::new(&server);
    let bytes = b"some bytes that make a blob";
    let digest = sha256(bytes);

    let whole = http.request(Method::POST, &format!("/v2/one/blobs/uploads/?digest={digest}")).body(bytes.to_vec());
    let whole = http.send(whole).await;
    assert_eq!(whole.status(), 201);
    assert_eq!(header(&whole, "docker-content-digest"), digest);

    let started = http.send(http.request(Method::POST, "/v2/two/blobs/uploads/")).await;
    assert_eq!(started.status(), 202);
    let location = header(&started, "location").to_owned();
    let patch = |range: &str, chunk: &[u8]| {
        http.send(http.request(Method::PATCH, &location).header("content-range", range).body(chunk.to_vec()))
    };
    assert_eq!(header(&patch("0-9", &bytes[..10]).await, "range"), "0-9");
    assert_eq!(patch("20-26", &bytes[20..]).await.status(), 416);
    assert_eq!(patch("10-19", &bytes[10..20]).await.status(), 202);
    assert_eq!(header(&http.get(&location).await, "range"), "0-19");
    let finish = http.request(Method::PUT, &format!("{location}?digest={digest}")).body(bytes[20..].to_vec());
    assert_eq!(http.send(finish).await.status(), 201);
    assert_eq!(&http.get(&format!("/v2/two/blobs/{digest}")).await.bytes().await.unwrap()[..], bytes);

    let wrong = http.request(Method::POST, &format!("/v2/one/blobs/uploads/?digest={}", sha256(b"x"))).body("y");
    assert_eq!(error_code(http.send(wrong).await).await, "DIGEST_INVALID");
    let unknown = http.request(Method::PATCH, "/v2/two/blobs/uploads/7").body("y");
    assert_eq!(error_code(http.send(unknown).await).await, "BLOB_UPLOAD_UNKNOWN");
}

#[tokio::test]
async fn a_mount_links_the_blob_or_becomes_an_upload() {
    let server = RegistryServer::start().await.unwrap();
    let image = image("app");
    server.push(&image, "source", "1.0");
    let http = Http::new(&server);
    let mount = |digest: &str| {
        http.send(http.request(Method::POST, &format!("/v2/target/blobs/uploads/?mount={digest}&from=source")))
    };
    assert_eq!(mount(image.layer_digest(0)).await.status(), 201);
    assert_eq!(http.get(&format!("/v2/target/blobs/{}", image.layer_digest(0))).await.status(), 200);
    assert_eq!(mount(&sha256(b"nowhere")).await.status(), 202);
}
