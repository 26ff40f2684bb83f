//! The databases of operating systems.

use std::fmt::Write as _;

use super::Package;
use crate::Entry;

/// An os-release file (`man 5 os-release`).
pub fn os_release(id: &str, version: &str) -> String {
    let mut name = id.to_owned();
    if let Some(first) = name.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    format!(
        "PRETTY_NAME=\"{name} {version}\"\nNAME=\"{name}\"\nID={id}\nVERSION_ID=\"{version}\"\nHOME_URL=\"https://{id}.example/\"\n"
    )
}

/// The contents of `var/lib/dpkg/status`: one stanza per package, all installed.
pub fn dpkg_status(packages: &[Package]) -> String {
    let mut text = String::new();
    for package in packages {
        // Writing into a string does not fail.
        let _ = write!(
            text,
            "Package: {}\nStatus: install ok installed\nPriority: optional\nSection: misc\nInstalled-Size: 120\n\
             Maintainer: Kit <kit@example.com>\nArchitecture: {}\n",
            package.name, package.architecture
        );
        if let Some(source) = &package.source {
            let _ = writeln!(text, "Source: {source}");
        }
        let _ = write!(text, "Version: {}\nDescription: {}\n A second line.\n\n", package.version, package.description);
    }
    text
}

/// What dpkg keeps and installs beside its status for one package: the list of files, their
/// sums and the copyright file.
pub fn dpkg_info(package: &Package) -> Vec<Entry> {
    let name = &package.name;
    let copyright = format!(
        "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n\nFiles: *\nCopyright: the kit\nLicense: {}\n",
        package.license.as_deref().unwrap_or("MIT")
    );
    vec![
        Entry::file(
            format!("var/lib/dpkg/info/{name}.list"),
            format!("/.\n/usr\n/usr/share\n/usr/share/doc\n/usr/share/doc/{name}\n/usr/share/doc/{name}/copyright\n"),
        ),
        Entry::file(
            format!("var/lib/dpkg/info/{name}.md5sums"),
            format!("d41d8cd98f00b204e9800998ecf8427e  usr/share/doc/{name}/copyright\n"),
        ),
        Entry::file(format!("usr/share/doc/{name}/copyright"), copyright),
    ]
}

/// The contents of `lib/apk/db/installed` (Alpine's `APKINDEX` fields plus the files).
pub fn apk_installed(packages: &[Package]) -> String {
    let mut text = String::new();
    for package in packages {
        let architecture = if package.architecture == "amd64" { "x86_64" } else { &package.architecture };
        // Writing into a string does not fail.
        let _ = write!(
            text,
            "C:Q1AAAAAAAAAAAAAAAAAAAAAAAAAAA=\nP:{name}\nV:{version}\nA:{architecture}\nS:1024\nI:4096\nT:{description}\n\
             U:https://{name}.example/\nL:{license}\no:{origin}\nm:Kit <kit@example.com>\nt:1704067200\n\
             F:usr\nF:usr/share\nF:usr/share/{name}\nR:data\nZ:Q1AAAAAAAAAAAAAAAAAAAAAAAAAAA=\n\n",
            name = package.name,
            version = package.version,
            description = package.description,
            license = package.license.as_deref().unwrap_or("MIT"),
            origin = package.source.as_deref().unwrap_or(&package.name),
        );
    }
    text
}
