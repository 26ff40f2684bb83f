//! What is told of registries that cannot be reached as they should.

use supercargo_registry::{
    Check, Credential, Diagnosis, Outcome, Registry, Secret, Subject, TransportConfig, diagnose,
};
use supercargo_testkit::RegistryServer;

use crate::authority::{Authority, Clients};
use crate::support::{open_with, quick};
use crate::tls::https;
use crate::wire::{Head, Wire, answer};

async fn look(registry: &impl Registry) -> Diagnosis {
    let mut told = 0;
    let diagnosis = diagnose(registry, &Subject::default(), |_| told += 1).await;
    assert_eq!(told, diagnosis.findings.len(), "each is told as it is found");
    diagnosis
}

/// Outcome, detail and advice of a check.
fn found(diagnosis: &Diagnosis, check: Check) -> (Outcome, &str, &str) {
    let finding = diagnosis.finding(check).unwrap();
    (finding.outcome, &finding.detail, finding.advice.as_deref().unwrap_or_default())
}

fn trusting(authority: &Authority) -> TransportConfig {
    TransportConfig { ca_bundle: Some(authority.bundle()), ..quick() }
}

async fn serve(tls: rustls::ServerConfig) -> Wire {
    Wire::start_with(Some(tls), |head: &Head| match head.path() {
        "/v2/" => vec![answer("200 OK", "date: Thu, 01 Jan 2026 00:00:00 GMT\r\n", "{}")],
        _ => vec![answer("404 Not Found", "", "{}")],
    })
    .await
}

#[tokio::test]
async fn certificates() {
    let authority = Authority::new();
    let server = serve(authority.server("registry.test")).await;
    let diagnosis =
        look(&https(&format!("registry.test:{}", server.port), Credential::Anonymous, trusting(&authority))).await;
    let (outcome, detail, _) = found(&diagnosis, Check::Tls);
    assert_eq!(outcome, Outcome::Passed, "{diagnosis:?}");
    // rcgen's certificates end with the year 4095.
    assert!(detail.contains("TLS 1.3") && detail.contains("by Test Authority, good until 4096-01-01"), "{detail}");
    let (outcome, detail, advice) = found(&diagnosis, Check::Clock);
    assert_eq!(outcome, Outcome::Warned, "its clock stands at the new year");
    assert!(detail.contains("ahead of the registry's") && advice.contains("NTP"), "{detail}");

    let others: [(rustls::ServerConfig, &str, &str); 3] = [
        (authority.expired_server("registry.test"), "ends 2020-01-02", "renewed"),
        (authority.server("other.test"), "other.test", "as its certificate does"),
        (Authority::new().server("registry.test"), "by Test Authority", "ca-file=PATH"),
    ];
    for (tls, word, way_out) in others {
        let server = serve(tls).await;
        let host = format!("registry.test:{}", server.port);
        let diagnosis = look(&https(&host, Credential::basic("user", "pass"), trusting(&authority))).await;
        let (outcome, detail, advice) = found(&diagnosis, Check::Tls);
        assert_eq!(outcome, Outcome::Failed);
        assert!(detail.contains(word) && advice.contains(way_out), "{detail} / {advice}");
        assert_eq!(found(&diagnosis, Check::SignIn).0, Outcome::Skipped);
        assert!(!diagnosis.is_healthy() && server.heads().is_empty());
    }
}

#[tokio::test]
async fn a_certificate_of_ours_that_is_missing() {
    let authority = Authority::new();
    let server = serve(authority.server_that("registry.test", Clients::Identified)).await;
    let host = format!("registry.test:{}", server.port);
    let diagnosis = look(&https(&host, Credential::Anonymous, trusting(&authority))).await;
    // With TLS 1.3 the handshake is over before the server says so.
    let failed = diagnosis.findings.iter().find(|finding| finding.outcome == Outcome::Failed).unwrap();
    assert!(failed.advice.as_deref().unwrap_or_default().contains("client-certificate=PATH"), "{diagnosis:?}");
}

#[tokio::test]
async fn plain_http_where_tls_was_expected() {
    let server = RegistryServer::start().await.unwrap();
    let diagnosis = look(&https(&server.host(), Credential::Anonymous, quick())).await;
    let (outcome, _, advice) = found(&diagnosis, Check::Tls);
    assert_eq!(
        (outcome, advice),
        (Outcome::Failed, "if it speaks plain HTTP, say so: plain-http=true"),
        "{diagnosis:?}"
    );
}

#[tokio::test]
async fn what_is_no_registry() {
    for (status, word) in [("404 Not Found", "no registry"), ("500 Internal Server Error", "500")] {
        let server = Wire::start(move |_| vec![answer(status, "", "")]).await;
        let diagnosis = look(&open_with(&server.host(), Credential::Anonymous, &quick())).await;
        let (outcome, detail, _) = found(&diagnosis, Check::Protocol);
        assert_eq!(outcome, Outcome::Failed);
        assert!(detail.contains(word), "{detail}");
    }
    let server = Wire::start(|_| vec![answer("200 OK", "", "<html>welcome</html>")]).await;
    let diagnosis = look(&open_with(&server.host(), Credential::Anonymous, &quick())).await;
    let (outcome, detail, _) = found(&diagnosis, Check::SignIn);
    assert_eq!(outcome, Outcome::Failed);
    assert!(detail.contains("web page"), "{detail}");
}

#[tokio::test]
async fn proxies() {
    let refusing = Wire::start(|_| vec![answer("407 Proxy Authentication Required", "", "")]).await;
    let proxy = Some(Secret::new(format!("http://user:p%40ss@127.0.0.1:{}", refusing.port)));
    let config = TransportConfig { proxy, ..quick() };
    let diagnosis = look(&https("registry.far.test", Credential::Anonymous, config)).await;
    let (outcome, detail, _) = found(&diagnosis, Check::Connection);
    assert_eq!(outcome, Outcome::Failed);
    assert!(detail.contains("the proxy answers 407") && !detail.contains("ss@"), "{detail}");
    // "user:p@ss"
    assert_eq!(refusing.heads()[0].header("proxy-authorization"), Some("Basic dXNlcjpwQHNz"));
    assert!(found(&diagnosis, Check::Name).1.contains("the proxy 127.0.0.1"));
}

#[cfg(feature = "artifactory")]
#[tokio::test]
async fn the_way_to_artifactory_is_the_way_to_its_api() {
    use std::sync::Arc;

    use supercargo_registry::{ArtifactoryRegistry, parse_registry};

    let authority = Authority::new();
    let open = |port: u16, transport: TransportConfig| {
        let mut config = parse_registry(&format!(
            "type=artifactory,registry=images.test,api=https://registry.test:{port}/artifactory,\"repository=one,two\""
        ))
        .unwrap();
        config.transport = transport;
        ArtifactoryRegistry::new(&config, Arc::new(Credential::basic("user", "pass"))).unwrap()
    };
    let server = Wire::start_with(Some(authority.server("registry.test")), |head: &Head| match head.path() {
        "/artifactory/api/docker/one/v2/" => {
            vec![answer("401 Unauthorized", "www-authenticate: Basic realm=\"Artifactory Realm\"\r\n", "{}")]
        }
        _ => vec![answer("404 Not Found", "", "{}")],
    })
    .await;
    let diagnosis = look(&open(server.port, trusting(&authority))).await;
    assert!(found(&diagnosis, Check::Name).1.contains("registry.test"), "{diagnosis:?}");
    assert!(found(&diagnosis, Check::Tls).1.contains("by Test Authority"), "{diagnosis:?}");
    assert_eq!(
        found(&diagnosis, Check::Protocol),
        (Outcome::Passed, "answers at /v2/, and wants user and password", "")
    );

    let server = serve(authority.expired_server("registry.test")).await;
    let diagnosis = look(&open(server.port, trusting(&authority))).await;
    let (outcome, detail, advice) = found(&diagnosis, Check::Tls);
    assert!(outcome == Outcome::Failed && advice.contains("renewed"), "{detail} / {advice}");
    assert_eq!(found(&diagnosis, Check::SignIn).0, Outcome::Skipped);
    assert!(server.heads().is_empty(), "no password goes where nobody is recognised");
}
