//! Docker Hub, Quay and GitHub Packages: registries that others run.

use jiff::SignedDuration;
use serde_json::{Value, json};
use supercargo_events::{Secret, SourceConfig, Verdict};

use crate::kit::{Delivery, MANIFEST, SECRET, config, digest, event, events, is_rejected, openssl, outcome, source};

fn hub(push: Value) -> Value {
    json!({
        "callback_url": "https://registry.hub.docker.com/u/team/app/hook/1/", "push_data": push,
        "repository": {"repo_name": "team/app", "namespace": "team", "name": "app", "is_private": true, "comment_count": "0"}
    })
}

#[test]
fn docker_hub_is_known_by_its_address() {
    let source = source("docker-hub", config());
    let delivery = Delivery::new(hub(json!({"tag": "1.0", "pusher": "jane", "pushed_at": 1770091506})));
    let pushed = "pushed docker.io/team/app:1.0";
    let reception = delivery.clone().path("correct%20horse%20battery").to(&*source);
    assert_eq!(outcome(&reception), pushed);
    assert_eq!(event(&reception).dedup_key, "team/app:1.0 1770091506");
    assert_eq!(event(&reception).time.as_ref().unwrap().raw, "2026-02-03T04:05:06Z");
    assert_eq!(outcome(&delivery.clone().query("secret=correct%20horse%20battery").to(&*source)), pushed);
    assert!(is_rejected(&delivery.clone().path("guess").to(&*source)));
    assert!(is_rejected(&delivery.to(&*source)));
}

#[test]
fn docker_hub_has_written_times_in_several_ways() {
    let source = source("docker-hub", config().with_host("mirror.example.com"));
    let check = |push: Value, expected: &str, second: Option<&str>| {
        let reception = Delivery::new(hub(push)).path(SECRET).to(&*source);
        assert_eq!(outcome(&reception), expected);
        let time = event(&reception).time.as_ref().map(|time| time.raw.clone());
        assert_eq!(time.as_deref(), second);
    };
    let app = "mirror.example.com/team/app";
    let time = Some("2014-12-03T00:22:41Z");
    check(json!({"tag": "1", "pushed_at": 1.417566161e9}), &format!("pushed {app}:1"), time);
    check(json!({"tag": "1", "pushed_at": "1417566161"}), &format!("pushed {app}:1"), time);
    check(json!({"tag": "1", "pushed_at": "yesterday"}), &format!("pushed {app}:1"), None);
    check(json!({"tag": "1", "pushed_at": 1e300}), &format!("pushed {app}:1"), None);
    check(json!({"pushed_at": null}), &format!("refresh {app}"), None);
}

#[test]
fn quay_tells_tags_and_nothing_else() {
    let source = source("quay", config());
    let body = |tags: Value| {
        json!({
            "name": "app", "repository": "team/app", "namespace": "team", "docker_url": "quay.io/team/app",
            "homepage": "https://quay.io/repository/team/app", "updated_tags": tags
        })
    };
    let check = |body: Value, expected: &str| {
        let reception = Delivery::new(&body).path(SECRET).to(&*source);
        assert_eq!(outcome(&reception), expected, "{body}");
        // Three refusals in a row switch the notification off.
        assert!(reception.answer.status.is_success());
    };
    let app = "quay.io/team/app";
    check(body(json!(["1.0", "latest"])), &format!("pushed {app}:1.0, pushed {app}:latest"));
    check(body(json!({"1.0": "b8d0"})), &format!("pushed {app}:1.0"));
    check(body(json!([])), &format!("refresh {app}"));
    check(
        json!({"repository": "team/app", "docker_url": app, "build_id": "1"}),
        "ignored: a build or a finding changes no tag by itself",
    );
    check(json!({"message": "hello"}), "malformed: event 0: it names no repository");
    check(
        json!("hello"),
        "malformed: the body is no notification: invalid type: string \"hello\", expected struct Payload at line 1 column 7",
    );

    let delivery = Delivery::new(body(json!(["1.0", "latest"]))).path(SECRET);
    let keys = |delivery: Delivery| {
        events(&delivery.to(&*source)).iter().map(|event| event.dedup_key.clone()).collect::<Vec<_>>()
    };
    let now = "2026-02-03T04:01:00Z".parse().unwrap();
    let first = keys(delivery.clone().at(now));
    assert_ne!(first[0], first[1]);
    assert_eq!(keys(delivery.clone().at(now + SignedDuration::from_mins(5))), first, "repeated after five minutes");
    assert_ne!(keys(delivery.at(now + SignedDuration::from_mins(10))), first);

    let own = crate::kit::source("quay", config().with_host("registry.example.com"));
    let reception = Delivery::new(body(json!(["1.0"]))).path(SECRET).to(&*own);
    assert_eq!(
        outcome(&reception),
        "ignored: event 0: it is about registry quay.io, and this source speaks for registry.example.com"
    );
}

fn github(action: &str, tag: &str, url: &str) -> Value {
    json!({"action": action, "package": {
        "id": 1, "name": "App", "namespace": "Octo-Org", "ecosystem": "CONTAINER", "package_type": "CONTAINER",
        "updated_at": "2026-02-03T04:05:06Z",
        "package_version": {
            "version": digest('a'), "package_url": url, "updated_at": "0001-01-01T00:00:00Z",
            "container_metadata": {
                "tag": {"name": tag, "digest": digest('a')}, "manifest": {"digest": digest('a'), "media_type": MANIFEST}
            }
        }
    }, "sender": {"login": "octocat"}})
}

fn signed(secret: &str, body: &str) -> String {
    let output = String::from_utf8(openssl(&["sha256", "-hmac", secret], body.as_bytes())).unwrap();
    format!("sha256={}", output.trim().rsplit(' ').next().unwrap())
}

fn from_github(event: &str, body: &str) -> Delivery {
    Delivery::new(body)
        .header("x-github-event", event)
        .header("x-github-delivery", "72d3162e-cc78-11e3-81ab-4c9367dc0958")
        .header("x-hub-signature-256", signed(SECRET, body))
}

#[test]
fn github_tells_published_versions() {
    let source = source("github", config());
    let check = |body: Value, expected: &str| {
        assert_eq!(outcome(&from_github("package", &body.to_string()).to(&*source)), expected, "{body}");
    };
    let app = "ghcr.io/octo-org/app";
    check(github("published", "1.0", "ghcr.io/Octo-Org/App:1.0"), &format!("pushed {app}:1.0@sha256:aaaa"));
    check(github("updated", "", "ghcr.io/Octo-Org/App:"), &format!("pushed {app}@sha256:aaaa"));
    check(github("published", "", ""), &format!("pushed {app}@sha256:aaaa"));
    check(github("vanished", "1.0", ""), &format!("refresh {app}:1.0@sha256:aaaa"));
    let enterprise = "pushed containers.example.com/octo-org/app:1.0@sha256:aaaa";
    check(github("published", "1.0", "containers.example.com/Octo-Org/App:1.0"), enterprise);
    let mut npm = github("published", "1.0", "");
    npm["package"]["ecosystem"] = json!("npm");
    npm["package"]["package_type"] = json!("npm");
    check(npm, "ignored: the package is no container image");

    let mut renamed = github("published", "1.0", "");
    renamed["registry_package"] = renamed["package"].take();
    let reception = from_github("registry_package", &renamed.to_string()).to(&*source);
    let event = event(&reception);
    assert_eq!(event.dedup_key, "72d3162e-cc78-11e3-81ab-4c9367dc0958");
    assert_eq!(event.time.as_ref().unwrap().raw, "2026-02-03T04:05:06Z", "the version's own time is Go's zero");
    assert_eq!((event.actor.as_deref(), event.media_type.as_deref()), (Some("octocat"), Some(MANIFEST)));
    assert_eq!(from_github("ping", "{}").to(&*source).verdict, Verdict::Handshake);
    assert_eq!(outcome(&from_github("push", "{}").to(&*source)), "ignored: event `push` is not about packages");
}

#[test]
fn github_sends_forms_unless_told_otherwise() {
    let json = github("published", "1.0", "ghcr.io/octo-org/app:1.0").to_string();
    let escaped: String = json
        .bytes()
        .map(|byte| match byte {
            b' ' => "+".to_owned(),
            byte if byte.is_ascii_alphanumeric() => char::from(byte).to_string(),
            byte => format!("%{byte:02X}"),
        })
        .collect();
    let form = from_github("package", &format!("payload={escaped}"))
        .header("content-type", "application/x-www-form-urlencoded");
    assert_eq!(outcome(&form.to(&*source("github", config()))), "pushed ghcr.io/octo-org/app:1.0@sha256:aaaa");
}

/// GitHub's page on validating deliveries gives this secret, payload and signature.
#[test]
fn githubs_own_vector() {
    let source = source("github", SourceConfig::new([Secret::new("It's a Secret to Everybody")]));
    let delivery = |signature: &str| {
        let reception =
            Delivery::new("Hello, World!").header("x-github-event", "ping").header("x-hub-signature-256", signature);
        is_rejected(&reception.to(&*source))
    };
    let signature = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
    assert!(!delivery(signature));
    assert!(delivery(&signature.replace("sha256=", "")));
    assert!(delivery(&signature.replace("sha256=", "sha1=")));
    assert!(delivery(&signature.replace('7', "8")));
}
