//! Anyone who can sign by the Standard Webhooks specification: pipelines, proxies, registries without events.
//!
//! | | |
//! | --- | --- |
//! | Format read from | standard-webhooks `spec/standard-webhooks.md`; the payload is our own |
//! | Payload | `{"type": "image.pushed", "timestamp": …, "data": {"registry", "repository", "tag", "digest"}}` |
//! | Types | `image.pushed`, `image.deleted`, `repository.changed`, `repository.deleted` |
//! | Authentication | `webhook-signature`: `v1,` and the base64 HMAC-SHA256 of `ID.TIMESTAMP.BODY`, several parted by blanks |
//! | Secrets | `whsec_` and base64; any other text counts as it stands |
//! | Replay | `webhook-timestamp` may differ from our clock by five minutes |
//! | Handshake | none |
//! | Dedup key | `webhook-id` |

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use ring::hmac::{self, HMAC_SHA256};
use serde::Deserialize;

use crate::auth::Refusal;
use crate::config::Settings;
use crate::findings::{Findings, Left, Said, checked_host, given, ignored, post, short, timed_body_key};
use crate::prove::Proving;
use crate::providers::{MEBIBYTE, Provider, SecretUse};
use crate::{Action, Key, Reception, RegistryEvent, Request, Result, Secret, Source, SourceConfig, signature};

const NAME: &str = "generic";

const KEYS: &[Key] = &[];

/// How far a sender's clock may be off (seconds); what the specification's own libraries allow.
const TOLERANCE: i64 = 5 * 60;

pub(super) const PROVIDER: Provider = Provider {
    name: NAME,
    about: "anyone who signs by the Standard Webhooks specification",
    build: |config| Ok(Box::new(GenericSource::new(config)?)),
    keys: KEYS,
    secret: SecretUse::Beside,
    proving: Proving::StandardWebhooks,
    body_limit: MEBIBYTE,
};

struct GenericSource {
    host: Option<String>,
    /// None at all: the source is open to everyone.
    keys: Vec<hmac::Key>,
}

impl std::fmt::Debug for GenericSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GenericSource").field("host", &self.host).finish_non_exhaustive()
    }
}

impl GenericSource {
    fn new(config: SourceConfig) -> Result<Self> {
        let mut settings = Settings::new(config, KEYS);
        let secrets = settings.secrets();
        if settings.config.header.is_some() {
            settings.problem("its header is fixed: the specification names it");
        }
        let mut keys = Vec::new();
        for secret in &secrets {
            match key(secret) {
                Some(key) => keys.push(key),
                None => settings.problem("a secret that begins with `whsec_` goes on in base64"),
            }
        }
        let host = settings.config.host.take();
        settings.finish()?;
        Ok(Self { host, keys })
    }

    fn check(&self, request: &Request<'_>) -> Result<(), Refusal> {
        if self.keys.is_empty() {
            return Ok(());
        }
        let unproven = |reason: &str| Refusal::Unproven(reason.to_owned());
        let header = |name: &str| {
            let value = request.headers.get(name).and_then(|value| value.to_str().ok());
            value.ok_or_else(|| Refusal::Unproven(format!("header `{name}` is missing")))
        };
        let (id, timestamp, signatures) =
            (header("webhook-id")?, header("webhook-timestamp")?, header("webhook-signature")?);
        let age = timestamp.parse().ok().and_then(|sent: i64| request.now.as_second().checked_sub(sent));
        if !age.is_some_and(|age| (-TOLERANCE..=TOLERANCE).contains(&age)) {
            return Err(unproven("its timestamp is not of now"));
        }
        let signed = [id.as_bytes(), b".", timestamp.as_bytes(), b".", request.body].concat();
        let mut found = false;
        // A few: two secrets of a rotation, each in two versions.
        for text in signatures.split_ascii_whitespace().take(8) {
            let signature = text.strip_prefix("v1,").and_then(|text| STANDARD.decode(text).ok());
            found |= signature.is_some_and(|signature| signature::verifies(&self.keys, &signed, &signature));
        }
        if found { Ok(()) } else { Err(unproven("header `webhook-signature` carries no signature of this body")) }
    }

    fn decode(&self, body: &[u8], key: String) -> Findings {
        match serde_json::from_slice::<Payload>(body) {
            Ok(payload) => Findings::one(self.event(&payload, key)),
            Err(error) => Findings::none(Left::Malformed(format!("the body is no event: {error}"))),
        }
    }

    fn event(&self, payload: &Payload, key: String) -> Result<RegistryEvent, Left> {
        let action = match payload.kind.as_str() {
            "image.pushed" => Action::Pushed,
            "image.deleted" => Action::Deleted,
            "repository.changed" => Action::Refresh,
            "repository.deleted" => Action::RepositoryDeleted,
            other => return ignored(format!("type `{}` is not known", short(other))),
        };
        let data = &payload.data;
        Said {
            host: checked_host(self.host.as_deref(), data.registry.as_deref())?,
            tag: data.tag.as_deref(),
            digest: data.digest.as_deref(),
            media_type: data.media_type.as_deref(),
            time: payload.timestamp.as_deref(),
            actor: data.actor.as_deref(),
            ..Said::new(action, data.repository.as_deref(), key)
        }
        .event()
    }
}

/// The key that a secret stands for.
pub(crate) fn key(secret: &Secret) -> Option<hmac::Key> {
    match secret.as_bytes().strip_prefix(b"whsec_") {
        Some(encoded) => STANDARD.decode(encoded).ok().map(|bytes| hmac::Key::new(HMAC_SHA256, &bytes)),
        None => Some(signature::key(HMAC_SHA256, secret)),
    }
}

impl Source for GenericSource {
    fn name(&self) -> &'static str {
        NAME
    }

    fn receive(&self, request: &Request<'_>) -> Reception {
        let id = request.headers.get("webhook-id").and_then(|value| value.to_str().ok());
        let key = || given(id).map_or_else(|| timed_body_key(request.body, request.now), str::to_owned);
        post(request, self.check(request), || self.decode(request.body, key()))
    }

    fn receive_trusted(&self, body: &[u8], now: Timestamp) -> Reception {
        self.decode(body, timed_body_key(body, now)).into_reception()
    }
}

#[derive(Deserialize)]
struct Payload {
    #[serde(rename = "type")]
    kind: String,
    timestamp: Option<String>,
    data: Data,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Data {
    registry: Option<String>,
    repository: Option<String>,
    tag: Option<String>,
    digest: Option<String>,
    media_type: Option<String>,
    actor: Option<String>,
}
