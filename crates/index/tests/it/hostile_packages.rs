//! Package files that were made to do harm. What belongs to one format alone is beside its parser; this is what holds
//! for several of them.

use std::time::{Duration, Instant};

use supercargo_index::{LayerIndex, license_expression};
use supercargo_testkit::{ImageBuilder, Layer};

use crate::archive::{END, file, read};
use crate::support::index;

fn layer(files: &[(&str, &[u8])]) -> LayerIndex {
    let entries: Vec<u8> = files.iter().flat_map(|(path, contents)| file(path, contents)).collect();
    read(&[entries, END.to_vec()].concat()).expect("is read")
}

/// `name version` of what is found in one file.
fn found(path: &str, contents: &[u8]) -> Vec<String> {
    let layer = layer(&[(path, contents)]);
    let packages = layer.findings.iter().flat_map(|found| &found.packages);
    packages.map(|package| format!("{} {}", package.name, package.version)).collect()
}

const DPKG: &str = "var/lib/dpkg/status";
const APK: &str = "lib/apk/db/installed";
const NPM: &str = "app/node_modules/quux/package.json";
const PYTHON: &str = "usr/lib/python3/dist-packages/quux-1.dist-info/METADATA";

#[test]
fn one_line_of_many_megabytes_is_a_line() {
    let long = "x".repeat(20 << 20);
    let started = Instant::now();
    let status = |line: &str| {
        format!(
            "Package: a\nStatus: install ok installed\n{line}\nVersion: 1\nMaintainer: m\nArchitecture: all\n\n\
                 Package: b\nStatus: install ok installed\nVersion: 2\nMaintainer: m\nArchitecture: all\n"
        )
    };
    assert_eq!(found(DPKG, status(&format!("Description: {long}")).as_bytes()), ["a 1", "b 2"]);
    assert_eq!(found(DPKG, status(&long).as_bytes()), ["a 1", "b 2"]);
    assert_eq!(found(APK, format!("P:a\nT:{long}\nV:1\nA:x\n\nP:b\nV:2\nA:x\n\n").as_bytes()), ["a 1", "b 2"]);
    assert_eq!(found(PYTHON, format!("Name: quux\nVersion: 1\nSummary: {long}\n\n").as_bytes()), ["quux 1"]);
    let json = format!(r#"{{"name":"quux","description":"{long}","version":"1.0.0"}}"#);
    assert_eq!(layer(&[(NPM, json.as_bytes())]).skipped.len(), 1, "larger than any manifest, and said so");
    assert!(started.elapsed() < Duration::from_secs(60), "took {:?}", started.elapsed());
}

#[test]
fn stanzas_without_their_fields_are_left_out() {
    let status = "Version: 1\nStatus: install ok installed\nMaintainer: m\n\nPackage: nameless\n\nPackage:\nVersion: 1\n\n\
                  Package: a\nStatus: install ok installed\nMaintainer: m\nVersion: 1\nArchitecture: all\n\n\
                  Package: a\nStatus: install ok installed\nMaintainer: m\nVersion: 1\nArchitecture: all\n\n\n\n\0\n";
    let image = ImageBuilder::new().with_layer(Layer::new().file(DPKG, status), "step").build();
    let metadata = index(image).expect("is indexed");
    // The same package twice is one.
    let purls: Vec<_> = metadata.packages.iter().map(|package| package.purl.as_str()).collect();
    assert_eq!(purls, ["pkg:deb/a@1?arch=all"]);
    assert_eq!(found(APK, b"V:1\n\nP:\nV:1\n\nP:a\nV:1\nA:x\n\nP:a"), ["a 1"]);
}

#[test]
fn marks_line_ends_and_zeroes_change_nothing() {
    let bom = "\u{feff}";
    assert_eq!(
        found(NPM, format!("{bom}{{\r\n\"name\":\"quux\",\r\n\"version\":\"1.0.0\"}}\r\n").as_bytes()),
        ["quux 1.0.0"]
    );
    assert_eq!(
        found(PYTHON, format!("{bom}Metadata-Version: 2.1\r\nName: quux\r\nVersion: 1\r\n\r\n").as_bytes()),
        ["quux 1"]
    );
    assert_eq!(
        found(
            DPKG,
            b"Package: a\r\nStatus: install ok installed\r\nVersion: 1\r\nMaintainer: m\r\nArchitecture: all\r\n"
        ),
        ["a 1"]
    );
    // What filled the block up is no part of it; a zero within is broken, and said so.
    assert_eq!(found(NPM, b"{\"name\":\"quux\",\"version\":\"1.0.0\"}\0\0"), ["quux 1.0.0"]);
    let layer = layer(&[(NPM, b"{\"name\":\"quux\",\0\"version\":\"1.0.0\"}")]);
    assert_eq!((layer.findings.len(), layer.skipped.len()), (0, 1));
    let deep =
        format!("{{\"name\":\"quux\",\"x\":{}{},\"version\":\"1.0.0\"}}", "[".repeat(200_000), "]".repeat(200_000));
    assert_eq!(found(NPM, deep.as_bytes()), ["quux 1.0.0"]);
}

#[test]
fn names_cannot_break_out_of_a_package_url() {
    let hostile =
        ["a@b", "a?arch=x", "a#sub/path", "a%2Fb", "a\nb", "../../a", "a b", "a:b@c", "é", "a\u{202e}b", "a&b=c"];
    for name in hostile {
        let json = serde_json::json!({ "name": name, "version": format!("1.0.0-{name}") }).to_string();
        let image = ImageBuilder::new().with_layer(Layer::new().file(NPM, json), "step").build();
        let metadata = index(image).expect("is indexed");
        // A name that npm would never take may be left out; it must not become another package's.
        for package in &metadata.packages {
            let parsed: packageurl::PackageUrl<'_> = package.purl.parse().expect("is a package URL");
            assert_eq!(parsed.ty(), "npm", "{name:?}: {}", package.purl);
            assert_eq!(parsed.qualifiers().len(), 0, "{name:?}: {}", package.purl);
            assert_eq!(parsed.subpath(), None, "{name:?}: {}", package.purl);
            assert!(!package.purl.contains(['\n', ' ', '\u{202e}']), "{:?}", package.purl);
            assert_eq!(parsed.version().map(ToString::to_string), Some(format!("1.0.0-{name}")), "{}", package.purl);
        }
    }
}

#[test]
fn entities_are_never_fetched() {
    let secret = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(secret.path(), "stolen").expect("is written");
    let pom = format!(
        "<?xml version=\"1.0\"?><!DOCTYPE project [<!ENTITY x SYSTEM \"file://{}\"><!ENTITY y \"yy\">]>\
         <project><groupId>org.example</groupId><artifactId>a</artifactId><version>&x;&y;1</version></project>",
        secret.path().display()
    );
    for path in ["app/pom.xml", "app/x.csproj", "app/packages.config", "app/x.nuspec", "app/Directory.Packages.props"] {
        let text = format!("{:?}", layer(&[(path, pom.as_bytes())]).findings);
        assert!(!text.contains("stolen"), "{path}: {text}");
    }
}

#[test]
fn sections_that_lie_are_not_believed() {
    // An ELF header that claims 65 535 sections of any size, anywhere.
    let mut elf = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x02\0\x3e\0\x01\0\0\0".to_vec();
    elf.resize(64, 0);
    elf[32..40].copy_from_slice(&64_u64.to_le_bytes());
    elf[40..48].copy_from_slice(&64_u64.to_le_bytes());
    elf[52..64].copy_from_slice(&[64, 0, 56, 0, 255, 255, 64, 0, 255, 255, 1, 0]);
    let mut lying = elf.clone();
    lying.extend([0xff; 65_536]);
    for bytes in [elf.clone(), lying, [elf, vec![0; 1 << 20]].concat()] {
        for path in ["usr/bin/program", "usr/bin/node", "usr/lib/libjvm.so"] {
            assert_eq!(found(path, &bytes), [""; 0], "{path}");
        }
    }
    // PE and Mach-O headers of nothing but ones.
    for magic in [b"MZ".as_slice(), b"\xcf\xfa\xed\xfe", b"\xca\xfe\xba\xbe", b"\0asm"] {
        for fill in [0xff, 0x7f, 1] {
            let bytes = [magic, &[fill; 70_000]].concat();
            assert_eq!(found("usr/bin/program.exe", &bytes), [""; 0]);
        }
    }
}

#[test]
fn licences_that_nest_are_no_work() {
    let nested = |depth: usize| format!("{}MIT{}", "(".repeat(depth), ")".repeat(depth));
    // Longer than any name of a licence: a text, of which nothing is made.
    assert_eq!(license_expression([nested(10_000).as_str()]), None);
    assert!(license_expression([nested(1000).as_str()]).is_some());
    let many = "MIT AND ".repeat(250) + "MIT";
    assert!(license_expression([many.as_str()]).is_some());
}
