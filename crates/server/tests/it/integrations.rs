//! Integrations, their repositories, tokens and the audit log, as somebody with a token sees them.

use std::sync::atomic::Ordering;

use http::StatusCode;
use serde_json::{Value, json};
use supercargo_engine::store::Role;
use supercargo_server::Access;

use crate::kit::Kit;

fn main() -> Value {
    json!({"name": "main", "kind": "oci", "registry": "registry.test"})
}

#[tokio::test]
async fn an_integration_from_its_beginning_to_its_end() {
    let kit = Kit::new(Access::Closed).await;
    let admin = kit.token(Role::Admin, &[]).await;
    let ask = async |method: &str, path: &str, body: Option<Value>| kit.ask(method, path, Some(&admin), body).await;

    let made = ask("POST", "/v1/integrations", Some(main())).await;
    assert_eq!((made.status, made.header("location")), (StatusCode::CREATED, Some("/v1/integrations/main")));
    assert_eq!((&made.json()["state"], &made.json()["event_secret"]), (&json!("pending"), &Value::Null));
    let again = ask("POST", "/v1/integrations", Some(main())).await;
    assert_eq!(again.status, StatusCode::CONFLICT);
    assert!(again.text.contains("there is one of this name"), "{}", again.text);

    let tested = ask("POST", "/v1/integrations/main/test", None).await.json();
    assert_eq!((&tested["passed"], &tested["integration"]["state"]), (&json!(true), &json!("connected")), "{tested}");
    assert!(tested["steps"].as_array().unwrap().len() > 3, "{tested}");
    kit.broken.store(true, Ordering::Relaxed);
    let tested = ask("POST", "/v1/integrations/main/test", None).await.json();
    assert_eq!((&tested["passed"], &tested["integration"]["state"]), (&json!(false), &json!("error")), "{tested}");
    kit.broken.store(false, Ordering::Relaxed);
    assert_eq!(ask("GET", "/v1/integrations?state=error", None).await.json()["items"][0]["name"], "main");
    assert_eq!(ask("GET", "/v1/integrations?state=pending", None).await.json()["items"], json!([]));
    let history = ask("GET", "/v1/integrations/main/history", None).await.json();
    let states: Vec<_> = history["items"].as_array().unwrap().iter().map(|step| step["to"].as_str().unwrap()).collect();
    assert_eq!(states, ["error", "connected", "pending"]);

    let policy = json!({"enable_on_push": true, "selection": {"include": ["team/*"], "newer_than_seconds": 3600}});
    let changed = ask("PUT", "/v1/integrations/main/policy", Some(policy)).await.json();
    assert_eq!(changed["policy"]["selection"]["include"], json!(["team/*"]));
    let shown = ask("GET", "/v1/integrations/main", None).await.json();
    assert_eq!(shown["policy"], changed["policy"]);
    let settings = ask("PUT", "/v1/integrations/main/settings", Some(json!({"concurrency": "4"}))).await.json();
    assert_eq!(settings["settings"], json!({"concurrency": "4"}));
    let bad = ask("PUT", "/v1/integrations/main/settings", Some(json!({"colour": "red"}))).await;
    assert_eq!(bad.status, StatusCode::BAD_REQUEST);
    assert!(bad.text.contains("colour is no key"), "{}", bad.text);

    let removed = ask("DELETE", "/v1/integrations/main?data=delete", None).await.json();
    assert_eq!((&removed["repositories"], &removed["images"]), (&json!(1), &json!(1)), "{removed}");
    assert_eq!(removed["integration"]["state"], "removed");
    assert_eq!(ask("GET", "/v1/images", None).await.json()["items"], json!([]));
    assert_eq!(ask("GET", "/v1/integrations/main", None).await.status, StatusCode::NOT_FOUND);
    assert_eq!(ask("GET", "/v1/integrations", None).await.json()["items"], json!([]));
    let all = ask("GET", "/v1/integrations?include_removed", None).await.json();
    assert_eq!(all["items"][0]["removed_data"], "delete");
}

#[tokio::test]
async fn credentials_go_in_and_never_come_out() {
    let kit = Kit::new(Access::Closed).await;
    let admin = kit.token(Role::Admin, &[]).await;
    let ask = async |method: &str, path: &str, body: Option<Value>| kit.ask(method, path, Some(&admin), body).await;
    let mut body = main();
    body["credentials"] = json!({"registry": {"username": "robot", "password": "hunter2"}});
    body["settings"] = json!({"events": "distribution"});
    let made = ask("POST", "/v1/integrations", Some(body)).await.json();
    let first = made["event_secret"].as_str().expect("its deliveries carry a secret").to_owned();
    assert!(made["credentials"]["changed_at"].is_string(), "{made}");

    // Another password; what is left out stays, and so does the secret, which is not told again.
    let path = "/v1/integrations/main/credentials";
    let changed =
        ask("PUT", path, Some(json!({"registry": {"username": "robot", "password": "swordfish"}}))).await.json();
    assert_eq!(changed["event_secret"], Value::Null, "{changed}");
    assert_ne!(changed["credentials"]["changed_at"], Value::Null);
    let fresh = ask("PUT", path, Some(json!({"new_event_secret": true}))).await.json();
    let second = fresh["event_secret"].as_str().expect("a new one is told").to_owned();
    assert_ne!(first, second);

    let integrations = kit.engine.integrations().unwrap();
    let integration = integrations.find("main").await.unwrap();
    let kept = integrations.credentials(&integration).await.unwrap();
    let secrets: Vec<_> = kept.event_secrets.iter().map(|secret| secret.expose()).collect();
    assert_eq!(secrets, [second.as_str(), first.as_str()], "the one before stays good for a while");
    assert!(format!("{:?}", kept.registry).contains("robot"));
    ask("PUT", path, Some(json!({"registry": null}))).await;
    let integration = integrations.find("main").await.unwrap();
    assert_eq!(integrations.credentials(&integration).await.unwrap().registry, None);

    for path in ["/v1/integrations", "/v1/integrations/main", "/v1/integrations/main/history", "/v1/audit", "/readyz"] {
        let told = ask("GET", path, None).await.text;
        for secret in ["hunter2", "swordfish", &first, &second] {
            assert!(!told.contains(secret), "{path}: {told}");
        }
    }
    for bad in [json!({"registry": {"username": "robot"}}), json!({"password": "x"}), json!(3)] {
        assert_eq!(ask("PUT", path, Some(bad.clone())).await.status, StatusCode::UNPROCESSABLE_ENTITY, "{bad}");
    }
}

#[tokio::test]
async fn repositories_are_enabled_and_disabled() {
    let kit = Kit::new(Access::Closed).await;
    let (admin, editor) = (kit.token(Role::Admin, &[]).await, kit.token(Role::Editor, &[]).await);
    kit.ask("POST", "/v1/integrations", Some(&admin), Some(main())).await;
    let path = "/v1/integrations/main/repositories";
    let choose = async |body: Value| kit.ask("POST", path, Some(&editor), Some(body)).await;
    let changed = choose(json!({"enable": ["team/app", "team/web"], "disable": ["team/old"]})).await.json();
    assert_eq!(changed["items"].as_array().unwrap().len(), 3, "{changed}");
    let changed = choose(json!({"enable": ["team/app"], "disable": ["team/web"]})).await.json();
    assert_eq!(changed["items"].as_array().unwrap().len(), 1, "only what changes is told: {changed}");
    for bad in [json!({"enable": ["a"], "disable": ["a"]}), json!({"enable": ["UPPER"]}), json!({"enable": [""]})] {
        assert_eq!(choose(bad.clone()).await.status, StatusCode::BAD_REQUEST, "{bad}");
    }
    assert_eq!(choose(json!({"toggle": ["a"]})).await.status, StatusCode::UNPROCESSABLE_ENTITY);

    for (query, expected) in [
        ("", "team/app team/old team/web"),
        ("?enabled=true", "team/app"),
        ("?enabled=false&integration=main", "team/old team/web"),
        ("?integration=other", ""),
        ("?registry=registry.test&repository=team/old", "team/old"),
    ] {
        let listed = kit.ask("GET", &format!("/v1/repositories{query}"), Some(&editor), None).await.json();
        let names: Vec<_> =
            listed["items"].as_array().unwrap().iter().map(|one| one["repository"].as_str().unwrap()).collect();
        assert_eq!(names.join(" "), expected, "{query}");
    }
    let first = kit.ask("GET", "/v1/repositories?limit=2", Some(&editor), None).await.json();
    let next = format!("/v1/repositories?limit=2&cursor={}", first["next"].as_str().unwrap());
    let rest = kit.ask("GET", &next, Some(&editor), None).await.json();
    assert_eq!((&rest["items"][0]["repository"], &rest["next"]), (&json!("team/web"), &Value::Null));
}

#[tokio::test]
async fn tokens_are_made_shown_once_and_revoked() {
    let kit = Kit::new(Access::Closed).await;
    let admin = kit.token(Role::Admin, &[]).await;
    let wanted = json!({"name": "ci", "role": "viewer"});
    let made = kit.ask("POST", "/v1/tokens", Some(&admin), Some(wanted.clone())).await;
    assert_eq!(made.status, StatusCode::CREATED);
    let (id, text) = (made.json()["id"].clone(), made.json()["text"].as_str().unwrap().to_owned());
    assert!(text.starts_with("scg_"), "{text}");
    assert_eq!(kit.ask("POST", "/v1/tokens", Some(&admin), Some(wanted)).await.status, StatusCode::CONFLICT);
    assert_eq!(kit.ask("GET", "/v1/images", Some(&text), None).await.status, StatusCode::OK);
    let listed = kit.ask("GET", "/v1/tokens", Some(&admin), None).await;
    assert_eq!(listed.json()["items"][1]["name"], "ci");
    assert!(listed.json()["items"][1]["used_at"].is_string() && !listed.text.contains(&text));

    let path = format!("/v1/tokens/{id}");
    assert_eq!(kit.ask("DELETE", &path, Some(&admin), None).await.status, StatusCode::NO_CONTENT);
    assert_eq!(kit.ask("GET", "/v1/images", Some(&text), None).await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(kit.ask("DELETE", "/v1/tokens/99999", Some(&admin), None).await.status, StatusCode::NOT_FOUND);
    assert_eq!(kit.ask("DELETE", "/v1/tokens/x", Some(&admin), None).await.status, StatusCode::BAD_REQUEST);

    let log = kit.ask("GET", "/v1/audit?action=token&subject=ci", Some(&admin), None).await.json();
    let told: Vec<_> = log["items"].as_array().unwrap().iter().map(|entry| entry["action"].as_str().unwrap()).collect();
    assert_eq!(told, ["token.revoke", "token.create"]);
    let actor = log["items"][0]["actor"].as_str().unwrap();
    assert!(actor.starts_with("token:admin"), "{actor}");
    let nobody = kit.ask("GET", "/v1/audit?actor=nobody&since=2026-01-01T00:00:00Z", Some(&admin), None).await.json();
    assert_eq!(nobody["items"], json!([]));
}

#[tokio::test]
async fn a_token_for_one_integration_sees_no_other() {
    let kit = Kit::new(Access::Closed).await;
    let admin = kit.token(Role::Admin, &[]).await;
    for (name, registry) in [("main", "registry.test"), ("other", "other.test")] {
        let body = json!({"name": name, "kind": "oci", "registry": registry});
        assert_eq!(kit.ask("POST", "/v1/integrations", Some(&admin), Some(body)).await.status, StatusCode::CREATED);
        let path = format!("/v1/integrations/{name}/repositories");
        kit.ask("POST", &path, Some(&admin), Some(json!({"enable": ["team/app"]}))).await;
    }
    let (mine, theirs) = (kit.token(Role::Admin, &["main"]).await, kit.token(Role::Admin, &["other"]).await);
    let count = async |path: &str, token: &str| {
        let reply = kit.ask("GET", path, Some(token), None).await;
        assert_eq!(reply.status, StatusCode::OK, "{path}: {}", reply.text);
        reply.json()["items"].as_array().unwrap().len()
    };
    for path in ["/v1/integrations", "/v1/repositories"] {
        assert_eq!(
            (count(path, &admin).await, count(path, &mine).await, count(path, &theirs).await),
            (2, 1, 1),
            "{path}"
        );
    }
    for path in ["/v1/images", "/v1/packages", "/v1/registries"] {
        assert_eq!(count(path, &admin).await, count(path, &mine).await, "{path}");
        assert_ne!(count(path, &mine).await, 0, "{path}");
        assert_eq!(count(path, &theirs).await, 0, "{path}");
    }
    let image = format!("/v1/images/{}", kit.digest);
    assert_eq!(kit.ask("GET", &image, Some(&mine), None).await.status, StatusCode::OK);
    assert_eq!(kit.ask("GET", &image, Some(&theirs), None).await.status, StatusCode::NOT_FOUND);
    for (method, path) in [
        ("GET", "/v1/integrations/main"),
        ("GET", "/v1/integrations/main/history"),
        ("POST", "/v1/integrations/main/test"),
        ("DELETE", "/v1/integrations/main?data=keep"),
    ] {
        assert_eq!(kit.ask(method, path, Some(&theirs), None).await.status, StatusCode::NOT_FOUND, "{path}");
    }
    for path in ["/v1/tokens", "/v1/audit", "/v1/queue", "/metrics"] {
        assert_eq!(kit.ask("GET", path, Some(&theirs), None).await.status, StatusCode::FORBIDDEN, "{path}");
    }
    let third = json!({"name": "third", "kind": "oci", "registry": "third.test"});
    assert_eq!(kit.ask("POST", "/v1/integrations", Some(&theirs), Some(third)).await.status, StatusCode::FORBIDDEN);
    // What is theirs, they may end.
    let ended = kit.ask("DELETE", "/v1/integrations/other?data=keep", Some(&theirs), None).await;
    assert_eq!(ended.status, StatusCode::OK);
}

#[tokio::test]
async fn requests_that_make_no_sense_are_told_why() {
    let kit = Kit::new(Access::Closed).await;
    let admin = kit.token(Role::Admin, &[]).await;
    for (method, path, body, expected) in [
        ("POST", "/v1/integrations", Some(json!({"name": "a/b", "kind": "oci", "registry": "r.test"})), 400),
        ("POST", "/v1/integrations", Some(json!({"name": "a"})), 422),
        ("POST", "/v1/integrations", Some(json!({"name": "a", "kind": "oci"})), 400),
        ("POST", "/v1/integrations", None, 415),
        ("GET", "/v1/integrations?state=lost", None, 400),
        ("GET", "/v1/repositories?enabled=perhaps", None, 400),
        ("DELETE", "/v1/integrations/main?data=keep", None, 404),
        ("PUT", "/v1/integrations/main/policy", Some(json!({})), 404),
        ("GET", "/v1/audit?since=yesterday", None, 400),
        ("POST", "/v1/tokens", Some(json!({"name": "", "role": "viewer"})), 400),
        ("POST", "/v1/tokens", Some(json!({"name": "a", "role": "king"})), 422),
    ] {
        let reply = kit.ask(method, path, Some(&admin), body).await;
        assert_eq!(reply.status.as_u16(), expected, "{method} {path}: {}", reply.text);
        assert_eq!(reply.header("content-type"), Some("application/problem+json"), "{method} {path}");
        assert_eq!(reply.json()["status"], expected, "{method} {path}");
    }
    // Nobody deletes by leaving something out.
    let body = json!({"name": "main", "kind": "oci", "registry": "registry.test"});
    kit.ask("POST", "/v1/integrations", Some(&admin), Some(body)).await;
    let reply = kit.ask("DELETE", "/v1/integrations/main", Some(&admin), None).await;
    assert_eq!(reply.status, StatusCode::BAD_REQUEST);
    assert!(reply.text.contains("data"), "{}", reply.text);
}
