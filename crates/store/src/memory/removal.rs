//! The memory twin's end of an integration.

use std::collections::HashSet;

use supercargo_index::Digest;

use super::integrations::missing;
use super::state::State;
use crate::audit::Actor;
use crate::clock::timestamp;
use crate::error::Result;
use crate::integration::{IntegrationId, IntegrationState, NewMove, Removal, RemovedData};
use crate::job::JobState;
use crate::outbox::DeliveryKind;
use crate::rows::PackageRow;
use crate::trail;

impl State {
    pub(super) fn remove_integration(
        &mut self,
        id: IntegrationId,
        data: RemovedData,
        actor: &Actor,
        now: i64,
    ) -> Result<Removal> {
        let row = self.integrations.get(&id.0).ok_or_else(|| missing(id))?;
        let before = row.integration.clone();
        if before.removed_at.is_some() && data == RemovedData::Keep {
            return Err(missing(id).with_operation("remove integration"));
        }
        let mut removal = Removal { integration: before.clone(), jobs: 0, repositories: 0, images: 0 };
        if before.removed_at.is_some() && self.live().any(|one| one.registry == before.registry) {
            return Ok(removal);
        }
        removal.jobs = self.end_jobs(&before.registry, now);
        if data == RemovedData::Delete {
            self.jobs.retain(|_, job| job.work.repository().registry != before.registry);
            (removal.repositories, removal.images) = self.delete_data(&before.registry);
        }

        let at = timestamp(now)?;
        let revision = self.raise_revision();
        let row = self.integrations.get_mut(&id.0).ok_or_else(|| missing(id))?;
        row.repositories.clear();
        row.credentials = None;
        if before.removed_at.is_none() {
            row.remember(Some(before.state), &NewMove::new(IntegrationState::Removed), at);
            row.integration.since = at;
        }
        let integration = &mut row.integration;
        integration.state = IntegrationState::Removed;
        integration.reason = None;
        integration.advice = None;
        integration.credentials = None;
        integration.removed_at = integration.removed_at.or(Some(at));
        integration.removed_data = Some(data);
        integration.revision = revision;
        removal.integration = integration.clone();
        if before.removed_data != Some(data) {
            self.record(trail::removed(actor, &before.name, data, &removal), now)?;
        }
        Ok(removal)
    }

    fn end_jobs(&mut self, registry: &str, now: i64) -> u64 {
        let mut ended = 0;
        for job in self.jobs.values_mut().filter(|job| job.work.repository().registry == registry) {
            if job.life.state != JobState::Done {
                job.life.lease = None;
                job.life.again = None;
                job.life.error = None;
                job.life.finish(JobState::Done, now);
                ended += 1;
            }
        }
        ended
    }

    /// Answers how many repositories and images went.
    fn delete_data(&mut self, registry: &str) -> (u64, u64) {
        let had: HashSet<_> = self
            .manifests
            .values()
            .filter(|one| one.repository.registry == registry)
            .map(|one| one.digest.clone())
            .collect();
        self.tags.retain(|(repository, _), _| repository.registry != registry);
        self.manifests.retain(|_, one| one.repository.registry != registry);
        let repositories = self.repositories.len();
        self.repositories.retain(|name, _| name.registry != registry);
        let repositories = repositories - self.repositories.len();
        self.registries.remove(registry);

        let kept: HashSet<_> = self.manifests.values().map(|one| one.digest.clone()).collect();
        let condemned = |digest: &Digest| had.contains(digest) && !kept.contains(digest);
        let images = self.images.len();
        self.images.retain(|_, row| !condemned(&row.digest));
        let images = images - self.images.len();
        self.ledger.retain(|(digest, _), _| !condemned(digest));
        self.children.retain(|parent, _| !condemned(parent));
        if images > 0 {
            let used: HashSet<_> =
                self.images.values().flat_map(|row| row.metadata.packages.iter().map(PackageRow::of)).collect();
            self.packages.retain(|row, _| used.contains(row));
        }

        self.deliveries
            .retain(|_, row| row.request.repository.registry != registry || row.request.kind == DeliveryKind::Gone);
        self.events.retain(|_, one| one.event.registry.as_deref() != Some(registry));
        self.event_keys.retain(|_, id| self.events.contains_key(&id.0));
        (repositories as u64, images as u64)
    }
}
