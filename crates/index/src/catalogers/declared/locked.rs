//! What the parsers of lock files share: collecting packages, and who needs them.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};

use crate::catalogers::MOST_PACKAGES;
use crate::package::{Evidence, Package};
use crate::{File, Findings, Problem};

/// Bytes of a lock file. Those of the largest monorepositories have some 5 MiB.
const LONGEST_FILE: usize = 16 << 20;

/// Bytes of a name or a version. Registries stop far below; a hostile file is made of one line.
const LONGEST: usize = 1024;

/// Refuses a file that is longer than any real lock file.
pub(super) fn check_size(file: &File<'_>, text: &str) -> Result<(), Problem> {
    if text.len() <= LONGEST_FILE {
        return Ok(());
    }
    Err(Problem::TooLarge { size: file.size, limit: LONGEST_FILE as u64 })
}

/// Whether the file belongs to an installed npm package. The lock files that packages are published with say what
/// their authors developed them with; nobody installs by them.
pub(super) fn is_within_node_modules(file: &File<'_>) -> bool {
    file.directory().split('/').any(|segment| segment == "node_modules")
}

/// A package as a lock file names it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Entry<'a> {
    /// As the ecosystem writes it: `@scope/name`, `github.com/owner/module`.
    pub(super) name: &'a str,
    /// Empty where the file names none: a directory, a revision.
    pub(super) version: &'a str,
    /// Needed for development only.
    pub(super) dev: bool,
}

/// The packages of one lock file, each name and version once: a file repeats them for every place in the tree.
#[derive(Debug)]
pub(super) struct Locked {
    kind: &'static str,
    packages: Vec<Package>,
    /// Index of a package by the hash of its name and version.
    known: HashMap<u64, usize>,
    hasher: RandomState,
    too_many: bool,
}

impl Locked {
    /// For packages of this package URL type.
    pub(super) fn new(kind: &'static str) -> Self {
        Self { kind, packages: Vec::new(), known: HashMap::new(), hasher: RandomState::new(), too_many: false }
    }

    /// Adds a package, unless it has no name. What is needed in one place is no development dependency,
    /// whatever other places say. Returns it where it is new, so that more can be said about it.
    pub(super) fn add(&mut self, entry: Entry<'_>) -> Option<&mut Package> {
        let (name, version) = (entry.name.trim(), entry.version.trim());
        if name.is_empty() || name.len() > LONGEST || version.len() > LONGEST || name.contains(char::is_control) {
            return None;
        }
        let (namespace, last) = match name.rsplit_once('/') {
            Some((namespace, last)) => (Some(namespace), last),
            None => (None, name),
        };
        let hash = self.hasher.hash_one((name, version));
        if let Some(package) = self.known.get(&hash).and_then(|&known| self.packages.get_mut(known))
            && (package.namespace.as_deref(), &*package.name, &*package.version) == (namespace, last, version)
        {
            package.dev &= entry.dev;
            return None;
        }
        if self.packages.len() >= MOST_PACKAGES {
            self.too_many = true;
            return None;
        }
        self.known.insert(hash, self.packages.len());
        self.packages.push(Package {
            kind: self.kind.to_owned(),
            namespace: namespace.map(str::to_owned),
            name: last.to_owned(),
            version: version.to_owned(),
            evidence: Evidence::Declared,
            dev: entry.dev,
            ..Package::default()
        });
        self.packages.last_mut()
    }

    /// Hands the packages over.
    pub(super) fn finish(self, findings: &mut Findings) -> Result<(), Problem> {
        for package in self.packages {
            findings.package(package);
        }
        if self.too_many { Err(too_many()) } else { Ok(()) }
    }
}

/// What is said of a file with more than [`MOST_PACKAGES`].
pub(super) fn too_many() -> Problem {
    Problem::malformed(format!("more than {MOST_PACKAGES} packages in one file"))
}

/// The nodes that a walk from `roots` along `edges` comes to.
pub(super) fn reachable(edges: &[Vec<usize>], roots: impl IntoIterator<Item = usize>) -> Vec<bool> {
    let mut seen = vec![false; edges.len()];
    let mut waiting: Vec<usize> = roots.into_iter().collect();
    while let Some(node) = waiting.pop() {
        if let Some(seen) = seen.get_mut(node)
            && !std::mem::replace(seen, true)
        {
            waiting.extend(&edges[node]);
        }
    }
    seen
}

/// `version` if it is one, or nothing if it is the address of something without a version: a directory, an archive,
/// a revision, another workspace.
pub(super) fn plain_version(version: &str) -> &str {
    let plain = version.trim_start_matches(['v', '=']).starts_with(|c: char| c.is_ascii_digit())
        && version.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._+=!".contains(&b));
    if plain { version } else { "" }
}

/// `@scope/name@rest` → `@scope/name`, `rest`. The rest may hold any number of `@`; it is empty if there is none.
pub(super) fn split_npm(text: &str) -> (&str, &str) {
    match text.char_indices().skip(1).find(|&(_, c)| c == '@') {
        Some((at, _)) => (&text[..at], &text[at + 1..]),
        None => (text, ""),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::{Cataloger, Contents};

    /// What `cataloger` finds in a file: `name@version`, with `(dev)` behind what only development needs. An error
    /// is the last line.
    pub(in crate::catalogers::declared) fn read(cataloger: &dyn Cataloger, path: &str, text: &[u8]) -> Vec<String> {
        let file = File { path, size: text.len() as u64, executable: false };
        let mut findings = Findings::default();
        let result = cataloger.catalog(&file, &mut Contents::held(text), &mut findings);
        let mut lines: Vec<String> = findings.packages().iter().map(line).collect();
        lines.extend(result.err().map(|problem| problem.to_string()));
        lines
    }

    fn line(package: &Package) -> String {
        assert_eq!(package.evidence, Evidence::Declared);
        let namespace = package.namespace.as_ref().map(|namespace| format!("{namespace}/")).unwrap_or_default();
        let dev = if package.dev { " (dev)" } else { "" };
        format!("{namespace}{}@{}{dev}", package.name, package.version)
    }

    #[test]
    fn packages_are_collected_once() {
        let mut locked = Locked::new("npm");
        for (name, version, dev) in
            [("a", "1", true), ("@s/b", "1", true), ("a", "2", true), ("a", "1", false), ("", "1", false)]
        {
            locked.add(Entry { name, version, dev });
        }
        locked.add(Entry { name: &"x".repeat(2000), ..Entry::default() });
        let mut findings = Findings::default();
        locked.finish(&mut findings).expect("few packages");
        let lines: Vec<String> = findings.packages().iter().map(line).collect();
        assert_eq!(lines, ["a@1", "@s/b@1 (dev)", "a@2 (dev)"]);
    }

    #[test]
    fn no_file_is_too_much() {
        let mut locked = Locked::new("npm");
        for number in 0..=MOST_PACKAGES {
            locked.add(Entry { name: "a", version: &number.to_string(), dev: false });
        }
        let mut findings = Findings::default();
        let problem = locked.finish(&mut findings).expect_err("one is too many");
        assert_eq!(problem.to_string(), "more than 100000 packages in one file");
        assert_eq!(findings.packages().len(), MOST_PACKAGES);
        let file = File { path: "yarn.lock", size: 7, executable: false };
        let problem = check_size(&file, &" ".repeat(LONGEST_FILE + 1)).expect_err("is too long");
        assert!(matches!(problem, Problem::TooLarge { size: 7, .. }));
    }

    #[test]
    fn a_walk_ends() {
        let edges = [vec![1, 7], vec![0], vec![1]];
        assert_eq!(reachable(&edges, [0]), [true, true, false]);
        assert_eq!(reachable(&edges, [9]), [false; 3]);
    }

    #[test]
    fn versions_are_told_from_addresses() {
        for version in ["1.2.3", "v1", "=1.0.0", "2.1.6+git", "1.0.0-rc.1_x", "1!2.0"] {
            assert_eq!(plain_version(version), version);
        }
        for address in ["", "file:a", "https://a/1.tgz", "link:..", "1.0/x", "latest", "github:a/b#1"] {
            assert_eq!(plain_version(address), "", "{address}");
        }
    }

    #[test]
    fn names_and_versions_are_split_at_the_first_at() {
        assert_eq!(split_npm("a@1"), ("a", "1"));
        assert_eq!(split_npm("@s/a@npm:b@1"), ("@s/a", "npm:b@1"));
        assert_eq!(split_npm("@s/a"), ("@s/a", ""));
        assert_eq!(split_npm("é@1"), ("é", "1"));
        assert_eq!(split_npm(""), ("", ""));
    }
}
