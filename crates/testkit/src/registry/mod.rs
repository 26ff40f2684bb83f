//! A container registry in this process.

mod auth;
mod blobs;
mod content;
mod dispatch;
mod fault;
pub(crate) mod gate;
mod listing;
mod log;
mod manifests;
mod notify;
mod options;
mod query;
mod refusal;
mod route;
mod server;
mod uploads;

pub use fault::Fault;
pub(crate) use log::RequestLog;
pub use log::RequestRecord;
pub use notify::Notification;
pub use options::RegistryServerBuilder;
pub(crate) use query::encode;
pub use server::RegistryServer;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What the requests, the notifier and the handle of a server share.
#[derive(Debug)]
struct Shared {
    address: SocketAddr,
    options: RegistryServerBuilder,
    gate: Arc<gate::Gate>,
    content: Mutex<content::Content>,
    faults: Mutex<fault::Faults>,
    tokens: Mutex<auth::Tokens>,
    log: Mutex<log::RequestLog>,
    notifier: notify::Notifier,
}

impl Shared {
    fn host(&self) -> String {
        self.address.to_string()
    }
}

/// Locks, also after a panic elsewhere: the test that panicked has been reported, and the server
/// is asked on by others.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
