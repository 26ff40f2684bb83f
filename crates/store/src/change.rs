//! What a worker has learnt, as a list of changes that are committed together.

use jiff::Timestamp;
use supercargo_index::{Digest, ImageMetadata, Platform};

use crate::job::NewJob;
use crate::ledger::Verdict;
use crate::name::{Reason, RepositoryName};
use crate::outbox::NewDelivery;

/// One change. A list of them is applied in order and in one transaction: all of it is there, or nothing.
///
/// Seeing something implies what it hangs on: a tag brings its repository, its registry and its manifest, and
/// takes back that they were gone.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// The registry answered.
    RegistryReached {
        /// The registry.
        registry: String,
    },
    /// The registry could not be asked; it is shown as away until it answers again.
    RegistryAway {
        /// The registry.
        registry: String,
        /// Why.
        reason: Reason,
    },
    /// A reconcile pass over the registry went through; that also says it answered.
    RegistryReconciled {
        /// The registry.
        registry: String,
    },
    /// The repository is there.
    RepositorySeen {
        /// The repository.
        repository: RepositoryName,
    },
    /// The registry confirmed that the repository is gone, and all in it.
    RepositoryGone {
        /// The repository.
        repository: RepositoryName,
    },
    /// The tag points at this manifest. To be sent when it is new or moved, or to renew its last sight.
    TagSeen {
        /// The repository.
        repository: RepositoryName,
        /// The tag.
        tag: String,
        /// What it points at: an image's manifest, or an index.
        digest: Digest,
        /// When it was pushed, if the registry says so.
        pushed_at: Option<Timestamp>,
    },
    /// The registry confirmed that the tag is gone. The manifest may still be there.
    TagGone {
        /// The repository.
        repository: RepositoryName,
        /// The tag.
        tag: String,
    },
    /// The manifest was read.
    ManifestSeen {
        /// The repository.
        repository: RepositoryName,
        /// The manifest.
        digest: Digest,
        /// Its media type.
        media_type: String,
        /// Its bytes, as the descriptor says.
        size: u64,
        /// What it lists, if it is an index.
        children: Vec<ManifestChild>,
    },
    /// The registry confirmed that the manifest is gone, and with it the tags that pointed at it.
    ManifestGone {
        /// The repository.
        repository: RepositoryName,
        /// The manifest.
        digest: Digest,
    },
    /// An image was indexed. Replaces what an earlier indexer found.
    Image {
        /// Where it was read from.
        repository: RepositoryName,
        /// What was found. Must be an image's, not a directory's.
        metadata: Box<ImageMetadata>,
    },
    /// The ledger's line for a manifest.
    Ledger {
        /// The manifest: an image's or an index's.
        digest: Digest,
        /// The indexer version that was at work.
        indexer: String,
        /// How it ended.
        verdict: Verdict,
    },
    /// Something to be delivered.
    Deliver(NewDelivery),
    /// Work that follows.
    Enqueue(NewJob),
}

/// A line of an image index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ManifestChild {
    /// The manifest it names.
    pub digest: Digest,
    /// The platform it names.
    pub platform: Option<Platform>,
    /// What sort of manifest it is.
    pub kind: ChildKind,
}

/// What an image index lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ChildKind {
    /// The image of a platform.
    Image,
    /// An attestation about another child, or anything else that is not an image.
    Other,
}

impl ChildKind {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Image => "image",
            Self::Other => "other",
        }
    }
}
