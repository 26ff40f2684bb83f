//! `/v1/packages`.

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use supercargo_engine::store::{Cursor, Listing, NameMatch, PackageMatch};

use super::images::digest;
use crate::params::{Params, flag, page, presence};
use crate::problem::Problem;
use crate::search::{PackageSearch, Versions, find};
use crate::state::Shared;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListParams {
    /// The search language of the command line.
    q: Option<String>,
    purl: Option<String>,
    #[serde(rename = "type")]
    kind: Option<String>,
    namespace: Option<String>,
    name: Option<String>,
    version: Option<String>,
    license: Option<String>,
    path: Option<String>,
    image: Option<String>,
    #[serde(default, deserialize_with = "flag")]
    include_gone: bool,
    limit: Option<u32>,
    cursor: Option<Cursor>,
}

/// `GET /v1/packages`: one item for each package of each image. With a version range a page may hold fewer items
/// than `limit`, even none, while `next` is there.
pub(crate) async fn list(
    State(shared): State<Shared>,
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
    Ok(Json(find(shared.store.as_ref(), &search, page).await?))
}
