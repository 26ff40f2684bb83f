//! The guides in docs/guides: every command in them is run, in order, by a shell, as a reader would.
//!
//! The AWS command line is real, and so is what it makes, in moto. Azure's cannot be: `az` is known by name, and what it is
//! given is looked at.

use std::collections::HashMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::{Value, json};
use supercargo_testkit::{Access, AcrServer, ArtifactoryServer};
use supercargo_tests::{
    Amazon, Api, Internet, PUBLIC_URL, Sender, Service, app, base, binary, eventually, free_port, python,
};
use tempfile::TempDir;

const LIMIT: Duration = Duration::from_secs(60);

/// Azure's command line, as far as the guide calls it.
const AZ: &str = r#"#!/bin/sh
case "$*" in
"deployment group create --resource-group registries --template-file supercargo-acr.json") test -s supercargo-acr.json ;;
"acr token credential generate --registry contoso --name docker-scout-readonly-token --password1 --query passwords[0].value --output tsv")
    echo generated ;;
*) echo "az $*: the guide calls what this test does not know" >&2; exit 64 ;;
esac
"#;

/// Somebody who reads a guide at a machine of their own.
struct Reader {
    port: u16,
    server: Option<Service>,
    /// What is written otherwise here: the server's address.
    instead: Vec<(&'static str, String)>,
    exports: String,
    variables: Vec<(String, String)>,
    folder: TempDir,
}

impl Reader {
    async fn new(port: u16, variables: Vec<(String, String)>) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let az = folder.path().join("az");
        std::fs::write(&az, AZ)?;
        std::fs::set_permissions(&az, std::fs::Permissions::from_mode(0o755))?;
        // It is found beside the machine's own: so are our binaries, and AWS's.
        let folders = [folder.path().to_owned(), parent(&binary("supercargo")?)?, parent(&python().await?)?];
        let system = std::env::var_os("PATH").unwrap_or_default();
        let path = std::env::join_paths(folders.into_iter().chain(std::env::split_paths(&system)))?;
        let mut all = vec![("PATH".to_owned(), path.into_string().map_err(|_| anyhow::anyhow!("a path"))?)];
        all.push(("HOME".to_owned(), folder.path().display().to_string()));
        all.extend(variables);
        let address = format!("127.0.0.1:{port}");
        let instead = vec![
            ("http://supercargo.example.com:8080", format!("http://{address}")),
            ("127.0.0.1:8080", address.clone()),
            ("0.0.0.0:8080", address),
        ];
        Ok(Self { port, server: None, instead, exports: String::new(), variables: all, folder })
    }

    fn api(&self) -> Api {
        Api::new(format!("127.0.0.1:{}", self.port))
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Runs the commands of a section; what each printed.
    async fn run(&mut self, commands: &[String]) -> Result<HashMap<String, String>> {
        let mut printed = HashMap::new();
        for command in commands {
            let line = self.instead.iter().fold(command.clone(), |line, (text, other)| line.replace(text, other));
            if line.starts_with("export ") {
                self.exports.push_str(&format!("{line}\n"));
            } else if let Some(server) = line.strip_suffix(" &") {
                self.start(server).await?;
            } else {
                printed.insert(command.clone(), self.shell(&line).await?);
            }
        }
        Ok(printed)
    }

    /// Runs a line as bash does.
    async fn shell(&self, line: &str) -> Result<String> {
        let script = format!("set -euo pipefail\n{}{line}", self.exports);
        let ran = tokio::process::Command::new("bash")
            .args(["-c", &script])
            .current_dir(self.folder.path())
            .env_clear()
            .envs(self.variables.iter().cloned())
            .kill_on_drop(true)
            .output()
            .await?;
        let (out, err) = (String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
        ensure!(ran.status.success(), "{line}: {}: {out}{err}{}", ran.status, self.last_lines());
        Ok(format!("{out}{err}"))
    }

    /// Starts what goes on in the background, and waits until it works.
    async fn start(&mut self, line: &str) -> Result<()> {
        let words: Vec<&str> = line.split(' ').collect();
        let ["supercargo-server", arguments @ ..] = &words[..] else { bail!("{line}: what is this?") };
        let mut command = Command::new(binary("supercargo-server")?);
        command.args(arguments).current_dir(self.folder.path()).env_clear().envs(self.variables.iter().cloned());
        let mut server = Service::start("supercargo-server", &mut command, &self.file("log"))?;
        let api = self.api();
        let look = async || {
            server.check()?;
            api.document("/readyz").await
        };
        eventually("the server is ready", LIMIT, look).await?;
        self.server = Some(server);
        Ok(())
    }

    /// Waits until the server has heard of an integration, which a reader takes longer than: half a second.
    async fn watched(&self, name: &str) -> Result<()> {
        let server = self.server.as_ref().context("a server")?;
        let wanted = format!("integration watched integration=\"{name}\"");
        let look = async || {
            ensure!(server.log().contains(&wanted), "{}", server.last_lines());
            Ok(())
        };
        eventually("the integration is watched", LIMIT, look).await?;
        Ok(())
    }

    /// Waits until an integration is in a state.
    async fn becomes(&self, name: &str, state: &str) -> Result<()> {
        let look = async || {
            let shown: Value = serde_json::from_str(
                &self.shell(&format!("supercargo integration show {name} -o json 2>/dev/null")).await?,
            )?;
            ensure!(shown["state"] == state, "{shown}");
            Ok(())
        };
        eventually(&format!("{name} is {state}"), LIMIT, look).await.with_context(|| self.last_lines())?;
        Ok(())
    }

    async fn indexed(&self, digest: &str) -> Result<()> {
        let api = self.api();
        eventually("the image is indexed", LIMIT, async || api.image(digest).await)
            .await
            .with_context(|| self.last_lines())?;
        Ok(())
    }

    fn last_lines(&self) -> String {
        self.server.as_ref().map(Service::last_lines).unwrap_or_default()
    }
}

fn parent(file: &Path) -> Result<PathBuf> {
    file.parent().map(Path::to_owned).context("a file is in a folder")
}

/// The sections of a guide, by their titles, with the commands of the blocks that are marked as a shell's, a line each.
fn sections(guide: &str) -> Vec<(String, Vec<String>)> {
    let mut found = Vec::new();
    for section in guide.split("\n## ").skip(1) {
        let (title, rest) = section.split_once('\n').unwrap_or((section, ""));
        let blocks = rest.split("```sh\n").skip(1).filter_map(|rest| rest.split("```").next());
        let joined = |block: &str| block.replace("\\\n", " ").replace("|\n", "| ");
        let lines = blocks.flat_map(|block| joined(block).lines().map(str::to_owned).collect::<Vec<_>>());
        let one_space = |line: String| line.split_whitespace().collect::<Vec<_>>().join(" ");
        let commands = lines.map(one_space).filter(|line| !line.is_empty());
        found.push((title.to_owned(), commands.collect()));
    }
    found
}

#[tokio::test]
async fn amazon_ecr() -> Result<()> {
    let port = free_port();
    let amazon = Amazon::start(&format!("127.0.0.1:{port}")).await?;
    let ecr = amazon.registry("123456789012", "eu-west-1").await?;
    let (old, first, second) = (base().build(), app(1).build(), app(2).build());
    ecr.push(&old, "team/app", "1.0").await?;
    ecr.push(&first, "team/app", "1.1").await?;
    ecr.push(&second, "team/web", "1.0").await?;
    let mut reader = Reader::new(port, amazon.variables()).await?;
    let mut done = Vec::new();
    for (title, commands) in sections(include_str!("../../../docs/guides/ecr.md")) {
        let printed = reader.run(&commands).await?;
        match title.as_str() {
            "4. Create the stack" => {
                let topic = "arn:aws:sns:eu-west-1:123456789012:supercargo-production";
                // Before that, the state is as the page says.
                reader.becomes("production", "pending").await?;
                assert_eq!(ecr.ask_to_confirm(topic).await?, 200);
                reader.becomes("production", "connected").await?;
            }
            "5. See it connected" => {
                ensure!(printed["supercargo integration list"].contains("connected"), "{printed:?}");
            }
            "6. Enable repositories" => {
                reader.indexed(first.digest()).await?;
                reader.indexed(second.digest()).await?;
                let third = app(3).build();
                let event = ecr.push(&third, "team/app", "1.2").await?;
                assert_eq!(ecr.call_destination("supercargo-production-images", &event).await?, 202);
                reader.indexed(third.digest()).await?;
                ensure!(reader.api().image(old.digest()).await.is_err(), "the newest image of each");
            }
            "Removing it" => {
                let told = &printed["supercargo integration remove production --yes"];
                ensure!(told.contains(&commands[1]), "what it tells to do is what the page does next: {told}");
            }
            _ => {}
        }
        done.push((title, printed.len()));
    }
    assert_eq!(done.iter().map(|(_, commands)| commands).sum::<usize>(), 10, "{done:?}");
    Ok(())
}

#[tokio::test]
async fn azure_container_registry() -> Result<()> {
    const HOST: &str = "contoso.azurecr.io";
    let registry = AcrServer::builder().with_name(HOST);
    let registry = registry.with_token("docker-scout-readonly-token", "generated", Access::pull()).start().await?;
    let image = app(1).build();
    registry.push(&base().build(), "team/app", "1.0");
    registry.push(&image, "team/app", "1.1");
    let internet = Internet::start().await?;
    internet.route(HOST, registry.host());
    let mut reader = Reader::new(free_port(), internet.variables()).await?;
    let mut done = Vec::new();
    for (title, commands) in sections(include_str!("../../../docs/guides/acr.md")) {
        let printed = reader.run(&commands).await?;
        match title.as_str() {
            "2. Enter the registry's host name" => reader.watched("azure").await?,
            "3. Deploy the template" => {
                let template: Value = serde_json::from_slice(&std::fs::read(reader.file("supercargo-acr.json"))?)?;
                let parameters = &template["parameters"];
                assert_eq!(parameters["RegistryName"]["defaultValue"], "contoso");
                let webhook = parameters["DockerScoutWebhook"]["defaultValue"].as_str().context("an address")?;
                let path = webhook.strip_prefix(PUBLIC_URL).context("the address of the page")?;
                let event = json!([{
                    "id": "1", "topic": "/subscriptions/s/registries/contoso", "subject": "",
                    "data": {"validationCode": "512D38B6", "validationUrl": "https://rp.eventgrid.azure.net:553/x"},
                    "eventType": "Microsoft.EventGrid.SubscriptionValidationEvent",
                    "eventTime": "2026-11-22T10:00:00.0000000Z", "metadataVersion": "1", "dataVersion": "2",
                }]);
                let mut sender = Sender::connect(&format!("127.0.0.1:{}", reader.port)).await?;
                let headers = "aeg-event-type: SubscriptionValidation\r\nContent-Type: application/json\r\n";
                assert_eq!(sender.post(path, headers, &event.to_string()).await?, 200);
            }
            "4. Give the token a password" => reader.becomes("azure", "connected").await?,
            "5. Enable repositories" => reader.indexed(image.digest()).await?,
            "Removing it" => {
                let told = &printed["supercargo integration remove azure --yes"];
                for remnant in ["docker-scout-readonly-token", "supercargo-list-and-pull", "image-change"] {
                    ensure!(told.contains(remnant), "{remnant}: {told}");
                }
            }
            _ => {}
        }
        done.push((title, printed.len()));
    }
    assert_eq!(done.iter().map(|(_, commands)| commands).sum::<usize>(), 9, "{done:?}");
    Ok(())
}

#[tokio::test]
async fn artifactory() -> Result<()> {
    let builder = ArtifactoryServer::builder().with_account("supercargo", "right").with_local("docker-local");
    let registry = builder.with_webhook_manager("manager").start().await?;
    let image = app(1).build();
    registry.push("docker-local", &image, "team/app", "1.0");
    let internet = Internet::start().await?;
    internet.route("example.jfrog.io", registry.host());
    let mut variables = internet.variables();
    let secrets = [("ARTIFACTORY_PASSWORD", "right"), ("ARTIFACTORY_TOKEN", "manager")];
    variables.extend(secrets.map(|(name, value)| (name.to_owned(), value.to_owned())));
    let mut reader = Reader::new(free_port(), variables).await?;
    let mut done = Vec::new();
    for (title, commands) in sections(include_str!("../../../docs/guides/artifactory.md")) {
        let printed = reader.run(&commands).await?;
        match title.as_str() {
            "2. Connect the repository keys" => reader.watched("jfrog").await?,
            "3. Have Artifactory tell of pushes" => {
                let webhooks = registry.webhooks();
                assert_eq!(webhooks.len(), 1);
                assert_eq!(webhooks[0]["key"], "supercargo-jfrog");
                reader.becomes("jfrog", "connected").await?;
            }
            "4. Enable repositories" => {
                reader.indexed(image.digest()).await?;
                let next = app(2).build();
                registry.push("docker-local", &next, "team/app", "1.1");
                let answers = registry.announce("docker-local", &next, "team/app", "1.1").await?;
                assert_eq!(answers, [202]);
                reader.indexed(next.digest()).await?;
                let preview = &printed["supercargo integration filter jfrog --newest 3 --preview"];
                ensure!(preview.starts_with("this selects 1 image in 1 repository"), "{preview}");
            }
            _ => {}
        }
        done.push((title, printed.len()));
    }
    assert_eq!(done.iter().map(|(_, commands)| commands).sum::<usize>(), 10, "{done:?}");
    assert_eq!(registry.failed_sign_ins(), 0);
    Ok(())
}

/// What docs/integrations.md says is walked is walked by tests that are there.
#[test]
fn what_the_page_says_is_walked_is() -> Result<()> {
    let page = include_str!("../../../docs/integrations.md");
    let tables = page.split("<!-- walked -->").nth(1).context("the page marks its tables")?;
    let named: Vec<_> = tables.split('`').skip(1).step_by(2).filter_map(|text| text.split_once("::")).collect();
    ensure!(named.len() > 35, "{}", named.len());
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it");
    for (module, name) in named {
        let source = std::fs::read_to_string(folder.join(format!("{module}.rs"))).context(module.to_owned())?;
        ensure!(source.contains(&format!("fn {name}(")), "docs/integrations.md names {module}::{name}");
    }
    Ok(())
}
