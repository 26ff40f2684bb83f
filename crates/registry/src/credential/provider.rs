//! Credentials and where they come from.

use std::fmt::Debug;
use std::sync::Arc;

use async_trait::async_trait;

use crate::digest::Hasher;
use crate::secret::Secret;
use crate::{RegistryHost, Result};

/// What a registry is told about us.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Credential {
    /// Nothing.
    #[default]
    Anonymous,
    /// A user and a password, or what stands for one: an access token, a robot's key.
    Basic {
        /// The user.
        username: String,
        /// The password.
        password: Secret,
    },
    /// A token that buys access tokens from the registry's token service (docker's `identitytoken`).
    Identity {
        /// The token.
        token: Secret,
    },
    /// A token that is sent to the registry as it is.
    Bearer {
        /// The token.
        token: Secret,
    },
}

impl Credential {
    /// A user and a password.
    pub fn basic(username: impl Into<String>, password: impl Into<Secret>) -> Self {
        Self::Basic { username: username.into(), password: password.into() }
    }

    /// Whether it is nothing.
    pub fn is_anonymous(&self) -> bool {
        matches!(self, Self::Anonymous)
    }

    /// Tells credentials apart without keeping them: tokens bought with an old password are not served
    /// after it was changed.
    pub(crate) fn identity(&self) -> String {
        let parts = match self {
            Self::Anonymous => return String::new(),
            Self::Basic { username, password } => ["basic", username, password.expose()],
            Self::Identity { token } => ["identity", "", token.expose()],
            Self::Bearer { token } => ["bearer", "", token.expose()],
        };
        let mut hasher = Hasher::sha256();
        for part in parts {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part.as_bytes());
        }
        hasher.finish().to_string()
    }
}

/// Where credentials come from. A provider is asked often, and keeps what is slow to find.
#[async_trait]
pub trait CredentialProvider: Debug + Send + Sync {
    /// The credential for `host`; [`Credential::Anonymous`] if there is none.
    ///
    /// # Errors
    /// [`Credential`](crate::ErrorKind::Credential) if there should be one and it cannot be read.
    async fn credential(&self, host: &RegistryHost) -> Result<Credential>;

    /// The credential for the API that the product at `host` has beside the distribution protocol. The same, unless a
    /// provider knows another.
    ///
    /// # Errors
    /// As [`credential`](Self::credential).
    async fn api_credential(&self, host: &RegistryHost) -> Result<Credential> {
        self.credential(host).await
    }

    /// The registry no longer takes what [`CredentialProvider::credential`] gave: drop what is kept.
    async fn renew(&self, _host: &RegistryHost) -> Result<()> {
        Ok(())
    }
}

/// A credential that was given. It is for the one registry that it is handed to.
#[async_trait]
impl CredentialProvider for Credential {
    async fn credential(&self, _host: &RegistryHost) -> Result<Credential> {
        Ok(self.clone())
    }
}

/// Several providers; the first that has a credential answers.
#[derive(Clone, Debug, Default)]
pub struct CredentialChain(pub Vec<Arc<dyn CredentialProvider>>);

#[async_trait]
impl CredentialProvider for CredentialChain {
    async fn credential(&self, host: &RegistryHost) -> Result<Credential> {
        for provider in &self.0 {
            let credential = provider.credential(host).await?;
            if !credential.is_anonymous() {
                return Ok(credential);
            }
        }
        Ok(Credential::Anonymous)
    }

    async fn api_credential(&self, host: &RegistryHost) -> Result<Credential> {
        for provider in &self.0 {
            let credential = provider.api_credential(host).await?;
            if !credential.is_anonymous() {
                return Ok(credential);
            }
        }
        Ok(Credential::Anonymous)
    }

    async fn renew(&self, host: &RegistryHost) -> Result<()> {
        for provider in &self.0 {
            provider.renew(host).await?;
        }
        Ok(())
    }
}

/// One provider for a product's own API, another for its registry.
#[derive(Clone, Debug)]
pub struct ProductCredentials {
    /// For the API.
    pub api: Arc<dyn CredentialProvider>,
    /// For the registry.
    pub registry: Arc<dyn CredentialProvider>,
}

#[async_trait]
impl CredentialProvider for ProductCredentials {
    async fn credential(&self, host: &RegistryHost) -> Result<Credential> {
        self.registry.credential(host).await
    }

    async fn api_credential(&self, host: &RegistryHost) -> Result<Credential> {
        self.api.api_credential(host).await
    }

    async fn renew(&self, host: &RegistryHost) -> Result<()> {
        self.api.renew(host).await?;
        self.registry.renew(host).await
    }
}
