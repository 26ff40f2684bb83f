//! Lists that come page by page.

use std::collections::HashSet;
use std::hash::{BuildHasher as _, RandomState};

use bytes::Bytes;
use futures_util::stream::{self, BoxStream, StreamExt, TryStreamExt};
use http::HeaderMap;
use http::header::LINK;
use reqwest::StatusCode;
use serde::Deserialize;
use tracing::warn;
use url::Url;

use super::auth::Scope;
use super::client::{DistributionClient, Links};
use super::link;
use super::transport::Request;
use crate::secret::printable;
use crate::{Error, ErrorKind, Repository, Result, TagName};

/// Bytes of one page: at 1000 names a page, 8 KiB a name.
const PAGE_SIZE: usize = 8 << 20;
/// Pages of one list. With 100 names a page that is a million.
const PAGES: usize = 10_000;
/// Names of one list. Amazon ECR stops at 100 000 images in a repository.
const LISTED: usize = 1_000_000;
/// Names per page that are asked for. Amazon ECR and CNCF Distribution refuse more than 1000.
const NAMES: u32 = 1000;
/// Names per page for a registry that refuses the above.
const FEWER_NAMES: u32 = 100;

impl DistributionClient {
    /// The repositories, by the registry's catalog. Names that break the grammar are left out with a warning.
    pub fn catalog(&self) -> BoxStream<'static, Result<Repository>> {
        #[derive(Deserialize)]
        struct Catalog {
            repositories: Option<Vec<String>>,
        }
        let host = self.inner.shown.clone();
        let pages = self.pages("_catalog", Scope::Catalog);
        names(pages, |page: Catalog| page.repositories.unwrap_or_default())
            .try_filter_map(|name| async move {
                Ok(match name.parse::<Repository>() {
                    Ok(repository) => Some(repository),
                    Err(error) => {
                        warn!(%error, "a repository of the catalog is left out");
                        None
                    }
                })
            })
            .map_err(move |error| unlisted(error).during(format_args!("list the repositories of {host}")))
            .boxed()
    }

    /// The tags of a repository, in the registry's order.
    pub fn tags(&self, repository: &Repository) -> BoxStream<'static, Result<TagName>> {
        #[derive(Deserialize)]
        struct Tags {
            // docker-registry writes null where there are none.
            tags: Option<Vec<String>>,
        }
        let name = format!("{}/{repository}", self.inner.shown);
        let pages = self.pages(&format!("{repository}/tags/list"), Scope::Pull(repository.clone()));
        names(pages, |page: Tags| page.tags.unwrap_or_default())
            .try_filter_map(|tag| async move {
                Ok(match tag.parse::<TagName>() {
                    Ok(tag) => Some(tag),
                    Err(error) => {
                        warn!(%error, "a tag of the list is left out");
                        None
                    }
                })
            })
            .map_err(move |error| error.during(format_args!("list the tags of {name}")))
            .boxed()
    }

    fn pages(&self, path: &str, scope: Scope) -> Pages {
        let mut first = self.url(path);
        first.set_query(Some(&format!("n={NAMES}")));
        Pages::new(self.clone(), first, scope)
    }
}

/// What to do where the catalog is refused, as Docker Hub, GitHub and every scoped token have it.
fn unlisted(error: Error) -> Error {
    const WAY_OUT: &str = "many registries list no repositories: name them with repository=";
    match (error.kind(), error.hint().map(str::to_owned)) {
        (ErrorKind::Unauthorized, Some(hint)) => error.with_hint(format!("{hint}; or: {WAY_OUT}")),
        (ErrorKind::Unauthorized | ErrorKind::Denied | ErrorKind::NotFound | ErrorKind::Unsupported, _) => {
            error.with_hint(WAY_OUT)
        }
        _ => error,
    }
}

/// Flattens pages of the JSON type `T` into their items; an empty page ends the list, whatever its link says.
pub(super) fn names<T, I>(pages: Pages, pick: fn(T) -> Vec<I>) -> BoxStream<'static, Result<I>>
where
    T: for<'de> Deserialize<'de> + 'static,
    I: Send + 'static,
{
    stream::try_unfold((pages, 0), move |(mut pages, listed)| async move {
        let Some(page) = pages.next().await? else { return Ok(None) };
        let read: T = serde_json::from_slice(&page.bytes).map_err(|error| {
            Error::new(ErrorKind::Malformed, "read a page: it is not a list of names").with_source(error)
        })?;
        let names = pick(read);
        let listed = listed + names.len();
        if listed > LISTED {
            return Err(Error::new(ErrorKind::LimitExceeded, format!("read a list: more than {LISTED} names")));
        }
        Ok((!names.is_empty()).then(|| (stream::iter(names.into_iter().map(Ok)), (pages, listed))))
    })
    .try_flatten()
    .boxed()
}

/// Asks for pages of [`FEWER_NAMES`], with all else that was asked for.
fn ask_fewer(url: &mut Url) {
    let asked = url.query().unwrap_or_default().to_owned();
    let others = asked.split('&').filter(|pair| !pair.is_empty() && !pair.starts_with("n="));
    let query: Vec<String> = std::iter::once(format!("n={FEWER_NAMES}")).chain(others.map(str::to_owned)).collect();
    url.set_query(Some(&query.join("&")));
}

/// One page as it came.
pub(super) struct Page {
    pub(super) bytes: Bytes,
    pub(super) headers: HeaderMap,
}

/// The pages of a list: bounded in number, never the same one twice, never off the registry.
pub(super) struct Pages {
    client: DistributionClient,
    scope: Scope,
    next: Option<Url>,
    /// Hashes of the cursors so far: a cursor may be kilobytes long, and pages are many.
    seen: HashSet<u64>,
    hasher: RandomState,
}

impl Pages {
    pub(super) fn new(client: DistributionClient, first: Url, scope: Scope) -> Self {
        Self { client, scope, next: Some(first), seen: HashSet::new(), hasher: RandomState::new() }
    }

    pub(super) async fn next(&mut self) -> Result<Option<Page>> {
        let Some(mut url) = self.next.take() else { return Ok(None) };
        if self.seen.len() >= PAGES {
            return Err(Error::new(ErrorKind::LimitExceeded, format!("read a list: more than {PAGES} pages")));
        }
        if !self.seen.insert(self.hasher.hash_one(url.query())) {
            return Err(Error::new(
                ErrorKind::Malformed,
                format!("read a list: its pages repeat ({})", printable(url.query().unwrap_or_default(), 100)),
            ));
        }
        let mut answer = self.client.execute(&Request::get(url.clone()), &self.scope).await?;
        if answer.status() == StatusCode::BAD_REQUEST && self.seen.len() == 1 && url.query().is_some() {
            ask_fewer(&mut url);
            answer = self.client.execute(&Request::get(url.clone()), &self.scope).await?;
        }
        if !answer.status().is_success() {
            return Err(answer.into_error().await);
        }
        let headers = answer.headers().clone();
        for value in headers.get_all(LINK) {
            if let Some(target) = value.to_str().ok().and_then(link::next_target) {
                // The address we asked, not the one that answered after a redirect.
                self.next = Some(match self.client.inner.links {
                    Links::SameHost => link::next_page(&url, target)?,
                    Links::CursorOnly => link::with_cursor(&url, target),
                });
                break;
            }
        }
        let bytes = answer.document(PAGE_SIZE).await?;
        Ok(Some(Page { bytes, headers }))
    }
}
