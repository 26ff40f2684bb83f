//! Many deliveries at once, and a server that is killed among them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result, ensure};
use supercargo_testkit::{Image, RegistryServer};
use supercargo_tests::{Api, EVENT_SECRET, Sender, Watcher, app, push_event};
use tokio::task::JoinSet;

const LIMIT: Duration = Duration::from_secs(60);
const PATH: &str = "/v1/events/distribution/main";
/// Senders at one time.
const SENDERS: usize = 16;
/// Times that the watcher is killed.
const KILLS: usize = 4;

fn headers() -> String {
    format!("Authorization: Bearer {EVENT_SECRET}\r\nContent-Type: application/json\r\n")
}

/// Sends events until the connection breaks; the identifiers of those that were answered with a success.
async fn send(address: String, host: String, prefix: String) -> Vec<String> {
    let mut taken = Vec::new();
    let Ok(mut sender) = Sender::connect(&address).await else { return taken };
    for number in 0.. {
        let id = format!("{prefix}-{number}");
        let body = push_event(&id, &host, "team/app", &format!("1.{}", number % 6));
        match sender.post(PATH, &headers(), &body).await {
            Ok(status) if (200..300).contains(&status) => taken.push(id),
            Ok(503) => {}
            Ok(status) => panic!("status {status}"),
            Err(_) => return taken,
        }
    }
    taken
}

/// Some time between 50 and 450 milliseconds. What the clock says below the millisecond is as random as is needed.
fn moment() -> Duration {
    let nanos = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().subsec_nanos();
    Duration::from_millis(50 + u64::from(nanos / 1000 % 400))
}

/// Every delivery that is stored, with how often.
async fn stored(api: &Api) -> Result<BTreeMap<String, usize>> {
    let mut found = BTreeMap::new();
    let mut cursor = String::new();
    loop {
        let page = api.document(&format!("/v1/events?limit=1000{cursor}")).await?;
        for event in page["items"].as_array().context("a list without items")? {
            *found.entry(event["key"].as_str().unwrap_or_default().to_owned()).or_default() += 1;
        }
        match page["next"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return Ok(found),
        }
    }
}

#[tokio::test]
async fn what_was_answered_survives_a_kill_and_is_done_once() -> Result<()> {
    let server = RegistryServer::builder().without_catalog().start().await?;
    let watcher = Watcher::builder()?;
    let mut watcher = watcher.with_arguments(["--registry", &server.host(), "--interval", "3600"]).start().await?;
    let images: Vec<Image> = (0..6).map(|number| app(number).build()).collect();
    let push = |range: std::ops::Range<usize>| {
        for number in range {
            server.push(&images[number], "team/app", &format!("1.{number}"));
        }
    };
    push(0..3);
    let mut taken = BTreeSet::new();
    for round in 0..KILLS {
        if round == 1 {
            // Indexed by now, and never to be read again; the others are read while the watcher is killed.
            for image in &images[..3] {
                watcher.indexed(image.digest(), LIMIT).await?;
            }
            push(3..6);
        }
        let mut senders = JoinSet::new();
        for sender in 0..SENDERS {
            senders.spawn(send(watcher.address(), server.host(), format!("{round}-{sender}")));
        }
        tokio::time::sleep(moment()).await;
        watcher.kill()?;
        while let Some(answered) = senders.join_next().await {
            taken.extend(answered?);
        }
        watcher.start().await?;
    }
    ensure!(taken.len() > 100, "{} events were taken, too few to tell anything", taken.len());
    let found = stored(&watcher.api).await?;
    let lost: Vec<&String> = taken.iter().filter(|id| !found.contains_key(*id)).collect();
    assert!(lost.is_empty(), "{} of {} answered events are lost: {lost:?}", lost.len(), taken.len());
    assert!(found.values().all(|count| *count == 1), "an event is stored twice");

    for image in &images {
        watcher.indexed(image.digest(), LIMIT).await?;
    }
    let idle = async |api: &Api| {
        let queue = api.document("/v1/queue").await?;
        let waiting = |name: &str| queue["lanes"][0][name].as_u64().unwrap_or_default();
        ensure!(waiting("ready") + waiting("delayed") + waiting("running") == 0, "{queue}");
        Ok(())
    };
    watcher.eventually("the queue is empty", LIMIT, idle).await?;
    assert_eq!(watcher.api.images().await?.len(), images.len());
    for (number, image) in images.iter().enumerate() {
        let reads = server.blob_requests(image.config.digest());
        let most = if number < 3 { 2 } else { KILLS };
        assert!((1..=most).contains(&reads), "image {number} was read {reads} times, at most {most} expected");
    }
    assert_eq!(watcher.api.failures().await?, Vec::<serde_json::Value>::new());
    Ok(())
}
