//! CNCF Distribution (`registry:2`, `registry:3`, Debian's `docker-registry`) and whatever embeds it, GitLab's
//! container registry among them.
//!
//! | | |
//! | --- | --- |
//! | Format read from | distribution/distribution `notifications/{event,bridge,http}.go`, releases 2.7 to 3.1 |
//! | Media type | `application/vnd.docker.distribution.events.v1+json` (2.x), `….v2+json` (3.x); proxies make it `application/json` |
//! | Authentication | fixed headers from the registry's configuration; no signature |
//! | Handshake | none |
//! | Envelope | `{"events": […]}`; one event today, several allowed |
//! | Actions | `push`, `pull`, `mount`, `delete`; blobs and manifests alike |
//! | Tag delete | 3.x only: tag, no digest. 3.x writes missing values as `""` and `0`, 2.x leaves them out |
//! | Repository delete | neither tag nor digest; in the code, behind no HTTP method today |
//! | Sender's patience | 1 s; everything but 2xx and 3xx is sent again, for ever, and blocks what comes after |
//! | Lost | what is queued when the registry restarts |

use http::header;
use serde::Deserialize;

use crate::auth::{InAddress, SharedSecret};
use crate::config::Settings;
use crate::findings::{Findings, Left, Said, body_key, given, host_of, ignored, post, short};
use crate::prove::Proving;
use crate::providers::{MEBIBYTE, Provider, SecretUse, USER};
use crate::{Action, Key, Reception, RegistryEvent, Request, Result, Source, SourceConfig};

const KEYS: &[Key] = &[USER];

pub(super) const PROVIDER: Provider = Provider {
    name: DistributionSource::NAME,
    about: "notifications of CNCF Distribution, and of what embeds it: GitLab's registry, Debian's docker-registry",
    build: DistributionSource::boxed,
    keys: KEYS,
    secret: SecretUse::Beside,
    proving: Proving::Header("authorization"),
    body_limit: MEBIBYTE,
};

/// The notifications of CNCF Distribution.
#[derive(Debug)]
pub struct DistributionSource {
    host: Option<String>,
    secret: SharedSecret,
}

impl DistributionSource {
    /// The provider's name.
    pub const NAME: &'static str = "distribution";

    /// The source as `config` describes it.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Configuration`](crate::ErrorKind::Configuration) without a secret, unless the source is open.
    pub fn new(config: SourceConfig) -> Result<Self> {
        let mut settings = Settings::new(config, KEYS);
        let secret = SharedSecret::read(&mut settings, header::AUTHORIZATION, InAddress::Never);
        let host = settings.config.host.take();
        settings.finish()?;
        Ok(Self { host, secret })
    }

    fn boxed(config: SourceConfig) -> Result<Box<dyn Source>> {
        Ok(Box::new(Self::new(config)?))
    }

    fn decode(&self, body: &[u8]) -> Findings {
        let envelope: Envelope = match serde_json::from_slice(body) {
            Ok(envelope) => envelope,
            Err(error) => return Findings::none(Left::Malformed(format!("the body is not an envelope: {error}"))),
        };
        let mut findings = Findings::default();
        for (index, value) in envelope.events.iter().enumerate() {
            let event = Event::deserialize(value)
                .map_err(|error| Left::Malformed(error.to_string()))
                .and_then(|event| self.event(&event, body, index));
            findings.add(index, event);
        }
        findings
    }

    fn event(&self, event: &Event, body: &[u8], index: usize) -> Result<RegistryEvent, Left> {
        let target = &event.target;
        let (tag, digest) = (given(target.tag.as_deref()), given(target.digest.as_deref()));
        let action = match event.action.as_str() {
            "push" if is_manifest(target) => Action::Pushed,
            "push" => return ignored("a blob was pushed"),
            "delete" if tag.is_none() && digest.is_none() => Action::RepositoryDeleted,
            "delete" => Action::Deleted,
            "pull" | "mount" => return ignored(format!("action `{}` changes no image", event.action)),
            other => return ignored(format!("action `{}` is not known", short(other))),
        };
        let key = given(event.id.as_deref()).map_or_else(|| body_key(body, index), str::to_owned);
        Said {
            host: host(self.host.as_deref(), event),
            tag,
            digest,
            media_type: target.media_type.as_deref(),
            time: event.timestamp.as_deref(),
            actor: event.actor.as_ref().and_then(|actor| actor.name.as_deref()),
            ..Said::new(action, target.repository.as_deref(), key)
        }
        .event()
    }
}

impl Source for DistributionSource {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn receive(&self, request: &Request<'_>) -> Reception {
        post(request, self.secret.check(request), || match foreign_media_type(request) {
            Some(other) => Findings::none(Left::Malformed(format!("media type `{other}` is not that of an envelope"))),
            None => self.decode(request.body),
        })
    }

    fn receive_trusted(&self, body: &[u8], _now: jiff::Timestamp) -> Reception {
        self.decode(body).into_reception()
    }
}

#[derive(Deserialize)]
struct Envelope {
    // Kept as values: one event of a wrong shape must not take the others with it.
    events: Vec<serde_json::Value>,
}

#[derive(Deserialize)]
struct Event {
    id: Option<String>,
    timestamp: Option<String>,
    action: String,
    target: Target,
    request: Option<RequestRecord>,
    actor: Option<Actor>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Target {
    media_type: Option<String>,
    digest: Option<String>,
    repository: Option<String>,
    url: Option<String>,
    tag: Option<String>,
}

#[derive(Deserialize)]
struct RequestRecord {
    host: Option<String>,
}

#[derive(Deserialize)]
struct Actor {
    name: Option<String>,
}

/// Media types of what a tag can point at (image-spec `media-types.md`; Docker's schema 1 and 2).
const MANIFESTS: [&str; 6] = [
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.docker.distribution.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v1+prettyjws",
];

fn is_manifest(target: &Target) -> bool {
    match given(target.media_type.as_deref()) {
        Some(media_type) => MANIFESTS.contains(&media_type),
        // Only the path is left to tell; without one, asking the registry once too often does no harm.
        None => !given(target.url.as_deref()).is_some_and(|url| url.contains("/blobs/")),
    }
}

/// The media type of the request if it is set and is none that an envelope comes with.
fn foreign_media_type(request: &Request<'_>) -> Option<String> {
    const ENVELOPES: [&str; 3] = [
        "application/vnd.docker.distribution.events.v1+json",
        "application/vnd.docker.distribution.events.v2+json",
        "application/json",
    ];
    let value = request.headers.get(header::CONTENT_TYPE)?;
    let Ok(text) = value.to_str() else { return Some("(not text)".to_owned()) };
    let media_type = text.split(';').next().unwrap_or_default().trim();
    let known = ENVELOPES.iter().any(|known| media_type.eq_ignore_ascii_case(known));
    (!known && !media_type.is_empty()).then(|| short(media_type))
}

fn host(configured: Option<&str>, event: &Event) -> Option<String> {
    let request = event.request.as_ref().and_then(|request| request.host.as_deref());
    let url = event.target.url.as_deref().and_then(|url| url.split_once("://"));
    let url = url.and_then(|(_, rest)| rest.split(['/', '?', '#']).next());
    host_of(configured, [request, url])
}
