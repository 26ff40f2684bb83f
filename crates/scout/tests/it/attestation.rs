use supercargo_scout::index::scout;
use supercargo_scout::{Attestation, Endpoints, ErrorKind, ImageRepository, SBOM_PREDICATE_TYPE};

use crate::support::{image, metadata};

#[tokio::test]
async fn the_statement_is_about_the_image_and_holds_its_sbom() {
    let metadata = metadata(image(2)).await;
    let attestation = Attestation::sbom(&metadata).unwrap();
    let digest = &metadata.image().unwrap().digest;
    assert_eq!(&attestation.subject, digest);
    assert_eq!(attestation.media_type, "application/vnd.in-toto+json");
    let statement: serde_json::Value = serde_json::from_slice(&attestation.statement).unwrap();
    assert_eq!(statement["_type"], "https://in-toto.io/Statement/v0.1");
    assert_eq!(statement["predicateType"], SBOM_PREDICATE_TYPE);
    assert_eq!(statement["subject"][0]["name"], "registry.example.com:5000/team/app");
    assert_eq!(statement["subject"][0]["digest"]["sha256"], digest.digest());
    let mut sbom = Vec::new();
    scout::write(&metadata, scout::Options::default(), &mut sbom).unwrap();
    let sbom: serde_json::Value = serde_json::from_slice(&sbom).unwrap();
    assert_eq!(statement["predicate"], sbom);
    assert_eq!(Attestation::sbom(&metadata).unwrap(), attestation);

    let mut directory = metadata;
    directory.source = supercargo_scout::index::Source::Directory { path: "/".into(), size: 0 };
    assert_eq!(Attestation::sbom(&directory).unwrap_err().kind(), ErrorKind::Unsupported);
}

/// The example is that of Docker's documentation, *Verify Docker Hardened Images*.
#[test]
fn the_registry_for_attestations_mirrors_names_of_docker_hub() {
    let endpoints = Endpoints::default();
    let hub = ImageRepository::parse("docker/dhi-python").unwrap();
    let expected = Some(("registry.scout.docker.com", "docker/dhi-python"));
    assert_eq!(Attestation::repository_in(&endpoints, &hub), expected);
    let own = ImageRepository::parse("ghcr.io/acme/app").unwrap();
    assert_eq!(Attestation::repository_in(&endpoints, &own), None);
}
