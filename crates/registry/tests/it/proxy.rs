//! Proxies, and what goes past them.

use supercargo_registry::{Credential, ErrorKind, Registry, Secret, TransportConfig};

use crate::authority::Authority;
use crate::support::{app, open_with, quick, target};
use crate::tls::https;
use crate::wire::{Head, Wire, answer};

fn through(proxy: &Wire) -> TransportConfig {
    TransportConfig { proxy: Some(Secret::new(format!("http://user:secret@127.0.0.1:{}", proxy.port))), ..quick() }
}

#[tokio::test]
async fn a_plain_registry_is_asked_through_the_proxy() {
    let proxy = Wire::start(|_| vec![answer("200 OK", "", "{}")]).await;
    let config = TransportConfig { plain_http: Some(true), ..through(&proxy) };
    // Nobody here knows the name: the proxy does.
    let registry = open_with("registry.far.test", Credential::Anonymous, &config);
    registry.check().await.unwrap();
    let heads = proxy.heads();
    assert!(heads[0].text.starts_with("GET http://registry.far.test/v2/ HTTP/1.1\r\n"), "{heads:?}");
    // "user:secret"
    assert_eq!(heads[0].header("proxy-authorization"), Some("Basic dXNlcjpzZWNyZXQ="));
    assert!(!format!("{config:?}").contains("secret"));
}

#[tokio::test]
async fn an_https_registry_is_reached_by_a_tunnel() {
    let proxy = Wire::start(|_| vec![answer("403 Forbidden", "", "not for you")]).await;
    let registry = https("registry.far.test:5000", Credential::basic("user", "pass"), through(&proxy));
    let error = registry.check().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Network, "{error}");
    let heads = proxy.heads();
    assert!(heads[0].text.starts_with("CONNECT registry.far.test:5000 HTTP/1.1\r\n"), "{heads:?}");
    assert_eq!(heads[0].header("authorization"), None, "the registry's password is not the proxy's");
}

#[tokio::test]
async fn what_is_exempt_is_reached_without_the_proxy() {
    let authority = Authority::new();
    let tls = authority.server("registry.test");
    let server = Wire::start_with(Some(tls), |_| vec![answer("200 OK", "", "{}")]).await;
    let proxy = Wire::start(|_| vec![answer("502 Bad Gateway", "", "")]).await;
    let host = format!("registry.test:{}", server.port);
    for (exempt, direct) in [
        ("registry.test".to_owned(), true),
        (".test".to_owned(), true),
        (host.clone(), true),
        ("registry.test:1".to_owned(), false),
        ("127.0.0.0/8".to_owned(), false),
    ] {
        let config = TransportConfig {
            ca_bundle: Some(authority.bundle()),
            no_proxy: exempt.parse().unwrap(),
            ..through(&proxy)
        };
        let before = proxy.heads().len();
        assert_eq!(https(&host, Credential::Anonymous, config).check().await.is_ok(), direct, "{exempt}");
        assert_eq!(proxy.heads().len() > before, !direct, "{exempt}");
    }
}

#[tokio::test]
async fn nobody_is_led_to_the_proxy_itself_or_inward_past_it() {
    for to in ["http://127.0.0.1:{port}/admin", "http://localhost:{port}/admin", "http://169.254.169.254/meta-data"] {
        let port = std::sync::Arc::new(std::sync::OnceLock::new());
        let known = port.clone();
        let proxy = Wire::start(move |head: &Head| {
            let to = to.replace("{port}", &known.get().copied().unwrap_or(0u16).to_string());
            if head.path().contains("/admin") || head.path().contains("/meta-data") {
                return vec![answer("200 OK", "", "{}")];
            }
            vec![answer("307 Temporary Redirect", &format!("location: {to}\r\n"), "")]
        })
        .await;
        port.set(proxy.port).unwrap();
        let config = TransportConfig { plain_http: Some(true), ..through(&proxy) };
        let registry = open_with("registry.far.test", Credential::Anonymous, &config);
        let error = registry.manifest(&app(), &target("latest")).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Refused, "{to}: {error}");
        assert_eq!(proxy.heads().len(), 1, "{to}");
    }
}
