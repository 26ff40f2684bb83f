//! Stanzas of `Field: value` lines, which dpkg and opkg keep their databases in (deb822(5)).

use memchr::memchr;

use crate::package::{Package, Requirement, SourcePackage};

/// Longest value of a field that is kept. Names and versions are far shorter; Debian's policy sets no bound.
const LONGEST_VALUE: usize = 4096;

/// Longest list of packages that is kept. Metapackages name some hundreds.
const LONGEST_LIST: usize = 1 << 16;

/// The fields of a stanza that are of use, as slices of the file. Empty where a field is missing.
#[derive(Debug, Default)]
pub(super) struct Stanza<'a> {
    pub(super) package: &'a [u8],
    pub(super) status: &'a [u8],
    pub(super) version: &'a [u8],
    pub(super) architecture: &'a [u8],
    pub(super) source: &'a [u8],
    /// Only in OpenWrt's packages: there `Source` is a path in its source tree.
    pub(super) source_name: &'a [u8],
    pub(super) maintainer: &'a [u8],
    pub(super) description: &'a [u8],
    pub(super) homepage: &'a [u8],
    pub(super) installed_size: &'a [u8],
    /// By [`List`].
    lists: [&'a [u8]; 3],
    /// Only in opkg's packages.
    pub(super) license: &'a [u8],
    /// Only in OpenWrt's packages: a CPE 2.2 or 2.3 name without its version.
    pub(super) cpe_id: &'a [u8],
    /// It has a field that only vcpkg writes.
    pub(super) vcpkg: bool,
}

/// A field that names packages. It may go on over several lines.
#[derive(Clone, Copy, Debug)]
enum List {
    PreDepends,
    Depends,
    Provides,
}

impl List {
    /// The list that this line begins.
    fn of(line: &[u8]) -> Option<Self> {
        let begins = |field: &[u8]| line.get(..field.len()).is_some_and(|start| start.eq_ignore_ascii_case(field));
        match line[0] | 0x20 {
            b'd' if begins(b"Depends:") => Some(Self::Depends),
            b'p' if begins(b"Provides:") => Some(Self::Provides),
            b'p' if begins(b"Pre-Depends:") => Some(Self::PreDepends),
            _ => None,
        }
    }
}

/// The stanzas of a file, in their order.
pub(super) struct Stanzas<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Stanzas<'a> {
    pub(super) fn of(bytes: &'a [u8]) -> Self {
        Self { bytes: bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes), at: 0 }
    }
}

impl<'a> Iterator for Stanzas<'a> {
    type Item = Stanza<'a>;

    fn next(&mut self) -> Option<Stanza<'a>> {
        let mut stanza = Stanza::default();
        let mut fields = false;
        // The list that lines go on with, and where it began.
        let mut list = None;
        while let Some(rest) = self.bytes.get(self.at..).filter(|rest| !rest.is_empty()) {
            let (start, end) = (self.at, self.at + memchr(b'\n', rest).unwrap_or(rest.len()));
            let line = &self.bytes[start..end];
            self.at = end + 1;
            match line.first() {
                // A line of the field before, unless there is nothing on it.
                Some(b' ' | b'\t') if !line.trim_ascii().is_empty() => {
                    if let Some((list, start)) = list {
                        stanza.set(list, &self.bytes[start..end]);
                    }
                }
                Some(first) if !first.is_ascii_whitespace() => {
                    fields = true;
                    // As with the other fields, the first of a name counts.
                    list =
                        List::of(line).filter(|&list| stanza.lists[list as usize].is_empty()).map(|list| (list, start));
                    match list {
                        Some((list, _)) => stanza.set(list, line),
                        None => stanza.take(line),
                    }
                }
                _ if fields => return Some(stanza),
                _ => {}
            }
        }
        fields.then_some(stanza)
    }
}

impl<'a> Stanza<'a> {
    fn take(&mut self, line: &'a [u8]) {
        // Most lines of a stanza are of no use: judge them by their first letter before looking for the colon.
        if !matches!(
            line[0] | 0x20,
            b'p' | b's' | b'v' | b'a' | b'm' | b'd' | b'h' | b'i' | b't' | b'f' | b'l' | b'c' | b'u'
        ) {
            return;
        }
        // The longest field name of use has 14 letters.
        let Some(colon) = memchr(b':', &line[..line.len().min(16)]) else { return };
        let (field, value) = (&line[..colon], line[colon + 1..].trim_ascii());
        let field_is = |name: &[u8]| field.eq_ignore_ascii_case(name);
        let slot = match field.len() {
            3 if field_is(b"Abi") => return self.vcpkg = true,
            3 if field_is(b"URL") => &mut self.homepage,
            4 if field_is(b"Type") && value == b"Port" => return self.vcpkg = true,
            6 if field_is(b"Status") => &mut self.status,
            6 if field_is(b"Source") => &mut self.source,
            6 if field_is(b"CPE-ID") => &mut self.cpe_id,
            7 if field_is(b"Package") => &mut self.package,
            7 if field_is(b"Version") => &mut self.version,
            7 if field_is(b"License") => &mut self.license,
            7 if field_is(b"Feature") => return self.vcpkg = true,
            8 if field_is(b"Homepage") => &mut self.homepage,
            10 if field_is(b"Maintainer") => &mut self.maintainer,
            10 if field_is(b"SourceName") => &mut self.source_name,
            11 if field_is(b"Description") => &mut self.description,
            12 if field_is(b"Architecture") => &mut self.architecture,
            12 if field_is(b"Port-Version") => return self.vcpkg = true,
            14 if field_is(b"Installed-Size") => &mut self.installed_size,
            _ => return,
        };
        if slot.is_empty() {
            *slot = &value[..value.len().min(LONGEST_VALUE)];
        }
    }

    /// `field` is the whole of it, with its name.
    fn set(&mut self, list: List, field: &'a [u8]) {
        self.lists[list as usize] = &field[..field.len().min(LONGEST_LIST)];
    }

    /// The packages of a list: between commas, of which each may be several with bars between.
    fn listed(&self, list: List) -> impl Iterator<Item = &'a [u8]> {
        let field = self.lists[list as usize];
        let value = memchr(b':', field).map_or(&[][..], |colon| &field[colon + 1..]);
        value.split(|&b| b == b',')
    }

    /// The third word of `Status` is the state. What merely awaits triggers is unpacked and configured; whatever
    /// else is not `installed` is not wholly there, or left nothing but configuration files.
    pub(super) fn is_installed(&self, status_may_be_missing: bool) -> bool {
        if self.status.is_empty() {
            return status_may_be_missing;
        }
        let state = self.status.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty()).nth(2);
        matches!(state, Some(b"installed" | b"triggers-awaited" | b"triggers-pending"))
    }

    /// The package of these fields, if they are a Debian package's.
    pub(super) fn debian_package(&self) -> Option<Package> {
        let version = text(self.version);
        if !is_debian_version(&version) {
            return None;
        }
        let mut package = self.common("deb")?;
        package.source = Some(if self.source.is_empty() {
            SourcePackage { name: package.name.clone(), version }
        } else {
            let source = text(self.source);
            let (source_name, source_version) = split_source(&source);
            let upstream = match source_version {
                Some(version) => format!("{source_name}@{version}"),
                None => source_name.to_owned(),
            };
            package.qualifiers.insert("upstream".to_owned(), upstream);
            SourcePackage { name: source_name.to_owned(), version: source_version.unwrap_or(&version).to_owned() }
        });
        // dpkg counts in KiB (deb-control(5)).
        package.installed_size = text(self.installed_size).parse::<u64>().ok().and_then(|size| size.checked_mul(1024));
        Some(package)
    }

    /// What means the same in all packages of this form; `None` without a name or a version.
    pub(super) fn common(&self, kind: &str) -> Option<Package> {
        let (name, version) = (text(self.package), text(self.version));
        let invalid = |text: &str| text.is_empty() || text.contains(char::is_whitespace);
        if invalid(&name) || invalid(&version) {
            return None;
        }
        let mut package = Package {
            kind: kind.to_owned(),
            name,
            version,
            author: optional(self.maintainer),
            description: optional(self.description),
            url: optional(self.homepage),
            ..Package::default()
        };
        package.requires = [List::PreDepends, List::Depends]
            .into_iter()
            .flat_map(|list| self.listed(list))
            .filter_map(requirement)
            .collect();
        package.provides = self.listed(List::Provides).filter_map(package_name).collect();
        if !self.architecture.is_empty() {
            package.qualifiers.insert("arch".to_owned(), text(self.architecture));
        }
        Some(package)
    }
}

/// `gcc-12 (12.2.0-14)` or `pam`.
fn split_source(source: &str) -> (&str, Option<&str>) {
    match source.split_once('(') {
        Some((name, version)) => {
            let version = version.split(')').next().unwrap_or_default().trim();
            (name.trim(), (!version.is_empty()).then_some(version))
        }
        None => (source, None),
    }
}

/// `debconf (>= 0.5) | debconf-2.0`.
fn requirement(text: &[u8]) -> Option<Requirement> {
    let mut names = text.split(|&b| b == b'|').filter_map(package_name);
    Some(Requirement { name: names.next()?, version: None, or: names.collect() })
}

/// The name in `libc6:amd64 (>= 2.34)`.
fn package_name(text: &[u8]) -> Option<String> {
    let text = text.trim_ascii();
    let is_name = |b: &u8| b.is_ascii_alphanumeric() || b"+-._".contains(b);
    let end = text.iter().position(|b| !is_name(b)).unwrap_or(text.len());
    let ends = text[end..].first().is_none_or(|b| b" \t\r\n:(".contains(b));
    (end > 0 && ends).then(|| String::from_utf8_lossy(&text[..end]).into_owned())
}

/// The characters of deb-version(7), and the underscore that some makers use.
fn is_debian_version(version: &str) -> bool {
    !version.is_empty() && version.bytes().all(|b| b.is_ascii_alphanumeric() || b".+-:~_".contains(&b))
}

pub(super) fn text(value: &[u8]) -> String {
    String::from_utf8_lossy(value).into_owned()
}

fn optional(value: &[u8]) -> Option<String> {
    (!value.is_empty()).then(|| text(value))
}
