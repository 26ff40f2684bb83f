//! Documents that were learned, kept for the next delivery.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;

use crate::Document;
use crate::auth::Refusal;

/// How long an unanswered wish for a document is remembered (seconds).
const MINUTE: i64 = 60;
/// Wishes for one document within a minute. Deliveries arrive side by side, and each asks until one has learned.
const ASKED: u32 = 256;

/// A few documents by their addresses, with the time at which each was learned.
///
/// Strangers can make a source ask: what they claim to be signed with decides the address. So it asks for a few
/// addresses in a minute only; whoever comes after that is told to come again.
#[derive(Debug)]
pub(crate) struct Shelf<T> {
    capacity: usize,
    state: Mutex<State<T>>,
}

#[derive(Debug)]
struct State<T> {
    kept: BTreeMap<String, (T, Timestamp)>,
    asked: BTreeMap<String, (Timestamp, u32)>,
}

impl<T: Clone> Shelf<T> {
    /// A shelf for `capacity` documents.
    pub(crate) fn new(capacity: usize) -> Self {
        Self { capacity, state: Mutex::new(State { kept: BTreeMap::new(), asked: BTreeMap::new() }) }
    }

    /// The document at `url` and its age in seconds.
    pub(crate) fn get(&self, url: &str, now: Timestamp) -> Option<(T, i64)> {
        let state = self.state();
        let (document, learned) = state.kept.get(url)?;
        Some((document.clone(), now.as_second() - learned.as_second()))
    }

    /// A wish for `document`.
    pub(crate) fn ask(&self, document: Document, now: Timestamp) -> Refusal {
        let mut state = self.state();
        state.asked.retain(|_, (first, _)| (0..MINUTE).contains(&(now.as_second() - first.as_second())));
        if !state.asked.contains_key(&document.url) && state.asked.len() >= self.capacity {
            return Refusal::Later("it takes a document, and many others were asked for in the last minute".to_owned());
        }
        let (_, times) = state.asked.entry(document.url.clone()).or_insert((now, 0));
        *times += 1;
        if *times > ASKED {
            return Refusal::Later("it takes a document that could not be had in the last minute".to_owned());
        }
        Refusal::Needs(document)
    }

    /// Keeps a document. When the shelf is full, the one that was learned first goes.
    pub(crate) fn keep(&self, url: &str, document: T, now: Timestamp) {
        let mut state = self.state();
        state.asked.remove(url);
        if !state.kept.contains_key(url) && state.kept.len() >= self.capacity {
            let first = state.kept.iter().min_by_key(|(_, (_, learned))| *learned).map(|(url, _)| url.clone());
            if let Some(first) = first {
                state.kept.remove(&first);
            }
        }
        state.kept.insert(url.to_owned(), (document, now));
    }

    fn state(&self) -> MutexGuard<'_, State<T>> {
        // Nothing panics while it is held; and what it holds is whole after every statement.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::DocumentKind;

    fn document(url: &str) -> Document {
        Document { url: url.to_owned(), kind: DocumentKind::KeySet }
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn a_full_shelf_drops_what_it_learned_first() {
        let shelf = Shelf::new(2);
        for (url, second) in [("a", 1), ("b", 2), ("a", 3), ("c", 4)] {
            shelf.keep(url, url.to_owned(), at(second));
        }
        assert_eq!(shelf.get("a", at(10)), Some(("a".to_owned(), 7)));
        assert_eq!(shelf.get("b", at(10)), None);
        assert_eq!(shelf.get("c", at(10)), Some(("c".to_owned(), 6)));
    }

    #[test]
    fn strangers_cannot_make_it_ask_without_end() {
        let shelf: Shelf<()> = Shelf::new(2);
        let needs = |url: &str, second: i64| matches!(shelf.ask(document(url), at(second)), Refusal::Needs(_));
        assert!(needs("a", 0) && needs("b", 0) && needs("a", 1));
        assert!(!needs("c", 59), "a third address has to wait");
        assert!(needs("c", 60), "until the minute is over");
        shelf.keep("c", (), at(61));
        assert!(needs("d", 61), "what was learned is not waited for");
        assert!((0..1000).filter(|_| needs("e", 61)).count() <= 256);
    }
}
