//! Images and where they are.

use supercargo_index::{ImageMetadata, Platform, Source};

use super::fixture::{MINUTE, details, digest, image, openssl, package, repository};
use super::inventory::tag_seen;
use super::{Outcome, Subject, refused};
use crate::change::{Change, ChildKind, ManifestChild};
use crate::error::ErrorKind;
use crate::inventory::{ImageFilter, PackageQuery, Place, PlaceFilter, Presence};
use crate::page::Page;
use crate::store::Store;

pub(super) fn stored(name: &str, metadata: ImageMetadata) -> Change {
    Change::Image { repository: repository(name), metadata: Box::new(metadata) }
}

/// An index of the images `children`, and an attestation beside them.
pub(super) fn index(name: &str, number: u32, children: &[u32]) -> Change {
    let child = |number: &u32| ManifestChild {
        digest: digest(*number),
        platform: "linux/amd64".parse().ok(),
        kind: ChildKind::Image,
    };
    let attestation = ManifestChild { digest: digest(number + 9000), platform: None, kind: ChildKind::Other };
    Change::ManifestSeen {
        repository: repository(name),
        digest: digest(number),
        media_type: "application/vnd.oci.image.index.v1+json".to_owned(),
        size: 500,
        children: children.iter().map(child).chain([attestation]).collect(),
    }
}

fn place(name: &str, tag: Option<&str>) -> Place {
    Place { repository: repository(name), tag: tag.map(str::to_owned) }
}

/// Numbers of the images that `filter` finds, as their sizes tell them.
async fn found(store: &dyn Store, filter: ImageFilter) -> crate::Result<Vec<u64>> {
    let images = store.images(&filter, &Page::default()).await?;
    Ok(images.items.iter().map(|one| one.size - 2000).collect())
}

pub(super) async fn an_image_is_read_back_whole(subject: &Subject) -> Outcome {
    let store = &*subject.store;
    let metadata = image(1, vec![openssl("3.0.11"), package("pkg:npm/left-pad@1.3.0", "left-pad", "1.3.0", "/a")]);
    store.apply(vec![stored("app", metadata.clone()), tag_seen("app", "v1", &digest(1))]).await?;
    let image = store.image(&digest(1)).await?.expect("the image is there");
    assert_eq!(image.metadata, metadata);
    let summary = image.summary;
    assert_eq!((summary.packages, summary.layers, summary.size), (2, 2, 2001));
    assert_eq!(summary.distro, metadata.distro);
    assert_eq!(summary.created.as_deref(), Some("2026-11-22T00:00:00Z"));
    assert_eq!(summary.places, [place("app", Some("v1"))]);
    assert_eq!(store.image(&digest(2)).await?, None);
    Ok(())
}

/// An image of these layers.
fn of_layers(number: u32, layers: &[u32]) -> ImageMetadata {
    let mut metadata = image(number, Vec::new());
    let details = details(&mut metadata);
    let layer = details.layers[0].clone();
    details.layers = layers
        .iter()
        .map(|&number| supercargo_index::ImageLayer { diff_id: Some(digest(number)), ..layer.clone() })
        .collect();
    metadata
}

pub(super) async fn a_base_image_is_the_known_one_with_the_most_layers(subject: &Subject) -> Outcome {
    let store = &*subject.store;
    let layers: Vec<_> = [11, 12, 13].map(digest).into();
    assert_eq!(store.base_image(&layers).await?, None);
    store
        .apply(vec![
            stored("small", of_layers(1, &[11])),
            stored("large", of_layers(2, &[11, 12])),
            // Of the same layers, and with a tag.
            stored("tagged", of_layers(3, &[11, 12])),
            tag_seen("tagged", "v1", &digest(3)),
            // Itself, a longer one, and one that only has a layer in common.
            stored("app", of_layers(4, &[11, 12, 13])),
            stored("longer", of_layers(5, &[11, 12, 13, 14])),
            stored("other", of_layers(6, &[12])),
        ])
        .await?;
    let base = store.base_image(&layers).await?.expect("there is one");
    assert_eq!((base.image.digest, base.layers), (digest(3), 2));
    assert_eq!(base.image.places, [place("tagged", Some("v1"))]);
    // What is gone is no base.
    let gone = |name: &str, number| Change::ManifestGone { repository: repository(name), digest: digest(number) };
    store.apply(vec![gone("tagged", 3), gone("large", 2)]).await?;
    let base = store.base_image(&layers).await?.expect("there is one");
    assert_eq!((base.image.digest, base.layers), (digest(1), 1));
    assert_eq!(store.base_image(&layers[..1]).await?, None, "an image is not its own base");
    assert_eq!(store.base_image(&[]).await?, None);
    Ok(())
}

pub(super) async fn the_indexes_of_an_image_are_found(subject: &Subject) -> Outcome {
    let store = &*subject.store;
    store.apply(vec![index("app", 21, &[1, 2]), index("app", 20, &[2])]).await?;
    let mut found = store.indexes_of(&digest(2)).await?;
    found.sort_by_key(ToString::to_string);
    let mut expected = vec![digest(20), digest(21)];
    expected.sort_by_key(ToString::to_string);
    assert_eq!(found, expected);
    assert_eq!(store.indexes_of(&digest(9)).await?, []);
    Ok(())
}

pub(super) async fn images_are_found_by_where_and_what_they_are(subject: &Subject) -> Outcome {
    let store = &*subject.store;
    let mut arm = image(3, Vec::new());
    details(&mut arm).platform = "linux/arm64/v8".parse().expect("a platform");
    store
        .apply(vec![
            stored("app", image(1, Vec::new())),
            stored("app", image(2, Vec::new())),
            stored("other", arm),
            tag_seen("app", "v1", &digest(1)),
            tag_seen("other", "v1", &digest(3)),
        ])
        .await?;
    let any = ImageFilter::default;
    assert_eq!(found(store, any()).await?, [3, 2, 1], "the newest first");
    assert_eq!(found(store, ImageFilter { repository: Some("app".into()), ..any() }).await?, [2, 1]);
    assert_eq!(found(store, ImageFilter { registry: Some("elsewhere".into()), ..any() }).await?, [0u64; 0]);
    assert_eq!(found(store, ImageFilter { tag: Some("v1".into()), ..any() }).await?, [3, 1]);
    let tag = ImageFilter { tag: Some("v1".into()), repository: Some("app".into()), ..any() };
    assert_eq!(found(store, tag).await?, [1]);
    assert_eq!(found(store, ImageFilter { presence: Presence::Tagged, ..any() }).await?, [3, 1]);
    for (platform, expected) in [("linux/amd64", vec![2, 1]), ("linux/arm64", vec![3]), ("linux/arm64/v7", vec![])] {
        let platform: Platform = platform.parse().expect("a platform");
        assert_eq!(found(store, ImageFilter { platform: Some(platform), ..any() }).await?, expected);
    }
    assert_eq!(found(store, ImageFilter { layer: Some(digest(201)), ..any() }).await?, [2]);

    let first = store.images(&any(), &Page::first(2)).await?;
    let rest = store.images(&any(), &Page::after(first.next.expect("three images"), 2)).await?;
    assert_eq!((rest.items[0].digest.clone(), rest.next), (digest(1), None));
    assert_eq!(first.items[1].places, [place("app", None)], "there, and without a tag");

    store.apply(vec![Change::ManifestGone { repository: repository("app"), digest: digest(1) }]).await?;
    assert_eq!(found(store, any()).await?, [3, 2]);
    assert_eq!(found(store, ImageFilter { presence: Presence::Any, ..any() }).await?, [3, 2, 1]);
    let gone = store.image(&digest(1)).await?.expect("a gone image is kept").summary;
    assert!(gone.gone_at.is_some() && gone.places.is_empty());
    Ok(())
}

pub(super) async fn an_index_leads_to_its_images(subject: &Subject) -> Outcome {
    let store = &*subject.store;
    store
        .apply(vec![
            index("app", 10, &[1, 2]),
            tag_seen("app", "v1", &digest(10)),
            tag_seen("app", "latest", &digest(10)),
            stored("app", image(1, vec![openssl("3.0.11")])),
            stored("app", image(2, Vec::new())),
            // The same index in another repository: nothing of it is indexed again.
            index("copy", 10, &[1, 2]),
            tag_seen("copy", "v1", &digest(10)),
        ])
        .await?;
    let summary = store.image(&digest(1)).await?.expect("the image is there").summary;
    let places = [place("app", Some("latest")), place("app", Some("v1")), place("copy", Some("v1"))];
    assert_eq!(summary.places, places);
    let latest = ImageFilter { tag: Some("latest".into()), presence: Presence::Tagged, ..ImageFilter::default() };
    assert_eq!(found(store, latest).await?, [2, 1]);
    assert_eq!(store.packages(&PackageQuery::default(), &Page::default()).await?.items[0].places, places);

    let manifests = store.manifests(&PlaceFilter::repository(&repository("app")), &Page::default()).await?.items;
    let listed = manifests.iter().find(|one| one.digest == digest(10)).expect("the index is there");
    assert_eq!((listed.images.clone(), listed.size), (vec![digest(1), digest(2)], Some(500)));

    // The tags moved on: the images are still there.
    let gone = Change::TagGone { repository: repository("copy"), tag: "v1".to_owned() };
    store.apply(vec![tag_seen("app", "v1", &digest(2)), tag_seen("app", "latest", &digest(2)), gone]).await?;
    let summary = store.image(&digest(1)).await?.expect("the image is there").summary;
    assert_eq!(summary.places, [place("app", None), place("copy", None)]);
    assert_eq!(found(store, ImageFilter { presence: Presence::Tagged, ..ImageFilter::default() }).await?, [2]);
    Ok(())
}

pub(super) async fn indexing_again_replaces(subject: &Subject) -> Outcome {
    let store = &*subject.store;
    store.apply(vec![stored("app", image(1, vec![openssl("3.0.11"), openssl("1.1.1")]))]).await?;
    subject.clock.advance(MINUTE);
    let newer = ImageMetadata { indexer: "2-def".to_owned(), ..image(1, vec![openssl("3.0.12")]) };
    store.apply(vec![stored("app", newer.clone())]).await?;
    let image = store.image(&digest(1)).await?.expect("the image is there");
    assert_eq!(image.metadata, newer);
    assert_eq!((image.summary.packages, image.summary.indexer.as_str()), (1, "2-def"));
    assert!(image.summary.last_indexed > image.summary.first_indexed);
    let packages = store.packages(&PackageQuery::default(), &Page::default()).await?.items;
    assert_eq!(packages.iter().map(|one| one.version.as_str()).collect::<Vec<_>>(), ["3.0.12"]);
    Ok(())
}

pub(super) async fn a_directory_is_refused(subject: &Subject) -> Outcome {
    let store = &*subject.store;
    let source = Source::Directory { path: "/".to_owned(), size: 0 };
    let directory = ImageMetadata { source, ..image(1, Vec::new()) };
    assert_eq!(refused(store.apply(vec![stored("app", directory)]).await), ErrorKind::Invalid);
    Ok(())
}
