//! The headers in a Berkeley DB hash database: `Packages`, up to RHEL 8, Fedora 32 and Amazon Linux 2.
//!
//! A file of pages of one size. The first describes the database; its magic also tells the byte order, that of the
//! machine that made it. A hash page holds pairs of keys and values, each either in the page or, what headers mostly
//! are, on a chain of overflow pages:
//!
//! | Bytes | Page | | Bytes | Item of a hash page |
//! | --- | --- | --- | --- | --- |
//! | 8–11 | its number | | 0 | 1: in the page, the rest is the value; 3: on overflow pages |
//! | 16–19 | the next page of its chain | | 4–7 | the first overflow page |
//! | 20–21 | count of items; where each begins follows from 26 on | | 8–11 | length of the value |
//! | 22–23 | on an overflow page: bytes of it that are used | | | |
//! | 25 | type: 2 or 13 hash, 7 overflow | | | |
//!
//! The key is a package's number; under number 0 lies the highest one given away. Every page is looked at rather than
//! the buckets being followed, so a bucket that is broken hides nothing. Format: `src/dbinc/db_page.h` of Berkeley
//! DB 5.3, and rpm's own reader of it, `lib/backend/bdb_ro.cc`.

use crate::Problem;

/// Magic of a hash database, at byte 12.
const MAGIC: u32 = 0x0006_1561;

/// Bytes of a page before its items.
const PAGE_HEADER: usize = 26;

#[derive(Clone, Copy)]
struct File<'a> {
    bytes: &'a [u8],
    page_size: usize,
    big_endian: bool,
}

/// Whether the bytes begin such a database.
pub(super) fn is_database(bytes: &[u8]) -> bool {
    matches!(bytes.get(12..16), Some(magic) if magic == MAGIC.to_be_bytes() || magic == MAGIC.to_le_bytes())
}

/// Hands every header to `each`. What is broken is left out and told at the end.
pub(super) fn headers(bytes: &[u8], each: &mut dyn FnMut(&[u8]) -> Result<(), Problem>) -> Result<(), Problem> {
    let file = File::open(bytes)?;
    let pages = u32::try_from(bytes.len().div_ceil(file.page_size)).unwrap_or(u32::MAX);
    let mut walk = Walk { file, used: vec![0; pages as usize / 64 + 1], value: Vec::new(), problem: None };
    for number in 1..pages {
        walk.page(number, each)?;
    }
    walk.problem.map_or(Ok(()), |reason| Err(Problem::malformed(format!("berkeley db: {reason}"))))
}

impl<'a> File<'a> {
    fn open(bytes: &'a [u8]) -> Result<Self, Problem> {
        let big_endian = bytes.get(12..16) == Some(&MAGIC.to_be_bytes());
        let mut file = Self { bytes, page_size: 0, big_endian };
        let page_size = file.int32(bytes, 20).and_then(|size| usize::try_from(size).ok());
        file.page_size = page_size
            .filter(|size| size.is_power_of_two() && (512..=65536).contains(size))
            .ok_or_else(|| Problem::malformed("berkeley db: the page size is none that the format has"))?;
        if bytes.get(24).is_none_or(|&cipher| cipher != 0) {
            return Err(Problem::malformed("berkeley db: it is encrypted"));
        }
        Ok(file)
    }

    fn page(&self, number: u32) -> Option<&'a [u8]> {
        let start = usize::try_from(number).ok()?.checked_mul(self.page_size)?;
        self.bytes.get(start..start.checked_add(self.page_size)?)
    }

    fn int16(&self, bytes: &[u8], at: usize) -> Option<u16> {
        let value = bytes.get(at..at.checked_add(2)?)?.try_into().ok()?;
        Some(if self.big_endian { u16::from_be_bytes(value) } else { u16::from_le_bytes(value) })
    }

    fn int32(&self, bytes: &[u8], at: usize) -> Option<u32> {
        let value = bytes.get(at..at.checked_add(4)?)?.try_into().ok()?;
        Some(if self.big_endian { u32::from_be_bytes(value) } else { u32::from_le_bytes(value) })
    }
}

struct Walk<'a> {
    file: File<'a>,
    /// A bit for each overflow page that was read: each belongs to one value.
    used: Vec<u64>,
    value: Vec<u8>,
    problem: Option<&'static str>,
}

impl Walk<'_> {
    fn page(&mut self, number: u32, each: &mut dyn FnMut(&[u8]) -> Result<(), Problem>) -> Result<(), Problem> {
        let Some(page) = self.file.page(number) else {
            self.note("the last page is cut off");
            return Ok(());
        };
        if !matches!(page[25], 2 | 13) {
            return Ok(());
        }
        let items = self.file.int16(page, 20).map_or(0, usize::from);
        // Items are laid down from the page's end, so each reaches to where the one before it begins.
        let mut end = page.len();
        for pair in 0..items / 2 {
            let at = |index: usize| self.file.int16(page, PAGE_HEADER + 2 * index).map(usize::from);
            let item = (|| {
                let (key, value) = (at(2 * pair)?, at(2 * pair + 1)?);
                (value >= PAGE_HEADER).then_some(())?;
                Some((page.get(key..end)?, page.get(value..key)?, value))
            })();
            let Some((key, value, start)) = item else {
                // A page of a hundred thousand would-be items is no more than one problem.
                self.note("an item is outside of its page");
                return Ok(());
            };
            end = start;
            if matches!(key, [1, 0, 0, 0, 0]) {
                continue;
            }
            match value {
                [1, header @ ..] => each(header)?,
                [3, _, _, _, chain @ ..] => {
                    if let Some(header) = self.overflow(chain) {
                        let result = each(&header);
                        self.value = header;
                        result?;
                    }
                }
                _ => self.note("an item is of no known type"),
            }
        }
        Ok(())
    }

    /// Gathers a value from its chain of overflow pages.
    fn overflow(&mut self, item: &[u8]) -> Option<Vec<u8>> {
        let Some((mut number, length)) = self.file.int32(item, 0).zip(self.file.int32(item, 4)) else {
            self.note("an item is cut off");
            return None;
        };
        let length = length as usize;
        let mut value = std::mem::take(&mut self.value);
        value.clear();
        while value.len() < length {
            if !self.take(number) {
                return None;
            }
            let page = self.file.page(number).filter(|page| page[25] == 7);
            let content = page.and_then(|page| {
                let used = usize::from(self.file.int16(page, 22)?);
                Some((self.file.int32(page, 16)?, page.get(PAGE_HEADER..PAGE_HEADER + used)?))
            });
            let Some((next, content)) = content else {
                self.note("an overflow page is none");
                return None;
            };
            value.extend_from_slice(&content[..content.len().min(length - value.len())]);
            number = next;
        }
        Some(value)
    }

    /// Marks an overflow page as read; false if it was before, or is none.
    fn take(&mut self, number: u32) -> bool {
        let (word, bit) = (number as usize / 64, 1 << (number % 64));
        match self.used.get_mut(word) {
            Some(used) if number > 0 && *used & bit == 0 => {
                *used |= bit;
                true
            }
            Some(_) if number > 0 => {
                self.note("an overflow page is reached twice");
                false
            }
            _ => {
                self.note("an overflow page is past the end of the file");
                false
            }
        }
    }

    fn note(&mut self, reason: &'static str) {
        self.problem.get_or_insert(reason);
    }
}
