//! The token that the ECR API gives out for `/v2/`: kept, and renewed when half its life is over.

use std::fmt;
use std::future::Future;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;
use tracing::warn;

use crate::{Credential, Result};

/// How long a token is good (Amazon ECR API Reference, *GetAuthorizationToken*).
const LIFE: Duration = Duration::from_secs(12 * 3600);
/// How long before its end a token is no longer handed out: a request that it starts must be let in.
const MARGIN: Duration = Duration::from_secs(60);
/// How long a good token is handed out after a renewal failed, before the next is tried.
const PAUSE: Duration = Duration::from_secs(60);
/// A token younger than this is not the one that a late answer refused. Requests that an expired token sent side by
/// side are refused one after the other, and one new token is enough for all of them.
const YOUNG: Duration = Duration::from_secs(5);

/// A token as it was given out.
#[derive(Debug)]
pub(super) struct Issued {
    pub(super) credential: Credential,
    pub(super) life: Duration,
}

/// How long a token that ends at `expires_at` is good.
///
/// One that is over when it comes was not: then the clock of this machine, or of the service, is wrong. It is believed
/// to live as long as tokens do, and the registry says so if it does not.
pub(super) fn life(expires_at: Option<Timestamp>, now: Timestamp) -> Duration {
    let left = expires_at.map(|end| end.as_second().saturating_sub(now.as_second())).unwrap_or_default();
    match u64::try_from(left) {
        Ok(left) if left > 0 => Duration::from_secs(left).min(LIFE),
        _ => LIFE,
    }
}

/// The token that is held. Whoever needs a new one gets it for all who wait; while the old one is good, nobody waits.
#[derive(Default)]
pub(super) struct HeldToken {
    state: Mutex<State>,
    renewing: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct State {
    token: Option<Token>,
    refused_at: Option<Instant>,
    failed_at: Option<Instant>,
}

struct Token {
    credential: Credential,
    issued_at: Instant,
    life: Duration,
}

enum Age {
    /// In the first half of its life, or in the second after a renewal failed just now.
    Fresh(Credential),
    /// In the second half.
    Old(Credential),
    /// There is none, or it is over.
    Gone,
}

impl HeldToken {
    /// The token, by `issue` if a new one is due.
    ///
    /// # Errors
    /// Those of `issue`, if there is no old token that is still good.
    pub(super) async fn get(&self, issue: impl Future<Output = Result<Issued>>) -> Result<Credential> {
        let _turn = match self.age() {
            Age::Fresh(credential) => return Ok(credential),
            Age::Old(credential) => match self.renewing.try_lock() {
                Ok(turn) => turn,
                Err(_) => return Ok(credential),
            },
            Age::Gone => self.renewing.lock().await,
        };
        // Another may have renewed it while this one waited.
        let old = match self.age() {
            Age::Fresh(credential) => return Ok(credential),
            Age::Old(credential) => Some(credential),
            Age::Gone => None,
        };
        match (issue.await, old) {
            (Ok(Issued { credential, life }), _) => {
                let token = Token { credential: credential.clone(), issued_at: Instant::now(), life };
                let mut state = self.state();
                state.token = Some(token);
                state.failed_at = None;
                Ok(credential)
            }
            (Err(error), Some(old)) => {
                warn!(%error, "the registry token is not renewed; the one that is held is still good");
                self.state().failed_at = Some(Instant::now());
                Ok(old)
            }
            (Err(error), None) => Err(error),
        }
    }

    /// The registry refused the token: the next call gets a new one.
    pub(super) fn refuse(&self) {
        let mut state = self.state();
        if state.refused_at.is_some_and(|at| at.elapsed() < YOUNG) {
            return;
        }
        state.refused_at = Some(Instant::now());
        state.token = None;
    }

    fn age(&self) -> Age {
        let state = self.state();
        let Some(token) = &state.token else { return Age::Gone };
        let age = token.issued_at.elapsed();
        let credential = token.credential.clone();
        if age < token.life / 2 {
            Age::Fresh(credential)
        } else if age >= token.life.saturating_sub(MARGIN) {
            Age::Gone
        } else if state.failed_at.is_some_and(|at| at.elapsed() < PAUSE) {
            Age::Fresh(credential)
        } else {
            Age::Old(credential)
        }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for HeldToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HeldToken").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::time::advance;

    use super::*;
    use crate::{Error, ErrorKind};

    const HOUR: Duration = Duration::from_secs(3600);

    /// Gives out `token-1`, `token-2` and so on, or fails.
    #[derive(Default)]
    struct Service {
        issued: AtomicUsize,
        fails: std::sync::atomic::AtomicBool,
    }

    impl Service {
        async fn issue(&self) -> Result<Issued> {
            tokio::task::yield_now().await;
            let number = self.issued.fetch_add(1, Ordering::Relaxed) + 1;
            if self.fails.load(Ordering::Relaxed) {
                return Err(Error::new(ErrorKind::Unavailable, "issue a token"));
            }
            Ok(Issued { credential: Credential::basic("AWS", format!("token-{number}")), life: LIFE })
        }

        fn set_failing(&self, fails: bool) {
            self.fails.store(fails, Ordering::Relaxed);
        }
    }

    fn password(credential: &Credential) -> &str {
        let Credential::Basic { password, .. } = credential else { panic!("it is a pair") };
        password.expose()
    }

    async fn check(held: &HeldToken, service: &Service, expected: &str) {
        assert_eq!(password(&held.get(service.issue()).await.unwrap()), expected);
    }

    #[test]
    fn lives() {
        let now: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let check = |end: Option<&str>, expected: Duration| {
            assert_eq!(life(end.map(|end| end.parse().unwrap()), now), expected, "{end:?}");
        };
        check(Some("2026-01-01T12:00:00Z"), LIFE);
        check(Some("2026-01-01T01:00:00Z"), HOUR);
        // Clocks that are wrong, and an emulator's idea of a date.
        check(Some("2026-01-03T00:00:00Z"), LIFE);
        check(Some("2026-01-01T00:00:00Z"), LIFE);
        check(Some("2015-01-01T00:00:00Z"), LIFE);
        check(None, LIFE);
    }

    #[tokio::test(start_paused = true)]
    async fn a_token_is_renewed_at_half_its_life() {
        let (held, service) = (HeldToken::default(), Service::default());
        check(&held, &service, "token-1").await;
        advance(LIFE / 2 - Duration::from_secs(1)).await;
        check(&held, &service, "token-1").await;
        advance(Duration::from_secs(1)).await;
        check(&held, &service, "token-2").await;
        check(&held, &service, "token-2").await;
        assert_eq!(service.issued.load(Ordering::Relaxed), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn an_old_token_serves_while_none_can_be_had() {
        let (held, service) = (HeldToken::default(), Service::default());
        check(&held, &service, "token-1").await;
        service.set_failing(true);
        advance(7 * HOUR).await;
        check(&held, &service, "token-1").await;
        check(&held, &service, "token-1").await;
        assert_eq!(service.issued.load(Ordering::Relaxed), 2, "it is not asked again at once");
        advance(PAUSE).await;
        check(&held, &service, "token-1").await;
        assert_eq!(service.issued.load(Ordering::Relaxed), 3, "but after a while");
        advance(5 * HOUR).await;
        let error = held.get(service.issue()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable, "it is over");
        service.set_failing(false);
        check(&held, &service, "token-5").await;
    }

    #[tokio::test(start_paused = true)]
    async fn those_who_wait_share_one_token() {
        let (held, service) = (HeldToken::default(), Service::default());
        let first = futures_util::future::join_all((0..20).map(|_| held.get(service.issue()))).await;
        assert!(first.iter().all(|token| password(token.as_ref().unwrap()) == "token-1"));
        advance(7 * HOUR).await;
        let later = futures_util::future::join_all((0..20).map(|_| held.get(service.issue()))).await;
        assert_eq!(service.issued.load(Ordering::Relaxed), 2);
        let new = later.iter().filter(|token| password(token.as_ref().unwrap()) == "token-2").count();
        assert_eq!(new, 1, "the others do not wait for it");
    }

    #[tokio::test(start_paused = true)]
    async fn a_refused_token_is_replaced_once() {
        let (held, service) = (HeldToken::default(), Service::default());
        check(&held, &service, "token-1").await;
        held.refuse();
        check(&held, &service, "token-2").await;
        // Answers to requests that left with the first token.
        held.refuse();
        held.refuse();
        check(&held, &service, "token-2").await;
        advance(YOUNG).await;
        held.refuse();
        check(&held, &service, "token-3").await;
    }
}
