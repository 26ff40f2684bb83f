//! Layers and images that were made to do harm: each is refused with its reason, or costs nothing but itself.

use std::io::Write as _;
use std::os::unix::fs::symlink;

use supercargo_index::{EntryKind, ErrorKind, Indexer, LayerIndex, Limits, VisibleKind, visible_entries};
use supercargo_testkit::{ImageBuilder, Layer};

use crate::archive::{END, checksum, file, header, octal, padded, paths, pax, read, read_within};
use crate::support::{dpkg, dpkg_status, index, packages};

/// Asserts that a layer is refused, and for which reason.
#[track_caller]
fn refused(bytes: &[u8], kind: ErrorKind, words: &str) {
    let error = read(bytes).expect_err("is refused");
    assert_eq!(error.kind(), kind, "{error}");
    assert!(error.to_string().contains(words), "{error}");
    assert!(!error.is_retryable(), "{error}");
}

/// A gzip member.
fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    packer.write_all(bytes).expect("in memory");
    packer.finish().expect("in memory")
}

fn tar_of(entries: &[Vec<u8>]) -> Vec<u8> {
    [entries.concat(), END.to_vec()].concat()
}

/// A GNU extension header.
fn gnu(kind: u8, contents: &[u8]) -> Vec<u8> {
    let mut block = header("././@LongLink", kind, &octal(contents.len()));
    block[257..265].copy_from_slice(b"ustar  \0");
    checksum(&mut block);
    [block, padded(contents)].concat()
}

fn link(path: &str, kind: u8, target: &str) -> Vec<u8> {
    let mut block = header(path, kind, &octal(0));
    block[157..157 + target.len()].copy_from_slice(target.as_bytes());
    checksum(&mut block);
    block
}

/// What a container of these layers sees: paths, links with their targets.
fn seen(layers: &[Vec<u8>]) -> Vec<String> {
    let layers: Vec<LayerIndex> = layers.iter().map(|layer| read(layer).expect("is read")).collect();
    let mut seen: Vec<_> = visible_entries(&layers)
        .into_iter()
        .map(|entry| match entry.kind {
            VisibleKind::Symlink(target) => format!("{} -> {target}", entry.path),
            VisibleKind::Directory => format!("{}/", entry.path),
            _ => entry.path,
        })
        .collect();
    seen.sort();
    seen
}

fn debs(layer: Layer) -> Vec<String> {
    packages(&index(ImageBuilder::new().with_layer(layer, "step").build()).expect("is indexed"), "deb")
}

#[test]
fn bombs_end_at_the_ratio() {
    let zeroes = vec![0; 100 << 20];
    refused(&gzip(&zeroes), ErrorKind::LimitExceeded, "(inflation_ratio)");
    // Many small members: no one of them is a bomb.
    let member = gzip(&zeroes[..1 << 20]);
    refused(&member.repeat(100), ErrorKind::LimitExceeded, "(inflation_ratio)");
    let packed = zstd::bulk::compress(&zeroes, 19).expect("in memory");
    refused(&packed, ErrorKind::LimitExceeded, "(inflation_ratio)");
    let frame = zstd::bulk::compress(&zeroes[..1 << 20], 19).expect("in memory");
    refused(&frame.repeat(100), ErrorKind::LimitExceeded, "(inflation_ratio)");
}

#[test]
fn a_zstd_window_that_takes_the_memory_is_refused() {
    // Magic, no content size, a window descriptor of 2^(10 + 21); then an empty last block.
    let frame = [0x28, 0xb5, 0x2f, 0xfd, 0x00, 21 << 3, 0x01, 0x00, 0x00];
    refused(&frame, ErrorKind::LimitExceeded, "2^27 bytes (zstd_window_log)");
    // The largest that may be is read.
    let frame = [0x28, 0xb5, 0x2f, 0xfd, 0x00, 17 << 3, 0x01, 0x00, 0x00];
    assert!(read(&frame).expect("is read").entries.is_empty());
}

#[test]
fn one_compression_is_taken_off_and_no_other() {
    let tar = tar_of(&[file("a", b"x")]);
    assert_eq!(paths(&read(&gzip(&tar)).expect("is read")), ["a"]);
    refused(&gzip(&gzip(&tar)), ErrorKind::Malformed, "ends within a header");
    refused(&gzip(&gzip(&vec![1; 64 << 10]).repeat(20)), ErrorKind::Malformed, "checksum");
    refused(b"\xfd7zXZ\0\0\x04rest of it, of some length", ErrorKind::Unsupported, "xz compression is not supported");
    refused(b"BZh91AY&SY and the rest of it", ErrorKind::Unsupported, "bzip2 compression is not supported");
}

#[test]
fn cut_streams_are_told() {
    let noise: Vec<u8> = (0..60_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let tar = tar_of(&[file("a", &noise), file("b", b"x")]);
    let packed = gzip(&tar);
    // Its digest is right: it was pushed so. (One that was cut on the way has another: see `image.rs`.)
    refused(&packed[..packed.len() / 2], ErrorKind::Malformed, "inflate it");
    refused(&packed[..packed.len() - 4], ErrorKind::Malformed, "inflate it");
    let packed = zstd::bulk::compress(&tar, 3).expect("in memory");
    refused(&packed[..packed.len() / 2], ErrorKind::Malformed, "inflate it");
    refused(&tar[..tar.len() / 2], ErrorKind::Malformed, "ends within a file");
    // In a file that is wanted, too.
    let database = file("var/lib/dpkg/status", dpkg_status(&[("bash", "5")]).as_bytes());
    refused(&database[..560], ErrorKind::Malformed, "ends within a file");
    // A wrong checksum of gzip's, right at the end.
    let mut packed = gzip(&tar);
    let last = packed.len() - 8;
    packed[last] ^= 1;
    refused(&packed, ErrorKind::Malformed, "inflate it");
}

#[test]
fn what_follows_an_archive_is_no_part_of_it() {
    let tar = tar_of(&[file("a", b"x")]);
    let hidden = file("hidden", b"y");
    let after = [tar.clone(), vec![7; 5000], hidden.clone(), END.to_vec()].concat();
    assert_eq!(paths(&read(&after).expect("is read")), ["a"]);
    // gzip's own members belong together, whatever tar ends in the first; bytes after the last are no member.
    assert_eq!(paths(&read(&[gzip(&tar), gzip(&hidden)].concat()).expect("is read")), ["a"]);
    refused(&[gzip(&tar), b"garbage".to_vec()].concat(), ErrorKind::Malformed, "inflate it");
}

#[test]
fn no_name_leads_out() {
    let deep = "d/".repeat(4096) + "name";
    let odd = gnu(b'L', b"caf\xe9/\xff\0after");
    let tar = tar_of(&[
        file("../../etc/x", b"x"),
        file("/abs", b"x"),
        file("a/../../../b", b"x"),
        file("C:\\windows\\x", b"x"),
        file("..\\..\\x", b"x"),
        odd,
        file("short", b"x"),
        pax(&[("path", &deep)]),
        file("short", b"x"),
        file("..", b"x"),
        file("/", b"x"),
    ]);
    let layer = read(&tar).expect("is read");
    let expected = ["etc/x", "abs", "b", "C:\\windows\\x", "..\\..\\x", "caf\u{fffd}/\u{fffd}", &deep];
    assert_eq!(paths(&layer), expected);
    assert_eq!(visible_entries(&[layer]).iter().filter(|entry| entry.kind == VisibleKind::Directory).count(), 4096 + 2);
    refused(
        &tar_of(&[pax(&[("path", "a\0b")]), file("short", b"x")]),
        ErrorKind::Malformed,
        "a PAX header's name is wrong",
    );
    let long = "d".repeat((16 << 10) + 1);
    for extension in [pax(&[("path", &long)]), gnu(b'L', long.as_bytes()), gnu(b'K', long.as_bytes())] {
        refused(&tar_of(&[extension, file("short", b"x")]), ErrorKind::LimitExceeded, "16384 (path_length)");
    }
}

#[test]
fn deep_trees_are_built_and_taken_down() {
    let deep = "d/".repeat(8000) + "name";
    let layers = [tar_of(&[pax(&[("path", &deep)]), file("x", b"x")]), tar_of(&[file("d/.wh..wh..opq", b"")])];
    assert_eq!(seen(&layers), ["d/"]);
}

#[test]
fn what_stands_behind_a_link_stays_inside() {
    let through = tar_of(&[link("x", b'2', "/etc"), file("x/passwd", b"x")]);
    assert_eq!(seen(&[through]), ["etc/", "etc/passwd", "x -> /etc"]);
    let up = tar_of(&[link("x", b'2', "../../../.."), file("x/y", b"x")]);
    assert_eq!(seen(&[up]), ["x -> ../../../..", "y"]);
    // The link's own name, taken by something else.
    let replaced = tar_of(&[link("x", b'2', "/etc"), file("x", b"x"), file("x/passwd", b"y")]);
    assert_eq!(seen(&[replaced]), ["x/", "x/passwd"]);
    let directory = tar_of(&[link("x", b'2', "/etc"), header("x/", b'5', &octal(0)), file("x/passwd", b"y")]);
    assert_eq!(seen(&[directory]), ["x/", "x/passwd"]);
}

#[test]
fn hard_links_have_their_targets_in_the_image() {
    for target in ["../../../etc/passwd", "/proc/self/environ", "/dev/zero", "missing", "."] {
        let layer = Layer::new().file("a", "x").hard_link("var/lib/dpkg/status", target);
        assert!(debs(layer).is_empty(), "{target}");
    }
    let outside = tar_of(&[link("a", b'1', "../../../../proc/self/environ")]);
    let layer = read(&outside).expect("is read");
    assert_eq!(layer.entries.get(0).expect("is there").kind, EntryKind::HardLink("proc/self/environ"));
    assert_eq!(seen(&[outside]), Vec::<String>::new());
    // A link to a link, and one to itself.
    let circle = tar_of(&[link("a", b'1', "b"), link("b", b'1', "a"), link("c", b'1', "c")]);
    assert_eq!(seen(&[circle]), Vec::<String>::new());
}

#[test]
fn a_database_that_links_to_the_host_is_not_read() {
    let folder = tempfile::tempdir().expect("a folder");
    let outside = folder.path().join("outside");
    std::fs::write(&outside, dpkg_status(&[("secret", "1")])).expect("is written");
    let targets = ["/etc/shadow", "/dev/zero", "../../../../../../../dev/zero", outside.to_str().expect("UTF-8")];
    for target in targets {
        assert!(debs(Layer::new().symlink("var/lib/dpkg/status", target)).is_empty(), "{target}");
        // The same in a folder of the file system, where the link would lead somewhere.
        let root = tempfile::tempdir().expect("a folder");
        std::fs::create_dir_all(root.path().join("var/lib/dpkg")).expect("is made");
        symlink(target, root.path().join("var/lib/dpkg/status")).expect("is made");
        symlink("/", root.path().join("host")).expect("is made");
        let metadata = Indexer::new().index_directory(root.path()).expect("is indexed");
        assert_eq!(metadata.packages.len(), 0, "{target}");
    }
}

#[test]
fn links_in_circles_lead_nowhere() {
    let circle = || Layer::new().symlink("a", "b").symlink("b", "a").symlink("var/lib/dpkg", "/a");
    assert!(debs(circle()).is_empty());
    assert!(debs(circle().file("var/lib/dpkg/status", dpkg_status(&[("bash", "5")]))).is_empty());
    assert!(debs(Layer::new().symlink("var/lib/dpkg/status", "status")).is_empty());
    // Each link doubles the work, if it is let.
    let doubling = (0..60).fold(dpkg(&[("bash", "5")]), |layer, n| {
        layer.symlink(format!("l{n}"), format!("l{next}/l{next}", next = n + 1))
    });
    assert_eq!(debs(doubling.symlink("l60", ".").symlink("opt/status", "/l0/var/lib/dpkg/status")), ["bash 5 @0"]);
}

#[test]
fn one_size_counts_for_every_reader() {
    // A PAX record that says less than the header: what it leaves over is not skipped, as Go's reader does not.
    let hidden = file("hidden", b"x");
    let tar =
        tar_of(&[pax(&[("size", "0")]), header("outer", b'0', &octal(hidden.len())), hidden, file("after", b"y")]);
    let layer = read(&tar).expect("is read");
    assert_eq!(paths(&layer), ["outer", "hidden", "after"]);
    assert_eq!(layer.entries.get(0).expect("is there").size, 0);
    // The last of several counts; one taken back leaves the header's.
    let again = [(vec![("size", "512"), ("size", "1")], 1), (vec![("size", "1"), ("size", "")], 3)];
    for (records, size) in again {
        let layer = read(&tar_of(&[pax(&records), header("a", b'0', &octal(3)), padded(b"abc")])).expect("is read");
        assert_eq!(layer.entries.get(0).expect("is there").size, size);
    }
}

#[test]
fn broken_extension_headers_are_refused() {
    let extension =
        |kind: u8, body: &[u8]| tar_of(&[header("x", kind, &octal(body.len())), padded(body), file("a", b"x")]);
    let record = "a PAX header's record is wrong";
    for body in [
        "",
        "path=a\n",
        "0 path=a\n",
        "4 a\n",
        "99 path=a\n",
        "9 path=ab",
        "10 =abcde\n",
        "-9 path=a\n",
        "18446744073709551616 path=a\n",
        "9 path\na\n\n",
        " 9 path=a\n",
    ] {
        match body {
            "" => assert_eq!(paths(&read(&extension(b'x', b"")).expect("is read")), ["a"]),
            body => refused(&extension(b'x', body.as_bytes()), ErrorKind::Malformed, record),
        }
    }
    let number = "a PAX header's number is wrong";
    for size in ["-1", "9223372036854775808", "1e9", "0x10", "1 ", "१"] {
        refused(&tar_of(&[pax(&[("size", size)]), file("a", b"x")]), ErrorKind::Malformed, number);
    }
    // Longer than anything can be, and one to the end of the archive.
    refused(
        &tar_of(&[pax(&[("size", "9223372036854775807")]), file("a", b"x")]),
        ErrorKind::Malformed,
        "ends within a file",
    );
    refused(&tar_of(&[gnu(b'L', b"name")]), ErrorKind::Malformed, "ends after an extension header");
    let cut = [header("././@LongLink", b'L', &octal(700)), vec![b'x'; 512]].concat();
    refused(&cut, ErrorKind::Malformed, "the archive ends within a file");
    // Without its NUL, empty, and twice: the last counts.
    let tar = tar_of(&[gnu(b'L', b"first"), gnu(b'L', b"second"), file("a", b"x"), gnu(b'L', b""), file("b", b"x")]);
    assert_eq!(paths(&read(&tar).expect("is read")), ["second"]);
    // A gibibyte is never asked for.
    for kind in [b'x', b'L', b'K'] {
        let large = header("x", kind, &octal(1 << 30));
        refused(&large, ErrorKind::LimitExceeded, "1073741824 bytes is over 1048576 (extension_header)");
    }
}

#[test]
fn holes_cost_nothing() {
    let sparse = |path: &str, stored: &[u8], size: u64| {
        let mut block = header(path, b'S', &octal(stored.len()));
        block[257..265].copy_from_slice(b"ustar  \0");
        block[386..398].copy_from_slice(b"00000000000\0");
        block[398..409].copy_from_slice(&octal(stored.len()));
        block[483] = 0x80;
        block[487..495].copy_from_slice(&size.to_be_bytes());
        checksum(&mut block);
        [block, padded(stored)].concat()
    };
    // Wanted as a whole, wanted as a stream, wanted by several: 8 EiB of zeroes are read by nobody.
    let exbibytes = i64::MAX as u64;
    let tar = tar_of(&[
        sparse("var/lib/dpkg/status", b"Package: a\n", exbibytes),
        sparse("usr/bin/consul", b"\x7fELF", exbibytes),
        sparse("opt/app.jar", b"PK\x03\x04", exbibytes),
        file("lib/apk/db/installed", b"P:small\nV:1-r0\nA:x86_64\n\n"),
    ]);
    let layer = read(&tar).expect("is read");
    let mut skipped: Vec<_> = layer.skipped.iter().map(|skipped| skipped.path.as_str()).collect();
    skipped.dedup();
    assert_eq!(skipped, ["var/lib/dpkg/status", "usr/bin/consul", "opt/app.jar"]);
    assert!(layer.skipped.iter().all(|skipped| skipped.reason.contains("bytes of holes")), "{:?}", layer.skipped);
    assert_eq!(layer.findings.len(), 1, "what is beside them is found");
    // A thousand files of 90 MiB each, in a megabyte.
    let many: Vec<_> = (0..1000).map(|n| sparse(&format!("opt/{n}.jar"), b"PK\x03\x04", 90 << 20)).collect();
    let layer = read(&tar_of(&many)).expect("is read");
    assert!(layer.skipped.iter().filter(|skipped| skipped.reason.contains("bytes of holes")).count() >= 999);
    // More fragments than any honest file has, and such as overlap.
    let pairs = |pairs: &str| tar_of(&[pax(&[("GNU.sparse.size", "9"), ("GNU.sparse.map", pairs)]), file("a", b"x")]);
    refused(&pairs("5,1,4,1"), ErrorKind::Malformed, "a sparse map is wrong");
    refused(&pairs("9223372036854775807,9223372036854775807"), ErrorKind::Malformed, "a sparse map is wrong");
    refused(&pairs("0,0,".repeat(70_000).trim_end_matches(',')), ErrorKind::Malformed, "fragments");
}

#[test]
fn entries_without_end_are_refused() {
    let tar = tar_of(&vec![file("a", b""); 1001]);
    let mut limits = Limits::default();
    limits.entries = 1000;
    let error = read_within(&tar, &limits).expect_err("is refused");
    assert_eq!(error.kind(), ErrorKind::LimitExceeded);
    assert!(error.to_string().ends_with("the layer has more than 1000 entries (entries)"), "{error}");
    // Headers that are no entries count as well.
    let extensions = tar_of(&vec![pax(&[("comment", "x")]); 1001]);
    assert_eq!(read_within(&extensions, &limits).expect_err("is refused").kind(), ErrorKind::LimitExceeded);
}

#[test]
fn devices_are_names_and_nothing_else() {
    let mut set_user_id = file("bin/su", b"x");
    set_user_id[100..107].copy_from_slice(b"0006777");
    checksum(&mut set_user_id[..512]);
    let tar = tar_of(&[
        header("var/lib/dpkg/status", b'3', &octal(0)),
        header("lib/apk/db/installed", b'6', &octal(4096)),
        header("dev/sda", b'4', &octal(0)),
        header("strange", b'Z', &octal(0)),
        set_user_id,
    ]);
    let layer = read(&tar).expect("is read");
    let kinds: Vec<_> = layer.entries.iter().map(|entry| entry.kind).collect();
    assert_eq!(&kinds[..3], [EntryKind::Special; 3]);
    assert_eq!(kinds[4], EntryKind::File);
    assert!(layer.findings.is_empty() && layer.skipped.is_empty());
    // In a folder, opening one would wait for ever.
    let root = tempfile::tempdir().expect("a folder");
    let database = root.path().join("var/lib/dpkg");
    std::fs::create_dir_all(&database).expect("is made");
    let made = std::process::Command::new("mkfifo").arg(database.join("status")).status().expect("mkfifo is there");
    assert!(made.success());
    let _socket = std::os::unix::net::UnixListener::bind(root.path().join("package.json")).expect("is bound");
    assert_eq!(Indexer::new().index_directory(root.path()).expect("is indexed").packages.len(), 0);
}

#[test]
fn whiteouts_hide_what_is_below_and_no_more() {
    let below = tar_of(&[file("a/b", b"x"), file("a/c", b"x"), file("d", b"x"), file("a/.wh..wh", b"x")]);
    let check = |above: &[Vec<u8>], expected: &[&str]| assert_eq!(seen(&[below.clone(), tar_of(above)]), expected);
    let all = ["a/", "a/b", "a/c", "d"];
    check(&[], &all);
    check(&[file("a/.wh.b", b"")], &["a/", "a/c", "d"]);
    check(&[file("a/.wh..wh..opq", b"")], &["a/", "d"]);
    check(&[file(".wh..wh..opq", b""), file("new", b"x")], &["new"]);
    check(&[file("a/c", b"x"), file("a/.wh..wh..opq", b"")], &["a/", "a/c", "d"]);
    check(&[file("../.wh.d", b"")], &["a/", "a/b", "a/c"]);
    check(&[file("a/../.wh.d", b"")], &["a/", "a/b", "a/c"]);
    // What names nothing hides nothing: not the directory, not its parent, not the root.
    check(&[file("a/.wh.", b"")], &all);
    check(&[file("a/.wh..", b"")], &all);
    check(&[file("a/.wh...", b"")], &all);
    check(&[file("a/.wh..wh.plnk", b"")], &all);
    check(&[file(".wh.missing", b""), file("missing/.wh.x", b""), file("missing/.wh..wh..opq", b"")], &all);
    // Its name makes the whiteout, not its type; a directory of such a name is one too.
    check(&[link("a/.wh.b", b'2', "/"), header(".wh.d", b'3', &octal(0))], &["a/", "a/c"]);
    // Through a link, inside the tree.
    check(&[link("l", b'2', "/a"), file("l/.wh.b", b"")], &["a/", "a/b", "a/c", "d", "l -> /a"]);
    let linked = [below.clone(), tar_of(&[link("l", b'2', "../../a")]), tar_of(&[file("l/.wh.b", b"")])];
    assert_eq!(seen(&linked), ["a/", "a/c", "d", "l -> ../../a"]);
}

#[test]
fn the_last_of_two_entries_counts() {
    let database = |name: &str| file("var/lib/dpkg/status", dpkg_status(&[(name, "1")]).as_bytes());
    let names = |tar: &[u8]| {
        let layer = read(tar).expect("is read");
        layer.findings.iter().flat_map(|found| &found.packages).map(|one| one.name.clone()).collect::<Vec<_>>()
    };
    assert_eq!(names(&tar_of(&[database("first"), database("second")])), ["second"]);
    assert_eq!(names(&tar_of(&[database("first"), link("var/lib/dpkg/status", b'2', "/x")])), [""; 0]);
    // One path in two spellings.
    let other = file("./var//lib/x/../dpkg/status", dpkg_status(&[("second", "1")]).as_bytes());
    assert_eq!(names(&tar_of(&[database("first"), other])), ["second"]);
}

#[test]
fn a_configuration_that_lies_about_its_size_is_harmless() {
    let image = ImageBuilder::new().with_layer(dpkg(&[("bash", "5")]), "step").build();
    let mut manifest: serde_json::Value = serde_json::from_slice(&image.manifest.bytes).expect("parses");
    manifest["config"]["size"] = u64::MAX.into();
    let source = crate::support::KitSource::new(image).with_manifest(manifest.to_string());
    let metadata = crate::support::run(Indexer::new().index(&source));
    let size = metadata.map(|metadata| metadata.image().map(|image| image.size));
    assert!(size.is_ok_and(|size| size == Some(u64::MAX)));
}
