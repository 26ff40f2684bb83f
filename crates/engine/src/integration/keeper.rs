//! Watches what the store's integrations say, and moves them to where they stand.

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use supercargo_registry::ErrorKind as RegistryErrorKind;
use supercargo_store::{
    Actor, IncludeRemoved, Integration, IntegrationId, IntegrationState, Lane, Presence, Reason, RepositoryName, Work,
};
use tokio::task::{AbortHandle, JoinSet};
use tracing::{debug, info, warn};

use super::examine::{QUEUE, QUEUE_ADVICE};
use super::machine::{WAITING, awaits_set_up};
use super::{Connection, Enablement, Examination, Facts, Integrations, Signal, next};
use crate::failure::chain;
use crate::pull::pull;
use crate::reconcile::known_repositories;
use crate::shared::Shared;
use crate::{Error, ErrorKind, Progress, Result, Watch};

/// How long a registry may be away before its integration says so. Shorter outages are nobody's business.
const OUTAGE: Duration = Duration::from_secs(120);

/// How soon a test is made again that waits for the registry's side to be set up; and, as somebody may take days to, no
/// sooner than after this part of the time that the integration has been there.
const SET_UP_AGAIN: SignedDuration = SignedDuration::from_secs(30);
const SET_UP_PART: i32 = 10;

/// Watches what the store's integrations say, for as long as it is not dropped.
pub(crate) struct Keeper {
    shared: Arc<Shared>,
    integrations: Integrations,
    /// What the store's revision was when it was last followed.
    revision: Option<i64>,
    kept: BTreeMap<IntegrationId, Kept>,
    tests: JoinSet<(IntegrationId, Result<Examination>)>,
    pulls: JoinSet<()>,
}

/// An integration as it is kept.
struct Kept {
    integration: Integration,
    shape: Shape,
    /// `None` if what it says cannot be used.
    connection: Option<Connection>,
    enablement: Option<Arc<Enablement>>,
    pull: Option<AbortHandle>,
    testing: bool,
    /// It was changed, and what it says now has not been tested.
    replaced: bool,
    /// The trouble with its registry that a test was last made for.
    tested_for: Option<String>,
    /// When its queue worked when a test was last made because it works again.
    queue_tested_for: Option<Timestamp>,
    /// When something last came, be it stored or not.
    last_heard: Option<Timestamp>,
    /// Signals that somebody got in the way of.
    again: Vec<Signal>,
}

/// What a connection depends on. With another it is made anew.
#[derive(Clone, Debug, PartialEq)]
struct Shape {
    settings: BTreeMap<String, String>,
    credentials: Option<Timestamp>,
    tags: Vec<String>,
    platforms: Vec<String>,
}

impl Shape {
    fn of(integration: &Integration) -> Self {
        let selection = &integration.policy.selection;
        Self {
            settings: integration.settings.clone(),
            credentials: integration.credentials.as_ref().map(|sealed| sealed.changed_at),
            tags: selection.tags.clone(),
            platforms: selection.platforms.iter().map(ToString::to_string).collect(),
        }
    }

    /// Whether a test of the other says nothing of this.
    fn needs_test(&self, before: &Self) -> bool {
        (&self.settings, self.credentials) != (&before.settings, before.credentials)
    }
}

impl Kept {
    fn has_events(&self) -> bool {
        self.connection.as_ref().is_some_and(Connection::has_events)
    }
}

impl Keeper {
    pub(crate) fn new(shared: &Arc<Shared>, integrations: Integrations) -> Self {
        Self {
            shared: Arc::clone(shared),
            integrations,
            revision: None,
            kept: BTreeMap::new(),
            tests: JoinSet::new(),
            pulls: JoinSet::new(),
        }
    }

    /// Looks at the store again and again.
    pub(crate) async fn keep(mut self) {
        loop {
            tokio::time::sleep(self.shared.options.poll).await;
            self.look().await;
            self.judge_all().await;
        }
    }

    /// Looks whether integrations have changed, and follows them.
    pub(crate) async fn look(&mut self) {
        let looked = async {
            let store = self.integrations.store();
            let revision = store.integrations_revision().await;
            let revision = revision.map_err(|error| Error::store("look for changed integrations", error))?;
            if self.revision != Some(revision) {
                self.follow().await?;
                self.revision = Some(revision);
            }
            Ok::<_, Error>(())
        };
        if let Err(error) = looked.await {
            warn!(error = chain(&error), "integrations not read");
        }
    }

    async fn follow(&mut self) -> Result<()> {
        let all = self.integrations.store().integrations(IncludeRemoved::No).await;
        let all = all.map_err(|error| Error::store("read integrations", error))?;
        let gone: Vec<IntegrationId> =
            self.kept.keys().filter(|id| !all.iter().any(|one| one.id == **id)).copied().collect();
        for id in gone {
            self.end(id);
        }
        for integration in all {
            let id = integration.id;
            let shape = Shape::of(&integration);
            match self.kept.get_mut(&id) {
                Some(kept) if kept.shape == shape => kept.integration = integration,
                _ => self.begin(integration, shape).await?,
            }
            self.load(id, false).await?;
        }
        Ok(())
    }

    /// Watches what an integration says, for the first time or otherwise than before.
    async fn begin(&mut self, integration: Integration, shape: Shape) -> Result<()> {
        let id = integration.id;
        let before = self.kept.remove(&id);
        if let Some(pull) = before.as_ref().and_then(|before| before.pull.as_ref()) {
            pull.abort();
        }
        // What could not be used when it was last looked at, in this run or another, has never been tested.
        let unusable = [ErrorKind::Configuration, ErrorKind::Sealed].map(ErrorKind::as_str);
        let was_unusable = integration.state == IntegrationState::Error
            && integration.reason.as_ref().is_some_and(|reason| unusable.contains(&reason.kind.as_str()));
        let replaced = was_unusable || before.as_ref().is_some_and(|before| shape.needs_test(&before.shape));
        let was_watched = before.as_ref().is_some_and(|before| before.connection.is_some());
        let (enablement, last_heard) = before.map(|kept| (kept.enablement, kept.last_heard)).unwrap_or_default();
        let mut kept = Kept {
            shape,
            connection: None,
            enablement,
            pull: None,
            testing: false,
            replaced,
            tested_for: None,
            queue_tested_for: None,
            last_heard,
            again: Vec::new(),
            integration,
        };
        match self.connect(&mut kept).await {
            Ok((connection, enablement)) => {
                kept.connection = Some(connection.clone());
                self.kept.insert(id, kept);
                // Before anything is watched: what is not known to be enabled would be refused.
                self.load(id, !was_watched).await?;
                self.watch(id, connection, enablement);
                if replaced {
                    self.signal(id, Signal::Replaced).await;
                }
            }
            Err(error) if error.kind() == ErrorKind::Store => return Err(error),
            Err(error) => {
                info!(integration = kept.integration.name, error = chain(&error), "integration cannot be used");
                if was_watched {
                    self.shared.end_watch(&kept.integration.registry);
                }
                self.shared.tracking.set_sources(&kept.integration.name, &[]);
                self.kept.insert(id, kept);
                let signal = Integrations::unusable(&error);
                if self.is_news(id, &signal) {
                    self.signal(id, signal).await;
                }
            }
        }
        Ok(())
    }

    /// Whether a failure is another than the one that the integration shows already.
    fn is_news(&self, id: IntegrationId, signal: &Signal) -> bool {
        let Signal::TestFailed { reason, .. } = signal else { return true };
        self.kept.get(&id).is_some_and(|kept| {
            let integration = &kept.integration;
            integration.state != IntegrationState::Error || integration.reason.as_ref() != Some(reason)
        })
    }

    async fn connect(&self, kept: &mut Kept) -> Result<(Connection, Arc<Enablement>)> {
        let integration = &kept.integration;
        if self.shared.configured.contains(&integration.registry) {
            let told = format!(
                "watch {}: --registry or the configuration file names it already; take it away there, or remove the \
                 integration",
                integration.registry
            );
            return Err(Error::new(ErrorKind::Configuration, told));
        }
        let mut connection = self.integrations.connect(integration).await?;
        if connection.watch.host() != integration.registry {
            let told = format!("watch {}: its settings are those of {}", integration.registry, connection.watch.host());
            return Err(Error::new(ErrorKind::Configuration, told));
        }
        let selection = &integration.policy.selection;
        connection.watch.tags = crate::TagPatterns::new(&selection.tags)?;
        connection.watch.platforms.clone_from(&selection.platforms);
        let enablement = match &kept.enablement {
            Some(enablement) => Arc::clone(enablement),
            None => Arc::new(Enablement::new(integration)?),
        };
        enablement.set_policy(&integration.policy)?;
        kept.enablement = Some(Arc::clone(&enablement));
        Ok((connection, enablement))
    }

    fn watch(&mut self, id: IntegrationId, connection: Connection, enablement: Arc<Enablement>) {
        let Some(kept) = self.kept.get_mut(&id) else { return };
        let name = &kept.integration.name;
        self.shared.tracking.set_sources(name, if connection.queue.is_some() { &[] } else { &connection.sources });
        self.shared.tracking.begin_queue(name);
        if let Some(queue) = connection.queue {
            let queue = Arc::new(queue.for_integration(name));
            kept.pull = Some(self.pulls.spawn(pull(Arc::clone(&self.shared), queue)));
        }
        info!(integration = name, registry = kept.integration.registry, "integration watched");
        self.shared.begin_watch(watched(connection.watch, enablement));
    }

    /// Begins the passes anew, with what is watched already.
    fn watch_again(&self, id: IntegrationId) {
        let Some(kept) = self.kept.get(&id) else { return };
        if let (Some(connection), Some(enablement)) = (&kept.connection, &kept.enablement) {
            self.shared.begin_watch(watched(connection.watch.clone(), Arc::clone(enablement)));
        }
    }

    fn end(&mut self, id: IntegrationId) {
        let Some(kept) = self.kept.remove(&id) else { return };
        if let Some(pull) = kept.pull {
            pull.abort();
        }
        let Integration { name, registry, .. } = &kept.integration;
        info!(integration = name, registry, "integration ended");
        self.shared.tracking.forget(name, registry);
        if kept.connection.is_some() {
            self.shared.end_watch(registry);
        }
    }

    /// Takes over which repositories are enabled. Those that have just been are looked at at once; at `first`, the first
    /// pass does that.
    async fn load(&mut self, id: IntegrationId, first: bool) -> Result<()> {
        let Some(kept) = self.kept.get(&id).filter(|kept| kept.connection.is_some()) else { return Ok(()) };
        let Some(enablement) = kept.enablement.clone() else { return Ok(()) };
        let registry = kept.integration.registry.clone();
        if let Err(error) = enablement.set_policy(&kept.integration.policy) {
            let signal = Integrations::unusable(&error);
            if self.is_news(id, &signal) {
                self.signal(id, signal).await;
            }
            return Ok(());
        }
        let settings = self.integrations.repositories(&kept.integration.name).await?;
        let begun = if first {
            let (seen, known) = self.seen(&registry).await?;
            enablement.load(settings, |setting| {
                // Enabled since the last pass, or never looked at.
                !known.contains(&setting.repository.repository) || seen.is_none_or(|seen| setting.changed_at > seen)
            })
        } else {
            enablement.load(settings, |_| true)
        };
        if first || begun.is_empty() {
            return Ok(());
        }
        let work =
            |name: String| Work::Refresh { repository: RepositoryName::new(registry.clone(), name), reference: None };
        let work: Vec<Work> = begun.into_iter().map(work).collect();
        let jobs = work.iter().map(|work| self.shared.job(work.clone(), Lane::Push)).collect();
        let enqueued = self.shared.store.enqueue(jobs).await;
        enqueued.map_err(|error| Error::store("look at repositories that were enabled", error))?;
        for work in work {
            info!(repository = %work.repository(), "repository enabled");
            self.shared.monitor.tell(Progress::Queued { work, lane: Lane::Push });
        }
        Ok(())
    }

    /// When a pass last went through, and the repositories that the store knows.
    async fn seen(&self, registry: &str) -> Result<(Option<Timestamp>, HashSet<String>)> {
        let failed = |error| Error::store("read what is known of a registry", error);
        let states = self.shared.store.registries().await.map_err(failed)?;
        let seen = states.into_iter().find(|state| state.name == registry).and_then(|state| state.last_reconciled);
        let known = known_repositories(&self.shared, registry, Presence::Any)
            .await
            .map_err(|trouble| Error::new(ErrorKind::Store, trouble.reason.message))?;
        Ok((seen, known))
    }

    /// Looks at what was heard of every integration.
    async fn judge_all(&mut self) {
        while let Some(tested) = self.tests.try_join_next() {
            match tested {
                Ok((id, examined)) => self.tested(id, examined).await,
                Err(error) => warn!(%error, "connection test ended early"),
            }
        }
        while self.pulls.try_join_next().is_some() {}
        for id in self.kept.keys().copied().collect::<Vec<_>>() {
            self.judge(id).await;
        }
    }

    async fn judge(&mut self, id: IntegrationId) {
        for signal in self.hear(id).await {
            self.signal(id, signal).await;
        }
        for signal in self.polled(id) {
            self.signal(id, signal).await;
        }
        if let Some(signal) = self.queue_failed(id) {
            self.signal(id, signal).await;
        }
        self.test(id);
    }

    /// What came by way of events.
    async fn hear(&mut self, id: IntegrationId) -> Vec<Signal> {
        let Some(kept) = self.kept.get_mut(&id) else { return Vec::new() };
        let mut signals = std::mem::take(&mut kept.again);
        let heard = self.shared.tracking.take_heard(&kept.integration.name);
        if awaits_set_up(&kept.integration) && (heard.last.is_some() || !heard.notices.is_empty()) {
            // Somebody is at it: what did not work may work now.
            kept.replaced = true;
        }
        signals.extend(heard.notices.into_iter().map(Signal::SetUpNotice));
        let Some(at) = heard.last else {
            // A first event may have come before a test had passed.
            let waits = kept.integration.state == IntegrationState::Pending;
            signals.extend((waits && kept.integration.first_event.is_some()).then_some(Signal::EventSeen));
            return signals;
        };
        kept.last_heard = kept.last_heard.max(Some(at));
        if let Err(error) = self.shared.store.note_integration_event(id, at).await {
            warn!(integration = kept.integration.name, error = chain(&error), "event not noted");
        } else if kept.integration.first_event.is_none() {
            // It has another revision now; a step on the old one would be refused.
            kept.integration.first_event = Some(at);
            self.revision = None;
            kept.again.push(Signal::EventSeen);
            return signals;
        }
        signals.push(Signal::EventSeen);
        signals
    }

    /// What polling shows.
    fn polled(&mut self, id: IntegrationId) -> Vec<Signal> {
        let Some(kept) = self.kept.get_mut(&id) else { return Vec::new() };
        let registry = &kept.integration.registry;
        let polls = self.shared.tracking.polls(registry);
        let mut signals = Vec::new();
        if polls.works.is_some_and(|at| at > kept.integration.since) {
            kept.tested_for = None;
            signals.push(Signal::PollWorks);
        }
        let patience = self.shared.options.event_patience;
        if let Some(found) = polls.found.filter(|_| kept.connection.as_ref().is_some_and(Connection::has_events)) {
            let last = kept.last_heard.max(kept.integration.last_event);
            if last.is_some_and(|last| last + patience >= found) {
                // It came a little before or after.
                self.shared.tracking.explain(registry);
            } else if self.shared.clock.now() >= found + patience {
                self.shared.tracking.explain(registry);
                signals.push(Signal::EventsOverdue { since: found });
            }
        }
        signals
    }

    /// What its queue shows. A test reads a queue once; this is how it goes all the time.
    fn queue_failed(&self, id: IntegrationId) -> Option<Signal> {
        let kept = self.kept.get(&id)?;
        let trouble = self.shared.tracking.queue(&kept.integration.name).trouble?;
        let away = self.shared.clock.now().duration_since(trouble.since);
        let is_away = Duration::try_from(away).is_ok_and(|away| away >= OUTAGE);
        // Of what has not passed a test, tests tell: they read the queue, too. One that has passed since knows better.
        let Integration { state, reason, since, .. } = &kept.integration;
        let stands = match state {
            IntegrationState::Connected | IntegrationState::Degraded => true,
            IntegrationState::Pending => reason.as_ref().is_some_and(|reason| reason.kind == WAITING),
            IntegrationState::Error | IntegrationState::Removed => false,
        };
        if !stands || trouble.last <= *since || !(trouble.is_lasting || is_away) {
            return None;
        }
        let reason = Reason::transient(QUEUE, trouble.message);
        Some(Signal::TestFailed { reason, advice: Some(QUEUE_ADVICE.to_owned()) })
    }

    /// Tests the connection if there is reason to.
    fn test(&mut self, id: IntegrationId) {
        let Some(kept) = self.kept.get_mut(&id) else { return };
        let Some(connection) = kept.connection.clone().filter(|_| !kept.testing) else { return };
        let integration = &kept.integration;
        let trouble = trouble(&self.shared, integration);
        let is_new = trouble.is_some() && trouble != kept.tested_for && integration.state != IntegrationState::Error;
        let set = integration.credentials.as_ref().map(|sealed| sealed.changed_at);
        let is_untested = integration.tested_at.is_none_or(|at| set.is_some_and(|set| set > at));
        let queue = self.shared.tracking.queue(&integration.name);
        let shows_queue = integration.state == IntegrationState::Error
            && integration.reason.as_ref().is_some_and(|reason| reason.kind == QUEUE);
        let works_again = shows_queue && queue.trouble.is_none() && queue.works > kept.queue_tested_for;
        let is_due = awaits_set_up(integration)
            && is_due(integration.created_at, integration.tested_at, self.shared.clock.now());
        if !is_new && !is_untested && !kept.replaced && !works_again && !is_due {
            return;
        }
        kept.queue_tested_for = queue.works;
        kept.tested_for = trouble.or(kept.tested_for.take());
        (kept.testing, kept.replaced) = (true, false);
        debug!(integration = integration.name, "connection test begun");
        let (integrations, integration) = (self.integrations.clone(), integration.clone());
        self.tests.spawn(async move { (id, integrations.examine(&integration, &connection, |_| ()).await) });
    }

    async fn tested(&mut self, id: IntegrationId, examined: Result<Examination>) {
        let Some(kept) = self.kept.get_mut(&id) else { return };
        kept.testing = false;
        match examined {
            // It was changed meanwhile: the test was of something else.
            Ok(_) if kept.replaced => {}
            Ok(examination) => {
                let of = &kept.integration;
                let was_shut_out = awaits_set_up(of)
                    || of.state == IntegrationState::Error
                    || self.shared.health.reason(&of.registry).is_some();
                if examination.passed && was_shut_out {
                    // The next pass would wait for the end of the pause that refusals brought, or for its turn.
                    self.watch_again(id);
                }
                self.signal(id, examination.signal()).await;
            }
            Err(error) => warn!(error = chain(&error), "connection not tested"),
        }
    }

    /// Moves an integration to where a signal leads.
    async fn signal(&mut self, id: IntegrationId, signal: Signal) {
        let Some(kept) = self.kept.get_mut(&id) else { return };
        let facts = Facts::of(&kept.integration, kept.has_events());
        let before = kept.integration.state;
        let Some(step) = next(before, &facts, &signal) else { return };
        let moved = self.shared.store.move_integration(id, kept.integration.revision, step, &Actor::supercargo()).await;
        match moved {
            Ok(integration) => {
                let Integration { name, state, reason, .. } = &integration;
                if *state != before {
                    let reason = reason.as_ref().map(ToString::to_string).unwrap_or_default();
                    info!(integration = name, %before, %state, reason, "integration moved");
                }
                kept.integration = integration;
            }
            Err(error) if error.kind() == supercargo_store::ErrorKind::Stale => {
                // It is read again, and the signal is heard again then.
                self.revision = None;
                if !matches!(signal, Signal::PollWorks) {
                    kept.again.push(signal);
                }
            }
            Err(error) if error.kind() == supercargo_store::ErrorKind::NotFound => self.revision = None,
            Err(error) => {
                warn!(integration = kept.integration.name, error = chain(&error), "integration not moved");
                kept.again.push(signal);
            }
        }
    }
}

/// What is watched of an integration. It is listed in every pass, because what is new is to be shown.
fn watched(watch: Watch, enablement: Arc<Enablement>) -> Watch {
    Watch { enablement: Some(enablement), refresh_registry: true, ..watch }
}

/// Whether it is time to look whether the registry's side is set up.
fn is_due(created: Timestamp, tested: Option<Timestamp>, now: Timestamp) -> bool {
    let wait = SET_UP_AGAIN.max(now.duration_since(created) / SET_UP_PART);
    tested.is_none_or(|tested| now.duration_since(tested) >= wait)
}

/// What is amiss with polling, in a word, if it is something that a test should look at.
fn trouble(shared: &Shared, integration: &Integration) -> Option<String> {
    let reason = shared.health.reason(&integration.registry)?;
    let refused = [RegistryErrorKind::Unauthorized, RegistryErrorKind::Denied, RegistryErrorKind::Credential];
    let is_refused = refused.iter().any(|kind| kind.as_str() == reason.kind);
    (is_refused || shared.health.outage(&integration.registry) >= OUTAGE).then_some(reason.kind)
}

impl fmt::Debug for Keeper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keeper").field("kept", &self.kept.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_up_is_looked_for_ever_more_seldom() {
        let at = |second: i64| Timestamp::from_second(second).unwrap();
        let check = |tested: Option<i64>, now: i64, due: bool| {
            assert_eq!(is_due(at(0), tested.map(at), at(now)), due, "tested at {tested:?}, now {now}");
        };
        check(None, 0, true);
        check(Some(1), 30, false);
        check(Some(1), 31, true);
        // After an hour every six minutes.
        check(Some(3600), 3900, false);
        check(Some(3600), 4000, true);
        // A clock that was put back.
        check(Some(100), 50, false);
    }
}
