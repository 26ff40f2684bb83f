//! Queues that are asked for events.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use supercargo_events::Source;
use supercargo_events::pull::{Message, PullError, PullSource};
use tracing::{debug, info, warn};

use crate::failure::chain;
use crate::integration::QueueTrouble;
use crate::shared::Shared;
use crate::{Backoff, Error, ErrorKind, Intake};

/// How long a queue that fails is left alone.
const PAUSE: Backoff = Backoff { base: Duration::from_secs(1), cap: Duration::from_secs(60) };
/// A message that was handed out this often, a minute apart, and is still not stored, is not the store's bad hour.
const POISON: u32 = 5;

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

    /// Whether messages can be had.
    pub(crate) async fn check(&self) -> Result<(), PullError> {
        self.queue.check().await
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
    let intake = Intake::new(Arc::clone(&shared));
    let mut failures = 0;
    // What came is not taken back: that it can be read does not mend that.
    let mut is_deaf = false;
    info!(source = puller.name, "queue is asked for events");
    loop {
        match round(&intake, &puller).await {
            Ok(round) => {
                failures = 0;
                is_deaf &= round == Round::Empty;
                if puller.integration && !is_deaf {
                    shared.tracking.queue_works(&puller.name, shared.clock.now());
                }
            }
            Err(failure) => {
                failures += 1;
                is_deaf |= matches!(failure, Failure::Acknowledge(_));
                let error = match failure {
                    Failure::Store(error) => error,
                    Failure::Receive(error) | Failure::Acknowledge(error) => {
                        if puller.integration {
                            let (now, is_lasting) = (shared.clock.now(), !error.is_retryable());
                            let message = format!("failed to {}", chain(&error));
                            let trouble = QueueTrouble { since: now, last: now, is_lasting, message };
                            shared.tracking.queue_failed(&puller.name, trouble);
                        }
                        error
                    }
                };
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

/// What came of asking once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Round {
    Empty,
    DealtWith,
}

/// What went wrong: with the queue, or here.
enum Failure {
    Receive(PullError),
    Store(PullError),
    Acknowledge(PullError),
}

async fn round(intake: &Intake, puller: &Puller) -> Result<Round, Failure> {
    let messages = puller.queue.receive().await.map_err(Failure::Receive)?;
    if messages.is_empty() {
        return Ok(Round::Empty);
    }
    let (stored, renewed) = holding(puller, &messages, store(intake, puller, &messages)).await;
    let current = renewed.as_deref().unwrap_or(&messages);
    let stored: Vec<Message> =
        current.iter().zip(stored).filter(|(_, stored)| *stored).map(|(message, _)| message.clone()).collect();
    if stored.len() < messages.len() {
        // They come again when their time is over.
        debug!(source = puller.name, messages = messages.len() - stored.len(), "messages left in the queue");
    }
    if stored.is_empty() {
        return Err(Failure::Store(PullError::passing("store messages of a queue")));
    }
    let left = puller.queue.acknowledge(&stored).await.map_err(Failure::Acknowledge)?;
    if !left.is_empty() {
        debug!(source = puller.name, messages = left.len(), "messages not acknowledged; they come again and are known");
    }
    Ok(Round::DealtWith)
}

/// Stores the messages; whether each was.
async fn store(intake: &Intake, puller: &Puller, messages: &[Message]) -> Vec<bool> {
    let one = async |message: &Message| {
        let source = puller.source.as_ref();
        let error = match intake.receive_pulled(&puller.name, source, &message.body, puller.integration).await {
            Ok(_) => return true,
            Err(error) => error,
        };
        debug!(source = puller.name, message = message.id, error = chain(&error), "message not stored");
        let is_poison = message.receptions >= POISON && error.kind() == ErrorKind::Store;
        is_poison && set_aside(intake, puller, message, &error).await
    };
    // Side by side, so that they share a commit.
    join_all(messages.iter().map(one)).await
}

/// Keeps a message for the operator that comes again and again and cannot be stored as what it is. If the store takes
/// nothing at all, it does not take this either, and the message stays where it is.
async fn set_aside(intake: &Intake, puller: &Puller, message: &Message, error: &Error) -> bool {
    let reason = format!("handed out {} times and not stored: {}", message.receptions, chain(error));
    match intake.quarantine(&puller.name, &message.body, reason).await {
        Ok(_) => {
            warn!(source = puller.name, message = message.id, error = chain(error), "message set aside");
            true
        }
        Err(_) => false,
    }
}

/// Keeps the messages ours while `work` goes on, however long the store takes. The messages as they are to be
/// acknowledged then, if they had to be kept.
async fn holding<T>(puller: &Puller, messages: &[Message], work: impl Future<Output = T>) -> (T, Option<Vec<Message>>) {
    let mut work = std::pin::pin!(work);
    let mut renewed: Option<Vec<Message>> = None;
    loop {
        tokio::select! {
            done = &mut work => return (done, renewed),
            () = tokio::time::sleep(puller.queue.visibility() / 2) => {
                match puller.queue.extend(renewed.as_deref().unwrap_or(messages)).await {
                    Ok(kept) => renewed = Some(kept),
                    Err(error) => debug!(source = puller.name, error = chain(&error), "messages may come again"),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use async_trait::async_trait;
    use supercargo_events::{SourceConfig, build};

    use super::*;

    /// A queue that gives another receipt whenever a message is kept.
    #[derive(Debug, Default)]
    struct Renewing {
        kept: Mutex<Vec<String>>,
    }

    #[async_trait]
    impl PullSource for Renewing {
        async fn receive(&self) -> Result<Vec<Message>, PullError> {
            Ok(Vec::new())
        }

        async fn acknowledge(&self, _: &[Message]) -> Result<Vec<Message>, PullError> {
            Ok(Vec::new())
        }

        async fn extend(&self, messages: &[Message]) -> Result<Vec<Message>, PullError> {
            self.kept.lock().unwrap().extend(messages.iter().map(|message| message.receipt.clone()));
            let renew = |message: &Message| Message { receipt: format!("{}+", message.receipt), ..message.clone() };
            Ok(messages.iter().map(renew).collect())
        }

        async fn check(&self) -> Result<(), PullError> {
            Ok(())
        }

        fn visibility(&self) -> Duration {
            Duration::from_secs(60)
        }
    }

    #[tokio::test(start_paused = true)]
    async fn messages_are_kept_with_the_receipt_that_counts() {
        let queue = Arc::new(Renewing::default());
        let source = build("distribution", SourceConfig::new([]).opened()).unwrap();
        let puller = Puller::new("queue", source, queue.clone());
        let message = Message { id: "1".to_owned(), receipt: "r".to_owned(), body: Vec::new(), receptions: 1 };
        let work = async |seconds| tokio::time::sleep(Duration::from_secs(seconds)).await;

        let (_, renewed) = holding(&puller, std::slice::from_ref(&message), work(20)).await;
        assert!(renewed.is_none() && queue.kept.lock().unwrap().is_empty(), "a commit takes no time");
        let (_, renewed) = holding(&puller, std::slice::from_ref(&message), work(100)).await;
        assert_eq!(*queue.kept.lock().unwrap(), ["r", "r+", "r++"], "every half a minute, by the receipt of before");
        assert_eq!(renewed.unwrap()[0].receipt, "r+++");
    }
}
