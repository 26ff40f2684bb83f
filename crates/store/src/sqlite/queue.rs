//! Jobs.

use std::time::Duration;

use sqlx::SqliteConnection;
use sqlx::sqlite::SqliteRow;

use super::connection::Tx;
use super::leased::{AGAIN_FRESH, Leased};
use super::sql::{Fields, SqlResult, json, unreadable};
use crate::clock::millis;
use crate::error::Result;
use crate::event::EventId;
use crate::job::{Claim, Enqueued, Job, JobFilter, JobId, JobRecord, JobState, Lane, LaneStats, Lease, NewJob, OnDead};
use crate::page::{Cursor, Listing, Page};

pub(super) async fn enqueue(tx: &mut Tx<'_>, job: &NewJob, event: Option<EventId>) -> Result<Enqueued> {
    let key = job.work.dedupe_key();
    match Leased::Jobs.find(tx, &key).await? {
        None => insert(tx, job, &key, event).await.map(Enqueued::New),
        Some((id, JobState::Dead)) if job.on_dead == OnDead::Keep => Ok(Enqueued::Dead(JobId(id))),
        Some((id, JobState::Running)) => {
            ask_again(tx, id, job).await?;
            Ok(Enqueued::Again(JobId(id)))
        }
        Some((id, JobState::Dead)) => {
            hasten(tx, id, job, event).await?;
            Ok(Enqueued::Revived(JobId(id)))
        }
        Some((id, _)) => {
            hasten(tx, id, job, event).await?;
            Ok(Enqueued::Waiting(JobId(id)))
        }
    }
}

async fn insert(tx: &mut Tx<'_>, job: &NewJob, key: &str, event: Option<EventId>) -> Result<JobId> {
    let now = tx.now;
    let reference = job.work.reference();
    let done = sqlx::query(
        "INSERT INTO jobs (kind, lane, registry, repository, tag, digest, payload, event_id, dedupe_key, state,
            max_attempts, run_at, changed_at, created_at)
        VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 'queued', ?, ?, ?, ?)",
    )
    .bind(job.work.kind())
    .bind(job.lane.rank())
    .bind(&job.work.repository().registry)
    .bind(&job.work.repository().repository)
    .bind(reference.and_then(|reference| reference.tag()))
    .bind(reference.and_then(|reference| reference.digest()).map(ToString::to_string))
    .bind(json(&job.work)?)
    .bind(event.map(|event| event.0))
    .bind(key)
    .bind(job.max_attempts.max(1))
    .bind(now + millis(job.delay))
    .bind(now)
    .bind(now)
    .execute(tx.connection())
    .await
    .sql()?;
    Ok(JobId(done.last_insert_rowid()))
}

/// Has a running job run once more when it is through.
async fn ask_again(tx: &mut Tx<'_>, id: i64, job: &NewJob) -> Result<()> {
    sqlx::query("UPDATE jobs SET again = min(coalesce(again, ?1), ?1) WHERE id = ?2")
        .bind(job.lane.rank())
        .bind(id)
        .execute(tx.connection())
        .await
        .sql()?;
    Ok(())
}

/// Lets a waiting or dead job have the more urgent of both wishes.
///
/// A job in back-off is brought forward by a push only: a poller that asks every minute would undo the back-off.
async fn hasten(tx: &mut Tx<'_>, id: i64, job: &NewJob, event: Option<EventId>) -> Result<()> {
    let now = tx.now;
    sqlx::query(
        "UPDATE jobs SET
            run_at = CASE
                WHEN state = 'dead' THEN ?2
                WHEN ?3 = ?4 OR error_at IS NULL THEN min(run_at, ?2)
                ELSE run_at END,
            attempt = CASE WHEN state = 'dead' OR ?3 = ?4 THEN 0 ELSE attempt END,
            lane = CASE WHEN state = 'dead' THEN ?3 ELSE min(lane, ?3) END,
            state = 'queued',
            max_attempts = ?5,
            event_id = coalesce(?6, event_id),
            changed_at = ?1,
            finished_at = NULL
        WHERE id = ?7",
    )
    .bind(now)
    .bind(now + millis(job.delay))
    .bind(job.lane.rank())
    .bind(AGAIN_FRESH)
    .bind(job.max_attempts.max(1))
    .bind(event.map(|event| event.0))
    .bind(id)
    .execute(tx.connection())
    .await
    .sql()?;
    Ok(())
}

pub(super) async fn claim(tx: &mut Tx<'_>, claim: &Claim) -> Result<Vec<Job>> {
    Leased::Jobs.sweep(tx).await?;
    let now = tx.now;
    let lanes: Vec<_> = claim.lanes.iter().map(|lane| lane.rank()).collect();
    let rows = sqlx::query(
        "UPDATE jobs SET
            state = 'running',
            attempt = attempt + 1,
            lease_owner = ?2,
            lease_epoch = lease_epoch + 1,
            lease_until = ?1 + ?3,
            changed_at = ?1
        WHERE id IN (
            SELECT id FROM jobs
            WHERE state = 'queued' AND run_at <= ?1
                AND (?4 = '[]' OR lane IN (SELECT value FROM json_each(?4)))
                AND registry NOT IN (SELECT value FROM json_each(?5))
            ORDER BY lane, run_at, id
            LIMIT ?6
        )
        RETURNING *",
    )
    .bind(now)
    .bind(&claim.worker)
    .bind(millis(claim.lease))
    .bind(json(&lanes)?)
    .bind(json(&claim.except_registries)?)
    .bind(claim.limit)
    .fetch_all(tx.connection())
    .await
    .sql()?;
    let mut jobs = rows
        .iter()
        .map(|row| Ok(((Fields(row).int("lane")?, Fields(row).int("run_at")?), claimed(row)?)))
        .collect::<Result<Vec<_>>>()?;
    // RETURNING has no order of its own.
    jobs.sort_by_key(|(order, job)| (*order, job.lease.job));
    Ok(jobs.into_iter().map(|(_, job)| job).collect())
}

fn claimed(row: &SqliteRow) -> Result<Job> {
    let fields = Fields(row);
    Ok(Job {
        lease: Lease { job: JobId(fields.int("id")?), epoch: fields.int("lease_epoch")? },
        work: fields.json("payload")?,
        lane: lane(&fields)?,
        attempt: fields.count("attempt")?,
        max_attempts: fields.count("max_attempts")?,
        last_error: fields.reason("error")?,
        event: fields.optional_int("event_id")?.map(EventId),
        created_at: fields.time("created_at")?,
        lease_until: fields.time("lease_until")?,
    })
}

pub(super) fn lane(fields: &Fields<'_>) -> Result<Lane> {
    let rank = fields.int("lane")?;
    Lane::from_rank(rank).ok_or_else(|| unreadable("lane", rank))
}

pub(super) async fn list(
    connection: &mut SqliteConnection,
    filter: &JobFilter,
    page: &Page,
) -> Result<Listing<JobRecord>> {
    let after = Cursor::numbers::<1>(page)?.map(|[id]| id);
    let rows = sqlx::query(
        "SELECT * FROM jobs
        WHERE (?1 IS NULL OR state = ?1) AND (?2 IS NULL OR registry = ?2) AND (?3 IS NULL OR id < ?3)
            AND id BETWEEN ?5 AND ?6
        ORDER BY id DESC LIMIT ?4",
    )
    .bind(filter.state.map(JobState::as_str))
    .bind(&filter.registry)
    .bind(after)
    .bind(super::fetch(page))
    // A range, which is looked up and not searched for.
    .bind(filter.job.map_or(i64::MIN, |job| job.0))
    .bind(filter.job.map_or(i64::MAX, |job| job.0))
    .fetch_all(connection)
    .await
    .sql()?;
    let jobs = rows.iter().map(record).collect::<Result<Vec<_>>>()?;
    Ok(Listing::cut(jobs, page, |job| Cursor::new([&job.id])))
}

fn record(row: &SqliteRow) -> Result<JobRecord> {
    let fields = Fields(row);
    Ok(JobRecord {
        id: JobId(fields.int("id")?),
        work: fields.json("payload")?,
        lane: lane(&fields)?,
        state: fields.word("state", JobState::parse)?,
        attempt: fields.count("attempt")?,
        max_attempts: fields.count("max_attempts")?,
        run_at: fields.time("run_at")?,
        worker: fields.optional_text("lease_owner")?,
        lease_until: fields.optional_time("lease_until")?,
        again: fields.optional_int("again")?.is_some(),
        last_error: fields.reason("error")?,
        event: fields.optional_int("event_id")?.map(EventId),
        created_at: fields.time("created_at")?,
        finished_at: fields.optional_time("finished_at")?,
    })
}

pub(super) async fn stats(connection: &mut SqliteConnection, now: i64) -> Result<Vec<LaneStats>> {
    let rows = sqlx::query(
        "SELECT lane,
            count(*) FILTER (WHERE state = 'queued' AND run_at <= ?1) AS ready,
            count(*) FILTER (WHERE state = 'queued' AND run_at > ?1) AS delayed,
            count(*) FILTER (WHERE state = 'running') AS running,
            count(*) FILTER (WHERE state = 'dead') AS dead,
            min(run_at) FILTER (WHERE state = 'queued' AND run_at <= ?1) AS oldest
        FROM jobs WHERE state <> 'done' GROUP BY lane",
    )
    .bind(now)
    .fetch_all(connection)
    .await
    .sql()?;
    let mut lanes =
        Lane::ALL.map(|lane| LaneStats { lane, ready: 0, delayed: 0, running: 0, dead: 0, oldest_ready: None });
    for row in &rows {
        let fields = Fields(row);
        let lane = lane(&fields)?;
        let oldest = fields.optional_int("oldest")?.and_then(|at| u64::try_from(now - at).ok());
        lanes[lane as usize] = LaneStats {
            lane,
            ready: fields.count("ready")?,
            delayed: fields.count("delayed")?,
            running: fields.count("running")?,
            dead: fields.count("dead")?,
            oldest_ready: oldest.map(Duration::from_millis),
        };
    }
    Ok(lanes.to_vec())
}
