//! Layers that can be read in parts: eStargz and zstd:chunked.
//!
//! Both are ordinary gzip or zstd blobs whose compression begins anew before each file, with a table of contents at the
//! end. Formats: containerd/stargz-snapshotter `docs/estargz.md`; containers/storage
//! `pkg/chunked/internal/minimal/compression.go`.

use std::collections::BTreeMap;
use std::io::Write as _;

use bytes::Bytes;
use serde::Serialize;
use tar::EntryType;

use super::layer::{Packed, write_member};
use crate::sha256;

/// Bytes of a file that are compressed on their own. Real tools take 4 MiB (eStargz) or split by content at 64 KiB on
/// average (zstd:chunked); here small layers are to have files of several chunks.
const CHUNK: usize = 16 << 10;

/// Bytes that are compressed together at least, where files share a member.
const MERGED: usize = 4 << 10;

/// Whether small files share a gzip member, as by `--estargz-min-chunk-size`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Members {
    OfOneChunk,
    Merged,
}

/// The table of contents.
#[derive(Serialize)]
struct Contents {
    version: u32,
    entries: Vec<Row>,
}

#[derive(Clone, Serialize, Default)]
#[serde(rename_all = "camelCase")]
struct Row {
    name: String,
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(skip_serializing_if = "is_zero")]
    size: u64,
    #[serde(skip_serializing_if = "String::is_empty")]
    link_name: String,
    #[serde(skip_serializing_if = "is_zero")]
    mode: u64,
    #[serde(skip_serializing_if = "String::is_empty")]
    digest: String,
    #[serde(skip_serializing_if = "is_zero")]
    offset: u64,
    #[serde(skip_serializing_if = "is_zero")]
    inner_offset: u64,
    #[serde(skip_serializing_if = "is_zero")]
    end_offset: u64,
    #[serde(skip_serializing_if = "is_zero")]
    chunk_offset: u64,
    #[serde(skip_serializing_if = "is_zero")]
    chunk_size: u64,
    #[serde(skip_serializing_if = "String::is_empty")]
    chunk_digest: String,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// An entry of the tar: what comes before its contents, and they.
struct Piece<'a> {
    row: Row,
    head: &'a [u8],
    contents: &'a [u8],
}

/// Takes a tar apart. The bytes behind the last entry come back on their own.
fn pieces(tar: &[u8]) -> (Vec<Piece<'_>>, &[u8]) {
    let mut archive = tar::Archive::new(tar);
    let mut pieces = Vec::new();
    let mut end = 0;
    for entry in archive.entries().expect("the kit's own tar is a tar") {
        let entry = entry.expect("the kit's own tar is sound");
        let kind = match entry.header().entry_type() {
            EntryType::Directory => "dir",
            EntryType::Symlink => "symlink",
            EntryType::Link => "hardlink",
            EntryType::Fifo => "fifo",
            _ => "reg",
        };
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("the kit's names are text");
        let start = usize::try_from(entry.raw_file_position()).expect("it is in memory");
        let size = usize::try_from(entry.size()).expect("it is in memory");
        let contents = &tar[start..start + size];
        let row = Row {
            name: text(&entry.path_bytes()),
            kind,
            size: if kind == "reg" { entry.size() } else { 0 },
            link_name: entry.link_name_bytes().map(|name| text(&name)).unwrap_or_default(),
            mode: u64::from(entry.header().mode().expect("the kit writes modes")),
            digest: if contents.is_empty() { String::new() } else { sha256(contents) },
            ..Row::default()
        };
        pieces.push(Piece { row, head: &tar[end..start], contents });
        end = start + size;
    }
    (pieces, &tar[end..])
}

/// The tar with a landmark and a table of contents of its own, every file in a gzip member of its own.
pub(super) fn estargz(tar: &[u8], members: Members) -> Packed {
    let (_, rest) = pieces(tar);
    let padding = rest.len() % 512;
    let mut whole = tar[..tar.len() - rest.len() + padding].to_vec();
    write_member(&mut whole, EntryType::Regular, ".no.prefetch.landmark", "", 0o644, &[0xf]);
    let (pieces, rest) = pieces(&whole);

    let mut blob = Vec::new();
    let mut member = Vec::new();
    // Where the open member begins, once a file is in it.
    let mut begun: Option<u64> = None;
    let mut rows = Vec::new();
    for piece in &pieces {
        member.extend_from_slice(piece.head);
        let chunks = piece.contents.chunks(CHUNK).enumerate();
        let several = piece.contents.len() > CHUNK;
        if piece.contents.is_empty() {
            rows.push(piece.row.clone());
        }
        for (number, chunk) in chunks {
            let shared = begun.filter(|_| members == Members::Merged && member.len() < MERGED);
            let (offset, inner_offset) = match shared {
                Some(offset) => (offset, member.len() as u64),
                None => {
                    close(&mut blob, &mut member);
                    (blob.len() as u64, 0)
                }
            };
            begun = Some(offset);
            member.extend_from_slice(chunk);
            let last = (number + 1) * CHUNK >= piece.contents.len();
            let place = Row {
                name: piece.row.name.clone(),
                kind: "chunk",
                offset,
                inner_offset,
                chunk_offset: (number * CHUNK) as u64,
                chunk_size: if several && !last { chunk.len() as u64 } else { 0 },
                chunk_digest: sha256(chunk),
                ..Row::default()
            };
            rows.push(if number == 0 { first(&piece.row, place) } else { place });
        }
    }
    member.extend_from_slice(rest);
    close(&mut blob, &mut member);

    let contents = serde_json::to_vec(&Contents { version: 1, entries: rows }).expect("it has string keys");
    let offset = blob.len();
    let begin = whole.len();
    write_member(&mut whole, EntryType::Regular, "stargz.index.json", "", 0o444, &contents);
    whole.resize(whole.len() + 1024, 0);
    member.extend_from_slice(&whole[begin..]);
    close(&mut blob, &mut member);
    blob.extend_from_slice(b"\x1f\x8b\x08\x04\0\0\0\0\0\xff\x1a\0SG\x16\0");
    blob.extend_from_slice(format!("{offset:016x}STARGZ").as_bytes());
    blob.extend_from_slice(b"\x01\0\0\xff\xff\0\0\0\0\0\0\0\0");
    let annotations = [("containerd.io/snapshot/stargz/toc.digest".to_owned(), sha256(&contents))].into();
    Packed { bytes: blob.into(), tar: whole.into(), annotations }
}

fn close(blob: &mut Vec<u8>, member: &mut Vec<u8>) {
    if !member.is_empty() {
        let mut packer = flate2::GzBuilder::new().operating_system(255).write(blob, flate2::Compression::new(6));
        packer.write_all(member).expect("writing into memory does not fail");
        packer.finish().expect("writing into memory does not fail");
        member.clear();
    }
}

/// The tar in zstd frames, one for each chunk of a file.
pub(super) fn zstd_chunked(tar: &[u8]) -> Packed {
    let (pieces, rest) = pieces(tar);
    let mut blob = Vec::new();
    let mut rows = Vec::new();
    for piece in &pieces {
        frame(&mut blob, piece.head);
        let several = piece.contents.len() > CHUNK;
        let begin = rows.len();
        if piece.contents.is_empty() {
            rows.push(piece.row.clone());
        }
        for (number, chunk) in piece.contents.chunks(CHUNK).enumerate() {
            let place = Row {
                name: piece.row.name.clone(),
                kind: "chunk",
                offset: blob.len() as u64,
                chunk_offset: (number * CHUNK) as u64,
                chunk_size: if several { chunk.len() as u64 } else { 0 },
                chunk_digest: if several { sha256(chunk) } else { String::new() },
                ..Row::default()
            };
            rows.push(if number == 0 { first(&piece.row, place) } else { place });
            frame(&mut blob, chunk);
        }
        if !piece.contents.is_empty() {
            rows[begin].end_offset = blob.len() as u64;
        }
    }
    frame(&mut blob, rest);

    let contents = serde_json::to_vec(&Contents { version: 1, entries: rows }).expect("it has string keys");
    let packed = zstd::encode_all(&contents[..], 3).expect("packing from memory into memory does not fail");
    let offset = blob.len() + 8;
    skippable(&mut blob, &packed);
    let mut footer = Vec::new();
    for number in [offset, packed.len(), contents.len(), 1, 0, 0, 0] {
        footer.extend_from_slice(&(number as u64).to_le_bytes());
    }
    footer.extend_from_slice(b"GNUlInUx");
    skippable(&mut blob, &footer);
    let position = format!("{offset}:{}:{}:1", packed.len(), contents.len());
    let annotations = BTreeMap::from([
        ("io.github.containers.zstd-chunked.manifest-checksum".to_owned(), sha256(&packed)),
        ("io.github.containers.zstd-chunked.manifest-position".to_owned(), position),
    ]);
    Packed { bytes: blob.into(), tar: Bytes::copy_from_slice(tar), annotations }
}

fn frame(blob: &mut Vec<u8>, bytes: &[u8]) {
    if !bytes.is_empty() {
        blob.extend(zstd::encode_all(bytes, 3).expect("packing from memory into memory does not fail"));
    }
}

fn skippable(blob: &mut Vec<u8>, bytes: &[u8]) {
    blob.extend_from_slice(&[0x50, 0x2a, 0x4d, 0x18]);
    blob.extend_from_slice(&u32::try_from(bytes.len()).expect("layers of the kit are small").to_le_bytes());
    blob.extend_from_slice(bytes);
}

/// The row of a file, with the place of its first chunk.
fn first(row: &Row, place: Row) -> Row {
    Row { kind: row.kind, size: row.size, mode: row.mode, digest: row.digest.clone(), ..place }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Layer;

    #[test]
    fn both_are_ordinary_layers_to_those_who_do_not_know_them() {
        let layer =
            Layer::new().directory("d").file("d/a", "a").file("d/b", vec![7; 3 * CHUNK + 1]).symlink("l", "d/a");
        let tar = layer.tar();
        let packed = zstd_chunked(&tar);
        assert_eq!(zstd::decode_all(&packed.bytes[..]).unwrap(), tar);
        for members in [Members::OfOneChunk, Members::Merged] {
            let packed = estargz(&tar, members);
            let mut unpacked = Vec::new();
            std::io::copy(&mut flate2::read::MultiGzDecoder::new(&packed.bytes[..]), &mut unpacked).unwrap();
            assert_eq!(unpacked, packed.tar);
            let names: Vec<_> = tar::Archive::new(&unpacked[..])
                .entries()
                .unwrap()
                .map(|entry| entry.unwrap().path().unwrap().display().to_string())
                .collect();
            assert_eq!(names, ["d/", "d/a", "d/b", "l", ".no.prefetch.landmark", "stargz.index.json"]);
        }
    }
}
