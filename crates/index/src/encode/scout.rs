//! Docker Scout's SBOM JSON.
//!
//! There is no published schema. The fields are those of the type definitions that Docker has published in Go
//! (`docker/index-cli-plugin` `types/types.go`, 2023, and the superset in `atomist-skills/go-skill`
//! `policy/types/types.go`, 2025). Fields that do not apply are left out.

use base64::Engine as _;
use serde::Serialize;
use serde_json::value::RawValue;

use crate::license;
use crate::{Digest, Distro, Evidence, ImageDetails, ImageMetadata, ImagePackage, Location, ProvenanceMode, Source};

/// Version of the SBOM format that this module writes: that of the published definitions.
pub const SBOM_VERSION: &str = "6";

/// How to write.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// Packages that only lock files and manifests name, too.
    pub declared: bool,
}

/// Writes `metadata` as Scout's SBOM JSON.
///
/// # Errors
///
/// Those of `writer`.
///
/// # Examples
///
/// ```
/// use supercargo_index::{Indexer, scout};
///
/// let directory = std::env::temp_dir().join("supercargo-doc-empty");
/// std::fs::create_dir_all(&directory)?;
/// let metadata = Indexer::new().index_directory(&directory)?;
/// let mut json = Vec::new();
/// scout::write(&metadata, scout::Options::default(), &mut json)?;
/// assert!(json.starts_with(br#"{"source":{"type":"fs""#));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn write(metadata: &ImageMetadata, options: Options, writer: impl std::io::Write) -> std::io::Result<()> {
    serde_json::to_writer(writer, &Document::of(metadata, options)).map_err(std::io::Error::other)
}

/// The packages that are artifacts of the document, in its order.
pub fn artifacts(metadata: &ImageMetadata, options: Options) -> impl Iterator<Item = &ImagePackage> {
    let wanted = move |package: &&ImagePackage| {
        (options.declared || package.package.evidence != Evidence::Declared)
            // A program that a system package brought is that package; Scout's indexer leaves it out, too.
            && (package.owner.is_none() || package.package.kind != "generic")
    };
    metadata.packages.iter().filter(wanted)
}

#[derive(Serialize)]
struct Document<'a> {
    source: SourceObject<'a>,
    attestations: [(); 0],
    artifacts: Vec<Artifact<'a>>,
    descriptor: Descriptor<'a>,
}

#[derive(Serialize)]
struct Descriptor<'a> {
    name: &'static str,
    version: &'static str,
    sbom_version: &'static str,
    indexer_version: &'a str,
}

#[derive(Serialize)]
struct SourceObject<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    image: Option<Image<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    file_system: Option<FileSystem<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    provenance: Option<ProvenanceObject<'a>>,
}

#[derive(Serialize)]
struct ProvenanceObject<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    source_map: Option<SourceMap<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    vcs: Option<Vcs<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    base_image: Option<Base<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mode: Option<&'static str>,
}

#[derive(Serialize)]
struct SourceMap<'a> {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    instructions: Vec<InstructionObject<'a>>,
    /// In base64, as the other texts of the document are.
    #[serde(skip_serializing_if = "Option::is_none")]
    dockerfile: Option<String>,
}

#[derive(Serialize)]
struct InstructionObject<'a> {
    digests: [&'a Digest; 1],
    #[serde(skip_serializing_if = "Option::is_none")]
    diff_ids: Option<[&'a Digest; 1]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    instruction: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<&'a str>,
    start_line: u32,
    end_line: u32,
}

#[derive(Serialize)]
struct Vcs<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    revision: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<&'a str>,
}

#[derive(Serialize)]
struct Base<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    tag: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    digest: Option<&'a Digest>,
}

impl<'a> ProvenanceObject<'a> {
    /// A base image that is known in another way than by provenance has no other place in the document.
    fn of(image: &'a ImageDetails) -> Option<Self> {
        let provenance = image.provenance.as_ref();
        if provenance.is_none() && image.base.is_none() {
            return None;
        }
        let instructions: Vec<_> = image
            .layers
            .iter()
            .flat_map(|layer| {
                let ranges = layer.lines.as_ref().map_or(&[][..], |lines| &lines.ranges);
                ranges.iter().map(move |&(start_line, end_line)| InstructionObject {
                    digests: [&layer.digest],
                    diff_ids: layer.diff_id.as_ref().map(|diff_id| [diff_id]),
                    instruction: layer.instruction.as_deref(),
                    path: provenance.and_then(|provenance| provenance.dockerfile.as_deref()),
                    start_line,
                    end_line,
                })
            })
            .collect();
        let dockerfile = provenance
            .and_then(|provenance| provenance.dockerfile_text.as_ref())
            .map(|text| base64::engine::general_purpose::STANDARD.encode(text));
        let is_mapped = dockerfile.is_some() || !instructions.is_empty();
        let vcs = provenance.filter(|provenance| provenance.source.is_some() || provenance.revision.is_some());
        Some(Self {
            source_map: is_mapped.then_some(SourceMap { instructions, dockerfile }),
            vcs: vcs.map(|vcs| Vcs { revision: vcs.revision.as_deref(), source: vcs.source.as_deref() }),
            base_image: image.base.as_ref().map(|base| Base {
                name: &base.name,
                tag: base.tag.as_deref(),
                digest: base.digest.as_ref(),
            }),
            mode: provenance.and_then(|provenance| provenance.mode).map(|mode| match mode {
                ProvenanceMode::Min => "buildkit_min_mode",
                ProvenanceMode::Max => "buildkit_max_mode",
            }),
        })
    }
}

#[derive(Serialize)]
struct FileSystem<'a> {
    path: &'a str,
    size: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    distro: Option<DistroObject<'a>>,
}

#[derive(Serialize)]
struct Image<'a> {
    name: &'a str,
    digest: &'a Digest,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    tags: &'a [String],
    manifest: Option<Box<RawValue>>,
    config: Option<Box<RawValue>>,
    #[serde(serialize_with = "crate::bytes_base64::serialize")]
    raw_manifest: &'a [u8],
    /// Left out if secrets were taken out of it: it would not have the digest that the manifest names.
    #[serde(serialize_with = "crate::bytes_base64::serialize", skip_serializing_if = "<[_]>::is_empty")]
    raw_config: &'a [u8],
    distro: DistroObject<'a>,
    platform: PlatformObject<'a>,
    size: u64,
}

#[derive(Serialize)]
struct PlatformObject<'a> {
    os: &'a str,
    architecture: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    variant: Option<&'a str>,
}

#[derive(Default, Serialize)]
struct DistroObject<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    os_name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    os_version: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    os_distro: Option<&'a str>,
}

impl<'a> From<&'a Distro> for DistroObject<'a> {
    fn from(distro: &'a Distro) -> Self {
        let some = |text: &'a str| (!text.is_empty()).then_some(text);
        Self {
            os_name: some(&distro.id),
            os_version: some(&distro.version_id),
            os_distro: distro.version_codename.as_deref(),
        }
    }
}

#[derive(Serialize)]
struct Artifact<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    namespace: Option<&'a str>,
    name: &'a str,
    version: &'a str,
    purl: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    author: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    licenses: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    size: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    installed_size: Option<u64>,
    locations: Vec<LocationObject<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    files: Vec<LocationObject<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parent: Option<&'a str>,
}

#[derive(Serialize)]
struct LocationObject<'a> {
    path: std::borrow::Cow<'a, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ordinal: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    digest: Option<&'a Digest>,
    #[serde(skip_serializing_if = "Option::is_none")]
    diff_id: Option<&'a Digest>,
}

impl<'a> Document<'a> {
    fn of(metadata: &'a ImageMetadata, options: Options) -> Self {
        let source = match &metadata.source {
            Source::Image(image) => {
                let provenance = ProvenanceObject::of(image);
                let image = Image::of(image, metadata.distro.as_ref());
                SourceObject { kind: "image", image: Some(image), file_system: None, provenance }
            }
            Source::Directory { path, size } => {
                let distro = metadata.distro.as_ref().map(DistroObject::from);
                let file_system = FileSystem { path, size: *size, distro };
                SourceObject { kind: "fs", image: None, file_system: Some(file_system), provenance: None }
            }
        };
        let image = metadata.image();
        Self {
            source,
            attestations: [],
            artifacts: artifacts(metadata, options).map(|package| Artifact::of(package, image)).collect(),
            descriptor: Descriptor {
                name: "supercargo",
                version: env!("CARGO_PKG_VERSION"),
                sbom_version: SBOM_VERSION,
                indexer_version: &metadata.indexer,
            },
        }
    }
}

impl<'a> Image<'a> {
    fn of(image: &'a ImageDetails, distro: Option<&'a Distro>) -> Self {
        // Both were parsed before; that they are JSON is certain, that they are UTF-8 follows.
        let raw = |bytes: &[u8]| serde_json::from_slice(bytes).ok();
        Self {
            name: &image.name,
            digest: &image.digest,
            tags: &image.tags,
            manifest: raw(&image.raw_manifest),
            config: raw(&image.raw_config),
            raw_manifest: &image.raw_manifest,
            raw_config: if image.redacted { &[] } else { &image.raw_config },
            distro: distro.map(DistroObject::from).unwrap_or_default(),
            platform: PlatformObject {
                os: &image.platform.os,
                architecture: &image.platform.architecture,
                variant: image.platform.variant.as_deref(),
            },
            size: image.size,
        }
    }
}

impl<'a> Artifact<'a> {
    fn of(found: &'a ImagePackage, image: Option<&'a ImageDetails>) -> Self {
        let package = &found.package;
        // A database's packages all came with the same locations; their files came with the package.
        let layer = found.locations.first().and_then(|location| location.layer);
        let file = |path: &'a String| LocationObject::of(format!("/{path}").into(), layer, image);
        Self {
            kind: &package.kind,
            namespace: package.namespace.as_deref(),
            name: &package.name,
            version: &package.version,
            purl: &found.purl,
            author: package.author.as_deref(),
            description: package.description.as_deref(),
            // Policies look for the identifiers of licences, one each.
            licenses: found.license.as_deref().map(license::license_identifiers).unwrap_or_default(),
            url: package.url.as_deref(),
            size: package.size,
            installed_size: package.installed_size,
            locations: found
                .locations
                .iter()
                .map(|Location { path, layer, .. }| LocationObject::of(path.into(), *layer, image))
                .collect(),
            files: package.files.iter().map(file).collect(),
            parent: found.parent.as_deref().or(found.owner.as_deref()),
        }
    }
}

impl<'a> LocationObject<'a> {
    fn of(path: std::borrow::Cow<'a, str>, layer: Option<u32>, image: Option<&'a ImageDetails>) -> Self {
        let layer = layer.and_then(|layer| image?.layers.get(layer as usize));
        Self {
            path,
            ordinal: layer.and_then(|layer| layer.ordinal),
            digest: layer.map(|layer| &layer.digest),
            diff_id: layer.and_then(|layer| layer.diff_id.as_ref()),
        }
    }
}
