//! The ways of events to an integration: queues that a running server asks, a webhook that calls it, and what a
//! connection test finds of them.

use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use supercargo_testkit::{Access, AcrServer, Artifact as _, ArtifactoryServer, Image, RegistryServer};
use supercargo_tests::{
    Api, Azurite, Moto, PASSWORD, Service, USER, app, base, binary, eventually, free_port, supercargo_with,
};
use tempfile::TempDir;

/// Long enough for a machine that does many things at once.
const LIMIT: Duration = Duration::from_secs(60);
const NAME: &str = "prod";

/// A running server that never looks by itself, and its operator's command line.
struct Server {
    api: Api,
    url: String,
    variables: Vec<(String, String)>,
    // Before the folder that has its log.
    service: Service,
    folder: TempDir,
}

impl Server {
    async fn start(variables: &[(&str, &str)]) -> Result<Self> {
        let (folder, address) = (tempfile::tempdir()?, format!("127.0.0.1:{}", free_port()));
        let mut variables: Vec<(String, String)> =
            variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        variables.push(("SUPERCARGO_DATA".to_owned(), folder.path().join("data").display().to_string()));
        let mut command = Command::new(binary("supercargo-server")?);
        command
            .args(["--listen", &address, "--interval", "3600"])
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", folder.path())
            .envs(variables.iter().cloned());
        let mut service = Service::start("supercargo-server", &mut command, &folder.path().join("log"))?;
        let api = Api::new(address.clone());
        eventually("the server is ready", LIMIT, async || {
            service.check()?;
            api.document("/readyz").await
        })
        .await?;
        Ok(Self { api, url: format!("http://{address}"), variables, service, folder })
    }

    /// What `supercargo` prints, and what it says beside that.
    async fn run(&self, arguments: &[&str]) -> Result<(String, String)> {
        let variables: Vec<(&str, &str)> =
            self.variables.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let ran = supercargo_with(&variables, arguments).await?;
        let said = String::from_utf8(ran.stderr)?;
        ensure!(ran.status.success(), "supercargo {arguments:?}: {}: {said}", ran.status);
        Ok((String::from_utf8(ran.stdout)?, said))
    }

    async fn integration(&self) -> Result<Value> {
        Ok(serde_json::from_str(&self.run(&["integration", "show", NAME, "-o", "json"]).await?.0)?)
    }

    /// Waits until the integration is in `state`; what is known of it then.
    async fn is_in(&self, state: &str) -> Result<Value> {
        self.eventually(&format!("it is {state}"), async || {
            let found = self.integration().await?;
            ensure!(found["state"] == state, "{found}");
            Ok(found)
        })
        .await
    }

    async fn eventually<T>(&self, what: &str, look: impl AsyncFnMut() -> Result<T>) -> Result<T> {
        match eventually(what, LIMIT, look).await {
            Ok((found, _)) => Ok(found),
            Err(missing) => Err(missing).context(self.service.last_lines()),
        }
    }

    async fn indexed(&self, image: &Image) -> Result<()> {
        self.eventually("the image is indexed", async || self.api.image(image.digest()).await).await?;
        Ok(())
    }

    /// What a connection test says of a step.
    async fn tested(&self, step: &str) -> Result<Value> {
        let (printed, _) = self.run(&["integration", "test", NAME, "-o", "json"]).await?;
        let tested: Value = serde_json::from_str(&printed)?;
        let steps = tested["steps"].as_array().context("steps")?;
        steps.iter().find(|one| one["step"] == step).cloned().with_context(|| format!("no step {step} in {tested}"))
    }

    /// Enables the repository that the reason of a refused event names, as that reason says.
    async fn enable_what_was_refused(&self) -> Result<()> {
        let reason = self
            .eventually("an event is refused", async || {
                let events = self.api.items("/v1/events?state=ignored").await?;
                let reasons = events.iter().filter_map(|event| event["reason"].as_str());
                let found = reasons.map(str::to_owned).find(|reason| reason.contains("team/app is not enabled"));
                found.with_context(|| format!("{events:?}"))
            })
            .await?;
        let command = reason.split_once("supercargo ").context("a command")?.1;
        self.run(&command.split(' ').collect::<Vec<_>>()).await?;
        Ok(())
    }

    fn file(&self, name: &str, contents: &str) -> Result<String> {
        let path = self.folder.path().join(name);
        std::fs::write(&path, contents)?;
        Ok(path.display().to_string())
    }
}

// Amazon: moto has ECR's API and SQS, a registry of the test kit is ECR's `/v2/`.

const HOST: &str = "123456789012.dkr.ecr.eu-west-1.amazonaws.com";
const AMAZON: [(&str, &str); 2] = [("AWS_ACCESS_KEY_ID", Moto::KEY.0), ("AWS_SECRET_ACCESS_KEY", Moto::KEY.1)];
/// What moto gives out to sign in with.
const TOKEN: &str = "123456789012-auth-token";

const PUT: &str = r#"
ecr = client("ecr")
if not any(known["repositoryName"] == given["repository"] for known in ecr.describe_repositories()["repositories"]):
    ecr.create_repository(repositoryName=given["repository"])
ecr.put_image(repositoryName=given["repository"], imageManifest=given["manifest"], imageTag=given["tag"],
              imageManifestMediaType=given["mediaType"], imageDigest=given["digest"])
"#;

const TELL: &str = "client('sqs').send_message(QueueUrl=given['queue'], MessageBody=json.dumps(given['event']))";

const LEFT: &str = r#"
names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
found = client("sqs").get_queue_attributes(QueueUrl=given["queue"], AttributeNames=names)["Attributes"]
print(json.dumps(sum(int(value) for value in found.values())))
"#;

struct Amazon {
    moto: Moto,
    v2: RegistryServer,
}

impl Amazon {
    async fn start() -> Result<Self> {
        let v2 = RegistryServer::builder().with_basic_auth("AWS", TOKEN).start().await?;
        Ok(Self { moto: Moto::start().await?, v2 })
    }

    async fn push(&self, image: &Image, tag: &str) -> Result<()> {
        self.v2.push(image, "team/app", tag);
        let root = image.root();
        let given = json!({
            "repository": "team/app", "tag": tag, "manifest": std::str::from_utf8(&root.bytes)?,
            "mediaType": root.descriptor.media_type, "digest": root.digest(),
        });
        self.moto.boto3(PUT, given).await?;
        Ok(())
    }

    /// Writes what EventBridge says of a push into the queue (Amazon ECR user guide, *Amazon ECR events*).
    async fn tell(&self, queue: &str, image: &Image, tag: &str) -> Result<()> {
        let event = json!({
            "version": "0", "id": image.digest(), "detail-type": "ECR Image Action", "source": "aws.ecr",
            "account": "123456789012", "time": "2026-11-22T10:00:00Z", "region": Moto::REGION, "resources": [],
            "detail": {
                "result": "SUCCESS", "repository-name": "team/app", "image-digest": image.digest(),
                "action-type": "PUSH", "image-tag": tag,
            },
        });
        self.moto.boto3(TELL, json!({ "queue": queue, "event": event })).await?;
        Ok(())
    }

    async fn create(&self, server: &Server, queue: &str) -> Result<()> {
        let endpoint = format!("endpoint={}", self.moto.endpoint());
        let v2 = format!("v2-endpoint=http://{}", self.v2.host());
        let (queue, at) = (format!("events-queue={queue}"), format!("events-queue-endpoint={}", self.moto.endpoint()));
        let region = format!("events-queue-region={}", Moto::REGION);
        let create = ["integration", "create", "ecr", NAME, "--registry", HOST, "--no-role", "--events", "queue"];
        let more = [endpoint, v2, queue, at, region];
        let more = more.iter().flat_map(|parameter| ["--parameter", parameter]);
        server.run(&create.into_iter().chain(more).collect::<Vec<_>>()).await?;
        Ok(())
    }
}

#[tokio::test]
async fn a_registry_of_amazon_is_connected_by_its_queue() -> Result<()> {
    let amazon = Amazon::start().await?;
    let queue = amazon.moto.queue("supercargo-prod").await?;
    let (first, second) = (app(1).build(), app(2).build());
    amazon.push(&first, "1.0").await?;
    let server = Server::start(&AMAZON).await?;
    amazon.create(&server, &queue).await?;
    let waiting = server.eventually("it is tested", async || {
        let found = server.integration().await?;
        ensure!(!found["tested_at"].is_null(), "{found}");
        Ok(found)
    });
    let waiting = waiting.await?;
    assert_eq!((&waiting["state"], &waiting["reason"]["kind"]), (&json!("pending"), &json!("waiting")), "{waiting}");
    assert_eq!(server.tested("queue").await?["outcome"], "passed");

    amazon.tell(&queue, &first, "1.0").await?;
    server.enable_what_was_refused().await?;
    server.is_in("connected").await?;
    server.indexed(&first).await?;
    amazon.push(&second, "1.1").await?;
    amazon.tell(&queue, &second, "1.1").await?;
    server.indexed(&second).await?;
    server
        .eventually("the queue is empty", async || {
            let left = amazon.moto.boto3(LEFT, json!({ "queue": queue })).await?;
            ensure!(left == 0, "{left} messages are left");
            Ok(())
        })
        .await?;
    assert_eq!(server.tested("events").await?["outcome"], "passed");
    Ok(())
}

#[tokio::test]
async fn a_queue_that_is_not_there_shows_and_heals() -> Result<()> {
    let amazon = Amazon::start().await?;
    amazon.push(&base().build(), "1.0").await?;
    let server = Server::start(&AMAZON).await?;
    let queue = format!("{}/123456789012/supercargo-prod", amazon.moto.endpoint());
    amazon.create(&server, &queue).await?;
    let failed = server.is_in("error").await?;
    assert_eq!(failed["reason"]["kind"], "queue", "{failed}");
    let message = failed["reason"]["message"].as_str().context("a message")?;
    assert!(message.contains("NonExistentQueue"), "{message}");
    assert!(failed["advice"].as_str().is_some_and(|advice| advice.contains("events-queue")), "{failed}");

    amazon.moto.queue("supercargo-prod").await?;
    let healed = server.is_in("pending").await?;
    assert_eq!(healed["reason"]["kind"], "waiting", "{healed}");
    // It is taken away from an integration that works.
    amazon.tell(&queue, &base().build(), "1.0").await?;
    server.is_in("connected").await?;
    amazon.moto.boto3("client('sqs').delete_queue(QueueUrl=given['queue'])", json!({ "queue": queue })).await?;
    let failed = server.is_in("error").await?;
    assert_eq!(failed["reason"]["kind"], "queue", "{failed}");
    Ok(())
}

// Azure: the test kit has the registry, Microsoft's emulator the queue, and Microsoft's client writes to it.

const QUEUE: &str = "registry-events";
const TOKEN_NAME: &str = "docker-scout-readonly-token";
const COUNT: &str = "print(queue.get_queue_properties().approximate_message_count)";

/// What Event Grid writes into a queue (*Azure Container Registry as an Event Grid source*).
fn pushed(host: &str, image: &Image, tag: &str) -> String {
    let topic = "/subscriptions/s/resourceGroups/g/providers/Microsoft.ContainerRegistry/registries/r";
    json!({
        "id": image.digest(), "topic": topic, "subject": format!("team/app:{tag}"),
        "eventType": "Microsoft.ContainerRegistry.ImagePushed", "eventTime": "2026-11-22T10:00:00.0000000Z",
        "dataVersion": "1.0", "metadataVersion": "1",
        "data": {
            "id": "1", "timestamp": "2026-11-22T10:00:00.000000000Z", "action": "push",
            "target": {
                "mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": image.digest(),
                "repository": "team/app", "tag": tag,
            },
            "request": {"id": "1", "host": host, "method": "PUT", "useragent": "docker/28.1.1"},
        },
    })
    .to_string()
}

#[tokio::test]
async fn a_registry_of_azure_is_connected_by_its_queue() -> Result<()> {
    let server = Server::start(&[]).await?;
    let azurite = Azurite::start(server.folder.path()).await?;
    let registry = AcrServer::builder().with_token(TOKEN_NAME, "generated", Access::pull()).start().await?;
    let (first, second) = (app(1).build(), app(2).build());
    registry.push(&first, "team/app", "1.0");
    let (host, url) = (registry.host(), azurite.queue_url(QUEUE));
    let password = server.file("password", "generated\n")?;
    let create = [
        "integration",
        "create",
        "acr",
        NAME,
        "--registry",
        &host,
        "--queue",
        &url,
        "--user",
        TOKEN_NAME,
        "--password-file",
        &password,
        "--parameter",
        "identity=none",
    ];
    let guessed = server.file("guessed", "AccountName=supercargo;AccountKey=Z3Vlc3NlZA==\n")?;
    server.run(&[&create[..], &["--queue-secret-file", &guessed]].concat()).await?;
    let failed = server.is_in("error").await?;
    assert_eq!(failed["reason"]["kind"], "queue", "{failed}");
    assert!(!failed.to_string().contains("Z3Vlc3NlZA"), "{failed}");

    // The right key, and then the queue, heal it.
    azurite.run(QUEUE, "queue.create_queue()", &[]).await?;
    let secret = server.file("queue-secret", &azurite.connection_string())?;
    server.run(&["integration", "credentials", NAME, "--queue-secret-file", &secret]).await?;
    server.is_in("pending").await?;
    assert_eq!(server.tested("queue").await?["outcome"], "passed");

    azurite.run(QUEUE, "encoded.send_message(sys.argv[4])", &[&pushed(&host, &first, "1.0")]).await?;
    server.enable_what_was_refused().await?;
    server.is_in("connected").await?;
    server.indexed(&first).await?;
    registry.push(&second, "team/app", "1.1");
    azurite.run(QUEUE, "encoded.send_message(sys.argv[4])", &[&pushed(&host, &second, "1.1")]).await?;
    server.indexed(&second).await?;
    server
        .eventually("the queue is empty", async || {
            let left = azurite.run(QUEUE, COUNT, &[]).await?;
            ensure!(left.trim() == "0", "{left} are left");
            Ok(())
        })
        .await?;
    assert!(!server.service.log().contains("AccountKey"));
    Ok(())
}

#[tokio::test]
async fn a_webhook_of_artifactory_is_made_tested_and_heard() -> Result<()> {
    let builder = ArtifactoryServer::builder().with_account(USER, PASSWORD).with_local("docker-local");
    let artifactory = builder.with_webhook_manager("of a manager").start().await?;
    let server = Server::start(&[]).await?;
    let (first, second) = (app(1).build(), app(2).build());
    artifactory.push("docker-local", &first, "team/app", "1.0");
    let (host, api) = (artifactory.host(), artifactory.api());
    let password = server.file("password", &format!("{PASSWORD}\n"))?;
    let token = server.file("token", "of a manager\n")?;
    let create = ["integration", "create", "artifactory", NAME, "--registry", &host, "--api", &api];
    let more = ["--repository", "docker-local", "--user", USER, "--password-file", &password];
    server.run(&[&create[..], &more, &["--public-url", &server.url]].concat()).await?;

    // The address is known from the start, and leads here; whoever reads images may not look at webhooks.
    let endpoint = server.eventually("the server knows it", async || {
        let step = server.tested("endpoint").await?;
        ensure!(step["outcome"] == "passed", "{step}");
        Ok(step)
    });
    let told = endpoint.await?["detail"].to_string();
    assert!(told.contains(&format!("{}/v1/events/artifactory/{NAME} leads here", server.url)), "{told}");
    let step = server.tested("webhook").await?;
    assert_eq!(step["outcome"], "skipped", "{step}");
    assert!(step["advice"].as_str().is_some_and(|advice| advice.contains("Administration")), "{step}");
    assert_eq!(server.integration().await?["state"], "pending");
    assert!(server.api.items("/v1/events").await?.is_empty(), "a call of our own is no event");

    // The one that makes the webhook has it tested, and that is the first thing that is heard.
    let apply = ["integration", "template", NAME, "--apply", "--admin-token-file", &token];
    let (_, said) = server.run(&apply).await?;
    assert!(said.contains("Artifactory sent a test event"), "{said}");
    server.is_in("connected").await?;

    artifactory.push("docker-local", &second, "team/app", "1.1");
    assert_eq!(artifactory.announce("docker-local", &second, "team/app", "1.1").await?, [202]);
    server.enable_what_was_refused().await?;
    server.indexed(&second).await?;
    let third = app(3).build();
    artifactory.push("docker-local", &third, "team/app", "1.2");
    assert_eq!(artifactory.announce("docker-local", &third, "team/app", "1.2").await?, [202]);
    server.indexed(&third).await
}

#[tokio::test]
async fn a_connection_test_has_artifactory_send_a_test_event() -> Result<()> {
    let artifactory = ArtifactoryServer::builder()
        .with_token("of a manager")
        .with_local("docker-local")
        .with_webhook_manager("of a manager")
        .start()
        .await?;
    artifactory.push("docker-local", &base().build(), "team/app", "1.0");
    let server = Server::start(&[]).await?;
    let (host, api, token) = (artifactory.host(), artifactory.api(), server.file("token", "of a manager\n")?);
    let create = ["integration", "create", "artifactory", NAME, "--registry", &host, "--api", &api];
    server.run(&[&create[..], &["--repository", "docker-local", "--token-file", &token]].concat()).await?;
    let step = server.tested("webhook").await?;
    assert_eq!(step["outcome"], "warned", "{step}");
    assert!(step["detail"].as_str().is_some_and(|detail| detail.contains("no webhook supercargo-prod")), "{step}");
    assert!(step["advice"].as_str().is_some_and(|advice| advice.contains("template prod --apply")), "{step}");
    let step = server.tested("endpoint").await?;
    assert!(step["advice"].as_str().is_some_and(|advice| advice.contains("--public-url")), "{step}");

    // Made for a server that is somewhere else, it does not reach this one, and Artifactory says so.
    let elsewhere = format!("http://127.0.0.1:{}", free_port());
    server.run(&["integration", "template", NAME, "--apply", "--public-url", &elsewhere]).await?;
    assert_eq!(server.integration().await?["settings"]["events-url"], elsewhere, "what the other side is told is kept");
    let step = server.tested("webhook").await?;
    assert!(step["detail"].as_str().is_some_and(|detail| detail.contains("could not send its test event")), "{step}");
    let step = server.tested("endpoint").await?;
    assert!(step["detail"].as_str().is_some_and(|detail| detail.contains("is not reached")), "{step}");
    assert_eq!(server.integration().await?["state"], "pending");

    // Nor does it when another server takes what is sent.
    let other = Server::start(&[]).await?;
    server.run(&["integration", "template", NAME, "--apply", "--public-url", &other.url]).await?;
    let step = server.tested("endpoint").await?;
    assert!(step["detail"].as_str().is_some_and(|detail| detail.contains("no server that has this")), "{step}");

    server.run(&["integration", "template", NAME, "--apply", "--public-url", &server.url]).await?;
    let step = server.eventually("the test event comes", async || {
        let step = server.tested("webhook").await?;
        ensure!(step["outcome"] == "passed", "{step}");
        Ok(step)
    });
    let told = step.await?["detail"].to_string();
    assert!(told.contains("the webhook supercargo-prod of Artifactory sent a test event"), "{told}");
    server.is_in("connected").await?;
    Ok(())
}
