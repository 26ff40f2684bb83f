//! Debian's docker-registry: CNCF Distribution 2.8, the registry that most others descend from.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use supercargo_testkit::{Artifact, Client, Credentials};
use tempfile::TempDir;

use crate::tool::{self, Login, find};
use crate::{EVENT_SECRET, Service, TokenService, api, eventually, free_port, token};

/// The user that registries of the tests let in.
pub const USER: &str = "robot";
/// The password of [`USER`].
pub const PASSWORD: &str = "cargo-secret";
/// A line of an htpasswd file for [`USER`] and [`PASSWORD`]: docker-registry takes bcrypt and nothing else.
const HTPASSWD: &str = "robot:$2b$04$P08Y.lVh1/N.EQiFR3HY3O0QOl91g9hI0PKQ5gOdRSynuwBGJLoAm\n";

/// How long after its end a request may come into the log.
const LOG: Duration = Duration::from_secs(3);
/// How long it may take to start; it takes some hundred milliseconds.
const START: Duration = Duration::from_secs(20);

/// How to run a registry.
#[derive(Debug, Default)]
pub struct DockerRegistryBuilder {
    auth: Option<Value>,
    notify: Option<String>,
    secret: Option<String>,
    port: Option<u16>,
}

impl DockerRegistryBuilder {
    /// Asks for [`USER`] and [`PASSWORD`] with every request.
    pub fn with_basic_auth(mut self) -> Self {
        self.auth = Some(json!({ "htpasswd": { "realm": "tests" } }));
        self
    }

    /// Asks for the tokens of `service`.
    pub fn with_token_auth(mut self, service: &TokenService) -> Self {
        self.auth = Some(json!({ "token": {
            "realm": service.realm(),
            "service": token::SERVICE,
            "issuer": token::ISSUER,
            "rootcertbundle": service.certificate(),
        } }));
        self
    }

    /// Sends notifications to `url` with [`EVENT_SECRET`], as docs/events.md says.
    pub fn with_notifications(mut self, url: impl Into<String>) -> Self {
        self.notify = Some(url.into());
        self
    }

    /// The same with another secret.
    pub fn with_secret(mut self, secret: impl Into<String>) -> Self {
        self.secret = Some(secret.into());
        self
    }

    /// Starts it on a port that is known before.
    pub fn with_port(mut self, port: u16) -> Self {
        self.port = Some(port);
        self
    }

    /// Starts it on a port of its own with a storage of its own, and waits until it answers.
    ///
    /// # Errors
    ///
    /// If docker-registry is missing or does not start.
    pub async fn start(self) -> Result<DockerRegistry> {
        let directory = tempfile::tempdir()?;
        let port = self.port.unwrap_or_else(free_port);
        let storage = directory.path().join("storage");
        let mut config = json!({
            "version": "0.1",
            "log": { "level": "warn", "accesslog": { "disabled": false } },
            "storage": { "filesystem": { "rootdirectory": storage }, "delete": { "enabled": true } },
            "http": { "addr": format!("127.0.0.1:{port}"), "secret": "of no importance on one node" },
        });
        let has_login = self.auth.is_some();
        if let Some(mut auth) = self.auth {
            if let Some(basic) = auth.get_mut("htpasswd") {
                let file = directory.path().join("htpasswd");
                std::fs::write(&file, HTPASSWD)?;
                basic["path"] = json!(file);
            }
            config["auth"] = auth;
        }
        if let Some(url) = &self.notify {
            let secret = self.secret.as_deref().unwrap_or(EVENT_SECRET);
            config["notifications"] = json!({ "endpoints": [{
                "name": "supercargo",
                "url": url,
                "headers": { "Authorization": [format!("Bearer {secret}")] },
                "timeout": "1s",
                "threshold": 3,
                "backoff": "250ms",
                "ignore": { "mediatypes": ["application/octet-stream"], "actions": ["pull"] },
            }] });
        }
        // YAML is a superset of JSON.
        std::fs::write(directory.path().join("config.yml"), serde_json::to_vec_pretty(&config)?)?;
        let mut registry = DockerRegistry { service: None, directory, port, has_login };
        registry.start().await?;
        Ok(registry)
    }
}

/// A running docker-registry.
#[derive(Debug)]
pub struct DockerRegistry {
    // Before the folder that has its log.
    service: Option<Service>,
    directory: TempDir,
    port: u16,
    has_login: bool,
}

impl DockerRegistry {
    /// Sets up a registry.
    pub fn builder() -> DockerRegistryBuilder {
        DockerRegistryBuilder::default()
    }

    /// Starts it again after [`DockerRegistry::stop`], with what it held.
    ///
    /// # Errors
    ///
    /// If it does not start.
    pub async fn start(&mut self) -> Result<()> {
        let mut command = Command::new(find("docker-registry")?);
        command.arg("serve").arg(self.directory.path().join("config.yml"));
        let mut service = Service::start("docker-registry", &mut command, &self.directory.path().join("log"))?;
        let host = self.host();
        eventually("docker-registry answers", START, async || {
            service.check()?;
            let status = api::get(&host, "/v2/").await?.status;
            ensure!(status == 200 || status == 401, "status {status}");
            Ok(())
        })
        .await?;
        self.service = Some(service);
        Ok(())
    }

    /// Takes it away, as a machine that fails.
    ///
    /// # Errors
    ///
    /// If it does not run.
    pub fn stop(&mut self) -> Result<()> {
        self.service.take().context("the registry does not run")?.kill()
    }

    /// Its `host:port`.
    pub fn host(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// What to sign in with, if it asks.
    pub fn login(&self) -> Option<Login<'static>> {
        self.has_login.then_some((USER, PASSWORD))
    }

    /// Pushes with skopeo. `image` is `repository:tag`.
    ///
    /// # Errors
    ///
    /// What skopeo complains of.
    pub async fn push(&self, artifact: &dyn Artifact, image: &str) -> Result<()> {
        tool::push(artifact, &self.host(), image, self.login()).await
    }

    /// Deletes a manifest, with all tags on it.
    ///
    /// # Errors
    ///
    /// If the registry refuses.
    pub async fn delete_manifest(&self, repository: &str, digest: &str) -> Result<()> {
        let mut client = Client::new(self.host());
        if let Some((user, password)) = self.login() {
            client = client.with_credentials(Credentials::new(user, password));
        }
        Ok(client.delete(repository, digest).await?)
    }

    /// Deletes a tag and leaves its manifest. Distribution 2.8 has no request for that, so its file is removed.
    ///
    /// # Errors
    ///
    /// If there is no such tag.
    pub fn delete_tag(&self, repository: &str, tag: &str) -> Result<()> {
        let folder = self.folder().join("repositories").join(repository).join("_manifests/tags").join(tag);
        std::fs::remove_dir_all(&folder).with_context(|| format!("remove {}", folder.display()))
    }

    /// The file that holds a blob.
    pub fn blob(&self, digest: &str) -> PathBuf {
        let hex = digest.trim_start_matches("sha256:");
        self.folder().join("blobs/sha256").join(&hex[..2]).join(hex).join("data")
    }

    /// How many times a blob was downloaded so far, by the access log.
    pub fn downloads(&self, digest: &str) -> usize {
        self.requests("GET", &format!("/blobs/{digest}"))
    }

    /// That a blob was downloaded so many times from any repository, by the access log.
    ///
    /// # Errors
    ///
    /// How many times it was.
    pub async fn check_downloads(&self, digest: &str, expected: usize) -> Result<()> {
        self.check_requests("GET", &format!("/blobs/{digest}"), expected).await
    }

    /// That so many requests with this in their address succeeded, by the access log.
    ///
    /// # Errors
    ///
    /// How many did.
    pub async fn check_requests(&self, method: &str, part: &str, expected: usize) -> Result<()> {
        let check = async || {
            let found = self.requests(method, part);
            ensure!(found == expected, "{found} requests, not {expected}: {method} …{part}");
            Ok(())
        };
        // A request is logged when it has ended, which may be after its client has gone on.
        eventually("the access log has all requests", LOG, check).await?;
        api::get(&self.host(), "/v2/").await?;
        check().await
    }

    fn requests(&self, method: &str, part: &str) -> usize {
        let Some(service) = &self.service else { return 0 };
        let log = service.log();
        let lines = log.lines().filter_map(|line| {
            // `127.0.0.1 - - [time] "GET /v2/team/app/blobs/sha256:… HTTP/1.1" 200 123 "" "agent"`
            let (_, request) = line.split_once(&format!("\"{method} "))?;
            let (address, answer) = request.split_once(" HTTP/1.1\" ")?;
            (address.contains(part) && answer.starts_with('2')).then_some(())
        });
        lines.count()
    }

    fn folder(&self) -> PathBuf {
        self.directory.path().join("storage/docker/registry/v2")
    }
}
