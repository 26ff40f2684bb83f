//! `/v1/tokens`.

use axum::Json;
use axum::extract::{Path, State};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use supercargo_engine::store::{NewToken, Role, Token, TokenId};
use utoipa::ToSchema;

use crate::TokenText;
use crate::access::Caller;
use crate::params::Body;
use crate::problem::Problem;
use crate::state::Shared;

/// All tokens: they are made by hand, and come on one page.
#[derive(Serialize, ToSchema)]
pub(crate) struct TokenList {
    items: Vec<Token>,
}

/// Lists the tokens, the revoked ones too. Their texts are not kept.
#[utoipa::path(
    get, path = "/v1/tokens", operation_id = "listTokens", tag = "access",
    security(("token" = ["admin"])),
    responses((status = 200, description = "In the order in which they were made", body = TokenList)),
)]
pub(crate) async fn list(State(shared): State<Shared>, caller: Caller) -> Result<Json<TokenList>, Problem> {
    caller.unscoped()?;
    Ok(Json(TokenList { items: shared.store.tokens().await? }))
}

/// A token to be made.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewTokenBody {
    /// What it is to be called.
    #[schema(max_length = 100)]
    name: String,
    /// What it is to allow.
    role: Role,
    /// The names of the integrations that it is to be good for; empty for all, and for what belongs to none.
    #[serde(default)]
    scope: Vec<String>,
}

/// A token that was made.
#[derive(Serialize, ToSchema)]
pub(crate) struct MadeToken {
    /// What to send. It is told here, once.
    text: String,
    #[serde(flatten)]
    token: Token,
}

/// Makes a token. Its text is in the answer, and nowhere else.
#[utoipa::path(
    post, path = "/v1/tokens", operation_id = "createToken", tag = "access", request_body = NewTokenBody,
    security(("token" = ["admin"])),
    responses(
        (status = 201, description = "The token with its text", body = MadeToken),
        (status = 409, description = "There is one of this name"),
    ),
)]
pub(crate) async fn create(
    State(shared): State<Shared>,
    caller: Caller,
    Body(body): Body<NewTokenBody>,
) -> Result<(StatusCode, Json<MadeToken>), Problem> {
    caller.unscoped()?;
    let text = TokenText::generate().map_err(|error| {
        tracing::error!(error = &error as &dyn std::error::Error, "no token was made");
        Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "it failed; the log says why")
    })?;
    let new = NewToken { name: body.name, role: body.role, scope: body.scope, hash: text.hash() };
    let token = shared.store.create_token(new, &caller.actor).await?;
    Ok((StatusCode::CREATED, Json(MadeToken { text: text.expose().to_owned(), token })))
}

/// Revokes a token, for good.
#[utoipa::path(
    delete, path = "/v1/tokens/{token}", operation_id = "revokeToken", tag = "access",
    params(("token" = i64, Path, description = "The token's number")),
    security(("token" = ["admin"])),
    responses((status = 204, description = "It is revoked"), (status = 404)),
)]
pub(crate) async fn revoke(
    State(shared): State<Shared>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    caller.unscoped()?;
    let id = TokenId(id.parse().map_err(|_| Problem::bad_request("expected the number of a token"))?);
    shared.store.revoke_token(id, &caller.actor).await?;
    Ok(StatusCode::NO_CONTENT)
}
