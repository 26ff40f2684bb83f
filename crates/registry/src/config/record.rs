//! A registry's configuration.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use bytes::Bytes;
use url::Url;

use super::Filter;
use crate::distribution::TransportConfig;
use crate::error::Problem;
use crate::{RegistryHost, Repository};

/// A registry as a user names it. [`parse_registry`](crate::parse_registry) makes one of text.
#[derive(Clone, Debug)]
pub struct RegistryConfig {
    /// What product it is.
    pub kind: RegistryKind,
    /// Its host.
    pub host: RegistryHost,
    /// The product's own API, where it has one beside the distribution protocol.
    pub api: Option<Url>,
    /// Repositories to watch instead of all. For Artifactory: the repository key.
    pub repositories: Vec<Repository>,
    /// Which of the repositories to watch.
    pub filter: Filter,
    /// Local port for the product's webhooks.
    pub port: Option<u16>,
    /// Artifactory: repositories are sub-domains rather than the first part of the path.
    pub subdomain_mode: bool,
    /// A bundle of certificates to trust. Whoever reads files loads it into
    /// [`TransportConfig::ca_bundle`], or calls [`RegistryConfig::with_ca_bundle`].
    pub ca_file: Option<PathBuf>,
    /// How it is reached.
    pub transport: TransportConfig,
    /// The keys that only this product has ([`RegistryKind::keys`]), as they were written.
    pub options: BTreeMap<&'static str, String>,
}

impl RegistryConfig {
    /// The registry at `host`, all repositories, default transport. What product it is, its host tells, or nobody.
    pub fn new(host: RegistryHost) -> Self {
        Self {
            kind: RegistryKind::of(&host),
            host,
            api: None,
            repositories: Vec::new(),
            filter: Filter::default(),
            port: None,
            subdomain_mode: false,
            ca_file: None,
            transport: TransportConfig::default(),
            options: BTreeMap::new(),
        }
    }

    /// The same configuration with the contents of its `ca-file`, in PEM form.
    #[must_use]
    pub fn with_ca_bundle(mut self, pem: impl Into<Bytes>) -> Self {
        self.transport.ca_bundle = Some(pem.into());
        self
    }
}

/// What product a registry is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum RegistryKind {
    /// Anything that speaks the distribution protocol.
    #[default]
    Oci,
    /// JFrog Artifactory.
    Artifactory,
    /// Harbor.
    Harbor,
    /// Sonatype Nexus Repository.
    Nexus,
    /// Amazon Elastic Container Registry.
    Ecr,
    /// Azure Container Registry.
    Acr,
}

impl RegistryKind {
    /// All of them.
    pub const ALL: [Self; 6] = [Self::Oci, Self::Artifactory, Self::Harbor, Self::Nexus, Self::Ecr, Self::Acr];

    /// The word of the key `type`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Oci => "oci",
            Self::Artifactory => "artifactory",
            Self::Harbor => "harbor",
            Self::Nexus => "nexus",
            Self::Ecr => "ecr",
            Self::Acr => "acr",
        }
    }
}

impl RegistryKind {
    /// The product that a host's name tells, if its adapter is in this build.
    pub fn of(host: &RegistryHost) -> Self {
        if crate::ecr::is_ecr(host) { Self::Ecr } else { Self::Oci }
    }

    /// What is wrong with a product's own keys, by themselves and with its host.
    pub(crate) fn problems(
        self,
        host: Option<&RegistryHost>,
        options: &BTreeMap<&'static str, String>,
    ) -> Vec<Problem> {
        match self {
            Self::Ecr => crate::ecr::problems(host, options),
            _ => Vec::new(),
        }
    }

    /// The keys of a `--registry` string that only this product has; its adapter reads them.
    pub const fn keys(self) -> &'static [&'static str] {
        match self {
            Self::Oci => &[],
            Self::Artifactory => crate::artifactory::KEYS,
            Self::Harbor => crate::harbor::KEYS,
            Self::Nexus => crate::nexus::KEYS,
            Self::Ecr => crate::ecr::KEYS,
            Self::Acr => crate::acr::KEYS,
        }
    }

    /// The Cargo feature with the product's adapter; `None` if it is always there.
    pub const fn feature(self) -> Option<&'static str> {
        match self {
            Self::Oci => None,
            _ => Some(self.as_str()),
        }
    }
}

impl fmt::Display for RegistryKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
