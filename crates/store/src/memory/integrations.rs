//! The memory twin's integrations.

use std::collections::BTreeMap;

use async_trait::async_trait;
use jiff::Timestamp;

use super::MemoryStore;
use super::state::State;
use crate::audit::{Actor, NewAuditEntry};
use crate::clock::timestamp;
use crate::error::{Error, ErrorKind, Result};
use crate::integration::{
    EVENT_NOTED_EVERY, IncludeRemoved, Integration, IntegrationId, IntegrationMove, IntegrationPolicy,
    IntegrationState, NewIntegration, NewMove, Removal, RemovedData, RepositoryOrigin, RepositorySetting,
    RepositorySettingFilter, SealedAt, stale,
};
use crate::name::{Reason, RepositoryName};
use crate::page::{Cursor, Listing, Page};
use crate::store::IntegrationStore;
use crate::trail;

#[derive(Debug)]
pub(super) struct IntegrationRow {
    pub(super) integration: Integration,
    pub(super) credentials: Option<Vec<u8>>,
    pub(super) moves: Vec<IntegrationMove>,
    pub(super) repositories: BTreeMap<String, SettingRow>,
}

#[derive(Debug)]
pub(super) struct SettingRow {
    enabled: bool,
    origin: RepositoryOrigin,
    changed_at: Timestamp,
}

impl IntegrationRow {
    pub(super) fn remember(&mut self, from: Option<IntegrationState>, step: &NewMove, at: Timestamp) {
        let NewMove { to, reason, advice, .. } = step.clone();
        self.moves.push(IntegrationMove { at, from, to, reason, advice });
    }

    fn setting(&self, repository: &str, row: &SettingRow) -> RepositorySetting {
        RepositorySetting {
            integration: self.integration.name.clone(),
            repository: RepositoryName::new(&self.integration.registry, repository),
            enabled: row.enabled,
            origin: row.origin,
            changed_at: row.changed_at,
        }
    }
}

#[async_trait]
impl IntegrationStore for MemoryStore {
    async fn create_integration(&self, integration: NewIntegration, actor: &Actor) -> Result<Integration> {
        integration.check()?;
        let mut state = self.state();
        let now = self.now();
        state.create_integration(integration, actor, now)
    }

    async fn integrations(&self, removed: IncludeRemoved) -> Result<Vec<Integration>> {
        let state = self.state();
        let all = state.integrations.values().map(|row| &row.integration);
        let wanted = all.filter(|one| one.removed_at.is_none() || removed == IncludeRemoved::Yes);
        let mut integrations: Vec<_> = wanted.cloned().collect();
        integrations.sort_by_key(|one| (one.removed_at.is_some(), one.name.clone(), one.id));
        Ok(integrations)
    }

    async fn integration(&self, name: &str) -> Result<Option<Integration>> {
        Ok(self.state().live().find(|one| one.name == name).cloned())
    }

    async fn integration_history(&self, id: IntegrationId) -> Result<Vec<IntegrationMove>> {
        let state = self.state();
        let row = state.integrations.get(&id.0).ok_or_else(|| missing(id))?;
        Ok(row.moves.iter().rev().take(Page::LIMIT as usize).cloned().collect())
    }

    async fn move_integration(
        &self,
        id: IntegrationId,
        expected: i64,
        mut step: NewMove,
        actor: &Actor,
    ) -> Result<Integration> {
        if step.to == IntegrationState::Removed {
            let told = "to removed: that takes more than a move";
            return Err(Error::new(ErrorKind::Invalid, "move integration").with_context(told));
        }
        step.reason = step.reason.map(Reason::cut);
        let now = self.now();
        let at = timestamp(now)?;
        self.change(id, now, |row| {
            let before = row.integration.clone();
            if before.revision != expected {
                return Err(stale(&before, expected));
            }
            let integration = &mut row.integration;
            if before.state != step.to {
                integration.since = at;
            }
            integration.state = step.to;
            integration.reason.clone_from(&step.reason);
            integration.advice.clone_from(&step.advice);
            if step.tested {
                integration.tested_at = Some(at);
            }
            if !step.is_step(before.state, &before.reason) {
                return Ok(None);
            }
            row.remember(Some(before.state), &step, at);
            Ok(Some(trail::moved(actor, &before, &step)))
        })
    }

    async fn set_integration_policy(
        &self,
        id: IntegrationId,
        policy: IntegrationPolicy,
        actor: &Actor,
    ) -> Result<Integration> {
        self.change(id, self.now(), |IntegrationRow { integration, .. }| {
            let entry = trail::changed(actor, "policy", &integration.name, &integration.policy, &policy);
            integration.policy = policy;
            Ok(Some(entry))
        })
    }

    async fn set_integration_settings(
        &self,
        id: IntegrationId,
        settings: BTreeMap<String, String>,
        actor: &Actor,
    ) -> Result<Integration> {
        self.change(id, self.now(), |IntegrationRow { integration, .. }| {
            let entry = trail::changed(actor, "settings", &integration.name, &integration.settings, &settings);
            integration.settings = settings;
            Ok(Some(entry))
        })
    }

    async fn set_integration_credentials(
        &self,
        id: IntegrationId,
        sealed: Option<Vec<u8>>,
        actor: &Actor,
    ) -> Result<Integration> {
        let now = self.now();
        let changed_at = timestamp(now)?;
        self.change(id, now, |row| {
            row.integration.credentials = sealed.as_ref().map(|_| SealedAt { changed_at });
            let entry = trail::credentials(actor, &row.integration.name, sealed.is_some());
            row.credentials = sealed;
            Ok(Some(entry))
        })
    }

    async fn sealed_credentials(&self, id: IntegrationId) -> Result<Option<Vec<u8>>> {
        Ok(self.state().row(id)?.credentials.clone())
    }

    async fn note_integration_event(&self, id: IntegrationId, at: Timestamp) -> Result<()> {
        let mut state = self.state();
        let integration = &mut state.row(id)?.integration;
        let first = integration.first_event.is_none();
        let millis = |at: Timestamp| at.as_millisecond();
        if !first && integration.last_event.is_some_and(|last| millis(at) - millis(last) < EVENT_NOTED_EVERY) {
            return Ok(());
        }
        integration.last_event = integration.last_event.max(Some(at));
        if first {
            integration.first_event = Some(at);
            let revision = state.raise_revision();
            state.row(id)?.integration.revision = revision;
        }
        Ok(())
    }

    async fn remove_integration(&self, id: IntegrationId, data: RemovedData, actor: &Actor) -> Result<Removal> {
        let mut state = self.state();
        let now = self.now();
        state.remove_integration(id, data, actor, now)
    }

    async fn set_repositories(
        &self,
        id: IntegrationId,
        repositories: Vec<(String, bool)>,
        origin: RepositoryOrigin,
        actor: &Actor,
    ) -> Result<Vec<RepositorySetting>> {
        let mut state = self.state();
        let now = self.now();
        let changed_at = timestamp(now)?;
        let row = state.row(id)?;
        let mut changed = Vec::new();
        for (repository, enabled) in repositories {
            match row.repositories.get_mut(&repository) {
                None => {
                    row.repositories.insert(repository.clone(), SettingRow { enabled, origin, changed_at });
                }
                Some(known) if origin == RepositoryOrigin::Named && known.enabled != enabled => {
                    *known = SettingRow { enabled, changed_at, ..*known };
                }
                Some(_) => continue,
            }
            changed.push(row.setting(&repository, &row.repositories[&repository]));
        }
        if !changed.is_empty() {
            let entry = trail::chosen(actor, &row.integration.name, origin, &changed);
            state.raise_revision();
            state.record(entry, now)?;
        }
        Ok(changed)
    }

    async fn repository_settings(
        &self,
        filter: &RepositorySettingFilter,
        page: &Page,
    ) -> Result<Listing<RepositorySetting>> {
        let after = Cursor::words::<2>(page)?.map(|[registry, repository]| RepositoryName { registry, repository });
        let state = self.state();
        let is = |wanted: &Option<String>, word: &str| wanted.as_ref().is_none_or(|wanted| wanted == word);
        let live = state.integrations.values().filter(|row| row.integration.removed_at.is_none());
        let mut settings: Vec<_> = live
            .flat_map(|row| row.repositories.iter().map(|(name, setting)| row.setting(name, setting)))
            .filter(|one| {
                is(&filter.integration, &one.integration)
                    && is(&filter.registry, &one.repository.registry)
                    && is(&filter.repository, &one.repository.repository)
                    && filter.enabled.is_none_or(|enabled| enabled == one.enabled)
                    && after.as_ref().is_none_or(|after| one.repository > *after)
            })
            .collect();
        settings.sort_by(|left, right| left.repository.cmp(&right.repository));
        settings.truncate(page.limit() + 1);
        Ok(Listing::cut(settings, page, |one| Cursor::new([&one.repository.registry, &one.repository.repository])))
    }

    async fn integrations_revision(&self) -> Result<i64> {
        Ok(self.state().integrations_revision)
    }
}

impl MemoryStore {
    /// Changes an integration, and writes down what the change says of itself.
    fn change(
        &self,
        id: IntegrationId,
        now: i64,
        change: impl FnOnce(&mut IntegrationRow) -> Result<Option<NewAuditEntry>>,
    ) -> Result<Integration> {
        let mut state = self.state();
        let entry = change(state.row(id)?)?;
        let revision = state.raise_revision();
        let integration = &mut state.row(id)?.integration;
        integration.revision = revision;
        let integration = integration.clone();
        if let Some(entry) = entry {
            state.record(entry, now)?;
        }
        Ok(integration)
    }
}

pub(super) fn missing(id: IntegrationId) -> Error {
    Error::new(ErrorKind::NotFound, "find integration").with_context(id)
}

impl State {
    pub(super) fn live(&self) -> impl Iterator<Item = &Integration> {
        self.integrations.values().map(|row| &row.integration).filter(|one| one.removed_at.is_none())
    }

    fn row(&mut self, id: IntegrationId) -> Result<&mut IntegrationRow> {
        let row = self.integrations.get_mut(&id.0).filter(|row| row.integration.removed_at.is_none());
        row.ok_or_else(|| missing(id))
    }

    pub(super) fn raise_revision(&mut self) -> i64 {
        self.integrations_revision += 1;
        self.integrations_revision
    }

    fn create_integration(&mut self, new: NewIntegration, actor: &Actor, now: i64) -> Result<Integration> {
        if let Some(other) = self.live().find(|one| one.name == new.name || one.registry == new.registry) {
            return Err(new.conflict(&other.name));
        }
        let at = timestamp(now)?;
        let id = self.number();
        let integration = Integration {
            id: IntegrationId(id),
            name: new.name,
            kind: new.kind,
            registry: new.registry,
            settings: new.settings,
            policy: new.policy,
            credentials: new.credentials.as_ref().map(|_| SealedAt { changed_at: at }),
            state: IntegrationState::Pending,
            reason: None,
            advice: None,
            since: at,
            created_at: at,
            tested_at: None,
            first_event: None,
            last_event: None,
            removed_at: None,
            removed_data: None,
            revision: self.raise_revision(),
        };
        let mut row = IntegrationRow {
            integration: integration.clone(),
            credentials: new.credentials,
            moves: Vec::new(),
            repositories: BTreeMap::new(),
        };
        row.remember(None, &NewMove::new(IntegrationState::Pending), at);
        self.integrations.insert(id, row);
        self.record(trail::created(actor, &integration), now)?;
        Ok(integration)
    }
}
