//! Layers that are read in parts, over HTTP.

use std::sync::Arc;

use supercargo_index::{ImageMetadata, Indexer, LazyLayers, Result};
use supercargo_registry::RegistryExt;
use supercargo_testkit::{Compression, Image, ImageBuilder, Layer, RegistryServer, contents};

use crate::support::{app, open, target};

fn noise(length: usize) -> Vec<u8> {
    let mut state = 1_u64;
    let next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        state.to_be_bytes()[1]
    };
    std::iter::repeat_with(next).take(length).collect()
}

fn image(compression: Compression) -> Image {
    let status = contents::dpkg_status(&[contents::Package::new("bash", "5.2")]);
    let layer = Layer::new()
        .file("model.bin", noise(4 << 20))
        .file("var/lib/dpkg/status", status)
        .file("weights.bin", noise(1 << 20))
        .with_compression(compression);
    ImageBuilder::new().with_layer(layer, "COPY . /").build()
}

async fn index(server: &RegistryServer, lazy_layers: LazyLayers) -> Result<ImageMetadata> {
    let registry = Arc::new(open(&server.host()));
    let set = registry.images(&app(), &target("latest")).await.unwrap();
    let source = registry.image(set.images[0].clone());
    Indexer::new().with_lazy_layers(lazy_layers).index(&source).await
}

/// Bytes of the blob that were asked for; `None` if it was asked for whole.
fn asked_for(server: &RegistryServer, image: &Image) -> Option<u64> {
    let size = image.layers[0].blob.bytes.len() as u64;
    let ending = format!("/blobs/{}", image.layer_digest(0));
    let requests = server.requests();
    let of_layer = requests.iter().filter(|request| request.path.ends_with(&ending));
    of_layer
        .map(|request| {
            let (start, end) = request.range.as_deref()?.strip_prefix("bytes=")?.split_once('-')?;
            let start: u64 = start.parse().unwrap();
            Some(end.parse().map_or(size, |end: u64| end + 1) - start)
        })
        .sum()
}

#[tokio::test]
async fn a_registry_is_asked_for_a_fraction_of_the_layer() {
    for compression in [Compression::EStargz, Compression::EStargzMerged, Compression::ZstdChunked] {
        let server = RegistryServer::start().await.unwrap();
        let image = image(compression);
        server.push(&image, "team/app", "latest");
        let whole = index(&server, LazyLayers::Off).await.unwrap();
        assert_eq!(asked_for(&server, &image), None);
        server.clear_requests();
        let read = index(&server, LazyLayers::Trusted).await.unwrap();
        assert_eq!(read.packages, whole.packages);
        assert!(read.packages.iter().any(|package| package.package.name == "bash"));
        let asked = asked_for(&server, &image).expect("no request for the whole");
        assert!(asked * 10 < image.layers[0].blob.bytes.len() as u64, "{compression:?}: {asked} bytes");
    }
}

#[tokio::test]
async fn a_registry_without_ranges_gives_the_same_image() {
    let server = RegistryServer::builder().without_ranges().start().await.unwrap();
    let image = image(Compression::EStargz);
    server.push(&image, "team/app", "latest");
    let read = index(&server, LazyLayers::Trusted).await.unwrap();
    assert!(read.packages.iter().any(|package| package.package.name == "bash"));
    assert_eq!(server.blob_requests(image.layer_digest(0)), 2, "one to find out, one for the layer");
}

#[tokio::test]
async fn downloads_that_break_off_and_redirect_are_read_in_parts_too() {
    let server = RegistryServer::builder().with_blob_redirects().start().await.unwrap();
    let image = image(Compression::ZstdChunked);
    server.push(&image, "team/app", "latest");
    server.cut_blob(image.layer_digest(0), 100, 3);
    let read = index(&server, LazyLayers::Trusted).await.unwrap();
    assert!(read.packages.iter().any(|package| package.package.name == "bash"));
    assert!(!read.image().unwrap().layers[0].reading.is_whole());
}

#[tokio::test]
async fn a_blob_that_is_not_the_manifest_s_is_refused() {
    let server = RegistryServer::start().await.unwrap();
    let image = image(Compression::EStargz);
    server.push(&image, "team/app", "latest");
    server.truncate_blob(image.layer_digest(0));
    assert!(index(&server, LazyLayers::Trusted).await.is_err());
}
