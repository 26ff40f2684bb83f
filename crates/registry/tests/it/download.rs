//! Blobs on a bad day.

use futures_util::TryStreamExt;
use supercargo_registry::{Credential, Descriptor, Digest, ErrorKind, Registry};
use supercargo_testkit::{Blob, Fault, ImageBuilder, Layer, RegistryServer};
use wiremock::matchers::{header, method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

use crate::support::{app, digest, host, on_get, open, open_as};

const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";

fn descriptor(bytes: &[u8]) -> Descriptor {
    Descriptor::new(LAYER.into(), bytes.len() as u64, digest(bytes))
}

/// A server with one large layer, and the layer.
async fn large() -> (RegistryServer, Vec<u8>, Descriptor) {
    let bytes: Vec<u8> = (0..3_000_000u32).map(|n| n.wrapping_mul(2_654_435_761).to_be_bytes()[1]).collect();
    let layer = Layer::new().file("large", bytes);
    let image = ImageBuilder::new().with_layer(layer, "COPY").build();
    let server = RegistryServer::start().await.unwrap();
    server.push(&image, "team/app", "latest");
    let blob: &Blob = &image.layers[0].blob;
    let descriptor = Descriptor::new(LAYER.into(), blob.descriptor.size, blob.digest().parse::<Digest>().unwrap());
    (server, blob.bytes.to_vec(), descriptor)
}

#[tokio::test]
async fn a_broken_download_resumes_where_it_ended() {
    let (server, bytes, descriptor) = large().await;
    server.cut_blob(descriptor.digest().as_ref(), 1000, 2);
    let blob = open(&server.host()).blob(&app(), &descriptor, 0).await.unwrap();
    assert_eq!(blob.into_bytes(1 << 30).await.unwrap(), bytes);
    let requests = server.requests();
    let ranges: Vec<_> = requests
        .iter()
        .filter(|request| request.path.contains("/blobs/"))
        .map(|request| request.range.clone())
        .collect();
    assert_eq!(ranges.len(), 3, "{ranges:?}");
    assert_eq!(ranges[0], None);
    assert!(ranges[1..].iter().all(|range| range.as_ref().is_some_and(|range| range != "bytes=0-")), "{ranges:?}");
}

#[tokio::test]
async fn a_download_that_never_gets_anywhere_ends() {
    let (server, _, descriptor) = large().await;
    server.cut_blob(descriptor.digest().as_ref(), 10, 1000);
    let blob = open(&server.host()).blob(&app(), &descriptor, 0).await.unwrap();
    let error = blob.into_bytes(1 << 30).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Network, "{error}");
    assert!(error.is_retryable());
    assert!(server.blob_requests(descriptor.digest().as_ref()) < 10);
}

#[tokio::test]
async fn a_registry_without_ranges_starts_anew_and_what_was_read_is_skipped() {
    let bytes = b"0123456789".repeat(10);
    let server = MockServer::start().await;
    let at = format!("/v2/team/app/blobs/{}", digest(&bytes));
    on_get(&server, &at, ResponseTemplate::new(200).set_body_bytes(bytes.clone())).await;
    let blob = open(&host(&server)).blob(&app(), &descriptor(&bytes), 95).await.unwrap();
    assert_eq!(blob.into_bytes(100).await.unwrap(), "56789");
}

#[tokio::test]
async fn another_range_than_asked_for_is_refused() {
    let bytes = b"0123456789".to_vec();
    for range in ["bytes 0-4/10", "bytes 5-9/11", "bytes 5-9", "nonsense"] {
        let server = MockServer::start().await;
        let answer = ResponseTemplate::new(206).insert_header("content-range", range).set_body_bytes(&bytes[5..]);
        on_get(&server, &format!("/v2/team/app/blobs/{}", digest(&bytes)), answer).await;
        let error = open(&host(&server)).blob(&app(), &descriptor(&bytes), 5).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Malformed, "{range}: {error}");
    }
}

#[tokio::test]
async fn a_corrupted_blob_ends_in_an_error_and_is_not_asked_for_again() {
    let (server, _, descriptor) = large().await;
    server.corrupt_blob(descriptor.digest().as_ref());
    let blob = open(&server.host()).blob(&app(), &descriptor, 0).await.unwrap();
    let error = blob.into_bytes(1 << 30).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::DigestMismatch, "{error}");
    assert!(!error.is_retryable());
    assert_eq!(server.blob_requests(descriptor.digest().as_ref()), 1);
}

#[tokio::test]
async fn a_blob_of_another_size_is_refused() {
    let (server, _, descriptor) = large().await;
    server.truncate_blob(descriptor.digest().as_ref());
    let error = open(&server.host()).blob(&app(), &descriptor, 0).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::DigestMismatch, "{error}");

    for size in [0, 1, 11, 1 << 63] {
        let bytes = b"0123456789".to_vec();
        let server = MockServer::start().await;
        on_get(
            &server,
            &format!("/v2/team/app/blobs/{}", digest(&bytes)),
            ResponseTemplate::new(200).set_body_bytes(bytes.clone()),
        )
        .await;
        let lying = Descriptor::new(LAYER.into(), size, digest(&bytes));
        let read = match open(&host(&server)).blob(&app(), &lying, 0).await {
            Ok(blob) => blob.into_stream().try_collect::<Vec<_>>().await.map(drop),
            Err(error) => Err(error),
        };
        assert_eq!(read.unwrap_err().kind(), ErrorKind::DigestMismatch, "{size}");
    }
}

#[tokio::test]
async fn urls_of_foreign_layers_are_never_fetched() {
    let elsewhere = MockServer::start().await;
    let server = MockServer::start().await;
    let mut foreign = descriptor(b"windows");
    foreign.set_urls(Some(vec![elsewhere.uri(), format!("http://{}/secret", elsewhere.address())]));
    let error = open(&host(&server)).blob(&app(), &foreign, 0).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(elsewhere.received_requests().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_redirected_download_resumes_through_the_registry() {
    let image = ImageBuilder::new().with_layer(Layer::new().file("large", vec![7; 500_000]), "COPY").build();
    let server = RegistryServer::builder().with_token_auth("user", "pass").with_blob_redirects().start().await.unwrap();
    server.push(&image, "team/app", "latest");
    let blob = &image.layers[0].blob;
    server.cut_blob(blob.digest(), 100, 1);
    let descriptor = Descriptor::new(LAYER.into(), blob.descriptor.size, blob.digest().parse::<Digest>().unwrap());
    let registry = open_as(&server.host(), Credential::basic("user", "pass"));
    let read = registry.blob(&app(), &descriptor, 0).await.unwrap().into_bytes(1 << 30).await.unwrap();
    assert_eq!(read, blob.bytes);
    assert_eq!(server.blob_requests(blob.digest()), 2);
}

#[tokio::test]
async fn busy_registries_are_asked_again() {
    let (server, bytes, descriptor) = large().await;
    server.inject(Fault::new(503).on_path("/blobs/").with_times(2));
    let blob = open(&server.host()).blob(&app(), &descriptor, 0).await.unwrap();
    assert_eq!(blob.into_bytes(1 << 30).await.unwrap(), bytes);
}

#[tokio::test]
async fn a_range_is_what_is_asked_for() {
    let bytes = b"0123456789".to_vec();
    let server = MockServer::start().await;
    Mock::given(method("GET"))
        .and(path(format!("/v2/team/app/blobs/{}", digest(&bytes))))
        .and(header("range", "bytes=4-"))
        .respond_with(
            ResponseTemplate::new(206).insert_header("content-range", "bytes 4-9/10").set_body_bytes(&bytes[4..]),
        )
        .expect(1)
        .mount(&server)
        .await;
    let blob = open(&host(&server)).blob(&app(), &descriptor(&bytes), 4).await.unwrap();
    assert_eq!(blob.into_bytes(10).await.unwrap(), "456789");
}

/// The bytes of a range; `None` if the registry gives only the whole.
async fn range(server: &str, descriptor: &Descriptor, range: std::ops::Range<u64>) -> Option<Vec<u8>> {
    let stream = open(server).blob_range(&app(), descriptor, range).await.unwrap()?;
    Some(stream.try_collect::<Vec<_>>().await.unwrap().concat())
}

#[tokio::test]
async fn a_part_is_asked_for_from_byte_to_byte_and_resumed() {
    let (server, bytes, descriptor) = large().await;
    assert_eq!(range(&server.host(), &descriptor, 0..10).await.unwrap(), bytes[..10]);
    assert_eq!(range(&server.host(), &descriptor, 1000..1001).await.unwrap(), bytes[1000..1001]);
    let end = bytes.len() as u64;
    assert_eq!(range(&server.host(), &descriptor, end - 5..end + 5).await.unwrap(), bytes[bytes.len() - 5..]);
    assert!(range(&server.host(), &descriptor, end..end + 5).await.unwrap().is_empty());
    server.cut_blob(descriptor.digest().as_ref(), 500, 1);
    assert_eq!(range(&server.host(), &descriptor, 2000..9000).await.unwrap(), bytes[2000..9000]);
    let ranges: Vec<_> = server.requests().into_iter().filter_map(|request| request.range).collect();
    assert_eq!(ranges[..3], ["bytes=0-9".to_owned(), "bytes=1000-1000".to_owned(), format!("bytes={}-", end - 5)]);
    assert_eq!(ranges[3], "bytes=2000-8999");
    assert!(ranges[4].ends_with("-8999") && ranges[4] != ranges[3], "{ranges:?}");
}

#[tokio::test]
async fn a_server_that_gives_more_than_was_asked_for_is_cut_off() {
    let bytes = b"0123456789".to_vec();
    let server = MockServer::start().await;
    let answer = ResponseTemplate::new(206).insert_header("content-range", "bytes 2-9/10").set_body_bytes(&bytes[2..]);
    on_get(&server, &format!("/v2/team/app/blobs/{}", digest(&bytes)), answer).await;
    assert_eq!(range(&host(&server), &descriptor(&bytes), 2..5).await.unwrap(), b"234");
}

#[tokio::test]
async fn a_registry_that_answers_with_the_whole_gives_no_part() {
    let bytes = b"0123456789".to_vec();
    let server = RegistryServer::builder().without_ranges().start().await.unwrap();
    let image = ImageBuilder::new().with_blob(Blob::new(LAYER, bytes.clone())).build();
    server.push(&image, "team/app", "latest");
    assert_eq!(range(&server.host(), &descriptor(&bytes), 2..5).await, None);
}
