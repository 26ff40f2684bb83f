//! Notifications in the envelope of CNCF Distribution
//! (distribution/distribution `notifications/event.go` and `notifications/http.go`).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use http::request::Parts;
use http::{Uri, header};
use serde_json::{Value, json};
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};
use tokio::task::JoinHandle;

use crate::http_client::{self, Outgoing};
use crate::{Error, ErrorKind, Result};

/// The pause after a failed delivery; Distribution waits a second, tests are less patient.
const PAUSE: Duration = Duration::from_millis(100);
/// How long an endpoint may take, the default of Distribution.
const PATIENCE: Duration = Duration::from_secs(1);

/// An address that hears of every manifest that is pushed or deleted.
///
/// Events go out one by one and in order. Whatever is not answered with 2xx or 3xx is sent again
/// until it is, for as long as the server runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notification {
    url: String,
    headers: Vec<(String, String)>,
    generation: Generation,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Generation {
    V2,
    V3,
}

impl Notification {
    /// Posts to `http://host[:port]/path` what Distribution 3 posts.
    pub fn new(url: impl Into<String>) -> Self {
        Self { url: url.into(), headers: Vec::new(), generation: Generation::V3 }
    }

    /// Adds a header to every delivery.
    pub fn with_header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Posts what Distribution 2 posts: the older media type, no events for tags, and no empty
    /// members in deletes.
    pub fn as_distribution_2(mut self) -> Self {
        self.generation = Generation::V2;
        self
    }

    fn media_type(&self) -> &'static str {
        match self.generation {
            Generation::V2 => "application/vnd.docker.distribution.events.v1+json",
            Generation::V3 => "application/vnd.docker.distribution.events.v2+json",
        }
    }

    fn target(&self) -> Result<Uri> {
        let invalid = || Error::new(ErrorKind::Invalid, "use the address of a notification", &*self.url);
        let uri: Uri = self.url.parse().map_err(|error: http::uri::InvalidUri| invalid().with_source(error))?;
        if uri.scheme_str() == Some("http") && uri.authority().is_some() { Ok(uri) } else { Err(invalid()) }
    }
}

/// Something that happened to a manifest or a tag.
#[derive(Debug, Clone)]
pub(super) struct Change {
    action: &'static str,
    repository: String,
    tag: Option<String>,
    digest: Option<String>,
    media_type: String,
    size: usize,
    host: Option<String>,
    user_agent: String,
}

impl Change {
    fn new(action: &'static str, repository: &str) -> Self {
        Self {
            action,
            repository: repository.into(),
            tag: None,
            digest: None,
            media_type: String::new(),
            size: 0,
            host: None,
            user_agent: "supercargo-testkit".into(),
        }
    }

    pub(super) fn pushed(repository: &str, tag: Option<&str>, digest: &str, media_type: &str, size: usize) -> Self {
        Self {
            tag: tag.map(str::to_owned),
            digest: Some(digest.into()),
            media_type: media_type.into(),
            size,
            ..Self::new("push", repository)
        }
    }

    pub(super) fn deleted_manifest(repository: &str, digest: &str) -> Self {
        Self { digest: Some(digest.into()), ..Self::new("delete", repository) }
    }

    pub(super) fn deleted_tag(repository: &str, tag: &str) -> Self {
        Self { tag: Some(tag.into()), ..Self::new("delete", repository) }
    }

    /// Takes over what the request says about its sender.
    pub(super) fn with_request(mut self, request: &Parts) -> Self {
        let text = |name| request.headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        self.host = text(header::HOST);
        self.user_agent = text(header::USER_AGENT).unwrap_or_default();
        self
    }

    fn envelope(&self, generation: Generation, number: u64, own_host: &str) -> Value {
        let host = self.host.as_deref().unwrap_or(own_host);
        let mut target = json!({ "repository": self.repository });
        if self.action == "push" || generation == Generation::V3 {
            target["mediaType"] = json!(self.media_type);
            target["digest"] = json!(self.digest.as_deref().unwrap_or_default());
            target["size"] = json!(self.size);
        }
        if let Some(digest) = &self.digest {
            target["digest"] = json!(digest);
        }
        if self.action == "push" {
            let digest = self.digest.as_deref().unwrap_or_default();
            target["length"] = json!(self.size);
            target["url"] = json!(format!("http://{host}/v2/{}/manifests/{digest}", self.repository));
        }
        if let Some(tag) = &self.tag {
            target["tag"] = json!(tag);
        }
        let method = if self.action == "push" { "PUT" } else { "DELETE" };
        json!({ "events": [{
            "id": format!("00000000-0000-4000-9000-{number:012x}"),
            "timestamp": jiff::Timestamp::now().to_string(),
            "action": self.action,
            "target": target,
            "request": {
                "id": format!("00000000-0000-4000-a000-{number:012x}"),
                "addr": "127.0.0.1",
                "host": host,
                "method": method,
                "useragent": self.user_agent,
            },
            "actor": {},
            "source": { "addr": own_host, "instanceID": "00000000-0000-4000-b000-000000000001" },
        }] })
    }

    fn is_for(&self, generation: Generation) -> bool {
        generation == Generation::V3 || self.action == "push" || self.digest.is_some()
    }
}

/// Counts of deliveries, shared with the tasks that make them.
#[derive(Debug, Default)]
struct Tally {
    pending: AtomicUsize,
    delivered: AtomicUsize,
}

/// Hands events to one task per endpoint.
#[derive(Debug)]
pub(super) struct Notifier {
    // Unbounded like the queue of Distribution: a push never waits for a notification.
    queues: Vec<(Generation, UnboundedSender<Value>)>,
    tasks: Vec<JoinHandle<()>>,
    tally: Arc<Tally>,
    muted: AtomicBool,
    number: AtomicU64,
}

impl Notifier {
    /// Starts the tasks.
    pub(super) fn start(notifications: &[Notification]) -> Result<Self> {
        let targets = notifications.iter().map(Notification::target).collect::<Result<Vec<_>>>()?;
        let tally = Arc::new(Tally::default());
        let mut queues = Vec::new();
        let mut tasks = Vec::new();
        for (notification, target) in notifications.iter().zip(targets) {
            let (sender, receiver) = mpsc::unbounded_channel();
            queues.push((notification.generation, sender));
            tasks.push(tokio::spawn(deliver(notification.clone(), target, receiver, Arc::clone(&tally))));
        }
        Ok(Self { queues, tasks, tally, muted: AtomicBool::new(false), number: AtomicU64::new(0) })
    }

    pub(super) fn send(&self, change: &Change, own_host: &str) {
        if self.muted.load(Ordering::SeqCst) {
            return;
        }
        let number = self.number.fetch_add(1, Ordering::SeqCst) + 1;
        for (generation, queue) in self.queues.iter().filter(|(generation, _)| change.is_for(*generation)) {
            self.tally.pending.fetch_add(1, Ordering::SeqCst);
            // The task ends with the server; nobody waits for its events then.
            let _ = queue.send(change.envelope(*generation, number, own_host));
        }
    }

    pub(super) fn mute(&self) {
        self.muted.store(true, Ordering::SeqCst);
    }

    pub(super) fn unmute(&self) {
        self.muted.store(false, Ordering::SeqCst);
    }

    pub(super) fn pending(&self) -> usize {
        self.tally.pending.load(Ordering::SeqCst)
    }

    pub(super) fn delivered(&self) -> usize {
        self.tally.delivered.load(Ordering::SeqCst)
    }

    pub(super) fn stop(&self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

async fn deliver(notification: Notification, target: Uri, mut queue: UnboundedReceiver<Value>, tally: Arc<Tally>) {
    let authority = target.authority().map(ToString::to_string).unwrap_or_default();
    let path = target.path_and_query().map_or("/", |path| path.as_str());
    let mut headers = vec![("Content-Type".to_owned(), notification.media_type().to_owned())];
    headers.extend(notification.headers);
    while let Some(envelope) = queue.recv().await {
        let body = envelope.to_string();
        loop {
            let request =
                Outgoing { authority: &authority, method: "POST", path, headers: &headers, body: body.as_bytes() };
            let reply = tokio::time::timeout(PATIENCE, http_client::send(request)).await;
            if matches!(reply, Ok(Ok(reply)) if (200..400).contains(&reply.status)) {
                break;
            }
            tokio::time::sleep(PAUSE).await;
        }
        tally.pending.fetch_sub(1, Ordering::SeqCst);
        tally.delivered.fetch_add(1, Ordering::SeqCst);
    }
}
