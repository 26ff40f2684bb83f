//! Where events are passed on to.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderValue, StatusCode};
use reqwest::{Client, Url};
use rustls_platform_verifier::BuilderVerifierExt as _;

use crate::{Error, ErrorKind, Result};

/// How long a server may take: less than a function is given by default, so that the failure is told and not cut off.
const PATIENCE: Duration = Duration::from_secs(2);
/// Shorter secrets can be guessed.
const SECRET: usize = 16;

/// The settings of a function, by name: its environment, read where the program begins.
pub type Settings<'a> = dyn Fn(&str) -> Option<String> + 'a;

/// An event, as the cloud handed it over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// JSON.
    pub body: String,
}

/// Where events are passed on to.
pub enum Destination {
    /// A supercargo server: `SUPERCARGO_EVENTS_URL` and `SUPERCARGO_EVENTS_SECRET`.
    Server(Server),
    /// A queue that a supercargo server asks for messages: `SUPERCARGO_QUEUE_URL`.
    #[cfg(feature = "sqs")]
    Queue(supercargo_events::pull::SqsQueue),
}

/// One event source of a supercargo server.
pub struct Server {
    http: Client,
    url: Url,
    authorization: HeaderValue,
}

impl Destination {
    /// The destination that the settings name.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Configuration`] if they name none or two, or one that cannot be used.
    pub fn of_settings(settings: &Settings<'_>) -> Result<Self> {
        let refuse =
            |message: &str| Err(Error::new(ErrorKind::Configuration, format!("choose a destination: {message}")));
        match (settings("SUPERCARGO_EVENTS_URL"), settings("SUPERCARGO_QUEUE_URL")) {
            (Some(_), Some(_)) => refuse("SUPERCARGO_EVENTS_URL and SUPERCARGO_QUEUE_URL are both set"),
            (None, None) => refuse("set SUPERCARGO_EVENTS_URL or SUPERCARGO_QUEUE_URL"),
            (Some(url), None) => match settings("SUPERCARGO_EVENTS_SECRET") {
                Some(secret) => Server::new(&url, &secret).map(Self::Server),
                None => refuse("set SUPERCARGO_EVENTS_SECRET, the secret of that event source"),
            },
            (None, Some(url)) => queue(url, settings),
        }
    }

    /// Passes messages on, side by side; what became of each, in their order.
    pub async fn put(&self, messages: &[Message]) -> Vec<Result<()>> {
        match self {
            Self::Server(server) => join_all(messages.iter().map(|message| server.put(message))).await,
            #[cfg(feature = "sqs")]
            Self::Queue(queue) => put(queue, messages).await,
        }
    }
}

#[cfg(feature = "sqs")]
fn queue(url: String, settings: &Settings<'_>) -> Result<Destination> {
    let mut options = supercargo_events::pull::SqsOptions::new(url);
    options.endpoint = settings("SUPERCARGO_QUEUE_ENDPOINT");
    let queue = supercargo_events::pull::SqsQueue::new(options)
        .map_err(|error| Error::new(ErrorKind::Configuration, "choose a destination").with_source(error))?;
    Ok(Destination::Queue(queue))
}

#[cfg(not(feature = "sqs"))]
fn queue(_url: String, _settings: &Settings<'_>) -> Result<Destination> {
    let message = "choose a destination: SUPERCARGO_QUEUE_URL: queues of Amazon are not in this build";
    Err(Error::new(ErrorKind::Configuration, message))
}

#[cfg(feature = "sqs")]
async fn put(queue: &supercargo_events::pull::SqsQueue, messages: &[Message]) -> Vec<Result<()>> {
    const OPERATION: &str = "put an event into the queue";
    let bodies: Vec<String> = messages.iter().map(|message| message.body.clone()).collect();
    match queue.send(&bodies).await {
        Ok(refused) => (0..messages.len())
            .map(|index| match refused.contains(&index) {
                true => Err(Error::new(ErrorKind::Destination, OPERATION)),
                false => Ok(()),
            })
            .collect(),
        // Some may have been taken: they come twice then, and are known by their keys.
        Err(error) => {
            let text = error.to_string();
            let failed = |_| Err(Error::new(ErrorKind::Destination, OPERATION).with_source(text.clone()));
            (0..messages.len()).map(failed).collect()
        }
    }
}

impl Server {
    /// The event source at `url`, with its secret.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Configuration`] if the address is none, is not `https` (to another machine), or the secret is short.
    pub fn new(url: &str, secret: &str) -> Result<Self> {
        let refuse = |message: String| Error::new(ErrorKind::Configuration, format!("choose a destination: {message}"));
        let url: Url = url.parse().map_err(|_| refuse(format!("{url:?} is no address")))?;
        let is_here = matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"));
        if url.scheme() != "https" && !(url.scheme() == "http" && is_here) {
            return Err(refuse("the secret is sent over https alone".to_owned()));
        }
        if secret.len() < SECRET {
            return Err(refuse(format!("the secret has fewer than {SECRET} characters")));
        }
        let mut authorization = HeaderValue::from_str(&format!("Bearer {secret}"))
            .map_err(|_| refuse("the secret has characters that no header may have".to_owned()))?;
        authorization.set_sensitive(true);
        Ok(Self { http: client()?, url, authorization })
    }

    async fn put(&self, message: &Message) -> Result<()> {
        let failed = |why: String| Error::new(ErrorKind::Destination, format!("pass an event on: {why}"));
        let request = self
            .http
            .post(self.url.clone())
            .header(AUTHORIZATION, self.authorization.clone())
            .header(CONTENT_TYPE, "application/json")
            .body(message.body.clone());
        let answer = request
            .send()
            .await
            // The address may end in a secret.
            .map_err(|error| failed("the server does not answer".to_owned()).with_source(error.without_url()))?;
        match answer.status() {
            status if status.is_success() => Ok(()),
            StatusCode::UNAUTHORIZED => Err(failed("the server does not know the secret".to_owned())),
            StatusCode::NOT_FOUND => Err(failed("the server has no such event source".to_owned())),
            status => Err(failed(format!("the server answered {status}"))),
        }
    }
}

fn client() -> Result<Client> {
    let broken = || Error::new(ErrorKind::Configuration, "set up the client");
    let tls = rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_platform_verifier())
        .map_err(|error| broken().with_source(error))?
        .with_no_client_auth();
    Client::builder()
        .tls_backend_preconfigured(tls)
        .redirect(reqwest::redirect::Policy::none())
        .http1_only()
        .timeout(PATIENCE)
        .user_agent(concat!("supercargo-relay/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(|error| broken().with_source(error))
}

impl fmt::Debug for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Server(server) => write!(f, "Server({})", server.url.host_str().unwrap_or_default()),
            #[cfg(feature = "sqs")]
            Self::Queue(queue) => write!(f, "{queue:?}"),
        }
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The address may end in a secret.
        f.debug_struct("Server").field("host", &self.url.host_str()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn which_destination() {
        let check = |settings: &[(&str, &str)], expected: &str| {
            let read = |name: &str| settings.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
            let found =
                Destination::of_settings(&read).map_or_else(|error| error.to_string(), |one| format!("{one:?}"));
            assert!(found.contains(expected), "{settings:?}: {found}");
            assert!(!found.contains("0123456789abcdef"), "{found}");
        };
        let (url, secret) = ("SUPERCARGO_EVENTS_URL", ("SUPERCARGO_EVENTS_SECRET", "0123456789abcdef"));
        check(&[], "set SUPERCARGO_EVENTS_URL");
        check(&[(url, "https://a.test/x"), secret], "Server(a.test)");
        check(&[(url, "http://127.0.0.1:1/x"), secret], "Server(127.0.0.1)");
        check(&[(url, "http://a.test/x"), secret], "https alone");
        check(&[(url, "https://a.test/x")], "SUPERCARGO_EVENTS_SECRET");
        check(&[(url, "https://a.test/x"), ("SUPERCARGO_EVENTS_SECRET", "short")], "fewer than");
        check(&[(url, "https://a.test/x"), secret, ("SUPERCARGO_QUEUE_URL", "https://b.test")], "both set");
        check(&[(url, "nonsense"), secret], "no address");
    }
}
