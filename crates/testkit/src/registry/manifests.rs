//! Manifests: read, pushed and deleted, by tag or by digest.

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, HeaderName, Method, StatusCode, header};

use super::content::{Deleted, ManifestParts, Repository, StoredManifest};
use super::notify::Change;
use super::refusal::{CONTENT_DIGEST, Refusal, empty_response, insert};
use super::route::{is_digest, is_tag};
use super::{Shared, lock};
use crate::sha256;

/// The largest manifest that registries have to take (distribution-spec, "Pushing manifests").
pub(super) const LARGEST_MANIFEST: usize = 4 << 20;

pub(super) fn read(shared: &Shared, repository: &str, reference: &str, parts: &Parts) -> Result<Response, Refusal> {
    let (digest, manifest) = {
        let content = lock(&shared.content);
        let held = content.repositories.get(repository).ok_or_else(|| Refusal::name_unknown(repository))?;
        let digest = held.resolve(reference).ok_or_else(|| Refusal::manifest_unknown(reference))?;
        (digest.to_owned(), held.manifests[digest].clone())
    };
    // Distribution answers so when the client does not name the type that it holds.
    if !accepts(&parts.headers, &manifest.media_type) {
        return Err(Refusal::manifest_unknown(reference));
    }
    let length = manifest.bytes.len().to_string();
    let body = if parts.method == Method::HEAD { Body::empty() } else { Body::from(manifest.bytes) };
    let mut response = Response::new(body);
    insert(&mut response, header::CONTENT_LENGTH, &length);
    insert(&mut response, header::CONTENT_TYPE, &manifest.media_type);
    insert(&mut response, header::ETAG, &format!("\"{digest}\""));
    insert(&mut response, CONTENT_DIGEST, &digest);
    Ok(response)
}

fn accepts(headers: &HeaderMap, media_type: &str) -> bool {
    headers
        .get_all(header::ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|range| range.split(';').next().unwrap_or_default().trim())
        .any(|range| range == media_type || range == "*/*" || range == "application/*")
}

pub(super) fn put(
    shared: &Shared,
    repository: &str,
    reference: &str,
    request: &Parts,
    bytes: &Bytes,
) -> Result<Response, Refusal> {
    let invalid = |message: String| Refusal::new(StatusCode::BAD_REQUEST, "MANIFEST_INVALID", message);
    let digest = sha256(bytes);
    if is_digest(reference) {
        if reference != digest {
            return Err(Refusal::digest_invalid(reference));
        }
    } else if !is_tag(reference) {
        return Err(Refusal::new(StatusCode::BAD_REQUEST, "TAG_INVALID", format!("{reference} is not a tag")));
    }
    let document: ManifestParts = serde_json::from_slice(bytes).map_err(|error| invalid(error.to_string()))?;
    let stated = request.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let media_type = match (stated, &document.media_type) {
        (Some(stated), Some(inside)) if stated != inside => {
            return Err(invalid(format!("{inside} was sent as {stated}")));
        }
        (Some(stated), _) => stated.to_owned(),
        (None, Some(inside)) => inside.clone(),
        (None, None) => return Err(invalid("the manifest has no media type".into())),
    };
    {
        let mut content = lock(&shared.content);
        check_named(content.repositories.get(repository), &document)?;
        let held = content.repositories.entry(repository.into()).or_default();
        held.manifests.insert(digest.clone(), StoredManifest { media_type: media_type.clone(), bytes: bytes.clone() });
        if !is_digest(reference) {
            held.tags.insert(reference.into(), digest.clone());
        }
    }
    let tag = (!is_digest(reference)).then_some(reference);
    let change = Change::pushed(repository, tag, &digest, &media_type, bytes.len());
    shared.notifier.send(&change.with_request(request), &shared.host());

    let mut response = empty_response(StatusCode::CREATED);
    insert(&mut response, header::LOCATION, &format!("/v2/{repository}/manifests/{digest}"));
    insert(&mut response, CONTENT_DIGEST, &digest);
    if let Some(subject) = document.subject.filter(|_| shared.options.referrers) {
        insert(&mut response, HeaderName::from_static("oci-subject"), &subject.digest);
    }
    Ok(response)
}

/// A manifest can be pushed once everything that it names is there, except for its subject.
fn check_named(held: Option<&Repository>, document: &ManifestParts) -> Result<(), Refusal> {
    let has_blob = |digest: &str| held.is_some_and(|held| held.blobs.contains(digest));
    let has_manifest = |digest: &str| held.is_some_and(|held| held.manifests.contains_key(digest));
    let unknown = |code, digest: &str| {
        Err(Refusal::new(StatusCode::BAD_REQUEST, code, format!("{digest} is not known to the repository")))
    };
    if let Some(blob) = document.config.iter().chain(&document.layers).find(|blob| !has_blob(&blob.digest)) {
        return unknown("MANIFEST_BLOB_UNKNOWN", &blob.digest);
    }
    match document.manifests.iter().find(|child| !has_manifest(&child.digest)) {
        Some(child) => unknown("MANIFEST_UNKNOWN", &child.digest),
        None => Ok(()),
    }
}

pub(super) fn delete(shared: &Shared, repository: &str, reference: &str, request: &Parts) -> Result<Response, Refusal> {
    let deleted = {
        let mut content = lock(&shared.content);
        if !content.repositories.contains_key(repository) {
            return Err(Refusal::name_unknown(repository));
        }
        if is_digest(reference) {
            content.delete_manifest(repository, reference)
        } else if shared.options.tag_deletion {
            content.delete_tag(repository, reference)
        } else {
            return Err(Refusal::unsupported("deleting a tag"));
        }
    };
    let deleted = deleted.ok_or_else(|| Refusal::manifest_unknown(reference))?;
    notify_deleted(shared, repository, &deleted, Some(request));
    Ok(empty_response(StatusCode::ACCEPTED))
}

/// One event for the manifest and one for each tag, as Distribution 3 sends them.
pub(super) fn notify_deleted(shared: &Shared, repository: &str, deleted: &Deleted, request: Option<&Parts>) {
    let manifest = deleted.digest.iter().map(|digest| Change::deleted_manifest(repository, digest));
    let tags = deleted.tags.iter().map(|tag| Change::deleted_tag(repository, tag));
    for change in manifest.chain(tags) {
        let change = match request {
            Some(request) => change.with_request(request),
            None => change,
        };
        shared.notifier.send(&change, &shared.host());
    }
}
