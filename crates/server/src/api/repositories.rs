//! `/v1/repositories`.

use axum::Json;
use axum::extract::{Path, State};
use serde::{Deserialize, Serialize};
use supercargo_engine::store::{Cursor, Listing, RepositoryOrigin, RepositorySetting, RepositorySettingFilter};
use utoipa::{IntoParams, ToSchema};

use super::integrations::find;
use crate::access::Caller;
use crate::params::{Body, Params, optional_flag, page};
use crate::problem::Problem;
use crate::state::Shared;

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListParams {
    /// Only those of the integration of this name.
    integration: Option<String>,
    /// Only those of this registry.
    registry: Option<String>,
    /// Only those of this name.
    repository: Option<String>,
    /// Only those that are enabled, or only those that are not.
    #[serde(default, deserialize_with = "optional_flag")]
    enabled: Option<bool>,
    /// Items at most: 100 unless given, up to 1000.
    limit: Option<u32>,
    /// Where the page before ended.
    #[param(value_type = Option<String>)]
    cursor: Option<Cursor>,
}

/// Lists the repositories of integrations, and which of them are enabled.
#[utoipa::path(
    get, path = "/v1/repositories", operation_id = "listRepositories", tag = "repositories", params(ListParams),
    security(("token" = ["viewer"])),
    responses((status = 200, description = "By registry and name", body = Listing<RepositorySetting>)),
)]
pub(crate) async fn list(
    State(shared): State<Shared>,
    caller: Caller,
    Params(params): Params<ListParams>,
) -> Result<Json<Listing<RepositorySetting>>, Problem> {
    let ListParams { integration, registry, repository, enabled, limit, cursor } = params;
    let filter = RepositorySettingFilter { integration, registry, repository, enabled };
    let mut settings = shared.store.repository_settings(&filter, &page(limit, cursor)?).await?;
    settings.items.retain(|one| caller.scope.covers(&one.integration));
    Ok(Json(settings))
}

/// Repositories to enable and to disable, by their names.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RepositoryChoice {
    /// To be indexed: their newest image now, and every push from now on.
    #[serde(default)]
    enable: Vec<String>,
    /// Not to be indexed any more. What was indexed stays.
    #[serde(default)]
    disable: Vec<String>,
}

/// Repositories whose setting has changed.
#[derive(Serialize, ToSchema)]
pub(crate) struct ChangedRepositories {
    items: Vec<RepositorySetting>,
}

/// Enables and disables repositories.
///
/// They need not be known: where a registry does not list its repositories, this is how they become so.
#[utoipa::path(
    post, path = "/v1/integrations/{name}/repositories", operation_id = "setRepositories", tag = "repositories", request_body = RepositoryChoice,
    params(("name" = String, Path, description = "The integration's name")),
    security(("token" = ["editor"])),
    responses((status = 200, description = "Those whose setting has changed", body = ChangedRepositories), (status = 404)),
)]
pub(crate) async fn choose(
    State(shared): State<Shared>,
    caller: Caller,
    Path(name): Path<String>,
    Body(choice): Body<RepositoryChoice>,
) -> Result<Json<ChangedRepositories>, Problem> {
    let integration = find(&shared, &caller, &name).await?;
    if let Some(both) = choice.enable.iter().find(|name| choice.disable.contains(name)) {
        return Err(Problem::bad_request(format!("{both:?} is to be enabled and disabled")));
    }
    let all = choice.enable.iter().chain(&choice.disable);
    if let Some(bad) = all.clone().find(|name| name.parse::<supercargo_engine::registry::Repository>().is_err()) {
        return Err(Problem::bad_request(format!("{bad:?} is no name of a repository")));
    }
    let enable = choice.enable.into_iter().map(|name| (name, true));
    let wanted = enable.chain(choice.disable.into_iter().map(|name| (name, false))).collect();
    let origin = RepositoryOrigin::Named;
    let items = shared.store.set_repositories(integration.id, wanted, origin, &caller.actor).await?;
    Ok(Json(ChangedRepositories { items }))
}
