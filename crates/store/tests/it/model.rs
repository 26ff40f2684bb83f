//! The queue, and what is deleted with a registry, against the memory twin, over random histories.

use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use supercargo_store::conformance::fixture::{actor, failure, image, openssl, refresh};
use supercargo_store::{
    Change, Claim, ClockOffset, Disposition, Enqueued, ErrorKind, ImageFilter, IncludeRemoved, JobFilter, JobId,
    JobState, Lane, Lease, MemoryStore, NewIntegration, NewJob, OnDead, Page, PlaceFilter, Presence, RemovedData,
    RepositoryName, Retention, Retry, Store, TagOrDigest, Work,
};

const HOUR: Duration = Duration::from_secs(3600);

/// Leases and delays end at half past, the clock moves by whole hours: how long the test itself takes decides
/// nothing.
const LEASE: Duration = Duration::from_secs(3600 * 5 / 2);

#[derive(Clone, Debug)]
enum Step {
    Enqueue { work: u8, registry: u8, lane: Lane, delayed: bool, max_attempts: u32, keep: bool },
    Claim { limit: u32 },
    Heartbeat { lease: usize },
    Complete { lease: usize, follow: Option<u8> },
    Fail { lease: usize, retry: u8 },
    Release { lease: usize },
    Retry { work: u8 },
    Recover,
    Advance { hours: u32 },
    Rewind { hours: u32 },
    Index { registry: u8, image: u8 },
    Connect { registry: u8 },
    Remove { registry: u8, delete: bool },
}

fn step() -> impl Strategy<Value = Step> {
    let lane = prop::sample::select(Lane::ALL.to_vec());
    let enqueue = (0u8..4, 0u8..2, lane, any::<bool>(), 1u32..4, any::<bool>());
    prop_oneof![
        4 => enqueue.prop_map(|(work, registry, lane, delayed, max_attempts, keep)| {
            Step::Enqueue { work, registry, lane, delayed, max_attempts, keep }
        }),
        4 => (1u32..4).prop_map(|limit| Step::Claim { limit }),
        1 => (0usize..8).prop_map(|lease| Step::Heartbeat { lease }),
        2 => (0usize..8, prop::option::of(0u8..4)).prop_map(|(lease, follow)| Step::Complete { lease, follow }),
        2 => (0usize..8, 0u8..3).prop_map(|(lease, retry)| Step::Fail { lease, retry }),
        1 => (0usize..8).prop_map(|lease| Step::Release { lease }),
        1 => (0u8..4).prop_map(|work| Step::Retry { work }),
        1 => Just(Step::Recover),
        2 => (1u32..4).prop_map(|hours| Step::Advance { hours }),
        1 => (1u32..4).prop_map(|hours| Step::Rewind { hours }),
        2 => (0u8..2, 1u8..5).prop_map(|(registry, image)| Step::Index { registry, image }),
        1 => (0u8..2).prop_map(|registry| Step::Connect { registry }),
        1 => (0u8..2, any::<bool>()).prop_map(|(registry, delete)| Step::Remove { registry, delete }),
    ]
}

/// `registry.example/app`, or the same of another registry.
fn repository(registry: u8) -> RepositoryName {
    RepositoryName::new(["registry.example", "other.example"][usize::from(registry)], "app")
}

/// Work in it.
fn work(registry: u8, tag: u8) -> Work {
    let reference = Some(TagOrDigest::Tag(tag.to_string()));
    Work::Refresh { repository: repository(registry), reference }
}

/// A store, and all leases it ever gave out, newest first.
struct Player {
    store: Arc<dyn Store>,
    clock: ClockOffset,
    leases: Vec<Lease>,
}

impl Player {
    fn new(store: impl Store + 'static, clock: ClockOffset) -> Self {
        Self { store: Arc::new(store), clock, leases: Vec::new() }
    }

    fn lease(&self, number: usize) -> Lease {
        let none = Lease { job: JobId(-1), epoch: 0 };
        if self.leases.is_empty() { none } else { self.leases[number % self.leases.len()] }
    }

    /// What the step answers, in words that mean the same for every store.
    async fn play(&mut self, step: &Step) -> Result<String, ErrorKind> {
        // Two things never happen at the same time, so that their order is the same everywhere.
        self.clock.advance(HOUR);
        self.answer(step).await.map_err(|error| error.kind())
    }

    async fn answer(&mut self, step: &Step) -> supercargo_store::Result<String> {
        let store = &self.store;
        match step {
            Step::Enqueue { work: tag, registry, lane, delayed, max_attempts, keep } => {
                let job = NewJob::new(work(*registry, *tag), *lane)
                    .with_delay(if *delayed { LEASE } else { Duration::ZERO })
                    .with_max_attempts(*max_attempts)
                    .with_on_dead(if *keep { OnDead::Keep } else { OnDead::Revive });
                Ok(word(store.enqueue(vec![job]).await?[0]).to_owned())
            }
            Step::Claim { limit } => {
                let jobs = store.claim(&Claim::new("worker", LEASE).with_limit(*limit)).await?;
                let told = jobs.iter().map(|job| {
                    let error = job.last_error.as_ref().map(|reason| reason.kind.clone());
                    format!("{:?} {} {:?} {:?} {}", job.work, job.attempt, job.lane, error, job.max_attempts)
                });
                let told = told.collect::<Vec<_>>().join(", ");
                for job in jobs {
                    self.leases.insert(0, job.lease);
                }
                Ok(told)
            }
            Step::Heartbeat { lease } => {
                store.heartbeat(self.lease(*lease), LEASE).await.map(|()| "extended".to_owned())
            }
            Step::Complete { lease, follow } => {
                let job = |work: u8| NewJob::new(refresh(&work.to_string()), Lane::Push).with_max_attempts(3);
                let follow = follow.map(|work| Change::Enqueue(job(work)));
                store.complete(self.lease(*lease), follow.into_iter().collect()).await.map(|()| "done".to_owned())
            }
            Step::Fail { lease, retry } => {
                let retry = [Retry::Never, Retry::After(LEASE), Retry::Postpone(LEASE)][usize::from(*retry)];
                Ok(match store.fail(self.lease(*lease), failure(retry), Vec::new()).await? {
                    Disposition::Retry(_) => "retry".to_owned(),
                    Disposition::Dead => "dead".to_owned(),
                })
            }
            Step::Release { lease } => store.release(self.lease(*lease)).await.map(|()| "released".to_owned()),
            Step::Retry { work } => {
                let dead = store.jobs(&JobFilter::dead(), &Page::default()).await?.items;
                let wanted = refresh(&work.to_string());
                let id = dead.iter().find(|job| job.work == wanted).map_or(JobId(-1), |job| job.id);
                store.retry(id).await.map(|()| "queued".to_owned())
            }
            Step::Recover => store.recover("worker").await.map(|count| format!("recovered {count}")),
            Step::Advance { hours } => {
                self.clock.advance(HOUR * *hours);
                Ok(String::new())
            }
            Step::Rewind { hours } => {
                self.clock.rewind(HOUR * *hours);
                Ok(String::new())
            }
            Step::Index { registry, image: number } => {
                // Of two neighbours one package is the same.
                let packages = vec![openssl(&number.to_string()), openssl(&(number + 1).to_string())];
                let metadata = image(u32::from(*number), packages);
                let repository = repository(*registry);
                let digest = metadata.image().expect("an image's").digest.clone();
                let seen = Change::TagSeen {
                    repository: repository.clone(),
                    tag: number.to_string(),
                    digest,
                    pushed_at: None,
                };
                let image = Change::Image { repository, metadata: Box::new(metadata) };
                store.apply(vec![image, seen]).await.map(|()| "indexed".to_owned())
            }
            Step::Connect { registry } => {
                let repository = repository(*registry);
                let new = NewIntegration::new(format!("r{registry}"), "oci", repository.registry);
                store.create_integration(new, &actor()).await.map(|made| format!("{:?}", made.state))
            }
            Step::Remove { registry, delete } => {
                // The latest of the registry, removed or not.
                let all = store.integrations(IncludeRemoved::Yes).await?;
                let registry = repository(*registry).registry;
                let of_it = all.iter().filter(|one| one.registry == registry);
                let Some(latest) = of_it.max_by_key(|one| one.id) else { return Ok("none".to_owned()) };
                let data = if *delete { RemovedData::Delete } else { RemovedData::Keep };
                let removal = store.remove_integration(latest.id, data, &actor()).await?;
                Ok(format!("{} {} {}", removal.jobs, removal.repositories, removal.images))
            }
        }
    }

    /// All jobs, in words.
    async fn jobs(&self) -> Vec<String> {
        let jobs = self.store.jobs(&JobFilter::default(), &Page::first(Page::LIMIT)).await.unwrap().items;
        let told = jobs.iter().map(|job| {
            let error = job.last_error.as_ref().map(|reason| reason.kind.clone());
            format!(
                "{:?} {:?} {:?} {}/{} again: {} error: {error:?} worker: {:?} finished: {}",
                job.work,
                job.state,
                job.lane,
                job.attempt,
                job.max_attempts,
                job.again,
                job.worker,
                job.finished_at.is_some(),
            )
        });
        told.collect()
    }

    /// What is there of registries and images, in words.
    async fn inventory(&self) -> Vec<String> {
        let page = Page::first(Page::LIMIT);
        let any = PlaceFilter { presence: Presence::Any, ..PlaceFilter::default() };
        let tags = self.store.tags(&any, &page).await.unwrap().items;
        let images = ImageFilter { presence: Presence::Any, ..ImageFilter::default() };
        let images = self.store.images(&images, &page).await.unwrap().items;
        let registries = self.store.registries().await.unwrap();
        let integrations = self.store.integrations(IncludeRemoved::Yes).await.unwrap();
        let mut told: Vec<_> =
            tags.iter().map(|tag| format!("{}:{} {}", tag.repository, tag.tag, tag.digest)).collect();
        told.extend(images.iter().map(|one| format!("{} {:?} {:?}", one.digest, one.packages, one.places)));
        told.extend(registries.iter().map(|one| format!("{} {}", one.name, one.repositories)));
        told.extend(integrations.iter().map(|one| format!("{} {:?} {:?}", one.name, one.state, one.removed_data)));
        told.push(format!("{} packages", self.store.usage().await.unwrap().packages));
        told.push(format!("revision {}", self.store.integrations_revision().await.unwrap()));
        told
    }

    /// No two live jobs of the same work; what runs has a worker.
    async fn check(&self) {
        let jobs = self.store.jobs(&JobFilter::default(), &Page::first(Page::LIMIT)).await.unwrap().items;
        let mut live: Vec<_> =
            jobs.iter().filter(|job| job.state != JobState::Done).map(|job| job.work.dedupe_key()).collect();
        live.sort();
        let count = live.len();
        live.dedup();
        assert_eq!(live.len(), count);
        assert!(jobs.iter().all(|job| (job.state == JobState::Running) == job.worker.is_some()));
        assert!(jobs.iter().all(|job| job.attempt <= 3));
    }
}

fn word(enqueued: Enqueued) -> &'static str {
    match enqueued {
        Enqueued::New(_) => "new",
        Enqueued::Waiting(_) => "waiting",
        Enqueued::Again(_) => "again",
        Enqueued::Revived(_) => "revived",
        Enqueued::Dead(_) => "dead",
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn sqlite_is_its_memory_twin(steps in prop::collection::vec(step(), 1..50)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let directory = tempfile::tempdir().unwrap();
            let clocks = [ClockOffset::default(), ClockOffset::default()];
            let mut memory = Player::new(MemoryStore::with_clock(clocks[0].clone()), clocks[0].clone());
            let mut sqlite = Player::new(crate::open(directory.path(), &clocks[1]).await, clocks[1].clone());
            for (number, step) in steps.iter().enumerate() {
                let expected = memory.play(step).await;
                let actual = sqlite.play(step).await;
                assert_eq!(actual, expected, "step {number}: {step:?}");
                assert_eq!(sqlite.jobs().await, memory.jobs().await, "after step {number}: {step:?}");
                assert_eq!(sqlite.inventory().await, memory.inventory().await, "after step {number}: {step:?}");
                sqlite.check().await;
            }
            // What a removal left to be deleted later would be told here.
            let retention = Retention { finished: HOUR * 1000, ..Retention::default() };
            let (expected, actual) = (memory.store.prune(&retention).await, sqlite.store.prune(&retention).await);
            assert_eq!(actual.unwrap(), expected.unwrap());
        });
    }
}
