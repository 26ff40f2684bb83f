//! A registry's configuration.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use url::Url;

use super::Filter;
use crate::distribution::{ClientIdentity, TransportConfig};
use crate::error::Problem;
use crate::secret::Secret;
use crate::{Error, RegistryHost, Repository, RepositoryKey, Result};

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
    /// [`TransportConfig::ca_bundle`], or calls [`RegistryConfig::load_files`].
    pub ca_file: Option<PathBuf>,
    /// The certificate with which we sign in (mutual TLS). Loaded as `ca_file` is.
    pub client_certificate: Option<PathBuf>,
    /// Its key; the same file where it holds both.
    pub client_key: Option<PathBuf>,
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
            client_certificate: None,
            client_key: None,
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

    /// The same configuration with the contents of the files that it names, as `read` gives them.
    ///
    /// # Errors
    /// [`Configuration`](crate::ErrorKind::Configuration) with every file that could not be read, under its key.
    pub fn load_files(mut self, read: impl Fn(&Path) -> io::Result<Vec<u8>>) -> Result<Self> {
        let mut problems = Vec::new();
        let mut load = |key: &str, path: &Option<PathBuf>| {
            let path = path.as_ref()?;
            match read(path) {
                Ok(contents) => Some(contents),
                Err(error) => {
                    let message = format!("failed to read {}: {error}", path.display());
                    problems.push(Problem { key: key.to_owned(), message });
                    None
                }
            }
        };
        if let Some(bundle) = load("ca-file", &self.ca_file) {
            self.transport.ca_bundle = Some(bundle.into());
        }
        let certificate = load("client-certificate", &self.client_certificate);
        let key = load("client-key", &self.client_key);
        if let (Some(certificate), Some(key)) = (certificate, key) {
            let key = Secret::from(String::from_utf8_lossy(&key).into_owned());
            self.transport.client_identity = Some(ClientIdentity { certificate: certificate.into(), key });
        }
        if problems.is_empty() { Ok(self) } else { Err(Error::from_problems(problems)) }
    }

    /// The files that it names and that were not loaded, as problems under their keys.
    pub(super) fn unloaded(&self) -> Vec<Problem> {
        let files = [
            ("ca-file", &self.ca_file, self.transport.ca_bundle.is_some()),
            ("client-certificate", &self.client_certificate, self.transport.client_identity.is_some()),
        ];
        let missing = files.into_iter().filter(|(_, path, loaded)| path.is_some() && !loaded);
        missing
            .map(|(key, ..)| Problem { key: key.to_owned(), message: "the file was not loaded".to_owned() })
            .collect()
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
        match host {
            _ if crate::acr::is_acr(host) => Self::Acr,
            _ if crate::ecr::is_ecr(host) => Self::Ecr,
            _ => Self::Oci,
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

    /// The environment variables that this product's adapter knows.
    pub const fn variables(self) -> &'static [&'static str] {
        match self {
            Self::Acr => crate::acr::VARIABLES,
            _ => &[],
        }
    }

    /// What is wrong with `config` beyond the grammar of its keys, as only the product's adapter can tell.
    pub(crate) fn problems(self, config: &RegistryConfig) -> Vec<Problem> {
        match self {
            Self::Artifactory => crate::artifactory::problems(config),
            Self::Harbor => crate::harbor::problems(config),
            Self::Nexus => crate::nexus::problems(config),
            Self::Acr => crate::acr::problems(&config.options),
            Self::Ecr => crate::ecr::problems(Some(&config.host), &config.options),
            Self::Oci => Vec::new(),
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
