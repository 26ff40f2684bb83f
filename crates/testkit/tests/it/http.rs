//! A client for the tests that is not the one of the kit.

use std::sync::Once;

use reqwest::{Client, Method, RequestBuilder, Response, redirect};
use serde_json::Value;
use supercargo_testkit::RegistryServer;

/// Requests to one server.
#[derive(Debug, Clone)]
pub(crate) struct Http {
    client: Client,
    host: String,
}

impl Http {
    pub(crate) fn new(server: &RegistryServer) -> Self {
        static PROVIDER: Once = Once::new();
        PROVIDER.call_once(|| {
            rustls::crypto::ring::default_provider().install_default().expect("no test installs another provider");
        });
        let client =
            Client::builder().no_proxy().redirect(redirect::Policy::none()).build().expect("no setting can fail");
        Self { client, host: server.host() }
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, self.url(path))
    }

    pub(crate) async fn get(&self, path: &str) -> Response {
        self.send(self.request(Method::GET, path)).await
    }

    pub(crate) async fn send(&self, request: RequestBuilder) -> Response {
        request.send().await.expect("the server answers")
    }

    pub(crate) fn url(&self, path: &str) -> String {
        if path.starts_with("http") { path.to_owned() } else { format!("http://{}{path}", self.host) }
    }
}

pub(crate) fn header<'a>(response: &'a Response, name: &str) -> &'a str {
    response.headers().get(name).map_or("", |value| value.to_str().expect("headers of the kit are text"))
}

pub(crate) async fn json(response: Response) -> Value {
    let bytes = response.bytes().await.expect("the body arrives");
    serde_json::from_slice(&bytes).expect("the body is JSON")
}

pub(crate) async fn error_code(response: Response) -> String {
    json(response).await["errors"][0]["code"].as_str().unwrap_or_default().to_owned()
}
