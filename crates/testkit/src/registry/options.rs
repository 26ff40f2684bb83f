//! How a server is set up.

use std::time::Duration;

use super::{Notification, RegistryServer};
use crate::{Credentials, Result};

/// How clients prove who they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scheme {
    Open,
    Basic,
    Token,
}

/// Sets up a [`RegistryServer`].
///
/// # Examples
///
/// ```no_run
/// # async fn example() -> supercargo_testkit::Result<()> {
/// use std::time::Duration;
/// use supercargo_testkit::{Notification, RegistryServer};
///
/// let server = RegistryServer::builder()
///     .with_token_auth("robot", "secret")
///     .with_token_lifetime(Duration::from_secs(60))
///     .with_page_size(2)
///     .with_notification(Notification::new("http://127.0.0.1:9000/v1/events/distribution/kit").with_header("X-Secret", "s"))
///     .start()
///     .await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct RegistryServerBuilder {
    pub(super) port: u16,
    pub(super) scheme: Scheme,
    pub(super) credentials: Option<Credentials>,
    pub(super) anonymous_pull: bool,
    pub(super) token_lifetime: Duration,
    pub(super) page_size: usize,
    pub(super) catalog: bool,
    pub(super) referrers: bool,
    pub(super) ranges: bool,
    pub(super) tag_deletion: bool,
    pub(super) redirects: bool,
    pub(super) notifications: Vec<Notification>,
}

impl Default for RegistryServerBuilder {
    fn default() -> Self {
        Self {
            port: 0,
            scheme: Scheme::Open,
            credentials: None,
            anonymous_pull: false,
            token_lifetime: Duration::from_secs(300),
            page_size: 100,
            catalog: true,
            referrers: true,
            ranges: true,
            tag_deletion: true,
            redirects: false,
            notifications: Vec::new(),
        }
    }
}

impl RegistryServerBuilder {
    /// Listens on this port of 127.0.0.1; 0, the default, takes a free one.
    pub fn with_port(mut self, port: u16) -> Self {
        self.port = port;
        self
    }

    /// Asks for a user name and a password with every request.
    pub fn with_basic_auth(mut self, username: impl Into<String>, password: impl Into<String>) -> Self {
        self.scheme = Scheme::Basic;
        self.credentials = Some(Credentials::new(username, password));
        self
    }

    /// Asks for Bearer tokens, which `/token` of this server gives for a user name and a password.
    pub fn with_token_auth(mut self, username: impl Into<String>, password: impl Into<String>) -> Self {
        self.scheme = Scheme::Token;
        self.credentials = Some(Credentials::new(username, password));
        self
    }

    /// Gives tokens that pull to everyone, as Docker Hub does. Only with token authentication.
    pub fn with_anonymous_pull(mut self) -> Self {
        self.anonymous_pull = true;
        self
    }

    /// Sets how long tokens are good (`expires_in`); the default is five minutes.
    pub fn with_token_lifetime(mut self, lifetime: Duration) -> Self {
        self.token_lifetime = lifetime;
        self
    }

    /// Sets the most entries that one page of a list has; the default is 100.
    pub fn with_page_size(mut self, entries: usize) -> Self {
        self.page_size = entries;
        self
    }

    /// Refuses `/v2/_catalog`, as many hosted registries do.
    pub fn without_catalog(mut self) -> Self {
        self.catalog = false;
        self
    }

    /// Has no referrers API: it answers 404, so that clients fall back on the referrers tag.
    pub fn without_referrers(mut self) -> Self {
        self.referrers = false;
        self
    }

    /// Ignores `Range` and answers 200 with the whole blob.
    pub fn without_ranges(mut self) -> Self {
        self.ranges = false;
        self
    }

    /// Refuses to delete by tag, as Distribution 2.x does.
    pub fn without_tag_deletion(mut self) -> Self {
        self.tag_deletion = false;
        self
    }

    /// Redirects blob downloads to another host name, `localhost`, which refuses every request
    /// that carries an `Authorization` header, as object stores do.
    pub fn with_blob_redirects(mut self) -> Self {
        self.redirects = true;
        self
    }

    /// Posts an event for every manifest that is pushed or deleted.
    pub fn with_notification(mut self, notification: Notification) -> Self {
        self.notifications.push(notification);
        self
    }

    /// Starts the server.
    ///
    /// # Errors
    ///
    /// If the port is taken, or the address of a notification is not `http://host[:port]/path`.
    pub async fn start(self) -> Result<RegistryServer> {
        RegistryServer::start_with(self).await
    }
}
