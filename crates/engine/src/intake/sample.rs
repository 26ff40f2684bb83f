//! Of what comes again and again, one now and then.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use jiff::{SignedDuration, Timestamp};

/// Different things that are remembered. What is new beyond that is passed over: reasons may quote what was sent.
const KEYS: usize = 256;

/// Lets one of each kind through in a period.
#[derive(Debug)]
pub(crate) struct Sampler {
    period: SignedDuration,
    seen: Mutex<HashMap<String, Seen>>,
}

#[derive(Debug)]
struct Seen {
    last: Timestamp,
    /// How many did not get through since.
    more: u64,
}

impl Sampler {
    pub(crate) fn new(period: SignedDuration) -> Self {
        Self { period, seen: Mutex::default() }
    }

    /// Whether this one gets through, with the number of those that did not since the last one that did.
    pub(crate) fn take(&self, key: &str, now: Timestamp) -> Option<u64> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = seen.get_mut(key) {
            if now.duration_since(known.last) < self.period {
                known.more += 1;
                return None;
            }
            known.last = now;
            return Some(std::mem::take(&mut known.more));
        }
        if seen.len() >= KEYS {
            seen.retain(|_, seen| now.duration_since(seen.last) < self.period);
            if seen.len() >= KEYS {
                return None;
            }
        }
        seen.insert(key.to_owned(), Seen { last: now, more: 0 });
        Some(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_of_each_in_a_period() {
        let sampler = Sampler::new(SignedDuration::from_secs(60));
        let at = |second: i64| Timestamp::from_second(second).unwrap();
        assert_eq!(sampler.take("a", at(0)), Some(0));
        assert_eq!(sampler.take("a", at(1)), None);
        assert_eq!(sampler.take("a", at(59)), None);
        assert_eq!(sampler.take("b", at(59)), Some(0));
        assert_eq!(sampler.take("a", at(60)), Some(2));
        assert_eq!(sampler.take("a", at(61)), None);
    }

    #[test]
    fn what_varies_without_end_takes_no_more_memory() {
        let sampler = Sampler::new(SignedDuration::from_secs(60));
        let now = Timestamp::from_second(0).unwrap();
        let through = (0..10_000).filter(|number| sampler.take(&number.to_string(), now).is_some()).count();
        assert_eq!(through, KEYS);
        assert_eq!(sampler.take("later", Timestamp::from_second(61).unwrap()), Some(0));
    }
}
