//! What works between here and a registry, and what to do about what does not.

mod contents;
mod way;

use std::fmt;
use std::future::Future;
use std::time::{Duration, Instant};

use crate::{Error, ErrorKind, Registry, Repository, Result, Target};

/// Time that one check may take. The transport's own deadlines and retries are within it, most of the time.
const PATIENCE: Duration = Duration::from_secs(90);

/// What is looked at, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Check {
    /// The host's name leads to an address that may be connected to.
    Name,
    /// Something takes connections there.
    Connection,
    /// It has a certificate that can be verified.
    Tls,
    /// It speaks the distribution protocol.
    Protocol,
    /// This machine's clock and the registry's agree: tokens and signatures end by the clock.
    Clock,
    /// It takes the credentials.
    SignIn,
    /// Repositories are found.
    Repositories,
    /// Tags are listed.
    Tags,
    /// A manifest is read.
    Manifest,
    /// The beginning of a layer is read, wherever the registry keeps it.
    Blob,
    /// What is attached to an image is listed.
    Referrers,
    /// What is left of the requests that the registry grants.
    Quota,
}

impl Check {
    /// A stable identifier.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::Connection => "connection",
            Self::Tls => "tls",
            Self::Protocol => "protocol",
            Self::Clock => "clock",
            Self::SignIn => "sign-in",
            Self::Repositories => "repositories",
            Self::Tags => "tags",
            Self::Manifest => "manifest",
            Self::Blob => "blob",
            Self::Referrers => "referrers",
            Self::Quota => "quota",
        }
    }
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// How a check ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// It works.
    Passed,
    /// It works, and somebody should know something about it.
    Warned,
    /// It does not work.
    Failed,
    /// It was not tried, because of what came before it or because there is nothing to try.
    Skipped,
}

impl Outcome {
    /// A stable identifier.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Warned => "warned",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
        }
    }
}

/// What a check found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What was looked at.
    pub check: Check,
    /// How it ended.
    pub outcome: Outcome,
    /// What was found, for a person to read.
    pub detail: String,
    /// What to do about it.
    pub advice: Option<String>,
    /// How long it took.
    pub took: Duration,
}

/// What a diagnosis is about beside the registry itself.
#[derive(Clone, Debug, Default)]
pub struct Subject {
    /// The repository to read from. `None`: the first that has tags.
    pub repository: Option<Repository>,
    /// What to read of it. `None`: the tag `latest`, or else the first.
    pub target: Option<Target>,
}

/// Everything that was found.
#[derive(Clone, Debug)]
pub struct Diagnosis {
    /// The registry.
    pub host: String,
    /// In the order of [`Check`].
    pub findings: Vec<Finding>,
}

impl Diagnosis {
    /// Whether nothing failed.
    pub fn is_healthy(&self) -> bool {
        self.findings.iter().all(|finding| finding.outcome != Outcome::Failed)
    }

    /// What was found about `check`, if it was looked at.
    pub fn finding(&self, check: Check) -> Option<&Finding> {
        self.findings.iter().find(|finding| finding.check == check)
    }
}

/// Looks at everything between here and the registry, and hands each finding to `tell` as it is made.
///
/// The connection is looked at for adapters that have a [client](Registry::distribution); the rest goes through the
/// trait, as indexing does. Nothing is written to the registry. A manifest and the beginning of a layer are read: that
/// counts towards a quota as one pull.
///
/// ```
/// use supercargo_registry::{Check, MemoryRegistry, Outcome, Subject, diagnose};
///
/// # let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
/// # runtime.block_on(async {
/// let registry = MemoryRegistry::new("registry.test");
/// registry.push_image(&"team/app".parse()?, "v1", &[b"a layer".as_slice()])?;
///
/// let diagnosis = diagnose(&registry, &Subject::default(), |finding| println!("{}", finding.detail)).await;
/// assert!(diagnosis.is_healthy());
/// assert_eq!(diagnosis.finding(Check::Blob).map(|finding| finding.outcome), Some(Outcome::Passed));
/// # Ok::<(), supercargo_registry::Error>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub async fn diagnose(registry: &dyn Registry, subject: &Subject, tell: impl FnMut(&Finding) + Send) -> Diagnosis {
    let mut notes = Notes { findings: Vec::new(), tell: Box::new(tell) };
    let reached = match registry.distribution() {
        Some(client) => way::look(client, &mut notes).await,
        None => Some(()),
    };
    contents::look(registry, subject, reached, &mut notes).await;
    Diagnosis { host: registry.host().to_owned(), findings: notes.findings }
}

/// The findings so far.
struct Notes<'a> {
    findings: Vec<Finding>,
    tell: Box<dyn FnMut(&Finding) + Send + 'a>,
}

/// What a check says of itself.
struct Said {
    outcome: Outcome,
    detail: String,
    advice: Option<String>,
}

impl Said {
    fn passed(detail: impl Into<String>) -> Self {
        Self { outcome: Outcome::Passed, detail: detail.into(), advice: None }
    }

    fn warned(detail: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { outcome: Outcome::Warned, detail: detail.into(), advice: Some(advice.into()) }
    }

    fn skipped(detail: impl Into<String>) -> Self {
        Self { outcome: Outcome::Skipped, detail: detail.into(), advice: None }
    }

    fn failed(error: &Error) -> Self {
        Self { outcome: Outcome::Failed, detail: explain(error), advice: advice(error) }
    }
}

impl Notes<'_> {
    /// Runs a check and notes how it ended. What it is good for later comes back.
    async fn note<T>(&mut self, check: Check, looking: impl Future<Output = Result<(T, Said)>>) -> Option<T> {
        let started = Instant::now();
        let (found, said) = match tokio::time::timeout(PATIENCE, looking).await {
            Ok(Ok((found, said))) => (Some(found), said),
            Ok(Err(error)) => (None, Said::failed(&error)),
            Err(_) => {
                let detail = format!("it did not end within {} seconds", PATIENCE.as_secs());
                (None, Said { outcome: Outcome::Failed, detail, advice: None })
            }
        };
        self.push(check, said, started.elapsed());
        found
    }

    /// Notes what needs no looking.
    fn say(&mut self, check: Check, said: Said) {
        self.push(check, said, Duration::ZERO);
    }

    fn push(&mut self, check: Check, said: Said, took: Duration) {
        let Said { outcome, detail, advice } = said;
        let finding = Finding { check, outcome, detail, advice, took };
        (self.tell)(&finding);
        self.findings.push(finding);
    }
}

/// An error with its causes, in one line.
fn explain(error: &Error) -> String {
    let mut text = error.to_string();
    let mut next = std::error::Error::source(error);
    while let Some(cause) = next {
        let cause_text = cause.to_string();
        // A wrapper that repeats its cause adds nothing.
        if !text.ends_with(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        next = cause.source();
    }
    crate::secret::printable(&text, 600)
}

/// What to do about an error: its own hint, or what its kind says.
fn advice(error: &Error) -> Option<String> {
    if let Some(hint) = error.hint() {
        return Some(hint.to_owned());
    }
    let advice = match error.kind() {
        ErrorKind::Network | ErrorKind::Timeout => {
            "is there a firewall or a proxy on the way? A proxy is named with proxy=http://HOST:PORT or HTTPS_PROXY"
        }
        ErrorKind::Unavailable => "the registry has troubles of its own; try again later",
        ErrorKind::RateLimited => match error.retry_after() {
            Some(wait) => return Some(format!("the registry asks to be left alone for {} seconds", wait.as_secs())),
            None => "the registry wants fewer requests: sign in, lower concurrency=, or check less often",
        },
        ErrorKind::Unauthorized => "sign in with docker login",
        ErrorKind::Denied => "the credentials are good but lack the right to read this",
        _ => return None,
    };
    Some(advice.to_owned())
}
