//! Failing on demand.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use axum::body::Body;
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use futures_util::stream;
use http::request::Parts;
use http::{StatusCode, header};

use super::refusal::Refusal;
use crate::image::{corrupted, truncated};

/// Requests that are answered with a failure.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use supercargo_testkit::Fault;
///
/// // The next two blob downloads are asked to wait a second.
/// let fault = Fault::new(429).on_method("GET").on_path("/blobs/").with_times(2).with_retry_after(Duration::from_secs(1));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    status: u16,
    times: usize,
    method: Option<String>,
    path_part: Option<String>,
    retry_after: Option<Duration>,
}

impl Fault {
    /// Answers the next request with `status`.
    pub fn new(status: u16) -> Self {
        Self { status, times: 1, method: None, path_part: None, retry_after: None }
    }

    /// Sets how many requests fail.
    pub fn with_times(mut self, times: usize) -> Self {
        self.times = times;
        self
    }

    /// Only requests with this method fail.
    pub fn on_method(mut self, method: impl Into<String>) -> Self {
        self.method = Some(method.into());
        self
    }

    /// Only requests fail whose path has this in it.
    pub fn on_path(mut self, part: impl Into<String>) -> Self {
        self.path_part = Some(part.into());
        self
    }

    /// Adds a `Retry-After` header, in whole seconds.
    pub fn with_retry_after(mut self, after: Duration) -> Self {
        self.retry_after = Some(after);
        self
    }

    fn matches(&self, parts: &Parts) -> bool {
        self.times > 0
            && self.method.as_deref().is_none_or(|method| method == parts.method.as_str())
            && self.path_part.as_deref().is_none_or(|part| parts.uri.path().contains(part))
    }

    fn response(&self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let code = match status {
            StatusCode::TOO_MANY_REQUESTS => "TOOMANYREQUESTS",
            StatusCode::UNAUTHORIZED => "UNAUTHORIZED",
            StatusCode::FORBIDDEN => "DENIED",
            StatusCode::SERVICE_UNAVAILABLE => "UNAVAILABLE",
            _ => "UNKNOWN",
        };
        let mut refusal = Refusal::new(status, code, "a fault was asked for");
        if let Some(after) = self.retry_after {
            refusal = refusal.with_header(header::RETRY_AFTER, after.as_secs().to_string());
        }
        refusal.into_response()
    }
}

/// What is wrong with a blob when it is served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BlobFault {
    /// Half of it is there.
    Truncated,
    /// A byte is another.
    Corrupted,
    /// The connection ends after so many bytes, so many times.
    Cut { after: usize, times: usize },
}

/// Everything that is made to fail at present.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    pub(crate) planned: Vec<Fault>,
    pub(super) blobs: HashMap<String, BlobFault>,
    pub(super) denied: BTreeSet<String>,
    pub(super) latency: Duration,
}

impl Faults {
    /// The failure that is due for this request.
    pub(crate) fn next(&mut self, parts: &Parts) -> Option<Response> {
        let fault = self.planned.iter_mut().find(|fault| fault.matches(parts))?;
        fault.times -= 1;
        let response = fault.response();
        self.planned.retain(|fault| fault.times > 0);
        Some(response)
    }

    /// The bytes of a blob as they are served.
    pub(super) fn served(&self, digest: &str, bytes: Bytes) -> Bytes {
        match self.blobs.get(digest) {
            Some(BlobFault::Truncated) => truncated(&bytes),
            Some(BlobFault::Corrupted) => corrupted(&bytes),
            Some(BlobFault::Cut { .. }) | None => bytes,
        }
    }

    /// How many bytes of this download come through before the connection ends.
    pub(super) fn cut(&mut self, digest: &str) -> Option<usize> {
        let BlobFault::Cut { after, times } = self.blobs.get_mut(digest)? else { return None };
        let after = *after;
        *times -= 1;
        if *times == 0 {
            self.blobs.remove(digest);
        }
        Some(after)
    }
}

/// A body that ends with an error after `bytes`; the server then closes the connection.
pub(super) fn cut_body(bytes: Bytes) -> Body {
    // One unfinished step between the two lets what was written reach the client first.
    let steps = stream::unfold(0, move |step| {
        let bytes = bytes.clone();
        async move {
            match step {
                0 => Some((Ok(bytes), 1)),
                1 => {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                    Some((Err(std::io::Error::from(std::io::ErrorKind::ConnectionReset)), 2))
                }
                _ => None,
            }
        }
    });
    Body::from_stream(steps)
}
