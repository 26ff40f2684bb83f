//! One request on its way: no redirects, capped answers, deadlines, repetition. It knows nothing of credentials but the
//! header that it is handed.

use std::error::Error as StdError;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use jiff::Timestamp;
use reqwest::redirect::Policy;
use tokio::sync::Semaphore;
use tokio::time::Instant;
use tracing::debug;
use url::Url;

use crate::secret::printable;
use crate::{Deadlines, Error, ErrorKind, Result, Retry, ScoutConfig, tls};

/// Bytes of a refusal that are read. What is shown of it is a line.
const REFUSAL: usize = 64 << 10;
/// Longest time that the service is believed to want to be left alone. A header of ten years is a mistake.
const LONGEST: Duration = Duration::from_secs(3600);
/// What each request says of its sender; Docker's own clients send the same header (`docker/index-cli-plugin`
/// `query/query.go`).
const CLIENT: &str = concat!("supercargo/", env!("CARGO_PKG_VERSION"));

static DOCKER_CLIENT: HeaderName = HeaderName::from_static("x-docker-client");

/// A request that can be sent again.
#[derive(Debug)]
pub(crate) struct Call<'a> {
    /// What it is for; an error's message begins with it.
    pub(crate) operation: &'a str,
    pub(crate) method: Method,
    pub(crate) url: &'a Url,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    /// Bytes of the answer that are taken.
    pub(crate) cap: usize,
}

impl<'a> Call<'a> {
    pub(crate) fn get(operation: &'a str, url: &'a Url) -> Self {
        Self { operation, method: Method::GET, url, headers: HeaderMap::new(), body: Bytes::new(), cap: 8 << 20 }
    }

    pub(crate) fn post_json(operation: &'a str, url: &'a Url, body: impl Into<Bytes>) -> Self {
        let headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static("application/json"))]);
        Self { operation, method: Method::POST, url, headers, body: body.into(), cap: 8 << 20 }
    }
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) body: Bytes,
    retry_after: Option<Duration>,
    host: String,
}

#[derive(Debug)]
pub(crate) struct Http {
    client: reqwest::Client,
    retry: Retry,
    deadlines: Deadlines,
    places: Semaphore,
    /// Until when the service asked to be left alone. One answer of 429 holds back every request.
    paused: Mutex<Option<Instant>>,
}

impl Http {
    pub(crate) fn new(config: &ScoutConfig) -> Result<Self> {
        let bad = |what: &str| Error::new(ErrorKind::Configuration, what);
        let mut builder = reqwest::Client::builder()
            .tls_backend_preconfigured(tls::client_config(config.ca_bundle.as_deref())?)
            .redirect(Policy::none())
            .referer(false)
            .http1_only()
            .user_agent(CLIENT)
            .connect_timeout(config.deadlines.connect)
            .no_proxy();
        if let Some(proxy) = &config.proxy {
            // The parser's own message would show the password.
            let url = Url::parse(proxy.expose()).map_err(|_| bad("read proxy: it is not an address"))?;
            let except = config.no_proxy.as_deref().and_then(reqwest::NoProxy::from_string);
            let proxy = reqwest::Proxy::all(url).map_err(|_| bad("read proxy: it is not an http:// address"))?;
            builder = builder.proxy(proxy.no_proxy(except));
        }
        Ok(Self {
            client: builder.build().map_err(|error| bad("set up the client").with_source(error))?,
            retry: config.retry,
            deadlines: config.deadlines,
            places: Semaphore::new(config.concurrency.max(1)),
            paused: Mutex::new(None),
        })
    }

    /// Sends `call`, again where that may help. Every answer that is not a call to wait is an `Ok`.
    pub(crate) async fn send(&self, call: &Call<'_>, authorization: Option<&HeaderValue>) -> Result<Answer> {
        let mut failed = 0;
        loop {
            let outcome = self.send_once(call, authorization).await;
            failed += 1;
            let error = match outcome {
                Ok(answer) if is_transient(answer.status) => {
                    let asked = answer.retry_after;
                    if let Some(wait) = asked.filter(|_| answer.status == StatusCode::TOO_MANY_REQUESTS) {
                        self.pause(wait.min(self.retry.patience));
                    }
                    answer.into_error()
                }
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            let asked = error.retry_after();
            if failed >= self.retry.attempts
                || !error.is_retryable()
                || asked.is_some_and(|wait| wait > self.retry.patience)
            {
                return Err(error.during(call.operation));
            }
            let wait = asked.unwrap_or_default().max(self.retry.backoff(failed));
            debug!(operation = call.operation, %error, ?wait, "request will be sent again");
            tokio::time::sleep(wait).await;
        }
    }

    async fn send_once(&self, call: &Call<'_>, authorization: Option<&HeaderValue>) -> Result<Answer> {
        let _place = self.places.acquire().await.map_err(|_| Error::new(ErrorKind::Network, "the client is gone"))?;
        let paused = *self.paused.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(until) = paused {
            tokio::time::sleep_until(until).await;
        }
        let host = call.url.host_str().unwrap_or_default();
        match tokio::time::timeout(self.deadlines.answer, self.exchange(call, authorization)).await {
            Ok(outcome) => outcome,
            Err(_) => Err(Error::new(ErrorKind::Timeout, format!("{host} does not answer"))),
        }
    }

    async fn exchange(&self, call: &Call<'_>, authorization: Option<&HeaderValue>) -> Result<Answer> {
        let host = call.url.host_str().unwrap_or_default();
        let mut request = reqwest::Request::new(call.method.clone(), call.url.clone());
        let headers = request.headers_mut();
        headers.extend(call.headers.clone());
        headers.insert(DOCKER_CLIENT.clone(), HeaderValue::from_static(CLIENT));
        if let Some(value) = authorization {
            headers.insert(AUTHORIZATION, value.clone());
        }
        if !call.body.is_empty() {
            *request.body_mut() = Some(call.body.clone().into());
        }
        let mut response = self.client.execute(request).await.map_err(|error| transport_error(host, error))?;
        let status = response.status();
        if status.is_redirection() {
            // What leads elsewhere would take the token along.
            return Err(Error::new(ErrorKind::Refused, format!("{host} redirects to another address")));
        }
        if response.headers().get(CONTENT_ENCODING).is_some_and(|value| value.as_bytes() != b"identity") {
            return Err(Error::new(ErrorKind::Malformed, format!("{host} compressed its answer, unasked")));
        }
        let retry_after = retry_after(response.headers(), Timestamp::now());
        let cap = if status.is_success() { call.cap } else { REFUSAL };
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| transport_error(host, error))? {
            let room = cap - body.len();
            if chunk.len() > room && status.is_success() {
                return Err(Error::new(ErrorKind::LimitExceeded, format!("{host} answered more than {cap} bytes")));
            }
            body.extend_from_slice(&chunk[..chunk.len().min(room)]);
            if body.len() == cap && !status.is_success() {
                break;
            }
        }
        Ok(Answer { status, body: body.into(), retry_after, host: host.to_owned() })
    }

    fn pause(&self, wait: Duration) {
        let until = Instant::now() + wait;
        let mut paused = self.paused.lock().unwrap_or_else(PoisonError::into_inner);
        *paused = Some(paused.map_or(until, |known| known.max(until)));
    }
}

impl Answer {
    /// The error that a refusing answer stands for.
    pub(crate) fn into_error(self) -> Error {
        let Self { status, body, retry_after, host } = self;
        let kind = kind_of(status.as_u16());
        let code = status.as_u16();
        let said = explanation(&body);
        let message = match &said.message {
            Some(text) => format!("{host} answered {code} ({text})"),
            None => format!("{host} answered {code}"),
        };
        let error = Error::new(kind, message)
            .with_retry_after(retry_after)
            .with_code(said.code)
            .with_correlation_id(said.correlation_id);
        if said.is_page {
            // Seen in public (docker/scout-action issue 46): the front end refuses what it takes for an attack.
            return error.with_hint("the answer is a web page, so it comes from a firewall or a proxy in between");
        }
        error
    }
}

/// The kind of error that a status stands for, over HTTP and within GraphQL alike.
pub(crate) fn kind_of(status: u16) -> ErrorKind {
    match status {
        401 => ErrorKind::Unauthorized,
        402 => ErrorKind::PlanLimit,
        403 => ErrorKind::Denied,
        404 | 410 => ErrorKind::NotFound,
        408 | 499 => ErrorKind::Unavailable,
        429 => ErrorKind::RateLimited,
        // 501 and 505 are permanent, though of the 5xx family.
        501 | 505 => ErrorKind::Rejected,
        500..=599 => ErrorKind::Unavailable,
        400..=499 => ErrorKind::Rejected,
        _ => ErrorKind::Malformed,
    }
}

/// Whether an answer asks for the request to be sent again later. 499 and 522 come from proxies before services.
fn is_transient(status: StatusCode) -> bool {
    matches!(status.as_u16(), 408 | 429 | 499 | 500 | 502 | 503 | 504 | 522)
}

/// What a refusal says.
#[derive(Debug, Default)]
struct Explanation {
    message: Option<String>,
    code: Option<String>,
    correlation_id: Option<String>,
    is_page: bool,
}

/// The words of a refusal. The services of Docker Hub write `message`, `detail` or `errinfo`; gateways `error`.
fn explanation(body: &[u8]) -> Explanation {
    let Ok(value) = serde_json::from_slice::<serde_json::Value>(body) else {
        let is_page = body.trim_ascii_start().starts_with(b"<");
        return Explanation { is_page, ..Explanation::default() };
    };
    let text = |key: &str| value.get(key).and_then(serde_json::Value::as_str).filter(|text| !text.is_empty());
    let first = ["message", "detail", "error_description", "error"].into_iter().find_map(text);
    Explanation {
        message: first.map(|text| printable(text, 300)),
        code: text("code").map(|text| printable(text, 80)),
        correlation_id: text("correlation_id").map(|text| printable(text, 80)),
        is_page: false,
    }
}

/// Sorts an error of the HTTP client.
fn transport_error(host: &str, error: reqwest::Error) -> Error {
    let kind = if error.is_timeout() { ErrorKind::Timeout } else { ErrorKind::Network };
    let what = if error.is_connect() { "connect to" } else { "exchange messages with" };
    let error = error.without_url();
    if is_certificate_error(&error) {
        return Error::new(ErrorKind::Refused, format!("{what} {host}: its certificate is not trusted"))
            .with_source(error)
            .with_hint("name the bundle of the certificate authority in between");
    }
    Error::new(kind, format!("{what} {host}")).with_source(error)
}

/// A certificate that is not trusted now will not be in a minute. `General` is what the verifier says when the machine
/// has no certificates to compare with. `io::Error` passes over what it wraps when asked for its source.
fn is_certificate_error(error: &(dyn StdError + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(current) = cause {
        if let Some(error) = current.downcast_ref::<rustls::Error>() {
            return matches!(error, rustls::Error::InvalidCertificate(_) | rustls::Error::General(_));
        }
        let wrapped = current.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        cause = match wrapped {
            Some(wrapped) => Some(wrapped as &(dyn StdError + 'static)),
            None => current.source(),
        };
    }
    false
}

impl Retry {
    /// The wait before the attempt after `failed` failed ones: random below its bound (full jitter), so that workers
    /// that failed together do not come back together.
    fn backoff(&self, failed: u32) -> Duration {
        let doubled = 1u32.checked_shl(failed.saturating_sub(1)).unwrap_or(u32::MAX);
        let ceiling = self.base.saturating_mul(doubled).min(self.cap);
        // Without a source of randomness the ceiling is as good a wait as any.
        let fraction = getrandom::u32().map_or(1.0, |random| f64::from(random) / f64::from(u32::MAX));
        ceiling.mul_f64(fraction)
    }
}

/// `Retry-After` in either of its forms (RFC 9110 §10.2.3), capped. `None` if absent or unreadable.
fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
        // More digits than a u64 holds are still a number, and a large one.
        let seconds = text.parse::<u64>().unwrap_or(u64::MAX);
        return Some(Duration::from_secs(seconds).min(LONGEST));
    }
    let date = jiff::fmt::rfc2822::parse(text).ok()?.timestamp();
    let seconds = date.as_second().saturating_sub(now.as_second()).max(0);
    Some(Duration::from_secs(seconds.unsigned_abs()).min(LONGEST))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_of_retry_after() {
        let now: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let check = |header: &str, expected: Option<u64>| {
            let headers = HeaderMap::from_iter([(RETRY_AFTER, header.parse().unwrap())]);
            assert_eq!(retry_after(&headers, now), expected.map(Duration::from_secs), "{header:?}");
        };
        check("0", Some(0));
        check(" 7 ", Some(7));
        check("99999999999999999999999999", Some(3600));
        check("-5", None);
        check("soon", None);
        check("", None);
        check("Thu, 01 Jan 2026 00:00:20 GMT", Some(20));
        check("Wed, 31 Dec 2025 00:00:00 GMT", Some(0));
        assert_eq!(retry_after(&HeaderMap::new(), now), None);
    }

    #[test]
    fn refusals_speak_with_the_services_words() {
        let check = |status: u16, body: &'static str, kind: ErrorKind, message: &str| {
            let status = StatusCode::from_u16(status).unwrap();
            let answer = Answer { status, body: body.into(), retry_after: None, host: "api.test".into() };
            let error = answer.into_error();
            assert_eq!((error.kind(), error.to_string().as_str()), (kind, message));
            error
        };
        check(
            401,
            r#"{"detail":"Incorrect credentials"}"#,
            ErrorKind::Unauthorized,
            "api.test answered 401 (Incorrect credentials)",
        );
        check(402, "", ErrorKind::PlanLimit, "api.test answered 402");
        check(400, r#"{"error":"bad \u001b[1mEDN"}"#, ErrorKind::Rejected, "api.test answered 400 (bad [1mEDN)");
        check(501, "null", ErrorKind::Rejected, "api.test answered 501");
        check(204, "", ErrorKind::Malformed, "api.test answered 204");
        let page = check(403, "\n<html><body>blocked", ErrorKind::Denied, "api.test answered 403");
        assert!(page.hint().unwrap().contains("firewall"));
        let known =
            check(503, r#"{"correlation_id":"c1","code":"DOWN"}"#, ErrorKind::Unavailable, "api.test answered 503");
        assert_eq!((known.correlation_id(), known.code()), (Some("c1"), Some("DOWN")));
    }

    #[test]
    fn waits_stay_under_their_bounds() {
        let retry = Retry { base: Duration::from_millis(100), cap: Duration::from_secs(1), ..Retry::default() };
        assert!((1..80).all(|failed| retry.backoff(failed) <= Duration::from_secs(1)));
        assert!((0..50).all(|_| retry.backoff(1) <= Duration::from_millis(100)));
    }
}
