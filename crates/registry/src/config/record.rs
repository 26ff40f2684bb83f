//! A registry's configuration.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use bytes::Bytes;
use url::Url;

use super::Filter;
use crate::distribution::TransportConfig;
use crate::error::Problem;
use crate::{RegistryHost, Repository, RepositoryKey, Secret};

/// A registry as a user names it. [`parse_registry`](crate::parse_registry) makes one of text.
#[derive(Clone, Debug)]
pub struct RegistryConfig {
    /// What product it is.
    pub kind: RegistryKind,
    /// Its host.
    pub host: RegistryHost,
    /// The product's own API, where it has one beside the distribution protocol.
    pub api: Option<Url>,
    /// Repositories to watch instead of all.
    pub repositories: Vec<Repository>,
    /// Artifactory: the repository keys. Nexus: the names of its repositories. The key `repository` names them there.
    pub keys: Vec<RepositoryKey>,
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
    /// Environment variables that fill in what the keys leave open ([`RegistryKind::variables`]). Whoever reads the
    /// environment hands them over: [`RegistryConfig::take_variables`].
    pub variables: BTreeMap<String, Secret>,
}

impl RegistryConfig {
    /// The registry at `host`, all repositories, default transport. What product it is, its host tells, or nobody.
    pub fn new(host: RegistryHost) -> Self {
        Self {
            kind: RegistryKind::of(&host),
            host,
            api: None,
            repositories: Vec::new(),
            keys: Vec::new(),
            filter: Filter::default(),
            port: None,
            subdomain_mode: false,
            ca_file: None,
            transport: TransportConfig::default(),
            options: BTreeMap::new(),
            variables: BTreeMap::new(),
        }
    }

    /// Looks up the environment variables that this product's adapter knows.
    pub fn take_variables(&mut self, look_up: impl Fn(&str) -> Option<String>) {
        let known = self.kind.variables().iter();
        self.variables = known.filter_map(|name| Some(((*name).to_owned(), look_up(name)?.into()))).collect();
    }

    /// The same configuration with the contents of its `ca-file`, in PEM form.
    #[must_use]
    pub fn with_ca_bundle(mut self, pem: impl Into<Bytes>) -> Self {
        self.transport.ca_bundle = Some(pem.into());
        self
    }

    /// The registries that this is: one, or as many as there are repository keys where each key is a host of its own
    /// (Artifactory's sub-domains). [`host`](Self::host) of each is the name under which its images are known.
    ///
    /// ```
    /// use supercargo_registry::parse_registry;
    ///
    /// let config = parse_registry(
    ///     "type=artifactory,registry=example.com,api=https://example.com/artifactory,\
    ///      subdomain-mode=true,\"repository=docker-local,docker-remote\"",
    /// )?;
    /// let hosts: Vec<String> = config.registries().iter().map(|config| config.host.to_string()).collect();
    /// assert_eq!(hosts, ["docker-local.example.com", "docker-remote.example.com"]);
    /// # Ok::<(), supercargo_registry::Error>(())
    /// ```
    #[must_use]
    pub fn registries(self) -> Vec<Self> {
        match self.kind {
            RegistryKind::Artifactory => crate::artifactory::registries(self),
            _ => vec![self],
        }
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

    /// The environment variables that this product's adapter knows.
    pub const fn variables(self) -> &'static [&'static str] {
        match self {
            Self::Acr => crate::acr::VARIABLES,
            _ => &[],
        }
    }

    /// The product that a host's name tells, if its adapter is in this build.
    pub fn of(host: &RegistryHost) -> Self {
        if crate::acr::is_acr(host) { Self::Acr } else { Self::Oci }
    }

    /// What is wrong with `config` beyond the grammar of its keys, as only the product's adapter can tell.
    pub(crate) fn problems(self, config: &RegistryConfig) -> Vec<Problem> {
        match self {
            Self::Artifactory => crate::artifactory::problems(config),
            Self::Harbor => crate::harbor::problems(config),
            Self::Nexus => crate::nexus::problems(config),
            Self::Acr => crate::acr::problems(&config.options),
            Self::Oci | Self::Ecr => Vec::new(),
        }
    }

    /// Whether the key `repository` names [`RegistryConfig::keys`] rather than repositories.
    pub(crate) const fn has_keys(self) -> bool {
        matches!(self, Self::Artifactory | Self::Nexus)
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
