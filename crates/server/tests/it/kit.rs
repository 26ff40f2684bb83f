//! A server with one image in its store.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::body::{Body, to_bytes};
use http::{HeaderMap, Method, Request, StatusCode};
use serde_json::Value;
use supercargo_engine::events::{self, Secret, SourceConfig};
use supercargo_engine::index::Indexer;
use supercargo_engine::integration::{Connection, Connector, Credentials, Integrations, Key, Vault, event_sources};
use supercargo_engine::registry::MemoryRegistry;
use supercargo_engine::store::{Actor, Integration, MemoryStore, NewToken, Role, Store};
use supercargo_engine::{Engine, Error, ErrorKind, Watch};
use supercargo_server::{Access, EventSource, Options, Server, TokenText};
use supercargo_testkit::{Artifact as _, ImageBuilder, Layer, contents};
use tower::ServiceExt as _;

pub(crate) const SECRET: &str = "correct horse battery staple";

/// Opens the kit's registry, until it is told not to.
#[derive(Debug)]
struct Opens {
    registry: Arc<MemoryRegistry>,
    broken: Arc<AtomicBool>,
}

impl Connector for Opens {
    fn connect(&self, integration: &Integration, credentials: &Credentials) -> supercargo_engine::Result<Connection> {
        if self.broken.load(Ordering::Relaxed) || integration.settings.contains_key("colour") {
            return Err(Error::new(ErrorKind::Configuration, "read the settings: colour is no key"));
        }
        let sources = event_sources(integration, credentials)?.into_iter().map(Arc::from).collect();
        Ok(Connection { sources, ..Connection::new(Watch::new(self.registry.clone())) })
    }
}

/// A server, and what is behind it.
pub(crate) struct Kit {
    pub(crate) server: Server,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) engine: Engine,
    pub(crate) digest: String,
    /// Has integrations not connect any more.
    pub(crate) broken: Arc<AtomicBool>,
}

/// An answer, read to its end.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Reply {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error} in {}", self.text))
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

impl Kit {
    /// With `registry.test/team/app:1.0` indexed: a Debian with two packages.
    pub(crate) async fn new(access: Access) -> Self {
        Self::with(Options::new(access)).await
    }

    pub(crate) async fn with(options: Options) -> Self {
        let registry = Arc::new(MemoryRegistry::new("registry.test"));
        let digest = push(&registry);
        let store: Arc<dyn Store> = Arc::new(MemoryStore::default());
        let broken = Arc::new(AtomicBool::new(false));
        let opens = Arc::new(Opens { registry: Arc::clone(&registry), broken: Arc::clone(&broken) });
        let integrations = Integrations::new(Arc::clone(&store), opens, Vault::new(Key::generate().unwrap()));
        let engine = || {
            Engine::builder(Arc::clone(&store), Arc::new(Indexer::new()))
                .with_watch(Watch { all_images: true, ..Watch::new(registry.clone()) })
                .with_integrations(integrations.clone())
                .build()
                .unwrap()
        };
        let first = engine();
        first.run_until_idle(std::future::pending()).await.unwrap();
        // An engine that has ended takes no more deliveries, and the one of the server is to take them.
        let engine = engine();
        let source = events::build("distribution", SourceConfig::new([Secret::new(SECRET)])).unwrap();
        let server = Server::new(engine.clone(), options.with_source(EventSource::new("main", source)));
        Self { server, store, engine, digest, broken }
    }

    /// A token of the store.
    pub(crate) async fn token(&self, role: Role, scope: &[&str]) -> String {
        let text = TokenText::generate().unwrap();
        let name = format!("{role} {}", scope.join(" "));
        let scope = scope.iter().map(|name| (*name).to_owned()).collect();
        let new = NewToken { name, role, scope, hash: text.hash() };
        self.store.create_token(new, &Actor::supercargo()).await.unwrap();
        text.expose().to_owned()
    }

    /// Sends JSON with a token, if there is one.
    pub(crate) async fn ask(&self, method: &str, path: &str, token: Option<&str>, body: Option<Value>) -> Reply {
        let mut request = Request::builder().method(method).uri(path);
        if let Some(token) = token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let body = match body {
            Some(body) => {
                request = request.header("content-type", "application/json");
                Body::from(body.to_string())
            }
            None => Body::empty(),
        };
        self.send(request.body(body).unwrap()).await
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> Reply {
        let response = self.server.router().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = to_bytes(body, 16 << 20).await.unwrap();
        Reply { status: parts.status, headers: parts.headers, text: String::from_utf8(bytes.to_vec()).unwrap() }
    }

    pub(crate) async fn get(&self, path: &str) -> Reply {
        self.send(Request::get(path).body(Body::empty()).unwrap()).await
    }

    pub(crate) async fn post(&self, path: &str, secret: Option<&str>, body: impl Into<Body>) -> Reply {
        let mut request = Request::builder()
            .method(Method::POST)
            .uri(path)
            .header("content-type", "application/vnd.docker.distribution.events.v2+json");
        if let Some(secret) = secret {
            request = request.header("authorization", format!("Bearer {secret}"));
        }
        self.send(request.body(body.into()).unwrap()).await
    }
}

fn push(registry: &MemoryRegistry) -> String {
    let packages = [
        contents::Package::new("bash", "5.2.15-2"),
        contents::Package::new("libssl3", "3.0.11-1").with_source("openssl"),
    ];
    let layer = Layer::new()
        .file("etc/os-release", contents::os_release("debian", "12"))
        .file("var/lib/dpkg/status", contents::dpkg_status(&packages));
    let image = ImageBuilder::new().with_layer(layer, "ADD rootfs.tar / # buildkit").build();
    for blob in image.blobs() {
        registry.push_blob(blob.bytes.clone());
    }
    let manifest = &image.manifest;
    let (repository, tag) = ("team/app".parse().unwrap(), "1.0".parse().unwrap());
    registry.push_manifest(&repository, Some(&tag), &manifest.descriptor.media_type, manifest.bytes.clone());
    image.digest().to_owned()
}
