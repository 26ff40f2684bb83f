//! Databases built after their formats; the same packages out of databases that rpm 4.18 and `db5.3_load` wrote were
//! compared with rpm's own answers by hand.

use proptest::prelude::*;

use super::*;
use crate::catalogers::sqlite::tests::{Cell, database};
use crate::package::{Package, Requirement, SourcePackage};
use crate::{Catalogers, Evidence};

/// A value of a header.
#[derive(Clone, Debug)]
enum Field {
    Text(&'static str),
    Texts(Vec<String>),
    Translations(&'static str),
    Bytes(Vec<u8>),
    Int16(Vec<u16>),
    Int32(Vec<u32>),
    Int64(Vec<u64>),
    Bin(Vec<u8>),
}

use Field::{Bin, Bytes, Int16, Int32, Int64, Text, Texts, Translations};

/// A header of these tags, as it lies in a database.
fn header(fields: &[(u32, Field)]) -> Vec<u8> {
    let (mut index, mut data) = (Vec::new(), Vec::new());
    for (tag, field) in fields {
        let texts = |texts: &[String]| texts.iter().flat_map(|text| [text.as_bytes(), b"\0"].concat()).collect();
        let (kind, align, count, value): (u32, usize, usize, Vec<u8>) = match field {
            Text(text) => (6, 1, 1, [text.as_bytes(), b"\0"].concat()),
            Texts(array) => (8, 1, array.len(), texts(array)),
            Translations(text) => (9, 1, 2, [text.as_bytes(), b"\0autrement\0"].concat()),
            Bytes(bytes) => (1, 1, bytes.len(), bytes.clone()),
            Bin(bytes) => (7, 1, bytes.len(), bytes.clone()),
            Int16(numbers) => (3, 2, numbers.len(), numbers.iter().flat_map(|n| n.to_be_bytes()).collect()),
            Int32(numbers) => (4, 4, numbers.len(), numbers.iter().flat_map(|n| n.to_be_bytes()).collect()),
            Int64(numbers) => (5, 8, numbers.len(), numbers.iter().flat_map(|n| n.to_be_bytes()).collect()),
        };
        data.resize(data.len().next_multiple_of(align), 0);
        for number in [*tag, kind, data.len() as u32, count as u32] {
            index.extend(number.to_be_bytes());
        }
        data.extend(value);
    }
    let counts = [(index.len() / 16) as u32, data.len() as u32];
    [counts.map(u32::to_be_bytes).concat(), index, data].concat()
}

fn texts(texts: &[&str]) -> Field {
    Texts(texts.iter().map(|&text| text.to_owned()).collect())
}

/// The tags of a package, as rpm writes them.
fn quux() -> Vec<(u32, Field)> {
    vec![
        // What was signed ends with the region's trailer; its entry comes first.
        (63, Bytes(vec![0; 16])),
        (1000, Text("quux-libs")),
        (1001, Text("2.4")),
        (1002, Text("1.el9")),
        (1003, Int32(vec![3])),
        (1004, Translations("quux, the library")),
        (1009, Int32(vec![4096])),
        (1011, Text("Example Corp")),
        (1014, Text("MIT AND (GPL-2.0-or-later OR Zlib)")),
        (1015, Text("Ann Example <ann@example.org>")),
        (1020, Text("https://quux.example.org/")),
        (1022, Text("aarch64")),
        (1029, Bytes(vec![0, 0, 2, 0])),
        (1030, Int16(vec![0o100_755, 0o040_755, 0o100_644, 0o120_777])),
        (1044, Text("quux-2.4-1.el9.src.rpm")),
        (1047, texts(&["quux-libs", "libquux.so.2()(64bit)"])),
        (1048, Int32(vec![0, 1 << 24 | 0x0a, 1 << 19, 1 << 8 | 0x0c, 0, 0])),
        (1049, texts(&["/bin/sh", "rpmlib(PayloadIsZstd)", "weak", "libc.so.6()(64bit)", "(a if b)", "/bin/sh"])),
        (1116, Int32(vec![0, 1, 1, 2])),
        (1117, texts(&["quux", "doc", "readme", "libquux.so.2"])),
        (1118, texts(&["/usr/bin/", "/usr/share/quux/", "/usr/lib64/"])),
        (5096, Text("quux:2:8080020230801:abcdef01")),
    ]
}

fn expected() -> Package {
    Package {
        kind: "rpm".into(),
        name: "quux-libs".into(),
        version: "2.4-1.el9".into(),
        qualifiers: [
            ("arch".into(), "aarch64".into()),
            ("epoch".into(), "3".into()),
            ("rpmmod".into(), "quux:2:8080020230801:abcdef01".into()),
            ("upstream".into(), "quux-2.4-1.el9.src.rpm".into()),
        ]
        .into(),
        source: Some(SourcePackage { name: "quux".into(), version: "2.4-1.el9".into() }),
        licenses: vec!["MIT AND (GPL-2.0-or-later OR Zlib)".into()],
        author: Some("Ann Example <ann@example.org>".into()),
        vendor: Some("Example Corp".into()),
        description: Some("quux, the library".into()),
        url: Some("https://quux.example.org/".into()),
        installed_size: Some(4096),
        files: vec!["usr/bin/quux".into(), "usr/lib64/libquux.so.2".into()],
        requires: vec![Requirement::of("/bin/sh"), Requirement::of("libc.so.6()(64bit)")],
        provides: vec!["quux-libs".into(), "libquux.so.2()(64bit)".into()],
        ..Package::default()
    }
}

fn named(name: &'static str) -> Vec<(u32, Field)> {
    vec![(1000, Text(name)), (1001, Text("1")), (1002, Text("1"))]
}

/// A header too long to lie in a page.
fn long(name: &'static str) -> Vec<u8> {
    let mut fields = named(name);
    fields.push((1005, Text(Box::leak("words ".repeat(5000).into_boxed_str()))));
    header(&fields)
}

fn sqlite(headers: &[Vec<u8>]) -> Vec<u8> {
    let rows = headers.iter().map(|header| vec![Cell::Null, Cell::Blob(header.clone())]).collect();
    database(4096, &[("Packages", rows), ("Name", vec![])])
}

fn ndb(headers: &[Vec<u8>]) -> Vec<u8> {
    let mut slots = b"RpmP\0\0\0\0\x09\0\0\0\x01\0\0\0\x63\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0".to_vec();
    let mut blobs = Vec::new();
    for (number, header) in (1_u32..).zip(headers) {
        let blocks = (16 + header.len() + 12).div_ceil(16);
        let free = [b"Slot".as_slice(), &[0; 12]].concat();
        let place = ((4096 + blobs.len()) / 16) as u32;
        slots.extend([free, b"Slot".to_vec()].concat());
        slots.extend([number, place, blocks as u32].map(u32::to_le_bytes).concat());
        blobs.extend(b"BlbS");
        blobs.extend([number, 1_700_000_000, header.len() as u32].map(u32::to_le_bytes).concat());
        blobs.extend(header);
        blobs.resize(blobs.len().next_multiple_of(16) + 4, 0);
        blobs.extend(0_u32.to_le_bytes());
        blobs.extend((header.len() as u32).to_le_bytes());
        blobs.extend(b"BlbE");
        blobs.resize(blobs.len().next_multiple_of(16), 0);
    }
    while slots.len() < 4096 {
        slots.extend(b"Slot\0\0\0\0\0\0\0\0\0\0\0\0");
    }
    [slots, blobs].concat()
}

/// A Berkeley DB hash of one bucket, whose short values lie in the page and whose long ones follow behind.
fn berkeley(page_size: usize, page_type: u8, big_endian: bool, headers: &[Vec<u8>]) -> Vec<u8> {
    let int32 = |value: usize| if big_endian { (value as u32).to_be_bytes() } else { (value as u32).to_le_bytes() };
    let int16 = |value: usize| if big_endian { (value as u16).to_be_bytes() } else { (value as u16).to_le_bytes() };
    let page = |number: usize, next: usize, items: usize, free: usize, kind: u8| {
        let mut page = [&[0; 8][..], &int32(number), &[0; 4], &int32(next), &int16(items), &int16(free)].concat();
        page.extend([0, kind]);
        page
    };
    let mut bucket = page(1, 0, 2 * (headers.len() + 1), 0, page_type);
    bucket.resize(page_size, 0);
    let (mut end, mut slot, mut rest) = (page_size, 26, Vec::new());
    let mut put = |item: &[u8]| {
        end -= item.len();
        bucket[end..end + item.len()].copy_from_slice(item);
        bucket[slot..slot + 2].copy_from_slice(&int16(end));
        slot += 2;
    };
    put(&[&[1][..], &int32(0)].concat());
    put(&[&[1][..], &int32(headers.len())].concat());
    for (number, header) in (1..).zip(headers) {
        put(&[&[1][..], &int32(number)].concat());
        if header.len() < page_size / 4 {
            put(&[&[1][..], header].concat());
            continue;
        }
        let first = 2 + rest.len() / page_size;
        put(&[&[3, 0, 0, 0][..], &int32(first), &int32(header.len())].concat());
        let chunks: Vec<_> = header.chunks(page_size - 26).collect();
        for (index, chunk) in chunks.iter().enumerate() {
            let next = if index + 1 < chunks.len() { first + index + 1 } else { 0 };
            rest.extend(page(first + index, next, 1, chunk.len(), 7));
            rest.extend(*chunk);
            rest.resize(rest.len().next_multiple_of(page_size), 0);
        }
    }
    let mut meta = [&[0; 12][..], &int32(0x61561), &int32(9), &int32(page_size)].concat();
    meta.extend([0, 8, 0, 0]);
    meta.resize(page_size, 0);
    [meta, bucket, rest].concat()
}

/// The same headers in each of the formats.
fn all_formats(headers: &[Vec<u8>]) -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("sqlite", sqlite(headers)),
        ("ndb", ndb(headers)),
        ("berkeley, little-endian", berkeley(4096, 13, false, headers)),
        ("berkeley, big-endian", berkeley(4096, 13, true, headers)),
        ("berkeley, unsorted", berkeley(8192, 2, false, headers)),
        ("berkeley, largest pages", berkeley(65536, 13, true, headers)),
    ]
}

fn read(bytes: &[u8]) -> (Vec<Package>, Result<(), Problem>) {
    let file = File { path: "var/lib/rpm/Packages", size: bytes.len() as u64, executable: false };
    let mut findings = Findings::default();
    let result = Rpm.catalog(&file, &mut Contents::held(bytes), &mut findings);
    (findings.packages().to_vec(), result)
}

fn names(packages: &[Package]) -> Vec<&str> {
    packages.iter().map(|package| package.name.as_str()).collect()
}

fn reason(bytes: &[u8]) -> String {
    read(bytes).1.expect_err("is refused").to_string()
}

#[test]
fn every_format_gives_every_field() {
    let headers = [header(&quux()), long("long"), header(&named("short"))];
    for (format, bytes) in all_formats(&headers) {
        let (packages, result) = read(&bytes);
        result.unwrap_or_else(|problem| panic!("{format}: {problem}"));
        assert_eq!(names(&packages), ["quux-libs", "long", "short"], "{format}");
        assert_eq!(packages[0], expected(), "{format}");
        assert_eq!(packages[1].evidence, Evidence::Installed);
    }
    for (format, bytes) in all_formats(&[]) {
        let (packages, result) = read(&bytes);
        assert!(packages.is_empty() && result.is_ok(), "{format}");
    }
}

#[test]
fn what_is_no_database_of_rpm_is_none() {
    let check = |bytes: &[u8]| {
        let (packages, result) = read(bytes);
        assert!(packages.is_empty() && result.is_ok());
    };
    check(b"");
    check(b"Package: a\nStatus: install ok installed\nVersion: 1\n");
    check(&database(512, &[("moz_places", vec![vec![Cell::Integer(1), Cell::Blob(vec![1])]])]));
}

#[test]
fn databases_are_found_behind_links_by_their_first_bytes() {
    let rpm = Catalogers::all().names().position(|name| name == "rpm").unwrap();
    for (format, bytes) in all_formats(&[header(&quux())]) {
        let mut bytes = bytes;
        // What Berkeley DB writes where there is no log.
        if format.contains("little") {
            bytes[4] = 1;
        } else if format.contains("big") {
            bytes[7] = 1;
        } else if format.starts_with("berkeley") {
            continue;
        }
        let mut selection = Vec::new();
        Catalogers::all().select_by_leading_bytes(&bytes[..64], &mut selection);
        assert!(selection.contains(&(rpm, true)), "{format}");
    }
}

#[test]
fn what_is_missing_or_none_is_left_out() {
    let check = |fields: &[(u32, Field)], expected: &[(&str, &str)]| {
        let (packages, result) = read(&sqlite(&[header(fields)]));
        result.unwrap();
        let found: Vec<_> = packages.iter().map(|p| (p.name.as_str(), p.version.as_str())).collect();
        assert_eq!(found, expected);
        packages
    };
    let mut fields = named("quux");
    let none = [1011, 1014, 1015, 1020, 1022, 1044, 5096].map(|tag| (tag, Text("(none)")));
    fields.extend(none);
    fields.extend([(1003, Int32(vec![0])), (1009, Int32(vec![1])), (5009, Int64(vec![1 << 33]))]);
    let package = check(&fields, &[("quux", "1-1")]).remove(0);
    let bare = Package {
        kind: "rpm".into(),
        name: "quux".into(),
        version: "1-1".into(),
        installed_size: Some(1 << 33),
        ..Package::default()
    };
    assert_eq!(package, bare);
    check(&named("quux")[..2], &[("quux", "1")]);
    check(&named("quux")[..1], &[]);
    check(&named("gpg-pubkey"), &[]);
    check(&named("not a name"), &[]);
    // A name of another type, and one that has no end.
    check(&[(1000, Int32(vec![1])), (1001, Text("1"))], &[]);
    let name_of_bytes = header(&[(1001, Text("1")), (1000, Bytes(b"quux".to_vec()))]);
    let at = name_of_bytes.windows(8).position(|w| w == [0, 0, 3, 0xe8, 0, 0, 0, 1]).unwrap();
    let mut endless = name_of_bytes;
    endless[at + 7] = 6;
    assert!(read(&sqlite(&[endless])).0.is_empty());
}

#[test]
fn what_was_added_behind_the_signed_part_counts() {
    let mut fields = quux();
    fields.push((1011, Text("Another Corp")));
    assert_eq!(read(&sqlite(&[header(&fields)])).0[0].vendor.as_deref(), Some("Another Corp"));
}

#[test]
fn a_broken_header_hides_no_other() {
    let good = header(&named("good"));
    let mut many_entries = good.clone();
    many_entries[..4].copy_from_slice(&0xffff_ffff_u32.to_be_bytes());
    let mut much_data = good.clone();
    much_data[4..8].copy_from_slice(&0xffff_ffff_u32.to_be_bytes());
    for (broken, expected) in [
        (vec![0; 8], "rpm: a header has no entries"),
        (vec![0; 7], "rpm: a header is cut off"),
        (good[..good.len() - 1].to_vec(), "rpm: a header is cut off"),
        (many_entries, "rpm: a header is cut off"),
        (much_data, "rpm: a header is cut off"),
    ] {
        for (format, bytes) in all_formats(&[broken, header(&named("other"))]) {
            assert_eq!(names(&read(&bytes).0), ["other"], "{format}: {expected}");
            assert_eq!(reason(&bytes), expected, "{format}");
        }
    }
}

#[test]
fn texts_of_a_header_are_no_longer_than_it() {
    // Every tag that is a text points to the same one.
    let tags = [1000, 1001, 1002, 1004, 1011, 1014, 1015, 1020, 1022, 1044, 5096];
    let index = tags.iter().flat_map(|tag| [*tag, 6, 0, 1].map(u32::to_be_bytes)).flatten();
    let data = ["a".repeat(16_000).as_bytes(), b"\0"].concat();
    let counts = [tags.len() as u32, data.len() as u32].map(u32::to_be_bytes).concat();
    let bytes = sqlite(&[counts.into_iter().chain(index).chain(data).collect(), header(&named("next"))]);
    assert_eq!(names(&read(&bytes).0), ["next"], "a name, and nothing left for a version");
}

#[test]
fn owned_files_are_those_that_the_header_can_mean() {
    let files = |fields: Vec<(u32, Field)>| {
        let fields: Vec<_> = named("quux").into_iter().chain(fields).collect();
        read(&sqlite(&[header(&fields)])).0.remove(0).files
    };
    // rpm 3 had whole paths.
    assert_eq!(files(vec![(1027, texts(&["/bin/quux", "relative", ""]))]), ["bin/quux", "relative"]);
    let names = (1117, texts(&["a", "b", "c"]));
    let dirs = (1118, texts(&["/x/"]));
    assert_eq!(files(vec![(1116, Int32(vec![0, 7, 0])), names.clone(), dirs.clone()]), ["x/a", "x/c"]);
    assert_eq!(files(vec![(1116, Int32(vec![0])), names.clone(), dirs.clone()]), ["x/a"]);
    assert_eq!(files(vec![names.clone(), dirs.clone()]), [""; 0]);
    assert_eq!(files(vec![(1116, Int32(vec![0; 3])), names]), [""; 0]);
    let more_directories = (1118, texts(&["/x/"; 4]));
    assert_eq!(files(vec![(1116, Int32(vec![0])), (1117, texts(&["a"])), more_directories]), [""; 0]);
    assert_eq!(files(vec![(1116, Int32(vec![0])), (1117, texts(&["a"])), (1118, Text("/x/"))]), ["x/a"]);
}

#[test]
fn owned_paths_are_bounded() {
    let directory = format!("/{}/", "d".repeat(4000));
    let fields = |name: &'static str| {
        let count = 20_000;
        let mut fields = named(name);
        fields.push((1116, Int32(vec![0; count])));
        fields.push((1117, Texts(vec!["f".to_owned(); count])));
        fields.push((1118, Texts(vec![directory.clone()])));
        header(&fields)
    };
    let (packages, result) = read(&sqlite(&[fields("a"), fields("b"), header(&named("c"))]));
    result.unwrap();
    let total: usize = packages.iter().flat_map(|package| &package.files).map(String::len).sum();
    assert!(total <= MOST_PATH_BYTES && total > MOST_PATH_BYTES / 2, "{total}");
    assert_eq!(names(&packages), ["a", "b", "c"]);
}

/// Attack case 54: the pages of a value lead in a circle, or into another's.
#[test]
fn berkeley_pages_are_used_once() {
    for big_endian in [false, true] {
        let int32 = |value: u32| if big_endian { value.to_be_bytes() } else { value.to_le_bytes() };
        let headers = [long("first"), long("second"), header(&named("third"))];
        let sound = berkeley(4096, 13, big_endian, &headers);
        let next_of = |page: usize| 4096 * page + 16..4096 * page + 20;
        let check = |page: usize, next: u32, found: &[&str], expected: &str| {
            let mut bytes = sound.clone();
            bytes[next_of(page)].copy_from_slice(&int32(next));
            assert_eq!(names(&read(&bytes).0), found, "{page} -> {next}");
            assert_eq!(reason(&bytes), expected, "{page} -> {next}");
        };
        check(2, 2, &["second", "third"], "berkeley db: an overflow page is reached twice");
        check(4, 2, &["second", "third"], "berkeley db: an overflow page is reached twice");
        // The first value ends with what is the second's, and takes it from it.
        check(4, 10, &["first", "third"], "berkeley db: an overflow page is reached twice");
        check(3, 1, &["second", "third"], "berkeley db: an overflow page is none");
        check(3, 0, &["second", "third"], "berkeley db: an overflow page is past the end of the file");
        check(3, u32::MAX, &["second", "third"], "berkeley db: an overflow page is past the end of the file");
    }
}

#[test]
fn berkeley_lengths_and_places_are_not_believed() {
    let sound = berkeley(4096, 13, false, &[long("first"), header(&named("second"))]);
    let check = |at: usize, value: &[u8], found: &[&str], expected: &str| {
        let mut bytes = sound.clone();
        bytes[at..at + value.len()].copy_from_slice(value);
        assert_eq!(names(&read(&bytes).0), found, "{at}");
        assert_eq!(reason(&bytes), expected, "{at}");
    };
    let item = 4096 + 4096 - 3 * 5 - 12;
    assert_eq!(sound[item..item + 5], [3, 0, 0, 0, 2]);
    check(item + 8, &[0xff; 4], &["second"], "berkeley db: an overflow page is past the end of the file");
    check(item, &[4], &["second"], "berkeley db: an item is of no known type");
    check(4096 + 26, &[0xff, 0xff], &[], "berkeley db: an item is outside of its page");
    check(4096 + 20, &[0xff, 0xff], &["first", "second"], "berkeley db: an item is outside of its page");
    check(2 * 4096 + 22, &[0xff, 0xff], &["second"], "berkeley db: an overflow page is none");
    check(20, &[0, 0, 0, 0], &[], "berkeley db: the page size is none that the format has");
    check(20, &[1, 0, 0, 0], &[], "berkeley db: the page size is none that the format has");
    check(24, &[1], &[], "berkeley db: it is encrypted");
    let cut = &sound[..2 * 4096 + 100];
    assert_eq!(names(&read(cut).0), ["second"]);
    assert_eq!(reason(cut), "berkeley db: an overflow page is none");
    assert_eq!(reason(&sound[..4096 + 100]), "berkeley db: the last page is cut off");
    assert_eq!(reason(&sound[..18]), "berkeley db: the page size is none that the format has");
}

#[test]
fn ndb_slots_are_not_believed() {
    let sound = ndb(&[header(&named("first")), header(&named("second"))]);
    let check = |at: usize, value: &[u8], found: &[&str], expected: &str| {
        let mut bytes = sound.clone();
        bytes[at..at + value.len()].copy_from_slice(value);
        assert_eq!(names(&read(&bytes).0), found, "{at}");
        assert_eq!(reason(&bytes), expected, "{at}");
    };
    // A free slot lies before each.
    assert_eq!(sound[48..56], *b"Slot\x01\0\0\0");
    check(4, &[1], &[], "ndb: a version that is not known");
    check(48, b"slot", &["second"], "ndb: a slot is none");
    check(52, &[9], &["second"], "ndb: a slot leads to no blob");
    check(56, &[0xff; 4], &["second"], "ndb: a slot leads to no blob");
    check(56, &[3], &["second"], "ndb: a slot leads to no blob");
    check(4096, b"BlbE", &["second"], "ndb: a slot leads to no blob");
    check(4096 + 12, &[0xff; 4], &["second"], "ndb: a slot leads to no blob");
    check(12, &[0xff; 4], &["first", "second"], "ndb: the slots are cut off");
    assert_eq!(reason(&sound[..100]), "ndb: the slots are cut off");

    // Every slot leads to one blob.
    let mut bytes = ndb(&[long("same")]);
    for slot in 3..256 {
        bytes.copy_within(48..64, slot * 16);
    }
    assert_eq!(names(&read(&bytes).0), ["same"]);
    assert_eq!(reason(&bytes), "rpm: headers overlap: together they are longer than the file");
}

/// Attack case 55, but for what concerns the schema: see the tests of `sqlite`.
#[test]
fn a_database_that_is_too_large_is_told() {
    let file = File { path: "var/lib/rpm/rpmdb.sqlite", size: 2 << 30, executable: false };
    let mut reader = std::io::repeat(0);
    let mut contents = Contents::passing(&mut reader, 2 << 30, 96 << 20);
    let problem = Rpm.catalog(&file, &mut contents, &mut Findings::default()).expect_err("is refused");
    assert_eq!(problem.to_string(), "2147483648 bytes are over the limit of 100663296");
}

#[test]
fn packages_of_one_file_are_bounded() {
    let header = header(&[(1000, Text("a")), (1001, Text("1"))]);
    let rows = vec![vec![Cell::Null, Cell::Blob(header)]; crate::catalogers::MOST_PACKAGES + 1];
    let (packages, result) = read(&database(65536, &[("Packages", rows)]));
    assert!(result.is_err());
    assert_eq!(packages.len(), crate::catalogers::MOST_PACKAGES);
}

/// A package file: `kind` 0 is a binary package, 1 a source package.
fn package_file(kind: u8, fields: &[(u32, Field)]) -> Vec<u8> {
    signed_file(kind, &[(1000, Int32(vec![5])), (269, Text("0123456789"))], fields)
}

fn signed_file(kind: u8, signature: &[(u32, Field)], fields: &[(u32, Field)]) -> Vec<u8> {
    let mut lead = b"\xed\xab\xee\xdb\x03\0\0".to_vec();
    lead.push(kind);
    lead.resize(96, 0);
    let magic = b"\x8e\xad\xe8\x01\0\0\0\0";
    let mut signature = [&magic[..], &header(signature)].concat();
    signature.resize(signature.len().next_multiple_of(8), 0);
    [&lead[..], &signature, magic, &header(fields), b"\xfd7zXZ the payload"].concat()
}

fn read_file(bytes: &[u8]) -> (Vec<Package>, Result<(), Problem>) {
    let file = File { path: "opt/quux.rpm", size: bytes.len() as u64, executable: false };
    let mut findings = Findings::default();
    let mut reader = bytes;
    // As a stream: such a file may be longer than what is held.
    let result = RpmFile.catalog(&file, &mut Contents::passing(&mut reader, file.size, 0), &mut findings);
    (findings.packages().to_vec(), result)
}

#[test]
fn package_files_are_packages() {
    let bytes = package_file(0, &quux());
    let (packages, result) = read_file(&bytes);
    result.unwrap();
    assert_eq!(packages, [Package { size: Some(bytes.len() as u64), ..expected() }]);

    let fields: Vec<_> = quux().into_iter().filter(|(tag, _)| *tag != 1044).collect();
    let (packages, _) = read_file(&package_file(1, &fields));
    assert_eq!((&*packages[0].qualifiers["arch"], packages[0].source.as_ref()), ("src", None));
}

/// A signature of version 4 (RFC 9580, section 5.2.3) with nothing but a key's ID in it.
fn signature(id: &[u8; 8]) -> Vec<u8> {
    [&[0x88, 20, 4, 0, 1, 8, 0, 0, 0, 10, 9, 16][..], id, &[0xab, 0xcd]].concat()
}

#[test]
fn the_key_that_signed_a_package_is_told() {
    let [first, second] = [[0xa1; 8], [0xb2; 8]];
    let key_of = |fields: Vec<(u32, Field)>| {
        let (packages, _) = read(&sqlite(&[header(&[named("quux"), fields].concat())]));
        packages[0].signing_key.clone()
    };
    assert_eq!(key_of(vec![(268, Bin(signature(&first)))]).as_deref(), Some("a1a1a1a1a1a1a1a1"));
    assert_eq!(key_of(vec![(259, Bin(signature(&first)))]).as_deref(), Some("a1a1a1a1a1a1a1a1"));
    // What was signed last is the header's own.
    let both = vec![(262, Bin(signature(&first))), (267, Bin(signature(&second)))];
    assert_eq!(key_of(both).as_deref(), Some("b2b2b2b2b2b2b2b2"));
    let text = base64::Engine::encode(&base64::prelude::BASE64_STANDARD, signature(&first));
    assert_eq!(key_of(vec![(278, texts(&["?", &text]))]).as_deref(), Some("a1a1a1a1a1a1a1a1"));
    assert_eq!(key_of(vec![(268, Bin(vec![0; 300]))]), None);
    assert_eq!(key_of(vec![(268, Int32(vec![1]))]), None);

    let (packages, _) = read_file(&signed_file(0, &[(268, Bin(signature(&second)))], &quux()));
    assert_eq!(packages[0].signing_key.as_deref(), Some("b2b2b2b2b2b2b2b2"));
}

#[test]
fn broken_package_files_are_told() {
    let sound = package_file(0, &quux());
    for cut in 4..sound.len() - b"\xfd7zXZ the payload".len() {
        let (packages, result) = read_file(&sound[..cut]);
        assert!(packages.is_empty());
        assert_eq!(result.expect_err("is refused").to_string(), "rpm: the file is cut off");
    }
    let check = |at: usize, value: &[u8], expected: &str| {
        let mut bytes = sound.clone();
        bytes[at..at + value.len()].copy_from_slice(value);
        assert_eq!(read_file(&bytes).1.expect_err("is refused").to_string(), expected);
    };
    check(96, b"\x1f\x8b", "rpm: a header has another magic");
    check(104, &[0xff; 4], "rpm: a header is longer than 67108864 bytes");
    check(108, &[0xff; 4], "rpm: a header is longer than 67108864 bytes");
    // Promised and not there.
    check(108, &[1, 0, 0, 0], "rpm: the file is cut off");
    assert!(
        read_file(b"no package, whatever it is named ............................................................")
            .1
            .is_ok()
    );
    assert!(read_file(b"").1.is_ok());
}

proptest! {
    #[test]
    fn headers_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        _ = read(&sqlite(&[bytes]));
    }

    #[test]
    fn mutations_never_panic(format in 0_usize..6, at: prop::sample::Index, value: [u8; 4], cut: prop::sample::Index) {
        let (_, mut bytes) = all_formats(&[header(&quux()), long("long")]).swap_remove(format);
        let at = at.index(bytes.len() - 4);
        bytes[at..at + 4].copy_from_slice(&value);
        _ = read(&bytes);
        bytes.truncate(cut.index(bytes.len()));
        _ = read(&bytes);
    }

    #[test]
    fn mutated_files_never_panic(at: prop::sample::Index, value: [u8; 4]) {
        let mut bytes = package_file(0, &quux());
        let at = at.index(bytes.len() - 4);
        bytes[at..at + 4].copy_from_slice(&value);
        _ = read_file(&bytes);
    }
}
