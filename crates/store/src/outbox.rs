//! The outbox: what is still to be delivered elsewhere. Its rows are written with the image, and leased like jobs.

use std::fmt;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use supercargo_index::Digest;

use crate::job::{JobState, Lane};
use crate::name::{Reason, RepositoryName};

/// What a delivery tells its sink.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum DeliveryKind {
    /// An image was indexed; its document is the store's, under the subject.
    Indexed,
    /// An image or a tag of it is gone.
    Gone,
}

impl DeliveryKind {
    /// The word that is stored.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Indexed => "indexed",
            Self::Gone => "gone",
        }
    }

    pub(crate) fn parse(word: &str) -> Option<Self> {
        [Self::Indexed, Self::Gone].into_iter().find(|kind| kind.as_str() == word)
    }
}

/// Something to be delivered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NewDelivery {
    /// The configured sink.
    pub sink: String,
    /// How urgent it is.
    pub lane: Lane,
    /// What is told.
    pub kind: DeliveryKind,
    /// The manifest it is about.
    pub subject: Digest,
    /// Where that manifest was seen.
    #[serde(flatten)]
    pub repository: RepositoryName,
    /// The tag that it is about alone, if it is about one. Each is a delivery of its own.
    pub tag: Option<String>,
    /// What else the sink needs to know and the store will not be able to tell later. Small: documents are fetched
    /// by the subject.
    pub details: serde_json::Value,
    /// Attempts until it is given up, at least one.
    pub max_attempts: u32,
}

impl NewDelivery {
    /// Attempts of a delivery unless [`NewDelivery::max_attempts`] is set. A sink that is away for a night is ordinary.
    pub const MAX_ATTEMPTS: u32 = 20;

    /// `kind` of `subject` in `repository`, to `sink`, as urgent as a push.
    pub fn new(sink: impl Into<String>, kind: DeliveryKind, repository: RepositoryName, subject: Digest) -> Self {
        Self {
            sink: sink.into(),
            lane: Lane::Push,
            kind,
            subject,
            repository,
            tag: None,
            details: serde_json::Value::Null,
            max_attempts: Self::MAX_ATTEMPTS,
        }
    }

    /// The same in another lane.
    #[must_use]
    pub fn with_lane(mut self, lane: Lane) -> Self {
        self.lane = lane;
        self
    }

    /// The same about one tag alone.
    #[must_use]
    pub fn with_tag(mut self, tag: impl Into<String>) -> Self {
        self.tag = Some(tag.into());
        self
    }

    /// The key under which requests for the same delivery are one row.
    pub(crate) fn dedupe_key(&self) -> String {
        let key = format!("{} {} {}@{}", self.sink, self.kind.as_str(), self.repository, self.subject);
        match &self.tag {
            Some(tag) => format!("{key} {tag}"),
            None => key,
        }
    }
}

/// A delivery's number, never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DeliveryId(pub i64);

impl fmt::Display for DeliveryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The right to finish one attempt of one delivery; see [`Lease`](crate::Lease).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct DeliveryLease {
    /// The delivery.
    pub delivery: DeliveryId,
    /// The attempt's number among all that the delivery ever had.
    pub epoch: i64,
}

/// A claimed delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// The right to finish it.
    pub lease: DeliveryLease,
    /// What is to be delivered.
    pub request: NewDelivery,
    /// How often it was asked for so far. The attempts of one round tell the same.
    pub round: u64,
    /// The number of this attempt, from 1.
    pub attempt: u32,
    /// Why the last attempt failed.
    pub last_error: Option<Reason>,
    /// When it was first asked for.
    pub created_at: Timestamp,
    /// When the lease ends unless it is extended.
    pub lease_until: Timestamp,
}

/// A delivery as an operator sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DeliveryRecord {
    /// Its number.
    pub id: DeliveryId,
    /// What is to be delivered.
    #[serde(flatten)]
    pub request: NewDelivery,
    /// Where it stands.
    pub state: JobState,
    /// How often it was asked for so far.
    pub round: u64,
    /// Attempts so far.
    pub attempt: u32,
    /// Not before this time.
    pub run_at: Timestamp,
    /// Why the last attempt failed.
    pub last_error: Option<Reason>,
    /// When it was first asked for.
    pub created_at: Timestamp,
    /// When it was delivered or given up.
    pub finished_at: Option<Timestamp>,
}

/// Which deliveries to list; empty for all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeliveryFilter {
    /// Only those for this sink.
    pub sink: Option<String>,
    /// Only those in this state.
    pub state: Option<JobState>,
    /// Only this one.
    pub id: Option<DeliveryId>,
}

/// How full one sink's outbox is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SinkStats {
    /// The sink.
    pub sink: String,
    /// Deliveries that can be made now.
    pub ready: u64,
    /// Deliveries that wait for their time.
    pub delayed: u64,
    /// Deliveries that are being made.
    pub running: u64,
    /// Deliveries that were given up.
    pub dead: u64,
    /// How long the oldest of those that are neither made nor given up has waited since it was asked for.
    pub oldest: Option<Duration>,
}
