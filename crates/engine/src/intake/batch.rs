//! Many deliveries, one commit.
//!
//! A commit that is durable waits for the disk, some milliseconds each, and the store has one writer. So deliveries
//! that arrive while a commit is under way wait together and are written by the next one. Each sender is answered
//! after the commit that has its delivery, never before; when too many wait, the next is turned away at once.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use supercargo_store::{Arrival, Arrived, Store};
use tokio::sync::oneshot;

use crate::{Error, ErrorKind, Result};

/// Deliveries that may wait. At 2 000 a second this is half a second, which no sender's patience is shorter than.
const WAITING: usize = 1024;
/// Bytes that may wait: with what is under way, the memory that a burst takes.
const WAITING_BYTES: usize = 32 << 20;
/// Deliveries of one commit: enough to hide the disk, few enough that claims of workers come in between.
const COMMIT: usize = 256;
/// Bytes of one commit.
const COMMIT_BYTES: usize = 4 << 20;

const OPERATION: &str = "store a delivery";

/// Deliveries on their way to the store.
#[derive(Debug)]
pub(crate) struct Batcher {
    store: Arc<dyn Store>,
    waiting: Mutex<Waiting>,
}

#[derive(Debug, Default)]
struct Waiting {
    items: VecDeque<Item>,
    bytes: usize,
    /// Somebody writes, and looks for more when done.
    writing: bool,
}

#[derive(Debug)]
struct Item {
    arrival: Arrival,
    bytes: usize,
    answer: oneshot::Sender<Result<Arrived>>,
}

impl Batcher {
    pub(crate) fn new(store: Arc<dyn Store>) -> Arc<Self> {
        Arc::new(Self { store, waiting: Mutex::default() })
    }

    /// Stores a delivery together with others that arrive now. A caller that is dropped meanwhile has its delivery
    /// stored all the same.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Overloaded`] if too many wait; [`ErrorKind::Store`].
    pub(crate) async fn store(self: &Arc<Self>, arrival: Arrival) -> Result<Arrived> {
        let (answer, answered) = oneshot::channel();
        let bytes = size(&arrival);
        {
            let mut waiting = self.lock();
            if waiting.items.len() >= WAITING || (waiting.bytes > 0 && waiting.bytes + bytes > WAITING_BYTES) {
                return Err(Error::new(ErrorKind::Overloaded, "store a delivery: too many are waiting"));
            }
            waiting.bytes += bytes;
            waiting.items.push_back(Item { arrival, bytes, answer });
            if !waiting.writing {
                waiting.writing = true;
                // A task of its own, so that the first of a batch may be dropped without the others being left.
                tokio::spawn(Arc::clone(self).write());
            }
        }
        // The writer drops the other end only if it panicked.
        answered.await.unwrap_or_else(|_| Err(Error::new(ErrorKind::Store, "store a delivery: the writer failed")))
    }

    /// Writes until nothing waits.
    async fn write(self: Arc<Self>) {
        let _unstuck = Unstuck(&self);
        while let Some(batch) = self.next() {
            self.commit(batch).await;
        }
    }

    /// What the next commit has; `None` ends the writer, under the lock that the next arrival takes.
    fn next(&self) -> Option<Vec<Item>> {
        let mut waiting = self.lock();
        let mut batch: Vec<Item> = Vec::new();
        let mut bytes = 0;
        while let Some(item) = waiting.items.front()
            && batch.len() < COMMIT
            && (batch.is_empty() || bytes + item.bytes <= COMMIT_BYTES)
        {
            bytes += item.bytes;
            batch.extend(waiting.items.pop_front());
        }
        waiting.bytes -= bytes;
        if batch.is_empty() {
            waiting.writing = false;
            return None;
        }
        Some(batch)
    }

    async fn commit(&self, batch: Vec<Item>) {
        let (mut answers, mut arrivals) = (Vec::with_capacity(batch.len()), Vec::with_capacity(batch.len()));
        for Item { arrival, answer, .. } in batch {
            answers.push(answer);
            arrivals.push(arrival);
        }
        let again = if arrivals.len() > 1 { arrivals.clone() } else { Vec::new() };
        match self.store.accept_many(arrivals).await {
            Ok(arrived) => {
                for (answer, arrived) in answers.into_iter().zip(arrived) {
                    // Whoever is gone has its delivery stored.
                    let _ = answer.send(Ok(arrived));
                }
            }
            // One of them may be what the store cannot take; the others shall not suffer for it.
            Err(error) if !error.is_retryable() && !again.is_empty() => {
                for (answer, arrival) in answers.into_iter().zip(again) {
                    let one = self.store.accept_many(vec![arrival]).await;
                    let one = one.map(|mut arrived| arrived.remove(0));
                    let _ = answer.send(one.map_err(|error| Error::store(OPERATION, error)));
                }
            }
            Err(error) => {
                let error = Arc::new(error);
                for answer in answers {
                    let _ = answer.send(Err(Error::shared(OPERATION, Arc::clone(&error))));
                }
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        // Nothing under it can panic half-way.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Lets the next arrival start a writer if this one ended by a panic.
struct Unstuck<'a>(&'a Batcher);

impl Drop for Unstuck<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let mut waiting = self.0.lock();
            waiting.writing = false;
            // Their senders are told that it failed, and repeat them.
            waiting.items.clear();
            waiting.bytes = 0;
        }
    }
}

/// What an arrival takes in memory, nearly.
fn size(arrival: &Arrival) -> usize {
    arrival.event.body.len() + 1024 + arrival.parts.len() * 512
}
