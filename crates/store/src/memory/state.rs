//! What the memory twin holds, and how changes are applied to it.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use supercargo_index::{Digest, ImageMetadata};

use super::access::TokenRow;
use super::integrations::IntegrationRow;
use super::leased::Life;
use crate::audit::AuditEntry;
use crate::change::{Change, ManifestChild};
use crate::clock::{millis, timestamp};
use crate::error::Result;
use crate::event::{Accepted, Arrival, Arrived, EventId, EventRecord, Part};
use crate::inventory::{Away, ManifestState, RegistryState, RepositoryState, TagState};
use crate::job::{Enqueued, JobId, JobState, Lane, NewJob, OnDead, Work};
use crate::ledger::LedgerEntry;
use crate::name::{Reason, RepositoryName};
use crate::outbox::{NewDelivery, SinkStats};
use crate::rows::{self, PackageRow};

#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) numbers: i64,
    pub(super) events: BTreeMap<i64, EventRecord>,
    /// The events by source and key, those of their parts included.
    pub(super) event_keys: HashMap<(String, String), EventId>,
    pub(super) jobs: BTreeMap<i64, JobRow>,
    pub(super) deliveries: BTreeMap<i64, DeliveryRow>,
    /// The sinks of each worker.
    pub(super) sinks: HashMap<String, Vec<String>>,
    pub(super) ledger: HashMap<(Digest, String), (i64, LedgerEntry)>,
    pub(super) registries: BTreeMap<String, RegistryState>,
    pub(super) repositories: BTreeMap<RepositoryName, RepositoryState>,
    pub(super) tags: BTreeMap<(RepositoryName, String), TagState>,
    pub(super) manifests: BTreeMap<i64, ManifestState>,
    pub(super) children: HashMap<Digest, Vec<ManifestChild>>,
    pub(super) images: BTreeMap<i64, ImageRow>,
    pub(super) packages: HashMap<PackageRow, i64>,
    pub(super) layers: HashMap<supercargo_index::LayerKey, LayerRow>,
    pub(super) integrations: BTreeMap<i64, IntegrationRow>,
    pub(super) integrations_revision: i64,
    pub(super) tokens: BTreeMap<i64, TokenRow>,
    pub(super) audit: BTreeMap<i64, AuditEntry>,
}

#[derive(Debug)]
pub(super) struct JobRow {
    pub(super) life: Life,
    pub(super) work: Work,
    pub(super) event: Option<EventId>,
}

#[derive(Debug)]
pub(super) struct DeliveryRow {
    pub(super) life: Life,
    pub(super) request: NewDelivery,
    pub(super) round: u64,
}

#[derive(Debug)]
pub(super) struct ImageRow {
    pub(super) digest: Digest,
    pub(super) metadata: Arc<ImageMetadata>,
    pub(super) bytes: u64,
    pub(super) first_indexed: i64,
    pub(super) last_indexed: i64,
}

#[derive(Debug)]
pub(super) struct LayerRow {
    pub(super) number: i64,
    pub(super) layer: Arc<supercargo_index::LayerIndex>,
    pub(super) bytes: u64,
    pub(super) used_at: i64,
}

impl State {
    pub(super) fn number(&mut self) -> i64 {
        self.numbers += 1;
        self.numbers
    }

    pub(super) fn accept(&mut self, arrival: Arrival, now: i64) -> Result<Arrived> {
        let Arrival { event, jobs, parts } = arrival;
        let key = |key: &str| (event.source.clone(), key.to_owned());
        let duplicate = |id: EventId| Ok(Arrived { accepted: Accepted::Duplicate(id), known_parts: 0 });
        if let Some(known) = self.event_keys.get(&key(&event.dedupe_key)) {
            return duplicate(*known);
        }
        let known = |part: &Part| self.event_keys.get(&key(&part.dedupe_key)).copied();
        if let Some(id) = parts.first().and_then(known)
            && parts.iter().all(|part| known(part).is_some())
        {
            return duplicate(id);
        }
        let all = parts.len();
        let fresh: Vec<Part> = parts.into_iter().filter(|part| known(part).is_none()).collect();
        let known_parts = all - fresh.len();

        let keys: Vec<_> =
            fresh.iter().map(|part| part.dedupe_key.as_str()).chain([event.dedupe_key.as_str()]).collect();
        let keys: Vec<_> = keys.into_iter().map(key).collect();
        let id = EventId(self.number());
        self.event_keys.extend(keys.into_iter().map(|key| (key, id)));
        if let Some(registry) = &event.registry {
            self.registry(registry, now)?.last_event = Some(timestamp(now)?);
        }
        self.events.insert(id.0, EventRecord { id, event, received_at: timestamp(now)? });
        for job in jobs.into_iter().chain(fresh.into_iter().flat_map(|part| part.jobs)) {
            self.enqueue(job, Some(id), now);
        }
        Ok(Arrived { accepted: Accepted::New(id), known_parts })
    }

    pub(super) fn enqueue(&mut self, job: NewJob, event: Option<EventId>, now: i64) -> Enqueued {
        let key = job.work.dedupe_key();
        let run_at = now + millis(job.delay);
        let Some(row) = self.jobs.values_mut().find(|row| row.life.is_live(&key)) else {
            let id = self.number();
            let life = Life::new(id, key, job.lane.rank(), job.max_attempts, run_at, now);
            self.jobs.insert(id, JobRow { life, work: job.work, event });
            return Enqueued::New(JobId(id));
        };
        let life = &mut row.life;
        let id = JobId(life.id);
        let push = job.lane == Lane::Push;
        if life.state == JobState::Dead && job.on_dead == OnDead::Keep {
            return Enqueued::Dead(id);
        }
        if life.state == JobState::Running {
            life.again = Some(life.again.unwrap_or(job.lane.rank()).min(job.lane.rank()));
            return Enqueued::Again(id);
        }
        row.event = event.or(row.event);
        life.max_attempts = job.max_attempts.max(1);
        life.changed_at = now;
        if life.state == JobState::Dead {
            life.lane = job.lane.rank();
            life.attempt = 0;
            life.queue(run_at, now);
            return Enqueued::Revived(id);
        }
        life.lane = life.lane.min(job.lane.rank());
        if push || life.error.is_none() {
            life.run_at = life.run_at.min(run_at);
        }
        if push {
            life.attempt = 0;
        }
        Enqueued::Waiting(id)
    }

    pub(super) fn apply(&mut self, changes: Vec<Change>, now: i64) -> Result<()> {
        for change in changes {
            self.apply_one(change, now)?;
        }
        Ok(())
    }

    fn apply_one(&mut self, change: Change, now: i64) -> Result<()> {
        let time = timestamp(now)?;
        match change {
            Change::RegistryReached { registry } => {
                let registry = self.registry(&registry, now)?;
                registry.last_reached = Some(time);
                registry.away = None;
            }
            Change::RegistryReconciled { registry } => {
                let registry = self.registry(&registry, now)?;
                registry.last_reached = Some(time);
                registry.last_reconciled = Some(time);
                registry.away = None;
            }
            Change::RegistryAway { registry, reason } => {
                let registry = self.registry(&registry, now)?;
                let since = registry.away.as_ref().map_or(time, |away| away.since);
                registry.away = Some(Away { since, last_tried: time, reason: reason.cut() });
            }
            Change::RepositorySeen { repository } => self.see_repository(&repository, now)?,
            Change::RepositoryGone { repository } => {
                if let Some(state) = self.repositories.get_mut(&repository) {
                    state.gone_at.get_or_insert(time);
                }
                self.bury(&repository, now, |_| true);
                for tag in self.tags.values_mut().filter(|tag| tag.repository == repository) {
                    tag.gone_at.get_or_insert(time);
                }
                for manifest in self.manifests.values_mut().filter(|manifest| manifest.repository == repository) {
                    manifest.gone_at.get_or_insert(time);
                }
            }
            Change::TagSeen { repository, tag, digest, pushed_at } => {
                self.see_repository(&repository, now)?;
                self.see_manifest(&repository, &digest, None, now)?;
                let state = self.tags.entry((repository.clone(), tag.clone())).or_insert_with(|| TagState {
                    repository,
                    tag,
                    digest: digest.clone(),
                    first_seen: time,
                    last_seen: time,
                    moved_at: time,
                    pushed_at,
                    gone_at: None,
                });
                if state.digest != digest || state.gone_at.is_some() {
                    state.moved_at = time;
                }
                let known = if state.digest == digest { state.pushed_at } else { None };
                state.pushed_at = pushed_at.or(known);
                state.digest = digest;
                state.last_seen = time;
                state.gone_at = None;
            }
            Change::TagGone { repository, tag } => {
                self.bury(&repository, now, |work| {
                    work.reference().and_then(|reference| reference.tag()) == Some(tag.as_str())
                });
                if let Some(state) = self.tags.get_mut(&(repository, tag)) {
                    state.gone_at.get_or_insert(time);
                }
            }
            Change::ManifestSeen { repository, digest, media_type, size, children } => {
                self.see_repository(&repository, now)?;
                self.see_manifest(&repository, &digest, Some((media_type, size)), now)?;
                for child in &children {
                    self.see_manifest(&repository, &child.digest, None, now)?;
                }
                if !children.is_empty() {
                    self.children.entry(digest).or_insert(children);
                }
            }
            Change::ManifestGone { repository, digest } => {
                self.bury(&repository, now, |work| {
                    work.reference().and_then(|reference| reference.digest()) == Some(&digest)
                });
                let here = |place: &RepositoryName, subject: &Digest| *place == repository && *subject == digest;
                for tag in self.tags.values_mut().filter(|tag| here(&tag.repository, &tag.digest)) {
                    tag.gone_at.get_or_insert(time);
                }
                for manifest in self.manifests.values_mut().filter(|one| here(&one.repository, &one.digest)) {
                    manifest.gone_at.get_or_insert(time);
                }
            }
            Change::Image { repository, metadata } => self.store_image(&repository, *metadata, now)?,
            Change::Ledger { digest, indexer, verdict } => {
                let number = self.number();
                let verdict = match verdict {
                    crate::Verdict::Indexed => verdict,
                    crate::Verdict::Failed(reason) => crate::Verdict::Failed(reason.cut()),
                    crate::Verdict::Unsupported(reason) => crate::Verdict::Unsupported(reason.cut()),
                };
                let (_, entry) = self.ledger.entry((digest.clone(), indexer.clone())).or_insert_with(|| {
                    let verdict = verdict.clone();
                    (number, LedgerEntry { digest, indexer, verdict, attempts: 0, first_at: time, last_at: time })
                });
                entry.verdict = verdict;
                entry.attempts += 1;
                entry.last_at = time;
            }
            Change::Deliver(delivery) => self.deliver(delivery, now),
            Change::Enqueue(job) => drop(self.enqueue(job, None, now)),
        }
        Ok(())
    }

    fn registry(&mut self, name: &str, now: i64) -> Result<&mut RegistryState> {
        let first_seen = timestamp(now)?;
        Ok(self.registries.entry(name.to_owned()).or_insert_with(|| RegistryState {
            name: name.to_owned(),
            first_seen,
            last_reached: None,
            last_reconciled: None,
            last_event: None,
            away: None,
            repositories: 0,
        }))
    }

    fn see_repository(&mut self, name: &RepositoryName, now: i64) -> Result<()> {
        self.registry(&name.registry, now)?;
        let time = timestamp(now)?;
        let state = self.repositories.entry(name.clone()).or_insert_with(|| RepositoryState {
            name: name.clone(),
            first_seen: time,
            last_seen: time,
            gone_at: None,
            tags: 0,
        });
        state.last_seen = time;
        state.gone_at = None;
        Ok(())
    }

    fn see_manifest(
        &mut self,
        repository: &RepositoryName,
        digest: &Digest,
        read: Option<(String, u64)>,
        now: i64,
    ) -> Result<()> {
        let known = self.manifests.values_mut().find(|one| one.repository == *repository && one.digest == *digest);
        let (media_type, size) = read.unzip();
        if let Some(known) = known {
            known.media_type = media_type.or(known.media_type.take());
            known.size = size.or(known.size);
            known.gone_at = None;
            return Ok(());
        }
        let id = self.number();
        let state = ManifestState {
            repository: repository.clone(),
            digest: digest.clone(),
            media_type,
            size,
            first_seen: timestamp(now)?,
            gone_at: None,
            images: Vec::new(),
        };
        self.manifests.insert(id, state);
        Ok(())
    }

    /// Takes dead letters about something that is gone out of the list.
    fn bury(&mut self, repository: &RepositoryName, now: i64, about: impl Fn(&Work) -> bool) {
        for row in self.jobs.values_mut() {
            if row.life.state == JobState::Dead && row.work.repository() == repository && about(&row.work) {
                row.life.finish(JobState::Done, now);
            }
        }
    }

    fn store_image(&mut self, repository: &RepositoryName, metadata: ImageMetadata, now: i64) -> Result<()> {
        let image = rows::image_of(&metadata)?;
        let digest = image.digest.clone();
        let read = (image.media_type.clone(), image.raw_manifest.len() as u64);
        self.see_repository(repository, now)?;
        self.see_manifest(repository, &digest, Some(read), now)?;
        for package in &metadata.packages {
            let row = PackageRow::of(package);
            if !self.packages.contains_key(&row) {
                let id = self.number();
                self.packages.insert(row, id);
            }
        }
        let bytes = crate::codec::encode(&metadata)?.len() as u64;
        let metadata = Arc::new(metadata);
        if let Some(row) = self.images.values_mut().find(|row| row.digest == digest) {
            row.metadata = metadata;
            row.bytes = bytes;
            row.last_indexed = now;
            return Ok(());
        }
        let id = self.number();
        self.images.insert(id, ImageRow { digest, metadata, bytes, first_indexed: now, last_indexed: now });
        Ok(())
    }

    fn deliver(&mut self, delivery: NewDelivery, now: i64) {
        let key = delivery.dedupe_key();
        let Some(row) = self.deliveries.values_mut().find(|row| row.life.is_live(&key)) else {
            let id = self.number();
            let life = Life::new(id, key, delivery.lane.rank(), delivery.max_attempts, now, now);
            self.deliveries.insert(id, DeliveryRow { life, request: delivery, round: 1 });
            return;
        };
        let (life, rank) = (&mut row.life, delivery.lane.rank());
        let fresh = delivery.lane == Lane::Push;
        row.round += 1;
        life.max_attempts = delivery.max_attempts.max(1);
        row.request = delivery;
        match life.state {
            JobState::Running => life.again = Some(life.again.unwrap_or(rank).min(rank)),
            JobState::Dead => {
                life.attempt = 0;
                life.lane = rank;
                life.queue(now, now);
            }
            JobState::Queued | JobState::Done => {
                if fresh {
                    life.attempt = 0;
                }
                if fresh || life.error.is_none() {
                    life.run_at = life.run_at.min(now);
                }
                life.lane = life.lane.min(rank);
                life.changed_at = now;
            }
        }
    }

    pub(super) fn outbox_stats(&self, now: i64) -> Vec<SinkStats> {
        let mut all: BTreeMap<&str, SinkStats> = BTreeMap::new();
        let mut oldest: BTreeMap<&str, i64> = BTreeMap::new();
        for row in self.deliveries.values().filter(|row| row.life.state != JobState::Done) {
            let sink = row.request.sink.as_str();
            let stats = all.entry(sink).or_insert_with(|| SinkStats {
                sink: sink.to_owned(),
                ready: 0,
                delayed: 0,
                running: 0,
                dead: 0,
                oldest: None,
            });
            match row.life.state {
                JobState::Queued if row.life.run_at <= now => stats.ready += 1,
                JobState::Queued => stats.delayed += 1,
                JobState::Running => stats.running += 1,
                JobState::Dead | JobState::Done => stats.dead += 1,
            }
            if row.life.state != JobState::Dead {
                let at = oldest.entry(sink).or_insert(row.life.created_at);
                *at = (*at).min(row.life.created_at);
            }
        }
        for (sink, at) in oldest {
            if let Some(stats) = all.get_mut(sink) {
                stats.oldest = u64::try_from(now - at).ok().map(Duration::from_millis);
            }
        }
        all.into_values().collect()
    }
}

/// Whether changes can be applied: nothing is, unless all are.
pub(super) fn check(changes: &[Change]) -> Result<()> {
    for change in changes {
        if let Change::Image { metadata, .. } = change {
            rows::image_of(metadata)?;
        }
    }
    Ok(())
}

pub(super) fn reason(error: &Option<(Reason, i64)>) -> Option<Reason> {
    error.as_ref().map(|(reason, _)| reason.clone())
}
