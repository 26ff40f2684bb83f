//! A client of Docker Scout's API.
//!
//! Docker publishes no reference of it. What this crate speaks is what is publicly known, from Docker's own open-source
//! clients and documentation: sign-in, organizations, repositories and registries, upload of image metadata, the SBOM
//! attestation, the metrics exporter. `docs/scout-api.md` names the source of each call, and says what nobody could
//! verify against the live service. Addresses are [configuration](Endpoints).
//!
//! ```
//! use supercargo_scout::{Credential, ScoutClient, ScoutConfig};
//!
//! let client = ScoutClient::new(ScoutConfig::new("acme"), Credential::login("acme", "dckr_oat_secret"))?;
//! assert_eq!(client.organization(), "acme");
//! # Ok::<(), supercargo_scout::Error>(())
//! ```
//!
//! An image is told of with an [`ImageUpload`], made from what `supercargo_index` found; see
//! [`ScoutClient::upload`]. What would be sent can be looked at without sending it: [`ImageUpload::transactions`].

mod attestation;
mod client;
mod config;
mod credential;
pub mod edn;
mod error;
mod graphql;
mod http;
mod image;
mod metrics;
mod organization;
mod repository;
mod secret;
mod tls;
mod token;
mod transaction;
mod upload;

pub use attestation::{Attestation, SBOM_PREDICATE_TYPE, STATEMENT_MEDIA_TYPE};
pub use client::{Receipt, ScoutClient};
pub use config::{Deadlines, Endpoints, Retry, ScoutConfig};
pub use credential::{Credential, CredentialSource, DockerConfig};
pub use error::{Error, ErrorKind, Result};
pub use image::{ImageSummary, SbomState, VulnerabilityReport};
pub use metrics::{Metrics, PolicyCompliance, Sample};
pub use organization::{
    ApiFeature, Enrollment, Entitlements, Features, Maintenance, Plan, RepositoryFeature, ServiceStatus, Subscription,
};
pub use repository::{
    ConnectedRegistry, ConnectedRegistryKind, EnabledRepositories, EnabledRepository, Integration, RegistryStatus,
    Repository, RepositoryProperties, RepositoryQuery, RepositorySelection, RepositoryState, Skill,
};
pub use secret::Secret;
/// The indexer whose results are told; whoever talks of both needs the same version.
pub use supercargo_index as index;
pub use transaction::{CorrelationId, Entity, Step, Transaction};
pub use upload::{EnvironmentValues, ImageRepository, ImageUpload, Packages};
