//! SPDX 2.3 in JSON (<https://spdx.github.io/spdx-spec/v2.3/>).
//!
//! | Element | is |
//! | --- | --- |
//! | `SPDXRef-DocumentRoot-Image` | the image, which the document describes: purpose `CONTAINER`, digest as checksum |
//! | `SPDXRef-Layer-N` | a layer, lowest first from 0: purpose `ARCHIVE`, digest as checksum, its instruction as comment |
//! | `SPDXRef-OperatingSystem` | the distribution |
//! | `SPDXRef-Package-…` | a package, named by its package URL |
//!
//! | Relationship | says |
//! | --- | --- |
//! | image `CONTAINS` layer, operating system | |
//! | layer `CONTAINS` package | the layer first brought it, by one of its evidence files |
//! | operating system `CONTAINS` package | it is one of the distribution's |
//! | image `CONTAINS` package | in a directory, which has no layers |
//! | package `DEPENDS_ON` package | needs it when it runs |
//! | package `CONTAINS` package | of the system, and brought the other's files |
//! | package `GENERATED_FROM` package | built from this source package, which is not in the image itself |
//! | package `DEPENDENCY_OF`, `DEV_DEPENDENCY_OF` image | only named, by a lock file or a manifest |
//!
//! A package's comment has a line `layerID: sha256:…` (a diff ID) for each layer, as BuildKit writes for files.
//! Owned files are left out: SPDX wants a SHA-1 of each, which is not computed.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};

use serde::Serialize;
use sha2::{Digest as _, Sha256};

pub use super::Options;
use super::contact::{contact, one_line};
use super::identity::{image_purl, is_url};
use super::license::{License, Licenses, all_of};
use super::{cpe, identity};
use crate::purl::WITH_DISTRO;
use crate::{Digest, Evidence, ImageDetails, ImageMetadata, ImagePackage, Source};

/// Writes `metadata` as an SPDX 2.3 document.
///
/// # Errors
///
/// Those of `writer`.
///
/// # Examples
///
/// ```
/// use supercargo_index::{Indexer, spdx};
///
/// let directory = std::env::temp_dir().join("supercargo-doc-empty-spdx");
/// std::fs::create_dir_all(&directory)?;
/// let metadata = Indexer::new().index_directory(&directory)?;
/// let mut json = Vec::new();
/// spdx::write(&metadata, &spdx::Options::default(), &mut json)?;
/// assert!(json.starts_with(br#"{"spdxVersion":"SPDX-2.3""#));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn write(metadata: &ImageMetadata, options: &Options, writer: impl std::io::Write) -> std::io::Result<()> {
    serde_json::to_writer(writer, &Document::of(metadata, options)).map_err(std::io::Error::other)
}

const NONE: &str = "NOASSERTION";

/// Files that were not read and are named in the document's comment; the rest are counted.
const MOST_SKIPPED: usize = 100;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document<'a> {
    spdx_version: &'static str,
    data_license: &'static str,
    #[serde(rename = "SPDXID")]
    id: &'static str,
    name: String,
    document_namespace: String,
    creation_info: CreationInfo,
    #[serde(skip_serializing_if = "Option::is_none")]
    comment: Option<String>,
    packages: Vec<Package<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    has_extracted_licensing_infos: Vec<ExtractedLicense>,
    relationships: Vec<Relationship>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct CreationInfo {
    created: String,
    creators: Vec<String>,
    license_list_version: String,
    comment: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Package<'a> {
    #[serde(rename = "SPDXID")]
    id: String,
    name: Cow<'a, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    version_info: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    package_file_name: Option<String>,
    supplier: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    originator: Option<String>,
    download_location: &'static str,
    files_analyzed: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    checksums: Vec<Checksum<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    homepage: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    source_info: Option<String>,
    license_concluded: &'static str,
    license_declared: String,
    copyright_text: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    comment: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    external_refs: Vec<ExternalRef<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    primary_package_purpose: Option<&'static str>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Checksum<'a> {
    algorithm: &'static str,
    checksum_value: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ExternalRef<'a> {
    reference_category: &'static str,
    reference_type: &'static str,
    reference_locator: Cow<'a, str>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ExtractedLicense {
    license_id: String,
    extracted_text: String,
    name: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Relationship {
    spdx_element_id: String,
    relationship_type: &'static str,
    related_spdx_element: String,
}

impl<'a> Document<'a> {
    fn of(metadata: &'a ImageMetadata, options: &Options) -> Self {
        let created = identity::created(metadata, options.created.as_deref());
        let variant = format!("spdx-2.3 declared={} created={created}", options.declared);
        let uuid = identity::uuid(metadata, &variant);
        let name = document_name(metadata);
        let wanted = |found: &&ImagePackage| options.declared || found.package.evidence != Evidence::Declared;
        let mut elements = Elements::default();
        let root = elements.root(metadata);
        elements
            .ids
            .extend(metadata.packages.iter().filter(wanted).map(|found| (&*found.purl, package_id(&found.purl))));
        for package in metadata.packages.iter().filter(wanted) {
            elements.package(package, metadata, &root);
        }
        let list = ::spdx::license_version();
        Self {
            spdx_version: "SPDX-2.3",
            data_license: "CC0-1.0",
            id: "SPDXRef-DOCUMENT",
            document_namespace: format!("https://spdx.org/spdxdocs/supercargo/{}-{uuid}", url_segment(&name)),
            name,
            creation_info: CreationInfo {
                created,
                creators: vec![format!("Tool: supercargo-{}", env!("CARGO_PKG_VERSION"))],
                // `3.29.0` is published as `3.29`.
                license_list_version: list.rsplitn(list.matches('.').count().max(1), '.').last().unwrap_or(list).into(),
                comment: format!("indexer version {}", metadata.indexer),
            },
            comment: skipped(metadata),
            packages: elements.packages,
            has_extracted_licensing_infos: elements.extracted.into_values().collect(),
            relationships: elements.relationships,
        }
    }
}

fn document_name(metadata: &ImageMetadata) -> String {
    match &metadata.source {
        Source::Image(image) if image.name.is_empty() => image.digest.to_string(),
        Source::Image(image) => match image.tags.first() {
            Some(tag) => format!("{}:{tag}", image.name),
            None => format!("{}@{}", image.name, image.digest),
        },
        Source::Directory { path, .. } => path.clone(),
    }
}

/// What a reader must know who takes the document for complete.
fn skipped(metadata: &ImageMetadata) -> Option<String> {
    let mut comment = format!("{} files were not read, so packages may be missing", metadata.skipped.len());
    for (number, file) in metadata.skipped.iter().take(MOST_SKIPPED).enumerate() {
        let separator = if number == 0 { ": " } else { "; " };
        comment.push_str(&format!("{separator}{} ({})", file.path, file.reason));
    }
    (!metadata.skipped.is_empty()).then_some(comment)
}

#[derive(Default)]
struct Elements<'a> {
    packages: Vec<Package<'a>>,
    relationships: Vec<Relationship>,
    /// By identifier, so that each is defined once.
    extracted: BTreeMap<String, ExtractedLicense>,
    licenses: Licenses<'a>,
    /// Identifiers of the packages that are written, by package URL.
    ids: HashMap<&'a str, String>,
    has_system: bool,
}

impl<'a> Elements<'a> {
    fn relate(&mut self, from: &str, relationship_type: &'static str, to: &str) {
        self.relationships.push(Relationship {
            spdx_element_id: from.to_owned(),
            relationship_type,
            related_spdx_element: to.to_owned(),
        });
    }

    /// The image or the directory, with what it is made of. Returns its identifier.
    fn root(&mut self, metadata: &'a ImageMetadata) -> String {
        let root = match &metadata.source {
            Source::Image(image) => self.image(image),
            Source::Directory { path, .. } => {
                let id = "SPDXRef-DocumentRoot-Directory".to_owned();
                self.packages.push(Package { name: path.into(), ..Package::blank(id.clone(), "FILE") });
                id
            }
        };
        self.relate("SPDXRef-DOCUMENT", "DESCRIBES", &root);
        for layer in metadata.image().into_iter().flat_map(|image| 0..image.layers.len()) {
            self.relate(&root, "CONTAINS", &layer_id(layer));
        }
        if let Some(distro) = metadata.distro.as_ref().filter(|distro| !distro.id.is_empty()) {
            let id = SYSTEM.to_owned();
            let version = distro.version_id.as_str();
            self.packages.push(Package {
                name: (&distro.id).into(),
                version_info: (!version.is_empty()).then_some(version.into()),
                description: distro.pretty_name.as_deref(),
                ..Package::blank(id, "OPERATING-SYSTEM")
            });
            self.relate(&root, "CONTAINS", SYSTEM);
            self.has_system = true;
        }
        root
    }

    fn image(&mut self, image: &'a ImageDetails) -> String {
        let id = "SPDXRef-DocumentRoot-Image".to_owned();
        let digest = image.digest.to_string();
        self.packages.push(Package {
            name: if image.name.is_empty() { digest.clone().into() } else { (&image.name).into() },
            version_info: Some(digest.into()),
            checksums: checksum(&image.digest),
            external_refs: image_purl(image).map(purl_reference).into_iter().collect(),
            ..Package::blank(id.clone(), "CONTAINER")
        });
        for (number, layer) in image.layers.iter().enumerate() {
            let mut comment = format!("media type: {}\nsize: {}", layer.media_type, layer.size);
            if let Some(diff_id) = &layer.diff_id {
                comment.push_str(&format!("\ndiff ID: {diff_id}"));
            }
            if let Some(instruction) = &layer.instruction {
                comment.push_str(&format!("\ninstruction: {instruction}"));
            }
            self.packages.push(Package {
                name: format!("layer {number}").into(),
                package_file_name: Some(layer.digest.to_string()),
                checksums: checksum(&layer.digest),
                comment: Some(comment),
                ..Package::blank(layer_id(number), "ARCHIVE")
            });
        }
        id
    }

    fn package(&mut self, found: &'a ImagePackage, metadata: &'a ImageMetadata, root: &str) {
        let package = &found.package;
        let Some(id) = self.ids.get(&*found.purl).cloned() else { return };
        let name = match package.namespace.as_deref().filter(|_| !WITH_DISTRO.contains(&package.kind.as_str())) {
            Some(namespace) if !namespace.is_empty() && package.kind == "maven" => {
                format!("{namespace}:{}", package.name).into()
            }
            Some(namespace) if !namespace.is_empty() => format!("{namespace}/{}", package.name).into(),
            _ => Cow::from(&package.name),
        };
        let mut external_refs = vec![purl_reference(Cow::from(&found.purl))];
        for cpe in &package.cpes {
            if let Some(cpe) = cpe::formatted(cpe) {
                external_refs.push(ExternalRef {
                    reference_category: "SECURITY",
                    reference_type: "cpe23Type",
                    reference_locator: cpe.into(),
                });
            }
        }
        let licenses = self.licenses.read(&package.licenses);
        let is_source = found.locations.is_empty();
        let element = Package {
            name,
            version_info: (!package.version.is_empty()).then_some((&package.version).into()),
            supplier: package.vendor.as_deref().and_then(organization).unwrap_or_else(|| NONE.to_owned()),
            originator: package.author.as_deref().and_then(originator),
            homepage: package.url.as_deref().filter(|url| is_url(url)),
            source_info: source_info(found),
            license_declared: self.declared(&licenses),
            description: package.description.as_deref(),
            comment: layers(found, metadata),
            external_refs,
            ..Package::blank(id.clone(), if is_source { "SOURCE" } else { "LIBRARY" })
        };
        self.packages.push(element);
        if let Some(parent) = found.parent.as_deref().and_then(|parent| self.ids.get(parent)).cloned() {
            self.relate(&id, "GENERATED_FROM", &parent);
        }
        for on in &found.depends_on {
            if let Some(on) = self.ids.get(on.as_str()).cloned() {
                self.relate(&id, "DEPENDS_ON", &on);
            }
        }
        if let Some(owner) = found.owner.as_deref().and_then(|owner| self.ids.get(owner)).cloned() {
            self.relate(&owner, "CONTAINS", &id);
        }
        match package.evidence {
            Evidence::Declared if package.dev => self.relate(&id, "DEV_DEPENDENCY_OF", root),
            Evidence::Declared => self.relate(&id, "DEPENDENCY_OF", root),
            _ if is_source => {}
            _ => {
                let mut layers: Vec<_> = found.locations.iter().filter_map(|location| location.layer).collect();
                layers.sort_unstable();
                layers.dedup();
                for &layer in &layers {
                    self.relate(&layer_id(layer as usize), "CONTAINS", &id);
                }
                if layers.is_empty() {
                    self.relate(root, "CONTAINS", &id);
                }
                if self.has_system && WITH_DISTRO.contains(&package.kind.as_str()) {
                    self.relate(SYSTEM, "CONTAINS", &id);
                }
            }
        }
    }

    fn declared(&mut self, licenses: &[License]) -> String {
        let extracted = &mut self.extracted;
        let mut define = |license_id: String, text: &str| {
            extracted.entry(license_id.clone()).or_insert_with(|| ExtractedLicense {
                license_id: license_id.clone(),
                extracted_text: text.to_owned(),
                name: text.lines().next().unwrap_or_default().to_owned(),
            });
            license_id
        };
        for license in licenses {
            if let License::Expression { references, .. } = license {
                for reference in references {
                    define(reference.clone(), reference);
                }
            }
        }
        all_of(licenses, |text| define(license_reference(text), text)).unwrap_or_else(|| NONE.to_owned())
    }
}

const SYSTEM: &str = "SPDXRef-OperatingSystem";

fn layer_id(layer: usize) -> String {
    format!("SPDXRef-Layer-{layer}")
}

impl Package<'_> {
    fn blank(id: String, purpose: &'static str) -> Self {
        Self {
            id,
            name: "".into(),
            version_info: None,
            package_file_name: None,
            supplier: NONE.to_owned(),
            originator: None,
            download_location: NONE,
            files_analyzed: false,
            checksums: Vec::new(),
            homepage: None,
            source_info: None,
            license_concluded: NONE,
            license_declared: NONE.to_owned(),
            copyright_text: NONE,
            description: None,
            comment: None,
            external_refs: Vec::new(),
            primary_package_purpose: Some(purpose),
        }
    }
}

/// An identifier is letters, digits, `.` and `-`. The readable part may be shared, the hash is not.
fn package_id(purl: &str) -> String {
    let plain = purl.trim_start_matches("pkg:").split(['@', '?']).next().unwrap_or_default();
    let plain: String = identifier(plain).chars().take(64).collect();
    format!("SPDXRef-Package-{plain}-{}", hash(purl))
}

/// A name that is valid as it is stays readable; of others no two become the same.
fn license_reference(text: &str) -> String {
    let plain: String = identifier(text).chars().take(64).collect();
    if plain == text { format!("LicenseRef-{plain}") } else { format!("LicenseRef-{plain}-{}", hash(text)) }
}

fn identifier(text: &str) -> String {
    text.chars().take(128).map(|c| if c.is_ascii_alphanumeric() || c == '.' { c } else { '-' }).collect()
}

fn hash(text: &str) -> String {
    Sha256::digest(text.as_bytes())[..12].iter().map(|byte| format!("{byte:02x}")).collect()
}

fn url_segment(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'-' | b'_' | b'~' => char::from(byte),
            _ => '-',
        })
        .collect()
}

fn purl_reference(locator: impl Into<String>) -> ExternalRef<'static> {
    ExternalRef {
        reference_category: "PACKAGE-MANAGER",
        reference_type: "purl",
        reference_locator: Cow::Owned(locator.into()),
    }
}

fn checksum(digest: &Digest) -> Vec<Checksum<'_>> {
    let algorithm = match digest.algorithm().to_string().as_str() {
        "sha256" => "SHA256",
        "sha384" => "SHA384",
        "sha512" => "SHA512",
        _ => return Vec::new(),
    };
    vec![Checksum { algorithm, checksum_value: digest.digest() }]
}

/// `Organization: Name`. Parentheses would be taken for a mail address.
fn organization(name: &str) -> Option<String> {
    let name = one_line(&name.replace(['(', ')'], " "));
    (!name.is_empty()).then(|| format!("Organization: {name}"))
}

/// `Name <mail>` as `Person: Name (mail)`.
fn originator(author: &str) -> Option<String> {
    const MANY: [&str; 16] = [
        "authors",
        "bugs",
        "community",
        "contributors",
        "developers",
        "foundation",
        "gmbh",
        "group",
        "inc",
        "inc.",
        "llc",
        "ltd",
        "maintainers",
        "packagers",
        "project",
        "team",
    ];
    let (name, mail) = contact(&author.replace(['(', ')'], " "))?;
    let several = name.split([' ', ',']).any(|word| MANY.contains(&word.to_ascii_lowercase().as_str()));
    let kind = if several { "Organization" } else { "Person" };
    match (name.as_str(), mail) {
        ("", mail) => mail.map(|mail| format!("{kind}: {mail}")),
        (name, Some(mail)) => Some(format!("{kind}: {name} ({mail})")),
        (name, None) => Some(format!("{kind}: {name}")),
    }
}

fn source_info(found: &ImagePackage) -> Option<String> {
    let evidence = match found.package.evidence {
        Evidence::Installed => "found",
        Evidence::Claimed => "claimed",
        Evidence::Declared => "named",
    };
    let paths: Vec<&str> = found.locations.iter().map(|location| location.path.as_str()).collect();
    if paths.is_empty() {
        return None;
    }
    Some(format!("{evidence} by {} in {}", found.catalogers.join(", "), paths.join(", ")))
}

fn layers(found: &ImagePackage, metadata: &ImageMetadata) -> Option<String> {
    let image = metadata.image()?;
    let mut lines: Vec<String> = Vec::new();
    for location in &found.locations {
        let layer = location.layer.and_then(|layer| image.layers.get(layer as usize));
        if let Some(layer) = layer {
            let line = format!("layerID: {}", layer.diff_id.as_ref().unwrap_or(&layer.digest));
            if !lines.contains(&line) {
                lines.push(line);
            }
        }
    }
    (!lines.is_empty()).then(|| lines.join("\n"))
}
