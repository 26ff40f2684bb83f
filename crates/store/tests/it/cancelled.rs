//! Futures that are dropped at every point where they wait.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use supercargo_store::conformance::fixture::{digest, image, openssl, push, repository};
use supercargo_store::{Change, Claim, ClockOffset, Page, PlaceFilter, Store};

/// Polls `work` up to `times` times, with a chance for its other threads in between, and drops it.
async fn drop_after<T>(times: u32, work: impl Future<Output = T>) -> Option<T> {
    let mut work = pin!(work);
    for _ in 0..times {
        if let Poll::Ready(value) = work.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            return Some(value);
        }
        std::thread::yield_now();
        tokio::task::yield_now().await;
    }
    None
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dropped_write_is_whole_or_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let store = crate::open(directory.path(), &ClockOffset::default()).await;
    for round in 1..60 {
        let name = repository(&format!("app{round}"));
        let seen =
            |tag: String| Change::TagSeen { repository: name.clone(), tag, digest: digest(round), pushed_at: None };
        let mut changes: Vec<_> = (0..20).map(|number| seen(number.to_string())).collect();
        changes.push(Change::Image { repository: name.clone(), metadata: Box::new(image(round, vec![openssl("1")])) });
        changes.push(Change::Enqueue(push(&round.to_string())));
        drop_after(round, store.apply(changes)).await;

        // Whatever became of it, the next write finds no open transaction.
        crate::within_a_minute(store.check()).await.unwrap();
        let tags = store.tags(&PlaceFilter::repository(&name), &Page::default()).await.unwrap().items.len();
        let image = store.image(&digest(round)).await.unwrap();
        assert!(matches!((tags, image.is_some()), (20, true) | (0, false)), "round {round}: {tags} tags");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dropped_claim_gives_its_jobs_back() {
    let directory = tempfile::tempdir().unwrap();
    let store = crate::open(directory.path(), &ClockOffset::default()).await;
    let claim = Claim::new("worker", Duration::from_secs(3600));
    for round in 0..60 {
        store.enqueue(vec![push(&round.to_string())]).await.unwrap();
        let claimed = drop_after(round, store.claim(&claim)).await;
        let mut jobs = claimed.map(Result::unwrap).unwrap_or_default();
        crate::within_a_minute(async {
            while jobs.is_empty() {
                jobs = store.claim(&claim).await.unwrap();
                if jobs.is_empty() {
                    store.wait_for_work(Duration::from_secs(1)).await.unwrap();
                }
            }
        })
        .await;
        assert_eq!(jobs[0].attempt, 1, "round {round}: a claim that nobody received is no attempt");
        store.complete(jobs[0].lease, Vec::new()).await.unwrap();
    }
}
