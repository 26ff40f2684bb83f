//! The handle of a running registry, and how it is set up.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::access::Access;
use super::answer;
use super::entra::{Directory, EntraServer};
use super::list::Moves;
use super::sign_in::{Principal, Tokens};
use crate::registry::{Faults, RequestLog, lock};
use crate::{Artifact, Error, Fault, RegistryServer, RegistryServerBuilder, RequestRecord, Result};

/// How a registry is set up. [`AcrServer::builder`] makes one.
#[derive(Debug, Default)]
#[must_use]
pub struct AcrServerBuilder {
    pub(super) directory: Option<Arc<Mutex<Directory>>>,
    pub(super) principals: HashMap<String, Principal>,
    pub(super) anonymous: Option<Access>,
    pub(super) audiences: Vec<String>,
    pub(super) access_life: Option<Duration>,
    pub(super) refresh_life: Option<Duration>,
    pub(super) page: Option<usize>,
    pub(super) largest_page: Option<usize>,
    pub(super) metadata_api: Option<bool>,
    pub(super) abac: bool,
    pub(super) name: Option<String>,
    content: Option<RegistryServerBuilder>,
}

impl AcrServerBuilder {
    /// Takes tokens that `entra` gave, for the audience of Azure's public cloud.
    pub fn with_entra(mut self, entra: &EntraServer) -> Self {
        self.directory = Some(entra.directory());
        self.with_audience("https://containerregistry.azure.net")
    }

    /// Takes tokens for this audience, too.
    pub fn with_audience(mut self, audience: impl Into<String>) -> Self {
        self.audiences.push(audience.into());
        self
    }

    /// An identity of Entra's, by its client ID, with a role.
    pub fn with_identity(mut self, client_id: impl Into<String>, access: Access) -> Self {
        self.principals.insert(client_id.into(), Principal { password: None, access });
        self
    }

    /// A token of the registry's own with a name and a password.
    pub fn with_token(mut self, name: impl Into<String>, password: impl Into<String>, access: Access) -> Self {
        self.principals.insert(name.into(), Principal { password: Some(password.into()), access });
        self
    }

    /// Calls itself by this name, as which it is reached by https through somebody else.
    pub fn with_name(mut self, host: impl Into<String>) -> Self {
        self.name = Some(host.into());
        self
    }

    /// Lets everybody pull, as registries of the higher tiers can.
    pub fn with_anonymous_pull(mut self) -> Self {
        self.anonymous = Some(Access::none().with("*", &["pull"]));
        self
    }

    /// The registry has repository permissions: no scope may name all repositories at once.
    pub fn with_abac(mut self) -> Self {
        self.abac = true;
        self
    }

    /// Sets how long access tokens are good; real ones are for 75 minutes.
    pub fn with_access_token_life(mut self, life: Duration) -> Self {
        self.access_life = Some(life);
        self
    }

    /// Sets how long refresh tokens are good; real ones are for three hours.
    pub fn with_refresh_token_life(mut self, life: Duration) -> Self {
        self.refresh_life = Some(life);
        self
    }

    /// Sets the most entries that one page of a list has; the default is 100.
    pub fn with_page_size(mut self, entries: usize) -> Self {
        self.page = Some(entries);
        self
    }

    /// Refuses pages with more entries than this rather than making them shorter.
    pub fn with_largest_page(mut self, entries: usize) -> Self {
        self.largest_page = Some(entries);
        self
    }

    /// Has no `/acr/v1`, as behind a proxy that lets the distribution protocol through only.
    pub fn without_metadata_api(mut self) -> Self {
        self.metadata_api = Some(false);
        self
    }

    /// Redirects blob downloads to another host, which refuses every request with an `Authorization` header.
    pub fn with_blob_redirects(mut self) -> Self {
        self.content = Some(RegistryServer::builder().with_blob_redirects());
        self
    }

    /// Starts the registry on a free port of 127.0.0.1.
    ///
    /// # Errors
    ///
    /// If no port can be had.
    pub async fn start(mut self) -> Result<AcrServer> {
        let content = self.content.take().unwrap_or_default().start().await?;
        let io = |error| Error::io("listen for clients", "127.0.0.1", error);
        let listener = TcpListener::bind("127.0.0.1:0").await.map_err(io)?;
        let host = listener.local_addr().map_err(io)?.to_string();
        let shared = Arc::new(Shared {
            host,
            principals: Mutex::new(std::mem::take(&mut self.principals)),
            options: self,
            content,
            tokens: Mutex::default(),
            moves: Mutex::default(),
            faults: Mutex::default(),
            log: Mutex::default(),
            firewall: AtomicBool::new(false),
        });
        let router = Router::new().fallback(answer::serve).with_state(Arc::clone(&shared));
        let task = tokio::spawn(async move {
            // Serving has no error of its own.
            let _ = axum::serve(listener, router).await;
        });
        Ok(AcrServer { shared, task })
    }
}

/// What the requests and the handle share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) host: String,
    pub(super) options: AcrServerBuilder,
    pub(super) content: RegistryServer,
    pub(super) principals: Mutex<HashMap<String, Principal>>,
    pub(super) tokens: Mutex<Tokens>,
    pub(super) moves: Mutex<Moves>,
    pub(super) faults: Mutex<Faults>,
    pub(super) log: Mutex<RequestLog>,
    pub(super) firewall: AtomicBool,
}

/// A registry of Azure's on a loopback port, for as long as this value lives.
///
/// `/oauth2/exchange` and `/oauth2/token` give tokens by what somebody may do, `/acr/v1` lists with digests and times,
/// `/v2` is that of a [`RegistryServer`] behind it.
#[derive(Debug)]
pub struct AcrServer {
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

impl AcrServer {
    /// Sets up a registry that nobody may read.
    pub fn builder() -> AcrServerBuilder {
        AcrServerBuilder::default()
    }

    /// Where it listens, `127.0.0.1:PORT`.
    pub fn host(&self) -> String {
        self.shared.host.clone()
    }

    /// The registry that holds the content, for faults of blobs and manifests.
    pub fn content(&self) -> &RegistryServer {
        &self.shared.content
    }

    /// Puts an artifact in; its tag has moved now.
    pub fn push(&self, artifact: &dyn Artifact, repository: &str, tag: &str) {
        self.shared.content.push(artifact, repository, tag);
        lock(&self.shared.moves).note(repository, tag);
    }

    /// Takes a tag away; whether it was there.
    pub fn delete_tag(&self, repository: &str, tag: &str) -> bool {
        self.shared.content.delete_tag(repository, tag)
    }

    /// Changes what somebody may do. Tokens that were given out keep what they grant.
    pub fn set_access(&self, name: &str, access: Access) {
        if let Some(principal) = lock(&self.shared.principals).get_mut(name) {
            principal.access = access;
        }
    }

    /// Changes a token's password.
    pub fn set_password(&self, name: &str, password: &str) {
        if let Some(principal) = lock(&self.shared.principals).get_mut(name) {
            principal.password = Some(password.to_owned());
        }
    }

    /// A refresh token as `docker login` keeps one.
    pub fn refresh_token(&self, name: &str) -> String {
        self.shared.give_refresh(name)
    }

    /// Takes all access tokens back.
    pub fn expire_access_tokens(&self) {
        lock(&self.shared.tokens).access.clear();
    }

    /// Takes all refresh tokens back.
    pub fn expire_refresh_tokens(&self) {
        lock(&self.shared.tokens).refresh.clear();
    }

    /// Lets nobody in from here, or everybody again.
    pub fn set_firewall(&self, closed: bool) {
        self.shared.firewall.store(closed, Ordering::SeqCst);
    }

    /// Plans a fault of anything but the content.
    pub fn inject(&self, fault: Fault) {
        lock(&self.shared.faults).planned.push(fault);
    }

    /// All requests since the start or the last [`AcrServer::clear_requests`], oldest first.
    pub fn requests(&self) -> Vec<RequestRecord> {
        lock(&self.shared.log).iter().cloned().collect()
    }

    /// How many requests have this in their path.
    pub fn count_requests(&self, part: &str) -> usize {
        lock(&self.shared.log).iter().filter(|request| request.path.contains(part)).count()
    }

    /// How many requests there were of each kind: method and path, without what names a repository's content.
    pub fn summary(&self) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        for request in lock(&self.shared.log).iter() {
            *counts.entry(format!("{} {} {}", request.method, request.path, request.status)).or_default() += 1;
        }
        counts
    }

    /// Forgets the requests so far.
    pub fn clear_requests(&self) {
        lock(&self.shared.log).clear();
    }
}

impl Shared {
    /// What the registry calls itself.
    pub(super) fn name(&self) -> &str {
        self.options.name.as_deref().unwrap_or(&self.host)
    }
}

impl Drop for AcrServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}
