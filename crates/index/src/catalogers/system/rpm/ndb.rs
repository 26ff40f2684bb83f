//! The headers in rpm's own database format: `Packages.db`, of SUSE and its relatives.
//!
//! All numbers are little-endian, places are counted in blocks of 16 bytes. Pages of slots come first, then the
//! blobs that they name:
//!
//! | Bytes | Header of the file (32) | Slot (16) | Blob |
//! | --- | --- | --- | --- |
//! | 0–3 | `RpmP` | `Slot` | `BlbS` |
//! | 4–7 | version, 0 | number of the package, 0 if the slot is free | number of the package |
//! | 8–11 | generation | first block | time |
//! | 12–15 | count of slot pages (4 096 bytes each, the header counted in) | count of blocks | length, then the header itself |
//!
//! Format: `lib/backend/ndb/rpmpkg.cc` of rpm. The checksum behind each blob is not verified: it guards against
//! accidents, and whoever would forge a package can compute it.

use crate::Problem;

/// The first bytes of the file.
pub(super) const MAGIC: &[u8] = b"RpmP";

const BLOCK: usize = 16;
const SLOT_PAGE: usize = 4096;

/// Hands every header to `each`. What is broken is left out and told at the end.
pub(super) fn headers(bytes: &[u8], each: &mut dyn FnMut(&[u8]) -> Result<(), Problem>) -> Result<(), Problem> {
    if le32(bytes, 4) != Some(0) {
        return Err(Problem::malformed("ndb: a version that is not known"));
    }
    let pages = le32(bytes, 12).unwrap_or(0) as usize;
    let mut problem = None;
    let slots = pages.saturating_mul(SLOT_PAGE);
    if slots > bytes.len() {
        problem = Some("the slots are cut off");
    }
    for slot in bytes[..slots.min(bytes.len())].chunks_exact(BLOCK).skip(2) {
        if !slot.starts_with(b"Slot") {
            problem.get_or_insert("a slot is none");
            continue;
        }
        let (package, block) = (le32(slot, 4), le32(slot, 8).unwrap_or(0) as usize);
        if block == 0 {
            continue;
        }
        let header = (|| {
            let blob = bytes.get(block.checked_mul(BLOCK)?..)?;
            if !blob.starts_with(b"BlbS") || le32(blob, 4) != package {
                return None;
            }
            blob.get(BLOCK..)?.get(..le32(blob, 12)? as usize)
        })();
        match header {
            Some(header) => each(header)?,
            None => _ = problem.get_or_insert("a slot leads to no blob"),
        }
    }
    problem.map_or(Ok(()), |reason| Err(Problem::malformed(format!("ndb: {reason}"))))
}

fn le32(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at.checked_add(4)?)?.try_into().ok()?))
}
