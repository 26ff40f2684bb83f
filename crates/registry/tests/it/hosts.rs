//! Where a registry may lead, and what goes along.

use std::collections::BTreeSet;

use supercargo_registry::{Credential, Descriptor, ErrorKind, Registry, SignIn, TransportConfig};
use wiremock::matchers::method;
use wiremock::{Mock, MockServer, ResponseTemplate};

use crate::authority::Authority;
use crate::support::{
    MANIFEST, app, authorizations, digest, document, image_manifest, on_get, open_with, public, quick, target,
};
use crate::tls::https;
use crate::wire::{Wire, answer};

const LATEST: &str = "/v2/team/app/manifests/latest";

/// Ways to write an address of this machine or of its neighbours.
fn inward(port: u16) -> Vec<String> {
    [
        "127.0.0.1",
        "127.1",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[64:ff9b::7f00:1]",
        "0.0.0.0",
        "2130706433",
        "0x7f.1",
        "017700000001",
        "localhost",
        "LOCALHOST.",
        "blobs.test",
        "inside.test",
        "10.0.0.5",
        "[fd00:ec2::254]",
        "169.254.169.254",
        "metadata.test",
    ]
    .iter()
    .map(|host| format!("http://{host}:{port}/token"))
    .collect()
}

fn credentials() -> [Credential; 3] {
    let identity = Credential::Identity { token: "secret".into() };
    [Credential::Anonymous, Credential::basic("user", "pass"), identity]
}

async fn thief() -> MockServer {
    let server = MockServer::start().await;
    Mock::given(wiremock::matchers::any())
        .respond_with(ResponseTemplate::new(200).set_body_string(r#"{"token":"good"}"#))
        .mount(&server)
        .await;
    server
}

#[tokio::test]
async fn a_public_registry_leads_to_no_token_service_inside() {
    let inside = thief().await;
    for realm in inward(inside.address().port()) {
        let challenge = format!("www-authenticate: Bearer realm=\"{realm}\"\r\n");
        let server = Wire::start(move |_| vec![answer("401 Unauthorized", &challenge, "")]).await;
        for credential in credentials() {
            let registry = open_with(&format!("public.test:{}", server.port), credential, &public());
            let error = registry.manifest(&app(), &target("latest")).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Refused, "{realm}: {error}");
        }
        assert!(server.heads().iter().all(|head| head.header("authorization").is_none()), "{realm}");
    }
    assert!(inside.received_requests().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_public_registry_redirects_nobody_inside() {
    let inside = thief().await;
    for to in inward(inside.address().port()) {
        let location = format!("location: {to}\r\n");
        let server = Wire::start(move |_| vec![answer("307 Temporary Redirect", &location, "")]).await;
        let registry = open_with(&format!("public.test:{}", server.port), Credential::Anonymous, &public());
        let error = registry.manifest(&app(), &target("latest")).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Refused, "{to}: {error}");
        let blob = Descriptor::new("application/x-tar".into(), 3, digest(b"abc"));
        let error = registry.blob(&app(), &blob, 0).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Refused, "{to}: {error}");
    }
    assert!(inside.received_requests().await.unwrap().is_empty());
}

#[tokio::test]
async fn the_user_may_name_a_host_inside() {
    let inside = MockServer::start().await;
    on_get(&inside, "/token", document(MANIFEST, image_manifest())).await;
    let location = format!("location: http://blobs.test:{}/token\r\n", inside.address().port());
    let server = Wire::start(move |_| vec![answer("307 Temporary Redirect", &location, "")]).await;
    let mut config = public();
    config.redirect_hosts.push("blobs.test".to_owned());
    let registry = open_with(&format!("public.test:{}", server.port), Credential::Anonymous, &config);
    registry.manifest(&app(), &target("latest")).await.unwrap();
}

#[tokio::test]
async fn an_https_registry_leads_to_no_http() {
    let authority = Authority::new();
    let config = || TransportConfig { ca_bundle: Some(authority.bundle()), ..quick() };
    let plain = thief().await;
    let realm = format!("www-authenticate: Bearer realm=\"http://registry.test:{}/token\"\r\n", plain.address().port());
    let location = format!("location: http://registry.test:{}/\r\n", plain.address().port());
    for (status, header) in [("401 Unauthorized", realm), ("307 Temporary Redirect", location)] {
        let tls = authority.server("registry.test");
        let server = Wire::start_with(Some(tls), move |_| vec![answer(status, &header, "")]).await;
        for credential in credentials() {
            let registry = https(&format!("registry.test:{}", server.port), credential, config());
            let error = registry.manifest(&app(), &target("latest")).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Refused, "{status}: {error}");
        }
    }
    assert!(plain.received_requests().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_registry_that_looks_alike_is_another_host() {
    // What the registry writes, and where it would lead; the look-alikes are all at this machine's address.
    let thief = thief().await;
    let port = thief.address().port();
    for realm in [
        format!("http://127.0.0.1.nip.test:{port}/token"),
        format!("http://127.0.0.1@localhost:{port}/token"),
        format!("http://user:pass@127.0.0.1:{port}/token"),
        format!("http://localhost:{port}/token"),
        format!("http://localhost.:{port}/token"),
        format!("http://registry.test:{port}/token"),
        format!("//127.0.0.1:{port}/token"),
        "javascript:alert(1)".to_owned(),
        "file:///etc/passwd".to_owned(),
    ] {
        let challenge = format!("www-authenticate: Bearer realm=\"{realm}\"\r\n");
        let server = Wire::start(move |_| vec![answer("401 Unauthorized", &challenge, "")]).await;
        let registry = open_with(&server.host(), Credential::basic("user", "pass"), &quick());
        let error = registry.manifest(&app(), &target("latest")).await.unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Refused | ErrorKind::Unauthorized), "{realm}: {error}");
    }
    assert!(thief.received_requests().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_redirected_blob_is_asked_for_with_nothing_but_its_address() {
    let bytes = b"0123456789".to_vec();
    let storage = MockServer::start().await;
    Mock::given(method("GET"))
        .respond_with(ResponseTemplate::new(200).set_body_bytes(bytes.clone()))
        .mount(&storage)
        .await;
    let registry = MockServer::start().await;
    let at = format!("/v2/team/app/blobs/{}", digest(&bytes));
    let away = ResponseTemplate::new(307)
        .insert_header("location", format!("{}/blob?X-Amz-Signature=abc", storage.uri()).as_str())
        .insert_header("set-cookie", "session=secret; Domain=127.0.0.1; Path=/");
    on_get(&registry, &at, away).await;
    let config = TransportConfig { sign_in: SignIn::Basic, ..quick() };
    let client = open_with(&crate::support::host(&registry), Credential::basic("user", "pass"), &config);
    let blob = Descriptor::new("application/x-tar".into(), 10, digest(&bytes));
    for _ in 0..2 {
        assert_eq!(client.blob(&app(), &blob, 0).await.unwrap().into_bytes(10).await.unwrap(), bytes);
    }
    let requests = storage.received_requests().await.unwrap();
    for request in &requests {
        let sent: BTreeSet<&str> = request.headers.keys().map(|name| name.as_str()).collect();
        assert_eq!(sent, BTreeSet::from(["accept", "host", "user-agent"]));
    }
    assert_eq!(requests.len(), 2);
    assert!(authorizations(&registry, &at).await.iter().all(Option::is_some));
    let seen = registry.received_requests().await.unwrap();
    assert!(seen.iter().all(|request| request.headers.get("cookie").is_none()), "no cookie is kept");
}

#[tokio::test]
async fn no_credential_breaks_out_of_its_header() {
    let server = Wire::start(|_| vec![answer("200 OK", "", "{}")]).await;
    for text in ["a\r\nX-Injected: yes", "a\nb", "a\0b", "ä"] {
        let registry = open_with(&server.host(), Credential::Bearer { token: text.into() }, &quick());
        let error = registry.manifest(&app(), &target("latest")).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Malformed, "{text:?}");
        assert!(!format!("{error:?}").contains("X-Injected"));
    }
    assert!(server.heads().is_empty());
    // What the registry writes does not get into a header, either.
    let moved = Wire::start(|head| match head.path() {
        LATEST => vec![answer("307 Temporary Redirect", "location: /moved%0d%0aX-Injected:%20yes?a b\r\n", "")],
        _ => vec![answer("404 Not Found", "", "")],
    })
    .await;
    let registry = open_with(&moved.host(), Credential::Anonymous, &quick());
    assert_eq!(registry.manifest(&app(), &target("latest")).await.unwrap_err().kind(), ErrorKind::NotFound);
    assert!(moved.heads().iter().all(|head| head.header("x-injected").is_none()), "{:?}", moved.heads());
}
