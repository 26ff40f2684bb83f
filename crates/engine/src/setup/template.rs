//! What has to be set up on the registry's side, as texts ready to be used.
//!
//! The texts lie in `templates/`. Each makes everything that is needed and nothing else, and says beside it what it costs
//! and how it is put to use.

use std::collections::BTreeSet;
use std::fmt;

use serde::Serialize;
use supercargo_registry::RegistryKind;

use super::cost::{self, Cost};
use super::events::{EventWay, provider};
use super::fill::fill;
use super::subject::Setup;
use crate::{Error, ErrorKind, Result};

/// The name of the stack, which everything that tells of it uses.
pub(super) const STACK: &str = "SupercargoECRIntegration";
/// The token and the topic of Azure's template: those of Docker Scout's, so that deploying it over one of those takes it
/// over. A registry can have one system topic only.
pub(super) const TOKEN: &str = "docker-scout-readonly-token";
pub(super) const TOPIC: &str = "docker-scout-repository";
pub(super) const SUBSCRIPTION: &str = "image-change";
pub(super) const SCOPE_MAP: &str = "supercargo-list-and-pull";

/// A template.
#[derive(Clone, Copy, Debug)]
pub struct Template {
    /// What it is called.
    pub name: &'static str,
    /// The product that it is for.
    kind: RegistryKind,
    /// The way of events that it sets up.
    events: EventWay,
    /// What it is, for a person to read.
    pub about: &'static str,
    /// What a file of it is called.
    pub file: &'static str,
    text: &'static str,
    /// What it costs.
    pub costs: &'static [Cost],
}

/// All of them; of those for one product and way, the usual one first.
const TEMPLATES: [Template; 12] = [
    Template {
        name: "cloudformation",
        kind: RegistryKind::Ecr,
        events: EventWay::ApiDestination,
        about: "a CloudFormation stack; events by API destination",
        file: "supercargo-ecr.yaml",
        text: include_str!("../../templates/ecr/api-destination.yaml"),
        costs: cost::API_DESTINATION,
    },
    Template {
        name: "terraform",
        kind: RegistryKind::Ecr,
        events: EventWay::ApiDestination,
        about: "the same as a Terraform module",
        file: "main.tf",
        text: include_str!("../../templates/ecr/api-destination.tf"),
        costs: cost::API_DESTINATION,
    },
    Template {
        name: "cloudformation",
        kind: RegistryKind::Ecr,
        events: EventWay::Queue,
        about: "a CloudFormation stack; events by queue",
        file: "supercargo-ecr.yaml",
        text: include_str!("../../templates/ecr/queue.yaml"),
        costs: cost::QUEUE,
    },
    Template {
        name: "terraform",
        kind: RegistryKind::Ecr,
        events: EventWay::Queue,
        about: "the same as a Terraform module",
        file: "main.tf",
        text: include_str!("../../templates/ecr/queue.tf"),
        costs: cost::QUEUE,
    },
    Template {
        name: "arm",
        kind: RegistryKind::Acr,
        events: EventWay::EventGrid,
        about: "an ARM template",
        file: "supercargo-acr.json",
        text: include_str!("../../templates/acr/template.json"),
        costs: cost::AZURE,
    },
    Template {
        name: "terraform",
        kind: RegistryKind::Acr,
        events: EventWay::EventGrid,
        about: "the same as a Terraform module",
        file: "main.tf",
        text: include_str!("../../templates/acr/module.tf"),
        costs: cost::AZURE,
    },
    Template {
        name: "arm",
        kind: RegistryKind::Acr,
        events: EventWay::Queue,
        about: "an ARM template; events by queue",
        file: "supercargo-acr.json",
        text: include_str!("../../templates/acr/template.json"),
        costs: cost::AZURE_QUEUE,
    },
    Template {
        name: "terraform",
        kind: RegistryKind::Acr,
        events: EventWay::Queue,
        about: "the same as a Terraform module",
        file: "main.tf",
        text: include_str!("../../templates/acr/module.tf"),
        costs: cost::AZURE_QUEUE,
    },
    Template {
        name: "curl",
        kind: RegistryKind::Artifactory,
        events: EventWay::Webhook,
        about: "a call of Artifactory's REST API that makes a webhook",
        file: "webhook.sh",
        text: include_str!("../../templates/artifactory/webhook.sh"),
        costs: cost::NOTHING,
    },
    Template {
        name: "curl",
        kind: RegistryKind::Harbor,
        events: EventWay::Webhook,
        about: "a call of Harbor's API that makes a webhook in a project",
        file: "webhook.sh",
        text: include_str!("../../templates/harbor/webhook.sh"),
        costs: cost::NOTHING,
    },
    Template {
        name: "steps",
        kind: RegistryKind::Nexus,
        events: EventWay::Webhook,
        about: "what to fill in where",
        file: "webhook.txt",
        text: include_str!("../../templates/nexus/webhook.txt"),
        costs: cost::NOTHING,
    },
    Template {
        name: "notifications",
        kind: RegistryKind::Oci,
        events: EventWay::Webhook,
        about: "a part of the registry's configuration",
        file: "notifications.yml",
        text: include_str!("../../templates/oci/notifications.yml"),
        costs: cost::NOTHING,
    },
];

/// The body of the call that makes Artifactory's webhook.
const WEBHOOK: &str = include_str!("../../templates/artifactory/webhook.json");

/// What can be chosen about a template.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Choice {
    /// Amazon ECR: a queue that keeps what could not be delivered.
    DeadLetterQueue,
    /// Azure: a token that pulls and does not list.
    PullOnly,
}

impl Choice {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::DeadLetterQueue, Self::PullOnly];

    /// Its name, which is an option of the templates, too.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::DeadLetterQueue => "dead-letter-queue",
            Self::PullOnly => "pull-only",
        }
    }
}

impl fmt::Display for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl Setup<'_> {
    /// The templates that there are for it, the usual one first.
    pub fn templates(&self) -> impl Iterator<Item = &'static Template> {
        let (kind, events) = (self.kind, self.events());
        // Whoever else was told to send the events is not set up by them.
        let is_usual = events == EventWay::Queue || self.provider() == provider(kind);
        TEMPLATES.iter().filter(move |template| is_usual && template.kind == kind && template.events == events)
    }

    /// The webhook that Artifactory is asked to make, as its REST API takes it.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Configuration`] with what is not known of the integration.
    pub fn webhook_body(&self) -> Result<String> {
        fill(WEBHOOK, &self.values(), &BTreeSet::new()).map_err(|problems| unknown(self, &problems))
    }
}

impl Template {
    /// Whether `choice` means something to it.
    pub fn has(&self, choice: Choice) -> bool {
        self.text.lines().any(|line| line.trim().strip_prefix("#@if ") == Some(choice.as_str()))
    }

    /// The text for an integration.
    ///
    /// # Errors
    ///
    /// What is not known of it.
    pub(super) fn fill(&self, setup: &Setup<'_>, choices: &[Choice]) -> Result<String> {
        let mut values = setup.values();
        if self.kind == RegistryKind::Artifactory {
            values.insert("body", setup.webhook_body()?.trim_end().to_owned());
        }
        let mut options: BTreeSet<&str> = choices.iter().map(|choice| choice.as_str()).collect();
        if !choices.contains(&Choice::PullOnly) {
            options.insert("list");
        }
        options.insert(if self.events == EventWay::Queue { "queue" } else { "call" });
        fill(self.text, &values, &options).map_err(|problems| unknown(setup, &problems))
    }

    /// The commands that put it to use once it is in `file`.
    pub fn next(&self, setup: &Setup<'_>, file: &str) -> Vec<String> {
        let name = setup.name;
        let password = format!(
            "az acr token credential generate --registry {} --name {TOKEN} --password1 --query 'passwords[0].value' \
             --output tsv | supercargo integration credentials {name} --user {TOKEN} --password-file -",
            setup.registry_name()
        );
        let deploy = match (self.name, self.kind) {
            ("arm", _) => vec![format!("az deployment group create --resource-group GROUP --template-file {file}")],
            ("terraform", RegistryKind::Acr) => {
                vec!["terraform init".to_owned(), "terraform apply -var resource_group=GROUP".to_owned()]
            }
            _ => Vec::new(),
        };
        match (self.name, self.kind) {
            (_, RegistryKind::Acr) => {
                let mut next = Vec::new();
                if let Some((account, queue)) = setup.storage().filter(|_| self.events == EventWay::Queue) {
                    next.push(format!(
                        "az storage account create --resource-group GROUP --name {account} --sku Standard_LRS"
                    ));
                    next.extend(deploy);
                    next.push(password);
                    // Where supercargo has an identity of Azure's, it needs no secret: docs/deploy/azure-queue.md.
                    next.push(format!(
                        "az storage queue generate-sas --name {queue} --account-name {account} --permissions up \
                         --expiry YYYY-MM-DD --https-only --output tsv | supercargo integration credentials {name} \
                         --queue-secret-file -"
                    ));
                } else {
                    next.extend(deploy);
                    next.push(password);
                }
                next
            }
            ("cloudformation", _) => {
                let region = setup.place().map(|place| place.region).unwrap_or_default();
                vec![format!(
                    "aws cloudformation deploy --region {region} --stack-name {STACK} --template-file {file} \
                     --capabilities CAPABILITY_NAMED_IAM"
                )]
            }
            ("terraform", _) => vec!["terraform init".to_owned(), "terraform apply".to_owned()],
            ("curl", _) => vec![format!("sh {file}")],
            _ => Vec::new(),
        }
    }
}

fn unknown(setup: &Setup<'_>, problems: &[String]) -> Error {
    let about = |place: &str| match place {
        "endpoint" | "setup-endpoint" | "webhook" if setup.public_url().is_none() => {
            "say under which address the registry reaches this server, such as https://supercargo.example.com: \
             --public-url, or public_url in the API"
                .to_owned()
        }
        "secret" | "webhook" if setup.secret.is_none() => {
            format!(
                "there is no secret of its events: `supercargo integration credentials {} --new-event-secret` makes one, \
                 and so does new_event_secret in the API",
                setup.name
            )
        }
        "external-id" => "its settings have no external-id".to_owned(),
        "principal" | "account" | "region" => {
            format!("{} does not say account and region, and the settings do not either", setup.host)
        }
        other => format!("{other} is not known"),
    };
    let mut told: Vec<String> = problems
        .iter()
        .map(|problem| match problem.split_once(": ") {
            Some((place, "it is not known")) => about(place),
            _ => problem.clone(),
        })
        .collect();
    told.sort();
    told.dedup();
    Error::new(ErrorKind::Configuration, format!("fill the template of {}: {}", setup.name, told.join("; ")))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::Value;

    use super::super::fill::next_place;
    use super::super::{Ask, EVENTS, Place, QUEUE, resource};
    use super::*;

    fn settings(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    fn setup<'a>(kind: RegistryKind, host: &'a str, settings: &'a BTreeMap<String, String>) -> Setup<'a> {
        Setup {
            secret: Some("00112233445566778899aabbccddeeff"),
            public_url: Some("https://supercargo.example.com/"),
            ..Setup::new("prod.eu", kind, host, settings)
        }
    }

    /// Each is whole with all that an integration can say, whatever is chosen.
    #[test]
    fn every_place_is_filled() {
        let settings = settings(&[
            ("account", "123456789012"),
            ("region", "eu-west-1"),
            ("external-id", "0123456789abcdef"),
            ("api", "https://registry.example.com/artifactory"),
            ("repository", "docker-local, docker-remote"),
            ("events-queue", "https://acme.queue.core.windows.net/registry-events"),
        ]);
        for template in &TEMPLATES {
            let one = Choice::ALL.map(|choice| vec![choice]);
            for choices in [Vec::new(), Choice::ALL.to_vec()].into_iter().chain(one) {
                let setup = setup(template.kind, "registry.example.com", &settings);
                let text = template.fill(&setup, &choices).unwrap();
                assert!(!text.contains("#@") && next_place(&text).is_none(), "{}: {text}", template.file);
                assert!(text.contains("supercargo") && text.ends_with('\n'), "{}", template.file);
            }
            assert!(!template.costs.is_empty() && !template.about.is_empty());
        }
    }

    #[test]
    fn what_is_missing_is_named_as_a_person_can_give_it() {
        let none = BTreeMap::new();
        let bare = Setup::new("prod.eu", RegistryKind::Ecr, "registry.example.com", &none);
        let message = bare.template(&Ask::default()).unwrap_err().to_string();
        for part in ["--public-url", "--new-event-secret", "external-id", "account and region"] {
            assert!(message.contains(part), "{message}");
        }
    }

    #[test]
    fn the_webhook_of_artifactory_is_what_its_api_takes() {
        let settings = settings(&[("api", "https://jfrog.example/artifactory/"), ("repository", "a,b")]);
        let setup = setup(RegistryKind::Artifactory, "jfrog.example", &settings);
        let body: Value = serde_json::from_str(&setup.webhook_body().unwrap()).unwrap();
        assert_eq!(body["key"], "supercargo-prod-eu");
        assert_eq!(body["event_filter"]["criteria"]["repoKeys"], serde_json::json!(["a", "b"]));
        assert_eq!(body["handlers"][0]["url"], "https://supercargo.example.com/v1/events/artifactory/prod.eu");
        let text = setup.template(&Ask::default()).unwrap().text;
        assert!(text.contains("'https://jfrog.example/event/api/v1/subscriptions'"), "{text}");
    }

    #[test]
    fn choices_are_of_those_that_have_them() {
        let with = |choice: Choice| TEMPLATES.iter().filter(|template| template.has(choice)).count();
        assert_eq!(Choice::ALL.map(with), [4, 4]);
    }

    /// What the templates make is what the settings ask.
    #[test]
    fn queues_are_those_of_the_settings() {
        let url = "https://acme.queue.core.windows.net/registry-events";
        let azure = settings(&[(QUEUE, url)]);
        let filled = setup(RegistryKind::Acr, "contoso.azurecr.io", &azure).template(&Ask::default()).unwrap();
        let template: Value = serde_json::from_str(&filled.text).unwrap();
        let parameters = &template["parameters"];
        assert_eq!(parameters["StorageAccount"]["defaultValue"], "acme");
        assert_eq!(parameters["QueueName"]["defaultValue"], "registry-events");
        assert!(parameters["DockerScoutWebhook"].is_null() && !filled.text.contains("00112233"), "{}", filled.text);
        let of = |sort: &str| {
            let all = template["resources"].as_array().unwrap();
            all.iter().find(|resource| resource["type"] == sort).cloned().unwrap_or_default()
        };
        // Microsoft.EventGrid systemTopics/eventSubscriptions, StorageQueueEventSubscriptionDestination.
        let destination = &of("Microsoft.EventGrid/systemTopics/eventSubscriptions")["properties"]["destination"];
        assert_eq!(destination["endpointType"], "StorageQueue");
        for property in ["resourceId", "queueName"] {
            assert!(destination["properties"][property].is_string(), "{destination}");
        }
        let queue = of("Microsoft.Storage/storageAccounts/queueServices/queues");
        assert_eq!(queue["name"], "[concat(parameters('StorageAccount'), '/default/', parameters('QueueName'))]");
        assert!(filled.next.iter().any(|next| next.contains("--queue-secret-file")), "{:?}", filled.next);

        let host = "123456789012.dkr.ecr.eu-west-1.amazonaws.com";
        let place = Place::of(host, &BTreeMap::new()).unwrap();
        let queue = place.queue(&resource("prod.eu"));
        let amazon = settings(&[("external-id", "0123"), (QUEUE, &queue)]);
        let filled = setup(RegistryKind::Ecr, host, &amazon).template(&Ask::default()).unwrap();
        let name = queue.rsplit('/').next().unwrap();
        assert!(filled.text.contains(&format!("QueueName: {name}\n")), "{}", filled.text);
    }

    /// A template speaks of the address of one provider.
    #[test]
    fn there_is_none_for_events_that_somebody_else_sends() {
        let check = |kind: RegistryKind, events: &str, expected: &[&str]| {
            let settings = settings(&[(EVENTS, events)]);
            let found: Vec<_> =
                setup(kind, "registry.example.com", &settings).templates().map(|one| one.name).collect();
            assert_eq!(found, expected, "{kind} {events}");
        };
        check(RegistryKind::Oci, "distribution", &["notifications"]);
        check(RegistryKind::Oci, "zot", &[]);
        check(RegistryKind::Acr, "event-grid", &["arm", "terraform"]);
        check(RegistryKind::Acr, "acr", &[]);
        check(RegistryKind::Harbor, "none", &[]);
    }
}
