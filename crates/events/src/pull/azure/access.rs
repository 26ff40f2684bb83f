//! How a queue of Azure's is signed in to.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::{AUTHORIZATION, HeaderValue};
use reqwest::{Request, Url};
use ring::hmac;

use crate::Secret;
use crate::pull::PullError;

/// Gives tokens of Microsoft Entra for `https://storage.azure.com`, and renews them in time.
#[async_trait]
pub trait AzureTokens: fmt::Debug + Send + Sync {
    /// A token that is good for some minutes at least.
    async fn token(&self) -> Result<String, PullError>;
}

/// How a queue of Azure's is signed in to.
#[derive(Clone)]
pub enum AzureAccess {
    /// As an identity of Microsoft Entra's.
    Identity(Arc<dyn AzureTokens>),
    /// By a shared access signature: `sv=…&sp=pu&sig=…`, of the queue or of the account.
    Signature(Secret),
    /// By the account's key, which may do everything with everything in the account.
    Key {
        /// The account's name.
        account: String,
        /// Its key.
        key: hmac::Key,
    },
}

impl AzureAccess {
    /// What a secret says: a shared access signature, the address that the portal makes with one, or a connection
    /// string with a signature or a key.
    ///
    /// # Errors
    ///
    /// If it is none of these. The error does not say what it is instead.
    pub fn of_secret(secret: &Secret) -> Result<Self, PullError> {
        let refuse = |why: &str| Err(PullError::lasting(format!("read the secret of a queue of Azure's: {why}")));
        let expected = "expected a shared access signature (sv=…&sig=…) or a connection string";
        let Ok(text) = std::str::from_utf8(secret.as_bytes()) else { return refuse(expected) };
        let text = text.trim();
        if let Some(account) = value(text, "AccountName")
            && let Some(key) = value(text, "AccountKey")
        {
            let Ok(key) = STANDARD.decode(key) else { return refuse("its AccountKey is no base64") };
            let is_name = account.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
            if account.is_empty() || !is_name {
                return refuse("its AccountName is none: expected small letters and digits");
            }
            return Ok(Self::Key { account: account.to_owned(), key: hmac::Key::new(hmac::HMAC_SHA256, &key) });
        }
        let signature = match value(text, "SharedAccessSignature") {
            Some(signature) => signature,
            None if text.starts_with("https://") => text.split_once('?').map_or("", |(_, query)| query),
            None => text,
        };
        let signature = signature.trim_start_matches('?');
        let is_query = signature.bytes().all(|byte| byte.is_ascii_graphic() && !b"#;\"<>".contains(&byte));
        if is_query && signature.split('&').any(|pair| pair.len() > 4 && pair.starts_with("sig=")) {
            return Ok(Self::Signature(Secret::new(signature)));
        }
        refuse(expected)
    }

    /// Whether whoever reads a request can make others of it.
    pub(super) fn is_shown(&self) -> bool {
        !matches!(self, Self::Key { .. })
    }

    /// Makes `request` one of ours.
    pub(super) async fn sign(&self, request: &mut Request) -> Result<(), PullError> {
        match self {
            Self::Identity(tokens) => authorize(request, &format!("Bearer {}", tokens.token().await?)),
            Self::Signature(signature) => {
                let signature = String::from_utf8_lossy(signature.as_bytes()).into_owned();
                let query = match request.url().query() {
                    Some(query) => format!("{query}&{signature}"),
                    None => signature,
                };
                request.url_mut().set_query(Some(&query));
                Ok(())
            }
            Self::Key { account, key } => {
                let signature = hmac::sign(key, to_sign(request, account).as_bytes());
                authorize(request, &format!("SharedKey {account}:{}", STANDARD.encode(signature)))
            }
        }
    }
}

impl fmt::Debug for AzureAccess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Identity(tokens) => f.debug_tuple("Identity").field(tokens).finish(),
            Self::Signature(signature) => f.debug_tuple("Signature").field(signature).finish(),
            Self::Key { account, .. } => f.debug_struct("Key").field("account", account).finish_non_exhaustive(),
        }
    }
}

/// A member of a connection string, `Name=value;Name=value`.
fn value<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.split(';').find_map(|member| {
        let (found, value) = member.split_once('=')?;
        found.trim().eq_ignore_ascii_case(name).then(|| value.trim())
    })
}

fn authorize(request: &mut Request, text: &str) -> Result<(), PullError> {
    let mut value = HeaderValue::from_str(text)
        .map_err(|_| PullError::lasting("sign in to the queue: the token has characters that no header may have"))?;
    value.set_sensitive(true);
    request.headers_mut().insert(AUTHORIZATION, value);
    Ok(())
}

/// What *Shared Key* signs of a request without a body
/// (<https://learn.microsoft.com/rest/api/storageservices/authorize-with-shared-key>): the method, eleven headers of
/// which we send none but a `Content-Length` of 0, which is left out; the `x-ms-` headers; the path and the parameters.
fn to_sign(request: &Request, account: &str) -> String {
    let mut text = format!("{}{}", request.method(), "\n".repeat(12));
    let mut headers: Vec<(&str, &str)> = request
        .headers()
        .iter()
        .filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)))
        .filter(|(name, _)| name.starts_with("x-ms-"))
        .collect();
    headers.sort_unstable();
    for (name, value) in headers {
        text.push_str(&format!("{name}:{value}\n"));
    }
    text.push_str(&resource(request.url(), account));
    text
}

fn resource(url: &Url, account: &str) -> String {
    let mut parameters: Vec<_> = url.query_pairs().collect();
    parameters.sort_unstable();
    let mut text = format!("/{account}{}", url.path());
    for (name, value) in parameters {
        text.push_str(&format!("\n{}:{value}", name.to_ascii_lowercase()));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets() {
        let check = |secret: &str, expected: &str| {
            let found = AzureAccess::of_secret(&Secret::new(secret));
            let found = found.map_or_else(
                |error| error.to_string(),
                |access| match access {
                    AzureAccess::Signature(signature) => String::from_utf8_lossy(signature.as_bytes()).into_owned(),
                    AzureAccess::Key { account, .. } => format!("the key of {account}"),
                    AzureAccess::Identity(_) => "an identity".to_owned(),
                },
            );
            assert!(found.contains(expected), "{secret}: {found}");
        };
        let signature = "sv=2022-11-02&ss=q&srt=so&sp=rup&se=2026-12-01T00:00:00Z&spr=https&sig=AbC%2Fd%3D";
        check(signature, signature);
        check(&format!("?{signature}\n"), signature);
        check(&format!("https://acme.queue.core.windows.net/events?{signature}"), signature);
        check(
            &format!("QueueEndpoint=https://acme.queue.core.windows.net/;SharedAccessSignature={signature}"),
            signature,
        );
        check(
            "DefaultEndpointsProtocol=https;AccountName=acme;AccountKey=aGVsbG8=;EndpointSuffix=core.windows.net",
            "the key of acme",
        );
        check("AccountName=acme;AccountKey=not base64", "no base64");
        check("AccountName=../x;AccountKey=aGVsbG8=", "small letters");
        for none in ["", "hunter2hunter2hunter2", "sv=2022-11-02", "sig=", "sv=1&sig=ab cd", "https://a.test/"] {
            check(none, "expected a shared access signature");
        }
        let error = AzureAccess::of_secret(&Secret::new("hunter2hunter2hunter2")).unwrap_err();
        assert!(!error.to_string().contains("hunter2"));
    }

    /// The example of Microsoft's page, of the version that first leaves out a length of 0.
    #[test]
    fn what_is_signed() {
        let url = "http://myaccount.blob.core.windows.net/mycontainer?restype=container&comp=metadata&timeout=20";
        let mut request = Request::new(reqwest::Method::GET, url.parse().unwrap());
        for (name, value) in
            [("x-ms-version", "2015-02-21"), ("content-length", "0"), ("x-ms-date", "Fri, 26 Jun 2015 23:39:12 GMT")]
        {
            request.headers_mut().insert(name, HeaderValue::from_static(value));
        }
        assert_eq!(
            to_sign(&request, "myaccount"),
            "GET\n\n\n\n\n\n\n\n\n\n\n\nx-ms-date:Fri, 26 Jun 2015 23:39:12 GMT\nx-ms-version:2015-02-21\n\
             /myaccount/mycontainer\ncomp:metadata\nrestype:container\ntimeout:20"
        );
    }
}
