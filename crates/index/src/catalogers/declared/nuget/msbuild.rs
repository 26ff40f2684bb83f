//! MSBuild's projects and the older `packages.config`, which are XML.
//!
//! | Element | |
//! | --- | --- |
//! | `PropertyGroup`, each within it | a property; `$(Name)` stands for it |
//! | `ItemGroup`: `PackageReference`, `PackageVersion`, `GlobalPackageReference` | `Include` or `Update` is the name |
//! | `Version`, `VersionOverride`, `PrivateAssets` | attributes of these, or elements in them |
//! | `packages`: `package` | `id`, `version`, `developmentDependency` |
//!
//! Imports are not followed and conditions not evaluated: a version that another file says is not known, and such a
//! package is left out. What is private to the project (`PrivateAssets="all"`: analyzers, test hosts) or asked for
//! by a condition on `Debug` is for development. NuGet restores the lowest version that a range allows, so that is
//! its version; a floating one (`3.2.*`) is kept as it is written.

use std::collections::HashMap;

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

use super::{LONGEST_TEXT, package};
use crate::catalogers::check_count;
use crate::package::Package;
use crate::{Findings, Problem};

/// How deep elements may lie in each other; projects have six levels.
const DEEPEST: usize = 64;

/// Attributes of one element; parsers have been stalled by hundreds of thousands.
const MOST_ATTRIBUTES: usize = 64;

/// Properties of one project.
const MOST_PROPERTIES: usize = 10_000;

/// How often properties are replaced within properties.
const MOST_ROUNDS: usize = 8;

#[derive(Default)]
struct Item {
    name: String,
    version: String,
    dev: bool,
}

pub(super) fn read(text: &str, findings: &mut Findings) -> Result<(), Problem> {
    let mut reader = Reader::from_str(text);
    reader.config_mut().expand_empty_elements = true;
    let mut open: Vec<String> = Vec::new();
    let mut properties: HashMap<String, String> = HashMap::new();
    let mut items: Vec<Item> = Vec::new();
    let mut value = String::new();
    let problem = loop {
        let event = match reader.read_event() {
            Ok(event) => event,
            Err(error) => break Some(Problem::malformed(format!("XML: {error}"))),
        };
        match event {
            Event::Start(element) => {
                if open.len() >= DEEPEST {
                    break Some(Problem::malformed(format!("XML: nested deeper than {DEEPEST}")));
                }
                value.clear();
                let parent = open.last().map_or("", String::as_str);
                let name = element.local_name().as_ref().to_ascii_lowercase();
                if parent == "itemgroup" && is_reference(&name) || parent == "packages" && name == "package" {
                    items.push(item(&element, &name));
                }
                open.push(name);
            }
            Event::Text(part) => append(&mut value, &part.xml10_content()),
            Event::CData(part) => append(&mut value, &part.xml10_content()),
            Event::End(_) => {
                let name = open.pop().unwrap_or_default();
                let text = value.trim();
                match &open[..] {
                    [.., parent]
                        if parent == "propertygroup" && properties.len() < MOST_PROPERTIES && !text.is_empty() =>
                    {
                        properties.insert(name, text.to_owned());
                    }
                    [.., group, parent] if group == "itemgroup" && is_reference(parent) => {
                        if let Some(item) = items.last_mut() {
                            item.set(&name, text);
                        }
                    }
                    _ => {}
                }
                value.clear();
            }
            Event::Eof => break None,
            _ => {}
        }
    };
    for item in items {
        let resolve = |text: &str| resolve(text, &properties);
        let (Some(name), Some(version)) = (resolve(&item.name), resolve(&item.version)) else { continue };
        let version = lowest(&version);
        if !version.is_empty() {
            check_count(findings)?;
            findings.package(Package { dev: item.dev, ..package(&name, version) });
        }
    }
    problem.map_or(Ok(()), Err)
}

fn is_reference(name: &str) -> bool {
    matches!(name, "packagereference" | "packageversion" | "globalpackagereference")
}

fn append(value: &mut String, part: &str) {
    if value.len() + part.len() <= LONGEST_TEXT {
        value.push_str(part);
    }
}

fn item(element: &BytesStart<'_>, name: &str) -> Item {
    let mut item = Item { dev: name == "globalpackagereference", ..Item::default() };
    // The check for repeated attributes would compare each with all.
    for attribute in element.attributes().with_checks(false).flatten().take(MOST_ATTRIBUTES) {
        let key = attribute.key.local_name().as_ref().to_ascii_lowercase();
        if let Ok(value) = attribute.normalized_value(quick_xml::XmlVersion::Implicit1_0) {
            item.set(&key, &value);
        }
    }
    item
}

impl Item {
    fn set(&mut self, key: &str, value: &str) {
        let value = value.trim();
        match key {
            "include" | "id" => self.name = value.to_owned(),
            "update" if self.name.is_empty() => self.name = value.to_owned(),
            "version" if self.version.is_empty() => self.version = value.to_owned(),
            "versionoverride" => self.version = value.to_owned(),
            "privateassets" => self.dev |= value.eq_ignore_ascii_case("all"),
            "developmentdependency" => self.dev |= value.eq_ignore_ascii_case("true"),
            "condition" => {
                let value = value.to_ascii_lowercase();
                self.dev |= value.contains("debug") && !value.contains("release") && !value.contains("!=");
            }
            _ => {}
        }
    }
}

/// The text with its properties filled in; `None` if one is not known.
fn resolve(text: &str, properties: &HashMap<String, String>) -> Option<String> {
    let mut text = text.to_owned();
    for _ in 0..MOST_ROUNDS {
        let Some(start) = text.find("$(") else { return Some(text) };
        let end = start + text[start..].find(')')?;
        let value = properties.get(&text[start + 2..end].to_ascii_lowercase())?;
        text.replace_range(start..=end, value);
        if text.len() > LONGEST_TEXT {
            return None;
        }
    }
    None
}

/// `1.2.3` of `[1.2.3]`, `[1.2.3, 2.0)` and `1.2.3`; nothing of `(, 2.0]`.
/// <https://learn.microsoft.com/nuget/concepts/package-versioning#version-ranges>
fn lowest(version: &str) -> &str {
    match version.trim().strip_prefix(['[', '(']) {
        Some(range) => range.split([',', ']', ')']).next().unwrap_or_default().trim(),
        None => version,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::tests::list;

    const PROJECT: &str = r#"<?xml version="1.0" encoding="utf-8"?>
<!DOCTYPE x [<!ENTITY a "aaa"><!ENTITY b "&a;&a;">]>
<Project Sdk="Microsoft.NET.Sdk" xmlns="http://schemas.microsoft.com/developer/msbuild/2003">
  <PropertyGroup Condition="x"><AcmeVersion>3.2.*</AcmeVersion><Whole>$(acmeversion)</Whole><Loop>$(Loop)</Loop></PropertyGroup>
  <ItemGroup>
    <PackageReference Include="Acme.Core" Version="13.0.3" />
    <packagereference Include=" Acme.Child "><Version> 2.0.0 </Version><PrivateAssets>All</PrivateAssets></packagereference>
    <PackageReference Include="Acme.Property" Version="$(Whole)" />
    <PackageReference Include="Acme.Unknown" Version="$(Unknown)" />
    <PackageReference Include="Acme.Loop" Version="$(Loop)" />
    <PackageReference Include="Acme.Range" Version="[1.0, 2.0)" />
    <PackageReference Include="Acme.Exact" Version="[1.0.1]" />
    <PackageReference Include="Acme.Below" Version="(, 2.0]" />
    <PackageReference Include="Acme.Central" />
    <PackageReference Include="Acme.Debug" Version="1" Condition="'$(Configuration)' == 'Debug'" />
    <PackageReference Version="1.0.0" />
    <ProjectReference Include="../x.csproj" Version="1" />
  </ItemGroup>
  <Choose><When><ItemGroup><PackageReference Include="Acme.When" Version="&#49;.0" /></ItemGroup></When></Choose>
  <Target><PackageReference Include="Elsewhere" Version="1"><PrivateAssets>all</PrivateAssets></PackageReference></Target>
</Project>"#;

    #[test]
    fn projects() {
        let expected = [
            "nuget Acme.Core 13.0.3",
            "nuget Acme.Child 2.0.0 dev",
            "nuget Acme.Property 3.2.*",
            "nuget Acme.Range 1.0",
            "nuget Acme.Exact 1.0.1",
            "nuget Acme.Debug 1 dev",
            "nuget Acme.When 1.0",
        ];
        for path in ["app/Quux.csproj", "app/Quux.fsproj", "app/Quux.vbproj", "app/Directory.Build.props"] {
            assert_eq!(list(path, PROJECT).unwrap(), expected, "{path}");
        }
    }

    #[test]
    fn central_versions() {
        let text = r#"<Project><ItemGroup>
            <PackageVersion Include="Acme.Core" Version="1.0" />
            <PackageVersion Update="Acme.Old" Version="2.0" />
            <GlobalPackageReference Include="Acme.Everywhere" Version="3.0" />
            <PackageVersion Include="$(Name)" Version="3.0" />
            </ItemGroup></Project>"#;
        let expected = ["nuget Acme.Core 1.0", "nuget Acme.Old 2.0", "nuget Acme.Everywhere 3.0 dev"];
        for path in ["Directory.Packages.props", "x/packages.props", "x/Acme.Packages.props"] {
            assert_eq!(list(path, text).unwrap(), expected, "{path}");
        }
    }

    #[test]
    fn packages_config() {
        let text = r#"<packages><package id="Acme.Core" version="1.0.0" targetFramework="net46" />
            <package version="1.0.0" /><package id="NoVersion" />
            <package id="Acme.Test" version="2.0" developmentDependency="true" /></packages>"#;
        assert_eq!(list("app/packages.config", text).unwrap(), ["nuget Acme.Core 1.0.0", "nuget Acme.Test 2.0 dev"]);
    }

    #[test]
    fn what_is_broken_keeps_what_came_before() {
        let mut findings = crate::Findings::default();
        let text = "<Project><ItemGroup><PackageReference Include='A' Version='1'/><PackageReference Include='B'";
        assert!(super::read(text, &mut findings).is_err());
        assert_eq!(findings.packages().len(), 1);
        assert_eq!(list("a.csproj", "").unwrap(), [""; 0]);
        assert!(list("a.csproj", &"<a>".repeat(100_000)).unwrap_err().to_string().contains("deeper than"));
    }

    #[test]
    fn many_attributes_are_no_work() {
        let attributes: Vec<String> = (0..200_000).map(|n| format!("a{n}=''")).collect();
        let text = format!("<packages><package id='A' version='1' {}/></packages>", attributes.join(" "));
        assert_eq!(list("packages.config", &text).unwrap(), ["nuget A 1"]);
    }

    proptest! {
        #[test]
        fn mutations_never_panic(at in 0..PROJECT.len(), byte: u8, cut in 0..PROJECT.len()) {
            let mut text = PROJECT.as_bytes().to_vec();
            text[at] = byte;
            text.truncate(cut);
            _ = list("a.csproj", &String::from_utf8_lossy(&text));
        }
    }
}
