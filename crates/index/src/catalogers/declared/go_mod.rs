//! `go.mod` and `go.work`.
//!
//! Source of the format: <https://go.dev/ref/mod#go-mod-file>, <https://go.dev/ref/mod#workspaces>
//!
//! | Directive | |
//! | --- | --- |
//! | `require a.org/b v1.2.3 // indirect` | a module; since Go 1.17 the file names all that the build needs |
//! | `replace a.org/b v1.2.3 => c.org/d v1.0.0` | the second stands for the first, for every version if none is named |
//! | `replace a.org/b => ../b` | a directory has no version of its own: the module stays, as in a program's build information |
//! | `go 1.22`, `toolchain go1.22.1-x` | the version of the package `stdlib` that is asked for; the latter counts more |
//!
//! Directives stand one a line or in a block, `require ( … )`. In `go.work` a replacement is all that names a module.

use super::locked::{Entry, Locked, check_size};
use crate::catalogers::MOST_PACKAGES;
use crate::{Cataloger, Contents, File, Findings, Interest, Problem};

/// Reads `go.mod` and `go.work` files.
#[derive(Debug)]
pub(crate) struct GoMod;

impl Cataloger for GoMod {
    fn name(&self) -> &'static str {
        "go-mod"
    }

    fn version(&self) -> u32 {
        1
    }

    fn interest(&self) -> Interest {
        Interest::new().path("**/go.mod").path("**/go.work")
    }

    fn catalog(&self, file: &File<'_>, contents: &mut Contents<'_>, findings: &mut Findings) -> Result<(), Problem> {
        let text = contents.text()?;
        check_size(file, &text)?;
        let module_file = ModuleFile::parse(&text);
        let mut locked = Locked::new("golang");
        if file.name() == "go.work" {
            for (_, to) in module_file.replacements.iter().filter(|(_, to)| !to.version.is_empty()) {
                locked.add(Entry { name: to.path, version: to.version, dev: false });
            }
        } else {
            for module in module_file.required() {
                locked.add(Entry { name: module.path, version: module.version, dev: false });
            }
        }
        if let Some(version) = module_file.go_version() {
            locked.add(Entry { name: "stdlib", version, dev: false });
        }
        locked.finish(findings)
    }
}

/// A module's path and version.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Module<'a> {
    pub(super) path: &'a str,
    pub(super) version: &'a str,
}

#[derive(Debug, Default)]
struct ModuleFile<'a> {
    requirements: Vec<Module<'a>>,
    replacements: Vec<(Module<'a>, Module<'a>)>,
    go: Option<&'a str>,
    toolchain: Option<&'a str>,
}

impl<'a> ModuleFile<'a> {
    fn parse(text: &'a str) -> Self {
        let mut file = Self::default();
        let mut block = None;
        for line in text.lines() {
            let line = line.split("//").next().unwrap_or(line);
            let mut words: Words<'a> = Words::default();
            for word in line.split_ascii_whitespace() {
                words.push(word.trim_matches(['"', '`']));
            }
            match (block, words.as_slice()) {
                (_, []) => {}
                (Some(_), [")", ..]) => block = None,
                (Some(directive), arguments) => file.directive(directive, arguments),
                (None, [directive, "("]) => block = Some(*directive),
                (None, [directive, arguments @ ..]) => file.directive(directive, arguments),
            }
        }
        file
    }

    fn directive(&mut self, directive: &str, arguments: &[&'a str]) {
        // One more than may be reported: then it is.
        if self.requirements.len().max(self.replacements.len()) > MOST_PACKAGES {
            return;
        }
        match (directive, arguments) {
            ("require", &[path, version, ..]) => self.requirements.push(Module { path, version }),
            ("replace", &[old, "=>", path]) => self.replace(old, "", path, ""),
            ("replace", &[old, "=>", path, version]) => self.replace(old, "", path, version),
            ("replace", &[old, old_version, "=>", path]) => self.replace(old, old_version, path, ""),
            ("replace", &[old, old_version, "=>", path, version]) => self.replace(old, old_version, path, version),
            ("go", &[version, ..]) => self.go = Some(version),
            ("toolchain", &[name, ..]) => self.toolchain = name.strip_prefix("go"),
            _ => {}
        }
    }

    fn replace(&mut self, path: &'a str, version: &'a str, new_path: &'a str, new_version: &'a str) {
        self.replacements.push((Module { path, version }, Module { path: new_path, version: new_version }));
    }

    /// The required modules, or what replaces them. A replacement of one version counts more than one of all.
    fn required(&self) -> impl Iterator<Item = Module<'a>> {
        let replacements: std::collections::HashMap<_, _> = self.replacements.iter().copied().collect();
        self.requirements.iter().map(move |module| {
            let every_version = Module { version: "", ..*module };
            let replacement = replacements.get(module).or_else(|| replacements.get(&every_version));
            replacement.filter(|to| !to.version.is_empty()).copied().unwrap_or(*module)
        })
    }

    fn go_version(&self) -> Option<&'a str> {
        let version = self.toolchain.or(self.go)?.split('-').next()?;
        version.starts_with(|c: char| c.is_ascii_digit()).then_some(version)
    }
}

/// The words of a line; no directive has more than five, and what follows does not matter.
#[derive(Debug, Default)]
struct Words<'a> {
    words: [&'a str; 6],
    count: usize,
}

impl<'a> Words<'a> {
    fn push(&mut self, word: &'a str) {
        if let Some(place) = self.words.get_mut(self.count) {
            *place = word;
            self.count += 1;
        }
    }

    fn as_slice(&self) -> &[&'a str] {
        &self.words[..self.count]
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::locked::tests::read;
    use super::*;

    const FILE: &str = r#"
module example.org/app // import "x"

go 1.22.0
toolchain go1.22.5-custom

require a.org/one v1.0.0
require (
	"a.org/two" v2.0.0+incompatible // indirect
	a.org/three/v3 v3.0.0 // indirect
	a.org/four v0.0.0-20240301121314-0123456789ab
	a.org/five v1.0.0
	a.org/five v1.1.0
	a.org/six v1.0.0
)

exclude a.org/one v1.5.0
replace a.org/three/v3 => fork.org/three/v3 v3.1.0
replace (
	a.org/five v1.0.0 => fork.org/five v1.4.5
	a.org/five => fork.org/any v1.0.0
	a.org/six => ../six
	a.org/absent v1.0.0 => fork.org/absent v1.0.0
)
retract [v1.0.0, v1.1.0]
tool a.org/one/cmd
"#;

    fn check(path: &str, text: &str, expected: &[&str]) {
        assert_eq!(read(&GoMod, path, text.as_bytes()), expected, "{text}");
    }

    #[test]
    fn reads_what_is_required() {
        check(
            "app/go.mod",
            FILE,
            &[
                "a.org/one@v1.0.0",
                "a.org/two@v2.0.0+incompatible",
                "fork.org/three/v3@v3.1.0",
                "a.org/four@v0.0.0-20240301121314-0123456789ab",
                "fork.org/five@v1.4.5",
                "fork.org/any@v1.0.0",
                "a.org/six@v1.0.0",
                "stdlib@1.22.5",
            ],
        );
        check("go.mod", "module a\ngo 1.17\r\n", &["stdlib@1.17"]);
        check("go.mod", "module a\ngo 1.21rc2\ntoolchain default\n", &["stdlib@1.21rc2"]);
        check("go.mod", "require (\nrequire\n)\nrequire a\n", &[]);
        check("go.mod", "", &[]);
    }

    #[test]
    fn reads_workspaces() {
        let text = "go 1.23\nuse (\n\t./a\n\t./b\n)\nreplace a.org/b => c.org/d v1.0.0\nreplace a.org/c => ./c\n";
        check("app/go.work", text, &["c.org/d@v1.0.0", "stdlib@1.23"]);
    }

    proptest! {
        #[test]
        fn mutations_never_panic(at in 0..FILE.len(), byte: u8) {
            let mut text = FILE.as_bytes().to_vec();
            text[at] = byte;
            read(&GoMod, "go.mod", &text);
            read(&GoMod, "go.work", &text);
        }
    }
}
