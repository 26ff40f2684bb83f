//! `/v1/packages`.

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use supercargo_engine::store::{Cursor, Listing, NameMatch, PackageMatch};
use utoipa::IntoParams;

use super::images::digest;
use crate::access::{Caller, Scope};
use crate::params::{Params, flag, page, presence};
use crate::problem::Problem;
use crate::search::{PackageSearch, Versions, find};
use crate::state::Shared;

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListParams {
    /// A search in the language of the command line.
    q: Option<String>,
    /// A package URL.
    purl: Option<String>,
    /// Only packages of this type.
    #[serde(rename = "type")]
    kind: Option<String>,
    /// Only packages of this namespace; case does not count.
    namespace: Option<String>,
    /// Only packages of this name; case does not count.
    name: Option<String>,
    /// Only this version as it is written, or those in a range.
    version: Option<String>,
    /// Only with this in one of their licences.
    license: Option<String>,
    /// Only with this in the path of one of their files.
    path: Option<String>,
    /// Only those of the image of this digest.
    image: Option<String>,
    /// Those, too, of images that no registry has any more.
    #[serde(default, deserialize_with = "flag")]
    include_gone: bool,
    /// Items at most: 100 unless given, up to 1000.
    limit: Option<u32>,
    /// Where the page before ended.
    #[param(value_type = Option<String>)]
    cursor: Option<Cursor>,
}

/// Lists packages, one item for each package of each image.
///
/// With a version range a page may hold fewer items than `limit`, even none, while `next` is there.
#[utoipa::path(
    get, path = "/v1/packages", operation_id = "listPackages", tag = "images", params(ListParams),
    security(("token" = ["viewer"])),
    responses((status = 200, description = "A page of packages, those of one together", body = Listing<PackageMatch>)),
)]
pub(crate) async fn list(
    State(shared): State<Shared>,
    caller: Caller,
    Params(params): Params<ListParams>,
) -> Result<Json<Listing<PackageMatch>>, Problem> {
    let mut search = match (&params.q, &params.purl) {
        (Some(_), Some(_)) => return Err(Problem::bad_request("q, purl: give one of them")),
        (Some(query), None) => query.parse::<PackageSearch>()?,
        (None, Some(purl)) if purl.starts_with("pkg:") => purl.parse::<PackageSearch>()?,
        (None, Some(_)) => return Err(Problem::bad_request("purl: expected a package URL, pkg:type/name")),
        (None, None) => PackageSearch::default(),
    };
    let query = &mut search.query;
    query.kind = params.kind.or(query.kind.take());
    query.namespace = params.namespace.or(query.namespace.take());
    query.name = params.name.map(NameMatch::Exact).or(query.name.take());
    query.license = params.license;
    query.path = params.path;
    query.image = params.image.as_deref().map(digest).transpose()?;
    query.presence = presence(params.include_gone);
    if let Some(version) = &params.version {
        search.versions = Versions::parse(version)?;
    }
    let page = page(params.limit, params.cursor)?;
    let mut found = find(shared.store.as_ref(), &search, page).await?;
    found.items.retain_mut(|package| {
        package.places.retain(|place| caller.scope.sees(&place.repository.registry));
        caller.scope == Scope::All || !package.places.is_empty()
    });
    Ok(Json(found))
}
