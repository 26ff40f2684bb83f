//! `/v1/failures`.

use axum::Json;
use axum::extract::{Path, State};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use supercargo_engine::store::{Cursor, JobId, Listing, Problem as Failure, ProblemFilter, ProblemState};

use crate::params::{Params, page};
use crate::problem::Problem;
use crate::state::Shared;

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Standing {
    Retrying,
    Failed,
    Unsupported,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListParams {
    registry: Option<String>,
    repository: Option<String>,
    state: Option<Standing>,
    limit: Option<u32>,
    cursor: Option<Cursor>,
}

/// `GET /v1/failures`: what went wrong and still is wrong, the latest first.
pub(crate) async fn list(
    State(shared): State<Shared>,
    Params(params): Params<ListParams>,
) -> Result<Json<Listing<Failure>>, Problem> {
    let state = params.state.map(|standing| match standing {
        Standing::Retrying => ProblemState::Retrying,
        Standing::Failed => ProblemState::Failed,
        Standing::Unsupported => ProblemState::Unsupported,
    });
    let filter = ProblemFilter { registry: params.registry, repository: params.repository, state };
    Ok(Json(shared.store.problems(&filter, &page(params.limit, params.cursor)?).await?))
}

#[derive(Serialize)]
pub(crate) struct Retried {
    job: JobId,
}

/// `POST /v1/failures/{job}/retry`: queues a dead letter again, as urgently as a push.
pub(crate) async fn retry(
    State(shared): State<Shared>,
    Path(job): Path<String>,
) -> Result<(StatusCode, Json<Retried>), Problem> {
    let job = JobId(job.parse().map_err(|_| Problem::bad_request("expected the number of a job"))?);
    shared.store.retry(job).await?;
    Ok((StatusCode::ACCEPTED, Json(Retried { job })))
}
