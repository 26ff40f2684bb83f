//! Keeps secrets sealed.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chacha20poly1305::aead::{Aead as _, KeyInit as _, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use sha2::{Digest as _, Sha256};

use crate::{Error, ErrorKind, Result};

/// The form of what is sealed; a first byte, so that there can be another.
const FORM: u8 = 1;
const KEY_ID: usize = 8;
const NONCE: usize = 24;

/// A key of 256 bits.
#[derive(Clone, PartialEq, Eq)]
pub struct Key([u8; 32]);

impl Key {
    /// A random key.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Sealed`] if the system has no random bytes.
    pub fn generate() -> Result<Self> {
        let mut bytes = [0; 32];
        fill(&mut bytes)?;
        Ok(Self(bytes))
    }

    /// The key in a text of base64.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Configuration`] if it is no such text, or not of 32 bytes.
    pub fn from_base64(text: &str) -> Result<Self> {
        let bytes = STANDARD.decode(text.trim()).ok().and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
        bytes.map(Self).ok_or_else(|| Error::new(ErrorKind::Configuration, "read a key: it is 32 bytes in base64"))
    }

    /// The key as a text, to be kept where nobody else reads it.
    pub fn to_base64(&self) -> String {
        STANDARD.encode(self.0)
    }

    /// Tells keys apart, and tells nothing of them.
    fn id(&self) -> [u8; KEY_ID] {
        let hash = Sha256::new().chain_update(b"supercargo key\0").chain_update(self.0).finalize();
        let mut id = [0; KEY_ID];
        id.copy_from_slice(&hash[..KEY_ID]);
        id
    }

    fn cipher(&self) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new(&self.0.into())
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key([redacted])")
    }
}

/// Seals secrets for the store, and opens them.
///
/// What is sealed is bound to the registry that it is for. The form is a byte for the form, eight for the key, the
/// nonce of 24 bytes, and the ciphertext with its tag (XChaCha20-Poly1305, draft-irtf-cfrg-xchacha).
///
/// ```
/// use supercargo_engine::integration::{Key, Vault};
///
/// let vault = Vault::new(Key::generate()?);
/// let sealed = vault.seal(b"hunter2", "registry.example")?;
/// assert_eq!(vault.open(&sealed, "registry.example")?, b"hunter2");
/// assert!(vault.open(&sealed, "elsewhere.example").is_err());
/// # Ok::<(), supercargo_engine::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Vault {
    key: Key,
    /// Keys that open and do not seal any more.
    former: Vec<Key>,
}

impl Vault {
    /// A vault that seals with `key`.
    pub fn new(key: Key) -> Self {
        Self { key, former: Vec::new() }
    }

    /// The same, which also opens what was sealed with `key`.
    #[must_use]
    pub fn with_former(mut self, key: Key) -> Self {
        self.former.push(key);
        self
    }

    /// Seals `secret` for `registry`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Sealed`] if the system has no random bytes.
    pub fn seal(&self, secret: &[u8], registry: &str) -> Result<Vec<u8>> {
        let mut nonce = [0; NONCE];
        fill(&mut nonce)?;
        let mut sealed = vec![FORM];
        sealed.extend(self.key.id());
        sealed.extend(nonce);
        let payload = Payload { msg: secret, aad: &bound(registry) };
        let text = self.key.cipher().encrypt(&XNonce::from(nonce), payload);
        sealed.extend(text.map_err(|_| Error::new(ErrorKind::Sealed, "seal credentials"))?);
        Ok(sealed)
    }

    /// Opens what was sealed for `registry`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Sealed`] if it was sealed with a key that is not here, for another registry, or was changed.
    pub fn open(&self, sealed: &[u8], registry: &str) -> Result<Vec<u8>> {
        let refused = |why: &str| Error::new(ErrorKind::Sealed, format!("open the credentials of {registry}: {why}"));
        let parts = sealed
            .split_first()
            .filter(|(form, _)| **form == FORM)
            .and_then(|(_, rest)| rest.split_first_chunk::<KEY_ID>())
            .and_then(|(id, rest)| Some((id, rest.split_first_chunk::<NONCE>()?)));
        let Some((id, (nonce, text))) = parts else {
            return Err(refused("they are in a form that this build does not know"));
        };
        let Some(key) = std::iter::once(&self.key).chain(&self.former).find(|key| key.id() == *id) else {
            return Err(refused("they were sealed with another key; name that one with --key-file or SUPERCARGO_KEY"));
        };
        let payload = Payload { msg: text, aad: &bound(registry) };
        key.cipher()
            .decrypt(&XNonce::from(*nonce), payload)
            .map_err(|_| refused("they were changed, or are those of another registry; set them again"))
    }
}

/// What is authenticated beside the secret.
fn bound(registry: &str) -> Vec<u8> {
    [&[FORM], registry.as_bytes()].concat()
}

fn fill(bytes: &mut [u8]) -> Result<()> {
    getrandom::fill(bytes)
        .map_err(|error| Error::new(ErrorKind::Sealed, "get random bytes").with_source(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vault() -> Vault {
        Vault::new(Key([7; 32]))
    }

    #[test]
    fn what_is_sealed_opens_for_its_registry_alone_and_unchanged() {
        let sealed = vault().seal(b"hunter2", "registry.test").unwrap();
        assert!(!sealed.windows(7).any(|part| part == b"hunter2"));
        assert_eq!(vault().open(&sealed, "registry.test").unwrap(), b"hunter2");
        assert_eq!(vault().open(&sealed, "other.test").unwrap_err().kind(), ErrorKind::Sealed);
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert!(vault().open(&changed, "registry.test").is_err(), "byte {at}");
            assert!(vault().open(&sealed[..at], "registry.test").is_err(), "the first {at} bytes");
        }
        assert_ne!(sealed, vault().seal(b"hunter2", "registry.test").unwrap(), "each has a nonce of its own");
    }

    #[test]
    fn a_key_is_replaced_with_both_at_hand() {
        let sealed = vault().seal(b"hunter2", "registry.test").unwrap();
        let new = Vault::new(Key([8; 32]));
        let error = new.open(&sealed, "registry.test").unwrap_err();
        assert!(error.to_string().contains("another key"), "{error}");
        let both = new.clone().with_former(Key([7; 32]));
        assert_eq!(both.open(&sealed, "registry.test").unwrap(), b"hunter2");
        let again = both.seal(b"hunter2", "registry.test").unwrap();
        assert_eq!(new.open(&again, "registry.test").unwrap(), b"hunter2");
    }

    #[test]
    fn keys_are_texts_and_are_not_shown() {
        let key = Key::generate().unwrap();
        assert_eq!(Key::from_base64(&format!("{}\n", key.to_base64())).unwrap(), key);
        assert_ne!(key, Key::generate().unwrap());
        for text in ["", "hunter2", "aGVsbG8="] {
            assert_eq!(Key::from_base64(text).unwrap_err().kind(), ErrorKind::Configuration, "{text}");
        }
        assert!(!format!("{:?}", Vault::new(key.clone())).contains(&key.to_base64()));
    }

    /// Appendix A.3.1 of draft-irtf-cfrg-xchacha-03: the cipher is the one that is named.
    #[test]
    fn the_cipher_is_xchacha20_poly1305() {
        let bytes = |from: u8| -> Vec<u8> { (0..).map(|n| from + n).take(32).collect() };
        let key: [u8; 32] = bytes(0x80).try_into().unwrap();
        let nonce: [u8; 24] = bytes(0x40)[..24].try_into().unwrap();
        let plain = b"Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, \
            sunscreen would be it.";
        let aad = [0x50, 0x51, 0x52, 0x53, 0xc0, 0xc1, 0xc2, 0xc3, 0xc4, 0xc5, 0xc6, 0xc7];
        let payload = Payload { msg: plain, aad: &aad };
        let sealed = Key(key).cipher().encrypt(&XNonce::from(nonce), payload).unwrap();
        let tag = [0xc0, 0x87, 0x59, 0x24, 0xc1, 0xc7, 0x98, 0x79, 0x47, 0xde, 0xaf, 0xd8, 0x78, 0x0a, 0xcf, 0x49];
        assert_eq!(sealed[sealed.len() - 16..], tag);
        assert_eq!(sealed[..4], [0xbd, 0x6d, 0x17, 0x9d]);
    }
}
