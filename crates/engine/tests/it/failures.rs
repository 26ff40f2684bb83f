//! What goes wrong ends in a state with a reason, and stays with the image that it is about.

use std::sync::atomic::Ordering;

use supercargo_engine::Watch;
use supercargo_registry::ErrorKind;
use supercargo_store::{JobState, ProblemState};

use crate::support::{Running, Ship, settle, wait_for};

#[tokio::test]
async fn a_panic_fails_that_image_only() {
    let ship = Ship::new();
    let bad = ship.push("team/app", "bad", "one");
    let good = ship.push("team/app", "good", "two");
    ship.indexer.panics.lock().unwrap().insert(bad.to_string());
    let summary = ship.sail().await;
    assert_eq!((summary.counters.indexed, summary.counters.dead), (1, 1));
    assert_eq!(ship.digests().await, [good].into());
    assert_eq!(ship.problems().await.len(), 1);
    let problem = ship.problems().await.remove(0);
    assert_eq!((problem.state, problem.reason.kind.as_str()), (ProblemState::Failed, "panic"));
    assert!(problem.reason.message.contains("a cataloger went wrong"), "{}", problem.reason);
    assert_eq!(problem.digest, Some(bad));
}

#[tokio::test]
async fn a_failure_that_passes_is_repeated_and_one_that_does_not_becomes_a_dead_letter() {
    let ship = Ship::new();
    ship.push("team/app", "1.0", "one");
    ship.indexer.broken.store(2, Ordering::SeqCst);
    let summary = ship.sail().await;
    assert_eq!((summary.counters.retried, summary.counters.indexed), (2, 1));
    assert!(ship.problems().await.is_empty());

    ship.push("team/app", "2.0", "two");
    ship.indexer.broken.store(usize::MAX, Ordering::SeqCst);
    let summary = ship.sail().await;
    assert_eq!((summary.counters.retried, summary.counters.dead), (3, 1));
    let dead = ship.dead().await.remove(0);
    assert_eq!((dead.attempt, dead.last_error.unwrap().kind.as_str()), (4, "network"));

    // A restart tries again what may pass.
    ship.indexer.broken.store(0, Ordering::SeqCst);
    ship.sail().await;
    assert_eq!(ship.images().await.len(), 2);
    assert!(ship.problems().await.is_empty() && ship.dead().await.is_empty());
}

#[tokio::test]
async fn a_corrupted_layer_is_read_twice_and_given_up() {
    let ship = Ship::new();
    let digest = ship.push("team/app", "1.0", "one");
    let blob = layer_of(&ship, &digest).await;
    ship.registry.inner.corrupt_blob(&blob, vec![0; 2048]);
    let summary = ship.sail().await;
    assert_eq!((ship.indexer.runs(), summary.counters.dead), (2, 1));
    let problem = ship.problems().await.remove(0);
    assert_eq!((problem.state, problem.reason.kind.as_str()), (ProblemState::Failed, "digest-mismatch"));
    assert!(problem.reason.message.contains(&blob.to_string()), "{}", problem.reason);

    // Later passes leave it alone; whoever pushes it again wants it tried again.
    ship.sail().await;
    assert_eq!(ship.indexer.runs(), 2);
}

async fn layer_of(ship: &Ship, digest: &supercargo_registry::Digest) -> supercargo_registry::Digest {
    use supercargo_registry::{Registry as _, Target};
    let repository = "team/app".parse().unwrap();
    let manifest = ship.registry.inner.manifest(&repository, &Target::Digest(digest.clone())).await.unwrap();
    let manifest: serde_json::Value = serde_json::from_slice(&manifest.bytes).unwrap();
    manifest["layers"][0]["digest"].as_str().unwrap().parse().unwrap()
}

#[tokio::test]
async fn jobs_wait_for_a_registry_that_is_away() {
    let ship = Ship::new();
    let digest = ship.push("team/app", "1.0", "one");
    let running = Running::start(ship.engine_with(ship.watch())).reconciled().await;
    ship.registry.set_away(Some(ErrorKind::Network));
    let refresh = running.engine.intake().refresh(crate::support::name("team/app"), None).await.unwrap();
    let reference = supercargo_store::TagOrDigest::Digest(digest.clone());
    running.engine.intake().refresh(crate::support::name("team/app"), Some(reference)).await.unwrap();

    // Many times the attempts that a job has.
    wait_for("dozen failures", async || running.engine.status().counters.retried >= 12).await;
    let job = ship.jobs().await.into_iter().find(|job| job.id == refresh.job()).unwrap();
    assert_ne!(job.state, JobState::Dead);
    assert!(running.engine.status().registries[0].last_error.is_some());
    assert!(ship.store.registries().await.unwrap()[0].away.is_some());

    ship.registry.set_away(None);
    wait_for("indexed image", async || ship.digests().await.contains(&digest)).await;
    wait_for("recovery", async || ship.store.registries().await.unwrap()[0].away.is_none()).await;
    assert_eq!(running.engine.status().registries[0].last_error, None);
    assert!(ship.dead().await.is_empty());
    running.stop().await;
}

#[tokio::test]
async fn a_repository_that_does_not_exist_is_a_problem_until_it_does() {
    let ship = Ship::new();
    let watch = || Watch { repositories: vec!["no/such".parse().unwrap()], all_images: true, ..ship.watch() };
    let engine = ship.engine_with(watch());
    settle(&engine).await;
    let problem = ship.problems().await.remove(0);
    assert_eq!((problem.state, problem.reason.kind.as_str()), (ProblemState::Failed, "not-found"));
    assert_eq!(problem.repository.repository, "no/such");

    let digest = ship.push("no/such", "1.0", "one");
    settle(&ship.engine_with(watch())).await;
    assert_eq!(ship.digests().await, [digest].into());
    assert!(ship.problems().await.is_empty(), "{:?}", ship.problems().await);
}

#[tokio::test]
async fn a_registry_that_lists_no_repositories_is_watched_by_what_is_known() {
    let ship = Ship::new();
    ship.push("team/app", "1.0", "one");
    ship.sail().await;
    *ship.registry.switches.unlisted.lock().unwrap() = Some(ErrorKind::Denied);
    let digest = ship.push("team/app", "2.0", "two");
    let summary = ship.sail().await;
    assert!(ship.digests().await.contains(&digest));
    assert_eq!(summary.unreached[0].reason.kind, "denied");
}

/// A role that is made while it is looked whether it is there; a connection that broke.
#[tokio::test]
async fn what_is_over_when_the_registry_is_asked_again_costs_no_pass() {
    for kind in [ErrorKind::Credential, ErrorKind::Unauthorized, ErrorKind::Unavailable] {
        let ship = Ship::new();
        let digest = ship.push("team/app", "1.0", "one");
        *ship.registry.switches.refused_once.lock().unwrap() = Some(kind);
        let summary = ship.sail().await;
        assert!(ship.digests().await.contains(&digest), "{kind:?}");
        assert!(summary.unreached.is_empty(), "{kind:?}: {:?}", summary.unreached);
    }
}
