//! The registry adapters' own suite against docker-registry, with each of its ways to sign in.

use std::sync::Arc;

use anyhow::Result;
use supercargo_registry::conformance::{self, Fixture, FixtureManifest};
use supercargo_registry::{Credential, OciRegistry, Registry, Subject, TransportConfig, diagnose};
use supercargo_testkit::{Artifact, Blob, Client, Credentials};
use supercargo_tests::{DockerRegistry, DockerRegistryBuilder, PASSWORD, TokenService, USER};

#[tokio::test]
async fn open() -> Result<()> {
    conforms(DockerRegistry::builder()).await
}

#[tokio::test]
async fn with_basic_auth() -> Result<()> {
    conforms(DockerRegistry::builder().with_basic_auth()).await
}

#[tokio::test]
async fn with_tokens() -> Result<()> {
    let service = TokenService::start().await?;
    conforms(DockerRegistry::builder().with_token_auth(&service)).await
}

async fn conforms(builder: DockerRegistryBuilder) -> Result<()> {
    let server = builder.start().await?;
    let fixture = Fixture::sample();
    let mut client = Client::new(server.host());
    let mut credential = Credential::Anonymous;
    if server.login().is_some() {
        client = client.with_credentials(Credentials::new(USER, PASSWORD));
        credential = Credential::basic(USER, PASSWORD);
    }
    let repository = fixture.repository.as_str();
    let blobs: Vec<Blob> =
        fixture.blobs.iter().map(|bytes| Blob::new("application/octet-stream", bytes.clone())).collect();
    for manifest in &fixture.manifests {
        let part = Part::new(manifest, &blobs);
        let passing = part.manifest.digest().replace(':', "-").chars().take(40).collect::<String>();
        let tag = manifest.tag.as_ref().map_or(passing, ToString::to_string);
        client.push(&part, repository, &tag).await?;
        if manifest.tag.is_none() {
            server.delete_tag(repository, &tag)?;
        }
    }
    let registry = OciRegistry::new(server.host().parse()?, Arc::new(credential), &TransportConfig::default())?;
    let registry: Arc<dyn Registry> = Arc::new(registry);
    conformance::run(&registry, &fixture).await;

    let diagnosis = diagnose(&*registry, &Subject::default(), |_| ()).await;
    assert!(diagnosis.is_healthy(), "{diagnosis:?}");
    Ok(())
}

/// One manifest with all blobs, as the client takes it.
struct Part {
    manifest: Blob,
    blobs: Vec<Blob>,
}

impl Part {
    fn new(manifest: &FixtureManifest, blobs: &[Blob]) -> Self {
        Self { manifest: Blob::new(manifest.media_type.clone(), manifest.bytes.clone()), blobs: blobs.to_vec() }
    }
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
