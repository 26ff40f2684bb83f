//! The organization: enrolment, what its plan covers, the state of the service.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::Result;
use crate::client::ScoutClient;
use crate::graphql::Operation;

const ENROLL: Operation = Operation {
    purpose: "enroll the organization",
    name: "Enroll",
    document: include_str!("graphql/enroll.graphql"),
    field: "enrollIntoScout",
};
const ENTITLEMENTS: Operation = Operation {
    purpose: "read what the organization's plan covers",
    name: "Entitlements",
    document: include_str!("graphql/entitlements.graphql"),
    field: "namespaceEntitlements",
};
const STATUS: Operation = Operation {
    purpose: "read the service's status",
    name: "ServiceStatus",
    document: include_str!("graphql/service_status.graphql"),
    field: "serviceStatus",
};

/// An organization that takes part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Enrollment {
    /// Its subscription, if it has one.
    pub active_subscription: Option<Subscription>,
}

/// A subscription.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Subscription {
    /// `active`, `inactive` or `past_due`.
    pub status: Option<String>,
}

/// What an organization's plan covers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Entitlements {
    /// The organization.
    pub namespace: String,
    /// Whether it takes part.
    pub is_enrolled: bool,
    /// Its plan.
    pub plan: Plan,
    /// What the plan covers; `None` if the organization does not take part.
    pub feature_entitlements: Option<Features>,
}

/// A plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Plan {
    /// Its name.
    pub display_name: String,
    /// Whether it costs nothing.
    pub is_free: bool,
}

/// What a plan covers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Features {
    /// Whether repositories may be enabled when something is pushed to them.
    pub enable_on_push: bool,
    /// The API itself.
    #[serde(rename = "scoutAPI")]
    pub api: ApiFeature,
    /// Repositories in registries.
    pub remote_repository: RepositoryFeature,
}

/// Whether the API may be used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct ApiFeature {
    /// It may.
    pub enabled: bool,
    /// It may not, because more repositories are enabled than the plan covers.
    pub access_restricted_due_to_repo_limits: bool,
}

/// How many repositories may be enabled, and are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct RepositoryFeature {
    /// Whether any may be.
    pub enabled: bool,
    /// How many may be; `None`: no limit.
    pub account_limit: Option<i64>,
    /// There is no limit.
    pub is_unlimited: bool,
    /// How many are.
    pub enabled_repo_count: i64,
    /// How many of these count towards the limit.
    pub entitlement_used: i64,
    /// More than the limit are.
    pub repo_entitlement_exceeded: bool,
}

/// What the service says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ServiceStatus {
    /// Maintenance that is going on or announced.
    pub maintenance: Option<Maintenance>,
}

/// Maintenance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Maintenance {
    /// `info`, `warning` or `error`.
    pub severity: String,
    /// In a few words.
    pub title: String,
    /// In more.
    pub message: String,
}

impl ScoutClient {
    /// Makes the organization take part (`docker scout enroll`). One that does already still does.
    ///
    /// # Errors
    /// [`ErrorKind::Denied`](crate::ErrorKind::Denied) if the user is not an owner of the organization.
    pub async fn enroll(&self) -> Result<Enrollment> {
        self.graphql_some(&ENROLL, json!({"context": self.context()})).await
    }

    /// What the organization's plan covers, and whether it takes part.
    ///
    /// # Errors
    /// Those of any call.
    pub async fn entitlements(&self) -> Result<Entitlements> {
        self.graphql_some(&ENTITLEMENTS, json!({"context": self.context()})).await
    }

    /// What the service says of itself.
    ///
    /// # Errors
    /// Those of any call.
    pub async fn service_status(&self) -> Result<ServiceStatus> {
        self.graphql_some(&STATUS, json!({})).await
    }

    /// What every call is about. `namespace` is the older name of `organization`.
    pub(crate) fn context(&self) -> Value {
        json!({"organization": self.organization()})
    }
}
