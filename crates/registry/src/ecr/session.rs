//! The way to the ECR API: the SDK's configuration, its credentials, and the token for `/v2/`.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use aws_config::sts::AssumeRoleProvider;
use aws_config::{BehaviorVersion, SdkConfig};
use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_ecr::Client;
use aws_sdk_ecr::config::interceptors::InterceptorContext;
use aws_sdk_ecr::config::retry::{ClassifyRetry, RetryAction, RetryConfig};
use aws_sdk_ecr::config::{AppName, ProvideCredentials, Region, SharedCredentialsProvider};
use tokio::sync::OnceCell;
use tracing::info;
use url::Url;

use super::api::Api;
use super::error::{from_credentials, is_throttle};
use super::http::SdkHttp;
use super::options::{EcrOptions, PrivatePlace};
use super::token::HeldToken;
use crate::credential::{Credential, CredentialProvider};
use crate::{ErrorKind, RegistryHost, Result, Retry};

/// What the services of AWS see of this program: in the user agent, and as the session's name if the user gave none.
const NAME: &str = "supercargo";

/// Everything that is needed to sign in to a private registry, and what came of it.
pub(super) struct Session {
    pub(super) host: RegistryHost,
    pub(super) place: PrivatePlace,
    pub(super) options: EcrOptions,
    /// The embedder's own credentials instead of those of the environment.
    pub(super) given: Option<SharedCredentialsProvider>,
    pub(super) http: SdkHttp,
    pub(super) retry: Retry,
    pub(super) docker: Arc<dyn CredentialProvider>,
    access: OnceCell<Access>,
    token: HeldToken,
}

/// How the registry is read.
#[derive(Debug)]
pub(super) enum Access {
    /// By the ECR API.
    Api(Api),
    /// By the distribution protocol alone, with docker's credentials, for want of those of AWS.
    Protocol,
}

impl Session {
    pub(super) fn new(
        host: RegistryHost,
        place: PrivatePlace,
        options: EcrOptions,
        given: Option<SharedCredentialsProvider>,
        http: SdkHttp,
        retry: Retry,
        docker: Arc<dyn CredentialProvider>,
    ) -> Self {
        let (access, token) = Default::default();
        Self { host, place, options, given, http, retry, docker, access, token }
    }

    /// How the registry is read. Found out once, by the first who asks; a failure is not kept.
    ///
    /// # Errors
    /// [`ErrorKind::Credential`] if there are no credentials of any sort, or the role cannot be assumed.
    pub(super) async fn access(&self) -> Result<&Access> {
        self.access.get_or_try_init(|| self.open()).await
    }

    /// [`Session::access`] as far as it is known already.
    pub(super) fn known(&self) -> Option<&Access> {
        self.access.get()
    }

    async fn open(&self) -> Result<Access> {
        let config = self.load().await;
        let Some(credentials) = config.credentials_provider() else {
            return Err(from_credentials(&CredentialsError::not_loaded("the configuration has none")));
        };
        if let Err(error) = credentials.provide_credentials().await {
            if self.may_use_docker(&error).await? {
                info!(
                    registry = %self.host,
                    "no AWS credentials: signing in with docker's, and listing tags without digests and times"
                );
                return Ok(Access::Protocol);
            }
            return Err(from_credentials(&error));
        }
        let credentials = match &self.options.role_arn {
            Some(role) => self.assume(role, &config).await?,
            None => credentials,
        };
        let mut ecr = aws_sdk_ecr::config::Builder::from(&config)
            .credentials_provider(credentials)
            .retry_config(self.retry_config())
            .retry_classifier(Throttled);
        if let Some(endpoint) = self.options.endpoint.as_ref().map(Url::as_str).or(self.place.api.as_deref()) {
            // The SDK takes no address together with a sort of address.
            ecr = ecr.endpoint_url(endpoint).use_fips(false).use_dual_stack(false);
        }
        Ok(Access::Api(Api::new(Client::from_conf(ecr.build()), self.place.account.clone())))
    }

    /// The configuration: what the environment says, and what the host says.
    async fn load(&self) -> SdkConfig {
        let mut loader = aws_config::defaults(BehaviorVersion::latest())
            .region(Region::new(self.place.region.clone()))
            .app_name(AppName::new(NAME).expect("it is short and has no odd characters"))
            .http_client(self.http.clone());
        if let Some(credentials) = &self.given {
            loader = loader.credentials_provider(credentials.clone());
        }
        if let Some(profile) = &self.options.profile {
            loader = loader.profile_name(profile);
        }
        // A host of the other sort leaves to the environment what it says.
        if self.place.fips {
            loader = loader.use_fips(true);
        }
        if self.place.dual_stack {
            loader = loader.use_dual_stack(true);
        }
        loader.load().await
    }

    /// Whether docker's credentials can stand in. Only where AWS has none at all: broken ones are the user's to mend.
    async fn may_use_docker(&self, error: &CredentialsError) -> Result<bool> {
        if !matches!(error, CredentialsError::CredentialsNotLoaded(_))
            || self.options.role_arn.is_some()
            || self.options.profile.is_some()
        {
            return Ok(false);
        }
        Ok(!self.docker.credential(&self.host).await?.is_anonymous())
    }

    async fn assume(&self, role: &str, config: &SdkConfig) -> Result<SharedCredentialsProvider> {
        let mut sts = config.clone().into_builder().retry_config(self.retry_config());
        if let Some(endpoint) = &self.options.sts_endpoint {
            sts = sts.endpoint_url(endpoint.as_str()).use_fips(false).use_dual_stack(false);
        }
        let mut builder = AssumeRoleProvider::builder(role)
            .session_name(self.options.session_name.as_deref().unwrap_or(NAME))
            .configure(&sts.build());
        if let Some(id) = &self.options.external_id {
            builder = builder.external_id(id);
        }
        let provider = builder.build().await;
        provider.provide_credentials().await.map_err(|error| {
            let error = from_credentials(&error).during(format_args!("assume {role}"));
            match error.kind() {
                ErrorKind::Credential => error.with_hint(
                    "the role's trust policy must let this identity call sts:AssumeRole, and external-id must be the one \
                     that it asks for",
                ),
                _ => error,
            }
        })?;
        Ok(SharedCredentialsProvider::new(provider))
    }

    fn retry_config(&self) -> RetryConfig {
        // The SDK waits as the rest of the transport does; the adaptive mode also slows down before it is throttled.
        RetryConfig::adaptive()
            .with_max_attempts(self.retry.attempts.max(1))
            .with_initial_backoff(self.retry.base)
            .with_max_backoff(self.retry.cap)
    }
}

/// The credentials of `/v2/`. They are this registry's, under whatever address it is reached.
#[async_trait]
impl CredentialProvider for Session {
    async fn credential(&self, _host: &RegistryHost) -> Result<Credential> {
        match self.access().await? {
            Access::Api(api) => self.token.get(api.token()).await,
            Access::Protocol => self.docker.credential(&self.host).await,
        }
    }

    async fn renew(&self, _host: &RegistryHost) -> Result<()> {
        match self.known() {
            Some(Access::Api(_)) => self.token.refuse(),
            _ => self.docker.renew(&self.host).await?,
        }
        Ok(())
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("place", &self.place).field("options", &self.options).finish_non_exhaustive()
    }
}

/// Tries again what was throttled under a code that the SDK does not know.
#[derive(Debug)]
struct Throttled;

impl ClassifyRetry for Throttled {
    fn classify_retry(&self, context: &InterceptorContext) -> RetryAction {
        let body = context.response().and_then(|response| response.body().bytes()).unwrap_or_default();
        let code = serde_json::from_slice::<serde_json::Value>(body)
            .ok()
            .and_then(|body| Some(body.get("__type")?.as_str()?.rsplit('#').next()?.to_owned()));
        match code {
            Some(code) if is_throttle(&code) => RetryAction::throttling_error(),
            _ => RetryAction::NoActionIndicated,
        }
    }

    fn name(&self) -> &'static str {
        "ECR's ThrottleException"
    }
}

/// Docker's credentials for ECR Public, under whatever address it is reached.
#[derive(Debug)]
pub(super) struct DockerOf {
    pub(super) host: RegistryHost,
    pub(super) docker: Arc<dyn CredentialProvider>,
}

#[async_trait]
impl CredentialProvider for DockerOf {
    async fn credential(&self, _host: &RegistryHost) -> Result<Credential> {
        self.docker.credential(&self.host).await
    }

    async fn renew(&self, _host: &RegistryHost) -> Result<()> {
        self.docker.renew(&self.host).await
    }
}
