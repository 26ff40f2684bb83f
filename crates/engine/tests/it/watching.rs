//! What is watched changes while the engine runs.

use std::sync::Arc;
use std::time::Duration;

use supercargo_engine::{Backoff, Engine, ImageIndexer, TagPatterns, Watch};
use supercargo_registry::{ErrorKind, MemoryRegistry};
use supercargo_store::JobState;

use crate::support::{Gated, HOST, Running, Ship, wait_for};

fn engine_without_watches(ship: &Ship) -> Engine {
    Engine::builder(Arc::clone(&ship.store), Arc::clone(&ship.indexer) as Arc<dyn ImageIndexer>)
        .with_options(ship.options.clone())
        .build()
        .unwrap()
}

fn everything(ship: &Ship) -> Watch {
    Watch { all_images: true, refresh_registry: true, ..ship.watch() }
}

#[tokio::test]
async fn a_registry_that_is_added_is_looked_at_at_once() {
    let ship = Ship::new();
    let digest = ship.push("team/app", "1.0", "one");
    let running = Running::start(engine_without_watches(&ship));
    wait_for("a running engine", async || running.engine.status().running).await;
    assert!(running.engine.status().registries.is_empty());

    running.engine.begin_watch(everything(&ship));
    wait_for("indexed image", async || ship.digests().await == [digest.clone()].into()).await;
    let running = running.reconciled().await;
    assert_eq!(running.engine.watches().map(|watch| watch.host().to_owned()).collect::<Vec<_>>(), [HOST]);
    running.stop().await;
}

#[tokio::test]
async fn a_registry_that_is_removed_has_its_jobs_stopped_and_another_does_not() {
    let mut ship = Ship::new();
    ship.indexer = Gated::closed();
    ship.push("team/app", "1.0", "one");
    let other = MemoryRegistry::new("other.test");
    let stays = other.push_image(&"team/app".parse().unwrap(), "1.0", &[&[0; 1024]]).unwrap();
    let engine = ship.engine();
    engine.begin_watch(Watch { all_images: true, ..Watch::new(Arc::new(other)) });
    let running = Running::start(engine);
    wait_for("both jobs", async || ship.indexer.runs() == 2).await;

    assert!(running.engine.end_watch(HOST));
    assert!(!running.engine.end_watch(HOST));
    let job_of = async |host: &str| {
        let jobs = ship.jobs().await;
        jobs.into_iter().find(|job| job.work.repository().registry == host).unwrap()
    };
    wait_for("a job that is given back", async || job_of(HOST).await.state == JobState::Queued).await;
    assert_eq!(job_of(HOST).await.attempt, 0, "as if it had not been claimed");
    assert_eq!(running.engine.status().registries.len(), 1);
    ship.indexer.gate.add_permits(100);
    wait_for("the other's image", async || ship.digests().await == [stays.clone()].into()).await;
    assert_eq!(job_of(HOST).await.state, JobState::Queued);

    running.engine.begin_watch(everything(&ship));
    wait_for("both images", async || ship.images().await.len() == 2).await;
    running.stop().await;
}

#[tokio::test]
async fn a_registry_that_is_watched_otherwise_is_looked_at_anew() {
    let ship = Ship::new();
    ship.push("team/app", "1.0", "one");
    let engine = ship.engine_with(Watch { tags: TagPatterns::new(["^v"]).unwrap(), ..everything(&ship) });
    let running = Running::start(engine).reconciled().await;
    assert!(ship.images().await.is_empty());
    running.engine.begin_watch(everything(&ship));
    wait_for("indexed image", async || ship.images().await.len() == 1).await;
    running.stop().await;
}

/// A pause is for what was asked: with another password the registry is asked again.
#[tokio::test]
async fn a_registry_that_is_watched_anew_is_not_left_alone_any_longer() {
    let mut ship = Ship::new();
    let hour = Duration::from_secs(3600);
    ship.options.retry.refused_pause = Backoff { base: hour, cap: hour };
    ship.push("team/app", "1.0", "one");
    ship.registry.set_away(Some(ErrorKind::Unauthorized));
    let running = Running::start(ship.engine());
    wait_for("a refusal", async || running.engine.status().registries[0].last_error.is_some()).await;
    ship.registry.set_away(None);
    running.engine.begin_watch(everything(&ship));
    wait_for("indexed image", async || ship.images().await.len() == 1).await;
    running.stop().await;
}
