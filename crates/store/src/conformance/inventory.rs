//! Registries, repositories, tags, manifests, and the ledger.

use supercargo_index::Digest;

use super::fixture::{INDEXER, MINUTE, digest, repository};
use super::{Outcome, Subject, refused};
use crate::change::Change;
use crate::error::ErrorKind;
use crate::inventory::{PlaceFilter, Presence, TagState};
use crate::ledger::Verdict;
use crate::name::Reason;
use crate::page::{Cursor, Page};
use crate::store::Store;

pub(super) fn tag_seen(name: &str, tag: &str, digest: &Digest) -> Change {
    Change::TagSeen { repository: repository(name), tag: tag.to_owned(), digest: digest.clone(), pushed_at: None }
}

async fn tag(store: &dyn Store, presence: Presence) -> crate::Result<Option<TagState>> {
    let filter = PlaceFilter { presence, ..PlaceFilter::repository(&repository("app")) };
    Ok(store.tags(&filter, &Page::default()).await?.items.into_iter().find(|state| state.tag == "v1"))
}

pub(super) async fn tags_are_pointers(subject: &Subject) -> Outcome {
    let store = &*subject.store;
    let pushed_at = "2026-11-22T10:00:00Z".parse().ok();
    let seen = Change::TagSeen { repository: repository("app"), tag: "v1".to_owned(), digest: digest(1), pushed_at };
    store.apply(vec![seen]).await?;
    let first = tag(store, Presence::Present).await?.expect("the tag is there");
    assert_eq!((first.digest.clone(), first.pushed_at), (digest(1), pushed_at));

    subject.clock.advance(MINUTE);
    store.apply(vec![tag_seen("app", "v1", &digest(1))]).await?;
    let again = tag(store, Presence::Present).await?.expect("the tag is there");
    assert!(again.last_seen > first.last_seen);
    assert_eq!((again.moved_at, again.first_seen, again.pushed_at), (first.moved_at, first.first_seen, pushed_at));

    store.apply(vec![tag_seen("app", "v1", &digest(2))]).await?;
    let moved = tag(store, Presence::Present).await?.expect("the tag is there");
    assert_eq!((moved.digest.clone(), moved.pushed_at, moved.first_seen), (digest(2), None, first.first_seen));
    assert!(moved.moved_at > first.moved_at);
    Ok(())
}

pub(super) async fn what_is_gone_is_kept_and_hidden(subject: &Subject) -> Outcome {
    let store = &*subject.store;
    store.apply(vec![tag_seen("app", "v1", &digest(1)), tag_seen("app", "v2", &digest(1))]).await?;
    let gone = Change::TagGone { repository: repository("app"), tag: "v1".to_owned() };
    store.apply(vec![gone.clone()]).await?;
    assert_eq!(tag(store, Presence::Present).await?, None);
    let kept = tag(store, Presence::Any).await?.expect("the tag is kept");
    assert!(kept.gone_at.is_some());

    subject.clock.advance(MINUTE);
    store.apply(vec![gone]).await?;
    assert_eq!(tag(store, Presence::Any).await?, Some(kept), "it went once");
    let repositories = store.repositories(&PlaceFilter::default(), &Page::default()).await?.items;
    assert_eq!(repositories[0].tags, 1);

    store.apply(vec![tag_seen("app", "v1", &digest(1))]).await?;
    assert_eq!(tag(store, Presence::Present).await?.map(|state| state.gone_at), Some(None), "it is back");
    let unknown = Change::TagGone { repository: repository("unknown"), tag: "v1".to_owned() };
    store.apply(vec![unknown]).await
}

pub(super) async fn a_gone_manifest_takes_its_tags(subject: &Subject) -> Outcome {
    let store = &*subject.store;
    let tags = [tag_seen("app", "v1", &digest(1)), tag_seen("app", "v2", &digest(2)), tag_seen("b", "v1", &digest(1))];
    store.apply(tags.to_vec()).await?;
    store.apply(vec![Change::ManifestGone { repository: repository("app"), digest: digest(1) }]).await?;
    let tags = store.tags(&PlaceFilter::default(), &Page::default()).await?.items;
    let left: Vec<_> = tags.iter().map(|tag| format!("{}:{}", tag.repository.repository, tag.tag)).collect();
    assert_eq!(left, ["app:v2", "b:v1"], "only in the repository that lost it");
    let manifests = store.manifests(&PlaceFilter::default(), &Page::default()).await?.items;
    assert_eq!(manifests.len(), 2);
    Ok(())
}

pub(super) async fn a_gone_repository_takes_everything(subject: &Subject) -> Outcome {
    let store = &*subject.store;
    store.apply(vec![tag_seen("app", "v1", &digest(1)), tag_seen("b", "v1", &digest(1))]).await?;
    store.apply(vec![Change::RepositoryGone { repository: repository("app") }]).await?;
    let page = Page::default();
    let there = PlaceFilter::default();
    let repositories = store.repositories(&there, &page).await?.items;
    assert_eq!(repositories.iter().map(|one| one.name.repository.as_str()).collect::<Vec<_>>(), ["b"]);
    assert_eq!(store.tags(&there, &page).await?.items.len(), 1);
    assert_eq!(store.manifests(&there, &page).await?.items.len(), 1);
    assert_eq!(store.registries().await?[0].repositories, 1);

    let any = PlaceFilter { presence: Presence::Any, ..PlaceFilter::default() };
    assert_eq!(store.repositories(&any, &page).await?.items.len(), 2);
    assert_eq!(store.tags(&any, &page).await?.items.len(), 2);

    store.apply(vec![Change::RepositorySeen { repository: repository("app") }]).await?;
    assert_eq!(store.repositories(&there, &page).await?.items.len(), 2);
    assert_eq!(store.tags(&there, &page).await?.items.len(), 1, "its tags are still to be seen");
    Ok(())
}

pub(super) async fn registries_are_away_and_come_back(subject: &Subject) -> Outcome {
    let store = &*subject.store;
    let registry = || "registry.example".to_owned();
    let away = |message: &str| Change::RegistryAway {
        registry: registry(),
        reason: Reason::transient("unreachable", message),
    };
    store.apply(vec![Change::RegistryReconciled { registry: registry() }]).await?;
    store.apply(vec![away("connection refused")]).await?;
    subject.clock.advance(MINUTE);
    let long = format!("{}{}", "é".repeat(3000), "tail");
    store.apply(vec![away(&long)]).await?;

    let state = store.registries().await?.remove(0);
    assert!(state.last_reached.is_some() && state.last_reconciled.is_some());
    let away = state.away.expect("the registry is away");
    assert!(away.last_tried > away.since);
    assert_eq!(away.reason.kind, "unreachable");
    assert!(away.reason.message.len() < Reason::MESSAGE_LIMIT + 8, "messages are cut");

    store.apply(vec![Change::RegistryReached { registry: registry() }]).await?;
    let back = store.registries().await?.remove(0);
    assert_eq!((back.away, back.last_reconciled), (None, state.last_reconciled));
    assert!(back.last_reached > state.last_reached);
    Ok(())
}

pub(super) async fn lists_come_in_pages(subject: &Subject) -> Outcome {
    let store = &*subject.store;
    let mut expected = Vec::new();
    let mut changes = Vec::new();
    for name in ["a", "b~%7E", "c/d"] {
        for tag in ["1", "2", "3"] {
            changes.push(tag_seen(name, tag, &digest(7)));
            expected.push(format!("{name}:{tag}"));
        }
    }
    store.apply(changes).await?;
    let mut page = Page::first(2);
    let mut seen = Vec::new();
    loop {
        let listing = store.tags(&PlaceFilter::default(), &page).await?;
        seen.extend(listing.items.iter().map(|one| format!("{}:{}", one.repository.repository, one.tag)));
        let Some(next) = listing.next else { break };
        page = Page::after(next.to_string().parse()?, 2);
    }
    assert_eq!(seen, expected);

    let first = store.repositories(&PlaceFilter::default(), &Page::first(2)).await?;
    let rest = Page::after(first.next.expect("three repositories"), 2);
    let rest = store.repositories(&PlaceFilter::default(), &rest).await?;
    assert_eq!((rest.items.len(), rest.items[0].tags, rest.next), (1, 3, None));

    let first = store.manifests(&PlaceFilter::default(), &Page::first(2)).await?;
    let rest = Page::after(first.next.expect("three manifests"), 2);
    assert_eq!(store.manifests(&PlaceFilter::default(), &rest).await?.items.len(), 1);

    let foreign = Page::after(Cursor::new([&"x"]), 2);
    assert_eq!(refused(store.tags(&PlaceFilter::default(), &foreign).await), ErrorKind::Invalid);
    Ok(())
}

pub(super) async fn the_ledger_is_kept_by_digest_and_indexer(subject: &Subject) -> Outcome {
    let store = &*subject.store;
    let write =
        |number: u32, verdict: Verdict| Change::Ledger { digest: digest(number), indexer: INDEXER.to_owned(), verdict };
    let failed = Verdict::Failed(Reason::transient("source", "the stream ended early"));
    let unsupported = Verdict::Unsupported(Reason::permanent("unsupported", "an encrypted layer"));
    store.apply(vec![write(1, failed.clone()), write(2, unsupported.clone())]).await?;
    let wanted = [digest(1), digest(2), digest(3)];
    let lines = store.ledger(INDEXER, &wanted).await?;
    assert_eq!(lines.len(), 2);
    assert_eq!((&lines[&digest(1)].verdict, lines[&digest(1)].attempts), (&failed, 1));
    assert_eq!((lines[&digest(1)].verdict.is_final(), lines[&digest(2)].verdict.is_final()), (false, true));
    assert!(store.ledger("2-def", &wanted).await?.is_empty());

    subject.clock.advance(MINUTE);
    store.apply(vec![write(1, Verdict::Indexed)]).await?;
    let line = store.ledger(INDEXER, &wanted).await?.remove(&digest(1)).expect("the line is there");
    assert_eq!((line.verdict, line.attempts), (Verdict::Indexed, 2));
    assert!(line.last_at > line.first_at);
    Ok(())
}
