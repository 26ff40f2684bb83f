//! What this machine must have: a place for the data, room in it, a database that opens, credentials that can be read.

use std::io;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::Entry;
use crate::text::{bytes, count};
use crate::{Environment, data};

/// A store of some hundred images takes this much; less is no room to begin with.
const ROOM: u64 = 200_000_000;
/// With less than this a person should know.
const AMPLE: u64 = 2_000_000_000;

pub(super) async fn look(directory: &Path, environment: &Environment) -> Vec<Entry> {
    let mut entries = vec![place(directory), room(directory), database(directory).await];
    entries.extend(docker(environment));
    entries.push(proxy(environment));
    entries
}

fn entry(check: &'static str, outcome: &'static str, detail: impl Into<String>) -> Entry {
    Entry { check, outcome, detail: detail.into(), advice: None, seconds: 0.0 }
}

impl Entry {
    fn with_advice(mut self, advice: impl Into<String>) -> Self {
        self.advice = Some(advice.into());
        self
    }
}

/// Whether the data directory can be written to.
fn place(directory: &Path) -> Entry {
    let shown = directory.display();
    let Some(there) = nearest(directory) else {
        return entry("data", "failed", format!("{shown}: nothing above it is there"));
    };
    // Whether a file can be made is known by making one; it is gone when it is closed.
    match (tempfile::tempfile_in(there), there == directory) {
        (Ok(_), true) => entry("data", "passed", format!("{shown} can be written to")),
        (Ok(_), false) => entry("data", "passed", format!("{shown} is not there yet, and can be made")),
        (Err(error), _) => entry("data", "failed", format!("{} cannot be written to: {error}", there.display()))
            .with_advice("run as a user that may write there, or name another directory with --data"),
    }
}

/// The directory itself, or the nearest above it that is there.
fn nearest(directory: &Path) -> Option<&Path> {
    directory.ancestors().find(|path| path.is_dir())
}

fn room(directory: &Path) -> Entry {
    match nearest(directory).map(free) {
        Some(Ok(free)) => {
            let detail = format!("{} are free where the data is", bytes(free));
            let advice = "free some space: the database and the cache of layers grow with the images";
            match free {
                ..ROOM => entry("space", "failed", detail).with_advice(advice),
                ROOM..AMPLE => entry("space", "warned", detail).with_advice(advice),
                _ => entry("space", "passed", detail),
            }
        }
        Some(Err(error)) => entry("space", "skipped", format!("it cannot be asked: {error}")),
        None => entry("space", "skipped", "there is no directory"),
    }
}

/// Bytes that a user without privileges may still write to the file system of `path`.
#[cfg(unix)]
fn free(path: &Path) -> io::Result<u64> {
    let told = rustix::fs::statvfs(path)?;
    Ok(told.f_bavail.saturating_mul(told.f_frsize))
}

#[cfg(not(unix))]
fn free(_path: &Path) -> io::Result<u64> {
    Err(io::ErrorKind::Unsupported.into())
}

async fn database(directory: &Path) -> Entry {
    if !directory.join("supercargo.db").is_file() {
        return entry("database", "skipped", "there is none yet: supercargo-watch makes it");
    }
    let usage = async { Ok::<_, crate::Error>(data::look(directory.to_owned()).await?.usage().await?) };
    match usage.await {
        Ok(usage) => entry(
            "database",
            "passed",
            format!(
                "{}, {}, {} in all",
                count(usage.images, "image"),
                count(usage.packages, "package"),
                bytes(usage.database_bytes)
            ),
        ),
        Err(error) => {
            let mut detail = error.to_string();
            if let Some(cause) = std::error::Error::source(&error).and_then(std::error::Error::source) {
                detail.push_str(&format!(": {cause}"));
            }
            entry("database", "failed", detail)
                .with_advice("restore it from a backup, or move it away: a new one fills from the registries again")
        }
    }
}

/// docker's configuration, and the credential helpers that it names.
fn docker(environment: &Environment) -> Vec<Entry> {
    let Some(path) = environment.docker_config() else {
        return vec![entry("docker", "skipped", "neither DOCKER_CONFIG nor HOME is set: no credentials from docker")];
    };
    let text = match std::fs::read(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let detail = format!("{} is not there: registries are asked anonymously", path.display());
            return vec![entry("docker", "skipped", detail)];
        }
        Err(error) => return vec![entry("docker", "failed", format!("{}: {error}", path.display()))],
    };
    let Ok(Value::Object(config)) = serde_json::from_slice(&text) else {
        return vec![
            entry("docker", "failed", format!("{} is not docker's configuration", path.display()))
                .with_advice("docker login writes it"),
        ];
    };
    let keys = |name: &str| -> Vec<String> {
        config.get(name).and_then(Value::as_object).map(|map| map.keys().cloned().collect()).unwrap_or_default()
    };
    let mut hosts = keys("auths");
    hosts.extend(keys("credHelpers"));
    hosts.sort_unstable();
    hosts.dedup();
    let list = if hosts.is_empty() { "none".to_owned() } else { hosts.join(", ") };
    let mut entries = vec![entry("docker", "passed", format!("{} has credentials for: {list}", path.display()))];
    let store = config.get("credsStore").and_then(Value::as_str);
    let helpers = config.get("credHelpers").and_then(Value::as_object);
    let mut helpers: Vec<&str> =
        helpers.into_iter().flat_map(|map| map.values()).filter_map(Value::as_str).chain(store).collect();
    helpers.sort_unstable();
    helpers.dedup();
    entries.extend(helpers.into_iter().filter(|name| !name.is_empty()).map(|name| helper(name, environment)));
    entries
}

fn helper(name: &str, environment: &Environment) -> Entry {
    let program = format!("docker-credential-{name}");
    let folders = environment.path("PATH").unwrap_or_default();
    let found: Option<PathBuf> =
        std::env::split_paths(&folders).map(|folder| folder.join(&program)).find(|file| file.is_file());
    match found {
        Some(file) => entry("helper", "passed", file.display().to_string()),
        None => entry("helper", "failed", format!("{program} is named in docker's configuration and not installed"))
            .with_advice("install it, or take it out of credsStore and credHelpers and sign in with docker login"),
    }
}

fn proxy(environment: &Environment) -> Entry {
    let either = |capitals: &str, small: &str| environment.text(small).or_else(|| environment.text(capitals));
    if let Some(Err(error)) =
        either("NO_PROXY", "no_proxy").map(|list| list.parse::<supercargo_engine::registry::NoProxy>())
    {
        return entry("proxy", "failed", format!("NO_PROXY: {error}"));
    }
    match either("HTTPS_PROXY", "https_proxy") {
        // Its address may hold a password.
        Some(_) => {
            entry("proxy", "passed", "HTTPS_PROXY is set: registries are reached through it, save those of NO_PROXY")
        }
        None => entry("proxy", "skipped", "HTTPS_PROXY is not set"),
    }
}
