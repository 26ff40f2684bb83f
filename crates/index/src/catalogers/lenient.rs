//! Fields that have the wrong type now and then: one of them is no reason to lose the file. None builds a tree of what
//! it does not want.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// Licences of one package.
const MOST_LICENSES: usize = 32;

/// What is made of values: of those that have no method here, nothing.
pub(super) trait Lenient<'de>: Default {
    fn borrowed_text(_: &'de str) -> Self {
        Self::default()
    }

    fn text(_: &str) -> Self {
        Self::default()
    }

    fn flag(_: bool) -> Self {
        Self::default()
    }

    fn sequence<A: SeqAccess<'de>>(mut sequence: A) -> Result<Self, A::Error> {
        while sequence.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Self::default())
    }

    fn map<A: MapAccess<'de>>(mut map: A) -> Result<Self, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Self::default())
    }
}

struct Any<T>(PhantomData<T>);

impl<'de, T: Lenient<'de>> Visitor<'de> for Any<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("anything")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<T, E> {
        Ok(T::borrowed_text(text))
    }

    fn visit_str<E>(self, text: &str) -> Result<T, E> {
        Ok(T::text(text))
    }

    fn visit_bool<E>(self, flag: bool) -> Result<T, E> {
        Ok(T::flag(flag))
    }

    fn visit_i64<E>(self, _: i64) -> Result<T, E> {
        Ok(T::default())
    }

    fn visit_u64<E>(self, _: u64) -> Result<T, E> {
        Ok(T::default())
    }

    fn visit_f64<E>(self, _: f64) -> Result<T, E> {
        Ok(T::default())
    }

    fn visit_unit<E>(self) -> Result<T, E> {
        Ok(T::default())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, sequence: A) -> Result<T, A::Error> {
        T::sequence(sequence)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
        T::map(map)
    }
}

pub(super) fn any<'de, T: Lenient<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
    deserializer.deserialize_any(Any(PhantomData))
}

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

impl<'de> Lenient<'de> for Text<'de> {
    fn borrowed_text(text: &'de str) -> Self {
        Self(Some(Cow::Borrowed(text)))
    }

    fn text(text: &str) -> Self {
        Self(Some(Cow::Owned(text.to_owned())))
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        any::<Text<'de>, D>(deserializer)
    }
}

/// `true`, or anything else.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Flag(pub(super) bool);

impl Lenient<'_> for Flag {
    fn flag(flag: bool) -> Self {
        Self(flag)
    }
}

impl<'de> Deserialize<'de> for Flag {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        any(deserializer)
    }
}

/// Licences: a string, an object that says its `type`, or an array of both.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Licenses(pub(super) Vec<String>);

impl<'de> Lenient<'de> for Licenses {
    fn borrowed_text(text: &'de str) -> Self {
        Self::text(text)
    }

    fn text(text: &str) -> Self {
        Self(Some(text.trim()).filter(|text| !text.is_empty()).map(str::to_owned).into_iter().collect())
    }

    fn sequence<A: SeqAccess<'de>>(mut sequence: A) -> Result<Self, A::Error> {
        let mut licenses = Self::default();
        while let Some(more) = sequence.next_element::<Self>()? {
            if licenses.0.len() < MOST_LICENSES {
                licenses.0.extend(more.0);
            }
        }
        Ok(licenses)
    }

    fn map<A: MapAccess<'de>>(mut map: A) -> Result<Self, A::Error> {
        let mut licenses = Self::default();
        while let Some(key) = map.next_key::<Text<'de>>()? {
            if key.as_str() == "type" {
                licenses = map.next_value()?;
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(licenses)
    }
}

impl<'de> Deserialize<'de> for Licenses {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        any(deserializer)
    }
}

/// The keys of an object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Keys<'a>(pub(super) Vec<Cow<'a, str>>);

impl<'de> Lenient<'de> for Keys<'de> {
    fn map<A: MapAccess<'de>>(mut map: A) -> Result<Self, A::Error> {
        let mut keys = Self::default();
        while let Some(key) = map.next_key::<Text<'de>>()? {
            map.next_value::<IgnoredAny>()?;
            keys.0.push(key.into_cow());
        }
        Ok(keys)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Keys<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        any::<Keys<'de>, D>(deserializer)
    }
}

/// The keys of an object, for a field of a document that is not borrowed from.
pub(super) fn keys<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    Ok(Keys::deserialize(deserializer)?.0.into_iter().map(Cow::into_owned).collect())
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
            assert_eq!(serde_json::from_str::<Licenses>(other).expect("is JSON").0, [""; 0], "{other}");
        }
        assert_eq!(serde_json::from_str::<Flag>("true").expect("is JSON"), Flag(true));
        assert_eq!(serde_json::from_str::<Flag>("[true]").expect("is JSON"), Flag(false));
    }

    #[test]
    fn licences_have_three_forms() {
        let check = |json: &str, expected: &[&str]| {
            assert_eq!(serde_json::from_str::<Licenses>(json).expect("is JSON").0, expected, "{json}");
        };
        check(r#""MIT""#, &["MIT"]);
        check(r#"["MIT", " ", {"type": "BSD", "url": "u"}, 1]"#, &["MIT", "BSD"]);
        check(r#"{"type": "MIT"}"#, &["MIT"]);
        let many = format!("[{}\"a\"]", "\"a\",".repeat(1000));
        assert_eq!(serde_json::from_str::<Licenses>(&many).expect("is JSON").0.len(), MOST_LICENSES);
    }

    #[test]
    fn keys_are_taken_without_their_values() {
        let check = |json: &str, expected: &[&str]| {
            assert_eq!(serde_json::from_str::<Keys<'_>>(json).expect("is JSON").0, expected, "{json}");
        };
        check(r#"{"a": 1, "b\n": {"c": []}, "packages": {"d": {}}}"#, &["a", "b\n", "packages"]);
        check("[1]", &[]);
    }
}
