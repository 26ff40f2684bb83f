//! Signing in: what is sent to whom, how often, and for how long it is good.

use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use futures_util::future::join_all;
use serde_json::json;
use supercargo_registry::{
    Credential, CredentialProvider, ErrorKind, Registry, RegistryHost, Result, SignIn, TransportConfig,
};
use supercargo_testkit::{Credentials, ImageBuilder, Layer, RegistryServer};
use wiremock::matchers::{body_string_contains, header, method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

use crate::support::{
    MANIFEST, app, authorizations, document, host, image_manifest, on_get, open, open_as, open_with, quick, target,
};

const LATEST: &str = "/v2/team/app/manifests/latest";

fn pair() -> Credential {
    Credential::basic("user", "pass")
}

async fn fetch(registry: &impl Registry) -> Result<()> {
    registry.manifest(&app(), &target("latest")).await.map(drop)
}

/// A registry that takes `Bearer good` and sends everybody else to `realm`.
async fn bearer(realm: &str) -> MockServer {
    let server = MockServer::start().await;
    let challenge = format!(r#"Bearer realm="{realm}",service="kit",scope="repository:team/app:pull""#);
    Mock::given(header("authorization", "Bearer good"))
        .respond_with(document(MANIFEST, image_manifest()))
        .with_priority(1)
        .mount(&server)
        .await;
    Mock::given(method("GET"))
        .respond_with(ResponseTemplate::new(401).insert_header("www-authenticate", challenge.as_str()))
        .with_priority(9)
        .mount(&server)
        .await;
    server
}

/// The same with its token service beside it on the same port.
async fn bearer_with_service(answer: ResponseTemplate) -> MockServer {
    let server = MockServer::start().await;
    let challenge = format!(r#"Bearer realm="{}/token",service="kit""#, server.uri());
    Mock::given(path("/token")).respond_with(answer).with_priority(2).mount(&server).await;
    Mock::given(header("authorization", "Bearer good"))
        .respond_with(document(MANIFEST, image_manifest()))
        .with_priority(1)
        .mount(&server)
        .await;
    Mock::given(method("GET"))
        .respond_with(ResponseTemplate::new(401).insert_header("www-authenticate", challenge.as_str()))
        .with_priority(9)
        .mount(&server)
        .await;
    server
}

fn token(value: &str) -> ResponseTemplate {
    ResponseTemplate::new(200).set_body_json(json!({"token": value, "expires_in": 300}))
}

#[tokio::test]
async fn real_token_and_basic_flows() {
    let image = ImageBuilder::new().with_layer(Layer::new().file("a", "1"), "COPY").build();
    for server in [
        RegistryServer::builder().with_token_auth("user", "pass"),
        RegistryServer::builder().with_basic_auth("user", "pass"),
    ] {
        let server = server.start().await.unwrap();
        server.push(&image, "team/app", "latest");
        open_as(&server.host(), pair()).check().await.unwrap();
        fetch(&open_as(&server.host(), pair())).await.unwrap();

        let error = fetch(&open(&server.host())).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unauthorized);
        assert!(error.hint().unwrap().contains("docker login"), "{error:?}");
        server.clear_requests();
        let error = fetch(&open_as(&server.host(), Credential::basic("user", "wrong"))).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unauthorized, "{error}");
        let sent = server.count_requests(|request| request.authorization.is_some());
        assert_eq!(sent, 1, "a wrong password is sent once: {:?}", server.requests());
    }
}

#[tokio::test]
async fn anonymous_tokens() {
    let image = ImageBuilder::new().with_layer(Layer::new().file("a", "1"), "COPY").build();
    let server = RegistryServer::builder().with_token_auth("user", "pass").with_anonymous_pull().start().await.unwrap();
    server.push(&image, "team/app", "latest");
    fetch(&open(&server.host())).await.unwrap();
}

#[tokio::test]
async fn one_token_serves_many_requests_at_once_and_is_replaced_when_it_is_refused() {
    let image = ImageBuilder::new().with_layer(Layer::new().file("a", "1"), "COPY").build();
    let server = RegistryServer::builder().with_token_auth("user", "pass").start().await.unwrap();
    server.push(&image, "team/app", "latest");
    let registry = open_as(&server.host(), pair());
    let tokens = || server.count_requests(|request| request.path == "/token");
    join_all((0..20).map(|_| fetch(&registry))).await.into_iter().collect::<Result<Vec<_>>>().unwrap();
    assert_eq!(tokens(), 1);
    server.expire_tokens();
    fetch(&registry).await.unwrap();
    assert_eq!(tokens(), 2);
    fetch(&registry).await.unwrap();
    assert_eq!(tokens(), 2);
}

#[tokio::test]
async fn a_rotated_password_is_taken_up() {
    #[derive(Debug)]
    struct Rotating(AtomicUsize);

    #[async_trait]
    impl CredentialProvider for Rotating {
        async fn credential(&self, _host: &RegistryHost) -> Result<Credential> {
            let password = if self.0.load(Ordering::Relaxed) == 0 { "old" } else { "new" };
            Ok(Credential::basic("user", password))
        }

        async fn renew(&self, _host: &RegistryHost) -> Result<()> {
            self.0.fetch_add(1, Ordering::Relaxed);
            Ok(())
        }
    }

    let image = ImageBuilder::new().with_layer(Layer::new().file("a", "1"), "COPY").build();
    let server = RegistryServer::builder().with_basic_auth("user", "old").start().await.unwrap();
    server.push(&image, "team/app", "latest");
    let registry = open_as(&server.host(), Rotating(AtomicUsize::new(0)));
    fetch(&registry).await.unwrap();
    server.set_credentials(Credentials::new("user", "new"));
    fetch(&registry).await.unwrap();
}

#[tokio::test]
async fn a_token_service_on_another_host_gets_nothing() {
    let thief = MockServer::start().await;
    Mock::given(method("GET")).respond_with(token("good")).mount(&thief).await;
    let realm = format!("http://localhost:{}/token", thief.address().port());
    let registry = bearer(&realm).await;

    let error = fetch(&open_as(&host(&registry), pair())).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Refused);
    assert!(error.hint().unwrap().contains("token-host=localhost"), "{error:?}");
    let identity = Credential::Identity { token: "secret".into() };
    assert_eq!(fetch(&open_as(&host(&registry), identity)).await.unwrap_err().kind(), ErrorKind::Refused);
    assert!(thief.received_requests().await.unwrap().is_empty(), "not even asked");

    // Without credentials there is nothing to lose; with the key it is the user's word.
    fetch(&open(&host(&registry))).await.unwrap();
    assert!(thief.received_requests().await.unwrap()[0].headers.get("authorization").is_none());
    let named = TransportConfig { token_hosts: vec!["localhost".to_owned()], ..quick() };
    fetch(&open_with(&host(&registry), pair(), &named)).await.unwrap();
    assert!(thief.received_requests().await.unwrap()[1].headers.get("authorization").is_some());
}

#[tokio::test]
async fn a_token_service_in_the_metadata_range_is_not_asked() {
    for realm in ["http://169.254.169.254/token", "http://metadata.test/token", "http://[fd00:ec2::254]/token"] {
        let registry = bearer(realm).await;
        for credential in [Credential::Anonymous, pair()] {
            let error = fetch(&open_as(&host(&registry), credential)).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Refused, "{realm}: {error}");
        }
    }
}

#[tokio::test]
async fn a_token_service_that_redirects() {
    let elsewhere = MockServer::start().await;
    Mock::given(method("GET")).respond_with(token("good")).mount(&elsewhere).await;
    let to = |address: &str| ResponseTemplate::new(302).insert_header("location", address);
    let registry = bearer_with_service(to("http://169.254.169.254/latest")).await;
    assert_eq!(fetch(&open_as(&host(&registry), pair())).await.unwrap_err().kind(), ErrorKind::Refused);

    let registry = bearer_with_service(to(&format!("{}/token", elsewhere.uri()))).await;
    fetch(&open_as(&host(&registry), pair())).await.unwrap();
    assert_eq!(authorizations(&elsewhere, "/token").await, [None]);

    let identity = Credential::Identity { token: "secret".into() };
    let error = fetch(&open_as(&host(&registry), identity)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Refused, "a posted token is not carried on: {error}");
}

#[tokio::test]
async fn a_token_that_is_refused_is_not_fetched_in_a_loop() {
    let registry = bearer_with_service(token("bad")).await;
    let error = fetch(&open_as(&host(&registry), pair())).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unauthorized);
    assert!(!error.is_retryable());
    let requests = registry.received_requests().await.unwrap();
    assert!(requests.len() <= 5, "{} requests", requests.len());
}

#[tokio::test]
async fn answers_of_token_services() {
    for (answer, kind) in [
        (
            ResponseTemplate::new(401).set_body_json(json!({"details": "incorrect username or password"})),
            ErrorKind::Unauthorized,
        ),
        (ResponseTemplate::new(403), ErrorKind::Denied),
        (ResponseTemplate::new(500), ErrorKind::Unavailable),
        (document("text/html", "<html>please sign in</html>"), ErrorKind::Malformed),
        (document("application/json", "{}"), ErrorKind::Malformed),
        (document("application/json", r#"{"token":"a\r\nx: y"}"#), ErrorKind::Malformed),
        (document("application/json", vec![b' '; (64 << 10) + 1]), ErrorKind::LimitExceeded),
    ] {
        let registry = bearer_with_service(answer).await;
        let error = fetch(&open_as(&host(&registry), pair())).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.to_string().contains("get a token from"), "{error}");
    }
}

#[tokio::test]
async fn an_identity_token_buys_access_tokens() {
    let registry = bearer_with_service(ResponseTemplate::new(404)).await;
    Mock::given(method("POST"))
        .and(path("/token"))
        .and(body_string_contains("grant_type=refresh_token"))
        .and(body_string_contains("refresh_token=secret"))
        .and(body_string_contains("scope=repository%3Ateam%2Fapp%3Apull"))
        .respond_with(ResponseTemplate::new(200).set_body_json(json!({"access_token": "good"})))
        .with_priority(1)
        .mount(&registry)
        .await;
    let identity = Credential::Identity { token: "secret".into() };
    fetch(&open_as(&host(&registry), identity)).await.unwrap();
}

#[tokio::test]
async fn a_token_service_without_the_post_form_is_asked_with_get() {
    let registry = bearer_with_service(ResponseTemplate::new(404)).await;
    Mock::given(method("GET")).and(path("/token")).respond_with(token("good")).with_priority(1).mount(&registry).await;
    fetch(&open_as(&host(&registry), Credential::Identity { token: "secret".into() })).await.unwrap();
}

#[tokio::test]
async fn a_bearer_token_is_sent_as_it_is() {
    let registry = bearer("http://127.0.0.1:1/token").await;
    fetch(&open_as(&host(&registry), Credential::Bearer { token: "good".into() })).await.unwrap();
    let error = fetch(&open_as(&host(&registry), Credential::Bearer { token: "bad".into() })).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unauthorized);
}

#[tokio::test]
async fn an_expired_token_in_a_403_is_renewed_once() {
    #[derive(Debug)]
    struct Cloud(AtomicUsize);

    #[async_trait]
    impl CredentialProvider for Cloud {
        async fn credential(&self, _host: &RegistryHost) -> Result<Credential> {
            Ok(Credential::basic("AWS", format!("token-{}", self.0.load(Ordering::Relaxed))))
        }

        async fn renew(&self, _host: &RegistryHost) -> Result<()> {
            self.0.fetch_add(1, Ordering::Relaxed);
            Ok(())
        }
    }

    let expired = || {
        ResponseTemplate::new(403).set_body_json(json!({"errors": [{
            "code": "DENIED", "message": "Your authorization token has expired. Reauthenticate and try again."
        }]}))
    };
    let config = TransportConfig { sign_in: SignIn::Basic, ..quick() };
    let registry = MockServer::start().await;
    // AWS:token-1
    Mock::given(header("authorization", "Basic QVdTOnRva2VuLTE="))
        .respond_with(document(MANIFEST, image_manifest()))
        .with_priority(1)
        .mount(&registry)
        .await;
    on_get(&registry, LATEST, expired()).await;
    fetch(&open_with(&host(&registry), Cloud(AtomicUsize::new(0)), &config)).await.unwrap();
    assert_eq!(authorizations(&registry, LATEST).await.len(), 2);

    let registry = MockServer::start().await;
    on_get(&registry, LATEST, expired()).await;
    let error = fetch(&open_with(&host(&registry), Cloud(AtomicUsize::new(0)), &config)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Denied);
    assert_eq!(authorizations(&registry, LATEST).await.len(), 2);

    // A login that nobody renews says so, and how to sign in again.
    let registry = MockServer::start().await;
    on_get(&registry, LATEST, expired()).await;
    let error = fetch(&open_with(&host(&registry), Credential::basic("AWS", "token-0"), &config)).await.unwrap_err();
    let hint = error.hint().unwrap_or_default();
    assert!(hint.starts_with("the login has run out; sign in with: docker login 127.0.0.1"), "{error:?}");
    assert_eq!(authorizations(&registry, LATEST).await.len(), 1, "the same password is not sent again");
}

#[tokio::test]
async fn a_registry_that_lets_everybody_in_is_told_who_we_are() {
    // Artifactory and Nexus with anonymous access show strangers a part, and never ask.
    let registry = MockServer::start().await;
    on_get(&registry, "/v2/", ResponseTemplate::new(200)).await;
    on_get(&registry, LATEST, document(MANIFEST, image_manifest())).await;
    fetch(&open_as(&host(&registry), pair())).await.unwrap();
    assert_eq!(authorizations(&registry, "/v2/").await, [None]);
    assert_eq!(authorizations(&registry, LATEST).await, [Some("Basic dXNlcjpwYXNz".to_owned())]);

    let registry = MockServer::start().await;
    on_get(&registry, LATEST, document(MANIFEST, image_manifest())).await;
    let config = TransportConfig { sign_in: SignIn::Basic, ..quick() };
    fetch(&open_with(&host(&registry), pair(), &config)).await.unwrap();
    assert_eq!(registry.received_requests().await.unwrap().len(), 1, "no question first");
}

#[tokio::test]
async fn each_repository_has_a_token_of_its_own() {
    let registry = bearer_with_service(token("good")).await;
    let client = open_as(&host(&registry), pair());
    for name in ["team/app", "team/other", "team/app"] {
        client.manifest(&name.parse().unwrap(), &target("latest")).await.unwrap();
    }
    let requests = registry.received_requests().await.unwrap();
    let queries: Vec<_> = requests
        .iter()
        .filter(|request| request.url.path() == "/token")
        .map(|request| request.url.query().unwrap())
        .collect();
    assert_eq!(queries.len(), 2, "{queries:?}");
    assert!(queries[0].contains("repository%3Ateam%2Fapp%3Apull") && queries[0].contains("service=kit"), "{queries:?}");
    assert!(queries[1].contains("repository%3Ateam%2Fother%3Apull"), "{queries:?}");
}
