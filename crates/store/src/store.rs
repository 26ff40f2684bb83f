//! The contract that every store keeps.

mod access;
mod integrations;

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use supercargo_index::{Digest, LayerCache};

pub use self::access::AccessStore;
pub use self::integrations::IntegrationStore;
use crate::change::Change;
use crate::error::Result;
use crate::event::{Accepted, Arrival, Arrived, EventFilter, EventRecord, NewEvent};
use crate::inventory::{
    ImageFilter, ImageSummary, KnownBase, ManifestState, PackageMatch, PackageQuery, PlaceFilter, Problem,
    ProblemFilter, RegistryState, RepositoryState, StoredImage, TagState,
};
use crate::job::{Claim, Disposition, Enqueued, Failure, Job, JobFilter, JobId, JobRecord, LaneStats, Lease, NewJob};
use crate::ledger::LedgerEntry;
use crate::outbox::{Delivery, DeliveryFilter, DeliveryId, DeliveryLease, DeliveryRecord, SinkStats};
use crate::page::{Listing, Page};
use crate::upkeep::{Pruned, Retention, Usage};

/// Queue, ledger, inventory and outbox in one place, so that what belongs together is committed together; and with them
/// what [`IntegrationStore`] and [`AccessStore`] keep.
///
/// What every implementation keeps, and [`conformance`](crate::conformance) checks:
///
/// - A call that returns `Ok` is durable; one that returns an error has changed nothing.
/// - A dropped future leaves no transaction behind. The call has happened whole or not at all. A dropped
///   [`claim`](Store::claim) gives its jobs back.
/// - Work is done *at least* once. Every write to a claimed job or delivery names its lease and is refused with
///   [`ErrorKind::LeaseLost`](crate::ErrorKind::LeaseLost) once the lease has run out or was given to another.
/// - Times are the database's. A machine whose clock jumps does not keep a lease or a back-off for longer than
///   its length.
/// - One request for work is one job: see [`Enqueued`] for what becomes of a request for work that is already
///   waiting, running or given up.
/// - What the registry no longer has is kept with the time it went, and hidden unless it is asked for.
#[async_trait]
pub trait Store: IntegrationStore + AccessStore + fmt::Debug + Send + Sync {
    /// Keeps deliveries and enqueues their jobs, all in one transaction, in their order. What is known by its key,
    /// from the store or from earlier in the call, enqueues nothing. The answers are in the order of the arrivals.
    async fn accept_many(&self, arrivals: Vec<Arrival>) -> Result<Vec<Arrived>>;

    /// Keeps one event and enqueues its jobs.
    async fn accept(&self, event: NewEvent, jobs: Vec<NewJob>) -> Result<Accepted> {
        let arrived = self.accept_many(vec![Arrival::new(event, jobs)]).await?;
        Ok(arrived.first().expect("one arrival has one answer").accepted)
    }

    /// Events, the newest first.
    async fn events(&self, filter: &EventFilter, page: &Page) -> Result<Listing<EventRecord>>;

    /// Enqueues jobs, all or none. The answers are in the order of the requests.
    async fn enqueue(&self, jobs: Vec<NewJob>) -> Result<Vec<Enqueued>>;

    /// Leases ready jobs to a worker: the most urgent lane first, in it the one that has waited longest. Jobs
    /// whose lease has run out are queued again before, or given up if that was their last attempt.
    async fn claim(&self, claim: &Claim) -> Result<Vec<Job>>;

    /// Extends a lease to `duration` from now. To be called at a third of the lease.
    async fn heartbeat(&self, lease: Lease, duration: Duration) -> Result<()>;

    /// The job is done: applies what was learnt and finishes the job, in one transaction. A job that was asked
    /// for again meanwhile is queued again.
    async fn complete(&self, lease: Lease, changes: Vec<Change>) -> Result<()>;

    /// The attempt failed: applies what was learnt all the same, and queues the job again or gives it up.
    async fn fail(&self, lease: Lease, failure: Failure, changes: Vec<Change>) -> Result<Disposition>;

    /// Gives the job back unfinished, as if it had not been claimed: for an orderly shutdown.
    async fn release(&self, lease: Lease) -> Result<()>;

    /// Ends all leases of jobs and deliveries that `worker` holds, as if they had run out: for a process that
    /// starts again after a crash under the same name. Answers how many there were.
    async fn recover(&self, worker: &str) -> Result<u64>;

    /// Queues a dead letter again, from its first attempt, as urgently as a push.
    async fn retry(&self, job: JobId) -> Result<()>;

    /// Jobs, the newest first.
    async fn jobs(&self, filter: &JobFilter, page: &Page) -> Result<Listing<JobRecord>>;

    /// How full the lanes are, in their order.
    async fn queue_stats(&self) -> Result<Vec<LaneStats>>;

    /// Returns when there may be work for [`claim`](Store::claim), or after `at_most`. A hint: the truth is in
    /// the claim.
    async fn wait_for_work(&self, at_most: Duration) -> Result<()>;

    /// Applies changes that belong to no job, in one transaction.
    async fn apply(&self, changes: Vec<Change>) -> Result<()>;

    /// The ledger's lines for those of `digests` that `indexer` has been at.
    async fn ledger(&self, indexer: &str, digests: &[Digest]) -> Result<HashMap<Digest, LedgerEntry>>;

    /// The registries, by name.
    async fn registries(&self) -> Result<Vec<RegistryState>>;

    /// Repositories, by registry and name.
    async fn repositories(&self, filter: &PlaceFilter, page: &Page) -> Result<Listing<RepositoryState>>;

    /// Tags, by registry, repository and name.
    async fn tags(&self, filter: &PlaceFilter, page: &Page) -> Result<Listing<TagState>>;

    /// Manifests of repositories, in the order in which they were first seen.
    async fn manifests(&self, filter: &PlaceFilter, page: &Page) -> Result<Listing<ManifestState>>;

    /// Images, the ones indexed last first (by their first time).
    async fn images(&self, filter: &ImageFilter, page: &Page) -> Result<Listing<ImageSummary>>;

    /// An image, whole, also if it is gone.
    async fn image(&self, digest: &Digest) -> Result<Option<StoredImage>>;

    /// The image that one of `layers` was built on: the one there is whose layers are the most of the first of
    /// them, all of them excepted. `layers` are diff IDs, the lowest first. One with a tag goes before one without.
    async fn base_image(&self, layers: &[Digest]) -> Result<Option<KnownBase>>;

    /// The indexes that list the manifest `digest`.
    async fn indexes_of(&self, digest: &Digest) -> Result<Vec<Digest>>;

    /// Packages in images, one item for each package of each image, those of one package together.
    async fn packages(&self, query: &PackageQuery, page: &Page) -> Result<Listing<PackageMatch>>;

    /// What went wrong and still is wrong, the latest first.
    async fn problems(&self, filter: &ProblemFilter, page: &Page) -> Result<Listing<Problem>>;

    /// Leases deliveries for `sink` that are due, the most urgent lane first and in it the oldest, as
    /// [`claim`](Store::claim) does for jobs.
    async fn claim_deliveries(&self, sink: &str, worker: &str, lease: Duration, limit: u32) -> Result<Vec<Delivery>>;

    /// Extends a delivery's lease to `duration` from now.
    async fn heartbeat_delivery(&self, lease: DeliveryLease, duration: Duration) -> Result<()>;

    /// The delivery is done. One that was asked for again meanwhile is queued again.
    async fn complete_delivery(&self, lease: DeliveryLease) -> Result<()>;

    /// The delivery failed.
    async fn fail_delivery(&self, lease: DeliveryLease, failure: Failure) -> Result<Disposition>;

    /// Gives the delivery back, as if it had not been claimed.
    async fn release_delivery(&self, lease: DeliveryLease) -> Result<()>;

    /// Queues a delivery that was given up again.
    async fn retry_delivery(&self, delivery: DeliveryId) -> Result<()>;

    /// Removes deliveries that wait or were given up, for good, and says how many there were. Those under way and those
    /// that have arrived stay.
    async fn drop_deliveries(&self, filter: &DeliveryFilter) -> Result<u64>;

    /// Notes where `worker` delivers, in place of what it said before.
    async fn set_sinks(&self, worker: &str, sinks: Vec<String>) -> Result<()>;

    /// The sinks that some worker delivers to, as of its last start, by name. Deliveries to others wait until somebody
    /// delivers there again.
    async fn sinks(&self) -> Result<Vec<String>>;

    /// How full the outbox is, by sink, in the order of their names. Sinks without an undelivered row are left out.
    async fn outbox_stats(&self) -> Result<Vec<SinkStats>>;

    /// Deliveries, the newest first.
    async fn deliveries(&self, filter: &DeliveryFilter, page: &Page) -> Result<Listing<DeliveryRecord>>;

    /// Returns when there may be a delivery to claim, or after `at_most`. A hint.
    async fn wait_for_deliveries(&self, at_most: Duration) -> Result<()>;

    /// The layers that were read before.
    fn layer_cache(&self) -> Arc<dyn LayerCache>;

    /// Removes what `retention` no longer wants.
    async fn prune(&self, retention: &Retention) -> Result<Pruned>;

    /// What the store holds.
    async fn usage(&self) -> Result<Usage>;

    /// Whether the database answers.
    async fn check(&self) -> Result<()>;
}
