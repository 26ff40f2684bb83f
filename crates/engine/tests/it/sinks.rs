//! The sinks that come with the engine, against what stands in for their receivers.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::TryStreamExt as _;
use serde_json::{Value, json};
use supercargo_engine::sink::{
    DependencyTrackConfig, DependencyTrackSink, OnDelete, ReferrerConfig, ReferrerSink, SlackConfig, SlackSink,
    WebhookConfig, WebhookDocument, WebhookSecret, WebhookSink,
};
use supercargo_engine::{
    Consignment, DocumentFormat, Error, ErrorKind, Gone, IndexedImage, News, Outcome, Route, Sink,
};
use supercargo_registry::index::{ImageMetadata, Indexer, scout};
use supercargo_registry::{
    Credential, Destinations, MemoryRegistry, OciRegistry, OutboundConfig, Registry, RegistryExt as _, Repository,
    Target, TransportConfig,
};
use supercargo_store::{DeliveryFilter, JobState, Page};
use supercargo_testkit::{Image, ImageBuilder, Layer, RegistryServer, contents};
use wiremock::matchers::{body_partial_json, header, method, path, query_param};
use wiremock::{Mock, MockServer, Request, ResponseTemplate};

use crate::support::{Running, Ship, wait_for};

const KEY: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// The way to a server on this machine.
fn local() -> OutboundConfig {
    OutboundConfig {
        destinations: Destinations::Private,
        plain_http: true,
        timeout: Duration::from_secs(10),
        ..OutboundConfig::default()
    }
}

fn url(server: &MockServer, path: &str) -> url::Url {
    format!("{}{path}", server.uri()).parse().unwrap()
}

async fn metadata() -> ImageMetadata {
    let registry = Arc::new(MemoryRegistry::new("registry.test"));
    let repository: Repository = "team/app".parse().unwrap();
    registry.push_image(&repository, "1.0", &[&[0; 1024]]).unwrap();
    let set = registry.images(&repository, &"1.0".parse().unwrap()).await.unwrap();
    let source = registry.image(set.images[0].clone()).with_tags(["1.0".parse().unwrap()]);
    Indexer::new().index(&source).await.unwrap()
}

async fn indexed(tags: &[&str]) -> Consignment {
    let metadata = metadata().await;
    let digest = metadata.image().unwrap().digest.clone();
    let tags = tags.iter().map(ToString::to_string).collect();
    let image = IndexedImage { metadata, tags, indexed_at: "2026-11-22T10:00:00Z".parse().unwrap() };
    consignment(digest, News::Indexed(Box::new(image)))
}

async fn gone(tag: Option<&str>, tags: &[&str]) -> Consignment {
    let digest = metadata().await.image().unwrap().digest.clone();
    let tags = tags.iter().map(ToString::to_string).collect();
    consignment(digest, News::Gone(Gone { tag: tag.map(str::to_owned), tags }))
}

fn consignment(digest: supercargo_registry::Digest, news: News) -> Consignment {
    Consignment {
        id: "msg_p5jXN8AQM9LWM0D4loKWxJek".to_owned(),
        attempt: 1,
        repository: supercargo_store::RepositoryName::new("registry.test", "team/app"),
        digest,
        asked_at: "2026-11-22T09:00:00Z".parse().unwrap(),
        news,
    }
}

async fn answering(response: ResponseTemplate) -> MockServer {
    let server = MockServer::start().await;
    Mock::given(wiremock::matchers::any()).respond_with(response).mount(&server).await;
    server
}

async fn requests(server: &MockServer) -> Vec<Request> {
    server.received_requests().await.unwrap()
}

fn body(request: &Request) -> Value {
    serde_json::from_slice(&request.body).unwrap()
}

fn webhook(server: &MockServer, secrets: &[&str]) -> WebhookSink {
    let secrets = secrets.iter().map(|text| WebhookSecret::parse(text).unwrap()).collect();
    let config =
        WebhookConfig { url: url(server, "/hook"), secrets, document: WebhookDocument::None, transport: local() };
    WebhookSink::new(config).unwrap()
}

#[tokio::test]
async fn a_webhook_tells_what_an_image_is() {
    let server = answering(ResponseTemplate::new(204)).await;
    let consignment = indexed(&["1.0", "latest"]).await;
    let sink = webhook(&server, &[KEY, "an-older-key-of-some-length"]);
    assert_eq!(sink.deliver(&consignment).await.unwrap(), Outcome::Delivered);
    let [request] = requests(&server).await.try_into().unwrap();
    let told = body(&request);
    assert_eq!(
        (told["type"].as_str(), told["timestamp"].as_str()),
        (Some("image.indexed"), Some("2026-11-22T10:00:00Z"))
    );
    let data = &told["data"];
    assert_eq!(data["repository"], "team/app");
    assert_eq!(data["digest"], consignment.digest.to_string());
    assert_eq!(data["tags"], json!(["1.0", "latest"]));
    assert!(data.get("document").is_none());
    assert!(request.body.len() < 20_000, "Standard Webhooks advises less than 20 kB");

    // The form of spec/standard-webhooks.md: id, seconds, two signatures parted by a space.
    let value = |name: &str| request.headers.get(name).unwrap().to_str().unwrap().to_owned();
    assert_eq!(value("webhook-id"), consignment.id);
    let timestamp: i64 = value("webhook-timestamp").parse().unwrap();
    assert!((jiff::Timestamp::now().as_second() - timestamp).abs() < 60);
    let signatures = value("webhook-signature");
    assert_eq!(signatures.split(' ').filter(|signature| signature.starts_with("v1,")).count(), 2);

    let preview = sink.preview(&consignment).unwrap();
    assert_eq!(preview.body, request.body);
    assert!(!preview.target.contains("hook"), "an address may be a password: {}", preview.target);
}

#[tokio::test]
async fn a_webhook_may_carry_the_document() {
    let server = answering(ResponseTemplate::new(200)).await;
    let consignment = indexed(&["1.0"]).await;
    let config = WebhookConfig {
        url: url(&server, "/hook"),
        secrets: Vec::new(),
        document: WebhookDocument::Whole(DocumentFormat::Scout),
        transport: local(),
    };
    WebhookSink::new(config).unwrap().deliver(&consignment).await.unwrap();
    let [request] = requests(&server).await.try_into().unwrap();
    assert!(!request.headers.contains_key("webhook-signature"), "there is nothing to sign with");
    let mut expected = Vec::new();
    let News::Indexed(image) = &consignment.news else { panic!() };
    scout::write(&image.metadata, scout::Options::default(), &mut expected).unwrap();
    assert_eq!(body(&request)["data"]["document"], serde_json::from_slice::<Value>(&expected).unwrap());
    assert_eq!(body(&request)["data"]["format"], "scout");
}

#[tokio::test]
async fn a_webhook_tells_what_is_gone() {
    let server = answering(ResponseTemplate::new(200)).await;
    let sink = webhook(&server, &[]);
    sink.deliver(&gone(Some("1.0"), &[]).await).await.unwrap();
    sink.deliver(&gone(None, &["1.0", "2.0"]).await).await.unwrap();
    let told: Vec<Value> = requests(&server).await.iter().map(body).collect();
    assert_eq!((&told[0]["type"], &told[0]["data"]["tags"]), (&json!("tag.gone"), &json!(["1.0"])));
    assert_eq!((&told[1]["type"], &told[1]["data"]["tags"]), (&json!("image.gone"), &json!(["1.0", "2.0"])));
}

#[tokio::test]
async fn answers_are_sorted_as_the_specification_says() {
    let consignment = indexed(&["1.0"]).await;
    for (status, expected) in [
        (200, None),
        (202, None),
        (301, Some(ErrorKind::Denied)),
        (307, Some(ErrorKind::Denied)),
        (400, Some(ErrorKind::Rejected)),
        (401, Some(ErrorKind::Denied)),
        (404, Some(ErrorKind::Denied)),
        (410, Some(ErrorKind::Closed)),
        (413, Some(ErrorKind::Rejected)),
        (429, Some(ErrorKind::Busy)),
        (500, Some(ErrorKind::Unreachable)),
        (502, Some(ErrorKind::Unreachable)),
        (504, Some(ErrorKind::Unreachable)),
    ] {
        let response = ResponseTemplate::new(status)
            .insert_header("location", "http://127.0.0.1:1/elsewhere")
            .insert_header("retry-after", "7")
            .set_body_string("because\nof\u{7}this");
        let server = answering(response).await;
        let answer = webhook(&server, &[]).deliver(&consignment).await;
        assert_eq!(answer.as_ref().err().map(Error::kind), expected, "{status}");
        if let Err(error) = answer {
            assert_eq!(error.retry_after(), Some(Duration::from_secs(7)));
            assert!(
                error.to_string().contains(&format!("{status}")) && error.to_string().contains("because ofthis"),
                "{error}"
            );
        }
        assert_eq!(requests(&server).await.len(), 1, "nothing is followed or repeated");
    }
}

#[tokio::test]
async fn a_webhook_leads_only_where_it_may() {
    let server = answering(ResponseTemplate::new(200)).await;
    let make = |address: &str, transport: OutboundConfig| {
        let config = WebhookConfig {
            url: address.parse().unwrap(),
            secrets: Vec::new(),
            document: WebhookDocument::None,
            transport,
        };
        WebhookSink::new(config)
    };
    let refused = |address: &str, transport: OutboundConfig, part: &str| {
        let error = make(address, transport).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Configuration);
        assert!(error.to_string().contains(part), "{address}: {error}");
    };
    refused("http://hooks.example.com/x", OutboundConfig::default(), "plain-http=true");
    refused("https://10.0.0.1/x", OutboundConfig::default(), "private=true");
    refused("http://169.254.169.254/x", local(), "169.254.169.254, where it may not lead");
    refused("https://user:secret@hooks.example.com/", OutboundConfig::default(), "user");
    // A name is judged by what it leads to.
    let address = server.uri().replace("127.0.0.1", "localhost");
    let sink = make(&address, OutboundConfig { plain_http: true, ..OutboundConfig::default() }).unwrap();
    let error = sink.deliver(&indexed(&["1.0"]).await).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Denied, "{error}");
    assert!(requests(&server).await.is_empty());
}

#[tokio::test]
async fn a_channel_gets_a_line_that_no_image_can_break() {
    let server = answering(ResponseTemplate::new(200).set_body_string("ok")).await;
    let sink =
        SlackSink::new(SlackConfig { url: url(&server, "/services/T/B/X"), gone: true, transport: local() }).unwrap();
    assert!(!format!("{sink:?}").contains("services"), "its address is its password");
    let mut consignment = indexed(&["1.0", "<!channel>"]).await;
    sink.deliver(&consignment).await.unwrap();
    consignment.news = News::Gone(Gone { tag: Some("1.0".to_owned()), tags: Vec::new() });
    sink.deliver(&consignment).await.unwrap();
    let lines: Vec<String> =
        requests(&server).await.iter().map(|request| body(request)["text"].as_str().unwrap().to_owned()).collect();
    assert!(lines[0].starts_with("Indexed registry.test/team/app:1.0 (also &lt;!channel&gt;): "), "{lines:?}");
    assert_eq!(lines[1], "Gone: registry.test/team/app:1.0");
}

fn dependency_track(server: &MockServer, on_delete: OnDelete) -> DependencyTrackConfig {
    DependencyTrackConfig {
        url: url(server, "/"),
        api_key: "odt_key".into(),
        project: "{registry}/{repository}".parse().unwrap(),
        version: "{tag}".parse().unwrap(),
        platform: "linux/amd64".parse().unwrap(),
        auto_create: true,
        on_delete,
        transport: local(),
    }
}

#[tokio::test]
async fn dependency_track_gets_a_project_for_each_tag() {
    let server = MockServer::start().await;
    Mock::given(method("PUT"))
        .and(path("/api/v1/bom"))
        .and(header("x-api-key", "odt_key"))
        .and(body_partial_json(json!({ "projectName": "registry.test/team/app", "autoCreate": true })))
        .respond_with(ResponseTemplate::new(200).set_body_json(json!({ "token": "0d2d" })))
        .expect(2)
        .mount(&server)
        .await;
    let sink = DependencyTrackSink::new(dependency_track(&server, OnDelete::Keep)).unwrap();
    assert!(!sink.capabilities().gone);
    assert_eq!(sink.deliver(&indexed(&["1.0", "latest"]).await).await.unwrap(), Outcome::Delivered);
    let uploads: Vec<Value> = requests(&server).await.iter().map(body).collect();
    let versions: Vec<&str> = uploads.iter().filter_map(|upload| upload["projectVersion"].as_str()).collect();
    assert_eq!(versions, ["1.0", "latest"]);
    let bom = STANDARD.decode(uploads[0]["bom"].as_str().unwrap()).unwrap();
    let bom: Value = serde_json::from_slice(&bom).unwrap();
    assert_eq!(bom["bomFormat"], "CycloneDX");
    assert_eq!(uploads[0]["bom"], uploads[1]["bom"]);

    assert_eq!(sink.deliver(&indexed(&[]).await).await.unwrap(), Outcome::Ignored, "without a tag there is no version");
    let arm =
        DependencyTrackConfig { platform: "linux/arm64".parse().unwrap(), ..dependency_track(&server, OnDelete::Keep) };
    let sink = DependencyTrackSink::new(arm).unwrap();
    assert_eq!(
        sink.deliver(&indexed(&["1.0"]).await).await.unwrap(),
        Outcome::Ignored,
        "the image is another platform's"
    );
}

#[tokio::test]
async fn dependency_track_retires_what_is_gone_if_it_is_to() {
    for (on_delete, verb) in [(OnDelete::Deactivate, "PATCH"), (OnDelete::Delete, "DELETE")] {
        let server = MockServer::start().await;
        Mock::given(method("GET"))
            .and(path("/api/v1/project/lookup"))
            .and(query_param("name", "registry.test/team/app"))
            .and(query_param("version", "1.0"))
            .respond_with(ResponseTemplate::new(200).set_body_json(json!({ "uuid": "6f9e", "name": "x" })))
            .mount(&server)
            .await;
        Mock::given(method("GET")).respond_with(ResponseTemplate::new(404)).mount(&server).await;
        Mock::given(method(verb))
            .and(path("/api/v1/project/6f9e"))
            .respond_with(ResponseTemplate::new(204))
            .expect(1)
            .mount(&server)
            .await;
        let sink = DependencyTrackSink::new(dependency_track(&server, on_delete)).unwrap();
        assert_eq!(sink.deliver(&gone(Some("1.0"), &[]).await).await.unwrap(), Outcome::Delivered);
        assert_eq!(sink.deliver(&gone(Some("2.0"), &[]).await).await.unwrap(), Outcome::Unchanged);
    }
}

#[tokio::test]
async fn a_refusal_of_dependency_track_is_sorted() {
    let consignment = indexed(&["1.0"]).await;
    for (status, expected) in [
        (401, ErrorKind::Denied),
        (404, ErrorKind::Rejected),
        (400, ErrorKind::Rejected),
        (503, ErrorKind::Unreachable),
    ] {
        let server = answering(ResponseTemplate::new(status)).await;
        let sink = DependencyTrackSink::new(dependency_track(&server, OnDelete::Keep)).unwrap();
        assert_eq!(sink.deliver(&consignment).await.unwrap_err().kind(), expected, "{status}");
    }
}

fn app_image() -> Image {
    ImageBuilder::new()
        .with_layer(Layer::new().file("etc/os-release", contents::os_release("debian", "12")), "ADD rootfs.tar /")
        .with_env("MOTTO", "stays-at-home")
        .build()
}

async fn referrers(registry: &dyn Registry, image: &Image) -> Vec<Value> {
    let repository: Repository = "team/app".parse().unwrap();
    let digest = image.digest().parse().unwrap();
    let found: Vec<_> = registry.referrers(&repository, &digest).try_collect().await.unwrap();
    let mut statements = Vec::new();
    for referrer in found {
        let manifest = registry.manifest(&repository, &Target::Digest(referrer.digest().clone())).await.unwrap();
        let manifest: Value = serde_json::from_slice(&manifest.bytes).unwrap();
        let layer: supercargo_registry::Descriptor = serde_json::from_value(manifest["layers"][0].clone()).unwrap();
        let blob = registry.blob(&repository, &layer, 0).await.unwrap().into_bytes(1 << 20).await.unwrap();
        statements.push(json!({ "manifest": manifest, "statement": serde_json::from_slice::<Value>(&blob).unwrap() }));
    }
    statements
}

/// Over HTTP, with the referrers API and without it: attached once, found again, and no reason to index anything.
async fn a_round_trip(server: RegistryServer) {
    let transport = TransportConfig::default();
    let registry: Arc<dyn Registry> = Arc::new(
        OciRegistry::new(server.host().parse().unwrap(), Arc::new(Credential::Anonymous), &transport).unwrap(),
    );
    let config = ReferrerConfig {
        registries: [Arc::clone(&registry)].into_iter().collect(),
        formats: vec![DocumentFormat::Spdx, DocumentFormat::Scout],
    };
    let image = app_image();
    server.push(&image, "team/app", "1.0");
    let mut ship = Ship::new();
    ship.routes.push(Route::new("attached", Arc::new(ReferrerSink::new(config).unwrap())));
    let sail = async || {
        let watch = supercargo_engine::Watch {
            all_images: true,
            refresh_registry: true,
            ..supercargo_engine::Watch::new(Arc::clone(&registry))
        };
        crate::support::settle(&ship.engine_with(watch)).await
    };
    assert_eq!(sail().await.undelivered, []);
    let found = referrers(&*registry, &image).await;
    let types: Vec<_> = found.iter().filter_map(|one| one["statement"]["predicateType"].as_str()).collect();
    assert_eq!(types.len(), 2);
    assert!(types.contains(&"https://spdx.dev/Document") && types.contains(&"https://scout.docker.com/sbom/v0.1"));
    for one in &found {
        let (manifest, statement) = (&one["manifest"], &one["statement"]);
        assert_eq!(statement["_type"], "https://in-toto.io/Statement/v1");
        assert_eq!(format!("sha256:{}", statement["subject"][0]["digest"]["sha256"].as_str().unwrap()), image.digest());
        assert_eq!(manifest["subject"]["digest"], image.digest());
        assert_eq!(manifest["artifactType"], "application/vnd.in-toto+json");
        assert_eq!(manifest["annotations"]["in-toto.io/predicate-type"], statement["predicateType"]);
        assert!(!one.to_string().contains("stays-at-home"));
    }

    // Another tag is news, and the documents are the same: nothing is attached again, and nothing indexed.
    server.push(&image, "team/app", "2.0");
    let summary = sail().await;
    assert_eq!(summary.counters.indexed + summary.counters.unsupported, 0);
    assert_eq!(referrers(&*registry, &image).await.len(), 2);
    let rows = ship.store.deliveries(&DeliveryFilter::default(), &Page::default()).await.unwrap().items;
    assert!(rows.len() >= 2 && rows.iter().all(|row| row.state == JobState::Done), "{rows:?}");
    server.shutdown().await;
}

#[tokio::test]
async fn statements_are_attached_through_the_referrers_api() {
    a_round_trip(RegistryServer::start().await.unwrap()).await;
}

#[tokio::test]
async fn statements_are_attached_under_the_referrers_tag() {
    a_round_trip(RegistryServer::builder().without_referrers().start().await.unwrap()).await;
}

#[tokio::test]
async fn environment_values_go_out_only_if_they_are_sent() {
    let endpoint = answering(ResponseTemplate::new(200)).await;
    let server = RegistryServer::start().await.unwrap();
    server.push(&app_image(), "team/app", "1.0");
    let registry =
        OciRegistry::new(server.host().parse().unwrap(), Arc::new(Credential::Anonymous), &TransportConfig::default());
    let watch =
        supercargo_engine::Watch { all_images: true, ..supercargo_engine::Watch::new(Arc::new(registry.unwrap())) };
    let mut ship = Ship::new();
    let sink = |name: &str, values| {
        let config = WebhookConfig {
            url: url(&endpoint, name),
            secrets: Vec::new(),
            document: WebhookDocument::Whole(DocumentFormat::Scout),
            transport: local(),
        };
        let sink = Arc::new(WebhookSink::new(config).unwrap());
        Route { environment_values: values, ..Route::new(name, sink) }
    };
    ship.routes = vec![sink("/names", false), sink("/values", true)];
    let running = Running::start(ship.engine_with(watch));
    wait_for("both messages", async || requests(&endpoint).await.len() == 2).await;
    running.stop().await;
    let texts: BTreeMap<String, String> = requests(&endpoint)
        .await
        .iter()
        .map(|request| {
            let document = &body(request)["data"]["document"];
            // A configuration that was changed is not there in its own bytes.
            let config = document["source"]["image"]["raw_config"].as_str().unwrap_or_default();
            let config = STANDARD.decode(config).unwrap();
            (request.url.path().to_owned(), format!("{document} {}", String::from_utf8_lossy(&config)))
        })
        .collect();
    assert!(texts["/names"].contains("MOTTO") && !texts["/names"].contains("stays-at-home"), "{}", texts["/names"]);
    assert!(texts["/values"].contains("stays-at-home"));
    server.shutdown().await;
}
