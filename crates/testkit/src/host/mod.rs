//! Images from what is installed on this machine.

mod binaries;
mod reader;
mod sample;
mod scan;

pub use sample::sample_images;
pub use scan::HostScan;

use crate::Image;

/// An image and the name that it is pushed under.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedImage {
    /// The repository, such as `host/system`.
    pub repository: String,
    /// The tag.
    pub tag: String,
    /// What is in it, for people.
    pub description: String,
    /// The image.
    pub image: Image,
}

impl NamedImage {
    pub(super) fn new(repository: &str, tag: &str, description: impl Into<String>, image: Image) -> Self {
        Self { repository: repository.into(), tag: tag.into(), description: description.into(), image }
    }
}
