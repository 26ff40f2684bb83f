//! The crate's error: a kind to branch on, a message with its context, a cause, and whether to try again.

use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

/// What went wrong, in the one word that callers branch on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The configuration cannot be used; see [`Error::problems`].
    Configuration,
    /// Credentials could not be read, or a credential helper failed.
    Credential,
    /// The registry wants credentials, or did not accept those it was given.
    Unauthorized,
    /// The credentials are good, but not for this.
    Denied,
    /// No such repository, tag, manifest or blob.
    NotFound,
    /// Too many requests; see [`Error::retry_after`].
    RateLimited,
    /// The registry answered that it cannot answer now (5xx, 408).
    Unavailable,
    /// The connection failed or broke.
    Network,
    /// A deadline passed: to connect, to answer, or to make progress with a body.
    Timeout,
    /// The transport refused to send: a redirect, a token address or a link points where it must not.
    Refused,
    /// Bytes do not have the digest or the size they were asked for by.
    DigestMismatch,
    /// An answer, a document or an archive breaks its format.
    Malformed,
    /// An answer or a list is larger than its stated bound.
    LimitExceeded,
    /// Well-formed, but nothing that this adapter or supercargo handles.
    Unsupported,
    /// A local file could not be read.
    Io,
}

impl ErrorKind {
    /// A stable identifier, for states that are stored and shown.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Configuration => "configuration",
            Self::Credential => "credential",
            Self::Unauthorized => "unauthorized",
            Self::Denied => "denied",
            Self::NotFound => "not-found",
            Self::RateLimited => "rate-limited",
            Self::Unavailable => "unavailable",
            Self::Network => "network",
            Self::Timeout => "timeout",
            Self::Refused => "refused",
            Self::DigestMismatch => "digest-mismatch",
            Self::Malformed => "malformed",
            Self::LimitExceeded => "limit-exceeded",
            Self::Unsupported => "unsupported",
            Self::Io => "io",
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

/// One thing that is wrong with a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The key it is about.
    pub key: String,
    /// What is wrong with it.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.key, self.message)
    }
}

/// An error of this crate. Its message reads after "failed to …"; its cause is its [`source`](StdError::source).
///
/// Addresses in messages carry neither user information nor query, and no message carries a credential.
pub struct Error(Box<Inner>);

struct Inner {
    kind: ErrorKind,
    message: String,
    hint: Option<String>,
    problems: Vec<Problem>,
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
            problems: Vec::new(),
            retryable: kind.is_transient(),
            retry_after: None,
            source: None,
        }))
    }

    /// All that is wrong with a configuration, in one error.
    pub fn from_problems(problems: Vec<Problem>) -> Self {
        let listed: Vec<String> = problems.iter().map(Problem::to_string).collect();
        let mut error = Self::new(ErrorKind::Configuration, listed.join("; "));
        error.0.problems = problems;
        error
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

    /// The same error with the time that the registry asked to wait.
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

    /// The single problems of a configuration; empty for errors of another kind.
    pub fn problems(&self) -> &[Problem] {
        &self.0.problems
    }

    /// Whether the same call may succeed later. The client has already retried within its own bounds.
    pub fn is_retryable(&self) -> bool {
        self.0.retryable
    }

    /// How long the registry asked to be left alone, where it said so.
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.retry_after
    }

    /// A defect of this process rather than of the registry: a blocking task that did not end.
    pub(crate) fn from_join(error: tokio::task::JoinError) -> Self {
        Self::new(ErrorKind::Io, "run a blocking read").with_source(error)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { kind, message, hint, problems: _, retryable, retry_after, source } = &*self.0;
        f.debug_struct("Error")
            .field("kind", kind)
            .field("message", message)
            .field("hint", hint)
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
