//! What was asked of the server.

use std::collections::VecDeque;

use http::header::{ACCEPT, AUTHORIZATION, RANGE, USER_AGENT};
use http::request::Parts;
use http::{HeaderName, StatusCode};

/// Requests that are kept: a demo that runs for days must not grow.
const KEPT: usize = 100_000;

/// A request and how it was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RequestRecord {
    /// The method.
    pub method: String,
    /// The path, without the query.
    pub path: String,
    /// The query, without `?`; empty if there was none.
    pub query: String,
    /// The status of the answer.
    pub status: u16,
    /// The scheme of the `Authorization` header (`Basic`, `Bearer`); never what follows it.
    pub authorization: Option<String>,
    /// The `Accept` headers, joined by commas.
    pub accept: Option<String>,
    /// The `Range` header.
    pub range: Option<String>,
    /// The `User-Agent` header.
    pub user_agent: Option<String>,
}

impl RequestRecord {
    pub(crate) fn new(parts: &Parts, status: StatusCode) -> Self {
        let text = |name: HeaderName| {
            let values: Vec<_> = parts.headers.get_all(name).iter().filter_map(|value| value.to_str().ok()).collect();
            (!values.is_empty()).then(|| values.join(","))
        };
        Self {
            method: parts.method.to_string(),
            path: parts.uri.path().into(),
            query: parts.uri.query().unwrap_or_default().into(),
            status: status.as_u16(),
            authorization: text(AUTHORIZATION).and_then(|value| value.split(' ').next().map(str::to_owned)),
            accept: text(ACCEPT),
            range: text(RANGE),
            user_agent: text(USER_AGENT),
        }
    }
}

/// The latest requests, oldest first.
#[derive(Debug, Default)]
pub(crate) struct RequestLog {
    records: VecDeque<RequestRecord>,
}

impl RequestLog {
    pub(crate) fn push(&mut self, record: RequestRecord) {
        if self.records.len() == KEPT {
            self.records.pop_front();
        }
        self.records.push_back(record);
    }

    pub(crate) fn clear(&mut self) {
        self.records.clear();
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &RequestRecord> {
        self.records.iter()
    }
}
