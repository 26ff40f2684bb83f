//! The process dies, or the power fails, in the middle of its work, or of a removal.

use std::collections::HashSet;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use sqlx::{ConnectOptions, Connection};
use supercargo_store::conformance::fixture::{actor, digest, image, openssl, push, repository};
use supercargo_store::{AccessStore, IntegrationStore};
use supercargo_store::{
    AuditFilter, Change, Claim, ClockOffset, Enqueued, ImageFilter, IncludeRemoved, IntegrationState, JobFilter,
    JobRecord, JobState, Lane, NewIntegration, NewJob, Page, PlaceFilter, Presence, RemovedData, RepositoryName,
    RepositoryOrigin, RepositorySettingFilter, Retention, SqliteStore, Store, Work,
};

const LEASE: Duration = Duration::from_secs(3600);

/// One job after the other: asked for, done, its repository and image stored with its end.
async fn work(store: &SqliteStore, rounds: std::ops::Range<u32>, acknowledge: impl Fn(&str, i64)) {
    for round in rounds {
        let enqueued = store.enqueue(vec![push(&round.to_string())]).await.unwrap();
        let [Enqueued::New(id)] = enqueued[..] else { panic!("{enqueued:?}") };
        acknowledge("enqueued", id.0);
        let job = store.claim(&Claim::new("worker", LEASE)).await.unwrap().pop().unwrap();
        let name = repository(&format!("job{}", job.lease.job));
        let image = Box::new(image(round + 1, vec![openssl(&round.to_string())]));
        let changes = vec![
            Change::RepositorySeen { repository: name.clone() },
            Change::Image { repository: name, metadata: image },
        ];
        store.complete(job.lease, changes).await.unwrap();
        acknowledge("done", job.lease.job.0);
    }
}

async fn all_jobs(store: &SqliteStore) -> Vec<JobRecord> {
    let mut jobs = Vec::new();
    let mut page = Page::first(Page::LIMIT);
    loop {
        let listing = store.jobs(&JobFilter::default(), &page).await.unwrap();
        jobs.extend(listing.items);
        let Some(next) = listing.next else { return jobs };
        page = Page::after(next, Page::LIMIT);
    }
}

/// The file is sound, and what was to be committed together was.
async fn check(directory: &Path) -> (HashSet<i64>, HashSet<i64>) {
    let file = directory.join("supercargo.db");
    let mut plain = sqlx::sqlite::SqliteConnectOptions::new().filename(&file).connect().await.unwrap();
    let sound: String = sqlx::query_scalar("PRAGMA integrity_check").fetch_one(&mut plain).await.unwrap();
    assert_eq!(sound, "ok");
    let broken = sqlx::query("PRAGMA foreign_key_check").fetch_all(&mut plain).await.unwrap();
    assert!(broken.is_empty());
    plain.close().await.unwrap();

    let store = crate::open(directory, &ClockOffset::default()).await;
    let jobs = all_jobs(&store).await;
    let enqueued = jobs.iter().map(|job| job.id.0).collect();
    let done: HashSet<_> = jobs.iter().filter(|job| job.state == JobState::Done).map(|job| job.id.0).collect();
    let any = PlaceFilter { presence: Presence::Any, ..PlaceFilter::default() };
    let repositories = store.repositories(&any, &Page::first(Page::LIMIT)).await.unwrap().items;
    let seen: HashSet<_> =
        repositories.iter().map(|one| one.name.repository.trim_start_matches("job").parse().unwrap()).collect();
    assert_eq!(done, seen, "a job is done if and only if what it learnt is there");
    let images = store.usage().await.unwrap().images;
    assert_eq!(images, done.len() as u64);
    store.close().await.unwrap();
    (enqueued, done)
}

/// SQLite appends each commit to the log. A power failure leaves any prefix of what was not yet synchronised, and
/// so every prefix must be a sound database.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_prefix_of_the_log_is_sound() {
    let directory = tempfile::tempdir().unwrap();
    let store = crate::open(directory.path(), &ClockOffset::default()).await;
    work(&store, 0..12, |_, _| {}).await;
    let database = std::fs::read(store.path()).unwrap();
    let log = std::fs::read(store.path().with_extension("db-wal")).unwrap();
    assert!(log.len() > 100_000, "the log was not yet written back: {}", log.len());

    let copy = tempfile::tempdir().unwrap();
    let mut counts = Vec::new();
    // An odd step, so that the cuts are anywhere in a page.
    for length in (0..log.len()).step_by(log.len() / 23).chain([log.len()]) {
        for stale in std::fs::read_dir(copy.path()).unwrap() {
            std::fs::remove_file(stale.unwrap().path()).unwrap();
        }
        std::fs::write(copy.path().join("supercargo.db"), &database).unwrap();
        std::fs::write(copy.path().join("supercargo.db-wal"), &log[..length]).unwrap();
        let (_, done) = check(copy.path()).await;
        counts.push(done.len());
    }
    assert!(counts.is_sorted(), "{counts:?}");
    assert_eq!(counts.last(), Some(&12), "all that was acknowledged");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_taken_while_a_writer_works_is_sound() {
    let directory = tempfile::tempdir().unwrap();
    let store = crate::open(directory.path(), &ClockOffset::default()).await;
    let writer = {
        let store = store.clone();
        tokio::spawn(async move { work(&store, 0..30, |_, _| {}).await })
    };
    let mut copies = 0;
    let mut last = 0;
    while !writer.is_finished() || copies == 0 {
        let copy = tempfile::tempdir().unwrap();
        // The log is short enough never to be written back, so the database is still when its copy is taken.
        for name in ["supercargo.db", "supercargo.db-wal"] {
            std::fs::copy(directory.path().join(name), copy.path().join(name)).unwrap();
        }
        let (_, done) = check(copy.path()).await;
        assert!(done.len() >= last);
        last = done.len();
        copies += 1;
    }
    writer.await.unwrap();
}

/// What `a_killed_process_loses_nothing` kills.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "not a test: the process that another test kills"]
async fn victim() {
    let Ok(directory) = std::env::var("SUPERCARGO_STORE_VICTIM") else { return };
    let store = crate::open(Path::new(&directory), &ClockOffset::default()).await;
    work(&store, 0..100_000, |what, id| println!("ack {what} {id}")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_process_loses_nothing() {
    for acknowledged in [1, 4, 21, 60] {
        let directory = tempfile::tempdir().unwrap();
        let words = kill_after("crash::victim", directory.path(), acknowledged);
        let told = |what| words.iter().filter(move |(word, _)| word == what).map(|(_, id)| *id).collect();
        let (enqueued, done): (HashSet<i64>, HashSet<i64>) = (told("enqueued"), told("done"));

        let (stored, finished) = check(directory.path()).await;
        assert!(stored.is_superset(&enqueued), "all that was acknowledged is there");
        assert!(finished.is_superset(&done));

        // The next process takes up where it ended.
        let store = crate::open(directory.path(), &ClockOffset::default()).await;
        store.recover("worker").await.unwrap();
        let left = store.claim(&Claim::new("worker", LEASE).with_limit(10)).await.unwrap();
        assert_eq!(left.len(), stored.len() - finished.len());
        assert!(store.image(&digest(1)).await.unwrap().is_some() || finished.is_empty());
    }
}

/// Images of each registry of [`remove`] alone; more than go in one transaction.
const OWN: u32 = 100;

/// Registries that are connected, filled, and removed with all they have; one image belongs to another registry, too.
async fn remove(store: &SqliteStore, rounds: std::ops::Range<u32>, acknowledge: impl Fn(&str, i64)) {
    let shared = |repository| Change::Image { repository, metadata: Box::new(image(1, vec![openssl("shared")])) };
    for round in rounds {
        let registry = format!("r{round}.example");
        let new = NewIntegration { credentials: Some(vec![7; 64]), ..NewIntegration::new(&registry, "oci", &registry) };
        let made = store.create_integration(new, &actor()).await.unwrap();
        let app = RepositoryName::new(registry, "app");
        let found = vec![(app.repository.clone(), true)];
        store.set_repositories(made.id, found, RepositoryOrigin::Found, &actor()).await.unwrap();
        let own = (0..OWN).map(|number| {
            let number = 1000 + round * OWN + number;
            let metadata = Box::new(image(number, vec![openssl(&number.to_string())]));
            Change::Image { repository: app.clone(), metadata }
        });
        let job = NewJob::new(Work::Refresh { repository: app.clone(), reference: None }, Lane::Backfill);
        let both = [shared(app.clone()), shared(repository("app")), Change::Enqueue(job)];
        store.apply(own.chain(both).collect()).await.unwrap();
        acknowledge("filled", made.id.0);
        let removal = store.remove_integration(made.id, RemovedData::Delete, &actor()).await.unwrap();
        assert_eq!((removal.jobs, removal.repositories, removal.images), (1, 1, u64::from(OWN)));
        acknowledge("removed", made.id.0);
    }
}

/// Each registry is there with all it has, or gone with all of it; answers the numbers of both.
async fn check_removals(directory: &Path) -> (HashSet<i64>, HashSet<i64>) {
    let store = crate::open(directory, &ClockOffset::default()).await;
    // What a restarted process does sooner or later.
    store.prune(&Retention::default()).await.unwrap();
    let (mut there, mut removed) = (HashSet::new(), HashSet::new());
    let mut images = 0;
    let page = Page::first(Page::LIMIT);
    for integration in store.integrations(IncludeRemoved::Yes).await.unwrap() {
        let id = integration.id.0;
        let registry = Some(integration.registry.clone());
        let of_it = PlaceFilter { registry: registry.clone(), presence: Presence::Any, ..PlaceFilter::default() };
        let manifests = store.manifests(&of_it, &page).await.unwrap().items.len();
        let jobs = store.jobs(&JobFilter { registry, ..JobFilter::default() }, &page).await.unwrap().items.len();
        let settings = RepositorySettingFilter::of(&integration.name);
        let settings = store.repository_settings(&settings, &page).await.unwrap().items.len();
        let log = AuditFilter { subject: Some(integration.name.clone()), ..AuditFilter::default() };
        let log = store.audit(&log, &page).await.unwrap().items;
        let last = log.first().map(|entry| entry.action.as_str());
        if integration.state == IntegrationState::Removed {
            assert_eq!((manifests, jobs, settings), (0, 0, 0), "{id}");
            assert_eq!((integration.credentials, last), (None, Some("integration.remove")), "{id}");
            removed.insert(id);
        } else {
            // The last one may still be about to be filled.
            assert!(matches!((manifests, jobs), (101, 1) | (0, 0)), "{id}: {manifests} {jobs}");
            assert!(integration.credentials.is_some() && last != Some("integration.remove"), "{id}");
            images += manifests.saturating_sub(1) as u64;
            there.insert(id);
        }
    }
    let all = ImageFilter { presence: Presence::Any, ..ImageFilter::default() };
    let shared = u64::from(store.image(&digest(1)).await.unwrap().is_some());
    let usage = store.usage().await.unwrap();
    assert_eq!((usage.images, usage.packages), (images + shared, images + shared));
    if shared > 0 {
        let newest = store.images(&ImageFilter { registry: Some("registry.example".to_owned()), ..all }, &page).await;
        assert_eq!(newest.unwrap().items.len(), 1, "what another registry has stays");
    }
    store.close().await.unwrap();
    (there, removed)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_prefix_of_a_removal_is_sound() {
    let directory = tempfile::tempdir().unwrap();
    let store = crate::open(directory.path(), &ClockOffset::default()).await;
    let database = std::fs::read(store.path()).unwrap();
    remove(&store, 0..1, |_, _| {}).await;
    let log = std::fs::read(store.path().with_extension("db-wal")).unwrap();
    assert_eq!(std::fs::read(store.path()).unwrap(), database, "the log was not yet written back");
    let copy = tempfile::tempdir().unwrap();
    let mut ends = Vec::new();
    for length in (0..log.len()).step_by(log.len() / 29).chain([log.len()]) {
        for stale in std::fs::read_dir(copy.path()).unwrap() {
            std::fs::remove_file(stale.unwrap().path()).unwrap();
        }
        std::fs::write(copy.path().join("supercargo.db"), &database).unwrap();
        std::fs::write(copy.path().join("supercargo.db-wal"), &log[..length]).unwrap();
        ends.push(check_removals(copy.path()).await.1.len());
    }
    assert!(ends.is_sorted() && ends.first() == Some(&0) && ends.last() == Some(&1), "{ends:?}");
}

/// What `a_killed_removal_is_whole` kills.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "not a test: the process that another test kills"]
async fn remover() {
    let Ok(directory) = std::env::var("SUPERCARGO_STORE_VICTIM") else { return };
    let store = crate::open(Path::new(&directory), &ClockOffset::default()).await;
    remove(&store, 0..100_000, |what, id| println!("ack {what} {id}")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_removal_is_whole() {
    // After an odd number of words it is in the middle of a removal.
    for acknowledged in [1, 3, 4, 9] {
        let directory = tempfile::tempdir().unwrap();
        let words = kill_after("crash::remover", directory.path(), acknowledged);
        let told = |what| words.iter().filter(move |(word, _)| word == what).map(|(_, id)| *id);
        let (there, removed) = check_removals(directory.path()).await;
        assert!(told("removed").all(|id| removed.contains(&id)), "all that was acknowledged");
        assert!(told("filled").all(|id| there.contains(&id) || removed.contains(&id)));
        assert!(there.len() <= 1, "{there:?}");
    }
}

/// Runs an ignored test of this file until it has said `words` words, kills it, and answers all it said.
fn kill_after(test: &str, directory: &Path, words: usize) -> Vec<(String, i64)> {
    let mut victim = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--ignored", "--nocapture"])
        .env("SUPERCARGO_STORE_VICTIM", directory)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = Vec::new();
    for line in BufReader::new(victim.stdout.take().unwrap()).lines() {
        let line = line.unwrap();
        // The test harness may have begun the line.
        let Some((_, rest)) = line.split_once("ack ") else { continue };
        let (word, id) = rest.split_once(' ').unwrap();
        said.push((word.to_owned(), id.parse().unwrap()));
        if said.len() == words {
            victim.kill().unwrap();
        }
    }
    victim.wait().unwrap();
    assert!(said.len() >= words, "{said:?}");
    said
}
