//! What the tests share.

use std::future::Future;
use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use supercargo_registry::{
    Credential, CredentialProvider, Digest, OciRegistry, Repository, Resolver, Retry, Target, TransportConfig,
};
use wiremock::matchers::{method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

/// A transport that does not keep a test waiting.
pub(crate) fn quick() -> TransportConfig {
    TransportConfig {
        retry: Retry {
            attempts: 3,
            base: Duration::from_millis(1),
            cap: Duration::from_millis(2),
            patience: Duration::from_secs(2),
        },
        resolver: Arc::new(Names),
        ..TransportConfig::default()
    }
}

pub(crate) fn open(host: &str) -> OciRegistry {
    open_as(host, Credential::Anonymous)
}

pub(crate) fn open_as(host: &str, credentials: impl CredentialProvider + 'static) -> OciRegistry {
    open_with(host, credentials, &quick())
}

pub(crate) fn open_with(
    host: &str,
    credentials: impl CredentialProvider + 'static,
    config: &TransportConfig,
) -> OciRegistry {
    OciRegistry::new(host.parse().unwrap(), Arc::new(credentials), config).unwrap()
}

pub(crate) fn host(server: &MockServer) -> String {
    server.address().to_string()
}

pub(crate) fn app() -> Repository {
    "team/app".parse().unwrap()
}

pub(crate) fn target(text: &str) -> Target {
    text.parse().unwrap()
}

pub(crate) fn digest(bytes: &[u8]) -> Digest {
    supercargo_testkit::sha256(bytes).parse().unwrap()
}

pub(crate) const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub(crate) const INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// A small image manifest.
pub(crate) fn image_manifest() -> String {
    serde_json::json!({
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": digest(b"{}"), "size": 2},
        "layers": [],
    })
    .to_string()
}

pub(crate) fn document(media_type: &str, body: impl Into<Vec<u8>>) -> ResponseTemplate {
    ResponseTemplate::new(200).set_body_raw(body, media_type)
}

pub(crate) async fn on_get(server: &MockServer, at: &str, answer: ResponseTemplate) {
    Mock::given(method("GET")).and(path(at)).respond_with(answer).mount(server).await;
}

/// The requests that a server saw for a path, with the value of their `Authorization` headers.
pub(crate) async fn authorizations(server: &MockServer, at: &str) -> Vec<Option<String>> {
    let requests = server.received_requests().await.unwrap();
    let seen = requests.iter().filter(|request| request.url.path() == at);
    seen.map(|request| request.headers.get("authorization").map(|value| value.to_str().unwrap().to_owned())).collect()
}

/// A public registry, which is at `public.test` and yet on this machine.
pub(crate) fn public() -> TransportConfig {
    TransportConfig { plain_http: Some(true), redirect_hosts: vec!["public.test".to_owned()], ..quick() }
}

/// Names as an attacker's DNS has them.
#[derive(Debug)]
struct Names;

impl Resolver for Names {
    fn resolve(&self, host: &str) -> Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send>> {
        let addresses: &[&str] = match host.trim_end_matches('.') {
            "localhost" | "registry.test" | "blobs.test" | "token.test" => &["127.0.0.1"],
            "metadata.test" => &["169.254.169.254"],
            "inside.test" => &["10.0.0.5"],
            // On this machine, and as public as a name can be: see `public`.
            "public.test" => &["127.0.0.1", "203.0.113.7"],
            _ => &[],
        };
        let resolved: Vec<IpAddr> = addresses.iter().map(|address| address.parse().unwrap()).collect();
        Box::pin(async move { if resolved.is_empty() { Err(io::Error::other("no such host")) } else { Ok(resolved) } })
    }
}
