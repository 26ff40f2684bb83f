//! Every adapter passes the suite.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use supercargo_registry::conformance::{self, Fixture};
use supercargo_registry::{ArchiveRegistry, Credential, LayoutRegistry, MemoryRegistry, OciRegistry, Registry};
use supercargo_testkit::{Artifact, Blob, Layer, RegistryServer, RegistryServerBuilder};

use crate::support::{open_with, quick};

#[tokio::test]
async fn memory() {
    let fixture = Fixture::sample();
    let twin = MemoryRegistry::new("registry.test");
    for blob in &fixture.blobs {
        twin.push_blob(blob.clone());
    }
    for manifest in &fixture.manifests {
        twin.push_manifest(&fixture.repository, manifest.tag.as_ref(), &manifest.media_type, manifest.bytes.clone());
    }
    run(twin, &fixture).await;
}

#[tokio::test]
async fn layout() {
    let fixture = Fixture::sample();
    let folder = tempfile::tempdir().unwrap();
    for (path, bytes) in layout_files(&fixture) {
        let path = folder.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }
    run(LayoutRegistry::open(folder.path()).await.unwrap(), &fixture).await;
}

#[tokio::test]
async fn archive() {
    let fixture = Fixture::sample();
    let folder = tempfile::tempdir().unwrap();
    let files = layout_files(&fixture).into_iter();
    let tar = files.fold(Layer::new(), |tar, (path, bytes)| tar.file(path, bytes)).tar();
    let plain = folder.path().join("images.tar");
    std::fs::write(&plain, &tar).unwrap();
    run(ArchiveRegistry::open(&plain).await.unwrap(), &fixture).await;

    let compressed = folder.path().join("images.tar.gz");
    write_gzip(&compressed, &tar);
    run(ArchiveRegistry::open(&compressed).await.unwrap(), &fixture).await;
}

#[tokio::test]
async fn open_registry() {
    oci(RegistryServer::builder(), Credential::Anonymous).await;
}

#[tokio::test]
async fn registry_with_basic_auth_small_pages_and_no_referrers() {
    let server = RegistryServer::builder().with_basic_auth("user", "pass").with_page_size(1).without_referrers();
    oci(server, Credential::basic("user", "pass")).await;
}

#[tokio::test]
async fn registry_with_tokens_and_redirected_blobs() {
    let server = RegistryServer::builder().with_token_auth("user", "pass").with_blob_redirects();
    oci(server, Credential::basic("user", "pass")).await;
}

#[tokio::test]
async fn registry_without_ranges() {
    oci(RegistryServer::builder().without_ranges(), Credential::Anonymous).await;
}

async fn oci(server: RegistryServerBuilder, credential: Credential) {
    let fixture = Fixture::sample();
    let server = server.start().await.unwrap();
    fill(&server, &fixture);
    let registry: OciRegistry = open_with(&server.host(), credential, &quick());
    run(registry, &fixture).await;
}

/// Puts the fixture into a server.
pub(crate) fn fill(server: &RegistryServer, fixture: &Fixture) {
    for part in parts(fixture) {
        server.push(&part, fixture.repository.as_str(), &part.tag);
    }
    for manifest in fixture.manifests.iter().filter(|manifest| manifest.tag.is_none()) {
        assert!(server.delete_tag(fixture.repository.as_str(), &format!("by-{}", manifest.digest().digest())));
    }
}

pub(crate) async fn run(registry: impl Registry + 'static, fixture: &Fixture) {
    let registry: Arc<dyn Registry> = Arc::new(registry);
    conformance::run(&registry, fixture).await;
}

pub(crate) fn write_gzip(path: &Path, bytes: &[u8]) {
    let mut encoder = flate2::write::GzEncoder::new(std::fs::File::create(path).unwrap(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap();
}

/// The fixture as the files of an OCI layout, its tags as full references.
fn layout_files(fixture: &Fixture) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::from([("oci-layout".to_owned(), br#"{"imageLayoutVersion":"1.0.0"}"#.to_vec())]);
    let manifests = fixture.manifests.iter().map(|manifest| &manifest.bytes);
    for bytes in fixture.blobs.iter().chain(manifests) {
        let name = supercargo_testkit::sha256(bytes).replace(':', "/");
        files.insert(format!("blobs/{name}"), bytes.to_vec());
    }
    let entries: Vec<_> = fixture
        .tags()
        .map(|(tag, manifest)| {
            serde_json::json!({
                "mediaType": manifest.media_type,
                "digest": manifest.digest(),
                "size": manifest.bytes.len(),
                "annotations": {
                    "org.opencontainers.image.ref.name": format!("registry.test/{}:{tag}", fixture.repository),
                },
            })
        })
        .collect();
    let index = serde_json::json!({"schemaVersion": 2, "manifests": entries});
    files.insert("index.json".to_owned(), index.to_string().into_bytes());
    files
}

/// One manifest with all blobs, as the test kit's server takes it.
struct Part {
    tag: String,
    manifest: Blob,
    blobs: Vec<Blob>,
}

impl Artifact for Part {
    fn manifests(&self) -> Vec<&Blob> {
        vec![&self.manifest]
    }

    fn blobs(&self) -> Vec<&Blob> {
        self.blobs.iter().collect()
    }

    fn root(&self) -> &Blob {
        &self.manifest
    }
}

fn parts(fixture: &Fixture) -> Vec<Part> {
    let blobs: Vec<Blob> =
        fixture.blobs.iter().map(|bytes| Blob::new("application/octet-stream", bytes.clone())).collect();
    let part = |manifest: &conformance::FixtureManifest| Part {
        tag: manifest.tag.as_ref().map_or_else(|| format!("by-{}", manifest.digest().digest()), ToString::to_string),
        manifest: Blob::new(manifest.media_type.clone(), manifest.bytes.clone()),
        blobs: blobs.clone(),
    };
    fixture.manifests.iter().map(part).collect()
}
