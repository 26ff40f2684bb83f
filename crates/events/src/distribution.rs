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

use std::fmt::Write as _;

use http::{Method, StatusCode, header};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use crate::grammar;
use crate::{
    Action, Answer, Authentication, EventTime, Reception, RegistryEvent, Request, Result, Source, SourceConfig, Verdict,
};

/// The notifications of CNCF Distribution.
#[derive(Debug)]
pub struct DistributionSource {
    host: Option<String>,
    authentication: Authentication,
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
        Ok(Self { host: config.host.clone(), authentication: config.authentication()? })
    }

    pub(crate) fn boxed(config: SourceConfig) -> Result<Box<dyn Source>> {
        Ok(Box::new(Self::new(config)?))
    }

    fn event(&self, event: &Event, body: &[u8], index: usize) -> Result<RegistryEvent, Left> {
        let target = &event.target;
        let action = match event.action.as_str() {
            "push" if is_manifest(target) => Action::Pushed,
            "push" => return Err(Left::Ignored("a blob was pushed".to_owned())),
            "delete" => Action::Deleted,
            "pull" | "mount" => return Err(Left::Ignored(format!("action `{}` changes no image", event.action))),
            other => return Err(Left::Ignored(format!("action `{}` is not known", short(other)))),
        };
        let Some(repository) = given(&target.repository) else {
            return Err(Left::Malformed("it names no repository".to_owned()));
        };
        if !grammar::is_repository(repository) {
            return Err(Left::Malformed(format!("`{}` is no repository name", short(repository))));
        }

        let (given_tag, given_digest) = (given(&target.tag), given(&target.digest));
        let tag = given_tag.filter(|tag| grammar::is_tag(tag)).map(str::to_owned);
        let digest = given_digest.and_then(grammar::digest);
        let action = match action {
            // Nothing usable is left of what the event is about, yet something did happen.
            _ if tag.is_none() && digest.is_none() && (given_tag.is_some() || given_digest.is_some()) => {
                Action::Refresh
            }
            Action::Pushed if tag.is_none() && digest.is_none() => Action::Refresh,
            Action::Deleted if tag.is_none() && digest.is_none() => Action::RepositoryDeleted,
            action => action,
        };
        Ok(RegistryEvent {
            action,
            host: self.host.clone().or_else(|| host(event)),
            repository: repository.to_owned(),
            tag,
            digest,
            media_type: given(&target.media_type).map(short),
            time: event.timestamp.as_deref().and_then(EventTime::parse),
            dedup_key: given(&event.id).map_or_else(|| body_key(body, index), short),
            actor: event.actor.as_ref().and_then(|actor| given(&actor.name)).map(short),
        })
    }
}

impl Source for DistributionSource {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn receive(&self, request: &Request<'_>) -> Reception {
        if let Err(reason) = self.authentication.check(request.headers) {
            return Reception::new(Verdict::Rejected(reason), Answer::unauthorized());
        }
        // From here on the sender is ours: anything but a success would make it repeat this delivery for ever.
        let fine = Answer::status(StatusCode::OK);
        let malformed = |reason: String| Reception::new(Verdict::Malformed(reason), fine.clone());
        if request.method != Method::POST {
            return malformed(format!("method {} is not POST", short(request.method.as_str())));
        }
        if let Some(other) = foreign_media_type(request) {
            return malformed(format!("media type `{other}` is not that of an envelope"));
        }
        let envelope: Envelope = match serde_json::from_slice(request.body) {
            Ok(envelope) => envelope,
            Err(error) => return malformed(format!("the body is not an envelope: {error}")),
        };

        let mut events = Vec::new();
        let mut remarks = Vec::new();
        let mut is_malformed = false;
        for (index, value) in envelope.events.iter().enumerate() {
            let parsed = Event::deserialize(value)
                .map_err(|error| Left::Malformed(error.to_string()))
                .and_then(|event| self.event(&event, request.body, index));
            match parsed {
                Ok(event) => events.push(event),
                Err(Left::Ignored(reason)) => remarks.push(format!("event {index}: {reason}")),
                Err(Left::Malformed(reason)) => {
                    is_malformed = true;
                    remarks.push(format!("event {index}: {reason}"));
                }
            }
        }
        let reason = || remarks.first().cloned().unwrap_or_else(|| "the envelope is empty".to_owned());
        let reception = if !events.is_empty() {
            Reception::new(Verdict::Events(events), Answer::status(StatusCode::ACCEPTED))
        } else if is_malformed {
            malformed(reason())
        } else {
            Reception::new(Verdict::Ignored(reason()), fine)
        };
        reception.with_remarks(remarks)
    }
}

/// Why an event of an envelope gives no event of ours.
enum Left {
    Ignored(String),
    Malformed(String),
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
    match given(&target.media_type) {
        Some(media_type) => MANIFESTS.contains(&media_type),
        // Only the path is left to tell; without one, asking the registry once too often does no harm.
        None => !given(&target.url).is_some_and(|url| url.contains("/blobs/")),
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

fn host(event: &Event) -> Option<String> {
    let request = event.request.as_ref().and_then(|request| given(&request.host));
    let url = given(&event.target.url)
        .and_then(|url| url.split_once("://"))
        .and_then(|(_, rest)| rest.split(['/', '?', '#']).next());
    [request, url].into_iter().flatten().find(|host| grammar::is_host(host)).map(str::to_owned)
}

/// 3.x writes what is missing as an empty string.
fn given(value: &Option<String>) -> Option<&str> {
    value.as_deref().filter(|value| !value.is_empty())
}

/// A foreign text, cut to a length that can be stored and shown, and without control characters.
fn short(text: &str) -> String {
    text.chars().filter(|character| !character.is_control()).take(255).collect()
}

/// The key of an event that came without one: its place in the very same bytes.
fn body_key(body: &[u8], index: usize) -> String {
    let mut key = "body-".to_owned();
    for byte in Sha256::digest(body) {
        write!(key, "{byte:02x}").expect("a string takes everything");
    }
    write!(key, "-{index}").expect("a string takes everything");
    key
}
