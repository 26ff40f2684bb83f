//! What a pass over a registry where nothing happens costs, and what it sees all the same.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use supercargo_engine::store::{SqliteOptions, SqliteStore};
use supercargo_engine::{Engine, Progress, Watch};
use tokio::sync::broadcast::Receiver;

use crate::support::{LIMIT, Running, Ship, wait_for};

/// Passes follow each other at once, and a sweep takes longer than the test.
fn restless() -> Ship {
    let mut ship = Ship::new();
    ship.options.interval = Duration::from_millis(5);
    ship.options.sweep = Duration::from_secs(100_000);
    ship
}

fn noting(ship: &Ship) -> Engine {
    ship.engine_with(Watch { refresh_registry: true, ..ship.watch() })
}

async fn passes(progress: &mut Receiver<Progress>, count: usize) {
    let mut seen = 0;
    let counted = async {
        while seen < count {
            if let Ok(Progress::Reconciled { .. }) = progress.recv().await {
                seen += 1;
            }
        }
    };
    tokio::time::timeout(LIMIT, counted).await.expect("passes go through");
}

#[tokio::test]
async fn a_pass_asks_for_what_may_have_moved_and_for_its_share_of_the_rest() {
    let ship = restless();
    ship.registry.switches.no_digests.store(true, Ordering::SeqCst);
    for number in 0..100 {
        ship.push("team/app", &format!("v{number}"), "one");
    }
    let resolved = || ship.registry.switches.resolved.load(Ordering::SeqCst);
    let engine = noting(&ship);
    let mut progress = engine.progress();
    let running = Running::start(engine);
    passes(&mut progress, 1).await;
    assert_eq!(resolved(), 100, "the first pass asks for all");
    passes(&mut progress, 5).await;
    assert!(resolved() < 110, "{}", resolved());

    // A new tag is seen at once, and from then on each time it moves.
    ship.push("team/app", "latest", "two");
    wait_for("the new tag", async || ship.images().await.len() == 1).await;
    for seed in ["three", "four"] {
        let digest = ship.push("team/app", "latest", seed);
        wait_for("the moved tag", async || ship.digests().await.contains(&digest)).await;
    }
    // What is deleted is missing in the list, and asked for.
    ship.registry.inner.delete_tag(&"team/app".parse().unwrap(), &"v7".parse().unwrap());
    wait_for("the deleted tag", async || !ship.tag_names().await.contains(&"team/app:v7".to_owned())).await;
    running.stop().await;
}

/// The pass records what it has seen while it goes on looking, and a store has one writer.
#[tokio::test]
async fn a_registry_of_many_repositories_is_gone_through() {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(SqliteOptions::new(folder.path().join("supercargo.db"))).await.unwrap();
    let mut ship = Ship::with_store(Arc::new(store));
    ship.options.interval = Duration::from_millis(5);
    for number in 0..1100 {
        ship.push(&format!("team/app-{number}"), "v1", "one");
    }
    let engine = noting(&ship);
    let mut progress = engine.progress();
    let running = Running::start(engine);
    passes(&mut progress, 1).await;
    let registries = ship.store.registries().await.unwrap();
    assert_eq!(registries.iter().map(|registry| registry.repositories).collect::<Vec<_>>(), [1100]);
    running.stop().await;
}

#[tokio::test]
async fn without_a_sweep_every_pass_asks_for_every_tag() {
    let mut ship = restless();
    ship.options.sweep = Duration::ZERO;
    ship.registry.switches.no_digests.store(true, Ordering::SeqCst);
    for number in 0..40 {
        ship.push("team/app", &format!("v{number}"), "one");
    }
    let engine = noting(&ship);
    let mut progress = engine.progress();
    let running = Running::start(engine);
    passes(&mut progress, 3).await;
    assert!(ship.registry.switches.resolved.load(Ordering::SeqCst) >= 120);
    let digest = ship.push("team/app", "v3", "two");
    wait_for("the tag that never moved before", async || ship.digests().await.contains(&digest)).await;
    running.stop().await;
}

#[tokio::test]
async fn a_list_that_begins_with_what_is_new_is_read_no_further() {
    let ship = restless();
    for number in 0..50 {
        ship.push_at(number, "team/app", &format!("v{number}"), "one");
    }
    ship.registry.switches.newest_first.store(true, Ordering::SeqCst);
    let listed = || ship.registry.switches.listed.load(Ordering::SeqCst);
    let engine = noting(&ship);
    let mut progress = engine.progress();
    let running = Running::start(engine);
    passes(&mut progress, 1).await;
    let first = listed();
    passes(&mut progress, 5).await;
    assert!(first >= 50 && listed() - first < 50, "{first} {}", listed());

    let digest = ship.push_at(1000, "team/app", "v3", "two");
    wait_for("the moved tag", async || ship.digests().await.contains(&digest)).await;
    running.stop().await;
}

#[tokio::test]
async fn a_registry_that_tells_its_news_is_not_gone_through() {
    let ship = restless();
    for repository in ["team/app", "team/other", "team/third"] {
        ship.push_at(100, repository, "v1", "one");
    }
    ship.registry.switches.tells_news.store(true, Ordering::SeqCst);
    let engine = noting(&ship);
    let mut progress = engine.progress();
    let running = Running::start(engine);
    passes(&mut progress, 1).await;
    let first = ship.registry.switches.listed.load(Ordering::SeqCst);
    passes(&mut progress, 5).await;
    assert_eq!(ship.registry.switches.listed.load(Ordering::SeqCst), first);

    let digest = ship.push_at(200, "team/other", "v2", "two");
    wait_for("the news", async || ship.digests().await.contains(&digest)).await;
    running.stop().await;
}
