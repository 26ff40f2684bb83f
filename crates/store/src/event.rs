//! Deliveries from registries, as they came in.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::job::NewJob;

/// An event's number, never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(transparent)]
pub struct EventId(pub i64);

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What was made of an event when it came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum EventState {
    /// It asked for work.
    Accepted,
    /// It was understood and asks for nothing.
    Ignored,
    /// It could not be read, and is kept for a person to look at.
    Quarantined,
}

impl EventState {
    /// The word that is stored.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Ignored => "ignored",
            Self::Quarantined => "quarantined",
        }
    }

    pub(crate) fn parse(word: &str) -> Option<Self> {
        [Self::Accepted, Self::Ignored, Self::Quarantined].into_iter().find(|state| state.as_str() == word)
    }
}

/// An event to be kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewEvent {
    /// The configured source that it came in by.
    pub source: String,
    /// What the provider calls the event; the same key from the same source is the same event.
    pub dedupe_key: String,
    /// What was made of it.
    pub state: EventState,
    /// Why, if it was ignored or quarantined.
    pub reason: Option<String>,
    /// The registry it speaks of, if that is known.
    pub registry: Option<String>,
    /// The headers worth keeping. Secrets are taken out before they come here.
    pub headers: Vec<(String, String)>,
    /// The body, as it was received.
    pub body: Vec<u8>,
}

/// A delivery and what it asks for.
///
/// Most deliveries carry one event, and [`NewEvent::dedupe_key`] is that event's. Some carry many, which senders put
/// together anew when they repeat them: such a delivery has a key of its own, and its events are in
/// [`Arrival::parts`], each under its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// The delivery.
    pub event: NewEvent,
    /// What it asks for as a whole.
    pub jobs: Vec<NewJob>,
    /// The events in it, if it carried several.
    pub parts: Vec<Part>,
}

impl Arrival {
    /// A delivery of one event.
    pub fn new(event: NewEvent, jobs: Vec<NewJob>) -> Self {
        Self { event, jobs, parts: Vec::new() }
    }
}

/// One of several events of a delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// What the provider calls the event.
    pub dedupe_key: String,
    /// What it asks for.
    pub jobs: Vec<NewJob>,
}

/// What became of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrived {
    /// Whether it was stored. A delivery is a duplicate if its key is known, or the keys of all of its parts are.
    pub accepted: Accepted,
    /// Of a stored delivery, the parts that were known and asked for nothing again.
    pub known_parts: usize,
}

/// What became of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accepted {
    /// It and its jobs are on disk.
    New(EventId),
    /// It had been before; nothing was stored.
    Duplicate(EventId),
}

impl Accepted {
    /// The event's number.
    pub fn event(self) -> EventId {
        match self {
            Self::New(id) | Self::Duplicate(id) => id,
        }
    }
}

/// An event as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventRecord {
    /// Its number.
    pub id: EventId,
    /// What came in.
    pub event: NewEvent,
    /// When.
    pub received_at: Timestamp,
}

/// Which events to list; empty for all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventFilter {
    /// Only the one of this number.
    pub id: Option<EventId>,
    /// Only those of this source.
    pub source: Option<String>,
    /// Only those in this state.
    pub state: Option<EventState>,
}
