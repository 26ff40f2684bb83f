//! Waiting for something to be so.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

/// How often it is looked. The delay that it adds to a measured time, at most.
const STEP: Duration = Duration::from_millis(20);

/// Looks again and again until `look` finds what it looks for, and says how long that took.
///
/// # Errors
///
/// What the last look found missing, if `limit` passes.
pub async fn eventually<T>(
    what: &str,
    limit: Duration,
    mut look: impl AsyncFnMut() -> Result<T>,
) -> Result<(T, Duration)> {
    let start = Instant::now();
    loop {
        let missing = match look().await {
            Ok(found) => return Ok((found, start.elapsed())),
            Err(missing) => missing,
        };
        if start.elapsed() >= limit {
            return Err(missing).with_context(|| format!("after {limit:?} it is still not so that {what}"));
        }
        tokio::time::sleep(STEP).await;
    }
}
