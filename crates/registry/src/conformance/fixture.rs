//! What the suite expects to find.

use bytes::Bytes;
use serde_json::{Value, json};

use crate::media_type::{DOCKER_CONFIG, DOCKER_MANIFEST, OCI_CONFIG, OCI_INDEX, OCI_LAYER, OCI_MANIFEST};
use crate::{Digest, Repository, TagName, digest};

/// The content of one repository.
#[derive(Clone, Debug)]
pub struct Fixture {
    /// Where it is.
    pub repository: Repository,
    /// Configurations and layers.
    pub blobs: Vec<Bytes>,
    /// Manifests and indexes, what is named before what names it.
    pub manifests: Vec<FixtureManifest>,
    pub(super) expected: Vec<Expected>,
}

/// A manifest or an index to push.
#[derive(Clone, Debug)]
pub struct FixtureManifest {
    /// Its tag, if it has one.
    pub tag: Option<TagName>,
    /// Its media type.
    pub media_type: String,
    /// Its bytes.
    pub bytes: Bytes,
}

impl FixtureManifest {
    /// Its digest.
    pub fn digest(&self) -> Digest {
        digest::sha256(&self.bytes)
    }
}

/// What a tag leads to.
#[derive(Clone, Debug)]
pub(super) struct Expected {
    pub(super) tag: TagName,
    pub(super) images: Vec<Digest>,
    pub(super) attestations: Vec<Digest>,
    pub(super) unsupported: Vec<Digest>,
}

impl Fixture {
    /// Images of both formats, an index with two platforms, an attestation and an index within it, a chart,
    /// and a blob of three quarters of a MiB. The layers are not archives: no adapter looks into them.
    pub fn sample() -> Self {
        let mut made = Self {
            repository: "conformance/sample".parse().expect("a name"),
            blobs: Vec::new(),
            manifests: Vec::new(),
            expected: Vec::new(),
        };
        let base = made.blob(Bytes::from_static(b"the base layer"), OCI_LAYER);
        let large: Vec<u8> = (0..750_000u32).map(|n| n.wrapping_mul(2_654_435_761).to_be_bytes()[0]).collect();
        let large = made.blob(large.into(), OCI_LAYER);

        let amd64 = made.image("amd64", &[base.clone(), large], Some("single"));
        made.expect("single", &[&amd64], &[], &[]);
        let docker = made.docker_image("docker");
        made.expect("docker", &[&docker], &[], &[]);
        let chart = made.chart("chart");
        made.expect("chart", &[], &[], &[&chart]);

        let arm64 = made.image("arm64", std::slice::from_ref(&base), None);
        let riscv64 = made.image("riscv64", &[base], None);
        let attestation = made.attestation();
        let inner = made.index(&[entry(&riscv64, Some("riscv64"))], None);
        let mut about = entry(&attestation, Some("unknown"));
        about["annotations"] = json!({
            "vnd.docker.reference.type": "attestation-manifest",
            "vnd.docker.reference.digest": amd64["digest"],
        });
        made.index(
            &[entry(&amd64, Some("amd64")), entry(&arm64, Some("arm64")), about, inner, chart.clone()],
            Some("multi"),
        );
        // What an inner index leads to comes after what the outer one names.
        made.expect("multi", &[&amd64, &arm64, &riscv64], &[&attestation], &[&chart]);
        made
    }

    /// The manifests that have tags.
    pub fn tags(&self) -> impl Iterator<Item = (&TagName, &FixtureManifest)> {
        self.manifests.iter().filter_map(|manifest| Some((manifest.tag.as_ref()?, manifest)))
    }

    fn blob(&mut self, bytes: Bytes, media_type: &str) -> Value {
        let descriptor = json!({"mediaType": media_type, "digest": digest::sha256(&bytes), "size": bytes.len()});
        if !self.blobs.contains(&bytes) {
            self.blobs.push(bytes);
        }
        descriptor
    }

    fn manifest(&mut self, tag: Option<&str>, media_type: &str, document: &Value) -> Value {
        let bytes = Bytes::from(document.to_string());
        let descriptor = json!({"mediaType": media_type, "digest": digest::sha256(&bytes), "size": bytes.len()});
        let tag = tag.map(|tag| tag.parse().expect("a tag"));
        self.manifests.push(FixtureManifest { tag, media_type: media_type.to_owned(), bytes });
        descriptor
    }

    fn image(&mut self, architecture: &str, layers: &[Value], tag: Option<&str>) -> Value {
        let config = self.config(architecture, OCI_CONFIG);
        let document = json!({"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": config, "layers": layers});
        self.manifest(tag, OCI_MANIFEST, &document)
    }

    fn docker_image(&mut self, tag: &str) -> Value {
        let layer =
            self.blob(Bytes::from_static(b"a layer of docker's"), "application/vnd.docker.image.rootfs.diff.tar.gzip");
        let config = self.config("s390x", DOCKER_CONFIG);
        let document = json!({"schemaVersion": 2, "mediaType": DOCKER_MANIFEST, "config": config, "layers": [layer]});
        self.manifest(Some(tag), DOCKER_MANIFEST, &document)
    }

    fn config(&mut self, architecture: &str, media_type: &str) -> Value {
        let config = json!({"architecture": architecture, "os": "linux", "rootfs": {"type": "layers", "diff_ids": []}});
        self.blob(config.to_string().into(), media_type)
    }

    fn chart(&mut self, tag: &str) -> Value {
        let config = self.blob(Bytes::from_static(b"{\"name\":\"chart\"}"), "application/vnd.cncf.helm.config.v1+json");
        let layer = self.blob(Bytes::from_static(b"a chart"), "application/vnd.cncf.helm.chart.content.v1.tar+gzip");
        let document = json!({"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": config, "layers": [layer]});
        self.manifest(Some(tag), OCI_MANIFEST, &document)
    }

    fn attestation(&mut self) -> Value {
        let config = self.config("unknown", OCI_CONFIG);
        let layer = self.blob(Bytes::from_static(b"{\"_type\":\"statement\"}"), "application/vnd.in-toto+json");
        let document = json!({"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": config, "layers": [layer]});
        self.manifest(None, OCI_MANIFEST, &document)
    }

    fn index(&mut self, manifests: &[Value], tag: Option<&str>) -> Value {
        let document = json!({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": manifests});
        self.manifest(tag, OCI_INDEX, &document)
    }

    fn expect(&mut self, tag: &str, images: &[&Value], attestations: &[&Value], unsupported: &[&Value]) {
        let digests = |list: &[&Value]| {
            list.iter()
                .map(|descriptor| serde_json::from_value(descriptor["digest"].clone()).expect("a digest"))
                .collect()
        };
        self.expected.push(Expected {
            tag: tag.parse().expect("a tag"),
            images: digests(images),
            attestations: digests(attestations),
            unsupported: digests(unsupported),
        });
    }
}

fn entry(descriptor: &Value, architecture: Option<&str>) -> Value {
    let mut entry = descriptor.clone();
    if let Some(architecture) = architecture {
        let os = if architecture == "unknown" { "unknown" } else { "linux" };
        entry["platform"] = json!({"architecture": architecture, "os": os});
    }
    entry
}
