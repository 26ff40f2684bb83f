//! Layers that are read in parts, by a table of contents of their own: eStargz and zstd:chunked.
//!
//! The blob is not read, so its digest is not verified. What stands in for it is a chain: the manifest, which was
//! verified, names the digest of the table; the table names the digest of each chunk. Where the chain breaks, and
//! wherever a table is not as it should be, the layer is read whole: that reading verifies everything and decides.

mod plan;
mod ranges;
mod read;
mod table;

use crate::inflate::Hasher;
use crate::{Descriptor, Digest};

pub(crate) use ranges::{REQUESTS, Ranges, serve};
pub(crate) use read::read;

/// Whether layers are read in parts where that can be done.
///
/// A layer that was made for it (eStargz, zstd:chunked) carries a table of contents, and its descriptor in the manifest
/// names the table's digest. If the [source](crate::ImageSource) serves ranges, the table and the files that matter are
/// fetched and the rest is not; if too much of the layer would be needed, it is read whole all the same.
///
/// The result is that of the whole layer, if the table is true to it. That is the word of whoever made the image, and
/// nobody checks it: neither the blob's digest nor the diff ID is computed, and a table that hides a file hides it from
/// the indexer, while a runtime that unpacks the whole layer sees the file. Runtimes that mount layers by their table
/// (the stargz snapshotter, containers/storage with partial pulls) see what the indexer sees. So this is for images
/// whose makers are trusted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum LazyLayers {
    /// Every layer is read whole and verified.
    #[default]
    Off,
    /// Layers that have a table of contents are read by it, their diff IDs taken as claimed whatever
    /// [`DiffIds`](crate::DiffIds) says.
    Trusted,
}

/// Layers smaller than this are read whole: three round trips cost more than their bytes.
const WORTH: u64 = 1 << 20;

/// A table of contents that the manifest vouches for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Vouched {
    pub(crate) digest: Digest,
    form: Form,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Form {
    /// The footer says where the table is. The digest is that of the table's JSON.
    EStargz,
    /// The descriptor says where the table is, from and to. The digest is that of the table as it is stored.
    ZstdChunked(u64, u64),
}

/// containerd/stargz-snapshotter `docs/estargz.md`, "Content Verification".
const ESTARGZ_DIGEST: &str = "containerd.io/snapshot/stargz/toc.digest";

/// containers/storage `pkg/chunked/internal/minimal/compression.go`; the second is what it wrote until 2023 and what
/// containerd's converter writes.
const ZSTD_PREFIXES: [&str; 2] = ["io.github.containers.zstd-chunked.", "io.containers.zstd-chunked."];

/// The table of contents by which `layer` can be read, if it is worth it.
pub(crate) fn vouched(layer: &Descriptor) -> Option<Vouched> {
    if layer.size() < WORTH {
        return None;
    }
    let annotations = layer.annotations().as_ref()?;
    for prefix in ZSTD_PREFIXES {
        let annotation = |name: &str| annotations.get(&format!("{prefix}{name}"));
        if let (Some(digest), Some(position)) = (annotation("manifest-checksum"), annotation("manifest-position")) {
            let (start, end) = position_of(position).filter(|(_, end)| *end <= layer.size())?;
            return Some(Vouched { digest: known(digest)?, form: Form::ZstdChunked(start, end) });
        }
    }
    let digest = annotations.get(ESTARGZ_DIGEST)?;
    Some(Vouched { digest: known(digest)?, form: Form::EStargz })
}

/// A digest that can be verified.
fn known(text: &str) -> Option<Digest> {
    text.parse().ok().filter(|digest| Hasher::like(digest).is_some())
}

/// `<offset>:<length>:<inflated length>:<type>`, with 1 the only type.
fn position_of(text: &str) -> Option<(u64, u64)> {
    let numbers: Vec<u64> = text.split(':').map(|number| number.parse().ok()).collect::<Option<_>>()?;
    let [offset, length, _, 1] = numbers[..] else { return None };
    Some((offset, offset.checked_add(length)?))
}

/// Why a layer was not read in parts.
#[derive(Debug)]
pub(crate) enum Unread {
    /// It cannot or should not be, for a reason that a whole reading settles.
    Whole(&'static str),
    /// A whole reading would end like this, too.
    Failed(crate::Error),
}

impl From<crate::Error> for Unread {
    fn from(error: crate::Error) -> Self {
        Self::Failed(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layer(size: u64, annotations: &[(&str, &str)]) -> Descriptor {
        let digest: Digest = format!("sha256:{}", "0".repeat(64)).parse().expect("a digest");
        let mut layer = Descriptor::new("application/vnd.oci.image.layer.v1.tar+gzip".into(), size, digest);
        let annotations = annotations.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        layer.set_annotations(Some(annotations));
        layer
    }

    #[test]
    fn only_what_the_manifest_vouches_for_is_read_in_parts() {
        let toc = format!("sha256:{}", "1".repeat(64));
        let zstd = |position| {
            layer(
                5_000_000,
                &[
                    ("io.github.containers.zstd-chunked.manifest-checksum", &toc),
                    ("io.github.containers.zstd-chunked.manifest-position", position),
                ],
            )
        };
        let form = |layer: &Descriptor| vouched(layer).map(|vouched| vouched.form);
        assert_eq!(form(&zstd("4000000:1000:9000:1")), Some(Form::ZstdChunked(4_000_000, 4_001_000)));
        for position in ["4999999:1000:9000:1", "18446744073709551615:2:1:1", "1:1:1:2", "1:1:1", "", "x:1:1:1"] {
            assert_eq!(form(&zstd(position)), None, "{position}");
        }
        assert_eq!(form(&layer(5_000_000, &[(ESTARGZ_DIGEST, &toc)])), Some(Form::EStargz));
        assert_eq!(form(&layer(5_000, &[(ESTARGZ_DIGEST, &toc)])), None);
        assert_eq!(form(&layer(5_000_000, &[(ESTARGZ_DIGEST, "md5:1")])), None);
        assert_eq!(form(&layer(5_000_000, &[])), None);
    }
}
