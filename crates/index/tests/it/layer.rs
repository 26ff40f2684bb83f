//! Single layers: the tar reader sees what a container runtime sees, within limits.

use supercargo_index::{EntryKind, ErrorKind, Limits};

use crate::archive::{END, checksum, file, header, octal, padded, paths, pax, read, read_within, sparse};

#[test]
fn a_pax_size_counts_and_not_the_header_s() {
    // Taken by the header's size, the second header would be the first file's contents, and `hidden` would be seen.
    let inner = file("hidden", b"x");
    let tar = [
        pax(&[("size", &inner.len().to_string())]),
        header("outer", b'0', &octal(0)),
        inner,
        file("after", b"y"),
        END.to_vec(),
    ]
    .concat();
    assert_eq!(paths(&read(&tar).expect("is read")), ["outer", "after"]);
}

#[test]
fn global_headers_and_whatever_follows_the_end_are_ignored() {
    let global = {
        let body = b"19 path=elsewhere\n\n";
        [header("g", b'g', &octal(body.len())), padded(body)].concat()
    };
    let tar = [global, file("a", b"1"), END.to_vec(), file("b", b"2"), END.to_vec()].concat();
    assert_eq!(paths(&read(&tar).expect("is read")), ["a"]);
}

#[test]
fn names_longer_than_a_header_are_read_in_every_form() {
    let long = "d/".repeat(120) + "name";
    for mode in [tar::HeaderMode::Complete, tar::HeaderMode::Deterministic] {
        let mut builder = tar::Builder::new(Vec::new());
        builder.mode(mode);
        let mut header = tar::Header::new_gnu();
        header.set_size(1);
        builder.append_data(&mut header, &long, &b"x"[..]).expect("in memory");
        let mut link = tar::Header::new_gnu();
        link.set_entry_type(tar::EntryType::Symlink);
        link.set_size(0);
        builder.append_link(&mut link, "link", &long).expect("in memory");
        let layer = read(&builder.into_inner().expect("in memory")).expect("is read");
        let entries: Vec<_> = layer.entries.iter().collect();
        assert_eq!(entries[0].path, long);
        assert_eq!(entries[1].kind, EntryKind::Symlink(&long));
    }
    let tar =
        [pax(&[("path", &long), ("linkpath", "target")]), header("short", b'2', &octal(0)), END.to_vec()].concat();
    let layer = read(&tar).expect("is read");
    assert_eq!(layer.entries.get(0).expect("is there").path, long);
    // ustar: prefix and name.
    let mut block = header("name", b'0', &octal(0));
    block[345..351].copy_from_slice(b"prefix");
    checksum(&mut block);
    assert_eq!(paths(&read(&[block, END.to_vec()].concat()).expect("is read")), ["prefix/name"]);
}

#[test]
fn sizes_beyond_octal_are_read() {
    let mut size = [0; 12];
    size[0] = 0x80;
    size[11] = 3;
    let tar = [header("a", b'0', &size), padded(b"abc"), file("b", b"x"), END.to_vec()].concat();
    let layer = read(&tar).expect("is read");
    assert_eq!(paths(&layer), ["a", "b"]);
    assert_eq!(layer.entries.get(0).expect("is there").size, 3);
    let negative = [header("a", b'0', &[0xff; 12]), END.to_vec()].concat();
    assert_eq!(read(&negative).expect_err("is refused").kind(), ErrorKind::Malformed);
}

#[test]
fn links_and_directories_have_no_contents_whatever_their_size() {
    let tar =
        [header("link", b'2', &octal(512)), file("a", b"x"), header("dir/", b'5', &octal(9)), END.to_vec()].concat();
    assert_eq!(paths(&read(&tar).expect("is read")), ["link", "a", "dir"]);
}

#[test]
fn sparse_files_are_read_with_their_holes() {
    let status = b"Package: bash\nStatus: install ok installed\nVersion: 5\nArchitecture: amd64\nMaintainer: x\n";
    let tar = [sparse("var/lib/dpkg/status", status, 4096), file("after", b"x"), END.to_vec()].concat();
    let layer = read(&tar).expect("is read");
    assert_eq!(paths(&layer), ["var/lib/dpkg/status", "after"]);
    assert_eq!(layer.entries.get(0).expect("is there").size, status.len() as u64 + 4096);
    assert_eq!(layer.findings[0].packages[0].name, "bash");

    let map = format!("1\n0\n{}\n", status.len());
    let contents = [padded(map.as_bytes()), status.to_vec()].concat();
    let tar = [
        pax(&[
            ("GNU.sparse.major", "1"),
            ("GNU.sparse.minor", "0"),
            ("GNU.sparse.name", "var/lib/dpkg/status"),
            ("GNU.sparse.realsize", &(status.len() + 100).to_string()),
        ]),
        header("GNUSparseFile.0/status", b'0', &octal(contents.len())),
        padded(&contents),
        file("after", b"x"),
        END.to_vec(),
    ]
    .concat();
    let layer = read(&tar).expect("is read");
    assert_eq!(paths(&layer), ["var/lib/dpkg/status", "after"]);
    assert_eq!(layer.findings[0].packages[0].name, "bash");
}

#[test]
fn paths_stay_within_the_root() {
    let tar = [file("../../etc/x", b"x"), file("/abs", b"x"), file("./a//b/../c", b"x"), file("./", b""), END.to_vec()]
        .concat();
    assert_eq!(paths(&read(&tar).expect("is read")), ["etc/x", "abs", "a/c"]);
}

#[test]
fn whiteouts_are_told_by_their_names() {
    let tar = [
        file("a/.wh.b", b""),
        file("a/.wh..wh..opq", b""),
        file(".wh..wh.plnk", b""),
        file("a/.wh.", b""),
        file("a/.wh...", b""),
        END.to_vec(),
    ]
    .concat();
    let layer = read(&tar).expect("is read");
    let entries: Vec<_> = layer.entries.iter().map(|entry| (entry.path, entry.kind)).collect();
    assert_eq!(entries, [("a/b", EntryKind::Whiteout), ("a", EntryKind::Opaque)]);
}

#[test]
fn what_is_no_archive_is_refused() {
    let check = |bytes: &[u8], words: &str| {
        let error = read(bytes).expect_err("is refused");
        assert_eq!(error.kind(), ErrorKind::Malformed, "{error}");
        assert!(error.to_string().contains(words), "{error}");
    };
    check(&[b'x'; 600], "checksum");
    check(&file("a", b"x")[..300], "ends within a header");
    check(&header("a", b'0', &octal(9)), "ends within a file");
    check(&[vec![0; 512], file("a", b"x")].concat(), "a zero block stands before a header");
    check(&pax(&[("path", "x")]), "ends after an extension header");
    check(&[pax(&[("size", "-1")]), header("a", b'0', &octal(0))].concat(), "number");
    check(&[0x1f, 0x8b, 8, 0, 1, 2, 3], "inflate");
    assert!(read(&[]).expect("an empty layer is one").entries.is_empty());
}

#[test]
fn limits_are_named() {
    let tar = [file("a", b"x"), file("b", b"x"), END.to_vec()].concat();
    let check = |bytes: &[u8], set: &dyn Fn(&mut Limits), name: &str| {
        let mut limits = Limits::default();
        set(&mut limits);
        let error = read_within(bytes, &limits).expect_err("is refused");
        assert_eq!(error.kind(), ErrorKind::LimitExceeded, "{error}");
        assert!(error.to_string().contains(name), "{error}");
    };
    check(&tar, &|limits| limits.entries = 1, "entries");
    check(&tar, &|limits| limits.layer_size = 1000, "layer_size");
    check(
        &[pax(&[("path", &"x".repeat(300))]), header("a", b'0', &octal(0))].concat(),
        &|l| l.path_length = 200,
        "path_length",
    );
    check(&pax(&[("comment", &"x".repeat(5000))]), &|limits| limits.extension_header = 4096, "extension_header");
    let mut bomb = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    std::io::copy(&mut std::io::Read::take(std::io::repeat(0), 100 << 20), &mut bomb).expect("in memory");
    let bomb = bomb.finish().expect("in memory");
    check(&bomb, &|limits| limits.inflation_ratio = 100, "inflation_ratio");
}

#[test]
fn a_file_that_is_too_large_to_hold_is_named_and_costs_nothing_else() {
    let status = |name: &str| {
        format!("Package: {name}\nStatus: install ok installed\nVersion: 5\nArchitecture: amd64\nMaintainer: x\n")
    };
    let large = status("large") + &"\n".repeat(9000);
    let tar = [
        file("var/lib/dpkg/status", large.as_bytes()),
        file("var/lib/dpkg/status.d/small", status("small").as_bytes()),
        END.to_vec(),
    ]
    .concat();
    let mut limits = Limits::default();
    limits.file_size = 4096;
    let layer = read_within(&tar, &limits).expect("is read");
    assert_eq!(layer.skipped.len(), 1);
    assert_eq!(layer.skipped[0].path, "var/lib/dpkg/status");
    assert!(layer.skipped[0].reason.contains("4096"), "{}", layer.skipped[0].reason);
    assert_eq!(layer.findings.iter().flat_map(|found| &found.packages).map(|p| &p.name).collect::<Vec<_>>(), ["small"]);
}

#[test]
fn a_file_that_is_too_large_to_hold_passes_by_all_who_want_it() {
    const SENTINELS: [&[u8]; 2] = [
        b"\x30\x77\xaf\x0c\x92\x74\x08\x02\x41\xe1\xc1\x07\xe6\xd6\x18\xe6",
        b"\xf9\x32\x43\x31\x86\x18\x20\x72\x00\x82\x42\x10\x41\x16\xd8\xf2",
    ];
    let modules = [SENTINELS[0], b"path\texample.org/x\ndep\texample.org/y\tv1.0.0\n", SENTINELS[1]].concat();
    let build_info =
        [b"\xff Go buildinf:\x08\x02".as_slice(), &[0; 16], b"\x08go1.22.1", &[modules.len() as u8], &modules];
    let program = [b"\x7fELF".as_slice(), &[0; 12], &build_info.concat(), b"\0v1.7.14\0", &[7; 3_000_000]].concat();
    let installed = "C:Q1x=\nP:small\nV:1-r0\nA:x86_64\n\n";
    let tar = [file("bin/consul", &program), file("lib/apk/db/installed", installed.as_bytes()), END.to_vec()].concat();
    let mut limits = Limits::default();
    limits.file_size = 4096;
    let layer = read_within(&tar, &limits).expect("is read");
    assert_eq!(layer.skipped, []);
    let packages = layer.findings.iter().flat_map(|found| &found.packages);
    let found: Vec<_> = packages.map(|package| format!("{} {}", package.name, package.version)).collect();
    for expected in ["y v1.0.0", "stdlib 1.22.1", "consul v1.7.14", "small 1-r0"] {
        assert!(found.iter().any(|found| found == expected), "{expected} of {found:?}");
    }
}
