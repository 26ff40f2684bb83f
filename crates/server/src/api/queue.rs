//! `/v1/queue` and `/v1/registries`: how it goes.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use supercargo_engine::store::{Lane, LaneStats, RegistryState};
use supercargo_engine::{Counters, RunningJob};

use crate::problem::Problem;
use crate::state::Shared;

#[derive(Serialize)]
pub(crate) struct Queue {
    lanes: Vec<LaneView>,
    /// Jobs that workers of this process have.
    running: Vec<RunningJob>,
    /// What this process did since it started.
    counters: Counters,
}

#[derive(Serialize)]
struct LaneView {
    lane: Lane,
    ready: u64,
    delayed: u64,
    running: u64,
    dead: u64,
    oldest_ready_seconds: Option<f64>,
}

impl From<LaneStats> for LaneView {
    fn from(stats: LaneStats) -> Self {
        let LaneStats { lane, ready, delayed, running, dead, oldest_ready } = stats;
        Self { lane, ready, delayed, running, dead, oldest_ready_seconds: oldest_ready.map(|age| age.as_secs_f64()) }
    }
}

/// `GET /v1/queue`.
pub(crate) async fn show(State(shared): State<Shared>) -> Result<Json<Queue>, Problem> {
    let lanes = shared.store.queue_stats().await?.into_iter().map(LaneView::from).collect();
    let status = shared.engine.status();
    Ok(Json(Queue { lanes, running: status.jobs, counters: status.counters }))
}

#[derive(Serialize)]
pub(crate) struct Registries {
    items: Vec<RegistryState>,
}

/// `GET /v1/registries`.
pub(crate) async fn registries(State(shared): State<Shared>) -> Result<Json<Registries>, Problem> {
    Ok(Json(Registries { items: shared.store.registries().await? }))
}
