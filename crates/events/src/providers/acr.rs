//! The webhooks of Azure Container Registry itself (not Event Grid's, though what they say is the same).
//!
//! | | |
//! | --- | --- |
//! | Format read from | Microsoft's webhook reference for Azure Container Registry, its REST specification |
//! | Media type | `application/json` |
//! | Authentication | fixed headers of the operator's choice, or the address; no signature |
//! | Handshake | none; the test button sends action `ping` |
//! | Envelope | one event, an object |
//! | Actions | `push`, `delete`, `quarantine`, `chart_push`, `chart_delete`, `ping` |
//! | Delete | of a manifest (digest) or of a repository (neither tag nor digest) |
//! | Dedup key | `id` |
//! | Never told | the delete of a tag; the manifests of an index that was deleted |
//! | Sender's patience | not documented; deliveries are listed by the management API |

use http::{StatusCode, header};
use jiff::Timestamp;
use serde::Deserialize;

use crate::auth::{InAddress, SharedSecret};
use crate::config::Settings;
use crate::findings::{Findings, Left, Said, body_key, given, ignored, post, short};
use crate::grammar;
use crate::prove::Proving;
use crate::providers::{MEBIBYTE, Provider, SecretUse, USER};
use crate::{Action, Answer, Key, Reception, RegistryEvent, Request, Result, Source, SourceConfig};

const NAME: &str = "acr";

const KEYS: &[Key] = &[USER];

pub(super) const PROVIDER: Provider = Provider {
    name: NAME,
    about: "Azure Container Registry's own webhooks",
    build: |config| Ok(Box::new(AcrSource::new(config)?)),
    keys: KEYS,
    secret: SecretUse::Beside,
    proving: Proving::Header("authorization"),
    body_limit: MEBIBYTE,
};

#[derive(Debug)]
struct AcrSource {
    host: Option<String>,
    secret: SharedSecret,
}

impl AcrSource {
    fn new(config: SourceConfig) -> Result<Self> {
        let mut settings = Settings::new(config, KEYS);
        let secret = SharedSecret::read(&mut settings, header::AUTHORIZATION, InAddress::Too);
        let host = settings.config.host.take();
        settings.finish()?;
        Ok(Self { host, secret })
    }

    fn decode(&self, body: &[u8]) -> Findings {
        let notification: Notification = match serde_json::from_slice(body) {
            Ok(notification) => notification,
            Err(error) => return Findings::none(Left::Malformed(format!("the body is no event: {error}"))),
        };
        if notification.action.as_deref() == Some("ping") {
            return Findings::handshake(Answer::status(StatusCode::OK));
        }
        let key = given(notification.id.as_deref()).map_or_else(|| body_key(body, 0), str::to_owned);
        Findings::one(notification.event(self.host.as_deref(), None, key))
    }
}

impl Source for AcrSource {
    fn name(&self) -> &'static str {
        NAME
    }

    fn receive(&self, request: &Request<'_>) -> Reception {
        post(request, self.secret.check(request), || self.decode(request.body))
    }

    fn receive_trusted(&self, body: &[u8], _now: Timestamp) -> Reception {
        self.decode(body).into_reception()
    }
}

/// What the registry says, by itself and within Event Grid's envelopes.
#[derive(Debug, Deserialize)]
pub(super) struct Notification {
    id: Option<String>,
    pub(super) timestamp: Option<String>,
    pub(super) action: Option<String>,
    #[serde(default)]
    target: Target,
    request: Option<RequestRecord>,
    actor: Option<Actor>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Target {
    media_type: Option<String>,
    digest: Option<String>,
    repository: Option<String>,
    tag: Option<String>,
}

#[derive(Debug, Deserialize)]
struct RequestRecord {
    host: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Actor {
    name: Option<String>,
}

impl Notification {
    /// The event; `registry` is the registry's name where the envelope tells it.
    pub(super) fn event(&self, host: Option<&str>, registry: Option<&str>, key: String) -> Result<RegistryEvent, Left> {
        let target = &self.target;
        let (tag, digest) = (given(target.tag.as_deref()), given(target.digest.as_deref()));
        let action = match self.action.as_deref().unwrap_or_default() {
            "push" => Action::Pushed,
            "delete" if tag.is_none() && digest.is_none() => Action::RepositoryDeleted,
            "delete" => Action::Deleted,
            "quarantine" => return ignored("the image is in quarantine; its release is told as a push"),
            "chart_push" | "chart_delete" => return ignored("a chart is no image"),
            other => return ignored(format!("action `{}` is not known", short(other))),
        };
        let claimed = self.request.as_ref().and_then(|request| request.host.as_deref());
        Said {
            host: acr_host(host, claimed, registry)?,
            tag,
            digest,
            media_type: target.media_type.as_deref(),
            time: self.timestamp.as_deref(),
            actor: self.actor.as_ref().and_then(|actor| actor.name.as_deref()),
            ..Said::new(action, target.repository.as_deref(), key)
        }
        .event()
    }
}

/// The registry's host: the configured one, unless the event is plainly another registry's; else what the request
/// to the registry went to; else its name in the public cloud.
fn acr_host(configured: Option<&str>, claimed: Option<&str>, registry: Option<&str>) -> Result<Option<String>, Left> {
    let claimed = claimed.filter(|host| grammar::is_host(host)).map(str::to_ascii_lowercase);
    let registry = registry
        .filter(|name| !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric()))
        .map(str::to_ascii_lowercase);
    let Some(configured) = configured else {
        return Ok(claimed.or_else(|| registry.map(|name| format!("{name}.azurecr.io"))));
    };
    let is_azure = |host: &str| host.contains(".azurecr.");
    let own = configured.to_ascii_lowercase();
    // A registry's host may carry a suffix that its name lacks: NAME-HASH.azurecr.io.
    let label = own.split('.').next().unwrap_or_default();
    let by_name = registry
        .as_deref()
        .map(|name| label.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('-')));
    let by_host = claimed.as_deref().filter(|host| is_azure(host)).map(|host| host == own);
    let is_other = is_azure(&own) && by_name.or(by_host) == Some(false) && by_host != Some(true);
    if is_other {
        let other = registry.or(claimed).unwrap_or_default();
        return ignored(format!("it is about registry {other}, and this source speaks for {configured}"));
    }
    Ok(Some(configured.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts() {
        let check = |configured: Option<&str>, claimed: Option<&str>, name: Option<&str>, expected: Option<&str>| {
            let host = acr_host(configured, claimed, name).ok().flatten();
            assert_eq!(host.as_deref(), expected, "{configured:?} {claimed:?} {name:?}");
        };
        check(None, Some("Mine.azurecr.io"), None, Some("mine.azurecr.io"));
        check(None, None, Some("mine"), Some("mine.azurecr.io"));
        check(None, Some("user@evil"), Some("a/b"), None);
        check(None, None, None, None);
        let own = Some("mine.azurecr.io");
        check(own, own, Some("mine"), own);
        check(own, None, None, own);
        check(own, Some("other.azurecr.io"), Some("other"), None);
        check(own, Some("other.azurecr.io"), None, None);
        check(own, None, Some("other"), None);
        check(Some("mine-abc123.azurecr.io"), None, Some("Mine"), Some("mine-abc123.azurecr.io"));
        check(Some("images.example.com"), Some("mine.azurecr.io"), Some("mine"), Some("images.example.com"));
    }
}
