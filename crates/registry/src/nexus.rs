//! Sonatype Nexus Repository.

use std::sync::Arc;

use crate::credential::CredentialProvider;
use crate::{Registry, RegistryConfig, Result};

/// The keys of `type=nexus`.
pub(crate) const KEYS: &[&str] = &[];

/// The registry that `config` describes.
pub(crate) fn build(config: &RegistryConfig, _credentials: Arc<dyn CredentialProvider>) -> Result<Arc<dyn Registry>> {
    Err(crate::config::absent(config))
}
