//! Amazon SQS.
//!
//! | | |
//! | --- | --- |
//! | API | `ReceiveMessage` with long polling, `DeleteMessageBatch`, `ChangeMessageVisibilityBatch`, `SendMessageBatch`; ten messages at most in each |
//! | Delivery | at least once; a message that is not deleted comes again after its visibility timeout, and goes to the queue's dead-letter queue after as many receptions as its redrive policy says |
//! | Credentials | the SDK's chain: environment, profile, web identity, container, instance |
//! | IAM | `sqs:ReceiveMessage`, `sqs:DeleteMessage`, `sqs:ChangeMessageVisibility`; to forward, `sqs:SendMessage` |

use std::time::Duration;

use async_trait::async_trait;
use aws_config::stalled_stream_protection::StalledStreamProtectionConfig;
use aws_config::{BehaviorVersion, Region};
use aws_sdk_sqs::Client;
use aws_sdk_sqs::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_sqs::types::{
    ChangeMessageVisibilityBatchRequestEntry, DeleteMessageBatchRequestEntry, MessageSystemAttributeName,
    SendMessageBatchRequestEntry,
};
use tokio::sync::OnceCell;

use super::connector::SdkHttp;
use super::{Message, PullError, PullSource};

/// Messages of one call, by the API.
const BATCH: usize = 10;
/// How long a call waits for a message: the longest that the API has. Fewer calls cost less.
const WAIT: i32 = 20;
/// How long a message is ours. A commit takes milliseconds; this is for a store that hangs.
const VISIBILITY: Duration = Duration::from_secs(60);

/// Which queue, and how it is reached.
#[derive(Clone, Debug)]
pub struct SqsOptions {
    /// The queue's address.
    pub url: String,
    /// Its region, where it does not show in the address.
    pub region: Option<String>,
    /// The address of the API, where it is not Amazon's.
    pub endpoint: Option<String>,
}

impl SqsOptions {
    /// The queue at `url`.
    pub fn new(url: impl Into<String>) -> Self {
        Self { url: url.into(), region: None, endpoint: None }
    }

    /// `https://sqs.REGION.amazonaws.com/…`; in China, `.amazonaws.com.cn`. Older addresses are `REGION.queue.amazonaws.com`.
    fn region_of_url(&self) -> Option<&str> {
        let host = self.url.split_once("://")?.1.split('/').next()?;
        host.strip_prefix("sqs.")
            .or_else(|| host.strip_prefix("sqs-fips."))
            .and_then(|rest| rest.split('.').next())
            .or_else(|| host.split_once(".queue.amazonaws.com").map(|(region, _)| region))
            .filter(|region| region.contains('-'))
    }
}

/// A queue of Amazon SQS.
#[derive(Debug)]
pub struct SqsQueue {
    options: SqsOptions,
    http: SdkHttp,
    /// Made when it is first used: where credentials come from may have to be asked.
    client: OnceCell<Client>,
}

impl SqsQueue {
    /// The queue of `options`.
    ///
    /// # Errors
    ///
    /// If its address is none, or TLS cannot be set up.
    pub fn new(options: SqsOptions) -> Result<Self, PullError> {
        if !options.url.starts_with("https://") && !options.url.starts_with("http://") {
            let message = format!("use the queue {:?}: expected its address, https://sqs.…", options.url);
            return Err(PullError::lasting(message));
        }
        Ok(Self { options, http: SdkHttp::new()?, client: OnceCell::new() })
    }

    /// Puts messages into the queue; the numbers of those that it did not take.
    ///
    /// # Errors
    ///
    /// If the queue does not answer; messages of calls before that may have been taken.
    pub async fn send(&self, bodies: &[String]) -> Result<Vec<usize>, PullError> {
        let mut left = Vec::new();
        for (start, chunk) in bodies.chunks(BATCH).enumerate().map(|(number, chunk)| (number * BATCH, chunk)) {
            let mut call = self.client().await.send_message_batch().queue_url(&self.options.url);
            for (index, body) in chunk.iter().enumerate() {
                let entry = SendMessageBatchRequestEntry::builder().id(index.to_string()).message_body(body).build();
                call = call
                    .entries(entry.map_err(|error| PullError::lasting("put together a message").with_source(error))?);
            }
            let answer = call.send().await.map_err(|error| failed("put messages into the queue", error))?;
            let refused = answer.failed().iter().filter_map(|entry| entry.id().parse::<usize>().ok());
            left.extend(refused.map(|index| start + index));
        }
        Ok(left)
    }

    async fn client(&self) -> &Client {
        self.client
            .get_or_init(|| async {
                // The SDK takes twenty seconds without a byte for a connection that hangs, which is what a long poll of
                // an empty queue looks like. The connector has a deadline of its own.
                let patient = StalledStreamProtectionConfig::disabled();
                let mut loader = aws_config::defaults(BehaviorVersion::latest())
                    .http_client(self.http.clone())
                    .stalled_stream_protection(patient);
                let region = self.options.region.as_deref().or_else(|| self.options.region_of_url());
                if let Some(region) = region {
                    loader = loader.region(Region::new(region.to_owned()));
                }
                if let Some(endpoint) = &self.options.endpoint {
                    loader = loader.endpoint_url(endpoint);
                }
                Client::new(&loader.load().await)
            })
            .await
    }
}

#[async_trait]
impl PullSource for SqsQueue {
    async fn receive(&self) -> Result<Vec<Message>, PullError> {
        let call = self
            .client()
            .await
            .receive_message()
            .queue_url(&self.options.url)
            .max_number_of_messages(i32::try_from(BATCH).expect("ten is a small number"))
            .wait_time_seconds(WAIT)
            .visibility_timeout(seconds(VISIBILITY))
            .message_system_attribute_names(MessageSystemAttributeName::ApproximateReceiveCount);
        let answer = call.send().await.map_err(|error| failed("read the queue", error))?;
        let messages = answer.messages.unwrap_or_default().into_iter().filter_map(|message| {
            let attributes = message.attributes.unwrap_or_default();
            let receptions = attributes.get(&MessageSystemAttributeName::ApproximateReceiveCount);
            Some(Message {
                receptions: receptions.and_then(|count| count.parse().ok()).unwrap_or_default(),
                id: message.message_id?,
                receipt: message.receipt_handle?,
                body: message.body.unwrap_or_default().into_bytes(),
            })
        });
        Ok(messages.collect())
    }

    async fn acknowledge(&self, messages: &[Message]) -> Result<Vec<Message>, PullError> {
        let mut left = Vec::new();
        for chunk in messages.chunks(BATCH) {
            let mut call = self.client().await.delete_message_batch().queue_url(&self.options.url);
            for (index, message) in chunk.iter().enumerate() {
                let entry = DeleteMessageBatchRequestEntry::builder()
                    .id(index.to_string())
                    .receipt_handle(&message.receipt)
                    .build()
                    .map_err(|error| PullError::lasting("put together an acknowledgement").with_source(error))?;
                call = call.entries(entry);
            }
            let answer = call.send().await.map_err(|error| failed("take messages out of the queue", error))?;
            let refused = answer.failed().iter().filter_map(|entry| entry.id().parse::<usize>().ok());
            left.extend(refused.filter_map(|index| chunk.get(index).cloned()));
        }
        Ok(left)
    }

    async fn extend(&self, messages: &[Message]) -> Result<Vec<Message>, PullError> {
        for chunk in messages.chunks(BATCH) {
            let mut call = self.client().await.change_message_visibility_batch().queue_url(&self.options.url);
            for (index, message) in chunk.iter().enumerate() {
                let entry = ChangeMessageVisibilityBatchRequestEntry::builder()
                    .id(index.to_string())
                    .receipt_handle(&message.receipt)
                    .visibility_timeout(seconds(VISIBILITY))
                    .build()
                    .map_err(|error| PullError::lasting("put together an extension").with_source(error))?;
                call = call.entries(entry);
            }
            call.send().await.map_err(|error| failed("keep messages of the queue", error))?;
        }
        Ok(messages.to_vec())
    }

    async fn check(&self) -> Result<(), PullError> {
        let call = self.client().await.receive_message().queue_url(&self.options.url);
        // What comes is somebody else's at once.
        let call = call.max_number_of_messages(1).wait_time_seconds(0).visibility_timeout(0);
        call.send().await.map(drop).map_err(|error| failed("read the queue", error))
    }

    fn visibility(&self) -> Duration {
        VISIBILITY
    }
}

fn seconds(duration: Duration) -> i32 {
    i32::try_from(duration.as_secs()).unwrap_or(i32::MAX)
}

/// Codes that do not pass by themselves: somebody has to mend the queue's address or its policy.
const LASTING: [&str; 8] = [
    "AWS.SimpleQueueService.NonExistentQueue",
    "QueueDoesNotExist",
    "AccessDenied",
    "AccessDeniedException",
    "InvalidAddress",
    "InvalidClientTokenId",
    "UnrecognizedClientException",
    "SignatureDoesNotMatch",
];

fn failed<E>(operation: &str, error: SdkError<E>) -> PullError
where
    E: std::error::Error + ProvideErrorMetadata + Send + Sync + 'static,
{
    let code = error.code().map(str::to_owned);
    let lasting = matches!(error, SdkError::ConstructionFailure(_))
        || code.as_deref().is_some_and(|code| LASTING.contains(&code));
    let message = match code {
        Some(code) => format!("{operation} ({code})"),
        None => operation.to_owned(),
    };
    let wrapped = if lasting { PullError::lasting(message) } else { PullError::passing(message) };
    wrapped.with_source(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn regions_of_addresses() {
        let check = |url: &str, region: Option<&str>| assert_eq!(SqsOptions::new(url).region_of_url(), region, "{url}");
        check("https://sqs.eu-central-1.amazonaws.com/123456789012/events", Some("eu-central-1"));
        check("https://sqs.cn-north-1.amazonaws.com.cn/123456789012/events", Some("cn-north-1"));
        check("https://sqs-fips.us-gov-west-1.amazonaws.com/123456789012/events", Some("us-gov-west-1"));
        check("https://eu-west-1.queue.amazonaws.com/123456789012/events", Some("eu-west-1"));
        check("http://127.0.0.1:5000/123456789012/events", None);
    }

    #[test]
    fn what_is_no_address() {
        assert!(SqsQueue::new(SqsOptions::new("events")).unwrap_err().to_string().contains("events"));
    }
}
