//! Layers into an image: what a container sees, and which layer brought it.

mod assemblies;
mod dependencies;
mod history;
mod merge;
mod ownership;
mod packages;
mod tree;

use std::collections::HashMap;

use foldhash::fast::RandomState;
pub(crate) use history::Instructions;
use merge::Merge;
pub(crate) use packages::identity;
use tree::{NodeId, NodeKind, Tree};

use crate::config::ImageConfig;
use crate::layer::FileFindings;
use crate::{Catalogers, Entries, EntryKind, LayerIndex, Package, Skipped};

/// What the squashed layers hold.
#[derive(Clone, Debug, Default)]
pub(crate) struct Squashed {
    pub(crate) distro: Option<crate::Distro>,
    pub(crate) packages: Vec<crate::ImagePackage>,
    pub(crate) repositories: Vec<crate::Repositories>,
    pub(crate) vex: Vec<crate::ImageVex>,
    pub(crate) skipped: Vec<Skipped>,
}

/// An entry that a container of the image sees.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct VisibleEntry {
    /// Path from the image's root, without the leading slash.
    pub path: String,
    /// What it is.
    pub kind: VisibleKind,
    /// Index of the layer that last wrote it.
    pub layer: u32,
}

/// What a visible entry is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum VisibleKind {
    /// A regular file, under any of its names.
    File,
    /// A directory.
    Directory,
    /// A symbolic link to this target, as written.
    Symlink(String),
    /// A device, a FIFO or a socket.
    Special,
}

/// The entries that a container sees of these layers, lowest first, sorted by path: what unpacking them over each
/// other would leave. Directories that no layer names but that something lies in are there, too.
pub fn visible_entries(layers: &[LayerIndex]) -> Vec<VisibleEntry> {
    let mut tree = Tree::new(layers.iter().map(|layer| layer.entries.len()).sum());
    for layer in layers {
        apply(&mut tree, &layer.entries, |_, _, _| Tree::NOTHING);
    }
    let mut visible: Vec<_> = tree
        .present()
        .filter_map(|node| {
            let kind = match tree.kind(node) {
                NodeKind::Absent => return None,
                NodeKind::File => VisibleKind::File,
                NodeKind::Directory => VisibleKind::Directory,
                NodeKind::Symlink(target) => VisibleKind::Symlink(target.to_owned()),
                NodeKind::Special => VisibleKind::Special,
            };
            Some(VisibleEntry { path: tree.path(node), kind, layer: tree.layer(node) - 1 })
        })
        .collect();
    visible.sort();
    visible
}

/// One layer to squash.
#[derive(Clone, Copy)]
pub(crate) struct SquashLayer<'a> {
    pub(crate) entries: &'a Entries,
    pub(crate) findings: &'a [FileFindings],
    pub(crate) skipped: &'a [Skipped],
}

impl<'a> From<&'a LayerIndex> for SquashLayer<'a> {
    fn from(layer: &'a LayerIndex) -> Self {
        Self { entries: &layer.entries, findings: &layer.findings, skipped: &layer.skipped }
    }
}

/// The findings in one file as one layer wrote it.
#[derive(Debug)]
struct Content<'a> {
    layer: u32,
    findings: Vec<&'a FileFindings>,
    /// The file's findings before this layer rewrote it, if it was a file all the while.
    before: Option<u32>,
}

impl Content<'_> {
    fn has(&self, package: &Package) -> bool {
        self.findings.iter().flat_map(|findings| &findings.packages).any(|other| same_package(other, package))
    }
}

/// Whether two records are of the same package, whatever else they say of it.
fn same_package(a: &Package, b: &Package) -> bool {
    a.name == b.name
        && a.version == b.version
        && a.kind == b.kind
        && a.namespace == b.namespace
        && a.qualifiers.get("arch") == b.qualifiers.get("arch")
}

/// Squashes `layers`, lowest first.
pub(crate) fn squash(layers: &[SquashLayer<'_>], catalogers: &Catalogers) -> Squashed {
    let entries = layers.iter().map(|layer| layer.entries.len()).sum();
    let mut tree = Tree::new(entries);
    let mut contents: Vec<Content<'_>> = Vec::new();
    // Where each content came to lie. A hard link gives it a second place.
    let mut places: Vec<(u32, NodeId)> = Vec::new();
    for (number, layer) in layers.iter().enumerate() {
        let number = u32::try_from(number).expect("Limits::layers is far below");
        // Asked for every file of the layer.
        let mut by_path: HashMap<&str, Vec<&FileFindings>, RandomState> = HashMap::default();
        for findings in layer.findings {
            by_path.entry(&findings.path).or_default().push(findings);
        }
        apply(&mut tree, layer.entries, |path, node, replaced| {
            // A path that stands twice in the layer has findings of its last entry only, and that one is the last told.
            let Some(findings) = by_path.get(path).cloned() else { return Tree::NOTHING };
            let content = u32::try_from(contents.len()).expect("fewer contents than entries");
            let before = (replaced != Tree::NOTHING).then_some(replaced);
            contents.push(Content { layer: number, findings, before });
            places.push((content, node));
            content
        });
    }
    // Hard links were noticed by their payload only. One that was written over since may have none.
    let linked = tree.linked().iter().map(|&node| (tree.payload(node), node));
    places.extend(linked.filter(|(payload, _)| *payload != Tree::NOTHING));
    places.sort_unstable();
    places.dedup();

    let mut merge = Merge::default();
    for (content, node) in places {
        if tree.kind(node) != NodeKind::File || tree.payload(node) != content {
            continue;
        }
        let path = format!("/{}", tree.path(node));
        let here = &contents[content as usize];
        for findings in &here.findings {
            let wanted = !findings.by_content
                || catalogers.well_known(&findings.cataloger).any(|path| tree.resolve(path) == Some(node));
            if !wanted {
                continue;
            }
            for package in &findings.packages {
                let mut brought = here;
                while let Some(before) = brought.before.map(|before| &contents[before as usize])
                    && before.has(package)
                {
                    brought = before;
                }
                merge.package(package, &findings.cataloger, &path, brought.layer);
            }
            merge.facts(findings, &path, here.layer);
        }
    }
    let mut squashed = merge.finish(&tree);
    for (number, layer) in layers.iter().enumerate() {
        for skipped in layer.skipped {
            let visible = tree.link_target(&skipped.path).is_some_and(|node| tree.layer(node) as usize == number + 1);
            if visible {
                squashed.skipped.push(skipped.clone());
            }
        }
    }
    squashed
}

/// Puts one layer over the tree. `file` is told of each regular file with its node and the payload that it replaces,
/// and says what payload to keep with it.
fn apply<'a>(tree: &mut Tree<'a>, entries: &'a Entries, mut file: impl FnMut(&str, NodeId, u32) -> u32) {
    tree.hide(entries);
    tree.begin_layer();
    for entry in entries.iter() {
        let kind = match entry.kind {
            EntryKind::Whiteout | EntryKind::Opaque => continue,
            EntryKind::Directory => NodeKind::Directory,
            EntryKind::Symlink(target) => NodeKind::Symlink(target),
            EntryKind::Special => NodeKind::Special,
            EntryKind::File => {
                if let Some((node, replaced)) = tree.put(entry.path, NodeKind::File, Tree::NOTHING) {
                    let payload = file(entry.path, node, replaced);
                    tree.set_payload(node, payload);
                }
                continue;
            }
            EntryKind::HardLink(target) => {
                // A link to what is not there is an error at unpacking; nothing comes of it.
                let Some(target) = tree.link_target(target) else { continue };
                let (kind, payload) = (tree.kind(target), tree.payload(target));
                if kind == NodeKind::Directory {
                    continue;
                }
                if let Some((node, _)) = tree.put(entry.path, kind, payload)
                    && payload != Tree::NOTHING
                {
                    tree.note_link(node);
                }
                continue;
            }
        };
        tree.put(entry.path, kind, Tree::NOTHING);
    }
}

/// The instruction of each layer, by the configuration's history.
pub(crate) fn instructions(config: &ImageConfig, layers: usize) -> Instructions {
    Instructions::of(&config.history, layers)
}
