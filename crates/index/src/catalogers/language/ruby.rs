//! Ruby gems, from the specification that RubyGems writes for each that it installs.
//!
//! `specifications/<name>-<version>[-<platform>].gemspec`, and `specifications/default` for those that come with
//! Ruby. They are programs, but RubyGems writes them in one form (`Gem::Specification#to_ruby`), an assignment of
//! literals a line; [`gemspec`] reads that and what people write by hand.
//!
//! | Field | | Field | |
//! | --- | --- | --- | --- |
//! | `name` | name | `licenses`, `license` | licences |
//! | `version` | version | `authors`, `author` | author |
//! | `platform` | kept as a qualifier, unless it is `ruby` | `summary`, `homepage` | |
//! | `add_runtime_dependency`, `add_dependency` | calls; what it needs | | |
//!
//! Source of the format: <https://guides.rubygems.org/specification-reference/>. What the assignments do not say is
//! taken from the line `# stub: name version platform …` that RubyGems writes on top.
//!
//! Bundler checks gems out of git into `bundler/gems` with the specification of their source tree.

pub(in crate::catalogers) mod gemspec;

use crate::{Cataloger, Contents, File, Findings, Interest, Problem};

/// Reads the specifications of installed gems.
#[derive(Debug)]
pub(super) struct RubyGem;

impl Cataloger for RubyGem {
    fn name(&self) -> &'static str {
        "ruby-gem"
    }

    fn version(&self) -> u32 {
        2
    }

    fn interest(&self) -> Interest {
        Interest::new().path("**/specifications/**/*.gemspec").path("**/bundler/gems/*/*.gemspec")
    }

    fn catalog(&self, _file: &File<'_>, contents: &mut Contents<'_>, findings: &mut Findings) -> Result<(), Problem> {
        if let Some(package) = gemspec::read(&contents.text()?) {
            findings.package(package);
        }
        Ok(())
    }
}

/// Whether [`RubyGem`] reads the specification at this path.
pub(in crate::catalogers) fn is_installed(path: &str) -> bool {
    let mut directories = path.rsplit('/').skip(1);
    directories.clone().any(|segment| segment == "specifications")
        || directories.nth(1) == Some("gems") && directories.next() == Some("bundler")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn installed_specifications_are_told_by_their_path() {
        let check = |path: &str, expected: bool| {
            assert_eq!(is_installed(path), expected, "{path}");
        };
        check("usr/lib/ruby/gems/3.0.0/specifications/quux-1.0.gemspec", true);
        check("usr/lib/ruby/gems/3.0.0/specifications/default/quux-1.0.gemspec", true);
        check("app/vendor/ruby/3.0.0/bundler/gems/quux-0a1b2c/quux.gemspec", true);
        check("app/vendor/ruby/3.0.0/bundler/gems/quux-0a1b2c/sub/quux.gemspec", false);
        check("usr/lib/ruby/gems/3.0.0/gems/quux-1.0/quux.gemspec", false);
        check("quux.gemspec", false);
    }

    #[test]
    fn gems_are_found() {
        let text = b"Gem::Specification.new do |s|\n  s.name = \"quux\".freeze\n  s.version = \"1.0\"\nend\n";
        let file = File { path: "x/specifications/quux-1.0.gemspec", size: text.len() as u64, executable: false };
        let mut findings = Findings::default();
        RubyGem.catalog(&file, &mut Contents::held(text), &mut findings).unwrap();
        assert_eq!(findings.packages().len(), 1);
    }
}
