//! The certificate with which Amazon SNS signs.

use std::time::Duration;

use jiff::Timestamp;
use ring::signature::{RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, UnixTime};
use webpki::{EndEntityCert, ExtendedKeyUsageValidator, KeyPurposeIdIter};

/// A certificate with an RSA key.
///
/// Whose it is rests on where it came from: over TLS, without redirects, from the one host of Amazon's that serves
/// such certificates for the message's own region. What is served there is a leaf without the certificates above
/// it, so no chain is built here; its dates are held to.
#[derive(Clone, Debug)]
pub(crate) struct Certificate {
    der: CertificateDer<'static>,
    /// The key as PKCS #1 has it.
    key: Vec<u8>,
}

/// The hash of a signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hash {
    /// What version 1 of SNS's signatures has, which is what a topic does unless told otherwise.
    Sha1,
    /// Version 2.
    Sha256,
}

impl Certificate {
    pub(crate) fn from_pem(pem: &[u8]) -> Result<Self, String> {
        let der =
            CertificateDer::from_pem_slice(pem).map_err(|error| format!("it is no certificate in PEM: {error}"))?;
        let parsed = EndEntityCert::try_from(&der).map_err(|error| format!("it is no certificate: {error}"))?;
        let info = parsed.subject_public_key_info();
        let key = rsa_key(&info).ok_or("its key is no RSA key")?.to_vec();
        Ok(Self { der, key })
    }

    /// Whether it may be used at that time.
    pub(crate) fn is_valid_at(&self, now: Timestamp) -> bool {
        let Ok(seconds) = u64::try_from(now.as_second()) else { return false };
        let Ok(parsed) = EndEntityCert::try_from(&self.der) else { return false };
        let time = UnixTime::since_unix_epoch(Duration::from_secs(seconds));
        // Dates are looked at before issuers. Nobody is trusted here, so "unknown issuer" is the best that can
        // come of it.
        let outcome = parsed.verify_for_usage(&[], &[], &[], time, AnyUse, None, None);
        matches!(outcome, Err(webpki::Error::UnknownIssuer))
    }

    /// Whether its key signed `message` (RSASSA-PKCS1-v1_5).
    pub(crate) fn signed(&self, hash: Hash, message: &[u8], signature: &[u8]) -> bool {
        let algorithm = match hash {
            Hash::Sha1 => &RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY,
            Hash::Sha256 => &RSA_PKCS1_2048_8192_SHA256,
        };
        UnparsedPublicKey::new(algorithm, &self.key).verify(message, signature).is_ok()
    }
}

/// What the certificate is for is not written down by Amazon, so any use will do.
struct AnyUse;

impl ExtendedKeyUsageValidator for AnyUse {
    fn validate(&self, _: KeyPurposeIdIter<'_, '_>) -> Result<(), webpki::Error> {
        Ok(())
    }
}

/// The `RSAPublicKey` within a `SubjectPublicKeyInfo` (RFC 5280, 4.1; RFC 3279, 2.3.1): a sequence of the
/// algorithm and a string of bits, whose first octet counts unused bits.
fn rsa_key(info: &[u8]) -> Option<&[u8]> {
    // The content of `AlgorithmIdentifier` for rsaEncryption, 1.2.840.113549.1.1.1, with its null.
    const RSA: &[u8] = &[0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00];
    let (sequence, []) = element(0x30, info)? else { return None };
    let (algorithm, rest) = element(0x30, sequence)?;
    let (bits, []) = element(0x03, rest)? else { return None };
    (algorithm == RSA).then_some(())?;
    bits.strip_prefix(&[0])
}

/// The content of the element with `tag` that `input` begins with, and what follows it (X.690, definite form).
fn element(tag: u8, input: &[u8]) -> Option<(&[u8], &[u8])> {
    let (&[found, length], rest) = input.split_first_chunk::<2>()?;
    (found == tag).then_some(())?;
    if length < 0x80 {
        return rest.split_at_checked(usize::from(length));
    }
    // Two octets of length are enough for every key that ring verifies with.
    let (octets, rest) = rest.split_at_checked(usize::from(length & 0x7f)).filter(|(octets, _)| octets.len() <= 2)?;
    let length = octets.iter().fold(0, |length, octet| length << 8 | usize::from(*octet));
    rest.split_at_checked(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_end_where_they_say() {
        assert_eq!(element(4, &[4, 2, 1, 2, 9]), Some((&[1, 2][..], &[9][..])));
        assert_eq!(element(4, &[4, 0x81, 1, 7]), Some((&[7][..], &[][..])));
        assert_eq!(element(4, &[4, 0x82, 0, 1, 7]), Some((&[7][..], &[][..])));
        for input in [&[][..], &[4], &[4, 1], &[5, 0], &[4, 0x82, 1], &[4, 0x83, 0, 0, 0], &[4, 0x81, 9, 1]] {
            assert_eq!(element(4, input), None, "{input:?}");
        }
    }

    #[test]
    fn what_is_no_certificate_says_so() {
        for pem in ["", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "<html>"] {
            assert!(Certificate::from_pem(pem.as_bytes()).is_err(), "{pem}");
        }
    }
}
