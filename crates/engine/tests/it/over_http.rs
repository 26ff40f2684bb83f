//! The same over the distribution protocol, and with a database on disk.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, Method, StatusCode};
use serde_json::json;
use supercargo_engine::{Backoff, Engine, Options, RetryPolicy, Summary, Watch};
use supercargo_events::{DistributionSource, Request, SourceConfig};
use supercargo_registry::index::{
    BaseEvidence, Cataloger, Catalogers, Contents, File, Findings, Indexer, Interest, Package, Problem as FileProblem,
};
use supercargo_registry::{Credential, OciRegistry, Registry, Retry, TransportConfig};
use supercargo_store::{
    ImageFilter, Page, PlaceFilter, Problem, ProblemFilter, ProblemState, SqliteOptions, SqliteStore, Store,
};
use supercargo_testkit::{Image, ImageBuilder, IndexBuilder, Layer, RegistryServer, attestation, contents};

use crate::support::settle;

fn image(seed: &str) -> Image {
    ImageBuilder::new()
        .with_layer(Layer::new().file("etc/os-release", contents::os_release("debian", "12")), "ADD rootfs.tar /")
        .with_layer(Layer::new().file("app/seed", seed.to_owned()), "COPY seed /app/")
        .build()
}

async fn open(directory: &tempfile::TempDir) -> Arc<SqliteStore> {
    Arc::new(SqliteStore::open(SqliteOptions::new(directory.path().join("supercargo.db"))).await.unwrap())
}

fn registry(server: &RegistryServer, credential: Credential) -> Arc<dyn Registry> {
    let quick =
        Retry { attempts: 2, base: Duration::from_millis(2), cap: Duration::from_millis(4), ..Retry::default() };
    let transport = TransportConfig { retry: quick, ..TransportConfig::default() };
    Arc::new(OciRegistry::new(server.host().parse().unwrap(), Arc::new(credential), &transport).unwrap())
}

fn engine(store: &Arc<SqliteStore>, registry: Arc<dyn Registry>) -> Engine {
    engine_with(store, registry, Catalogers::all())
}

fn engine_with(store: &Arc<SqliteStore>, registry: Arc<dyn Registry>, catalogers: Catalogers) -> Engine {
    let store: Arc<dyn Store> = Arc::clone(store) as Arc<dyn Store>;
    let indexer = Indexer::new().with_catalogers(catalogers).with_cache(store.layer_cache());
    let quick = Backoff { base: Duration::from_millis(2), cap: Duration::from_millis(4) };
    let retry = RetryPolicy { backoff: quick, pause: quick, refused_pause: quick, ..RetryPolicy::default() };
    Engine::builder(store, Arc::new(indexer))
        .with_watch(Watch { all_images: true, refresh_registry: true, ..Watch::new(registry) })
        .with_options(Options { retry, poll: Duration::from_millis(20), ..Options::default() })
        .build()
        .unwrap()
}

async fn sail(store: &Arc<SqliteStore>, server: &RegistryServer) -> Summary {
    settle(&engine(store, registry(server, Credential::Anonymous))).await
}

async fn problem(store: &Arc<SqliteStore>) -> Problem {
    store.problems(&ProblemFilter::default(), &Page::default()).await.unwrap().items.remove(0)
}

#[tokio::test]
async fn a_rebuilt_image_costs_its_new_layer_only() {
    let directory = tempfile::tempdir().unwrap();
    let server = RegistryServer::start().await.unwrap();
    let (first, second) = (image("one"), image("two"));
    server.push(&first, "team/app", "1.0");
    let store = open(&directory).await;
    assert_eq!(sail(&store, &server).await.counters.indexed, 1);

    server.push(&second, "team/app", "2.0");
    assert_eq!(sail(&store, &server).await.counters.indexed, 1);
    assert_eq!(first.layer_digest(0), second.layer_digest(0));
    assert_eq!(server.blob_requests(first.layer_digest(0)), 1);
    assert_eq!(server.blob_requests(second.layer_digest(1)), 1);

    // What a list over HTTP leaves out is asked for by name.
    server.delete_tag("team/app", "1.0");
    assert_eq!(sail(&store, &server).await.counters.gone, 1);
    let tags = store.tags(&PlaceFilter::default(), &Page::default()).await.unwrap().items;
    assert_eq!(tags.iter().map(|tag| tag.tag.as_str()).collect::<Vec<_>>(), ["2.0"]);
    server.shutdown().await;
}

/// Names the seed of an image, as its release does it.
#[derive(Debug)]
struct Seeds(u32);

impl Cataloger for Seeds {
    fn name(&self) -> &'static str {
        "seeds"
    }

    fn version(&self) -> u32 {
        self.0
    }

    fn interest(&self) -> Interest {
        Interest::new().path("app/seed")
    }

    fn catalog(&self, _: &File<'_>, contents: &mut Contents<'_>, found: &mut Findings) -> Result<(), FileProblem> {
        let (name, version) = (contents.text()?.into_owned(), self.0.to_string());
        found.package(Package { kind: "generic".into(), name, version, ..Package::default() });
        Ok(())
    }
}

#[tokio::test]
async fn a_new_release_of_a_cataloger_indexes_everything_again_and_fetches_no_layer() {
    let directory = tempfile::tempdir().unwrap();
    let server = RegistryServer::start().await.unwrap();
    let images = [image("one"), image("two")];
    for (image, tag) in images.iter().zip(["1.0", "2.0"]) {
        server.push(image, "team/app", tag);
    }
    for release in [1, 2] {
        // The database is all that one release leaves to the next.
        let store = open(&directory).await;
        let catalogers = Catalogers::all().with(Seeds(release));
        let engine = engine_with(&store, registry(&server, Credential::Anonymous), catalogers);
        assert_eq!(settle(&engine).await.counters.indexed, 2);
        for (image, seed) in images.iter().zip(["one", "two"]) {
            let stored = store.image(&image.manifest.digest().parse().unwrap()).await.unwrap().expect("it was indexed");
            let packages: Vec<_> = stored.metadata.packages.iter().map(|package| package.purl.clone()).collect();
            assert_eq!(packages, [format!("pkg:generic/{seed}@{release}")]);
            assert_eq!(stored.metadata.distro.as_ref().map(|distro| distro.id.as_str()), Some("debian"));
            assert_eq!([0, 1].map(|layer| server.blob_requests(image.layer_digest(layer))), [1, 1]);
        }
        store.close().await.unwrap();
    }
    server.shutdown().await;
}

#[tokio::test]
async fn broken_layers_end_in_a_state_with_a_reason_and_a_repair_is_taken_up() {
    let directory = tempfile::tempdir().unwrap();
    let server = RegistryServer::start().await.unwrap();
    let store = open(&directory).await;
    for (tag, truncated) in [("corrupt", false), ("truncated", true)] {
        let image = image(tag);
        server.push(&image, "team/app", tag);
        let layer = image.layer_digest(1);
        if truncated {
            server.truncate_blob(layer);
        } else {
            server.corrupt_blob(layer);
        }
        let summary = sail(&store, &server).await;
        assert_eq!((summary.counters.indexed, summary.counters.dead), (0, 1), "{tag}");
        let problem = problem(&store).await;
        assert_eq!(problem.state, ProblemState::Failed, "{tag}");
        println!("{tag}: {}", problem.reason);
        assert!(problem.reason.message.contains(layer), "{}", problem.reason);

        server.repair_blob(layer);
        store.retry(problem.job.unwrap()).await.unwrap();
        assert_eq!(sail(&store, &server).await.counters.indexed, 1, "{tag}");
    }
    server.shutdown().await;
}

#[tokio::test]
async fn wrong_credentials_are_a_state_of_the_registry_until_they_are_right() {
    let directory = tempfile::tempdir().unwrap();
    let server = RegistryServer::builder().with_token_auth("crew", "right").start().await.unwrap();
    server.push(&image("one"), "team/app", "1.0");
    let store = open(&directory).await;
    let summary = settle(&engine(&store, registry(&server, Credential::basic("crew", "wrong")))).await;
    assert_eq!(summary.unreached[0].reason.kind, "unauthorized");
    let away = store.registries().await.unwrap().remove(0).away.unwrap();
    assert_eq!(away.reason.kind, "unauthorized");

    let summary = settle(&engine(&store, registry(&server, Credential::basic("crew", "right")))).await;
    assert_eq!((summary.counters.indexed, summary.unreached.len()), (1, 0));
    assert_eq!(store.registries().await.unwrap().remove(0).away, None);
    server.shutdown().await;
}

#[tokio::test]
async fn the_database_is_found_again_and_a_lost_one_is_not_answered_for() {
    let directory = tempfile::tempdir().unwrap();
    let server = RegistryServer::start().await.unwrap();
    server.push(&image("one"), "team/app", "1.0");
    let store = open(&directory).await;
    let crashing = engine(&store, registry(&server, Credential::Anonymous));
    // A future that is dropped half-way is all that a crash leaves of an engine.
    let _ = tokio::time::timeout(Duration::from_millis(5), crashing.run(std::future::pending())).await;
    drop(crashing);
    store.close().await.unwrap();
    drop(store);

    let store = open(&directory).await;
    sail(&store, &server).await;
    assert_eq!(store.images(&ImageFilter::default(), &Page::default()).await.unwrap().items.len(), 1);

    let engine = engine(&store, registry(&server, Credential::Anonymous));
    store.close().await.unwrap();
    directory.close().unwrap();
    let source = DistributionSource::new(SourceConfig::new([]).opened().with_host(server.host())).unwrap();
    let body = br#"{"events": [{"id": "1", "action": "delete", "target": {"repository": "team/app", "tag": "1.0"}}]}"#;
    let headers = HeaderMap::new();
    let request = Request::new(&Method::POST, &headers, body, jiff::Timestamp::UNIX_EPOCH);
    let received = engine.intake().receive("main", &source, &request).await;
    assert_eq!(received.answer.status, StatusCode::SERVICE_UNAVAILABLE);
    server.shutdown().await;
}

#[tokio::test]
async fn an_image_is_stored_with_its_base_and_its_provenance() {
    let directory = tempfile::tempdir().unwrap();
    let server = RegistryServer::start().await.unwrap();
    let builder = ImageBuilder::new()
        .with_layer(Layer::new().file("etc/os-release", contents::os_release("debian", "12")), "ADD rootfs.tar /");
    server.push(&builder.clone().build(), "team/base", "12");
    let store = open(&directory).await;
    sail(&store, &server).await;

    let app = builder.clone().with_layer(Layer::new().file("app/run", "x"), "COPY run /app/").build();
    let other = builder.with_layer(Layer::new().file("app/run", "y"), "COPY run /app/").build();
    let layer = app.layer_digest(1);
    let provenance = json!({
        "buildDefinition": {
            "buildType": "https://github.com/moby/buildkit/blob/master/docs/attestations/slsa-definitions.md",
            "resolvedDependencies": [{"uri": "pkg:docker/debian@12", "digest": {"sha256": "a".repeat(64)}}],
        },
        "runDetails": {"metadata": {"buildkit_metadata": {
            "vcs": {"source": "https://example.org/app.git", "revision": "abc"},
            "source": {"locations": {"step1": {"locations": [
                {"ranges": [{"start": {"line": 2}, "end": {"line": 2}}]},
            ]}}},
            "layers": {"step1:0": [[{"digest": layer}]]},
        }}},
    });
    let statement = attestation(&app, "https://slsa.dev/provenance/v1", &provenance);
    let index =
        IndexBuilder::new().with_image(app.clone()).with_image(other.clone()).with_attestation(statement).build();
    server.push(&index, "team/app", "1.0");
    sail(&store, &server).await;

    let stored = |image: &Image| {
        let (store, digest) = (Arc::clone(&store), image.manifest.digest().parse().unwrap());
        async move {
            let stored = store.image(&digest).await.unwrap().expect("it was indexed");
            stored.metadata.image().expect("it is an image").clone()
        }
    };
    let app = stored(&app).await;
    let base = app.base.expect("the provenance names it");
    assert_eq!((base.name.as_str(), base.tag.as_deref()), ("debian", Some("12")));
    assert_eq!(base.evidence, BaseEvidence::Provenance);
    let provenance = app.provenance.expect("it was attested");
    assert_eq!(provenance.revision.as_deref(), Some("abc"));
    assert_eq!(app.layers[1].lines.as_ref().expect("they are mapped").ranges, [(2, 2)]);
    assert_eq!(app.attestations.len(), 1);
    // Nothing is said of the other one, but its first layer is known.
    let base = stored(&other).await.base.expect("its layers tell");
    assert_eq!(base.name, format!("{}/team/base", server.host()));
    assert_eq!((base.tag.as_deref(), base.layers, base.evidence), (Some("12"), Some(1), BaseEvidence::Layers));
    server.shutdown().await;
}
