//! The adapter of docs/custom-registry.md, as that page has it.

use std::fs::{self, File};
use std::io::{self, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use futures_util::stream::{self, BoxStream, StreamExt};
use supercargo_registry::index::ManifestDocument;
use supercargo_registry::{
    Blob, Capabilities, Descriptor, Digest, Error, ErrorKind, Listing, Referrer, Registry, Repository, Result, Tag,
    Target, receive_manifest,
};

/// Images that a build farm leaves in a folder.
#[derive(Clone, Debug)]
pub(crate) struct FarmRegistry {
    root: PathBuf,
}

/// Runs what blocks where that does no harm; `what` is for the message.
async fn blocking<T: Send + 'static>(what: String, work: impl FnOnce() -> io::Result<T> + Send + 'static) -> Result<T> {
    let done = tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| Error::new(ErrorKind::Io, "run a read").with_source(error))?;
    done.map_err(|error| {
        let kind = if error.kind() == io::ErrorKind::NotFound { ErrorKind::NotFound } else { ErrorKind::Io };
        Error::new(kind, what).with_source(error)
    })
}

impl FarmRegistry {
    pub(crate) fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    fn blob_path(&self, digest: &Digest) -> PathBuf {
        self.root.join("blobs").join(digest.digest())
    }

    fn repository_path(&self, repository: &Repository) -> PathBuf {
        self.root.join("repositories").join(repository.as_str())
    }

    /// What a tag leads to.
    async fn digest_of(&self, repository: &Repository, target: &Target) -> Result<Digest> {
        let tag = match target {
            Target::Digest(digest) => return Ok(digest.clone()),
            Target::Tag(tag) => tag,
        };
        let path = self.repository_path(repository).join(tag.as_str());
        let text = blocking(format!("read the tag {repository}:{tag}"), move || fs::read_to_string(path)).await?;
        text.trim().parse().map_err(|error| Error::new(ErrorKind::Malformed, "read a tag").with_source(error))
    }
}

/// The folders below `folder` that hold files, as names of repositories.
fn repositories_below(folder: &Path, name: &str, found: &mut Vec<Repository>) -> io::Result<()> {
    let mut holds_tags = false;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if !entry.file_type()?.is_dir() {
            holds_tags = true;
            continue;
        }
        let below = entry.file_name();
        let below = if name.is_empty() {
            below.into_string()
        } else {
            below.into_string().map(|text| format!("{name}/{text}"))
        };
        // A name that is not text cannot be a repository's.
        if let Ok(below) = below {
            repositories_below(&entry.path(), &below, found)?;
        }
    }
    if holds_tags && let Ok(repository) = name.parse() {
        found.push(repository);
    }
    Ok(())
}

/// The tags in a repository's folder, each with its digest.
fn tags_in(folder: &Path) -> io::Result<Vec<Tag>> {
    let mut tags = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            continue;
        }
        let name = entry.file_name().into_string().ok().and_then(|name| name.parse().ok());
        let digest = fs::read_to_string(entry.path())?.trim().parse().ok();
        if let (Some(name), Some(digest)) = (name, digest) {
            tags.push(Tag { name, digest: Some(digest), pushed_at: None });
        }
    }
    Ok(tags)
}

/// A list that is made at once, as the stream that the trait wants.
fn streamed<'a, T: Send + 'a>(list: impl Future<Output = Result<Vec<T>>> + Send + 'a) -> BoxStream<'a, Result<T>> {
    stream::once(list)
        .flat_map(|list| match list {
            Ok(list) => stream::iter(list.into_iter().map(Ok)).boxed(),
            Err(error) => stream::once(async { Err(error) }).boxed(),
        })
        .boxed()
}

#[async_trait]
impl Registry for FarmRegistry {
    fn host(&self) -> &str {
        "farm"
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            repositories: Listing::Complete,
            tag_digests: true,
            tag_times: false,
            push_referrers: false,
            local: true,
            sparse: false,
        }
    }

    async fn check(&self) -> Result<()> {
        let root = self.root.join("repositories");
        blocking("open the farm's folder".to_owned(), move || fs::read_dir(root).map(drop)).await
    }

    fn repositories(&self) -> BoxStream<'_, Result<Repository>> {
        let root = self.root.join("repositories");
        streamed(blocking("list the repositories".to_owned(), move || {
            let mut found = Vec::new();
            repositories_below(&root, "", &mut found)?;
            Ok(found)
        }))
    }

    fn tags(&self, repository: &Repository) -> BoxStream<'_, Result<Tag>> {
        let folder = self.repository_path(repository);
        streamed(blocking(format!("list the tags of {repository}"), move || tags_in(&folder)))
    }

    async fn resolve(&self, repository: &Repository, target: &Target) -> Result<Descriptor> {
        let manifest = self.manifest(repository, target).await?;
        Ok(Descriptor::new(manifest.media_type.as_str().into(), manifest.bytes.len() as u64, manifest.digest))
    }

    async fn manifest(&self, repository: &Repository, target: &Target) -> Result<ManifestDocument> {
        let digest = self.digest_of(repository, target).await?;
        let path = self.blob_path(&digest);
        let bytes = blocking(format!("read the manifest {digest}"), move || fs::read(path)).await?;
        receive_manifest(bytes.into(), None, Some(&digest))
    }

    async fn blob(&self, _repository: &Repository, descriptor: &Descriptor, offset: u64) -> Result<Blob> {
        let path = self.blob_path(descriptor.digest());
        let file = blocking(format!("open the blob {}", descriptor.digest()), move || {
            let mut file = File::open(path)?;
            file.seek(SeekFrom::Start(offset))?;
            Ok(file)
        });
        Ok(Blob::from_reader(descriptor.clone(), offset, file.await?))
    }

    fn referrers(&self, _repository: &Repository, _digest: &Digest) -> BoxStream<'_, Result<Descriptor>> {
        stream::empty().boxed()
    }

    async fn push_referrer(&self, _: &Repository, _: &Descriptor, _: &Referrer) -> Result<Descriptor> {
        Err(Error::new(ErrorKind::Unsupported, "attach to an image: the farm is only read"))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use supercargo_registry::conformance::{self, Fixture};
    use supercargo_registry::{Outcome, RegistryExt, Subject, diagnose};

    use super::*;

    /// A farm with what the suite expects to find.
    fn farm(fixture: &Fixture) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let blobs = folder.path().join("blobs");
        let tags = folder.path().join("repositories").join(fixture.repository.as_str());
        fs::create_dir_all(&blobs).unwrap();
        fs::create_dir_all(&tags).unwrap();
        for bytes in &fixture.blobs {
            let digest: Digest = supercargo_testkit::sha256(bytes).parse().unwrap();
            fs::write(blobs.join(digest.digest()), bytes).unwrap();
        }
        for manifest in &fixture.manifests {
            fs::write(blobs.join(manifest.digest().digest()), &manifest.bytes).unwrap();
            if let Some(tag) = &manifest.tag {
                fs::write(tags.join(tag.as_str()), manifest.digest().to_string()).unwrap();
            }
        }
        folder
    }

    #[tokio::test]
    async fn conforms() {
        let fixture = Fixture::sample();
        let folder = farm(&fixture);
        let registry: Arc<dyn Registry> = Arc::new(FarmRegistry::new(folder.path()));
        conformance::run(&registry, &fixture).await;

        // What the trait gives for nothing.
        let set = registry.images(&fixture.repository, &"multi".parse().unwrap()).await.unwrap();
        assert_eq!(set.images.len(), 3);
        let diagnosis = diagnose(&*registry, &Subject::default(), |_| ()).await;
        assert!(diagnosis.findings.iter().all(|finding| finding.outcome != Outcome::Failed), "{diagnosis:?}");
    }
}
