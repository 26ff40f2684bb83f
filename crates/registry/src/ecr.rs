//! Amazon Elastic Container Registry.
//!
//! What there is, is listed by the ECR API: one request tells up to 1000 images with their tags, digests and times.
//! Manifests and layers come by the distribution protocol, with a token that the ECR API gives out.

#[cfg(feature = "ecr")]
mod api;
#[cfg(feature = "ecr")]
mod error;
mod host;
#[cfg(feature = "ecr")]
mod http;
#[cfg(feature = "ecr")]
mod options;
#[cfg(feature = "ecr")]
mod registry;
#[cfg(feature = "ecr")]
mod session;
#[cfg(feature = "ecr")]
mod token;

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::credential::CredentialProvider;
use crate::error::Problem;
use crate::{Registry, RegistryConfig, RegistryHost, Result};

pub(crate) use host::EcrHost;
#[cfg(feature = "ecr")]
pub use options::EcrOptions;
#[cfg(feature = "ecr")]
pub use registry::{EcrRegistry, EcrRegistryBuilder};

/// The keys of `type=ecr`.
pub(crate) const KEYS: &[&str] = &[
    "region",
    "account",
    "profile",
    "role-arn",
    "external-id",
    "session-name",
    "endpoint",
    "sts-endpoint",
    "v2-endpoint",
];

/// Whether `host` is Amazon ECR by its name, private or public. Never without the adapter.
#[cfg(feature = "ecr")]
pub(crate) fn is_ecr(host: &RegistryHost) -> bool {
    EcrHost::of(host).is_some()
}

/// Whether `host` is Amazon ECR by its name, private or public. Never without the adapter.
#[cfg(not(feature = "ecr"))]
pub(crate) fn is_ecr(_host: &RegistryHost) -> bool {
    false
}

/// The registry that `config` describes. `credentials` are docker's: they serve where AWS credentials are missing,
/// and for ECR Public.
#[cfg(feature = "ecr")]
pub(crate) fn build(config: &RegistryConfig, credentials: Arc<dyn CredentialProvider>) -> Result<Arc<dyn Registry>> {
    let options = EcrOptions::read(&config.options).map_err(crate::Error::from_problems)?;
    let registry = EcrRegistry::builder(config.host.clone())
        .with_options(options)
        .with_transport(config.transport.clone())
        .with_repositories(config.repositories.iter().cloned())
        .with_filter(config.filter.clone())
        .with_docker_credentials(credentials)
        .build()?;
    Ok(Arc::new(registry))
}

/// The registry that `config` describes.
#[cfg(not(feature = "ecr"))]
pub(crate) fn build(config: &RegistryConfig, _credentials: Arc<dyn CredentialProvider>) -> Result<Arc<dyn Registry>> {
    Err(crate::config::absent(config))
}

/// What is wrong with the options of a registry at `host`.
#[cfg(feature = "ecr")]
pub(crate) fn problems(host: Option<&RegistryHost>, options: &BTreeMap<&'static str, String>) -> Vec<Problem> {
    EcrOptions::problems(options, host)
}

/// What is wrong with the options of a registry at `host`. Nobody reads them without the adapter.
#[cfg(not(feature = "ecr"))]
pub(crate) fn problems(_host: Option<&RegistryHost>, _options: &BTreeMap<&'static str, String>) -> Vec<Problem> {
    Vec::new()
}
