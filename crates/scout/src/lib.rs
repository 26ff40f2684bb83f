//! The Docker Scout API client.
//!
//! Docker has published no API reference. What is publicly known of it — from Docker's own open-source clients and
//! documentation — is what this crate will speak: sign-in, organizations and repositories, upload of image metadata.
//! So far it holds the addresses of the service, which are configuration and nothing that a program should assume.
//!
//! ```
//! let endpoints = supercargo_scout::Endpoints::default();
//! assert_eq!(endpoints.api, "https://api.scout.docker.com");
//! ```

use serde::{Deserialize, Serialize};

/// Where the parts of the service are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub struct Endpoints {
    /// GraphQL and metadata upload, without a slash at the end (`docker/hub-mcp` `src/scout/client.ts`,
    /// `atomist-skills/go-skill` `http_transact.go`).
    pub api: String,
    /// Sign-in with a user or an organization and a token (Docker Hub API reference, `POST /v2/auth/token`).
    pub hub: String,
    /// The registry for attestations (`docker scout attestation add --referrer-repository`).
    pub attestations: String,
}

impl Default for Endpoints {
    fn default() -> Self {
        Self {
            api: "https://api.scout.docker.com".into(),
            hub: "https://hub.docker.com".into(),
            attestations: "registry.scout.docker.com".into(),
        }
    }
}
