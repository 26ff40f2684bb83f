//! Which registries to leave alone for now.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use supercargo_store::Reason;
use tokio::sync::Notify;
use tokio::time::Instant;

/// Registries that failed as a whole, and until when they are left alone. While one is, its jobs are not claimed, so
/// that an outage of an hour costs no job an attempt.
#[derive(Debug, Default)]
pub(crate) struct Health {
    registries: Mutex<HashMap<String, Trouble>>,
    recovered: Notify,
}

#[derive(Debug)]
struct Trouble {
    failures: u32,
    since: Instant,
    until: Instant,
    reason: Reason,
}

impl Health {
    /// Notes another failure in a row; `wait` gives the pause after so many of them.
    pub(crate) fn failed(&self, registry: &str, reason: &Reason, wait: impl FnOnce(u32) -> Duration) -> Duration {
        let now = Instant::now();
        let mut registries = self.lock();
        let trouble = registries.entry(registry.to_owned()).or_insert_with(|| Trouble {
            failures: 0,
            since: now,
            until: now,
            reason: reason.clone(),
        });
        // Workers that were under way when the registry went away fail together: that is one failure.
        if trouble.failures == 0 || trouble.until <= now {
            trouble.failures += 1;
            trouble.until = now + wait(trouble.failures);
        }
        trouble.reason = reason.clone();
        trouble.until - now
    }

    /// The registry answered. Says whether it had been in trouble.
    pub(crate) fn succeeded(&self, registry: &str) -> bool {
        let recovered = self.lock().remove(registry).is_some();
        if recovered {
            self.recovered.notify_one();
        }
        recovered
    }

    /// Nothing is known of the registry any more: it is not watched, or in another way than before.
    pub(crate) fn forget(&self, registry: &str) {
        self.succeeded(registry);
    }

    /// Registries to leave alone now.
    pub(crate) fn paused(&self) -> Vec<String> {
        let now = Instant::now();
        self.lock().iter().filter(|(_, trouble)| trouble.until > now).map(|(name, _)| name.clone()).collect()
    }

    /// How long the registry is left alone from now.
    pub(crate) fn pause(&self, registry: &str) -> Duration {
        let now = Instant::now();
        self.lock().get(registry).map_or(Duration::ZERO, |trouble| trouble.until.saturating_duration_since(now))
    }

    /// How long the registry has been in trouble without an answer in between.
    pub(crate) fn outage(&self, registry: &str) -> Duration {
        self.lock().get(registry).map_or(Duration::ZERO, |trouble| trouble.since.elapsed())
    }

    /// Why the registry could not be asked, if it could not.
    pub(crate) fn reason(&self, registry: &str) -> Option<Reason> {
        self.lock().get(registry).map(|trouble| trouble.reason.clone())
    }

    /// Returns when a registry has come back.
    pub(crate) async fn wait_for_recovery(&self) {
        self.recovered.notified().await;
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Trouble>> {
        self.registries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn failures_in_a_row_lengthen_the_pause_and_an_answer_ends_it() {
        let health = Health::default();
        let reason = Reason::transient("network", "connection refused");
        let wait = |failures: u32| Duration::from_secs(u64::from(failures) * 10);

        assert_eq!(health.failed("r", &reason, wait), Duration::from_secs(10));
        assert_eq!(health.failed("r", &reason, wait), Duration::from_secs(10), "of the same moment");
        assert_eq!(health.paused(), ["r"]);

        tokio::time::advance(Duration::from_secs(10)).await;
        assert!(health.paused().is_empty());
        assert_eq!(health.failed("r", &reason, wait), Duration::from_secs(20));
        assert_eq!(health.outage("r"), Duration::from_secs(10));

        assert!(health.succeeded("r"));
        assert!(health.paused().is_empty());
        assert!(!health.succeeded("r"));
    }
}
