//! What is watched, which may change while the engine runs.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use supercargo_registry::Registry;
use tokio::sync::watch;

use crate::Watch;

/// The registries that an engine watches, as they come and go. A sink that speaks with them is given a clone of what the
/// engine is given: [`EngineBuilder::with_registries`](crate::EngineBuilder::with_registries).
///
/// ```
/// use std::sync::Arc;
/// use supercargo_engine::{Engine, Registries, Watch};
/// use supercargo_engine::index::Indexer;
/// use supercargo_engine::registry::MemoryRegistry;
/// use supercargo_engine::store::MemoryStore;
///
/// let registries = Registries::default();
/// let engine = Engine::builder(Arc::new(MemoryStore::default()), Arc::new(Indexer::new()))
///     .with_registries(registries.clone())
///     .build()?;
/// engine.begin_watch(Watch::new(Arc::new(MemoryRegistry::new("registry.test"))));
/// assert!(registries.get("registry.test").is_some());
/// engine.end_watch("registry.test");
/// assert!(registries.get("registry.test").is_none());
/// # Ok::<(), supercargo_engine::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Registries(pub(crate) Arc<Watches>);

impl Registries {
    /// The registry of this host, if it is watched now.
    pub fn get(&self, host: &str) -> Option<Arc<dyn Registry>> {
        self.0.get(host).map(|watch| Arc::clone(&watch.registry))
    }

    /// All that are watched now, by their hosts.
    pub fn all(&self) -> impl Iterator<Item = Arc<dyn Registry>> {
        let registries: Vec<_> = self.0.all().values().map(|watch| Arc::clone(&watch.registry)).collect();
        registries.into_iter()
    }
}

/// Registries that are there before an engine is, or without one.
impl FromIterator<Arc<dyn Registry>> for Registries {
    fn from_iter<I: IntoIterator<Item = Arc<dyn Registry>>>(registries: I) -> Self {
        let watches =
            registries.into_iter().map(|registry| (registry.host().to_owned(), Arc::new(Watch::new(registry))));
        let all = Self::default();
        all.0.replace(watches.collect());
        all
    }
}

/// All watches, by the name of the registry.
pub(crate) type Snapshot = Arc<BTreeMap<String, Arc<Watch>>>;

/// What is watched. Readers take a snapshot: what they began with it they end with it.
#[derive(Default)]
pub(crate) struct Watches {
    current: Mutex<Snapshot>,
    changed: watch::Sender<()>,
}

impl Watches {
    /// Watches these and nothing else.
    pub(crate) fn replace(&self, watches: BTreeMap<String, Arc<Watch>>) {
        self.change(|current| *current = watches);
    }

    pub(crate) fn get(&self, registry: &str) -> Option<Arc<Watch>> {
        self.lock().get(registry).cloned()
    }

    pub(crate) fn all(&self) -> Snapshot {
        Arc::clone(&self.lock())
    }

    /// Watches this from now on, in place of what was watched of the same registry; that comes back.
    pub(crate) fn begin(&self, watch: Watch) -> Option<Arc<Watch>> {
        let mut before = None;
        self.change(|watches| before = watches.insert(watch.host().to_owned(), Arc::new(watch)));
        before
    }

    /// Watches nothing of the registry any more; says whether something was.
    pub(crate) fn end(&self, registry: &str) -> bool {
        let mut found = false;
        self.change(|watches| found = watches.remove(registry).is_some());
        found
    }

    /// Tells of changes from now on.
    pub(crate) fn subscribe(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    fn change(&self, change: impl FnOnce(&mut BTreeMap<String, Arc<Watch>>)) {
        let mut current = self.lock();
        let mut watches = BTreeMap::clone(&current);
        change(&mut watches);
        *current = Arc::new(watches);
        drop(current);
        self.changed.send_replace(());
    }

    fn lock(&self) -> MutexGuard<'_, Snapshot> {
        // A snapshot is replaced whole.
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Watches {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.all().iter()).finish()
    }
}
