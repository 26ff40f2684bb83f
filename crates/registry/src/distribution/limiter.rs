//! How many requests a host gets at a time, and when it wants none.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;
use url::Url;

/// Hosts that are remembered. Blob stores use many names; an idle one is forgotten first.
const HOSTS: usize = 256;

/// One bound for each host that is spoken to, the registry's own and those it redirects to.
#[derive(Debug)]
pub(crate) struct Limiter {
    concurrency: usize,
    hosts: Mutex<HashMap<String, Arc<Host>>>,
}

#[derive(Debug)]
struct Host {
    slots: Arc<Semaphore>,
    resume: Mutex<Option<Instant>>,
}

impl Limiter {
    pub(crate) fn new(concurrency: usize) -> Self {
        Self { concurrency: concurrency.max(1), hosts: Mutex::default() }
    }

    /// A slot at the host of `url`, once it has one and has not asked to be left alone. The slot is held for
    /// as long as the answer is read.
    pub(crate) async fn acquire(&self, url: &Url) -> OwnedSemaphorePermit {
        let host = self.host(url);
        let permit = Arc::clone(&host.slots).acquire_owned().await.expect("the semaphore is never closed");
        let resume = *host.resume.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(resume) = resume {
            tokio::time::sleep_until(resume).await;
        }
        permit
    }

    /// Lets every request to the host of `url` wait: one 429 speaks for all workers.
    pub(crate) fn pause(&self, url: &Url, wait: Duration) {
        let until = Instant::now() + wait;
        let host = self.host(url);
        let mut resume = host.resume.lock().unwrap_or_else(PoisonError::into_inner);
        *resume = Some(resume.map_or(until, |resume| resume.max(until)));
    }

    fn host(&self, url: &Url) -> Arc<Host> {
        let mut hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        if hosts.len() >= HOSTS {
            hosts.retain(|_, host| Arc::strong_count(host) > 1 || host.slots.available_permits() < self.concurrency);
        }
        let key = url.origin().ascii_serialization();
        let new = || Arc::new(Host { slots: Arc::new(Semaphore::new(self.concurrency)), resume: Mutex::default() });
        Arc::clone(hosts.entry(key).or_insert_with(new))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn hosts_are_bounded_and_paused_one_by_one() {
        let limiter = Limiter::new(1);
        let a = Url::parse("https://a.test/x").unwrap();
        let b = Url::parse("https://b.test/x").unwrap();
        let first = limiter.acquire(&a).await;
        drop(limiter.acquire(&b).await);
        assert!(tokio::time::timeout(Duration::from_secs(1), limiter.acquire(&a)).await.is_err());
        drop(first);

        limiter.pause(&a, Duration::from_secs(60));
        let start = Instant::now();
        drop(limiter.acquire(&b).await);
        assert_eq!(start.elapsed(), Duration::ZERO);
        drop(limiter.acquire(&a).await);
        assert!(start.elapsed() >= Duration::from_secs(60));
    }
}
