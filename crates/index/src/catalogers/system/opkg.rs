//! Packages of OpenWrt and of Yocto's images, from opkg's database.
//!
//! | File | Holds |
//! | --- | --- |
//! | `{usr,var}/lib/opkg/status` | a stanza per package opkg knows, as dpkg's |
//! | `{usr,var}/lib/opkg/info/<package>.control` | one stanza, the package's own, without `Status`; taken away with the package |
//!
//! The second holds what the first leaves out: licence, source, size, CPE name. Source: opkg's `libopkg/pkg_parse.c`,
//! OpenWrt's `include/package-pack.mk`.

use super::stanza::{Stanza, Stanzas, text};
use crate::catalogers::check_count;
use crate::package::{Package, SourcePackage};
use crate::{Cataloger, Contents, File, Findings, Interest, Problem};

/// Reads opkg's database.
#[derive(Debug)]
pub(crate) struct Opkg;

impl Cataloger for Opkg {
    fn name(&self) -> &'static str {
        "opkg"
    }

    fn version(&self) -> u32 {
        2
    }

    fn interest(&self) -> Interest {
        Interest::new().path("**/lib/opkg/status").path("**/lib/opkg/info/*.control")
    }

    fn catalog(&self, file: &File<'_>, contents: &mut Contents<'_>, findings: &mut Findings) -> Result<(), Problem> {
        let own = file.name().ends_with(".control");
        for stanza in Stanzas::of(contents.whole()?) {
            if stanza.is_installed(own)
                && let Some(package) = package(&stanza)
            {
                check_count(findings)?;
                findings.package(package);
            }
        }
        Ok(())
    }
}

/// The package of a stanza.
pub(super) fn package(stanza: &Stanza<'_>) -> Option<Package> {
    let mut package = stanza.common("opkg")?;
    // Bytes, where dpkg counts in KiB.
    package.installed_size = text(stanza.installed_size).parse().ok();
    package.licenses = licenses(&text(stanza.license));
    package.cpes.extend(cpe(&text(stanza.cpe_id), &package.version));
    let source = if stanza.source_name.is_empty() { stanza.source } else { stanza.source_name };
    let source = text(source);
    // OpenWrt: a path in its tree. Yocto: the recipe, `busybox_1.36.1.bb`.
    let source = source.strip_suffix(".bb").map_or(&*source, |recipe| recipe.split('_').next().unwrap_or(recipe));
    if !source.is_empty() && !source.contains(['/', ' ', ':']) {
        if source != package.name {
            package.qualifiers.insert("upstream".to_owned(), source.to_owned());
        }
        package.source = Some(SourcePackage { name: source.to_owned(), version: package.version.clone() });
    }
    Some(package)
}

/// OpenWrt parts several licences by spaces, Yocto writes an expression with `&` and `|`.
fn licenses(text: &str) -> Vec<String> {
    let text = text.trim();
    if text.contains(['&', '|', '(']) || [" AND ", " OR ", " WITH "].iter().any(|word| text.contains(word)) {
        return vec![text.to_owned()];
    }
    text.split([' ', ',']).filter(|word| !word.is_empty()).take(64).map(str::to_owned).collect()
}

/// OpenWrt's `cpe:/a:vendor:product` as a CPE 2.3 name with the version, less the release that OpenWrt appends.
fn cpe(id: &str, version: &str) -> Option<String> {
    let [part, vendor, product] = id.strip_prefix("cpe:/")?.splitn(3, ':').collect::<Vec<_>>().try_into().ok()?;
    let plain = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b));
    let upstream =
        version.rsplit_once("-r").or_else(|| version.rsplit_once('-')).map_or(version, |(upstream, _)| upstream);
    (matches!(part, "a" | "o" | "h") && plain(vendor) && plain(product) && plain(upstream))
        .then(|| format!("cpe:2.3:{part}:{vendor}:{product}:{upstream}:*:*:*:*:*:*:*"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::package::Requirement;

    fn read(path: &str, text: &[u8]) -> Vec<Package> {
        let file = File { path, size: text.len() as u64, executable: false };
        let mut findings = Findings::default();
        Opkg.catalog(&file, &mut Contents::held(text), &mut findings).expect("has no way to fail");
        findings.packages().to_vec()
    }

    /// Shaped as the packages of OpenWrt 23.05.
    const CONTROL: &str = "\
Package: quux-libs
Version: 2.4.1-3
Depends: libc, libfoo20240101
Source: package/libs/quux
SourceName: quux
License: MIT BSD-3-Clause
LicenseFiles: COPYING
Section: libs
URL: https://quux.example.org/
CPE-ID: cpe:/a:quux_project:quux
SourceDateEpoch: 1700000000
Maintainer: Ann Example <ann@example.org>
Architecture: aarch64_cortex-a53
Installed-Size: 4096
Description:  quux, the library
 more words
";

    #[test]
    fn reads_every_field() {
        let expected = Package {
            kind: "opkg".into(),
            name: "quux-libs".into(),
            version: "2.4.1-3".into(),
            qualifiers: [("arch".into(), "aarch64_cortex-a53".into()), ("upstream".into(), "quux".into())].into(),
            source: Some(SourcePackage { name: "quux".into(), version: "2.4.1-3".into() }),
            licenses: vec!["MIT".into(), "BSD-3-Clause".into()],
            author: Some("Ann Example <ann@example.org>".into()),
            cpes: vec!["cpe:2.3:a:quux_project:quux:2.4.1:*:*:*:*:*:*:*".into()],
            description: Some("quux, the library".into()),
            url: Some("https://quux.example.org/".into()),
            installed_size: Some(4096),
            requires: vec![Requirement::of("libc"), Requirement::of("libfoo20240101")],
            ..Package::default()
        };
        assert_eq!(read("usr/lib/opkg/info/quux-libs.control", CONTROL.as_bytes()), [expected]);
    }

    #[test]
    fn the_state_decides_in_the_status_file_only() {
        let check = |path: &str, status: &str, expected: bool| {
            let text = format!("Package: a\n{status}Version: 1\nArchitecture: all\n");
            assert_eq!(!read(path, text.as_bytes()).is_empty(), expected, "{path} {status:?}");
        };
        let (status, control) = ("var/lib/opkg/status", "var/lib/opkg/info/a.control");
        check(status, "Status: install ok installed\n", true);
        check(status, "Status: install user installed\n", true);
        check(status, "Status: deinstall ok not-installed\n", false);
        check(status, "Status: install ok unpacked\n", false);
        check(status, "Status: unknown ok not-installed\n", false);
        check(status, "", false);
        check(control, "", true);
    }

    #[test]
    fn stanzas_without_a_name_or_a_version_are_left_out() {
        let text = "Version: 1\nStatus: install ok installed\n\nPackage: a\nStatus: install ok installed\n\n\
            Package: b\nStatus: install ok installed\nVersion: 2024.10.20~252a9b0c-r1\n\n\n";
        let found = read("usr/lib/opkg/status", text.as_bytes());
        assert_eq!(found.len(), 1);
        assert_eq!((&*found[0].name, &*found[0].version), ("b", "2024.10.20~252a9b0c-r1"));
    }

    #[test]
    fn sources_are_named() {
        let check = |fields: &str, expected: Option<&str>| {
            let found = read("a.control", format!("Package: a\nVersion: 1\n{fields}").as_bytes()).remove(0);
            assert_eq!(found.source.map(|source| source.name).as_deref(), expected, "{fields}");
        };
        check("Source: feeds/base/package/libs/b\n", None);
        check("Source: feeds/base/package/libs/b\nSourceName: b\n", Some("b"));
        check("Source: b_1.2.bb\n", Some("b"));
        check("Source: git://example.org/b.git file://fix.patch\n", None);
        check("", None);
    }

    #[test]
    fn licences_and_cpes_are_read() {
        assert_eq!(licenses("GPL-2.0 & bzip2-1.0.4"), ["GPL-2.0 & bzip2-1.0.4"]);
        assert_eq!(licenses("GPL-2.0-only WITH Linux-syscall-note"), ["GPL-2.0-only WITH Linux-syscall-note"]);
        assert_eq!(licenses("GPL-2.0, MIT"), ["GPL-2.0", "MIT"]);
        assert_eq!(licenses(""), [""; 0]);
        let check = |id: &str, version: &str, expected: Option<&str>| {
            assert_eq!(cpe(id, version).as_deref(), expected, "{id} {version}");
        };
        check("cpe:/a:v:p", "1.36.1-r2", Some("cpe:2.3:a:v:p:1.36.1:*:*:*:*:*:*:*"));
        check("cpe:/a:v:p", "1", Some("cpe:2.3:a:v:p:1:*:*:*:*:*:*:*"));
        check("cpe:/a:v:p", "1~2", None);
        check("cpe:/a:v", "1", None);
        check("cpe:/x:v:p", "1", None);
        check("", "1", None);
    }

    proptest! {
        #[test]
        fn never_panics(text in proptest::collection::vec(any::<u8>(), 0..400)) {
            read("usr/lib/opkg/status", &text);
        }

        #[test]
        fn mutations_never_panic(at in 0..CONTROL.len(), byte: u8, cut in 0..CONTROL.len()) {
            let mut text = CONTROL.as_bytes().to_vec();
            text[at] = byte;
            text.truncate(cut);
            read("usr/lib/opkg/info/a.control", &text);
        }
    }
}
