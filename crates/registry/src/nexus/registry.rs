//! The adapter.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::{self, BoxStream, StreamExt, TryStreamExt};
use oci_spec::image::{Descriptor, Digest};
use supercargo_index::ManifestDocument;
use tokio::sync::OnceCell;
use tracing::warn;

use super::areas::{Area, Site};
use super::{Layout, rest};
use crate::config::Filter;
use crate::credential::CredentialProvider;
use crate::distribution::{DistributionClient, Links, Place, SignIn};
use crate::error::Problem;
use crate::product::{ApiClient, Careful};
use crate::registry::{Capabilities, Listing, Referrer, Registry, Tag};
use crate::{Blob, Error, ErrorKind, RegistryConfig, Repository, Result, TagName, Target};

/// The docker and OCI repositories of a Sonatype Nexus Repository.
///
/// ```
/// use std::sync::Arc;
/// use supercargo_registry::{Credential, NexusRegistry, Registry, parse_registry};
///
/// let config = parse_registry(
///     "type=nexus,registry=nexus.example.com:8082,api=https://nexus.example.com,repository=docker-hosted",
/// )?;
/// let registry = NexusRegistry::new(&config, Arc::new(Credential::basic("reader", "password")))?;
/// // Images are called nexus.example.com:8082/…
/// assert_eq!(registry.host(), "nexus.example.com:8082");
/// # Ok::<(), supercargo_registry::Error>(())
/// ```
#[derive(Debug)]
pub struct NexusRegistry {
    host: String,
    api: ApiClient,
    /// Where docker pulls.
    client: DistributionClient,
    credentials: Arc<Careful>,
    site: Site,
    areas: OnceCell<Vec<Area>>,
    repositories: Vec<Repository>,
    filter: Filter,
    /// Searching was refused.
    unsearchable: AtomicBool,
}

impl NexusRegistry {
    /// The registry at [`RegistryConfig::host`], with the repositories [`RegistryConfig::keys`].
    ///
    /// # Errors
    /// [`ErrorKind::Configuration`] with all that is wrong with `config`.
    pub fn new(config: &RegistryConfig, credentials: Arc<dyn CredentialProvider>) -> Result<Self> {
        let mut problems = super::problems(config);
        if config.api.is_none() {
            let message = "it is missing: the address of the REST API".to_owned();
            problems.push(Problem { key: "api".to_owned(), message });
        }
        let Some(api) = config.api.clone().filter(|_| problems.is_empty()) else {
            return Err(Error::from_problems(problems));
        };
        let mut transport = config.transport.clone();
        transport.sign_in = SignIn::Basic;
        let credentials = Careful::new(credentials);
        let scheme = if transport.is_plain(&config.host) { "http" } else { "https" };
        let place = Place {
            host: config.host.clone(),
            base: config.host.base(scheme),
            shown: config.host.to_string(),
            links: Links::CursorOnly,
        };
        Ok(Self {
            host: config.host.to_string(),
            api: ApiClient::new(api.clone(), config.host.clone(), Arc::clone(&credentials), &transport)?,
            client: DistributionClient::at(place, Arc::clone(&credentials) as _, &transport)?,
            site: Site {
                host: config.host.clone(),
                api,
                layout: Layout::of(config).unwrap_or(Layout::Port),
                credentials: Arc::clone(&credentials) as _,
                transport,
                names: config.keys.clone(),
            },
            credentials,
            areas: OnceCell::new(),
            repositories: config.repositories.clone(),
            filter: config.filter.clone(),
            unsearchable: AtomicBool::new(false),
        })
    }

    async fn areas(&self) -> Result<&[Area]> {
        Ok(self.areas.get_or_try_init(|| self.site.areas(&self.api)).await?)
    }

    async fn reader(&self) -> Result<&DistributionClient> {
        self.credentials.prove_at(&self.client).await?;
        Ok(&self.client)
    }

    fn searches(&self) -> bool {
        !self.unsearchable.load(Ordering::Relaxed) && self.areas.get().is_none_or(|areas| !areas.is_empty())
    }

    async fn names(&self) -> Result<BoxStream<'_, Result<Repository>>> {
        let areas = self.areas().await?;
        if areas.is_empty() {
            return Ok(self.reader().await?.catalog());
        }
        let mut names = BTreeSet::new();
        for area in areas {
            self.credentials.prove_at(&area.client).await?;
            let listed: Result<Vec<Repository>> = area.client.catalog().try_collect().await;
            let images: Vec<String> = match listed {
                Ok(images) => images.iter().map(ToString::to_string).collect(),
                // A component is a tag, so this is the long way.
                Err(error) if is_refusal(&error) => {
                    let query = [("repository", area.name.as_str())];
                    let components = rest::components(&self.api, "service/rest/v1/components", &query);
                    let images: BTreeSet<String> = components.map_ok(|component| component.name).try_collect().await?;
                    images.into_iter().collect()
                }
                Err(error) => return Err(error),
            };
            names.extend(images.iter().filter_map(|image| area.prefix.name(image)));
        }
        Ok(stream::iter(names.into_iter().map(Ok)).boxed())
    }

    /// The tags, by searching; empty if nothing is found or searching is refused.
    async fn search(&self, repository: &Repository) -> Result<Vec<Tag>> {
        let mut found: BTreeMap<TagName, Tag> = BTreeMap::new();
        for area in self.areas().await? {
            let Some(image) = area.prefix.image(repository) else { continue };
            let query = [("repository", area.name.as_str()), ("name", image.as_str())];
            let mut components = rest::components(&self.api, "service/rest/v1/search", &query);
            loop {
                let component = match components.try_next().await {
                    Ok(Some(component)) => component,
                    Ok(None) => break,
                    Err(error) if is_refusal(&error) => {
                        if !self.unsearchable.swap(true, Ordering::Relaxed) {
                            warn!(registry = self.host, %error, "Nexus refuses to search; tags come without digests and times");
                        }
                        return Ok(Vec::new());
                    }
                    Err(error) => return Err(error),
                };
                let Some(tag) = component.tag().filter(|_| component.name == image.as_str()) else { continue };
                let known = found.entry(tag.name.clone()).or_insert_with(|| tag.clone());
                // One tag in two members of a group: which is shown, only resolving it tells.
                if known.digest != tag.digest {
                    known.digest = None;
                }
                known.pushed_at = known.pushed_at.max(tag.pushed_at);
            }
        }
        Ok(found.into_values().collect())
    }

    async fn list_tags(&self, repository: Repository) -> Result<BoxStream<'_, Result<Tag>>> {
        if self.searches() {
            let found = self.search(&repository).await?;
            if !found.is_empty() {
                return Ok(stream::iter(found.into_iter().map(Ok)).boxed());
            }
        }
        // The index of searches is behind by seconds, so that nothing is found there says nothing.
        Ok(self.reader().await?.tags(&repository).map_ok(Tag::from).boxed())
    }
}

fn is_refusal(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Denied | ErrorKind::NotFound | ErrorKind::Unsupported | ErrorKind::Malformed)
}

#[async_trait]
impl Registry for NexusRegistry {
    fn host(&self) -> &str {
        &self.host
    }

    fn distribution(&self) -> Option<&DistributionClient> {
        Some(&self.client)
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            repositories: if self.repositories.is_empty() { Listing::Catalog } else { Listing::Configured },
            tag_digests: self.searches(),
            tag_times: self.searches(),
            push_referrers: true,
            local: false,
            sparse: false,
        }
    }

    async fn check(&self) -> Result<()> {
        for area in self.areas().await? {
            area.client.check().await?;
        }
        self.reader().await?.check().await
    }

    fn repositories(&self) -> BoxStream<'_, Result<Repository>> {
        let listed = if self.repositories.is_empty() {
            let about = format!("list the repositories of {}", self.host);
            stream::once(self.names()).try_flatten().map_err(move |error| error.during(&about)).boxed()
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
        self.reader().await?.resolve(repository, target).await
    }

    async fn manifest(&self, repository: &Repository, target: &Target) -> Result<ManifestDocument> {
        self.reader().await?.manifest(repository, target).await
    }

    async fn blob(&self, repository: &Repository, descriptor: &Descriptor, offset: u64) -> Result<Blob> {
        self.reader().await?.blob(repository, descriptor, offset).await
    }

    async fn blob_range(
        &self,
        repository: &Repository,
        descriptor: &Descriptor,
        range: Range<u64>,
    ) -> Result<Option<BoxStream<'static, Result<Bytes>>>> {
        self.reader().await?.blob_range(repository, descriptor, range).await
    }

    fn referrers(&self, repository: &Repository, digest: &Digest) -> BoxStream<'_, Result<Descriptor>> {
        let (repository, digest) = (repository.clone(), digest.clone());
        stream::once(async move { Ok::<_, Error>(self.reader().await?.referrers(&repository, &digest)) })
            .try_flatten()
            .boxed()
    }

    async fn push_referrer(
        &self,
        repository: &Repository,
        subject: &Descriptor,
        referrer: &Referrer,
    ) -> Result<Descriptor> {
        self.reader().await?.push_referrer(repository, subject, referrer).await
    }
}
