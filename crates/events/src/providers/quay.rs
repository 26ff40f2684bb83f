//! Quay's repository notifications.
//!
//! | | |
//! | --- | --- |
//! | Format read from | quay/quay `notifications/`; its manual |
//! | Authentication | none (a client certificate at best): an address that nobody can guess |
//! | Handshake | none; the test button sends an example |
//! | Envelope | one event without its own name: `updated_tags` is what makes it a push |
//! | Digest | none; nor an identifier, nor a time |
//! | Dedup key | the same bytes within ten minutes, and the tag |
//! | Never told | any delete; a push by digest |
//! | Sender's patience | 10 s; repeated after 5 min; **three failures in a row switch the notification off** |

use http::header;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use crate::auth::{InAddress, SharedSecret};
use crate::config::Settings;
use crate::findings::{Findings, Left, Said, checked_host, post, timed_body_key};
use crate::prove::Proving;
use crate::providers::{MEBIBYTE, Provider, SecretUse};
use crate::{Action, Key, Reception, RegistryEvent, Request, Result, Source, SourceConfig};

const NAME: &str = "quay";

const KEYS: &[Key] = &[];

pub(super) const PROVIDER: Provider = Provider {
    name: NAME,
    about: "Quay's repository notifications, quay.io and self-hosted",
    build: |config| Ok(Box::new(QuaySource::new(config)?)),
    keys: KEYS,
    secret: SecretUse::Address,
    proving: Proving::Query,
    body_limit: MEBIBYTE,
};

#[derive(Debug)]
struct QuaySource {
    host: Option<String>,
    secret: SharedSecret,
}

impl QuaySource {
    fn new(config: SourceConfig) -> Result<Self> {
        let mut settings = Settings::new(config, KEYS);
        let secret = SharedSecret::read(&mut settings, header::AUTHORIZATION, InAddress::Too);
        let host = settings.config.host.take();
        settings.finish()?;
        Ok(Self { host, secret })
    }

    fn decode(&self, body: &[u8], now: Timestamp) -> Findings {
        let payload: Payload = match serde_json::from_slice(body) {
            Ok(payload) => payload,
            Err(error) => return Findings::none(Left::Malformed(format!("the body is no notification: {error}"))),
        };
        let key = timed_body_key(body, now);
        let mut findings = Findings::default();
        match &payload.updated_tags {
            Some(Tags::List(tags)) if !tags.is_empty() => {
                for (index, tag) in tags.iter().enumerate() {
                    findings.add(index, self.event(&payload, Some(tag), format!("{key} {tag}")));
                }
            }
            // Early releases wrote each tag with the image that it points at.
            Some(Tags::Map(tags)) if !tags.is_empty() => {
                for (index, tag) in tags.keys().enumerate() {
                    findings.add(index, self.event(&payload, Some(tag), format!("{key} {tag}")));
                }
            }
            _ if payload.build_id.is_some() || payload.vulnerability.is_some() => {
                return Findings::none(Left::Ignored("a build or a finding changes no tag by itself".to_owned()));
            }
            // A mirror was brought up to date, for one.
            _ => findings.add(0, self.event(&payload, None, key)),
        }
        findings
    }

    fn event(&self, payload: &Payload, tag: Option<&str>, key: String) -> Result<RegistryEvent, Left> {
        let claimed = payload.docker_url.as_deref().and_then(|url| url.split('/').next());
        Said {
            host: checked_host(self.host.as_deref(), claimed)?,
            tag,
            ..Said::new(Action::Pushed, payload.repository.as_deref(), key)
        }
        .event()
    }
}

impl Source for QuaySource {
    fn name(&self) -> &'static str {
        NAME
    }

    fn receive(&self, request: &Request<'_>) -> Reception {
        post(request, self.secret.check(request), || self.decode(request.body, request.now))
    }

    fn receive_trusted(&self, body: &[u8], now: Timestamp) -> Reception {
        self.decode(body, now).into_reception()
    }
}

#[derive(Deserialize)]
struct Payload {
    repository: Option<String>,
    docker_url: Option<String>,
    updated_tags: Option<Tags>,
    build_id: Option<Value>,
    vulnerability: Option<Value>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Tags {
    List(Vec<String>),
    Map(serde_json::Map<String, Value>),
}
