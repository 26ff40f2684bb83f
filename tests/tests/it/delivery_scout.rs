//! From a push to Docker Scout, with the real programs.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use supercargo_testkit::{Image, RegistryServer, ScoutFault, ScoutServer};
use supercargo_tests::{Api, DockerRegistry, Watcher, WatcherBuilder, app, eventually, supercargo, supercargo_with};

use crate::delivery::{LIMIT, all_delivered, deliveries};

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
        // Every field that both have, the empty ones included.
        let texts = [
            ("type", Some(&package.kind)),
            ("namespace", package.namespace.as_ref()),
            ("name", Some(&package.name)),
            ("version", Some(&package.version)),
            ("author", package.author.as_ref()),
            ("description", package.description.as_ref()),
            ("url", package.url.as_ref()),
        ];
        for (field, told) in texts {
            assert_eq!(json!(told), artifact[field], "{field} of {}", package.purl);
        }
        assert_eq!(json!(package.size), artifact["size"], "{}", package.purl);
        let licenses = artifact["licenses"].as_array().cloned().unwrap_or_default();
        assert_eq!(json!(package.licenses), Value::from(licenses), "{}", package.purl);
        let files: BTreeSet<String> =
            package.files.iter().map(|file| format!("{} {}", file.path, file.digest)).collect();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let expected = locations(artifact);
        let expected = expected.iter().map(|at| format!("{} {}", text(&at["path"]), text(&at["digest"])));
        assert_eq!(files, expected.collect());
    }
    let (manifest, config) = (&printed["source"]["image"]["manifest"], &printed["source"]["image"]["config"]);
    for (number, layer) in told.layers.iter().enumerate() {
        assert_eq!(json!(layer.diff_id), config["rootfs"]["diff_ids"][number]);
        assert_eq!(json!(layer.size), manifest["layers"][number]["size"]);
        let history = &config["history"][usize::try_from(layer.ordinal)?];
        assert_eq!(json!(layer.created_by), history["created_by"]);
        assert_ne!(history["empty_layer"], true, "the instruction made this layer");
    }
    assert_eq!(json!(told.created_at.map(|time| time.to_string())), config["created"]);
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
    scout.inject(
        ScoutFault::status(429).on_path(UPLOAD).with_skipped(9).with_times(2).with_retry_after(Duration::from_secs(1)),
    );
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
