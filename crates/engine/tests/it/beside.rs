//! Statements beside the images of integrations: registries that the sink had not heard of when it was made.

use std::sync::Arc;
use std::time::Duration;

use futures_util::TryStreamExt as _;
use supercargo_engine::integration::{
    Connection, Connector, Credentials, Integrations, Key, Login, Vault, registry_settings,
};
use supercargo_engine::sink::{ReferrerConfig, ReferrerSink};
use supercargo_engine::{DocumentFormat, Engine, Error, ErrorKind, ImageIndexer, Registries, Route, Watch};
use supercargo_registry::{Credential, Registry, RegistryHost, build, parse_registry};
use supercargo_store::{
    Actor, DeliveryFilter, DeliveryRecord, Integration, JobState, NewIntegration, Page, RemovedData, RepositoryOrigin,
};
use supercargo_testkit::{Image, ImageBuilder, Layer, RegistryServer, contents};

use crate::support::{Running, Ship, wait_for};

/// Opens registries by the distribution protocol, with the credentials of the integration.
#[derive(Debug)]
struct Opens;

impl Connector for Opens {
    fn connect(&self, integration: &Integration, credentials: &Credentials) -> supercargo_engine::Result<Connection> {
        let failed = |error| Error::new(ErrorKind::Configuration, "open the registry").with_source(error);
        let config = parse_registry(&registry_settings(integration)).map_err(failed)?;
        let registry = build(&config, credentials.provider(Arc::new(Credential::Anonymous))).map_err(failed)?;
        Ok(Connection::new(Watch::new(registry)))
    }
}

fn image(seed: &str) -> Image {
    ImageBuilder::new()
        .with_layer(Layer::new().file("etc/os-release", contents::os_release("debian", "12")), "ADD rootfs.tar /")
        .with_label("seed", seed)
        .build()
}

/// What is attached to an image, as somebody sees it who may read the registry.
async fn attached(server: &RegistryServer, credential: Credential, image: &Image) -> Vec<String> {
    let config = parse_registry(&server.host()).unwrap();
    let registry: Arc<dyn Registry> = build(&config, Arc::new(credential)).unwrap();
    let found = registry.referrers(&"team/app".parse().unwrap(), &image.digest().parse().unwrap());
    let found: Vec<_> = found.try_collect().await.unwrap();
    found.iter().map(|one| one.artifact_type().as_ref().map(ToString::to_string).unwrap_or_default()).collect()
}

/// A ship with nothing to watch, and a sink that attaches to whatever it will watch.
struct Port {
    ship: Ship,
    integrations: Integrations,
    actor: Actor,
}

impl Port {
    fn new() -> Self {
        let mut ship = Ship::new();
        ship.options.interval = Duration::from_millis(20);
        let integrations =
            Integrations::new(Arc::clone(&ship.store), Arc::new(Opens), Vault::new(Key::generate().unwrap()));
        Self { ship, integrations, actor: Actor::command_line("test") }
    }

    fn start(&self) -> Running {
        let registries = Registries::default();
        let config = ReferrerConfig { registries: registries.clone(), formats: vec![DocumentFormat::Spdx] };
        let indexer = Arc::clone(&self.ship.indexer) as Arc<dyn ImageIndexer>;
        let engine = Engine::builder(Arc::clone(&self.ship.store), indexer)
            .with_options(self.ship.options.clone())
            .with_registries(registries)
            .with_integrations(self.integrations.clone())
            .with_route(Route::new("beside", Arc::new(ReferrerSink::new(config).unwrap())));
        Running::start(engine.build().unwrap())
    }

    async fn connect(&self, name: &str, server: &RegistryServer, login: Option<Login>) -> Integration {
        let host: RegistryHost = server.host().parse().unwrap();
        let new = NewIntegration::new(name, "oci", host.to_string());
        let credentials = Credentials { registry: login, ..Credentials::default() };
        let made = self.integrations.create(new, credentials, &self.actor).await.unwrap();
        // By name, because not every stranger may list a registry.
        let named = vec![("team/app".to_owned(), true)];
        let store = &self.ship.store;
        store.set_repositories(made.id, named, RepositoryOrigin::Named, &self.actor).await.unwrap();
        made
    }

    async fn deliveries(&self) -> Vec<DeliveryRecord> {
        self.ship.store.deliveries(&DeliveryFilter::default(), &Page::default()).await.unwrap().items
    }
}

#[tokio::test]
async fn a_registry_that_is_connected_later_has_its_statements_with_its_own_password() {
    let server = RegistryServer::builder().with_basic_auth("robot", "hunter2").start().await.unwrap();
    let first = image("one");
    server.push(&first, "team/app", "1.0");
    let port = Port::new();
    let running = port.start();
    let made = port.connect("prod", &server, Some(Login::basic("robot", "hunter2"))).await;
    let credential = || Credential::Basic { username: "robot".to_owned(), password: "hunter2".into() };
    let on_it = async |image: &Image| attached(&server, credential(), image).await;
    wait_for("a statement", async || !on_it(&first).await.is_empty()).await;
    assert_eq!(on_it(&first).await, ["application/vnd.in-toto+json"]);

    // What is pushed while it is connected, too; and nothing once it is not.
    let second = image("two");
    server.push(&second, "team/app", "2.0");
    wait_for("another statement", async || !on_it(&second).await.is_empty()).await;
    port.ship.store.remove_integration(made.id, RemovedData::Keep, &port.actor).await.unwrap();
    wait_for("the end of the watch", async || running.engine.watches().count() == 0).await;
    let third = image("three");
    server.push(&third, "team/app", "3.0");
    assert_eq!(on_it(&third).await, Vec::<String>::new());
    assert!(port.deliveries().await.iter().all(|delivery| delivery.state == JobState::Done));
    running.stop().await;
    server.shutdown().await;
}

#[tokio::test]
async fn a_registry_that_may_only_be_read_is_in_nobody_s_way() {
    let (open, closed) = (
        RegistryServer::start().await.unwrap(),
        RegistryServer::builder().with_token_auth("robot", "hunter2").with_anonymous_pull().start().await.unwrap(),
    );
    let port = Port::new();
    let running = port.start();
    let read_only = image("read only");
    closed.push(&read_only, "team/app", "1.0");
    port.connect("open", &open, None).await;
    port.connect("closed", &closed, None).await;
    let given_up = async || {
        let all = port.deliveries().await;
        all.into_iter().find(|delivery| delivery.state == JobState::Dead)
    };
    wait_for("a delivery that is given up", async || given_up().await.is_some()).await;
    let delivery = given_up().await.unwrap();
    assert_eq!(delivery.request.repository.registry, closed.host());
    let reason = delivery.last_error.unwrap().message;
    assert!(reason.contains("attach a statement"), "{reason}");
    // The sink is not left alone for it.
    let status = running.engine.status().sinks.remove(0);
    assert_eq!((status.postponed, status.last_error), (0, None));
    let other = image("other");
    open.push(&other, "team/app", "1.0");
    wait_for("a statement", async || !attached(&open, Credential::Anonymous, &other).await.is_empty()).await;
    running.stop().await;
    open.shutdown().await;
    closed.shutdown().await;
}
