//! Which repositories of an integration are enabled.

use std::collections::HashMap;
use std::fmt;
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use jiff::Timestamp;
use supercargo_registry::{Filter, Repository};
use supercargo_store::{Integration, IntegrationId, IntegrationPolicy, RepositoryOrigin, RepositorySetting, Selection};

use crate::{Error, ErrorKind, Result};

/// Which repositories of an integration are enabled, as the store last said it.
pub struct Enablement {
    id: IntegrationId,
    integration: String,
    registry: String,
    state: RwLock<State>,
}

#[derive(Default)]
struct State {
    enable_on_push: bool,
    filter: Filter,
    selection: Selection,
    repositories: HashMap<String, Setting>,
}

struct Setting {
    enabled: bool,
    origin: RepositoryOrigin,
    /// `None` for what was found just now and has not been read back.
    changed_at: Option<Timestamp>,
    /// It was enabled, and has not been looked at since: what is there is taken down, and its newest image indexed.
    begins: bool,
}

impl Enablement {
    /// Nothing is enabled yet.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Configuration`] if the policy's globs are none.
    pub(super) fn new(integration: &Integration) -> Result<Self> {
        let enablement = Self {
            id: integration.id,
            integration: integration.name.clone(),
            registry: integration.registry.clone(),
            state: RwLock::default(),
        };
        enablement.set_policy(&integration.policy)?;
        Ok(enablement)
    }

    pub(super) fn set_policy(&self, policy: &IntegrationPolicy) -> Result<()> {
        let IntegrationPolicy { enable_on_push, selection } = policy;
        let filter = Filter::new(&selection.include, &selection.exclude)
            .map_err(|error| Error::new(ErrorKind::Configuration, "read the selection").with_source(error))?;
        let mut state = self.write();
        (state.enable_on_push, state.filter, state.selection) = (*enable_on_push, filter, selection.clone());
        Ok(())
    }

    /// Takes over what the store says. `begins` says of an enabled repository that was not known to be whether it is to
    /// be looked at as one that begins. Answers those.
    pub(super) fn load(
        &self,
        settings: Vec<RepositorySetting>,
        begins: impl Fn(&RepositorySetting) -> bool,
    ) -> Vec<String> {
        let mut begun = Vec::new();
        let mut state = self.write();
        let mut before = std::mem::take(&mut state.repositories);
        for setting in settings {
            let name = setting.repository.repository.clone();
            let known = before.remove(&name);
            let begins = match &known {
                Some(known) if known.enabled => known.begins,
                _ => setting.enabled && begins(&setting),
            };
            if begins && known.is_none_or(|known| !known.enabled) {
                begun.push(name.clone());
            }
            let RepositorySetting { enabled, origin, changed_at, .. } = setting;
            state.repositories.insert(name, Setting { enabled, origin, changed_at: Some(changed_at), begins });
        }
        // What was found since the store was asked.
        state.repositories.extend(before.into_iter().filter(|(_, setting)| setting.changed_at.is_none()));
        begun
    }

    /// Of these repositories those that were not known, with whether they are enabled from now on. `begins`: they were
    /// there before the watch began.
    pub(crate) fn find<'a>(
        &self,
        repositories: impl IntoIterator<Item = &'a Repository>,
        begins: bool,
    ) -> Vec<(String, bool)> {
        let mut state = self.write();
        let enabled = state.enable_on_push;
        let mut found = Vec::new();
        for repository in repositories {
            if state.repositories.contains_key(repository.as_str()) || !state.filter.admits(&self.registry, repository)
            {
                continue;
            }
            let setting =
                Setting { enabled, origin: RepositoryOrigin::Found, changed_at: None, begins: enabled && begins };
            state.repositories.insert(repository.to_string(), setting);
            found.push((repository.to_string(), enabled));
        }
        found
    }

    /// Takes back what was found and could not be stored, so that it is found again.
    pub(crate) fn forget(&self, repositories: &[(String, bool)]) {
        let mut state = self.write();
        for (name, _) in repositories {
            state.repositories.remove(name);
        }
    }

    /// The integration's number.
    pub(crate) fn id(&self) -> IntegrationId {
        self.id
    }

    /// Whether events and passes about `repository` lead to work.
    pub fn is_enabled(&self, repository: &Repository) -> bool {
        let state = self.read();
        state.filter.admits(&self.registry, repository)
            && state.repositories.get(repository.as_str()).map_or(state.enable_on_push, |setting| setting.enabled)
    }

    /// Whether `repository` has been heard of.
    pub(crate) fn is_known(&self, repository: &Repository) -> bool {
        self.read().repositories.contains_key(repository.as_str())
    }

    /// Why nothing is done about an event of `repository`; `None` if something is.
    pub fn refusal(&self, repository: &Repository) -> Option<String> {
        if self.is_enabled(repository) {
            return None;
        }
        if !self.read().filter.admits(&self.registry, repository) {
            return Some(format!("repository {repository} is left out by the selection of {}", self.integration));
        }
        Some(format!(
            "repository {repository} is not enabled: supercargo repo enable --integration {} {repository}",
            self.integration
        ))
    }

    /// The names of those that are enabled.
    pub(crate) fn enabled(&self) -> Vec<String> {
        let state = self.read();
        state.repositories.iter().filter(|(_, setting)| setting.enabled).map(|(name, _)| name.clone()).collect()
    }

    /// Whether some were named by hand, as it is done for registries that do not list.
    pub(crate) fn has_named(&self) -> bool {
        self.read().repositories.values().any(|setting| setting.origin == RepositoryOrigin::Named)
    }

    /// Whether `repository` was enabled and has not been looked at since.
    pub(crate) fn begins(&self, repository: &Repository) -> bool {
        self.read().repositories.get(repository.as_str()).is_some_and(|setting| setting.begins)
    }

    /// It has been looked at.
    pub(crate) fn begun(&self, repository: &Repository) {
        if let Some(setting) = self.write().repositories.get_mut(repository.as_str()) {
            setting.begins = false;
        }
    }

    pub(crate) fn selection(&self) -> Selection {
        self.read().selection.clone()
    }

    fn read(&self) -> RwLockReadGuard<'_, State> {
        // Each change is an assignment or a call to a map.
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Enablement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Enablement")
            .field("integration", &self.integration)
            .field("repositories", &self.read().repositories.len())
            .finish_non_exhaustive()
    }
}
