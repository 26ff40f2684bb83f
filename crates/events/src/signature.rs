//! Bodies signed with a shared secret (HMAC, RFC 2104).

use http::HeaderName;
use ring::hmac::{self, Algorithm};

use crate::auth::Refusal;
use crate::config::Settings;
use crate::{Request, Secret};

/// How a sender signs, as far as it is the same for all that it sends.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scheme {
    /// The hash.
    pub(crate) algorithm: Algorithm,
    /// The header with the signature in hexadecimal digits.
    pub(crate) header: &'static str,
    /// What stands before the digits.
    pub(crate) prefix: &'static str,
}

/// A check of signed bodies.
pub(crate) struct Signature {
    header: HeaderName,
    prefix: &'static str,
    /// None at all: the source is open to everyone.
    keys: Vec<hmac::Key>,
}

impl Signature {
    /// Reads the secrets and the header.
    pub(crate) fn read(settings: &mut Settings, scheme: &Scheme) -> Self {
        let secrets = std::mem::take(&mut settings.config.secrets);
        match (settings.config.open, secrets.is_empty()) {
            (true, false) => settings.problem("it has a secret and is open to everyone; choose one"),
            (false, true) => settings.problem("it has no secret; give one, or open it to everyone explicitly"),
            _ => {}
        }
        let header = settings.config.header.take().unwrap_or(HeaderName::from_static(scheme.header));
        let keys = secrets.iter().map(|secret| key(scheme.algorithm, secret)).collect();
        Self { header, prefix: scheme.prefix, keys }
    }

    /// Whether the raw body was signed with one of the secrets.
    pub(crate) fn check(&self, request: &Request<'_>) -> Result<(), Refusal> {
        if self.keys.is_empty() {
            return Ok(());
        }
        let Some(value) = request.headers.get(&self.header) else {
            return Err(Refusal::Unproven(format!("header `{}` is missing", self.header)));
        };
        let digits = value.as_bytes().strip_prefix(self.prefix.as_bytes());
        let Some(signature) = digits.and_then(from_hex) else {
            return Err(Refusal::Unproven(format!("header `{}` carries no signature", self.header)));
        };
        if verifies(&self.keys, request.body, &signature) {
            return Ok(());
        }
        Err(Refusal::Unproven(format!("header `{}` carries no signature of this body", self.header)))
    }
}

impl std::fmt::Debug for Signature {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Signature").field("header", &self.header).finish_non_exhaustive()
    }
}

/// The key that a secret is.
pub(crate) fn key(algorithm: Algorithm, secret: &Secret) -> hmac::Key {
    hmac::Key::new(algorithm, secret.as_bytes())
}

/// Whether one of `keys` made `signature`; every one is tried, whatever an earlier one said.
pub(crate) fn verifies(keys: &[hmac::Key], message: &[u8], signature: &[u8]) -> bool {
    keys.iter().fold(false, |found, key| found | hmac::verify(key, message, signature).is_ok())
}

fn from_hex(digits: &[u8]) -> Option<Vec<u8>> {
    let (pairs, []) = digits.as_chunks::<2>() else { return None };
    let nibble = |digit: u8| char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok());
    pairs.iter().map(|&[high, low]| Some(nibble(high)? << 4 | nibble(low)?)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hexadecimal_digits_of_either_case() {
        assert_eq!(from_hex(b"00fFa1"), Some(vec![0, 255, 161]));
        assert_eq!(from_hex(b""), Some(Vec::new()));
        for digits in ["0", "0g", "+1", " 00", "0x00", "é"] {
            assert_eq!(from_hex(digits.as_bytes()), None, "{digits}");
        }
    }
}
