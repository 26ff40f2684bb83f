//! The 512-byte header: V7, ustar, star and GNU.

use super::TarError;

pub(super) const BLOCK: usize = 512;

/// What an entry is, by its type flag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TypeFlag {
    File,
    /// `\0`: a file, or a directory if its name ends in a slash.
    OldFile,
    HardLink,
    Symlink,
    CharacterDevice,
    BlockDevice,
    Directory,
    Fifo,
    Contiguous,
    PaxHeader,
    PaxGlobal,
    GnuLongPath,
    GnuLongTarget,
    GnuSparse,
    Other(u8),
}

impl TypeFlag {
    fn of(flag: u8) -> Self {
        match flag {
            b'0' => Self::File,
            0 => Self::OldFile,
            b'1' => Self::HardLink,
            b'2' => Self::Symlink,
            b'3' => Self::CharacterDevice,
            b'4' => Self::BlockDevice,
            b'5' => Self::Directory,
            b'6' => Self::Fifo,
            b'7' => Self::Contiguous,
            b'x' => Self::PaxHeader,
            b'g' => Self::PaxGlobal,
            b'L' => Self::GnuLongPath,
            b'K' => Self::GnuLongTarget,
            b'S' => Self::GnuSparse,
            other => Self::Other(other),
        }
    }

    /// These have no contents, whatever size their header names; some writers name the size of a link's target.
    pub(super) fn has_no_contents(self) -> bool {
        matches!(
            self,
            Self::HardLink | Self::Symlink | Self::CharacterDevice | Self::BlockDevice | Self::Directory | Self::Fifo
        )
    }
}

/// A header's fields.
#[derive(Debug)]
pub(super) struct Header {
    pub(super) path: Vec<u8>,
    pub(super) target: Vec<u8>,
    pub(super) kind: TypeFlag,
    pub(super) mode: u64,
    pub(super) size: u64,
    pub(super) block: Box<[u8; BLOCK]>,
}

impl Header {
    pub(super) fn parse(block: &[u8; BLOCK]) -> Result<Self, TarError> {
        let (unsigned, signed) = checksums(block);
        let written = number(&block[148..156]).ok_or_else(|| malformed("checksum field"))?;
        // Old Sun tars summed signed bytes.
        if written != unsigned && i64::try_from(written).ok() != Some(signed) {
            return Err(malformed("checksum"));
        }
        let size = number(&block[124..136]).ok_or_else(|| malformed("size field"))?;
        // Sizes above this are not files but mistakes, and would overflow sums.
        if size > i64::MAX as u64 {
            return Err(malformed("size field"));
        }
        let mut path = text(&block[0..100]).to_vec();
        let prefix = match (&block[257..263], &block[263..265]) {
            (b"ustar\0", _) if &block[508..512] == b"tar\0" => text(&block[345..476]),
            (b"ustar\0", _) => text(&block[345..500]),
            _ => b"",
        };
        if !prefix.is_empty() {
            path = [prefix, b"/", &path].concat();
        }
        Ok(Self {
            path,
            target: text(&block[157..257]).to_vec(),
            kind: TypeFlag::of(block[156]),
            mode: number(&block[100..108]).unwrap_or(0),
            size,
            block: Box::new(*block),
        })
    }
}

fn malformed(what: &str) -> TarError {
    TarError::Malformed(format!("a header's {what} is wrong"))
}

/// The sum of all bytes with spaces in the place of the sum itself, unsigned and signed. Without a question for each
/// byte, so that the processor takes many at a time.
fn checksums(block: &[u8; BLOCK]) -> (u64, i64) {
    let unsigned = |bytes: &[u8]| bytes.iter().map(|&byte| u32::from(byte)).sum::<u32>();
    let signed = |bytes: &[u8]| bytes.iter().map(|&byte| i32::from(byte.cast_signed())).sum::<i32>();
    let (written, spaces) = (&block[148..156], &[b' '; 8]);
    (
        u64::from(unsigned(block) - unsigned(written) + unsigned(spaces)),
        i64::from(signed(block) - signed(written) + signed(spaces)),
    )
}

fn text(field: &[u8]) -> &[u8] {
    memchr::memchr(0, field).map_or(field, |end| &field[..end])
}

/// A numeric field: octal text, or base-256 if the top bit of its first byte is set. `None` if it is neither, or
/// negative, or does not fit.
pub(super) fn number(field: &[u8]) -> Option<u64> {
    let first = *field.first()?;
    if first & 0x80 != 0 {
        // Two's complement over all bits but the marker; the next one is the sign.
        if first & 0x40 != 0 {
            return None;
        }
        let mut value = u64::from(first & 0x3f);
        for &byte in &field[1..] {
            if value >> 56 != 0 {
                return None;
            }
            value = value << 8 | u64::from(byte);
        }
        return Some(value);
    }
    // Go trims blanks and NULs on both sides, then stops at the first NUL.
    let blank = |byte: &u8| *byte == b' ' || *byte == 0;
    let start = field.iter().position(|byte| !blank(byte)).unwrap_or(field.len());
    let end = field.iter().rposition(|byte| !blank(byte)).map_or(start, |last| last + 1);
    let mut value = 0_u64;
    for &byte in text(&field[start..end]) {
        let digit = byte.checked_sub(b'0').filter(|digit| *digit < 8)?;
        value = value.checked_mul(8)?.checked_add(u64::from(digit))?;
    }
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers() {
        let check = |field: &[u8], expected| assert_eq!(number(field), expected, "{field:?}");
        check(b"0000644\0", Some(0o644));
        check(b"  644 \0\0", Some(0o644));
        check(b"\0\0\0\0", Some(0));
        check(b"7x", None);
        check(b"8", None);
        check(b"-1", None);
        check(&[0x80, 0, 0, 0, 2, 0x54, 0x0b, 0xe4, 0, 0, 0, 0], Some(0x0254_0be4_0000_0000));
        check(&[0xff; 12], None);
        check(&[0x80, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], None);
    }
}
