//! What is found by looking: a registry that tells nothing, or whose notifications got lost.

use std::time::Duration;

use anyhow::{Result, ensure};
use supercargo_tests::{Api, DockerRegistry, Watcher, app, base};

const LIMIT: Duration = Duration::from_secs(20);

/// A watcher that looks every second.
async fn looking_at(registry: &DockerRegistry, more: &[&str]) -> Result<Watcher> {
    let watcher = Watcher::builder()?
        .with_login(&registry.host(), registry.login())?
        .with_arguments(["--registry", &registry.host(), "--refresh-registry", "--interval", "1"])
        .with_arguments(more)
        .start()
        .await?;
    watcher.first_pass().await?;
    Ok(watcher)
}

async fn places_become(watcher: &Watcher, digest: &str, expected: &[&str]) -> Result<()> {
    let look = async |api: &Api| {
        let places = api.places(digest).await?;
        ensure!(places == expected, "{places:?}");
        Ok(())
    };
    watcher.eventually(&format!("{digest} is at {expected:?}"), LIMIT, look).await?;
    Ok(())
}

#[tokio::test]
async fn a_push_without_an_event_is_found_by_the_next_poll() -> Result<()> {
    let registry = DockerRegistry::builder().with_basic_auth().start().await?;
    let watcher = looking_at(&registry, &[]).await?;
    let (first, second, third) = (app(1).build(), app(2).build(), app(3).build());
    registry.push(&first, "team/app:1.0").await?;
    places_become(&watcher, first.digest(), &["team/app:1.0"]).await?;
    // In a repository that is known, in a new one, and under a tag that moves.
    registry.push(&second, "team/app:latest").await?;
    places_become(&watcher, second.digest(), &["team/app:latest"]).await?;
    registry.push(&third, "team/app:latest").await?;
    places_become(&watcher, third.digest(), &["team/app:latest"]).await?;
    places_become(&watcher, second.digest(), &["team/app"]).await?;
    registry.push(&first, "other/app:1.0").await?;
    places_become(&watcher, first.digest(), &["other/app:1.0", "team/app:1.0"]).await?;
    assert_eq!(watcher.api.count("indexed").await?, 3);
    Ok(())
}

#[tokio::test]
async fn what_was_there_before_is_indexed_only_if_asked_for() -> Result<()> {
    let registry = DockerRegistry::builder().start().await?;
    let (old, new) = (app(1).build(), app(2).build());
    registry.push(&old, "team/app:old").await?;
    let watcher = looking_at(&registry, &[]).await?;
    registry.push(&new, "team/app:new").await?;
    watcher.indexed(new.digest(), LIMIT).await?;
    assert_eq!(watcher.api.images().await?.len(), 1);
    drop(watcher);

    let watcher = looking_at(&registry, &["--all-images", "--tag", "^old$"]).await?;
    watcher.indexed(old.digest(), LIMIT).await?;
    assert_eq!(watcher.api.images().await?.len(), 1, "the other tag is not asked for");
    Ok(())
}

#[tokio::test]
async fn a_rebuilt_image_fetches_its_new_layer_only() -> Result<()> {
    let registry = DockerRegistry::builder().start().await?;
    let watcher = looking_at(&registry, &[]).await?;
    let (first, rebuilt) = (app(1).build(), app(2).build());
    registry.push(&first, "team/app:latest").await?;
    watcher.indexed(first.digest(), LIMIT).await?;
    registry.check_downloads(first.layer_digest(0), 1).await?;
    registry.check_downloads(first.layer_digest(1), 1).await?;

    registry.push(&rebuilt, "team/app:latest").await?;
    watcher.indexed(rebuilt.digest(), LIMIT).await?;
    assert_eq!(first.layer_digest(0), rebuilt.layer_digest(0), "they have the same base");
    registry.check_downloads(rebuilt.layer_digest(0), 1).await?;
    registry.check_downloads(rebuilt.layer_digest(1), 1).await?;
    // Three layers and two configurations.
    registry.check_requests("GET", "/blobs/", 5).await?;
    // The base that was not read again is in the result all the same.
    let path = format!("/v1/packages?name=openssl&image={}", rebuilt.digest());
    let found = watcher.api.items(&path).await?;
    assert_eq!(found[0]["version"], "3.0.11-1~deb12u2", "{found:?}");
    assert_eq!(found[0]["locations"][0]["layer"]["digest"], rebuilt.layer_digest(0), "{found:?}");
    Ok(())
}

#[tokio::test]
async fn deletes_without_an_event_are_found_by_the_next_poll() -> Result<()> {
    let registry = DockerRegistry::builder().with_basic_auth().start().await?;
    let watcher = looking_at(&registry, &[]).await?;
    let (tagged, other) = (base().build(), app(2).build());
    registry.push(&tagged, "team/app:1.0").await?;
    registry.push(&tagged, "team/app:latest").await?;
    registry.push(&other, "team/other:1.0").await?;
    places_become(&watcher, tagged.digest(), &["team/app:1.0", "team/app:latest"]).await?;
    places_become(&watcher, other.digest(), &["team/other:1.0"]).await?;

    registry.delete_tag("team/app", "latest")?;
    places_become(&watcher, tagged.digest(), &["team/app:1.0"]).await?;

    registry.delete_manifest("team/other", other.digest()).await?;
    let look = async |api: &Api| {
        let images = api.images().await?;
        ensure!(images.len() == 1 && images[0]["digest"] == tagged.digest(), "{images:?}");
        Ok(())
    };
    watcher.eventually("the image is gone", LIMIT, look).await?;
    assert_eq!(watcher.api.count("indexed").await?, 2);
    Ok(())
}
