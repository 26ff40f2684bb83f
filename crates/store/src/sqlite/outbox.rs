//! Deliveries.

use std::time::Duration;

use sqlx::SqliteConnection;
use sqlx::sqlite::SqliteRow;

use super::connection::Tx;
use super::leased::{AGAIN_FRESH, Leased};
use super::queue::lane;
use super::sql::{Fields, SqlResult, json};
use crate::clock::millis;
use crate::error::Result;
use crate::job::JobState;
use crate::outbox::{
    Delivery, DeliveryFilter, DeliveryId, DeliveryKind, DeliveryLease, DeliveryRecord, NewDelivery, SinkStats,
};
use crate::page::{Cursor, Listing, Page};

/// A delivery that waits or was given up takes the newer request's details and, if that is fresh, starts anew; one
/// that runs will run again with them.
pub(super) async fn enqueue(tx: &mut Tx<'_>, delivery: &NewDelivery) -> Result<()> {
    let key = delivery.dedupe_key();
    let details = json(&delivery.details)?;
    let now = tx.now;
    if let Some((id, _)) = Leased::Deliveries.find(tx, &key).await? {
        sqlx::query(
            "UPDATE deliveries SET
                details = ?2,
                max_attempts = ?3,
                round = round + 1,
                again = CASE WHEN state = 'running' THEN min(coalesce(again, ?4), ?4) END,
                attempt = CASE
                    WHEN state = 'dead' OR (state = 'queued' AND ?4 = ?5) THEN 0
                    ELSE attempt END,
                run_at = CASE
                    WHEN state = 'dead' THEN ?1
                    WHEN state = 'queued' AND (?4 = ?5 OR error_at IS NULL) THEN min(run_at, ?1)
                    ELSE run_at END,
                lane = CASE WHEN state = 'dead' THEN ?4 WHEN state = 'queued' THEN min(lane, ?4) ELSE lane END,
                changed_at = CASE WHEN state = 'running' THEN changed_at ELSE ?1 END,
                finished_at = NULL,
                state = CASE WHEN state = 'dead' THEN 'queued' ELSE state END
            WHERE id = ?6",
        )
        .bind(now)
        .bind(details)
        .bind(delivery.max_attempts.max(1))
        .bind(delivery.lane.rank())
        .bind(AGAIN_FRESH)
        .bind(id)
        .execute(tx.connection())
        .await
        .sql()?;
        return Ok(());
    }
    sqlx::query(
        "INSERT INTO deliveries (sink, kind, subject, registry, repository, details, dedupe_key, state, max_attempts,
            run_at, changed_at, created_at, lane, tag)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, 'queued', ?8, ?9, ?9, ?9, ?10, ?11)",
    )
    .bind(&delivery.sink)
    .bind(delivery.kind.as_str())
    .bind(delivery.subject.to_string())
    .bind(&delivery.repository.registry)
    .bind(&delivery.repository.repository)
    .bind(details)
    .bind(key)
    .bind(delivery.max_attempts.max(1))
    .bind(now)
    .bind(delivery.lane.rank())
    .bind(&delivery.tag)
    .execute(tx.connection())
    .await
    .sql()?;
    Ok(())
}

pub(super) async fn claim(
    tx: &mut Tx<'_>,
    sink: &str,
    worker: &str,
    lease: Duration,
    limit: u32,
) -> Result<Vec<Delivery>> {
    Leased::Deliveries.sweep(tx).await?;
    let now = tx.now;
    let rows = sqlx::query(
        "UPDATE deliveries SET
            state = 'running',
            attempt = attempt + 1,
            lease_owner = ?2,
            lease_epoch = lease_epoch + 1,
            lease_until = ?1 + ?3,
            changed_at = ?1
        WHERE id IN (
            SELECT id FROM deliveries
            WHERE state = 'queued' AND sink = ?4 AND run_at <= ?1
            ORDER BY lane, run_at, id
            LIMIT ?5
        )
        RETURNING *",
    )
    .bind(now)
    .bind(worker)
    .bind(millis(lease))
    .bind(sink)
    .bind(limit)
    .fetch_all(tx.connection())
    .await
    .sql()?;
    let mut deliveries = rows
        .iter()
        .map(|row| Ok(((Fields(row).int("lane")?, Fields(row).int("run_at")?), claimed(row)?)))
        .collect::<Result<Vec<_>>>()?;
    deliveries.sort_by_key(|(order, delivery)| (*order, delivery.lease.delivery));
    Ok(deliveries.into_iter().map(|(_, delivery)| delivery).collect())
}

pub(super) async fn list(
    connection: &mut SqliteConnection,
    filter: &DeliveryFilter,
    page: &Page,
) -> Result<Listing<DeliveryRecord>> {
    let after = Cursor::numbers::<1>(page)?.map(|[id]| id);
    let rows = sqlx::query(
        "SELECT * FROM deliveries
        WHERE (?1 IS NULL OR state = ?1) AND (?2 IS NULL OR sink = ?2) AND (?3 IS NULL OR id < ?3)
            AND (?5 IS NULL OR id = ?5)
        ORDER BY id DESC LIMIT ?4",
    )
    .bind(filter.state.map(JobState::as_str))
    .bind(&filter.sink)
    .bind(after)
    .bind(super::fetch(page))
    .bind(filter.id.map(|id| id.0))
    .fetch_all(connection)
    .await
    .sql()?;
    let deliveries = rows.iter().map(record).collect::<Result<Vec<_>>>()?;
    Ok(Listing::cut(deliveries, page, |delivery| Cursor::new([&delivery.id])))
}

/// Removes rows that wait or were given up.
pub(super) async fn remove(tx: &mut Tx<'_>, filter: &DeliveryFilter) -> Result<u64> {
    // What a worker left when it crashed waits again once its lease has run out.
    Leased::Deliveries.sweep(tx).await?;
    let dropped = sqlx::query(
        "DELETE FROM deliveries
        WHERE state IN ('queued', 'dead') AND (?1 IS NULL OR state = ?1) AND (?2 IS NULL OR sink = ?2)
            AND (?3 IS NULL OR id = ?3)",
    )
    .bind(filter.state.map(JobState::as_str))
    .bind(&filter.sink)
    .bind(filter.id.map(|id| id.0))
    .execute(tx.connection())
    .await
    .sql()?;
    Ok(dropped.rows_affected())
}

pub(super) async fn set_sinks(tx: &mut Tx<'_>, worker: &str, sinks: &[String]) -> Result<()> {
    sqlx::query("DELETE FROM delivery_sinks WHERE worker = ?1").bind(worker).execute(tx.connection()).await.sql()?;
    for sink in sinks {
        sqlx::query("INSERT OR IGNORE INTO delivery_sinks (worker, sink) VALUES (?1, ?2)")
            .bind(worker)
            .bind(sink)
            .execute(tx.connection())
            .await
            .sql()?;
    }
    Ok(())
}

pub(super) async fn sinks(connection: &mut SqliteConnection) -> Result<Vec<String>> {
    sqlx::query_scalar("SELECT DISTINCT sink FROM delivery_sinks ORDER BY sink").fetch_all(connection).await.sql()
}

pub(super) async fn stats(connection: &mut SqliteConnection, now: i64) -> Result<Vec<SinkStats>> {
    let rows = sqlx::query(
        "SELECT sink,
            count(*) FILTER (WHERE state = 'queued' AND run_at <= ?1) AS ready,
            count(*) FILTER (WHERE state = 'queued' AND run_at > ?1) AS delayed,
            count(*) FILTER (WHERE state = 'running') AS running,
            count(*) FILTER (WHERE state = 'dead') AS dead,
            min(created_at) FILTER (WHERE state <> 'dead') AS oldest
        FROM deliveries WHERE state <> 'done' GROUP BY sink ORDER BY sink",
    )
    .bind(now)
    .fetch_all(connection)
    .await
    .sql()?;
    let stats = |row: &SqliteRow| {
        let fields = Fields(row);
        let oldest = fields.optional_int("oldest")?.and_then(|at| u64::try_from(now - at).ok());
        Ok(SinkStats {
            sink: fields.text("sink")?,
            ready: fields.count("ready")?,
            delayed: fields.count("delayed")?,
            running: fields.count("running")?,
            dead: fields.count("dead")?,
            oldest: oldest.map(Duration::from_millis),
        })
    };
    rows.iter().map(stats).collect()
}

fn request(fields: &Fields<'_>) -> Result<NewDelivery> {
    Ok(NewDelivery {
        sink: fields.text("sink")?,
        lane: lane(fields)?,
        kind: fields.word("kind", DeliveryKind::parse)?,
        subject: fields.digest("subject")?,
        repository: fields.repository()?,
        tag: fields.optional_text("tag")?,
        details: fields.json("details")?,
        max_attempts: fields.count("max_attempts")?,
    })
}

fn claimed(row: &SqliteRow) -> Result<Delivery> {
    let fields = Fields(row);
    Ok(Delivery {
        lease: DeliveryLease { delivery: DeliveryId(fields.int("id")?), epoch: fields.int("lease_epoch")? },
        request: request(&fields)?,
        round: fields.count("round")?,
        attempt: fields.count("attempt")?,
        last_error: fields.reason("error")?,
        created_at: fields.time("created_at")?,
        lease_until: fields.time("lease_until")?,
    })
}

fn record(row: &SqliteRow) -> Result<DeliveryRecord> {
    let fields = Fields(row);
    Ok(DeliveryRecord {
        id: DeliveryId(fields.int("id")?),
        request: request(&fields)?,
        state: fields.word("state", JobState::parse)?,
        round: fields.count("round")?,
        attempt: fields.count("attempt")?,
        run_at: fields.time("run_at")?,
        last_error: fields.reason("error")?,
        created_at: fields.time("created_at")?,
        finished_at: fields.optional_time("finished_at")?,
    })
}
