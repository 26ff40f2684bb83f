//! A stand-in for Harbor.

mod answer;
mod options;

pub use options::{HarborAccess, HarborServerBuilder};

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::product::{Accounts, ProductRequest, ProductServer};
use crate::{Artifact, Credentials, RegistryServer, Result};

/// A Harbor on a port of 127.0.0.1: its API under `/api/v2.0`, its token service, and a [`RegistryServer`] within.
///
/// # Examples
///
/// ```no_run
/// # async fn example(image: supercargo_testkit::Image) -> supercargo_testkit::Result<()> {
/// use supercargo_testkit::{HarborAccess, HarborServer};
///
/// let server = HarborServer::builder()
///     .with_account("robot$reader", "secret", HarborAccess::robot(&["web"]))
///     .start()
///     .await?;
/// server.push(&image, "web/team/app", "1.0");
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct HarborServer {
    server: ProductServer,
    state: Arc<State>,
}

#[derive(Debug)]
struct State {
    options: HarborServerBuilder,
    accounts: Accounts,
    registry: RegistryServer,
    /// When a tag was moved last, by repository and tag.
    times: Mutex<BTreeMap<(String, String), String>>,
    host: String,
}

impl HarborServer {
    /// Sets one up.
    pub fn builder() -> HarborServerBuilder {
        HarborServerBuilder::default()
    }

    async fn start_with(options: HarborServerBuilder) -> Result<Self> {
        let mut registry = RegistryServer::builder();
        if let Some((user, password, _)) = &options.account {
            registry = registry.with_token_auth(user, password).with_anonymous_pull();
        }
        if options.redirects {
            registry = registry.with_blob_redirects();
        }
        let listener = ProductServer::bind().await?;
        let host = listener.local_addr().map(|address| address.to_string()).unwrap_or_default();
        let credentials = options.account.as_ref().map(|(user, password, _)| Credentials::new(user, password));
        let accounts = Accounts::new(credentials, None, None);
        let registry = registry.start().await?;
        let state = Arc::new(State { options, accounts, registry, times: Mutex::default(), host });
        let shared = Arc::clone(&state);
        let server = ProductServer::start_at(listener, move |call| answer::answer(Arc::clone(&shared), call))?;
        Ok(Self { server, state })
    }

    /// Where it listens, `127.0.0.1:PORT`.
    pub fn host(&self) -> String {
        self.server.host()
    }

    /// The registry within.
    pub fn registry(&self) -> &RegistryServer {
        &self.state.registry
    }

    /// Puts an artifact into a repository, which begins with a project.
    pub fn push(&self, artifact: &dyn Artifact, repository: &str, tag: &str) {
        self.state.registry.push(artifact, repository, tag);
    }

    /// Says when a tag was moved, in the form of RFC 3339.
    pub fn set_time(&self, repository: &str, tag: &str, time: &str) {
        let mut times = self.state.times.lock().unwrap_or_else(PoisonError::into_inner);
        times.insert((repository.to_owned(), tag.to_owned()), time.to_owned());
    }

    /// How many times wrong credentials were sent to the API.
    pub fn failed_sign_ins(&self) -> usize {
        self.state.accounts.failures()
    }

    /// The requests so far, oldest first.
    pub fn requests(&self) -> Vec<ProductRequest> {
        self.server.requests()
    }

    /// Forgets the requests so far.
    pub fn clear_requests(&self) {
        self.server.clear_requests();
    }
}
