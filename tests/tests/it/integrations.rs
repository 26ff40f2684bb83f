//! A registry that is connected beside a running server, as its operator does it.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use supercargo_tests::{DockerRegistry, Installation, PASSWORD, USER, app, eventually, free_port, get_as};

/// Long enough for a machine that does many things at once.
const LIMIT: Duration = Duration::from_secs(40);
const NAME: &str = "prod";

/// Why nothing was done about events of the repository, for each of them.
async fn refusals(server: &Installation) -> Result<Vec<String>> {
    let events = server.api.items("/v1/events?state=ignored").await?;
    let reasons = events.iter().filter_map(|event| event["reason"].as_str().map(str::to_owned));
    Ok(reasons.filter(|reason| reason.contains("repository team/app")).collect())
}

/// The token that the server prints at its first start lets its bearer change things; without it nobody does.
async fn check_first_token(server: &Installation) -> Result<()> {
    let log = server.log();
    let token = log.split_whitespace().find(|word| word.starts_with("scg_")).context("no token was printed")?;
    let ask = async |token: &str| Ok::<_, anyhow::Error>(get_as(token, server.address(), "/v1/tokens").await?.status);
    ensure!(ask(token).await? == 200, "the first token is not taken");
    let without = ask("").await?;
    ensure!(matches!(without, 401 | 403), "{without} without a token");
    Ok(())
}

#[tokio::test]
async fn a_registry_is_connected_beside_a_running_server() -> Result<()> {
    let server = Installation::start(&[], &["--interval", "3600"]).await?;
    check_first_token(&server).await?;
    let registry_port = free_port();
    let host = format!("127.0.0.1:{registry_port}");
    let wrong = server.file("wrong", "guessed\n")?;
    let right = server.file("right", &format!("{PASSWORD}\n"))?;
    let url = server.url();
    let create = [
        "integration",
        "create",
        "oci",
        NAME,
        "--registry",
        &host,
        "--events",
        "distribution",
        "--user",
        USER,
        "--password-file",
        &wrong,
    ];
    server.prints(&create).await?;
    server.becomes(NAME, "error").await?;

    // What is to be set up at the registry is printed with the secret of its events.
    let template = server.prints(&["integration", "template", NAME, "--public-url", &url]).await?;
    let endpoint = format!("{url}/v1/events/distribution/{NAME}");
    ensure!(template.contains(&endpoint), "{template}");
    let secret = template.split("Bearer ").nth(1).and_then(|rest| rest.split(']').next()).context("no secret")?;
    let registry = DockerRegistry::builder()
        .with_basic_auth()
        .with_port(registry_port)
        .with_notifications(&endpoint)
        .with_secret(secret)
        .start()
        .await?;

    // The registry is there, and does not take the password.
    let tested = supercargo_test(&server).await?;
    ensure!(tested.contains("sign-in"), "{tested}");
    server.becomes(NAME, "error").await?;
    let shown = server.integration(NAME).await?;
    ensure!(shown["reason"]["kind"] == "sign-in", "{shown}");
    server.prints(&["integration", "credentials", NAME, "--user", USER, "--password-file", &right]).await?;
    server.becomes(NAME, "pending").await?;

    let first = app(1).build();
    registry.push(&first, "team/app:1.0").await?;
    let reason = server.refused("repository team/app").await?;
    ensure!(reason.contains("repository team/app is not enabled: supercargo repo enable"), "{reason}");
    server.becomes(NAME, "connected").await?;

    // What the reason says is what helps.
    server.prints(&["repo", "enable", "--integration", NAME, "team/app"]).await?;
    server.indexed(first.digest()).await?;
    let second = app(2).build();
    registry.push(&second, "team/app:1.1").await?;
    server.indexed(second.digest()).await?;

    // A server notices within half a second; until then pushes are indexed.
    server.prints(&["repo", "disable", "--integration", NAME, "team/app"]).await?;
    let mut number = 0;
    let before = refusals(&server).await?.len();
    let refused = async || {
        number += 1;
        registry.push(&app(10 + number).build(), &format!("team/app:2.{number}")).await?;
        ensure!(refusals(&server).await?.len() > before, "the last push was not refused");
        Ok(())
    };
    eventually("an event of a disabled repository is refused", LIMIT, refused).await?;

    let watched = async || Ok::<_, anyhow::Error>(server.api.document("/readyz").await?["registries"].to_string());
    ensure!(watched().await?.contains(&host), "{}", watched().await?);
    server.prints(&["integration", "remove", NAME, "--yes"]).await?;
    let gone = async || {
        let watched = watched().await?;
        ensure!(watched == "[]", "{watched}");
        Ok(())
    };
    eventually("nothing is watched", LIMIT, gone).await?;
    Ok(())
}

/// What a test prints that fails.
async fn supercargo_test(server: &Installation) -> Result<String> {
    let ran = server.run(&["integration", "test", NAME]).await?;
    ensure!(!ran.status.success(), "a test with a wrong password passed");
    Ok(format!("{}{}", String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr)))
}
