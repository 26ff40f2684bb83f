//! What is left on the registry's side when an integration is removed.

use serde::Serialize;
use supercargo_engine::registry::RegistryKind;

use super::events::EventWay;
use super::subject::Setup;
use super::template::{SCOPE_MAP, STACK, SUBSCRIPTION, TOKEN, TOPIC};

/// Something that nothing here deletes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Remnant {
    /// What it is.
    pub(crate) what: String,
    /// What deletes it, where that is a command.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) command: Option<String>,
}

fn remnant(what: impl Into<String>, command: impl Into<String>) -> Remnant {
    Remnant { what: what.into(), command: Some(command.into()) }
}

/// What remains of an integration, in the order in which it can be deleted. What was never set up does not remain, and is
/// not told apart: nobody told supercargo.
pub(crate) fn remains(setup: &Setup<'_>) -> Vec<Remnant> {
    let (name, host, resource) = (setup.name, setup.host, setup.resource());
    match (setup.kind, setup.events()) {
        (RegistryKind::Ecr, _) => {
            let place = setup.place();
            let (account, region) = match &place {
                Some(place) => (place.account.as_str(), place.region.as_str()),
                None => ("ACCOUNT", "REGION"),
            };
            let resources = match setup.events() {
                EventWay::Queue => {
                    "EventQueue, EventQueuePolicy, SupercargoEcrRule, SupercargoRepoDeletedRule, AssumeRoleEcrAccess"
                }
                EventWay::None => "AssumeRoleEcrAccess",
                _ => {
                    "SNSTopic, TopicPolicy, SupercargoCredentials, Connection, ApiDestination, SupercargoEcrRule, \
                     SupercargoRepoDeletedRule, InvokeApiRole, AssumeRoleEcrAccess"
                }
            };
            vec![remnant(
                format!(
                    "the CloudFormation stack {STACK} in account {account}, region {region}, with {resources}, and the \
                     dead-letter queue if it has one (or what Terraform made in its place)"
                ),
                format!("aws cloudformation delete-stack --region {region} --stack-name {STACK}"),
            )]
        }
        (RegistryKind::Acr, events) => {
            let registry = setup.registry_name();
            let mut all = vec![remnant(
                format!("the token {TOKEN} of {host}"),
                format!("az acr token delete --registry {registry} --name {TOKEN}"),
            )];
            all.push(remnant(
                format!("the scope map {SCOPE_MAP} of {host}"),
                format!("az acr scope-map delete --registry {registry} --name {SCOPE_MAP}"),
            ));
            if events == EventWay::EventGrid {
                all.push(remnant(
                    format!("the event subscription {SUBSCRIPTION} of the topic {TOPIC}"),
                    format!(
                        "az eventgrid system-topic event-subscription delete --resource-group GROUP \
                         --system-topic-name {TOPIC} --name {SUBSCRIPTION}"
                    ),
                ));
                all.push(remnant(
                    format!("the system topic {TOPIC}"),
                    format!("az eventgrid system-topic delete --resource-group GROUP --name {TOPIC}"),
                ));
            }
            all
        }
        (_, EventWay::None) => Vec::new(),
        (RegistryKind::Artifactory, _) => {
            let platform = setup.platform();
            vec![remnant(
                format!("the webhook {resource} of {host}"),
                format!(
                    "curl --request DELETE --header \"Authorization: Bearer $ARTIFACTORY_TOKEN\" \
                     {platform}/event/api/v1/subscriptions/{resource}"
                ),
            )]
        }
        (RegistryKind::Harbor, _) => {
            let what = format!("the webhook {resource} in each project of {host} that has one");
            vec![Remnant { what, command: None }]
        }
        (RegistryKind::Nexus, _) => {
            let what =
                format!("the capability \"Webhook: Repository\" with the address …/v1/events/nexus/{name} of {host}");
            vec![Remnant { what, command: None }]
        }
        (RegistryKind::Oci, _) => {
            let what = format!("the endpoint {resource} under `notifications` in the configuration of {host}");
            vec![Remnant { what, command: None }]
        }
    }
}
