//! Any registry that speaks the distribution protocol.

use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::{self, BoxStream, StreamExt, TryStreamExt};
use oci_spec::image::{Descriptor, Digest};
use supercargo_index::ManifestDocument;

use crate::config::Filter;
use crate::credential::CredentialProvider;
use crate::distribution::{DistributionClient, TransportConfig};
use crate::registry::{Capabilities, Listing, Referrer, Registry, Tag};
use crate::{Blob, RegistryHost, Repository, Result, Target};

/// A registry that speaks the OCI distribution protocol, or Docker's registry API v2 before it.
#[derive(Clone, Debug)]
pub struct OciRegistry {
    host: String,
    client: DistributionClient,
    repositories: Vec<Repository>,
    filter: Filter,
}

impl OciRegistry {
    /// The registry at `host`.
    ///
    /// # Errors
    /// [`Configuration`](crate::ErrorKind::Configuration) if the transport cannot be set up as asked.
    pub fn new(
        host: RegistryHost,
        credentials: Arc<dyn CredentialProvider>,
        transport: &TransportConfig,
    ) -> Result<Self> {
        let name = host.to_string();
        let client = DistributionClient::new(host, credentials, transport)?;
        Ok(Self { host: name, client, repositories: Vec::new(), filter: Filter::default() })
    }

    /// The same registry with these repositories instead of its catalog: Docker Hub, GitHub and scoped tokens
    /// have none.
    #[must_use]
    pub fn with_repositories(mut self, repositories: impl IntoIterator<Item = Repository>) -> Self {
        self.repositories = repositories.into_iter().collect();
        self
    }

    /// The same registry with fewer repositories in its list.
    #[must_use]
    pub fn with_filter(mut self, filter: Filter) -> Self {
        self.filter = filter;
        self
    }

    /// The client, for what the trait does not cover.
    pub fn client(&self) -> &DistributionClient {
        &self.client
    }
}

#[async_trait]
impl Registry for OciRegistry {
    fn host(&self) -> &str {
        &self.host
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            repositories: if self.repositories.is_empty() { Listing::Catalog } else { Listing::Configured },
            tag_digests: false,
            tag_times: false,
            push_referrers: true,
            local: false,
            sparse: false,
        }
    }

    async fn check(&self) -> Result<()> {
        self.client.check().await
    }

    fn repositories(&self) -> BoxStream<'_, Result<Repository>> {
        let listed = if self.repositories.is_empty() {
            self.client.catalog()
        } else {
            stream::iter(self.repositories.clone().into_iter().map(Ok)).boxed()
        };
        listed.try_filter(|repository| std::future::ready(self.filter.admits(&self.host, repository))).boxed()
    }

    fn tags(&self, repository: &Repository) -> BoxStream<'_, Result<Tag>> {
        self.client.tags(repository).map_ok(Tag::from).boxed()
    }

    async fn resolve(&self, repository: &Repository, target: &Target) -> Result<Descriptor> {
        self.client.resolve(repository, target).await
    }

    async fn manifest(&self, repository: &Repository, target: &Target) -> Result<ManifestDocument> {
        self.client.manifest(repository, target).await
    }

    async fn blob(&self, repository: &Repository, descriptor: &Descriptor, offset: u64) -> Result<Blob> {
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

    fn distribution(&self) -> Option<&DistributionClient> {
        Some(&self.client)
    }
}
