//! The flags of each sort of registry, and what they come to.

use clap::Args;
use supercargo_engine::registry::RegistryKind;
use supercargo_engine::setup::{EVENTS, EventWay, NO_EVENTS, Place, QUEUE, prepare_events, prepare_role};
use supercargo_engine::store::NewIntegration;

use super::{CommonArgs, Draft};
use crate::flag::{self, Values};

#[derive(Args, Debug)]
pub(super) struct EcrArgs {
    #[command(flatten)]
    common: CommonArgs,

    /// Number of the AWS account
    #[arg(long, value_name = "ACCOUNT", required_unless_present = "registry", requires = "region")]
    account: Option<String>,

    /// Region
    #[arg(long, value_name = "REGION", required_unless_present = "registry", requires = "account")]
    region: Option<String>,

    /// Host of the registry, instead of account and region
    #[arg(long, value_name = "HOST", conflicts_with_all = ["account", "region"])]
    registry: Option<String>,

    /// How events come
    #[arg(long, value_name = "WAY", value_parser = ["api-destination", "queue", "none"], default_value = "api-destination")]
    events: String,

    /// Role to assume [default: the one that the template makes, supercargo-NAME]
    #[arg(long, value_name = "ARN")]
    role_arn: Option<String>,

    /// Use the machine's own AWS credentials, and assume no role
    #[arg(long, conflicts_with = "role_arn")]
    no_role: bool,
}

impl EcrArgs {
    pub(super) fn common(&self) -> &CommonArgs {
        &self.common
    }

    pub(super) fn draft(&self) -> Result<Draft, Vec<String>> {
        let host = match (&self.registry, &self.account, &self.region) {
            (Some(host), ..) => host.clone(),
            (None, Some(account), Some(region)) => Place::host(account, region),
            _ => return Err(vec!["name the account and the region, or the registry's host".to_owned()]),
        };
        let mut draft = Draft::new(RegistryKind::Ecr, &host);
        // What is made in AWS has names that follow from all of it.
        let mut new = NewIntegration::new(&self.common.name, draft.kind.as_str(), &draft.host);
        new.settings.extend(self.common.parameter.iter().cloned());
        if !self.no_role {
            new.settings.extend(self.role_arn.iter().map(|role| ("role-arn".to_owned(), role.clone())));
            prepare_role(&mut new).map_err(|error| vec![error.to_string()])?;
        }
        let way = match self.events.as_str() {
            "queue" => EventWay::Queue,
            NO_EVENTS => EventWay::None,
            _ => EventWay::ApiDestination,
        };
        prepare_events(&mut new, way).map_err(|error| vec![error.to_string()])?;
        draft.settings = new.settings;
        Ok(draft)
    }
}

#[derive(Args, Debug)]
pub(super) struct AcrArgs {
    #[command(flatten)]
    common: CommonArgs,

    /// Host of the registry, such as contoso.azurecr.io
    #[arg(long, value_name = "HOST")]
    registry: String,

    /// Who sends the events: event-grid, acr (the registry's own webhooks), none
    #[arg(long, value_name = "WHO", default_value = "event-grid")]
    events: String,

    /// Queue of Azure Storage that Event Grid fills, such as https://ACCOUNT.queue.core.windows.net/QUEUE: it is asked, and nothing has to reach this server
    #[arg(long, value_name = "URL")]
    queue: Option<String>,
}

impl AcrArgs {
    pub(super) fn common(&self) -> &CommonArgs {
        &self.common
    }

    pub(super) fn draft(&self) -> Draft {
        let mut draft = Draft::new(RegistryKind::Acr, &self.registry);
        draft.set(EVENTS, &self.events);
        draft.set_some(QUEUE, self.queue.as_ref());
        draft
    }
}

#[derive(Args, Debug)]
pub(super) struct ArtifactoryArgs {
    #[command(flatten)]
    common: CommonArgs,

    /// Host in the images' names, such as example.jfrog.io
    #[arg(long, value_name = "HOST")]
    registry: String,

    /// Base of the REST API, such as https://example.jfrog.io/artifactory
    #[arg(long, value_name = "URL")]
    api: String,

    /// Repository key; several parted by commas, or repeated
    #[arg(long, value_name = "KEY", value_parser = flag::values, required = true)]
    repository: Vec<Values>,

    /// What images are called: path, subdomain or port
    #[arg(long, value_name = "LAYOUT", value_parser = ["path", "subdomain", "port"])]
    layout: Option<String>,

    /// Who sends the events: artifactory, none
    #[arg(long, value_name = "WHO", default_value = "artifactory")]
    events: String,
}

impl ArtifactoryArgs {
    pub(super) fn common(&self) -> &CommonArgs {
        &self.common
    }

    pub(super) fn draft(&self) -> Draft {
        let mut draft = Draft::new(RegistryKind::Artifactory, &self.registry);
        draft.set("api", &self.api);
        draft.set_list("repository", &self.repository);
        draft.set_some("layout", self.layout.as_ref());
        draft.set(EVENTS, &self.events);
        if self.events == "artifactory" {
            // As the template makes the webhook.
            draft.set("events-signing", "true");
            draft.set_some("events-layout", self.layout.as_ref());
        }
        draft
    }
}

#[derive(Args, Debug)]
pub(super) struct HarborArgs {
    #[command(flatten)]
    common: CommonArgs,

    /// Host of the registry
    #[arg(long, value_name = "HOST")]
    registry: String,

    /// Where the API is, if not at https://HOST/api/v2.0
    #[arg(long, value_name = "URL")]
    api: Option<String>,

    /// Project, instead of all that can be listed; several parted by commas, or repeated
    #[arg(long, value_name = "PROJECT", value_parser = flag::values)]
    project: Vec<Values>,

    /// Who sends the events: harbor, none
    #[arg(long, value_name = "WHO", default_value = "harbor")]
    events: String,
}

impl HarborArgs {
    pub(super) fn common(&self) -> &CommonArgs {
        &self.common
    }

    pub(super) fn draft(&self) -> Draft {
        let mut draft = Draft::new(RegistryKind::Harbor, &self.registry);
        draft.set_some("api", self.api.as_ref());
        draft.set_list("project", &self.project);
        draft.set(EVENTS, &self.events);
        draft
    }
}

#[derive(Args, Debug)]
pub(super) struct NexusArgs {
    #[command(flatten)]
    common: CommonArgs,

    /// Host in the images' names, with the connector's port
    #[arg(long, value_name = "HOST")]
    registry: String,

    /// Where the REST API is
    #[arg(long, value_name = "URL")]
    api: String,

    /// Repository of Nexus; several parted by commas, or repeated
    #[arg(long, value_name = "NAME", value_parser = flag::values)]
    repository: Vec<Values>,

    /// Who sends the events: nexus, none
    #[arg(long, value_name = "WHO", default_value = "nexus")]
    events: String,
}

impl NexusArgs {
    pub(super) fn common(&self) -> &CommonArgs {
        &self.common
    }

    pub(super) fn draft(&self) -> Draft {
        let mut draft = Draft::new(RegistryKind::Nexus, &self.registry);
        draft.set("api", &self.api);
        draft.set_list("repository", &self.repository);
        draft.set(EVENTS, &self.events);
        draft
    }
}

#[derive(Args, Debug)]
pub(super) struct OciArgs {
    #[command(flatten)]
    common: CommonArgs,

    /// Host of the registry
    #[arg(long, value_name = "HOST")]
    registry: String,

    /// Who sends the events: distribution, zot, quay, docker-hub, github, google-artifact-registry, generic, none
    #[arg(long, value_name = "WHO", default_value = NO_EVENTS)]
    events: String,
}

impl OciArgs {
    pub(super) fn common(&self) -> &CommonArgs {
        &self.common
    }

    pub(super) fn draft(&self) -> Draft {
        let plain = self.registry.starts_with("http://");
        let mut draft = Draft::new(RegistryKind::Oci, self.registry.trim_start_matches("http://"));
        if plain {
            draft.set("plain-http", "true");
        }
        draft.set(EVENTS, &self.events);
        draft
    }
}
