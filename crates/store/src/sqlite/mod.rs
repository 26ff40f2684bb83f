//! The store in a SQLite file.

mod access;
mod changes;
mod connection;
mod events;
mod images;
mod integrations;
mod inventory;
mod layers;
mod leased;
mod ledger;
mod outbox;
mod problems;
mod queue;
mod removal;
mod search;
mod settings;
mod sql;
mod upkeep;

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use supercargo_index::{Digest, LayerCache};

pub use self::connection::SqliteOptions;
use self::connection::{BoxFuture, Database, Tx};
use self::leased::Leased;
use self::sql::SqlResult;
use crate::change::Change;
use crate::codec;
use crate::error::{Error, ErrorKind, Result};
use crate::event::{Arrival, Arrived, EventFilter, EventRecord};
use crate::inventory::{
    ImageFilter, ImageSummary, KnownBase, ManifestState, PackageMatch, PackageQuery, PlaceFilter, Problem,
    ProblemFilter, RegistryState, RepositoryState, StoredImage, TagState,
};
use crate::job::{Claim, Disposition, Enqueued, Failure, Job, JobFilter, JobId, JobRecord, LaneStats, Lease, NewJob};
use crate::ledger::LedgerEntry;
use crate::outbox::{Delivery, DeliveryFilter, DeliveryId, DeliveryLease, DeliveryRecord, SinkStats};
use crate::page::{Listing, Page};
use crate::store::Store;
use crate::upkeep::{Pruned, Retention, Usage};
use crate::wake::Wake;

/// The store in a SQLite file, for one machine.
///
/// Write-ahead log, `synchronous=FULL`, one connection that writes and a few that read. Any number of processes
/// on the machine may open the same file; one writes at a time.
#[derive(Clone, Debug)]
pub struct SqliteStore {
    database: Database,
    wakes: Arc<Wakes>,
}

#[derive(Debug, Default)]
struct Wakes {
    jobs: Wake,
    deliveries: Wake,
}

impl SqliteStore {
    /// Opens the database, makes it if it is not there, and brings it to the current schema.
    ///
    /// # Errors
    /// [`ErrorKind::Schema`] if a newer supercargo wrote it; [`ErrorKind::Corrupt`] if it is no database.
    pub async fn open(options: SqliteOptions) -> Result<Self> {
        let path = options.path().to_owned();
        let database = Database::open(options)
            .await
            .map_err(|error| error.with_operation("open database").with_context(path.display()))?;
        Ok(Self { database, wakes: Arc::default() })
    }

    /// Where the database is.
    pub fn path(&self) -> &Path {
        self.database.path()
    }

    /// Writes a consistent copy of the database to `path`, while work goes on. The copy is a database of its
    /// own: to restore it, put it in the original's place.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] if there is a file at `path` already.
    pub async fn backup(&self, path: &Path) -> Result<()> {
        const OPERATION: &str = "back up database";
        let invalid = |why: &str| {
            Error::new(ErrorKind::Invalid, OPERATION).with_context(format_args!("to {}: {why}", path.display()))
        };
        let target = path.to_str().ok_or_else(|| invalid("the path is not UTF-8"))?.to_owned();
        if path.exists() {
            return Err(invalid("the file is there already"));
        }
        // SQLite accepts an empty file as the target, and so the copy has the permissions it is made with here.
        connection::create_private(path)?;
        self.database
            .detached(OPERATION, |connection| {
                Box::pin(async move {
                    sqlx::query("VACUUM INTO ?").bind(target).execute(connection).await.sql()?;
                    Ok(())
                })
            })
            .await?;
        let copy = path.to_owned();
        codec::blocking(move || {
            std::fs::File::open(&copy).and_then(|file| file.sync_all()).map_err(|error| {
                Error::new(ErrorKind::Unavailable, OPERATION).with_context(copy.display()).with_source(error)
            })
        })
        .await
    }

    /// Ends all connections; the write-ahead log goes into the database. Dropping the store is as safe.
    pub async fn close(&self) -> Result<()> {
        self.database.close().await
    }

    async fn write<T, F>(&self, operation: &'static str, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: for<'t, 'c> FnOnce(&'t mut Tx<'c>) -> BoxFuture<'t, Result<T>> + Send + 'static,
    {
        self.database.write(operation, work).await
    }

    /// Waits until a row of `table` becomes due, or somebody rings.
    async fn wait(&self, table: Leased, wake: &Wake, at_most: Duration) -> Result<()> {
        let clock = self.database.clone();
        let due = self
            .database
            .read("look for work", |connection| {
                Box::pin(async move {
                    let now = clock.now(connection).await?;
                    table.next_due(connection, now).await
                })
            })
            .await?;
        wake.wait(due.map_or(at_most, |due| due.min(at_most))).await;
        Ok(())
    }
}

/// Items to fetch for a page: one more, to learn whether there is a next one.
fn fetch(page: &Page) -> i64 {
    sql::number(page.limit() + 1)
}

/// Claimed rows on their way to the worker. If it no longer waits for them, they go back at once rather than
/// when their leases run out.
struct Handover {
    store: SqliteStore,
    table: Leased,
    /// Numbers and epochs.
    leases: Vec<(i64, i64)>,
}

impl Handover {
    fn new(store: SqliteStore, table: Leased, leases: Vec<(i64, i64)>) -> Self {
        Self { store, table, leases }
    }

    fn done(mut self) {
        self.leases.clear();
    }
}

impl Drop for Handover {
    fn drop(&mut self) {
        let leases = std::mem::take(&mut self.leases);
        // Without a runtime the process is at its end, and the leases run out by themselves.
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        if leases.is_empty() {
            return;
        }
        let (store, table) = (self.store.clone(), self.table);
        runtime.spawn(async move {
            let given_back = store
                .write("give back claims", move |tx| {
                    Box::pin(async move {
                        for (id, epoch) in leases {
                            table.release(tx, id, epoch).await?;
                        }
                        Ok(())
                    })
                })
                .await;
            match given_back {
                Ok(()) => store.ring(table),
                Err(error) => tracing::debug!(%error, "claims of a dropped call were not given back"),
            }
        });
    }
}

#[async_trait]
impl Store for SqliteStore {
    async fn accept_many(&self, arrivals: Vec<Arrival>) -> Result<Vec<Arrived>> {
        let arrived =
            self.write("accept events", move |tx| Box::pin(async move { events::accept(tx, &arrivals).await })).await?;
        self.wakes.jobs.ring();
        Ok(arrived)
    }

    async fn events(&self, filter: &EventFilter, page: &Page) -> Result<Listing<EventRecord>> {
        let (filter, page) = (filter.clone(), page.clone());
        self.database
            .read("list events", |connection| Box::pin(async move { events::list(connection, &filter, &page).await }))
            .await
    }

    async fn enqueue(&self, jobs: Vec<NewJob>) -> Result<Vec<Enqueued>> {
        let enqueued = self
            .write("enqueue jobs", move |tx| {
                Box::pin(async move {
                    let mut enqueued = Vec::with_capacity(jobs.len());
                    for job in &jobs {
                        enqueued.push(queue::enqueue(tx, job, None).await?);
                    }
                    Ok(enqueued)
                })
            })
            .await?;
        self.wakes.jobs.ring();
        Ok(enqueued)
    }

    async fn claim(&self, claim: &Claim) -> Result<Vec<Job>> {
        let (claim, store) = (claim.clone(), self.clone());
        let (jobs, handover) = self
            .write("claim jobs", move |tx| {
                Box::pin(async move {
                    let jobs = queue::claim(tx, &claim).await?;
                    let leases = jobs.iter().map(|job| (job.lease.job.0, job.lease.epoch)).collect();
                    Ok((jobs, Handover::new(store, Leased::Jobs, leases)))
                })
            })
            .await?;
        handover.done();
        Ok(jobs)
    }

    async fn heartbeat(&self, lease: Lease, duration: Duration) -> Result<()> {
        self.write("extend lease of job", move |tx| {
            Box::pin(Leased::Jobs.heartbeat(tx, lease.job.0, lease.epoch, duration))
        })
        .await
    }

    async fn complete(&self, lease: Lease, changes: Vec<Change>) -> Result<()> {
        let changes = changes::prepare(changes).await?;
        self.write("complete job", move |tx| {
            Box::pin(async move {
                Leased::Jobs.complete(tx, lease.job.0, lease.epoch).await?;
                changes::apply(tx, &changes).await
            })
        })
        .await?;
        self.ring_all();
        Ok(())
    }

    async fn fail(&self, lease: Lease, failure: Failure, changes: Vec<Change>) -> Result<Disposition> {
        let changes = changes::prepare(changes).await?;
        let disposition = self
            .write("fail job", move |tx| {
                Box::pin(async move {
                    let disposition = Leased::Jobs.fail(tx, lease.job.0, lease.epoch, failure).await?;
                    changes::apply(tx, &changes).await?;
                    Ok(disposition)
                })
            })
            .await?;
        self.ring_all();
        Ok(disposition)
    }

    async fn release(&self, lease: Lease) -> Result<()> {
        self.write("release job", move |tx| Box::pin(Leased::Jobs.release(tx, lease.job.0, lease.epoch))).await?;
        self.wakes.jobs.ring();
        Ok(())
    }

    async fn recover(&self, worker: &str) -> Result<u64> {
        let worker = worker.to_owned();
        let recovered = self
            .write("recover leases", move |tx| {
                Box::pin(async move {
                    Ok(Leased::Jobs.recover(tx, &worker).await? + Leased::Deliveries.recover(tx, &worker).await?)
                })
            })
            .await?;
        self.ring_all();
        Ok(recovered)
    }

    async fn retry(&self, job: JobId) -> Result<()> {
        const OPERATION: &str = "retry job";
        let found = self.write(OPERATION, move |tx| Box::pin(Leased::Jobs.retry(tx, job.0))).await?;
        if !found {
            return Err(no_dead_letter(OPERATION, job));
        }
        self.wakes.jobs.ring();
        Ok(())
    }

    async fn jobs(&self, filter: &JobFilter, page: &Page) -> Result<Listing<JobRecord>> {
        let (filter, page) = (filter.clone(), page.clone());
        self.database
            .read("list jobs", |connection| Box::pin(async move { queue::list(connection, &filter, &page).await }))
            .await
    }

    async fn queue_stats(&self) -> Result<Vec<LaneStats>> {
        let clock = self.database.clone();
        self.database
            .read("count jobs", |connection| {
                Box::pin(async move {
                    let now = clock.now(connection).await?;
                    queue::stats(connection, now).await
                })
            })
            .await
    }

    async fn wait_for_work(&self, at_most: Duration) -> Result<()> {
        self.wait(Leased::Jobs, &self.wakes.jobs, at_most).await
    }

    async fn apply(&self, changes: Vec<Change>) -> Result<()> {
        let changes = changes::prepare(changes).await?;
        self.write("apply changes", move |tx| Box::pin(async move { changes::apply(tx, &changes).await })).await?;
        self.ring_all();
        Ok(())
    }

    async fn ledger(&self, indexer: &str, digests: &[Digest]) -> Result<HashMap<Digest, LedgerEntry>> {
        let (indexer, digests) = (indexer.to_owned(), digests.to_vec());
        self.database
            .read("read ledger", |connection| {
                Box::pin(async move { ledger::read(connection, &indexer, &digests).await })
            })
            .await
    }

    async fn registries(&self) -> Result<Vec<RegistryState>> {
        self.database.read("list registries", |connection| Box::pin(inventory::registries(connection))).await
    }

    async fn repositories(&self, filter: &PlaceFilter, page: &Page) -> Result<Listing<RepositoryState>> {
        let (filter, page) = (filter.clone(), page.clone());
        self.database
            .read("list repositories", |connection| {
                Box::pin(async move { inventory::repositories(connection, &filter, &page).await })
            })
            .await
    }

    async fn tags(&self, filter: &PlaceFilter, page: &Page) -> Result<Listing<TagState>> {
        let (filter, page) = (filter.clone(), page.clone());
        self.database
            .read("list tags", |connection| Box::pin(async move { inventory::tags(connection, &filter, &page).await }))
            .await
    }

    async fn manifests(&self, filter: &PlaceFilter, page: &Page) -> Result<Listing<ManifestState>> {
        let (filter, page) = (filter.clone(), page.clone());
        self.database
            .read("list manifests", |connection| {
                Box::pin(async move { inventory::manifests(connection, &filter, &page).await })
            })
            .await
    }

    async fn images(&self, filter: &ImageFilter, page: &Page) -> Result<Listing<ImageSummary>> {
        let (filter, page) = (filter.clone(), page.clone());
        self.database
            .read("list images", |connection| Box::pin(async move { images::list(connection, &filter, &page).await }))
            .await
    }

    async fn image(&self, digest: &Digest) -> Result<Option<StoredImage>> {
        let digest = digest.clone();
        let found = self
            .database
            .read("read image", |connection| Box::pin(async move { images::find(connection, &digest).await }))
            .await?;
        let Some((summary, body)) = found else { return Ok(None) };
        let metadata = codec::blocking(move || codec::decode(&body))
            .await
            .map_err(|error| error.with_operation("read image").with_context(&summary.digest))?;
        Ok(Some(StoredImage { summary, metadata }))
    }

    async fn base_image(&self, layers: &[Digest]) -> Result<Option<KnownBase>> {
        let layers = layers.to_vec();
        self.database
            .read("find base image", |connection| Box::pin(async move { images::base(connection, &layers).await }))
            .await
    }

    async fn indexes_of(&self, digest: &Digest) -> Result<Vec<Digest>> {
        let digest = digest.clone();
        self.database
            .read("find indexes", |connection| Box::pin(async move { images::indexes_of(connection, &digest).await }))
            .await
    }

    async fn packages(&self, query: &PackageQuery, page: &Page) -> Result<Listing<PackageMatch>> {
        let (query, page) = (query.clone(), page.clone());
        self.database
            .read("search packages", |connection| {
                Box::pin(async move { search::packages(connection, &query, &page).await })
            })
            .await
    }

    async fn problems(&self, filter: &ProblemFilter, page: &Page) -> Result<Listing<Problem>> {
        let (filter, page) = (filter.clone(), page.clone());
        self.database
            .read("list problems", |connection| {
                Box::pin(async move { problems::list(connection, &filter, &page).await })
            })
            .await
    }

    async fn claim_deliveries(&self, sink: &str, worker: &str, lease: Duration, limit: u32) -> Result<Vec<Delivery>> {
        let (sink, worker, store) = (sink.to_owned(), worker.to_owned(), self.clone());
        let (deliveries, handover) = self
            .write("claim deliveries", move |tx| {
                Box::pin(async move {
                    let deliveries = outbox::claim(tx, &sink, &worker, lease, limit).await?;
                    let leases = deliveries.iter().map(|one| (one.lease.delivery.0, one.lease.epoch)).collect();
                    Ok((deliveries, Handover::new(store, Leased::Deliveries, leases)))
                })
            })
            .await?;
        handover.done();
        Ok(deliveries)
    }

    async fn heartbeat_delivery(&self, lease: DeliveryLease, duration: Duration) -> Result<()> {
        self.write("extend lease of delivery", move |tx| {
            Box::pin(Leased::Deliveries.heartbeat(tx, lease.delivery.0, lease.epoch, duration))
        })
        .await
    }

    async fn complete_delivery(&self, lease: DeliveryLease) -> Result<()> {
        self.write("complete delivery", move |tx| {
            Box::pin(Leased::Deliveries.complete(tx, lease.delivery.0, lease.epoch))
        })
        .await?;
        self.wakes.deliveries.ring();
        Ok(())
    }

    async fn fail_delivery(&self, lease: DeliveryLease, failure: Failure) -> Result<Disposition> {
        let disposition = self
            .write("fail delivery", move |tx| {
                Box::pin(Leased::Deliveries.fail(tx, lease.delivery.0, lease.epoch, failure))
            })
            .await?;
        self.wakes.deliveries.ring();
        Ok(disposition)
    }

    async fn release_delivery(&self, lease: DeliveryLease) -> Result<()> {
        self.write("release delivery", move |tx| {
            Box::pin(Leased::Deliveries.release(tx, lease.delivery.0, lease.epoch))
        })
        .await?;
        self.wakes.deliveries.ring();
        Ok(())
    }

    async fn retry_delivery(&self, delivery: DeliveryId) -> Result<()> {
        const OPERATION: &str = "retry delivery";
        let found = self.write(OPERATION, move |tx| Box::pin(Leased::Deliveries.retry(tx, delivery.0))).await?;
        if !found {
            return Err(no_dead_letter(OPERATION, delivery));
        }
        self.wakes.deliveries.ring();
        Ok(())
    }

    async fn drop_deliveries(&self, filter: &DeliveryFilter) -> Result<u64> {
        let filter = filter.clone();
        self.write("drop deliveries", move |tx| Box::pin(async move { outbox::remove(tx, &filter).await })).await
    }

    async fn set_sinks(&self, worker: &str, sinks: Vec<String>) -> Result<()> {
        let worker = worker.to_owned();
        self.write("note sinks", move |tx| Box::pin(async move { outbox::set_sinks(tx, &worker, &sinks).await })).await
    }

    async fn sinks(&self) -> Result<Vec<String>> {
        self.database.read("list sinks", |connection| Box::pin(outbox::sinks(connection))).await
    }

    async fn outbox_stats(&self) -> Result<Vec<SinkStats>> {
        let clock = self.database.clone();
        self.database
            .read("count deliveries", |connection| {
                Box::pin(async move {
                    let now = clock.now(connection).await?;
                    outbox::stats(connection, now).await
                })
            })
            .await
    }

    async fn deliveries(&self, filter: &DeliveryFilter, page: &Page) -> Result<Listing<DeliveryRecord>> {
        let (filter, page) = (filter.clone(), page.clone());
        self.database
            .read("list deliveries", |connection| {
                Box::pin(async move { outbox::list(connection, &filter, &page).await })
            })
            .await
    }

    async fn wait_for_deliveries(&self, at_most: Duration) -> Result<()> {
        self.wait(Leased::Deliveries, &self.wakes.deliveries, at_most).await
    }

    fn layer_cache(&self) -> Arc<dyn LayerCache> {
        Arc::new(layers::SqliteLayerCache(self.database.clone()))
    }

    async fn prune(&self, retention: &Retention) -> Result<Pruned> {
        upkeep::prune(&self.database, retention).await
    }

    async fn usage(&self) -> Result<Usage> {
        self.database.read("measure store", |connection| Box::pin(upkeep::usage(connection))).await
    }

    /// Takes the writer's turn, so that a writer that hangs shows.
    async fn check(&self) -> Result<()> {
        self.write("check database", |tx| {
            Box::pin(async move {
                sqlx::query("SELECT 1 FROM jobs LIMIT 1").execute(tx.connection()).await.sql()?;
                Ok(())
            })
        })
        .await
    }
}

impl SqliteStore {
    fn ring(&self, table: Leased) {
        match table {
            Leased::Jobs => self.wakes.jobs.ring(),
            Leased::Deliveries => self.wakes.deliveries.ring(),
        }
    }

    fn ring_all(&self) {
        self.wakes.jobs.ring();
        self.wakes.deliveries.ring();
    }
}

fn no_dead_letter(operation: &'static str, id: impl std::fmt::Display) -> Error {
    Error::new(ErrorKind::NotFound, operation).with_context(format_args!("{id}, as it is not a dead letter"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conformance::fixture::{claim_one, image, openssl, push, repository};

    async fn pragma(store: &SqliteStore, statement: String) -> i64 {
        let statement = sqlx::AssertSqlSafe(statement);
        store
            .write("test", |tx| {
                Box::pin(async move { sqlx::query_scalar(statement).fetch_one(tx.connection()).await.sql() })
            })
            .await
            .unwrap()
    }

    #[tokio::test]
    async fn the_writer_is_durable_and_checks_references() {
        let directory = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(SqliteOptions::new(directory.path().join("supercargo.db"))).await.unwrap();
        // FULL, ON, INCREMENTAL.
        for (name, expected) in [("synchronous", 2), ("foreign_keys", 1), ("auto_vacuum", 2)] {
            assert_eq!(pragma(&store, format!("PRAGMA {name}")).await, expected, "{name}");
        }
    }

    #[tokio::test]
    async fn a_full_disk_loses_nothing_and_is_told() {
        let directory = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(SqliteOptions::new(directory.path().join("supercargo.db"))).await.unwrap();
        store.enqueue(vec![push("v1")]).await.unwrap();
        let job = claim_one(&store).await.unwrap();
        let pages = pragma(&store, "PRAGMA page_count".to_owned()).await;
        // A file that may not grow answers as a full disk does.
        pragma(&store, format!("PRAGMA max_page_count = {}", pages + 2)).await;
        let packages = (0..2000).map(|number| openssl(&number.to_string())).collect();
        let change = Change::Image { repository: repository("app"), metadata: Box::new(image(1, packages)) };
        let error = store.complete(job.lease, vec![change.clone()]).await.unwrap_err();
        assert_eq!((error.kind(), error.is_retryable()), (ErrorKind::DiskFull, true));
        assert_eq!(error.to_string(), "complete job: the disk is full");

        pragma(&store, "PRAGMA max_page_count = 1000000".to_owned()).await;
        store.complete(job.lease, vec![change]).await.unwrap();
    }
}
