//! What of a repository a pass asks for.
//!
//! Few lists say what a tag points at, so that a tag that was moved shows only to who asks for that very tag. Tags by
//! the hundred thousand in every pass are more than registries bear. Most never move: a release keeps its tag. So a
//! pass asks for what is new, for what has moved before or is young enough to move yet, and for its share of the rest;
//! after as many passes as fit into [`Options::sweep`](crate::Options::sweep) every tag had its turn. The first pass
//! of a run asks for all of them.

use std::collections::{HashMap, HashSet};

use jiff::{SignedDuration, Timestamp};
use supercargo_registry::Tag;
use supercargo_registry::index::Digest;
use supercargo_store::TagState;

use crate::Options;

/// A repository of so few tags is asked for all of them: sparing some of them spares nothing.
const FEW: usize = 16;

/// A pass's place in a sweep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Turn {
    number: u64,
    of: u64,
    /// Tags that came or moved after this are young.
    young: Timestamp,
}

impl Turn {
    /// The place of the pass `number` if passes come every `interval` and a sweep takes `sweep`. `None` if one pass is
    /// a sweep. Tags that came or moved within the last sweep are young, but not those that the first pass found, which
    /// ended at `begun`: their age is not known.
    pub(crate) fn new(number: u64, options: &Options, begun: Timestamp, now: Timestamp) -> Option<Self> {
        let passes = options.sweep.as_millis() / options.interval.as_millis().max(1);
        let of = u64::try_from(passes).unwrap_or(u64::MAX);
        let sweep = SignedDuration::try_from(options.sweep).unwrap_or(SignedDuration::MAX);
        let young = now.checked_sub(sweep).map_or(begun, |from| from.max(begun));
        (of > 1).then(|| Self { number: number % of, of, young })
    }

    /// Whether it is the turn of what has this name.
    pub(crate) fn is_for(self, name: &str) -> bool {
        use std::hash::{DefaultHasher, Hash as _, Hasher as _};
        // Of any quality, as long as it stays the same while the process runs.
        let mut hasher = DefaultHasher::new();
        name.hash(&mut hasher);
        hasher.finish() % self.of == self.number
    }
}

/// What is known of a repository's tags, as far as it says what to ask for.
#[derive(Debug)]
pub(super) struct Look {
    /// `None` if everything is asked for.
    turn: Option<Turn>,
    /// Digests by tag.
    pub(super) stored: HashMap<String, Digest>,
    /// Tags that are asked for in every pass.
    restless: HashSet<String>,
    /// When the tag that was pushed last was, by the registry.
    newest: Option<Timestamp>,
}

impl Look {
    pub(super) fn new(turn: Option<Turn>, known: Vec<TagState>) -> Self {
        let few = known.len() <= FEW;
        let is_young = |tag: &TagState| turn.is_some_and(|turn| tag.moved_at > turn.young);
        let is_restless = |tag: &&TagState| few || tag.moved_at > tag.first_seen || is_young(tag);
        Self {
            turn,
            restless: known.iter().filter(is_restless).map(|tag| tag.tag.clone()).collect(),
            newest: known.iter().filter_map(|tag| tag.pushed_at).max(),
            stored: known.into_iter().map(|tag| (tag.tag, tag.digest)).collect(),
        }
    }

    /// Whether a list that gave this tag, and gives older ones from here on, has no more news.
    pub(super) fn is_old(&self, tag: &Tag) -> bool {
        let (Some(newest), Some(pushed), Some(digest)) = (self.newest, tag.pushed_at, &tag.digest) else {
            return false;
        };
        // Those of the same time may come in any order.
        pushed < newest && self.stored.get(tag.name.as_str()) == Some(digest)
    }

    /// Whether a list that can be cut short, since it begins with what is new, is read to its end: what was deleted
    /// shows in no other way.
    pub(super) fn reads_on(&self, repository: &str) -> bool {
        self.newest.is_none() || self.turn.is_none_or(|turn| turn.is_for(repository))
    }

    /// Whether a listed tag is asked for, if the list does not say what it points at.
    pub(super) fn asks_for(&self, tag: &Tag) -> bool {
        let name = tag.name.as_str();
        tag.digest.is_some()
            || !self.stored.contains_key(name)
            || self.restless.contains(name)
            || self.turn.is_none_or(|turn| turn.is_for(name))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn turn(number: u64, sweep: u64) -> Option<Turn> {
        let (interval, sweep) = (Duration::from_secs(60), Duration::from_secs(sweep));
        Turn::new(number, &Options { interval, sweep, ..Options::default() }, at(9_500), at(10_000))
    }

    #[test]
    fn every_name_has_one_turn_in_a_sweep() {
        assert_eq!(turn(0, 60), None);
        assert_eq!(turn(7, 0), None);
        for name in ["latest", "1.0", ""] {
            let turns = (100..115).filter(|number| turn(*number, 900).expect("15 passes").is_for(name));
            assert_eq!(turns.count(), 1, "{name}");
        }
    }

    #[test]
    fn what_may_move_is_asked_for() {
        let digest = |letter: &str| format!("sha256:{}", letter.repeat(64)).parse::<Digest>().unwrap();
        let known = |tag: &str, first: i64, moved: i64| TagState {
            repository: supercargo_store::RepositoryName::new("registry.test", "app"),
            tag: tag.to_owned(),
            digest: digest("a"),
            first_seen: at(first),
            last_seen: at(moved),
            moved_at: at(moved),
            pushed_at: Some(at(moved)),
            gone_at: None,
        };
        // Of the time of the first pass, though that is not a sweep ago.
        let mut tags: Vec<TagState> = (0..100).map(|number| known(&format!("v{number}"), 9_400, 9_400)).collect();
        tags.push(known("latest", 0, 500));
        tags.push(known("fresh", 9_990, 9_990));
        let turn = turn(0, 900);
        let look = Look::new(turn, tags.clone());
        let tag = |name: &str| Tag::from(name.parse::<supercargo_registry::TagName>().unwrap());
        for name in ["latest", "fresh", "new"] {
            assert!(look.asks_for(&tag(name)), "{name}");
        }
        let asked = (0..100).filter(|number| look.asks_for(&tag(&format!("v{number}")))).count();
        assert!((1..30).contains(&asked), "{asked}");
        let told = Tag { digest: Some(digest("b")), ..tag("v1") };
        assert!(look.asks_for(&told), "its digest cost nothing");
        // The first pass, and a repository of few tags.
        let all = Look::new(None, tags.clone());
        let few = Look::new(turn, tags[..3].to_vec());
        assert!((0..100).all(|number| all.asks_for(&tag(&format!("v{number}")))));
        assert!((0..3).all(|number| few.asks_for(&tag(&format!("v{number}")))));
        // A list that begins with what is new.
        let listed = |name: &str, letter: &str, second: i64| Tag {
            digest: Some(digest(letter)),
            pushed_at: Some(at(second)),
            ..tag(name)
        };
        assert!(look.is_old(&listed("latest", "a", 500)));
        assert!(!look.is_old(&listed("latest", "b", 500)));
        assert!(!look.is_old(&listed("fresh", "a", 9_990)));
        assert!(!look.is_old(&tag("latest")));
    }
}
