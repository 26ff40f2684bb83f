//! The adapter.

use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use bytes::Bytes;
use futures_util::stream::{self, BoxStream, StreamExt, TryStreamExt};
use oci_spec::image::{Descriptor, Digest};
use supercargo_index::ManifestDocument;

use super::api::Storage;
use super::error::allow;
use super::http::SdkHttp;
use super::options::{EcrOptions, Place};
use super::session::{Access, DockerOf, Session};
use crate::config::Filter;
use crate::credential::CredentialProvider;
use crate::distribution::{DistributionClient, SignIn, TransportConfig};
use crate::registry::{Capabilities, Listing, Referrer, Registry, Tag};
use crate::{Blob, Credential, Error, ErrorKind, RegistryHost, Repository, Result, Target};

/// A registry of Amazon ECR: one account's in one region, or ECR Public.
///
/// A private registry is listed by the ECR API and read by the distribution protocol. Credentials are those that the
/// AWS SDK finds; nothing is looked for before the first call. Where it finds none and docker has some, those are
/// used, and lists come by the distribution protocol as well.
///
/// ```
/// use supercargo_registry::{EcrOptions, EcrRegistry, Registry};
///
/// let registry = EcrRegistry::builder("123456789012.dkr.ecr.eu-west-1.amazonaws.com".parse()?)
///     .with_options(EcrOptions {
///         role_arn: Some("arn:aws:iam::123456789012:role/supercargo".to_owned()),
///         external_id: Some("4711".to_owned()),
///         ..EcrOptions::default()
///     })
///     .build()?;
/// assert!(registry.capabilities().tag_digests);
/// # Ok::<(), supercargo_registry::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct EcrRegistry {
    host: String,
    client: DistributionClient,
    /// `None`: it is ECR Public.
    session: Option<Arc<Session>>,
    repositories: Vec<Repository>,
    filter: Filter,
}

/// Sets up an [`EcrRegistry`].
#[derive(Clone, Debug)]
pub struct EcrRegistryBuilder {
    host: RegistryHost,
    options: EcrOptions,
    transport: TransportConfig,
    repositories: Vec<Repository>,
    filter: Filter,
    aws: Option<SharedCredentialsProvider>,
    docker: Arc<dyn CredentialProvider>,
}

impl EcrRegistryBuilder {
    /// What the host does not say.
    #[must_use]
    pub fn with_options(mut self, options: EcrOptions) -> Self {
        self.options = options;
        self
    }

    /// How the registry and the services of AWS are reached.
    #[must_use]
    pub fn with_transport(mut self, transport: TransportConfig) -> Self {
        self.transport = transport;
        self
    }

    /// These repositories instead of all. ECR Public lists none.
    #[must_use]
    pub fn with_repositories(mut self, repositories: impl IntoIterator<Item = Repository>) -> Self {
        self.repositories = repositories.into_iter().collect();
        self
    }

    /// Fewer repositories in the list.
    #[must_use]
    pub fn with_filter(mut self, filter: Filter) -> Self {
        self.filter = filter;
        self
    }

    /// AWS credentials, instead of those that the SDK finds in the environment, in the AWS configuration files and on
    /// the machine. A role of the options is assumed with them.
    #[must_use]
    pub fn with_aws_credentials(mut self, credentials: impl ProvideCredentials + 'static) -> Self {
        self.aws = Some(SharedCredentialsProvider::new(credentials));
        self
    }

    /// Credentials for where AWS credentials are missing, and for ECR Public.
    #[must_use]
    pub fn with_docker_credentials(mut self, credentials: Arc<dyn CredentialProvider>) -> Self {
        self.docker = credentials;
        self
    }

    /// The registry. Nothing is sent yet.
    ///
    /// # Errors
    /// [`ErrorKind::Configuration`] if host and options do not fit each other, or the transport cannot be set up.
    pub fn build(self) -> Result<EcrRegistry> {
        let Self { host, options, mut transport, repositories, filter, aws, docker } = self;
        let place = options.place(&host).map_err(Error::from_problems)?;
        let address = match &options.v2_endpoint {
            Some(url) => {
                transport.plain_http = Some(url.scheme() == "http");
                url.authority().parse()?
            }
            None => host.clone(),
        };
        let name = host.to_string();
        let (session, credentials): (_, Arc<dyn CredentialProvider>) = match place {
            Place::Public => (None, Arc::new(DockerOf { host, docker })),
            Place::Private(place) => {
                // ECR asks for Basic and nothing else, so there is no need to be asked.
                transport.sign_in = SignIn::Basic;
                let http = SdkHttp::new(&transport)?;
                let session = Session::new(host, place, options, aws, http, transport.retry, docker);
                let session = Arc::new(session);
                (Some(Arc::clone(&session)), session)
            }
        };
        let client = DistributionClient::new(address, credentials, &transport)?;
        Ok(EcrRegistry { host: name, client, session, repositories, filter })
    }
}

impl EcrRegistry {
    /// Sets up the registry at `host`.
    pub fn builder(host: RegistryHost) -> EcrRegistryBuilder {
        EcrRegistryBuilder {
            host,
            options: EcrOptions::default(),
            transport: TransportConfig::default(),
            repositories: Vec::new(),
            filter: Filter::default(),
            aws: None,
            docker: Arc::new(Credential::Anonymous),
        }
    }

    /// The client of `/v2/`, for what the trait does not cover.
    pub fn client(&self) -> &DistributionClient {
        &self.client
    }

    async fn access(&self) -> Result<&Access> {
        match &self.session {
            Some(session) => session.access().await,
            None => Ok(&Access::Protocol),
        }
    }

    fn is_by_protocol(&self) -> bool {
        self.session.as_ref().is_none_or(|session| matches!(session.known(), Some(Access::Protocol)))
    }

    /// What `/v2/` does not find may be archived: it answers 404 for that, too (Amazon ECR User Guide, *Archiving an
    /// image*). Only an image that the API does not know is gone.
    async fn confirm(&self, error: Error, repository: &Repository, target: &Target) -> Error {
        if error.kind() != ErrorKind::NotFound {
            return self.explain(error, "ecr:BatchGetImage");
        }
        let name = format!("{}/{repository}{}{target}", self.host, target.separator());
        let storage = match self.access().await {
            Ok(Access::Protocol) => return error,
            Ok(Access::Api(api)) => api.storage(repository, target).await,
            Err(error) => Err(error),
        };
        match storage {
            Ok(None) => error,
            Ok(Some(Storage::Archived)) => {
                Error::new(ErrorKind::Unsupported, format!("read {name}: the image is archived")).with_hint(
                    "restore it in the console or with aws ecr update-image-storage-class; it takes up to 20 minutes",
                )
            }
            Ok(Some(Storage::Activating)) => {
                Error::new(ErrorKind::Unavailable, format!("read {name}: the image is being restored from the archive"))
            }
            Ok(Some(Storage::Active)) => {
                Error::new(ErrorKind::Unavailable, format!("read {name}: the ECR API knows it, and /v2/ has it not"))
            }
            // Without the API's word it may be archived.
            Err(cause) => cause.during(format_args!("{error}; ask whether it is archived")),
        }
    }

    /// The same error, with the action that is missing if one is.
    fn explain(&self, error: Error, action: &str) -> Error {
        let expired = error.to_string().to_ascii_lowercase().contains("expired");
        if error.kind() == ErrorKind::Denied && error.hint().is_none() && self.session.is_some() && !expired {
            return allow(error, action);
        }
        error
    }
}

#[async_trait]
impl Registry for EcrRegistry {
    fn host(&self) -> &str {
        &self.host
    }

    fn distribution(&self) -> Option<&DistributionClient> {
        Some(&self.client)
    }

    fn capabilities(&self) -> Capabilities {
        let by_protocol = self.is_by_protocol();
        Capabilities {
            repositories: match (&self.session, by_protocol) {
                _ if !self.repositories.is_empty() => Listing::Configured,
                (None, _) => Listing::Configured,
                (Some(_), true) => Listing::Catalog,
                (Some(_), false) => Listing::Complete,
            },
            tag_digests: !by_protocol,
            tag_times: !by_protocol,
            push_referrers: true,
            local: false,
            sparse: false,
        }
    }

    async fn check(&self) -> Result<()> {
        let step = |error: Error, step: &str| error.during(format_args!("check {}: {step}", self.host));
        if let Some(session) = &self.session {
            if let Access::Api(api) = session.access().await.map_err(|error| step(error, "sign in to AWS"))? {
                api.check(self.repositories.first()).await.map_err(|error| step(error, "list"))?;
            }
            let host = self.client.host();
            session.credential(host).await.map_err(|error| step(error, "get a token for /v2/"))?;
        }
        self.client.check().await
    }

    fn repositories(&self) -> BoxStream<'_, Result<Repository>> {
        if !self.repositories.is_empty() {
            let admitted = self.repositories.iter().filter(|repository| self.filter.admits(&self.host, repository));
            return stream::iter(admitted.cloned().map(Ok)).boxed();
        }
        let about = |error: Error| error.during(format_args!("list the repositories of {}", self.host));
        if self.session.is_none() {
            let error = Error::new(ErrorKind::Unsupported, "ECR Public has no list of repositories");
            let error = about(error).with_hint("name the repositories: repository=ALIAS/NAME");
            return stream::once(std::future::ready(Err(error))).boxed();
        }
        stream::once(async move {
            Ok(match self.access().await.map_err(about)? {
                Access::Api(api) => api.repositories().map_err(about).boxed(),
                Access::Protocol => self.client.catalog(),
            })
        })
        .try_flatten()
        .try_filter(|repository| std::future::ready(self.filter.admits(&self.host, repository)))
        .boxed()
    }

    fn tags(&self, repository: &Repository) -> BoxStream<'_, Result<Tag>> {
        let repository = repository.clone();
        stream::once(async move {
            let name = format!("{}/{repository}", self.host);
            let about = move |error: Error| error.during(format_args!("list the tags of {name}"));
            Ok(match self.access().await {
                Ok(Access::Api(api)) => api.tags(&repository).map_err(about).boxed(),
                Ok(Access::Protocol) => self.client.tags(&repository).map_ok(Tag::from).boxed(),
                Err(error) => return Err(about(error)),
            })
        })
        .try_flatten()
        .boxed()
    }

    async fn resolve(&self, repository: &Repository, target: &Target) -> Result<Descriptor> {
        match self.client.resolve(repository, target).await {
            Ok(descriptor) => Ok(descriptor),
            Err(error) => Err(self.confirm(error, repository, target).await),
        }
    }

    async fn manifest(&self, repository: &Repository, target: &Target) -> Result<ManifestDocument> {
        match self.client.manifest(repository, target).await {
            Ok(manifest) => Ok(manifest),
            Err(error) => Err(self.confirm(error, repository, target).await),
        }
    }

    async fn blob(&self, repository: &Repository, descriptor: &Descriptor, offset: u64) -> Result<Blob> {
        let opened = self.client.blob(repository, descriptor, offset).await;
        opened.map_err(|error| self.explain(error, "ecr:GetDownloadUrlForLayer"))
    }

    async fn blob_range(
        &self,
        repository: &Repository,
        descriptor: &Descriptor,
        range: Range<u64>,
    ) -> Result<Option<BoxStream<'static, Result<Bytes>>>> {
        let opened = self.client.blob_range(repository, descriptor, range).await;
        opened.map_err(|error| self.explain(error, "ecr:GetDownloadUrlForLayer"))
    }

    fn referrers(&self, repository: &Repository, digest: &Digest) -> BoxStream<'_, Result<Descriptor>> {
        self.client
            .referrers(repository, digest)
            .map_err(|error| self.explain(error, "ecr:BatchGetImage and ecr:ListImageReferrers"))
            .boxed()
    }

    async fn push_referrer(
        &self,
        repository: &Repository,
        subject: &Descriptor,
        referrer: &Referrer,
    ) -> Result<Descriptor> {
        let actions = "ecr:PutImage, ecr:BatchCheckLayerAvailability, ecr:InitiateLayerUpload, ecr:UploadLayerPart and \
                       ecr:CompleteLayerUpload";
        let pushed = self.client.push_referrer(repository, subject, referrer).await;
        pushed.map_err(|error| self.explain(error, actions))
    }
}
