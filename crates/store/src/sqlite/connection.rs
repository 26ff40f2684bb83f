//! Connections: one that writes, some that read; transactions that a dropped future cannot leave open.

use std::fs::OpenOptions;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use sqlx::migrate::{MigrateError, Migration, MigrationType, Migrator};
use sqlx::sqlite::{
    SqliteAutoVacuum, SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqlitePool, SqlitePoolOptions,
    SqliteSynchronous,
};
use sqlx::{ConnectOptions, Connection, SqlSafeStr, Transaction};
use tokio::sync::Mutex;

use super::sql::SqlResult;
use crate::clock::ClockOffset;
use crate::error::{Error, ErrorKind, Result};

/// The first SQLite without the bug by which a checkpoint beside a second connection could lose a WAL's commits.
const SQLITE_VERSION: (u32, u32, u32) = (3, 51, 3);

/// The time of the database, in milliseconds.
const NOW: &str = "SELECT CAST(round(unixepoch('subsec') * 1000) AS INTEGER)";

/// A schema's steps, in order. A step that was released is never changed.
const MIGRATIONS: &[(i64, &str, &str)] = &[
    (1, "first", include_str!("../../migrations/sqlite/0001_first.sql")),
    (2, "chains", include_str!("../../migrations/sqlite/0002_chains.sql")),
    (3, "delivery lanes", include_str!("../../migrations/sqlite/0003_delivery_lanes.sql")),
    (4, "event keys", include_str!("../../migrations/sqlite/0004_event_keys.sql")),
    (5, "integrations", include_str!("../../migrations/sqlite/0005_integrations.sql")),
    (6, "delivery sinks", include_str!("../../migrations/sqlite/0006_delivery_sinks.sql")),
];

pub(super) type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// How a database is opened.
#[derive(Clone, Debug)]
pub struct SqliteOptions {
    path: PathBuf,
    readers: u32,
    busy_timeout: Duration,
    clock: ClockOffset,
}

impl SqliteOptions {
    /// The database at `path`; it is made if it is not there, for its owner alone to read.
    ///
    /// The file must be on a local disk: SQLite's locks do not work on network file systems.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), readers: 4, busy_timeout: Duration::from_secs(5), clock: ClockOffset::default() }
    }

    /// The number of connections that read, at least one. 4 unless set.
    #[must_use]
    pub fn with_readers(mut self, readers: u32) -> Self {
        self.readers = readers.max(1);
        self
    }

    /// How long to wait for another process that writes. 5 seconds unless set.
    #[must_use]
    pub fn with_busy_timeout(mut self, timeout: Duration) -> Self {
        self.busy_timeout = timeout;
        self
    }

    /// Adds `clock` to the database's time: for tests.
    #[must_use]
    pub fn with_clock(mut self, clock: ClockOffset) -> Self {
        self.clock = clock;
        self
    }

    /// Where the database is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn connect_options(&self) -> SqliteConnectOptions {
        SqliteConnectOptions::new()
            .filename(&self.path)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(self.busy_timeout)
            // Freed pages go back to the disk after a prune, not only by a VACUUM.
            .auto_vacuum(SqliteAutoVacuum::Incremental)
            // SQL is logged by what it is for, not by its text.
            .disable_statement_logging()
    }

    fn reader_options(&self) -> SqliteConnectOptions {
        SqliteConnectOptions::new()
            .filename(&self.path)
            .foreign_keys(true)
            .busy_timeout(self.busy_timeout)
            .pragma("query_only", "ON")
            .disable_statement_logging()
    }
}

/// The connections of one database.
#[derive(Debug, Clone)]
pub(super) struct Database {
    path: Arc<Path>,
    options: SqliteConnectOptions,
    /// The one connection that writes. Empty after it broke, until the next write opens it anew.
    writer: Arc<Mutex<Option<SqliteConnection>>>,
    readers: SqlitePool,
    clock: ClockOffset,
}

/// A write transaction.
pub(super) struct Tx<'c> {
    inner: Transaction<'c, sqlx::Sqlite>,
    /// The database's time when it began: one time for all it writes.
    pub(super) now: i64,
}

impl Tx<'_> {
    pub(super) fn connection(&mut self) -> &mut SqliteConnection {
        &mut self.inner
    }
}

impl Database {
    pub(super) async fn open(options: SqliteOptions) -> Result<Self> {
        create_private(&options.path)?;
        let connect = options.connect_options();
        let mut writer = connect.connect().await.sql()?;
        check_version(&mut writer).await?;
        migrate(&mut writer).await?;
        let readers = SqlitePoolOptions::new()
            .max_connections(options.readers)
            .acquire_timeout(options.busy_timeout)
            .idle_timeout(None)
            .max_lifetime(None)
            .test_before_acquire(false)
            .connect_lazy_with(options.reader_options());
        Ok(Self {
            path: options.path.into(),
            options: connect,
            writer: Arc::new(Mutex::new(Some(writer))),
            readers,
            clock: options.clock,
        })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Runs `work` in a write transaction and commits it if it succeeds.
    ///
    /// The transaction runs in a task of its own: a caller that is dropped does not stop it half-way. A caller
    /// that is dropped while it waits for its turn has changed nothing.
    pub(super) async fn write<T, F>(&self, operation: &'static str, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: for<'t, 'c> FnOnce(&'t mut Tx<'c>) -> BoxFuture<'t, Result<T>> + Send + 'static,
    {
        let mut slot = Arc::clone(&self.writer).lock_owned().await;
        let options = self.options.clone();
        let offset = self.clock.millis();
        let task = tokio::spawn(async move {
            let connection = match &mut *slot {
                Some(connection) => connection,
                empty => empty.insert(options.connect().await.sql()?),
            };
            let result = transact(connection, offset, work).await;
            if matches!(&result, Err(error) if error.kind() == ErrorKind::Unavailable) {
                // Whatever broke it, a new connection finds the last commit.
                *slot = None;
            }
            result
        });
        let result = match task.await {
            Ok(result) => result,
            Err(error) if error.is_cancelled() => Err(Error::new(ErrorKind::Unavailable, operation).with_source(error)),
            Err(error) => Err(Error::new(ErrorKind::Internal, operation).with_source(error)),
        };
        result.map_err(|error| error.with_operation(operation))
    }

    /// Runs `work` on one state of the database.
    pub(super) async fn read<T, F>(&self, operation: &'static str, work: F) -> Result<T>
    where
        F: for<'t> FnOnce(&'t mut SqliteConnection) -> BoxFuture<'t, Result<T>>,
    {
        let run = async {
            let mut transaction = self.readers.begin().await.sql()?;
            work(&mut transaction).await
        };
        run.await.map_err(|error: Error| error.with_operation(operation))
    }

    /// Runs a statement that may not stand in a transaction, on the writing connection.
    pub(super) async fn exclusively<F>(&self, operation: &'static str, work: F) -> Result<()>
    where
        F: for<'t> FnOnce(&'t mut SqliteConnection) -> BoxFuture<'t, Result<()>> + Send,
    {
        let mut slot = self.writer.lock().await;
        let run = async {
            let connection = match &mut *slot {
                Some(connection) => connection,
                empty => empty.insert(self.options.connect().await.sql()?),
            };
            work(connection).await
        };
        run.await.map_err(|error: Error| error.with_operation(operation))
    }

    /// Runs `work` on a connection of its own, outside of any transaction.
    pub(super) async fn detached<F>(&self, operation: &'static str, work: F) -> Result<()>
    where
        F: for<'t> FnOnce(&'t mut SqliteConnection) -> BoxFuture<'t, Result<()>> + Send,
    {
        let run = async {
            let mut connection = self.options.connect().await.sql()?;
            work(&mut connection).await
        };
        run.await.map_err(|error: Error| error.with_operation(operation))
    }

    /// The database's time.
    pub(super) async fn now(&self, connection: &mut SqliteConnection) -> Result<i64> {
        now(connection, self.clock.millis()).await
    }

    pub(super) async fn close(&self) -> Result<()> {
        self.readers.close().await;
        if let Some(connection) = self.writer.lock().await.take() {
            connection.close().await.sql().map_err(|error| error.with_operation("close store"))?;
        }
        Ok(())
    }
}

async fn transact<T, F>(connection: &mut SqliteConnection, offset: i64, work: F) -> Result<T>
where
    F: for<'t, 'c> FnOnce(&'t mut Tx<'c>) -> BoxFuture<'t, Result<T>>,
{
    // A deferred transaction that turns into a writer fails at once when another writes; this one waits.
    let mut inner = connection.begin_with("BEGIN IMMEDIATE").await.sql()?;
    let now = now(&mut inner, offset).await?;
    let mut tx = Tx { inner, now };
    let result = work(&mut tx).await;
    match result {
        Ok(value) => {
            tx.inner.commit().await.sql()?;
            Ok(value)
        }
        Err(error) => {
            // If even this fails, dropping the transaction rolls it back before the connection's next use.
            let _ = tx.inner.rollback().await;
            Err(error)
        }
    }
}

async fn now(connection: &mut SqliteConnection, offset: i64) -> Result<i64> {
    let now: i64 = sqlx::query_scalar(NOW).fetch_one(connection).await.sql()?;
    Ok(now + offset)
}

/// Makes the file before SQLite does, so that neither it nor its journal is ever readable by others.
pub(super) fn create_private(path: &Path) -> Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match options.open(path) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => {
            Err(Error::new(ErrorKind::Unavailable, "create database").with_context(path.display()).with_source(error))
        }
    }
}

async fn check_version(connection: &mut SqliteConnection) -> Result<()> {
    let version: String = sqlx::query_scalar("SELECT sqlite_version()").fetch_one(connection).await.sql()?;
    let mut numbers = version.split('.').map(|number| number.parse::<u32>().unwrap_or(0));
    let mut next = || numbers.next().unwrap_or(0);
    if (next(), next(), next()) < SQLITE_VERSION {
        let (major, minor, patch) = SQLITE_VERSION;
        return Err(Error::new(ErrorKind::Schema, "open database").with_context(format_args!(
            "with SQLite {version}: versions before {major}.{minor}.{patch} can lose commits"
        )));
    }
    Ok(())
}

async fn migrate(connection: &mut SqliteConnection) -> Result<()> {
    let migrations = MIGRATIONS.iter().map(|(version, name, sql)| {
        Migration::new(*version, (*name).into(), MigrationType::Simple, sql.into_sql_str(), false)
    });
    let mut migrator = Migrator::with_migrations(migrations.collect());
    migrator.dangerous_set_table_name("schema_migrations");
    migrator.run_direct(None, connection, false).await.map_err(|error| {
        let refused = |context: String| Error::new(ErrorKind::Schema, "open database").with_context(context);
        match error {
            MigrateError::VersionMissing(version) => refused(format!(
                "with schema {version}: a newer supercargo wrote it, and this one knows schemas up to {} only",
                MIGRATIONS.last().map_or(0, |(version, ..)| *version),
            )),
            MigrateError::VersionMismatch(version) => {
                refused(format!("with schema {version}: it is not the schema of that number that this build knows"))
            }
            MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => {
                super::sql::error(error).with_operation("bring database to the current schema")
            }
            error => refused("with its schema".to_owned()).with_source(error),
        }
    })
}
