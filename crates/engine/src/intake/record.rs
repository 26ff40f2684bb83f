//! A delivery as it is kept.

use jiff::Timestamp;
use supercargo_store::{EventState, NewEvent};

/// Headers that help to understand a delivery later. All others are dropped: they may carry secrets.
const HEADERS: [&str; 11] = [
    "content-type",
    "content-length",
    "user-agent",
    "x-request-id",
    "ce-id",
    "ce-type",
    "ce-source",
    "ce-time",
    "aeg-event-type",
    "x-amz-sns-message-type",
    "x-github-event",
];
/// Bytes kept of a delivery that is an example of many.
const SAMPLE: usize = 64 << 10;
/// Characters of a reason: a thousand events have a thousand reasons.
const REASON: usize = 2000;

/// The parts of a request that may be kept.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kept<'a> {
    pub(super) source: &'a str,
    pub(super) headers: &'a http::HeaderMap,
    pub(super) body: &'a [u8],
}

impl Kept<'_> {
    pub(super) fn record(&self, dedupe_key: String, state: EventState, reasons: &[String]) -> NewEvent {
        let header = |name: &&str| {
            let value = self.headers.get(*name)?.to_str().ok()?;
            Some(((*name).to_owned(), value.to_owned()))
        };
        NewEvent {
            source: self.source.to_owned(),
            dedupe_key,
            state,
            reason: reason(reasons),
            registry: None,
            headers: HEADERS.iter().filter_map(header).collect(),
            body: self.body.to_vec(),
        }
    }

    /// An example of what is ignored in great numbers.
    pub(super) fn sample(&self, reason: &str, more: u64, now: Timestamp) -> NewEvent {
        let reason = match more {
            0 => reason.to_owned(),
            more => format!("{reason} (one of {} like it since the last that was kept)", more + 1),
        };
        let cut = Self { body: &self.body[..self.body.len().min(SAMPLE)], ..*self };
        cut.record(format!("sample-{}-{}", now.as_millisecond(), key(self.body)), EventState::Ignored, &[reason])
    }
}

fn reason(reasons: &[String]) -> Option<String> {
    if reasons.is_empty() {
        return None;
    }
    let text = reasons.join("; ");
    Some(match text.char_indices().nth(REASON) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    })
}

/// The key of a delivery that gave no event of its own: the same bytes again are the same delivery.
pub(super) fn body_key(body: &[u8]) -> String {
    format!("body-{}-{}", key(body), body.len())
}

/// The key of a delivery of several events: the same events again are the same delivery.
pub(super) fn batch_key<'a>(keys: impl Iterator<Item = &'a str>) -> String {
    let all: Vec<&str> = keys.collect();
    format!("batch-{}-{}", key(all.join("\n").as_bytes()), all.len())
}

fn key(bytes: &[u8]) -> String {
    use std::hash::{DefaultHasher, Hash as _, Hasher as _};
    // Not a cryptographic hash: a collision that somebody with the secret makes hides one delivery of theirs.
    let mut hasher = DefaultHasher::new();
    bytes.hash(&mut hasher);
    format!("{:016x}", hasher.finish())
}
