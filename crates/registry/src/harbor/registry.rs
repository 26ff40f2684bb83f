//! The adapter.

use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::{self, BoxStream, StreamExt, TryStreamExt};
use http::HeaderMap;
use http::header::LINK;
use jiff::Timestamp;
use oci_spec::image::{Descriptor, Digest};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use supercargo_index::ManifestDocument;
use tracing::warn;
use url::Url;

use crate::config::Filter;
use crate::credential::CredentialProvider;
use crate::digest::parse_digest;
use crate::distribution::{DistributionClient, next_target, with_cursor};
use crate::product::{ApiClient, Careful, listed_repository, listed_tag};
use crate::registry::{Capabilities, Listing, Referrer, Registry, Tag};
use crate::{Blob, Error, ErrorKind, RegistryConfig, Repository, Result, Target};

/// Items of a page; Harbor gives no more.
const PAGE: &str = "100";
/// Pages of one list: a million items.
const PAGES: usize = 10_000;

/// A Harbor.
///
/// ```
/// use std::sync::Arc;
/// use supercargo_registry::{Credential, HarborRegistry, Registry, parse_registry};
///
/// let config = parse_registry("type=harbor,registry=harbor.example.com,\"project=web,shop\"")?;
/// let registry = HarborRegistry::new(&config, Arc::new(Credential::basic("robot$reader", "its secret")))?;
/// assert_eq!(registry.host(), "harbor.example.com");
/// # Ok::<(), supercargo_registry::Error>(())
/// ```
#[derive(Debug)]
pub struct HarborRegistry {
    host: String,
    api: ApiClient,
    client: DistributionClient,
    credentials: Arc<Careful>,
    projects: Vec<String>,
    repositories: Vec<Repository>,
    filter: Filter,
}

impl HarborRegistry {
    /// The Harbor at [`RegistryConfig::host`]; its API there too, unless [`RegistryConfig::api`] says where.
    ///
    /// # Errors
    /// [`ErrorKind::Configuration`] with all that is wrong with `config`.
    pub fn new(config: &RegistryConfig, credentials: Arc<dyn CredentialProvider>) -> Result<Self> {
        let problems = super::problems(config);
        if !problems.is_empty() {
            return Err(Error::from_problems(problems));
        }
        let scheme = if config.transport.is_plain(&config.host) { "http" } else { "https" };
        let mut api = config.api.clone().unwrap_or_else(|| config.host.base(scheme));
        let path = api.path().trim_end_matches('/').trim_end_matches("/v2").trim_end_matches("/api/v2.0");
        let path = format!("{path}/api/v2.0");
        api.set_path(&path);
        let credentials = Careful::new(credentials);
        let client = DistributionClient::new(config.host.clone(), Arc::clone(&credentials) as _, &config.transport)?;
        Ok(Self {
            host: config.host.to_string(),
            api: ApiClient::new(api, config.host.clone(), Arc::clone(&credentials), &config.transport)?,
            client,
            credentials,
            projects: super::projects(config).map(str::to_owned).collect(),
            repositories: config.repositories.clone(),
            filter: config.filter.clone(),
        })
    }

    /// The items of a list, page by page.
    fn list<T: DeserializeOwned + Send + 'static>(
        &self,
        path: &str,
        query: &[(&str, &str)],
    ) -> BoxStream<'_, Result<T>> {
        let query: Vec<_> = query.iter().copied().chain([("page", "1"), ("page_size", PAGE)]).collect();
        let first = Some((self.api.url(path, &query), 0, 0));
        let pages = stream::try_unfold(first, move |place| async move {
            let Some((url, page, before)) = place else { return Ok(None) };
            if page >= PAGES {
                return Err(Error::new(ErrorKind::LimitExceeded, format!("more than {PAGES} pages")));
            }
            let (items, headers) = self.api.get::<Vec<T>>(url.clone()).await?;
            let listed = before + items.len();
            let next = if items.is_empty() { None } else { following(&url, &headers, listed) };
            Ok(Some((stream::iter(items.into_iter().map(Ok)), next.map(|next| (next, page + 1, listed)))))
        });
        pages.try_flatten().boxed()
    }

    fn listed(&self, path: &str) -> BoxStream<'_, Result<Repository>> {
        #[derive(Deserialize)]
        struct Item {
            name: String,
        }
        let items = self.list::<Item>(path, &[("sort", "name")]);
        items.try_filter_map(async |item| Ok(listed_repository(&item.name))).boxed()
    }

    /// The repositories of these projects. One that the user may not see is left out, if another can be seen.
    async fn of_projects(&self, projects: Vec<String>) -> Result<BoxStream<'_, Result<Repository>>> {
        let mut all = Vec::new();
        let mut refusal = None;
        for project in projects {
            let listed: Result<Vec<Repository>> =
                self.listed(&format!("projects/{project}/repositories")).try_collect().await;
            match listed {
                Ok(listed) => all.push(listed),
                Err(error) if matches!(error.kind(), ErrorKind::Denied | ErrorKind::NotFound) => {
                    warn!(project, %error, "a project is left out");
                    refusal = Some(error.during(format_args!("read the project {project}")));
                }
                Err(error) => return Err(error),
            }
        }
        match refusal {
            Some(refusal) if all.is_empty() => Err(refusal),
            _ => Ok(stream::iter(all.into_iter().flatten().map(Ok)).boxed()),
        }
    }

    async fn all(&self) -> Result<BoxStream<'_, Result<Repository>>> {
        #[derive(Deserialize)]
        struct Project {
            name: String,
        }
        if !self.projects.is_empty() {
            return self.of_projects(self.projects.clone()).await;
        }
        // One list for those who are signed in. Strangers and robots of a project are refused it; what they may see
        // is found by project.
        let mut repositories = self.listed("repositories").peekable();
        match std::pin::Pin::new(&mut repositories).next_if(Result::is_err).await {
            Some(Err(error)) if self.is_refusal(&error).await => {}
            Some(Err(error)) => return Err(error),
            _ => return Ok(repositories.boxed()),
        }
        let projects = self.list::<Project>("projects", &[]).map_ok(|project| project.name);
        let projects: Vec<String> = match projects.try_collect().await {
            Ok(projects) => projects,
            Err(error) if self.is_refusal(&error).await => {
                return Err(error.with_hint("this user or robot may not list projects; name them with project=NAME"));
            }
            Err(error) => return Err(error),
        };
        if projects.is_empty() {
            return Err(Error::new(ErrorKind::Denied, "Harbor shows no project")
                .with_hint("give credentials, or name projects with project=NAME"));
        }
        self.of_projects(projects).await
    }

    /// Whether an error says that this user may not have a list, rather than that the password is wrong.
    async fn is_refusal(&self, error: &Error) -> bool {
        match error.kind() {
            ErrorKind::Denied | ErrorKind::NotFound | ErrorKind::Unsupported => true,
            ErrorKind::Unauthorized => {
                let credential = self.credentials.api_credential(self.client.host()).await;
                credential.is_ok_and(|credential| credential.is_anonymous())
            }
            _ => false,
        }
    }

    async fn list_tags(&self, repository: Repository) -> Result<BoxStream<'_, Result<Tag>>> {
        #[derive(Deserialize)]
        struct Artifact {
            digest: String,
            push_time: Option<String>,
            tags: Option<Vec<TagItem>>,
        }
        #[derive(Deserialize)]
        struct TagItem {
            name: String,
            push_time: Option<String>,
        }
        let Some((project, name)) = repository.as_str().split_once('/') else {
            return Err(Error::new(ErrorKind::NotFound, "it has no project before it"));
        };
        // Harbor's router decodes once before it parts the path, so a slash in a name is encoded twice.
        let path = format!("projects/{project}/repositories/{}/artifacts", name.replace('/', "%252F"));
        let query = [("q", "tags=*"), ("sort", "-push_time"), ("with_tag", "true"), ("with_accessory", "false")];
        let tags = self.list::<Artifact>(&path, &query).try_filter_map(async |artifact| {
            let digest = parse_digest(&artifact.digest)?;
            let named = artifact.tags.into_iter().flatten().filter_map(|tag| {
                let pushed_at = time(&tag.push_time).or_else(|| time(&artifact.push_time));
                Some(Tag { digest: Some(digest.clone()), pushed_at, ..Tag::from(listed_tag(&tag.name)?) })
            });
            Ok(Some(stream::iter(named.map(Ok).collect::<Vec<_>>())))
        });
        Ok(tags.try_flatten().boxed())
    }
}

/// The next page: by its link, or by how many items there are where a proxy took the link away.
fn following(url: &Url, headers: &HeaderMap, listed: usize) -> Option<Url> {
    let mut links = headers.get_all(LINK).iter().filter_map(|value| value.to_str().ok());
    if let Some(target) = links.find_map(next_target) {
        return Some(with_cursor(url, target)).filter(|next| next != url);
    }
    let total: usize = headers.get("x-total-count")?.to_str().ok()?.parse().ok()?;
    if headers.contains_key(LINK) || listed >= total {
        return None;
    }
    let page: usize = url.query_pairs().find(|(key, _)| key == "page")?.1.parse().ok()?;
    let pairs: Vec<_> = url.query_pairs().filter(|(key, _)| key != "page").collect();
    let mut next = url.clone();
    next.query_pairs_mut().clear().extend_pairs(pairs).append_pair("page", &(page + 1).to_string());
    Some(next)
}

/// A time of Harbor's; a zero in Go is the year 1.
fn time(text: &Option<String>) -> Option<Timestamp> {
    text.as_ref()?.parse::<Timestamp>().ok().filter(|time| time.as_second() > 0)
}

#[async_trait]
impl Registry for HarborRegistry {
    fn host(&self) -> &str {
        &self.host
    }

    fn distribution(&self) -> Option<&DistributionClient> {
        Some(&self.client)
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            repositories: if self.repositories.is_empty() { Listing::Complete } else { Listing::Configured },
            tag_digests: true,
            tag_times: true,
            push_referrers: true,
            local: false,
            sparse: false,
        }
    }

    async fn check(&self) -> Result<()> {
        self.credentials.prove_at(&self.client).await?;
        self.client.check().await?;
        // One page of what it is that will be read.
        self.repositories().try_next().await.map(drop)
    }

    fn repositories(&self) -> BoxStream<'_, Result<Repository>> {
        let listed = if self.repositories.is_empty() {
            let about = format!("list the repositories of {}", self.host);
            stream::once(self.all()).try_flatten().map_err(move |error| error.during(&about)).boxed()
        } else {
            stream::iter(self.repositories.clone().into_iter().map(Ok)).boxed()
        };
        listed.try_filter(|repository| std::future::ready(self.filter.admits(&self.host, repository))).boxed()
    }

    fn tags(&self, repository: &Repository) -> BoxStream<'_, Result<Tag>> {
        let about = format!("list the tags of {}/{repository}", self.host);
        let tags = stream::once(self.list_tags(repository.clone())).try_flatten();
        tags.map_err(move |error| error.during(&about)).boxed()
    }

    async fn resolve(&self, repository: &Repository, target: &Target) -> Result<Descriptor> {
        self.credentials.prove_at(&self.client).await?;
        self.client.resolve(repository, target).await
    }

    async fn manifest(&self, repository: &Repository, target: &Target) -> Result<ManifestDocument> {
        self.credentials.prove_at(&self.client).await?;
        self.client.manifest(repository, target).await
    }

    async fn blob(&self, repository: &Repository, descriptor: &Descriptor, offset: u64) -> Result<Blob> {
        self.credentials.prove_at(&self.client).await?;
        self.client.blob(repository, descriptor, offset).await
    }

    async fn blob_range(
        &self,
        repository: &Repository,
        descriptor: &Descriptor,
        range: Range<u64>,
    ) -> Result<Option<BoxStream<'static, Result<Bytes>>>> {
        self.client.blob_range(repository, descriptor, range).await
    }

    fn referrers(&self, repository: &Repository, digest: &Digest) -> BoxStream<'_, Result<Descriptor>> {
        self.client.referrers(repository, digest)
    }

    async fn push_referrer(
        &self,
        repository: &Repository,
        subject: &Descriptor,
        referrer: &Referrer,
    ) -> Result<Descriptor> {
        self.client.push_referrer(repository, subject, referrer).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn following_pages() {
        let url = Url::parse("https://harbor.test/api/v2.0/projects?page=1&page_size=100").unwrap();
        let check = |headers: &[(&'static str, &str)], listed: usize, expected: Option<&str>| {
            let headers: HeaderMap = headers
                .iter()
                .map(|(name, value)| (http::HeaderName::from_static(name), value.parse().unwrap()))
                .collect();
            assert_eq!(following(&url, &headers, listed).as_ref().and_then(Url::query), expected, "{headers:?}");
        };
        let next = ("link", "</api/v2.0/projects?page=2&page_size=100>; rel=\"next\"");
        check(&[next, ("x-total-count", "120")], 100, Some("page=2&page_size=100"));
        // A proxy that publishes Harbor under another name does not get to say where the credentials go.
        check(&[("link", "<http://core:8080/api?page=2>; rel=\"next\"")], 100, Some("page=2"));
        check(&[("x-total-count", "120")], 100, Some("page_size=100&page=2"));
        check(&[("x-total-count", "100")], 100, None);
        check(&[("link", "<?page=1>; rel=\"prev\""), ("x-total-count", "300")], 120, None);
        check(&[], 100, None);
    }
}
