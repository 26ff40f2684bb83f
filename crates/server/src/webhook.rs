//! Deliveries of registries.

use std::time::Duration;

use axum::body::{Body, BodyDataStream};
use axum::extract::{Path, Request, State};
use axum::response::{IntoResponse, Response};
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt as _;
use http::StatusCode;
use http::request::Parts;
use jiff::Timestamp;
use supercargo_engine::Received;
use supercargo_engine::events::{self, PROVIDERS};
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::EventSource;
use crate::problem::Problem;
use crate::state::{Shared, State as SharedState};

/// How long a sender may take for its body. Providers themselves give up after some seconds.
const BODY: Duration = Duration::from_secs(15);
/// The unit in which memory for bodies is shared out.
const UNIT: usize = 1 << 10;

/// Takes a delivery of a registry.
///
/// Its body, and what is answered to it, are as the provider has them.
#[utoipa::path(
    post, path = "/v1/events/{provider}/{source}", operation_id = "receive", tag = "events",
    params(
        ("provider" = String, Path, description = "Who sends it: `distribution`, `eventbridge`, `event-grid`, …"),
        ("source" = String, Path, description = "The name of the source, or of the integration"),
    ),
    request_body(content = Vec<u8>, content_type = "*/*", description = "What the provider sends, with its secret"),
    responses(
        (status = 200, description = "It is on disk, or asks for nothing; some providers are answered otherwise"),
        (status = 401, description = "The secret is missing or wrong"),
        (status = 404, description = "There is no such source"),
        (status = 408, description = "The body takes too long"),
        (status = 413, description = "The body is too large"),
        (status = 503, description = "It could not be stored, or too many came at once"),
    ),
)]
pub(crate) async fn receive(
    State(shared): State<Shared>,
    Path((provider, name)): Path<(String, String)>,
    request: Request,
) -> Response {
    find(&shared, provider, name, None, request).await
}

/// Takes a delivery of a sender that knows an address and nothing else.
#[utoipa::path(
    post, path = "/v1/events/{provider}/{source}/{secret}", operation_id = "receiveWithSecret", tag = "events",
    params(
        ("provider" = String, Path, description = "Who sends it"),
        ("source" = String, Path, description = "The name of the source, or of the integration"),
        ("secret" = String, Path, description = "The secret"),
    ),
    request_body(content = Vec<u8>, content_type = "*/*", description = "What the provider sends"),
    responses(
        (status = 200, description = "It is on disk, or asks for nothing; some providers are answered otherwise"),
        (status = 401, description = "The secret is wrong"),
        (status = 404, description = "There is no such source"),
        (status = 408, description = "The body takes too long"),
        (status = 413, description = "The body is too large"),
        (status = 503, description = "It could not be stored, or too many came at once"),
    ),
)]
pub(crate) async fn receive_with_secret(
    State(shared): State<Shared>,
    Path((provider, name, _)): Path<(String, String, String)>,
    request: Request,
) -> Response {
    // As it was written: what is decoded before it is compared can be written in many ways.
    let secret = request.uri().path().rsplit('/').next().map(str::to_owned);
    find(&shared, provider, name, secret, request).await
}

async fn find(
    shared: &SharedState,
    provider: String,
    name: String,
    secret: Option<String>,
    request: Request,
) -> Response {
    let key = (provider, name);
    if let Some(source) = shared.sources.get(&key) {
        return take(shared, source, secret.as_deref(), request).await;
    }
    let (provider, name) = key;
    let unknown = || Problem::not_found("no such source of events is configured").into_response();
    let Some(limit) = integration_limit(shared, &provider, &name) else { return unknown() };
    let receive = async |delivery: events::Request<'_>| shared.intake.receive_for(&provider, &name, &delivery).await;
    deliver(shared, limit, secret.as_deref(), request, receive).await.unwrap_or_else(unknown)
}

/// Bytes of a delivery of an integration at most; `None` if there is no such source.
fn integration_limit(shared: &SharedState, provider: &str, name: &str) -> Option<usize> {
    shared.intake.integration_source(provider, name)?;
    PROVIDERS.iter().find(|known| known.name == provider).map(|known| known.body_limit)
}

/// Takes a delivery: all of its bytes, then the source's word on it, then the store, then the answer.
pub(crate) async fn take(
    shared: &SharedState,
    source: &EventSource,
    secret: Option<&str>,
    request: Request,
) -> Response {
    let receive = async |delivery: events::Request<'_>| {
        Some(shared.intake.receive(&source.name, source.source.as_ref(), &delivery).await)
    };
    let taken = deliver(shared, source.body_limit, secret, request, receive).await;
    taken.expect("a source that was found is there")
}

/// The same for whoever receives it; `None` if nobody does any more.
async fn deliver(
    shared: &SharedState,
    limit: usize,
    secret: Option<&str>,
    request: Request,
    receive: impl AsyncFnOnce(events::Request<'_>) -> Option<Received>,
) -> Option<Response> {
    let (parts, body) = request.into_parts();
    let mut room = Room { memory: &shared.memory, taken: None, units: 0 };
    let body = match read(&mut room, body, limit.min(shared.body_limit)).await {
        Ok(body) => body,
        Err(problem) => {
            shared.metrics.delivery(problem.outcome());
            return Some(problem.into_response());
        }
    };
    let received = receive(delivery(&parts, secret, &body)).await?;
    shared.metrics.delivery(received.outcome);
    let mut response = Response::new(Body::from(received.answer.body));
    *response.status_mut() = received.answer.status;
    *response.headers_mut() = received.answer.headers;
    Some(response)
}

fn delivery<'a>(parts: &'a Parts, secret: Option<&'a str>, body: &'a [u8]) -> events::Request<'a> {
    events::Request::new(&parts.method, &parts.headers, body, Timestamp::now())
        .with_query(parts.uri.query())
        .with_path_secret(secret)
}

async fn read(room: &mut Room<'_>, body: Body, limit: usize) -> Result<Bytes, Problem> {
    let too_large = || Problem::new(StatusCode::PAYLOAD_TOO_LARGE, format!("a delivery has {limit} bytes at most"));
    // Without this, a sender that says what is coming would have half of it read for nothing.
    if http_body_size(&body) > limit as u64 {
        return Err(too_large());
    }
    let mut stream: BodyDataStream = body.into_data_stream();
    let gather = async {
        let mut all = BytesMut::new();
        while let Some(chunk) = stream.next().await {
            let chunk = chunk.map_err(|_| Problem::bad_request("the body ends early"))?;
            if all.len() + chunk.len() > limit {
                return Err(too_large());
            }
            // Memory is taken for what has come, not for what is promised: slow senders keep nobody else out.
            room.hold(all.len() + chunk.len())?;
            all.extend_from_slice(&chunk);
        }
        Ok(all.freeze())
    };
    match tokio::time::timeout(BODY, gather).await {
        Ok(read) => read,
        Err(_) => Err(Problem::new(StatusCode::REQUEST_TIMEOUT, "the body takes too long")),
    }
}

fn http_body_size(body: &Body) -> u64 {
    use axum::body::HttpBody as _;
    body.size_hint().lower()
}

/// A delivery's share of the memory for bodies, until it is answered.
struct Room<'a> {
    memory: &'a Semaphore,
    taken: Option<SemaphorePermit<'a>>,
    units: usize,
}

impl Room<'_> {
    fn hold(&mut self, bytes: usize) -> Result<(), Problem> {
        let wanted = bytes.div_ceil(UNIT).max(1);
        let more = wanted.saturating_sub(self.units);
        let more_permits = u32::try_from(more).unwrap_or(u32::MAX);
        let Ok(permit) = self.memory.try_acquire_many(more_permits) else {
            return Err(Problem::unavailable("too many deliveries at once", Duration::from_secs(1)));
        };
        match &mut self.taken {
            Some(taken) => taken.merge(permit),
            None => self.taken = Some(permit),
        }
        self.units += more;
        Ok(())
    }
}

/// The units in `bytes`.
pub(crate) fn units(bytes: usize) -> usize {
    bytes / UNIT
}
