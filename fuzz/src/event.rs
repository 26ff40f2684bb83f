//! Deliveries of registries, and the documents that they are verified with.

use http::{HeaderMap, HeaderValue, Method};
use jiff::Timestamp;
use supercargo_events::{Document, DocumentKind, PROVIDERS, Request, Secret, Source, SourceConfig, Verdict};

use crate::{Target, literals, seeds};

/// The topic that SNS's messages must come from, and the addresses of the documents that are asked for.
const TOPIC: &str = "arn:aws:sns:eu-west-1:210987654321:ecr-images";
const CERTIFICATE: &str = "https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-0a1b2c.pem";
const KEY_SET: &str = "https://www.googleapis.com/oauth2/v3/certs";

pub(crate) fn targets() -> Vec<Target> {
    let deliveries = PROVIDERS.iter().filter_map(|provider| delivery(provider.name));
    let certificates = document("sns", "event-certificate", CERTIFICATE, DocumentKind::SigningCertificate);
    let key_sets = document("google-artifact-registry", "event-key-set", KEY_SET, DocumentKind::KeySet);
    deliveries.chain(certificates).chain(key_sets).chain(token()).collect()
}

fn config(name: &str) -> SourceConfig {
    match name {
        // It cannot be open; a secret stands for the signature of what is delivered raw.
        "sns" => SourceConfig::new([Secret::new("s")]).with_option("topics", TOPIC),
        _ => SourceConfig::new([]).opened().with_host("registry.example.com"),
    }
}

fn delivery(name: &'static str) -> Option<Target> {
    let source = supercargo_events::build(name, config(name)).ok()?;
    let mut headers = HeaderMap::new();
    let media_type = "application/vnd.docker.distribution.events.v2+json";
    for (header, value) in [
        ("content-type", if name == "distribution" { media_type } else { "application/json" }),
        ("x-github-event", "package"),
        ("x-amz-sns-topic-arn", TOPIC),
    ] {
        headers.insert(header, HeaderValue::from_static(value));
    }
    let mut others = headers.clone();
    others.insert("x-amz-sns-rawdelivery", HeaderValue::from_static("true"));
    others.insert("ce-type", HeaderValue::from_static("zotregistry.image.updated"));
    others.insert("content-type", HeaderValue::from_static("application/x-www-form-urlencoded"));
    Some(target(format!("event/{name}"), move |body| {
        for headers in [&headers, &others] {
            let request = Request::new(&Method::POST, headers, body, Timestamp::UNIX_EPOCH);
            judge(&source.receive(&request.with_path_secret(Some("s"))).verdict);
        }
        judge(&source.receive_trusted(body, Timestamp::UNIX_EPOCH).verdict);
    }))
}

fn judge(verdict: &Verdict) {
    if let Verdict::Events(events) = verdict {
        assert!(!events.is_empty());
        assert!(events.iter().all(|event| (1..=255).contains(&event.dedup_key.len())));
    }
}

/// What the receiver fetched for a source.
fn document(provider: &str, family: &str, url: &str, kind: DocumentKind) -> Option<Target> {
    let config = match provider {
        "sns" => config(provider),
        _ => tokens(),
    };
    let source = supercargo_events::build(provider, config).ok()?;
    let document = Document { url: url.to_owned(), kind };
    Some(target(format!("{family}/{provider}"), move |bytes| {
        let _ = source.learn(&document, bytes, Timestamp::UNIX_EPOCH);
    }))
}

fn tokens() -> SourceConfig {
    SourceConfig::new([]).with_option("audience", "a").with_option("email", "e")
}

/// A bearer token of a stranger.
fn token() -> Option<Target> {
    let source: Box<dyn Source> = supercargo_events::build("google-artifact-registry", tokens()).ok()?;
    Some(target("event-token/google-artifact-registry".to_owned(), move |bytes| {
        let value = [b"Bearer ", bytes].concat();
        let Ok(value) = HeaderValue::from_bytes(&value) else { return };
        let mut headers = HeaderMap::new();
        headers.insert("authorization", value);
        let request = Request::new(&Method::POST, &headers, b"{}", Timestamp::UNIX_EPOCH);
        assert!(!matches!(source.receive(&request).verdict, Verdict::Events(_)));
    }))
}

fn target(name: String, run: impl Fn(&[u8]) + Send + Sync + 'static) -> Target {
    let words = literals::sources("crates/events");
    Target {
        name,
        run: Box::new(run),
        seeds: Box::new({
            let words = words.clone();
            move || seeds::documents(&words)
        }),
        words,
    }
}
