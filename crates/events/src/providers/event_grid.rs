//! Azure Container Registry's events, as Event Grid hands them on.
//!
//! | | |
//! | --- | --- |
//! | Format read from | Microsoft's pages on the event schema of Container Registry, both schemas' validation, delivery and retry |
//! | Schemas | `EventGridSchema`, an array; CloudEvents 1.0, an object or an array; told apart by what is there |
//! | `data` | an object; a text with the object in it has been seen in both schemas |
//! | Authentication | a secret in the address, or in a header that the subscription sets; a token of Entra ID; no signature |
//! | Handshake | `SubscriptionValidationEvent`, answered 200 with its code; CloudEvents: `OPTIONS`, answered with the origin |
//! | Events | `Microsoft.ContainerRegistry.ImagePushed`, `.ImageDeleted`, `.ChartPushed`, `.ChartDeleted`; samples lack the prefix |
//! | Dedup key | `topic` or `source`, and `id` |
//! | Never told | the delete of a tag; the manifests of an index that was deleted |
//! | Sender's patience | 30 s; 400, 401, 403 and 413 are final, all other failures are repeated for 24 h, 30 times |

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderName, HeaderValue, Method, StatusCode, header};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::auth::{InAddress, Refusal, SharedSecret};
use crate::cloud_event::CloudEvent;
use crate::config::Settings;
use crate::findings::{Findings, Left, body_key, given, ignored, post, short};
use crate::grammar;
use crate::prove::Proving;
use crate::providers::acr::Notification;
use crate::providers::{MEBIBYTE, Provider, SecretUse, USER};
use crate::token::{Claim, Expected, Tokens};
use crate::{Answer, Document, Key, Reception, RegistryEvent, Request, Result, Source, SourceConfig, Verdict};

const NAME: &str = "event-grid";

const KEYS: &[Key] = &[
    USER,
    Key::optional("tenant", "Entra ID: the tenant whose tokens the subscription sends, a GUID"),
    Key::optional("audience", "Entra ID: the application that the tokens are meant for, its ID or ID URI"),
    Key::optional("application", "Entra ID: who sends, if not Event Grid's own application"),
    Key::optional("cloud", "Entra ID: `public` (default), `us-government` or `china`"),
    Key::optional("topics", "resource IDs of the registries that may speak, parted by commas; without it all may"),
];

pub(super) const PROVIDER: Provider = Provider {
    name: NAME,
    about: "Azure Container Registry through Event Grid, in either schema",
    build: |config| Ok(Box::new(EventGridSource::new(config)?)),
    keys: KEYS,
    secret: SecretUse::Address,
    proving: Proving::Query,
    // A batch is 1 MiB, and one event may go beyond it.
    body_limit: 2 * MEBIBYTE,
};

/// Where a cloud has its issuers and keys, and which application Event Grid is in it.
#[derive(Clone, Copy, Debug)]
struct Cloud {
    login: &'static str,
    sts: &'static str,
    event_grid: Option<&'static str>,
}

const PUBLIC: Cloud = Cloud {
    login: "login.microsoftonline.com",
    sts: "sts.windows.net",
    event_grid: Some("4962773b-9cdb-44cf-a8bf-237846a00ab7"),
};

const CLOUDS: [(&str, Cloud); 3] = [
    ("public", PUBLIC),
    (
        "us-government",
        Cloud {
            login: "login.microsoftonline.us",
            sts: "sts.windows.net",
            event_grid: Some("54316b56-3481-47f9-8f30-0300f5542a7b"),
        },
    ),
    ("china", Cloud { login: "login.partner.microsoftonline.cn", sts: "sts.chinacloudapi.cn", event_grid: None }),
];

#[derive(Debug)]
struct EventGridSource {
    host: Option<String>,
    /// At least one of the two.
    secret: Option<SharedSecret>,
    tokens: Option<Tokens>,
    topics: Vec<String>,
}

impl EventGridSource {
    fn new(config: SourceConfig) -> Result<Self> {
        let mut settings = Settings::new(config, KEYS);
        let tokens = tokens(&mut settings);
        let wants_secret = tokens.is_none() || !settings.config.secrets.is_empty() || settings.config.open;
        let secret = wants_secret.then(|| SharedSecret::read(&mut settings, header::AUTHORIZATION, InAddress::Too));
        let topics = settings.list("topics");
        let host = settings.config.host.take();
        settings.finish()?;
        Ok(Self { host, secret, tokens, topics })
    }

    fn check(&self, request: &Request<'_>) -> Result<(), Refusal> {
        self.secret.as_ref().map_or(Ok(()), |secret| secret.check(request))?;
        self.tokens.as_ref().map_or(Ok(()), |tokens| tokens.check(request.headers, request.now))
    }

    /// The handshake of CloudEvents. It carries the address's secret but no token, and does no more than say that
    /// this origin may send here; what it sends is judged by itself.
    fn options(&self, request: &Request<'_>) -> Reception {
        if let Err(refusal) = self.secret.as_ref().map_or(Ok(()), |secret| secret.check(request)) {
            return refusal.into_reception();
        }
        let header = |name: &str| request.headers.get(name).and_then(|value| value.to_str().ok());
        let origin = header("webhook-request-origin").filter(|origin| grammar::is_host(origin));
        let Some(origin) = origin.and_then(|origin| HeaderValue::from_str(origin).ok()) else {
            let answer = Answer::status(StatusCode::BAD_REQUEST);
            return Reception::new(Verdict::Rejected("the handshake names no origin".to_owned()), answer);
        };
        let rate = header("webhook-request-rate").filter(|rate| rate.parse::<u32>().is_ok()).unwrap_or("*");
        let answer = Answer::status(StatusCode::OK)
            .with_header(HeaderName::from_static("webhook-allowed-origin"), origin)
            .with_header(
                HeaderName::from_static("webhook-allowed-rate"),
                HeaderValue::from_str(rate).unwrap_or(HeaderValue::from_static("*")),
            )
            .with_header(header::ALLOW, HeaderValue::from_static("OPTIONS, POST"));
        Reception::new(Verdict::Handshake, answer)
    }

    fn decode(&self, body: &[u8]) -> Findings {
        match serde_json::from_slice(body) {
            Ok(Value::Array(values)) => {
                let mut findings = Findings::default();
                for (index, value) in values.iter().enumerate() {
                    findings.join(index, self.decode_value(value, body, index));
                }
                findings
            }
            Ok(value) => self.decode_value(&value, body, 0),
            Err(error) => Findings::none(Left::Malformed(format!("the body is no event: {error}"))),
        }
    }

    fn decode_value(&self, value: &Value, body: &[u8], index: usize) -> Findings {
        match Envelope::deserialize(value) {
            Ok(envelope) => self.findings(&envelope, body, index),
            Err(error) => Findings::none(Left::Malformed(error.to_string())),
        }
    }

    fn findings(&self, envelope: &Envelope, body: &[u8], index: usize) -> Findings {
        let topic = envelope.topic.as_deref().unwrap_or_default();
        let kind = envelope.kind.as_str();
        let is_validation = kind == "Microsoft.EventGrid.SubscriptionValidationEvent";
        // A connected registry's topic goes on after the registry's; a validation may name a wider scope.
        let is_own = |own: &String| is_within(topic, own) || (is_validation && is_within(own, topic));
        if !self.topics.is_empty() && !self.topics.iter().any(is_own) {
            return Findings::none(Left::Ignored(format!("topic {} is not one of this source's", short(topic))));
        }
        match kind {
            "Microsoft.EventGrid.SubscriptionValidationEvent" => return validation(envelope),
            "Microsoft.EventGrid.SubscriptionDeletedEvent" => {
                return Findings::none(Left::Ignored("the subscription was deleted".to_owned()));
            }
            _ => {}
        }
        Findings::one(self.event(envelope, kind, body, index))
    }

    fn event(&self, envelope: &Envelope, kind: &str, body: &[u8], index: usize) -> Result<RegistryEvent, Left> {
        let action = match kind.strip_prefix("Microsoft.ContainerRegistry.").unwrap_or(kind) {
            "ImagePushed" => "push",
            "ImageDeleted" => "delete",
            "ChartPushed" | "ChartDeleted" => return ignored("a chart is no image"),
            other => return ignored(format!("event type `{}` is not known", short(other))),
        };
        let notification = match &envelope.data {
            Value::String(text) => serde_json::from_str(text),
            data => Notification::deserialize(data),
        };
        let mut notification: Notification = notification.map_err(|error| Left::Malformed(error.to_string()))?;
        notification.action = Some(action.to_owned());
        notification.timestamp = envelope.time.clone().or(notification.timestamp);
        let topic = envelope.topic.as_deref().unwrap_or_default();
        let key = given(envelope.id.as_deref()).map(|id| format!("{topic}/{id}"));
        let registry = after(topic, "/registries/").and_then(|rest| rest.split('/').next());
        notification.event(self.host.as_deref(), registry, key.unwrap_or_else(|| body_key(body, index)))
    }
}

/// Whether a resource ID is `scope` or something below it; Azure writes them in any case.
fn is_within(id: &str, scope: &str) -> bool {
    let (id, scope) = (id.to_ascii_lowercase(), scope.to_ascii_lowercase());
    let rest = id.strip_prefix(scope.trim_end_matches('/'));
    !scope.is_empty() && rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// What follows `part`, which Azure writes in any case.
fn after<'a>(text: &'a str, part: &str) -> Option<&'a str> {
    let at = text.to_ascii_lowercase().find(part)?;
    text.get(at + part.len()..)
}

fn validation(envelope: &Envelope) -> Findings {
    let Some(code) = envelope.data.get("validationCode").and_then(Value::as_str) else {
        return Findings::none(Left::Malformed("the validation carries no code".to_owned()));
    };
    // Only 200 will do, and `validationUrl` is left alone: the synchronous answer is enough.
    let mut answer = Answer::status(StatusCode::OK)
        .with_header(header::CONTENT_TYPE, HeaderValue::from_static("application/json; charset=utf-8"));
    answer.body = json!({ "validationResponse": code }).to_string().into_bytes();
    Findings::handshake(answer)
}

fn tokens(settings: &mut Settings) -> Option<Tokens> {
    let cloud = settings.word("cloud", &CLOUDS, PUBLIC);
    let options = ["tenant", "audience", "application"].map(|name| settings.text(name));
    let [tenant, audience, application] = match options {
        [None, None, None] => return None,
        options => options,
    };
    let (Some(tenant), Some(audience)) = (tenant, audience) else {
        settings.problem("Entra ID takes the options `tenant` and `audience`, both");
        return None;
    };
    let is_guid = tenant.len() == 36 && tenant.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-');
    if !is_guid {
        settings.problem(format!("option `tenant` is `{}`: expected a GUID", short(&tenant)));
    }
    let Some(application) = application.or(cloud.event_grid.map(str::to_owned)) else {
        settings.problem("option `application` is missing: in this cloud Event Grid's is not known");
        return None;
    };
    let Cloud { login, sts, .. } = cloud;
    Some(Tokens::new(Expected {
        // Version 1 and version 2 of tokens; an application chooses.
        issuers: vec![format!("https://{sts}/{tenant}/"), format!("https://{login}/{tenant}/v2.0")],
        audiences: vec![audience],
        key_set: format!("https://{login}/{tenant}/discovery/v2.0/keys"),
        claims: vec![Claim { names: &["azp", "appid"], values: vec![application] }],
    }))
}

impl Source for EventGridSource {
    fn name(&self) -> &'static str {
        NAME
    }

    fn receive(&self, request: &Request<'_>) -> Reception {
        if request.method == Method::OPTIONS {
            return self.options(request);
        }
        post(request, self.check(request), || {
            if !request.headers.contains_key("ce-type") {
                return self.decode(request.body);
            }
            match CloudEvent::read(request.headers, request.body) {
                Ok(event) => self.findings(&event.into(), request.body, 0),
                Err(error) => Findings::none(Left::Malformed(format!("the body is no event: {error}"))),
            }
        })
    }

    fn receive_trusted(&self, body: &[u8], _now: Timestamp) -> Reception {
        // A storage queue holds the event in base64.
        let plain = matches!(body.trim_ascii_start().first(), Some(b'{' | b'['));
        let decoded = if plain { None } else { STANDARD.decode(body.trim_ascii()).ok() };
        self.decode(decoded.as_deref().unwrap_or(body)).into_reception()
    }

    fn learn(&self, document: &Document, bytes: &[u8], now: Timestamp) -> Result<(), String> {
        self.tokens.as_ref().map_or(Ok(()), |tokens| tokens.learn(document, bytes, now))
    }
}

/// Either schema's envelope.
#[derive(Deserialize)]
struct Envelope {
    id: Option<String>,
    #[serde(alias = "source")]
    topic: Option<String>,
    #[serde(rename = "eventType", alias = "type")]
    kind: String,
    #[serde(rename = "eventTime", alias = "time")]
    time: Option<String>,
    #[serde(default)]
    data: Value,
}

impl From<CloudEvent> for Envelope {
    fn from(event: CloudEvent) -> Self {
        Self { id: event.id, topic: event.source, kind: event.kind, time: event.time, data: event.data }
    }
}
