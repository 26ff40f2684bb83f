//! The store in memory: for tests, and for the length of a demonstration.

mod access;
mod integrations;
mod leased;
mod lists;
mod prune;
mod removal;
mod state;

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use supercargo_index::{Digest, LayerCache, LayerIndex, LayerKey};

use self::leased::Life;
use self::state::{DeliveryRow, JobRow, LayerRow, State, reason};
use crate::change::Change;
use crate::clock::{ClockOffset, millis, timestamp};
use crate::error::{Error, ErrorKind, Result};
use crate::event::{Arrival, Arrived, EventFilter, EventRecord};
use crate::inventory::{
    ImageFilter, ImageSummary, KnownBase, ManifestState, PackageMatch, PackageQuery, PlaceFilter, Problem,
    ProblemFilter, RegistryState, RepositoryState, StoredImage, TagState,
};
use crate::job::{
    Claim, Disposition, Enqueued, Failure, Job, JobFilter, JobId, JobRecord, JobState, Lane, LaneStats, Lease, NewJob,
};
use crate::ledger::LedgerEntry;
use crate::outbox::{Delivery, DeliveryFilter, DeliveryId, DeliveryLease, DeliveryRecord, NewDelivery, SinkStats};
use crate::page::{Cursor, Listing, Page};
use crate::store::Store;
use crate::upkeep::{Pruned, Retention, Usage};
use crate::wake::Wake;

/// The store in memory. It keeps every promise of [`Store`] but the one that nothing is lost with the process.
#[derive(Clone, Debug, Default)]
pub struct MemoryStore {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    clock: ClockOffset,
    jobs: Wake,
    deliveries: Wake,
}

impl MemoryStore {
    /// An empty store whose time is the process's with `clock` added to it.
    pub fn with_clock(clock: ClockOffset) -> Self {
        Self { shared: Arc::new(Shared { clock, ..Shared::default() }) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> i64 {
        Timestamp::now().as_millisecond() + self.shared.clock.millis()
    }

    fn ring_all(&self) {
        self.shared.jobs.ring();
        self.shared.deliveries.ring();
    }

    fn job<T>(
        &self,
        operation: &'static str,
        lease: Lease,
        use_lease: impl FnOnce(&mut State, i64) -> Result<T>,
    ) -> Result<T> {
        let mut state = self.state();
        let now = self.now();
        let lost = || Error::new(ErrorKind::LeaseLost, operation).with_context(lease.job);
        let row = state.jobs.get(&lease.job.0).ok_or_else(lost)?;
        row.life.check(lease.epoch, now).map_err(|error| error.with_operation(operation))?;
        let result = use_lease(&mut state, now);
        drop(state);
        self.ring_all();
        result.map_err(|error| error.with_operation(operation))
    }

    fn delivery<T>(
        &self,
        operation: &'static str,
        id: DeliveryId,
        change: impl FnOnce(&mut Life, i64) -> Result<T>,
    ) -> Result<T> {
        let mut state = self.state();
        let now = self.now();
        let lost = || Error::new(ErrorKind::LeaseLost, operation).with_context(id);
        let row = state.deliveries.get_mut(&id.0).ok_or_else(lost)?;
        let result = change(&mut row.life, now);
        drop(state);
        self.shared.deliveries.ring();
        result.map_err(|error| error.with_operation(operation))
    }

    async fn wait(&self, wake: &Wake, due: impl Iterator<Item = i64>, now: i64, at_most: Duration) {
        let next = due.filter(|at| *at > now).min().and_then(|at| u64::try_from(at - now).ok());
        wake.wait(next.map_or(at_most, |next| at_most.min(Duration::from_millis(next)))).await;
    }
}

fn life(state: &mut State, job: JobId) -> Result<&mut Life> {
    let lost = || Error::new(ErrorKind::LeaseLost, "use lease").with_context(job);
    state.jobs.get_mut(&job.0).map(|row| &mut row.life).ok_or_else(lost)
}

fn no_dead_letter(operation: &'static str, id: impl std::fmt::Display) -> Error {
    Error::new(ErrorKind::NotFound, operation).with_context(format_args!("{id}, as it is not a dead letter"))
}

/// A page of what is numbered, the newest first.
fn newest<T, R>(
    rows: &std::collections::BTreeMap<i64, T>,
    page: &Page,
    wanted: impl Fn(&T) -> bool,
    record: impl Fn(&T) -> Result<R>,
) -> Result<Listing<R>> {
    let after = Cursor::numbers::<1>(page)?.map_or(i64::MAX, |[id]| id);
    let rows = rows.range(..after).rev().filter(|(_, row)| wanted(row)).take(page.limit() + 1);
    let items = rows.map(|(id, row)| Ok((*id, record(row)?))).collect::<Result<Vec<_>>>()?;
    let listing = Listing::cut(items, page, |(id, _)| Cursor::new([id]));
    Ok(Listing { items: listing.items.into_iter().map(|(_, item)| item).collect(), next: listing.next })
}

#[async_trait]
impl Store for MemoryStore {
    async fn accept_many(&self, arrivals: Vec<Arrival>) -> Result<Vec<Arrived>> {
        let mut state = self.state();
        let now = self.now();
        let arrived = arrivals.into_iter().map(|arrival| state.accept(arrival, now)).collect();
        drop(state);
        self.shared.jobs.ring();
        arrived
    }

    async fn events(&self, filter: &EventFilter, page: &Page) -> Result<Listing<EventRecord>> {
        let wanted = |one: &EventRecord| {
            filter.source.as_ref().is_none_or(|source| *source == one.event.source)
                && filter.state.is_none_or(|state| state == one.event.state)
                && filter.id.is_none_or(|id| id == one.id)
        };
        newest(&self.state().events, page, wanted, |one| Ok(one.clone()))
    }

    async fn enqueue(&self, jobs: Vec<NewJob>) -> Result<Vec<Enqueued>> {
        let mut state = self.state();
        let now = self.now();
        let enqueued = jobs.into_iter().map(|job| state.enqueue(job, None, now)).collect();
        drop(state);
        self.shared.jobs.ring();
        Ok(enqueued)
    }

    async fn claim(&self, claim: &Claim) -> Result<Vec<Job>> {
        let mut state = self.state();
        let now = self.now();
        state.jobs.values_mut().for_each(|row| row.life.sweep(now));
        let wanted = |row: &&mut JobRow| {
            row.life.is_ready(now)
                && (claim.lanes.is_empty() || claim.lanes.iter().any(|lane| lane.rank() == row.life.lane))
                && !claim.except_registries.contains(&row.work.repository().registry)
        };
        let mut ready: Vec<_> = state.jobs.values_mut().filter(wanted).collect();
        ready.sort_by_key(|row| (row.life.lane, row.life.run_at, row.life.id));
        ready.truncate(claim.limit as usize);
        ready
            .into_iter()
            .map(|row| {
                row.life.claim(&claim.worker, claim.lease, now);
                Ok(Job {
                    lease: Lease { job: JobId(row.life.id), epoch: row.life.epoch },
                    work: row.work.clone(),
                    lane: lane(&row.life),
                    attempt: row.life.attempt,
                    max_attempts: row.life.max_attempts,
                    last_error: reason(&row.life.error),
                    event: row.event,
                    created_at: timestamp(row.life.created_at)?,
                    lease_until: timestamp(now + millis(claim.lease))?,
                })
            })
            .collect()
    }

    async fn heartbeat(&self, lease: Lease, duration: Duration) -> Result<()> {
        self.job("extend lease of job", lease, |state, now| {
            life(state, lease.job)?.heartbeat(lease.epoch, duration, now)
        })
    }

    async fn complete(&self, lease: Lease, changes: Vec<Change>) -> Result<()> {
        self.job("complete job", lease, |state, now| {
            state::check(&changes)?;
            life(state, lease.job)?.complete(lease.epoch, now)?;
            state.apply(changes, now)
        })
    }

    async fn fail(&self, lease: Lease, failure: Failure, changes: Vec<Change>) -> Result<Disposition> {
        self.job("fail job", lease, |state, now| {
            state::check(&changes)?;
            let disposition = life(state, lease.job)?.fail(lease.epoch, failure, now)?;
            state.apply(changes, now)?;
            Ok(disposition)
        })
    }

    async fn release(&self, lease: Lease) -> Result<()> {
        self.job("release job", lease, |state, now| life(state, lease.job)?.release(lease.epoch, now))
    }

    async fn recover(&self, worker: &str) -> Result<u64> {
        let mut state = self.state();
        let now = self.now();
        let State { jobs, deliveries, .. } = &mut *state;
        let lives = jobs.values_mut().map(|row| &mut row.life).chain(deliveries.values_mut().map(|row| &mut row.life));
        let mut recovered = 0;
        for life in lives {
            if let Some(lease) = life.lease.as_mut().filter(|lease| lease.owner == worker) {
                lease.until = now;
                life.changed_at = now;
                recovered += 1;
            }
            life.sweep(now);
        }
        drop(state);
        self.ring_all();
        Ok(recovered)
    }

    async fn retry(&self, job: JobId) -> Result<()> {
        let now = self.now();
        let retried = self.state().jobs.get_mut(&job.0).is_some_and(|row| row.life.retry(now));
        self.shared.jobs.ring();
        if retried { Ok(()) } else { Err(no_dead_letter("retry job", job)) }
    }

    async fn jobs(&self, filter: &JobFilter, page: &Page) -> Result<Listing<JobRecord>> {
        let wanted = |row: &JobRow| {
            filter.job.is_none_or(|job| job.0 == row.life.id)
                && filter.state.is_none_or(|state| state == row.life.state)
                && filter.registry.as_ref().is_none_or(|registry| *registry == row.work.repository().registry)
        };
        newest(&self.state().jobs, page, wanted, job_record)
    }

    async fn queue_stats(&self) -> Result<Vec<LaneStats>> {
        let state = self.state();
        let now = self.now();
        let stats = |lane: Lane| {
            let lives = || state.jobs.values().map(|row| &row.life).filter(move |life| life.lane == lane.rank());
            let count = |wanted: JobState| lives().filter(|life| life.state == wanted).count() as u64;
            let ready = lives().filter(|life| life.is_ready(now)).count() as u64;
            let oldest = lives().filter(|life| life.is_ready(now)).map(|life| now - life.run_at).max();
            LaneStats {
                lane,
                ready,
                delayed: count(JobState::Queued) - ready,
                running: count(JobState::Running),
                dead: count(JobState::Dead),
                oldest_ready: oldest.and_then(|age| u64::try_from(age).ok()).map(Duration::from_millis),
            }
        };
        Ok(Lane::ALL.map(stats).to_vec())
    }

    async fn wait_for_work(&self, at_most: Duration) -> Result<()> {
        let now = self.now();
        let due: Vec<_> = self.state().jobs.values().filter_map(|row| row.life.due()).collect();
        self.wait(&self.shared.jobs, due.into_iter(), now, at_most).await;
        Ok(())
    }

    async fn apply(&self, changes: Vec<Change>) -> Result<()> {
        const OPERATION: &str = "apply changes";
        state::check(&changes).map_err(|error| error.with_operation(OPERATION))?;
        let now = self.now();
        self.state().apply(changes, now).map_err(|error| error.with_operation(OPERATION))?;
        self.ring_all();
        Ok(())
    }

    async fn ledger(&self, indexer: &str, digests: &[Digest]) -> Result<HashMap<Digest, LedgerEntry>> {
        let state = self.state();
        let entry = |digest: &Digest| {
            let (_, entry) = state.ledger.get(&(digest.clone(), indexer.to_owned()))?;
            Some((digest.clone(), entry.clone()))
        };
        Ok(digests.iter().filter_map(entry).collect())
    }

    async fn registries(&self) -> Result<Vec<RegistryState>> {
        Ok(self.state().registry_list())
    }

    async fn repositories(&self, filter: &PlaceFilter, page: &Page) -> Result<Listing<RepositoryState>> {
        self.state().repository_list(filter, page)
    }

    async fn tags(&self, filter: &PlaceFilter, page: &Page) -> Result<Listing<TagState>> {
        self.state().tag_list(filter, page)
    }

    async fn manifests(&self, filter: &PlaceFilter, page: &Page) -> Result<Listing<ManifestState>> {
        self.state().manifest_list(filter, page)
    }

    async fn images(&self, filter: &ImageFilter, page: &Page) -> Result<Listing<ImageSummary>> {
        self.state().image_list(filter, page)
    }

    async fn image(&self, digest: &Digest) -> Result<Option<StoredImage>> {
        self.state().find_image(digest)
    }

    async fn base_image(&self, layers: &[Digest]) -> Result<Option<KnownBase>> {
        self.state().base_image(layers)
    }

    async fn indexes_of(&self, digest: &Digest) -> Result<Vec<Digest>> {
        Ok(self.state().indexes_of(digest))
    }

    async fn packages(&self, query: &PackageQuery, page: &Page) -> Result<Listing<PackageMatch>> {
        self.state().package_list(query, page)
    }

    async fn problems(&self, filter: &ProblemFilter, page: &Page) -> Result<Listing<Problem>> {
        self.state().problem_list(filter, page)
    }

    async fn claim_deliveries(&self, sink: &str, worker: &str, lease: Duration, limit: u32) -> Result<Vec<Delivery>> {
        let mut state = self.state();
        let now = self.now();
        state.deliveries.values_mut().for_each(|row| row.life.sweep(now));
        let wanted = |row: &&mut DeliveryRow| row.life.is_ready(now) && row.request.sink == sink;
        let mut ready: Vec<_> = state.deliveries.values_mut().filter(wanted).collect();
        ready.sort_by_key(|row| (row.life.lane, row.life.run_at, row.life.id));
        ready.truncate(limit as usize);
        ready
            .into_iter()
            .map(|row| {
                row.life.claim(worker, lease, now);
                row.request.lane = lane(&row.life);
                Ok(Delivery {
                    lease: DeliveryLease { delivery: DeliveryId(row.life.id), epoch: row.life.epoch },
                    request: row.request.clone(),
                    round: row.round,
                    attempt: row.life.attempt,
                    last_error: reason(&row.life.error),
                    created_at: timestamp(row.life.created_at)?,
                    lease_until: timestamp(now + millis(lease))?,
                })
            })
            .collect()
    }

    async fn heartbeat_delivery(&self, lease: DeliveryLease, duration: Duration) -> Result<()> {
        self.delivery("extend lease of delivery", lease.delivery, |life, now| {
            life.heartbeat(lease.epoch, duration, now)
        })
    }

    async fn complete_delivery(&self, lease: DeliveryLease) -> Result<()> {
        self.delivery("complete delivery", lease.delivery, |life, now| life.complete(lease.epoch, now))
    }

    async fn fail_delivery(&self, lease: DeliveryLease, failure: Failure) -> Result<Disposition> {
        self.delivery("fail delivery", lease.delivery, |life, now| life.fail(lease.epoch, failure, now))
    }

    async fn release_delivery(&self, lease: DeliveryLease) -> Result<()> {
        self.delivery("release delivery", lease.delivery, |life, now| life.release(lease.epoch, now))
    }

    async fn retry_delivery(&self, delivery: DeliveryId) -> Result<()> {
        let now = self.now();
        let retried = self.state().deliveries.get_mut(&delivery.0).is_some_and(|row| row.life.retry(now));
        self.shared.deliveries.ring();
        if retried { Ok(()) } else { Err(no_dead_letter("retry delivery", delivery)) }
    }

    async fn drop_deliveries(&self, filter: &DeliveryFilter) -> Result<u64> {
        let mut state = self.state();
        let now = self.now();
        state.deliveries.values_mut().for_each(|row| row.life.sweep(now));
        let before = state.deliveries.len();
        let ends = [JobState::Queued, JobState::Dead];
        state.deliveries.retain(|_, row| !(ends.contains(&row.life.state) && is_wanted(row, filter)));
        Ok((before - state.deliveries.len()) as u64)
    }

    async fn set_sinks(&self, worker: &str, sinks: Vec<String>) -> Result<()> {
        self.state().sinks.insert(worker.to_owned(), sinks);
        Ok(())
    }

    async fn sinks(&self) -> Result<Vec<String>> {
        let all: BTreeSet<String> = self.state().sinks.values().flatten().cloned().collect();
        Ok(all.into_iter().collect())
    }

    async fn outbox_stats(&self) -> Result<Vec<SinkStats>> {
        let now = self.now();
        Ok(self.state().outbox_stats(now))
    }

    async fn deliveries(&self, filter: &DeliveryFilter, page: &Page) -> Result<Listing<DeliveryRecord>> {
        newest(&self.state().deliveries, page, |row| is_wanted(row, filter), delivery_record)
    }

    async fn wait_for_deliveries(&self, at_most: Duration) -> Result<()> {
        let now = self.now();
        let due: Vec<_> = self.state().deliveries.values().filter_map(|row| row.life.due()).collect();
        self.wait(&self.shared.deliveries, due.into_iter(), now, at_most).await;
        Ok(())
    }

    fn layer_cache(&self) -> Arc<dyn LayerCache> {
        Arc::new(Layers(self.clone()))
    }

    async fn prune(&self, retention: &Retention) -> Result<Pruned> {
        let now = self.now();
        self.state().prune(retention, now)
    }

    async fn usage(&self) -> Result<Usage> {
        let state = self.state();
        Ok(Usage {
            images: state.images.len() as u64,
            document_bytes: state.images.values().map(|row| row.bytes).sum(),
            packages: state.packages.len() as u64,
            layers: state.layers.len() as u64,
            layer_bytes: state.layers.values().map(|row| row.bytes).sum(),
            events: state.events.len() as u64,
            database_bytes: 0,
        })
    }

    async fn check(&self) -> Result<()> {
        Ok(())
    }
}

fn lane(life: &Life) -> Lane {
    Lane::from_rank(life.lane).expect("it was a lane's rank when it was stored")
}

fn job_record(row: &JobRow) -> Result<JobRecord> {
    let life = &row.life;
    Ok(JobRecord {
        id: JobId(life.id),
        work: row.work.clone(),
        lane: lane(life),
        state: life.state,
        attempt: life.attempt,
        max_attempts: life.max_attempts,
        run_at: timestamp(life.run_at)?,
        worker: life.lease.as_ref().map(|lease| lease.owner.clone()),
        lease_until: life.lease.as_ref().map(|lease| timestamp(lease.until)).transpose()?,
        again: life.again.is_some(),
        last_error: reason(&life.error),
        event: row.event,
        created_at: timestamp(life.created_at)?,
        finished_at: life.finished_at.map(timestamp).transpose()?,
    })
}

fn is_wanted(row: &DeliveryRow, filter: &DeliveryFilter) -> bool {
    filter.state.is_none_or(|state| state == row.life.state)
        && filter.sink.as_ref().is_none_or(|sink| *sink == row.request.sink)
        && filter.id.is_none_or(|id| id.0 == row.life.id)
}

fn delivery_record(row: &DeliveryRow) -> Result<DeliveryRecord> {
    let life = &row.life;
    Ok(DeliveryRecord {
        id: DeliveryId(life.id),
        request: NewDelivery { lane: lane(life), ..row.request.clone() },
        state: life.state,
        round: row.round,
        attempt: life.attempt,
        run_at: timestamp(life.run_at)?,
        last_error: reason(&life.error),
        created_at: timestamp(life.created_at)?,
        finished_at: life.finished_at.map(timestamp).transpose()?,
    })
}

fn is_current(layer: &LayerIndex) -> bool {
    layer.format == LayerIndex::FORMAT
}

#[derive(Debug)]
struct Layers(MemoryStore);

#[async_trait]
impl LayerCache for Layers {
    async fn get(&self, key: &LayerKey) -> supercargo_index::Result<Option<LayerIndex>> {
        let now = self.0.now();
        let layer = self.0.state().layers.get_mut(key).map(|row| {
            row.used_at = now;
            Arc::clone(&row.layer)
        });
        let current = layer.filter(|layer| is_current(layer));
        Ok(current.map(|layer| LayerIndex::clone(&layer)))
    }

    async fn get_any(&self, digest: &Digest) -> supercargo_index::Result<Option<LayerIndex>> {
        let state = self.0.state();
        let current = state.layers.iter().filter(|(key, row)| key.digest == *digest && is_current(&row.layer));
        let newest = current.max_by_key(|(_, row)| (row.used_at, row.number));
        Ok(newest.map(|(_, row)| LayerIndex::clone(&row.layer)))
    }

    async fn put(&self, key: &LayerKey, layer: &LayerIndex) -> supercargo_index::Result<()> {
        let failed = |error| supercargo_index::Error::from_source("cache layer", false, error);
        let bytes = crate::codec::encode_layer(layer.clone()).map_err(failed)?.len() as u64;
        let used_at = self.0.now();
        let mut state = self.0.state();
        let number = state.number();
        state.layers.insert(key.clone(), LayerRow { number, layer: Arc::new(layer.clone()), bytes, used_at });
        Ok(())
    }
}
