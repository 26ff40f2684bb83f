//! Care with passwords.
//!
//! Artifactory suspends sign-ins and locks users after a few wrong passwords, Nexus answers 429 to the right one too,
//! and a company's directory behind them locks the account everywhere. A watcher has many workers and tries again for
//! ever, so a password that changed must not be sent by each of them, and not each minute.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::Instant;

use crate::credential::{Credential, CredentialProvider};
use crate::distribution::DistributionClient;
use crate::{Error, ErrorKind, RegistryHost, Result};

/// How long a refused credential is held back first; twice as long after each further refusal.
const PAUSE: Duration = Duration::from_secs(120);
/// It is not held back for longer. A server that was wrong about it is believed after this at the latest, and five
/// times in half an hour stays below what directories lock an account for.
const LONGEST_PAUSE: Duration = Duration::from_secs(15 * 60);

/// A provider that hands out no credential which was refused a moment ago.
#[derive(Debug)]
pub(crate) struct Careful {
    inner: Arc<dyn CredentialProvider>,
    state: Mutex<State>,
    /// Credentials that were accepted once. Held while the first request with a credential is on its way.
    proven: tokio::sync::Mutex<HashSet<String>>,
}

#[derive(Debug, Default)]
struct State {
    /// The identity that was handed out last for the registry.
    registry: String,
    refused: HashMap<String, Refusal>,
}

#[derive(Debug)]
struct Refusal {
    until: Instant,
    pause: Duration,
}

impl Careful {
    pub(crate) fn new(inner: Arc<dyn CredentialProvider>) -> Arc<Self> {
        Arc::new(Self { inner, state: Mutex::default(), proven: tokio::sync::Mutex::default() })
    }

    /// Lets one request with a credential through, and all others once that one was not refused. `probe` is the one;
    /// `None` if it was not needed.
    pub(crate) async fn prove<T>(
        &self,
        credential: &Credential,
        probe: impl Future<Output = Result<T>>,
    ) -> Option<Result<T>> {
        if credential.is_anonymous() {
            return None;
        }
        let identity = credential.identity();
        let mut proven = self.proven.lock().await;
        if proven.contains(&identity) {
            return None;
        }
        // Whoever waited for the lock may have waited for a refusal.
        if let Some(error) = self.held_back(&identity) {
            return Some(Err(error));
        }
        let outcome = probe.await;
        match &outcome {
            Err(error) if error.kind() == ErrorKind::Unauthorized => self.hold_back(identity),
            Err(error) if leaves_open(error) => {}
            // Whatever else is wrong, the password is not.
            _ => {
                proven.insert(identity);
            }
        }
        Some(outcome)
    }

    /// The same for what pulls: asks the registry once whether it takes its credential, before all workers do.
    ///
    /// # Errors
    /// Those of the request that leave open whether the credential is good.
    pub(crate) async fn prove_at(&self, client: &DistributionClient) -> Result<()> {
        let credential = self.credential(client.host()).await?;
        match self.prove(&credential, client.check()).await {
            Some(Err(error)) if leaves_open(&error) => Err(error),
            _ => Ok(()),
        }
    }

    /// Notes that `credential` was refused.
    pub(crate) async fn refuse(&self, host: &RegistryHost, credential: &Credential) -> Result<()> {
        self.hold_back(credential.identity());
        self.inner.renew(host).await
    }

    fn hold_back(&self, identity: String) {
        if identity.is_empty() {
            return;
        }
        let mut state = self.lock();
        let now = Instant::now();
        let pause = match state.refused.get(&identity) {
            // Requests that were on their way together are one refusal.
            Some(refusal) if refusal.until > now => return,
            Some(refusal) => (refusal.pause * 2).min(LONGEST_PAUSE),
            None => PAUSE,
        };
        state.refused.insert(identity, Refusal { until: now + pause, pause });
    }

    /// The error for a credential that was refused a moment ago.
    fn held_back(&self, identity: &str) -> Option<Error> {
        let state = self.lock();
        let wait =
            state.refused.get(identity)?.until.checked_duration_since(Instant::now()).filter(|wait| !wait.is_zero())?;
        let minutes = wait.as_secs().div_ceil(60);
        let message =
            format!("sign in: the server refused these credentials; they are not sent again for {minutes} min");
        let error = Error::new(ErrorKind::Unauthorized, message);
        Some(error.with_hint("give others; the same ones over and over would get the account locked"))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether an error says nothing about the password, or that it is wrong.
fn leaves_open(error: &Error) -> bool {
    error.kind() == ErrorKind::Unauthorized || error.is_retryable()
}

#[async_trait]
impl CredentialProvider for Careful {
    async fn credential(&self, host: &RegistryHost) -> Result<Credential> {
        let credential = self.inner.credential(host).await?;
        let identity = credential.identity();
        if let Some(error) = self.held_back(&identity) {
            return Err(error);
        }
        self.lock().registry = identity;
        Ok(credential)
    }

    async fn api_credential(&self, host: &RegistryHost) -> Result<Credential> {
        let credential = self.inner.api_credential(host).await?;
        match self.held_back(&credential.identity()) {
            Some(error) => Err(error),
            None => Ok(credential),
        }
    }

    async fn renew(&self, host: &RegistryHost) -> Result<()> {
        let identity = self.lock().registry.clone();
        self.hold_back(identity);
        self.inner.renew(host).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives the password that is in it.
    #[derive(Debug, Default)]
    struct Changing(Mutex<String>);

    #[async_trait]
    impl CredentialProvider for Changing {
        async fn credential(&self, _host: &RegistryHost) -> Result<Credential> {
            Ok(Credential::basic("user", self.0.lock().unwrap().as_str()))
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_refused_password_is_held_back_and_another_is_not() {
        let host: RegistryHost = "registry.test".parse().unwrap();
        let source = Arc::new(Changing::default());
        let careful = Careful::new(Arc::clone(&source) as Arc<dyn CredentialProvider>);
        let held = |error: &Error| assert_eq!((error.kind(), error.is_retryable()), (ErrorKind::Unauthorized, false));

        careful.credential(&host).await.unwrap();
        careful.renew(&host).await.unwrap();
        held(&careful.credential(&host).await.unwrap_err());
        held(&careful.api_credential(&host).await.unwrap_err());

        "another".clone_into(&mut source.0.lock().unwrap());
        let another = careful.api_credential(&host).await.unwrap();
        careful.refuse(&host, &another).await.unwrap();
        held(&careful.credential(&host).await.unwrap_err());

        // The first comes back after two minutes, and is held back for four when it is refused again.
        source.0.lock().unwrap().clear();
        tokio::time::sleep(PAUSE).await;
        careful.credential(&host).await.unwrap();
        careful.renew(&host).await.unwrap();
        tokio::time::sleep(PAUSE).await;
        held(&careful.credential(&host).await.unwrap_err());
        tokio::time::sleep(PAUSE).await;
        careful.credential(&host).await.unwrap();
    }

    #[tokio::test]
    async fn one_request_proves_a_password_for_all() {
        let careful = Careful::new(Arc::new(Credential::Anonymous));
        let answer = |kind| async move { Err::<(), _>(Error::new(kind, "no")) };
        let wrong = Credential::basic("user", "wrong");
        assert!(careful.prove(&wrong, answer(ErrorKind::Unauthorized)).await.is_some());
        let held_back = careful.prove(&wrong, async { unreachable!("it was refused") }).await.unwrap();
        let held_back: Result<()> = held_back;
        assert!(held_back.unwrap_err().to_string().contains("not sent again"));

        let credential = Credential::basic("user", "pass");
        assert!(careful.prove(&credential, answer(ErrorKind::Network)).await.is_some());
        // Not to be allowed something is to be known.
        assert!(careful.prove(&credential, answer(ErrorKind::Denied)).await.is_some());
        assert!(careful.prove(&credential, answer(ErrorKind::Network)).await.is_none());
        assert!(careful.prove(&Credential::Anonymous, answer(ErrorKind::Network)).await.is_none());
    }
}
