//! Amazon ECR, end to end: `moto` as its API, filled by `boto3`, and a registry that takes its tokens as its `/v2/`.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use supercargo_testkit::{Artifact as _, Image, RegistryServer};
use supercargo_tests::{Api, Service, Watcher, app, base, eventually, free_port, python};
use tempfile::TempDir;
use tokio::io::AsyncWriteExt as _;

const LIMIT: Duration = Duration::from_secs(30);
const START: Duration = Duration::from_secs(60);

/// moto's own account, its host, and the token that it gives out.
const HOST: &str = "123456789012.dkr.ecr.eu-west-1.amazonaws.com";
const TOKEN: &str = "123456789012-auth-token";

const OPEN: &str = r#"
import boto3, json, sys
given = json.load(sys.stdin)
ecr = boto3.client("ecr", region_name="eu-west-1", endpoint_url=given["endpoint"],
                   aws_access_key_id="AKIAOWN", aws_secret_access_key="secret")
"#;

const PUT: &str = r#"
if not any(known["repositoryName"] == given["repository"] for known in ecr.describe_repositories()["repositories"]):
    ecr.create_repository(repositoryName=given["repository"])
ecr.put_image(repositoryName=given["repository"], imageManifest=given["manifest"], imageTag=given["tag"],
              imageManifestMediaType=given["mediaType"], imageDigest=given["digest"])
"#;

const DELETE: &str = r#"
ecr.batch_delete_image(repositoryName=given["repository"], imageIds=[{"imageTag": given["tag"]}])
"#;

/// A registry with both of its faces.
struct Ecr {
    // Before the folder that has its log.
    _moto: Service,
    _folder: TempDir,
    python: PathBuf,
    endpoint: String,
    v2: RegistryServer,
}

impl Ecr {
    async fn start() -> Result<Self> {
        let (python, folder, port) = (python().await?, tempfile::tempdir()?, free_port());
        let mut command = Command::new(&python);
        command.args(["-m", "moto.server", "-H", "127.0.0.1", "-p", &port.to_string()]);
        let mut moto = Service::start("moto", &mut command, &folder.path().join("log"))?;
        eventually("moto listens", START, async || {
            moto.check()?;
            std::net::TcpStream::connect(("127.0.0.1", port)).context("connect to moto")
        })
        .await?;
        let v2 = RegistryServer::builder().with_basic_auth("AWS", TOKEN).with_blob_redirects().start().await?;
        Ok(Self { _moto: moto, _folder: folder, python, endpoint: format!("http://127.0.0.1:{port}"), v2 })
    }

    async fn boto3(&self, script: &str, mut given: Value) -> Result<()> {
        given["endpoint"] = json!(self.endpoint);
        let mut child = tokio::process::Command::new(&self.python)
            .args(["-c", &format!("{OPEN}{script}")])
            .stdin(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        child.stdin.take().context("the script has an input")?.write_all(given.to_string().as_bytes()).await?;
        ensure!(child.wait().await?.success(), "boto3 failed");
        Ok(())
    }

    async fn push(&self, image: &Image, repository: &str, tag: &str) -> Result<()> {
        self.v2.push(image, repository, tag);
        let root = image.root();
        let given = json!({
            "repository": repository,
            "tag": tag,
            "manifest": std::str::from_utf8(&root.bytes)?,
            "mediaType": root.descriptor.media_type,
            "digest": root.digest(),
        });
        self.boto3(PUT, given).await
    }

    /// Deletes the only tag of an image, and the image with it: so does ECR.
    async fn delete(&self, image: &Image, repository: &str, tag: &str) -> Result<()> {
        ensure!(self.v2.delete_manifest(repository, image.digest()), "{repository}:{tag} is not there");
        self.boto3(DELETE, json!({ "repository": repository, "tag": tag })).await
    }

    /// A watcher that looks every second, with `more` in its registry string.
    async fn watched(&self, more: &str) -> Result<Watcher> {
        let registry =
            format!("type=ecr,registry={HOST},endpoint={},v2-endpoint=http://{}{more}", self.endpoint, self.v2.host());
        let watcher = Watcher::builder()?
            .with_variable("AWS_ACCESS_KEY_ID", "AKIAOWN")
            .with_variable("AWS_SECRET_ACCESS_KEY", "secret")
            .with_arguments(["--registry", &registry, "--refresh-registry", "--all-images", "--interval", "1"])
            .start()
            .await?;
        watcher.first_pass().await?;
        Ok(watcher)
    }
}

async fn places_become(watcher: &Watcher, digest: &str, expected: &[&str]) -> Result<()> {
    let look = async |api: &Api| {
        let places = api.places(digest).await?;
        ensure!(places == expected, "{places:?}");
        Ok(())
    };
    watcher.eventually(&format!("{digest} is at {expected:?}"), LIMIT, look).await?;
    Ok(())
}

#[tokio::test]
async fn a_registry_is_watched_by_its_api() -> Result<()> {
    let ecr = Ecr::start().await?;
    let (first, second, other) = (base().build(), app(1).build(), app(2).build());
    ecr.push(&first, "team/app", "1.0").await?;
    ecr.push(&other, "team/legacy", "1.0").await?;
    let watcher = ecr.watched(",exclude=*legacy*").await?;
    places_become(&watcher, first.digest(), &["team/app:1.0"]).await?;
    let image = watcher.api.image(first.digest()).await?;
    assert_eq!(image["places"][0]["registry"], HOST, "it is known by the registry's own name: {image}");

    ecr.push(&second, "team/app", "latest").await?;
    places_become(&watcher, second.digest(), &["team/app:latest"]).await?;
    ecr.push(&second, "tools/new", "1.0").await?;
    places_become(&watcher, second.digest(), &["team/app:latest", "tools/new:1.0"]).await?;

    ecr.delete(&second, "tools/new", "1.0").await?;
    places_become(&watcher, second.digest(), &["team/app:latest"]).await?;
    assert_eq!(watcher.api.images().await?.len(), 2, "what is excluded is not looked at");

    // The lists name digests, so that an unchanged tag costs `/v2/` nothing.
    let settled = ecr.v2.count_requests(|_| true);
    let passes = watcher.api.count("passes").await?;
    let look = async |api: &Api| {
        ensure!(api.count("passes").await? >= passes + 2, "the passes go on");
        Ok(())
    };
    watcher.eventually("two more passes went through", LIMIT, look).await?;
    assert_eq!(ecr.v2.count_requests(|_| true), settled);
    Ok(())
}
