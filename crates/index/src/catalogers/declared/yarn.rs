//! `yarn.lock`, of Yarn 1 and of Yarn 2 and later ("berry").
//!
//! Sources of the formats: <https://classic.yarnpkg.com/docs/yarn-lock> and
//! <https://github.com/yarnpkg/berry/blob/master/packages/yarnpkg-parsers/sources/syml.ts>
//!
//! | | Yarn 1 | berry |
//! | --- | --- | --- |
//! | header | `"@s/a@^1", "@s/a@^1.2":` | `"@s/a@npm:^1, @s/a@npm:^1.2":` |
//! | version | `version "1.2.3"` | `version: 1.2.3` |
//! | from | `resolved "https://…/@s/a/-/a-1.2.3.tgz#…"` | `resolution: "@s/a@npm:1.2.3"` |
//!
//! What the file was resolved to names the package: `resolution`, or the address of the archive in a registry. The
//! header tells what was asked for, which may be an alias. The workspace at the top (`@workspace:.`) is the project
//! itself, and left out as long as it has the placeholder of a version that Yarn gives all workspaces. Yarn does
//! not say what is needed for development only.

use std::borrow::Cow;

use super::indented::{lines, quoted, scalar};
use super::locked::{Entry, Locked, check_size, is_within_node_modules, plain_version, split_npm};
use crate::{Cataloger, Contents, File, Findings, Interest, Problem};

/// What stands for the version of every workspace.
const WORKSPACE_VERSION: &str = "0.0.0-use.local";

/// Reads `yarn.lock` files.
#[derive(Debug)]
pub(crate) struct YarnLock;

impl Cataloger for YarnLock {
    fn name(&self) -> &'static str {
        "yarn-lock"
    }

    fn version(&self) -> u32 {
        1
    }

    fn interest(&self) -> Interest {
        Interest::new().path("**/yarn.lock")
    }

    fn catalog(&self, file: &File<'_>, contents: &mut Contents<'_>, findings: &mut Findings) -> Result<(), Problem> {
        if is_within_node_modules(file) {
            return Ok(());
        }
        let text = contents.text()?;
        check_size(file, &text)?;
        let mut locked = Locked::new("npm");
        let mut block = Block::default();
        for line in lines(&text) {
            match line.depth {
                0 => {
                    std::mem::replace(&mut block, Block { header: line.text, ..Block::default() }).add_to(&mut locked);
                }
                1 => block.field(line.text),
                _ => {}
            }
        }
        block.add_to(&mut locked);
        locked.finish(findings)
    }
}

/// The lines of one package.
#[derive(Debug, Default)]
struct Block<'a> {
    header: &'a str,
    version: Cow<'a, str>,
    resolved: Cow<'a, str>,
    resolution: Cow<'a, str>,
}

impl<'a> Block<'a> {
    /// Takes one of `version "1"`, `"version" "1"`, `version: 1`, `"version": 1`.
    fn field(&mut self, text: &'a str) {
        let (key, rest) = match quoted(text) {
            Some((key, rest)) => (key, rest),
            None => {
                let end = text.find([' ', ':']).unwrap_or(text.len());
                (Cow::Borrowed(&text[..end]), &text[end..])
            }
        };
        let value = || scalar(rest.trim_start_matches([':', ' ']));
        match &*key {
            "version" => self.version = value(),
            "resolved" => self.resolved = value(),
            "resolution" => self.resolution = value(),
            _ => {}
        }
    }

    fn add_to(&self, locked: &mut Locked) {
        let version = plain_version(&self.version);
        if version.is_empty() || self.header.starts_with("__metadata") {
            return;
        }
        let name = match split_npm(&self.resolution) {
            (_, "workspace:.") if version == WORKSPACE_VERSION => return,
            ("", _) => registry_name(&self.resolved).unwrap_or_else(|| Cow::Borrowed(requested_name(self.header))),
            (_, from) if from.starts_with("workspace:") => Cow::Borrowed(requested_name(self.header)),
            (name, _) => Cow::Borrowed(name),
        };
        locked.add(Entry { name: &name, version, dev: false });
    }
}

/// `https://registry.yarnpkg.com/@s/a/-/a-1.2.3.tgz` → `@s/a`
fn registry_name(resolved: &str) -> Option<Cow<'_, str>> {
    let (address, _) = resolved.split_once("/-/")?;
    let (before, name) = address.rsplit_once('/')?;
    if let Some((scope, name)) = name.split_once("%2f").or_else(|| name.split_once("%2F")) {
        return Some(Cow::Owned(format!("{scope}/{name}")));
    }
    let scope = before.rsplit('/').next().filter(|scope| scope.starts_with('@'));
    let length = scope.map_or(0, |scope| scope.len() + 1) + name.len();
    Some(Cow::Borrowed(&address[address.len() - length..]))
}

/// `"@s/a@^1", "@s/a@^1.2":` → `@s/a`; `"b@npm:@s/a@^1":` → `@s/a`
fn requested_name(header: &str) -> &str {
    let first = header.trim_start_matches('"').split([',', '"']).next().unwrap_or_default();
    let (name, range) = split_npm(first.trim_end_matches(':'));
    match range.strip_prefix("npm:").map(split_npm) {
        Some((alias, range)) if !range.is_empty() => alias,
        _ => name,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::locked::tests::read;
    use super::*;

    fn check(text: &str, expected: &[&str]) {
        assert_eq!(read(&YarnLock, "app/yarn.lock", text.as_bytes()), expected, "{text}");
    }

    const CLASSIC: &str = r#"# THIS IS AN AUTOGENERATED FILE. DO NOT EDIT THIS FILE DIRECTLY.
# yarn lockfile v1


"@s/a@^1.0.0", "@s/a@^1.2.0":
  version "1.2.3"
  resolved "https://registry.yarnpkg.com/@s/a/-/a-1.2.3.tgz#0123456789012345678901234567890123456789"
  integrity sha512-AAAA==
  dependencies:
    version "^9.9.9"
    b "^1.0.0"

alias@npm:b@^1, b@^1.0.0:
  version "1.0.0"
  resolved "https://npm.example.org/api/npm/b/-/b-1.0.0.tgz#01"

"c@npm:@s/d@1":
  version "2.0.0"

"e@https://example.org/e.git#v1":
  version "3.0.0+git"
  resolved "https://example.org/e.git#0123"

f@1:
  "version" "4.0.0"
  resolved "https://npm.example.org/@s%2fg/-/g-4.0.0.tgz"

"h@file:./h", h@~1.0.2:
  version "0.0.0"

i:
  version "5.0.0"

no-version@1:
  resolved "https://registry.yarnpkg.com/no-version/-/no-version-1.0.0.tgz"
"#;

    const BERRY: &str = r#"# This file is generated by running "yarn install" inside your project.
# Manual changes might be lost - proceed with caution!

__metadata:
  version: 8
  cacheKey: 10c0

"@s/a@npm:^1.0.0, @s/a@npm:^1.2.0":
  version: 1.2.3
  resolution: "@s/a@npm:1.2.3"
  dependencies:
    version: "npm:^9"
  checksum: 10c0/00
  languageName: node
  linkType: hard

"alias@npm:b@^1":
  version: 1.0.0
  resolution: "b@npm:1.0.0"

"app@workspace:.":
  version: 0.0.0-use.local
  resolution: "app@workspace:."
  languageName: unknown
  linkType: soft

"member@workspace:packages/member":
  version: 0.0.0-use.local
  resolution: "member@workspace:packages/member"

"b@patch:b@npm%3A1.0.0#~builtin<compat/b>":
  version: 1.0.0
  resolution: "b@patch:b@npm%3A1.0.0#~builtin<compat/b>::version=1.0.0&hash=01"

? "long@npm:^1, long@npm:^1.0.0"
:
  "version": 7.0.0
  "resolution": "long@npm:7.0.0"
"#;

    #[test]
    fn reads_both_formats() {
        check(CLASSIC, &["@s/a@1.2.3", "b@1.0.0", "@s/d@2.0.0", "e@3.0.0+git", "@s/g@4.0.0", "h@0.0.0", "i@5.0.0"]);
        check(BERRY, &["@s/a@1.2.3", "b@1.0.0", "member@0.0.0-use.local", "long@7.0.0"]);
        check(
            &CLASSIC.replace('\n', "\r\n"),
            &read(&YarnLock, "yarn.lock", CLASSIC.as_bytes()).iter().map(|s| &**s).collect::<Vec<_>>(),
        );
        check("", &[]);
        check("<html>\n  version 1\n", &["<html>@1"]);
    }

    #[test]
    fn lock_files_of_installed_packages_do_not_count() {
        assert!(read(&YarnLock, "app/node_modules/a/yarn.lock", CLASSIC.as_bytes()).is_empty());
    }

    proptest! {
        #[test]
        fn mutations_never_panic(at in 0_usize..5000, byte: u8) {
            for text in [CLASSIC, BERRY] {
                let mut text = text.as_bytes().to_vec();
                let length = text.len();
                text[at % length] = byte;
                read(&YarnLock, "yarn.lock", &text);
            }
        }
    }
}
