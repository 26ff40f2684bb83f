//! The contract for integrations.

use std::collections::BTreeMap;
use std::fmt;

use async_trait::async_trait;
use jiff::Timestamp;

use crate::audit::Actor;
use crate::error::Result;
use crate::integration::{
    IncludeRemoved, Integration, IntegrationId, IntegrationMove, IntegrationPolicy, NewIntegration, NewMove, Removal,
    RemovedData, RepositoryOrigin, RepositorySetting, RepositorySettingFilter,
};
use crate::page::{Listing, Page};

/// Integrations and which of their repositories are enabled.
///
/// Every call that changes something names who does it, and its line in the audit log is written in the same
/// transaction. An [`IntegrationId`] that is not known is [`ErrorKind::NotFound`](crate::ErrorKind::NotFound); so is
/// one of an integration that was removed, except where it is said otherwise.
#[async_trait]
pub trait IntegrationStore: fmt::Debug + Send + Sync {
    /// Makes an integration.
    ///
    /// [`ErrorKind::Conflict`](crate::ErrorKind::Conflict) if its name or its registry is another's already,
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) if its name is none.
    async fn create_integration(&self, integration: NewIntegration, actor: &Actor) -> Result<Integration>;

    /// The integrations, by name. They are made by hand, so they come all at once.
    async fn integrations(&self, removed: IncludeRemoved) -> Result<Vec<Integration>>;

    /// The integration of this name, unless it was removed.
    async fn integration(&self, name: &str) -> Result<Option<Integration>>;

    /// The steps of an integration's life, the latest first, at most [`Page::LIMIT`] of them; also of one that was
    /// removed.
    async fn integration_history(&self, id: IntegrationId) -> Result<Vec<IntegrationMove>>;

    /// Takes a step, if `expected` is still the integration's revision: who has decided on what is no longer true,
    /// decides again.
    ///
    /// [`ErrorKind::Stale`](crate::ErrorKind::Stale) if it is not. [`Removed`](crate::IntegrationState::Removed) is
    /// reached by [`remove_integration`](Self::remove_integration) only, and is
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) here.
    async fn move_integration(
        &self,
        id: IntegrationId,
        expected: i64,
        step: NewMove,
        actor: &Actor,
    ) -> Result<Integration>;

    /// Changes what of the registry is wanted.
    async fn set_integration_policy(
        &self,
        id: IntegrationId,
        policy: IntegrationPolicy,
        actor: &Actor,
    ) -> Result<Integration>;

    /// Changes how the registry is reached.
    async fn set_integration_settings(
        &self,
        id: IntegrationId,
        settings: BTreeMap<String, String>,
        actor: &Actor,
    ) -> Result<Integration>;

    /// Replaces the credentials, or takes them away. They come and stay sealed: the store knows no key.
    async fn set_integration_credentials(
        &self,
        id: IntegrationId,
        sealed: Option<Vec<u8>>,
        actor: &Actor,
    ) -> Result<Integration>;

    /// The credentials as they were given.
    async fn sealed_credentials(&self, id: IntegrationId) -> Result<Option<Vec<u8>>>;

    /// Notes that an event came. The first one raises the revisions, since it means something; of later ones, one in
    /// ten seconds is written. Nobody's doing, and so not in the audit log.
    async fn note_integration_event(&self, id: IntegrationId, at: Timestamp) -> Result<()>;

    /// Removes the integration: its credentials are erased, its repository settings are gone, what waited or ran for
    /// its registry is ended, and a worker that is in the middle of it has lost its lease.
    ///
    /// All of it is one transaction, except that with [`RemovedData::Delete`] the contents of images, which by then
    /// belong to nothing, go in as many more as let others write in between; should the process end meanwhile, the
    /// next [`prune`](crate::Store::prune) has the rest.
    ///
    /// One that was removed before can be removed again with [`RemovedData::Delete`]: whoever watched the registry may
    /// have written a last word. That deletes nothing if another integration has the registry by now.
    async fn remove_integration(&self, id: IntegrationId, data: RemovedData, actor: &Actor) -> Result<Removal>;

    /// Enables and disables repositories, by name and whether they are to be enabled. Answers those that are new or
    /// changed.
    ///
    /// With [`RepositoryOrigin::Found`] only those that were not known are taken up: what was found again is no
    /// reason to overrule somebody.
    async fn set_repositories(
        &self,
        id: IntegrationId,
        repositories: Vec<(String, bool)>,
        origin: RepositoryOrigin,
        actor: &Actor,
    ) -> Result<Vec<RepositorySetting>>;

    /// Repository settings, by registry and name of the repository.
    async fn repository_settings(
        &self,
        filter: &RepositorySettingFilter,
        page: &Page,
    ) -> Result<Listing<RepositorySetting>>;

    /// A number that every change above raises, but the time of a later event. Whoever finds it as it was knows that
    /// nothing has changed, in this process or another.
    async fn integrations_revision(&self) -> Result<i64>;
}
