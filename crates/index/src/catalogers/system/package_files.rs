//! Package files that lie in an image: what they hold is there, if packed, and some are about to be installed.
//!
//! | File | Form | Read |
//! | --- | --- | --- |
//! | `*.deb` | `ar` of `debian-binary`, `control.tar[.gz\|.xz\|.zst]`, `data.tar…` (deb(5)) | `control`, a stanza |
//! | `*.ipk` | gzip over `tar` of the same three (opkg); older ones are `ar` | `control`, a stanza |
//! | `*.apk` | gzip members: signature, control, data; each a part of one `tar` (apk-tools' apk-v2.5) | `.PKGINFO` |
//! | `*.pkg.tar.{zst,xz,gz}` | one `tar` (makepkg) | `.PKGINFO` |
//!
//! `.PKGINFO` has `key = value` lines. Rpm packages have a reader of their own. Android's `.apk` files are zip
//! archives, those of apk 3 begin with `ADB`: neither is read here.

use std::borrow::Cow;
use std::io::{self, Read};

use super::stanza::Stanzas;
use super::{opkg, unpack};
use crate::package::{Package, SourcePackage};
use crate::{Cataloger, Contents, File, Findings, Interest, Problem};

/// Bytes of a package file that are looked at: metadata stands in front. Debian's largest control archive, that of
/// the kernel's debug symbols, has 1 MiB.
const HEAD: u64 = 16 << 20;

/// Inflated bytes that are looked at. Checksums of all files may come before the metadata; those of the kernel's debug
/// symbols take 2 MiB.
const MOST_INFLATED: u64 = 16 << 20;

/// Bytes of the metadata itself.
const LONGEST_METADATA: u64 = 1 << 20;

/// Reads package files.
#[derive(Debug)]
pub(crate) struct PackageFiles;

impl Cataloger for PackageFiles {
    fn name(&self) -> &'static str {
        super::PACKAGE_FILE
    }

    fn version(&self) -> u32 {
        1
    }

    fn interest(&self) -> Interest {
        Interest::new()
            .path("**/*.deb")
            .path("**/*.ipk")
            .path("**/*.apk")
            .path("**/*.pkg.tar.zst")
            .path("**/*.pkg.tar.xz")
            .path("**/*.pkg.tar.gz")
    }

    fn catalog(&self, file: &File<'_>, contents: &mut Contents<'_>, findings: &mut Findings) -> Result<(), Problem> {
        let head = head(contents)?;
        let extension = file.name().rsplit('.').next().unwrap_or_default();
        let broken = |error: io::Error| Problem::malformed(format!("{extension} package: {error}"));
        let package = match extension {
            "deb" | "ipk" => {
                let Some(control) = control(&head).map_err(broken)? else { return Ok(()) };
                let stanza = Stanzas::of(&control).next();
                stanza.and_then(
                    |stanza| if extension == "deb" { stanza.debian_package() } else { opkg::package(&stanza) },
                )
            }
            "apk" if !head.starts_with(b"\x1f\x8b") => return Ok(()),
            _ => {
                let found = find(unpack::open(&*head).map_err(broken)?, ".PKGINFO").map_err(broken)?;
                let Some(info) = found else { return Ok(()) };
                let kind = if extension == "apk" { "apk" } else { "alpm" };
                package_info(kind, &String::from_utf8_lossy(&info))
            }
        };
        if let Some(package) = package {
            findings.package(Package { size: Some(file.size), ..package });
        }
        Ok(())
    }
}

/// The first bytes of the file, whether it is held or not.
fn head<'a>(contents: &mut Contents<'a>) -> Result<Cow<'a, [u8]>, Problem> {
    match contents.whole() {
        Ok(bytes) => Ok(Cow::Borrowed(bytes)),
        Err(_) => {
            let mut head = Vec::new();
            contents.take(HEAD).read_to_end(&mut head)?;
            Ok(Cow::Owned(head))
        }
    }
}

/// The `control` file of a Debian package, or of one of opkg's.
fn control(bytes: &[u8]) -> io::Result<Option<Vec<u8>>> {
    let found = if let Some(members) = bytes.strip_prefix(b"!<arch>\n") {
        ar_members(members).find(|(name, _)| name.starts_with(b"control.tar")).map(|(_, data)| Cow::Borrowed(data))
    } else if bytes.starts_with(b"\x1f\x8b") {
        find(unpack::open(bytes)?, "control.tar.gz")?.map(Cow::Owned)
    } else {
        None
    };
    found.map_or(Ok(None), |archive| find(unpack::open(&*archive)?, "control"))
}

/// The members of an `ar` archive, after its magic. The last may be cut short.
fn ar_members(mut rest: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    std::iter::from_fn(move || {
        let (header, data) = rest.split_at_checked(60)?;
        if header.get(58..)? != b"`\n" {
            return None;
        }
        let name = header.get(..16)?.trim_ascii();
        let size: usize = std::str::from_utf8(header.get(48..58)?).ok()?.trim().parse().ok()?;
        // Members begin at even places.
        rest = data.get(size.checked_add(size % 2)?..).unwrap_or_default();
        Some((name.strip_suffix(b"/").unwrap_or(name), data.get(..size).unwrap_or(data)))
    })
}

/// The file of this name at the top of a `tar` archive. The parts of apk's archive have no end marks between them,
/// those of others may be followed by more.
fn find(archive: impl Read, wanted: &str) -> io::Result<Option<Vec<u8>>> {
    let mut archive = archive.take(MOST_INFLATED);
    let mut header = [0; 512];
    loop {
        match archive.read_exact(&mut header) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
            Err(error) => return Err(error),
        }
        if header.iter().all(|&b| b == 0) {
            continue;
        }
        let Some(size) = tar_size(&header) else { return Ok(None) };
        let name = header.iter().take(100).position(|&b| b == 0).map_or(&header[..100], |end| &header[..end]);
        let name = name.strip_prefix(b"./").unwrap_or(name);
        if name == wanted.as_bytes() && matches!(header[156], 0 | b'0') {
            let mut found = Vec::new();
            // The control archive of an ipk is a file of an archive, too.
            let longest = if wanted.ends_with(".gz") { HEAD } else { LONGEST_METADATA };
            archive.take(size.min(longest)).read_to_end(&mut found)?;
            return Ok(Some(found));
        }
        let blocks = size.div_ceil(512).saturating_mul(512);
        io::copy(&mut (&mut archive).take(blocks), &mut io::sink())?;
    }
}

/// The size of an entry, if this is the header of one: its checksum says.
fn tar_size(header: &[u8; 512]) -> Option<u64> {
    let octal = |field: &[u8]| {
        let text = std::str::from_utf8(field).ok()?.trim_matches(['\0', ' ']);
        u64::from_str_radix(text, 8).ok()
    };
    let sum: u64 =
        header.iter().enumerate().map(|(at, &b)| u64::from(if (148..156).contains(&at) { b' ' } else { b })).sum();
    (octal(&header[148..156])? == sum).then(|| octal(&header[124..136]))?
}

fn package_info(kind: &str, text: &str) -> Option<Package> {
    let mut package = Package { kind: kind.to_owned(), ..Package::default() };
    let mut source = String::new();
    for line in text.lines() {
        let Some((key, value)) = line.split_once('=') else { continue };
        let (key, value) = (key.trim(), value.trim());
        if value.is_empty() || key.starts_with('#') {
            continue;
        }
        let value = value.to_owned();
        match key {
            "pkgname" => package.name = value,
            "pkgver" => package.version = value,
            "pkgdesc" => package.description = Some(value),
            "url" => package.url = Some(value),
            "arch" => _ = package.qualifiers.insert("arch".to_owned(), value),
            "size" => package.installed_size = value.parse().ok(),
            "maintainer" => package.author = Some(value),
            "packager" => package.author = package.author.or(Some(value)),
            "license" if package.licenses.len() < 256 => package.licenses.push(value),
            "origin" | "pkgbase" => source = value,
            _ => {}
        }
    }
    let invalid = |text: &str| text.is_empty() || text.contains(char::is_whitespace);
    if invalid(&package.name) || invalid(&package.version) {
        return None;
    }
    if !source.is_empty() {
        if source != package.name {
            package.qualifiers.insert("upstream".to_owned(), source.clone());
        }
        package.source = Some(SourcePackage { name: source, version: package.version.clone() });
    }
    Some(package)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use base64::Engine as _;
    use proptest::prelude::*;

    use super::*;

    fn read(path: &str, bytes: &[u8]) -> (Vec<Package>, Result<(), Problem>) {
        let file = File { path, size: bytes.len() as u64, executable: false };
        let mut findings = Findings::default();
        let result = PackageFiles.catalog(&file, &mut Contents::held(bytes), &mut findings);
        (findings.packages().to_vec(), result)
    }

    fn tar(entries: &[(&str, &[u8])]) -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        for (name, contents) in entries {
            let mut header = tar::Header::new_gnu();
            header.set_size(contents.len() as u64);
            // `set_path` would take the leading `./` off.
            header.as_mut_bytes()[..name.len()].copy_from_slice(name.as_bytes());
            header.set_cksum();
            builder.append(&header, *contents).unwrap();
        }
        builder.into_inner().unwrap()
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn ar(members: &[(&str, &[u8])]) -> Vec<u8> {
        let mut out = b"!<arch>\n".to_vec();
        for (name, data) in members {
            out.extend(
                format!("{name:<16}{:<12}{:<6}{:<6}{:<8}{:<10}`\n", 1_700_000_000, 0, 0, 100_644, data.len()).bytes(),
            );
            out.extend(*data);
            out.resize(out.len().next_multiple_of(2), b'\n');
        }
        out
    }

    const CONTROL: &[u8] = b"\
Package: quux
Source: quux-src (2.4.1-2)
Version: 1:2.4.1-3
Architecture: arm64
Maintainer: Ann Example <ann@example.org>
Installed-Size: 4
Description: quux, the tool
";

    /// `dpkg-deb --root-owner-group -Zxz -b` of dpkg 1.21.22, given the control file above.
    const DEB: &str = include_str!("package_files/quux.deb.base64");

    fn quux(size: usize) -> Package {
        Package {
            kind: "deb".into(),
            name: "quux".into(),
            version: "1:2.4.1-3".into(),
            qualifiers: [("arch".into(), "arm64".into()), ("upstream".into(), "quux-src@2.4.1-2".into())].into(),
            source: Some(SourcePackage { name: "quux-src".into(), version: "2.4.1-2".into() }),
            author: Some("Ann Example <ann@example.org>".into()),
            description: Some("quux, the tool".into()),
            installed_size: Some(4096),
            size: Some(size as u64),
            ..Package::default()
        }
    }

    #[test]
    fn reads_what_dpkg_deb_makes() {
        let packed: String = DEB.split_ascii_whitespace().collect();
        let bytes = base64::engine::general_purpose::STANDARD.decode(packed).unwrap();
        assert_eq!(read("var/cache/apt/archives/quux.deb", &bytes).0, [quux(bytes.len())]);
    }

    #[test]
    fn reads_debian_packages_of_every_compression() {
        let plain = tar(&[("./", b""), ("./md5sums", &[b'x'; 1000]), ("./control", CONTROL)]);
        let zstd = zstd::encode_all(&*plain, 3).unwrap();
        for (name, control) in
            [("control.tar", plain.clone()), ("control.tar.gz/", gzip(&plain)), ("control.tar.zst", zstd)]
        {
            let members: [(&str, &[u8]); 3] = [("debian-binary", b"2.0\n"), (name, &control), ("data.tar.xz", b"odd")];
            let bytes = ar(&members);
            let (found, result) = read("quux.deb", &bytes);
            assert!(result.is_ok(), "{name}: {result:?}");
            assert_eq!(found, [quux(bytes.len())], "{name}");
            // What does not come any more is not needed.
            assert_eq!(read("quux.deb", &bytes[..bytes.len() - 3]).0.len(), 1);
        }
    }

    #[test]
    fn a_file_too_large_to_hold_is_read_as_it_passes() {
        let bytes = ar(&[("debian-binary", b"2.0\n"), ("control.tar.gz", &gzip(&tar(&[("./control", CONTROL)])))]);
        let file = File { path: "quux.deb", size: 1 << 40, executable: false };
        let mut findings = Findings::default();
        let mut passing = (&*bytes).chain(io::repeat(0).take(1 << 10));
        PackageFiles.catalog(&file, &mut Contents::passing(&mut passing, file.size, 1), &mut findings).unwrap();
        assert_eq!(findings.packages(), [Package { size: Some(1 << 40), ..quux(0) }]);
    }

    const PKGINFO: &str = "\
# Generated by hand
pkgname = quux-libs
pkgver = 2.4.1-r3
pkgdesc = quux, the library
url = https://quux.example.org/
builddate = 1700000000
packager = Bob
maintainer = Ann Example <ann@example.org>
size = 4096
arch = aarch64
origin = quux
license = MIT AND Zlib
depend = so:libc.musl-aarch64.so.1
";

    #[test]
    fn reads_alpine_packages() {
        // The parts of apk's archive are cut before the blocks of zeroes that end a tar.
        let part = |entries: &[(&str, &[u8])]| {
            let tar = tar(entries);
            gzip(&tar[..tar.len() - 1024])
        };
        let signature = part(&[(".SIGN.RSA.ann.rsa.pub", b"signature")]);
        let control = part(&[(".PKGINFO", PKGINFO.as_bytes()), (".post-install", b"#!/bin/sh\n")]);
        let data = gzip(&tar(&[("usr/lib/libquux.so", b"code")]));
        let expected = |size: usize| Package {
            kind: "apk".into(),
            name: "quux-libs".into(),
            version: "2.4.1-r3".into(),
            qualifiers: [("arch".into(), "aarch64".into()), ("upstream".into(), "quux".into())].into(),
            source: Some(SourcePackage { name: "quux".into(), version: "2.4.1-r3".into() }),
            licenses: vec!["MIT AND Zlib".into()],
            author: Some("Ann Example <ann@example.org>".into()),
            description: Some("quux, the library".into()),
            url: Some("https://quux.example.org/".into()),
            size: Some(size as u64),
            installed_size: Some(4096),
            ..Package::default()
        };
        let signed = [&*signature, &control, &data].concat();
        assert_eq!(read("srv/quux.apk", &signed).0, [expected(signed.len())]);
        let unsigned = [&*control, &data].concat();
        assert_eq!(read("srv/quux.apk", &unsigned).0, [expected(unsigned.len())]);
    }

    #[test]
    fn reads_packages_of_pacman_and_opkg() {
        let info = "pkgname = quux\npkgbase = quux\npkgver = 1:2.4.1-3\narch = any\nlicense = MIT\nlicense = Zlib\n";
        let archive = tar(&[(".BUILDINFO", b"x"), (".MTREE", b"y"), (".PKGINFO", info.as_bytes()), ("usr/q", b"z")]);
        let found = read("quux-1:2.4.1-3-any.pkg.tar.zst", &zstd::encode_all(&*archive, 3).unwrap()).0.remove(0);
        assert_eq!((&*found.kind, &*found.name, &*found.version), ("alpm", "quux", "1:2.4.1-3"));
        assert_eq!(found.licenses, ["MIT", "Zlib"]);
        assert_eq!(found.qualifiers.get("upstream"), None);

        let control = gzip(&tar(&[("./control", CONTROL)]));
        let ipk = gzip(&tar(&[("./debian-binary", b"2.0\n"), ("./data.tar.gz", b""), ("./control.tar.gz", &control)]));
        let older = ar(&[("debian-binary", b"2.0\n"), ("control.tar.gz", &control)]);
        for bytes in [ipk, older] {
            let found = read("quux.ipk", &bytes).0.remove(0);
            assert_eq!((&*found.kind, &*found.name, &*found.version), ("opkg", "quux", "1:2.4.1-3"));
        }
    }

    #[test]
    fn what_is_no_package_holds_nothing() {
        let check = |path: &str, bytes: &[u8]| {
            let (found, result) = read(path, bytes);
            assert!(found.is_empty() && result.is_ok(), "{path}: {result:?}");
        };
        check("app.apk", b"PK\x03\x04");
        check("a.apk", b"ADBd");
        check("a.apk", &gzip(b"text"));
        check("a.apk", &gzip(&tar(&[("usr/.PKGINFO", b"pkgname = a\npkgver = 1\n")])));
        check("a.deb", b"");
        check("a.deb", b"!<arch>\n");
        check("a.deb", &ar(&[("x.o", b"\0")]));
        check("a.deb", &ar(&[("control.tar", &tar(&[("./control", b"Package: a\n")]))]));
        check("a.pkg.tar.gz", &gzip(&[0; 4096]));
        assert!(read("a.deb", &ar(&[("control.tar.gz", b"\x1f\x8b\x08broken....")])).1.is_err());
    }

    #[test]
    fn bombs_are_bounded() {
        let zeroes = zstd::encode_all(io::repeat(0).take(1 << 28), 1).unwrap();
        assert!(read("a.deb", &ar(&[("control.tar.zst", &zeroes)])).0.is_empty());
        let mut huge = tar(&[("./control", b"")]);
        huge[124..136].copy_from_slice(b"77777777777\0");
        assert!(read("a.deb", &ar(&[("control.tar", &huge)])).0.is_empty());
    }

    proptest! {
        #[test]
        fn mutations_never_panic(at: usize, byte: u8, cut: usize) {
            let mut bytes = ar(&[("debian-binary", b"2.0\n"), ("control.tar", &tar(&[("./control", CONTROL)]))]);
            let length = bytes.len();
            bytes[at % length] = byte;
            bytes.truncate(cut % length);
            let _ = read("a.deb", &bytes);
        }

        #[test]
        fn never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = read("a.deb", &[b"!<arch>\n", &*bytes].concat());
            let _ = read("a.apk", &[b"\x1f\x8b\x08\0", &*bytes].concat());
            let _ = read("a.apk", &gzip(&bytes));
        }
    }
}
