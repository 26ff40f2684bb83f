//! What breaks and goes on: the watcher itself, and the registry.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Result, ensure};
use serde_json::Value;
use supercargo_testkit::{Image, Notification, RegistryServer};
use supercargo_tests::{Api, DockerRegistry, EVENT_SECRET, Watcher, app, heavy};

const LIMIT: Duration = Duration::from_secs(40);

fn digests(images: &[Value]) -> BTreeSet<String> {
    images.iter().filter_map(|image| Some(image["digest"].as_str()?.to_owned())).collect()
}

async fn all_are_there_once(watcher: &Watcher, images: &[Image]) -> Result<()> {
    let expected: BTreeSet<String> = images.iter().map(|image| image.digest().to_owned()).collect();
    let look = async |api: &Api| {
        let found = api.images().await?;
        ensure!(found.len() == images.len() && digests(&found) == expected, "{} are there", found.len());
        Ok(())
    };
    watcher.eventually("all images are there once", LIMIT, look).await?;
    Ok(())
}

/// The kit's registry tells of ten images and answers slowly, so that the kill comes in the middle.
async fn told(watcher: &Watcher, server: &RegistryServer, images: &[Image]) -> Result<()> {
    for (number, image) in images.iter().enumerate() {
        server.push(image, "team/app", &format!("1.{number}"));
    }
    watcher
        .eventually("all events were taken", LIMIT, async |_| {
            ensure!(server.pending_notifications() == 0, "{} are pending", server.pending_notifications());
            Ok(())
        })
        .await?;
    Ok(())
}

#[tokio::test]
async fn a_killed_watcher_goes_on_with_what_it_was_told() -> Result<()> {
    let watcher = Watcher::builder()?;
    let server = RegistryServer::builder()
        .with_notification(
            Notification::new(watcher.events_url()).with_header("Authorization", format!("Bearer {EVENT_SECRET}")),
        )
        // What is not told cannot be found.
        .without_catalog()
        .start()
        .await?;
    let mut watcher = watcher.with_arguments(["--registry", &server.host(), "--interval", "3600"]).start().await?;

    server.set_latency(Duration::from_millis(150));
    let images: Vec<Image> = (0..10).map(|number| heavy(number).build()).collect();
    told(&watcher, &server, &images).await?;
    let some = async |api: &Api| {
        let found = api.images().await?;
        ensure!(found.len() >= 2, "{} are there", found.len());
        Ok(digests(&found))
    };
    let (before, _) = watcher.eventually("some images are there", LIMIT, some).await?;
    watcher.kill()?;
    assert!(before.len() < images.len(), "the kill came too late to tell anything");

    server.set_latency(Duration::ZERO);
    watcher.start().await?;
    all_are_there_once(&watcher, &images).await?;
    for image in images.iter().filter(|image| before.contains(image.digest())) {
        assert_eq!(server.blob_requests(image.layer_digest(0)), 1, "what was done is not done again");
    }
    assert_eq!(watcher.api.failures().await?, Vec::<Value>::new());
    Ok(())
}

#[tokio::test]
async fn a_watcher_that_is_killed_again_and_again_gets_to_the_end() -> Result<()> {
    let registry = DockerRegistry::builder().with_basic_auth().start().await?;
    let images: Vec<Image> = (0..10).map(|number| heavy(number).build()).collect();
    for (number, image) in images.iter().enumerate() {
        registry.push(image, &format!("team/app:1.{number}")).await?;
    }
    let mut watcher = Watcher::builder()?
        .with_login(&registry.host(), registry.login())?
        .with_arguments(["--registry", &registry.host(), "--all-images", "--workers", "1", "--interval", "3600"])
        .start()
        .await?;
    for _ in 0..3 {
        let busy = async |api: &Api| {
            ensure!(api.count("indexed").await? > 0 || api.images().await?.len() == images.len(), "nothing is done");
            Ok(())
        };
        watcher.eventually("it has begun", LIMIT, busy).await?;
        watcher.kill()?;
        watcher.start().await?;
    }
    all_are_there_once(&watcher, &images).await?;
    for image in &images {
        let count = registry.downloads(image.layer_digest(0));
        assert!((1..=4).contains(&count), "{count} downloads: each start reads an image once at most");
    }
    Ok(())
}

#[tokio::test]
async fn a_watcher_that_is_asked_to_stop_gives_its_work_back() -> Result<()> {
    let server = RegistryServer::start().await?;
    let images: Vec<Image> = (0..4).map(|number| heavy(number).build()).collect();
    for (number, image) in images.iter().enumerate() {
        server.push(image, "team/app", &format!("1.{number}"));
    }
    server.set_latency(Duration::from_millis(200));
    let mut watcher = Watcher::builder()?
        .with_arguments(["--registry", &server.host(), "--all-images", "--interval", "3600"])
        .start()
        .await?;
    let running = async |api: &Api| {
        let queue = api.document("/v1/queue").await?;
        ensure!(queue["running"].as_array().is_some_and(|jobs| !jobs.is_empty()), "nothing runs: {queue}");
        Ok(())
    };
    watcher.eventually("something runs", LIMIT, running).await?;
    let status = watcher.stop().await?;
    assert!(status.success(), "it ended with {status}");
    server.set_latency(Duration::ZERO);
    watcher.start().await?;
    all_are_there_once(&watcher, &images).await
}

#[tokio::test]
async fn a_registry_that_was_away_is_watched_again() -> Result<()> {
    let watcher = Watcher::builder()?;
    let mut registry =
        DockerRegistry::builder().with_basic_auth().with_notifications(watcher.events_url()).start().await?;
    let mut watcher = watcher
        .with_login(&registry.host(), registry.login())?
        .with_arguments(["--registry", &registry.host(), "--interval", "1"])
        .start()
        .await?;
    watcher.first_pass().await?;
    let (before, after) = (app(1).build(), app(2).build());
    registry.push(&before, "team/app:1.0").await?;
    watcher.indexed(before.digest(), LIMIT).await?;

    registry.stop()?;
    let away = async |api: &Api| {
        let registries = api.document("/v1/registries").await?;
        let away = &registries["items"][0]["away"];
        ensure!(away["reason"]["kind"] == "network", "{registries}");
        Ok(away["reason"]["message"].as_str().unwrap_or_default().to_owned())
    };
    let (message, _) = watcher.eventually("the registry is away", LIMIT, away).await?;
    assert!(message.contains(&registry.host()), "the reason says who does not answer: {message}");
    watcher.check()?;
    assert_eq!(watcher.api.get("/healthz").await?.status, 200);
    assert_eq!(watcher.api.get("/readyz").await?.status, 200, "another watcher would not reach it either");
    assert_eq!(watcher.api.images().await?.len(), 1, "away is not gone");

    registry.start().await?;
    let back = async |api: &Api| {
        let registries = api.document("/v1/registries").await?;
        ensure!(registries["items"][0]["away"].is_null(), "{registries}");
        Ok(())
    };
    watcher.eventually("the registry is back", LIMIT, back).await?;
    registry.push(&after, "team/app:2.0").await?;
    watcher.indexed(after.digest(), LIMIT).await?;
    assert_eq!(watcher.api.failures().await?, Vec::<Value>::new());
    Ok(())
}

#[tokio::test]
async fn a_push_that_was_told_of_waits_for_its_registry() -> Result<()> {
    let watcher = Watcher::builder()?;
    let server = RegistryServer::builder()
        .with_notification(
            Notification::new(watcher.events_url()).with_header("Authorization", format!("Bearer {EVENT_SECRET}")),
        )
        .start()
        .await?;
    let watcher = watcher.with_arguments(["--registry", &server.host(), "--interval", "3600"]).start().await?;
    watcher.first_pass().await?;

    server.pause();
    let image = app(1).build();
    told(&watcher, &server, std::slice::from_ref(&image)).await?;
    let waits = async |api: &Api| {
        let failures = api.failures().await?;
        let [failure] = failures.as_slice() else { anyhow::bail!("{failures:?}") };
        ensure!(failure["state"] == "retrying" && failure["reason"]["kind"] == "network", "{failure}");
        Ok(())
    };
    watcher.eventually("the reason of the delay can be read", LIMIT, waits).await?;
    server.resume();
    watcher.indexed(image.digest(), LIMIT).await?;
    let settled = async |api: &Api| {
        let failures = api.failures().await?;
        ensure!(failures.is_empty(), "{failures:?}");
        Ok(())
    };
    watcher.eventually("nothing is wrong any more", LIMIT, settled).await?;
    Ok(())
}
