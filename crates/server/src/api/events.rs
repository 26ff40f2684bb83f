//! `/v1/events`.

use axum::Json;
use axum::extract::{Path, State};
use http::StatusCode;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use supercargo_engine::store::{Cursor, EventFilter, EventId, EventRecord, EventState, Listing, NewAuditEntry};
use utoipa::{IntoParams, ToSchema};

use crate::access::Caller;
use crate::params::{Params, page};
use crate::problem::Problem;
use crate::state::Shared;

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListParams {
    /// Only those of this source.
    source: Option<String>,
    /// Only those of which this was made.
    state: Option<EventState>,
    /// Items at most: 100 unless given, up to 1000.
    limit: Option<u32>,
    /// Where the page before ended.
    #[param(value_type = Option<String>)]
    cursor: Option<Cursor>,
}

/// An event without its body, which may be megabytes.
#[derive(Serialize, ToSchema)]
pub(crate) struct EventView {
    /// Its number.
    id: EventId,
    /// The source that it came in by.
    source: String,
    /// What the provider calls it.
    key: String,
    /// What was made of it.
    state: EventState,
    /// Why, if nothing was.
    reason: Option<String>,
    /// The registry it speaks of.
    registry: Option<String>,
    /// When it came.
    received_at: Timestamp,
    /// The size of its body.
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

/// Lists deliveries and what became of them, the latest first.
#[utoipa::path(
    get, path = "/v1/events", operation_id = "listEvents", tag = "events", params(ListParams),
    security(("token" = ["viewer"])),
    responses((status = 200, description = "A page of deliveries", body = Listing<EventView>)),
)]
pub(crate) async fn list(
    State(shared): State<Shared>,
    caller: Caller,
    Params(params): Params<ListParams>,
) -> Result<Json<Listing<EventView>>, Problem> {
    let filter = EventFilter { source: params.source, state: params.state, ..EventFilter::default() };
    let events = shared.store.events(&filter, &page(params.limit, params.cursor)?).await?;
    let within = events.items.iter().filter(|event| is_within(&caller, event));
    Ok(Json(Listing { items: within.map(EventView::from).collect(), next: events.next }))
}

/// Whether the caller may see the delivery: it came in by their integration, or speaks of their registry.
fn is_within(caller: &Caller, record: &EventRecord) -> bool {
    let registry = record.event.registry.as_ref();
    caller.scope.covers(&record.event.source) || registry.is_some_and(|registry| caller.scope.sees(registry))
}

/// A delivery with what came in.
#[derive(Serialize, ToSchema)]
pub(crate) struct WholeView {
    #[serde(flatten)]
    event: EventView,
    /// The headers worth keeping.
    headers: std::collections::BTreeMap<String, String>,
    /// The body as text; what is none of UTF-8 is replaced.
    body: String,
}

/// Shows a delivery with its body.
#[utoipa::path(
    get, path = "/v1/events/{event}", operation_id = "showEvent", tag = "events",
    params(("event" = i64, Path, description = "The delivery's number")),
    security(("token" = ["viewer"])),
    responses((status = 200, description = "The delivery", body = WholeView), (status = 404)),
)]
pub(crate) async fn show(
    State(shared): State<Shared>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<WholeView>, Problem> {
    let record = find(&shared, &caller, &id).await?;
    let view = WholeView {
        event: EventView::from(&record),
        headers: record.event.headers.into_iter().collect(),
        body: String::from_utf8_lossy(&record.event.body).into_owned(),
    };
    Ok(Json(view))
}

/// What reading a delivery again came to.
#[derive(Serialize, ToSchema)]
pub(crate) struct ReplayView {
    /// In a word.
    outcome: &'static str,
    /// The number under which it was stored anew.
    event: Option<EventId>,
    /// Why there is nothing to do.
    reason: Option<String>,
}

/// Reads a stored delivery again, and does what it asks for now.
#[utoipa::path(
    post, path = "/v1/events/{event}", operation_id = "replayEvent", tag = "events",
    params(("event" = i64, Path, description = "The delivery's number")),
    security(("token" = ["editor"]), ()),
    responses(
        (status = 200, description = "There is nothing to do", body = ReplayView),
        (status = 202, description = "It was stored anew", body = ReplayView),
        (status = 404),
        (status = 409, description = "Its source is not configured any more"),
    ),
)]
pub(crate) async fn replay(
    State(shared): State<Shared>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<(StatusCode, Json<ReplayView>), Problem> {
    let record = find(&shared, &caller, &id).await?;
    let configured = shared.sources.values().find(|source| source.name == record.event.source);
    let integrations = shared.intake.source_of(&record);
    let Some(source) = configured.map(|source| source.source.as_ref()).or(integrations.as_deref()) else {
        let message = format!("its source `{}` is not configured any more", record.event.source);
        return Err(Problem::new(StatusCode::CONFLICT, message));
    };
    let replayed = shared.intake.replay(&record, source).await?;
    shared.store.record(NewAuditEntry::new(&caller.actor, "event.replay", record.id.to_string())).await?;
    let status = if replayed.event.is_some() { StatusCode::ACCEPTED } else { StatusCode::OK };
    let view = ReplayView { outcome: replayed.outcome, event: replayed.event, reason: replayed.reason };
    Ok((status, Json(view)))
}

async fn find(shared: &Shared, caller: &Caller, id: &str) -> Result<EventRecord, Problem> {
    let id = EventId(id.parse().map_err(|_| Problem::bad_request("expected the number of an event"))?);
    let found = shared.intake.delivery(id).await?.filter(|record| is_within(caller, record));
    found.ok_or_else(|| Problem::not_found("there is no such event"))
}
