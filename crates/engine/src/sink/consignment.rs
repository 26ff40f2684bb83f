//! What is delivered.

use jiff::Timestamp;
use sha2::{Digest as _, Sha256};
use supercargo_registry::index::{Digest, ImageMetadata};
use supercargo_store::{Delivery, RepositoryName};

/// Something that a sink is told.
#[derive(Clone, Debug, PartialEq)]
pub struct Consignment {
    /// The same for each attempt at the same, and for nothing else ever.
    pub id: String,
    /// The number of the attempt, from 1.
    pub attempt: u32,
    /// Where the image is, or was.
    pub repository: RepositoryName,
    /// The image's manifest; of what is gone perhaps an index's.
    pub digest: Digest,
    /// When it was first to be told.
    pub asked_at: Timestamp,
    /// What is told.
    pub news: News,
}

/// What is told.
#[derive(Clone, Debug, PartialEq)]
pub enum News {
    /// An image is there, and this is what is in it.
    Indexed(Box<IndexedImage>),
    /// An image or a tag is gone.
    Gone(Gone),
}

/// An image that is there.
#[derive(Clone, Debug, PartialEq)]
pub struct IndexedImage {
    /// What is in it. Its name is that of the consignment's repository, its tags are the ones below.
    pub metadata: ImageMetadata,
    /// The tags of the repository that lead to it, by an index or directly, sorted.
    pub tags: Vec<String>,
    /// When it was indexed.
    pub indexed_at: Timestamp,
}

/// Something that the registry no longer has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gone {
    /// The tag, if only that is gone: the manifest may still be there.
    pub tag: Option<String>,
    /// The tags that went with the manifest.
    pub tags: Vec<String>,
}

impl Consignment {
    /// The id of a delivery's round.
    ///
    /// Numbers of rows begin at 1 in every store, and one receiver may hear from several; so the place and the time
    /// go into it, too.
    pub(crate) fn id_of(delivery: &Delivery) -> String {
        let request = &delivery.request;
        let text = format!(
            "{} {} {} {} {}@{} {}",
            delivery.lease.delivery,
            delivery.round,
            delivery.created_at.as_millisecond(),
            request.kind.as_str(),
            request.repository,
            request.subject,
            request.tag.as_deref().unwrap_or_default(),
        );
        let hash = Sha256::digest(text.as_bytes());
        let hex: String = hash.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
        format!("msg_{hex}")
    }

    /// `registry/repository@digest`.
    pub fn place(&self) -> String {
        format!("{}@{}", self.repository, self.digest)
    }
}
