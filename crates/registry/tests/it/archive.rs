//! Images in files: what `docker save` and others have written over the years.

use std::path::PathBuf;
use std::sync::Arc;

use futures_util::TryStreamExt;
use serde_json::json;
use supercargo_index::{ImageManifest, ImageSource, LayerBlob};
use supercargo_registry::{ArchiveRegistry, ErrorKind, LayoutRegistry, Registry, RegistryExt, Target};
use supercargo_testkit::{Compression, ImageBuilder, IndexBuilder, Layer, oci_archive, write_layout};

use crate::conformance::write_gzip;
use crate::support::{app, digest, target};

fn folder() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("app.tar");
    (folder, path)
}

/// The layers of the image that `name` leads to, as the indexer gets them.
async fn layers(registry: ArchiveRegistry, name: Option<&str>) -> Vec<Vec<u8>> {
    let (repository, found) = registry.find(name).unwrap();
    let registry = Arc::new(registry);
    let set = registry.images(&repository, &found).await.unwrap();
    assert_eq!((set.images.len(), set.unsupported.len()), (1, 0));
    let image = registry.image(set.images[0].clone());
    let manifest: ImageManifest = serde_json::from_slice(&image.manifest().await.unwrap().bytes).unwrap();
    image.config(manifest.config()).await.unwrap();
    let mut layers = Vec::new();
    for descriptor in manifest.layers() {
        let LayerBlob::Reader(mut reader) = image.open_layer(descriptor).await.unwrap() else {
            panic!("a local layer is read, not received");
        };
        let mut bytes = Vec::new();
        std::io::Read::read_to_end(&mut reader, &mut bytes).unwrap();
        assert_eq!(&digest(&bytes), descriptor.digest());
        assert_eq!(bytes.len() as u64, descriptor.size());
        layers.push(bytes);
    }
    layers
}

#[tokio::test]
async fn docker_save() {
    let image = ImageBuilder::new()
        .with_layer(Layer::new().file("etc/one", "1"), "COPY one")
        .with_layer(Layer::new().file("etc/two", "2"), "COPY two")
        .build();
    let (_folder, path) = folder();
    image
        .docker_save(std::fs::File::create(&path).unwrap(), &["registry.test/team/app:1.0", "team/app:latest"])
        .unwrap();
    let registry = ArchiveRegistry::open(&path).await.unwrap();
    let tags: Vec<_> = registry.tags(&app()).try_collect().await.unwrap();
    assert_eq!(tags.iter().map(|tag| tag.name.as_str()).collect::<Vec<_>>(), ["1.0", "latest"]);
    for name in [None, Some("1.0"), Some("registry.test/team/app:1.0"), Some("team/app:latest")] {
        let registry = ArchiveRegistry::open(&path).await.unwrap();
        assert_eq!(layers(registry, name).await.len(), 2, "{name:?}");
    }
    let error = registry.find(Some("2.0")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.hint().unwrap().contains("registry.test/team/app:1.0"), "{error}");
}

#[tokio::test]
async fn old_docker_save_links_to_a_layer_that_came_before() {
    let layer = Layer::new().file("etc/one", "1").tar();
    let diff_id = digest(&layer);
    let config =
        json!({"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": [diff_id, diff_id]}});
    let manifest = json!([{"Config": "c.json", "RepoTags": null, "Layers": ["aaa/layer.tar", "bbb/layer.tar"]}]);
    let archive = Layer::new()
        .file("aaa/layer.tar", layer.clone())
        .symlink("bbb/layer.tar", "../aaa/layer.tar")
        .file("c.json", config.to_string())
        .file("manifest.json", manifest.to_string());
    let (_folder, path) = folder();
    std::fs::write(&path, archive.tar()).unwrap();
    let registry = ArchiveRegistry::open(&path).await.unwrap();
    assert_eq!(layers(registry, None).await, [layer.clone(), layer]);
}

#[tokio::test]
async fn compressed_layers_and_a_compressed_archive() {
    let layer = Layer::new().file("etc/one", "1");
    let built = ImageBuilder::new().with_layer(layer.with_compression(Compression::Gzip), "COPY").build();
    let blob = built.layers[0].blob.bytes.clone();
    let manifest = json!([{"Config": "c.json", "RepoTags": ["team/app:1"], "Layers": ["l.tar.gz"]}]);
    let archive = Layer::new()
        .file("l.tar.gz", blob.clone())
        .file("c.json", built.config.bytes.clone())
        .file("manifest.json", manifest.to_string());
    let (_folder, path) = folder();
    write_gzip(&path, &archive.tar());
    assert_eq!(layers(ArchiveRegistry::open(&path).await.unwrap(), Some("1")).await, [blob]);
}

#[tokio::test]
async fn oci_archives_and_layouts_with_one_platform_of_two() {
    let image = |platform: &str| {
        ImageBuilder::new()
            .with_platform(platform)
            .with_layer(Layer::new().file("arch", platform.to_owned()), "COPY")
            .build()
    };
    let absent = image("linux/arm64");
    let index = IndexBuilder::new().with_image(image("linux/amd64")).with_image(absent.clone()).build();
    let (folder, path) = folder();
    oci_archive(&index, std::fs::File::create(&path).unwrap(), "1.0").unwrap();
    let registry = ArchiveRegistry::open(&path).await.unwrap();
    let (repository, found) = registry.find(Some("1.0")).unwrap();
    assert_eq!(registry.images(&repository, &found).await.unwrap().images.len(), 2);

    let layout = folder.path().join("My Layout");
    write_layout(&index, &layout, "1.0").unwrap();
    std::fs::remove_file(layout.join("blobs").join(absent.digest().replace(':', "/"))).unwrap();
    let registry = LayoutRegistry::open(&layout).await.unwrap();
    let (repository, found) = registry.find(None).unwrap();
    assert_eq!(repository.as_str(), "my-layout");
    let set = registry.images(&repository, &found).await.unwrap();
    assert_eq!((set.images.len(), set.unsupported.len()), (1, 1));
    assert_eq!(set.images[0].platform.as_ref().unwrap().to_string(), "linux/amd64");
    let by_digest = registry.find(Some(&format!("@{}", set.images[0].descriptor.digest()))).unwrap().1;
    assert!(matches!(by_digest, Target::Digest(_)));
}

#[tokio::test]
async fn a_layout_is_held_to_its_digests() {
    let image = ImageBuilder::new().with_layer(Layer::new().file("a", "1"), "COPY").build();
    let folder = tempfile::tempdir().unwrap();
    write_layout(&image, folder.path(), "latest").unwrap();
    let manifest = folder.path().join("blobs").join(image.digest().replace(':', "/"));
    let bytes =
        std::fs::read_to_string(&manifest).unwrap().replace("amd64", "amd65").replace("schemaVersion", "schemaVersioN");
    std::fs::write(&manifest, bytes).unwrap();
    let registry = LayoutRegistry::open(folder.path()).await.unwrap();
    let (repository, _) = registry.find(None).unwrap();
    let error = registry.manifest(&repository, &target("latest")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::DigestMismatch, "{error}");
}

#[tokio::test]
async fn what_is_no_archive() {
    let (_folder, path) = folder();
    for (bytes, kind) in [
        (b"hello".to_vec(), ErrorKind::Malformed),
        (Vec::new(), ErrorKind::Malformed),
        (Layer::new().file("README", "hi").tar().to_vec(), ErrorKind::Malformed),
        (Layer::new().file("manifest.json", "[{}]").tar().to_vec(), ErrorKind::Malformed),
        (
            Layer::new().file("manifest.json", r#"[{"Config":"../../etc/passwd","Layers":[]}]"#).tar().to_vec(),
            ErrorKind::Malformed,
        ),
        (
            Layer::new()
                .symlink("c.json", "/etc/hostname")
                .file("manifest.json", r#"[{"Config":"c.json","Layers":[]}]"#)
                .tar()
                .to_vec(),
            ErrorKind::Malformed,
        ),
        (
            Layer::new().symlink("index.json", "manifest.json").symlink("manifest.json", "index.json").tar().to_vec(),
            ErrorKind::Malformed,
        ),
        (vec![0x28, 0xb5, 0x2f, 0xfd, 0, 0, 0], ErrorKind::Unsupported),
    ] {
        std::fs::write(&path, bytes).unwrap();
        let error = ArchiveRegistry::open(&path).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
    }
    let missing = ArchiveRegistry::open("/no/such/file.tar").await.unwrap_err();
    assert_eq!(missing.kind(), ErrorKind::Io);
}
