//! ECR's events by SNS, signed by openssl.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use supercargo_events::{Document, DocumentKind, SetupState, Source, SourceConfig, Verdict};

use crate::eventbridge::{HOST, ecr, image};
use crate::kit::{Delivery, RsaKey, SECRET, base64_of, config, is_rejected, outcome, refused, source};

pub(crate) const TOPIC: &str = "arn:aws:sns:eu-west-1:210987654321:ecr-images";

/// A topic that openssl signs for.
struct Topic {
    key: RsaKey,
    source: Box<dyn Source>,
    now: Timestamp,
}

impl Topic {
    fn new() -> Self {
        let key = RsaKey::new();
        let source = source("sns", SourceConfig::new([]).with_option("topics", TOPIC));
        // openssl's certificate begins with the present second.
        let now = Timestamp::now() + SignedDuration::from_secs(5);
        Self { key, source, now }
    }

    fn url() -> &'static str {
        "https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-0a1b2c.pem"
    }

    fn certificate() -> Document {
        Document { url: Self::url().to_owned(), kind: DocumentKind::SigningCertificate }
    }

    fn knowing() -> Self {
        let topic = Self::new();
        topic.source.learn(&Self::certificate(), &topic.key.certificate(), topic.now).unwrap();
        topic
    }

    fn notification(&self, version: &str, message: &str, subject: Option<&str>) -> Value {
        let mut body = json!({
            "Type": "Notification", "MessageId": "5f3b", "TopicArn": TOPIC, "Message": message,
            "Timestamp": self.now.to_string(), "SignatureVersion": version, "SigningCertURL": Self::url(),
            "UnsubscribeURL": "https://sns.eu-west-1.amazonaws.com/?Action=Unsubscribe"
        });
        if let Some(subject) = subject {
            body["Subject"] = json!(subject);
        }
        self.signed(body)
    }

    fn confirmation(&self, kind: &str, url: &str) -> Value {
        self.signed(json!({
            "Type": kind, "MessageId": "5f3c", "TopicArn": TOPIC, "Message": "You have chosen …", "Token": "2336412f37",
            "SubscribeURL": url, "Timestamp": self.now.to_string(), "SignatureVersion": "2",
            "SigningCertURL": Self::url()
        }))
    }

    /// Signs as the developer guide of Amazon SNS says.
    fn signed(&self, mut body: Value) -> Value {
        let names: &[&str] = match body["Type"].as_str().unwrap() {
            "Notification" => &["Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"],
            _ => &["Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"],
        };
        let mut text = String::new();
        for name in names {
            if let Some(value) = body[name].as_str() {
                text += &format!("{name}\n{value}\n");
            }
        }
        let hash = if body["SignatureVersion"] == "1" { "-sha1" } else { "-sha256" };
        body["Signature"] = json!(base64_of(&self.key.sign(hash, text.as_bytes())));
        body
    }

    fn receive(&self, body: &Value) -> String {
        outcome(&Delivery::new(body).at(self.now).header("content-type", "text/plain; charset=UTF-8").to(&*self.source))
    }
}

#[test]
fn sns_signatures_of_both_versions_hold() {
    let topic = Topic::knowing();
    let message = image("PUSH", json!({"image-tag": "1.0"})).to_string();
    let pushed = format!("pushed {HOST}/team/app:1.0@sha256:aaaa");
    for version in ["1", "2"] {
        assert_eq!(topic.receive(&topic.notification(version, &message, None)), pushed);
        assert_eq!(topic.receive(&topic.notification(version, &message, Some("a subject"))), pushed);
    }
    assert_eq!(
        topic.receive(&topic.notification("2", "Hello\nworld", None)),
        "ignored: the notification's message is no event"
    );

    let forged = "rejected: its signature is not of this message";
    let change = |member: &str, value: &str| {
        let mut body = topic.notification("2", &message, Some("a subject"));
        body[member] = json!(value);
        topic.receive(&body)
    };
    assert_eq!(change("Message", &message.replace("1.0", "1.1")), forged);
    assert_eq!(change("MessageId", "another"), forged);
    assert_eq!(change("Subject", "another"), forged);
    assert_eq!(change("SignatureVersion", "1"), forged);
    assert_eq!(change("Signature", &base64_of(b"nonsense")), forged);
    assert_eq!(change("SignatureVersion", "3"), "rejected: its signature is of no known version");
    assert_eq!(change("Signature", "?"), "rejected: it carries no signature");
    let others = TOPIC.replace("210987654321", "111111111111");
    assert_eq!(change("TopicArn", &others), "rejected: its topic is not one of this source's");
    let another = RsaKey::new();
    let elsewhere = Topic { key: another, ..Topic::knowing() };
    assert_eq!(elsewhere.receive(&elsewhere.notification("2", &message, None)), forged);
}

#[test]
fn sns_certificates_are_asked_for_once_and_only_of_amazon() {
    let topic = Topic::new();
    let body = topic.notification("2", &image("PUSH", json!({})).to_string(), None);
    let reception = Delivery::new(&body).at(topic.now).to(&*topic.source);
    assert_eq!(reception.verdict, Verdict::Needs(Topic::certificate()));
    assert_eq!(reception.answer.status, 503, "until it has been decided, the sender tries again");
    assert!(topic.source.learn(&Topic::certificate(), b"<html>", topic.now).is_err());
    let foreign = Document { url: "https://evil.example/a.pem".to_owned(), kind: DocumentKind::SigningCertificate };
    assert!(topic.source.learn(&foreign, &topic.key.certificate(), topic.now).is_err());
    topic.source.learn(&Topic::certificate(), &topic.key.certificate(), topic.now).unwrap();
    assert_eq!(topic.receive(&body), format!("pushed {HOST}/team/app@sha256:aaaa"));

    let pinned = "rejected: its certificate is not where the topic's region has its certificates";
    for url in
        ["https://sns.us-east-1.amazonaws.com/a.pem", "http://169.254.169.254/a.pem", "https://evil.example/a.pem"]
    {
        let mut body = body.clone();
        body["SigningCertURL"] = json!(url);
        assert_eq!(topic.receive(&body), pinned, "{url}");
    }
    // What no listed topic claims to have sent asks for nothing.
    let mut body = body;
    body["TopicArn"] = json!("arn:aws:sns:eu-west-1:210987654321:another");
    assert_eq!(topic.receive(&body), "rejected: its topic is not one of this source's");
}

#[test]
fn sns_messages_and_certificates_grow_old() {
    let topic = Topic::knowing();
    let body = topic.notification("2", &image("PUSH", json!({})).to_string(), None);
    let later = |seconds: i64| {
        let now = topic.now + SignedDuration::from_secs(seconds);
        outcome(&Delivery::new(&body).at(now).to(&*topic.source))
    };
    assert!(later(3600).starts_with("pushed"), "the last repetition comes after an hour");
    assert_eq!(later(2 * 3600), "rejected: it is older than any repetition of it could be");
    assert_eq!(later(-3600), "rejected: it is older than any repetition of it could be");
    // Signed anew after the certificate has expired.
    let late = Topic { now: topic.now + SignedDuration::from_hours(31 * 24), ..topic };
    let body = late.notification("2", &image("PUSH", json!({})).to_string(), None);
    assert_eq!(late.receive(&body), "rejected: its certificate is not valid at present");
}

#[test]
fn sns_subscriptions_are_confirmed_with_amazon_and_nobody_else() {
    let topic = Topic::knowing();
    let confirm = format!(
        "confirm: https://sns.eu-west-1.amazonaws.com/?Action=ConfirmSubscription&TopicArn={TOPIC}&Token=2336412f37"
    );
    let official = "https://sns.eu-west-1.amazonaws.com/?Action=ConfirmSubscription";
    assert_eq!(topic.receive(&topic.confirmation("SubscriptionConfirmation", official)), confirm);
    // Attack case 71: even a signed address is not the one that is asked for.
    for url in ["http://169.254.169.254/latest", "https://evil.example/", "file:///etc/passwd"] {
        assert_eq!(topic.receive(&topic.confirmation("SubscriptionConfirmation", url)), confirm, "{url}");
    }
    let ended = topic.receive(&topic.confirmation("UnsubscribeConfirmation", official));
    assert_eq!(ended, format!("ignored: the subscription to {TOPIC} has ended"));
    let mut forged = topic.confirmation("SubscriptionConfirmation", official);
    forged["Token"] = json!("ffff");
    assert_eq!(topic.receive(&forged), "rejected: its signature is not of this message");
}

#[test]
fn raw_delivery_takes_a_secret_in_the_address() {
    let body = image("PUSH", json!({}));
    let raw =
        |arn: &str| Delivery::new(&body).header("x-amz-sns-rawdelivery", "true").header("x-amz-sns-topic-arn", arn);
    let unsecured = source("sns", SourceConfig::new([]).with_option("topics", TOPIC));
    assert_eq!(
        outcome(&raw(TOPIC).to(&*unsecured)),
        "rejected: raw delivery leaves out the signature: switch it off, or give the source a secret"
    );
    let secured = source("sns", config().with_option("topics", TOPIC));
    assert_eq!(
        outcome(&raw(TOPIC).query("secret=correct%20horse%20battery").to(&*secured)),
        format!("pushed {HOST}/team/app@sha256:aaaa")
    );
    assert!(is_rejected(&raw(TOPIC).query("secret=wrong").to(&*secured)));
    assert!(is_rejected(&raw("arn:aws:sns:eu-west-1:1:x").path(SECRET).to(&*secured)));
}

#[test]
fn a_queue_behind_a_topic_needs_no_signature_but_the_topic() {
    let source = source("sns", SourceConfig::new([]).with_option("topics", TOPIC));
    let trusted = |topic: &str| {
        let body = json!({
            "Type": "Notification", "MessageId": "m", "TopicArn": topic, "Message": image("PUSH", json!({})).to_string()
        });
        outcome(&source.receive_trusted(body.to_string().as_bytes(), Timestamp::UNIX_EPOCH))
    };
    assert_eq!(trusted(TOPIC), format!("pushed {HOST}/team/app@sha256:aaaa"));
    let other = "arn:aws:sns:eu-west-1:210987654321:other";
    assert_eq!(trusted(other), format!("ignored: topic {other} is not one of this source's"));
}

#[test]
fn a_stack_announces_itself() {
    let topic = Topic::knowing();
    let stack = "arn:aws:cloudformation:eu-west-1:210987654321:stack/supercargo/11aa";
    let message = format!(
        "StackId='{stack}'\nTimestamp='2026-02-03T04:05:00.1Z'\nEventId='e-1'\nLogicalResourceId='supercargo'\n\
         PhysicalResourceId='{stack}'\nResourceProperties='null'\nResourceStatus='CREATE_COMPLETE'\n\
         ResourceStatusReason=''\nResourceType='AWS::CloudFormation::Stack'\nStackName='supercargo'\n"
    );
    let body = topic.notification("2", &message, Some("AWS CloudFormation Notification"));
    let reception = Delivery::new(&body).at(topic.now).to(&*topic.source);
    let Verdict::Setup(notice) = &reception.verdict else { panic!("{reception:?}") };
    assert_eq!((notice.id.as_str(), notice.state, notice.dedup_key.as_str()), (stack, SetupState::Complete, "e-1"));

    let mut by_rule = ecr(
        "CloudFormation Stack Status Change",
        json!({"stack-id": stack, "status-details": {"status": "ROLLBACK_COMPLETE", "status-reason": "no rights"}}),
    );
    by_rule["source"] = json!("aws.cloudformation");
    let reception = source("eventbridge", config()).receive_trusted(by_rule.to_string().as_bytes(), topic.now);
    let Verdict::Setup(notice) = &reception.verdict else { panic!("{reception:?}") };
    assert_eq!((notice.name.as_str(), notice.state), ("supercargo", SetupState::Failed));
    assert_eq!(notice.reason.as_deref(), Some("no rights"));
}

#[test]
fn topics_are_needed_and_must_be_topics() {
    assert_eq!(
        refused("sns", SourceConfig::new([]).opened()),
        "configure the source: option `topics` is missing: ARNs of the topics that may speak, parted by commas; all \
         others are refused; it cannot be open: SNS signs what it sends"
    );
    assert_eq!(
        refused("sns", SourceConfig::new([]).with_option("topics", "arn:aws:sqs:eu-west-1:1:x")),
        "configure the source: option `topics`: `arn:aws:sqs:eu-west-1:1:x` is no topic's ARN"
    );
}
