//! The durable layer cache.

use std::time::Duration;

use async_trait::async_trait;
use sqlx::Row;
use supercargo_index::{Digest, LayerCache, LayerIndex, LayerKey};

use super::connection::Database;
use super::sql::{SqlResult, number};
use crate::codec;
use crate::error::Result;

/// How exactly the last use of a layer is known. It decides what goes first when the cache is full; a write for
/// every read would cost more than it tells.
const USE_IS_KNOWN_WITHIN: Duration = Duration::from_secs(24 * 3600);

#[derive(Debug)]
pub(super) struct SqliteLayerCache(pub(super) Database);

#[async_trait]
impl LayerCache for SqliteLayerCache {
    async fn get(&self, key: &LayerKey) -> supercargo_index::Result<Option<LayerIndex>> {
        get(&self.0, key).await.map_err(|error| failed("read cached layer", &key.digest, error))
    }

    async fn get_any(&self, digest: &Digest) -> supercargo_index::Result<Option<LayerIndex>> {
        get_any(&self.0, digest).await.map_err(|error| failed("read cached layer", digest, error))
    }

    async fn put(&self, key: &LayerKey, layer: &LayerIndex) -> supercargo_index::Result<()> {
        put(&self.0, key, layer).await.map_err(|error| failed("cache layer", &key.digest, error))
    }
}

fn failed(what: &str, digest: &Digest, error: crate::Error) -> supercargo_index::Error {
    let retryable = error.is_retryable();
    supercargo_index::Error::from_source(format!("{what} {digest}"), retryable, error)
}

async fn get(database: &Database, key: &LayerKey) -> Result<Option<LayerIndex>> {
    let (digest, indexer) = (key.digest.to_string(), key.indexer.clone());
    let clock = database.clone();
    let row = database
        .read("read cached layer", |connection| {
            Box::pin(async move {
                let row =
                    sqlx::query("SELECT id, used_at, body FROM layers WHERE digest = ? AND indexer = ? AND format = ?")
                        .bind(digest)
                        .bind(indexer)
                        .bind(LayerIndex::FORMAT)
                        .fetch_optional(&mut *connection)
                        .await
                        .sql()?;
                let Some(row) = row else { return Ok(None) };
                let now = clock.now(connection).await?;
                let stale = row.try_get::<i64, _>("used_at").sql()? < now - crate::clock::millis(USE_IS_KNOWN_WITHIN);
                Ok(Some((row.try_get::<i64, _>("id").sql()?, stale, row.try_get::<Vec<u8>, _>("body").sql()?)))
            })
        })
        .await?;
    let Some((id, stale, body)) = row else { return Ok(None) };
    // An entry that cannot be read is read anew from the registry, and replaced.
    let Ok(layer) = codec::blocking(move || codec::decode::<LayerIndex>(&body)).await else {
        tracing::warn!(digest = %key.digest, "cached layer is unreadable");
        return Ok(None);
    };
    if stale {
        database.write("note use of cached layer", move |tx| Box::pin(touch(tx, id))).await?;
    }
    Ok(Some(layer))
}

/// Whichever was used last. This is not noted as a use: what is made of it is put under a key of its own, and the
/// older one may go.
async fn get_any(database: &Database, digest: &Digest) -> Result<Option<LayerIndex>> {
    let bound = digest.to_string();
    let body = database
        .read("read cached layer", |connection| {
            Box::pin(async move {
                sqlx::query_scalar::<_, Vec<u8>>(
                    "SELECT body FROM layers WHERE digest = ? AND format = ? ORDER BY used_at DESC, id DESC LIMIT 1",
                )
                .bind(bound)
                .bind(LayerIndex::FORMAT)
                .fetch_optional(connection)
                .await
                .sql()
            })
        })
        .await?;
    let Some(body) = body else { return Ok(None) };
    let Ok(layer) = codec::blocking(move || codec::decode_layer(&body)).await else {
        tracing::warn!(%digest, "cached layer is unreadable");
        return Ok(None);
    };
    Ok(Some(layer))
}

async fn touch(tx: &mut super::connection::Tx<'_>, id: i64) -> Result<()> {
    let now = tx.now;
    sqlx::query("UPDATE layers SET used_at = ? WHERE id = ?")
        .bind(now)
        .bind(id)
        .execute(tx.connection())
        .await
        .sql()?;
    Ok(())
}

async fn put(database: &Database, key: &LayerKey, layer: &LayerIndex) -> Result<()> {
    let key = key.clone();
    let layer = layer.clone();
    let body = codec::blocking(move || codec::encode_layer(layer)).await?;
    database
        .write("cache layer", move |tx| {
            Box::pin(async move {
                let now = tx.now;
                sqlx::query(
                    "INSERT INTO layers (digest, indexer, format, body, size, used_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
                    ON CONFLICT (digest, indexer) DO UPDATE SET
                        format = excluded.format,
                        body = excluded.body,
                        size = excluded.size,
                        used_at = excluded.used_at",
                )
                .bind(key.digest.to_string())
                .bind(&key.indexer)
                .bind(LayerIndex::FORMAT)
                .bind(&body)
                .bind(number(body.len()))
                .bind(now)
                .execute(tx.connection())
                .await
                .sql()?;
                Ok(())
            })
        })
        .await
}
