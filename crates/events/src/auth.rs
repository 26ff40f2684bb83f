//! How a delivery proves who sent it.

use http::{HeaderMap, HeaderName};
use subtle::Choice;

use crate::{Error, ErrorKind, Result, Secret};

/// How a delivery proves who sent it.
#[derive(Clone, Debug)]
pub enum Authentication {
    /// A shared secret in a header.
    Header(HeaderSecret),
    /// It does not. Deliveries are hints that are checked with the registry, so the damage a stranger can do is
    /// to cause such checks.
    Open,
}

impl Authentication {
    /// Checks a delivery's headers; the error is the reason of a refusal.
    ///
    /// # Errors
    ///
    /// Why the delivery is not taken, in words that do not help to guess.
    pub fn check(&self, headers: &HeaderMap) -> Result<(), String> {
        match self {
            Self::Header(secret) => secret.check(headers),
            Self::Open => Ok(()),
        }
    }
}

/// A shared secret in a header, bare or after `Bearer `.
#[derive(Clone, Debug)]
pub struct HeaderSecret {
    header: HeaderName,
    secrets: Vec<Secret>,
}

impl HeaderSecret {
    /// A check of `header` against each of `secrets`. Two of them are what a rotation needs: the receiver learns
    /// the new one, the sender is changed, the receiver forgets the old one.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Configuration`] if there is no secret, or an empty one: that would match an empty header.
    pub fn new(header: HeaderName, secrets: Vec<Secret>) -> Result<Self> {
        if secrets.is_empty() || secrets.iter().any(Secret::is_empty) {
            return Err(Error::new(ErrorKind::Configuration, "configure the source: its secret is empty"));
        }
        Ok(Self { header, secrets })
    }

    fn check(&self, headers: &HeaderMap) -> Result<(), String> {
        let Some(value) = headers.get(&self.header) else {
            return Err(format!("header `{}` is missing", self.header));
        };
        let value = value.as_bytes();
        // Every secret is compared with both forms, whatever the first comparison said.
        let found = self.secrets.iter().fold(Choice::from(0), |found, secret| {
            found | secret.compare(value) | bearer(value).map_or(Choice::from(0), |token| secret.compare(token))
        });
        if found.into() { Ok(()) } else { Err(format!("header `{}` does not carry the secret", self.header)) }
    }
}

fn bearer(value: &[u8]) -> Option<&[u8]> {
    let (scheme, token) = value.split_at_checked("Bearer ".len())?;
    scheme.eq_ignore_ascii_case(b"Bearer ").then(|| token.trim_ascii())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bare_bearer_and_both_secrets_of_a_rotation() {
        let auth =
            HeaderSecret::new(http::header::AUTHORIZATION, vec![Secret::new("new"), Secret::new("old one")]).unwrap();
        let check = |value: Option<&'static str>, accepted: bool| {
            let headers = value.map(|value| (http::header::AUTHORIZATION, value.parse().unwrap()));
            assert_eq!(auth.check(&HeaderMap::from_iter(headers)).is_ok(), accepted, "{value:?}");
        };
        check(Some("new"), true);
        check(Some("Bearer new"), true);
        check(Some("bearer  new"), true);
        check(Some("old one"), true);
        check(Some("Bearer old one"), true);
        check(Some("Basic new"), false);
        check(Some("Bearer"), false);
        check(Some("Bearer "), false);
        check(Some(""), false);
        check(Some("newer"), false);
        check(None, false);
    }

    #[test]
    fn the_reason_does_not_repeat_what_was_sent() {
        let auth = HeaderSecret::new(HeaderName::from_static("x-hook"), vec![Secret::new("right")]).unwrap();
        let headers = HeaderMap::from_iter([(HeaderName::from_static("x-hook"), "almost-right".parse().unwrap())]);
        assert_eq!(auth.check(&headers).unwrap_err(), "header `x-hook` does not carry the secret");
    }
}
