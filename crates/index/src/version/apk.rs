//! Alpine: apk-tools 3, `src/version.c`; Gentoo's package manager specification, 3.2.
//!
//! `number{.number}[letter]{_suffix[number]}[~hash][-r<number>]`

use std::cmp::Ordering;

use super::number::{Number, split_digits, split_while};

const PRE_RELEASES: [&str; 4] = ["alpha", "beta", "pre", "rc"];
const POST_RELEASES: [&str; 5] = ["cvs", "svn", "git", "hg", "p"];

/// A part of a version. Where two versions differ in what comes next, the order of the variants decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Part<'a> {
    PreRelease(usize),
    /// What breaks the grammar, and all that follows it.
    Invalid(&'a str),
    End,
    Revision(Number<'a>),
    Hash(&'a str),
    SuffixNumber(Number<'a>),
    PostRelease(usize),
    Letter(char),
    /// A further number with a leading zero is a decimal fraction, as in `1.05`.
    Fraction(&'a str),
    Number(Number<'a>),
}

pub(super) fn compare(a: &str, b: &str) -> Ordering {
    parts(a).cmp(parts(b))
}

/// How far the grammar has come.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    Start,
    Numbers,
    Letter,
    Suffix,
    SuffixNumber,
    Hash,
    Revision,
    End,
}

fn parts(version: &str) -> impl Iterator<Item = Part<'_>> {
    let (mut stage, mut rest) = (Stage::Start, version);
    std::iter::from_fn(move || {
        if stage == Stage::End {
            return None;
        }
        let (part, next, after) = next_part(stage, rest).unwrap_or_else(|| {
            let part = if rest.is_empty() { Part::End } else { Part::Invalid(rest) };
            (part, Stage::End, "")
        });
        (stage, rest) = (next, after);
        Some(part)
    })
}

fn next_part(stage: Stage, text: &str) -> Option<(Part<'_>, Stage, &str)> {
    let first = text.chars().next()?;
    if first.is_ascii_digit() && matches!(stage, Stage::Start | Stage::Suffix) {
        let (digits, rest) = split_digits(text);
        let number = Number::new(digits);
        return Some(match stage {
            Stage::Start => (Part::Number(number), Stage::Numbers, rest),
            _ => (Part::SuffixNumber(number), Stage::SuffixNumber, rest),
        });
    }
    match first {
        _ if stage == Stage::Start => None,
        '.' if stage == Stage::Numbers => {
            let (digits, rest) = split_digits(&text[1..]);
            let part = match digits.as_bytes().first()? {
                b'0' => Part::Fraction(digits),
                _ => Part::Number(Number::new(digits)),
            };
            Some((part, Stage::Numbers, rest))
        }
        'a'..='z' if stage == Stage::Numbers => Some((Part::Letter(first), Stage::Letter, &text[1..])),
        '_' if stage <= Stage::SuffixNumber => {
            let (word, rest) = split_while(&text[1..], |c| c.is_ascii_lowercase());
            let place = |words: &[&str]| words.iter().position(|known| *known == word);
            let part = match place(&PRE_RELEASES) {
                Some(place) => Part::PreRelease(place),
                None => Part::PostRelease(place(&POST_RELEASES)?),
            };
            Some((part, Stage::Suffix, rest))
        }
        '~' if stage < Stage::Hash => {
            let (hash, rest) = split_while(&text[1..], |c| c.is_ascii_hexdigit());
            (!hash.is_empty()).then_some((Part::Hash(hash), Stage::Hash, rest))
        }
        '-' if stage < Stage::Revision => {
            let (digits, rest) = split_digits(text.strip_prefix("-r")?);
            (!digits.is_empty()).then_some((Part::Revision(Number::new(digits)), Stage::Revision, rest))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{ascending, equal};

    #[test]
    fn the_rules_of_apk() {
        // After apk-tools' test/version.data and apk-package(5).
        ascending("apk", &["1.0_alpha", "1.0_alpha1", "1.0_beta1", "1.0_pre2", "1.0_rc1", "1.0_rc1-r1", "1.0"]);
        ascending(
            "apk",
            &["1.0", "1.0-r0", "1.0-r1", "1.0-r10", "1.0_git20240101", "1.0_p1", "1.0_p2", "1.0a", "1.0b"],
        );
        ascending("apk", &["1.0b", "1.0.1", "1.1", "1.9", "1.10", "2", "10"]);
        ascending("apk", &["1.0.01", "1.0.05", "1.0.1", "1.0.5", "1.0.10"]);
        ascending("apk", &["4_pre1", "4", "4_p1", "4.1_pre1", "4.1"]);
        ascending("apk", &["0.12.1", "0.12.1~0123abc", "0.12.1_p1"]);
        ascending("apk", &["nonsense", "1.0"]);
        equal("apk", &["1-r1", "01-r01"]);
    }
}
