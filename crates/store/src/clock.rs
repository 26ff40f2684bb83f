//! The store's time.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use jiff::Timestamp;

use crate::error::{Error, ErrorKind, Result};

/// Added to the database's time, so that a test can let an hour pass at once. Nothing else sets it.
#[derive(Clone, Debug, Default)]
pub struct ClockOffset(Arc<AtomicI64>);

impl ClockOffset {
    /// Lets time pass.
    pub fn advance(&self, by: Duration) {
        self.0.fetch_add(millis(by), Ordering::SeqCst);
    }

    /// Turns the clock back, as a badly synchronised machine does.
    pub fn rewind(&self, by: Duration) {
        self.0.fetch_sub(millis(by), Ordering::SeqCst);
    }

    pub(crate) fn millis(&self) -> i64 {
        self.0.load(Ordering::SeqCst)
    }
}

pub(crate) fn millis(duration: Duration) -> i64 {
    // A century is for ever, and leaves room to add times to it.
    const LIMIT: u128 = 100 * 366 * 24 * 3600 * 1000;
    i64::try_from(duration.as_millis().min(LIMIT)).expect("the limit fits")
}

pub(crate) fn timestamp(millis: i64) -> Result<Timestamp> {
    Timestamp::from_millisecond(millis)
        .map_err(|error| Error::new(ErrorKind::Corrupt, "read time").with_context(millis).with_source(error))
}
