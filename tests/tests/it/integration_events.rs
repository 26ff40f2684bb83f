//! The ways of events to an integration: queues that a running server asks, a webhook that calls it, and what a
//! connection test finds of them.

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use supercargo_testkit::{Access, AcrServer, ArtifactoryServer, Image, RegistryServer};
use supercargo_tests::{Azurite, Installation, Moto, PASSWORD, USER, app, base, free_port};

const NAME: &str = "prod";

/// A server that never looks by itself.
async fn start(variables: &[(&str, &str)]) -> Result<Installation> {
    let variables: Vec<(String, String)> =
        variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Installation::start(&variables, &["--interval", "3600"]).await
}

/// What a connection test says of a step.
async fn tested(server: &Installation, step: &str) -> Result<Value> {
    let tested = server.json(&["integration", "test", NAME]).await?;
    let steps = tested["steps"].as_array().context("steps")?;
    steps.iter().find(|one| one["step"] == step).cloned().with_context(|| format!("no step {step} in {tested}"))
}

/// Enables the repository that the reason of a refused event names, as that reason says.
async fn enable_what_was_refused(server: &Installation) -> Result<()> {
    let reason = server.refused("team/app is not enabled").await?;
    let command = reason.split_once("supercargo ").context("a command")?.1;
    server.prints(&command.split(' ').collect::<Vec<_>>()).await?;
    Ok(())
}

// Amazon: moto has ECR's API and SQS, a registry of the test kit is ECR's `/v2/`.

const HOST: &str = "123456789012.dkr.ecr.eu-west-1.amazonaws.com";
const AMAZON: [(&str, &str); 2] = [("AWS_ACCESS_KEY_ID", Moto::KEY.0), ("AWS_SECRET_ACCESS_KEY", Moto::KEY.1)];
/// What moto gives out to sign in with.
const TOKEN: &str = "123456789012-auth-token";

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
        self.moto.put_image(image, "team/app", tag).await
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

    async fn create(&self, server: &Installation, queue: &str) -> Result<()> {
        let endpoint = format!("endpoint={}", self.moto.endpoint());
        let v2 = format!("v2-endpoint=http://{}", self.v2.host());
        let (queue, at) = (format!("events-queue={queue}"), format!("events-queue-endpoint={}", self.moto.endpoint()));
        let region = format!("events-queue-region={}", Moto::REGION);
        let create = ["integration", "create", "ecr", NAME, "--registry", HOST, "--no-role", "--events", "queue"];
        let more = [endpoint, v2, queue, at, region];
        let more = more.iter().flat_map(|parameter| ["--parameter", parameter]);
        server.prints(&create.into_iter().chain(more).collect::<Vec<_>>()).await?;
        Ok(())
    }
}

#[tokio::test]
async fn a_registry_of_amazon_is_connected_by_its_queue() -> Result<()> {
    let amazon = Amazon::start().await?;
    let queue = amazon.moto.queue("supercargo-prod").await?;
    let (first, second) = (app(1).build(), app(2).build());
    amazon.push(&first, "1.0").await?;
    let server = start(&AMAZON).await?;
    amazon.create(&server, &queue).await?;
    let waiting = server.eventually("it is tested", async || {
        let found = server.integration(NAME).await?;
        ensure!(!found["tested_at"].is_null(), "{found}");
        Ok(found)
    });
    let waiting = waiting.await?;
    assert_eq!((&waiting["state"], &waiting["reason"]["kind"]), (&json!("pending"), &json!("waiting")), "{waiting}");
    assert_eq!(tested(&server, "queue").await?["outcome"], "passed");

    amazon.tell(&queue, &first, "1.0").await?;
    enable_what_was_refused(&server).await?;
    server.becomes(NAME, "connected").await?;
    server.indexed(first.digest()).await?;
    amazon.push(&second, "1.1").await?;
    amazon.tell(&queue, &second, "1.1").await?;
    server.indexed(second.digest()).await?;
    server
        .eventually("the queue is empty", async || {
            let left = amazon.moto.boto3(LEFT, json!({ "queue": queue })).await?;
            ensure!(left == 0, "{left} messages are left");
            Ok(())
        })
        .await?;
    assert_eq!(tested(&server, "events").await?["outcome"], "passed");
    Ok(())
}

#[tokio::test]
async fn a_queue_that_is_not_there_shows_and_heals() -> Result<()> {
    let amazon = Amazon::start().await?;
    amazon.push(&base().build(), "1.0").await?;
    let server = start(&AMAZON).await?;
    let queue = format!("{}/123456789012/supercargo-prod", amazon.moto.endpoint());
    amazon.create(&server, &queue).await?;
    let failed = server.becomes(NAME, "error").await?;
    assert_eq!(failed["reason"]["kind"], "queue", "{failed}");
    let message = failed["reason"]["message"].as_str().context("a message")?;
    assert!(message.contains("NonExistentQueue"), "{message}");
    assert!(failed["advice"].as_str().is_some_and(|advice| advice.contains("events-queue")), "{failed}");

    amazon.moto.queue("supercargo-prod").await?;
    let healed = server.becomes(NAME, "pending").await?;
    assert_eq!(healed["reason"]["kind"], "waiting", "{healed}");
    // It is taken away from an integration that works.
    amazon.tell(&queue, &base().build(), "1.0").await?;
    server.becomes(NAME, "connected").await?;
    amazon.moto.boto3("client('sqs').delete_queue(QueueUrl=given['queue'])", json!({ "queue": queue })).await?;
    let failed = server.becomes(NAME, "error").await?;
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
    let server = start(&[]).await?;
    let folder = tempfile::tempdir()?;
    let azurite = Azurite::start(folder.path()).await?;
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
    server.prints(&[&create[..], &["--queue-secret-file", &guessed]].concat()).await?;
    let failed = server.becomes(NAME, "error").await?;
    assert_eq!(failed["reason"]["kind"], "queue", "{failed}");
    assert!(!failed.to_string().contains("Z3Vlc3NlZA"), "{failed}");

    // The right key, and then the queue, heal it.
    azurite.run(QUEUE, "queue.create_queue()", &[]).await?;
    let secret = server.file("queue-secret", &azurite.connection_string())?;
    server.prints(&["integration", "credentials", NAME, "--queue-secret-file", &secret]).await?;
    server.becomes(NAME, "pending").await?;
    assert_eq!(tested(&server, "queue").await?["outcome"], "passed");

    azurite.run(QUEUE, "encoded.send_message(sys.argv[4])", &[&pushed(&host, &first, "1.0")]).await?;
    enable_what_was_refused(&server).await?;
    server.becomes(NAME, "connected").await?;
    server.indexed(first.digest()).await?;
    registry.push(&second, "team/app", "1.1");
    azurite.run(QUEUE, "encoded.send_message(sys.argv[4])", &[&pushed(&host, &second, "1.1")]).await?;
    server.indexed(second.digest()).await?;
    server
        .eventually("the queue is empty", async || {
            let left = azurite.run(QUEUE, COUNT, &[]).await?;
            ensure!(left.trim() == "0", "{left} are left");
            Ok(())
        })
        .await?;
    assert!(!server.log().contains("AccountKey"));
    Ok(())
}

#[tokio::test]
async fn a_webhook_of_artifactory_is_made_tested_and_heard() -> Result<()> {
    let builder = ArtifactoryServer::builder().with_account(USER, PASSWORD).with_local("docker-local");
    let artifactory = builder.with_webhook_manager("of a manager").start().await?;
    let server = start(&[]).await?;
    let (first, second) = (app(1).build(), app(2).build());
    artifactory.push("docker-local", &first, "team/app", "1.0");
    let (host, api) = (artifactory.host(), artifactory.api());
    let password = server.file("password", &format!("{PASSWORD}\n"))?;
    let token = server.file("token", "of a manager\n")?;
    let create = ["integration", "create", "artifactory", NAME, "--registry", &host, "--api", &api];
    let more = ["--repository", "docker-local", "--user", USER, "--password-file", &password];
    server.prints(&[&create[..], &more, &["--public-url", &server.url()]].concat()).await?;

    // The address is known from the start, and leads here; whoever reads images may not look at webhooks.
    let endpoint = server.eventually("the server knows it", async || {
        let step = tested(&server, "endpoint").await?;
        ensure!(step["outcome"] == "passed", "{step}");
        Ok(step)
    });
    let told = endpoint.await?["detail"].to_string();
    assert!(told.contains(&format!("{}/v1/events/artifactory/{NAME} leads here", server.url())), "{told}");
    let step = tested(&server, "webhook").await?;
    assert_eq!(step["outcome"], "skipped", "{step}");
    assert!(step["advice"].as_str().is_some_and(|advice| advice.contains("Administration")), "{step}");
    assert_eq!(server.integration(NAME).await?["state"], "pending");
    assert!(server.api.items("/v1/events").await?.is_empty(), "a call of our own is no event");

    // The one that makes the webhook has it tested, and that is the first thing that is heard.
    let apply = ["integration", "template", NAME, "--apply", "--admin-token-file", &token];
    let (_, said) = server.told(&apply).await?;
    assert!(said.contains("Artifactory sent a test event"), "{said}");
    server.becomes(NAME, "connected").await?;

    artifactory.push("docker-local", &second, "team/app", "1.1");
    assert_eq!(artifactory.announce("docker-local", &second, "team/app", "1.1").await?, [202]);
    enable_what_was_refused(&server).await?;
    server.indexed(second.digest()).await?;
    let third = app(3).build();
    artifactory.push("docker-local", &third, "team/app", "1.2");
    assert_eq!(artifactory.announce("docker-local", &third, "team/app", "1.2").await?, [202]);
    server.indexed(third.digest()).await?;
    Ok(())
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
    let server = start(&[]).await?;
    let (host, api, token) = (artifactory.host(), artifactory.api(), server.file("token", "of a manager\n")?);
    let create = ["integration", "create", "artifactory", NAME, "--registry", &host, "--api", &api];
    server.prints(&[&create[..], &["--repository", "docker-local", "--token-file", &token]].concat()).await?;
    let step = tested(&server, "webhook").await?;
    assert_eq!(step["outcome"], "warned", "{step}");
    assert!(step["detail"].as_str().is_some_and(|detail| detail.contains("no webhook supercargo-prod")), "{step}");
    assert!(step["advice"].as_str().is_some_and(|advice| advice.contains("template prod --apply")), "{step}");
    let step = tested(&server, "endpoint").await?;
    assert!(step["advice"].as_str().is_some_and(|advice| advice.contains("--public-url")), "{step}");

    // Made for a server that is somewhere else, it does not reach this one, and Artifactory says so.
    let elsewhere = format!("http://127.0.0.1:{}", free_port());
    server.prints(&["integration", "template", NAME, "--apply", "--public-url", &elsewhere]).await?;
    assert_eq!(
        server.integration(NAME).await?["settings"]["events-url"],
        elsewhere,
        "what the other side is told is kept"
    );
    let step = tested(&server, "webhook").await?;
    assert!(step["detail"].as_str().is_some_and(|detail| detail.contains("could not send its test event")), "{step}");
    let step = tested(&server, "endpoint").await?;
    assert!(step["detail"].as_str().is_some_and(|detail| detail.contains("is not reached")), "{step}");
    assert_eq!(server.integration(NAME).await?["state"], "pending");

    // Nor does it when another server takes what is sent.
    let other = start(&[]).await?;
    server.prints(&["integration", "template", NAME, "--apply", "--public-url", &other.url()]).await?;
    let step = tested(&server, "endpoint").await?;
    assert!(step["detail"].as_str().is_some_and(|detail| detail.contains("no server that has this")), "{step}");

    server.prints(&["integration", "template", NAME, "--apply", "--public-url", &server.url()]).await?;
    let step = server.eventually("the test event comes", async || {
        let step = tested(&server, "webhook").await?;
        ensure!(step["outcome"] == "passed", "{step}");
        Ok(step)
    });
    let told = step.await?["detail"].to_string();
    assert!(told.contains("the webhook supercargo-prod of Artifactory sent a test event"), "{told}");
    server.becomes(NAME, "connected").await?;
    Ok(())
}
