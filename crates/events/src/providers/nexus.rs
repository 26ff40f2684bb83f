//! Sonatype Nexus Repository's webhooks.
//!
//! | | |
//! | --- | --- |
//! | Format read from | Sonatype's pages on webhooks; `RepositoryComponentWebhook`, `WebhookServiceImpl` of nexus-public |
//! | Kinds | `X-Nexus-Webhook-Id`: `rm:repository:component`, `rm:repository:asset` |
//! | Authentication | `X-Nexus-Webhook-Signature`, the hexadecimal HMAC-SHA1 of the body, if a secret key is set |
//! | Handshake | none |
//! | Component | `name` is the image, `version` the tag; an asset's `name` is the path `v2/IMAGE/manifests/REFERENCE` |
//! | Actions | `CREATED`, `UPDATED`, `DELETED`; `PURGED` comes with identifiers and no names |
//! | Digest | none, but for a manifest without a tag, where it stands for one |
//! | Dedup key | `X-Nexus-Webhook-Delivery` |
//! | Never told | what a purge removed; the images of a repository that is deleted |
//! | Sender's patience | never repeats: what fails is written to its log |

use jiff::Timestamp;
use ring::hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY;
use serde::Deserialize;

use crate::config::Settings;
use crate::findings::{Findings, Left, Said, body_key, given, ignored, malformed, post, short};
use crate::layout::{self, Layout};
use crate::prove::Proving;
use crate::providers::{MEBIBYTE, Provider, SecretUse};
use crate::signature::{Scheme, Signature};
use crate::{Action, Key, Reception, RegistryEvent, Request, Result, Source, SourceConfig};

const NAME: &str = "nexus";
const SCHEME: Scheme =
    Scheme { algorithm: HMAC_SHA1_FOR_LEGACY_USE_ONLY, header: "x-nexus-webhook-signature", prefix: "" };

const KEYS: &[Key] = &[layout::LAYOUT, layout::REPOSITORIES, layout::SHOWN];

pub(super) const PROVIDER: Provider = Provider {
    name: NAME,
    about: "Sonatype Nexus Repository's webhooks, kinds component and asset",
    build: |config| Ok(Box::new(NexusSource::new(config)?)),
    keys: KEYS,
    secret: SecretUse::Beside,
    proving: Proving::Signed(&SCHEME),
    body_limit: MEBIBYTE,
};

#[derive(Debug)]
struct NexusSource {
    host: Option<String>,
    signature: Signature,
    layout: Layout,
}

impl NexusSource {
    fn new(config: SourceConfig) -> Result<Self> {
        let mut settings = Settings::new(config, KEYS);
        let signature = Signature::read(&mut settings, &SCHEME);
        let layout = Layout::read(&mut settings, layout::Kind::Port);
        let host = settings.config.host.take();
        settings.finish()?;
        Ok(Self { host, signature, layout })
    }

    fn decode(&self, body: &[u8], delivery: Option<&str>) -> Findings {
        match serde_json::from_slice::<Payload>(body) {
            Ok(payload) => {
                let key = given(delivery).map_or_else(|| body_key(body, 0), str::to_owned);
                Findings::one(self.event(&payload, key))
            }
            Err(error) => Findings::none(Left::Malformed(format!("the body is no event: {error}"))),
        }
    }

    fn event(&self, payload: &Payload, key: String) -> Result<RegistryEvent, Left> {
        let Some(item) = payload.component.as_ref().or(payload.asset.as_ref()) else {
            return match payload.action.as_deref() {
                Some("PURGED") => ignored("a purge does not name what it removed"),
                _ => ignored("it is about no component and no asset"),
            };
        };
        if item.format.as_deref() != Some("docker") {
            return ignored(format!("format `{}` is not docker", short(item.format.as_deref().unwrap_or_default())));
        }
        let action = match payload.action.as_deref().unwrap_or_default() {
            "CREATED" | "UPDATED" => Action::Pushed,
            "DELETED" => Action::Deleted,
            other => return ignored(format!("action `{}` is not known", short(other))),
        };
        let name = item.name.as_deref().unwrap_or_default();
        let (image, reference) = if payload.component.is_some() {
            (name, item.version.as_deref().unwrap_or_default())
        } else {
            let path = name.trim_start_matches('/');
            match path.strip_prefix("v2/").and_then(|path| path.rsplit_once("/manifests/")) {
                Some(found) => found,
                None => return ignored(format!("`{}` is no manifest", short(name))),
            }
        };
        let Some(repository) = given(payload.repository_name.as_deref()) else {
            return malformed("it names no repository");
        };
        let place = self.layout.place(self.host.as_deref(), None, repository, image)?;
        let is_digest = reference.contains(':');
        Said {
            host: place.host,
            tag: (!is_digest).then_some(reference),
            digest: is_digest.then_some(reference),
            time: payload.timestamp.as_deref(),
            actor: payload.initiator.as_deref(),
            ..Said::new(action, Some(&place.repository), key)
        }
        .event()
    }
}

impl Source for NexusSource {
    fn name(&self) -> &'static str {
        NAME
    }

    fn receive(&self, request: &Request<'_>) -> Reception {
        let delivery = request.headers.get("x-nexus-webhook-delivery").and_then(|value| value.to_str().ok());
        post(request, self.signature.check(request), || self.decode(request.body, delivery))
    }

    fn receive_trusted(&self, body: &[u8], _now: Timestamp) -> Reception {
        self.decode(body, None).into_reception()
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Payload {
    timestamp: Option<String>,
    initiator: Option<String>,
    repository_name: Option<String>,
    action: Option<String>,
    component: Option<Item>,
    asset: Option<Item>,
}

#[derive(Deserialize)]
struct Item {
    format: Option<String>,
    name: Option<String>,
    version: Option<String>,
}
