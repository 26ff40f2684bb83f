//! Notifications of Amazon SNS: ECR's events behind a rule with a topic, and word of a CloudFormation stack.
//!
//! | | |
//! | --- | --- |
//! | Format read from | the developer guide of Amazon SNS: message formats, signatures, delivery retries |
//! | Media type | `text/plain; charset=UTF-8`, though the body is JSON |
//! | Authentication | `Signature`, RSA with SHA-1 (`SignatureVersion` 1, the default) or SHA-256 (2), by a certificate at `SigningCertURL` |
//! | What that proves | that some topic of Amazon's sent it, anybody's; so only listed topics count |
//! | Handshake | `SubscriptionConfirmation`: an address with a token is to be asked for, once |
//! | Raw delivery | the bare message without a signature (`x-amz-sns-rawdelivery`): only with a secret in the address |
//! | Dedup key | the event's own `id`, for it may come by two ways; else `MessageId` |
//! | Never told | what `eventbridge` is never told |
//! | Sender's patience | 15 s; 5xx and silence are repeated 3 times by default, for an hour at most; 4xx is final |

use http::header;
use jiff::Timestamp;
use serde::Deserialize;

use crate::auth::{InAddress, Refusal, SharedSecret};
use crate::certificate::{Certificate, Hash};
use crate::config::Settings;
use crate::findings::{Findings, Left, post, short};
use crate::prove::Proving;
use crate::providers::{MEBIBYTE, Provider, SecretUse, USER, eventbridge};
use crate::shelf::Shelf;
use crate::{Answer, Document, DocumentKind, Key, Reception, Request, Result, Source, SourceConfig, Verdict};

const NAME: &str = "sns";

const KEYS: &[Key] =
    &[Key::required("topics", "ARNs of the topics that may speak, parted by commas; all others are refused"), USER];

pub(super) const PROVIDER: Provider = Provider {
    name: NAME,
    about: "Amazon ECR through EventBridge and an SNS topic; word of CloudFormation stacks",
    build: |config| Ok(Box::new(SnsSource::new(config)?)),
    keys: KEYS,
    secret: SecretUse::None,
    proving: Proving::NotOurs,
    body_limit: MEBIBYTE,
};

/// A message is repeated for an hour at most; clocks differ by so much besides (seconds).
const AGE: i64 = 3600 + 900;
const AHEAD: i64 = 900;
/// Signing certificates that are kept. A region has one at a time, and each has an address of its own.
const CERTIFICATES: usize = 8;

#[derive(Debug)]
struct SnsSource {
    host: Option<String>,
    topics: Vec<Topic>,
    /// Beside the signature, where one is configured; instead of it for raw deliveries.
    secret: Option<SharedSecret>,
    certificates: Shelf<Certificate>,
}

/// `arn:PARTITION:sns:REGION:ACCOUNT:NAME`.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Topic {
    arn: String,
    /// Where Amazon serves the certificates and confirmations of the topic's region.
    host: String,
}

impl Topic {
    fn parse(arn: &str) -> Option<Self> {
        let parts: Vec<&str> = arn.split(':').collect();
        let [prefix, partition, service, region, account, name] = parts[..] else { return None };
        let word = |text: &str| {
            !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
        };
        // The region becomes part of a host: no dots.
        let is_region = region.len() >= 3
            && region.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
        let suffix = match partition {
            "aws" | "aws-us-gov" => "amazonaws.com",
            "aws-cn" => "amazonaws.com.cn",
            _ => return None,
        };
        let is_topic = prefix == "arn" && service == "sns" && is_region && word(name) && word(account);
        is_topic.then(|| Self { arn: arn.to_owned(), host: format!("sns.{region}.{suffix}") })
    }

    /// Whether `url` is where this topic's region serves its certificates: one file, no query.
    fn has_certificate(&self, url: &str) -> bool {
        let file = url.strip_prefix("https://").and_then(|rest| rest.strip_prefix(self.host.as_str()));
        let name = file.and_then(|file| file.strip_prefix('/')).and_then(|file| file.strip_suffix(".pem"));
        name.is_some_and(|name| {
            (1..=128).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        })
    }

    /// The address that confirms a subscription. It is made here rather than taken from the message: nothing in it
    /// but the token is anybody else's.
    fn confirmation(&self, token: &str) -> Option<Document> {
        let is_token = (1..=1024).contains(&token.len()) && token.bytes().all(|byte| byte.is_ascii_alphanumeric());
        is_token.then(|| Document {
            url: format!("https://{}/?Action=ConfirmSubscription&TopicArn={}&Token={token}", self.host, self.arn),
            kind: DocumentKind::Confirmation,
        })
    }
}

impl SnsSource {
    fn new(config: SourceConfig) -> Result<Self> {
        let mut settings = Settings::new(config, KEYS);
        let mut topics = Vec::new();
        for arn in settings.list("topics") {
            match Topic::parse(&arn) {
                Some(topic) => topics.push(topic),
                None => settings.problem(format!("option `topics`: `{}` is no topic's ARN", short(&arn))),
            }
        }
        if settings.config.open {
            settings.problem("it cannot be open: SNS signs what it sends");
        }
        let secret = (!settings.config.secrets.is_empty())
            .then(|| SharedSecret::read(&mut settings, header::AUTHORIZATION, InAddress::Too));
        let host = settings.config.host.take();
        settings.finish()?;
        Ok(Self { host, topics, secret, certificates: Shelf::new(CERTIFICATES) })
    }

    /// The listed topic with that ARN.
    fn topic(&self, arn: &str) -> Result<&Topic, Refusal> {
        let listed = self.topics.iter().find(|topic| topic.arn == arn);
        listed.ok_or_else(|| Refusal::Unproven("its topic is not one of this source's".to_owned()))
    }

    fn check(&self, request: &Request<'_>, topic: &Topic, envelope: &Envelope) -> Result<(), Refusal> {
        if let Some(secret) = &self.secret {
            secret.check(request)?;
        }
        let unproven = |reason: &str| Refusal::Unproven(reason.to_owned());
        let hash = match envelope.signature_version.as_deref() {
            Some("1") => Hash::Sha1,
            Some("2") => Hash::Sha256,
            _ => return Err(unproven("its signature is of no known version")),
        };
        let Some(url) = envelope.certificate.as_deref().filter(|url| topic.has_certificate(url)) else {
            return Err(unproven("its certificate is not where the topic's region has its certificates"));
        };
        let signature = envelope.signature.as_deref().and_then(|text| {
            use base64::Engine as _;
            base64::engine::general_purpose::STANDARD.decode(text).ok()
        });
        let Some(signature) = signature else { return Err(unproven("it carries no signature")) };
        let sent: Option<Timestamp> = envelope.timestamp.as_deref().and_then(|text| text.parse().ok());
        let age = sent.map(|sent| request.now.as_second() - sent.as_second());
        if !age.is_some_and(|age| (-AHEAD..=AGE).contains(&age)) {
            return Err(unproven("it is older than any repetition of it could be"));
        }
        let Some(signed) = envelope.signed_text() else { return Err(unproven("it lacks what should be signed")) };
        let Some((certificate, _)) = self.certificates.get(url, request.now) else {
            let document = Document { url: url.to_owned(), kind: DocumentKind::SigningCertificate };
            return Err(self.certificates.ask(document, request.now));
        };
        if !certificate.is_valid_at(request.now) {
            return Err(unproven("its certificate is not valid at present"));
        }
        if !certificate.signed(hash, signed.as_bytes(), &signature) {
            return Err(unproven("its signature is not of this message"));
        }
        Ok(())
    }

    fn receive_raw(&self, request: &Request<'_>) -> Reception {
        let Some(secret) = &self.secret else {
            let reason = "raw delivery leaves out the signature: switch it off, or give the source a secret";
            return Refusal::Unproven(reason.to_owned()).into_reception();
        };
        let arn = request.headers.get("x-amz-sns-topic-arn").and_then(|value| value.to_str().ok()).unwrap_or_default();
        let proof = secret.check(request).and_then(|()| self.topic(arn).map(|_| ()));
        post(request, proof, || eventbridge::decode(self.host.as_deref(), request.body))
    }
}

impl Source for SnsSource {
    fn name(&self) -> &'static str {
        NAME
    }

    fn receive(&self, request: &Request<'_>) -> Reception {
        if request.headers.get("x-amz-sns-rawdelivery").is_some_and(|value| value == "true") {
            return self.receive_raw(request);
        }
        // Who sent it stands in the message, so it is read first; a reader of JSON is all that a stranger reaches.
        let envelope: Envelope = match serde_json::from_slice(request.body) {
            Ok(envelope) => envelope,
            Err(_) => return Refusal::Unproven("it is no message of SNS".to_owned()).into_reception(),
        };
        let topic = match self.topic(&envelope.topic) {
            Ok(topic) => topic,
            Err(refusal) => return refusal.into_reception(),
        };
        let proof = self.check(request, topic, &envelope);
        if proof.is_ok() && envelope.kind == "SubscriptionConfirmation" {
            let document = envelope.token.as_deref().and_then(|token| topic.confirmation(token));
            return match document {
                Some(document) => Reception::new(Verdict::Confirm(document), Answer::status(http::StatusCode::OK)),
                None => Findings::none(Left::Malformed("it carries no token".to_owned())).into_reception(),
            };
        }
        post(request, proof, || match envelope.kind.as_str() {
            "Notification" => eventbridge::notification(self.host.as_deref(), &envelope),
            "UnsubscribeConfirmation" => {
                Findings::none(Left::Ignored(format!("the subscription to {} has ended", short(&envelope.topic))))
            }
            other => Findings::none(Left::Ignored(format!("type `{}` is not known", short(other)))),
        })
    }

    fn receive_trusted(&self, body: &[u8], _now: Timestamp) -> Reception {
        // A queue may be fed by other topics too.
        if let Ok(envelope) = serde_json::from_slice::<Envelope>(body)
            && self.topic(&envelope.topic).is_err()
        {
            let reason = format!("topic {} is not one of this source's", short(&envelope.topic));
            return Findings::none(Left::Ignored(reason)).into_reception();
        }
        eventbridge::decode(self.host.as_deref(), body).into_reception()
    }

    fn learn(&self, document: &Document, bytes: &[u8], now: Timestamp) -> Result<(), String> {
        if !self.topics.iter().any(|topic| topic.has_certificate(&document.url)) {
            return Err("nobody asked for it".to_owned());
        }
        let certificate = Certificate::from_pem(bytes)?;
        self.certificates.keep(&document.url, certificate, now);
        Ok(())
    }
}

/// A message of SNS, as it comes over HTTP and as SQS holds it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Envelope {
    #[serde(rename = "Type")]
    kind: String,
    pub(super) message_id: String,
    #[serde(rename = "TopicArn")]
    topic: String,
    pub(super) message: String,
    subject: Option<String>,
    timestamp: Option<String>,
    token: Option<String>,
    #[serde(rename = "SubscribeURL")]
    subscribe: Option<String>,
    signature_version: Option<String>,
    signature: Option<String>,
    #[serde(rename = "SigningCertURL")]
    certificate: Option<String>,
}

impl Envelope {
    /// What is signed: name and value of these members, a line each, in the order of their names.
    fn signed_text(&self) -> Option<String> {
        let timestamp = self.timestamp.as_deref()?;
        let mut text = String::new();
        let mut member = |name: &str, value: &str| {
            for line in [name, value] {
                text.push_str(line);
                text.push('\n');
            }
        };
        member("Message", &self.message);
        member("MessageId", &self.message_id);
        if self.kind == "Notification" {
            if let Some(subject) = &self.subject {
                member("Subject", subject);
            }
            member("Timestamp", timestamp);
        } else {
            member("SubscribeURL", self.subscribe.as_deref()?);
            member("Timestamp", timestamp);
            member("Token", self.token.as_deref()?);
        }
        member("TopicArn", &self.topic);
        member("Type", &self.kind);
        Some(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_made_of_topics() {
        for (arn, host) in [
            ("arn:aws:sns:eu-west-1:123456789012:images", Some("sns.eu-west-1.amazonaws.com")),
            ("arn:aws-cn:sns:cn-north-1:123456789012:images", Some("sns.cn-north-1.amazonaws.com.cn")),
            ("arn:aws-us-gov:sns:us-gov-west-1:123456789012:a.fifo", Some("sns.us-gov-west-1.amazonaws.com")),
            ("arn:aws:sns:evil.example.com/:123456789012:images", None),
            ("arn:aws:sns:a.b:123456789012:images", None),
            ("arn:aws:sqs:eu-west-1:123456789012:images", None),
            ("arn:aws:sns:eu-west-1:123456789012:images:x", None),
            ("arn:aws:sns:eu-west-1:123456789012:a&b", None),
            ("", None),
        ] {
            assert_eq!(Topic::parse(arn).map(|topic| topic.host).as_deref(), host, "{arn}");
        }
    }

    #[test]
    fn certificates_are_taken_from_the_topics_own_region_only() {
        let topic = Topic::parse("arn:aws:sns:eu-west-1:123456789012:images").unwrap();
        let check = |url: &str, pinned: bool| assert_eq!(topic.has_certificate(url), pinned, "{url}");
        check("https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-0a1b2c.pem", true);
        for url in [
            "http://sns.eu-west-1.amazonaws.com/a.pem",
            "https://sns.us-east-1.amazonaws.com/a.pem",
            "https://sns.eu-west-1.amazonaws.com.evil.example/a.pem",
            "https://sns.eu-west-1.amazonaws.com:8443/a.pem",
            "https://user@sns.eu-west-1.amazonaws.com/a.pem",
            "https://evil.example/sns.eu-west-1.amazonaws.com/a.pem",
            "https://sns.eu-west-1.amazonaws.com/../a.pem",
            "https://sns.eu-west-1.amazonaws.com/a/b.pem",
            "https://sns.eu-west-1.amazonaws.com/a.pem?x=.pem",
            "https://sns.eu-west-1.amazonaws.com/.pem",
            "https://sns.eu-west-1.amazonaws.com/a",
            "https://169.254.169.254/a.pem",
            "",
        ] {
            check(url, false);
        }
    }

    #[test]
    fn a_confirmation_goes_to_amazon_whatever_the_message_says() {
        let topic = Topic::parse("arn:aws:sns:eu-west-1:123456789012:images").unwrap();
        assert_eq!(
            topic.confirmation("2336412f37").unwrap().url,
            "https://sns.eu-west-1.amazonaws.com/?Action=ConfirmSubscription\
             &TopicArn=arn:aws:sns:eu-west-1:123456789012:images&Token=2336412f37"
        );
        for token in ["", "a&Action=DeleteTopic", "a b", "a#", "é"] {
            assert_eq!(topic.confirmation(token), None, "{token}");
        }
    }
}
