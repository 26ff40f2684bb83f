//! Ruby: `Gem::Version`. Letters make a pre-release; a hyphen reads as `.pre.`.

use std::cmp::Ordering;

use super::number::{Number, split_digits, split_while};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Segment<'a> {
    Word(&'a str),
    /// Where the shorter version ends.
    End,
    Number(Number<'a>),
}

pub(super) fn compare(a: &str, b: &str) -> Ordering {
    segments(a).cmp(&segments(b))
}

/// Without zeros at the end and before a word: `1.0.a` is a pre-release of `1`.
fn segments(version: &str) -> Vec<Segment<'_>> {
    let mut segments = Vec::new();
    let mut rest = version.trim();
    while let Some(first) = rest.chars().next() {
        if first == '-' {
            drop_zeros(&mut segments);
            segments.push(Segment::Word("pre"));
            rest = &rest[1..];
        } else if first.is_ascii_digit() {
            let (digits, after) = split_digits(rest);
            segments.push(Segment::Number(Number::new(digits)));
            rest = after;
        } else if first == '.' {
            rest = &rest[1..];
        } else {
            let (word, after) = split_while(rest, |c| !c.is_ascii_digit() && c != '.' && c != '-');
            drop_zeros(&mut segments);
            segments.push(Segment::Word(word));
            rest = after;
        }
    }
    drop_zeros(&mut segments);
    segments.push(Segment::End);
    segments
}

fn drop_zeros(segments: &mut Vec<Segment<'_>>) {
    while matches!(segments.last(), Some(Segment::Number(number)) if number.is_zero()) {
        segments.pop();
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{ascending, equal};

    #[test]
    fn the_rules_of_rubygems() {
        // After the class's documentation: "1.0.a" < "1.0", trailing zeros do not count.
        ascending("gem", &["1.0.a", "1.0.a.2", "1.0.b1", "1.0.rc1", "1.0", "1.0.1", "1.9", "1.10"]);
        ascending("gem", &["1.0.0-x1", "1.0.0", "1.0.1"]);
        equal("gem", &["1", "1.0", "1.0.0", "1.0.0.0"]);
        equal("gem", &["1.0.0-1", "1.0.0.pre.1", "1.pre.1"]);
        equal("gem", &["1.0.0.rc1", "1.0.0.rc.1"]);
    }
}
