//! Where the service is, and how it is reached.

use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use url::Url;

use crate::{Error, ErrorKind, Result, Secret};

/// Where the parts of the service are. Docker publishes no reference, so none of this is assumed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub struct Endpoints {
    /// GraphQL, the metrics exporter and, unless [`upload`](Self::upload) says otherwise, the upload of metadata; without
    /// a slash at the end (`docker/hub-mcp` `src/scout.ts`).
    pub api: String,
    /// Where metadata is uploaded, the team's ID left out: `https://api.scout.docker.com/v1/skills/remote` by default
    /// (`atomist-skills/go-skill` `http_transact.go`). Until 2025-01 it was `https://api.atomist.com/skills/remote`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upload: Option<String>,
    /// Sign-in with a user or an organization and a token (Docker Hub API reference, `POST /v2/auth/token`).
    pub hub: String,
    /// The registry for attestations (`docker scout attestation add --referrer-repository`): a host, no address.
    pub attestations: String,
}

impl Default for Endpoints {
    fn default() -> Self {
        Self {
            api: "https://api.scout.docker.com".into(),
            upload: None,
            hub: "https://hub.docker.com".into(),
            attestations: "registry.scout.docker.com".into(),
        }
    }
}

impl Endpoints {
    /// The API and the sign-in both at `address`: for the test kit's stand-in, and for gateways.
    pub fn at(address: &str) -> Self {
        let address = address.trim_end_matches('/');
        Self { api: address.to_owned(), hub: address.to_owned(), ..Self::default() }
    }
}

/// How the service is reached.
#[derive(Clone, Debug)]
pub struct ScoutConfig {
    /// The Docker organization that everything is about.
    pub organization: String,
    /// The organization's team ID, which uploads are addressed to. No public call tells it; the organization's name is
    /// used in its place.
    pub team: Option<String>,
    /// Where the parts of the service are.
    pub endpoints: Endpoints,
    /// An HTTP proxy, `http://[user:password@]host:port`.
    pub proxy: Option<Secret>,
    /// Hosts that are reached without the proxy, as `NO_PROXY` lists them.
    pub no_proxy: Option<String>,
    /// Certificates in PEM form to trust beside the machine's own.
    pub ca_bundle: Option<Bytes>,
    /// Speak http to hosts other than this one. Tokens are then read by whoever is in between.
    pub plain_http: bool,
    /// Requests at a time.
    pub concurrency: usize,
    /// How requests are repeated.
    pub retry: Retry,
    /// How long to wait for what.
    pub deadlines: Deadlines,
}

impl ScoutConfig {
    /// The service as Docker runs it, for one organization.
    pub fn new(organization: impl Into<String>) -> Self {
        Self {
            organization: organization.into(),
            team: None,
            endpoints: Endpoints::default(),
            proxy: None,
            no_proxy: None,
            ca_bundle: None,
            plain_http: false,
            // Nothing is known of the service's limits. Enough to hide its latency, few enough to be no nuisance.
            concurrency: 16,
            retry: Retry::default(),
            deadlines: Deadlines::default(),
        }
    }

    /// The same with other addresses.
    #[must_use]
    pub fn with_endpoints(mut self, endpoints: Endpoints) -> Self {
        self.endpoints = endpoints;
        self
    }

    /// The same with the organization's team ID.
    #[must_use]
    pub fn with_team(mut self, team: impl Into<String>) -> Self {
        self.team = Some(team.into());
        self
    }

    /// The same with another policy of repetition.
    #[must_use]
    pub fn with_retry(mut self, retry: Retry) -> Self {
        self.retry = retry;
        self
    }
}

/// How requests are repeated: all of them, since each has the same effect twice as once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retry {
    /// Times that a request is sent at most.
    pub attempts: u32,
    /// Upper bound of the first wait; each later one is twice as long. The wait itself is random below it.
    pub base: Duration,
    /// Upper bound of every wait.
    pub cap: Duration,
    /// Longest `Retry-After` that is waited for here. A longer one ends the call with [`Error::retry_after`], so that
    /// the caller can do something else meanwhile.
    pub patience: Duration,
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            attempts: 4,
            base: Duration::from_millis(250),
            cap: Duration::from_secs(20),
            patience: Duration::from_secs(30),
        }
    }
}

impl Retry {
    /// Each request once: for callers that keep their own queue.
    pub const fn never() -> Self {
        Self { attempts: 1, base: Duration::ZERO, cap: Duration::ZERO, patience: Duration::ZERO }
    }
}

/// How long to wait for what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deadlines {
    /// For a connection, with TLS.
    pub connect: Duration,
    /// For an answer, from the request's first byte to the answer's last.
    pub answer: Duration,
}

impl Default for Deadlines {
    fn default() -> Self {
        // The front end of the old API was said to give up after a minute; a chunk of packages takes a moment.
        Self { connect: Duration::from_secs(15), answer: Duration::from_secs(90) }
    }
}

/// The addresses that calls go to, checked.
#[derive(Debug)]
pub(crate) struct Addresses {
    pub(crate) token: Url,
    pub(crate) graphql: Url,
    pub(crate) upload: Url,
    pub(crate) metrics: Url,
}

impl Addresses {
    /// # Errors
    /// [`ErrorKind::Configuration`] if an address is none, if it would carry tokens in the clear, or if the
    /// organization's or the team's name cannot stand in a path.
    pub(crate) fn of(config: &ScoutConfig) -> Result<Self> {
        let Endpoints { api, upload, hub, .. } = &config.endpoints;
        let organization = segment("organization", &config.organization)?;
        let team = segment("team", config.team.as_deref().unwrap_or(&config.organization))?;
        let upload = match upload {
            Some(upload) => address("upload", upload, config.plain_http)?,
            None => below(&address("api", api, config.plain_http)?, &["v1", "skills", "remote"]),
        };
        let api = address("api", api, config.plain_http)?;
        let hub = address("hub", hub, config.plain_http)?;
        Ok(Self {
            token: below(&hub, &["v2", "auth", "token"]),
            graphql: below(&api, &["v1", "graphql"]),
            metrics: below(&api, &["v1", "exporter", "org", organization, "metrics"]),
            upload: below(&upload, &[team]),
        })
    }
}

/// A name that is one segment of a path. Organizations are letters and digits; team IDs have been seen with hyphens and
/// underscores.
fn segment<'a>(what: &str, name: &'a str) -> Result<&'a str> {
    let is_plain = |b: u8| b.is_ascii_alphanumeric() || b"-_".contains(&b);
    if !name.is_empty() && name.len() <= 128 && name.bytes().all(is_plain) {
        return Ok(name);
    }
    Err(Error::new(ErrorKind::Configuration, format!("read {what}: {name:?} is not the name of one")))
}

fn address(what: &str, text: &str, plain_http: bool) -> Result<Url> {
    let bad = |why: &str| Error::new(ErrorKind::Configuration, format!("read the address of {what}: {why}"));
    let url = Url::parse(text).map_err(|error| bad("it is none").with_source(error))?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(bad("it names a user"));
    }
    match url.scheme() {
        "https" => {}
        "http" if plain_http || is_loopback(&url) => {}
        "http" => return Err(bad("http would show the token to the network").with_hint("use https")),
        _ => return Err(bad("it is not https")),
    }
    Ok(url)
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

fn below(base: &Url, segments: &[&str]) -> Url {
    let mut url = base.clone();
    url.set_query(None);
    url.set_fragment(None);
    if let Ok(mut path) = url.path_segments_mut() {
        path.pop_if_empty().extend(segments);
    }
    url
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_those_of_the_public_sources() {
        let addresses = Addresses::of(&ScoutConfig::new("acme").with_team("A1B2-c_3")).unwrap();
        assert_eq!(addresses.token.as_str(), "https://hub.docker.com/v2/auth/token");
        assert_eq!(addresses.graphql.as_str(), "https://api.scout.docker.com/v1/graphql");
        assert_eq!(addresses.upload.as_str(), "https://api.scout.docker.com/v1/skills/remote/A1B2-c_3");
        assert_eq!(addresses.metrics.as_str(), "https://api.scout.docker.com/v1/exporter/org/acme/metrics");

        let mut config = ScoutConfig::new("acme").with_endpoints(Endpoints::at("http://127.0.0.1:99/scout/"));
        config.endpoints.upload = Some("https://api.atomist.com/skills/remote".to_owned());
        let addresses = Addresses::of(&config).unwrap();
        assert_eq!(addresses.graphql.as_str(), "http://127.0.0.1:99/scout/v1/graphql");
        assert_eq!(addresses.upload.as_str(), "https://api.atomist.com/skills/remote/acme");
    }

    #[test]
    fn what_cannot_be_reached_safely_is_refused() {
        let check = |organization: &str, api: &str, message: &str| {
            let config = ScoutConfig::new(organization).with_endpoints(Endpoints::at(api));
            let error = Addresses::of(&config).unwrap_err();
            assert_eq!((error.kind(), error.to_string().as_str()), (ErrorKind::Configuration, message));
        };
        check("../x", "https://a.test", "read organization: \"../x\" is not the name of one");
        check("", "https://a.test", "read organization: \"\" is not the name of one");
        check("acme", "a.test", "read the address of api: it is none");
        check("acme", "ftp://a.test", "read the address of api: it is not https");
        check("acme", "http://a.test", "read the address of api: http would show the token to the network");
        check("acme", "https://u:p@a.test", "read the address of api: it names a user");
    }
}
