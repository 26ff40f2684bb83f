//! The end of an integration, and of what its registry left behind.

use super::access::record;
use super::connection::{Database, Tx};
use super::integrations::{any, raise_revision, remember};
use super::sql::SqlResult;
use super::upkeep;
use crate::audit::Actor;
use crate::error::{Error, ErrorKind, Result};
use crate::integration::{Integration, IntegrationId, IntegrationState, NewMove, Removal, RemovedData};
use crate::trail;

const OPERATION: &str = "remove integration";

/// Images whose contents go in one transaction. Forty images of 400 packages take a tenth of a second, in which nobody
/// else writes.
const BATCH: i64 = 40;

pub(super) async fn remove(database: &Database, id: IntegrationId, data: RemovedData, actor: Actor) -> Result<Removal> {
    let mut removal =
        database.write(OPERATION, move |tx| Box::pin(async move { end(tx, id, data, &actor).await })).await?;
    loop {
        let images =
            database.write(OPERATION, |tx| Box::pin(async move { upkeep::delete_condemned(tx, BATCH).await })).await?;
        removal.images += images;
        if images == 0 {
            break;
        }
    }
    if removal.images > 0 {
        database.write(OPERATION, |tx| Box::pin(async move { upkeep::delete_orphans(tx).await.map(drop) })).await?;
    }
    Ok(removal)
}

async fn end(tx: &mut Tx<'_>, id: IntegrationId, data: RemovedData, actor: &Actor) -> Result<Removal> {
    let before = any(tx, id).await?;
    if before.removed_at.is_some() && data == RemovedData::Keep {
        return Err(Error::new(ErrorKind::NotFound, OPERATION).with_context(id));
    }
    let mut removal = Removal { integration: before.clone(), jobs: 0, repositories: 0, images: 0 };
    if before.removed_at.is_some() && is_connected(tx, &before.registry).await? {
        return Ok(removal);
    }
    removal.jobs = match data {
        RemovedData::Keep => end_jobs(tx, &before.registry).await?,
        RemovedData::Delete => delete_jobs(tx, &before.registry).await?,
    };
    if data == RemovedData::Delete {
        removal.repositories = delete_data(tx, &before.registry).await?;
    }
    removal.integration = mark(tx, &before, data).await?;
    if before.removed_at.is_none() {
        remember(tx, id, Some(before.state), &NewMove::new(IntegrationState::Removed)).await?;
    }
    // The second time is nobody's decision, unless it is another one than the first.
    if before.removed_data != Some(data) {
        record(tx, trail::removed(actor, &before.name, data, &removal)).await?;
    }
    Ok(removal)
}

async fn is_connected(tx: &mut Tx<'_>, registry: &str) -> Result<bool> {
    let found: Option<i64> =
        sqlx::query_scalar("SELECT id FROM integrations WHERE registry = ? AND removed_at IS NULL")
            .bind(registry)
            .fetch_optional(tx.connection())
            .await
            .sql()?;
    Ok(found.is_some())
}

async fn mark(tx: &mut Tx<'_>, before: &Integration, data: RemovedData) -> Result<Integration> {
    let revision = raise_revision(tx).await?;
    let now = tx.now;
    sqlx::query("DELETE FROM repository_settings WHERE integration_id = ?")
        .bind(before.id.0)
        .execute(tx.connection())
        .await
        .sql()?;
    sqlx::query(
        "UPDATE integrations SET
            state = 'removed', reason_kind = NULL, reason_message = NULL, reason_retryable = NULL, advice = NULL,
            credentials = NULL, credentials_at = NULL,
            since = CASE WHEN removed_at IS NULL THEN ?1 ELSE since END,
            removed_at = coalesce(removed_at, ?1),
            removed_data = ?2,
            revision = ?3
        WHERE id = ?4",
    )
    .bind(now)
    .bind(data.as_str())
    .bind(revision)
    .bind(before.id.0)
    .execute(tx.connection())
    .await
    .sql()?;
    any(tx, before.id).await
}

/// Ends the registry's jobs. Those that run lose their leases.
async fn end_jobs(tx: &mut Tx<'_>, registry: &str) -> Result<u64> {
    let now = tx.now;
    let ended = sqlx::query(
        "UPDATE jobs SET
            state = 'done', again = NULL, lease_owner = NULL, lease_until = NULL, changed_at = ?1, finished_at = ?1,
            error_kind = NULL, error_message = NULL, error_retryable = NULL, error_at = NULL
        WHERE registry = ?2 AND state <> 'done'",
    )
    .bind(now)
    .bind(registry)
    .execute(tx.connection())
    .await
    .sql()?;
    Ok(ended.rows_affected())
}

async fn delete_jobs(tx: &mut Tx<'_>, registry: &str) -> Result<u64> {
    let ended: i64 = sqlx::query_scalar("SELECT count(*) FROM jobs WHERE registry = ? AND state <> 'done'")
        .bind(registry)
        .fetch_one(tx.connection())
        .await
        .sql()?;
    execute(tx, "DELETE FROM jobs WHERE registry = ?", registry).await?;
    Ok(u64::try_from(ended).unwrap_or_default())
}

/// Deletes what the registry has, but the contents of images: those that nobody else has are condemned.
async fn delete_data(tx: &mut Tx<'_>, registry: &str) -> Result<u64> {
    // An image that was last indexed at the beginning of time is older than any retention.
    for (statement, digest) in [
        ("UPDATE images SET last_indexed = 0", "images.digest"),
        ("DELETE FROM ledger", "ledger.digest"),
        ("DELETE FROM manifest_children", "manifest_children.parent"),
    ] {
        let only_here = format!(
            "{statement} WHERE {digest} IN (
                SELECT manifests.digest FROM repositories JOIN manifests ON manifests.repository_id = repositories.id
                WHERE repositories.registry = ?1
            ) AND NOT EXISTS (
                SELECT 1 FROM manifests JOIN repositories ON repositories.id = manifests.repository_id
                WHERE manifests.digest = {digest} AND repositories.registry <> ?1
            )"
        );
        let only_here = sqlx::AssertSqlSafe(only_here);
        sqlx::query(only_here).bind(registry).execute(tx.connection()).await.sql()?;
    }
    // News of what is gone is still to be told: the sinks have it.
    execute(tx, "DELETE FROM deliveries WHERE registry = ? AND kind = 'indexed'", registry).await?;
    execute(tx, "DELETE FROM events WHERE registry = ?", registry).await?;
    let repositories = execute(tx, "DELETE FROM repositories WHERE registry = ?", registry).await?;
    execute(tx, "DELETE FROM registries WHERE name = ?", registry).await?;
    Ok(repositories)
}

async fn execute(tx: &mut Tx<'_>, statement: &'static str, registry: &str) -> Result<u64> {
    Ok(sqlx::query(statement).bind(registry).execute(tx.connection()).await.sql()?.rows_affected())
}
