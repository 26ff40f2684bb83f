//! `/v1/audit`.

use axum::Json;
use axum::extract::State;
use jiff::Timestamp;
use serde::Deserialize;
use supercargo_engine::store::{AuditEntry, AuditFilter, Cursor, Listing};
use utoipa::IntoParams;

use crate::access::Caller;
use crate::params::{Params, page};
use crate::problem::Problem;
use crate::state::Shared;

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListParams {
    /// Only what this one did.
    actor: Option<String>,
    /// Only this action: `token.revoke`, or `token` for all that begin so.
    action: Option<String>,
    /// Only what was done to this one.
    subject: Option<String>,
    /// Only what was done since.
    since: Option<Timestamp>,
    /// Items at most: 100 unless given, up to 1000.
    limit: Option<u32>,
    /// Where the page before ended.
    #[param(value_type = Option<String>)]
    cursor: Option<Cursor>,
}

/// Lists who changed what, the latest first.
#[utoipa::path(
    get, path = "/v1/audit", operation_id = "listAudit", tag = "access", params(ListParams),
    security(("token" = ["admin"])),
    responses((status = 200, description = "The audit log", body = Listing<AuditEntry>)),
)]
pub(crate) async fn list(
    State(shared): State<Shared>,
    caller: Caller,
    Params(params): Params<ListParams>,
) -> Result<Json<Listing<AuditEntry>>, Problem> {
    caller.unscoped()?;
    let ListParams { actor, action, subject, since, limit, cursor } = params;
    let filter = AuditFilter { actor, action, subject, since };
    Ok(Json(shared.store.audit(&filter, &page(limit, cursor)?).await?))
}
