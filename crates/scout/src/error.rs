//! The crate's error: a kind to branch on, a message with its context, what the service said, and whether to try
//! again.

use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

/// What went wrong, in the one word that callers branch on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The configuration cannot be used.
    Configuration,
    /// There are no credentials, they could not be read, or a credential helper failed.
    Credential,
    /// The service did not accept the credentials.
    Unauthorized,
    /// The credentials are good, but not for this.
    Denied,
    /// The organization's plan does not cover this, or its limit is reached (402).
    PlanLimit,
    /// The service knows nothing of what was asked for.
    NotFound,
    /// The service refused what it was sent, and will again.
    Rejected,
    /// Too many requests; see [`Error::retry_after`].
    RateLimited,
    /// The service answered that it cannot answer now.
    Unavailable,
    /// The connection failed or broke.
    Network,
    /// A deadline passed.
    Timeout,
    /// The client refused to go on: a redirect, or a certificate that is not trusted.
    Refused,
    /// An answer is not what the public sources say it is.
    Malformed,
    /// An answer is larger than its bound.
    LimitExceeded,
    /// This cannot be sent: a directory is no image, an image has no name.
    Unsupported,
}

impl ErrorKind {
    /// A stable identifier, for states that are stored and shown.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Configuration => "configuration",
            Self::Credential => "credential",
            Self::Unauthorized => "unauthorized",
            Self::Denied => "denied",
            Self::PlanLimit => "plan-limit",
            Self::NotFound => "not-found",
            Self::Rejected => "rejected",
            Self::RateLimited => "rate-limited",
            Self::Unavailable => "unavailable",
            Self::Network => "network",
            Self::Timeout => "timeout",
            Self::Refused => "refused",
            Self::Malformed => "malformed",
            Self::LimitExceeded => "limit-exceeded",
            Self::Unsupported => "unsupported",
        }
    }

    const fn is_transient(self) -> bool {
        matches!(self, Self::RateLimited | Self::Unavailable | Self::Network | Self::Timeout)
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// An error of this crate. Its message reads after "failed to …"; its cause is its [`source`](StdError::source).
///
/// No message carries a credential or a token.
pub struct Error(Box<Inner>);

struct Inner {
    kind: ErrorKind,
    message: String,
    hint: Option<String>,
    code: Option<String>,
    correlation_id: Option<String>,
    retryable: bool,
    retry_after: Option<Duration>,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

/// This crate's result.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// An error of `kind`. `message` is a lower-case fragment without its source's text.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self(Box::new(Inner {
            kind,
            message: message.into(),
            hint: None,
            code: None,
            correlation_id: None,
            retryable: kind.is_transient(),
            retry_after: None,
            source: None,
        }))
    }

    /// The same error with its cause.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// The same error with the operation and its object before the message.
    #[must_use]
    pub fn during(mut self, operation: impl fmt::Display) -> Self {
        self.0.message = format!("{operation}: {}", self.0.message);
        self
    }

    /// The same error with what a person can do about it.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.0.hint = Some(hint.into());
        self
    }

    /// The same error with the service's own code.
    #[must_use]
    pub fn with_code(mut self, code: Option<String>) -> Self {
        self.0.code = code;
        self
    }

    /// The same error with the ID under which the service or this client knows the call.
    #[must_use]
    pub fn with_correlation_id(mut self, id: Option<String>) -> Self {
        self.0.correlation_id = id;
        self
    }

    /// The same error with the time that the service asked to wait.
    #[must_use]
    pub fn with_retry_after(mut self, wait: Option<Duration>) -> Self {
        self.0.retry_after = wait;
        self
    }

    /// What went wrong.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// What a person can do about it.
    pub fn hint(&self) -> Option<&str> {
        self.0.hint.as_deref()
    }

    /// The service's code for it, `DOWNSTREAM_SERVICE_ERROR` for instance.
    pub fn code(&self) -> Option<&str> {
        self.0.code.as_deref()
    }

    /// The ID that Docker's support can find the call by.
    pub fn correlation_id(&self) -> Option<&str> {
        self.0.correlation_id.as_deref()
    }

    /// Whether the same call may succeed later. The client has already retried within its own bounds.
    pub fn is_retryable(&self) -> bool {
        self.0.retryable
    }

    /// How long the service asked to be left alone, where it said so.
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.retry_after
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { kind, message, hint, code, correlation_id, retryable, retry_after, source } = &*self.0;
        f.debug_struct("Error")
            .field("kind", kind)
            .field("message", message)
            .field("hint", hint)
            .field("code", code)
            .field("correlation_id", correlation_id)
            .field("retryable", retryable)
            .field("retry_after", retry_after)
            .field("source", source)
            .finish()
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_deref().map(|source| source as _)
    }
}
