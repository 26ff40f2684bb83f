//! Changes, applied in a transaction.

use std::time::Duration;

use jiff::Timestamp;
use sqlx::QueryBuilder;
use supercargo_index::Digest;

use super::connection::Tx;
use super::images::{self, PreparedImage};
use super::sql::{SqlResult, number};
use super::{outbox, queue};
use crate::change::{Change, ManifestChild};
use crate::codec;
use crate::error::Result;
use crate::ledger::Verdict;
use crate::name::{Reason, RepositoryName};

/// A change whose slow part, the encoding of documents, is done: a transaction keeps all other writers waiting.
#[derive(Debug)]
pub(super) enum Prepared {
    Image(Box<PreparedImage>),
    Other(Change),
}

pub(super) async fn prepare(changes: Vec<Change>) -> Result<Vec<Prepared>> {
    let one = |change| match change {
        Change::Image { repository, metadata } => {
            Ok(Prepared::Image(Box::new(PreparedImage::new(repository, &metadata)?)))
        }
        other => Ok(Prepared::Other(other)),
    };
    if changes.iter().any(|change| matches!(change, Change::Image { .. })) {
        codec::blocking(move || changes.into_iter().map(one).collect()).await
    } else {
        changes.into_iter().map(one).collect()
    }
}

pub(super) async fn apply(tx: &mut Tx<'_>, changes: &[Prepared]) -> Result<()> {
    for change in changes {
        match change {
            Prepared::Image(image) => images::store(tx, image).await?,
            Prepared::Other(change) => apply_one(tx, change).await?,
        }
    }
    Ok(())
}

async fn apply_one(tx: &mut Tx<'_>, change: &Change) -> Result<()> {
    match change {
        Change::RegistryReached { registry } => registry_reached(tx, registry, None).await,
        Change::RegistryReconciled { registry } => registry_reached(tx, registry, Some(tx.now)).await,
        Change::RegistryAway { registry, reason } => registry_away(tx, registry, reason.clone().cut()).await,
        Change::RepositorySeen { repository } => see_repository(tx, repository).await.map(drop),
        Change::RepositoryGone { repository } => repository_gone(tx, repository).await,
        Change::TagSeen { repository, tag, digest, pushed_at } => {
            see_tag(tx, repository, tag, digest, *pushed_at).await
        }
        Change::TagGone { repository, tag } => tag_gone(tx, repository, tag).await,
        Change::ManifestSeen { repository, digest, media_type, size, children } => {
            manifest_seen(tx, repository, digest, media_type, *size, children).await
        }
        Change::ManifestGone { repository, digest } => manifest_gone(tx, repository, digest).await,
        Change::Ledger { digest, indexer, verdict } => ledger(tx, digest, indexer, verdict).await,
        Change::Deliver(delivery) => outbox::enqueue(tx, delivery).await,
        Change::Enqueue(job) => queue::enqueue(tx, job, None).await.map(drop),
        // Prepared, all of them.
        Change::Image { repository, metadata } => {
            images::store(tx, &PreparedImage::new(repository.clone(), metadata)?).await
        }
    }
}

async fn registry_reached(tx: &mut Tx<'_>, registry: &str, reconciled: Option<i64>) -> Result<()> {
    let now = tx.now;
    sqlx::query(
        "INSERT INTO registries (name, first_seen, last_reached, last_reconciled) VALUES (?1, ?2, ?2, ?3)
        ON CONFLICT (name) DO UPDATE SET
            last_reached = excluded.last_reached,
            last_reconciled = coalesce(excluded.last_reconciled, last_reconciled),
            away_since = NULL, away_tried = NULL, away_kind = NULL, away_message = NULL, away_retryable = NULL",
    )
    .bind(registry)
    .bind(now)
    .bind(reconciled)
    .execute(tx.connection())
    .await
    .sql()?;
    Ok(())
}

async fn registry_away(tx: &mut Tx<'_>, registry: &str, reason: Reason) -> Result<()> {
    let now = tx.now;
    sqlx::query(
        "INSERT INTO registries (name, first_seen, away_since, away_tried, away_kind, away_message, away_retryable)
        VALUES (?1, ?2, ?2, ?2, ?3, ?4, ?5)
        ON CONFLICT (name) DO UPDATE SET
            away_since = coalesce(away_since, excluded.away_since),
            away_tried = excluded.away_tried,
            away_kind = excluded.away_kind,
            away_message = excluded.away_message,
            away_retryable = excluded.away_retryable",
    )
    .bind(registry)
    .bind(now)
    .bind(reason.kind)
    .bind(reason.message)
    .bind(reason.retryable)
    .execute(tx.connection())
    .await
    .sql()?;
    Ok(())
}

/// An event of the registry came in.
pub(super) async fn registry_event(tx: &mut Tx<'_>, registry: &str) -> Result<()> {
    let now = tx.now;
    sqlx::query(
        "INSERT INTO registries (name, first_seen, last_event) VALUES (?1, ?2, ?2)
        ON CONFLICT (name) DO UPDATE SET last_event = excluded.last_event",
    )
    .bind(registry)
    .bind(now)
    .execute(tx.connection())
    .await
    .sql()?;
    Ok(())
}

pub(super) async fn see_repository(tx: &mut Tx<'_>, repository: &RepositoryName) -> Result<i64> {
    let now = tx.now;
    sqlx::query("INSERT INTO registries (name, first_seen) VALUES (?, ?) ON CONFLICT DO NOTHING")
        .bind(&repository.registry)
        .bind(now)
        .execute(tx.connection())
        .await
        .sql()?;
    sqlx::query_scalar(
        "INSERT INTO repositories (registry, name, first_seen, last_seen) VALUES (?1, ?2, ?3, ?3)
        ON CONFLICT (registry, name) DO UPDATE SET last_seen = excluded.last_seen, gone_at = NULL
        RETURNING id",
    )
    .bind(&repository.registry)
    .bind(&repository.repository)
    .bind(now)
    .fetch_one(tx.connection())
    .await
    .sql()
}

async fn find_repository(tx: &mut Tx<'_>, repository: &RepositoryName) -> Result<Option<i64>> {
    sqlx::query_scalar("SELECT id FROM repositories WHERE registry = ? AND name = ?")
        .bind(&repository.registry)
        .bind(&repository.repository)
        .fetch_optional(tx.connection())
        .await
        .sql()
}

pub(super) async fn see_manifest(
    tx: &mut Tx<'_>,
    repository_id: i64,
    digest: &Digest,
    read: Option<(&str, u64)>,
) -> Result<()> {
    let now = tx.now;
    sqlx::query(
        "INSERT INTO manifests (repository_id, digest, media_type, size, first_seen, last_seen)
        VALUES (?1, ?2, ?3, ?4, ?5, ?5)
        ON CONFLICT (repository_id, digest) DO UPDATE SET
            media_type = coalesce(excluded.media_type, media_type),
            size = coalesce(excluded.size, size),
            last_seen = excluded.last_seen,
            gone_at = NULL",
    )
    .bind(repository_id)
    .bind(digest.to_string())
    .bind(read.map(|(media_type, _)| media_type))
    .bind(read.map(|(_, size)| number(size)))
    .bind(now)
    .execute(tx.connection())
    .await
    .sql()?;
    Ok(())
}

async fn see_tag(
    tx: &mut Tx<'_>,
    repository: &RepositoryName,
    tag: &str,
    digest: &Digest,
    pushed_at: Option<Timestamp>,
) -> Result<()> {
    let now = tx.now;
    let repository_id = see_repository(tx, repository).await?;
    see_manifest(tx, repository_id, digest, None).await?;
    sqlx::query(
        "INSERT INTO tags (repository_id, tag, digest, first_seen, last_seen, moved_at, pushed_at)
        VALUES (?1, ?2, ?3, ?4, ?4, ?4, ?5)
        ON CONFLICT (repository_id, tag) DO UPDATE SET
            last_seen = excluded.last_seen,
            moved_at = CASE WHEN digest = excluded.digest AND gone_at IS NULL THEN moved_at ELSE excluded.moved_at END,
            pushed_at = CASE WHEN digest = excluded.digest THEN coalesce(excluded.pushed_at, pushed_at)
                ELSE excluded.pushed_at END,
            digest = excluded.digest,
            gone_at = NULL",
    )
    .bind(repository_id)
    .bind(tag)
    .bind(digest.to_string())
    .bind(now)
    .bind(pushed_at.map(Timestamp::as_millisecond))
    .execute(tx.connection())
    .await
    .sql()?;
    Ok(())
}

async fn tag_gone(tx: &mut Tx<'_>, repository: &RepositoryName, tag: &str) -> Result<()> {
    let Some(repository_id) = find_repository(tx, repository).await? else { return Ok(()) };
    let now = tx.now;
    sqlx::query("UPDATE tags SET gone_at = ? WHERE repository_id = ? AND tag = ? AND gone_at IS NULL")
        .bind(now)
        .bind(repository_id)
        .bind(tag)
        .execute(tx.connection())
        .await
        .sql()?;
    bury(tx, repository, Subject::Tag(tag)).await
}

async fn manifest_seen(
    tx: &mut Tx<'_>,
    repository: &RepositoryName,
    digest: &Digest,
    media_type: &str,
    size: u64,
    children: &[ManifestChild],
) -> Result<()> {
    let repository_id = see_repository(tx, repository).await?;
    see_manifest(tx, repository_id, digest, Some((media_type, size))).await?;
    for (position, child) in children.iter().enumerate() {
        // What an index lists never changes, or its digest would.
        sqlx::query(
            "INSERT INTO manifest_children (parent, position, child, kind, platform) VALUES (?, ?, ?, ?, ?)
            ON CONFLICT DO NOTHING",
        )
        .bind(digest.to_string())
        .bind(number(position))
        .bind(child.digest.to_string())
        .bind(child.kind.as_str())
        .bind(child.platform.as_ref().map(ToString::to_string))
        .execute(tx.connection())
        .await
        .sql()?;
        see_manifest(tx, repository_id, &child.digest, None).await?;
    }
    Ok(())
}

async fn manifest_gone(tx: &mut Tx<'_>, repository: &RepositoryName, digest: &Digest) -> Result<()> {
    let Some(repository_id) = find_repository(tx, repository).await? else { return Ok(()) };
    let now = tx.now;
    for statement in [
        "UPDATE manifests SET gone_at = ? WHERE repository_id = ? AND digest = ? AND gone_at IS NULL",
        "UPDATE tags SET gone_at = ? WHERE repository_id = ? AND digest = ? AND gone_at IS NULL",
    ] {
        sqlx::query(statement)
            .bind(now)
            .bind(repository_id)
            .bind(digest.to_string())
            .execute(tx.connection())
            .await
            .sql()?;
    }
    bury(tx, repository, Subject::Manifest(digest)).await
}

async fn repository_gone(tx: &mut Tx<'_>, repository: &RepositoryName) -> Result<()> {
    let Some(repository_id) = find_repository(tx, repository).await? else { return Ok(()) };
    let now = tx.now;
    for statement in [
        "UPDATE repositories SET gone_at = ? WHERE id = ? AND gone_at IS NULL",
        "UPDATE manifests SET gone_at = ? WHERE repository_id = ? AND gone_at IS NULL",
        "UPDATE tags SET gone_at = ? WHERE repository_id = ? AND gone_at IS NULL",
    ] {
        sqlx::query(statement).bind(now).bind(repository_id).execute(tx.connection()).await.sql()?;
    }
    bury(tx, repository, Subject::Repository).await
}

#[derive(Clone, Copy)]
enum Subject<'a> {
    Repository,
    Tag(&'a str),
    Manifest(&'a Digest),
}

/// Takes dead letters about something that is gone out of the list: there is nothing to retry.
async fn bury(tx: &mut Tx<'_>, repository: &RepositoryName, subject: Subject<'_>) -> Result<()> {
    let mut query = QueryBuilder::<sqlx::Sqlite>::new("UPDATE jobs SET state = 'done', finished_at = ");
    query.push_bind(tx.now).push(" WHERE state = 'dead' AND registry = ").push_bind(&repository.registry);
    query.push(" AND repository = ").push_bind(&repository.repository);
    match subject {
        Subject::Repository => {}
        Subject::Tag(tag) => {
            query.push(" AND tag = ").push_bind(tag);
        }
        Subject::Manifest(digest) => {
            query.push(" AND digest = ").push_bind(digest.to_string());
        }
    }
    query.build().execute(tx.connection()).await.sql()?;
    Ok(())
}

async fn ledger(tx: &mut Tx<'_>, digest: &Digest, indexer: &str, verdict: &Verdict) -> Result<()> {
    let now = tx.now;
    let reason = verdict.reason().cloned().map(Reason::cut);
    sqlx::query(
        "INSERT INTO ledger (digest, indexer, state, error_kind, error_message, error_retryable, attempts, first_at,
            last_at)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, 1, ?7, ?7)
        ON CONFLICT (digest, indexer) DO UPDATE SET
            state = excluded.state,
            error_kind = excluded.error_kind,
            error_message = excluded.error_message,
            error_retryable = excluded.error_retryable,
            attempts = attempts + 1,
            last_at = excluded.last_at",
    )
    .bind(digest.to_string())
    .bind(indexer)
    .bind(verdict.state())
    .bind(reason.as_ref().map(|reason| reason.kind.as_str()))
    .bind(reason.as_ref().map(|reason| reason.message.as_str()))
    .bind(reason.as_ref().map(|reason| reason.retryable))
    .bind(now)
    .execute(tx.connection())
    .await
    .sql()?;
    Ok(())
}

/// A retention's limit as a time.
pub(super) fn before(now: i64, age: Duration) -> i64 {
    now - crate::clock::millis(age)
}
