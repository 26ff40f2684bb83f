//! The layer reader, and what it leads to.

use std::io::Write as _;

use supercargo_index::{Catalogers, Descriptor, LayerIndex, Limits, Result, read_layer};

use crate::memory::digest;
use crate::{Target, literals, tar, tree};

pub(crate) fn targets() -> Vec<Target> {
    let words = literals::sources("crates/index/src/tar");
    let catalogers = Catalogers::all();
    let read = move |bytes: &[u8]| check(read(bytes, &catalogers));
    let plain = {
        let read = read.clone();
        move |bytes: &[u8]| {
            let mut bytes = bytes.to_vec();
            tar::mend(&mut bytes);
            read(&bytes);
        }
    };
    let packed = |magic: &'static [u8], pack: fn(&[u8]) -> Vec<u8>, name: &str| Target {
        name: name.to_owned(),
        run: Box::new({
            let read = read.clone();
            move |bytes| read(&[magic, bytes].concat())
        }),
        seeds: Box::new(move || {
            let samples = tar::samples();
            let twice = [pack(&samples[0]), pack(&samples[1])].concat();
            let whole = samples.iter().map(|sample| pack(sample)).chain([twice]);
            whole.map(|sample| sample.get(magic.len()..).unwrap_or_default().to_vec()).collect()
        }),
        words: Vec::new(),
    };
    vec![
        Target { name: "layer/plain".into(), run: Box::new(plain), seeds: Box::new(tar::samples), words },
        packed(&[0x1f, 0x8b, 8], gzip, "layer/gzip"),
        packed(&[0x28, 0xb5, 0x2f, 0xfd], zstd, "layer/zstd"),
        Target { name: "layer/tree".into(), run: Box::new(tree::run), seeds: Box::new(tree::seeds), words: Vec::new() },
    ]
}

/// Reads a layer that is what its descriptor says.
pub(crate) fn read(bytes: &[u8], catalogers: &Catalogers) -> Result<LayerIndex> {
    let media_type = "application/vnd.oci.image.layer.v1.tar".into();
    let descriptor = Descriptor::new(media_type, bytes.len() as u64, digest(bytes));
    let mut limits = Limits::default();
    limits.layer_size = 64 << 20;
    // Some of the files of an input pass by.
    limits.file_size = 2048;
    read_layer(bytes, &descriptor, catalogers, &limits)
}

fn check(layer: Result<LayerIndex>) {
    let Ok(layer) = layer else { return };
    for entry in layer.entries.iter() {
        let odd = |segment: &str| matches!(segment, "" | "." | "..");
        assert!(entry.path.is_empty() || !entry.path.split('/').any(odd), "{:?}", entry.path);
    }
    let text = serde_json::to_string(&layer).expect("a layer index can be written");
    let back: LayerIndex = serde_json::from_str(&text).expect("and read back");
    assert!(back == layer, "what is read back is what was written");
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packer.write_all(bytes).and_then(|()| packer.finish()).unwrap_or_default()
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::bulk::compress(bytes, 3).unwrap_or_default()
}
