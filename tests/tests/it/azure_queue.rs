//! Queues of Azure Storage: Microsoft's emulator has them, Microsoft's own client writes to them.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use base64::Engine as _;
use serde_json::{Value, json};
use supercargo_events::Secret;
use supercargo_events::pull::{AzureAccess, AzureQueue, AzureQueueOptions, Message, PullSource as _};
use supercargo_testkit::{EntraServer, RegistryServer};
use supercargo_tests::{Api, Azurite, Watcher, WatcherBuilder, app, run_python};

const LIMIT: Duration = Duration::from_secs(60);
const QUEUE: &str = "registry-events";
const CREATE: &str = "queue.create_queue()";
/// What is in the queue, messages in somebody's hands included.
const COUNT: &str = "print(queue.get_queue_properties().approximate_message_count)";
/// A signature that is good for an hour: it may process and update messages, and nothing else.
const SIGNATURE: &str = "print(generate_queue_sas(queue.account_name, queue.queue_name, queue.credential.account_key,\n\
    \x20   permission=QueueSasPermissions(process=True, update=True),\n\
    \x20   expiry=datetime.now(timezone.utc) + timedelta(hours=1)))";

/// An event as Event Grid writes one into a queue: alone, without the list around it.
fn push(id: &str, tag: &str) -> Value {
    json!({
        "id": id, "topic": "/subscriptions/s/resourceGroups/g/providers/Microsoft.ContainerRegistry/registries/r",
        "subject": format!("team/app:{tag}"), "eventType": "Microsoft.ContainerRegistry.ImagePushed",
        "eventTime": "2026-11-22T10:00:00.0000000Z", "dataVersion": "1.0", "metadataVersion": "1",
        "data": {
            "id": id, "timestamp": "2026-11-22T10:00:00.000000000Z", "action": "push",
            "target": {
                "mediaType": "application/vnd.oci.image.manifest.v1+json", "repository": "team/app", "tag": tag,
            },
            "request": {"id": id, "host": "registry.azurecr.io", "method": "PUT", "useragent": "docker/28.1.1"},
        },
    })
}

/// A watcher of `server` that asks the queue of `azurite`, with more fields for the source.
fn watching(builder: WatcherBuilder, server: &RegistryServer, azurite: &Azurite, more: &str) -> WatcherBuilder {
    let url = azurite.queue_url(QUEUE);
    let source = format!("name=azure,provider=event-grid,host={},queue={url}{more}", server.host());
    builder.with_arguments(["--registry", &server.host(), "--interval", "3600", "--event-source", &source])
}

/// Writes the secret of the source; the field that names it.
fn secret(builder: &WatcherBuilder, text: &str) -> Result<String> {
    let file = builder.folder().join("queue-secret");
    std::fs::write(&file, text)?;
    Ok(format!(",secret-file={}", file.display()))
}

/// The states of what came in.
async fn states(api: &Api) -> Result<Vec<String>> {
    let events = api.items("/v1/events").await?;
    Ok(events.iter().map(|event| event["state"].as_str().unwrap_or_default().to_owned()).collect())
}

async fn emptied(watcher: &Watcher, azurite: &Azurite) -> Result<()> {
    let empty = async |_: &Api| {
        let left = azurite.run(QUEUE, COUNT, &[]).await?;
        ensure!(left.trim() == "0", "{left} are left");
        Ok(())
    };
    watcher.eventually("the queue is empty", LIMIT, empty).await?;
    Ok(())
}

#[tokio::test]
async fn a_queue_of_azure_is_emptied() -> Result<()> {
    let server = RegistryServer::builder().without_catalog().start().await?;
    let builder = Watcher::builder()?;
    let azurite = Azurite::start(builder.folder()).await?;
    azurite.run(QUEUE, CREATE, &[]).await?;
    let image = app(1).build();
    server.push(&image, "team/app", "1.0");
    // In base64 as Event Grid writes them, one of them twice, more than one call hands out; as plain text, with what XML
    // must escape; a CloudEvent; a list; and what is no event at all.
    let encoded: Vec<String> = (0..41).map(|number| push(&format!("e{}", number % 40), "1.0").to_string()).collect();
    let mut odd = push("<odd> & \"quoted\"", "1.0");
    odd["subject"] = json!("team/app:1.0 é ]]>");
    let cloud = json!({
        "specversion": "1.0", "id": "c", "type": "Microsoft.ContainerRegistry.ImagePushed",
        "source": push("c", "1.0")["topic"], "subject": "team/app:1.0", "data": push("c", "1.0")["data"],
    });
    let plain = [odd.to_string(), cloud.to_string(), json!([push("listed", "1.0")]).to_string(), "hello".to_owned()];
    let send = "for body in json.loads(sys.argv[4]): encoded.send_message(body)\n\
        for body in json.loads(sys.argv[5]): queue.send_message(body)";
    azurite.run(QUEUE, send, &[&serde_json::to_string(&encoded)?, &serde_json::to_string(&plain)?]).await?;

    let secret = secret(&builder, &azurite.connection_string())?;
    let watcher = watching(builder, &server, &azurite, &secret).start().await?;
    watcher.indexed(image.digest(), LIMIT).await?;
    let all = async |api: &Api| {
        let found = states(api).await?;
        ensure!(found.len() == 44, "{} {found:?}", found.len());
        Ok(found)
    };
    let (found, _) = watcher.eventually("each event is stored once", LIMIT, all).await?;
    assert_eq!(found.iter().filter(|state| *state == "accepted").count(), 43, "{found:?}");
    assert_eq!(found.iter().filter(|state| *state == "quarantined").count(), 1, "{found:?}");
    emptied(&watcher, &azurite).await
}

#[tokio::test]
async fn a_queue_is_read_by_a_signature() -> Result<()> {
    let server = RegistryServer::builder().without_catalog().start().await?;
    let builder = Watcher::builder()?;
    let azurite = Azurite::start(builder.folder()).await?;
    azurite.run(QUEUE, CREATE, &[]).await?;
    let signature = azurite.run(QUEUE, SIGNATURE, &[]).await?;
    let image = app(1).build();
    server.push(&image, "team/app", "1.0");
    azurite.run(QUEUE, "encoded.send_message(sys.argv[4])", &[&push("1", "1.0").to_string()]).await?;
    let secret = secret(&builder, &signature)?;
    let watcher = watching(builder, &server, &azurite, &secret).start().await?;
    watcher.indexed(image.digest(), LIMIT).await?;
    emptied(&watcher, &azurite).await?;
    let (_, sig) = signature.trim().split_once("sig=").context("a signature")?;
    let sig = sig.split('&').next().unwrap_or_default();
    assert!(!watcher.log().contains(sig), "{}", watcher.log());
    Ok(())
}

/// Where a machine's identity comes from is a stand-in; who judges its token is the emulator.
#[tokio::test]
async fn a_queue_is_read_by_the_machines_identity() -> Result<()> {
    let server = RegistryServer::builder().without_catalog().start().await?;
    let entra = EntraServer::start().await?;
    entra.set_system_identity("11111111-1111-1111-1111-111111111111");
    let builder = Watcher::builder()?;
    let azurite = Azurite::start_with_tokens(builder.folder()).await?;
    azurite.run(QUEUE, CREATE, &[]).await?;
    let image = app(1).build();
    server.push(&image, "team/app", "1.0");
    azurite.run(QUEUE, "encoded.send_message(sys.argv[4])", &[&push("1", "1.0").to_string()]).await?;
    let builder = builder
        .with_variable("SSL_CERT_FILE", azurite.authority()?)
        .with_variable("IDENTITY_ENDPOINT", format!("http://{}/msi/token", entra.host()))
        .with_variable("IDENTITY_HEADER", "the secret of the platform");
    let watcher = watching(builder, &server, &azurite, ",identity=managed").start().await?;
    watcher.indexed(image.digest(), LIMIT).await?;
    emptied(&watcher, &azurite).await?;
    // Calls are many, and the token is one.
    let asked = entra.requests();
    assert_eq!(asked.len(), 1, "{asked:?}");
    assert!(asked[0].query.contains("storage.azure.com"), "{asked:?}");
    Ok(())
}

#[tokio::test]
async fn a_queue_that_cannot_be_read_is_told() -> Result<()> {
    let server = RegistryServer::builder().without_catalog().start().await?;
    let builder = Watcher::builder()?;
    let azurite = Azurite::start(builder.folder()).await?;
    let secret = secret(&builder, &azurite.connection_string())?;
    let watcher = watching(builder, &server, &azurite, &secret).start().await?;
    let told = async |_: &Api| {
        ensure!(watcher.log().contains("QueueNotFound"), "nothing is told");
        Ok(())
    };
    watcher.eventually("the log says what is wrong", LIMIT, told).await?;
    // Once it is there, it is read.
    let image = app(1).build();
    server.push(&image, "team/app", "1.0");
    azurite.run(QUEUE, CREATE, &[]).await?;
    azurite.run(QUEUE, "queue.send_message(sys.argv[4])", &[&push("1", "1.0").to_string()]).await?;
    watcher.indexed(image.digest(), LIMIT).await?;
    Ok(())
}

/// What the store refuses for itself comes again and again. The sixth time it is kept aside.
#[tokio::test]
async fn a_message_that_cannot_be_stored_is_set_aside() -> Result<()> {
    let server = RegistryServer::builder().without_catalog().start().await?;
    let builder = Watcher::builder()?;
    let azurite = Azurite::start(builder.folder()).await?;
    azurite.run(QUEUE, CREATE, &[]).await?;
    let secret = secret(&builder, &azurite.connection_string())?;
    let mut watcher = watching(builder, &server, &azurite, &secret).start().await?;
    watcher.stop().await?;
    let trigger = "import sys, sqlite3\n\
        with sqlite3.connect(sys.argv[1]) as database:\n\
        \x20   database.execute(\"CREATE TRIGGER poison BEFORE INSERT ON events WHEN NEW.state = 'accepted' \"\n\
        \x20       \"BEGIN SELECT RAISE(ABORT, 'it does not go in'); END\")";
    run_python(trigger, &[&watcher.data().join("supercargo.db").display().to_string()]).await?;
    let send = "queue.send_message(sys.argv[4])\n\
        for _ in range(5):\n\
        \x20   queue.update_message(queue.receive_message(visibility_timeout=30), visibility_timeout=0)";
    azurite.run(QUEUE, send, &[&push("poison", "1.0").to_string()]).await?;

    watcher.start().await?;
    let aside = async |api: &Api| {
        let mut events = api.items("/v1/events").await?;
        ensure!(events.len() == 1, "{events:?}");
        Ok(events.remove(0))
    };
    let (event, _) = watcher.eventually("it is kept aside", LIMIT, aside).await?;
    assert_eq!(event["state"], "quarantined");
    assert!(event["reason"].as_str().is_some_and(|reason| reason.contains("handed out 6 times")), "{event}");
    emptied(&watcher, &azurite).await
}

#[tokio::test]
async fn messages_are_ours_until_they_are_acknowledged() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let azurite = Azurite::start(folder.path()).await?;
    azurite.run(QUEUE, CREATE, &[]).await?;
    for body in ["one", "two"] {
        azurite.run(QUEUE, "encoded.send_message(sys.argv[4])", &[body]).await?;
    }
    let access = AzureAccess::of_secret(&Secret::new(azurite.connection_string()))?;
    let queue = AzureQueue::new(AzureQueueOptions { url: azurite.queue_url(QUEUE), access, proxy: None })?;
    let messages = queue.receive().await?;
    let bodies: Vec<_> = messages.iter().map(|message| (&*message.body, message.receptions)).collect();
    assert_eq!(bodies, [(b"one".as_slice(), 1), (b"two".as_slice(), 1)]);
    assert!(queue.receive().await?.is_empty(), "they are in our hands");

    // Keeping a message gives another receipt, and the old one is good for nothing.
    let kept = queue.extend(&messages).await?;
    assert!(kept.iter().zip(&messages).all(|(new, old)| new.id == old.id && new.receipt != old.receipt), "{kept:?}");
    let error = queue.acknowledge(&messages).await.unwrap_err();
    assert!(error.to_string().contains("PopReceiptMismatch"), "{error}");
    let mixed: Vec<Message> = vec![kept[0].clone(), messages[1].clone()];
    assert_eq!(queue.acknowledge(&mixed).await?, [messages[1].clone()]);
    // What is gone already is no trouble.
    assert_eq!(queue.acknowledge(&kept).await?, []);
    assert_eq!(azurite.run(QUEUE, COUNT, &[]).await?.trim(), "0");
    Ok(())
}

#[tokio::test]
async fn who_may_not_read_is_told_why() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let azurite = Azurite::start(folder.path()).await?;
    azurite.run(QUEUE, CREATE, &[]).await?;
    let wrong = base64::engine::general_purpose::STANDARD.encode("another key");
    let secrets = [
        format!("AccountName=supercargo;AccountKey={wrong}"),
        "sv=2021-12-02&sp=pu&se=2999-01-01T00%3A00%3A00Z&sig=AAAA".to_owned(),
    ];
    for secret in secrets {
        let access = AzureAccess::of_secret(&Secret::new(secret.clone()))?;
        let queue = AzureQueue::new(AzureQueueOptions { url: azurite.queue_url(QUEUE), access, proxy: None })?;
        let error = queue.receive().await.unwrap_err();
        assert!(!error.is_retryable(), "{error}");
        let text = format!("{error:?}");
        assert!(text.contains("AuthorizationFailure") || text.contains("AuthenticationFailed"), "{text}");
        assert!(!text.contains(&wrong) && !text.contains("sig="), "{text}");
    }
    Ok(())
}
