//! What it costs to keep captures of a directory as one layer, and what they then spare.
//!
//! `cargo run --release -p supercargo-index --example captures -- DIRECTORY`
#![expect(clippy::print_stdout, reason = "an example prints")]

use std::error::Error;
use std::io::{BufReader, BufWriter, Seek as _, SeekFrom};
use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;
use bytes::Bytes;
use sha2::{Digest as _, Sha256};
use supercargo_index::{
    Cataloger, Catalogers, Contents, Descriptor, DiffIds, Digest, File, Findings, ImageSource, Indexer, Interest,
    LayerBlob, LayerCache as _, LayerKey, ManifestDocument, MemoryLayerCache, Problem, Result,
};

/// An image whose one layer is a file.
struct OneLayer {
    manifest: Bytes,
    layer: std::fs::File,
}

fn digest(bytes: &[u8]) -> Digest {
    let hash: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hash}").parse().expect("a digest")
}

const CONFIG: &[u8] = br#"{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":["sha256:0000000000000000000000000000000000000000000000000000000000000000"]}}"#;

#[async_trait]
impl ImageSource for OneLayer {
    fn name(&self) -> String {
        "directory".into()
    }

    async fn manifest(&self) -> Result<ManifestDocument> {
        Ok(ManifestDocument {
            digest: digest(&self.manifest),
            media_type: "application/vnd.oci.image.manifest.v1+json".into(),
            bytes: self.manifest.clone(),
        })
    }

    async fn config(&self, _: &Descriptor) -> Result<Bytes> {
        Ok(Bytes::from_static(CONFIG))
    }

    async fn open_layer(&self, _: &Descriptor) -> Result<LayerBlob> {
        let mut layer = self.layer.try_clone().expect("is open");
        layer.seek(SeekFrom::Start(0)).expect("a file is rewound");
        Ok(LayerBlob::Reader(Box::new(BufReader::with_capacity(1 << 17, layer))))
    }
}

/// One of the crate's, as if its next release had come.
#[derive(Debug)]
struct Next(&'static str);

impl Cataloger for Next {
    fn name(&self) -> &'static str {
        "next"
    }

    fn version(&self) -> u32 {
        1
    }

    fn interest(&self) -> Interest {
        Interest::new().path(self.0)
    }

    fn catalog(&self, _: &File<'_>, contents: &mut Contents<'_>, _: &mut Findings) -> std::result::Result<(), Problem> {
        contents.text().map(|_| ())
    }
}

fn peak() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    status.lines().find(|line| line.starts_with("VmHWM")).unwrap_or("VmHWM unknown").to_owned()
}

/// Processor time of this process so far, all threads together, in ticks of 10 ms: `proc_pid_stat(5)`, fields 14 and 15.
fn ticks() -> u64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    after_name.split_whitespace().skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum()
}

fn main() -> std::result::Result<(), Box<dyn Error>> {
    let directory = std::env::args().nth(1).ok_or("usage: captures DIRECTORY")?;
    let mut layer = tempfile::tempfile()?;
    let mut builder = tar::Builder::new(zstd::stream::write::Encoder::new(BufWriter::new(layer.try_clone()?), 3)?);
    builder.follow_symlinks(false);
    builder.append_dir_all("", &directory)?;
    builder.into_inner()?.finish()?.into_inner()?;
    let size = layer.metadata()?.len();
    let mut hash = Sha256::new();
    layer.seek(SeekFrom::Start(0))?;
    let mut buffer = vec![0; 1 << 17];
    loop {
        match std::io::Read::read(&mut layer, &mut buffer)? {
            0 => break,
            n => hash.update(&buffer[..n]),
        }
    }
    let hash: String = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    let manifest = format!(
        r#"{{"schemaVersion":2,"config":{{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"{}","size":{}}},
        "layers":[{{"mediaType":"application/vnd.oci.image.layer.v1.tar+zstd","digest":"sha256:{hash}","size":{size}}}]}}"#,
        digest(CONFIG),
        CONFIG.len(),
    );
    let source = OneLayer { manifest: manifest.into(), layer };
    let plain = Indexer::new().with_diff_ids(DiffIds::Claimed);
    let run = |indexer: &Indexer| -> std::result::Result<(), Box<dyn Error>> {
        futures_executor::block_on(indexer.index(&source))?;
        Ok(())
    };
    const ROUNDS: u32 = 10;
    let (mut without, mut with) = (0, 0);
    let mut cache = Arc::<MemoryLayerCache>::default();
    // One after the other, so that what else the machine does is the same for both.
    for round in 0..ROUNDS {
        let start = ticks();
        run(&plain)?;
        let middle = ticks();
        if round == 0 {
            println!("without: {}", peak());
        }
        cache = Arc::default();
        run(&plain.clone().with_cache(Arc::clone(&cache) as _))?;
        with += ticks() - middle;
        without += middle - start;
    }
    println!("with: {}", peak());
    println!("processor time: {without} ticks without, {with} with, in {ROUNDS} rounds");
    let key = LayerKey { digest: format!("sha256:{hash}").parse()?, indexer: plain.version().to_owned() };
    let mut kept = futures_executor::block_on(cache.get(&key))?.ok_or("the layer is cached")?;
    let captures = kept.captures.take().ok_or("no captures")?.as_bytes().len();
    let index = zstd::bulk::compress(&serde_json::to_vec(&kept)?, 3)?.len();
    println!("layer {size} bytes, {} entries; index {index} bytes, captures {captures} bytes", kept.entries.len());
    for pattern in ["**/package.json", "var/lib/dpkg/status"] {
        let upgraded = plain.clone().with_catalogers(Catalogers::all().with(Next(pattern)));
        let start = Instant::now();
        run(&upgraded.with_cache(Arc::clone(&cache) as _))?;
        println!("upgrade, {pattern}: {:.0?}", start.elapsed());
    }
    Ok(())
}
