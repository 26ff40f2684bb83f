//! docker's `config.json`: `auths`, `credHelpers`, `credsStore`.

use std::collections::HashMap;
use std::io::{self, Cursor};
use std::path::{Path, PathBuf};
use std::time::Duration;

use async_trait::async_trait;
use docker_credential::{CredentialRetrievalError, DockerCredential};
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::{Credential, CredentialProvider};
use crate::{Error, ErrorKind, RegistryHost, Result};

/// Longest wait for a credential helper. Those of clouds ask a service; none should ask a person.
const HELPER: Duration = Duration::from_secs(30);
/// How long an answer is kept. A `docker login` or a helper's new token is taken up after that.
const KEPT: Duration = Duration::from_secs(300);
/// What helpers say for a registry that they do not know (docker-credential-helpers, `credentials/error.go`).
const UNKNOWN: &str = "credentials not found";

/// Credentials of docker's configuration file, with credential helpers.
#[derive(Debug)]
pub struct DockerConfig {
    path: PathBuf,
    helper_timeout: Duration,
    kept: Mutex<HashMap<RegistryHost, (Credential, Instant)>>,
}

impl DockerConfig {
    /// Reads `path` when it is needed: the file `config.json` itself, not its folder. No file, no credentials.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), helper_timeout: HELPER, kept: Mutex::default() }
    }

    /// The same with another bound on the time that a credential helper takes.
    #[must_use]
    pub fn with_helper_timeout(mut self, timeout: Duration) -> Self {
        self.helper_timeout = timeout;
        self
    }

    async fn read(&self, host: &RegistryHost) -> Result<Credential> {
        let (path, key) = (self.path.clone(), host.docker_key());
        // The helper is a child process that is waited for without a bound of its own; the bound is ours, and
        // a helper that hangs costs one idle thread.
        let lookup = tokio::task::spawn_blocking(move || look_up(&path, &key));
        match tokio::time::timeout(self.helper_timeout, lookup).await {
            Ok(joined) => joined.map_err(Error::from_join)?,
            Err(_) => Err(Error::new(ErrorKind::Credential, "its credential helper does not answer")),
        }
    }
}

#[async_trait]
impl CredentialProvider for DockerConfig {
    async fn credential(&self, host: &RegistryHost) -> Result<Credential> {
        // The lock is held while the helper runs: many workers start at once, and one question is enough.
        let mut kept = self.kept.lock().await;
        if let Some((credential, at)) = kept.get(host)
            && at.elapsed() < KEPT
        {
            return Ok(credential.clone());
        }
        let credential = self.read(host).await.map_err(|error| {
            error.during(format_args!("read the credentials for {host} of {}", self.path.display()))
        })?;
        kept.insert(host.clone(), (credential.clone(), Instant::now()));
        Ok(credential)
    }

    async fn renew(&self, host: &RegistryHost) -> Result<()> {
        self.kept.lock().await.remove(host);
        Ok(())
    }
}

fn look_up(path: &Path, key: &str) -> Result<Credential> {
    let bytes = match std::fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Credential::Anonymous),
        Err(error) => return Err(Error::new(ErrorKind::Io, "open the file").with_source(error)),
    };
    let failed = |message: String| Err(Error::new(ErrorKind::Credential, message));
    match docker_credential::get_credential_from_reader(Cursor::new(bytes), key) {
        Ok(DockerCredential::IdentityToken(token)) => Ok(Credential::Identity { token: token.into() }),
        // docker writes an empty pair for a registry that was logged out of.
        Ok(DockerCredential::UsernamePassword(username, password)) if username.is_empty() && password.is_empty() => {
            Ok(Credential::Anonymous)
        }
        Ok(DockerCredential::UsernamePassword(username, password)) => Ok(Credential::basic(username, password)),
        Err(CredentialRetrievalError::NoCredentialConfigured) => Ok(Credential::Anonymous),
        Err(CredentialRetrievalError::HelperFailure { stdout, stderr, .. })
            if stdout.contains(UNKNOWN) || stderr.contains(UNKNOWN) =>
        {
            Ok(Credential::Anonymous)
        }
        // A helper's output may hold what it should not: its name is enough.
        Err(CredentialRetrievalError::HelperFailure { helper, .. }) => failed(format!("{helper} failed")),
        Err(CredentialRetrievalError::HelperCommunicationError) => {
            failed("its credential helper cannot be run".to_owned()).map_err(|error| {
                error.with_hint("is the docker-credential-… program of credsStore or credHelpers installed?")
            })
        }
        Err(CredentialRetrievalError::MalformedHelperResponse) => {
            failed("its credential helper answered what is no credential".to_owned())
        }
        Err(CredentialRetrievalError::CredentialDecodingError) => {
            failed("its auth field is not base64 of user:password".to_owned())
        }
        Err(CredentialRetrievalError::CredentialMismatchError) => {
            failed("its auth field and its username and password differ".to_owned())
        }
        Err(CredentialRetrievalError::ConfigNotFound | CredentialRetrievalError::ConfigReadError) => {
            failed("the file is not docker's configuration".to_owned())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn ask(json: &str, host: &str) -> Result<Credential> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.json");
        std::fs::write(&path, json).unwrap();
        DockerConfig::new(path).credential(&host.parse().unwrap()).await
    }

    // "user:pass"
    const AUTH: &str = "dXNlcjpwYXNz";

    #[tokio::test]
    async fn entries() {
        let pair = Credential::basic("user", "pass");
        let json = format!(
            r#"{{"auths":{{"registry.test:5000":{{"auth":"{AUTH}"}},"https://index.docker.io/v1/":{{"auth":"{AUTH}"}}}}}}"#
        );
        assert_eq!(ask(&json, "registry.test:5000").await.unwrap(), pair);
        assert_eq!(ask(&json, "docker.io").await.unwrap(), pair);
        assert_eq!(ask(&json, "registry.test").await.unwrap(), Credential::Anonymous);
        assert_eq!(ask(&json, "registry.test.evil.test:5000").await.unwrap(), Credential::Anonymous);

        let identity = format!(r#"{{"auths":{{"a.test":{{"auth":"{AUTH}","identitytoken":"t"}}}}}}"#);
        assert_eq!(ask(&identity, "a.test").await.unwrap(), Credential::Identity { token: "t".into() });
        assert_eq!(ask(r#"{"auths":{"a.test":{}}}"#, "a.test").await.unwrap(), Credential::Anonymous);
        assert_eq!(ask("{}", "a.test").await.unwrap(), Credential::Anonymous);
    }

    #[tokio::test]
    async fn a_helper_is_asked_for_its_own_host_only() {
        // A helper that is asked cannot be run, which is an error; one that is not asked is none.
        let json =
            r#"{"credHelpers":{"1.dkr.ecr.us-east-1.amazonaws.com":"no-such-helper","x.azurecr.io":"no-such-helper"}}"#;
        for own in ["1.dkr.ecr.us-east-1.amazonaws.com", "x.azurecr.io", "X.AZURECR.IO"] {
            assert_eq!(ask(json, own).await.unwrap_err().kind(), ErrorKind::Credential, "{own}");
        }
        for other in [
            "1.dkr.ecr.us-east-1.amazonaws.com.evil.test",
            "evil.test",
            "x.azurecr.io.evil.test",
            "xx.azurecr.io",
            "azurecr.io",
            "x.azurecr.io:5000",
            "amazonaws.com",
        ] {
            assert_eq!(ask(json, other).await.unwrap(), Credential::Anonymous, "{other}");
        }
    }

    #[tokio::test]
    async fn what_is_wrong_is_said() {
        for json in
            ["not json", r#"{"auths":{"a.test":{"auth":"%%"}}}"#, r#"{"credHelpers":{"a.test":"no-such-helper-here"}}"#]
        {
            assert_eq!(ask(json, "a.test").await.unwrap_err().kind(), ErrorKind::Credential, "{json}");
        }
        let missing = DockerConfig::new("/no/such/folder/config.json");
        assert_eq!(missing.credential(&"a.test".parse().unwrap()).await.unwrap(), Credential::Anonymous);
    }
}
