//! The database file, and the directory it is in.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use sqlx::{ConnectOptions, Connection};
use supercargo_index::LayerKey;
use supercargo_store::conformance::fixture::{actor, digest, image, layer, openssl, push, repository};
use supercargo_store::{
    AccessStore, AuditFilter, Change, Claim, ClockOffset, DataDirectory, ErrorKind, EventFilter, ImageFilter,
    IncludeRemoved, IntegrationStore, NewIntegration, PackageQuery, Page, RemovedData, SqliteOptions, SqliteStore,
    Store,
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

/// A database as the release before the last step of the schema left it: with an image in two registries, and an event.
async fn before_the_last_step(path: &Path) {
    use sqlx::migrate::{Migration, MigrationType, Migrator};

    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations/sqlite");
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()).collect();
    files.sort();
    files.pop();
    let migration = |file: &std::path::PathBuf| {
        let sql = sqlx::AssertSqlSafe(std::fs::read_to_string(file).unwrap());
        let version = file.file_name().unwrap().to_str().unwrap()[..4].parse().unwrap();
        Migration::new(version, "old".into(), MigrationType::Simple, sqlx::SqlSafeStr::into_sql_str(sql), false)
    };
    let mut migrator = Migrator::with_migrations(files.iter().map(migration).collect());
    migrator.dangerous_set_table_name("schema_migrations");
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(path).create_if_missing(true);
    let mut plain = options.connect().await.unwrap();
    migrator.run_direct(None, &mut plain, false).await.unwrap();
    let (one, two) = (digest(1), digest(2));
    let rows = format!(
        "INSERT INTO registries (name, first_seen) VALUES ('registry.example', 1), ('other.example', 1);
        INSERT INTO repositories (id, registry, name, first_seen, last_seen)
            VALUES (1, 'registry.example', 'app', 1, 1), (2, 'other.example', 'app', 1, 1);
        INSERT INTO tags (repository_id, tag, digest, first_seen, last_seen, moved_at)
            VALUES (1, 'v1', '{one}', 1, 1, 1), (2, 'v2', '{two}', 1, 1, 1);
        INSERT INTO manifests (repository_id, digest, first_seen, last_seen)
            VALUES (1, '{one}', 1, 1), (1, '{two}', 1, 1), (2, '{two}', 1, 1);
        INSERT INTO images (digest, os, architecture, size, packages, indexer, first_indexed, last_indexed)
            VALUES ('{one}', 'linux', 'amd64', 1, 0, '1', 1, 1), ('{two}', 'linux', 'amd64', 1, 0, '1', 1, 1);
        INSERT INTO events (source, dedupe_key, state, registry, headers, body, received_at)
            VALUES ('main', '1', 'ignored', 'registry.example', '[]', x'00', 1)"
    );
    sqlx::raw_sql(sqlx::AssertSqlSafe(rows)).execute(&mut plain).await.unwrap();
    plain.close().await.unwrap();
}

#[tokio::test]
async fn a_database_of_the_release_before_gets_integrations_and_keeps_what_it_has() {
    let directory = tempfile::tempdir().unwrap();
    before_the_last_step(&directory.path().join("supercargo.db")).await;
    let store = crate::open(directory.path(), &ClockOffset::default()).await;
    let page = Page::default();
    assert_eq!(store.images(&ImageFilter::default(), &page).await.unwrap().items.len(), 2);
    assert_eq!(store.events(&EventFilter::default(), &page).await.unwrap().items.len(), 1);
    assert!(store.integrations(IncludeRemoved::Yes).await.unwrap().is_empty());
    assert!(store.tokens().await.unwrap().is_empty());

    let new = NewIntegration::new("main", "oci", "registry.example");
    let made = store.create_integration(new, &actor()).await.unwrap();
    let removal = store.remove_integration(made.id, RemovedData::Delete, &actor()).await.unwrap();
    assert_eq!((removal.repositories, removal.images), (1, 1));
    let left = store.images(&ImageFilter::default(), &page).await.unwrap().items;
    assert_eq!(left.iter().map(|image| image.digest.clone()).collect::<Vec<_>>(), [digest(2)]);
    assert!(store.events(&EventFilter::default(), &page).await.unwrap().items.is_empty());
    assert_eq!(store.audit(&AuditFilter::default(), &page).await.unwrap().items.len(), 2);
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
