//! Artifactory's webhooks, signed by openssl.

use jiff::SignedDuration;
use serde_json::{Value, json};
use supercargo_events::SourceConfig;

use crate::kit::{Delivery, SECRET, config, digest, event, events, is_rejected, outcome, refused, source};

const HOST: &str = "example.jfrog.io";

fn docker(kind: &str, more: Value) -> Value {
    let mut data = json!({
        "repo_key": "docker-local", "path": "team/app/1.0/list.manifest.json", "name": "list.manifest.json",
        "sha256": "a".repeat(64), "size": 1206, "image_name": "team/app", "tag": "1.0",
        "platforms": [{"architecture": "amd64", "os": "linux"}]
    });
    data.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    json!({
        "domain": "docker", "event_type": kind, "data": data, "subscription_key": "images",
        "jpd_origin": format!("https://{HOST}"), "source": "jfrog/jfrt@01"
    })
}

fn artifact(kind: &str, path: &str, more: Value) -> Value {
    let name = path.rsplit('/').next().unwrap();
    let mut data = json!({"repo_key": "docker-local", "path": path, "name": name, "sha256": "a".repeat(64), "size": 1});
    data.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    json!({"domain": "artifact", "event_type": kind, "data": data, "subscription_key": "all", "source": "jfrog/x"})
}

fn received(config: SourceConfig, body: &Value) -> String {
    outcome(&Delivery::new(body).header("x-jfrog-event-auth", SECRET).to(&*source("artifactory", config)))
}

#[test]
fn three_generations_of_one_event() {
    let mut first = docker("pushed", json!({}))["data"].clone();
    first["event_type"] = json!("pushed");
    let second = docker("pushed", json!({"event_type": "pushed"}));
    let mut third = docker("pushed", json!({"image_type": "oci"}));
    third["userContext"] = json!({"id": "jane", "isToken": false, "realm": "internal"});
    let pushed = |host: &str| format!("pushed {host}/docker-local/team/app:1.0@sha256:aaaa");
    assert_eq!(received(config(), &first), pushed("?"));
    assert_eq!(received(config(), &second), pushed(HOST));
    assert_eq!(received(config(), &third), pushed(HOST));
    assert_eq!(received(config().with_host("registry.example.com"), &third), pushed("registry.example.com"));
    let reception = Delivery::new(&third).header("x-jfrog-event-auth", SECRET).to(&*source("artifactory", config()));
    assert_eq!(event(&reception).actor.as_deref(), Some("jane"));
    // Required are three members, and of those of `data` one.
    let least =
        json!({"domain": "docker", "event_type": "pushed", "data": {"repo_key": "r", "path": "a/1/manifest.json"}});
    assert_eq!(received(config(), &least), "pushed ?/r/a:1");
}

#[test]
fn what_each_event_means() {
    let check = |body: Value, expected: &str| assert_eq!(received(config().with_host(HOST), &body), expected, "{body}");
    let app = format!("{HOST}/docker-local/team/app");
    check(docker("deleted", json!({})), &format!("deleted {app}:1.0@sha256:aaaa"));
    check(docker("promoted", json!({})), &format!("refresh {app}:1.0@sha256:aaaa"));
    check(
        docker("promoted", json!({"target_repo": "docker-prod", "target_tag": "1.0-rc"})),
        &format!("refresh {app}:1.0@sha256:aaaa, pushed {HOST}/docker-prod/team/app:1.0-rc@sha256:aaaa"),
    );
    check(docker("licked", json!({})), "ignored: event `licked` is not known");
    // A platform's manifest lies in a folder named by its digest.
    let folder = format!("sha256__{}", "b".repeat(64));
    check(docker("pushed", json!({"tag": folder, "sha256": null})), &format!("pushed {app}@sha256:bbbb"));
    check(docker("pushed", json!({"tag": digest('b'), "sha256": "sample_checksum"})), &format!("refresh {app}"));
    check(docker("pushed", json!({"image_name": null, "path": null})), "malformed: it names no image");
    check(docker("pushed", json!({"repo_key": null})), "malformed: invalid type: null, expected a string");

    let path = "team/app/1.0/manifest.json";
    check(artifact("deployed", path, json!({})), &format!("pushed {app}:1.0@sha256:aaaa"));
    check(artifact("cached", path, json!({})), &format!("pushed {app}:1.0@sha256:aaaa"));
    check(artifact("deleted", path, json!({})), &format!("deleted {app}:1.0@sha256:aaaa"));
    check(artifact("deployed", "some.log", json!({})), "ignored: `some.log` is no manifest");
    check(artifact("deleted", "team/app", json!({})), "ignored: `app` is no manifest");
    let moved =
        json!({"source_repo_path": format!("docker-local/{path}"), "target_repo_path": format!("docker-prod/{path}")});
    let there = format!("pushed {HOST}/docker-prod/team/app:1.0@sha256:aaaa");
    check(artifact("moved", path, moved.clone()), &format!("refresh {app}:1.0@sha256:aaaa, {there}"));
    check(artifact("copied", path, moved), &there);
    let body = json!({"domain": "build", "event_type": "uploaded", "data": {}});
    check(body, "ignored: domain `build` is not about images");
    check(json!({}), "malformed: the body is no event: missing field `event_type` at line 1 column 2");
}

#[test]
fn references_follow_the_layout() {
    let check = |layout: &str, host: &str, expected: &str| {
        let config = config().with_host(host).with_option("layout", layout);
        assert_eq!(received(config, &docker("pushed", json!({}))), expected);
    };
    check("path", HOST, &format!("pushed {HOST}/docker-local/team/app:1.0@sha256:aaaa"));
    check("subdomain", HOST, &format!("pushed docker-local.{HOST}/team/app:1.0@sha256:aaaa"));
    check("port", "images.example.com:5001", "pushed images.example.com:5001/team/app:1.0@sha256:aaaa");
    let shown = config().with_option("virtual-repository", "docker").with_option("repositories", "docker-local, other");
    assert_eq!(
        received(shown.clone(), &docker("pushed", json!({}))),
        format!("pushed {HOST}/docker/team/app:1.0@sha256:aaaa")
    );
    let other = docker("pushed", json!({"repo_key": "docker-remote-cache"}));
    assert_eq!(received(shown, &other), "ignored: event 0: repository docker-remote-cache is not one of this source's");
    assert_eq!(
        refused("artifactory", config().with_option("layout", "door").with_option("signing", "maybe")),
        "configure the source: option `signing` is `maybe`: expected true or false or either; option \
         `layout` is `door`: expected path or subdomain or port"
    );
}

/// JFrog says how to check it: `echo -n 'PAYLOAD' | openssl sha256 -hmac "SECRET"`.
fn signature(secret: &str, body: &[u8]) -> String {
    let output = crate::kit::openssl(&["sha256", "-hmac", secret], body);
    let text = String::from_utf8(output).unwrap();
    text.trim().rsplit(' ').next().unwrap().to_owned()
}

#[test]
fn a_signed_body_is_told_from_a_changed_one() {
    let body = docker("pushed", json!({})).to_string();
    let signs = SourceConfig::new(["new", "old"].map(supercargo_events::Secret::new)).with_option("signing", "true");
    let source = source("artifactory", signs);
    let check = |body: &str, value: &str, accepted: bool| {
        let reception = Delivery::new(body).header("x-jfrog-event-auth", value).to(&*source);
        assert_eq!(!is_rejected(&reception), accepted, "{value}");
    };
    for secret in ["new", "old"] {
        check(&body, &signature(secret, body.as_bytes()), true);
        check(&body, &signature(secret, body.as_bytes()).to_uppercase(), true);
        check(&format!("{body} "), &signature(secret, body.as_bytes()), false);
    }
    check(&body, &signature("other", body.as_bytes()), false);
    check(&body, "new", false);
    check(&body, "", false);
    // Nor does a signature pass for the secret.
    let plain = crate::kit::source("artifactory", config());
    let reception = Delivery::new(&body).header("x-jfrog-event-auth", signature(SECRET, body.as_bytes())).to(&*plain);
    assert!(is_rejected(&reception));
    // Unless the operator cannot say which it is.
    let either = crate::kit::source("artifactory", config().with_option("signing", "either"));
    let check = |value: &str, accepted: bool| {
        let reception = Delivery::new(&body).header("x-jfrog-event-auth", value).to(&*either);
        assert_eq!(!is_rejected(&reception), accepted, "{value}");
    };
    check(SECRET, true);
    check(&signature(SECRET, body.as_bytes()), true);
    check(&signature("other", body.as_bytes()), false);
    check(&signature(SECRET, b"{}"), false);
    check("other", false);
    let refused = refused("artifactory", SourceConfig::default().with_option("signing", "either"));
    assert_eq!(refused.matches("no secret").count(), 1, "{refused}");
}

#[test]
fn the_same_push_counts_again_after_a_while() {
    let source = source("artifactory", config());
    let delivery = Delivery::new(docker("pushed", json!({}))).header("x-jfrog-event-auth", SECRET);
    let key = |delivery: Delivery| event(&delivery.to(&*source)).dedup_key.clone();
    let now = "2026-02-03T04:01:00Z".parse().unwrap();
    let first = key(delivery.clone().at(now));
    // The sender repeats for some forty seconds.
    assert_eq!(key(delivery.clone().at(now + SignedDuration::from_secs(40))), first);
    assert_ne!(key(delivery.at(now + SignedDuration::from_mins(11))), first);
    let promoted = docker("promoted", json!({"target_repo": "docker-prod"}));
    let reception = Delivery::new(promoted).header("x-jfrog-event-auth", SECRET).to(&*source);
    let [first, second] = &events(&reception)[..] else { panic!("{reception:?}") };
    assert_ne!(first.dedup_key, second.dedup_key);
}
