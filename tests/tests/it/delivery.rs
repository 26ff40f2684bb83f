//! From a push to the place where the metadata should be, with the real programs.

use std::collections::BTreeSet;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode};
use serde_json::{Value, json};
use supercargo_testkit::{Image, RegistryServer, ScoutFault, ScoutServer};
use supercargo_tests::{
    Api, DockerRegistry, Watcher, WatcherBuilder, app, base, eventually, python, supercargo, supercargo_with,
};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpListener;

/// Sinks that were away are left alone for up to half a minute.
const LIMIT: Duration = Duration::from_secs(60);
const USER: &str = "acme";
const TOKEN: &str = "dckr_oat_a-token-of-the-tests";

/// A watcher that finds what is there, looks every second, and uploads to `scout`.
fn uploading(host: &str, scout: &ScoutServer) -> Result<WatcherBuilder> {
    Ok(Watcher::builder()?
        .with_arguments(["--registry", host, "--all-images", "--refresh-registry", "--interval", "1", "--org", USER])
        .with_variable("SUPERCARGO_SCOUT_API", scout.url())
        .with_variable("SUPERCARGO_SCOUT_HUB", scout.url())
        .with_variable("DOCKER_SCOUT_HUB_USER", USER)
        .with_variable("DOCKER_SCOUT_HUB_PASSWORD", TOKEN))
}

async fn scout() -> Result<ScoutServer> {
    Ok(ScoutServer::builder().with_organization(USER).with_credentials(USER, TOKEN).start().await?)
}

/// `supercargo deliveries` of a watcher.
async fn deliveries(watcher: &Watcher, more: &[&str]) -> Result<Vec<Value>> {
    let data = watcher.data().display().to_string();
    let all = [&["deliveries", "list", "--output", "json", "--data", &data], more].concat();
    let output = supercargo(all).await?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(serde_json::from_slice(&output.stdout)?)
}

async fn all_delivered(watcher: &Watcher) -> Result<()> {
    eventually("everything is delivered", LIMIT, async || {
        let left = deliveries(watcher, &[]).await?;
        ensure!(left.is_empty(), "{left:?}");
        Ok(())
    })
    .await?;
    Ok(())
}

async fn uploaded(watcher: &Watcher, scout: &ScoutServer, images: &[Image]) -> Result<()> {
    let there = |scout: &ScoutServer| -> Result<()> {
        for image in images {
            let found = scout.image(image.digest()).context("an image is missing")?;
            ensure!(found.state() == Some("INDEXED"), "{:?}", found.states);
        }
        Ok(())
    };
    watcher.eventually("all images are at Docker Scout", LIMIT, async |_: &Api| there(scout)).await?;
    all_delivered(watcher).await?;
    assert_eq!(scout.problems(), Vec::<String>::new());
    assert_eq!(scout.images().len(), images.len());
    Ok(())
}

fn purls(document: &Value) -> BTreeSet<String> {
    let artifacts = document["artifacts"].as_array().into_iter().flatten();
    artifacts.filter_map(|artifact| artifact["purl"].as_str()).map(str::to_owned).collect()
}

#[tokio::test]
async fn an_image_arrives_at_docker_scout_as_it_was_indexed() -> Result<()> {
    let (registry, scout) = (DockerRegistry::builder().start().await?, scout().await?);
    let watcher = uploading(&registry.host(), &scout)?.start().await?;
    let image = app(1).with_env("MOTTO", "stays-at-home").with_label("org.example.team", "cargo").build();
    registry.push(&image, "team/app:1.0").await?;
    uploaded(&watcher, &scout, std::slice::from_ref(&image)).await?;

    let reference = format!("{}/team/app:1.0", registry.host());
    let printed: Value = serde_json::from_slice(&supercargo(["index", &reference]).await?.stdout)?;
    let told = scout.image(image.digest()).context("the image")?;
    let packages: BTreeSet<String> = told.packages.iter().map(|package| package.purl.clone()).collect();
    assert_eq!(packages, purls(&printed));
    assert_eq!(told.packages.len(), packages.len(), "each once");
    assert_eq!(told.package_count, i64::try_from(packages.len()).ok());
    assert_eq!(told.states, ["INDEXING", "INDEXED"]);
    assert_eq!(told.platform, "linux/amd64");
    assert_eq!(told.repositories.iter().collect::<Vec<_>>(), [&format!("{}/team/app", registry.host())]);
    assert_eq!(told.tags.iter().map(|tag| tag.name.as_str()).collect::<Vec<_>>(), ["1.0"]);
    let layers: Vec<&str> = told.layers.iter().map(|layer| layer.digest.as_str()).collect();
    assert_eq!(layers, [image.layer_digest(0), image.layer_digest(1)]);
    let locations = |artifact: &Value| artifact["locations"].as_array().cloned().unwrap_or_default();
    for artifact in printed["artifacts"].as_array().context("artifacts")? {
        let package = told.packages.iter().find(|package| package.purl == artifact["purl"]).context("a package")?;
        assert_eq!(json!(package.name), artifact["name"]);
        assert_eq!(json!(package.version), artifact["version"]);
        let files: BTreeSet<String> = package.files.iter().map(|file| format!("{} {}", file.path, file.digest)).collect();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let expected = locations(artifact);
        let expected = expected.iter().map(|at| format!("{} {}", text(&at["path"]), text(&at["digest"])));
        assert_eq!(files, expected.collect());
    }
    assert_eq!(told.labels.get("org.example.team").map(String::as_str), Some("cargo"));
    let motto = told.environment.iter().find(|(name, _)| name == "MOTTO").context("the variable's name")?;
    assert_eq!(motto.1, "<redacted>");
    for transaction in scout.transactions() {
        ensure!(!format!("{transaction:?}").contains("stays-at-home"), "a value was sent");
    }
    ensure!(!watcher.log().contains(TOKEN), "the log shows the token");
    scout.shutdown().await;
    Ok(())
}

#[tokio::test]
async fn without_packages_and_with_values_if_asked_for() -> Result<()> {
    let (registry, scout) = (RegistryServer::start().await?, scout().await?);
    let image = app(1).with_env("MOTTO", "goes-out").build();
    registry.push(&image, "team/app", "1.0");
    let watcher =
        uploading(&registry.host(), &scout)?.with_arguments(["--sbom=false", "--send-env-values"]).start().await?;
    watcher.indexed(image.digest(), LIMIT).await?;
    all_delivered(&watcher).await?;
    let told = scout.image(image.digest()).context("the image")?;
    assert!(told.packages.is_empty());
    assert!(told.environment.contains(&("MOTTO".to_owned(), "goes-out".to_owned())));
    assert_eq!(scout.problems(), Vec::<String>::new());
    scout.shutdown().await;
    Ok(())
}

#[tokio::test]
async fn trouble_at_docker_scout_loses_and_doubles_nothing() -> Result<()> {
    let (registry, scout) = (RegistryServer::start().await?, scout().await?);
    const UPLOAD: &str = "/skills/remote/";
    scout.inject(ScoutFault::status(500).on_path(UPLOAD).with_times(3));
    scout.inject(ScoutFault::cut_after_effect().on_path(UPLOAD).with_skipped(4).with_times(2));
    scout.inject(ScoutFault::status(429).on_path(UPLOAD).with_skipped(9).with_times(2).with_retry_after(Duration::from_secs(1)));
    scout.inject(ScoutFault::cut().on_path(UPLOAD).with_skipped(14).with_times(2));
    let images: Vec<Image> = (0..12).map(|number| app(number).build()).collect();
    for (number, image) in images.iter().enumerate() {
        registry.push(image, "team/app", &format!("1.{number}"));
    }
    let watcher = uploading(&registry.host(), &scout)?.start().await?;
    uploaded(&watcher, &scout, &images).await?;

    // Away for a while, and the access token is no good when it is back.
    scout.pause();
    let late: Vec<Image> = (100..104).map(|number| app(number).build()).collect();
    for (number, image) in late.iter().enumerate() {
        registry.push(image, "team/late", &format!("1.{number}"));
        watcher.indexed(image.digest(), LIMIT).await?;
    }
    let waits = async || {
        let left = deliveries(&watcher, &["--to", "scout", "--state", "queued"]).await?;
        let refused = left.iter().filter(|row| row["last_error"]["kind"] == "unreachable").count();
        ensure!(left.len() == 4 && refused > 0, "{left:?}");
        ensure!(left.iter().all(|row| row["attempt"] == 0), "an outage costs no attempt: {left:?}");
        Ok(())
    };
    eventually("the deliveries wait", LIMIT, waits).await?;
    scout.resume();
    scout.expire_tokens();
    uploaded(&watcher, &scout, &[images, late].concat()).await?;
    for image in scout.images() {
        let purls: BTreeSet<_> = image.packages.iter().map(|package| &package.purl).collect();
        assert_eq!(purls.len(), image.packages.len());
        assert_eq!(image.tags.len(), 1);
    }
    scout.shutdown().await;
    Ok(())
}

#[tokio::test]
async fn a_kill_between_indexing_and_delivery_loses_nothing() -> Result<()> {
    let (registry, scout) = (RegistryServer::start().await?, scout().await?);
    scout.pause();
    let images: Vec<Image> = (0..5).map(|number| app(number).build()).collect();
    for (number, image) in images.iter().enumerate() {
        registry.push(image, "team/app", &format!("1.{number}"));
    }
    let mut watcher = uploading(&registry.host(), &scout)?.start().await?;
    for image in &images {
        watcher.indexed(image.digest(), LIMIT).await?;
    }
    watcher.kill()?;
    scout.resume();
    // Again in the middle of the uploads.
    scout.set_latency(Duration::from_millis(150));
    watcher.start().await?;
    watcher
        .eventually("uploads are under way", LIMIT, async |_: &Api| {
            ensure!(!scout.transactions().is_empty(), "none");
            Ok(())
        })
        .await?;
    watcher.kill()?;
    scout.set_latency(Duration::ZERO);
    watcher.start().await?;
    uploaded(&watcher, &scout, &images).await?;
    scout.shutdown().await;
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
    let listed = supercargo_tests::get(&registry.host(), &format!("/v2/team/app/manifests/{tag}")).await?.json()?;
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
        let manifest: Value = serde_json::from_slice(&std::fs::read(layout.path().join("manifest.json"))?)?;
        let layer = manifest["layers"][0]["digest"].as_str().and_then(|digest| digest.split_once(':'));
        let statement: Value = serde_json::from_slice(&std::fs::read(layout.path().join(layer.context("a layer")?.1))?)?;
        assert_eq!(manifest["subject"]["digest"], image.digest());
        assert_eq!(format!("sha256:{}", statement["subject"][0]["digest"]["sha256"].as_str().context("a digest")?), image.digest());
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
    let output = supercargo_with(&[], preview).await?;
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

#[tokio::test]
async fn a_dry_run_says_what_would_be_sent() -> Result<()> {
    let (registry, scout) = (RegistryServer::start().await?, scout().await?);
    let image = app(1).build();
    registry.push(&image, "team/app", "1.0");
    let watcher = uploading(&registry.host(), &scout)?.with_arguments(["--dry-run"]).start().await?;
    watcher.indexed(image.digest(), LIMIT).await?;
    watcher
        .eventually("the log says it", LIMIT, async |_: &Api| {
            ensure!(watcher.log().contains("dry run: would be sent"), "not yet");
            Ok(())
        })
        .await?;
    assert_eq!(scout.count_requests("/"), 0);
    assert_eq!(deliveries(&watcher, &[]).await?, Vec::<Value>::new());
    scout.shutdown().await;
    Ok(())
}

#[tokio::test]
async fn an_organization_is_enrolled_and_remembered() -> Result<()> {
    let scout = scout().await?;
    let url = scout.url();
    let home = tempfile::tempdir()?;
    let folder = home.path().display().to_string();
    let variables = [
        ("SUPERCARGO_SCOUT_API", url.as_str()),
        ("SUPERCARGO_SCOUT_HUB", &url),
        ("DOCKER_SCOUT_HUB_USER", USER),
        ("DOCKER_SCOUT_HUB_PASSWORD", TOKEN),
        ("XDG_CONFIG_HOME", &folder),
    ];
    let output = supercargo_with(&variables, ["enroll", USER]).await?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(scout.is_enrolled());

    // What docker/scout-cli docs/docker_scout_config.yaml shows.
    let said = async |arguments: &[&str]| -> Result<String> {
        let output = supercargo_with(&variables, arguments).await?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Ok(format!("{}{}", String::from_utf8(output.stdout)?, String::from_utf8(output.stderr)?))
    };
    assert_eq!(said(&["config", "organization", "my-org"]).await?, "✓ Successfully set organization to my-org\n");
    assert_eq!(said(&["config", "organization"]).await?, "organization=my-org\n");
    scout.shutdown().await;
    Ok(())
}
