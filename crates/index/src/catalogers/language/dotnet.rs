//! .NET applications and runtimes, from the `*.deps.json` that the SDK writes beside what it publishes.
//!
//! Source of the format:
//! <https://github.com/dotnet/sdk/blob/main/documentation/specs/runtime-configuration-file.md>.
//!
//! | Field | |
//! | --- | --- |
//! | `runtimeTarget.name` | which of the `targets` the host reads; a plain string in the first versions |
//! | `libraries`: `name/version` | `type`: `package`, `project`, `runtimepack`, `reference`, `referenceassembly` |
//! | `targets`: target: `name/version` | `dependencies` and the assets that the library brings |
//! | `runtime`, `native`, `compile` | assets; the host looks for their file name beside the `deps.json` |
//! | `resources` | satellite assemblies; the host looks for `locale/file name` |
//! | `runtimeTargets` | assets for other platforms, at their whole path |
//! | asset: `localPath` | where the SDK of .NET 10 put the asset, if elsewhere |
//!
//! A library whose entry in the target is empty brings nothing: the runtime has a newer copy, or only the build
//! needed it. It is named, not there, so its evidence is [`Evidence::Declared`]. A metapackage brings nothing
//! itself; it is there if anything that it depends on brings something for this platform. Bundlers that merge
//! assemblies into one leave no assets behind, so with one of them all that is named counts.
//!
//! References to single assemblies are no packages; where they are published, their files are found as such. The
//! files of all others are kept: what a file says of itself is the same package once more.

use std::collections::{BTreeMap, HashMap};

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;

use crate::catalogers::{MOST_DEPENDENCIES, check_count};
use crate::package::{Evidence, Package, Requirement};
use crate::{Cataloger, Contents, File, Findings, Interest, Problem};

/// Bytes of a `deps.json`. Those of large applications have 1 MiB; a hostile one needs thirty times its size.
const LONGEST_DOCUMENT: usize = 4 << 20;

/// Bytes of all owned paths of one document, so that a deep directory and many short names stay bounded.
const MOST_PATH_BYTES: usize = 16 << 20;

/// Reads `*.deps.json`.
#[derive(Debug)]
pub(super) struct DotnetDeps;

impl Cataloger for DotnetDeps {
    fn name(&self) -> &'static str {
        "dotnet-deps"
    }

    fn version(&self) -> u32 {
        2
    }

    fn interest(&self) -> Interest {
        Interest::new().path("**/*.deps.json")
    }

    fn catalog(&self, file: &File<'_>, contents: &mut Contents<'_>, findings: &mut Findings) -> Result<(), Problem> {
        read(&contents.text()?, Some(file.directory()), findings)
    }
}

/// The packages of a `deps.json` that lies in `directory`, or within a bundle if that is `None`.
pub(in crate::catalogers) fn read(text: &str, directory: Option<&str>, findings: &mut Findings) -> Result<(), Problem> {
    if text.len() > LONGEST_DOCUMENT {
        return Err(Problem::TooLarge { size: text.len() as u64, limit: LONGEST_DOCUMENT as u64 });
    }
    let document: Document =
        serde_json::from_str(text).map_err(|error| Problem::malformed(format!("deps.json: {error}")))?;
    let target = document.target();
    let present = target.map(present).unwrap_or_default();
    let (mut path_bytes, mut dependencies_left) = (0, MOST_DEPENDENCIES);
    for (key, library) in &document.libraries {
        let Some(kind) = library.kind() else { continue };
        let Some((name, version)) = key.split_once('/').filter(|(name, version)| is_id(name) && is_id(version)) else {
            continue;
        };
        // The SDK puts the prefix before the name of the package that it took the runtime from.
        let name = match kind {
            Kind::RuntimePack => name.strip_prefix("runtimepack.").unwrap_or(name),
            Kind::Other => name,
        };
        check_count(findings)?;
        let mut package = package(name, version);
        if let Some(entry) = target.and_then(|target| target.get(key)) {
            if !present.get(key.as_str()).is_some_and(|present| *present) {
                package.evidence = Evidence::Declared;
            }
            // There is one of each name in a document; the versions are those that were asked for.
            let needed = entry.dependencies.keys().take(dependencies_left);
            package.requires.extend(needed.map(|name| Requirement::of(name.trim_start_matches("runtimepack."))));
            dependencies_left -= package.requires.len();
            if let Some(directory) = directory {
                for path in entry.files(directory) {
                    path_bytes += path.len();
                    if path_bytes <= MOST_PATH_BYTES {
                        package.files.push(path);
                    }
                }
            }
        }
        findings.package(package);
    }
    Ok(())
}

/// A package with what is known of every one of its name: the CPEs of the runtimes.
pub(in crate::catalogers) fn package(name: &str, version: &str) -> Package {
    Package {
        kind: "nuget".to_owned(),
        name: name.to_owned(),
        version: version.to_owned(),
        cpes: runtime_cpe(name, version).into_iter().collect(),
        ..Package::default()
    }
}

/// The CPE by which vulnerability databases know a runtime: .NET, .NET Core before version 5, ASP.NET Core.
fn runtime_cpe(name: &str, version: &str) -> Option<String> {
    let name = name.to_ascii_lowercase();
    let is = |framework: &str| {
        name.strip_prefix(framework).is_some_and(|rest| rest.is_empty() || rest.starts_with(".runtime."))
            // .NET Core 2: `runtime.linux-x64.Microsoft.NETCore.App`.
            || name.starts_with("runtime.") && name.ends_with(framework)
    };
    // .NET Core 3 put the build behind the version of a release.
    let version = version.split_once("-servicing").map_or(version, |(release, _)| release);
    let numbers = version.split('.').map(|number| number.parse::<u32>().ok()).collect::<Option<Vec<_>>>()?;
    let product = if is("microsoft.aspnetcore.app") {
        "asp.net_core"
    } else if is("microsoft.netcore.app") {
        if *numbers.first()? < 5 { ".net_core" } else { ".net" }
    } else {
        return None;
    };
    Some(format!("cpe:2.3:a:microsoft:{product}:{version}:*:*:*:*:*:*:*"))
}

/// NuGet allows letters, digits, `.`, `-` and `_` in names, and `+` besides in versions; projects may have others.
fn is_id(text: &str) -> bool {
    !text.is_empty() && text.len() <= 512 && !text.contains(['/', '\\']) && !text.contains(char::is_control)
}

type Target = BTreeMap<String, Entry>;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[derive(Default)]
struct Document {
    runtime_target: Value,
    targets: BTreeMap<String, Target>,
    libraries: BTreeMap<String, Library>,
}

impl Document {
    /// The target that the host reads.
    fn target(&self) -> Option<&Target> {
        let name = self.runtime_target.as_str().or_else(|| self.runtime_target.get("name")?.as_str())?;
        self.targets.get(name)
    }
}

#[derive(Deserialize)]
struct Library {
    #[serde(rename = "type", default)]
    kind: Value,
}

enum Kind {
    RuntimePack,
    Other,
}

impl Library {
    fn kind(&self) -> Option<Kind> {
        let kind = self.kind.as_str()?;
        if kind.eq_ignore_ascii_case("runtimepack") {
            return Some(Kind::RuntimePack);
        }
        ["package", "project"].iter().any(|other| kind.eq_ignore_ascii_case(other)).then_some(Kind::Other)
    }
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Entry {
    dependencies: BTreeMap<String, IgnoredAny>,
    runtime: BTreeMap<String, Asset>,
    native: BTreeMap<String, Asset>,
    compile: BTreeMap<String, Asset>,
    resources: BTreeMap<String, Asset>,
    runtime_targets: BTreeMap<String, Asset>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Asset {
    locale: Option<String>,
    local_path: Option<String>,
}

impl Entry {
    /// Whether it brings something for this platform.
    fn brings(&self) -> bool {
        [&self.runtime, &self.native, &self.compile, &self.resources].into_iter().any(brings)
    }

    /// Where the host looks for the assets.
    fn files(&self, directory: &str) -> impl Iterator<Item = String> {
        let flat = [&self.runtime, &self.native, &self.compile].into_iter().flatten();
        let flat = flat.map(|(path, asset)| (asset, file_name(path).to_owned()));
        let resources = self.resources.iter().map(|(path, asset)| match &asset.locale {
            Some(locale) => (asset, format!("{locale}/{}", file_name(path))),
            None => (asset, file_name(path).to_owned()),
        });
        let elsewhere = self.runtime_targets.iter().map(|(path, asset)| (asset, path.clone()));
        flat.chain(resources).chain(elsewhere).filter(|(_, path)| !is_placeholder(path)).map(move |(asset, path)| {
            let path = asset.local_path.as_ref().unwrap_or(&path);
            crate::paths::normalise(format!("{directory}/{path}").as_bytes())
        })
    }
}

fn brings(assets: &BTreeMap<String, Asset>) -> bool {
    assets.keys().any(|path| !is_placeholder(path))
}

fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// The file by which a NuGet package says that it has nothing for a framework.
fn is_placeholder(path: &str) -> bool {
    file_name(path) == "_._"
}

/// Which libraries of the target are there.
fn present(target: &Target) -> HashMap<&str, bool> {
    let keys: Vec<&str> = target.keys().map(String::as_str).collect();
    let name = |key: &str| key.split('/').next().unwrap_or(key).to_ascii_lowercase();
    if keys.iter().any(|key| is_bundler(&name(key))) {
        return keys.into_iter().map(|key| (key, true)).collect();
    }
    // A target has one version of each name.
    let by_name: HashMap<String, usize> = keys.iter().enumerate().map(|(index, key)| (name(key), index)).collect();
    let mut parents: Vec<Vec<usize>> = vec![Vec::new(); keys.len()];
    for (index, entry) in target.values().enumerate() {
        for dependency in entry.dependencies.keys() {
            if let Some(dependency) = by_name.get(&dependency.to_ascii_lowercase()) {
                parents[*dependency].push(index);
            }
        }
    }
    let mut present: Vec<bool> = target.values().map(Entry::brings).collect();
    let mut open: Vec<usize> = (0..keys.len()).filter(|&index| present[index]).collect();
    while let Some(index) = open.pop() {
        for parent in std::mem::take(&mut parents[index]) {
            if !std::mem::replace(&mut present[parent], true) {
                open.push(parent);
            }
        }
    }
    // What it brings for other platforms is there, too, but says nothing of those that ask for it: runtimes of
    // .NET Core 1 asked for everything.
    for (present, entry) in present.iter_mut().zip(target.values()) {
        *present |= brings(&entry.runtime_targets);
    }
    keys.into_iter().zip(present).collect()
}

fn is_bundler(name: &str) -> bool {
    ["ilrepack", "ilmerge", "costura.fody"].iter().any(|bundler| name.contains(bundler))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> Vec<Package> {
        let file = File { path: "srv/app/Quux.deps.json", size: text.len() as u64, executable: false };
        let mut findings = Findings::default();
        DotnetDeps.catalog(&file, &mut Contents::held(text.as_bytes()), &mut findings).expect("is well-formed");
        findings.packages().to_vec()
    }

    /// Evidence, name and version, one a line; `-` is declared.
    fn list(text: &str) -> Vec<String> {
        read(text)
            .iter()
            .map(|package| {
                let mark = if package.evidence == Evidence::Installed { '+' } else { '-' };
                format!("{mark}{} {}", package.name, package.version)
            })
            .collect()
    }

    const QUUX: &str = r#"{
        "runtimeTarget": {"name": ".NETCoreApp,Version=v8.0/linux-x64", "signature": ""},
        "targets": {
            ".NETCoreApp,Version=v8.0": {},
            ".NETCoreApp,Version=v8.0/linux-x64": {
                "Quux/1.2.0": {
                    "dependencies": {
                        "Acme.All": "3.0.0", "runtimepack.Microsoft.NETCore.App.Runtime.linux-x64": "8.0.4"
                    },
                    "runtime": {"Quux.dll": {}}
                },
                "Acme.All/3.0.0": {"dependencies": {"acme.core": "3.0.0"}},
                "Acme.Core/3.0.1": {
                    "dependencies": {"System.Old": "4.3.0"},
                    "runtime": {"lib/net8.0/Acme.Core.dll": {"assemblyVersion": "3.0.0.0"}},
                    "native": {"runtimes/linux-x64/native/libacme.so": {}},
                    "resources": {"lib/net8.0/de/Acme.Core.resources.dll": {"locale": "de"}}
                },
                "Acme.Moved/1.0.0": {"runtime": {"lib/net8.0/Moved.dll": {"localPath": "sub/Moved.dll"}}},
                "Acme.Win/1.0.0": {"runtimeTargets": {"runtimes/win/lib/net8.0/W.dll": {"rid": "win"}}},
                "Acme.Asks/1.0.0": {"dependencies": {"Acme.Win": "1.0.0"}},
                "System.Old/4.3.0": {},
                "System.Placeholder/4.3.0": {"compile": {"lib/netstandard1.0/_._": {}}},
                "runtimepack.Microsoft.NETCore.App.Runtime.linux-x64/8.0.4": {"runtime": {"System.Runtime.dll": {}}},
                "Local/1.0.0.0": {"runtime": {"Local.dll": {}}}
            }
        },
        "libraries": {
            "Quux/1.2.0": {"type": "project", "serviceable": false},
            "Acme.All/3.0.0": {"type": "package"},
            "Acme.Core/3.0.1": {"type": "Package", "sha512": "sha512-x", "path": "acme.core/3.0.1"},
            "Acme.Moved/1.0.0": {"type": "package"},
            "Acme.Win/1.0.0": {"type": "package"},
            "Acme.Asks/1.0.0": {"type": "package"},
            "Acme.Unlisted/9.0.0": {"type": "package"},
            "System.Old/4.3.0": {"type": "package"},
            "System.Placeholder/4.3.0": {"type": "package"},
            "runtimepack.Microsoft.NETCore.App.Runtime.linux-x64/8.0.4": {"type": "runtimepack"},
            "Local/1.0.0.0": {"type": "reference"},
            "Microsoft.AspNetCore/8.0.0.0": {"type": "referenceassembly"},
            "NoVersion": {"type": "package"}, "/1": {"type": "package"}, "A/1/2": {"type": "package"}, "B/1": {}
        }
    }"#;

    #[test]
    fn what_brings_files_is_there() {
        assert_eq!(
            list(QUUX),
            [
                "+Acme.All 3.0.0",
                "-Acme.Asks 1.0.0",
                "+Acme.Core 3.0.1",
                "+Acme.Moved 1.0.0",
                "+Acme.Unlisted 9.0.0",
                "+Acme.Win 1.0.0",
                "+Quux 1.2.0",
                "-System.Old 4.3.0",
                "-System.Placeholder 4.3.0",
                "+Microsoft.NETCore.App.Runtime.linux-x64 8.0.4",
            ]
        );
    }

    #[test]
    fn dependencies_are_kept() {
        let packages = read(QUUX);
        let requires = |name: &str| {
            let package = packages.iter().find(|package| package.name == name).expect("is there");
            package.requires.iter().map(|required| required.name.as_str()).collect::<Vec<_>>()
        };
        assert_eq!(requires("Quux"), ["Acme.All", "Microsoft.NETCore.App.Runtime.linux-x64"]);
        assert_eq!(requires("Acme.All"), ["acme.core"]);
        assert_eq!(requires("Acme.Unlisted"), [""; 0]);
    }

    #[test]
    fn files_are_where_the_host_looks() {
        let files = |name: &str| read(QUUX).into_iter().find(|package| package.name == name).unwrap().files;
        assert_eq!(
            files("Acme.Core"),
            ["srv/app/Acme.Core.dll", "srv/app/libacme.so", "srv/app/de/Acme.Core.resources.dll"]
        );
        assert_eq!(files("Acme.Moved"), ["srv/app/sub/Moved.dll"]);
        assert_eq!(files("Acme.Win"), ["srv/app/runtimes/win/lib/net8.0/W.dll"]);
        assert_eq!(files("System.Placeholder"), [""; 0]);
        let mut findings = Findings::default();
        super::read(QUUX, None, &mut findings).unwrap();
        assert!(findings.packages().iter().all(|package| package.files.is_empty()), "a bundle holds its files");
    }

    #[test]
    fn without_a_target_all_is_there() {
        let libraries = r#""libraries": {"A/1": {"type": "package"}, "B/2": {"type": "project"}}"#;
        for head in [
            r#""runtimeTarget": "x""#,
            r#""runtimeTarget": {"name": "x"}, "targets": {"y": {"A/1": {}}}"#,
            r#""x": [1]"#,
        ] {
            assert_eq!(list(&format!("{{{head}, {libraries}}}")), ["+A 1", "+B 2"], "{head}");
        }
        assert_eq!(
            list(&format!(r#"{{"runtimeTarget": "x", "targets": {{"x": {{"A/1": {{}}}}}}, {libraries}}}"#)),
            ["-A 1", "+B 2"]
        );
        assert_eq!(list("{}"), [""; 0]);
    }

    #[test]
    fn bundlers_leave_no_assets() {
        let text = r#"{"runtimeTarget": "x", "targets": {"x": {"A/1": {}, "ILRepack.Lib/2": {}}},
            "libraries": {"A/1": {"type": "package"}, "ILRepack.Lib/2": {"type": "package"}}}"#;
        assert_eq!(list(text), ["+A 1", "+ILRepack.Lib 2"]);
    }

    #[test]
    fn runtimes_have_a_cpe() {
        let check = |name: &str, version: &str, product: Option<&str>| {
            let release = version.split('-').next().unwrap();
            let expected = product.map(|product| format!("cpe:2.3:a:microsoft:{product}:{release}:*:*:*:*:*:*:*"));
            assert_eq!(runtime_cpe(name, version), expected, "{name} {version}");
        };
        check("Microsoft.NETCore.App.Runtime.linux-x64", "10.0.4", Some(".net"));
        check("Microsoft.AspNetCore.App.Runtime.linux-x64", "10.0.4", Some("asp.net_core"));
        check("Microsoft.NETCore.App", "3.1.2", Some(".net_core"));
        check("runtime.linux-x64.Microsoft.NETCore.App", "2.2.8", Some(".net_core"));
        check("runtime.linux-x64.Microsoft.NETCore.App", "3.1.23-servicing.22122.4", Some(".net_core"));
        check("Microsoft.NETCore.App", "9.0.0-rc.1", None);
        check("Microsoft.NETCore.Application", "9.0.0", None);
        check("Newtonsoft.Json", "13.0.1", None);
    }

    #[test]
    fn broken_documents_are_problems() {
        for text in ["", "1", "{\"libraries\": 1}", &QUUX[..400]] {
            let file = File { path: "a.deps.json", size: text.len() as u64, executable: false };
            let problem =
                DotnetDeps.catalog(&file, &mut Contents::held(text.as_bytes()), &mut Findings::default()).unwrap_err();
            assert!(problem.to_string().starts_with("deps.json: "), "{text}: {problem}");
        }
    }

    #[test]
    fn owned_paths_are_bounded() {
        let assets: Vec<String> = (0..4000).map(|n| format!("\"{n}.dll\": {{}}")).collect();
        let text = format!(
            r#"{{"runtimeTarget": "x", "targets": {{"x": {{"A/1": {{"runtime": {{{}}}}}}}}},
            "libraries": {{"A/1": {{"type": "package"}}}}}}"#,
            assets.join(",")
        );
        let mut findings = Findings::default();
        super::read(&text, Some(&"d".repeat(16 << 10)), &mut findings).unwrap();
        let bytes: usize = findings.packages()[0].files.iter().map(String::len).sum();
        assert!(bytes <= MOST_PATH_BYTES && bytes > MOST_PATH_BYTES / 2, "{bytes}");
    }

    proptest! {
        #[test]
        fn mutations_never_panic(at in 0..QUUX.len(), byte: u8, cut in 0..QUUX.len()) {
            let mut text = QUUX.as_bytes().to_vec();
            text[at] = byte;
            text.truncate(cut);
            let file = File { path: "a.deps.json", size: 0, executable: false };
            _ = DotnetDeps.catalog(&file, &mut Contents::held(&text), &mut Findings::default());
        }
    }
}
