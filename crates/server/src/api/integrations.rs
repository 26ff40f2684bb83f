//! `/v1/integrations`.

use axum::Json;
use axum::extract::{Path, State};
use serde::{Deserialize, Serialize};
use supercargo_engine::store::{
    IncludeRemoved, Integration, IntegrationMove, IntegrationPolicy, IntegrationState, Removal, RemovedData,
};
use utoipa::{IntoParams, ToSchema};

use crate::access::Caller;
use crate::params::{Body, Params, flag};
use crate::problem::Problem;
use crate::state::Shared;

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListParams {
    /// Only those of this type.
    kind: Option<String>,
    /// Only those in this state.
    state: Option<IntegrationState>,
    /// Those, too, that were removed.
    #[serde(default, deserialize_with = "flag")]
    include_removed: bool,
}

/// All integrations: they are made by hand, and come on one page.
#[derive(Serialize, ToSchema)]
pub(crate) struct IntegrationList {
    items: Vec<Integration>,
}

/// Lists the integrations, by name.
#[utoipa::path(
    get, path = "/v1/integrations", operation_id = "listIntegrations", tag = "integrations", params(ListParams),
    security(("token" = ["viewer"])),
    responses((status = 200, description = "The integrations that the token is for", body = IntegrationList)),
)]
pub(crate) async fn list(
    State(shared): State<Shared>,
    caller: Caller,
    Params(params): Params<ListParams>,
) -> Result<Json<IntegrationList>, Problem> {
    let removed = if params.include_removed { IncludeRemoved::Yes } else { IncludeRemoved::No };
    let mut items = shared.store.integrations(removed).await?;
    items.retain(|one| {
        caller.scope.covers(&one.name)
            && params.kind.as_ref().is_none_or(|kind| *kind == one.kind)
            && params.state.is_none_or(|state| state == one.state)
    });
    Ok(Json(IntegrationList { items }))
}

/// Shows an integration.
#[utoipa::path(
    get, path = "/v1/integrations/{name}", operation_id = "showIntegration", tag = "integrations",
    params(("name" = String, Path, description = "The integration's name")),
    security(("token" = ["viewer"])),
    responses((status = 200, description = "The integration", body = Integration), (status = 404)),
)]
pub(crate) async fn show(
    State(shared): State<Shared>,
    caller: Caller,
    Path(name): Path<String>,
) -> Result<Json<Integration>, Problem> {
    find(&shared, &caller, &name).await.map(Json)
}

/// The steps of an integration's life, the latest first.
#[derive(Serialize, ToSchema)]
pub(crate) struct IntegrationHistory {
    items: Vec<IntegrationMove>,
}

/// Shows how an integration came to be as it is.
#[utoipa::path(
    get, path = "/v1/integrations/{name}/history", operation_id = "showIntegrationHistory", tag = "integrations",
    params(("name" = String, Path, description = "The integration's name")),
    security(("token" = ["viewer"])),
    responses((status = 200, description = "Its steps, the latest first", body = IntegrationHistory), (status = 404)),
)]
pub(crate) async fn history(
    State(shared): State<Shared>,
    caller: Caller,
    Path(name): Path<String>,
) -> Result<Json<IntegrationHistory>, Problem> {
    let integration = find(&shared, &caller, &name).await?;
    Ok(Json(IntegrationHistory { items: shared.store.integration_history(integration.id).await? }))
}

/// Replaces what of the registry is wanted.
#[utoipa::path(
    put, path = "/v1/integrations/{name}/policy", operation_id = "setIntegrationPolicy", tag = "integrations", request_body = IntegrationPolicy,
    params(("name" = String, Path, description = "The integration's name")),
    security(("token" = ["editor"])),
    responses((status = 200, description = "The integration", body = Integration), (status = 404)),
)]
pub(crate) async fn set_policy(
    State(shared): State<Shared>,
    caller: Caller,
    Path(name): Path<String>,
    Body(policy): Body<IntegrationPolicy>,
) -> Result<Json<Integration>, Problem> {
    let integration = find(&shared, &caller, &name).await?;
    Ok(Json(shared.store.set_integration_policy(integration.id, policy, &caller.actor).await?))
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct RemoveParams {
    /// What becomes of what is stored of its registry.
    data: RemovedData,
}

/// Removes an integration.
///
/// Its credentials are erased and its work is ended. Nothing is deleted in the cloud.
#[utoipa::path(
    delete, path = "/v1/integrations/{name}", operation_id = "removeIntegration", tag = "integrations",
    params(("name" = String, Path, description = "The integration's name"), RemoveParams),
    security(("token" = ["editor"])),
    responses((status = 200, description = "What was ended and deleted", body = Removal), (status = 404)),
)]
pub(crate) async fn remove(
    State(shared): State<Shared>,
    caller: Caller,
    Path(name): Path<String>,
    Params(params): Params<RemoveParams>,
) -> Result<Json<Removal>, Problem> {
    let integration = find(&shared, &caller, &name).await?;
    Ok(Json(shared.store.remove_integration(integration.id, params.data, &caller.actor).await?))
}

/// The integration of this name, if the caller may know of it.
pub(super) async fn find(shared: &Shared, caller: &Caller, name: &str) -> Result<Integration, Problem> {
    let found = if caller.scope.covers(name) { shared.store.integration(name).await? } else { None };
    found.ok_or_else(|| Problem::not_found("there is no integration of this name"))
}
