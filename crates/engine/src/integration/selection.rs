//! Which images of a repository are wanted of those that are there.

use std::cmp::{Ordering, Reverse};
use std::collections::HashSet;

use jiff::{SignedDuration, Timestamp};
use supercargo_registry::Tag;
use supercargo_registry::index::{Digest, version};
use supercargo_store::Selection;

/// The tags whose images are taken in when a repository is enabled at `now`, the newest first.
///
/// Without a wish for more it is the newest image. By the time of the push where the list of tags says it; else
/// `latest`, then versions, the greatest first, then words. Where times are known, `newer_than` without `newest` asks
/// for all that are no older; a tag whose time is not known is not told from an old one. Several tags of one image are
/// one, where the list says what they lead to.
pub fn select<'a>(tags: &'a [Tag], selection: &Selection, now: Timestamp) -> Vec<&'a Tag> {
    let knows_times = tags.iter().any(|tag| tag.pushed_at.is_some());
    let since = selection.newer_than.map(|age| {
        let age = SignedDuration::try_from(age).unwrap_or(SignedDuration::MAX);
        now.checked_sub(age).unwrap_or(Timestamp::MIN)
    });
    let is_young = |tag: &&Tag| match since {
        Some(since) if knows_times => tag.pushed_at.is_some_and(|pushed| pushed >= since),
        _ => true,
    };
    let most = match (selection.newest, since) {
        (Some(newest), _) => usize::try_from(newest).unwrap_or(usize::MAX),
        (None, Some(_)) if knows_times => usize::MAX,
        (None, _) => 1,
    };
    let mut sorted: Vec<&Tag> = tags.iter().filter(is_young).collect();
    sorted.sort_by(|a, b| b.pushed_at.cmp(&a.pushed_at).then_with(|| newest_first(a.name.as_str(), b.name.as_str())));
    let mut known: HashSet<&Digest> = HashSet::new();
    sorted.retain(|tag| tag.digest.as_ref().is_none_or(|digest| known.insert(digest)));
    sorted.truncate(most);
    sorted
}

/// The order of tags of which no times are known.
fn newest_first(a: &str, b: &str) -> Ordering {
    let rank = |tag: &str| match tag {
        "latest" => 0,
        tag if number(tag).starts_with(|first: char| first.is_ascii_digit()) => 1,
        _ => 2,
    };
    // Pre-releases come before their release, as semantic versioning has it.
    rank(a)
        .cmp(&rank(b))
        .then_with(|| version::compare("npm", number(b), number(a)))
        .then_with(|| Reverse(a).cmp(&Reverse(b)))
}

fn number(tag: &str) -> &str {
    tag.strip_prefix('v').unwrap_or(tag)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn tag(name: &str, second: Option<i64>, letter: Option<&str>) -> Tag {
        let mut tag = Tag::from(name.parse::<supercargo_registry::TagName>().unwrap());
        tag.pushed_at = second.map(|second| Timestamp::from_second(second).unwrap());
        tag.digest = letter.map(|letter| format!("sha256:{}", letter.repeat(64)).parse().unwrap());
        tag
    }

    fn selected(tags: &[Tag], selection: &Selection) -> Vec<String> {
        let now = Timestamp::from_second(1000).unwrap();
        select(tags, selection, now).into_iter().map(|tag| tag.name.to_string()).collect()
    }

    #[test]
    fn without_times_latest_goes_before_versions_and_versions_before_words() {
        let check = |names: &[&str], expected: &[&str]| {
            let tags: Vec<Tag> = names.iter().map(|name| tag(name, None, None)).collect();
            let all = Selection { newest: Some(100), ..Selection::default() };
            assert_eq!(selected(&tags, &all), expected);
            assert_eq!(selected(&tags, &Selection::default()), expected[..1]);
            let old = Selection { newer_than: Some(Duration::from_secs(1)), ..Selection::default() };
            assert_eq!(selected(&tags, &old), expected[..1], "no time says that it is old");
        };
        check(&["1.9", "latest", "1.10", "main"], &["latest", "1.10", "1.9", "main"]);
        check(&["v1.2.0-rc1", "v1.2.0", "v1.1.9"], &["v1.2.0", "v1.2.0-rc1", "v1.1.9"]);
        check(&["dev", "edge", "2"], &["2", "edge", "dev"]);
    }

    #[test]
    fn by_time_where_it_is_known() {
        let tags = [tag("latest", Some(10), Some("a")), tag("1.0", Some(900), Some("b")), tag("old", None, Some("c"))];
        assert_eq!(selected(&tags, &Selection::default()), ["1.0"]);
        let two = Selection { newest: Some(2), ..Selection::default() };
        assert_eq!(selected(&tags, &two), ["1.0", "latest"]);
        let young = Selection { newer_than: Some(Duration::from_secs(500)), ..Selection::default() };
        assert_eq!(selected(&tags, &young), ["1.0"]);
        let all = Selection { newer_than: Some(Duration::from_secs(990)), ..Selection::default() };
        assert_eq!(selected(&tags, &all), ["1.0", "latest"]);
    }

    #[test]
    fn tags_of_one_image_are_one() {
        let tags = [tag("1", None, Some("a")), tag("1.0", None, Some("a")), tag("0.9", None, Some("b"))];
        let two = Selection { newest: Some(2), ..Selection::default() };
        let found = selected(&tags, &two);
        assert_eq!((found.len(), found[1].as_str()), (2, "0.9"));
        assert!(selected(&[], &two).is_empty());
    }
}
