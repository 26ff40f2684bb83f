//! Layers that are read in parts, by whatever table of contents.

use std::io;
use std::ops::Range;
use std::sync::LazyLock;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream::{self, BoxStream};
use supercargo_index::{Descriptor, ImageSource, Indexer, LayerBlob, LazyLayers, ManifestDocument, Result};

use crate::memory::{Image, digest};
use crate::{Target, literals};

/// Smaller layers are read whole.
const PADDING: usize = 1 << 20;

static INDEXER: LazyLock<Indexer> =
    LazyLock::new(|| Indexer::new().with_layers_at_once(1).with_lazy_layers(LazyLayers::Trusted));

/// The files of the layer, each a zstd frame of its own.
const FILES: [(&str, &str); 2] = [
    ("etc/os-release", "ID=debian\nVERSION_ID=12\n"),
    ("app/node_modules/left-pad/package.json", r#"{"name":"left-pad","version":"1.3.0"}"#),
];

pub(crate) fn targets() -> Vec<Target> {
    let words = ["lazy/table", "lazy/plan", "lazy/read"].map(|name| format!("crates/index/src/{name}.rs"));
    vec![Target {
        name: "layer/contents".into(),
        run: Box::new(run),
        seeds: Box::new(|| vec![table(&frames().1).into_bytes()]),
        words: words.iter().flat_map(|path| literals::sources(path)).collect(),
    }]
}

/// The frames one after another, and where each of them is.
fn frames() -> (Vec<u8>, Vec<Range<usize>>) {
    let mut blob = Vec::new();
    let places = FILES.map(|(_, contents)| {
        let start = blob.len();
        blob.extend(pack(contents.as_bytes()));
        start..blob.len()
    });
    (blob, places.to_vec())
}

/// The table of contents that is true.
fn table(places: &[Range<usize>]) -> String {
    let rows = FILES.iter().zip(places).map(|((name, contents), place)| {
        let (size, digest) = (contents.len(), digest(contents.as_bytes()));
        format!(
            r#"{{"type":"reg","name":"{name}","mode":420,"size":{size},"digest":"{digest}","offset":{},"endOffset":{},
            "chunkSize":{size},"chunkDigest":"{digest}"}}"#,
            place.start, place.end
        )
    });
    format!(r#"{{"version":1,"entries":[{}]}}"#, rows.collect::<Vec<_>>().join(","))
}

fn pack(bytes: &[u8]) -> Vec<u8> {
    zstd::bulk::compress(bytes, 1).unwrap_or_default()
}

/// A layer whose table of contents is `bytes`. The layer itself is no tar, so that nothing but the table is read.
fn run(bytes: &[u8]) {
    let (mut blob, _) = frames();
    blob.resize(PADDING, 0);
    let table = pack(bytes);
    let position = format!("{}:{}:{}:1", blob.len(), table.len(), bytes.len());
    blob.extend(&table);
    let layer = digest(&blob);
    let config =
        format!(r#"{{"architecture":"amd64","os":"linux","rootfs":{{"type":"layers","diff_ids":["{layer}"]}}}}"#);
    let manifest = format!(
        r#"{{"schemaVersion":2,"config":{{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"{}","size":{}}},
        "layers":[{{"mediaType":"application/vnd.oci.image.layer.v1.tar+zstd","digest":"{layer}","size":{},"annotations":{{
        "io.github.containers.zstd-chunked.manifest-checksum":"{}",
        "io.github.containers.zstd-chunked.manifest-position":"{position}"}}}}]}}"#,
        digest(config.as_bytes()),
        config.len(),
        blob.len(),
        digest(&table),
    );
    let image = Image { manifest: manifest.into_bytes(), config: config.into_bytes(), ..Image::default() };
    let _ = futures_executor::block_on(INDEXER.index(&Ranged { image, blob: blob.into() }));
}

/// An image of one layer in a registry that serves ranges.
struct Ranged {
    image: Image,
    blob: Bytes,
}

#[async_trait]
impl ImageSource for Ranged {
    fn name(&self) -> String {
        self.image.name()
    }

    async fn manifest(&self) -> Result<ManifestDocument> {
        self.image.manifest().await
    }

    async fn config(&self, descriptor: &Descriptor) -> Result<Bytes> {
        self.image.config(descriptor).await
    }

    async fn open_layer(&self, _: &Descriptor) -> Result<LayerBlob> {
        Ok(LayerBlob::Reader(Box::new(io::Cursor::new(self.blob.clone()))))
    }

    fn serves_ranges(&self) -> bool {
        true
    }

    async fn open_range(
        &self,
        _: &Descriptor,
        range: Range<u64>,
    ) -> Result<Option<BoxStream<'static, io::Result<Bytes>>>> {
        let at = |offset: u64| usize::try_from(offset).unwrap_or(usize::MAX).min(self.blob.len());
        assert!(range.start <= range.end, "{range:?}");
        let piece = self.blob.slice(at(range.start)..at(range.end));
        Ok(Some(stream::iter([Ok(piece)]).boxed()))
    }
}
