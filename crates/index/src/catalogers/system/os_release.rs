//! The distribution, from os-release(5) or, in images too old or too odd to have one, from its predecessors.
//!
//! | File | Source of the format |
//! | --- | --- |
//! | `etc/os-release`, `usr/lib/os-release` | os-release(5): shell-compatible `NAME=value` lines |
//! | `etc/lsb-release` | `DISTRIB_*` assignments, same quoting |
//! | `etc/alpine-release` | the version alone |
//! | `etc/redhat-release` and its siblings | `<name> release <version> (<codename>)` |
//! | `etc/debian_version` | the point release, or `<codename>/sid` |

use std::borrow::Cow;

use crate::package::Distro;
use crate::{Cataloger, Contents, File, Findings, Interest, Problem};

/// The files that name the distribution, most telling first. `lsb-release` precedes `debian_version` because
/// Ubuntu ships both, the latter with Debian's words in it.
pub(crate) const PATHS: [&str; 8] = [
    "etc/os-release",
    "usr/lib/os-release",
    "etc/alpine-release",
    "etc/centos-release",
    "etc/redhat-release",
    "etc/system-release",
    "etc/lsb-release",
    "etc/debian_version",
];

/// Real files stay under 2 KiB; what follows in a longer one is not read.
const LONGEST: usize = 64 * 1024;

/// Reads the files of [`PATHS`].
#[derive(Debug)]
pub(crate) struct OsRelease;

impl Cataloger for OsRelease {
    fn name(&self) -> &'static str {
        "os-release"
    }

    fn version(&self) -> u32 {
        1
    }

    fn interest(&self) -> Interest {
        PATHS.into_iter().fold(Interest::new(), Interest::path)
    }

    fn catalog(&self, file: &File<'_>, contents: &mut Contents<'_>, findings: &mut Findings) -> Result<(), Problem> {
        let bytes = contents.whole()?;
        let text = String::from_utf8_lossy(&bytes[..bytes.len().min(LONGEST)]);
        let text = text.trim_start_matches('\u{feff}');
        let distro = match file.name() {
            "os-release" => os_release(text),
            "lsb-release" => lsb_release(text),
            "alpine-release" => alpine_release(text),
            "debian_version" => debian_version(text),
            _ => system_release(text),
        };
        if let Some(distro) = distro {
            findings.distro(distro);
        }
        Ok(())
    }
}

fn os_release(text: &str) -> Option<Distro> {
    let mut distro = Distro::default();
    let mut known = false;
    for (key, value) in assignments(text) {
        let value = value.trim();
        let optional = || (!value.is_empty()).then(|| value.to_owned());
        // A later assignment wins, as it would in a shell.
        match key {
            "ID" => distro.id = value.to_ascii_lowercase(),
            "VERSION_ID" => distro.version_id = value.to_owned(),
            "VERSION_CODENAME" => distro.version_codename = optional(),
            "ID_LIKE" => distro.id_like = value.split_ascii_whitespace().map(str::to_owned).collect(),
            "NAME" => distro.name = optional(),
            "PRETTY_NAME" => distro.pretty_name = optional(),
            "VARIANT_ID" => distro.variant_id = optional(),
            _ => continue,
        }
        known = true;
    }
    if !known {
        return None;
    }
    if distro.id.is_empty() {
        // os-release(5): "If not set, a default of ID=linux may be used."
        distro.id = "linux".to_owned();
    }
    Some(distro)
}

fn lsb_release(text: &str) -> Option<Distro> {
    let mut distro = Distro::default();
    for (key, value) in assignments(text) {
        let value = value.trim();
        let optional = || (!value.is_empty()).then(|| value.to_owned());
        match key {
            "DISTRIB_ID" => {
                distro.id = identifier(value);
                distro.name = optional();
            }
            "DISTRIB_RELEASE" => distro.version_id = value.to_owned(),
            "DISTRIB_CODENAME" => distro.version_codename = optional(),
            "DISTRIB_DESCRIPTION" => distro.pretty_name = optional(),
            _ => {}
        }
    }
    (!distro.id.is_empty()).then_some(distro)
}

fn alpine_release(text: &str) -> Option<Distro> {
    let version = first_line(text)?;
    version.starts_with(|c: char| c.is_ascii_digit()).then(|| Distro {
        id: "alpine".to_owned(),
        version_id: version.to_owned(),
        name: Some("Alpine Linux".to_owned()),
        pretty_name: Some(format!("Alpine Linux {version}")),
        ..Distro::default()
    })
}

fn debian_version(text: &str) -> Option<Distro> {
    let line = first_line(text)?;
    let mut distro = Distro { id: "debian".to_owned(), name: Some("Debian GNU/Linux".to_owned()), ..Distro::default() };
    if line.starts_with(|c: char| c.is_ascii_digit()) {
        // Debian's VERSION_ID is the major version, point releases do not change it.
        distro.version_id = line.split('.').next().unwrap_or(line).to_owned();
    } else {
        // "trixie/sid": testing and unstable have a codename and no version.
        let codename = line.split('/').next().unwrap_or(line);
        distro.version_codename = Some(codename.to_owned());
    }
    distro.pretty_name = Some(format!("Debian GNU/Linux {line}"));
    Some(distro)
}

/// `CentOS release 6.10 (Final)`, `Red Hat Enterprise Linux Server release 6.10 (Santiago)`.
fn system_release(text: &str) -> Option<Distro> {
    /// A word of the name and the ID that os-release gives the same distribution.
    const NAMES: [(&str, &str); 11] = [
        ("Red Hat Enterprise", "rhel"),
        ("CentOS", "centos"),
        ("Fedora", "fedora"),
        ("Oracle", "ol"),
        ("Amazon", "amzn"),
        ("Scientific", "scientific"),
        ("AlmaLinux", "almalinux"),
        ("Rocky", "rocky"),
        ("Photon", "photon"),
        ("openSUSE", "opensuse"),
        ("Mageia", "mageia"),
    ];
    let line = first_line(text)?;
    let (name, rest) = line.split_once(" release ")?;
    let version = rest.split_ascii_whitespace().next().unwrap_or_default();
    let id =
        NAMES.iter().find(|(word, _)| name.contains(word)).map_or_else(|| identifier(name), |(_, id)| (*id).into());
    if id.is_empty() || !version.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    Some(Distro {
        id,
        version_id: version.to_owned(),
        name: Some(name.to_owned()),
        pretty_name: Some(line.to_owned()),
        ..Distro::default()
    })
}

fn first_line(text: &str) -> Option<&str> {
    text.lines().map(str::trim).find(|line| !line.is_empty())
}

/// The first word of a name as an ID: lower-case letters, digits, `.`, `_`, `-`.
fn identifier(name: &str) -> String {
    name.split_ascii_whitespace()
        .next()
        .unwrap_or_default()
        .chars()
        .filter(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-'))
        .map(|c| c.to_ascii_lowercase())
        .collect()
}

/// `NAME=value` lines of the shell subset that os-release(5) allows.
fn assignments(text: &str) -> impl Iterator<Item = (&str, Cow<'_, str>)> {
    text.lines().filter_map(|line| {
        let line = line.trim();
        if line.starts_with('#') {
            return None;
        }
        let (key, value) = line.split_once('=')?;
        Some((key.trim_end(), unquote(value.trim())))
    })
}

/// Takes shell quotes and backslashes off.
fn unquote(value: &str) -> Cow<'_, str> {
    if !value.contains(['"', '\'', '\\', '#', ' ']) {
        return Cow::Borrowed(value);
    }
    let mut out = String::with_capacity(value.len());
    let mut quote = None;
    let mut characters = value.chars();
    while let Some(c) = characters.next() {
        match (quote, c) {
            (None, '"' | '\'') => quote = Some(c),
            (Some(open), c) if open == c => quote = None,
            (Some('\''), c) => out.push(c),
            (Some(_), '\\') => match characters.next() {
                Some(escaped @ ('"' | '\\' | '$' | '`')) => out.push(escaped),
                Some(other) => out.extend(['\\', other]),
                None => out.push('\\'),
            },
            (None, '\\') => out.extend(characters.next()),
            (None, '#') if out.ends_with(' ') => break,
            (_, c) => out.push(c),
        }
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(path: &str, text: &[u8]) -> Option<Distro> {
        let file = File { path, size: text.len() as u64, executable: false };
        let mut findings = Findings::default();
        OsRelease.catalog(&file, &mut Contents::held(text), &mut findings).expect("has no way to fail");
        findings.found_distro().cloned()
    }

    #[test]
    fn names_the_distribution() {
        let check = |path: &str, text: &str, id: &str, version: &str, pretty: &str| {
            let distro = read(path, text.as_bytes()).unwrap_or_else(|| panic!("{path} {text}: nothing found"));
            assert_eq!((&*distro.id, &*distro.version_id), (id, version), "{path} {text}");
            assert_eq!(distro.pretty_name.as_deref().unwrap_or_default(), pretty, "{path} {text}");
        };
        check(
            "etc/os-release",
            "ID=debian\nVERSION_ID=\"13\"\nPRETTY_NAME=\"Debian 13\"\n",
            "debian",
            "13",
            "Debian 13",
        );
        check("etc/os-release", "\u{feff}ID='arch'\r\nPRETTY_NAME='it''s $HOME'\r\n", "arch", "", "its $HOME");
        check(
            "usr/lib/os-release",
            "# ID=no\nID = x\nNAME=N\nPRETTY_NAME=\"a \\\"b\\\" \\$c \\d\"",
            "x",
            "",
            "a \"b\" $c \\d",
        );
        check("etc/os-release", "NAME=Some\nVERSION_ID=1", "linux", "1", "");
        check("etc/alpine-release", "3.21.0_alpha\n", "alpine", "3.21.0_alpha", "Alpine Linux 3.21.0_alpha");
        check("etc/debian_version", "11.3\n", "debian", "11", "Debian GNU/Linux 11.3");
        check("etc/debian_version", "trixie/sid\n", "debian", "", "Debian GNU/Linux trixie/sid");
        check(
            "etc/lsb-release",
            "DISTRIB_ID=Ubuntu\nDISTRIB_RELEASE=10.04\nDISTRIB_DESCRIPTION=\"Ubuntu 10.04\"",
            "ubuntu",
            "10.04",
            "Ubuntu 10.04",
        );
        for (line, id, version) in [
            ("CentOS release 5.11 (Final)", "centos", "5.11"),
            ("Red Hat Enterprise Linux Server release 5.11 (Tikanga)", "rhel", "5.11"),
            ("Amazon Linux AMI release 2016.09", "amzn", "2016.09"),
            ("Quux Enterprise release 4", "quux", "4"),
        ] {
            check("etc/redhat-release", line, id, version, line);
        }
    }

    #[test]
    fn finds_nothing_where_nothing_is_said() {
        for (path, text) in [
            ("etc/os-release", ""),
            ("etc/os-release", "BUG_REPORT_URL=x\nnot an assignment"),
            ("etc/alpine-release", "edge-ish"),
            ("etc/redhat-release", "release 5"),
            ("etc/redhat-release", "CentOS release (Final)"),
            ("etc/debian_version", "\n \n"),
            ("etc/lsb-release", "DISTRIB_RELEASE=1"),
        ] {
            assert_eq!(read(path, text.as_bytes()), None, "{path} {text}");
        }
    }

    #[test]
    fn an_empty_value_is_no_value() {
        let distro =
            read("etc/os-release", b"ID=fedora\nVERSION_CODENAME=\"\"\nVARIANT_ID=\nID_LIKE=\"a  b\"").unwrap();
        assert_eq!((distro.version_codename, distro.variant_id), (None, None));
        assert_eq!(distro.id_like, ["a", "b"]);
    }

    proptest! {
        #[test]
        fn never_panics(path in 0..PATHS.len(), text in proptest::collection::vec(any::<u8>(), 0..400)) {
            read(PATHS[path], &text);
        }

        #[test]
        fn quoting_is_undone(value in "[ -~]{0,40}") {
            let escaped: String = value.chars().flat_map(|c| {
                matches!(c, '"' | '\\' | '$' | '`').then_some('\\').into_iter().chain([c])
            }).collect();
            let quoted = format!("\"{escaped}\"");
            prop_assert_eq!(unquote(&quoted), value);
        }
    }
}
