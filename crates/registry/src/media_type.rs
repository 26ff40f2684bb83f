//! Media types of the OCI image specification and of Docker's formats before it.

/// `application/vnd.oci.image.index.v1+json`
pub const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
/// `application/vnd.oci.image.manifest.v1+json`
pub const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// `application/vnd.oci.image.config.v1+json`
pub const OCI_CONFIG: &str = "application/vnd.oci.image.config.v1+json";
/// `application/vnd.oci.image.layer.v1.tar`
pub const OCI_LAYER: &str = "application/vnd.oci.image.layer.v1.tar";
/// `application/vnd.oci.image.layer.v1.tar+gzip`
pub const OCI_LAYER_GZIP: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
/// `application/vnd.oci.image.layer.v1.tar+zstd`
pub const OCI_LAYER_ZSTD: &str = "application/vnd.oci.image.layer.v1.tar+zstd";
/// `application/vnd.oci.empty.v1+json`, the configuration of an artefact that has none.
pub const OCI_EMPTY: &str = "application/vnd.oci.empty.v1+json";
/// Docker's manifest list.
pub const DOCKER_INDEX: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
/// Docker's image manifest, version 2, schema 2.
pub const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
/// Docker's image configuration.
pub const DOCKER_CONFIG: &str = "application/vnd.docker.container.image.v1+json";

/// Docker's manifests of schema 1, which have no configuration and no verifiable digest.
const SCHEMA1: [&str; 2] = [
    "application/vnd.docker.distribution.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v1+prettyjws",
];

/// What manifests are asked for with. CNCF Distribution answers 404 where nothing of the list matches, and
/// some registries convert to the first that does, so indexes stand before manifests.
pub(crate) const ACCEPT: &str = "application/vnd.oci.image.index.v1+json, \
    application/vnd.docker.distribution.manifest.list.v2+json, \
    application/vnd.oci.image.manifest.v1+json, \
    application/vnd.docker.distribution.manifest.v2+json, \
    application/vnd.docker.distribution.manifest.v1+prettyjws;q=0.5, \
    */*;q=0.1";

pub(crate) fn is_index(media_type: &str) -> bool {
    matches!(media_type, OCI_INDEX | DOCKER_INDEX)
}

pub(crate) fn is_image_manifest(media_type: &str) -> bool {
    matches!(media_type, OCI_MANIFEST | DOCKER_MANIFEST)
}

pub(crate) fn is_image_config(media_type: &str) -> bool {
    matches!(media_type, OCI_CONFIG | DOCKER_CONFIG)
}

pub(crate) fn is_schema1(media_type: &str) -> bool {
    SCHEMA1.contains(&media_type)
}

/// Whether a registry can answer a manifest request with it.
pub(crate) fn is_manifest(media_type: &str) -> bool {
    is_index(media_type) || is_image_manifest(media_type) || is_schema1(media_type)
}

/// Strips parameters: `application/json; charset=utf-8` is `application/json`.
pub(crate) fn essence(header: &str) -> String {
    header.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

/// A layer's media type from its first bytes, for formats that do not name it.
pub(crate) fn of_layer(first_bytes: &[u8]) -> &'static str {
    match first_bytes {
        [0x1f, 0x8b, ..] => OCI_LAYER_GZIP,
        [0x28, 0xb5, 0x2f, 0xfd, ..] => OCI_LAYER_ZSTD,
        _ => OCI_LAYER,
    }
}

/// Media types of artefacts that are met often, in words. `None` for the rest.
pub(crate) fn artefact_name(media_type: &str) -> Option<&'static str> {
    const NAMES: [(&str, &str); 9] = [
        ("application/vnd.cncf.helm.", "a Helm chart"),
        ("application/vnd.wasm.", "a WebAssembly module"),
        ("application/vnd.module.wasm.", "a WebAssembly module"),
        ("application/vnd.dev.cosign.", "a cosign signature"),
        ("application/vnd.dev.sigstore.", "a sigstore bundle"),
        ("application/vnd.in-toto", "an attestation"),
        ("application/vnd.docker.attestation.", "an attestation"),
        ("application/spdx+json", "an SBOM"),
        ("application/vnd.cyclonedx", "an SBOM"),
    ];
    NAMES.iter().find(|(start, _)| media_type.starts_with(start)).map(|(_, name)| *name)
}
