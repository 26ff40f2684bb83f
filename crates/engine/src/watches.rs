//! What is watched, which may change while the engine runs.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use crate::Watch;

/// All watches, by the name of the registry.
pub(crate) type Snapshot = Arc<BTreeMap<String, Arc<Watch>>>;

/// What is watched. Readers take a snapshot: what they began with it they end with it.
pub(crate) struct Watches {
    current: Mutex<Snapshot>,
    changed: watch::Sender<()>,
}

impl Watches {
    pub(crate) fn new(watches: BTreeMap<String, Arc<Watch>>) -> Self {
        Self { current: Mutex::new(Arc::new(watches)), changed: watch::Sender::new(()) }
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
