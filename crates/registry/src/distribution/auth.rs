//! Signing in: which header goes with a request, and to whom credentials may be sent.
//!
//! A registry names its token service in an answer that anybody on the way to it may have written, and a
//! registry that is not honest may name any. So user, password and identity token are sent to
//!
//! 1. the registry's own host and port; another port of that host if the registry is in a private network,
//! 2. a parent domain of the registry's host (`gitlab.com` for `registry.gitlab.com`), over https,
//! 3. `auth.docker.io` for Docker Hub,
//! 4. hosts that the configuration names with `token-host`,
//!
//! and to nobody else. A token service is spoken to over https unless the registry itself is plain http.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, Method};
use jiff::Timestamp;
use reqwest::StatusCode;
use tokio::sync::OnceCell;
use url::{Host, Url};

use super::challenge::{self, Bearer, Challenge};
use super::token::{Token, TokenCache, TokenKey, basic_header, bearer_header};
use super::transport::{Request, SignIn, Transport};
use crate::config::sign_in_hint;
use crate::credential::{Credential, CredentialProvider};
use crate::secret::{Secret, redacted};
use crate::{Error, ErrorKind, RegistryHost, Repository, Result};

/// Bytes of a token service's answer. Tokens of large organisations reach 10 KiB.
const TOKEN_BODY: usize = 64 << 10;
/// Scopes that are remembered as wanting more than was asked for.
const LEARNED: usize = 10_000;

/// What a request needs the right for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Scope {
    /// Nothing but being known.
    Base,
    /// The list of repositories.
    Catalog,
    /// Reading one repository. Never more than one: some services refuse a token for several (cgr.dev).
    Pull(Repository),
    /// Reading and writing one repository.
    Push(Repository),
    /// Listing what one repository holds, with digests and times. Azure has a right of its own for it.
    #[cfg(feature = "acr")]
    Metadata(Repository),
}

impl Scope {
    fn text(&self) -> Option<String> {
        match self {
            Self::Base => None,
            Self::Catalog => Some("registry:catalog:*".to_owned()),
            Self::Pull(repository) => Some(format!("repository:{repository}:pull")),
            Self::Push(repository) => Some(format!("repository:{repository}:pull,push")),
            #[cfg(feature = "acr")]
            Self::Metadata(repository) => Some(format!("repository:{repository}:metadata_read")),
        }
    }
}

/// How the registry wants to be signed in to.
#[derive(Clone, Debug)]
enum Scheme {
    /// It was not asked.
    Unknown,
    /// It lets everybody in, and may show more to those it knows.
    Open,
    Basic,
    Bearer {
        realm: Url,
        service: Option<String>,
    },
}

/// A header to send, and what it is made of.
#[derive(Clone, Debug)]
pub(crate) struct Authorization {
    header: HeaderValue,
    identity: String,
    token: Option<TokenKey>,
}

impl Authorization {
    pub(crate) fn header(&self) -> &HeaderValue {
        &self.header
    }
}

#[derive(Debug)]
pub(crate) struct Auth {
    host: RegistryHost,
    base: Url,
    provider: Arc<dyn CredentialProvider>,
    sign_in: SignIn,
    token_hosts: Vec<String>,
    transport: Arc<Transport>,
    scheme: RwLock<Scheme>,
    discovered: OnceCell<()>,
    tokens: TokenCache,
    learned: Mutex<HashMap<Scope, Vec<String>>>,
    rotated: Mutex<Option<(String, Secret)>>,
}

impl Auth {
    pub(crate) fn new(
        host: RegistryHost,
        base: Url,
        provider: Arc<dyn CredentialProvider>,
        config: &super::TransportConfig,
        transport: Arc<Transport>,
    ) -> Self {
        Self {
            host,
            base,
            provider,
            sign_in: config.sign_in,
            token_hosts: config.token_hosts.clone(),
            transport,
            scheme: RwLock::new(Scheme::Unknown),
            discovered: OnceCell::new(),
            tokens: TokenCache::default(),
            learned: Mutex::default(),
            rotated: Mutex::default(),
        }
    }

    pub(crate) async fn credential(&self) -> Result<Credential> {
        self.provider.credential(&self.host).await
    }

    /// The header for a request, as far as the registry has said what it wants.
    pub(crate) async fn authorize(&self, scope: &Scope) -> Result<Option<Authorization>> {
        let credential = self.provider.credential(&self.host).await?;
        if let Credential::Bearer { token } = &credential {
            return Ok(Some(self.plain(bearer_header(token.expose())?, &credential)));
        }
        if !credential.is_anonymous() && self.sign_in == SignIn::Challenge {
            self.discovered.get_or_try_init(|| self.discover()).await?;
        }
        match (self.scheme(), &credential) {
            (Scheme::Bearer { realm, service }, _) => self.token(&credential, realm, service, scope).await.map(Some),
            (_, Credential::Basic { username, password }) => {
                Ok(Some(self.plain(basic_header(username, password)?, &credential)))
            }
            _ => Ok(None),
        }
    }

    /// Another header after `sent` was refused with 401; `None` if there is nothing else to try.
    pub(crate) async fn answer(
        &self,
        scope: &Scope,
        sent: Option<&Authorization>,
        headers: &HeaderMap,
    ) -> Result<Option<Authorization>> {
        if let Some(sent) = sent.filter(|sent| self.sign_in == SignIn::Basic && !sent.identity.is_empty()) {
            return self.another(sent).await;
        }
        match challenge::select(headers) {
            None => Ok(None),
            Some(Challenge::Basic) => {
                self.set_scheme(Scheme::Basic);
                if sent.is_some() {
                    self.provider.renew(&self.host).await?;
                }
                let credential = self.provider.credential(&self.host).await?;
                let Credential::Basic { username, password } = &credential else { return Ok(None) };
                // The same password again would only count towards a lock-out.
                if sent.is_some_and(|sent| sent.token.is_none() && sent.identity == credential.identity()) {
                    return Ok(None);
                }
                Ok(Some(self.plain(basic_header(username, password)?, &credential)))
            }
            Some(Challenge::Bearer(Bearer { realm, service, scopes })) => {
                let credential = self.provider.credential(&self.host).await?;
                if matches!(credential, Credential::Bearer { .. }) {
                    return Ok(None);
                }
                if let Some(Authorization { header, token: Some(key), .. }) = sent {
                    self.tokens.forget(key.clone(), header).await;
                }
                self.learn(scope, scopes);
                self.set_scheme(Scheme::Bearer { realm: realm.clone(), service: service.clone() });
                self.token(&credential, realm, service, scope).await.map(Some)
            }
        }
    }

    /// Another password than that of `sent`, if there is one by now. Whatever the challenge asks for: the same password
    /// again, also at a token service, would only count towards a lock-out.
    async fn another(&self, sent: &Authorization) -> Result<Option<Authorization>> {
        self.provider.renew(&self.host).await?;
        let credential = match self.provider.credential(&self.host).await {
            Ok(credential) => credential,
            // The provider knows why it was refused and holds it back; what the registry said is more to the point.
            Err(error) if error.kind() == ErrorKind::Unauthorized => return Ok(None),
            Err(error) => return Err(error),
        };
        match &credential {
            Credential::Basic { username, password } if credential.identity() != sent.identity => {
                Ok(Some(self.plain(basic_header(username, password)?, &credential)))
            }
            _ => Ok(None),
        }
    }

    /// The header anew after `sent` was refused as expired.
    pub(crate) async fn renew(&self, scope: &Scope, sent: &Authorization) -> Result<Option<Authorization>> {
        if let Some(key) = &sent.token {
            self.tokens.forget(key.clone(), &sent.header).await;
        }
        self.provider.renew(&self.host).await?;
        let renewed = self.authorize(scope).await?;
        Ok(renewed.filter(|renewed| renewed.header != sent.header))
    }

    /// Tells the provider of a refusal that came as an error: see `status_error`.
    pub(crate) async fn note(&self, error: &Error, sent: Option<&Authorization>) -> Result<()> {
        if error.kind() == ErrorKind::Unauthorized && sent.is_some_and(|sent| !sent.identity.is_empty()) {
            self.provider.renew(&self.host).await?;
        }
        Ok(())
    }

    /// The error of a request that stays refused.
    pub(crate) fn rejected(&self, error: Error, sent: Option<&Authorization>) -> Error {
        match sent {
            Some(sent) if !sent.identity.is_empty() => error.with_hint(format!(
                "{} did not accept the credentials for this; are they still good, and do they have the right?",
                self.host
            )),
            _ => error.with_hint(sign_in_hint(&self.host)),
        }
    }

    /// The error of a request that stays refused because what was sent is no longer good.
    pub(crate) fn expired(&self, error: Error) -> Error {
        error.with_hint(format!("the login has run out; {}", sign_in_hint(&self.host)))
    }

    /// Asks `/v2/` once what the registry wants, before credentials are sent anywhere.
    async fn discover(&self) -> Result<()> {
        let answer = self.transport.send(&Request::get(self.base.clone()), None).await?;
        let challenge = challenge::select(answer.headers()).filter(|_| answer.is_at_home());
        let scheme = match challenge {
            Some(Challenge::Basic) => Scheme::Basic,
            Some(Challenge::Bearer(Bearer { realm, service, .. })) => Scheme::Bearer { realm, service },
            None => Scheme::Open,
        };
        self.set_scheme(scheme);
        Ok(())
    }

    /// A token for `scope`. An identity token that the service refuses is renewed once: it may have run out, or
    /// been taken back, since the provider kept it.
    async fn token(
        &self,
        credential: &Credential,
        realm: Url,
        service: Option<String>,
        scope: &Scope,
    ) -> Result<Authorization> {
        let outcome = self.buy_token(credential, realm.clone(), service.clone(), scope).await;
        let refused = matches!(&outcome, Err(error) if error.kind() == ErrorKind::Unauthorized);
        if refused && matches!(credential, Credential::Identity { .. }) {
            self.provider.renew(&self.host).await?;
            let renewed = self.provider.credential(&self.host).await?;
            if matches!(renewed, Credential::Identity { .. }) && renewed != *credential {
                return self.buy_token(&renewed, realm, service, scope).await;
            }
        }
        outcome
    }

    async fn buy_token(
        &self,
        credential: &Credential,
        realm: Url,
        service: Option<String>,
        scope: &Scope,
    ) -> Result<Authorization> {
        self.check_realm(&realm, credential)?;
        let mut scopes: Vec<String> = scope.text().into_iter().chain(self.learned(scope)).collect();
        scopes.sort_unstable();
        scopes.dedup();
        let identity = credential.identity();
        let key = TokenKey { realm, service, scopes, identity: identity.clone() };
        let token = match self.tokens.get(key.clone(), self.fetch(credential, &key)).await {
            Ok(token) => token,
            Err(error) => {
                // What is asked next may be answered with another password by then.
                if error.kind() == ErrorKind::Unauthorized && !identity.is_empty() {
                    self.provider.renew(&self.host).await?;
                }
                return Err(error.during(format_args!("get a token from {}", redacted(&key.realm))));
            }
        };
        Ok(Authorization { header: token.header().clone(), identity, token: Some(key) })
    }

    async fn fetch(&self, credential: &Credential, key: &TokenKey) -> Result<Token> {
        if let Credential::Identity { token } = credential {
            let token = self.current_identity(key, token);
            let answer = self.transport.send(&exchange(key, &token)?, None).await?;
            if !matches!(answer.status(), StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED) {
                let token = self.read(answer).await?;
                if let Some(refresh) = &token.refresh {
                    let mut rotated = self.rotated.lock().unwrap_or_else(PoisonError::into_inner);
                    *rotated = Some((key.identity.clone(), refresh.clone()));
                }
                return Ok(token);
            }
        }
        let (user, header) = match credential {
            Credential::Basic { username, password } => {
                (Some(username.as_str()), Some(basic_header(username, password)?))
            }
            // What docker sends for an identity token to a service without the POST form.
            Credential::Identity { token } => (None, Some(basic_header("<token>", token)?)),
            _ => (None, None),
        };
        let mut url = key.realm.clone();
        {
            let mut query = url.query_pairs_mut();
            if let Some(service) = &key.service {
                query.append_pair("service", service);
            }
            for scope in &key.scopes {
                query.append_pair("scope", scope);
            }
            if let Some(user) = user {
                query.append_pair("account", user);
            }
            query.append_pair("client_id", "supercargo");
        }
        let answer = self.transport.send(&Request::get(url), header.as_ref()).await?;
        self.read(answer).await
    }

    async fn read(&self, answer: super::answer::Answer) -> Result<Token> {
        if !answer.status().is_success() {
            let error = answer.into_error().await;
            return Err(if error.kind() == ErrorKind::Unauthorized {
                error.with_hint(format!(
                    "the token service did not accept the credentials; sign in again with: docker login {}",
                    self.host
                ))
            } else {
                error
            });
        }
        Token::parse(&answer.document(TOKEN_BODY).await?, Timestamp::now())
    }

    /// Refuses a token service that may not be sent `credential`.
    fn check_realm(&self, realm: &Url, credential: &Credential) -> Result<()> {
        let refuse = |why: &str| {
            Err(Error::new(ErrorKind::Refused, format!("sign in to {} at {}: {why}", self.host, redacted(realm))))
        };
        match realm.scheme() {
            "https" => {}
            "http" if self.base.scheme() == "http" => {}
            "http" => return refuse("a token service must be asked over https"),
            _ => return refuse("it is not a web address"),
        }
        if !realm.username().is_empty() || realm.password().is_some() {
            return refuse("the address has a user in it");
        }
        if credential.is_anonymous() || self.is_trusted(realm) {
            return Ok(());
        }
        let named = match realm.port() {
            Some(port) => format!("{}:{port}", realm.host_str().unwrap_or_default()),
            None => realm.host_str().unwrap_or_default().to_owned(),
        };
        refuse("credentials are not sent to a token service on another host").map_err(|error| {
            error.with_hint(format!("if that service belongs to the registry, name it: token-host={named}"))
        })
    }

    fn is_trusted(&self, realm: &Url) -> bool {
        let (Some(host), Some(home)) = (realm.host(), self.base.host()) else { return false };
        let same_port = realm.port_or_known_default() == self.base.port_or_known_default();
        if host == home && (same_port || self.transport.guard.is_inside()) {
            return true;
        }
        let https = realm.scheme() == "https" && realm.port_or_known_default() == Some(443);
        if let (Host::Domain(parent), Host::Domain(child)) = (&host, &home)
            && https
            && parent.contains('.')
            && child.strip_suffix(parent).is_some_and(|rest| rest.ends_with('.'))
        {
            return true;
        }
        if self.host.is_docker_hub() && https && realm.host_str() == Some("auth.docker.io") {
            return true;
        }
        let name = realm.host_str().unwrap_or_default();
        let with_port = format!("{name}:{}", realm.port_or_known_default().unwrap_or_default());
        self.token_hosts.iter().any(|named| named.eq_ignore_ascii_case(name) || named.eq_ignore_ascii_case(&with_port))
    }

    fn plain(&self, header: HeaderValue, credential: &Credential) -> Authorization {
        Authorization { header, identity: credential.identity(), token: None }
    }

    fn scheme(&self) -> Scheme {
        self.scheme.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set_scheme(&self, scheme: Scheme) {
        *self.scheme.write().unwrap_or_else(PoisonError::into_inner) = scheme;
    }

    /// Remembers what a registry wants beyond what a request was thought to need.
    fn learn(&self, scope: &Scope, mut scopes: Vec<String>) {
        let own = scope.text();
        scopes.retain(|wanted| Some(wanted) != own.as_ref());
        let mut learned = self.learned.lock().unwrap_or_else(PoisonError::into_inner);
        if scopes.is_empty() || learned.len() >= LEARNED {
            return;
        }
        learned.insert(scope.clone(), scopes);
    }

    fn learned(&self, scope: &Scope) -> Vec<String> {
        self.learned.lock().unwrap_or_else(PoisonError::into_inner).get(scope).cloned().unwrap_or_default()
    }

    /// The identity token, or the one that the service gave out in its place.
    fn current_identity(&self, key: &TokenKey, configured: &Secret) -> Secret {
        match &*self.rotated.lock().unwrap_or_else(PoisonError::into_inner) {
            Some((identity, token)) if *identity == key.identity => token.clone(),
            _ => configured.clone(),
        }
    }
}

/// The OAuth2 form of the token request (CNCF Distribution, *OAuth2 token authentication*).
fn exchange(key: &TokenKey, identity: &Secret) -> Result<Request> {
    let mut form = url::form_urlencoded::Serializer::new(String::new());
    form.append_pair("grant_type", "refresh_token");
    if let Some(service) = &key.service {
        form.append_pair("service", service);
    }
    for scope in &key.scopes {
        form.append_pair("scope", scope);
    }
    form.append_pair("client_id", "supercargo").append_pair("refresh_token", identity.expose());
    Ok(Request::new(Method::POST, key.realm.clone())
        .header(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"))
        .body(Bytes::from(form.finish())))
}

#[cfg(test)]
mod tests {
    use super::super::TransportConfig;
    use super::*;

    fn auth(host: &str, plain: bool, token_hosts: &[&str]) -> Auth {
        let host: RegistryHost = host.parse().unwrap();
        let base = host.base(if plain { "http" } else { "https" });
        let config = TransportConfig {
            token_hosts: token_hosts.iter().map(|host| (*host).to_owned()).collect(),
            ..TransportConfig::default()
        };
        let transport = Arc::new(Transport::new(&base, &config).unwrap());
        Auth::new(host, base, Arc::new(Credential::Anonymous), &config, transport)
    }

    #[test]
    fn whom_credentials_are_sent_to() {
        let check = |registry: &str, realm: &str, expected: bool| {
            let found = auth(registry, false, &["login.example.net", "sso.example.net:8443"])
                .check_realm(&Url::parse(realm).unwrap(), &Credential::basic("u", "p"));
            assert_eq!(found.is_ok(), expected, "{registry} to {realm}");
            if let Err(error) = found {
                assert_eq!(error.kind(), ErrorKind::Refused);
            }
        };
        check("registry.example.com", "https://registry.example.com/token", true);
        check("registry.example.com:5000", "https://registry.example.com:5000/token", true);
        check("registry.example.com:5000", "https://registry.example.com:5001/token", false);
        check("10.0.0.1:5000", "https://10.0.0.1:5001/token", true);
        check("registry.gitlab.com", "https://gitlab.com/jwt/auth", true);
        check("registry.gitlab.com", "https://gitlab.com:8443/jwt/auth", false);
        check("registry.gitlab.com", "https://com/jwt/auth", false);
        check("evilgitlab.com", "https://gitlab.com/jwt/auth", false);
        check("gitlab.com", "https://registry.gitlab.com/jwt/auth", false);
        check("docker.io", "https://auth.docker.io/token", true);
        check("docker.io", "https://auth.docker.io.evil.test/token", false);
        check("registry.example.com", "https://auth.docker.io/token", false);
        check("registry.example.com", "http://registry.example.com/token", false);
        check("registry.example.com", "https://login.example.net/token", true);
        check("registry.example.com", "http://login.example.net/token", false);
        check("registry.example.com", "https://sso.example.net:8443/token", true);
        check("registry.example.com", "https://sso.example.net/token", false);
        check("registry.example.com", "https://registry.example.com@evil.test/token", false);
        check("registry.example.com", "https://REGISTRY.Example.com/token", true);
        check("registry.example.com", "https://registry.example.com./token", false);
        check("registry.example.com", "https://registry.example.com:8443/token", false);
        check("registry.example.com", "https://registry.example.com.evil.test/token", false);
        check("registry.example.com", "https://registry.examp\u{4cf}e.com/token", false);
        check("registry.example.com", "https://registry\u{3002}example.com/token", true);
        check("registry.example.com", "https://example.com.evil.test/token", false);
        check("registry.example.com", "https://example.com/token", true);
        check("registry.example.com", "https://evil.test#registry.example.com/token", false);
        check("registry.example.com", "https://evil.test/registry.example.com", false);
        check("registry.example.com", "https://u:p@registry.example.com/token", false);
        check("registry.example.com", "ftp://registry.example.com/token", false);
        check("x.azurecr.io", "https://x.azurecr.io.evil.test/oauth2/token", false);
        check("1.dkr.ecr.us-east-1.amazonaws.com", "https://169.254.169.254/latest", false);
    }

    #[test]
    fn the_error_names_the_key() {
        let error = auth("registry.example.com", false, &[])
            .check_realm(
                &Url::parse("https://login.example.net:8443/token?x=y").unwrap(),
                &Credential::basic("u", "hunter2"),
            )
            .unwrap_err();
        assert_eq!(
            error.hint(),
            Some("if that service belongs to the registry, name it: token-host=login.example.net:8443")
        );
        assert!(!format!("{error:?}").contains("hunter2"));
        assert!(!error.to_string().contains("x=y"));
    }

    #[test]
    fn a_plain_registry_may_have_a_plain_token_service() {
        let auth = auth("127.0.0.1:5000", true, &[]);
        assert!(
            auth.check_realm(&Url::parse("http://127.0.0.1:5001/token").unwrap(), &Credential::basic("u", "p")).is_ok()
        );
        assert!(
            auth.check_realm(&Url::parse("http://localhost:5001/token").unwrap(), &Credential::basic("u", "p"))
                .is_err()
        );
    }
}
