//! Lines of nested mappings: the part of YAML in which pnpm and Yarn write their lock files.
//!
//! Both tools write block mappings of one key a line, so a lock file is read line by line, without a tree. Anchors,
//! aliases and tags do not exist here: a bomb made of them is read as text. Sequences and the further lines of
//! longer scalars are deeper than the fields that are asked for, and pass unseen.
//!
//! | Line | Depth, key, value |
//! | --- | --- |
//! | `packages:` | 0, `packages`, nothing |
//! | `  '@s/a@1.0.0(b@2)':` | 1, `@s/a@1.0.0(b@2)`, nothing |
//! | `    version: 1.0.0 # new` | 2, `version`, `1.0.0` |
//! | `  ? a key of more than 1024 characters` and then `  : ` | 1, the key, nothing |
//! | `---` | 0, `---`, nothing |

use std::borrow::Cow;

/// Mappings within mappings. pnpm's go down to 4.
const DEEPEST: usize = 32;

/// One line of a mapping.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Line<'a> {
    /// How many mappings it stands in.
    pub(super) depth: usize,
    /// The line without its indentation.
    pub(super) text: &'a str,
}

/// The lines that say something, with their depth.
pub(super) fn lines(text: &str) -> impl Iterator<Item = Line<'_>> {
    let mut indents: Vec<usize> = Vec::new();
    text.lines().filter_map(move |line| {
        let text = line.trim_start_matches(' ');
        let indent = line.len() - text.len();
        let text = text.trim_end();
        if text.is_empty() || text.starts_with('#') || text.starts_with("- ") || text == "-" {
            return None;
        }
        while indents.last().is_some_and(|&last| last >= indent) {
            indents.pop();
        }
        let depth = indents.len();
        if depth < DEEPEST {
            indents.push(indent);
        }
        // Of a long key, the part behind it stands on a line of its own and says where the value begins.
        let is_value = text == ":" || text.starts_with(": ");
        (!is_value).then_some(Line { depth, text: text.strip_prefix("? ").unwrap_or(text) })
    })
}

impl<'a> Line<'a> {
    /// Key and value of a line of YAML. Flow mappings are left as they are.
    pub(super) fn key_value(&self) -> (Cow<'a, str>, Cow<'a, str>) {
        if let Some((key, rest)) = quoted(self.text) {
            return (key, scalar(rest.trim_start_matches(':')));
        }
        match self.text.split_once(": ") {
            Some((key, value)) => (Cow::Borrowed(key), scalar(value)),
            None => (Cow::Borrowed(self.text.strip_suffix(':').unwrap_or(self.text)), Cow::Borrowed("")),
        }
    }
}

/// A scalar on one line, without quotes and comment.
pub(super) fn scalar(text: &str) -> Cow<'_, str> {
    let text = text.trim();
    if let Some((value, _)) = quoted(text) {
        return value;
    }
    let text = text.find(" #").map_or(text, |comment| &text[..comment]);
    Cow::Borrowed(text.trim_end())
}

/// The quoted string at the beginning, and what follows it.
pub(super) fn quoted(text: &str) -> Option<(Cow<'_, str>, &str)> {
    let quote = text.chars().next().filter(|c| matches!(c, '"' | '\''))?;
    let body = &text[1..];
    let mut value: Option<String> = None;
    let mut rest = body;
    loop {
        let at = rest.find([quote, '\\'])?;
        let (before, found) = rest.split_at(at);
        let follows = &found[1..];
        let (decoded, behind) = if found.starts_with('\\') && quote == '"' {
            // Names and versions have no other escapes than of the quote and of the backslash itself.
            let escaped = follows.chars().next()?;
            (Some(escaped), &follows[escaped.len_utf8()..])
        } else if found.starts_with('\\') {
            (Some('\\'), follows)
        } else if quote == '\'' && follows.starts_with('\'') {
            (Some('\''), &follows[1..])
        } else {
            (None, follows)
        };
        match (decoded, &mut value) {
            (Some(decoded), value) => {
                let value = value.get_or_insert_default();
                value.push_str(before);
                value.push(decoded);
                rest = behind;
            }
            (None, None) => return Some((Cow::Borrowed(before), behind)),
            (None, Some(value)) => {
                value.push_str(before);
                return Some((Cow::Owned(std::mem::take(value)), behind));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn all(text: &str) -> Vec<(usize, String, String)> {
        lines(text)
            .map(|line| {
                let (key, value) = line.key_value();
                (line.depth, key.into_owned(), value.into_owned())
            })
            .collect()
    }

    fn check(text: &str, expected: &[(usize, &str, &str)]) {
        let expected: Vec<_> = expected.iter().map(|&(d, k, v)| (d, k.to_owned(), v.to_owned())).collect();
        assert_eq!(all(text), expected, "{text}");
    }

    #[test]
    fn depth_follows_the_indentation() {
        check(
            "---\na: 1\nb:\n    c: 'x''y' # z\n    # none\n\n    'd/e@1':\n      f: {g: h}\n  i:\nj:\n- k\n  - l: 1\n",
            &[
                (0, "---", ""),
                (0, "a", "1"),
                (0, "b", ""),
                (1, "c", "x'y"),
                (1, "d/e@1", ""),
                (2, "f", "{g: h}"),
                (1, "i", ""),
                (0, "j", ""),
            ],
        );
    }

    #[test]
    fn keys_may_hold_colons_and_quotes() {
        check("file:..:\r\n", &[(0, "file:..", "")]);
        check("a@https://b/c: d:e\n", &[(0, "a@https://b/c", "d:e")]);
        check("\"a: \\\"b\\\"\": \"c\\\\d\"\n", &[(0, "a: \"b\"", "c\\d")]);
        check("? 'long'\n:\n  a: 1\n", &[(0, "long", ""), (1, "a", "1")]);
        check("? long\n: a: 1\n", &[(0, "long", "")]);
        check("'open\n", &[(0, "'open", "")]);
        check("x\n", &[(0, "x", "")]);
    }

    #[test]
    fn hostile_depth_is_bounded() {
        let deep: String = (0..2000).map(|indent| format!("{}a:\n", " ".repeat(indent))).collect();
        assert!(lines(&deep).all(|line| line.depth <= DEEPEST));
    }

    proptest! {
        #[test]
        fn never_panics(text in "[ a:'\"\\\\?#\\-\\n\\r{}é]{0,80}") {
            all(&text);
        }
    }
}
