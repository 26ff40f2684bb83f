//! Applications that Flatpak installed, by the AppStream metadata that each exports.
//!
//! `…/flatpak/app/<id>/…/export/share/metainfo/<id>.metainfo.xml`; what lies below `files/` is the application's own
//! tree, with metadata of its parts. Source: the AppStream specification, "Upstream Metadata".
//!
//! | Element of `<component>` | |
//! | --- | --- |
//! | `id` | the name |
//! | `releases/release/@version` | the version; the newest comes first |
//! | `project_license` | an SPDX expression |
//! | `developer_name`, `developer/name` | |
//! | `summary`, `url[@type="homepage"]` | those in no particular language |

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

use crate::package::Package;
use crate::{Cataloger, Contents, File, Findings, Interest, Problem};

/// Bytes of a file. Those of the most verbose applications have 300 KiB, release notes in fifty languages.
const LONGEST: usize = 8 << 20;

/// Bytes of one value.
const LONGEST_VALUE: usize = 4096;

/// Nesting. AppStream's own elements have five levels.
const DEEPEST: usize = 64;

/// Reads AppStream metadata of Flatpak's applications.
#[derive(Debug)]
pub(crate) struct Flatpak;

impl Cataloger for Flatpak {
    fn name(&self) -> &'static str {
        "flatpak"
    }

    fn version(&self) -> u32 {
        1
    }

    fn interest(&self) -> Interest {
        Interest::new().path("**/flatpak/app/**/*.xml")
    }

    fn catalog(&self, file: &File<'_>, contents: &mut Contents<'_>, findings: &mut Findings) -> Result<(), Problem> {
        if file.path.contains("/files/") {
            return Ok(());
        }
        if contents.whole()?.len() > LONGEST {
            return Err(Problem::malformed(format!("AppStream metadata of more than {LONGEST} bytes")));
        }
        if let Some(package) = read(&contents.text()?)? {
            findings.package(package);
        }
        Ok(())
    }
}

/// The elements that are of use, by their local names.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Element {
    Component,
    Id,
    Releases,
    Release,
    License,
    DeveloperName,
    Developer,
    Name,
    Summary,
    Url,
    Other,
}

impl Element {
    fn named(name: &str) -> Self {
        match name {
            // The second until 2012.
            "component" | "application" => Self::Component,
            "id" => Self::Id,
            "releases" => Self::Releases,
            "release" => Self::Release,
            "project_license" => Self::License,
            "developer_name" => Self::DeveloperName,
            "developer" => Self::Developer,
            "name" => Self::Name,
            "summary" => Self::Summary,
            "url" => Self::Url,
            _ => Self::Other,
        }
    }
}

/// The component of the document; `None` if it is another kind of document, or names no version.
fn read(text: &str) -> Result<Option<Package>, Problem> {
    let broken = |error: quick_xml::Error| Problem::malformed(format!("AppStream metadata: {error}"));
    let mut package = Package { kind: "flatpak".to_owned(), ..Package::default() };
    let mut reader = Reader::from_str(text);
    reader.config_mut().expand_empty_elements = true;
    let mut open: Vec<Element> = Vec::new();
    // The text of the innermost open element, if it is wanted.
    let mut value: Option<String> = None;
    loop {
        match reader.read_event().map_err(broken)? {
            Event::Start(start) => {
                if open.len() >= DEEPEST {
                    return Err(Problem::malformed(format!("AppStream metadata: nested deeper than {DEEPEST}")));
                }
                open.push(Element::named(start.local_name().as_ref()));
                if open[0] != Element::Component {
                    return Ok(None);
                }
                value = slot(&open, &mut package).is_some_and(|slot| slot.is_empty()).then(String::new);
                match open[..] {
                    [Element::Component, Element::Releases, Element::Release] if package.version.is_empty() => {
                        package.version = attribute(&start, "version").unwrap_or_default();
                    }
                    [.., Element::Url] if attribute(&start, "type").as_deref() != Some("homepage") => value = None,
                    _ if value.is_some() && attribute(&start, "xml:lang").is_some() => value = None,
                    _ => {}
                }
            }
            Event::Text(part) => append(&mut value, &part.xml10_content()),
            Event::CData(part) => append(&mut value, &part.xml10_content()),
            // Entities of the document's own are never expanded: they are events by themselves, and passed over.
            Event::GeneralRef(reference) => {
                let character = match &*reference {
                    "amp" => Some('&'),
                    "lt" => Some('<'),
                    "gt" => Some('>'),
                    "apos" => Some('\''),
                    "quot" => Some('"'),
                    _ => reference.resolve_char_ref().ok().flatten(),
                };
                if let Some(character) = character {
                    append(&mut value, character.encode_utf8(&mut [0; 4]));
                }
            }
            Event::End(_) => {
                if let Some(value) = value.take()
                    && let Some(slot) = slot(&open, &mut package)
                {
                    *slot = value.trim().to_owned();
                }
                open.pop();
            }
            Event::Eof => break,
            _ => {}
        }
    }
    package.licenses.retain(|license| !license.is_empty());
    for text in [&mut package.author, &mut package.description, &mut package.url] {
        text.take_if(|text| text.is_empty());
    }
    Ok((!package.name.is_empty() && !package.version.is_empty()).then_some(package))
}

/// Where the text of the innermost open element goes.
fn slot<'a>(open: &[Element], package: &'a mut Package) -> Option<&'a mut String> {
    match open {
        [_, Element::Id] => Some(&mut package.name),
        [_, Element::DeveloperName] | [_, Element::Developer, Element::Name] => {
            Some(package.author.get_or_insert_default())
        }
        [_, Element::Summary] => Some(package.description.get_or_insert_default()),
        [_, Element::Url] => Some(package.url.get_or_insert_default()),
        [_, Element::License] => {
            if package.licenses.is_empty() {
                package.licenses.push(String::new());
            }
            package.licenses.first_mut()
        }
        _ => None,
    }
}

fn attribute(start: &BytesStart<'_>, name: &str) -> Option<String> {
    // Without the check for attributes that stand twice, and of the first few: hostile elements have many.
    let mut attributes = start.attributes();
    let found = attributes.with_checks(false).take(16).flatten().find(|attribute| attribute.key.as_ref() == name)?;
    let value = found.value.trim().to_owned();
    (value.len() <= LONGEST_VALUE).then_some(value)
}

fn append(value: &mut Option<String>, part: &str) {
    if let Some(value) = value
        && value.len() + part.len() <= LONGEST_VALUE
    {
        value.push_str(part);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(path: &str, text: &str) -> (Vec<Package>, Result<(), Problem>) {
        let file = File { path, size: text.len() as u64, executable: false };
        let mut findings = Findings::default();
        let result = Flatpak.catalog(&file, &mut Contents::held(text.as_bytes()), &mut findings);
        (findings.packages().to_vec(), result)
    }

    const PATH: &str =
        "var/lib/flatpak/app/org.example.Quux/x86_64/stable/0123/export/share/metainfo/org.example.Quux.metainfo.xml";

    const QUUX: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<!-- Copyright 2024 -->
<component type="desktop-application">
  <id>org.example.Quux</id>
  <name>Quux</name>
  <name xml:lang="de">Kwuks</name>
  <developer id="org.example"><name>Ann &amp; Bob &#169; Example</name></developer>
  <summary xml:lang="de">Kwuks macht</summary>
  <summary><![CDATA[Quux <does>]]></summary>
  <project_license>GPL-3.0-or-later</project_license>
  <url type="bugtracker">https://bugs.example.org/</url>
  <url type="homepage">https://quux.example.org/</url>
  <provides><id>org.example.Old</id></provides>
  <releases>
    <release version="2.4.1" date="2024-05-02"><description><p>new</p></description></release>
    <release version="2.4.0"/>
  </releases>
</component>
"#;

    #[test]
    fn reads_a_component() {
        let (found, result) = read(PATH, QUUX);
        assert!(result.is_ok());
        assert_eq!(
            found,
            [Package {
                kind: "flatpak".into(),
                name: "org.example.Quux".into(),
                version: "2.4.1".into(),
                licenses: vec!["GPL-3.0-or-later".into()],
                author: Some("Ann & Bob © Example".into()),
                description: Some("Quux <does>".into()),
                url: Some("https://quux.example.org/".into()),
                ..Package::default()
            }]
        );
    }

    #[test]
    fn what_is_no_component_holds_nothing() {
        let check = |path: &str, text: &str| {
            let (found, result) = read(path, text);
            assert!(found.is_empty() && result.is_ok(), "{path} {text} {result:?}");
        };
        check(PATH, "");
        check(PATH, "<mime-info><id>a</id></mime-info>");
        check(PATH, "<component><id>a</id></component>");
        check(PATH, "<component><releases><release version='1'/></releases></component>");
        check(PATH, "<component><id>a</id><releases><release/></releases></component>");
        check("var/lib/flatpak/app/a/x/files/share/metainfo/b.xml", QUUX);
        assert!(read(PATH, "<component><id>a</component>").1.is_err());
    }

    #[test]
    fn bombs_are_harmless() {
        let entities: String =
            (1..30).map(|i| format!("<!ENTITY e{i} '&e{before};&e{before};'>", before = i - 1)).collect();
        let document = |first: &str, name: &str| {
            format!(
                "<!DOCTYPE component [<!ENTITY e0 {first}>{entities}]><component><id>a{name}</id>\
                 <releases><release version='1'/></releases></component>"
            )
        };
        assert_eq!(read(PATH, &document("'quux'", "&e29;")).0[0].name, "a");
        assert_eq!(read(PATH, &document("SYSTEM 'file:///etc/passwd'", "&e0;")).0[0].name, "a");
        assert!(read(PATH, &"<component>".repeat(100_000)).1.is_err());
        let attributes: String = (0..200_000).map(|i| format!(" a{i}='1'")).collect();
        assert!(read(PATH, &format!("<component><id{attributes}>a</id></component>")).0.is_empty());
        let long = format!("<component><summary>{}</summary></component>", "x".repeat(1 << 20));
        assert!(read(PATH, &long).1.is_ok());
    }

    proptest! {
        #[test]
        fn mutations_never_panic(at in 0..QUUX.len(), byte in 0_u8..128, cut in 0..QUUX.len()) {
            let mut text = QUUX.as_bytes().to_vec();
            text[at] = byte;
            text.truncate(cut);
            let _ = read(PATH, &String::from_utf8_lossy(&text));
        }
    }
}
