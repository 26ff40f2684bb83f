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
    /// Too much is under way; the same call may succeed in a moment.
    Overloaded,
    /// A document that decides about a delivery could not be had.
    Document,
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
            Self::Overloaded => "overloaded",
            Self::Document => "document",
        }
    }
}

/// An error of this crate. Its message reads after "failed to …"; its cause is its [`source`](StdError::source).
///
/// What goes wrong with a registry or an image is not an error here: it is a state of that registry or image.
#[derive(Debug)]
pub struct Error {
    kind: ErrorKind,
    message: String,
    retryable: bool,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

/// This crate's result.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        let retryable = matches!(kind, ErrorKind::Stopping | ErrorKind::Overloaded);
        Self { kind, message: message.into(), retryable, source: None }
    }

    pub(crate) fn store(operation: &str, source: supercargo_store::Error) -> Self {
        Self {
            kind: ErrorKind::Store,
            message: operation.to_owned(),
            retryable: source.is_retryable(),
            source: Some(Box::new(source)),
        }
    }

    /// An error of the store that several calls fail with.
    pub(crate) fn shared(operation: &str, source: Arc<supercargo_store::Error>) -> Self {
        Self {
            kind: ErrorKind::Store,
            message: operation.to_owned(),
            retryable: source.is_retryable(),
            source: Some(Box::new(source)),
        }
    }

    pub(crate) fn document(operation: &str, source: supercargo_registry::Error) -> Self {
        Self {
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
        None
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
