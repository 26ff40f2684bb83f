//! Content digests: parsed strictly, computed as bytes go by.

use oci_spec::image::{Digest, DigestAlgorithm};
use sha2::{Digest as _, Sha256, Sha384, Sha512};

use crate::secret::printable;
use crate::{Error, ErrorKind, Result};

/// A digest of an algorithm that can be verified: SHA-256, SHA-384 or SHA-512, in lower-case hex.
pub(crate) fn parse_digest(text: &str) -> Result<Digest> {
    let refuse = || Error::new(ErrorKind::Malformed, format!("parse digest {:?}", printable(text, 160)));
    let digest: Digest = text.parse().map_err(|error| refuse().with_source(error))?;
    match digest.algorithm() {
        DigestAlgorithm::Sha256 | DigestAlgorithm::Sha384 | DigestAlgorithm::Sha512 => Ok(digest),
        _ => Err(Error::new(
            ErrorKind::Unsupported,
            format!("parse digest {:?}: sha256, sha384 and sha512 are known", printable(text, 160)),
        )),
    }
}

/// The SHA-256 digest of `bytes`.
pub(crate) fn sha256(bytes: &[u8]) -> Digest {
    let mut hasher = Hasher::Sha256(Sha256::new());
    hasher.update(bytes);
    hasher.finish()
}

/// Refuses `bytes` that are not what `expected` names.
pub(crate) fn verify(expected: &Digest, bytes: &[u8]) -> Result<()> {
    let mut hasher = Hasher::for_digest(expected)?;
    hasher.update(bytes);
    hasher.expect(expected)
}

/// Refuses a digest that could not be verified, before anything is fetched for it.
pub(crate) fn check_algorithm(digest: &Digest) -> Result<()> {
    Hasher::for_digest(digest).map(drop)
}

/// A digest in the making.
pub(crate) enum Hasher {
    Sha256(Sha256),
    Sha384(Sha384),
    Sha512(Sha512),
}

impl Hasher {
    pub(crate) fn sha256() -> Self {
        Self::Sha256(Sha256::new())
    }

    pub(crate) fn for_digest(digest: &Digest) -> Result<Self> {
        match digest.algorithm() {
            DigestAlgorithm::Sha256 => Ok(Self::Sha256(Sha256::new())),
            DigestAlgorithm::Sha384 => Ok(Self::Sha384(Sha384::new())),
            DigestAlgorithm::Sha512 => Ok(Self::Sha512(Sha512::new())),
            other => Err(Error::new(ErrorKind::Unsupported, format!("verify a digest of algorithm {other}"))),
        }
    }

    pub(crate) fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Sha256(hasher) => hasher.update(bytes),
            Self::Sha384(hasher) => hasher.update(bytes),
            Self::Sha512(hasher) => hasher.update(bytes),
        }
    }

    pub(crate) fn finish(self) -> Digest {
        let (name, bytes): (&str, Vec<u8>) = match self {
            Self::Sha256(hasher) => ("sha256", hasher.finalize().to_vec()),
            Self::Sha384(hasher) => ("sha384", hasher.finalize().to_vec()),
            Self::Sha512(hasher) => ("sha512", hasher.finalize().to_vec()),
        };
        let mut text = format!("{name}:");
        for byte in bytes {
            text.push(char::from_digit(u32::from(byte >> 4), 16).expect("four bits are a hex digit"));
            text.push(char::from_digit(u32::from(byte & 15), 16).expect("four bits are a hex digit"));
        }
        Digest::try_from(text).expect("a computed digest is well-formed")
    }

    pub(crate) fn expect(self, expected: &Digest) -> Result<()> {
        let found = self.finish();
        if &found == expected {
            return Ok(());
        }
        Err(Error::new(ErrorKind::DigestMismatch, format!("verify {expected}: the bytes are {found}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_digests() {
        assert_eq!(sha256(b"").to_string(), "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
        let sha512 = parse_digest(&format!("sha512:{}", "0".repeat(128))).unwrap();
        assert_eq!(verify(&sha512, b"x").unwrap_err().kind(), ErrorKind::DigestMismatch);
        verify(&sha256(b"abc"), b"abc").unwrap();
    }
}
