//! Packages that SBOM documents in the image claim: [`Evidence::Claimed`](crate::Evidence::Claimed).
//!
//! | Format | Reader | Who leaves such documents in images |
//! | --- | --- | --- |
//! | SPDX 2.x JSON | [`spdx`] | apko and melange (`/var/lib/db/sbom`), Bitnami, Docker Hardened Images, buildpacks |
//! | SPDX 2.x tag-value | [`tag_value`] | build systems, source releases |
//! | SPDX 3 JSON-LD | [`spdx3`] | Yocto, Zephyr |
//! | CycloneDX JSON | [`cyclonedx`] | wheels (PEP 770), maturin, Paketo, npm and Maven plugins |
//! | CycloneDX XML | [`cyclonedx_xml`] | Maven and Gradle plugins |
//! | syft JSON | [`syft`] | buildpacks |
//!
//! Which one it is, the contents say; names only say that it may be one. A document may come in an in-toto statement.
//!
//! What is no package, though it has an entry: the operating system, the image, a file, the document's root where it
//! only holds the others, and the recipe that a package was built by. Go modules that Bitnami's documents name are
//! left out: they were read from binaries that lie in the same image, and are read from these. What else a
//! document of Bitnami's names besides its component is what that was built of, and counts as declared.

mod claim;
mod cyclonedx;
mod cyclonedx_xml;
mod spdx;
mod spdx3;
mod syft;
mod tag_value;

use memchr::memmem;

use claim::Claim;

use crate::catalogers::check_count;
use crate::{Cataloger, Contents, Evidence, File, Findings, Interest, Package, Problem};

/// Entries of one list in a document. Packages are bounded by [`check_count`]; lists nest.
const MOST_ENTRIES: usize = 200_000;

/// Values of a JSON document, told by its commas. An empty one costs the document two bytes and its reader dozens.
/// Of real documents the largest that is read at all (96 MiB) has about three million.
const MOST_VALUES: usize = 8_000_000;

/// How far into a document that is neither JSON nor XML its `SPDXVersion` must come.
const FAR_ENOUGH: usize = 4096;

/// Reads SBOM documents.
#[derive(Debug)]
pub(crate) struct Sbom;

impl Cataloger for Sbom {
    fn name(&self) -> &'static str {
        "sbom"
    }

    fn version(&self) -> u32 {
        2
    }

    fn interest(&self) -> Interest {
        Interest::new()
            .path_in_any_case("**/*.spdx")
            .path_in_any_case("**/*.spdx.json")
            .path("**/.spdx.*.json")
            .path_in_any_case("**/*.cdx")
            .path_in_any_case("**/*.cdx.json")
            .path_in_any_case("**/*.cdx.xml")
            .path("**/*.cyclonedx.json")
            .path("**/*.cyclonedx.xml")
            .path_in_any_case("**/bom.json")
            .path_in_any_case("**/bom.xml")
            .path("**/*.bom.json")
            .path("**/*.bom.xml")
            .path("**/*.bom")
            .path("**/bom")
            .path("**/sbom.json")
            .path("**/sbom.xml")
            .path("**/*.sbom.json")
            .path("**/*.sbom")
            .path("**/sbom")
            .path("**/*.syft.json")
            .path("var/lib/db/sbom/*.json")
            .path("**/*.dist-info/sboms/*.json")
            .path("**/*.dist-info/sboms/*.xml")
    }

    fn catalog(&self, file: &File<'_>, contents: &mut Contents<'_>, findings: &mut Findings) -> Result<(), Problem> {
        let bytes = contents.whole()?;
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes).trim_ascii_start();
        let claims = match bytes.first() {
            Some(b'{') => json(bytes)?,
            Some(b'<') => cyclonedx_xml::read(bytes)?,
            _ => match memmem::find(bytes.get(..FAR_ENOUGH).unwrap_or(bytes), b"SPDXVersion:") {
                Some(_) => tag_value::read(bytes)?,
                None => return Ok(()),
            },
        };
        let mut packages: Vec<Package> = claims.into_iter().filter_map(Claim::package).collect();
        if let Some((component, _)) = file.path.strip_prefix("opt/bitnami/").and_then(|rest| rest.split_once('/')) {
            of_bitnami(component, &mut packages);
        }
        for package in packages {
            check_count(findings)?;
            findings.package(package);
        }
        Ok(())
    }
}

/// What Bitnami's document in the folder of `component` tells of the image. One that names no component lists what
/// lies there.
fn of_bitnami(component: &str, packages: &mut Vec<Package>) {
    let is_component = |package: &Package| package.kind == "bitnami" && package.name == component;
    packages.retain(|package| package.kind != "golang");
    if packages.iter().any(is_component) {
        for part in packages.iter_mut().filter(|package| !is_component(package)) {
            part.evidence = Evidence::Declared;
        }
    }
}

/// The packages that a JSON document names which lies beside an image.
pub(crate) fn claims(document: &[u8]) -> Result<Vec<Package>, Problem> {
    Ok(json(document)?.into_iter().filter_map(Claim::package).collect())
}

/// Reads a JSON document of the format that it says it has.
fn json(bytes: &[u8]) -> Result<Vec<Claim<'_>>, Problem> {
    if memchr::memchr_iter(b',', bytes).count() > MOST_VALUES {
        return Err(Problem::malformed(format!("it has more than {MOST_VALUES} values")));
    }
    let says = |key: &[u8]| memmem::find(bytes, key).is_some();
    let (format, claims) = if says(b"\"bomFormat\"") {
        ("CycloneDX", cyclonedx::read(bytes))
    } else if says(b"\"spdxVersion\"") {
        ("SPDX", spdx::read(bytes))
    } else if says(b"spdx.org/rdf/3.") {
        ("SPDX 3", spdx3::read(bytes))
    } else if says(b"\"artifacts\"") && (says(b"\"artifactRelationships\"") || says(b"\"descriptor\"")) {
        ("syft", syft::read(bytes))
    } else {
        return Ok(Vec::new());
    };
    claims.map_err(|error| Problem::malformed(format!("{format}: {error}")))
}

#[cfg(test)]
mod tests;
