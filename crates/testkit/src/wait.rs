//! Waiting for a condition, with a limit.

use std::time::{Duration, Instant};

use crate::{Error, ErrorKind, Result};

/// How often a condition is looked at: short enough that a test does not notice, long enough
/// that the waiting itself costs nothing.
const STEP: Duration = Duration::from_millis(5);

/// Waits until `condition` holds.
///
/// # Errors
///
/// [`ErrorKind::Timeout`], naming `what`, if it does not hold within `limit`.
pub async fn wait_for(what: &str, limit: Duration, mut condition: impl FnMut() -> bool) -> Result<()> {
    let deadline = Instant::now() + limit;
    while !condition() {
        if Instant::now() >= deadline {
            return Err(Error::new(
                ErrorKind::Timeout,
                "see a condition met in time",
                format!("{what} within {limit:?}"),
            ));
        }
        tokio::time::sleep(STEP).await;
    }
    Ok(())
}
