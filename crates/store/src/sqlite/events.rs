//! Events.

use std::collections::{BTreeMap, BTreeSet};

use sqlx::SqliteConnection;
use sqlx::sqlite::SqliteRow;

use super::connection::Tx;
use super::sql::{Fields, SqlResult, json};
use super::{changes, queue};
use crate::error::Result;
use crate::event::{Accepted, Arrival, Arrived, EventFilter, EventId, EventRecord, EventState, NewEvent, Part};
use crate::page::{Cursor, Listing, Page};

pub(super) async fn accept(tx: &mut Tx<'_>, arrivals: &[Arrival]) -> Result<Vec<Arrived>> {
    let mut arrived = Vec::with_capacity(arrivals.len());
    let mut registries = BTreeSet::new();
    for arrival in arrivals {
        let one = accept_one(tx, arrival).await?;
        if let (Accepted::New(_), Some(registry)) = (one.accepted, &arrival.event.registry) {
            registries.insert(registry);
        }
        arrived.push(one);
    }
    // Once for all of them: in a burst they speak of the same one.
    for registry in registries {
        changes::registry_event(tx, registry).await?;
    }
    Ok(arrived)
}

async fn accept_one(tx: &mut Tx<'_>, arrival: &Arrival) -> Result<Arrived> {
    let Arrival { event, jobs, parts } = arrival;
    if let Some(id) = find(tx, &event.source, &event.dedupe_key).await? {
        return Ok(Arrived { accepted: Accepted::Duplicate(id), known_parts: 0 });
    }
    let known = if parts.is_empty() { BTreeMap::new() } else { known_parts(tx, &event.source, parts).await? };
    if let Some(id) = parts.first().and_then(|part| known.get(&part.dedupe_key))
        && parts.iter().all(|part| known.contains_key(&part.dedupe_key))
    {
        return Ok(Arrived { accepted: Accepted::Duplicate(*id), known_parts: 0 });
    }
    let id = insert(tx, event).await?;
    let fresh: Vec<&Part> = parts.iter().filter(|part| !known.contains_key(&part.dedupe_key)).collect();
    if !fresh.is_empty() {
        insert_keys(tx, id, &event.source, &fresh).await?;
    }
    for job in jobs.iter().chain(fresh.iter().flat_map(|part| &part.jobs)) {
        queue::enqueue(tx, job, Some(id)).await?;
    }
    Ok(Arrived { accepted: Accepted::New(id), known_parts: parts.len() - fresh.len() })
}

async fn find(tx: &mut Tx<'_>, source: &str, key: &str) -> Result<Option<EventId>> {
    let id: Option<i64> = sqlx::query_scalar(
        "SELECT id FROM events WHERE source = ?1 AND dedupe_key = ?2
        UNION ALL SELECT event_id FROM event_keys WHERE source = ?1 AND dedupe_key = ?2
        LIMIT 1",
    )
    .bind(source)
    .bind(key)
    .fetch_optional(tx.connection())
    .await
    .sql()?;
    Ok(id.map(EventId))
}

/// Those of the parts that are known, and the delivery that brought each.
async fn known_parts(tx: &mut Tx<'_>, source: &str, parts: &[Part]) -> Result<BTreeMap<String, EventId>> {
    let keys: Vec<&str> = parts.iter().map(|part| part.dedupe_key.as_str()).collect();
    let rows = sqlx::query(
        "SELECT dedupe_key, id FROM events
        WHERE source = ?1 AND dedupe_key IN (SELECT value FROM json_each(?2))
        UNION ALL SELECT dedupe_key, event_id FROM event_keys
        WHERE source = ?1 AND dedupe_key IN (SELECT value FROM json_each(?2))",
    )
    .bind(source)
    .bind(json(&keys)?)
    .fetch_all(tx.connection())
    .await
    .sql()?;
    rows.iter().map(|row| Ok((Fields(row).text("dedupe_key")?, EventId(Fields(row).int("id")?)))).collect()
}

async fn insert(tx: &mut Tx<'_>, event: &NewEvent) -> Result<EventId> {
    let now = tx.now;
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
    Ok(EventId(done.last_insert_rowid()))
}

async fn insert_keys(tx: &mut Tx<'_>, id: EventId, source: &str, parts: &[&Part]) -> Result<()> {
    let keys: Vec<&str> = parts.iter().map(|part| part.dedupe_key.as_str()).collect();
    // A delivery may name an event twice.
    sqlx::query(
        "INSERT INTO event_keys (source, dedupe_key, event_id)
        SELECT ?1, value, ?2 FROM json_each(?3) WHERE true ON CONFLICT DO NOTHING",
    )
    .bind(source)
    .bind(id.0)
    .bind(json(&keys)?)
    .execute(tx.connection())
    .await
    .sql()?;
    Ok(())
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
            AND (?5 IS NULL OR id = ?5)
        ORDER BY id DESC LIMIT ?4",
    )
    .bind(filter.state.map(EventState::as_str))
    .bind(&filter.source)
    .bind(after)
    .bind(super::fetch(page))
    .bind(filter.id.map(|id| id.0))
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
