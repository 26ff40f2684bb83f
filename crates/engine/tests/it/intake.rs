//! Deliveries by the hundred, documents that decide, queues.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::join_all;
use http::{HeaderMap, Method, StatusCode};
use jiff::Timestamp;
use serde_json::json;
use supercargo_engine::{Documents, Engine, ErrorKind, Intake, Puller, Received};
use supercargo_events::pull::{Message, PullError, PullSource};
use supercargo_events::{
    Answer, DistributionSource, Document, DocumentKind, Reception, Request, Secret, Source, SourceConfig, Verdict,
};
use supercargo_registry::index::Indexer;
use supercargo_store::{EventFilter, EventRecord, EventState, Page, SqliteOptions, SqliteStore, Store};

use crate::support::{HOST, Running, Ship, wait_for};

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

fn source() -> DistributionSource {
    DistributionSource::new(SourceConfig::new([Secret::new("s3cret")])).unwrap()
}

fn event(id: &str, host: &str, tag: &str) -> serde_json::Value {
    let target = json!({"mediaType": MANIFEST, "repository": "team/app", "tag": tag});
    json!({"id": id, "action": "push", "target": target, "request": {"host": host}})
}

fn envelope(events: &[serde_json::Value]) -> Vec<u8> {
    json!({"events": events}).to_string().into_bytes()
}

async fn deliver(intake: &Intake, source: &dyn Source, body: &[u8]) -> Received {
    let mut headers = HeaderMap::new();
    headers.insert("authorization", "Bearer s3cret".parse().unwrap());
    headers.insert("content-type", "application/json".parse().unwrap());
    intake.receive("main", source, &Request::new(&Method::POST, &headers, body, Timestamp::now())).await
}

async fn stored(store: &dyn Store) -> Vec<EventRecord> {
    store.events(&EventFilter::default(), &Page::first(Page::LIMIT)).await.unwrap().items
}

#[tokio::test]
async fn many_at_once_share_commits_and_each_is_stored_once() {
    let directory = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(SqliteOptions::new(directory.path().join("supercargo.db"))).await.unwrap();
    let store: Arc<dyn Store> = Arc::new(store);
    let ship = Ship::with_store(Arc::clone(&store));
    let intake = ship.engine().intake();
    let source = source();
    // Every event comes twice.
    let bodies: Vec<Vec<u8>> =
        (0..600).map(|number| envelope(&[event(&(number / 2).to_string(), HOST, &format!("t{number}"))])).collect();
    let received = join_all(bodies.iter().map(|body| deliver(&intake, &source, body))).await;
    assert!(received.iter().all(|one| one.answer.status == StatusCode::ACCEPTED));
    assert_eq!(received.iter().map(|one| one.receipt.duplicates).sum::<usize>(), 300);
    assert_eq!(stored(&*store).await.len(), 300);
}

#[tokio::test]
async fn what_is_too_much_is_turned_away_and_the_rest_is_stored() {
    let ship = Ship::new();
    let intake = ship.engine().intake();
    let source = source();
    let bodies: Vec<Vec<u8>> =
        (0..3000).map(|number| envelope(&[event(&number.to_string(), HOST, &format!("t{}", number % 9))])).collect();
    // On one thread nothing is written before all have come.
    let received = join_all(bodies.iter().map(|body| deliver(&intake, &source, body))).await;
    let (taken, refused): (Vec<_>, Vec<_>) = received.iter().partition(|one| one.answer.status.is_success());
    assert!(!refused.is_empty() && taken.len() >= 1000, "{} taken", taken.len());
    assert!(refused.iter().all(|one| one.answer.status == StatusCode::SERVICE_UNAVAILABLE));
    assert!(refused.iter().all(|one| one.answer.headers.contains_key("retry-after")));
    let events = ship.store.events(&EventFilter::default(), &Page::first(Page::LIMIT)).await.unwrap();
    assert!(events.items.len() == Page::LIMIT as usize && events.next.is_some());
    // And it goes on.
    let again = deliver(&intake, &source, &envelope(&[event("later", HOST, "t1")])).await;
    assert_eq!(again.answer.status, StatusCode::ACCEPTED);
}

#[tokio::test]
async fn a_delivery_of_a_thousand_events_is_one_row() {
    let ship = Ship::new();
    let intake = ship.engine().intake();
    let events: Vec<_> = (0..1000).map(|number| event(&number.to_string(), HOST, &format!("t{number}"))).collect();
    let received = deliver(&intake, &source(), &envelope(&events)).await;
    assert_eq!((received.answer.status, received.receipt.accepted), (StatusCode::ACCEPTED, 1000));
    assert_eq!(deliver(&intake, &source(), &envelope(&events)).await.receipt.duplicates, 1000);
    // Put together anew, with one that is new and one of a registry that is not ours.
    let mixed = [event("5", HOST, "t5"), event("new", HOST, "x"), event("strange", "elsewhere.test", "t")];
    let received = deliver(&intake, &source(), &envelope(&mixed)).await;
    assert_eq!((received.receipt.accepted, received.receipt.duplicates, received.receipt.ignored), (1, 1, 1));
    let rows = stored(&*ship.store).await;
    assert_eq!(rows.len(), 2);
    assert!(rows[0].event.reason.as_ref().unwrap().contains("elsewhere.test is not watched"), "{:?}", rows[0].event);
    let received = deliver(&intake, &source(), &envelope(&[])).await;
    assert!(received.answer.status.is_success(), "nothing is fine: {received:?}");
}

#[tokio::test]
async fn of_what_is_ignored_an_example_is_kept() {
    let ship = Ship::new();
    let intake = ship.engine().intake();
    for id in 0..50 {
        let mut pull = event(&id.to_string(), HOST, "1.0");
        pull["action"] = "pull".into();
        let received = deliver(&intake, &source(), &envelope(&[pull])).await;
        assert_eq!((received.answer.status, received.outcome), (StatusCode::OK, "ignored"));
    }
    let rows = stored(&*ship.store).await;
    assert_eq!(rows.len(), 1, "{rows:?}");
    assert_eq!(rows[0].event.state, EventState::Ignored);
    assert!(rows[0].event.reason.as_ref().unwrap().contains("pull"), "{rows:?}");
}

#[tokio::test]
async fn what_was_not_understood_can_be_read_again() {
    let ship = Ship::new();
    let engine = ship.engine();
    let intake = engine.intake();
    deliver(&intake, &source(), &envelope(&[event("1", "old-name.test", "1.0")])).await;
    let record = stored(&*ship.store).await.remove(0);
    assert_eq!(record.event.state, EventState::Ignored);
    let replayed = intake.replay(&record, &source()).await.unwrap();
    assert_eq!((replayed.event, replayed.outcome), (None, "events"), "nothing has changed");
    assert!(replayed.reason.unwrap().contains("not watched"));

    // Now the source knows which registry it speaks for.
    let named = DistributionSource::new(SourceConfig::new([Secret::new("s3cret")]).with_host(HOST)).unwrap();
    let replayed = intake.replay(&record, &named).await.unwrap();
    assert!(replayed.event.is_some() && replayed.receipt.accepted == 1, "{replayed:?}");
    assert_eq!(ship.jobs().await.len(), 1);
}

/// Needs a document, and then confirms.
#[derive(Debug, Default)]
struct Careful {
    learnt: AtomicBool,
}

impl Source for Careful {
    fn name(&self) -> &'static str {
        "careful"
    }

    fn receive(&self, request: &Request<'_>) -> Reception {
        let document = |kind, url: &str| Document { url: url.to_owned(), kind };
        let answer = Answer::status(StatusCode::FORBIDDEN);
        if !self.learnt.load(Ordering::SeqCst) {
            let keys = document(DocumentKind::KeySet, "https://keys.test/keys");
            return Reception::new(Verdict::Needs(keys), answer);
        }
        match request.body {
            b"confirm" => {
                let page = document(DocumentKind::Confirmation, "https://confirm.test/?token=1");
                Reception::new(Verdict::Confirm(page), Answer::status(StatusCode::OK))
            }
            _ => Reception::new(Verdict::Handshake, Answer::status(StatusCode::OK)),
        }
    }

    fn receive_trusted(&self, _body: &[u8], _now: Timestamp) -> Reception {
        Reception::new(Verdict::Handshake, Answer::status(StatusCode::OK))
    }

    fn learn(&self, document: &Document, bytes: &[u8], _now: Timestamp) -> Result<(), String> {
        assert_eq!((document.kind, bytes), (DocumentKind::KeySet, b"keys".as_slice()));
        self.learnt.store(true, Ordering::SeqCst);
        Ok(())
    }
}

#[derive(Debug, Default)]
struct Library {
    pages: Mutex<BTreeMap<&'static str, &'static [u8]>>,
    asked: Mutex<Vec<String>>,
}

#[async_trait]
impl Documents for Library {
    async fn fetch(&self, url: &str) -> supercargo_engine::Result<Vec<u8>> {
        self.asked.lock().unwrap().push(url.to_owned());
        let page = self.pages.lock().unwrap().get(url).copied();
        match page {
            Some(page) => Ok(page.to_vec()),
            // A refusal of the real one is an error like any other.
            None => supercargo_engine::PublicDocuments::default().fetch("http://127.0.0.1/").await,
        }
    }
}

#[tokio::test]
async fn a_document_decides_and_is_asked_for_once() {
    let ship = Ship::new();
    let library = Arc::new(Library::default());
    let engine =
        Engine::builder(ship.store.clone(), Arc::new(Indexer::new())).with_documents(library.clone()).build().unwrap();
    let source = Careful::default();
    let send = async |body: &[u8]| deliver(&engine.intake(), &source, body).await;

    // As long as it cannot be had, the sender gets what the source said.
    let refused = send(b"hello").await;
    assert_eq!((refused.answer.status, refused.outcome), (StatusCode::FORBIDDEN, "needs"));
    library.pages.lock().unwrap().insert("https://keys.test/keys", b"keys");
    assert_eq!(send(b"hello").await.answer.status, StatusCode::OK);
    assert_eq!(send(b"hello").await.answer.status, StatusCode::OK);

    let unconfirmed = send(b"confirm").await;
    assert_eq!(unconfirmed.answer.status, StatusCode::SERVICE_UNAVAILABLE);
    library.pages.lock().unwrap().insert("https://confirm.test/?token=1", b"");
    let confirmed = send(b"confirm").await;
    assert_eq!((confirmed.answer.status, confirmed.outcome), (StatusCode::OK, "confirm"));
    let asked = library.asked.lock().unwrap().clone();
    let keys = asked.iter().filter(|url| url.starts_with("https://keys.test")).count();
    assert_eq!((keys, asked.len()), (2, 4), "{asked:?}");
}

#[tokio::test]
async fn documents_come_from_the_public_network_alone() {
    let documents = supercargo_engine::PublicDocuments::default();
    for url in [
        "http://sns.us-east-1.amazonaws.com/x.pem",
        "https://127.0.0.1/x",
        "https://169.254.169.254/latest/meta-data/",
        "https://[::1]/x",
        "https://10.0.0.1/x",
        "https://user:password@example.com/x",
        "https://localhost/x",
        "file:///etc/passwd",
        "nonsense",
    ] {
        let error = documents.fetch(url).await.expect_err(url);
        assert_eq!(error.kind(), ErrorKind::Document, "{url}: {error}");
    }
}

/// A queue in memory with one message in hand at a time.
#[derive(Debug, Default)]
struct Queue {
    messages: Mutex<BTreeMap<String, Vec<u8>>>,
    /// Calls of `receive` that fail before one succeeds.
    failures: AtomicUsize,
    /// Acknowledgements that are lost before one gets through.
    deaf: AtomicUsize,
    handed_out: AtomicUsize,
}

#[async_trait]
impl PullSource for Queue {
    async fn receive(&self) -> Result<Vec<Message>, PullError> {
        if self.failures.load(Ordering::SeqCst) > 0 {
            self.failures.fetch_sub(1, Ordering::SeqCst);
            return Err(PullError::passing("read the queue"));
        }
        let messages: Vec<Message> = {
            let messages = self.messages.lock().unwrap();
            let message = |(id, body): (&String, &Vec<u8>)| Message {
                id: id.clone(),
                receipt: id.clone(),
                body: body.clone(),
                receptions: 1,
            };
            messages.iter().take(10).map(message).collect()
        };
        if messages.is_empty() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        self.handed_out.fetch_add(messages.len(), Ordering::SeqCst);
        Ok(messages)
    }

    async fn acknowledge(&self, messages: &[Message]) -> Result<Vec<Message>, PullError> {
        if self.deaf.load(Ordering::SeqCst) > 0 {
            self.deaf.fetch_sub(1, Ordering::SeqCst);
            return Ok(messages.to_vec());
        }
        for message in messages {
            self.messages.lock().unwrap().remove(&message.receipt);
        }
        Ok(Vec::new())
    }

    async fn extend(&self, messages: &[Message]) -> Result<Vec<Message>, PullError> {
        Ok(messages.to_vec())
    }

    async fn check(&self) -> Result<(), PullError> {
        Ok(())
    }

    fn visibility(&self) -> Duration {
        Duration::from_secs(30)
    }
}

#[tokio::test]
async fn a_queue_is_emptied_after_the_commit() {
    let ship = Ship::new();
    let digest = ship.push("team/app", "1.0", "one");
    let queue = Arc::new(Queue::default());
    queue.failures.store(1, Ordering::SeqCst);
    queue.deaf.store(1, Ordering::SeqCst);
    for number in 0..25 {
        let body = envelope(&[event(&number.to_string(), HOST, "1.0")]);
        queue.messages.lock().unwrap().insert(number.to_string(), body);
    }
    queue.messages.lock().unwrap().insert("bad".to_owned(), b"{".to_vec());
    let puller = Puller::new("queue", Box::new(source()), queue.clone());
    let engine = Engine::builder(ship.store.clone(), ship.indexer.clone())
        .with_watch(ship.watch())
        .with_puller(puller)
        .build()
        .unwrap();
    let running = Running::start(engine);
    wait_for("empty queue", async || queue.messages.lock().unwrap().is_empty()).await;
    wait_for("indexed image", async || ship.digests().await == [digest.clone()].into()).await;
    let rows = stored(&*ship.store).await;
    assert_eq!(rows.len(), 26, "what is not understood is kept, and not asked for for ever");
    assert_eq!(rows.iter().filter(|row| row.event.state == EventState::Quarantined).count(), 1);
    assert!(queue.handed_out.load(Ordering::SeqCst) > 26, "what was not acknowledged came again");
    running.stop().await;
}
