//! GitHub Packages: the container registry `ghcr.io`, and that of a GitHub Enterprise Server.
//!
//! | | |
//! | --- | --- |
//! | Format read from | GitHub's pages on webhook events, payloads and their validation; octokit/webhooks |
//! | Events | `X-GitHub-Event`: `package`, `registry_package` (the same under another name), `ping` |
//! | Media type | JSON, or a form with the JSON in its field `payload` |
//! | Authentication | `X-Hub-Signature-256`: `sha256=` and the hexadecimal HMAC-SHA256 of the raw body |
//! | Handshake | `ping`, which any success answers |
//! | Actions | `published`, `updated` |
//! | Names | written as their owners spell them; the registry has them in lower case |
//! | Dedup key | `X-GitHub-Delivery`, the same when a person has it sent again |
//! | Never told | any delete |
//! | Sender's patience | 10 s; **never repeats by itself** |

use http::{HeaderMap, StatusCode, header};
use jiff::Timestamp;
use ring::hmac::HMAC_SHA256;
use serde::Deserialize;

use crate::auth::percent_decoded;
use crate::config::Settings;
use crate::findings::{Findings, Left, Said, checked_host, given, ignored, malformed, post, short, timed_body_key};
use crate::grammar;
use crate::prove::Proving;
use crate::providers::{MEBIBYTE, Provider, SecretUse};
use crate::signature::{Scheme, Signature};
use crate::{Action, Answer, Key, Reception, RegistryEvent, Request, Result, Source, SourceConfig};

const NAME: &str = "github";
const SCHEME: Scheme = Scheme { algorithm: HMAC_SHA256, header: "x-hub-signature-256", prefix: "sha256=" };
const REGISTRY: &str = "ghcr.io";

const KEYS: &[Key] = &[];

pub(super) const PROVIDER: Provider = Provider {
    name: NAME,
    about: "GitHub Packages (ghcr.io): webhooks of a repository or an organization",
    build: |config| Ok(Box::new(GithubSource::new(config)?)),
    keys: KEYS,
    secret: SecretUse::Beside,
    proving: Proving::Signed(&SCHEME),
    body_limit: 2 * MEBIBYTE,
};

#[derive(Debug)]
struct GithubSource {
    host: Option<String>,
    signature: Signature,
}

impl GithubSource {
    fn new(config: SourceConfig) -> Result<Self> {
        let mut settings = Settings::new(config, KEYS);
        let signature = Signature::read(&mut settings, &SCHEME);
        let host = settings.config.host.take();
        settings.finish()?;
        Ok(Self { host, signature })
    }

    fn decode(&self, body: &[u8], key: String) -> Findings {
        match serde_json::from_slice::<Payload>(body) {
            Ok(payload) => Findings::one(self.event(&payload, key)),
            Err(error) => Findings::none(Left::Malformed(format!("the body is no event: {error}"))),
        }
    }

    fn event(&self, payload: &Payload, key: String) -> Result<RegistryEvent, Left> {
        let Some(package) = payload.package.as_ref().or(payload.registry_package.as_ref()) else {
            return ignored("it is about no package");
        };
        let is_container = |kind: &Option<String>| {
            kind.as_deref().is_some_and(|kind| matches!(kind.to_ascii_lowercase().as_str(), "container" | "docker"))
        };
        if !is_container(&package.package_type) && !is_container(&package.ecosystem) {
            return ignored("the package is no container image");
        }
        let action = match payload.action.as_deref().unwrap_or_default() {
            "published" | "updated" | "created" => Action::Pushed,
            // None is documented for images; if there is one some day, the registry knows what it means.
            _ => Action::Refresh,
        };
        let Some(version) = &package.package_version else { return malformed("it names no version") };
        let metadata = version.container_metadata.as_ref();
        let tag = metadata.and_then(|metadata| metadata.tag.as_ref());
        let manifest = metadata.and_then(|metadata| metadata.manifest.as_ref());
        let url = given(version.package_url.as_deref()).and_then(Url::parse);
        let named = || match (given(package.namespace.as_deref()), given(package.name.as_deref())) {
            (Some(namespace), Some(name)) => Some(format!("{namespace}/{name}")),
            _ => None,
        };
        let repository = url.as_ref().map(|url| url.repository.to_owned()).or_else(named);
        let digests = [
            version.version.as_deref(),
            manifest.and_then(|manifest| manifest.digest.as_deref()),
            tag.and_then(|tag| tag.digest.as_deref()),
        ];
        let digest = digests.into_iter().flatten().find(|digest| grammar::digest(digest).is_some());
        let tags = [tag.and_then(|tag| tag.name.as_deref()), url.as_ref().and_then(|url| url.tag)];
        let claimed = url.as_ref().map_or(REGISTRY, |url| url.host);
        Said {
            host: checked_host(self.host.as_deref(), Some(claimed))?,
            tag: tags.into_iter().find_map(given),
            digest,
            media_type: manifest.and_then(|manifest| manifest.media_type.as_deref()),
            time: [&version.updated_at, &package.updated_at].into_iter().find_map(|time| {
                // Go's zero stands in fields that are not filled.
                time.as_deref().filter(|time| !time.starts_with("0001-"))
            }),
            actor: payload.sender.as_ref().and_then(|sender| sender.login.as_deref()),
            ..Said::new(action, repository.map(|name| name.to_ascii_lowercase()).as_deref(), key)
        }
        .event()
    }
}

/// `HOST/REPOSITORY:TAG`, whose tag may be empty.
struct Url<'a> {
    host: &'a str,
    repository: &'a str,
    tag: Option<&'a str>,
}

impl<'a> Url<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let (host, path) = text.split_once('/')?;
        let path = path.split('@').next().unwrap_or(path);
        let (repository, tag) = path.rsplit_once(':').map_or((path, None), |(path, tag)| (path, Some(tag)));
        (host.contains('.') && !repository.is_empty()).then_some(Self { host, repository, tag })
    }
}

impl Source for GithubSource {
    fn name(&self) -> &'static str {
        NAME
    }

    fn receive(&self, request: &Request<'_>) -> Reception {
        let header = |name: &str| request.headers.get(name).and_then(|value| value.to_str().ok());
        post(request, self.signature.check(request), || match header("x-github-event").unwrap_or_default() {
            "ping" => Findings::handshake(Answer::status(StatusCode::OK)),
            "package" | "registry_package" => {
                let form = is_form(request.headers).then(|| payload_field(request.body)).flatten();
                let key = given(header("x-github-delivery")).map(str::to_owned);
                let key = key.unwrap_or_else(|| timed_body_key(request.body, request.now));
                self.decode(form.as_deref().unwrap_or(request.body), key)
            }
            other => Findings::none(Left::Ignored(format!("event `{}` is not about packages", short(other)))),
        })
    }

    fn receive_trusted(&self, body: &[u8], now: Timestamp) -> Reception {
        self.decode(body, timed_body_key(body, now)).into_reception()
    }
}

fn is_form(headers: &HeaderMap) -> bool {
    let media_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    media_type.to_ascii_lowercase().starts_with("application/x-www-form-urlencoded")
}

/// The field `payload` of a form, which is what GitHub sends unless told otherwise.
fn payload_field(body: &[u8]) -> Option<Vec<u8>> {
    let text = std::str::from_utf8(body).ok()?;
    let value = text.split('&').find_map(|field| field.strip_prefix("payload="))?;
    Some(percent_decoded(&value.replace('+', " ")))
}

#[derive(Deserialize)]
struct Payload {
    action: Option<String>,
    package: Option<Package>,
    registry_package: Option<Package>,
    sender: Option<Sender>,
}

#[derive(Deserialize)]
struct Sender {
    login: Option<String>,
}

#[derive(Deserialize)]
struct Package {
    name: Option<String>,
    namespace: Option<String>,
    ecosystem: Option<String>,
    package_type: Option<String>,
    updated_at: Option<String>,
    package_version: Option<Version>,
}

#[derive(Deserialize)]
struct Version {
    version: Option<String>,
    package_url: Option<String>,
    updated_at: Option<String>,
    container_metadata: Option<Metadata>,
}

#[derive(Deserialize)]
struct Metadata {
    tag: Option<Tag>,
    manifest: Option<Manifest>,
}

#[derive(Deserialize)]
struct Tag {
    name: Option<String>,
    digest: Option<String>,
}

#[derive(Deserialize)]
struct Manifest {
    digest: Option<String>,
    media_type: Option<String>,
}
