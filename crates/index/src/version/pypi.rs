//! Python: PEP 440. What it does not accept sorts before everything it does.

use std::cmp::Ordering;

use super::generic;
use super::number::{Number, split_digits, split_while};

/// The sort key of `packaging.version`.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key<'a> {
    epoch: Number<'a>,
    /// Without trailing zeros.
    release: Vec<Number<'a>>,
    pre: Pre<'a>,
    post: Option<Number<'a>>,
    dev: Dev<'a>,
    local: Option<Vec<Local<'a>>>,
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Pre<'a> {
    /// A development release of the release itself: before its pre-releases.
    OfDevelopment,
    Alpha(Number<'a>),
    Beta(Number<'a>),
    Candidate(Number<'a>),
    None,
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Dev<'a> {
    Some(Number<'a>),
    None,
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Local<'a> {
    Word(&'a str),
    Number(Number<'a>),
}

pub(super) fn compare(a: &str, b: &str) -> Ordering {
    let lower = |version: &str| version.trim().to_lowercase();
    let (a, b) = (lower(a), lower(b));
    match (key(&a), key(&b)) {
        (Some(a), Some(b)) => a.cmp(&b),
        (None, None) => generic::compare(&a, &b),
        (a, b) => a.is_some().cmp(&b.is_some()),
    }
}

fn key(version: &str) -> Option<Key<'_>> {
    let mut rest = version.strip_prefix('v').unwrap_or(version);
    let mut epoch = Number::ZERO;
    if let Some((digits, after)) = rest.split_once('!') {
        epoch = Number::parse(digits)?;
        rest = after;
    }
    let mut release = Vec::new();
    loop {
        let (digits, after) = split_digits(rest);
        release.push(Number::parse(digits)?);
        rest = after;
        match rest.strip_prefix('.') {
            Some(after) if after.starts_with(|c: char| c.is_ascii_digit()) => rest = after,
            _ => break,
        }
    }
    while release.last().is_some_and(|number| number.is_zero()) {
        release.pop();
    }
    let candidate = take(&mut rest, &["rc", "c", "preview", "pre"]).map(Pre::Candidate);
    let pre = candidate
        .or_else(|| take(&mut rest, &["alpha", "a"]).map(Pre::Alpha))
        .or_else(|| take(&mut rest, &["beta", "b"]).map(Pre::Beta));
    let post = take_bare_post(&mut rest).or_else(|| take(&mut rest, &["post", "rev", "r"]));
    let dev = take(&mut rest, &["dev"]);
    let mut local = None;
    if let Some(after) = rest.strip_prefix('+') {
        let segment = |text| Number::parse(text).map_or(Local::Word(text), Local::Number);
        let segments: Vec<_> = after.split(['.', '-', '_']).collect();
        if segments.iter().any(|text| text.is_empty() || !text.bytes().all(|b| b.is_ascii_alphanumeric())) {
            return None;
        }
        local = Some(segments.into_iter().map(segment).collect());
        rest = "";
    }
    let pre = match pre {
        Some(pre) => pre,
        None if post.is_none() && dev.is_some() => Pre::OfDevelopment,
        None => Pre::None,
    };
    rest.is_empty().then_some(Key { epoch, release, pre, post, dev: dev.map_or(Dev::None, Dev::Some), local })
}

/// `[-_.]? word [-_.]? number?`
fn take<'a>(rest: &mut &'a str, words: &[&str]) -> Option<Number<'a>> {
    let text = rest.strip_prefix(['.', '-', '_']).unwrap_or(rest);
    let (letters, after) = split_while(text, |c| c.is_ascii_lowercase());
    if !words.contains(&letters) {
        return None;
    }
    let separated = after.strip_prefix(['.', '-', '_']).filter(|text| text.starts_with(|c: char| c.is_ascii_digit()));
    let (digits, after) = split_digits(separated.unwrap_or(after));
    *rest = after;
    Some(Number::new(digits))
}

/// `-1`: the one post-release without a word.
fn take_bare_post<'a>(rest: &mut &'a str) -> Option<Number<'a>> {
    let (digits, after) = split_digits(rest.strip_prefix('-')?);
    let number = Number::parse(digits)?;
    *rest = after;
    Some(number)
}

#[cfg(test)]
mod tests {
    use super::super::tests::{ascending, equal};

    #[test]
    fn the_peps_examples() {
        // PEP 440, "Summary of permitted suffixes and relative ordering" and "Normalization".
        ascending(
            "pypi",
            &[
                "1.dev0",
                "1.0.dev456",
                "1.0a1",
                "1.0a2.dev456",
                "1.0a12.dev456",
                "1.0a12",
                "1.0b1.dev456",
                "1.0b2",
                "1.0b2.post345.dev456",
                "1.0b2.post345",
                "1.0rc1.dev456",
                "1.0rc1",
                "1.0",
                "1.0+abc.5",
                "1.0+abc.7",
                "1.0+5",
                "1.0.post456.dev34",
                "1.0.post456",
                "1.0.15",
                "1.1.dev1",
                "2013.10",
                "1!1.0",
            ],
        );
        equal("pypi", &["1.0", "1", "1.0.0", "v1.0", " 1.0 ", "01.0", "0!1.0"]);
        equal("pypi", &["1.1a1", "1.1.a1", "1.1-alpha-1", "1.1alpha1", "1.1_A.1"]);
        equal("pypi", &["1.1rc0", "1.1c", "1.1pre", "1.1-preview0"]);
        equal("pypi", &["1.0.post1", "1.0-1", "1.0r1", "1.0-rev1"]);
        equal("pypi", &["1.0+ubuntu.1", "1.0+ubuntu-1", "1.0+ubuntu_1"]);
        ascending("pypi", &["nonsense", "1.x", "0.dev1"]);
    }
}
