//! Integrations that are made, changed and removed beside a running service, as another process does it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use supercargo_engine::integration::{Credentials, Integrations, Login};
use supercargo_engine::store::{
    Actor, EventFilter, EventState, ImageFilter, Integration, IntegrationState, NewIntegration, Page, RemovedData,
    RepositoryOrigin, Store,
};
use supercargo_engine::{Options, registry};
use supercargo_server::Openness;
use supercargo_testkit::contents::{self, Package};
use supercargo_testkit::{Image, ImageBuilder, Layer, Notification, RegistryServer};

use super::{EndpointPlan, Plan, Service, bind};
use crate::integrations::{self, KeyArgs};
use crate::signals::Stop;
use crate::{Environment, data};

const NAME: &str = "prod";
const SECRET: &str = "a-secret-of-some-length";
/// Long enough for a machine that does many things at once.
const LIMIT: Duration = Duration::from_secs(60);

async fn wait_for(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let deadline = tokio::time::Instant::now() + LIMIT;
    while !condition().await {
        assert!(tokio::time::Instant::now() < deadline, "no {what} within {LIMIT:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn image(version: &str) -> Image {
    let layer = Layer::new().with_entries(contents::npm_tree("srv/app", &[Package::new("left-pad", version)]));
    ImageBuilder::new().with_layer(layer, "COPY app /srv/app # buildkit").build()
}

fn login(password: &str) -> Option<Login> {
    Some(Login::basic("robot", password))
}

/// What the command line does it with: the same database, opened again, and the key that lies beside it.
struct Operator {
    store: Arc<dyn Store>,
    integrations: Integrations,
    actor: Actor,
}

impl Operator {
    async fn integration(&self) -> Integration {
        self.integrations.find(NAME).await.unwrap()
    }

    async fn is_in(&self, state: IntegrationState) {
        wait_for(state.as_str(), async || self.integration().await.state == state).await;
    }

    async fn set(&self, repository: &str, enabled: bool) {
        let id = self.integration().await.id;
        let named = vec![(repository.to_owned(), enabled)];
        self.store.set_repositories(id, named, RepositoryOrigin::Named, &self.actor).await.unwrap();
    }

    async fn has(&self, image: &Image) {
        wait_for("indexed image", async || {
            let images = self.store.images(&ImageFilter::default(), &Page::default()).await.unwrap().items;
            images.iter().any(|found| found.digest.to_string() == image.digest())
        })
        .await;
    }

    /// The reason why nothing was done about the last event, once there are so many.
    async fn refusal(&self, events: usize) -> String {
        let filter = EventFilter::default();
        let mut last = None;
        wait_for("refused event", async || {
            let items = self.store.events(&filter, &Page::default()).await.unwrap().items;
            let refused: Vec<_> = items.into_iter().filter(|one| one.event.state == EventState::Ignored).collect();
            last = refused.first().and_then(|one| one.event.reason.clone());
            refused.len() >= events
        })
        .await;
        last.expect("the condition has seen it")
    }
}

#[tokio::test]
async fn an_integration_lives_beside_a_running_service() {
    let folder = tempfile::tempdir().unwrap();
    let directory = folder.path().join("data");
    let bound = bind("127.0.0.1:0").await.unwrap();
    let events = format!("http://{}/v1/events/distribution/{NAME}", bound.address);
    let server = RegistryServer::builder()
        .with_basic_auth("robot", "hunter2")
        .with_notification(Notification::new(&events).with_header("Authorization", format!("Bearer {SECRET}")))
        .start()
        .await
        .unwrap();
    let plan = Plan {
        data: directory.clone(),
        watches: Vec::new(),
        registries: Default::default(),
        routes: Vec::new(),
        // Nothing is found by looking after the first look.
        options: Options { interval: Duration::from_secs(3600), ..Options::default() },
        endpoint: Some(EndpointPlan {
            address: None,
            token: None,
            openness: Openness::Careful,
            sources: Vec::new(),
            ports: Vec::new(),
            tls: None,
            public_url: None,
        }),
        key: KeyArgs::default(),
        environment: Environment::default(),
    };
    let service = Service::open_at(plan, Some(bound)).await.unwrap();
    assert!(!service.has_work().await.unwrap());
    assert!(service.first_token().await.unwrap().is_some());
    assert!(service.first_token().await.unwrap().is_none(), "it is made once");
    let stop = Stop::new();
    let living = async {
        live(&server, &directory, &events).await;
        stop.ask();
    };
    let (ran, ()) = tokio::join!(service.run(&stop), living);
    ran.unwrap();
}

async fn live(server: &RegistryServer, directory: &std::path::Path, events: &str) {
    let store = data::look(directory.to_owned()).await.unwrap();
    let environment = Environment::default();
    let integrations = integrations::of(Arc::clone(&store), directory, &KeyArgs::default(), &environment).unwrap();
    let operator = Operator { store, integrations, actor: Actor::command_line("test") };

    // A wrong password shows, and another one heals.
    let new = NewIntegration {
        settings: BTreeMap::from([("events".to_owned(), "distribution".to_owned())]),
        ..NewIntegration::new(NAME, "oci", server.host())
    };
    let secrets = vec![registry::Secret::from(SECRET)];
    let credentials = Credentials { registry: login("hunter1"), event_secrets: secrets, ..Credentials::default() };
    operator.integrations.create(new, credentials, &operator.actor).await.unwrap();
    operator.is_in(IntegrationState::Error).await;
    assert_eq!(operator.integration().await.reason.unwrap().kind, "sign-in");
    let right = |credentials: &mut Credentials| credentials.registry = login("hunter2");
    operator.integrations.replace_credentials(NAME, right, &operator.actor).await.unwrap();
    wait_for("a passed test", async || {
        let integration = operator.integration().await;
        integration.reason.is_some_and(|reason| reason.kind == "waiting")
    })
    .await;

    // The first event connects, and says why nothing is done about it.
    let first = image("1.0.0");
    server.push(&first, "team/app", "1.0");
    let reason = operator.refusal(1).await;
    assert_eq!(reason, "repository team/app is not enabled: supercargo repo enable --integration prod team/app");
    operator.is_in(IntegrationState::Connected).await;

    operator.set("team/app", true).await;
    operator.has(&first).await;
    let second = image("1.0.1");
    server.push(&second, "team/app", "1.1");
    operator.has(&second).await;

    operator.set("team/app", false).await;
    // What is written by one process is seen by the other within half a second; the push has to come after that.
    let third = image("1.0.2");
    wait_for("the refusal", async || {
        server.push(&third, "team/app", "1.2");
        let events = operator.store.events(&EventFilter::default(), &Page::first(1)).await.unwrap().items;
        events[0].event.state == EventState::Ignored
    })
    .await;

    let address = events.strip_prefix("http://").unwrap().split('/').next().unwrap().to_owned();
    let path = format!("/v1/events/distribution/{NAME}");
    assert_eq!(status(&address, &path).await, 401, "without the secret");
    let id = operator.integration().await.id;
    operator.store.remove_integration(id, RemovedData::Delete, &operator.actor).await.unwrap();
    wait_for("the end of the source", async || status(&address, &path).await == 404).await;
}

/// The status of the answer to an empty delivery.
async fn status(address: &str, path: &str) -> u16 {
    use std::io::{Read as _, Write as _};

    let request = format!("POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    let address = address.to_owned();
    let ask = move || {
        let mut stream = std::net::TcpStream::connect(address)?;
        stream.write_all(request.as_bytes())?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok::<_, std::io::Error>(answer)
    };
    let answer = tokio::task::spawn_blocking(ask).await.unwrap().unwrap();
    answer.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap()
}
