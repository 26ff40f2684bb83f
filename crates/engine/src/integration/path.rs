//! The way of events from the registry's side to here.

use std::fmt;

use async_trait::async_trait;
use supercargo_registry::Outcome;

/// The header of a delivery that is none: somebody here wants to know whether the endpoint is reached by its public
/// address. It is authenticated like any delivery, and answered with the same header and value; it leaves nothing, and
/// counts as nothing that came.
pub const PROBE: &str = "supercargo-probe";

/// The way of events from the registry's side to here, as far as it can be looked at from here.
#[async_trait]
pub trait EventPath: fmt::Debug + Send + Sync {
    /// Calls the integration's own endpoint by its public address, with the proof that the registry's side would send.
    async fn knock(&self) -> PathFinding;

    /// Has the registry's side send a test event. `None` if it is none that can be asked to.
    async fn ask_for_test(&self) -> Option<TestEvent>;
}

/// What was found of a part of the way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathFinding {
    /// How it stands. Nothing of the way makes a connection test fail: pushes are found by polling all the same.
    pub outcome: Outcome,
    /// What was found, for a person to read.
    pub detail: String,
    /// What to do about it.
    pub advice: Option<String>,
}

impl PathFinding {
    /// It is as it should be.
    pub fn passed(detail: impl Into<String>) -> Self {
        Self { outcome: Outcome::Passed, detail: detail.into(), advice: None }
    }

    /// Something is amiss.
    pub fn warned(detail: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { outcome: Outcome::Warned, detail: detail.into(), advice: Some(advice.into()) }
    }

    /// It could not be looked at.
    pub fn skipped(detail: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { outcome: Outcome::Skipped, detail: detail.into(), advice: Some(advice.into()) }
    }
}

/// What became of the wish for a test event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TestEvent {
    /// The registry's side says that it has sent one. Whether it came shows here.
    Sent {
        /// Who has, in words.
        by: String,
        /// Where to.
        to: String,
    },
    /// None was sent, and this is why.
    NotSent(PathFinding),
}
