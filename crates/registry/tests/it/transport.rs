//! Redirects, lists and answers of registries that mean harm, or are merely busy.

use std::time::{Duration, Instant};

use futures_util::TryStreamExt;
use supercargo_registry::{Credential, Deadlines, ErrorKind, Registry, Retry, TransportConfig};
use supercargo_testkit::{Fault, ImageBuilder, Layer, RegistryServer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use wiremock::matchers::{method, path, query_param};
use wiremock::{Mock, MockServer, ResponseTemplate};

use crate::support::{
    MANIFEST, app, authorizations, document, host, image_manifest, on_get, open, open_as, open_with, quick, target,
};

const LATEST: &str = "/v2/team/app/manifests/latest";

fn redirect(to: &str) -> ResponseTemplate {
    ResponseTemplate::new(307).insert_header("location", to)
}

async fn fetch(registry: &impl Registry) -> Result<(), supercargo_registry::Error> {
    registry.manifest(&app(), &target("latest")).await.map(drop)
}

/// A transport that sends user and password with the first request.
fn eager() -> TransportConfig {
    TransportConfig { sign_in: supercargo_registry::SignIn::Basic, ..quick() }
}

#[tokio::test]
async fn a_redirect_to_another_host_loses_the_credentials_for_good() {
    let registry = MockServer::start().await;
    let elsewhere = MockServer::start().await;
    on_get(&registry, LATEST, redirect(&format!("{}/blob", elsewhere.uri()))).await;
    on_get(&elsewhere, "/blob", redirect(&format!("{}/back", registry.uri()))).await;
    on_get(&registry, "/back", document(MANIFEST, image_manifest())).await;
    let client = open_with(&host(&registry), Credential::basic("user", "pass"), &eager());
    fetch(&client).await.unwrap();
    assert!(authorizations(&registry, LATEST).await[0].is_some());
    assert_eq!(authorizations(&elsewhere, "/blob").await, [None]);
    assert_eq!(authorizations(&registry, "/back").await, [None]);
}

#[tokio::test]
async fn a_redirect_on_the_same_host_keeps_them() {
    let registry = MockServer::start().await;
    on_get(&registry, LATEST, redirect("/elsewhere")).await;
    on_get(&registry, "/elsewhere", document(MANIFEST, image_manifest())).await;
    fetch(&open_with(&host(&registry), Credential::basic("user", "pass"), &eager())).await.unwrap();
    assert!(authorizations(&registry, "/elsewhere").await[0].is_some());
}

#[tokio::test]
async fn a_host_that_was_redirected_to_cannot_ask_for_credentials() {
    let registry = MockServer::start().await;
    let elsewhere = MockServer::start().await;
    on_get(&registry, LATEST, redirect(&format!("{}/blob", elsewhere.uri()))).await;
    let challenge = ResponseTemplate::new(401).insert_header("www-authenticate", "Basic realm=\"mine\"");
    on_get(&elsewhere, "/blob", challenge).await;
    let error = fetch(&open_with(&host(&registry), Credential::basic("user", "pass"), &eager())).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unauthorized);
    assert_eq!(authorizations(&elsewhere, "/blob").await, [None]);
}

#[tokio::test]
async fn redirects_that_are_not_followed() {
    for to in [
        "http://169.254.169.254/latest/meta-data",
        "http://metadata.test/latest/meta-data",
        "http://[::ffff:169.254.169.254]/",
        "http://[fd00:ec2::254]/",
        "http://2852039166/",
        "http://0.0.0.0/",
        "file:///etc/passwd",
        "ftp://blobs.test/x",
        "http://user:pass@127.0.0.1/",
        "http://[",
    ] {
        let registry = MockServer::start().await;
        on_get(&registry, LATEST, redirect(to)).await;
        let error = fetch(&open(&host(&registry))).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Refused, "{to}: {error}");
        assert_eq!(registry.received_requests().await.unwrap().len(), 1, "{to} is not tried again");
    }
}

#[tokio::test]
async fn redirects_end() {
    let registry = MockServer::start().await;
    on_get(&registry, LATEST, redirect(LATEST)).await;
    let error = fetch(&open(&host(&registry))).await.unwrap_err();
    assert_eq!((error.kind(), registry.received_requests().await.unwrap().len()), (ErrorKind::Refused, 1));

    let registry = MockServer::start().await;
    on_get(&registry, LATEST, redirect("/1")).await;
    for hop in 1..20 {
        on_get(&registry, &format!("/{hop}"), redirect(&format!("/{}", hop + 1))).await;
    }
    let error = fetch(&open(&host(&registry))).await.unwrap_err();
    assert_eq!((error.kind(), registry.received_requests().await.unwrap().len()), (ErrorKind::Refused, 6));
}

#[tokio::test]
async fn signatures_in_addresses_are_not_shown() {
    let registry = MockServer::start().await;
    on_get(&registry, LATEST, redirect("http://127.0.0.1:1/blob?X-Amz-Signature=hunter2")).await;
    let error = fetch(&open(&host(&registry))).await.unwrap_err();
    let mut shown = format!("{error} {error:?}");
    let mut cause = std::error::Error::source(&error);
    while let Some(inner) = cause {
        shown.push_str(&inner.to_string());
        cause = inner.source();
    }
    assert!(!shown.contains("hunter2"), "{shown}");
    assert_eq!(error.kind(), ErrorKind::Network);
}

#[tokio::test]
async fn lists_stay_on_the_registry() {
    let elsewhere = MockServer::start().await;
    let registry = MockServer::start().await;
    let answer = document("application/json", r#"{"tags":["a"]}"#)
        .insert_header("link", "<http://elsewhere.test/v2/team/app/tags/list?last=a>; rel=\"next\"");
    on_get(&registry, "/v2/team/app/tags/list", answer).await;
    let error = open(&host(&registry)).tags(&app()).try_collect::<Vec<_>>().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Refused);
    assert!(elsewhere.received_requests().await.unwrap().is_empty());
}

#[tokio::test]
async fn lists_end() {
    let page = |body: &str, link: &str| document("application/json", body).insert_header("link", link);
    // The same page for ever.
    let registry = MockServer::start().await;
    on_get(&registry, "/v2/team/app/tags/list", page(r#"{"tags":["a"]}"#, "</v2/x?last=a>; rel=\"next\"")).await;
    let error = open(&host(&registry)).tags(&app()).try_collect::<Vec<_>>().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Malformed, "{error}");
    assert_eq!(registry.received_requests().await.unwrap().len(), 2);

    // Empty pages for ever, and null for none.
    for body in [r#"{"tags":[]}"#, r#"{"tags":null}"#, "{}"] {
        let registry = MockServer::start().await;
        on_get(&registry, "/v2/team/app/tags/list", page(body, "</v2/x?last=a>; rel=\"next\"")).await;
        let tags = open(&host(&registry)).tags(&app()).try_collect::<Vec<_>>().await.unwrap();
        assert!(tags.is_empty());
    }
}

#[tokio::test]
async fn names_that_are_none_are_left_out() {
    let registry = MockServer::start().await;
    on_get(
        &registry,
        "/v2/_catalog",
        document("application/json", r#"{"repositories":["good/name","../../etc","UPPER",""]}"#),
    )
    .await;
    on_get(&registry, "/v2/team/app/tags/list", document("application/json", r#"{"tags":["good","../x","a b"]}"#))
        .await;
    let client = open(&host(&registry));
    let repositories: Vec<_> = client.repositories().try_collect().await.unwrap();
    assert_eq!(repositories.iter().map(|name| name.as_str()).collect::<Vec<_>>(), ["good/name"]);
    let tags: Vec<_> = client.tags(&app()).try_collect().await.unwrap();
    assert_eq!(tags.len(), 1);
}

#[tokio::test]
async fn a_page_size_that_is_refused_is_made_smaller() {
    let registry = MockServer::start().await;
    Mock::given(method("GET"))
        .and(path("/v2/_catalog"))
        .and(query_param("n", "100"))
        .respond_with(document("application/json", r#"{"repositories":["a"]}"#))
        .with_priority(1)
        .mount(&registry)
        .await;
    on_get(&registry, "/v2/_catalog", ResponseTemplate::new(400)).await;
    let repositories: Vec<_> = open(&host(&registry)).repositories().try_collect().await.unwrap();
    assert_eq!(repositories.len(), 1);
}

#[tokio::test]
async fn nexus_names_its_own_address_and_is_asked_at_ours() {
    let registry = MockServer::start().await;
    Mock::given(method("GET"))
        .and(path("/v2/_catalog"))
        .and(query_param("last", "a"))
        .respond_with(document("application/json", r#"{"repositories":["b"]}"#))
        .with_priority(1)
        .mount(&registry)
        .await;
    let first = document("application/json", r#"{"repositories":["a"]}"#)
        .insert_header("link", "<http://127.0.0.1:8081/repository/docker/v2/_catalog?last=a&n=1000>; rel=\"next\"");
    on_get(&registry, "/v2/_catalog", first).await;
    let repositories: Vec<_> = open(&host(&registry)).repositories().try_collect().await.unwrap();
    assert_eq!(repositories.len(), 2);
}

#[tokio::test]
async fn forms_of_retry_after() {
    for (header, tries) in [(None, 3), (Some("0"), 3), (Some("garbage"), 3), (Some("315360000"), 1)] {
        let registry = MockServer::start().await;
        let mut answer = ResponseTemplate::new(429);
        if let Some(header) = header {
            answer = answer.insert_header("retry-after", header);
        }
        on_get(&registry, LATEST, answer).await;
        let error = fetch(&open(&host(&registry))).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::RateLimited, "{header:?}");
        assert!(error.is_retryable());
        assert_eq!(registry.received_requests().await.unwrap().len(), tries, "{header:?}");
        if tries == 1 {
            assert_eq!(error.retry_after(), Some(Duration::from_secs(3600)), "a long wait is the caller's");
        }
    }
}

#[tokio::test]
async fn a_short_retry_after_is_waited_for() {
    let server = RegistryServer::start().await.unwrap();
    let image = ImageBuilder::new().with_layer(Layer::new().file("a", "1"), "COPY").build();
    server.push(&image, "team/app", "latest");
    server.inject(Fault::new(429).with_retry_after(Duration::from_secs(1)));
    let started = Instant::now();
    fetch(&open(&server.host())).await.unwrap();
    assert!(started.elapsed() >= Duration::from_secs(1));
}

#[tokio::test]
async fn refusals_are_not_repeated() {
    for (status, kind) in [
        (400, ErrorKind::Malformed),
        (403, ErrorKind::Denied),
        (404, ErrorKind::NotFound),
        (501, ErrorKind::Unsupported),
    ] {
        let registry = MockServer::start().await;
        on_get(&registry, LATEST, ResponseTemplate::new(status)).await;
        let error = fetch(&open(&host(&registry))).await.unwrap_err();
        assert_eq!((error.kind(), error.is_retryable()), (kind, false));
        assert_eq!(registry.received_requests().await.unwrap().len(), 1);
    }
}

#[tokio::test]
async fn a_registry_that_was_away_is_found_again() {
    let server = RegistryServer::start().await.unwrap();
    let image = ImageBuilder::new().with_layer(Layer::new().file("a", "1"), "COPY").build();
    server.push(&image, "team/app", "latest");
    let registry = open(&server.host());
    server.pause();
    let error = fetch(&registry).await.unwrap_err();
    assert_eq!((error.kind(), error.is_retryable()), (ErrorKind::Network, true), "{error}");
    server.resume();
    fetch(&registry).await.unwrap();
}

/// A server that answers the first request of each connection with `head` and then nothing more, without
/// hanging up.
async fn mute(head: &'static [u8]) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        let mut held = Vec::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                request.push(stream.read_u8().await.unwrap());
            }
            stream.write_all(head).await.unwrap();
            held.push(stream);
        }
    });
    address
}

#[tokio::test]
async fn nothing_is_waited_for_without_end() {
    let short = Duration::from_millis(100);
    let config = TransportConfig {
        deadlines: Deadlines { connect: short, headers: short, stall: short, progress: short, document: short },
        retry: Retry { attempts: 1, ..quick().retry },
        ..quick()
    };
    for head in [
        b"".as_slice(),
        b"HTTP/1.1 200 OK\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\n{\r\n",
        b"HTTP/1.1 404 Not Found\r\ncontent-length: 100\r\n\r\n",
    ] {
        let address = mute(head).await;
        let registry = open_with(&address, Credential::Anonymous, &config);
        let answer = tokio::time::timeout(Duration::from_secs(5), fetch(&registry)).await.expect("it ends in time");
        let expected = if head.starts_with(b"HTTP/1.1 404") { ErrorKind::NotFound } else { ErrorKind::Timeout };
        assert_eq!(answer.unwrap_err().kind(), expected, "{}", String::from_utf8_lossy(head));
    }
    let address = mute(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n12").await;
    let registry = open_with(&address, Credential::Anonymous, &config);
    let descriptor =
        supercargo_registry::Descriptor::new("application/x-tar".into(), 10, crate::support::digest(b"0123456789"));
    let blob = registry.blob(&app(), &descriptor, 0).await.unwrap();
    let read = tokio::time::timeout(Duration::from_secs(20), blob.into_bytes(10)).await.expect("it ends in time");
    assert_eq!(read.unwrap_err().kind(), ErrorKind::Timeout);
}

#[tokio::test]
async fn answers_that_break_http() {
    for head in [
        b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n{}".as_slice(),
        b"HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\ncontent-length: 99999999999999999999999\r\n\r\n{}",
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"\x16\x03\x01\x02\x00",
    ] {
        let address = mute(head).await;
        let answer =
            tokio::time::timeout(Duration::from_secs(5), fetch(&open(&address))).await.expect("it ends in time");
        assert_eq!(answer.unwrap_err().kind(), ErrorKind::Network, "{}", String::from_utf8_lossy(head));
    }
}

#[tokio::test]
async fn what_is_asked_with() {
    let registry = MockServer::start().await;
    on_get(&registry, LATEST, document(MANIFEST, image_manifest())).await;
    fetch(&open(&host(&registry))).await.unwrap();
    let request = &registry.received_requests().await.unwrap()[0];
    let header = |name: &str| request.headers.get(name).map(|value| value.to_str().unwrap().to_owned());
    assert!(header("user-agent").unwrap().starts_with("supercargo/"));
    assert!(header("accept").unwrap().contains(MANIFEST));
    assert_eq!(header("accept-encoding"), None);
    assert_eq!(header("authorization"), None);
    assert_eq!(header("referer"), None);
    assert_eq!(header("cookie"), None);
}

#[tokio::test]
async fn plain_http_is_for_this_machine() {
    let registry = MockServer::start().await;
    on_get(&registry, LATEST, document(MANIFEST, image_manifest())).await;
    let port = registry.address().port();
    // TLS is spoken to any other host, which this server does not understand.
    let named = format!("registry.test:{port}");
    assert!(fetch(&open(&named)).await.is_err());
    let config = TransportConfig { plain_http: Some(true), ..quick() };
    fetch(&open_with(&named, Credential::Anonymous, &config)).await.unwrap();
    fetch(&open_as(&format!("localhost:{port}"), Credential::Anonymous)).await.unwrap();
}

#[tokio::test]
async fn what_is_no_registry() {
    let server = MockServer::start().await;
    let error = open(&host(&server)).check().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.to_string().contains("no registry"), "{error}");
}
