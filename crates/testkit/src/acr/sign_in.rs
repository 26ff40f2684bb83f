//! `/oauth2/exchange`, `/oauth2/token`, and who a request is from.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::request::Parts;
use http::{Method, StatusCode, header};
use serde_json::json;

use super::access::Access;
use super::entra::seconds;
use super::jwt;
use super::server::Shared;
use crate::registry::{Refusal, json_response, lock, parse, value};

/// The user that stands for a refresh token as the password.
const NULL_USER: &str = "00000000-0000-0000-0000-000000000000";
const ACCESS_LIFE: Duration = Duration::from_secs(75 * 60);
const REFRESH_LIFE: Duration = Duration::from_secs(3 * 3600);

/// Somebody who is known.
#[derive(Debug, Clone)]
pub(super) struct Principal {
    /// For tokens of the registry's own.
    pub(super) password: Option<String>,
    pub(super) access: Access,
}

/// What was given out.
#[derive(Debug, Default)]
pub(super) struct Tokens {
    pub(super) access: HashMap<String, Grant>,
    pub(super) refresh: HashMap<String, (String, Instant)>,
    count: u64,
}

/// What an access token is good for.
#[derive(Debug, Clone)]
pub(super) struct Grant {
    /// `type:name:action`.
    scopes: Vec<String>,
    /// Whose it is; nobody's if everybody may pull.
    pub(super) holder: Option<String>,
    end: Instant,
}

/// Who a request is from.
pub(super) enum Caller {
    Nobody,
    /// The holder of a token, and what it grants.
    Token(Grant),
    /// A token of the registry's own, by its name and password.
    Named(String),
    /// Somebody whose token or password is not good.
    Refused,
}

impl Shared {
    pub(super) fn give_refresh(&self, name: &str) -> String {
        let life = self.options.refresh_life.unwrap_or(REFRESH_LIFE);
        let mut tokens = lock(&self.tokens);
        let token = jwt::make(&self.claims(
            &mut tokens,
            name,
            life,
            "refresh_token",
            &json!({
                "permissions": {"actions": ["read"], "notActions": []},
            }),
        ));
        tokens.refresh.insert(token.clone(), (name.to_owned(), Instant::now() + life));
        token
    }

    fn give_access(&self, holder: Option<&str>, access: &Access, scopes: &[String]) -> String {
        let life = self.options.access_life.unwrap_or(ACCESS_LIFE);
        let granted: Vec<_> = scopes.iter().filter_map(|scope| access.grant(scope)).collect();
        let listed: Vec<_> = granted
            .iter()
            .filter(|(_, _, actions)| !actions.is_empty())
            .map(|(kind, name, actions)| json!({"type": kind, "name": name, "actions": actions}))
            .collect();
        let mut tokens = lock(&self.tokens);
        let extra = json!({ "access": listed });
        let token = jwt::make(&self.claims(&mut tokens, holder.unwrap_or("anonymous"), life, "access_token", &extra));
        let scopes = granted
            .iter()
            .flat_map(|(kind, name, actions)| actions.iter().map(move |action| format!("{kind}:{name}:{action}")))
            .collect();
        let grant = Grant { scopes, holder: holder.map(str::to_owned), end: Instant::now() + life };
        tokens.access.insert(token.clone(), grant);
        token
    }

    /// The claim sets of `docs/AAD-OAuth.md`.
    fn claims(
        &self,
        tokens: &mut Tokens,
        subject: &str,
        life: Duration,
        grant: &str,
        extra: &serde_json::Value,
    ) -> serde_json::Value {
        tokens.count += 1;
        let now = seconds();
        let mut claims = json!({
            "jti": format!("365e3b5b-844e-4a21-a38c-{:012x}", tokens.count),
            "sub": subject, "nbf": now, "exp": now + life.as_secs(), "iat": now,
            "iss": "Azure Container Registry", "aud": self.name(), "version": "1.0", "grant_type": grant, "roles": [],
        });
        if let (Some(claims), Some(extra)) = (claims.as_object_mut(), extra.as_object()) {
            claims.extend(extra.clone());
        }
        claims
    }

    fn access_of(&self, name: &str) -> Option<Access> {
        lock(&self.principals).get(name).map(|principal| principal.access.clone())
    }

    fn is_password(&self, name: &str, password: &str) -> bool {
        lock(&self.principals).get(name).is_some_and(|known| known.password.as_deref() == Some(password))
    }

    fn holder_of(&self, refresh: &str) -> Option<String> {
        let tokens = lock(&self.tokens);
        tokens.refresh.get(refresh).filter(|(_, end)| *end > Instant::now()).map(|(holder, _)| holder.clone())
    }

    pub(super) fn caller(&self, parts: &Parts) -> Caller {
        let Some(header) = parts.headers.get(header::AUTHORIZATION) else { return Caller::Nobody };
        let text = header.to_str().unwrap_or_default();
        if let Some(token) = text.strip_prefix("Bearer ") {
            let grant = lock(&self.tokens).access.get(token).cloned();
            return grant.filter(|grant| grant.end > Instant::now()).map_or(Caller::Refused, Caller::Token);
        }
        match basic(text) {
            Some((user, password)) if self.is_password(&user, &password) => Caller::Named(user),
            _ => Caller::Refused,
        }
    }

    /// Whether `caller` may do `action` to what `resource` (`repository:NAME`, `registry:catalog`) names.
    pub(super) fn may(&self, caller: &Caller, resource: &str, action: &str) -> bool {
        match caller {
            Caller::Nobody | Caller::Refused => false,
            Caller::Token(grant) => grant.scopes.contains(&format!("{resource}:{action}")),
            Caller::Named(name) => self
                .access_of(name)
                .and_then(|access| access.grant(&format!("{resource}:{action}")))
                .is_some_and(|(_, _, actions)| !actions.is_empty()),
        }
    }

    /// What the holder of this request may do.
    pub(super) fn access(&self, caller: &Caller) -> Option<Access> {
        match caller {
            Caller::Named(name) => self.access_of(name),
            Caller::Token(Grant { holder: Some(name), .. }) => self.access_of(name),
            Caller::Token(_) => self.options.anonymous.clone(),
            Caller::Nobody | Caller::Refused => None,
        }
    }
}

fn basic(header: &str) -> Option<(String, String)> {
    let decoded = STANDARD.decode(header.strip_prefix("Basic ")?).ok()?;
    let text = String::from_utf8(decoded).ok()?;
    let (user, password) = text.split_once(':')?;
    Some((user.to_owned(), password.to_owned()))
}

fn unauthorized() -> Refusal {
    Refusal::new(
        StatusCode::UNAUTHORIZED,
        "UNAUTHORIZED",
        "authentication required, visit https://aka.ms/acr/authorization for more information.",
    )
}

/// `POST /oauth2/exchange`.
pub(super) fn exchange(shared: &Shared, parts: &Parts, body: &str) -> Result<Response, Refusal> {
    let bad = |what: &str| Refusal::new(StatusCode::BAD_REQUEST, "INVALID", format!("{what} is not valid"));
    if parts.method != Method::POST {
        return Err(Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "UNSUPPORTED", "only POST"));
    }
    let pairs = parse(body);
    let field = |name: &str| value(&pairs, name).unwrap_or_default();
    if field("grant_type") != "access_token" {
        return Err(bad("grant_type"));
    }
    if field("service") != shared.name() {
        return Err(bad("service"));
    }
    let directory = shared.options.directory.as_ref().ok_or_else(unauthorized)?;
    let given = lock(directory).token(field("access_token")).ok_or_else(unauthorized)?;
    let tenant = jwt::claims(field("access_token"))["tid"].as_str().unwrap_or_default().to_owned();
    let right_tenant = field("tenant").is_empty() || field("tenant") == tenant;
    // An identity without a role is not told from one of another tenant.
    if !right_tenant
        || !shared.options.audiences.contains(&given.audience)
        || shared.access_of(&given.client_id).is_none()
    {
        return Err(unauthorized());
    }
    Ok(json_response(StatusCode::OK, &json!({ "refresh_token": shared.give_refresh(&given.client_id) })))
}

/// `GET /oauth2/token` with Basic or with nothing; `POST` with a refresh token or a password.
pub(super) fn token(shared: &Shared, parts: &Parts, body: &str) -> Result<Response, Refusal> {
    let text = if parts.method == Method::POST { body } else { parts.uri.query().unwrap_or_default() };
    let pairs = parse(text);
    let field = |name: &str| value(&pairs, name).unwrap_or_default();
    if field("service") != shared.name() {
        return Err(Refusal::new(StatusCode::BAD_REQUEST, "INVALID", "service is not valid"));
    }
    let header = parts.headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let holder = match (&parts.method, field("grant_type"), header) {
        (&Method::POST, "refresh_token", _) => Some(shared.holder_of(field("refresh_token")).ok_or_else(unauthorized)?),
        (&Method::POST, "password", _) => Some(named(shared, field("username"), field("password"))?),
        (&Method::GET, _, Some(header)) => {
            let (user, password) = basic(header).ok_or_else(unauthorized)?;
            Some(named(shared, &user, &password)?)
        }
        (&Method::GET, _, None) if shared.options.anonymous.is_some() => None,
        _ => return Err(unauthorized()),
    };
    let access = match &holder {
        Some(holder) => shared.access_of(holder),
        None => shared.options.anonymous.clone(),
    };
    let scopes: Vec<String> = pairs
        .iter()
        .filter(|(name, _)| name == "scope")
        .flat_map(|(_, scopes)| scopes.split(' '))
        .map(str::to_owned)
        .collect();
    if shared.options.abac && scopes.iter().any(|scope| scope.starts_with("repository:*")) {
        return Err(unauthorized());
    }
    let access = access.ok_or_else(unauthorized)?;
    // There is no `expires_in`, and it is not called `token`.
    Ok(json_response(
        StatusCode::OK,
        &json!({ "access_token": shared.give_access(holder.as_deref(), &access, &scopes) }),
    ))
}

fn named(shared: &Shared, user: &str, password: &str) -> Result<String, Refusal> {
    if user == NULL_USER {
        return shared.holder_of(password).ok_or_else(unauthorized);
    }
    if shared.is_password(user, password) { Ok(user.to_owned()) } else { Err(unauthorized()) }
}
