//! Names that are made of an image's.

use std::fmt;
use std::str::FromStr;

use supercargo_registry::index::Platform;

use super::Consignment;

/// A text with `{registry}`, `{repository}`, `{tag}`, `{platform}` and `{digest}` in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    parts: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    Field(Field),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Field {
    Registry,
    Repository,
    Tag,
    Platform,
    Digest,
}

impl Field {
    const ALL: [(&'static str, Self); 5] = [
        ("registry", Self::Registry),
        ("repository", Self::Repository),
        ("tag", Self::Tag),
        ("platform", Self::Platform),
        ("digest", Self::Digest),
    ];
}

impl Template {
    /// Whether it tells platforms apart.
    pub fn has_platform(&self) -> bool {
        self.parts.iter().any(|part| matches!(part, Part::Field(Field::Platform | Field::Digest)))
    }

    pub(super) fn fill(&self, consignment: &Consignment, tag: &str, platform: &Platform) -> String {
        let mut text = String::new();
        for part in &self.parts {
            match part {
                Part::Text(part) => text.push_str(part),
                Part::Field(Field::Registry) => text.push_str(&consignment.repository.registry),
                Part::Field(Field::Repository) => text.push_str(&consignment.repository.repository),
                Part::Field(Field::Tag) => text.push_str(tag),
                Part::Field(Field::Platform) => text.push_str(&platform.to_string()),
                Part::Field(Field::Digest) => text.push_str(consignment.digest.as_ref()),
            }
        }
        text
    }
}

impl FromStr for Template {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('{') {
            let Some((name, after)) = after.split_once('}') else {
                return Err(format!("{text:?}: a brace is not closed"));
            };
            let Some((_, field)) = Field::ALL.into_iter().find(|(known, _)| *known == name) else {
                let known: Vec<String> = Field::ALL.iter().map(|(name, _)| format!("{{{name}}}")).collect();
                return Err(format!("{{{name}}}: expected one of {}", known.join(", ")));
            };
            parts.push(Part::Text(before.to_owned()));
            parts.push(Part::Field(field));
            rest = after;
        }
        parts.push(Part::Text(rest.to_owned()));
        parts.retain(|part| *part != Part::Text(String::new()));
        if parts.is_empty() {
            return Err("it is empty".to_owned());
        }
        Ok(Self { parts })
    }
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for part in &self.parts {
            match part {
                Part::Text(text) => f.write_str(text)?,
                Part::Field(field) => {
                    let name = Field::ALL.iter().find(|(_, known)| known == field).map_or("", |(name, _)| name);
                    write!(f, "{{{name}}}")?;
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms() {
        for text in ["{registry}/{repository}", "x", "{tag}-{platform}", "a{digest}b"] {
            assert_eq!(text.parse::<Template>().unwrap().to_string(), text);
        }
        assert!("{tag}-{platform}".parse::<Template>().unwrap().has_platform());
        assert!(!"{tag}".parse::<Template>().unwrap().has_platform());
        for (text, part) in [("", "empty"), ("{tag", "closed"), ("{name}", "{repository}")] {
            let error = text.parse::<Template>().unwrap_err();
            assert!(error.contains(part), "{error}");
        }
    }
}
