//! Who signs in.

mod docker;

use std::fmt;

use async_trait::async_trait;

use crate::{Result, Secret};

pub use docker::DockerConfig;

/// What the service is shown.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Credential {
    /// A user with a password or a personal access token, or an organization with an organization access token:
    /// exchanged for an access token, again whenever that is about to expire.
    Login {
        /// The user's or the organization's name.
        identifier: String,
        /// The password or the token.
        secret: Secret,
    },
    /// A token that is sent as it is: an API key, or an access token that somebody else renews.
    Bearer {
        /// The token.
        token: Secret,
    },
}

impl Credential {
    /// A user or an organization with a password or a token.
    pub fn login(identifier: impl Into<String>, secret: impl Into<Secret>) -> Self {
        Self::Login { identifier: identifier.into(), secret: secret.into() }
    }

    /// A token that is sent as it is.
    pub fn bearer(token: impl Into<Secret>) -> Self {
        Self::Bearer { token: token.into() }
    }

    /// The long-lived secret itself, which the metrics exporter wants.
    pub(crate) fn secret(&self) -> &Secret {
        match self {
            Self::Login { secret, .. } => secret,
            Self::Bearer { token } => token,
        }
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Login { identifier, secret } => {
                f.debug_struct("Login").field("identifier", identifier).field("secret", secret).finish()
            }
            Self::Bearer { token } => f.debug_struct("Bearer").field("token", token).finish(),
        }
    }
}

/// Where credentials come from. Asked before every sign-in, so that a rotated token is taken up without a restart.
#[async_trait]
pub trait CredentialSource: fmt::Debug + Send + Sync {
    /// The credentials as they are now.
    ///
    /// # Errors
    /// [`ErrorKind::Credential`](crate::ErrorKind::Credential) if there are none, or they cannot be read.
    async fn credential(&self) -> Result<Credential>;
}

/// Credentials that were given.
#[async_trait]
impl CredentialSource for Credential {
    async fn credential(&self) -> Result<Credential> {
        Ok(self.clone())
    }
}

#[async_trait]
impl<S: CredentialSource + ?Sized> CredentialSource for Box<S> {
    async fn credential(&self) -> Result<Credential> {
        (**self).credential().await
    }
}

#[async_trait]
impl<S: CredentialSource + ?Sized> CredentialSource for std::sync::Arc<S> {
    async fn credential(&self) -> Result<Credential> {
        (**self).credential().await
    }
}
