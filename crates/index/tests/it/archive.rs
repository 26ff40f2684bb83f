//! Archives of one's own making, for what the `tar` crate will not write.

use sha2::{Digest as _, Sha256};
use supercargo_index::{Catalogers, Descriptor, Digest, LayerIndex, Limits, Result, read_layer};

/// Reads bytes that are what their descriptor says.
pub(crate) fn read(bytes: &[u8]) -> Result<LayerIndex> {
    read_within(bytes, &Limits::default())
}

/// The same within limits.
pub(crate) fn read_within(bytes: &[u8], limits: &Limits) -> Result<LayerIndex> {
    let descriptor =
        Descriptor::new("application/vnd.oci.image.layer.v1.tar".into(), bytes.len() as u64, digest(bytes));
    read_layer(bytes, &descriptor, &Catalogers::all(), limits)
}

/// The digest of bytes.
pub(crate) fn digest(bytes: &[u8]) -> Digest {
    let digest: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{digest}").parse().expect("a digest")
}

/// The paths of a layer's entries, in their order.
pub(crate) fn paths(layer: &LayerIndex) -> Vec<&str> {
    layer.entries.iter().map(|entry| entry.path).collect()
}

/// A header of one's own making, for what the `tar` crate will not write.
pub(crate) fn header(path: &str, kind: u8, size: &[u8]) -> Vec<u8> {
    let mut block = vec![0; 512];
    block[..path.len()].copy_from_slice(path.as_bytes());
    block[100..107].copy_from_slice(b"0000644");
    block[124..124 + size.len()].copy_from_slice(size);
    block[156] = kind;
    block[257..265].copy_from_slice(b"ustar\x0000");
    checksum(&mut block);
    block
}

/// Makes a header's checksum right.
pub(crate) fn checksum(block: &mut [u8]) {
    block[148..156].fill(b' ');
    let sum: u64 = block.iter().map(|&byte| u64::from(byte)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
}

/// Contents up to the next block.
pub(crate) fn padded(contents: &[u8]) -> Vec<u8> {
    let mut block = contents.to_vec();
    block.resize(contents.len().next_multiple_of(512), 0);
    block
}

/// A size as headers have it.
pub(crate) fn octal(size: usize) -> Vec<u8> {
    format!("{size:011o}").into_bytes()
}

/// A file's header and contents.
pub(crate) fn file(path: &str, contents: &[u8]) -> Vec<u8> {
    [header(path, b'0', &octal(contents.len())), padded(contents)].concat()
}

/// A PAX header of these records.
pub(crate) fn pax(records: &[(&str, &str)]) -> Vec<u8> {
    let body: String = records
        .iter()
        .map(|(key, value)| {
            let rest = format!(" {key}={value}\n").len();
            // The length counts its own digits.
            let length = (1..).find(|length| length.to_string().len() + rest == *length).expect("there is one");
            format!("{length} {key}={value}\n")
        })
        .collect();
    [header("PaxHeaders/x", b'x', &octal(body.len())), padded(body.as_bytes())].concat()
}

/// The end of an archive.
pub(crate) const END: [u8; 1024] = [0; 1024];

/// A file as GNU tar stores it if it ends in a hole of this many bytes.
pub(crate) fn sparse(path: &str, contents: &[u8], hole: usize) -> Vec<u8> {
    let mut block = header(path, b'S', &octal(contents.len()));
    block[257..265].copy_from_slice(b"ustar  \0");
    block[386..398].copy_from_slice(b"00000000000\0");
    block[398..409].copy_from_slice(&octal(contents.len()));
    block[483..494].copy_from_slice(&octal(contents.len() + hole));
    checksum(&mut block);
    [block, padded(contents)].concat()
}
