//! The search for packages.

use std::collections::BTreeSet;

use supercargo_index::Evidence;

use super::fixture::{digest, image, openssl, package, repository};
use super::images::stored;
use super::inventory::tag_seen;
use super::{Outcome, Subject};
use crate::change::Change;
use crate::inventory::{NameMatch, PackageQuery, Presence};
use crate::page::Page;
use crate::store::Store;

/// `image: package@version` of what `query` finds, sorted.
async fn found(store: &dyn Store, query: PackageQuery) -> crate::Result<Vec<String>> {
    let mut found: Vec<_> = store
        .packages(&query, &Page::default())
        .await?
        .items
        .iter()
        .map(|one| format!("{} {}@{}", one.image.digest().trim_start_matches('0'), one.name, one.version))
        .collect();
    found.sort();
    Ok(found)
}

fn named(name: NameMatch) -> PackageQuery {
    PackageQuery { name: Some(name), ..PackageQuery::default() }
}

async fn fill(store: &dyn Store) -> crate::Result<()> {
    let log4j = "pkg:maven/org.apache.logging.log4j/log4j-core@2.14.1";
    let mut jar = package(log4j, "log4j-core", "2.14.1", "/app/lib/log4j-core-2.14.1.jar");
    jar.package.licenses = vec!["Apache-2.0".to_owned(), "BSD_3-Clause".to_owned()];
    let jinja = package("pkg:pypi/jinja2@3.1", "Jinja2", "3.1", "/usr/lib/python3/Jinja2-3.1.dist-info/METADATA");
    let typing = package("pkg:pypi/typing-extensions@4.8", "typing_extensions", "4.8", "/usr/lib/python3/typing");
    let mut lock = package("pkg:npm/%40angular/core@17.0.0", "core", "17.0.0", "/app/package-lock.json");
    lock.package.namespace = Some("@angular".to_owned());
    lock.package.evidence = Evidence::Declared;
    let mut source = openssl("3.0.11");
    source.purl = "pkg:deb/debian/openssl@3.0.11?arch=source".to_owned();
    source.locations.clear();
    store
        .apply(vec![
            stored("app", image(1, vec![openssl("3.0.11"), source, jar.clone(), jinja])),
            stored("app", image(2, vec![openssl("1.1.1"), jar, typing, lock])),
            tag_seen("app", "v1", &digest(1)),
        ])
        .await
}

pub(super) async fn packages_are_found_by_their_names(subject: &Subject) -> Outcome {
    let store = &*subject.store;
    fill(store).await?;
    let exact = |name: &str| named(NameMatch::Exact(name.to_owned()));
    assert_eq!(found(store, exact("log4j-core")).await?, ["1 log4j-core@2.14.1", "2 log4j-core@2.14.1"]);
    assert_eq!(found(store, exact("jinja2")).await?, ["1 Jinja2@3.1"], "case does not count");
    assert_eq!(found(store, exact("typing-extensions")).await?, ["2 typing_extensions@4.8"]);
    assert_eq!(found(store, exact("typing_extensions")).await?, ["2 typing_extensions@4.8"]);
    assert_eq!(found(store, exact("log4j")).await?, [""; 0]);
    let prefix = named(NameMatch::Prefix("LOG4J".to_owned()));
    assert_eq!(found(store, prefix).await?.len(), 2);
    let contains = named(NameMatch::Contains("inja".to_owned()));
    assert_eq!(found(store, contains).await?, ["1 Jinja2@3.1"]);
    Ok(())
}

pub(super) async fn packages_are_found_by_what_they_say(subject: &Subject) -> Outcome {
    let store = &*subject.store;
    fill(store).await?;
    let all = PackageQuery::default;
    let text = |text: &str| Some(text.to_owned());
    let openssl = ["1 openssl@3.0.11", "1 openssl@3.0.11", "2 openssl@1.1.1"];
    assert_eq!(found(store, PackageQuery { kind: text("deb"), ..all() }).await?, openssl);
    assert_eq!(found(store, PackageQuery { namespace: text("Debian"), ..all() }).await?, openssl);
    assert_eq!(found(store, PackageQuery { namespace: text("@angular"), ..all() }).await?, ["2 core@17.0.0"]);
    let version = PackageQuery { version: text("2.14.1"), image: Some(digest(2)), ..all() };
    assert_eq!(found(store, version).await?, ["2 log4j-core@2.14.1"]);
    assert_eq!(found(store, PackageQuery { license: text("apache"), ..all() }).await?.len(), 2);
    assert_eq!(found(store, PackageQuery { license: text("BSD-3"), ..all() }).await?, [""; 0]);
    assert_eq!(found(store, PackageQuery { path: text("/app/lib/"), ..all() }).await?.len(), 2);
    assert_eq!(found(store, PackageQuery { image: Some(digest(2)), ..all() }).await?.len(), 4);

    let lock = PackageQuery { kind: text("npm"), ..all() };
    assert_eq!(store.packages(&lock, &Page::default()).await?.items[0].evidence, Evidence::Declared);
    Ok(())
}

pub(super) async fn packages_know_their_layer(subject: &Subject) -> Outcome {
    let store = &*subject.store;
    fill(store).await?;
    let query = PackageQuery { version: Some("3.0.11".to_owned()), ..PackageQuery::default() };
    let items = store.packages(&query, &Page::default()).await?.items;
    let (binary, source): (Vec<_>, Vec<_>) = items.iter().partition(|one| one.purl.ends_with("arch=amd64"));
    let location = &binary[0].locations[0];
    assert_eq!(location.path, "/var/lib/dpkg/status");
    let layer = location.layer.as_ref().expect("the layer is known");
    assert_eq!((layer.index, layer.digest.clone(), layer.ordinal), (1, digest(101), Some(2)));
    assert_eq!(layer.instruction.as_deref(), Some("RUN npm install"));
    assert_eq!(binary[0].places[0].tag.as_deref(), Some("v1"));
    assert_eq!(binary[0].namespace.as_deref(), Some("debian"));
    assert_eq!(binary[0].licenses, ["MIT"]);
    assert_eq!(source[0].locations, []);
    Ok(())
}

pub(super) async fn packages_of_gone_images_are_hidden(subject: &Subject) -> Outcome {
    let store = &*subject.store;
    fill(store).await?;
    let query = |presence| PackageQuery { presence, ..named(NameMatch::Exact("log4j-core".to_owned())) };
    assert_eq!(found(store, query(Presence::Tagged)).await?, ["1 log4j-core@2.14.1"]);
    store.apply(vec![Change::ManifestGone { repository: repository("app"), digest: digest(1) }]).await?;
    assert_eq!(found(store, query(Presence::Present)).await?, ["2 log4j-core@2.14.1"]);
    assert_eq!(found(store, query(Presence::Any)).await?.len(), 2);
    Ok(())
}

pub(super) async fn packages_come_in_pages(subject: &Subject) -> Outcome {
    let store = &*subject.store;
    fill(store).await?;
    let mut page = Page::first(3);
    let mut seen = BTreeSet::new();
    let mut count = 0;
    loop {
        let listing = store.packages(&PackageQuery::default(), &page).await?;
        count += listing.items.len();
        seen.extend(listing.items.into_iter().map(|one| (one.purl, one.image.to_string())));
        let Some(next) = listing.next else { break };
        page = Page::after(next, 3);
    }
    assert_eq!((seen.len(), count), (8, 8));
    Ok(())
}

pub(super) async fn special_characters_are_themselves(subject: &Subject) -> Outcome {
    let store = &*subject.store;
    let odd = package("pkg:generic/a_b%25c@1", "a_b%c\\'\"", "1", "/path with 'quotes'");
    let plain = package("pkg:generic/axbyc@1", "axbyc", "1", "/path");
    store.apply(vec![stored("app", image(1, vec![odd, plain]))]).await?;
    for (name, expected) in [("a_b", 1), ("%", 1), ("\\'\"", 1), ("_", 1), ("b", 2)] {
        let query = named(NameMatch::Contains(name.to_owned()));
        assert_eq!(found(store, query).await?.len(), expected, "{name}");
    }
    let query = PackageQuery { path: Some("'quotes'".to_owned()), ..PackageQuery::default() };
    assert_eq!(found(store, query).await?.len(), 1);
    Ok(())
}
