//! A server with nothing to watch, and its operator at the command line.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use tempfile::TempDir;

use crate::{Api, Service, binary, eventually, free_port, supercargo_with};

/// Long enough for a machine that does many things at once.
const LIMIT: Duration = Duration::from_secs(60);

/// A running `supercargo-server` with a data directory of its own, and `supercargo` beside it.
#[derive(Debug)]
pub struct Installation {
    /// Its API.
    pub api: Api,
    address: String,
    // Before the folder that has its log.
    server: Service,
    variables: Vec<(String, String)>,
    folder: TempDir,
}

impl Installation {
    /// Starts the server, and waits until it works. What the environment says holds for the command line, too.
    ///
    /// # Errors
    ///
    /// If it does not start.
    pub async fn start(variables: &[(String, String)], arguments: &[&str]) -> Result<Self> {
        Self::start_at(free_port(), variables, arguments).await
    }

    /// The same on a port that is known before.
    ///
    /// # Errors
    ///
    /// If it does not start.
    pub async fn start_at(port: u16, variables: &[(String, String)], arguments: &[&str]) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let address = format!("127.0.0.1:{port}");
        let data = folder.path().join("data").display().to_string();
        let mut variables = variables.to_vec();
        variables.push(("SUPERCARGO_DATA".to_owned(), data));
        let mut command = Command::new(binary("supercargo-server")?);
        command
            .args(["--listen", &address])
            .args(arguments.iter().map(OsString::from))
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", folder.path())
            .envs(variables.iter().cloned());
        let mut server = Service::start("supercargo-server", &mut command, &folder.path().join("log"))?;
        let api = Api::new(address.clone());
        eventually("supercargo-server is ready", LIMIT, async || {
            server.check()?;
            api.document("/readyz").await
        })
        .await?;
        Ok(Self { api, address, server, variables, folder })
    }

    /// Its address.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Its address, as an operator tells it.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Its data directory.
    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// What it printed so far.
    pub fn log(&self) -> String {
        self.server.log()
    }

    /// A file with a secret, as commands are given them.
    ///
    /// # Errors
    ///
    /// If it cannot be written.
    pub fn file(&self, name: &str, contents: &str) -> Result<String> {
        let path = self.folder.path().join(name);
        std::fs::write(&path, contents)?;
        Ok(path.display().to_string())
    }

    /// Runs `supercargo` to its end, whatever that is.
    ///
    /// # Errors
    ///
    /// If it cannot be started.
    pub async fn run(&self, arguments: &[&str]) -> Result<Output> {
        let variables: Vec<(&str, &str)> =
            self.variables.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        supercargo_with(&variables, arguments).await
    }

    /// What `supercargo` prints, and what it says beside that.
    ///
    /// # Errors
    ///
    /// If it fails.
    pub async fn told(&self, arguments: &[&str]) -> Result<(String, String)> {
        let ran = self.run(arguments).await?;
        let said = String::from_utf8(ran.stderr)?;
        ensure!(ran.status.success(), "supercargo {arguments:?}: {}: {said}", ran.status);
        Ok((String::from_utf8(ran.stdout)?, said))
    }

    /// What `supercargo` prints.
    ///
    /// # Errors
    ///
    /// If it fails.
    pub async fn prints(&self, arguments: &[&str]) -> Result<String> {
        Ok(self.told(arguments).await?.0)
    }

    /// The document that `supercargo … --output json` prints.
    ///
    /// # Errors
    ///
    /// If it fails.
    pub async fn json(&self, arguments: &[&str]) -> Result<Value> {
        let text = self.prints(&[arguments, &["--output", "json"]].concat()).await?;
        serde_json::from_str(&text).with_context(|| format!("supercargo {arguments:?} printed {text}"))
    }

    /// What is known of an integration.
    ///
    /// # Errors
    ///
    /// If it is not there.
    pub async fn integration(&self, name: &str) -> Result<Value> {
        self.json(&["integration", "show", name]).await
    }

    /// Waits until an integration is in `state`; what is known of it then.
    ///
    /// # Errors
    ///
    /// How it stands when the limit has passed, with the end of the server's log.
    pub async fn becomes(&self, name: &str, state: &str) -> Result<Value> {
        let look = async || {
            let found = self.integration(name).await?;
            ensure!(found["state"] == state, "{found}");
            Ok(found)
        };
        self.eventually(&format!("{name} is {state}"), look).await
    }

    /// The states that an integration was in, the first one first.
    ///
    /// # Errors
    ///
    /// If it is not there.
    pub async fn life(&self, name: &str) -> Result<Vec<String>> {
        let shown = self.integration(name).await?;
        let steps = shown["history"].as_array().context("an integration has a history")?;
        let mut states: Vec<String> =
            steps.iter().rev().map(|step| step["to"].as_str().unwrap_or_default().to_owned()).collect();
        states.dedup();
        Ok(states)
    }

    /// The repositories of an integration that are known, with whether they are enabled.
    ///
    /// # Errors
    ///
    /// If they cannot be listed.
    pub async fn repositories(&self, name: &str) -> Result<Vec<(String, bool)>> {
        let listed = self.json(&["repo", "list", "--integration", name]).await?;
        let one = |setting: &Value| {
            (setting["repository"].as_str().unwrap_or_default().to_owned(), setting["enabled"] == true)
        };
        Ok(listed.as_array().context("a list of repositories")?.iter().map(one).collect())
    }

    /// Waits until these repositories are known, and no others.
    ///
    /// # Errors
    ///
    /// Which are.
    pub async fn finds(&self, name: &str, expected: &[&str]) -> Result<()> {
        let look = async || {
            let found: Vec<String> = self.repositories(name).await?.into_iter().map(|(name, _)| name).collect();
            ensure!(found == expected, "{found:?}");
            Ok(())
        };
        self.eventually(&format!("the repositories of {name} are found"), look).await
    }

    /// Waits for an image.
    ///
    /// # Errors
    ///
    /// If it does not come.
    pub async fn indexed(&self, digest: &str) -> Result<Value> {
        self.eventually("the image is indexed", async || self.api.image(digest).await).await
    }

    /// Waits until an image is where it is said to be; nowhere if it is gone.
    ///
    /// # Errors
    ///
    /// Where it is.
    pub async fn places(&self, digest: &str, expected: &[&str]) -> Result<()> {
        let look = async || {
            let places = self.api.places(digest).await.unwrap_or_default();
            ensure!(places == expected, "{places:?}");
            Ok(())
        };
        self.eventually(&format!("the image is at {expected:?}"), look).await
    }

    /// Waits for a delivery with `part` in the reason why nothing was done about it; the reason.
    ///
    /// # Errors
    ///
    /// What the deliveries say.
    pub async fn refused(&self, part: &str) -> Result<String> {
        let look = async || {
            let events = self.json(&["events", "list", "--state", "ignored"]).await?;
            let reasons = events.as_array().into_iter().flatten().filter_map(|event| event["reason"].as_str());
            let found = reasons.map(str::to_owned).find(|reason| reason.contains(part));
            found.with_context(|| format!("{events}"))
        };
        self.eventually(&format!("a delivery says {part:?}"), look).await
    }

    /// Waits until `look` finds what it looks for.
    ///
    /// # Errors
    ///
    /// What is missing when the limit has passed, with the end of the server's log.
    pub async fn eventually<T>(&self, what: &str, look: impl AsyncFnMut() -> Result<T>) -> Result<T> {
        match eventually(what, LIMIT, look).await {
            Ok((found, _)) => Ok(found),
            Err(missing) => Err(missing).context(self.server.last_lines()),
        }
    }

    /// The files of the data directory that hold one of these pieces, which are no shorter than they need to be.
    ///
    /// # Errors
    ///
    /// If they cannot be read.
    pub fn files_with(&self, pieces: &[&[u8]]) -> Result<Vec<PathBuf>> {
        let mut found = Vec::new();
        search(&self.data(), pieces, &mut found)?;
        Ok(found)
    }
}

fn search(folder: &Path, pieces: &[&[u8]], found: &mut Vec<PathBuf>) -> Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            search(&path, pieces, found)?;
        } else {
            let bytes = std::fs::read(&path)?;
            let has = |piece: &&[u8]| bytes.windows(piece.len()).any(|window| window == *piece);
            found.extend(pieces.iter().any(has).then_some(path));
        }
    }
    Ok(())
}
