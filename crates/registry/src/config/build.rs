//! From a configuration to a registry.

use std::sync::Arc;

use super::{RegistryConfig, RegistryKind};
use crate::credential::CredentialProvider;
use crate::{Error, OciRegistry, Registry, Result};

/// The registry that `config` describes.
///
/// # Errors
/// [`Configuration`](crate::ErrorKind::Configuration) if the transport cannot be set up as asked, or a file was not loaded
/// ([`RegistryConfig::load_files`]);
/// [`Unsupported`](crate::ErrorKind::Unsupported) for products whose adapter is not in this build ([`RegistryKind::feature`]).
///
/// ```
/// use std::sync::Arc;
/// use supercargo_registry::{Credential, build, parse_registry};
///
/// let config = parse_registry("registry.example.com")?;
/// let registry = build(&config, Arc::new(Credential::Anonymous))?;
/// assert_eq!(registry.host(), "registry.example.com");
/// # Ok::<(), supercargo_registry::Error>(())
/// ```
pub fn build(config: &RegistryConfig, credentials: Arc<dyn CredentialProvider>) -> Result<Arc<dyn Registry>> {
    let unloaded = config.unloaded();
    if !unloaded.is_empty() {
        return Err(Error::from_problems(unloaded));
    }
    match config.kind {
        RegistryKind::Oci => {
            let registry = OciRegistry::new(config.host.clone(), credentials, &config.transport)?
                .with_repositories(config.repositories.iter().cloned())
                .with_filter(config.filter.clone());
            Ok(Arc::new(registry))
        }
        RegistryKind::Artifactory => crate::artifactory::build(config, credentials),
        RegistryKind::Harbor => crate::harbor::build(config, credentials),
        RegistryKind::Nexus => crate::nexus::build(config, credentials),
        RegistryKind::Ecr => crate::ecr::build(config, credentials),
        RegistryKind::Acr => crate::acr::build(config, credentials),
    }
}

/// The answer of an adapter that this build does not have.
#[cfg(not(all(feature = "acr", feature = "artifactory", feature = "ecr", feature = "harbor", feature = "nexus")))]
pub(crate) fn absent(config: &RegistryConfig) -> Error {
    let kind = config.kind;
    Error::new(crate::ErrorKind::Unsupported, format!("open {}: type={kind} is not in this build", config.host)).with_hint(
        format!(
            "build with --features {kind}, or use type=oci: the registry is then watched by the distribution protocol alone"
        ),
    )
}
