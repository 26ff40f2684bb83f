//! What is attached, and registries that would rather not say.

use bytes::Bytes;
use futures_util::TryStreamExt;
use serde_json::json;
use supercargo_registry::{Descriptor, Digest, ErrorKind, Referrer, Registry, Result};
use wiremock::matchers::{method, path_regex};
use wiremock::{Mock, MockServer, ResponseTemplate};

use crate::support::{INDEX, MANIFEST, app, digest, document, host, on_get, open};

fn subject() -> Digest {
    digest(b"subject")
}

fn by_api() -> String {
    format!("/v2/team/app/referrers/{}", subject())
}

fn by_tag() -> String {
    format!("/v2/team/app/manifests/sha256-{}", subject().digest())
}

fn listed(count: usize) -> String {
    let manifests: Vec<_> =
        (0..count).map(|n| json!({"mediaType": MANIFEST, "digest": digest(&n.to_be_bytes()), "size": 1})).collect();
    json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": manifests}).to_string()
}

async fn list(server: &MockServer) -> Result<Vec<Descriptor>> {
    open(&host(server)).referrers(&app(), &subject()).try_collect().await
}

#[tokio::test]
async fn the_tag_stands_in_for_the_api() {
    // No API at all, a front end's page in its place, and a registry that does not know the path.
    for answer in [
        ResponseTemplate::new(404),
        document("text/html", "<html>welcome</html>"),
        ResponseTemplate::new(405),
        ResponseTemplate::new(400),
    ] {
        let server = MockServer::start().await;
        on_get(&server, &by_api(), answer).await;
        assert!(list(&server).await.unwrap().is_empty(), "no tag, no referrers");
        on_get(&server, &by_tag(), document(INDEX, listed(2))).await;
        assert_eq!(list(&server).await.unwrap().len(), 2);
    }
}

#[tokio::test]
async fn a_refusal_is_not_taken_for_an_empty_list() {
    for (status, kind) in [
        (401, ErrorKind::Unauthorized),
        (403, ErrorKind::Denied),
        (429, ErrorKind::RateLimited),
        (503, ErrorKind::Unavailable),
    ] {
        let server = MockServer::start().await;
        on_get(&server, &by_api(), ResponseTemplate::new(status)).await;
        assert_eq!(list(&server).await.unwrap_err().kind(), kind);

        let server = MockServer::start().await;
        on_get(&server, &by_tag(), ResponseTemplate::new(status)).await;
        assert_eq!(list(&server).await.unwrap_err().kind(), kind);
    }
}

#[tokio::test]
async fn lists_are_bounded() {
    let server = MockServer::start().await;
    on_get(&server, &by_api(), document(INDEX, listed(10_001))).await;
    assert_eq!(list(&server).await.unwrap_err().kind(), ErrorKind::LimitExceeded);

    let server = MockServer::start().await;
    on_get(&server, &by_tag(), document(INDEX, listed(10_001))).await;
    assert_eq!(list(&server).await.unwrap_err().kind(), ErrorKind::LimitExceeded);

    let server = MockServer::start().await;
    let endless = document(INDEX, listed(1)).insert_header("link", "<?page=2>; rel=\"next\"");
    on_get(&server, &by_api(), endless).await;
    assert_eq!(list(&server).await.unwrap_err().kind(), ErrorKind::Malformed);
}

#[tokio::test]
async fn an_upload_stays_on_the_registry() {
    let elsewhere = MockServer::start().await;
    let server = MockServer::start().await;
    let location = format!("{}/upload", elsewhere.uri());
    Mock::given(method("POST"))
        .and(path_regex("^/v2/team/app/blobs/uploads/"))
        .respond_with(ResponseTemplate::new(202).insert_header("location", location.as_str()))
        .mount(&server)
        .await;
    let referrer = Referrer {
        artifact_type: "application/x".into(),
        media_type: "application/x".into(),
        payload: Bytes::from_static(b"x"),
        annotations: Default::default(),
    };
    let subject = Descriptor::new(MANIFEST.into(), 1, subject());
    let error = open(&host(&server)).push_referrer(&app(), &subject, &referrer).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Refused, "{error}");
    assert!(elsewhere.received_requests().await.unwrap().is_empty());
}
