//! How the stand-in is set up.

use super::NexusServer;
use crate::{Credentials, Result};

/// Sets up a [`NexusServer`].
#[derive(Debug, Clone)]
pub struct NexusServerBuilder {
    pub(super) credentials: Option<Credentials>,
    pub(super) patience: Option<usize>,
    /// Names, with the members of those that are groups.
    pub(super) repositories: Vec<(String, Vec<String>)>,
    pub(super) anonymous: bool,
    pub(super) search: bool,
    pub(super) catalog: bool,
    pub(super) browse: bool,
    pub(super) components_page: usize,
    pub(super) catalog_page: usize,
    pub(super) wrong_links: bool,
}

impl Default for NexusServerBuilder {
    fn default() -> Self {
        Self {
            credentials: None,
            patience: None,
            repositories: Vec::new(),
            anonymous: false,
            search: true,
            catalog: true,
            browse: true,
            components_page: 100,
            catalog_page: 100,
            wrong_links: false,
        }
    }
}

impl NexusServerBuilder {
    /// The user with a password, or the two parts of a user token.
    #[must_use]
    pub fn with_account(mut self, user: impl Into<String>, password: impl Into<String>) -> Self {
        self.credentials = Some(Credentials::new(user, password));
        self
    }

    /// Answers 429 to everybody after more wrong passwords than this, as versions since 3.9x do.
    #[must_use]
    pub fn with_lockout(mut self, after: usize) -> Self {
        self.patience = Some(after);
        self
    }

    /// A repository that is pushed to. The first has the connector.
    #[must_use]
    pub fn with_hosted(mut self, name: &str) -> Self {
        self.repositories.push((name.to_owned(), Vec::new()));
        self
    }

    /// A repository that shows what others hold.
    #[must_use]
    pub fn with_group(mut self, name: &str, members: &[&str]) -> Self {
        self.repositories.push((name.to_owned(), members.iter().map(|member| (*member).to_owned()).collect()));
        self
    }

    /// Lets strangers in and asks nobody for credentials; they see nothing.
    #[must_use]
    pub fn with_anonymous_access(mut self) -> Self {
        self.anonymous = true;
        self
    }

    /// Refuses to search.
    #[must_use]
    pub fn without_search(mut self) -> Self {
        self.search = false;
        self
    }

    /// Has no catalog.
    #[must_use]
    pub fn without_catalog(mut self) -> Self {
        self.catalog = false;
        self
    }

    /// Shows no repository in its list, as to users with the privilege to read and not to browse.
    #[must_use]
    pub fn without_browsing(mut self) -> Self {
        self.browse = false;
        self
    }

    /// Components in a page: 10 in versions up to 3.71.
    #[must_use]
    pub fn with_components_page(mut self, components: usize) -> Self {
        self.components_page = components;
        self
    }

    /// The most entries in a page of the catalog or of tags.
    #[must_use]
    pub fn with_catalog_page(mut self, entries: usize) -> Self {
        self.catalog_page = entries;
        self
    }

    /// Writes links for its own host and without `/repository/NAME`, as versions up to 3.71 do.
    #[must_use]
    pub fn with_wrong_links(mut self) -> Self {
        self.wrong_links = true;
        self
    }

    /// Starts the server.
    ///
    /// # Errors
    ///
    /// If no port can be had.
    pub async fn start(self) -> Result<NexusServer> {
        NexusServer::start_with(self).await
    }
}
