//! Tokens: what a token service answers, how long that is good for, and who fetches it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use bytes::Bytes;
use http::HeaderValue;
use jiff::Timestamp;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::time::Instant;
use url::Url;

use crate::secret::Secret;
use crate::{Error, ErrorKind, Result};

/// Life of a token that does not say; CNCF Distribution's *token authentication* makes it 60 seconds.
const DEFAULT_LIFE: Duration = Duration::from_secs(60);
/// No token is kept longer, whatever it says.
const LONGEST_LIFE: Duration = Duration::from_secs(24 * 3600);
/// Tokens are renewed this much early: requests take time and clocks differ.
const SKEW: Duration = Duration::from_secs(10);
/// A token that says it is as good as over still serves the request it was fetched for.
const SHORTEST_LIFE: Duration = Duration::from_secs(5);
/// Tokens that are kept before expired ones are dropped.
const SWEEP: usize = 1024;

/// Whose token, from whom, for what.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct TokenKey {
    pub(crate) realm: Url,
    pub(crate) service: Option<String>,
    pub(crate) scopes: Vec<String>,
    pub(crate) identity: String,
}

/// A token as a header.
#[derive(Clone, Debug)]
pub(crate) struct Token {
    header: HeaderValue,
    expires: Instant,
    /// A new identity token, where the service gave one along.
    pub(crate) refresh: Option<Secret>,
}

impl Token {
    /// Reads a token service's answer.
    pub(crate) fn parse(body: &Bytes, now: Timestamp) -> Result<Self> {
        #[derive(Deserialize)]
        struct Answer {
            token: Option<String>,
            access_token: Option<String>,
            expires_in: Option<f64>,
            issued_at: Option<String>,
            refresh_token: Option<String>,
        }
        let bad = |why: &str| Error::new(ErrorKind::Malformed, format!("read the token: {why}"));
        let answer: Answer = serde_json::from_slice(body).map_err(|_| bad("the answer is not a token service's"))?;
        let filled = |text: Option<String>| text.filter(|text| !text.is_empty());
        let token =
            filled(answer.token).or_else(|| filled(answer.access_token)).ok_or_else(|| bad("the answer holds none"))?;
        let life = match answer.expires_in {
            Some(seconds) if seconds.is_finite() && seconds >= 1.0 => {
                Duration::try_from_secs_f64(seconds).unwrap_or(LONGEST_LIFE)
            }
            _ => DEFAULT_LIFE,
        };
        // A service whose clock is ahead must not make a token live longer.
        let age = answer
            .issued_at
            .and_then(|text| text.parse::<Timestamp>().ok())
            .map_or(Duration::ZERO, |issued| Duration::try_from(now.duration_since(issued)).unwrap_or_default());
        let mut left = life.min(LONGEST_LIFE).saturating_sub(age);
        if let Some(expiry) = jwt_expiry(&token) {
            let seconds = expiry.saturating_sub(now.as_second());
            left = if answer.expires_in.is_some() { left } else { LONGEST_LIFE }
                .min(Duration::from_secs(u64::try_from(seconds).unwrap_or_default()));
        }
        Ok(Self {
            header: bearer_header(&token)?,
            expires: Instant::now() + left.saturating_sub(SKEW).max(SHORTEST_LIFE),
            refresh: filled(answer.refresh_token).map(Secret::from),
        })
    }

    pub(crate) fn header(&self) -> &HeaderValue {
        &self.header
    }

    fn is_fresh(&self) -> bool {
        Instant::now() < self.expires
    }
}

/// `Bearer TOKEN`. Refuses what would break out of the header.
pub(crate) fn bearer_header(token: &str) -> Result<HeaderValue> {
    sensitive(&format!("Bearer {token}"))
}

/// `Basic …` of a user and a password.
pub(crate) fn basic_header(username: &str, password: &Secret) -> Result<HeaderValue> {
    let pair = format!("{username}:{}", password.expose());
    sensitive(&format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(pair)))
}

fn sensitive(text: &str) -> Result<HeaderValue> {
    // from_str lets tabs and obs-text pass; a token has neither.
    let mut value = match HeaderValue::from_str(text) {
        Ok(value) if text.bytes().all(|b| (b' '..=b'~').contains(&b)) => value,
        _ => {
            return Err(Error::new(
                ErrorKind::Malformed,
                "use a credential: it holds characters that no header can carry",
            ));
        }
    };
    value.set_sensitive(true);
    Ok(value)
}

/// The `exp` claim of a JSON Web Token, unverified: it only says when to ask again.
pub(crate) fn jwt_expiry(token: &str) -> Option<i64> {
    #[derive(Deserialize)]
    struct Claims {
        exp: f64,
    }
    // Out-of-range floats saturate, which is what is wanted.
    jwt_claims(token).map(|claims: Claims| claims.exp as i64)
}

/// The claims of a JSON Web Token, unverified.
pub(crate) fn jwt_claims<T: DeserializeOwned>(token: &str) -> Option<T> {
    let mut parts = token.split('.');
    let (_, payload, _) = (parts.next()?, parts.next()?, parts.next()?);
    let payload = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(payload.trim_end_matches('=')).ok()?;
    serde_json::from_slice(&payload).ok()
}

/// Tokens by key. One caller fetches, the others wait for it.
#[derive(Debug, Default)]
pub(crate) struct TokenCache {
    slots: Mutex<HashMap<TokenKey, Slot>>,
}

type Slot = Arc<tokio::sync::Mutex<Option<Token>>>;

impl TokenCache {
    /// The token for `key`; `fetch` is run if there is none that is still good.
    pub(crate) async fn get(&self, key: TokenKey, fetch: impl Future<Output = Result<Token>>) -> Result<Token> {
        let slot = self.slot(key);
        let mut held = slot.lock().await;
        if let Some(token) = held.as_ref().filter(|token| token.is_fresh()) {
            return Ok(token.clone());
        }
        let token = fetch.await?;
        *held = Some(token.clone());
        Ok(token)
    }

    /// Forgets the token for `key` if it is still the one that was sent: another caller may have renewed it.
    pub(crate) async fn forget(&self, key: TokenKey, sent: &HeaderValue) {
        let slot = self.slot(key);
        let mut held = slot.lock().await;
        if held.as_ref().is_some_and(|token| token.header() == sent) {
            *held = None;
        }
    }

    fn slot(&self, key: TokenKey) -> Slot {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        if slots.len() >= SWEEP {
            slots.retain(|_, slot| {
                Arc::strong_count(slot) > 1
                    || slot.try_lock().is_ok_and(|held| held.as_ref().is_some_and(Token::is_fresh))
            });
        }
        Arc::clone(slots.entry(key).or_default())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    fn now() -> Timestamp {
        "2026-01-01T00:00:00Z".parse().unwrap()
    }

    fn life(json: &str) -> u64 {
        let token = Token::parse(&Bytes::from(json.to_owned()), now()).unwrap();
        token.expires.duration_since(Instant::now()).as_secs()
    }

    fn jwt(exp: &str) -> String {
        let encode = |text: &str| base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(text);
        format!("{}.{}.x", encode("{}"), encode(&format!("{{\"exp\":{exp}}}")))
    }

    #[tokio::test(start_paused = true)]
    async fn lives() {
        assert_eq!(life(r#"{"token":"a"}"#), 50);
        assert_eq!(life(r#"{"access_token":"a","expires_in":300}"#), 290);
        assert_eq!(life(r#"{"token":"a","expires_in":0}"#), 50);
        assert_eq!(life(r#"{"token":"a","expires_in":-7}"#), 50);
        assert_eq!(life(r#"{"token":"a","expires_in":1e300}"#), 24 * 3600 - 10);
        assert_eq!(life(r#"{"token":"a","expires_in":300,"issued_at":"2025-12-31T23:58:00Z"}"#), 170);
        assert_eq!(life(r#"{"token":"a","expires_in":300,"issued_at":"2030-01-01T00:00:00Z"}"#), 290);
        let seconds = now().as_second();
        assert_eq!(life(&format!(r#"{{"access_token":"{}"}}"#, jwt(&(seconds + 4500).to_string()))), 4490);
        assert_eq!(life(&format!(r#"{{"token":"{}","expires_in":300}}"#, jwt(&(seconds + 100).to_string()))), 90);
        assert_eq!(life(&format!(r#"{{"token":"{}"}}"#, jwt("1"))), 5);
        assert_eq!(life(&format!(r#"{{"token":"{}"}}"#, jwt("1e99"))), 24 * 3600 - 10);
    }

    #[test]
    fn answers_that_are_none() {
        for json in
            ["", "<html>login</html>", "[]", "{}", r#"{"token":""}"#, r#"{"token":"a\r\nX: y"}"#, r#"{"token":"ä"}"#]
        {
            let error = Token::parse(&Bytes::from(json), now()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Malformed, "{json}");
        }
    }

    #[tokio::test]
    async fn one_caller_fetches() {
        let cache = TokenCache::default();
        let fetches = AtomicUsize::new(0);
        let key = TokenKey {
            realm: Url::parse("https://a.test/token").unwrap(),
            service: None,
            scopes: vec!["repository:a:pull".into()],
            identity: String::new(),
        };
        let get = || {
            cache.get(key.clone(), async {
                fetches.fetch_add(1, Ordering::Relaxed);
                tokio::task::yield_now().await;
                Token::parse(&Bytes::from(r#"{"token":"a"}"#), now())
            })
        };
        let tokens = futures_util::future::join_all((0..10).map(|_| get())).await;
        assert!(tokens.iter().all(Result::is_ok));
        assert_eq!(fetches.load(Ordering::Relaxed), 1);
        cache.forget(key.clone(), &bearer_header("another").unwrap()).await;
        get().await.unwrap();
        assert_eq!(fetches.load(Ordering::Relaxed), 1);
        cache.forget(key.clone(), &bearer_header("a").unwrap()).await;
        get().await.unwrap();
        assert_eq!(fetches.load(Ordering::Relaxed), 2);
    }
}
