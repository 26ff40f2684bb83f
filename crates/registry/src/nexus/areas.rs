//! The Nexus repositories that a registry shows.

use std::sync::Arc;

use tracing::debug;
use url::Url;

use super::{Layout, rest};
use crate::credential::CredentialProvider;
use crate::distribution::{DistributionClient, Links, Place, TransportConfig};
use crate::product::{ApiClient, Prefix};
use crate::{Error, ErrorKind, RegistryHost, RepositoryKey, Result};

/// One repository, and the protocol as Nexus serves it beside its API. That one is there for every repository, and
/// lists its names; what is in front of Nexus may not.
#[derive(Debug)]
pub(super) struct Area {
    pub(super) name: RepositoryKey,
    /// What the names of its images begin with.
    pub(super) prefix: Prefix,
    pub(super) client: DistributionClient,
}

/// What areas are made of.
#[derive(Debug)]
pub(super) struct Site {
    pub(super) host: RegistryHost,
    pub(super) api: Url,
    pub(super) layout: Layout,
    pub(super) credentials: Arc<dyn CredentialProvider>,
    pub(super) transport: TransportConfig,
    /// The names that were given.
    pub(super) names: Vec<RepositoryKey>,
}

impl Site {
    fn area(&self, name: &RepositoryKey) -> Result<Area> {
        let mut base = self.api.clone();
        base.set_path(&format!("{}/repository/{name}/v2/", self.api.path().trim_end_matches('/')));
        let (prefix, shown) = match self.layout {
            Layout::Path => (Prefix::of(name), format!("{}/{name}", self.host)),
            Layout::Port => (Prefix::default(), self.host.to_string()),
        };
        // Nexus up to 3.71 leaves /repository/NAME out of its links, and writes its own host behind a proxy.
        let place = Place { host: self.host.clone(), base, shown, links: Links::CursorOnly };
        let client = DistributionClient::at(place, Arc::clone(&self.credentials), &self.transport)?;
        Ok(Area { name: name.clone(), prefix, client })
    }

    /// The repositories. None if a connector serves one of several and nobody said which.
    pub(super) async fn areas(&self, api: &ApiClient) -> Result<Vec<Area>> {
        if !self.names.is_empty() {
            return self.names.iter().map(|name| self.area(name)).collect();
        }
        let listed = rest::repositories(api).await?;
        let registries: Vec<RepositoryKey> = listed
            .iter()
            .filter(|listed| listed.is_registry() && (self.layout == Layout::Port || !listed.is_group()))
            .filter_map(|listed| listed.name.parse().ok())
            .collect();
        match (self.layout, registries.as_slice()) {
            (Layout::Path, []) => Err(Error::new(ErrorKind::Denied, "Nexus shows no repository of the format docker")
                .with_hint(
                    "the user needs the privileges browse and read for the repository; or name it: repository=NAME",
                )),
            (Layout::Port, [one]) => Ok(vec![self.area(one)?]),
            (Layout::Port, several) => {
                debug!(repositories = several.len(), "which repository the connector serves is not known");
                Ok(Vec::new())
            }
            // Those whose images docker cannot name are not there for it.
            (Layout::Path, all) => {
                let named = all.iter().filter(|name| name.as_str().parse::<crate::Repository>().is_ok());
                named.map(|name| self.area(name)).collect()
            }
        }
    }
}
