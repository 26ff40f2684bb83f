//! What is kept how long, and how much there is.

use sqlx::SqliteConnection;

use super::changes::before;
use super::connection::{Database, Tx};
use super::sql::{Fields, SqlResult};
use crate::error::Result;
use crate::upkeep::{Pruned, Retention, Usage};

/// In several transactions, so that workers get their turn in between.
pub(super) async fn prune(database: &Database, retention: &Retention) -> Result<Pruned> {
    const OPERATION: &str = "prune store";
    let mut pruned = Pruned::default();
    let Retention { events, finished, gone, layers, layer_bytes, audit } = retention.clone();

    pruned.events = database
        .write(OPERATION, move |tx| {
            Box::pin(
                async move { delete(tx, "DELETE FROM events WHERE received_at < ?", before(tx.now, events)).await },
            )
        })
        .await?;
    (pruned.jobs, pruned.deliveries) = database
        .write(OPERATION, move |tx| {
            Box::pin(async move {
                let limit = before(tx.now, finished);
                let jobs = delete(tx, "DELETE FROM jobs WHERE state = 'done' AND finished_at < ?", limit).await?;
                let deliveries =
                    delete(tx, "DELETE FROM deliveries WHERE state IN ('done', 'dead') AND finished_at < ?", limit)
                        .await?;
                Ok((jobs, deliveries))
            })
        })
        .await?;
    (pruned.inventory, pruned.images, pruned.packages) = database
        .write(OPERATION, move |tx| Box::pin(async move { prune_gone(tx, before(tx.now, gone)).await }))
        .await?;
    pruned.layers = database
        .write(OPERATION, move |tx| {
            Box::pin(async move {
                let limit = before(tx.now, layers);
                let unused = delete(tx, "DELETE FROM layers WHERE used_at < ?", limit).await?;
                Ok(unused + shrink_layers(tx, layer_bytes).await?)
            })
        })
        .await?;
    pruned.audit = database
        .write(OPERATION, move |tx| {
            Box::pin(async move {
                let limit = before(tx.now, audit);
                // The last step says how the integration came to be as it is.
                let steps = "DELETE FROM integration_moves WHERE at < ? AND EXISTS (
                    SELECT 1 FROM integration_moves AS later
                    WHERE later.integration_id = integration_moves.integration_id AND later.id > integration_moves.id)";
                delete(tx, steps, limit).await?;
                delete(tx, "DELETE FROM audit WHERE at < ?", limit).await
            })
        })
        .await?;
    database
        .exclusively(OPERATION, |connection| {
            Box::pin(async move {
                // fetch_all: each step of the statement frees one page.
                sqlx::query("PRAGMA incremental_vacuum").fetch_all(&mut *connection).await.sql()?;
                sqlx::query("PRAGMA optimize").execute(connection).await.sql()?;
                Ok(())
            })
        })
        .await?;
    Ok(pruned)
}

async fn prune_gone(tx: &mut Tx<'_>, limit: i64) -> Result<(u64, u64, u64)> {
    let mut inventory = 0;
    for statement in [
        "DELETE FROM tags WHERE gone_at < ?",
        "DELETE FROM manifests WHERE gone_at < ?",
        "DELETE FROM repositories WHERE gone_at < ?",
    ] {
        inventory += delete(tx, statement, limit).await?;
    }
    // What has no manifest left in any repository. The ledger's line goes with the image, so that the image is
    // indexed again should it come back.
    let images = delete(
        tx,
        "DELETE FROM images WHERE last_indexed < ?
            AND NOT EXISTS (SELECT 1 FROM manifests WHERE manifests.digest = images.digest)",
        limit,
    )
    .await?;
    delete(
        tx,
        "DELETE FROM ledger WHERE last_at < ?
            AND NOT EXISTS (SELECT 1 FROM manifests WHERE manifests.digest = ledger.digest)
            AND NOT EXISTS (SELECT 1 FROM images WHERE images.digest = ledger.digest)",
        limit,
    )
    .await?;
    sqlx::query(
        "DELETE FROM manifest_children
        WHERE NOT EXISTS (SELECT 1 FROM manifests WHERE manifests.digest = manifest_children.parent)",
    )
    .execute(tx.connection())
    .await
    .sql()?;
    let packages = delete_orphans(tx).await?;
    Ok((inventory, images, packages))
}

/// Removes up to `limit` images that no registry has and that were condemned, with their contents.
pub(super) async fn delete_condemned(tx: &mut Tx<'_>, limit: i64) -> Result<u64> {
    delete(
        tx,
        "DELETE FROM images WHERE id IN (
            SELECT id FROM images WHERE last_indexed = 0
                AND NOT EXISTS (SELECT 1 FROM manifests WHERE manifests.digest = images.digest)
            LIMIT ?)",
        limit,
    )
    .await
}

/// Removes packages and paths that no image has any more. Answers how many packages.
pub(super) async fn delete_orphans(tx: &mut Tx<'_>) -> Result<u64> {
    let packages = sqlx::query(
        "DELETE FROM packages
        WHERE NOT EXISTS (SELECT 1 FROM image_packages WHERE image_packages.package_id = packages.id)",
    )
    .execute(tx.connection())
    .await
    .sql()?
    .rows_affected();
    sqlx::query(
        "DELETE FROM paths WHERE NOT EXISTS (SELECT 1 FROM image_packages WHERE image_packages.path_id = paths.id)",
    )
    .execute(tx.connection())
    .await
    .sql()?;
    Ok(packages)
}

/// Removes the layers that were not used for the longest time until the rest fits.
async fn shrink_layers(tx: &mut Tx<'_>, bytes: u64) -> Result<u64> {
    let done = sqlx::query(
        "DELETE FROM layers WHERE id IN (
            SELECT id FROM (SELECT id, sum(size) OVER (ORDER BY used_at DESC, id DESC) AS total FROM layers)
            WHERE total > ?)",
    )
    .bind(super::sql::number(bytes))
    .execute(tx.connection())
    .await
    .sql()?;
    Ok(done.rows_affected())
}

async fn delete(tx: &mut Tx<'_>, statement: &'static str, limit: i64) -> Result<u64> {
    Ok(sqlx::query(statement).bind(limit).execute(tx.connection()).await.sql()?.rows_affected())
}

pub(super) async fn usage(connection: &mut SqliteConnection) -> Result<Usage> {
    let row = sqlx::query(
        "SELECT
            (SELECT count(*) FROM images) AS images,
            (SELECT coalesce(sum(length(body)), 0) FROM documents) AS document_bytes,
            (SELECT count(*) FROM packages) AS packages,
            (SELECT count(*) FROM layers) AS layers,
            (SELECT coalesce(sum(size), 0) FROM layers) AS layer_bytes,
            (SELECT count(*) FROM events) AS events,
            (SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()) AS database_bytes",
    )
    .fetch_one(connection)
    .await
    .sql()?;
    let fields = Fields(&row);
    Ok(Usage {
        images: fields.count("images")?,
        document_bytes: fields.count("document_bytes")?,
        packages: fields.count("packages")?,
        layers: fields.count("layers")?,
        layer_bytes: fields.count("layer_bytes")?,
        events: fields.count("events")?,
        database_bytes: fields.count("database_bytes")?,
    })
}
