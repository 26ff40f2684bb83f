//! The role that every provider plays.

use std::fmt;

use http::{HeaderMap, Method};
use jiff::Timestamp;

use crate::{Document, Reception};

/// One provider's notifications: authentication, handshakes, payload, answers.
///
/// Nothing here does I/O or looks at a clock. What is remembered is what [`Source::learn`] brought, bounded and
/// with an age. No call may panic, whatever the bytes.
pub trait Source: fmt::Debug + Send + Sync {
    /// The provider's name, as in [`PROVIDERS`](crate::PROVIDERS) and in the path of the endpoint.
    fn name(&self) -> &'static str;

    /// What `request` says, and the answer that its sender needs once that has been stored.
    ///
    /// On [`Verdict::Needs`](crate::Verdict::Needs) the caller fetches the document, hands it to
    /// [`Source::learn`], and asks once more; if it comes to nothing, the sender gets the reception's answer.
    fn receive(&self, request: &Request<'_>) -> Reception;

    /// What a message says that came by a way which has proven its sender: a queue that only the operator's own
    /// rule can write to, the trigger of a function. `body` is the message as that way hands it over; envelopes
    /// of the ways that this provider is known to take (SNS in SQS, base64 of a storage queue) are opened.
    ///
    /// Nothing is authenticated, and the reception's answer means nothing.
    fn receive_trusted(&self, body: &[u8], now: Timestamp) -> Reception;

    /// Takes a document that [`Verdict::Needs`](crate::Verdict::Needs) asked for.
    ///
    /// # Errors
    ///
    /// Why it is not what it should be, for the log. A source that never asks takes everything.
    fn learn(&self, document: &Document, bytes: &[u8], now: Timestamp) -> Result<(), String> {
        let _ = (document, bytes, now);
        Ok(())
    }
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
    /// The part of the address's path that is there to be a secret, still encoded: the last of
    /// `/v1/events/PROVIDER/NAME/SECRET`.
    pub path_secret: Option<&'a str>,
    /// The time of the delivery, for what expires.
    pub now: Timestamp,
    /// The body.
    pub body: &'a [u8],
}

impl<'a> Request<'a> {
    /// A request without secrets in its address.
    pub fn new(method: &'a Method, headers: &'a HeaderMap, body: &'a [u8], now: Timestamp) -> Self {
        Self { method, headers, query: None, path_secret: None, now, body }
    }

    /// The same with the query part of its address.
    #[must_use]
    pub fn with_query(mut self, query: Option<&'a str>) -> Self {
        self.query = query;
        self
    }

    /// The same with a secret at the end of its path.
    #[must_use]
    pub fn with_path_secret(mut self, secret: Option<&'a str>) -> Self {
        self.path_secret = secret;
        self
    }
}

impl fmt::Debug for Request<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Headers, the query and the end of the path carry secrets.
        f.debug_struct("Request")
            .field("method", self.method)
            .field("body_len", &self.body.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_does_not_print_its_secrets() {
        let headers = HeaderMap::from_iter([(http::header::AUTHORIZATION, "Bearer s3cret".parse().unwrap())]);
        let request = Request::new(&Method::POST, &headers, b"", Timestamp::UNIX_EPOCH)
            .with_query(Some("code=s3cret"))
            .with_path_secret(Some("s3cret"));
        assert!(!format!("{request:?}").contains("s3cret"));
    }
}
