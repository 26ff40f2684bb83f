//! A sink that keeps what it is told, and refuses it when it is to.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use supercargo_engine::{Consignment, Error, ErrorKind, News, Order, Outcome, Preview, Result, Sink, SinkCapabilities};
use supercargo_registry::Digest;
use tokio::sync::Semaphore;

#[derive(Debug)]
pub(crate) struct Recorder {
    arrived: Mutex<Vec<Consignment>>,
    /// Calls, whatever became of them.
    pub(crate) calls: AtomicUsize,
    /// Every call fails like this.
    pub(crate) away: Mutex<Option<(ErrorKind, Option<Duration>)>>,
    /// Calls about these images fail like this.
    pub(crate) poison: Mutex<HashMap<Digest, ErrorKind>>,
    /// Calls after which the answer is lost: it has arrived, and nobody knows.
    pub(crate) cut: AtomicUsize,
    /// A permit per call; without any, calls wait.
    pub(crate) gate: Semaphore,
    /// Calls that wait or run, and the most there were.
    busy: AtomicUsize,
    pub(crate) most: AtomicUsize,
    order: Order,
}

impl Recorder {
    pub(crate) fn new() -> Arc<Self> {
        Self::with(Semaphore::MAX_PERMITS, Order::Image)
    }

    pub(crate) fn closed() -> Arc<Self> {
        Self::with(0, Order::Image)
    }

    pub(crate) fn with(permits: usize, order: Order) -> Arc<Self> {
        Arc::new(Self {
            arrived: Mutex::default(),
            calls: AtomicUsize::new(0),
            away: Mutex::default(),
            poison: Mutex::default(),
            cut: AtomicUsize::new(0),
            gate: Semaphore::new(permits),
            busy: AtomicUsize::new(0),
            most: AtomicUsize::new(0),
            order,
        })
    }

    pub(crate) fn set_away(&self, away: Option<(ErrorKind, Option<Duration>)>) {
        *self.away.lock().unwrap() = away;
    }

    pub(crate) fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }

    pub(crate) fn arrived(&self) -> Vec<Consignment> {
        self.arrived.lock().unwrap().clone()
    }

    /// What arrived, in words: `+repository tag,tag` for what is there, `-repository tag` for what is gone.
    pub(crate) fn told(&self) -> Vec<String> {
        let word = |consignment: &Consignment| {
            let repository = &consignment.repository.repository;
            match &consignment.news {
                News::Indexed(image) => format!("+{repository} {}", image.tags.join(",")),
                News::Gone(gone) => match &gone.tag {
                    Some(tag) => format!("-{repository} {tag}"),
                    None => format!("-{repository} [{}]", gone.tags.join(",")),
                },
            }
        };
        self.arrived.lock().unwrap().iter().map(word).collect()
    }
}

#[async_trait]
impl Sink for Recorder {
    fn kind(&self) -> &'static str {
        "recorder"
    }

    fn capabilities(&self) -> SinkCapabilities {
        SinkCapabilities { gone: true, order: self.order }
    }

    async fn deliver(&self, consignment: &Consignment) -> Result<Outcome> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        let busy = self.busy.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(busy, Ordering::SeqCst);
        let permit = self.gate.acquire().await.unwrap();
        permit.forget();
        self.busy.fetch_sub(1, Ordering::SeqCst);
        let away = *self.away.lock().unwrap();
        let poison = self.poison.lock().unwrap().get(&consignment.digest).copied();
        if let Some((kind, wait)) = away.or(poison.map(|kind| (kind, None))) {
            return Err(Error::new(kind, "tell the recorder").with_retry_after(wait));
        }
        self.arrived.lock().unwrap().push(consignment.clone());
        if self.cut.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok() {
            return Err(Error::new(ErrorKind::Unreachable, "tell the recorder: the connection broke"));
        }
        Ok(Outcome::Delivered)
    }

    fn preview(&self, _consignment: &Consignment) -> Result<Preview> {
        Ok(Preview { target: "the recorder".to_owned(), body: "{}".into() })
    }
}
