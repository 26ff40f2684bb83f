//! Whether it lives, and whether it works.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, Method, StatusCode};
use serde::Serialize;
use supercargo_engine::{RegistryStatus, SinkStatus};
use utoipa::ToSchema;

use crate::access::Scope;
use crate::state::Shared;

/// Says that the process lives.
#[utoipa::path(get, path = "/healthz", operation_id = "isAlive", tag = "health", responses((status = 200, description = "It does", body = String)))]
pub(crate) async fn alive() -> &'static str {
    "ok\n"
}

/// Whether it works.
#[derive(Serialize, ToSchema)]
pub(crate) struct Readiness {
    /// The store answers, and the engine runs.
    ready: bool,
    /// Absent for those who may not read: it names registries.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    details: Option<Details>,
}

/// What that is made of.
#[derive(Serialize, ToSchema)]
pub(crate) struct Details {
    /// The store.
    store: Check,
    /// The engine.
    engine: Check,
    /// The registries that are watched.
    registries: Vec<RegistryStatus>,
    /// Where things are delivered.
    sinks: Vec<SinkStatus>,
}

/// Whether a part of it works.
#[derive(Serialize, ToSchema)]
pub(crate) struct Check {
    /// It does.
    ok: bool,
    /// Why not.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

impl Check {
    fn of(result: Result<(), String>) -> Self {
        Self { ok: result.is_ok(), reason: result.err() }
    }
}

/// Says whether deliveries are stored and work is done.
///
/// A registry or a sink that is away is told and changes nothing: another instance would not reach it either.
#[utoipa::path(
    get, path = "/readyz", operation_id = "isReady", tag = "health",
    security((), ("token" = ["viewer"])),
    responses(
        (status = 200, description = "They are; with details for those who may read", body = Readiness),
        (status = 503, description = "They are not", body = Readiness),
    ),
)]
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
    let caller = shared.access.identify(shared.store.as_ref(), &method, &headers).await;
    let may_read = caller.is_ok_and(|caller| caller.scope == Scope::All);
    let details = may_read.then_some(Details { store, engine, registries: status.registries, sinks: status.sinks });
    (code, Json(Readiness { ready, details })).into_response()
}
