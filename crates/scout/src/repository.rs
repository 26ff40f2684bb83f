//! Repositories and registries as the service knows them.

use futures_util::stream::BoxStream;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::Result;
use crate::client::ScoutClient;
use crate::graphql::Operation;

const REPOSITORIES: Operation = Operation {
    purpose: "list repositories",
    name: "Repositories",
    document: include_str!("graphql/repositories.graphql"),
    field: "rsListRepositories",
};
const ENABLED: Operation = Operation {
    purpose: "list enabled repositories",
    name: "EnabledRepositories",
    document: include_str!("graphql/enabled_repositories.graphql"),
    field: "listEnabledRepos",
};
const SET_REPOSITORIES: Operation = Operation {
    purpose: "enable or disable repositories",
    name: "SetRepositories",
    document: include_str!("graphql/set_repositories.graphql"),
    field: "setMultiRepoVulnerabilityReporting",
};
const ENABLES_ON_PUSH: Operation = Operation {
    purpose: "read whether repositories are enabled on push",
    name: "EnablesOnPush",
    document: include_str!("graphql/enables_on_push.graphql"),
    field: "shouldEnableReposOnPush",
};
const SET_ENABLE_ON_PUSH: Operation = Operation {
    purpose: "set whether repositories are enabled on push",
    name: "SetEnableOnPush",
    document: include_str!("graphql/set_enable_on_push.graphql"),
    field: "setEnableReposOnPush",
};
const REGISTRIES: Operation = Operation {
    purpose: "list registries",
    name: "Registries",
    document: include_str!("graphql/registries.graphql"),
    field: "rsListRegistries",
};

/// Repositories that are set in one call. The schema names no bound; each answer is small.
const AT_A_TIME: usize = 100;

/// An integration: what brought repositories to the service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Integration {
    /// Its kind.
    pub skill: Skill,
    /// Its name, which the user gave it.
    pub configuration_name: String,
}

/// The kind of an integration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Skill {
    /// Whose it is.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

/// Which repositories are listed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RepositoryQuery {
    /// Those of this integration; `None`: those of Docker Hub.
    pub integration: Option<Integration>,
    /// Those whose name matches. How it is matched is the service's secret.
    pub name: Option<String>,
    /// How many on a page; `None`: as the service likes.
    pub page_size: Option<u32>,
}

/// A repository that the service can see.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Repository {
    /// Its name, with its namespace.
    pub name: String,
    /// Its registry's host.
    pub registry: String,
    /// What its owner says of it.
    #[serde(default)]
    pub description: Option<String>,
    /// When it was made, ISO 8601.
    pub created_at: String,
    /// When it last changed, ISO 8601.
    pub updated_at: Option<String>,
    /// It holds no image.
    pub is_empty: bool,
    /// Its images are analysed.
    pub enabled: bool,
    /// What cannot be done with it.
    pub properties: RepositoryProperties,
}

/// What cannot be done with a repository.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct RepositoryProperties {
    /// It cannot be disabled.
    pub prevent_disable: bool,
}

/// The repositories whose images are analysed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct EnabledRepositories {
    /// How many there are.
    pub count: i64,
    /// How many of these count towards the plan's limit.
    pub entitlement_used: i64,
    /// Which.
    pub repos: Vec<EnabledRepository>,
}

/// A repository whose images are analysed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct EnabledRepository {
    /// Its registry's host.
    pub host_name: String,
    /// Its name.
    pub repo_name: String,
    /// What brought it to the service.
    pub integration: Option<Integration>,
}

/// Repositories to be enabled or disabled.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RepositorySelection {
    /// Their names.
    pub names: Vec<String>,
    /// Their registry's host; `None`: Docker Hub.
    pub host: Option<String>,
    /// The integration that they are filed under.
    pub integration: Option<Integration>,
}

/// What became of a repository that was to be enabled or disabled.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct RepositoryState {
    /// Its registry's host.
    pub host: String,
    /// Its name.
    pub name: String,
    /// Whether it is enabled now; `None` if the service does not say.
    pub enabled: Option<bool>,
}

/// A registry that the service is connected with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct ConnectedRegistry {
    /// What it is.
    #[serde(rename = "__typename")]
    pub kind: ConnectedRegistryKind,
    /// Its host.
    pub host_name: String,
    /// How many repositories it has.
    pub repository_count: i64,
    /// How the connection is.
    pub status: RegistryStatus,
}

/// The kinds of registries that the service connected with by itself. It does so no more since 2026-09-01.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum ConnectedRegistryKind {
    /// Docker Hub.
    #[serde(rename = "rsDockerHubResult")]
    DockerHub,
    /// Amazon ECR.
    #[serde(rename = "rsEcrResult")]
    Ecr,
    /// Azure Container Registry.
    #[serde(rename = "rsAcrResult")]
    Acr,
    /// One that the schema did not know in 2025.
    #[serde(other)]
    Other,
}

/// How the service's connection with a registry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
#[non_exhaustive]
pub enum RegistryStatus {
    /// It works.
    Connected,
    /// It is being set up.
    Pending,
    /// It does not work.
    Failed,
    /// In a way that the schema did not know in 2025.
    #[serde(other)]
    Other,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RepositoryPage {
    page_info: PageInfo,
    repositories: Option<Vec<Repository>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PageInfo {
    next_page: Option<i64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ReportingResult {
    host_name: String,
    repo_name: String,
    vulnerability_reporting: Option<Enabled>,
}

#[derive(Deserialize)]
struct Enabled {
    enabled: bool,
}

impl ScoutClient {
    /// The repositories that the service can see, page after page.
    pub fn repositories(&self, query: &RepositoryQuery) -> BoxStream<'static, Result<Repository>> {
        let query = query.clone();
        self.pages(move |client, page| {
            let input = query.input(page);
            async move {
                let variables = json!({"context": client.context(), "input": input});
                let page: RepositoryPage = client.graphql_some(&REPOSITORIES, variables).await?;
                Ok((page.repositories.unwrap_or_default(), page.page_info.next_page))
            }
        })
    }

    /// The repositories whose images are analysed; those of one integration, or all.
    ///
    /// # Errors
    /// Those of any call.
    pub async fn enabled_repositories(&self, integration: Option<&Integration>) -> Result<EnabledRepositories> {
        self.graphql_some(&ENABLED, json!({"context": self.context(), "integration": integration})).await
    }

    /// Has the images of repositories analysed.
    ///
    /// # Errors
    /// [`ErrorKind::PlanLimit`](crate::ErrorKind::PlanLimit) if they are more than the plan covers. Of a selection of more
    /// than 100, those before may then be enabled.
    pub async fn enable_repositories(&self, selection: &RepositorySelection) -> Result<Vec<RepositoryState>> {
        self.set_repositories(selection, true).await
    }

    /// Has the images of repositories analysed no more.
    ///
    /// # Errors
    /// Those of any call.
    pub async fn disable_repositories(&self, selection: &RepositorySelection) -> Result<Vec<RepositoryState>> {
        self.set_repositories(selection, false).await
    }

    async fn set_repositories(&self, selection: &RepositorySelection, enabled: bool) -> Result<Vec<RepositoryState>> {
        let mut states = Vec::with_capacity(selection.names.len());
        for names in selection.names.chunks(AT_A_TIME) {
            let variables = json!({
                "context": self.context(),
                "reporting": {"repoNames": names, "hostName": selection.host, "enabled": enabled},
                "integration": selection.integration,
            });
            let results: Vec<ReportingResult> = self.graphql_some(&SET_REPOSITORIES, variables).await?;
            states.extend(results.into_iter().map(|result| RepositoryState {
                host: result.host_name,
                name: result.repo_name,
                enabled: result.vulnerability_reporting.map(|reporting| reporting.enabled),
            }));
        }
        Ok(states)
    }

    /// Whether repositories are enabled when something is pushed to them.
    ///
    /// # Errors
    /// Those of any call.
    pub async fn enables_on_push(&self) -> Result<bool> {
        let Enabled { enabled } = self.graphql_some(&ENABLES_ON_PUSH, json!({"context": self.context()})).await?;
        Ok(enabled)
    }

    /// Sets whether repositories are enabled when something is pushed to them; returns what holds now.
    ///
    /// # Errors
    /// [`ErrorKind::PlanLimit`](crate::ErrorKind::PlanLimit) if the plan does not cover it.
    pub async fn set_enable_on_push(&self, enabled: bool) -> Result<bool> {
        let variables = json!({"context": self.context(), "input": {"enabled": enabled}});
        let Enabled { enabled } = self.graphql_some(&SET_ENABLE_ON_PUSH, variables).await?;
        Ok(enabled)
    }

    /// The registries that the service is connected with.
    ///
    /// # Errors
    /// Those of any call.
    pub async fn registries(&self) -> Result<Vec<ConnectedRegistry>> {
        self.graphql_some(&REGISTRIES, json!({"context": self.context()})).await
    }
}

impl RepositoryQuery {
    /// As `rsRepositoryListInput`, in which an integration is one object.
    fn input(&self, page: i64) -> Value {
        let skill = self.integration.as_ref().map(|Integration { skill, configuration_name }| {
            json!({"namespace": skill.namespace, "name": skill.name, "configurationName": configuration_name})
        });
        json!({
            "skill": skill,
            "filter": self.name.as_ref().map(|name| json!({"repository": name})),
            "page": {"page": page, "pageSize": self.page_size},
        })
    }
}
