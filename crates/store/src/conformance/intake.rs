//! Events.

use super::fixture::{claim, names, push};
use super::{Outcome, Subject};
use crate::event::{Accepted, EventFilter, EventState, NewEvent};
use crate::page::Page;

fn event(source: &str, key: &str) -> NewEvent {
    NewEvent {
        source: source.to_owned(),
        dedupe_key: key.to_owned(),
        state: EventState::Accepted,
        reason: None,
        registry: Some("registry.example".to_owned()),
        headers: vec![("content-type".to_owned(), "application/json".to_owned())],
        body: b"{\"events\":[]}\xff".to_vec(),
    }
}

pub(super) async fn an_event_and_its_jobs_are_kept_together(subject: &Subject) -> Outcome {
    let store = &*subject.store;
    let accepted = store.accept(event("ci", "1"), vec![push("v1"), push("v2")]).await?;
    assert!(matches!(accepted, Accepted::New(_)), "{accepted:?}");
    let jobs = claim(store, 10).await?;
    assert_eq!(names(&jobs), [":v1", ":v2"]);
    assert!(jobs.iter().all(|job| job.event == Some(accepted.event())));
    let registries = store.registries().await?;
    assert_eq!(registries.len(), 1);
    assert!(registries[0].last_event.is_some());
    Ok(())
}

pub(super) async fn the_same_event_asks_for_work_once(subject: &Subject) -> Outcome {
    let store = &*subject.store;
    let first = store.accept(event("ci", "1"), vec![push("v1")]).await?;
    for job in claim(store, 10).await? {
        store.complete(job.lease, Vec::new()).await?;
    }
    assert_eq!(store.accept(event("ci", "1"), vec![push("v1")]).await?, Accepted::Duplicate(first.event()));
    assert_eq!(claim(store, 10).await?, []);
    let other = store.accept(event("other", "1"), vec![push("v1")]).await?;
    assert!(matches!(other, Accepted::New(_)), "keys are a source's own");
    assert_eq!(claim(store, 10).await?.len(), 1);
    Ok(())
}

pub(super) async fn events_are_listed(subject: &Subject) -> Outcome {
    let store = &*subject.store;
    let broken = NewEvent {
        state: EventState::Quarantined,
        reason: Some("no JSON".to_owned()),
        registry: None,
        ..event("ci", "2")
    };
    store.accept(event("ci", "1"), Vec::new()).await?;
    store.accept(broken.clone(), Vec::new()).await?;
    store.accept(event("other", "1"), Vec::new()).await?;

    let list = async |filter: EventFilter, page: &Page| store.events(&filter, page).await;
    let all = list(EventFilter::default(), &Page::first(2)).await?;
    let sources: Vec<_> = all.items.iter().map(|one| one.event.source.as_str()).collect();
    assert_eq!(sources, ["other", "ci"], "the newest first");
    let rest = list(EventFilter::default(), &Page::after(all.next.expect("a third event"), 2)).await?;
    assert_eq!((rest.items[0].event.clone(), rest.next), (event("ci", "1"), None));

    let quarantined = EventFilter { state: Some(EventState::Quarantined), ..EventFilter::default() };
    let quarantined = list(quarantined, &Page::default()).await?;
    assert_eq!(quarantined.items.iter().map(|one| &one.event).collect::<Vec<_>>(), [&broken]);
    let other = EventFilter { source: Some("other".to_owned()), ..EventFilter::default() };
    assert_eq!(list(other, &Page::default()).await?.items.len(), 1);
    Ok(())
}
