//! The process dies, or the power fails, in the middle of its work.

use std::collections::HashSet;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use sqlx::{ConnectOptions, Connection};
use supercargo_store::conformance::fixture::{digest, image, openssl, push, repository};
use supercargo_store::{
    Change, Claim, ClockOffset, Enqueued, JobFilter, JobRecord, JobState, Page, PlaceFilter, Presence, SqliteStore,
    Store,
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
        let mut victim = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "crash::victim", "--ignored", "--nocapture"])
            .env("SUPERCARGO_STORE_VICTIM", directory.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut enqueued = HashSet::new();
        let mut done = HashSet::new();
        for line in BufReader::new(victim.stdout.take().unwrap()).lines() {
            let line = line.unwrap();
            // The test harness may have begun the line.
            let Some((_, rest)) = line.split_once("ack ") else { continue };
            match rest.split_once(' ') {
                Some(("enqueued", id)) => enqueued.insert(id.parse::<i64>().unwrap()),
                Some(("done", id)) => done.insert(id.parse().unwrap()),
                _ => panic!("{line}"),
            };
            if enqueued.len() + done.len() == acknowledged {
                victim.kill().unwrap();
            }
        }
        victim.wait().unwrap();
        assert!(enqueued.len() + done.len() >= acknowledged);

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
