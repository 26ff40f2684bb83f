//! What is taken for gone, and what is not.

use std::sync::atomic::Ordering;

use supercargo_registry::{Digest, ErrorKind, Repository};
use supercargo_store::{Page, PlaceFilter, Presence, RepositoryState};

use crate::support::Ship;

fn app() -> Repository {
    "team/app".parse().unwrap()
}

async fn two_tags() -> (Ship, Digest, Digest) {
    let ship = Ship::new();
    let one = ship.push("team/app", "1.0", "one");
    let two = ship.push("team/app", "2.0", "two");
    ship.sail().await;
    assert_eq!(ship.tag_names().await, ["team/app:1.0", "team/app:2.0"]);
    (ship, one, two)
}

async fn repositories(ship: &Ship) -> Vec<RepositoryState> {
    let filter = PlaceFilter { presence: Presence::Any, ..PlaceFilter::default() };
    ship.store.repositories(&filter, &Page::default()).await.unwrap().items
}

#[tokio::test]
async fn a_deleted_tag_is_found_by_a_pass() {
    let (ship, ..) = two_tags().await;
    ship.registry.inner.delete_tag(&app(), &"1.0".parse().unwrap());
    let summary = ship.sail().await;
    assert_eq!(summary.counters.gone, 1);
    assert_eq!(ship.tag_names().await, ["team/app:2.0"]);
}

#[tokio::test]
async fn a_manifest_that_went_with_its_tag_is_found_by_a_pass() {
    let (ship, one, two) = two_tags().await;
    ship.registry.inner.delete_tag(&app(), &"1.0".parse().unwrap());
    ship.sail().await;
    assert_eq!(ship.digests().await, [one, two.clone()].into(), "a manifest without a tag is there");
    ship.registry.inner.delete_manifest(&app(), &two);
    ship.sail().await;
    assert!(!ship.digests().await.contains(&two));
    assert!(ship.tag_names().await.is_empty());
}

#[tokio::test]
async fn a_tag_that_a_list_leaves_out_is_not_gone() {
    let (ship, ..) = two_tags().await;
    ship.registry.switches.hidden_tags.lock().unwrap().insert("1.0".to_owned());
    let summary = ship.sail().await;
    assert_eq!(summary.counters.gone, 0);
    assert_eq!(ship.tag_names().await, ["team/app:1.0", "team/app:2.0"]);
}

#[tokio::test]
async fn a_list_that_breaks_off_marks_nothing_gone() {
    let (ship, ..) = two_tags().await;
    ship.registry.inner.delete_tag(&app(), &"2.0".parse().unwrap());
    ship.registry.switches.torn_list.store(true, Ordering::SeqCst);
    let summary = ship.sail().await;
    assert_eq!(summary.counters.gone, 0);
    assert_eq!(ship.tag_names().await, ["team/app:1.0", "team/app:2.0"]);

    ship.registry.switches.torn_list.store(false, Ordering::SeqCst);
    ship.sail().await;
    assert_eq!(ship.tag_names().await, ["team/app:1.0"]);
}

#[tokio::test]
async fn a_registry_that_is_away_marks_nothing_gone_and_says_so() {
    let (ship, ..) = two_tags().await;
    for kind in [ErrorKind::Network, ErrorKind::Unauthorized, ErrorKind::Unavailable] {
        ship.registry.set_away(Some(kind));
        let summary = ship.sail().await;
        assert_eq!(summary.counters.gone, 0);
        assert_eq!(summary.unreached[0].reason.kind, kind.as_str());
        let away = ship.store.registries().await.unwrap().remove(0).away.expect("it is shown as away");
        assert_eq!(away.reason.kind, kind.as_str());
        assert_eq!(ship.tag_names().await.len(), 2);
    }
    ship.registry.set_away(None);
    ship.sail().await;
    assert_eq!(ship.store.registries().await.unwrap().remove(0).away, None);
}

#[tokio::test]
async fn a_repository_is_gone_when_it_is_asked_for_and_not_there() {
    let (ship, ..) = two_tags().await;
    ship.push("team/other", "1.0", "three");
    ship.sail().await;

    // Left out by the catalog, but there.
    ship.registry.switches.hidden_repositories.lock().unwrap().insert("team/app".to_owned());
    ship.sail().await;
    assert!(repositories(&ship).await.iter().all(|state| state.gone_at.is_none()));

    ship.registry.inner.delete_repository(&app());
    ship.sail().await;
    let states = repositories(&ship).await;
    assert!(states[0].gone_at.is_some() && states[1].gone_at.is_none(), "{states:?}");
    assert_eq!(ship.tag_names().await, ["team/other:1.0"]);
}

#[tokio::test]
async fn a_registry_without_tag_lists_loses_no_repository() {
    let (ship, ..) = two_tags().await;
    ship.registry.switches.no_lists.store(true, Ordering::SeqCst);
    let summary = ship.sail().await;
    assert_eq!(summary.counters.gone, 0);
    assert!(repositories(&ship).await[0].gone_at.is_none());
    assert_eq!(ship.tag_names().await.len(), 2);
}

#[tokio::test]
async fn a_repository_that_comes_back_is_there_again() {
    let (ship, one, _) = two_tags().await;
    ship.registry.inner.delete_repository(&app());
    ship.sail().await;
    assert!(ship.tag_names().await.is_empty());
    ship.push("team/app", "1.0", "one");
    ship.sail().await;
    assert_eq!(ship.tag_names().await, ["team/app:1.0"]);
    assert_eq!(ship.digests().await, [one].into());
    assert_eq!(ship.indexer.runs(), 2, "what is known is not read again");
}
