use serde_json::Value;
use supercargo_testkit::{Image, ImageBuilder, Layer, RegistryServer};

use crate::http::{Http, error_code, header, json};
use crate::image;

/// Follows `Link` from `path` and gives what each page lists under `member`.
async fn pages(http: &Http, path: &str, member: &str) -> Vec<Vec<String>> {
    let mut pages = Vec::new();
    let mut next = Some(path.to_owned());
    while let Some(path) = next.take() {
        let response = http.get(&path).await;
        assert_eq!(response.status(), 200, "{path}");
        let link = header(&response, "link").to_owned();
        next =
            link.strip_prefix('<').and_then(|link| link.split_once(">; rel=\"next\"")).map(|(path, _)| path.to_owned());
        let items = json(response).await[member].as_array().cloned().unwrap_or_default();
        let text = |item: &Value| item.as_str().or(item["digest"].as_str()).unwrap_or_default().to_owned();
        pages.push(items.iter().map(text).collect());
    }
    pages
}

#[tokio::test]
async fn the_catalog_comes_page_by_page() {
    let server = RegistryServer::builder().with_page_size(3).start().await.unwrap();
    for name in ["a", "b/x", "b/y", "c", "d"] {
        server.push(&image(name), name, "1");
    }
    let http = Http::new(&server);
    assert_eq!(pages(&http, "/v2/_catalog", "repositories").await, [vec!["a", "b/x", "b/y"], vec!["c", "d"]]);
    assert_eq!(pages(&http, "/v2/_catalog?n=2", "repositories").await, [vec!["a", "b/x"], vec!["b/y", "c"], vec!["d"]]);
    assert_eq!(pages(&http, "/v2/_catalog?n=50&last=b%2Fy", "repositories").await, [vec!["c", "d"]]);
    assert_eq!(error_code(http.get("/v2/_catalog?n=1001").await).await, "PAGINATION_NUMBER_INVALID");
    assert_eq!(error_code(http.get("/v2/_catalog?n=x").await).await, "PAGINATION_NUMBER_INVALID");
}

#[tokio::test]
async fn a_refused_catalog_leaves_the_tags() {
    let server = RegistryServer::builder().without_catalog().start().await.unwrap();
    server.push(&image("a"), "a", "1");
    let http = Http::new(&server);
    assert_eq!(http.get("/v2/_catalog").await.status(), 404);
    assert_eq!(pages(&http, "/v2/a/tags/list", "tags").await, [["1"]]);
}

#[tokio::test]
async fn tags_come_page_by_page_and_are_null_when_all_are_gone() {
    let server = RegistryServer::start().await.unwrap();
    for tag in ["1.0", "1.1", "latest"] {
        server.push(&image("app"), "team/app", tag);
    }
    let http = Http::new(&server);
    assert_eq!(pages(&http, "/v2/team/app/tags/list?n=2", "tags").await, [vec!["1.0", "1.1"], vec!["latest"]]);
    assert_eq!(pages(&http, "/v2/team/app/tags/list?n=0", "tags").await, [Vec::<String>::new()]);
    assert_eq!(error_code(http.get("/v2/team/other/tags/list").await).await, "NAME_UNKNOWN");

    for tag in ["1.0", "1.1", "latest"] {
        assert!(server.delete_tag("team/app", tag));
    }
    assert_eq!(json(http.get("/v2/team/app/tags/list").await).await["tags"], Value::Null);
}

fn referrer(subject: &Image, artifact_type: &str) -> Image {
    ImageBuilder::new()
        .with_subject(&subject.manifest)
        .with_artifact_type(artifact_type)
        .with_layer(Layer::new().file("note", artifact_type.to_owned()), "")
        .with_annotation("kind", artifact_type)
        .build()
}

#[tokio::test]
async fn referrers_are_listed_and_filtered() {
    let server = RegistryServer::builder().with_page_size(1).start().await.unwrap();
    let subject = image("app");
    let (sbom, signature) = (referrer(&subject, "application/sbom"), referrer(&subject, "application/signature"));
    server.push(&subject, "app", "1");
    server.push(&sbom, "app", "sbom");
    server.push(&signature, "app", "signature");
    let http = Http::new(&server);
    let path = format!("/v2/app/referrers/{}", subject.digest());

    let mut found = pages(&http, &path, "manifests").await.concat();
    found.sort();
    let mut expected = vec![sbom.digest(), signature.digest()];
    expected.sort_unstable();
    assert_eq!(found, expected);

    let response = http.get(&format!("{path}?artifactType=application%2Fsbom")).await;
    assert_eq!(header(&response, "oci-filters-applied"), "artifactType");
    assert_eq!(header(&response, "content-type"), "application/vnd.oci.image.index.v1+json");
    let index = json(response).await;
    assert_eq!(index["manifests"].as_array().unwrap().len(), 1);
    assert_eq!(index["manifests"][0]["artifactType"], "application/sbom");
    assert_eq!(index["manifests"][0]["annotations"]["kind"], "application/sbom");

    let nothing = format!("/v2/app/referrers/{}", sbom.digest());
    assert_eq!(pages(&http, &nothing, "manifests").await, [Vec::<String>::new()]);
    assert_eq!(http.get("/v2/app/referrers/sha256:ab").await.status(), 400);
}

#[tokio::test]
async fn a_registry_without_referrers_answers_404() {
    let server = RegistryServer::builder().without_referrers().start().await.unwrap();
    let subject = image("app");
    server.push(&subject, "app", "1");
    let http = Http::new(&server);
    assert_eq!(http.get(&format!("/v2/app/referrers/{}", subject.digest())).await.status(), 404);
}
