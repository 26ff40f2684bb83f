//! Maven: the version order specification,
//! <https://maven.apache.org/pom.html#version-order-specification>.
//!
//! One rule is stated more strictly than there: zeros are dropped before any qualifier, not only before one that
//! a hyphen begins. Otherwise `1 < 1-1 < 1.0.alpha < 1` would hold.

use std::cmp::Ordering;

use super::number::{Number, split_digits, split_while};

/// A token, with what it is parted by from the one before. The order of the variants is the order of tokens;
/// `End` stands for the padding of the shorter version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Token<'a> {
    PreRelease(u8),
    End,
    Release,
    ServicePack,
    Word(&'a str),
    HyphenNumber(Number<'a>),
    DotNumber(Number<'a>),
}

pub(super) fn compare(a: &str, b: &str) -> Ordering {
    let (a, b) = (a.to_lowercase(), b.to_lowercase());
    tokens(&a).cmp(&tokens(&b))
}

fn tokens(version: &str) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    let mut rest = version;
    let mut hyphen = true;
    loop {
        let digits = rest.starts_with(|c: char| c.is_ascii_digit());
        let (text, after) = if digits {
            split_digits(rest)
        } else {
            split_while(rest, |c| !c.is_ascii_digit() && c != '.' && c != '-')
        };
        let before_number = after.starts_with(|c: char| c.is_ascii_digit());
        tokens.push(match text {
            _ if digits || text.is_empty() => {
                let number = Number::new(text);
                if hyphen { Token::HyphenNumber(number) } else { Token::DotNumber(number) }
            }
            word => qualifier(word, before_number),
        });
        match after.chars().next() {
            None => break,
            Some(separator @ ('.' | '-')) => {
                hyphen = separator == '-';
                rest = &after[1..];
            }
            // Between digits and letters stands, as it were, a hyphen.
            Some(_) => {
                hyphen = true;
                rest = after;
            }
        }
    }
    trim(tokens)
}

fn qualifier(word: &str, before_number: bool) -> Token<'_> {
    match word {
        "alpha" => Token::PreRelease(0),
        "beta" => Token::PreRelease(1),
        "milestone" => Token::PreRelease(2),
        "a" if before_number => Token::PreRelease(0),
        "b" if before_number => Token::PreRelease(1),
        "m" if before_number => Token::PreRelease(2),
        "rc" | "cr" => Token::PreRelease(3),
        "snapshot" => Token::PreRelease(4),
        "ga" | "final" | "release" => Token::Release,
        "sp" => Token::ServicePack,
        other => Token::Word(other),
    }
}

/// Drops what says nothing (zeros, `final`) at the end, before a hyphen, and before a qualifier.
fn trim(tokens: Vec<Token<'_>>) -> Vec<Token<'_>> {
    let mut kept = vec![Token::End];
    for token in tokens.into_iter().rev() {
        let nothing = match token {
            Token::Release => true,
            Token::HyphenNumber(number) | Token::DotNumber(number) => number.is_zero(),
            _ => false,
        };
        let before_a_dot = matches!(kept.last(), Some(Token::DotNumber(_)));
        if !nothing || before_a_dot {
            kept.push(token);
        }
    }
    kept.reverse();
    kept
}

#[cfg(test)]
mod tests {
    use super::super::tests::{ascending, equal};

    #[test]
    fn the_specifications_examples() {
        ascending("maven", &["1", "1.1"]);
        ascending("maven", &["1-snapshot", "1", "1-sp"]);
        ascending("maven", &["1-foo2", "1-foo10"]);
        ascending("maven", &["1-foo", "1-1", "1.1"]);
        equal("maven", &["1.foo", "1-foo"]);
        equal("maven", &["1.ga", "1-ga", "1-0", "1.0", "1", "1.0.0", "1.final", "1-RELEASE"]);
        ascending("maven", &["1-ga.1", "1-sp.1"]);
        ascending("maven", &["1-sp-1", "1-ga-1"]);
        equal("maven", &["1-ga-1", "1-1"]);
        equal("maven", &["1-a1", "1-alpha-1"]);
        equal("maven", &["1.0.0-foo.0.0", "1-foo"]);
        equal("maven", &["1.0.0-0.0.0", "1"]);
        equal("maven", &["1-1.foo-bar1baz-.1", "1-1.foo-bar-1-baz-0.1"]);
        equal("maven", &["1-rc1", "1-CR1"]);
    }

    #[test]
    fn versions_as_they_are() {
        ascending("maven", &["2.0-alpha1", "2.0-beta9", "2.0-rc1", "2.0", "2.0.1", "2.3.1", "2.12.4", "2.17.1"]);
        ascending("maven", &["5.0.0.Alpha1", "5.0.0.CR1", "5.0.0.Final", "5.0.0.SP1", "5.0.1.Final"]);
        ascending("maven", &["31.1-android", "31.1-jre", "32.0-jre"]);
        ascending("maven", &["1.0.alpha", "1", "1-1", "1.0.1"]);
    }
}
