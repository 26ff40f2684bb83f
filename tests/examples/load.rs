//! How many deliveries a second `supercargo-server` takes, and how long each waits: see `tests/load`.

#![expect(clippy::print_stdout, reason = "its report is what it is for")]

use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use supercargo_tests::{Api, Sender, Service, binary, eventually, free_port, push_event};
use tokio::task::JoinSet;

const SECRET: &str = "the-secret-of-the-load-test";
/// Nobody listens there: what is measured is the receiver, and not the indexing.
const REGISTRY: &str = "127.0.0.1:1";
/// Tags that the events speak of.
const TAGS: usize = 1000;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let mut number = |default: usize| -> Result<usize> {
        arguments.next().map_or(Ok(default), |text| text.parse().context("expected: EVENTS SENDERS"))
    };
    let (events, senders) = (number(100_000)?, number(64)?);
    let folder = tempfile::tempdir()?;
    let port = free_port();
    let address = format!("127.0.0.1:{port}");
    std::fs::write(folder.path().join("secret"), SECRET)?;
    let mut command = Command::new(binary("supercargo-server")?);
    command
        .args(["--listen", &address, "--registry", REGISTRY, "--interval", "3600", "--log", "warn"])
        .arg("--data")
        .arg(folder.path().join("data"))
        .arg("--event-secret-file")
        .arg(folder.path().join("secret"));
    let mut service = Service::start("supercargo-server", &mut command, &folder.path().join("log"))?;
    let api = Api::new(&address);
    eventually("the server is ready", Duration::from_secs(30), async || {
        service.check()?;
        api.document("/readyz").await
    })
    .await?;

    let before = memory(service.id())?;
    let start = Instant::now();
    let mut running = JoinSet::new();
    for sender in 0..senders {
        let share = events / senders + usize::from(sender < events % senders);
        running.spawn(send(address.clone(), sender, share));
    }
    let mut waits = Vec::with_capacity(events);
    let (mut refused, mut peak) = (0, before);
    let mut look = tokio::time::interval(Duration::from_millis(200));
    loop {
        tokio::select! {
            ended = running.join_next() => {
                let Some(ended) = ended else { break };
                let sent = ended??;
                waits.extend(sent.waits);
                refused += sent.refused;
            }
            _ = look.tick() => peak = peak.max(memory(service.id())?),
        }
    }
    let took = start.elapsed();
    let after = memory(service.id())?;
    let metrics = api.get("/metrics").await?.body;
    let stored = metrics.lines().find_map(|line| line.strip_prefix(r#"supercargo_events_total{outcome="stored"} "#));
    ensure!(
        stored == Some(&waits.len().to_string()),
        "{} were answered with 2xx, and {stored:?} are stored",
        waits.len()
    );

    waits.sort_unstable();
    let at = |share: f64| waits[((waits.len() - 1) as f64 * share) as usize];
    println!("events      {} taken, {refused} turned away, {senders} senders", waits.len());
    println!("rate        {:.0} a second", waits.len() as f64 / took.as_secs_f64());
    println!("answer      median {:.1?}, p99 {:.1?}, longest {:.1?}", at(0.5), at(0.99), at(1.0));
    println!("memory      {before} KiB before, {peak} KiB at most, {after} KiB after");
    Ok(())
}

struct Sent {
    waits: Vec<Duration>,
    refused: usize,
}

async fn send(address: String, sender: usize, share: usize) -> Result<Sent> {
    let mut connection = Sender::connect(&address).await?;
    let headers = format!("Authorization: Bearer {SECRET}\r\nContent-Type: application/json\r\n");
    let mut sent = Sent { waits: Vec::with_capacity(share), refused: 0 };
    for number in 0..share {
        let tag = format!("t{}", (sender * 7919 + number) % TAGS);
        let body = push_event(&format!("{sender}-{number}"), REGISTRY, "team/app", &tag);
        let start = Instant::now();
        match connection.post("/v1/events/distribution/main", &headers, &body).await? {
            202 => sent.waits.push(start.elapsed()),
            503 => sent.refused += 1,
            status => anyhow::bail!("status {status}"),
        }
    }
    Ok(sent)
}

/// Memory that the process has in use (`VmRSS`), in KiB.
fn memory(process: u32) -> Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).context("read /proc: this needs Linux")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
    line.trim().trim_end_matches("kB").trim().parse().context("read VmRSS")
}
