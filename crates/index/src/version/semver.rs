//! Semantic versioning 2.0.0, <https://semver.org>, made lenient: any number of numbers, a leading `v`, and a
//! pre-release that no hyphen begins (`1.23rc1`, which is how Go names its own). Build metadata do not count.

use std::cmp::Ordering;

use super::generic;
use super::number::{Number, split_digits};

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key<'a> {
    /// Without trailing zeros.
    numbers: Vec<Number<'a>>,
    /// `None`, a release, sorts last.
    pre_release: PreRelease<'a>,
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum PreRelease<'a> {
    Of(Vec<Identifier<'a>>),
    None,
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Identifier<'a> {
    Number(Number<'a>),
    Word(&'a str),
}

pub(super) fn compare(a: &str, b: &str) -> Ordering {
    match (key(a), key(b)) {
        (Some(a), Some(b)) => a.cmp(&b),
        (None, None) => generic::compare(a, b),
        (a, b) => a.is_some().cmp(&b.is_some()),
    }
}

/// `None` if it does not begin with a number.
fn key(version: &str) -> Option<Key<'_>> {
    let version = version.trim().trim_start_matches(['v', 'V', '=']);
    let version = version.split('+').next().unwrap_or(version);
    let mut numbers = Vec::new();
    let mut rest = version;
    loop {
        let (digits, after) = split_digits(rest);
        numbers.push(Number::parse(digits)?);
        rest = after;
        match rest.strip_prefix('.') {
            Some(after) if after.starts_with(|c: char| c.is_ascii_digit()) => rest = after,
            _ => break,
        }
    }
    while numbers.last().is_some_and(|number| number.is_zero()) {
        numbers.pop();
    }
    let identifiers = rest.trim_start_matches(['-', '.', '_']);
    let pre_release = if identifiers.is_empty() {
        PreRelease::None
    } else {
        let identifier = |text| Number::parse(text).map_or(Identifier::Word(text), Identifier::Number);
        PreRelease::Of(identifiers.split('.').map(identifier).collect())
    };
    Some(Key { numbers, pre_release })
}

#[cfg(test)]
mod tests {
    use super::super::tests::{ascending, equal};

    #[test]
    fn the_specifications_examples() {
        // semver.org, item 11.
        ascending(
            "npm",
            &[
                "1.0.0-alpha",
                "1.0.0-alpha.1",
                "1.0.0-alpha.beta",
                "1.0.0-beta",
                "1.0.0-beta.2",
                "1.0.0-beta.11",
                "1.0.0-rc.1",
                "1.0.0",
                "2.0.0",
                "2.1.0",
                "2.1.1",
                "10.0.0",
            ],
        );
        equal("cargo", &["1.0.0+build", "1.0.0+other", "1.0.0"]);
    }

    #[test]
    fn versions_as_they_are() {
        ascending("golang", &["1.22.9", "1.23rc1", "1.23rc2", "1.23.0", "1.23.1"]);
        ascending("golang", &["v0.0.0-20230101000000-aaaaaaaaaaaa", "v0.0.0-20240101000000-000000000000", "v0.1.0"]);
        equal("golang", &["v1.2.0", "1.2", "v1.2.0+incompatible"]);
        ascending("nuget", &["1.0.0-preview.1", "1.0.0", "1.0.0.1", "1.0.1"]);
        ascending("npm", &["nonsense", "0.0.1-x", "0.0.1"]);
    }
}
