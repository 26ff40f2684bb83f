//! The command line, on what other programs made.

use std::path::Path;
use std::process::Output;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use supercargo_testkit::contents::{self, Package};
use supercargo_testkit::{IndexBuilder, write_layout};
use supercargo_tests::{
    DockerRegistry, PASSWORD, USER, Watcher, app, base, skopeo, supercargo, supercargo_with, umoci,
};

const LIMIT: Duration = Duration::from_secs(20);

/// The document that a command prints; standard output has nothing else.
fn document(output: &Output) -> Result<Value> {
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    ensure!(output.status.success(), "it ended with {}: {err}", output.status);
    serde_json::from_str(&out).with_context(|| format!("not a document: {out}\nstandard error: {err}"))
}

/// `name version` of all packages of a Scout document, sorted.
fn artifacts(document: &Value) -> Result<Vec<String>> {
    let artifacts = document["artifacts"].as_array().context("a document without artifacts")?;
    let text = |name: &Value| name.as_str().unwrap_or_default().to_owned();
    let mut all: Vec<String> = artifacts
        .iter()
        .map(|artifact| format!("{} {}", text(&artifact["name"]), text(&artifact["version"])))
        .collect();
    all.sort();
    all.dedup();
    Ok(all)
}

async fn index(source: &str) -> Result<Value> {
    document(&supercargo(["index", source]).await?)
}

#[tokio::test]
async fn documents_pass_the_validators_of_others() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let layout = folder.path().join("layout");
    write_layout(&app(1).build(), &layout, "1.0")?;
    let source = format!("oci-dir://{}", layout.display());
    let mut documents = Vec::new();
    for format in ["spdx", "cyclonedx"] {
        let document = folder.path().join(format!("{format}.json"));
        let path = document.to_str().context("a name that is not UTF-8")?.to_owned();
        let output = supercargo(["index", &source, "--format", format, "--declared", "--output", &path]).await?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        documents.push(path);
    }
    let validator = Path::new(env!("CARGO_MANIFEST_DIR")).join("validate-sbom");
    let output = tokio::process::Command::new(&validator).args(&documents).output().await?;
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    ensure!(output.status.success(), "{said}");
    // A validator that takes everything would prove nothing.
    for document in &documents {
        let broken = std::fs::read_to_string(document)?.replace("\"name\":", "\"nom\":");
        std::fs::write(document, broken)?;
        let output = tokio::process::Command::new(&validator).arg(document).output().await?;
        ensure!(output.status.code() == Some(1), "a broken document passed: {document}");
    }
    Ok(())
}

#[tokio::test]
async fn an_image_that_umoci_made() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let write = |name: &str, text: &str| -> Result<String> {
        let file = folder.path().join(name);
        std::fs::write(&file, text)?;
        Ok(file.to_str().context("a name that is not UTF-8")?.to_owned())
    };
    let status = contents::dpkg_status(&[Package::new("openssl", "3.0.11-1~deb12u2")]);
    let (status, release) = (write("status", &status)?, write("os-release", &contents::os_release("debian", "12"))?);
    let layout = folder.path().join("layout");
    let layout = layout.to_str().context("a name that is not UTF-8")?;
    let image = format!("{layout}:1.0");
    umoci(["init", "--layout", layout]).await?;
    umoci(["new", "--image", &image]).await?;
    umoci(["insert", "--rootless", "--image", &image, &release, "/etc/os-release"]).await?;
    umoci(["insert", "--rootless", "--image", &image, &status, "/var/lib/dpkg/status"]).await?;

    let document = index(&format!("oci-dir://{image}")).await?;
    assert_eq!(artifacts(&document)?, ["openssl 3.0.11-1~deb12u2"]);
    assert_eq!(document["artifacts"][0]["purl"], "pkg:deb/debian/openssl@3.0.11-1~deb12u2?arch=amd64&distro=debian-12");
    assert_eq!(document["source"]["image"]["distro"]["os_name"], "debian");
    Ok(())
}

/// The same image in every form that skopeo brings it into.
#[tokio::test]
async fn one_image_by_every_way_to_name_it() -> Result<()> {
    const EXPECTED: [&str; 4] =
        ["left-pad 1.0.1", "libssl3 3.0.11-1~deb12u2", "openssl 3.0.11-1~deb12u2", "zlib1g 1:1.2.13.dfsg-1"];
    let image = app(1).build();
    let folder = tempfile::tempdir()?;
    let path = |name: &str| folder.path().join(name).display().to_string();
    let (layout, docker, oci) = (path("layout"), path("docker.tar"), path("oci.tar"));
    write_layout(&image, Path::new(&layout), "1.0")?;
    skopeo(["copy", &format!("oci:{layout}:1.0"), &format!("docker-archive:{docker}:team/app:1.0")]).await?;
    skopeo(["copy", &format!("oci:{layout}:1.0"), &format!("oci-archive:{oci}:1.0")]).await?;
    let registry = DockerRegistry::builder().start().await?;
    registry.push(&image, "team/app:1.0").await?;

    let host = registry.host();
    for source in [
        format!("oci-dir://{layout}:1.0"),
        format!("oci-dir://{layout}@{}", image.digest()),
        format!("archive://{docker}"),
        format!("archive://{oci}"),
        format!("registry://{host}/team/app:1.0"),
        format!("{host}/team/app@{}", image.digest()),
    ] {
        let document = index(&source).await.with_context(|| source.clone())?;
        let mut found = artifacts(&document)?;
        // A source package is listed beside those that are built from it.
        found.retain(|package| EXPECTED.contains(&package.as_str()));
        assert_eq!(found, EXPECTED, "{source}");
    }
    Ok(())
}

#[tokio::test]
async fn a_credential_helper_signs_in() -> Result<()> {
    let registry = DockerRegistry::builder().with_basic_auth().start().await?;
    let (image, host) = (app(1).build(), registry.host());
    registry.push(&image, "team/app:1.0").await?;
    // github.com/docker/docker-credential-helpers, *Development*: the host comes in, a document goes out.
    let folder = tempfile::tempdir()?;
    let helper = folder.path().join("docker-credential-kit");
    let script = format!(
        "#!/bin/sh\n[ \"$1\" = get ] && [ \"$(cat)\" = {host} ] || exit 1\n\
         echo '{{\"ServerURL\":\"{host}\",\"Username\":\"{USER}\",\"Secret\":\"{PASSWORD}\"}}'\n"
    );
    std::fs::write(&helper, script)?;
    std::fs::set_permissions(&helper, std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
    let config = serde_json::json!({ "credHelpers": { &host: "kit" } });
    std::fs::write(folder.path().join("config.json"), config.to_string())?;
    let docker = folder.path().display().to_string();
    let path = format!("{docker}:{}", std::env::var("PATH").unwrap_or_default());

    let reference = format!("{host}/team/app:1.0");
    let output = supercargo_with(&[("DOCKER_CONFIG", &docker), ("PATH", &path)], ["index", &reference]).await?;
    assert_eq!(document(&output)?["source"]["image"]["digest"], image.digest());
    // A helper that is not there is no reason to go in anonymously.
    let output = supercargo_with(&[("DOCKER_CONFIG", &docker)], ["index", &reference]).await?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(!output.status.success() && said.contains("credential helper cannot be run"), "{said}");
    Ok(())
}

#[tokio::test]
async fn what_the_watcher_found_can_be_searched() -> Result<()> {
    let registry = DockerRegistry::builder().start().await?;
    let (old, new) = (app(1).build(), app(5).build());
    registry.push(&old, "team/app:1.0").await?;
    registry.push(&new, "team/app:2.0").await?;
    let watcher = Watcher::builder()?
        .with_arguments(["--registry", &registry.host(), "--all-images", "--interval", "3600"])
        .start()
        .await?;
    watcher.indexed(old.digest(), LIMIT).await?;
    watcher.indexed(new.digest(), LIMIT).await?;

    // Beside the running watcher, on the same data.
    let data = watcher.data();
    let data = data.to_str().context("a name that is not UTF-8")?;
    let images = document(&supercargo(["images", "--output", "json", "--data", data]).await?)?;
    assert_eq!(rows(&images)?.len(), 2, "{images}");
    let found = document(&supercargo(["search", "left-pad@<1.0.3", "--output", "json", "--data", data]).await?)?;
    let found = rows(&found)?;
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0]["image"], old.digest());
    let table = supercargo(["search", "pkg:deb/debian/openssl", "--data", data]).await?;
    let table = String::from_utf8_lossy(&table.stdout).into_owned();
    assert!(table.contains("openssl") && table.contains("3.0.11-1~deb12u2") && table.contains("team/app"), "{table}");
    Ok(())
}

/// The rows of a list, with or without what says that it goes on.
fn rows(list: &Value) -> Result<&Vec<Value>> {
    list.as_array().or_else(|| list["items"].as_array()).with_context(|| format!("not a list: {list}"))
}

#[tokio::test]
async fn one_platform_of_several() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let layout = folder.path().join("layout");
    let arm = app(2).with_platform("linux/arm64").build();
    let index = IndexBuilder::new().with_image(base().build()).with_image(arm.clone()).build();
    write_layout(&index, &layout, "1.0")?;
    let source = format!("oci-dir://{}:1.0", layout.display());
    let found = document(&supercargo(["index", &source, "--platform", "linux/arm64"]).await?)?;
    assert_eq!(found["source"]["image"]["digest"], arm.digest());
    assert!(artifacts(&found)?.contains(&"left-pad 1.0.2".to_owned()));
    let missing = supercargo(["index", &source, "--platform", "linux/s390x"]).await?;
    assert!(!missing.status.success());
    let message = String::from_utf8_lossy(&missing.stderr).into_owned();
    assert!(missing.stdout.is_empty() && message.contains("linux/s390x"), "{message}");
    Ok(())
}

#[tokio::test]
async fn the_demo_ends_well() -> Result<()> {
    let output = supercargo(["demo", "--exit"]).await?;
    // A show for a person, and no data.
    let shown = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{}: {shown}", output.status);
    assert!(output.stdout.is_empty() && shown.contains("packages"), "{shown}");
    Ok(())
}
