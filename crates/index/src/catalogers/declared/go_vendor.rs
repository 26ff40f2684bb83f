//! `vendor/modules.txt`, Go's record of the modules that were copied into `vendor`, and `go.work.sum`.
//!
//! Sources of the formats: <https://go.dev/ref/mod#vendoring>, <https://go.dev/ref/mod#go-sum-files>
//!
//! | Line of `modules.txt` | |
//! | --- | --- |
//! | `# a.org/b v1.2.3` | a module |
//! | `# a.org/b v1.2.3 => c.org/d v1.0.0` | what replaces it |
//! | `# a.org/b v1.2.3 => ./b` | a directory has no version of its own: the module stays |
//! | `## explicit; go 1.22` | nothing |
//! | `a.org/b/pkg` | a package of the module: without one, nothing of the module was copied |
//! | `# a.org/b => c.org/d v1.0.0` at the end | a replacement that no module uses |
//!
//! `go.work.sum` has a line for each module that the workspace was built with and that no `go.sum` names. `go.sum`
//! itself is not read: it keeps sums of what was looked at and not chosen, and since Go 1.17 `go.mod` names all.

use super::go_mod::Module;
use super::locked::{Entry, Locked, check_size};
use crate::{Cataloger, Contents, File, Findings, Interest, Problem};

/// Reads `vendor/modules.txt` and `go.work.sum` files.
#[derive(Debug)]
pub(crate) struct GoVendor;

impl Cataloger for GoVendor {
    fn name(&self) -> &'static str {
        "go-vendor"
    }

    fn version(&self) -> u32 {
        1
    }

    fn interest(&self) -> Interest {
        Interest::new().path("**/vendor/modules.txt").path("**/go.work.sum")
    }

    fn catalog(&self, file: &File<'_>, contents: &mut Contents<'_>, findings: &mut Findings) -> Result<(), Problem> {
        let text = contents.text()?;
        check_size(file, &text)?;
        let mut locked = Locked::new("golang");
        let mut add = |Module { path, version }: Module<'_>| {
            locked.add(Entry { name: path, version, dev: false });
        };
        if file.name() == "go.work.sum" {
            text.lines().filter_map(summed).for_each(&mut add);
        } else {
            let mut module = None;
            for line in text.lines() {
                match line.strip_prefix("# ") {
                    Some(header) => module = vendored(header),
                    None if line.starts_with('#') || line.trim().is_empty() => {}
                    None => module.take().into_iter().for_each(&mut add),
                }
            }
        }
        locked.finish(findings)
    }
}

/// The module of a header, or what replaces it.
fn vendored(header: &str) -> Option<Module<'_>> {
    let (module, replacement) = match header.split_once("=>") {
        Some((module, replacement)) => (module, pair(replacement)),
        None => (header, None),
    };
    replacement.or_else(|| pair(module))
}

/// `a.org/b v1.2.3`
fn pair(text: &str) -> Option<Module<'_>> {
    let mut words = text.split_ascii_whitespace();
    let module = Module { path: words.next()?, version: words.next()? };
    (words.next().is_none() && module.version.starts_with('v')).then_some(module)
}

/// `a.org/b v1.2.3 h1:…`; the line of `v1.2.3/go.mod` only says that the module's requirements were read.
fn summed(line: &str) -> Option<Module<'_>> {
    let (module, _) = line.rsplit_once(" h1:")?;
    pair(module).filter(|module| !module.version.contains('/'))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::locked::tests::read;
    use super::*;

    const VENDOR: &str = "\
# a.org/one v1.0.0
## explicit; go 1.21; toolchain go1.21.8
a.org/one
a.org/one/pkg
# a.org/two v2.0.0+incompatible => fork.org/two v2.1.0
## explicit
a.org/two
# a.org/three v3.0.0 => ./three
a.org/three/pkg
# a.org/unused v1.0.0
## explicit
# malformed
a.org/malformed
# a.org/no-version => ./local
a.org/no-version
# a.org/any => fork.org/any v0.2.0
a.org/any/pkg
# a.org/two => fork.org/two v2.1.0
";

    #[test]
    fn reads_what_was_copied() {
        let check = |path: &str, text: &str, expected: &[&str]| {
            assert_eq!(read(&GoVendor, path, text.as_bytes()), expected, "{text}");
        };
        check(
            "app/vendor/modules.txt",
            VENDOR,
            &["a.org/one@v1.0.0", "fork.org/two@v2.1.0", "a.org/three@v3.0.0", "fork.org/any@v0.2.0"],
        );
        check(
            "app/go.work.sum",
            "a.org/b v1.0.0 h1:AA=\na.org/b v1.0.0/go.mod h1:AA=\na.org/c v1.0.0/go.mod h1:AA=\n\nodd\n",
            &["a.org/b@v1.0.0"],
        );
    }

    proptest! {
        #[test]
        fn mutations_never_panic(at in 0..VENDOR.len(), byte: u8) {
            let mut text = VENDOR.as_bytes().to_vec();
            text[at] = byte;
            read(&GoVendor, "vendor/modules.txt", &text);
            read(&GoVendor, "go.work.sum", &text);
        }
    }
}
