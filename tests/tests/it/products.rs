//! The real binaries on products with APIs of their own, as their stand-ins have them.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use supercargo_testkit::{Access, AcrServer, ArtifactoryServer, HarborAccess, HarborServer, Image, NexusServer};
use supercargo_tests::{Api, Watcher, app, base, supercargo_with};

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
