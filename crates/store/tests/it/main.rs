//! The stores against their contract, and SQLite against what happens to files.

#![expect(clippy::unwrap_used, reason = "a panic in a helper of a test is the report, as in the test itself")]

mod cancelled;
mod conformance;
mod crash;
mod files;
mod model;

use std::path::Path;
use std::time::Duration;

use supercargo_store::{ClockOffset, SqliteOptions, SqliteStore};

/// The database in `directory`.
async fn open(directory: &Path, clock: &ClockOffset) -> SqliteStore {
    SqliteStore::open(SqliteOptions::new(directory.join("supercargo.db")).with_clock(clock.clone())).await.unwrap()
}

/// Runs `work` for at most a minute.
async fn within_a_minute<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(60), work).await.expect("it should take less than a minute")
}
