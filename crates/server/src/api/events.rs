//! `/v1/events`.

use axum::Json;
use axum::extract::State;
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
    state: EventState,
    reason: Option<String>,
    registry: Option<String>,
    received_at: Timestamp,
    bytes: usize,
}

impl From<EventRecord> for EventView {
    fn from(record: EventRecord) -> Self {
        let EventRecord { id, event, received_at } = record;
        Self {
            id,
            source: event.source,
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
    let filter = EventFilter { source: params.source, state: params.state };
    let events = shared.store.events(&filter, &page(params.limit, params.cursor)?).await?;
    Ok(Json(Listing { items: events.items.into_iter().map(EventView::from).collect(), next: events.next }))
}
