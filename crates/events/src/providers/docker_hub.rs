//! Docker Hub's repository webhooks.
//!
//! | | |
//! | --- | --- |
//! | Format read from | Docker's page on webhooks; captured deliveries |
//! | Authentication | none: an address that nobody can guess |
//! | Handshake | none; `callback_url` leads nowhere any more and is never called |
//! | Envelope | one push: `push_data` and `repository`; times are integers, once were decimal numbers |
//! | Digest | none |
//! | Dedup key | `repo_name`, `tag`, `pushed_at` |
//! | Never told | any delete; a push without a tag |
//! | Sender's patience | not documented |

use http::header;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use crate::auth::{InAddress, SharedSecret};
use crate::config::Settings;
use crate::findings::{Findings, Left, Said, given, post, timed_body_key};
use crate::prove::Proving;
use crate::providers::{MEBIBYTE, Provider, SecretUse};
use crate::{Action, Key, Reception, Request, Result, Source, SourceConfig};

const NAME: &str = "docker-hub";

const KEYS: &[Key] = &[];

pub(super) const PROVIDER: Provider = Provider {
    name: NAME,
    about: "Docker Hub's repository webhooks",
    build: |config| Ok(Box::new(DockerHubSource::new(config)?)),
    keys: KEYS,
    secret: SecretUse::Address,
    proving: Proving::Query,
    body_limit: MEBIBYTE,
};

#[derive(Debug)]
struct DockerHubSource {
    host: String,
    secret: SharedSecret,
}

impl DockerHubSource {
    fn new(config: SourceConfig) -> Result<Self> {
        let mut settings = Settings::new(config, KEYS);
        let secret = SharedSecret::read(&mut settings, header::AUTHORIZATION, InAddress::Too);
        let host = settings.config.host.take().unwrap_or_else(|| "docker.io".to_owned());
        settings.finish()?;
        Ok(Self { host, secret })
    }

    fn decode(&self, body: &[u8], now: Timestamp) -> Findings {
        let payload: Payload = match serde_json::from_slice(body) {
            Ok(payload) => payload,
            Err(error) => return Findings::none(Left::Malformed(format!("the body is no push: {error}"))),
        };
        let Payload { push_data: push, repository } = payload;
        let second = match &push.pushed_at {
            // Written as 1.417566161e+09 in earlier years.
            Value::Number(number) => number.as_i64().or_else(|| number.as_f64().map(whole)),
            Value::String(text) => text.parse().ok(),
            _ => None,
        };
        let time = second.and_then(|second| Timestamp::from_second(second).ok()).map(|time| time.to_string());
        let names = [repository.repo_name.as_deref(), push.tag.as_deref()].map(Option::unwrap_or_default);
        let key = match second {
            Some(second) => format!("{}:{} {second}", names[0], names[1]),
            None => timed_body_key(body, now),
        };
        let said = Said {
            host: Some(self.host.clone()),
            tag: push.tag.as_deref(),
            media_type: push.media_type.as_deref(),
            time: time.as_deref(),
            actor: given(push.pusher.as_deref()),
            ..Said::new(Action::Pushed, repository.repo_name.as_deref(), key)
        };
        Findings::one(said.event())
    }
}

#[expect(clippy::cast_possible_truncation, reason = "a number too large becomes the largest, which is no time")]
fn whole(number: f64) -> i64 {
    number as i64
}

impl Source for DockerHubSource {
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
    push_data: Push,
    repository: Repository,
}

#[derive(Deserialize)]
struct Push {
    tag: Option<String>,
    pusher: Option<String>,
    #[serde(default)]
    pushed_at: Value,
    media_type: Option<String>,
}

#[derive(Deserialize)]
struct Repository {
    repo_name: Option<String>,
}
