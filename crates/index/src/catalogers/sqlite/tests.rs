//! Databases built page by page, after the format's description; what SQLite itself makes of them was compared by
//! hand (`PRAGMA integrity_check`, `SELECT`).

use proptest::prelude::*;

use super::*;

/// A value to write.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::catalogers) enum Cell {
    Null,
    Integer(i64),
    Blob(Vec<u8>),
    Text(String),
}

/// A database of these tables, each with its rows.
pub(in crate::catalogers) fn database(page_size: usize, tables: &[(&str, Vec<Vec<Cell>>)]) -> Vec<u8> {
    let mut file = Writer { page_size, pages: vec![Vec::new()] };
    let mut schema = Vec::new();
    for (name, rows) in tables {
        let root = file.table(rows);
        schema.push(vec![
            Cell::Text("table".into()),
            Cell::Text((*name).into()),
            Cell::Text((*name).into()),
            Cell::Integer(root as i64),
            Cell::Text(format!("CREATE TABLE {name} (a, b, c, d, e)")),
        ]);
    }
    file.finish(&schema)
}

struct Writer {
    page_size: usize,
    pages: Vec<Vec<u8>>,
}

impl Writer {
    /// Adds a page and returns its number.
    fn add(&mut self, page: Vec<u8>) -> usize {
        self.pages.push(page);
        self.pages.len()
    }

    fn table(&mut self, rows: &[Vec<Cell>]) -> usize {
        let cells: Vec<_> = rows.iter().enumerate().map(|(index, row)| self.leaf_cell(index + 1, row)).collect();
        let mut level: Vec<(usize, usize)> = Vec::new();
        let mut from = 0;
        while from < cells.len() || level.is_empty() {
            let (mut to, mut used) = (from, 8);
            while to < cells.len() && used + 2 + cells[to].len() <= self.page_size {
                used += 2 + cells[to].len();
                to += 1;
            }
            assert!(to > from || cells.is_empty());
            let page = self.page(0, 13, None, &cells[from..to]);
            let number = self.add(page);
            level.push((number, to));
            from = to;
        }
        while level.len() > 1 {
            // A page that branches has two branches at least.
            let width = (3..).find(|width| level.len() % width != 1).unwrap();
            level = level
                .chunks(width)
                .map(|children| {
                    let ((last, key), rest) = children.split_last().unwrap();
                    let cells: Vec<_> = rest
                        .iter()
                        .map(|(child, key)| [&(*child as u32).to_be_bytes()[..], &varint(*key as u64)].concat())
                        .collect();
                    let page = self.page(0, 5, Some(*last), &cells);
                    (self.add(page), *key)
                })
                .collect();
        }
        level[0].0
    }

    fn leaf_cell(&mut self, key: usize, row: &[Cell]) -> Vec<u8> {
        let record = record(row);
        let mut cell = [varint(record.len() as u64), varint(key as u64)].concat();
        // The names are those of the format's description, section 1.6.
        let (u, p) = (self.page_size, record.len());
        let (x, m) = (u - 35, (u - 12) * 32 / 255 - 23);
        let k = if p > x { m + (p - m) % (u - 4) } else { p };
        let local = if p <= x || k <= x { k } else { m };
        cell.extend(&record[..local]);
        let mut next = 0;
        for chunk in record[local..].chunks(u - 4).rev() {
            let page = [&(next as u32).to_be_bytes()[..], chunk].concat();
            next = self.add(page);
        }
        if next > 0 {
            cell.extend((next as u32).to_be_bytes());
        }
        cell
    }

    fn page(&self, start: usize, kind: u8, right: Option<usize>, cells: &[Vec<u8>]) -> Vec<u8> {
        let mut page = vec![0; self.page_size];
        page[start] = kind;
        page[start + 3..start + 5].copy_from_slice(&(cells.len() as u16).to_be_bytes());
        let mut pointer = start + 8;
        if let Some(right) = right {
            page[pointer..pointer + 4].copy_from_slice(&(right as u32).to_be_bytes());
            pointer += 4;
        }
        let mut end = self.page_size;
        for cell in cells {
            end -= cell.len();
            page[end..end + cell.len()].copy_from_slice(cell);
            page[pointer..pointer + 2].copy_from_slice(&(end as u16).to_be_bytes());
            pointer += 2;
        }
        assert!(pointer <= end, "the page is too small");
        page[start + 5..start + 7].copy_from_slice(&(end as u16).to_be_bytes());
        page
    }

    fn finish(mut self, schema: &[Vec<Cell>]) -> Vec<u8> {
        let cells: Vec<_> = schema.iter().enumerate().map(|(index, row)| self.leaf_cell(index + 1, row)).collect();
        let mut first = self.page(100, 13, None, &cells);
        first[..16].copy_from_slice(MAGIC);
        let size = if self.page_size == 65536 { 1 } else { self.page_size as u16 };
        first[16..18].copy_from_slice(&size.to_be_bytes());
        first[18..24].copy_from_slice(&[1, 1, 0, 64, 32, 32]);
        first[28..32].copy_from_slice(&(self.pages.len() as u32).to_be_bytes());
        first[44..48].copy_from_slice(&4_u32.to_be_bytes());
        first[56..60].copy_from_slice(&1_u32.to_be_bytes());
        // "Version-valid-for" and the file's change counter agree, so the count of pages is believed.
        self.pages[0] = first;
        for page in &mut self.pages {
            page.resize(self.page_size, 0);
        }
        self.pages.concat()
    }
}

fn record(row: &[Cell]) -> Vec<u8> {
    let (mut types, mut body) = (Vec::new(), Vec::new());
    for cell in row {
        match cell {
            Cell::Null => types.extend(varint(0)),
            Cell::Integer(0) => types.extend(varint(8)),
            Cell::Integer(1) => types.extend(varint(9)),
            Cell::Integer(number) => {
                let lengths = [(1, 1), (2, 2), (3, 3), (4, 4), (6, 5), (8, 6)];
                let fits = |length: usize| {
                    length == 8 || (*number >> (length * 8 - 1)) + 1 < 2 && (*number >> (length * 8 - 1)) >= -1
                };
                let (length, kind) = lengths.into_iter().find(|(length, _)| fits(*length)).unwrap();
                types.extend(varint(kind));
                body.extend(&number.to_be_bytes()[8 - length..]);
            }
            Cell::Blob(blob) => {
                types.extend(varint(blob.len() as u64 * 2 + 12));
                body.extend(blob);
            }
            Cell::Text(text) => {
                types.extend(varint(text.len() as u64 * 2 + 13));
                body.extend(text.as_bytes());
            }
        }
    }
    // The length counts itself, in one byte or two.
    let length = if types.len() < 127 { types.len() + 1 } else { types.len() + 2 };
    [varint(length as u64), types, body].concat()
}

fn varint(value: u64) -> Vec<u8> {
    let mut bytes = vec![(value & 0x7f) as u8];
    let mut rest = value >> 7;
    while rest > 0 {
        bytes.push((rest & 0x7f) as u8 | 0x80);
        rest >>= 7;
    }
    bytes.reverse();
    bytes
}

fn rows(bytes: &[u8], table: &str) -> Result<Vec<Vec<Cell>>, Problem> {
    let mut found = Vec::new();
    let Some(database) = Database::open(bytes)? else { return Ok(found) };
    let Some(root) = database.table(table)? else { return Ok(found) };
    database.rows(root, |row| {
        let cell = |value| match value {
            Value::Null => Cell::Null,
            Value::Integer(number) => Cell::Integer(number),
            Value::Real(number) => Cell::Text(number.to_string()),
            Value::Blob(blob) => Cell::Blob(blob.to_vec()),
            Value::Text(text) => Cell::Text(String::from_utf8_lossy(text).into_owned()),
        };
        found.push(row.values().map(cell).collect());
        Ok(())
    })?;
    Ok(found)
}

fn reason(bytes: &[u8]) -> String {
    rows(bytes, "t").expect_err("is refused").to_string()
}

/// Rows of blobs with these lengths, each of its own bytes.
fn blobs(lengths: impl IntoIterator<Item = usize>) -> Vec<Vec<Cell>> {
    let blob = |(index, length): (usize, usize)| {
        Cell::Blob((0..length).map(|at| ((at / 4 * 31 + index * 7) % 251) as u8).collect())
    };
    lengths.into_iter().enumerate().map(blob).map(|blob| vec![Cell::Null, blob]).collect()
}

#[test]
fn rows_come_back_as_they_were_written() {
    for page_size in [512, 1024, 4096, 32768, 65536] {
        // Where records stop to fit a leaf, where a page more is needed, and around.
        let edges = [1, 2, 3].into_iter().flat_map(|n| (0..60).map(move |back| n * page_size + 20 - back));
        let wanted = blobs((0..40).chain(edges).chain([20 * page_size]));
        let other = blobs([3; 100]);
        let bytes = database(page_size, &[("other", other.clone()), ("t", wanted.clone()), ("empty", vec![])]);
        assert_eq!(rows(&bytes, "t").unwrap(), wanted, "{page_size}");
        assert_eq!(rows(&bytes, "T").unwrap(), wanted, "names have no case");
        assert_eq!(rows(&bytes, "other").unwrap(), other);
        assert_eq!(rows(&bytes, "empty").unwrap(), [[]; 0]);
        assert_eq!(rows(&bytes, "none").unwrap(), [[]; 0]);
    }
}

#[test]
fn values_have_every_type() {
    let numbers = [0, 1, -1, 127, -128, 128, 32767, 1 << 20, -(1 << 22), 1 << 30, 1 << 40, i64::MAX, i64::MIN];
    let mut row: Vec<_> = numbers.into_iter().map(Cell::Integer).collect();
    row.extend([Cell::Null, Cell::Text("quux".into()), Cell::Blob(vec![0, 255]), Cell::Text(String::new())]);
    assert_eq!(rows(&database(512, &[("t", vec![row.clone()])]), "t").unwrap(), [row]);
    let values = |record| Row { record }.values().collect::<Vec<_>>();
    assert_eq!(values(&[2, 7, 0x3f, 0xf8, 0, 0, 0, 0, 0, 0]), [Value::Real(1.5)]);
    assert_eq!(values(&[3, 10, 9]), [], "10 and 11 are no types");
    assert_eq!(values(&[3, 9, 14, 1]), [Value::Integer(1), Value::Blob(&[1])]);
    assert_eq!(values(&[3, 9, 16, 1]), [Value::Integer(1)], "the blob is cut off");
    assert_eq!(values(&[9, 9]), [], "the types are cut off");
}

#[test]
fn numbers_of_nine_bytes_are_whole() {
    assert_eq!(super::varint(&[0x81, 0x00, 7]), Some((128, &[7][..])));
    assert_eq!(super::varint(&[0xff; 10]), Some((-1, &[0xff][..])));
    assert_eq!(super::varint(&[0x80; 8]), None);
    assert_eq!(super::varint(&[]), None);
}

#[test]
fn what_is_no_database_is_none() {
    assert!(Database::open(b"").unwrap().is_none());
    assert!(Database::open(b"SQLite format 2").unwrap().is_none());
    let sound = database(512, &[("t", blobs([1]))]);
    let check = |at: usize, value: &[u8], expected: &str| {
        let mut bytes = sound.clone();
        bytes[at..at + value.len()].copy_from_slice(value);
        assert_eq!(reason(&bytes), expected);
    };
    assert_eq!(reason(&sound[..60]), "sqlite: the header is cut off");
    check(16, &[0, 0], "sqlite: the page size is none that the format has");
    check(16, &[0, 3], "sqlite: the page size is none that the format has");
    check(16, &[2, 1], "sqlite: the page size is none that the format has");
    check(20, &[33], "sqlite: less of a page is used than the format allows");
    check(56, &[0, 0, 0, 2], "sqlite: the text is not UTF-8");
    check(100, &[2], "sqlite: a page of a table has another type");
    check(512, &[0], "sqlite: a page of a table has another type");
}

/// A schema is text to us: whatever it would have SQLite do, nothing is done.
#[test]
fn a_hostile_schema_is_only_text() {
    let entry = |kind: &str, name: &str, root: Cell, sql: &str| {
        vec![Cell::Text(kind.into()), Cell::Text(name.into()), Cell::Text("t".into()), root, Cell::Text(sql.into())]
    };
    let mut file = Writer { page_size: 4096, pages: vec![Vec::new()] };
    let root = file.table(&blobs([5]));
    let bytes = file.finish(&[
        entry("view", "t", Cell::Integer(0), "CREATE VIEW t AS SELECT load_extension('/tmp/x.so')"),
        entry(
            "trigger",
            "t",
            Cell::Integer(0),
            "CREATE TRIGGER t AFTER INSERT ON t BEGIN SELECT writefile('/x',1); END",
        ),
        entry("table", "t", Cell::Integer(0), "CREATE VIRTUAL TABLE t USING fts3tokenize"),
        entry("table", "t", Cell::Text("2".into()), "CREATE TABLE t"),
        entry("table", "t", Cell::Integer(-1), "CREATE TABLE t"),
        entry("table", "t", Cell::Integer(root as i64), &format!("CREATE TABLE t({})", "(".repeat(1000))),
    ]);
    assert_eq!(rows(&bytes, "t").unwrap(), blobs([5]));
}

#[test]
fn pages_that_lead_in_a_circle_are_refused() {
    let bytes = database(512, &[("t", blobs([2000, 10, 2000]))]);
    // The first record's chain: the pages are laid down from its end, so the last of them is the first of the file.
    let mut circle = bytes.clone();
    circle[512..516].copy_from_slice(&3_u32.to_be_bytes());
    assert_eq!(rows(&circle, "t").unwrap().len(), 3, "the record was whole before");
    circle[1024..1028].copy_from_slice(&4_u32.to_be_bytes());
    assert_eq!(reason(&circle), "sqlite: a page is reached twice");
    let mut found = 0;
    let database_of = Database::open(&circle).unwrap().unwrap();
    let root = database_of.table("t").unwrap().unwrap();
    assert!(
        database_of
            .rows(root, |_| {
                found += 1;
                Ok(())
            })
            .is_err()
    );
    assert_eq!(found, 2, "the other rows are given all the same");

    // A tree whose every branch is its root.
    let mut bytes = database(512, &[("t", blobs([100; 30]))]);
    let root = bytes.len() - 512;
    assert_eq!(bytes[root], 5);
    let number = (root / 512 + 1) as u32;
    bytes[root + 8..root + 12].copy_from_slice(&number.to_be_bytes());
    assert_eq!(reason(&bytes), "sqlite: a page is reached twice");
}

#[test]
fn lengths_and_places_are_not_believed() {
    let sound = database(512, &[("t", blobs([40]))]);
    let at = 2 * 512 - (40 + 5);
    let check = |at: usize, value: &[u8], expected: &str| {
        let mut bytes = sound.clone();
        bytes[at..at + value.len()].copy_from_slice(value);
        assert_eq!(reason(&bytes), expected);
    };
    // Length, key, length of the types, two types.
    assert_eq!(sound[at..at + 5], [43, 1, 3, 0, 92]);
    check(at, &[44], "sqlite: a row is past the end of its page");
    check(at, &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f], "sqlite: a row has no length");
    check(at, &[0xff, 0xff, 0xff, 0x7f], "sqlite: the rows are longer than the file");
    check(512 + 8, &[0xff, 0xff], "sqlite: a cell is outside of its page");
    check(512 + 3, &[0xff, 0xff], "sqlite: a cell is outside of its page");
    assert_eq!(reason(&sound[..1000]), "sqlite: a page is past the end of the file");

    // A page full of pointers to one row: what is given is never longer than the file.
    let mut bytes = database(512, &[("t", blobs([200]))]);
    let at = 2 * 512 - (200 + 7);
    for pointer in 0..140 {
        bytes[512 + 8 + 2 * pointer..][..2].copy_from_slice(&((at - 512) as u16).to_be_bytes());
    }
    bytes[512 + 3..512 + 5].copy_from_slice(&140_u16.to_be_bytes());
    assert_eq!(reason(&bytes), "sqlite: the rows are longer than the file");
}

proptest! {
    #[test]
    fn never_panics(body in proptest::collection::vec(any::<u8>(), 0..3000)) {
        let mut bytes = [MAGIC, &[2, 0, 1, 1, 0, 64, 32, 32], &[0; 76], &*body].concat();
        bytes.truncate(body.len() + 100);
        _ = rows(&bytes, "t");
    }

    #[test]
    fn mutations_never_panic(at in 0_usize..4096, value: [u8; 4], cut in 0_usize..8192) {
        let mut bytes = database(512, &[("t", blobs([1200, 3, 700, 100, 100, 100, 100, 100]))]);
        let at = at % (bytes.len() - 4);
        bytes[at..at + 4].copy_from_slice(&value);
        bytes.truncate(cut.max(100));
        _ = rows(&bytes, "t");
    }
}
