//! Values of foreign metadata, read within bounds.
//!
//! Formats of many ecosystems are parsed by the same few libraries, into structures that name the fields of use.
//! What is common to them stands here: how long a document may be, what may be a name, and collections that do
//! not grow with the document.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, DeserializeOwned, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::MOST_PACKAGES;
use crate::{Contents, Problem};

/// Bytes of a JSON document: lock files of some thousand packages.
const LONGEST_JSON: usize = 8 << 20;

/// Bytes of a YAML document: lock files of a thousand packages stay under 1 MiB.
const LONGEST_YAML: usize = 8 << 20;

/// Bytes of a TOML document. Its parser builds a tree that is many times larger.
const LONGEST_TOML: usize = 4 << 20;

/// Bytes of a document in one of the small formats that people write by hand.
pub(super) const LONGEST_TEXT: usize = 4 << 20;

/// Bytes of a name or a version: registries stop at 214 (npm) and below.
const LONGEST_WORD: usize = 512;

/// Bytes of a line of prose: description, author.
const LONGEST_LINE: usize = 1024;

/// The file as text, refused if it is longer than `limit`.
pub(super) fn text<'a>(contents: &Contents<'a>, limit: usize) -> Result<Cow<'a, str>, Problem> {
    let size = contents.whole()?.len();
    if size > limit {
        return Err(Problem::TooLarge { size: size as u64, limit: limit as u64 });
    }
    contents.text()
}

/// The file as a JSON document.
pub(super) fn json<T: DeserializeOwned>(contents: &Contents<'_>) -> Result<T, Problem> {
    serde_json::from_str(&text(contents, LONGEST_JSON)?).map_err(|error| Problem::malformed(format!("json: {error}")))
}

/// The file as a YAML document, the first if there are several. Aliases are expanded within the parser's budget, so
/// that a document cannot grow without bound in memory.
pub(super) fn yaml<T: DeserializeOwned>(contents: &Contents<'_>) -> Result<T, Problem> {
    let options = serde_saphyr::options! {
        with_snippet: false,
        // `on` and `y` are names of packages.
        strict_booleans: true,
        duplicate_keys: serde_saphyr::DuplicateKeyPolicy::LastWins,
    };
    serde_saphyr::from_str_with_options(&text(contents, LONGEST_YAML)?, options)
        .map_err(|error| Problem::malformed(format!("yaml: {error}")))
}

/// The file as a TOML document.
pub(super) fn toml<T: DeserializeOwned>(contents: &Contents<'_>) -> Result<T, Problem> {
    toml::from_str(&text(contents, LONGEST_TOML)?)
        .map_err(|error| Problem::malformed(format!("toml: {}", error.message())))
}

/// Whether `text` can be a name or a version: not empty, not long, one word.
pub(super) fn is_word(text: &str) -> bool {
    !text.is_empty() && text.len() <= LONGEST_WORD && !text.contains(|c: char| c.is_whitespace() || c.is_control())
}

/// `text` if it [can be](is_word) a name or a version.
pub(super) fn word(text: &str) -> Option<String> {
    let text = text.trim();
    is_word(text).then(|| text.to_owned())
}

/// The first line of `text`, if there is anything in it, cut where it becomes too long for a line.
pub(super) fn line(text: &str) -> Option<String> {
    let line = text.trim().lines().next()?.trim_end();
    let mut end = line.len().min(LONGEST_LINE);
    while !line.is_char_boundary(end) {
        end -= 1;
    }
    Some(line[..end].to_owned()).filter(|line| !line.is_empty())
}

/// A scalar that is text, or a number as it would be written; anything else is nothing.
///
/// YAML's numbers lose their spelling, `1.10` is `1.1`: a version without quotes needs a field of type
/// `Option<String>`, which keeps it and refuses what is no scalar.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Scalar(pub(super) Option<String>);

impl Scalar {
    pub(super) fn text(&self) -> &str {
        self.0.as_deref().unwrap_or_default()
    }
}

impl<'de> Deserialize<'de> for Scalar {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;
        impl<'de> Visitor<'de> for Any {
            type Value = Scalar;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("anything")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Scalar, E> {
                Ok(Scalar(Some(text.to_owned())))
            }

            fn visit_string<E: Error>(self, text: String) -> Result<Scalar, E> {
                Ok(Scalar(Some(text)))
            }

            fn visit_i64<E: Error>(self, number: i64) -> Result<Scalar, E> {
                Ok(Scalar(Some(number.to_string())))
            }

            fn visit_u64<E: Error>(self, number: u64) -> Result<Scalar, E> {
                Ok(Scalar(Some(number.to_string())))
            }

            fn visit_f64<E: Error>(self, number: f64) -> Result<Scalar, E> {
                Ok(Scalar(Some(number.to_string())))
            }

            fn visit_bool<E: Error>(self, _: bool) -> Result<Scalar, E> {
                Ok(Scalar(None))
            }

            fn visit_unit<E: Error>(self) -> Result<Scalar, E> {
                Ok(Scalar(None))
            }

            fn visit_none<E: Error>(self) -> Result<Scalar, E> {
                Ok(Scalar(None))
            }

            fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Scalar, D::Error> {
                Deserialize::deserialize(deserializer)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut values: A) -> Result<Scalar, A::Error> {
                while values.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Scalar(None))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Scalar, A::Error> {
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Scalar(None))
            }
        }
        deserializer.deserialize_any(Any)
    }
}

/// A list of which no more than `MOST` elements are kept. A single value counts as a list of one, and anything
/// that cannot be a list as an empty one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Few<T, const MOST: usize>(pub(super) Vec<T>);

impl<T, const MOST: usize> Default for Few<T, MOST> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'de, T: Deserialize<'de>, const MOST: usize> Deserialize<'de> for Few<T, MOST> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Elements<T, const MOST: usize>(std::marker::PhantomData<T>);
        impl<'de, T: Deserialize<'de>, const MOST: usize> Visitor<'de> for Elements<T, MOST> {
            type Value = Few<T, MOST>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
                T::deserialize(serde::de::value::StrDeserializer::new(text)).map(|only| Few(vec![only]))
            }

            fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
                Ok(Few::default())
            }

            fn visit_none<E: Error>(self) -> Result<Self::Value, E> {
                Ok(Few::default())
            }

            fn visit_bool<E: Error>(self, _: bool) -> Result<Self::Value, E> {
                Ok(Few::default())
            }

            fn visit_u64<E: Error>(self, _: u64) -> Result<Self::Value, E> {
                Ok(Few::default())
            }

            fn visit_i64<E: Error>(self, _: i64) -> Result<Self::Value, E> {
                Ok(Few::default())
            }

            fn visit_f64<E: Error>(self, _: f64) -> Result<Self::Value, E> {
                Ok(Few::default())
            }

            fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
                Deserialize::deserialize(deserializer)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut values: A) -> Result<Self::Value, A::Error> {
                let mut few = Vec::new();
                while few.len() < MOST {
                    let Some(value) = values.next_element()? else { return Ok(Few(few)) };
                    few.push(value);
                }
                while values.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Few(few))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Few::default())
            }
        }
        deserializer.deserialize_any(Elements(std::marker::PhantomData))
    }
}

/// The entries of a map in their order. One with more than any real file has packages is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entries<V>(pub(super) Vec<(String, V)>);

impl<V> Default for Entries<V> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'de, V: Deserialize<'de>> Deserialize<'de> for Entries<V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Map<V>(std::marker::PhantomData<V>);
        impl<'de, V: Deserialize<'de>> Visitor<'de> for Map<V> {
            type Value = Entries<V>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map")
            }

            fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
                Ok(Entries::default())
            }

            fn visit_none<E: Error>(self) -> Result<Self::Value, E> {
                Ok(Entries::default())
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    if entries.len() == MOST_PACKAGES {
                        return Err(A::Error::custom(format!("more than {MOST_PACKAGES} entries")));
                    }
                    entries.push(entry);
                }
                Ok(Entries(entries))
            }

            // An empty map is an empty list in what PHP and Lua tools write.
            fn visit_seq<A: SeqAccess<'de>>(self, mut values: A) -> Result<Self::Value, A::Error> {
                while values.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Entries::default())
            }
        }
        deserializer.deserialize_any(Map(std::marker::PhantomData))
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Default, Deserialize)]
    #[serde(default)]
    struct Document {
        version: Option<String>,
        name: Scalar,
        list: Few<Scalar, 2>,
        map: Entries<Scalar>,
    }

    fn strings(list: &[Scalar]) -> Vec<&str> {
        list.iter().map(Scalar::text).collect()
    }

    #[test]
    fn scalars_keep_their_spelling() {
        let check = |text: &str, expected: &str| {
            let document: Document = yaml(&Contents::held(text.as_bytes())).unwrap();
            assert_eq!(document.version.as_deref().unwrap_or(document.name.text()), expected, "{text}");
        };
        check("version: 1.2.3", "1.2.3");
        check("version: 1.10", "1.10");
        check("version: \"1.10\"", "1.10");
        check("version: 7", "7");
        check("version: ~", "");
        check("name: a", "a");
        check("name: on", "on");
        check("name: 7", "7");
        check("name: [1, 2]", "");
        check("name: {a: b}", "");
        check("name: ~", "");
        check("name: true", "");
        let document: Document = json(&Contents::held(br#"{"name": 1.5, "list": 3, "x": null}"#)).unwrap();
        assert_eq!((document.name.text(), document.list.0.len()), ("1.5", 0));
    }

    #[test]
    fn lists_are_bounded_and_forgiving() {
        let check = |text: &str, expected: &[&str]| {
            let document: Document = yaml(&Contents::held(text.as_bytes())).unwrap();
            assert_eq!(strings(&document.list.0), expected, "{text}");
            let document: Document = json(&Contents::held(b"{}")).unwrap();
            assert!(document.map.0.is_empty());
        };
        check("list: [a, b, c, d]", &["a", "b"]);
        check("list: [a, {b: c}]", &["a", ""]);
        check("list: a", &["a"]);
        check("list:", &[]);
        check("list: {a: b}", &[]);
    }

    #[test]
    fn aliases_that_multiply_are_refused() {
        let mut bomb = String::from("a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n");
        for n in 1..12 {
            let aliases = vec![format!("*a{}", n - 1); 10].join(",");
            bomb.push_str(&format!("a{n}: &a{n} [{aliases}]\n"));
        }
        bomb.push_str("list: *a11\nversion: 1\n");
        let started = std::time::Instant::now();
        assert!(yaml::<Document>(&Contents::held(bomb.as_bytes())).is_err());
        assert!(started.elapsed().as_secs() < 5, "took {:?}", started.elapsed());
    }

    #[test]
    fn depth_is_survived() {
        let depth = 100_000;
        let brackets = format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(yaml::<Document>(&Contents::held(format!("list: {brackets}").as_bytes())).is_err());
        // What is left out of JSON is skipped without recursion.
        assert!(json::<Document>(&Contents::held(format!("{{\"list\": {brackets}}}").as_bytes())).is_ok());
        assert!(toml::<Document>(&Contents::held(format!("list = {brackets}").as_bytes())).is_err());
    }

    #[test]
    fn words_and_lines() {
        assert_eq!(word(" a-1 "), Some("a-1".to_owned()));
        assert_eq!(word("a b"), None);
        assert_eq!(word(&"a".repeat(LONGEST_WORD + 1)), None);
        assert_eq!(line(" one \n two"), Some("one".to_owned()));
        assert_eq!(line(" \n"), None);
        assert_eq!(line(&"ä".repeat(2000)).map(|line| line.len()), Some(LONGEST_LINE));
    }
}
