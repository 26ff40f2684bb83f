//! The outbox: what is still to be delivered elsewhere. Its rows are written with the image, and leased like jobs.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use supercargo_index::Digest;

use crate::job::JobState;
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
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewDelivery {
    /// The configured sink.
    pub sink: String,
    /// What is told.
    pub kind: DeliveryKind,
    /// The manifest it is about.
    pub subject: Digest,
    /// Where that manifest was seen.
    pub repository: RepositoryName,
    /// What else the sink needs to know (tags, for instance). Small: documents are fetched by the subject.
    pub details: serde_json::Value,
    /// Attempts until it is given up, at least one.
    pub max_attempts: u32,
}

impl NewDelivery {
    /// Attempts of a delivery unless [`NewDelivery::max_attempts`] is set. A sink that is away for a night is ordinary.
    pub const MAX_ATTEMPTS: u32 = 20;

    /// The key under which requests for the same delivery are one row.
    pub(crate) fn dedupe_key(&self) -> String {
        format!("{} {} {}@{}", self.sink, self.kind.as_str(), self.repository, self.subject)
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
    /// The number of this attempt, from 1.
    pub attempt: u32,
    /// Why the last attempt failed.
    pub last_error: Option<Reason>,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// When the lease ends unless it is extended.
    pub lease_until: Timestamp,
}

/// A delivery as an operator sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeliveryRecord {
    /// Its number.
    pub id: DeliveryId,
    /// What is to be delivered.
    pub request: NewDelivery,
    /// Where it stands.
    pub state: JobState,
    /// Attempts so far.
    pub attempt: u32,
    /// Not before this time.
    pub run_at: Timestamp,
    /// Why the last attempt failed.
    pub last_error: Option<Reason>,
    /// When it was asked for.
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
}
