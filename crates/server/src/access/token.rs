//! The text of a token, which is shown once.

use std::fmt;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};
use supercargo_engine::store::{Actor, ErrorKind, NewToken, Role, Store, TokenHash};

use crate::{Error, Result};

/// What every token begins with, so that programs that look for secrets in places where none should be know one.
const PREFIX: &str = "scg_";

/// The name of the token that is made at the first start.
const FIRST: &str = "first";

/// The text of a token: `scg_` and 32 random bytes as base64url. It is shown to whoever asked for it, and not kept.
#[derive(Clone)]
pub struct TokenText(String);

impl TokenText {
    /// A new one.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Token`](crate::ErrorKind::Token) if the system has no random bytes.
    pub fn generate() -> Result<Self> {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes)
            .map_err(|error| Error::token("make a token: there are no random bytes").with_source(error))?;
        Ok(Self(format!("{PREFIX}{}", BASE64_URL_SAFE_NO_PAD.encode(bytes))))
    }

    /// The text. To be shown once.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// What is kept of it.
    pub fn hash(&self) -> TokenHash {
        Sha256::digest(self.0.as_bytes()).into()
    }
}

impl fmt::Debug for TokenText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

/// The hash by which a given token is looked for; `None` if it is none of ours by the look of it.
pub(super) fn hash_of(given: &[u8]) -> Option<TokenHash> {
    given.starts_with(PREFIX.as_bytes()).then(|| Sha256::digest(given).into())
}

/// Makes the first token, an admin's for everything, unless there has been a token before. To be shown to whoever
/// started the program.
///
/// # Errors
///
/// [`ErrorKind::Token`](crate::ErrorKind::Token) if it cannot be made or kept.
pub async fn first_token(store: &dyn Store) -> Result<Option<TokenText>> {
    let failed = |error| Error::token("make the first token").with_source(error);
    if !store.tokens().await.map_err(failed)?.is_empty() {
        return Ok(None);
    }
    let text = TokenText::generate()?;
    let token = NewToken { name: FIRST.to_owned(), role: Role::Admin, scope: Vec::new(), hash: text.hash() };
    match store.create_token(token, &Actor::supercargo()).await {
        Ok(_) => Ok(Some(text)),
        // Another process that starts at the same time was faster, and shows its own.
        Err(error) if error.kind() == ErrorKind::Conflict => Ok(None),
        Err(error) => Err(failed(error)),
    }
}

#[cfg(test)]
mod tests {
    use supercargo_engine::store::{AccessStore as _, MemoryStore};

    use super::*;

    #[test]
    fn a_token_is_long_and_known_by_its_beginning() {
        let text = TokenText::generate().unwrap();
        let random = text.expose().strip_prefix("scg_").unwrap();
        assert_eq!(BASE64_URL_SAFE_NO_PAD.decode(random).unwrap().len(), 32);
        assert_ne!(text.expose(), TokenText::generate().unwrap().expose());
        assert_eq!(hash_of(text.expose().as_bytes()), Some(text.hash()));
        assert_eq!(hash_of(random.as_bytes()), None);
        assert_eq!(format!("{text:?}"), "[redacted]");
    }

    #[test]
    fn the_hash_is_sha_256() {
        // By `printf scg_abc | sha256sum`.
        let expected = "b391c00c7874c3c49a89935ce374cc7794c817443f3931ca5229dfb2e4d0e221";
        let hash = TokenText("scg_abc".to_owned()).hash();
        let told: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(told, expected);
    }

    #[tokio::test]
    async fn the_first_token_is_made_once() {
        let store = MemoryStore::default();
        let text = first_token(&store).await.unwrap().unwrap();
        let token = store.token_by_hash(&text.hash()).await.unwrap().unwrap();
        assert_eq!((token.role, token.scope.len()), (Role::Admin, 0));
        assert!(first_token(&store).await.unwrap().is_none());
        // Nor if somebody wanted it gone.
        store.revoke_token(token.id, &Actor::supercargo()).await.unwrap();
        assert!(first_token(&store).await.unwrap().is_none());
    }
}
