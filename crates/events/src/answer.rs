//! What came of a delivery, and what its sender is told.

use http::{HeaderMap, HeaderValue, StatusCode, header};

use crate::{Document, RegistryEvent, SetupNotice};

/// What came of a delivery.
#[derive(Clone, Debug)]
pub struct Reception {
    /// What the delivery says.
    pub verdict: Verdict,
    /// What to tell the sender, once the delivery has been stored. If it cannot be stored, the sender gets
    /// [`Answer::unavailable`] instead, which every known sender takes as a wish to try again.
    pub answer: Answer,
    /// Parts of the delivery that gave no event, each with the reason.
    pub remarks: Vec<String>,
}

impl Reception {
    /// A reception without remarks.
    pub fn new(verdict: Verdict, answer: Answer) -> Self {
        Self { verdict, answer, remarks: Vec::new() }
    }

    /// The same with `remarks`.
    #[must_use]
    pub fn with_remarks(mut self, remarks: Vec<String>) -> Self {
        self.remarks = remarks;
        self
    }
}

/// What a delivery says.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// Things that happened at a registry. At least one.
    Events(Vec<RegistryEvent>),
    /// The deployment of an integration tells how far it is.
    Setup(SetupNotice),
    /// The sender checks the endpoint; the answer is all it wants.
    Handshake,
    /// Authentic, and the sender waits for its address to be asked for, once. The answer is sent after that; if
    /// it cannot be had, the sender gets [`Answer::unavailable`] and tries again.
    Confirm(Document),
    /// Not decided: it takes a document that the source does not have, or has no more.
    /// See [`Source::receive`](crate::Source::receive).
    Needs(Document),
    /// Authentic and of no interest (a pull, a blob upload), with the reason.
    Ignored(String),
    /// Authentic, and not understood. It is kept for a person to look at, and answered as if it were fine:
    /// senders that retry for ever would otherwise block behind it.
    Malformed(String),
    /// Not authentic, or not to be told at present, with the reason. Not kept.
    Rejected(String),
}

impl Verdict {
    /// A stable word for the outcome, for states and metrics.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Events(_) => "events",
            Self::Setup(_) => "setup",
            Self::Handshake => "handshake",
            Self::Confirm(_) => "confirm",
            Self::Needs(_) => "needs",
            Self::Ignored(_) => "ignored",
            Self::Malformed(_) => "malformed",
            Self::Rejected(_) => "rejected",
        }
    }
}

/// An HTTP answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// Status.
    pub status: StatusCode,
    /// Headers, the content type among them where there is a body.
    pub headers: HeaderMap,
    /// Body, mostly empty.
    pub body: Vec<u8>,
}

impl Answer {
    /// An answer that is a status alone.
    pub fn status(status: StatusCode) -> Self {
        Self { status, headers: HeaderMap::new(), body: Vec::new() }
    }

    /// The same with a header.
    #[must_use]
    pub fn with_header(mut self, name: header::HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    /// The delivery could not be stored: 503 and when to try again. No known sender gives up on a 503 at once,
    /// while some never repeat after a 429.
    pub fn unavailable() -> Self {
        Self::status(StatusCode::SERVICE_UNAVAILABLE).with_header(header::RETRY_AFTER, HeaderValue::from_static("5"))
    }

    /// The sender did not prove who it is: 401.
    pub fn unauthorized() -> Self {
        Self::status(StatusCode::UNAUTHORIZED).with_header(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"))
    }
}
