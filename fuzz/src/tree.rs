//! Layers over each other: whiteouts, links and types that change, over few names, so that they meet.

use std::collections::HashMap;
use std::sync::LazyLock;

use supercargo_index::{Catalogers, Indexer, VisibleKind, visible_entries};

use crate::layer::read;
use crate::memory::Image;
use crate::tar;

const NAMES: [&str; 16] = [
    "a",
    "b",
    "c",
    "..",
    ".",
    "var",
    "lib",
    "dpkg",
    "status",
    "status.d",
    "/",
    "etc",
    "os-release",
    ".wh.a",
    ".wh..wh..opq",
    ".wh.lib",
];

static SYSTEM: LazyLock<Catalogers> = LazyLock::new(|| {
    let wanted = |name: &str| ["os-release", "dpkg"].contains(&name);
    Catalogers::of(Catalogers::all().iter().filter(|one| wanted(one.name())).cloned().collect())
});

static INDEXER: LazyLock<Indexer> =
    LazyLock::new(|| Indexer::new().with_catalogers(SYSTEM.clone()).with_layers_at_once(1));

/// Three bytes an entry: its sort, the names of its path, those of its target. Few entries, or runs take long.
pub(crate) fn run(bytes: &[u8]) {
    let mut layers = vec![Vec::new()];
    for &[sort, path, target] in bytes.as_chunks::<3>().0.iter().take(48) {
        let (path, target) = (names(path, sort >> 4), names(target, sort >> 6));
        let contents: &[u8] = match target.len() % 3 {
            0 => b"",
            1 => b"Package: a\nStatus: install ok installed\nVersion: 1\nMaintainer: x\nArchitecture: all\n",
            _ => b"Package: b\nStatus: install ok installed\nVersion: 2\nMaintainer: x\nArchitecture: all\n",
        };
        let entry = match sort % 8 {
            0 if layers.len() < 8 => {
                layers.push(Vec::new());
                continue;
            }
            1 => tar::entry(b'5', path.as_bytes(), b"", b""),
            2 | 3 => tar::entry(b'2', path.as_bytes(), target.as_bytes(), b""),
            4 => tar::entry(b'1', path.as_bytes(), target.as_bytes(), b""),
            5 => tar::entry(b'6', path.as_bytes(), b"", b""),
            _ => tar::entry(b'0', path.as_bytes(), b"", contents),
        };
        layers.last_mut().expect("never empty").extend(entry);
    }
    for layer in &mut layers {
        layer.extend(tar::END);
    }
    let read: Vec<_> = layers.iter().map(|layer| read(layer, &SYSTEM).expect("the archive is right")).collect();
    let visible = visible_entries(&read);
    let kinds: HashMap<&str, &VisibleKind> = visible.iter().map(|entry| (entry.path.as_str(), &entry.kind)).collect();
    assert_eq!(kinds.len(), visible.len(), "a path is there once");
    for entry in &visible {
        assert!(!entry.path.split('/').any(|segment| matches!(segment, "" | "." | "..")), "{}", entry.path);
        if let Some((directory, _)) = entry.path.rsplit_once('/') {
            assert_eq!(kinds.get(directory), Some(&&VisibleKind::Directory), "what holds {}", entry.path);
        }
    }
    layers.dedup();
    let metadata = Image::of(layers).index(&INDEXER).expect("the image is right");
    for package in &metadata.packages {
        for location in &package.locations {
            let path = location.path.trim_start_matches('/');
            assert_eq!(kinds.get(path), Some(&&VisibleKind::File), "{path}");
        }
    }
}

fn names(choice: u8, more: u8) -> String {
    let mut path = NAMES[usize::from(choice & 15)].to_owned();
    if more & 1 == 1 {
        path = format!("{path}/{}", NAMES[usize::from(choice >> 4)]);
    }
    if more & 2 == 2 {
        path = format!("var/lib/{path}");
    }
    path
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    vec![
        vec![0x16, 0x87, 0, 0x42, 5, 6, 0, 0, 0, 0x36, 0x87, 1],
        vec![0x22, 0x76, 0x61, 0x06, 0x80, 2, 0x84, 0, 1, 0, 0, 0, 0x06, 13, 0],
        (0..=255).collect(),
    ]
}
