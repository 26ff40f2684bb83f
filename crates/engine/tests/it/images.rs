//! What is indexed, and how often.

use std::sync::atomic::Ordering;

use serde_json::json;
use supercargo_engine::Route;
use supercargo_registry::media_type::{OCI_INDEX, OCI_MANIFEST};
use supercargo_store::{DeliveryFilter, Page, ProblemState, Verdict};

use crate::recorder::Recorder;
use crate::support::{Ship, name, settle};

#[tokio::test]
async fn two_tags_on_one_digest_are_indexed_once() {
    let ship = Ship::new();
    let digest = ship.push("team/app", "1.0", "one");
    ship.push("team/app", "latest", "one");
    let summary = ship.sail().await;
    assert_eq!((summary.counters.indexed, ship.indexer.runs()), (1, 1));
    assert_eq!(ship.tag_names().await, ["team/app:1.0", "team/app:latest"]);
    assert_eq!(ship.images().await[0].digest, digest);
    assert_eq!(ship.images().await[0].places.len(), 2);
}

#[tokio::test]
async fn one_image_in_two_repositories_is_read_once_and_found_in_both() {
    let ship = Ship::new();
    ship.push("team/app", "1.0", "one");
    ship.push("mirror/app", "1.0", "one");
    ship.sail().await;
    assert_eq!(ship.indexer.runs(), 1);
    let places: Vec<_> = ship.images().await[0].places.iter().map(|place| place.repository.clone()).collect();
    assert_eq!(places, [name("mirror/app"), name("team/app")]);
}

#[tokio::test]
async fn what_is_indexed_is_not_read_again_after_a_restart() {
    let ship = Ship::new();
    ship.push("team/app", "1.0", "one");
    ship.sail().await;
    let again = ship.sail().await;
    assert_eq!((again.counters.indexed, ship.indexer.runs()), (0, 1));
}

#[tokio::test]
async fn a_moved_tag_is_followed() {
    let ship = Ship::new();
    let old = ship.push("team/app", "latest", "one");
    ship.sail().await;
    let new = ship.push("team/app", "latest", "two");
    ship.sail().await;
    assert_eq!(ship.tags().await[0].digest, new);
    assert_eq!(ship.indexer.runs(), 2);

    // And back: the pointer moves, and nothing is read.
    ship.push("team/app", "latest", "one");
    ship.sail().await;
    assert_eq!(ship.tags().await[0].digest, old);
    assert_eq!(ship.indexer.runs(), 2);
}

#[tokio::test]
async fn tags_are_resolved_only_where_the_list_names_no_digest() {
    let ship = Ship::new();
    ship.push("team/app", "1.0", "one");
    ship.push("team/app", "2.0", "two");
    ship.sail().await;
    assert_eq!(ship.registry.switches.resolved.load(Ordering::SeqCst), 0);

    ship.registry.switches.no_digests.store(true, Ordering::SeqCst);
    let moved = ship.push("team/app", "2.0", "three");
    ship.sail().await;
    assert_eq!(ship.registry.switches.resolved.load(Ordering::SeqCst), 2);
    assert_eq!(ship.tags().await[1].digest, moved);
}

#[tokio::test]
async fn every_platform_of_an_index_is_an_image_and_attestations_are_none() {
    let ship = Ship::new();
    let repository = "team/app".parse().unwrap();
    let [amd64, arm64, attestation] = ["amd64", "arm64", "attestation"].map(|seed| ship.push("team/app", seed, seed));
    for seed in ["amd64", "arm64", "attestation"] {
        ship.registry.inner.delete_tag(&repository, &seed.parse().unwrap());
    }
    let entry = |digest: &supercargo_registry::Digest, architecture: &str| json!({"mediaType": OCI_MANIFEST, "digest": digest, "size": 1, "platform": {"os": "linux", "architecture": architecture}});
    let mut unknown = entry(&attestation, "unknown");
    unknown["platform"]["os"] = json!("unknown");
    unknown["annotations"] = json!({"vnd.docker.reference.type": "attestation-manifest"});
    let index = json!({
        "schemaVersion": 2, "mediaType": OCI_INDEX,
        "manifests": [entry(&amd64, "amd64"), entry(&arm64, "arm64"), unknown]
    });
    let tag = "1.0".parse().unwrap();
    let index = ship.registry.inner.push_manifest(&repository, Some(&tag), OCI_INDEX, index.to_string());

    let summary = ship.sail().await;
    assert_eq!(summary.counters.indexed, 2);
    assert_eq!(ship.digests().await, [amd64.clone(), arm64].into());
    assert!(ship.images().await.iter().all(|image| image.places[0].tag.as_deref() == Some("1.0")));
    assert_eq!(ship.tags().await[0].digest, index);

    // A second tag on the index, and one on a platform of it, read nothing.
    let again = settle_with_tags(&ship, &index, &amd64).await;
    assert_eq!((again.counters.indexed, ship.indexer.runs()), (0, 2));
}

async fn settle_with_tags(
    ship: &Ship,
    index: &supercargo_registry::Digest,
    image: &supercargo_registry::Digest,
) -> supercargo_engine::Summary {
    use supercargo_registry::{Registry as _, Target};
    let repository = "team/app".parse().unwrap();
    for (tag, digest) in [("latest", index), ("one-platform", image)] {
        let manifest = ship.registry.inner.manifest(&repository, &Target::Digest(digest.clone())).await.unwrap();
        let tag = tag.parse().unwrap();
        ship.registry.inner.push_manifest(&repository, Some(&tag), &manifest.media_type, manifest.bytes);
    }
    ship.sail().await
}

#[tokio::test]
async fn an_artefact_that_is_no_image_is_unsupported_with_a_reason_and_not_tried_again() {
    let ship = Ship::new();
    let config = ship.registry.inner.push_blob("{}");
    let manifest = json!({
        "schemaVersion": 2, "mediaType": OCI_MANIFEST, "layers": [],
        "config": {"mediaType": "application/vnd.cncf.helm.config.v1+json", "digest": config, "size": 2}
    });
    let (repository, tag) = ("charts/app".parse().unwrap(), "1.0".parse().unwrap());
    let digest = ship.registry.inner.push_manifest(&repository, Some(&tag), OCI_MANIFEST, manifest.to_string());

    let summary = ship.sail().await;
    assert_eq!((summary.counters.unsupported, summary.counters.dead), (1, 0));
    let engine = ship.engine();
    let ledger = ship.store.ledger(engine.indexer_version(), std::slice::from_ref(&digest)).await.unwrap();
    let Verdict::Unsupported(reason) = &ledger[&digest].verdict else { panic!("{ledger:?}") };
    assert!(reason.message.contains("Helm"), "{reason}");
    assert_eq!(ship.problems().await[0].state, ProblemState::Unsupported);
    assert_eq!(settle(&engine).await.counters.unsupported, 0);
}

#[tokio::test]
async fn every_sink_gets_a_row_with_the_image_and_a_dry_run_has_none() {
    let mut ship = Ship::new();
    ship.routes = ["scout", "file"].map(|name| Route::new(name, Recorder::new())).to_vec();
    let digest = ship.push("team/app", "1.0", "one");
    ship.sail().await;
    let rows = ship.store.deliveries(&DeliveryFilter::default(), &Page::default()).await.unwrap().items;
    let mut sinks: Vec<_> = rows.iter().map(|row| row.request.sink.as_str()).collect();
    sinks.sort_unstable();
    assert_eq!(sinks, ["file", "scout"]);
    assert!(rows.iter().all(|row| row.request.subject == digest));

    let mut dry = Ship::new();
    dry.routes.clone_from(&ship.routes);
    dry.options.dry_run = true;
    dry.push("team/app", "1.0", "one");
    dry.sail().await;
    assert!(dry.store.deliveries(&DeliveryFilter::default(), &Page::default()).await.unwrap().items.is_empty());
}
