//! Sign-in: a secret for a token, as Docker Hub does it (its API reference, `POST /v2/auth/token`).

use std::collections::HashMap;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::request::Parts;
use http::{StatusCode, header};
use serde::Deserialize;
use serde_json::{Value, json};

use super::dispatch::Refusal;
use super::{Shared, lock};

/// What was given out.
#[derive(Debug, Default)]
pub(super) struct Tokens {
    access: HashMap<String, Instant>,
    given: u64,
}

impl Tokens {
    /// Makes every token invalid.
    pub(super) fn expire(&mut self) {
        self.access.clear();
    }

    fn give(&mut self, identifier: &str, lifetime: Duration) -> String {
        self.given += 1;
        let issued = jiff::Timestamp::now().as_second();
        let claims = json!({
            "sub": identifier,
            "iat": issued,
            "exp": issued.saturating_add_unsigned(lifetime.as_secs()),
            "jti": self.given,
        });
        let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let token = format!("{}.{}.kit", encode(&json!({"alg": "none", "typ": "JWT"})), encode(&claims));
        self.access.insert(token.clone(), Instant::now() + lifetime);
        token
    }
}

#[derive(Deserialize)]
struct Login {
    identifier: String,
    secret: String,
}

pub(super) fn token(shared: &Shared, body: &[u8]) -> Result<Value, Refusal> {
    let Login { identifier, secret } =
        serde_json::from_slice(body).map_err(|error| Refusal::new(StatusCode::BAD_REQUEST, error.to_string()))?;
    let is_let_in = match &shared.options.credentials {
        Some(known) => *known == crate::Credentials::new(&identifier, &secret),
        None => !identifier.is_empty() && !secret.is_empty(),
    };
    if !is_let_in {
        return Err(Refusal::new(StatusCode::UNAUTHORIZED, "Incorrect authentication credentials"));
    }
    Ok(json!({"access_token": lock(&shared.tokens).give(&identifier, shared.options.token_lifetime)}))
}

/// Lets a request with an access token pass.
pub(super) fn authorize(shared: &Shared, parts: &Parts) -> Result<(), Refusal> {
    let tokens = lock(&shared.tokens);
    let expires = bearer(parts).and_then(|token| tokens.access.get(token));
    if expires.is_some_and(|expires| *expires > Instant::now()) {
        return Ok(());
    }
    Err(Refusal::new(StatusCode::UNAUTHORIZED, "the token is not valid, or no more"))
}

/// Lets a request with the secret itself pass: the metrics exporter wants it so.
pub(super) fn authorize_secret(shared: &Shared, parts: &Parts) -> Result<(), Refusal> {
    let given = bearer(parts).unwrap_or_default();
    let is_secret = match &shared.options.credentials {
        Some(known) => known.has_password(given),
        // What was exchanged for a secret is none.
        None => !given.is_empty() && given.split('.').count() != 3,
    };
    if is_secret { Ok(()) } else { Err(Refusal::new(StatusCode::UNAUTHORIZED, "this is not a personal access token")) }
}

fn bearer(parts: &Parts) -> Option<&str> {
    parts.headers.get(header::AUTHORIZATION)?.to_str().ok()?.strip_prefix("Bearer ")
}
