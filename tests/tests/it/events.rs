//! Pushes and deletes that the registry tells of. The interval is an hour: nothing is found by looking.

use std::time::Duration;

use anyhow::{Result, ensure};
use serde_json::json;
use supercargo_testkit::{IndexBuilder, Notification, RegistryServer, attestation};
use supercargo_tests::{
    Api, DockerRegistry, DockerRegistryBuilder, EVENT_SECRET, PASSWORD, TokenService, USER, Watcher, app, base,
};

/// From the end of a push to the answer that has the image.
const PROMISED: Duration = Duration::from_secs(2);
/// For what is not measured.
const LIMIT: Duration = Duration::from_secs(20);

/// A registry that tells a watcher, and a watcher that has had its first look.
async fn watched(registry: DockerRegistryBuilder) -> Result<(DockerRegistry, Watcher)> {
    let watcher = Watcher::builder()?;
    let registry = registry.with_notifications(watcher.events_url()).start().await?;
    let watcher = watcher
        .with_login(&registry.host(), registry.login())?
        .with_arguments(["--registry", &registry.host(), "--interval", "3600"])
        .start()
        .await?;
    watcher.first_pass().await?;
    Ok((registry, watcher))
}

#[tokio::test]
async fn a_push_is_indexed_within_two_seconds() -> Result<()> {
    let (registry, watcher) = watched(DockerRegistry::builder().with_basic_auth()).await?;
    for number in 1..=3 {
        let image = app(number).build();
        registry.push(&image, &format!("team/app:1.{number}")).await?;
        let took = watcher.indexed(image.digest(), LIMIT).await?;
        assert!(took < PROMISED, "it took {took:?}; {}", watcher.log());

        let found = watcher.api.image(image.digest()).await?;
        assert_eq!(found["platform"], json!({ "os": "linux", "architecture": "amd64" }));
        assert_eq!(found["distro"]["id"], "debian");
        assert_eq!(watcher.api.places(image.digest()).await?, [format!("team/app:1.{number}")]);
    }
    let found = watcher.api.items("/v1/packages?q=left-pad@%3C1.0.3").await?;
    let mut versions: Vec<_> = found.iter().map(|package| package["version"].as_str().unwrap_or_default()).collect();
    versions.sort_unstable();
    assert_eq!(versions, ["1.0.1", "1.0.2"]);
    let layer = &found[0]["locations"][0]["layer"];
    assert_eq!(layer["index"], 1);
    assert!(layer["instruction"].as_str().is_some_and(|text| text.starts_with("COPY app-")), "{layer}");
    Ok(())
}

#[tokio::test]
async fn every_platform_of_an_index_is_an_image() -> Result<()> {
    let tokens = TokenService::start().await?;
    let (registry, watcher) = watched(DockerRegistry::builder().with_token_auth(&tokens)).await?;
    let (amd64, arm64) = (app(1).build(), app(1).with_platform("linux/arm64/v8").build());
    let predicate = json!({ "builder": { "id": "test" } });
    let index = IndexBuilder::new()
        .with_image(amd64.clone())
        .with_image(arm64.clone())
        .with_attestation(attestation(&amd64, "https://slsa.dev/provenance/v1", &predicate))
        .build();
    registry.push(&index, "team/app:1.0").await?;
    for image in [&amd64, &arm64] {
        watcher.indexed(image.digest(), LIMIT).await?;
        let look = async |api: &Api| {
            let places = api.places(image.digest()).await?;
            ensure!(places == ["team/app:1.0"], "{places:?}");
            Ok(())
        };
        watcher.eventually("the tag leads to each platform", LIMIT, look).await?;
    }
    assert_eq!(watcher.api.images().await?.len(), 2, "the attestation is not an image");
    assert_eq!(watcher.api.failures().await?, Vec::<serde_json::Value>::new());
    Ok(())
}

#[tokio::test]
async fn two_tags_on_one_digest_are_indexed_once() -> Result<()> {
    let (registry, watcher) = watched(DockerRegistry::builder()).await?;
    let image = app(1).build();
    registry.push(&image, "team/app:1.0").await?;
    watcher.indexed(image.digest(), LIMIT).await?;
    registry.push(&image, "team/app:latest").await?;
    registry.push(&image, "mirror/app:1.0").await?;
    let look = async |api: &Api| {
        let places = api.places(image.digest()).await?;
        ensure!(places == ["mirror/app:1.0", "team/app:1.0", "team/app:latest"], "{places:?}");
        Ok(())
    };
    watcher.eventually("all tags lead to the image", LIMIT, look).await?;

    assert_eq!(watcher.api.images().await?.len(), 1);
    assert_eq!(watcher.api.count("indexed").await?, 1);
    registry.check_downloads(image.config.digest(), 1).await?;
    for index in 0..image.layers.len() {
        registry.check_downloads(image.layer_digest(index), 1).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_deleted_manifest_is_followed() -> Result<()> {
    let (registry, watcher) = watched(DockerRegistry::builder().with_basic_auth()).await?;
    let (stays, goes) = (app(1).build(), app(2).build());
    registry.push(&stays, "team/app:1.1").await?;
    registry.push(&goes, "team/app:1.2").await?;
    watcher.indexed(stays.digest(), LIMIT).await?;
    watcher.indexed(goes.digest(), LIMIT).await?;

    registry.delete_manifest("team/app", goes.digest()).await?;
    let look = async |api: &Api| {
        let images = api.images().await?;
        ensure!(images.len() == 1 && images[0]["digest"] == stays.digest(), "{images:?}");
        Ok(())
    };
    watcher.eventually("the image is gone", LIMIT, look).await?;
    let gone = watcher.api.items("/v1/images?include_gone=true").await?;
    let gone = gone.iter().find(|image| image["digest"] == goes.digest()).expect("what was there can be asked for");
    assert!(gone["gone_at"].is_string(), "{gone}");
    let found = watcher.api.items("/v1/packages?name=left-pad").await?;
    assert_eq!(found.len(), 1, "packages of an image that is gone are not found: {found:?}");
    Ok(())
}

/// Distribution 3 tells of deleted tags; Debian's 2.8 cannot delete one, so the kit's registry stands in.
#[tokio::test]
async fn a_deleted_tag_is_followed() -> Result<()> {
    let watcher = Watcher::builder()?;
    let server = RegistryServer::builder()
        .with_token_auth(USER, PASSWORD)
        .with_notification(
            Notification::new(watcher.events_url()).with_header("Authorization", format!("Bearer {EVENT_SECRET}")),
        )
        .start()
        .await?;
    let watcher = watcher
        .with_login(&server.host(), Some((USER, PASSWORD)))?
        .with_arguments(["--registry", &server.host(), "--interval", "3600"])
        .start()
        .await?;
    watcher.first_pass().await?;
    let image = base().build();
    supercargo_tests::push(&image, &server.host(), "team/app:1.0", Some((USER, PASSWORD))).await?;
    supercargo_tests::push(&image, &server.host(), "team/app:latest", Some((USER, PASSWORD))).await?;
    let both = async |api: &Api| {
        let places = api.places(image.digest()).await?;
        ensure!(places == ["team/app:1.0", "team/app:latest"], "{places:?}");
        Ok(())
    };
    watcher.eventually("both tags lead to the image", LIMIT, both).await?;

    server.client().delete("team/app", "latest").await?;
    let one = async |api: &Api| {
        let places = api.places(image.digest()).await?;
        ensure!(places == ["team/app:1.0"], "{places:?}");
        Ok(())
    };
    watcher.eventually("one tag is gone", LIMIT, one).await?;
    assert_eq!(server.blob_requests(image.layer_digest(0)), 1);
    Ok(())
}
