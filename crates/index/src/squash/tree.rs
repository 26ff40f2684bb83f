//! The file tree that a container of the image would see, by names only.

use std::collections::HashMap;

use foldhash::fast::RandomState;

use crate::{Entries, EntryKind};

/// Links followed on the way to one file; Linux gives up at the same number.
const MAX_LINKS: usize = 40;

const NONE: u32 = u32::MAX;

/// A place in the tree. It stays with its name: when a layer rewrites a file, the node is the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct NodeId(u32);

/// What a node is now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NodeKind<'a> {
    /// Not there, or no longer.
    Absent,
    Directory,
    File,
    Symlink(&'a str),
    Special,
}

#[derive(Debug)]
struct Node<'a> {
    parent: u32,
    name: &'a str,
    first_child: u32,
    next_sibling: u32,
    kind: NodeKind<'a>,
    /// Number of the layer that last wrote it.
    layer: u32,
    /// Whatever the caller keeps with a file; [`Tree::NOTHING`] if nothing.
    payload: u32,
}

/// The tree under construction, layer by layer.
#[derive(Debug)]
pub(super) struct Tree<'a> {
    nodes: Vec<Node<'a>>,
    /// Asked once or more for every entry of every layer. The hash is seeded anew in every process, so that names that
    /// collide cannot be made beforehand.
    children: HashMap<(u32, &'a str), u32, RandomState>,
    layer: u32,
    /// Nodes that got their payload from another, by a hard link.
    linked: Vec<NodeId>,
    /// The directory of the last entry and its node: most entries lie beside the one before. Forgotten as soon as a
    /// directory or a link changes, which are what a way is made of.
    last_directory: Option<(&'a str, u32)>,
}

impl<'a> Tree<'a> {
    /// The payload of a file that the caller keeps nothing with.
    pub(super) const NOTHING: u32 = NONE;

    pub(super) fn new(expected: usize) -> Self {
        let mut nodes = Vec::with_capacity(expected + 1);
        nodes.push(Node {
            parent: 0,
            name: "",
            first_child: NONE,
            next_sibling: NONE,
            kind: NodeKind::Directory,
            layer: 0,
            payload: NONE,
        });
        Self {
            nodes,
            children: HashMap::with_capacity_and_hasher(expected, RandomState::default()),
            layer: 0,
            linked: Vec::new(),
            last_directory: None,
        }
    }

    pub(super) fn kind(&self, node: NodeId) -> NodeKind<'a> {
        self.nodes[node.0 as usize].kind
    }

    pub(super) fn payload(&self, node: NodeId) -> u32 {
        self.nodes[node.0 as usize].payload
    }

    pub(super) fn set_payload(&mut self, node: NodeId, payload: u32) {
        self.nodes[node.0 as usize].payload = payload;
    }

    /// Number of the layer that last wrote the node; the lowest is 1.
    pub(super) fn layer(&self, node: NodeId) -> u32 {
        self.nodes[node.0 as usize].layer
    }

    pub(super) fn note_link(&mut self, node: NodeId) {
        self.linked.push(node);
    }

    /// The nodes that were noted as links.
    pub(super) fn linked(&self) -> &[NodeId] {
        &self.linked
    }

    /// The path from the root, without the leading slash.
    pub(super) fn path(&self, node: NodeId) -> String {
        let mut names = Vec::new();
        let mut at = node.0;
        while at != 0 {
            names.push(self.nodes[at as usize].name);
            at = self.nodes[at as usize].parent;
        }
        names.reverse();
        names.join("/")
    }

    /// Every node that is there, but for the root.
    pub(super) fn present(&self) -> impl Iterator<Item = NodeId> {
        (1..self.nodes.len()).map(|node| NodeId(node as u32)).filter(|node| self.kind(*node) != NodeKind::Absent)
    }

    /// Takes what `entries` hide out of the layers below. Done before the layer's own entries are added: a whiteout
    /// never hides what its own layer brings (image-spec `layer.md`).
    pub(super) fn hide(&mut self, entries: &'a Entries) {
        for entry in entries.iter() {
            match entry.kind {
                EntryKind::Whiteout => {
                    if let Some((parent, name)) = self.existing_parent(entry.path)
                        && let Some(&node) = self.children.get(&(parent, name))
                    {
                        self.remove(node);
                    }
                }
                EntryKind::Opaque => {
                    if let Some(directory) = self.resolve(entry.path) {
                        self.remove_children(directory.0);
                    }
                }
                _ => {}
            }
        }
    }

    /// Begins the next layer.
    pub(super) fn begin_layer(&mut self) {
        self.layer += 1;
    }

    /// Puts an entry at `path`, as unpacking it over the tree would. `payload` goes with a file. Returns the node and
    /// the payload of the file that the entry replaces, if it replaces a file by a file.
    pub(super) fn put(&mut self, path: &'a str, kind: NodeKind<'a>, payload: u32) -> Option<(NodeId, u32)> {
        let (parent, name) = self.parent_to_be(path)?;
        let node = self.child_to_be(parent, name);
        let old = self.nodes[node as usize].kind;
        let replaced = match (old, kind) {
            (NodeKind::Directory, NodeKind::Directory) => NONE,
            // Docker and containerd replace a link to a directory by the directory; so does overlayfs.
            (NodeKind::Directory, _) => {
                self.remove_children(node);
                NONE
            }
            (NodeKind::File, NodeKind::File) => self.nodes[node as usize].payload,
            _ => NONE,
        };
        match (old, kind) {
            (NodeKind::Directory, NodeKind::Directory) => {}
            (NodeKind::Directory | NodeKind::Symlink(_), _) => self.last_directory = None,
            _ => {}
        }
        let layer = self.layer;
        let slot = &mut self.nodes[node as usize];
        slot.kind = kind;
        slot.layer = layer;
        slot.payload = payload;
        Some((NodeId(node), replaced))
    }

    /// The node that a hard link to `target` names: links on the way are followed, the last name is not.
    pub(super) fn link_target(&self, target: &str) -> Option<NodeId> {
        let (parent, name) = self.existing_parent(target)?;
        let node = *self.children.get(&(parent, name))?;
        (self.nodes[node as usize].kind != NodeKind::Absent).then_some(NodeId(node))
    }

    /// The node that `path` leads to, all links followed within the tree.
    pub(super) fn resolve(&self, path: &str) -> Option<NodeId> {
        let mut unlimited = usize::MAX;
        self.resolve_from(NodeId(0), path, &mut unlimited)
    }

    /// As [`resolve`](Self::resolve), from a directory, in no more than `steps`, of which it takes those that it needs.
    pub(super) fn resolve_from(&self, directory: NodeId, path: &str, steps: &mut usize) -> Option<NodeId> {
        self.walk(directory.0, path, &mut 0, steps).map(NodeId)
    }

    fn walk(&self, from: u32, path: &str, links: &mut usize, steps: &mut usize) -> Option<u32> {
        let mut at = if path.starts_with('/') { 0 } else { from };
        for segment in path.split('/') {
            *steps = steps.checked_sub(1)?;
            match segment {
                "" | "." => {}
                ".." => at = self.nodes[at as usize].parent,
                name => {
                    let child = *self.children.get(&(at, name))?;
                    at = match self.nodes[child as usize].kind {
                        NodeKind::Absent => return None,
                        NodeKind::Symlink(target) => {
                            *links += 1;
                            if *links > MAX_LINKS {
                                return None;
                            }
                            self.walk(at, target, links, steps)?
                        }
                        _ => child,
                    };
                }
            }
        }
        Some(at)
    }

    /// The directory that holds `path`, links followed, and the last name.
    fn existing_parent<'p>(&self, path: &'p str) -> Option<(u32, &'p str)> {
        let (directory, name) = path.rsplit_once('/').unwrap_or(("", path));
        Some((self.resolve(directory)?.0, name))
    }

    /// As [`existing_parent`](Self::existing_parent), making the directories that are missing on the way: tars may
    /// leave them out, and runtimes make them even where a dangling link leads. `None` for a circle of links.
    fn parent_to_be(&mut self, path: &'a str) -> Option<(u32, &'a str)> {
        let Some((directory, name)) = path.rsplit_once('/') else { return Some((0, path)) };
        if let Some((last, node)) = self.last_directory
            && last == directory
        {
            return Some((node, name));
        }
        let mut links = 0;
        let node = self.directory_to_be(0, directory, &mut links)?;
        self.last_directory = Some((directory, node));
        Some((node, name))
    }

    fn directory_to_be(&mut self, from: u32, path: &'a str, links: &mut usize) -> Option<u32> {
        let mut at = if path.starts_with('/') { 0 } else { from };
        for segment in path.split('/') {
            at = match segment {
                "" | "." => at,
                ".." => self.nodes[at as usize].parent,
                name => {
                    let child = self.child_to_be(at, name);
                    match self.nodes[child as usize].kind {
                        NodeKind::Directory => child,
                        NodeKind::Symlink(target) => {
                            *links += 1;
                            if *links > MAX_LINKS {
                                return None;
                            }
                            self.directory_to_be(at, target, links)?
                        }
                        _ => {
                            let layer = self.layer;
                            let slot = &mut self.nodes[child as usize];
                            slot.kind = NodeKind::Directory;
                            slot.layer = layer;
                            slot.payload = NONE;
                            child
                        }
                    }
                }
            };
        }
        Some(at)
    }

    fn child_to_be(&mut self, parent: u32, name: &'a str) -> u32 {
        if let Some(&child) = self.children.get(&(parent, name)) {
            return child;
        }
        let child = u32::try_from(self.nodes.len()).expect("layers have fewer than 4 billion entries together");
        let next_sibling = std::mem::replace(&mut self.nodes[parent as usize].first_child, child);
        self.nodes.push(Node {
            parent,
            name,
            first_child: NONE,
            next_sibling,
            kind: NodeKind::Absent,
            layer: self.layer,
            payload: NONE,
        });
        self.children.insert((parent, name), child);
        child
    }

    fn remove(&mut self, node: u32) {
        self.last_directory = None;
        self.remove_children(node);
        let node = &mut self.nodes[node as usize];
        node.kind = NodeKind::Absent;
        node.payload = NONE;
    }

    fn remove_children(&mut self, node: u32) {
        self.last_directory = None;
        // Depth without recursion: hostile trees are deep.
        let mut pending = Vec::new();
        let mut child = self.nodes[node as usize].first_child;
        loop {
            if child == NONE {
                match pending.pop() {
                    Some(next) => child = next,
                    None => return,
                }
                continue;
            }
            let slot = &mut self.nodes[child as usize];
            if slot.kind == NodeKind::Directory {
                pending.push(slot.first_child);
            }
            slot.kind = NodeKind::Absent;
            slot.payload = NONE;
            child = slot.next_sibling;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree<'a>(layers: &'a [Entries]) -> Tree<'a> {
        let mut tree = Tree::new(16);
        for layer in layers {
            super::super::apply(&mut tree, layer, |_, _, _| Tree::NOTHING);
        }
        tree
    }

    fn layer(entries: &[(&str, EntryKind<'_>)]) -> Entries {
        let mut layer = Entries::default();
        for (path, kind) in entries {
            layer.push(path, *kind, 0).expect("short");
        }
        layer
    }

    fn check(layers: &[&[(&str, EntryKind<'_>)]], expected: &[&str]) {
        let layers: Vec<_> = layers.iter().map(|entries| layer(entries)).collect();
        let tree = tree(&layers);
        let mut found: Vec<_> = tree.present().map(|node| tree.path(node)).collect();
        found.sort();
        assert_eq!(found, expected);
    }

    use EntryKind::*;

    #[test]
    fn whiteouts_hide_what_is_below_and_nothing_beside() {
        check(&[&[("a/x", File), ("a/y", File)], &[("a/x", Whiteout)]], &["a", "a/y"]);
        check(&[&[("a/x", File)], &[("a", Whiteout), ("a/y", File)]], &["a", "a/y"]);
        check(&[&[("a/x", File)], &[("a/y", File), ("a", Opaque)]], &["a", "a/y"]);
        check(&[&[("a/b/c", File)], &[("a", Whiteout)], &[("a/b", Directory)]], &["a", "a/b"]);
        check(&[&[("a", File)], &[("missing/x", Whiteout), ("missing", Opaque)]], &["a"]);
        check(&[&[("a", File)], &[("", Opaque), ("b", File)]], &["b"]);
    }

    #[test]
    fn types_replace_each_other() {
        check(&[&[("a/x", File)], &[("a", File)]], &["a"]);
        check(&[&[("a/x", File)], &[("a", Symlink("b"))], &[("b/y", File)]], &["a", "b", "b/y"]);
        check(&[&[("a", File)], &[("a/x", File)]], &["a", "a/x"]);
        check(&[&[("b/y", File), ("a", Symlink("b"))], &[("a", Directory), ("a/x", File)]], &["a", "a/x", "b", "b/y"]);
        check(&[&[("a/x", File)], &[("a", File)], &[("a", Directory)]], &["a"]);
    }

    #[test]
    fn entries_go_through_links() {
        check(
            &[&[("usr/lib", Directory), ("lib", Symlink("usr/lib"))], &[("lib/x", File)]],
            &["lib", "usr", "usr/lib", "usr/lib/x"],
        );
        check(
            &[&[("usr/lib/x", File), ("lib", Symlink("/usr/lib"))], &[("lib/x", Whiteout)]],
            &["lib", "usr", "usr/lib"],
        );
        // A link in a circle takes its entry with it.
        check(&[&[("a", Symlink("b")), ("b", Symlink("a"))], &[("a/x", File)]], &["a", "b"]);
        // What led somewhere for the entry before need not do so any more.
        check(
            &[&[("a/x", File), ("a/y", File)], &[("a/z", File), ("a", Symlink("b")), ("a/w", File)]],
            &["a", "b", "b/w"],
        );
        check(
            &[&[("a", Symlink("b")), ("a/x", File), ("a", Symlink("c")), ("a/y", File)]],
            &["a", "b", "b/x", "c", "c/y"],
        );
        check(&[&[("a/x", File), ("a", File), ("a/y", File)]], &["a", "a/y"]);
        // `..` stops at the root.
        check(&[&[("a", Symlink("../../b")), ("b/c", Directory)], &[("a/c/x", File)]], &["a", "b", "b/c", "b/c/x"]);
    }

    #[test]
    fn links_are_resolved_within_the_tree() {
        let layers = [layer(&[
            ("var/lib/dpkg", Symlink("../../usr/share/dpkg")),
            ("usr/share/dpkg/status", Symlink("/data/status")),
            ("data/status", File),
            ("loop", Symlink("loop")),
        ])];
        let tree = tree(&layers);
        let node = tree.resolve("var/lib/dpkg/status").expect("leads there");
        assert_eq!(tree.path(node), "data/status");
        assert_eq!(tree.resolve("loop"), None);
    }
}
