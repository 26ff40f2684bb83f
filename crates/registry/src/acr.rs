//! Azure Container Registry.

#[cfg(feature = "acr")]
mod certificate;
#[cfg(feature = "acr")]
mod chain;
#[cfg(feature = "acr")]
mod credentials;
#[cfg(feature = "acr")]
mod entra;
#[cfg(feature = "acr")]
mod hint;
#[cfg_attr(not(feature = "acr"), expect(dead_code, reason = "what only the adapter reads of a host's name"))]
mod host;
#[cfg(feature = "acr")]
mod list;
#[cfg(feature = "acr")]
mod options;
#[cfg(feature = "acr")]
mod registry;
#[cfg(feature = "acr")]
mod tokens;
#[cfg(feature = "acr")]
mod tool;

use std::collections::BTreeMap;
use std::sync::Arc;

pub(crate) use host::AcrHost;
#[cfg(feature = "acr")]
pub use list::AcrManifest;
#[cfg(feature = "acr")]
pub use options::{AcrOptions, AzureIdentity};
#[cfg(feature = "acr")]
pub use registry::{AcrRegistry, AcrRegistryBuilder};
#[cfg(feature = "acr")]
pub use tokens::EntraTokens;

use crate::credential::CredentialProvider;
use crate::error::Problem;
use crate::{Registry, RegistryConfig, RegistryHost, Result};

/// The keys of `type=acr`.
pub(crate) const KEYS: &[&str] =
    &["identity", "tenant", "client-id", "secret-file", "certificate-file", "token-file", "audience", "authority"];

/// The environment variables that fill in what the keys leave open. They are those of Azure's own libraries.
pub(crate) const VARIABLES: &[&str] = &[
    "AZURE_TENANT_ID",
    "AZURE_CLIENT_ID",
    "AZURE_CLIENT_SECRET",
    "AZURE_CLIENT_CERTIFICATE_PATH",
    "AZURE_FEDERATED_TOKEN_FILE",
    "AZURE_AUTHORITY_HOST",
    "IDENTITY_ENDPOINT",
];

/// The registry that `config` describes.
#[cfg(feature = "acr")]
pub(crate) fn build(config: &RegistryConfig, credentials: Arc<dyn CredentialProvider>) -> Result<Arc<dyn Registry>> {
    let options = AcrOptions::read(&config.options).map_err(crate::Error::from_problems)?;
    let registry = AcrRegistry::builder(config.host.clone())
        .with_credentials(credentials)
        .with_options(options.with_variables(&config.variables))
        .with_transport(config.transport.clone())
        .with_repositories(config.repositories.iter().cloned())
        .with_filter(config.filter.clone())
        .build()?;
    Ok(Arc::new(registry))
}

/// The registry that `config` describes.
#[cfg(not(feature = "acr"))]
pub(crate) fn build(config: &RegistryConfig, _credentials: Arc<dyn CredentialProvider>) -> Result<Arc<dyn Registry>> {
    Err(crate::config::absent(config))
}

/// What is wrong with the values of [`KEYS`].
pub(crate) fn problems(options: &BTreeMap<&'static str, String>) -> Vec<Problem> {
    #[cfg(feature = "acr")]
    return AcrOptions::read(options).err().unwrap_or_default();
    #[cfg(not(feature = "acr"))]
    {
        let _ = options;
        Vec::new()
    }
}

/// Whether the host's name says that it is one of these registries, and this build has the adapter.
pub(crate) fn is_acr(host: &RegistryHost) -> bool {
    #[cfg(feature = "acr")]
    return AcrHost::of(host).is_some();
    #[cfg(not(feature = "acr"))]
    {
        let _ = host;
        false
    }
}
