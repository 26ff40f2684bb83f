//! A running `supercargo-watch`.

use std::ffi::OsString;
use std::path::Path;
use std::process::{Command, ExitStatus};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use tempfile::TempDir;

use crate::binaries::binary;
use crate::tool::Login;
use crate::{Api, Service, eventually, free_port};

/// What registries prove themselves with in their notifications.
pub const EVENT_SECRET: &str = "the-secret-of-the-notifications";

/// How long it may take to start or to end on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// How to run a watcher.
#[derive(Debug)]
pub struct WatcherBuilder {
    arguments: Vec<OsString>,
    variables: Vec<(String, OsString)>,
    directory: TempDir,
    port: u16,
}

impl WatcherBuilder {
    /// Adds arguments.
    pub fn with_arguments<A: Into<OsString>>(mut self, arguments: impl IntoIterator<Item = A>) -> Self {
        self.arguments.extend(arguments.into_iter().map(Into::into));
        self
    }

    /// Sets environment variables.
    pub fn with_environment(mut self, variables: &[(&str, &str)]) -> Self {
        self.variables.extend(variables.iter().map(|(name, value)| ((*name).to_owned(), OsString::from(value))));
        self
    }

    /// Sets an environment variable.
    pub fn with_variable(mut self, name: impl Into<String>, value: impl Into<OsString>) -> Self {
        self.variables.push((name.into(), value.into()));
        self
    }

    /// A folder for this test that goes with the watcher.
    pub fn folder(&self) -> &Path {
        self.directory.path()
    }

    /// Signs in to `host`, by the configuration that `docker login` writes.
    ///
    /// # Errors
    ///
    /// If it cannot be written.
    pub fn with_login(self, host: &str, login: Option<Login<'_>>) -> Result<Self> {
        if let Some((user, password)) = login {
            let config = json!({ "auths": { host: { "auth": STANDARD.encode(format!("{user}:{password}")) } } });
            let folder = self.directory.path().join("docker");
            std::fs::create_dir_all(&folder)?;
            std::fs::write(folder.join("config.json"), config.to_string())?;
        }
        Ok(self)
    }

    /// Where registries send their notifications to, also before it runs.
    pub fn events_url(&self) -> String {
        format!("http://127.0.0.1:{}/v1/events/distribution/main", self.port)
    }

    /// Its address.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Starts it, and waits until it works.
    ///
    /// # Errors
    ///
    /// If it does not start.
    pub async fn start(self) -> Result<Watcher> {
        let api = Api::new(format!("127.0.0.1:{}", self.port));
        let mut watcher = Watcher { api, service: None, options: self };
        watcher.start().await?;
        Ok(watcher)
    }
}

/// A running `supercargo-watch` with a data directory and a port of its own.
#[derive(Debug)]
pub struct Watcher {
    /// Its API.
    pub api: Api,
    // Before the folder that has its log.
    service: Option<Service>,
    options: WatcherBuilder,
}

impl Watcher {
    /// Sets up a watcher.
    ///
    /// # Errors
    ///
    /// If there is no room for temporary files.
    pub fn builder() -> Result<WatcherBuilder> {
        let directory = tempfile::tempdir()?;
        Ok(WatcherBuilder { arguments: Vec::new(), variables: Vec::new(), directory, port: free_port() })
    }

    /// Starts it again after [`Watcher::kill`] or [`Watcher::stop`].
    ///
    /// # Errors
    ///
    /// If it does not start.
    pub async fn start(&mut self) -> Result<()> {
        let folder = self.options.directory.path();
        let secret = folder.join("event-secret");
        std::fs::write(&secret, format!("{EVENT_SECRET}\n"))?;
        let mut command = Command::new(binary("supercargo-watch")?);
        command
            .arg("--data")
            .arg(self.data())
            .arg("--listen")
            .arg(format!("127.0.0.1:{}", self.options.port))
            .arg("--event-secret-file")
            .arg(&secret)
            .args(&self.options.arguments)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", folder)
            .env("DOCKER_CONFIG", folder.join("docker"))
            .env("RUST_BACKTRACE", "1")
            .envs(self.options.variables.iter().cloned());
        let mut service = Service::start("supercargo-watch", &mut command, &folder.join("log"))?;
        let api = self.api.clone();
        eventually("supercargo-watch is ready", PATIENCE, async || {
            service.check()?;
            api.document("/readyz").await
        })
        .await?;
        self.service = Some(service);
        Ok(())
    }

    /// Its address.
    pub fn address(&self) -> String {
        self.options.address()
    }

    /// The number of its process.
    ///
    /// # Errors
    ///
    /// If it does not run.
    pub fn id(&self) -> Result<u32> {
        Ok(self.service.as_ref().context("the watcher does not run")?.id())
    }

    /// Its data directory.
    pub fn data(&self) -> std::path::PathBuf {
        self.options.directory.path().join("data")
    }

    /// A folder for this test that goes with the watcher.
    pub fn folder(&self) -> &Path {
        self.options.directory.path()
    }

    /// Waits until `look` finds what it looks for, and says how long that took.
    ///
    /// # Errors
    ///
    /// What is missing when `limit` has passed, with the end of the watcher's log.
    pub async fn eventually<T>(
        &self,
        what: &str,
        limit: Duration,
        mut look: impl AsyncFnMut(&Api) -> Result<T>,
    ) -> Result<(T, Duration)> {
        match eventually(what, limit, async || look(&self.api).await).await {
            Ok(found) => Ok(found),
            Err(missing) => Err(missing).context(self.state().await),
        }
    }

    /// What the watcher says of itself, for a person to read.
    async fn state(&self) -> String {
        let mut state = self.service.as_ref().map_or_else(String::new, Service::last_lines);
        for path in ["/readyz", "/v1/queue", "/v1/failures", "/v1/events"] {
            match self.api.get(path).await {
                Ok(reply) => state.push_str(&format!("\n{path}: {}", reply.body)),
                Err(error) => state.push_str(&format!("\n{path}: {error:#}")),
            }
        }
        state
    }

    /// Waits for the end of the first pass over the registry: what is pushed from then on is new.
    ///
    /// # Errors
    ///
    /// If none goes through.
    pub async fn first_pass(&self) -> Result<()> {
        self.eventually("a pass over the registry went through", PATIENCE, async |api| {
            ensure!(api.count("passes").await? > 0, "no pass went through");
            Ok(())
        })
        .await?;
        Ok(())
    }

    /// Waits for an image, and says how long that took.
    ///
    /// # Errors
    ///
    /// If it is not there within `limit`.
    pub async fn indexed(&self, digest: &str, limit: Duration) -> Result<Duration> {
        let look = async |api: &Api| api.image(digest).await;
        Ok(self.eventually(&format!("{digest} is indexed"), limit, look).await?.1)
    }

    /// What it printed so far.
    pub fn log(&self) -> String {
        self.service.as_ref().map(Service::log).unwrap_or_default()
    }

    /// That it still runs.
    ///
    /// # Errors
    ///
    /// How it ended.
    pub fn check(&mut self) -> Result<()> {
        self.service.as_mut().context("the watcher does not run")?.check()
    }

    /// Ends it as `kill -9` does.
    ///
    /// # Errors
    ///
    /// If it had ended before.
    pub fn kill(&mut self) -> Result<()> {
        self.service.take().context("the watcher does not run")?.kill()
    }

    /// Asks it to end, and waits until it has.
    ///
    /// # Errors
    ///
    /// If it does not.
    pub async fn stop(&mut self) -> Result<ExitStatus> {
        self.service.take().context("the watcher does not run")?.stop(PATIENCE).await
    }
}
