//! What the deployment of an integration tells about itself.

use crate::EventTime;

/// The state of a deployment, told by the service that deploys it: a CloudFormation stack, for one. Nothing
/// happened at the registry.
#[derive(Clone, Debug, PartialEq)]
pub struct SetupNotice {
    /// The deployment's identifier at that service (a stack's ARN).
    pub id: String,
    /// Its name.
    pub name: String,
    /// How far it is.
    pub state: SetupState,
    /// The service's own word for that (`CREATE_COMPLETE`).
    pub status: String,
    /// Why, where the service gives a reason.
    pub reason: Option<String>,
    /// When, by the service's clock.
    pub time: Option<EventTime>,
    /// Tells a repeated delivery from another notice; unique per source.
    pub dedup_key: String,
}

/// How far a deployment is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SetupState {
    /// It is being made, changed or removed.
    InProgress,
    /// It is there, and usable.
    Complete,
    /// It failed, or was rolled back.
    Failed,
    /// It is gone.
    Removed,
}

impl SetupState {
    /// A stable word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InProgress => "in-progress",
            Self::Complete => "complete",
            Self::Failed => "failed",
            Self::Removed => "removed",
        }
    }
}
