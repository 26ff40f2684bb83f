//! Amazon ECR, end to end: `moto` as its API, filled by `boto3`, and a registry that takes its tokens as its `/v2/`.

use std::time::Duration;

use anyhow::{Result, ensure};
use serde_json::{Value, json};
use supercargo_testkit::{Image, RegistryServer};
use supercargo_tests::{Api, Moto, Watcher, app, base, supercargo_with};

const LIMIT: Duration = Duration::from_secs(30);

/// moto's own account, its host, and the token that it gives out.
const HOST: &str = "123456789012.dkr.ecr.eu-west-1.amazonaws.com";
const TOKEN: &str = "123456789012-auth-token";

const VARIABLES: [(&str, &str); 2] = [("AWS_ACCESS_KEY_ID", Moto::KEY.0), ("AWS_SECRET_ACCESS_KEY", Moto::KEY.1)];

const DELETE: &str = r#"
client("ecr").batch_delete_image(repositoryName=given["repository"], imageIds=[{"imageTag": given["tag"]}])
"#;

/// A registry with both of its faces.
struct Ecr {
    moto: Moto,
    v2: RegistryServer,
}

impl Ecr {
    async fn start() -> Result<Self> {
        let v2 = RegistryServer::builder().with_basic_auth("AWS", TOKEN).with_blob_redirects().start().await?;
        Ok(Self { moto: Moto::start().await?, v2 })
    }

    async fn push(&self, image: &Image, repository: &str, tag: &str) -> Result<()> {
        self.v2.push(image, repository, tag);
        self.moto.put_image(image, repository, tag).await
    }

    /// Deletes the only tag of an image, and the image with it: so does ECR.
    async fn delete(&self, image: &Image, repository: &str, tag: &str) -> Result<()> {
        ensure!(self.v2.delete_manifest(repository, image.digest()), "{repository}:{tag} is not there");
        self.moto.boto3(DELETE, json!({ "repository": repository, "tag": tag })).await?;
        Ok(())
    }

    /// The `--registry` string, with `more` at its end.
    fn registry(&self, more: &str) -> String {
        let (api, v2) = (self.moto.endpoint(), self.v2.host());
        format!("type=ecr,registry={HOST},endpoint={api},v2-endpoint=http://{v2}{more}")
    }

    /// A watcher that looks every second, with `more` in its registry string.
    async fn watched(&self, more: &str) -> Result<Watcher> {
        let watcher = Watcher::builder()?
            .with_environment(&VARIABLES)
            .with_arguments(["--registry", &self.registry(more), "--refresh-registry", "--all-images"])
            .with_arguments(["--interval", "1"])
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

#[tokio::test]
async fn an_image_is_indexed_by_its_name() -> Result<()> {
    let ecr = Ecr::start().await?;
    let image = app(1).build();
    ecr.push(&image, "team/app", "1.0").await?;
    let (reference, registry) = (format!("registry://{HOST}/team/app:1.0"), ecr.registry(""));
    let output = supercargo_with(&VARIABLES, ["index", &reference, "--registry", &registry]).await?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let document: Value = serde_json::from_slice(&output.stdout)?;
    assert_eq!(document["source"]["image"]["digest"], image.digest());

    let output = supercargo_with(&VARIABLES, ["doctor", "--registry", &registry, "-o", "json"]).await?;
    let reports: Value = serde_json::from_slice(&output.stdout)?;
    ensure!(output.status.success(), "{reports}");
    Ok(())
}
