//! How a delivery proves who sent it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, HeaderName};
use subtle::Choice;

use crate::config::Settings;
use crate::{Answer, Document, Reception, Request, Secret, Verdict};

/// Why a delivery is not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// It does not prove who sent it. The reason must not help to guess.
    Unproven(String),
    /// That cannot be told without a document.
    Needs(Document),
    /// That cannot be told at present.
    Later(String),
}

impl Refusal {
    pub(crate) fn into_reception(self) -> Reception {
        match self {
            Self::Unproven(reason) => Reception::new(Verdict::Rejected(reason), Answer::unauthorized()),
            Self::Needs(document) => Reception::new(Verdict::Needs(document), Answer::unavailable()),
            Self::Later(reason) => Reception::new(Verdict::Rejected(reason), Answer::unavailable()),
        }
    }
}

/// A shared secret, sent as it is: anyone who sees a delivery has it, so it is no more than the connection.
#[derive(Clone, Debug)]
pub(crate) struct SharedSecret {
    /// `None`: deliveries are taken from anyone. They are hints that are checked with the registry, so the damage
    /// a stranger can do is to cause such checks.
    places: Option<Places>,
}

#[derive(Clone, Debug)]
struct Places {
    header: HeaderName,
    address: bool,
    user: Option<String>,
    secrets: Vec<Secret>,
}

/// Where else than in a header a secret may come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum InAddress {
    /// Nowhere: addresses end up in logs.
    Never,
    /// In the query or at the end of the path, for senders that know nothing but an address.
    Too,
}

impl SharedSecret {
    /// Reads the secrets, the header (`header` is the provider's usual one) and the option `user`.
    pub(crate) fn read(settings: &mut Settings, header: HeaderName, address: InAddress) -> Self {
        let secrets = std::mem::take(&mut settings.config.secrets);
        match (settings.config.open, secrets.is_empty()) {
            (true, false) => settings.problem("it has a secret and is open to everyone; choose one"),
            (false, true) => settings.problem("it has no secret; give one, or open it to everyone explicitly"),
            (true, true) => return Self { places: None },
            (false, false) => {}
        }
        let header = settings.config.header.take().unwrap_or(header);
        let address = address == InAddress::Too;
        Self { places: Some(Places { header, address, user: settings.text("user"), secrets }) }
    }

    /// Whether a delivery carries one of the secrets.
    pub(crate) fn check(&self, request: &Request<'_>) -> Result<(), Refusal> {
        let Some(places) = &self.places else { return Ok(()) };
        let header = request.headers.get(&places.header).map(http::HeaderValue::as_bytes);
        let mut candidates: Vec<Vec<u8>> = Vec::new();
        if let Some(value) = header {
            candidates.push(value.to_vec());
            candidates.extend(after_scheme(value, b"Bearer ").map(<[u8]>::to_vec));
            candidates.extend(basic(value, places.user.as_deref()));
        }
        let mut given = header.is_some();
        if places.address {
            let in_query = request.query.into_iter().flat_map(|query| query.split('&')).filter_map(|pair| {
                let (name, value) = pair.split_once('=')?;
                (name == "secret").then_some(value)
            });
            for text in in_query.chain(request.path_secret) {
                given = true;
                candidates.push(text.as_bytes().to_vec());
                candidates.push(percent_decoded(text));
            }
        }
        // Every secret is compared with every form, whatever an earlier comparison said.
        let found = places.secrets.iter().fold(Choice::from(0), |found, secret| {
            candidates.iter().fold(found, |found, candidate| found | secret.compare(candidate))
        });
        let place = if places.address {
            format!("header `{}` or the address", places.header)
        } else {
            format!("header `{}`", places.header)
        };
        match (bool::from(found), given) {
            (true, _) => Ok(()),
            (false, true) => Err(Refusal::Unproven(format!("{place} does not carry the secret"))),
            (false, false) => Err(Refusal::Unproven(format!("{place} is missing"))),
        }
    }
}

/// The token of `Authorization: Bearer`.
pub(crate) fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(http::header::AUTHORIZATION)?.as_bytes();
    std::str::from_utf8(after_scheme(value, b"Bearer ")?).ok()
}

fn after_scheme<'a>(value: &'a [u8], scheme: &[u8]) -> Option<&'a [u8]> {
    let (start, rest) = value.split_at_checked(scheme.len())?;
    start.eq_ignore_ascii_case(scheme).then(|| rest.trim_ascii())
}

/// The password of a Basic credential (RFC 7617), if its user is the expected one.
fn basic(value: &[u8], user: Option<&str>) -> Option<Vec<u8>> {
    let decoded = STANDARD.decode(after_scheme(value, b"Basic ")?).ok()?;
    let colon = decoded.iter().position(|byte| *byte == b':')?;
    let (name, password) = decoded.split_at(colon);
    user.is_none_or(|user| user.as_bytes() == name).then(|| password.get(1..).unwrap_or_default().to_vec())
}

/// The bytes of a text in which `%` and two digits stand for one.
pub(crate) fn percent_decoded(text: &str) -> Vec<u8> {
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        let escaped = bytes.get(at + 1..at + 3).filter(|_| *byte == b'%').and_then(hex_byte);
        decoded.push(escaped.unwrap_or(*byte));
        at += if escaped.is_some() { 3 } else { 1 };
    }
    decoded
}

fn hex_byte(digits: &[u8]) -> Option<u8> {
    let digits = std::str::from_utf8(digits).ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_hexdigit()))?;
    u8::from_str_radix(digits, 16).ok()
}

#[cfg(test)]
mod tests {
    use http::Method;
    use http::header::AUTHORIZATION;
    use jiff::Timestamp;

    use super::*;
    use crate::SourceConfig;
    use crate::config::Key;

    const KEYS: &[Key] = &[Key::optional("user", "")];

    fn check(
        config: SourceConfig,
        address: InAddress,
        header: Option<&str>,
        query: Option<&str>,
        path: Option<&str>,
    ) -> bool {
        let mut settings = Settings::new(config, KEYS);
        let secret = SharedSecret::read(&mut settings, AUTHORIZATION, address);
        settings.finish().unwrap();
        let headers = HeaderMap::from_iter(header.map(|value| (AUTHORIZATION, value.parse().unwrap())));
        let request = Request::new(&Method::POST, &headers, b"", Timestamp::UNIX_EPOCH);
        secret.check(&request.with_query(query).with_path_secret(path)).is_ok()
    }

    #[test]
    fn bare_bearer_basic_and_both_secrets_of_a_rotation() {
        let config = || SourceConfig::new([Secret::new("new"), Secret::new("old one")]);
        let basic = |text: &str| format!("Basic {}", STANDARD.encode(text));
        let holds = |value: Option<&str>, accepted: bool| {
            assert_eq!(check(config(), InAddress::Never, value, None, None), accepted, "{value:?}");
        };
        holds(Some("new"), true);
        holds(Some("Bearer new"), true);
        holds(Some("bearer  new"), true);
        holds(Some("old one"), true);
        holds(Some("Bearer old one"), true);
        holds(Some(&basic("anyone:new")), true);
        holds(Some(&basic(":old one")), true);
        holds(Some(&basic("new:")), false);
        holds(Some(&basic("new")), false);
        holds(Some("Basic new"), false);
        holds(Some("Bearer"), false);
        holds(Some("Bearer "), false);
        holds(Some(""), false);
        holds(Some("newer"), false);
        holds(None, false);

        let named = config().with_option("user", "events");
        assert!(check(named.clone(), InAddress::Never, Some(&basic("events:new")), None, None));
        assert!(!check(named, InAddress::Never, Some(&basic("anyone:new")), None, None));
    }

    #[test]
    fn an_address_carries_the_secret_only_where_nothing_else_can() {
        let config = || SourceConfig::new([Secret::new("a/b+c=")]);
        for (query, path, accepted) in [
            (Some("secret=a/b+c="), None, true),
            (Some("x=1&secret=a%2Fb%2Bc%3d&y"), None, true),
            (None, Some("a%2fb+c="), true),
            (Some("secret="), None, false),
            (Some("secret"), None, false),
            (Some("code=a/b+c="), None, false),
            (Some("%%%&secret=%"), None, false),
            (None, Some(""), false),
            (None, None, false),
        ] {
            assert_eq!(check(config(), InAddress::Too, None, query, path), accepted, "{query:?} {path:?}");
            assert!(!check(config(), InAddress::Never, None, query, path), "{query:?} {path:?}");
        }
    }

    #[test]
    fn the_reason_does_not_repeat_what_was_sent() {
        let mut settings = Settings::new(SourceConfig::new([Secret::new("right")]), KEYS);
        let secret = SharedSecret::read(&mut settings, HeaderName::from_static("x-hook"), InAddress::Never);
        let headers = HeaderMap::from_iter([(HeaderName::from_static("x-hook"), "almost-right".parse().unwrap())]);
        let refusal = secret.check(&Request::new(&Method::POST, &headers, b"", Timestamp::UNIX_EPOCH)).unwrap_err();
        assert_eq!(refusal, Refusal::Unproven("header `x-hook` does not carry the secret".to_owned()));
    }
}
