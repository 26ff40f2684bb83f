//! How events come to an integration, as its settings say it.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use supercargo_registry::RegistryKind;

/// Key: who sends the events, by the names of providers, parted by commas, or [`NO_EVENTS`].
pub const EVENTS: &str = "events";
/// Nobody does.
pub const NO_EVENTS: &str = "none";
/// Key: the queue that is asked for them.
pub const QUEUE: &str = "events-queue";
/// Key: the topic that tells of the set-up.
pub const TOPICS: &str = "events-topics";
/// Key: the address at which the registry's side reaches the server.
pub const PUBLIC_URL: &str = "events-url";

/// How an integration hears of what happens in its registry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub enum EventWay {
    /// Amazon ECR: EventBridge calls this server.
    ApiDestination,
    /// Amazon ECR and Azure Container Registry: EventBridge or Event Grid fills a queue that this server asks. Nothing has
    /// to reach it from outside.
    Queue,
    /// Azure Container Registry: Event Grid calls this server.
    EventGrid,
    /// The product calls this server.
    Webhook,
    /// Not at all: the registry is asked again and again.
    None,
}

impl EventWay {
    /// The ways of a product, the usual one first.
    pub const fn of(kind: RegistryKind) -> &'static [Self] {
        match kind {
            RegistryKind::Ecr => &[Self::ApiDestination, Self::Queue, Self::None],
            RegistryKind::Acr => &[Self::EventGrid, Self::Queue, Self::None],
            _ => &[Self::Webhook, Self::None],
        }
    }

    /// The way of an integration.
    pub fn chosen(kind: RegistryKind, settings: &BTreeMap<String, String>) -> Self {
        let named = settings.get(EVENTS).map(String::as_str);
        match (kind, named) {
            // Most registries that speak the distribution protocol alone tell nobody of anything.
            (_, Some(NO_EVENTS)) | (RegistryKind::Oci, None) => Self::None,
            _ if settings.contains_key(QUEUE) => Self::Queue,
            // The registry's own webhooks.
            (RegistryKind::Acr, Some(named)) if named != provider(kind) => Self::Webhook,
            _ => Self::of(kind).first().copied().unwrap_or(Self::None),
        }
    }

    /// Whether the registry's side has to reach this server.
    pub const fn calls_us(self) -> bool {
        matches!(self, Self::ApiDestination | Self::EventGrid | Self::Webhook)
    }

    /// What it is to the person who sets it up.
    pub const fn about(self) -> &'static str {
        match self {
            Self::ApiDestination => "EventBridge calls this server",
            Self::Queue => "a queue that is asked",
            Self::EventGrid => "Event Grid calls this server",
            Self::Webhook => "the registry calls this server",
            Self::None => "none: the registry is asked again and again",
        }
    }
}

impl fmt::Display for EventWay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::ApiDestination => "api-destination",
            Self::Queue => "queue",
            Self::EventGrid => "event-grid",
            Self::Webhook => "webhook",
            Self::None => "none",
        })
    }
}

/// The provider of a product's events, by its name in `/v1/events/PROVIDER/NAME`.
pub(super) const fn provider(kind: RegistryKind) -> &'static str {
    match kind {
        RegistryKind::Ecr => "eventbridge",
        RegistryKind::Acr => "event-grid",
        RegistryKind::Artifactory => "artifactory",
        RegistryKind::Harbor => "harbor",
        RegistryKind::Nexus => "nexus",
        RegistryKind::Oci => "distribution",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ways_of_settings() {
        let check = |kind: RegistryKind, settings: &[(&str, &str)], expected: EventWay| {
            let settings = settings.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
            assert_eq!(EventWay::chosen(kind, &settings), expected, "{kind} {settings:?}");
        };
        check(RegistryKind::Ecr, &[], EventWay::ApiDestination);
        check(RegistryKind::Ecr, &[(QUEUE, "https://sqs.eu-west-1.amazonaws.com/1/q")], EventWay::Queue);
        check(RegistryKind::Ecr, &[(EVENTS, "none")], EventWay::None);
        check(RegistryKind::Acr, &[], EventWay::EventGrid);
        check(RegistryKind::Acr, &[(EVENTS, "event-grid")], EventWay::EventGrid);
        check(RegistryKind::Acr, &[(EVENTS, "acr")], EventWay::Webhook);
        check(RegistryKind::Acr, &[(QUEUE, "https://acme.queue.core.windows.net/events")], EventWay::Queue);
        check(RegistryKind::Harbor, &[], EventWay::Webhook);
        check(RegistryKind::Oci, &[], EventWay::None);
        check(RegistryKind::Oci, &[(EVENTS, "distribution")], EventWay::Webhook);
    }
}
