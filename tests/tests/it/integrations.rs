//! A registry that is connected beside a running server, as its operator does it.

use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use supercargo_tests::{
    Api, DockerRegistry, PASSWORD, Service, USER, app, binary, eventually, free_port, get_as, supercargo_with,
};
use tempfile::TempDir;

/// Long enough for a machine that does many things at once.
const LIMIT: Duration = Duration::from_secs(40);
const NAME: &str = "prod";

/// A server with nothing to watch, and its operator at the command line.
struct Port {
    folder: TempDir,
    address: String,
    api: Api,
    server: Service,
}

impl Port {
    async fn open() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let address = format!("127.0.0.1:{}", free_port());
        let mut command = Command::new(binary("supercargo-server")?);
        command
            .args(["--listen", &address, "--interval", "3600", "--data"])
            .arg(folder.path().join("data"))
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", folder.path());
        let mut server = Service::start("supercargo-server", &mut command, &folder.path().join("log"))?;
        let api = Api::new(address.clone());
        eventually("the server is ready", LIMIT, async || {
            server.check()?;
            api.document("/readyz").await
        })
        .await?;
        Ok(Self { folder, address, api, server })
    }

    /// What `supercargo` prints.
    async fn run(&self, arguments: &[&str]) -> Result<String> {
        let data = self.folder.path().join("data");
        let variables = [("SUPERCARGO_DATA", data.to_str().context("a path")?)];
        let ran = supercargo_with(&variables, arguments).await?;
        let told = String::from_utf8_lossy(&ran.stderr);
        ensure!(ran.status.success(), "supercargo {arguments:?}: {}: {told}", ran.status);
        Ok(String::from_utf8(ran.stdout)?)
    }

    async fn integration(&self) -> Result<Value> {
        Ok(serde_json::from_str(&self.run(&["integration", "show", NAME, "-o", "json"]).await?)?)
    }

    async fn is_in(&self, state: &str) -> Result<()> {
        let look = async || {
            let found = self.integration().await?;
            ensure!(found["state"] == state, "{found}");
            Ok(())
        };
        eventually(&format!("it is {state}"), LIMIT, look).await.with_context(|| self.server.last_lines())?;
        Ok(())
    }

    fn file(&self, name: &str, contents: &str) -> Result<String> {
        let path = self.folder.path().join(name);
        std::fs::write(&path, contents)?;
        Ok(path.to_str().context("a path")?.to_owned())
    }

    async fn indexed(&self, digest: &str) -> Result<()> {
        let look = async || self.api.image(digest).await;
        eventually("the image is indexed", LIMIT, look).await.with_context(|| self.server.last_lines())?;
        Ok(())
    }

    /// Why nothing was done about events of the repository, for each of them.
    async fn refusals(&self) -> Result<Vec<String>> {
        let events = self.api.items("/v1/events?state=ignored").await?;
        let reasons = events.iter().filter_map(|event| event["reason"].as_str().map(str::to_owned));
        Ok(reasons.filter(|reason| reason.contains("repository team/app")).collect())
    }

    /// Waits for the first of them.
    async fn refusal(&self) -> Result<String> {
        let look = async || self.refusals().await?.pop().context("no event was refused");
        Ok(eventually("an event is refused", LIMIT, look).await.with_context(|| self.server.last_lines())?.0)
    }
}

/// The token that the server prints at its first start lets its bearer change things; without it nobody does.
async fn check_first_token(port: &Port) -> Result<()> {
    let log = port.server.log();
    let token = log.split_whitespace().find(|word| word.starts_with("scg_")).context("no token was printed")?;
    let ask = async |token: &str| Ok::<_, anyhow::Error>(get_as(token, &port.address, "/v1/tokens").await?.status);
    ensure!(ask(token).await? == 200, "the first token is not taken");
    let without = ask("").await?;
    ensure!(matches!(without, 401 | 403), "{without} without a token");
    Ok(())
}

#[tokio::test]
async fn a_registry_is_connected_beside_a_running_server() -> Result<()> {
    let port = Port::open().await?;
    check_first_token(&port).await?;
    let registry_port = free_port();
    let host = format!("127.0.0.1:{registry_port}");
    let wrong = port.file("wrong", "guessed\n")?;
    let right = port.file("right", &format!("{PASSWORD}\n"))?;
    let url = format!("http://{}", port.address);
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
    port.run(&create).await?;
    port.is_in("error").await?;

    // What is to be set up at the registry is printed with the secret of its events.
    let template = port.run(&["integration", "template", NAME, "--public-url", &url]).await?;
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
    let tested = supercargo_test(&port).await?;
    ensure!(tested.contains("sign-in"), "{tested}");
    port.is_in("error").await?;
    let shown = port.integration().await?;
    ensure!(shown["reason"]["kind"] == "sign-in", "{shown}");
    port.run(&["integration", "credentials", NAME, "--user", USER, "--password-file", &right]).await?;
    port.is_in("pending").await?;

    let first = app(1).build();
    registry.push(&first, "team/app:1.0").await?;
    let reason = port.refusal().await?;
    ensure!(reason.contains("repository team/app is not enabled: supercargo repo enable"), "{reason}");
    port.is_in("connected").await?;

    // What the reason says is what helps.
    port.run(&["repo", "enable", "--integration", NAME, "team/app"]).await?;
    port.indexed(first.digest()).await?;
    let second = app(2).build();
    registry.push(&second, "team/app:1.1").await?;
    port.indexed(second.digest()).await?;

    // A server notices within half a second; until then pushes are indexed.
    port.run(&["repo", "disable", "--integration", NAME, "team/app"]).await?;
    let mut number = 0;
    let before = port.refusals().await?.len();
    let refused = async || {
        number += 1;
        registry.push(&app(10 + number).build(), &format!("team/app:2.{number}")).await?;
        ensure!(port.refusals().await?.len() > before, "the last push was not refused");
        Ok(())
    };
    eventually("an event of a disabled repository is refused", LIMIT, refused).await?;

    let watched = async || Ok::<_, anyhow::Error>(port.api.document("/readyz").await?["registries"].to_string());
    ensure!(watched().await?.contains(&host), "{}", watched().await?);
    port.run(&["integration", "remove", NAME, "--yes"]).await?;
    let gone = async || {
        let watched = watched().await?;
        ensure!(watched == "[]", "{watched}");
        Ok(())
    };
    eventually("nothing is watched", LIMIT, gone).await?;
    Ok(())
}

/// What a test prints that fails.
async fn supercargo_test(port: &Port) -> Result<String> {
    let data = port.folder.path().join("data");
    let variables = [("SUPERCARGO_DATA", data.to_str().context("a path")?)];
    let ran = supercargo_with(&variables, ["integration", "test", NAME]).await?;
    ensure!(!ran.status.success(), "a test with a wrong password passed");
    Ok(format!("{}{}", String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr)))
}
