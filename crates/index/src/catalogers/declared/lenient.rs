//! Fields that have the wrong type now and then. One of them is no reason to lose the file.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// A string, or nothing where there is something else.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Text<'a>(Option<Cow<'a, str>>);

impl<'a> Text<'a> {
    /// The string; empty where there is none.
    pub(super) fn as_str(&self) -> &str {
        self.0.as_deref().unwrap_or_default()
    }

    /// The string, borrowed from the document where it is written there as it is. (Serde makes a `Cow` of its own
    /// an owned one.)
    pub(super) fn into_cow(self) -> Cow<'a, str> {
        self.0.unwrap_or_default()
    }
}

/// `true`, or anything else.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Flag(pub(super) bool);

/// Strings, of an array or one alone; those of its objects that say a `type` or a `name`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Texts(pub(super) Vec<String>);

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;
        impl<'de> Visitor<'de> for Any {
            type Value = Text<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("anything")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Text(Some(Cow::Borrowed(text))))
            }

            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Text(Some(Cow::Owned(text.to_owned()))))
            }

            fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
                Ok(Text(None))
            }

            fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
                Ok(Text(None))
            }

            fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
                Ok(Text(None))
            }

            fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
                Ok(Text(None))
            }

            fn visit_unit<E>(self) -> Result<Self::Value, E> {
                Ok(Text(None))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Self::Value, A::Error> {
                while sequence.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Text(None))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Text(None))
            }
        }
        deserializer.deserialize_any(Any)
    }
}

impl<'de> Deserialize<'de> for Flag {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = serde_json::Value::deserialize(deserializer)?;
        Ok(Self(value == serde_json::Value::Bool(true)))
    }
}

impl<'de> Deserialize<'de> for Texts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = serde_json::Value::deserialize(deserializer)?;
        let text = |value: &serde_json::Value| {
            let value = ["type", "name"].iter().find_map(|key| value.get(key)).unwrap_or(value);
            value.as_str().map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned)
        };
        Ok(Self(match &value {
            serde_json::Value::Array(values) => values.iter().filter_map(text).collect(),
            other => text(other).into_iter().collect(),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_types_are_nothing() {
        let check = |json: &str, expected: &str| {
            assert_eq!(serde_json::from_str::<Text<'_>>(json).expect("is JSON").as_str(), expected, "{json}");
        };
        check(r#""a\n""#, "a\n");
        for other in ["1", "-1", "1.5", "true", "null", "[[1], {}]", r#"{"a": {"b": 1}}"#] {
            check(other, "");
        }
        assert_eq!(serde_json::from_str::<Flag>("true").expect("is JSON"), Flag(true));
        assert_eq!(serde_json::from_str::<Flag>("[true]").expect("is JSON"), Flag(false));
    }

    #[test]
    fn licences_have_three_forms() {
        let check = |json: &str, expected: &[&str]| {
            assert_eq!(serde_json::from_str::<Texts>(json).expect("is JSON").0, expected, "{json}");
        };
        check(r#""MIT""#, &["MIT"]);
        check(r#"["MIT", " ", {"type": "BSD", "url": "u"}, 1]"#, &["MIT", "BSD"]);
        check(r#"{"type": "MIT"}"#, &["MIT"]);
        check("null", &[]);
    }
}
