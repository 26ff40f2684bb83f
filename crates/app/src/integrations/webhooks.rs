//! The webhooks of a JFrog platform, by its REST API `event/api/v1/subscriptions`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{Method, Request, StatusCode};
use serde::Deserialize;
use serde_json::Value;
use supercargo_engine::integration::Login;
use supercargo_engine::registry::{Outbound, OutboundConfig, parse_registry};
use url::Url;

use crate::text::{chain, cut};
use crate::{Environment, Error, Result, proxy};

/// Characters of an answer that are told.
const TOLD: usize = 300;

/// The webhooks of a platform, seen by somebody who may manage them, or may not.
pub(crate) struct Webhooks {
    client: Outbound,
    login: Login,
    address: String,
}

/// What was answered.
#[derive(Debug)]
pub(crate) struct Answered {
    pub(crate) status: StatusCode,
    body: String,
}

/// What the platform reports of a test event (*Test Webhook Subscription* in JFrog's REST API: 200 says that the test
/// was made, the report whether the event was taken).
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Report {
    /// The webhook's address took it.
    Sent,
    /// It did not, for this reason.
    Failed(String),
}

#[derive(Deserialize)]
struct Wire {
    result: Option<String>,
    message: Option<String>,
}

impl Webhooks {
    /// Those of the platform at `platform`, by the way to the registry of these settings: its certificates, its identity,
    /// its proxy.
    ///
    /// # Errors
    ///
    /// If the address is none, or the settings cannot be used.
    pub(crate) fn new(registry: &str, platform: &str, login: Login, environment: &Environment) -> Result<Self> {
        let address = format!("{platform}/event/api/v1/subscriptions");
        let url: Url = address.parse().map_err(|_| Error::usage(vec![format!("{address:?} is no address")]))?;
        let transport = parse_registry(registry)?.load_files(|path| std::fs::read(path))?.transport;
        let mut outbound = OutboundConfig::beside(&transport, &url);
        let port = url.port_or_known_default().unwrap_or_default();
        if transport.proxy.is_none() && !transport.no_proxy.covers(url.host_str().unwrap_or_default(), port) {
            outbound.proxy = proxy::of_url(&url, environment);
        }
        Ok(Self { client: Outbound::new(&outbound)?, login, address })
    }

    /// All that this user may see.
    pub(crate) async fn list(&self) -> Result<Answered> {
        self.send(Method::GET, "", None).await
    }

    /// The one of this key.
    pub(crate) async fn find(&self, key: &str) -> Result<Answered> {
        self.send(Method::GET, &format!("/{key}"), None).await
    }

    /// Makes one.
    pub(crate) async fn create(&self, body: &str) -> Result<Answered> {
        self.send(Method::POST, "", Some(body)).await
    }

    /// Changes the one of this key.
    pub(crate) async fn replace(&self, key: &str, body: &str) -> Result<Answered> {
        self.send(Method::PUT, &format!("/{key}"), Some(body)).await
    }

    /// Has a test event sent, as the webhook in `body` would send one.
    pub(crate) async fn test(&self, body: &str) -> Result<Answered> {
        self.send(Method::POST, "/test", Some(body)).await
    }

    async fn send(&self, method: Method, rest: &str, body: Option<&str>) -> Result<Answered> {
        const OPERATION: &str = "ask Artifactory about its webhooks";
        let address = format!("{}{rest}", self.address);
        let mut request = Request::builder().method(method).uri(address).header(AUTHORIZATION, self.authorization());
        if body.is_some() {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        let body = body.map_or_else(Bytes::new, |body| Bytes::copy_from_slice(body.as_bytes()));
        let request = request.body(body).map_err(|error| Error::failed(OPERATION, error))?;
        let answer = self.client.send(request).await.map_err(|error| Error::from(error).during(OPERATION))?;
        Ok(Answered { status: answer.status(), body: String::from_utf8_lossy(answer.body()).into_owned() })
    }

    fn authorization(&self) -> String {
        match &self.login {
            Login::Bearer { token } => format!("Bearer {}", token.expose()),
            Login::Basic { username, password } => {
                format!("Basic {}", STANDARD.encode(format!("{username}:{}", password.expose())))
            }
        }
    }
}

impl Answered {
    /// The beginning of what was said, for a person to read.
    pub(crate) fn told(&self) -> String {
        cut(self.body.trim(), TOLD).into_owned()
    }

    /// The webhooks of a list.
    pub(crate) fn webhooks(&self) -> std::result::Result<Vec<Value>, String> {
        serde_json::from_str(&self.body).map_err(|error| chain(&error))
    }

    /// What is reported of a test.
    pub(crate) fn report(&self) -> Report {
        let wire: Option<Wire> = serde_json::from_str(&self.body).ok();
        match wire {
            Some(Wire { result: Some(result), .. }) if result.eq_ignore_ascii_case("success") => Report::Sent,
            Some(Wire { message: Some(message), .. }) => Report::Failed(cut(message.trim(), TOLD).into_owned()),
            _ => Report::Failed(self.told()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// JFrog REST APIs, *Test Webhook Subscription*; what it says of a failure is not documented.
    #[test]
    fn a_test_is_judged_by_its_report() {
        let check = |body: &str, expected: Report| {
            let answered = Answered { status: StatusCode::OK, body: body.to_owned() };
            assert_eq!(answered.report(), expected, "{body}");
        };
        check(r#"{"result": "success", "message": "Test is successful"}"#, Report::Sent);
        let failed = |told: &str| Report::Failed(told.to_owned());
        check(r#"{"result": "failure", "message": "connection refused"}"#, failed("connection refused"));
        check(r#"{"message": "Event service is unreachable"}"#, failed("Event service is unreachable"));
        check("ok", failed("ok"));
        check("{}", failed("{}"));
    }
}
