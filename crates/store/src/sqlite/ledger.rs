//! The ledger, read. It is written by changes.

use std::collections::HashMap;

use sqlx::SqliteConnection;
use sqlx::sqlite::SqliteRow;
use supercargo_index::Digest;

use super::sql::{Fields, SqlResult, json, unreadable};
use crate::error::Result;
use crate::ledger::{LedgerEntry, Verdict};

pub(super) async fn read(
    connection: &mut SqliteConnection,
    indexer: &str,
    digests: &[Digest],
) -> Result<HashMap<Digest, LedgerEntry>> {
    let rows = sqlx::query(
        "SELECT ledger.* FROM json_each(?1) AS wanted
        CROSS JOIN ledger ON ledger.digest = wanted.value AND ledger.indexer = ?2",
    )
    .bind(json(digests)?)
    .bind(indexer)
    .fetch_all(connection)
    .await
    .sql()?;
    rows.iter().map(|row| entry(row).map(|entry| (entry.digest.clone(), entry))).collect()
}

fn entry(row: &SqliteRow) -> Result<LedgerEntry> {
    let fields = Fields(row);
    let reason = fields.reason("error")?;
    let verdict = match (fields.text("state")?.as_str(), reason) {
        ("indexed", None) => Verdict::Indexed,
        ("failed", Some(reason)) => Verdict::Failed(reason),
        ("unsupported", Some(reason)) => Verdict::Unsupported(reason),
        (state, _) => return Err(unreadable("state", state)),
    };
    Ok(LedgerEntry {
        digest: fields.digest("digest")?,
        indexer: fields.text("indexer")?,
        verdict,
        attempts: fields.count("attempts")?,
        first_at: fields.time("first_at")?,
        last_at: fields.time("last_at")?,
    })
}
