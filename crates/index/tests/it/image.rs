//! Whole images: what is seen, and which layer is said to have brought it.

use std::sync::Arc;

use supercargo_index::{DiffIds, ErrorKind, ImageMetadata, Indexer, LayerCache, LayerKey, MemoryLayerCache};
use supercargo_testkit::{Compression, Defect, ImageBuilder, Layer, contents};

use crate::support::{KitSource, dpkg, dpkg_status, index, packages, run};

/// Builds an image of these layers and says which deb packages it has, each with its layer.
fn debs(layers: impl IntoIterator<Item = Layer>) -> Vec<String> {
    let image = layers
        .into_iter()
        .enumerate()
        .fold(ImageBuilder::new(), |image, (n, layer)| image.with_layer(layer, format!("step {n}")));
    packages(&index(image.build()).expect("is indexed"), "deb")
}

#[test]
fn a_package_belongs_to_the_layer_that_brought_it() {
    let rewritten = debs([
        dpkg(&[("bash", "5"), ("curl", "7")]),
        dpkg(&[("bash", "5"), ("curl", "8"), ("jq", "1")]),
        dpkg(&[("bash", "5"), ("curl", "8"), ("jq", "1"), ("vim", "9")]),
    ]);
    assert_eq!(rewritten, ["bash 5 @0", "curl 8 @1", "jq 1 @1", "vim 9 @2"]);
}

#[test]
fn removed_and_installed_again_counts_from_the_second_time() {
    let again =
        debs([dpkg(&[("bash", "5"), ("curl", "7")]), dpkg(&[("bash", "5")]), dpkg(&[("bash", "5"), ("curl", "7")])]);
    assert_eq!(again, ["bash 5 @0", "curl 7 @2"]);
    let deleted_between =
        debs([dpkg(&[("bash", "5")]), Layer::new().whiteout("var/lib/dpkg/status"), dpkg(&[("bash", "5")])]);
    assert_eq!(deleted_between, ["bash 5 @2"]);
}

#[test]
fn what_later_layers_hide_is_not_there() {
    assert!(debs([dpkg(&[("bash", "5")]), Layer::new().whiteout("var/lib/dpkg/status")]).is_empty());
    assert!(debs([dpkg(&[("bash", "5")]), Layer::new().whiteout("var/lib")]).is_empty());
    assert!(debs([dpkg(&[("bash", "5")]), Layer::new().opaque("var")]).is_empty());
    assert!(debs([dpkg(&[("bash", "5")]), Layer::new().file("var/lib/dpkg", "a file now")]).is_empty());
    assert!(debs([dpkg(&[("bash", "5")]), Layer::new().symlink("var/lib/dpkg", "/nowhere")]).is_empty());
    assert!(debs([dpkg(&[("bash", "5")]), Layer::new().file("var/lib/dpkg/status", "")]).is_empty());
}

#[test]
fn a_whiteout_does_not_hide_its_own_layer() {
    let layer = dpkg(&[("bash", "5")]).opaque("var/lib/dpkg");
    assert_eq!(debs([dpkg(&[("curl", "7")]), layer]), ["bash 5 @1"]);
}

#[test]
fn a_database_behind_links_is_found_and_one_beside_them_is_not() {
    let moved = Layer::new()
        .file("usr/share/packages/status", dpkg_status(&[("bash", "5")]))
        .symlink("var/lib/dpkg", "../../usr/share/packages");
    assert_eq!(debs([moved]), ["bash 5 @0"]);
    let file_link =
        Layer::new().file("opt/db", dpkg_status(&[("bash", "5")])).symlink("var/lib/dpkg/status", "/opt/db");
    assert_eq!(debs([file_link]), ["bash 5 @0"]);
    let hard_link =
        Layer::new().file("opt/db", dpkg_status(&[("bash", "5")])).hard_link("var/lib/dpkg/status", "opt/db");
    assert_eq!(debs([hard_link]), ["bash 5 @0"]);
    let across = [
        Layer::new().file("opt/db", dpkg_status(&[("bash", "5")])),
        Layer::new().hard_link("var/lib/dpkg/status", "opt/db"),
    ];
    assert_eq!(debs(across), ["bash 5 @0"]);
    // More than is read without a look at its beginning.
    let large = format!("{}\nPackage: zoo\nDescription: {}\n", dpkg_status(&[("bash", "5")]), "x".repeat(2 << 20));
    let large = Layer::new().file("opt/db", large).symlink("var/lib/dpkg/status", "/opt/db");
    assert_eq!(debs([large]), ["bash 5 @0"]);
    let unrelated = Layer::new().file("usr/share/doc/example", dpkg_status(&[("bash", "5")]));
    assert!(debs([unrelated]).is_empty());
    let to_the_host = Layer::new().symlink("var/lib/dpkg/status", "/../../../etc/passwd");
    assert!(debs([to_the_host]).is_empty());
}

#[test]
fn a_hard_link_that_is_overwritten_has_nothing_of_its_target() {
    let linked =
        || Layer::new().file("opt/db", dpkg_status(&[("bash", "5")])).hard_link("var/lib/dpkg/status", "opt/db");
    assert!(debs([linked(), Layer::new().file("var/lib/dpkg/status", "no database")]).is_empty());
    assert!(debs([linked().file("var/lib/dpkg/status", "no database")]).is_empty());
    assert_eq!(debs([linked(), dpkg(&[("curl", "8")])]), ["curl 8 @1"]);
    assert_eq!(debs([linked(), Layer::new().file("opt/db", "no database")]), ["bash 5 @0"]);
}

#[test]
fn entries_written_through_a_link_land_where_it_leads() {
    let usr_merged = [
        Layer::new().directory("usr/lib").symlink("lib", "usr/lib"),
        Layer::new().file(
            "lib/apk/db/installed",
            contents::apk_installed(&[contents::Package::new("musl", "1.2.5-r0").with_architecture("x86_64")]),
        ),
    ];
    let image = usr_merged.into_iter().fold(ImageBuilder::new(), |image, layer| image.with_layer(layer, "step"));
    let metadata = index(image.build()).expect("is indexed");
    assert_eq!(packages(&metadata, "apk"), ["musl 1.2.5-r0 @1"]);
    assert_eq!(metadata.packages[0].locations[0].path, "/usr/lib/apk/db/installed");
}

#[test]
fn a_file_written_twice_in_one_layer_counts_once_the_last_time() {
    let twice = dpkg(&[("bash", "4")]).file("var/lib/dpkg/status", dpkg_status(&[("bash", "5")]));
    assert_eq!(debs([twice]), ["bash 5 @0"]);
    let emptied = dpkg(&[("bash", "4")]).file("var/lib/dpkg/status", "");
    assert!(debs([emptied]).is_empty());
}

#[test]
fn instructions_and_distribution_come_with_the_packages() {
    let image = ImageBuilder::new()
        .with_layer(
            dpkg(&[("bash", "5")]).file("etc/os-release", contents::os_release("debian", "12")),
            "/bin/sh -c #(nop) ADD file:abc in / ",
        )
        .with_empty_layer("ENV A=1")
        .with_layer(dpkg(&[("bash", "5"), ("curl", "7")]), "RUN /bin/sh -c apt-get install curl # buildkit")
        .build();
    let metadata = index(image).expect("is indexed");
    let image = metadata.image().expect("an image");
    let curl = metadata.packages.iter().find(|package| package.package.name == "curl").expect("is found");
    assert!(curl.purl.starts_with("pkg:deb/debian/curl@7?"), "{}", curl.purl);
    assert!(curl.purl.contains("distro=debian-12"), "{}", curl.purl);
    let layer = &image.layers[curl.locations[0].layer.expect("in a layer") as usize];
    assert_eq!((layer.ordinal, layer.instruction.as_deref()), (Some(2), Some("RUN apt-get install curl")));
    assert_eq!(image.layers[0].instruction.as_deref(), Some("ADD file:abc in /"));
    assert_eq!(metadata.distro.as_ref().map(|distro| distro.id.as_str()), Some("debian"));
}

#[test]
fn every_compression_gives_the_same_packages() {
    for compression in [Compression::None, Compression::Gzip, Compression::Zstd] {
        let layer = dpkg(&[("bash", "5")]).with_compression(compression);
        let image = ImageBuilder::new().with_layer(layer, "step").build();
        let metadata = run(Indexer::new().index(&KitSource::streamed(image))).expect("is indexed");
        assert_eq!(packages(&metadata, "deb"), ["bash 5 @0"], "{compression:?}");
    }
}

#[test]
fn a_broken_image_is_refused_with_the_reason() {
    let check = |defect, kind, words: &str| {
        let image = ImageBuilder::new().with_layer(dpkg(&[("bash", "5")]), "step").with_defect(defect).build();
        let error = index(image).expect_err("is refused");
        assert_eq!(error.kind(), kind, "{defect:?}: {error}");
        assert!(error.to_string().contains(words), "{defect:?}: {error}");
    };
    check(Defect::TruncatedLayer(0), ErrorKind::DigestMismatch, "where the manifest says");
    check(Defect::CorruptedLayer(0), ErrorKind::DigestMismatch, "its bytes have the digest");
    check(Defect::WrongSize(0), ErrorKind::DigestMismatch, "where the manifest says");
    check(Defect::WrongDiffId(0), ErrorKind::DigestMismatch, "diff ID");
    check(Defect::BadConfig, ErrorKind::Malformed, "configuration");
}

#[test]
fn a_layer_that_is_cached_is_not_opened() {
    let cache = Arc::new(MemoryLayerCache::default());
    let indexer = Indexer::new().with_cache(cache.clone());
    let base = ImageBuilder::new().with_layer(dpkg(&[("bash", "5")]), "step 0");
    let first = KitSource::new(base.clone().build());
    run(indexer.index(&first)).expect("is indexed");
    let image = base.with_layer(dpkg(&[("bash", "5"), ("curl", "7")]), "step 1").build();
    let lower = image.layer_digest(0).to_owned();
    let upper = image.layer_digest(1).to_owned();
    let second = KitSource::new(image);
    let metadata = run(indexer.index(&second)).expect("is indexed");
    assert_eq!(packages(&metadata, "deb"), ["bash 5 @0", "curl 7 @1"]);
    assert_eq!(*second.opened.lock().expect("not poisoned"), [upper]);
    let key = LayerKey { digest: lower.parse().expect("a digest"), indexer: indexer.version().to_owned() };
    assert!(run(cache.get(&key)).expect("the memory cache does not fail").is_some());
}

#[test]
fn diff_ids_are_taken_as_claimed_if_that_is_wanted() {
    let image = ImageBuilder::new().with_layer(dpkg(&[("bash", "5")]), "step");
    let lying = image.clone().with_defect(Defect::WrongDiffId(0)).build();
    let claim = serde_json::from_slice::<serde_json::Value>(&lying.config.bytes).expect("parses");
    let claim = claim["rootfs"]["diff_ids"][0].as_str().expect("is text").to_owned();
    let cache = Arc::new(MemoryLayerCache::default());
    let claimed = Indexer::new().with_cache(cache.clone()).with_diff_ids(DiffIds::Claimed);
    let metadata = run(claimed.index(&KitSource::new(lying.clone()))).expect("is indexed");
    let layer = &metadata.image().expect("an image").layers[0];
    assert_eq!(layer.diff_id.as_ref().expect("is claimed").to_string(), claim);
    // What was not computed then is computed now, cache or not.
    let verified = Indexer::new().with_cache(cache);
    let error = run(verified.index(&KitSource::new(lying))).expect_err("is refused");
    assert_eq!(error.kind(), ErrorKind::DigestMismatch);
    // A blob that is not the manifest's is refused either way.
    let corrupted = image.with_defect(Defect::CorruptedLayer(0)).build();
    let claimed = Indexer::new().with_diff_ids(DiffIds::Claimed);
    let error = run(claimed.index(&KitSource::new(corrupted))).expect_err("is refused");
    assert_eq!(error.kind(), ErrorKind::DigestMismatch);
}

#[test]
fn images_that_are_indexed_side_by_side_read_a_shared_layer_once() {
    let indexer = Indexer::new().with_cache(Arc::new(MemoryLayerCache::default()));
    let base = ImageBuilder::new().with_layer(dpkg(&[("bash", "5")]), "step 0");
    let shared = base.clone().build().layer_digest(0).to_owned();
    let sources: Vec<_> = (0..4)
        .map(|n| Layer::new().file(format!("file-{n}"), "x"))
        .map(|layer| KitSource::streamed(base.clone().with_layer(layer, "step 1").build()))
        .collect();
    let indexed = run(futures_util::future::join_all(sources.iter().map(|source| indexer.index(source))));
    assert!(indexed.iter().all(|metadata| packages(metadata.as_ref().expect("is indexed"), "deb") == ["bash 5 @0"]));
    let opened = sources.iter().flat_map(|source| source.opened.lock().expect("not poisoned").clone());
    assert_eq!(opened.filter(|digest| *digest == shared).count(), 1);
}

#[test]
fn the_same_layer_twice_is_read_once() {
    let layer = dpkg(&[("bash", "5")]);
    let image = ImageBuilder::new().with_layer(layer.clone(), "a").with_layer(layer, "b").build();
    let source = KitSource::new(image);
    let metadata = run(Indexer::new().index(&source)).expect("is indexed");
    assert_eq!(source.opened.lock().expect("not poisoned").len(), 1);
    assert_eq!(packages(&metadata, "deb"), ["bash 5 @0"]);
}

#[test]
fn a_layer_index_survives_serialisation() {
    let image = ImageBuilder::new().with_layer(dpkg(&[("bash", "5")]), "step").build();
    let cache = Arc::new(MemoryLayerCache::default());
    let indexer = Indexer::new().with_cache(cache.clone());
    let digest = image.layer_digest(0).parse().expect("a digest");
    run(indexer.index(&KitSource::new(image))).expect("is indexed");
    let key = LayerKey { digest, indexer: indexer.version().to_owned() };
    let layer = run(cache.get(&key)).expect("does not fail").expect("is there");
    let json = serde_json::to_string(&layer).expect("serialises");
    assert_eq!(serde_json::from_str::<supercargo_index::LayerIndex>(&json).expect("parses"), layer);
}

#[test]
fn what_a_document_claims_gives_way_to_what_is_installed() {
    let sbom = r#"{"bomFormat": "CycloneDX", "components": [
        {"type": "library", "name": "bash", "version": "5", "purl": "pkg:deb/debian/bash@5?distro=debian-11"},
        {"type": "library", "name": "static", "version": "1", "purl": "pkg:deb/debian/static@1?distro=debian-11"}]}"#;
    let found = debs([Layer::new().file("usr/share/sbom/a.cdx.json", sbom), dpkg(&[("bash", "5")])]);
    assert_eq!(found, ["bash 5 @1,0", "static 1 @0"]);
}

#[test]
fn dependencies_are_met_by_what_a_container_sees() {
    const STORE: &str = "app/node_modules/.pnpm";
    let node = |name: &str, version: u32, needs: &str| {
        format!(r#"{{"name": "{name}", "version": "{version}.0.0", "dependencies": {{{needs}}}}}"#)
    };
    let stanza = |name: &str, fields: &str| {
        format!("Package: {name}\nStatus: install ok installed\nVersion: 1\nArchitecture: amd64\n{fields}\n")
    };
    let graph = |layers: &[&Layer]| {
        let image = layers.iter().fold(ImageBuilder::new(), |image, layer| image.with_layer((*layer).clone(), "step"));
        let found = index(image.build()).expect("is indexed").packages;
        let short = |purl: &str| purl["pkg:".len()..].split('?').next().unwrap_or_default().to_owned();
        let needs = |package: &supercargo_index::ImagePackage| {
            let on: Vec<_> = package.depends_on.iter().map(|purl| short(purl)).collect();
            (!on.is_empty()).then(|| format!("{} -> {}", short(&package.purl), on.join(" ")))
        };
        found.iter().filter_map(needs).collect::<Vec<_>>()
    };
    let system = [stanza("sh", "Provides: shell\n"), stanza("tool", "Depends: shell, gone | lib\n"), stanza("lib", "")];
    let base = Layer::new().file("var/lib/dpkg/status", system.concat());
    let app = Layer::new()
        .file("app/package.json", node("app", 1, r#""a": "*", "b": "*""#))
        .file(format!("{STORE}/a@1/node_modules/a/package.json"), node("a", 1, r#""b": "*""#))
        .file(format!("{STORE}/b@1/node_modules/b/package.json"), node("b", 1, ""))
        .symlink(format!("{STORE}/a@1/node_modules/b"), "../../b@1/node_modules/b")
        .symlink("app/node_modules/a", ".pnpm/a@1/node_modules/a");
    let system = "deb/lib@1 deb/sh@1";
    let modules = ["npm/a@1.0.0 -> npm/b@1.0.0", "npm/app@1.0.0 -> npm/a@1.0.0"];
    assert_eq!(graph(&[&base, &app]), [&format!("deb/tool@1 -> {system}"), modules[0], modules[1]]);

    // A later layer takes a package of the system away, and leads a link to another version.
    let later = Layer::new()
        .file(
            "var/lib/dpkg/status",
            [stanza("sh", "Provides: shell\n"), stanza("tool", "Depends: shell, lib\n")].concat(),
        )
        .file(format!("{STORE}/a@2/node_modules/a/package.json"), node("a", 2, ""))
        .symlink("app/node_modules/a", ".pnpm/a@2/node_modules/a")
        .whiteout(&format!("{STORE}/b@1"));
    assert_eq!(graph(&[&base, &app, &later]), ["deb/tool@1 -> deb/sh@1", "npm/app@1.0.0 -> npm/a@2.0.0"]);
}

#[test]
fn vex_documents_are_bound_to_their_file_and_layer() {
    let vex = |status: &str| {
        format!(
            r#"{{"@context": "https://openvex.dev/ns/v0.2.0", "@id": "x", "author": "Ann", "timestamp": "2026-01-01T00:00:00Z",
                "statements": [{{"vulnerability": {{"name": "CVE-2026-1"}}, "status": "{status}"}}]}}"#
        )
    };
    let image = ImageBuilder::new()
        .with_layer(Layer::new().file("var/lib/db/gone.vex.json", vex("affected")), "one")
        .with_layer(Layer::new().file("var/lib/db/app.vex.json", vex("under_investigation")), "two")
        .with_layer(
            Layer::new().whiteout("var/lib/db/gone.vex.json").file("var/lib/db/app.vex.json", vex("fixed")),
            "three",
        );
    let metadata = index(image.build()).expect("is indexed");
    let [found] = &metadata.vex[..] else { panic!("one document: {:?}", metadata.vex) };
    assert_eq!((found.location.path.as_str(), found.location.layer), ("/var/lib/db/app.vex.json", Some(2)));
    assert_eq!(found.document.statements[0].status, supercargo_index::vex::VexStatus::Fixed);

    let stored = serde_json::to_value(&metadata).expect("is JSON");
    let read: ImageMetadata = serde_json::from_value(stored.clone()).expect("is read again");
    assert_eq!(read, metadata);
    // Documents from before there was the field are read.
    let mut old = stored;
    old.as_object_mut().expect("is an object").remove("vex").expect("is there");
    let read: ImageMetadata = serde_json::from_value(old).expect("is read");
    assert!(read.vex.is_empty());
}
