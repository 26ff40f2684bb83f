//! Azure Queue Storage.
//!
//! | | |
//! | --- | --- |
//! | API | `Get Messages`, `Delete Message`, `Update Message` of the [Queue service REST API](https://learn.microsoft.com/rest/api/storageservices/queue-service-rest-api), version 2021-12-02; 32 messages at most in one call, no call that waits |
//! | Delivery | at least once; a message that is not deleted comes again after its visibility timeout, until its time to live is over. There is no dead-letter queue; `DequeueCount` counts |
//! | Body | text of 64 KiB at most. Event Grid and the older libraries write base64, others write what they are given |
//! | Credentials | a token of Microsoft Entra, a shared access signature, or the account's key |
//! | Rights | the role *Storage Queue Data Message Processor*, or a signature with `p` (process) and `u` (update) |
//!
//! The three calls are made here rather than by the official crate, `azure_storage_queue` 1.1: that one knows signatures
//! and tokens but no account keys, so none of the connection strings that the portal, the command line and the emulators
//! hand out, and it would need Azure's core library and another adapter for our HTTP client here.

mod access;
mod answer;

use std::fmt;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::join_all;
use jiff::Timestamp;
use jiff::fmt::rfc2822;
use reqwest::header::{HeaderMap, HeaderValue};
use reqwest::{Method, StatusCode, Url};

pub use self::access::{AzureAccess, AzureTokens};
use super::{Message, PullError, PullSource, http as client};

/// What we speak. Bearer tokens came with 2017-11-09; emulators and Azure Stack know this one.
const VERSION: &str = "2021-12-02";
/// Messages of one call, by the API.
const BATCH: usize = 32;
/// How long a message is ours. A commit takes milliseconds; this is for a store that hangs.
const VISIBILITY: Duration = Duration::from_secs(60);
/// For a request with its answer.
const PATIENCE: Duration = Duration::from_secs(30);
/// Bytes of an answer: 32 messages of 64 KiB, each byte of which may be written as an entity of six.
const ANSWER: usize = 16 << 20;
/// How long an empty queue is left alone, longer and longer. Each look is a request that is paid for: the last of these
/// makes some 17 000 a day, less than a cent.
const PAUSES: [Duration; 4] =
    [Duration::from_millis(500), Duration::from_secs(1), Duration::from_secs(2), Duration::from_secs(5)];

/// Which queue, and how it is reached.
#[derive(Clone, Debug)]
pub struct AzureQueueOptions {
    /// The queue's address: `https://ACCOUNT.queue.core.windows.net/QUEUE`, an emulator's
    /// `http://127.0.0.1:10001/ACCOUNT/QUEUE`.
    pub url: String,
    /// How it is signed in to.
    pub access: AzureAccess,
    /// An HTTP proxy, `http://proxy.example.com:3128`.
    pub proxy: Option<String>,
}

/// A queue of Azure Queue Storage.
pub struct AzureQueue {
    url: Url,
    access: AzureAccess,
    http: reqwest::Client,
    /// How often it was empty in a row.
    empty: AtomicU32,
}

impl AzureQueue {
    /// The queue of `options`.
    ///
    /// # Errors
    ///
    /// If its address is none, would show credentials to everybody on the way, or TLS cannot be set up.
    pub fn new(options: AzureQueueOptions) -> Result<Self, PullError> {
        let refuse = |why: &str| {
            // What stands behind a question mark may be a signature, and before an at-sign a password.
            let shown = options.url.split('?').next().unwrap_or_default();
            let shown = if shown.contains('@') { "" } else { shown };
            PullError::lasting(format!("use the queue {shown:?}: {why}"))
        };
        let url: Url = options.url.parse().map_err(|_| refuse("expected its address, https://…"))?;
        let names = url.path_segments().into_iter().flatten().filter(|name| !name.is_empty()).count();
        let is_here = matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"));
        match (url.scheme(), options.access.is_shown()) {
            ("https", _) | ("http", false) => {}
            ("http", true) if is_here => {}
            ("http", true) => return Err(refuse("it is http, and everybody on the way would read the credentials")),
            _ => return Err(refuse("expected its address, https://…")),
        }
        if url.query().is_some() {
            return Err(refuse("a signature is a secret: it does not belong into the address"));
        }
        if names == 0 || !url.username().is_empty() || url.password().is_some() {
            return Err(refuse("expected https://ACCOUNT.queue.core.windows.net/QUEUE"));
        }
        let mut builder = client::builder()?.timeout(PATIENCE).no_proxy();
        if let Some(proxy) = &options.proxy {
            builder = builder.proxy(reqwest::Proxy::all(proxy).map_err(client::broken)?);
        }
        let http = builder.build().map_err(client::broken)?;
        Ok(Self { url, access: options.access, http, empty: AtomicU32::new(0) })
    }

    /// `…/messages`, or `…/messages/ID`.
    fn address(&self, id: Option<&str>, parameters: &[(&str, &str)]) -> Url {
        let mut url = self.url.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().push("messages").extend(id);
        }
        url.query_pairs_mut().extend_pairs(parameters);
        url
    }

    /// Sends a request without a body; what the service answers if it is a success.
    async fn call(&self, operation: &str, method: Method, url: Url) -> Result<(HeaderMap, Vec<u8>), Failure> {
        let mut request = reqwest::Request::new(method, url);
        let now = rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&Timestamp::now());
        let now = now.ok().and_then(|text| HeaderValue::from_str(&text).ok());
        let headers = request.headers_mut();
        headers.insert("x-ms-version", HeaderValue::from_static(VERSION));
        headers.insert("x-ms-date", now.expect("the present has a date"));
        // Some servers want to hear that there is no body.
        headers.insert("content-length", HeaderValue::from_static("0"));
        self.access.sign(&mut request).await?;
        let failed = |error: reqwest::Error| {
            PullError::passing(format!("{operation}: no answer")).with_source(error.without_url())
        };
        let mut answer = self.http.execute(request).await.map_err(failed)?;
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(failed)? {
            if chunk.len() > ANSWER - body.len() {
                return Err(PullError::passing(format!("{operation}: the answer is too large")).into());
            }
            body.extend_from_slice(&chunk);
        }
        if answer.status().is_success() {
            return Ok((answer.headers().clone(), body));
        }
        let code = answer.headers().get("x-ms-error-code").and_then(|code| code.to_str().ok());
        let code = code.filter(|code| code.len() <= 80 && code.bytes().all(|byte| byte.is_ascii_alphanumeric()));
        Err(Failure::Refused {
            status: answer.status(),
            code: code.map(str::to_owned),
            operation: operation.to_owned(),
        })
    }

    /// The message as it is acknowledged after another visibility timeout.
    async fn keep(&self, message: &Message) -> Result<Message, Failure> {
        let seconds = VISIBILITY.as_secs().to_string();
        let parameters = [("popreceipt", message.receipt.as_str()), ("visibilitytimeout", &seconds)];
        let url = self.address(Some(&message.id), &parameters);
        let (headers, _) = self.call("keep a message of the queue", Method::PUT, url).await?;
        let receipt = headers.get("x-ms-popreceipt").and_then(|receipt| receipt.to_str().ok());
        Ok(Message { receipt: receipt.unwrap_or(&message.receipt).to_owned(), ..message.clone() })
    }

    async fn delete(&self, message: &Message) -> Result<(), Failure> {
        let url = self.address(Some(&message.id), &[("popreceipt", &message.receipt)]);
        match self.call("take a message out of the queue", Method::DELETE, url).await {
            Ok(_) => Ok(()),
            // Its time is over, or somebody else has dealt with it.
            Err(failure) if failure.is_code("MessageNotFound") => Ok(()),
            Err(failure) => Err(failure),
        }
    }
}

#[async_trait]
impl PullSource for AzureQueue {
    async fn receive(&self) -> Result<Vec<Message>, PullError> {
        let (number, seconds) = (BATCH.to_string(), VISIBILITY.as_secs().to_string());
        let url = self.address(None, &[("numofmessages", &number), ("visibilitytimeout", &seconds)]);
        let (_, body) = self.call("read the queue", Method::GET, url).await?;
        let messages = answer::messages(&body).map_err(not_messages)?;
        if messages.is_empty() {
            let before = self.empty.fetch_add(1, Ordering::Relaxed);
            let pause = PAUSES.get(before as usize).or(PAUSES.last()).expect("there are some");
            tokio::time::sleep(*pause).await;
        } else {
            self.empty.store(0, Ordering::Relaxed);
        }
        Ok(messages)
    }

    async fn acknowledge(&self, messages: &[Message]) -> Result<Vec<Message>, PullError> {
        let outcomes = join_all(messages.iter().map(|message| self.delete(message))).await;
        let mut left = Vec::new();
        let mut first = None;
        for (message, outcome) in messages.iter().zip(outcomes) {
            if let Err(failure) = outcome {
                left.push(message.clone());
                first.get_or_insert(failure);
            }
        }
        match first {
            // A right that is missing is missing for all, and somebody must hear of it.
            Some(failure) if left.len() == messages.len() => Err(failure.into()),
            _ => Ok(left),
        }
    }

    async fn extend(&self, messages: &[Message]) -> Result<Vec<Message>, PullError> {
        let outcomes = join_all(messages.iter().map(|message| self.keep(message))).await;
        let mut kept = Vec::new();
        let mut first = None;
        for (message, outcome) in messages.iter().zip(outcomes) {
            match outcome {
                Ok(renewed) => kept.push((renewed, true)),
                Err(failure) => {
                    first.get_or_insert(failure);
                    kept.push((message.clone(), false));
                }
            }
        }
        match first {
            Some(failure) if kept.iter().all(|(_, renewed)| !renewed) => Err(failure.into()),
            _ => Ok(kept.into_iter().map(|(message, _)| message).collect()),
        }
    }

    async fn check(&self) -> Result<(), PullError> {
        // To look at a message takes another right than to take one; a second is the shortest time to have it for.
        let url = self.address(None, &[("numofmessages", "1"), ("visibilitytimeout", "1")]);
        let (_, body) = self.call("read the queue", Method::GET, url).await?;
        answer::messages(&body).map(drop).map_err(not_messages)
    }

    fn visibility(&self) -> Duration {
        VISIBILITY
    }
}

fn not_messages(why: impl fmt::Display) -> PullError {
    PullError::passing(format!("read the queue: what it answers is no list of messages: {why}"))
}

impl fmt::Debug for AzureQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AzureQueue")
            .field("url", &self.url.as_str())
            .field("access", &self.access)
            .finish_non_exhaustive()
    }
}

/// Why a call came to nothing.
enum Failure {
    /// The service said no.
    Refused {
        status: StatusCode,
        code: Option<String>,
        operation: String,
    },
    Other(PullError),
}

impl Failure {
    fn is_code(&self, expected: &str) -> bool {
        matches!(self, Self::Refused { code: Some(code), .. } if code == expected)
    }
}

impl From<PullError> for Failure {
    fn from(error: PullError) -> Self {
        Self::Other(error)
    }
}

impl From<Failure> for PullError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Other(error) => error,
            Failure::Refused { status, code, operation } => {
                let message = match code {
                    Some(code) => format!("{operation} ({code}, {status})"),
                    None => format!("{operation} ({status})"),
                };
                // A queue that is not there, a right that is not given, a signature that has run out.
                let is_lasting = status.is_client_error()
                    && !matches!(status, StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS);
                if is_lasting { Self::lasting(message) } else { Self::passing(message) }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Secret;

    fn queue(url: &str, secret: &str) -> Result<AzureQueue, PullError> {
        let access = AzureAccess::of_secret(&Secret::new(secret))?;
        AzureQueue::new(AzureQueueOptions { url: url.to_owned(), access, proxy: None })
    }

    #[test]
    fn addresses() {
        let check = |url: &str, expected: &str| {
            let queue = queue(url, "sv=2021&sig=hidden").unwrap();
            let found = queue.address(Some("id/1"), &[("popreceipt", "a+b=")]);
            assert_eq!(found.as_str(), expected);
            assert!(!format!("{queue:?}").contains("hidden"));
        };
        // The receipts that the service gives are base64.
        check(
            "https://acme.queue.core.windows.net/events",
            "https://acme.queue.core.windows.net/events/messages/id%2F1?popreceipt=a%2Bb%3D",
        );
        check(
            "http://127.0.0.1:10001/acme/events/",
            "http://127.0.0.1:10001/acme/events/messages/id%2F1?popreceipt=a%2Bb%3D",
        );
    }

    #[test]
    fn addresses_that_are_none() {
        let check = |url: &str, secret: &str, expected: &str| {
            let error = queue(url, secret).unwrap_err();
            assert!(error.to_string().contains(expected) && !error.is_retryable(), "{url}: {error}");
            assert!(!error.to_string().contains("hidden"), "{error}");
        };
        let sas = "sv=2021&sig=x";
        check("events", sas, "https://…");
        check("ftp://acme.queue.core.windows.net/events", sas, "https://…");
        check("https://acme.queue.core.windows.net/", sas, "/QUEUE");
        check("https://acme.queue.core.windows.net/events?sig=hidden", sas, "secret");
        check("http://acme.queue.core.windows.net/events", sas, "everybody on the way");
        check("https://user:hidden@acme.queue.core.windows.net/", sas, "/QUEUE");
        // A key signs and does not travel.
        assert!(queue("http://azurite:10001/acme/events", "AccountName=acme;AccountKey=aGVsbG8=").is_ok());
    }
}
