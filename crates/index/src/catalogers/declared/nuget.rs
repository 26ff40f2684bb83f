//! NuGet packages that lock files and projects name.
//!
//! | File | Read by | What counts |
//! | --- | --- | --- |
//! | `packages.lock.json` | [`json`] | `dependencies`: framework: name: `resolved`, unless its `type` is `Project` |
//! | `project.assets.json` | [`json`] | `libraries`: `name/version` of `type` `package` |
//! | `dotnet-tools.json` | [`json`] | `tools`: name: `version` |
//! | `libman.json` | [`json`] | `libraries`: `library`, `name@version` of npm or a mirror of it |
//! | `packages.config` | [`msbuild`] | `package`: `id`, `version` |
//! | `*.csproj`, `*.fsproj`, `*.vbproj` | [`msbuild`] | `PackageReference` with a version |
//! | `Directory.Packages.props`, `*packages.props`, `Directory.Build.props` | [`msbuild`] | `PackageVersion` and the like |
//! | `paket.lock`, `paket.dependencies` | [`paket`] | packages of NuGet, repositories of GitHub |
//!
//! Sources of the formats: <https://learn.microsoft.com/nuget/consume-packages/package-references-in-project-files>,
//! <https://learn.microsoft.com/nuget/reference/packages-config>, <https://fsprojects.github.io/Paket/lock-file.html>.

mod json;
mod msbuild;
mod paket;

use crate::package::{Evidence, Package};
use crate::{Cataloger, Contents, File, Findings, Interest, Problem};

/// Bytes of a document. The largest, `project.assets.json` of large solutions, have about 5 MiB.
const LONGEST_DOCUMENT: usize = 8 << 20;

/// NuGet allows 100 characters for a name; versions are shorter.
const LONGEST_TEXT: usize = 256;

/// Reads NuGet's and Paket's lock files and projects.
#[derive(Debug)]
pub(super) struct Nuget;

impl Cataloger for Nuget {
    fn name(&self) -> &'static str {
        "nuget"
    }

    fn version(&self) -> u32 {
        1
    }

    fn interest(&self) -> Interest {
        Interest::new()
            .path("**/packages.lock.json")
            .path("**/project.assets.json")
            .path("**/dotnet-tools.json")
            .path("**/libman.json")
            .path_in_any_case("**/packages.config")
            .path_in_any_case("**/*packages.props")
            .path_in_any_case("**/directory.build.props")
            .path("**/*.csproj")
            .path("**/*.fsproj")
            .path("**/*.vbproj")
            .path("**/paket.lock")
            .path("**/paket.dependencies")
    }

    fn catalog(&self, file: &File<'_>, contents: &mut Contents<'_>, findings: &mut Findings) -> Result<(), Problem> {
        let text = contents.text()?;
        if text.len() > LONGEST_DOCUMENT {
            return Err(Problem::TooLarge { size: file.size, limit: LONGEST_DOCUMENT as u64 });
        }
        match file.name() {
            "packages.lock.json" => json::lock(&text, findings),
            "project.assets.json" => json::assets(&text, findings),
            "dotnet-tools.json" => json::tools(&text, findings),
            "libman.json" => json::libman(&text, findings),
            "paket.lock" => paket::lock(&text, findings),
            "paket.dependencies" => paket::dependencies(&text, findings),
            _ => msbuild::read(&text, findings),
        }
    }
}

/// A package of NuGet, or one without a name (which is dropped) if this can be none.
fn package(name: &str, version: &str) -> Package {
    let (name, version) = (name.trim(), version.trim());
    let usable =
        |text: &str| text.len() <= LONGEST_TEXT && !text.contains(|c: char| c.is_whitespace() || "/\\$%<>".contains(c));
    if !usable(name) || !usable(version) {
        return Package::default();
    }
    Package {
        kind: "nuget".to_owned(),
        name: name.to_owned(),
        version: version.to_owned(),
        evidence: Evidence::Declared,
        ..Package::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Kind, name and version, `dev` if it is for development; one a line.
    pub(super) fn list(path: &str, text: &str) -> Result<Vec<String>, Problem> {
        let file = File { path, size: text.len() as u64, executable: false };
        let mut findings = Findings::default();
        Nuget.catalog(&file, &mut Contents::held(text.as_bytes()), &mut findings)?;
        assert!(findings.packages().iter().all(|package| package.evidence == Evidence::Declared));
        Ok(findings
            .packages()
            .iter()
            .map(|package| {
                let namespace = package.namespace.as_ref().map(|namespace| format!("{namespace}/")).unwrap_or_default();
                let dev = if package.dev { " dev" } else { "" };
                format!("{} {namespace}{} {}{dev}", package.kind, package.name, package.version)
            })
            .collect())
    }

    #[test]
    fn names_and_versions_are_checked() {
        assert_eq!(package(" A ", " 1 ").name, "A");
        for (name, version) in [("$(A)", "1"), ("A", "$(B)"), ("A B", "1"), ("A", "@(x)%"), ("", "1"), ("a/b", "1")] {
            assert_eq!(package(name, version).name, "", "{name} {version}");
        }
        assert_eq!(package(&"x".repeat(LONGEST_TEXT + 1), "1").name, "");
    }
}
