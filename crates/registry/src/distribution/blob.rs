//! A blob's download: resumed where it breaks off, held to the size of its descriptor.

use std::ops::Range;

use bytes::Bytes;
use futures_util::stream::{self, BoxStream, StreamExt};
use http::header::{CONTENT_RANGE, RANGE};
use http::{HeaderMap, HeaderValue};
use oci_spec::image::Descriptor;
use reqwest::StatusCode;
use tracing::debug;

use super::answer::Body;
use super::auth::Scope;
use super::client::DistributionClient;
use super::transport::Request;
use crate::{Blob, Error, ErrorKind, Repository, Result, digest};

/// Times in a row that a download may break off before [`PROGRESS`] bytes have come.
const BREAKS: u32 = 5;
/// Bytes after which earlier breaks are forgiven: a slow link may break a large layer often.
const PROGRESS: u64 = 4 << 20;

impl DistributionClient {
    /// A blob from byte `offset` to its end.
    ///
    /// A connection that breaks is taken up again with a range request, through the registry rather than the
    /// address it redirected to, whose signature may have expired. The blob's `urls` are never followed.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`]; [`ErrorKind::DigestMismatch`] if the registry's blob has another size.
    pub async fn blob(&self, repository: &Repository, descriptor: &Descriptor, offset: u64) -> Result<Blob> {
        digest::check_algorithm(descriptor.digest())
            .map_err(|error| self.about_blob(error, repository, descriptor.digest()))?;
        let mut download = self.download(repository, descriptor, offset..descriptor.size());
        if offset < descriptor.size() {
            download.open().await.map_err(|error| self.about_blob(error, repository, descriptor.digest()))?;
        }
        Ok(Blob::from_stream(descriptor.clone(), offset, download.into_stream()))
    }

    /// The bytes of a blob from `range.start` to before `range.end`, unverified. `None` if the registry answers with
    /// the whole blob. Resumed as [`blob`](Self::blob) is.
    ///
    /// # Errors
    /// As [`blob`](Self::blob).
    pub async fn blob_range(
        &self,
        repository: &Repository,
        descriptor: &Descriptor,
        range: Range<u64>,
    ) -> Result<Option<BoxStream<'static, Result<Bytes>>>> {
        let range = range.start..range.end.min(descriptor.size());
        if range.is_empty() {
            return Ok(Some(stream::empty().boxed()));
        }
        let mut download = self.download(repository, descriptor, range.clone());
        download.ranged = true;
        let served = download.open().await.map_err(|error| self.about_blob(error, repository, descriptor.digest()))?;
        // What the whole blob is good for, its reader must say.
        Ok((served == Served::Range).then(|| download.into_stream()))
    }

    fn download(&self, repository: &Repository, descriptor: &Descriptor, range: Range<u64>) -> Download {
        Download {
            client: self.clone(),
            repository: repository.clone(),
            descriptor: descriptor.clone(),
            position: range.start,
            end: range.end,
            ranged: range.start > 0,
            body: None,
            skip: 0,
            breaks: 0,
            since_break: 0,
        }
    }
}

/// What an answer holds.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Served {
    Whole,
    Range,
}

struct Download {
    client: DistributionClient,
    repository: Repository,
    descriptor: Descriptor,
    /// The next byte to hand out.
    position: u64,
    /// The byte behind the last one.
    end: u64,
    /// A range is asked for, and not the whole.
    ranged: bool,
    body: Option<Body>,
    /// Bytes to drop first: a registry that knows no ranges starts from the beginning.
    skip: u64,
    breaks: u32,
    since_break: u64,
}

impl Download {
    fn into_stream(self) -> BoxStream<'static, Result<Bytes>> {
        let stream = stream::try_unfold(self, |mut download| async move {
            match download.next().await {
                Ok(chunk) => Ok(chunk.map(|chunk| (chunk, download))),
                Err(error) => {
                    let Download { client, repository, descriptor, .. } = &download;
                    Err(client.about_blob(error, repository, descriptor.digest()))
                }
            }
        });
        stream.boxed()
    }

    async fn next(&mut self) -> Result<Option<Bytes>> {
        while self.position < self.end {
            if self.body.is_none() {
                self.open().await?;
            }
            let Some(body) = &mut self.body else { continue };
            match body.next().await {
                Ok(Some(chunk)) => {
                    if let Some(chunk) = self.take(chunk)? {
                        return Ok(Some(chunk));
                    }
                }
                Ok(None) => {
                    self.broken(Error::new(ErrorKind::Network, "it ends early")).await?;
                }
                Err(error) => self.broken(error).await?,
            }
        }
        Ok(None)
    }

    /// What of `chunk` is new.
    fn take(&mut self, mut chunk: Bytes) -> Result<Option<Bytes>> {
        let skipped = self.skip.min(chunk.len() as u64);
        self.skip -= skipped;
        let mut chunk = chunk.split_off(usize::try_from(skipped).expect("no more than the chunk's length"));
        if chunk.is_empty() {
            return Ok(None);
        }
        if self.end < self.descriptor.size() {
            // A server may give more than it was asked for.
            chunk.truncate(usize::try_from(self.end - self.position).unwrap_or(usize::MAX));
        }
        self.position += chunk.len() as u64;
        if self.position > self.descriptor.size() {
            return Err(size_mismatch(&self.descriptor, "more"));
        }
        self.since_break += chunk.len() as u64;
        if self.since_break >= PROGRESS {
            self.breaks = 0;
        }
        Ok(Some(chunk))
    }

    /// Notes that the download broke off; gives up after too many times.
    async fn broken(&mut self, error: Error) -> Result<()> {
        self.body = None;
        self.skip = 0;
        self.ranged |= self.position > 0;
        self.breaks += 1;
        self.since_break = 0;
        if self.breaks > BREAKS || !error.is_retryable() {
            return Err(error.during(format_args!("after {} of {} bytes", self.position, self.end)));
        }
        debug!(digest = %self.descriptor.digest(), position = self.position, %error, "download resumes");
        tokio::time::sleep(self.client.inner.transport.retry.backoff(self.breaks)).await;
        Ok(())
    }

    async fn open(&mut self) -> Result<Served> {
        let url = self.client.url(&format!("{}/blobs/{}", self.repository, self.descriptor.digest()));
        let mut request = Request::get(url).streamed();
        if self.ranged {
            let last = if self.end < self.descriptor.size() { (self.end - 1).to_string() } else { String::new() };
            let range = format!("bytes={}-{last}", self.position);
            let range = HeaderValue::from_str(&range).expect("digits and a dash");
            request = request.header(RANGE, range);
        }
        let answer = self.client.execute(&request, &Scope::Pull(self.repository.clone())).await?;
        let size = self.descriptor.size();
        let served = match answer.status() {
            StatusCode::PARTIAL_CONTENT if self.ranged => {
                match content_range(answer.headers()) {
                    Some((start, total)) if start == self.position && total.is_none_or(|total| total == size) => {}
                    _ => return Err(Error::new(ErrorKind::Malformed, "the registry answers with another range")),
                }
                self.skip = 0;
                Served::Range
            }
            StatusCode::OK => {
                if answer.content_length().is_some_and(|length| length != size) {
                    let length = answer.content_length().unwrap_or_default();
                    return Err(size_mismatch(&self.descriptor, if length > size { "more" } else { "fewer" }));
                }
                self.skip = self.position;
                Served::Whole
            }
            status if status.is_success() => {
                return Err(Error::new(ErrorKind::Malformed, format!("the registry answers {}", status.as_u16())));
            }
            _ => return Err(answer.into_error().await),
        };
        self.body = Some(answer.into_body());
        Ok(served)
    }
}

fn size_mismatch(descriptor: &Descriptor, word: &str) -> Error {
    Error::new(
        ErrorKind::DigestMismatch,
        format!("the registry's blob has {word} bytes than the {} of its descriptor", descriptor.size()),
    )
}

/// First byte and total of `Content-Range: bytes 5-9/10`; the total may be `*`.
fn content_range(headers: &HeaderMap) -> Option<(u64, Option<u64>)> {
    let text = headers.get(CONTENT_RANGE)?.to_str().ok()?.trim();
    let (range, total) = text.strip_prefix("bytes")?.trim_start().split_once('/')?;
    let (start, end) = range.split_once('-')?;
    let (start, end): (u64, u64) = (start.trim().parse().ok()?, end.trim().parse().ok()?);
    let total = match total.trim() {
        "*" => None,
        total => Some(total.parse::<u64>().ok()?),
    };
    (start <= end && total.is_none_or(|total| end < total)).then_some((start, total))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_ranges() {
        let check = |header: &str, expected: Option<(u64, Option<u64>)>| {
            let headers = HeaderMap::from_iter([(CONTENT_RANGE, header.parse().unwrap())]);
            assert_eq!(content_range(&headers), expected, "{header}");
        };
        check("bytes 5-9/10", Some((5, Some(10))));
        check("bytes 5-9/*", Some((5, None)));
        check("bytes 5-10/10", None);
        check("bytes 9-5/10", None);
        check("bytes */10", None);
        check("lines 1-2/3", None);
        check("bytes 5-99999999999999999999999/1", None);
    }
}
