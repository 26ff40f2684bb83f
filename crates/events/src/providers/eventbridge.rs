//! Amazon ECR's events, as EventBridge hands them on.
//!
//! | | |
//! | --- | --- |
//! | Format read from | the EventBridge reference of Amazon ECR, its user guide, the CloudTrail record reference |
//! | Ways | an API destination calls us; a queue (SQS) holds the event, or an SNS notification around it; a function is given it |
//! | Authentication | the API destination's connection: Basic, a header with an API key, or OAuth (a bearer token); no signature |
//! | Handshake | none |
//! | Envelope | one event, an object; `id` is the same on every repetition |
//! | Events | `ECR Image Action`, `ECR Referrer Action`, `ECR Replication Action`, `ECR Pull Through Cache Action`; CloudTrail's `DeleteRepository` and `PolicyExecutionEvent` |
//! | Registry | not in the event: account and region make its host |
//! | Dedup key | `id`; CloudTrail `eventID`, for it may come by two rules |
//! | Never told | repository deletes, unless a trail logs them |
//! | Sender's patience | 5 s; 429, 5xx and silence are repeated for 24 h; all else is final |

use http::header;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use crate::auth::{InAddress, SharedSecret};
use crate::cloudformation;
use crate::config::Settings;
use crate::findings::{Findings, Left, Said, given, ignored, malformed, post, short};
use crate::grammar;
use crate::prove::Proving;
use crate::providers::sns::Envelope as SnsEnvelope;
use crate::providers::{MEBIBYTE, Provider, SecretUse, USER};
use crate::token::{Expected, Tokens};
use crate::{Action, Document, Key, Reception, RegistryEvent, Request, Result, Source, SourceConfig};

const NAME: &str = "eventbridge";

const KEYS: &[Key] = &[
    USER,
    Key::optional("issuer", "OAuth: who issues the tokens of the API destination's connection"),
    Key::optional("audience", "OAuth: for whom those tokens are meant"),
    Key::optional("key-set", "OAuth: https address of the issuer's keys (jwks_uri)"),
];

pub(super) const PROVIDER: Provider = Provider {
    name: NAME,
    about: "Amazon ECR through EventBridge: an API destination, or a queue or function behind a rule",
    build: |config| Ok(Box::new(EventBridgeSource::new(config)?)),
    keys: KEYS,
    secret: SecretUse::Beside,
    proving: Proving::Header("authorization"),
    // CloudTrail's records of pushes carry the manifest twice.
    body_limit: MEBIBYTE,
};

#[derive(Debug)]
struct EventBridgeSource {
    host: Option<String>,
    proof: Proof,
}

#[derive(Debug)]
enum Proof {
    Secret(SharedSecret),
    Token(Tokens),
}

impl EventBridgeSource {
    fn new(config: SourceConfig) -> Result<Self> {
        let mut settings = Settings::new(config, KEYS);
        let oauth = ["issuer", "audience", "key-set"].map(|name| settings.text(name));
        let proof = match oauth {
            [None, None, None] => {
                Proof::Secret(SharedSecret::read(&mut settings, header::AUTHORIZATION, InAddress::Never))
            }
            [issuer, audience, key_set] => {
                if !settings.config.secrets.is_empty() || settings.config.open {
                    settings.problem("it has OAuth options and a secret, or is open; choose one");
                }
                if issuer.is_none() || audience.is_none() || key_set.is_none() {
                    settings.problem("OAuth takes the options `issuer`, `audience` and `key-set`, all three");
                }
                let key_set = key_set.unwrap_or_default();
                if !key_set.is_empty() && !is_https(&key_set) {
                    settings.problem(format!("option `key-set` is `{}`: expected an https address", short(&key_set)));
                }
                Proof::Token(Tokens::new(Expected {
                    issuers: issuer.into_iter().collect(),
                    audiences: audience.into_iter().collect(),
                    key_set,
                    claims: Vec::new(),
                }))
            }
        };
        let host = settings.config.host.take();
        settings.finish()?;
        Ok(Self { host, proof })
    }
}

/// An address that can be fetched as it stands: https, a host, no credentials.
fn is_https(url: &str) -> bool {
    let host = url.strip_prefix("https://").and_then(|rest| rest.split(['/', '?', '#']).next());
    host.is_some_and(grammar::is_host) && url.bytes().all(|byte| byte.is_ascii_graphic())
}

impl Source for EventBridgeSource {
    fn name(&self) -> &'static str {
        NAME
    }

    fn receive(&self, request: &Request<'_>) -> Reception {
        let proof = match &self.proof {
            Proof::Secret(secret) => secret.check(request),
            Proof::Token(tokens) => tokens.check(request.headers, request.now),
        };
        post(request, proof, || decode(self.host.as_deref(), request.body))
    }

    fn receive_trusted(&self, body: &[u8], _now: Timestamp) -> Reception {
        decode(self.host.as_deref(), body).into_reception()
    }

    fn learn(&self, document: &Document, bytes: &[u8], now: Timestamp) -> Result<(), String> {
        match &self.proof {
            Proof::Token(tokens) => tokens.learn(document, bytes, now),
            Proof::Secret(_) => Ok(()),
        }
    }
}

/// Reads a body: an event, an SNS notification around one, or an array of such things (EventBridge Pipes).
pub(super) fn decode(host: Option<&str>, body: &[u8]) -> Findings {
    match serde_json::from_slice(body) {
        Ok(Value::Array(values)) => {
            let mut findings = Findings::default();
            for (index, value) in values.iter().enumerate() {
                findings.join(index, decode_value(host, value));
            }
            findings
        }
        Ok(value) => decode_value(host, &value),
        Err(error) => Findings::none(Left::Malformed(format!("the body is no event: {error}"))),
    }
}

fn decode_value(host: Option<&str>, value: &Value) -> Findings {
    let read = |error: serde_json::Error| Findings::none(Left::Malformed(error.to_string()));
    let has = |member: &str| value.get(member).is_some();
    if has("detail-type") {
        Event::deserialize(value).map_or_else(read, |event| event.findings(host))
    } else if has("TopicArn") && has("Message") {
        SnsEnvelope::deserialize(value).map_or_else(read, |envelope| notification(host, &envelope))
    } else if has("specversion") {
        Transformed::deserialize(value).map_or_else(read, |event| Findings::one(event.event(host)))
    } else if has("eventSource") && has("eventName") {
        Trail::deserialize(value).map_or_else(read, |trail| trail.findings(host))
    } else {
        Findings::none(Left::Malformed("the body is no event: it has no `detail-type`".to_owned()))
    }
}

/// Reads what an SNS notification carries: an event, or word of a CloudFormation stack.
pub(super) fn notification(host: Option<&str>, envelope: &SnsEnvelope) -> Findings {
    if envelope.message.trim_start().starts_with('{') {
        // Once: what is nested in there is an event, and not another notification.
        return match serde_json::from_str::<Value>(&envelope.message) {
            Ok(value) if value.get("TopicArn").is_none() => decode_value(host, &value),
            _ => Findings::none(Left::Malformed("the notification's message is no event".to_owned())),
        };
    }
    match cloudformation::from_notification(&envelope.message, &envelope.message_id) {
        Some(Ok(notice)) => Findings::setup(notice),
        Some(Err(left)) => Findings::none(left),
        None => Findings::none(Left::Ignored("the notification's message is no event".to_owned())),
    }
}

#[derive(Deserialize)]
struct Event {
    id: Option<String>,
    #[serde(rename = "detail-type")]
    detail_type: String,
    source: Option<String>,
    account: Option<String>,
    region: Option<String>,
    time: Option<String>,
    detail: Value,
}

impl Event {
    fn findings(&self, host: Option<&str>) -> Findings {
        let read = |error: serde_json::Error| Findings::none(Left::Malformed(error.to_string()));
        match (self.source.as_deref(), self.detail_type.as_str()) {
            (Some("aws.cloudformation"), "CloudFormation Stack Status Change") => {
                match cloudformation::from_event(&self.detail, self.time.as_deref(), self.id.as_deref()) {
                    Ok(notice) => Findings::setup(notice),
                    Err(left) => Findings::none(left),
                }
            }
            (_, "AWS API Call via CloudTrail" | "AWS Service Event via CloudTrail") => {
                Trail::deserialize(&self.detail).map_or_else(read, |trail| trail.findings(host))
            }
            (
                _,
                "ECR Image Action" | "ECR Referrer Action" | "ECR Replication Action" | "ECR Pull Through Cache Action",
            ) => match Detail::deserialize(&self.detail) {
                Ok(detail) => Findings::one(self.event(&detail, host)),
                Err(error) => read(error),
            },
            (_, other) => Findings::none(Left::Ignored(format!("`{}` changes no image", short(other)))),
        }
    }

    fn event(&self, detail: &Detail, host: Option<&str>) -> Result<RegistryEvent, Left> {
        let outcome = detail.result.as_deref().or(detail.sync_status.as_deref()).unwrap_or("SUCCESS");
        if outcome != "SUCCESS" {
            return ignored(format!("it did not come off: {}", short(outcome)));
        }
        // Events of the pull through cache have no action; what they announce is an image that was cached.
        let action = match detail.action.as_deref() {
            Some("PUSH" | "REPLICATE") | None => Action::Pushed,
            Some("DELETE") => Action::Deleted,
            Some("UPDATE_STORAGE_CLASS") if detail.storage_class.as_deref() == Some("ARCHIVE") => {
                return ignored("the image was archived: it cannot be pulled, and has not changed");
            }
            Some("UPDATE_STORAGE_CLASS") => Action::Refresh,
            Some(other) => return ignored(format!("action `{}` is not known", short(other))),
        };
        if let Some(artifact) = given(detail.artifact_media_type.as_deref())
            && action != Action::Deleted
            && !IMAGES.contains(&artifact)
        {
            return ignored(format!("`{}` is no image", short(artifact)));
        }
        let Some(key) = given(self.id.as_deref()) else { return malformed("it has no id") };
        Said {
            host: ecr_host(host, self.account.as_deref(), self.region.as_deref())?,
            tag: detail.tag.as_deref(),
            digest: detail.digest.as_deref(),
            media_type: detail.manifest_media_type.as_deref(),
            time: self.time.as_deref(),
            ..Said::new(action, detail.repository.as_deref(), key)
        }
        .event()
    }
}

/// What the configuration of an image's manifest may be. Signatures, bills of material and charts have others.
const IMAGES: [&str; 2] =
    ["application/vnd.oci.image.config.v1+json", "application/vnd.docker.container.image.v1+json"];

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Detail {
    #[serde(rename = "action-type")]
    action: Option<String>,
    result: Option<String>,
    sync_status: Option<String>,
    #[serde(rename = "repository-name")]
    repository: Option<String>,
    #[serde(rename = "image-digest")]
    digest: Option<String>,
    #[serde(rename = "image-tag")]
    tag: Option<String>,
    manifest_media_type: Option<String>,
    artifact_media_type: Option<String>,
    #[serde(rename = "target-storage-class")]
    storage_class: Option<String>,
}

/// A record of CloudTrail.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Trail {
    event_source: Option<String>,
    event_name: Option<String>,
    event_time: Option<String>,
    #[serde(rename = "eventID")]
    event_id: Option<String>,
    aws_region: Option<String>,
    error_code: Option<String>,
    recipient_account_id: Option<String>,
    request_parameters: Option<Parameters>,
    #[serde(default)]
    resources: Vec<Resource>,
    service_event_details: Option<Expiry>,
    user_identity: Option<Identity>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Parameters {
    repository_name: Option<String>,
    registry_id: Option<String>,
}

#[derive(Deserialize)]
struct Resource {
    #[serde(rename = "ARN")]
    arn: Option<String>,
    #[serde(rename = "accountId")]
    account: Option<String>,
}

#[derive(Deserialize)]
struct Identity {
    #[serde(rename = "userName")]
    user: Option<String>,
}

/// What a lifecycle policy expired.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Expiry {
    repository_name: Option<String>,
    #[serde(default, rename = "lifecycleEventImageActions")]
    actions: Vec<Expired>,
}

#[derive(Deserialize)]
struct Expired {
    #[serde(rename = "lifecycleEventImage")]
    image: ExpiredImage,
}

#[derive(Deserialize)]
struct ExpiredImage {
    digest: Option<String>,
}

impl Trail {
    fn findings(&self, host: Option<&str>) -> Findings {
        if self.event_source.as_deref() != Some("ecr.amazonaws.com") {
            return Findings::none(Left::Ignored("the call was not to Amazon ECR".to_owned()));
        }
        if let Some(code) = &self.error_code {
            return Findings::none(Left::Ignored(format!("the call did not come off: {}", short(code))));
        }
        match (self.event_name.as_deref().unwrap_or_default(), &self.service_event_details) {
            ("DeleteRepository", _) => Findings::one(self.repository_deleted(host)),
            ("PolicyExecutionEvent", Some(expiry)) => {
                let mut findings = Findings::default();
                for (index, expired) in expiry.actions.iter().enumerate() {
                    findings.add(index, self.expired(host, expiry, &expired.image));
                }
                findings
            }
            // ECR's own events tell pushes and deletes.
            (other, _) => Findings::none(Left::Ignored(format!("call `{}` is of no interest here", short(other)))),
        }
    }

    fn repository_deleted(&self, host: Option<&str>) -> Result<RegistryEvent, Left> {
        let parameters = self.request_parameters.as_ref();
        let named = parameters.and_then(|parameters| given(parameters.repository_name.as_deref()));
        let account = parameters.and_then(|parameters| given(parameters.registry_id.as_deref()));
        self.said(host, Action::RepositoryDeleted, account, named.or_else(|| self.resource()), self.key()?)?.event()
    }

    fn expired(&self, host: Option<&str>, expiry: &Expiry, image: &ExpiredImage) -> Result<RegistryEvent, Left> {
        let named = given(expiry.repository_name.as_deref()).or_else(|| self.resource());
        let Some(digest) = given(image.digest.as_deref()) else { return malformed("it names no image") };
        let said = self.said(host, Action::Deleted, None, named, format!("{}/{digest}", self.key()?))?;
        Said { digest: Some(digest), ..said }.event()
    }

    fn said<'a>(
        &'a self,
        host: Option<&str>,
        action: Action,
        account: Option<&str>,
        repository: Option<&'a str>,
        key: String,
    ) -> Result<Said<'a>, Left> {
        let owner = self.resources.first().and_then(|resource| given(resource.account.as_deref()));
        let account = account.or(owner).or(self.recipient_account_id.as_deref());
        Ok(Said {
            host: ecr_host(host, account, self.aws_region.as_deref())?,
            time: self.event_time.as_deref(),
            actor: self.user_identity.as_ref().and_then(|identity| identity.user.as_deref()),
            ..Said::new(action, repository, key)
        })
    }

    fn key(&self) -> Result<String, Left> {
        given(self.event_id.as_deref()).map(str::to_owned).ok_or(Left::Malformed("it has no id".to_owned()))
    }

    /// The repository of `arn:aws:ecr:REGION:ACCOUNT:repository/NAME`.
    fn resource(&self) -> Option<&str> {
        self.resources.first()?.arn.as_deref()?.split_once(":repository/").map(|(_, name)| name)
    }
}

/// The CloudEvent that a published input transformer makes of a push. A variable that finds nothing leaves an
/// empty text or its own placeholder.
#[derive(Deserialize)]
struct Transformed {
    id: Option<String>,
    r#type: Option<String>,
    source: Option<String>,
    time: Option<String>,
    data: Option<TransformedData>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct TransformedData {
    image_digest: Option<String>,
    image_tag: Option<String>,
}

impl Transformed {
    fn event(&self, host: Option<&str>) -> Result<RegistryEvent, Left> {
        let action = match self.r#type.as_deref() {
            Some("com.amazon.ecr.image.push") => Action::Pushed,
            other => return ignored(format!("type `{}` is not known", short(other.unwrap_or_default()))),
        };
        let filled = |text: &Option<String>| text.clone().filter(|text| !text.is_empty() && !text.contains('<'));
        // urn:aws:ecr:REGION:ACCOUNT:repository/NAME
        let source = self.source.as_deref().unwrap_or_default();
        let mut parts = source.splitn(6, ':').skip(3);
        let (region, account, resource) = (parts.next(), parts.next(), parts.next());
        let repository = resource.and_then(|resource| resource.strip_prefix("repository/"));
        let Some(key) = filled(&self.id) else { return malformed("it has no id") };
        let data = self.data.as_ref();
        let tag = data.and_then(|data| filled(&data.image_tag));
        let digest = data.and_then(|data| filled(&data.image_digest));
        Said {
            host: ecr_host(host, account, region)?,
            tag: tag.as_deref(),
            digest: digest.as_deref(),
            time: self.time.as_deref(),
            ..Said::new(action, repository, key)
        }
        .event()
    }
}

/// The registry of an account in a region. A configured host wins, unless it is another account's or region's
/// registry: one bus may carry the events of many.
fn ecr_host(configured: Option<&str>, account: Option<&str>, region: Option<&str>) -> Result<Option<String>, Left> {
    let account = account.filter(|account| account.len() == 12 && account.bytes().all(|byte| byte.is_ascii_digit()));
    let is_region =
        |region: &&str| region.len() >= 3 && region.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    let (Some(account), Some(region)) = (account, region.filter(is_region)) else {
        return Ok(configured.map(str::to_owned));
    };
    if let Some(configured) = configured {
        // ACCOUNT.dkr.ecr.REGION.amazonaws.com, ….dkr.ecr-fips.…, ACCOUNT.dkr-ecr.REGION.on.aws
        let is_ecr = configured.contains(".dkr.ecr") || configured.contains(".dkr-ecr.");
        let is_same = configured.starts_with(&format!("{account}.")) && configured.contains(&format!(".{region}."));
        if is_ecr && !is_same {
            return ignored(format!(
                "it is about account {account} in {region}, and this source speaks for {configured}"
            ));
        }
        return Ok(Some(configured.to_owned()));
    }
    let suffix = match region {
        region if region.starts_with("cn-") => "amazonaws.com.cn",
        // Partitions whose hosts are not public: they must be configured.
        region if region.starts_with("us-iso") || region.starts_with("eu-iso") => return Ok(None),
        _ => "amazonaws.com",
    };
    Ok(Some(format!("{account}.dkr.ecr.{region}.{suffix}")))
}
