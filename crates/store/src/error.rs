//! The crate's error: a kind to branch on, the operation, its context and its cause.

use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

/// What went wrong, in the one word that callers branch on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// Another writer holds the database; the same call may succeed in a moment.
    Busy,
    /// The database cannot be reached or read right now.
    Unavailable,
    /// The lease is no longer the caller's: it ran out, or the work is another's or is done.
    LeaseLost,
    /// There is nothing under this key.
    NotFound,
    /// There is something under this key already.
    Conflict,
    /// It was changed since the caller read it: to be read and decided again.
    Stale,
    /// The call makes no sense: the caller's mistake.
    Invalid,
    /// What is stored cannot be read back.
    Corrupt,
    /// The disk is full. What was stored is intact; free some space and try again.
    DiskFull,
    /// The database has a schema that this build cannot use, or is no database of supercargo.
    Schema,
    /// Another process has the data directory.
    Locked,
    /// A defect of supercargo itself.
    Internal,
}

impl ErrorKind {
    /// A stable identifier, for logs and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Busy => "busy",
            Self::Unavailable => "unavailable",
            Self::LeaseLost => "lease-lost",
            Self::NotFound => "not-found",
            Self::Conflict => "conflict",
            Self::Stale => "stale",
            Self::Invalid => "invalid",
            Self::Corrupt => "corrupt",
            Self::DiskFull => "disk-full",
            Self::Schema => "schema",
            Self::Locked => "locked",
            Self::Internal => "internal",
        }
    }
}

/// An error of this crate. Its message reads after "failed to …"; its cause is its [`source`](StdError::source).
#[derive(Debug)]
pub struct Error {
    kind: ErrorKind,
    operation: &'static str,
    context: Option<String>,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

/// This crate's result.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// An error of `kind`; `operation` is a fragment such as `complete job`.
    pub fn new(kind: ErrorKind, operation: &'static str) -> Self {
        Self { kind, operation, context: None, source: None }
    }

    /// The same error with what it is about: `12: its lease ran out`.
    #[must_use]
    pub fn with_context(mut self, context: impl fmt::Display) -> Self {
        self.context = Some(match self.context {
            Some(inner) => format!("{context}: {inner}"),
            None => context.to_string(),
        });
        self
    }

    /// The same error with its cause.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// The same error, of another operation: what a shared helper reports becomes its caller's failure.
    #[must_use]
    pub(crate) fn with_operation(mut self, operation: &'static str) -> Self {
        self.operation = operation;
        self
    }

    /// What went wrong.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// What was being done.
    pub fn operation(&self) -> &'static str {
        self.operation
    }

    /// Whether the same call may succeed later without anyone changing anything but the load or the disk.
    pub fn is_retryable(&self) -> bool {
        matches!(self.kind, ErrorKind::Busy | ErrorKind::Unavailable | ErrorKind::DiskFull)
    }

    /// How long to wait before a retry is worth it.
    pub fn retry_after(&self) -> Option<Duration> {
        match self.kind {
            ErrorKind::Busy => Some(Duration::from_millis(100)),
            ErrorKind::Unavailable => Some(Duration::from_secs(1)),
            // Disks are freed by people and by log rotation, not within a second.
            ErrorKind::DiskFull => Some(Duration::from_secs(10)),
            _ => None,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.operation)?;
        if let Some(context) = &self.context {
            write!(f, " {context}")?;
        }
        match self.kind {
            ErrorKind::Busy => f.write_str(": another writer holds the database"),
            ErrorKind::DiskFull => f.write_str(": the disk is full"),
            ErrorKind::LeaseLost => f.write_str(": the lease is lost"),
            ErrorKind::NotFound => f.write_str(": no such entry"),
            _ => Ok(()),
        }
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}
