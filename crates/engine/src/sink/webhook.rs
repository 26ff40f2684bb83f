//! Messages to an HTTP endpoint in the form of [Standard Webhooks](https://www.standardwebhooks.com).

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use hmac::{Hmac, KeyInit as _, Mac as _};
use http::{HeaderName, HeaderValue, Method};
use jiff::Timestamp;
use serde::Serialize;
use serde_json::value::RawValue;
use sha2::Sha256;
use supercargo_registry::index::{BaseImage, Distro, Platform};
use supercargo_registry::{Outbound, OutboundConfig};
use url::Url;

use super::http_sink::{Call, is_success, refusal, send, shown};
use super::{Consignment, DocumentFormat, News, Order, Outcome, Preview, Sink, SinkCapabilities};
use crate::{Error, ErrorKind, Result};

static ID: HeaderName = HeaderName::from_static("webhook-id");
static TIMESTAMP: HeaderName = HeaderName::from_static("webhook-timestamp");
static SIGNATURE: HeaderName = HeaderName::from_static("webhook-signature");

/// How a webhook is called.
#[derive(Clone)]
pub struct WebhookConfig {
    /// The endpoint.
    pub url: Url,
    /// What messages are signed with: by each, so that a receiver may still know the old one. None: not signed.
    pub secrets: Vec<WebhookSecret>,
    /// Whether messages carry the whole document.
    pub document: WebhookDocument,
    /// The way there.
    pub transport: OutboundConfig,
}

/// What a message says of an image.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WebhookDocument {
    /// What it is, in under a kilobyte; Standard Webhooks advises less than 20.
    #[default]
    None,
    /// The document, too.
    Whole(DocumentFormat),
}

/// A key that messages are signed with.
#[derive(Clone, PartialEq, Eq)]
pub struct WebhookSecret(Vec<u8>);

impl WebhookSecret {
    /// A key as Standard Webhooks writes it, `whsec_` and base64; anything else is the key itself.
    ///
    /// # Errors
    ///
    /// What is wrong with it. The specification asks for 24 to 64 bytes.
    pub fn parse(text: &str) -> Result<Self, String> {
        let key = match text.strip_prefix("whsec_") {
            Some(encoded) => STANDARD.decode(encoded).map_err(|_| "it is not base64 after whsec_".to_owned())?,
            None => text.as_bytes().to_vec(),
        };
        if (24..=64).contains(&key.len()) {
            Ok(Self(key))
        } else {
            Err(format!("it has {} bytes, and Standard Webhooks asks for 24 to 64", key.len()))
        }
    }

    fn sign(&self, id: &str, timestamp: i64, body: &[u8]) -> String {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).expect("HMAC takes keys of any length");
        mac.update(format!("{id}.{timestamp}.").as_bytes());
        mac.update(body);
        format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
    }
}

impl fmt::Debug for WebhookSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

/// A webhook.
pub struct WebhookSink {
    client: Outbound,
    url: Url,
    secrets: Vec<WebhookSecret>,
    document: WebhookDocument,
}

impl fmt::Debug for WebhookConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebhookConfig")
            .field("url", &shown(&self.url))
            .field("secrets", &self.secrets)
            .field("document", &self.document)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for WebhookSink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebhookSink").field("url", &shown(&self.url)).finish_non_exhaustive()
    }
}

impl WebhookSink {
    /// A webhook. Nothing is sent yet.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Configuration`] if it must not be called at that address.
    pub fn new(config: WebhookConfig) -> Result<Self> {
        let client = super::http_client(&config.transport, &config.url)?;
        Ok(Self { client, url: config.url, secrets: config.secrets, document: config.document })
    }

    fn message(&self, consignment: &Consignment) -> Result<Bytes> {
        let place = Place {
            registry: &consignment.repository.registry,
            repository: &consignment.repository.repository,
            digest: consignment.digest.as_ref(),
        };
        let body = match &consignment.news {
            News::Indexed(image) => {
                let metadata = &image.metadata;
                let details = metadata.image();
                let document = match self.document {
                    WebhookDocument::None => None,
                    WebhookDocument::Whole(format) => Some(raw(&format.write(metadata)?)?),
                };
                encode(&Message {
                    kind: "image.indexed",
                    timestamp: image.indexed_at,
                    data: Indexed {
                        place,
                        tags: &image.tags,
                        platform: details.map(|details| &details.platform),
                        distro: metadata.distro.as_ref(),
                        base: details.and_then(|details| details.base.as_ref()),
                        created: details.and_then(|details| details.config.created.as_deref()),
                        size: details.map_or(0, |details| details.size),
                        layers: details.map_or(0, |details| details.layers.len()),
                        packages: metadata.package_count(),
                        indexer: &metadata.indexer,
                        format: document.as_ref().and(match self.document {
                            WebhookDocument::None => None,
                            WebhookDocument::Whole(format) => Some(format.as_str()),
                        }),
                        document,
                    },
                })
            }
            News::Gone(gone) => {
                let tags = gone.tag.as_ref().map_or(gone.tags.as_slice(), std::slice::from_ref);
                let kind = if gone.tag.is_some() { "tag.gone" } else { "image.gone" };
                encode(&Message { kind, timestamp: consignment.asked_at, data: Went { place, tags } })
            }
        };
        body.map_err(|error| Error::new(ErrorKind::Rejected, "write the message").with_source(error))
    }

    fn signature(&self, id: &str, timestamp: i64, body: &[u8]) -> Option<String> {
        let signatures: Vec<String> = self.secrets.iter().map(|secret| secret.sign(id, timestamp, body)).collect();
        (!signatures.is_empty()).then(|| signatures.join(" "))
    }
}

#[async_trait::async_trait]
impl Sink for WebhookSink {
    fn kind(&self) -> &'static str {
        "webhook"
    }

    fn capabilities(&self) -> SinkCapabilities {
        SinkCapabilities { gone: true, order: Order::Image }
    }

    async fn deliver(&self, consignment: &Consignment) -> Result<Outcome> {
        let body = self.message(consignment)?;
        let timestamp = Timestamp::now().as_second();
        let mut call = Call::new(Method::POST, self.url.clone())
            .header(ID.clone(), header(&consignment.id)?)
            .header(TIMESTAMP.clone(), timestamp.into());
        if let Some(signature) = self.signature(&consignment.id, timestamp, &body) {
            call = call.header(SIGNATURE.clone(), header(&signature)?);
        }
        let answer = send(&self.client, call.body(body)).await?;
        if is_success(answer.status()) {
            return Ok(Outcome::Delivered);
        }
        Err(refusal(&format!("call {}", shown(&self.url)), &answer))
    }

    fn preview(&self, consignment: &Consignment) -> Result<Preview> {
        Ok(Preview { target: format!("POST {}", shown(&self.url)), body: self.message(consignment)? })
    }
}

fn header(text: &str) -> Result<HeaderValue> {
    HeaderValue::from_str(text)
        .map_err(|error| Error::new(ErrorKind::Rejected, "write the headers of the message").with_source(error))
}

fn encode(message: &impl Serialize) -> serde_json::Result<Bytes> {
    serde_json::to_vec(message).map(Bytes::from)
}

fn raw(document: &[u8]) -> Result<Box<RawValue>> {
    serde_json::from_slice(document)
        .map_err(|error| Error::new(ErrorKind::Rejected, "put the document into the message").with_source(error))
}

/// The payload that Standard Webhooks recommends: a type, a time, the data.
#[derive(Serialize)]
struct Message<T> {
    #[serde(rename = "type")]
    kind: &'static str,
    timestamp: Timestamp,
    data: T,
}

#[derive(Serialize)]
struct Place<'a> {
    registry: &'a str,
    repository: &'a str,
    digest: &'a str,
}

#[derive(Serialize)]
struct Indexed<'a> {
    #[serde(flatten)]
    place: Place<'a>,
    tags: &'a [String],
    platform: Option<&'a Platform>,
    distro: Option<&'a Distro>,
    base: Option<&'a BaseImage>,
    created: Option<&'a str>,
    size: u64,
    layers: usize,
    packages: usize,
    indexer: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    format: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    document: Option<Box<RawValue>>,
}

#[derive(Serialize)]
struct Went<'a> {
    #[serde(flatten)]
    place: Place<'a>,
    tags: &'a [String],
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_specifications_example_is_signed_as_it_says() {
        // standard-webhooks, spec/standard-webhooks.md and the vectors of its libraries.
        let secret = WebhookSecret::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let signature = secret.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, br#"{"test": 2432232314}"#);
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn keys_of_the_right_length() {
        assert!(WebhookSecret::parse("whsec_short").is_err());
        assert!(WebhookSecret::parse("whsec_!!!").is_err());
        assert!(WebhookSecret::parse("too-short").is_err());
        let secret = WebhookSecret::parse("twenty-four-bytes-at-least").unwrap();
        assert_eq!(format!("{secret:?}"), "[redacted]");
    }
}
