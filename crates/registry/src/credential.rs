//! Who we are to a registry.

mod docker;
mod provider;

pub use docker::DockerConfig;
pub use provider::{Credential, CredentialChain, CredentialProvider, ProductCredentials};
