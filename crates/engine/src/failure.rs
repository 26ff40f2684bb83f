//! What a failure means for the job that met it.

use std::any::Any;
use std::error::Error as StdError;
use std::io;
use std::time::Duration;

use supercargo_store::{Reason, Retry};

use crate::RetryPolicy;

/// A failed attempt: why, and of what sort.
#[derive(Clone, Debug)]
pub(crate) struct Trouble {
    pub(crate) reason: Reason,
    pub(crate) class: Class,
    /// How long the registry asked to be left alone.
    wait: Option<Duration>,
}

/// What sort of failure it is. The sort decides how often it is worth trying again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    /// It passes by itself: connections, deadlines, 5xx.
    Passing,
    /// The registry asked for patience.
    Busy,
    /// The registry refused access. It may be a token service that hiccups; mostly it is a wrong password.
    Access,
    /// It seldom passes: a blob that is not there.
    Doubtful,
    /// Bytes were not what they should be. A second, fresh reading tells a broken transfer from a broken image.
    BadBytes,
    /// It does not pass.
    Final,
    /// The store failed: not the job's fault, and not the registry's.
    Store,
}

/// Whose failure it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Blame {
    /// The registry as a whole.
    Registry,
    /// The image, the tag or the repository alone.
    Subject,
}

impl Trouble {
    pub(crate) fn new(class: Class, kind: &str, message: impl Into<String>) -> Self {
        let retryable = class != Class::Final;
        Self { reason: Reason { kind: kind.to_owned(), message: message.into(), retryable }, class, wait: None }
    }

    /// The same, given up at once.
    pub(crate) fn into_final(mut self) -> Self {
        self.class = Class::Final;
        self.reason.retryable = false;
        self
    }

    /// A worker's panic, by what it panicked with.
    pub(crate) fn panic(payload: &(dyn Any + Send)) -> Self {
        let message = payload
            .downcast_ref::<&str>()
            .copied()
            .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
            .unwrap_or("without a message");
        Self::new(Class::BadBytes, "panic", format!("the worker panicked: {message}"))
    }

    /// What to do with the job. An impatient run does not wait for registries that are away: it counts every attempt.
    pub(crate) fn retry(
        &self,
        policy: &RetryPolicy,
        attempt: u32,
        blame: Blame,
        pause: Duration,
        patient: bool,
    ) -> Retry {
        let after = || Retry::After(self.wait(policy).unwrap_or_else(|| policy.backoff.wait(attempt)));
        let at_most = |attempts: u32| if attempt < attempts { after() } else { Retry::Never };
        match (self.class, blame) {
            (Class::Final, _) => Retry::Never,
            (Class::BadBytes, _) => at_most(policy.reads),
            (Class::Doubtful, _) | (Class::Access, Blame::Subject) => at_most(policy.few_attempts),
            (Class::Store, _) => Retry::Postpone(policy.backoff.wait(attempt)),
            (Class::Passing | Class::Busy | Class::Access, Blame::Registry) if patient => {
                Retry::Postpone(self.wait(policy).unwrap_or_default().max(pause))
            }
            (Class::Access, Blame::Registry) => at_most(policy.few_attempts),
            (Class::Passing | Class::Busy, _) => after(),
        }
    }

    /// How long the registry asked to be left alone, within reason.
    pub(crate) fn wait(&self, policy: &RetryPolicy) -> Option<Duration> {
        self.wait.map(|wait| wait.min(policy.longest_wait))
    }
}

impl From<supercargo_registry::Error> for Trouble {
    fn from(error: supercargo_registry::Error) -> Self {
        Self::of_registry(&error, chain(&error))
    }
}

impl Trouble {
    fn of_registry(error: &supercargo_registry::Error, message: String) -> Self {
        use supercargo_registry::ErrorKind as Kind;
        let class = match error.kind() {
            Kind::Network | Kind::Timeout | Kind::Unavailable => Class::Passing,
            Kind::RateLimited => Class::Busy,
            Kind::Unauthorized | Kind::Denied | Kind::Credential => Class::Access,
            Kind::NotFound => Class::Doubtful,
            Kind::DigestMismatch | Kind::Malformed | Kind::Io => Class::BadBytes,
            _ if error.is_retryable() => Class::Passing,
            _ => Class::Final,
        };
        let message = match error.hint() {
            Some(hint) => format!("{message} (hint: {hint})"),
            None => message,
        };
        let mut trouble = Self::new(class, error.kind().as_str(), message);
        trouble.wait = error.retry_after();
        trouble
    }
}

impl From<supercargo_registry::index::Error> for Trouble {
    fn from(error: supercargo_registry::index::Error) -> Self {
        use supercargo_registry::index::ErrorKind as Kind;
        let message = chain(&error);
        // The registry's own error, wherever the indexer met it, says most about what to do.
        if let Some(cause) = find_registry_error(&error) {
            return Self::of_registry(cause, message);
        }
        let class = match error.kind() {
            Kind::Source if error.is_retryable() => Class::Passing,
            Kind::Source => Class::Doubtful,
            Kind::DigestMismatch | Kind::Malformed | Kind::Internal => Class::BadBytes,
            Kind::Cancelled => Class::Passing,
            _ => Class::Final,
        };
        Self::new(class, error.kind().as_str(), message)
    }
}

impl From<supercargo_store::Error> for Trouble {
    fn from(error: supercargo_store::Error) -> Self {
        let class = if error.is_retryable() { Class::Store } else { Class::BadBytes };
        Self::new(class, "store", format!("failed to {}", chain(&error)))
    }
}

/// An error with its causes, on one line.
pub(crate) fn chain(error: &(dyn StdError + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let cause_text = cause.to_string();
        // A wrapper that repeats its cause adds nothing.
        if !text.ends_with(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        next = cause.source();
    }
    text
}

fn find_registry_error<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a supercargo_registry::Error> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        next = match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            // An `io::Error` shows its inner error's cause as its own, and hides the inner error.
            Some(inner) => Some(inner as &(dyn StdError + 'static)),
            None => error.source(),
        };
    }
    None
}

#[cfg(test)]
mod tests {
    use supercargo_registry::ErrorKind;

    use super::*;

    fn policy() -> RetryPolicy {
        RetryPolicy::default()
    }

    fn trouble(kind: ErrorKind) -> Trouble {
        supercargo_registry::Error::new(kind, "read something").into()
    }

    #[test]
    fn how_often_each_sort_is_tried() {
        // The attempt after which it is given up; `None` if the store's maximum decides.
        let check = |kind: ErrorKind, expected: Option<u32>| {
            let last = (1..=10).find(|attempt| {
                trouble(kind).retry(&policy(), *attempt, Blame::Subject, Duration::ZERO, true) == Retry::Never
            });
            assert_eq!(last, expected, "{kind}");
        };
        check(ErrorKind::Network, None);
        check(ErrorKind::Unavailable, None);
        check(ErrorKind::RateLimited, None);
        check(ErrorKind::Unauthorized, Some(3));
        check(ErrorKind::NotFound, Some(3));
        check(ErrorKind::DigestMismatch, Some(2));
        check(ErrorKind::Malformed, Some(2));
        check(ErrorKind::LimitExceeded, Some(1));
        check(ErrorKind::Refused, Some(1));
        check(ErrorKind::Unsupported, Some(1));
    }

    #[test]
    fn a_registry_that_is_away_costs_no_attempt() {
        let pause = Duration::from_secs(7);
        for kind in [ErrorKind::Network, ErrorKind::Timeout, ErrorKind::Unavailable, ErrorKind::Unauthorized] {
            let patient = trouble(kind).retry(&policy(), 100, Blame::Registry, pause, true);
            assert_eq!(patient, Retry::Postpone(pause), "{kind}");
            let impatient = trouble(kind).retry(&policy(), 1, Blame::Registry, pause, false);
            assert!(matches!(impatient, Retry::After(_)), "{kind}");
        }
    }

    #[test]
    fn a_wish_for_patience_is_honoured_within_reason() {
        let asked = |seconds: u64| -> Trouble {
            supercargo_registry::Error::new(ErrorKind::RateLimited, "read something")
                .with_retry_after(Some(Duration::from_secs(seconds)))
                .into()
        };
        let wait = |seconds: u64| asked(seconds).retry(&policy(), 1, Blame::Registry, Duration::from_secs(1), true);
        assert_eq!(wait(40), Retry::Postpone(Duration::from_secs(40)));
        assert_eq!(wait(10 * 365 * 24 * 3600), Retry::Postpone(policy().longest_wait));
        assert_eq!(
            asked(40).retry(&policy(), 1, Blame::Subject, Duration::ZERO, true),
            Retry::After(Duration::from_secs(40))
        );
    }

    #[test]
    fn the_registrys_error_is_found_behind_the_indexers() {
        let inner = supercargo_registry::Error::new(ErrorKind::Network, "read blob: connection reset");
        let error = supercargo_registry::index::Error::from_source("read layer", true, io::Error::other(inner));
        let trouble = Trouble::from(error);
        assert_eq!((trouble.class, trouble.reason.kind.as_str()), (Class::Passing, "network"));
        assert_eq!(trouble.reason.message, "read layer: read blob: connection reset");
    }

    #[test]
    fn a_panic_keeps_its_message() {
        let payload: Box<dyn Any + Send> = Box::new("index out of bounds".to_owned());
        assert_eq!(Trouble::panic(payload.as_ref()).reason.message, "the worker panicked: index out of bounds");
    }
}
