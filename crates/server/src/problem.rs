//! Errors as `application/problem+json` (RFC 9457).

use std::time::Duration;

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;
use supercargo_engine::{ErrorKind, store};
use utoipa::ToSchema;

/// An error as a client sees it. What went wrong inside is logged, not told: it may name files and hosts.
#[derive(Debug)]
pub(crate) struct Problem {
    status: StatusCode,
    /// A sentence for a person.
    detail: String,
    retry_after: Option<Duration>,
}

/// An error (RFC 9457), as `application/problem+json`.
#[derive(Serialize, ToSchema)]
#[schema(as = ProblemDetails)]
pub(crate) struct Body<'a> {
    /// What the status means.
    title: &'a str,
    /// The status.
    status: u16,
    /// What is wrong, for a person to read.
    detail: &'a str,
}

impl Problem {
    pub(crate) fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self { status, detail: detail.into(), retry_after: None }
    }

    pub(crate) fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, detail)
    }

    pub(crate) fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, detail)
    }

    /// A word for the metric of deliveries.
    pub(crate) fn outcome(&self) -> &'static str {
        match self.status {
            StatusCode::SERVICE_UNAVAILABLE => "overloaded",
            StatusCode::PAYLOAD_TOO_LARGE => "too-large",
            _ => "broken-off",
        }
    }

    /// 503: the same request may succeed after `wait`.
    pub(crate) fn unavailable(detail: impl Into<String>, wait: Duration) -> Self {
        Self { retry_after: Some(wait), ..Self::new(StatusCode::SERVICE_UNAVAILABLE, detail) }
    }
}

impl From<supercargo_engine::Error> for Problem {
    fn from(error: supercargo_engine::Error) -> Self {
        if error.kind() == ErrorKind::Registry {
            tracing::info!(error = &error as &dyn std::error::Error, "registry asked in vain");
            return Self { retry_after: error.retry_after(), ..Self::new(StatusCode::BAD_GATEWAY, chain(&error)) };
        }
        if error.is_retryable() {
            tracing::warn!(error = &error as &dyn std::error::Error, "engine unavailable");
            let wait = error.retry_after().unwrap_or(Duration::from_secs(1));
            return Self::unavailable("the store does not answer at the moment", wait);
        }
        let kind = error.kind();
        if matches!(kind, ErrorKind::Configuration | ErrorKind::NotFound | ErrorKind::Conflict) {
            let status = match kind {
                ErrorKind::NotFound => StatusCode::NOT_FOUND,
                ErrorKind::Conflict => StatusCode::CONFLICT,
                _ => StatusCode::BAD_REQUEST,
            };
            return Self::new(status, chain(&error));
        }
        if kind == ErrorKind::Sealed {
            tracing::warn!(error = &error as &dyn std::error::Error, "credentials cannot be used");
            return Self::new(StatusCode::CONFLICT, "the credentials were sealed with another key: set them again");
        }
        tracing::error!(error = &error as &dyn std::error::Error, "engine failed");
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "it failed; the log says why")
    }
}

impl From<store::Error> for Problem {
    fn from(error: store::Error) -> Self {
        match error.kind() {
            store::ErrorKind::NotFound => Self::not_found("there is no such entry"),
            store::ErrorKind::Invalid => Self::bad_request(error.to_string()),
            store::ErrorKind::Conflict => Self::new(StatusCode::CONFLICT, error.to_string()),
            store::ErrorKind::Stale => {
                Self::new(StatusCode::CONFLICT, "somebody else has changed it meanwhile; try again")
            }
            _ if error.is_retryable() => {
                tracing::warn!(%error, "store unavailable");
                let wait = error.retry_after().unwrap_or(Duration::from_secs(1));
                Self::unavailable("the store does not answer at the moment", wait)
            }
            _ => {
                tracing::error!(error = &error as &dyn std::error::Error, "store failed");
                Self::new(StatusCode::INTERNAL_SERVER_ERROR, "the store failed; the log says why")
            }
        }
    }
}

impl From<crate::Error> for Problem {
    fn from(error: crate::Error) -> Self {
        Self::bad_request(error.to_string())
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let title = self.status.canonical_reason().unwrap_or("Error");
        let body = Body { title, status: self.status.as_u16(), detail: &self.detail };
        let body = serde_json::to_vec(&body).expect("strings and a number serialise");
        let mut response = (self.status, body).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(wait) = self.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(wait.as_secs().max(1)));
        }
        response
    }
}

/// The error with its causes, for whoever made a mistake.
fn chain(error: &dyn std::error::Error) -> String {
    let mut told = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        told.push_str(": ");
        told.push_str(&error.to_string());
        cause = error.source();
    }
    told
}
