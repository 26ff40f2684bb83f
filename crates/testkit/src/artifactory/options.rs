//! How the stand-in is set up.

use super::ArtifactoryServer;
use crate::{Credentials, Result};

/// What sort a repository key is of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Sort {
    Local,
    Federated,
    /// It holds what was pulled through it, and stores that under another key.
    Remote,
    /// It shows what these hold.
    Virtual(Vec<String>),
}

/// Sets up an [`ArtifactoryServer`].
#[derive(Debug, Clone)]
pub struct ArtifactoryServerBuilder {
    pub(super) credentials: Option<Credentials>,
    pub(super) token: Option<String>,
    pub(super) patience: Option<usize>,
    pub(super) repositories: Vec<(String, Sort)>,
    pub(super) hidden: Vec<String>,
    pub(super) anonymous: bool,
    pub(super) queries: Option<u16>,
    pub(super) most_rows: Option<usize>,
    pub(super) tells_of_limit: bool,
    pub(super) checksums: bool,
    pub(super) redirects: bool,
    pub(super) page_size: usize,
    pub(super) foreign_links: bool,
    pub(super) colons: bool,
    pub(super) manager: Option<String>,
}

impl Default for ArtifactoryServerBuilder {
    fn default() -> Self {
        Self {
            credentials: None,
            token: None,
            patience: None,
            repositories: Vec::new(),
            hidden: Vec::new(),
            anonymous: false,
            queries: None,
            most_rows: None,
            tells_of_limit: true,
            checksums: true,
            redirects: false,
            page_size: 100,
            foreign_links: false,
            colons: false,
            manager: None,
        }
    }
}

impl ArtifactoryServerBuilder {
    /// The user with a password, an API key, an identity token or an access token, which all serve as passwords.
    #[must_use]
    pub fn with_account(mut self, user: impl Into<String>, password: impl Into<String>) -> Self {
        self.credentials = Some(Credentials::new(user, password));
        self
    }

    /// An access token, which is sent as a Bearer token without a user.
    #[must_use]
    pub fn with_token(mut self, token: impl Into<String>) -> Self {
        self.token = Some(token.into());
        self
    }

    /// Shuts everybody out after more wrong passwords than this.
    #[must_use]
    pub fn with_lockout(mut self, after: usize) -> Self {
        self.patience = Some(after);
        self
    }

    /// A repository that is pushed to.
    #[must_use]
    pub fn with_local(self, key: &str) -> Self {
        self.with(key, Sort::Local)
    }

    /// A repository with mirrors elsewhere.
    #[must_use]
    pub fn with_federated(self, key: &str) -> Self {
        self.with(key, Sort::Federated)
    }

    /// A repository that caches another registry; what is pushed to it counts as pulled through.
    #[must_use]
    pub fn with_remote(self, key: &str) -> Self {
        self.with(key, Sort::Remote)
    }

    /// A repository that shows what others hold, the first of them first.
    #[must_use]
    pub fn with_virtual(self, key: &str, members: &[&str]) -> Self {
        self.with(key, Sort::Virtual(members.iter().map(|member| (*member).to_owned()).collect()))
    }

    /// Leaves a key out of `api/repositories`, as for those who may not see it.
    #[must_use]
    pub fn with_hidden(mut self, key: &str) -> Self {
        self.hidden.push(key.to_owned());
        self
    }

    /// Lets strangers in, asks nobody for credentials at `/v2/`, and shows strangers nothing that is private.
    #[must_use]
    pub fn with_anonymous_access(mut self) -> Self {
        self.anonymous = true;
        self
    }

    /// Refuses queries with this status.
    #[must_use]
    pub fn without_queries(mut self, status: u16) -> Self {
        self.queries = Some(status);
        self
    }

    /// Gives no more rows than this to one query, and says so.
    #[must_use]
    pub fn with_row_limit(mut self, rows: usize) -> Self {
        self.most_rows = Some(rows);
        self
    }

    /// Gives no more rows than this to one query, and does not say so.
    #[must_use]
    pub fn with_silent_row_limit(mut self, rows: usize) -> Self {
        self.tells_of_limit = false;
        self.with_row_limit(rows)
    }

    /// Knows no SHA-256 of files, as before version 5.5.
    #[must_use]
    pub fn without_checksums(mut self) -> Self {
        self.checksums = false;
        self
    }

    /// Redirects downloads of blobs to a store that refuses requests with an `Authorization` header.
    #[must_use]
    pub fn with_blob_redirects(mut self) -> Self {
        self.redirects = true;
        self
    }

    /// The most entries in a page of the catalog or of tags.
    #[must_use]
    pub fn with_page_size(mut self, entries: usize) -> Self {
        self.page_size = entries;
        self
    }

    /// Writes links for a host that clients do not know.
    #[must_use]
    pub fn with_foreign_links(mut self) -> Self {
        self.foreign_links = true;
        self
    }

    /// Stores platforms' manifests in folders `sha256:…`, as it used to, rather than `sha256__…`.
    #[must_use]
    pub fn with_colons(mut self) -> Self {
        self.colons = true;
        self
    }

    /// The access token of somebody who may manage webhooks; without one, nobody may.
    #[must_use]
    pub fn with_webhook_manager(mut self, token: impl Into<String>) -> Self {
        self.manager = Some(token.into());
        self
    }

    fn with(mut self, key: &str, sort: Sort) -> Self {
        self.repositories.push((key.to_owned(), sort));
        self
    }

    /// Starts the server.
    ///
    /// # Errors
    ///
    /// If no port can be had.
    pub async fn start(self) -> Result<ArtifactoryServer> {
        ArtifactoryServer::start_with(self).await
    }
}
