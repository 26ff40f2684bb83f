use reqwest::Method;
use supercargo_testkit::{IndexBuilder, RegistryServer, attestation, media_type};

use crate::http::{Http, error_code, header, json};
use crate::image;

const ACCEPT: &str = "accept";

#[tokio::test]
async fn manifests_are_read_by_tag_and_by_digest() {
    let server = RegistryServer::start().await.unwrap();
    let image = image("app");
    server.push(&image, "team/app", "1.0");
    let http = Http::new(&server);
    for reference in ["1.0", image.digest()] {
        let path = format!("/v2/team/app/manifests/{reference}");
        let accept = format!("{}, {};q=0.5", media_type::OCI_INDEX, media_type::OCI_MANIFEST);
        let head = http.send(http.request(Method::HEAD, &path).header(ACCEPT, &accept)).await;
        let get = http.send(http.request(Method::GET, &path).header(ACCEPT, &accept)).await;
        for response in [&head, &get] {
            assert_eq!(response.status(), 200);
            assert_eq!(header(response, "docker-content-digest"), image.digest());
            assert_eq!(header(response, "content-type"), media_type::OCI_MANIFEST);
            assert_eq!(header(response, "content-length"), image.manifest.bytes.len().to_string());
        }
        assert_eq!(get.bytes().await.unwrap(), image.manifest.bytes);
    }
    let other = http.request(Method::GET, "/v2/team/app/manifests/1.0").header(ACCEPT, media_type::DOCKER_MANIFEST);
    assert_eq!(error_code(http.send(other).await).await, "MANIFEST_UNKNOWN");
    assert_eq!(error_code(http.get("/v2/team/app/manifests/2.0").await).await, "MANIFEST_UNKNOWN");
    assert_eq!(error_code(http.get("/v2/other/manifests/1.0").await).await, "NAME_UNKNOWN");
}

#[tokio::test]
async fn a_push_needs_all_that_the_manifest_names() {
    let server = RegistryServer::start().await.unwrap();
    let image = image("app");
    let http = Http::new(&server);
    let put = |reference: &str, media_type: &str| {
        let request = http.request(Method::PUT, &format!("/v2/app/manifests/{reference}"));
        http.send(request.header("content-type", media_type).body(image.manifest.bytes.clone()))
    };
    assert_eq!(error_code(put("1.0", media_type::OCI_MANIFEST).await).await, "MANIFEST_BLOB_UNKNOWN");
    assert!(server.repositories().is_empty());

    server.push(&image, "app", "0.9");
    assert_eq!(error_code(put("1.0", media_type::DOCKER_MANIFEST).await).await, "MANIFEST_INVALID");
    assert_eq!(error_code(put(image.config.digest(), media_type::OCI_MANIFEST).await).await, "DIGEST_INVALID");
    assert_eq!(error_code(put("-x", media_type::OCI_MANIFEST).await).await, "TAG_INVALID");
    let stored = put("1.0", media_type::OCI_MANIFEST).await;
    assert_eq!(stored.status(), 201);
    assert_eq!(header(&stored, "docker-content-digest"), image.digest());
    assert_eq!(server.tags("app"), ["0.9", "1.0"]);
}

#[tokio::test]
async fn deletes_take_away_tags_and_manifests() {
    let server = RegistryServer::start().await.unwrap();
    let image = image("app");
    for tag in ["1.0", "1.1", "latest"] {
        server.push(&image, "app", tag);
    }
    let client = server.client();
    client.delete("app", "latest").await.unwrap();
    assert_eq!(server.tags("app"), ["1.0", "1.1"]);
    client.delete("app", image.digest()).await.unwrap();
    assert!(server.tags("app").is_empty());
    assert_eq!(server.digest_of("app", image.digest()), None);
    assert!(client.delete("app", image.digest()).await.is_err());

    let strict = RegistryServer::builder().without_tag_deletion().start().await.unwrap();
    strict.push(&image, "app", "1.0");
    let error = strict.client().delete("app", "1.0").await.unwrap_err();
    assert!(error.to_string().contains("status 405") && !error.is_retryable(), "{error}");
}

#[tokio::test]
async fn an_index_is_pushed_through_the_protocol_with_its_children() {
    let server = RegistryServer::start().await.unwrap();
    let image = image("app");
    let proof = attestation(&image, "https://slsa.dev/provenance/v1", &serde_json::json!({}));
    let index = IndexBuilder::new().with_image(image.clone()).with_attestation(proof).build();
    server.client().push(&index, "app", "1.0").await.unwrap();
    assert_eq!(server.digest_of("app", "1.0").as_deref(), Some(index.digest()));

    let http = Http::new(&server);
    let request = http.request(Method::GET, "/v2/app/manifests/1.0").header(ACCEPT, media_type::OCI_INDEX);
    assert_eq!(json(http.send(request).await).await["manifests"][0]["digest"], image.digest());

    // What is there is not sent again.
    server.clear_requests();
    server.client().push(&index, "app", "1.1").await.unwrap();
    assert_eq!(server.count_requests(|request| request.method == "POST"), 0);
}
