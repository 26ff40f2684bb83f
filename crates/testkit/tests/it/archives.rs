use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::Path;

use serde_json::Value;
use supercargo_testkit::{Compression, ImageBuilder, IndexBuilder, Layer, oci_archive, sha256, write_layout};

use crate::image;

fn members(archive: &[u8]) -> BTreeMap<String, Vec<u8>> {
    let mut archive = tar::Archive::new(archive);
    let entries = archive.entries().expect("the archive starts well");
    entries
        .map(|entry| {
            let mut entry = entry.expect("every entry is whole");
            let mut contents = Vec::new();
            entry.read_to_end(&mut contents).expect("every entry is whole");
            (entry.path().expect("names are text").display().to_string(), contents)
        })
        .collect()
}

fn json(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).expect("the document is JSON")
}

fn layout_blob(directory: &Path, digest: &str) -> Vec<u8> {
    let hex = digest.strip_prefix("sha256:").expect("a digest");
    std::fs::read(directory.join("blobs/sha256").join(hex)).expect("the blob is there")
}

#[test]
fn a_layout_holds_many_tags_and_the_last_of_each() {
    let directory = tempfile::tempdir().unwrap();
    let (first, second) = (image("first"), image("second"));
    let index = IndexBuilder::new().with_image(second.clone()).build();
    write_layout(&first, directory.path(), "1.0").unwrap();
    write_layout(&first, directory.path(), "latest").unwrap();
    write_layout(&index, directory.path(), "latest").unwrap();

    let document = json(&std::fs::read(directory.path().join("index.json")).unwrap());
    let named: Vec<_> = document["manifests"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| {
            (
                entry["annotations"]["org.opencontainers.image.ref.name"].as_str().unwrap(),
                entry["digest"].as_str().unwrap(),
            )
        })
        .collect();
    assert_eq!(named, [("1.0", first.digest()), ("latest", index.digest())]);
    for digest in [first.digest(), index.digest(), second.digest(), second.config.digest(), second.layer_digest(0)] {
        assert_eq!(sha256(&layout_blob(directory.path(), digest)), digest);
    }
    assert_eq!(json(&std::fs::read(directory.path().join("oci-layout")).unwrap())["imageLayoutVersion"], "1.0.0");

    std::fs::write(directory.path().join("index.json"), "not JSON").unwrap();
    assert!(write_layout(&first, directory.path(), "1.0").is_err());
}

#[test]
fn docker_save_has_plain_tars_and_the_tags() {
    let layer = Layer::new().file("a", "same").with_compression(Compression::Zstd);
    let image = ImageBuilder::new().with_layer(layer.clone(), "COPY a /").with_layer(layer, "COPY a /").build();
    let mut archive = Vec::new();
    image.docker_save(&mut archive, &["team/app:1.0", "127.0.0.1:5000/app:2"]).unwrap();
    let members = members(&archive);

    let manifest = json(&members["manifest.json"]);
    assert_eq!(manifest[0]["RepoTags"][0], "team/app:1.0");
    let config = manifest[0]["Config"].as_str().unwrap();
    assert_eq!(members[config], image.config.bytes);
    let layers = manifest[0]["Layers"].as_array().unwrap();
    assert_eq!(layers.len(), 2);
    for (path, layer) in layers.iter().zip(&image.layers) {
        assert_eq!(sha256(&members[path.as_str().unwrap()]), layer.diff_id);
    }
    assert!(json(&members["repositories"])["127.0.0.1:5000/app"]["2"].is_string());
}

#[test]
fn an_oci_archive_is_a_layout_in_a_tar() {
    let image = image("app");
    let mut archive = Vec::new();
    oci_archive(&image, &mut archive, "1.0").unwrap();
    let members = members(&archive);
    let index = json(&members["index.json"]);
    assert_eq!(index["manifests"][0]["digest"], image.digest());
    let hex = image.layer_digest(0).strip_prefix("sha256:").unwrap();
    assert_eq!(members[&format!("blobs/sha256/{hex}")], image.layers[0].blob.bytes);
    assert!(members.contains_key("oci-layout"));
}
