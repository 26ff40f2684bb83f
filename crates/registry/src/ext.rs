//! Conveniences over [`Registry`].

use std::sync::Arc;

use async_trait::async_trait;
use futures_util::TryStreamExt;
use oci_spec::distribution::Reference;

use crate::image_set::{self, ImageSet, PlatformImage};
use crate::{Error, ErrorKind, Quota, Registry, RegistryImage, Repository, Result, Tag, Target, split_reference};

/// What every registry can do by way of its required methods.
///
/// ```
/// use std::sync::Arc;
/// use supercargo_registry::{MemoryRegistry, RegistryExt};
///
/// # let runtime = tokio::runtime::Builder::new_current_thread().build()?;
/// # runtime.block_on(async {
/// let registry = Arc::new(MemoryRegistry::new("registry.test"));
/// let repository = "team/app".parse()?;
/// registry.push_image(&repository, "v1", &[b"not a real layer".as_slice()])?;
///
/// let set = registry.images(&repository, &"v1".parse()?).await?;
/// let image = registry.image(set.images[0].clone());
/// # use supercargo_index::ImageSource;
/// assert_eq!(image.name(), "registry.test/team/app");
/// # Ok::<(), supercargo_registry::Error>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[async_trait]
pub trait RegistryExt: Registry {
    /// The images that a tag or a digest leads to, one per platform, and what else it leads to.
    ///
    /// A manifest of an index is not fetched if the index already says that it is an image; whether its
    /// configuration is an image's is then found when it is read ([`ErrorKind::Unsupported`]).
    ///
    /// # Errors
    /// Those of [`Registry::manifest`]; [`ErrorKind::LimitExceeded`] over 1000 manifests or 4 levels.
    async fn images(&self, repository: &Repository, target: &Target) -> Result<ImageSet> {
        image_set::collect(self, repository, target).await
    }

    /// [`RegistryExt::images`] of a full reference.
    ///
    /// # Errors
    /// As there; [`ErrorKind::Malformed`] if a part of the reference breaks its grammar.
    async fn images_of(&self, reference: &Reference) -> Result<ImageSet> {
        let (repository, target) = split_reference(reference)?;
        self.images(&repository, &target).await
    }

    /// Whether the registry still holds what `target` names. `Ok(false)` is the registry's own word.
    ///
    /// # Errors
    /// Those of [`Registry::resolve`], save `NotFound`.
    async fn exists(&self, repository: &Repository, target: &Target) -> Result<bool> {
        match self.resolve(repository, target).await {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// The tags of a repository that can lead to images, all at once.
    ///
    /// # Errors
    /// Those of [`Registry::tags`]; [`ErrorKind::LimitExceeded`] if there are more than `limit`.
    async fn image_tags(&self, repository: &Repository, limit: usize) -> Result<Vec<Tag>> {
        let mut stream = self.tags(repository);
        let mut tags = Vec::new();
        while let Some(tag) = stream.try_next().await? {
            if tag.name.is_referrer() {
                continue;
            }
            if tags.len() == limit {
                return Err(Error::new(
                    ErrorKind::LimitExceeded,
                    format!("list the tags of {repository}: more than {limit}"),
                ));
            }
            tags.push(tag);
        }
        Ok(tags)
    }

    /// What the registry last said is left of the requests that it grants. `None` if it never spoke of it.
    fn quota(&self) -> Option<Quota> {
        self.distribution()?.quota()
    }

    /// The image as the indexer takes it.
    fn image(self: &Arc<Self>, image: PlatformImage) -> RegistryImage<Self> {
        RegistryImage::new(Arc::clone(self), image)
    }
}

impl<R: Registry + ?Sized> RegistryExt for R {}
