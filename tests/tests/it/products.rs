//! The real binaries on products with APIs of their own, as their stand-ins have them.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use supercargo_testkit::{Access, AcrServer, ArtifactoryServer, HarborAccess, HarborServer, Image, NexusServer};
use supercargo_tests::{Api, Sender, Watcher, app, base, free_port, hmac, supercargo_with};

const LIMIT: Duration = Duration::from_secs(20);

/// Watches a registry, pushes through `push`, and finds the image at `place`; then indexes it by its name.
async fn watched_and_indexed(
    registry: &str,
    environment: &[(&str, &str)],
    push: impl FnOnce(&Image),
    (host, place): (&str, &str),
) -> Result<()> {
    let watcher = Watcher::builder()?
        .with_environment(environment)
        .with_arguments(["--registry", registry, "--refresh-registry", "--interval", "1"])
        .start()
        .await?;
    watcher.first_pass().await?;
    let image = app(1).build();
    push(&image);
    let look = async |api: &Api| {
        let places = api.places(image.digest()).await?;
        ensure!(places == [place], "{places:?}");
        Ok(())
    };
    watcher.eventually(&format!("the image is at {place}"), LIMIT, look).await?;

    let reference = format!("registry://{host}/{place}");
    let output = supercargo_with(environment, ["index", &reference, "--registry", registry]).await?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let document: Value = serde_json::from_slice(&output.stdout)?;
    ensure!(document["source"]["image"]["digest"] == image.digest(), "another image");

    let output = supercargo_with(environment, ["doctor", "--registry", registry, "-o", "json"]).await?;
    let reports: Value = serde_json::from_slice(&output.stdout)?;
    ensure!(output.status.success(), "{reports}");
    let report = &reports[0];
    assert_eq!(report["registry"], host);
    let checks = report["checks"].as_array().context("a list")?;
    let names: Vec<&str> = checks.iter().filter_map(|check| check["check"].as_str()).collect();
    assert_eq!(names[..6], ["name", "connection", "tls", "protocol", "clock", "sign-in"], "{report}");
    Ok(())
}

#[tokio::test]
async fn artifactory_by_path_and_by_sub_domain() -> Result<()> {
    let server = ArtifactoryServer::builder().with_token("an access token").with_local("docker-local").with_lockout(0);
    let server = server.start().await?;
    let environment = [("DOCKER_SCOUT_ARTIFACTORY_API_PASSWORD", "an access token")];
    let start = format!("type=artifactory,api={},repository=docker-local", server.api());
    let push = |image: &Image| server.push("docker-local", image, "team/app", "1.0");
    let (host, place) = (server.host(), "docker-local/team/app:1.0");
    watched_and_indexed(&format!("{start},registry={host}"), &environment, push, (&host, place)).await?;

    let port = host.rsplit_once(':').context("a port")?.1;
    let registry = format!("{start},registry=localhost:{port},subdomain-mode=true");
    let push = |image: &Image| server.push("docker-local", image, "other/app", "2.0");
    server.repository("docker-local").remove_repository("team/app");
    let host = format!("docker-local.localhost:{port}");
    watched_and_indexed(&registry, &environment, push, (&host, "other/app:2.0")).await?;
    assert_eq!(server.failed_sign_ins(), 0);
    Ok(())
}

#[tokio::test]
async fn harbor() -> Result<()> {
    let access = HarborAccess::robot(&["web"]);
    let server = HarborServer::builder().with_account("robot$web+reader", "secret", access).start().await?;
    let environment =
        [("DOCKER_SCOUT_HARBOR_API_USER", "robot$web+reader"), ("DOCKER_SCOUT_HARBOR_API_PASSWORD", "secret")];
    let push = |image: &Image| server.push(image, "web/team/app", "1.0");
    let registry = format!("type=harbor,registry={},project=web", server.host());
    watched_and_indexed(&registry, &environment, push, (&server.host(), "web/team/app:1.0")).await?;
    assert_eq!(server.failed_sign_ins(), 0);
    Ok(())
}

#[tokio::test]
async fn nexus_at_a_connector() -> Result<()> {
    let server = NexusServer::builder().with_account("reader", "secret").with_hosted("docker").with_lockout(0);
    let server = server.start().await?;
    let environment = [("DOCKER_SCOUT_NEXUS_API_USER", "reader"), ("DOCKER_SCOUT_NEXUS_API_PASSWORD", "secret")];
    let push = |image: &Image| server.push("docker", image, "team/app", "1.0");
    let registry = format!("type=nexus,registry={},api={},repository=docker", server.connector(), server.api());
    watched_and_indexed(&registry, &environment, push, (&server.connector(), "team/app:1.0")).await?;
    assert_eq!(server.failed_sign_ins(), 0);
    Ok(())
}

#[tokio::test]
async fn azure_container_registry_with_a_token_of_its_own() -> Result<()> {
    let name = "docker-scout-readonly-token";
    let server = AcrServer::builder().with_token(name, "generated", Access::pull()).start().await?;
    // An empty catalog is told as an error: it may as well be a token that must not list.
    server.push(&base().build(), "seed", "1.0");
    let environment = [("DOCKER_SCOUT_REGISTRY_USER", name), ("DOCKER_SCOUT_REGISTRY_PASSWORD", "generated")];
    let push = |image: &Image| server.push(image, "team/app", "1.0");
    let registry = format!("type=acr,registry={},identity=none", server.host());
    watched_and_indexed(&registry, &environment, push, (&server.host(), "team/app:1.0")).await
}

const SECRET: &str = "the-secret-of-the-webhook";

/// Watches a registry that announces pushes at a port of its own: what is pushed through `push` is indexed because of
/// the webhook alone, once that proves itself. `headers` makes the lines that do, for a body and a secret.
async fn webhook_at_a_port(
    registry: &str,
    environment: &[(&str, &str)],
    push: impl FnOnce(&Image) -> Value,
    headers: impl AsyncFn(&str, &str) -> Result<String>,
    place: &str,
) -> Result<()> {
    let port = free_port();
    let registry = format!("{registry},port={port}");
    let watcher = Watcher::builder()?
        .with_environment(environment)
        .with_arguments(["--registry", &registry, "--refresh-registry", "--interval", "3600"])
        .start()
        .await?;
    watcher.first_pass().await?;
    let image = app(1).build();
    let body = push(&image).to_string();
    let mut sender = Sender::connect(&format!("127.0.0.1:{port}")).await?;
    let mut post = async |path: &str, secret: &str| {
        let headers = format!("{}\r\nContent-Type: application/json\r\n", headers(&body, secret).await?);
        sender.post(path, &headers, &body).await
    };
    assert_eq!(post("/", "the-secret-of-somebody-else").await?, 401);
    assert!(watcher.api.items("/v1/events").await?.is_empty(), "nothing is kept of it");
    let status = post("/whatever/path/there/is", SECRET).await?;
    assert!((200..300).contains(&status), "{status}");
    watcher.indexed(image.digest(), LIMIT).await?;
    assert_eq!(watcher.api.places(image.digest()).await?, [place]);
    // Nothing else is served there.
    assert_eq!(supercargo_tests::get(&format!("127.0.0.1:{port}"), "/v1/images").await?.status, 405);
    assert!(!watcher.log().contains(SECRET));
    Ok(())
}

/// A push as Artifactory tells it, in its domain `docker`.
fn artifactory_push(image: &Image, key: &str, name: &str, tag: &str) -> Value {
    json!({
        "domain": "docker", "event_type": "pushed",
        "data": {
            "repo_key": key, "path": format!("{name}/{tag}/manifest.json"), "name": "manifest.json",
            "sha256": image.digest().trim_start_matches("sha256:"), "size": 1234, "image_name": name, "tag": tag,
            "platforms": [],
        },
        "subscription_key": "supercargo", "source": "jfrog/jfrt@01",
    })
}

#[tokio::test]
async fn artifactorys_webhooks_at_a_port() -> Result<()> {
    let server = ArtifactoryServer::builder().with_token("an access token").with_local("docker-local").with_lockout(0);
    let server = server.start().await?;
    let environment = [
        ("DOCKER_SCOUT_ARTIFACTORY_API_PASSWORD", "an access token"),
        ("DOCKER_SCOUT_ARTIFACTORY_WEBHOOK_SECRET", SECRET),
    ];
    let start = format!("type=artifactory,api={},repository=docker-local", server.api());
    let signed =
        async |body: &str, secret: &str| Ok(format!("X-JFrog-Event-Auth: {}", hmac("sha256", secret, body).await?));
    let push = |image: &Image| {
        server.push("docker-local", image, "team/app", "1.0");
        artifactory_push(image, "docker-local", "team/app", "1.0")
    };
    let registry = format!("{start},registry={}", server.host());
    webhook_at_a_port(&registry, &environment, push, signed, "docker-local/team/app:1.0").await?;

    // In sub-domains, and with the secret as it is, which is Artifactory's default.
    let port = server.host().rsplit_once(':').context("a port")?.1.to_owned();
    let registry = format!("{start},registry=localhost:{port},subdomain-mode=true");
    let plain = async |_: &str, secret: &str| Ok(format!("X-JFrog-Event-Auth: {secret}"));
    let push = |image: &Image| {
        server.push("docker-local", image, "other/app", "2.0");
        artifactory_push(image, "docker-local", "other/app", "2.0")
    };
    server.repository("docker-local").remove_repository("team/app");
    webhook_at_a_port(&registry, &environment, push, plain, "other/app:2.0").await
}

#[tokio::test]
async fn harbors_webhooks_at_a_port() -> Result<()> {
    let access = HarborAccess::robot(&["web"]);
    let server = HarborServer::builder().with_account("robot$web+reader", "secret", access).start().await?;
    let environment = [
        ("DOCKER_SCOUT_HARBOR_API_USER", "robot$web+reader"),
        ("DOCKER_SCOUT_HARBOR_API_PASSWORD", "secret"),
        ("DOCKER_SCOUT_HARBOR_WEBHOOK_AUTH", SECRET),
    ];
    let push = |image: &Image| {
        server.push(image, "web/team/app", "1.0");
        json!({
            "type": "PUSH_ARTIFACT", "occur_at": 1_795_000_000, "operator": "admin",
            "event_data": {
                "resources": [{
                    "digest": image.digest(), "tag": "1.0",
                    "resource_url": format!("{}/web/team/app:1.0", server.host()),
                }],
                "repository": {
                    "name": "team/app", "namespace": "web", "repo_full_name": "web/team/app", "repo_type": "private",
                },
            },
        })
    };
    let verbatim = async |_: &str, secret: &str| Ok(format!("Authorization: {secret}"));
    let registry = format!("type=harbor,registry={},project=web", server.host());
    webhook_at_a_port(&registry, &environment, push, verbatim, "web/team/app:1.0").await
}

#[tokio::test]
async fn nexus_webhooks_at_a_port() -> Result<()> {
    let server = NexusServer::builder().with_account("reader", "secret").with_hosted("docker").with_lockout(0);
    let server = server.start().await?;
    let environment = [
        ("DOCKER_SCOUT_NEXUS_API_USER", "reader"),
        ("DOCKER_SCOUT_NEXUS_API_PASSWORD", "secret"),
        ("DOCKER_SCOUT_NEXUS_WEBHOOK_SECRET", SECRET),
    ];
    let push = |image: &Image| {
        server.push("docker", image, "team/app", "1.0");
        json!({
            "timestamp": "2026-11-22T10:00:00.000+0000", "nodeId": "52905B51-085CCABB-CEBBEAAD-16795588-FC927D93",
            "initiator": "admin/127.0.0.1", "repositoryName": "docker", "action": "CREATED",
            "component": {
                "id": "ef07abbd7ba2b2c4cd5b1a2c5bf0cc4c", "componentId": "ZG9ja2VyOmVmMDdhYmJk", "format": "docker",
                "name": "team/app", "version": "1.0",
            },
        })
    };
    let signed = async |body: &str, secret: &str| {
        let signature = hmac("sha1", secret, body).await?;
        let kind = "X-Nexus-Webhook-Id: rm:repository:component";
        Ok(format!("{kind}\r\nX-Nexus-Webhook-Delivery: d1\r\nX-Nexus-Webhook-Signature: {signature}"))
    };
    let registry = format!("type=nexus,registry={},api={},repository=docker", server.connector(), server.api());
    webhook_at_a_port(&registry, &environment, push, signed, "team/app:1.0").await
}
