//! `/v1/images`.

use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, header};
use serde::Deserialize;
use supercargo_engine::index::{Digest, Platform, scout};
use supercargo_engine::store::{Cursor, ImageFilter, ImageSummary, Listing};

use crate::params::{Params, flag, page, presence};
use crate::problem::Problem;
use crate::state::Shared;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListParams {
    registry: Option<String>,
    repository: Option<String>,
    tag: Option<String>,
    platform: Option<String>,
    layer: Option<String>,
    #[serde(default, deserialize_with = "flag")]
    include_gone: bool,
    limit: Option<u32>,
    cursor: Option<Cursor>,
}

/// `GET /v1/images`: the ones indexed last come first.
pub(crate) async fn list(
    State(shared): State<Shared>,
    Params(params): Params<ListParams>,
) -> Result<Json<Listing<ImageSummary>>, Problem> {
    let platform = params
        .platform
        .map(|text| text.parse::<Platform>().map_err(|error| Problem::bad_request(error.to_string())))
        .transpose()?;
    let filter = ImageFilter {
        registry: params.registry,
        repository: params.repository,
        tag: params.tag,
        platform,
        layer: params.layer.as_deref().map(digest).transpose()?,
        presence: presence(params.include_gone),
    };
    Ok(Json(shared.store.images(&filter, &page(params.limit, params.cursor)?).await?))
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Format {
    #[default]
    Full,
    Scout,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ShowParams {
    #[serde(default)]
    format: Format,
    #[serde(default, deserialize_with = "flag")]
    declared: bool,
}

/// `GET /v1/images/{digest}`.
pub(crate) async fn show(
    State(shared): State<Shared>,
    Path(text): Path<String>,
    Params(params): Params<ShowParams>,
) -> Result<Response, Problem> {
    let digest = digest(&text)?;
    let Some(image) = shared.store.image(&digest).await? else {
        return Err(Problem::not_found(format!("no image {digest} was indexed; the digest of an index is none")));
    };
    match params.format {
        Format::Full => Ok(Json(image).into_response()),
        Format::Scout => {
            let mut document = Vec::new();
            scout::write(&image.metadata, scout::Options { declared: params.declared }, &mut document)
                .expect("a document is written to memory");
            Ok(([(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))], document).into_response())
        }
    }
}

/// A digest of a request.
pub(crate) fn digest(text: &str) -> Result<Digest, Problem> {
    text.parse().map_err(|_| Problem::bad_request("expected a digest: sha256: and 64 hexadecimal digits"))
}
