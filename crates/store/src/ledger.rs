//! The ledger: which manifests were indexed by which indexer, and how that ended.

use jiff::Timestamp;
use serde::Serialize;
use supercargo_index::Digest;

use crate::name::Reason;

/// How the indexing of a manifest ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "state", content = "reason", rename_all = "lowercase")]
pub enum Verdict {
    /// It was indexed. For an image index: all of its images were.
    Indexed,
    /// It could not be indexed.
    Failed(Reason),
    /// It is well formed and of a sort that is not indexed.
    Unsupported(Reason),
}

impl Verdict {
    /// `indexed`, `failed` or `unsupported`.
    pub const fn state(&self) -> &'static str {
        match self {
            Self::Indexed => "indexed",
            Self::Failed(_) => "failed",
            Self::Unsupported(_) => "unsupported",
        }
    }

    /// Why, unless it was indexed.
    pub fn reason(&self) -> Option<&Reason> {
        match self {
            Self::Indexed => None,
            Self::Failed(reason) | Self::Unsupported(reason) => Some(reason),
        }
    }

    /// Whether the manifest needs no more work by the same indexer.
    pub fn is_final(&self) -> bool {
        self.reason().is_none_or(|reason| !reason.retryable)
    }
}

/// A line of the ledger. Its key is the digest and the indexer version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LedgerEntry {
    /// The manifest: an image's or an index's.
    pub digest: Digest,
    /// The indexer version that was at work.
    pub indexer: String,
    /// How it ended.
    pub verdict: Verdict,
    /// How often it was written, failures included.
    pub attempts: u32,
    /// The first time.
    pub first_at: Timestamp,
    /// The last time.
    pub last_at: Timestamp,
}
