//! Layers that are brought up to date when catalogers change: the result is that of a read.

use std::io::Read as _;
use std::sync::Arc;

use proptest::prelude::*;
use proptest::sample::subsequence;
use supercargo_index::{
    Cataloger, Catalogers, Contents, File, Findings, ImageMetadata, Indexer, Interest, LayerCache as _, LayerIndex,
    LayerKey, Limits, MemoryLayerCache, Package, Problem,
};
use supercargo_testkit::{Compression, Entry, Image, ImageBuilder, Layer};

use crate::archive::sparse;
use crate::support::{KitSource, dpkg_status, packages, run};

/// A cataloger that reports all it is shown, the version with it.
#[derive(Clone, Debug)]
struct Reader {
    name: &'static str,
    version: u32,
    wants: Vec<Want>,
}

#[derive(Clone, Copy, Debug)]
enum Want {
    Path(&'static str),
    AnyCase(&'static str),
    Leading(usize, &'static [u8]),
    Behind(&'static str, &'static [u8]),
    OneBelow(&'static str),
}

impl Cataloger for Reader {
    fn name(&self) -> &'static str {
        self.name
    }

    fn version(&self) -> u32 {
        self.version
    }

    fn interest(&self) -> Interest {
        self.wants.iter().fold(Interest::new(), |interest, want| match *want {
            Want::Path(pattern) => interest.path(pattern),
            Want::AnyCase(pattern) => interest.path_in_any_case(pattern),
            Want::Leading(offset, bytes) => interest.leading(offset, bytes),
            Want::Behind(path, bytes) => interest.behind_links(path, bytes),
            Want::OneBelow(parent) => interest.one_below(parent),
        })
    }

    fn catalog(&self, file: &File<'_>, contents: &mut Contents<'_>, findings: &mut Findings) -> Result<(), Problem> {
        let mut bytes = Vec::new();
        if self.version.is_multiple_of(2) {
            // Of a file that is not held, this takes what the others then do not get.
            contents.read_to_end(&mut bytes)?;
        } else {
            bytes.extend(contents.whole()?);
        }
        if !bytes.starts_with(b"nothing") {
            findings.package(Package {
                kind: "generic".into(),
                name: format!("{}-{}-{}", file.path, file.size, file.executable),
                version: format!("{}-{}", self.version, String::from_utf8_lossy(&bytes).trim_end_matches('\0')),
                ..Package::default()
            });
        }
        if bytes.starts_with(b"bad") { Err(Problem::malformed("bad")) } else { Ok(()) }
    }
}

const NAMES: [&str; 4] = ["a", "b", "c", "d"];

const WANTS: [Want; 9] = [
    Want::Path("**/*.txt"),
    Want::Path("etc/a"),
    Want::AnyCase("**/*.TXT"),
    Want::Leading(0, b"\x7fELF"),
    Want::Leading(1, b"B"),
    Want::Leading(0, b"bad"),
    Want::Behind("var/db", b"DB"),
    Want::OneBelow("opt"),
    Want::OneBelow("opt/p"),
];

const PATHS: [&str; 9] =
    ["etc/a", "etc/b.txt", "etc/B.TXT", "opt/p/q/1.txt", "opt/p/q/2", "opt/p/r", "opt/s/1", "var/db", "var/other"];

fn contents() -> impl Strategy<Value = Vec<u8>> {
    let beginnings: [&[u8]; 8] = [b"", b"x", b"bad", b"nothing", b"\x7fELF", b"DB", b"PK\x03\x04", b"bB"];
    (prop::sample::select(beginnings.to_vec()), prop::sample::select(vec![0_usize, 3, 80, 300])).prop_map(
        |(beginning, more)| {
            let mut bytes = beginning.to_vec();
            bytes.resize(if beginning.is_empty() { 0 } else { beginning.len() + more }, b'.');
            bytes
        },
    )
}

fn entry() -> impl Strategy<Value = Entry> {
    let path = || prop::sample::select(PATHS.to_vec());
    let one = |layer: Layer| layer.entries()[0].clone();
    prop_oneof![
        8 => (path(), contents()).prop_map(|(path, bytes)| Entry::file(path, bytes)),
        2 => (path(), contents()).prop_map(|(path, bytes)| Entry::executable(path, bytes)),
        1 => path().prop_map(move |path| one(Layer::new().whiteout(path))),
        1 => path().prop_map(move |path| one(Layer::new().directory(path))),
        1 => (path(), path()).prop_map(move |(path, target)| one(Layer::new().hard_link(path, target))),
        1 => (path(), contents()).prop_map(move |(path, bytes)| one(Layer::new().raw(sparse(path, &bytes, 9)))),
    ]
}

fn wants() -> impl Strategy<Value = Vec<Want>> {
    subsequence(WANTS.to_vec(), 1..=3)
}

fn readers() -> impl Strategy<Value = Vec<Reader>> {
    let reader = |name| (1_u32..=2, wants()).prop_map(move |(version, wants)| Reader { name, version, wants });
    subsequence(NAMES.to_vec(), 1..=4)
        .prop_shuffle()
        .prop_flat_map(move |names| names.into_iter().map(reader).collect::<Vec<_>>())
}

/// The same readers after some releases: most are as they were.
fn later(readers: Vec<Reader>) -> impl Strategy<Value = Vec<Reader>> {
    #[derive(Clone, Debug)]
    enum Change {
        None,
        Version,
        Interest(Vec<Want>),
        Removed,
    }
    let change = prop_oneof![
        5 => Just(Change::None),
        3 => Just(Change::Version),
        1 => wants().prop_map(Change::Interest),
        1 => Just(Change::Removed),
    ];
    let changes = prop::collection::vec(change, readers.len());
    let new = prop::option::weighted(0.3, (1_u32..=2, wants()));
    (changes, new, Just(readers))
        .prop_map(|(changes, new, readers)| {
            let unused = NAMES.into_iter().find(|name| readers.iter().all(|reader| reader.name != *name));
            let changed = readers.into_iter().zip(changes).filter_map(|(reader, change)| match change {
                Change::None => Some(reader),
                Change::Version => Some(Reader { version: reader.version + 1, ..reader }),
                Change::Interest(wants) => Some(Reader { wants, ..reader }),
                Change::Removed => None,
            });
            let new = new.zip(unused).map(|((version, wants), name)| Reader { name, version, wants });
            changed.chain(new).collect::<Vec<_>>()
        })
        .prop_shuffle()
}

fn limits() -> Limits {
    let mut limits = Limits::default();
    limits.file_size = 200;
    limits.captured_file = 150;
    limits.captured = 400;
    limits
}

struct Bench {
    image: Image,
    cache: Arc<MemoryLayerCache>,
}

impl Bench {
    fn new(layer: Layer) -> Self {
        let layer = layer.with_compression(Compression::None);
        Self { image: ImageBuilder::new().with_layer(layer, "step").build(), cache: Arc::default() }
    }

    /// The image, the layer as it is cached then, and whether its bytes were asked for.
    fn index(&self, catalogers: Catalogers) -> (ImageMetadata, LayerIndex, bool) {
        let indexer =
            Indexer::new().with_catalogers(catalogers).with_limits(limits()).with_cache(Arc::clone(&self.cache) as _);
        let source = KitSource::new(self.image.clone());
        let metadata = run(indexer.index(&source)).expect("is indexed");
        let digest = self.image.layer_digest(0).parse().expect("a digest");
        let key = LayerKey { digest, indexer: indexer.version().to_owned() };
        let layer = run(self.cache.get(&key)).expect("does not fail").expect("was put");
        let read = !source.opened.lock().expect("not poisoned").is_empty();
        (metadata, layer, read)
    }

    fn with(&self, readers: &[&Reader]) -> (LayerIndex, bool) {
        let catalogers = readers.iter().map(|&reader| Arc::new(reader.clone()) as Arc<dyn Cataloger>).collect();
        let (_, layer, read) = self.index(Catalogers::of(catalogers));
        (layer, read)
    }
}

proptest! {
    #[test]
    fn an_upgrade_finds_what_a_read_finds(
        entries in prop::collection::vec(entry(), 0..12),
        (first, second, third) in readers().prop_flat_map(|first| {
            let second = later(first.clone());
            (Just(first), second).prop_flat_map(|(first, second)| {
                let third = later(second.clone());
                (Just(first), Just(second), third)
            })
        }),
    ) {
        let layer = Layer::new().with_entries(entries);
        let bench = Bench::new(layer.clone());
        bench.with(&first.iter().collect::<Vec<_>>());
        for readers in [&second, &third] {
            let readers: Vec<_> = readers.iter().collect();
            let (upgraded, _) = bench.with(&readers);
            let (read, _) = Bench::new(layer.clone()).with(&readers);
            // An upgrade keeps what the former catalogers wanted; whether that leads astray, the third ones tell.
            let bare = |layer| LayerIndex { captures: None, ..layer };
            prop_assert_eq!(bare(upgraded), bare(read));
        }
    }
}

fn reader(name: &'static str, version: u32, wants: &[Want]) -> Reader {
    Reader { name, version, wants: wants.to_vec() }
}

#[test]
fn bytes_are_asked_for_only_if_the_captures_do_not_tell() {
    let elf = [&b"\x7fELF"[..], &[1; 100]].concat();
    let layer = Layer::new().file("etc/a", "one").executable("bin/x", elf).file("etc/large.txt", vec![b'.'; 160]);
    let text = Want::Path("etc/*");
    let (etc, large) = (Want::Path("etc/a"), Want::Path("etc/large.txt"));
    let (magic, other) = (Want::Leading(0, b"\x7fELF"), Want::Leading(0, b"MZ"));
    let check = |before: &[&Reader], after: &[&Reader], expected: bool, why: &str| {
        let bench = Bench::new(layer.clone());
        assert!(bench.with(before).1);
        assert_eq!(bench.with(after).1, expected, "{why}");
        assert!(!bench.with(after).1, "the upgrade is cached");
    };
    let (a1, a2) = (reader("a", 1, &[etc]), reader("a", 2, &[etc]));
    let (b1, b2) = (reader("b", 1, &[magic]), reader("b", 2, &[magic]));
    check(&[&a1], &[&a2], false, "its file is captured");
    check(&[&a1, &b1], &[&a2, &b1], false, "the executable's reader is the same");
    check(&[&a1, &b1], &[&b1, &a1], false, "another order");
    check(&[&a1, &b1], &[&a1], false, "one is gone");
    check(&[&a1, &b1], &[&a1, &b2], true, "an executable is not captured");
    check(&[&a1], &[&a1, &b1], true, "nobody looked for executables");
    check(&[&a1], &[&reader("a", 2, &[etc, other])], true, "nor for these");
    check(&[&a1], &[&reader("a", 1, &[text])], true, "a file that nobody wanted");
    check(&[&reader("a", 1, &[text])], &[&a2], false, "it wants less than before");
    check(&[&reader("c", 1, &[large]), &a1], &[&reader("c", 1, &[large]), &a2], false, "a large file of another");
    check(&[&reader("c", 1, &[large])], &[&reader("c", 2, &[large])], true, "a file over the limit is not captured");
    check(&[&reader("c", 1, &[magic]), &a1], &[&reader("d", 1, &[magic])], true, "its leading bytes are, and no more");
}

#[test]
fn a_new_release_of_one_cataloger_of_many_reads_no_layer_again() {
    #[derive(Debug)]
    struct Next(u32);

    impl Cataloger for Next {
        fn name(&self) -> &'static str {
            "next"
        }

        fn version(&self) -> u32 {
            self.0
        }

        fn interest(&self) -> Interest {
            Interest::new().path("var/lib/dpkg/status")
        }

        fn catalog(&self, _: &File<'_>, contents: &mut Contents<'_>, found: &mut Findings) -> Result<(), Problem> {
            let lines = contents.text()?.lines().count();
            let version = format!("{}-{lines}", self.0);
            found.package(Package { kind: "generic".into(), name: "lines".into(), version, ..Package::default() });
            Ok(())
        }
    }

    let status = dpkg_status(&[("bash", "5"), ("curl", "7")]);
    let mut indexer = Indexer::new().with_cache(Arc::new(MemoryLayerCache::default()));
    let image = ImageBuilder::new().with_layer(Layer::new().file("var/lib/dpkg/status", status.clone()), "step");
    let source = KitSource::new(image.build());
    run(indexer.index(&source)).expect("is indexed");
    for version in [1, 2] {
        indexer = indexer.with_catalogers(Catalogers::all().with(Next(version)));
        let metadata = run(indexer.index(&source)).expect("is indexed");
        assert_eq!(packages(&metadata, "deb"), ["bash 5 @0", "curl 7 @0"]);
        let expected = format!("lines {version}-{} @0", status.lines().count());
        assert_eq!(packages(&metadata, "generic"), [expected]);
    }
    assert_eq!(source.opened.lock().expect("not poisoned").len(), 1);
}
