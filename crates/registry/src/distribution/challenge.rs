//! What a registry asks for: the `WWW-Authenticate` header.

use http::HeaderMap;
use http::header::WWW_AUTHENTICATE;
use url::Url;

/// A challenge that can be answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Challenge {
    Basic,
    Bearer(Bearer),
}

/// The parameters of a Bearer challenge (CNCF Distribution, *token authentication*).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Bearer {
    pub(crate) realm: Url,
    pub(crate) service: Option<String>,
    pub(crate) scopes: Vec<String>,
}

/// Scopes of one challenge that are asked for. Registries name one or two.
const SCOPES: usize = 8;

/// The challenge to answer: Bearer before Basic, since a registry that offers both gives narrower rights with
/// a token. Challenges of other schemes, and those that cannot be read, are passed over.
pub(crate) fn select(headers: &HeaderMap) -> Option<Challenge> {
    let mut basic = false;
    for value in headers.get_all(WWW_AUTHENTICATE) {
        let Ok(text) = value.to_str() else { continue };
        for challenge in http_auth::ChallengeParser::new(text) {
            // An error ends this header; what was read before it still counts.
            let Ok(challenge) = challenge else { break };
            if challenge.scheme.eq_ignore_ascii_case("basic") {
                basic = true;
            } else if challenge.scheme.eq_ignore_ascii_case("bearer")
                && let Some(bearer) = bearer(&challenge)
            {
                return Some(Challenge::Bearer(bearer));
            }
        }
    }
    basic.then_some(Challenge::Basic)
}

fn bearer(challenge: &http_auth::ChallengeRef<'_>) -> Option<Bearer> {
    let parameter = |name: &str| {
        challenge.params.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.to_unescaped())
    };
    let realm = Url::parse(&parameter("realm")?).ok()?;
    let scopes = parameter("scope").unwrap_or_default();
    Some(Bearer {
        realm,
        service: parameter("service").filter(|service| !service.is_empty()),
        scopes: scopes.split_ascii_whitespace().take(SCOPES).map(str::to_owned).collect(),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn from(values: &[&str]) -> Option<Challenge> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(WWW_AUTHENTICATE, value.parse().unwrap());
        }
        select(&headers)
    }

    #[test]
    fn challenges() {
        let bearer = |realm: &str, service: Option<&str>, scopes: &[&str]| {
            Some(Challenge::Bearer(Bearer {
                realm: Url::parse(realm).unwrap(),
                service: service.map(str::to_owned),
                scopes: scopes.iter().map(|scope| (*scope).to_owned()).collect(),
            }))
        };
        let hub = r#"Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:a/b:pull,push""#;
        assert_eq!(
            from(&[hub]),
            bearer("https://auth.docker.io/token", Some("registry.docker.io"), &["repository:a/b:pull,push"])
        );
        assert_eq!(from(&["bearer REALM=\"https://a/t\""]), bearer("https://a/t", None, &[]));
        assert_eq!(from(&["Basic realm=\"x\""]), Some(Challenge::Basic));
        assert_eq!(from(&["Basic realm=\"x\"", "Bearer realm=\"https://a/t\""]), bearer("https://a/t", None, &[]));
        assert_eq!(from(&["Negotiate, Basic realm=\"x\""]), Some(Challenge::Basic));
        assert_eq!(from(&["Bearer service=\"no realm\""]), None);
        assert_eq!(from(&["Bearer realm=\"not an address\""]), None);
        assert_eq!(from(&[]), None);
        assert_eq!(
            from(&["Bearer realm=\"https://a/t\",scope=\"repository:a:pull registry:catalog:*\""]),
            bearer("https://a/t", None, &["repository:a:pull", "registry:catalog:*"])
        );
    }

    proptest! {
        #[test]
        fn any_header_is_survived(text in "[ -~]{0,80}") {
            let _ = from(&[&text]);
        }
    }
}
