//! What is kept, and how long.

use std::time::Duration;

use supercargo_index::{Captures, LayerIndex, LayerKey};

use super::fixture::{INDEXER, claim_one, digest, failure, image, layer, openssl, package, push, repository};
use super::images::stored;
use super::inventory::tag_seen;
use super::{Outcome, Subject};
use crate::change::Change;
use crate::error::{Error, ErrorKind};
use crate::event::{EventFilter, EventState, NewEvent};
use crate::inventory::{ImageFilter, PackageQuery, PlaceFilter, Presence};
use crate::job::{JobFilter, Retry};
use crate::ledger::Verdict;
use crate::page::Page;
use crate::upkeep::{Pruned, Retention};

const DAY: Duration = Duration::from_secs(24 * 3600);

fn key(number: u32) -> LayerKey {
    LayerKey { digest: digest(number), indexer: INDEXER.to_owned() }
}

fn cached<T>(result: supercargo_index::Result<T>) -> Result<T, Error> {
    result.map_err(|error| Error::new(ErrorKind::Internal, "use layer cache").with_source(error))
}

pub(super) async fn layers_are_cached(subject: &Subject) -> Outcome {
    let cache = subject.store.layer_cache();
    assert_eq!(cached(cache.get(&key(1)).await)?, None);
    cached(cache.put(&key(1), &layer(1)).await)?;
    assert_eq!(cached(cache.get(&key(1)).await)?, Some(layer(1)));
    let other = LayerKey { indexer: "2-def".to_owned(), ..key(1) };
    assert_eq!(cached(cache.get(&other).await)?, None, "another indexer finds other things");

    let newer = LayerIndex { size: 11, ..layer(1) };
    cached(cache.put(&key(1), &newer).await)?;
    assert_eq!(cached(cache.get(&key(1)).await)?, Some(newer));
    Ok(())
}

pub(super) async fn a_layer_of_any_indexer_is_the_one_used_last(subject: &Subject) -> Outcome {
    let cache = subject.store.layer_cache();
    assert_eq!(cached(cache.get_any(&digest(1)).await)?, None);
    let by = |indexer: &str| LayerKey { indexer: indexer.to_owned(), ..key(1) };
    let of = |size: u8| LayerIndex {
        size: size.into(),
        captures: Some(Captures::from(vec![size; size.into()])),
        ..layer(1)
    };
    cached(cache.put(&by("2-a"), &of(100)).await)?;
    cached(cache.put(&by("2-b"), &of(200)).await)?;
    cached(cache.put(&key(2), &layer(2)).await)?;
    // Captures and all; of two that were put at one time, the later.
    assert_eq!(cached(cache.get_any(&digest(1)).await)?, Some(of(200)));
    subject.clock.advance(2 * DAY);
    let used = cached(cache.get(&by("2-a")).await)?.expect("it was put");
    assert_eq!(LayerIndex { captures: of(100).captures, ..used }, of(100));
    assert_eq!(cached(cache.get_any(&digest(1)).await)?, Some(of(100)));
    assert_eq!(cached(cache.get_any(&digest(3)).await)?, None);
    Ok(())
}

pub(super) async fn unused_layers_go_first(subject: &Subject) -> Outcome {
    let store = &*subject.store;
    let cache = store.layer_cache();
    for number in 1..=4 {
        cached(cache.put(&key(number), &layer(number)).await)?;
        subject.clock.advance(10 * DAY);
    }
    // Used again, the oldest of all becomes the newest.
    cached(cache.get(&key(1)).await)?;
    let bytes = store.usage().await?.layer_bytes;
    let half = Retention { layer_bytes: bytes / 2 + 1, ..Retention::default() };
    assert_eq!(store.prune(&half).await?.layers, 2);
    let mut kept = Vec::new();
    for number in 1..=4 {
        if cached(cache.get(&key(number)).await)?.is_some() {
            kept.push(number);
        }
    }
    assert_eq!(kept, [1, 4]);

    subject.clock.advance(100 * DAY);
    assert_eq!(store.prune(&Retention::default()).await?.layers, 2);
    Ok(())
}

pub(super) async fn retention_removes_what_is_old_only(subject: &Subject) -> Outcome {
    let store = &*subject.store;
    let event = |key: &str| NewEvent {
        source: "ci".to_owned(),
        dedupe_key: key.to_owned(),
        state: EventState::Ignored,
        reason: None,
        registry: None,
        headers: Vec::new(),
        body: Vec::new(),
    };
    store.accept(event("old"), vec![push("done"), push("dead")]).await?;
    let job = claim_one(store).await?;
    store.complete(job.lease, vec![Change::Deliver(new_delivery())]).await?;
    let job = claim_one(store).await?;
    store.fail(job.lease, failure(Retry::Never), Vec::new()).await?;
    let couriers = store.claim_deliveries("scout", "courier", DAY, 1).await?;
    store.complete_delivery(couriers[0].lease).await?;
    store
        .apply(vec![
            stored("app", image(1, vec![openssl("1")])),
            stored("app", image(2, vec![openssl("1"), openssl("2")])),
            stored("app", image(3, vec![package("pkg:npm/a@1", "a", "1", "/unique")])),
            tag_seen("app", "v1", &digest(1)),
            tag_seen("app", "v2", &digest(2)),
            Change::ManifestGone { repository: repository("app"), digest: digest(2) },
        ])
        .await?;
    assert_eq!(store.prune(&Retention::default()).await?, Pruned::default(), "all of it is fresh");

    subject.clock.advance(60 * DAY);
    store.accept(event("new"), vec![push("waiting")]).await?;
    store.apply(vec![Change::ManifestGone { repository: repository("app"), digest: digest(3) }]).await?;
    let pruned = store.prune(&Retention::default()).await?;
    let expected =
        Pruned { events: 1, jobs: 1, deliveries: 1, images: 1, inventory: 2, packages: 1, ..Pruned::default() };
    assert_eq!(pruned, expected);

    let page = Page::default();
    assert_eq!(store.events(&EventFilter::default(), &page).await?.items.len(), 1);
    assert_eq!(store.jobs(&JobFilter::default(), &page).await?.items.len(), 2, "the dead letter waits for a person");
    let any = ImageFilter { presence: Presence::Any, ..ImageFilter::default() };
    assert_eq!(store.images(&any, &page).await?.items.len(), 2);
    let any = PackageQuery { presence: Presence::Any, ..PackageQuery::default() };
    assert_eq!(store.packages(&any, &page).await?.items.len(), 2);
    assert_eq!(store.tags(&PlaceFilter::default(), &page).await?.items.len(), 1);
    Ok(())
}

fn new_delivery() -> crate::NewDelivery {
    crate::NewDelivery {
        lane: crate::Lane::Push,
        tag: None,
        sink: "scout".to_owned(),
        kind: crate::DeliveryKind::Gone,
        subject: digest(1),
        repository: repository("app"),
        details: serde_json::Value::Null,
        max_attempts: 1,
    }
}

pub(super) async fn pruned_images_can_come_back(subject: &Subject) -> Outcome {
    let store = &*subject.store;
    let index = || {
        let ledger = Change::Ledger { digest: digest(1), indexer: INDEXER.to_owned(), verdict: Verdict::Indexed };
        vec![stored("app", image(1, vec![openssl("1")])), tag_seen("app", "v1", &digest(1)), ledger]
    };
    store.apply(index()).await?;
    store.apply(vec![Change::RepositoryGone { repository: repository("app") }]).await?;
    subject.clock.advance(60 * DAY);
    store.prune(&Retention::default()).await?;
    assert_eq!(store.image(&digest(1)).await?, None);
    assert!(store.ledger(INDEXER, &[digest(1)]).await?.is_empty(), "or it would never be indexed again");
    assert_eq!(store.usage().await?.packages, 0);

    store.apply(index()).await?;
    assert!(store.image(&digest(1)).await?.is_some());
    Ok(())
}

pub(super) async fn usage_is_counted(subject: &Subject) -> Outcome {
    let store = &*subject.store;
    store.apply(vec![stored("app", image(1, vec![openssl("1")])), stored("b", image(2, vec![openssl("1")]))]).await?;
    cached(store.layer_cache().put(&key(1), &layer(1)).await)?;
    let usage = store.usage().await?;
    assert_eq!((usage.images, usage.packages, usage.layers, usage.events), (2, 1, 1, 0));
    assert!(usage.document_bytes > 0 && usage.layer_bytes > 0);
    store.check().await
}
