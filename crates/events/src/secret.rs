//! Shared secrets.

use std::fmt;

use sha2::{Digest as _, Sha256};
use subtle::{Choice, ConstantTimeEq as _};

/// A shared secret. It prints as `[redacted]`, and is compared in constant time.
#[derive(Clone)]
pub struct Secret(String);

impl Secret {
    /// A secret.
    pub fn new(secret: impl Into<String>) -> Self {
        Self(secret.into())
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether `candidate` is the secret. Both are hashed first, so that not even a difference in length shows.
    pub fn matches(&self, candidate: &[u8]) -> bool {
        self.compare(candidate).into()
    }

    pub(crate) fn text(&self) -> &str {
        &self.0
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }

    pub(crate) fn compare(&self, candidate: &[u8]) -> Choice {
        Sha256::digest(self.0.as_bytes()).as_slice().ct_eq(Sha256::digest(candidate).as_slice())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_matches_itself_alone_and_never_prints() {
        let secret = Secret::new("hunter2");
        assert!(secret.matches(b"hunter2"));
        for candidate in ["", "hunter", "hunter22", "Hunter2"] {
            assert!(!secret.matches(candidate.as_bytes()), "{candidate}");
        }
        assert_eq!(format!("{secret:?} {secret}"), "[redacted] [redacted]");
    }
}
