//! Deliveries of registries.

use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::{Path, Request, State};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use supercargo_engine::events;

use crate::problem::Problem;
use crate::state::Shared;

/// How long a sender may take for its body. Providers themselves give up after some seconds.
const BODY: Duration = Duration::from_secs(15);

/// Takes a delivery: all of its bytes, then the source's word on it, then the store, then the answer.
pub(crate) async fn receive(
    State(shared): State<Shared>,
    Path((provider, name)): Path<(String, String)>,
    request: Request,
) -> Response {
    let Some(source) = shared.sources.get(&(provider, name.clone())) else {
        return Problem::not_found("no such source of events is configured").into_response();
    };
    let Ok(_permit) = shared.deliveries.try_acquire() else {
        return Problem::unavailable("too many deliveries at once", Duration::from_secs(1)).into_response();
    };
    let (parts, body) = request.into_parts();
    let body = match read(body, shared.body_limit).await {
        Ok(body) => body,
        Err(problem) => return problem.into_response(),
    };
    let delivery = events::Request::new(&parts.method, &parts.headers, &body, jiff::Timestamp::now())
        .with_query(parts.uri.query());
    let received = shared.intake.receive(&name, source.as_ref(), &delivery).await;
    shared.metrics.delivery(received.outcome);
    let mut response = Response::new(Body::from(received.answer.body));
    *response.status_mut() = received.answer.status;
    *response.headers_mut() = received.answer.headers;
    response
}

async fn read(body: Body, limit: usize) -> Result<bytes::Bytes, Problem> {
    let too_large = || Problem::new(StatusCode::PAYLOAD_TOO_LARGE, format!("a delivery has {limit} bytes at most"));
    // Without this, a sender that says what is coming would have half of it read for nothing.
    if http_body_size(&body) > limit as u64 {
        return Err(too_large());
    }
    match tokio::time::timeout(BODY, to_bytes(body, limit)).await {
        Ok(Ok(bytes)) => Ok(bytes),
        Ok(Err(error)) if is_over_limit(&error) => Err(too_large()),
        Ok(Err(_)) => Err(Problem::bad_request("the body ends early")),
        Err(_) => Err(Problem::new(StatusCode::REQUEST_TIMEOUT, "the body takes too long")),
    }
}

fn http_body_size(body: &Body) -> u64 {
    use axum::body::HttpBody as _;
    body.size_hint().lower()
}

fn is_over_limit(error: &axum::Error) -> bool {
    let mut next: Option<&dyn std::error::Error> = Some(error);
    while let Some(error) = next {
        // `http_body_util::LengthLimitError`, whose crate is not worth a dependency for its type's name.
        if error.to_string() == "length limit exceeded" {
            return true;
        }
        next = error.source();
    }
    false
}
