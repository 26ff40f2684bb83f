//! An answer, read under a cap and a deadline.

use bytes::Bytes;
use futures_util::StreamExt;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderMap, HeaderName};
use oci_spec::image::Digest;
use reqwest::StatusCode;
use serde::Deserialize;
use tokio::sync::OwnedSemaphorePermit;
use url::Url;

use super::transport::{Deadlines, transport_error};
use crate::digest::parse_digest;
use crate::secret::{printable, redacted};
use crate::{Error, ErrorKind, Result};

/// Bytes of an error's body that are read. The specification's form needs a few hundred.
const ERROR_BODY: usize = 64 << 10;

static DOCKER_CONTENT_DIGEST: HeaderName = HeaderName::from_static("docker-content-digest");

/// What came back, with the slot it holds at its host.
#[derive(Debug)]
pub(crate) struct Answer {
    response: reqwest::Response,
    permit: OwnedSemaphorePermit,
    at_home: bool,
    deadlines: Deadlines,
}

impl Answer {
    pub(crate) fn new(
        response: reqwest::Response,
        permit: OwnedSemaphorePermit,
        at_home: bool,
        deadlines: Deadlines,
    ) -> Self {
        Self { response, permit, at_home, deadlines }
    }

    pub(crate) fn status(&self) -> StatusCode {
        self.response.status()
    }

    pub(crate) fn headers(&self) -> &HeaderMap {
        self.response.headers()
    }

    /// The address that answered, after redirects.
    pub(crate) fn url(&self) -> &Url {
        self.response.url()
    }

    /// Whether the host that was asked answered, rather than one it redirected to.
    pub(crate) fn is_at_home(&self) -> bool {
        self.at_home
    }

    pub(crate) fn content_type(&self) -> Option<String> {
        self.headers().get(CONTENT_TYPE)?.to_str().ok().map(str::to_owned)
    }

    /// `Content-Length` as the header says it, which a HEAD's empty body does not.
    pub(crate) fn content_length(&self) -> Option<u64> {
        self.headers().get(CONTENT_LENGTH)?.to_str().ok()?.trim().parse().ok()
    }

    /// `Docker-Content-Digest`.
    ///
    /// # Errors
    /// [`ErrorKind::Malformed`] if it is there and is no digest.
    pub(crate) fn digest(&self) -> Result<Option<Digest>> {
        let Some(value) = self.headers().get(&DOCKER_CONTENT_DIGEST) else { return Ok(None) };
        let text = String::from_utf8_lossy(value.as_bytes());
        parse_digest(text.trim())
            .map(Some)
            .map_err(|error| error.during(format_args!("read Docker-Content-Digest of {}", redacted(self.url()))))
    }

    /// The body of a document.
    ///
    /// # Errors
    /// [`ErrorKind::LimitExceeded`] over `cap` bytes; [`ErrorKind::Malformed`] if it is compressed, which was
    /// not asked for and would let a small answer become a large one.
    pub(crate) async fn document(self, cap: usize) -> Result<Bytes> {
        let address = redacted(self.url());
        if let Some(encoding) = self.headers().get(CONTENT_ENCODING).filter(|value| value.as_bytes() != b"identity") {
            let shown = printable(&String::from_utf8_lossy(encoding.as_bytes()), 40);
            return Err(Error::new(ErrorKind::Malformed, format!("read {address}: it is encoded as {shown}, unasked")));
        }
        if self.content_length().is_some_and(|length| length > cap as u64) {
            return Err(too_large(&address, cap));
        }
        match tokio::time::timeout(self.deadlines.document, self.collect(cap)).await {
            Ok(Ok((bytes, true))) => Ok(bytes),
            Ok(Ok((_, false))) => Err(too_large(&address, cap)),
            Ok(Err(error)) => Err(error),
            Err(_) => Err(Error::new(ErrorKind::Timeout, format!("read all of {address}"))),
        }
    }

    /// At most `cap` bytes, and whether that was all.
    async fn collect(self, cap: usize) -> Result<(Bytes, bool)> {
        let Self { mut response, permit: _permit, .. } = self;
        let url = response.url().clone();
        let mut bytes = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| transport_error(&url, error))? {
            let room = cap - bytes.len();
            if chunk.len() > room {
                bytes.extend_from_slice(&chunk[..room]);
                return Ok((bytes.into(), false));
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok((bytes.into(), true))
    }

    /// The body as it comes.
    pub(crate) fn into_body(self) -> Body {
        let Self { response, permit, deadlines, .. } = self;
        let url = response.url().clone();
        Body {
            stream: response.bytes_stream().boxed(),
            url,
            _permit: permit,
            deadlines,
            waited: std::time::Duration::ZERO,
            received: 0,
        }
    }

    /// A refusing answer with what it says.
    pub(crate) async fn into_refusal(self) -> Refusal {
        let status = self.status();
        let url = self.url().clone();
        let deadline = self.deadlines.stall;
        // A body that does not come is no reason to lose the status.
        let body = match tokio::time::timeout(deadline, self.collect(ERROR_BODY)).await {
            Ok(Ok((bytes, _))) => bytes,
            _ => Bytes::new(),
        };
        Refusal { status, url, body }
    }

    /// The error that a refusing answer stands for.
    pub(crate) async fn into_error(self) -> Error {
        self.into_refusal().await.into_error()
    }
}

/// An answer that says no.
pub(crate) struct Refusal {
    status: StatusCode,
    url: Url,
    body: Bytes,
}

impl Refusal {
    /// Whether it says that the credentials were good once. Amazon ECR answers an expired token with 403 and
    /// no challenge: "Your authorization token has expired. Reauthenticate and try again."
    pub(crate) fn says_expired(&self) -> bool {
        String::from_utf8_lossy(&self.body).to_ascii_lowercase().contains("expired")
    }

    pub(crate) fn into_error(self) -> Error {
        status_error(self.status, &self.url, &self.body)
    }
}

/// A body that must make progress.
pub(crate) struct Body {
    stream: futures_util::stream::BoxStream<'static, reqwest::Result<Bytes>>,
    url: Url,
    _permit: OwnedSemaphorePermit,
    deadlines: Deadlines,
    waited: std::time::Duration,
    received: usize,
}

/// Bytes that must arrive within each [`Deadlines::progress`] of waiting: half a KiB a second is no download.
const PROGRESS: usize = 32 << 10;

impl Body {
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>> {
        let started = tokio::time::Instant::now();
        let stalled = || Error::new(ErrorKind::Timeout, format!("read from {}: it stalls", redacted(&self.url)));
        let chunk = match tokio::time::timeout(self.deadlines.stall, self.stream.next()).await {
            Err(_) => return Err(stalled()),
            Ok(None) => return Ok(None),
            Ok(Some(Err(error))) => return Err(transport_error(&self.url, error)),
            Ok(Some(Ok(chunk))) => chunk,
        };
        self.waited += started.elapsed();
        self.received += chunk.len();
        if self.waited > self.deadlines.progress {
            if self.received < PROGRESS {
                return Err(stalled());
            }
            self.waited = std::time::Duration::ZERO;
            self.received = 0;
        }
        Ok(Some(chunk))
    }
}

fn too_large(address: &str, cap: usize) -> Error {
    Error::new(ErrorKind::LimitExceeded, format!("read {address}: more than {cap} bytes"))
}

#[derive(Deserialize)]
struct ErrorBody {
    errors: Option<Vec<ErrorItem>>,
    error: Option<String>,
    error_description: Option<String>,
    details: Option<String>,
}

#[derive(Deserialize)]
struct ErrorItem {
    code: Option<String>,
    message: Option<String>,
}

/// What a registry or a token service says went wrong, in its own words.
pub(crate) fn explanation(body: &[u8]) -> Option<String> {
    let body: ErrorBody = serde_json::from_slice(body).ok()?;
    let mut said = Vec::new();
    for item in body.errors.into_iter().flatten().take(3) {
        said.extend([item.code, item.message].into_iter().flatten().filter(|text| !text.is_empty()));
    }
    said.extend([body.error, body.error_description, body.details].into_iter().flatten());
    (!said.is_empty()).then(|| printable(&said.join(": "), 300))
}

fn status_error(status: StatusCode, url: &Url, body: &[u8]) -> Error {
    let kind = match status.as_u16() {
        401 => ErrorKind::Unauthorized,
        // Nexus, after four wrong passwords. Each further request, whatever it carries, makes the block last longer.
        429 if String::from_utf8_lossy(body).contains("Too many authentication attempts") => ErrorKind::Unauthorized,
        403 => ErrorKind::Denied,
        404 | 410 => ErrorKind::NotFound,
        429 => ErrorKind::RateLimited,
        // 501 and 505 are permanent, though of the 5xx family.
        405 | 415 | 501 | 505 => ErrorKind::Unsupported,
        408 | 499 | 500..=599 => ErrorKind::Unavailable,
        _ => ErrorKind::Malformed,
    };
    let host = url.host_str().unwrap_or_default();
    let code = status.as_u16();
    Error::new(
        kind,
        match explanation(body) {
            Some(said) => format!("{host} answered {code} ({said})"),
            None => format!("{host} answered {code}"),
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_speak_with_the_registrys_words() {
        let url = Url::parse("https://registry.test/v2/").unwrap();
        let check = |status: u16, body: &str, kind: ErrorKind, message: &str| {
            let error = status_error(StatusCode::from_u16(status).unwrap(), &url, body.as_bytes());
            assert_eq!((error.kind(), error.to_string().as_str()), (kind, message));
        };
        check(
            404,
            r#"{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown","detail":{}}]}"#,
            ErrorKind::NotFound,
            "registry.test answered 404 (MANIFEST_UNKNOWN: manifest unknown)",
        );
        check(403, "<html>", ErrorKind::Denied, "registry.test answered 403");
        check(429, "<h1>Too many authentication attempts</h1>", ErrorKind::Unauthorized, "registry.test answered 429");
        check(429, r#"{"errors":null}"#, ErrorKind::RateLimited, "registry.test answered 429");
        check(503, "", ErrorKind::Unavailable, "registry.test answered 503");
        check(501, "", ErrorKind::Unsupported, "registry.test answered 501");
        check(
            401,
            r#"{"details":"incorrect \u001b[1musername"}"#,
            ErrorKind::Unauthorized,
            "registry.test answered 401 (incorrect [1musername)",
        );
    }
}
