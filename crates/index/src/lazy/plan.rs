//! Which ranges of a layer are needed, and whether that is little enough.

use std::ops::Range;

use super::Unread;
use super::table::{Chunk, Entry, Table};
use crate::cataloger::{Chosen, Selection};
use crate::paths::normalise;
use crate::read_layer::classify;
use crate::tar::TypeFlag;
use crate::{Catalogers, Limits};

/// Bytes that nobody wants and that are fetched to save a request. A round trip of 20 ms, shared by the four that are
/// under way at a time, costs as many at 100 Mbit/s.
const GAP: u64 = 64 << 10;

/// Of a layer's bytes, the share in percent from which on all of it is read: one stream is faster than many ranges, and
/// verifies the blob.
const SHARE: u64 = 60;

/// Bytes of a chunk that is held to be verified before it is handed out. Tools make 64 KiB and 4 MiB.
pub(super) const CHUNK: u64 = 16 << 20;

/// The ranges that reading by the table begins with, in order. What turns out to be wanted by its first bytes comes on
/// top.
pub(super) fn plan(
    table: &Table,
    size: u64,
    catalogers: &Catalogers,
    limits: &Limits,
) -> Result<Vec<Range<u64>>, Unread> {
    let head = catalogers.shortest_leading_bytes();
    let mut selection = Selection::new();
    let mut chosen = Chosen::new();
    let mut ranges: Vec<Range<u64>> = Vec::new();
    let (mut planned, mut inflated) = (0, 0_u64);
    for entry in &table.entries {
        inflated = inflated.saturating_add(entry.size);
        let Some((path, TypeFlag::File)) = classify(entry.kind, normalise(entry.name.as_bytes())) else { continue };
        if entry.size == 0 {
            continue;
        }
        selection.clear();
        catalogers.select_by_path(&path, &mut selection);
        catalogers.select_one_below(&path, &mut chosen, &mut selection);
        let chunks = table.chunks(entry);
        let wanted = if !selection.is_empty() || looks_executable(entry, &path) {
            chunks
        } else if head.is_some_and(|head| head <= entry.size) {
            &chunks[..chunks.len().min(1)]
        } else {
            &[]
        };
        for chunk in wanted {
            add(&mut ranges, chunk, &mut planned)?;
        }
    }
    if inflated / limits.inflation_ratio > size {
        return Err(Unread::Whole("it inflates to too much"));
    }
    if planned > size / 100 * SHARE {
        return Err(Unread::Whole("most of it is needed"));
    }
    Ok(ranges)
}

/// A guess at what will be wanted by its first bytes. It decides how files are fetched, not whether they are read.
fn looks_executable(entry: &Entry, path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    let suffixes = [".so", ".node", ".dll", ".exe", ".dylib", ".wasm"];
    entry.executable || name.contains(".so.") || suffixes.iter().any(|suffix| name.ends_with(suffix))
}

fn add(ranges: &mut Vec<Range<u64>>, chunk: &Chunk, planned: &mut u64) -> Result<(), Unread> {
    if chunk.length > CHUNK {
        return Err(Unread::Whole("its chunks are too large"));
    }
    match ranges.last_mut() {
        Some(last) if chunk.offset <= last.end.saturating_add(GAP) => {
            *planned += chunk.end.saturating_sub(last.end);
            last.end = last.end.max(chunk.end);
        }
        _ => {
            *planned += chunk.end - chunk.offset;
            ranges.push(chunk.offset..chunk.end);
        }
    }
    Ok(())
}
