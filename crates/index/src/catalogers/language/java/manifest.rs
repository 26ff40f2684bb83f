//! `META-INF/MANIFEST.MF`.
//!
//! Source of the format: the JAR file specification, "JAR Manifest"
//! (<https://docs.oracle.com/en/java/javase/21/docs/specs/jar/jar.html#jar-manifest>): `Name: value` lines, sections
//! parted by empty lines, of which the first is about the archive itself. A line ends with LF, CR or both, and
//! one that begins with a space continues the one before it.

use std::borrow::Cow;

/// Attributes of the main section that are kept; bundles have about fifty.
const MOST_ATTRIBUTES: usize = 500;

/// Bytes of one value: `Export-Package` has many thousands, what is looked for is short.
const LONGEST_VALUE: usize = 2048;

/// The main section.
#[derive(Debug, Default)]
pub(super) struct Manifest {
    attributes: Vec<(String, String)>,
}

impl Manifest {
    pub(super) fn parse(bytes: &[u8]) -> Self {
        let text = String::from_utf8_lossy(bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes));
        let mut manifest = Self::default();
        let mut unread = false;
        for line in lines(&text) {
            if line.is_empty() {
                // Before the first attribute there is no section to end.
                if manifest.attributes.is_empty() {
                    continue;
                }
                break;
            }
            match (line.strip_prefix(' '), manifest.attributes.last_mut()) {
                (Some(more), Some((_, value))) if !unread => {
                    let room = LONGEST_VALUE.saturating_sub(value.len());
                    value.extend(more.chars().take(room));
                }
                (Some(_), _) => {}
                (None, _) => {
                    let attribute = line.split_once(':').filter(|_| manifest.attributes.len() < MOST_ATTRIBUTES);
                    unread = attribute.is_none();
                    if let Some((name, value)) = attribute {
                        // The one space is of the grammar; a value may be continued in the middle of a word.
                        let value = value.strip_prefix(' ').unwrap_or(value).chars().take(LONGEST_VALUE).collect();
                        manifest.attributes.push((name.trim().to_owned(), value));
                    }
                }
            }
        }
        manifest
    }

    /// The value of an attribute, names being of either case. Placeholders that a build tool left (`${version}`) or
    /// that a resource bundle would fill (`%name`) are no values.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.attributes
            .iter()
            .find(|(other, _)| other.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.trim())
            .filter(|value| !value.is_empty() && !value.starts_with('%') && !value.contains("${"))
    }

    /// The first of these attributes that has a value.
    pub(super) fn first(&self, names: &[&str]) -> Option<&str> {
        names.iter().find_map(|name| self.get(name))
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.attributes.iter().any(|(other, _)| other.eq_ignore_ascii_case(name))
    }

    /// `Bundle-SymbolicName` without its directives.
    pub(super) fn symbolic_name(&self) -> Option<&str> {
        let name = self.get("Bundle-SymbolicName")?.split(';').next()?.trim();
        (!name.is_empty()).then_some(name)
    }

    /// Licences: Jenkins's `Plugin-License-Name`, further ones numbered (`Plugin-License-Name-2`), else OSGi's
    /// `Bundle-License`, a list of `name;link=…;description=…`, the name often being an address.
    pub(super) fn licenses(&self) -> Vec<String> {
        let plugin = self.attributes.iter().filter(|(name, value)| {
            let rest = name.strip_prefix("Plugin-License-Name");
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('-')) && !value.trim().is_empty()
        });
        let mut licenses: Vec<String> = plugin.map(|(_, value)| value.trim().to_owned()).collect();
        if licenses.is_empty()
            && let Some(header) = self.get("Bundle-License")
        {
            for clause in split_unquoted(header, ',') {
                let name = split_unquoted(&clause, ';').next().unwrap_or_default();
                let name = name.trim().trim_matches('"').trim();
                if !name.is_empty() && name != "<<EXTERNAL>>" {
                    licenses.push(name.to_owned());
                }
            }
        }
        licenses.dedup();
        licenses.truncate(super::MOST_LICENSES);
        licenses
    }
}

fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.split('\n').flat_map(|line| line.strip_suffix('\r').unwrap_or(line).split('\r'))
}

/// Splits where `separator` stands outside double quotes.
fn split_unquoted(text: &str, separator: char) -> impl Iterator<Item = Cow<'_, str>> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let current = rest?;
        let (mut quoted, mut escaped) = (false, false);
        for (at, c) in current.char_indices() {
            match c {
                _ if escaped => escaped = false,
                '\\' if quoted => escaped = true,
                '"' => quoted = !quoted,
                c if c == separator && !quoted => {
                    rest = current.get(at + c.len_utf8()..);
                    return Some(Cow::Borrowed(&current[..at]));
                }
                _ => {}
            }
        }
        rest = None;
        Some(Cow::Borrowed(current))
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_the_main_section_is_about_the_archive() {
        let text = "Manifest-Version: 1.0\r\nImplementation-Title: Exa\r\n mple\r\n  Two\r\nbundle-version: 3\r\n\r\n\
            Name: org/acme\r\nImplementation-Version: 9\r\n";
        for text in [text.to_owned(), text.replace("\r\n", "\n"), text.replace("\r\n", "\r"), format!("\n{text}")] {
            let manifest = Manifest::parse(text.as_bytes());
            assert_eq!(manifest.get("Implementation-Title"), Some("Example Two"), "{text:?}");
            assert_eq!(manifest.get("Bundle-Version"), Some("3"));
            assert_eq!(manifest.get("Implementation-Version"), None);
        }
    }

    #[test]
    fn placeholders_are_no_values() {
        let manifest = Manifest::parse(b"A: ${project.version}\nB: %bundleName\nC:\nno colon\n continued\nD: x\n");
        assert_eq!(["A", "B", "C", "D"].map(|name| manifest.get(name)), [None, None, None, Some("x")]);
        assert_eq!(manifest.first(&["A", "C", "D"]), Some("x"));
        assert!(manifest.has("c") && !manifest.has("E"));
    }

    #[test]
    fn licenses_are_a_list() {
        let check = |text: &str, expected: &[&str]| {
            assert_eq!(Manifest::parse(text.as_bytes()).licenses(), expected, "{text}");
        };
        check("Bundle-License: Apache-2.0;link=\"https://x/a,b\", MIT", &["Apache-2.0", "MIT"]);
        check("Bundle-License: \"Apache License, Version 2.0\";description=\"a;b\"", &["Apache License, Version 2.0"]);
        check("Bundle-License: http://x/LICENSE-2.0.txt", &["http://x/LICENSE-2.0.txt"]);
        check("Bundle-License: <<EXTERNAL>>", &[]);
        check("Plugin-License-Name: MIT\nPlugin-License-Name-2: BSD\nBundle-License: X", &["MIT", "BSD"]);
    }

    proptest! {
        #[test]
        fn never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let manifest = Manifest::parse(&[b"Bundle-License: ", &*bytes].concat());
            let _ = (manifest.licenses(), manifest.symbolic_name());
        }
    }
}
