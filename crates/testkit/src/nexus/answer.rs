//! What the stand-in answers: the REST API as its own description has it, and `Link` as users report it
//! (sonatype/nexus-public #1011).

use std::collections::BTreeSet;
use std::sync::{Arc, PoisonError};

use axum::response::Response;
use http::header::{LINK, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, StatusCode};
use serde_json::{Value, json};

use super::State;
use crate::product::{Call, Caller, forward, json_response, text_response};

/// Components in a page of a search.
const SEARCH_PAGE: usize = 50;

pub(super) async fn answer(state: Arc<State>, call: Call) -> Response {
    let known = match admit(&state, &call) {
        Ok(known) => known,
        Err(response) => return *response,
    };
    let path = call.path().to_owned();
    if let Some(rest) = path.strip_prefix("/service/rest/v1/") {
        return rest_api(&state, &call, rest, known);
    }
    // Every repository's registry is beside the API, under its name.
    if let Some((name, rest)) = path.strip_prefix("/repository/").and_then(|rest| rest.split_once("/v2")) {
        let root = format!("/repository/{name}/v2/");
        return docker(&state, call, name, &format!("/v2{rest}"), &root, known).await;
    }
    // Path-based routing: the repository is the first part of the image's name. There is no catalog this way.
    match path.strip_prefix("/v2/").map(|rest| rest.split_once('/')) {
        Some(None) if path == "/v2/" => json_response(StatusCode::OK, &json!({})),
        Some(Some((name, rest))) => {
            let root = format!("/v2/{name}/");
            docker(&state, call, name, &format!("/v2/{rest}"), &root, known).await
        }
        _ => text_response(StatusCode::NOT_FOUND, "not found"),
    }
}

/// The port of the first repository.
pub(super) async fn connector(state: Arc<State>, call: Call) -> Response {
    let known = match admit(&state, &call) {
        Ok(known) => known,
        Err(response) => return *response,
    };
    let (name, _) = state.options.repositories[0].clone();
    let path = call.path().to_owned();
    docker(&state, call, &name, &path, "/v2/", known).await
}

fn admit(state: &State, call: &Call) -> Result<bool, Box<Response>> {
    let open = state.accounts.is_open();
    let unauthorized = || {
        let mut response = text_response(StatusCode::UNAUTHORIZED, "");
        let basic = HeaderValue::from_static("BASIC realm=\"Sonatype Nexus Repository Manager\"");
        response.headers_mut().insert(WWW_AUTHENTICATE, basic);
        response
    };
    match state.accounts.caller(call.headers()) {
        Caller::Known => Ok(true),
        Caller::Wrong => Err(Box::new(unauthorized())),
        Caller::Locked => {
            let page = "<html><body>Too many authentication attempts</body></html>";
            let mut response = text_response(StatusCode::TOO_MANY_REQUESTS, page);
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("30"));
            Err(Box::new(response))
        }
        Caller::Stranger if open => Ok(true),
        Caller::Stranger if state.options.anonymous => Ok(false),
        Caller::Stranger => Err(Box::new(unauthorized())),
    }
}

/// The names of the repositories behind one.
fn members(state: &State, name: &str) -> Vec<String> {
    match state.options.repositories.iter().find(|(known, _)| known == name) {
        None => Vec::new(),
        Some((name, members)) if members.is_empty() => vec![name.clone()],
        Some((_, members)) => members.clone(),
    }
}

async fn docker(state: &State, call: Call, name: &str, path: &str, root: &str, known: bool) -> Response {
    let members = members(state, name);
    if members.is_empty() {
        return text_response(StatusCode::NOT_FOUND, "Repository not found");
    }
    let unknown =
        || json_response(StatusCode::NOT_FOUND, &json!({"errors": [{"code": "NAME_UNKNOWN", "message": "not found"}]}));
    if !known && path != "/v2/" {
        return unknown();
    }
    if path == "/v2/_catalog" {
        if !state.options.catalog {
            return unknown();
        }
        if members.len() > 1 {
            let names: BTreeSet<String> =
                members.iter().flat_map(|member| state.registries[member].repositories()).collect();
            return json_response(StatusCode::OK, &json!({"repositories": names}));
        }
    }
    let mut response = unknown();
    for member in &members {
        let again = Call { parts: call.parts.clone(), body: call.body.clone() };
        response = forward(&state.registries[member].handler(), again, path, root).await;
        if response.status() != StatusCode::NOT_FOUND {
            break;
        }
    }
    if state.options.wrong_links
        && let Some(link) = response.headers().get(LINK).and_then(|link| link.to_str().ok())
        && let Ok(link) = link.replacen(&format!("<{root}"), "<http://nexus.invalid:8081/v2/", 1).parse()
    {
        response.headers_mut().insert(LINK, link);
    }
    response
}

fn rest_api(state: &State, call: &Call, path: &str, known: bool) -> Response {
    let fault = |status: StatusCode| json_response(status, &json!({"status-code": status.as_u16()}));
    match path {
        "status" => text_response(StatusCode::OK, ""),
        "repositories" => {
            let shown = state.options.repositories.iter().filter(|_| known && state.options.browse);
            let mut listed: Vec<Value> = shown
                .map(|(name, members)| {
                    let sort = if members.is_empty() { "hosted" } else { "group" };
                    json!({"name": name, "format": "docker", "type": sort, "url": format!("http://localhost:8081/repository/{name}")})
                })
                .collect();
            listed.push(json!({"name": "maven-central", "format": "maven2", "type": "proxy", "url": ""}));
            json_response(StatusCode::OK, &json!(listed))
        }
        "components" | "search" => {
            let Some(repository) = call.value("repository") else { return fault(StatusCode::UNPROCESSABLE_ENTITY) };
            let members = members(state, &repository);
            if members.is_empty() {
                return fault(StatusCode::NOT_FOUND);
            }
            if !known || !state.options.browse || (path == "search" && !state.options.search) {
                return fault(StatusCode::FORBIDDEN);
            }
            let mut found: Vec<Value> = members.iter().flat_map(|member| components(state, member)).collect();
            if let (Some(name), "search") = (call.value("name"), path) {
                found.retain(|component| component["name"] == name);
            }
            page(call, &found, if path == "search" { SEARCH_PAGE } else { state.options.components_page })
        }
        _ => fault(StatusCode::NOT_FOUND),
    }
}

/// One component for each tag, with its manifest as the asset.
fn components(state: &State, name: &str) -> Vec<Value> {
    let times = state.times.lock().unwrap_or_else(PoisonError::into_inner);
    let registry = &state.registries[name];
    let mut all = Vec::new();
    for image in registry.repositories() {
        for (tag, digest, media_type) in registry.tagged(&image) {
            let place = (name.to_owned(), image.clone(), tag.clone());
            let time = times.get(&place).map_or("2026-01-01T00:00:00.000+00:00", String::as_str);
            all.push(json!({
                "id": format!("{name}:{image}:{tag}"), "repository": name, "format": "docker", "group": "",
                "name": image, "version": tag,
                "assets": [{
                    "path": format!("/v2/{image}/manifests/{tag}"), "repository": name, "format": "docker",
                    "checksum": {"sha1": "", "sha256": digest.trim_start_matches("sha256:")},
                    "contentType": media_type, "lastModified": time, "lastDownloaded": null, "fileSize": 1,
                }],
            }));
        }
    }
    all
}

fn page(call: &Call, all: &[Value], size: usize) -> Response {
    // Opaque to clients, so it is not a number by itself.
    let token = call.value("continuationToken");
    let start: usize = match token.as_deref().map(|token| token.strip_prefix("after-").and_then(|at| at.parse().ok())) {
        None => 0,
        Some(Some(at)) => at,
        Some(None) => return text_response(StatusCode::NOT_ACCEPTABLE, "not a continuation token"),
    };
    let end = (start + size).min(all.len());
    let next = (end < all.len()).then(|| format!("after-{end}"));
    json_response(StatusCode::OK, &json!({"items": all[start.min(end)..end], "continuationToken": next}))
}
