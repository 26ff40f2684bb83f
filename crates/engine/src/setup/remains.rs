//! What is left on the registry's side when an integration is removed.

use serde::Serialize;
use supercargo_registry::RegistryKind;

use super::events::{EventWay, provider};
use super::subject::Setup;
use super::template::{SCOPE_MAP, STACK, SUBSCRIPTION, TOKEN, TOPIC};

/// Something that nothing here deletes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Remnant {
    /// What it is, and where.
    pub what: String,
    /// What deletes it, where that is a command.
    pub command: Option<String>,
}

fn remnant(what: impl Into<String>, command: impl Into<String>) -> Remnant {
    Remnant { what: what.into(), command: Some(command.into()) }
}

impl Setup<'_> {
    /// What remains of it, in the order in which it can be deleted. What was never set up does not remain, and is not told
    /// apart: nobody told supercargo.
    pub fn remains(&self) -> Vec<Remnant> {
        let (name, host, resource) = (self.name, self.host, self.resource());
        match (self.kind, self.events()) {
            (RegistryKind::Ecr, _) => {
                let place = self.place();
                let (account, region) = match &place {
                    Some(place) => (place.account.as_str(), place.region.as_str()),
                    None => ("ACCOUNT", "REGION"),
                };
                let resources = match self.events() {
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
                let registry = self.registry_name();
                let mut all = vec![remnant(
                    format!("the token {TOKEN} of {host}"),
                    format!("az acr token delete --registry {registry} --name {TOKEN}"),
                )];
                all.push(remnant(
                    format!("the scope map {SCOPE_MAP} of {host}"),
                    format!("az acr scope-map delete --registry {registry} --name {SCOPE_MAP}"),
                ));
                if matches!(events, EventWay::EventGrid | EventWay::Queue) {
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
                    if let Some((account, queue)) = self.storage() {
                        all.push(remnant(
                            format!("the queue {queue} of the storage account {account}, and that account if it has no other use"),
                            format!("az storage queue delete --account-name {account} --name {queue}"),
                        ));
                    }
                } else if events == EventWay::Webhook {
                    all.push(self.sender());
                }
                all
            }
            (_, EventWay::None) => Vec::new(),
            (kind, _) if self.provider() != provider(kind) => vec![self.sender()],
            (RegistryKind::Artifactory, _) => {
                let platform = self.platform();
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
                let what = format!(
                    "the capability \"Webhook: Repository\" with the address …/v1/events/nexus/{name} of {host}"
                );
                vec![Remnant { what, command: None }]
            }
            (RegistryKind::Oci, _) => {
                let what = format!("the endpoint {resource} under `notifications` in the configuration of {host}");
                vec![Remnant { what, command: None }]
            }
        }
    }

    /// What was set up by hand, and not by a template.
    fn sender(&self) -> Remnant {
        let what = format!("what sends events of {} to …/v1/events/{}/{}", self.host, self.provider(), self.name);
        Remnant { what, command: None }
    }
}
