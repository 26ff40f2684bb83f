//! The engine as its owner sees it.

use std::collections::{BTreeMap, HashSet};
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use supercargo_store::Store;
use tokio::sync::broadcast;

use crate::health::Health;
use crate::intake::{Batcher, Inbox};
use crate::integration::{Integrations, Tracking};
use crate::monitor::Monitor;
use crate::run::{Mode, drive};
use crate::shared::{Flights, Shared};
use crate::watches::Registries;
use crate::{
    Clock, Documents, Error, ErrorKind, ImageIndexer, Intake, Options, Progress, PublicDocuments, Puller, Result,
    Route, Status, Summary, SystemClock, Watch,
};

/// Watches registries and indexes what is pushed to them. Cheap to clone; clones are one engine.
#[derive(Clone)]
pub struct Engine {
    shared: Arc<Shared>,
    active: Arc<AtomicBool>,
}

impl Engine {
    /// An engine on a store.
    pub fn builder(store: Arc<dyn Store>, indexer: Arc<dyn ImageIndexer>) -> EngineBuilder {
        EngineBuilder {
            store,
            indexer,
            watches: Vec::new(),
            routes: Vec::new(),
            options: Options::default(),
            clock: Arc::new(SystemClock),
            documents: Arc::new(PublicDocuments::default()),
            pullers: Vec::new(),
            integrations: None,
            registries: Registries::default(),
        }
    }

    /// Watches until `shutdown` resolves, then ends in order: takes no more deliveries and claims no more jobs, lets
    /// running jobs finish within [`Options::grace`], and gives back those that did not.
    ///
    /// Registries that are away, images that fail and a store that is busy do not end it. Dropping the future stops
    /// everything at once, as a crash would: nothing is lost, and the jobs that ran are taken up when the engine
    /// starts again.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Store`] if the store cannot be read at the start; [`ErrorKind::Running`].
    pub async fn run(&self, shutdown: impl Future<Output = ()>) -> Result<Summary> {
        self.drive(Mode::Forever, shutdown).await
    }

    /// Makes one reconcile pass over each registry and works until nothing is left in the queue, or until `shutdown`
    /// resolves. Failures count against a job even if its registry is away: such a run does not wait for it.
    ///
    /// # Errors
    ///
    /// As for [`Engine::run`].
    pub async fn run_until_idle(&self, shutdown: impl Future<Output = ()>) -> Result<Summary> {
        self.drive(Mode::UntilIdle, shutdown).await
    }

    /// Where deliveries go.
    pub fn intake(&self) -> Intake {
        Intake::new(Arc::clone(&self.shared))
    }

    /// How it is doing.
    pub fn status(&self) -> Status {
        self.shared.monitor.status()
    }

    /// What happens from now on. A receiver that lags misses some of it.
    pub fn progress(&self) -> broadcast::Receiver<Progress> {
        self.shared.monitor.subscribe()
    }

    /// The store it works on.
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.shared.store
    }

    /// What it watches now, by the name of the registry.
    pub fn watches(&self) -> impl Iterator<Item = Arc<Watch>> {
        let watches: Vec<Arc<Watch>> = self.shared.watches.all().values().cloned().collect();
        watches.into_iter()
    }

    /// Watches this from now on, in place of what was watched of the same registry. An engine that runs begins with a
    /// pass over it; jobs that are under way end as they began.
    pub fn begin_watch(&self, watch: Watch) {
        self.shared.begin_watch(watch);
    }

    /// Watches nothing of `registry` any more; says whether something was. An engine that runs stops its passes and
    /// its jobs. What is in the queue is left there, for whoever watches the registry next.
    pub fn end_watch(&self, registry: &str) -> bool {
        self.shared.end_watch(registry)
    }

    /// The integrations that it watches, if it watches any.
    pub fn integrations(&self) -> Option<&Integrations> {
        self.shared.integrations.as_ref()
    }

    /// Where it delivers.
    pub fn routes(&self) -> &[Route] {
        &self.shared.routes
    }

    /// The indexer version that it works with: the second half of the ledger's key.
    pub fn indexer_version(&self) -> &str {
        self.shared.indexer.version()
    }

    async fn drive(&self, mode: Mode, shutdown: impl Future<Output = ()>) -> Result<Summary> {
        if self.active.swap(true, Ordering::SeqCst) {
            return Err(Error::new(ErrorKind::Running, "start the engine: it runs already"));
        }
        let _inactive = Inactive(self);
        drive(&self.shared, mode, shutdown).await
    }
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").field("watches", &self.shared.watches).finish_non_exhaustive()
    }
}

/// Makes the engine ready for another run, however this one ends.
struct Inactive<'a>(&'a Engine);

impl Drop for Inactive<'_> {
    fn drop(&mut self) {
        self.0.shared.monitor.set_running(false);
        self.0.active.store(false, Ordering::SeqCst);
    }
}

/// Puts an [`Engine`] together.
pub struct EngineBuilder {
    store: Arc<dyn Store>,
    indexer: Arc<dyn ImageIndexer>,
    watches: Vec<Watch>,
    routes: Vec<Route>,
    options: Options,
    clock: Arc<dyn Clock>,
    documents: Arc<dyn Documents>,
    pullers: Vec<Arc<Puller>>,
    integrations: Option<Integrations>,
    registries: Registries,
}

impl EngineBuilder {
    /// Watches this, too. Each registry once.
    #[must_use]
    pub fn with_watch(mut self, watch: Watch) -> Self {
        self.watches.push(watch);
        self
    }

    /// Delivers there, too. Each name once.
    #[must_use]
    pub fn with_route(mut self, route: Route) -> Self {
        self.routes.push(route);
        self
    }

    /// Works like this.
    #[must_use]
    pub fn with_options(mut self, options: Options) -> Self {
        self.options = options;
        self
    }

    /// Tells the time by this clock.
    #[must_use]
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Fetches the documents that event sources need by this.
    #[must_use]
    pub fn with_documents(mut self, documents: Arc<dyn Documents>) -> Self {
        self.documents = documents;
        self
    }

    /// Asks this queue for events, too, while it runs.
    #[must_use]
    pub fn with_puller(mut self, puller: Puller) -> Self {
        self.pullers.push(Arc::new(puller));
        self
    }

    /// Watches what these say, too, as they come, change and go. They are those of the engine's own store.
    #[must_use]
    pub fn with_integrations(mut self, integrations: Integrations) -> Self {
        self.integrations = Some(integrations);
        self
    }

    /// Has `registries` be what it watches, those of integrations among them. For the sinks that are to know them; one
    /// engine at a time.
    #[must_use]
    pub fn with_registries(mut self, registries: Registries) -> Self {
        self.registries = registries;
        self
    }

    /// The engine. An engine without watches is fine: it works on what the store holds for nobody, and takes no
    /// events.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Configuration`] with everything that is wrong.
    pub fn build(self) -> Result<Engine> {
        let mut problems = Vec::new();
        let mut watches = BTreeMap::new();
        for watch in self.watches {
            let host = watch.host().to_owned();
            if watches.insert(host.clone(), Arc::new(watch)).is_some() {
                problems.push(format!("registry {host} is watched twice; name all of its repositories in one watch"));
            }
        }
        let mut names = HashSet::new();
        for route in &self.routes {
            if !names.insert(route.name.as_str()) {
                problems.push(format!("sink {} is there twice; give each a name of its own", route.name));
            }
        }
        for (name, is_wrong) in [
            ("workers", self.options.workers == 0),
            // Heartbeats come at a third of it.
            ("lease", self.options.lease < std::time::Duration::from_millis(3)),
            ("interval", self.options.interval.is_zero()),
            ("poll", self.options.poll.is_zero()),
        ] {
            if is_wrong {
                problems.push(format!("{name} must be more than nothing"));
            }
        }
        if self.options.name.is_empty() {
            problems.push("the engine needs a name".to_owned());
        }
        if !problems.is_empty() {
            return Err(Error::new(ErrorKind::Configuration, format!("set up the engine: {}", problems.join("; "))));
        }
        let monitor = Monitor::new(watches.keys().map(String::as_str), &self.routes);
        let sink_health = self.routes.iter().map(|route| (route.name.clone(), Arc::default())).collect();
        let configured = watches.keys().cloned().collect();
        self.registries.0.replace(watches);
        let inbox = Inbox::new(Batcher::new(Arc::clone(&self.store)), self.documents);
        let shared = Shared {
            store: self.store,
            indexer: self.indexer,
            watches: self.registries.0,
            routes: self.routes,
            sink_health,
            options: self.options,
            clock: self.clock,
            monitor,
            inbox,
            pullers: self.pullers,
            health: Health::default(),
            flights: Flights::default(),
            tracking: Tracking::default(),
            integrations: self.integrations,
            configured,
        };
        Ok(Engine { shared: Arc::new(shared), active: Arc::default() })
    }
}

impl std::fmt::Debug for EngineBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EngineBuilder")
            .field("watches", &self.watches)
            .field("routes", &self.routes)
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}
