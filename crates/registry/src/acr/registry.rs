//! The adapter.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use azure_core::credentials::TokenCredential;
use azure_core::http::HttpClient;
use azure_identity::Executor;
use bytes::Bytes;
use futures_util::stream::{self, BoxStream, StreamExt, TryStreamExt};
use supercargo_index::ManifestDocument;
use tokio::time::Instant;
use tracing::warn;
use url::Url;

use super::chain::{Chain, Surroundings};
use super::credentials::{AcrCredentials, NULL_USER};
use super::entra::EntraClient;
use super::hint::{self, Asked};
use super::host::{AcrHost, Cloud};
use super::list::{self, AcrManifest};
use super::options::AcrOptions;
use super::tool::Tool;
use crate::config::Filter;
use crate::credential::{Credential, CredentialProvider};
use crate::distribution::{DistributionClient, TransportConfig};
use crate::registry::{Capabilities, Listing, Referrer, Registry, Tag};
use crate::{Blob, Descriptor, Digest, Error, ErrorKind, RegistryHost, Repository, Result, Secret, Target};

/// How long a repository is listed by the protocol's own list after the registry's was refused. A right that is
/// given is taken up after that.
const REFUSED: Duration = Duration::from_secs(3600);

/// An Azure Container Registry.
///
/// ```
/// use supercargo_registry::{AcrOptions, AcrRegistry, AzureIdentity, Registry};
///
/// let registry = AcrRegistry::builder("contoso.azurecr.io".parse()?)
///     .with_options(AcrOptions { identity: AzureIdentity::Managed, ..AcrOptions::default() })
///     .with_repositories(["team/app".parse()?])
///     .build()?;
/// assert_eq!(registry.host(), "contoso.azurecr.io");
/// # Ok::<(), supercargo_registry::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct AcrRegistry {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    host: String,
    client: DistributionClient,
    credentials: Arc<AcrCredentials>,
    repositories: Vec<Repository>,
    filter: Filter,
    /// The registry's own lists are not there, for anybody.
    plain: AtomicBool,
    /// Repositories whose own list is not for us.
    refused: Mutex<HashMap<Repository, Instant>>,
}

impl AcrRegistry {
    /// Sets up the registry at `host`: `contoso.azurecr.io`, or the name of its custom domain.
    pub fn builder(host: RegistryHost) -> AcrRegistryBuilder {
        AcrRegistryBuilder {
            host,
            credentials: Arc::new(Credential::Anonymous),
            options: AcrOptions::default(),
            token_credential: None,
            http_client: None,
            tools: Arc::new(Tool),
            transport: TransportConfig::default(),
            repositories: Vec::new(),
            filter: Filter::default(),
        }
    }

    /// The client, for what the trait does not cover.
    pub fn client(&self) -> &DistributionClient {
        &self.inner.client
    }

    /// The manifests of a repository, tagged or not, the one that changed last first.
    pub fn manifests(&self, repository: &Repository) -> BoxStream<'static, Result<AcrManifest>> {
        let this = self.clone();
        let about = format!("list the manifests of {}/{repository}", self.inner.host);
        list::manifests(&self.inner.client, repository)
            .map_err(move |error| this.hinted(error, Asked::Tags).during(&about))
            .boxed()
    }

    fn hinted(&self, error: Error, asked: Asked) -> Error {
        hint::of(error, asked, &self.inner.credentials.signed_in())
    }

    /// A refresh token that is refused may have been taken back since it was bought: it is bought anew, once.
    async fn log_in(&self, token: Secret) -> Result<()> {
        let Inner { client, credentials, .. } = &*self.inner;
        let log_in = |token: Secret| async move {
            client.log_in("/oauth2/token", credentials.service(), NULL_USER, &token).await
        };
        let refused = match log_in(token.clone()).await {
            Err(error) if error.kind() == ErrorKind::Unauthorized => error,
            done => return done,
        };
        credentials.renew(client.host()).await?;
        match credentials.credential(client.host()).await? {
            Credential::Identity { token: renewed } if renewed != token => log_in(renewed).await,
            _ => Err(refused),
        }
    }

    /// Whether the repository is listed by the protocol's own list.
    fn is_plain(&self, repository: &Repository) -> bool {
        let recent = |since: &Instant| since.elapsed() < REFUSED;
        self.inner.plain.load(Ordering::Relaxed) || self.inner.refused().get(repository).is_some_and(recent)
    }

    /// Takes down that a repository's own list was refused, and the protocol's was not.
    fn note_refusal(&self, repository: &Repository, error: &Error) {
        if matches!(error.kind(), ErrorKind::Unauthorized | ErrorKind::Denied) {
            warn!(%repository, %error, "tags are listed without digests: metadata/read is missing");
            let mut refused = self.inner.refused();
            refused.retain(|_, since| since.elapsed() < REFUSED);
            refused.insert(repository.clone(), Instant::now());
        } else {
            warn!(%error, "tags are listed without digests: the registry has no lists of its own here");
            self.inner.plain.store(true, Ordering::Relaxed);
        }
    }
}

impl Inner {
    fn refused(&self) -> MutexGuard<'_, HashMap<Repository, Instant>> {
        self.refused.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn has_details(&self) -> bool {
        !self.plain.load(Ordering::Relaxed) && self.refused().is_empty()
    }
}

#[async_trait]
impl Registry for AcrRegistry {
    fn host(&self) -> &str {
        &self.inner.host
    }

    fn distribution(&self) -> Option<&DistributionClient> {
        Some(&self.inner.client)
    }

    fn capabilities(&self) -> Capabilities {
        let details = self.inner.has_details();
        Capabilities {
            repositories: if self.inner.repositories.is_empty() { Listing::Catalog } else { Listing::Configured },
            tag_digests: details,
            tag_times: details,
            push_referrers: true,
            local: false,
            sparse: false,
        }
    }

    fn lists_newest_first(&self) -> bool {
        self.inner.has_details()
    }

    async fn check(&self) -> Result<()> {
        let Inner { host, client, credentials, .. } = &*self.inner;
        let about = |error: Error| error.during(format_args!("check {host}"));
        let checked = match credentials.credential(client.host()).await.map_err(about)? {
            Credential::Identity { token } => self.log_in(token).await.map_err(about),
            _ => client.check().await,
        };
        checked.map_err(|error| self.hinted(error, Asked::SignIn))
    }

    fn repositories(&self) -> BoxStream<'_, Result<Repository>> {
        let Inner { host, client, repositories, filter, .. } = &*self.inner;
        let admitted = |repository: &Repository| std::future::ready(filter.admits(host, repository));
        if !repositories.is_empty() {
            return stream::iter(repositories.clone().into_iter().map(Ok)).try_filter(admitted).boxed();
        }
        let plain = client.clone();
        let listed = list::or_else(list::repositories(client), move || plain.catalog(), |_| {});
        let about = move |error: Error| {
            self.hinted(error, Asked::Catalog).during(format_args!("list the repositories of {host}"))
        };
        // An empty catalog is told from an empty registry by nothing: passed on as a list, it would say that all
        // repositories are gone.
        let state = (listed, false);
        stream::try_unfold(state, |(mut listed, any)| async move {
            match listed.try_next().await {
                Ok(None) if !any => Err(None),
                Ok(next) => Ok(next.map(|repository| (repository, (listed, true)))),
                Err(error) => Err(Some(error)),
            }
        })
        .map_err(move |error: Option<Error>| error.map_or_else(|| hint::empty_catalog(host), about))
        .try_filter(admitted)
        .boxed()
    }

    fn tags(&self, repository: &Repository) -> BoxStream<'_, Result<Tag>> {
        let Inner { host, client, .. } = &*self.inner;
        let plain = {
            let (client, repository) = (client.clone(), repository.clone());
            move || client.tags(&repository).map_ok(Tag::from).boxed()
        };
        let listed = if self.is_plain(repository) {
            plain()
        } else {
            let (this, of) = (self.clone(), repository.clone());
            list::or_else(list::tags(client, repository), plain, move |error| this.note_refusal(&of, error))
        };
        let about = format!("list the tags of {host}/{repository}");
        listed
            .map_err(move |error| {
                let told = error.to_string().starts_with(&about);
                let error = self.hinted(error, Asked::Tags);
                if told { error } else { error.during(&about) }
            })
            .boxed()
    }

    async fn resolve(&self, repository: &Repository, target: &Target) -> Result<Descriptor> {
        self.inner.client.resolve(repository, target).await.map_err(|error| self.hinted(error, Asked::Read))
    }

    async fn manifest(&self, repository: &Repository, target: &Target) -> Result<ManifestDocument> {
        self.inner.client.manifest(repository, target).await.map_err(|error| self.hinted(error, Asked::Read))
    }

    async fn blob(&self, repository: &Repository, descriptor: &Descriptor, offset: u64) -> Result<Blob> {
        self.inner.client.blob(repository, descriptor, offset).await.map_err(|error| self.hinted(error, Asked::Read))
    }

    async fn blob_range(
        &self,
        repository: &Repository,
        descriptor: &Descriptor,
        range: Range<u64>,
    ) -> Result<Option<BoxStream<'static, Result<Bytes>>>> {
        let part = self.inner.client.blob_range(repository, descriptor, range).await;
        part.map_err(|error| self.hinted(error, Asked::Read))
    }

    fn referrers(&self, repository: &Repository, digest: &Digest) -> BoxStream<'_, Result<Descriptor>> {
        let listed = self.inner.client.referrers(repository, digest);
        listed.map_err(|error| self.hinted(error, Asked::Read)).boxed()
    }

    async fn push_referrer(
        &self,
        repository: &Repository,
        subject: &Descriptor,
        referrer: &Referrer,
    ) -> Result<Descriptor> {
        let pushed = self.inner.client.push_referrer(repository, subject, referrer).await;
        pushed.map_err(|error| self.hinted(error, Asked::Write))
    }
}

/// Sets up an [`AcrRegistry`].
#[derive(Clone, Debug)]
#[must_use]
pub struct AcrRegistryBuilder {
    host: RegistryHost,
    credentials: Arc<dyn CredentialProvider>,
    options: AcrOptions,
    token_credential: Option<Arc<dyn TokenCredential>>,
    http_client: Option<Arc<dyn HttpClient>>,
    tools: Arc<dyn Executor>,
    transport: TransportConfig,
    repositories: Vec<Repository>,
    filter: Filter,
}

impl AcrRegistryBuilder {
    /// Credentials for the registry itself: the name and the password of a token, or what docker's configuration
    /// has. They come before any identity, unless [`AcrOptions::identity`] names one.
    pub fn with_credentials(mut self, credentials: Arc<dyn CredentialProvider>) -> Self {
        self.credentials = credentials;
        self
    }

    /// How to sign in with Microsoft Entra.
    pub fn with_options(mut self, options: AcrOptions) -> Self {
        self.options = options;
        self
    }

    /// A credential of Azure's library, instead of those that supercargo would look for.
    pub fn with_token_credential(mut self, credential: Arc<dyn TokenCredential>) -> Self {
        self.token_credential = Some(credential);
        self
    }

    /// The client that asks Microsoft Entra and the metadata service, instead of supercargo's own. It is never handed
    /// what goes to the registry.
    pub fn with_http_client(mut self, client: Arc<dyn HttpClient>) -> Self {
        self.http_client = Some(client);
        self
    }

    /// What runs the developer tools, instead of a shell of this machine.
    pub fn with_tool_runner(mut self, tools: Arc<dyn Executor>) -> Self {
        self.tools = tools;
        self
    }

    /// How the registry is reached.
    pub fn with_transport(mut self, transport: TransportConfig) -> Self {
        self.transport = transport;
        self
    }

    /// These repositories instead of the catalog.
    pub fn with_repositories(mut self, repositories: impl IntoIterator<Item = Repository>) -> Self {
        self.repositories = repositories.into_iter().collect();
        self
    }

    /// Fewer repositories in the list.
    pub fn with_filter(mut self, filter: Filter) -> Self {
        self.filter = filter;
        self
    }

    /// The registry. Nothing is sent yet.
    ///
    /// # Errors
    /// [`Configuration`](ErrorKind::Configuration) with all that the identity lacks, or if the transport cannot be
    /// set up as asked.
    pub fn build(self) -> Result<AcrRegistry> {
        let Self {
            host,
            credentials,
            options,
            token_credential,
            http_client,
            tools,
            mut transport,
            repositories,
            filter,
        } = self;
        let missing = if token_credential.is_some() { Vec::new() } else { options.missing() };
        if !missing.is_empty() {
            return Err(Error::from_problems(missing));
        }
        let name = host.to_string();
        let acr = AcrHost::of(&host);
        let cloud = acr.as_ref().map_or(Cloud::Public, |acr| acr.cloud);
        if let Some(acr) = &acr {
            // A regional endpoint sends to the token service of the registry itself.
            transport.token_hosts.push(acr.login_server());
            transport.redirect_hosts.push(acr.data_endpoints());
        }
        let service = acr.as_ref().map_or_else(|| name.clone(), AcrHost::login_server);
        let client = match http_client {
            Some(client) => client,
            None => Arc::new(EntraClient::new(&transport)?),
        };
        let authority = match &options.authority {
            Some(authority) => authority.clone(),
            None => Url::parse(cloud.authority()).expect("a constant address"),
        };
        let audience = options.audience.clone().unwrap_or_else(|| cloud.audience().to_owned());
        let surroundings = Surroundings { client, tools, authority, retry: transport.retry };
        let chain = Chain::new(&options, token_credential, &audience, surroundings);
        let exchange = DistributionClient::new(host.clone(), Arc::new(Credential::Anonymous), &transport)?;
        let credentials =
            Arc::new(AcrCredentials::new(credentials, options.identity, chain, options.tenant, service, exchange));
        let provider: Arc<dyn CredentialProvider> = Arc::clone(&credentials) as _;
        let client = DistributionClient::new(host, provider, &transport)?;
        let inner = Inner {
            host: name,
            client,
            credentials,
            repositories,
            filter,
            plain: AtomicBool::new(false),
            refused: Mutex::default(),
        };
        Ok(AcrRegistry { inner: Arc::new(inner) })
    }
}
