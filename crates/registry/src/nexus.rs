//! Sonatype Nexus Repository.
//!
//! A Nexus has many repositories; those of the formats `docker` and `oci` are registries. Images are pulled where
//! docker pulls them, from a connector's port or by path. Lists come from `API/repository/NAME/v2/_catalog`, which is
//! there however docker comes in, and tags with digests and times from its search.

#[cfg(feature = "nexus")]
mod areas;
#[cfg(feature = "nexus")]
mod registry;
#[cfg(feature = "nexus")]
mod rest;

use std::sync::Arc;

use crate::credential::CredentialProvider;
use crate::error::Problem;
use crate::secret::printable;
use crate::{Registry, RegistryConfig, Repository, Result};

#[cfg(feature = "nexus")]
pub use registry::NexusRegistry;

/// The keys of `type=nexus`.
pub(crate) const KEYS: &[&str] = &["layout"];

/// What images are called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Layout {
    /// `nexus.example.com:8082/app`: a connector's port, or a sub-domain, which is one repository.
    Port,
    /// `nexus.example.com/docker-hosted/app`: path-based routing.
    Path,
}

impl Layout {
    fn of(config: &RegistryConfig) -> Result<Self, Problem> {
        match config.options.get("layout").map(String::as_str) {
            None | Some("port" | "subdomain") => Ok(Self::Port),
            Some("path") => Ok(Self::Path),
            Some(other) => Err(Problem {
                key: "layout".to_owned(),
                message: format!("{:?} is none of port, path, subdomain", printable(other, 40)),
            }),
        }
    }
}

/// The registry that `config` describes.
#[cfg(feature = "nexus")]
pub(crate) fn build(config: &RegistryConfig, credentials: Arc<dyn CredentialProvider>) -> Result<Arc<dyn Registry>> {
    Ok(Arc::new(NexusRegistry::new(config, credentials)?))
}

/// The registry that `config` describes.
#[cfg(not(feature = "nexus"))]
pub(crate) fn build(config: &RegistryConfig, _credentials: Arc<dyn CredentialProvider>) -> Result<Arc<dyn Registry>> {
    Err(crate::config::absent(config))
}

/// What is wrong with the keys of `config`.
pub(crate) fn problems(config: &RegistryConfig) -> Vec<Problem> {
    let layout = match Layout::of(config) {
        Ok(layout) => layout,
        Err(problem) => return vec![problem],
    };
    let odd = config.keys.iter().filter(|name| layout == Layout::Path && name.as_str().parse::<Repository>().is_err());
    odd.map(|name| Problem {
        key: "repository".to_owned(),
        message: format!("{name} cannot be a part of an image's name; in layout=path it is the first"),
    })
    .collect()
}
