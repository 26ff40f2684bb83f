//! From a push to the places where the metadata should be, with the real programs.

use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode};
use serde_json::{Value, json};
use supercargo_testkit::{Image, RegistryServer};
use supercargo_tests::{Api, DockerRegistry, Watcher, app, base, eventually, manifest, python, supercargo};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpListener;

/// Sinks that were away are left alone for up to half a minute.
pub(crate) const LIMIT: Duration = Duration::from_secs(60);

/// `supercargo deliveries` of a watcher.
pub(crate) async fn deliveries(watcher: &Watcher, more: &[&str]) -> Result<Vec<Value>> {
    let data = watcher.data().display().to_string();
    let all = [&["deliveries", "list", "--output", "json", "--data", &data], more].concat();
    let output = supercargo(all).await?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(serde_json::from_slice(&output.stdout)?)
}

pub(crate) async fn all_delivered(watcher: &Watcher) -> Result<()> {
    eventually("everything is delivered", LIMIT, async || {
        let left = deliveries(watcher, &[]).await?;
        ensure!(left.is_empty(), "{left:?}");
        Ok(())
    })
    .await?;
    Ok(())
}

#[tokio::test]
async fn statements_are_attached_where_there_is_no_referrers_api() -> Result<()> {
    let watcher = Watcher::builder()?;
    // Distribution 2.8 knows no referrers; its events about them must lead to nothing.
    let registry = DockerRegistry::builder().with_notifications(watcher.events_url()).start().await?;
    let image = base().build();
    let watcher = watcher
        .with_arguments(["--registry", &registry.host(), "--all-images", "--interval", "1"])
        .with_arguments(["--sink", "type=referrer,format=spdx+cyclonedx"])
        .start()
        .await?;
    watcher.first_pass().await?;
    registry.push(&image, "team/app:1.0").await?;
    watcher.indexed(image.digest(), LIMIT).await?;
    all_delivered(&watcher).await?;

    let tag = image.digest().replace(':', "-");
    let listed = manifest(&format!("{}/team/app:{tag}", registry.host())).await?;
    let referrers = listed["manifests"].as_array().context("a list")?;
    assert_eq!(referrers.len(), 2, "{listed}");
    for referrer in referrers {
        assert_eq!(referrer["artifactType"], "application/vnd.in-toto+json");
        let digest = referrer["digest"].as_str().context("a digest")?;
        let layout = tempfile::tempdir()?;
        let source = format!("docker://{}/team/app@{digest}", registry.host());
        // skopeo fetches it as anybody's artefact, and verifies every digest.
        let target = format!("dir:{}", layout.path().display());
        supercargo_tests::skopeo(["copy", "--quiet", "--src-tls-verify=false", &source, &target]).await?;
        let attached: Value = serde_json::from_slice(&std::fs::read(layout.path().join("manifest.json"))?)?;
        let layer = attached["layers"][0]["digest"].as_str().and_then(|digest| digest.split_once(':'));
        let statement: Value =
            serde_json::from_slice(&std::fs::read(layout.path().join(layer.context("a layer")?.1))?)?;
        assert_eq!(attached["subject"]["digest"], image.digest());
        assert_eq!(
            format!("sha256:{}", statement["subject"][0]["digest"]["sha256"].as_str().context("a digest")?),
            image.digest()
        );
    }
    // Events about the referrers have come in, and nothing was made of them.
    let quiet = async |api: &Api| {
        let queue = api.document("/v1/queue").await?;
        let failures = api.failures().await?;
        ensure!(failures.is_empty(), "{failures:?} {queue}");
        ensure!(api.count("indexed").await? == 1 && api.count("unsupported").await? == 0, "something was made of them");
        Ok(())
    };
    watcher.eventually("nothing comes of the referrers", LIMIT, quiet).await?;
    let again = deliveries(&watcher, &["--state", "done"]).await?;
    ensure!(again.iter().all(|row| row["subject"] == image.digest()), "{again:?}");
    Ok(())
}

/// A registry that is connected while the watcher runs has its statements by its own password.
#[tokio::test]
async fn statements_are_attached_beside_the_images_of_an_integration() -> Result<()> {
    let first = RegistryServer::builder().without_referrers().start().await?;
    let second = RegistryServer::builder().with_basic_auth("robot", "hunter2").without_referrers().start().await?;
    let watcher = Watcher::builder()?
        .with_arguments(["--registry", &first.host(), "--all-images", "--interval", "1"])
        .with_arguments(["--sink", "type=referrer"])
        .start()
        .await?;
    watcher.first_pass().await?;
    let image = base().build();
    second.push(&image, "team/app", "1.0");
    let (data, password) = (watcher.data().display().to_string(), watcher.folder().join("password"));
    std::fs::write(&password, "hunter2")?;
    let password = password.display().to_string();
    let (host, login) = (second.host(), ["--user", "robot", "--password-file", &password]);
    let create = ["integration", "create", "oci", "prod", "--registry", &host, "--enable", "team/app", "--data", &data];
    let output = supercargo([&create[..], &login].concat()).await?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    watcher.indexed(image.digest(), LIMIT).await?;
    all_delivered(&watcher).await?;
    // The list of what refers to the image, where there is no API for it (OCI distribution specification 1.1).
    let tags = second.tags("team/app");
    ensure!(tags.contains(&image.digest().replace(':', "-")), "{tags:?}");
    first.shutdown().await;
    second.shutdown().await;
    Ok(())
}

type Messages = Arc<Mutex<Vec<(HeaderMap, Bytes)>>>;

/// Takes messages; the first ones are refused.
async fn endpoint(refused: usize) -> Result<(String, Messages, tokio::task::JoinHandle<()>)> {
    let messages = Messages::default();
    let kept = Arc::clone(&messages);
    let take = move |headers: HeaderMap, body: Bytes| async move {
        let mut messages = kept.lock().expect("no test panics here");
        messages.push((headers, body));
        if messages.len() <= refused { StatusCode::INTERNAL_SERVER_ERROR } else { StatusCode::NO_CONTENT }
    };
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let url = format!("http://{}/hook", listener.local_addr()?);
    let task = tokio::spawn(async move {
        let _ = axum::serve(listener, Router::new().fallback(take)).await;
    });
    Ok((url, messages, task))
}

#[tokio::test]
async fn messages_are_verified_by_the_library_of_the_specification() -> Result<()> {
    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    // Verifies each line, {"headers": …, "body": …}, with the specification's own library.
    const VERIFY: &str = "import json, sys\nfrom standardwebhooks import Webhook\n\
        for line in sys.stdin:\n    message = json.loads(line)\n    \
        Webhook(sys.argv[1]).verify(message['body'].encode(), message['headers'])\n    print('verified')\n";
    let (url, messages, task) = endpoint(1).await?;
    let registry = RegistryServer::start().await?;
    let builder = Watcher::builder()?;
    let key = builder.folder().join("key");
    std::fs::write(&key, SECRET)?;
    let sink = format!("type=webhook,url={url},plain-http=true,private=true,secret-file={}", key.display());
    let image = app(1).build();
    registry.push(&image, "team/app", "1.0");
    let watcher = builder
        .with_arguments(["--registry", &registry.host(), "--all-images", "--interval", "1", "--sink", &sink])
        .start()
        .await?;
    watcher.indexed(image.digest(), LIMIT).await?;
    all_delivered(&watcher).await?;
    registry.delete_tag("team/app", "1.0");
    let count = || messages.lock().map_or(0, |messages| messages.len());
    watcher
        .eventually("the end of the tag is told", LIMIT, async |_: &Api| {
            ensure!(count() >= 3, "{} messages", count());
            Ok(())
        })
        .await?;
    let received = messages.lock().map(|messages| messages.clone()).unwrap_or_default();
    let told: Vec<Value> = received.iter().map(|(_, body)| serde_json::from_slice(body)).collect::<Result<_, _>>()?;
    assert_eq!(told[0], told[1], "the refused message came again");
    let id = |number: usize| received[number].0["webhook-id"].clone();
    assert_eq!(id(0), id(1));
    assert_ne!(id(1), id(2));
    assert_eq!(told[1]["type"], "image.indexed");
    assert_eq!(told[1]["data"]["digest"], image.digest());
    assert_eq!((&told[2]["type"], &told[2]["data"]["tags"]), (&json!("tag.gone"), &json!(["1.0"])));

    let mut python = tokio::process::Command::new(python().await?)
        .args(["-c", VERIFY, SECRET])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let mut input = python.stdin.take().context("a pipe")?;
    for (headers, body) in &received {
        let headers: serde_json::Map<String, Value> = headers
            .iter()
            .map(|(name, value)| (name.to_string(), Value::from(String::from_utf8_lossy(value.as_bytes()))))
            .collect();
        let line = json!({ "headers": headers, "body": std::str::from_utf8(body)? });
        input.write_all(format!("{line}\n").as_bytes()).await?;
    }
    drop(input);
    let output = python.wait_with_output().await?;
    assert_eq!(String::from_utf8_lossy(&output.stdout).lines().count(), received.len(), "{output:?}");
    task.abort();
    Ok(())
}

#[tokio::test]
async fn a_new_sink_is_caught_up_and_dead_letters_are_tried_again() -> Result<()> {
    let registry = RegistryServer::start().await?;
    let builder = Watcher::builder()?;
    let folder = builder.folder().join("sboms");
    let images: Vec<Image> = (0..3).map(|number| app(number).build()).collect();
    for (number, image) in images.iter().enumerate() {
        registry.push(image, "team/app", &format!("1.{number}"));
    }
    let sink = format!("type=files,name=archive,format=cyclonedx,path={}", folder.display());
    let mut watcher = builder
        .with_arguments(["--registry", &registry.host(), "--all-images", "--interval", "1", "--sink", &sink])
        .start()
        .await?;
    for image in &images {
        watcher.indexed(image.digest(), LIMIT).await?;
    }
    all_delivered(&watcher).await?;
    let documents = || std::fs::read_dir(folder.join("documents/sha256")).map_or(0, Iterator::count);
    assert_eq!(documents(), 3);

    // All of it again, into a place that was emptied.
    std::fs::remove_dir_all(&folder)?;
    std::fs::create_dir_all(&folder)?;
    let data = watcher.data().display().to_string();
    let output = supercargo(["deliver", "--all", "--to", "archive", "--data", &data]).await?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    eventually("all is delivered again", LIMIT, async || {
        ensure!(documents() == 3 && deliveries(&watcher, &[]).await?.is_empty(), "{} documents", documents());
        Ok(())
    })
    .await?;

    // What would be sent is printed, and is what the folder has.
    let preview = ["deliver", images[0].digest(), "--to", "archive", "--dry-run", "--sink", &sink, "--data", &data];
    let output = supercargo(preview).await?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let printed: Value = serde_json::from_slice(&output.stdout)?;
    assert_eq!(printed["bomFormat"], "CycloneDX");

    let shown = deliveries(&watcher, &["--state", "done"]).await?;
    let id = shown[0]["id"].to_string();
    let output = supercargo(["deliveries", "show", &id, "--data", &data]).await?;
    let one: Value = serde_json::from_slice(&output.stdout)?;
    assert_eq!(one["sink"], "archive");
    let output = supercargo(["deliveries", "retry", &id, "--data", &data]).await?;
    ensure!(!output.status.success(), "what has arrived is no dead letter");
    watcher.stop().await?;
    Ok(())
}
