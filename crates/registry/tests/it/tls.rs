//! TLS as registries have it: certificates of a private authority, of nobody, and for another name.

use supercargo_registry::{Credential, ErrorKind, OciRegistry, Registry, Retry, TransportConfig};

use crate::authority::{Authority, Clients, self_signed};
use crate::support::{open_with, quick};
use crate::wire::{Act, Wire, answer};

pub(crate) fn https(host: &str, credential: Credential, config: TransportConfig) -> OciRegistry {
    let retry = Retry { attempts: 1, ..quick().retry };
    open_with(host, credential, &TransportConfig { retry, plain_http: Some(false), ..config })
}

fn registry(host: &str, config: TransportConfig) -> OciRegistry {
    https(host, Credential::Anonymous, config)
}

fn trusting(authority: &Authority) -> TransportConfig {
    TransportConfig { ca_bundle: Some(authority.bundle()), ..quick() }
}

async fn serve(tls: rustls::ServerConfig) -> Wire {
    Wire::start_with(Some(tls), |_| vec![answer("200 OK", "", "{}")]).await
}

#[tokio::test]
async fn a_private_authority_is_trusted_by_its_bundle_only() {
    let authority = Authority::new();
    let server = serve(authority.server("registry.test")).await;
    let host = format!("registry.test:{}", server.port);
    registry(&host, trusting(&authority)).check().await.unwrap();

    let error = registry(&host, quick()).check().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Refused, "{error:?}");
    assert!(!error.is_retryable());
    assert!(error.hint().unwrap().contains("ca-file"), "{error:?}");

    let other = trusting(&Authority::new());
    assert_eq!(registry(&host, other).check().await.unwrap_err().kind(), ErrorKind::Refused);
    // The certificate is for another name.
    let error = registry(&format!("localhost:{}", server.port), trusting(&authority)).check().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Refused);
    assert_eq!(server.heads().len(), 1, "nothing is asked of a server that was not recognised");
}

#[tokio::test]
async fn certificates_that_are_not_good() {
    let authority = Authority::new();
    for tls in [authority.expired_server("registry.test"), self_signed("registry.test")] {
        let server = serve(tls).await;
        let credential = Credential::basic("user", "pass");
        let registry = https(&format!("registry.test:{}", server.port), credential, trusting(&authority));
        let error = registry.check().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Refused, "{error:?}");
        assert!(server.heads().is_empty());
    }
}

#[tokio::test]
async fn a_token_service_must_show_a_certificate_too() {
    let authority = Authority::new();
    for tls in [
        authority.expired_server("token.test"),
        authority.server("another.test"),
        Authority::new().server("token.test"),
        self_signed("token.test"),
    ] {
        let service = serve(tls).await;
        let challenge = format!("www-authenticate: Bearer realm=\"https://token.test:{}/token\"\r\n", service.port);
        let server = Wire::start_with(Some(authority.server("registry.test")), move |_| {
            vec![answer("401 Unauthorized", &challenge, "")]
        })
        .await;
        let config = TransportConfig { token_hosts: vec!["token.test".to_owned()], ..trusting(&authority) };
        let host = format!("registry.test:{}", server.port);
        let error = https(&host, Credential::basic("user", "pass"), config).check().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Refused, "{error:?}");
        assert!(service.heads().is_empty(), "no password before the certificate is good");
    }
}

#[tokio::test]
async fn any_certificate_is_taken_when_asked_to() {
    let server = serve(Authority::new().server("registry.test")).await;
    let careless = TransportConfig { insecure_skip_verify: true, ..quick() };
    registry(&format!("localhost:{}", server.port), careless).check().await.unwrap();
}

#[tokio::test]
async fn a_certificate_of_ours_is_shown_to_the_registry() {
    let authority = Authority::new();
    let server = serve(authority.server_that("registry.test", Clients::Identified)).await;
    let host = format!("registry.test:{}", server.port);
    let known = TransportConfig { client_identity: Some(authority.client()), ..trusting(&authority) };
    registry(&host, known).check().await.unwrap();
    assert!(server.heads()[0].identified);
    registry(&host, trusting(&authority)).check().await.unwrap_err();
    let stranger = TransportConfig { client_identity: Some(Authority::new().client()), ..trusting(&authority) };
    registry(&host, stranger).check().await.unwrap_err();
    assert_eq!(server.heads().len(), 1);
}

#[tokio::test]
async fn a_certificate_of_ours_is_not_shown_to_whom_the_registry_leads() {
    let authority = Authority::new();
    let elsewhere = serve(authority.server_that("blobs.test", Clients::Asked)).await;
    let location = format!("location: https://blobs.test:{}/page\r\n", elsewhere.port);
    let tls = authority.server_that("registry.test", Clients::Identified);
    let server = Wire::start_with(Some(tls), move |_| vec![answer("307 Temporary Redirect", &location, "")]).await;
    let known = TransportConfig { client_identity: Some(authority.client()), ..trusting(&authority) };
    registry(&format!("registry.test:{}", server.port), known.clone()).check().await.unwrap();
    assert!(server.heads()[0].identified);
    assert_eq!(elsewhere.heads().len(), 1);
    assert!(!elsewhere.heads()[0].identified, "it asked, and was shown nothing");

    // A token service that the user named is.
    let named = TransportConfig { token_hosts: vec!["blobs.test".to_owned()], ..known };
    registry(&format!("registry.test:{}", server.port), named).check().await.unwrap();
    assert!(elsewhere.heads()[1].identified);
}

#[tokio::test]
async fn a_handshake_that_never_ends() {
    let silent = Wire::start(|_| vec![Act::Hold]).await;
    let mut config = quick();
    config.deadlines.connect = std::time::Duration::from_millis(100);
    let check = registry(&silent.host(), config);
    let answer = tokio::time::timeout(std::time::Duration::from_secs(5), check.check()).await.expect("it ends in time");
    assert_eq!(answer.unwrap_err().kind(), ErrorKind::Timeout);
}
