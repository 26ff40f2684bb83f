//! How a stand-in is set up.

use std::time::Duration;

use super::{ScoutRepository, ScoutServer};
use crate::{Credentials, Result};

/// Sets up a [`ScoutServer`].
#[derive(Debug, Clone)]
pub struct ScoutServerBuilder {
    pub(super) port: u16,
    pub(super) organization: String,
    pub(super) team: Option<String>,
    pub(super) credentials: Option<Credentials>,
    pub(super) token_lifetime: Duration,
    pub(super) page_size: usize,
    pub(super) enrolled: bool,
    pub(super) repositories: Vec<ScoutRepository>,
}

impl Default for ScoutServerBuilder {
    fn default() -> Self {
        Self {
            port: 0,
            organization: "acme".into(),
            team: None,
            credentials: None,
            // Docker Hub's own (its API reference, `AuthCreateTokenResponse`).
            token_lifetime: Duration::from_secs(600),
            page_size: 25,
            enrolled: false,
            repositories: Vec::new(),
        }
    }
}

impl ScoutServerBuilder {
    /// Listens on this port of 127.0.0.1; 0, the default, takes a free one.
    pub fn with_port(mut self, port: u16) -> Self {
        self.port = port;
        self
    }

    /// Sets the one organization that there is; `acme` by default.
    pub fn with_organization(mut self, name: impl Into<String>) -> Self {
        self.organization = name.into();
        self
    }

    /// Sets the organization's team ID, which uploads must name; by default it is the organization's name.
    pub fn with_team(mut self, id: impl Into<String>) -> Self {
        self.team = Some(id.into());
        self
    }

    /// Lets in this user or organization only; by default everyone.
    pub fn with_credentials(mut self, identifier: impl Into<String>, secret: impl Into<String>) -> Self {
        self.credentials = Some(Credentials::new(identifier, secret));
        self
    }

    /// Sets how long access tokens are good; ten minutes by default.
    pub fn with_token_lifetime(mut self, lifetime: Duration) -> Self {
        self.token_lifetime = lifetime;
        self
    }

    /// Sets the most repositories that one page has; 25 by default.
    pub fn with_page_size(mut self, entries: usize) -> Self {
        self.page_size = entries;
        self
    }

    /// The organization takes part already.
    pub fn with_enrolled(mut self) -> Self {
        self.enrolled = true;
        self
    }

    /// There is a repository already.
    pub fn with_repository(mut self, repository: ScoutRepository) -> Self {
        self.repositories.push(repository);
        self
    }

    /// Starts the stand-in.
    ///
    /// # Errors
    ///
    /// If the port is taken.
    pub async fn start(self) -> Result<ScoutServer> {
        ScoutServer::start_with(self).await
    }

    pub(super) fn team_id(&self) -> &str {
        self.team.as_deref().unwrap_or(&self.organization)
    }
}
