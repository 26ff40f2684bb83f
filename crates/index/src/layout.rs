//! An image in an OCI layout: a folder with `index.json` and `blobs/` (image-spec `image-layout.md`).

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use bytes::Bytes;
use oci_spec::image::{ImageIndex, MediaType};

use crate::{
    AttestationDocument, Descriptor, Digest, Error, ErrorKind, ImageManifest, ImageSource, LayerBlob, ManifestDocument,
    Platform, Result,
};

/// Bytes of an index, a manifest or a configuration.
const DOCUMENT_SIZE: u64 = 16 << 20;

/// Indexes within indexes. The specification allows nesting and sets no bound; tools write two levels at most.
const DEPTH: usize = 4;

/// One image of an OCI layout folder, as `skopeo copy … oci:FOLDER`, `docker buildx build --output type=oci,tar=false`
/// and `crane pull --format=oci` write them.
///
/// ```no_run
/// use supercargo_index::{Indexer, OciLayout};
///
/// # async fn example() -> supercargo_index::Result<()> {
/// let image = OciLayout::open("path/to/layout")?;
/// let metadata = Indexer::new().index(&image).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct OciLayout {
    root: PathBuf,
    tag: Option<String>,
    manifest: Descriptor,
    attestations: Vec<Descriptor>,
}

impl OciLayout {
    /// The image of the folder `root`: the one for this machine's architecture if there are several, else the first.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Source`] if files cannot be read, [`ErrorKind::Malformed`] if they are not what they should be,
    /// [`ErrorKind::Unsupported`] if there is no image.
    pub fn open(root: impl Into<PathBuf>) -> Result<Self> {
        Self::find(root, None, None)
    }

    /// The image with this tag and for this platform.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open); [`ErrorKind::Source`] that names what there is if none fits.
    pub fn find(root: impl Into<PathBuf>, tag: Option<&str>, platform: Option<&Platform>) -> Result<Self> {
        let root = root.into();
        let found = Self::search(&root, tag, platform);
        found.map_err(|error| error.with_context(format_args!("open the OCI layout {}", root.display())))
    }

    fn search(root: &Path, tag: Option<&str>, platform: Option<&Platform>) -> Result<Self> {
        let index = index(&read(&root.join("index.json"), "index.json", DOCUMENT_SIZE)?, "index.json")?;
        let named: Vec<&Descriptor> =
            index.manifests().iter().filter(|one| tag.is_none() || name_of(one) == tag).collect();
        if let (Some(tag), true) = (tag, named.is_empty()) {
            let tags: Vec<_> = index.manifests().iter().filter_map(name_of).collect();
            let message = format!("it has no tag {tag}; it has: {}", tags.join(", "));
            return Err(Error::new(ErrorKind::Source, message));
        }
        let tag = tag.or_else(|| named.first().and_then(|first| name_of(first))).map(str::to_owned);
        let mut images = Vec::new();
        let mut attestations = Vec::new();
        let mut level: Vec<Descriptor> = named.into_iter().cloned().collect();
        for _ in 0..DEPTH {
            let mut below = Vec::new();
            for descriptor in level {
                match descriptor.media_type() {
                    _ if is_attestation(&descriptor) => attestations.push(descriptor),
                    MediaType::ImageIndex => below.extend(nested(root, &descriptor)?),
                    other if other.to_string().ends_with("manifest.list.v2+json") => {
                        below.extend(nested(root, &descriptor)?);
                    }
                    _ => images.push(descriptor),
                }
            }
            level = below;
        }
        let manifest = choose(&images, platform)?.clone();
        attestations.retain(|one| {
            let about = one.annotations().as_ref().and_then(|map| map.get("vnd.docker.reference.digest"));
            about.is_some_and(|about| *about == manifest.digest().to_string())
        });
        Ok(Self { root: root.to_owned(), tag, manifest, attestations })
    }

    fn document(&self, descriptor: &Descriptor, what: &str, limit: u64) -> Result<Bytes> {
        read(&blob(&self.root, descriptor.digest())?, what, limit)
    }

    fn attestation_manifests(&self) -> Vec<AttestationDocument> {
        let manifests = self.attestations.iter().filter_map(|descriptor| {
            let bytes = self.document(descriptor, "an attestation manifest", DOCUMENT_SIZE).ok()?;
            serde_json::from_slice::<ImageManifest>(&bytes).ok()
        });
        let layers = manifests.flat_map(|manifest| manifest.layers().clone());
        layers
            .filter_map(|layer| {
                let mut statement = AttestationDocument::announced(&layer)?;
                if statement.is_wanted() {
                    statement.bytes = Some(self.document(&layer, "an attestation", AttestationDocument::SIZE).ok()?);
                }
                Some(statement)
            })
            .collect()
    }
}

#[async_trait]
impl ImageSource for OciLayout {
    fn name(&self) -> String {
        let name = self.root.file_name().map(|name| name.to_string_lossy().into_owned());
        name.unwrap_or_default()
    }

    fn tags(&self) -> Vec<String> {
        self.tag.iter().cloned().collect()
    }

    async fn manifest(&self) -> Result<ManifestDocument> {
        Ok(ManifestDocument {
            digest: self.manifest.digest().clone(),
            media_type: self.manifest.media_type().to_string(),
            bytes: self.document(&self.manifest, "the manifest", DOCUMENT_SIZE)?,
        })
    }

    async fn config(&self, descriptor: &Descriptor) -> Result<Bytes> {
        self.document(descriptor, "the configuration", DOCUMENT_SIZE)
    }

    async fn attestations(&self) -> Result<Vec<AttestationDocument>> {
        Ok(self.attestation_manifests())
    }

    async fn open_layer(&self, descriptor: &Descriptor) -> Result<LayerBlob> {
        let path = blob(&self.root, descriptor.digest())?;
        let file = File::open(&path).map_err(|error| unreadable(&format!("layer {}", descriptor.digest()), error))?;
        Ok(LayerBlob::Reader(Box::new(file)))
    }
}

fn name_of(descriptor: &Descriptor) -> Option<&str> {
    descriptor.annotations().as_ref()?.get("org.opencontainers.image.ref.name").map(String::as_str)
}

/// As BuildKit marks them: by annotation, and with a platform that is none.
fn is_attestation(descriptor: &Descriptor) -> bool {
    descriptor.annotations().as_ref().is_some_and(|map| map.contains_key("vnd.docker.reference.type"))
}

fn nested(root: &Path, descriptor: &Descriptor) -> Result<Vec<Descriptor>> {
    let what = format!("index {}", descriptor.digest());
    Ok(index(&read(&blob(root, descriptor.digest())?, &what, DOCUMENT_SIZE)?, &what)?.manifests().clone())
}

fn index(bytes: &[u8], what: &str) -> Result<ImageIndex> {
    serde_json::from_slice(bytes)
        .map_err(|error| Error::new(ErrorKind::Malformed, format!("parse {what}")).with_source(error))
}

fn choose<'a>(images: &'a [Descriptor], wanted: Option<&Platform>) -> Result<&'a Descriptor> {
    let for_platform = |wanted: &Platform| {
        images.iter().find(|image| Platform::of(image).is_some_and(|platform| wanted.accepts(&platform)))
    };
    let found = match wanted {
        // A single image may leave its platform to the configuration.
        Some(wanted) => for_platform(wanted).or(match images {
            [only] if Platform::of(only).is_none() => Some(only),
            _ => None,
        }),
        None => for_platform(&Platform::of_this_machine()).or(images.first()),
    };
    found.ok_or_else(|| match wanted {
        Some(wanted) => {
            let there: Vec<_> = images.iter().filter_map(Platform::of).map(|platform| platform.to_string()).collect();
            Error::new(ErrorKind::Source, format!("it has no image for {wanted}; it has: {}", there.join(", ")))
        }
        None => Error::new(ErrorKind::Unsupported, "it has no image"),
    })
}

/// The path is made of a parsed digest alone, which holds letters and digits: it cannot leave the folder.
fn blob(root: &Path, digest: &Digest) -> Result<PathBuf> {
    use oci_spec::image::DigestAlgorithm;
    if matches!(digest.algorithm(), DigestAlgorithm::Other(_)) {
        let message = format!("the digest algorithm {} is not known", digest.algorithm());
        return Err(Error::new(ErrorKind::Unsupported, message));
    }
    Ok(root.join("blobs").join(digest.algorithm().as_ref()).join(digest.digest()))
}

fn read(path: &Path, what: &str, limit: u64) -> Result<Bytes> {
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(|error| unreadable(what, error))?;
    file.take(limit + 1).read_to_end(&mut bytes).map_err(|error| unreadable(what, error))?;
    if bytes.len() as u64 > limit {
        return Err(Error::new(ErrorKind::LimitExceeded, format!("read {what}: more than {limit} bytes")));
    }
    Ok(bytes.into())
}

fn unreadable(what: &str, error: std::io::Error) -> Error {
    Error::from_source(format!("read {what}"), false, error)
}
