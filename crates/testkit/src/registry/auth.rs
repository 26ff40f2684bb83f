//! Who may do what: Basic, or Bearer tokens from this server's own `/token`
//! (distribution.github.io/distribution/spec/auth).

use std::collections::{BTreeSet, HashMap};
use std::time::Instant;

use axum::response::Response;
use bytes::Bytes;
use http::request::Parts;
use http::{Method, StatusCode, header};
use serde_json::json;

use super::options::Scheme;
use super::refusal::{Refusal, json_response};
use super::route::Route;
use super::{Shared, lock, query};
use crate::Credentials;

/// The path of the token service.
pub(super) const TOKEN_PATH: &str = "/token";
/// The name that the server has towards its token service.
const SERVICE: &str = "supercargo-testkit";

/// What was given out, and for whom.
#[derive(Debug, Default)]
pub(super) struct Tokens {
    /// The user that is let in; it can be changed while the server runs.
    pub(super) credentials: Option<Credentials>,
    access: HashMap<String, Grant>,
    refresh: BTreeSet<String>,
    given: u64,
}

#[derive(Debug)]
struct Grant {
    scopes: BTreeSet<String>,
    expires: Instant,
}

impl Grant {
    /// Whether every action of `scope` was granted, by its name or by `*`, which skopeo asks for.
    fn covers(&self, scope: &str) -> bool {
        let resource = scope.rsplit_once(':').map_or(scope, |(resource, _)| resource);
        self.scopes.contains(&format!("{resource}:*"))
            || single_scopes(scope).all(|single| self.scopes.contains(&single))
    }
}

impl Tokens {
    pub(super) fn new(credentials: Option<Credentials>) -> Self {
        Self { credentials, ..Self::default() }
    }

    /// Makes every token invalid.
    pub(super) fn expire(&mut self) {
        self.access.clear();
    }

    fn admits(&self, parts: &Parts) -> bool {
        let value = parts.headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        self.credentials.as_ref().is_some_and(|credentials| value == Some(&credentials.basic()))
    }

    fn name(&mut self, kind: &str) -> String {
        self.given += 1;
        format!("kit-{kind}-{:016x}", self.given)
    }
}

/// Lets a request pass or says what it lacks.
pub(super) fn authorize(shared: &Shared, route: &Route, parts: &Parts) -> Result<(), Refusal> {
    if let Some(repository) = route.repository()
        && lock(&shared.faults).denied.contains(repository)
    {
        return Err(Refusal::new(StatusCode::FORBIDDEN, "DENIED", format!("access to {repository} is denied")));
    }
    let tokens = lock(&shared.tokens);
    let refusal = || Refusal::new(StatusCode::UNAUTHORIZED, "UNAUTHORIZED", "authentication required");
    match shared.options.scheme {
        Scheme::Open => Ok(()),
        Scheme::Basic if tokens.admits(parts) => Ok(()),
        Scheme::Basic => Err(refusal().with_header(header::WWW_AUTHENTICATE, "Basic realm=\"testkit\"")),
        Scheme::Token => {
            let scope = needed_scope(route, &parts.method);
            let token =
                parts.headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
            let grant = token.and_then(|token| tokens.access.get(token)).filter(|grant| grant.expires > Instant::now());
            let missing = match (&grant, &scope) {
                (Some(grant), Some(scope)) => !grant.covers(scope),
                (Some(_), None) => false,
                (None, _) => true,
            };
            if !missing {
                return Ok(());
            }
            let mut challenge = format!("Bearer realm=\"http://{}{TOKEN_PATH}\",service=\"{SERVICE}\"", shared.host());
            if let Some(scope) = scope {
                challenge.push_str(&format!(",scope=\"{scope}\""));
            }
            match (grant, token) {
                (Some(_), _) => challenge.push_str(",error=\"insufficient_scope\""),
                (None, Some(_)) => challenge.push_str(",error=\"invalid_token\""),
                (None, None) => {}
            }
            Err(refusal().with_header(header::WWW_AUTHENTICATE, challenge))
        }
    }
}

fn needed_scope(route: &Route, method: &Method) -> Option<String> {
    if *route == Route::Catalog {
        return Some("registry:catalog:*".into());
    }
    let actions = match *method {
        Method::GET | Method::HEAD => "pull",
        Method::DELETE => "delete",
        _ => "pull,push",
    };
    route.repository().map(|repository| format!("repository:{repository}:{actions}"))
}

/// `repository:a:pull,push` as `repository:a:pull` and `repository:a:push`.
fn single_scopes(scope: &str) -> impl Iterator<Item = String> {
    let (resource, actions) = scope.rsplit_once(':').unwrap_or((scope, ""));
    actions.split(',').map(move |action| format!("{resource}:{action}"))
}

/// The token service: `GET` with Basic, `POST` with a password or a refresh token.
pub(super) fn token(shared: &Shared, parts: &Parts, body: &Bytes) -> Result<Response, Refusal> {
    if shared.options.scheme != Scheme::Token {
        return Err(Refusal::new(StatusCode::NOT_FOUND, "UNSUPPORTED", "there is no token service"));
    }
    let text = match parts.method {
        Method::GET => parts.uri.query().unwrap_or_default().to_owned(),
        Method::POST => String::from_utf8_lossy(body).into_owned(),
        _ => return Err(Refusal::unsupported("this method")),
    };
    let pairs = query::parse(&text);
    let value = |name: &str| query::value(&pairs, name);
    let mut tokens = lock(&shared.tokens);
    let known = match value("grant_type") {
        Some("refresh_token") => value("refresh_token").is_some_and(|token| tokens.refresh.contains(token)),
        Some("password") => {
            let given = Credentials::new(value("username").unwrap_or_default(), value("password").unwrap_or_default());
            tokens.credentials.as_ref() == Some(&given)
        }
        _ => tokens.admits(parts),
    };
    let anonymous = shared.options.anonymous_pull && !parts.headers.contains_key(header::AUTHORIZATION);
    if !known && !anonymous {
        return Err(Refusal::new(StatusCode::UNAUTHORIZED, "UNAUTHORIZED", "incorrect username or password"));
    }
    let scopes = pairs
        .iter()
        .filter(|(name, _)| name == "scope")
        .flat_map(|(_, scopes)| scopes.split(' '))
        .flat_map(single_scopes)
        // Docker's own service gives less than was asked rather than an error.
        .filter(|scope| known || scope.ends_with(":pull"))
        .collect();
    let token = tokens.name("access");
    let lifetime = shared.options.token_lifetime;
    tokens.access.insert(token.clone(), Grant { scopes, expires: Instant::now() + lifetime });
    let mut answer = json!({
        "token": token,
        "access_token": token,
        "expires_in": lifetime.as_secs(),
        "issued_at": jiff::Timestamp::now().to_string(),
    });
    if known && (value("offline_token") == Some("true") || value("access_type") == Some("offline")) {
        let refresh = tokens.name("refresh");
        tokens.refresh.insert(refresh.clone());
        answer["refresh_token"] = json!(refresh);
    }
    Ok(json_response(StatusCode::OK, &answer))
}
