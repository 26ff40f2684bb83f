//! CycloneDX 1.6 in JSON (<https://cyclonedx.org/docs/1.6/json/>).
//!
//! | Element | is |
//! | --- | --- |
//! | `metadata.component`, `bom-ref` `root` | the image: type `container`, digest as hash, layers as properties |
//! | component with `bom-ref` `operating-system` | the distribution |
//! | component whose `bom-ref` is its package URL | a package; `scope` `optional` if it is only declared |
//! | `evidence.occurrences` | the evidence files, each with its layer as `additionalContext` |
//! | `pedigree.ancestors` | the source package, which is not in the image itself |
//! | `dependencies` | the root depends on all that is in it, the distribution on its packages, a package on what it needs when it runs |
//!
//! | Property | holds |
//! | --- | --- |
//! | `supercargo:indexer` | the indexer version |
//! | `supercargo:skipped` | a file that was not read, with the reason |
//! | `supercargo:layer:N:digest`, `:diffId`, `:mediaType`, `:size`, `:ordinal`, `:instruction` | of the image: layer N |
//! | `supercargo:evidence` | `installed`, `claimed` or `declared` |
//! | `supercargo:cataloger` | who found the package |
//! | `supercargo:development` | `true` if it is for development only |
//! | `supercargo:signingKey` | the ID of the key that an rpm was signed with, not verified |
//! | `supercargo:owner` | the package of the system that brought this one's files |
//! | `supercargo:cpe` | further CPE names; the field holds one |
//! | `supercargo:location:N:layerDigest`, `:layerDiffId` | the layer that brought the package to location N |

use std::borrow::Cow;
use std::collections::HashSet;

use serde::Serialize;

pub use super::Options;
use super::contact::contact;
use super::identity::{image_purl, is_url};
use super::license::{License, Licenses, all_of};
use super::{cpe, identity};
use crate::purl::WITH_DISTRO;
use crate::{Digest, Distro, Evidence, ImageDetails, ImageMetadata, ImagePackage, Source};

/// Writes `metadata` as a CycloneDX 1.6 document.
///
/// # Errors
///
/// Those of `writer`.
///
/// # Examples
///
/// ```
/// use supercargo_index::{Indexer, cyclonedx};
///
/// let directory = std::env::temp_dir().join("supercargo-doc-empty-cyclonedx");
/// std::fs::create_dir_all(&directory)?;
/// let metadata = Indexer::new().index_directory(&directory)?;
/// let mut json = Vec::new();
/// cyclonedx::write(&metadata, &cyclonedx::Options::default(), &mut json)?;
/// assert!(json.starts_with(br#"{"$schema":"http://cyclonedx.org/schema/bom-1.6.schema.json","bomFormat":"CycloneDX""#));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn write(metadata: &ImageMetadata, options: &Options, writer: impl std::io::Write) -> std::io::Result<()> {
    serde_json::to_writer(writer, &Document::of(metadata, options)).map_err(std::io::Error::other)
}

/// Files that were not read and are named one by one.
const MOST_SKIPPED: usize = 100;

const ROOT: &str = "root";
const SYSTEM: &str = "operating-system";

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document<'a> {
    #[serde(rename = "$schema")]
    schema: &'static str,
    bom_format: &'static str,
    spec_version: &'static str,
    serial_number: String,
    version: u32,
    metadata: Metadata<'a>,
    components: Vec<Component<'a>>,
    dependencies: Vec<Dependency<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    compositions: Vec<Composition>,
}

#[derive(Serialize)]
struct Metadata<'a> {
    timestamp: String,
    tools: Tools,
    component: Component<'a>,
    properties: Vec<Property<'a>>,
}

#[derive(Serialize)]
struct Tools {
    components: [Component<'static>; 1],
}

#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Component<'a> {
    r#type: &'static str,
    #[serde(rename = "bom-ref", skip_serializing_if = "Option::is_none")]
    bom_ref: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    supplier: Option<Organization<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    authors: Vec<Contact>,
    #[serde(skip_serializing_if = "Option::is_none")]
    publisher: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    group: Option<&'a str>,
    name: Cow<'a, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<&'static str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    hashes: Vec<Hash<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    licenses: Vec<LicenseChoice>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cpe: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    purl: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pedigree: Option<Pedigree<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    external_references: Vec<ExternalReference<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    evidence: Option<Occurrences<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    properties: Vec<Property<'a>>,
}

#[derive(Serialize)]
struct Organization<'a> {
    name: &'a str,
}

#[derive(Serialize)]
struct Contact {
    #[serde(skip_serializing_if = "String::is_empty")]
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    email: Option<String>,
}

#[derive(Serialize)]
struct Hash<'a> {
    alg: &'static str,
    content: &'a str,
}

#[derive(Serialize)]
#[serde(untagged)]
enum LicenseChoice {
    License { license: NamedLicense },
    Expression { expression: String, acknowledgement: &'static str },
}

#[derive(Serialize)]
struct NamedLicense {
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    acknowledgement: &'static str,
}

#[derive(Serialize)]
struct Pedigree<'a> {
    ancestors: [Box<Component<'a>>; 1],
}

#[derive(Serialize)]
struct ExternalReference<'a> {
    r#type: &'static str,
    url: &'a str,
}

#[derive(Serialize)]
struct Occurrences<'a> {
    occurrences: Vec<Occurrence<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Occurrence<'a> {
    location: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    additional_context: Option<String>,
}

#[derive(Serialize)]
struct Property<'a> {
    name: Cow<'a, str>,
    value: Cow<'a, str>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Dependency<'a> {
    r#ref: &'a str,
    depends_on: Vec<&'a str>,
}

#[derive(Serialize)]
struct Composition {
    aggregate: &'static str,
    assemblies: [&'static str; 1],
}

impl<'a> Document<'a> {
    fn of(metadata: &'a ImageMetadata, options: &Options) -> Self {
        let timestamp = identity::created(metadata, options.created.as_deref());
        let variant = format!("cyclonedx-1.6 declared={} created={timestamp}", options.declared);
        let system = metadata.distro.as_ref().filter(|distro| !distro.id.is_empty());
        let mut components: Vec<_> = system.map(operating_system).into_iter().collect();
        let mut inside: Vec<&str> = Vec::new();
        let mut of_system: Vec<&str> = Vec::new();
        let mut licenses = Licenses::default();
        // Source packages have no location: they are their binary packages' ancestors, not components.
        for found in metadata.packages.iter().filter(|found| !found.locations.is_empty()) {
            let evidence = found.package.evidence;
            if evidence == Evidence::Declared && !options.declared {
                continue;
            }
            components.push(component(found, metadata, &mut licenses));
            if evidence == Evidence::Declared {
                continue;
            }
            let is_system = system.is_some() && WITH_DISTRO.contains(&found.package.kind.as_str());
            if is_system { of_system.push(&found.purl) } else { inside.push(&found.purl) }
        }
        let mut dependencies = Vec::new();
        if system.is_some() {
            inside.insert(0, SYSTEM);
            dependencies.push(Dependency { r#ref: SYSTEM, depends_on: of_system });
        }
        dependencies.insert(0, Dependency { r#ref: ROOT, depends_on: inside });
        let written: HashSet<&str> = components.iter().filter_map(|component| component.bom_ref).collect();
        for found in metadata.packages.iter().filter(|found| written.contains(&*found.purl)) {
            let on: Vec<&str> = found.depends_on.iter().map(String::as_str).filter(|on| written.contains(on)).collect();
            if !on.is_empty() {
                dependencies.push(Dependency { r#ref: &found.purl, depends_on: on });
            }
        }
        // With files unread the list of components is known to be short of some.
        let compositions = match metadata.skipped.is_empty() {
            true => Vec::new(),
            false => vec![Composition { aggregate: "incomplete", assemblies: [ROOT] }],
        };
        Self {
            schema: "http://cyclonedx.org/schema/bom-1.6.schema.json",
            bom_format: "CycloneDX",
            spec_version: "1.6",
            serial_number: format!("urn:uuid:{}", identity::uuid(metadata, &variant)),
            version: 1,
            metadata: Metadata {
                timestamp,
                tools: Tools {
                    components: [Component {
                        r#type: "application",
                        name: "supercargo".into(),
                        version: Some(env!("CARGO_PKG_VERSION").into()),
                        ..Component::default()
                    }],
                },
                component: root(metadata),
                properties: document_properties(metadata),
            },
            components,
            dependencies,
            compositions,
        }
    }
}

fn property<'a>(name: impl Into<Cow<'a, str>>, value: impl Into<Cow<'a, str>>) -> Property<'a> {
    Property { name: name.into(), value: value.into() }
}

fn document_properties(metadata: &ImageMetadata) -> Vec<Property<'_>> {
    let mut properties = vec![property("supercargo:indexer", &metadata.indexer)];
    for file in metadata.skipped.iter().take(MOST_SKIPPED) {
        properties.push(property("supercargo:skipped", format!("{}: {}", file.path, file.reason)));
    }
    let more = metadata.skipped.len().saturating_sub(MOST_SKIPPED);
    if more > 0 {
        properties.push(property("supercargo:skipped", format!("{more} more")));
    }
    properties
}

fn root(metadata: &ImageMetadata) -> Component<'_> {
    match &metadata.source {
        Source::Image(image) => Component {
            r#type: "container",
            bom_ref: Some(ROOT),
            name: if image.name.is_empty() { image.digest.to_string().into() } else { (&image.name).into() },
            version: Some(image.digest.to_string().into()),
            hashes: hash(&image.digest),
            purl: image_purl(image).map(Cow::from),
            properties: image_properties(image),
            ..Component::default()
        },
        Source::Directory { path, .. } => {
            Component { r#type: "file", bom_ref: Some(ROOT), name: path.into(), ..Component::default() }
        }
    }
}

fn image_properties(image: &ImageDetails) -> Vec<Property<'_>> {
    let mut properties = vec![property("supercargo:platform", image.platform.to_string())];
    properties.extend(image.tags.iter().map(|tag| property("supercargo:tag", tag)));
    for (number, layer) in image.layers.iter().enumerate() {
        let name = |field: &str| format!("supercargo:layer:{number}:{field}");
        properties.push(property(name("digest"), layer.digest.to_string()));
        if let Some(diff_id) = &layer.diff_id {
            properties.push(property(name("diffId"), diff_id.to_string()));
        }
        properties.push(property(name("mediaType"), &layer.media_type));
        properties.push(property(name("size"), layer.size.to_string()));
        if let Some(ordinal) = layer.ordinal {
            properties.push(property(name("ordinal"), ordinal.to_string()));
        }
        if let Some(instruction) = &layer.instruction {
            properties.push(property(name("instruction"), instruction));
        }
    }
    properties
}

fn hash(digest: &Digest) -> Vec<Hash<'_>> {
    let alg = match digest.algorithm().to_string().as_str() {
        "sha256" => "SHA-256",
        "sha384" => "SHA-384",
        "sha512" => "SHA-512",
        _ => return Vec::new(),
    };
    vec![Hash { alg, content: digest.digest() }]
}

fn operating_system(distro: &Distro) -> Component<'_> {
    Component {
        r#type: "operating-system",
        bom_ref: Some(SYSTEM),
        name: (&distro.id).into(),
        version: (!distro.version_id.is_empty()).then_some((&distro.version_id).into()),
        description: distro.pretty_name.as_deref(),
        ..Component::default()
    }
}

fn component<'a>(found: &'a ImagePackage, metadata: &'a ImageMetadata, licenses: &mut Licenses<'a>) -> Component<'a> {
    let package = &found.package;
    let mut cpes = package.cpes.iter().filter_map(|cpe| cpe::formatted(cpe));
    let first_cpe = cpes.next();
    let mut properties = vec![property(
        "supercargo:evidence",
        match package.evidence {
            Evidence::Installed => "installed",
            Evidence::Claimed => "claimed",
            Evidence::Declared => "declared",
        },
    )];
    properties.extend(found.catalogers.iter().map(|cataloger| property("supercargo:cataloger", cataloger)));
    if package.dev {
        properties.push(property("supercargo:development", "true"));
    }
    properties.extend(package.signing_key.as_deref().map(|key| property("supercargo:signingKey", key)));
    properties.extend(found.owner.as_deref().map(|owner| property("supercargo:owner", owner)));
    properties.extend(cpes.map(|cpe| property("supercargo:cpe", cpe)));
    let mut occurrences = Vec::with_capacity(found.locations.len());
    for (number, location) in found.locations.iter().enumerate() {
        let layer = location.layer.and_then(|layer| metadata.image()?.layers.get(layer as usize));
        if let Some(layer) = layer {
            properties.push(property(format!("supercargo:location:{number}:layerDigest"), layer.digest.to_string()));
            if let Some(diff_id) = &layer.diff_id {
                properties.push(property(format!("supercargo:location:{number}:layerDiffId"), diff_id.to_string()));
            }
        }
        let additional_context =
            location.layer.zip(layer).map(|(number, layer)| format!("layer {number}: {}", layer.digest));
        occurrences.push(Occurrence { location: &location.path, additional_context });
    }
    let url = package.url.as_deref().filter(|url| is_url(url));
    Component {
        r#type: "library",
        bom_ref: Some(&found.purl),
        supplier: package.vendor.as_deref().map(|name| Organization { name }),
        authors: package
            .author
            .as_deref()
            .and_then(contact)
            .map(|(name, email)| Contact { name, email })
            .into_iter()
            .collect(),
        publisher: package.vendor.as_deref(),
        group: package
            .namespace
            .as_deref()
            .filter(|namespace| !namespace.is_empty() && !WITH_DISTRO.contains(&package.kind.as_str())),
        name: (&package.name).into(),
        version: (!package.version.is_empty()).then_some((&package.version).into()),
        description: package.description.as_deref(),
        scope: (package.evidence == Evidence::Declared).then_some("optional"),
        hashes: Vec::new(),
        licenses: choices(licenses.read(&package.licenses)),
        cpe: first_cpe,
        purl: Some((&found.purl).into()),
        pedigree: pedigree(found),
        external_references: url.map(|url| ExternalReference { r#type: "website", url }).into_iter().collect(),
        evidence: Some(Occurrences { occurrences }),
        properties,
    }
}

fn pedigree(found: &ImagePackage) -> Option<Pedigree<'_>> {
    let purl = found.parent.as_deref()?;
    let source = found.package.source.as_ref()?;
    let ancestor = Component {
        r#type: "library",
        name: (&source.name).into(),
        version: (!source.version.is_empty()).then_some((&source.version).into()),
        purl: Some(purl.into()),
        ..Component::default()
    };
    Some(Pedigree { ancestors: [Box::new(ancestor)] })
}

/// Either one expression or a list: the schema allows no mixture. Names make it a list.
fn choices(licenses: Vec<License>) -> Vec<LicenseChoice> {
    const ACKNOWLEDGEMENT: &str = "declared";
    let is_expression = |license: &License| matches!(license, License::Expression { .. });
    let is_name = |license: &License| matches!(license, License::Name(_));
    if licenses.iter().any(is_expression) && !licenses.iter().any(is_name) {
        let expression = all_of(&licenses, str::to_owned);
        return expression
            .map(|expression| LicenseChoice::Expression { expression, acknowledgement: ACKNOWLEDGEMENT })
            .into_iter()
            .collect();
    }
    let mut named: Vec<NamedLicense> = Vec::with_capacity(licenses.len());
    for license in licenses {
        let (id, name) = match license {
            License::Id(id) => (Some(id), None),
            License::Expression { text, .. } | License::Name(text) => (None, Some(text)),
        };
        if !named.iter().any(|other| other.id == id && other.name == name) {
            named.push(NamedLicense { id, name, acknowledgement: ACKNOWLEDGEMENT });
        }
    }
    named.into_iter().map(|license| LicenseChoice::License { license }).collect()
}
