//! The role that every provider plays, and the list of those who play it.

use std::fmt;

use http::{HeaderMap, HeaderName, Method, header};

use crate::{Authentication, DistributionSource, Error, ErrorKind, HeaderSecret, Reception, Result, Secret};

/// One provider's notifications: authentication, handshakes, payload, answers.
///
/// `receive` is a pure function of the request. It must not panic, whatever the bytes.
pub trait Source: fmt::Debug + Send + Sync {
    /// The provider's name, as in [`PROVIDERS`] and in the path of the endpoint.
    fn name(&self) -> &'static str;

    /// What `request` says, and the answer that its sender needs once that has been stored.
    fn receive(&self, request: &Request<'_>) -> Reception;
}

/// A delivery as it arrived. The body is raw: authentication covers the very bytes.
#[derive(Clone, Copy)]
pub struct Request<'a> {
    /// HTTP method.
    pub method: &'a Method,
    /// HTTP headers.
    pub headers: &'a HeaderMap,
    /// Query part of the address, without the question mark, still encoded.
    pub query: Option<&'a str>,
    /// The body.
    pub body: &'a [u8],
}

impl fmt::Debug for Request<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Headers and the query carry secrets.
        f.debug_struct("Request")
            .field("method", self.method)
            .field("body_len", &self.body.len())
            .finish_non_exhaustive()
    }
}

/// What an operator says about a source.
#[derive(Clone, Debug)]
pub struct SourceConfig {
    /// The registry that this source speaks for. It wins over what payloads claim: behind a proxy registries
    /// name themselves by internal names, and a payload must not be able to point at another registry.
    pub host: Option<String>,
    /// The header that carries the shared secret.
    pub header: HeaderName,
    /// Accepted secrets; two during a rotation.
    pub secrets: Vec<Secret>,
    /// Take deliveries from anyone. For senders that can set no header, on networks that are closed otherwise.
    pub open: bool,
}

impl SourceConfig {
    /// A configuration with `secrets` in the `Authorization` header.
    pub fn new(secrets: impl IntoIterator<Item = Secret>) -> Self {
        Self { host: None, header: header::AUTHORIZATION, secrets: secrets.into_iter().collect(), open: false }
    }

    /// The same, speaking for the registry `host`.
    #[must_use]
    pub fn with_host(mut self, host: impl Into<String>) -> Self {
        self.host = Some(host.into());
        self
    }

    /// The same, with the secret in `header`.
    #[must_use]
    pub fn with_header(mut self, header: HeaderName) -> Self {
        self.header = header;
        self
    }

    /// The same, taking deliveries without a secret.
    #[must_use]
    pub fn opened(mut self) -> Self {
        self.open = true;
        self
    }

    pub(crate) fn authentication(self) -> Result<Authentication> {
        match (self.open, self.secrets.is_empty()) {
            (true, true) => Ok(Authentication::Open),
            (false, false) => Ok(Authentication::Header(HeaderSecret::new(self.header, self.secrets)?)),
            (true, false) => Err(Error::new(
                ErrorKind::Configuration,
                "configure the source: it has a secret and is open to everyone; choose one",
            )),
            (false, true) => Err(Error::new(
                ErrorKind::Configuration,
                "configure the source: it has no secret; give one, or open it to everyone explicitly",
            )),
        }
    }
}

/// A provider's entry in [`PROVIDERS`].
#[derive(Clone, Copy, Debug)]
pub struct Provider {
    /// Its name in configuration and in the endpoint's path.
    pub name: &'static str,
    /// Makes its source.
    pub build: fn(SourceConfig) -> Result<Box<dyn Source>>,
}

/// Every provider. A new one is a file and a line here.
pub const PROVIDERS: &[Provider] = &[Provider { name: DistributionSource::NAME, build: DistributionSource::boxed }];

/// Makes the source of `provider`.
///
/// # Errors
///
/// [`ErrorKind::UnknownProvider`], or [`ErrorKind::Configuration`] with what is wrong.
pub fn build(provider: &str, config: SourceConfig) -> Result<Box<dyn Source>> {
    let Some(found) = PROVIDERS.iter().find(|candidate| candidate.name == provider) else {
        let known: Vec<_> = PROVIDERS.iter().map(|provider| provider.name).collect();
        return Err(Error::new(
            ErrorKind::UnknownProvider,
            format!("find event provider `{provider}`: known are {}", known.join(", ")),
        ));
    };
    (found.build)(config)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_needs_a_secret_or_the_word_open() {
        let check = |config: SourceConfig, kind: Option<ErrorKind>| {
            assert_eq!(build("distribution", config).err().map(|error| error.kind()), kind);
        };
        check(SourceConfig::new([Secret::new("s3cret")]), None);
        check(SourceConfig::new([]).opened(), None);
        check(SourceConfig::new([]), Some(ErrorKind::Configuration));
        check(SourceConfig::new([Secret::new("")]), Some(ErrorKind::Configuration));
        check(SourceConfig::new([Secret::new("s3cret")]).opened(), Some(ErrorKind::Configuration));
    }

    #[test]
    fn an_unknown_provider_is_answered_with_the_known_ones() {
        let error = build("carrier-pigeon", SourceConfig::new([]).opened()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::UnknownProvider);
        assert_eq!(error.to_string(), "find event provider `carrier-pigeon`: known are distribution");
    }

    #[test]
    fn a_request_does_not_print_its_secrets() {
        let mut headers = HeaderMap::new();
        headers.insert("authorization", "Bearer s3cret".parse().unwrap());
        let request = Request { method: &Method::POST, headers: &headers, query: Some("code=s3cret"), body: b"" };
        assert!(!format!("{request:?}").contains("s3cret"));
    }
}
