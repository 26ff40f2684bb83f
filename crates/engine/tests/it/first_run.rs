//! What is indexed when a watch begins, and what is new after that.

use supercargo_engine::{TagPatterns, Watch};
use supercargo_store::Lane;

use crate::support::{Ship, settle};

fn from_now_on(ship: &Ship) -> Watch {
    Watch { refresh_registry: true, ..ship.watch() }
}

#[tokio::test]
async fn without_all_images_what_is_there_is_noted_and_what_follows_is_indexed() {
    let ship = Ship::new();
    ship.push("team/app", "old", "one");
    let engine = ship.engine_with(from_now_on(&ship));
    settle(&engine).await;
    assert_eq!(ship.indexer.runs(), 0);
    assert_eq!(ship.tag_names().await, ["team/app:old"]);

    // After a restart, all that is not as it was noted has been pushed since: a tag, a moved tag, a repository.
    let new = ship.push("team/app", "new", "two");
    let moved = ship.push("team/app", "old", "three");
    let elsewhere = ship.push("team/other", "1.0", "four");
    settle(&ship.engine_with(from_now_on(&ship))).await;
    assert_eq!(ship.digests().await, [new, moved, elsewhere].into());
}

#[tokio::test]
async fn all_images_takes_in_what_was_noted_before() {
    let ship = Ship::new();
    let digest = ship.push("team/app", "old", "one");
    settle(&ship.engine_with(from_now_on(&ship))).await;
    assert_eq!(ship.indexer.runs(), 0);
    ship.sail().await;
    assert_eq!(ship.digests().await, [digest].into());
    assert_eq!(ship.jobs().await[0].lane, Lane::Backfill);
}

#[tokio::test]
async fn a_repository_that_is_named_later_begins_anew() {
    let ship = Ship::new();
    ship.push("team/app", "1.0", "one");
    ship.push("team/other", "1.0", "two");
    let named = |names: &[&str]| Watch {
        repositories: names.iter().map(|name| name.parse().unwrap()).collect(),
        ..ship.watch()
    };
    settle(&ship.engine_with(named(&["team/app"]))).await;
    settle(&ship.engine_with(named(&["team/app", "team/other"]))).await;
    assert_eq!(ship.indexer.runs(), 0);
    assert_eq!(ship.tag_names().await, ["team/app:1.0", "team/other:1.0"]);

    let new = ship.push("team/other", "2.0", "three");
    settle(&ship.engine_with(named(&["team/app", "team/other"]))).await;
    assert_eq!(ship.digests().await, [new].into());
}

#[tokio::test]
async fn a_repository_list_is_kept_unless_it_is_to_be_refreshed() {
    let ship = Ship::new();
    let engine = ship.engine_with(Watch { all_images: true, ..ship.watch() });
    settle(&engine).await;
    assert!(ship.images().await.is_empty());
    // A new run lists anew in any case.
    let digest = ship.push("team/app", "1.0", "one");
    settle(&engine).await;
    assert_eq!(ship.digests().await, [digest].into());
}

#[tokio::test]
async fn only_watched_tags_count() {
    let ship = Ship::new();
    let release = ship.push("team/app", "v1.0", "one");
    ship.push("team/app", "nightly", "two");
    ship.push("team/app", &format!("sha256-{}.sig", "a".repeat(64)), "three");
    let tags = TagPatterns::new(["^v[0-9]"]).unwrap();
    settle(&ship.engine_with(Watch { all_images: true, tags, ..ship.watch() })).await;
    assert_eq!(ship.digests().await, [release].into());
    assert_eq!(ship.tag_names().await, ["team/app:v1.0"]);
}
