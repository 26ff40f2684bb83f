//! Deliveries: stored first, answered then.

use std::sync::Arc;

use supercargo_events::{Action, Answer, Reception, RegistryEvent, Request, Source, Verdict};
use supercargo_registry::{RegistryHost, Repository, TagName};
use supercargo_store::{Accepted, Enqueued, EventState, Lane, NewEvent, NewJob, RepositoryName, TagOrDigest, Work};
use tracing::{debug, error, info, warn};

use crate::failure::chain;
use crate::shared::Shared;
use crate::{Error, ErrorKind, Progress, Result, Watch};

/// Headers that help to understand a delivery later. All others are dropped: they may carry secrets.
const HEADERS: [&str; 6] = ["content-type", "content-length", "user-agent", "x-request-id", "ce-id", "ce-type"];

/// Takes deliveries. Cheap to clone.
#[derive(Clone)]
pub struct Intake {
    shared: Arc<Shared>,
}

/// What was stored of a delivery.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Receipt {
    /// Events that ask for work.
    pub accepted: usize,
    /// Events that had been stored before.
    pub duplicates: usize,
    /// Events that ask for nothing, the reason with each.
    pub ignored: usize,
    /// Deliveries that were not understood.
    pub quarantined: usize,
}

/// A delivery that was dealt with.
#[derive(Clone, Debug)]
pub struct Received {
    /// What to tell the sender.
    pub answer: Answer,
    /// What it was, in a word from a closed set: `events`, `handshake`, `ignored`, `malformed`, `rejected`, or
    /// `unavailable` if it could not be stored.
    pub outcome: &'static str,
    /// What was stored.
    pub receipt: Receipt,
}

impl Intake {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// Receives a delivery for the source that is configured as `name`: lets it be read, stores what it asks for,
    /// and returns the answer. A success in the answer means that everything is on disk.
    pub async fn receive(&self, name: &str, source: &dyn Source, request: &Request<'_>) -> Received {
        let reception = source.receive(request);
        let outcome = reception.verdict.as_str();
        match &reception.verdict {
            Verdict::Rejected(reason) => warn!(source = name, reason, "delivery rejected"),
            Verdict::Malformed(reason) => warn!(source = name, reason, "delivery not understood"),
            Verdict::Ignored(reason) => debug!(source = name, reason, "delivery ignored"),
            Verdict::Events(_) | Verdict::Setup(_) | Verdict::Handshake | Verdict::Confirm(_) | Verdict::Needs(_) => {}
        }
        match self.accept(name, request, &reception).await {
            Ok(receipt) => Received { answer: reception.answer, outcome, receipt },
            Err(error) => {
                error!(source = name, error = chain(&error), "delivery not stored");
                Received { answer: Answer::unavailable(), outcome: "unavailable", receipt: Receipt::default() }
            }
        }
    }

    /// Stores what `reception` says, with the delivery as it came. Rejected deliveries, handshakes and deliveries
    /// without an event of interest leave nothing.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Store`] or [`ErrorKind::Stopping`]. Some of a delivery's events may have been stored: the sender
    /// repeats it, and they are then duplicates.
    pub async fn accept(&self, name: &str, request: &Request<'_>, reception: &Reception) -> Result<Receipt> {
        if !self.shared.monitor.accepts() {
            return Err(Error::new(ErrorKind::Stopping, "store a delivery: the engine is stopping"));
        }
        let mut receipt = Receipt::default();
        match &reception.verdict {
            Verdict::Rejected(_) | Verdict::Setup(_) | Verdict::Handshake | Verdict::Confirm(_) | Verdict::Needs(_) => {
            }
            // Pulls and layer uploads outnumber pushes by far. Nothing follows from them, so nothing is written.
            Verdict::Ignored(_) => receipt.ignored += 1,
            Verdict::Malformed(reason) => {
                let key = body_key(request.body);
                let event = record(name, key, EventState::Quarantined, Some(reason.clone()), None, request);
                self.store(event, Vec::new(), &mut receipt).await?;
            }
            Verdict::Events(events) => {
                for event in events {
                    self.accept_event(name, request, event, &mut receipt).await?;
                }
            }
        }
        Ok(receipt)
    }

    /// Asks for a look at a tag, a manifest or a whole repository, as urgently as a push.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotWatched`], [`ErrorKind::Store`], [`ErrorKind::Stopping`].
    pub async fn refresh(&self, repository: RepositoryName, reference: Option<TagOrDigest>) -> Result<Enqueued> {
        if !self.shared.monitor.accepts() {
            return Err(Error::new(ErrorKind::Stopping, "ask for a refresh: the engine is stopping"));
        }
        if self.shared.watch(&repository.registry).is_none() {
            let message = format!("ask for a refresh: registry {} is not watched", repository.registry);
            return Err(Error::new(ErrorKind::NotWatched, message));
        }
        let work = match reference {
            Some(reference @ TagOrDigest::Digest(_)) => Work::Index { repository, reference },
            reference => Work::Refresh { repository, reference },
        };
        let job = self.shared.job(work.clone(), Lane::Push);
        let enqueued =
            self.shared.store.enqueue(vec![job]).await.map_err(|error| Error::store("ask for a refresh", error))?;
        self.shared.monitor.tell(Progress::Queued { work, lane: Lane::Push });
        Ok(enqueued.first().copied().expect("one request has one answer"))
    }

    async fn accept_event(
        &self,
        name: &str,
        request: &Request<'_>,
        event: &RegistryEvent,
        receipt: &mut Receipt,
    ) -> Result<()> {
        let key = event.dedup_key.clone();
        match self.plan(event) {
            Ok((watch, work)) => {
                let registry = watch.host().to_owned();
                let job = self.shared.job(work, Lane::Push);
                let record = record(name, key, EventState::Accepted, None, Some(registry.clone()), request);
                self.store(record, vec![job], receipt).await?;
                let now = self.shared.clock.now();
                self.shared.monitor.registry(&registry, |status| status.last_event = Some(now));
            }
            Err(reason) => {
                info!(source = name, repository = event.repository, reason, "event ignored");
                let record = record(name, key, EventState::Ignored, Some(reason), None, request);
                self.store(record, Vec::new(), receipt).await?;
            }
        }
        Ok(())
    }

    /// What an event asks for, or why it asks for nothing.
    fn plan(&self, event: &RegistryEvent) -> Result<(&Arc<Watch>, Work), String> {
        let watch = self.watch(event.host.as_deref())?;
        let Ok(repository) = event.repository.parse::<Repository>() else {
            return Err(format!("`{}` is no repository name", event.repository));
        };
        if !watch.has_repository(&repository) {
            return Err(format!("repository {repository} is not watched"));
        }
        let tag = match &event.tag {
            Some(tag) => match tag.parse::<TagName>() {
                Ok(tag) if watch.has_tag(&tag) => Some(tag),
                Ok(tag) => return Err(format!("tag {tag} is not watched")),
                Err(_) => return Err(format!("`{tag}` is no tag")),
            },
            None => None,
        };
        let name = watch.name(&repository);
        let tag = tag.map(|tag| TagOrDigest::Tag(tag.to_string()));
        let digest = event.digest.clone().map(TagOrDigest::Digest);
        let work = match (event.action, tag, digest) {
            // A tag leads to the digest of now, which need not be the event's any more.
            (Action::Pushed | Action::Deleted | Action::Refresh, Some(tag), _) => {
                Work::Refresh { repository: name, reference: Some(tag) }
            }
            (Action::Pushed | Action::Refresh, None, Some(_)) if !watch.tags.is_empty() => {
                return Err("it was pushed without a tag, and only some tags are watched".to_owned());
            }
            (Action::Pushed | Action::Refresh, None, Some(digest)) => {
                Work::Index { repository: name, reference: digest }
            }
            (Action::Deleted, None, Some(digest)) => Work::Refresh { repository: name, reference: Some(digest) },
            (_, None, None) | (Action::RepositoryDeleted, _, _) => Work::Refresh { repository: name, reference: None },
        };
        Ok((watch, work))
    }

    /// The watch for a host. An event without one can only mean the only one there is; an event that names another
    /// is not for us, and must not make us contact anybody.
    fn watch(&self, host: Option<&str>) -> Result<&Arc<Watch>, String> {
        let watches = &self.shared.watches;
        let Some(host) = host else {
            let mut all = watches.values();
            return match (all.next(), all.next()) {
                (Some(only), None) => Ok(only),
                _ => Err("it names no registry, and several are watched: name the source's registry".to_owned()),
            };
        };
        let canonical = host.parse::<RegistryHost>().map_or_else(|_| host.to_owned(), |host| host.to_string());
        watches.get(&canonical).or_else(|| watches.get(host)).ok_or_else(|| {
            format!(
                "registry {canonical} is not watched; if it is another name of one that is, name the source's registry"
            )
        })
    }

    async fn store(&self, event: NewEvent, jobs: Vec<NewJob>, receipt: &mut Receipt) -> Result<()> {
        let state = event.state;
        let work: Vec<Work> = jobs.iter().map(|job| job.work.clone()).collect();
        let accepted =
            self.shared.store.accept(event, jobs).await.map_err(|error| Error::store("store a delivery", error))?;
        if matches!(accepted, Accepted::Duplicate(_)) {
            receipt.duplicates += 1;
            self.shared.monitor.count(|counters| counters.duplicates += 1);
            return Ok(());
        }
        self.shared.monitor.count(|counters| counters.events += 1);
        match state {
            EventState::Accepted => receipt.accepted += 1,
            EventState::Ignored => receipt.ignored += 1,
            EventState::Quarantined => receipt.quarantined += 1,
        }
        for work in work {
            self.shared.monitor.tell(Progress::Queued { work, lane: Lane::Push });
        }
        Ok(())
    }
}

impl std::fmt::Debug for Intake {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Intake").finish_non_exhaustive()
    }
}

fn record(
    source: &str,
    dedupe_key: String,
    state: EventState,
    reason: Option<String>,
    registry: Option<String>,
    request: &Request<'_>,
) -> NewEvent {
    let header = |name: &&str| {
        let value = request.headers.get(*name)?.to_str().ok()?;
        Some(((*name).to_owned(), value.to_owned()))
    };
    NewEvent {
        source: source.to_owned(),
        dedupe_key,
        state,
        reason,
        registry,
        headers: HEADERS.iter().filter_map(header).collect(),
        body: request.body.to_vec(),
    }
}

/// The key of a delivery that gave no event of its own: the same bytes again are the same delivery.
fn body_key(body: &[u8]) -> String {
    use std::hash::{DefaultHasher, Hash as _, Hasher as _};
    // Not a cryptographic hash: a collision that somebody with the secret makes hides one ignored delivery.
    let mut hasher = DefaultHasher::new();
    body.hash(&mut hasher);
    format!("body-{:016x}-{}", hasher.finish(), body.len())
}
