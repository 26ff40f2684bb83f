//! From who we are to what the registry takes: given credentials, or a token of Entra's that is exchanged for a
//! refresh token of the registry's (Azure/acr, `docs/AAD-OAuth.md`).

use std::sync::{Arc, Mutex as StdMutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use serde::Deserialize;
use tokio::sync::Mutex;
use tokio::time::Instant;
use tracing::{info, warn};

use super::chain::{Account, Chain, Failure};
use super::hint;
use super::options::AzureIdentity;
use crate::credential::{Credential, CredentialProvider};
use crate::distribution::{DistributionClient, jwt_claims, jwt_expiry};
use crate::secret::Secret;
use crate::{Error, ErrorKind, RegistryHost, Result};

/// The user of `docker login` with a token of the registry's in place of a password.
pub(super) const NULL_USER: &str = "00000000-0000-0000-0000-000000000000";
/// A refresh token is renewed this much before it ends, and in the second half of its life at the earliest.
const EARLY: Duration = Duration::from_secs(5 * 60);
/// Life of a refresh token that does not say; real ones say three hours.
const UNSAID: Duration = Duration::from_secs(10 * 60);
/// How long nobody being signed in is taken for a fact. `az login` is taken up after that.
const NOBODY: Duration = Duration::from_secs(5 * 60);
/// How long a failure speaks for everyone who waits for the same token.
const FAILED: Duration = Duration::from_secs(5);

/// How we are signed in, for messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum SignedIn {
    /// By what was given: a name and a password, or a token.
    Given,
    /// As an identity of Entra's, by this way.
    Entra(&'static str),
    /// Not at all, and what was tried.
    Nobody(Account),
    /// An identity was to sign in and could not; the error says why.
    Failed,
}

/// The credentials of one registry.
#[derive(Debug)]
pub(super) struct AcrCredentials {
    given: Arc<dyn CredentialProvider>,
    identity: AzureIdentity,
    chain: Option<Chain>,
    tenant: Option<String>,
    service: String,
    /// Knows no credentials: the exchange carries its own.
    exchange: DistributionClient,
    kept: Mutex<Kept>,
    signed_in: StdMutex<SignedIn>,
}

#[derive(Debug, Default)]
enum Kept {
    #[default]
    Nothing,
    Token {
        token: Secret,
        renew: Instant,
        end: Instant,
    },
    Nobody {
        until: Instant,
    },
    Failed {
        until: Instant,
        failure: Refused,
    },
}

/// A failure that several may be told.
#[derive(Clone, Debug)]
struct Refused {
    kind: ErrorKind,
    message: String,
    hint: Option<String>,
    account: Option<Account>,
    retry_after: Option<Duration>,
}

impl AcrCredentials {
    pub(super) fn new(
        given: Arc<dyn CredentialProvider>,
        identity: AzureIdentity,
        chain: Option<Chain>,
        tenant: Option<String>,
        service: String,
        exchange: DistributionClient,
    ) -> Self {
        Self {
            given,
            identity,
            chain,
            tenant,
            service,
            exchange,
            kept: Mutex::default(),
            signed_in: StdMutex::new(SignedIn::Nobody(Account::default())),
        }
    }

    /// The registry's name towards its token service.
    pub(super) fn service(&self) -> &str {
        &self.service
    }

    /// How we are signed in, as far as it was tried.
    pub(super) fn signed_in(&self) -> SignedIn {
        self.signed_in.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn note(&self, now: SignedIn) {
        *self.signed_in.lock().unwrap_or_else(PoisonError::into_inner) = now;
    }

    /// What was given for the registry, unless an identity was named, or it is over.
    async fn given(&self, host: &RegistryHost) -> Result<Option<Credential>> {
        if !matches!(self.identity, AzureIdentity::Auto | AzureIdentity::None) {
            return Ok(None);
        }
        let credential = match self.given.credential(host).await? {
            Credential::Anonymous => return Ok(None),
            Credential::Basic { username, password } if username == NULL_USER => of_login(password),
            given => given,
        };
        if let Credential::Identity { token } = &credential
            && self.chain.is_some()
            && jwt_expiry(token.expose()).is_some_and(|end| end <= Timestamp::now().as_second())
        {
            // `az acr login` leaves it behind, and it ends after three hours.
            warn!(%host, "the token that docker login left has run out; another identity is looked for");
            return Ok(None);
        }
        Ok(Some(credential))
    }

    async fn of_entra(&self, chain: &Chain) -> Result<Credential> {
        // The lock is held while the token is fetched: many workers start at once, and one exchange is enough.
        let mut kept = self.kept.lock().await;
        let now = Instant::now();
        match &*kept {
            Kept::Token { token, renew, .. } if now < *renew => return Ok(identity(token)),
            Kept::Nobody { until } if now < *until => return Ok(Credential::Anonymous),
            Kept::Failed { until, failure } if now < *until => {
                self.note(SignedIn::Failed);
                return Err(failure.to_error());
            }
            _ => {}
        }
        let outcome = match chain.token().await {
            Ok(found) => {
                self.exchange(&found.token).await.map(|token| (token, found.way)).map_err(|error| Refused::of(&error))
            }
            Err(Failure { is_meant: false, account, .. }) if self.identity == AzureIdentity::Auto => {
                self.note(SignedIn::Nobody(account));
                *kept = Kept::Nobody { until: now + NOBODY };
                return Ok(Credential::Anonymous);
            }
            Err(failure) => Err(Refused { account: Some(failure.account.clone()), ..Refused::of(&failure.to_error()) }),
        };
        match outcome {
            Ok((token, way)) => {
                if self.signed_in() != SignedIn::Entra(way) {
                    info!(registry = %self.service, identity = way, "signed in with Microsoft Entra");
                    self.note(SignedIn::Entra(way));
                }
                let life = life(&token);
                *kept = Kept::Token {
                    token: token.clone(),
                    renew: now + life.saturating_sub(EARLY.min(life / 2)),
                    end: now + life,
                };
                Ok(identity(&token))
            }
            Err(failure) => {
                if let Kept::Token { token, end, renew } = &mut *kept
                    && now < *end
                {
                    let error = failure.to_error();
                    warn!(registry = %self.service, %error, "a token is not renewed yet; the old one is still good");
                    *renew = now + FAILED;
                    return Ok(identity(token));
                }
                let error = failure.to_error();
                *kept = Kept::Failed { until: now + FAILED, failure };
                self.note(SignedIn::Failed);
                Err(error)
            }
        }
    }

    /// `POST /oauth2/exchange`: the registry's refresh token for a token of Entra's.
    async fn exchange(&self, token: &Secret) -> Result<Secret> {
        #[derive(Deserialize)]
        struct Claims {
            tid: Option<String>,
        }
        #[derive(Deserialize)]
        struct Answer {
            refresh_token: String,
        }
        let told = || jwt_claims::<Claims>(token.expose()).and_then(|claims| claims.tid);
        let tenant = self.tenant.clone().or_else(told);
        let mut fields = vec![("grant_type", "access_token"), ("service", &*self.service)];
        fields.extend(tenant.as_deref().map(|tenant| ("tenant", tenant)));
        fields.push(("access_token", token.expose()));
        let asked = self.exchange.post_form("/oauth2/exchange", &fields).await.map_err(hint::of_exchange);
        let read = |bytes: bytes::Bytes| {
            let answer: Answer = serde_json::from_slice(&bytes)
                .map_err(|_| Error::new(ErrorKind::Malformed, "read the refresh token: there is none"))?;
            Ok(Secret::from(answer.refresh_token))
        };
        asked
            .and_then(read)
            .map_err(|error| error.during(format_args!("exchange the token of Microsoft Entra at {}", self.service)))
    }
}

#[async_trait]
impl CredentialProvider for AcrCredentials {
    async fn credential(&self, host: &RegistryHost) -> Result<Credential> {
        if let Some(credential) = self.given(host).await? {
            self.note(SignedIn::Given);
            return Ok(credential);
        }
        match &self.chain {
            Some(chain) => self.of_entra(chain).await,
            None => {
                self.note(SignedIn::Nobody(Account::default()));
                Ok(Credential::Anonymous)
            }
        }
    }

    async fn renew(&self, host: &RegistryHost) -> Result<()> {
        *self.kept.lock().await = Kept::Nothing;
        self.given.renew(host).await
    }
}

impl Refused {
    fn of(error: &Error) -> Self {
        Self {
            kind: error.kind(),
            message: error.to_string(),
            hint: error.hint().map(str::to_owned),
            account: None,
            retry_after: error.retry_after(),
        }
    }

    fn to_error(&self) -> Error {
        let mut error = Error::new(self.kind, self.message.clone()).with_retry_after(self.retry_after);
        if let Some(hint) = &self.hint {
            error = error.with_hint(hint.clone());
        }
        match &self.account {
            Some(account) => error.with_source(account.clone()),
            None => error,
        }
    }
}

fn identity(token: &Secret) -> Credential {
    Credential::Identity { token: token.clone() }
}

/// What `docker login` was given with the null user: a refresh token, or, for a script, an access token.
fn of_login(token: Secret) -> Credential {
    #[derive(Deserialize)]
    struct Claims {
        grant_type: Option<String>,
    }
    let grant = jwt_claims::<Claims>(token.expose()).and_then(|claims| claims.grant_type);
    if grant.as_deref() == Some("access_token") { Credential::Bearer { token } } else { Credential::Identity { token } }
}

fn life(token: &Secret) -> Duration {
    let Some(end) = jwt_expiry(token.expose()) else { return UNSAID };
    Duration::from_secs(u64::try_from(end.saturating_sub(Timestamp::now().as_second())).unwrap_or_default())
}
