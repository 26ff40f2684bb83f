//! One suite, all stores.

use std::sync::Arc;

use supercargo_store::conformance::{self, Subject};
use supercargo_store::{ClockOffset, MemoryStore};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn memory() {
    conformance::run(|| async {
        let clock = ClockOffset::default();
        Subject { store: Arc::new(MemoryStore::with_clock(clock.clone())), clock }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sqlite() {
    let directory = tempfile::tempdir().unwrap();
    let next = std::sync::atomic::AtomicU32::new(0);
    conformance::run(|| async {
        let clock = ClockOffset::default();
        let own = directory.path().join(next.fetch_add(1, std::sync::atomic::Ordering::Relaxed).to_string());
        std::fs::create_dir(&own).unwrap();
        Subject { store: Arc::new(crate::open(&own, &clock).await), clock }
    })
    .await;
}
