//! A registry with switches, an indexer with a gate, and an engine between them.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::FutureExt as _;
use futures_util::stream::{self, BoxStream, StreamExt as _};
use jiff::Timestamp;
use supercargo_engine::{Backoff, Engine, EngineBuilder, ImageIndexer, Options, RetryPolicy, Route, Summary, Watch};
use supercargo_registry::index::{ImageMetadata, ImageSource, Indexer};
use supercargo_registry::{
    Blob, Capabilities, Descriptor, Digest, Error, ErrorKind, ManifestDocument, MemoryRegistry, Referrer, Registry,
    Repository, Result, Tag, Target,
};
use supercargo_store::{
    ImageFilter, ImageSummary, JobFilter, JobRecord, MemoryStore, Page, PlaceFilter, Problem, ProblemFilter,
    RepositoryName, Store, TagState,
};
use tokio::sync::{Semaphore, oneshot};
use tokio::task::JoinHandle;

pub(crate) const HOST: &str = "registry.test";

/// Long enough for a machine that does many things at once.
pub(crate) const LIMIT: Duration = Duration::from_secs(20);

/// A registry in memory that can be switched off, in whole or in part.
#[derive(Clone, Debug)]
pub(crate) struct Switched {
    pub(crate) inner: MemoryRegistry,
    pub(crate) switches: Arc<Switches>,
}

#[derive(Debug, Default)]
pub(crate) struct Switches {
    /// Every call fails like this.
    pub(crate) away: Mutex<Option<ErrorKind>>,
    /// The catalog fails like this.
    pub(crate) unlisted: Mutex<Option<ErrorKind>>,
    /// The next catalog is refused like this, and no other.
    pub(crate) refused_once: Mutex<Option<ErrorKind>>,
    /// The tag list fails in the middle.
    pub(crate) torn_list: AtomicBool,
    /// Tags that the list leaves out.
    pub(crate) hidden_tags: Mutex<HashSet<String>>,
    /// Repositories that the catalog leaves out.
    pub(crate) hidden_repositories: Mutex<HashSet<String>>,
    /// The tag list is a 404, whatever is there.
    pub(crate) no_lists: AtomicBool,
    /// The tag list names no digests.
    pub(crate) no_digests: AtomicBool,
    /// The next catalog makes the caller panic.
    pub(crate) panics: AtomicBool,
    /// Calls of `resolve`.
    pub(crate) resolved: AtomicUsize,
    /// Tags that lists gave.
    pub(crate) listed: AtomicUsize,
    /// Lists begin with the tag that was pushed last.
    pub(crate) newest_first: AtomicBool,
    /// There is one list of what is new in all repositories.
    pub(crate) tells_news: AtomicBool,
}

impl Switched {
    pub(crate) fn new() -> Self {
        Self { inner: MemoryRegistry::new(HOST), switches: Arc::default() }
    }

    pub(crate) fn set_away(&self, kind: Option<ErrorKind>) {
        *self.switches.away.lock().unwrap() = kind;
    }

    fn count_listed(&self) {
        self.switches.listed.fetch_add(1, Ordering::SeqCst);
    }

    fn enter(&self) -> Result<()> {
        match *self.switches.away.lock().unwrap() {
            Some(kind) => Err(Error::new(kind, "ask the registry: it is away")),
            None => Ok(()),
        }
    }
}

fn failed<T: Send + 'static>(error: Error) -> BoxStream<'static, Result<T>> {
    stream::once(async { Err(error) }).boxed()
}

#[async_trait]
impl Registry for Switched {
    fn host(&self) -> &str {
        self.inner.host()
    }

    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    async fn check(&self) -> Result<()> {
        self.enter()
    }

    fn repositories(&self) -> BoxStream<'_, Result<Repository>> {
        assert!(!self.switches.panics.swap(false, Ordering::SeqCst), "an adapter went wrong");
        if let Err(error) = self.enter() {
            return failed(error);
        }
        if let Some(kind) = *self.switches.unlisted.lock().unwrap() {
            return failed(Error::new(kind, "list repositories"));
        }
        if let Some(kind) = self.switches.refused_once.lock().unwrap().take() {
            return failed(Error::new(kind, "list repositories"));
        }
        let hidden = self.switches.hidden_repositories.lock().unwrap().clone();
        let listed = move |item: &Result<Repository>| {
            std::future::ready(item.as_ref().map_or(true, |repository| !hidden.contains(repository.as_str())))
        };
        self.inner.repositories().filter(listed).boxed()
    }

    fn lists_newest_first(&self) -> bool {
        self.switches.newest_first.load(Ordering::SeqCst)
    }

    fn tags_since(&self, since: Option<Timestamp>) -> Option<BoxStream<'_, Result<(Repository, Tag)>>> {
        if !self.switches.tells_news.load(Ordering::SeqCst) {
            return None;
        }
        let rows = self.inner.repositories().flat_map(move |repository| {
            let repository = repository.expect("memory lists");
            let tags = self.inner.tags(&repository).collect::<Vec<_>>().now_or_never().expect("memory does not wait");
            stream::iter(tags).map(move |tag| (repository.clone(), tag.expect("memory lists")))
        });
        Some(rows.filter(move |(_, tag)| std::future::ready(tag.pushed_at >= since)).map(Ok).boxed())
    }

    fn tags(&self, repository: &Repository) -> BoxStream<'_, Result<Tag>> {
        if let Err(error) = self.enter() {
            return failed(error);
        }
        if self.switches.no_lists.load(Ordering::SeqCst) {
            return failed(Error::new(ErrorKind::NotFound, "list tags"));
        }
        let hidden = self.switches.hidden_tags.lock().unwrap().clone();
        let no_digests = self.switches.no_digests.load(Ordering::SeqCst);
        let tags = self
            .inner
            .tags(repository)
            .filter(move |item| {
                std::future::ready(item.as_ref().map_or(true, |tag| !hidden.contains(tag.name.as_str())))
            })
            .map(move |item| item.map(|tag| if no_digests { Tag::from(tag.name) } else { tag }));
        if self.switches.torn_list.load(Ordering::SeqCst) {
            return tags.take(1).chain(failed(Error::new(ErrorKind::Unavailable, "list tags"))).boxed();
        }
        if self.lists_newest_first() {
            let tags = tags.collect::<Vec<_>>().now_or_never().expect("memory does not wait");
            let mut tags: Vec<Tag> = tags.into_iter().map(|tag| tag.expect("memory lists")).collect();
            tags.sort_by_key(|tag| std::cmp::Reverse(tag.pushed_at));
            return stream::iter(tags).inspect(|_| self.count_listed()).map(Ok).boxed();
        }
        tags.inspect(|_| self.count_listed()).boxed()
    }

    async fn resolve(&self, repository: &Repository, target: &Target) -> Result<Descriptor> {
        self.enter()?;
        self.switches.resolved.fetch_add(1, Ordering::SeqCst);
        self.inner.resolve(repository, target).await
    }

    async fn manifest(&self, repository: &Repository, target: &Target) -> Result<ManifestDocument> {
        self.enter()?;
        self.inner.manifest(repository, target).await
    }

    async fn blob(&self, repository: &Repository, descriptor: &Descriptor, offset: u64) -> Result<Blob> {
        self.enter()?;
        self.inner.blob(repository, descriptor, offset).await
    }

    fn referrers(&self, repository: &Repository, digest: &Digest) -> BoxStream<'_, Result<Descriptor>> {
        self.inner.referrers(repository, digest)
    }

    async fn push_referrer(
        &self,
        repository: &Repository,
        subject: &Descriptor,
        referrer: &Referrer,
    ) -> Result<Descriptor> {
        self.inner.push_referrer(repository, subject, referrer).await
    }
}

/// The real indexer behind a gate, with a count of its runs.
pub(crate) struct Gated {
    indexer: Indexer,
    /// A permit per run; without any, runs wait.
    pub(crate) gate: Semaphore,
    /// Runs that began.
    pub(crate) runs: AtomicUsize,
    /// Images whose runs panic.
    pub(crate) panics: Mutex<HashSet<String>>,
    /// Runs that fail as if the connection broke, from now on.
    pub(crate) broken: AtomicUsize,
}

impl Gated {
    pub(crate) fn open() -> Arc<Self> {
        Self::with_permits(Semaphore::MAX_PERMITS)
    }

    pub(crate) fn closed() -> Arc<Self> {
        Self::with_permits(0)
    }

    fn with_permits(permits: usize) -> Arc<Self> {
        Arc::new(Self {
            indexer: Indexer::new(),
            gate: Semaphore::new(permits),
            runs: AtomicUsize::new(0),
            panics: Mutex::default(),
            broken: AtomicUsize::new(0),
        })
    }

    pub(crate) fn runs(&self) -> usize {
        self.runs.load(Ordering::SeqCst)
    }
}

#[async_trait]
impl ImageIndexer for Gated {
    fn version(&self) -> &str {
        self.indexer.version()
    }

    async fn index(&self, source: &dyn ImageSource) -> supercargo_registry::index::Result<ImageMetadata> {
        self.runs.fetch_add(1, Ordering::SeqCst);
        self.gate.acquire().await.unwrap().forget();
        let digest = source.manifest().await?.digest.to_string();
        assert!(!self.panics.lock().unwrap().contains(&digest), "a cataloger went wrong");
        let broken = self.broken.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        if broken.is_ok() {
            let cause = Error::new(ErrorKind::Network, "read blob: connection reset");
            return Err(supercargo_registry::index::Error::from_source("read layer", true, cause));
        }
        self.indexer.index(source).await
    }
}

/// Everything of one test.
pub(crate) struct Ship {
    pub(crate) registry: Switched,
    pub(crate) indexer: Arc<Gated>,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) options: Options,
    pub(crate) routes: Vec<Route>,
}

impl Ship {
    pub(crate) fn new() -> Self {
        Self::with_store(Arc::new(MemoryStore::default()))
    }

    pub(crate) fn with_store(store: Arc<dyn Store>) -> Self {
        let options = Options {
            // Passes come when a test makes a run of its own.
            interval: Duration::from_secs(3600),
            poll: Duration::from_millis(20),
            retry: RetryPolicy {
                backoff: Backoff { base: Duration::from_millis(2), cap: Duration::from_millis(4) },
                pause: Backoff { base: Duration::from_millis(5), cap: Duration::from_millis(20) },
                refused_pause: Backoff { base: Duration::from_millis(5), cap: Duration::from_millis(20) },
                max_attempts: 4,
                ..RetryPolicy::default()
            },
            ..Options::default()
        };
        Self { registry: Switched::new(), indexer: Gated::open(), store, options, routes: Vec::new() }
    }

    pub(crate) fn watch(&self) -> Watch {
        Watch::new(Arc::new(self.registry.clone()))
    }

    /// An engine that indexes everything it finds.
    pub(crate) fn engine(&self) -> Engine {
        self.engine_with(Watch { all_images: true, refresh_registry: true, ..self.watch() })
    }

    pub(crate) fn engine_with(&self, watch: Watch) -> Engine {
        let builder = Engine::builder(Arc::clone(&self.store), Arc::clone(&self.indexer) as Arc<dyn ImageIndexer>)
            .with_watch(watch)
            .with_options(self.options.clone());
        self.routes.iter().cloned().fold(builder, EngineBuilder::with_route).build().unwrap()
    }

    /// One pass and all that follows, by a fresh engine.
    pub(crate) async fn sail(&self) -> Summary {
        settle(&self.engine()).await
    }

    /// Pushes an image whose one layer holds `seed`, so that each seed is another image.
    pub(crate) fn push(&self, repository: &str, tag: &str, seed: &str) -> Digest {
        self.registry.inner.push_image(&repository.parse().unwrap(), tag, &[&layer(seed)]).unwrap()
    }

    /// The same at a time, in seconds, that the registry tells.
    pub(crate) fn push_at(&self, second: i64, repository: &str, tag: &str, seed: &str) -> Digest {
        let digest = self.push(repository, tag, seed);
        let time = Timestamp::from_second(second).unwrap();
        self.registry.inner.set_pushed_at(&repository.parse().unwrap(), &tag.parse().unwrap(), time);
        digest
    }

    pub(crate) async fn images(&self) -> Vec<ImageSummary> {
        self.store.images(&ImageFilter::default(), &Page::default()).await.unwrap().items
    }

    pub(crate) async fn digests(&self) -> HashSet<Digest> {
        self.images().await.into_iter().map(|image| image.digest).collect()
    }

    /// `repository:tag=digest` of the tags that are there.
    pub(crate) async fn tags(&self) -> Vec<TagState> {
        self.store.tags(&PlaceFilter::default(), &Page::default()).await.unwrap().items
    }

    pub(crate) async fn tag_names(&self) -> Vec<String> {
        self.tags().await.into_iter().map(|tag| format!("{}:{}", tag.repository.repository, tag.tag)).collect()
    }

    pub(crate) async fn problems(&self) -> Vec<Problem> {
        self.store.problems(&ProblemFilter::default(), &Page::default()).await.unwrap().items
    }

    pub(crate) async fn dead(&self) -> Vec<JobRecord> {
        self.store.jobs(&JobFilter::dead(), &Page::default()).await.unwrap().items
    }

    pub(crate) async fn jobs(&self) -> Vec<JobRecord> {
        self.store.jobs(&JobFilter::default(), &Page::default()).await.unwrap().items
    }
}

pub(crate) fn name(repository: &str) -> RepositoryName {
    RepositoryName::new(HOST, repository)
}

/// A tar with one file.
fn layer(seed: &str) -> Vec<u8> {
    let mut header = [0_u8; 512];
    header[..8].copy_from_slice(b"etc/seed");
    header[100..107].copy_from_slice(b"0000644");
    header[124..135].copy_from_slice(format!("{:011o}", seed.len()).as_bytes());
    header[156] = b'0';
    header[257..263].copy_from_slice(b"ustar\0");
    header[263..265].copy_from_slice(b"00");
    header[148..156].copy_from_slice(b"        ");
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
    let mut tar = header.to_vec();
    tar.extend(seed.as_bytes());
    tar.resize(512 + seed.len().next_multiple_of(512) + 1024, 0);
    tar
}

/// Runs an engine until nothing is left to do.
pub(crate) async fn settle(engine: &Engine) -> Summary {
    let summary = tokio::time::timeout(LIMIT, engine.run_until_idle(std::future::pending()))
        .await
        .expect("the queue is empty in time")
        .unwrap();
    assert!(summary.idle);
    summary
}

/// An engine that runs until it is stopped.
pub(crate) struct Running {
    pub(crate) engine: Engine,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<supercargo_engine::Result<Summary>>,
}

impl Running {
    pub(crate) fn start(engine: Engine) -> Self {
        let (stop, stopped) = oneshot::channel();
        let runner = engine.clone();
        let task = tokio::spawn(async move {
            runner
                .run(async {
                    let _ = stopped.await;
                })
                .await
        });
        Self { engine, stop: Some(stop), task }
    }

    /// Waits for the first pass.
    pub(crate) async fn reconciled(self) -> Self {
        wait_for("a reconcile pass", async || self.engine.status().registries[0].last_reconcile.is_some()).await;
        self
    }

    pub(crate) async fn stop(mut self) -> Summary {
        let _ = self.stop.take().expect("it is stopped once").send(());
        tokio::time::timeout(LIMIT, self.task).await.expect("it stops in time").unwrap().unwrap()
    }

    /// Ends it as a crash would: nothing more is done, nothing is given back.
    pub(crate) async fn crash(self) {
        self.task.abort();
        assert!(self.task.await.unwrap_err().is_cancelled());
    }
}

/// Waits until `condition` holds.
pub(crate) async fn wait_for(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let deadline = tokio::time::Instant::now() + LIMIT;
    while !condition().await {
        assert!(tokio::time::Instant::now() < deadline, "no {what} within {LIMIT:?}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}
