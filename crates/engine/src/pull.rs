//! Queues that are asked for events.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use supercargo_events::Source;
use supercargo_events::pull::{Message, PullError, PullSource};
use tracing::{debug, info, warn};

use crate::failure::chain;
use crate::shared::Shared;
use crate::{Backoff, Intake};

/// How long a queue that fails is left alone.
const PAUSE: Backoff = Backoff { base: Duration::from_secs(1), cap: Duration::from_secs(60) };

/// A queue, and how its messages are read.
pub struct Puller {
    name: String,
    source: Arc<dyn Source>,
    queue: Arc<dyn PullSource>,
    /// Its messages are an integration's, which is to hear of them.
    integration: bool,
}

impl Puller {
    /// Messages of `queue` that `source` reads, under `name`.
    pub fn new(name: impl Into<String>, source: Box<dyn Source>, queue: Arc<dyn PullSource>) -> Self {
        Self { name: name.into(), source: Arc::from(source), queue, integration: false }
    }

    /// The same queue for the integration of this name.
    pub(crate) fn for_integration(&self, name: &str) -> Self {
        let (source, queue) = (Arc::clone(&self.source), Arc::clone(&self.queue));
        Self { name: name.to_owned(), source, queue, integration: true }
    }
}

impl fmt::Debug for Puller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Puller").field("name", &self.name).field("queue", &self.queue).finish_non_exhaustive()
    }
}

/// Asks the queue for messages for as long as this is not dropped. Dropped at any point it loses nothing: a message
/// is acknowledged after its commit, and one that comes again is known by its key.
pub(crate) async fn pull(shared: Arc<Shared>, puller: Arc<Puller>) {
    let intake = Intake::new(shared);
    let mut failures = 0;
    info!(source = puller.name, "queue is asked for events");
    loop {
        match round(&intake, &puller).await {
            Ok(()) => failures = 0,
            Err(error) => {
                failures += 1;
                let pause = PAUSE.wait(failures);
                // Once loudly; a queue that stays away fails every minute.
                if failures == 1 || !error.is_retryable() {
                    warn!(source = puller.name, error = chain(&error), ?pause, "queue not read");
                } else {
                    debug!(source = puller.name, error = chain(&error), ?pause, "queue still not read");
                }
                tokio::time::sleep(pause).await;
            }
        }
    }
}

async fn round(intake: &Intake, puller: &Puller) -> Result<(), PullError> {
    let messages = puller.queue.receive().await?;
    if messages.is_empty() {
        return Ok(());
    }
    let stored = holding(puller, &messages, store(intake, puller, &messages)).await;
    if stored.len() < messages.len() {
        // They come again when their time is over.
        debug!(source = puller.name, messages = messages.len() - stored.len(), "messages left in the queue");
    }
    if stored.is_empty() {
        return Err(PullError::passing("store messages of a queue"));
    }
    let left = puller.queue.acknowledge(&stored).await?;
    if !left.is_empty() {
        debug!(source = puller.name, messages = left.len(), "messages not acknowledged; they come again and are known");
    }
    Ok(())
}

/// Stores the messages; those that were.
async fn store(intake: &Intake, puller: &Puller, messages: &[Message]) -> Vec<Message> {
    let one = async |message: &Message| match intake
        .receive_pulled(&puller.name, puller.source.as_ref(), &message.body, puller.integration)
        .await
    {
        Ok(_) => Some(message.clone()),
        Err(error) => {
            debug!(source = puller.name, message = message.id, error = chain(&error), "message not stored");
            None
        }
    };
    // Side by side, so that they share a commit.
    join_all(messages.iter().map(one)).await.into_iter().flatten().collect()
}

/// Keeps the messages ours while `work` goes on, however long the store takes.
async fn holding<T>(puller: &Puller, messages: &[Message], work: impl Future<Output = T>) -> T {
    let mut work = std::pin::pin!(work);
    loop {
        tokio::select! {
            done = &mut work => return done,
            () = tokio::time::sleep(puller.queue.visibility() / 2) => {
                if let Err(error) = puller.queue.extend(messages).await {
                    debug!(source = puller.name, error = chain(&error), "messages may come again");
                }
            }
        }
    }
}
