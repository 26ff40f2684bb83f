//! Gems that Bundler's lock file names, and those that a source tree is of.
//!
//! `Gemfile.lock`, or `gems.locked` beside a `gems.rb`; format: `Bundler::LockfileParser`. Sections without indent,
//! of which those that are sources list gems:
//!
//! ```text
//! GEM
//!   remote: https://rubygems.org/
//!   specs:
//!     nokogiri (1.16.5-x86_64-linux)
//!       racc (~> 1.4)
//! ```
//!
//! | Section | |
//! | --- | --- |
//! | `GEM`, `GIT`, `PATH`, `PLUGIN SOURCE` | gems at four spaces, what they ask for at six |
//! | `PLATFORMS`, `DEPENDENCIES`, `CHECKSUMS`, `RUBY VERSION`, `BUNDLED WITH` | no gems |
//!
//! The platform behind the version is kept as a qualifier.
//!
//! The `.gemspec` of a source tree names the gem that it is the source of, if name and version are written out.

use crate::catalogers::check_count;
use crate::catalogers::language::ruby::{gemspec, is_installed};
use crate::package::{Evidence, Package};
use crate::{Cataloger, Contents, File, Findings, Interest, Problem};

/// Characters of a name or a version.
const LONGEST_TEXT: usize = 256;

/// Reads `Gemfile.lock`, `gems.locked` and the `.gemspec` files of source trees.
#[derive(Debug)]
pub(super) struct Gemfile;

impl Cataloger for Gemfile {
    fn name(&self) -> &'static str {
        "gemfile"
    }

    fn version(&self) -> u32 {
        1
    }

    fn interest(&self) -> Interest {
        Interest::new().path("**/Gemfile.lock").path("**/Gemfile*.lock").path("**/gems.locked").path("**/*.gemspec")
    }

    fn catalog(&self, file: &File<'_>, contents: &mut Contents<'_>, findings: &mut Findings) -> Result<(), Problem> {
        if file.name().ends_with(".gemspec") {
            if !is_installed(file.path)
                && let Some(package) = gemspec::read(&contents.text()?)
            {
                findings.package(Package { evidence: Evidence::Declared, ..package });
            }
            return Ok(());
        }
        let text = contents.text()?;
        let mut is_source = false;
        for line in text.lines() {
            let line = line.trim_end();
            if !line.is_empty() && !line.starts_with(' ') {
                is_source = matches!(line, "GEM" | "GIT" | "PATH" | "PLUGIN SOURCE");
                continue;
            }
            let gem = line.strip_prefix("    ").filter(|rest| is_source && !rest.starts_with(' '));
            if let Some(package) = gem.and_then(gem_of) {
                check_count(findings)?;
                findings.package(package);
            }
        }
        Ok(())
    }
}

/// The gem of `name (version)` or `name (version-platform)`.
fn gem_of(line: &str) -> Option<Package> {
    let (name, rest) = line.split_once(" (")?;
    let version = rest.strip_suffix(')').or_else(|| rest.strip_suffix(")!"))?;
    let (version, platform) = match version.split_once('-') {
        Some((version, platform)) => (version, Some(platform)),
        None => (version, None),
    };
    let usable = |text: &str| !text.is_empty() && text.len() <= LONGEST_TEXT && !text.contains(char::is_whitespace);
    (usable(name) && usable(version) && platform.is_none_or(usable)).then(|| Package {
        kind: "gem".to_owned(),
        name: name.to_owned(),
        version: version.to_owned(),
        qualifiers: platform.map(|platform| ("platform".to_owned(), platform.to_owned())).into_iter().collect(),
        evidence: Evidence::Declared,
        ..Package::default()
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn list(path: &str, text: &str) -> Vec<String> {
        let file = File { path, size: text.len() as u64, executable: false };
        let mut findings = Findings::default();
        Gemfile.catalog(&file, &mut Contents::held(text.as_bytes()), &mut findings).expect("has no way to fail");
        assert!(findings.packages().iter().all(|package| package.evidence == Evidence::Declared));
        let platform = |package: &Package| package.qualifiers.get("platform").cloned().unwrap_or_default();
        findings.packages().iter().map(|gem| format!("{} {} {}", gem.name, gem.version, platform(gem))).collect()
    }

    const QUUX: &str = "\
PATH
  remote: .
  specs:
    quux (0.1.0)

GIT
  remote: https://example.org/git.git
  revision: 0123456789abcdef
  specs:
    from-git (3.0.0.pre)
      coffee-rails

PLUGIN SOURCE
  specs:
    plugin (1.0)

GEM
  remote: https://rubygems.org/
  specs:
    i18n (1.6.0)
      concurrent-ruby (~> 1.0)
    nokogiri (1.16.5-x86_64-linux-gnu)
      racc (~> 1.4)
    broken
    broken (1.0
    (1.0)

PLATFORMS
  ruby

DEPENDENCIES
  i18n (~> 1.6)
    indented (1.0)
  quux!

CHECKSUMS
  i18n (1.6.0) sha256=0123

BUNDLED WITH
   2.2.28
";

    #[test]
    fn sources_list_gems() {
        let expected =
            ["quux 0.1.0 ", "from-git 3.0.0.pre ", "plugin 1.0 ", "i18n 1.6.0 ", "nokogiri 1.16.5 x86_64-linux-gnu"];
        assert_eq!(list("app/Gemfile.lock", QUUX), expected);
        assert_eq!(list("app/gems.locked", &QUUX.replace('\n', "\r\n")), expected);
        assert_eq!(list("app/Gemfile.lock", ""), [""; 0]);
    }

    #[test]
    fn source_trees_declare_their_gem() {
        let text = "Gem::Specification.new do |s|\n  s.name = 'quux'\n  s.version = '1.0'\nend\n";
        assert_eq!(list("app/quux.gemspec", text), ["quux 1.0 "]);
        assert_eq!(list("usr/lib/ruby/gems/3.0.0/specifications/quux-1.0.gemspec", text), [""; 0], "read elsewhere");
    }

    proptest! {
        #[test]
        fn mutations_never_panic(at in 0..QUUX.len(), byte: u8, cut in 0..QUUX.len()) {
            let mut text = QUUX.as_bytes().to_vec();
            text[at] = byte;
            text.truncate(cut);
            list("Gemfile.lock", &String::from_utf8_lossy(&text));
        }
    }
}
