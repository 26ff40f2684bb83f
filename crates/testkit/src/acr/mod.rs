//! A stand-in for Azure Container Registry, and one for the services that say who somebody is to Azure.
//!
//! Written from Microsoft's descriptions: the registry's sign-in from Azure/acr `docs/AAD-OAuth.md` and
//! `docs/Token-BasicAuth.md`, its lists from azure-rest-api-specs `containerregistry.json` 2021-07-01, Entra's tokens
//! from *OAuth 2.0 client credentials flow* and *How to use managed identities to acquire an access token*.

mod access;
mod answer;
mod entra;
mod jwt;
mod list;
mod server;
mod sign_in;

pub use access::{Access, Catalog};
pub use entra::EntraServer;
pub use server::{AcrServer, AcrServerBuilder};
