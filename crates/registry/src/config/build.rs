//! From a configuration to a registry.

use std::sync::Arc;

use super::{RegistryConfig, RegistryKind};
use crate::credential::CredentialProvider;
use crate::error::Problem;
use crate::{Error, ErrorKind, OciRegistry, Registry, Result};

/// The registry that `config` describes.
///
/// # Errors
/// [`ErrorKind::Configuration`] if the transport cannot be set up as asked, or `ca-file` was not loaded;
/// [`ErrorKind::Unsupported`] for products that have no adapter of their own yet.
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
    if config.kind != RegistryKind::Oci {
        return Err(Error::new(
            ErrorKind::Unsupported,
            format!("open {}: type={} is not yet supported", config.host, config.kind),
        )
        .with_hint(
            "leave type out, or use type=oci: the registry is then watched by the distribution protocol alone",
        ));
    }
    if config.ca_file.is_some() && config.transport.ca_bundle.is_none() {
        return Err(Error::from_problems(vec![Problem {
            key: "ca-file".to_owned(),
            message: "the file was not loaded".to_owned(),
        }]));
    }
    let registry = OciRegistry::new(config.host.clone(), credentials, &config.transport)?
        .with_repositories(config.repositories.iter().cloned())
        .with_filter(config.filter.clone());
    Ok(Arc::new(registry))
}
