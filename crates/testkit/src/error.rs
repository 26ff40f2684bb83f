//! The error type of this crate.

use std::time::Duration;

/// A result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong, for callers that decide by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A file, a socket or a stream failed.
    Io,
    /// The other side answered with a status that ends the operation.
    Refused,
    /// The other side answered with something that is not the protocol.
    Protocol,
    /// An argument cannot be used.
    Invalid,
    /// A condition was not met within its limit.
    Timeout,
}

/// A failure to build, write or push an image, or to start the server.
///
/// The message reads after "failed to …" and does not repeat its source.
#[derive(Debug, thiserror::Error)]
#[error("{operation}{}", context_suffix(.context))]
pub struct Error {
    kind: ErrorKind,
    operation: &'static str,
    context: String,
    retry_after: Option<Duration>,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    pub(crate) fn new(kind: ErrorKind, operation: &'static str, context: impl Into<String>) -> Self {
        Self { kind, operation, context: context.into(), retry_after: None, source: None }
    }

    pub(crate) fn io(operation: &'static str, context: impl Into<String>, source: std::io::Error) -> Self {
        Self { source: Some(Box::new(source)), ..Self::new(ErrorKind::Io, operation, context) }
    }

    pub(crate) fn with_source(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    pub(crate) fn with_retry_after(mut self, after: Option<Duration>) -> Self {
        self.retry_after = after;
        self
    }

    /// What went wrong.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// Whether the same call may succeed later: sockets come back, refusals stay.
    pub fn is_retryable(&self) -> bool {
        self.retry_after.is_some() || matches!(self.kind, ErrorKind::Io | ErrorKind::Timeout)
    }

    /// How long the other side asked to wait.
    pub fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }
}

fn context_suffix(context: &str) -> String {
    if context.is_empty() { String::new() } else { format!(": {context}") }
}
