//! Numbers of any length, which versions have: dates, hashes that happen to be digits, nonsense.

use std::cmp::Ordering;

/// A run of ASCII digits, compared by its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Number<'a>(&'a str);

impl<'a> Number<'a> {
    pub(super) const ZERO: Self = Self("");

    /// Of a string that is nothing but ASCII digits.
    pub(super) fn new(digits: &'a str) -> Self {
        Self(digits.trim_start_matches('0'))
    }

    /// If it is nothing but ASCII digits, and one at least.
    pub(super) fn parse(text: &'a str) -> Option<Self> {
        (!text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())).then(|| Self::new(text))
    }

    pub(super) fn is_zero(self) -> bool {
        self.0.is_empty()
    }
}

impl Ord for Number<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.len().cmp(&other.0.len()).then_with(|| self.0.cmp(other.0))
    }
}

impl PartialOrd for Number<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Splits off the longest beginning whose characters satisfy `keep`.
pub(super) fn split_while(text: &str, keep: impl Fn(char) -> bool) -> (&str, &str) {
    text.split_at(text.find(|c| !keep(c)).unwrap_or(text.len()))
}

/// Splits off the digits at the beginning.
pub(super) fn split_digits(text: &str) -> (&str, &str) {
    split_while(text, |c| c.is_ascii_digit())
}

/// Splits `epoch:version`; what has no digits before a colon has epoch 0.
pub(super) fn split_epoch(version: &str) -> (Number<'_>, &str) {
    version
        .split_once(':')
        .and_then(|(epoch, rest)| Some((Number::parse(epoch)?, rest)))
        .unwrap_or((Number::ZERO, version))
}
