//! Images, and clients that are in a hurry.

use std::io::Cursor;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use supercargo_scout::index::{
    self, Descriptor, ImageMetadata, ImageSource, Indexer, LayerBlob, ManifestDocument, Source,
};
use supercargo_scout::{Credential, Endpoints, ImageUpload, Retry, ScoutClient, ScoutConfig};
use supercargo_testkit::contents::{self, Package};
use supercargo_testkit::{Image, ImageBuilder, Layer, ScoutServer};

pub(crate) const SECRET: &str = "dckr_oat_very-secret";
/// When the images of these tests were indexed.
pub(crate) const INDEXED_AT: &str = "2026-03-04T05:06:07.089Z";

/// Waits that a test can wait for.
pub(crate) const HASTY: Retry = Retry {
    attempts: 4,
    base: Duration::from_millis(5),
    cap: Duration::from_millis(20),
    patience: Duration::from_secs(5),
};

/// A stand-in that lets in `acme`, and a client of it.
pub(crate) async fn service() -> (ScoutServer, ScoutClient) {
    let server = ScoutServer::builder().with_credentials("acme", SECRET).start().await.unwrap();
    let client = client(&server);
    (server, client)
}

pub(crate) fn config(server: &ScoutServer) -> ScoutConfig {
    ScoutConfig::new("acme").with_endpoints(Endpoints::at(&server.url())).with_retry(HASTY)
}

pub(crate) fn client(server: &ScoutServer) -> ScoutClient {
    ScoutClient::new(config(server), Credential::login("acme", SECRET)).unwrap()
}

/// An image with `count` Debian packages, two Python packages and a program, in three layers.
pub(crate) fn image(count: usize) -> Image {
    let debian: Vec<Package> = (0..count).map(|n| Package::new(format!("lib{n:03}"), format!("1.{n}-2"))).collect();
    let wheels = ["requests", "urllib3"].map(|name| Package::new(name, "2.0").with_license("MIT OR Apache-2.0"));
    let python = wheels.iter().flat_map(|wheel| contents::python_dist_info("usr/lib/python3/dist-packages", wheel));
    ImageBuilder::new()
        .with_created("2026-01-02T03:04:05.678Z")
        .with_layer(
            Layer::new()
                .file("etc/os-release", contents::os_release("debian", "12"))
                .file("var/lib/dpkg/status", contents::dpkg_status(&debian)),
            "/bin/sh -c #(nop) ADD file:abc in / ",
        )
        .with_empty_layer("/bin/sh -c #(nop)  CMD [\"bash\"]")
        .with_layer(Layer::new().with_entries(python), "RUN /bin/sh -c pip install \"requests\" # buildkit")
        .with_layer(
            Layer::new().executable(
                "usr/local/bin/agent",
                contents::go_binary("go1.21.5", &Package::new("example.com/agent", "v0.4.2"), &[]),
            ),
            "COPY agent /usr/local/bin/ # buildkit",
        )
        .with_env("PATH", "/usr/local/bin:/usr/bin")
        .with_env("JAVA_OPTS", "-Da=b -Dc=\"d\\e\"")
        .with_env("EMPTY", "")
        .with_label("org.opencontainers.image.revision", "0123abc")
        .with_label("maintainer", "a \"team\"\n\tof two")
        .build()
}

struct KitSource(Image);

#[async_trait]
impl ImageSource for KitSource {
    fn name(&self) -> String {
        "registry.example.com:5000/team/app".into()
    }

    fn tags(&self) -> Vec<String> {
        vec!["1.0".into(), "latest".into()]
    }

    async fn manifest(&self) -> index::Result<ManifestDocument> {
        let manifest = &self.0.manifest;
        Ok(ManifestDocument {
            digest: manifest.digest().parse().unwrap(),
            media_type: manifest.descriptor.media_type.clone(),
            bytes: manifest.bytes.clone(),
        })
    }

    async fn config(&self, _: &Descriptor) -> index::Result<Bytes> {
        Ok(self.0.config.bytes.clone())
    }

    async fn open_layer(&self, descriptor: &Descriptor) -> index::Result<LayerBlob> {
        let digest = descriptor.digest().to_string();
        let layer = self.0.layers.iter().find(|layer| layer.blob.digest() == digest).unwrap();
        Ok(LayerBlob::Reader(Box::new(Cursor::new(layer.blob.bytes.clone()))))
    }
}

/// What the indexer says of an image.
pub(crate) async fn metadata(image: Image) -> ImageMetadata {
    Indexer::new().index(&KitSource(image)).await.unwrap()
}

/// The same image under another name.
pub(crate) fn renamed(mut metadata: ImageMetadata, name: &str, tags: &[&str]) -> ImageMetadata {
    let Source::Image(image) = &mut metadata.source else { panic!("an image") };
    image.name = name.to_owned();
    image.tags = tags.iter().map(|tag| (*tag).to_owned()).collect();
    metadata
}

pub(crate) fn upload<'a>(metadata: &'a ImageMetadata, delivery: &str) -> ImageUpload<'a> {
    ImageUpload::new(metadata, delivery, INDEXED_AT.parse().unwrap()).unwrap()
}
