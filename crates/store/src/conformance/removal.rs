//! What becomes of a registry's data when its integration is removed.

use super::fixture::{INDEXER, actor, claim_one, digest, image, openssl, package, push, repository};
use super::images::stored;
use super::integrations::new;
use super::inventory::tag_seen;
use super::{Outcome, Subject, refused};
use crate::audit::AuditFilter;
use crate::change::{Change, ChildKind, ManifestChild};
use crate::error::ErrorKind;
use crate::event::{EventFilter, EventState, NewEvent};
use crate::integration::{
    IncludeRemoved, IntegrationState, NewIntegration, RemovedData, RepositoryOrigin, RepositorySettingFilter,
};
use crate::inventory::{ImageFilter, PackageQuery, PlaceFilter, Presence};
use crate::job::{JobFilter, JobState, Lane, NewJob, Retry, Work};
use crate::ledger::Verdict;
use crate::name::RepositoryName;
use crate::outbox::{DeliveryFilter, DeliveryKind, NewDelivery};
use crate::page::Page;
use crate::store::Store;
use crate::upkeep::Retention;

fn elsewhere() -> RepositoryName {
    RepositoryName::new("other.example", "app")
}

/// Two registries. `registry.example` has the images 1, 2 and an index 9 of both, `other.example` has 2 and 3. Each has
/// an event, a job and news of an image.
async fn fill(store: &dyn Store) -> Outcome {
    let ledger =
        |number| Change::Ledger { digest: digest(number), indexer: INDEXER.to_owned(), verdict: Verdict::Indexed };
    let child = |number| ManifestChild { digest: digest(number), platform: None, kind: ChildKind::Image };
    let there = |number, metadata| Change::Image {
        repository: elsewhere(),
        metadata: Box::new(crate::conformance::fixture::image(number, metadata)),
    };
    let only = package("pkg:npm/only@1", "only", "1", "/only");
    store
        .apply(vec![
            stored("app", image(1, vec![openssl("1"), only])),
            stored("app", image(2, vec![openssl("2")])),
            tag_seen("app", "v1", &digest(1)),
            Change::ManifestSeen {
                repository: repository("app"),
                digest: digest(9),
                media_type: "application/vnd.oci.image.index.v1+json".to_owned(),
                size: 10,
                children: vec![child(1), child(2)],
            },
            there(2, vec![openssl("2")]),
            there(3, vec![openssl("1")]),
            ledger(1),
            ledger(2),
            ledger(9),
        ])
        .await?;
    for name in [repository("app"), elsewhere()] {
        let event = NewEvent {
            source: name.registry.clone(),
            dedupe_key: "1".to_owned(),
            state: EventState::Accepted,
            reason: None,
            registry: Some(name.registry.clone()),
            headers: Vec::new(),
            body: Vec::new(),
        };
        let work = Work::Refresh { repository: name.clone(), reference: None };
        store.accept(event, vec![NewJob::new(work, Lane::Backfill)]).await?;
        let news = |kind| Change::Deliver(NewDelivery::new("scout", kind, name.clone(), digest(1)));
        store.apply(vec![news(DeliveryKind::Indexed), news(DeliveryKind::Gone)]).await?;
    }
    Ok(())
}

async fn counts(store: &dyn Store, registry: &str) -> crate::Result<[usize; 4]> {
    let page = Page::default();
    let places = PlaceFilter { registry: Some(registry.to_owned()), presence: Presence::Any, ..PlaceFilter::default() };
    let jobs = store.jobs(&JobFilter { registry: Some(registry.to_owned()), ..JobFilter::default() }, &page).await?;
    let deliveries = store.deliveries(&DeliveryFilter::default(), &page).await?.items;
    Ok([
        store.repositories(&places, &page).await?.items.len(),
        store.manifests(&places, &page).await?.items.len(),
        jobs.items.len(),
        deliveries.iter().filter(|one| one.request.repository.registry == registry).count(),
    ])
}

pub(super) async fn without_its_data(subject: &Subject) -> Outcome {
    let store = &*subject.store;
    let made = store.create_integration(new(), &actor()).await?;
    let found = vec![("app".to_owned(), true)];
    store.set_repositories(made.id, found, RepositoryOrigin::Found, &actor()).await?;
    fill(store).await?;
    let before = counts(store, "registry.example").await?;

    let removal = store.remove_integration(made.id, RemovedData::Delete, &actor()).await?;
    assert_eq!((removal.jobs, removal.repositories, removal.images), (1, 1, 1));
    // News of what is gone is still to be told.
    assert_eq!((before, counts(store, "registry.example").await?), ([1, 3, 1, 2], [0, 0, 0, 1]));
    assert_eq!(counts(store, "other.example").await?, [1, 2, 1, 2], "what another registry has stays");

    let any = ImageFilter { presence: Presence::Any, ..ImageFilter::default() };
    let images = store.images(&any, &Page::default()).await?.items;
    let mut left: Vec<_> = images.iter().map(|image| image.digest.to_string()).collect();
    left.sort();
    assert_eq!(left, [digest(2).to_string(), digest(3).to_string()], "an image that two had stays");
    assert!(images.iter().all(|image| image.places.iter().all(|place| place.repository == elsewhere())));
    assert_eq!(store.image(&digest(1)).await?, None);
    let any = PackageQuery { presence: Presence::Any, ..PackageQuery::default() };
    assert_eq!(store.packages(&any, &Page::default()).await?.items.len(), 2);
    assert_eq!(store.usage().await?.packages, 2, "packages that no image has any more go with the image");
    let ledger = store.ledger(INDEXER, &[digest(1), digest(2), digest(9)]).await?;
    assert_eq!(ledger.into_keys().collect::<Vec<_>>(), [digest(2)]);
    assert!(store.indexes_of(&digest(2)).await?.is_empty());
    let events = store.events(&EventFilter::default(), &Page::default()).await?.items;
    assert_eq!(events.iter().map(|one| one.event.source.as_str()).collect::<Vec<_>>(), ["other.example"]);
    let registries = store.registries().await?;
    assert_eq!(registries.iter().map(|one| one.name.as_str()).collect::<Vec<_>>(), ["other.example"]);
    Ok(())
}

pub(super) async fn with_its_data_kept(subject: &Subject) -> Outcome {
    let store = &*subject.store;
    let sealed = NewIntegration { credentials: Some(b"sealed".to_vec()), ..new() };
    let made = store.create_integration(sealed, &actor()).await?;
    let found = vec![("app".to_owned(), true)];
    store.set_repositories(made.id, found, RepositoryOrigin::Found, &actor()).await?;
    fill(store).await?;
    let before = counts(store, "registry.example").await?;

    let removal = store.remove_integration(made.id, RemovedData::Keep, &actor()).await?;
    assert_eq!((removal.jobs, removal.repositories, removal.images), (1, 0, 0));
    assert_eq!(counts(store, "registry.example").await?, before);
    let jobs = JobFilter { registry: Some("registry.example".to_owned()), ..JobFilter::default() };
    assert_eq!(store.jobs(&jobs, &Page::default()).await?.items[0].state, JobState::Done);
    assert!(store.image(&digest(1)).await?.is_some());

    let gone = removal.integration;
    assert_eq!((gone.state, gone.credentials), (IntegrationState::Removed, None));
    assert_eq!((gone.removed_data, gone.removed_at), (Some(RemovedData::Keep), Some(gone.since)));
    assert_eq!(store.integration("main").await?, None);
    assert_eq!(store.integrations(IncludeRemoved::Yes).await?, std::slice::from_ref(&gone));
    assert_eq!(refused(store.sealed_credentials(made.id).await), ErrorKind::NotFound);
    let settings = store.repository_settings(&RepositorySettingFilter::default(), &Page::default()).await?;
    assert!(settings.items.is_empty());
    assert_eq!(store.integration_history(made.id).await?[0].to, IntegrationState::Removed);

    // It is over: nothing changes it but a removal that goes further.
    assert_eq!(refused(store.set_integration_credentials(made.id, None, &actor()).await), ErrorKind::NotFound);
    assert_eq!(refused(store.note_integration_event(made.id, made.since).await), ErrorKind::NotFound);
    assert_eq!(refused(store.remove_integration(made.id, RemovedData::Keep, &actor()).await), ErrorKind::NotFound);
    let further = store.remove_integration(made.id, RemovedData::Delete, &actor()).await?;
    assert_eq!((further.repositories, further.integration.removed_at), (1, gone.removed_at));
    let filter = AuditFilter { action: Some("integration.remove".to_owned()), ..AuditFilter::default() };
    let log = store.audit(&filter, &Page::default()).await?.items;
    let told: Vec<_> = log.iter().map(|entry| entry.details["data"].as_str().unwrap_or_default()).collect();
    assert_eq!(told, ["delete", "keep"]);
    Ok(())
}

pub(super) async fn a_worker_in_the_middle_writes_nothing(subject: &Subject) -> Outcome {
    let store = &*subject.store;
    for data in [RemovedData::Keep, RemovedData::Delete] {
        let made = store.create_integration(new(), &actor()).await?;
        store.enqueue(vec![push("v1"), push("v2")]).await?;
        let dead = claim_one(store).await?;
        store.fail(dead.lease, super::fixture::failure(Retry::Never), Vec::new()).await?;
        let job = claim_one(store).await?;
        store.enqueue(vec![push("v2")]).await?;
        assert_eq!(store.remove_integration(made.id, data, &actor()).await?.jobs, 2);
        let learnt = vec![tag_seen("app", "v2", &digest(1))];
        assert_eq!(refused(store.complete(job.lease, learnt).await), ErrorKind::LeaseLost, "{data:?}");
        assert_eq!(refused(store.heartbeat(job.lease, super::fixture::LEASE).await), ErrorKind::LeaseLost);
        assert!(store.tags(&PlaceFilter::default(), &Page::default()).await?.items.is_empty());
        assert!(super::fixture::claim(store, 10).await?.is_empty(), "nothing is left to do");
        assert!(store.jobs(&JobFilter::dead(), &Page::default()).await?.items.is_empty());
    }
    Ok(())
}

pub(super) async fn a_last_word_of_the_watcher_is_deleted_too(subject: &Subject) -> Outcome {
    let store = &*subject.store;
    let made = store.create_integration(new(), &actor()).await?;
    store.remove_integration(made.id, RemovedData::Delete, &actor()).await?;
    // A watcher that has not heard of it yet.
    store.apply(vec![stored("app", image(1, vec![openssl("1")]))]).await?;
    let again = store.remove_integration(made.id, RemovedData::Delete, &actor()).await?;
    assert_eq!((again.repositories, again.images), (1, 1));
    let filter = AuditFilter { action: Some("integration.remove".to_owned()), ..AuditFilter::default() };
    assert_eq!(store.audit(&filter, &Page::default()).await?.items.len(), 1, "it was decided once");

    // The registry is somebody else's now.
    store.create_integration(NewIntegration { name: "next".to_owned(), ..new() }, &actor()).await?;
    store.apply(vec![stored("app", image(1, vec![openssl("1")]))]).await?;
    let late = store.remove_integration(made.id, RemovedData::Delete, &actor()).await?;
    assert_eq!((late.repositories, late.images), (0, 0));
    assert!(store.image(&digest(1)).await?.is_some());
    Ok(())
}

pub(super) async fn many_images_go(subject: &Subject) -> Outcome {
    let store = &*subject.store;
    let made = store.create_integration(new(), &actor()).await?;
    let images = (1..=130).map(|number| stored("app", image(number, vec![openssl(&number.to_string())])));
    store.apply(images.collect()).await?;
    let removal = store.remove_integration(made.id, RemovedData::Delete, &actor()).await?;
    assert_eq!((removal.repositories, removal.images), (1, 130));
    let usage = store.usage().await?;
    assert_eq!((usage.images, usage.packages, usage.document_bytes), (0, 0, 0));
    assert_eq!(store.prune(&Retention::default()).await?, crate::Pruned::default(), "there is nothing left to do");
    Ok(())
}
