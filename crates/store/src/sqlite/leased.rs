//! What jobs and deliveries have in common: they wait, are leased, and end. The SQL is written once and takes
//! the table's name; both tables have the same columns from `dedupe_key` to `finished_at`.

use std::time::Duration;

use sqlx::{AssertSqlSafe, Row};

use super::connection::Tx;
use super::sql::{Fields, SqlResult};
use crate::clock::millis;
use crate::error::{Error, ErrorKind, Result};
use crate::job::{Disposition, Failure, JobState, Retry};

/// A table with leased rows.
#[derive(Clone, Copy, Debug)]
pub(super) enum Leased {
    Jobs,
    Deliveries,
}

/// The value of `again` of a request as urgent as a push. Such a request also starts the attempts anew; what
/// a reconcile pass asks for again does not, or a poison image would be tried for ever.
pub(super) const AGAIN_FRESH: i64 = 0;

impl Leased {
    fn sql(self, template: &str) -> AssertSqlSafe<String> {
        let table = match self {
            Self::Jobs => "jobs",
            Self::Deliveries => "deliveries",
        };
        // Rows that were asked for again while they ran take the more urgent of the two lanes.
        let requeue = "lane = min(lane, coalesce(again, lane)),";
        AssertSqlSafe(template.replace("{table}", table).replace("{requeue}", requeue))
    }

    /// Queues rows whose lease has run out, or gives them up.
    ///
    /// Before that it moves rows that were last written in the future: the clock was set back since, and their
    /// leases and back-offs would last longer than their length.
    pub(super) async fn sweep(self, tx: &mut Tx<'_>) -> Result<()> {
        let now = tx.now;
        sqlx::query(self.sql(
            "UPDATE {table} SET
                run_at = run_at - (changed_at - ?1),
                lease_until = lease_until - (changed_at - ?1),
                changed_at = ?1
            WHERE state IN ('queued', 'running') AND changed_at > ?1",
        ))
        .bind(now)
        .execute(tx.connection())
        .await
        .sql()?;
        sqlx::query(self.sql(
            "UPDATE {table} SET
                state = CASE WHEN again = 0 OR attempt < max_attempts THEN 'queued' ELSE 'dead' END,
                attempt = CASE WHEN again = 0 THEN 0 ELSE attempt END,
                {requeue}
                run_at = ?1,
                changed_at = ?1,
                finished_at = CASE WHEN again = 0 OR attempt < max_attempts THEN NULL ELSE ?1 END,
                again = NULL,
                error_kind = 'lease-expired',
                error_message = 'worker ' || lease_owner || ' neither finished in time nor said that it is alive',
                error_retryable = 1,
                error_at = ?1,
                lease_owner = NULL,
                lease_until = NULL
            WHERE state = 'running' AND lease_until <= ?1",
        ))
        .bind(now)
        .execute(tx.connection())
        .await
        .sql()?;
        Ok(())
    }

    pub(super) async fn heartbeat(self, tx: &mut Tx<'_>, id: i64, epoch: i64, duration: Duration) -> Result<()> {
        let now = tx.now;
        let done = sqlx::query(self.sql(
            "UPDATE {table} SET lease_until = ?1 + ?4, changed_at = ?1
            WHERE id = ?2 AND lease_epoch = ?3 AND state = 'running' AND lease_until > ?1",
        ))
        .bind(now)
        .bind(id)
        .bind(epoch)
        .bind(millis(duration))
        .execute(tx.connection())
        .await
        .sql()?;
        held(done.rows_affected(), id)
    }

    pub(super) async fn complete(self, tx: &mut Tx<'_>, id: i64, epoch: i64) -> Result<()> {
        let now = tx.now;
        let done = sqlx::query(self.sql(
            "UPDATE {table} SET
                state = CASE WHEN again IS NULL THEN 'done' ELSE 'queued' END,
                attempt = CASE WHEN again IS NULL THEN attempt ELSE 0 END,
                {requeue}
                run_at = ?1,
                changed_at = ?1,
                finished_at = CASE WHEN again IS NULL THEN ?1 END,
                again = NULL,
                error_kind = NULL,
                error_message = NULL,
                error_retryable = NULL,
                error_at = NULL,
                lease_owner = NULL,
                lease_until = NULL
            WHERE id = ?2 AND lease_epoch = ?3 AND state = 'running' AND lease_until > ?1",
        ))
        .bind(now)
        .bind(id)
        .bind(epoch)
        .execute(tx.connection())
        .await
        .sql()?;
        held(done.rows_affected(), id)
    }

    pub(super) async fn fail(self, tx: &mut Tx<'_>, id: i64, epoch: i64, failure: Failure) -> Result<Disposition> {
        let now = tx.now;
        let (mode, delay) = match failure.retry {
            Retry::Never => (0, Duration::ZERO),
            Retry::After(delay) => (1, delay),
            Retry::Postpone(delay) => (2, delay),
        };
        let reason = failure.reason.cut();
        let row = sqlx::query(self.sql(
            "UPDATE {table} SET
                state = CASE WHEN again = 0 OR ?4 = 2 OR (?4 = 1 AND attempt < max_attempts)
                    THEN 'queued' ELSE 'dead' END,
                finished_at = CASE WHEN again = 0 OR ?4 = 2 OR (?4 = 1 AND attempt < max_attempts)
                    THEN NULL ELSE ?1 END,
                attempt = CASE WHEN again = 0 THEN 0 WHEN ?4 = 2 THEN attempt - 1 ELSE attempt END,
                {requeue}
                run_at = CASE WHEN again = 0 AND ?4 <> 2 THEN ?1 ELSE ?1 + ?5 END,
                changed_at = ?1,
                again = NULL,
                error_kind = ?6,
                error_message = ?7,
                error_retryable = ?8,
                error_at = ?1,
                lease_owner = NULL,
                lease_until = NULL
            WHERE id = ?2 AND lease_epoch = ?3 AND state = 'running' AND lease_until > ?1
            RETURNING state, run_at",
        ))
        .bind(now)
        .bind(id)
        .bind(epoch)
        .bind(mode)
        .bind(millis(delay))
        .bind(reason.kind)
        .bind(reason.message)
        .bind(reason.retryable)
        .fetch_optional(tx.connection())
        .await
        .sql()?;
        let Some(row) = row else { return Err(lost(id)) };
        let row = Fields(&row);
        match row.word("state", JobState::parse)? {
            JobState::Queued => Ok(Disposition::Retry(row.time("run_at")?)),
            _ => Ok(Disposition::Dead),
        }
    }

    pub(super) async fn release(self, tx: &mut Tx<'_>, id: i64, epoch: i64) -> Result<()> {
        let now = tx.now;
        let done = sqlx::query(self.sql(
            "UPDATE {table} SET
                state = 'queued',
                attempt = CASE WHEN again = 0 THEN 0 ELSE attempt - 1 END,
                {requeue}
                run_at = ?1,
                changed_at = ?1,
                again = NULL,
                lease_owner = NULL,
                lease_until = NULL
            WHERE id = ?2 AND lease_epoch = ?3 AND state = 'running' AND lease_until > ?1",
        ))
        .bind(now)
        .bind(id)
        .bind(epoch)
        .execute(tx.connection())
        .await
        .sql()?;
        held(done.rows_affected(), id)
    }

    /// Lets all leases of `worker` run out.
    pub(super) async fn recover(self, tx: &mut Tx<'_>, worker: &str) -> Result<u64> {
        let now = tx.now;
        let done =
            sqlx::query(self.sql(
                "UPDATE {table} SET lease_until = ?1, changed_at = ?1 WHERE state = 'running' AND lease_owner = ?2",
            ))
            .bind(now)
            .bind(worker)
            .execute(tx.connection())
            .await
            .sql()?;
        self.sweep(tx).await?;
        Ok(done.rows_affected())
    }

    /// Queues a dead row again, as urgently as a push. Whether there was one.
    pub(super) async fn retry(self, tx: &mut Tx<'_>, id: i64) -> Result<bool> {
        let now = tx.now;
        let done = sqlx::query(self.sql(
            "UPDATE {table} SET
                state = 'queued', lane = 0, attempt = 0, run_at = ?1, changed_at = ?1, finished_at = NULL
            WHERE id = ?2 AND state = 'dead'",
        ))
        .bind(now)
        .bind(id)
        .execute(tx.connection())
        .await
        .sql()?;
        Ok(done.rows_affected() > 0)
    }

    /// The live row of a key: its number, its state, and whether its last attempt failed.
    pub(super) async fn find(self, tx: &mut Tx<'_>, dedupe_key: &str) -> Result<Option<(i64, JobState)>> {
        let row = sqlx::query(self.sql("SELECT id, state FROM {table} WHERE dedupe_key = ? AND state <> 'done'"))
            .bind(dedupe_key)
            .fetch_optional(tx.connection())
            .await
            .sql()?;
        row.map(|row| Ok((row.try_get("id").sql()?, Fields(&row).word("state", JobState::parse)?))).transpose()
    }

    /// How long until a row becomes due or a lease runs out, if that is foreseeable.
    pub(super) async fn next_due(self, connection: &mut sqlx::SqliteConnection, now: i64) -> Result<Option<Duration>> {
        let next: Option<i64> = sqlx::query_scalar(self.sql(
            "SELECT min(at) FROM (
                SELECT min(run_at) AS at FROM {table} WHERE state = 'queued' AND run_at > ?1
                UNION ALL
                SELECT min(lease_until) FROM {table} WHERE state = 'running' AND lease_until > ?1
            )",
        ))
        .bind(now)
        .fetch_one(connection)
        .await
        .sql()?;
        Ok(next.and_then(|at| u64::try_from(at - now).ok()).map(Duration::from_millis))
    }
}

fn held(rows: u64, id: i64) -> Result<()> {
    if rows == 0 { Err(lost(id)) } else { Ok(()) }
}

fn lost(id: i64) -> Error {
    Error::new(ErrorKind::LeaseLost, "use lease").with_context(id)
}
