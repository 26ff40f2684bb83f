//! Images whose documents mean harm, from the registry through the indexer.

use std::sync::Arc;

use serde_json::{Value, json};
use supercargo_index::Indexer;
use supercargo_registry::{Digest, ErrorKind, Registry, RegistryExt, Target};
use supercargo_testkit::{ImageBuilder, Layer, RegistryServer};
use wiremock::matchers::{method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

use crate::support::{INDEX, MANIFEST, app, digest, document, host, on_get, open, target};

const LATEST: &str = "/v2/team/app/manifests/latest";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";

fn descriptor(media_type: &str, bytes: &[u8]) -> Value {
    json!({"mediaType": media_type, "digest": digest(bytes), "size": bytes.len()})
}

fn config(diff_ids: &[String]) -> String {
    json!({"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": diff_ids}}).to_string()
}

/// Serves a manifest and blobs; indexes the image.
async fn index(manifest: &Value, blobs: &[&[u8]]) -> Result<(), supercargo_index::ErrorKind> {
    let server = MockServer::start().await;
    on_get(&server, LATEST, document(MANIFEST, manifest.to_string())).await;
    for blob in blobs {
        let at = format!("/v2/team/app/blobs/{}", digest(blob));
        on_get(&server, &at, ResponseTemplate::new(200).set_body_bytes(*blob)).await;
    }
    let registry = Arc::new(open(&host(&server)));
    let set = registry.images(&app(), &target("latest")).await.unwrap();
    let image = registry.image(set.images[0].clone());
    Indexer::new().index(&image).await.map(drop).map_err(|error| error.kind())
}

fn manifest(config: &str, layers: &[Value]) -> Value {
    json!({
        "schemaVersion": 2, "mediaType": MANIFEST, "config": descriptor(CONFIG, config.as_bytes()), "layers": layers,
    })
}

#[tokio::test]
async fn counts_that_do_not_agree() {
    use supercargo_index::ErrorKind as Kind;
    let tar = Layer::new().file("a", "1").tar();
    let one = descriptor(LAYER, &tar);
    let right = config(&[digest(&tar).to_string()]);
    assert_eq!(index(&manifest(&right, std::slice::from_ref(&one)), &[right.as_bytes(), &tar]).await, Ok(()));
    for (config, layers, kind) in [
        (config(&[]), vec![one.clone()], Kind::Malformed),
        (right.clone(), vec![one.clone(), one.clone()], Kind::Malformed),
        (right.clone(), vec![], Kind::Malformed),
        (
            r#"{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":null}}"#.to_owned(),
            vec![one.clone()],
            Kind::Malformed,
        ),
        (right.clone(), vec![one.clone(); 10_000], Kind::LimitExceeded),
    ] {
        let count = layers.len();
        let found = index(&manifest(&config, &layers), &[config.as_bytes(), &tar]).await;
        assert_eq!(found, Err(kind), "{config} with {count} layers");
    }
}

#[tokio::test]
async fn layers_that_cannot_be_read() {
    use supercargo_index::ErrorKind as Kind;
    let encrypted = b"whatever it is".to_vec();
    let xz = b"\xfd7zXZ\0\0\x04and so on, for some length".to_vec();
    for (media_type, bytes) in [
        ("application/vnd.oci.image.layer.v1.tar+gzip+encrypted", encrypted),
        ("application/vnd.oci.image.layer.v1.tar+xz", xz),
    ] {
        let config = config(&[digest(&bytes).to_string()]);
        let found = index(&manifest(&config, &[descriptor(media_type, &bytes)]), &[config.as_bytes(), &bytes]).await;
        assert_eq!(found, Err(Kind::Unsupported), "{media_type}");
    }
}

#[tokio::test]
async fn a_configuration_without_end() {
    let config = " ".repeat((16 << 20) + 1);
    let found = index(&manifest(&config, &[]), &[config.as_bytes()]).await;
    assert_eq!(found, Err(supercargo_index::ErrorKind::LimitExceeded));
}

#[tokio::test]
async fn documents_that_two_readers_would_read_differently() {
    let config = config(&[]);
    let mut both = manifest(&config, &[]);
    both["manifests"] = json!([]);
    let mut lying = manifest(&config, &[]);
    lying["mediaType"] = json!(INDEX);
    let mut nulls = manifest(&config, &[]);
    nulls["layers"] = Value::Null;
    let twice = manifest(&config, &[]).to_string().replacen("\"layers\":[]", "\"layers\":[],\"layers\":[{}]", 1);
    for body in [both.to_string(), lying.to_string(), nulls.to_string(), twice] {
        let server = MockServer::start().await;
        on_get(&server, LATEST, document(MANIFEST, body.clone())).await;
        let error = open(&host(&server)).images(&app(), &target("latest")).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Malformed, "{body}");
        assert!(!error.is_retryable());
    }
}

#[tokio::test]
async fn digests_that_are_none() {
    let config = config(&[]);
    let right = digest(config.as_bytes()).to_string();
    for wrong in [
        String::new(),
        "sha256:".to_owned(),
        "sha256:../../../etc/passwd".to_owned(),
        "sha256:abc".to_owned(),
        right.to_uppercase(),
        right.replace("sha256", "SHA256"),
        right.replace("sha256", "md5"),
        format!("{right}\\u0000"),
        format!("{right}/../x"),
    ] {
        let body = manifest(&config, &[]).to_string().replace(&right, &wrong);
        let server = MockServer::start().await;
        on_get(&server, LATEST, document(MANIFEST, body)).await;
        let registry = Arc::new(open(&host(&server)));
        let read = async {
            let set = registry.images(&app(), &target("latest")).await.map_err(|error| error.to_string())?;
            let image = registry.image(set.images[0].clone());
            Indexer::new().index(&image).await.map(drop).map_err(|error| error.to_string())
        };
        assert!(read.await.is_err(), "{wrong:?}");
        let requests = server.received_requests().await.unwrap();
        assert!(requests.iter().all(|request| !request.url.path().contains("/blobs/")), "{wrong:?} is not asked for");
    }
}

#[tokio::test]
async fn indexes_in_a_circle() {
    // A digest cannot be in what it is a digest of: a circle can only be a lie.
    let (one, other) = (digest(b"one"), digest(b"other"));
    let index = |child: &Digest| {
        json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": [{"mediaType": INDEX, "digest": child, "size": 1}]})
            .to_string()
    };
    let server = MockServer::start().await;
    on_get(&server, LATEST, document(INDEX, index(&one))).await;
    on_get(&server, &format!("/v2/team/app/manifests/{one}"), document(INDEX, index(&other))).await;
    on_get(&server, &format!("/v2/team/app/manifests/{other}"), document(INDEX, index(&one))).await;
    let error = open(&host(&server)).images(&app(), &target("latest")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::DigestMismatch, "{error}");
    assert_eq!(server.received_requests().await.unwrap().len(), 2);
}

#[tokio::test]
async fn a_tag_that_moves_or_goes_while_it_is_read() {
    let server = RegistryServer::start().await.unwrap();
    let image = |text: &'static str| ImageBuilder::new().with_layer(Layer::new().file("a", text), "COPY").build();
    let (old, new) = (image("old"), image("new"));
    server.push(&old, "team/app", "latest");
    let registry = Arc::new(open(&server.host()));
    let resolved = registry.resolve(&app(), &target("latest")).await.unwrap();
    assert_eq!(resolved.digest().to_string(), old.digest());
    server.push(&new, "team/app", "latest");
    // What was resolved is read by its digest, whatever the tag says now.
    let set = registry.images(&app(), &Target::Digest(resolved.digest().clone())).await.unwrap();
    assert_eq!(set.images[0].descriptor.digest().to_string(), old.digest());
    // A tag that is read again is one image, not half of each.
    let set = registry.images(&app(), &target("latest")).await.unwrap();
    assert_eq!(set.images[0].descriptor.digest().to_string(), new.digest());
    assert!(server.delete_tag("team/app", "latest"));
    let metadata = Indexer::new().index(&registry.image(set.images[0].clone())).await.unwrap();
    let supercargo_index::Source::Image(read) = &metadata.source else { panic!("an image is an image") };
    assert_eq!(read.digest.to_string(), new.digest());
}

#[tokio::test]
async fn a_tag_that_moves_between_two_requests_is_what_was_read() {
    let (old, new) = (manifest(&config(&[]), &[]).to_string(), manifest(" {}", &[]).to_string());
    let server = MockServer::start().await;
    Mock::given(method("HEAD"))
        .and(path(LATEST))
        .respond_with(
            document(MANIFEST, old.clone())
                .insert_header("docker-content-digest", digest(old.as_bytes()).to_string().as_str()),
        )
        .mount(&server)
        .await;
    on_get(&server, LATEST, document(MANIFEST, new.clone())).await;
    let registry = open(&host(&server));
    let resolved = registry.resolve(&app(), &target("latest")).await.unwrap();
    let read = registry.manifest(&app(), &target("latest")).await.unwrap();
    assert_eq!((resolved.digest(), &read.digest), (&digest(old.as_bytes()), &digest(new.as_bytes())));
    let gone = registry.manifest(&app(), &resolved.digest().clone().into()).await.unwrap_err();
    assert_eq!(gone.kind(), ErrorKind::NotFound);
}
