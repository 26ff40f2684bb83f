//! A client of Docker Scout's API.
//!
//! Docker publishes no reference of it. What this crate speaks is what is publicly known, from Docker's own open-source
//! clients and documentation: sign-in, organizations, repositories and registries, upload of image metadata, the SBOM
//! attestation, the metrics exporter. `docs/scout-api.md` names the source of each call, and says what nobody could
//! verify against the live service. Addresses are [configuration](Endpoints).
//!
//! ```
//! use supercargo_scout::{Credential, Endpoints, ScoutClient, ScoutConfig};
//! use supercargo_testkit::ScoutServer;
//!
//! # let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
//! # runtime.block_on(async {
//! // A stand-in for the service. `ScoutConfig::new("acme")` alone is Docker's own.
//! let server = ScoutServer::builder().with_credentials("acme", "dckr_oat_secret").start().await?;
//! let config = ScoutConfig::new("acme").with_endpoints(Endpoints::at(&server.url()));
//!
//! let client = ScoutClient::new(config, Credential::login("acme", "dckr_oat_secret"))?;
//! client.enroll().await?;
//! assert!(client.entitlements().await?.is_enrolled);
//! # server.shutdown().await;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
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
