//! What an integration knows of secrets.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use supercargo_registry::{Credential, CredentialProvider, ProductCredentials, Secret};

use super::Vault;
use crate::random::hexadecimal;
use crate::{Error, ErrorKind, Result};

/// What an integration knows of secrets. Kept sealed, as one document.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Credentials {
    /// For pulls, and for all else unless there is more. `None`: what the machine has.
    pub registry: Option<Login>,
    /// For the product's own API, where that has others.
    pub api: Option<Login>,
    /// What deliveries carry; two while one is replaced, the one that is told first.
    pub event_secrets: Vec<Secret>,
    /// What the queue of its events is signed in to with, where that takes a secret.
    pub queue: Option<Secret>,
}

/// Who we are to a registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Login {
    /// A user and a password, or what stands for one.
    Basic {
        /// The user.
        username: String,
        /// The password.
        password: Secret,
    },
    /// A token that is sent as it is.
    Bearer {
        /// The token.
        token: Secret,
    },
}

impl Login {
    /// A user and a password.
    pub fn basic(username: impl Into<String>, password: impl Into<Secret>) -> Self {
        Self::Basic { username: username.into(), password: password.into() }
    }

    fn credential(&self) -> Credential {
        match self {
            Self::Basic { username, password } => {
                Credential::Basic { username: username.clone(), password: password.clone() }
            }
            Self::Bearer { token } => Credential::Bearer { token: token.clone() },
        }
    }
}

impl Credentials {
    /// Whether there is nothing to keep.
    pub fn is_empty(&self) -> bool {
        let Self { registry, api, event_secrets, queue } = self;
        registry.is_none() && api.is_none() && event_secrets.is_empty() && queue.is_none()
    }

    /// Who we are to the registry, and to its API; `machine` where nothing is said.
    pub fn provider(&self, machine: Arc<dyn CredentialProvider>) -> Arc<dyn CredentialProvider> {
        let given = |login: &Login| Arc::new(login.credential()) as Arc<dyn CredentialProvider>;
        let registry = self.registry.as_ref().map_or(machine, given);
        match &self.api {
            Some(api) => Arc::new(ProductCredentials { api: given(api), registry }),
            None => registry,
        }
    }

    /// The same with a new random secret for its events before those that there are, of which the first stays good.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Sealed`] if the system has no random bytes.
    pub fn with_event_secret(mut self) -> Result<Self> {
        self.event_secrets.insert(0, Secret::new(hexadecimal::<32>("make a secret")?));
        self.event_secrets.truncate(2);
        Ok(self)
    }

    /// Seals them for `registry`; `None` if there is nothing to keep.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Sealed`].
    pub fn seal(&self, vault: &Vault, registry: &str) -> Result<Option<Vec<u8>>> {
        if self.is_empty() {
            return Ok(None);
        }
        let document = serde_json::to_vec(&Document::of(self)).expect("texts are written as JSON");
        vault.seal(&document, registry).map(Some)
    }

    /// Opens what was sealed for `registry`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Sealed`].
    pub fn open(vault: &Vault, sealed: &[u8], registry: &str) -> Result<Self> {
        let document = vault.open(sealed, registry)?;
        let document: Document = serde_json::from_slice(&document).map_err(|_| {
            // The error would quote what is in there.
            Error::new(ErrorKind::Sealed, format!("read the credentials of {registry}: another release wrote them"))
        })?;
        Ok(document.into_credentials())
    }
}

/// How they are written.
#[derive(Serialize, Deserialize)]
struct Document {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    registry: Option<Words>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    api: Option<Words>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    event_secrets: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    queue: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Words {
    Basic { username: String, password: String },
    Bearer { token: String },
}

impl Document {
    fn of(credentials: &Credentials) -> Self {
        let words = |login: &Login| match login {
            Login::Basic { username, password } => {
                Words::Basic { username: username.clone(), password: password.expose().to_owned() }
            }
            Login::Bearer { token } => Words::Bearer { token: token.expose().to_owned() },
        };
        Self {
            registry: credentials.registry.as_ref().map(words),
            api: credentials.api.as_ref().map(words),
            event_secrets: credentials.event_secrets.iter().map(|secret| secret.expose().to_owned()).collect(),
            queue: credentials.queue.as_ref().map(|secret| secret.expose().to_owned()),
        }
    }

    fn into_credentials(self) -> Credentials {
        let login = |words: Words| match words {
            Words::Basic { username, password } => Login::basic(username, password),
            Words::Bearer { token } => Login::Bearer { token: token.into() },
        };
        Credentials {
            registry: self.registry.map(login),
            api: self.api.map(login),
            event_secrets: self.event_secrets.into_iter().map(Secret::from).collect(),
            queue: self.queue.map(Secret::from),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Key;
    use super::*;

    #[test]
    fn what_is_sealed_comes_back() {
        let vault = Vault::new(Key::generate().unwrap());
        let credentials = Credentials {
            registry: Some(Login::basic("robot", "hunter2")),
            api: Some(Login::Bearer { token: "hunter3".into() }),
            event_secrets: vec!["hunter4".into()],
            queue: Some("hunter5".into()),
        };
        let sealed = credentials.seal(&vault, "registry.test").unwrap().expect("there is something to keep");
        assert_eq!(Credentials::open(&vault, &sealed, "registry.test").unwrap(), credentials);
        assert!(!format!("{credentials:?}").contains("hunter"));
        assert_eq!(Credentials::default().seal(&vault, "registry.test").unwrap(), None);
    }

    #[test]
    fn a_secret_of_events_is_replaced_without_a_gap() {
        let first = Credentials::default().with_event_secret().unwrap();
        let second = first.clone().with_event_secret().unwrap();
        let third = second.clone().with_event_secret().unwrap();
        assert_eq!((first.event_secrets.len(), first.event_secrets[0].expose().len()), (1, 64));
        assert_eq!(second.event_secrets[1], first.event_secrets[0]);
        assert_eq!(third.event_secrets[1..], second.event_secrets[..1]);
    }
}
