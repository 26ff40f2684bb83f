//! Harbor.
//!
//! Lists come from its API, which shows users and robots what they may read; the distribution protocol's catalog is for
//! administrators. Images are pulled as from any registry, with Harbor's own token service.

#[cfg(feature = "harbor")]
mod registry;

use std::sync::Arc;

use crate::credential::CredentialProvider;
use crate::error::Problem;
use crate::secret::printable;
use crate::{Registry, RegistryConfig, Repository, Result};

#[cfg(feature = "harbor")]
pub use registry::HarborRegistry;

/// The keys of `type=harbor`.
pub(crate) const KEYS: &[&str] = &["project"];

/// The registry that `config` describes.
#[cfg(feature = "harbor")]
pub(crate) fn build(config: &RegistryConfig, credentials: Arc<dyn CredentialProvider>) -> Result<Arc<dyn Registry>> {
    Ok(Arc::new(HarborRegistry::new(config, credentials)?))
}

/// The registry that `config` describes.
#[cfg(not(feature = "harbor"))]
pub(crate) fn build(config: &RegistryConfig, _credentials: Arc<dyn CredentialProvider>) -> Result<Arc<dyn Registry>> {
    Err(crate::config::absent(config))
}

/// What is wrong with the keys of `config`.
pub(crate) fn problems(config: &RegistryConfig) -> Vec<Problem> {
    let problem = |key: &str, message: String| Problem { key: key.to_owned(), message };
    let mut problems = Vec::new();
    for project in projects(config).filter(|name| name.contains('/') || name.parse::<Repository>().is_err()) {
        problems.push(problem("project", format!("{:?} is no name of a project", printable(project, 80))));
    }
    for repository in config.repositories.iter().filter(|repository| !repository.as_str().contains('/')) {
        problems.push(problem("repository", format!("{repository} has no project before it")));
    }
    problems
}

/// The projects that the key `project` names.
fn projects(config: &RegistryConfig) -> impl Iterator<Item = &str> {
    let named = config.options.get("project").map(String::as_str).unwrap_or_default();
    named.split(',').map(str::trim).filter(|name| !name.is_empty())
}
