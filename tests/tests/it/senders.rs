//! Senders that are real: the vendors' own libraries and services, as far as a test can have them.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use supercargo_testkit::RegistryServer;
use supercargo_tests::{Api, Moto, Sender, Watcher, app, hmac, run_python};

const LIMIT: Duration = Duration::from_secs(60);
const SECRET: &str = "the-secret-of-the-event-source";

/// A watcher with one source of `provider`, which speaks for the registry of the kit.
async fn watcher(server: &RegistryServer, provider: &str, options: &str) -> Result<Watcher> {
    let builder = Watcher::builder()?;
    let secret = builder.folder().join("source-secret");
    std::fs::write(&secret, SECRET)?;
    let source =
        format!("name=it,provider={provider},host={},secret-file={}{options}", server.host(), secret.display());
    let arguments = ["--registry", &server.host(), "--interval", "3600", "--event-source", &source];
    builder.with_arguments(arguments).start().await
}

/// The states of the deliveries that came in, the latest first.
async fn states(api: &Api) -> Result<Vec<(String, String)>> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let events = api.items("/v1/events").await?;
    Ok(events.iter().map(|event| (text(&event["state"]), text(&event["reason"]))).collect())
}

const EVENT_GRID: &str = r#"
import sys, datetime
from azure.core.credentials import AzureKeyCredential
from azure.eventgrid import EventGridPublisherClient, EventGridEvent
from azure.core.exceptions import HttpResponseError
from azure.core.messaging import CloudEvent
url, tag, host = sys.argv[1:4]
data = {
    "id": "d1", "timestamp": "2026-11-22T10:00:00.123456789+00:00", "action": "push", "location": "westeurope",
    "target": {"mediaType": "application/vnd.oci.image.manifest.v1+json", "repository": "team/app", "tag": tag},
    "request": {"id": "r1", "host": host, "method": "PUT", "useragent": "docker/28.1.1"},
}
client = EventGridPublisherClient(url, AzureKeyCredential("unused"), enforce_https=False)
def send(events):
    try:
        client.send(events)
    except HttpResponseError as error:
        # The library speaks to a topic, which answers 200. Whom it stands in for here takes 200 to 204.
        if error.status_code not in (201, 202, 204):
            raise
topic = "/subscriptions/s/resourceGroups/g/providers/Microsoft.ContainerRegistry/registries/r"
send(EventGridEvent(id="e-" + tag, topic=topic, subject="team/app:" + tag, data=data, data_version="1.0",
    event_type="Microsoft.ContainerRegistry.ImagePushed"))
send([CloudEvent(id="c-" + tag, source=topic, subject="team/app:" + tag, data=data,
    type="Microsoft.ContainerRegistry.ImagePushed")])
"#;

/// Microsoft's own library writes the events, in both schemas, and posts them to the source.
#[tokio::test]
async fn events_of_microsofts_library_are_taken() -> Result<()> {
    let server = RegistryServer::builder().without_catalog().start().await?;
    let watcher = watcher(&server, "event-grid", "").await?;
    let image = app(1).build();
    server.push(&image, "team/app", "1.0");
    let url = format!("http://{}/v1/events/event-grid/it?secret={SECRET}", watcher.address());
    run_python(EVENT_GRID, &[&url, "1.0", &server.host()]).await.context(watcher.log())?;
    watcher.indexed(image.digest(), LIMIT).await?;
    let found = states(&watcher.api).await?;
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found.iter().all(|(state, _)| state == "accepted"), "{found:?}");

    let wrong = format!("http://{}/v1/events/event-grid/it?secret=wrong", watcher.address());
    assert!(run_python(EVENT_GRID, &[&wrong, "2.0", &server.host()]).await.is_err());
    assert_eq!(states(&watcher.api).await?.len(), 2);
    assert!(!watcher.log().contains(SECRET));
    Ok(())
}

const CLOUD_EVENTS: &str = r#"
import sys, urllib.request
from cloudevents.http import CloudEvent
from cloudevents.conversion import to_binary, to_structured
url, tag, secret, digest, form = sys.argv[1:6]
event = CloudEvent({"type": "zotregistry.image.updated", "source": "zotregistry.dev", "id": "z-" + tag + form},
    {"name": "team/app", "reference": tag, "digest": digest, "mediaType": "application/vnd.oci.image.manifest.v1+json"})
headers, body = to_binary(event) if form == "binary" else to_structured(event)
headers["Authorization"] = "Bearer " + secret
with urllib.request.urlopen(urllib.request.Request(url, data=body, headers=headers, method="POST")) as answer:
    print(answer.status)
"#;

/// zot sends CloudEvents in binary mode; the specification's own library writes one.
#[tokio::test]
async fn events_of_the_cloudevents_library_are_taken() -> Result<()> {
    let server = RegistryServer::builder().without_catalog().start().await?;
    let watcher = watcher(&server, "zot", "").await?;
    let image = app(1).build();
    server.push(&image, "team/app", "1.0");
    let url = format!("http://{}/v1/events/zot/it", watcher.address());
    let status = run_python(CLOUD_EVENTS, &[&url, "1.0", SECRET, image.digest(), "binary"]).await?;
    assert!(status.starts_with("20"), "{status}");
    watcher.indexed(image.digest(), LIMIT).await?;
    Ok(())
}

/// `openssl` computes the signature that Artifactory sends.
#[tokio::test]
async fn a_signature_of_openssl_is_artifactorys() -> Result<()> {
    let server = RegistryServer::builder().without_catalog().start().await?;
    let watcher = watcher(&server, "artifactory", ",signing=true,layout=port").await?;
    let image = app(1).build();
    server.push(&image, "app", "1.0");
    let body = json!({
        "domain": "docker", "event_type": "pushed",
        "data": {
            "repo_key": "docker-local", "path": "app/1.0/manifest.json", "name": "manifest.json",
            "sha256": image.digest().trim_start_matches("sha256:"), "size": 1234, "image_name": "app", "tag": "1.0",
            "platforms": [],
        },
        "subscription_key": "test", "jpd_origin": "", "source": "jfrog/ci",
    })
    .to_string();
    let signature = hmac("sha256", SECRET, &body).await?;
    let mut sender = Sender::connect(&watcher.address()).await?;
    let mut post = async |signature: &str| {
        let headers = format!("X-JFrog-Event-Auth: {signature}\r\nContent-Type: application/json\r\n");
        sender.post("/v1/events/artifactory/it", &headers, &body).await
    };
    assert_eq!(post(&"0".repeat(64)).await?, 401);
    assert_eq!(post(SECRET).await?, 401, "the secret itself is no signature");
    let status = post(&signature).await?;
    assert!((200..300).contains(&status), "{status}");
    watcher.indexed(image.digest(), LIMIT).await?;
    Ok(())
}

fn ecr_push(id: &str, tag: &str) -> Value {
    json!({
        "version": "0", "id": id, "detail-type": "ECR Image Action", "source": "aws.ecr", "account": "123456789012",
        "time": "2026-11-22T10:00:00Z", "region": "eu-central-1", "resources": [],
        "detail": {
            "action-type": "PUSH", "result": "SUCCESS", "repository-name": "team/app", "image-tag": tag,
            "image-digest": format!("sha256:{}", "a".repeat(64)),
        },
    })
}

#[tokio::test]
async fn a_queue_of_amazon_is_emptied() -> Result<()> {
    let server = RegistryServer::builder().without_catalog().start().await?;
    let builder = Watcher::builder()?;
    let moto = Moto::start().await?;
    let url = &moto.queue("events").await?;
    let image = app(1).build();
    server.push(&image, "team/app", "1.0");
    // A rule's events, one of them twice; one that came through SNS; and what is no event at all.
    let mut bodies: Vec<String> =
        (0..23).map(|number| ecr_push(&format!("e{}", number % 22), "1.0").to_string()).collect();
    let envelope = json!({
        "Type": "Notification", "MessageId": "m1", "TopicArn": "arn:aws:sns:eu-central-1:123456789012:events",
        "Message": ecr_push("through-sns", "1.0").to_string(), "Timestamp": "2026-11-22T10:00:00.000Z",
    });
    bodies.extend([envelope.to_string(), "hello".to_owned()]);
    let send = "for body in given['bodies']: client('sqs').send_message(QueueUrl=given['url'], MessageBody=body)";
    moto.boto3(send, json!({"url": url, "bodies": bodies})).await?;

    // moto's accounts are made up, and so is the registry: the source says for whom the queue speaks.
    let source = format!(
        "name=aws,provider=eventbridge,host={},queue={url},region={},endpoint={}",
        server.host(),
        Moto::REGION,
        moto.endpoint()
    );
    let watcher = builder
        .with_variable("AWS_ACCESS_KEY_ID", "test")
        .with_variable("AWS_SECRET_ACCESS_KEY", "test")
        .with_arguments(["--registry", &server.host(), "--interval", "3600", "--event-source", &source])
        .start()
        .await?;
    watcher.indexed(image.digest(), LIMIT).await?;
    let all = async |api: &Api| {
        let found = states(api).await?;
        ensure!(found.len() == 24, "{found:?}");
        Ok(found)
    };
    let (found, _) = watcher.eventually("each event is stored once", LIMIT, all).await?;
    assert_eq!(found.iter().filter(|(state, _)| state == "quarantined").count(), 1, "{found:?}");
    assert_eq!(found.iter().filter(|(state, _)| state == "accepted").count(), 23, "{found:?}");
    let left = "a = client('sqs').get_queue_attributes(QueueUrl=given['url'], AttributeNames=['All'])['Attributes']\n\
        print(int(a['ApproximateNumberOfMessages']) + int(a['ApproximateNumberOfMessagesNotVisible']))";
    let empty = async |_: &Api| {
        let left = moto.boto3(left, json!({"url": url})).await?;
        ensure!(left == 0, "{left} are left");
        Ok(())
    };
    watcher.eventually("the queue is empty", LIMIT, empty).await?;
    Ok(())
}
