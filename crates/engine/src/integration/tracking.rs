//! What other parts of the engine tell the keeper of integrations.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use supercargo_events::{SetupNotice, SetupState, Source};

/// What was heard, until the keeper looks; and the sources by which it is heard.
#[derive(Default)]
pub(crate) struct Tracking {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// By provider and the integration's name.
    sources: HashMap<(String, String), Arc<dyn Source>>,
    /// By the integration's name.
    heard: HashMap<String, Heard>,
    /// By the registry's name.
    polled: HashMap<String, Polled>,
    /// By the integration's name.
    queues: HashMap<String, Asked>,
}

/// What came by way of events.
#[derive(Clone, Debug, Default)]
pub(crate) struct Heard {
    /// When something last came.
    pub(crate) last: Option<Timestamp>,
    /// What the registry's side told of its set-up, the oldest first.
    pub(crate) notices: Vec<SetupNotice>,
}

/// What passes over a registry came to.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Polled {
    /// When one last went through.
    pub(crate) works: Option<Timestamp>,
    /// When one last found what had been pushed.
    pub(crate) found: Option<Timestamp>,
}

/// How asking an integration's queue goes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Asked {
    /// When it last went as it should.
    pub(crate) works: Option<Timestamp>,
    /// Why it does not, if so.
    pub(crate) trouble: Option<QueueTrouble>,
}

/// A queue that does not answer as it should.
#[derive(Clone, Debug)]
pub(crate) struct QueueTrouble {
    /// Since when.
    pub(crate) since: Timestamp,
    /// When it last did not.
    pub(crate) last: Timestamp,
    /// Somebody has to mend it.
    pub(crate) is_lasting: bool,
    /// Why, for a person to read.
    pub(crate) message: String,
}

/// Notices of an integration that are kept. A stack tells of itself a few times in its life.
const NOTICES: usize = 16;

impl Tracking {
    pub(crate) fn source(&self, provider: &str, name: &str) -> Option<Arc<dyn Source>> {
        self.lock().sources.get(&(provider.to_owned(), name.to_owned())).cloned()
    }

    /// All sources of the integration of this name.
    pub(crate) fn sources(&self, name: &str) -> Vec<Arc<dyn Source>> {
        let state = self.lock();
        state.sources.iter().filter(|((_, other), _)| other == name).map(|(_, source)| Arc::clone(source)).collect()
    }

    /// Replaces the sources of an integration.
    pub(super) fn set_sources(&self, name: &str, sources: &[Arc<dyn Source>]) {
        let mut state = self.lock();
        state.sources.retain(|(_, other), _| other != name);
        for source in sources {
            state.sources.insert((source.name().to_owned(), name.to_owned()), Arc::clone(source));
        }
    }

    /// Nothing is known of the integration and its registry any more.
    pub(super) fn forget(&self, name: &str, registry: &str) {
        self.set_sources(name, &[]);
        let mut state = self.lock();
        state.heard.remove(name);
        state.queues.remove(name);
        state.polled.remove(registry);
    }

    /// Something authentic came for the integration `name`, and is stored.
    pub(crate) fn heard(&self, name: &str, at: Timestamp, notice: Option<SetupNotice>) {
        let mut state = self.lock();
        let heard = state.heard.entry(name.to_owned()).or_default();
        // Word that a set-up failed, or is gone, is no sign that events come.
        if notice.as_ref().is_none_or(|notice| notice.state == SetupState::Complete) {
            heard.last = heard.last.max(Some(at));
        }
        if heard.notices.len() < NOTICES {
            heard.notices.extend(notice);
        }
    }

    /// Takes what was heard since the last time.
    pub(super) fn take_heard(&self, name: &str) -> Heard {
        self.lock().heard.remove(name).unwrap_or_default()
    }

    /// Another queue is asked for the integration `name`, or none any more.
    pub(super) fn begin_queue(&self, name: &str) {
        self.lock().queues.remove(name);
    }

    /// The queue of the integration `name` was asked, and answered as it should.
    pub(crate) fn queue_works(&self, name: &str, at: Timestamp) {
        self.lock().queues.insert(name.to_owned(), Asked { works: Some(at), trouble: None });
    }

    /// The queue of the integration `name` did not answer as it should.
    pub(crate) fn queue_failed(&self, name: &str, trouble: QueueTrouble) {
        let mut state = self.lock();
        let asked = state.queues.entry(name.to_owned()).or_default();
        let since = asked.trouble.as_ref().map_or(trouble.since, |before| before.since);
        asked.trouble = Some(QueueTrouble { since, ..trouble });
    }

    /// How asking the queue of the integration `name` goes.
    pub(super) fn queue(&self, name: &str) -> Asked {
        self.lock().queues.get(name).cloned().unwrap_or_default()
    }

    /// A pass over `registry` went through; `found` something that had been pushed.
    pub(crate) fn polled(&self, registry: &str, at: Timestamp, found: Found) {
        let mut state = self.lock();
        let polled = state.polled.entry(registry.to_owned()).or_default();
        polled.works = Some(at);
        if found == Found::Pushes {
            // The first that nobody has explained is the one that counts.
            polled.found.get_or_insert(at);
        }
    }

    pub(super) fn polls(&self, registry: &str) -> Polled {
        self.lock().polled.get(registry).copied().unwrap_or_default()
    }

    /// What was found has been explained.
    pub(super) fn explain(&self, registry: &str) {
        if let Some(polled) = self.lock().polled.get_mut(registry) {
            polled.found = None;
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Every change is one call.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a pass found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// Tags that events should have told of.
    Pushes,
    /// Nothing new.
    Nothing,
}

impl fmt::Debug for Tracking {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tracking").finish_non_exhaustive()
    }
}
