//! What cannot be indexed: each ends in a state with a reason that a person can read, and costs nothing else.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use supercargo_tests::{Api, DockerRegistry, TokenService, USER, Watcher, app, heavy};

const LIMIT: Duration = Duration::from_secs(40);

/// The one thing that is wrong, once it is not tried again.
async fn failure(watcher: &Watcher) -> Result<Value> {
    let look = async |api: &Api| {
        let failures = api.failures().await?;
        let [failure] = failures.as_slice() else { anyhow::bail!("{failures:?}") };
        ensure!(failure["state"] == "failed", "{failure}");
        Ok(failure.clone())
    };
    Ok(watcher.eventually("one thing has failed", LIMIT, look).await?.0)
}

fn message(failure: &Value) -> &str {
    failure["reason"]["message"].as_str().unwrap_or_default()
}

/// What the registry does not know, and what nobody may read anywhere.
const OTHER_PASSWORD: &str = "hunter2hunter2";

async fn refused(registry: DockerRegistry) -> Result<()> {
    let watcher = Watcher::builder()?
        .with_login(&registry.host(), Some((USER, OTHER_PASSWORD)))?
        .with_arguments(["--registry", &registry.host(), "--interval", "1"])
        .start()
        .await?;
    let look = async |api: &Api| {
        let registries = api.document("/v1/registries").await?;
        let reason = &registries["items"][0]["away"]["reason"];
        ensure!(reason["kind"] == "unauthorized", "{registries}");
        Ok(reason["message"].as_str().context("a reason without a message")?.to_owned())
    };
    let (message, _) = watcher.eventually("the registry has refused", LIMIT, look).await?;
    assert!(message.contains(&registry.host()) || message.contains("credentials"), "{message}");
    assert!(!message.contains(OTHER_PASSWORD), "{message}");
    assert!(!watcher.log().contains(OTHER_PASSWORD), "{}", watcher.log());
    let ready = watcher.api.document("/readyz").await?;
    assert_eq!(ready["registries"][0]["last_error"]["reason"]["kind"], "unauthorized", "{ready}");
    Ok(())
}

#[tokio::test]
async fn wrong_credentials() -> Result<()> {
    refused(DockerRegistry::builder().with_basic_auth().start().await?).await
}

#[tokio::test]
async fn wrong_credentials_for_tokens() -> Result<()> {
    let tokens = TokenService::start().await?;
    refused(DockerRegistry::builder().with_token_auth(&tokens).start().await?).await
}

#[tokio::test]
async fn an_unknown_repository() -> Result<()> {
    let registry = DockerRegistry::builder().with_basic_auth().start().await?;
    let image = app(1).build();
    registry.push(&image, "team/app:1.0").await?;
    let host = registry.host();
    let watcher = Watcher::builder()?
        .with_login(&host, registry.login())?
        .with_arguments(["--repository", &format!("{host}/team/no-such-app"), "--repository"])
        .with_arguments([&format!("{host}/team/app"), "--all-images", "--interval", "1"])
        .start()
        .await?;
    watcher.indexed(image.digest(), LIMIT).await?;
    let failure = failure(&watcher).await?;
    assert_eq!(failure["repository"], "team/no-such-app");
    assert_eq!(failure["reason"]["kind"], "not-found");
    assert!(message(&failure).contains("team/no-such-app"), "{failure}");
    Ok(())
}

/// Pushes a good image and a bad one, spoils the bad one's layer in the registry's storage, and gives what becomes
/// of it.
async fn spoiled(spoil: impl FnOnce(&mut Vec<u8>)) -> Result<Value> {
    let registry = DockerRegistry::builder().start().await?;
    let (good, bad) = (app(1).build(), heavy(1).build());
    registry.push(&good, "team/good:1.0").await?;
    registry.push(&bad, "team/bad:1.0").await?;
    let file = registry.blob(bad.layer_digest(0));
    let mut bytes = std::fs::read(&file)?;
    spoil(&mut bytes);
    std::fs::write(&file, bytes)?;

    let watcher = Watcher::builder()?
        .with_arguments(["--registry", &registry.host(), "--all-images", "--interval", "1"])
        .start()
        .await?;
    watcher.indexed(good.digest(), LIMIT).await?;
    let failure = failure(&watcher).await?;
    assert_eq!(failure["repository"], "team/bad");
    assert_eq!(failure["tag"], "1.0");
    assert!(message(&failure).contains(bad.layer_digest(0)), "the reason names the blob: {failure}");
    // Once, and once afresh: not for ever.
    registry.check_downloads(bad.layer_digest(0), 2).await?;
    assert_eq!(watcher.api.images().await?.len(), 1);
    Ok(failure)
}

#[tokio::test]
async fn a_truncated_blob() -> Result<()> {
    let failure = spoiled(|bytes| bytes.truncate(bytes.len() / 2)).await?;
    assert_eq!(failure["reason"]["kind"], "digest-mismatch", "{failure}");
    Ok(())
}

#[tokio::test]
async fn a_corrupted_blob() -> Result<()> {
    let failure = spoiled(|bytes| {
        let middle = bytes.len() / 2;
        bytes[middle] ^= 0xff;
    })
    .await?;
    assert_eq!(failure["reason"]["kind"], "digest-mismatch", "{failure}");
    Ok(())
}
