//! `/v1/failures`.

use axum::Json;
use axum::extract::{Path, State};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use supercargo_engine::store::{
    Cursor, JobFilter, JobId, Listing, NewAuditEntry, Page, Problem as Failure, ProblemFilter, ProblemState,
};
use utoipa::{IntoParams, ToSchema};

use crate::access::Caller;
use crate::params::{Params, page};
use crate::problem::Problem;
use crate::state::Shared;

#[derive(Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Standing {
    /// It is tried again.
    Retrying,
    /// It was given up.
    Failed,
    /// It is of a sort that is not indexed.
    Unsupported,
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListParams {
    /// Only those of this registry.
    registry: Option<String>,
    /// Only those of the repository of this name.
    repository: Option<String>,
    /// Only those that stand so.
    #[param(inline)]
    state: Option<Standing>,
    /// Items at most: 100 unless given, up to 1000.
    limit: Option<u32>,
    /// Where the page before ended.
    #[param(value_type = Option<String>)]
    cursor: Option<Cursor>,
}

/// Lists what went wrong and still is wrong, the latest first.
#[utoipa::path(
    get, path = "/v1/failures", operation_id = "listFailures", tag = "work", params(ListParams),
    security(("token" = ["viewer"])),
    responses((status = 200, description = "A page of failures", body = Listing<Failure>)),
)]
pub(crate) async fn list(
    State(shared): State<Shared>,
    caller: Caller,
    Params(params): Params<ListParams>,
) -> Result<Json<Listing<Failure>>, Problem> {
    let state = params.state.map(|standing| match standing {
        Standing::Retrying => ProblemState::Retrying,
        Standing::Failed => ProblemState::Failed,
        Standing::Unsupported => ProblemState::Unsupported,
    });
    let filter = ProblemFilter { registry: params.registry, repository: params.repository, state };
    let mut failures = shared.store.problems(&filter, &page(params.limit, params.cursor)?).await?;
    failures.items.retain(|failure| caller.scope.sees(&failure.repository.registry));
    Ok(Json(failures))
}

/// A job that is tried again.
#[derive(Serialize, ToSchema)]
pub(crate) struct Retried {
    /// Its number.
    job: JobId,
}

/// Has a job that was given up tried again, as urgently as a push.
///
/// A token for some integrations may have jobs of their registries tried again, and knows of no others.
#[utoipa::path(
    post, path = "/v1/failures/{job}/retry", operation_id = "retryFailure", tag = "work",
    params(("job" = i64, Path, description = "The job's number")),
    security(("token" = ["editor"]), ()),
    responses((status = 202, description = "It is queued", body = Retried), (status = 404)),
)]
pub(crate) async fn retry(
    State(shared): State<Shared>,
    caller: Caller,
    Path(job): Path<String>,
) -> Result<(StatusCode, Json<Retried>), Problem> {
    let job = JobId(job.parse().map_err(|_| Problem::bad_request("expected the number of a job"))?);
    let filter = JobFilter { job: Some(job), ..JobFilter::dead() };
    let found = shared.store.jobs(&filter, &Page::first(1)).await?.items;
    if !found.iter().any(|found| caller.scope.sees(&found.work.repository().registry)) {
        return Err(Problem::not_found("there is no job of this number that was given up"));
    }
    shared.store.retry(job).await?;
    shared.store.record(NewAuditEntry::new(&caller.actor, "job.retry", job.to_string())).await?;
    Ok((StatusCode::ACCEPTED, Json(Retried { job })))
}
