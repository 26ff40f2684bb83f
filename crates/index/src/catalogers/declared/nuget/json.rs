//! NuGet's JSON documents.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Deserialize;

use super::package;
use crate::catalogers::check_count;
use crate::package::{Evidence, Package};
use crate::{Findings, Problem};

fn parse<'a, T: Deserialize<'a>>(text: &'a str, name: &str) -> Result<T, Problem> {
    serde_json::from_str(text).map_err(|error| Problem::malformed(format!("{name}: {error}")))
}

#[derive(Deserialize)]
struct Lock<'a> {
    #[serde(borrow, default)]
    dependencies: BTreeMap<Cow<'a, str>, BTreeMap<Cow<'a, str>, Locked<'a>>>,
}

#[derive(Deserialize)]
struct Locked<'a> {
    #[serde(borrow, rename = "type", default)]
    kind: Cow<'a, str>,
    #[serde(borrow, default)]
    resolved: Cow<'a, str>,
}

/// `packages.lock.json`. A package that several frameworks need is told once for each.
pub(super) fn lock(text: &str, findings: &mut Findings) -> Result<(), Problem> {
    let lock: Lock<'_> = parse(text, "packages.lock.json")?;
    for (name, locked) in lock.dependencies.values().flatten() {
        if !locked.kind.eq_ignore_ascii_case("project") && !locked.resolved.is_empty() {
            check_count(findings)?;
            findings.package(package(name, &locked.resolved));
        }
    }
    Ok(())
}

#[derive(Deserialize)]
struct Assets<'a> {
    #[serde(borrow, default)]
    libraries: BTreeMap<Cow<'a, str>, Library<'a>>,
}

#[derive(Deserialize)]
struct Library<'a> {
    #[serde(borrow, rename = "type", default)]
    kind: Cow<'a, str>,
}

/// `project.assets.json`, what the last restore resolved.
pub(super) fn assets(text: &str, findings: &mut Findings) -> Result<(), Problem> {
    let assets: Assets<'_> = parse(text, "project.assets.json")?;
    for (key, library) in &assets.libraries {
        if let Some((name, version)) = key.split_once('/').filter(|_| library.kind == "package") {
            check_count(findings)?;
            findings.package(package(name, version));
        }
    }
    Ok(())
}

#[derive(Deserialize)]
struct Tools<'a> {
    #[serde(borrow, default)]
    tools: BTreeMap<Cow<'a, str>, Tool<'a>>,
}

#[derive(Deserialize)]
struct Tool<'a> {
    #[serde(borrow, default)]
    version: Cow<'a, str>,
}

/// `dotnet-tools.json`.
pub(super) fn tools(text: &str, findings: &mut Findings) -> Result<(), Problem> {
    let tools: Tools<'_> = parse(text, "dotnet-tools.json")?;
    for (name, tool) in &tools.tools {
        check_count(findings)?;
        findings.package(package(name, &tool.version));
    }
    Ok(())
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Libman<'a> {
    #[serde(borrow, default)]
    default_provider: Cow<'a, str>,
    #[serde(borrow, default)]
    libraries: Vec<LibmanLibrary<'a>>,
}

#[derive(Deserialize)]
struct LibmanLibrary<'a> {
    #[serde(borrow, default)]
    library: Cow<'a, str>,
    #[serde(borrow, default)]
    provider: Option<Cow<'a, str>>,
}

/// `libman.json`: <https://learn.microsoft.com/aspnet/core/client-side/libman/>. Its providers serve npm's packages,
/// but for the one that copies files.
pub(super) fn libman(text: &str, findings: &mut Findings) -> Result<(), Problem> {
    let libman: Libman<'_> = parse(text, "libman.json")?;
    for LibmanLibrary { library, provider } in &libman.libraries {
        let provider = provider.as_ref().unwrap_or(&libman.default_provider);
        let Some((name, version)) = library.rsplit_once('@').filter(|_| provider != "filesystem") else { continue };
        let (scope, name) = match name.split_once('/') {
            Some((scope, name)) => (Some(scope.to_owned()), name),
            None => (None, name),
        };
        let package = package(name, version);
        if !package.name.is_empty() && !version.is_empty() {
            check_count(findings)?;
            findings.package(Package {
                kind: "npm".to_owned(),
                namespace: scope,
                evidence: Evidence::Declared,
                ..package
            });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::tests::list;

    const LOCK: &str = r#"{"version": 2, "dependencies": {
        "net6.0": {
            "Acme.Core": {"type": "Direct", "requested": "[2.0.0, )", "resolved": "2.0.1", "contentHash": "x"},
            "acme.app": {"type": "Project", "dependencies": {"Acme.Core": "[2.0.0, )"}},
            "Acme.Base": {"type": "CentralTransitive", "resolved": "1.0.0-rc.1"}
        },
        "net6.0/linux-x64": {"Acme.Core": {"type": "Direct", "resolved": "2.0.1"}, "None": {"type": "Transitive"}}
    }}"#;

    #[test]
    fn lock_files() {
        let expected = ["nuget Acme.Base 1.0.0-rc.1", "nuget Acme.Core 2.0.1", "nuget Acme.Core 2.0.1"];
        assert_eq!(list("app/packages.lock.json", LOCK).unwrap(), expected);
        assert_eq!(list("app/packages.lock.json", "{}").unwrap(), [""; 0]);
        let problem = list("app/packages.lock.json", "{\"dependencies\": 1}").unwrap_err().to_string();
        assert!(problem.starts_with("packages.lock.json: "), "{problem}");
    }

    #[test]
    fn assets() {
        let text = r#"{"version": 3, "targets": {"net8.0": {"Other/1": {"type": "package"}}}, "libraries": {
            "Acme.Core/2.0.1": {"sha512": "x", "type": "package", "files": ["a"]},
            "acme.app/1.0.0": {"type": "project", "path": "../x.csproj"}, "None": {"type": "package"}}}"#;
        assert_eq!(list("app/obj/project.assets.json", text).unwrap(), ["nuget Acme.Core 2.0.1"]);
        assert!(list("app/obj/project.assets.json", "").is_err());
    }

    #[test]
    fn tools() {
        let text = r#"{"version": 1, "isRoot": true, "tools": {"dotnet-ef": {"version": "8.0.1", "commands": ["dotnet-ef"]}}}"#;
        assert_eq!(list("app/.config/dotnet-tools.json", text).unwrap(), ["nuget dotnet-ef 8.0.1"]);
    }

    #[test]
    fn client_side_libraries() {
        let text = r#"{"version": "1.0", "defaultProvider": "cdnjs", "libraries": [
            {"library": "jquery@3.3.1", "destination": "wwwroot/lib"}, {"library": "@acme/quux@1.0.0", "provider": "unpkg"},
            {"library": "vendor/x@1", "provider": "filesystem"}, {"library": "none"}, {"library": "empty@"}]}"#;
        assert_eq!(list("app/libman.json", text).unwrap(), ["npm jquery 3.3.1", "npm @acme/quux 1.0.0"]);
    }

    proptest! {
        #[test]
        fn mutations_never_panic(at in 0..LOCK.len(), byte: u8, cut in 0..LOCK.len()) {
            let mut text = LOCK.as_bytes().to_vec();
            text[at] = byte;
            text.truncate(cut);
            _ = list("packages.lock.json", &String::from_utf8_lossy(&text));
        }
    }
}
