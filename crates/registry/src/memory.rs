//! The in-memory twin: what tests and examples push into.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::{self, BoxStream, StreamExt};
use jiff::Timestamp;
use oci_spec::image::{Descriptor, Digest};
use serde_json::json;
use supercargo_index::ManifestDocument;

use crate::document::{self, Document};
use crate::image_set::descriptor_of;
use crate::registry::{Capabilities, Listing, Referrer, Registry, Tag};
use crate::{Blob, Error, ErrorKind, Repository, Result, TagName, Target, digest, media_type};

/// A registry that holds everything in memory. Clones share it.
#[derive(Clone, Debug)]
pub struct MemoryRegistry {
    host: String,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    repositories: BTreeMap<Repository, Shelf>,
    blobs: HashMap<String, Bytes>,
    blob_reads: HashMap<String, usize>,
    failures: Vec<Error>,
}

#[derive(Debug, Default)]
struct Shelf {
    manifests: HashMap<String, ManifestDocument>,
    tags: BTreeMap<TagName, (Digest, Option<Timestamp>)>,
}

impl MemoryRegistry {
    /// An empty registry that is known as `host`.
    pub fn new(host: impl Into<String>) -> Self {
        Self { host: host.into(), state: Arc::default() }
    }

    /// Stores a blob.
    pub fn push_blob(&self, bytes: impl Into<Bytes>) -> Digest {
        let bytes = bytes.into();
        let digest = digest::sha256(&bytes);
        self.lock().blobs.insert(digest.to_string(), bytes);
        digest
    }

    /// Stores a manifest or an index, under a tag if one is given, whatever it holds.
    pub fn push_manifest(
        &self,
        repository: &Repository,
        tag: Option<&TagName>,
        media_type: &str,
        bytes: impl Into<Bytes>,
    ) -> Digest {
        let bytes = bytes.into();
        let digest = digest::sha256(&bytes);
        let manifest = ManifestDocument { digest: digest.clone(), media_type: media_type.to_owned(), bytes };
        let mut state = self.lock();
        let shelf = state.repositories.entry(repository.clone()).or_default();
        shelf.manifests.insert(digest.to_string(), manifest);
        if let Some(tag) = tag {
            shelf.tags.insert(tag.clone(), (digest.clone(), None));
        }
        digest
    }

    /// Stores an image for `linux/amd64` with these layer blobs, whose media type is told from their first
    /// bytes, and returns its manifest's digest. The diff IDs are the blobs' digests.
    ///
    /// # Errors
    /// [`ErrorKind::Malformed`] if `tag` is none.
    pub fn push_image(&self, repository: &Repository, tag: &str, layers: &[&[u8]]) -> Result<Digest> {
        let tag: TagName = tag.parse()?;
        let blobs: Vec<_> = layers
            .iter()
            .map(|layer| {
                let digest = self.push_blob(Bytes::copy_from_slice(layer));
                json!({"mediaType": media_type::of_layer(layer), "digest": digest, "size": layer.len()})
            })
            .collect();
        let diff_ids: Vec<_> = blobs.iter().map(|blob| &blob["digest"]).collect();
        let config = json!({
            "architecture": "amd64", "os": "linux", "config": {},
            "rootfs": {"type": "layers", "diff_ids": diff_ids},
        })
        .to_string();
        let size = config.len();
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": media_type::OCI_MANIFEST,
            "config": {"mediaType": media_type::OCI_CONFIG, "digest": self.push_blob(config), "size": size},
            "layers": blobs,
        });
        Ok(self.push_manifest(repository, Some(&tag), media_type::OCI_MANIFEST, manifest.to_string()))
    }

    /// Says when a tag was last moved; it is listed with that time from then on.
    pub fn set_pushed_at(&self, repository: &Repository, tag: &TagName, time: Timestamp) {
        if let Some(entry) = self.lock().repositories.get_mut(repository).and_then(|shelf| shelf.tags.get_mut(tag)) {
            entry.1 = Some(time);
        }
    }

    /// Removes a tag. Says whether it was there.
    pub fn delete_tag(&self, repository: &Repository, tag: &TagName) -> bool {
        self.lock().repositories.get_mut(repository).is_some_and(|shelf| shelf.tags.remove(tag).is_some())
    }

    /// Removes a manifest and all tags that lead to it. Says whether it was there.
    pub fn delete_manifest(&self, repository: &Repository, digest: &Digest) -> bool {
        self.lock().repositories.get_mut(repository).is_some_and(|shelf| {
            shelf.tags.retain(|_, (target, _)| target != digest);
            shelf.manifests.remove(digest.as_ref()).is_some()
        })
    }

    /// Removes a repository with all it holds. Says whether it was there.
    pub fn delete_repository(&self, repository: &Repository) -> bool {
        self.lock().repositories.remove(repository).is_some()
    }

    /// Replaces a blob's bytes and keeps its digest, as a broken disk does.
    pub fn corrupt_blob(&self, digest: &Digest, bytes: impl Into<Bytes>) {
        self.lock().blobs.insert(digest.to_string(), bytes.into());
    }

    /// Makes the next call fail with `error`. Several are used in the order they were given.
    pub fn fail_next(&self, error: Error) {
        self.lock().failures.push(error);
    }

    /// How often a blob was read.
    pub fn blob_reads(&self, digest: &Digest) -> usize {
        self.lock().blob_reads.get(digest.as_ref()).copied().unwrap_or_default()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic elsewhere cannot leave the maps half-written: each change is one call.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The state, unless a failure was asked for.
    fn enter(&self) -> Result<MutexGuard<'_, State>> {
        let mut state = self.lock();
        if state.failures.is_empty() {
            return Ok(state);
        }
        Err(state.failures.remove(0))
    }
}

impl State {
    fn shelf(&self, repository: &Repository) -> Result<&Shelf> {
        self.repositories.get(repository).ok_or_else(|| not_found(&format!("read repository {repository}")))
    }

    fn find(&self, repository: &Repository, target: &Target) -> Result<&ManifestDocument> {
        let shelf = self.shelf(repository)?;
        let missing = || not_found(&format!("read manifest {repository}{}{target}", target.separator()));
        let digest = match target {
            Target::Digest(digest) => digest,
            Target::Tag(tag) => &shelf.tags.get(tag).ok_or_else(missing)?.0,
        };
        shelf.manifests.get(digest.as_ref()).ok_or_else(missing)
    }
}

fn not_found(what: &str) -> Error {
    Error::new(ErrorKind::NotFound, format!("{what}: there is none"))
}

fn listed<T: Send + 'static>(items: Result<Vec<T>>) -> BoxStream<'static, Result<T>> {
    match items {
        Ok(items) => stream::iter(items.into_iter().map(Ok)).boxed(),
        Err(error) => stream::once(async { Err(error) }).boxed(),
    }
}

#[async_trait]
impl Registry for MemoryRegistry {
    fn host(&self) -> &str {
        &self.host
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            repositories: Listing::Complete,
            tag_digests: true,
            tag_times: true,
            push_referrers: true,
            local: false,
            sparse: false,
        }
    }

    async fn check(&self) -> Result<()> {
        self.enter().map(|_| ())
    }

    fn repositories(&self) -> BoxStream<'_, Result<Repository>> {
        listed(self.enter().map(|state| state.repositories.keys().cloned().collect()))
    }

    fn tags(&self, repository: &Repository) -> BoxStream<'_, Result<Tag>> {
        listed(self.enter().and_then(|state| {
            let tags = state.shelf(repository)?.tags.iter();
            Ok(tags
                .map(|(name, (digest, pushed_at))| Tag {
                    name: name.clone(),
                    digest: Some(digest.clone()),
                    pushed_at: *pushed_at,
                })
                .collect())
        }))
    }

    async fn resolve(&self, repository: &Repository, target: &Target) -> Result<Descriptor> {
        Ok(descriptor_of(self.enter()?.find(repository, target)?))
    }

    async fn manifest(&self, repository: &Repository, target: &Target) -> Result<ManifestDocument> {
        let state = self.enter()?;
        let found = state.find(repository, target)?;
        document::receive(found.bytes.clone(), Some(&found.media_type), target.digest(), Some(&found.digest))
    }

    async fn blob(&self, repository: &Repository, descriptor: &Descriptor, offset: u64) -> Result<Blob> {
        let mut state = self.enter()?;
        state.shelf(repository)?;
        let key = descriptor.digest().to_string();
        let Some(bytes) = state.blobs.get(&key).cloned() else { return Err(not_found(&format!("read blob {key}"))) };
        *state.blob_reads.entry(key).or_default() += 1;
        let start = usize::try_from(offset).unwrap_or(usize::MAX).min(bytes.len());
        let rest = bytes.slice(start..);
        Ok(Blob::from_stream(descriptor.clone(), offset, stream::once(async { Ok(rest) }).boxed()))
    }

    async fn blob_range(
        &self,
        repository: &Repository,
        descriptor: &Descriptor,
        range: Range<u64>,
    ) -> Result<Option<BoxStream<'static, Result<Bytes>>>> {
        let state = self.enter()?;
        state.shelf(repository)?;
        let key = descriptor.digest().to_string();
        let Some(bytes) = state.blobs.get(&key) else { return Err(not_found(&format!("read blob {key}"))) };
        let within = |offset: u64| usize::try_from(offset).unwrap_or(usize::MAX).min(bytes.len());
        let (start, end) = (within(range.start), within(range.end));
        let part = bytes.slice(start..end.max(start));
        Ok(Some(stream::once(async { Ok(part) }).boxed()))
    }

    fn referrers(&self, repository: &Repository, digest: &Digest) -> BoxStream<'_, Result<Descriptor>> {
        listed(self.enter().and_then(|state| {
            let mut found = Vec::new();
            for manifest in state.shelf(repository)?.manifests.values() {
                if let Some(descriptor) = referrer_of(manifest, digest) {
                    found.push(descriptor);
                }
            }
            found.sort_by_key(|descriptor| descriptor.digest().to_string());
            Ok(found)
        }))
    }

    async fn push_referrer(
        &self,
        repository: &Repository,
        subject: &Descriptor,
        referrer: &Referrer,
    ) -> Result<Descriptor> {
        drop(self.enter()?);
        self.push_blob(referrer.payload.clone());
        self.push_blob(crate::distribution::EMPTY_CONFIG);
        let manifest = crate::distribution::referrer_manifest(subject, referrer);
        let digest = self.push_manifest(repository, None, media_type::OCI_MANIFEST, manifest);
        self.resolve(repository, &Target::Digest(digest)).await
    }
}

/// The descriptor that the referrers list carries for `manifest`, if its subject is `digest`.
fn referrer_of(manifest: &ManifestDocument, digest: &Digest) -> Option<Descriptor> {
    #[derive(serde::Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Subject {
        subject: Option<Descriptor>,
        artifact_type: Option<String>,
    }
    let read: Subject = serde_json::from_slice(&manifest.bytes).ok()?;
    if read.subject?.digest() != digest {
        return None;
    }
    let artifact_type = read.artifact_type.or_else(|| match document::read(manifest) {
        Ok(Document::Image(image)) => Some(image.config().media_type().to_string()),
        _ => None,
    });
    let mut descriptor = descriptor_of(manifest);
    descriptor.set_artifact_type(artifact_type.map(|text| text.as_str().into()));
    Some(descriptor)
}
