//! Documents in a folder or an object store.
//!
//! | Path below the address | is |
//! | --- | --- |
//! | `documents/sha256/<hex>.<spdx.json, cdx.json, scout.json>` | a document under the digest of its bytes |
//! | `index/<registry>/<repository>/_digests/<sha256-hex>.json` | which document an image has |
//! | `index/<registry>/<repository>/_tags/<tag>/<os-architecture>.json` | which image and document a tag leads to |
//!
//! No part of a repository's name begins with `_`, so that nothing of one can be mistaken for another's.

#[cfg(any(feature = "s3", feature = "azure-blob", feature = "gcs"))]
mod connector;
mod location;

use std::sync::Arc;

use bytes::Bytes;
use futures_util::TryStreamExt as _;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt as _};
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use supercargo_registry::Secret;
use supercargo_registry::index::Digest;

use super::{Consignment, DocumentFormat, Gone, IndexedImage, News, Order, Outcome, Preview, Sink, SinkCapabilities};
use crate::{Error, ErrorKind, Result};

/// Where documents are put, and in which form.
#[derive(Clone, Debug)]
pub struct FilesConfig {
    /// A folder's path, or a URL: `file:///srv/sboms`, `s3://bucket/path`, `az://container/path`,
    /// `gs://bucket/path`.
    pub location: String,
    /// Settings of the object store as `object_store` names them: `aws_region`, `azure_storage_account_name`, …
    pub settings: Vec<(String, Secret)>,
    /// The same from the environment: what comes after them, and is passed over where it means nothing.
    pub environment: Vec<(String, Secret)>,
    /// The form.
    pub format: DocumentFormat,
}

/// A folder or an object store.
#[derive(Debug)]
pub struct FilesSink {
    store: Arc<dyn ObjectStore>,
    /// What is below it belongs to this sink.
    root: Path,
    shown: String,
    format: DocumentFormat,
}

/// A line of the index.
#[derive(Serialize)]
struct Entry<'a> {
    registry: &'a str,
    repository: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    tag: Option<&'a str>,
    image: &'a Digest,
    platform: String,
    format: &'static str,
    document: String,
    packages: usize,
    indexer: &'a str,
}

impl FilesSink {
    /// A folder, which is made if it is not there, or an object store.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Configuration`] if the address or a setting makes no sense, or needs a feature that this build has
    /// not.
    pub fn open(config: &FilesConfig) -> Result<Self> {
        let (store, root) = location::open(config)?;
        Ok(Self { store, root, shown: config.location.clone(), format: config.format })
    }

    fn path<'a>(&self, parts: impl IntoIterator<Item = &'a str>) -> Path {
        parts.into_iter().fold(self.root.clone(), |path, part| path.join(part))
    }

    fn document_path(&self, document: &[u8]) -> Path {
        let hex: String = Sha256::digest(document).iter().map(|byte| format!("{byte:02x}")).collect();
        self.path(["documents", "sha256", &format!("{hex}.{}", self.format.extension())])
    }

    /// The part of the index that is a repository's.
    fn index(&self, consignment: &Consignment, rest: &[&str]) -> Path {
        let repository = &consignment.repository;
        let parts = ["index", repository.registry.as_str()].into_iter().chain(repository.repository.split('/'));
        self.path(parts.chain(rest.iter().copied()))
    }

    fn digest_path(&self, consignment: &Consignment) -> Path {
        let digest = &consignment.digest;
        self.index(consignment, &["_digests", &format!("{}-{}.json", digest.algorithm(), digest.digest())])
    }

    async fn put(&self, consignment: &Consignment, image: &IndexedImage) -> Result<Outcome> {
        let document = self.format.write_untagged(image)?;
        let path = self.document_path(&document);
        let mut outcome = Outcome::Unchanged;
        if !self.has(&path).await? {
            self.write(&path, document).await?;
            outcome = Outcome::Delivered;
        }
        let platform = image.metadata.image().map(|image| image.platform.to_string()).unwrap_or_default();
        let entry = |tag| Entry {
            registry: &consignment.repository.registry,
            repository: &consignment.repository.repository,
            tag,
            image: &consignment.digest,
            platform: platform.clone(),
            format: self.format.as_str(),
            document: self.below_root(&path),
            packages: image.metadata.package_count(),
            indexer: &image.metadata.indexer,
        };
        let mut entries = vec![(self.digest_path(consignment), entry(None))];
        let file = format!("{}.json", platform.replace('/', "-"));
        for tag in &image.tags {
            entries.push((self.index(consignment, &["_tags", tag, &file]), entry(Some(tag))));
        }
        for (path, entry) in entries {
            let line = serde_json::to_vec(&entry)
                .map_err(|error| Error::new(ErrorKind::Rejected, "write the index").with_source(error))?;
            if self.read(&path).await?.is_none_or(|known| known != line) {
                self.write(&path, line.into()).await?;
                outcome = Outcome::Delivered;
            }
        }
        Ok(outcome)
    }

    fn below_root(&self, path: &Path) -> String {
        let parts: Vec<String> =
            path.parts().skip(self.root.parts().count()).map(|part| part.as_ref().to_owned()).collect();
        parts.join("/")
    }

    /// Documents stay: others may have the same, and whoever collects them has a history.
    async fn remove(&self, consignment: &Consignment, gone: &Gone) -> Result<Outcome> {
        let mut paths = Vec::new();
        if gone.tag.is_none() {
            paths.push(self.digest_path(consignment));
        }
        for tag in gone.tag.iter().chain(&gone.tags) {
            let folder = self.index(consignment, &["_tags", tag]);
            let listed: Vec<_> =
                self.store.list(Some(&folder)).try_collect().await.map_err(|error| self.failed("list", error))?;
            paths.extend(listed.into_iter().map(|found| found.location));
        }
        let mut outcome = Outcome::Unchanged;
        for path in paths {
            match self.store.delete(&path).await {
                Ok(()) => outcome = Outcome::Delivered,
                Err(object_store::Error::NotFound { .. }) => {}
                Err(error) => return Err(self.failed("delete from", error)),
            }
        }
        Ok(outcome)
    }

    async fn has(&self, path: &Path) -> Result<bool> {
        match self.store.head(path).await {
            Ok(_) => Ok(true),
            Err(object_store::Error::NotFound { .. }) => Ok(false),
            Err(error) => Err(self.failed("look into", error)),
        }
    }

    async fn read(&self, path: &Path) -> Result<Option<Bytes>> {
        let found = async { self.store.get(path).await?.bytes().await };
        match found.await {
            Ok(bytes) => Ok(Some(bytes)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(self.failed("read from", error)),
        }
    }

    /// Whole or not at all, on every store: a folder's file is written beside its place and renamed.
    async fn write(&self, path: &Path, bytes: Bytes) -> Result<()> {
        self.store.put(path, bytes.into()).await.map(drop).map_err(|error| self.failed("write to", error))
    }

    fn failed(&self, what: &str, error: object_store::Error) -> Error {
        use object_store::Error as Store;
        let kind = match &error {
            Store::PermissionDenied { .. } | Store::Unauthenticated { .. } => ErrorKind::Denied,
            // A bucket that is not there.
            Store::NotFound { .. } => ErrorKind::Denied,
            Store::InvalidPath { .. } | Store::NotSupported { .. } | Store::NotImplemented { .. } => {
                ErrorKind::Rejected
            }
            _ => ErrorKind::Unreachable,
        };
        Error::new(kind, format!("{what} {}", self.shown)).with_source(error)
    }
}

#[async_trait::async_trait]
impl Sink for FilesSink {
    fn kind(&self) -> &'static str {
        "files"
    }

    fn capabilities(&self) -> SinkCapabilities {
        SinkCapabilities { gone: true, order: Order::Repository }
    }

    async fn deliver(&self, consignment: &Consignment) -> Result<Outcome> {
        match &consignment.news {
            News::Indexed(image) => self.put(consignment, image).await,
            News::Gone(gone) => self.remove(consignment, gone).await,
        }
    }

    fn preview(&self, consignment: &Consignment) -> Result<Preview> {
        let (target, body) = match &consignment.news {
            News::Indexed(image) => {
                let document = self.format.write_untagged(image)?;
                (self.document_path(&document), document)
            }
            News::Gone(_) => (self.digest_path(consignment), Bytes::new()),
        };
        Ok(Preview { target: format!("{} in {}", self.below_root(&target), self.shown), body })
    }
}
