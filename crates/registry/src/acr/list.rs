//! The lists of `/acr/v1` (azure-rest-api-specs, `containerregistry.json` 2021-07-01).
//!
//! They name digests and times, which the distribution protocol's do not, and tags in the order in which they moved.

use futures_util::stream::{self, BoxStream, StreamExt, TryStreamExt};
use jiff::Timestamp;
use serde::Deserialize;
use tracing::warn;

use crate::distribution::{DistributionClient, Scope};
use crate::registry::Tag;
use crate::secret::printable;
use crate::{Digest, Error, ErrorKind, Repository, Result, digest};

/// Entries of a page that are asked for. A registry that refuses so many is asked for a hundred.
const PAGE: usize = 1000;

/// A manifest in the registry's own list.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AcrManifest {
    /// Its digest.
    pub digest: Digest,
    /// Its media type, where the registry says so.
    pub media_type: Option<String>,
    /// The media type of its configuration, where the registry says so.
    pub config_media_type: Option<String>,
    /// The tags that lead to it.
    pub tags: Vec<String>,
    /// Bytes of the image as it is stored; 0 for an index.
    pub image_size: u64,
    /// When it was pushed, or last changed.
    pub updated_at: Option<Timestamp>,
    /// The platform, as `os/architecture`, where the registry says so.
    pub platform: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct TagItem {
    name: String,
    digest: Option<String>,
    last_update_time: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ManifestItem {
    digest: String,
    media_type: Option<String>,
    config_media_type: Option<String>,
    tags: Option<Vec<String>>,
    image_size: Option<u64>,
    last_update_time: Option<String>,
    architecture: Option<String>,
    os: Option<String>,
}

/// `/acr/v1/_catalog`.
pub(super) fn repositories(client: &DistributionClient) -> BoxStream<'static, Result<Repository>> {
    #[derive(Deserialize)]
    struct Page {
        repositories: Option<Vec<String>>,
    }
    client
        .product_list("/acr/v1/_catalog", &format!("n={PAGE}"), Scope::Catalog, |page: Page| {
            page.repositories.unwrap_or_default()
        })
        .try_filter_map(|name| std::future::ready(Ok(kept(name.parse::<Repository>(), "repository"))))
        .boxed()
}

/// `/acr/v1/NAME/_tags`, the tag that moved last first.
pub(super) fn tags(client: &DistributionClient, repository: &Repository) -> BoxStream<'static, Result<Tag>> {
    #[derive(Deserialize)]
    struct Page {
        tags: Option<Vec<TagItem>>,
    }
    let path = format!("/acr/v1/{repository}/_tags");
    client
        .product_list(&path, &newest_first(), Scope::Metadata(repository.clone()), |page: Page| {
            page.tags.unwrap_or_default()
        })
        .try_filter_map(|item: TagItem| {
            let tag = kept(item.name.parse(), "tag").map(|name| Tag {
                name,
                digest: item.digest.and_then(|text| digest::parse_digest(&text).ok()),
                pushed_at: time(item.last_update_time),
            });
            std::future::ready(Ok(tag))
        })
        .boxed()
}

/// `/acr/v1/NAME/_manifests`, the one that changed last first.
pub(super) fn manifests(
    client: &DistributionClient,
    repository: &Repository,
) -> BoxStream<'static, Result<AcrManifest>> {
    #[derive(Deserialize)]
    struct Page {
        manifests: Option<Vec<ManifestItem>>,
    }
    let path = format!("/acr/v1/{repository}/_manifests");
    client
        .product_list(&path, &newest_first(), Scope::Metadata(repository.clone()), |page: Page| {
            page.manifests.unwrap_or_default()
        })
        .try_filter_map(|item: ManifestItem| {
            let manifest = kept(digest::parse_digest(&item.digest), "manifest").map(|digest| AcrManifest {
                digest,
                media_type: item.media_type,
                config_media_type: item.config_media_type,
                tags: item.tags.unwrap_or_default(),
                image_size: item.image_size.unwrap_or_default(),
                updated_at: time(item.last_update_time),
                platform: item.os.zip(item.architecture).map(|(os, architecture)| format!("{os}/{architecture}")),
            });
            std::future::ready(Ok(manifest))
        })
        .boxed()
}

fn newest_first() -> String {
    format!("n={PAGE}&orderby=timedesc")
}

/// What broke its grammar is left out, as in the distribution protocol's lists.
fn kept<T>(parsed: Result<T>, what: &'static str) -> Option<T> {
    parsed.map_err(|error| warn!(%error, what, "an entry of a list is left out")).ok()
}

fn time(text: Option<String>) -> Option<Timestamp> {
    let text = text?;
    let parsed = text.parse();
    parsed.map_err(|_| warn!(time = printable(&text, 40), "a time of a list cannot be read")).ok()
}

/// The items of `detailed`, or those of `plain` where the first is refused before anything has come. `noted` is told
/// when that happened.
pub(super) fn or_else<T: Send + 'static>(
    mut detailed: BoxStream<'static, Result<T>>,
    plain: impl FnOnce() -> BoxStream<'static, Result<T>> + Send + 'static,
    noted: impl FnOnce(&Error) + Send + 'static,
) -> BoxStream<'static, Result<T>> {
    let chosen = async move {
        let refusal = match detailed.next().await {
            None => return stream::empty().boxed(),
            Some(Err(error)) if is_refusal(&error) => error,
            Some(first) => return stream::once(std::future::ready(first)).chain(detailed).boxed(),
        };
        let mut plain = plain();
        let first = match plain.next().await {
            // Both refuse. The protocol's own word that it is not there counts; else the first says more.
            Some(Err(second)) if second.kind() == ErrorKind::NotFound => Err(second),
            Some(Err(second)) if !is_refusal(&second) => Err(second),
            Some(Err(_)) => Err(refusal),
            Some(Ok(first)) => {
                noted(&refusal);
                Ok(first)
            }
            None => {
                noted(&refusal);
                return stream::empty().boxed();
            }
        };
        stream::once(std::future::ready(first)).chain(plain).boxed()
    };
    stream::once(chosen).flatten().boxed()
}

/// Whether the list is not for us, or not there at all: a proxy before the registry may let the protocol through only.
fn is_refusal(error: &Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::Unauthorized
            | ErrorKind::Denied
            | ErrorKind::NotFound
            | ErrorKind::Unsupported
            | ErrorKind::Malformed
    )
}
