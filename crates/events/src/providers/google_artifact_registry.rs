//! Google Artifact Registry, whose notifications a push subscription of Pub/Sub delivers.
//!
//! | | |
//! | --- | --- |
//! | Format read from | Google's pages on Artifact Registry notifications, Pub/Sub push and its authentication |
//! | Envelope | `message` (base64 in `data`, `messageId`, `publishTime`) and `subscription`; unwrapped: the bare notification |
//! | Notification | `action` (`INSERT`, `DELETE`), and `digest` or `tag` or both, each with host and path before it |
//! | Authentication | a token that Google signed: for our audience, as the subscription's service account; or a secret in the address |
//! | Handshake | none |
//! | Dedup key | `subscription` and `messageId`; unwrapped: `x-goog-pubsub-message-id`, else the same bytes within ten minutes |
//! | Never told | the delete of a repository; anything about formats other than Docker |
//! | Sender's patience | the subscription's deadline; all but 102, 200, 201, 202 and 204 is repeated, for 7 days |

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, header};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use crate::auth::{InAddress, Refusal, SharedSecret};
use crate::config::Settings;
use crate::findings::{Findings, Left, Said, checked_host, given, ignored, malformed, post, short, timed_body_key};
use crate::prove::Proving;
use crate::providers::{MEBIBYTE, Provider, SecretUse};
use crate::token::{Claim, Expected, Tokens};
use crate::{Action, Document, Key, Reception, RegistryEvent, Request, Result, Source, SourceConfig};

const NAME: &str = "google-artifact-registry";

const KEYS: &[Key] = &[
    Key::optional("audience", "the audience that the push subscription's tokens are for"),
    Key::optional("email", "the service account of the push subscription; its tokens carry no other"),
    Key::optional("subscriptions", "subscriptions that may speak, parted by commas; without it all may"),
];

pub(super) const PROVIDER: Provider = Provider {
    name: NAME,
    about: "Google Artifact Registry through a push subscription of Pub/Sub",
    build: |config| Ok(Box::new(GarSource::new(config)?)),
    keys: KEYS,
    secret: SecretUse::None,
    proving: Proving::Query,
    body_limit: MEBIBYTE,
};

#[derive(Debug)]
struct GarSource {
    host: Option<String>,
    /// At least one of the two.
    secret: Option<SharedSecret>,
    tokens: Option<Tokens>,
    subscriptions: Vec<String>,
}

impl GarSource {
    fn new(config: SourceConfig) -> Result<Self> {
        let mut settings = Settings::new(config, KEYS);
        // The audience is an address that anyone may ask Google for a token for; who sends is in the email. So one
        // without the other proves nothing.
        let tokens = match (settings.text("audience"), settings.text("email")) {
            (None, None) => None,
            (Some(audience), Some(email)) => Some(Tokens::new(expected(audience, email))),
            _ => {
                settings.problem("tokens take the options `audience` and `email`, both");
                None
            }
        };
        let wants_secret = tokens.is_none() || !settings.config.secrets.is_empty() || settings.config.open;
        let secret = wants_secret.then(|| SharedSecret::read(&mut settings, header::AUTHORIZATION, InAddress::Too));
        let subscriptions = settings.list("subscriptions");
        let host = settings.config.host.take();
        settings.finish()?;
        Ok(Self { host, secret, tokens, subscriptions })
    }

    fn check(&self, request: &Request<'_>) -> Result<(), Refusal> {
        self.secret.as_ref().map_or(Ok(()), |secret| secret.check(request))?;
        self.tokens.as_ref().map_or(Ok(()), |tokens| tokens.check(request.headers, request.now))
    }

    fn decode(&self, body: &[u8], headers: &HeaderMap, now: Timestamp) -> Findings {
        let value: Value = match serde_json::from_slice(body) {
            Ok(value) => value,
            Err(error) => return Findings::none(Left::Malformed(format!("the body is no message: {error}"))),
        };
        Findings::one(if value.get("message").is_some() {
            Push::deserialize(&value)
                .map_err(|error| Left::Malformed(error.to_string()))
                .and_then(|push| self.wrapped(&push, body, now))
        } else {
            let id = headers.get("x-goog-pubsub-message-id").and_then(|value| value.to_str().ok());
            let subscription = headers.get("x-goog-pubsub-subscription-name").and_then(|value| value.to_str().ok());
            self.own(subscription).and_then(|()| {
                let key = given(id).map(|id| format!("{}/{id}", subscription.unwrap_or_default()));
                self.event(&value, None, key.unwrap_or_else(|| timed_body_key(body, now)))
            })
        })
    }

    fn own(&self, subscription: Option<&str>) -> Result<(), Left> {
        let subscription = subscription.unwrap_or_default();
        if self.subscriptions.is_empty() || self.subscriptions.iter().any(|own| own == subscription) {
            return Ok(());
        }
        ignored(format!("subscription `{}` is not one of this source's", short(subscription)))
    }

    fn wrapped(&self, push: &Push, body: &[u8], now: Timestamp) -> Result<RegistryEvent, Left> {
        self.own(push.subscription.as_deref())?;
        let message = &push.message;
        let data = message.data.as_deref().and_then(|data| STANDARD.decode(data).ok());
        let Some(data) = data else { return malformed("its data is not in base64") };
        // The topic `gcr` is an ordinary one: others may publish to it.
        let Ok(value) = serde_json::from_slice(&data) else { return ignored("its message is no notification") };
        let subscription = push.subscription.as_deref().unwrap_or_default();
        let id = given(message.id.as_deref()).map(|id| format!("{subscription}/{id}"));
        self.event(&value, message.time.as_deref(), id.unwrap_or_else(|| timed_body_key(body, now)))
    }

    fn event(&self, value: &Value, time: Option<&str>, key: String) -> Result<RegistryEvent, Left> {
        let Ok(notification) = Notification::deserialize(value) else {
            return ignored("its message is no notification");
        };
        let action = match notification.action.as_str() {
            "INSERT" => Action::Pushed,
            "DELETE" => Action::Deleted,
            other => return ignored(format!("action `{}` is not known", short(other))),
        };
        let by_digest = notification.digest.as_deref().and_then(|name| name.rsplit_once('@'));
        // A port may stand before the path, so the tag is what follows the last colon of the last part.
        let by_tag = notification.tag.as_deref().and_then(|name| {
            let (path, last) = name.rsplit_once('/')?;
            let (image, tag) = last.split_once(':')?;
            Some((name.get(..path.len() + 1 + image.len())?, tag))
        });
        let Some(name) = by_digest.or(by_tag).map(|(name, _)| name) else { return malformed("it names no image") };
        let Some((host, repository)) = name.split_once('/') else { return malformed("it names no registry") };
        Said {
            host: checked_host(self.host.as_deref(), Some(host))?,
            tag: by_tag.map(|(_, tag)| tag),
            digest: by_digest.map(|(_, digest)| digest),
            time,
            ..Said::new(action, Some(repository), key)
        }
        .event()
    }
}

fn expected(audience: String, email: String) -> Expected {
    Expected {
        issuers: vec!["https://accounts.google.com".to_owned(), "accounts.google.com".to_owned()],
        audiences: vec![audience],
        key_set: "https://www.googleapis.com/oauth2/v3/certs".to_owned(),
        claims: vec![
            Claim { names: &["email"], values: vec![email] },
            Claim { names: &["email_verified"], values: vec!["true".to_owned()] },
        ],
    }
}

impl Source for GarSource {
    fn name(&self) -> &'static str {
        NAME
    }

    fn receive(&self, request: &Request<'_>) -> Reception {
        post(request, self.check(request), || self.decode(request.body, request.headers, request.now))
    }

    fn receive_trusted(&self, body: &[u8], now: Timestamp) -> Reception {
        self.decode(body, &HeaderMap::new(), now).into_reception()
    }

    fn learn(&self, document: &Document, bytes: &[u8], now: Timestamp) -> Result<(), String> {
        self.tokens.as_ref().map_or(Ok(()), |tokens| tokens.learn(document, bytes, now))
    }
}

#[derive(Deserialize)]
struct Push {
    message: Message,
    subscription: Option<String>,
}

#[derive(Deserialize)]
struct Message {
    data: Option<String>,
    // `message_id` stands beside it, with the same value.
    #[serde(rename = "messageId")]
    id: Option<String>,
    #[serde(rename = "publishTime")]
    time: Option<String>,
}

#[derive(Deserialize)]
struct Notification {
    action: String,
    digest: Option<String>,
    tag: Option<String>,
}
