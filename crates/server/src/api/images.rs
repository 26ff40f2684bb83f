//! `/v1/images`.

use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, header};
use serde::Deserialize;
use supercargo_engine::index::{Digest, Platform, scout};
use supercargo_engine::store::{Cursor, ImageFilter, ImageSummary, Listing, StoredImage};
use utoipa::{IntoParams, ToSchema};

use crate::access::{Caller, Scope};
use crate::params::{Params, flag, page, presence};
use crate::problem::Problem;
use crate::state::Shared;

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListParams {
    /// Only those of this registry.
    registry: Option<String>,
    /// Only those of the repository of this name.
    repository: Option<String>,
    /// Only what this tag leads to.
    tag: Option<String>,
    /// Only those of this platform: `linux/arm64`, with or without the variant.
    platform: Option<String>,
    /// Only those with the layer of this digest.
    layer: Option<String>,
    /// Those, too, that no registry has any more.
    #[serde(default, deserialize_with = "flag")]
    include_gone: bool,
    /// Items at most: 100 unless given, up to 1000.
    limit: Option<u32>,
    /// Where the page before ended.
    #[param(value_type = Option<String>)]
    cursor: Option<Cursor>,
}

/// Lists images, one for each platform, the ones indexed last first.
#[utoipa::path(
    get, path = "/v1/images", operation_id = "listImages", tag = "images", params(ListParams),
    security(("token" = ["viewer"])),
    responses((status = 200, description = "A page of images", body = Listing<ImageSummary>)),
)]
pub(crate) async fn list(
    State(shared): State<Shared>,
    caller: Caller,
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
    let mut images = shared.store.images(&filter, &page(params.limit, params.cursor)?).await?;
    images.items.retain_mut(|image| within(&caller, image));
    Ok(Json(images))
}

/// Whether the caller may see the image; leaves out the places that they may not see.
fn within(caller: &Caller, image: &mut ImageSummary) -> bool {
    image.places.retain(|place| caller.scope.sees(&place.repository.registry));
    // Where nobody has it any more, nobody's token says whose it was.
    caller.scope == Scope::All || !image.places.is_empty()
}

#[derive(Default, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Format {
    /// All that is known.
    #[default]
    Full,
    /// Docker Scout's SBOM JSON.
    Scout,
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ShowParams {
    /// In which form.
    #[serde(default)]
    #[param(inline, required = false)]
    format: Format,
    /// With Scout's form: what only lock files name, too.
    #[serde(default, deserialize_with = "flag")]
    declared: bool,
}

/// Shows an image with all that is in it.
#[utoipa::path(
    get, path = "/v1/images/{digest}", operation_id = "showImage", tag = "images",
    params(("digest" = String, Path, description = "The digest of the platform's manifest, never of an index"), ShowParams),
    security(("token" = ["viewer"])),
    responses(
        (status = 200, description = "The image; with `format=scout` Docker Scout's document instead", body = StoredImage),
        (status = 404),
    ),
)]
pub(crate) async fn show(
    State(shared): State<Shared>,
    caller: Caller,
    Path(text): Path<String>,
    Params(params): Params<ShowParams>,
) -> Result<Response, Problem> {
    let digest = digest(&text)?;
    let found = shared.store.image(&digest).await?;
    let within = found.and_then(|mut image| within(&caller, &mut image.summary).then_some(image));
    let Some(image) = within else {
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
