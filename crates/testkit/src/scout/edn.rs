//! A reader of extensible data notation (<https://github.com/edn-format/edn>), strict: what the format does not know is
//! an error.

use std::collections::BTreeMap;

/// A value.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Edn {
    /// `nil`
    Nil,
    /// `true`, `false`
    Bool(bool),
    /// `42`
    Integer(i64),
    /// `"text"`
    String(String),
    /// `:namespace/name`, without the colon.
    Keyword(String),
    /// `#inst "2026-01-02T03:04:05Z"`
    Instant(jiff::Timestamp),
    /// `[1 2]`
    Vector(Vec<Edn>),
    /// `{:a 1}`; every key is a keyword.
    Map(BTreeMap<String, Edn>),
}

/// Levels of vectors and maps within each other.
const DEEPEST: usize = 32;

impl Edn {
    /// Reads the one value that `text` is.
    ///
    /// # Errors
    ///
    /// What is wrong with it, and at which byte.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut reader = Reader { text, at: 0 };
        let value = reader.value(0)?;
        reader.skip();
        if reader.at < text.len() {
            return Err(reader.wrong("something after the value"));
        }
        Ok(value)
    }

    /// The text, if it is one.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            _ => None,
        }
    }

    /// The keyword, if it is one.
    pub fn as_keyword(&self) -> Option<&str> {
        match self {
            Self::Keyword(name) => Some(name),
            _ => None,
        }
    }

    /// The number, if it is one.
    pub fn as_integer(&self) -> Option<i64> {
        match self {
            Self::Integer(number) => Some(*number),
            _ => None,
        }
    }

    /// The elements, if it is a vector.
    pub fn as_vector(&self) -> Option<&[Edn]> {
        match self {
            Self::Vector(values) => Some(values),
            _ => None,
        }
    }

    /// The value behind a key, if it is a map that has it.
    pub fn get(&self, key: &str) -> Option<&Edn> {
        match self {
            Self::Map(entries) => entries.get(key),
            _ => None,
        }
    }
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl Reader<'_> {
    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    fn wrong(&self, what: &str) -> String {
        format!("{what} at byte {}", self.at)
    }

    /// White space, commas and comments.
    fn skip(&mut self) {
        loop {
            let rest = self.rest();
            let blank = rest.len() - rest.trim_start_matches(|c: char| c.is_whitespace() || c == ',').len();
            self.at += blank;
            if !self.rest().starts_with(';') {
                return;
            }
            self.at += self.rest().find('\n').unwrap_or(self.rest().len());
        }
    }

    fn value(&mut self, depth: usize) -> Result<Edn, String> {
        if depth > DEEPEST {
            return Err(self.wrong("too many levels"));
        }
        self.skip();
        match self.rest().chars().next() {
            None => Err(self.wrong("the end")),
            Some('"') => self.string().map(Edn::String),
            Some('[') => {
                let mut values = Vec::new();
                self.at += 1;
                while !self.closes(']')? {
                    values.push(self.value(depth + 1)?);
                }
                Ok(Edn::Vector(values))
            }
            Some('{') => {
                let mut entries = BTreeMap::new();
                self.at += 1;
                while !self.closes('}')? {
                    let Edn::Keyword(key) = self.value(depth + 1)? else {
                        return Err(self.wrong("a key that is no keyword"));
                    };
                    if self.closes('}')? {
                        return Err(self.wrong("a key without a value"));
                    }
                    let value = self.value(depth + 1)?;
                    if entries.insert(key.clone(), value).is_some() {
                        return Err(self.wrong(&format!("a second {key}")));
                    }
                }
                Ok(Edn::Map(entries))
            }
            Some('#') => {
                if !self.rest().starts_with("#inst") {
                    return Err(self.wrong("a tag that is not #inst"));
                }
                self.at += "#inst".len();
                self.skip();
                let text = self.string()?;
                text.parse().map(Edn::Instant).map_err(|_| self.wrong(&format!("{text:?}, which is no time,")))
            }
            Some(_) => self.token(),
        }
    }

    /// Whether the collection ends here.
    fn closes(&mut self, with: char) -> Result<bool, String> {
        self.skip();
        match self.rest().chars().next() {
            None => Err(self.wrong("the end")),
            Some(c) if c == with => {
                self.at += 1;
                Ok(true)
            }
            Some(_) => Ok(false),
        }
    }

    fn string(&mut self) -> Result<String, String> {
        if !self.rest().starts_with('"') {
            return Err(self.wrong("no string"));
        }
        let mut text = String::new();
        let mut chars = self.rest().char_indices().skip(1);
        while let Some((at, c)) = chars.next() {
            match c {
                '"' => {
                    self.at += at + 1;
                    return Ok(text);
                }
                '\\' => match chars.next().map(|(_, c)| c) {
                    Some('t') => text.push('\t'),
                    Some('r') => text.push('\r'),
                    Some('n') => text.push('\n'),
                    Some(c @ ('\\' | '"')) => text.push(c),
                    other => return Err(self.wrong(&format!("an escape {other:?} in the string"))),
                },
                other => text.push(other),
            }
        }
        Err(self.wrong("a string without an end"))
    }

    fn token(&mut self) -> Result<Edn, String> {
        let end = |c: char| c.is_whitespace() || ",;\"[]{}()".contains(c);
        let length = self.rest().find(end).unwrap_or(self.rest().len());
        let token = self.rest()[..length].to_owned();
        let value = match token.as_str() {
            "nil" => Edn::Nil,
            "true" => Edn::Bool(true),
            "false" => Edn::Bool(false),
            other => match other.strip_prefix(':') {
                Some(name) if is_symbol(name) => Edn::Keyword(name.to_owned()),
                _ => Edn::Integer(other.parse().map_err(|_| self.wrong(&format!("{other:?}")))?),
            },
        };
        self.at += length;
        Ok(value)
    }
}

/// `name` or `namespace/name`.
fn is_symbol(text: &str) -> bool {
    let is_part = |part: &str| {
        part.starts_with(|c: char| c.is_ascii_alphabetic())
            && part.chars().all(|c| c.is_ascii_alphanumeric() || ".*+!-_?$%&=<>#".contains(c))
    };
    match text.split_once('/') {
        Some((namespace, name)) => is_part(namespace) && is_part(name),
        None => is_part(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_read() {
        let text = "; facts\n[{:a/b-c \"x\\n\\\"\\\\\", :n -7} nil true #inst \"2026-01-02T03:04:05.5+01:00\"\n:k []]";
        let map = BTreeMap::from([
            ("a/b-c".to_owned(), Edn::String("x\n\"\\".to_owned())),
            ("n".to_owned(), Edn::Integer(-7)),
        ]);
        let expected = [
            Edn::Map(map),
            Edn::Nil,
            Edn::Bool(true),
            Edn::Instant("2026-01-02T02:04:05.5Z".parse().unwrap()),
            Edn::Keyword("k".to_owned()),
            Edn::Vector(vec![]),
        ];
        assert_eq!(Edn::parse(text).unwrap().as_vector().unwrap(), expected);
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (text, expected) in [
            ("", "the end at byte 0"),
            ("[1", "the end at byte 2"),
            ("{:a}", "a key without a value at byte 4"),
            ("{:a 1 :a 2}", "a second a at byte 10"),
            ("{\"a\" 1}", "a key that is no keyword at byte 4"),
            (r#""\u0041""#, "an escape Some('u') in the string at byte 0"),
            ("\"open", "a string without an end at byte 0"),
            ("1.5", "\"1.5\" at byte 0"),
            (":1", "\":1\" at byte 0"),
            ("#inst \"yesterday\"", "\"yesterday\", which is no time, at byte 17"),
            ("#uuid \"x\"", "a tag that is not #inst at byte 0"),
            ("1 2", "something after the value at byte 2"),
        ] {
            assert_eq!(Edn::parse(text).unwrap_err(), expected, "{text}");
        }
        assert!(Edn::parse(&"[".repeat(100_000)).unwrap_err().starts_with("too many levels"));
    }
}
