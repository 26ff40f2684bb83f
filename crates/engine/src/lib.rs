//! The pipeline from a push to metadata.
//!
//! An [`Engine`] watches registries. What it learns, from [events](Intake) or from its own reconcile passes,
//! becomes jobs in a [`Store`](supercargo_store::Store); its workers take them, ask the registry what is true now,
//! index what has not been indexed, and commit the result with the end of the job. Nothing that was promised
//! lives in memory only, so an engine that is killed goes on where it was.
//!
//! - [`Watch`] says what of a registry is watched.
//! - [`Engine::run`] runs until it is told to stop, [`Engine::run_until_idle`] until there is nothing left to do.
//! - A [`Sink`] is a place that metadata goes to; what waits for it is in the store until it has arrived.
//! - [`Engine::intake`] takes deliveries: stored first, answered then.
//! - [`integration`] is about registries that are connected, changed and removed while it runs; [`setup`] about what has
//!   to be set up on their side.
//! - [`Engine::status`] and [`Engine::progress`] tell how it goes.
//!
//! This is the only crate that spawns tasks. Everything that may fail for one image fails for that image: a job
//! that panics is a job that failed.
//!
//! # Examples
//!
//! ```
//! use std::sync::Arc;
//! use supercargo_engine::{Engine, Watch};
//! use supercargo_registry::index::Indexer;
//! use supercargo_registry::MemoryRegistry;
//! use supercargo_store::{ImageFilter, MemoryStore, Page, Store};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
//! # runtime.block_on(async {
//! let registry = MemoryRegistry::new("registry.test");
//! // A tar of nothing: two blocks of zeroes.
//! registry.push_image(&"team/app".parse()?, "1.0", &[&[0; 1024]])?;
//!
//! let store: Arc<dyn Store> = Arc::new(MemoryStore::default());
//! let engine = Engine::builder(Arc::clone(&store), Arc::new(Indexer::new()))
//!     .with_watch(Watch { all_images: true, ..Watch::new(Arc::new(registry)) })
//!     .build()?;
//! let summary = engine.run_until_idle(std::future::pending()).await?;
//!
//! assert_eq!(summary.counters.indexed, 1);
//! assert_eq!(store.images(&ImageFilter::default(), &Page::default()).await?.items.len(), 1);
//! # Ok(())
//! # })
//! # }
//! ```

mod backoff;
mod clock;
mod delivery;
mod engine;
mod error;
mod failure;
mod health;
mod indexing;
mod intake;
pub mod integration;
mod job;
mod monitor;
mod options;
mod progress;
mod pull;
mod random;
mod reconcile;
mod run;
pub mod setup;
mod shared;
pub mod sink;
mod watch;
mod watches;

pub use backoff::Backoff;
pub use clock::{Clock, SystemClock};
pub use engine::{Engine, EngineBuilder};
pub use error::{Error, ErrorKind, Result};
pub use indexing::ImageIndexer;
pub use intake::{Documents, Intake, PublicDocuments, Receipt, Received, Replayed};
pub use monitor::{
    Counters, LastError, RegistryStatus, RunningJob, SinkStatus, Status, Summary, Undelivered, Unreached,
};
pub use options::{Options, RetryPolicy};
pub use progress::{PassSummary, Progress};
pub use pull::Puller;
pub use sink::{
    Consignment, DocumentFormat, Gone, IndexedImage, News, Order, Outcome, Preview, Route, Sink, SinkCapabilities,
};
pub use watch::{RepositoryPredicate, TagPatterns, Watch};
pub use watches::Registries;

// The crates that the signatures here speak of. Whoever builds on the engine needs their types, and no edge to them.
pub use {
    supercargo_events as events, supercargo_registry as registry, supercargo_registry::index,
    supercargo_scout as scout, supercargo_store as store,
};
