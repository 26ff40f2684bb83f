//! `/v1/integrations/{name}/template`, `…/remains`: what is set up on the registry's side.

use axum::Json;
use axum::extract::{Path, State};
use serde::{Deserialize, Serialize};
use supercargo_engine::setup::{Ask, Choice, Filled, PUBLIC_URL, Principal, Remnant, Setup};
use supercargo_engine::store::{Integration, NewAuditEntry};
use utoipa::{IntoParams, ToSchema};

use super::connections::integrations;
use super::integrations::find;
use crate::access::Caller;
use crate::params::{Params, flag};
use crate::problem::Problem;
use crate::state::Shared;

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct TemplateParams {
    /// Which template: `cloudformation`, `terraform`, `arm`, `curl`, … The usual one of the registry if nothing is said.
    r#as: Option<String>,
    /// The address at which the registry's side reaches this server; that of `--public-url` if nothing is said.
    public_url: Option<String>,
    /// Amazon ECR: a queue that keeps what could not be delivered.
    #[serde(default, deserialize_with = "flag")]
    dead_letter_queue: bool,
    /// Azure: a token that pulls and does not list.
    #[serde(default, deserialize_with = "flag")]
    pull_only: bool,
    /// Amazon ECR: who may assume the role and read the queue, an ARN or the number of an account; the registry's own
    /// account if nothing is said.
    principal: Option<String>,
}

/// Makes what has to be set up on the registry's side, filled in, with what it costs.
///
/// It may hold the secret of the integration's events, which nothing else tells again: that it was told is in the audit
/// log.
#[utoipa::path(
    get, path = "/v1/integrations/{name}/template", operation_id = "makeTemplate", tag = "integrations",
    params(("name" = String, Path, description = "The integration's name"), TemplateParams),
    security(("token" = ["admin"])),
    responses(
        (status = 200, description = "The template", body = Filled),
        (status = 404, description = "There is no such integration, or nothing has to be set up for it"),
    ),
)]
pub(crate) async fn template(
    State(shared): State<Shared>,
    caller: Caller,
    Path(name): Path<String>,
    Params(params): Params<TemplateParams>,
) -> Result<Json<Filled>, Problem> {
    let integration = find(&shared, &caller, &name).await?;
    let credentials = integrations(&shared)?.credentials(&integration).await?;
    let principal = params.principal.as_deref().map(str::parse::<Principal>).transpose()?;
    let kept = integration.settings.get(PUBLIC_URL).map(String::as_str);
    let setup = Setup {
        secret: credentials.event_secrets.first().map(|secret| secret.expose()),
        public_url: params.public_url.as_deref().or(kept).or(shared.public_url.as_deref()),
        principal: principal.as_ref(),
        ..Setup::of(&integration)?
    };
    let chosen = [(params.dead_letter_queue, Choice::DeadLetterQueue), (params.pull_only, Choice::PullOnly)];
    let choices: Vec<Choice> = chosen.into_iter().filter_map(|(given, choice)| given.then_some(choice)).collect();
    let filled = setup.template(&Ask { form: params.r#as.as_deref(), choices: &choices, file: None })?;
    shared.store.record(NewAuditEntry::new(&caller.actor, "integration.template", &integration.name)).await?;
    Ok(Json(filled))
}

/// What a removal would leave on the registry's side.
#[derive(Serialize, ToSchema)]
pub(crate) struct Remains {
    /// In the order in which it can be deleted.
    items: Vec<Remnant>,
}

/// Lists what a removal would leave on the registry's side, and how each is deleted there.
///
/// What was never set up does not remain, and is not told apart.
#[utoipa::path(
    get, path = "/v1/integrations/{name}/remains", operation_id = "listRemains", tag = "integrations",
    params(("name" = String, Path, description = "The integration's name")),
    security(("token" = ["viewer"])),
    responses((status = 200, description = "What would remain", body = Remains), (status = 404)),
)]
pub(crate) async fn remains(
    State(shared): State<Shared>,
    caller: Caller,
    Path(name): Path<String>,
) -> Result<Json<Remains>, Problem> {
    let integration = find(&shared, &caller, &name).await?;
    Ok(Json(Remains { items: remains_of(&integration) }))
}

/// What remains of an integration; nothing is known of those that a later release made of a kind of its own.
pub(super) fn remains_of(integration: &Integration) -> Vec<Remnant> {
    Setup::of(integration).map(|setup| setup.remains()).unwrap_or_default()
}
