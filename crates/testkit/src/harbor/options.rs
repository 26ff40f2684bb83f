//! How the stand-in is set up.

use super::HarborServer;
use crate::Result;

/// What an account may see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HarborAccess {
    /// `None` for all of them.
    pub(super) projects: Option<Vec<String>>,
    /// The list of all repositories, and that of projects.
    pub(super) lists: bool,
}

impl HarborAccess {
    /// Everything.
    pub fn administrator() -> Self {
        Self { projects: None, lists: true }
    }

    /// The projects that it is a member of.
    pub fn member(projects: &[&str]) -> Self {
        Self { lists: true, ..Self::robot(projects) }
    }

    /// The repositories of these projects, by their names: a robot of a project may not list projects.
    pub fn robot(projects: &[&str]) -> Self {
        Self { projects: Some(projects.iter().map(|project| (*project).to_owned()).collect()), lists: false }
    }

    pub(super) fn sees(&self, project: &str) -> bool {
        self.projects.as_ref().is_none_or(|projects| projects.iter().any(|known| known == project))
    }
}

/// Sets up a [`HarborServer`].
#[derive(Debug, Clone)]
pub struct HarborServerBuilder {
    pub(super) account: Option<(String, String, HarborAccess)>,
    pub(super) public: Vec<String>,
    pub(super) page_size: usize,
    pub(super) links: bool,
    pub(super) foreign_links: bool,
    pub(super) redirects: bool,
}

impl Default for HarborServerBuilder {
    fn default() -> Self {
        Self { account: None, public: Vec::new(), page_size: 100, links: true, foreign_links: false, redirects: false }
    }
}

impl HarborServerBuilder {
    /// The one account.
    #[must_use]
    pub fn with_account(mut self, user: impl Into<String>, password: impl Into<String>, access: HarborAccess) -> Self {
        self.account = Some((user.into(), password.into(), access));
        self
    }

    /// A project that strangers may read.
    #[must_use]
    pub fn with_public_project(mut self, project: &str) -> Self {
        self.public.push(project.to_owned());
        self
    }

    /// Gives no more items in a page than this, however many are asked for.
    #[must_use]
    pub fn with_page_size(mut self, items: usize) -> Self {
        self.page_size = items;
        self
    }

    /// Leaves out `Link`, as proxies do; `X-Total-Count` is there.
    #[must_use]
    pub fn without_links(mut self) -> Self {
        self.links = false;
        self
    }

    /// Writes links for a host that clients do not know.
    #[must_use]
    pub fn with_foreign_links(mut self) -> Self {
        self.foreign_links = true;
        self
    }

    /// Redirects downloads of blobs to a store that refuses requests with an `Authorization` header.
    #[must_use]
    pub fn with_blob_redirects(mut self) -> Self {
        self.redirects = true;
        self
    }

    /// Starts the server.
    ///
    /// # Errors
    ///
    /// If no port can be had.
    pub async fn start(self) -> Result<HarborServer> {
        HarborServer::start_with(self).await
    }
}
