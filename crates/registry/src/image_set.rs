//! What a reference holds: the images behind it, one per platform, and what is none.

use std::collections::HashSet;

use oci_spec::image::{Descriptor, Digest};
use supercargo_index::{ManifestDocument, Platform};

use crate::document::{self, Document};
use crate::registry::Registry;
use crate::{Error, ErrorKind, Repository, Result, Target, media_type};

/// Manifests that one reference may lead to. The widest public indexes name about 60, with attestations.
const MANIFESTS: usize = 1000;
/// Indexes within indexes. The specification allows nesting and sets no bound; tools write two levels at most.
const DEPTH: usize = 4;

/// Bytes of all manifests that one reference leads to and that must be fetched to be sorted.
const FETCHED: usize = 32 << 20;

/// BuildKit's annotation on the entries of an index that are not images (moby/buildkit
/// `docs/attestations/attestation-storage.md`).
const REFERENCE_TYPE: &str = "vnd.docker.reference.type";
const REFERENCE_DIGEST: &str = "vnd.docker.reference.digest";

/// Everything that a reference leads to.
#[derive(Clone, Debug)]
pub struct ImageSet {
    /// What the reference itself resolves to.
    pub root: Descriptor,
    /// The images, one per platform, in the order of the index.
    pub images: Vec<PlatformImage>,
    /// What is there and is not an image that can be indexed.
    pub unsupported: Vec<Unsupported>,
    /// Attestation manifests, with the image each is about.
    pub attestations: Vec<Attestation>,
}

impl ImageSet {
    /// The image for `platform`, or the only one there is.
    pub fn for_platform(&self, platform: &Platform) -> Option<&PlatformImage> {
        let named = |image: &&PlatformImage| image.platform.as_ref().is_some_and(|other| platform.accepts(other));
        self.images.iter().find(named).or(match self.images.as_slice() {
            // A manifest outside an index names its platform in the configuration only.
            [only] if only.platform.is_none() => Some(only),
            _ => None,
        })
    }
}

impl ImageSet {
    /// The attestation manifests that are about the manifest of this digest.
    pub fn attestations_of(&self, subject: &Digest) -> impl Iterator<Item = &Descriptor> {
        let about = move |attestation: &&Attestation| attestation.subject.as_ref() == Some(subject);
        self.attestations.iter().filter(about).map(|attestation| &attestation.descriptor)
    }

    fn hand_out_attestations(&mut self) {
        let mut images = std::mem::take(&mut self.images);
        for image in &mut images {
            image.attestations = self.attestations_of(image.descriptor.digest()).cloned().collect();
        }
        self.images = images;
    }
}

/// One platform's image.
#[derive(Clone, Debug)]
pub struct PlatformImage {
    /// Where it is.
    pub repository: Repository,
    /// Its manifest.
    pub descriptor: Descriptor,
    /// Its platform, if an index names it; else the configuration does.
    pub platform: Option<Platform>,
    /// The manifest's bytes, where finding out already fetched them.
    pub manifest: Option<ManifestDocument>,
    /// The attestation manifests that an index lists for it.
    pub attestations: Vec<Descriptor>,
}

/// A manifest that is not an image supercargo can index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unsupported {
    /// The manifest.
    pub digest: Digest,
    /// Why, for a person to read.
    pub reason: String,
}

/// A manifest of statements about an image.
#[derive(Clone, Debug)]
pub struct Attestation {
    /// The attestation manifest. Fetch it by this digest.
    pub descriptor: Descriptor,
    /// The image that it is about, where it says so in a well-formed way.
    pub subject: Option<Digest>,
}

/// Walks from `target` to the images.
pub(crate) async fn collect<R: Registry + ?Sized>(
    registry: &R,
    repository: &Repository,
    target: &Target,
) -> Result<ImageSet> {
    let manifest = registry.manifest(repository, target).await?;
    let root = descriptor_of(&manifest);
    let mut walk = Walk {
        registry,
        repository,
        seen: HashSet::from([root.digest().to_string()]),
        fetched: 0,
        set: ImageSet { root: root.clone(), images: Vec::new(), unsupported: Vec::new(), attestations: Vec::new() },
    };
    let mut level = vec![(root, manifest)];
    for _ in 0..=DEPTH {
        let mut below = Vec::new();
        for (descriptor, manifest) in level {
            below.extend(walk.visit(descriptor, manifest).await?);
        }
        if below.is_empty() {
            walk.set.hand_out_attestations();
            return Ok(walk.set);
        }
        level = below;
    }
    Err(Error::new(
        ErrorKind::LimitExceeded,
        format!("list the images of {repository}{}{target}: indexes nest deeper than {DEPTH}", target.separator()),
    ))
}

struct Walk<'a, R: ?Sized> {
    registry: &'a R,
    repository: &'a Repository,
    seen: HashSet<String>,
    fetched: usize,
    set: ImageSet,
}

impl<R: Registry + ?Sized> Walk<'_, R> {
    /// Sorts one manifest in; returns the indexes that it leads to.
    async fn visit(
        &mut self,
        descriptor: Descriptor,
        manifest: ManifestDocument,
    ) -> Result<Vec<(Descriptor, ManifestDocument)>> {
        let index = match document::read(&manifest) {
            Ok(Document::Index(index)) => index,
            Ok(Document::Image(_)) => {
                self.image(descriptor, Some(manifest));
                return Ok(Vec::new());
            }
            Ok(Document::Unsupported(reason)) => {
                self.unsupported(&descriptor, reason);
                return Ok(Vec::new());
            }
            Err(error) => return Err(error.during(format_args!("read {}", descriptor.digest()))),
        };
        let mut below = Vec::new();
        for child in index.manifests() {
            // A manifest that is named twice is one image; an index that names itself ends here too.
            if !self.seen.insert(child.digest().to_string()) {
                continue;
            }
            if self.seen.len() > MANIFESTS {
                return Err(Error::new(
                    ErrorKind::LimitExceeded,
                    format!("list the images of {}: more than {MANIFESTS} manifests", self.set.root.digest()),
                ));
            }
            if let Some(found) = self.child(child).await? {
                below.push(found);
            }
        }
        Ok(below)
    }

    async fn child(&mut self, child: &Descriptor) -> Result<Option<(Descriptor, ManifestDocument)>> {
        if let Some(attestation) = attestation(child) {
            self.set.attestations.push(attestation);
            return Ok(None);
        }
        if let Some(artifact_type) = child.artifact_type() {
            self.unsupported(child, document::describe(artifact_type.as_ref()));
            return Ok(None);
        }
        let media_type = child.media_type().as_ref();
        if media_type::is_image_manifest(media_type)
            && Platform::of(child).is_some()
            && !self.registry.capabilities().sparse
        {
            // The manifest is fetched when it is indexed; an image that is known already costs no request.
            self.image(child.clone(), None);
            return Ok(None);
        }
        if !media_type::is_manifest(media_type) {
            self.unsupported(child, document::describe(media_type));
            return Ok(None);
        }
        let target = Target::Digest(child.digest().clone());
        let manifest = match self.registry.manifest(self.repository, &target).await {
            Ok(manifest) => manifest,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                self.unsupported(child, "the index names it, but it is not here".to_owned());
                return Ok(None);
            }
            Err(error) => return Err(error),
        };
        self.fetched += manifest.bytes.len();
        if self.fetched > FETCHED {
            return Err(Error::new(
                ErrorKind::LimitExceeded,
                format!("list the images of {}: its manifests have more than {FETCHED} bytes", self.set.root.digest()),
            ));
        }
        if media_type::is_index(&manifest.media_type) {
            return Ok(Some((child.clone(), manifest)));
        }
        match document::read(&manifest)? {
            Document::Unsupported(reason) => self.unsupported(child, reason),
            _ => self.image(child.clone(), Some(manifest)),
        }
        Ok(None)
    }

    fn image(&mut self, descriptor: Descriptor, manifest: Option<ManifestDocument>) {
        self.set.images.push(PlatformImage {
            repository: self.repository.clone(),
            platform: Platform::of(&descriptor),
            descriptor,
            manifest,
            attestations: Vec::new(),
        });
    }

    fn unsupported(&mut self, descriptor: &Descriptor, reason: String) {
        self.set.unsupported.push(Unsupported { digest: descriptor.digest().clone(), reason });
    }
}

/// A manifest's own descriptor.
pub(crate) fn descriptor_of(manifest: &ManifestDocument) -> Descriptor {
    Descriptor::new(manifest.media_type.as_str().into(), manifest.bytes.len() as u64, manifest.digest.clone())
}

fn attestation(descriptor: &Descriptor) -> Option<Attestation> {
    let annotations = descriptor.annotations().as_ref();
    let annotation = |key: &str| annotations.and_then(|map| map.get(key));
    let unknown = descriptor.platform().as_ref().is_some_and(|platform| {
        platform.os().to_string() == "unknown" && platform.architecture().to_string() == "unknown"
    });
    if annotation(REFERENCE_TYPE).is_none() && !unknown {
        return None;
    }
    let subject = annotation(REFERENCE_DIGEST).and_then(|text| crate::digest::parse_digest(text).ok());
    Some(Attestation { descriptor: descriptor.clone(), subject })
}
