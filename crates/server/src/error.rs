//! The crate's error. Requests have answers of their own; this is about listening.

use std::fmt;
use std::io;
use std::time::Duration;

/// What went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The address cannot be listened on.
    Listen,
    /// A search is not understood.
    Query,
    /// A source of events is not configured.
    Source,
    /// A certificate or its key cannot be used.
    Certificate,
    /// A token cannot be made.
    Token,
}

/// An error of this crate; its message reads after "failed to …".
#[derive(Debug)]
pub struct Error {
    kind: ErrorKind,
    message: String,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// This crate's result.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    pub(crate) fn listen(message: impl Into<String>, source: io::Error) -> Self {
        Self { kind: ErrorKind::Listen, message: message.into(), source: Some(Box::new(source)) }
    }

    pub(crate) fn source(message: impl Into<String>) -> Self {
        Self { kind: ErrorKind::Source, message: message.into(), source: None }
    }

    pub(crate) fn certificate(message: impl Into<String>) -> Self {
        Self { kind: ErrorKind::Certificate, message: message.into(), source: None }
    }

    pub(crate) fn token(message: impl Into<String>) -> Self {
        Self { kind: ErrorKind::Token, message: message.into(), source: None }
    }

    pub(crate) fn query(message: impl Into<String>) -> Self {
        Self { kind: ErrorKind::Query, message: message.into(), source: None }
    }

    /// The same error with its cause.
    #[must_use]
    pub(crate) fn with_source(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// What went wrong.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// Whether the same call may succeed later.
    pub fn is_retryable(&self) -> bool {
        false
    }

    /// How long to wait before a retry is worth it, where that is known.
    pub fn retry_after(&self) -> Option<Duration> {
        None
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}
