//! Who may do what.
//!
//! What is in the images of a company is nobody else's business, so reading needs a token as soon as anyone but
//! this machine can connect, and changing anything needs one always. Deliveries have their own secrets and are not
//! concerned.

mod caller;
mod token;

use std::net::{IpAddr, SocketAddr};

use http::{HeaderMap, Method, StatusCode, header};
use supercargo_engine::events::Secret;
use supercargo_engine::store::{Actor, Store};

pub(crate) use self::caller::{Caller, Right, Scope, guard};
pub use self::token::{TokenText, first_token};
use crate::problem::Problem;

/// Who may use the API.
///
/// Whoever has a token of the store may do what its role allows, whatever this says. A viewer reads; an editor changes
/// what is wanted of the integrations there are; an admin decides where credentials are sent, and who has a token.
#[derive(Clone, Debug)]
pub enum Access {
    /// Whoever has this token does as an admin does.
    Token(Secret),
    /// Programs on this machine read without a token, and have what failed tried again.
    Loopback,
    /// Everyone who can connect does.
    Open,
    /// Nobody does anything without a token of the store.
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

    /// Who sends a request with these headers.
    pub(crate) async fn identify(
        &self,
        store: &dyn Store,
        method: &Method,
        headers: &HeaderMap,
    ) -> Result<Caller, Problem> {
        let Some(given) = bearer(headers) else { return self.anonymous(method, headers) };
        if let Self::Token(token) = self
            && token.matches(given)
        {
            return Ok(Caller::new(Actor::interface("file"), Right::Administer));
        }
        let token = match token::hash_of(given) {
            Some(hash) => store.token_by_hash(&hash).await?,
            None => None,
        };
        match token {
            Some(token) => Caller::with_token(store, token).await,
            None => Err(Problem::new(StatusCode::UNAUTHORIZED, "the token is not one of the server's")),
        }
    }

    fn anonymous(&self, method: &Method, headers: &HeaderMap) -> Result<Caller, Problem> {
        match self {
            Self::Token(_) | Self::Closed => {
                Err(Problem::new(StatusCode::UNAUTHORIZED, "send a token: Authorization: Bearer …"))
            }
            Self::Loopback => {
                check_same_machine(method, headers)?;
                Ok(Caller::new(Actor::interface("loopback"), Right::Repeat))
            }
            Self::Open => Ok(Caller::new(Actor::interface("open"), Right::Repeat)),
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
            "without an API token only requests for a loopback name are answered; behind a proxy, use a token",
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

#[cfg(test)]
mod tests {
    use supercargo_engine::store::{AccessStore as _, MemoryStore, NewToken, Role};

    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    async fn right(access: &Access, method: Method, pairs: &[(&'static str, &str)]) -> Option<Right> {
        let caller = access.identify(&MemoryStore::default(), &method, &headers(pairs)).await;
        caller.ok().map(|caller| caller.right)
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

    #[tokio::test]
    async fn a_token_is_asked_for() {
        let access = Access::Token(Secret::new("t0ken"));
        let check = async |value: Option<&str>, expected: Option<Right>| {
            let headers: Vec<_> = value.map(|value| ("authorization", value)).into_iter().collect();
            assert_eq!(right(&access, Method::GET, &headers).await, expected, "{value:?}");
        };
        check(Some("Bearer t0ken"), Some(Right::Administer)).await;
        check(Some("bearer  t0ken"), Some(Right::Administer)).await;
        check(Some("t0ken"), None).await;
        check(Some("Bearer t0ken2"), None).await;
        check(Some("Bearer"), None).await;
        check(None, None).await;
    }

    #[tokio::test]
    async fn a_token_of_the_store_is_good_everywhere() {
        let store = MemoryStore::default();
        let text = TokenText::generate().unwrap();
        let new = NewToken { name: "ci".to_owned(), role: Role::Editor, scope: Vec::new(), hash: text.hash() };
        let token = store.create_token(new, &Actor::supercargo()).await.unwrap();
        let good = headers(&[("authorization", &format!("Bearer {}", text.expose()))]);
        let bad = headers(&[("authorization", &format!("Bearer {}x", text.expose()))]);
        for access in [Access::Token(Secret::new("t0ken")), Access::Loopback, Access::Open, Access::Closed] {
            let caller = access.identify(&store, &Method::POST, &good).await.unwrap();
            assert_eq!((caller.right, caller.actor.as_str()), (Right::Change, "token:ci#1"), "{access:?}");
            // A token that is none makes nobody a stranger who may read.
            assert!(access.identify(&store, &Method::GET, &bad).await.is_err(), "{access:?}");
        }
        store.revoke_token(token.id, &Actor::supercargo()).await.unwrap();
        assert!(Access::Loopback.identify(&store, &Method::GET, &good).await.is_err());
    }

    #[tokio::test]
    async fn loopback_means_this_machine_and_no_stranger_in_its_browser() {
        let check = async |method: Method, pairs: &[(&'static str, &str)], allowed: bool| {
            let expected = allowed.then_some(Right::Repeat);
            assert_eq!(right(&Access::Loopback, method.clone(), pairs).await, expected, "{method} {pairs:?}");
        };
        check(Method::GET, &[], true).await;
        for host in ["localhost:8080", "127.0.0.1:1", "[::1]:8080", "127.0.0.1", "LOCALHOST"] {
            check(Method::GET, &[("host", host)], true).await;
        }
        for host in ["evil.example:8080", "127.0.0.1.evil.example", "localhost.evil.example"] {
            check(Method::GET, &[("host", host)], false).await;
        }
        check(Method::POST, &[("host", "localhost"), ("origin", "http://evil.example")], false).await;
        check(Method::POST, &[("host", "localhost"), ("origin", "null")], false).await;
        check(Method::POST, &[("host", "localhost"), ("origin", "http://localhost:8080")], true).await;
        assert_eq!(right(&Access::Closed, Method::GET, &[]).await, None);
        assert_eq!(right(&Access::Open, Method::GET, &[]).await, Some(Right::Repeat));
    }
}
