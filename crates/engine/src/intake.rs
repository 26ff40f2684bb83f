//! Deliveries: stored first, answered then.

mod batch;
mod document;
mod plan;
mod record;
mod sample;

use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use jiff::SignedDuration;
use supercargo_events::{Action, Answer, Reception, RegistryEvent, Request, Source, Verdict};
use supercargo_registry::Repository;
use supercargo_store::{
    Accepted, Arrival, Enqueued, EventFilter, EventId, EventRecord, EventState, Lane, NewEvent, Page, Part,
    RepositoryName, TagOrDigest, Work,
};
use tracing::{debug, error, info, warn};

pub(crate) use self::batch::Batcher;
pub use self::document::{Documents, PublicDocuments};
use self::plan::plan;
use self::record::{Kept, batch_key, body_key};
use self::sample::Sampler;
use crate::failure::chain;
use crate::integration::PROBE;
use crate::shared::Shared;
use crate::{Error, ErrorKind, Progress, Result};

/// One of what is ignored is kept in this time, for each source and reason: pulls and layer uploads outnumber pushes
/// by far, and yet somebody may ask what became of them.
const SAMPLES: SignedDuration = SignedDuration::from_mins(10);
/// Bytes of the value that a probe gets back.
const PROBE_LIMIT: usize = 64;
/// A sender without the secret repeats itself for ever; the log says so once in this time.
const COMPLAINTS: SignedDuration = SignedDuration::from_mins(1);

/// Takes deliveries. Cheap to clone.
#[derive(Clone)]
pub struct Intake {
    shared: Arc<Shared>,
}

/// What intakes of one engine share.
#[derive(Debug)]
pub(crate) struct Inbox {
    batcher: Arc<Batcher>,
    documents: Arc<dyn Documents>,
    samples: Sampler,
    complaints: Sampler,
}

impl Inbox {
    pub(crate) fn new(batcher: Arc<Batcher>, documents: Arc<dyn Documents>) -> Self {
        Self { batcher, documents, samples: Sampler::new(SAMPLES), complaints: Sampler::new(COMPLAINTS) }
    }
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
    /// What it was, in a word from a closed set: `events`, `setup`, `handshake`, `confirm`, `ignored`, `malformed`,
    /// `rejected`, `probe` if somebody here wanted to know whether the endpoint is reached, `needs` if a document that decides could not be had, or `unavailable` if it could not be stored.
    pub outcome: &'static str,
    /// What was stored.
    pub receipt: Receipt,
}

/// What a stored delivery came to when it was read again.
#[derive(Clone, Debug)]
pub struct Replayed {
    /// What it was: a word as in [`Received::outcome`].
    pub outcome: &'static str,
    /// The delivery that was stored in its place, if there is one now.
    pub event: Option<EventId>,
    /// Why there is nothing to do, if so.
    pub reason: Option<String>,
    /// What was stored.
    pub receipt: Receipt,
}

/// A probe is told whether it proves itself, and that it came to the right place.
fn answer_probe(reception: Reception, value: HeaderValue) -> Received {
    let answer = match reception.verdict {
        Verdict::Rejected(_) | Verdict::Needs(_) => reception.answer,
        _ => Answer::status(StatusCode::NO_CONTENT),
    };
    let answer = answer.with_header(HeaderName::from_static(PROBE), value);
    Received { answer, outcome: "probe", receipt: Receipt::default() }
}

impl Intake {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// Receives a delivery for the source that is configured as `name`: lets it be read, stores what it asks for,
    /// and returns the answer. A success in the answer means that everything is on disk.
    pub async fn receive(&self, name: &str, source: &dyn Source, request: &Request<'_>) -> Received {
        let reception = self.read(name, source, request).await;
        self.take(name, request, &reception).await
    }

    /// Receives a delivery for the integration `name`, sent by `provider`. `None` if there is no such source.
    pub async fn receive_for(&self, provider: &str, name: &str, request: &Request<'_>) -> Option<Received> {
        let source = self.integration_source(provider, name)?;
        let reception = self.read(name, source.as_ref(), request).await;
        if let Some(value) = request.headers.get(PROBE).filter(|value| value.len() <= PROBE_LIMIT) {
            return Some(answer_probe(reception, value.clone()));
        }
        let received = self.take(name, request, &reception).await;
        if received.outcome != "unavailable" && received.answer.status.is_success() {
            self.heard(name, &reception.verdict);
        }
        Some(received)
    }

    /// What reads the deliveries of the integration `name` that `provider` sends.
    pub fn integration_source(&self, provider: &str, name: &str) -> Option<Arc<dyn Source>> {
        self.shared.tracking.source(provider, name)
    }

    /// What reads a stored delivery of an integration again. Of several sources, the one that understands it.
    pub fn source_of(&self, record: &EventRecord) -> Option<Arc<dyn Source>> {
        let now = self.shared.clock.now();
        let mut sources = self.shared.tracking.sources(&record.event.source);
        let understands = |source: &Arc<dyn Source>| {
            let verdict = source.receive_trusted(&record.event.body, now).verdict;
            !matches!(verdict, Verdict::Malformed(_) | Verdict::Rejected(_))
        };
        let found = sources.iter().position(understands).or((!sources.is_empty()).then_some(0))?;
        Some(sources.swap_remove(found))
    }

    /// Tells the keeper of integrations that something authentic came.
    fn heard(&self, name: &str, verdict: &Verdict) {
        let notice = match verdict {
            Verdict::Setup(notice) => Some(notice.clone()),
            Verdict::Events(_) | Verdict::Ignored(_) | Verdict::Handshake | Verdict::Confirm(_) => None,
            Verdict::Rejected(_) | Verdict::Malformed(_) | Verdict::Needs(_) => return,
        };
        self.shared.tracking.heard(name, self.shared.clock.now(), notice);
    }

    async fn take(&self, name: &str, request: &Request<'_>, reception: &Reception) -> Received {
        let unavailable = |outcome| Received { answer: Answer::unavailable(), outcome, receipt: Receipt::default() };
        let outcome = reception.verdict.as_str();
        match &reception.verdict {
            Verdict::Rejected(reason) => {
                if let Some(more) = self.shared.inbox.complaints.take(name, request.now) {
                    warn!(source = name, reason, more_since = more, "delivery rejected");
                }
            }
            Verdict::Malformed(reason) => warn!(source = name, reason, "delivery not understood"),
            Verdict::Ignored(reason) => debug!(source = name, reason, "delivery ignored"),
            Verdict::Setup(notice) => info!(source = name, set_up = notice.name, status = notice.status, "set-up told"),
            Verdict::Confirm(document) => {
                if let Err(error) = self.shared.inbox.documents.fetch(&document.url).await {
                    warn!(source = name, error = chain(&error), "subscription not confirmed");
                    return unavailable(outcome);
                }
                info!(source = name, "subscription confirmed");
            }
            // The document was not to be had: the source's own answer says what this sender needs then.
            Verdict::Needs(_) => {
                let answer = reception.answer.clone();
                return Received { answer, outcome, receipt: Receipt::default() };
            }
            Verdict::Events(_) | Verdict::Handshake => {}
        }
        match self.accept(name, request, reception).await {
            Ok(receipt) => Received { answer: reception.answer.clone(), outcome, receipt },
            Err(error) => {
                // Every one of a burst fails alike.
                if let Some(more) = self.shared.inbox.complaints.take(error.kind().as_str(), request.now) {
                    error!(source = name, error = chain(&error), more_since = more, "delivery not stored");
                }
                unavailable("unavailable")
            }
        }
    }

    /// Receives a message for the source `name` that came by a way which has proven its sender, such as a queue.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Store`], [`ErrorKind::Overloaded`], [`ErrorKind::Stopping`]: the message is to be left where it is.
    pub async fn receive_trusted(&self, name: &str, source: &dyn Source, body: &[u8]) -> Result<Received> {
        self.receive_pulled(name, source, body, false).await
    }

    /// The same; `integration` says whether the source is one of an integration's.
    pub(crate) async fn receive_pulled(
        &self,
        name: &str,
        source: &dyn Source,
        body: &[u8],
        integration: bool,
    ) -> Result<Received> {
        let now = self.shared.clock.now();
        let reception = source.receive_trusted(body, now);
        let outcome = reception.verdict.as_str();
        match &reception.verdict {
            Verdict::Malformed(reason) => warn!(source = name, reason, "message not understood"),
            verdict => debug!(source = name, outcome = verdict.as_str(), "message received"),
        }
        let headers = HeaderMap::new();
        let method = http::Method::POST;
        let request = Request::new(&method, &headers, body, now);
        let receipt = self.accept(name, &request, &reception).await?;
        if integration {
            self.heard(name, &reception.verdict);
        }
        Ok(Received { answer: reception.answer, outcome, receipt })
    }

    /// Keeps a message of the source `name` aside, for the operator to look at and to replay, with the reason.
    ///
    /// # Errors
    ///
    /// As for [`Intake::receive_trusted`].
    pub(crate) async fn quarantine(&self, name: &str, body: &[u8], reason: String) -> Result<Receipt> {
        let headers = HeaderMap::new();
        let method = http::Method::POST;
        let request = Request::new(&method, &headers, body, self.shared.clock.now());
        let reception = Reception::new(Verdict::Malformed(reason), Answer::status(StatusCode::OK));
        self.accept(name, &request, &reception).await
    }

    /// Reads a stored delivery again, as one that has proven its sender, and stores what it asks for now: for
    /// deliveries that were not understood or of something that was not watched.
    ///
    /// # Errors
    ///
    /// As for [`Intake::receive_trusted`].
    pub async fn replay(&self, record: &EventRecord, source: &dyn Source) -> Result<Replayed> {
        let now = self.shared.clock.now();
        let reception = source.receive_trusted(&record.event.body, now);
        let outcome = reception.verdict.as_str();
        let headers = HeaderMap::new();
        let kept = Kept { source: &record.event.source, headers: &headers, body: &record.event.body };
        let mut again = match &reception.verdict {
            Verdict::Events(events) => self.arrival(&kept, events, &reception.remarks).0,
            other => {
                let reason = match other {
                    Verdict::Ignored(reason) | Verdict::Malformed(reason) | Verdict::Rejected(reason) => reason.clone(),
                    other => format!("it is a {}, and nothing happened at a registry", other.as_str()),
                };
                return Ok(Replayed { outcome, event: None, reason: Some(reason), receipt: Receipt::default() });
            }
        };
        if again.event.state != EventState::Accepted {
            let reason = again.event.reason;
            return Ok(Replayed {
                outcome,
                event: None,
                reason,
                receipt: Receipt { ignored: 1, ..Receipt::default() },
            });
        }
        // A key of its own: it is wanted although the event is known.
        let jobs = again.jobs.into_iter().chain(again.parts.into_iter().flat_map(|part| part.jobs)).collect();
        again.event.dedupe_key = format!("replay-{}-{}", record.id, now.as_millisecond());
        again.event.headers.clone_from(&record.event.headers);
        let mut receipt = Receipt::default();
        let event = self.store(Arrival::new(again.event, jobs), 0, &mut receipt).await?;
        Ok(Replayed { outcome, event: Some(event), reason: None, receipt })
    }

    /// A stored delivery, with its body.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Store`].
    pub async fn delivery(&self, id: EventId) -> Result<Option<EventRecord>> {
        let filter = EventFilter { id: Some(id), ..EventFilter::default() };
        let found = self.shared.store.events(&filter, &Page::first(1)).await;
        Ok(found.map_err(|error| Error::store("read a delivery", error))?.items.pop())
    }

    /// Lets the source read a request, with the document that it may need.
    async fn read(&self, name: &str, source: &dyn Source, request: &Request<'_>) -> Reception {
        let reception = source.receive(request);
        let Verdict::Needs(document) = &reception.verdict else { return reception };
        let fetched = self.shared.inbox.documents.fetch(&document.url).await;
        let learnt = match fetched {
            Ok(bytes) => source.learn(document, &bytes, request.now),
            Err(error) => Err(chain(&error)),
        };
        match learnt {
            Ok(()) => source.receive(request),
            Err(reason) => {
                warn!(source = name, document = document.kind.as_str(), reason, "document not had");
                reception
            }
        }
    }

    /// Stores what `reception` says, with the delivery as it came. Rejected deliveries and handshakes leave nothing;
    /// of deliveries without an event of interest an example is kept now and then.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Store`], [`ErrorKind::Overloaded`] or [`ErrorKind::Stopping`]. Nothing was stored then.
    pub async fn accept(&self, name: &str, request: &Request<'_>, reception: &Reception) -> Result<Receipt> {
        if !self.shared.monitor.accepts() {
            return Err(Error::new(ErrorKind::Stopping, "store a delivery: the engine is stopping"));
        }
        let kept = Kept { source: name, headers: request.headers, body: request.body };
        let mut receipt = Receipt::default();
        match &reception.verdict {
            Verdict::Rejected(_) | Verdict::Handshake | Verdict::Confirm(_) | Verdict::Needs(_) => {}
            Verdict::Ignored(reason) => {
                match self.shared.inbox.samples.take(&format!("{name} {reason}"), request.now) {
                    Some(more) => {
                        let sample = kept.sample(reason, more, request.now);
                        self.store(Arrival::new(sample, Vec::new()), 1, &mut receipt).await?;
                    }
                    None => receipt.ignored += 1,
                }
            }
            Verdict::Setup(notice) => {
                let mut reasons = vec![format!("set-up `{}`: {}", notice.name, notice.status)];
                reasons.extend(notice.reason.clone());
                let event = kept.record(notice.dedup_key.clone(), EventState::Ignored, &reasons);
                self.store(Arrival::new(event, Vec::new()), 1, &mut receipt).await?;
            }
            Verdict::Malformed(reason) => {
                let reasons = std::slice::from_ref(reason);
                let event = kept.record(body_key(request.body), EventState::Quarantined, reasons);
                self.store(Arrival::new(event, Vec::new()), 0, &mut receipt).await?;
            }
            Verdict::Events(events) => {
                let (arrival, ignored) = self.arrival(&kept, events, &reception.remarks);
                let registry = arrival.event.registry.clone();
                self.store(arrival, ignored, &mut receipt).await?;
                self.find(events).await;
                if let Some(registry) = registry {
                    self.shared.monitor.registry(&registry, |status| status.last_event = Some(request.now));
                }
            }
        }
        Ok(receipt)
    }

    /// Takes up repositories that integrations had not heard of.
    async fn find(&self, events: &[RegistryEvent]) {
        for event in events.iter().filter(|event| matches!(event.action, Action::Pushed | Action::Refresh)) {
            let Ok(watch) = plan::watch(&self.shared, event.host.as_deref()) else { continue };
            let Some(enablement) = &watch.enablement else { continue };
            let Ok(repository) = event.repository.parse::<Repository>() else { continue };
            if !enablement.is_known(&repository) && watch.chooses(&repository) {
                // What is in it was pushed just now, as far as anybody knows.
                self.shared.found(enablement, [&repository], false).await;
            }
        }
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

    /// The row of a delivery with its events, and how many of these ask for nothing.
    fn arrival(&self, kept: &Kept<'_>, events: &[RegistryEvent], remarks: &[String]) -> (Arrival, usize) {
        let mut registry = None;
        let mut reasons = Vec::new();
        let mut parts = Vec::new();
        for event in events {
            let jobs = match plan(&self.shared, event) {
                Ok(plan) => {
                    registry.get_or_insert(plan.registry);
                    vec![plan.job]
                }
                Err(reason) => {
                    info!(source = kept.source, repository = event.repository, reason, "event ignored");
                    reasons.push(reason);
                    Vec::new()
                }
            };
            parts.push(Part { dedupe_key: event.dedup_key.clone(), jobs });
        }
        let ignored = reasons.len();
        let state = if ignored < events.len() { EventState::Accepted } else { EventState::Ignored };
        reasons.extend_from_slice(remarks);
        let row = |key: String| NewEvent { registry, ..kept.record(key, state, &reasons) };
        let arrival = match <[Part; 1]>::try_from(parts) {
            Ok([only]) => Arrival::new(row(only.dedupe_key), only.jobs),
            Err(parts) => {
                let key = batch_key(parts.iter().map(|part| part.dedupe_key.as_str()));
                Arrival { event: row(key), jobs: Vec::new(), parts }
            }
        };
        (arrival, ignored)
    }

    /// Stores a delivery of which `ignored` events ask for nothing; its number.
    async fn store(&self, arrival: Arrival, ignored: usize, receipt: &mut Receipt) -> Result<EventId> {
        let state = arrival.event.state;
        let events = arrival.parts.len().max(1);
        let jobs = arrival.jobs.iter().chain(arrival.parts.iter().flat_map(|part| &part.jobs));
        let work: Vec<Work> = jobs.map(|job| job.work.clone()).collect();
        let arrived = self.shared.inbox.batcher.store(arrival).await?;
        let id = match arrived.accepted {
            Accepted::New(id) => id,
            Accepted::Duplicate(id) => {
                receipt.duplicates += events;
                self.shared.monitor.count(|counters| counters.duplicates += events as u64);
                return Ok(id);
            }
        };
        let known = arrived.known_parts;
        self.shared.monitor.count(|counters| {
            counters.events += (events - known) as u64;
            counters.duplicates += known as u64;
        });
        receipt.duplicates += known;
        match state {
            EventState::Quarantined => receipt.quarantined += 1,
            EventState::Accepted | EventState::Ignored => {
                receipt.ignored += ignored;
                receipt.accepted += events.saturating_sub(ignored + known);
            }
        }
        for work in work {
            self.shared.monitor.tell(Progress::Queued { work, lane: Lane::Push });
        }
        Ok(id)
    }
}

impl std::fmt::Debug for Intake {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Intake").finish_non_exhaustive()
    }
}
