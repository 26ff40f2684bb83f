//! From a request to what answers it.

use std::sync::Arc;

use axum::body::{self, Body};
use axum::extract::{Request, State};
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use http::request::Parts;
use http::{HeaderName, Method, StatusCode};

use super::refusal::{Refusal, empty_response, insert};
use super::route::Route;
use super::{RequestRecord, Shared, auth, blobs, listing, lock, manifests, query, uploads};

/// The largest chunk of an upload; everything is held in memory.
const LARGEST_BODY: usize = 1 << 30;

/// Answers one request and takes it down in the log.
pub(crate) async fn serve(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let latency = lock(&shared.faults).latency;
    if !latency.is_zero() {
        tokio::time::sleep(latency).await;
    }
    let due = lock(&shared.faults).next(&parts);
    let mut response = match due {
        Some(response) => response,
        None => answer(&shared, &parts, body).await.unwrap_or_else(Refusal::into_response),
    };
    insert(&mut response, HeaderName::from_static("docker-distribution-api-version"), "registry/2.0");
    if parts.method == Method::HEAD && !response.status().is_success() {
        *response.body_mut() = Body::empty();
    }
    // Before the answer leaves, so that a client that has it finds it in the log.
    lock(&shared.log).push(RequestRecord::new(&parts, response.status()));
    response
}

async fn answer(shared: &Shared, parts: &Parts, body: Body) -> Result<Response, Refusal> {
    let path = parts.uri.path();
    if path == auth::TOKEN_PATH {
        return auth::token(shared, parts, &read(body, manifests::LARGEST_MANIFEST).await?);
    }
    if let Some(digest) = path.strip_prefix(blobs::STORAGE_PATH) {
        return blobs::read_storage(shared, digest, parts);
    }
    let Some(route) = Route::parse(path) else {
        return Err(Refusal::new(StatusCode::NOT_FOUND, "NAME_INVALID", format!("{path} is not a path of this API")));
    };
    auth::authorize(shared, &route, parts)?;
    let pairs = query::parse(parts.uri.query().unwrap_or_default());
    let method = parts.method.as_str();
    match (method, &route) {
        ("GET" | "HEAD", Route::Base) => Ok(empty_response(StatusCode::OK)),
        ("GET", Route::Catalog) => listing::catalog(shared, &pairs),
        ("GET", Route::Tags { repository }) => listing::tags(shared, repository, &pairs),
        ("GET", Route::Referrers { repository, digest }) => listing::referrers(shared, repository, digest, &pairs),
        ("GET" | "HEAD", Route::Manifest { repository, reference }) => {
            manifests::read(shared, repository, reference, parts)
        }
        ("PUT", Route::Manifest { repository, reference }) => {
            manifests::put(shared, repository, reference, parts, &read(body, manifests::LARGEST_MANIFEST).await?)
        }
        ("DELETE", Route::Manifest { repository, reference }) => {
            manifests::delete(shared, repository, reference, parts)
        }
        ("GET" | "HEAD", Route::Blob { repository, digest }) => blobs::read(shared, repository, digest, parts),
        ("DELETE", Route::Blob { repository, digest }) => blobs::delete(shared, repository, digest),
        ("POST", Route::NewUpload { repository }) => {
            uploads::start(shared, repository, &pairs, read(body, LARGEST_BODY).await?)
        }
        ("PATCH", Route::Upload { repository, session }) => {
            uploads::append(shared, repository, session, parts, &read(body, LARGEST_BODY).await?)
        }
        ("PUT", Route::Upload { repository, session }) => {
            uploads::finish(shared, repository, session, &pairs, &read(body, LARGEST_BODY).await?)
        }
        ("GET", Route::Upload { repository, session }) => uploads::status(shared, repository, session),
        ("DELETE", Route::Upload { repository, session }) => uploads::cancel(shared, repository, session),
        _ => Err(Refusal::unsupported(&format!("{method} {path}"))),
    }
}

async fn read(body: Body, limit: usize) -> Result<Bytes, Refusal> {
    body::to_bytes(body, limit)
        .await
        .map_err(|error| Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, "SIZE_INVALID", error.to_string()))
}
