//! What the registry holds.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use bytes::Bytes;
use serde::Deserialize;

use crate::{Artifact, Descriptor};

/// A manifest as it was pushed.
#[derive(Debug, Clone)]
pub(super) struct StoredManifest {
    pub(super) media_type: String,
    pub(super) bytes: Bytes,
}

/// The parts of any manifest that a registry looks at.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct ManifestParts {
    pub(super) media_type: Option<String>,
    pub(super) artifact_type: Option<String>,
    pub(super) config: Option<Descriptor>,
    pub(super) layers: Vec<Descriptor>,
    pub(super) manifests: Vec<Descriptor>,
    pub(super) subject: Option<Descriptor>,
    pub(super) annotations: BTreeMap<String, String>,
}

/// One repository. Blobs are linked to the repositories that may read them.
#[derive(Debug, Default)]
pub(super) struct Repository {
    pub(super) blobs: BTreeSet<String>,
    pub(super) manifests: BTreeMap<String, StoredManifest>,
    pub(super) tags: BTreeMap<String, String>,
}

impl Repository {
    /// The digest that a tag or a digest names.
    pub(super) fn resolve(&self, reference: &str) -> Option<&str> {
        let digest = self.tags.get(reference).map_or(reference, String::as_str);
        self.manifests.get_key_value(digest).map(|(digest, _)| digest.as_str())
    }
}

/// An upload that has not been closed.
#[derive(Debug)]
pub(super) struct Upload {
    pub(super) repository: String,
    pub(super) bytes: Vec<u8>,
}

/// Everything that the registry holds.
#[derive(Debug, Default)]
pub(super) struct Content {
    pub(super) blobs: HashMap<String, Bytes>,
    pub(super) repositories: BTreeMap<String, Repository>,
    pub(super) uploads: HashMap<String, Upload>,
    uploads_started: u64,
}

/// What a delete took away.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Deleted {
    /// The manifest, unless only a tag went.
    pub(super) digest: Option<String>,
    /// The tags, also those that went with their manifest.
    pub(super) tags: Vec<String>,
}

impl Content {
    /// Stores all of an artifact as it is, also what a push would refuse.
    pub(super) fn store(&mut self, artifact: &dyn Artifact, repository: &str, tag: &str) {
        let repository = self.repositories.entry(repository.into()).or_default();
        for blob in artifact.blobs() {
            repository.blobs.insert(blob.digest().into());
            self.blobs.insert(blob.digest().into(), blob.bytes.clone());
        }
        for manifest in artifact.manifests() {
            let stored =
                StoredManifest { media_type: manifest.descriptor.media_type.clone(), bytes: manifest.bytes.clone() };
            repository.manifests.insert(manifest.digest().into(), stored);
        }
        repository.tags.insert(tag.into(), artifact.root().digest().into());
    }

    /// A blob that `repository` may read.
    pub(super) fn blob(&self, repository: &str, digest: &str) -> Option<Bytes> {
        let linked = self.repositories.get(repository)?.blobs.contains(digest);
        linked.then(|| self.blobs.get(digest).cloned())?
    }

    /// Stores a blob that a client pushed.
    pub(super) fn put_blob(&mut self, repository: &str, digest: &str, bytes: Bytes) {
        self.repositories.entry(repository.into()).or_default().blobs.insert(digest.into());
        self.blobs.insert(digest.into(), bytes);
    }

    /// Opens an upload and names it.
    pub(super) fn start_upload(&mut self, repository: &str) -> String {
        self.uploads_started += 1;
        let session = format!("00000000-0000-4000-8000-{:012x}", self.uploads_started);
        self.uploads.insert(session.clone(), Upload { repository: repository.into(), bytes: Vec::new() });
        session
    }

    /// Takes away a tag.
    pub(super) fn delete_tag(&mut self, repository: &str, tag: &str) -> Option<Deleted> {
        self.repositories.get_mut(repository)?.tags.remove(tag)?;
        Some(Deleted { digest: None, tags: vec![tag.into()] })
    }

    /// Takes away a manifest and the tags that point to it.
    pub(super) fn delete_manifest(&mut self, repository: &str, digest: &str) -> Option<Deleted> {
        let repository = self.repositories.get_mut(repository)?;
        repository.manifests.remove(digest)?;
        let tags: Vec<String> =
            repository.tags.iter().filter(|(_, target)| *target == digest).map(|(tag, _)| tag.clone()).collect();
        repository.tags.retain(|_, target| target != digest);
        Some(Deleted { digest: Some(digest.into()), tags })
    }
}
