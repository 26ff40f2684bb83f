//! Whether a sink is to be left alone for now.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use supercargo_store::DeliveryId;
use tokio::time::Instant;

/// How a sink has been doing. While it is left alone nothing is claimed for it, so that an outage of a night costs no
/// delivery an attempt; after that one delivery goes first to see.
#[derive(Debug, Default)]
pub(crate) struct SinkHealth(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    failures: u32,
    until: Option<Instant>,
    last_success: Option<Instant>,
    /// When deliveries last failed for a reason that looked like the sink's.
    suspects: HashMap<DeliveryId, Instant>,
    closed: bool,
}

/// Pauses that a run which is to come to an end waits for.
const TRIES: u32 = 3;

/// Deliveries that are remembered as suspects. An outage has many, and which of them was first does not matter then.
const SUSPECTS: usize = 10_000;

impl SinkHealth {
    /// How many deliveries may be under way now: none, one to see, or all.
    pub(crate) fn allowance(&self, concurrency: usize) -> usize {
        let state = self.lock();
        match state.until {
            _ if state.closed => 0,
            Some(until) if until > Instant::now() => 0,
            Some(_) => 1,
            None => concurrency,
        }
    }

    /// When it may be asked again, if it is left alone now.
    pub(crate) fn until(&self) -> Option<Instant> {
        self.lock().until.filter(|until| *until > Instant::now())
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.lock().closed
    }

    /// Whether a run that is to come to an end should wait for it no longer.
    pub(crate) fn is_hopeless(&self) -> bool {
        let state = self.lock();
        state.closed || state.failures >= TRIES
    }

    /// It took something. Says whether it had been away.
    pub(crate) fn succeeded(&self, delivery: DeliveryId) -> bool {
        let mut state = self.lock();
        state.suspects.remove(&delivery);
        state.last_success = Some(Instant::now());
        state.until = None;
        std::mem::take(&mut state.failures) > 0
    }

    /// Whether a failure that looks like the sink's is this delivery's own: the sink has taken others since it last
    /// refused this one.
    pub(crate) fn blames(&self, delivery: DeliveryId) -> bool {
        let mut state = self.lock();
        let now = Instant::now();
        if state.suspects.len() >= SUSPECTS {
            state.suspects.clear();
        }
        let before = state.suspects.insert(delivery, now);
        matches!((before, state.last_success), (Some(before), Some(success)) if success > before)
    }

    /// Notes a failure of the sink; `wait` gives the pause after so many in a row. Answers how long it lasts.
    pub(crate) fn failed(&self, wait: impl FnOnce(u32) -> Duration) -> Duration {
        let mut state = self.lock();
        let now = Instant::now();
        // Deliveries that were under way when it went away fail together: that is one failure.
        if state.until.is_none_or(|until| until <= now) {
            state.failures += 1;
            state.until = Some(now + wait(state.failures));
        }
        state.until.map(|until| until - now).unwrap_or_default()
    }

    /// It wants nothing any more.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing in here can be left half changed, so a panic of another holder spoils nothing.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn a_sink_that_failed_is_left_alone_and_then_asked_once() {
        let health = SinkHealth::default();
        assert_eq!(health.allowance(4), 4);
        assert_eq!(health.failed(|failures| failures * SECOND), SECOND);
        assert_eq!(health.failed(|failures| failures * SECOND), SECOND, "of the same moment");
        assert_eq!(health.allowance(4), 0);
        tokio::time::advance(SECOND).await;
        assert_eq!(health.allowance(4), 1);
        assert_eq!(health.failed(|failures| failures * SECOND), 2 * SECOND);
        assert!(!health.is_hopeless());
        assert!(health.succeeded(DeliveryId(1)));
        assert_eq!(health.allowance(4), 4);
        for _ in 0..TRIES {
            health.failed(|_| SECOND);
            tokio::time::advance(SECOND).await;
        }
        assert!(health.is_hopeless());
    }

    #[tokio::test(start_paused = true)]
    async fn a_delivery_is_to_blame_once_others_arrive() {
        let health = SinkHealth::default();
        let (poison, other) = (DeliveryId(1), DeliveryId(2));
        assert!(!health.blames(poison));
        tokio::time::advance(SECOND).await;
        assert!(!health.blames(poison), "nothing shows that it is not the sink");
        tokio::time::advance(SECOND).await;
        health.succeeded(other);
        tokio::time::advance(SECOND).await;
        assert!(!health.blames(DeliveryId(3)), "its first failure");
        assert!(health.blames(poison));
    }
}
