//! What every adapter must do, as a suite to run against one.
//!
//! Push [`Fixture::sample`] into a registry by its own means, open it with the adapter, and call [`run`]. The
//! functions panic where the adapter does otherwise than [`Registry`] says, with what was expected.
//!
//! ```
//! use std::sync::Arc;
//! use supercargo_registry::conformance::{self, Fixture};
//! use supercargo_registry::{MemoryRegistry, Registry};
//!
//! # let runtime = tokio::runtime::Builder::new_current_thread().build()?;
//! # runtime.block_on(async {
//! let fixture = Fixture::sample();
//! let twin = MemoryRegistry::new("registry.test");
//! for blob in &fixture.blobs {
//!     twin.push_blob(blob.clone());
//! }
//! for manifest in &fixture.manifests {
//!     twin.push_manifest(&fixture.repository, manifest.tag.as_ref(), &manifest.media_type, manifest.bytes.clone());
//! }
//! let registry: Arc<dyn Registry> = Arc::new(twin);
//! conformance::run(&registry, &fixture).await;
//! # });
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod fixture;

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt};
use supercargo_index::{ImageManifest, ImageSource, LayerBlob};

use crate::registry::{Listing, Referrer, Registry};
use crate::{Descriptor, Digest, ErrorKind, RegistryExt, Repository, TagName, Target, digest};

pub use fixture::{Fixture, FixtureManifest};

/// The whole suite, against a registry that holds `fixture`.
pub async fn run(registry: &Arc<dyn Registry>, fixture: &Fixture) {
    let reader = registry.as_ref();
    assert!(!reader.host().is_empty(), "the host has a name");
    reader.check().await.expect("check() succeeds");
    lists(reader, fixture).await;
    news(reader, fixture).await;
    manifests(reader, fixture).await;
    missing(reader, fixture).await;
    blobs(reader, fixture).await;
    images(reader, fixture).await;
    source(registry, fixture).await;
    referrers(reader, fixture).await;
}

/// The repository and its tags are listed, each once.
pub async fn lists(registry: &dyn Registry, fixture: &Fixture) {
    if registry.capabilities().repositories != Listing::Configured {
        let repositories: Vec<_> = registry.repositories().try_collect().await.expect("repositories are listed");
        let found = repositories.iter().filter(|repository| **repository == fixture.repository).count();
        assert_eq!(found, 1, "{} is listed once among {repositories:?}", fixture.repository);
    }
    let tags: Vec<_> = registry.tags(&fixture.repository).try_collect().await.expect("tags are listed");
    let names: BTreeSet<_> = tags.iter().map(|tag| tag.name.clone()).collect();
    assert_eq!(names.len(), tags.len(), "no tag is listed twice");
    assert_eq!(names, fixture.tags().map(|(tag, _)| tag.clone()).collect(), "all tags are listed");
    for tag in tags {
        assert_eq!(
            tag.digest.is_some(),
            registry.capabilities().tag_digests,
            "capabilities().tag_digests is true to the list"
        );
        let (_, manifest) = fixture.tags().find(|(name, _)| **name == tag.name).expect("it was compared above");
        assert!(tag.digest.is_none_or(|digest| digest == manifest.digest()), "{} leads to its manifest", tag.name);
    }
}

/// Where the adapter lists what is new everywhere: all tags are, from the beginning of time.
pub async fn news(registry: &dyn Registry, fixture: &Fixture) {
    let Some(all) = registry.tags_since(None) else { return };
    let all: Vec<_> = all.try_collect().await.expect("what is new is listed");
    let here = all.iter().filter(|(repository, _)| *repository == fixture.repository);
    let found: BTreeSet<_> = here.clone().map(|(_, tag)| tag.name.clone()).collect();
    assert_eq!(found, fixture.tags().map(|(tag, _)| tag.clone()).collect(), "all tags are listed");
    for (_, tag) in here {
        let (_, manifest) = fixture.tags().find(|(name, _)| **name == tag.name).expect("it was compared above");
        assert!(tag.digest.as_ref().is_none_or(|digest| *digest == manifest.digest()), "{} leads there", tag.name);
        assert!(tag.pushed_at.is_some(), "{} has a time", tag.name);
    }
    let future = "2200-01-01T00:00:00Z".parse().expect("a time");
    if let Some(newer) = registry.tags_since(Some(future)) {
        let newer: Vec<_> = newer.try_collect().await.expect("what is new is listed");
        assert!(newer.is_empty(), "nothing is from the future");
    }
}

/// Tags and digests resolve, and lead to the same bytes.
pub async fn manifests(registry: &dyn Registry, fixture: &Fixture) {
    for manifest in &fixture.manifests {
        let mut targets = vec![Target::Digest(manifest.digest())];
        targets.extend(manifest.tag.clone().map(Target::Tag));
        for target in targets {
            let descriptor = registry.resolve(&fixture.repository, &target).await.expect("it resolves");
            assert_eq!(descriptor.digest(), &manifest.digest(), "{target} resolves to its digest");
            assert_eq!(descriptor.size(), manifest.bytes.len() as u64, "{target} resolves with its size");
            assert_eq!(descriptor.media_type().as_ref(), manifest.media_type, "{target} resolves with its media type");
            let read = registry.manifest(&fixture.repository, &target).await.expect("it is read");
            assert_eq!(read.bytes, manifest.bytes, "{target} has its bytes");
            assert_eq!(read.digest, manifest.digest(), "{target} has its digest");
            assert_eq!(read.media_type, manifest.media_type, "{target} has its media type");
        }
    }
}

/// What is not there is `NotFound`, and not to be tried again.
pub async fn missing(registry: &dyn Registry, fixture: &Fixture) {
    let nothing = digest::sha256(b"nothing has these bytes");
    let nowhere: Repository = "conformance/nowhere".parse().expect("a name");
    let tag: TagName = "no-such-tag".parse().expect("a tag");
    let check = |what: &str, error: crate::Error| {
        assert_eq!(error.kind(), ErrorKind::NotFound, "{what} is not found: {error}");
        assert!(!error.is_retryable(), "{what} does not appear by waiting");
    };
    for target in [Target::Tag(tag.clone()), Target::Digest(nothing.clone())] {
        check("a target", registry.resolve(&fixture.repository, &target).await.expect_err("nothing resolves"));
        check("a manifest", registry.manifest(&fixture.repository, &target).await.expect_err("nothing is read"));
    }
    check("a repository", registry.resolve(&nowhere, &Target::Tag(tag)).await.expect_err("nothing resolves"));
    let descriptor = Descriptor::new(crate::media_type::OCI_LAYER.into(), 3, nothing);
    check("a blob", registry.blob(&fixture.repository, &descriptor, 0).await.expect_err("nothing is opened"));
    // Some registries cannot tell a repository without tags from none.
    match registry.tags(&nowhere).try_collect::<Vec<_>>().await {
        Ok(tags) => assert!(tags.is_empty(), "a repository that is not there has no tags"),
        Err(error) => check("a repository", error),
    }
}

/// Blobs are read whole and from an offset, and are held to their descriptor.
pub async fn blobs(registry: &dyn Registry, fixture: &Fixture) {
    for bytes in &fixture.blobs {
        let size = bytes.len() as u64;
        let descriptor = Descriptor::new(crate::media_type::OCI_LAYER.into(), size, digest::sha256(bytes));
        for offset in BTreeSet::from([0, size / 2, size.saturating_sub(1), size]) {
            let blob = registry.blob(&fixture.repository, &descriptor, offset).await.expect("the blob is opened");
            assert_eq!(blob.size(), size - offset, "its size is what is left");
            let read = blob.into_bytes(size).await.expect("the blob is read");
            let start = usize::try_from(offset).expect("the fixture is small");
            assert_eq!(read, bytes[start..], "the bytes from {offset} on");
            // An adapter that gives no parts says so every time.
            let range = offset / 2..offset;
            let part = registry.blob_range(&fixture.repository, &descriptor, range.clone()).await;
            if let Some(part) = part.expect("a part is opened or refused") {
                let read = part.try_collect::<Vec<_>>().await.expect("the part is read").concat();
                assert_eq!(read, bytes[start / 2..start], "the bytes {range:?}");
            }
        }
        for wrong in [size + 1, size.saturating_sub(1)].into_iter().filter(|wrong| *wrong != size) {
            let lying = Descriptor::new(crate::media_type::OCI_LAYER.into(), wrong, digest::sha256(bytes));
            let error = match registry.blob(&fixture.repository, &lying, 0).await {
                Ok(blob) => blob.into_bytes(size + 1).await.expect_err("a blob of another size is refused"),
                Err(error) => error,
            };
            assert_eq!(error.kind(), ErrorKind::DigestMismatch, "{wrong} bytes instead of {size}: {error}");
        }
    }
}

/// A reference leads to one image per platform; attestations and artefacts are told from images.
pub async fn images(registry: &dyn Registry, fixture: &Fixture) {
    for expected in &fixture.expected {
        let target = Target::Tag(expected.tag.clone());
        let set = registry.images(&fixture.repository, &target).await.expect("the images are listed");
        let found: Vec<&Digest> = set.images.iter().map(|image| image.descriptor.digest()).collect();
        assert_eq!(found, expected.images.iter().collect::<Vec<_>>(), "the images of {target}");
        let found: Vec<&Digest> = set.attestations.iter().map(|attestation| attestation.descriptor.digest()).collect();
        assert_eq!(found, expected.attestations.iter().collect::<Vec<_>>(), "the attestations of {target}");
        let found: Vec<&Digest> = set.unsupported.iter().map(|other| &other.digest).collect();
        assert_eq!(found, expected.unsupported.iter().collect::<Vec<_>>(), "what is no image of {target}");
        assert!(set.unsupported.iter().all(|other| !other.reason.is_empty()), "each with a reason");
    }
}

/// An image gives the indexer its manifest, configuration and layers.
pub async fn source(registry: &Arc<dyn Registry>, fixture: &Fixture) {
    for expected in &fixture.expected {
        let set =
            registry.images(&fixture.repository, &Target::Tag(expected.tag.clone())).await.expect("images are listed");
        for found in set.images {
            let image = registry.image(found).with_tags([expected.tag.clone()]);
            assert_eq!(image.tags(), [expected.tag.to_string()], "it knows its tags");
            assert!(image.name().ends_with(fixture.repository.as_str()), "it knows its name");
            let manifest = image.manifest().await.expect("the manifest is read");
            let manifest: ImageManifest =
                serde_json::from_slice(&manifest.bytes).expect("the fixture's manifests are sound");
            let config = image.config(manifest.config()).await.expect("the configuration is read");
            assert_eq!(&digest::sha256(&config), manifest.config().digest(), "the configuration is the one");
            for layer in manifest.layers() {
                let bytes = drain(image.open_layer(layer).await.expect("the layer is opened")).await;
                assert_eq!(&digest::sha256(&bytes), layer.digest(), "the layer is the one");
            }
        }
    }
}

/// Referrers are listed, and attached where the adapter can.
pub async fn referrers(registry: &dyn Registry, fixture: &Fixture) {
    let target = Target::Tag(fixture.expected[0].tag.clone());
    let subject = registry.resolve(&fixture.repository, &target).await.expect("the subject resolves");
    let list = || async {
        let stream = registry.referrers(&fixture.repository, subject.digest());
        stream.try_collect::<Vec<_>>().await.expect("referrers are listed")
    };
    assert!(list().await.is_empty(), "nothing is attached yet");
    let referrer = Referrer {
        artifact_type: "application/vnd.example.note".to_owned(),
        media_type: "text/plain".to_owned(),
        payload: Bytes::from_static(b"a note"),
        annotations: [("org.example.key".to_owned(), "value".to_owned())].into(),
    };
    let pushed = registry.push_referrer(&fixture.repository, &subject, &referrer).await;
    if !registry.capabilities().push_referrers {
        let error = pushed.expect_err("the adapter says that it cannot attach");
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
        return;
    }
    let pushed = pushed.expect("it is attached");
    let listed = list().await;
    assert_eq!(listed.iter().map(Descriptor::digest).collect::<Vec<_>>(), [pushed.digest()], "it is listed");
    let artifact_type = listed[0].artifact_type().as_ref().map(ToString::to_string);
    assert_eq!(artifact_type.as_deref(), Some("application/vnd.example.note"), "with its type");
    let again = registry.push_referrer(&fixture.repository, &subject, &referrer).await.expect("it is attached again");
    assert_eq!(again.digest(), pushed.digest(), "the same thing twice is one thing");
    assert_eq!(list().await.len(), 1, "and is listed once");
    let set =
        registry.images(&fixture.repository, &Target::Digest(pushed.digest().clone())).await.expect("it is sorted");
    assert!(set.images.is_empty(), "what is attached is no image");
}

/// All bytes of a layer as the indexer gets it.
async fn drain(layer: LayerBlob) -> Vec<u8> {
    let mut bytes = Vec::new();
    match layer {
        LayerBlob::Stream(mut stream) => {
            while let Some(chunk) = stream.next().await {
                bytes.extend_from_slice(&chunk.expect("the layer is read"));
            }
        }
        LayerBlob::Reader(mut reader) => {
            std::io::Read::read_to_end(&mut reader, &mut bytes).expect("the layer is read");
        }
    }
    bytes
}
