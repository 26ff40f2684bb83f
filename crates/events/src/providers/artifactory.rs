//! JFrog Artifactory's webhooks.
//!
//! | | |
//! | --- | --- |
//! | Format read from | JFrog's pages on event types and on the webhook REST API; captured deliveries |
//! | Generations | the members of `data` without an envelope; an envelope; an envelope with `userContext` and `image_type` |
//! | Required | `event_type`, and `domain` and `data` where there is an envelope; `jpd_origin` only comes with a custom base URL |
//! | Authentication | `X-JFrog-Event-Auth`: the secret itself, or the hexadecimal HMAC-SHA256 of the body (`use_secret_for_signing`) |
//! | Handshake | none; the test button sends an event about a repository that does not exist |
//! | Domains | `docker`: `pushed`, `deleted` (of a tag), `promoted`; `artifact`: `deployed`, `deleted`, `moved`, `copied`, `cached` of a manifest's file |
//! | Digest | `sha256`, without the algorithm before it |
//! | Dedup key | none, and no time either: the same bytes within ten minutes are one delivery |
//! | Never told | the delete of a repository, or of a folder as the tags in it |
//! | Sender's patience | 30 s; 5xx and silence are repeated 5 times, 10 s apart; 4xx is final |

use http::HeaderName;
use jiff::Timestamp;
use ring::hmac::HMAC_SHA256;
use serde::Deserialize;
use serde_json::Value;

use crate::auth::{InAddress, Refusal, SharedSecret};
use crate::config::Settings;
use crate::findings::{Findings, Left, Said, given, ignored, malformed, post, short, timed_body_key};
use crate::layout::{self, Layout};
use crate::prove::Proving;
use crate::providers::{MEBIBYTE, Provider, SecretUse};
use crate::signature::{Scheme, Signature};
use crate::{Action, Key, Reception, RegistryEvent, Request, Result, Source, SourceConfig};

const NAME: &str = "artifactory";
const HEADER: &str = "x-jfrog-event-auth";
const SCHEME: Scheme = Scheme { algorithm: HMAC_SHA256, header: HEADER, prefix: "" };

const KEYS: &[Key] = &[
    Key::optional(
        "signing",
        "`true` if the webhook uses its secret for signing; `false` (default) if it sends it as it is; `either`",
    ),
    layout::LAYOUT,
    layout::REPOSITORIES,
    layout::SHOWN,
];

pub(super) const PROVIDER: Provider = Provider {
    name: NAME,
    about: "JFrog Artifactory's webhooks, domains docker and artifact",
    build: |config| Ok(Box::new(ArtifactorySource::new(config)?)),
    keys: KEYS,
    secret: SecretUse::Beside,
    proving: Proving::SignedOrHeader(&SCHEME),
    body_limit: MEBIBYTE,
};

#[derive(Debug)]
struct ArtifactorySource {
    host: Option<String>,
    proof: Proof,
    layout: Layout,
}

/// One or the other, by configuration: where it is known which, the other is a mistake that somebody should hear of.
#[derive(Debug)]
enum Proof {
    Secret(SharedSecret),
    Signature(Signature),
    Either(SharedSecret, Signature),
}

#[derive(Clone, Copy)]
enum Signing {
    Never,
    Always,
    Either,
}

impl ArtifactorySource {
    fn new(config: SourceConfig) -> Result<Self> {
        let mut settings = Settings::new(config, KEYS);
        let words = [("true", Signing::Always), ("false", Signing::Never), ("either", Signing::Either)];
        let header = HeaderName::from_static(HEADER);
        let proof = match settings.word("signing", &words, Signing::Never) {
            Signing::Always => Proof::Signature(Signature::read(&mut settings, &SCHEME)),
            Signing::Never => Proof::Secret(SharedSecret::read(&mut settings, header, InAddress::Never)),
            Signing::Either => {
                let (secrets, named) = (settings.config.secrets.clone(), settings.config.header.clone());
                let secret = SharedSecret::read(&mut settings, header, InAddress::Never);
                (settings.config.secrets, settings.config.header) = (secrets, named);
                Proof::Either(secret, Signature::read(&mut settings, &SCHEME))
            }
        };
        let layout = Layout::read(&mut settings, layout::Kind::Path);
        let host = settings.config.host.take();
        settings.finish()?;
        Ok(Self { host, proof, layout })
    }

    fn check(&self, request: &Request<'_>) -> Result<(), Refusal> {
        match &self.proof {
            Proof::Secret(secret) => secret.check(request),
            Proof::Signature(signature) => signature.check(request),
            Proof::Either(secret, signature) => signature.check(request).or_else(|_| secret.check(request)),
        }
    }

    fn decode(&self, body: &[u8], now: Timestamp) -> Findings {
        let envelope: Envelope = match serde_json::from_slice(body) {
            Ok(envelope) => envelope,
            Err(error) => return Findings::none(Left::Malformed(format!("the body is no event: {error}"))),
        };
        let domain = envelope.domain.as_deref().unwrap_or("docker");
        let kind = envelope.event_type.as_str();
        let changes = match domain {
            "docker" => docker(&envelope, kind),
            "artifact" => artifact(&envelope, kind),
            other => ignored(format!("domain `{}` is not about images", short(other))),
        };
        let changes = match changes {
            Ok(changes) => changes,
            Err(left) => return Findings::none(left),
        };
        let key = timed_body_key(body, now);
        let mut findings = Findings::default();
        for (index, change) in changes.iter().enumerate() {
            findings.add(index, self.event(change, &envelope, format!("{key}-{index}")));
        }
        findings
    }

    fn event(&self, change: &Change, envelope: &Envelope, key: String) -> Result<RegistryEvent, Left> {
        let origin = envelope.jpd_origin.as_deref().and_then(|origin| origin.split_once("://"));
        let origin = origin.and_then(|(_, rest)| rest.split(['/', '?', '#']).next());
        let place = self.layout.place(self.host.as_deref(), origin, &change.repository, &change.image)?;
        let digest = change.sha256.as_deref().map(|digits| format!("sha256:{digits}"));
        Said {
            host: place.host,
            tag: change.tag.as_deref(),
            digest: digest.as_deref(),
            actor: envelope.user.as_ref().and_then(|user| user.id.as_deref()),
            ..Said::new(change.action, Some(&place.repository), key)
        }
        .event()
    }
}

impl Source for ArtifactorySource {
    fn name(&self) -> &'static str {
        NAME
    }

    fn receive(&self, request: &Request<'_>) -> Reception {
        post(request, self.check(request), || self.decode(request.body, request.now))
    }

    fn receive_trusted(&self, body: &[u8], now: Timestamp) -> Reception {
        self.decode(body, now).into_reception()
    }
}

#[derive(Deserialize)]
struct Envelope {
    domain: Option<String>,
    event_type: String,
    data: Option<Value>,
    jpd_origin: Option<String>,
    #[serde(rename = "userContext")]
    user: Option<User>,
    /// The first generation: what is in `data` since then.
    #[serde(flatten)]
    flat: serde_json::Map<String, Value>,
}

#[derive(Deserialize)]
struct User {
    id: Option<String>,
}

#[derive(Deserialize)]
struct Data {
    repo_key: String,
    path: Option<String>,
    name: Option<String>,
    sha256: Option<String>,
    image_name: Option<String>,
    tag: Option<String>,
    target_repo: Option<String>,
    target_tag: Option<String>,
    source_repo_path: Option<String>,
    target_repo_path: Option<String>,
}

impl Envelope {
    fn data(&self) -> Result<Data, Left> {
        let data = match &self.data {
            Some(data) => Data::deserialize(data),
            None => Data::deserialize(&Value::Object(self.flat.clone())),
        };
        data.map_err(|error| Left::Malformed(error.to_string()))
    }
}

/// What happened to one image.
struct Change {
    action: Action,
    repository: String,
    image: String,
    tag: Option<String>,
    sha256: Option<String>,
}

impl Change {
    /// `tag` as Artifactory writes it: a manifest that has none lies in a folder that is named by its digest.
    fn new(action: Action, repository: &str, image: &str, tag: &str, sha256: Option<&str>) -> Self {
        let folder = tag.strip_prefix("sha256:").or_else(|| tag.strip_prefix("sha256__"));
        Self {
            action,
            repository: repository.to_owned(),
            image: image.to_owned(),
            tag: if folder.is_some() { None } else { Some(tag.to_owned()) },
            sha256: given(sha256).or(folder).map(str::to_owned),
        }
    }
}

fn docker(envelope: &Envelope, kind: &str) -> Result<Vec<Change>, Left> {
    let data = envelope.data()?;
    let in_path = data.path.as_deref().and_then(manifest);
    let image = given(data.image_name.as_deref()).or(in_path.map(|(image, _)| image));
    let tag = given(data.tag.as_deref()).or(in_path.map(|(_, tag)| tag));
    let Some(image) = image else { return malformed("it names no image") };
    let change = |action| Change::new(action, &data.repo_key, image, tag.unwrap_or_default(), data.sha256.as_deref());
    match kind {
        "pushed" => Ok(vec![change(Action::Pushed)]),
        "deleted" => Ok(vec![change(Action::Deleted)]),
        // Told for the repository that the image comes from, where its tag may be gone now.
        "promoted" => {
            let mut changes = vec![change(Action::Refresh)];
            if let Some(repository) = given(data.target_repo.as_deref()) {
                let tag = given(data.target_tag.as_deref()).or(tag).unwrap_or_default();
                changes.push(Change::new(Action::Pushed, repository, image, tag, data.sha256.as_deref()));
            }
            Ok(changes)
        }
        other => ignored(format!("event `{}` is not known", short(other))),
    }
}

fn artifact(envelope: &Envelope, kind: &str) -> Result<Vec<Change>, Left> {
    let data = envelope.data()?;
    let path = data.path.as_deref().unwrap_or_default();
    let Some((image, tag)) = manifest(path) else {
        let name = data.name.as_deref().unwrap_or(path);
        return ignored(format!("`{}` is no manifest", short(name)));
    };
    let here = |action| Change::new(action, &data.repo_key, image, tag, data.sha256.as_deref());
    // `REPOSITORY/PATH`; the path alone has been seen as well.
    let there = |path: Option<&str>, action| {
        let (repository, path) = path?.trim_start_matches('/').split_once('/')?;
        let (image, tag) = manifest(path)?;
        Some(Change::new(action, repository, image, tag, data.sha256.as_deref()))
    };
    let target = there(data.target_repo_path.as_deref(), Action::Pushed);
    match kind {
        "deployed" | "cached" => Ok(vec![here(Action::Pushed)]),
        "deleted" => Ok(vec![here(Action::Deleted)]),
        "moved" => {
            let source = there(data.source_repo_path.as_deref(), Action::Refresh);
            Ok(std::iter::once(source.unwrap_or_else(|| here(Action::Refresh))).chain(target).collect())
        }
        "copied" => target.map_or_else(|| Ok(vec![here(Action::Refresh)]), |target| Ok(vec![target])),
        other => ignored(format!("event `{}` is not known", short(other))),
    }
}

/// Image and tag of `IMAGE/TAG/manifest.json` and `IMAGE/TAG/list.manifest.json`.
fn manifest(path: &str) -> Option<(&str, &str)> {
    let (folder, file) = path.trim_start_matches('/').rsplit_once('/')?;
    matches!(file, "manifest.json" | "list.manifest.json").then_some(())?;
    folder.rsplit_once('/')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_folders() {
        assert_eq!(manifest("team/app/1.0/manifest.json"), Some(("team/app", "1.0")));
        assert_eq!(manifest("/app/1.0/list.manifest.json"), Some(("app", "1.0")));
        for path in ["", "manifest.json", "1.0/manifest.json", "app/1.0/sha256__00", "app/1.0/other.json", "/"] {
            assert_eq!(manifest(path), None, "{path}");
        }
        let change = Change::new(Action::Pushed, "r", "app", "sha256__0a", None);
        assert_eq!((change.tag, change.sha256.as_deref()), (None, Some("0a")));
    }
}
