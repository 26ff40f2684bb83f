//! The contract between supercargo and a registry.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::ops::Range;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::BoxStream;
use jiff::Timestamp;
use oci_spec::image::{Descriptor, Digest};
use supercargo_index::ManifestDocument;

use crate::distribution::referrer_manifest;
use crate::{Blob, DistributionClient, Repository, Result, TagName, Target};

/// A registry: what it holds, and how it is read.
///
/// Every call asks the registry anew; nothing is cached but credentials. All bytes come back verified, save
/// where [`Blob`] says otherwise. Lists are streams that fetch page by page; an error is a stream's last item.
///
/// | | `oci` | `layout` | `archive` | `memory` | `acr` | `artifactory` | `harbor` | `nexus` | `ecr` |
/// | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |
/// | lists repositories | where the registry has a catalog, or from the configuration | yes | yes | yes | as `oci`; an empty catalog is an error | yes, by queries; by the catalog where they are refused | yes, what the user or robot may see | yes, where the user may browse | yes; of ECR Public from the configuration |
/// | names a tag's digest in the list | no | yes | yes | yes | with the right to read metadata | by queries | yes | yes, unless searching is refused | yes; not of ECR Public, nor with docker's credentials |
/// | names a tag's time in the list | no | no | no | if it was given | with the right to read metadata | by queries | yes | yes, as the digest | when its image was pushed; else as the digest |
/// | lists the tag that moved last first | no | no | no | no | with the right to read metadata | no | no | no | no |
/// | lists what is new in all repositories | no | no | no | no | no | by queries | no | no | no |
/// | takes referrers | yes | no | no | yes | yes | yes | yes | yes | yes |
/// | gives parts of blobs | where the registry does | no | no | yes | yes | where the registry does | yes | yes | yes |
///
/// An adapter is right when it passes the [conformance suite](crate::conformance).
#[async_trait]
pub trait Registry: Debug + Send + Sync {
    /// The name under which the registry's images are known: `registry.example.com`, `localhost:5000`,
    /// `docker.io`. Local adapters have a word of their own.
    fn host(&self) -> &str;

    /// What this adapter can do, and what it cannot.
    fn capabilities(&self) -> Capabilities;

    /// Whether the registry answers and takes the credentials.
    ///
    /// # Errors
    /// Those of any request; [`Unauthorized`](crate::ErrorKind::Unauthorized) if the credentials are not good.
    async fn check(&self) -> Result<()>;

    /// The repositories, as the configuration's filter lets them through.
    fn repositories(&self) -> BoxStream<'_, Result<Repository>>;

    /// Whether [`Registry::tags`] begins with the tag that moved last, and goes back in time from there: who has seen
    /// all that came before a time need not read on.
    fn lists_newest_first(&self) -> bool {
        false
    }

    /// The tags of a repository, in the registry's order.
    /// [`NotFound`](crate::ErrorKind::NotFound) if there is no such repository, where the registry can tell.
    fn tags(&self, repository: &Repository) -> BoxStream<'_, Result<Tag>>;

    /// The tags of all repositories that are listed and that were pushed or moved at `since` or later, or ever; the
    /// newest first where the registry can sort. `None` if the registry has no such list: then there is
    /// [`tags`](Self::tags) for each repository.
    ///
    /// A poll asks with the newest [`Tag::pushed_at`] it has seen and finds that row again and no other, in one request
    /// or two. What was deleted is not in such a list. A row may come twice, with different times.
    fn tags_since(&self, _since: Option<Timestamp>) -> Option<BoxStream<'_, Result<(Repository, Tag)>>> {
        None
    }

    /// What a tag or a digest leads to now: media type, digest and size of a manifest or an index.
    ///
    /// # Errors
    /// [`NotFound`](crate::ErrorKind::NotFound) is the registry's own word that it is gone, never a guess.
    async fn resolve(&self, repository: &Repository, target: &Target) -> Result<Descriptor>;

    /// The bytes of a manifest or an index, verified against the digest.
    ///
    /// # Errors
    /// [`NotFound`](crate::ErrorKind::NotFound); [`DigestMismatch`](crate::ErrorKind::DigestMismatch);
    /// [`LimitExceeded`](crate::ErrorKind::LimitExceeded) over 8 MiB.
    async fn manifest(&self, repository: &Repository, target: &Target) -> Result<ManifestDocument>;

    /// A blob from byte `offset` to its end. A descriptor's `urls` are never followed.
    ///
    /// # Errors
    /// [`NotFound`](crate::ErrorKind::NotFound). Failures on the way are items of the stream.
    async fn blob(&self, repository: &Repository, descriptor: &Descriptor, offset: u64) -> Result<Blob>;

    /// The bytes of a blob from `range.start` to before `range.end`, unverified: whoever reads parts must know what they
    /// should be. `None` if blobs come from their beginning only, which an adapter may also learn from the registry's
    /// answer.
    ///
    /// # Errors
    /// As [`blob`](Self::blob).
    async fn blob_range(
        &self,
        _repository: &Repository,
        _descriptor: &Descriptor,
        _range: Range<u64>,
    ) -> Result<Option<BoxStream<'static, Result<Bytes>>>> {
        Ok(None)
    }

    /// The manifests whose subject is `digest`, with their artefact types. Empty if there are none.
    fn referrers(&self, repository: &Repository, digest: &Digest) -> BoxStream<'_, Result<Descriptor>>;

    /// Attaches `referrer` to `subject` and returns the descriptor of the new manifest.
    ///
    /// # Errors
    /// [`Unsupported`](crate::ErrorKind::Unsupported) if [`Capabilities::push_referrers`] is false.
    async fn push_referrer(
        &self,
        repository: &Repository,
        subject: &Descriptor,
        referrer: &Referrer,
    ) -> Result<Descriptor>;

    /// The client of the distribution protocol beneath, where there is one: its connection can then be
    /// [diagnosed](crate::diagnose), and what is left of a [quota](crate::RegistryExt::quota) be read.
    fn distribution(&self) -> Option<&DistributionClient> {
        None
    }
}

/// What an adapter can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capabilities {
    /// How repositories are found.
    pub repositories: Listing,
    /// [`Tag::digest`] is there.
    pub tag_digests: bool,
    /// [`Tag::pushed_at`] is there.
    pub tag_times: bool,
    /// [`Registry::push_referrer`] works.
    pub push_referrers: bool,
    /// Blobs are read from this machine.
    pub local: bool,
    /// An index may name manifests that are not here, as in the archive of one platform.
    pub sparse: bool,
}

/// How an adapter finds repositories.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listing {
    /// All are listed.
    Complete,
    /// Those that the configuration names.
    Configured,
    /// By the registry's catalog, which it may refuse or leave empty; name the repositories if it does.
    Catalog,
}

/// A tag in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tag {
    /// Its name.
    pub name: TagName,
    /// What it leads to, where the list says so. It saves a request per tag.
    pub digest: Option<Digest>,
    /// When it was last moved, where the list says so.
    pub pushed_at: Option<Timestamp>,
}

impl From<TagName> for Tag {
    fn from(name: TagName) -> Self {
        Self { name, digest: None, pushed_at: None }
    }
}

/// A document to attach to a manifest (distribution-spec, *pushing manifests with subject*).
#[derive(Clone, Debug)]
pub struct Referrer {
    /// What it is, such as `application/spdx+json`.
    pub artifact_type: String,
    /// The media type of `payload`.
    pub media_type: String,
    /// The document.
    pub payload: Bytes,
    /// Annotations of the manifest.
    pub annotations: BTreeMap<String, String>,
}

impl Referrer {
    /// The descriptor that it has once it is attached to `subject`: the same document on the same subject is the same
    /// manifest, so that whoever finds this digest among the referrers need not attach it again.
    pub fn descriptor(&self, subject: &Descriptor) -> Descriptor {
        let manifest = referrer_manifest(subject, self);
        let digest = crate::digest::sha256(manifest.as_bytes());
        let mut descriptor = Descriptor::new(crate::media_type::OCI_MANIFEST.into(), manifest.len() as u64, digest);
        descriptor.set_artifact_type(Some(self.artifact_type.as_str().into()));
        descriptor
    }
}
