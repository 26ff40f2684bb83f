//! The other side of authentication: what a sender with the secret would send.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, HeaderName, HeaderValue, header};
use jiff::Timestamp;
use ring::hmac;

use crate::providers::generic;
use crate::signature::{self, Scheme};
use crate::{Provider, Secret, SourceConfig};

/// How a sender of a provider's is proven, seen from where the proof is made.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Proving {
    /// The secret goes into this header, unless another is configured.
    Header(&'static str),
    /// The secret goes into the query.
    Query,
    /// The body is signed.
    Signed(&'static Scheme),
    /// The one or the other, as the option `signing` says.
    SignedOrHeader(&'static Scheme),
    /// By the specification of Standard Webhooks.
    StandardWebhooks,
    /// With a key that only the sender has.
    NotOurs,
}

/// What a delivery has beside its body, so that it is taken.
#[derive(Clone, Default)]
pub struct Proof {
    /// Headers.
    pub headers: HeaderMap,
    /// The query part of its address, without the question mark.
    pub query: Option<String>,
}

impl std::fmt::Debug for Proof {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // All of it is secret.
        f.write_str("Proof")
    }
}

/// What proves that `body` is from somebody with the first secret of `config`, as a sender of `provider`'s would prove
/// it: to see whether an endpoint takes it. `None` if there is no secret, or the sender signs with a key of its own.
pub fn prove(provider: &Provider, config: &SourceConfig, body: &[u8], now: Timestamp) -> Option<Proof> {
    let secret = config.secrets.first()?;
    let named = |usual: &'static str| config.header.clone().unwrap_or(HeaderName::from_static(usual));
    let in_header = |usual: &'static str| {
        let name = named(usual);
        let scheme = if name == header::AUTHORIZATION { "Bearer " } else { "" };
        Some(one(name, &format!("{scheme}{}", secret.text())))
    };
    let signed = |scheme: &Scheme| {
        let made = hmac::sign(&signature::key(scheme.algorithm, secret), body);
        one(named(scheme.header), &format!("{}{}", scheme.prefix, hex(made.as_ref())))
    };
    match &provider.proving {
        Proving::Header(usual) => in_header(usual),
        Proving::Query => Some(Proof { query: Some(format!("secret={}", encoded(secret))), ..Proof::default() }),
        Proving::Signed(scheme) => Some(signed(scheme)),
        Proving::SignedOrHeader(scheme) => match config.options.get("signing").map(String::as_str) {
            Some("true" | "either") => Some(signed(scheme)),
            _ => in_header(scheme.header),
        },
        Proving::StandardWebhooks => {
            let (id, time) = (format!("probe-{}", now.as_nanosecond()), now.as_second().to_string());
            let message = [id.as_bytes(), b".", time.as_bytes(), b".", body].concat();
            let made = STANDARD.encode(hmac::sign(&generic::key(secret)?, &message));
            let mut headers = HeaderMap::new();
            for (name, value) in
                [("webhook-id", id), ("webhook-timestamp", time), ("webhook-signature", format!("v1,{made}"))]
            {
                headers.insert(HeaderName::from_static(name), value.parse().ok()?);
            }
            Some(Proof { headers, query: None })
        }
        Proving::NotOurs => None,
    }
    .filter(|proof| !proof.headers.is_empty() || proof.query.is_some())
}

/// A header; nothing if a secret has bytes that no header can have.
fn one(name: HeaderName, value: &str) -> Proof {
    let value = HeaderValue::from_bytes(value.as_bytes()).ok();
    Proof { headers: value.map(|value| (name, value)).into_iter().collect(), query: None }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A secret in a query (RFC 3986, unreserved characters as they are).
fn encoded(secret: &Secret) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    let bytes = secret.text().bytes();
    bytes.map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}
