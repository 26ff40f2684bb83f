//! `/v1/queue` and `/v1/registries`: how it goes.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use supercargo_engine::store::{Lane, LaneStats, RegistryState};
use supercargo_engine::{Counters, RunningJob};
use utoipa::ToSchema;

use crate::access::Caller;
use crate::problem::Problem;
use crate::state::Shared;

/// How full the queue is.
#[derive(Serialize, ToSchema)]
pub(crate) struct Queue {
    /// From the most urgent.
    lanes: Vec<LaneView>,
    /// Jobs that workers of this process have.
    running: Vec<RunningJob>,
    /// What this process did since it started.
    counters: Counters,
}

/// How full a lane is.
#[derive(Serialize, ToSchema)]
pub(crate) struct LaneView {
    /// The lane.
    lane: Lane,
    /// Jobs that wait for a worker.
    ready: u64,
    /// Jobs that wait for their time.
    delayed: u64,
    /// Jobs that a worker has.
    running: u64,
    /// Jobs that were given up.
    dead: u64,
    /// How long the oldest ready job has waited.
    oldest_ready_seconds: Option<f64>,
}

impl From<LaneStats> for LaneView {
    fn from(stats: LaneStats) -> Self {
        let LaneStats { lane, ready, delayed, running, dead, oldest_ready } = stats;
        Self { lane, ready, delayed, running, dead, oldest_ready_seconds: oldest_ready.map(|age| age.as_secs_f64()) }
    }
}

/// Shows how full the queue is, and what is being done.
#[utoipa::path(
    get, path = "/v1/queue", operation_id = "showQueue", tag = "work",
    security(("token" = ["viewer"])),
    responses((status = 200, description = "The queue", body = Queue)),
)]
pub(crate) async fn show(State(shared): State<Shared>, caller: Caller) -> Result<Json<Queue>, Problem> {
    caller.unscoped()?;
    let lanes = shared.store.queue_stats().await?.into_iter().map(LaneView::from).collect();
    let status = shared.engine.status();
    Ok(Json(Queue { lanes, running: status.jobs, counters: status.counters }))
}

/// All registries: few enough for one page.
#[derive(Serialize, ToSchema)]
pub(crate) struct Registries {
    items: Vec<RegistryState>,
}

/// Lists the registries that were seen, and how they are.
#[utoipa::path(
    get, path = "/v1/registries", operation_id = "listRegistries", tag = "work",
    security(("token" = ["viewer"])),
    responses((status = 200, description = "The registries, by name", body = Registries)),
)]
pub(crate) async fn registries(State(shared): State<Shared>, caller: Caller) -> Result<Json<Registries>, Problem> {
    let mut items = shared.store.registries().await?;
    items.retain(|registry| caller.scope.sees(&registry.name));
    Ok(Json(Registries { items }))
}
