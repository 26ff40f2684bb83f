//! Harbor's project webhooks.
//!
//! | | |
//! | --- | --- |
//! | Format read from | goharbor/harbor `src/pkg/notifier/formats`, `src/controller/event/handler/webhook` |
//! | Formats | `Default` (`type`, `occur_at`, `event_data`) and CloudEvents 1.0, structured; told apart by what is there |
//! | Authentication | the configured text, verbatim, in `Authorization`; no signature |
//! | Handshake | none |
//! | Events | `PUSH_ARTIFACT`, `DELETE_ARTIFACT`, `TAG_RETENTION`; Harbor 1.x: `pushImage`, `deleteImage` |
//! | Tag | holds the digest where there is none; of several tags one is named |
//! | Dedup key | CloudEvents: `id`; Default: what happened to what, when |
//! | Never told | tags that are added or deleted; the delete of a repository. Retention names one of the artifacts it deleted |
//! | Sender's patience | 3 s; all but 2xx is repeated, 3 times in all. What we answer is written to Harbor's job log |

use http::header;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use crate::auth::{InAddress, SharedSecret};
use crate::cloud_event::CloudEvent;
use crate::config::Settings;
use crate::findings::{Findings, Left, Said, given, host_of, ignored, malformed, post, short};
use crate::prove::Proving;
use crate::providers::{MEBIBYTE, Provider, SecretUse};
use crate::{Action, Key, Reception, RegistryEvent, Request, Result, Source, SourceConfig};

const NAME: &str = "harbor";

const KEYS: &[Key] = &[];

pub(super) const PROVIDER: Provider = Provider {
    name: NAME,
    about: "Harbor's project webhooks, in either payload format",
    build: |config| Ok(Box::new(HarborSource::new(config)?)),
    keys: KEYS,
    secret: SecretUse::Beside,
    proving: Proving::Header("authorization"),
    body_limit: MEBIBYTE,
};

#[derive(Debug)]
struct HarborSource {
    host: Option<String>,
    secret: SharedSecret,
}

impl HarborSource {
    fn new(config: SourceConfig) -> Result<Self> {
        let mut settings = Settings::new(config, KEYS);
        let secret = SharedSecret::read(&mut settings, header::AUTHORIZATION, InAddress::Never);
        let host = settings.config.host.take();
        settings.finish()?;
        Ok(Self { host, secret })
    }

    fn decode(&self, body: &[u8]) -> Findings {
        match serde_json::from_slice::<Value>(body) {
            Ok(value) => self.decode_value(&value),
            Err(error) => Findings::none(Left::Malformed(format!("the body is no event: {error}"))),
        }
    }

    fn decode_value(&self, value: &Value) -> Findings {
        let read = if value.get("specversion").is_some() {
            CloudEvent::deserialize(value).map(|event| Message {
                key: event.key(),
                time: event.time,
                kind: event.kind,
                operator: value.get("operator").and_then(Value::as_str).map(str::to_owned),
                data: event.data,
            })
        } else {
            Default::deserialize(value).map(|event| Message {
                key: None,
                time: event
                    .occur_at
                    .and_then(|second| Timestamp::from_second(second).ok())
                    .map(|time| time.to_string()),
                kind: event.kind,
                operator: event.operator,
                data: event.event_data,
            })
        };
        let message = match read {
            Ok(message) => message,
            Err(error) => return Findings::none(Left::Malformed(error.to_string())),
        };
        let action = match message.kind.as_str() {
            "PUSH_ARTIFACT" | "pushImage" | "harbor.artifact.pushed" => Action::Pushed,
            "DELETE_ARTIFACT" | "deleteImage" | "harbor.artifact.deleted" => Action::Deleted,
            "TAG_RETENTION" | "harbor.tag_retention.finished" => return Findings::one(self.retention(&message)),
            other => return Findings::none(Left::Ignored(format!("`{}` changes no image", short(other)))),
        };
        let data = match Data::deserialize(&message.data) {
            Ok(data) => data,
            Err(error) => return Findings::none(Left::Malformed(error.to_string())),
        };
        let mut findings = Findings::default();
        for (index, resource) in data.resources.iter().enumerate() {
            findings.add(index, self.event(&message, action, &data.repository, resource));
        }
        findings
    }

    fn event(
        &self,
        message: &Message,
        action: Action,
        repository: &Repository,
        resource: &Resource,
    ) -> Result<RegistryEvent, Left> {
        let digest = given(resource.digest.as_deref());
        let tag = given(resource.tag.as_deref()).filter(|tag| Some(*tag) != digest);
        let claimed = resource.resource_url.as_deref().and_then(|url| url.split('/').next());
        let name = given(repository.repo_full_name.as_deref());
        let what = [name, tag, digest].map(Option::unwrap_or_default).join(" ");
        Said {
            host: host_of(self.host.as_deref(), [claimed]),
            tag,
            digest,
            time: message.time.as_deref(),
            actor: message.operator.as_deref(),
            ..Said::new(action, name, message.key(&what))
        }
        .event()
    }

    /// A run of a retention rule. It is told once for each repository, and names one of the tags that went.
    fn retention(&self, message: &Message) -> Result<RegistryEvent, Left> {
        let retention = message.data.get("retention").unwrap_or(&Value::Null);
        let deleted = Retention::deserialize(retention).map_err(|error| Left::Malformed(error.to_string()))?;
        let Some(artifact) = deleted.deleted_artifact.first() else { return ignored("retention deleted nothing") };
        let name = artifact.name_tag.as_deref().and_then(|name| name.split(':').next());
        let (Some(project), Some(name)) = (deleted.project_name.as_deref(), given(name)) else {
            return malformed("retention names no repository");
        };
        let repository = format!("{project}/{name}");
        Said {
            host: host_of(self.host.as_deref(), [deleted.harbor_hostname.as_deref()]),
            time: message.time.as_deref(),
            ..Said::new(Action::Refresh, Some(&repository), message.key(&repository))
        }
        .event()
    }
}

impl Source for HarborSource {
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

/// Either format.
struct Message {
    key: Option<String>,
    kind: String,
    time: Option<String>,
    operator: Option<String>,
    data: Value,
}

impl Message {
    fn key(&self, what: &str) -> String {
        match &self.key {
            // A delivery has one resource today, and may have more.
            Some(key) => format!("{key} {what}"),
            None => format!("{} {} {what}", self.kind, self.time.as_deref().unwrap_or_default()),
        }
    }
}

#[derive(Deserialize)]
struct Default {
    #[serde(rename = "type")]
    kind: String,
    occur_at: Option<i64>,
    operator: Option<String>,
    #[serde(default)]
    event_data: Value,
}

#[derive(Deserialize)]
struct Data {
    #[serde(default)]
    resources: Vec<Resource>,
    repository: Repository,
}

#[derive(Deserialize)]
struct Resource {
    digest: Option<String>,
    tag: Option<String>,
    resource_url: Option<String>,
}

#[derive(Deserialize)]
struct Repository {
    repo_full_name: Option<String>,
}

#[derive(Deserialize)]
struct Retention {
    project_name: Option<String>,
    harbor_hostname: Option<String>,
    #[serde(default)]
    deleted_artifact: Vec<DeletedArtifact>,
}

#[derive(Deserialize)]
struct DeletedArtifact {
    name_tag: Option<String>,
}
