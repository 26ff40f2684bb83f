//! Events.

use sqlx::SqliteConnection;
use sqlx::sqlite::SqliteRow;

use super::connection::Tx;
use super::sql::{Fields, SqlResult, json};
use super::{changes, queue};
use crate::error::Result;
use crate::event::{Accepted, EventFilter, EventId, EventRecord, EventState, NewEvent};
use crate::job::NewJob;
use crate::page::{Cursor, Listing, Page};

pub(super) async fn accept(tx: &mut Tx<'_>, event: &NewEvent, jobs: &[NewJob]) -> Result<Accepted> {
    let now = tx.now;
    let known: Option<i64> = sqlx::query_scalar("SELECT id FROM events WHERE source = ? AND dedupe_key = ?")
        .bind(&event.source)
        .bind(&event.dedupe_key)
        .fetch_optional(tx.connection())
        .await
        .sql()?;
    if let Some(id) = known {
        return Ok(Accepted::Duplicate(EventId(id)));
    }
    let done = sqlx::query(
        "INSERT INTO events (source, dedupe_key, state, reason, registry, headers, body, received_at)
        VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(&event.source)
    .bind(&event.dedupe_key)
    .bind(event.state.as_str())
    .bind(&event.reason)
    .bind(&event.registry)
    .bind(json(&event.headers)?)
    .bind(&event.body)
    .bind(now)
    .execute(tx.connection())
    .await
    .sql()?;
    let id = EventId(done.last_insert_rowid());
    if let Some(registry) = &event.registry {
        changes::registry_event(tx, registry).await?;
    }
    for job in jobs {
        queue::enqueue(tx, job, Some(id)).await?;
    }
    Ok(Accepted::New(id))
}

pub(super) async fn list(
    connection: &mut SqliteConnection,
    filter: &EventFilter,
    page: &Page,
) -> Result<Listing<EventRecord>> {
    let after = Cursor::numbers::<1>(page)?.map(|[id]| id);
    let rows = sqlx::query(
        "SELECT * FROM events
        WHERE (?1 IS NULL OR state = ?1) AND (?2 IS NULL OR source = ?2) AND (?3 IS NULL OR id < ?3)
        ORDER BY id DESC LIMIT ?4",
    )
    .bind(filter.state.map(EventState::as_str))
    .bind(&filter.source)
    .bind(after)
    .bind(super::fetch(page))
    .fetch_all(connection)
    .await
    .sql()?;
    let events = rows.iter().map(record).collect::<Result<Vec<_>>>()?;
    Ok(Listing::cut(events, page, |event| Cursor::new([&event.id])))
}

fn record(row: &SqliteRow) -> Result<EventRecord> {
    let fields = Fields(row);
    Ok(EventRecord {
        id: EventId(fields.int("id")?),
        event: NewEvent {
            source: fields.text("source")?,
            dedupe_key: fields.text("dedupe_key")?,
            state: fields.word("state", EventState::parse)?,
            reason: fields.optional_text("reason")?,
            registry: fields.optional_text("registry")?,
            headers: fields.json("headers")?,
            body: fields.bytes("body")?,
        },
        received_at: fields.time("received_at")?,
    })
}
