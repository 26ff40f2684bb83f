//! Whether it lives, and whether it works.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, Method, StatusCode};
use serde::Serialize;
use supercargo_engine::{RegistryStatus, SinkStatus};

use crate::state::Shared;

/// The process answers.
pub(crate) async fn alive() -> &'static str {
    "ok\n"
}

#[derive(Serialize)]
struct Readiness {
    ready: bool,
    /// Absent for those who may not read: it names registries.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    details: Option<Details>,
}

#[derive(Serialize)]
struct Details {
    store: Check,
    engine: Check,
    registries: Vec<RegistryStatus>,
    sinks: Vec<SinkStatus>,
}

#[derive(Serialize)]
struct Check {
    ok: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

impl Check {
    fn of(result: Result<(), String>) -> Self {
        Self { ok: result.is_ok(), reason: result.err() }
    }
}

/// 200 if deliveries are stored and work is done, 503 otherwise. A registry or a sink that is away is told and changes
/// nothing: another instance would not reach it either.
pub(crate) async fn ready(State(shared): State<Shared>, method: Method, headers: HeaderMap) -> Response {
    let status = shared.engine.status();
    let store = Check::of(shared.store.check().await.map_err(|error| error.to_string()));
    let engine = Check::of(match (status.running, status.accepting) {
        (true, true) => Ok(()),
        (false, _) => Err("it does not run".to_owned()),
        (true, false) => Err("it is stopping".to_owned()),
    });
    let ready = store.ok && engine.ok;
    let code = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let may_read = shared.access.check(&method, &headers).is_ok();
    let details = may_read.then_some(Details { store, engine, registries: status.registries, sinks: status.sinks });
    (code, Json(Readiness { ready, details })).into_response()
}
