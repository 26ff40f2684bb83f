//! Images from OCI layout folders.

use supercargo_index::{BaseEvidence, ErrorKind, Indexer, OciLayout};
use supercargo_testkit::{ImageBuilder, IndexBuilder, attestation, write_layout};

use crate::support::{dpkg, packages, run};

#[test]
fn an_image_of_a_layout_is_indexed() {
    let folder = tempfile::tempdir().expect("a folder");
    let image = ImageBuilder::new().with_layer(dpkg(&[("bash", "5")]), "step").build();
    write_layout(&image, folder.path(), "1.0").expect("is written");
    let layout = OciLayout::find(folder.path(), Some("1.0"), None).expect("is there");
    let metadata = run(Indexer::new().index(&layout)).expect("is indexed");
    assert_eq!(packages(&metadata, "deb"), ["bash 5 @0"]);
    assert_eq!(metadata.image().expect("an image").tags, ["1.0"]);

    let error = OciLayout::find(folder.path(), Some("2.0"), None).expect_err("no such tag");
    assert!(error.to_string().contains("it has no tag 2.0; it has: 1.0"), "{error}");
    let error = OciLayout::open(folder.path().join("nowhere")).expect_err("no such folder");
    assert_eq!(error.kind(), ErrorKind::Source);
    std::fs::write(folder.path().join("index.json"), "{").expect("is written");
    assert_eq!(OciLayout::open(folder.path()).expect_err("is broken").kind(), ErrorKind::Malformed);
}

#[test]
fn the_platform_is_chosen_and_its_attestations_are_read() {
    let folder = tempfile::tempdir().expect("a folder");
    let amd64 = ImageBuilder::new().with_layer(dpkg(&[("bash", "5")]), "step").build();
    let arm64 = ImageBuilder::new().with_platform("linux/arm64").with_layer(dpkg(&[("bash", "6")]), "step").build();
    let provenance = serde_json::json!({
        "buildType": "https://mobyproject.org/buildkit@v1",
        "materials": [{"uri": "pkg:docker/debian@12", "digest": {"sha256": "a".repeat(64)}}],
    });
    let statement = attestation(&arm64, "https://slsa.dev/provenance/v0.2", &provenance);
    let secret = attestation(&arm64, "https://example.org/unheard-of", &serde_json::json!({}));
    let index = IndexBuilder::new()
        .with_image(amd64)
        .with_image(arm64)
        .with_attestation(statement)
        .with_attestation(secret)
        .build();
    write_layout(&index, folder.path(), "1.0").expect("is written");
    let of = |platform: &str| {
        let platform = platform.parse().expect("a platform");
        let layout = OciLayout::find(folder.path(), None, Some(&platform))?;
        run(Indexer::new().index(&layout))
    };
    let metadata = of("linux/arm64").expect("is there");
    assert_eq!(packages(&metadata, "deb"), ["bash 6 @0"]);
    let image = metadata.image().expect("an image");
    let base = image.base.as_ref().expect("the provenance names it");
    assert_eq!((base.name.as_str(), base.evidence), ("debian", BaseEvidence::Provenance));
    let told: Vec<_> = image.attestations.iter().map(|one| (one.predicate_type.as_str(), one.status)).collect();
    assert_eq!(
        told,
        [
            ("https://slsa.dev/provenance/v0.2", supercargo_index::AttestationStatus::Read),
            ("https://example.org/unheard-of", supercargo_index::AttestationStatus::Unknown),
        ]
    );
    let metadata = of("linux/amd64").expect("is there");
    assert_eq!(packages(&metadata, "deb"), ["bash 5 @0"]);
    assert!(metadata.image().expect("an image").attestations.is_empty());
    let error = of("linux/s390x").expect_err("is not there");
    assert!(error.to_string().contains("it has no image for linux/s390x; it has: linux/amd64, linux/arm64"), "{error}");
}

#[test]
fn an_sbom_beside_the_image_is_compared_and_never_believed() {
    let folder = tempfile::tempdir().expect("a folder");
    let image = ImageBuilder::new().with_layer(dpkg(&[("bash", "5"), ("curl", "7")]), "step").build();
    let package = |name: &str, version: &str| {
        serde_json::json!({
            "SPDXID": format!("SPDXRef-{name}"), "name": name, "versionInfo": version,
            "externalRefs": [{"referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl",
                "referenceLocator": format!("pkg:deb/debian/{name}@{version}?arch=amd64&distro=debian-12")}],
        })
    };
    let sbom = serde_json::json!({
        "spdxVersion": "SPDX-2.3", "SPDXID": "SPDXRef-DOCUMENT",
        "packages": [package("bash", "5"), package("ghost", "1")],
    });
    let vex = serde_json::json!({
        "@context": "https://openvex.dev/ns/v0.2.0", "@id": "https://example.org/vex/1", "author": "Ann",
        "statements": [{"vulnerability": {"name": "CVE-2024-3094"}, "status": "fixed",
            "products": [{"@id": "pkg:deb/debian/bash@5"}]}],
    });
    let index = IndexBuilder::new()
        .with_image(image.clone())
        .with_attestation(attestation(&image, "https://spdx.dev/Document", &sbom))
        .with_attestation(attestation(&image, "https://openvex.dev/ns/v0.2.0", &vex))
        .build();
    write_layout(&index, folder.path(), "1.0").expect("is written");
    let layout = OciLayout::open(folder.path()).expect("is there");
    let metadata = run(Indexer::new().index(&layout)).expect("is indexed");
    assert_eq!(packages(&metadata, "deb"), ["bash 5 @0", "curl 7 @0"]);
    let attestations = &metadata.image().expect("an image").attestations;
    let claims = attestations[0].claims.as_ref().expect("it was compared");
    assert_eq!((claims.claimed, claims.confirmed), (2, 1));
    assert_eq!(claims.not_found, ["pkg:deb/debian/ghost@1?arch=amd64&distro=debian-12"]);
    assert_eq!(claims.not_claimed, ["pkg:deb/curl@7?arch=amd64"]);
    let vex = attestations[1].vex.as_ref().expect("it was read");
    assert_eq!(vex.statements[0].vulnerability, "CVE-2024-3094");
}
