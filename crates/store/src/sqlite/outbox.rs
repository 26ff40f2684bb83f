//! Deliveries.

use std::time::Duration;

use sqlx::SqliteConnection;
use sqlx::sqlite::SqliteRow;

use super::connection::Tx;
use super::leased::{AGAIN_FRESH, Leased};
use super::sql::{Fields, SqlResult, json};
use crate::clock::millis;
use crate::error::Result;
use crate::job::JobState;
use crate::outbox::{Delivery, DeliveryFilter, DeliveryId, DeliveryKind, DeliveryLease, DeliveryRecord, NewDelivery};
use crate::page::{Cursor, Listing, Page};

/// A delivery that waits or was given up takes the newer request's details and starts anew; one that runs will
/// run again with them.
pub(super) async fn enqueue(tx: &mut Tx<'_>, delivery: &NewDelivery) -> Result<()> {
    let key = delivery.dedupe_key();
    let details = json(&delivery.details)?;
    let now = tx.now;
    if let Some((id, _)) = Leased::Deliveries.find(tx, &key).await? {
        sqlx::query(
            "UPDATE deliveries SET
                details = ?2,
                max_attempts = ?3,
                again = CASE WHEN state = 'running' THEN ?4 END,
                attempt = CASE WHEN state = 'running' THEN attempt ELSE 0 END,
                run_at = CASE WHEN state = 'running' THEN run_at WHEN state = 'dead' THEN ?1 ELSE min(run_at, ?1) END,
                changed_at = CASE WHEN state = 'running' THEN changed_at ELSE ?1 END,
                finished_at = NULL,
                state = CASE WHEN state = 'dead' THEN 'queued' ELSE state END
            WHERE id = ?5",
        )
        .bind(now)
        .bind(details)
        .bind(delivery.max_attempts.max(1))
        .bind(AGAIN_FRESH)
        .bind(id)
        .execute(tx.connection())
        .await
        .sql()?;
        return Ok(());
    }
    sqlx::query(
        "INSERT INTO deliveries (sink, kind, subject, registry, repository, details, dedupe_key, state, max_attempts,
            run_at, changed_at, created_at)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, 'queued', ?8, ?9, ?9, ?9)",
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
            ORDER BY run_at, id
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
    let mut deliveries =
        rows.iter().map(|row| Ok((Fields(row).int("run_at")?, claimed(row)?))).collect::<Result<Vec<_>>>()?;
    deliveries.sort_by_key(|(run_at, delivery)| (*run_at, delivery.lease.delivery));
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
        ORDER BY id DESC LIMIT ?4",
    )
    .bind(filter.state.map(JobState::as_str))
    .bind(&filter.sink)
    .bind(after)
    .bind(super::fetch(page))
    .fetch_all(connection)
    .await
    .sql()?;
    let deliveries = rows.iter().map(record).collect::<Result<Vec<_>>>()?;
    Ok(Listing::cut(deliveries, page, |delivery| Cursor::new([&delivery.id])))
}

fn request(fields: &Fields<'_>) -> Result<NewDelivery> {
    Ok(NewDelivery {
        sink: fields.text("sink")?,
        kind: fields.word("kind", DeliveryKind::parse)?,
        subject: fields.digest("subject")?,
        repository: fields.repository()?,
        details: fields.json("details")?,
        max_attempts: fields.count("max_attempts")?,
    })
}

fn claimed(row: &SqliteRow) -> Result<Delivery> {
    let fields = Fields(row);
    Ok(Delivery {
        lease: DeliveryLease { delivery: DeliveryId(fields.int("id")?), epoch: fields.int("lease_epoch")? },
        request: request(&fields)?,
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
        attempt: fields.count("attempt")?,
        run_at: fields.time("run_at")?,
        last_error: fields.reason("error")?,
        created_at: fields.time("created_at")?,
        finished_at: fields.optional_time("finished_at")?,
    })
}
