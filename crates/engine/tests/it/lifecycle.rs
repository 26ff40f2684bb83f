//! Starts, stops and crashes.

use std::sync::Arc;
use std::time::Duration;

use supercargo_engine::{Engine, ErrorKind, Progress};
use supercargo_store::JobState;

use crate::support::{Gated, Running, Ship, settle, wait_for};

#[tokio::test]
async fn a_stop_lets_running_jobs_end() {
    let mut ship = Ship::new();
    ship.indexer = Gated::closed();
    let digest = ship.push("team/app", "1.0", "one");
    let running = Running::start(ship.engine());
    wait_for("running job", async || ship.indexer.runs() == 1).await;
    assert_eq!(running.engine.status().jobs.len(), 1);
    let stopped = tokio::spawn(running.stop());
    ship.indexer.gate.add_permits(1);
    let summary = stopped.await.unwrap();
    assert_eq!((summary.counters.indexed, summary.idle), (1, false));
    assert_eq!(ship.digests().await, [digest].into());
}

#[tokio::test]
async fn a_stop_gives_back_what_does_not_end_in_time() {
    let mut ship = Ship::new();
    ship.indexer = Gated::closed();
    ship.options.grace = Duration::from_millis(10);
    ship.push("team/app", "1.0", "one");
    let running = Running::start(ship.engine());
    wait_for("running job", async || ship.indexer.runs() == 1).await;
    running.stop().await;
    let job = ship.jobs().await.remove(0);
    assert_eq!((job.state, job.attempt), (JobState::Queued, 0), "as if it had not been claimed");

    ship.indexer.gate.add_permits(1);
    ship.sail().await;
    assert_eq!(ship.images().await.len(), 1);
}

#[tokio::test]
async fn after_a_crash_the_work_goes_on_at_once() {
    let mut ship = Ship::new();
    ship.indexer = Gated::closed();
    for seed in ["one", "two", "three", "four", "five"] {
        ship.push("team/app", seed, seed);
    }
    let running = Running::start(ship.engine());
    wait_for("running jobs", async || ship.indexer.runs() == 3).await;
    ship.indexer.gate.add_permits(2);
    wait_for("indexed images", async || ship.images().await.len() == 2).await;
    running.crash().await;

    // The leases of the crashed run last for half a minute; the test does not.
    ship.indexer.gate.add_permits(100);
    ship.sail().await;
    assert_eq!(ship.images().await.len(), 5);
    assert!(ship.jobs().await.iter().all(|job| job.state == JobState::Done));
}

#[tokio::test]
async fn an_engine_runs_once_at_a_time_and_as_often_as_one_likes() {
    let mut ship = Ship::new();
    ship.indexer = Gated::closed();
    ship.push("team/app", "1.0", "one");
    let running = Running::start(ship.engine());
    wait_for("running job", async || ship.indexer.runs() == 1).await;
    let engine = running.engine.clone();
    assert!(engine.status().running);
    let error = engine.run_until_idle(std::future::pending()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Running);
    ship.indexer.gate.add_permits(100);
    running.stop().await;
    assert!(!engine.status().running);
    settle(&engine).await;
    assert_eq!(ship.images().await.len(), 1);
}

#[tokio::test]
async fn jobs_of_registries_that_are_not_watched_are_left_alone() {
    let ship = Ship::new();
    let work = supercargo_store::Work::Refresh {
        repository: supercargo_store::RepositoryName::new("elsewhere.test", "team/app"),
        reference: None,
    };
    ship.store.enqueue(vec![supercargo_store::NewJob::new(work, supercargo_store::Lane::Push)]).await.unwrap();
    ship.push("team/app", "1.0", "one");
    ship.sail().await;
    assert_eq!(ship.images().await.len(), 1);
    let foreign = ship.jobs().await.into_iter().find(|job| job.work.repository().registry == "elsewhere.test").unwrap();
    assert_eq!((foreign.state, foreign.attempt), (JobState::Queued, 0));
}

#[tokio::test]
async fn progress_tells_the_way_of_an_image() {
    let ship = Ship::new();
    let digest = ship.push("team/app", "1.0", "one");
    let engine = ship.engine();
    let mut progress = engine.progress();
    settle(&engine).await;
    let mut told = Vec::new();
    while let Ok(notice) = progress.try_recv() {
        told.push(match notice {
            Progress::Queued { .. } => "queued",
            Progress::Started { .. } => "started",
            Progress::Indexed { digest: indexed, packages: 0, layers: 1, .. } if indexed == digest => "indexed",
            Progress::Reconciled { summary, .. } if summary.changed == 1 => "reconciled",
            other => panic!("{other:?}"),
        });
    }
    told.sort_unstable();
    assert_eq!(told, ["indexed", "queued", "reconciled", "started"]);
}

#[tokio::test]
async fn what_is_wrong_with_the_set_up_is_said_all_at_once() {
    let ship = Ship::new();
    let options = supercargo_engine::Options { workers: 0, lease: Duration::ZERO, ..ship.options.clone() };
    let error = Engine::builder(Arc::clone(&ship.store), Gated::open())
        .with_watch(ship.watch())
        .with_watch(ship.watch())
        .with_options(options)
        .build()
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Configuration);
    for part in ["registry.test is watched twice", "workers", "lease"] {
        assert!(error.to_string().contains(part), "{error}");
    }
}

#[tokio::test]
async fn a_lease_is_extended_for_as_long_as_the_job_runs() {
    let mut ship = Ship::new();
    ship.indexer = Gated::closed();
    // Long enough that a busy machine gets to the heartbeats in time.
    ship.options.lease = Duration::from_millis(600);
    ship.push("team/app", "1.0", "one");
    let running = Running::start(ship.engine());
    wait_for("running job", async || ship.indexer.runs() == 1).await;
    ship.options.name = "another".to_owned();
    let other = Running::start(ship.engine());
    let begun = ship.jobs().await[0].lease_until.unwrap();
    wait_for("lease three times as long", async || {
        let until = ship.jobs().await[0].lease_until.unwrap();
        until.duration_since(begun).unsigned_abs() > ship.options.lease * 3
    })
    .await;
    assert_eq!(ship.indexer.runs(), 1, "nobody else may have it");
    ship.indexer.gate.add_permits(1);
    wait_for("indexed image", async || ship.images().await.len() == 1).await;
    running.stop().await;
    other.stop().await;
}

#[tokio::test]
async fn a_worker_that_lost_its_lease_is_stopped_and_its_result_dropped() {
    let mut ship = Ship::new();
    ship.indexer = Gated::closed();
    ship.options.lease = Duration::from_millis(90);
    ship.push("team/app", "1.0", "one");
    let running = Running::start(ship.engine());
    wait_for("running job", async || ship.indexer.runs() == 1).await;
    ship.store.recover(&ship.options.name).await.unwrap();
    wait_for("second run", async || ship.indexer.runs() == 2).await;
    wait_for("end of the first", async || running.engine.status().jobs.len() == 1).await;
    ship.indexer.gate.add_permits(2);
    wait_for("indexed image", async || ship.images().await.len() == 1).await;
    let summary = running.stop().await;
    assert_eq!(summary.counters.indexed, 1);
}

#[tokio::test]
async fn a_push_without_an_event_is_found_by_the_next_pass() {
    let mut ship = Ship::new();
    ship.options.interval = Duration::from_millis(10);
    let running = Running::start(ship.engine()).reconciled().await;
    let digest = ship.push("team/app", "1.0", "one");
    wait_for("indexed image", async || ship.digests().await == [digest.clone()].into()).await;
    running.stop().await;
}

#[tokio::test]
async fn an_engine_starts_while_its_registry_is_away_and_goes_on_when_it_is_back() {
    let ship = Ship::new();
    let digest = ship.push("team/app", "1.0", "one");
    ship.registry.set_away(Some(supercargo_registry::ErrorKind::Network));
    let running = Running::start(ship.engine());
    wait_for("failed passes", async || running.engine.status().counters.failed_passes >= 3).await;
    ship.registry.set_away(None);
    wait_for("indexed image", async || ship.digests().await == [digest.clone()].into()).await;
    running.stop().await;
}

#[tokio::test]
async fn a_pass_that_panics_is_followed_by_the_next() {
    let mut ship = Ship::new();
    ship.options.interval = Duration::from_millis(10);
    ship.registry.switches.panics.store(true, std::sync::atomic::Ordering::SeqCst);
    let digest = ship.push("team/app", "1.0", "one");
    let running = Running::start(ship.engine());
    wait_for("indexed image", async || ship.digests().await == [digest.clone()].into()).await;
    assert_eq!(running.engine.status().counters.failed_passes, 1);
    running.stop().await;
}

#[tokio::test]
async fn two_engines_on_one_store_share_the_work() {
    let mut ship = Ship::new();
    for number in 0..12 {
        ship.push("team/app", &format!("v{number}"), &format!("seed {number}"));
    }
    let first = ship.engine();
    ship.options.name = "another".to_owned();
    let second = ship.engine();
    let (one, two) = tokio::join!(settle(&first), settle(&second));
    assert_eq!(one.counters.indexed + two.counters.indexed, 12);
    assert_eq!((ship.indexer.runs(), ship.images().await.len()), (12, 12));
}
