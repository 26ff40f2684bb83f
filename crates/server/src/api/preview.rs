//! `/v1/integrations/{name}/preview`: what a selection comes to.

use axum::Json;
use axum::extract::{Path, State};
use serde::Deserialize;
use supercargo_engine::integration::SelectionPreview;
use supercargo_engine::store::IntegrationPolicy;
use utoipa::IntoParams;

use super::connections::integrations;
use super::integrations::find;
use crate::access::Caller;
use crate::params::{Body, Params, page};
use crate::problem::Problem;
use crate::state::Shared;

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct PreviewParams {
    /// Tags that are named at most: 100 unless given, up to 1000. All of them count.
    limit: Option<u32>,
}

/// Asks the registry how many images a policy selects, and which; changes nothing.
///
/// Every repository is looked at, and with platforms every tag that is selected, so that it takes its time with a large
/// registry. Whoever hangs up ends it.
#[utoipa::path(
    post, path = "/v1/integrations/{name}/preview", operation_id = "previewPolicy", tag = "integrations", request_body = IntegrationPolicy,
    params(("name" = String, Path, description = "The integration's name"), PreviewParams),
    security(("token" = ["editor"])),
    responses(
        (status = 200, description = "What is selected", body = SelectionPreview),
        (status = 404),
        (status = 502, description = "The registry does not answer, or refuses to"),
    ),
)]
pub(crate) async fn show(
    State(shared): State<Shared>,
    caller: Caller,
    Path(name): Path<String>,
    Params(params): Params<PreviewParams>,
    Body(policy): Body<IntegrationPolicy>,
) -> Result<Json<SelectionPreview>, Problem> {
    let most = page(params.limit, None)?.limit;
    let integration = find(&shared, &caller, &name).await?;
    let most = usize::try_from(most).unwrap_or(usize::MAX);
    Ok(Json(integrations(&shared)?.preview(&integration, &policy.selection, most).await?))
}
