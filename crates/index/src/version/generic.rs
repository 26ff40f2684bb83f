//! Versions of no known scheme: numbers by value, words by letters, words for pre-releases before the release.

use std::cmp::Ordering;

use super::number::{Number, split_digits, split_while};

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Segment<'a> {
    Tilde,
    PreRelease(u8),
    End,
    Word(String),
    Number(Number<'a>),
}

pub(super) fn compare(a: &str, b: &str) -> Ordering {
    // The version is longer only by what parts segments, or differs by that: `1.0` and `1_0`.
    segments(a).cmp(segments(b))
}

fn segments(version: &str) -> impl Iterator<Item = Segment<'_>> {
    let mut rest = version.strip_prefix('v').unwrap_or(version);
    let mut ended = false;
    std::iter::from_fn(move || {
        rest = rest.trim_start_matches(|c: char| !c.is_alphanumeric() && c != '~');
        let Some(first) = rest.chars().next() else {
            return (!std::mem::replace(&mut ended, true)).then_some(Segment::End);
        };
        if first == '~' {
            rest = &rest[1..];
            return Some(Segment::Tilde);
        }
        if first.is_ascii_digit() {
            let (digits, after) = split_digits(rest);
            rest = after;
            return Some(Segment::Number(Number::new(digits)));
        }
        let (word, after) = split_while(rest, |c| c.is_alphanumeric() && !c.is_ascii_digit());
        rest = after;
        let word = word.to_lowercase();
        Some(match &*word {
            "dev" | "nightly" | "snapshot" => Segment::PreRelease(0),
            "alpha" => Segment::PreRelease(1),
            "beta" => Segment::PreRelease(2),
            "pre" | "preview" => Segment::PreRelease(3),
            "rc" => Segment::PreRelease(4),
            _ => Segment::Word(word),
        })
    })
}

#[cfg(test)]
mod tests {
    use super::super::tests::{ascending, equal};

    #[test]
    fn versions_are_ordered_as_a_reader_would() {
        ascending("generic", &["1.0~1", "1.0-alpha", "1.0-beta2", "1.0-rc1", "1.0", "1.0.1", "1.2", "1.10"]);
        ascending("generic", &["1.0.2", "1.0.2a", "1.0.2k", "1.0.3"]);
        ascending("generic", &["", "r5", "r10"]);
        equal("generic", &["v1.0", "1.0", "1_0"]);
    }
}
