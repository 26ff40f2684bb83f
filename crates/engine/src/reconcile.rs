//! Finding what events missed: the registry's repositories and tags against the store's.
//!
//! Nothing is taken for gone because a list lacks it: lists are cut short, filtered by permissions and served by
//! caches. Each missing tag and each missing repository is asked for by name, and only a 404 counts.

mod look;
mod repository;
mod since;

use std::collections::{BTreeSet, HashSet};
use std::panic::resume_unwind;
use std::sync::Arc;

use futures_util::TryStreamExt as _;
use jiff::Timestamp;
use supercargo_registry::{ErrorKind as RegistryErrorKind, Repository, Tag};
use supercargo_store::{Change, Lane, OnDead, Page, PlaceFilter, Presence, Work};
use tokio::task::{JoinError, JoinSet};
use tracing::{debug, error, info, warn};

use self::look::Turn;
pub(crate) use self::repository::{Intent, Passed, RepositoryPass};
use crate::failure::{Blame, Class, Trouble, chain};
use crate::integration::{Enablement, Found};
use crate::run::revive;
use crate::shared::{Shared, away};
use crate::{LastError, PassSummary, Progress, Watch};

/// Repositories of one registry. The largest public registries list a few hundred thousand.
const REPOSITORIES: usize = 1_000_000;

/// Sights of repositories that are recorded in one transaction.
const SEEN: usize = 500;

/// What the store knew of a registry when the engine started.
#[derive(Clone, Debug, Default)]
pub(crate) struct Before {
    /// A pass had gone through.
    pub(crate) reconciled: bool,
    /// Repositories that had been seen.
    pub(crate) repositories: HashSet<String>,
}

/// Reconciles one registry, pass by pass.
pub(crate) struct Reconciler {
    shared: Arc<Shared>,
    watch: Arc<Watch>,
    before: Before,
    /// Repositories as the registry listed them last.
    listed: Option<Vec<Repository>>,
    /// Repositories whose tags were taken down once in this run: what is new there was pushed since.
    noted: HashSet<Repository>,
    /// Repositories that are in trouble and have a job that shows it.
    troubled: HashSet<Repository>,
    /// Repositories that were there when the watch began and could not be read yet.
    pending: HashSet<Repository>,
    /// No pass has gone through in this run.
    first: bool,
    /// When the first pass of this run had gone through.
    begun: Option<Timestamp>,
    /// Passes in a row that failed.
    failures: u32,
    /// The present pass among all, counted on from run to run.
    number: u64,
    /// The latest push that the registry told of.
    newest: Option<Timestamp>,
}

/// A repository with what came of its pass.
type Outcome = (Repository, Result<Passed, Trouble>);

impl Reconciler {
    pub(crate) fn new(shared: Arc<Shared>, watch: Arc<Watch>, before: Before) -> Self {
        let interval = shared.options.interval.as_secs().max(1);
        // The next process goes on where this one is.
        let number = u64::try_from(shared.clock.now().as_second()).unwrap_or_default() / interval;
        Self {
            shared,
            watch,
            before,
            number,
            newest: None,
            begun: None,
            listed: None,
            noted: HashSet::new(),
            troubled: HashSet::new(),
            pending: HashSet::new(),
            first: true,
            failures: 0,
        }
    }

    /// Pass after pass, for ever.
    pub(crate) async fn keep(&mut self) {
        loop {
            self.once().await;
            let options = &self.shared.options;
            let wait = if self.failures == 0 {
                options.interval
            } else {
                // A registry that comes back is looked at sooner than the interval asks, one that refuses later.
                let soon = options.retry.pause.wait(self.failures).min(options.interval);
                soon.max(self.shared.health.pause(self.watch.host()))
            };
            tokio::time::sleep(wait).await;
        }
    }

    /// One pass, and what came of it told everywhere.
    pub(crate) async fn once(&mut self) {
        let host = self.watch.host().to_owned();
        let shared = Arc::clone(&self.shared);
        self.number += 1;
        match self.pass().await {
            Ok((summary, unlisted)) => {
                // What was pushed while nobody looked may have been told to nobody.
                let tells = !self.first && self.failures == 0 && summary.changed > summary.noted;
                let found = if tells { Found::Pushes } else { Found::Nothing };
                self.first = false;
                self.begun.get_or_insert_with(|| shared.clock.now());
                self.failures = 0;
                if shared.registry_answered(&host)
                    && let Err(error) = revive(&shared, &host).await
                {
                    error!(registry = host, error = chain(&error), "dead letters not tried again");
                }
                match unlisted {
                    None => self.went_through(summary, found).await,
                    Some(trouble) => self.not_listed(summary, trouble).await,
                }
            }
            Err(trouble) if trouble.class == Class::Store => {
                self.failures += 1;
                error!(registry = host, reason = %trouble.reason, "reconcile pass not recorded");
            }
            Err(trouble) => {
                self.failures += 1;
                shared.monitor.count(|counters| counters.failed_passes += 1);
                shared.registry_failed(&host, &trouble);
                self.apply(vec![away(&host, &trouble.reason)]).await;
            }
        }
    }

    async fn went_through(&self, summary: PassSummary, found: Found) {
        let (host, monitor) = (self.watch.host().to_owned(), &self.shared.monitor);
        let now = self.shared.clock.now();
        if self.watch.enablement.is_some() {
            self.shared.tracking.polled(&host, now, found);
        }
        monitor.registry(&host, |status| {
            status.last_reconcile = Some(now);
            status.last_pass = Some(summary);
            status.last_error = None;
        });
        debug!(registry = host, ?summary, "reconcile pass done");
        monitor.tell(Progress::Reconciled { registry: host.clone(), summary });
        self.apply(vec![Change::RegistryReconciled { registry: host }]).await;
    }

    /// The registry answers, and does not list its repositories: what is known of it is watched all the same, and
    /// the reason is shown until somebody names the repositories or grants the right to list them.
    async fn not_listed(&self, summary: PassSummary, trouble: Trouble) {
        let (host, monitor) = (self.watch.host().to_owned(), &self.shared.monitor);
        warn!(registry = host, reason = %trouble.reason, "repositories not listed");
        let at = self.shared.clock.now();
        let reason = trouble.reason.clone();
        monitor.count(|counters| counters.failed_passes += 1);
        monitor.registry(&host, |status| {
            status.last_pass = Some(summary);
            status.last_error = Some(LastError { at, reason });
        });
        let away = away(&host, &trouble.reason);
        monitor.tell(Progress::RegistryAway { registry: host.clone(), reason: trouble.reason });
        self.apply(vec![Change::RegistryReached { registry: host }, away]).await;
    }

    async fn pass(&mut self) -> Result<(PassSummary, Option<Trouble>), Trouble> {
        let (repositories, unlisted) = self.repositories().await?;
        let news = self.news().await;
        let waiting = repositories.into_iter().filter_map(|repository| match &news {
            // What the list of news does not name is as it was, or gone, which shows when its turn comes.
            Some(news) => {
                let tags = news.tags.get(&repository).cloned();
                let whole = self.turn().is_none_or(|turn| turn.is_for(repository.as_str()));
                (whole || tags.is_some()).then_some((repository, tags.filter(|_| !whole)))
            }
            None => Some((repository, None)),
        });
        let mut waiting: Vec<(Repository, Option<Vec<Tag>>)> = waiting.collect();
        waiting.reverse();
        let mut summary = PassSummary::default();
        let mut seen = Vec::new();
        // Tasks, which go on while what follows waits: one that is next to write to the store, and does not get to it
        // because nobody asks it to, would have all others wait for ever. They end with the pass.
        let mut running: JoinSet<Outcome> = JoinSet::new();
        loop {
            while running.len() < self.shared.options.repositories.max(1)
                && let Some((repository, tags)) = waiting.pop()
            {
                running.spawn(self.look_at(repository, tags));
            }
            let Some(ended) = running.join_next().await else { break };
            let (repository, outcome) = match ended.map_err(JoinError::try_into_panic) {
                Ok(looked) => looked,
                // A panic is the pass's, as it would be without the task.
                Err(Ok(panic)) => resume_unwind(panic),
                // The runtime ends.
                Err(Err(_)) => break,
            };
            match outcome {
                Ok(passed) => {
                    summary.add(&passed.summary);
                    self.newest = self.newest.max(passed.newest);
                    seen.extend(passed.seen);
                    if seen.len() >= SEEN {
                        self.shared.store.apply(std::mem::take(&mut seen)).await?;
                    }
                    self.pending.remove(&repository);
                    if let Some(enablement) = &self.watch.enablement {
                        enablement.begun(&repository);
                    }
                    if self.troubled.remove(&repository) {
                        self.show(&repository, OnDead::Revive).await;
                    }
                    self.noted.insert(repository);
                }
                Err(trouble) if trouble.class == Class::Store => return Err(trouble),
                Err(trouble) => {
                    if self.shared.blame(&self.watch, &trouble).await == Blame::Registry {
                        return Err(trouble);
                    }
                    summary.failed += 1;
                    self.repository_failed(repository, &trouble).await;
                }
            }
        }
        self.shared.store.apply(seen).await?;
        self.newest = news.map_or(self.newest, |news| news.newest.max(self.newest));
        Ok((summary, unlisted))
    }

    fn look_at(&self, repository: Repository, tags: Option<Vec<Tag>>) -> impl Future<Output = Outcome> + use<> {
        let (shared, watch, intent) = (Arc::clone(&self.shared), Arc::clone(&self.watch), self.intent(&repository));
        async move {
            let pass = RepositoryPass::new(&shared, &watch, &repository, intent);
            let passed = match tags {
                Some(tags) => pass.run_with(tags).await,
                None => pass.run().await,
            };
            (repository, passed)
        }
    }

    /// The pass's turn; `None` if it asks for everything.
    fn turn(&self) -> Option<Turn> {
        Turn::new(self.number, &self.shared.options, self.begun?, self.shared.clock.now())
    }

    /// What is looked at in this pass: what is configured, or what the registry lists together with what the store
    /// knows, so that a repository that is no longer listed is asked for by name.
    async fn repositories(&mut self) -> Result<(BTreeSet<Repository>, Option<Trouble>), Trouble> {
        if !self.watch.repositories.is_empty() {
            return Ok((self.watch.repositories.iter().cloned().collect(), None));
        }
        let mut unlisted = None;
        if self.listed.is_none() || self.watch.refresh_registry {
            let mut listed = list(&self.watch).await;
            if let Err(trouble) = listed {
                if self.shared.blame(&self.watch, &trouble).await == Blame::Registry {
                    return Err(trouble);
                }
                // It answers now. Without this, what was in the way a moment ago alone would be so for an interval.
                listed = if may_be_over(&trouble) { list(&self.watch).await } else { Err(trouble) };
            }
            match listed {
                Ok(listed) => {
                    // With `refresh_registry` this comes with every pass.
                    if self.listed.as_ref().map(Vec::len) != Some(listed.len()) {
                        info!(registry = self.watch.host(), repositories = listed.len(), "repositories listed");
                    }
                    self.listed = Some(listed);
                }
                Err(trouble) => unlisted = Some(trouble),
            }
        }
        let mut repositories: BTreeSet<Repository> = BTreeSet::new();
        if let Some(enablement) = &self.watch.enablement {
            let chosen = self.listed.iter().flatten().filter(|repository| self.watch.chooses(repository));
            // What is there when the watch begins was there before; what comes later was made by a push.
            self.shared.found(enablement, chosen, self.first && !self.before.reconciled).await;
            let enabled = self.enabled(enablement).await?;
            repositories.extend(enabled.iter().filter_map(|name| name.parse().ok()));
            repositories.retain(|repository| self.watch.has_repository(repository));
            // Whoever names repositories knows that the registry does not list.
            unlisted = unlisted.filter(|_| !enablement.has_named());
        }
        let listed = self.listed.iter().flatten().filter(|repository| self.watch.has_repository(repository));
        repositories.extend(listed.cloned());
        let known = known_repositories(&self.shared, self.watch.host(), Presence::Present).await?;
        repositories.extend(
            known
                .iter()
                .filter_map(|name| name.parse().ok())
                .filter(|repository| self.watch.has_repository(repository)),
        );
        Ok((repositories, unlisted))
    }

    /// Those that are enabled, be they listed or not, but for those that the registry has said to be gone.
    async fn enabled(&self, enablement: &Enablement) -> Result<Vec<String>, Trouble> {
        let mut gone = known_repositories(&self.shared, self.watch.host(), Presence::Any).await?;
        for present in known_repositories(&self.shared, self.watch.host(), Presence::Present).await? {
            gone.remove(&present);
        }
        Ok(enablement.enabled().into_iter().filter(|name| !gone.contains(name)).collect())
    }

    fn intent(&self, repository: &Repository) -> Intent {
        if let Some(enablement) = &self.watch.enablement {
            return Intent::of(enablement, repository, Lane::Reconcile, self.turn());
        }
        // Seen for the first time, and not because somebody has just made it: in the first pass ever, or because the
        // configuration names it since the last run.
        let begins_now = self.first
            && !self.noted.contains(repository)
            && !self.before.repositories.contains(repository.as_str())
            && (!self.before.reconciled || self.watch.repositories.contains(repository));
        let begins = begins_now || self.pending.contains(repository);
        Intent {
            lane: if begins && self.watch.all_images { Lane::Backfill } else { Lane::Reconcile },
            // Without `all_images`, what was there before the watch began is only noted.
            note_only: begins && !self.watch.all_images,
            complete: self.first && self.watch.all_images,
            take: false,
            turn: self.turn(),
        }
    }

    /// A repository that cannot be read while its registry answers: shown as a job that fails with the reason.
    async fn repository_failed(&mut self, repository: Repository, trouble: &Trouble) {
        warn!(registry = self.watch.host(), %repository, reason = %trouble.reason, "repository not read");
        if self.intent(&repository).note_only {
            self.pending.insert(repository.clone());
        }
        if self.troubled.insert(repository.clone()) {
            self.show(&repository, OnDead::Keep).await;
        }
    }

    async fn show(&self, repository: &Repository, on_dead: OnDead) {
        let work = Work::Refresh { repository: self.watch.name(repository), reference: None };
        let job = self.shared.job(work, Lane::Reconcile).with_on_dead(on_dead);
        self.apply(vec![Change::Enqueue(job)]).await;
    }

    /// Records what the next pass finds anew if it gets lost.
    async fn apply(&self, changes: Vec<Change>) {
        if let Err(error) = self.shared.store.apply(changes).await {
            error!(registry = self.watch.host(), %error, "state of the registry not recorded");
        }
    }
}

/// Whether what kept a registry from listing contradicts that it answers: a connection that broke, a sign-in that was
/// refused. Whoever may sign in and may not list is told so by another refusal.
fn may_be_over(trouble: &Trouble) -> bool {
    let sign_in = [RegistryErrorKind::Unauthorized, RegistryErrorKind::Credential];
    trouble.class == Class::Passing || sign_in.iter().any(|kind| kind.as_str() == trouble.reason.kind)
}

async fn list(watch: &Watch) -> Result<Vec<Repository>, Trouble> {
    let mut stream = watch.registry.repositories();
    let mut repositories = Vec::new();
    while let Some(repository) = stream.try_next().await? {
        if repositories.len() == REPOSITORIES {
            let message = format!("list repositories: more than {REPOSITORIES}; name those to watch");
            return Err(Trouble::new(Class::Final, "limit-exceeded", message));
        }
        repositories.push(repository);
    }
    Ok(repositories)
}

/// The names of a registry's repositories, by the store.
pub(crate) async fn known_repositories(
    shared: &Shared,
    registry: &str,
    presence: Presence,
) -> Result<HashSet<String>, Trouble> {
    let filter = PlaceFilter { registry: Some(registry.to_owned()), repository: None, presence };
    let mut names = HashSet::new();
    let mut page = Page::first(Page::LIMIT);
    loop {
        let listing = shared.store.repositories(&filter, &page).await?;
        names.extend(listing.items.into_iter().map(|state| state.name.repository));
        match listing.next {
            Some(next) => page = Page::after(next, Page::LIMIT),
            None => return Ok(names),
        }
    }
}
