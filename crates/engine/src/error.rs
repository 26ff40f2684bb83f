//! The crate's error: a kind to branch on, a message, a cause.

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// What went wrong, in the one word that callers branch on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The engine was put together in a way that cannot work.
    Configuration,
    /// The store failed.
    Store,
    /// The engine is stopping and takes nothing more.
    Stopping,
    /// The engine runs already.
    Running,
    /// The registry or the repository is not watched.
    NotWatched,
    /// A sink cannot be reached, or says that it cannot answer now.
    Unreachable,
    /// A sink asks to be left alone for a while; see [`Error::retry_after`].
    Busy,
    /// A sink does not let us in: wrong credentials, a wrong address. That is the configuration's fault, not the
    /// delivery's.
    Denied,
    /// A sink will not take this delivery, however often it is offered.
    Rejected,
    /// A sink wants nothing any more.
    Closed,
    /// Too much is under way; the same call may succeed in a moment.
    Overloaded,
    /// A document that decides about a delivery could not be had.
    Document,
    /// What is sealed cannot be opened: it was sealed with another key, or changed.
    Sealed,
    /// There is nothing of this name.
    NotFound,
    /// The name or the registry is another's already.
    Conflict,
    /// A registry did not answer a question that somebody asked by way of us.
    Registry,
}

impl ErrorKind {
    /// A stable identifier, for logs and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Configuration => "configuration",
            Self::Store => "store",
            Self::Stopping => "stopping",
            Self::Running => "running",
            Self::NotWatched => "not-watched",
            Self::Unreachable => "unreachable",
            Self::Busy => "busy",
            Self::Denied => "denied",
            Self::Rejected => "rejected",
            Self::Closed => "closed",
            Self::Overloaded => "overloaded",
            Self::Document => "document",
            Self::Sealed => "sealed",
            Self::NotFound => "not-found",
            Self::Conflict => "conflict",
            Self::Registry => "registry",
        }
    }
}

/// An error of this crate. Its message reads after "failed to …"; its cause is its [`source`](StdError::source).
///
/// What goes wrong with a registry or an image that is watched is not an error here: it is a state of that registry or image. A
/// [`Sink`](crate::Sink) makes errors of the last kinds, and they become states of the sink or the delivery.
#[derive(Debug)]
pub struct Error {
    kind: ErrorKind,
    message: String,
    retryable: bool,
    retry_after: Option<Duration>,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

/// This crate's result.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// An error of `kind`. `message` is a lower-case fragment without its source's text.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        use ErrorKind::{Busy, Denied, Overloaded, Stopping, Unreachable};
        let retryable = matches!(kind, Stopping | Overloaded | Unreachable | Busy | Denied);
        Self { kind, message: message.into(), retryable, retry_after: None, source: None }
    }

    /// The same with its cause.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// The same with the time that a sink asked to be left alone for.
    #[must_use]
    pub fn with_retry_after(mut self, wait: Option<Duration>) -> Self {
        self.retry_after = wait;
        self
    }

    pub(crate) fn store(operation: &str, source: supercargo_store::Error) -> Self {
        let kind = match source.kind() {
            supercargo_store::ErrorKind::NotFound => ErrorKind::NotFound,
            supercargo_store::ErrorKind::Conflict => ErrorKind::Conflict,
            supercargo_store::ErrorKind::Invalid => ErrorKind::Configuration,
            _ => ErrorKind::Store,
        };
        Self {
            kind,
            message: operation.to_owned(),
            retryable: source.is_retryable(),
            retry_after: None,
            source: Some(Box::new(source)),
        }
    }

    /// An error of the store that several calls fail with.
    pub(crate) fn shared(operation: &str, source: Arc<supercargo_store::Error>) -> Self {
        Self {
            retry_after: None,
            kind: ErrorKind::Store,
            message: operation.to_owned(),
            retryable: source.is_retryable(),
            source: Some(Box::new(source)),
        }
    }

    pub(crate) fn registry(operation: &str, source: supercargo_registry::Error) -> Self {
        Self {
            kind: ErrorKind::Registry,
            message: operation.to_owned(),
            retryable: source.is_retryable(),
            retry_after: source.retry_after(),
            source: Some(Box::new(source)),
        }
    }

    pub(crate) fn document(operation: &str, source: supercargo_registry::Error) -> Self {
        Self {
            retry_after: None,
            kind: ErrorKind::Document,
            message: operation.to_owned(),
            retryable: source.is_retryable(),
            source: Some(Box::new(source)),
        }
    }

    /// What went wrong.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// Whether the same call may succeed later.
    pub fn is_retryable(&self) -> bool {
        self.retryable
    }

    /// How long to wait before a retry is worth it, where that is known.
    pub fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}
