//! What sinks behind HTTP have in common: sending once, and reading the answer's class.

use std::error::Error as _;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderName};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use supercargo_registry::{ErrorKind as TransportKind, Outbound, Secret, retry_after};
use url::Url;

use crate::{Error, ErrorKind, Result};

/// Characters of an answer that are quoted. Enough for a sentence, not for a page of HTML.
const QUOTED: usize = 300;

/// A request to a sink.
#[derive(Clone, Debug)]
pub(super) struct Call {
    pub(super) method: Method,
    pub(super) url: Url,
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
    pub(super) content_type: &'static str,
    pub(super) body: Bytes,
}

impl Call {
    pub(super) fn new(method: Method, url: Url) -> Self {
        Self { method, url, headers: Vec::new(), content_type: "application/json", body: Bytes::new() }
    }

    pub(super) fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    pub(super) fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }
}

/// A header that holds a secret: it is left out of `Debug`.
pub(super) fn secret_header(secret: &Secret) -> Result<HeaderValue> {
    let mut value = HeaderValue::from_str(secret.expose())
        .map_err(|_| Error::new(ErrorKind::Configuration, "use the key: it holds characters that no header may"))?;
    value.set_sensitive(true);
    Ok(value)
}

/// Sends; every answer is an `Ok`.
pub(super) async fn send(client: &Outbound, call: Call) -> Result<Response<Bytes>> {
    let mut request = Request::builder().method(call.method).uri(call.url.as_str());
    if !call.body.is_empty() {
        request = request.header(CONTENT_TYPE, call.content_type);
    }
    for (name, value) in call.headers {
        request = request.header(name, value);
    }
    let request = request
        .body(call.body)
        .map_err(|error| Error::new(ErrorKind::Configuration, "use the address of the sink").with_source(error))?;
    client.send(request).await.map_err(|error| transport(&error))
}

fn transport(error: &supercargo_registry::Error) -> Error {
    let kind = match error.kind() {
        TransportKind::Network | TransportKind::Timeout => ErrorKind::Unreachable,
        // An address that must not be connected to, a certificate that is not trusted.
        _ => ErrorKind::Denied,
    };
    let message = match error.hint() {
        Some(hint) => format!("{error} (hint: {hint})"),
        None => error.to_string(),
    };
    let wrapped = Error::new(kind, message);
    // The transport's error is told already; what it was made of is not.
    match error.source() {
        Some(cause) => wrapped.with_source(cause.to_string()),
        None => wrapped,
    }
}

/// The class of an answer that is no success.
pub(super) fn refusal(what: &str, answer: &Response<Bytes>) -> Error {
    let status = answer.status();
    let kind = match status.as_u16() {
        410 => ErrorKind::Closed,
        429 => ErrorKind::Busy,
        // A proxy in front of the receiver, which is short of breath (Standard Webhooks, "Delivery").
        502 | 504 => ErrorKind::Unreachable,
        408 | 425 | 500..=599 => ErrorKind::Unreachable,
        300..=399 | 401 | 403 | 404 | 405 | 407 => ErrorKind::Denied,
        _ => ErrorKind::Rejected,
    };
    let mut message = format!("{what}: it answers {}", status.as_u16());
    if status.is_redirection() {
        message.push_str(", and redirects are not followed");
    }
    let said = quote(answer);
    if !said.is_empty() {
        message.push_str(&format!(" ({said})"));
    }
    Error::new(kind, message).with_retry_after(retry_after(answer.headers()))
}

/// What an answer says, short and on one line.
pub(super) fn quote(answer: &Response<Bytes>) -> String {
    let text = String::from_utf8_lossy(answer.body());
    let line: Vec<&str> = text.split_whitespace().collect();
    let mut said: String = line.join(" ").chars().filter(|c| !c.is_control()).take(QUOTED).collect();
    if text.chars().count() > QUOTED {
        said.push('…');
    }
    said
}

pub(super) fn is_success(status: StatusCode) -> bool {
    status.is_success()
}

/// An address as it may be shown: a webhook's path is often its password.
pub(super) fn shown(url: &Url) -> String {
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    format!("{}://{}{port}", url.scheme(), url.host_str().unwrap_or_default())
}
