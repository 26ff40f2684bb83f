//! Extensible data notation (<https://github.com/edn-format/edn>), in which the service takes facts. Written only.

use std::borrow::Cow;
use std::fmt::{self, Write as _};

use jiff::Timestamp;

/// A value.
///
/// ```
/// use supercargo_scout::edn::Value;
///
/// let value = Value::Map(vec![("docker.tag/name", "1.0".into()), ("n", Value::from(20))]);
/// assert_eq!(value.to_string(), r#"{:docker.tag/name "1.0" :n 20}"#);
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Value {
    /// `nil`
    Nil,
    /// `true`, `false`
    Bool(bool),
    /// `42`
    Integer(i64),
    /// `"text"`
    String(Cow<'static, str>),
    /// `:namespace/name`, given without the colon.
    Keyword(&'static str),
    /// `#inst "2026-01-02T03:04:05Z"`
    Instant(Timestamp),
    /// `[1 2]`
    Vector(Vec<Value>),
    /// `{:a 1}`; keys are keywords, given without the colon, each once.
    Map(Vec<(&'static str, Value)>),
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::String(text.to_owned().into())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::String(text.into())
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Integer(number)
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<Timestamp> for Value {
    fn from(time: Timestamp) -> Self {
        Self::Instant(time)
    }
}

impl<V: Into<Value>> FromIterator<V> for Value {
    fn from_iter<I: IntoIterator<Item = V>>(values: I) -> Self {
        Self::Vector(values.into_iter().map(Into::into).collect())
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nil => f.write_str("nil"),
            Self::Bool(value) => write!(f, "{value}"),
            Self::Integer(number) => write!(f, "{number}"),
            Self::String(text) => string(f, text),
            Self::Keyword(name) => write!(f, ":{name}"),
            // RFC 3339, in UTC, with as many digits as there are.
            Self::Instant(time) => write!(f, "#inst \"{time}\""),
            Self::Vector(values) => {
                f.write_char('[')?;
                for (at, value) in values.iter().enumerate() {
                    write!(f, "{}{value}", if at == 0 { "" } else { " " })?;
                }
                f.write_char(']')
            }
            Self::Map(entries) => {
                f.write_char('{')?;
                for (at, (key, value)) in entries.iter().enumerate() {
                    write!(f, "{}:{key} {value}", if at == 0 { "" } else { " " })?;
                }
                f.write_char('}')
            }
        }
    }
}

/// A string with the escapes that the format knows: `\t \r \n \\ \"`. Everything else stands for itself.
fn string(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    f.write_char('"')?;
    let mut rest = text;
    while let Some(at) = rest.find(['"', '\\', '\n', '\r', '\t']) {
        f.write_str(&rest[..at])?;
        f.write_str(match rest.as_bytes()[at] {
            b'"' => "\\\"",
            b'\\' => "\\\\",
            b'\n' => "\\n",
            b'\r' => "\\r",
            _ => "\\t",
        })?;
        rest = &rest[at + 1..];
    }
    f.write_str(rest)?;
    f.write_char('"')
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Expected texts are those of the format's description.
    #[test]
    fn values_are_written_as_the_format_says() {
        let check = |value: Value, expected: &str| assert_eq!(value.to_string(), expected);
        check(Value::Nil, "nil");
        check(true.into(), "true");
        check((-42).into(), "-42");
        check(i64::MAX.into(), "9223372036854775807");
        check("".into(), r#""""#);
        check("a \"b\" \\ c\n\td\r".into(), r#""a \"b\" \\ c\n\td\r""#);
        check("größer 😀 \u{7f}".into(), "\"größer 😀 \u{7f}\"");
        check(Value::Keyword("sbom.state/INDEXED"), ":sbom.state/INDEXED");
        check("2026-01-02T03:04:05Z".parse::<Timestamp>().unwrap().into(), r#"#inst "2026-01-02T03:04:05Z""#);
        check(
            "2026-01-02T05:04:05.25+02:00".parse::<Timestamp>().unwrap().into(),
            r#"#inst "2026-01-02T03:04:05.25Z""#,
        );
        check(Value::Vector(vec![]), "[]");
        check(["a", "b"].into_iter().collect(), r#"["a" "b"]"#);
        check(Value::Map(vec![]), "{}");
        check(Value::Map(vec![("add", ["x"].into_iter().collect())]), r#"{:add ["x"]}"#);
    }
}
