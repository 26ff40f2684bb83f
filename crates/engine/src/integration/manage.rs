//! What is done to integrations, by the command line and the API as by the engine.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;
use supercargo_registry::Listing;
use supercargo_store::{
    Actor, Integration, IntegrationId, IntegrationPolicy, IntegrationState, NewIntegration, Page, PlaceFilter,
    RepositorySetting, RepositorySettingFilter, Store,
};

use super::examine::{Ground, examine, subject, unusable};
use super::preview::check_selection;
use super::settings::wants_event_secret;
use super::{Connection, Connector, Credentials, Examination, Facts, Signal, Step, Vault, event_providers, next};
use crate::failure::chain;
use crate::setup::{PUBLIC_URL, QUEUE};
use crate::{Error, ErrorKind, Result};

/// How often a step is tried that others get in the way of.
const TRIES: usize = 5;

/// Integrations with what it takes to use them: a store, the adapters of the build, the key of the credentials. Cheap
/// to clone.
#[derive(Clone)]
pub struct Integrations {
    store: Arc<dyn Store>,
    connector: Arc<dyn Connector>,
    vault: Arc<Vault>,
}

impl Integrations {
    /// Those of `store`.
    pub fn new(store: Arc<dyn Store>, connector: Arc<dyn Connector>, vault: Vault) -> Self {
        Self { store, connector, vault: Arc::new(vault) }
    }

    /// The store that they are kept in.
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }

    /// The integration of this name.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`], [`ErrorKind::Store`].
    pub async fn find(&self, name: &str) -> Result<Integration> {
        let found = self.store.integration(name).await.map_err(|error| Error::store("find an integration", error))?;
        found.ok_or_else(|| {
            Error::new(ErrorKind::NotFound, format!("find the integration {name}: there is none of this name"))
        })
    }

    /// Makes an integration with these credentials; where deliveries carry a secret and none is given, with a new one.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Configuration`] with everything that is wrong with its settings, [`ErrorKind::Conflict`] if its
    /// name or its registry is another's, [`ErrorKind::Sealed`], [`ErrorKind::Store`].
    pub async fn create(
        &self,
        mut new: NewIntegration,
        mut credentials: Credentials,
        actor: &Actor,
    ) -> Result<Integration> {
        check_selection(&new.policy.selection)?;
        let providers = event_providers(&new.kind, &new.settings)?;
        if wants_event_secret(&providers, &new.settings) && credentials.event_secrets.is_empty() {
            credentials = credentials.with_event_secret()?;
        }
        // Whatever is wrong with it is told now, and not by a state later.
        self.connector.connect(&draft(&new), &credentials)?;
        new.credentials = credentials.seal(&self.vault, &new.registry)?;
        let created = self.store.create_integration(new, actor).await;
        created.map_err(|error| Error::store("create an integration", error))
    }

    /// Replaces how the registry is reached.
    ///
    /// # Errors
    ///
    /// As for [`Integrations::create`].
    pub async fn replace_settings(
        &self,
        name: &str,
        settings: BTreeMap<String, String>,
        actor: &Actor,
    ) -> Result<Integration> {
        let integration = self.find(name).await?;
        let mut credentials = self.credentials(&integration).await?;
        let draft = Integration { settings: settings.clone(), ..integration };
        let providers = event_providers(&draft.kind, &settings)?;
        if wants_event_secret(&providers, &settings) && credentials.event_secrets.is_empty() {
            credentials = self.keep(&draft, credentials.with_event_secret()?, actor).await?;
        }
        self.connector.connect(&draft, &credentials)?;
        let replaced = self.store.set_integration_settings(draft.id, settings, actor).await;
        replaced.map_err(|error| Error::store("change the settings of an integration", error))
    }

    /// Keeps the address at which the registry's side reaches this server, because the registry's side is about to be
    /// told it: connection tests call it. An integration whose events do not come to an address has no use for it.
    ///
    /// # Errors
    ///
    /// As for [`Integrations::create`].
    pub async fn keep_public_url(&self, name: &str, url: &str, actor: &Actor) -> Result<Integration> {
        let integration = self.find(name).await?;
        let mut settings = integration.settings.clone();
        let comes_to_us =
            !settings.contains_key(QUEUE) && !event_providers(&integration.kind, &integration.settings)?.is_empty();
        let url = url.trim_end_matches('/');
        if !comes_to_us || settings.get(PUBLIC_URL).is_some_and(|kept| kept.trim_end_matches('/') == url) {
            return Ok(integration);
        }
        settings.insert(PUBLIC_URL.to_owned(), url.to_owned());
        self.replace_settings(name, settings, actor).await
    }

    /// Replaces what of the registry is wanted.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Configuration`] if the selection makes no sense, [`ErrorKind::NotFound`], [`ErrorKind::Store`].
    pub async fn replace_policy(&self, name: &str, policy: IntegrationPolicy, actor: &Actor) -> Result<Integration> {
        check_selection(&policy.selection)?;
        let integration = self.find(name).await?;
        let replaced = self.store.set_integration_policy(integration.id, policy, actor).await;
        replaced.map_err(|error| Error::store("change the policy of an integration", error))
    }

    /// Changes credentials. What `change` leaves alone stays.
    ///
    /// # Errors
    ///
    /// As for [`Integrations::create`].
    pub async fn replace_credentials(
        &self,
        name: &str,
        change: impl FnOnce(&mut Credentials) + Send,
        actor: &Actor,
    ) -> Result<Integration> {
        let integration = self.find(name).await?;
        let mut credentials = match self.credentials(&integration).await {
            // With another key than theirs, they can be set anew.
            Err(error) if error.kind() == ErrorKind::Sealed => Credentials::default(),
            read => read?,
        };
        change(&mut credentials);
        let providers = event_providers(&integration.kind, &integration.settings)?;
        if wants_event_secret(&providers, &integration.settings) && credentials.event_secrets.is_empty() {
            credentials = credentials.with_event_secret()?;
        }
        self.connector.connect(&integration, &credentials)?;
        self.keep(&integration, credentials, actor).await?;
        self.find(name).await
    }

    async fn keep(&self, of: &Integration, credentials: Credentials, actor: &Actor) -> Result<Credentials> {
        let sealed = credentials.seal(&self.vault, &of.registry)?;
        let kept = self.store.set_integration_credentials(of.id, sealed, actor).await;
        kept.map_err(|error| Error::store("keep credentials", error))?;
        Ok(credentials)
    }

    /// The credentials of `integration`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Sealed`], [`ErrorKind::Store`].
    pub async fn credentials(&self, integration: &Integration) -> Result<Credentials> {
        let sealed = self.store.sealed_credentials(integration.id).await;
        match sealed.map_err(|error| Error::store("read credentials", error))? {
            Some(sealed) => Credentials::open(&self.vault, &sealed, &integration.registry),
            None => Ok(Credentials::default()),
        }
    }

    /// What `integration` means.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Configuration`], [`ErrorKind::Sealed`], [`ErrorKind::Store`].
    pub async fn connect(&self, integration: &Integration) -> Result<Connection> {
        let credentials = self.credentials(integration).await?;
        self.connector.connect(integration, &credentials)
    }

    /// Tests the connection of the integration of this name, and moves it to where the result says. Each step is handed
    /// to `tell` as it is made.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`], [`ErrorKind::Store`]. What is wrong with the connection is a step that failed.
    pub async fn test(
        &self,
        name: &str,
        mut tell: impl FnMut(&Step) + Send,
        actor: &Actor,
    ) -> Result<(Examination, Integration)> {
        let integration = self.find(name).await?;
        let (examination, has_events) = match self.connect(&integration).await {
            Ok(connection) => (self.examine(&integration, &connection, tell).await?, connection.has_events()),
            Err(error) if matches!(error.kind(), ErrorKind::Configuration | ErrorKind::Sealed) => {
                let step = Step {
                    step: error.kind().as_str(),
                    outcome: "failed",
                    detail: chain(&error),
                    advice: Some("change the settings or the credentials of the integration".to_owned()),
                    took_ms: 0,
                };
                tell(&step);
                (Examination { registry: integration.registry, passed: false, steps: vec![step] }, false)
            }
            Err(error) => return Err(error),
        };
        let moved = self.signal(name, has_events, &examination.signal(), actor).await?;
        Ok((examination, moved))
    }

    pub(super) async fn examine(
        &self,
        integration: &Integration,
        connection: &Connection,
        tell: impl FnMut(&Step) + Send,
    ) -> Result<Examination> {
        let registry = connection.watch.registry.as_ref();
        // Where a registry does not list, what is known of it is what there is to read.
        let mut known = Vec::new();
        if registry.capabilities().repositories != Listing::Complete {
            let place = PlaceFilter { registry: Some(integration.registry.clone()), ..PlaceFilter::default() };
            let listing = self.store.repositories(&place, &Page::first(100)).await;
            let listing = listing.map_err(|error| Error::store("read what is known of a registry", error))?;
            let read = listing.items.into_iter().filter(|one| one.tags > 0);
            known.extend(read.map(|one| one.name.repository));
        }
        let store = self.store.as_ref();
        Ok(examine(&Ground { store, integration, connection, subject: subject(&known) }, tell).await)
    }

    /// What a connection that cannot even be made means.
    pub(super) fn unusable(error: &Error) -> Signal {
        unusable(error.kind().as_str(), chain(error))
    }

    /// Moves the integration of this name to where `signal` leads, whoever else moves it meanwhile.
    pub(super) async fn signal(
        &self,
        name: &str,
        has_events: bool,
        signal: &Signal,
        actor: &Actor,
    ) -> Result<Integration> {
        let mut tries = 0;
        loop {
            let integration = self.find(name).await?;
            let facts = Facts::of(&integration, has_events);
            let Some(step) = next(integration.state, &facts, signal) else { return Ok(integration) };
            tries += 1;
            match self.store.move_integration(integration.id, integration.revision, step, actor).await {
                Err(error) if error.kind() == supercargo_store::ErrorKind::Stale && tries < TRIES => {}
                moved => return moved.map_err(|error| Error::store("move an integration", error)),
            }
        }
    }

    /// All settings of repositories of an integration.
    pub(super) async fn repositories(&self, name: &str) -> Result<Vec<RepositorySetting>> {
        let filter = RepositorySettingFilter::of(name);
        let mut page = Page::first(Page::LIMIT);
        let mut all = Vec::new();
        loop {
            let listing = self.store.repository_settings(&filter, &page).await;
            let listing = listing.map_err(|error| Error::store("read the repositories of an integration", error))?;
            all.extend(listing.items);
            match listing.next {
                Some(next) => page = Page::after(next, Page::LIMIT),
                None => return Ok(all),
            }
        }
    }
}

/// The integration that would be made.
fn draft(new: &NewIntegration) -> Integration {
    Integration {
        id: IntegrationId(0),
        name: new.name.clone(),
        kind: new.kind.clone(),
        registry: new.registry.clone(),
        settings: new.settings.clone(),
        policy: new.policy.clone(),
        credentials: None,
        state: IntegrationState::Pending,
        reason: None,
        advice: None,
        since: Timestamp::UNIX_EPOCH,
        created_at: Timestamp::UNIX_EPOCH,
        tested_at: None,
        first_event: None,
        last_event: None,
        removed_at: None,
        removed_data: None,
        revision: 0,
    }
}

impl fmt::Debug for Integrations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Integrations").field("connector", &self.connector).finish_non_exhaustive()
    }
}
