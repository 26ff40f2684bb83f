//! The handle of a running server.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::response::Response;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::auth::Tokens;
use super::fault::BlobFault;
use super::gate::{Gate, GatedListener};
use super::notify::{Change, Notifier};
use super::{Fault, RegistryServerBuilder, RequestRecord, Shared, dispatch, lock, manifests};
use crate::{Artifact, Client, Credentials, Error, Result};

/// A container registry on a port of 127.0.0.1, for as long as this value lives.
///
/// It speaks the distribution protocol: `/v2/`, the catalog and tags with paging, manifests,
/// blobs with ranges, uploads and mounts, referrers, deletes; with Basic or token authentication
/// and notifications where [`RegistryServer::builder`] sets them up. Its content is in memory.
///
/// The rest of its methods look behind the protocol: they put content in, read the log of
/// requests and make requests fail.
#[derive(Debug)]
pub struct RegistryServer {
    shared: Arc<Shared>,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<()>,
}

impl RegistryServer {
    /// Starts an open registry on a free port.
    ///
    /// # Errors
    ///
    /// If no port can be had.
    pub async fn start() -> Result<Self> {
        Self::builder().start().await
    }

    /// Sets up a registry.
    pub fn builder() -> RegistryServerBuilder {
        RegistryServerBuilder::default()
    }

    pub(super) async fn start_with(options: RegistryServerBuilder) -> Result<Self> {
        let io = |error| Error::io("listen for clients", format!("127.0.0.1:{}", options.port), error);
        let inner = TcpListener::bind(("127.0.0.1", options.port)).await.map_err(io)?;
        let address = inner.local_addr().map_err(io)?;
        let gate = Arc::new(Gate::default());
        let shared = Arc::new(Shared {
            address,
            gate: Arc::clone(&gate),
            content: Mutex::default(),
            faults: Mutex::default(),
            tokens: Mutex::new(Tokens::new(options.credentials.clone())),
            log: Mutex::default(),
            notifier: Notifier::start(&options.notifications)?,
            options,
        });
        let router = Router::new().fallback(dispatch::serve).with_state(Arc::clone(&shared));
        let (stop, stopped) = oneshot::channel::<()>();
        let task = tokio::spawn(async move {
            let shutdown = async move {
                // An error says that the handle is gone, which ends the server as well.
                let _ = stopped.await;
            };
            // Serving has no error of its own: failed accepts are retried by the listener.
            let _ = axum::serve(GatedListener { inner, gate }, router).with_graceful_shutdown(shutdown).await;
        });
        Ok(Self { shared, stop: Some(stop), task })
    }

    /// What another server needs to answer in this one's place.
    pub(crate) fn shared(&self) -> Arc<Shared> {
        Arc::clone(&self.shared)
    }

    /// Where it listens, `127.0.0.1:PORT`: the registry part of references to its images.
    pub fn host(&self) -> String {
        self.shared.host()
    }

    /// A client with the credentials that the server asks for.
    pub fn client(&self) -> Client {
        let client = Client::new(self.host());
        match lock(&self.shared.tokens).credentials.clone() {
            Some(credentials) => client.with_credentials(credentials),
            None => client,
        }
    }

    /// What answers its requests, for servers that have a registry within them.
    pub(crate) fn handler(&self) -> Handler {
        Handler(Arc::clone(&self.shared))
    }

    /// Each tag of a repository with the digest and the media type of its manifest.
    pub(crate) fn tagged(&self, repository: &str) -> Vec<(String, String, String)> {
        let content = lock(&self.shared.content);
        let Some(held) = content.repositories.get(repository) else { return Vec::new() };
        let tags = held.tags.iter().filter_map(|(tag, digest)| Some((tag, digest, held.manifests.get(digest)?)));
        tags.map(|(tag, digest, manifest)| (tag.clone(), digest.clone(), manifest.media_type.clone())).collect()
    }

    /// The digests of manifests that no tag points to.
    pub(crate) fn untagged(&self, repository: &str) -> Vec<String> {
        let content = lock(&self.shared.content);
        let Some(held) = content.repositories.get(repository) else { return Vec::new() };
        held.manifests.keys().filter(|digest| !held.tags.values().any(|tagged| tagged == *digest)).cloned().collect()
    }

    /// Stops the server and cuts its connections.
    pub async fn shutdown(mut self) {
        self.stop();
        // An aborted task is awaited for its listener to be closed; how it ended does not matter.
        let _ = (&mut self.task).await;
    }

    fn stop(&mut self) {
        self.shared.gate.close();
        self.shared.notifier.stop();
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
        self.task.abort();
    }

    // Content.

    /// Puts an artifact in as it is, broken or not, and sends the notification of its push.
    pub fn push(&self, artifact: &dyn Artifact, repository: &str, tag: &str) {
        lock(&self.shared.content).store(artifact, repository, tag);
        for manifest in artifact.manifests() {
            let tag = (manifest.digest() == artifact.root().digest()).then_some(tag);
            let change = Change::pushed(
                repository,
                tag,
                manifest.digest(),
                &manifest.descriptor.media_type,
                manifest.bytes.len(),
            );
            self.shared.notifier.send(&change, &self.host());
        }
    }

    /// Takes a tag away and sends the notification; whether it was there.
    pub fn delete_tag(&self, repository: &str, tag: &str) -> bool {
        let deleted = lock(&self.shared.content).delete_tag(repository, tag);
        self.notify_deleted(repository, deleted)
    }

    /// Takes a manifest away with the tags that point to it and sends the notifications; whether
    /// it was there.
    pub fn delete_manifest(&self, repository: &str, digest: &str) -> bool {
        let deleted = lock(&self.shared.content).delete_manifest(repository, digest);
        self.notify_deleted(repository, deleted)
    }

    fn notify_deleted(&self, repository: &str, deleted: Option<super::content::Deleted>) -> bool {
        let Some(deleted) = deleted else { return false };
        manifests::notify_deleted(&self.shared, repository, &deleted, None);
        true
    }

    /// Takes a blob away, as a careless garbage collection does; whether it was there.
    pub fn remove_blob(&self, digest: &str) -> bool {
        lock(&self.shared.content).blobs.remove(digest).is_some()
    }

    /// Takes a whole repository away, without a notification; whether it was there.
    pub fn remove_repository(&self, repository: &str) -> bool {
        lock(&self.shared.content).repositories.remove(repository).is_some()
    }

    /// The repositories, sorted.
    pub fn repositories(&self) -> Vec<String> {
        lock(&self.shared.content).repositories.keys().cloned().collect()
    }

    /// The tags of a repository, sorted; none if there is no such repository.
    pub fn tags(&self, repository: &str) -> Vec<String> {
        let content = lock(&self.shared.content);
        content.repositories.get(repository).map(|held| held.tags.keys().cloned().collect()).unwrap_or_default()
    }

    /// The digest of the manifest that a tag or digest names.
    pub fn digest_of(&self, repository: &str, reference: &str) -> Option<String> {
        lock(&self.shared.content).repositories.get(repository)?.resolve(reference).map(str::to_owned)
    }

    /// Digest, media type and size of a repository's manifests, tagged or not.
    pub(crate) fn manifests(&self, repository: &str) -> Vec<(String, String, usize)> {
        let content = lock(&self.shared.content);
        let held = content.repositories.get(repository).map(|held| &held.manifests);
        let row = |(digest, manifest): (&String, &super::content::StoredManifest)| {
            (digest.clone(), manifest.media_type.clone(), manifest.bytes.len())
        };
        held.map(|manifests| manifests.iter().map(row).collect()).unwrap_or_default()
    }

    // The log.

    /// All requests since the start or the last [`RegistryServer::clear_requests`], oldest first.
    pub fn requests(&self) -> Vec<RequestRecord> {
        lock(&self.shared.log).iter().cloned().collect()
    }

    /// How many times the blob was downloaded, in whole or in part. Downloads that were redirected
    /// count at the registry, not at the storage.
    pub fn blob_requests(&self, digest: &str) -> usize {
        let ending = format!("/blobs/{digest}");
        self.count_requests(|request| request.method == "GET" && request.path.ends_with(&ending))
    }

    /// How many requests are like this.
    pub fn count_requests(&self, like: impl Fn(&RequestRecord) -> bool) -> usize {
        lock(&self.shared.log).iter().filter(|request| like(request)).count()
    }

    /// Forgets the requests so far.
    pub fn clear_requests(&self) {
        lock(&self.shared.log).clear();
    }

    // Faults.

    /// Answers the next `times` requests, whatever they are, with `status`.
    pub fn fail_next(&self, times: usize, status: u16) {
        self.inject(Fault::new(status).with_times(times));
    }

    /// Plans a fault. Earlier ones come first.
    pub fn inject(&self, fault: Fault) {
        lock(&self.shared.faults).planned.push(fault);
    }

    /// Serves the first half of the blob as if it were all of it.
    pub fn truncate_blob(&self, digest: &str) {
        self.set_blob_fault(digest, BlobFault::Truncated);
    }

    /// Serves the blob with another byte in its middle.
    pub fn corrupt_blob(&self, digest: &str) {
        self.set_blob_fault(digest, BlobFault::Corrupted);
    }

    /// Closes the connection after `after` bytes in the next `times` downloads of the blob.
    pub fn cut_blob(&self, digest: &str, after: usize, times: usize) {
        if times > 0 {
            self.set_blob_fault(digest, BlobFault::Cut { after, times });
        }
    }

    /// Serves the blob as it is again.
    pub fn repair_blob(&self, digest: &str) {
        lock(&self.shared.faults).blobs.remove(digest);
    }

    fn set_blob_fault(&self, digest: &str, fault: BlobFault) {
        lock(&self.shared.faults).blobs.insert(digest.into(), fault);
    }

    /// Refuses everything about a repository with 403.
    pub fn deny(&self, repository: impl Into<String>) {
        lock(&self.shared.faults).denied.insert(repository.into());
    }

    /// Takes [`RegistryServer::deny`] back.
    pub fn allow(&self, repository: &str) {
        lock(&self.shared.faults).denied.remove(repository);
    }

    /// Waits this long before every answer.
    pub fn set_latency(&self, latency: Duration) {
        lock(&self.shared.faults).latency = latency;
    }

    /// Drops every connection, new ones and those in use, until [`RegistryServer::resume`].
    pub fn pause(&self) {
        self.shared.gate.close();
    }

    /// Ends a pause.
    pub fn resume(&self) {
        self.shared.gate.open();
    }

    /// Makes every access token invalid; refresh tokens stay good.
    pub fn expire_tokens(&self) {
        lock(&self.shared.tokens).expire();
    }

    /// Changes who is let in, as when a password is rotated. Tokens that were given out stay good.
    pub fn set_credentials(&self, credentials: Credentials) {
        lock(&self.shared.tokens).credentials = Some(credentials);
    }

    // Notifications.

    /// Loses events from now on, until [`RegistryServer::unmute_notifications`].
    pub fn mute_notifications(&self) {
        self.shared.notifier.mute();
    }

    /// Sends events again.
    pub fn unmute_notifications(&self) {
        self.shared.notifier.unmute();
    }

    /// Deliveries that are still to be made.
    pub fn pending_notifications(&self) -> usize {
        self.shared.notifier.pending()
    }

    /// Deliveries that were answered with 2xx or 3xx.
    pub fn delivered_notifications(&self) -> usize {
        self.shared.notifier.delivered()
    }
}

/// See [`RegistryServer::handler`].
#[derive(Debug, Clone)]
pub(crate) struct Handler(Arc<Shared>);

impl Handler {
    pub(crate) async fn answer(&self, request: Request) -> Response {
        dispatch::serve(State(Arc::clone(&self.0)), request).await
    }
}

impl Drop for RegistryServer {
    fn drop(&mut self) {
        self.stop();
    }
}
