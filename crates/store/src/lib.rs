//! Queue, ledger, inventory and integrations: everything supercargo must not forget.
//!
//! [`Store`] is one trait because what it keeps is committed together: an event with the jobs it asks for, an
//! image with its packages, its tags, its deliveries and the end of its job. Its two supertraits are there because
//! few need them: [`IntegrationStore`] for the registries that somebody connected, [`AccessStore`] for tokens and the
//! log of who changed what. [`SqliteStore`] keeps it in a file,
//! [`MemoryStore`] for the length of a test; [`conformance`] is what both pass.
//!
//! ```
//! use std::time::Duration;
//! use supercargo_store::{Change, Claim, Lane, MemoryStore, NewJob, RepositoryName, Store, TagOrDigest, Work};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
//! let store = MemoryStore::default();
//! let app = RepositoryName::new("registry.example.com", "team/app");
//! let work = Work::Refresh { repository: app.clone(), reference: Some(TagOrDigest::Tag("v1".into())) };
//! store.enqueue(vec![NewJob::new(work.clone(), Lane::Push)]).await?;
//!
//! let jobs = store.claim(&Claim::new("worker-1", Duration::from_secs(60))).await?;
//! assert_eq!(jobs[0].work, work);
//!
//! // The registry was asked; what it said and the end of the job are one transaction.
//! store.complete(jobs[0].lease, vec![Change::RepositorySeen { repository: app }]).await?;
//! assert!(store.claim(&Claim::new("worker-1", Duration::from_secs(60))).await?.is_empty());
//! # Ok(())
//! # })
//! # }
//! ```

mod access;
mod audit;
mod change;
mod clock;
mod codec;
pub mod conformance;
mod directory;
mod error;
mod event;
mod integration;
mod inventory;
mod job;
mod ledger;
mod memory;
mod name;
mod outbox;
mod page;
mod rows;
mod sqlite;
mod store;
mod trail;
mod upkeep;
mod wake;

pub use access::{NewToken, Role, Token, TokenHash, TokenId};
pub use audit::{Actor, AuditEntry, AuditFilter, NewAuditEntry};
pub use change::{Change, ChildKind, ManifestChild};
pub use clock::ClockOffset;
pub use directory::{DataDirectory, DirectoryLock};
pub use error::{Error, ErrorKind, Result};
pub use event::{Accepted, Arrival, Arrived, EventFilter, EventId, EventRecord, EventState, NewEvent, Part};
pub use integration::{
    IncludeRemoved, Integration, IntegrationId, IntegrationMove, IntegrationPolicy, IntegrationState, NewIntegration,
    NewMove, Removal, RemovedData, RepositoryOrigin, RepositorySetting, RepositorySettingFilter, SealedAt, Selection,
};
pub use inventory::{
    Away, ImageFilter, ImageSummary, KnownBase, ManifestState, NameMatch, PackageLayer, PackageLocation, PackageMatch,
    PackageQuery, Place, PlaceFilter, Presence, Problem, ProblemFilter, ProblemState, RegistryState, RepositoryState,
    StoredImage, TagState,
};
pub use job::{
    Claim, Disposition, Enqueued, Failure, Job, JobFilter, JobId, JobRecord, JobState, Lane, LaneStats, Lease, NewJob,
    OnDead, Retry, Work,
};
pub use ledger::{LedgerEntry, Verdict};
pub use memory::MemoryStore;
pub use name::{Reason, RepositoryName, TagOrDigest};
pub use outbox::{
    Delivery, DeliveryFilter, DeliveryId, DeliveryKind, DeliveryLease, DeliveryRecord, NewDelivery, SinkStats,
};
pub use page::{Cursor, Listing, Page};
pub use sqlite::{SqliteOptions, SqliteStore};
pub use store::{AccessStore, IntegrationStore, Store};
pub use upkeep::{Pruned, Retention, Usage};
