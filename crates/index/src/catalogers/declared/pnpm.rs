//! `pnpm-lock.yaml`, and pnpm's record of what lies in `node_modules`, `.pnpm/lock.yaml`.
//!
//! Source of the format: <https://github.com/pnpm/spec/tree/master/lockfile>, and for version 9
//! <https://github.com/pnpm/pnpm/tree/main/lockfile/types>
//!
//! | `lockfileVersion` | A key of `packages` |
//! | --- | --- |
//! | 5 | `/@s/a/1.2.3_peers`, `registry.example.org/@s/a/1.2.3` |
//! | 6 to 8 | `/@s/a@1.2.3(b@2.0.0)`, `registry.example.org/@s/a@1.2.3` |
//! | 9 | `@s/a@1.2.3`, `a@https://…`, `a@file:…` |
//!
//! `name` and `version` within the package say it better where the key is the address of an archive, a directory
//! or a revision. Up to version 8 a package says `dev: true`; since version 9 what is needed for development only
//! is what no `dependencies` of `importers` leads to along `snapshots`.
//!
//! pnpm 11 writes two documents. The first pins the package manager itself (`packageManagerDependencies`), for
//! every platform; what only that leads to is no part of the project, and is left out.

use std::borrow::Cow;
use std::collections::HashMap;

use super::indented::lines;
use super::locked::{Entry, Locked, check_size, is_within_node_modules, plain_version, reachable, split_npm};
use crate::catalogers::MOST_PACKAGES;
use crate::{Cataloger, Contents, File, Findings, Interest, Problem};

/// What pnpm calls its record of what lies in `node_modules`.
const HIDDEN: &str = "lock.yaml";

/// Mappings within mappings down to the version that an importer asks for.
const DEEPEST: usize = 5;

/// Reads pnpm's lock files.
#[derive(Debug)]
pub(crate) struct PnpmLock;

impl Cataloger for PnpmLock {
    fn name(&self) -> &'static str {
        "pnpm-lock"
    }

    fn version(&self) -> u32 {
        1
    }

    fn interest(&self) -> Interest {
        Interest::new().path("**/pnpm-lock.yaml").path("**/node_modules/.pnpm/lock.yaml")
    }

    fn catalog(&self, file: &File<'_>, contents: &mut Contents<'_>, findings: &mut Findings) -> Result<(), Problem> {
        if is_within_node_modules(file) && file.name() != HIDDEN {
            return Ok(());
        }
        let text = contents.text()?;
        check_size(file, &text)?;
        let mut locked = Locked::new("npm");
        let mut document = Document::default();
        for line in lines(&text) {
            if line.depth == 0 && line.text == "---" {
                std::mem::take(&mut document).add_to(&mut locked);
                continue;
            }
            let (key, value) = line.key_value();
            document.line(line.depth, key, value);
        }
        document.add_to(&mut locked);
        locked.finish(findings)
    }
}

/// Who asks for a package.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Group {
    Production,
    Development,
    /// The package manager.
    Manager,
}

impl Group {
    fn of(key: &str) -> Option<Self> {
        match key {
            "dependencies" | "optionalDependencies" => Some(Self::Production),
            "devDependencies" | "configDependencies" => Some(Self::Development),
            "packageManagerDependencies" => Some(Self::Manager),
            _ => None,
        }
    }
}

/// One document of the file, read line by line.
#[derive(Debug, Default)]
struct Document<'a> {
    version: f32,
    /// The keys of the mappings that the last line stands in, and its own.
    path: Vec<Cow<'a, str>>,
    packages: Vec<Member<'a>>,
    /// What the importers ask for: a name and a version.
    requests: Vec<(Group, Cow<'a, str>, Cow<'a, str>)>,
    snapshots: Vec<Snapshot<'a>>,
}

/// One member of `snapshots`.
#[derive(Debug, Default)]
struct Snapshot<'a> {
    key: Cow<'a, str>,
    /// Names and versions.
    dependencies: Vec<(Cow<'a, str>, Cow<'a, str>)>,
}

/// One member of `packages`.
#[derive(Debug, Default)]
struct Member<'a> {
    key: Cow<'a, str>,
    name: Cow<'a, str>,
    version: Cow<'a, str>,
    dev: bool,
}

impl<'a> Document<'a> {
    fn line(&mut self, depth: usize, key: Cow<'a, str>, value: Cow<'a, str>) {
        self.path.truncate(depth);
        self.path.push(key.clone());
        let mut path = [""; DEEPEST];
        for (place, key) in path.iter_mut().zip(&self.path) {
            *place = key;
        }
        match *path.get(..self.path.len()).unwrap_or_default() {
            ["lockfileVersion"] => {
                let end = value.find(|c: char| c != '.' && !c.is_ascii_digit()).unwrap_or(value.len());
                self.version = value[..end].parse().unwrap_or_default();
            }
            // One more than may be reported: then it is.
            ["packages", _] if self.packages.len() <= MOST_PACKAGES => {
                self.packages.push(Member { key, ..Member::default() });
            }
            ["packages", _, field] => {
                let Some(member) = self.packages.last_mut() else { return };
                match field {
                    "name" => member.name = value,
                    "version" => member.version = value,
                    "dev" => member.dev = value == "true",
                    _ => {}
                }
            }
            ["snapshots", _] if self.snapshots.len() <= MOST_PACKAGES => {
                self.snapshots.push(Snapshot { key, ..Snapshot::default() });
            }
            ["snapshots", _, "dependencies" | "optionalDependencies", _] => {
                if let Some(snapshot) = self.snapshots.last_mut() {
                    snapshot.dependencies.push((key, value));
                }
            }
            [group, _] | ["importers", _, group, _] => {
                if let Some(group) = Group::of(group) {
                    self.requests.push((group, key, value));
                }
            }
            [group, _, "version"] | ["importers", _, group, _, "version"] => {
                // The line before named the package.
                if let (Some(_), Some((.., version))) = (Group::of(group), self.requests.last_mut()) {
                    *version = value;
                }
            }
            _ => {}
        }
    }

    fn add_to(self, locked: &mut Locked) {
        if self.version >= 9.0 {
            self.add_ninth(locked);
        } else {
            self.add_earlier(locked);
        }
    }

    fn add_earlier(self, locked: &mut Locked) {
        for member in &self.packages {
            let (name, version) = earlier_key(&member.key, self.version);
            let name = if member.name.is_empty() { name } else { &member.name };
            let version = if member.version.is_empty() { version } else { plain_version(&member.version) };
            if !version.is_empty() {
                locked.add(Entry { name, version, dev: member.dev });
            }
        }
        // pnpm repeats all of them in `packages`. Somebody who shortens the file leaves those that matter.
        for (group, name, version) in &self.requests {
            let version = plain_version(without_peers(version));
            if *group == Group::Production && !version.is_empty() {
                locked.add(Entry { name, version, dev: false });
            }
        }
    }

    fn add_ninth(self, locked: &mut Locked) {
        let wanted = self.reach();
        for member in &self.packages {
            let (name, version) = split_npm(&member.key);
            // Node.js, Deno or Bun as a dependency. They are no npm packages.
            if version.starts_with("runtime:") {
                continue;
            }
            let name = if member.name.is_empty() { name } else { &member.name };
            let version = if member.version.is_empty() { without_peers(version) } else { &member.version };
            let dev = match wanted.get(package_key(&member.key)) {
                Some(Group::Manager) => continue,
                Some(Group::Development) => true,
                Some(Group::Production) | None => false,
            };
            locked.add(Entry { name, version: plain_version(version), dev });
        }
    }

    /// For the packages that the importers lead to, who asks for them, the most important first.
    fn reach(&self) -> HashMap<&str, Group> {
        let indexes: HashMap<&str, usize> =
            self.snapshots.iter().enumerate().map(|(index, snapshot)| (&*snapshot.key, index)).collect();
        // An alias stands with the whole key in the place of the version.
        let find = |name: &str, version: &str| {
            let key = format!("{name}@{version}");
            indexes.get(&*key).or_else(|| indexes.get(version)).copied()
        };
        let edges: Vec<Vec<usize>> = self
            .snapshots
            .iter()
            .map(|snapshot| snapshot.dependencies.iter().filter_map(|(name, version)| find(name, version)).collect())
            .collect();
        let mut found = HashMap::new();
        for group in [Group::Production, Group::Development, Group::Manager] {
            let requests = self.requests.iter().filter(|(other, ..)| *other == group);
            let roots = requests.filter_map(|(_, name, version)| find(name, version));
            for (index, reached) in reachable(&edges, roots).into_iter().enumerate() {
                if reached {
                    found.entry(package_key(&self.snapshots[index].key)).or_insert(group);
                }
            }
        }
        found
    }
}

/// `1.2.3(b@2.0.0)`, `1.2.3_b@2.0.0` → `1.2.3`
fn without_peers(version: &str) -> &str {
    version.split(['(', '_']).next().unwrap_or(version)
}

/// The key of `packages` for one of `snapshots`: `a_b@1.2.3(c@2.0.0)` → `a_b@1.2.3`
fn package_key(snapshot: &str) -> &str {
    snapshot.split('(').next().unwrap_or(snapshot)
}

/// Name and version of a key of `packages` up to version 8; no version if it is the address of something.
fn earlier_key(key: &str, format: f32) -> (&str, &str) {
    // Before the first slash stands the registry, or nothing for the one that is configured.
    let Some((registry, path)) = key.split_once('/') else { return ("", "") };
    if registry.contains(':') {
        return ("", "");
    }
    let path = path.split('(').next().unwrap_or(path);
    let scope = if path.starts_with('@') { path.find('/').map_or(0, |slash| slash + 1) } else { 0 };
    let separator = if format >= 6.0 { '@' } else { '/' };
    let Some(end) = path[scope..].find(separator) else { return ("", "") };
    let version = path[scope + end + 1..].split(['_', '/']).next().unwrap_or_default();
    let is_version = version.starts_with(|c: char| c.is_ascii_digit());
    (&path[..scope + end], if is_version { plain_version(version) } else { "" })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::locked::tests::read;
    use super::*;

    fn check(text: &str, expected: &[&str]) {
        assert_eq!(read(&PnpmLock, "app/pnpm-lock.yaml", text.as_bytes()), expected, "{text}");
    }

    const FIFTH: &str = "\
lockfileVersion: 5.4
specifiers:
  a: ^1.0.0
dependencies:
  a: 1.0.0
  shortened: 2.0.0_b@1.0.0
  linked: link:../linked
devDependencies:
  '@s/b': 1.2.3_a@1.0.0
packages:

  /a/1.0.0:
    resolution: {integrity: sha512-AA==}
    deprecated: >-
      name: not this
    dev: false

  /@s/b/1.2.3_a@1.0.0:
    resolution: {integrity: sha512-AA==}
    dependencies:
      version: 9.9.9
    dev: true

  /c/1.0.0-rc.1_@types+d__e@7.1.14:
    dev: true
  registry.example.org/@s/f/1.1.0:
    dev: false
  github.com/kevva/is-positive:
    resolution: {type: git}
  '@git.example.org/x/-/g-3.0.0.tgz':
    resolution: {tarball: https://git.example.org/x/-/g-3.0.0.tgz}
    name: '@s/g'
    version: 3.0.0
  file:../h:
    resolution: {directory: ../h, type: directory}
    name: h
    version: 4.0.0
  file:..:
    version: 5.0.0
  nothing:
    dev: false
";

    const SIXTH: &str = "\
lockfileVersion: '6.0'
settings:
  autoInstallPeers: true
dependencies:
  a:
    specifier: ^1.0.0
    version: 1.0.0(b@2.0.0)
  shortened:
    specifier: 1
    version: 1.5.0(x@1)
packages:
  /a@1.0.0(b@2.0.0):
    dev: false
  /@s/b_c@2.0.0-canary-ab_1:
    dev: true
  registry.example.org/d@3.0.0:
    dev: false
  '@codeload.example.org/e/tar.gz/0123':
    name: e
    version: 4.0.0
";

    // Two documents, as pnpm 11 writes them for a project whose manifest pins pnpm.
    const NINTH: &str = "\
---
lockfileVersion: '9.0'
importers:
  .:
    configDependencies: {}
    packageManagerDependencies:
      pnpm:
        specifier: 11.0.0
        version: 11.0.0
packages:
  '@pnpm/linux-x64@11.0.0':
    cpu: [x64]
  pnpm@11.0.0:
    hasBin: true
snapshots:
  '@pnpm/linux-x64@11.0.0':
    optional: true
  pnpm@11.0.0:
    optionalDependencies:
      '@pnpm/linux-x64': 11.0.0
---
lockfileVersion: '9.0'
importers:
  .:
    dependencies:
      a:
        specifier: ^1.0.0
        version: 1.0.0(p@1.0.0)
      alias:
        specifier: npm:@s/b@^2
        version: '@s/b@2.0.0'
      dir:
        specifier: file:dir
        version: file:dir
    devDependencies:
      d:
        specifier: ^4
        version: 4.0.0
      linked:
        specifier: workspace:*
        version: link:../linked
    optionalDependencies:
      o:
        specifier: 1
        version: 1.0.0
packages:
  a@1.0.0:
    peerDependencies:
      p: '*'
  '@s/b@2.0.0': {}
  c@3.0.0: {}
  d@4.0.0: {}
  dir@file:dir:
    resolution: {directory: dir, type: directory}
  e_f@https://codeload.example.org/e/tar.gz/0123:
    resolution: {tarball: https://codeload.example.org/e/tar.gz/0123}
    version: 5.0.0
  node@runtime:24.4.1:
    version: 24.4.1
  o@1.0.0: {}
  p@1.0.0: {}
  unreached@1.0.0: {}
snapshots:
  a@1.0.0(p@1.0.0):
    dependencies:
      p: 1.0.0
  '@s/b@2.0.0':
    dependencies:
      c: 3.0.0
  c@3.0.0:
    dependencies:
      alias: '@s/b@2.0.0'
  d@4.0.0:
    dependencies:
      c: 3.0.0
      e_f: https://codeload.example.org/e/tar.gz/0123
  dir@file:dir: {}
  e_f@https://codeload.example.org/e/tar.gz/0123: {}
  o@1.0.0:
    optional: true
  p@1.0.0: {}
";

    #[test]
    fn reads_every_format() {
        check(
            FIFTH,
            &[
                "a@1.0.0",
                "@s/b@1.2.3 (dev)",
                "c@1.0.0-rc.1 (dev)",
                "@s/f@1.1.0",
                "@s/g@3.0.0",
                "h@4.0.0",
                "shortened@2.0.0",
            ],
        );
        check(SIXTH, &["a@1.0.0", "@s/b_c@2.0.0-canary-ab (dev)", "d@3.0.0", "e@4.0.0", "shortened@1.5.0"]);
        check(
            NINTH,
            &[
                "a@1.0.0",
                "@s/b@2.0.0",
                "c@3.0.0",
                "d@4.0.0 (dev)",
                "dir@",
                "e_f@5.0.0 (dev)",
                "o@1.0.0",
                "p@1.0.0",
                "unreached@1.0.0",
            ],
        );
    }

    #[test]
    fn one_version_with_different_peers_may_be_needed_by_both() {
        check(
            "\
lockfileVersion: '9.0'
importers:
  .:
    dependencies: {a: {specifier: 1, version: 1.0.0}}
  b:
    dependencies:
      a:
        version: 1.0.0(x@1.0.0)
    devDependencies:
      a2:
        version: a@1.0.0(x@2.0.0)
packages:
  a@1.0.0: {}
  x@1.0.0: {}
  x@2.0.0: {}
snapshots:
  a@1.0.0(x@1.0.0):
    dependencies:
      x: 1.0.0
  a@1.0.0(x@2.0.0):
    dependencies:
      x: 2.0.0
  x@1.0.0: {}
  x@2.0.0: {}
",
            &["a@1.0.0", "x@1.0.0", "x@2.0.0 (dev)"],
        );
    }

    #[test]
    fn keys_of_the_earlier_formats_are_taken_apart() {
        let check = |key: &str, format: f32, expected: (&str, &str)| {
            assert_eq!(earlier_key(key, format), expected, "{key}");
        };
        check("/a/1.0.0/peers@1", 5.1, ("a", "1.0.0"));
        check("/@s/a/1.0.0", 5.4, ("@s/a", "1.0.0"));
        check("/foo/bar", 5.4, ("foo", ""));
        check("/@s", 5.4, ("", ""));
        check("/@s/", 6.0, ("", ""));
        check("/é@1.0.0", 6.0, ("é", "1.0.0"));
        check("https://a/b@1.0.0", 6.0, ("", ""));
    }

    #[test]
    fn the_hidden_file_counts_and_others_within_node_modules_do_not() {
        let found = |path| read(&PnpmLock, path, SIXTH.as_bytes()).len();
        assert_eq!(found("app/node_modules/.pnpm/lock.yaml"), 5);
        assert_eq!(found("app/node_modules/a/pnpm-lock.yaml"), 0);
    }

    #[test]
    fn aliases_of_yaml_are_text() {
        let bomb = "lockfileVersion: '9.0'\na: &a [x, x, x]\nb: &b [*a, *a, *a]\npackages:\n  c@1.0.0: *b\n";
        check(bomb, &["c@1.0.0"]);
    }

    proptest! {
        #[test]
        fn mutations_never_panic(at in 0_usize..5000, byte: u8) {
            for text in [FIFTH, SIXTH, NINTH] {
                let mut text = text.as_bytes().to_vec();
                let length = text.len();
                text[at % length] = byte;
                read(&PnpmLock, "pnpm-lock.yaml", &text);
            }
        }
    }
}
