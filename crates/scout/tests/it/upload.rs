use proptest::prelude::*;
use supercargo_scout::index::{ImageMetadata, scout};
use supercargo_scout::{
    CorrelationId, Entity, EnvironmentValues, ErrorKind, ImageRepository, ImageUpload, Packages, ScoutClient, Step,
    Transaction, edn,
};
use supercargo_testkit::{Edn, ImageBuilder, Layer, ScoutImage, ScoutServer};

use crate::support::{INDEXED_AT, SECRET, client, config, image, metadata, renamed, service, upload};

/// The SBOM that `supercargo index` prints.
fn sbom(metadata: &ImageMetadata) -> serde_json::Value {
    let mut json = Vec::new();
    scout::write(metadata, scout::Options::default(), &mut json).unwrap();
    serde_json::from_slice(&json).unwrap()
}

/// Asserts that an image at the service has the packages and layers of an SBOM, all of them and no others.
fn assert_told(told: &ScoutImage, sbom: &serde_json::Value) {
    let text = |value: &serde_json::Value| value.as_str().map(str::to_owned);
    let mut expected: Vec<_> = sbom["artifacts"].as_array().unwrap().iter().collect();
    expected.sort_by_key(|artifact| artifact["purl"].as_str());
    assert_eq!(told.packages.len(), expected.len());
    for (package, artifact) in told.packages.iter().zip(expected) {
        assert_eq!(Some(package.purl.clone()), text(&artifact["purl"]));
        assert_eq!(Some(package.kind.clone()), text(&artifact["type"]));
        assert_eq!(package.namespace, text(&artifact["namespace"]));
        assert_eq!(Some(package.name.clone()), text(&artifact["name"]));
        assert_eq!(Some(package.version.clone()), text(&artifact["version"]));
        assert_eq!(package.author, text(&artifact["author"]));
        assert_eq!(package.description, text(&artifact["description"]));
        assert_eq!(package.url, text(&artifact["url"]));
        let licenses: Vec<_> = artifact["licenses"].as_array().into_iter().flatten().filter_map(text).collect();
        assert_eq!(package.licenses, licenses);
        let files = artifact["locations"].as_array().unwrap().iter();
        let mut files: Vec<_> =
            files.map(|file| (text(&file["path"]).unwrap(), text(&file["digest"]).unwrap())).collect();
        files.sort();
        files.dedup();
        let told: Vec<_> = package.files.iter().map(|file| (file.path.clone(), file.digest.clone())).collect();
        assert_eq!(told, files);
    }
    let config = &sbom["source"]["image"]["config"];
    let manifest = &sbom["source"]["image"]["manifest"];
    let blobs = manifest["layers"].as_array().unwrap();
    let diff_ids = config["rootfs"]["diff_ids"].as_array().unwrap();
    let steps = config["history"].as_array().unwrap().iter().enumerate();
    let steps: Vec<_> = steps.filter(|(_, step)| step["empty_layer"] != true).collect();
    assert_eq!(told.layers.len(), blobs.len());
    for (at, layer) in told.layers.iter().enumerate() {
        assert_eq!(Some(layer.digest.clone()), text(&blobs[at]["digest"]));
        assert_eq!(Some(layer.size), blobs[at]["size"].as_i64());
        assert_eq!(layer.diff_id, text(&diff_ids[at]));
        assert_eq!(layer.ordinal, steps[at].0 as i64);
        assert_eq!(Some(layer.created_by.clone()), text(&steps[at].1["created_by"]));
    }
}

#[tokio::test]
async fn the_service_has_the_image_whole_and_in_order() {
    let (server, client) = service().await;
    // 45 and a few: three chunks.
    let metadata = metadata(image(45)).await;
    let sbom = sbom(&metadata);
    let count = sbom["artifacts"].as_array().unwrap().len();
    assert!(count > 47, "{count}");
    let upload = upload(&metadata, "delivery 1").with_environment_values(EnvironmentValues::Sent);
    let receipt = client.upload(&upload).await.unwrap();
    assert_eq!(receipt.transactions, 2 + count.div_ceil(20));
    assert_eq!(receipt.correlation_id, CorrelationId::of("delivery 1"));

    assert_eq!(server.problems(), Vec::<String>::new());
    let images = server.images();
    let [told] = &images[..] else { panic!("{}", images.len()) };
    assert_told(told, &sbom);
    assert_eq!(told.digest, metadata.image().unwrap().digest.to_string());
    assert_eq!(told.repositories.iter().collect::<Vec<_>>(), ["registry.example.com:5000/team/app"]);
    let tags: Vec<_> = told.tags.iter().map(|tag| (tag.name.as_str(), tag.updated_at.to_string())).collect();
    let created = "2026-01-02T03:04:05.678Z";
    assert_eq!(tags, [("1.0", created.to_owned()), ("latest", created.to_owned())]);
    assert_eq!(told.created_at.unwrap().to_string(), created);
    assert_eq!(told.platform, "linux/amd64");
    assert_eq!(told.states, ["INDEXING", "INDEXED"]);
    assert_eq!(told.package_count, i64::try_from(count).ok());
    assert_eq!(told.sbom_version.as_deref(), Some("6"));
    assert_eq!(told.indexed_at.unwrap().to_string(), INDEXED_AT);
    assert_eq!(told.revision.as_deref(), Some("0123abc"));
    assert_eq!(told.labels["maintainer"], "a \"team\"\n\tof two");
    // What is behind the first `=` is the value, whatever is in it.
    let expected = [("PATH", "/usr/local/bin:/usr/bin"), ("JAVA_OPTS", "-Da=b -Dc=\"d\\e\""), ("EMPTY", "")];
    let expected: Vec<_> = expected.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
    assert!(expected.iter().all(|variable| told.environment.contains(variable)), "{:?}", told.environment);
    let advisory = &told.packages.iter().find(|package| package.name == "lib007").unwrap().advisory_url;
    assert_eq!(advisory, "adv:deb/debian/lib007?os_name=debian&os_version=12");

    let transactions = server.transactions();
    assert!(transactions.iter().all(|taken| taken.correlation_id == receipt.correlation_id.as_str()));
    assert!(transactions.iter().all(|taken| taken.team == "acme"));
    let repositories = server.repositories();
    assert_eq!((repositories[0].host.as_str(), repositories[0].enabled), ("registry.example.com:5000", true));
    server.shutdown().await;
}

#[tokio::test]
async fn what_is_not_to_be_sent_is_not() {
    let (server, client) = service().await;
    let metadata = metadata(image(30)).await;
    let bare = upload(&metadata, "d").with_packages(Packages::Withheld).with_tags(["only"]);
    assert_eq!(client.upload(&bare).await.unwrap().transactions, 1);
    let told = &server.images()[0];
    assert_eq!((told.packages.len(), told.state(), told.package_count), (0, None, None));
    assert_eq!(told.tags.iter().map(|tag| tag.name.as_str()).collect::<Vec<_>>(), ["only"]);
    assert_eq!(told.layers.len(), 3);
    // Names are told, values are not.
    let values: Vec<_> = told.environment.iter().map(|(_, value)| value.as_str()).collect();
    assert_eq!(told.environment[0].0, "PATH");
    assert!(values.iter().all(|value| ["<redacted>", ""].contains(value)), "{values:?}");
    assert!(!server.transactions()[0].entities.contains("/usr/local/bin:/usr/bin"));
    assert_eq!(server.problems(), Vec::<String>::new());
    server.shutdown().await;
}

#[tokio::test]
async fn the_same_image_elsewhere_is_one_image_in_two_places() {
    let server = ScoutServer::builder().with_team("T0-team_1").start().await.unwrap();
    let client =
        ScoutClient::new(config(&server).with_team("T0-team_1"), supercargo_scout::Credential::login("acme", SECRET))
            .unwrap();
    let first = metadata(image(1)).await;
    let second = renamed(first.clone(), "docker.io/library/app", &["1.0"]);
    client.upload(&upload(&first, "a")).await.unwrap();
    client.upload(&upload(&second, "b").with_pushed_at(Some(INDEXED_AT.parse().unwrap()))).await.unwrap();
    let told = &server.images()[0];
    let places: Vec<_> = told.repositories.iter().map(String::as_str).collect();
    assert_eq!(places, ["hub.docker.com/app", "registry.example.com:5000/team/app"]);
    let pushed = told.tags.iter().find(|tag| tag.repository == "hub.docker.com/app").unwrap();
    assert_eq!(pushed.updated_at.to_string(), INDEXED_AT);
    assert_eq!((server.images().len(), told.tags.len()), (1, 3));
    assert_eq!(server.problems(), Vec::<String>::new());
    assert!(server.transactions().iter().all(|taken| taken.team == "T0-team_1"));
    server.shutdown().await;
}

#[tokio::test]
async fn unusual_images_can_be_told_of() {
    let (server, client) = service().await;
    let layer = || Layer::new().file("same", "bytes");
    let images = [
        // No layer, no time, nothing.
        ImageBuilder::new().build(),
        // The same layer twice.
        ImageBuilder::new().with_layer(layer(), "one").with_layer(layer(), "two").build(),
        ImageBuilder::new().with_layer(layer(), "one").without_history().with_platform("linux/arm64/v8").build(),
        ImageBuilder::new().with_created("0001-01-01T00:00:00Z").with_layer(layer(), "one").build(),
    ];
    let count = images.len();
    for (at, image) in images.into_iter().enumerate() {
        let metadata = metadata(image).await;
        client.upload(&upload(&metadata, &at.to_string())).await.unwrap();
    }
    assert_eq!(server.problems(), Vec::<String>::new());
    assert_eq!(server.indexed(), count);
    server.shutdown().await;
}

#[tokio::test]
async fn a_repeated_delivery_says_the_same_byte_for_byte() {
    let metadata = metadata(image(25)).await;
    let texts = |delivery: &str| -> Vec<String> {
        upload(&metadata, delivery).transactions().map(|transaction| transaction.to_edn()).collect()
    };
    assert_eq!(texts("1"), texts("1"));
    let steps: Vec<Step> = upload(&metadata, "1").transactions().map(|transaction| transaction.step).collect();
    assert_eq!(steps, [Step::Image, Step::Packages, Step::Packages, Step::Indexed]);
}

#[tokio::test]
async fn what_is_no_image_is_refused() {
    let nameless = renamed(metadata(image(1)).await, "", &[]);
    let error = ImageUpload::new(&nameless, "d", INDEXED_AT.parse().unwrap()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    let mut directory = nameless.clone();
    directory.source = supercargo_scout::index::Source::Directory { path: "/".into(), size: 0 };
    let error = ImageUpload::new(&directory, "d", INDEXED_AT.parse().unwrap()).unwrap_err();
    assert_eq!(error.to_string(), "tell of a directory: only images can be told of");
}

#[tokio::test]
async fn a_failure_can_be_told() {
    let (server, client) = service().await;
    let metadata = metadata(image(30)).await;
    let upload = upload(&metadata, "d");
    let first = upload.transactions().next().unwrap();
    client.transact(upload.correlation_id(), &first).await.unwrap();
    client.transact(upload.correlation_id(), &upload.failure()).await.unwrap();
    assert_eq!(server.images()[0].states, ["INDEXING", "INDEXING_FAILED"]);
    // It is no end: the image may be told of again.
    client.upload(&upload).await.unwrap();
    assert_eq!(server.images()[0].state(), Some("INDEXED"));
    assert_eq!(server.problems(), Vec::<String>::new());
    server.shutdown().await;
}

/// The stand-in refuses what breaks a rule: a client with a mistake would be found out.
#[tokio::test]
async fn the_stand_in_finds_mistakes() {
    let (server, client) = service().await;
    let metadata = metadata(image(25)).await;
    let upload = upload(&metadata, "d");
    let id = upload.correlation_id();
    let [first, packages, more, indexed] = &upload.transactions().collect::<Vec<_>>()[..] else { panic!("four") };
    let refused = async |transaction: &Transaction, expected: &str| {
        let error = client.transact(id, transaction).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Rejected);
        assert!(error.to_string().contains(expected), "{error}");
    };
    refused(packages, "was not told of before").await;
    refused(indexed, "was not told of before").await;
    let digest = metadata.image().unwrap().digest.to_string();
    let image = || Entity::new("docker/image", "$image").with("docker.image/digest", digest.as_str());
    refused(&Transaction::new(vec![image(), image()]), "$image is there twice").await;
    refused(&Transaction::new(vec![image().with("docker.image/size", 1)]), "which a docker/image has not").await;
    refused(&Transaction::new(vec![image().with("docker.image/sha", 1)]), "not Text").await;
    refused(&Transaction::new(vec![image().with("docker.image/repository", "$repo")]), "which is not there").await;
    refused(&Transaction::new(vec![Entity::new("docker/tag", "$tag")]), "has no docker.tag/name").await;

    client.transact(id, first).await.unwrap();
    client.transact(id, packages).await.unwrap();
    refused(indexed, "packages were announced, and 20 came").await;
    // Sent again, it counts once.
    client.transact(id, packages).await.unwrap();
    client.transact(id, more).await.unwrap();
    client.transact(id, indexed).await.unwrap();
    refused(packages, "packages come while the image is").await;
    assert_eq!(server.images()[0].state(), Some("INDEXED"));
    server.shutdown().await;
}

#[tokio::test]
async fn a_refused_chunk_ends_the_upload_as_failed() {
    let (server, client) = service().await;
    let metadata = metadata(image(45)).await;
    let fault = supercargo_testkit::ScoutFault::status(413).on_path("/skills/remote/").with_skipped(2);
    server.inject(fault);
    let upload = upload(&metadata, "d");
    let error = client.upload(&upload).await.unwrap_err();
    assert_eq!((error.kind(), error.is_retryable()), (ErrorKind::Rejected, false));
    assert_eq!(error.correlation_id(), Some(upload.correlation_id().as_str()));
    assert!(error.to_string().starts_with("upload packages to acme: "), "{error}");
    assert_eq!(server.images()[0].states, ["INDEXING", "INDEXING_FAILED"]);
    server.shutdown().await;
}

#[test]
fn repositories_are_named_as_the_service_names_them() {
    let check = |name: &str, host: &str, repository: &str| {
        let parsed = ImageRepository::parse(name).unwrap();
        assert_eq!((parsed.host.as_str(), parsed.name.as_str()), (host, repository), "{name}");
    };
    check("docker.io/library/alpine", "hub.docker.com", "alpine");
    check("index.docker.io/acme/app", "hub.docker.com", "acme/app");
    check("acme/app", "hub.docker.com", "acme/app");
    check("ghcr.io/library/app", "ghcr.io", "library/app");
    check("host:5000/app", "host:5000", "app");
    check("localhost/app", "localhost", "app");
    assert!(ImageRepository::parse("ghcr.io/").is_err());
}

fn value() -> impl Strategy<Value = edn::Value> {
    let plain = prop_oneof![
        Just(edn::Value::Nil),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        any::<String>().prop_map(Into::into),
        Just(edn::Value::Keyword("sbom.state/INDEXED")),
        (0..4_000_000_000i64, 0..1_000_000_000i32)
            .prop_map(|(second, nano)| jiff::Timestamp::new(second, nano).unwrap().into()),
    ];
    plain.prop_recursive(4, 40, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(edn::Value::Vector),
            prop::collection::vec(inner, 0..4)
                .prop_map(|values| edn::Value::Map(["a/b", "c", "d.e/f-g"].into_iter().zip(values).collect())),
        ]
    })
}

fn is_same(written: &edn::Value, read: &Edn) -> bool {
    match (written, read) {
        (edn::Value::Nil, Edn::Nil) => true,
        (edn::Value::Bool(a), Edn::Bool(b)) => a == b,
        (edn::Value::Integer(a), Edn::Integer(b)) => a == b,
        (edn::Value::String(a), Edn::String(b)) => a == b,
        (edn::Value::Keyword(a), Edn::Keyword(b)) => a == b,
        (edn::Value::Instant(a), Edn::Instant(b)) => a == b,
        (edn::Value::Vector(a), Edn::Vector(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| is_same(a, b)),
        (edn::Value::Map(a), Edn::Map(b)) => {
            a.len() == b.len() && a.iter().all(|(key, value)| b.get(*key).is_some_and(|read| is_same(value, read)))
        }
        _ => false,
    }
}

proptest! {
    #[test]
    fn what_is_written_is_read_again(value in value()) {
        let text = value.to_string();
        let read = Edn::parse(&text).map_err(TestCaseError::fail)?;
        prop_assert!(is_same(&value, &read), "{text}");
    }
}

/// A hundred images at once: nothing waits longer than it has to.
#[tokio::test]
async fn many_images_are_uploaded_side_by_side() {
    let (server, client) = service().await;
    server.set_latency(std::time::Duration::from_millis(20));
    let metadata = std::sync::Arc::new(metadata(image(3)).await);
    let started = std::time::Instant::now();
    let uploads = (0..100).map(|n| {
        let (client, metadata) = (client.clone(), std::sync::Arc::clone(&metadata));
        tokio::spawn(async move {
            let mut one = (*metadata).clone();
            let supercargo_scout::index::Source::Image(image) = &mut one.source else { panic!("an image") };
            let digest = supercargo_testkit::sha256(format!("image {n}").as_bytes());
            image.digest = digest.parse().unwrap();
            client.upload(&upload(&one, &format!("delivery {n}"))).await.unwrap();
        })
    });
    for upload in uploads.collect::<Vec<_>>() {
        upload.await.unwrap();
    }
    assert_eq!((server.indexed(), server.problems()), (100, Vec::new()));
    // 300 transactions of 20 ms by 16 at a time are 0.4 s; one after the other they would be 6 s.
    assert!(started.elapsed() < std::time::Duration::from_secs(4), "{:?}", started.elapsed());
    drop(client);
    server.shutdown().await;
}

#[tokio::test]
async fn a_client_is_a_value_that_others_share() {
    let server = ScoutServer::start().await.unwrap();
    let one = client(&server);
    let two = one.clone();
    one.sign_in().await.unwrap();
    two.enroll().await.unwrap();
    assert_eq!(server.count_requests("/v2/auth/token"), 1);
    assert_eq!((two.organization(), two.config().concurrency), ("acme", 16));
    server.shutdown().await;
}
