//! Documents that earlier builds wrote are read as long as their format is the present one. Raise `FORMAT` rather
//! than change what is here: stores and caches are full of such documents.

use supercargo_index::{EntryKind, Evidence, ImageMetadata, LayerIndex};

#[test]
fn image_metadata_of_format_1() {
    let document = r#"{
        "format": 1,
        "indexer": "1-0123456789abcdef",
        "source": {"type": "image", "name": "registry.example.com/app", "tags": ["1.0"],
            "digest": "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
            "media_type": "application/vnd.oci.image.manifest.v1+json", "size": 7,
            "platform": {"os": "linux", "architecture": "amd64"},
            "raw_manifest": "e30=", "raw_config": "e30=",
            "config": {"created": "2026-01-01T00:00:00Z", "architecture": "amd64", "os": "linux", "config": {},
                "rootfs": {"diff_ids": []}, "history": []},
            "layers": [{"digest": "sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb",
                "diff_id": null, "media_type": "application/vnd.oci.image.layer.v1.tar", "size": 5,
                "ordinal": 0, "instruction": "ADD rootfs.tar /"}]},
        "distro": {"id": "debian", "version_id": "12"},
        "packages": [{"purl": "pkg:deb/debian/bash@5", "type": "deb", "namespace": "debian", "name": "bash",
            "version": "5", "licenses": ["GPL-3+"], "locations": [{"path": "/var/lib/dpkg/status", "layer": 0}],
            "catalogers": ["dpkg"]}],
        "skipped": [{"path": "a", "cataloger": "b", "reason": "c"}]
    }"#;
    assert_eq!(ImageMetadata::FORMAT, 1, "a new format needs a document of its own here");
    let metadata: ImageMetadata = serde_json::from_str(document).expect("is read");
    let image = metadata.image().expect("an image");
    assert_eq!((image.size, image.layers[0].ordinal), (7, Some(0)));
    let package = &metadata.packages[0];
    assert_eq!((package.package.name.as_str(), package.package.evidence), ("bash", Evidence::Installed));
    assert_eq!((package.locations[0].layer, package.owner.as_ref()), (Some(0), None));
    assert_eq!(metadata.skipped[0].reason, "c");
    // What is read is written again without loss.
    let again: ImageMetadata =
        serde_json::from_str(&serde_json::to_string(&metadata).expect("is written")).expect("is read");
    assert_eq!(again, metadata);
}

#[test]
fn a_layer_index_says_its_format() {
    let document = LAYER.replace("FORMAT", &LayerIndex::FORMAT.to_string());
    let layer: LayerIndex = serde_json::from_str(&document).expect("is read");
    let entries: Vec<_> = layer.entries.iter().map(|entry| (entry.path, entry.kind)).collect();
    assert_eq!(
        entries,
        [
            ("etc", EntryKind::Directory),
            ("etc/a", EntryKind::File),
            ("etc/b", EntryKind::Symlink("a")),
            ("etc/c", EntryKind::HardLink("etc/a")),
            ("var/x", EntryKind::Whiteout),
        ]
    );
    assert_eq!(layer.findings[0].packages[0].name, "bash");
}

/// Entries are `[kind, bytes shared with the path before, the rest of the path, size, link target]`.
const LAYER: &str = r#"{
    "format": FORMAT,
    "digest": "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    "diff_id": "sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb",
    "size": 10, "inflated_size": 20,
    "entries": [["d", 0, "etc", 0, ""], ["f", 3, "/a", 3, ""], ["s", 4, "b", 0, "a"], ["h", 4, "c", 0, "etc/a"],
        ["w", 0, "var/x", 0, ""]],
    "findings": [{"path": "etc/a", "cataloger": "dpkg", "packages": [{"type": "deb", "name": "bash", "version": "5"}]}],
    "skipped": []
}"#;
