//! From what a payload says to events, and what is left over.

use std::fmt::Write as _;

use http::{Method, StatusCode, header};
use jiff::Timestamp;
use sha2::{Digest as _, Sha256};

use crate::auth::Refusal;
use crate::{Action, Answer, EventTime, Reception, RegistryEvent, Request, SetupNotice, Verdict, grammar};

/// What a delivery says, while it is read.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    events: Vec<RegistryEvent>,
    setup: Option<SetupNotice>,
    handshake: Option<Answer>,
    remarks: Vec<String>,
    is_malformed: bool,
}

/// Why a part of a delivery gives no event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Left {
    /// It is of no interest.
    Ignored(String),
    /// It is not understood.
    Malformed(String),
}

pub(crate) fn ignored<T>(reason: impl Into<String>) -> Result<T, Left> {
    Err(Left::Ignored(reason.into()))
}

pub(crate) fn malformed<T>(reason: impl Into<String>) -> Result<T, Left> {
    Err(Left::Malformed(reason.into()))
}

impl Findings {
    /// A delivery that is one event.
    pub(crate) fn one(event: Result<RegistryEvent, Left>) -> Self {
        let mut findings = Self::default();
        match event {
            Ok(event) => findings.events.push(event),
            Err(left) => findings.left(None, left),
        }
        findings
    }

    /// A delivery of which nothing came.
    pub(crate) fn none(left: Left) -> Self {
        Self::one(Err(left))
    }

    /// A notice about a set-up.
    pub(crate) fn setup(notice: SetupNotice) -> Self {
        Self { setup: Some(notice), ..Self::default() }
    }

    /// A sender that checks the endpoint.
    pub(crate) fn handshake(answer: Answer) -> Self {
        Self { handshake: Some(answer), ..Self::default() }
    }

    /// The event at place `index` of a delivery that may have several.
    pub(crate) fn add(&mut self, index: usize, event: Result<RegistryEvent, Left>) {
        match event {
            Ok(event) => self.events.push(event),
            Err(left) => self.left(Some(index), left),
        }
    }

    /// Adds what another part of the delivery said.
    pub(crate) fn join(&mut self, index: usize, other: Self) {
        self.events.extend(other.events);
        self.setup = self.setup.take().or(other.setup);
        self.handshake = self.handshake.take().or(other.handshake);
        self.is_malformed |= other.is_malformed;
        self.remarks.extend(other.remarks.into_iter().map(|remark| format!("event {index}: {remark}")));
    }

    fn left(&mut self, index: Option<usize>, left: Left) {
        let reason = match left {
            Left::Ignored(reason) => reason,
            Left::Malformed(reason) => {
                self.is_malformed = true;
                reason
            }
        };
        self.remarks.push(match index {
            Some(index) => format!("event {index}: {reason}"),
            None => reason,
        });
    }

    /// The verdict, and a success: the sender is authentic, and what it sent would not get better by being sent
    /// again.
    pub(crate) fn into_reception(self) -> Reception {
        let Self { events, setup, handshake, remarks, is_malformed } = self;
        if let Some(answer) = handshake {
            return Reception::new(Verdict::Handshake, answer).with_remarks(remarks);
        }
        let reason = || remarks.first().cloned().unwrap_or_else(|| "the envelope is empty".to_owned());
        let (verdict, status) = if !events.is_empty() {
            (Verdict::Events(events), StatusCode::ACCEPTED)
        } else if let Some(setup) = setup {
            (Verdict::Setup(setup), StatusCode::OK)
        } else if is_malformed {
            (Verdict::Malformed(reason()), StatusCode::OK)
        } else {
            (Verdict::Ignored(reason()), StatusCode::OK)
        };
        Reception::new(verdict, Answer::status(status)).with_remarks(remarks)
    }
}

/// The way of every delivery: who sent it, then how, then what it says.
pub(crate) fn post(request: &Request<'_>, proof: Result<(), Refusal>, decode: impl FnOnce() -> Findings) -> Reception {
    if let Err(refusal) = proof {
        return refusal.into_reception();
    }
    if request.method != Method::POST {
        let allow = header::HeaderValue::from_static("POST");
        let answer = Answer::status(StatusCode::METHOD_NOT_ALLOWED).with_header(header::ALLOW, allow);
        return Reception::new(
            Verdict::Rejected(format!("method {} is not POST", short(request.method.as_str()))),
            answer,
        );
    }
    decode().into_reception()
}

/// What a payload says of one event, as it says it. Nothing is checked yet.
#[derive(Clone, Debug)]
pub(crate) struct Said<'a> {
    pub(crate) action: Action,
    pub(crate) host: Option<String>,
    pub(crate) repository: Option<&'a str>,
    pub(crate) tag: Option<&'a str>,
    pub(crate) digest: Option<&'a str>,
    pub(crate) media_type: Option<&'a str>,
    pub(crate) time: Option<&'a str>,
    pub(crate) key: String,
    pub(crate) actor: Option<&'a str>,
}

impl<'a> Said<'a> {
    pub(crate) fn new(action: Action, repository: Option<&'a str>, key: impl Into<String>) -> Self {
        Self {
            action,
            host: None,
            repository,
            tag: None,
            digest: None,
            media_type: None,
            time: None,
            key: key.into(),
            actor: None,
        }
    }

    /// The event, if it names a repository. A tag or a digest that is none is dropped; if nothing else is left of
    /// what the event is about, something did happen still, and the repository is to be looked at.
    pub(crate) fn event(self) -> Result<RegistryEvent, Left> {
        let Some(repository) = given(self.repository) else {
            return malformed("it names no repository");
        };
        if !grammar::is_repository(repository) {
            return malformed(format!("`{}` is no repository name", short(repository)));
        }
        let tag = given(self.tag).filter(|tag| grammar::is_tag(tag)).map(str::to_owned);
        let digest = given(self.digest).and_then(grammar::digest);
        let action = match self.action {
            Action::Pushed | Action::Deleted if tag.is_none() && digest.is_none() => Action::Refresh,
            action => action,
        };
        Ok(RegistryEvent {
            action,
            host: self.host,
            repository: repository.to_owned(),
            tag,
            digest,
            media_type: given(self.media_type).map(short),
            time: self.time.and_then(EventTime::parse),
            dedup_key: key(self.key),
            actor: given(self.actor).map(short),
        })
    }
}

/// The registry that an event is about, for providers whose payloads may name it by an internal name: the
/// configured one, else the first in the payload that is a host.
pub(crate) fn host_of<'a>(
    configured: Option<&str>,
    claimed: impl IntoIterator<Item = Option<&'a str>>,
) -> Option<String> {
    let claimed = || claimed.into_iter().flatten().find(|host| grammar::is_host(host));
    configured.map(str::to_owned).or_else(|| claimed().map(str::to_owned))
}

/// The same for providers whose payloads name the registry by its one public name: if that is another than the
/// configured one, the event is not this source's business.
pub(crate) fn checked_host(configured: Option<&str>, claimed: Option<&str>) -> Result<Option<String>, Left> {
    let claimed = claimed.filter(|host| grammar::is_host(host));
    match (configured, claimed) {
        (Some(configured), Some(claimed)) if !configured.eq_ignore_ascii_case(claimed) => ignored(format!(
            "it is about registry {}, and this source speaks for {configured}",
            claimed.to_ascii_lowercase()
        )),
        (Some(configured), _) => Ok(Some(configured.to_owned())),
        (None, claimed) => Ok(claimed.map(str::to_ascii_lowercase)),
    }
}

/// Senders write what is missing as an empty text.
pub(crate) fn given(value: Option<&str>) -> Option<&str> {
    value.filter(|value| !value.is_empty())
}

/// A foreign text, cut to a length that can be stored and shown, and without control characters.
pub(crate) fn short(text: &str) -> String {
    text.chars().filter(|character| !character.is_control()).take(255).collect()
}

/// A key as it came if it can be stored and shown; no two keys become one.
pub(crate) fn key(text: String) -> String {
    let fits = text.len() <= 255 && !text.is_empty() && !text.chars().any(char::is_control);
    if fits { text } else { format!("key-{}", hex(&Sha256::digest(text.as_bytes()))) }
}

/// The key of an event that came without one, from a sender that puts a time into its payload: its place in the
/// very same bytes.
pub(crate) fn body_key(body: &[u8], index: usize) -> String {
    format!("body-{}-{index}", hex(&Sha256::digest(body)))
}

/// The key of an event that has neither an identifier nor a time. The same push twice a day has the same bytes, so
/// they count as one only within ten minutes: longer than any such sender repeats a delivery for.
pub(crate) fn timed_body_key(body: &[u8], now: Timestamp) -> String {
    const WINDOW: i64 = 600;
    format!("body-{}-{}", hex(&Sha256::digest(body)), now.as_second().div_euclid(WINDOW))
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a string takes everything");
        text
    })
}
