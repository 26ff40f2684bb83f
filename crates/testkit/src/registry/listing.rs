//! The catalog, the tags and the referrers, page by page.

use std::collections::BTreeMap;

use axum::response::Response;
use http::{HeaderName, StatusCode, header};
use serde_json::json;

use super::content::ManifestParts;
use super::refusal::{Refusal, insert, json_response};
use super::route::is_digest;
use super::{Shared, lock, query};
use crate::{Descriptor, media_type};

/// Distribution refuses larger pages of the catalog.
const LARGEST_PAGE: usize = 1000;

type Pairs = [(String, String)];

pub(super) fn catalog(shared: &Shared, pairs: &Pairs) -> Result<Response, Refusal> {
    if !shared.options.catalog {
        return Err(Refusal::new(StatusCode::NOT_FOUND, "UNSUPPORTED", "the catalog is not supported"));
    }
    let wanted = page_length(pairs)?;
    if wanted.is_some_and(|length| length > LARGEST_PAGE) {
        return Err(invalid_number());
    }
    let names: Vec<String> = lock(&shared.content).repositories.keys().cloned().collect();
    let page = Page::of(&names, pairs, wanted, shared.options.page_size);
    Ok(page.respond("/v2/_catalog", &json!({ "repositories": page.items })))
}

pub(super) fn tags(shared: &Shared, repository: &str, pairs: &Pairs) -> Result<Response, Refusal> {
    let wanted = page_length(pairs)?;
    let names: Vec<String> = match lock(&shared.content).repositories.get(repository) {
        Some(repository) => repository.tags.keys().cloned().collect(),
        None => return Err(Refusal::name_unknown(repository)),
    };
    let page = Page::of(&names, pairs, wanted, shared.options.page_size);
    // A repository whose last tag is gone has null here, as in real registries.
    let list = if names.is_empty() { json!(null) } else { json!(page.items) };
    Ok(page.respond(&format!("/v2/{repository}/tags/list"), &json!({ "name": repository, "tags": list })))
}

pub(super) fn referrers(shared: &Shared, repository: &str, digest: &str, pairs: &Pairs) -> Result<Response, Refusal> {
    if !shared.options.referrers {
        return Err(Refusal::new(StatusCode::NOT_FOUND, "UNSUPPORTED", "the referrers API is not supported"));
    }
    if !is_digest(digest) {
        return Err(Refusal::digest_invalid(digest));
    }
    let filter = query::value(pairs, "artifactType");
    let mut descriptors: BTreeMap<String, Descriptor> = BTreeMap::new();
    if let Some(repository) = lock(&shared.content).repositories.get(repository) {
        for (manifest_digest, manifest) in &repository.manifests {
            let parts: ManifestParts = serde_json::from_slice(&manifest.bytes).unwrap_or_default();
            if parts.subject.is_none_or(|subject| subject.digest != digest) {
                continue;
            }
            let artifact_type = parts.artifact_type.or_else(|| parts.config.map(|config| config.media_type));
            if filter.is_some_and(|wanted| artifact_type.as_deref() != Some(wanted)) {
                continue;
            }
            let descriptor = Descriptor {
                media_type: manifest.media_type.clone(),
                digest: manifest_digest.clone(),
                size: manifest.bytes.len() as u64,
                platform: None,
                artifact_type,
                annotations: parts.annotations,
            };
            descriptors.insert(manifest_digest.clone(), descriptor);
        }
    }
    let digests: Vec<String> = descriptors.keys().cloned().collect();
    let page = Page::of(&digests, pairs, None, shared.options.page_size);
    let listed: Vec<&Descriptor> = page.items.iter().filter_map(|digest| descriptors.get(digest)).collect();
    let body = json!({ "schemaVersion": 2, "mediaType": media_type::OCI_INDEX, "manifests": listed });
    let mut response = page.respond(&format!("/v2/{repository}/referrers/{digest}"), &body);
    insert(&mut response, header::CONTENT_TYPE, media_type::OCI_INDEX);
    if filter.is_some() {
        insert(&mut response, HeaderName::from_static("oci-filters-applied"), "artifactType");
    }
    Ok(response)
}

fn page_length(pairs: &Pairs) -> Result<Option<usize>, Refusal> {
    query::value(pairs, "n").map(|text| text.parse().map_err(|_| invalid_number())).transpose()
}

fn invalid_number() -> Refusal {
    Refusal::new(StatusCode::BAD_REQUEST, "PAGINATION_NUMBER_INVALID", "the number of entries is not valid")
}

/// Some entries of a sorted list, and what the next page is asked with.
struct Page<'a> {
    items: &'a [String],
    next: Option<String>,
}

impl<'a> Page<'a> {
    fn of(sorted: &'a [String], pairs: &Pairs, wanted: Option<usize>, most: usize) -> Self {
        let start = query::value(pairs, "last").map_or(0, |last| sorted.partition_point(|item| item.as_str() <= last));
        let rest = &sorted[start..];
        let length = wanted.unwrap_or(most).min(most);
        let items = &rest[..length.min(rest.len())];
        let next = items.last().filter(|_| items.len() < rest.len()).map(|last| {
            let mut query = format!("last={}&n={length}", query::encode(last));
            // The filter of a referrers request belongs to the cursor.
            if let Some(filter) = query::value(pairs, "artifactType") {
                query.push_str(&format!("&artifactType={}", query::encode(filter)));
            }
            query
        });
        Self { items, next }
    }

    fn respond(&self, path: &str, body: &serde_json::Value) -> Response {
        let mut response = json_response(StatusCode::OK, body);
        if let Some(query) = &self.next {
            insert(&mut response, header::LINK, &format!("<{path}?{query}>; rel=\"next\""));
        }
        response
    }
}
