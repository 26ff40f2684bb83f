//! Sinks of the configuration file, and what becomes of their deliveries when they are taken out of it.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use anyhow::{Context as _, Result, ensure};
use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode};
use serde_json::Value;
use supercargo_testkit::RegistryServer;
use supercargo_tests::{Watcher, app, base, eventually, free_port, supercargo};
use tokio::net::TcpListener;

use crate::delivery::{LIMIT, all_delivered, deliveries};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

type Messages = Arc<Mutex<Vec<(HeaderMap, Bytes)>>>;

/// Takes messages at `/hook` of a port.
async fn endpoint() -> Result<(u16, Messages)> {
    let messages = Messages::default();
    let kept = Arc::clone(&messages);
    let take = move |headers: HeaderMap, body: Bytes| async move {
        kept.lock().expect("no test panics here").push((headers, body));
        StatusCode::NO_CONTENT
    };
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let port = listener.local_addr()?.port();
    tokio::spawn(async move {
        let _ = axum::serve(listener, Router::new().fallback(take)).await;
    });
    Ok((port, messages))
}

/// A folder's sink, with paths relative to the file's folder, and a webhook's.
fn configuration(registry: &str, hook: Option<u16>) -> String {
    let mut text = format!(
        "all-images = true\ninterval = 1\n\n[[registry]]\nregistry = \"{registry}\"\n\n\
         [sink.archive]\ntype = \"files\"\npath = \"sboms\"\nformat = \"cyclonedx\"\n"
    );
    if let Some(port) = hook {
        text.push_str(&format!(
            "\n[sink.hook]\ntype = \"webhook\"\nurl = \"http://127.0.0.1:{port}/hook\"\nsecret-file = \"keys/hook\"\n\
             plain-http = true\nprivate = true\nconcurrency = 1\n"
        ));
    }
    text
}

fn write(folder: &Path, text: &str) -> Result<String> {
    std::fs::create_dir_all(folder.join("keys"))?;
    std::fs::write(folder.join("keys/hook"), format!("{SECRET}\n"))?;
    std::fs::write(folder.join("supercargo.toml"), text)?;
    Ok(folder.join("supercargo.toml").display().to_string())
}

#[tokio::test]
async fn the_configuration_file_names_sinks() -> Result<()> {
    let (port, messages) = endpoint().await?;
    let registry = RegistryServer::start().await?;
    let image = app(1).build();
    registry.push(&image, "team/app", "1.0");
    let builder = Watcher::builder()?;
    let file = write(builder.folder(), &configuration(&registry.host(), Some(port)))?;
    let watcher = builder.with_arguments(["--config", &file]).start().await?;
    watcher.indexed(image.digest(), LIMIT).await?;
    all_delivered(&watcher).await?;

    let line = line_of(&watcher.folder().join("sboms"))?;
    let entry: Value = serde_json::from_slice(&std::fs::read(line)?)?;
    assert_eq!(entry["image"], image.digest());
    let document = watcher.folder().join("sboms").join(entry["document"].as_str().context("a document")?);
    let document: Value = serde_json::from_slice(&std::fs::read(document)?)?;
    assert_eq!(document["bomFormat"], "CycloneDX");

    let received = messages.lock().map(|messages| messages.clone()).unwrap_or_default();
    assert_eq!(received.len(), 1);
    let told: Value = serde_json::from_slice(&received[0].1)?;
    assert_eq!((told["type"].as_str(), told["data"]["digest"].as_str()), (Some("image.indexed"), Some(image.digest())));
    ensure!(received[0].0.contains_key("webhook-signature"), "it is signed by the key of the file");
    let done = deliveries(&watcher, &["--state", "done"]).await?;
    let mut sinks: Vec<&str> = done.iter().filter_map(|row| row["sink"].as_str()).collect();
    sinks.sort_unstable();
    assert_eq!(sinks, ["archive", "hook"], "they bear the names of their tables");
    Ok(())
}

/// The line of the index for the tag `1.0`, whatever the folder of the registry is called.
fn line_of(root: &Path) -> Result<PathBuf> {
    let mut registries = std::fs::read_dir(root.join("index"))?;
    let registry = registries.next().context("a registry")??.path();
    Ok(registry.join("team/app/_tags/1.0/linux-amd64.json"))
}

#[tokio::test]
async fn what_waits_for_a_sink_that_is_no_longer_named_can_be_dropped() -> Result<()> {
    let registry = RegistryServer::start().await?;
    let image = base().build();
    registry.push(&image, "team/app", "1.0");
    let builder = Watcher::builder()?;
    // Nobody listens there.
    let away = Some(free_port());
    let file = write(builder.folder(), &configuration(&registry.host(), away))?;
    let mut watcher = builder.with_arguments(["--config", &file]).start().await?;
    watcher.indexed(image.digest(), LIMIT).await?;
    let waits = async || {
        let left = deliveries(&watcher, &[]).await?;
        ensure!(left.len() == 1 && left[0]["sink"] == "hook", "{left:?}");
        ensure!(left[0]["has_sink"] == true, "{left:?}");
        Ok(())
    };
    eventually("the message waits", LIMIT, waits).await?;
    assert!(!watcher.log().contains("not named any more"));

    watcher.stop().await?;
    write(watcher.folder(), &configuration(&registry.host(), None))?;
    watcher.start().await?;
    let log = watcher.log();
    let told = log.lines().find(|line| line.contains("not named any more")).context("the start tells of it")?;
    ensure!(told.contains("sink=\"hook\"") && told.contains("waiting=1"), "{told}");

    let data = watcher.data().display().to_string();
    let run = async |arguments: &[&str]| -> Result<(bool, String)> {
        let output = supercargo([arguments, &["--data", &data]].concat()).await?;
        let said = [&output.stdout[..], &output.stderr[..]].concat();
        Ok((output.status.success(), String::from_utf8_lossy(&said).into_owned()))
    };
    let (_, said) = run(&["deliveries"]).await?;
    ensure!(said.contains("no sink of this name") && said.contains("deliveries drop --to hook"), "{said}");
    assert_eq!(deliveries(&watcher, &[]).await?[0]["has_sink"], false);
    let (went, said) = run(&["deliver", "--all", "--to", "hook"]).await?;
    ensure!(!went && said.contains("no sink called hook; it has archive"), "{said}");
    let (went, said) = run(&["deliveries", "drop", "--to", "archive"]).await?;
    ensure!(!went && said.contains("--force"), "{said}");
    let (went, said) = run(&["deliveries", "drop", "--to", "hook"]).await?;
    ensure!(went && said.contains("1 delivery dropped"), "{said}");
    assert_eq!(deliveries(&watcher, &[]).await?, Vec::<Value>::new());
    let (went, said) = run(&["deliveries", "drop", "4711"]).await?;
    ensure!(!went && said.contains("4711"), "{said}");

    // And nothing is told of it again.
    watcher.stop().await?;
    let before = watcher_log_lines(&watcher);
    watcher.start().await?;
    let log = watcher.log();
    ensure!(!log.lines().skip(before).any(|line| line.contains("not named any more")), "{log}");
    Ok(())
}

fn watcher_log_lines(watcher: &Watcher) -> usize {
    std::fs::read_to_string(watcher.folder().join("log")).map_or(0, |log| log.lines().count())
}
