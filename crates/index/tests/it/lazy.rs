//! Layers that are read in parts: the same result from fewer bytes, or a whole reading.

use std::fs;
use std::io;
use std::ops::Range;
use std::process::Command;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream::BoxStream;
use proptest::prelude::*;
use supercargo_index::{
    Catalogers, Descriptor, DiffIds, Error, ErrorKind, ImageMetadata, ImageSource, Indexer, LayerBlob, LayerCache,
    LayerIndex, LayerKey, LayerReading, LazyLayers, Limits, ManifestDocument, MemoryLayerCache, Progress, Result,
    read_layer,
};
use supercargo_testkit::{Blob, Compression, Image, ImageBuilder, ImageLayer, Layer, contents, write_layout};

use crate::support::{dpkg_status, packages, run};

const SEEKABLE: [Compression; 3] = [Compression::EStargz, Compression::EStargzMerged, Compression::ZstdChunked];

/// Changes bytes on their way: told the blob's offset of the first.
type Tamper = Box<dyn Fn(u64, &mut [u8]) + Send + Sync>;

/// A registry that serves ranges, of one image of one layer.
struct Ranged {
    image: Image,
    tamper: Tamper,
    whole_only: bool,
    fails_at: Option<usize>,
    retryable: bool,
    asked: Mutex<Vec<Range<u64>>>,
    opened: Mutex<usize>,
}

impl Ranged {
    fn new(image: Image) -> Self {
        Self {
            image,
            tamper: Box::new(|_, _| ()),
            whole_only: false,
            fails_at: None,
            retryable: true,
            asked: Mutex::default(),
            opened: Mutex::default(),
        }
    }

    fn blob(&self) -> &Bytes {
        &self.image.layers[0].blob.bytes
    }

    /// Bytes that went out in ranges.
    fn fetched(&self) -> u64 {
        self.asked.lock().expect("not poisoned").iter().map(|range| range.end - range.start).sum()
    }

    fn opened(&self) -> usize {
        *self.opened.lock().expect("not poisoned")
    }

    fn read_in_parts(&self) -> bool {
        self.opened() == 0 && self.fetched() > 0
    }
}

#[async_trait]
impl ImageSource for Ranged {
    fn name(&self) -> String {
        "registry.example.com/team/app".into()
    }

    async fn manifest(&self) -> Result<ManifestDocument> {
        let manifest = &self.image.manifest;
        Ok(ManifestDocument {
            digest: manifest.digest().parse().expect("the kit's digests are digests"),
            media_type: manifest.descriptor.media_type.clone(),
            bytes: manifest.bytes.clone(),
        })
    }

    async fn config(&self, _: &Descriptor) -> Result<Bytes> {
        Ok(self.image.config.bytes.clone())
    }

    async fn open_layer(&self, _: &Descriptor) -> Result<LayerBlob> {
        *self.opened.lock().expect("not poisoned") += 1;
        Ok(LayerBlob::Reader(Box::new(io::Cursor::new(self.blob().clone()))))
    }

    fn serves_ranges(&self) -> bool {
        true
    }

    async fn open_range(
        &self,
        _: &Descriptor,
        range: Range<u64>,
    ) -> Result<Option<BoxStream<'static, io::Result<Bytes>>>> {
        let mut asked = self.asked.lock().expect("not poisoned");
        if self.whole_only {
            return Ok(None);
        }
        if self.fails_at == Some(asked.len()) {
            return Err(Error::from_source("open a range", self.retryable, io::Error::other("busy")));
        }
        asked.push(range.clone());
        let at = |offset: u64| usize::try_from(offset).expect("small");
        let mut bytes = self.blob()[at(range.start)..at(range.end)].to_vec();
        (self.tamper)(range.start, &mut bytes);
        let pieces: Vec<_> = bytes.chunks(30_011).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
        Ok(Some(futures_util::stream::iter(pieces).boxed()))
    }
}

/// Bytes that do not compress, the same ones every time.
fn noise(length: usize, mut seed: u64) -> Vec<u8> {
    let next = || {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) as u8
    };
    std::iter::repeat_with(next).take(length).collect()
}

/// An executable that goes on for several chunks.
fn long_go_binary() -> Vec<u8> {
    let module = |name, version| contents::Package::new(name, version);
    let mut binary =
        contents::go_binary("go1.22.1", &module("example.com/tool", "v1.0.0"), &[module("example.com/dep", "v1.2.3")]);
    binary.extend(noise(50_000, 3));
    binary
}

/// Something of everything that is found by a path, by leading bytes and through links, beside much that is not wanted.
fn system(compression: Compression) -> Layer {
    Layer::new()
        .directory("usr")
        .file("usr/share/model.bin", noise(3 << 20, 1))
        .file("etc/os-release", contents::os_release("debian", "12"))
        .file("opt/db", dpkg_status(&[("bash", "5"), ("curl", "8")]))
        .symlink("var/lib/dpkg/status", "/opt/db")
        .file("usr/share/other.bin", noise(700_000, 2))
        .with_entries(contents::npm_tree("srv/app", &[contents::Package::new("left-pad", "1.3.0")]))
        .executable("usr/bin/tool", long_go_binary())
        // Neither its name nor its mode gives it away: its rest is fetched once its head was seen.
        .file("usr/share/late.bin", noise(600_000, 5))
        .file("usr/share/data", long_go_binary())
        .file("usr/share/last.bin", noise(600_000, 6))
        .hard_link("usr/bin/alias", "usr/bin/tool")
        .file("empty", "")
        .file("tiny", "x")
        .whiteout("etc/gone")
        .opaque("var/cache")
        .file("srv/app/package.json", r#"{"name":"app","version":"1.0.0"}"#)
        .file("srv/app/package.json", r#"{"name":"app","version":"2.0.0"}"#)
        .with_compression(compression)
}

fn image(layer: Layer) -> Image {
    ImageBuilder::new().with_layer(layer, "COPY . /").build()
}

fn lazy() -> Indexer {
    Indexer::new().with_lazy_layers(LazyLayers::Trusted)
}

/// The layer as a whole reading sees it, and as an indexer that may read in parts does.
fn both(source: &Ranged) -> (LayerIndex, LayerIndex) {
    let blob = &source.image.layers[0].blob;
    let manifest: supercargo_index::ImageManifest =
        serde_json::from_slice(&source.image.manifest.bytes).expect("a manifest");
    let whole = read_layer(&blob.bytes[..], &manifest.layers()[0], &Catalogers::all(), &Limits::default())
        .expect("is read whole");
    let cache = Arc::new(Recording::default());
    run(lazy().with_cache(cache.clone()).index(source)).expect("is indexed");
    let read = cache.put.lock().expect("not poisoned").pop().expect("is cached").1;
    (whole, read)
}

#[derive(Default)]
struct Recording {
    put: Mutex<Vec<(LayerKey, LayerIndex)>>,
}

#[async_trait]
impl LayerCache for Recording {
    async fn get(&self, _: &LayerKey) -> Result<Option<LayerIndex>> {
        Ok(None)
    }

    async fn put(&self, key: &LayerKey, layer: &LayerIndex) -> Result<()> {
        self.put.lock().expect("not poisoned").push((key.clone(), layer.clone()));
        Ok(())
    }
}

fn found(metadata: &ImageMetadata) -> Vec<String> {
    metadata.packages.iter().map(|package| package.purl.clone()).collect()
}

#[test]
fn the_same_is_found_from_a_fraction_of_the_bytes() {
    let plain = Ranged::new(image(system(Compression::Gzip)));
    let expected = found(&run(lazy().index(&plain)).expect("is indexed"));
    assert_eq!(plain.fetched(), 0);
    assert!(expected.iter().any(|purl| purl.starts_with("pkg:deb/debian/curl@8")), "{expected:?}");
    assert!(expected.iter().any(|purl| purl.starts_with("pkg:golang/example.com/dep@v1.2.3")), "{expected:?}");
    for compression in SEEKABLE {
        let source = Ranged::new(image(system(compression)));
        let (whole, read) = both(&source);
        assert!(source.read_in_parts(), "{compression:?}");
        assert_eq!(read.entries, whole.entries, "{compression:?}");
        assert_eq!(read.findings, whole.findings, "{compression:?}");
        assert_eq!(read.skipped, whole.skipped, "{compression:?}");
        assert!(matches!(read.reading, LayerReading::ByContents { .. }));
        assert_eq!((whole.reading, read.diff_id), (LayerReading::Whole, None));
        let share = source.fetched() * 100 / source.blob().len() as u64;
        assert!(share < 20, "{compression:?}: {share} % were fetched");
        let asked = source.asked.lock().expect("not poisoned").len();
        assert!(asked < 12, "{compression:?}: {asked} requests");
        assert_eq!(found(&run(lazy().index(&source)).expect("is indexed")), expected, "{compression:?}");
    }
}

#[test]
fn nothing_is_read_in_parts_unless_it_is_asked_for() {
    let source = Ranged::new(image(system(Compression::EStargz)));
    let metadata = run(Indexer::new().index(&source)).expect("is indexed");
    assert_eq!((source.fetched(), source.opened()), (0, 1));
    assert!(metadata.image().expect("an image").layers[0].reading.is_whole());
    let metadata = run(lazy().index(&source)).expect("is indexed");
    assert!(!metadata.image().expect("an image").layers[0].reading.is_whole());
}

/// Why the layer is read whole.
fn reason(source: &Ranged) -> String {
    let reasons = Arc::new(Mutex::new(Vec::new()));
    let told = reasons.clone();
    let indexer = lazy().with_progress(move |progress| {
        if let Progress::NotInParts { reason } = progress {
            told.lock().expect("not poisoned").push(reason);
        }
    });
    let metadata = run(indexer.index(source)).expect("is indexed");
    assert_eq!(source.opened(), 1, "it is read whole");
    let whole = found(&run(Indexer::new().index(source)).expect("is indexed"));
    assert_eq!(found(&metadata), whole);
    reasons.lock().expect("not poisoned").join(",")
}

#[test]
fn a_source_without_ranges_is_read_whole() {
    for compression in SEEKABLE {
        let source = Ranged { whole_only: true, ..Ranged::new(image(system(compression))) };
        assert_eq!(reason(&source), "the source serves no ranges");
    }
}

#[test]
fn a_layer_of_which_most_is_needed_is_read_whole() {
    for compression in SEEKABLE {
        let layer = Layer::new().executable("usr/bin/large", noise(2 << 20, 1)).with_compression(compression);
        let source = Ranged::new(image(layer));
        assert_eq!(reason(&source), "most of it is needed");
        assert!(source.fetched() < 10_000);
    }
}

#[test]
fn a_small_layer_is_read_whole_at_once() {
    let source = Ranged::new(image(Layer::new().file("a", noise(500_000, 1)).with_compression(Compression::EStargz)));
    assert_eq!(reason(&source), "");
    assert_eq!(source.fetched(), 0);
}

#[test]
fn what_is_not_what_the_table_says_is_read_whole_and_verified() {
    for compression in SEEKABLE {
        // The ranges are tampered with and the blob is not, at every place that is read.
        let honest = Ranged::new(image(system(compression)));
        run(lazy().index(&honest)).expect("is indexed");
        let asked = honest.asked.into_inner().expect("not poisoned");
        let table = if compression == Compression::ZstdChunked { 0 } else { 1 };
        let mut refused = 0;
        for (number, range) in asked.iter().enumerate() {
            let at = (range.start + range.end) / 2;
            let tamper = move |start: u64, bytes: &mut [u8]| {
                if let Some(byte) = at.checked_sub(start).and_then(|at| bytes.get_mut(usize::try_from(at).ok()?)) {
                    *byte = !*byte;
                }
            };
            let source = Ranged { tamper: Box::new(tamper), ..Ranged::new(image(system(compression))) };
            let metadata = run(lazy().index(&source)).expect("is indexed");
            assert_eq!(packages(&metadata, "deb"), ["bash 5 @0", "curl 8 @0"], "{compression:?} {at}");
            assert!(number > table || source.opened() == 1, "{compression:?}: what leads to all else is verified");
            refused += source.opened();
        }
        // A byte between the chunks may be any.
        assert!(refused > table + 1, "{compression:?}: {refused} of {} were noticed", asked.len());
        // The blob itself is another than the manifest's, throughout: nothing in it passes for the manifest's.
        let mut spoilt = image(system(compression));
        let bytes = &mut spoilt.layers[0].blob.bytes;
        *bytes = bytes.iter().map(|byte| !byte).collect::<Vec<_>>().into();
        let error = run(lazy().index(&Ranged::new(spoilt))).expect_err("is refused");
        assert_eq!(error.kind(), ErrorKind::DigestMismatch, "{compression:?}");
    }
}

#[test]
fn a_table_that_the_manifest_does_not_vouch_for_is_not_believed() {
    for compression in SEEKABLE {
        // A manifest that names another table's digest, as one that was copied from another image does.
        let other = image(system(compression).file("more", "x"));
        let mut source = Ranged::new(image(system(compression)));
        let annotations = &other.layers[0].blob.descriptor.annotations;
        let mut manifest: serde_json::Value = serde_json::from_slice(&source.image.manifest.bytes).expect("a manifest");
        let place = &mut manifest["layers"][0]["annotations"];
        for (key, value) in annotations.iter().filter(|(key, _)| !key.ends_with("position")) {
            place[key] = value.as_str().into();
        }
        source.image.manifest = Blob::new(
            source.image.manifest.descriptor.media_type.clone(),
            serde_json::to_vec(&manifest).expect("serialises"),
        );
        assert_eq!(reason(&source), "its table of contents is not as it should be", "{compression:?}");
    }
}

#[test]
fn a_source_that_fails_is_an_error_to_try_again() {
    for compression in SEEKABLE {
        for fails_at in 0..3 {
            let source = Ranged { fails_at: Some(fails_at), ..Ranged::new(image(system(compression))) };
            let error = run(lazy().index(&source)).expect_err("fails");
            assert_eq!((error.kind(), error.is_retryable()), (ErrorKind::Source, true), "{error}");
        }
    }
}

#[test]
fn a_source_that_refuses_a_range_is_read_whole() {
    for fails_at in 0..3 {
        let source =
            Ranged { fails_at: Some(fails_at), retryable: false, ..Ranged::new(image(system(Compression::EStargz))) };
        assert_eq!(reason(&source), "a range was refused");
    }
}

#[test]
fn caches_keep_both_readings_apart() {
    let cache = Arc::new(MemoryLayerCache::default());
    let source = Ranged::new(image(system(Compression::ZstdChunked)));
    let (lazy, whole) = (lazy().with_cache(cache.clone()), Indexer::new().with_cache(cache.clone()));
    run(lazy.index(&source)).expect("is indexed");
    let fetched = source.fetched();
    run(lazy.index(&source)).expect("is indexed");
    assert_eq!((source.fetched(), source.opened()), (fetched, 0), "once is enough");
    let metadata = run(whole.index(&source)).expect("is indexed");
    assert_eq!(source.opened(), 1, "who wants it verified reads it");
    assert!(metadata.image().expect("an image").layers[0].reading.is_whole());
    let metadata = run(lazy.index(&source)).expect("is indexed");
    assert!(metadata.image().expect("an image").layers[0].reading.is_whole(), "and that is good for all");
    assert_eq!((source.fetched(), source.opened()), (fetched, 1));
}

#[test]
fn diff_ids_are_taken_as_claimed() {
    let source = Ranged::new(image(system(Compression::EStargz)));
    let metadata = run(lazy().with_diff_ids(DiffIds::Verified).index(&source)).expect("is indexed");
    let layer = &metadata.image().expect("an image").layers[0];
    assert_eq!(layer.diff_id.as_ref().map(ToString::to_string), Some(source.image.layers[0].diff_id.clone()));
}

#[test]
fn a_large_file_is_read_as_it_passes() {
    let limits = |indexer: Indexer| {
        let mut limits = Limits::default();
        limits.file_size = 20_000;
        indexer.with_limits(limits)
    };
    for compression in SEEKABLE {
        let source = Ranged::new(image(system(compression)));
        let read = run(limits(lazy()).index(&source)).expect("is indexed");
        assert!(source.read_in_parts(), "{compression:?}");
        let whole = run(limits(Indexer::new()).index(&source)).expect("is indexed");
        assert_eq!((read.packages, read.skipped), (whole.packages, whole.skipped), "{compression:?}");
    }
}

/// What skopeo makes of a gzip layer is read like what it was made from.
#[test]
fn layers_of_skopeo_are_read_in_parts() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let plain = image(system(Compression::Gzip));
    write_layout(&plain, &folder.path().join("plain"), "latest").expect("the layout is written");
    let output = Command::new("skopeo")
        .args(["--insecure-policy", "copy", "--dest-compress-format", "zstd:chunked"])
        .arg(format!("oci:{}:latest", folder.path().join("plain").display()))
        .arg(format!("oci:{}:latest", folder.path().join("chunked").display()))
        .output()
        .expect("skopeo starts; tests/run installs it");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let blob = |digest: &str| {
        let name = digest.strip_prefix("sha256:").expect("a digest");
        fs::read(folder.path().join("chunked/blobs/sha256").join(name)).expect("the blob is there")
    };
    let json = |bytes: &[u8]| serde_json::from_slice::<serde_json::Value>(bytes).expect("parses");
    let text = |value: &serde_json::Value| value.as_str().expect("is text").to_owned();
    let index = json(&fs::read(folder.path().join("chunked/index.json")).expect("the index is there"));
    let manifest = blob(&text(&index["manifests"][0]["digest"]));
    let parsed = json(&manifest);
    let layer = &parsed["layers"][0];
    let source = Ranged::new(Image {
        config: Blob::new(text(&parsed["config"]["mediaType"]), blob(&text(&parsed["config"]["digest"]))),
        layers: vec![ImageLayer {
            blob: Blob::new(text(&layer["mediaType"]), blob(&text(&layer["digest"]))),
            diff_id: plain.layers[0].diff_id.clone(),
            tar: plain.layers[0].tar.clone(),
        }],
        manifest: Blob::new(text(&parsed["mediaType"]), manifest),
    });
    let (whole, read) = both(&source);
    assert!(source.read_in_parts(), "{layer}");
    assert_eq!((read.entries, read.findings, read.skipped), (whole.entries, whole.findings, whole.skipped));
    assert!(source.fetched() * 100 / (source.blob().len() as u64) < 30, "{} bytes", source.fetched());
}

#[derive(Clone, Debug)]
enum Thing {
    Text(usize),
    Binary(usize),
    Executable,
    Status,
    Directory,
    Symlink(String),
    HardLink(String),
    Whiteout,
    Opaque,
}

fn path() -> impl Strategy<Value = String> {
    let name = prop::sample::select(vec!["a", "b", "usr", "package.json", "status", "lib.so.1", "été"]);
    prop::collection::vec(name, 1..4).prop_map(|names| names.join("/"))
}

fn thing() -> impl Strategy<Value = Thing> {
    prop_oneof![
        4 => (0_usize..40_000).prop_map(Thing::Text),
        2 => (0_usize..400_000).prop_map(Thing::Binary),
        2 => Just(Thing::Executable),
        2 => Just(Thing::Status),
        1 => Just(Thing::Directory),
        1 => path().prop_map(Thing::Symlink),
        1 => path().prop_map(Thing::HardLink),
        1 => Just(Thing::Whiteout),
        1 => Just(Thing::Opaque),
    ]
}

fn tree(things: &[(String, Thing)]) -> Layer {
    // Something to leave out, or no layer would be worth it.
    let layer = Layer::new().file("large", noise(3 << 20, 1));
    things.iter().enumerate().fold(layer, |layer, (number, (path, thing))| match thing {
        Thing::Text(length) => layer.file(path, "word ".repeat(length / 5)),
        Thing::Binary(length) => layer.file(path, noise(*length, number as u64)),
        Thing::Executable => layer.file(path, long_go_binary()),
        Thing::Status => layer.file(path, dpkg_status(&[("bash", &number.to_string())])),
        Thing::Directory => layer.directory(path),
        Thing::Symlink(target) => layer.symlink(path, target),
        Thing::HardLink(target) => layer.hard_link(path, target),
        Thing::Whiteout => layer.whiteout(path),
        Thing::Opaque => layer.opaque(path),
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_layers_are_read_alike(
        things in prop::collection::vec((path(), thing()), 0..25),
        compression in prop::sample::select(SEEKABLE.to_vec()),
    ) {
        let source = Ranged::new(image(tree(&things).with_compression(compression)));
        let (whole, read) = both(&source);
        prop_assert!(source.read_in_parts());
        prop_assert_eq!(read.entries, whole.entries);
        prop_assert_eq!(read.findings, whole.findings);
        prop_assert_eq!(read.skipped, whole.skipped);
    }
}
