//! Blobs: read, in whole or in part, and deleted.

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use http::request::Parts;
use http::{Method, StatusCode, header};

use super::fault::cut_body;
use super::refusal::{CONTENT_DIGEST, Refusal, empty_response, insert};
use super::{Shared, lock};

/// Where redirected downloads go.
pub(super) const STORAGE_PATH: &str = "/_storage/";

pub(super) fn read(shared: &Shared, repository: &str, digest: &str, parts: &Parts) -> Result<Response, Refusal> {
    let Some(bytes) = lock(&shared.content).blob(repository, digest) else {
        return Err(Refusal::blob_unknown(digest));
    };
    if shared.options.redirects && parts.method == Method::GET {
        let mut response = empty_response(StatusCode::TEMPORARY_REDIRECT);
        let location = format!("http://localhost:{}{STORAGE_PATH}{digest}?signature=kit", shared.address.port());
        insert(&mut response, header::LOCATION, &location);
        return Ok(response);
    }
    serve(shared, digest, &bytes, parts)
}

/// The other host of redirected downloads: like an object store it knows signatures, not tokens.
pub(super) fn read_storage(shared: &Shared, digest: &str, parts: &Parts) -> Result<Response, Refusal> {
    if parts.headers.contains_key(header::AUTHORIZATION) {
        return Err(Refusal::new(StatusCode::BAD_REQUEST, "UNSUPPORTED", "only one way to authenticate is allowed"));
    }
    let Some(bytes) = lock(&shared.content).blobs.get(digest).cloned() else {
        return Err(Refusal::blob_unknown(digest));
    };
    serve(shared, digest, &bytes, parts)
}

fn serve(shared: &Shared, digest: &str, bytes: &Bytes, parts: &Parts) -> Result<Response, Refusal> {
    let bytes = lock(&shared.faults).served(digest, bytes.clone());
    let total = bytes.len();
    let range =
        parts.headers.get(header::RANGE).filter(|_| shared.options.ranges).and_then(|value| value.to_str().ok());
    let (status, start, end) = match range.map(|text| parse_range(text, total)) {
        None | Some(Range::Ignored) => (StatusCode::OK, 0, total),
        Some(Range::Part(start, end)) => (StatusCode::PARTIAL_CONTENT, start, end),
        Some(Range::Outside) => {
            return Err(Refusal::new(StatusCode::RANGE_NOT_SATISFIABLE, "RANGE_INVALID", "the blob has no such range")
                .with_header(header::CONTENT_RANGE, format!("bytes */{total}")));
        }
    };
    let part = bytes.slice(start..end);
    let length = part.len();
    let body = if parts.method == Method::HEAD {
        Body::empty()
    } else {
        match lock(&shared.faults).cut(digest) {
            Some(after) if after < length => cut_body(part.slice(..after)),
            _ => Body::from(part),
        }
    };
    let mut response = Response::new(body);
    *response.status_mut() = status;
    insert(&mut response, header::CONTENT_LENGTH, &length.to_string());
    insert(&mut response, header::CONTENT_TYPE, "application/octet-stream");
    insert(&mut response, CONTENT_DIGEST, digest);
    if shared.options.ranges {
        insert(&mut response, header::ACCEPT_RANGES, "bytes");
    }
    if status == StatusCode::PARTIAL_CONTENT {
        insert(&mut response, header::CONTENT_RANGE, &format!("bytes {start}-{}/{total}", end - 1));
    }
    Ok(response)
}

pub(super) fn delete(shared: &Shared, repository: &str, digest: &str) -> Result<Response, Refusal> {
    let mut content = lock(&shared.content);
    let held = content.repositories.get_mut(repository).ok_or_else(|| Refusal::name_unknown(repository))?;
    if held.blobs.remove(digest) {
        Ok(empty_response(StatusCode::ACCEPTED))
    } else {
        Err(Refusal::blob_unknown(digest))
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Range {
    /// From the first to behind the second.
    Part(usize, usize),
    Outside,
    /// Not a single range of bytes: RFC 9110 lets a server answer with the whole.
    Ignored,
}

fn parse_range(text: &str, total: usize) -> Range {
    let Some((first, last)) = text.strip_prefix("bytes=").and_then(|range| range.split_once('-')) else {
        return Range::Ignored;
    };
    let (start, end) = match (first.parse::<usize>(), last.parse::<usize>()) {
        (Ok(first), Ok(last)) if first <= last => (first, last.saturating_add(1).min(total)),
        (Ok(first), Err(_)) if last.is_empty() => (first, total),
        (Err(_), Ok(last)) if first.is_empty() && last > 0 => (total.saturating_sub(last), total),
        _ => return Range::Ignored,
    };
    if start < end { Range::Part(start, end) } else { Range::Outside }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_follow_rfc_9110() {
        let check = |text: &str, expected: Range| assert_eq!(parse_range(text, 10), expected, "{text}");
        check("bytes=0-3", Range::Part(0, 4));
        check("bytes=4-", Range::Part(4, 10));
        check("bytes=-3", Range::Part(7, 10));
        check("bytes=8-99", Range::Part(8, 10));
        check("bytes=10-", Range::Outside);
        check("bytes=0-1,4-5", Range::Ignored);
        check("bytes=3-1", Range::Ignored);
        check("lines=0-1", Range::Ignored);
    }
}
