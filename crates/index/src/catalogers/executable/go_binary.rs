//! Go modules, from the build information in programs that the Go linker made.
//!
//! [`go_build_info`] finds it; its lines are (`runtime/debug.BuildInfo`):
//!
//! | Line | Package |
//! | --- | --- |
//! | `mod <path> <version> <sum>` | the main module, see below |
//! | `path <path>` | the main package; stands for the main module in a program built without modules |
//! | `dep <path> <version> <sum>` | a module |
//! | `=> <path> <version> <sum>` | what replaces the module before; a directory has no version |
//! | `build -ldflags=…`, `build vcs.revision=…`, `build vcs.time=…` | the main module's version, where `mod` says `(devel)` |
//!
//! The version of the main module is, in this order: what `mod` says, if it is more than a revision; what
//! `-X …version=` puts into the program, by the flags or by the string that the linker made of it; the pseudo-version
//! of the revision, `v0.0.0-<time>-<revision>`, as Go 1.24 writes it or as made here; none. The toolchain's version is the version of the package `stdlib`.

use memchr::memmem;

use super::go_build_info::{self, BuildInfo};
use super::go_flags;
use crate::catalogers::{binary, check_count};
use crate::package::{Package, Requirement};
use crate::{Cataloger, Contents, File, Findings, Interest, Problem};

/// Bytes of a module's path or version; Go's own proxy refuses far less.
const LONGEST: usize = 1024;

/// Reads the build information of Go programs.
#[derive(Debug)]
pub(crate) struct GoBinary;

impl Cataloger for GoBinary {
    fn name(&self) -> &'static str {
        "go-binary"
    }

    fn version(&self) -> u32 {
        3
    }

    fn interest(&self) -> Interest {
        binary::executables()
    }

    fn catalog(&self, _file: &File<'_>, contents: &mut Contents<'_>, findings: &mut Findings) -> Result<(), Problem> {
        let found = match contents.whole() {
            // The parts of a universal binary are the same program.
            Ok(bytes) => {
                let mut images = binary::images(bytes).into_iter();
                images.find_map(|image| Some((go_build_info::find(image)?, image)))
            }
            Err(Problem::TooLarge { .. }) => go_build_info::find_in_stream(contents)?.map(|info| (info, [].as_slice())),
            Err(problem) => return Err(problem),
        };
        let Some((info, image)) = found else {
            // Nothing can be seen of what a packer packed, Go's or other: better said than passed over.
            let packed = contents.whole().is_ok_and(is_packed);
            return if packed {
                Err(Problem::malformed("packed with UPX: what it holds was not read"))
            } else {
                Ok(())
            };
        };
        for package in packages(&info, image) {
            check_count(findings)?;
            findings.package(package);
        }
        Ok(())
    }
}

/// UPX's `l_info`, behind the program headers: checksum, `UPX!`, loader size, version and format (`src/stub/src/include/linux.h`).
fn is_packed(bytes: &[u8]) -> bool {
    /// Its header lies in the first page.
    const WITHIN: usize = 4096;
    let beginning = &bytes[..bytes.len().min(WITHIN)];
    let header = memmem::find(beginning, b"UPX!").and_then(|at| bytes.get(at + 6..at + 8));
    header.is_some_and(|version_and_format| !version_and_format.contains(&0))
}

fn packages(info: &BuildInfo, image: &[u8]) -> Vec<Package> {
    let modules = Modules::parse(&info.modules);
    let dependencies = modules.dependencies.iter().map(|dependency| (dependency.path, released(dependency.version)));
    let standard = go_version(&info.go_version).map(|version| ("stdlib", version));
    let others: Vec<(&str, &str)> = dependencies.chain(standard).collect();
    let mut packages = Vec::with_capacity(1 + others.len());
    if let Some(main) = modules.main {
        let named = || go_build_info::version_symbol(image, main.path);
        let beside = || go_build_info::version_beside(image, &info.go_version);
        let version = modules.main_version(main, named, beside);
        // The list does not say which module needs which: the program needs them all.
        let requires = others
            .iter()
            .map(|&(path, version)| Requirement { version: Some(version.to_owned()), ..Requirement::of(path) })
            .collect();
        packages.push(Package { requires, ..module(main.path, &version) });
    }
    packages.extend(others.into_iter().map(|(path, version)| module(path, version)));
    packages
}

fn module(path: &str, version: &str) -> Package {
    let (namespace, name) = match path.rsplit_once('/') {
        Some((namespace, name)) => (Some(namespace.to_owned()), name),
        None => (None, path),
    };
    Package {
        kind: "golang".to_owned(),
        namespace,
        name: name.to_owned(),
        version: version.to_owned(),
        ..Package::default()
    }
}

/// `(devel)` says that there is no version, and so do the placeholders for modules that are only ever replaced by
/// a directory: the one of `go mod`, and `v0.0.0` (Kubernetes).
fn released(version: &str) -> &str {
    let placeholder = matches!(version, "(devel)" | "v0.0.0") || version.starts_with("v0.0.0-00010101000000-");
    if placeholder { "" } else { version }
}

/// A pseudo-version that no tag comes before: since Go 1.24 what a checkout without tags is stamped with.
fn is_untagged(version: &str) -> bool {
    version.strip_prefix("v0.0.0-").is_some_and(|rest| rest.len() > 14 && rest.as_bytes()[14] == b'-')
}

/// `go1.22.1 X:boringcrypto` → `1.22.1`; a toolchain between releases has none.
fn go_version(version: &str) -> Option<&str> {
    let word = version.split_ascii_whitespace().find(|word| word.starts_with("go"))?;
    let word = word.strip_prefix("go")?.split("-X:").next()?;
    (!version.starts_with("devel") && word.starts_with(|c: char| c.is_ascii_digit())).then_some(word)
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Module<'a> {
    path: &'a str,
    version: &'a str,
}

#[derive(Debug, Default)]
struct Modules<'a> {
    main: Option<Module<'a>>,
    /// The main package's import path.
    path: &'a str,
    dependencies: Vec<Module<'a>>,
    ldflags: String,
    revision: &'a str,
    time: &'a str,
}

impl<'a> Modules<'a> {
    fn parse(text: &'a str) -> Self {
        let mut modules = Self::default();
        // What a `=>` line is about: nothing after a line that was not understood.
        let mut last_is_dependency = false;
        for line in text.lines() {
            let mut fields = line.split('\t');
            let (kind, path) = (fields.next().unwrap_or_default(), fields.next().unwrap_or_default());
            let module = Module { path, version: fields.next().unwrap_or_default() };
            if path.is_empty() || path.len() > LONGEST || (kind != "build" && module.version.len() > LONGEST) {
                last_is_dependency = false;
                continue;
            }
            match kind {
                "path" => modules.path = path,
                "mod" => modules.main = Some(module),
                "dep" => modules.dependencies.push(module),
                "=>" if last_is_dependency => {
                    // A replacement by a directory has no name of its own: what is there is a copy of the module.
                    let directory = path.starts_with(['.', '/', '\\']) || module.version.is_empty();
                    if let Some(last) = modules.dependencies.last_mut().filter(|_| !directory) {
                        *last = module;
                    }
                }
                "build" => modules.setting(path),
                _ => {}
            }
            last_is_dependency = kind == "dep";
        }
        if modules.main.is_none() {
            modules.main = modules.main_without_line();
        }
        modules
    }

    /// The main module where no `mod` line names it. Some versions of Go list it among the dependencies, without
    /// a version; Debian and Docker build with GOPATH, which leaves nothing but the package's path. The paths of
    /// Go's own commands (`cmd/go`) and of loose files (`command-line-arguments`) have no host name.
    fn main_without_line(&mut self) -> Option<Module<'a>> {
        if let Some(index) = self.dependencies.iter().position(|dependency| dependency.version == "(devel)") {
            return Some(self.dependencies.remove(index));
        }
        let (host, _) = self.path.split_once('/')?;
        host.contains('.').then_some(Module { path: self.path, version: "(devel)" })
    }

    fn setting(&mut self, setting: &'a str) {
        let Some((key, value)) = setting.split_once('=') else { return };
        match key {
            "-ldflags" => self.ldflags = go_flags::unquote(value),
            "vcs.revision" => self.revision = value,
            "vcs.time" => self.time = value,
            _ => {}
        }
    }

    /// `named` and `beside` give the version that the program itself holds, surely and probably.
    fn main_version(
        &self,
        main: Module<'_>,
        named: impl FnOnce() -> Option<String>,
        beside: impl FnOnce() -> Option<String>,
    ) -> String {
        let version = released(main.version);
        let revision_alone = version.is_empty() || is_untagged(version);
        if !revision_alone {
            return version.to_owned();
        }
        let set = go_flags::version(&self.ldflags, main.path).or_else(named);
        match set.or_else(|| if version.is_empty() { beside() } else { None }) {
            // Versions of modules begin with a v; those that people put into their programs often do not.
            Some(version) if version.starts_with('v') => version,
            Some(version) => format!("v{}", version.trim_start_matches('V')),
            None if !version.is_empty() => version.to_owned(),
            None => self.pseudo_version().unwrap_or_default(),
        }
    }

    /// <https://go.dev/ref/mod#pseudo-versions>, for a revision with no known tag before it.
    fn pseudo_version(&self) -> Option<String> {
        let revision = self.revision.get(..12).unwrap_or(self.revision);
        // "2024-03-01T12:13:14Z": the toolchain writes UTC.
        let time: String = self.time.strip_suffix('Z')?.chars().filter(char::is_ascii_digit).take(14).collect();
        let valid = time.len() == 14 && !revision.is_empty() && revision.bytes().all(|b| b.is_ascii_alphanumeric());
        valid.then(|| format!("v0.0.0-{time}-{revision}"))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::go_build_info::tests::inline;
    use super::*;
    use crate::catalogers::binary::tests::elf;

    fn read(version: &str, modules: &str) -> Vec<String> {
        let (bytes, _) = elf(&[(".go.buildinfo", &inline(version, modules))]);
        let file = File { path: "usr/bin/quux", size: bytes.len() as u64, executable: true };
        let mut findings = Findings::default();
        GoBinary.catalog(&file, &mut Contents::held(&bytes), &mut findings).expect("reads");
        let mut held = list(&findings);
        let mut findings = Findings::default();
        let mut reader = &*bytes;
        GoBinary.catalog(&file, &mut Contents::passing(&mut reader, file.size, 1), &mut findings).expect("reads");
        assert_eq!(list(&findings), held, "as a stream");
        held.sort();
        held
    }

    fn list(findings: &Findings) -> Vec<String> {
        let line = |package: &Package| match &package.namespace {
            Some(namespace) => format!("{namespace}/{} {}", package.name, package.version),
            None => format!("{} {}", package.name, package.version),
        };
        findings.packages().iter().map(line).collect()
    }

    #[test]
    fn a_program_needs_every_module_of_it() {
        let modules = "path\tquux\nmod\tquux\tv1.0.0\th1:a=\ndep\tgithub.com/acme/one\tv0.1.0\th1:b=\n";
        let (bytes, _) = elf(&[(".go.buildinfo", &inline("go1.22.1", modules))]);
        let file = File { path: "usr/bin/quux", size: bytes.len() as u64, executable: true };
        let mut findings = Findings::default();
        GoBinary.catalog(&file, &mut Contents::held(&bytes), &mut findings).expect("reads");
        let required =
            |name: &str, version: &str| Requirement { version: Some(version.into()), ..Requirement::of(name) };
        let [main, others @ ..] = findings.packages() else { panic!("nothing found") };
        assert_eq!(main.requires, [required("github.com/acme/one", "v0.1.0"), required("stdlib", "1.22.1")]);
        assert!(others.iter().all(|package| package.requires.is_empty()));
    }

    #[test]
    fn every_module_is_a_package() {
        let modules = "path\texample.org/quux/cmd/quux\nmod\texample.org/quux\tv1.2.3\th1:a=\n\
            dep\tgithub.com/acme/one\tv0.1.0+incompatible\th1:b=\n\
            dep\tgithub.com/acme/two/v2\tv2.0.0\n=>\tgithub.com/fork/two/v2\tv2.0.1\th1:c=\n\
            dep\tgithub.com/acme/three\tv3.0.0\n=>\t../three\t(devel)\t\n\
            dep\tgithub.com/acme/four\t(devel)\t\n\
            dep\tgithub.com/acme/five\tv0.0.0-00010101000000-000000000000\n=>\t./five\t(devel)\t\ndep\t\tv1\n=>\tghost\tv1\nbuild\t-compiler=gc\n";
        assert_eq!(
            read("go1.22.1", modules),
            [
                "example.org/quux v1.2.3",
                "github.com/acme/five ",
                "github.com/acme/four ",
                "github.com/acme/one v0.1.0+incompatible",
                "github.com/acme/three v3.0.0",
                "github.com/fork/two/v2 v2.0.1",
                "stdlib 1.22.1",
            ]
        );
    }

    #[test]
    fn the_main_module_gets_the_best_version() {
        let check = |version: &str, settings: &str, expected: &str| {
            let modules = format!("path\texample.org/quux\nmod\texample.org/quux\t{version}\t\n{settings}");
            assert_eq!(read("devel", &modules), [format!("example.org/quux {expected}")], "{version} {settings}");
        };
        let vcs = "build\tvcs=git\nbuild\tvcs.revision=0123456789abcdef0123456789abcdef01234567\n\
            build\tvcs.time=2024-03-01T12:13:14Z\nbuild\tvcs.modified=true\n";
        check("v1.0.0", vcs, "v1.0.0");
        let stamped = "v0.0.0-20240301121314-0123456789ab+dirty";
        check(stamped, vcs, stamped);
        check(stamped, "build\t-ldflags=\"-X main.version=v4.5.6\"\n", "v4.5.6");
        check(
            "v1.0.1-0.20240301121314-0123456789ab",
            "build\t-ldflags=\"-X main.version=v4.5.6\"\n",
            "v1.0.1-0.20240301121314-0123456789ab",
        );
        check("(devel)", "", "");
        check("(devel)", vcs, "v0.0.0-20240301121314-0123456789ab");
        check("(devel)", &vcs.replace("vcs.time=2024", "vcs.time="), "");
        check("(devel)", &vcs.replace("vcs.revision", "vcs.other"), "");
        check("(devel)", &format!("build\t-ldflags=\"-s -X main.version=v4.5.6\"\n{vcs}"), "v4.5.6");
        check("(devel)", &format!("build\t-ldflags=\"-s -X main.version=4.5.6\"\n{vcs}"), "v4.5.6");
    }

    #[test]
    fn programs_built_without_modules_have_a_main_module_too() {
        let check = |modules: &str, expected: &[&str]| assert_eq!(read("devel", modules), expected, "{modules}");
        let flags = "build\t-ldflags=\"-X example.org/quux/version.Version=v1.2.3+ds1\"\n";
        check(&format!("path\texample.org/quux/cmd/quux\n{flags}"), &["example.org/quux/cmd/quux v1.2.3+ds1"]);
        check("path\texample.org/quux/cmd/quux\n", &["example.org/quux/cmd/quux "]);
        check("path\tcommand-line-arguments\ndep\ta.org/b\tv1.0.0\n", &["a.org/b v1.0.0"]);
        check("path\tcmd/go\n", &[]);
        check("path\ta.org/b/cmd\ndep\ta.org/b\t(devel)\t\ndep\ta.org/c\tv1.0.0\n", &["a.org/b ", "a.org/c v1.0.0"]);
    }

    #[test]
    fn the_toolchain_is_a_package() {
        let check = |version: &str, expected: Option<&str>| assert_eq!(go_version(version), expected, "{version}");
        check("go1.22.1", Some("1.22.1"));
        check("go1.23rc1", Some("1.23rc1"));
        check("go1.22.1 X:boringcrypto,loopvar", Some("1.22.1"));
        check("go1.25.0-X:jsonv2", Some("1.25.0"));
        check("go1.21.9 (Acme Linux 1.21.9-1)", Some("1.21.9"));
        check("devel go1.24-0123abc Thu Jan 1", None);
        check("devel +0123abc", None);
        check("", None);
    }

    #[test]
    fn other_programs_are_passed_over() {
        let (bytes, _) = elf(&[(".data", b"no go")]);
        let file = File { path: "usr/bin/quux", size: bytes.len() as u64, executable: true };
        let mut findings = Findings::default();
        GoBinary.catalog(&file, &mut Contents::held(&bytes), &mut findings).expect("reads");
        assert!(findings.is_empty());
    }

    #[test]
    fn packed_programs_are_told_of() {
        let check = |bytes: &[u8], packed: bool| {
            let file = File { path: "usr/bin/quux", size: bytes.len() as u64, executable: true };
            let read = GoBinary.catalog(&file, &mut Contents::held(bytes), &mut Findings::default());
            assert_eq!(read.is_err(), packed, "{}", bytes.escape_ascii());
        };
        check(b"\x7fELF\0\0\0\0sumsUPX!\x10\x09\x0e\x16\0\0\0\0", true);
        check(b"\x7fELF\0\0\0\0sumsUPX!\0\0\0\0", false);
        check(b"\x7fELF\0\0\0\0UPX!", false);
    }

    proptest! {
        #[test]
        fn never_panics(text in "(mod|dep|=>|build|path)(\t[ -~]{0,9}){0,4}(\n(mod|dep|=>|build)(\t[ -~\u{e9}]{0,9}){0,4}){0,6}") {
            let _ = packages(&BuildInfo { go_version: text.clone(), modules: text.clone() }, text.as_bytes());
        }
    }
}
