//! The stand-in for the Scout API, told of an image by hand: written after what the public client of 2023 prints, and not
//! by the client that it is for.

use std::time::Duration;

use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};
use supercargo_testkit::{ScoutFault, ScoutServer, sha256};

const ID: &str = "3f2a4c1e-0b8d-4c55-9e0a-1d2c3b4a5f60";

struct Caller {
    http: Client,
    url: String,
    token: String,
}

impl Caller {
    async fn new(server: &ScoutServer) -> Self {
        let provider = rustls::crypto::ring::default_provider();
        let tls = rustls::ClientConfig::builder_with_provider(provider.into())
            .with_safe_default_protocol_versions()
            .expect("ring speaks them")
            .with_root_certificates(rustls::RootCertStore::empty())
            .with_no_client_auth();
        let http = Client::builder().tls_backend_preconfigured(tls).no_proxy().build().expect("no setting can fail");
        let mut caller = Self { http, url: server.url(), token: String::new() };
        let (status, answer) = caller.post("/v2/auth/token", &json!({"identifier": "acme", "secret": "s"}), ID).await;
        assert_eq!(status, StatusCode::OK);
        caller.token = answer["access_token"].as_str().expect("a token").to_owned();
        caller
    }

    async fn post(&self, path: &str, body: &Value, id: &str) -> (StatusCode, Value) {
        let request = self
            .http
            .request(Method::POST, format!("{}{path}", self.url))
            .header("authorization", format!("Bearer {}", self.token))
            .header("x-atomist-correlation-id", id)
            .header("x-atomist-ordering-key", id)
            .body(body.to_string());
        let response = request.send().await.expect("the server answers");
        let status = response.status();
        (status, serde_json::from_slice(&response.bytes().await.expect("the body arrives")).unwrap_or_default())
    }

    async fn transact(&self, entities: &str) -> (StatusCode, String) {
        let envelope = json!({
            "api_version": "2",
            "correlation_id": ID,
            "team": {"id": "acme"},
            "type": "facts_ingestion",
            "entities": entities,
        });
        let (status, answer) = self.post("/v1/skills/remote/acme", &envelope, ID).await;
        (status, answer["message"].as_str().unwrap_or_default().to_owned())
    }
}

fn first(digest: &str, layer: &str, chain: &str) -> String {
    format!(
        r#"[{{:schema/entity-type :docker/repository
  :schema/entity "$repo"
  :docker.repository/host "hub.docker.com"
  :docker.repository/repository "acme/app"
  :docker.repository/platforms {{:add ["linux/arm64/v8"]}}}}
 {{:schema/entity-type :docker/tag :schema/entity "$tag-9b" :docker.tag/name "1.0"
  :docker.tag/updated-at #inst "2023-04-21T08:00:00Z" :docker.tag/repository "$repo" :docker.tag/digest "{digest}"
  :docker.tag/image "$image"}}
 {{:schema/entity-type :docker.image/layer :schema/entity "$layer-1" :docker.image.layer/ordinal 2
  :docker.image.layer/image-digest "{digest}" :docker.image.layer/blob "$blob-1"
  :docker.image.layer/created-at #inst "2023-04-21T08:00:00Z" :docker.image.layer/created-by "COPY a b"
  :docker.image.layer/blob-digest "{chain}" :docker.image.layer/chain-id "{layer}"}}
 {{:schema/entity-type :docker.image/blob :schema/entity "$blob-1" :docker.image.blob/size 17
  :docker.image.blob/digest "{layer}" :docker.image.blob/diff-id "{layer}"}}
 {{:schema/entity-type :docker/image, :schema/entity "$image", :docker.image/digest "{digest}"
  :docker.image/created-at #inst "2023-04-21T08:00:00.123456789Z"
  :docker.image/repository "$repo" :docker.image/repositories {{:add ["$repo"]}} :docker.image/tags {{:add ["1.0"]}}
  :docker.image/labels {{:set []}} :docker.image/ports [["80/tcp" "{{}}"]] :docker.image/env []
  :docker.image/environment-variables {{:set []}} :docker.image/layers {{:set ["$layer-1"]}}
  :docker.image/blob-digest "{layer}" :docker.image/diff-chain-id "{layer}"
  :sbom/state :sbom.state/INDEXING :sbom/version "6" :sbom/last-updated #inst "2023-04-21T08:00:01Z"
  :sbom/package-count 1}}
 {{:schema/entity-type :docker/platform :schema/entity "$platform-1" :docker.platform/image "$image"
  :docker.platform/os "linux" :docker.platform/architecture "arm64" :docker.platform/variant "v8"}}]"#
    )
}

#[tokio::test]
async fn an_image_told_of_by_hand_is_kept() {
    let server = ScoutServer::start().await.unwrap();
    let caller = Caller::new(&server).await;
    let (digest, layer) = (sha256(b"image"), sha256(b"layer"));

    // Its layer has another chain ID than it should.
    let (status, message) = caller.transact(&first(&digest, &layer, &digest)).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert_eq!(message, "a layer's blob-digest is not the chain ID of the blobs up to it");
    assert!(server.images().is_empty());

    assert_eq!(caller.transact(&first(&digest, &layer, &layer)).await.0, StatusCode::ACCEPTED);
    let file = sha256(format!("pkg:deb/debian/zlib@1.2 /var/lib/dpkg/status {layer}").as_bytes());
    let file = file.trim_start_matches("sha256:");
    let packages = format!(
        r#"[{{:schema/entity-type :package/dependency :schema/entity "$dependency-1"
          :package.dependency/scopes ["provided"] :package.dependency/parent "$image"
          :package.dependency/package "$package-1" :package.dependency/files {{:set ["$file-1"]}}}}
         {{:schema/entity-type :package :schema/entity "$package-1" :package/url "pkg:deb/debian/zlib@1.2"
          :package/type "deb" :package/namespace "debian" :package/name "zlib" :package/version "1.2"
          :package/licenses ["Zlib"] :package/advisory-url "adv:deb/debian/zlib"}}
         {{:schema/entity-type :package/file :schema/entity "$file-1" :package.file/id "{file}"
          :package.file/path "/var/lib/dpkg/status" :package.file/digest "{layer}"}}
         {{:schema/entity-type :docker/image :schema/entity "$image" :docker.image/digest "{digest}"
          :artifact/dependencies {{:add ["$dependency-1"]}}}}]"#
    );
    assert_eq!(caller.transact(&packages).await, (StatusCode::ACCEPTED, String::new()));
    let indexed = format!(
        r#"[{{:schema/entity-type :docker/image :schema/entity "$image" :docker.image/digest "{digest}" :sbom/state :sbom.state/INDEXED}}]"#
    );
    assert_eq!(caller.transact(&indexed).await.0, StatusCode::ACCEPTED);

    let image = server.image(&digest).unwrap();
    assert_eq!((image.platform.as_str(), image.state()), ("linux/arm64/v8", Some("INDEXED")));
    assert_eq!(image.ports, ["80/tcp"]);
    assert_eq!((image.layers[0].ordinal, image.layers[0].size), (2, 17));
    assert_eq!((image.packages[0].name.as_str(), &image.packages[0].licenses[..]), ("zlib", &["Zlib".to_owned()][..]));
    assert_eq!(image.packages[0].files[0].path, "/var/lib/dpkg/status");
    assert_eq!((server.problems().len(), server.transactions().len()), (1, 4));
    server.shutdown().await;
}

#[tokio::test]
async fn envelopes_are_looked_at() {
    let server = ScoutServer::builder().with_team("T1").start().await.unwrap();
    let caller = Caller::new(&server).await;
    let good = json!({
        "api_version": "2", "correlation_id": ID, "team": {"id": "T1"}, "type": "facts_ingestion", "entities": "[]",
    });
    let check = async |path: &str, change: (&str, Value), status: u16, expected: &str| {
        let mut envelope = good.clone();
        envelope[change.0] = change.1;
        let (answered, answer) = caller.post(path, &envelope, ID).await;
        assert_eq!(answered.as_u16(), status);
        let message = answer["message"].as_str().unwrap();
        assert!(message.contains(expected), "{message}");
    };
    let own = "/v1/skills/remote/T1";
    check(own, ("entities", "[]".into()), 400, "the transaction is empty").await;
    check(own, ("entities", "[{]".into()), 400, "at byte").await;
    check(own, ("api_version", "1".into()), 400, "api_version").await;
    check(own, ("type", "x".into()), 400, "type").await;
    check(own, ("correlation_id", "x".into()), 400, "correlation-id").await;
    check(own, ("team", json!({"id": "T2"})), 400, "team.id").await;
    check(own, ("more", 1.into()), 400, "unknown field").await;
    check("/v1/skills/remote/T2", ("type", "x".into()), 403, "not of this team").await;
    server.shutdown().await;
}

#[tokio::test]
async fn it_fails_as_it_is_told() {
    let server = ScoutServer::start().await.unwrap();
    let caller = Caller::new(&server).await;
    let query = json!({
        "operationName": "Q",
        "query": "mutation Q($c: Context!) { enrollIntoScout(context: $c) { activeSubscription { status } } }",
        "variables": {"c": {"organization": "acme"}},
    });
    server.inject(ScoutFault::status(429).on_path("/graphql").with_retry_after(Duration::from_secs(3)));
    assert_eq!(caller.post("/v1/graphql", &query, "").await.0, StatusCode::TOO_MANY_REQUESTS);
    server.inject(ScoutFault::graphql("CODE", Some(402)));
    let (status, answer) = caller.post("/v1/graphql", &query, "").await;
    assert_eq!((status, &answer["errors"][0]["extensions"]["code"]), (StatusCode::OK, &json!("CODE")));
    assert!(!server.is_enrolled());

    // The answer is lost, what it answers is not.
    server.inject(ScoutFault::cut_after_effect());
    let lost = caller
        .http
        .post(format!("{}/v1/graphql", caller.url))
        .header("authorization", format!("Bearer {}", caller.token));
    assert!(lost.body(query.to_string()).send().await.is_err());
    assert!(server.is_enrolled());

    server.expire_tokens();
    assert_eq!(caller.post("/v1/graphql", &query, "").await.0, StatusCode::UNAUTHORIZED);
    server.pause();
    assert!(caller.http.get(&caller.url).send().await.is_err());
    server.resume();
    assert_eq!(caller.http.get(&caller.url).send().await.unwrap().status(), StatusCode::NOT_FOUND);
    server.shutdown().await;
}
