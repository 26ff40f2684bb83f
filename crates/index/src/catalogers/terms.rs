//! Terms of Erlang, Elixir and Prolog, as far as package metadata uses them.
//!
//! Application resources, `rebar.lock`, `mix.lock` and `pack.pl` are literals of their languages: atoms, strings,
//! binaries, tuples, lists. They are read by one reader that takes everything else between values (`,`, `:`, `=>`,
//! `<<`, `|`, the full stop) for white space. So `%{"a": {:hex, :b}}` is the tuple of `a` and the tuple of `hex` and
//! `b`, and `name(b).` is `name` followed by the tuple of `b`.

/// How deep values may lie in each other. Real files have 6.
const DEEPEST: usize = 64;

/// Values of one file. Large lock files have 30 000.
const MOST_TERMS: usize = 300_000;

/// A value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Term {
    /// Atom, string, binary or number, as written.
    Text(String),
    /// `{…}`, also a map; `(…)` of Prolog.
    Tuple(Vec<Term>),
    /// `[…]`
    List(Vec<Term>),
}

impl Term {
    pub(super) fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The elements of a tuple.
    pub(super) fn tuple(&self) -> Option<&[Self]> {
        match self {
            Self::Tuple(terms) => Some(terms),
            _ => None,
        }
    }

    /// The elements of a list.
    pub(super) fn list(&self) -> Option<&[Self]> {
        match self {
            Self::List(terms) => Some(terms),
            _ => None,
        }
    }
}

/// What begins a comment that ends with the line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Syntax {
    /// `%`
    Erlang,
    /// `#`
    Elixir,
    /// `%`, and `/* … */`
    Prolog,
}

/// The values of `text`.
pub(super) fn parse(text: &str, syntax: Syntax) -> Result<Vec<Term>, &'static str> {
    let mut reader = Reader { rest: text, syntax };
    // The terms of each value that is still open, with what closes it; the outermost is the file.
    let mut open: Vec<(u8, Vec<Term>)> = vec![(0, Vec::new())];
    let mut count = 0;
    while let Some(token) = reader.next()? {
        count += 1;
        if count > MOST_TERMS {
            return Err("more than 300000 values");
        }
        match token {
            Token::Text(text) => push(&mut open, Term::Text(text)),
            Token::Open(_) if open.len() > DEEPEST => return Err("values nested more than 64 deep"),
            Token::Open(bracket) => open.push((bracket, Vec::new())),
            Token::Close(bracket) => match open.pop() {
                Some((opened, terms)) if opened == bracket => {
                    push(&mut open, if bracket == b']' { Term::List(terms) } else { Term::Tuple(terms) });
                }
                _ => return Err("brackets that do not match"),
            },
        }
    }
    match <[_; 1]>::try_from(open) {
        Ok([(_, terms)]) => Ok(terms),
        Err(_) => Err("a value without its end"),
    }
}

fn push(open: &mut [(u8, Vec<Term>)], term: Term) {
    if let Some((_, terms)) = open.last_mut() {
        terms.push(term);
    }
}

enum Token {
    Text(String),
    /// With the byte that closes it.
    Open(u8),
    Close(u8),
}

struct Reader<'a> {
    rest: &'a str,
    syntax: Syntax,
}

impl Reader<'_> {
    fn next(&mut self) -> Result<Option<Token>, &'static str> {
        loop {
            let Some(&first) = self.rest.as_bytes().first() else { return Ok(None) };
            match (first, self.syntax) {
                (b'%', Syntax::Erlang | Syntax::Prolog) | (b'#', Syntax::Elixir) => {
                    self.rest = self.rest.split_once('\n').map_or("", |(_, rest)| rest);
                }
                (b'/', Syntax::Prolog) if self.rest.starts_with("/*") => {
                    self.rest = self.rest.split_once("*/").map_or("", |(_, rest)| rest);
                }
                // `$x` is the character x, whatever it means elsewhere.
                (b'$', Syntax::Erlang) => self.rest = skip(self.rest, if self.rest.starts_with("$\\") { 3 } else { 2 }),
                (b'{', _) => return Ok(Some(self.bracket(Token::Open(b'}')))),
                (b'[', _) => return Ok(Some(self.bracket(Token::Open(b']')))),
                (b'(', _) => return Ok(Some(self.bracket(Token::Open(b')')))),
                (b'}' | b']' | b')', _) => return Ok(Some(self.bracket(Token::Close(first)))),
                (b'"' | b'\'', _) => return self.quoted(char::from(first)).map(Some),
                _ if is_bare(self.rest.chars().next().unwrap_or_default()) => return Ok(Some(self.bare())),
                _ => self.rest = skip(self.rest, 1),
            }
        }
    }

    fn bracket(&mut self, token: Token) -> Token {
        self.rest = skip(self.rest, 1);
        token
    }

    fn quoted(&mut self, quote: char) -> Result<Token, &'static str> {
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
                c if c == quote => {
                    self.rest = self.rest.get(at + 1..).unwrap_or_default();
                    return Ok(Token::Text(text));
                }
                c => text.push(c),
            }
        }
        Err("a string without its end")
    }

    /// An atom or a number. A full stop belongs to it unless it ends the form: `1.5`, `rabbit@host`.
    fn bare(&mut self) -> Token {
        let end = self
            .rest
            .char_indices()
            .find(|&(at, c)| {
                let inner_stop = c == '.' && self.rest[at + 1..].starts_with(|next: char| next.is_alphanumeric());
                !is_bare(c) && !inner_stop
            })
            .map_or(self.rest.len(), |(at, _)| at);
        let (text, rest) = self.rest.split_at(end);
        self.rest = rest;
        Token::Text(text.to_owned())
    }
}

fn is_bare(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '@' | '-' | '+' | '~' | '*' | '/')
}

/// `text` after its first `count` characters.
fn skip(text: &str, count: usize) -> &str {
    let mut chars = text.chars();
    for _ in 0..count {
        chars.next();
    }
    chars.as_str()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A term in one notation: `{a [b]}`.
    fn show(terms: &[Term]) -> String {
        let shown: Vec<String> = terms
            .iter()
            .map(|term| match term {
                Term::Text(text) => text.clone(),
                Term::Tuple(terms) => format!("{{{}}}", show(terms)),
                Term::List(terms) => format!("[{}]", show(terms)),
            })
            .collect();
        shown.join(" ")
    }

    #[test]
    fn literals_of_three_languages() {
        let check = |syntax, text: &str, expected: &str| assert_eq!(show(&parse(text, syntax).unwrap()), expected);
        check(
            Syntax::Erlang,
            "{application, 'quux', [ %% the quux\n {vsn, \"1.2.3\"}, {mod, {quux_app, []}}, {t, 2.5}]}.",
            "{application quux [{vsn 1.2.3} {mod {quux_app []}} {t 2.5}]}",
        );
        check(Syntax::Erlang, "[{<<\"a\">>,{pkg,<<\"b\">>,<<\"1.0\">>},0}].", "[{a {pkg b 1.0} 0}]");
        check(Syntax::Erlang, "{a, $\", $\\n, b}.", "{a b}");
        check(Syntax::Erlang, "{#{a => \"x\\\"y\"}}.", "{{a x\"y}}");
        check(
            Syntax::Elixir,
            "# lock\n%{\n \"a\": {:hex, :a_b, \"1.0\", [:mix], [{:c, \"~> 1\", [hex: :c]}]},\n}",
            "{a {hex a_b 1.0 [mix] [{c ~> 1 [hex c]}]}}",
        );
        check(
            Syntax::Elixir,
            "%{\"a\" => {:git, \"https://x/y.git\", \"f00\", [ref: \"f00\"]}}",
            "{a {git https://x/y.git f00 [ref f00]}}",
        );
        check(Syntax::Prolog, "/* x(y). */ name(b). % c\nversion('1.0').", "name {b} version {1.0}");
        check(Syntax::Erlang, "", "");
    }

    #[test]
    fn what_is_broken_is_refused() {
        for text in ["{a", "a}", "{a]", "\"a", "\"a\\", "'"] {
            assert!(parse(text, Syntax::Erlang).is_err(), "{text}");
        }
        assert!(parse(&"[".repeat(100_000), Syntax::Erlang).is_err());
        assert!(parse(&"a ".repeat(MOST_TERMS + 1), Syntax::Erlang).is_err());
    }

    proptest! {
        #[test]
        fn never_panics(text in "[a\"'\\\\{}\\[\\]().:%#/*<>é \n]{0,60}") {
            for syntax in [Syntax::Erlang, Syntax::Elixir, Syntax::Prolog] {
                let _ = parse(&text, syntax);
            }
        }
    }
}
