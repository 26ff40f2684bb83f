//! Integrations: registries that somebody connected, what is known of each, and how it came to be as it is.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use supercargo_index::Platform;

use crate::error::{Error, ErrorKind, Result};
use crate::name::{Reason, RepositoryName};

/// An integration's number, never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(transparent)]
pub struct IntegrationId(pub i64);

impl fmt::Display for IntegrationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// How an integration stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum IntegrationState {
    /// It is set up here, and the registry's side has not answered.
    Pending,
    /// It works.
    Connected,
    /// It works by asking; events that should have come did not.
    Degraded,
    /// It does not work.
    Error,
    /// It is no more.
    Removed,
}

impl IntegrationState {
    /// All states.
    pub const ALL: [Self; 5] = [Self::Pending, Self::Connected, Self::Degraded, Self::Error, Self::Removed];

    /// The word that is stored and shown.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Connected => "connected",
            Self::Degraded => "degraded",
            Self::Error => "error",
            Self::Removed => "removed",
        }
    }

    pub(crate) fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == word)
    }
}

impl fmt::Display for IntegrationState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A registry that somebody connected.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Integration {
    /// Its number.
    pub id: IntegrationId,
    /// What it is called. Of those that are not removed each has a name of its own.
    pub name: String,
    /// `ecr`, `acr`, `artifactory`, …: the registry's type, as in `--registry type=…`.
    pub kind: String,
    /// The registry's host, in the form in which all else in the store names it. Of those that are not removed each
    /// has a registry of its own.
    pub registry: String,
    /// How the registry is reached, by the keys of a `--registry` string. No secret is among them.
    pub settings: BTreeMap<String, String>,
    /// What of the registry is wanted.
    pub policy: IntegrationPolicy,
    /// When the credentials it has were set. They themselves are read by
    /// [`sealed_credentials`](crate::IntegrationStore::sealed_credentials) alone.
    pub credentials: Option<SealedAt>,
    /// How it stands.
    pub state: IntegrationState,
    /// Why it stands so.
    pub reason: Option<Reason>,
    /// What to do about it.
    pub advice: Option<String>,
    /// Since when it has stood so.
    pub since: Timestamp,
    /// When it was made.
    pub created_at: Timestamp,
    /// When its connection was last tested.
    pub tested_at: Option<Timestamp>,
    /// When its first event came.
    pub first_event: Option<Timestamp>,
    /// When its last event came; it may be some seconds behind.
    pub last_event: Option<Timestamp>,
    /// When it was removed.
    pub removed_at: Option<Timestamp>,
    /// What was to become of its registry's data, if it was removed.
    pub removed_data: Option<RemovedData>,
    /// Raised by every change but the time of its last event. A change that names an older one is refused.
    pub revision: i64,
}

/// Credentials that are there and are not shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SealedAt {
    /// When they were set.
    pub changed_at: Timestamp,
}

/// What becomes of a registry's data when its integration is removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum RemovedData {
    /// It stays, and is no longer kept up to date.
    #[default]
    Keep,
    /// It goes: repositories, tags, manifests, events, jobs, undelivered news of images, and the images that no other
    /// registry had. Layers in the cache belong to nobody and go when they have not been used for long.
    Delete,
}

impl RemovedData {
    /// The word that is stored and shown.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Keep => "keep",
            Self::Delete => "delete",
        }
    }

    pub(crate) fn parse(word: &str) -> Option<Self> {
        [Self::Keep, Self::Delete].into_iter().find(|data| data.as_str() == word)
    }
}

/// What of a registry is wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields, default)]
pub struct IntegrationPolicy {
    /// Whether repositories that are seen for the first time are enabled.
    pub enable_on_push: bool,
    /// Which images of the enabled repositories are wanted.
    pub selection: Selection,
}

/// Which images are wanted: those that pass every one of these. Empty for all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Selection {
    /// Of the repositories that one of these globs matches; empty for all.
    pub include: Vec<String>,
    /// Not of those that one of these globs matches.
    pub exclude: Vec<String>,
    /// With a tag that one of these regular expressions matches; empty for all.
    pub tags: Vec<String>,
    /// Pushed no longer ago than this; in JSON the number of seconds.
    #[serde(rename = "newer_than_seconds", with = "seconds")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<u64>))]
    pub newer_than: Option<Duration>,
    /// Of each repository this many, the newest first.
    pub newest: Option<u32>,
    /// Of these platforms; empty for all. In JSON `linux/amd64`.
    #[serde(with = "platforms")]
    #[cfg_attr(feature = "openapi", schema(value_type = Vec<String>))]
    pub platforms: Vec<Platform>,
}

mod seconds {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<S: Serializer>(value: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
        value.map(|duration| duration.as_secs()).serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
        Ok(Option::deserialize(deserializer)?.map(Duration::from_secs))
    }
}

mod platforms {
    use serde::{Deserialize, Deserializer, Serializer};
    use supercargo_index::Platform;

    pub(super) fn serialize<S: Serializer>(value: &[Platform], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(value.iter().map(Platform::to_string))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Platform>, D::Error> {
        let words: Vec<String> = Vec::deserialize(deserializer)?;
        words.iter().map(|word| word.parse().map_err(serde::de::Error::custom)).collect()
    }
}

/// An integration to be made. It begins as [`Pending`](IntegrationState::Pending).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewIntegration {
    /// What it is called: letters, digits, `.`, `_` and `-`, at most [`NewIntegration::NAME_LIMIT`] of them. It is
    /// part of the address that its events are sent to.
    pub name: String,
    /// The registry's type.
    pub kind: String,
    /// The registry's host.
    pub registry: String,
    /// How the registry is reached.
    pub settings: BTreeMap<String, String>,
    /// What of the registry is wanted.
    pub policy: IntegrationPolicy,
    /// Its credentials, sealed.
    pub credentials: Option<Vec<u8>>,
}

impl NewIntegration {
    /// Bytes of a name at most.
    pub const NAME_LIMIT: usize = 63;

    /// An integration of `registry` without settings, credentials or limits.
    pub fn new(name: impl Into<String>, kind: impl Into<String>, registry: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            kind: kind.into(),
            registry: registry.into(),
            settings: BTreeMap::new(),
            policy: IntegrationPolicy::default(),
            credentials: None,
        }
    }

    /// Whether it can be stored.
    pub(crate) fn check(&self) -> Result<()> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        let name = self.name.as_bytes();
        if !name.first().is_some_and(u8::is_ascii_alphanumeric)
            || name.len() > Self::NAME_LIMIT
            || !name.iter().copied().all(plain)
        {
            return Err(Error::new(ErrorKind::Invalid, CREATE).with_context(format_args!(
                "{:?}: a name has letters, digits, `.`, `_` and `-`, begins with one of the first two, and is at most \
                 {} long",
                self.name,
                Self::NAME_LIMIT
            )));
        }
        if self.kind.is_empty() || self.registry.is_empty() {
            let told = format!("{:?}: it names no type or no registry", self.name);
            return Err(Error::new(ErrorKind::Invalid, CREATE).with_context(told));
        }
        Ok(())
    }

    /// The error for one that cannot be made because `other` is there.
    pub(crate) fn conflict(&self, other: &str) -> Error {
        let error = Error::new(ErrorKind::Conflict, CREATE);
        if self.name == other {
            error.with_context(format_args!("{other}: there is one of this name"))
        } else {
            error.with_context(format_args!("{}: the integration {other} has {}", self.name, self.registry))
        }
    }
}

pub(crate) const CREATE: &str = "create integration";

/// A step in an integration's life.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewMove {
    /// Where it goes. Where it is already, only the reason changes.
    pub to: IntegrationState,
    /// Why.
    pub reason: Option<Reason>,
    /// What to do about it.
    pub advice: Option<String>,
    /// Whether this is what a test of the connection has shown, now.
    pub tested: bool,
}

impl NewMove {
    /// To `to`, for no reason that needs words.
    pub fn new(to: IntegrationState) -> Self {
        Self { to, reason: None, advice: None, tested: false }
    }

    /// The same, with the reason.
    #[must_use]
    pub fn with_reason(mut self, reason: Reason) -> Self {
        self.reason = Some(reason);
        self
    }

    /// The same, with what to do about it.
    #[must_use]
    pub fn with_advice(mut self, advice: impl Into<String>) -> Self {
        self.advice = Some(advice.into());
        self
    }

    /// The same, as what a test of the connection has shown.
    #[must_use]
    pub fn after_test(mut self) -> Self {
        self.tested = true;
        self
    }

    /// Whether there is anything in it to remember: tests that show what is known already are not steps.
    pub(crate) fn is_step(&self, from: IntegrationState, reason: &Option<Reason>) -> bool {
        let kind = |reason: &Option<Reason>| reason.as_ref().map(|reason| reason.kind.clone());
        self.to != from || kind(&self.reason) != kind(reason)
    }
}

/// A step in an integration's life, as it is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct IntegrationMove {
    /// When.
    pub at: Timestamp,
    /// Where from; `None` when it was made.
    pub from: Option<IntegrationState>,
    /// Where to.
    pub to: IntegrationState,
    /// Why.
    pub reason: Option<Reason>,
    /// What to do about it.
    pub advice: Option<String>,
}

/// Whether to list integrations that were removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum IncludeRemoved {
    /// No.
    #[default]
    No,
    /// Yes, after those that are there.
    Yes,
}

/// The error for a change that was decided on what is no longer true.
pub(crate) fn stale(integration: &Integration, expected: i64) -> Error {
    Error::new(ErrorKind::Stale, "change integration")
        .with_context(format_args!("{}: it is at revision {}, not {expected}", integration.name, integration.revision))
}

/// How far behind [`Integration::last_event`] may be, in milliseconds: a thousand events a second should not be a
/// thousand writes more.
pub(crate) const EVENT_NOTED_EVERY: i64 = 10_000;

/// What a removal ended and deleted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Removal {
    /// The integration, as it is now.
    pub integration: Integration,
    /// Jobs of its registry that waited, ran or had been given up.
    pub jobs: u64,
    /// Repositories of its registry that were deleted.
    pub repositories: u64,
    /// Images that were deleted: those that no other registry had.
    pub images: u64,
}

/// How a repository came to be known to an integration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum RepositoryOrigin {
    /// It was found in the registry.
    Found,
    /// Somebody named it.
    Named,
}

impl RepositoryOrigin {
    /// The word that is stored and shown.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Found => "found",
            Self::Named => "named",
        }
    }

    pub(crate) fn parse(word: &str) -> Option<Self> {
        [Self::Found, Self::Named].into_iter().find(|origin| origin.as_str() == word)
    }
}

/// A repository of an integration, and whether its images are wanted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RepositorySetting {
    /// The integration's name.
    pub integration: String,
    /// The repository.
    #[serde(flatten)]
    pub repository: RepositoryName,
    /// Whether its images are indexed. Events of one that is not are kept, and nothing is done about them.
    pub enabled: bool,
    /// How it came to be known.
    pub origin: RepositoryOrigin,
    /// When it was enabled or disabled, or became known.
    pub changed_at: Timestamp,
}

/// Which repository settings to list; empty for all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RepositorySettingFilter {
    /// Only those of the integration of this name.
    pub integration: Option<String>,
    /// Only those of this registry.
    pub registry: Option<String>,
    /// Only those of the repository of this name.
    pub repository: Option<String>,
    /// Only those that are enabled, or only those that are not.
    pub enabled: Option<bool>,
}

impl RepositorySettingFilter {
    /// Those of one integration.
    pub fn of(integration: impl Into<String>) -> Self {
        Self { integration: Some(integration.into()), ..Self::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_fit_an_address() {
        let check = |name: &str, fits: bool| {
            assert_eq!(NewIntegration::new(name, "oci", "registry.example").check().is_ok(), fits, "{name:?}");
        };
        check("ecr-prod", true);
        check("ECR_eu.west-1", true);
        check(&"a".repeat(63), true);
        check(&"a".repeat(64), false);
        for name in ["", "-a", ".a", "a b", "a/b", "å", "a?b"] {
            check(name, false);
        }
    }

    #[test]
    fn a_policy_is_written_in_plain_words() {
        let policy = IntegrationPolicy {
            enable_on_push: true,
            selection: Selection {
                include: vec!["team/*".to_owned()],
                newer_than: Some(Duration::from_secs(3600)),
                newest: Some(5),
                platforms: vec!["linux/arm64/v8".parse().unwrap()],
                ..Selection::default()
            },
        };
        let json = serde_json::json!({
            "enable_on_push": true,
            "selection": {
                "include": ["team/*"], "exclude": [], "tags": [], "newer_than_seconds": 3600, "newest": 5,
                "platforms": ["linux/arm64/v8"],
            },
        });
        assert_eq!(serde_json::to_value(&policy).unwrap(), json);
        assert_eq!(serde_json::from_value::<IntegrationPolicy>(json).unwrap(), policy);
        assert_eq!(serde_json::from_str::<IntegrationPolicy>("{}").unwrap(), IntegrationPolicy::default());
        serde_json::from_str::<IntegrationPolicy>(r#"{"enable": true}"#).unwrap_err();
        serde_json::from_str::<Selection>(r#"{"platforms": ["linux"]}"#).unwrap_err();
    }
}
