//! JFrog Artifactory.
//!
//! An Artifactory holds many repositories, each with a key, and each docker repository is a registry of its own at
//! `API/api/docker/KEY/v2/`, whatever proxy is in front of it. So all requests go there. What images are *called* is
//! another matter: [`Layout`].

#[cfg(feature = "artifactory")]
mod aql;
#[cfg(feature = "artifactory")]
mod areas;
mod layout;
#[cfg(feature = "artifactory")]
mod registry;

use std::sync::Arc;

use crate::credential::CredentialProvider;
use crate::error::Problem;
use crate::{Registry, RegistryConfig, Result};

use layout::Layout;
#[cfg(feature = "artifactory")]
pub use registry::ArtifactoryRegistry;

/// The keys of `type=artifactory`.
pub(crate) const KEYS: &[&str] = &["layout"];

/// The registry that `config` describes.
#[cfg(feature = "artifactory")]
pub(crate) fn build(config: &RegistryConfig, credentials: Arc<dyn CredentialProvider>) -> Result<Arc<dyn Registry>> {
    Ok(Arc::new(ArtifactoryRegistry::new(config, credentials)?))
}

/// The registry that `config` describes.
#[cfg(not(feature = "artifactory"))]
pub(crate) fn build(config: &RegistryConfig, _credentials: Arc<dyn CredentialProvider>) -> Result<Arc<dyn Registry>> {
    Err(crate::config::absent(config))
}

/// What is wrong with the keys of `config`.
pub(crate) fn problems(config: &RegistryConfig) -> Vec<Problem> {
    match Layout::of(config) {
        Ok(layout) => layout.problems(config),
        Err(problem) => vec![problem],
    }
}

/// One configuration per host that images are named by.
pub(crate) fn registries(config: RegistryConfig) -> Vec<RegistryConfig> {
    if Layout::of(&config) != Ok(Layout::Subdomain) {
        return vec![config];
    }
    let hosts = config.keys.iter().filter_map(|key| Some((key, layout::subdomain(&config.host, key).ok()?)));
    hosts.map(|(key, host)| RegistryConfig { host, keys: vec![key.clone()], ..config.clone() }).collect()
}
