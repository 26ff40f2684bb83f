//! What the stand-in does not do: TLS, proxies, redirects, answers that are none.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use supercargo_scout::{Credential, Endpoints, ErrorKind, Retry, ScoutClient, ScoutConfig};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use wiremock::matchers::{any, body_json, header, method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

fn client(config: ScoutConfig) -> ScoutClient {
    let config = ScoutConfig { retry: Retry { attempts: 1, ..Retry::default() }, ..config };
    ScoutClient::new(config, Credential::login("acme", "dckr_oat_secret")).unwrap()
}

fn at(address: &str) -> ScoutConfig {
    ScoutConfig::new("acme").with_endpoints(Endpoints::at(address))
}

async fn answering(answer: ResponseTemplate) -> (MockServer, ScoutClient) {
    let server = MockServer::start().await;
    Mock::given(any()).respond_with(answer).mount(&server).await;
    let client = client(at(&server.uri()));
    (server, client)
}

/// The request is that of the Docker Hub API reference, the answer its example.
#[tokio::test]
async fn sign_in_speaks_as_the_reference_says() {
    let server = MockServer::start().await;
    let token = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIiwibmFtZSI6IkpvaG4gRG9lIiwiaWF0IjoxNTE2MjM5MDIyfQ.SflKxwRJSMeKKF2QT4fwpMeJf36POk6yJV_adQssw5c";
    Mock::given(method("POST"))
        .and(path("/v2/auth/token"))
        .and(header("content-type", "application/json"))
        .and(body_json(serde_json::json!({"identifier": "acme", "secret": "dckr_oat_secret"})))
        .respond_with(ResponseTemplate::new(200).set_body_json(serde_json::json!({"access_token": token})))
        .expect(1)
        .mount(&server)
        .await;
    Mock::given(method("POST"))
        .and(path("/v1/graphql"))
        .and(header("authorization", format!("Bearer {token}")))
        .and(header("x-docker-client", concat!("supercargo/", env!("CARGO_PKG_VERSION"))))
        .respond_with(ResponseTemplate::new(200).set_body_json(
            serde_json::json!({"data": {"shouldEnableReposOnPush": {"enabled": true, "new": 1}}, "extensions": {}}),
        ))
        .mount(&server)
        .await;
    let client = client(at(&server.uri()));
    assert!(client.enables_on_push().await.unwrap());
    assert!(client.enables_on_push().await.unwrap());
}

#[tokio::test]
async fn redirects_do_not_take_the_token_along() {
    let elsewhere = MockServer::start().await;
    let (_server, client) =
        answering(ResponseTemplate::new(307).insert_header("location", format!("{}/v2/auth/token", elsewhere.uri())))
            .await;
    let error = client.sign_in().await.unwrap_err();
    assert_eq!((error.kind(), error.is_retryable()), (ErrorKind::Refused, false));
    assert!(elsewhere.received_requests().await.unwrap().is_empty());
}

#[tokio::test]
async fn answers_are_read_with_a_cap_and_as_they_are() {
    let check = async |answer: ResponseTemplate, kind: ErrorKind| {
        let (_server, client) = answering(answer).await;
        let error = client.sign_in().await.unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(!format!("{error:?}").contains("dckr_oat_secret"));
        error
    };
    check(ResponseTemplate::new(200).set_body_bytes(vec![b' '; 65 << 10]), ErrorKind::LimitExceeded).await;
    check(
        ResponseTemplate::new(200).set_body_string("{}").insert_header("content-encoding", "gzip"),
        ErrorKind::Malformed,
    )
    .await;
    check(ResponseTemplate::new(200).set_body_string("<html>"), ErrorKind::Malformed).await;
    check(ResponseTemplate::new(200).set_body_string(r#"{"access_token":""}"#), ErrorKind::Malformed).await;
    // Of a refusal a line is kept, however long it is.
    let long = format!(r#"{{"message":"{}"}}"#, "x".repeat(10 << 10));
    let error = check(ResponseTemplate::new(400).set_body_string(long), ErrorKind::Rejected).await;
    assert!(error.to_string().len() < 400);
    check(ResponseTemplate::new(500).set_body_bytes(vec![b'x'; 1 << 20]), ErrorKind::Unavailable).await;
    let page = ResponseTemplate::new(403).set_body_string("<!DOCTYPE html><title>Request blocked</title>");
    assert!(check(page, ErrorKind::Denied).await.hint().unwrap().contains("web page"));
}

#[tokio::test]
async fn graphql_answers_that_are_none_are_malformed() {
    for body in [
        "",
        "null",
        "{}",
        r#"{"data":{}}"#,
        r#"{"data":{"rsListRegistries":null}}"#,
        r#"{"data":{"rsListRegistries":{}}}"#,
    ] {
        let server = MockServer::start().await;
        let token = serde_json::json!({"access_token": "t"});
        let signed_in = ResponseTemplate::new(200).set_body_json(token);
        Mock::given(path("/v2/auth/token")).respond_with(signed_in).mount(&server).await;
        let answer = ResponseTemplate::new(200).set_body_string(body);
        Mock::given(path("/v1/graphql")).respond_with(answer).mount(&server).await;
        let error = client(at(&server.uri())).registries().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Malformed, "{body}");
    }
}

/// An authority of one's own, as a company's proxy has it.
struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        Self { issuer }
    }

    /// A server with a certificate for `localhost` that answers `answers` requests with an access token.
    async fn serve(&self, answers: usize) -> (u16, tokio::task::JoinHandle<()>) {
        let key = KeyPair::generate().unwrap();
        let certificate =
            CertificateParams::new(["localhost".to_owned()]).unwrap().signed_by(&key, &self.issuer).unwrap();
        let config = rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![CertificateDer::from(certificate.der().to_vec())],
                PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
            )
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let task = tokio::spawn(async move {
            for _ in 0..answers {
                let Ok((stream, _)) = listener.accept().await else { return };
                // A client that does not trust us hangs up.
                let Ok(mut stream) = acceptor.accept(stream).await else { continue };
                let mut request = vec![0; 4096];
                let _ = stream.read(&mut request).await;
                let body = r#"{"access_token":"t"}"#;
                let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
                let _ = stream.write_all(format!("{head}{body}").as_bytes()).await;
                let _ = stream.shutdown().await;
            }
        });
        (port, task)
    }
}

#[tokio::test]
async fn a_companys_certificate_authority_is_trusted_by_its_bundle_only() {
    let authority = Authority::new();
    let (port, task) = authority.serve(2).await;
    let config = at(&format!("https://localhost:{port}"));
    let bundle: Bytes = authority.issuer.pem().into();
    client(ScoutConfig { ca_bundle: Some(bundle), ..config.clone() }).sign_in().await.unwrap();
    let error = client(config).sign_in().await.unwrap_err();
    assert_eq!((error.kind(), error.is_retryable()), (ErrorKind::Refused, false), "{error:?}");
    assert!(error.hint().unwrap().contains("certificate authority"));
    task.abort();
}

/// A proxy that takes down what it is asked, and refuses it.
async fn proxy() -> (String, tokio::task::JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let task = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut head = vec![0; 4096];
        let length = stream.read(&mut head).await.unwrap();
        stream.write_all(b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n").await.unwrap();
        String::from_utf8_lossy(&head[..length]).into_owned()
    });
    (address, task)
}

#[tokio::test]
async fn a_proxy_is_asked_for_a_tunnel_unless_the_host_is_excepted() {
    let (address, asked) = proxy().await;
    let mut config = at("https://api.scout.test");
    config.proxy = Some(format!("http://user:pass@{address}").into());
    assert!(!format!("{config:?}").contains("pass"));
    let error = client(config.clone()).sign_in().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Network);
    let asked = tokio::time::timeout(Duration::from_secs(10), asked).await.unwrap().unwrap();
    assert!(asked.starts_with("CONNECT api.scout.test:443 HTTP/1.1\r\n"), "{asked}");
    // printf user:pass | base64
    assert!(asked.to_ascii_lowercase().contains("proxy-authorization: basic dxnlcjpwyxnz"), "{asked}");
    // The token goes through the tunnel, not to the proxy.
    assert!(!asked.contains("dckr_oat_secret"));

    let server = MockServer::start().await;
    let answer = ResponseTemplate::new(200).set_body_json(serde_json::json!({"access_token": "t"}));
    Mock::given(path("/v2/auth/token")).respond_with(answer).mount(&server).await;
    let excepted =
        ScoutConfig { endpoints: Endpoints::at(&server.uri()), no_proxy: Some("127.0.0.1".to_owned()), ..config };
    client(excepted).sign_in().await.unwrap();

    let bad = ScoutConfig { proxy: Some("socks nonsense with s3cret".into()), ..at("https://api.scout.test") };
    let error = ScoutClient::new(bad, Credential::login("acme", "x")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Configuration);
    assert!(!format!("{error:?}").contains("s3cret"));
}
