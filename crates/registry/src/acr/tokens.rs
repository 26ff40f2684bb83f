//! Tokens of Microsoft Entra for services of Azure's that are no registry.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::Mutex;
use url::Url;

use super::chain::{Chain, Surroundings};
use super::entra::EntraClient;
use super::host::Cloud;
use super::options::AcrOptions;
use super::tool::Tool;
use crate::distribution::{TransportConfig, jwt_expiry};
use crate::{Error, ErrorKind, Result, Secret};

/// A token is renewed this much before it ends.
const EARLY: Duration = Duration::from_secs(5 * 60);

/// Tokens for one service of Azure's, by the same ways in which an [`AcrRegistry`](crate::AcrRegistry) is signed in to.
/// A token is kept until shortly before it ends; whoever asks meanwhile waits for the one that is fetched.
#[derive(Debug)]
pub struct EntraTokens {
    chain: Chain,
    kept: Mutex<Option<Kept>>,
}

#[derive(Debug)]
struct Kept {
    token: Secret,
    /// In Unix seconds.
    end: i64,
}

impl EntraTokens {
    /// Tokens for `audience`, such as `https://storage.azure.com`, unless `options` name another. Of `transport` the
    /// certificates, the proxy, the deadlines and the repetitions count.
    ///
    /// # Errors
    /// [`Configuration`](ErrorKind::Configuration) with all that is missing for the identity that was chosen, or if
    /// certificates or proxy cannot be used.
    pub fn new(options: &AcrOptions, audience: &str, transport: &TransportConfig) -> Result<Self> {
        let missing = options.missing();
        if !missing.is_empty() {
            return Err(Error::from_problems(missing));
        }
        let authority = match &options.authority {
            Some(authority) => authority.clone(),
            None => Url::parse(Cloud::Public.authority()).expect("a constant address"),
        };
        let surroundings = Surroundings {
            client: Arc::new(EntraClient::new(transport)?),
            tools: Arc::new(Tool),
            authority,
            retry: transport.retry,
        };
        let audience = options.audience.as_deref().unwrap_or(audience);
        let none = || Error::new(ErrorKind::Configuration, "sign in with Microsoft Entra: no identity is left open");
        Ok(Self { chain: Chain::new(options, None, audience, surroundings).ok_or_else(none)?, kept: Mutex::default() })
    }

    /// A token that is good for some minutes.
    ///
    /// # Errors
    /// [`Credential`](ErrorKind::Credential) with an account of what was tried, or
    /// [`Unavailable`](ErrorKind::Unavailable) if it may go better later.
    pub async fn token(&self) -> Result<Secret> {
        let mut kept = self.kept.lock().await;
        let now = Timestamp::now().as_second();
        let early = i64::try_from(EARLY.as_secs()).unwrap_or_default();
        if let Some(Kept { token, end }) = &*kept
            && now < end - early
        {
            return Ok(token.clone());
        }
        let found = self.chain.token().await.map_err(|failure| failure.to_error())?;
        // One that does not say when it ends is asked for again each time: the library keeps it, too.
        let end = jwt_expiry(found.token.expose());
        *kept = end.map(|end| Kept { token: found.token.clone(), end });
        Ok(found.token)
    }
}
