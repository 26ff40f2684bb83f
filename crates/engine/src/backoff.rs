//! How long to wait before another try.

use std::time::Duration;

/// Exponential back-off with full jitter: a random wait between nothing and a bound that doubles with each attempt.
/// Full jitter because many workers fail at the same moment, and would come back at the same moment otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    /// Bound of the first wait.
    pub base: Duration,
    /// Bound of every wait.
    pub cap: Duration,
}

impl Backoff {
    /// The bound of the wait after failure number `attempt`, counted from 1.
    pub fn bound(&self, attempt: u32) -> Duration {
        let doublings = attempt.saturating_sub(1).min(31);
        self.base.saturating_mul(1 << doublings).min(self.cap)
    }

    /// A random wait after failure number `attempt`; a tenth of the bound at least, so that a failure that comes
    /// back at once is not repeated at once.
    pub fn wait(&self, attempt: u32) -> Duration {
        let bound = self.bound(attempt);
        bound.mul_f64(0.1 + 0.9 * fraction())
    }
}

/// A random number from 0 up to 1. Without randomness the bound is waited for: safe, only less well spread.
fn fraction() -> f64 {
    getrandom::u32().map_or(1.0, |random| f64::from(random) / f64::from(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bound_doubles_up_to_its_cap() {
        let backoff = Backoff { base: Duration::from_secs(2), cap: Duration::from_secs(30) };
        let seconds: Vec<u64> = (0..8).map(|attempt| backoff.bound(attempt).as_secs()).collect();
        assert_eq!(seconds, [2, 2, 4, 8, 16, 30, 30, 30]);
        assert_eq!(backoff.bound(u32::MAX), Duration::from_secs(30));
    }

    #[test]
    fn waits_stay_within_the_bound_and_differ() {
        let backoff = Backoff { base: Duration::from_secs(100), cap: Duration::from_secs(100) };
        let waits: Vec<Duration> = (0..50).map(|_| backoff.wait(1)).collect();
        assert!(waits.iter().all(|wait| (Duration::from_secs(10)..=Duration::from_secs(100)).contains(wait)));
        assert!(waits.iter().any(|wait| *wait != waits[0]));
    }
}
