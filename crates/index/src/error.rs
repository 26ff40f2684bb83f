//! The crate's error: a kind to branch on, the operation, its context and its cause.

use std::error::Error as StdError;
use std::fmt;

/// What went wrong, in the one word that callers branch on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The source of the image (a registry, a file) failed; see [`Error::is_retryable`].
    Source,
    /// Bytes do not have the digest they were asked for by.
    DigestMismatch,
    /// A document or an archive breaks its format.
    Malformed,
    /// A limit of [`Limits`](crate::Limits) was reached.
    LimitExceeded,
    /// A well-formed image of a sort that is not indexed (an encrypted layer, an unknown compression).
    Unsupported,
    /// The work was given up because nobody waits for it any more.
    Cancelled,
    /// A defect of supercargo itself: a cataloger panicked.
    Internal,
}

impl ErrorKind {
    /// A stable identifier, for states that are stored and shown.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Source => "source",
            Self::DigestMismatch => "digest-mismatch",
            Self::Malformed => "malformed",
            Self::LimitExceeded => "limit-exceeded",
            Self::Unsupported => "unsupported",
            Self::Cancelled => "cancelled",
            Self::Internal => "internal",
        }
    }
}

/// An error of this crate. Its message reads after "failed to …"; its cause is its [`source`](StdError::source).
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
    /// An error of `kind`; `message` is a fragment such as `read layer sha256:…: the stream ends early`.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), retryable: false, source: None }
    }

    /// A failure of the image's source, with the source's own word on whether trying again may help.
    pub fn from_source(
        message: impl Into<String>,
        retryable: bool,
        source: impl Into<Box<dyn StdError + Send + Sync>>,
    ) -> Self {
        Self { kind: ErrorKind::Source, message: message.into(), retryable, source: Some(source.into()) }
    }

    /// The same error with its cause.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// The same error with `context: ` before its message.
    #[must_use]
    pub fn with_context(mut self, context: impl fmt::Display) -> Self {
        self.message = format!("{context}: {}", self.message);
        self
    }

    /// What went wrong.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// Whether the same call may succeed later. Only failures of the source can be.
    pub fn is_retryable(&self) -> bool {
        self.retryable
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
