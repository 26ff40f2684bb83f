//! Failing on demand.

use std::time::Duration;

use http::StatusCode;
use http::request::Parts;

/// Requests that fail, and how.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use supercargo_testkit::ScoutFault;
///
/// // The third upload takes effect, and its answer is lost.
/// let cut = ScoutFault::cut_after_effect().on_path("/skills/remote/").with_skipped(2);
/// // Every query is refused for a second.
/// let busy = ScoutFault::status(429).on_path("/graphql").with_times(usize::MAX).with_retry_after(Duration::from_secs(1));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScoutFault {
    pub(super) effect: Effect,
    times: usize,
    skipped: usize,
    path_part: Option<String>,
    pub(super) retry_after: Option<Duration>,
}

/// How a request fails.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Effect {
    /// It is answered with a status and takes no effect.
    Status(StatusCode),
    /// It takes effect, and the connection is cut before the answer.
    CutAfter,
    /// The connection is cut once it has been read, and it takes no effect.
    CutBefore,
    /// It is answered with 200 and a GraphQL error.
    Graphql { code: String, status: Option<u16> },
}

impl ScoutFault {
    fn new(effect: Effect) -> Self {
        Self { effect, times: 1, skipped: 0, path_part: None, retry_after: None }
    }

    /// Answers the next request with `status`.
    pub fn status(status: u16) -> Self {
        Self::new(Effect::Status(StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)))
    }

    /// Does what the next request asks for, then cuts the connection instead of answering.
    pub fn cut_after_effect() -> Self {
        Self::new(Effect::CutAfter)
    }

    /// Reads the next request, then cuts the connection.
    pub fn cut() -> Self {
        Self::new(Effect::CutBefore)
    }

    /// Answers the next query with an error of this code, and a status if there is to be one.
    pub fn graphql(code: impl Into<String>, status: Option<u16>) -> Self {
        Self::new(Effect::Graphql { code: code.into(), status }).on_path("/graphql")
    }

    /// Sets how many requests fail.
    pub fn with_times(mut self, times: usize) -> Self {
        self.times = times;
        self
    }

    /// Lets so many requests that would fail pass before.
    pub fn with_skipped(mut self, requests: usize) -> Self {
        self.skipped = requests;
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
        self.times > 0 && self.path_part.as_deref().is_none_or(|part| parts.uri.path().contains(part))
    }
}

/// Everything that is made to fail at present.
#[derive(Debug, Default)]
pub(super) struct Faults {
    pub(super) planned: Vec<ScoutFault>,
    pub(super) latency: Duration,
}

impl Faults {
    /// The failure that is due for this request.
    pub(super) fn next(&mut self, parts: &Parts) -> Option<ScoutFault> {
        let fault = self.planned.iter_mut().find(|fault| fault.matches(parts))?;
        if fault.skipped > 0 {
            fault.skipped -= 1;
            return None;
        }
        fault.times -= 1;
        let due = fault.clone();
        self.planned.retain(|fault| fault.times > 0);
        Some(due)
    }
}
