//! Tokens that an identity provider signed (JSON Web Tokens, RFC 7519; RS256 of RFC 7518).

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::HeaderMap;
use jiff::Timestamp;
use ring::signature::{RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents};
use serde::Deserialize;
use serde_json::Value;

use crate::auth::{self, Refusal};
use crate::shelf::Shelf;
use crate::{Document, DocumentKind};

/// After this long (seconds) a key set is fetched again; issuers announce new keys a day ahead.
const KEYS_AGE: i64 = 24 * 60 * 60;
/// A key that is not in the set may be a new one; but a set is fetched for that reason only once in this time
/// (seconds), or anyone could have it fetched as often as they like.
const KEYS_UNKNOWN_AGE: i64 = 5 * 60;
/// Clocks differ by so much (seconds).
const LEEWAY: f64 = 60.0;
/// A token of an issuer that we know has some 2 KiB.
const TOKEN: usize = 16 * 1024;
/// Keys in a set; issuers have a handful.
const KEYS: usize = 64;

/// What a token must say.
#[derive(Clone, Debug)]
pub(crate) struct Expected {
    /// Who may have issued it.
    pub(crate) issuers: Vec<String>,
    /// For whom it must be meant.
    pub(crate) audiences: Vec<String>,
    /// Where the issuer publishes its keys.
    pub(crate) key_set: String,
    /// Further claims.
    pub(crate) claims: Vec<Claim>,
}

/// A claim that a token must have.
#[derive(Clone, Debug)]
pub(crate) struct Claim {
    /// Its name, or names: the first one that the token has counts.
    pub(crate) names: &'static [&'static str],
    /// The values that will do.
    pub(crate) values: Vec<String>,
}

/// A check of the bearer tokens of requests.
#[derive(Debug)]
pub(crate) struct Tokens {
    expected: Expected,
    sets: Shelf<Arc<[Key]>>,
}

#[derive(Debug)]
struct Key {
    id: Option<String>,
    modulus: Vec<u8>,
    exponent: Vec<u8>,
}

impl Tokens {
    pub(crate) fn new(expected: Expected) -> Self {
        Self { expected, sets: Shelf::new(1) }
    }

    /// Whether a request carries a token that says all that is expected, signed by its issuer.
    pub(crate) fn check(&self, headers: &HeaderMap, now: Timestamp) -> Result<(), Refusal> {
        let Some(token) = auth::bearer(headers) else {
            return Err(Refusal::Unproven("it carries no bearer token".to_owned()));
        };
        let unproven = |reason: &str| Refusal::Unproven(format!("its token {reason}"));
        let token = Token::parse(token).map_err(unproven)?;
        // Before the signature: what would not do anyway is not worth fetching keys for.
        self.expected.check(&token.claims, now).map_err(unproven)?;
        let document = || Document { url: self.expected.key_set.clone(), kind: DocumentKind::KeySet };
        let Some((keys, age)) = self.sets.get(&self.expected.key_set, now).filter(|(_, age)| *age < KEYS_AGE) else {
            return Err(self.sets.ask(document(), now));
        };
        let mut candidates = keys.iter().filter(|key| token.key.is_none() || key.id == token.key).peekable();
        if candidates.peek().is_none() && age > KEYS_UNKNOWN_AGE {
            return Err(self.sets.ask(document(), now));
        }
        if candidates.any(|key| key.signed(&token)) {
            return Ok(());
        }
        Err(unproven("is not signed by its issuer"))
    }

    /// Takes the key set that was asked for.
    pub(crate) fn learn(&self, document: &Document, bytes: &[u8], now: Timestamp) -> Result<(), String> {
        if document.url != self.expected.key_set {
            return Err("nobody asked for it".to_owned());
        }
        let keys = keys(bytes)?;
        self.sets.keep(&document.url, keys, now);
        Ok(())
    }
}

impl Expected {
    fn check(&self, claims: &Claims, now: Timestamp) -> Result<(), &'static str> {
        if !claims.iss.as_ref().is_some_and(|issuer| self.issuers.contains(issuer)) {
            return Err("is of another issuer");
        }
        let audiences = match &claims.aud {
            Some(Audience::One(audience)) => std::slice::from_ref(audience),
            Some(Audience::Many(audiences)) => audiences.as_slice(),
            None => &[],
        };
        if !audiences.iter().any(|audience| self.audiences.contains(audience)) {
            return Err("is meant for somebody else");
        }
        #[expect(clippy::cast_precision_loss, reason = "seconds since 1970 are far below 2^53")]
        let now = now.as_second() as f64;
        match claims.exp {
            Some(end) if now < end + LEEWAY => {}
            Some(_) => return Err("has expired"),
            None => return Err("never expires"),
        }
        if claims.nbf.is_some_and(|begin| now + LEEWAY < begin) {
            return Err("is not valid yet");
        }
        let holds = |claim: &Claim| {
            let value = claim.names.iter().find_map(|name| claims.others.get(*name));
            let text = match value {
                Some(Value::String(text)) => text.as_str(),
                Some(Value::Bool(true)) => "true",
                _ => return false,
            };
            claim.values.iter().any(|expected| expected == text)
        };
        if !self.claims.iter().all(holds) {
            return Err("is somebody else's");
        }
        Ok(())
    }
}

struct Token<'a> {
    key: Option<String>,
    claims: Claims,
    signed: &'a [u8],
    signature: Vec<u8>,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    crit: Option<Value>,
}

#[derive(Deserialize)]
struct Claims {
    iss: Option<String>,
    aud: Option<Audience>,
    exp: Option<f64>,
    nbf: Option<f64>,
    #[serde(flatten)]
    others: serde_json::Map<String, Value>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Many(Vec<String>),
}

impl<'a> Token<'a> {
    fn parse(text: &'a str) -> Result<Self, &'static str> {
        if text.len() > TOKEN {
            return Err("is too long");
        }
        let Some((signed, signature)) = text.rsplit_once('.') else { return Err("is no token") };
        let Some((header, claims)) = signed.split_once('.') else { return Err("is no token") };
        let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).map_err(|_| "is no token");
        let header: Header = serde_json::from_slice(&decode(header)?).map_err(|_| "is no token")?;
        // The one algorithm of every issuer that is asked here. Any other, `none` above all, is somebody's trick.
        if header.alg != "RS256" {
            return Err("is not signed with RS256");
        }
        if header.crit.is_some() {
            return Err("has extensions that are not understood");
        }
        let claims = serde_json::from_slice(&decode(claims)?).map_err(|_| "is no token")?;
        Ok(Self { key: header.kid, claims, signed: signed.as_bytes(), signature: decode(signature)? })
    }
}

impl Key {
    fn signed(&self, token: &Token<'_>) -> bool {
        let key = RsaPublicKeyComponents { n: &self.modulus, e: &self.exponent };
        key.verify(&RSA_PKCS1_2048_8192_SHA256, token.signed, &token.signature).is_ok()
    }
}

/// The keys for RSA signatures of a JSON Web Key Set (RFC 7517).
fn keys(bytes: &[u8]) -> Result<Arc<[Key]>, String> {
    #[derive(Deserialize)]
    struct Set {
        keys: Vec<Value>,
    }
    #[derive(Deserialize)]
    struct Entry {
        kty: String,
        kid: Option<String>,
        r#use: Option<String>,
        n: String,
        e: String,
    }
    let set: Set = serde_json::from_slice(bytes).map_err(|error| format!("it is no key set: {error}"))?;
    let key = |value: &Value| {
        let entry = Entry::deserialize(value).ok()?;
        // Leading zeros are no part of the number, and ring takes none.
        let number = |text: &str| {
            let bytes = URL_SAFE_NO_PAD.decode(text.trim_end_matches('=')).ok()?;
            let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
            Some(bytes.get(zeros..)?.to_vec())
        };
        let signs = entry.kty == "RSA" && entry.r#use.is_none_or(|usage| usage == "sig");
        signs.then_some(())?;
        Some(Key { id: entry.kid, modulus: number(&entry.n)?, exponent: number(&entry.e)? })
    };
    let keys: Arc<[Key]> = set.keys.iter().filter_map(key).take(KEYS).collect();
    if keys.is_empty() { Err("it holds no key for RSA signatures".to_owned()) } else { Ok(keys) }
}
