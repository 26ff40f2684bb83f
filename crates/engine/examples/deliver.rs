//! How long it takes to deliver many images to Docker Scout's stand-in.
//!
//! ```text
//! cargo run --release -p supercargo-engine --example deliver -- [IMAGES] [CONCURRENCY] [MILLISECONDS PER CALL]
//! ```

use std::sync::Arc;
use std::time::{Duration, Instant};

use supercargo_engine::scout::{Credential, Endpoints, ScoutClient, ScoutConfig};
use supercargo_engine::sink::{ScoutSink, ScoutSinkConfig};
use supercargo_engine::{Engine, Route, Watch};
use supercargo_registry::index::Indexer;
use supercargo_registry::{MemoryRegistry, Repository};
use supercargo_store::{Change, DeliveryKind, ImageFilter, Lane, NewDelivery, Page, SqliteOptions, SqliteStore, Store};
use supercargo_testkit::ScoutServer;

type Failed = Box<dyn std::error::Error>;

#[tokio::main]
async fn main() -> Result<(), Failed> {
    let mut arguments = std::env::args().skip(1);
    let mut number = |default: u64| arguments.next().map_or(Ok(default), |text| text.parse());
    let (images, concurrency, latency) = (number(1000)?, number(8)?, number(50)?);

    let directory = tempfile::tempdir()?;
    let store = SqliteStore::open(SqliteOptions::new(directory.path().join("supercargo.db"))).await?;
    let store: Arc<dyn Store> = Arc::new(store);
    let registry = MemoryRegistry::new("registry.test");
    for image in 0..images {
        let repository: Repository = format!("team/app{}", image % 50).parse()?;
        registry.push_image(&repository, &format!("1.{image}"), &[&layer(image)])?;
    }
    let began = Instant::now();
    Engine::builder(Arc::clone(&store), Arc::new(Indexer::new()))
        .with_watch(Watch { all_images: true, ..Watch::new(Arc::new(registry)) })
        .build()?
        .run_until_idle(std::future::pending())
        .await?;
    say(&format!("{images} images indexed in {:.1?}", began.elapsed()));
    store.apply(rows(&*store).await?).await?;

    let scout = ScoutServer::builder().with_organization("acme").start().await?;
    scout.set_latency(Duration::from_millis(latency));
    let config = ScoutConfig::new("acme").with_endpoints(Endpoints::at(&scout.url()));
    let client = ScoutClient::new(config, Credential::login("acme", "dckr_oat_secret"))?;
    let sink = Arc::new(ScoutSink::new(ScoutSinkConfig { client, packages: true }));
    let route = Route { concurrency: usize::try_from(concurrency)?, ..Route::new("scout", sink) };
    let began = Instant::now();
    Engine::builder(store, Arc::new(Indexer::new()))
        .with_route(route)
        .build()?
        .run_until_idle(std::future::pending())
        .await?;
    let took = began.elapsed();
    let calls = scout.transactions().len();
    let floor = Duration::from_millis(latency).mul_f64(calls as f64 / concurrency as f64);
    say(&format!(
        "{} images delivered in {took:.1?}: {calls} calls of {latency} ms, {concurrency} deliveries at a time, which \
         allow {floor:.1?}; {} problems",
        scout.indexed(),
        scout.problems().len()
    ));
    scout.shutdown().await;
    Ok(())
}

/// A delivery of every image.
async fn rows(store: &dyn Store) -> Result<Vec<Change>, Failed> {
    let mut rows = Vec::new();
    let mut page = Page::first(Page::LIMIT);
    loop {
        let listing = store.images(&ImageFilter::default(), &page).await?;
        for image in listing.items {
            let repository = image.places[0].repository.clone();
            let row = NewDelivery::new("scout", DeliveryKind::Indexed, repository, image.digest);
            rows.push(Change::Deliver(row.with_lane(Lane::Backfill)));
        }
        match listing.next {
            Some(next) => page = Page::after(next, Page::LIMIT),
            None => return Ok(rows),
        }
    }
}

#[expect(clippy::print_stdout, reason = "what it measured is what it is for")]
fn say(line: &str) {
    println!("{line}");
}

/// A tar with a database of thirty packages, so that an upload has two chunks of them.
fn layer(seed: u64) -> Vec<u8> {
    let mut status = String::new();
    for package in 0..30 {
        status.push_str(&format!(
            "Package: package-{package}\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1.{seed}\n\n"
        ));
    }
    let mut header = [0_u8; 512];
    header[..19].copy_from_slice(b"var/lib/dpkg/status");
    header[100..107].copy_from_slice(b"0000644");
    header[124..135].copy_from_slice(format!("{:011o}", status.len()).as_bytes());
    header[156] = b'0';
    header[257..263].copy_from_slice(b"ustar\0");
    header[263..265].copy_from_slice(b"00");
    header[148..156].copy_from_slice(b"        ");
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
    let mut tar = header.to_vec();
    tar.extend(status.as_bytes());
    tar.resize(512 + status.len().next_multiple_of(512) + 1024, 0);
    tar
}
