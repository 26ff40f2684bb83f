//! The webhooks: `event/api/v1/subscriptions`, as JFrog's REST API documents it, and what they send.

use std::fmt::Write as _;
use std::sync::{Arc, MutexGuard, PoisonError};

use axum::response::Response;
use http::StatusCode;
use http::header::AUTHORIZATION;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::State;
use crate::http_client::{Outgoing, send};
use crate::product::{Call, json_response};
use crate::{Error, ErrorKind, Result};

/// Where they are managed.
pub(super) const PATH: &str = "/event/api/v1/subscriptions";

/// The events of the domain `docker`.
const EVENTS: [&str; 3] = ["pushed", "deleted", "promoted"];

pub(super) async fn answer(state: Arc<State>, call: Call) -> Response {
    let sent = call.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let manager = state.options.manager.as_ref().map(|token| format!("Bearer {token}"));
    match (sent, manager) {
        (Some(sent), Some(manager)) if sent == manager => {}
        (None, _) => return error(StatusCode::UNAUTHORIZED, "authentication is required"),
        // Whoever may read images need not be allowed to manage webhooks.
        _ => return error(StatusCode::FORBIDDEN, "insufficient permissions"),
    }
    let key = call.path().strip_prefix(PATH).unwrap_or_default().trim_matches('/').to_owned();
    let body: Value = serde_json::from_slice(&call.body).unwrap_or(Value::Null);
    match (call.method(), key.as_str()) {
        ("POST", "test") => match check(&body) {
            Ok(()) => test(&body).await,
            Err(problem) => error(StatusCode::BAD_REQUEST, &problem),
        },
        ("POST", "") => keep(&state, &body, None),
        ("PUT", key) => keep(&state, &body, Some(key)),
        ("GET", "") => json_response(StatusCode::OK, &json!(state.webhooks().values().map(shown).collect::<Vec<_>>())),
        ("GET", key) => match state.webhooks().get(key) {
            Some(webhook) => json_response(StatusCode::OK, &shown(webhook)),
            None => error(StatusCode::NOT_FOUND, "no such subscription"),
        },
        ("DELETE", key) => match state.webhooks().remove(key) {
            Some(_) => empty(StatusCode::NO_CONTENT),
            None => error(StatusCode::NOT_FOUND, "no such subscription"),
        },
        _ => error(StatusCode::METHOD_NOT_ALLOWED, "no such method"),
    }
}

impl State {
    pub(super) fn webhooks(&self) -> MutexGuard<'_, std::collections::BTreeMap<String, Value>> {
        self.webhooks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A subscription as it is answered: its secret is encrypted.
fn shown(webhook: &Value) -> Value {
    let mut shown = webhook.clone();
    if let Some(secret) = webhook["handlers"][0]["secret"].as_str() {
        shown["handlers"][0]["secret"] = json!(encrypted(secret));
    }
    shown
}

fn encrypted(secret: &str) -> String {
    format!("JE:{}", hmac(b"of this Artifactory", secret.as_bytes()))
}

fn keep(state: &State, body: &Value, changed: Option<&str>) -> Response {
    if let Err(problem) = check(body) {
        return error(StatusCode::BAD_REQUEST, &problem);
    }
    let key = body["key"].as_str().unwrap_or_default().to_owned();
    let mut webhooks = state.webhooks();
    match (changed, webhooks.contains_key(&key)) {
        (None, true) => return error(StatusCode::CONFLICT, "there is a subscription of that key"),
        (Some(changed), _) if changed != key => return error(StatusCode::BAD_REQUEST, "the key is another"),
        (Some(_), false) => return error(StatusCode::NOT_FOUND, "no such subscription"),
        _ => {}
    }
    let mut kept = body.clone();
    // One that comes back as it was answered stays as it was.
    let before = webhooks.get(&key).and_then(|webhook| webhook["handlers"][0]["secret"].as_str());
    if let Some(secret) = before.filter(|secret| body["handlers"][0]["secret"] == encrypted(secret)) {
        kept["handlers"][0]["secret"] = json!(secret);
    }
    webhooks.insert(key, kept);
    if changed.is_some() { empty(StatusCode::NO_CONTENT) } else { json_response(StatusCode::CREATED, body) }
}

/// What JFrog documents of a subscription of the domain `docker`.
fn check(body: &Value) -> std::result::Result<(), String> {
    let key = body["key"].as_str().unwrap_or_default();
    let letters = |byte: u8| byte.is_ascii_alphanumeric() || b"_-".contains(&byte);
    if !key.starts_with(|first: char| first.is_ascii_alphabetic()) || key.len() < 2 || !key.bytes().all(letters) {
        return Err(format!("key {key:?}: expected ^[A-Za-z][A-Za-z0-9_-]+$"));
    }
    let filter = &body["event_filter"];
    if filter["domain"] != "docker" {
        return Err("event_filter.domain".to_owned());
    }
    let known = |event: &Value| event.as_str().is_some_and(|event| EVENTS.contains(&event));
    if !filter["event_types"].as_array().is_some_and(|events| !events.is_empty() && events.iter().all(known)) {
        return Err("event_filter.event_types".to_owned());
    }
    let criteria = &filter["criteria"];
    for any in ["anyLocal", "anyRemote", "anyFederated"] {
        if !criteria[any].is_boolean() {
            return Err(format!("event_filter.criteria.{any}"));
        }
    }
    for list in ["repoKeys", "includePatterns", "excludePatterns"] {
        if !criteria[list].as_array().is_some_and(|all| all.iter().all(Value::is_string)) {
            return Err(format!("event_filter.criteria.{list}"));
        }
    }
    match body["handlers"].as_array().map(Vec::as_slice) {
        Some([handler]) if handler["handler_type"] == "webhook" && handler["url"].is_string() => Ok(()),
        _ => Err("handlers: expected one of the type webhook".to_owned()),
    }
}

/// Tests what is sent, as if it were a subscription. Whether the event was taken is in what is answered; the status is
/// 200 either way.
async fn test(webhook: &Value) -> Response {
    let event = pushed("test-repository", "test-image", "test-tag", &"0".repeat(64));
    let (result, message) = match deliver(webhook, &event).await {
        Ok(status) if (200..300).contains(&status) => ("success", "Test is successful".to_owned()),
        Ok(status) => ("failure", format!("the handler answered {status}")),
        Err(problem) => ("failure", problem.to_string()),
    };
    json_response(StatusCode::OK, &json!({ "result": result, "message": message }))
}

/// Tells the webhooks of a repository of a push, and answers what they said.
pub(super) async fn announce(state: &State, key: &str, image: &str, tag: &str, digest: &str) -> Result<Vec<u16>> {
    let wants = |webhook: &&Value| {
        let criteria = &webhook["event_filter"]["criteria"];
        let named = criteria["repoKeys"].as_array().is_some_and(|keys| keys.iter().any(|one| one == key));
        webhook["enabled"] == true && (named || criteria["anyLocal"] == true)
    };
    let webhooks: Vec<Value> = state.webhooks().values().filter(wants).cloned().collect();
    let event = pushed(key, image, tag, digest.trim_start_matches("sha256:"));
    let mut answers = Vec::new();
    for webhook in &webhooks {
        answers.push(deliver(webhook, &event).await?);
    }
    Ok(answers)
}

fn pushed(key: &str, image: &str, tag: &str, sha256: &str) -> Value {
    json!({
        "domain": "docker",
        "event_type": "pushed",
        "data": {
            "repo_key": key, "path": format!("{image}/{tag}/manifest.json"), "name": "manifest.json",
            "sha256": sha256, "size": 528, "image_name": image, "tag": tag, "platforms": [],
        },
        "subscription_key": "test", "source": "jfrog/test",
    })
}

async fn deliver(webhook: &Value, event: &Value) -> Result<u16> {
    let handler = &webhook["handlers"][0];
    let url = handler["url"].as_str().unwrap_or_default();
    let Some((authority, path)) = url.strip_prefix("http://").and_then(|rest| rest.split_once('/')) else {
        return Err(Error::new(ErrorKind::Protocol, "deliver an event", format!("{url:?} is not reached from here")));
    };
    let body = event.to_string();
    let mut headers = vec![("Content-Type".to_owned(), "application/json".to_owned())];
    if let Some(secret) = handler["secret"].as_str() {
        let proof = match handler["use_secret_for_signing"] == true {
            true => hmac(secret.as_bytes(), body.as_bytes()),
            false => secret.to_owned(),
        };
        headers.push(("X-JFrog-Event-Auth".to_owned(), proof));
    }
    let path = format!("/{path}");
    let request = Outgoing { authority, method: "POST", path: &path, headers: &headers, body: body.as_bytes() };
    Ok(send(request).await?.status)
}

/// HMAC-SHA256 (RFC 2104) in lower-case hexadecimal digits.
fn hmac(key: &[u8], message: &[u8]) -> String {
    const BLOCK: usize = 64;
    let mut block = [0; BLOCK];
    if key.len() > BLOCK {
        block[..32].copy_from_slice(&Sha256::digest(key));
    } else {
        block[..key.len()].copy_from_slice(key);
    }
    let pad = |with: u8| block.map(|byte| byte ^ with);
    let inner = Sha256::new().chain_update(pad(0x36)).chain_update(message).finalize();
    let outer = Sha256::new().chain_update(pad(0x5c)).chain_update(inner).finalize();
    outer.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn error(status: StatusCode, message: &str) -> Response {
    json_response(status, &json!({ "errors": [{ "message": message }] }))
}

fn empty(status: StatusCode) -> Response {
    let mut response = Response::default();
    *response.status_mut() = status;
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 4231, test cases 2 and 6.
    #[test]
    fn signatures() {
        let expected = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
        assert_eq!(hmac(b"Jefe", b"what do ya want for nothing?"), expected);
        let expected = "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54";
        assert_eq!(hmac(&[0xaa; 131], b"Test Using Larger Than Block-Size Key - Hash Key First"), expected);
    }
}
