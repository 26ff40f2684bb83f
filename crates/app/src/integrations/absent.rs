//! Integrations of registries whose adapter is not in this build. Whoever makes one here need not be able to use it: the
//! server has the adapter.

use std::sync::Arc;

use supercargo_engine::integration::{Connection, Connector, Credentials, event_sources, registry_settings};
use supercargo_engine::registry::{MemoryRegistry, RegistryKind, parse_registry};
use supercargo_engine::store::Integration;
use supercargo_engine::{Error, ErrorKind, Result, Watch};

use super::connector::MachineConnector;

/// Whether the adapter of a product is in this build.
pub(crate) const fn has_adapter(kind: RegistryKind) -> bool {
    match kind {
        RegistryKind::Oci => true,
        RegistryKind::Artifactory => cfg!(feature = "artifactory"),
        RegistryKind::Harbor => cfg!(feature = "harbor"),
        RegistryKind::Nexus => cfg!(feature = "nexus"),
        RegistryKind::Ecr => cfg!(feature = "ecr"),
        RegistryKind::Acr => cfg!(feature = "acr"),
    }
}

/// Connects what this build can connect. Of the rest it checks the settings as far as they can be, and hands out a
/// registry without anything in it.
#[derive(Debug)]
pub(super) struct Lenient {
    connector: MachineConnector,
}

impl Lenient {
    pub(super) fn new(connector: MachineConnector) -> Self {
        Self { connector }
    }

    fn can_connect(&self, integration: &Integration, credentials: &Credentials) -> bool {
        let known = RegistryKind::ALL.into_iter().find(|kind| kind.as_str() == integration.kind);
        // What is wrong with a queue is told wherever there are queues.
        let queue = self.connector.queue(integration, credentials).ok().flatten();
        known.is_none_or(has_adapter) && queue.is_none_or(|queue| queue.is_in_build())
    }
}

impl Connector for Lenient {
    fn connect(&self, integration: &Integration, credentials: &Credentials) -> Result<Connection> {
        if self.can_connect(integration, credentials) {
            return self.connector.connect(integration, credentials);
        }
        let config = parse_registry(&registry_settings(integration)).map_err(|error| {
            let told = format!("read the settings of {}: {error}", integration.name);
            Error::new(ErrorKind::Configuration, told)
        })?;
        let queue = self.connector.queue(integration, credentials).map_err(|problems| {
            let told = format!("read the settings of {}: {}", integration.name, problems.join("; "));
            Error::new(ErrorKind::Configuration, told)
        })?;
        let watch = Watch::new(Arc::new(MemoryRegistry::new(config.host.to_string())));
        let sources = event_sources(integration, credentials)?.into_iter().map(Arc::from).collect();
        let sources = if queue.is_some() { Vec::new() } else { sources };
        Ok(Connection { sources, ..Connection::new(watch) })
    }
}
