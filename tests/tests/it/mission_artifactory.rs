//! Docker Scout's watcher of JFrog Artifactory, as its page described it, and the filters: a function for each
//! sentence. docs/integrations.md has the list.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Result, ensure};
use axum::{Json, Router};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use supercargo_testkit::{ArtifactoryServer, Image, IndexBuilder};
use supercargo_tests::{Api, Installation, Internet, Sender, Watcher, WatcherBuilder, app, base, free_port, hmac};
use tokio::net::TcpListener;

const LIMIT: Duration = Duration::from_secs(40);
const HOST: &str = "example.jfrog.io";
const API: &str = "https://example.jfrog.io/artifactory";

/// 64 characters, the least that the page asks for.
const SECRET: &str = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_";

/// An Artifactory of JFrog's cloud.
struct Cloud {
    server: ArtifactoryServer,
    internet: Internet,
}

impl Cloud {
    async fn start() -> Result<Self> {
        let builder = ArtifactoryServer::builder().with_account("scout", "right").with_local("docker-local");
        let server = builder.with_lockout(0).start().await?;
        let internet = Internet::start().await?;
        internet.route(HOST, server.host());
        internet.route(format!("*.{HOST}"), server.host());
        Ok(Self { server, internet })
    }

    fn push(&self, image: &Image, name: &str, tag: &str) {
        self.server.push("docker-local", image, name, tag);
    }

    /// A watcher of the registry that the string names, as the page's variables sign it in.
    fn watcher(&self, registry: &str) -> Result<WatcherBuilder> {
        let builder = self
            .internet
            .variables()
            .into_iter()
            .fold(Watcher::builder()?, |builder, (name, value)| builder.with_variable(name, value));
        let environment = [
            ("DOCKER_SCOUT_ARTIFACTORY_API_USER", "scout"),
            ("DOCKER_SCOUT_ARTIFACTORY_API_PASSWORD", "right"),
            ("DOCKER_SCOUT_ARTIFACTORY_WEBHOOK_SECRET", SECRET),
        ];
        Ok(builder.with_environment(&environment).with_arguments(["--registry", registry, "--interval", "1"]))
    }
}

/// The string of the page, with what is chosen besides.
fn registry(more: &str) -> String {
    format!("type=artifactory,registry={HOST},api={API},repository=docker-local{more}")
}

async fn found(watcher: &Watcher, expected: &[(&Image, &str)]) -> Result<()> {
    let look = async |api: &Api| {
        for (image, place) in expected {
            let places = api.places(image.digest()).await?;
            ensure!(places == [*place], "{places:?}, and not {place}");
        }
        let images = api.images().await?;
        ensure!(images.len() == expected.len(), "{images:?}");
        Ok(())
    };
    watcher.eventually("these images are indexed, and no others", LIMIT, look).await?;
    Ok(())
}

#[tokio::test]
async fn a_repository_key_is_watched_by_the_string_of_the_page() -> Result<()> {
    let cloud = Cloud::start().await?;
    let images: Vec<Image> = (0..6).map(|number| app(number).build()).collect();
    cloud.push(&images[0], "team/frontend-web", "1.0");
    cloud.push(&images[1], "legacy/frontend-old", "1.0");
    cloud.push(&images[2], "team/backend", "1.0");

    // Both spellings of the globs: that of the page's table, and that of its examples.
    for globs in ["include=*/frontend*,exclude=*/legacy/*", "includes=*/frontend*,excludes=*/legacy/*"] {
        let options = format!(",{globs},subdomain-mode=false");
        let arguments = ["--all-images", "--refresh-registry"];
        let watcher = cloud.watcher(&registry(&options))?.with_arguments(arguments).start().await?;
        found(&watcher, &[(&images[0], "docker-local/team/frontend-web:1.0")]).await?;
    }

    // Sub-domains: the host is that of the key, and names begin with what is in it.
    let watcher = cloud.watcher(&registry(",subdomain-mode=true"))?.with_arguments(["--all-images"]).start().await?;
    let places = ["team/frontend-web:1.0", "legacy/frontend-old:1.0", "team/backend:1.0"];
    let expected: Vec<(&Image, &str)> = images.iter().zip(places).collect();
    found(&watcher, &expected).await?;
    let image = watcher.api.image(images[0].digest()).await?;
    assert_eq!(image["places"][0]["registry"], "docker-local.example.jfrog.io");
    assert_eq!(cloud.server.failed_sign_ins(), 0);
    Ok(())
}

#[tokio::test]
async fn chosen_repositories_or_a_whole_registry_and_what_is_there_only_if_asked() -> Result<()> {
    let cloud = Cloud::start().await?;
    let images: Vec<Image> = (0..5).map(|number| app(number).build()).collect();
    cloud.push(&images[0], "team/app", "1.0");
    cloud.push(&images[1], "team/web", "1.0");

    // The whole registry: pushes alone, unless --all-images; new repositories, with --refresh-registry.
    let whole = cloud.watcher(&registry(""))?.with_arguments(["--refresh-registry"]).start().await?;
    whole.first_pass().await?;
    // Chosen repositories, with what is there.
    let chosen = ["--repository", "docker-local/team/web", "--all-images"];
    let chosen = cloud.watcher(&registry(""))?.with_arguments(chosen).start().await?;
    chosen.first_pass().await?;
    cloud.push(&images[2], "team/app", "1.1");
    cloud.push(&images[3], "team/new", "1.0");
    found(&whole, &[(&images[2], "docker-local/team/app:1.1"), (&images[3], "docker-local/team/new:1.0")]).await?;
    found(&chosen, &[(&images[1], "docker-local/team/web:1.0")]).await?;

    // Three at a time, unless --workers says otherwise.
    let help = std::process::Command::new(supercargo_tests::binary("supercargo-watch")?).arg("--help").output()?;
    let help = String::from_utf8(help.stdout)?;
    let workers = help.split("--workers <NUMBER>").nth(1).and_then(|rest| rest.split("\n\n      --").next());
    ensure!(workers.is_some_and(|text| text.contains("[default: 3]")), "{help}");
    Ok(())
}

#[tokio::test]
async fn webhooks_are_received_on_the_port_with_the_secret() -> Result<()> {
    let cloud = Cloud::start().await?;
    let port = free_port();
    let registry = registry(&format!(",port={port}"));
    let arguments = ["--refresh-registry", "--interval", "3600", "--workers", "1"];
    let watcher = cloud.watcher(&registry)?.with_arguments(arguments).start().await?;
    watcher.first_pass().await?;
    let image = app(1).build();
    cloud.push(&image, "team/app", "1.0");
    let body = json!({
        "domain": "docker", "event_type": "pushed",
        "data": {
            "repo_key": "docker-local", "path": "team/app/1.0/manifest.json", "name": "manifest.json",
            "sha256": image.digest().trim_start_matches("sha256:"), "size": 1234, "image_name": "team/app",
            "tag": "1.0", "platforms": [],
        },
        "subscription_key": "scout", "jpd_origin": API, "source": "jfrog/jfrt@01",
    })
    .to_string();
    let mut sender = Sender::connect(&format!("127.0.0.1:{port}")).await?;
    let mut post = async |proof: &str| {
        let headers = format!("X-JFrog-Event-Auth: {proof}\r\nContent-Type: application/json\r\n");
        sender.post("/", &headers, &body).await
    };
    assert_eq!(post(&"x".repeat(64)).await?, 401);
    assert_eq!(watcher.api.items("/v1/events").await?, Vec::<Value>::new(), "nothing is kept of it");
    let signature = hmac("sha256", SECRET, &body).await?;
    ensure!((200..300).contains(&post(&signature).await?));
    watcher.indexed(image.digest(), LIMIT).await?;
    assert_eq!(watcher.api.places(image.digest()).await?, ["docker-local/team/app:1.0"]);
    assert!(!watcher.log().contains(SECRET));
    Ok(())
}

/// The last step of the page, which is optional: word in a channel of a collaboration tool.
#[tokio::test]
async fn each_new_image_is_a_line_in_a_channel() -> Result<()> {
    let cloud = Cloud::start().await?;
    let lines: Arc<Mutex<Vec<Value>>> = Arc::default();
    let kept = Arc::clone(&lines);
    let take = move |body: Json<Value>| async move {
        kept.lock().expect("no test panics here").push(body.0);
        "ok"
    };
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    cloud.internet.route("hooks.slack.com", listener.local_addr()?.to_string());
    let router = Router::new().route("/services/T0/B0/incoming", axum::routing::post(take));
    let channel = tokio::spawn(async move { axum::serve(listener, router).await });

    let sink = ["--sink", "type=slack,url=https://hooks.slack.com/services/T0/B0/incoming", "--refresh-registry"];
    let watcher = cloud.watcher(&registry(""))?.with_arguments(sink).start().await?;
    watcher.first_pass().await?;
    let image = app(1).build();
    cloud.push(&image, "team/app", "1.0");
    let look = async |_: &Api| {
        let lines = lines.lock().expect("no test panics here").clone();
        let told = |line: &Value| line["text"].as_str().is_some_and(|text| text.contains("docker-local/team/app:1.0"));
        ensure!(lines.iter().any(told), "{lines:?}");
        Ok(())
    };
    watcher.eventually("the channel is told", LIMIT, look).await?;
    channel.abort();
    Ok(())
}

/// Repositories, tags, ages, numbers and platforms; each with the number that the preview says.
#[tokio::test]
async fn filters_say_beforehand_how_many_images_they_select() -> Result<()> {
    let cloud = Cloud::start().await?;
    let days = |days: i64| (Timestamp::now() - SignedDuration::from_hours(days * 24)).to_string();
    for (number, (name, tag, age)) in
        [("team/app", "1.0", 90), ("team/app", "1.1", 20), ("team/app", "2.0", 2), ("team/web", "1.0", 40)]
            .into_iter()
            .enumerate()
    {
        cloud.push(&app(number).build(), name, tag);
        cloud.server.set_time("docker-local", name, tag, &days(age));
    }
    let images = [base().with_platform("linux/amd64").build(), base().with_platform("linux/arm64").build()];
    let [amd, arm] = &images;
    let index = IndexBuilder::new().with_image(amd.clone()).with_image(arm.clone()).build();
    cloud.server.push("docker-local", &index, "tools/multi", "1.0");
    cloud.server.set_time("docker-local", "tools/multi", "1.0", &days(1));

    let server = Installation::start(&cloud.internet.variables(), &["--interval", "3600"]).await?;
    let password = server.file("password", "right\n")?;
    let create = ["integration", "create", "artifactory", "jfrog", "--registry", HOST, "--api", API];
    let more = ["--repository", "docker-local", "--events", "none", "--user", "scout", "--password-file", &password];
    server.prints(&[&create[..], &more].concat()).await?;
    server.becomes("jfrog", "connected").await?;

    let preview = async |filters: &[&str], expected: &str| -> Result<()> {
        let told = server.prints(&[&["integration", "filter", "jfrog", "--preview"], filters].concat()).await?;
        ensure!(told.starts_with(&format!("this selects {expected}\n")), "{filters:?}: {told}");
        Ok(())
    };
    preview(&[], "5 images in 3 repositories").await?;
    preview(&["--include", "*/team/*"], "4 images in 2 repositories").await?;
    preview(&["--exclude", "*/team/app"], "2 images in 2 repositories").await?;
    preview(&["--tag", r"^1\."], "4 images in 3 repositories").await?;
    preview(&["--newer-than", "30d"], "3 images in 2 repositories").await?;
    preview(&["--newest", "1"], "3 images in 3 repositories").await?;
    preview(&["--newest", "2", "--include", "*/team/app", "--newer-than", "30d"], "2 images in 1 repository").await?;
    preview(&["--include", "*/multi", "--platform", "linux/arm64"], "1 image in 1 repository").await?;
    preview(&["--include", "*/multi", "--platform", "windows/amd64"], "0 images in 0 repositories").await?;

    // A preview has changed nothing; without the flag it is set, and that is what is indexed.
    assert_eq!(server.prints(&["integration", "filter", "jfrog"]).await?, "all images\n");
    server.prints(&["integration", "filter", "jfrog", "--platform", "linux/arm64", "--newer-than", "30d"]).await?;
    server.prints(&["repo", "enable", "--integration", "jfrog", "--all"]).await?;
    server.indexed(arm.digest()).await?;
    for number in [1, 2] {
        server.indexed(app(number).build().digest()).await?;
    }
    for older in [app(0), app(3)] {
        ensure!(server.api.image(older.build().digest()).await.is_err(), "it is older than wanted");
    }
    ensure!(server.api.image(amd.digest()).await.is_err(), "another platform's");
    Ok(())
}
