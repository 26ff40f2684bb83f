//! The engine's time of day.

use std::fmt::Debug;

use jiff::Timestamp;

/// Tells the time. Leases and back-offs run by the store's clock; this one dates what the engine reports and
/// tells how long a job has waited.
pub trait Clock: Debug + Send + Sync {
    /// Now.
    fn now(&self) -> Timestamp;
}

/// The machine's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}
