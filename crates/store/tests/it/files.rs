//! The database file, and the directory it is in.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use sqlx::{ConnectOptions, Connection};
use supercargo_index::LayerKey;
use supercargo_store::conformance::fixture::{digest, image, layer, openssl, push, repository};
use supercargo_store::{
    Change, Claim, ClockOffset, DataDirectory, ErrorKind, PackageQuery, Page, SqliteOptions, SqliteStore, Store,
};

fn key() -> LayerKey {
    LayerKey { digest: digest(5), indexer: "1-abc".to_owned() }
}

async fn fill(store: &SqliteStore) {
    let image = Change::Image { repository: repository("app"), metadata: Box::new(image(1, vec![openssl("3")])) };
    store.apply(vec![image]).await.unwrap();
    store.enqueue(vec![push("v1")]).await.unwrap();
    store.layer_cache().put(&key(), &layer(5)).await.unwrap();
}

async fn check(store: &SqliteStore) {
    let found = store.image(&digest(1)).await.unwrap().expect("the image is there");
    assert_eq!(found.metadata, image(1, vec![openssl("3")]));
    assert_eq!(store.packages(&PackageQuery::default(), &Page::default()).await.unwrap().items.len(), 1);
    assert_eq!(store.layer_cache().get(&key()).await.unwrap(), Some(layer(5)));
    let jobs = store.claim(&Claim::new("worker", Duration::from_secs(60))).await.unwrap();
    assert_eq!(jobs.len(), 1);
    store.release(jobs[0].lease).await.unwrap();
}

#[tokio::test]
async fn a_reopened_store_finds_everything() {
    let directory = tempfile::tempdir().unwrap();
    let store = crate::open(directory.path(), &ClockOffset::default()).await;
    fill(&store).await;
    store.close().await.unwrap();
    let store = crate::open(directory.path(), &ClockOffset::default()).await;
    check(&store).await;
    // Dropping is as safe as closing.
    drop(store);
    check(&crate::open(directory.path(), &ClockOffset::default()).await).await;
}

#[tokio::test]
async fn a_backup_is_a_store() {
    let directory = tempfile::tempdir().unwrap();
    let store = crate::open(directory.path(), &ClockOffset::default()).await;
    fill(&store).await;
    let copy = directory.path().join("copy");
    std::fs::create_dir(&copy).unwrap();
    store.backup(&copy.join("supercargo.db")).await.unwrap();
    assert_eq!(mode(&copy.join("supercargo.db")), 0o600);
    check(&crate::open(&copy, &ClockOffset::default()).await).await;

    let again = store.backup(&copy.join("supercargo.db")).await.unwrap_err();
    assert_eq!(again.kind(), ErrorKind::Invalid);
}

#[tokio::test]
async fn two_stores_on_one_file_share_its_work() {
    let directory = tempfile::tempdir().unwrap();
    let one = crate::open(directory.path(), &ClockOffset::default()).await;
    let two = crate::open(directory.path(), &ClockOffset::default()).await;
    one.enqueue((0..100).map(|number| push(&number.to_string())).collect()).await.unwrap();
    let drain = |store: SqliteStore| async move {
        let mut count = 0;
        while let Some(job) = store.claim(&Claim::new("worker", Duration::from_secs(600))).await.unwrap().pop() {
            store.complete(job.lease, Vec::new()).await.unwrap();
            count += 1;
        }
        count
    };
    let (left, right) = tokio::join!(drain(one), drain(two));
    assert_eq!(left + right, 100);
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[tokio::test]
async fn only_the_owner_reads_it() {
    let parent = tempfile::tempdir().unwrap();
    let directory = DataDirectory::create(parent.path().join("a/b")).unwrap();
    let store = SqliteStore::open(SqliteOptions::new(directory.database())).await.unwrap();
    fill(&store).await;
    assert_eq!(mode(directory.path()), 0o700);
    assert_eq!(mode(&directory.database()), 0o600);
    assert_eq!(mode(&directory.database().with_extension("db-wal")), 0o600);
}

#[test]
fn a_directory_has_one_watcher() {
    let parent = tempfile::tempdir().unwrap();
    let directory = DataDirectory::create(parent.path()).unwrap();
    let lock = directory.lock().unwrap();
    let error = directory.lock().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Locked);
    assert!(error.to_string().contains("another process is using it"), "{error}");
    drop(lock);
    directory.lock().unwrap();
}

async fn refused(path: &Path) -> supercargo_store::Error {
    SqliteStore::open(SqliteOptions::new(path)).await.expect_err("the file should be refused")
}

#[tokio::test]
async fn a_newer_schema_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let store = crate::open(directory.path(), &ClockOffset::default()).await;
    store.close().await.unwrap();
    let path = directory.path().join("supercargo.db");
    let mut plain = sqlx::sqlite::SqliteConnectOptions::new().filename(&path).connect().await.unwrap();
    sqlx::query(
        "INSERT INTO schema_migrations (version, description, success, checksum, execution_time)
        VALUES (999, 'of the future', true, x'00', 0)",
    )
    .execute(&mut plain)
    .await
    .unwrap();
    plain.close().await.unwrap();

    let error = refused(&path).await;
    assert_eq!((error.kind(), error.is_retryable()), (ErrorKind::Schema, false));
    assert!(error.to_string().contains("a newer supercargo wrote it"), "{error}");
}

#[tokio::test]
async fn what_is_no_database_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("notes.txt");
    std::fs::write(&path, "not a database, and long enough to be taken for one ".repeat(100)).unwrap();
    assert_eq!(refused(&path).await.kind(), ErrorKind::Corrupt);
    let missing = refused(&directory.path().join("no/such/directory.db")).await;
    assert_eq!(missing.kind(), ErrorKind::Unavailable);
}

#[tokio::test]
async fn another_writer_makes_it_busy_for_a_while() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("supercargo.db");
    let options = SqliteOptions::new(&path).with_busy_timeout(Duration::from_millis(50));
    let store = SqliteStore::open(options).await.unwrap();
    let mut other = sqlx::sqlite::SqliteConnectOptions::new().filename(&path).connect().await.unwrap();
    let transaction = other.begin_with("BEGIN IMMEDIATE").await.unwrap();

    let error = store.enqueue(vec![push("v1")]).await.unwrap_err();
    assert_eq!((error.kind(), error.is_retryable()), (ErrorKind::Busy, true));
    assert_eq!(error.to_string(), "enqueue jobs: another writer holds the database");
    // Readers are not held up.
    store.queue_stats().await.unwrap();

    transaction.rollback().await.unwrap();
    store.enqueue(vec![push("v1")]).await.unwrap();
}
