//! Queues that are asked for messages, for installations that no registry can reach.
//!
//! A [`PullSource`] hands out messages and takes them back by name once they are stored; what is never acknowledged
//! comes again. What a message says is the business of a [`Source`](crate::Source), by
//! [`receive_trusted`](crate::Source::receive_trusted): who may write to the queue is decided where the queue is.

#[cfg(feature = "azure-queue")]
mod azure;
#[cfg(feature = "sqs")]
mod connector;
#[cfg(any(feature = "azure-queue", feature = "sqs"))]
mod http;
#[cfg(feature = "sqs")]
mod sqs;

use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

use async_trait::async_trait;

#[cfg(feature = "azure-queue")]
pub use self::azure::{AzureAccess, AzureQueue, AzureQueueOptions, AzureTokens};
#[cfg(feature = "sqs")]
pub use self::sqs::{SqsOptions, SqsQueue};

/// A queue that is asked for messages.
#[async_trait]
pub trait PullSource: fmt::Debug + Send + Sync {
    /// Waits for messages, up to some seconds; none is fine. They are nobody else's for
    /// [`PullSource::visibility`], unless that is extended.
    async fn receive(&self) -> Result<Vec<Message>, PullError>;

    /// The messages are dealt with and may be forgotten. Answers those of which the queue would not hear: they come
    /// again.
    async fn acknowledge(&self, messages: &[Message]) -> Result<Vec<Message>, PullError>;

    /// Keeps the messages for another [`PullSource::visibility`]. Answers them as they are acknowledged from then on:
    /// some queues give each another receipt. One that could not be kept is answered as it was.
    async fn extend(&self, messages: &[Message]) -> Result<Vec<Message>, PullError>;

    /// Whether messages can be had, by the very call and with the rights that [`PullSource::receive`] needs; does not
    /// wait for any. A message that is there stays for everybody, at the latest after a second.
    async fn check(&self) -> Result<(), PullError>;

    /// How long a message that was handed out is nobody else's.
    fn visibility(&self) -> Duration;
}

/// A message.
#[derive(Clone, PartialEq, Eq)]
pub struct Message {
    /// The queue's name for it.
    pub id: String,
    /// What acknowledges it: the right to this one handing out.
    pub receipt: String,
    /// What it says.
    pub body: Vec<u8>,
    /// How often it was handed out, this time included; 0 if the queue does not count.
    pub receptions: u32,
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Message")
            .field("id", &self.id)
            .field("body_len", &self.body.len())
            .field("receptions", &self.receptions)
            .finish_non_exhaustive()
    }
}

/// A queue that did not answer as it should; the message reads after "failed to …".
#[derive(Debug)]
pub struct PullError {
    message: String,
    /// Asking again may help without anybody changing anything.
    retryable: bool,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl PullError {
    /// An error that may pass.
    pub fn passing(message: impl Into<String>) -> Self {
        Self { message: message.into(), retryable: true, source: None }
    }

    /// An error that somebody must mend: a queue that is not there, access that is not given.
    pub fn lasting(message: impl Into<String>) -> Self {
        Self { message: message.into(), retryable: false, source: None }
    }

    /// The same with its cause.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Whether asking again may help by itself.
    pub fn is_retryable(&self) -> bool {
        self.retryable
    }
}

impl fmt::Display for PullError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl StdError for PullError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}
