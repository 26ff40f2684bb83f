//! Bodies that do not end, do not begin, or are not what their headers say.

use std::io::Write;
use std::time::{Duration, Instant};

use futures_util::TryStreamExt;
use supercargo_registry::{Credential, Deadlines, Descriptor, ErrorKind, Registry, Retry, TransportConfig};
use wiremock::matchers::{method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

use crate::support::{MANIFEST, app, digest, document, host, image_manifest, on_get, open, open_with, quick, target};
use crate::wire::{Act, Head, Wire, answer, write};

const LATEST: &str = "/v2/team/app/manifests/latest";
/// Nothing of what is tested here takes longer.
const LONG: Duration = Duration::from_secs(20);

/// A transport that waits a fifth of a second for anything.
fn hasty() -> TransportConfig {
    let short = Duration::from_millis(200);
    TransportConfig {
        deadlines: Deadlines { connect: short, headers: short, stall: short, progress: short, document: short },
        retry: Retry { attempts: 1, ..quick().retry },
        ..quick()
    }
}

fn chunked(content_type: &str) -> Act {
    write(format!("HTTP/1.1 200 OK\r\ncontent-type: {content_type}\r\ntransfer-encoding: chunked\r\n\r\n"))
}

/// A piece of a chunked body.
fn chunk(length: usize) -> Vec<u8> {
    let mut bytes = format!("{length:x}\r\n").into_bytes();
    bytes.extend(std::iter::repeat_n(b' ', length));
    bytes.extend_from_slice(b"\r\n");
    bytes
}

fn endless() -> Act {
    Act::Forever(chunk(16 << 10), Duration::ZERO)
}

fn drip() -> Act {
    Act::Forever(chunk(1), Duration::from_millis(5))
}

#[tokio::test]
async fn documents_without_end_are_cut_at_their_bound() {
    let server = Wire::start(|head: &Head| match head.path() {
        "/v2/" => {
            let realm = format!("http://{}/token", head.header("host").unwrap());
            vec![answer("401 Unauthorized", &format!("www-authenticate: Bearer realm=\"{realm}\"\r\n"), "")]
        }
        _ => vec![chunked("application/json"), endless()],
    })
    .await;
    let registry = open(&server.host());
    let kind = registry.manifest(&app(), &target("latest")).await.unwrap_err().kind();
    assert_eq!(kind, ErrorKind::LimitExceeded, "a manifest");
    let kind = registry.tags(&app()).try_collect::<Vec<_>>().await.unwrap_err().kind();
    assert_eq!(kind, ErrorKind::LimitExceeded, "a page");
    let kind = registry.repositories().try_collect::<Vec<_>>().await.unwrap_err().kind();
    assert_eq!(kind, ErrorKind::LimitExceeded, "a page of the catalog");
    let known = open_with(&server.host(), Credential::basic("user", "pass"), &quick());
    let error = known.manifest(&app(), &target("latest")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::LimitExceeded, "a token: {error}");
    assert!(error.to_string().contains("get a token"), "{error}");
}

#[tokio::test]
async fn a_refusal_without_end_is_a_refusal() {
    let server =
        Wire::start(|_| vec![write("HTTP/1.1 404 Not Found\r\ntransfer-encoding: chunked\r\n\r\n"), endless()]).await;
    let refused = open(&server.host());
    let answered = tokio::time::timeout(LONG, refused.manifest(&app(), &target("latest"))).await.expect("it ends");
    assert_eq!(answered.unwrap_err().kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn a_blob_without_end_is_cut_at_its_size() {
    let server = Wire::start(|_| vec![chunked("application/octet-stream"), endless()]).await;
    let blob = Descriptor::new("application/x-tar".into(), 100_000, digest(b"something"));
    let read = open(&server.host()).blob(&app(), &blob, 0).await.unwrap().into_bytes(1 << 30);
    let error = tokio::time::timeout(LONG, read).await.expect("it ends").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::DigestMismatch, "{error}");
}

#[tokio::test]
async fn a_byte_now_and_then_is_no_answer() {
    let server = Wire::start(|_| vec![chunked("application/json"), drip()]).await;
    let registry = open_with(&server.host(), Credential::Anonymous, &hasty());
    let started = Instant::now();
    let error = registry.manifest(&app(), &target("latest")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
    let blob = Descriptor::new("application/x-tar".into(), 1 << 20, digest(b"something"));
    let error = registry.blob(&app(), &blob, 0).await.unwrap().into_bytes(1 << 30).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
    assert!(started.elapsed() < LONG);

    // Headers that trickle in.
    let server = Wire::start(|_| {
        vec![write("HTTP/1.1 200 OK\r\n"), Act::Forever(b"x-a: b\r\n".to_vec(), Duration::from_millis(5))]
    })
    .await;
    let registry = open_with(&server.host(), Credential::Anonymous, &hasty());
    let error = tokio::time::timeout(LONG, registry.manifest(&app(), &target("latest"))).await.expect("it ends");
    assert!(matches!(error.unwrap_err().kind(), ErrorKind::Timeout | ErrorKind::Network));
}

#[tokio::test]
async fn lengths_that_lie() {
    // More is announced than comes.
    let server = Wire::start(|_| {
        vec![
            write(format!("HTTP/1.1 200 OK\r\ncontent-type: {MANIFEST}\r\ncontent-length: 9999\r\n\r\n{{}}")),
            Act::Close,
        ]
    })
    .await;
    let error = open(&server.host()).manifest(&app(), &target("latest")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Network, "{error}");

    // Less is announced than comes: what is left over is the answer to nothing.
    let smuggled = "{\"schemaVersion\":2}HTTP/1.1 200 OK\r\ncontent-length: 13\r\n\r\n{\"tags\":[\"x\"]}";
    let server = Wire::start(move |head: &Head| match head.path() {
        LATEST => vec![write(format!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 19\r\n\r\n{smuggled}"
        ))],
        _ => vec![answer("200 OK", "content-type: application/json\r\n", "{\"tags\":[\"honest\"]}")],
    })
    .await;
    let registry = open(&server.host());
    registry.manifest(&app(), &target("latest")).await.unwrap();
    let tags: Vec<_> = registry.tags(&app()).try_collect().await.unwrap();
    assert_eq!(tags.iter().map(|tag| tag.name.as_str()).collect::<Vec<_>>(), ["honest"]);

    // A blob with more or fewer bytes than it should have, announced or not.
    let bytes = b"0123456789".to_vec();
    for (head, body) in
        [("content-length: 9\r\n", "012345678"), ("content-length: 11\r\n", "0123456789x"), ("", "0123456789x")]
    {
        let server =
            Wire::start(move |_| vec![write(format!("HTTP/1.1 200 OK\r\n{head}\r\n{body}")), Act::Close]).await;
        let blob = Descriptor::new("application/x-tar".into(), 10, digest(&bytes));
        let read = match open(&server.host()).blob(&app(), &blob, 0).await {
            Ok(blob) => blob.into_bytes(100).await,
            Err(error) => Err(error),
        };
        assert_eq!(read.unwrap_err().kind(), ErrorKind::DigestMismatch, "{head:?}");
    }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[tokio::test]
async fn no_encoding_is_asked_for_and_none_is_undone() {
    // What storage services do with layers: they label them as what they are.
    let layer = gzip(&vec![0; 1 << 20]);
    let server = MockServer::start().await;
    let at = format!("/v2/team/app/blobs/{}", digest(&layer));
    let labelled = ResponseTemplate::new(200).insert_header("content-encoding", "gzip").set_body_bytes(layer.clone());
    on_get(&server, &at, labelled).await;
    on_get(&server, LATEST, document(MANIFEST, image_manifest())).await;
    let registry = open(&host(&server));
    let blob =
        Descriptor::new("application/vnd.oci.image.layer.v1.tar+gzip".into(), layer.len() as u64, digest(&layer));
    assert_eq!(registry.blob(&app(), &blob, 0).await.unwrap().into_bytes(1 << 30).await.unwrap(), layer);
    registry.manifest(&app(), &target("latest")).await.unwrap();
    for request in server.received_requests().await.unwrap() {
        assert!(request.headers.get("accept-encoding").is_none(), "{}", request.url);
    }
}

#[tokio::test]
async fn encoded_documents_are_refused() {
    let bomb = gzip(&vec![b' '; 64 << 20]);
    let encoded = || {
        ResponseTemplate::new(200)
            .insert_header("content-encoding", "gzip")
            .set_body_raw(bomb.clone(), "application/json")
    };
    let server = MockServer::start().await;
    Mock::given(method("GET")).and(path("/token")).respond_with(encoded()).with_priority(1).mount(&server).await;
    let challenge = format!("Bearer realm=\"{}/token\"", server.uri());
    on_get(&server, "/v2/", ResponseTemplate::new(401).insert_header("www-authenticate", challenge.as_str())).await;
    Mock::given(method("GET")).respond_with(encoded()).mount(&server).await;
    let registry = open(&host(&server));
    let kinds = [
        registry.manifest(&app(), &target("latest")).await.unwrap_err().kind(),
        registry.tags(&app()).try_collect::<Vec<_>>().await.unwrap_err().kind(),
        registry.repositories().try_collect::<Vec<_>>().await.unwrap_err().kind(),
        open_with(&host(&server), Credential::basic("user", "pass"), &quick()).check().await.unwrap_err().kind(),
    ];
    assert_eq!(kinds, [ErrorKind::Malformed; 4]);
}

#[tokio::test]
async fn pages_for_people_are_not_taken_for_answers() {
    let login = "<!DOCTYPE html><html><body>Please sign in</body></html>";
    for (content_type, body) in [("text/html", login), ("application/json", login), ("text/html", "\n <html>")] {
        let server = MockServer::start().await;
        Mock::given(method("GET")).respond_with(document(content_type, body)).mount(&server).await;
        let registry = open(&host(&server));
        let error = registry.check().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
        assert!(error.to_string().contains("web page"), "{error}");
        assert_eq!(registry.tags(&app()).try_collect::<Vec<_>>().await.unwrap_err().kind(), ErrorKind::Malformed);
        assert_eq!(registry.repositories().try_collect::<Vec<_>>().await.unwrap_err().kind(), ErrorKind::Malformed);
    }
    // Quay says `true` and calls it HTML.
    for (content_type, body) in [("text/html; charset=utf-8", "true"), ("application/json", "{}"), ("text/plain", "")] {
        let server = MockServer::start().await;
        on_get(&server, "/v2/", document(content_type, body)).await;
        open(&host(&server)).check().await.unwrap();
    }
    // Lists that are empty in an unusual way.
    for (status, body, kind) in
        [(200, "", ErrorKind::Malformed), (204, "", ErrorKind::Malformed), (200, "[]", ErrorKind::Malformed)]
    {
        let server = MockServer::start().await;
        Mock::given(method("GET"))
            .respond_with(ResponseTemplate::new(status).set_body_string(body))
            .mount(&server)
            .await;
        assert_eq!(open(&host(&server)).tags(&app()).try_collect::<Vec<_>>().await.unwrap_err().kind(), kind);
    }
}
