//! What `docker login` left in docker's `config.json`, or in the credential helper that it names.

use std::io::{self, Cursor};
use std::path::{Path, PathBuf};
use std::time::Duration;

use async_trait::async_trait;
use docker_credential::{CredentialRetrievalError, DockerCredential};

use super::{Credential, CredentialSource};
use crate::{Error, ErrorKind, Result};

/// Longest wait for a credential helper. None should ask a person.
const HELPER: Duration = Duration::from_secs(30);
/// Under what `docker login` keeps Docker Hub's credentials (docker/cli `cli/registry`, `IndexServer`); after it the
/// name that podman and skopeo use.
const KEYS: &[&str] = &["https://index.docker.io/v1/", "docker.io"];
/// What helpers say for a server that they do not know (docker-credential-helpers, `credentials/error.go`).
const UNKNOWN: &str = "credentials not found";

/// The Docker Hub credentials of docker's configuration file.
#[derive(Clone, Debug)]
pub struct DockerConfig {
    path: PathBuf,
    helper_timeout: Duration,
}

impl DockerConfig {
    /// Reads `path` when it is needed: the file `config.json` itself, not its folder.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), helper_timeout: HELPER }
    }

    /// The same with another bound on the time that a credential helper takes.
    #[must_use]
    pub fn with_helper_timeout(mut self, timeout: Duration) -> Self {
        self.helper_timeout = timeout;
        self
    }
}

#[async_trait]
impl CredentialSource for DockerConfig {
    async fn credential(&self) -> Result<Credential> {
        let path = self.path.clone();
        // A helper is a child process that is waited for without a bound of its own; the bound is ours, and a helper
        // that hangs costs one idle thread.
        let lookup = tokio::task::spawn_blocking(move || look_up(&path));
        let found = match tokio::time::timeout(self.helper_timeout, lookup).await {
            Ok(joined) => joined.map_err(|error| failed("the look-up was interrupted").with_source(error))?,
            Err(_) => Err(failed("its credential helper does not answer")),
        };
        found.map_err(|error| error.during(format_args!("read Docker's credentials of {}", self.path.display())))
    }
}

fn failed(why: impl Into<String>) -> Error {
    Error::new(ErrorKind::Credential, why)
}

fn look_up(path: &Path) -> Result<Credential> {
    let absent = || failed("there are none").with_hint("docker login, with an access token");
    let bytes = match std::fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(absent()),
        Err(error) => return Err(failed("open the file").with_source(error)),
    };
    for key in KEYS {
        if let Some(credential) = entry(&bytes, key)? {
            return Ok(credential);
        }
    }
    Err(absent())
}

fn entry(config: &[u8], key: &str) -> Result<Option<Credential>> {
    match docker_credential::get_credential_from_reader(Cursor::new(config), key) {
        // docker writes an empty pair for a server that was logged out of.
        Ok(DockerCredential::UsernamePassword(user, secret)) if user.is_empty() || secret.is_empty() => Ok(None),
        Ok(DockerCredential::UsernamePassword(user, secret)) => Ok(Some(Credential::login(user, secret))),
        // It is good for the registry's token service and nowhere else.
        Ok(DockerCredential::IdentityToken(_)) => Err(failed("they are an identity token, which cannot be exchanged")
            .with_hint("docker login --username NAME, with an access token")),
        Err(CredentialRetrievalError::NoCredentialConfigured) => Ok(None),
        Err(CredentialRetrievalError::HelperFailure { stdout, stderr, .. })
            if stdout.contains(UNKNOWN) || stderr.contains(UNKNOWN) =>
        {
            Ok(None)
        }
        // A helper's output may hold what it should not: its name is enough.
        Err(CredentialRetrievalError::HelperFailure { helper, .. }) => Err(failed(format!("{helper} failed"))),
        Err(CredentialRetrievalError::HelperCommunicationError) => Err(failed("its credential helper cannot be run")
            .with_hint("is the docker-credential-… program of credsStore or credHelpers installed?")),
        Err(CredentialRetrievalError::MalformedHelperResponse) => {
            Err(failed("its credential helper answered what is no credential"))
        }
        Err(CredentialRetrievalError::CredentialDecodingError) => {
            Err(failed("its auth field is not base64 of user:password"))
        }
        Err(CredentialRetrievalError::CredentialMismatchError) => {
            Err(failed("its auth field and its username and password differ"))
        }
        Err(CredentialRetrievalError::ConfigNotFound | CredentialRetrievalError::ConfigReadError) => {
            Err(failed("the file is not docker's configuration"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn ask(json: &str) -> Result<Credential> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.json");
        std::fs::write(&path, json).unwrap();
        DockerConfig::new(path).credential().await
    }

    // "acme:dckr_oat_x"
    const AUTH: &str = "YWNtZTpkY2tyX29hdF94";

    #[tokio::test]
    async fn entries() {
        let expected = Credential::login("acme", "dckr_oat_x");
        for key in KEYS {
            let json = format!(r#"{{"auths":{{"{key}":{{"auth":"{AUTH}"}}}}}}"#);
            assert_eq!(ask(&json).await.unwrap(), expected, "{key}");
        }
    }

    #[tokio::test]
    async fn what_is_wrong_is_said() {
        let hub = KEYS[0];
        let cases = [
            ("not json".to_owned(), "the file is not docker's configuration"),
            ("{}".to_owned(), "there are none"),
            (format!(r#"{{"auths":{{"registry.test":{{"auth":"{AUTH}"}}}}}}"#), "there are none"),
            (format!(r#"{{"auths":{{"{hub}":{{}}}}}}"#), "there are none"),
            (format!(r#"{{"auths":{{"{hub}":{{"auth":"%%"}}}}}}"#), "its auth field is not base64 of user:password"),
            (
                format!(r#"{{"auths":{{"{hub}":{{"auth":"{AUTH}","identitytoken":"t"}}}}}}"#),
                "they are an identity token, which cannot be exchanged",
            ),
            (format!(r#"{{"credHelpers":{{"{hub}":"no-such-helper-here"}}}}"#), "its credential helper cannot be run"),
        ];
        for (json, expected) in cases {
            let error = ask(&json).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Credential, "{json}");
            assert!(error.to_string().ends_with(expected), "{json}: {error}");
        }
        let missing = DockerConfig::new("/no/such/folder/config.json").credential().await.unwrap_err();
        assert_eq!(missing.hint(), Some("docker login, with an access token"));
    }
}
