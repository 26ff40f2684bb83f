//! Registries that somebody connects, changes and removes while the engine runs.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, Method};
use serde_json::{Value, json};
use supercargo_engine::integration::{
    Connection, Connector, Credentials, Integrations, Key, Login, Vault, event_sources,
};
use supercargo_engine::{Engine, Error, ErrorKind, ImageIndexer, Received, Watch};
use supercargo_events::Request;
use supercargo_registry::{Digest, ErrorKind as RegistryErrorKind};
use supercargo_store::{
    Actor, EventFilter, EventState, Integration, IntegrationPolicy, IntegrationState, MemoryStore, NewIntegration,
    Page, RemovedData, RepositoryOrigin, Selection,
};

use crate::support::{HOST, Running, Ship, Switched, wait_for};

const SECRET: &str = "a-secret-of-some-length";
const NAME: &str = "prod";

/// Opens the ship's registry to whoever has the password.
#[derive(Debug)]
struct Quay(Switched);

impl Connector for Quay {
    fn connect(&self, integration: &Integration, credentials: &Credentials) -> supercargo_engine::Result<Connection> {
        let mut registry = self.0.clone();
        match &credentials.registry {
            None => {}
            Some(Login::Basic { password, .. }) if password.expose() == "hunter2" => {}
            Some(_) => {
                registry.switches = Arc::default();
                registry.set_away(Some(RegistryErrorKind::Unauthorized));
            }
        }
        if integration.settings.contains_key("colour") {
            return Err(Error::new(ErrorKind::Configuration, "read the settings: colour is no key"));
        }
        let sources = event_sources(integration, credentials)?.into_iter().map(Arc::from).collect();
        Ok(Connection { sources, ..Connection::new(Watch::new(Arc::new(registry))) })
    }
}

/// A ship whose registry is an integration.
struct Port {
    ship: Ship,
    integrations: Integrations,
    actor: Actor,
}

impl Port {
    fn new() -> Self {
        let mut ship = Ship::with_store(Arc::new(MemoryStore::default()));
        ship.options.interval = Duration::from_millis(10);
        let connector = Arc::new(Quay(ship.registry.clone()));
        let vault = Vault::new(Key::generate().unwrap());
        let integrations = Integrations::new(Arc::clone(&ship.store), connector, vault);
        Self { ship, integrations, actor: Actor::command_line("test") }
    }

    fn engine(&self) -> Engine {
        Engine::builder(Arc::clone(&self.ship.store), Arc::clone(&self.ship.indexer) as Arc<dyn ImageIndexer>)
            .with_options(self.ship.options.clone())
            .with_integrations(self.integrations.clone())
            .build()
            .unwrap()
    }

    fn start(&self) -> Running {
        Running::start(self.engine())
    }

    async fn create(&self, settings: &[(&str, &str)], policy: IntegrationPolicy) -> Integration {
        let settings: BTreeMap<String, String> =
            settings.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let new = NewIntegration { settings, policy, ..NewIntegration::new(NAME, "oci", HOST) };
        let credentials = Credentials { event_secrets: vec![SECRET.into()], ..Credentials::default() };
        self.integrations.create(new, credentials, &self.actor).await.unwrap()
    }

    async fn integration(&self) -> Integration {
        self.integrations.find(NAME).await.unwrap()
    }

    async fn is_in(&self, state: IntegrationState) {
        wait_for(state.as_str(), async || self.integration().await.state == state).await;
    }

    async fn set(&self, repository: &str, enabled: bool) {
        let id = self.integration().await.id;
        let settings = vec![(repository.to_owned(), enabled)];
        let origin = RepositoryOrigin::Named;
        self.ship.store.set_repositories(id, settings, origin, &self.actor).await.unwrap();
    }

    /// `repository enabled origin` of all that are known.
    async fn repositories(&self) -> Vec<(String, bool, RepositoryOrigin)> {
        let filter = supercargo_store::RepositorySettingFilter::of(NAME);
        let all = self.ship.store.repository_settings(&filter, &Page::default()).await.unwrap().items;
        all.into_iter().map(|one| (one.repository.repository, one.enabled, one.origin)).collect()
    }

    async fn has(&self, digests: &[&Digest]) {
        let expected = digests.iter().map(|digest| (*digest).clone()).collect();
        wait_for("the images", async || self.ship.digests().await == expected).await;
    }
}

/// Waits until another pass has gone through from its beginning.
async fn another_pass(running: &Running) {
    passes(running, 2).await;
}

/// Waits until so many passes have gone through, one every ten milliseconds at most.
async fn passes(running: &Running, count: u64) {
    let passes = || running.engine.status().counters.passes;
    let before = passes();
    wait_for("passes", async || passes() >= before + count).await;
}

async fn deliver(engine: &Engine, provider: &str, body: &Value) -> Received {
    let mut headers = HeaderMap::new();
    headers.insert("authorization", format!("Bearer {SECRET}").parse().unwrap());
    headers.insert("content-type", "application/json".parse().unwrap());
    let body = body.to_string();
    let request = Request::new(&Method::POST, &headers, body.as_bytes(), jiff::Timestamp::now());
    engine.intake().receive_for(provider, NAME, &request).await.expect("there is such a source")
}

fn push(id: &str, repository: &str, tag: &str, digest: &Digest) -> Value {
    let media_type = "application/vnd.oci.image.manifest.v1+json";
    let target = json!({"mediaType": media_type, "repository": repository, "tag": tag, "digest": digest});
    json!({"events": [{"id": id, "action": "push", "target": target, "request": {"host": HOST}}]})
}

#[tokio::test]
async fn a_repository_is_enabled_and_its_newest_image_and_every_push_are_indexed() {
    let port = Port::new();
    let old = port.ship.push_at(100, "team/app", "1.0", "one");
    let newest = port.ship.push_at(200, "team/app", "0.9.1", "two");
    port.ship.push_at(300, "team/other", "1.0", "three");
    let running = port.start();
    port.create(&[], IntegrationPolicy::default()).await;
    port.is_in(IntegrationState::Connected).await;
    wait_for("found repositories", async || {
        let found = |name: &str| (name.to_owned(), false, RepositoryOrigin::Found);
        port.repositories().await == [found("team/app"), found("team/other")]
    })
    .await;
    another_pass(&running).await;
    assert!(port.ship.images().await.is_empty());

    port.set("team/app", true).await;
    port.has(&[&newest]).await;
    wait_for("both tags", async || port.ship.tag_names().await == ["team/app:0.9.1", "team/app:1.0"]).await;
    another_pass(&running).await;
    port.has(&[&newest]).await;
    let pushed = port.ship.push_at(400, "team/app", "1.1", "four");
    port.has(&[&newest, &pushed]).await;

    port.set("team/app", false).await;
    wait_for("that it is noticed", async || {
        let watch = running.engine.watches().next().unwrap();
        !watch.has_repository(&"team/app".parse().unwrap())
    })
    .await;
    let missed = port.ship.push_at(500, "team/app", "1.2", "five");
    let last = port.ship.push_at(600, "team/app", "1.3", "six");
    another_pass(&running).await;
    port.has(&[&newest, &pushed]).await;

    // What was missed stays so, but for the newest.
    port.set("team/app", true).await;
    port.has(&[&newest, &pushed, &last]).await;
    another_pass(&running).await;
    let digests = port.ship.digests().await;
    assert!(!digests.contains(&missed) && !digests.contains(&old));
    running.stop().await;
}

#[tokio::test]
async fn what_was_enabled_while_nothing_ran_begins_with_the_next_start() {
    let port = Port::new();
    port.create(&[], IntegrationPolicy::default()).await;
    let running = port.start();
    port.is_in(IntegrationState::Connected).await;
    another_pass(&running).await;
    running.stop().await;

    port.ship.push_at(100, "team/app", "1.0", "one");
    let newest = port.ship.push_at(200, "team/app", "1.1", "two");
    port.set("team/app", true).await;
    let running = port.start();
    port.has(&[&newest]).await;
    another_pass(&running).await;
    port.has(&[&newest]).await;
    running.stop().await;
}

#[tokio::test]
async fn the_first_event_connects_and_one_of_a_repository_that_is_not_enabled_says_why_nothing_happens() {
    let port = Port::new();
    let digest = port.ship.push("team/app", "1.0", "one");
    let running = port.start();
    port.create(&[("events", "distribution")], IntegrationPolicy::default()).await;
    wait_for("a passed test", async || port.integration().await.tested_at.is_some()).await;
    let waiting = port.integration().await;
    assert_eq!((waiting.state, waiting.reason.unwrap().kind.as_str()), (IntegrationState::Pending, "waiting"));

    let received = deliver(&running.engine, "distribution", &push("1", "team/app", "1.0", &digest)).await;
    assert_eq!((received.outcome, received.receipt.ignored), ("events", 1));
    let events = port.ship.store.events(&EventFilter::default(), &Page::first(1)).await.unwrap().items;
    assert_eq!((events[0].event.state, events[0].event.source.as_str()), (EventState::Ignored, NAME));
    assert_eq!(
        events[0].event.reason.as_deref(),
        Some("repository team/app is not enabled: supercargo repo enable --integration prod team/app")
    );
    port.is_in(IntegrationState::Connected).await;
    assert!(port.integration().await.first_event.is_some());

    // What was refused can be received again.
    port.set("team/app", true).await;
    port.has(&[&digest]).await;
    let source = running.engine.intake().source_of(&events[0]).expect("the integration is there");
    let replayed = running.engine.intake().replay(&events[0], source.as_ref()).await.unwrap();
    assert!(replayed.event.is_some() && replayed.reason.is_none(), "{replayed:?}");
    let second = port.ship.push("team/app", "2.0", "two");
    let received = deliver(&running.engine, "distribution", &push("2", "team/app", "2.0", &second)).await;
    assert_eq!(received.receipt.accepted, 1);
    port.has(&[&digest, &second]).await;
    let intake = running.engine.intake();
    assert!(intake.integration_source("harbor", NAME).is_none());
    running.stop().await;
}

#[tokio::test]
async fn a_wrong_password_shows_and_another_one_heals() {
    let port = Port::new();
    let digest = port.ship.push("team/app", "1.0", "one");
    let running = port.start();
    let wrong = Credentials { registry: Some(Login::basic("robot", "hunter1")), ..Credentials::default() };
    port.integrations.create(NewIntegration::new(NAME, "oci", HOST), wrong, &port.actor).await.unwrap();
    port.is_in(IntegrationState::Error).await;
    let failed = port.integration().await;
    assert_eq!(failed.reason.unwrap().kind, "sign-in");
    assert!(failed.advice.is_some());

    port.set("team/app", true).await;
    let right = |credentials: &mut Credentials| credentials.registry = Some(Login::basic("robot", "hunter2"));
    port.integrations.replace_credentials(NAME, right, &port.actor).await.unwrap();
    port.is_in(IntegrationState::Connected).await;
    port.has(&[&digest]).await;

    let moves = port.ship.store.integration_history(failed.id).await.unwrap();
    let states: Vec<_> = moves.iter().rev().map(|step| step.to.as_str()).collect();
    assert_eq!(states, ["pending", "error", "pending", "connected"]);
    running.stop().await;
}

#[tokio::test]
async fn a_password_that_is_withdrawn_shows_and_heals_when_it_is_taken_again() {
    let port = Port::new();
    let running = port.start();
    port.create(&[], IntegrationPolicy::default()).await;
    port.is_in(IntegrationState::Connected).await;
    port.ship.registry.set_away(Some(RegistryErrorKind::Unauthorized));
    port.is_in(IntegrationState::Error).await;
    port.ship.registry.set_away(None);
    port.is_in(IntegrationState::Connected).await;
    running.stop().await;
}

#[tokio::test]
async fn events_that_stop_coming_show_and_come_back() {
    let mut port = Port::new();
    port.ship.options.event_patience = Duration::from_millis(200);
    let running = port.start();
    port.create(&[("events", "distribution")], IntegrationPolicy::default()).await;
    let digest = port.ship.push("team/app", "1.0", "one");
    port.set("team/app", true).await;
    port.has(&[&digest]).await;
    deliver_when_there(&running.engine, &push("1", "team/app", "1.0", &digest)).await;
    port.is_in(IntegrationState::Connected).await;
    // Nothing is pushed: nothing is overdue.
    passes(&running, 50).await;
    assert_eq!(port.integration().await.state, IntegrationState::Connected);

    let silent = port.ship.push("team/app", "1.1", "two");
    port.has(&[&digest, &silent]).await;
    port.is_in(IntegrationState::Degraded).await;
    assert_eq!(port.integration().await.reason.unwrap().kind, "overdue");
    deliver(&running.engine, "distribution", &push("2", "team/app", "1.1", &silent)).await;
    port.is_in(IntegrationState::Connected).await;
    running.stop().await;
}

async fn deliver_when_there(engine: &Engine, body: &Value) {
    wait_for("the source", async || engine.intake().integration_source("distribution", NAME).is_some()).await;
    deliver(engine, "distribution", body).await;
}

#[tokio::test]
async fn word_of_the_set_up_moves_an_integration() {
    let port = Port::new();
    let running = port.start();
    port.create(&[("events", "eventbridge")], IntegrationPolicy::default()).await;
    wait_for("a passed test", async || port.integration().await.tested_at.is_some()).await;
    let stack = |id: &str, status: &str| {
        json!({
            "version": "0", "id": id, "detail-type": "CloudFormation Stack Status Change",
            "source": "aws.cloudformation", "account": "123456789012", "time": "2026-11-22T12:00:00Z",
            "region": "eu-west-1", "resources": [],
            "detail": {
                "stack-id": "arn:aws:cloudformation:eu-west-1:123456789012:stack/SupercargoECRIntegration/1",
                "status-details": {"status": status, "status-reason": "no right to make roles"},
            },
        })
    };
    wait_for("the source", async || running.engine.intake().integration_source("eventbridge", NAME).is_some()).await;
    deliver(&running.engine, "eventbridge", &stack("1", "ROLLBACK_COMPLETE")).await;
    port.is_in(IntegrationState::Error).await;
    let reason = port.integration().await.reason.unwrap();
    assert_eq!(reason.kind, "set-up");
    assert!(reason.message.contains("no right to make roles"), "{reason}");
    deliver(&running.engine, "eventbridge", &stack("2", "CREATE_COMPLETE")).await;
    port.is_in(IntegrationState::Connected).await;
    deliver(&running.engine, "eventbridge", &stack("3", "DELETE_COMPLETE")).await;
    port.is_in(IntegrationState::Degraded).await;
    running.stop().await;
}

#[tokio::test]
async fn new_repositories_are_enabled_by_themselves_if_wanted() {
    let port = Port::new();
    let running = port.start();
    let policy = IntegrationPolicy {
        enable_on_push: true,
        selection: Selection { exclude: vec!["legacy/*".to_owned()], ..Selection::default() },
    };
    port.create(&[], policy).await;
    port.is_in(IntegrationState::Connected).await;
    another_pass(&running).await;
    let one = port.ship.push("team/new", "1.0", "one");
    let two = port.ship.push("team/new", "1.1", "two");
    port.ship.push("legacy/old", "1.0", "three");
    // All of it was pushed since the watch began.
    port.has(&[&one, &two]).await;
    assert_eq!(port.repositories().await, [("team/new".to_owned(), true, RepositoryOrigin::Found)]);
    running.stop().await;
}

#[tokio::test]
async fn a_selection_takes_in_more_than_the_newest() {
    let port = Port::new();
    port.ship.push_at(100, "team/app", "v1", "one");
    let two = port.ship.push_at(200, "team/app", "v2", "two");
    let three = port.ship.push_at(300, "team/app", "v3", "three");
    port.ship.push_at(400, "team/app", "dev", "four");
    let running = port.start();
    let selection = Selection { tags: vec!["^v".to_owned()], newest: Some(2), ..Selection::default() };
    port.create(&[], IntegrationPolicy { selection, ..IntegrationPolicy::default() }).await;
    port.set("team/app", true).await;
    port.has(&[&two, &three]).await;
    another_pass(&running).await;
    port.has(&[&two, &three]).await;
    running.stop().await;
}

#[tokio::test]
async fn a_registry_that_does_not_list_is_watched_by_names() {
    let port = Port::new();
    *port.ship.registry.switches.unlisted.lock().unwrap() = Some(RegistryErrorKind::Denied);
    let digest = port.ship.push("team/app", "1.0", "one");
    let running = port.start();
    port.create(&[], IntegrationPolicy::default()).await;
    port.is_in(IntegrationState::Connected).await;
    let (examination, _) = port.integrations.test(NAME, |_| (), &port.actor).await.unwrap();
    let step = examination.steps.iter().find(|step| step.step == "repositories").unwrap();
    assert_eq!(step.outcome, "warned");
    assert!(step.advice.as_ref().unwrap().contains("repo enable --integration prod"), "{step:?}");
    port.set("team/app", true).await;
    port.has(&[&digest]).await;
    wait_for("a pass without trouble", async || running.engine.status().registries[0].last_reconcile.is_some()).await;
    running.stop().await;
}

#[tokio::test]
async fn a_removed_integration_is_not_watched() {
    let port = Port::new();
    port.ship.push("team/app", "1.0", "one");
    let running = port.start();
    let id = port.create(&[("events", "distribution")], IntegrationPolicy::default()).await.id;
    wait_for("the watch", async || running.engine.watches().count() == 1).await;
    port.ship.store.remove_integration(id, RemovedData::Delete, &port.actor).await.unwrap();
    wait_for("the end of the watch", async || running.engine.watches().count() == 0).await;
    assert!(running.engine.intake().integration_source("distribution", NAME).is_none());
    assert!(running.engine.status().registries.is_empty());
    running.stop().await;
}

#[tokio::test]
async fn what_cannot_be_used_says_so() {
    let port = Port::new();
    let settings = BTreeMap::from([("colour".to_owned(), "red".to_owned())]);
    let new = NewIntegration { settings: settings.clone(), ..NewIntegration::new(NAME, "oci", HOST) };
    let refused = port.integrations.create(new, Credentials::default(), &port.actor).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Configuration);

    // A registry that the configuration names already.
    let engine = Engine::builder(Arc::clone(&port.ship.store), Arc::clone(&port.ship.indexer) as Arc<dyn ImageIndexer>)
        .with_options(port.ship.options.clone())
        .with_watch(port.ship.watch())
        .with_integrations(port.integrations.clone())
        .build()
        .unwrap();
    let running = Running::start(engine);
    let id = port.create(&[], IntegrationPolicy::default()).await.id;
    port.is_in(IntegrationState::Error).await;
    let reason = port.integration().await.reason.unwrap();
    assert!(reason.message.contains("--registry"), "{reason}");
    running.stop().await;

    // Settings that another release wrote, and a key that is not theirs.
    let running = port.start();
    port.is_in(IntegrationState::Connected).await;
    port.ship.store.set_integration_settings(id, settings, &port.actor).await.unwrap();
    port.is_in(IntegrationState::Error).await;
    port.integrations.replace_settings(NAME, BTreeMap::new(), &port.actor).await.unwrap();
    port.is_in(IntegrationState::Connected).await;
    let other = Vault::new(Key::generate().unwrap()).seal(b"{}", HOST).unwrap();
    port.ship.store.set_integration_credentials(id, Some(other), &port.actor).await.unwrap();
    port.is_in(IntegrationState::Error).await;
    let reason = port.integration().await.reason.unwrap();
    assert!(reason.kind == "sealed" && reason.message.contains("another key"), "{reason}");
    port.integrations.replace_credentials(NAME, |_| (), &port.actor).await.unwrap();
    port.is_in(IntegrationState::Connected).await;
    running.stop().await;
}

#[tokio::test]
async fn another_process_takes_steps_at_the_same_time() {
    let port = Port::new();
    let running = port.start();
    port.create(&[], IntegrationPolicy::default()).await;
    for _ in 0..20 {
        let (examination, integration) = port.integrations.test(NAME, |_| (), &port.actor).await.unwrap();
        assert!(examination.passed && integration.state == IntegrationState::Connected, "{integration:?}");
    }
    running.stop().await;
}
