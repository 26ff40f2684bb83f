//! The envelope of CNCF Distribution.

use http::{HeaderMap, HeaderName, Method, StatusCode, header};
use jiff::Timestamp;
use proptest::prelude::*;
use serde_json::{Value, json};
use supercargo_events::{
    Action, DistributionSource, Reception, RegistryEvent, Request, Secret, Source, SourceConfig, Verdict,
};

const V1: &str = "application/vnd.docker.distribution.events.v1+json";
const V2: &str = "application/vnd.docker.distribution.events.v2+json";
const MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const BLOB: &str = "application/octet-stream";
const SECRET: &str = "let me in";

fn digest() -> String {
    format!("sha256:{}", "3f".repeat(32))
}

pub(crate) fn source() -> DistributionSource {
    DistributionSource::new(SourceConfig::new([Secret::new(SECRET)])).unwrap()
}

fn headers(media_type: &str) -> HeaderMap {
    HeaderMap::from_iter([
        (header::AUTHORIZATION, format!("Bearer {SECRET}").parse().unwrap()),
        (header::CONTENT_TYPE, media_type.parse().unwrap()),
    ])
}

pub(crate) fn receive(source: &dyn Source, body: &[u8]) -> Reception {
    source.receive(&Request::new(&Method::POST, &headers(V2), body, Timestamp::UNIX_EPOCH))
}

/// An event with everything a registry writes, changed by `change`: `null` removes a member.
fn event(action: &str, target: Value) -> Value {
    json!({
        "id": "0b9c64a4-5a9b-4a53-9d6d-6d1a0b0f3c11",
        "timestamp": "2025-03-04T05:06:07.089Z",
        "action": action,
        "target": target,
        "request": {
            "id": "5d1f", "addr": "10.0.0.7:41522", "host": "registry.example.com:5000", "method": "PUT",
            "useragent": "containers/5.34 (github.com/containers/image)"
        },
        "actor": {"name": "ci"},
        "source": {"addr": "node-3:5000", "instanceID": "a7c0"}
    })
}

fn events_of(reception: &Reception) -> &[RegistryEvent] {
    match &reception.verdict {
        Verdict::Events(events) => events,
        other => panic!("no events but {other:?}"),
    }
}

fn one(target: Value, action: &str) -> RegistryEvent {
    let body = json!({"events": [event(action, target)]}).to_string();
    let reception = receive(&source(), body.as_bytes());
    assert_eq!(reception.answer.status, StatusCode::ACCEPTED);
    let [event] = events_of(&reception) else { panic!("not one event: {reception:?}") };
    event.clone()
}

#[test]
fn a_push_becomes_an_event_with_all_that_is_known() {
    let event = one(
        json!({
            "mediaType": MANIFEST, "digest": digest(), "size": 1234, "length": 1234, "repository": "team/app",
            "url": format!("http://internal:5000/v2/team/app/manifests/{}", digest()), "tag": "1.0",
            "references": [{"mediaType": BLOB, "digest": digest(), "size": 7}]
        }),
        "push",
    );
    assert_eq!(event.action, Action::Pushed);
    assert_eq!(event.host.as_deref(), Some("registry.example.com:5000"));
    assert_eq!(event.repository, "team/app");
    assert_eq!(event.tag.as_deref(), Some("1.0"));
    assert_eq!(event.digest.unwrap().to_string(), digest());
    assert_eq!(event.media_type.as_deref(), Some(MANIFEST));
    assert_eq!(event.time.unwrap().raw, "2025-03-04T05:06:07.089Z");
    assert_eq!(event.dedup_key, "0b9c64a4-5a9b-4a53-9d6d-6d1a0b0f3c11");
    assert_eq!(event.actor.as_deref(), Some("ci"));
}

#[test]
fn what_each_target_means() {
    let check = |action: &str, target: Value, expected: (Action, Option<&str>, bool)| {
        let event = one(target.clone(), action);
        assert_eq!((event.action, event.tag.as_deref(), event.digest.is_some()), expected, "{action} {target}");
    };
    let repository = "team/app";
    // Pushes.
    check(
        "push",
        json!({"mediaType": INDEX, "digest": digest(), "repository": repository}),
        (Action::Pushed, None, true),
    );
    check("push", json!({"digest": digest(), "repository": repository}), (Action::Pushed, None, true));
    check(
        "push",
        json!({"mediaType": MANIFEST, "repository": repository, "tag": "a"}),
        (Action::Pushed, Some("a"), false),
    );
    // A digest that is none: the tag can still be looked at, or else the repository.
    let broken = "sha256:0123456789abcdef0";
    let target = json!({"mediaType": MANIFEST, "digest": broken, "repository": repository, "tag": "a"});
    check("push", target, (Action::Pushed, Some("a"), false));
    check(
        "push",
        json!({"mediaType": MANIFEST, "digest": broken, "repository": repository}),
        (Action::Refresh, None, false),
    );
    check("delete", json!({"digest": broken, "repository": repository}), (Action::Refresh, None, false));
    check("delete", json!({"tag": "../../x", "repository": repository}), (Action::Refresh, None, false));
    // Deletes: 2.x leaves out what is missing, 3.x writes it empty.
    check("delete", json!({"digest": digest(), "repository": repository}), (Action::Deleted, None, true));
    let target = json!({"mediaType": "", "digest": digest(), "size": 0, "repository": repository});
    check("delete", target, (Action::Deleted, None, true));
    let target = json!({"mediaType": "", "digest": "", "size": 0, "repository": repository, "tag": "a"});
    check("delete", target, (Action::Deleted, Some("a"), false));
    let target = json!({"mediaType": "", "digest": "", "size": 0, "repository": repository});
    check("delete", target, (Action::RepositoryDeleted, None, false));
    check("delete", json!({"repository": repository}), (Action::RepositoryDeleted, None, false));
}

#[test]
fn pulls_mounts_and_blobs_are_ignored_with_a_success() {
    let check = |action: &str, target: Value| {
        let body = json!({"events": [event(action, target)]}).to_string();
        let reception = receive(&source(), body.as_bytes());
        assert!(matches!(reception.verdict, Verdict::Ignored(_)), "{action}: {reception:?}");
        assert_eq!(reception.answer.status, StatusCode::OK);
    };
    check("pull", json!({"mediaType": MANIFEST, "digest": digest(), "repository": "a", "tag": "1"}));
    check("mount", json!({"mediaType": BLOB, "digest": digest(), "repository": "a", "fromRepository": "b"}));
    check("push", json!({"mediaType": BLOB, "digest": digest(), "repository": "a"}));
    check("push", json!({"digest": digest(), "repository": "a", "url": "http://r/v2/a/blobs/sha256:00"}));
    check("polish", json!({"repository": "a"}));
    let reception = receive(&source(), br#"{"events": []}"#);
    assert_eq!(reception.verdict, Verdict::Ignored("the envelope is empty".to_owned()));
}

#[test]
fn the_host_comes_from_the_configuration_first() {
    let check = |configured: Option<&str>, request: Value, url: Value, expected: Option<&str>| {
        let mut config = SourceConfig::new([Secret::new(SECRET)]);
        config.host = configured.map(str::to_owned);
        let mut event = event("push", json!({"mediaType": MANIFEST, "repository": "a", "tag": "1", "url": url}));
        event["request"] = request.clone();
        let body = json!({"events": [event]}).to_string();
        let reception = receive(&DistributionSource::new(config).unwrap(), body.as_bytes());
        assert_eq!(events_of(&reception)[0].host.as_deref(), expected, "{configured:?} {request} {url}");
    };
    let url = json!("https://by-url.example.com/v2/a/manifests/1");
    check(Some("registry.example.com"), json!({"host": "internal:5000"}), url.clone(), Some("registry.example.com"));
    check(None, json!({"host": "internal:5000"}), url.clone(), Some("internal:5000"));
    check(None, json!({"host": ""}), url.clone(), Some("by-url.example.com"));
    check(None, Value::Null, url.clone(), Some("by-url.example.com"));
    check(None, json!({"host": "user@evil/path"}), url, Some("by-url.example.com"));
    check(None, Value::Null, json!("https://user:password@evil/v2/"), None);
    check(None, Value::Null, Value::Null, None);
}

#[test]
fn both_media_types_and_json_are_read_and_others_are_kept_aside() {
    let body =
        json!({"events": [event("push", json!({"mediaType": MANIFEST, "repository": "a", "tag": "1"}))]}).to_string();
    let check = |media_type: &str, understood: bool| {
        let headers = headers(media_type);
        let request = Request::new(&Method::POST, &headers, body.as_bytes(), Timestamp::UNIX_EPOCH);
        let reception = source().receive(&request);
        assert_eq!(matches!(reception.verdict, Verdict::Events(_)), understood, "{media_type}");
        assert!(reception.answer.status.is_success(), "{media_type}");
    };
    check(V1, true);
    check(V2, true);
    check("application/json", true);
    check("Application/JSON; charset=utf-8", true);
    check("", true);
    check("text/html", false);
}

#[test]
fn an_authentic_body_is_never_answered_with_a_failure() {
    for body in
        ["", "{", "null", "[]", "{}", r#"{"events": 1}"#, r#"{"events": [1]}"#, r#"{"events": [{"action": "push"}]}"#]
    {
        let reception = receive(&source(), body.as_bytes());
        assert!(matches!(reception.verdict, Verdict::Malformed(_)), "{body}: {reception:?}");
        assert_eq!(reception.answer.status, StatusCode::OK, "{body}");
    }
    for repository in ["", "../../_catalog", "Team/App", "a b"] {
        let body =
            json!({"events": [event("push", json!({"mediaType": MANIFEST, "repository": repository, "tag": "1"}))]});
        let reception = receive(&source(), body.to_string().as_bytes());
        assert!(matches!(reception.verdict, Verdict::Malformed(_)), "{repository}: {reception:?}");
    }
}

#[test]
fn one_bad_event_does_not_take_the_others_with_it() {
    let push = |repository: &str| event("push", json!({"mediaType": MANIFEST, "repository": repository, "tag": "1"}));
    let body = json!({"events": [push("a"), {"action": 7}, push("B"), push("c")]}).to_string();
    let reception = receive(&source(), body.as_bytes());
    let repositories: Vec<_> = events_of(&reception).iter().map(|event| event.repository.as_str()).collect();
    assert_eq!(repositories, ["a", "c"]);
    assert_eq!(reception.remarks.len(), 2, "{:?}", reception.remarks);
}

#[test]
fn events_without_an_id_are_told_apart_by_their_bytes() {
    let mut event = event("push", json!({"mediaType": MANIFEST, "repository": "a", "tag": "1"}));
    event["id"] = Value::Null;
    let body = json!({"events": [event, event]}).to_string();
    let (first, second) = (receive(&source(), body.as_bytes()), receive(&source(), body.as_bytes()));
    assert_eq!(events_of(&first), events_of(&second), "a repeated delivery has the same keys");
    assert_ne!(events_of(&first)[0].dedup_key, events_of(&first)[1].dedup_key);
}

#[test]
fn a_delivery_without_the_secret_is_rejected_before_it_is_read() {
    let secrets = [Secret::new("new secret"), Secret::new(SECRET)];
    let config = SourceConfig::new(secrets).with_header(HeaderName::from_static("x-supercargo-secret"));
    let source = DistributionSource::new(config).unwrap();
    let check = |value: Option<&str>, accepted: bool| {
        let name = HeaderName::from_static("x-supercargo-secret");
        let headers = HeaderMap::from_iter(value.map(|value| (name, value.parse().unwrap())));
        let request = Request::new(&Method::POST, &headers, b"not JSON", Timestamp::UNIX_EPOCH);
        let reception = source.receive(&request);
        let expected = if accepted { StatusCode::OK } else { StatusCode::UNAUTHORIZED };
        assert_eq!(reception.answer.status, expected, "{value:?}");
        assert_eq!(matches!(reception.verdict, Verdict::Rejected(_)), !accepted, "{value:?}");
    };
    check(Some("new secret"), true);
    check(Some(SECRET), true);
    check(Some("Bearer let me in"), true);
    check(Some("let me"), false);
    check(Some(""), false);
    check(None, false);
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(body in proptest::collection::vec(any::<u8>(), 0..512)) {
        let _ = receive(&source(), &body);
    }

    #[test]
    fn no_event_makes_it_panic_and_no_bad_name_gets_through(
        action in "push|delete|pull|\\PC{0,8}",
        repository in "[a-z/._-]{0,12}|\\PC{0,12}",
        tag in "[a-z._-]{0,6}|\\PC{0,6}",
        digest in "sha256:[0-9a-f]{64}|\\PC{0,70}",
        id in "\\PC{0,300}",
    ) {
        let mut event = event(&action, json!({"digest": digest, "repository": repository, "tag": tag}));
        event["id"] = json!(id);
        let reception = receive(&source(), json!({"events": [event]}).to_string().as_bytes());
        prop_assert!(reception.answer.status.is_success());
        if let Verdict::Events(events) = reception.verdict {
            for event in events {
                prop_assert!(!event.repository.contains("..") && !event.repository.starts_with('/'));
                prop_assert!(event.dedup_key.len() <= 255 * 4 && !event.dedup_key.is_empty());
            }
        }
    }
}
