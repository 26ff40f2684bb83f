//! `/v1/integrations`.

use axum::Json;
use axum::extract::{Path, State};
use serde::{Deserialize, Serialize};
use supercargo_engine::setup::Remnant;
use supercargo_engine::store::{
    IncludeRemoved, Integration, IntegrationMove, IntegrationPolicy, IntegrationState, Removal, RemovedData,
};
use utoipa::{IntoParams, ToSchema};

use super::connections::integrations;
use super::setup::remains_of;
use super::view::IntegrationView;
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
    items: Vec<IntegrationView>,
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
    Ok(Json(IntegrationList { items: items.into_iter().map(IntegrationView::from).collect() }))
}

/// Shows an integration.
#[utoipa::path(
    get, path = "/v1/integrations/{name}", operation_id = "showIntegration", tag = "integrations",
    params(("name" = String, Path, description = "The integration's name")),
    security(("token" = ["viewer"])),
    responses((status = 200, description = "The integration", body = IntegrationView), (status = 404)),
)]
pub(crate) async fn show(
    State(shared): State<Shared>,
    caller: Caller,
    Path(name): Path<String>,
) -> Result<Json<IntegrationView>, Problem> {
    Ok(Json(find(&shared, &caller, &name).await?.into()))
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
    responses((status = 200, description = "The integration", body = IntegrationView), (status = 404)),
)]
pub(crate) async fn set_policy(
    State(shared): State<Shared>,
    caller: Caller,
    Path(name): Path<String>,
    Body(policy): Body<IntegrationPolicy>,
) -> Result<Json<IntegrationView>, Problem> {
    find(&shared, &caller, &name).await?;
    Ok(Json(integrations(&shared)?.replace_policy(&name, policy, &caller.actor).await?.into()))
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct RemoveParams {
    /// What becomes of what is stored of its registry.
    data: RemovedData,
}

/// What a removal ended and deleted, and what it leaves.
#[derive(Serialize, ToSchema)]
pub(crate) struct Removed {
    #[serde(flatten)]
    removal: Removal,
    /// What is left on the registry's side, in the order in which it can be deleted there.
    remains: Vec<Remnant>,
}

/// Removes an integration.
///
/// Its credentials are erased and its work is ended. Nothing is deleted in the cloud: what is left there is told.
#[utoipa::path(
    delete, path = "/v1/integrations/{name}", operation_id = "removeIntegration", tag = "integrations",
    params(("name" = String, Path, description = "The integration's name"), RemoveParams),
    security(("token" = ["editor"])),
    responses((status = 200, description = "What was ended and deleted, and what is left", body = Removed), (status = 404)),
)]
pub(crate) async fn remove(
    State(shared): State<Shared>,
    caller: Caller,
    Path(name): Path<String>,
    Params(params): Params<RemoveParams>,
) -> Result<Json<Removed>, Problem> {
    let integration = find(&shared, &caller, &name).await?;
    let remains = remains_of(&integration);
    let removal = shared.store.remove_integration(integration.id, params.data, &caller.actor).await?;
    Ok(Json(Removed { removal, remains }))
}

/// The integration of this name, if the caller may know of it.
pub(super) async fn find(shared: &Shared, caller: &Caller, name: &str) -> Result<Integration, Problem> {
    let found = if caller.scope.covers(name) { shared.store.integration(name).await? } else { None };
    found.ok_or_else(|| Problem::not_found("there is no integration of this name"))
}
