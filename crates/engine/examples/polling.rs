//! What it costs to watch a registry where nothing happens: requests, seconds and memory of the first pass, and of the
//! passes after it.
//!
//! ```text
//! cargo run --release -p supercargo-engine --example polling -- [REPOSITORIES] [TAGS] [PASSES]
//! ```
//!
//! 1000 repositories of 100 tags and 5 passes unless told otherwise. The registry is the test kit's, in this process,
//! and names no digests in its lists, as most do not. Passes come as fast as they can; a sweep takes 15 of them, as by
//! default.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use supercargo_engine::{Engine, Options, Progress, Watch};
use supercargo_registry::index::Indexer;
use supercargo_registry::{Credential, OciRegistry, TransportConfig};
use supercargo_store::{SqliteOptions, SqliteStore, Store};
use supercargo_testkit::{ImageBuilder, Layer, RegistryServer, contents};
use tokio::sync::broadcast::error::RecvError;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1).map(|argument| argument.parse::<usize>());
    let mut number = |default| arguments.next().unwrap_or(Ok(default));
    let (repositories, tags, passes) = (number(1000)?, number(100)?, number(5)?);

    let server = RegistryServer::builder().start().await?;
    let layer = Layer::new().file("etc/os-release", contents::os_release("debian", "12"));
    let image = ImageBuilder::new().with_layer(layer, "ADD rootfs.tar /").build();
    for repository in 0..repositories {
        for tag in 0..tags {
            server.push(&image, &format!("team/app-{repository}"), &format!("v{tag}"));
        }
    }
    report(&format!("{repositories} repositories of {tags} tags pushed"), Duration::ZERO, &BTreeMap::new());

    let directory = tempfile::tempdir()?;
    let store = SqliteStore::open(SqliteOptions::new(directory.path().join("supercargo.db"))).await?;
    let store: Arc<dyn Store> = Arc::new(store);
    let transport = TransportConfig::default();
    let registry = OciRegistry::new(server.host().parse()?, Arc::new(Credential::Anonymous), &transport)?;
    let interval = Duration::from_millis(1);
    let engine = Engine::builder(store, Arc::new(Indexer::new()))
        .with_watch(Watch { refresh_registry: true, ..Watch::new(Arc::new(registry)) })
        .with_options(Options { interval, sweep: 15 * interval, ..Options::default() })
        .build()?;
    let mut progress = engine.progress();
    let watching = engine.run(std::future::pending());
    let measuring = async {
        let mut requests = BTreeMap::new();
        let mut started = Instant::now();
        let mut pass = 0;
        // The server keeps the last 100 000 requests, so they are counted as they come.
        let mut ticks = tokio::time::interval(Duration::from_millis(100));
        while pass < passes {
            let done = tokio::select! {
                _ = ticks.tick() => false,
                told = progress.recv() => match told {
                    Ok(Progress::RegistryAway { reason, .. }) => return Err(reason.to_string()),
                    Ok(told) => matches!(told, Progress::Reconciled { .. }),
                    Err(RecvError::Lagged(_)) => false,
                    Err(RecvError::Closed) => return Ok(()),
                },
            };
            count(&server, &mut requests);
            if done {
                pass += 1;
                report(&format!("pass {pass}"), started.elapsed(), &std::mem::take(&mut requests));
                started = Instant::now();
            }
        }
        Ok(())
    };
    tokio::select! {
        summary = watching => { summary?; }
        measured = measuring => measured?,
    }
    Ok(())
}

fn count(server: &RegistryServer, requests: &mut BTreeMap<String, usize>) {
    let seen = server.requests();
    server.clear_requests();
    for request in seen {
        let kind = ["_catalog", "tags", "manifests", "blobs"].into_iter().find(|kind| request.path.contains(kind));
        *requests.entry(format!("{} {}", request.method, kind.unwrap_or("other"))).or_default() += 1;
    }
}

#[expect(clippy::print_stdout, reason = "a figure is what this is for")]
fn report(what: &str, time: Duration, requests: &BTreeMap<String, usize>) {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or("unknown").trim().to_owned();
    let requests: Vec<String> = requests.iter().map(|(kind, count)| format!("{count} {kind}")).collect();
    println!("{what}: {:.1} s, peak memory with the registry {peak}; {}", time.as_secs_f64(), requests.join(", "));
}
