//! What Nexus's REST API lists.

use std::collections::HashSet;

use futures_util::stream::{self, BoxStream, StreamExt, TryStreamExt};
use jiff::Timestamp;
use oci_spec::image::Digest;
use serde::Deserialize;

use crate::product::{ApiClient, digest_of, listed_tag};
use crate::registry::Tag;
use crate::{Error, ErrorKind, Result};

/// Pages of one list. Nexus decides how long a page is: 100 components today, 10 up to 3.71.
const PAGES: usize = 100_000;

/// A repository as the API names it.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Listed {
    pub(super) name: String,
    format: String,
    r#type: String,
}

impl Listed {
    pub(super) fn is_registry(&self) -> bool {
        matches!(self.format.as_str(), "docker" | "oci")
    }

    /// A group shows what others hold, once more.
    pub(super) fn is_group(&self) -> bool {
        self.r#type == "group"
    }
}

/// The repositories that the user may browse.
pub(super) async fn repositories(api: &ApiClient) -> Result<Vec<Listed>> {
    let (listed, _) = api.get(api.url("service/rest/v1/repositories", &[])).await?;
    Ok(listed)
}

/// A tag of an image: Nexus has a component for each, with the manifest as its asset.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Component {
    /// The image.
    pub(super) name: String,
    version: Option<String>,
    #[serde(default)]
    assets: Vec<Asset>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Asset {
    #[serde(default)]
    path: String,
    #[serde(default)]
    checksum: Checksum,
    last_modified: Option<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
struct Checksum {
    sha256: Option<String>,
}

impl Component {
    pub(super) fn tag(&self) -> Option<Tag> {
        let version = self.version.as_deref()?;
        // Versions up to 3.70 wrote paths without the slash in front.
        let ending = format!("{}/manifests/{version}", self.name);
        let manifest = self.assets.iter().find(|asset| asset.path.ends_with(&ending));
        let digest: Option<Digest> = manifest.and_then(|asset| digest_of(asset.checksum.sha256.as_deref()?));
        let pushed_at = manifest.and_then(|asset| asset.last_modified.as_deref()?.parse::<Timestamp>().ok());
        Some(Tag { digest, pushed_at, ..Tag::from(listed_tag(version)?) })
    }
}

/// The components that a list has, page by page.
pub(super) fn components<'a>(
    api: &'a ApiClient,
    path: &str,
    query: &[(&str, &str)],
) -> BoxStream<'a, Result<Component>> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Page {
        items: Vec<Component>,
        continuation_token: Option<String>,
    }
    let url = api.url(path, query);
    let start = Some((None::<String>, HashSet::new()));
    let pages = stream::try_unfold(start, move |place| {
        let url = url.clone();
        async move {
            let Some((token, mut seen)) = place else { return Ok(None) };
            let mut asked = url;
            if let Some(token) = &token {
                asked.query_pairs_mut().append_pair("continuationToken", token);
            }
            let (page, _) = api.get::<Page>(asked).await?;
            let next = match page.continuation_token.filter(|token| !token.is_empty()) {
                None => None,
                Some(token) if seen.len() >= PAGES => {
                    return Err(Error::new(
                        ErrorKind::LimitExceeded,
                        format!("more than {PAGES} pages, at {token:.40}"),
                    ));
                }
                Some(token) if !seen.insert(token.clone()) => {
                    return Err(Error::new(ErrorKind::Malformed, "read a list: its pages repeat"));
                }
                Some(token) => Some((Some(token), seen)),
            };
            Ok(Some((stream::iter(page.items.into_iter().map(Ok)), next)))
        }
    });
    pages.try_flatten().boxed()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_component_is_a_tag() {
        let hex = "41b3ef26db07718a6925df9bc306a67e4fa1e248fbf01ffd248334f00e15302a";
        let check = |path: &str, digest: bool| {
            let component: Component = serde_json::from_value(json!({
                "id": "x", "repository": "docker-hosted", "format": "docker", "group": null, "name": "team/app",
                "version": "2.0",
                "assets": [{"path": path, "checksum": {"sha1": "76ba", "sha256": hex},
                    "lastModified": "2024-06-27T02:21:58.195+00:00", "lastDownloaded": null}],
            }))
            .unwrap();
            let tag = component.tag().unwrap();
            assert_eq!((tag.name.as_str(), tag.digest.is_some()), ("2.0", digest), "{path}");
            assert_eq!(tag.pushed_at.map(|time| time.to_string()), digest.then(|| "2024-06-27T02:21:58.195Z".into()));
        };
        check("/v2/team/app/manifests/2.0", true);
        check("v2/team/app/manifests/2.0", true);
        check("v2/team/app/manifests/sha256:41b3", false);
    }
}
