//! What the stand-in answers.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

use axum::response::Response;
use http::header::{LINK, WWW_AUTHENTICATE};
use http::{HeaderValue, StatusCode};
use serde_json::json;

use super::State;
use super::aql::{Item, Query};
use super::options::Sort;
use super::webhooks;
use crate::product::{Call, Caller, forward, json_response, text_response};

/// Queries that run at a time; more are refused, where Artifactory would let them wait for ten seconds first.
const QUERIES_AT_ONCE: usize = 3;

pub(super) async fn answer(state: Arc<State>, call: Call) -> Response {
    if call.path().starts_with(webhooks::PATH) {
        return webhooks::answer(state, call).await;
    }
    let caller = state.accounts.caller(call.headers());
    let open = state.accounts.is_open();
    let known = open || caller == Caller::Known;
    match caller {
        Caller::Wrong => return error(StatusCode::UNAUTHORIZED, "Bad Credentials"),
        Caller::Locked => {
            return error(StatusCode::UNAUTHORIZED, "Your account is locked: too many failed login attempts");
        }
        Caller::Stranger if !open && !state.options.anonymous => return challenge(),
        Caller::Stranger | Caller::Known => {}
    }
    let Some(path) = call.path().strip_prefix("/artifactory/api/").map(str::to_owned) else {
        return error(StatusCode::NOT_FOUND, "not found");
    };
    match (call.method(), path.as_str()) {
        ("GET", "system/ping") => text_response(StatusCode::OK, "OK"),
        ("GET", "repositories") => repositories(&state, known),
        ("POST", "search/aql") => query(&state, &call, known).await,
        _ => match path.strip_prefix("docker/").and_then(|rest| rest.split_once("/v2")) {
            Some((key, rest)) if rest.is_empty() || rest.starts_with('/') => {
                docker(&state, call, key, &format!("/v2{rest}"), known).await
            }
            _ => error(StatusCode::NOT_FOUND, "not found"),
        },
    }
}

fn error(status: StatusCode, message: &str) -> Response {
    let body = json!({"errors": [{"status": status.as_u16(), "message": message}]});
    let mut response = json_response(status, &body);
    if status == StatusCode::UNAUTHORIZED {
        let basic = HeaderValue::from_static("Basic realm=\"Artifactory Realm\"");
        response.headers_mut().insert(WWW_AUTHENTICATE, basic);
    }
    response
}

/// What strangers get: the address of a token service, which takes the same passwords and counts them, too.
fn challenge() -> Response {
    let mut response = error(StatusCode::UNAUTHORIZED, "Authentication is required");
    let bearer = HeaderValue::from_static("Bearer realm=\"http://127.0.0.1:9/artifactory/api/docker/null/v2/token\"");
    response.headers_mut().insert(WWW_AUTHENTICATE, bearer);
    response
}

fn repositories(state: &State, known: bool) -> Response {
    let shown = state.options.repositories.iter().filter(|(key, _)| known && !state.options.hidden.contains(key));
    let listed: Vec<_> = shown
        .map(|(key, sort)| {
            let sort = match sort {
                Sort::Local => "LOCAL",
                Sort::Federated => "FEDERATED",
                Sort::Remote => "REMOTE",
                Sort::Virtual(_) => "VIRTUAL",
            };
            json!({"key": key, "type": sort, "url": format!("http://localhost/artifactory/{key}"), "packageType": "Docker"})
        })
        .collect();
    json_response(StatusCode::OK, &json!(listed))
}

/// The registries behind a key, the first that has something answers.
fn members<'a>(state: &'a State, key: &str) -> Vec<&'a str> {
    let Some((key, sort)) = state.options.repositories.iter().find(|(known, _)| known == key) else {
        return Vec::new();
    };
    match sort {
        Sort::Virtual(members) => members.iter().map(String::as_str).collect(),
        _ => vec![key],
    }
}

async fn docker(state: &State, call: Call, key: &str, path: &str, known: bool) -> Response {
    let members = members(state, key);
    if members.is_empty() {
        return error(StatusCode::NOT_FOUND, &format!("repository {key} is not found"));
    }
    if !known && path != "/v2/" && path != "/v2" {
        return error(StatusCode::NOT_FOUND, "The named manifest is not known to the registry.");
    }
    let handlers: Vec<_> = members.iter().map(|member| state.registries[*member].handler()).collect();
    if let (true, "/v2/_catalog") = (handlers.len() > 1, path) {
        let names: BTreeSet<String> =
            members.iter().flat_map(|member| state.registries[*member].repositories()).collect();
        return json_response(StatusCode::OK, &json!({"repositories": names}));
    }
    let root = format!("/artifactory/api/docker/{key}/v2/");
    let (last, first) = handlers.split_last().expect("there are members");
    for handler in first {
        let again = Call { parts: call.parts.clone(), body: call.body.clone() };
        let response = forward(handler, again, path, &root).await;
        if response.status() != StatusCode::NOT_FOUND {
            return response;
        }
    }
    let mut response = forward(last, call, path, &root).await;
    if state.options.foreign_links
        && let Some(link) = response.headers().get(LINK).and_then(|link| link.to_str().ok())
        && let Ok(link) = link.replace("</artifactory/api/docker", "<http://proxy.invalid").parse()
    {
        response.headers_mut().insert(LINK, link);
    }
    response
}

async fn query(state: &State, call: &Call, known: bool) -> Response {
    let running = state.queries_at_once.fetch_add(1, Ordering::SeqCst) + 1;
    state.most_queries_at_once.fetch_max(running, Ordering::SeqCst);
    // Queries take their time, so that those that are sent together run together.
    tokio::time::sleep(std::time::Duration::from_millis(2)).await;
    let response = if running > QUERIES_AT_ONCE {
        error(StatusCode::TOO_MANY_REQUESTS, "Too many AQL queries")
    } else {
        run(state, call, known)
    };
    state.queries_at_once.fetch_sub(1, Ordering::SeqCst);
    response
}

fn run(state: &State, call: &Call, known: bool) -> Response {
    if let Some(status) = state.options.queries {
        return error(StatusCode::from_u16(status).unwrap_or(StatusCode::FORBIDDEN), "AQL is not available");
    }
    if !known {
        return error(StatusCode::FORBIDDEN, "AQL requires an authenticated user");
    }
    let text = String::from_utf8_lossy(&call.body);
    let most = state.options.most_rows;
    let rows = Query::parse(&text).and_then(|query| query.select(items(state), most));
    let rows = match rows {
        Ok(rows) => rows,
        Err(message) => return error(StatusCode::BAD_REQUEST, &message),
    };
    let mut range = json!({"start_pos": 0, "end_pos": rows.len(), "total": rows.len()});
    if let Some(most) = most.filter(|most| rows.len() >= *most && state.options.tells_of_limit) {
        range["limit"] = json!(most);
        range["notification"] = json!("AQL query reached the search hard limit, results are trimmed.");
    }
    json_response(StatusCode::OK, &json!({"results": rows, "range": range}))
}

/// Every file, under the key that stores it and under the virtual keys that show it.
fn items(state: &State) -> Vec<Item> {
    let mut items = Vec::new();
    for (key, sort) in &state.options.repositories {
        match sort {
            Sort::Virtual(members) => {
                for member in members {
                    // A query for a virtual key finds what it shows, and names where that is stored; the criterion on
                    // `repo` is then true of both, which a second row stands for here.
                    items.extend(files(state, member, key));
                }
            }
            Sort::Remote => items.extend(files(state, key, &format!("{key}-cache"))),
            Sort::Local | Sort::Federated => items.extend(files(state, key, key)),
        }
    }
    items
}

fn files(state: &State, key: &str, stored: &str) -> Vec<Item> {
    let times = state.times.lock().unwrap_or_else(PoisonError::into_inner);
    let registry = &state.registries[key];
    let mut items = Vec::new();
    let mut file = |path: String, name: &str, digest: &str, time: &str| {
        let hex = digest.trim_start_matches("sha256:");
        let mut item = json!({
            "repo": stored, "path": path, "name": name, "type": "file", "size": 528,
            "created": time, "modified": time, "updated": time,
        });
        if state.options.checksums {
            item["sha256"] = json!(hex);
        }
        items.extend(item.as_object().cloned());
    };
    for image in registry.repositories() {
        for (tag, digest, media_type) in registry.tagged(&image) {
            let place = (key.to_owned(), image.clone(), tag.clone());
            let time = times.get(&place).map_or("2026-01-01T00:00:00.000Z", String::as_str);
            let list = media_type.contains("index") || media_type.contains("manifest.list");
            let name = if list { "list.manifest.json" } else { "manifest.json" };
            file(format!("{image}/{tag}"), name, &digest, time);
            file(format!("{image}/{tag}"), &digest.replace(':', "__"), &digest, time);
        }
        for digest in registry.untagged(&image) {
            let folder = if state.options.colons { digest.clone() } else { digest.replace(':', "__") };
            file(format!("{image}/{folder}"), "manifest.json", &digest, "2026-01-01T00:00:00.000Z");
        }
    }
    file(".jfrog".to_owned(), "repository.catalog", "sha256:00", "2026-01-01T00:00:00.000Z");
    items
}
