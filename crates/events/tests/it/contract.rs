//! What holds for every provider. Attack cases 66, 68, 70 and 72, as far as they are a source's.

use http::{Method, StatusCode};
use jiff::Timestamp;
use proptest::prelude::*;
use serde_json::{Value, json};
use supercargo_events::{PROVIDERS, Provider, Request, Secret, SecretUse, Source, SourceConfig, Verdict, prove};

use crate::kit::{Delivery, is_rejected, outcome, refused, source};
use crate::sns::TOPIC;

/// A configuration with which the provider takes anything, where that is possible at all.
fn open(provider: &Provider) -> SourceConfig {
    match provider.name {
        "sns" => SourceConfig::new([Secret::new("s")]).with_option("topics", TOPIC),
        _ => SourceConfig::new([]).opened().with_host("registry.example.com"),
    }
}

fn with_secrets(provider: &Provider) -> Box<dyn Source> {
    let config = SourceConfig::new([Secret::new("first"), Secret::new("second")]);
    let config = if provider.name == "sns" { config.with_option("topics", TOPIC) } else { config };
    source(provider.name, config)
}

#[test]
fn nobody_is_taken_in_without_a_secret() {
    for provider in PROVIDERS {
        let source = with_secrets(provider);
        let header = if provider.name == "artifactory" { "x-jfrog-event-auth" } else { "authorization" };
        for delivery in [
            Delivery::new("{}"),
            Delivery::new("{}").header(header, ""),
            Delivery::new("{}").header(header, "Bearer "),
            Delivery::new("{}").header(header, "firs"),
            Delivery::new("{}").header(header, "firstsecond"),
            Delivery::new("{}").header("x-hub-signature-256", "sha256="),
            Delivery::new("{}").header("x-nexus-webhook-signature", ""),
            Delivery::new("{}").query("secret="),
            Delivery::new("{}").path(""),
            Delivery::new("not even JSON").path("%00"),
        ] {
            let reception = delivery.to(&*source);
            assert!(is_rejected(&reception), "{}: {reception:?}", provider.name);
            assert!(reception.answer.body.is_empty(), "answers end up in senders' logs");
        }
        if provider.name == "sns" {
            continue;
        }
        let message = refused(provider.name, SourceConfig::new([]));
        assert!(message.contains("it has no secret; give one, or open it to everyone explicitly"), "{message}");
        let message = refused(provider.name, SourceConfig::new([Secret::new("s")]).opened());
        assert!(message.contains("choose one"), "{message}");
    }
}

#[test]
fn both_secrets_of_a_rotation_count_in_an_address() {
    for provider in PROVIDERS.iter().filter(|provider| provider.secret == SecretUse::Address) {
        let source = with_secrets(provider);
        for secret in ["first", "second"] {
            assert!(!is_rejected(&Delivery::new("{}").path(secret).to(&*source)), "{}", provider.name);
            assert!(!is_rejected(&Delivery::new("{}").query(&format!("secret={secret}")).to(&*source)));
        }
        assert!(is_rejected(&Delivery::new("{}").path("third").to(&*source)), "{}", provider.name);
    }
}

/// What would be sent to see whether an endpoint is ours is taken by every provider that has a secret of ours.
#[test]
fn what_we_would_send_ourselves_is_taken() {
    let now = Timestamp::from_second(1_795_000_000).unwrap();
    let body = br#"{"a": 1}"#;
    let taken = |provider: &Provider, config: SourceConfig, with: &[u8]| {
        let proof = prove(provider, &config, body, now)?;
        let source = source(provider.name, config);
        let request = Request::new(&Method::POST, &proof.headers, with, now).with_query(proof.query.as_deref());
        assert!(!format!("{proof:?}").contains("first"));
        Some(!is_rejected(&source.receive(&request)))
    };
    for provider in PROVIDERS {
        let config = || SourceConfig::new([Secret::new("first/one"), Secret::new("second")]);
        match provider.name {
            "sns" => assert!(prove(provider, &config(), body, now).is_none()),
            name => assert_eq!(taken(provider, config(), body), Some(true), "{name}"),
        }
        assert!(prove(provider, &SourceConfig::new([]).opened(), body, now).is_none());
        if provider.secret == SecretUse::Beside && provider.name != "generic" {
            let config = config().with_header(http::HeaderName::from_static("x-other"));
            assert_eq!(taken(provider, config, body), Some(true), "{}", provider.name);
        }
    }
    let artifactory = PROVIDERS.iter().find(|provider| provider.name == "artifactory").unwrap();
    for (signing, other) in [("true", false), ("either", false), ("false", true)] {
        let config = SourceConfig::new([Secret::new("first")]).with_option("signing", signing);
        assert_eq!(taken(artifactory, config.clone(), body), Some(true), "{signing}");
        assert_eq!(taken(artifactory, config, b"another body"), Some(other), "{signing}: it covers the body");
    }
}

#[test]
fn a_provider_says_what_it_is_and_refuses_what_it_does_not_know() {
    let mut names: Vec<_> = PROVIDERS.iter().map(|provider| provider.name).collect();
    assert!(names.is_sorted(), "{names:?}");
    names.dedup();
    assert_eq!(names.len(), PROVIDERS.len());
    for provider in PROVIDERS {
        assert_eq!(source(provider.name, open(provider)).name(), provider.name);
        assert!(!provider.about.is_empty() && provider.keys.iter().all(|key| !key.help.is_empty()));
        assert!(provider.body_limit >= 1 << 20);
        let message = refused(provider.name, open(provider).with_option("colour", "red").with_host("a b"));
        assert!(message.contains("option `colour` is not known to this provider"), "{message}");
        assert!(message.contains("`a b` is no host"), "{message}");
    }
}

#[test]
fn only_posts_are_deliveries() {
    for provider in PROVIDERS.iter().filter(|provider| provider.name != "sns") {
        let reception = Delivery::new("").method(Method::GET).to(&*source(provider.name, open(provider)));
        assert_eq!(reception.answer.status, StatusCode::METHOD_NOT_ALLOWED, "{}", provider.name);
        assert_eq!(reception.answer.headers["allow"], "POST");
    }
}

#[test]
fn what_is_authentic_is_never_answered_with_a_failure() {
    let deep = "[".repeat(100_000);
    let object = "{\"a\":".repeat(100_000);
    let bodies =
        ["", "{", "null", "[]", "{}", "7", "\"text\"", "[[]]", "[null]", "\u{feff}{}", &deep, &object, "1e999"];
    for provider in PROVIDERS.iter().filter(|provider| provider.name != "sns") {
        let source = source(provider.name, open(provider));
        for body in bodies {
            let reception = Delivery::new(body).to(&*source);
            let shown: String = body.chars().take(20).collect();
            assert!(
                matches!(reception.verdict, Verdict::Malformed(_) | Verdict::Ignored(_)),
                "{} {shown}: {}",
                provider.name,
                outcome(&reception)
            );
            assert_eq!(reception.answer.status, StatusCode::OK, "{} {shown}", provider.name);
            let trusted = source.receive_trusted(body.as_bytes(), Timestamp::UNIX_EPOCH);
            assert!(
                matches!(trusted.verdict, Verdict::Malformed(_) | Verdict::Ignored(_)),
                "{} {shown}",
                provider.name
            );
        }
    }
}

/// Attack case 70.
#[test]
fn a_thousand_events_at_once_are_a_thousand_events() {
    let event = |index: usize| {
        json!({
            "id": index.to_string(), "topic": "/x/registries/contoso", "eventType": "ImagePushed",
            "data": {"target": {"repository": format!("team/app-{index}"), "tag": "1"}}
        })
    };
    let batch: Vec<Value> = (0..1000).map(event).collect();
    let open = || SourceConfig::new([]).opened();
    let reception = Delivery::new(json!(batch)).to(&*source("event-grid", open()));
    let keys: std::collections::BTreeSet<_> =
        crate::kit::events(&reception).iter().map(|event| event.dedup_key.clone()).collect();
    assert_eq!(keys.len(), 1000);
    // Ten thousand repetitions of one delivery are one event each time, with one key.
    let delivery = Delivery::new(event(7));
    let source = source("event-grid", open());
    let first = delivery.to(&*source).verdict;
    assert!((0..10_000).all(|_| delivery.to(&*source).verdict == first));
}

/// Attack case 68: a payload cannot send us anywhere but to a name; and what is no name does not get through.
#[test]
fn names_that_lead_elsewhere_are_no_names() {
    for host in ["user@evil.example", "evil.example/path", "evil.example?x", "evil.example#", "a b", ""] {
        let event = json!({"id": "1", "eventType": "ImagePushed", "data": {
            "target": {"repository": "team/app", "tag": "1"}, "request": {"host": host}
        }});
        let reception = Delivery::new(event).to(&*source("event-grid", SourceConfig::new([]).opened()));
        assert_eq!(outcome(&reception), "pushed ?/team/app:1", "{host}");
    }
    let claims = json!({"id": "1", "eventType": "ImagePushed", "data": {
        "target": {"repository": "team/app", "tag": "1"}, "request": {"host": "169.254.169.254"}
    }});
    let configured = source("event-grid", SourceConfig::new([]).opened().with_host("registry.example.com"));
    assert_eq!(outcome(&Delivery::new(claims).to(&*configured)), "pushed registry.example.com/team/app:1");
}

/// Members that providers look for, so that made-up documents reach further than the first of them.
fn document() -> impl Strategy<Value = Value> {
    let names = prop::sample::select(vec![
        "id",
        "events",
        "action",
        "target",
        "repository",
        "digest",
        "tag",
        "type",
        "data",
        "topic",
        "eventType",
        "detail-type",
        "detail",
        "repository-name",
        "image-digest",
        "image-tag",
        "action-type",
        "account",
        "region",
        "TopicArn",
        "Message",
        "MessageId",
        "Type",
        "SignatureVersion",
        "SigningCertURL",
        "Signature",
        "Timestamp",
        "domain",
        "event_type",
        "repo_key",
        "path",
        "image_name",
        "event_data",
        "resources",
        "repo_full_name",
        "push_data",
        "pushed_at",
        "repo_name",
        "updated_tags",
        "docker_url",
        "package",
        "package_version",
        "version",
        "message",
        "subscription",
        "name",
        "reference",
        "component",
        "format",
        "repositoryName",
        "specversion",
        "source",
        "request",
        "host",
        "eventSource",
        "eventName",
        "resources",
        "ARN",
        "validationCode",
        "retention",
    ]);
    let words = prop::sample::select(vec![
        "push",
        "delete",
        "PUSH",
        "DELETE",
        "ECR Image Action",
        "team/app",
        "1.0",
        "docker",
        "pushed",
        "ImagePushed",
        "PUSH_ARTIFACT",
        "aws.ecr",
        "INSERT",
        "CREATED",
        "210987654321",
        "eu-west-1",
        "Notification",
        TOPIC,
        "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        "a/1/manifest.json",
        "1.0",
        "Microsoft.EventGrid.SubscriptionValidationEvent",
        "DeleteRepository",
        "ecr.amazonaws.com",
        "image.pushed",
        "zotregistry.image.updated",
        "{\"detail-type\":1}",
        "StackId='x'\nResourceStatus='y'\n",
    ]);
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "\\PC{0,12}".prop_map(Value::from),
        words.prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 48, 8, move |inner| {
        let member = (names.clone(), inner.clone());
        prop_oneof![
            prop::collection::vec(inner, 0..4).prop_map(Value::from),
            prop::collection::vec(member, 0..8).prop_map(|members| Value::Object(
                members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
            )),
        ]
    })
}

fn survives(body: &[u8]) -> Result<(), TestCaseError> {
    for provider in PROVIDERS {
        let source = source(provider.name, open(provider));
        let delivery = Delivery::of_bytes(body)
            .path("s")
            .header("x-github-event", "package")
            .header("content-type", "application/json");
        let typed = delivery.clone().header("ce-type", "zotregistry.image.updated").header("ce-id", "1");
        let raw = delivery.clone().header("x-amz-sns-rawdelivery", "true").header("x-amz-sns-topic-arn", TOPIC);
        let trusted = source.receive_trusted(delivery.body(), delivery.now());
        for reception in [delivery.to(&*source), typed.to(&*source), raw.to(&*source), trusted] {
            let Verdict::Events(events) = &reception.verdict else { continue };
            prop_assert!(!events.is_empty());
            for event in events {
                prop_assert!(!event.repository.contains("..") && !event.repository.starts_with('/'));
                prop_assert!((1..=255).contains(&event.dedup_key.len()), "{}", event.dedup_key);
                prop_assert!(event.host.as_deref().is_none_or(|host| !host.contains(['/', '@', '?'])));
            }
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn no_bytes_make_any_source_panic(body in prop::collection::vec(any::<u8>(), 0..256)) {
        survives(&body)?;
    }

    #[test]
    fn no_document_makes_any_source_panic(document in document()) {
        survives(document.to_string().as_bytes())?;
    }
}
