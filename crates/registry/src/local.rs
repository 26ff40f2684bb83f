//! Images in files: what an OCI layout and an archive have in common.

use std::fmt::Debug;
use std::io::{self, Read, Seek};
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::{self, BoxStream, StreamExt};
use oci_spec::distribution::Reference;
use oci_spec::image::{Descriptor, Digest, ImageIndex};
use supercargo_index::ManifestDocument;

use crate::distribution::MANIFEST_SIZE;
use crate::image_set::descriptor_of;
use crate::registry::{Capabilities, Listing, Referrer, Registry, Tag};
use crate::{Blob, Error, ErrorKind, Repository, Result, TagName, Target, digest, document};

/// Entries of an `index.json` that are read.
const ENTRIES: usize = 100_000;

/// Where a local image's blobs are. Opening and reading blocks.
///
/// This is an inner seam of [`LocalRegistry`], public because its type parameter is.
pub trait BlobFiles: Debug + Send + Sync + 'static {
    /// The blob's bytes from their start, and how many there are; `None` if it is not here.
    ///
    /// # Errors
    /// Those of the file system.
    fn open(&self, digest: &Digest) -> io::Result<Option<(Box<dyn SeekRead>, u64)>>;
}

/// A reader that can be moved to an offset.
pub trait SeekRead: Read + Seek + Send {}

impl<T: Read + Seek + Send> SeekRead for T {}

/// A manifest that an `index.json` or a `manifest.json` names.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) repository: Repository,
    pub(crate) tag: Option<TagName>,
    /// The name as it was written, if there was one.
    pub(crate) name: Option<String>,
    pub(crate) descriptor: Descriptor,
}

/// Images in files of one kind: [`LayoutRegistry`](crate::LayoutRegistry) or
/// [`ArchiveRegistry`](crate::ArchiveRegistry).
#[derive(Debug)]
pub struct LocalRegistry<B> {
    host: &'static str,
    /// The path, for messages.
    path: String,
    entries: Vec<Entry>,
    blobs: Arc<B>,
}

impl<B: BlobFiles> LocalRegistry<B> {
    pub(crate) fn from_parts(host: &'static str, path: String, entries: Vec<Entry>, blobs: B) -> Self {
        Self { host, path, entries, blobs: Arc::new(blobs) }
    }

    /// The image that `name` means here: a tag, a full reference as it was written, `sha256:…` or `@sha256:…`.
    /// Without a name, the only image there is, or the one called `latest`.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`], with the names that there are, if none or several match.
    pub fn find(&self, name: Option<&str>) -> Result<(Repository, Target)> {
        let by_digest = |entry: &Entry| (entry.repository.clone(), Target::Digest(entry.descriptor.digest().clone()));
        let Some(name) = name else {
            return match self.entries.as_slice() {
                [only] => Ok(by_digest(only)),
                _ => self.find(Some("latest")).map_err(|_| self.ambiguous("several images are there, name one")),
            };
        };
        if let Ok(digest) = digest::parse_digest(name.trim_start_matches('@')) {
            let named = self.entries.iter().find(|entry| *entry.descriptor.digest() == digest);
            let repository = named.or(self.entries.first()).map(|entry| entry.repository.clone());
            return match repository {
                Some(repository) => Ok((repository, Target::Digest(digest))),
                None => Err(self.ambiguous("it holds no image")),
            };
        }
        let matches = |entry: &&Entry| {
            entry.name.as_deref() == Some(name)
                || entry
                    .tag
                    .as_ref()
                    .is_some_and(|tag| tag.as_str() == name || format!("{}:{tag}", entry.repository) == name)
                || full_reference(name)
                    .is_some_and(|(repository, tag)| repository == entry.repository && Some(tag) == entry.tag)
        };
        let mut found = self.entries.iter().filter(matches);
        match (found.next(), found.next()) {
            (Some(entry), None) => Ok(by_digest(entry)),
            (Some(first), Some(second)) if first.descriptor.digest() == second.descriptor.digest() => {
                Ok(by_digest(first))
            }
            (Some(_), Some(_)) => Err(self.ambiguous(&format!("several images are called {name:?}"))),
            (None, _) => Err(self.ambiguous(&format!("no image is called {name:?}"))),
        }
    }

    fn ambiguous(&self, why: &str) -> Error {
        let mut names: Vec<String> = self
            .entries
            .iter()
            .take(20)
            .map(|entry| match (&entry.name, &entry.tag) {
                (Some(name), _) => name.clone(),
                (None, Some(tag)) => tag.to_string(),
                (None, None) => entry.descriptor.digest().to_string(),
            })
            .collect();
        names.sort_unstable();
        let error = Error::new(ErrorKind::NotFound, format!("find the image in {}: {why}", self.path));
        if names.is_empty() { error } else { error.with_hint(format!("there are: {}", names.join(", "))) }
    }

    /// What `target` leads to. A digest needs no entry: manifests of an index have none.
    async fn read(&self, repository: &Repository, target: &Target) -> Result<ManifestDocument> {
        let missing = |what: &str| Error::new(ErrorKind::NotFound, format!("{what} in {}", self.path));
        let entry = match target {
            Target::Tag(tag) => Some(
                self.entries
                    .iter()
                    .find(|entry| entry.repository == *repository && entry.tag.as_ref() == Some(tag))
                    .ok_or_else(|| missing("there is no such tag"))?,
            ),
            Target::Digest(digest) => self.entries.iter().find(|entry| entry.descriptor.digest() == digest),
        };
        let digest = match (entry, target) {
            (Some(entry), _) => entry.descriptor.digest().clone(),
            (None, Target::Digest(digest)) => digest.clone(),
            (None, Target::Tag(_)) => return Err(missing("there is no such tag")),
        };
        let media_type = entry.map(|entry| entry.descriptor.media_type().to_string());
        let blobs = Arc::clone(&self.blobs);
        let wanted = digest.clone();
        let read = tokio::task::spawn_blocking(move || read_small(&*blobs, &wanted, MANIFEST_SIZE as u64));
        let bytes = read.await.map_err(Error::from_join)??.ok_or_else(|| missing("the manifest is not"))?;
        document::receive(bytes, media_type.as_deref(), Some(&digest), None)
    }

    async fn open_blob(&self, descriptor: &Descriptor, offset: u64) -> Result<Blob> {
        let blobs = Arc::clone(&self.blobs);
        let digest = descriptor.digest().clone();
        let opened = tokio::task::spawn_blocking(move || {
            let Some((mut reader, size)) = blobs.open(&digest)? else { return Ok(None) };
            reader.seek(io::SeekFrom::Start(offset.min(size)))?;
            Ok(Some((reader, size)))
        });
        let failed = |error: io::Error| Error::new(ErrorKind::Io, "open it").with_source(error);
        let Some((reader, size)) = opened.await.map_err(Error::from_join)?.map_err(failed)? else {
            return Err(Error::new(ErrorKind::NotFound, "it is not there"));
        };
        if size != descriptor.size() {
            return Err(Error::new(
                ErrorKind::DigestMismatch,
                format!("it has {size} bytes, not the {} of its descriptor", descriptor.size()),
            ));
        }
        Ok(Blob::from_reader(descriptor.clone(), offset, reader))
    }
}

#[async_trait]
impl<B: BlobFiles> Registry for LocalRegistry<B> {
    fn host(&self) -> &str {
        self.host
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            repositories: Listing::Complete,
            tag_digests: true,
            tag_times: false,
            push_referrers: false,
            local: true,
            sparse: true,
        }
    }

    /// The files were read when this was made.
    async fn check(&self) -> Result<()> {
        Ok(())
    }

    fn repositories(&self) -> BoxStream<'_, Result<Repository>> {
        let mut names: Vec<Repository> = self.entries.iter().map(|entry| entry.repository.clone()).collect();
        names.sort_unstable();
        names.dedup();
        stream::iter(names.into_iter().map(Ok)).boxed()
    }

    fn tags(&self, repository: &Repository) -> BoxStream<'_, Result<Tag>> {
        let here: Vec<&Entry> = self.entries.iter().filter(|entry| entry.repository == *repository).collect();
        if here.is_empty() {
            let error = Error::new(
                ErrorKind::NotFound,
                format!("list the tags of {repository} in {}: there is no such repository", self.path),
            );
            return stream::once(async { Err(error) }).boxed();
        }
        let tags = here.into_iter().filter_map(|entry| {
            let name = entry.tag.clone()?;
            Some(Ok(Tag { name, digest: Some(entry.descriptor.digest().clone()), pushed_at: None }))
        });
        stream::iter(tags.collect::<Vec<_>>()).boxed()
    }

    async fn resolve(&self, repository: &Repository, target: &Target) -> Result<Descriptor> {
        Ok(descriptor_of(&self.manifest(repository, target).await?))
    }

    async fn manifest(&self, repository: &Repository, target: &Target) -> Result<ManifestDocument> {
        self.read(repository, target)
            .await
            .map_err(|error| error.during(format_args!("read manifest {repository}{}{target}", target.separator())))
    }

    async fn blob(&self, _repository: &Repository, descriptor: &Descriptor, offset: u64) -> Result<Blob> {
        self.open_blob(descriptor, offset)
            .await
            .map_err(|error| error.during(format_args!("read blob {} in {}", descriptor.digest(), self.path)))
    }

    /// Those that the list of images names itself; blobs are not searched.
    fn referrers(&self, _repository: &Repository, digest: &Digest) -> BoxStream<'_, Result<Descriptor>> {
        let digest = digest.clone();
        stream::iter(&self.entries)
            .filter_map(move |entry| {
                let digest = digest.clone();
                async move {
                    let target = Target::Digest(entry.descriptor.digest().clone());
                    match self.read(&entry.repository, &target).await {
                        Ok(manifest) => subject(&manifest)
                            .filter(|subject| *subject == digest)
                            .map(|_| Ok(entry.descriptor.clone())),
                        Err(error) => Some(Err(error)),
                    }
                }
            })
            .boxed()
    }

    async fn push_referrer(&self, _: &Repository, _: &Descriptor, _: &Referrer) -> Result<Descriptor> {
        Err(Error::new(ErrorKind::Unsupported, format!("attach to an image in {}: files are only read", self.path)))
    }
}

fn subject(manifest: &ManifestDocument) -> Option<Digest> {
    #[derive(serde::Deserialize)]
    struct Subject {
        subject: Option<Descriptor>,
    }
    let read: Subject = serde_json::from_slice(&manifest.bytes).ok()?;
    read.subject.map(|subject| subject.digest().clone())
}

/// A whole blob of at most `limit` bytes; `None` if it is not there.
pub(crate) fn read_small(blobs: &impl BlobFiles, digest: &Digest, limit: u64) -> Result<Option<Bytes>> {
    let failed = |error: io::Error| Error::new(ErrorKind::Io, format!("read {digest}")).with_source(error);
    let Some((reader, size)) = blobs.open(digest).map_err(failed)? else { return Ok(None) };
    if size > limit {
        return Err(Error::new(ErrorKind::LimitExceeded, format!("read {digest}: more than {limit} bytes")));
    }
    let mut bytes = Vec::new();
    reader.take(limit).read_to_end(&mut bytes).map_err(failed)?;
    Ok(Some(bytes.into()))
}

/// The entries of an `index.json` (image-spec `image-layout.md`).
///
/// The annotation `org.opencontainers.image.ref.name` holds a tag or, by some tools, a full reference;
/// containerd writes the latter to `io.containerd.image.name`. Images without a name are found by their digest.
pub(crate) fn entries_of_index(bytes: &[u8], fallback: &Repository) -> Result<Vec<Entry>> {
    const REF_NAME: &str = "org.opencontainers.image.ref.name";
    const CONTAINERD_NAME: &str = "io.containerd.image.name";
    let index: ImageIndex = serde_json::from_slice(bytes)
        .map_err(|error| Error::new(ErrorKind::Malformed, "read index.json: it is not an index").with_source(error))?;
    if index.manifests().len() > ENTRIES {
        return Err(Error::new(ErrorKind::LimitExceeded, format!("read index.json: more than {ENTRIES} entries")));
    }
    let mut entries = Vec::new();
    for descriptor in index.manifests() {
        let annotation = |key: &str| descriptor.annotations().as_ref().and_then(|map| map.get(key)).cloned();
        let ref_name = annotation(REF_NAME);
        let full = [annotation(CONTAINERD_NAME), ref_name.clone()]
            .into_iter()
            .flatten()
            .find_map(|name| full_reference(&name).map(|(repository, tag)| (repository, Some(tag), Some(name))));
        let (repository, tag, name) = full.unwrap_or_else(|| {
            let tag = ref_name.as_deref().and_then(|name| name.parse().ok());
            (fallback.clone(), tag, ref_name)
        });
        entries.push(Entry { repository, tag, name, descriptor: descriptor.clone() });
    }
    Ok(entries)
}

/// The repository and the tag of a name that has both.
pub(crate) fn full_reference(name: &str) -> Option<(Repository, TagName)> {
    if !name.contains(['/', ':']) {
        return None;
    }
    let reference: Reference = name.parse().ok()?;
    Some((reference.repository().parse().ok()?, reference.tag()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_entries() {
        let digest = digest::sha256(b"x");
        let check = |annotations: &str, repository: &str, tag: Option<&str>| {
            let json = format!(
                r#"{{"schemaVersion":2,"manifests":[{{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"{digest}","size":1,"annotations":{{{annotations}}}}}]}}"#
            );
            let entries = entries_of_index(json.as_bytes(), &"folder".parse().unwrap()).unwrap();
            assert_eq!(entries[0].repository.as_str(), repository, "{annotations}");
            assert_eq!(entries[0].tag.as_ref().map(TagName::as_str), tag, "{annotations}");
        };
        check("", "folder", None);
        check(r#""org.opencontainers.image.ref.name":"v1""#, "folder", Some("v1"));
        check(r#""org.opencontainers.image.ref.name":"docker.io/library/alpine:3.20""#, "library/alpine", Some("3.20"));
        check(r#""org.opencontainers.image.ref.name":"alpine:3.20""#, "library/alpine", Some("3.20"));
        check(
            r#""org.opencontainers.image.ref.name":"3.20","io.containerd.image.name":"localhost:5000/team/app:3.20""#,
            "team/app",
            Some("3.20"),
        );
        check(r#""org.opencontainers.image.ref.name":"../../etc/passwd""#, "folder", None);
        check(r#""org.opencontainers.image.ref.name":"""#, "folder", None);
    }
}
