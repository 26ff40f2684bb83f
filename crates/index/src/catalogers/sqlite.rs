//! Reads the tables of an SQLite database from its bytes.
//!
//! Nothing of the database is executed: its schema is data like any other, and views, triggers, indexes and virtual
//! tables are never looked at. What is walked is the b-tree of one table, page by page, each page once at most; so
//! a page that is its own child, or that two chains share, ends the walk of that branch and is told as a problem.
//! Format: <https://www.sqlite.org/fileformat2.html>. A write-ahead log beside the database is another file and
//! is not seen; SQLite empties it when the last connection closes.

use crate::Problem;

/// The first bytes of every database.
pub(in crate::catalogers) const MAGIC: &[u8] = b"SQLite format 3\0";

/// A database, held in memory.
#[derive(Debug)]
pub(in crate::catalogers) struct Database<'a> {
    bytes: &'a [u8],
    page_size: usize,
    /// Bytes of a page that SQLite itself uses; extensions may keep the rest.
    usable: usize,
}

/// One row of a table. A column that is declared `INTEGER PRIMARY KEY` is null in it.
#[derive(Clone, Copy, Debug)]
pub(in crate::catalogers) struct Row<'a> {
    record: &'a [u8],
}

/// One value of a row.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::catalogers) enum Value<'a> {
    Null,
    Integer(i64),
    Real(f64),
    Blob(&'a [u8]),
    Text(&'a [u8]),
}

impl<'a> Database<'a> {
    /// Reads the database's header; `None` if the bytes are no database.
    pub(in crate::catalogers) fn open(bytes: &'a [u8]) -> Result<Option<Self>, Problem> {
        if !bytes.starts_with(MAGIC) {
            return Ok(None);
        }
        let header = bytes.get(..100).ok_or_else(|| Problem::malformed("sqlite: the header is cut off"))?;
        // 65 536 does not fit the field and stands there as 1.
        let page_size = match be16(header, 16) {
            Some(1) => 65536,
            Some(size @ 512..) if size.is_power_of_two() => usize::from(size),
            _ => return Err(Problem::malformed("sqlite: the page size is none that the format has")),
        };
        let usable = page_size - usize::from(header[20]);
        if usable < 480 {
            return Err(Problem::malformed("sqlite: less of a page is used than the format allows"));
        }
        // 0 stands in a database that has no table yet.
        if !matches!(header[56..60], [0, 0, 0, 0 | 1]) {
            return Err(Problem::malformed("sqlite: the text is not UTF-8"));
        }
        Ok(Some(Self { bytes, page_size, usable }))
    }

    /// The root page of the table of this name; `None` if there is no such table.
    pub(in crate::catalogers) fn table(&self, name: &str) -> Result<Option<u32>, Problem> {
        let mut root = None;
        let walked = self.rows(1, |row| {
            let mut values = row.values();
            let mut next = || values.next().unwrap_or(Value::Null);
            let (kind, table, _, page) = (next(), next(), next(), next());
            if let (Value::Text(b"table"), Value::Text(table), Value::Integer(page)) = (kind, table, page)
                && table.eq_ignore_ascii_case(name.as_bytes())
            {
                root = root.or(u32::try_from(page).ok().filter(|&page| page > 0));
            }
            Ok(())
        });
        // Another table's entry may be what is broken.
        if root.is_none() {
            walked?;
        }
        Ok(root)
    }

    /// Hands every row of the table at `root` to `each`, in the order of their keys.
    ///
    /// What is broken is left out and told at the end: the rows that can be read are given first.
    pub(in crate::catalogers) fn rows(
        &self,
        root: u32,
        mut each: impl FnMut(Row<'_>) -> Result<(), Problem>,
    ) -> Result<(), Problem> {
        let mut walk = Walk {
            database: self,
            seen: vec![0; self.bytes.len().div_ceil(self.page_size) / 64 + 1],
            payload_left: self.bytes.len(),
            scratch: Vec::new(),
            problem: None,
        };
        if walk.enter(root) {
            walk.pages(root, &mut each)?;
        }
        walk.problem.map_or(Ok(()), |reason| Err(Problem::malformed(format!("sqlite: {reason}"))))
    }

    fn page(&self, number: u32) -> Option<&'a [u8]> {
        let start = usize::try_from(number).ok()?.checked_sub(1)?.checked_mul(self.page_size)?;
        self.bytes.get(start..start.checked_add(self.page_size)?)?.get(..self.usable)
    }
}

struct Walk<'d, 'a> {
    database: &'d Database<'a>,
    /// A bit for each page that was reached.
    seen: Vec<u64>,
    /// Bytes that the rows to come may have. In a sound database no two share any.
    payload_left: usize,
    scratch: Vec<u8>,
    problem: Option<&'static str>,
}

impl Walk<'_, '_> {
    fn pages(&mut self, root: u32, each: &mut dyn FnMut(Row<'_>) -> Result<(), Problem>) -> Result<(), Problem> {
        const INTERIOR: u8 = 5;
        const LEAF: u8 = 13;
        // Pages enter the stack once each, so it is never longer than the database has pages.
        let mut stack = vec![root];
        while let Some(number) = stack.pop() {
            let Some(page) = self.database.page(number) else {
                self.note("a page is past the end of the file");
                continue;
            };
            // The first page begins with the database's header.
            let start = if number == 1 { 100 } else { 0 };
            let kind = page[start];
            let cells = be16(page, start + 3).map_or(0, usize::from);
            let pointers = start + if kind == INTERIOR { 12 } else { 8 };
            let cell = |index: usize| be16(page, pointers + 2 * index).map(usize::from).filter(|&at| at >= pointers);
            match kind {
                INTERIOR => {
                    let left = (0..cells).map(|index| cell(index).and_then(|at| be32(page, at)));
                    let from = stack.len();
                    for child in left.chain([be32(page, start + 8)]) {
                        match child {
                            Some(child) if self.enter(child) => stack.push(child),
                            Some(_) => {}
                            None => self.note("a cell is outside of its page"),
                        }
                    }
                    stack[from..].reverse();
                }
                LEAF => {
                    for index in 0..cells {
                        match cell(index).and_then(|at| page.get(at..)) {
                            Some(cell) => self.row(cell, each)?,
                            None => self.note("a cell is outside of its page"),
                        }
                    }
                }
                _ => self.note("a page of a table has another type"),
            }
        }
        Ok(())
    }

    /// One cell of a leaf: the length of the record, the row's key, the record or its beginning, and the page that
    /// the rest begins on.
    fn row(&mut self, cell: &[u8], each: &mut dyn FnMut(Row<'_>) -> Result<(), Problem>) -> Result<(), Problem> {
        let Some((length, content)) = (|| {
            let (length, rest) = varint(cell)?;
            let (_key, content) = varint(rest)?;
            Some((usize::try_from(length).ok()?, content))
        })() else {
            self.note("a row has no length");
            return Ok(());
        };
        match self.payload_left.checked_sub(length.max(1)) {
            Some(left) => self.payload_left = left,
            None => {
                self.note("the rows are longer than the file");
                return Ok(());
            }
        }
        let local = self.local(length);
        let Some(head) = content.get(..local) else {
            self.note("a row is past the end of its page");
            return Ok(());
        };
        if local == length {
            return each(Row { record: head });
        }
        let mut scratch = std::mem::take(&mut self.scratch);
        scratch.clear();
        scratch.extend_from_slice(head);
        let read = be32(content, local).is_some_and(|first| self.overflow(first, length, &mut scratch));
        let result = if read { each(Row { record: &scratch }) } else { Ok(()) };
        self.scratch = scratch;
        result
    }

    /// How many bytes of a record of this length lie in the leaf itself ("B-tree Pages" of the format).
    fn local(&self, length: usize) -> usize {
        let usable = self.database.usable;
        if length <= usable - 35 {
            return length;
        }
        let least = (usable - 12) * 32 / 255 - 23;
        let most = least + (length - least) % (usable - 4);
        if most <= usable - 35 { most } else { least }
    }

    /// Follows a chain of overflow pages until the record is whole.
    fn overflow(&mut self, first: u32, length: usize, record: &mut Vec<u8>) -> bool {
        let mut number = first;
        while record.len() < length {
            if !self.enter(number) {
                return false;
            }
            let page = self.database.page(number).and_then(|page| Some((be32(page, 0)?, page.get(4..)?)));
            let Some((next, content)) = page else {
                self.note("a page is past the end of the file");
                return false;
            };
            record.extend_from_slice(&content[..content.len().min(length - record.len())]);
            number = next;
        }
        true
    }

    /// Marks a page as reached; false if it was before, or is none.
    fn enter(&mut self, number: u32) -> bool {
        let (word, bit) = (number as usize / 64, 1 << (number % 64));
        match self.seen.get_mut(word) {
            Some(seen) if number > 0 && *seen & bit == 0 => {
                *seen |= bit;
                true
            }
            Some(_) if number > 0 => {
                self.note("a page is reached twice");
                false
            }
            _ => {
                self.note("a page is past the end of the file");
                false
            }
        }
    }

    fn note(&mut self, reason: &'static str) {
        self.problem.get_or_insert(reason);
    }
}

impl<'a> Row<'a> {
    /// The row's values, in the order of the columns. Ends early where the record is broken.
    pub(in crate::catalogers) fn values(&self) -> impl Iterator<Item = Value<'a>> {
        let record = self.record;
        let (types, body) = varint(record)
            .and_then(|(length, _)| record.split_at_checked(usize::try_from(length).ok()?))
            .unwrap_or_default();
        let mut types = varint(types).map_or(types, |(_, types)| types);
        let mut body = body;
        std::iter::from_fn(move || {
            let (kind, rest) = varint(types)?;
            types = rest;
            let length = match kind {
                0 | 8 | 9 => 0,
                1..=4 => kind,
                5 => 6,
                6 | 7 => 8,
                12.. => (kind - 12) / 2,
                _ => return None,
            };
            let (content, rest) = body.split_at_checked(usize::try_from(length).ok()?)?;
            body = rest;
            Some(match kind {
                0 => Value::Null,
                7 => Value::Real(f64::from_be_bytes(content.try_into().ok()?)),
                8 | 9 => Value::Integer(kind - 8),
                1..=6 => Value::Integer(integer(content)),
                kind if kind % 2 == 0 => Value::Blob(content),
                _ => Value::Text(content),
            })
        })
    }
}

/// A big-endian number in two's complement.
fn integer(bytes: &[u8]) -> i64 {
    let sign = if bytes.first().is_some_and(|first| first & 0x80 != 0) { -1 } else { 0 };
    bytes.iter().fold(sign, |value, byte| value << 8 | i64::from(*byte))
}

/// A number of seven bits a byte, the highest first; the ninth byte has eight.
fn varint(bytes: &[u8]) -> Option<(i64, &[u8])> {
    let mut value = 0_i64;
    for (at, byte) in bytes.iter().take(9).enumerate() {
        if at == 8 {
            return Some((value << 8 | i64::from(*byte), &bytes[9..]));
        }
        value = value << 7 | i64::from(byte & 0x7f);
        if byte & 0x80 == 0 {
            return Some((value, &bytes[at + 1..]));
        }
    }
    None
}

fn be16(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(bytes.get(at..at.checked_add(2)?)?.try_into().ok()?))
}

fn be32(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(bytes.get(at..at.checked_add(4)?)?.try_into().ok()?))
}

#[cfg(test)]
pub(in crate::catalogers) mod tests;
