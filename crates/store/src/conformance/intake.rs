//! Events.

use super::fixture::{MINUTE, claim, names, push};
use super::{Outcome, Subject};
use crate::event::{Accepted, Arrival, Arrived, EventFilter, EventState, NewEvent, Part};
use crate::page::Page;
use crate::upkeep::Retention;

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

pub(super) async fn many_deliveries_are_kept_in_one_go(subject: &Subject) -> Outcome {
    let store = &*subject.store;
    let known = store.accept(event("ci", "2"), Vec::new()).await?;
    let arrivals = ["1", "2", "3", "1"].map(|key| Arrival::new(event("ci", key), vec![push(key)]));
    let arrived = store.accept_many(arrivals.to_vec()).await?;
    assert_eq!(arrived.len(), 4);
    assert!(matches!(arrived[0].accepted, Accepted::New(_)) && matches!(arrived[2].accepted, Accepted::New(_)));
    assert_eq!(arrived[1].accepted, Accepted::Duplicate(known.event()));
    assert_eq!(arrived[3].accepted, Accepted::Duplicate(arrived[0].accepted.event()), "within one call, too");
    assert_eq!(names(&claim(store, 10).await?), [":1", ":3"]);
    assert_eq!(store.accept_many(Vec::new()).await?, []);
    Ok(())
}

fn batch(key: &str, events: &[&str]) -> Arrival {
    let part = |key: &&str| Part { dedupe_key: (*key).to_owned(), jobs: vec![push(key)] };
    Arrival { event: event("grid", key), jobs: Vec::new(), parts: events.iter().map(part).collect() }
}

pub(super) async fn events_of_a_batch_are_known_one_by_one(subject: &Subject) -> Outcome {
    let store = &*subject.store;
    let one = async |arrival: Arrival| Ok(store.accept_many(vec![arrival]).await?.remove(0));
    let first: Arrived = one(batch("a", &["1", "2", "2"])).await?;
    assert!(matches!(first.accepted, Accepted::New(_)), "{first:?}");
    for job in claim(store, 10).await? {
        store.complete(job.lease, Vec::new()).await?;
    }
    // Put together anew: what is known in it asks for nothing again.
    let second: Arrived = one(batch("b", &["2", "3"])).await?;
    assert!(matches!(second.accepted, Accepted::New(_)), "{second:?}");
    assert_eq!(second.known_parts, 1);
    assert_eq!(names(&claim(store, 10).await?), [":3"]);
    // Alone, or in company that is known as well.
    assert_eq!(store.accept(event("grid", "1"), vec![push("1")]).await?, Accepted::Duplicate(first.accepted.event()));
    let third: Arrived = one(batch("c", &["1", "2"])).await?;
    assert_eq!(third.accepted, Accepted::Duplicate(first.accepted.event()));
    // And one that came alone is known in company.
    store.accept(event("grid", "4"), vec![push("4")]).await?;
    assert_eq!(one(batch("d", &["4", "5"])).await?.known_parts, 1);
    let other = Arrival { event: event("other", "a"), ..batch("a", &["1"]) };
    assert!(matches!(one(other).await?.accepted, Accepted::New(_)), "keys are a source's own");
    let listed = store.events(&EventFilter::default(), &Page::default()).await?.items;
    assert_eq!(listed.len(), 5, "a row for each delivery");
    Ok(())
}

pub(super) async fn a_pruned_event_is_forgotten_with_its_parts(subject: &Subject) -> Outcome {
    let store = &*subject.store;
    store.accept_many(vec![batch("a", &["1", "2"])]).await?;
    let retention = Retention::default();
    subject.clock.advance(retention.events + MINUTE);
    assert_eq!(store.prune(&retention).await?.events, 1);
    let again = store.accept_many(vec![batch("a", &["1", "2"])]).await?;
    assert!(matches!(again[0].accepted, Accepted::New(_)), "{again:?}");
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
    let id = quarantined.items[0].id;
    let this = list(EventFilter { id: Some(id), ..EventFilter::default() }, &Page::default()).await?;
    assert_eq!(this.items, quarantined.items);
    let other = EventFilter { source: Some("other".to_owned()), ..EventFilter::default() };
    assert_eq!(list(other, &Page::default()).await?.items.len(), 1);
    Ok(())
}
