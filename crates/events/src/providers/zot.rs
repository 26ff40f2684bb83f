//! zot's events.
//!
//! | | |
//! | --- | --- |
//! | Format read from | project-zot/zot `pkg/extensions/events` |
//! | Envelope | CloudEvents 1.0, binary mode: attributes in `Ce-…` headers, the data is the body |
//! | Types | `….image.updated`, `….image.deleted`; `….image.lint_failed`, `….image.scanned`, `….repository.created`; what stands before is `zotregistry`, or what the operator chose (`typePrefix`) |
//! | Data | `name`, `reference` (tag or digest), `digest`, `mediaType`; `manifest`, the whole of it, when updated |
//! | Authentication | Basic, Bearer or headers of the operator's choice |
//! | Handshake | none |
//! | Registry | not in the event: configure it |
//! | Dedup key | `Ce-Source` and `Ce-Id` |
//! | Never told | the delete of a repository |
//! | Sender's patience | 30 s; never repeats |

use http::{HeaderMap, header};
use jiff::Timestamp;
use serde::Deserialize;

use crate::auth::{InAddress, SharedSecret};
use crate::cloud_event::CloudEvent;
use crate::config::Settings;
use crate::findings::{Findings, Left, Said, given, ignored, post, short, timed_body_key};
use crate::prove::Proving;
use crate::providers::{MEBIBYTE, Provider, SecretUse, USER};
use crate::{Action, Key, Reception, RegistryEvent, Request, Result, Source, SourceConfig};

const NAME: &str = "zot";

const KEYS: &[Key] = &[USER];

pub(super) const PROVIDER: Provider = Provider {
    name: NAME,
    about: "zot's events, sent over HTTP",
    build: |config| Ok(Box::new(ZotSource::new(config)?)),
    keys: KEYS,
    secret: SecretUse::Beside,
    proving: Proving::Header("authorization"),
    // The manifest is in it, as a text in JSON.
    body_limit: 2 * MEBIBYTE,
};

#[derive(Debug)]
struct ZotSource {
    host: Option<String>,
    secret: SharedSecret,
}

impl ZotSource {
    fn new(config: SourceConfig) -> Result<Self> {
        let mut settings = Settings::new(config, KEYS);
        let secret = SharedSecret::read(&mut settings, header::AUTHORIZATION, InAddress::Never);
        let host = settings.config.host.take();
        settings.finish()?;
        Ok(Self { host, secret })
    }

    fn decode(&self, headers: &HeaderMap, body: &[u8], now: Timestamp) -> Findings {
        match CloudEvent::read(headers, body) {
            Ok(event) => Findings::one(self.event(&event, body, now)),
            Err(error) => Findings::none(Left::Malformed(format!("it is no CloudEvent: {error}"))),
        }
    }

    fn event(&self, event: &CloudEvent, body: &[u8], now: Timestamp) -> Result<RegistryEvent, Left> {
        let is = |kind: &str| event.kind.strip_suffix(kind).is_some_and(|prefix| prefix.ends_with('.'));
        let action = match () {
            () if is("image.updated") => Action::Pushed,
            () if is("image.deleted") => Action::Deleted,
            () => return ignored(format!("type `{}` changes no image", short(&event.kind))),
        };
        let data = Data::deserialize(&event.data).map_err(|error| Left::Malformed(error.to_string()))?;
        let reference = given(data.reference.as_deref());
        let tag = reference.filter(|reference| !reference.contains(':'));
        Said {
            host: self.host.clone(),
            tag,
            digest: given(data.digest.as_deref()).or(reference.filter(|_| tag.is_none())),
            media_type: data.media_type.as_deref(),
            time: event.time.as_deref(),
            actor: data.actor.as_ref().and_then(|actor| actor.name.as_deref()),
            ..Said::new(action, data.name.as_deref(), event.key().unwrap_or_else(|| timed_body_key(body, now)))
        }
        .event()
    }
}

impl Source for ZotSource {
    fn name(&self) -> &'static str {
        NAME
    }

    fn receive(&self, request: &Request<'_>) -> Reception {
        post(request, self.secret.check(request), || self.decode(request.headers, request.body, request.now))
    }

    fn receive_trusted(&self, body: &[u8], now: Timestamp) -> Reception {
        self.decode(&HeaderMap::new(), body, now).into_reception()
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Data {
    name: Option<String>,
    reference: Option<String>,
    digest: Option<String>,
    media_type: Option<String>,
    actor: Option<Actor>,
}

#[derive(Deserialize)]
struct Actor {
    name: Option<String>,
}
