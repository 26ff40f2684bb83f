//! The lists of `/acr/v1`.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::response::Response;
use http::request::Parts;
use http::{StatusCode, header};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::access::Catalog;
use super::server::Shared;
use crate::registry::{Refusal, encode, insert, json_response, lock, parse, value};

/// Entries of a page where nobody asks for fewer.
const PAGE: usize = 100;

/// When tags were first seen and last moved. Time goes by a minute with each move, and not otherwise.
#[derive(Debug, Default)]
pub(super) struct Moves {
    times: BTreeMap<(String, String), (Timestamp, Timestamp)>,
    count: u32,
}

impl Moves {
    pub(super) fn note(&mut self, repository: &str, tag: &str) {
        self.count += 1;
        let start: Timestamp = "2026-01-01T00:00:00.5896115Z".parse().unwrap_or_default();
        let now = start.saturating_add(Duration::from_secs(60) * self.count).unwrap_or(start);
        let times = self.times.entry((repository.to_owned(), tag.to_owned())).or_insert((now, now));
        times.1 = now;
    }

    fn of(&self, repository: &str, tag: &str) -> (Timestamp, Timestamp) {
        self.times.get(&(repository.to_owned(), tag.to_owned())).copied().unwrap_or_default()
    }
}

/// Part of a list, by the parameters `n` and `last`, and the address of the next.
fn page<'a, T>(
    shared: &Shared,
    parts: &Parts,
    all: &'a [T],
    name: impl Fn(&T) -> &str,
) -> Result<(&'a [T], Option<String>), Refusal> {
    let pairs = parse(parts.uri.query().unwrap_or_default());
    let most = shared.options.page.unwrap_or(PAGE);
    let wanted = value(&pairs, "n").map_or(Ok(most), str::parse);
    let too_many = |wanted: usize| shared.options.largest_page.is_some_and(|largest| wanted > largest);
    let wanted = wanted.ok().filter(|wanted| !too_many(*wanted)).ok_or_else(|| {
        Refusal::new(StatusCode::BAD_REQUEST, "PAGINATION_NUMBER_INVALID", "invalid number of results requested")
    })?;
    let start = match value(&pairs, "last") {
        Some(last) => all.iter().position(|item| name(item) == last).map_or(all.len(), |at| at + 1),
        None => 0,
    };
    let end = all.len().min(start + wanted.min(most));
    let items = &all[start..end];
    let next = items.last().filter(|_| end < all.len()).map(|last| {
        let order = value(&pairs, "orderby").unwrap_or_default();
        let (last, n) = (encode(name(last)), wanted.min(most));
        format!("<{}?last={last}&n={n}&orderby={order}>; rel=\"next\"", parts.uri.path())
    });
    Ok((items, next))
}

fn respond(body: &Value, next: Option<&str>) -> Response {
    let mut response = json_response(StatusCode::OK, body);
    if let Some(next) = next {
        insert(&mut response, header::LINK, next);
    }
    response
}

/// `/acr/v1/_catalog`, and `/v2/_catalog`, which is the same list.
pub(super) fn catalog(shared: &Shared, parts: &Parts, right: Catalog) -> Result<Response, Refusal> {
    let names = if right == Catalog::Complete { shared.content.repositories() } else { Vec::new() };
    let (items, next) = page(shared, parts, &names, |name| name)?;
    Ok(respond(&json!({ "repositories": items }), next.as_deref()))
}

fn attributes() -> Value {
    json!({"deleteEnabled": true, "writeEnabled": true, "readEnabled": true, "listEnabled": true})
}

fn is_newest_first(parts: &Parts) -> bool {
    value(&parse(parts.uri.query().unwrap_or_default()), "orderby") == Some("timedesc")
}

fn known(shared: &Shared, repository: &str) -> Result<(), Refusal> {
    let known = shared.content.repositories().iter().any(|name| name == repository);
    if known { Ok(()) } else { Err(Refusal::name_unknown(repository)) }
}

/// `/acr/v1/NAME/_tags`.
pub(super) fn tags(shared: &Shared, repository: &str, parts: &Parts) -> Result<Response, Refusal> {
    known(shared, repository)?;
    let mut tags = shared.content.tags(repository);
    let moves = lock(&shared.moves);
    if is_newest_first(parts) {
        tags.sort_by_key(|tag| std::cmp::Reverse(moves.of(repository, tag).1));
    }
    let (items, next) = page(shared, parts, &tags, |tag| tag)?;
    let items: Vec<Value> = items
        .iter()
        .map(|tag| {
            let (created, updated) = moves.of(repository, tag);
            json!({
                "name": tag,
                "digest": shared.content.digest_of(repository, tag),
                "createdTime": created.to_string(),
                "lastUpdateTime": updated.to_string(),
                "signed": false,
                "changeableAttributes": attributes(),
            })
        })
        .collect();
    // A repository without tags has no member of the name.
    let mut body = json!({"registry": shared.name(), "imageName": repository});
    if !items.is_empty() {
        body["tags"] = json!(items);
    }
    Ok(respond(&body, next.as_deref()))
}

/// `/acr/v1/NAME/_manifests`.
pub(super) fn manifests(shared: &Shared, repository: &str, parts: &Parts) -> Result<Response, Refusal> {
    known(shared, repository)?;
    let moves = lock(&shared.moves);
    let mut found: Vec<(String, Timestamp, Value)> = Vec::new();
    for (digest, media_type, size) in shared.content.manifests(repository) {
        let mut tags: Vec<String> = shared.content.tags(repository);
        tags.retain(|tag| shared.content.digest_of(repository, tag).as_deref() == Some(&digest));
        let updated = tags.iter().map(|tag| moves.of(repository, tag).1).max().unwrap_or_default();
        let mut item = json!({
            "digest": digest,
            "imageSize": size,
            "createdTime": updated.to_string(),
            "lastUpdateTime": updated.to_string(),
            "mediaType": media_type,
            "changeableAttributes": attributes(),
        });
        if !tags.is_empty() {
            item["tags"] = json!(tags);
        }
        found.push((digest, updated, item));
    }
    if is_newest_first(parts) {
        found.sort_by_key(|(_, updated, _)| std::cmp::Reverse(*updated));
    }
    let (items, next) = page(shared, parts, &found, |(digest, _, _)| digest)?;
    let items: Vec<&Value> = items.iter().map(|(_, _, item)| item).collect();
    Ok(respond(&json!({"registry": shared.name(), "imageName": repository, "manifests": items}), next.as_deref()))
}
