//! The strings that a rockspec assigns.
//!
//! A rockspec is a Lua program. All but a few assign literals to globals, some put them together from local
//! variables: `version = rock_version .. "-" .. revision`. That much is evaluated here; what calls functions is not,
//! and its variable has no value. Grammar: <https://www.lua.org/manual/5.4/manual.html#9>.

use std::collections::HashMap;

/// How deep tables may lie in each other.
const DEEPEST: usize = 32;

/// Bytes of a variable's string that is used again; a chain of doublings would grow without bound.
const LONGEST_VALUE: usize = 4096;

/// Variables and fields that are kept.
const MOST_VALUES: usize = 1024;

/// The variables of a rockspec that are strings, or tables with fields that are.
#[derive(Debug, Default)]
pub(super) struct Rockspec {
    variables: HashMap<String, Value>,
}

#[derive(Debug)]
enum Value {
    Text(String),
    /// Fields whose values are strings.
    Table(Vec<(String, String)>),
    Unknown,
}

#[derive(Debug, PartialEq)]
enum Token<'a> {
    Name(&'a str),
    Text(String),
    Number(&'a str),
    Concat,
    Symbol(char),
}

impl Rockspec {
    /// Reads as far as the text can be understood.
    pub(super) fn read(text: &str) -> Self {
        let mut reader = Reader { tokens: Tokens { rest: text }, ahead: None, rockspec: Self::default() };
        while let Some(token) = reader.next() {
            if let Token::Name(name) = token
                && name != "local"
                && reader.peek() == Some(&Token::Symbol('='))
            {
                reader.next();
                let value = reader.expression(0);
                reader.rockspec.set(name, value);
            }
        }
        reader.rockspec
    }

    /// The string in a variable.
    pub(super) fn text(&self, variable: &str) -> Option<&str> {
        match self.variables.get(variable)? {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The string in a field of `description`.
    pub(super) fn description(&self, field: &str) -> Option<&str> {
        match self.variables.get("description")? {
            Value::Table(fields) => fields.iter().find(|(name, _)| name == field).map(|(_, text)| &**text),
            _ => None,
        }
    }

    fn set(&mut self, name: &str, value: Value) {
        if self.variables.len() < MOST_VALUES || self.variables.contains_key(name) {
            self.variables.insert(name.to_owned(), value);
        }
    }
}

struct Reader<'a> {
    tokens: Tokens<'a>,
    ahead: Option<Token<'a>>,
    rockspec: Rockspec,
}

impl<'a> Reader<'a> {
    fn next(&mut self) -> Option<Token<'a>> {
        self.ahead.take().or_else(|| self.tokens.next())
    }

    fn peek(&mut self) -> Option<&Token<'a>> {
        if self.ahead.is_none() {
            self.ahead = self.tokens.next();
        }
        self.ahead.as_ref()
    }

    /// Operands between `..`. Anything else after an operand (a call, an index) makes the value unknown.
    fn expression(&mut self, depth: usize) -> Value {
        let mut value = self.operand(depth);
        loop {
            match self.peek() {
                Some(Token::Concat) => {
                    self.next();
                    let more = self.operand(depth);
                    value = match (value, more) {
                        (Value::Text(a), Value::Text(b)) if a.len() + b.len() <= LONGEST_VALUE => Value::Text(a + &b),
                        _ => Value::Unknown,
                    };
                }
                Some(Token::Symbol('.' | ':')) => {
                    self.next();
                    self.next();
                    value = Value::Unknown;
                }
                // A call: `f(x)`, `f"x"`, `f{x}`.
                Some(Token::Symbol('(' | '{') | Token::Text(_)) => {
                    self.operand(depth);
                    value = Value::Unknown;
                }
                _ => return value,
            }
        }
    }

    fn operand(&mut self, depth: usize) -> Value {
        match self.next() {
            Some(Token::Text(text)) => Value::Text(text),
            Some(Token::Number(number)) => Value::Text(number.to_owned()),
            Some(Token::Name(name)) => match self.rockspec.variables.get(name) {
                Some(Value::Text(text)) if text.len() <= LONGEST_VALUE => Value::Text(text.clone()),
                _ => Value::Unknown,
            },
            Some(Token::Symbol('{')) if depth < DEEPEST => self.table(depth + 1),
            Some(Token::Symbol('(')) if depth < DEEPEST => {
                let value = self.expression(depth + 1);
                let mut open = 1_usize;
                while open > 0 {
                    match self.next() {
                        Some(Token::Symbol('(')) => open += 1,
                        Some(Token::Symbol(')')) => open -= 1,
                        Some(_) => {}
                        None => break,
                    }
                }
                value
            }
            _ => Value::Unknown,
        }
    }

    fn table(&mut self, depth: usize) -> Value {
        let mut fields = Vec::new();
        loop {
            match self.next() {
                None | Some(Token::Symbol('}')) => return Value::Table(fields),
                Some(Token::Name(name)) if self.peek() == Some(&Token::Symbol('=')) => {
                    self.next();
                    if let Value::Text(text) = self.expression(depth)
                        && fields.len() < MOST_VALUES
                    {
                        fields.push((name.to_owned(), text));
                    }
                }
                Some(token @ Token::Symbol('{')) => {
                    self.ahead = Some(token);
                    self.expression(depth);
                }
                Some(_) => {}
            }
        }
    }
}

struct Tokens<'a> {
    rest: &'a str,
}

impl<'a> Tokens<'a> {
    fn next(&mut self) -> Option<Token<'a>> {
        loop {
            self.rest = self.rest.trim_start();
            let Some(comment) = self.rest.strip_prefix("--") else { break };
            self.rest = match long_string(comment) {
                Some((_, rest)) => rest,
                None => comment.split_once('\n').map_or("", |(_, rest)| rest),
            };
        }
        let first = self.rest.chars().next()?;
        if first == '['
            && let Some((text, rest)) = long_string(self.rest)
        {
            self.rest = rest;
            return Some(Token::Text(text.to_owned()));
        }
        if let Some(rest) = self.rest.strip_prefix("..") {
            self.rest = rest;
            return Some(Token::Concat);
        }
        if first == '"' || first == '\'' {
            return Some(Token::Text(self.quoted(first)));
        }
        if first.is_ascii_digit() {
            let word = self.take(|c| c.is_ascii_alphanumeric() || c == '.');
            return Some(Token::Number(word));
        }
        if first.is_alphabetic() || first == '_' {
            return Some(Token::Name(self.take(|c| c.is_alphanumeric() || c == '_')));
        }
        self.rest = &self.rest[first.len_utf8()..];
        Some(Token::Symbol(first))
    }

    fn take(&mut self, wanted: impl Fn(char) -> bool) -> &'a str {
        let end = self.rest.find(|c| !wanted(c)).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        word
    }

    /// A string that ends at its line's end if nothing closes it before.
    fn quoted(&mut self, quote: char) -> String {
        let mut text = String::new();
        let mut chars = self.rest.char_indices().skip(1);
        while let Some((at, c)) = chars.next() {
            match c {
                '\\' => match chars.next() {
                    Some((_, 'n')) => text.push('\n'),
                    Some((_, 't')) => text.push('\t'),
                    Some((_, other)) => text.push(other),
                    None => break,
                },
                '\n' => {
                    self.rest = &self.rest[at..];
                    return text;
                }
                c if c == quote => {
                    self.rest = &self.rest[at + 1..];
                    return text;
                }
                c => text.push(c),
            }
        }
        self.rest = "";
        text
    }
}

/// The contents of `[[…]]` or `[==[…]==]` at the beginning of `text`, and what follows.
fn long_string(text: &str) -> Option<(&str, &str)> {
    let inner = text.strip_prefix('[')?;
    let level = inner.len() - inner.trim_start_matches('=').len();
    let body = inner[level..].strip_prefix('[')?;
    let body = body.strip_prefix("\r\n").or_else(|| body.strip_prefix('\n')).unwrap_or(body);
    let close = format!("]{}]", "=".repeat(level));
    Some(body.split_once(&close).unwrap_or((body, "")))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn strings_are_put_together() {
        let check = |text: &str, expected: Option<&str>| {
            assert_eq!(Rockspec::read(text).text("version"), expected, "{text}");
        };
        check("version = \"1.0-1\"", Some("1.0-1"));
        check("version='1.0-1'version2=2", Some("1.0-1"));
        check("version = [[\n1.0-1]]", Some("1.0-1"));
        check("version = \"1\\\"0\\\\\"", Some("1\"0\\"));
        check("local v = \"1.0\"\nlocal r = 3\nversion = v .. '-' .. r", Some("1.0-3"));
        check("version = (\"1.0\") .. \"-1\"", Some("1.0-1"));
        check("version = v .. \"-1\"", None);
        check("version = (\"%s-1\"):format(v)", None);
        check("build = merge { version = \"2\" }", None);
        check("version = os.getenv(\"V\")", None);
        check("-- version = \"9\"\n--[[ version = \"8\"\n]] version = \"1\"", Some("1"));
        check("build = { version = \"2\", { version = \"3\" } }", None);
        check("build = { modules = { [\"a\"] = \"b\", version = \"2\" } }\nversion = \"1\"", Some("1"));
        check("version = \"1\nx = 2", Some("1"));
        check("", None);
    }

    #[test]
    fn growth_is_bounded() {
        let doubling = "v = \"aaaaaaaa\"\n".to_owned() + &"v = v .. v\n".repeat(1000);
        assert_eq!(Rockspec::read(&doubling).text("v"), None);
        let deep = format!("description = {}license = \"MIT\"", "{".repeat(100_000));
        assert_eq!(Rockspec::read(&deep).description("license"), None);
        let started = std::time::Instant::now();
        Rockspec::read(&"[=".repeat(1 << 17));
        Rockspec::read(&"[[".repeat(1 << 17));
        Rockspec::read(&"a = ((((".repeat(1 << 15));
        assert!(started.elapsed().as_secs() < 5, "took {:?}", started.elapsed());
    }

    proptest! {
        #[test]
        fn never_panics(text in "[a =.\"'\\[\\](){}:,é\n-]{0,60}") {
            Rockspec::read(&text);
        }
    }
}
