//! The compressions that package files and manifests come in.

use std::io::{self, BufRead, BufReader, Cursor, Read};

/// Window of a zstd frame, as a power of two: 8 MiB is what the strongest ordinary level asks for, dpkg's included.
const ZSTD_WINDOW_LOG: u32 = 23;

/// KiB that the decoder of an xz stream may take. `xz -9` needs 65 MiB; dpkg and pacman stay below.
const XZ_MEMORY: u32 = 80 << 10;

/// Reads what `compressed` holds, by its first bytes: gzip (of any number of members), zstd, xz, or as it is.
///
/// # Errors
///
/// If it breaks off, or the decoder would need more memory than any honest maker asks for. How much comes out is
/// for the caller to bound.
pub(super) fn open<'a>(mut compressed: impl Read + 'a) -> io::Result<Box<dyn BufRead + 'a>> {
    let mut head = Vec::with_capacity(6);
    (&mut compressed).take(6).read_to_end(&mut head)?;
    let kind = head.clone();
    let whole = BufReader::new(Cursor::new(head).chain(compressed));
    Ok(match &*kind {
        [0x1f, 0x8b, ..] => Box::new(BufReader::new(flate2::bufread::MultiGzDecoder::new(whole))),
        [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => {
            let mut decoder = zstd::stream::read::Decoder::with_buffer(whole)?;
            decoder.window_log_max(ZSTD_WINDOW_LOG)?;
            Box::new(BufReader::new(decoder))
        }
        b"\xfd7zXZ\0" => Box::new(BufReader::new(lzma_rust2::XzReader::new_mem_limit(whole, true, XZ_MEMORY))),
        _ => Box::new(whole),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(bytes: &[u8]) -> io::Result<Vec<u8>> {
        let mut out = Vec::new();
        open(bytes)?.take(1 << 20).read_to_end(&mut out)?;
        Ok(out)
    }

    /// `printf quux | xz -c` of XZ Utils 5.4.1.
    const XZ: &[u8] = b"\
        \xfd\x37\x7a\x58\x5a\x00\x00\x04\xe6\xd6\xb4\x46\x02\x00\x21\x01\x16\x00\x00\x00\x74\x2f\xe5\xa3\
        \x01\x00\x03\x71\x75\x75\x78\x00\x4d\x68\x55\x46\xb4\xea\x90\xa1\x00\x01\x1c\x04\x6f\x2c\x9c\xc1\
        \x1f\xb6\xf3\x7d\x01\x00\x00\x00\x00\x04\x59\x5a";

    /// The same with `--lzma2=dict=1536MiB`: four bytes that ask for a dictionary of 1.5 GiB.
    const GREEDY_XZ: &[u8] = b"\
        \xfd\x37\x7a\x58\x5a\x00\x00\x04\xe6\xd6\xb4\x46\x02\x00\x21\x01\x25\x00\x00\x00\x3b\x78\x7b\x41\
        \x01\x00\x03\x71\x75\x75\x78\x00\x4d\x68\x55\x46\xb4\xea\x90\xa1\x00\x01\x1c\x04\x6f\x2c\x9c\xc1\
        \x1f\xb6\xf3\x7d\x01\x00\x00\x00\x00\x04\x59\x5a";

    #[test]
    fn every_compression_is_told_by_its_first_bytes() {
        let mut gzip = flate2::read::GzEncoder::new(&b"quux"[..], flate2::Compression::default());
        let mut member = Vec::new();
        gzip.read_to_end(&mut member).unwrap();
        assert_eq!(read(&member.repeat(2)).unwrap(), b"quuxquux");
        assert_eq!(read(&zstd::encode_all(&b"quux"[..], 3).unwrap()).unwrap(), b"quux");
        assert_eq!(read(b"quux").unwrap(), b"quux");
        assert_eq!(read(b"").unwrap(), b"");
        assert!(read(&member[..12]).is_err());
        assert_eq!(read(XZ).unwrap(), b"quux");
        assert!(read(GREEDY_XZ).unwrap_err().to_string().contains("mem"));
    }

    proptest! {
        #[test]
        fn never_panics(kind in 0_usize..3, bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let magic: [&[u8]; 3] = [b"\x1f\x8b\x08", b"\x28\xb5\x2f\xfd", b"\xfd7zXZ\0"];
            let _ = read(&[magic[kind], &bytes].concat());
        }
    }
}
