//! What the images of a repository key are called.

use crate::config::RegistryConfig;
use crate::error::Problem;
use crate::secret::printable;
use crate::{RegistryHost, Repository, RepositoryKey, Result};

/// JFrog's *Docker access methods*: how a reverse proxy maps hosts to repository keys. It decides what users write and
/// what events name, and nothing about how images are fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Layout {
    /// `example.jfrog.io/docker-local/app`.
    Path,
    /// `docker-local.example.jfrog.io/app`: each key is a host.
    Subdomain,
    /// `example.jfrog.io:5001/app`: each key has a port, or a host that nothing is known about.
    Port,
}

impl Layout {
    /// The layout that `config` asks for.
    pub(super) fn of(config: &RegistryConfig) -> Result<Self, Problem> {
        let problem = |message: String| Err(Problem { key: "layout".to_owned(), message });
        let layout = match config.options.get("layout").map(String::as_str) {
            None if config.subdomain_mode => Self::Subdomain,
            None | Some("path") => Self::Path,
            Some("subdomain") => Self::Subdomain,
            Some("port") => Self::Port,
            Some(other) => return problem(format!("{:?} is none of path, subdomain, port", printable(other, 40))),
        };
        if config.subdomain_mode && layout != Self::Subdomain {
            return problem("subdomain-mode=true says otherwise".to_owned());
        }
        Ok(layout)
    }

    /// What does not go together in `config`.
    pub(super) fn problems(self, config: &RegistryConfig) -> Vec<Problem> {
        let problem = |message: String| Problem { key: "repository".to_owned(), message };
        match self {
            Self::Path => {
                let odd = config.keys.iter().filter(|key| key.as_str().parse::<Repository>().is_err());
                odd.map(|key| {
                    problem(format!("{key} cannot be a part of an image's name; in layout=path it is the first"))
                })
                .collect()
            }
            Self::Subdomain => {
                let hosts = config.keys.iter().map(|key| subdomain(&config.host, key));
                hosts.filter_map(|host| Some(problem(host.err()?.to_string()))).collect()
            }
            Self::Port if config.keys.len() > 1 => {
                vec![problem("in layout=port a host and port are one repository key; name one here".to_owned())]
            }
            Self::Port => Vec::new(),
        }
    }
}

/// The host of `key`. `host` itself if it says so already: `docker-local.example.com`, or `acme-docker-local.jfrog.io`
/// as JFrog's cloud has it.
pub(super) fn subdomain(host: &RegistryHost, key: &RepositoryKey) -> Result<RegistryHost> {
    let (text, key) = (host.to_string(), key.as_str().to_ascii_lowercase());
    let label = text.split('.').next().unwrap_or_default();
    if text.contains('.') && (label == key || label.strip_suffix(&key).is_some_and(|before| before.ends_with('-'))) {
        return Ok(host.clone());
    }
    format!("{key}.{text}").parse()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_of_keys() {
        let check = |host: &str, key: &str, expected: &str| {
            let found = subdomain(&host.parse().unwrap(), &key.parse().unwrap()).unwrap();
            assert_eq!(found.to_string(), expected, "{host} {key}");
        };
        check("example.jfrog.io", "docker-local", "docker-local.example.jfrog.io");
        check("docker-local.example.jfrog.io", "docker-local", "docker-local.example.jfrog.io");
        check("acme-docker-local.jfrog.io", "docker-local", "acme-docker-local.jfrog.io");
        check("artifacts.example.com:8443", "Docker-Local", "docker-local.artifacts.example.com:8443");
        check("localhost:8082", "docker", "docker.localhost:8082");
        assert!(subdomain(&"127.0.0.1:1".parse().unwrap(), &"docker".parse().unwrap()).is_err());
    }
}
