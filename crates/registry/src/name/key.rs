//! The name of a repository in a product that has several, each with images of its own.

use std::fmt;
use std::str::FromStr;

use crate::secret::printable;
use crate::{Error, ErrorKind, Result};

/// Longest key. Artifactory takes 64 characters, Nexus a few more.
const LENGTH: usize = 128;

/// A repository key of Artifactory, or the name of a Nexus repository: `docker-local`. It is not a [`Repository`], for
/// it holds many of those, and it may have upper-case letters.
///
/// [`Repository`]: crate::Repository
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RepositoryKey(String);

impl RepositoryKey {
    /// The key.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RepositoryKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for RepositoryKey {
    type Err = Error;

    /// # Errors
    /// [`ErrorKind::Malformed`] for anything but letters, digits and `_ . -`, or with one of `. -` at its beginning:
    /// a key becomes a part of addresses and of queries as it is.
    fn from_str(text: &str) -> Result<Self> {
        let bytes = text.as_bytes();
        if bytes.len() <= LENGTH
            && bytes.first().is_some_and(|first| first.is_ascii_alphanumeric() || *first == b'_')
            && bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(byte))
        {
            return Ok(Self(text.to_owned()));
        }
        Err(Error::new(
            ErrorKind::Malformed,
            format!("parse repository key {:?}: expected letters, digits and _ . -", printable(text, 200)),
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys() {
        for good in ["docker-local", "Docker_Hosted.2", "_x", "a"] {
            assert!(good.parse::<RepositoryKey>().is_ok(), "{good}");
        }
        for bad in ["", ".", "..", "-a", "a/b", "a b", "a\"", "ä", "a%2f", &"a".repeat(129)] {
            assert!(bad.parse::<RepositoryKey>().is_err(), "{bad}");
        }
    }
}
