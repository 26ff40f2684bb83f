//! From a request to its answer.

use std::sync::Arc;

use axum::body::{self, Body};
use axum::extract::connect_info::Connected;
use axum::extract::{ConnectInfo, Request, State};
use axum::response::{IntoResponse as _, Response};
use axum::serve::IncomingStream;
use http::request::Parts;
use http::{HeaderValue, Method, StatusCode, header};
use serde_json::{Value, json};

use super::fault::{Effect, ScoutFault};
use super::{Shared, auth, ingest, lock, resolve};
use crate::RequestRecord;
use crate::registry::gate::{Gate, GatedListener};

/// The largest request; a chunk of packages is far smaller.
const LARGEST_BODY: usize = 64 << 20;

/// The connection that a request came on.
#[derive(Debug, Clone)]
pub(super) struct Connection(Arc<Gate>);

impl Connected<IncomingStream<'_, GatedListener>> for Connection {
    fn connect_info(stream: IncomingStream<'_, GatedListener>) -> Self {
        Self(stream.io().own_gate())
    }
}

/// An answer that says no.
#[derive(Debug)]
pub(super) struct Refusal {
    status: StatusCode,
    message: String,
}

impl Refusal {
    pub(super) fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self { status, message: message.into() }
    }

    fn into_response(self) -> Response {
        answer_json(self.status, &json!({"message": self.message}))
    }
}

fn answer_json(status: StatusCode, value: &Value) -> Response {
    (status, [(header::CONTENT_TYPE, "application/json")], value.to_string()).into_response()
}

/// Answers one request and takes it down in the log.
pub(super) async fn serve(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(connection): ConnectInfo<Connection>,
    request: Request,
) -> Response {
    let (parts, body) = request.into_parts();
    let body = match body::to_bytes(body, LARGEST_BODY).await {
        Ok(body) => body,
        Err(error) => return Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, error.to_string()).into_response(),
    };
    let latency = lock(&shared.faults).latency;
    let fault = lock(&shared.faults).next(&parts);
    let answer = match fault {
        Some(fault) => fail(&shared, &fault, &parts, &body, latency).await,
        None => Ok(answer(&shared, &parts, &body, latency).await),
    };
    let (response, is_cut) = match answer {
        Ok(response) => (response, false),
        Err(response) => (response, true),
    };
    // Before the answer leaves, so that a client that has it finds it in the log.
    lock(&shared.log).push(RequestRecord::new(&parts, response.status()));
    if is_cut {
        // The answer is written to a connection that is no more.
        connection.0.close();
    }
    response
}

/// Does what a fault asks for. An `Err` is an answer that must not arrive.
async fn fail(
    shared: &Shared,
    fault: &ScoutFault,
    parts: &Parts,
    body: &[u8],
    latency: std::time::Duration,
) -> Result<Response, Response> {
    match &fault.effect {
        Effect::CutAfter => Err(answer(shared, parts, body, latency).await),
        Effect::CutBefore => Err(Response::new(Body::empty())),
        Effect::Status(status) => {
            let mut response = Refusal::new(*status, "a fault was asked for").into_response();
            if let Some(after) = fault.retry_after {
                response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(after.as_secs()));
            }
            Ok(response)
        }
        Effect::Graphql { code, status } => Ok(graphql_error(code, *status, "a fault was asked for")),
    }
}

async fn answer(shared: &Shared, parts: &Parts, body: &[u8], latency: std::time::Duration) -> Response {
    let upload = parts.headers.get("x-atomist-ordering-key").and_then(|key| key.to_str().ok());
    let Ok(_turn) = upload.map(|key| Turn::take(shared, key)).transpose() else {
        return Refusal::new(StatusCode::BAD_REQUEST, "two transactions of one upload come at a time").into_response();
    };
    if !latency.is_zero() {
        tokio::time::sleep(latency).await;
    }
    route(shared, parts, body).unwrap_or_else(Refusal::into_response)
}

/// A transaction that is being answered: a client that sends two of one upload at a time is found out. Given back also
/// if the client goes away meanwhile.
struct Turn<'a> {
    shared: &'a Shared,
    key: &'a str,
}

impl<'a> Turn<'a> {
    fn take(shared: &'a Shared, key: &'a str) -> Result<Self, ()> {
        let is_free = lock(&shared.model).in_flight.insert(key.to_owned());
        if is_free { Ok(Self { shared, key }) } else { Err(()) }
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        lock(&self.shared.model).in_flight.remove(self.key);
    }
}

fn route(shared: &Shared, parts: &Parts, body: &[u8]) -> Result<Response, Refusal> {
    let segments: Vec<&str> = parts.uri.path().trim_start_matches('/').split('/').collect();
    match (&parts.method, &segments[..]) {
        (&Method::POST, ["v2", "auth", "token"]) => {
            auth::token(shared, body).map(|value| answer_json(StatusCode::OK, &value))
        }
        (&Method::POST, ["v1", "graphql"]) => {
            auth::authorize(shared, parts)?;
            let answered = resolve::answer(&mut lock(&shared.model), &shared.options, body);
            Ok(match answered {
                Ok(data) => answer_json(StatusCode::OK, &json!({"data": data})),
                Err(problem) => graphql_error(problem.code, problem.status, &problem.message),
            })
        }
        (&Method::POST, ["v1", "skills", "remote", team]) => {
            auth::authorize(shared, parts)?;
            if *team != shared.options.team_id() {
                return Err(Refusal::new(StatusCode::FORBIDDEN, "the user is not of this team"));
            }
            ingest::take(&mut lock(&shared.model), team, parts, body)
                .map_err(|problem| Refusal::new(StatusCode::BAD_REQUEST, problem))?;
            Ok(StatusCode::ACCEPTED.into_response())
        }
        (&Method::GET, ["v1", "exporter", "org", organization, "metrics"]) => {
            auth::authorize_secret(shared, parts)?;
            if *organization != shared.options.organization {
                return Err(Refusal::new(StatusCode::FORBIDDEN, "the user is not an owner of this organization"));
            }
            Ok(([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], exposition(shared)).into_response())
        }
        (method, _) => Err(Refusal::new(StatusCode::NOT_FOUND, format!("there is no {method} {}", parts.uri.path()))),
    }
}

/// An error as GraphQL has it: with 200 (`docker/hub-mcp` `src/scout/client.ts`).
fn graphql_error(code: &str, status: Option<u16>, message: &str) -> Response {
    let error = json!({"message": message, "path": [], "extensions": {"code": code, "status": status}});
    let id = "kit-correlation-id";
    answer_json(StatusCode::OK, &json!({"data": null, "errors": [error], "extensions": {"correlation_id": id}}))
}

/// The metrics that Docker's documentation names.
fn exposition(shared: &Shared) -> String {
    let images = lock(&shared.model).images.len();
    let mut text = String::from("# TYPE scout_stream_vulnerabilities gauge\n");
    for severity in ["critical", "high", "medium", "low"] {
        text.push_str(&format!(
            "scout_stream_vulnerabilities{{streamName=\"latest-indexed\",severity=\"{severity}\"}} 0\n"
        ));
    }
    for name in ["scout_policy_compliant_images", "scout_policy_evaluated_images"] {
        text.push_str(&format!(
            "# TYPE {name} gauge\n{name}{{id=\"p1\",displayName=\"Default non-root user\",streamName=\"latest-indexed\"}} {images}\n"
        ));
    }
    text
}
