use proptest::prelude::*;

use super::*;
use crate::package::{Evidence, Package, SourcePackage};
use crate::purl::Purl;

fn read_at(path: &str, bytes: &[u8]) -> Result<Vec<Package>, Problem> {
    let file = File { path, size: bytes.len() as u64, executable: false };
    let mut findings = Findings::default();
    Sbom.catalog(&file, &mut Contents::held(bytes), &mut findings)?;
    Ok(findings.packages().to_vec())
}

fn read(text: &str) -> Vec<Package> {
    read_at("usr/share/sbom/acme.spdx.json", text.as_bytes()).expect("is a document")
}

fn purls(packages: &[Package]) -> Vec<String> {
    packages.iter().map(|package| Purl::of(package, None).to_string()).collect()
}

const SPDX: &str = r#"{
    "spdxVersion": "SPDX-2.3", "SPDXID": "SPDXRef-DOCUMENT", "name": "acme",
    "creationInfo": {"created": "2026-01-01T00:00:00Z", "creators": ["Tool: acme"]},
    "packages": [
        {"SPDXID": "SPDXRef-app", "name": "app", "versionInfo": "1.0", "primaryPackagePurpose": "APPLICATION"},
        {"SPDXID": "SPDXRef-os", "name": "debian", "versionInfo": "12", "primaryPackagePurpose": "OPERATING_SYSTEM"},
        {"SPDXID": "SPDXRef-libquux", "name": "libquux1", "versionInfo": "2.4-1", "filesAnalyzed": false,
         "supplier": "Organization: Acme, Inc. (dist@acme.example)", "originator": "Person: Ann ()",
         "licenseConcluded": "NOASSERTION", "licenseDeclared": "MIT AND LicenseRef-x", "homepage": "https://acme.example/",
         "summary": "quux", "sourceInfo": "built package from: quux 2.4-1", "attributionTexts": [],
         "externalRefs": [
            {"referenceCategory": "SECURITY", "referenceType": "cpe23Type", "referenceLocator": "cpe:2.3:a:acme:quux:2.4:*:*:*:*:*:*:*"},
            {"referenceCategory": "PACKAGE_MANAGER", "referenceType": "http://spdx.org/rdf/references/purl",
             "referenceLocator": "pkg:deb/debian/libquux1@2.4-1?arch=amd64&distro=debian-12"}]},
        {"SPDXID": "SPDXRef-tool", "name": "tool", "versionInfo": "3", "licenseConcluded": "ISC", "licenseDeclared": "NONE",
         "externalRefs": null},
        {"SPDXID": "SPDXRef-nothing", "name": "nothing"},
        {"SPDXID": "SPDXRef-recipe", "name": "quux.yaml", "versionInfo": "1f", "externalRefs": [
            {"referenceType": "purl", "referenceLocator": "pkg:github/acme/os@1f#quux.yaml"}]},
        {"SPDXID": "SPDXRef-copy", "name": "vendored", "versionInfo": "2", "externalRefs": [
            {"referenceType": "Path", "referenceLocator": "third_party/quux"}]}
    ],
    "files": [{"fileName": "a", "SPDXID": "SPDXRef-File"}],
    "relationships": [
        {"spdxElementId": "SPDXRef-DOCUMENT", "relationshipType": "DESCRIBES", "relatedSpdxElement": "SPDXRef-app"},
        {"spdxElementId": "SPDXRef-app", "relationshipType": "CONTAINS", "relatedSpdxElement": "SPDXRef-libquux"},
        {"spdxElementId": "SPDXRef-libquux", "relationshipType": "DESCRIBED_BY", "relatedSpdxElement": "SPDXRef-recipe"},
        {"spdxElementId": "SPDXRef-copy", "relationshipType": "DESCENDANT_OF", "relatedSpdxElement": "SPDXRef-libquux"}
    ]
}"#;

/// The same in the other spelling.
const TAG_VALUE: &str = "SPDXVersion: SPDX-2.3\nSPDXID: SPDXRef-DOCUMENT\nDocumentName: acme\r\n\n# Packages\n\
PackageName: app\nSPDXID: SPDXRef-app\nPackageVersion: 1.0\nPrimaryPackagePurpose: APPLICATION\n\
PackageName: debian\nSPDXID: SPDXRef-os\nPackageVersion: 12\nPrimaryPackagePurpose: OPERATING-SYSTEM\n\
PackageName: libquux1\nSPDXID: SPDXRef-libquux\nPackageVersion: 2.4-1\nFilesAnalyzed: false\n\
PackageSupplier: Organization: Acme, Inc. (dist@acme.example)\nPackageOriginator: Person: Ann ()\n\
PackageLicenseConcluded: NOASSERTION\nPackageLicenseDeclared: MIT AND LicenseRef-x\n\
PackageHomePage: https://acme.example/\nPackageSummary: <text>quux</text>\n\
PackageDescription: <text>One.\nPackageName: not a package\n</text>\n\
PackageSourceInfo: built package from: quux 2.4-1\n\
ExternalRef: SECURITY cpe23Type cpe:2.3:a:acme:quux:2.4:*:*:*:*:*:*:*\n\
ExternalRef: PACKAGE-MANAGER purl pkg:deb/debian/libquux1@2.4-1?arch=amd64&distro=debian-12\n\
PackageName: tool\nSPDXID: SPDXRef-tool\nPackageVersion: 3\nPackageLicenseConcluded: ISC\nPackageLicenseDeclared: NONE\n\
FileName: ./a\nSPDXID: SPDXRef-File\nLicenseConcluded: MIT\n\
PackageName: vendored\nSPDXID: SPDXRef-copy\nPackageVersion: 2\n\
Relationship: SPDXRef-DOCUMENT DESCRIBES SPDXRef-app\nRelationship: SPDXRef-app CONTAINS SPDXRef-libquux\n\
Relationship: SPDXRef-copy DESCENDANT_OF SPDXRef-libquux\n";

const CYCLONEDX: &str = r#"{
    "bomFormat": "CycloneDX", "specVersion": "1.6", "version": 1,
    "metadata": {"component": {"type": "application", "name": "app", "version": "1", "purl": "pkg:generic/app@1"}},
    "components": [
        {"type": "operating-system", "name": "debian", "version": "12"},
        {"type": "library", "bom-ref": "a", "name": "libquux1", "version": "2.4-1",
         "purl": "pkg:deb/debian/libquux1@2.4-1?arch=amd64&distro=debian-12", "cpe": "cpe:2.3:a:acme:quux:2.4:*:*:*:*:*:*:*",
         "supplier": {"name": "Acme, Inc.", "url": ["https://acme.example/"]}, "authors": [{"name": "Ann"}],
         "licenses": [{"license": {"id": "MIT"}}, {"license": {"name": "Acme licence", "text": {"content": "…"}}}],
         "description": "quux", "externalReferences": [{"type": "vcs", "url": "git://x"}, {"type": "website", "url": "https://acme.example/"}],
         "properties": [{"name": "aquasecurity:trivy:SrcName", "value": "quux"}, {"name": "aquasecurity:trivy:SrcVersion", "value": "2.4"},
                        {"name": "aquasecurity:trivy:SrcRelease", "value": "1"}, {"name": "aquasecurity:trivy:SrcEpoch", "value": "3"}],
         "components": [{"type": "framework", "name": "inner", "version": "0.1", "licenses": [{"expression": "MIT OR ISC"}]}]},
        {"type": "application", "name": "usr/bin/tool"},
        {"type": "application", "name": "srv", "version": "2", "cpe": "cpe:2.3:a:acme:srv:2"},
        {"type": "file", "name": "etc/passwd", "version": "1"},
        {"type": "container", "name": "other", "version": "1", "purl": "pkg:oci/other@1"}
    ]
}"#;

const XML: &str = r#"<?xml version="1.0"?>
<!-- made by hand -->
<c:bom xmlns:c="http://cyclonedx.org/schema/bom/1.5" version="1">
  <c:metadata><c:component type="application"><c:name>app</c:name><c:version>1</c:version></c:component></c:metadata>
  <c:components>
    <c:component type="operating-system"><c:name>debian</c:name><c:version>12</c:version></c:component>
    <c:component type="library" bom-ref="a">
      <c:supplier><c:name>Acme, Inc.</c:name><c:contact><c:name>nobody</c:name></c:contact></c:supplier>
      <c:author>Ann</c:author>
      <c:name>libquux1</c:name><c:version>2.4-1</c:version>
      <c:description><![CDATA[quux]]></c:description>
      <c:licenses><c:license><c:id>MIT</c:id></c:license><c:license><c:name>Acme licence</c:name></c:license></c:licenses>
      <c:cpe>cpe:2.3:a:acme:quux:2.4:*:*:*:*:*:*:*</c:cpe>
      <c:purl>pkg:deb/debian/libquux1@2.4-1?arch=amd64&amp;distro=debian-&#49;2</c:purl>
      <c:pedigree><c:ancestors><c:component type="library"><c:name>quux</c:name><c:version>1</c:version></c:component></c:ancestors></c:pedigree>
      <c:externalReferences><c:reference type="vcs"><c:url>git://x</c:url></c:reference>
        <c:reference type="website"><c:url>https://acme.example/</c:url></c:reference></c:externalReferences>
      <c:properties><c:property name="aquasecurity:trivy:SrcName">quux</c:property><c:property name="aquasecurity:trivy:SrcVersion">2.4</c:property>
        <c:property name="aquasecurity:trivy:SrcRelease">1</c:property><c:property name="aquasecurity:trivy:SrcEpoch">3</c:property></c:properties>
      <c:components><c:component type="framework"><c:name>inner</c:name><c:version>0.1</c:version>
        <c:licenses><c:expression>MIT OR ISC</c:expression></c:licenses></c:component></c:components>
    </c:component>
    <c:component type="application"><c:name>usr/bin/tool</c:name></c:component>
    <c:component type="application"><c:name>srv</c:name><c:version>2</c:version><c:cpe>cpe:2.3:a:acme:srv:2</c:cpe></c:component>
    <c:component type="file"/>
  </c:components>
</c:bom>"#;

const SYFT: &str = r#"{
    "artifacts": [
        {"id": "1", "name": "libquux1", "version": "2.4-1", "type": "deb", "licenses": ["MIT", {"value": "GPL-2", "spdxExpression": "GPL-2.0-only"}],
         "cpes": ["cpe:2.3:a:acme:quux:2.4:*:*:*:*:*:*:*", {"cpe": "cpe:2.3:a:quux:quux:2.4:*:*:*:*:*:*:*", "source": "x"}],
         "purl": "pkg:deb/debian/libquux1@2.4-1?arch=amd64&upstream=quux%402.3&distro=debian-12", "metadata": {"a": [1]}},
        {"name": "tool", "version": "3", "type": "binary", "purl": ""},
        {"name": "mod", "version": "v1.0.0", "type": "go-module", "licenses": null}
    ],
    "artifactRelationships": [], "descriptor": {"name": "syft"}, "schema": {"version": "16.0.0"}
}"#;

const SPDX3: &str = r#"{
    "@context": "https://spdx.org/rdf/3.0.1/spdx-context.jsonld",
    "@graph": [
        {"type": "CreationInfo", "@id": "_:1", "specVersion": "3.0.1"},
        {"type": "software_Package", "spdxId": "https://e/1", "name": "libquux1", "software_packageVersion": "2.4-1",
         "software_packageUrl": "pkg:deb/debian/libquux1@2.4-1",
         "externalIdentifier": {"type": "ExternalIdentifier", "externalIdentifierType": "cpe23", "identifier": "cpe:2.3:a:acme:quux:2.4"}},
        {"type": "software_Package", "name": "tool", "software_packageVersion": "3", "externalIdentifier": [
            {"externalIdentifierType": "packageUrl", "identifier": "pkg:npm/tool@3"}]},
        {"type": "software_Package", "name": "debian", "software_packageVersion": "12", "software_primaryPurpose": "operatingSystem"},
        {"type": "software_File", "name": "a"}
    ]
}"#;

#[test]
fn both_spellings_of_spdx_say_the_same() {
    let packages = read(SPDX);
    assert_eq!(
        packages,
        [
            Package {
                kind: "deb".into(),
                namespace: Some("debian".into()),
                name: "libquux1".into(),
                version: "2.4-1".into(),
                qualifiers: [("arch".into(), "amd64".into()), ("distro".into(), "debian-12".into())].into(),
                source: Some(SourcePackage { name: "quux".into(), version: "2.4-1".into() }),
                licenses: vec!["MIT AND LicenseRef-x".into()],
                author: Some("Ann".into()),
                vendor: Some("Acme, Inc. <dist@acme.example>".into()),
                cpes: vec!["cpe:2.3:a:acme:quux:2.4:*:*:*:*:*:*:*".into()],
                description: Some("quux".into()),
                url: Some("https://acme.example/".into()),
                evidence: Evidence::Claimed,
                ..Package::default()
            },
            Package {
                kind: "generic".into(),
                name: "tool".into(),
                version: "3".into(),
                licenses: vec!["ISC".into()],
                evidence: Evidence::Claimed,
                ..Package::default()
            },
        ]
    );
    assert_eq!(read(TAG_VALUE), packages);
    assert_eq!(read(&format!("\u{feff}\n{TAG_VALUE}")), packages);
}

#[test]
fn both_spellings_of_cyclonedx_say_the_same() {
    let packages = read(CYCLONEDX);
    assert_eq!(
        purls(&packages),
        ["pkg:generic/inner@0.1", "pkg:deb/debian/libquux1@2.4-1?arch=amd64&distro=debian-12", "pkg:generic/srv@2"]
    );
    let quux = &packages[1];
    assert_eq!(quux.licenses, ["MIT", "Acme licence"]);
    assert_eq!(quux.vendor.as_deref(), Some("Acme, Inc."));
    assert_eq!(quux.author.as_deref(), Some("Ann"));
    assert_eq!(quux.url.as_deref(), Some("https://acme.example/"));
    assert_eq!(quux.description.as_deref(), Some("quux"));
    assert_eq!(quux.source, Some(SourcePackage { name: "quux".into(), version: "3:2.4-1".into() }));
    assert_eq!(packages[0].licenses, ["MIT OR ISC"]);
    let mut from_xml = read(XML);
    from_xml.sort_by(|a, b| a.name.cmp(&b.name));
    let mut from_json = packages;
    from_json.sort_by(|a, b| a.name.cmp(&b.name));
    assert_eq!(from_xml, from_json);
}

#[test]
fn other_formats_are_read() {
    let packages = read(SYFT);
    assert_eq!(
        purls(&packages),
        [
            "pkg:deb/debian/libquux1@2.4-1?arch=amd64&distro=debian-12&upstream=quux%402.3",
            "pkg:generic/tool@3",
            "pkg:golang/mod@v1.0.0"
        ]
    );
    assert_eq!(packages[0].licenses, ["MIT", "GPL-2.0-only"]);
    assert_eq!(packages[0].cpes.len(), 2);
    assert_eq!(packages[0].source, Some(SourcePackage { name: "quux".into(), version: "2.3".into() }));

    let packages = read(SPDX3);
    assert_eq!(purls(&packages), ["pkg:deb/debian/libquux1@2.4-1", "pkg:npm/tool@3"]);
    assert_eq!(packages[0].cpes, ["cpe:2.3:a:acme:quux:2.4"]);

    let statement =
        |predicate: &str| format!(r#"{{"_type": "https://in-toto.io/Statement/v1", "predicate": {predicate}}}"#);
    assert_eq!(read(&statement(SPDX)), read(SPDX));
    assert_eq!(read(&statement(CYCLONEDX)), read(CYCLONEDX));
}

#[test]
fn an_image_is_a_package_of_itself_only_if_nothing_else_describes_it() {
    let document = |relationships: &str| {
        format!(
            r#"{{"spdxVersion": "SPDX-2.3", "packages": [
                {{"SPDXID": "SPDXRef-i", "name": "i", "versionInfo": "1", "primaryPackagePurpose": "CONTAINER", "externalRefs": [
                    {{"referenceType": "purl", "referenceLocator": "pkg:docker/acme/i@1"}}]}},
                {{"SPDXID": "SPDXRef-p", "name": "p", "versionInfo": "1"}}], "relationships": [{relationships}]}}"#
        )
    };
    assert_eq!(purls(&read(&document(""))), ["pkg:docker/acme/i@1", "pkg:generic/p@1"]);
    let contains =
        r#"{"spdxElementId": "SPDXRef-i", "relationshipType": "CONTAINS", "relatedSpdxElement": "SPDXRef-p"}"#;
    assert_eq!(purls(&read(&document(contains))), ["pkg:generic/p@1"]);
}

#[test]
fn bitnami_documents_tell_all_but_go_modules() {
    let document = r#"{"spdxVersion": "SPDX-2.3", "packages": [
        {"SPDXID": "SPDXRef-acme", "name": "acme", "versionInfo": "1.0.7-4", "externalRefs": [
            {"referenceType": "purl", "referenceLocator": "pkg:bitnami/acme@1.0.7-4?arch=arm64&distro=debian-12"}]},
        {"SPDXID": "SPDXRef-part", "name": "part", "versionInfo": "2", "externalRefs": [
            {"referenceType": "purl", "referenceLocator": "pkg:bitnami/part@2"}]},
        {"SPDXID": "SPDXRef-Application-1-acme", "name": "opt/bitnami/acme/bin/acme", "primaryPackagePurpose": "APPLICATION"},
        {"SPDXID": "SPDXRef-m", "name": "example.org/m", "versionInfo": "v1.2.3", "externalRefs": [
            {"referenceType": "purl", "referenceLocator": "pkg:golang/example.org/m@v1.2.3"}]}]}"#;
    let at = |path: &str| purls(&read_at(path, document.as_bytes()).unwrap());
    let acme = "pkg:bitnami/acme@1.0.7-4?arch=arm64&distro=debian-12";
    let part = "pkg:bitnami/part@2";
    assert_eq!(at("opt/bitnami/acme/.spdx-acme.spdx"), [acme, part]);
    let evidence = |path: &str| {
        let packages = read_at(path, document.as_bytes()).unwrap();
        packages.iter().map(|package| package.evidence).collect::<Vec<_>>()
    };
    assert_eq!(evidence("opt/bitnami/acme/.spdx-acme.spdx"), [Evidence::Claimed, Evidence::Declared]);
    // A document without its component lists what lies there.
    assert_eq!(evidence("opt/bitnami/other/.spdx-other.spdx"), [Evidence::Claimed, Evidence::Claimed]);
    assert_eq!(at("layers/sbom/acme.spdx.json"), [acme, part, "pkg:golang/example.org/m@v1.2.3"]);
}

#[test]
fn what_is_no_document_is_left_alone() {
    for text in [
        "",
        "{}",
        r#"{"bom": [1, 2]}"#,
        "[1]",
        "just text\n",
        "\u{0}\u{1}",
        "<html><p>unclosed",
        r#"<bom xmlns="http://example.org/materials"><components/></bom>"#,
        "<bom",
        "%PDF-1.4",
    ] {
        assert_eq!(read_at("app/bom", text.as_bytes()).expect("is no problem"), [], "{text}");
    }
    for text in [
        r#"{"bomFormat": "CycloneDX", "components": 3}"#,
        r#"{"spdxVersion": "SPDX-2.3", "packages": [{}"#,
        r#"<bom xmlns="http://cyclonedx.org/schema/bom/1.4"><components></bom>"#,
        "SPDXVersion: SPDX-2.3\nPackageName: \u{fffd}",
    ] {
        let bytes: Vec<u8> = text.bytes().filter(|byte| *byte != 0xbf).collect();
        assert!(matches!(read_at("app/bom", &bytes), Err(Problem::Malformed(_))), "{text}");
    }
}

#[test]
fn values_of_the_wrong_sort_cost_nothing_else() {
    let text = r#"{"bomFormat": "CycloneDX", "components": [{"type": 3, "name": ["x"], "version": 1e999, "purl": "pkg:npm/a@1",
        "licenses": [{"license": null}, {"expression": {}}], "supplier": null, "hashes": [[[]]]}]}"#;
    // 1e999 is no number that serde_json takes; everything else is.
    assert!(read_at("x.cdx.json", text.as_bytes()).is_err());
    assert_eq!(purls(&read(&text.replace("1e999", "1.5"))), ["pkg:npm/a@1"]);
    let surrogate = r#"{"bomFormat": "CycloneDX", "components": [{"name": "\ud800", "purl": "pkg:npm/a@1"}]}"#;
    assert!(read_at("x.cdx.json", surrogate.as_bytes()).is_err());
}

#[test]
fn depth_is_bounded() {
    let deep = |open: &str, close: &str, depth: usize| format!("{}{}", open.repeat(depth), close.repeat(depth));
    let ignored = format!(
        r#"{{"bomFormat": "CycloneDX", "x": {}, "components": [{{"purl": "pkg:npm/a@1"}}]}}"#,
        deep("[", "]", 100_000)
    );
    assert_eq!(purls(&read(&ignored)), ["pkg:npm/a@1"]);
    for json in [
        format!(r#"{{"bomFormat": "CycloneDX", "components": {}}}"#, deep(r#"[{"components":"#, "}]", 100_000)),
        format!(r#"{{"spdxVersion": "SPDX-2.3", "predicate": {}}}"#, deep(r#"{"predicate":"#, "}", 100_000)),
    ] {
        let problem = read_at("x.cdx.json", json.as_bytes()).expect_err("is too deep").to_string();
        assert!(problem.contains("recursion limit") || problem.contains("expected value"), "{problem}");
    }
    let open = r#"<bom xmlns="http://cyclonedx.org/schema/bom/1.4">"#;
    let xml = format!("{open}{}</bom>", deep("<components><component>", "</component></components>", 100_000));
    let problem = read_at("bom.xml", xml.as_bytes()).expect_err("is too deep").to_string();
    assert_eq!(problem, "CycloneDX XML: more than 256 elements within each other");
}

#[test]
fn entities_are_not_expanded() {
    let mut dtd = r#"<!DOCTYPE bom [<!ENTITY a0 "lol"><!ENTITY file SYSTEM "file:///etc/passwd">"#.to_owned();
    for level in 1..10 {
        dtd.push_str(&format!("<!ENTITY a{level} \"{}\">", format!("&a{};", level - 1).repeat(10)));
    }
    let xml = format!(
        r#"<?xml version="1.0"?>{dtd}]><bom xmlns="http://cyclonedx.org/schema/bom/1.4"><components>
        <component type="library"><name>x&a9;&file;y&lt;</name><version>1</version></component></components></bom>"#
    );
    let packages = read_at("bom.xml", xml.as_bytes()).unwrap();
    assert_eq!(packages[0].name, "xy<");
}

#[test]
fn many_attributes_take_no_time() {
    let attributes: String = (0..800_000).map(|number| format!(" a{number}=\"\"")).collect();
    let xml = format!(
        r#"<bom xmlns="http://cyclonedx.org/schema/bom/1.4"><components><component type="library"{attributes}>
        <purl>pkg:npm/a@1</purl></component></components></bom>"#
    );
    assert_eq!(purls(&read_at("bom.xml", xml.as_bytes()).unwrap()), ["pkg:npm/a@1"]);
}

#[test]
fn packages_are_counted() {
    let component = r#"{"type": "library", "purl": "pkg:npm/a@1"}"#;
    let json = format!(r#"{{"bomFormat": "CycloneDX", "components": [{}]}}"#, vec![component; 100_001].join(","));
    let file = File { path: "x.cdx.json", size: 0, executable: false };
    let mut findings = Findings::default();
    let problem = Sbom.catalog(&file, &mut Contents::held(json.as_bytes()), &mut findings).expect_err("is too many");
    assert_eq!(problem.to_string(), "more than 100000 packages in one file");
    assert_eq!(findings.packages().len(), 100_000);
}

#[test]
fn values_are_counted() {
    let empty = |count: usize| vec!["{}"; count].join(",");
    // Each of these would be some hundred bytes if it were kept, and there are many more lists than one.
    let nested = vec![format!(r#"{{"components": [{}]}}"#, empty(20_000)); 100].join(",");
    assert_eq!(read(&format!(r#"{{"bomFormat": "CycloneDX", "components": [{nested}]}}"#)), []);
    let many = vec![r#"{"purl": "pkg:npm/a@1"}"#; 150_000].join(",");
    let json = format!(
        r#"{{"bomFormat": "CycloneDX", "components": [{{"components": [{many}]}}, {{"components": [{many}]}}]}}"#
    );
    let problem = read_at("x.cdx.json", json.as_bytes()).expect_err("is too many").to_string();
    assert!(problem.starts_with("CycloneDX: it has more than 200000 components"), "{problem}");
    let json = format!(r#"{{"bomFormat": "CycloneDX", "x": [{}]}}"#, vec!["1"; 8_000_002].join(","));
    let problem = read_at("x.cdx.json", json.as_bytes()).expect_err("is too many").to_string();
    assert_eq!(problem, "it has more than 8000000 values");
}

#[test]
fn files_are_chosen_by_name() {
    let catalogers = crate::Catalogers::of(vec![std::sync::Arc::new(Sbom)]);
    let check = |path: &str, expected: bool| {
        let mut selection = crate::cataloger::Selection::new();
        catalogers.select_by_path(path, &mut selection);
        assert_eq!(!selection.is_empty(), expected, "{path}");
    };
    check("opt/bitnami/redis/.spdx-redis.spdx", true);
    check("usr/share/sbom/a.SPDX.json", true);
    check("opt/docker/sbom/.spdx.dhi-python.json", true);
    check("var/lib/db/sbom/curl-8.12.1-r3.spdx.json", true);
    check("var/lib/db/sbom/image.json", true);
    check("usr/lib/python3/site-packages/numpy-2.2.6.dist-info/sboms/auditwheel.cdx.json", true);
    check("usr/lib/python3/site-packages/a-1.dist-info/sboms/a.json", true);
    check("META-INF/sbom/bom.json", true);
    check("app/bom.xml", true);
    check("app/app.syft.json", true);
    check("app/package.json", false);
    check("app/data.json", false);
    check("app/a.spdx.json.gz", false);
}

proptest! {
    #[test]
    fn never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = read_at("a.spdx", &bytes);
    }

    #[test]
    fn mutations_never_panic(document in 0..6_usize, at in 0..2000_usize, byte: u8) {
        let mut bytes = [SPDX, TAG_VALUE, CYCLONEDX, XML, SYFT, SPDX3][document].as_bytes().to_vec();
        let at = at % bytes.len();
        bytes[at] = byte;
        let _ = read_at("a.spdx", &bytes);
        bytes.truncate(at);
        let _ = read_at("a.spdx", &bytes);
    }
}
