//! Who may read.
//!
//! What is in the images of a company is nobody else's business, so reading needs a token as soon as anyone but
//! this machine can connect. Deliveries have their own secrets and are not concerned.

use std::net::{IpAddr, SocketAddr};

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, Method, StatusCode, header};
use supercargo_engine::events::Secret;

use crate::problem::Problem;
use crate::state::Shared;

/// Who may use the routes that read.
#[derive(Clone, Debug)]
pub enum Access {
    /// Whoever has the token.
    Token(Secret),
    /// Programs on this machine.
    Loopback,
    /// Everyone who can connect.
    Open,
    /// Nobody: others can connect, and there is no token.
    Closed,
}

impl Access {
    /// What a server at `address` grants. A token is asked for wherever there is one; without one, only a
    /// loopback address may be read from, unless `open` says that everyone may.
    pub fn choose(address: SocketAddr, token: Option<Secret>, open: Openness) -> Self {
        match (token, open) {
            (Some(token), _) => Self::Token(token),
            (None, Openness::Everyone) => Self::Open,
            (None, Openness::Careful) if address.ip().to_canonical().is_loopback() => Self::Loopback,
            (None, Openness::Careful) => Self::Closed,
        }
    }

    /// Whether a request with these headers may read.
    pub(crate) fn check(&self, method: &Method, headers: &HeaderMap) -> Result<(), Problem> {
        match self {
            Self::Token(token) => match bearer(headers) {
                Some(given) if token.matches(given) => Ok(()),
                Some(_) => Err(Problem::new(StatusCode::UNAUTHORIZED, "the token is not the server's")),
                None => Err(Problem::new(StatusCode::UNAUTHORIZED, "send the token: Authorization: Bearer …")),
            },
            Self::Loopback => check_same_machine(method, headers),
            Self::Open => Ok(()),
            Self::Closed => Err(Problem::new(
                StatusCode::FORBIDDEN,
                "this server can be reached from other machines and has no API token: set one (--api-token-file or \
                 SUPERCARGO_API_TOKEN), or let everyone read (--insecure-open-api)",
            )),
        }
    }
}

/// Whether a server without a token may be read by others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Openness {
    /// No.
    #[default]
    Careful,
    /// Yes, by everyone who can connect.
    Everyone,
}

/// Without a token, a browser on this machine is the one who could be misled: a page of a stranger can have it send
/// requests here, by a host name of its own that leads to this address (DNS rebinding) or across origins.
fn check_same_machine(method: &Method, headers: &HeaderMap) -> Result<(), Problem> {
    let text = |name| headers.get(name).and_then(|value: &http::HeaderValue| value.to_str().ok());
    if let Some(host) = text(header::HOST)
        && !is_loopback(host)
    {
        return Err(Problem::new(
            StatusCode::FORBIDDEN,
            "without an API token only requests for a loopback name are answered; behind a proxy, set a token",
        ));
    }
    if !method.is_safe()
        && let Some(origin) = text(header::ORIGIN)
        && !origin.split_once("://").is_some_and(|(_, host)| is_loopback(host))
    {
        return Err(Problem::new(StatusCode::FORBIDDEN, "a page of another origin may not change anything here"));
    }
    Ok(())
}

fn is_loopback(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    let name = name.trim_start_matches('[').trim_end_matches(']');
    name.eq_ignore_ascii_case("localhost") || name.parse::<IpAddr>().is_ok_and(|ip| ip.to_canonical().is_loopback())
}

fn bearer(headers: &HeaderMap) -> Option<&[u8]> {
    let value = headers.get(header::AUTHORIZATION)?.as_bytes();
    let (scheme, token) = value.split_at_checked("Bearer ".len())?;
    scheme.eq_ignore_ascii_case(b"Bearer ").then(|| token.trim_ascii())
}

/// Lets a request through to a route that reads, or answers why not.
pub(crate) async fn guard(State(shared): State<Shared>, request: Request, next: Next) -> Response {
    match shared.access.check(request.method(), request.headers()) {
        Ok(()) => next.run(request).await,
        Err(problem) => problem.into_response(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    #[test]
    fn what_an_address_grants() {
        let check = |address: &str, token: Option<&str>, open: Openness, expected: &str| {
            let access = Access::choose(address.parse().unwrap(), token.map(Secret::new), open);
            assert_eq!(format!("{access:?}"), expected, "{address} {token:?} {open:?}");
        };
        check("127.0.0.1:80", None, Openness::Careful, "Loopback");
        check("[::1]:80", None, Openness::Careful, "Loopback");
        check("[::ffff:127.0.0.1]:80", None, Openness::Careful, "Loopback");
        check("0.0.0.0:80", None, Openness::Careful, "Closed");
        check("10.0.0.1:80", None, Openness::Everyone, "Open");
        check("10.0.0.1:80", Some("t"), Openness::Everyone, "Token([redacted])");
        check("127.0.0.1:80", Some("t"), Openness::Careful, "Token([redacted])");
    }

    #[test]
    fn a_token_is_asked_for() {
        let access = Access::Token(Secret::new("t0ken"));
        let check = |value: Option<&str>, allowed: bool| {
            let headers = value.map_or_else(HeaderMap::new, |value| headers(&[("authorization", value)]));
            assert_eq!(access.check(&Method::GET, &headers).is_ok(), allowed, "{value:?}");
        };
        check(Some("Bearer t0ken"), true);
        check(Some("bearer  t0ken"), true);
        check(Some("t0ken"), false);
        check(Some("Bearer t0ken2"), false);
        check(Some("Bearer"), false);
        check(None, false);
    }

    #[test]
    fn loopback_means_this_machine_and_no_stranger_in_its_browser() {
        let check = |method: Method, pairs: &[(&'static str, &str)], allowed: bool| {
            assert_eq!(Access::Loopback.check(&method, &headers(pairs)).is_ok(), allowed, "{method} {pairs:?}");
        };
        check(Method::GET, &[], true);
        for host in ["localhost:8080", "127.0.0.1:1", "[::1]:8080", "127.0.0.1", "LOCALHOST"] {
            check(Method::GET, &[("host", host)], true);
        }
        for host in ["evil.example:8080", "127.0.0.1.evil.example", "localhost.evil.example"] {
            check(Method::GET, &[("host", host)], false);
        }
        check(Method::POST, &[("host", "localhost"), ("origin", "http://evil.example")], false);
        check(Method::POST, &[("host", "localhost"), ("origin", "null")], false);
        check(Method::POST, &[("host", "localhost"), ("origin", "http://localhost:8080")], true);
        assert!(Access::Closed.check(&Method::GET, &HeaderMap::new()).is_err());
        assert!(Access::Open.check(&Method::GET, &HeaderMap::new()).is_ok());
    }
}
