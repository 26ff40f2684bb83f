//! A stand-in for Sonatype Nexus Repository.

mod answer;
mod options;

pub use options::NexusServerBuilder;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::product::{Accounts, ProductRequest, ProductServer};
use crate::{Artifact, RegistryServer, Result};

/// A Nexus Repository on two ports of 127.0.0.1: one as its own, with the REST API, `/repository/NAME/` and path-based
/// routing, the other as the connector of its first docker repository.
///
/// # Examples
///
/// ```no_run
/// # async fn example(image: supercargo_testkit::Image) -> supercargo_testkit::Result<()> {
/// use supercargo_testkit::NexusServer;
///
/// let server = NexusServer::builder().with_account("reader", "secret").with_hosted("docker-hosted").start().await?;
/// server.push("docker-hosted", &image, "team/app", "1.0");
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct NexusServer {
    server: ProductServer,
    connector: ProductServer,
    state: Arc<State>,
}

#[derive(Debug)]
struct State {
    options: NexusServerBuilder,
    accounts: Accounts,
    registries: BTreeMap<String, RegistryServer>,
    /// When a tag was moved last, by repository, image and tag.
    times: Mutex<BTreeMap<(String, String, String), String>>,
}

impl NexusServer {
    /// Sets one up.
    pub fn builder() -> NexusServerBuilder {
        NexusServerBuilder::default()
    }

    async fn start_with(options: NexusServerBuilder) -> Result<Self> {
        let mut registries = BTreeMap::new();
        for (name, members) in &options.repositories {
            if members.is_empty() {
                let registry = RegistryServer::builder().without_referrers().with_page_size(options.catalog_page);
                registries.insert(name.clone(), registry.start().await?);
            }
        }
        let accounts = Accounts::new(options.credentials.clone(), None, options.patience);
        let state = Arc::new(State { options, accounts, registries, times: Mutex::default() });
        let (shared, behind) = (Arc::clone(&state), Arc::clone(&state));
        let server = ProductServer::start(move |call| answer::answer(Arc::clone(&shared), call)).await?;
        let connector = ProductServer::start(move |call| answer::connector(Arc::clone(&behind), call)).await?;
        Ok(Self { server, connector, state })
    }

    /// Where its own port is, `127.0.0.1:PORT`.
    pub fn host(&self) -> String {
        self.server.host()
    }

    /// The base of its REST API.
    pub fn api(&self) -> String {
        format!("http://{}", self.host())
    }

    /// The connector of the first repository, `127.0.0.1:PORT`.
    pub fn connector(&self) -> String {
        self.connector.host()
    }

    /// The registry that a repository is.
    ///
    /// # Panics
    ///
    /// If there is no such repository, or it is a group.
    pub fn repository(&self, name: &str) -> &RegistryServer {
        &self.state.registries[name]
    }

    /// Puts an artifact into a repository.
    ///
    /// # Panics
    ///
    /// If there is no such repository, or it is a group.
    pub fn push(&self, name: &str, artifact: &dyn Artifact, image: &str, tag: &str) {
        self.repository(name).push(artifact, image, tag);
    }

    /// Says when a tag was moved, in the form of RFC 3339.
    pub fn set_time(&self, name: &str, image: &str, tag: &str, time: &str) {
        let mut times = self.state.times.lock().unwrap_or_else(PoisonError::into_inner);
        times.insert((name.to_owned(), image.to_owned(), tag.to_owned()), time.to_owned());
    }

    /// How many times wrong credentials were sent.
    pub fn failed_sign_ins(&self) -> usize {
        self.state.accounts.failures()
    }

    /// The requests to its own port so far, oldest first.
    pub fn requests(&self) -> Vec<ProductRequest> {
        self.server.requests()
    }

    /// Forgets the requests so far.
    pub fn clear_requests(&self) {
        self.server.clear_requests();
    }
}
