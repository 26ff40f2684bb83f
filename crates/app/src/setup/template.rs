//! What has to be set up on the registry's side, as texts ready to be used.
//!
//! The texts lie in `templates/`. Each makes everything that is needed and nothing else, and says beside it what it costs
//! and how it is put to use.

use std::collections::BTreeSet;

use supercargo_engine::registry::RegistryKind;

use super::events::EventWay;
use super::fill::fill;
use super::subject::Setup;
use crate::{Error, Result};

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
pub(crate) struct Template {
    /// What it is called on the command line.
    pub(crate) name: &'static str,
    /// The product that it is for.
    kind: RegistryKind,
    /// The way of events that it sets up.
    pub(crate) events: EventWay,
    /// What it is.
    pub(crate) about: &'static str,
    /// What a file of it is called.
    pub(crate) file: &'static str,
    text: &'static str,
    /// What it costs, a line each.
    pub(crate) costs: &'static [&'static str],
}

const API_DESTINATION_COSTS: &[&str] = &[
    "the secret about $0.42 a month, the API destination about $0.01 a month at 100 pushes a day, all else nothing",
    "images that are pulled out of the region: about $0.09 per GB, each layer once",
];
const QUEUE_COSTS: &[&str] = &[
    "the queue nothing up to a million requests a month (asking it takes about 130 000), all else nothing",
    "images that are pulled out of the region: about $0.09 per GB, each layer once",
];
const AZURE_COSTS: &[&str] = &[
    "topic and token nothing, the subscription $0.60 per million messages after the first 100 000 a month",
    "images that are pulled out of the region: about $0.10 per GB after the first 100 GB a month, each layer once",
];
const NOTHING: &[&str] = &["nothing"];

/// All of them; of those for one product and way, the usual one first.
pub(crate) const TEMPLATES: [Template; 10] = [
    Template {
        name: "cloudformation",
        kind: RegistryKind::Ecr,
        events: EventWay::ApiDestination,
        about: "a CloudFormation stack; events by API destination",
        file: "supercargo-ecr.yaml",
        text: include_str!("../../templates/ecr/api-destination.yaml"),
        costs: API_DESTINATION_COSTS,
    },
    Template {
        name: "terraform",
        kind: RegistryKind::Ecr,
        events: EventWay::ApiDestination,
        about: "the same as a Terraform module",
        file: "main.tf",
        text: include_str!("../../templates/ecr/api-destination.tf"),
        costs: API_DESTINATION_COSTS,
    },
    Template {
        name: "cloudformation",
        kind: RegistryKind::Ecr,
        events: EventWay::Queue,
        about: "a CloudFormation stack; events by queue",
        file: "supercargo-ecr.yaml",
        text: include_str!("../../templates/ecr/queue.yaml"),
        costs: QUEUE_COSTS,
    },
    Template {
        name: "terraform",
        kind: RegistryKind::Ecr,
        events: EventWay::Queue,
        about: "the same as a Terraform module",
        file: "main.tf",
        text: include_str!("../../templates/ecr/queue.tf"),
        costs: QUEUE_COSTS,
    },
    Template {
        name: "arm",
        kind: RegistryKind::Acr,
        events: EventWay::EventGrid,
        about: "an ARM template",
        file: "supercargo-acr.json",
        text: include_str!("../../templates/acr/template.json"),
        costs: AZURE_COSTS,
    },
    Template {
        name: "terraform",
        kind: RegistryKind::Acr,
        events: EventWay::EventGrid,
        about: "the same as a Terraform module",
        file: "main.tf",
        text: include_str!("../../templates/acr/module.tf"),
        costs: AZURE_COSTS,
    },
    Template {
        name: "curl",
        kind: RegistryKind::Artifactory,
        events: EventWay::Webhook,
        about: "a call of Artifactory's REST API that makes a webhook",
        file: "webhook.sh",
        text: include_str!("../../templates/artifactory/webhook.sh"),
        costs: NOTHING,
    },
    Template {
        name: "curl",
        kind: RegistryKind::Harbor,
        events: EventWay::Webhook,
        about: "a call of Harbor's API that makes a webhook in a project",
        file: "webhook.sh",
        text: include_str!("../../templates/harbor/webhook.sh"),
        costs: NOTHING,
    },
    Template {
        name: "steps",
        kind: RegistryKind::Nexus,
        events: EventWay::Webhook,
        about: "what to fill in where",
        file: "webhook.txt",
        text: include_str!("../../templates/nexus/webhook.txt"),
        costs: NOTHING,
    },
    Template {
        name: "notifications",
        kind: RegistryKind::Oci,
        events: EventWay::Webhook,
        about: "a part of the registry's configuration",
        file: "notifications.yml",
        text: include_str!("../../templates/oci/notifications.yml"),
        costs: NOTHING,
    },
];

/// The body of the call that makes Artifactory's webhook.
const WEBHOOK: &str = include_str!("../../templates/artifactory/webhook.json");

/// What can be chosen about a template.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Choices {
    /// Keep what could not be delivered.
    pub(crate) dead_letter_queue: bool,
    /// Azure: a token that pulls and does not list.
    pub(crate) pull_only: bool,
}

impl Choices {
    fn options(self) -> BTreeSet<&'static str> {
        let queue = self.dead_letter_queue.then_some("dead-letter-queue");
        queue.into_iter().chain([if self.pull_only { "pull-only" } else { "list" }]).collect()
    }
}

impl Template {
    /// Those for an integration.
    pub(crate) fn of(kind: RegistryKind, events: EventWay) -> impl Iterator<Item = &'static Self> {
        TEMPLATES.iter().filter(move |template| template.kind == kind && template.events == events)
    }

    /// Whether `choice` means something to it.
    pub(crate) fn has(&self, option: &str) -> bool {
        self.text.lines().any(|line| line.trim().strip_prefix("#@if ") == Some(option))
    }

    /// The text for an integration.
    ///
    /// # Errors
    ///
    /// What is not known of it.
    pub(crate) fn fill(&self, setup: &Setup<'_>, choices: Choices) -> Result<String> {
        let mut values = setup.values();
        if self.kind == RegistryKind::Artifactory {
            values.insert("body", webhook_body(setup)?.trim_end().to_owned());
        }
        fill(self.text, &values, &choices.options()).map_err(|problems| unknown(setup, &problems))
    }

    /// The commands that put it to use once it is in `file`.
    pub(crate) fn next(&self, setup: &Setup<'_>, file: &str) -> Vec<String> {
        let name = setup.name;
        let password = format!(
            "az acr token credential generate --registry {} --name {TOKEN} --password1 --query 'passwords[0].value' \
             --output tsv | supercargo integration credentials {name} --user {TOKEN} --password-file -",
            setup.registry_name()
        );
        match (self.name, self.kind) {
            ("cloudformation", _) => {
                let region = setup.place().map(|place| place.region).unwrap_or_default();
                vec![format!(
                    "aws cloudformation deploy --region {region} --stack-name {STACK} --template-file {file} \
                     --capabilities CAPABILITY_NAMED_IAM"
                )]
            }
            ("arm", _) => {
                vec![format!("az deployment group create --resource-group GROUP --template-file {file}"), password]
            }
            ("terraform", RegistryKind::Acr) => {
                vec!["terraform init".to_owned(), "terraform apply -var resource_group=GROUP".to_owned(), password]
            }
            ("terraform", _) => vec!["terraform init".to_owned(), "terraform apply".to_owned()],
            ("curl", _) => vec![format!("sh {file}")],
            _ => Vec::new(),
        }
    }
}

/// The webhook that Artifactory is asked to make, as its REST API takes it.
///
/// # Errors
///
/// What is not known of the integration.
pub(crate) fn webhook_body(setup: &Setup<'_>) -> Result<String> {
    fill(WEBHOOK, &setup.values(), &BTreeSet::new()).map_err(|problems| unknown(setup, &problems))
}

fn unknown(setup: &Setup<'_>, problems: &[String]) -> Error {
    let about = |place: &str| match place {
        "endpoint" | "setup-endpoint" | "webhook" if setup.public_url.is_none() => {
            "say with --public-url under which address the registry reaches this server, such as \
             https://supercargo.example.com"
                .to_owned()
        }
        "secret" | "webhook" if setup.secret.is_none() => {
            format!(
                "there is no secret of its events: `supercargo integration credentials {} --new-event-secret` makes one",
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
    Error::usage(told)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::Value;

    use super::super::fill::next_place;
    use super::*;

    fn settings(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    fn setup<'a>(kind: RegistryKind, host: &'a str, settings: &'a BTreeMap<String, String>) -> Setup<'a> {
        Setup {
            name: "prod.eu",
            kind,
            host,
            settings,
            secret: Some("00112233445566778899aabbccddeeff"),
            public_url: Some("https://supercargo.example.com/"),
            principal: None,
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
        ]);
        for template in &TEMPLATES {
            for (dead_letter_queue, pull_only) in [(false, false), (true, false), (false, true), (true, true)] {
                let setup = setup(template.kind, "registry.example.com", &settings);
                let text = template.fill(&setup, Choices { dead_letter_queue, pull_only }).unwrap();
                assert!(!text.contains("#@") && next_place(&text).is_none(), "{}: {text}", template.file);
                assert!(text.contains("supercargo") && text.ends_with('\n'), "{}", template.file);
            }
            assert!(!template.costs.is_empty() && !template.about.is_empty());
        }
    }

    #[test]
    fn what_is_missing_is_named_as_a_person_can_give_it() {
        let none = BTreeMap::new();
        let bare = Setup { secret: None, public_url: None, ..setup(RegistryKind::Ecr, "registry.example.com", &none) };
        let message = TEMPLATES[0].fill(&bare, Choices::default()).unwrap_err().to_string();
        for part in ["--public-url", "--new-event-secret", "external-id", "account and region"] {
            assert!(message.contains(part), "{message}");
        }
    }

    #[test]
    fn the_webhook_of_artifactory_is_what_its_api_takes() {
        let settings = settings(&[("api", "https://jfrog.example/artifactory/"), ("repository", "a,b")]);
        let setup = setup(RegistryKind::Artifactory, "jfrog.example", &settings);
        let body: Value = serde_json::from_str(&webhook_body(&setup).unwrap()).unwrap();
        assert_eq!(body["key"], "supercargo-prod-eu");
        assert_eq!(body["event_filter"]["criteria"]["repoKeys"], serde_json::json!(["a", "b"]));
        assert_eq!(body["handlers"][0]["url"], "https://supercargo.example.com/v1/events/artifactory/prod.eu");
        let text =
            Template::of(setup.kind, EventWay::Webhook).next().unwrap().fill(&setup, Choices::default()).unwrap();
        assert!(text.contains("'https://jfrog.example/event/api/v1/subscriptions'"), "{text}");
    }

    #[test]
    fn choices_are_of_those_that_have_them() {
        let with = |option: &str| TEMPLATES.iter().filter(|template| template.has(option)).count();
        assert_eq!((with("dead-letter-queue"), with("list"), with("pull-only"), with("more")), (4, 2, 2, 0));
    }
}
