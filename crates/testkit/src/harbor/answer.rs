//! What the stand-in answers (Harbor's `api/v2.0/swagger.yaml`).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError};

use axum::response::Response;
use http::header::{LINK, WWW_AUTHENTICATE};
use http::{HeaderName, HeaderValue, StatusCode};
use serde_json::{Value, json};

use super::State;
use crate::product::{Call, Caller, forward, json_response};
use crate::registry::decode;

pub(super) async fn answer(state: Arc<State>, call: Call) -> Response {
    let path = call.path().to_owned();
    if let Some(rest) = path.strip_prefix("/service/token") {
        return forward(&state.registry.handler(), call, &format!("/token{rest}"), "/v2/").await;
    }
    if path.starts_with("/v2") {
        let mut response = forward(&state.registry.handler(), call, &path, "/v2/").await;
        // The token service is Harbor's own, at its address.
        if let Some(challenge) = response.headers().get(WWW_AUTHENTICATE).and_then(|value| value.to_str().ok()) {
            let own = challenge.replace(
                &format!("http://{}/token", state.registry.host()),
                &format!("http://{}/service/token", state.host),
            );
            if let Ok(own) = HeaderValue::from_str(&own) {
                response.headers_mut().insert(WWW_AUTHENTICATE, own);
            }
        }
        return response;
    }
    api(&state, &call)
}

fn api(state: &State, call: &Call) -> Response {
    let caller = state.accounts.caller(call.headers());
    if matches!(caller, Caller::Wrong | Caller::Locked) {
        return error(StatusCode::UNAUTHORIZED, "UNAUTHORIZED", "unauthorized");
    }
    let known = caller == Caller::Known;
    let access = state.options.account.as_ref().map(|(.., access)| access).filter(|_| known);
    let sees = |project: &str| {
        state.options.public.iter().any(|public| public == project) || access.is_some_and(|access| access.sees(project))
    };
    // The router decodes once before it parts the path; what is still encoded then, the handler decodes.
    let segments = call.segments();
    let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
    let all = state.registry.repositories();
    let project_of = |name: &str| name.split('/').next().unwrap_or_default().to_owned();
    match segments.as_slice() {
        ["api", "v2.0", "projects"] => match access {
            Some(access) if !access.lists => error(StatusCode::FORBIDDEN, "FORBIDDEN", "forbidden"),
            _ => {
                let projects: BTreeSet<String> =
                    all.iter().map(|name| project_of(name)).chain(state.options.public.iter().cloned()).collect();
                let shown = projects.into_iter().filter(|project| sees(project));
                page(state, call, shown.map(|project| json!({"name": project, "project_id": 1})).collect())
            }
        },
        ["api", "v2.0", "repositories"] => match access {
            None => error(StatusCode::UNAUTHORIZED, "UNAUTHORIZED", "unauthorized"),
            Some(access) if !access.lists => error(StatusCode::FORBIDDEN, "FORBIDDEN", "forbidden"),
            Some(access) => {
                let shown = all.into_iter().filter(|name| access.sees(&project_of(name)));
                page(state, call, shown.map(|name| json!({"name": name})).collect())
            }
        },
        ["api", "v2.0", "projects", project, rest @ ..] => {
            if !sees(project) {
                let (status, code) = if known {
                    (StatusCode::FORBIDDEN, "FORBIDDEN")
                } else {
                    (StatusCode::UNAUTHORIZED, "UNAUTHORIZED")
                };
                return error(status, code, "you may not see this project");
            }
            match rest {
                ["repositories"] => {
                    let shown = all.into_iter().filter(|name| project_of(name) == *project);
                    page(state, call, shown.map(|name| json!({"name": name})).collect())
                }
                ["repositories", name, "artifacts"] => {
                    let repository = format!("{project}/{}", decode(name));
                    if !all.contains(&repository) {
                        return error(
                            StatusCode::NOT_FOUND,
                            "NOT_FOUND",
                            &format!("repository {repository} not found"),
                        );
                    }
                    page(state, call, artifacts(state, call, &repository))
                }
                _ => error(StatusCode::NOT_FOUND, "NOT_FOUND", "path not found"),
            }
        }
        _ => error(StatusCode::NOT_FOUND, "NOT_FOUND", "path not found"),
    }
}

fn error(status: StatusCode, code: &str, message: &str) -> Response {
    json_response(status, &json!({"errors": [{"code": code, "message": message}]}))
}

fn artifacts(state: &State, call: &Call, repository: &str) -> Vec<Value> {
    let times = state.times.lock().unwrap_or_else(PoisonError::into_inner);
    let mut tags: BTreeMap<(String, String), Vec<Value>> = BTreeMap::new();
    for (tag, digest, media_type) in state.registry.tagged(repository) {
        let time = times.get(&(repository.to_owned(), tag.clone())).map_or("2026-01-01T00:00:00.000Z", String::as_str);
        let item = json!({"name": tag, "push_time": time, "pull_time": "0001-01-01T00:00:00.000Z", "immutable": false});
        tags.entry((digest, media_type)).or_default().push(item);
    }
    let with_tag = call.value("with_tag").as_deref() != Some("false");
    let mut listed: Vec<Value> = tags
        .into_iter()
        .map(|((digest, media_type), tags)| {
            json!({
                "digest": digest, "manifest_media_type": media_type, "type": "IMAGE", "size": 1,
                "push_time": "2026-01-01T00:00:00.000Z", "repository_name": repository,
                "tags": with_tag.then_some(tags),
            })
        })
        .collect();
    if call.value("q").as_deref() != Some("tags=*") {
        let untagged = state.registry.untagged(repository);
        listed.extend(untagged.iter().map(
            |digest| json!({"digest": digest, "type": "IMAGE", "push_time": "0001-01-01T00:00:00.000Z", "tags": null}),
        ));
    }
    listed
}

fn page(state: &State, call: &Call, items: Vec<Value>) -> Response {
    let number = |name: &str, default: usize| call.value(name).and_then(|text| text.parse().ok()).unwrap_or(default);
    let (page, asked) = (number("page", 1).max(1), number("page_size", 10));
    if asked > 100 {
        return error(
            StatusCode::UNPROCESSABLE_ENTITY,
            "UNPROCESSABLE",
            "page_size in query should be less than or equal to 100",
        );
    }
    let size = asked.min(state.options.page_size);
    let total = items.len();
    let shown: Vec<Value> = items.into_iter().skip((page - 1) * size).take(size).collect();
    let more = page * size < total;
    let mut response = json_response(StatusCode::OK, &json!(shown));
    let headers = response.headers_mut();
    headers.insert(HeaderName::from_static("x-total-count"), HeaderValue::from(total));
    if more && state.options.links {
        let host = if state.options.foreign_links { "http://core.invalid:8080" } else { "" };
        let query =
            call.parts.uri.query().unwrap_or_default().replace(&format!("page={page}"), &format!("page={}", page + 1));
        if let Ok(link) = HeaderValue::from_str(&format!("<{host}{}?{query}>; rel=\"next\"", call.path())) {
            headers.insert(LINK, link);
        }
    }
    response
}
