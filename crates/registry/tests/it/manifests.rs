//! Manifests that are not what they should be.

use serde_json::{Value, json};
use supercargo_index::ImageSource;
use supercargo_registry::{ErrorKind, Registry, RegistryExt};
use wiremock::matchers::{method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

use crate::support::{INDEX, MANIFEST, app, digest, document, host, image_manifest, on_get, open, target};

const LATEST: &str = "/v2/team/app/manifests/latest";

#[tokio::test]
async fn a_digest_that_lies() {
    let body = image_manifest();
    for (header, kind) in [
        (digest(b"something else").to_string(), ErrorKind::DigestMismatch),
        ("sha256:../../etc/passwd".to_owned(), ErrorKind::Malformed),
        (digest(body.as_bytes()).to_string().to_uppercase(), ErrorKind::Malformed),
        (String::new(), ErrorKind::Malformed),
    ] {
        let server = MockServer::start().await;
        let answer = document(MANIFEST, body.clone()).insert_header("docker-content-digest", header.as_str());
        on_get(&server, LATEST, answer).await;
        let error = open(&host(&server)).manifest(&app(), &target("latest")).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{header}: {error}");
    }
}

#[tokio::test]
async fn bytes_that_are_not_the_digests() {
    let server = MockServer::start().await;
    let asked = digest(b"what was asked for");
    on_get(&server, &format!("/v2/team/app/manifests/{asked}"), document(MANIFEST, image_manifest())).await;
    let registry = open(&host(&server));
    let error = registry.manifest(&app(), &asked.clone().into()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::DigestMismatch);
    assert!(!error.is_retryable());
    assert_eq!(registry.resolve(&app(), &asked.into()).await.unwrap_err().kind(), ErrorKind::DigestMismatch);
}

#[tokio::test]
async fn a_head_that_names_another_digest_than_asked_for() {
    let server = MockServer::start().await;
    let asked = digest(b"what was asked for");
    Mock::given(method("HEAD"))
        .and(path(format!("/v2/team/app/manifests/{asked}")))
        .respond_with(
            document(MANIFEST, image_manifest())
                .insert_header("docker-content-digest", digest(b"another").to_string().as_str()),
        )
        .mount(&server)
        .await;
    let error = open(&host(&server)).resolve(&app(), &asked.into()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::DigestMismatch);
}

#[tokio::test]
async fn a_tag_is_gone_only_by_the_word_of_a_get() {
    let server = MockServer::start().await;
    Mock::given(method("HEAD")).respond_with(ResponseTemplate::new(404)).mount(&server).await;
    on_get(&server, LATEST, document(MANIFEST, image_manifest())).await;
    let descriptor = open(&host(&server)).resolve(&app(), &target("latest")).await.unwrap();
    assert_eq!(descriptor.digest(), &digest(image_manifest().as_bytes()));
    let gone = open(&host(&server)).resolve(&app(), &target("gone")).await.unwrap_err();
    assert_eq!(gone.kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn answers_that_are_no_manifests() {
    for (answer, kind) in [
        (document("text/html", "<html>please sign in</html>"), ErrorKind::Malformed),
        (ResponseTemplate::new(200), ErrorKind::Malformed),
        (ResponseTemplate::new(204), ErrorKind::Malformed),
        (document(MANIFEST, "[]"), ErrorKind::Malformed),
        (document(MANIFEST, "null"), ErrorKind::Malformed),
        (document(MANIFEST, "[".repeat(100_000)), ErrorKind::Malformed),
        (document(INDEX, image_manifest()), ErrorKind::Malformed),
        (document(MANIFEST, image_manifest()).insert_header("content-encoding", "gzip"), ErrorKind::Malformed),
        (document(MANIFEST, vec![b' '; (8 << 20) + 1]), ErrorKind::LimitExceeded),
    ] {
        let server = MockServer::start().await;
        on_get(&server, LATEST, answer).await;
        let error = open(&host(&server)).manifest(&app(), &target("latest")).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
    }
}

/// Serves `documents` by digest, and the last of them as `latest`.
async fn serve(documents: &[(&str, Value)]) -> MockServer {
    let server = MockServer::start().await;
    for (media_type, value) in documents {
        let at = format!("/v2/team/app/manifests/{}", digest(value.to_string().as_bytes()));
        on_get(&server, &at, document(media_type, value.to_string())).await;
    }
    let (media_type, value) = documents.last().unwrap();
    on_get(&server, LATEST, document(media_type, value.to_string())).await;
    server
}

fn index_of(children: &[(&str, &Value)]) -> Value {
    let manifests: Vec<Value> = children
        .iter()
        .map(|(media_type, child)| {
            let text = child.to_string();
            json!({"mediaType": media_type, "digest": digest(text.as_bytes()), "size": text.len()})
        })
        .collect();
    json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": manifests})
}

#[tokio::test]
async fn an_index_that_nests_without_end() {
    let mut documents = vec![(MANIFEST, serde_json::from_str(&image_manifest()).unwrap())];
    for _ in 0..10 {
        let (media_type, value) = documents.last().unwrap().clone();
        documents.push((INDEX, index_of(&[(media_type, &value)])));
    }
    let server = serve(&documents).await;
    let error = open(&host(&server)).images(&app(), &target("latest")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::LimitExceeded, "{error}");

    let server = serve(&documents[..4]).await;
    assert_eq!(open(&host(&server)).images(&app(), &target("latest")).await.unwrap().images.len(), 1);
}

#[tokio::test]
async fn an_index_with_too_many_entries() {
    let manifests: Vec<Value> = (0..5000u32)
        .map(|n| {
            json!({"mediaType": MANIFEST, "digest": digest(&n.to_be_bytes()), "size": 1, "platform": {"os": "linux", "architecture": "amd64"}})
        })
        .collect();
    let server = serve(&[(INDEX, json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": manifests}))]).await;
    let error = open(&host(&server)).images(&app(), &target("latest")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::LimitExceeded);
}

#[tokio::test]
async fn the_same_child_twice_is_one_image() {
    let image: Value = serde_json::from_str(&image_manifest()).unwrap();
    let inner = index_of(&[(MANIFEST, &image)]);
    let outer = index_of(&[(MANIFEST, &image), (INDEX, &inner), (MANIFEST, &image)]);
    let server = serve(&[(MANIFEST, image), (INDEX, inner), (INDEX, outer)]).await;
    assert_eq!(open(&host(&server)).images(&app(), &target("latest")).await.unwrap().images.len(), 1);
}

#[tokio::test]
async fn what_is_no_image_is_named() {
    let artefact = |config: &str, layer: &str| {
        json!({
            "schemaVersion": 2,
            "config": {"mediaType": config, "digest": digest(b"{}"), "size": 2},
            "layers": [{"mediaType": layer, "digest": digest(b"x"), "size": 1}],
        })
    };
    let oci_config = "application/vnd.oci.image.config.v1+json";
    for (value, word) in [
        (artefact("application/vnd.cncf.helm.config.v1+json", "application/x"), "Helm chart"),
        (artefact("application/vnd.wasm.config.v0+json", "application/wasm"), "WebAssembly"),
        (artefact(oci_config, "application/vnd.dev.cosign.simplesigning.v1+json"), "cosign"),
        (artefact(oci_config, "application/vnd.in-toto+json"), "attestation"),
        (artefact("application/vnd.example.thing", "application/x"), "application/vnd.example.thing"),
        (json!({"schemaVersion": 1, "name": "team/app", "fsLayers": []}), "schema 1"),
    ] {
        let server = serve(&[("application/json", value)]).await;
        let set = open(&host(&server)).images(&app(), &target("latest")).await.unwrap();
        assert!(set.images.is_empty());
        assert!(set.unsupported[0].reason.contains(word), "{}", set.unsupported[0].reason);
    }
}

#[tokio::test]
async fn a_child_that_turns_out_to_be_no_image_is_unsupported_when_it_is_read() {
    let chart = json!({
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": {"mediaType": "application/vnd.cncf.helm.config.v1+json", "digest": digest(b"{}"), "size": 2},
        "layers": [],
    });
    let mut index = index_of(&[(MANIFEST, &chart)]);
    index["manifests"][0]["platform"] = json!({"os": "linux", "architecture": "amd64"});
    let server = serve(&[(MANIFEST, chart), (INDEX, index)]).await;
    let registry = std::sync::Arc::new(open(&host(&server)));
    let set = registry.images(&app(), &target("latest")).await.unwrap();
    let error = registry.image(set.images[0].clone()).manifest().await.unwrap_err();
    assert_eq!(error.kind(), supercargo_index::ErrorKind::Unsupported);
}

#[tokio::test]
async fn inline_data_counts_only_if_it_is_what_the_digest_names() {
    let config = r#"{"os":"linux"}"#;
    // {"os":"linux"} and {"os":"linus"} in base64.
    for (data, fetched) in [("eyJvcyI6ImxpbnV4In0=", 0), ("eyJvcyI6ImxpbnVzIn0=", 1), ("%%%", 1)] {
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": {
                "mediaType": "application/vnd.oci.image.config.v1+json",
                "digest": digest(config.as_bytes()), "size": config.len(), "data": data,
            },
            "layers": [],
        });
        let server = serve(&[(MANIFEST, manifest)]).await;
        let at = format!("/v2/team/app/blobs/{}", digest(config.as_bytes()));
        on_get(&server, &at, ResponseTemplate::new(200).set_body_string(config)).await;
        let registry = std::sync::Arc::new(open(&host(&server)));
        let set = registry.images(&app(), &target("latest")).await.unwrap();
        let image = registry.image(set.images[0].clone());
        let read: supercargo_index::ImageManifest =
            serde_json::from_slice(&image.manifest().await.unwrap().bytes).unwrap();
        assert_eq!(image.config(read.config()).await.unwrap(), config);
        let requests = server.received_requests().await.unwrap();
        assert_eq!(requests.iter().filter(|request| request.url.path() == at).count(), fetched, "{data}");
    }
}
