//! The programs that the scenarios stand on, without supercargo.

use std::time::Duration;

use anyhow::{Result, ensure};
use serde_json::json;
use supercargo_testkit::{IndexBuilder, attestation};
use supercargo_tests::{
    DockerRegistry, EVENT_SECRET, PASSWORD, Receiver, TokenService, USER, app, base, eventually, free_port, push,
};

const LIMIT: Duration = Duration::from_secs(10);

#[tokio::test]
async fn docker_registry_asks_for_a_password() -> Result<()> {
    let registry = DockerRegistry::builder().with_basic_auth().start().await?;
    let image = base().build();
    registry.push(&image, "team/app:1.0").await?;
    registry.check_requests("PUT", "/v2/team/app/manifests/1.0", 1).await?;
    assert!(registry.blob(image.layer_digest(0)).is_file());
    // skopeo only looks whether blobs are there.
    registry.check_downloads(image.layer_digest(0), 0).await?;

    let refused = push(&image, &registry.host(), "team/app:1.1", Some((USER, "wrong"))).await.unwrap_err();
    assert!(format!("{refused:#}").contains("unauthorized"), "{refused:#}");
    Ok(())
}

#[tokio::test]
async fn docker_registry_asks_for_tokens() -> Result<()> {
    let tokens = TokenService::start().await?;
    let registry = DockerRegistry::builder().with_token_auth(&tokens).start().await?;
    let image = base().build();
    push(&image, &registry.host(), "team/app:1.0", Some((USER, PASSWORD))).await?;
    registry.check_requests("PUT", "/v2/team/app/manifests/1.0", 1).await?;
    push(&image, &registry.host(), "team/app:1.1", None).await.unwrap_err();
    Ok(())
}

#[tokio::test]
async fn docker_registry_notifies_of_manifests() -> Result<()> {
    let receiver = Receiver::start().await?;
    let registry = DockerRegistry::builder().with_basic_auth().with_notifications(receiver.url()).start().await?;
    let image = app(1).build();
    let predicate = json!({ "builder": { "id": "test" } });
    let index = IndexBuilder::new()
        .with_image(image.clone())
        .with_attestation(attestation(&image, "https://slsa.dev/provenance/v1", &predicate))
        .build();
    registry.push(&index, "team/app:1.0").await?;
    registry.delete_manifest("team/app", index.digest()).await?;

    let (received, _) = eventually("the notifications came", LIMIT, async || {
        let received = receiver.received();
        ensure!(received.len() >= 4, "{} came: {received:?}", received.len());
        Ok(received)
    })
    .await?;
    for delivery in &received {
        assert_eq!(delivery.content_type, "application/vnd.docker.distribution.events.v1+json");
        assert_eq!(delivery.authorization, format!("Bearer {EVENT_SECRET}"));
        assert_eq!(delivery.event["target"]["repository"], "team/app");
    }
    let actions: Vec<_> = received.iter().map(|delivery| delivery.event["action"].as_str().unwrap()).collect();
    assert_eq!(actions[..4], ["push", "push", "push", "delete"]);
    assert_eq!(received[2].event["target"]["digest"], index.digest());
    assert_eq!(received[2].event["target"]["tag"], "1.0");
    let deleted = |delivery: &supercargo_tests::Received| delivery.event["target"]["digest"] == index.digest();
    assert!(received[3..].iter().any(deleted), "{received:?}");
    Ok(())
}

#[tokio::test]
async fn docker_registry_comes_back_with_what_it_held() -> Result<()> {
    let mut registry = DockerRegistry::builder().start().await?;
    let image = base().build();
    registry.push(&image, "team/app:1.0").await?;
    registry.stop()?;
    supercargo_tests::get(&registry.host(), "/v2/").await.unwrap_err();
    registry.start().await?;
    let tags = supercargo_tests::get(&registry.host(), "/v2/team/app/tags/list").await?.json()?;
    assert_eq!(tags["tags"], json!(["1.0"]));
    Ok(())
}

#[test]
fn ports_are_given_out_once() {
    let ports: std::collections::HashSet<u16> = (0..20).map(|_| free_port()).collect();
    assert_eq!(ports.len(), 20);
}
