//! When to try again, and how long to wait before.

use std::time::Duration;

use http::HeaderMap;
use http::header::RETRY_AFTER;
use jiff::Timestamp;
use reqwest::StatusCode;

/// How requests are repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retry {
    /// Times that a request is sent at most.
    pub attempts: u32,
    /// Upper bound of the first wait; each later one is twice as long. The wait itself is random below it
    /// (full jitter), so that workers that failed together do not come back together.
    pub base: Duration,
    /// Upper bound of every wait.
    pub cap: Duration,
    /// Longest `Retry-After` that is waited for here. A longer one ends the call with
    /// [`Error::retry_after`](crate::Error::retry_after), so that the caller can do something else meanwhile.
    pub patience: Duration,
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            attempts: 5,
            base: Duration::from_millis(250),
            cap: Duration::from_secs(20),
            patience: Duration::from_secs(30),
        }
    }
}

/// Longest time that a registry is believed to want to be left alone. A header of ten years is a mistake.
const LONGEST: Duration = Duration::from_secs(3600);

impl Retry {
    /// The wait before the attempt after `failed` failed ones.
    pub(crate) fn backoff(&self, failed: u32) -> Duration {
        let ceiling =
            self.base.saturating_mul(1u32.checked_shl(failed.saturating_sub(1)).unwrap_or(u32::MAX)).min(self.cap);
        // Without a source of randomness the ceiling is as good a wait as any.
        let fraction = getrandom::u32().map_or(1.0, |random| f64::from(random) / f64::from(u32::MAX));
        ceiling.mul_f64(fraction)
    }
}

/// Whether an answer asks for the request to be sent again later. 499 and 522 come from proxies before registries.
pub(crate) fn is_transient(status: StatusCode) -> bool {
    matches!(status.as_u16(), 408 | 429 | 499 | 500 | 502 | 503 | 504 | 522)
}

/// `Retry-After` in either of its forms (RFC 9110 §10.2.3), capped. `None` if absent or unreadable.
pub(crate) fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
        // More digits than a u64 holds are still a number, and a large one.
        let seconds = text.parse::<u64>().unwrap_or(u64::MAX);
        return Some(Duration::from_secs(seconds).min(LONGEST));
    }
    let date = jiff::fmt::rfc2822::parse(text).ok()?.timestamp();
    let seconds = date.as_second().saturating_sub(now.as_second()).max(0);
    Some(Duration::from_secs(seconds.unsigned_abs()).min(LONGEST))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_of_retry_after() {
        let now: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let check = |header: Option<&str>, expected: Option<u64>| {
            let mut headers = HeaderMap::new();
            if let Some(header) = header {
                headers.insert(RETRY_AFTER, header.parse().unwrap());
            }
            assert_eq!(retry_after(&headers, now), expected.map(Duration::from_secs), "{header:?}");
        };
        check(None, None);
        check(Some("0"), Some(0));
        check(Some(" 7 "), Some(7));
        check(Some("315360000"), Some(3600));
        check(Some("99999999999999999999999999"), Some(3600));
        check(Some("-5"), None);
        check(Some("soon"), None);
        check(Some(""), None);
        check(Some("Thu, 01 Jan 2026 00:00:20 GMT"), Some(20));
        check(Some("Wed, 31 Dec 2025 00:00:00 GMT"), Some(0));
        check(Some("Sat, 01 Jan 2050 00:00:00 GMT"), Some(3600));
    }

    #[test]
    fn waits_stay_under_their_bounds() {
        let retry = Retry { base: Duration::from_millis(100), cap: Duration::from_secs(1), ..Retry::default() };
        for failed in 1..80 {
            assert!(retry.backoff(failed) <= Duration::from_secs(1));
        }
        assert!((0..50).all(|_| retry.backoff(1) <= Duration::from_millis(100)));
    }
}
