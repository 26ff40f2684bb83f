//! The handle of a running stand-in.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::dispatch::Connection;
use super::model::Model;
use super::{ScoutFault, ScoutImage, ScoutRepository, ScoutServerBuilder, ScoutTransaction, Shared, dispatch, lock};
use crate::registry::gate::{Gate, GatedListener};
use crate::{Error, RequestRecord, Result};

/// A stand-in for Docker Scout's API on a port of 127.0.0.1, for as long as this value lives.
///
/// It signs in, answers the GraphQL queries that are publicly known, takes metadata in and serves metrics. What it was
/// sent can be looked at, and it fails in every way that a service can.
///
/// # Examples
///
/// ```
/// use supercargo_testkit::{ScoutFault, ScoutServer};
///
/// # fn main() -> Result<(), supercargo_testkit::Error> {
/// # let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
/// # runtime.block_on(async {
/// let server = ScoutServer::builder().with_organization("acme").with_credentials("acme", "secret").start().await?;
/// server.inject(ScoutFault::status(503).on_path("/graphql"));
/// assert!(server.url().starts_with("http://127.0.0.1:"));
/// assert!(server.images().is_empty() && server.problems().is_empty());
/// server.shutdown().await;
/// # Ok(())
/// # })
/// # }
/// ```
#[derive(Debug)]
pub struct ScoutServer {
    shared: Arc<Shared>,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<()>,
}

impl ScoutServer {
    /// Starts a stand-in for the organization `acme` that lets everyone in.
    ///
    /// # Errors
    ///
    /// If no port can be had.
    pub async fn start() -> Result<Self> {
        Self::builder().start().await
    }

    /// Sets up a stand-in.
    pub fn builder() -> ScoutServerBuilder {
        ScoutServerBuilder::default()
    }

    pub(super) async fn start_with(options: ScoutServerBuilder) -> Result<Self> {
        let io = |error| Error::io("listen for clients", format!("127.0.0.1:{}", options.port), error);
        let inner = TcpListener::bind(("127.0.0.1", options.port)).await.map_err(io)?;
        let address = inner.local_addr().map_err(io)?;
        let gate = Arc::new(Gate::default());
        let model =
            Model { enrolled: options.enrolled, repositories: options.repositories.clone(), ..Model::default() };
        let shared = Arc::new(Shared {
            address,
            gate: Arc::clone(&gate),
            tokens: Mutex::default(),
            faults: Mutex::default(),
            model: Mutex::new(model),
            log: Mutex::default(),
            options,
        });
        let router = Router::new().fallback(dispatch::serve).with_state(Arc::clone(&shared));
        let service = router.into_make_service_with_connect_info::<Connection>();
        let (stop, stopped) = oneshot::channel::<()>();
        let task = tokio::spawn(async move {
            let shutdown = async move {
                // An error says that the handle is gone, which ends the server as well.
                let _ = stopped.await;
            };
            // Serving has no error of its own: failed accepts are retried by the listener.
            let _ = axum::serve(GatedListener { inner, gate }, service).with_graceful_shutdown(shutdown).await;
        });
        Ok(Self { shared, stop: Some(stop), task })
    }

    /// Its address, `http://127.0.0.1:PORT`: of the API and of the sign-in alike.
    pub fn url(&self) -> String {
        format!("http://{}", self.shared.address)
    }

    /// Stops it and cuts its connections.
    pub async fn shutdown(mut self) {
        self.stop();
        // An aborted task is awaited for its listener to be closed; how it ended does not matter.
        let _ = (&mut self.task).await;
    }

    fn stop(&mut self) {
        self.shared.gate.close();
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
        self.task.abort();
    }

    // What it was sent.

    /// The images that it was told of, by digest.
    pub fn images(&self) -> Vec<ScoutImage> {
        lock(&self.shared.model).images.values().cloned().collect()
    }

    /// The image with this digest.
    pub fn image(&self, digest: &str) -> Option<ScoutImage> {
        lock(&self.shared.model).images.get(digest).cloned()
    }

    /// How many images have their SBOM whole.
    pub fn indexed(&self) -> usize {
        lock(&self.shared.model).images.values().filter(|image| image.state() == Some("INDEXED")).count()
    }

    /// The repositories that it knows.
    pub fn repositories(&self) -> Vec<ScoutRepository> {
        lock(&self.shared.model).repositories.clone()
    }

    /// Whether the organization takes part.
    pub fn is_enrolled(&self) -> bool {
        lock(&self.shared.model).enrolled
    }

    /// The images that it was asked to index by itself, as `repository@digest`.
    pub fn asked_to_index(&self) -> Vec<String> {
        lock(&self.shared.model).asked_to_index.clone()
    }

    /// The transactions that came, oldest first, those that were refused among them.
    pub fn transactions(&self) -> Vec<ScoutTransaction> {
        lock(&self.shared.model).transactions.clone()
    }

    /// Why transactions were refused. A client that does what it should leaves this empty.
    pub fn problems(&self) -> Vec<String> {
        lock(&self.shared.model).transactions.iter().filter_map(|taken| taken.refusal.clone()).collect()
    }

    /// All requests since the start, oldest first.
    pub fn requests(&self) -> Vec<RequestRecord> {
        lock(&self.shared.log).iter().cloned().collect()
    }

    /// How many requests had this in their path.
    pub fn count_requests(&self, path_part: &str) -> usize {
        lock(&self.shared.log).iter().filter(|request| request.path.contains(path_part)).count()
    }

    // Faults.

    /// Plans a fault. Earlier ones come first.
    pub fn inject(&self, fault: ScoutFault) {
        lock(&self.shared.faults).planned.push(fault);
    }

    /// Takes back all faults that are planned.
    pub fn clear_faults(&self) {
        lock(&self.shared.faults).planned.clear();
    }

    /// Waits this long before every answer.
    pub fn set_latency(&self, latency: Duration) {
        lock(&self.shared.faults).latency = latency;
    }

    /// Drops every connection, new ones and those in use, until [`ScoutServer::resume`].
    pub fn pause(&self) {
        self.shared.gate.close();
    }

    /// Ends a pause.
    pub fn resume(&self) {
        self.shared.gate.open();
    }

    /// Makes every access token invalid.
    pub fn expire_tokens(&self) {
        lock(&self.shared.tokens).expire();
    }
}

impl Drop for ScoutServer {
    fn drop(&mut self) {
        self.stop();
    }
}
