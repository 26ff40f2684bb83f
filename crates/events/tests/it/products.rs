//! Harbor, Nexus and zot: registries that people run themselves.

use jiff::Timestamp;
use serde_json::{Value, json};
use supercargo_events::SourceConfig;

use crate::kit::{Delivery, MANIFEST, SECRET, config, digest, event, events, is_rejected, outcome, source};

fn resource(tag: &str) -> Value {
    json!({"digest": digest('a'), "tag": tag, "resource_url": format!("harbor.example.com/library/app:{tag}")})
}

fn harbor_data(resources: Value) -> Value {
    json!({
        "resources": resources,
        "repository": {"name": "app", "namespace": "library", "repo_full_name": "library/app", "repo_type": "private"}
    })
}

fn harbor(kind: &str, data: Value) -> Value {
    json!({"type": kind, "occur_at": 1770091506, "operator": "admin", "event_data": data})
}

#[test]
fn harbor_in_both_formats() {
    let source = source("harbor", config());
    let receive = |body: &Value| Delivery::new(body).header("authorization", SECRET).to(&*source);
    let check = |body: Value, expected: &str| {
        let reception = receive(&body);
        assert_eq!(outcome(&reception), expected, "{body}");
        assert!(reception.answer.status.is_success());
    };
    let one = harbor_data(json!([resource("1.0")]));
    let pushed = "pushed harbor.example.com/library/app:1.0@sha256:aaaa";
    check(harbor("PUSH_ARTIFACT", one.clone()), pushed);
    check(harbor("pushImage", one.clone()), pushed);
    check(harbor("DELETE_ARTIFACT", one.clone()), "deleted harbor.example.com/library/app:1.0@sha256:aaaa");
    check(harbor("PULL_ARTIFACT", one.clone()), "ignored: `PULL_ARTIFACT` changes no image");
    check(harbor("SCANNING_COMPLETED", json!({"scan": {}})), "ignored: `SCANNING_COMPLETED` changes no image");
    // No tag: the digest stands for it.
    let untagged = harbor_data(json!([resource(&digest('a'))]));
    check(harbor("PUSH_ARTIFACT", untagged), "pushed harbor.example.com/library/app@sha256:aaaa");
    let two = harbor_data(json!([resource("1.0"), resource("1.1")]));
    let body = harbor("PUSH_ARTIFACT", two);
    check(body.clone(), &format!("{pushed}, {}", pushed.replace("1.0", "1.1")));
    let keys: std::collections::BTreeSet<_> =
        events(&receive(&body)).iter().map(|event| event.dedup_key.clone()).collect();
    assert_eq!(keys.len(), 2);
    let cloud = json!({
        "specversion": "1.0", "requestid": "r", "id": "4b2f", "source": "/projects/1/webhook/policies/3",
        "type": "harbor.artifact.pushed", "datacontenttype": "application/json", "time": "2026-02-03T04:05:06Z",
        "data": one, "operator": "robot$ci"
    });
    check(cloud.clone(), pushed);
    let reception = receive(&cloud);
    let event = event(&reception);
    assert!(event.dedup_key.starts_with("/projects/1/webhook/policies/3/4b2f "), "{}", event.dedup_key);
    assert_eq!(event.actor.as_deref(), Some("robot$ci"));
    check(harbor("PUSH_ARTIFACT", json!(7)), "malformed: invalid type: integer `7`, expected struct Data");
    check(harbor("PUSH_ARTIFACT", harbor_data(json!([]))), "ignored: the envelope is empty");
    // Harbor names one artifact of all that a run deleted.
    let retention = json!({"retention": {
        "total": 9, "retained": 3, "harbor_hostname": "harbor.example.com", "project_name": "library",
        "deleted_artifact": [{"type": "image", "status": "Success", "name_tag": "app:1.0"}]
    }});
    check(harbor("TAG_RETENTION", retention), "refresh harbor.example.com/library/app");
    assert!(is_rejected(&Delivery::new(harbor("PUSH_ARTIFACT", json!({}))).header("authorization", "no").to(&*source)));
}

#[test]
fn harbors_event_is_known_again_by_what_happened_when() {
    let source = source("harbor", config());
    let key = |body: Value| {
        let reception = Delivery::new(body).header("authorization", SECRET).to(&*source);
        event(&reception).dedup_key.clone()
    };
    let push = harbor("PUSH_ARTIFACT", harbor_data(json!([resource("1.0")])));
    assert_eq!(key(push.clone()), key(push.clone()));
    let mut later = push.clone();
    later["occur_at"] = json!(1770091507);
    assert_ne!(key(later), key(push.clone()));
    assert_ne!(key(harbor("DELETE_ARTIFACT", harbor_data(json!([resource("1.0")])))), key(push));
}

fn nexus(action: &str, item: &str, more: Value) -> Value {
    let mut body = json!({
        "timestamp": "2026-02-03T04:05:06.123+0000", "nodeId": "7FFA", "initiator": "admin/127.0.0.1",
        "repositoryName": "docker-hosted", "action": action
    });
    body[item] = more;
    body
}

fn component(name: &str, version: &str) -> Value {
    json!({"id": "08", "componentId": "bn", "format": "docker", "name": name, "group": null, "version": version})
}

#[test]
fn nexus_components_and_assets() {
    let signature = |body: &str| {
        let output = crate::kit::openssl(&["sha1", "-hmac", SECRET], body.as_bytes());
        String::from_utf8(output).unwrap().trim().rsplit(' ').next().unwrap().to_owned()
    };
    let receive = |config: SourceConfig, body: &Value| {
        let body = body.to_string();
        Delivery::new(&body)
            .header("x-nexus-webhook-id", "rm:repository:component")
            .header("x-nexus-webhook-delivery", "7f4a6dde")
            .header("x-nexus-webhook-signature", signature(&body))
            .to(&*source("nexus", config))
    };
    let check = |body: Value, expected: &str| {
        let reception = receive(config().with_host("nexus.example.com:8443"), &body);
        assert_eq!(outcome(&reception), expected, "{body}");
    };
    let host = "nexus.example.com:8443";
    check(nexus("CREATED", "component", component("team/app", "1.0")), &format!("pushed {host}/team/app:1.0"));
    check(nexus("UPDATED", "component", component("team/app", "1.0")), &format!("pushed {host}/team/app:1.0"));
    check(nexus("DELETED", "component", component("team/app", "1.0")), &format!("deleted {host}/team/app:1.0"));
    let by_digest = component("team/app", &digest('a'));
    check(nexus("CREATED", "component", by_digest), &format!("pushed {host}/team/app@sha256:aaaa"));
    let asset = |name: &str| json!({"id": "31", "assetId": "bn", "format": "docker", "name": name});
    check(nexus("UPDATED", "asset", asset("v2/team/app/manifests/1.0")), &format!("pushed {host}/team/app:1.0"));
    check(
        nexus("CREATED", "asset", asset(&format!("/v2/team/app/manifests/{}", digest('b')))),
        &format!("pushed {host}/team/app@sha256:bbbb"),
    );
    check(nexus("CREATED", "asset", asset("v2/-/blobs/sha256:00")), "ignored: `v2/-/blobs/sha256:00` is no manifest");
    check(nexus("PURGED", "components", json!(["08"])), "ignored: a purge does not name what it removed");
    let package = json!({"format": "npm", "name": "left-pad", "version": "1"});
    check(nexus("CREATED", "component", package), "ignored: format `npm` is not docker");

    let body = nexus("CREATED", "component", component("app", "1"));
    let layout =
        |layout: &str| outcome(&receive(config().with_host("nexus.example.com").with_option("layout", layout), &body));
    assert_eq!(layout("path"), "pushed nexus.example.com/docker-hosted/app:1");
    assert_eq!(layout("subdomain"), "pushed docker-hosted.nexus.example.com/app:1");
    let reception = receive(config(), &body);
    assert_eq!(event(&reception).dedup_key, "7f4a6dde");
    assert!(event(&reception).time.as_ref().unwrap().instant.is_some(), "the zone has no colon");
    let forged = Delivery::new(&body).header("x-nexus-webhook-signature", signature("{}"));
    assert!(is_rejected(&forged.to(&*source("nexus", config()))));
}

#[test]
fn zots_events() {
    let source = source("zot", config().with_host("zot.example.com"));
    let send = |kind: &str, data: &Value| {
        Delivery::new(data)
            .header("authorization", format!("Bearer {SECRET}"))
            .header("ce-id", "ab12")
            .header("ce-source", "zotregistry.dev")
            .header("ce-time", "2026-02-03T04:05:06Z")
            .header("ce-specversion", "1.0")
            .header("ce-type", kind)
            .to(&*source)
    };
    let check = |kind: &str, data: Value, expected: &str| assert_eq!(outcome(&send(kind, &data)), expected, "{data}");
    let image = |reference: &str| {
        json!({
            "name": "team/app", "reference": reference, "digest": digest('a'), "mediaType": MANIFEST, "manifest": "{}",
            "actor": {"name": "jane"}
        })
    };
    check("zotregistry.image.updated", image("1.0"), "pushed zot.example.com/team/app:1.0@sha256:aaaa");
    check("zotregistry.image.updated", image(&digest('a')), "pushed zot.example.com/team/app@sha256:aaaa");
    check("com.example.registry.image.updated", image("1.0"), "pushed zot.example.com/team/app:1.0@sha256:aaaa");
    check("zotregistry.image.deleted", image("1.0"), "deleted zot.example.com/team/app:1.0@sha256:aaaa");
    check("zotregistry.image.scanned", image("1.0"), "ignored: type `zotregistry.image.scanned` changes no image");
    check(
        "zotregistry.repository.created",
        json!({"name": "a"}),
        "ignored: type `zotregistry.repository.created` changes no image",
    );
    check("zotregistry.image.updated", json!([]), "malformed: invalid length 0, expected struct Data with 5 elements");
    let reception = send("zotregistry.image.updated", &image("1.0"));
    assert_eq!(event(&reception).dedup_key, "zotregistry.dev/ab12");
    assert_eq!(event(&reception).actor.as_deref(), Some("jane"));

    // Out of a queue it comes in structured mode.
    let structured = json!({
        "specversion": "1.0", "id": "1", "source": "zotregistry.dev", "type": "zotregistry.image.updated", "data": image("2")
    });
    let reception = source.receive_trusted(structured.to_string().as_bytes(), Timestamp::UNIX_EPOCH);
    assert_eq!(outcome(&reception), "pushed zot.example.com/team/app:2@sha256:aaaa");
}
