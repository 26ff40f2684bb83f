//! `/v1/events`.

use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use supercargo_engine::store::{Cursor, EventFilter, EventId, EventRecord, EventState, Listing};

use crate::params::{Params, page};
use crate::problem::Problem;
use crate::state::Shared;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListParams {
    source: Option<String>,
    state: Option<EventState>,
    limit: Option<u32>,
    cursor: Option<Cursor>,
}

/// An event without its body, which may be megabytes.
#[derive(Serialize)]
pub(crate) struct EventView {
    id: EventId,
    source: String,
    key: String,
    state: EventState,
    reason: Option<String>,
    registry: Option<String>,
    received_at: Timestamp,
    bytes: usize,
}

impl From<&EventRecord> for EventView {
    fn from(record: &EventRecord) -> Self {
        let EventRecord { id, event, received_at } = record.clone();
        Self {
            id,
            source: event.source,
            key: event.dedupe_key,
            state: event.state,
            reason: event.reason,
            registry: event.registry,
            received_at,
            bytes: event.body.len(),
        }
    }
}

/// `GET /v1/events`: deliveries and what became of them, the latest first.
pub(crate) async fn list(
    State(shared): State<Shared>,
    Params(params): Params<ListParams>,
) -> Result<Json<Listing<EventView>>, Problem> {
    let filter = EventFilter { source: params.source, state: params.state, ..EventFilter::default() };
    let events = shared.store.events(&filter, &page(params.limit, params.cursor)?).await?;
    Ok(Json(Listing { items: events.items.iter().map(EventView::from).collect(), next: events.next }))
}

/// A delivery with what came in.
#[derive(Serialize)]
struct WholeView {
    #[serde(flatten)]
    event: EventView,
    headers: std::collections::BTreeMap<String, String>,
    /// The body as text; what is none of UTF-8 is replaced.
    body: String,
}

/// `GET /v1/events/{id}`: one delivery, with its body.
pub(crate) async fn show(State(shared): State<Shared>, Path(id): Path<String>) -> Result<Response, Problem> {
    let record = find(&shared, &id).await?;
    let view = WholeView {
        event: EventView::from(&record),
        headers: record.event.headers.into_iter().collect(),
        body: String::from_utf8_lossy(&record.event.body).into_owned(),
    };
    Ok(Json(view).into_response())
}

/// What reading a delivery again came to.
#[derive(Serialize)]
struct ReplayView {
    outcome: &'static str,
    event: Option<EventId>,
    reason: Option<String>,
}

/// `POST /v1/events/{id}`: reads a stored delivery again, and does what it asks for now.
pub(crate) async fn replay(State(shared): State<Shared>, Path(id): Path<String>) -> Result<Response, Problem> {
    let record = find(&shared, &id).await?;
    let Some(source) = shared.sources.values().find(|source| source.name == record.event.source) else {
        let message = format!("its source `{}` is not configured any more", record.event.source);
        return Err(Problem::new(StatusCode::CONFLICT, message));
    };
    let replayed =
        shared.intake.replay(&record, source.source.as_ref()).await.map_err(|error| Problem::from_engine(&error))?;
    let status = if replayed.event.is_some() { StatusCode::ACCEPTED } else { StatusCode::OK };
    let view = ReplayView { outcome: replayed.outcome, event: replayed.event, reason: replayed.reason };
    Ok((status, Json(view)).into_response())
}

async fn find(shared: &Shared, id: &str) -> Result<EventRecord, Problem> {
    let id = EventId(id.parse().map_err(|_| Problem::bad_request("expected the number of an event"))?);
    let found = shared.intake.delivery(id).await.map_err(|error| Problem::from_engine(&error))?;
    found.ok_or_else(|| Problem::not_found("there is no such event"))
}
