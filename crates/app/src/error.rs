//! The crate's error, and how errors are told to people.

use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::time::Duration;

use supercargo_engine::{self as engine, registry, store};

use crate::text::printable;
use crate::{Exit, Output};

/// What went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The command line or the configuration makes no sense, or asks for what is not there yet.
    Usage,
    /// A file or a stream failed.
    Io,
    /// What was asked for is not there.
    NotFound,
    /// The store, the engine, a registry or an image failed: the source says which.
    Failed,
}

/// An error of this crate. Its message reads after "failed to …"; its cause is its [`source`](StdError::source).
#[derive(Debug)]
pub struct Error {
    kind: ErrorKind,
    message: String,
    /// Each thing that is wrong, where there are several.
    problems: Vec<String>,
    hint: Option<String>,
    retryable: bool,
    retry_after: Option<Duration>,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

/// This crate's result.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// An error of `kind`; `message` is a lower-case fragment.
    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            problems: Vec::new(),
            hint: None,
            retryable: false,
            retry_after: None,
            source: None,
        }
    }

    /// All that is wrong with a command line or a configuration.
    pub(crate) fn usage(problems: Vec<String>) -> Self {
        Self { problems, ..Self::new(ErrorKind::Usage, "use the configuration") }
    }

    /// A failure of what is below, told as the failure of `operation`.
    pub(crate) fn failed(operation: impl Into<String>, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self { source: Some(source.into()), ..Self::new(ErrorKind::Failed, operation) }
    }

    pub(crate) fn io(operation: impl Into<String>, source: io::Error) -> Self {
        Self { source: Some(Box::new(source)), ..Self::new(ErrorKind::Io, operation) }
    }

    #[must_use]
    pub(crate) fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The same error as the failure of `operation`.
    #[must_use]
    pub(crate) fn during(mut self, operation: impl Into<String>) -> Self {
        self.message = operation.into();
        self
    }

    #[must_use]
    pub(crate) fn with_retry(mut self, retryable: bool, after: Option<Duration>) -> Self {
        (self.retryable, self.retry_after) = (retryable, after);
        self
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

    /// The single problems, if it is about several; else the error as one.
    pub(crate) fn into_problems(self) -> Vec<String> {
        if self.problems.is_empty() { vec![self.to_string()] } else { self.problems }
    }

    /// Whether whoever read our output went away, as `| head` does.
    pub(crate) fn is_broken_pipe(&self) -> bool {
        let io = self.source.as_ref().and_then(|source| source.downcast_ref::<io::Error>());
        self.kind == ErrorKind::Io && io.is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
    }

    /// The exit code that tells it.
    pub(crate) fn exit(&self) -> Exit {
        match self.kind {
            ErrorKind::Usage => Exit::Usage,
            _ => Exit::Failed,
        }
    }

    /// Prints the error with all of its causes, once, here at the edge.
    pub(crate) fn report(&self, output: &mut Output) {
        let head = output.paint(crate::output::Style::Bad, "error:");
        output.say(format_args!("{head} failed to {}", printable(&self.message)));
        for problem in &self.problems {
            output.say(format_args!("  - {}", printable(problem)));
        }
        let mut hint = self.hint.clone();
        let mut said = self.message.clone();
        let mut next = self.source();
        while let Some(cause) = next {
            let text = cause.to_string();
            // A wrapper that repeats its cause adds nothing.
            if !said.ends_with(&text) {
                output.say(format_args!("  caused by: {}", printable(&text)));
            }
            said = text;
            hint = hint.or_else(|| hint_of(cause));
            next = cause.source();
        }
        if let Some(hint) = hint {
            let head = output.paint(crate::output::Style::Name, "hint:");
            output.say(format_args!("{head} {}", printable(&hint)));
        }
    }
}

/// What the error's own crate says can be done about it.
fn hint_of(error: &(dyn StdError + 'static)) -> Option<String> {
    if let Some(error) = error.downcast_ref::<registry::Error>() {
        if let Some(hint) = error.hint() {
            return Some(hint.to_owned());
        }
        return match error.kind() {
            registry::ErrorKind::Unauthorized => Some(
                "sign in with `docker login`, or set DOCKER_SCOUT_REGISTRY_USER and DOCKER_SCOUT_REGISTRY_PASSWORD"
                    .to_owned(),
            ),
            _ => None,
        };
    }
    match error.downcast_ref::<store::Error>()?.kind() {
        store::ErrorKind::Locked => Some("give every watcher a directory of its own with --data".to_owned()),
        store::ErrorKind::DiskFull => Some("free some space; what was stored is intact".to_owned()),
        _ => None,
    }
}

impl From<store::Error> for Error {
    fn from(error: store::Error) -> Self {
        let (retryable, after) = (error.is_retryable(), error.retry_after());
        Self::failed(error.to_string(), error).with_retry(retryable, after)
    }
}

impl From<registry::Error> for Error {
    fn from(error: registry::Error) -> Self {
        let (retryable, after) = (error.is_retryable(), error.retry_after());
        let kind = match error.kind() {
            registry::ErrorKind::Configuration | registry::ErrorKind::Unsupported => ErrorKind::Usage,
            registry::ErrorKind::NotFound => ErrorKind::NotFound,
            _ => ErrorKind::Failed,
        };
        Self { kind, ..Self::failed(error.to_string(), error) }.with_retry(retryable, after)
    }
}

impl From<engine::Error> for Error {
    fn from(error: engine::Error) -> Self {
        let (retryable, after) = (error.is_retryable(), error.retry_after());
        let kind = match error.kind() {
            engine::ErrorKind::Configuration => ErrorKind::Usage,
            engine::ErrorKind::NotFound => ErrorKind::NotFound,
            _ => ErrorKind::Failed,
        };
        Self { kind, ..Self::failed(error.to_string(), error) }.with_retry(retryable, after)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        for (number, problem) in self.problems.iter().enumerate() {
            write!(f, "{}{problem}", if number == 0 { ": " } else { "; " })?;
        }
        Ok(())
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_told_once_with_its_causes_and_a_hint() {
        let inner = registry::Error::new(registry::ErrorKind::Unauthorized, "ask for \u{1b}[31mtags");
        let error = Error::failed("index registry.test/app", inner);
        let (mut output, captured) = Output::captured();
        error.report(&mut output);
        let expected = "error: failed to index registry.test/app\n  caused by: ask for \\u{1b}[31mtags\n\
            hint: sign in with `docker login`, or set DOCKER_SCOUT_REGISTRY_USER and DOCKER_SCOUT_REGISTRY_PASSWORD\n";
        assert_eq!(captured.err(), expected);
        assert_eq!(captured.out(), "");
        assert_eq!(error.exit(), Exit::Failed);
    }

    #[test]
    fn all_problems_are_told_at_once() {
        let error = Error::usage(vec!["--workers: 0".into(), "--tag: `(`".into()]);
        let (mut output, captured) = Output::captured();
        error.report(&mut output);
        assert_eq!(captured.err(), "error: failed to use the configuration\n  - --workers: 0\n  - --tag: `(`\n");
        assert_eq!(error.exit(), Exit::Usage);
    }

    #[test]
    fn a_reader_that_went_away() {
        assert!(Error::io("print", io::ErrorKind::BrokenPipe.into()).is_broken_pipe());
        assert!(!Error::io("print", io::ErrorKind::NotFound.into()).is_broken_pipe());
    }
}
