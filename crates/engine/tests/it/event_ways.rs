//! The ways of events to an integration: queues that begin and end with it, and the way from the registry's side.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use http::{HeaderMap, Method, StatusCode};
use serde_json::json;
use supercargo_engine::integration::{
    Connection, Connector, Credentials, EventPath, Examination, Integrations, Key, PROBE, PathFinding, TestEvent,
    Vault, event_sources,
};
use supercargo_engine::{Engine, ImageIndexer, Puller, Received, Watch};
use supercargo_events::Request;
use supercargo_events::pull::{Message, PullError, PullSource};
use supercargo_store::{
    Actor, EventFilter, Integration, IntegrationState, MemoryStore, NewIntegration, Page, RemovedData,
};

use crate::support::{HOST, Running, Ship, Switched, wait_for};

const SECRET: &str = "a-secret-of-some-length";
const NAME: &str = "prod";

/// A queue that is there or not, and counts how often it is asked.
#[derive(Debug, Default)]
struct Trough {
    is_away: AtomicBool,
    is_deaf: AtomicBool,
    asked: AtomicUsize,
    bodies: Mutex<Vec<String>>,
}

#[async_trait]
impl PullSource for Trough {
    async fn receive(&self) -> Result<Vec<Message>, PullError> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        self.check().await?;
        tokio::time::sleep(Duration::from_millis(5)).await;
        let bodies = self.bodies.lock().unwrap().clone();
        let message = |body: &String| Message {
            id: body.clone(),
            receipt: body.clone(),
            body: body.as_bytes().to_vec(),
            receptions: 1,
        };
        Ok(bodies.iter().map(message).collect())
    }

    async fn acknowledge(&self, messages: &[Message]) -> Result<Vec<Message>, PullError> {
        if self.is_deaf.load(Ordering::SeqCst) {
            return Err(PullError::lasting("take messages out of the queue (AccessDenied)"));
        }
        self.bodies.lock().unwrap().retain(|body| !messages.iter().any(|message| message.id == *body));
        Ok(Vec::new())
    }

    async fn extend(&self, messages: &[Message]) -> Result<Vec<Message>, PullError> {
        Ok(messages.to_vec())
    }

    async fn check(&self) -> Result<(), PullError> {
        match self.is_away.load(Ordering::SeqCst) {
            true => Err(PullError::lasting("read the queue (NonExistentQueue)")),
            false => Ok(()),
        }
    }

    fn visibility(&self) -> Duration {
        Duration::from_secs(30)
    }
}

/// The registry's side: what it does when it is asked for a test event.
#[derive(Clone, Debug)]
enum Side {
    Mute,
    Says(PathFinding),
    Sends,
    Pretends,
}

#[derive(Debug)]
struct Way {
    side: Side,
    engine: Mutex<Option<Engine>>,
}

#[async_trait]
impl EventPath for Way {
    async fn knock(&self) -> PathFinding {
        PathFinding::passed("it leads here")
    }

    async fn ask_for_test(&self) -> Option<TestEvent> {
        let sent = TestEvent::Sent { by: "the webhook".to_owned(), to: "https://supercargo.test".to_owned() };
        match &self.side {
            Side::Mute => None,
            Side::Says(finding) => Some(TestEvent::NotSent(finding.clone())),
            Side::Pretends => Some(sent),
            Side::Sends => {
                let engine = self.engine.lock().unwrap().clone();
                if let Some(engine) = engine {
                    deliver(&engine, &[("authorization", &format!("Bearer {SECRET}"))]).await;
                }
                Some(sent)
            }
        }
    }
}

/// Opens the ship's registry, with a queue or a way.
#[derive(Debug)]
struct Pier {
    registry: Switched,
    queue: Option<Arc<Trough>>,
    way: Arc<Way>,
}

impl Connector for Pier {
    fn connect(&self, integration: &Integration, credentials: &Credentials) -> supercargo_engine::Result<Connection> {
        let mut sources = event_sources(integration, credentials)?;
        let watch = Watch::new(Arc::new(self.registry.clone()));
        Ok(match &self.queue {
            Some(queue) => {
                let source = sources.remove(0);
                let puller = Puller::new(NAME, source, Arc::clone(queue) as Arc<dyn PullSource>);
                Connection { queue: Some(Arc::new(puller)), ..Connection::new(watch) }
            }
            None => Connection {
                sources: sources.into_iter().map(Arc::from).collect(),
                path: Some(Arc::clone(&self.way) as Arc<dyn EventPath>),
                ..Connection::new(watch)
            },
        })
    }
}

struct Port {
    ship: Ship,
    way: Arc<Way>,
    integrations: Integrations,
    actor: Actor,
}

impl Port {
    fn new(queue: Option<&Arc<Trough>>, side: Side) -> Self {
        let mut ship = Ship::with_store(Arc::new(MemoryStore::default()));
        ship.options.interval = Duration::from_millis(10);
        let way = Arc::new(Way { side, engine: Mutex::new(None) });
        let connector = Pier { registry: ship.registry.clone(), queue: queue.cloned(), way: Arc::clone(&way) };
        let vault = Vault::new(Key::generate().unwrap());
        let integrations = Integrations::new(Arc::clone(&ship.store), Arc::new(connector), vault);
        ship.push("team/app", "1.0", "one");
        Self { ship, way, integrations, actor: Actor::command_line("test") }
    }

    fn start(&self) -> Running {
        let indexer = Arc::clone(&self.ship.indexer) as Arc<dyn ImageIndexer>;
        let engine = Engine::builder(Arc::clone(&self.ship.store), indexer)
            .with_options(self.ship.options.clone())
            .with_integrations(self.integrations.clone())
            .build()
            .unwrap();
        *self.way.engine.lock().unwrap() = Some(engine.clone());
        Running::start(engine)
    }

    async fn create(&self, settings: &[(&str, &str)]) -> Integration {
        let settings: BTreeMap<String, String> =
            settings.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let new = NewIntegration { settings, ..NewIntegration::new(NAME, "oci", HOST) };
        let credentials = Credentials { event_secrets: vec![SECRET.into()], ..Credentials::default() };
        self.integrations.create(new, credentials, &self.actor).await.unwrap()
    }

    async fn integration(&self) -> Integration {
        self.integrations.find(NAME).await.unwrap()
    }

    async fn is_in(&self, state: IntegrationState) {
        wait_for(state.as_str(), async || self.integration().await.state == state).await;
    }

    async fn test(&self) -> Examination {
        self.integrations.test(NAME, |_| (), &self.actor).await.unwrap().0
    }
}

async fn deliver(engine: &Engine, headers: &[(&'static str, &str)]) -> Option<Received> {
    let mut all = HeaderMap::new();
    for (name, value) in headers {
        all.insert(*name, value.parse().unwrap());
    }
    all.insert("content-type", "application/json".parse().unwrap());
    let media_type = "application/vnd.oci.image.manifest.v1+json";
    let target = json!({"mediaType": media_type, "repository": "no/such", "tag": "1.0"});
    let body = json!({"events": [{"id": "1", "action": "push", "target": target, "request": {"host": HOST}}]});
    let body = body.to_string();
    let request = Request::new(&Method::POST, &all, body.as_bytes(), jiff::Timestamp::now());
    engine.intake().receive_for("distribution", NAME, &request).await
}

fn outcome<'a>(examination: &'a Examination, step: &str) -> Option<(&'static str, &'a str)> {
    let found = examination.steps.iter().find(|one| one.step == step)?;
    Some((found.outcome, &found.detail))
}

const QUEUE: [(&str, &str); 2] = [("events", "distribution"), ("events-queue", "https://queue.test/1/q")];

#[tokio::test]
async fn a_queue_is_asked_for_as_long_as_its_integration_is_there() {
    let queue = Arc::new(Trough::default());
    let port = Port::new(Some(&queue), Side::Mute);
    let running = port.start();
    let holders = Arc::strong_count(&queue);
    let id = port.create(&QUEUE).await.id;
    wait_for("that it is asked", async || queue.asked.load(Ordering::SeqCst) > 3).await;
    assert_eq!(outcome(&port.test().await, "queue"), Some(("passed", "it can be read")));

    // Replaced settings begin it anew, and the one before ends.
    let mut settings = port.integration().await.settings;
    settings.insert("concurrency".to_owned(), "2".to_owned());
    port.integrations.replace_settings(NAME, settings, &port.actor).await.unwrap();
    port.ship.store.remove_integration(id, RemovedData::Keep, &port.actor).await.unwrap();
    wait_for("that nobody holds it", async || Arc::strong_count(&queue) == holders).await;
    let asked = queue.asked.load(Ordering::SeqCst);
    assert_eq!(asked, queue.asked.load(Ordering::SeqCst));
    running.stop().await;
}

#[tokio::test]
async fn a_queue_that_cannot_be_read_shows_and_heals() {
    let queue = Arc::new(Trough::default());
    queue.is_away.store(true, Ordering::SeqCst);
    let port = Port::new(Some(&queue), Side::Mute);
    let running = port.start();
    port.create(&QUEUE).await;
    port.is_in(IntegrationState::Error).await;
    let reason = port.integration().await.reason.unwrap();
    assert_eq!((reason.kind.as_str(), reason.message.contains("NonExistentQueue")), ("queue", true), "{reason}");
    assert!(port.integration().await.advice.unwrap().contains("events-queue"));

    queue.is_away.store(false, Ordering::SeqCst);
    port.is_in(IntegrationState::Pending).await;
    // What comes and cannot be taken back comes for ever: that it can be read heals nothing.
    queue.is_deaf.store(true, Ordering::SeqCst);
    queue.bodies.lock().unwrap().push(r#"{"events": []}"#.to_owned());
    port.is_in(IntegrationState::Error).await;
    let reason = port.integration().await.reason.unwrap();
    assert!(reason.message.contains("AccessDenied"), "{reason}");
    queue.is_deaf.store(false, Ordering::SeqCst);
    port.is_in(IntegrationState::Connected).await;
    running.stop().await;
}

#[tokio::test]
async fn a_call_of_our_own_proves_itself_and_counts_as_nothing() {
    let port = Port::new(None, Side::Mute);
    let running = port.start();
    port.create(&[("events", "distribution")]).await;
    wait_for("a passed test", async || port.integration().await.tested_at.is_some()).await;
    let bearer = format!("Bearer {SECRET}");
    for (authorization, status) in [(bearer.as_str(), StatusCode::NO_CONTENT), ("Bearer no", StatusCode::UNAUTHORIZED)]
    {
        let called = deliver(&running.engine, &[(PROBE, "0123"), ("authorization", authorization)]).await.unwrap();
        assert_eq!((called.outcome, called.answer.status), ("probe", status));
        assert_eq!(called.answer.headers[PROBE], "0123");
    }
    // Nobody has anything of any length sent back.
    let long = "0".repeat(65);
    let called = deliver(&running.engine, &[(PROBE, &long), ("authorization", "Bearer no")]).await.unwrap();
    assert!(called.answer.headers.get(PROBE).is_none());
    let events = port.ship.store.events(&EventFilter::default(), &Page::first(1)).await.unwrap().items;
    assert!(events.is_empty(), "{events:?}");
    let integration = port.integration().await;
    assert_eq!((integration.state, integration.first_event), (IntegrationState::Pending, None));
    running.stop().await;
}

#[tokio::test]
async fn a_test_event_that_comes_connects() {
    let port = Port::new(None, Side::Sends);
    let running = port.start();
    port.create(&[("events", "distribution")]).await;
    port.is_in(IntegrationState::Connected).await;
    let examination = port.test().await;
    assert_eq!(outcome(&examination, "endpoint"), Some(("passed", "it leads here")));
    assert_eq!(outcome(&examination, "webhook").map(|(outcome, _)| outcome), Some("passed"), "{examination:?}");
    assert_eq!(outcome(&examination, "events").map(|(outcome, _)| outcome), Some("passed"), "{examination:?}");
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn what_is_amiss_on_the_way_is_told_and_fails_nothing() {
    let port = Port::new(None, Side::Pretends);
    port.create(&[("events", "distribution")]).await;
    let examination = port.test().await;
    let (outcome_of, told) = outcome(&examination, "webhook").unwrap();
    assert_eq!(outcome_of, "warned");
    assert_eq!(told, "the webhook sent a test event to https://supercargo.test, and it did not come here");
    assert!(examination.passed, "{examination:?}");

    let port = Port::new(None, Side::Says(PathFinding::warned("there is no webhook", "make one")));
    port.create(&[("events", "distribution")]).await;
    let examination = port.test().await;
    assert_eq!(outcome(&examination, "webhook"), Some(("warned", "there is no webhook")));
    let waiting = port.integration().await;
    assert_eq!(waiting.state, IntegrationState::Pending);
    assert!(waiting.reason.unwrap().message.ends_with("has not come yet: there is no webhook"), "it says why");
    assert_eq!(waiting.advice.as_deref(), Some("make one"));
    // Who is refused is not asked once more.
    port.ship.registry.set_away(Some(supercargo_registry::ErrorKind::Unauthorized));
    let examination = port.test().await;
    assert!(!examination.passed && outcome(&examination, "webhook").is_none(), "{examination:?}");
    assert!(outcome(&examination, "endpoint").is_some(), "our own endpoint is no matter of the registry's");
}

#[tokio::test]
async fn the_public_address_is_kept_where_it_is_of_use() {
    let port = Port::new(None, Side::Mute);
    port.create(&[("events", "distribution")]).await;
    let keep = async |url: &str| port.integrations.keep_public_url(NAME, url, &port.actor).await;
    let kept = keep("https://supercargo.test/").await.unwrap();
    assert_eq!(kept.settings["events-url"], "https://supercargo.test");
    assert_eq!(keep("https://supercargo.test").await.unwrap().revision, kept.revision, "nothing has changed");
    assert!(keep("supercargo.test").await.unwrap_err().to_string().contains("events-url"));

    let queue = Arc::new(Trough::default());
    let port = Port::new(Some(&queue), Side::Mute);
    port.create(&QUEUE).await;
    let kept = port.integrations.keep_public_url(NAME, "https://supercargo.test", &port.actor).await.unwrap();
    assert!(!kept.settings.contains_key("events-url"), "a queue is asked, and nobody calls");
}
