//! `pom.properties` and `pom.xml`.
//!
//! | File | Source of the format |
//! | --- | --- |
//! | `pom.properties` | Maven Archiver writes `groupId`, `artifactId` and `version`; the grammar is that of `java.util.Properties.load` |
//! | `pom.xml` | <https://maven.apache.org/pom.html>, <https://maven.apache.org/xsd/maven-4.0.0.xsd> |
//!
//! Of the XML only elements and their text are read: no document type, no entities but the predefined ones, no
//! attributes. Properties refer to each other; how deep and how long is bounded.

use std::collections::HashMap;

use quick_xml::Reader;
use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::Event;

/// Bytes of a name, a version or a property. Maven's longest coordinates have some hundred.
const LONGEST_VALUE: usize = 512;

/// Bytes of one element's text that are kept: descriptions are cut.
const LONGEST_TEXT: usize = 2048;

/// Elements within each other; Maven's model has about twelve.
const DEEPEST_XML: usize = 64;

/// Dependencies, managed dependencies and properties of one file, each.
const MOST_ITEMS: usize = 20_000;

/// References that are followed for one value, those within properties counted.
const MOST_REFERENCES: u32 = 64;

/// What names an artifact. Empty where the file does not say.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(in crate::catalogers) struct Coordinates {
    pub(in crate::catalogers) group: String,
    pub(in crate::catalogers) artifact: String,
    pub(in crate::catalogers) version: String,
}

/// Reads `pom.properties`.
pub(super) fn properties(bytes: &[u8]) -> Coordinates {
    let text = String::from_utf8_lossy(bytes);
    let mut found = Coordinates::default();
    for line in text.lines() {
        let line = line.trim();
        if line.starts_with(['#', '!']) {
            continue;
        }
        let Some(end) = line.find(['=', ':', ' ', '\t']) else { continue };
        let field = match &line[..end] {
            "groupId" => &mut found.group,
            "artifactId" => &mut found.artifact,
            "version" => &mut found.version,
            _ => continue,
        };
        let value = line[end..].trim_start().trim_start_matches(['=', ':']).trim();
        if value.len() <= LONGEST_VALUE {
            *field = value.to_owned();
        }
    }
    found
}

/// A project.
#[derive(Debug, Default)]
pub(in crate::catalogers) struct Pom {
    /// The root element is a project's.
    pub(in crate::catalogers) is_project: bool,
    own: Coordinates,
    parent: Coordinates,
    parts: Parts,
    pub(in crate::catalogers) licenses: Vec<String>,
    pub(in crate::catalogers) description: String,
    pub(in crate::catalogers) url: String,
}

/// What a project and each of its profiles have.
#[derive(Debug, Default)]
struct Parts {
    properties: HashMap<String, String>,
    dependencies: Vec<Dependency>,
    managed: Vec<Dependency>,
}

impl Parts {
    /// `path` from the project or the profile; `dependency` is the one that is open.
    fn element(&mut self, path: &str, text: &str, dependency: &mut Dependency) {
        if let Some(name) = path.strip_prefix("properties/") {
            if self.properties.len() < MOST_ITEMS {
                self.properties.insert(name.to_owned(), short(text));
            }
            return;
        }
        let (list, field) = if let Some(field) = path.strip_prefix("dependencies/dependency") {
            (&mut self.dependencies, field)
        } else if let Some(field) = path.strip_prefix("dependencyManagement/dependencies/dependency") {
            (&mut self.managed, field)
        } else {
            return;
        };
        match field {
            "/groupId" => dependency.coordinates.group = short(text),
            "/artifactId" => dependency.coordinates.artifact = short(text),
            "/version" => dependency.coordinates.version = short(text),
            "/scope" => dependency.scope = short(text),
            "" => {
                let whole = std::mem::take(dependency);
                if list.len() < MOST_ITEMS {
                    list.push(whole);
                }
            }
            _ => {}
        }
    }

    fn add(&mut self, profile: Self) {
        self.properties.extend(profile.properties);
        self.dependencies.extend(profile.dependencies);
        self.managed.extend(profile.managed);
    }
}

/// A dependency, as it is written.
#[derive(Clone, Debug, Default)]
struct Dependency {
    coordinates: Coordinates,
    scope: String,
}

/// A dependency with its properties filled in.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::catalogers) struct Resolved {
    pub(in crate::catalogers) coordinates: Coordinates,
    /// `compile` where nothing else is said.
    pub(in crate::catalogers) scope: String,
}

impl Pom {
    /// Reads a `pom.xml`: as far as it is well-formed, with the reason if it is not.
    pub(in crate::catalogers) fn parse(text: &str) -> (Self, Option<String>) {
        let mut pom = Self::default();
        let mut dependency = Dependency::default();
        let mut license = (String::new(), String::new());
        let (mut profile, mut active) = (Parts::default(), false);
        let result = elements(text, &mut |path, text| {
            pom.is_project |= path.starts_with("/project");
            let project = path.strip_prefix("/project/")?;
            if let Some(part) = project.strip_prefix("profiles/profile") {
                match part {
                    "/activation/activeByDefault" => active = text == "true",
                    "" => {
                        let profile = std::mem::take(&mut profile);
                        if std::mem::take(&mut active) {
                            pom.parts.add(profile);
                        }
                    }
                    _ => profile.element(part.strip_prefix('/')?, text, &mut dependency),
                }
                return None;
            }
            match project {
                "groupId" => pom.own.group = short(text),
                "artifactId" => pom.own.artifact = short(text),
                "version" => pom.own.version = short(text),
                "parent/groupId" => pom.parent.group = short(text),
                "parent/artifactId" => pom.parent.artifact = short(text),
                "parent/version" => pom.parent.version = short(text),
                "description" => pom.description = text.split_whitespace().collect::<Vec<_>>().join(" "),
                "url" => pom.url = short(text),
                "licenses/license/name" => license.0 = short(text),
                "licenses/license/url" => license.1 = short(text),
                "licenses/license" => {
                    let (name, url) = std::mem::take(&mut license);
                    let license = if name.is_empty() { url } else { name };
                    if !license.is_empty() && pom.licenses.len() < super::MOST_LICENSES {
                        pom.licenses.push(license);
                    }
                }
                _ => pom.parts.element(project, text, &mut dependency),
            }
            None
        });
        (pom, result.err())
    }

    /// The project's own coordinates: what it leaves out is its parent's.
    pub(in crate::catalogers) fn coordinates(&self) -> Coordinates {
        let or = |own: &str, parent: &str| self.fill(if own.is_empty() { parent } else { own });
        Coordinates {
            group: or(&self.own.group, &self.parent.group),
            artifact: self.fill(&self.own.artifact),
            version: or(&self.own.version, &self.parent.version),
        }
    }

    /// The dependencies, with properties filled in and versions taken from the file's own `dependencyManagement`.
    /// Of the profiles those count that are active by default. A range counts as its lower bound. A version that only a parent or a bill of materials knows is empty.
    pub(in crate::catalogers) fn resolved(&self) -> Vec<Resolved> {
        let mut managed = HashMap::new();
        for dependency in &self.parts.managed {
            let Coordinates { group, artifact, .. } = &dependency.coordinates;
            managed.entry((self.fill(group), self.fill(artifact))).or_insert(dependency);
        }
        let resolve = |dependency: &Dependency| {
            let Coordinates { group, artifact, version } = &dependency.coordinates;
            let (group, artifact) = (self.fill(group), self.fill(artifact));
            let key = (group, artifact);
            let managed = managed.get(&key);
            let version = match (version.as_str(), managed) {
                ("", Some(managed)) => managed.coordinates.version.as_str(),
                (version, _) => version,
            };
            let scope = match (dependency.scope.as_str(), managed.map(|managed| managed.scope.as_str())) {
                ("", None | Some("" | "import")) => "compile",
                ("", Some(scope)) => scope,
                (scope, _) => scope,
            };
            let version = self.fill(version);
            let (group, artifact) = key;
            let version = lower_bound(&version).to_owned();
            Resolved { coordinates: Coordinates { group, artifact, version }, scope: self.fill(scope) }
        };
        self.parts.dependencies.iter().map(resolve).collect()
    }

    /// `text` with `${…}` filled in; empty if one cannot be.
    fn fill(&self, text: &str) -> String {
        let mut out = String::new();
        let mut references = MOST_REFERENCES;
        if self.fill_into(text, &mut references, &mut out).is_none() {
            out.clear();
        }
        out
    }

    fn fill_into(&self, text: &str, references: &mut u32, out: &mut String) -> Option<()> {
        let mut rest = text.trim();
        while let Some((before, after)) = rest.split_once("${") {
            out.push_str(before);
            let (name, after) = after.split_once('}')?;
            *references = references.checked_sub(1)?;
            self.fill_into(self.property(name.trim())?, references, out)?;
            rest = after;
        }
        out.push_str(rest);
        (out.len() <= LONGEST_VALUE).then_some(())
    }

    fn property(&self, name: &str) -> Option<&str> {
        if let Some(value) = self.parts.properties.get(name) {
            return Some(value);
        }
        // `pom.` and no prefix at all are the spellings of Maven 2.
        let name = name.strip_prefix("project.").or_else(|| name.strip_prefix("pom.")).unwrap_or(name);
        let value = match name {
            "groupId" if self.own.group.is_empty() => &self.parent.group,
            "groupId" => &self.own.group,
            "artifactId" => &self.own.artifact,
            "version" if self.own.version.is_empty() => &self.parent.version,
            "version" => &self.own.version,
            "parent.groupId" => &self.parent.group,
            "parent.artifactId" => &self.parent.artifact,
            "parent.version" => &self.parent.version,
            _ => return None,
        };
        (!value.is_empty()).then_some(value)
    }
}

/// `[9.4,10)` → `9.4`, `[1.0]` → `1.0`; a plain version as it is.
fn lower_bound(version: &str) -> &str {
    let Some(range) = version.strip_prefix(['[', '(']) else { return version };
    range.split([',', ']', ')']).next().unwrap_or_default().trim()
}

fn short(text: &str) -> String {
    let text = text.trim();
    if text.len() > LONGEST_VALUE { String::new() } else { text.to_owned() }
}

/// Calls `visit` at the end of each element with its path of local names (`/project/parent/groupId`) and its own
/// text. The reason why the document could not be read to its end is the error.
pub(in crate::catalogers) fn elements(
    text: &str,
    visit: &mut dyn FnMut(&str, &str) -> Option<()>,
) -> Result<(), String> {
    let mut reader = Reader::from_str(text);
    reader.config_mut().expand_empty_elements = true;
    let mut path = String::new();
    let mut starts: Vec<(usize, usize)> = Vec::new();
    // The text of all elements that are open, one behind the other.
    let mut contents = String::new();
    loop {
        let event = reader.read_event().map_err(|error| error.to_string())?;
        let began = starts.last().map_or(0, |(_, text)| *text);
        let room = LONGEST_TEXT.saturating_sub(contents.len() - began);
        let mut add = |text: &str| {
            let end = (0..=text.len().min(room)).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
            contents.push_str(&text[..end]);
        };
        match event {
            Event::Start(start) => {
                if starts.len() == DEEPEST_XML {
                    return Err(format!("elements nested deeper than {DEEPEST_XML}"));
                }
                let (path_length, text_length) = (path.len(), contents.len());
                starts.push((path_length, text_length));
                path.push('/');
                path.push_str(start.local_name().as_ref().get(..).unwrap_or_default());
            }
            Event::End(_) => {
                let Some((path_length, text_length)) = starts.pop() else { continue };
                visit(&path, contents[text_length..].trim());
                path.truncate(path_length);
                contents.truncate(text_length);
            }
            Event::Text(text) => add(&text.xml10_content()),
            Event::CData(text) => add(&text.xml10_content()),
            Event::GeneralRef(reference) => match reference.resolve_char_ref() {
                Ok(Some(c)) => add(c.encode_utf8(&mut [0; 4])),
                // An entity of a document type is not expanded.
                Ok(None) => add(resolve_predefined_entity(&reference.xml10_content()).unwrap_or_default()),
                Err(_) => {}
            },
            Event::Eof => {
                let open = starts.len();
                return if open == 0 { Ok(()) } else { Err(format!("{open} elements are not closed")) };
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn coordinates(group: &str, artifact: &str, version: &str) -> Coordinates {
        Coordinates { group: group.into(), artifact: artifact.into(), version: version.into() }
    }

    #[test]
    fn properties_have_three_separators() {
        let expected = coordinates("org.acme", "quux", "1.0=2");
        for text in [
            "#Generated by Maven\n#Mon\nversion=1.0=2\ngroupId=org.acme\nartifactId=quux\n",
            "version = 1.0=2\r\ngroupId: org.acme\r\n  artifactId quux\r\nm2e.projectName=x",
        ] {
            assert_eq!(properties(text.as_bytes()), expected, "{text}");
        }
        assert_eq!(properties(b"\xff\nartifactId"), Coordinates::default());
    }

    const POM: &str = r#"<?xml version="1.0"?>
        <!DOCTYPE project [<!ENTITY x "y">]>
        <project xmlns="http://maven.apache.org/POM/4.0.0">
          <parent><groupId>org.acme</groupId><artifactId>parent</artifactId><version>7</version></parent>
          <artifactId>quux</artifactId>
          <description> Does
             things &amp; more &#x41;&x; </description>
          <properties><a>${b}.1</a><b>2</b><loop>${loop}</loop><p.version>${project.parent.version}</p.version></properties>
          <licenses><license><name>MIT</name><url>u</url></license><license><url>https://x</url></license></licenses>
          <dependencyManagement><dependencies>
            <dependency><groupId>g</groupId><artifactId>managed</artifactId><version>[3.1,4)</version><scope>test</scope></dependency>
            <dependency><groupId>g</groupId><artifactId>bom</artifactId><version>1</version><scope>import</scope></dependency>
          </dependencies></dependencyManagement>
          <dependencies>
            <dependency><groupId>${project.groupId}</groupId><artifactId>a</artifactId><version>${a}</version></dependency>
            <dependency><groupId>g</groupId><artifactId>managed</artifactId></dependency>
            <dependency><groupId>g</groupId><artifactId>l</artifactId><version>${loop}</version><scope>provided</scope>
              <exclusions><exclusion><groupId>no</groupId><artifactId>no</artifactId></exclusion></exclusions></dependency>
            <dependency><groupId>g</groupId><artifactId>p</artifactId><version>${p.version}</version></dependency>
          </dependencies>
          <profiles>
            <profile><activation><activeByDefault>true</activeByDefault></activation><properties><q>9</q></properties>
              <dependencies><dependency><groupId>g</groupId><artifactId>q</artifactId><version>${q}</version></dependency></dependencies></profile>
            <profile><dependencies><dependency><groupId>no</groupId><artifactId>no</artifactId></dependency></dependencies></profile>
          </profiles>
          <build><plugins><plugin><dependencies><dependency><groupId>no</groupId></dependency></dependencies></plugin></plugins></build>
        </project>"#;

    #[test]
    fn a_project_is_resolved_within_its_file() {
        let (pom, problem) = Pom::parse(POM);
        assert_eq!(problem, None);
        assert_eq!(pom.coordinates(), coordinates("org.acme", "quux", "7"));
        assert_eq!(pom.description, "Does things & more A");
        assert_eq!(pom.licenses, ["MIT", "https://x"]);
        let resolved = |group: &str, artifact: &str, version: &str, scope: &str| Resolved {
            coordinates: coordinates(group, artifact, version),
            scope: scope.into(),
        };
        let expected = [
            resolved("org.acme", "a", "2.1", "compile"),
            resolved("g", "managed", "3.1", "test"),
            resolved("g", "l", "", "provided"),
            resolved("g", "p", "7", "compile"),
            resolved("g", "q", "9", "compile"),
        ];
        assert_eq!(pom.resolved(), expected);
    }

    #[test]
    fn what_stands_before_a_break_counts() {
        let broken = POM.replace("</parent>", "</parnt>");
        let (pom, problem) = Pom::parse(&broken);
        assert!(problem.is_some());
        assert_eq!(pom.coordinates().group, "org.acme");
        assert!(!Pom::parse("plain text").0.is_project);
        let open = Pom::parse("<project><groupId>g</groupId>");
        assert_eq!((open.0.own.group.as_str(), open.1.as_deref()), ("g", Some("1 elements are not closed")));
    }

    #[test]
    fn laughs_and_depths_are_bounded() {
        let mut laughs = String::from("<project><version>${p9}</version><properties><p0>ha</p0>");
        for level in 1..10 {
            let below = format!("${{p{}}}", level - 1).repeat(10);
            laughs.push_str(&format!("<p{level}>{below}</p{level}>"));
        }
        laughs.push_str("</properties></project>");
        assert_eq!(Pom::parse(&laughs).0.coordinates().version, "");
        let deep = Pom::parse(&"<project>".repeat(100_000)).1.unwrap();
        assert_eq!(deep, "elements nested deeper than 64");
        let attributes: String = (0..100_000).map(|n| format!(" a{n}='1'")).collect();
        let wide = format!("<project{attributes}><groupId>g</groupId></project>");
        assert_eq!(Pom::parse(&wide).0.own.group, "g");
    }

    #[test]
    fn ranges_count_as_their_lower_bound() {
        let check = |version: &str, expected: &str| assert_eq!(lower_bound(version), expected);
        check("1.0", "1.0");
        check("[1.0]", "1.0");
        check("[9.4.35.v20201120,9.5)", "9.4.35.v20201120");
        check("(,1.0]", "");
    }

    proptest! {
        #[test]
        fn never_panics(text in "[<>/a-c&;${} \u{e9}]{0,60}") {
            let (pom, _) = Pom::parse(&format!("<project>{text}"));
            pom.resolved();
            pom.coordinates();
            properties(text.as_bytes());
        }

        #[test]
        fn mutations_never_panic(at in 0..POM.len(), byte in 0_u8..128) {
            let mut bytes = POM.as_bytes().to_vec();
            bytes[at] = byte;
            let (pom, _) = Pom::parse(&String::from_utf8_lossy(&bytes));
            pom.resolved();
        }
    }
}
