//! One repository's tags against the store's.

use std::collections::{HashMap, HashSet};

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use jiff::Timestamp;
use supercargo_registry::index::Digest;
use supercargo_registry::{ErrorKind, RegistryExt as _, Repository, Tag, TagName, Target};
use supercargo_store::{Change, Lane, OnDead, RepositoryName, TagOrDigest, Work};

use super::look::{Look, Turn};
use crate::failure::Trouble;
use crate::integration::{Enablement, select};
use crate::job::{is_settled, manifest_of_gone_tag};
use crate::shared::Shared;
use crate::{PassSummary, Progress, Watch};

/// Tags of one repository. Some build systems have left a few hundred thousand behind.
const TAGS: usize = 1_000_000;

/// Changes of one transaction. Enough to make its cost small, few enough that workers get their turn.
const BATCH: usize = 500;

/// What a pass does with what it finds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Intent {
    /// Where the work goes.
    pub(crate) lane: Lane,
    /// Take down what the tags point at, and index nothing.
    pub(crate) note_only: bool,
    /// Look into the ledger for tags that have not changed, too.
    pub(crate) complete: bool,
    /// Index what the selection of the integration takes in of a repository that has just been enabled.
    pub(crate) take: bool,
    /// The pass's turn, if it does not ask for everything.
    pub(crate) turn: Option<Turn>,
}

impl Default for Intent {
    fn default() -> Self {
        Self { lane: Lane::Reconcile, note_only: false, complete: false, take: false, turn: None }
    }
}

impl Intent {
    /// What is done with a repository of an integration: at first its tags are taken down and its newest image is
    /// indexed, at once because somebody waits for it; then it is looked at in `lane`.
    pub(crate) fn of(enablement: &Enablement, repository: &Repository, lane: Lane, turn: Option<Turn>) -> Self {
        if enablement.begins(repository) {
            return Self { lane: Lane::Push, note_only: true, take: true, ..Self::default() };
        }
        Self { lane, turn, ..Self::default() }
    }
}

/// A pass over one repository.
pub(crate) struct RepositoryPass<'a> {
    shared: &'a Shared,
    watch: &'a Watch,
    repository: &'a Repository,
    name: RepositoryName,
    intent: Intent,
}

/// A pass that went through.
#[derive(Debug)]
pub(crate) struct Passed {
    pub(crate) summary: PassSummary,
    /// What is still to be recorded: that the repository is there.
    pub(crate) seen: Option<Change>,
    /// When the tag that was pushed last was, as far as lists say it.
    pub(crate) newest: Option<Timestamp>,
}

/// Tags, as a list named them.
struct Listed {
    tags: Vec<Tag>,
    /// The list was read to its end: what it lacks may be gone.
    whole: bool,
}

/// A tag, and what it points at now.
struct Found {
    tag: Tag,
    digest: Digest,
}

impl<'a> RepositoryPass<'a> {
    pub(crate) fn new(shared: &'a Shared, watch: &'a Watch, repository: &'a Repository, intent: Intent) -> Self {
        Self { shared, watch, repository, name: watch.name(repository), intent }
    }

    /// Compares and records what changed. An error has inferred nothing; what was recorded before it stays right.
    /// That the repository was seen is left to the caller, who may have many to record.
    pub(crate) async fn run(&self) -> Result<Passed, Trouble> {
        let look = self.look().await?;
        let listed = match self.list(&look).await {
            Ok(listed) => listed,
            Err(error) if error.kind() == ErrorKind::NotFound => return self.confirm_gone(look.stored, error).await,
            Err(error) => return Err(error.into()),
        };
        self.work_on(&look, listed).await
    }

    /// The same for tags that came in another list than the repository's own: those that are not among them are as
    /// they were.
    pub(crate) async fn run_with(&self, tags: Vec<Tag>) -> Result<Passed, Trouble> {
        let look = self.look().await?;
        self.work_on(&look, Listed { tags, whole: false }).await
    }

    async fn look(&self) -> Result<Look, Trouble> {
        Ok(Look::new(self.intent.turn, self.shared.known_tags(&self.name).await?))
    }

    /// The repository's tags: all of them, or those that are new where the list begins with them.
    async fn list(&self, look: &Look) -> supercargo_registry::Result<Listed> {
        let registry = &self.watch.registry;
        if !registry.lists_newest_first() || look.reads_on(self.repository.as_str()) {
            return Ok(Listed { tags: registry.image_tags(self.repository, TAGS).await?, whole: true });
        }
        let mut stream = registry.tags(self.repository);
        let mut tags = Vec::new();
        while let Some(tag) = stream.try_next().await? {
            if look.is_old(&tag) {
                return Ok(Listed { tags, whole: false });
            }
            if !tag.name.is_referrer() {
                tags.push(tag);
            }
        }
        Ok(Listed { tags, whole: true })
    }

    async fn work_on(&self, look: &Look, listed: Listed) -> Result<Passed, Trouble> {
        let stored = &look.stored;
        let newest = listed.tags.iter().filter_map(|tag| tag.pushed_at).max();
        let mut wanted: Vec<Tag> = listed.tags.into_iter().filter(|tag| self.watch.has_tag(&tag.name)).collect();
        let mut missing: Vec<Tag> = Vec::new();
        if listed.whole {
            let names: HashSet<&str> = wanted.iter().map(|tag| tag.name.as_str()).collect();
            // Tags that the list lacks are asked for like those that it names without a digest.
            let lacking = stored.keys().filter(|tag| !names.contains(tag.as_str()));
            missing.extend(lacking.filter_map(|tag| tag.parse::<TagName>().ok()).map(Tag::from));
        }
        let taken = self.taken(&wanted);
        let tags = if listed.whole { wanted.len() } else { stored.len() };
        let mut summary = PassSummary { repositories: 1, tags, ..PassSummary::default() };
        if !self.intent.complete {
            wanted.retain(|tag| look.asks_for(tag));
        }
        wanted.extend(missing);

        let mut wanted = wanted.into_iter().peekable();
        while wanted.peek().is_some() {
            let mut batch = Vec::new();
            let mut found = Vec::new();
            for item in self.look_up_all(wanted.by_ref().take(BATCH)).await? {
                match item {
                    Ok(tag) => found.push(tag),
                    Err(gone) => self.tag_gone(&gone, stored, &mut batch, &mut summary),
                }
            }
            self.compare(found, stored, &taken, &mut batch, &mut summary).await?;
            self.commit(batch).await?;
        }
        Ok(Passed { summary, seen: Some(Change::RepositorySeen { repository: self.name.clone() }), newest })
    }

    /// Of a repository that has just been enabled, the tags whose images are taken in.
    fn taken(&self, tags: &[Tag]) -> HashSet<TagName> {
        let Some(enablement) = self.watch.enablement.as_ref().filter(|_| self.intent.take) else {
            return HashSet::new();
        };
        let selected = select(tags, &enablement.selection(), self.shared.clock.now());
        selected.into_iter().map(|tag| tag.name.clone()).collect()
    }

    /// What tags point at, in any order: `Err` inside for those that the registry says are gone.
    async fn look_up_all(&self, tags: impl Iterator<Item = Tag>) -> Result<Vec<Result<Found, TagName>>, Trouble> {
        // Collected, because a closure within the stream would keep the future from being spawned.
        let lookups: Vec<_> = tags.map(|tag| self.look_up(tag)).collect();
        stream::iter(lookups).buffer_unordered(self.shared.options.lookups.max(1)).try_collect().await
    }

    async fn look_up(&self, tag: Tag) -> Result<Result<Found, TagName>, Trouble> {
        if let Some(digest) = tag.digest.clone() {
            return Ok(Ok(Found { tag, digest }));
        }
        match self.watch.registry.resolve(self.repository, &Target::Tag(tag.name.clone())).await {
            Ok(descriptor) => Ok(Ok(Found { digest: descriptor.digest().clone(), tag })),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Err(tag.name)),
            Err(error) => Err(error.into()),
        }
    }

    async fn compare(
        &self,
        found: Vec<Found>,
        stored: &HashMap<String, Digest>,
        taken: &HashSet<TagName>,
        batch: &mut Vec<Change>,
        summary: &mut PassSummary,
    ) -> Result<(), Trouble> {
        let is_taken = |found: &Found| taken.contains(&found.tag.name);
        let unchanged = |found: &Found| stored.get(found.tag.name.as_str()) == Some(&found.digest);
        let candidates: Vec<Found> =
            found.into_iter().filter(|found| is_taken(found) || self.intent.complete || !unchanged(found)).collect();
        let digests: Vec<Digest> = candidates.iter().map(|found| found.digest.clone()).collect();
        let ledger = self.shared.store.ledger(self.shared.indexer.version(), &digests).await?;
        let here: HashSet<&Digest> = stored.values().collect();
        let mut moved = Vec::new();
        for found in candidates {
            let settled = ledger.get(&found.digest).is_some_and(is_settled);
            let changed = !unchanged(&found);
            if changed {
                summary.changed += 1;
                summary.noted += usize::from(self.intent.note_only);
                batch.push(Change::TagSeen {
                    repository: self.name.clone(),
                    tag: found.tag.name.to_string(),
                    digest: found.digest.clone(),
                    pushed_at: found.tag.pushed_at,
                });
            }
            // What is indexed, and known in this very repository, needs its pointer moved and no more.
            if self.intent.take && !is_taken(&found) {
                continue;
            }
            if self.intent.note_only && !self.intent.take && changed_first_time(stored, &found) {
                continue;
            }
            if settled && here.contains(&found.digest) {
                if changed {
                    moved.push(found.digest);
                }
                continue;
            }
            let lane = if changed || self.intent.take { self.intent.lane } else { Lane::Backfill };
            let work = Work::Index { repository: self.name.clone(), reference: TagOrDigest::Digest(found.digest) };
            // What was given up is tried again for something that changed, not for each pass that meets it.
            let on_dead = if changed || self.intent.take { OnDead::Revive } else { OnDead::Keep };
            batch.push(Change::Enqueue(self.shared.job(work.clone(), lane).with_on_dead(on_dead)));
            self.shared.monitor.tell(Progress::Queued { work, lane });
        }
        self.tell_moved(&moved, batch).await
    }

    /// Tells of tags that lead to something known now: nothing is indexed, and yet something is new.
    async fn tell_moved(&self, moved: &[Digest], batch: &mut Vec<Change>) -> Result<(), Trouble> {
        if moved.is_empty() || self.shared.routes.is_empty() {
            return Ok(());
        }
        let images = self.shared.images_behind(&self.name, moved).await?;
        batch.extend(images.iter().flat_map(|image| self.shared.tell_indexed(&self.name, image)));
        Ok(())
    }

    fn tag_gone(
        &self,
        tag: &TagName,
        stored: &HashMap<String, Digest>,
        batch: &mut Vec<Change>,
        summary: &mut PassSummary,
    ) {
        let Some(digest) = stored.get(tag.as_str()) else { return };
        summary.gone += 1;
        batch.push(Change::TagGone { repository: self.name.clone(), tag: tag.to_string() });
        let job = self.shared.job(manifest_of_gone_tag(&self.name, digest), self.intent.lane);
        batch.push(Change::Enqueue(job));
        batch.extend(self.shared.tell_tag_gone(&self.name, tag.as_str(), digest));
        let reference = Some(TagOrDigest::Tag(tag.to_string()));
        self.shared.monitor.tell(Progress::Gone { repository: self.name.clone(), reference });
    }

    /// The registry has no list for this repository. It is gone if none of its tags is there either: some registries
    /// have no tag lists at all, or answer 404 to those who may pull and not list.
    async fn confirm_gone(
        &self,
        stored: HashMap<String, Digest>,
        error: supercargo_registry::Error,
    ) -> Result<Passed, Trouble> {
        if stored.is_empty() && !self.is_known().await? {
            return Err(error.into());
        }
        let tags: Vec<Tag> = stored.keys().filter_map(|tag| tag.parse::<TagName>().ok()).map(Tag::from).collect();
        let mut tags = tags.into_iter().peekable();
        while tags.peek().is_some() {
            if self.look_up_all(tags.by_ref().take(BATCH)).await?.iter().any(Result::is_ok) {
                return Err(error.into());
            }
        }
        let mut changes = vec![Change::RepositoryGone { repository: self.name.clone() }];
        for digest in stored.values().collect::<HashSet<_>>() {
            let tags = stored.iter().filter(|(_, pointer)| *pointer == digest).map(|(tag, _)| tag);
            changes.extend(self.shared.tell_gone(&self.name, digest, tags));
        }
        self.commit(changes).await?;
        self.shared.monitor.tell(Progress::Gone { repository: self.name.clone(), reference: None });
        let summary = PassSummary { repositories: 1, gone: 1, ..PassSummary::default() };
        Ok(Passed { summary, seen: None, newest: None })
    }

    async fn is_known(&self) -> Result<bool, Trouble> {
        let filter = supercargo_store::PlaceFilter::repository(&self.name);
        let listing = self.shared.store.repositories(&filter, &supercargo_store::Page::first(1)).await?;
        Ok(!listing.items.is_empty())
    }

    async fn commit(&self, changes: Vec<Change>) -> Result<(), Trouble> {
        if changes.is_empty() {
            return Ok(());
        }
        Ok(self.shared.store.apply(changes).await?)
    }
}

/// A tag that was noted before and has moved was pushed since, whatever the pass is for.
fn changed_first_time(stored: &HashMap<String, Digest>, found: &Found) -> bool {
    !stored.contains_key(found.tag.name.as_str())
}
