//! Blob uploads: in one request, in two, or in chunks; and mounts.

use axum::response::Response;
use bytes::Bytes;
use http::request::Parts;
use http::{HeaderName, StatusCode, header};

use super::content::Upload;
use super::refusal::{CONTENT_DIGEST, Refusal, empty_response, insert};
use super::{Shared, lock, query};
use crate::sha256;

type Pairs = [(String, String)];

/// `POST /v2/<name>/blobs/uploads/`: a mount, a whole blob, or a new session.
pub(super) fn start(shared: &Shared, repository: &str, pairs: &Pairs, body: Bytes) -> Result<Response, Refusal> {
    if let Some(digest) = query::value(pairs, "mount") {
        let mut content = lock(&shared.content);
        let source = query::value(pairs, "from").and_then(|from| content.blob(from, digest));
        if let Some(bytes) = source {
            content.put_blob(repository, digest, bytes);
            return Ok(created(repository, digest));
        }
        // A mount that cannot be done becomes an upload.
    } else if let Some(digest) = query::value(pairs, "digest") {
        return close_blob(shared, repository, digest, body);
    }
    let session = lock(&shared.content).start_upload(repository);
    Ok(progress(StatusCode::ACCEPTED, repository, &session, 0))
}

/// `PATCH`: one more chunk.
pub(super) fn append(
    shared: &Shared,
    repository: &str,
    session: &str,
    parts: &Parts,
    body: &Bytes,
) -> Result<Response, Refusal> {
    let mut content = lock(&shared.content);
    let upload = find(&mut content.uploads, repository, session)?;
    let range = parts.headers.get(header::CONTENT_RANGE).and_then(|value| value.to_str().ok());
    if let Some(range) = range {
        let start = range.trim_start_matches("bytes ").split('-').next().and_then(|start| start.parse::<usize>().ok());
        if start != Some(upload.bytes.len()) {
            return Ok(progress(StatusCode::RANGE_NOT_SATISFIABLE, repository, session, upload.bytes.len()));
        }
    }
    upload.bytes.extend_from_slice(body);
    Ok(progress(StatusCode::ACCEPTED, repository, session, upload.bytes.len()))
}

/// `PUT`: the last chunk, or the only one, and the digest of the whole.
pub(super) fn finish(
    shared: &Shared,
    repository: &str,
    session: &str,
    pairs: &Pairs,
    body: &Bytes,
) -> Result<Response, Refusal> {
    let Some(digest) = query::value(pairs, "digest") else { return Err(Refusal::digest_invalid("a missing digest")) };
    let bytes = {
        let mut content = lock(&shared.content);
        find(&mut content.uploads, repository, session)?.bytes.extend_from_slice(body);
        content.uploads.remove(session).map(|upload| upload.bytes).unwrap_or_default()
    };
    close_blob(shared, repository, digest, bytes.into())
}

/// `GET`: how far an upload has come.
pub(super) fn status(shared: &Shared, repository: &str, session: &str) -> Result<Response, Refusal> {
    let mut content = lock(&shared.content);
    let length = find(&mut content.uploads, repository, session)?.bytes.len();
    Ok(progress(StatusCode::NO_CONTENT, repository, session, length))
}

/// `DELETE`: gives an upload up.
pub(super) fn cancel(shared: &Shared, repository: &str, session: &str) -> Result<Response, Refusal> {
    let mut content = lock(&shared.content);
    find(&mut content.uploads, repository, session)?;
    content.uploads.remove(session);
    Ok(empty_response(StatusCode::NO_CONTENT))
}

fn find<'a>(
    uploads: &'a mut std::collections::HashMap<String, Upload>,
    repository: &str,
    session: &str,
) -> Result<&'a mut Upload, Refusal> {
    uploads.get_mut(session).filter(|upload| upload.repository == repository).ok_or_else(|| {
        Refusal::new(StatusCode::NOT_FOUND, "BLOB_UPLOAD_UNKNOWN", format!("upload {session} is not known"))
    })
}

fn close_blob(shared: &Shared, repository: &str, digest: &str, bytes: Bytes) -> Result<Response, Refusal> {
    if sha256(&bytes) != digest {
        return Err(Refusal::digest_invalid(digest));
    }
    lock(&shared.content).put_blob(repository, digest, bytes);
    Ok(created(repository, digest))
}

fn created(repository: &str, digest: &str) -> Response {
    let mut response = empty_response(StatusCode::CREATED);
    insert(&mut response, header::LOCATION, &format!("/v2/{repository}/blobs/{digest}"));
    insert(&mut response, CONTENT_DIGEST, digest);
    response
}

fn progress(status: StatusCode, repository: &str, session: &str, length: usize) -> Response {
    let mut response = empty_response(status);
    insert(&mut response, header::LOCATION, &format!("/v2/{repository}/blobs/uploads/{session}"));
    insert(&mut response, header::RANGE, &format!("0-{}", length.saturating_sub(1)));
    insert(&mut response, HeaderName::from_static("docker-upload-uuid"), session);
    response
}
