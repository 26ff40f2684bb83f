//! What the formats' specifications ask of every document. `tests/sbom` gives documents to the validators of others.

use std::collections::HashSet;

use serde_json::Value;

use super::{cyclonedx, spdx};
use crate::package::{Distro, Evidence, Package, SourcePackage};
use crate::{
    Digest, ImageConfig, ImageDetails, ImageLayer, ImageMetadata, ImagePackage, LayerReading, Location, Platform,
    Skipped, Source,
};

fn digest(number: u8) -> Digest {
    format!("sha256:{}", format!("{number:02x}").repeat(32)).parse().expect("is a digest")
}

fn found(purl: &str, package: Package, locations: &[(&str, u32)]) -> ImagePackage {
    let locations =
        locations.iter().map(|&(path, layer)| Location { path: path.into(), within: None, layer: Some(layer) });
    let (catalogers, parent) = (vec!["test".to_owned()], None);
    ImagePackage {
        purl: purl.into(),
        license: crate::license_expression(package.licenses.iter().map(String::as_str)),
        package,
        parent,
        owner: None,
        depends_on: Vec::new(),
        locations: locations.collect(),
        catalogers,
    }
}

fn metadata() -> ImageMetadata {
    let layer = |number: u8, instruction: Option<&str>| ImageLayer {
        digest: digest(number),
        diff_id: Some(digest(number + 100)),
        media_type: "application/vnd.oci.image.layer.v1.tar+gzip".into(),
        size: 1000,
        ordinal: Some(number.into()),
        instruction: instruction.map(str::to_owned),
        lines: None,
        reading: LayerReading::Whole,
    };
    let libquux = Package {
        kind: "deb".into(),
        namespace: Some("debian".into()),
        name: "libquux++1".into(),
        version: "1:2.4-1".into(),
        source: Some(SourcePackage { name: "quux".into(), version: "2.4-1".into() }),
        licenses: vec!["Odd+ one".into(), "MIT OR ISC".into(), "LicenseRef-Acme".into(), "Odd+ one".into()],
        author: Some("Quux Maintainers <quux@lists.example.org>".into()),
        vendor: Some("Acme".into()),
        cpes: vec!["cpe:2.3:a:acme:quux:2.4".into(), "cpe:2.3:a:quux:quux:2.4:*:*:*:*:*:*:*".into(), "odd".into()],
        description: Some("quux\u{1}".into()),
        url: Some("https://quux.example.org/?a=b".into()),
        ..Package::default()
    };
    let node = |name: &str, version: &str, evidence| Package {
        kind: "npm".into(),
        namespace: Some("@acme".into()),
        name: name.into(),
        version: version.into(),
        licenses: vec!["MIT".into()],
        author: Some("Ann".into()),
        url: Some("not an address".into()),
        evidence,
        ..Package::default()
    };
    let source = Package { kind: "deb".into(), name: "quux".into(), version: "2.4-1".into(), ..Package::default() };
    let quux_source = "pkg:deb/debian/quux@2.4-1?arch=source";
    let mut declared = node("c", "1", Evidence::Declared);
    declared.dev = true;
    let mut packages = vec![
        found(
            "pkg:deb/debian/libquux%2B%2B1@1:2.4-1?arch=amd64",
            libquux,
            &[("/var/lib/dpkg/status", 0), ("/var/lib/dpkg/status.d/quux", 1), ("/x", 1)],
        ),
        found("pkg:npm/%40acme/a@1", node("a", "1", Evidence::Installed), &[("/app/a/package.json", 1)]),
        found("pkg:npm/%40acme/b@", node("b", "", Evidence::Claimed), &[("/app/bom.json", 1)]),
        found("pkg:npm/%40acme/c@1", declared, &[("/app/package-lock.json", 1)]),
        found(quux_source, source, &[]),
    ];
    packages[0].parent = Some(quux_source.into());
    packages[1].owner = Some(packages[0].purl.clone());
    // One is only declared, one is not there.
    packages[1].depends_on = ["pkg:npm/%40acme/b@", "pkg:npm/%40acme/c@1", "pkg:npm/none@1"].map(str::to_owned).into();
    ImageMetadata {
        format: ImageMetadata::FORMAT,
        indexer: "1-abc".into(),
        source: Source::Image(Box::new(ImageDetails {
            name: "registry.example.org/team/App".into(),
            tags: vec!["v1".into()],
            digest: digest(200),
            media_type: "application/vnd.oci.image.manifest.v1+json".into(),
            size: 2000,
            platform: Platform { os: "linux".into(), architecture: "amd64".into(), ..Platform::default() },
            raw_manifest: b"{}".to_vec(),
            raw_config: b"{}".to_vec(),
            redacted: false,
            config: ImageConfig { created: Some("2026-02-03T04:05:06.789+01:00".into()), ..ImageConfig::default() },
            layers: vec![layer(0, Some("ADD rootfs.tar /")), layer(1, None)],
            base: None,
            provenance: None,
            attestations: Vec::new(),
        })),
        distro: Some(Distro { id: "debian".into(), version_id: "12".into(), ..Distro::default() }),
        packages,
        repositories: Vec::new(),
        vex: Vec::new(),
        skipped: vec![Skipped { path: "a".into(), cataloger: "test".into(), reason: "broken".into() }],
    }
}

fn as_spdx(metadata: &ImageMetadata, options: &spdx::Options) -> Value {
    let mut json = Vec::new();
    spdx::write(metadata, options, &mut json).expect("a vector takes all");
    serde_json::from_slice(&json).expect("is JSON")
}

fn as_cyclonedx(metadata: &ImageMetadata, options: &cyclonedx::Options) -> Value {
    let mut json = Vec::new();
    cyclonedx::write(metadata, options, &mut json).expect("a vector takes all");
    serde_json::from_slice(&json).expect("is JSON")
}

fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_else(|| panic!("no text at {pointer} of {value}"))
}

fn list<'a>(value: &'a Value, pointer: &str) -> &'a [Value] {
    value.pointer(pointer).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// Everything that has an identifier, each once, and every reference to one of them.
fn check_spdx(document: &Value) {
    let mut ids: HashSet<&str> = HashSet::from(["SPDXRef-DOCUMENT"]);
    for package in list(document, "/packages") {
        let id = text(package, "/SPDXID");
        assert!(ids.insert(id), "{id} is there twice");
        let name = id.strip_prefix("SPDXRef-").expect("has the prefix");
        assert!(name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-".contains(&byte)), "{id}");
    }
    for relationship in list(document, "/relationships") {
        for end in ["/spdxElementId", "/relatedSpdxElement"] {
            assert!(ids.contains(text(relationship, end)), "{relationship}");
        }
    }
    let all: HashSet<String> = list(document, "/relationships").iter().map(Value::to_string).collect();
    assert_eq!(all.len(), list(document, "/relationships").len(), "a relationship is there twice");
    let defined: HashSet<&str> =
        list(document, "/hasExtractedLicensingInfos").iter().map(|info| text(info, "/licenseId")).collect();
    for package in list(document, "/packages") {
        let declared = text(package, "/licenseDeclared");
        for word in declared.split([' ', '(', ')']).filter(|word| word.starts_with("LicenseRef-")) {
            assert!(defined.contains(word), "{word}");
        }
        let parsed = ::spdx::Expression::parse(declared);
        assert!(declared == "NOASSERTION" || parsed.is_ok(), "{declared}");
    }
}

fn check_cyclonedx(document: &Value) {
    let mut refs: HashSet<&str> = HashSet::from(["root"]);
    for component in list(document, "/components") {
        let bom_ref = text(component, "/bom-ref");
        assert!(refs.insert(bom_ref), "{bom_ref} is there twice");
    }
    let mut dependants = HashSet::new();
    for dependency in list(document, "/dependencies") {
        assert!(dependants.insert(text(dependency, "/ref")), "{dependency}");
        assert!(refs.contains(text(dependency, "/ref")), "{dependency}");
        let mut seen = HashSet::new();
        for target in list(dependency, "/dependsOn") {
            let target = target.as_str().expect("is a reference");
            assert!(refs.contains(target) && seen.insert(target), "{target}");
        }
    }
}

#[test]
fn spdx_tells_the_image_its_layers_and_its_packages() {
    let document = as_spdx(&metadata(), &spdx::Options::default());
    check_spdx(&document);
    assert_eq!(text(&document, "/creationInfo/created"), "2026-02-03T03:05:06Z");
    assert_eq!(text(&document, "/creationInfo/licenseListVersion").split('.').count(), 2);
    assert_eq!(text(&document, "/comment"), "1 files were not read, so packages may be missing: a (broken)");
    let package = |name: &str| {
        let named = |package: &&Value| package["name"] == name;
        list(&document, "/packages").iter().find(named).unwrap_or_else(|| panic!("no {name}"))
    };
    let root = package("registry.example.org/team/App");
    assert_eq!(text(root, "/checksums/0/checksumValue"), digest(200).digest());
    assert_eq!(
        text(root, "/externalRefs/0/referenceLocator"),
        format!(
            "pkg:oci/app@sha256:{}?arch=amd64&repository_url=registry.example.org%2Fteam%2FApp&tag=v1",
            digest(200).digest()
        )
    );
    assert_eq!(text(package("layer 0"), "/checksums/0/checksumValue"), digest(0).digest());
    assert_eq!(text(package("debian"), "/primaryPackagePurpose"), "OPERATING-SYSTEM");
    let quux = package("libquux++1");
    assert_eq!(text(quux, "/supplier"), "Organization: Acme");
    assert_eq!(text(quux, "/originator"), "Organization: Quux Maintainers (quux@lists.example.org)");
    assert_eq!(text(quux, "/sourceInfo"), "found by test in /var/lib/dpkg/status, /var/lib/dpkg/status.d/quux, /x");
    assert_eq!(text(quux, "/comment"), format!("layerID: {}\nlayerID: {}", digest(100), digest(101)));
    let license = text(quux, "/licenseDeclared");
    assert!(license.starts_with("LicenseRef-Odd") && license.ends_with(" AND (MIT OR ISC) AND LicenseRef-Acme"));
    let locators: Vec<_> = list(quux, "/externalRefs").iter().map(|other| text(other, "/referenceLocator")).collect();
    assert_eq!(
        locators,
        [
            "pkg:deb/debian/libquux%2B%2B1@1:2.4-1?arch=amd64",
            "cpe:2.3:a:acme:quux:2.4:*:*:*:*:*:*:*",
            "cpe:2.3:a:quux:quux:2.4:*:*:*:*:*:*:*"
        ]
    );
    assert_eq!(text(package("@acme/a"), "/originator"), "Person: Ann");
    assert_eq!(package("@acme/a").get("homepage"), None);
    assert_eq!(text(package("quux"), "/primaryPackagePurpose"), "SOURCE");

    let id = |name: &str| text(package(name), "/SPDXID");
    let related = |from: &str, kind: &str, to: &str| {
        list(&document, "/relationships").iter().any(|relationship| {
            relationship["spdxElementId"] == from
                && relationship["relationshipType"] == kind
                && relationship["relatedSpdxElement"] == to
        })
    };
    let quux = id("libquux++1");
    assert!(related("SPDXRef-DOCUMENT", "DESCRIBES", id("registry.example.org/team/App")));
    assert!(related("SPDXRef-DocumentRoot-Image", "CONTAINS", "SPDXRef-Layer-1"));
    assert!(related("SPDXRef-Layer-0", "CONTAINS", quux) && related("SPDXRef-Layer-1", "CONTAINS", quux));
    assert!(related("SPDXRef-OperatingSystem", "CONTAINS", quux));
    assert!(related(quux, "GENERATED_FROM", id("quux")));
    assert!(related(id("@acme/a"), "DEPENDS_ON", id("@acme/b")));
    assert!(related(quux, "CONTAINS", id("@acme/a")));
    assert!(!list(&document, "/packages").iter().any(|package| package["name"] == "@acme/c"));
}

#[test]
fn cyclonedx_tells_the_image_its_layers_and_its_packages() {
    let document = as_cyclonedx(&metadata(), &cyclonedx::Options::default());
    check_cyclonedx(&document);
    assert_eq!(text(&document, "/metadata/timestamp"), "2026-02-03T03:05:06Z");
    assert_eq!(text(&document, "/metadata/component/hashes/0/content"), digest(200).digest());
    assert_eq!(text(&document, "/compositions/0/aggregate"), "incomplete");
    let component = |name: &str| {
        let named = |component: &&Value| component["name"] == name;
        list(&document, "/components").iter().find(named).unwrap_or_else(|| panic!("no {name}"))
    };
    let property = |value: &Value, name: &str| -> Vec<String> {
        let properties = list(value, "/properties").iter().filter(|property| property["name"] == name);
        properties.map(|property| text(property, "/value").to_owned()).collect()
    };
    let root = &document["metadata"]["component"];
    assert_eq!(property(root, "supercargo:layer:0:instruction"), ["ADD rootfs.tar /"]);
    assert_eq!(property(root, "supercargo:layer:1:diffId"), [digest(101).to_string()]);
    let quux = component("libquux++1");
    assert_eq!(quux.get("group"), None, "the distribution is in the package URL");
    assert_eq!(text(quux, "/evidence/occurrences/1/location"), "/var/lib/dpkg/status.d/quux");
    assert_eq!(text(quux, "/evidence/occurrences/1/additionalContext"), format!("layer 1: {}", digest(1)));
    assert_eq!(property(quux, "supercargo:location:1:layerDiffId"), [digest(101).to_string()]);
    assert_eq!(text(quux, "/cpe"), "cpe:2.3:a:acme:quux:2.4:*:*:*:*:*:*:*");
    assert_eq!(property(quux, "supercargo:cpe"), ["cpe:2.3:a:quux:quux:2.4:*:*:*:*:*:*:*"]);
    assert_eq!(text(quux, "/pedigree/ancestors/0/purl"), "pkg:deb/debian/quux@2.4-1?arch=source");
    assert_eq!(text(quux, "/authors/0/email"), "quux@lists.example.org");
    let names: Vec<_> = list(quux, "/licenses").iter().map(|license| text(license, "/license/name")).collect();
    assert_eq!(names, ["Odd+ one", "MIT OR ISC", "LicenseRef-Acme"]);
    assert_eq!(text(component("a"), "/licenses/0/license/id"), "MIT");
    assert_eq!(text(component("a"), "/group"), "@acme");
    assert_eq!(property(component("b"), "supercargo:evidence"), ["claimed"]);
    let dependencies = list(&document, "/dependencies");
    assert_eq!(dependencies[0]["dependsOn"][0], "operating-system");
    assert_eq!(dependencies[1]["dependsOn"][0], "pkg:deb/debian/libquux%2B%2B1@1:2.4-1?arch=amd64");
    assert_eq!(dependencies[2]["ref"], "pkg:npm/%40acme/a@1");
    assert_eq!(*list(&dependencies[2], "/dependsOn"), ["pkg:npm/%40acme/b@"]);
    assert_eq!(property(component("a"), "supercargo:owner"), ["pkg:deb/debian/libquux%2B%2B1@1:2.4-1?arch=amd64"]);
    assert!(
        !list(&document, "/components").iter().any(|component| component["name"] == "quux" || component["name"] == "c")
    );
}

#[test]
fn licences_that_are_all_expressions_become_one() {
    let mut metadata = metadata();
    metadata.packages[0].package.licenses = vec!["MIT OR ISC".into(), "Zlib".into()];
    let document = as_cyclonedx(&metadata, &cyclonedx::Options::default());
    assert_eq!(text(&document, "/components/1/licenses/0/expression"), "(MIT OR ISC) AND Zlib");
    assert_eq!(list(&document, "/components/1/licenses").len(), 1);
}

#[test]
fn declared_packages_are_told_if_asked_for() {
    let document = as_spdx(&metadata(), &spdx::Options { declared: true, ..Default::default() });
    check_spdx(&document);
    let declared = |relationship: &&Value| relationship["relationshipType"] == "DEV_DEPENDENCY_OF";
    let relationship = list(&document, "/relationships").iter().find(declared).expect("is there");
    assert_eq!(relationship["relatedSpdxElement"], "SPDXRef-DocumentRoot-Image");

    let document = as_cyclonedx(&metadata(), &cyclonedx::Options { declared: true, ..Default::default() });
    check_cyclonedx(&document);
    let component = list(&document, "/components").iter().find(|component| component["name"] == "c").expect("is there");
    assert_eq!(component["scope"], "optional");
    assert!(!list(&document, "/dependencies/0/dependsOn").contains(&component["bom-ref"]));
}

#[test]
fn the_same_image_gives_the_same_bytes_and_another_one_another_name() {
    let names = |metadata: &ImageMetadata, declared: bool, created: Option<&str>| {
        let created = created.map(str::to_owned);
        let one = as_spdx(metadata, &spdx::Options { declared, created: created.clone() });
        let other = as_cyclonedx(metadata, &cyclonedx::Options { declared, created });
        [text(&one, "/documentNamespace").to_owned(), text(&other, "/serialNumber").to_owned()]
    };
    let base = names(&metadata(), false, None);
    assert_eq!(names(&metadata(), false, None), base);
    let mut other_digest = metadata();
    if let Source::Image(image) = &mut other_digest.source {
        image.digest = digest(201);
    }
    let mut other_indexer = metadata();
    other_indexer.indexer.push('x');
    let all = [
        base,
        names(&other_digest, false, None),
        names(&other_indexer, false, None),
        names(&metadata(), true, None),
        names(&metadata(), false, Some("2026-11-22T00:00:00Z")),
    ];
    let distinct: HashSet<_> = all.iter().flatten().collect();
    assert_eq!(distinct.len(), 10);
    for [namespace, serial] in &all {
        assert!(namespace.starts_with("https://spdx.org/spdxdocs/supercargo/registry.example.org-team-App-v1-"));
        let uuid = serial.strip_prefix("urn:uuid:").expect("is a URN");
        assert_eq!((uuid.len(), &uuid[14..15]), (36, "8"));
    }
}

#[test]
fn directories_are_described_without_layers() {
    let mut metadata = metadata();
    metadata.source = Source::Directory { path: "/srv/a b".into(), size: 1 };
    for location in metadata.packages.iter_mut().flat_map(|package| &mut package.locations) {
        location.layer = None;
    }
    let document = as_spdx(&metadata, &spdx::Options::default());
    check_spdx(&document);
    assert_eq!(text(&document, "/creationInfo/created"), "1970-01-01T00:00:00Z");
    let contained = list(&document, "/relationships").iter().filter(|relationship| {
        relationship["spdxElementId"] == "SPDXRef-DocumentRoot-Directory"
            && relationship["relationshipType"] == "CONTAINS"
    });
    assert_eq!(contained.count(), 4, "the system and three packages");
    let document = as_cyclonedx(&metadata, &cyclonedx::Options::default());
    check_cyclonedx(&document);
    assert_eq!(text(&document, "/metadata/component/type"), "file");
}

#[test]
fn foreign_text_breaks_no_field() {
    let mut metadata = metadata();
    let odd = "a\nb\u{0}<\"\\>\u{202e} (c) <d\u{7}@e>";
    for found in &mut metadata.packages {
        found.purl = format!("pkg:generic/{}", found.package.name.replace('+', "%2B"));
        found.package.name = odd.into();
        found.package.version = odd.into();
        found.package.author = Some(odd.into());
        found.package.vendor = Some(odd.into());
        found.package.licenses = vec![odd.into(), "(".repeat(10_000), "LicenseRef-ä".into()];
        found.package.cpes = vec![odd.into()];
        found.package.url = Some(odd.into());
    }
    let document = as_spdx(&metadata, &spdx::Options { declared: true, ..Default::default() });
    check_spdx(&document);
    assert_eq!(text(&document, "/packages/4/originator"), "Person: a b");
    check_cyclonedx(&as_cyclonedx(&metadata, &cyclonedx::Options { declared: true, ..Default::default() }));
}
