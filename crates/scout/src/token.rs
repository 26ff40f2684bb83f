//! Access tokens: exchanged for the credentials, renewed before they expire, by one request however many need one.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::HeaderValue;
use jiff::Timestamp;
use serde::Deserialize;
use tokio::sync::Mutex;
use tokio::time::Instant;
use tracing::debug;
use url::Url;

use crate::http::{Call, Http};
use crate::{Credential, CredentialSource, Error, ErrorKind, Result, Secret};

/// How long an access token lasts if it does not say so itself (Docker Hub API reference, `AuthCreateTokenResponse`:
/// "This expires in 10 minutes").
const LIFETIME: Duration = Duration::from_secs(600);
/// A token that claims more than this is renewed daily nevertheless.
const LONGEST: Duration = Duration::from_secs(24 * 3600);
/// How long before its end a token is renewed, or a fifth of its life if that is less: the time that a large request may
/// be on its way.
const MARGIN: Duration = Duration::from_secs(60);
/// How long credentials that were refused are not tried again. Docker Hub locks accounts out that keep trying.
const REFUSED: Duration = Duration::from_secs(60);

/// A token as it is sent.
#[derive(Clone, Debug)]
pub(crate) struct Token {
    pub(crate) header: HeaderValue,
    renew_at: Instant,
    expires_at: Instant,
}

#[derive(Debug)]
pub(crate) struct Tokens {
    source: Arc<dyn CredentialSource>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    token: Option<Token>,
    refused: Option<(Credential, Instant)>,
}

/// What an exchange needs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Exchange<'a> {
    pub(crate) http: &'a Http,
    pub(crate) url: &'a Url,
}

impl Tokens {
    pub(crate) fn new(source: Arc<dyn CredentialSource>) -> Self {
        Self { source, state: Mutex::default() }
    }

    /// The long-lived secret of the credentials.
    pub(crate) async fn secret(&self) -> Result<Secret> {
        Ok(self.source.credential().await?.secret().clone())
    }

    /// A token that is good for a while.
    pub(crate) async fn current(&self, exchange: Exchange<'_>) -> Result<Token> {
        // The lock is held while the exchange runs: many callers start at once, and one exchange is enough.
        let mut state = self.state.lock().await;
        let known = state.token.clone();
        if let Some(token) = known.as_ref().filter(|token| Instant::now() < token.renew_at) {
            return Ok(token.clone());
        }
        let error = match self.exchange(&mut state, exchange).await {
            // Credentials that are no good any more are told at once.
            Err(error) if error.kind() != ErrorKind::Unauthorized => error,
            other => return other,
        };
        // It is renewed ahead of time; a sign-in that is down for a minute need not be noticed.
        let now = Instant::now();
        let Some(mut token) = known.filter(|token| now < token.expires_at) else { return Err(error) };
        debug!(%error, "the access token could not be renewed yet");
        // Those who come meanwhile need not all find out by themselves.
        token.renew_at = now + (token.expires_at - now) / 4;
        state.token = Some(token.clone());
        Ok(token)
    }

    /// Another token than `rejected`; `None` if there is no other to be had.
    pub(crate) async fn replaced(&self, rejected: &Token, exchange: Exchange<'_>) -> Result<Option<Token>> {
        let mut state = self.state.lock().await;
        // Somebody else may have replaced it meanwhile.
        if let Some(token) = state.token.as_ref().filter(|token| token.header != rejected.header) {
            return Ok(Some(token.clone()));
        }
        state.token = None;
        let token = self.exchange(&mut state, exchange).await?;
        // A token that was given stays what it is, unless its owner has put another in its place.
        Ok((token.header != rejected.header).then_some(token))
    }

    async fn exchange(&self, state: &mut State, exchange: Exchange<'_>) -> Result<Token> {
        let credential = self.source.credential().await?;
        let (identifier, secret) = match &credential {
            Credential::Bearer { token } => {
                let renew_at = Instant::now() + LIFETIME;
                let header = bearer(token)?;
                // It is looked at again now and then: whoever renews it puts the new one in the same place.
                let token = Token { header, renew_at, expires_at: renew_at };
                state.token = Some(token.clone());
                return Ok(token);
            }
            Credential::Login { identifier, secret } => (identifier, secret),
        };
        let recently = |at: &Instant| at.elapsed() < REFUSED;
        if state.refused.as_ref().is_some_and(|(known, at)| *known == credential && recently(at)) {
            return Err(unauthorized(identifier).during("sign in (not tried again yet)"));
        }
        match ask(exchange, identifier, secret).await {
            Ok(token) => {
                *state = State { token: Some(token.clone()), refused: None };
                Ok(token)
            }
            Err(error) => {
                if error.kind() == ErrorKind::Unauthorized {
                    *state = State { token: None, refused: Some((credential, Instant::now())) };
                }
                Err(error)
            }
        }
    }
}

#[derive(Deserialize)]
struct TokenAnswer {
    access_token: String,
}

async fn ask(Exchange { http, url }: Exchange<'_>, identifier: &str, secret: &Secret) -> Result<Token> {
    let body = serde_json::json!({"identifier": identifier, "secret": secret.expose()}).to_string();
    let call = Call { cap: 64 << 10, ..Call::post_json("sign in", url, body) };
    let answer = http.send(&call, None).await?;
    if answer.status == http::StatusCode::UNAUTHORIZED {
        return Err(unauthorized(identifier).with_source(answer.into_error()).during("sign in"));
    }
    if !answer.status.is_success() {
        return Err(answer.into_error().during("sign in"));
    }
    let malformed = || Error::new(ErrorKind::Malformed, "sign in: the answer has no access token");
    // The cause is left out: it would quote the answer.
    let TokenAnswer { access_token } = serde_json::from_slice(&answer.body).map_err(|_| malformed())?;
    if access_token.is_empty() {
        return Err(malformed());
    }
    let lifetime = lifetime(&access_token).unwrap_or(LIFETIME).min(LONGEST);
    let now = Instant::now();
    Ok(Token {
        header: bearer(&access_token.into())?,
        renew_at: now + lifetime.saturating_sub(MARGIN.min(lifetime / 5)),
        expires_at: now + lifetime,
    })
}

fn unauthorized(identifier: &str) -> Error {
    Error::new(ErrorKind::Unauthorized, format!("Docker Hub does not accept the secret of {identifier}")).with_hint(
        "a personal access token goes with its user's name, an organization access token with the organization's",
    )
}

fn bearer(token: &Secret) -> Result<HeaderValue> {
    let mut value = HeaderValue::from_str(&format!("Bearer {}", token.expose()))
        .map_err(|_| Error::new(ErrorKind::Credential, "use the token: it has characters that no header may have"))?;
    value.set_sensitive(true);
    Ok(value)
}

/// How long a JSON web token lasts by its own word. Between two of its times, so that a wrong clock here does not matter.
fn lifetime(token: &str) -> Option<Duration> {
    #[derive(Deserialize)]
    struct Claims {
        exp: i64,
        iat: Option<i64>,
    }
    let claims = URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?;
    let Claims { exp, iat } = serde_json::from_slice(&claims).ok()?;
    let begin = iat.unwrap_or_else(|| Timestamp::now().as_second());
    u64::try_from(exp.checked_sub(begin)?).ok().map(Duration::from_secs)
}

/// The header that carries `secret` as it is.
pub(crate) fn raw_header(secret: &Secret) -> Result<HeaderValue> {
    bearer(secret)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tokens_life_is_read_from_it() {
        let token = |claims: &str| format!("eyJh.{}.c2ln", URL_SAFE_NO_PAD.encode(claims));
        let check = |token: String, expected: Option<u64>| {
            assert_eq!(lifetime(&token), expected.map(Duration::from_secs), "{token}");
        };
        check(token(r#"{"iat":1000,"exp":1600}"#), Some(600));
        check(token(r#"{"iat":1600,"exp":1000}"#), None);
        check(token(r#"{"sub":"x"}"#), None);
        check("opaque".to_owned(), None);
        check("a.%%%.c".to_owned(), None);
        // Example of the Docker Hub API reference, which says nothing of its end.
        check("eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIiwibmFtZSI6IkpvaG4gRG9lIiwiaWF0IjoxNTE2MjM5MDIyfQ.x".to_owned(), None);
    }
}
