//! Squashed layers against what `umoci unpack` leaves on disk, over random layer histories.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use proptest::prelude::*;
use supercargo_index::{Indexer, LayerCache, LayerKey, MemoryLayerCache, VisibleKind, visible_entries};
use supercargo_testkit::{Image, ImageBuilder, Layer, write_layout};

use crate::support::{KitSource, run};

/// One entry of a random layer. Names are few, so that layers meet.
#[derive(Clone, Debug)]
enum Step {
    File(String),
    Directory(String),
    Symlink(String, String),
    HardLink(String, String),
    Whiteout(String),
    Opaque(String),
}

fn path() -> impl Strategy<Value = String> {
    prop::collection::vec(prop::sample::select(vec!["a", "b", "c"]), 1..4).prop_map(|names| names.join("/"))
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => path().prop_map(Step::File),
        2 => path().prop_map(Step::Directory),
        1 => (path(), path()).prop_map(|(path, target)| Step::HardLink(path, target)),
        1 => (path(), path()).prop_map(|(path, target)| Step::Symlink(path, format!("/{target}"))),
        1 => (path(), prop::sample::select(vec!["b", "../c", "../../../a", "."]))
            .prop_map(|(path, target)| Step::Symlink(path, target.to_owned())),
        2 => path().prop_map(Step::Whiteout),
        1 => path().prop_map(Step::Opaque),
    ]
}

fn image(history: &[Vec<Step>]) -> Image {
    let mut image = ImageBuilder::new();
    for steps in history {
        // Whiteouts first, as every builder writes them. For one that follows what it hides in its own layer the
        // specification says that it hides nothing there, and umoci goes by the order.
        let (whiteouts, others): (Vec<_>, Vec<_>) =
            steps.iter().partition(|step| matches!(step, Step::Whiteout(_) | Step::Opaque(_)));
        let layer = whiteouts.into_iter().chain(others).fold(Layer::new(), |layer, step| match step {
            Step::File(path) => layer.file(path, "x"),
            Step::Directory(path) => layer.directory(path),
            Step::Symlink(path, target) => layer.symlink(path, target),
            Step::HardLink(path, target) => layer.hard_link(path, target),
            Step::Whiteout(path) => layer.whiteout(path),
            Step::Opaque(path) => layer.opaque(path),
        });
        image = image.with_layer(layer, "step");
    }
    image.build()
}

/// Path to kind, as the indexer sees them.
fn seen(image: &Image) -> BTreeMap<String, VisibleKind> {
    let cache = Arc::new(MemoryLayerCache::default());
    let indexer = Indexer::new().with_cache(cache.clone());
    run(indexer.index(&KitSource::new(image.clone()))).expect("is indexed");
    let layers: Vec<_> = (0..image.layers.len())
        .map(|layer| {
            let digest = image.layer_digest(layer).parse().expect("a digest");
            let key = LayerKey { digest, indexer: indexer.version().to_owned() };
            run(cache.get(&key)).expect("does not fail").expect("was read")
        })
        .collect();
    visible_entries(&layers).into_iter().map(|entry| (entry.path, entry.kind)).collect()
}

/// Path to kind, as they lie on disk; `None` if umoci refuses the image.
fn unpacked(image: &Image) -> Option<BTreeMap<String, VisibleKind>> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let layout = folder.path().join("layout");
    write_layout(image, &layout, "latest").expect("the layout is written");
    let bundle = folder.path().join("bundle");
    let output = Command::new("umoci")
        .args(["unpack", "--rootless", "--image"])
        .arg(format!("{}:latest", layout.display()))
        .arg(&bundle)
        .output()
        .expect("umoci starts; tests/run installs it");
    if !output.status.success() {
        return None;
    }
    let mut found = BTreeMap::new();
    walk(&bundle.join("rootfs"), "", &mut found);
    Some(found)
}

fn walk(directory: &Path, prefix: &str, found: &mut BTreeMap<String, VisibleKind>) {
    for entry in fs::read_dir(directory).expect("is readable") {
        let entry = entry.expect("is readable");
        let path = format!("{prefix}{}", entry.file_name().to_string_lossy());
        let kind = entry.file_type().expect("is known");
        if kind.is_symlink() {
            let target = fs::read_link(entry.path()).expect("is readable");
            found.insert(path, VisibleKind::Symlink(target.to_string_lossy().into_owned()));
        } else if kind.is_dir() {
            walk(&entry.path(), &format!("{path}/"), found);
            found.insert(path, VisibleKind::Directory);
        } else {
            found.insert(path, VisibleKind::File);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn squashing_leaves_what_unpacking_leaves(history in prop::collection::vec(prop::collection::vec(step(), 1..7), 1..5)) {
        let image = image(&history);
        // What umoci refuses (a hard link to nothing, a circle of links) has no unpacked form to compare with.
        if let Some(expected) = unpacked(&image) {
            prop_assert_eq!(seen(&image), expected);
        }
    }
}
