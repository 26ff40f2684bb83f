//! A stand-in for Docker Scout's API in this process.
//!
//! It knows what is publicly known of the service, see `docs/scout-api.md`: sign-in, GraphQL, upload of metadata, the
//! metrics exporter. What it is sent it checks more strictly than the service may: a transaction that breaks a rule is
//! refused with 400 and noted in [`ScoutServer::problems`].

mod auth;
mod dispatch;
mod edn;
mod facts;
mod fault;
mod graphql;
mod ingest;
mod model;
mod options;
mod resolve;
mod server;

pub use edn::Edn;
pub use fault::ScoutFault;
pub use model::{ScoutImage, ScoutLayer, ScoutPackage, ScoutPackageFile, ScoutRepository, ScoutTag, ScoutTransaction};
pub use options::ScoutServerBuilder;
pub use server::ScoutServer;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::registry::{RequestLog, gate};

/// What the requests and the handle of a server share.
#[derive(Debug)]
struct Shared {
    address: SocketAddr,
    options: ScoutServerBuilder,
    gate: Arc<gate::Gate>,
    tokens: Mutex<auth::Tokens>,
    faults: Mutex<fault::Faults>,
    model: Mutex<model::Model>,
    log: Mutex<RequestLog>,
}

/// Locks, also after a panic elsewhere: the test that panicked has been reported, and the server is asked on by others.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
