//! Who turns an image into metadata.

use async_trait::async_trait;
use supercargo_registry::index::{ImageMetadata, ImageSource, Indexer, Result};

/// Turns an image into metadata: [`Indexer`] does, and whatever stands in for it.
#[async_trait]
pub trait ImageIndexer: Send + Sync {
    /// Changes whenever the same image may give another result.
    fn version(&self) -> &str;

    /// Indexes one image.
    ///
    /// # Errors
    ///
    /// Those of [`Indexer::index`].
    async fn index(&self, source: &dyn ImageSource) -> Result<ImageMetadata>;
}

#[async_trait]
impl ImageIndexer for Indexer {
    fn version(&self) -> &str {
        Indexer::version(self)
    }

    async fn index(&self, source: &dyn ImageSource) -> Result<ImageMetadata> {
        Indexer::index(self, source).await
    }
}
