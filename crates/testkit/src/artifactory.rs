//! A stand-in for JFrog Artifactory.

mod answer;
mod aql;
mod options;
mod webhooks;

pub use options::ArtifactoryServerBuilder;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::product::{Accounts, ProductRequest, ProductServer};
use crate::{Artifact, Credentials, RegistryServer, Result};

use options::Sort;

/// A JFrog Artifactory with docker repositories, on a port of 127.0.0.1.
///
/// Each repository key is a [`RegistryServer`] within. Beside `api/docker/KEY/v2/` it answers `api/repositories`,
/// `api/system/ping` and `api/search/aql`, whose queries it reads and evaluates, and webhooks can be managed at
/// `event/api/v1/subscriptions`. It shuts out who guesses passwords.
///
/// # Examples
///
/// ```no_run
/// # async fn example(image: supercargo_testkit::Image) -> supercargo_testkit::Result<()> {
/// use supercargo_testkit::ArtifactoryServer;
///
/// let server = ArtifactoryServer::builder()
///     .with_account("reader", "secret")
///     .with_local("docker-local")
///     .with_lockout(3)
///     .start()
///     .await?;
/// server.push("docker-local", &image, "team/app", "1.0");
/// assert_eq!(server.failed_sign_ins(), 0);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct ArtifactoryServer {
    server: ProductServer,
    state: Arc<State>,
}

#[derive(Debug)]
struct State {
    options: ArtifactoryServerBuilder,
    accounts: Accounts,
    registries: BTreeMap<String, RegistryServer>,
    /// When a tag was moved last, by key, image and tag.
    times: Mutex<BTreeMap<(String, String, String), String>>,
    queries_at_once: AtomicUsize,
    most_queries_at_once: AtomicUsize,
    /// By their keys.
    webhooks: Mutex<BTreeMap<String, serde_json::Value>>,
}

impl ArtifactoryServer {
    /// Sets one up.
    pub fn builder() -> ArtifactoryServerBuilder {
        ArtifactoryServerBuilder::default()
    }

    async fn start_with(options: ArtifactoryServerBuilder) -> Result<Self> {
        let mut registries = BTreeMap::new();
        for (key, sort) in &options.repositories {
            if !matches!(sort, Sort::Virtual(_)) {
                let registry = if options.redirects {
                    RegistryServer::builder().with_blob_redirects()
                } else {
                    RegistryServer::builder()
                };
                registries.insert(key.clone(), registry.with_page_size(options.page_size).start().await?);
            }
        }
        let accounts = Accounts::new(options.credentials.clone(), options.token.clone(), options.patience);
        let state = Arc::new(State {
            options,
            accounts,
            registries,
            times: Mutex::default(),
            queries_at_once: AtomicUsize::new(0),
            most_queries_at_once: AtomicUsize::new(0),
            webhooks: Mutex::default(),
        });
        let shared = Arc::clone(&state);
        let server = ProductServer::start(move |call| answer::answer(Arc::clone(&shared), call)).await?;
        Ok(Self { server, state })
    }

    /// Where it listens, `127.0.0.1:PORT`.
    pub fn host(&self) -> String {
        self.server.host()
    }

    /// The base of its REST API.
    pub fn api(&self) -> String {
        format!("http://{}/artifactory", self.host())
    }

    /// The registry that a repository key is.
    ///
    /// # Panics
    ///
    /// If there is no such key, or it is virtual.
    pub fn repository(&self, key: &str) -> &RegistryServer {
        &self.state.registries[key]
    }

    /// Puts an artifact into a repository.
    ///
    /// # Panics
    ///
    /// If there is no such key, or it is virtual.
    pub fn push(&self, key: &str, artifact: &dyn Artifact, image: &str, tag: &str) {
        self.repository(key).push(artifact, image, tag);
    }

    /// Says when a tag was moved, in the form of RFC 3339. Tags are of the beginning of 2026 otherwise.
    pub fn set_time(&self, key: &str, image: &str, tag: &str, time: &str) {
        let place = (key.to_owned(), image.to_owned(), tag.to_owned());
        self.state.times.lock().unwrap_or_else(PoisonError::into_inner).insert(place, time.to_owned());
    }

    /// Changes the account's password, as when it is rotated.
    pub fn set_account(&self, credentials: Credentials) {
        self.state.accounts.change(credentials);
    }

    /// The webhooks that were made, as they were.
    pub fn webhooks(&self) -> Vec<serde_json::Value> {
        self.state.webhooks().values().cloned().collect()
    }

    /// Tells the webhooks of a repository of a push, and answers with what status each was answered.
    ///
    /// # Errors
    ///
    /// If one of them cannot be reached.
    pub async fn announce(&self, key: &str, artifact: &dyn Artifact, image: &str, tag: &str) -> Result<Vec<u16>> {
        webhooks::announce(&self.state, key, image, tag, artifact.root().digest()).await
    }

    /// How many times wrong credentials were sent.
    pub fn failed_sign_ins(&self) -> usize {
        self.state.accounts.failures()
    }

    /// The most queries that ran at a time.
    pub fn most_queries_at_once(&self) -> usize {
        self.state.most_queries_at_once.load(Ordering::SeqCst)
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
