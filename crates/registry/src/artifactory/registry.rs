//! The adapter.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::{self, BoxStream, StreamExt, TryStreamExt};
use jiff::Timestamp;
use oci_spec::image::{Descriptor, Digest};
use supercargo_index::ManifestDocument;
use tokio::sync::OnceCell;
use tracing::warn;

use super::aql::{Order, Pages, Query, Row};
use super::areas::{self, Area, Sort};
use super::layout::Layout;
use crate::config::Filter;
use crate::credential::CredentialProvider;
use crate::distribution::{DistributionClient, SignIn};
use crate::error::Problem;
use crate::product::{ApiClient, Careful, listed_tag};
use crate::registry::{Capabilities, Listing, Referrer, Registry, Tag};
use crate::{Blob, Error, ErrorKind, RegistryConfig, Repository, Result, Target};

/// Tags of one image.
const TAGS: usize = 1_000_000;

/// The docker repositories of a JFrog Artifactory.
///
/// Lists come from its query language (AQL), with digests and times; where that is refused, from the catalog.
///
/// ```
/// use std::sync::Arc;
/// use supercargo_registry::{ArtifactoryRegistry, Credential, Registry, parse_registry};
///
/// let config = parse_registry(
///     "type=artifactory,registry=example.com,api=https://example.com/artifactory,repository=docker-local",
/// )?;
/// let registry = ArtifactoryRegistry::new(&config, Arc::new(Credential::basic("reader", "access token")))?;
/// // Images are called example.com/docker-local/…
/// assert_eq!(registry.host(), "example.com");
/// # Ok::<(), supercargo_registry::Error>(())
/// ```
#[derive(Debug)]
pub struct ArtifactoryRegistry {
    host: String,
    api: ApiClient,
    areas: Vec<Area>,
    credentials: Arc<Careful>,
    repositories: Vec<Repository>,
    filter: Filter,
    sorts: OnceCell<Vec<Sort>>,
    turn: tokio::sync::Mutex<()>,
    /// The query language was refused.
    catalog: AtomicBool,
}

impl ArtifactoryRegistry {
    /// The repositories with [`RegistryConfig::keys`]. In the layout of sub-domains there is one of them: see
    /// [`RegistryConfig::registries`].
    ///
    /// # Errors
    /// [`ErrorKind::Configuration`] with all that is wrong with `config`.
    pub fn new(config: &RegistryConfig, credentials: Arc<dyn CredentialProvider>) -> Result<Self> {
        let problem = |key: &str, message: &str| Problem { key: key.to_owned(), message: message.to_owned() };
        let mut problems = super::problems(config);
        if config.api.is_none() {
            problems.push(problem("api", "it is missing: the address of the REST API"));
        }
        if config.keys.is_empty() {
            problems.push(problem("repository", "it is missing: a repository key"));
        }
        let layout = Layout::of(config).unwrap_or(Layout::Path);
        if layout == Layout::Subdomain && config.keys.len() > 1 {
            problems.push(problem("repository", "each key is a host of its own, and a registry has one"));
        }
        let Some(api) = config.api.clone().filter(|_| problems.is_empty()) else {
            return Err(Error::from_problems(problems));
        };
        // In the layout of sub-domains the host is the key's, whoever built the configuration.
        let one = super::registries(config.clone()).into_iter().next().unwrap_or_else(|| config.clone());
        let mut transport = config.transport.clone();
        transport.sign_in = SignIn::Basic;
        let credentials = Careful::new(credentials);
        let area = |key| Area::new(key, layout, &api, &one, Arc::clone(&credentials) as _, &transport);
        Ok(Self {
            host: one.host.to_string(),
            areas: one.keys.iter().map(area).collect::<Result<_>>()?,
            api: ApiClient::new(api.clone(), one.host.clone(), Arc::clone(&credentials), &transport)?,
            credentials,
            repositories: one.repositories,
            filter: one.filter,
            sorts: OnceCell::new(),
            turn: tokio::sync::Mutex::new(()),
            catalog: AtomicBool::new(false),
        })
    }

    /// The key that holds `repository`, and the image's name in it.
    fn find(&self, repository: &Repository) -> Result<(usize, Repository)> {
        let found = self.areas.iter().enumerate().find_map(|(at, area)| Some((at, area.prefix.image(repository)?)));
        found.ok_or_else(|| {
            let keys: Vec<&str> = self.areas.iter().map(|area| area.key.as_str()).collect();
            Error::new(
                ErrorKind::NotFound,
                format!("find {}/{repository}: it is in none of the repository keys {}", self.host, keys.join(", ")),
            )
        })
    }

    /// The client that reads `repository`, once it is known that the registry takes the credentials.
    async fn reader(&self, repository: &Repository) -> Result<(&Area, Repository)> {
        let (at, image) = self.find(repository)?;
        let area = &self.areas[at];
        self.credentials.prove_at(&area.client).await?;
        Ok((area, image))
    }

    async fn sorts(&self) -> Result<&[Sort]> {
        Ok(self.sorts.get_or_try_init(|| areas::sort(&self.api, &self.areas)).await?)
    }

    fn pages(&self, stored: Vec<String>, image: Option<&Repository>, order: Order) -> Pages<'_> {
        Pages::new(&self.api, &self.turn, Query { stored, image: image.map(ToString::to_string), order })
    }

    /// Whether an error says that there are no queries for us: by the edition, by a proxy, or for strangers.
    async fn refuses_queries(&self, error: &Error) -> Result<bool> {
        let refused = match error.kind() {
            ErrorKind::Denied | ErrorKind::NotFound | ErrorKind::Unsupported | ErrorKind::Malformed => true,
            ErrorKind::Unauthorized => {
                let host = self.areas[0].client.host();
                self.credentials.api_credential(host).await.is_ok_and(|credential| credential.is_anonymous())
            }
            _ => false,
        };
        if refused && !self.catalog.swap(true, Ordering::Relaxed) {
            warn!(registry = self.host, %error, "Artifactory's queries are refused; lists come from the catalog, without digests and times");
        }
        Ok(refused)
    }

    fn asks_queries(&self) -> bool {
        !self.catalog.load(Ordering::Relaxed)
    }

    /// The images, by queries; `None` if there are none to ask.
    async fn by_query(&self) -> Result<Option<BoxStream<'_, Result<Repository>>>> {
        let sorts = self.sorts().await?;
        let mut pages = self.pages(self.held(sorts), None, Order::ByPath);
        let mut virtuals = self.virtuals(sorts).map(|at| (at, self.virtual_pages(at, None, Order::ByPath)));
        let first = match pages.next().await {
            Ok(Some(first)) => first,
            // Nothing but virtual ones: their first answer tells.
            Ok(None) => Vec::new(),
            Err(error) if self.refuses_queries(&error).await? => return Ok(None),
            Err(error) => return Err(error),
        };
        let mut names = BTreeSet::new();
        self.collect(&first, None, &mut names);
        while let Some(rows) = pages.next().await? {
            self.collect(&rows, None, &mut names);
        }
        for (at, mut pages) in virtuals.by_ref() {
            loop {
                match pages.next().await {
                    Ok(Some(rows)) => self.collect(&rows, Some(at), &mut names),
                    Ok(None) => break,
                    Err(error) if self.refuses_queries(&error).await? => return Ok(None),
                    Err(error) => return Err(error),
                }
            }
        }
        for (area, sort) in self.areas.iter().zip(sorts) {
            if *sort == Sort::Unlisted && !names.iter().any(|name| area.prefix.image(name).is_some()) {
                return Err(areas::unknown(&area.key));
            }
        }
        Ok(Some(stream::iter(names.into_iter().map(Ok)).boxed()))
    }

    /// The names of the images of `rows`; of those stored under any key, or seen through the virtual one at `through`.
    fn collect(&self, rows: &[Row], through: Option<usize>, names: &mut BTreeSet<Repository>) {
        for row in rows {
            if let Some((repository, _)) = self.place(row, through) {
                names.insert(repository);
            }
        }
    }

    /// The repository and the tag of a row.
    fn place(&self, row: &Row, through: Option<usize>) -> Option<(Repository, Tag)> {
        let (image, tag) = row.tag()?;
        let at = through.or_else(|| self.holder(&row.repo))?;
        let tag = Tag { digest: row.digest(), pushed_at: row.time(), ..Tag::from(listed_tag(tag)?) };
        Some((self.areas[at].prefix.name(image)?, tag))
    }

    fn holder(&self, stored: &str) -> Option<usize> {
        let sorts = self.sorts.get()?;
        self.areas
            .iter()
            .zip(sorts)
            .position(|(area, sort)| *sort != Sort::Virtual && sort.stored_as(&area.key) == stored)
    }

    /// Where the images of all keys but the virtual ones are.
    fn held(&self, sorts: &[Sort]) -> Vec<String> {
        let held = self.areas.iter().zip(sorts).filter(|(_, sort)| **sort != Sort::Virtual);
        held.map(|(area, sort)| sort.stored_as(&area.key)).collect()
    }

    fn virtuals<'a>(&'a self, sorts: &'a [Sort]) -> impl Iterator<Item = usize> + 'a {
        (0..self.areas.len()).filter(|at| sorts[*at] == Sort::Virtual)
    }

    fn virtual_pages(&self, at: usize, image: Option<&Repository>, order: Order) -> Pages<'_> {
        self.pages(vec![self.areas[at].key.to_string()], image, order)
    }

    fn by_catalog(&self) -> BoxStream<'_, Result<Repository>> {
        stream::iter(&self.areas)
            .then(async |area| {
                self.credentials.prove_at(&area.client).await?;
                Ok::<_, Error>(area.client.catalog().try_filter_map(async |image| Ok(area.prefix.name(image.as_str()))))
            })
            .try_flatten()
            .boxed()
    }

    /// The tags of an image; `None` if queries are refused.
    async fn tags_by_query(&self, at: usize, image: &Repository) -> Result<Option<Vec<Tag>>> {
        let area = &self.areas[at];
        let sort = self.sorts().await?[at];
        let through = (sort == Sort::Virtual).then_some(at);
        let mut pages = self.pages(vec![sort.stored_as(&area.key)], Some(image), Order::ByPath);
        let mut tags: BTreeMap<_, Tag> = BTreeMap::new();
        loop {
            let rows = match pages.next().await {
                Ok(Some(rows)) => rows,
                Ok(None) => break,
                Err(error) if self.refuses_queries(&error).await? => return Ok(None),
                Err(error) => return Err(error),
            };
            for row in rows.iter().filter(|row| row.tag().is_some_and(|(name, _)| name == image.as_str())) {
                let Some((_, tag)) = self.place(row, through) else { continue };
                let known = tags.entry(tag.name.clone()).or_insert_with(|| tag.clone());
                // An image and an index under one tag, or one tag in two repositories behind a virtual one: which it
                // is, only resolving it tells.
                if known.digest != tag.digest {
                    known.digest = None;
                }
                known.pushed_at = known.pushed_at.max(tag.pushed_at);
            }
            if tags.len() > TAGS {
                return Err(Error::new(ErrorKind::LimitExceeded, format!("more than {TAGS}")));
            }
        }
        Ok(Some(tags.into_values().collect()))
    }

    async fn list_tags(&self, repository: Repository) -> Result<BoxStream<'_, Result<Tag>>> {
        let (at, image) = self.find(&repository)?;
        if self.asks_queries()
            && let Some(tags) = self.tags_by_query(at, &image).await?
        {
            if tags.is_empty() {
                return Err(Error::new(ErrorKind::NotFound, "there is no manifest in it"));
            }
            return Ok(stream::iter(tags.into_iter().map(Ok)).boxed());
        }
        let (area, image) = self.reader(&repository).await?;
        Ok(area.client.tags(&image).map_ok(Tag::from).boxed())
    }

    async fn newest(&self, since: Option<Timestamp>) -> Result<BoxStream<'_, Result<(Repository, Tag)>>> {
        let sorts = self.sorts().await?;
        let order = Order::NewestFirst(since);
        let mut all = vec![(None, self.pages(self.held(sorts), None, order.clone()))];
        all.extend(self.virtuals(sorts).map(|at| (Some(at), self.virtual_pages(at, None, order.clone()))));
        let each = all.into_iter().map(move |(through, pages)| {
            stream::try_unfold(pages, move |mut pages| async move {
                Ok::<_, Error>(pages.next().await?.map(|rows| (rows, pages)))
            })
            .map_ok(move |rows| {
                let mut found: Vec<_> = rows.iter().filter_map(|row| self.place(row, through)).collect();
                if through.is_some() {
                    // Whether this is the copy that the virtual one shows, only resolving it tells.
                    found.iter_mut().for_each(|(_, tag)| tag.digest = None);
                }
                stream::iter(found.into_iter().map(Ok))
            })
            .try_flatten()
            .boxed()
        });
        Ok(stream::iter(each.collect::<Vec<_>>()).flatten().boxed())
    }
}

#[async_trait]
impl Registry for ArtifactoryRegistry {
    fn host(&self) -> &str {
        &self.host
    }

    /// Of several repository keys the first one's: all are at one address, and take the same credentials.
    fn distribution(&self) -> Option<&DistributionClient> {
        self.areas.first().map(|area| &area.client)
    }

    fn capabilities(&self) -> Capabilities {
        let queries = self.asks_queries();
        Capabilities {
            repositories: match queries {
                _ if !self.repositories.is_empty() => Listing::Configured,
                true => Listing::Complete,
                false => Listing::Catalog,
            },
            tag_digests: queries,
            tag_times: queries,
            push_referrers: true,
            local: false,
            sparse: false,
        }
    }

    async fn check(&self) -> Result<()> {
        self.sorts().await?;
        for area in &self.areas {
            area.client.check().await?;
        }
        Ok(())
    }

    fn repositories(&self) -> BoxStream<'_, Result<Repository>> {
        let listed = if self.repositories.is_empty() {
            stream::once(async {
                let queried = if self.asks_queries() { self.by_query().await? } else { None };
                Ok::<_, Error>(queried.unwrap_or_else(|| self.by_catalog()))
            })
            .try_flatten()
            .map_err(|error| error.during(format_args!("list the repositories of {}", self.host)))
            .boxed()
        } else {
            stream::iter(self.repositories.clone().into_iter().map(Ok)).boxed()
        };
        listed.try_filter(|repository| std::future::ready(self.filter.admits(&self.host, repository))).boxed()
    }

    fn tags(&self, repository: &Repository) -> BoxStream<'_, Result<Tag>> {
        let about = format!("list the tags of {}/{repository}", self.host);
        stream::once(self.list_tags(repository.clone()))
            .try_flatten()
            .map_err(move |error| error.during(&about))
            .boxed()
    }

    fn tags_since(&self, since: Option<Timestamp>) -> Option<BoxStream<'_, Result<(Repository, Tag)>>> {
        if !self.asks_queries() {
            return None;
        }
        let admitted = |(repository, _): &(Repository, Tag)| {
            let named = self.repositories.is_empty() || self.repositories.contains(repository);
            std::future::ready(named && self.filter.admits(&self.host, repository))
        };
        let listed = stream::once(self.newest(since)).try_flatten().try_filter(admitted).or_else(async |error| {
            // Whoever asks the next time gets the lists of repositories and tags.
            self.refuses_queries(&error).await?;
            Err(error)
        });
        Some(listed.map_err(|error| error.during(format_args!("list what is new in {}", self.host))).boxed())
    }

    async fn resolve(&self, repository: &Repository, target: &Target) -> Result<Descriptor> {
        let (area, image) = self.reader(repository).await?;
        area.client.resolve(&image, target).await
    }

    async fn manifest(&self, repository: &Repository, target: &Target) -> Result<ManifestDocument> {
        let (area, image) = self.reader(repository).await?;
        area.client.manifest(&image, target).await
    }

    async fn blob(&self, repository: &Repository, descriptor: &Descriptor, offset: u64) -> Result<Blob> {
        let (area, image) = self.reader(repository).await?;
        area.client.blob(&image, descriptor, offset).await
    }

    async fn blob_range(
        &self,
        repository: &Repository,
        descriptor: &Descriptor,
        range: Range<u64>,
    ) -> Result<Option<BoxStream<'static, Result<Bytes>>>> {
        let (area, image) = self.reader(repository).await?;
        area.client.blob_range(&image, descriptor, range).await
    }

    fn referrers(&self, repository: &Repository, digest: &Digest) -> BoxStream<'_, Result<Descriptor>> {
        let (repository, digest) = (repository.clone(), digest.clone());
        stream::once(async move {
            let (area, image) = self.reader(&repository).await?;
            Ok::<_, Error>(area.client.referrers(&image, &digest))
        })
        .try_flatten()
        .boxed()
    }

    async fn push_referrer(
        &self,
        repository: &Repository,
        subject: &Descriptor,
        referrer: &Referrer,
    ) -> Result<Descriptor> {
        let (area, image) = self.reader(repository).await?;
        area.client.push_referrer(&image, subject, referrer).await
    }
}
